"""Python values as SQL literals: one, those of a statement at once, rows at once."""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import fractions
import ipaddress
import numbers
import operator
import time
import types
import uuid
import weakref
from collections import UserDict, UserList, UserString, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql import converters
from pymysql.err import DataError, ProgrammingError

from aiomysql_protocol.implementation import IMPLEMENTATION
from aiomysql_protocol.values.literals import Literals, encode_statement, escape_string
from tests.protocol.row_bytes import part


class Text(str):
    """A str that says something else of itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "'; DROP TABLE students; --"

    __repr__ = __str__


class Number(int):
    """An int that says something else of itself."""

    def __str__(self) -> str:
        return "0 OR 1=1"

    __repr__ = __str__


class Real(float):
    """A float that says something else of itself."""

    def __repr__(self) -> str:
        return "0 OR 1=1"

    __str__ = __repr__


class Binary(bytes):
    """A bytes that says something else of itself."""

    def __repr__(self) -> str:
        return "0 OR 1=1"


class Moment(datetime.datetime):
    """A datetime that says something else of itself."""

    def __str__(self) -> str:
        return "0 OR 1=1"

    isoformat = __str__  # type: ignore[assignment]


class Answer(enum.IntEnum):
    """A number by another name."""

    YES = 42


class Word(enum.StrEnum):
    """A text by another name."""

    ITS = "it's"


class Old(str, enum.Enum):  # noqa: UP042
    """What StrEnum was before Python 3.11; str() of its members gives their names."""

    ITS = "it's"


class Colour(enum.Enum):
    """No number and no text."""

    RED = 1


class Flag(enum.IntFlag):
    """Numbers that can be combined."""

    A = 1
    B = 2


class Permission(enum.Flag):
    """Neither."""

    READ = 1


class Folder(PurePosixPath, enum.Enum):
    """str() gives a member's name, not the path."""

    HOME = "/home"


class Said(enum.Enum):
    """Its text is its own affair."""

    HELLO = 1

    def __str__(self) -> str:
        return self.name.lower()


class Modern(str, enum.Enum):  # noqa: UP042
    """The value is the text, whatever `__str__` says."""

    A = "a"

    def __str__(self) -> str:
        return "something else"


class Day(datetime.date, enum.Enum):
    """A date by another name."""

    FIRST = 2024, 1, 2


class Ratio(float, enum.Enum):
    """A number by another name."""

    HALF = 0.5


@dataclass
class Account:
    """Has a `__repr__`, no `__str__`."""

    number: int


class Shown:
    """The same without decorator."""

    def __repr__(self) -> str:
        return "shown"


class Convertible:
    """A number, but it does not say so."""

    def __float__(self) -> float:
        return 0.5


class Awaited:
    """To be awaited."""

    def __await__(self) -> Any:
        yield


class Scalar:
    """Like the integers of NumPy, which are no ints."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return f"Scalar({self.value})"


@numbers.Real.register
class Single:
    """Like the floats of NumPy that are no floats."""

    def __float__(self) -> float:
        return 0.5


class Element:
    """Like an element of an array of NumPy's; its text is not what a server reads."""

    def __init__(self, kind: str, shape: tuple[int, ...] = ()) -> None:
        self.dtype, self.shape = types.SimpleNamespace(kind=kind), shape

    def __str__(self) -> str:
        return "2024-01-02T03:04:05.000006"


class Missing:
    """Like pandas.NA, and NaT of NumPy."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


class NoTime(datetime.datetime):
    """Like pandas.NaT."""

    year = float("nan")  # type: ignore[assignment]


@numbers.Real.register
class NoNumber:
    """Like the time spans of NumPy, which say that they are integers."""

    def __float__(self) -> float:
        raise TypeError("float() argument must be a string or a real number")


class Money:
    """A type without a rule."""

    def __str__(self) -> str:
        return "it's 5 \\"


class NotAvailable:
    """Like pandas.NA."""

    def __eq__(self, other: object) -> Any:
        return self

    def __repr__(self) -> str:
        return "<NA>"

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None  # type: ignore[assignment]


class Elements:
    """Like an array of NumPy's, which has a text."""

    dtype = types.SimpleNamespace(kind="i")

    def __index__(self) -> int:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")

    def __str__(self) -> str:
        return "[1 2]"


