"""Parameters of unusual types: as text and prepared they give the same values and errors."""

from __future__ import annotations

import contextlib
import datetime
import enum
import fractions
import gc
import numbers
import socket
import time
import types
import uuid
import weakref
from collections import OrderedDict, UserString
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    DataError,
    InterfaceError,
    ProgrammingError,
    connect,
)
from tests.core.statements import rows, sizes


class Text(str):
    """A string with a str() of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class Number(int):
    def __repr__(self) -> str:
        return "not this"

    __str__ = __repr__


class Real(float):
    def __repr__(self) -> str:
        return "not this"

    __str__ = __repr__


class Exact(Decimal):
    pass


class Octets(bytes):
    pass


class Pair(tuple[int, int]):
    __slots__ = ()


class Place(NamedTuple):
    x: str
    y: str


class Day(datetime.date):
    def __str__(self) -> str:
        return "not this"


class Moment(datetime.datetime):
    pass


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


class Flags(enum.IntFlag):
    BOTH = 3


class NumpyInteger:
    """As numpy's integers are: no int, but an index."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class NumpyReal:
    """As numpy's float32 is: registered as a real number."""

    def __float__(self) -> float:
        return 1.5


numbers.Real.register(NumpyReal)


class Named:
    def __str__(self) -> str:
        return "it's \\ named"


