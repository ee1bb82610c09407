"""`executemany` does what a loop of `execute` does, in fewer round trips."""

from __future__ import annotations

import asyncio
import copy
import datetime
import pickle
import random
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pymysql.constants import CLIENT

from aiomysql_core import (
    DEFAULT,
    Connection,
    Cursor,
    DataError,
    DictCursor,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SSCursor,
    Warning,  # noqa: A004
    connect,
)
from aiomysql_protocol.wire.capabilities import STMT_BULK_OPERATIONS
from tests import scripted
from tests.servers import Server

# What they write is not to stay.
pytestmark = pytest.mark.filterwarnings("ignore::aiomysql_core.UncommittedWarning")

#: More than are sent one by one.
MANY = 40


@pytest.fixture
async def connection(
    connect_args: dict[str, Any], server: Server, table_name: str
) -> AsyncIterator[Connection]:
    server.execute(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v VARCHAR(20), n INT NOT NULL DEFAULT 7,"
        " u INT UNIQUE) ENGINE=InnoDB CHARACTER SET utf8mb4"
    )
    options = {"init_command": "SET sql_mode = 'STRICT_TRANS_TABLES'"}
    async with connect(**connect_args | options) as connection:
        yield connection


@pytest.fixture
def table(connection: Connection, table_name: str) -> str:
    return table_name


async def fill(connection: Connection, table: str, count: int = MANY) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"DELETE FROM {table}")
        rows = [(number, f"v{number}", number, number) for number in range(count)]
        await cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", rows)
    await connection.commit()


async def contents(connection: Connection, table: str) -> Sequence[Any]:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT * FROM {table} ORDER BY id")
        return await cursor.fetchall()


