"""`Connection.load_rows`: in the table is what an INSERT would have put there, or nothing."""

from __future__ import annotations

import asyncio
import datetime
import enum
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from pymysql.constants import CLIENT

from aiomysql_core import (
    DEFAULT,
    Connection,
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connect,
)
from aiomysql_core.load_rows import RowLoad
from tests.servers import Server

TEXTS = ["", "a", "\\", "\\N", "N", "\t", "\n", "\r\n", "\0", "ü\U0001f600", "'\"`;%s", "\x1a"]


class Color(enum.IntEnum):
    RED = 3


@pytest.fixture(params=["file", "insert"])
def way(request: pytest.FixtureRequest) -> str:
    """Whether LOAD DATA LOCAL is allowed."""
    return str(request.param)


@pytest.fixture
async def loading(
    server: Server, connect_args: dict[str, Any], way: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connection]:
    monkeypatch.setattr(RowLoad, "_is_told", False)
    server.execute("SET GLOBAL local_infile = 1")
    options = {"local_infile": way == "file", "autocommit": True}
    async with connect(**connect_args | options) as connection:
        yield connection


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v VARCHAR(20), b VARBINARY(20),"
        " d DECIMAL(8,3), f DOUBLE, t DATETIME(6), n INT NOT NULL DEFAULT 7)"
        " ENGINE=InnoDB CHARACTER SET utf8mb4"
    )
    return table_name


async def contents(connection: Connection, table: str, what: str = "*") -> Sequence[Any]:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT {what} FROM {table} ORDER BY 1")
        return await cursor.fetchall()


def mixed(count: int) -> list[tuple[Any, ...]]:
    return [
        (
            number,
            TEXTS[number % len(TEXTS)] if number % 5 else None,
            bytes([number % 256, 0, 92, 255, 9, 10]) if number % 3 else None,
            Decimal(number) / 8 if number % 4 else number,
            number / 7,
            datetime.datetime(2024, 1, 2, 3, 4, number % 60, number),
            number,
        )
        for number in range(count)
    ]


async def test_values_are_those_of_an_insert(loading: Connection, table: str) -> None:
    rows = mixed(300)
    assert await loading.load_rows(table, rows) == 300
    loaded = await contents(loading, table)
    await loading.query(f"DELETE FROM {table}")
    async with loading.cursor() as cursor:
        marks = ", ".join(["%s"] * 7)
        await cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    assert loaded == await contents(loading, table)
    assert loading.get_autocommit()
    assert not loading.get_transaction_status()


async def test_all_types(loading: Connection, table_name: str) -> None:
    """Columns of each kind, with the values that come back from them, and with text."""
    await loading.query(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY, a BIT(10), b TINYINT(1),"
        " c BIGINT UNSIGNED, d FLOAT, e DATE, f TIME(3), g YEAR, h ENUM('x', 'y'),"
        " i SET('p', 'q'), j JSON, k BLOB,"
        " l TEXT CHARACTER SET latin1, m BINARY(3), n POINT, o TIMESTAMP NULL)"
    )
    values: list[Any] = [
        *(1, b"\x02\x01", True, 2**64 - 1, 0.5, datetime.date(2024, 2, 29)),
        *(datetime.timedelta(hours=-30, milliseconds=5), 2024, "y", "p,q", '{"a": ["\\\\t", 1]}'),
        *(bytes(range(256)), "é", b"a\0b"),
        bytes.fromhex("000000000101000000000000000000f03f0000000000000040"),
        datetime.datetime(2024, 1, 1, 12),
    ]
    others = [2, 513, "0", "7", "1e2", "2024-01-01", "01:02:03", "1999", "x", "", "null", "text"]
    others += ["x", "abc", None, None]
    assert await loading.load_rows(table_name, [values, others]) == 2
    loaded = await contents(loading, table_name)
    await loading.query(f"DELETE FROM {table_name}")
    async with loading.cursor() as cursor:
        marks = ", ".join(["%s"] * len(values))
        await cursor.execute(f"INSERT INTO {table_name} VALUES ({marks})", values)
        await cursor.execute(f"INSERT INTO {table_name} VALUES ({marks})", others)
    expected = await contents(loading, table_name)
    assert loaded == expected