UNUSUAL: list[tuple[str, Any, Any]] = [
    ("None", None, None),
    ("True", True, 1),
    ("False", False, 0),
    ("str subclass", Text("it's"), "it's"),
    ("int subclass", Number(5), 5),
    ("float subclass", Real(1.5), 1.5),
    ("Decimal subclass", Exact("1.50"), Decimal("1.50")),
    ("bytes subclass", Octets(b"\0'\xff"), b"\0'\xff"),
    ("date subclass", Day(2024, 2, 29), "2024-02-29"),
    ("datetime subclass", Moment(2024, 2, 29, 1, 2, 3, 45), "2024-02-29 01:02:03.000045"),
    ("empty str", "", ""),
    ("every escape", "\0\n\r\x1a\"'\\%s%%", "\0\n\r\x1a\"'\\%s%%"),
    ("astral", "𝄞ü", "𝄞ü"),
    ("UserString", UserString("it's"), "it's"),
    ("Decimal", Decimal("-0.10"), Decimal("-0.10")),
    ("Decimal exponent", Decimal("1.25E+1"), Decimal("12.5")),
    ("Decimal beyond DECIMAL", Decimal("1E+200"), 1e200),
    ("datetime", datetime.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02 03:04:05"),
    ("date", datetime.date(1, 1, 1), "0001-01-01"),
    ("time", datetime.time(23, 59, 59, 999999), "23:59:59.999999"),
    ("timedelta", datetime.timedelta(days=-1, microseconds=1), "-23:59:59.999999"),
    ("struct_time", time.struct_time((2024, 1, 2, 3, 4, 5, 0, 0, 0)), "2024-01-02 03:04:05"),
    ("bytes", b"", b""),
    ("bytearray", bytearray(b"\0'\\"), b"\0'\\"),
    ("memoryview", memoryview(b"abcdef")[::2], b"ace"),
    ("IntEnum", Level.HIGH, 3),
    ("StrEnum", Word.YES, "yes"),
    ("IntFlag", Flags.BOTH, 3),
    ("numpy integer", NumpyInteger(-7), -7),
    ("numpy real", NumpyReal(), 1.5),
    ("Fraction", fractions.Fraction(1, 2), 0.5),
    ("UUID", uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ("other", Named(), "it's \\ named"),
    ("largest 64 bit", (1 << 64) - 1, (1 << 64) - 1),
    ("smallest 64 bit", -(1 << 63), -(1 << 63)),
    ("beyond 64 bit", 1 << 64, Decimal(1 << 64)),
    ("below 64 bit", -(1 << 63) - 1, Decimal(-(1 << 63) - 1)),
    ("60 digits", 10**60 + 1, Decimal(10**60 + 1)),
    ("negative zero", -0.0, 0.0),
    ("tiny", 5e-324, 5e-324),
    ("large", 1.7976931348623157e308, 1.7976931348623157e308),
]


@sizes
@pytest.mark.parametrize(
    ("value", "expected"), [row[1:] for row in UNUSUAL], ids=[row[0] for row in UNUSUAL]
)
async def test_values(connect_args: dict[str, Any], size: int, value: Any, expected: Any) -> None:
    """Twice: the second time it was prepared already, if it is."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        args: Any
        for args in ((value, "x"), (value, "x"), [value, "x"]):
            ((found, after),) = await rows(cursor, "SELECT %s, %s", args)
            assert (found, after) == (expected, "x")
            assert type(found) is type(expected)


@sizes
async def test_arguments_of_every_kind(connect_args: dict[str, Any], size: int) -> None:
    cases: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("SELECT 1, '%s'", None, (1, "%s")),
        ("SELECT 1, '%%'", (), (1, "%")),
        ("SELECT 1, '%%'", [], (1, "%")),
        ("SELECT 1, '%%'", {}, (1, "%")),
        ("SELECT %s, %s", ("a", "b"), ("a", "b")),
        ("SELECT %s, %s", ["a", "b"], ("a", "b")),
        ("SELECT %s, %s", Place("a", "b"), ("a", "b")),
        ("SELECT %s", "a", ("a",)),
        ("SELECT %s", 5, (5,)),
        ("SELECT %s", UserString("a"), ("a",)),
        ("SELECT %(b)s, %(a)s", {"a": "1", "b": "2"}, ("2", "1")),
        ("SELECT %(a)s", OrderedDict(a="1"), ("1",)),
        ("SELECT %(a)s", types.MappingProxyType({"a": "1"}), ("1",)),
        ("SELECT 5 IN %s", ((4, 5),), (1,)),
        ("SELECT 5 IN %s", ([4, 6],), (0,)),
        ("SELECT 5 IN %s", (range(4, 6),), (1,)),
        ("SELECT 5 IN %s", (frozenset([5]),), (1,)),
        ("SELECT 5 IN %s", (Pair((4, 5)),), (1,)),
    ]
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for query, args, expected in cases:
            for _ in range(2):
                assert await rows(cursor, query, args) == [expected], (query, args)


async def test_statements_of_every_kind(connection: Connection) -> None:
    cursor = await connection.cursor()
    kinds: list[tuple[Any, Any]] = [
        ("SELECT %s", "SELECT 1"),
        (Text("SELECT %s"), Text("SELECT 1")),
        (b"SELECT %s", b"SELECT 1"),
        (bytearray(b"SELECT %s"), bytearray(b"SELECT 1")),
    ]
    for query, plain in kinds:
        assert await rows(cursor, query, ("a",)) == [("a",)]
        assert await rows(cursor, plain) == [(1,)]
    for wrong in (None, 5, memoryview(b"SELECT 1"), ["SELECT 1"]):
        with pytest.raises(TypeError):
            await cursor.execute(wrong)  # type: ignore[arg-type]
    assert await rows(cursor, "SELECT 1") == [(1,)]


def generator() -> Iterator[int]:
    yield 1


async def coroutine() -> int:
    return 1


class Failure(Exception):
    """Of a value's conversion."""


class Interruption(BaseException):
    """The same, of the kind that is not to be caught."""


class Failing:
    """A value that can't be converted."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error("no text")


class FailingIndex(Failing):
    def __index__(self) -> int:
        raise self.error("no number")


REFUSED: list[tuple[str, Callable[[], Any], type[BaseException], str]] = [
    ("nan", lambda: float("nan"), ProgrammingError, "nan"),
    ("inf", lambda: float("-inf"), ProgrammingError, "-inf"),
    ("nan subclass", lambda: Real("nan"), ProgrammingError, "can not be used"),
    ("Decimal nan", lambda: Decimal("NaN"), ProgrammingError, "NaN"),
    ("Decimal inf", lambda: Decimal("-Infinity"), ProgrammingError, "-Infinity"),
    ("signalling nan", lambda: Decimal("sNaN"), ProgrammingError, "sNaN"),
    ("82 digits", lambda: 10**81, DataError, "int of more than 81 digits"),
    ("negative 82 digits", lambda: -(10**81), DataError, "int of more than 81 digits"),
    ("5000 digits", lambda: 1 << 20_000, DataError, "81 digits"),
    ("surrogate", lambda: "a\ud800b", DataError, "character set"),
    ("surrogate in a subclass", lambda: Text("\udfff"), DataError, "character set"),
    ("dict", lambda: {"a": 1}, TypeError, "dict can not be used as parameter"),
    ("empty dict", dict, TypeError, "dict can not be used"),
    ("OrderedDict", OrderedDict, TypeError, "OrderedDict can not be used"),
    ("generator", generator, TypeError, "generator can not be used"),
    ("dict view", lambda: {}.keys(), TypeError, "can not be used"),
    ("error in __str__", lambda: Failing(Failure), Failure, "no text"),
    ("error in __index__", lambda: FailingIndex(Failure), Failure, "no number"),
    ("interruption", lambda: Failing(Interruption), Interruption, "no text"),
    ("interrupted index", lambda: FailingIndex(Interruption), Interruption, "no number"),
    ("MemoryError", lambda: Failing(MemoryError), MemoryError, "no text"),
]


async def statements(cursor: Cursor) -> int:
    """How many statements the session has sent."""
    ((_, number),) = await rows(cursor, "SHOW SESSION STATUS LIKE 'Questions'")
    return int(number)


@sizes
@pytest.mark.parametrize(
    ("make", "error", "match"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_refused_values(
    connect_args: dict[str, Any],
    size: int,
    make: Callable[[], Any],
    error: type[BaseException],
    match: str,
) -> None:
    """The error is as it is; nothing is sent, and nothing is held."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        query = "SELECT %s, %s"
        assert await rows(cursor, query, ("a", "b")) == [("a", "b")]
        sent = await statements(cursor)
        args: Any
        for args in (("a", make()), [make(), "a"], ((make(), "a"), "b")):
            with pytest.raises(error, match=match):
                await cursor.execute(query, args)
            assert not connection.runner.busy
        with pytest.raises(error, match=match):
            await cursor.execute("SELECT %(a)s", {"a": make()})
        with pytest.raises(error, match=match):
            await cursor.executemany("INSERT t VALUES (%s)", [(1,), (make(),)])
        assert await statements(cursor) == sent + 1
        assert await rows(cursor, query, ("a", "b")) == [("a", "b")]


@sizes
async def test_awaitables_are_refused(connect_args: dict[str, Any], size: int) -> None:
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        work = coroutine()
        with pytest.raises(TypeError, match="coroutine can not be used"):
            await cursor.execute("SELECT %s", (work,))
        assert await work == 1
        assert await rows(cursor, "SELECT %s", ("a",)) == [("a",)]


@sizes
@pytest.mark.parametrize(
    ("query", "args", "error"),
    [
        ("SELECT %s", (), TypeError),
        ("SELECT %s", (1, 2), TypeError),
        ("SELECT %s, %s", (1,), TypeError),
        ("SELECT 5", (1,), TypeError),
        ("SELECT 5", "x", TypeError),
        ("SELECT %s", {"a": 1}, TypeError),
        ("SELECT 'a' LIKE 'a%', %s", (1,), ValueError),
        ("SELECT %(a)s", (1,), TypeError),
        ("SELECT %(a)s", {"b": 1}, KeyError),
        ("SELECT %d", (1,), TypeError),
        ("SELECT %", (1,), ValueError),
        ("SELECT 5 %", (), ValueError),
        ("SELECT '%y'", (), TypeError),
        ("SELECT '%y'", (1,), ValueError),
        ("SELECT '\ud800'", (), DataError),
        ("SELECT '\ud800'", None, DataError),
        ("SELECT %s, '\ud800'", (1,), DataError),
    ],
)
async def test_marks_that_do_not_match(
    connect_args: dict[str, Any],
    size: int,
    query: str,
    args: Any,
    error: type[Exception],
) -> None:
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        sent = await statements(cursor)
        for _ in range(2):
            with pytest.raises(error):
                await cursor.execute(query, args)
        assert await statements(cursor) == sent + 1
        assert await rows(cursor, "SELECT %s", ("a",)) == [("a",)]


class Point:
    """A type with an encoder of the user's."""


class Odd(Exception):
    """What that encoder raises."""


def encoder(value: Point, mapping: Any) -> str:
    if hasattr(value, "bad"):
        raise Odd("bad point")
    return "CONCAT('a', 'b')"


@sizes
async def test_encoders_of_the_user(connect_args: dict[str, Any], size: int) -> None:
    """They are asked for exactly their type, also when that is one of the commonest."""
    conv: dict[Any, Any] = {Point: encoder, str: lambda value, mapping: "'mine'"}
    options = {**connect_args, "conv": conv, "stmt_cache_size": size}
    async with connect(**options) as connection:
        cursor = await connection.cursor()
        for _ in range(2):
            (row,) = await rows(cursor, "SELECT %s, %s", (Point(), "yours"))
            assert row == ("ab", "mine")
            ((found,),) = await rows(cursor, "SELECT %s", (Text("yours"),))
            assert found == "yours"
        bad: Any = Point()
        bad.bad = True
        with pytest.raises(Odd, match="bad point"):
            await cursor.execute("SELECT %s, %s", (bad, 1))
        assert await rows(cursor, "SELECT 'x'") == [("x",)]


@sizes
async def test_values_are_released(connect_args: dict[str, Any], size: int) -> None:
    """After the statement, and after an error, nothing holds its arguments."""

    class Held:
        def __str__(self) -> str:
            return "held"

    async def run(cursor: Cursor, *others: Any) -> weakref.ref[Held]:
        held = Held()
        with contextlib.suppress(ProgrammingError, Failure):
            await cursor.execute("SELECT %s" + ", %s" * len(others), (held, *others))
        return weakref.ref(held)

    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        gc.collect()
        gc.disable()
        try:
            for others in ((), ("a",), (float("nan"),), (Failing(Failure),)):
                gone = await run(cursor, *others)
                assert gone() is None, others
        finally:
            gc.enable()


class Meddling:
    """A value whose conversion does something with the connection."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self.meddle = meddle

    def __str__(self) -> str:
        self.meddle()
        return "meddled"


@sizes
@pytest.mark.parametrize("goodbye", [True, False])
async def test_closed_while_values_are_converted(
    connect_args: dict[str, Any], size: int, goodbye: bool
) -> None:
    """Nothing is sent, least of all to whatever has the socket's number by then."""
    connection = await connect(**connect_args, stmt_cache_size=size)
    cursor = await connection.cursor()
    descriptor = connection.runner.stream().extra_info("socket").fileno()
    others: list[socket.socket] = []

    def close() -> None:
        if goodbye:
            connection.close()
        else:
            connection.runner.abort()
        others.extend(socket.socketpair())

    try:
        with pytest.raises(InterfaceError):
            await cursor.execute("SELECT %s", (Meddling(close),))
        assert descriptor in [other.fileno() for other in others]
        for other in others:
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.recv(100)
    finally:
        for other in others:
            other.close()
    assert connection.closed
    assert not connection.runner.busy


@sizes
async def test_used_while_values_are_converted(connect_args: dict[str, Any], size: int) -> None:
    """Another statement is begun meanwhile: one of the two is refused, the other gets its own."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor, other = await connection.cursor(), await connection.cursor()
        begun: list[Any] = []

        def begin() -> None:
            if not begun:
                begun.append(other.execute("SELECT 'other'"))
                begun[0].send(None)

        with pytest.raises(InterfaceError, match="another task"):
            await cursor.execute("SELECT %s", (Meddling(begin),))
        begun[0].close()
        assert connection.closed
        await connection.ping()
        assert await rows(cursor, "SELECT 'x'") == [("x",)]
