"""What a borrower has left: changes that are not committed, and cursors that are of no use now."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    DictCursor,
    InterfaceError,
    OperationalError,
    SSCursor,
    UncommittedWarning,
    dict_row,
)
from tests.pool.conftest import MakePool, one
from tests.servers import Server


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (n INT PRIMARY KEY) ENGINE=InnoDB")
    return table_name


@contextlib.contextmanager
def told(lines: int) -> Iterator[None]:
    """The warning comes in the block, for the line so many behind this one."""
    line = sys._getframe(2).f_lineno + lines
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [(each.category, each.filename, each.lineno) for each in caught] == [
        (UncommittedWarning, __file__, line)
    ]


@pytest.mark.parametrize("reset_session", [None, "rollback", "full"])
@pytest.mark.parametrize("debug", [False, True])
async def test_released_without_a_commit(
    make_pool: MakePool, server: Server, table: str, reset_session: str | None, debug: bool
) -> None:
    pool = await make_pool(minsize=1, maxsize=1, reset_session=reset_session, debug=debug)
    insert = f"INSERT INTO {table} VALUES (1)"
    with told(1):
        async with pool.acquire() as connection:
            await connection.execute(insert)
    connection = await pool.acquire()
    await connection.execute(insert)
    with told(1):
        await pool.release(connection)
    with told(1):
        async with contextlib.AsyncExitStack() as stack:
            context: Any = pool.acquire()
            connection = await stack.enter_async_context(context)
            await connection.execute(insert)
    connection = await pool.acquire()
    await connection.execute(insert)
    with pytest.raises(UncommittedWarning):
        pool.release(connection)
    async with pool.acquire() as connection:  # it was released even so
        await connection.execute(f"SELECT * FROM {table}")
        await connection.fetchall(f"SELECT * FROM {table} FOR UPDATE")
    assert server.execute(f"SELECT * FROM {table}") == []


async def test_nothing_to_tell(make_pool: MakePool, table: str) -> None:
    insert = f"REPLACE INTO {table} VALUES (1)"
    pool = await make_pool(minsize=1, maxsize=1, reset_session="rollback")
    with contextlib.suppress(LookupError):
        async with pool.acquire() as connection:
            await connection.execute(insert)
            raise LookupError
    context = pool.acquire()
    async with contextlib.AsyncExitStack() as stack:
        connection = await context.__aenter__()
        await connection.execute(insert)
        stack.push_async_exit(lambda *_: context.__aexit__(LookupError, LookupError(), None))

    async def work() -> None:
        async with pool.acquire() as connection:
            await connection.execute(insert)
            started.set()
            await asyncio.sleep(9)

    started = asyncio.Event()
    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    await pool.execute(insert)
    await pool.executemany(f"REPLACE INTO {table} VALUES (%s)", [(2,), (3,)])
    async with pool.transaction() as connection:
        await connection.execute(insert)
    with contextlib.suppress(LookupError):
        async with pool.transaction() as connection:
            await connection.execute(insert)
            raise LookupError
    async for _ in pool.iterate(f"SELECT * FROM {table}"):
        pass
    connection = await pool.acquire()
    await connection.execute(insert)
    pool.terminate()
    assert connection.closed
    pool.release(connection)


@pytest.fixture
async def lent(make_pool: MakePool) -> Any:
    """A pool of one connection, which is autocommitting."""
    return await make_pool(minsize=1, maxsize=1, autocommit=True)


@contextlib.contextmanager
def refused(what: str) -> Iterator[None]:
    with pytest.raises(InterfaceError, match=f"went back to the pool, and this {what} is of"):
        yield


@pytest.mark.parametrize("again", [False, True], ids=["in the pool", "lent again"])
@pytest.mark.parametrize("kind", [Cursor, DictCursor])
async def test_cursors_of_before(lent: Any, again: bool, kind: type[Cursor]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with lent.acquire() as connection:
            cursors = [await connection.cursor(kind) for _ in range(2)]
            cursors.append(kind(connection))
            if kind is Cursor:
                cursors.append(await connection.cursor(row_factory=dict_row))
            for cursor in cursors:
                await cursor.execute("SELECT 1 AS a UNION SELECT 2")
        if again:
            assert await stack.enter_async_context(lent.acquire()) is connection
            other = await connection.cursor()
            await other.execute("SELECT 7; SELECT 8")
        for cursor in cursors:
            for sent in (
                cursor.execute("SELECT 3"),
                cursor.execute("SELECT %s", (3,)),
                cursor.executemany("DO %s", [(1,), (2,)]),
                cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)]),
                cursor.callproc("p", (1,)),
                cursor.load_local("LOAD DATA LOCAL INFILE '' INTO TABLE t", b""),
                cursor._query("SELECT 3"),
            ):
                with refused("cursor"):
                    await sent
            assert cursor.mogrify("%s", (1,)) == "1"
            assert await cursor.nextset() is None
            assert (cursor.rowcount, cursor.description[0][0]) == (2, "a")
            assert len(await cursor.fetchall()) == 2
            await cursor.scroll(0, "absolute")
            assert await cursor.fetchone() in ((1,), {"a": 1})
            await cursor.close()
            assert cursor.closed
        if again:  # nothing of its results was given up
            assert await other.fetchall() == ((7,),)
            assert await other.nextset()
            assert await other.fetchall() == ((8,),)


async def test_results_of_before(lent: Any) -> None:
    """Those that were not read are gone."""
    async with lent.acquire() as connection:
        cursor = await connection.cursor()
        await cursor.execute("SELECT 1; SELECT 2")
    await (await lent.acquire()).execute("SELECT 3; SELECT 4")
    with refused("cursor"):
        await cursor.nextset()
    assert await cursor.fetchall() == ((1,),)
    await cursor.close()
    lent.release(connection)
    async with lent.acquire() as connection:
        streamed = await connection.cursor(SSCursor)
        await streamed.execute("SELECT 1 UNION SELECT 2")
        assert await streamed.fetchall() == [(1,), (2,)]
    async with lent.acquire(), streamed:
        with refused("cursor"):
            await streamed.execute("SELECT 1")


async def test_others_of_before(lent: Any, table: str) -> None:
    async with lent.acquire() as connection:
        statement = await connection.prepare("SELECT ?")
        assert await (await statement.execute((1,))).fetchone() == (1,)
        block, pipeline = connection.transaction(), connection.pipeline()
        rows = connection.iterate("SELECT 1")
    async with lent.acquire() as connection:
        with refused("prepared statement"):
            await statement.execute((2,))
        async with connection.cursor() as cursor:
            with refused("prepared statement"):
                await cursor.execute(statement, (2,))
            with refused("prepared statement"):
                await cursor.executemany(statement, [(2,)] * 40)
        await statement.close()
        with refused("transaction block"):
            await block.__aenter__()
        with refused("pipeline"):
            await pipeline.__aenter__()
        with refused("iterator"):
            await anext(rows)
        assert await one(connection, "SELECT 5") == 5


@pytest.mark.parametrize("mode", ["autocommit", "begun"])
async def test_many_rows_of_a_statement_of_before(
    lent: Any, server: Server, table: str, mode: str
) -> None:
    """MariaDB's bulk requests have a way of their own."""
    server.execute(f"INSERT INTO {table} VALUES (1)")
    async with lent.acquire() as connection:
        statement = await connection.prepare(f"UPDATE {table} SET n = n + %s")
        prepared_later = connection.prepare("SELECT 1")
        block = await connection.transaction().__aenter__() if mode == "begun" else None
    async with lent.acquire() as another:
        assert (another is connection) is (block is None)
        cursor = await another.cursor()
        if block is None:
            with refused("prepared statement"):
                await cursor.executemany(statement, [(1,)] * 50)
            with refused("prepared statement"):
                await prepared_later
        else:
            with pytest.raises(OperationalError):
                await block.__aexit__(None, None, None)
            prepared_later.close()
        assert await one(another, f"SELECT n FROM {table}") == 1