class Proxy:
    """What is behind it says what it is; it has all methods, and they fail where that has none."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._value, name)

    def __str__(self) -> str:
        return str(self._value)

    def __index__(self) -> int:
        return operator.index(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __iter__(self) -> Any:
        return iter(self._value)

    def __next__(self) -> Any:
        return next(self._value)

    def __await__(self) -> Any:
        return self._value.__await__()

    def __call__(self) -> Any:
        return self._value()


class Lazy:
    """A proxy that has only what every value has."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._value)

    def __str__(self) -> str:
        return str(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


class Incomparable:
    """Has a text, which is all that is asked of it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not here")

    def __str__(self) -> str:
        return "a text"

    __hash__ = None  # type: ignore[assignment]


class Unequal(Incomparable):
    """The same."""

    def __eq__(self, other: object) -> bool:
        return False


class Amount(numbers.Number):
    """A number that has only a text."""

    def __str__(self) -> str:
        return "5.00"

    __hash__ = None  # type: ignore[assignment]


class Settings(UserDict[str, int]):
    """A mapping that has a text."""

    def __str__(self) -> str:
        return ";".join(self)


class Steps:
    """An iterator that has one."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> int:
        raise StopIteration

    def __str__(self) -> str:
        return "steps"


class Point(NamedTuple):
    """A tuple by another name."""

    x: int
    y: str


UTC = datetime.UTC
DELTA = datetime.timedelta


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "NULL"),
        (True, "1"),
        (False, "0"),
        (Element("M"), "'2024-01-02T03:04:05.000006'"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (10**81 - 1, "9" * 81),
        (1 - 10**81, "-" + "9" * 81),
        (1.0, "1.0e0"),
        (-0.0, "-0.0e0"),
        (5e-324, "5e-324"),
        (1e22, "1e+22"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+5"), "100000"),
        (Decimal("-1E-5"), "-0.00001"),
        (Decimal("1E+80"), "1" + "0" * 80),
        (Decimal("1.5E+81"), "1.5E+81"),
        (Decimal("1E-72"), "0." + "0" * 71 + "1"),
        (Decimal("-1.5E-999999"), "-1.5E-999999"),
        (Decimal("1E+999999999"), "1E+999999999"),
        (Decimal("0E+999999999"), "0"),
        (Decimal("-0.0"), "-0.0"),
        ("", "''"),
        ("a\0\n\r\x1a'\"\\b%", r"""'a\0\n\r\Z\'\"\\b%'"""),
        (b"", "_binary X''"),
        (b"\x00'\xff", "_binary X'0027ff'"),
        (bytearray(b"\x01"), "_binary X'01'"),
        (memoryview(b"\x01\x02\x03\x04")[::-2], "_binary X'0402'"),
        (memoryview(array.array("H", [0x0101, 0x0202])), "_binary X'01010202'"),
        (memoryview(b"\x01\x02\x03\x04").cast("B", [2, 2]), "_binary X'01020304'"),
        (memoryview(b""), "_binary X''"),
        (datetime.date(5, 1, 2), "'0005-01-02'"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "'2026-01-02 03:04:05'"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "'2026-01-02 03:04:05.000006'"),
        (datetime.datetime(2026, 1, 2, tzinfo=UTC), "'2026-01-02 00:00:00'"),
        (datetime.time(3, 4), "'03:04:00'"),
        (datetime.time(3, 4, 5, 60), "'03:04:05.000060'"),
        (DELTA(0), "'00:00:00'"),
        (DELTA(days=-1, seconds=86399, microseconds=999999), "'-00:00:00.000001'"),
        (DELTA(hours=-838, minutes=-59, seconds=-59), "'-838:59:59'"),
        (DELTA(days=1000), "'24000:00:00'"),
        (time.struct_time((2026, 1, 2, 23, 59, 60, 0, 0, 0)), "'2026-01-02 23:59:60'"),
        ((1, "a"), "(1,'a')"),
        ([1], "(1)"),
        ((), "()"),
        ([], "()"),
        (range(3), "(0,1,2)"),
        ([(1, "it's"), (None, (2, [3.5]))], r"((1,'it\'s'),(NULL,(2,(3.5e0))))"),
        ({5}, "(5)"),
        (frozenset({"a"}), "('a')"),
        (([1], {2}), "((1),(2))"),
        (Point(1, "'"), r"(1,'\'')"),
        (Text("it's"), r"'it\'s'"),
        (Number(5), "5"),
        (Real(0.5), "0.5e0"),
        (Binary(b"\x05"), "_binary X'05'"),
        (Moment(2026, 1, 2), "'2026-01-02 00:00:00'"),
        (Answer.YES, "42"),
        (Word.ITS, r"'it\'s'"),
        (Old.ITS, r"'it\'s'"),
        (Flag.A | Flag.B, "3"),
        (Scalar(-7), "-7"),
        (Single(), "0.5e0"),
        (fractions.Fraction(1, 4), "0.25e0"),
        (Money(), r"'it\'s 5 \\'"),
        (uuid.UUID(int=5), "'00000000-0000-0000-0000-000000000005'"),
        (PurePosixPath("/a"), "'/a'"),
        (ipaddress.ip_address("::1"), "'::1'"),
        (ipaddress.ip_network("10.0.0.0/8"), "'10.0.0.0/8'"),
        (Said.HELLO, "'hello'"),
        (Modern.A, "'a'"),
        (Day.FIRST, "'2024-01-02'"),
        (Ratio.HALF, "0.5e0"),
        (UserString("a"), "'a'"),
        (ValueError("why"), "'why'"),
        (Shown(), "'shown'"),
        (Proxy("s"), "'s'"),
        (Proxy(5), "5"),
        (Proxy(0.5), "0.5e0"),
        (Proxy(True), "1"),
        (Proxy(b"s"), "'b\\'s\\''"),
        (Proxy(Decimal("1.50")), "'1.50'"),
        (Proxy(datetime.datetime(2026, 1, 2)), "'2026-01-02 00:00:00'"),
        (Lazy(5), "'5'"),
        (Lazy(False), "0"),
        (Lazy(Decimal("1.5")), "'1.5'"),
        (Incomparable(), "'a text'"),
        (Unequal(), "'a text'"),
        (Amount(), "'5.00'"),
        (Settings(a=1), "'a'"),
        (Steps(), "'steps'"),
        (type("Point3", (tuple,), {"__str__": Text.__str__})((1,)), "(1)"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_literal(value: Any, literal: str) -> None:
    assert Literals().literal(value) == literal
    assert Literals(converters.conversions).literal(value) == literal


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (float("nan"), ProgrammingError, "nan can not be used with MySQL"),
        (Real("inf"), ProgrammingError, "can not be used with MySQL"),
        (Decimal("sNaN"), ProgrammingError, "sNaN can not be used with MySQL"),
        (10**81, DataError, "int of more than 81 digits"),
        (-(10**81), DataError, "int of more than 81 digits"),
        (Number(10**4301), DataError, "Number of more than 81 digits"),
        (Scalar(10**4301), DataError, "int of more than 81 digits"),
        ({}, TypeError, "dict can not be used as parameter"),
        (((1, {"a": 1}),), TypeError, "dict can not be used as parameter"),
        (UserDict(a=1), TypeError, "UserDict can not be used as parameter"),
        ({}.values(), TypeError, "dict_values can not be used as parameter"),
        (iter([1]), TypeError, "list_iterator can not be used as parameter"),
        (Awaited(), TypeError, "Awaited can not be used as parameter: await it"),
        (Colour.RED, TypeError, r"Colour can not be used as parameter: give its value \(.value\)"),
        (Permission.READ, TypeError, "Permission can not be used as parameter: give its value"),
        (Folder.HOME, TypeError, "Folder can not be used as parameter: give its value"),
        ([Colour.RED], TypeError, "Colour can not be used"),
        (Account(1), TypeError, "Account can not be used as parameter: give its fields"),
        (object(), TypeError, "^builtins.object can not be used .*option 'conv'"),
        (len, TypeError, "builtin_function_or_method can not be used .*give what it makes or"),
        (Account, TypeError, "^builtins.type can not be used as parameter: give what it makes"),
        (lambda: 1, TypeError, "function can not be used as parameter: give what it makes"),
        (deque([1]), TypeError, "deque can not be used"),
        (array.array("b"), TypeError, "array can not be used"),
        (UserList([1]), TypeError, "UserList can not be used"),
        (Convertible(), TypeError, "Convertible can not be used"),
        (1 + 2j, TypeError, "^builtins.complex can not be used as parameter"),
        (int, TypeError, "^builtins.type can not be used as parameter.*option 'conv'"),
        (Element("b"), TypeError, "Element can not be used as parameter.*item()"),
        (Element("m"), TypeError, "Element can not be used as parameter"),
        (Element("M", (1,)), TypeError, "Element can not be used as parameter"),
        (Missing(), TypeError, "Missing can not be used as parameter.*None for a missing value"),
        (NotAvailable(), TypeError, "NotAvailable can not be used.*None for a missing value"),
        (Elements(), TypeError, r"Elements can not be used as parameter.*item\(\)"),
        (Proxy(None), TypeError, "Proxy can not be used as parameter.*None for a missing value"),
        (Proxy(object()), TypeError, "Proxy can not be used as parameter"),
        (types.MappingProxyType({}), TypeError, "mappingproxy can not be used as parameter"),
        (NoTime(2024, 1, 2), TypeError, "NoTime can not be used as parameter.*None for a missing"),
        (NoNumber(), TypeError, "NoNumber can not be used as parameter"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_refused(value: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        Literals().literal(value)


def test_without_backslash_escapes() -> None:
    literals = Literals()
    literals.no_backslash_escapes = True
    assert literals.literal("it's \\ \"\0\n") == "'it''s \\ \"\0\n'"
    assert literals.literal(["'", ["\\"], Text("'"), Money()]) == r"('''',('\'),'''','it''s 5 \')"
    assert literals.arguments({"a": ["'"]}) == {"a": "('''')"}
    assert escape_string("'\\") == "\\'\\\\"
    assert escape_string("'\\", no_backslash_escapes=True) == "''\\"


def test_arguments() -> None:
    literals = Literals()

    def written(template: str, args: object) -> str:
        text: str = template % literals.arguments(args)
        return text

    assert written("%s,%s", [1, "a"]) == "1,'a'"
    assert written("%s %%", (b"",)) == "_binary X'' %"
    assert written("%s", "a") == "'a'"
    assert written("%s", {5}) == "(5)"
    named: Mapping[str, Any] = {"a": None, "b": (1, 2)}
    for mapping in (named, UserDict(named)):
        assert written("%(b)s %(a)s %(b)s", mapping) == "(1,2) NULL (1,2)"
        for mark in ("%s", "%r", "%a"):
            with pytest.raises(TypeError, match="its arguments are a dict"):
                written(mark, mapping)


def test_own_encoders() -> None:
    def money(value: Money, mapping: Mapping[Any, Any]) -> str:
        return f"MONEY({converters.escape_item(str(value), 'utf8', mapping)})"

    conv = {
        **converters.conversions,
        Money: money,
        int: lambda value, mapping: f"INT({value})",
        Number: lambda value, mapping: "NUMBER",
    }
    literals = Literals(conv)
    assert literals.literal(Money()) == r"MONEY('it\'s 5 \\')"
    assert literals.literal([5, Money(), "a"]) == r"(INT(5),MONEY('it\'s 5 \\'),'a')"
    assert literals.arguments({"a": 5}) == {"a": "INT(5)"}
    assert literals.literal(Number(5)) == "NUMBER"
    # They go before all else, of what has no other text, too.
    plain = {Colour: lambda value, mapping: f"'{value.name}'", Account: lambda *_: "ACCOUNT"}
    assert Literals(plain).literal([Colour.RED, Account(1)]) == "('RED',ACCOUNT)"
    # An encoder is for exactly its type.
    assert literals.literal(True) == "1"
    assert literals.literal(Answer.YES) == "42"


def test_encode_statement() -> None:
    assert encode_statement("ü", "utf8") == b"\xc3\xbc"
    with pytest.raises(DataError, match="surrogates not allowed") as caught:
        encode_statement("\ud800", "utf8")
    assert isinstance(caught.value.__cause__, UnicodeEncodeError)


# -- those of a statement at once: `literals` in C writes what `Literals.literal` writes ----------


WriteAll = Callable[[Sequence[object], bool, Callable[[Any], str]], tuple[str, ...]]

#: Characters that are escaped, and one of each width in memory.
SPECIAL = "\0\n\r\x1a\"'\\%_aé\xff\u0100\u20ac\ud800\udfff\U0001f600\U0010ffff"


def c_literals() -> WriteAll:
    # The Python implementation asks `Literals.literal` for each, so there is nothing to compare.
    found: WriteAll = part("c", pytest, "literals")
    return found


TEXTS = st.text(st.characters(codec=None), max_size=60) | st.text(SPECIAL, max_size=300)
MIXED = (
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
    | st.sampled_from([Text("a'b"), Number(5), Answer.YES, Word.ITS])
    | st.lists(TEXTS | st.integers(), max_size=3)
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(values=st.lists(MIXED, max_size=5), no_backslash_escapes=st.booleans())
def test_all_at_once_in_both_alike(values: list[object], no_backslash_escapes: bool) -> None:
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
    others += [Answer.YES, Word.ITS, datetime.date(2024, 1, 1), 1 << 63]
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


def test_bad_arguments_of_the_function_in_c() -> None:
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


# -- rows at once: the same as one literal after the other ----------------------------------------


IN_C = IMPLEMENTATION == "c"
ROOM = 1 << 30

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ROW_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**81) + 1, 10**81 - 1),
    FINITE,
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text("\0\n\r\x1a\"'\\%ü漢\U0001f30a"),
    st.binary(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.tuples(FINITE),
)


class Pair(NamedTuple):
    """A tuple by another name."""

    a: object
    b: object


def expected(literals: Literals, rows: Sequence[Sequence[object]]) -> bytes:
    return b",".join(
        f"({', '.join(literals.literal(value) for value in row)} )".encode() for row in rows
    )


def pieces(count: int) -> tuple[bytes, ...]:
    return (b"(", *[b", "] * (count - 1), b" )")


@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(ROW_VALUES, min_size=n, max_size=n))),
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
        *(2**63 - 1, 2**63, -(2**63), -(2**63) - 1, -1, 10**81 - 1, True, Answer.YES),
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
def test_edges_in_rows(value: object) -> None:
    literals = Literals()
    rows = [Pair(value, [value])]
    assert literals.rows(pieces(2), rows, 0, ROOM) == (
        (expected(literals, rows), 1) if IN_C else (b"", 0)
    )


def test_decimals_in_rows_know_no_context() -> None:
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


def test_rows_with_custom_encoders_are_the_callers() -> None:
    literals = Literals({str: lambda value, mapping: "'*'"})
    assert literals.rows(pieces(1), [("a",)], 0, ROOM) == (b"", 0)


@pytest.mark.skipif(not IN_C, reason="the Python implementation leaves every row to the caller")
def test_errors_in_rows() -> None:
    literals = Literals()
    for value, error in (
        (float("nan"), ProgrammingError),
        (Decimal("Infinity"), ProgrammingError),
        (10**81, DataError),
        ({"a": 1}, TypeError),
    ):
        with pytest.raises(error):
            literals.rows(pieces(1), [("fine",), (value,)], 1, ROOM)
        # Behind rows that were written the caller meets it when it writes the next one.
        rows = [("fine",), ("fine",), (value,)]
        assert literals.rows(pieces(1), rows, 0, ROOM) == (b"('fine' ),('fine' )", 2)
    with pytest.raises(TypeError, match="pieces must be a tuple of bytes"):
        literals.rows(("(",), [()], 0, ROOM)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="start must not be negative"):
        literals.rows(pieces(1), [], -1, ROOM)
    with pytest.raises(TypeError, match="the last one bytes"):
        literals.rows(pieces(1), [], 0, ROOM, ",")  # type: ignore[arg-type]


@pytest.mark.skipif(not IN_C, reason="the Python implementation leaves every row to the caller")
def test_interruptions_behind_rows() -> None:
    """Only errors are left for later: who presses Ctrl-C does not do so again."""

    class Interrupting:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Literals().rows(pieces(1), [("fine",), (Interrupting(),)], 0, ROOM)


@pytest.mark.parametrize("separator", [b"", b";", b"\n;SHOW WARNINGS\n;\n"])
@pytest.mark.parametrize("room", [*range(60), ROOM])
def test_separators(separator: bytes, room: int) -> None:
    """They stand between rows, and count for the room."""
    rows = [(n, "a" * n) for n in range(4)]
    written, end = Literals().rows(pieces(2), rows, 0, room, separator)
    whole = [expected(Literals(), [row]) for row in rows]
    assert written == separator.join(whole[:end])
    assert len(written) <= room
    if IN_C and end < 4:
        assert len(separator.join(whole[: end + 1])) > room


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
