"""`literals` in C writes what `Literals.literal` writes."""

from __future__ import annotations

import datetime
import enum
import weakref
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.err import DataError

from aiomysql_protocol.values.literals import Literals
from tests.protocol.row_bytes import part

WriteAll = Callable[[Sequence[object], bool, Callable[[Any], str]], tuple[str, ...]]

#: Characters that are escaped, and one of each width in memory.
SPECIAL = "\0\n\r\x1a\"'\\%_aé\xff\u0100\u20ac\ud800\udfff\U0001f600\U0010ffff"


def c_literals() -> WriteAll:
    # The Python implementation asks `Literals.literal` for each, so there is nothing to compare.
    found: WriteAll = part("c", pytest, "literals")
    return found


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "' OR 1=1"


class Number(int):
    def __str__(self) -> str:
        return "0 OR 1=1"

    __repr__ = __str__


class Colour(enum.IntEnum):
    RED = 1


class Name(enum.StrEnum):
    TOM = "to'm"


TEXTS = st.text(st.characters(codec=None), max_size=60) | st.text(SPECIAL, max_size=300)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(1 << 65), 1 << 65)
    | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary(max_size=20)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes()
    | st.timedeltas()
    | st.sampled_from([Text("a'b"), Number(5), Colour.RED, Name.TOM])
    | st.lists(TEXTS | st.integers(), max_size=3)
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(values=st.lists(VALUES, max_size=5), no_backslash_escapes=st.booleans())
def test_both_alike(values: list[object], no_backslash_escapes: bool) -> None:
    writer = Literals()
    writer.no_backslash_escapes = no_backslash_escapes
    try:
        expected = tuple(writer.literal(value) for value in values)
    except DataError:  # an integer of too many digits
        with pytest.raises(DataError):
            c_literals()(values, no_backslash_escapes, writer.literal)
        return
    assert c_literals()(values, no_backslash_escapes, writer.literal) == expected
    assert c_literals()(tuple(values), no_backslash_escapes, writer.literal) == expected


@pytest.mark.parametrize("no_backslash_escapes", [False, True])
def test_every_character_by_itself_and_in_long_strings(no_backslash_escapes: bool) -> None:
    writer = Literals()
    writer.no_backslash_escapes = no_backslash_escapes
    texts = [chr(code) for code in range(0x180)] + list(SPECIAL)
    texts += [character * 1000 for character in SPECIAL]
    texts += [f"{'x' * 500}{a}{'ü' * 500}{b}" for a in SPECIAL for b in SPECIAL]
    texts += ["", SPECIAL, SPECIAL * 50]
    expected = tuple(map(writer.literal, texts))
    assert c_literals()(texts, no_backslash_escapes, writer.literal) == expected


def test_integers_at_the_limits() -> None:
    writer = Literals()
    limits = [n for bits in (31, 32, 63, 64, 65) for n in ((1 << bits) - 1, 1 << bits)]
    values = [0, 1, -1, *limits, *[-n for n in limits], *[-n - 1 for n in limits]]
    assert c_literals()(values, False, writer.literal) == tuple(map(str, values))
    with pytest.raises(DataError, match="81 digits"):
        c_literals()([10**90], False, writer.literal)


def test_all_other_types_are_left_to_the_function() -> None:
    asked: list[object] = []

    def other(value: object) -> str:
        asked.append(value)
        return "x"

    others: list[object] = [True, 1.5, Text("a"), Number(1), b"", Decimal(1), [], (), {}, object()]
    others += [Colour.RED, Name.TOM, datetime.date(2024, 1, 1), 1 << 63]
    mixed = [None, "a", *others, 5]
    assert c_literals()(mixed, False, other) == ("NULL", "'a'", *["x"] * len(others), "5")
    assert list(map(id, asked)) == list(map(id, others))


def test_an_error_of_the_function_surfaces() -> None:
    def other(value: object) -> str:
        raise ZeroDivisionError(value)

    with pytest.raises(ZeroDivisionError, match=r"2\.5"):
        c_literals()(["a", 2.5, "b"], False, other)


def test_a_list_that_changes_meanwhile() -> None:
    class Clearing:
        pass

    values: list[object] = [Clearing(), "a" * 100, Clearing(), 5]
    seen = weakref.ref(values[2])

    def other(value: object) -> str:
        values.clear()
        return "x"

    assert c_literals()(values, False, other) == ("x", f"'{'a' * 100}'", "x", "5")
    assert (values, seen()) == ([], None)


def test_bad_arguments() -> None:
    write: Any = c_literals()
    wrong: tuple[Any, ...]
    for wrong in ((), ([], False), ("text", False, str), ({}, False, str), ([], False, str, 1)):
        with pytest.raises(TypeError):
            write(*wrong)
    with pytest.raises(TypeError):
        write([1.5], False, None)


@pytest.mark.slow
def test_it_is_what_arguments_uses() -> None:
    """With both implementations, and also where the user has encoders of their own."""
    writer = Literals({float: lambda value, mapping: "FLOAT"})
    assert writer.arguments(["a'", 5, None, 2.5]) == (r"'a\''", "5", "NULL", "FLOAT")
    writer = Literals({str: lambda value, mapping: "STR"})
    assert writer.arguments(["a'", 5]) == ("STR", "5")
    writer = Literals()
    writer.no_backslash_escapes = True
    assert writer.arguments(("a'\\", True)) == (r"'a''\'", "1")
