"""Rows of literals, written at once: the same as one literal after the other."""

from __future__ import annotations

import datetime
import decimal
import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.err import DataError, ProgrammingError

from aiomysql_protocol.implementation import IMPLEMENTATION
from aiomysql_protocol.values.literals import Literals

IN_C = IMPLEMENTATION == "c"
ROOM = 1 << 30

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**81) + 1, 10**81 - 1),
    finite,
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text("\0\n\r\x1a\"'\\%ü漢\U0001f30a"),
    st.binary(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.tuples(finite),
)


class Pair(NamedTuple):
    """A tuple by another name."""

    a: object
    b: object


class Number(enum.IntEnum):
    """An int by another name."""

    ONE = 1


def expected(literals: Literals, rows: Sequence[Sequence[object]]) -> bytes:
    return b",".join(
        f"({', '.join(literals.literal(value) for value in row)} )".encode() for row in rows
    )


def pieces(count: int) -> tuple[bytes, ...]:
    return (b"(", *[b", "] * (count - 1), b" )")


@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(values, min_size=n, max_size=n))),
    st.booleans(),
    st.integers(0, 300),
)
def test_any_rows(rows: list[list[object]], no_backslash_escapes: bool, room: int) -> None:
    literals = Literals()
    literals.no_backslash_escapes = no_backslash_escapes
    marks = pieces(len(rows[0]) if rows else 1)
    written, end = literals.rows(marks, rows, 0, ROOM)
    assert written == expected(literals, rows[:end])
    assert end == len(rows) * IN_C
    written, end = literals.rows(marks, tuple(map(tuple, rows)), 0, room)
    assert written == expected(literals, rows[:end])
    assert len(written) <= room
    if IN_C and end < len(rows):
        assert len(expected(literals, rows[: end + 1])) > room


@pytest.mark.parametrize(
    "value",
    [
        *(2**63 - 1, 2**63, -(2**63), -(2**63) - 1, -1, 10**81 - 1, True, Number.ONE),
        *(-0.0, 5e-324, 1e16, 1e22, 1.7976931348623157e308, 0.1),
        *map(Decimal, ("-0.00", "1E+3", "1E-7", "0E-10", "0.000001", "9" * 72, "9" * 73, "1E+81")),
        Decimal("0." + "0" * 71 + "1"),
        datetime.datetime(1, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime.date(1, 1, 1),
        bytearray(b"\0\xff"),
        "x" * 100_000,
        "'" * 100_000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_edges(value: object) -> None:
    literals = Literals()
    rows = [Pair(value, [value])]
    assert literals.rows(pieces(2), rows, 0, ROOM) == (
        (expected(literals, rows), 1) if IN_C else (b"", 0)
    )


def test_decimals_know_no_context() -> None:
    literals = Literals()
    rows = [(Decimal("1E+3"), Decimal("1.25"))]
    with decimal.localcontext() as context:
        context.prec = 1
        context.capitals = 0
        written, end = literals.rows(pieces(2), rows, 0, ROOM)
    assert (written, end) == ((b"(1000, 1.25 )", 1) if IN_C else (b"", 0))


@pytest.mark.parametrize(
    "row",
    [(1,), (1, 2, 3), [], 5, "ab", {"a": 1, "b": 2}, None, (1, "\ud800"), (1, ["\udfff"])],
    ids=repr,
)
def test_rows_left_to_the_caller(row: object) -> None:
    literals = Literals()
    rows = [(1, "a"), row, (2, "b")]
    assert literals.rows(pieces(2), rows, 0, ROOM) == ((b"(1, 'a' )", 1) if IN_C else (b"", 0))
    assert literals.rows(pieces(2), rows, 1, ROOM) == (b"", 1)
    assert literals.rows(pieces(2), rows, 2, ROOM)[1] == 2 + IN_C
    assert literals.rows(pieces(2), rows, 3, ROOM) == (b"", 3)


def test_custom_encoders_are_the_callers() -> None:
    literals = Literals({str: lambda value, mapping: "'*'"})
    assert literals.rows(pieces(1), [("a",)], 0, ROOM) == (b"", 0)


@pytest.mark.skipif(not IN_C, reason="the Python implementation leaves every row to the caller")
def test_errors() -> None:
    literals = Literals()
    for value, error in (
        (float("nan"), ProgrammingError),
        (Decimal("Infinity"), ProgrammingError),
        (10**81, DataError),
        ({"a": 1}, TypeError),
    ):
        with pytest.raises(error):
            literals.rows(pieces(1), [("fine",), (value,)], 0, ROOM)
    with pytest.raises(TypeError, match="pieces must be a tuple of bytes"):
        literals.rows(("(",), [()], 0, ROOM)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="start must not be negative"):
        literals.rows(pieces(1), [], -1, ROOM)


@pytest.mark.slow
def test_rows_that_change_meanwhile() -> None:
    literals = Literals()
    rows: list[Any] = []

    class Sly:
        def __str__(self) -> str:
            rows[0].clear()
            rows.clear()
            return "sly"

    rows += [[Sly(), 1], [2, 3]]
    written, end = literals.rows(pieces(2), rows, 0, ROOM)
    assert (written, end) == ((b"('sly', 1 )", 1) if IN_C else (b"", 0))