def count_requests(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The exchanges that cursors and `executemany` begin from now on."""
    begun: list[Any] = []
    begin = connection.runner.begin

    def counting(exchange: Any) -> Any:
        begun.append(exchange)
        return begin(exchange)

    monkeypatch.setattr(connection.runner, "begin", counting)
    return begun


def reason(error: Exception) -> object:
    """What is the same however many statements there are in a text."""
    first = error.args[0]
    return error.args if len(error.args) > 1 and first != 1064 else str(first)[:60]


async def in_a_loop(cursor: Cursor, query: str, rows: Sequence[Any]) -> tuple[int, Any]:
    """Rows changed, and the error with the number of its row."""
    changed = 0
    for index, row in enumerate(rows):
        try:
            changed += await cursor.execute(query, row)
        except Exception as error:
            return changed, (type(error), reason(error), index)
    return changed, None


async def at_once(cursor: Cursor, query: str, rows: Any) -> tuple[int, Any]:
    try:
        return await cursor.executemany(query, rows) or 0, None
    except Exception as error:
        return 0, (type(error), reason(error), error.row_index)  # type: ignore[attr-defined]


UPDATE = "UPDATE {} SET v = %s WHERE id = %s"
#: Statement, rows, whether there are marks with names.
CASES: dict[str, tuple[str, list[Any]]] = {
    "update": (UPDATE, [(f"w{n}", n) for n in range(MANY)]),
    "update nothing": (UPDATE, [(f"w{n}", -n - 1) for n in range(MANY)]),
    "too long in the middle": (UPDATE, [("x" * (n if n == 30 else 3), n) for n in range(MANY)]),
    "too long at first": (UPDATE, [("x" * (30 if n == 0 else 3), n) for n in range(MANY)]),
    "too long in the last": (UPDATE, [("x" * (30 if n == 39 else 3), n) for n in range(MANY)]),
    "duplicate": (
        "UPDATE {} SET u = %s WHERE id = %s",
        [(100 + n - (n == 25), n) for n in range(MANY)],
    ),
    "delete": ("DELETE FROM {} WHERE id = %s;", [(n * 2,) for n in range(MANY)]),
    "single values": ("DELETE FROM {} WHERE id = %s", list(range(MANY))),
    "names": (
        "UPDATE {} SET v = %(v)s, n = %(n)s + %(n)s WHERE id = %(id)s",
        [{"v": f"'{n}\\", "n": n, "id": n} for n in range(MANY)],
    ),
    "lists": (UPDATE, [[f"w{n}", n] for n in range(MANY)]),
    "types change": (UPDATE, [(n if n % 3 else f"w{n}", n) for n in range(MANY)]),
    "nulls": (UPDATE, [(None if n < 20 else "a", n) for n in range(MANY)]),
    "only nulls": (UPDATE, [(None, n) for n in range(MANY)]),
    "no null there": (
        "UPDATE {} SET n = %s WHERE id = %s",
        [(None if n == 33 else n, n) for n in range(MANY)],
    ),
    "insert without VALUES": (
        "INSERT INTO {} SET id = %s, v = %s",
        [(100 + n - (n == 5), "a") for n in range(MANY)],
    ),
    "insert with a function": (
        "INSERT INTO {} (id, v) VALUES (%s, UPPER(%s))",
        [(100 + n, "a%") for n in range(MANY)],
    ),
    "percent signs": ("UPDATE {} SET v = '%%s', n = 7 %% %s WHERE id = %s", [(3, 1), (4, 2)] * 20),
    "a comment": ("/* %% */ UPDATE {} SET v = %s WHERE id = %s -- ;", [("a", n) for n in (1, 2)]),
    "bytes": (UPDATE, [(b"\x00'\\\xc3\xbc", n) for n in range(MANY)]),
    "characters": (UPDATE, [("ü'\\\"\0\n\r\x1a%s?\U0001f600", n) for n in range(MANY)]),
    "numbers": (
        "UPDATE {} SET v = %s WHERE id = %s",
        [
            (value, n)
            for n, value in enumerate(
                [
                    *[0, -1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, 1.5, -0.0, 1e300, True],
                    *[Decimal("1.50"), Decimal("-0.001"), Decimal("1E+5"), "", b""],
                    *[datetime.date(2024, 2, 29), datetime.datetime(2024, 1, 2, 3, 4, 5)],
                    datetime.timedelta(1, 2),
                ]
            )
        ],
    ),
    "too few values": (UPDATE, [("a", n) if n != 35 else ("a",) for n in range(MANY)]),
    "too many values": (UPDATE, [("a", n) if n != 35 else ("a", 1, 2) for n in range(MANY)]),
    "not a value": (UPDATE, [("a", n) if n != 35 else ({}, n) for n in range(MANY)]),
    "not a number": (UPDATE, [(1.0, n) if n != 35 else (float("nan"), n) for n in range(MANY)]),
    "no text": (UPDATE, [("a", n) if n != 35 else ("\ud800", n) for n in range(MANY)]),
    "a list": ("DELETE FROM {} WHERE id IN %s", [((n, n + 1),) for n in range(MANY)]),
    "one without arguments": (
        "UPDATE {} SET n = %s",
        [(n,) if n != 35 else None for n in range(MANY)],
    ),
    "a dict": (UPDATE, [("a", n) if n != 35 else {"v": "a"} for n in range(MANY)]),
    "no marks": ("UPDATE {} SET n = n + 1", [()] * MANY),
    "no arguments": ("UPDATE {} SET n = n + 1", [None] * MANY),
    "defaults": (
        "UPDATE {} SET n = %s, v = %s WHERE id = %s",
        [(DEFAULT if n % 2 else n, DEFAULT, n) for n in range(MANY)],
    ),
    "a default in a condition": (
        "DELETE FROM {} WHERE id = %s",
        [(DEFAULT if n == 20 else n,) for n in range(MANY)],
    ),
    "a default in an expression": (
        "UPDATE {} SET n = n + %s WHERE id = %s",
        [(DEFAULT if n == 20 else n, n) for n in range(MANY)],
    ),
    "in turn": ("UPDATE {} SET n = n + 1 WHERE id <= %s", [(n,) for n in range(MANY)]),
    "no such column": ("UPDATE {} SET x = %s", [(n,) for n in range(MANY)]),
    "broken": ("UPDATE {} SET SET v = %s", [(n,) for n in range(MANY)]),
    "two statements": (
        "UPDATE {0} SET n = %s WHERE id = 1; UPDATE {0} SET n = %s WHERE id = 2",
        [(n, n) for n in range(3)],
    ),
    "asks before": (
        "UPDATE {} SET n = ROW_COUNT() + %s WHERE id = %s",
        [(10, n) for n in range(MANY)],
    ),
}


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("case", CASES)
async def test_as_a_loop(connection: Connection, table: str, case: str, autocommit: bool) -> None:
    """Contents, rowcount, lastrowid, and the first error with its row."""
    query, rows = CASES[case]
    query = query.format(table)
    found: list[Any] = []
    for run in (in_a_loop, at_once):
        await connection.autocommit(True)
        await fill(connection, table)
        await connection.autocommit(autocommit)
        async with connection.cursor() as cursor:
            changed, error = await run(cursor, query, rows)
            last = cursor.lastrowid
            found.append(error or (changed, last, cursor.description))
        found.append(await contents(connection, table))
        await connection.rollback()
        found.append(await contents(connection, table))
    half = len(found) // 2
    assert found[:half] == found[half:]


@pytest.mark.parametrize("odd", [["a"], 7.5])
async def test_rows_of_their_own_do_not_shift_the_row_of_an_error(
    connect_args: dict[str, Any], connection: Connection, table: str, odd: Any
) -> None:
    """Not even where they are executions of the same prepared statement."""
    await fill(connection, table)
    options = {"stmt_cache_size": 5, "init_command": "SET sql_mode = 'STRICT_ALL_TABLES'"}
    rows = [("x" * (30 if n == 35 else 3), n) for n in range(MANY)]
    rows[20] = (odd, 20)
    async with connect(**connect_args | options) as other, other.cursor() as cursor:
        with pytest.raises(DataError) as caught:
            await cursor.executemany(UPDATE.format(table), rows)
        assert caught.value.row_index == 35  # type: ignore[attr-defined]


async def test_few_round_trips(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(connection, table, 500)
    has_bulk = connection.runner.stream().session.capabilities & STMT_BULK_OPERATIONS
    begun = count_requests(connection, monkeypatch)
    async with connection.cursor() as cursor:
        query = UPDATE.format(table)
        assert await cursor.executemany(query, [(f"w{n}", n) for n in range(500)]) == 500
        # A bulk request, and a question before it; or one text.
        assert len(begun) == (2 if has_bulk else 1)
        begun.clear()
        assert await cursor.executemany(query, [(f"x{n}", n) for n in range(10)]) == 10
        assert len(begun) == 1
        begun.clear()
        single = f"UPDATE {table} SET n = 0 WHERE id = %s"
        assert await cursor.executemany(single, list(range(1, 500))) == 499
        assert len(begun) == (2 if has_bulk else 1)
        begun.clear()
        by_name = f"DELETE FROM {table} WHERE id = %(id)s"
        assert await cursor.executemany(by_name, [{"id": n} for n in range(100)]) == 100
        assert len(begun) == 1


async def test_many_responses_are_read_at_once(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is not woken for each response that the server sends by itself."""
    await fill(connection, table, 2000)
    await connection.autocommit(False)
    next_results, count = connection.runner.next_results, 0

    async def counted(due: int) -> Any:
        nonlocal count
        count += 1
        return await next_results(due)

    monkeypatch.setattr(connection.runner, "next_results", counted)
    query = f"UPDATE {table} SET n = %(n)s WHERE id = %(id)s"
    async with connection.cursor() as cursor:
        rows = [{"n": n + 1, "id": n} for n in range(2000)]
        assert await cursor.executemany(query, rows) == 2000
    assert 1 <= count < 1000


async def test_cancelled_while_the_server_answers(
    connect_args: dict[str, Any], connection: Connection, table: str
) -> None:
    """Whether its responses are just read or left to come, nobody gets what is left of them."""
    await fill(connection, table, 2000)
    query = f"UPDATE {table} SET n = n + %(n)s WHERE id = %(id)s"
    rows = [{"n": 1, "id": n} for n in range(2000)]
    for milliseconds in (1, 3, 5, 7, 11, 13, 17):
        async with connect(**connect_args, on_cancel="kill", kill_timeout=0.5) as other:
            cursor = await other.cursor()
            task = asyncio.ensure_future(cursor.executemany(query, rows))
            await asyncio.sleep(milliseconds / 1000)
            task.cancel()
            await asyncio.wait([task])
            try:
                await cursor.execute("SELECT 'mine'")
            except InterfaceError:  # MariaDB says nothing more when it is killed between two
                assert other.closed
            else:
                assert await cursor.fetchall() == (("mine",),)


async def test_requests_are_as_long_as_the_server_takes(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not longer than a server's `max_allowed_packet`, nor than `max_stmt_length`."""
    await fill(connection, table)
    begun = count_requests(connection, monkeypatch)
    query = f"UPDATE {table} SET n = LENGTH(%s) WHERE id = %s"
    rows = [("x" * 10_000, n) for n in range(MANY)]
    async with connection.cursor() as cursor:
        connection.runner.max_request = 1 << 16
        assert await cursor.executemany(query, rows) == MANY
        assert len([request for request in begun if len(request.request) > 9_000]) == 7
        begun.clear()
        connection.runner.max_request = None
        assert await cursor.executemany(query, rows) == 0
        assert len([request for request in begun if len(request.request) > 9_000]) == 1
        limit: int | None = connection.runner.max_request
        assert limit is not None
        assert limit > 1 << 19
        cursor.max_stmt_length = 1
        begun.clear()
        assert await cursor.executemany(query, rows) == 0
        assert len([request for request in begun if len(request.request) > 9_000]) == MANY


@pytest.mark.parametrize("count", [3, MANY])
async def test_warnings(connection: Connection, table: str, count: int) -> None:
    """Each row's warnings are told, at the caller's line."""
    await fill(connection, table)
    await connection.query("SET sql_mode = ''")
    rows = [("x" * (30 if n in (0, 2) else 3), n) for n in range(count)]
    async with connection.cursor() as cursor:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await cursor.executemany(UPDATE.format(table), rows)
        assert [str(one.message) for one in caught] == [
            "Data truncated for column 'v' at row 1",
        ] * 2
        assert {one.category for one in caught} == {Warning}
        assert {Path(one.filename).name for one in caught} == {Path(__file__).name}
        connection.get_warnings = False
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert await cursor.executemany(UPDATE.format(table), rows) == 0


@pytest.mark.parametrize("kind", ["generator", "asynchronous", "tuple"])
@pytest.mark.parametrize("statement", ["update", "insert"])
async def test_rows_come_bit_by_bit(
    connection: Connection, table: str, kind: str, statement: str
) -> None:
    """Of an iterable only some rows are there at a time."""
    await fill(connection, table)
    alive, most = 0, 0

    class Row(tuple[Any, ...]):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def row(number: int) -> Row:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        return Row((f"w{number}", number))

    def generator() -> Iterator[Row]:
        for number in range(5000):
            yield row(number)

    async def asynchronous() -> AsyncIterator[Row]:
        for number in range(5000):
            if not number % 1000:
                await asyncio.sleep(0)
            yield row(number)

    query = UPDATE.format(table)
    if statement == "insert":
        await connection.query(f"DELETE FROM {table}")
        query = f"INSERT INTO {table} (v, id) VALUES (%s, %s)"
    makers: dict[str, Callable[[], Any]] = {
        "generator": generator,
        "asynchronous": asynchronous,
        "tuple": lambda: tuple(generator()),
    }
    async with connection.cursor() as cursor:
        expected = 5000 if statement == "insert" else MANY
        assert await cursor.executemany(query, makers[kind]()) == expected
    assert (most > 4000) == (kind == "tuple")
    assert (await contents(connection, table))[39][1] == "w39"


async def test_an_iterable_that_fails(connection: Connection, table: str) -> None:
    """The rows that it gave before are run, as a loop over it would have done."""
    await fill(connection, table)

    def rows() -> Iterator[tuple[str, int]]:
        for number in range(30):
            yield "w", number
        raise LookupError("no more")

    async with connection.cursor() as cursor:
        with pytest.raises(LookupError, match="no more") as caught:
            await cursor.executemany(UPDATE.format(table), rows())
        assert caught.value.row_index == 30  # type: ignore[attr-defined]
    changed = [row for row in await contents(connection, table) if row[1] == "w"]
    assert len(changed) == 30


@pytest.mark.parametrize("size", [0, 1, 5])
async def test_an_iterable_that_runs_statements(
    connect_args: dict[str, Any], connection: Connection, table: str, size: int
) -> None:
    """On the same connection: that may close what is prepared, and is an execution itself."""
    await fill(connection, table)
    options = {"stmt_cache_size": size, "init_command": "SET sql_mode = 'STRICT_ALL_TABLES'"}
    async with connect(**connect_args | options) as other, other.cursor() as cursor:

        async def rows() -> AsyncIterator[tuple[str, int]]:
            for number in range(600):
                if number % 250 == 20:
                    async with other.cursor() as beside:
                        await beside.execute("SELECT %s", (number,))
                        await beside.execute("SELECT %s, 1", (number,))
                        assert await beside.fetchone() == (number, 1)
                yield "x" * (30 if number == wrong else 3), number % MANY

        wrong = -1
        assert await cursor.executemany(UPDATE.format(table), rows()) == MANY
        wrong = 590
        with pytest.raises(DataError) as caught:
            await cursor.executemany(UPDATE.format(table), rows())
        assert caught.value.row_index == wrong  # type: ignore[attr-defined]
        await other.rollback()
        counts = []
        for what in ("prepare", "close"):
            await cursor.execute(f"SHOW SESSION STATUS LIKE 'Com_stmt_{what}'")
            counts.append(int((await cursor.fetchall())[0][1]))
        assert counts[0] - counts[1] <= size


async def test_no_rows(connection: Connection, table: str) -> None:
    async def nothing() -> AsyncIterator[int]:
        for number in list[int]():
            yield number

    async with connection.cursor() as cursor:
        empties: list[Any] = [None, [], (), iter([]), {}, nothing()]
        for empty in empties:
            assert await cursor.executemany(UPDATE.format(table), empty) is None
        with pytest.raises(TypeError):
            await cursor.executemany(UPDATE.format(table), 5)  # type: ignore[arg-type]


async def test_rows_of_an_insert_that_fail(connection: Connection, table: str) -> None:
    """An INSERT of many rows is one statement: `row_index` is its first row."""
    async with connection.cursor() as cursor:
        cursor.max_stmt_length = 200
        rows = [(n if n != 35 else 0, "a") for n in range(MANY)]
        with pytest.raises(Exception, match="Duplicate") as caught:
            await cursor.executemany(f"INSERT INTO {table} (id, v) VALUES (%s, %s)", rows)
        index = caught.value.row_index  # type: ignore[attr-defined]
        assert 0 < index <= 35
        assert len(await contents(connection, table)) == index
        with pytest.raises(TypeError) as refused:
            await cursor.executemany(
                f"INSERT INTO {table} (id, v) VALUES (%s, %s)", [(100, "a"), (101,)]
            )
        assert refused.value.row_index == 1  # type: ignore[attr-defined]
        assert len(await contents(connection, table)) == index


async def test_each_row_is_committed_by_itself(
    connection: Connection, table: str, connect_args: dict[str, Any]
) -> None:
    """In autocommit mode others see the first rows while a later one waits."""
    await fill(connection, table)
    await connection.autocommit(True)
    async with (
        connect(**connect_args, autocommit=True) as other,
        connect(**connect_args, autocommit=True) as looking,
        connection.cursor() as cursor,
    ):
        await other.begin()
        await other.query(f"UPDATE {table} SET n = 0 WHERE id = 20")
        rows = [("w", n) for n in range(MANY)]
        task = asyncio.ensure_future(cursor.executemany(UPDATE.format(table), rows))
        async with asyncio.timeout(10):
            while sum(row[1] == "w" for row in await contents(looking, table)) < 20:
                await asyncio.sleep(0.01)
        assert not task.done()
        await other.commit()
        assert await task == MANY


async def test_cancelled_in_the_middle(
    connect_args: dict[str, Any], connection: Connection, table: str
) -> None:
    """With on_cancel="kill" the rows in front stay, those behind are not run."""
    await fill(connection, table)
    await connection.begin()
    await connection.query(f"UPDATE {table} SET n = 0 WHERE id = 20")
    async with connect(**connect_args, autocommit=True, on_cancel="kill") as other:
        for run in range(2):
            rows = [(f"w{run}", n) for n in range(MANY)]
            async with other.cursor() as cursor:
                with pytest.raises(TimeoutError) as caught:
                    await cursor.executemany(UPDATE.format(table), rows, timeout=0.3)
                assert caught.value.row_index is None  # type: ignore[attr-defined]
                assert not other.closed
                changed = [row[0] for row in await contents(other, table) if row[1] == f"w{run}"]
                assert changed == list(range(20))
    await connection.rollback()


async def test_a_deadlock_ends_it(
    connection: Connection, table: str, connect_args: dict[str, Any]
) -> None:
    """The transaction is rolled back by the server, and no row behind is run outside of it."""
    await fill(connection, table)
    await connection.autocommit(False)
    rows = [("w", n) for n in range(MANY)]
    async with connect(**connect_args) as other, connection.cursor() as cursor:
        # More work than the rows: so it isn't this one that is rolled back.
        await other.query(f"UPDATE {table} SET n = n + 1 WHERE id BETWEEN 20 AND 39")
        await other.query(f"INSERT INTO {table} (id) SELECT id + 100 FROM {table}")
        task = asyncio.ensure_future(cursor.executemany(UPDATE.format(table), rows))
        await asyncio.sleep(0.3)
        await other.query(f"UPDATE {table} SET n = 1 WHERE id = 0")
        with pytest.raises(OperationalError) as caught:
            await task
        assert caught.value.args[0] == 1213
        assert caught.value.row_index == 20  # type: ignore[attr-defined]
        await other.rollback()
        assert all(row[1] != "w" for row in await contents(connection, table))


async def test_a_prepared_statement(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(connection, table)
    has_bulk = connection.runner.stream().session.capabilities & STMT_BULK_OPERATIONS
    async with (
        await connection.prepare(UPDATE.format(table)) as statement,
        connection.cursor() as cursor,
    ):
        begun = count_requests(connection, monkeypatch)
        assert await cursor.executemany(statement, [("w", n) for n in range(MANY)]) == MANY
        assert len(begun) == (2 if has_bulk else MANY)
        await connection.reset()
        assert await cursor.executemany(statement, [("x", n) for n in range(MANY)]) == MANY
    assert {row[1] for row in await contents(connection, table)} == {"x"}


async def test_the_statement_cache(
    connect_args: dict[str, Any], connection: Connection, table: str
) -> None:
    """A cached statement is used for its rows, and prepared again when the server forgot it."""
    await fill(connection, table)
    query = UPDATE.format(table)
    async with connect(**connect_args, stmt_cache_size=5) as other, other.cursor() as cursor:
        for text in ("a", "b"):
            assert await cursor.executemany(query, [(text, n) for n in range(MANY)]) == MANY
        await cursor.execute("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'")
        has_bulk = other.runner.stream().session.capabilities & STMT_BULK_OPERATIONS
        assert (await cursor.fetchall())[0][1] == ("1" if has_bulk else "0")
        if has_bulk:
            statement = other.statements.cached(query)
            assert statement is not None
            assert statement.prepared is not None
            statement.prepared.statement_id += 1
            assert await cursor.executemany(query, [("c", n) for n in range(MANY)]) == MANY
        # A statement that was prepared for one call is closed after it.
    async with connection.cursor() as cursor:
        await cursor.executemany(query, [("d", n) for n in range(MANY)])
        await cursor.execute("SHOW SESSION STATUS LIKE 'Com_stmt_close'")
        assert (await cursor.fetchall())[0][1] == ("1" if has_bulk else "0")


@pytest.mark.parametrize("kind", [Cursor, DictCursor, SSCursor])
async def test_all_cursors(connection: Connection, table: str, kind: type[Cursor]) -> None:
    await fill(connection, table)
    async with connection.cursor(kind) as cursor:
        await cursor.execute(f"SELECT * FROM {table}")
        await cursor.fetchall()
        for few in (3, MANY):
            rows = [(f"w{few}", n) for n in range(few)]
            assert await cursor.executemany(UPDATE.format(table), rows) == few
            assert cursor.rowcount == few
            assert cursor.description is None


async def test_unread_results_come_first(connection: Connection, table: str) -> None:
    await fill(connection, table)
    async with connection.cursor() as cursor, connection.cursor() as other:
        for run, few in enumerate((3, MANY)):
            await other.execute("SELECT 1; SELECT 2")
            rows = [(f"w{run}", n) for n in range(few)]
            assert await cursor.executemany(UPDATE.format(table), rows) == few
        await other.execute("SELECT 1; SELECT nothing")
        with pytest.raises(OperationalError, match="nothing"):
            await cursor.executemany(UPDATE.format(table), [("z", n) for n in range(MANY)])
    assert {row[1] for row in await contents(connection, table)} == {"w1"}


async def test_subclasses_see_each_row(connection: Connection, table: str) -> None:
    await fill(connection, table)
    seen = []

    class Watching(Cursor):
        async def execute(self, query: Any, args: Any = None, **options: Any) -> int:
            seen.append(args)
            return await super().execute(query, args, **options)

    async with connection.cursor(Watching) as cursor:
        rows = [("w", n) for n in range(MANY)]
        assert await cursor.executemany(UPDATE.format(table), rows) == MANY
    assert seen == rows


async def test_encoders_of_the_users(connect_args: dict[str, Any], table: str) -> None:
    class Money:
        pass

    conv = {Money: lambda value, mapping: "'12.50'"}
    async with connect(**connect_args, conv=conv) as connection, connection.cursor() as cursor:
        await fill(connection, table)
        rows = [(Money() if n % 2 else "x", n) for n in range(MANY)]
        assert await cursor.executemany(UPDATE.format(table), rows) == MANY
        assert [row[1] for row in await contents(connection, table)] == ["x", "12.50"] * 20


@pytest.mark.parametrize("charset", ["latin1", "gbk", "sjis"])
async def test_other_character_sets(connect_args: dict[str, Any], table: str, charset: str) -> None:
    async with connect(**connect_args, charset=charset) as connection:
        await fill(connection, table)
        text = {"latin1": "é'\\", "gbk": "縗'\\", "sjis": "ソ'ソ"}[charset]
        async with connection.cursor() as cursor:
            for few in (3, MANY):
                await cursor.executemany(UPDATE.format(table), [(text, n) for n in range(few)])
                assert (await contents(connection, table))[few - 1][1] == text
            rows = [("a" if n != 30 else "\U0001f600", n) for n in range(MANY)]
            with pytest.raises(DataError) as caught:
                await cursor.executemany(UPDATE.format(table), rows)
            assert caught.value.row_index == 30  # type: ignore[attr-defined]


async def test_without_backslash_escapes(connection: Connection, table: str) -> None:
    await fill(connection, table)
    await connection.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    async with connection.cursor() as cursor:
        for few in (3, MANY):
            rows = [(f"\\'{few}\\", n) for n in range(few)]
            await cursor.executemany(UPDATE.format(table), rows)
            assert (await contents(connection, table))[few - 1][1] == f"\\'{few}\\"


async def test_any_values(connection: Connection, table: str) -> None:
    """Seeded rows of mixed types: the same contents as by a loop."""
    generator = random.Random(19)
    values: list[Callable[[], Any]] = [
        lambda: generator.randrange(-(2**31), 2**31),
        lambda: generator.choice([None, DEFAULT]),
        lambda: generator.uniform(-1e6, 1e6),
        lambda: "".join(generator.choices("aü'\\\"%s?;\n", k=generator.randrange(8))),
        lambda: Decimal(generator.randrange(10**8)) / 1000,
        lambda: datetime.datetime(2000, 1, 1) + datetime.timedelta(0, generator.randrange(10**8)),
        lambda: bytes(generator.choices(b"abc'\\", k=4)),
        lambda: generator.random() < 0.5,
    ]
    query = UPDATE.format(table)
    for _ in range(10):
        some = generator.sample(values, 3)
        rows = [(generator.choice(some)(), n) for n in range(MANY)]
        found = []
        for run in (in_a_loop, at_once):
            await fill(connection, table)
            async with connection.cursor() as cursor:
                found.append((await run(cursor, query, rows), await contents(connection, table)))
        assert found[0] == found[1]


@pytest.mark.parametrize("results", [1, 2, 4])
async def test_a_server_that_answers_for_some(results: int) -> None:
    """A text of three statements to which fewer or more responses come is an error."""

    async def serve(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        while True:
            packet = await scripted.read_packet(reader)
            if b"UPDATE" not in packet:
                writer.write(scripted.frame(scripted.ok(), 1))
                continue
            more = [scripted.ok(status=8)] * (results - 1)
            writer.write(scripted.frames(*more, scripted.ok()))

    async with (
        scripted.scripted_server(serve) as port,
        connect(host="127.0.0.1", port=port, get_warnings=False) as connection,
        connection.cursor() as cursor,
    ):
        with pytest.raises(InternalError, match=f"answered {results} of 3"):
            await cursor.executemany("UPDATE t SET a = %s", [1, 2, 3])


def test_the_mark_for_a_default() -> None:
    assert repr(DEFAULT) == "DEFAULT"
    assert copy.deepcopy(DEFAULT) is DEFAULT is pickle.loads(pickle.dumps(DEFAULT))


async def test_defaults_one_by_one(connection: Connection, table: str) -> None:
    async with connection.cursor() as cursor:
        query = f"INSERT INTO {table} (id, n) VALUES (%s, %s)"
        await cursor.execute(query, (1, DEFAULT))
        await cursor.executemany(query, [(2, DEFAULT), (3, 3)])
    assert [row[2] for row in await contents(connection, table)] == [7, 7, 3]


@pytest.mark.parametrize("option", ["bulk_statements", "multi_statements"])
async def test_switched_off(
    connect_args: dict[str, Any],
    connection: Connection,
    table: str,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For proxies that lose such requests."""
    await fill(connection, table)
    options: dict[str, Any] = {option: "no"}
    async with connect(**connect_args | options) as other, other.cursor() as cursor:
        capabilities = other.runner.stream().session.capabilities
        begun = count_requests(other, monkeypatch)
        rows = [("w", n) for n in range(MANY)]
        assert await cursor.executemany(UPDATE.format(table), rows) == MANY
        if option == "bulk_statements":
            assert not capabilities & STMT_BULK_OPERATIONS
            assert len(begun) == 1
        else:
            assert len(begun) == (2 if capabilities & STMT_BULK_OPERATIONS else MANY)
            with pytest.raises(ProgrammingError):
                await cursor.execute("SELECT 1; SELECT 2")
        await other.rollback()
    with pytest.raises(ValueError, match="multi_statements"):
        await connect(**connect_args, client_flag=CLIENT.MULTI_STATEMENTS, multi_statements=False)


@pytest.mark.parametrize("change", ["modes", "charset", "database", "cursor"])
async def test_an_iterable_that_uses_the_connection(
    connection: Connection, table: str, server: Server, change: str
) -> None:
    """Rows are written for the session as it is when they are sent."""
    await fill(connection, table, 10)
    value = "',v='x' -- \\'é"
    cursor = await connection.cursor()

    async def rows() -> AsyncIterator[tuple[str, int]]:
        for number in range(2500):
            if number == 1500:
                if change == "modes":
                    await connection.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
                elif change == "charset":
                    await connection.set_charset("latin1")
                elif change == "database":
                    await connection.select_db("mysql")
                else:
                    await cursor.close()
            yield value, number % 10

    if change in ("modes", "charset"):
        await cursor.executemany(UPDATE.format(table), rows())
        assert {row[1] for row in await contents(connection, table)} == {value}
    else:
        with pytest.raises(ProgrammingError):
            await cursor.executemany(UPDATE.format(table), rows())
        if change == "database":
            await connection.select_db(server.database)


async def test_what_goes_in_no_bulk_request(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DELETE of several tables goes as text."""
    await fill(connection, table)
    begun = count_requests(connection, monkeypatch)
    query = f"DELETE a FROM {table} AS a JOIN {table} AS b ON a.id = b.id WHERE b.id = %s"
    async with connection.cursor() as cursor:
        assert await cursor.executemany(query, list(range(MANY))) == MANY
    assert len(begun) <= 3
    assert await contents(connection, table) == ()


async def test_with_a_read_timeout(connect_args: dict[str, Any], table: str) -> None:
    """It counts for each row."""
    async with connect(**connect_args, read_timeout=1) as connection:
        await fill(connection, table)
        query = f"UPDATE {table} SET v = %s WHERE id = %s AND SLEEP(0.1) = 0"
        async with connection.cursor() as cursor:
            rows = [("w", n) for n in range(16)]
            assert await cursor.executemany(query, rows) == 16


async def test_warnings_before_an_error(connection: Connection, table: str) -> None:
    await fill(connection, table)
    await connection.query("SET sql_mode = ''")
    query = f"UPDATE {table} SET v = %s, u = %s WHERE id = %s"
    for count in (5, MANY):
        rows = [("x" * (30 if n < 2 else 3), 50 if n > 2 else -n, n) for n in range(count)]
        async with connection.cursor() as cursor:
            with (
                pytest.warns(Warning, match="Data truncated") as told,
                pytest.raises(Exception, match="Duplicate") as caught,
            ):
                await cursor.executemany(query, rows)
        assert len(told) == 2
        assert caught.value.row_index == 4  # type: ignore[attr-defined]
        await connection.rollback()


@pytest.mark.parametrize("count", [5, MANY])
async def test_an_error_behind_warnings_that_are_errors(
    connection: Connection, table: str, count: int
) -> None:
    """The server's error is raised: rows were not run."""
    await fill(connection, table)
    await connection.query("SET sql_mode = ''")
    query = f"UPDATE {table} SET v = %s, u = %s WHERE id = %s"
    rows = [("x" * (30 if n < 2 else 3), 50 if n > 2 else -n, n) for n in range(count)]
    async with connection.cursor() as cursor:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(IntegrityError) as caught:
                await cursor.executemany(query, rows)
    assert caught.value.row_index == 4  # type: ignore[attr-defined]
    assert caught.value.__notes__ == [
        "before it the server has warned: Data truncated for column 'v' at row 1 (and 1 more)"
    ]
    changed = [row[0] for row in await contents(connection, table) if row[1][0] == "x"]
    assert changed == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [5, MANY])
@pytest.mark.parametrize("failing", [0, 4])
async def test_warnings_of_the_row_that_fails(
    connection: Connection, table: str, count: int, failing: int
) -> None:
    """They don't hide its error.  (Of a bulk request the server does not say whose they are.)"""
    await fill(connection, table)
    await connection.query("SET sql_mode = ''")
    query = f"UPDATE {table} SET v = %s, u = %s WHERE id = %s"
    rows = [("x" * 30, 30, n) if n == failing else ("x", n, n) for n in range(count)]
    async with connection.cursor() as cursor:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(IntegrityError) as caught:
                await cursor.executemany(query, rows)
    assert caught.value.row_index == failing  # type: ignore[attr-defined]
    if not failing or count < MANY:
        assert not hasattr(caught.value, "__notes__")


async def test_defaults_take_few_round_trips(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that no bulk request can hold are sent as texts, and those behind them, too."""
    await fill(connection, table)
    begun = count_requests(connection, monkeypatch)
    rows = [(DEFAULT if n % 2 else n + 1, n) for n in range(MANY)]
    async with connection.cursor() as cursor:
        await cursor.executemany(f"UPDATE {table} SET n = %s WHERE id = %s", rows)
    assert len(begun) <= 4
    assert [row[2] for row in await contents(connection, table)][:4] == [1, 7, 3, 7]


async def test_errors_of_the_call_have_the_attribute(connection: Connection, table: str) -> None:
    cursor = await connection.cursor()
    rows = [("w", 1), ("w", 2)]
    with pytest.raises(ValueError, match="timeout") as refused:
        await cursor.executemany(UPDATE.format(table), rows, timeout=-1)
    await cursor.close()
    with pytest.raises(ProgrammingError, match="closed") as caught:
        await cursor.executemany(UPDATE.format(table), rows)
    errors: list[Any] = [refused.value, caught.value]
    assert [error.row_index for error in errors] == [None, None]


async def test_the_row_behind_a_change_of_the_table(connection: Connection, table: str) -> None:
    """The server prepares the statement again, which it counts as an execution."""
    await fill(connection, table)
    async with (
        await connection.prepare(f"UPDATE {table} SET u = %s WHERE id = %s") as statement,
        connection.cursor() as cursor,
    ):
        await cursor.executemany(statement, [(n, n) for n in range(MANY)])
        await connection.query(f"ALTER TABLE {table} ADD z INT")
        with pytest.raises(Exception, match="Duplicate") as caught:
            await cursor.executemany(statement, [(100 + n - (n == 25), n) for n in range(MANY)])
        assert caught.value.row_index == 25  # type: ignore[attr-defined]


async def test_what_the_connection_says_afterwards(connection: Connection, table: str) -> None:
    await fill(connection, table)
    query = f"UPDATE {table} SET n = LAST_INSERT_ID(%s) WHERE id = %s"
    for count in (3, MANY):
        async with connection.cursor() as cursor:
            assert await cursor.executemany(query, [(70 + n, n) for n in range(count)]) == count
            assert cursor.lastrowid == connection.insert_id() == 69 + count
        await connection.rollback()