async def test_released_in_the_middle(lent: Any, server: Server, table: str) -> None:
    """Of many rows none goes out when the connection is another's by then."""
    connection = await lent.acquire()

    async def rows() -> AsyncIterator[tuple[int]]:
        for number in range(3000):
            if number == 2999:
                await lent.release(connection)
                assert await lent.acquire() is connection
            yield (number,)

    async with connection.cursor() as cursor:
        with refused("cursor"):
            await cursor.executemany(f"INSERT INTO {table} VALUES (%s)", rows())
    assert 2999 not in {row[0] for row in server.execute(f"SELECT n FROM {table}")}
    lent.release(connection)


@pytest.mark.parametrize("released_by", [0, 2999], ids=["the first", "the last"])
@pytest.mark.parametrize("statement", ["INSERT INTO {} VALUES (%s)", "DELETE FROM {} WHERE n = %s"])
async def test_released_by_a_value(
    make_pool: MakePool, server: Server, table: str, statement: str, released_by: int
) -> None:
    """Making text of values runs the program's code: none of a batch goes out, and no question."""

    def text_of(number: Number, mapping: object) -> str:
        if number.value == released_by:
            pool.release(connection)
        return f"{number.value:030}"

    options = {"conv": {Number: text_of}, "read_timeout": 60}  # with which none is a bulk request
    pool = await make_pool(minsize=1, maxsize=1, autocommit=True, **options)
    connection = await pool.acquire()
    server.execute(f"INSERT INTO {table} VALUES ({released_by})")
    async with connection.cursor() as cursor:
        with refused("cursor"):
            await cursor.executemany(statement.format(table), [(Number(n),) for n in range(3000)])
    rows = server.execute(f"SELECT n FROM {table}")
    assert (released_by,) in rows
    if not released_by:
        assert connection.runner.max_request is None  # the server was not asked
        assert len(rows) == 1


class Number:
    """A value that only an encoder can write."""

    def __init__(self, value: int) -> None:
        self.value = value


async def test_what_configure_has_made(make_pool: MakePool) -> None:
    """It is nobody's, and so everybody's."""
    made: dict[Connection, Any] = {}

    async def configure(connection: Connection) -> None:
        made[connection] = await connection.prepare("SELECT %s + 1")

    pool = await make_pool(minsize=1, maxsize=1, autocommit=True, configure=configure)
    for _ in range(3):
        async with pool.acquire() as connection:
            cursor = await made[connection].execute((1,))
            assert await cursor.fetchone() == (2,)
            cursor = await connection.cursor()
            await cursor.execute("SELECT 1")
        with refused("cursor"):
            await cursor.execute("SELECT 1")
    waiting = [asyncio.ensure_future(pool.fetchval("SELECT 1")) for _ in range(3)]
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_handed_over_to_a_waiter(lent: Any) -> None:
    connection = await lent.acquire()
    cursor = await connection.cursor()
    waiting = asyncio.ensure_future(lent.acquire())
    await asyncio.sleep(0)
    lent.release(connection)
    with refused("cursor"):
        await cursor.execute("SELECT 1")
    assert await waiting is connection
    with refused("cursor"):
        await cursor.execute("SELECT 1")
    await (await connection.cursor()).execute("SELECT 1")
    lent.release(connection)