async def test_odd_values(loading: Connection, table: str) -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "not this"

    some = uuid.UUID(int=1 << 124).hex[:20]
    rows = [
        (1, Text("t\tx"), bytearray(b"\\"), True, Color.RED),
        [2, memoryview(b"v"), memoryview(b"\n"), Color.RED, 2.5],
        (3, 5, "text", "1.25", Decimal("1E+2")),
        (4, some, None, None, "0.1"),
    ]
    await loading.load_rows(table, rows, ["id", "v", "b", "d", "f"])
    assert list(await contents(loading, table, "id, v, b, d, f")) == [
        (1, "t\tx", b"\\", Decimal("1.000"), 3.0),
        (2, "v", b"\n", Decimal("3.000"), 2.5),
        (3, "5", b"text", Decimal("1.250"), 100.0),
        (4, some, None, None, 0.1),
    ]


async def test_dicts_and_other_orders(loading: Connection, table: str) -> None:
    rows = [{"v": "a", "id": 1}, {"id": 2, "v": None}]
    assert await loading.load_rows(table, rows) == 2
    assert await loading.load_rows(table, [("b", 3)], ["v", "id"]) == 1
    assert await loading.load_rows(table, [{"v": "c", "id": 4}], ["id", "v"]) == 1
    assert list(await contents(loading, table, "id, v, n")) == [
        *((1, "a", 7), (2, None, 7), (3, "b", 7), (4, "c", 7))
    ]
    for wrong in ({"id": 5}, {"id": 5, "v": 1, "x": 1}):
        with pytest.raises(ValueError, match="columns of the others: "):
            await loading.load_rows(table, [*rows, wrong])
    assert len(await contents(loading, table)) == 4


async def test_names_are_quoted(loading: Connection, server: Server) -> None:
    name = "odd`name.of %s a -- table"
    quoted = f"`{name.replace('`', '``')}`"
    await loading.query(f"CREATE TABLE {quoted} (`a``b%` INT PRIMARY KEY, `select` BLOB)")
    try:
        for number, given in enumerate((name, (server.database, name))):
            rows = [{"a`b%": number, "select": b"\t"}]
            assert await loading.load_rows(given, rows, on_duplicate="ignore") == 1
        assert len(await contents(loading, quoted)) == 2
    finally:
        await loading.query(f"DROP TABLE {quoted}")
    for bad, error in (("", ValueError), ("a\0", ValueError), (b"t", TypeError), (5, TypeError)):
        with pytest.raises(error):
            await loading.load_rows(bad, [(1,)])  # type: ignore[arg-type]
    with pytest.raises(ProgrammingError):
        await loading.load_rows("no such table", [(1,)])


@pytest.mark.parametrize(
    ("row", "error", "number"),
    [
        ((1, "x" * 30), DataError, 1406),
        ((0, "twice"), IntegrityError, 1062),
        (("no number", "x"), (DataError, OperationalError), 1366),
        ((None, "x"), (IntegrityError, DataError, OperationalError), 1048),
        ((2**40, "x"), DataError, 1264),
    ],
)
@pytest.mark.parametrize("mode", ["autocommit", "transaction", "not strict"])
async def test_nothing_is_dropped_or_changed(
    loading: Connection, table: str, row: Any, error: Any, number: int, mode: str
) -> None:
    """It is an error, and nothing was loaded; an open transaction goes on."""
    if mode == "not strict":
        await loading.query("SET sql_mode = ''")
    if mode == "transaction":
        await loading.begin()
        await loading.load_rows(table, [(100, "before")], ["id", "v"])
    rows = [*((n, "v") for n in range(50)), row]
    with pytest.raises(error) as caught:
        await loading.load_rows(table, rows, ["id", "v"])
    assert caught.value.args[0] in (number, 1263, 1265, 1264, 1366)
    if mode == "transaction":
        assert loading.get_transaction_status()
        await loading.commit()
    assert len(await contents(loading, table)) == (mode == "transaction")
    assert await loading.load_rows(table, rows[:50], ["id", "v"]) == 50


async def test_duplicates(loading: Connection, table: str) -> None:
    await loading.load_rows(table, [(n, "old") for n in range(3)], ["id", "v"])
    rows = [(n, "new") for n in range(200)]
    assert await loading.load_rows(table, rows, ["id", "v"], on_duplicate="ignore") == 197
    assert [row[1] for row in await contents(loading, table)][:4] == ["old"] * 3 + ["new"]
    rows = [(n, "newer") for n in range(100)]
    assert await loading.load_rows(table, rows, ["id", "v"], on_duplicate="replace") == 100
    assert [row[1] for row in await contents(loading, table)].count("newer") == 100
    for how in ("ignore", "replace"):
        with pytest.raises(DataError):
            await loading.load_rows(table, [*rows, (500, "x" * 30)], ["id", "v"], on_duplicate=how)
    assert len(await contents(loading, table)) == 200
    with pytest.raises(ValueError, match="error, ignore, replace"):
        await loading.load_rows(table, rows, on_duplicate="update")
    with pytest.raises(TypeError, match="columns"):
        await loading.load_rows(table, rows, "id")


async def test_rows_that_can_not_be_written(loading: Connection, table: str) -> None:
    """Nothing is loaded, the connection is kept, and the error says which row it was."""
    bad: list[tuple[Any, type[Exception]]] = [
        ((1, {}), TypeError),
        ((1, float("nan")), ProgrammingError),
        ((1, "\ud800"), DataError),
        ((1,), (ValueError, TypeError)),  # type: ignore[list-item]
        (5, TypeError),
    ]
    for row, error in bad:
        rows = [*((n, "v") for n in range(300)), row]
        with pytest.raises(error) as caught:
            await loading.load_rows(table, rows, ["id", "v"])
        assert caught.value.row_index <= 300  # type: ignore[attr-defined]
        assert not loading.closed
        assert await contents(loading, table) == ()

    def failing() -> Iterator[Any]:
        yield from ((n, "v") for n in range(300))
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await loading.load_rows(table, failing(), ["id", "v"])
    assert await contents(loading, table) == ()
    assert not loading.get_transaction_status()
    assert await loading.load_rows(table, []) == 0
    assert await loading.load_rows(table, iter(())) == 0


async def test_default_is_no_value_of_a_file(
    connect_args: dict[str, Any], server: Server, table: str
) -> None:
    server.execute("SET GLOBAL local_infile = 1")
    async with connect(**connect_args, local_infile=True) as connection:
        with pytest.raises(TypeError, match="Default"):
            await connection.load_rows(table, [(1, DEFAULT)], ["id", "v"])


@pytest.mark.parametrize("kind", ["generator", "asynchronous"])
async def test_rows_come_bit_by_bit(loading: Connection, table: str, kind: str) -> None:
    """Bounded memory, others have their turns, and progress is told of."""
    told: list[int] = []
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def generator() -> Iterator[tuple[int, str]]:
        for number in range(30_000):
            yield number, "value"

    async def asynchronous() -> AsyncIterator[tuple[int, str]]:
        for row in generator():
            yield row

    other = asyncio.ensure_future(count_turns())
    rows = generator() if kind == "generator" else asynchronous()
    count = await loading.load_rows(table, rows, ["id", "v"], progress=told.append)
    other.cancel()
    assert count == 30_000
    assert told == sorted(told)
    assert told[-1] == 30_000
    assert len(told) > 4
    assert turns > 5


async def test_time_outs_come_in_time(
    connect_args: dict[str, Any], server: Server, table: str
) -> None:
    """An endless iterable does not keep the loop."""
    server.execute("SET GLOBAL local_infile = 1")

    def endless() -> Iterator[tuple[int, str]]:
        number = 0
        while True:
            number += 1
            yield number, "v"

    async with connect(**connect_args, local_infile=True) as connection:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.load_rows(table, endless(), ["id", "v"]), 0.2)
        assert time.monotonic() - begun < 5
        assert connection.closed
    async with connect(**connect_args) as connection:
        assert await contents(connection, table) == ()


async def test_a_server_that_forbids_it(
    connect_args: dict[str, Any],
    server: Server,
    table: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows go as INSERTs, which the log is told of once."""
    monkeypatch.setattr(RowLoad, "_is_told", False)
    server.execute("SET GLOBAL local_infile = 0")
    try:
        async with connect(**connect_args, local_infile=True) as connection:
            with caplog.at_level(logging.INFO, "aiomysql"):
                for start in (0, 100):
                    rows = iter([(n, "v") for n in range(start, start + 100)])
                    assert await connection.load_rows(table, rows, ["id", "v"]) == 100
            assert sum("sends INSERTs" in record.message for record in caplog.records) == 1
            assert len(await contents(connection, table)) == 200
    finally:
        server.execute("SET GLOBAL local_infile = 1")


async def test_the_file_is_not_another_ones(
    connect_args: dict[str, Any], server: Server, table: str
) -> None:
    """The rows are given once: nothing asks for a file of that name later."""
    server.execute("SET GLOBAL local_infile = 1")
    async with connect(**connect_args, local_infile=True) as connection:
        assert await connection.load_rows(table, [(1, "a")], ["id", "v"]) == 1
        capabilities = connection.runner.stream().session.capabilities
        assert capabilities & CLIENT.LOCAL_FILES
        await connection.set_charset("latin1")
        await connection.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'")
        assert await connection.load_rows(table, [(2, "ü\\\t")], ["id", "v"]) == 1
        assert (await contents(connection, table))[1][1] == "ü\\\t"
