"""Statements, rows and transactions of a pool, each on a connection acquired for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiomysql_core import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    scalar_row,
)
from aiomysql_pool import Pool
from tests.pool.conftest import MakePool
from tests.servers import Server


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY) ENGINE=InnoDB")
    return table_name


@pytest.fixture(params=[True, False], ids=["autocommit", "without autocommit"])
async def pool(request: pytest.FixtureRequest, make_pool: MakePool) -> AsyncIterator[Pool]:
    pool = await make_pool(minsize=1, maxsize=2, autocommit=request.param)
    yield pool
    assert pool.freesize == pool.size
    if "fails" not in request.node.name:
        assert pool.get_stats()["closed_unusable"] == 0  # no transaction was left open


def ids(server: Server, table: str) -> list[Any]:
    return [row[0] for row in server.execute(f"SELECT id FROM {table} ORDER BY id")]


async def test_statements(pool: Pool, server: Server, table: str) -> None:
    """What they change is committed."""
    insert = f"INSERT INTO {table} VALUES (%s)"
    assert await pool.execute(insert, (1,)) == 1
    assert await pool.executemany(insert, [(2,), (3,)]) == 2
    assert ids(server, table) == [1, 2, 3]
    query = f"SELECT id FROM {table} ORDER BY id"
    assert await pool.fetchall(query) == ((1,), (2,), (3,))
    assert await pool.fetchall(query, row_factory=scalar_row) == [1, 2, 3]
    assert await pool.fetchone(query) == (1,)
    assert await pool.fetchone(query, row_factory=scalar_row) == 1
    assert await pool.fetchval(f"SELECT MAX(id) FROM {table} WHERE id < %s", (3,)) == 2


async def test_rows(pool: Pool, server: Server, table: str) -> None:
    server.execute(f"INSERT INTO {table} VALUES (1), (2)")
    query = f"SELECT id FROM {table} ORDER BY id"
    assert [row async for row in pool.iterate(query)] == [(1,), (2,)]
    async with pool.iterate(query, row_factory=scalar_row) as rows:
        assert [row async for row in rows] == [1, 2]
    with pytest.raises(ProgrammingError, match="once"):
        await rows.__aenter__()
    async with pool.iterate(query):
        assert pool.freesize == 1  # nothing was begun


async def test_rows_left_early(make_pool: MakePool, server: Server, table: str) -> None:
    """The connection is closed, if rows are still to come."""
    numbers = ", ".join(f"({number})" for number in range(2000))
    server.execute(f"INSERT INTO {table} VALUES {numbers}")
    pool = await make_pool(minsize=1, maxsize=1)
    async with asyncio.timeout(20):
        async with pool.iterate(f"SELECT a.id FROM {table} a, {table} b, {table} c") as rows:
            await anext(rows)
        with pytest.raises(LookupError):  # noqa: PT012  (raised within)
            async with pool.iterate(f"SELECT a.id FROM {table} a, {table} b, {table} c") as rows:
                async for _ in rows:
                    raise LookupError
        assert await pool.fetchval(f"SELECT COUNT(*) FROM {table}") == 2000
    assert pool.get_stats()["connects"] == 3


async def test_a_statement_that_fails(pool: Pool, server: Server, table: str) -> None:
    server.execute(f"INSERT INTO {table} VALUES (1)")
    with pytest.raises(IntegrityError):
        await pool.execute(f"INSERT INTO {table} VALUES (2), (1)")
    with pytest.raises(ProgrammingError):
        async for _ in pool.iterate("SELECT nonsense FROM"):
            pass
    assert ids(server, table) == [1]


async def test_transactions(pool: Pool, server: Server, table: str) -> None:
    async with pool.transaction() as connection:
        await connection.execute(f"INSERT INTO {table} VALUES (1)")
        assert pool.freesize == 0
    with pytest.raises(LookupError):  # noqa: PT012  (raised within)
        async with pool.transaction("SERIALIZABLE") as connection:
            await connection.execute(f"INSERT INTO {table} VALUES (2)")
            raise LookupError
    block = pool.transaction(readonly=True)
    async with block as connection:
        assert await connection.fetchval(f"SELECT COUNT(*) FROM {table}") == 1
    with pytest.raises(ProgrammingError, match="once"):
        await block.__aenter__()
    with pytest.raises(ValueError, match="isolation"):
        await pool.transaction(isolation="none").__aenter__()  # type: ignore[arg-type]
    assert ids(server, table) == [1]


async def test_not_used_as_blocks(pool: Pool) -> None:
    for found in (pool.transaction(), pool.iterate("SELECT 1")):
        wrong: Any = found
        with pytest.raises(TypeError, match=r"^what (transaction|iterate)\(\) .*`async with`$"):
            await wrong
        with pytest.raises(TypeError, match="`async with`"):
            list(wrong)
        async with found:
            pass


async def test_a_cancelled_transaction(make_pool: MakePool, server: Server, table: str) -> None:
    pool = await make_pool(minsize=1, maxsize=1, on_cancel="kill")

    async def work() -> None:
        async with pool.transaction() as connection:
            await connection.execute(f"INSERT INTO {table} VALUES (1)")
            await connection.execute("SELECT SLEEP(5)")

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0.15)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        assert await pool.fetchval(f"SELECT COUNT(*) FROM {table}") == 0


@pytest.mark.parametrize("reset_session", [None, "rollback", "full"])
@pytest.mark.parametrize("autocommit", [True, False])
async def test_a_block_that_is_left_after_the_release(
    make_pool: MakePool, server: Server, table: str, reset_session: str | None, autocommit: bool
) -> None:
    """It does nothing to who has the connection next."""
    pool = await make_pool(minsize=1, maxsize=1, reset_session=reset_session, autocommit=autocommit)

    async def rows() -> AsyncIterator[int]:
        async with pool.acquire() as connection:
            block = connection.transaction()
            await block.__aenter__()
            await connection.commit()
            left.append(block)
            yield 1

    left: list[Any] = []
    async for _ in rows():
        pass
    async with pool.transaction() as connection:
        await connection.execute(f"INSERT INTO {table} VALUES (1)")
        with pytest.raises(OperationalError, match="session ended"):
            await left[0].__aexit__(None, None, None)
        await connection.execute(f"INSERT INTO {table} VALUES (2)")
    assert ids(server, table) == [1, 2]


async def test_rows_for_two_tasks(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=1, maxsize=1)
    stream = pool.iterate("SELECT 1")
    async with pool.acquire():
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(InterfaceError, match="another task"):
            await anext(stream)
        await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert await pool.fetchval("SELECT 1") == 1


async def test_given_back_before_anything_was_run_fails(pool: Pool) -> None:
    """Whoever gets a connection next must not find a block that waits for its first statement."""
    connection = await pool.acquire()
    block = connection.transaction()
    await block.__aenter__()
    await pool.release(connection)
    assert connection.closed
    async with pool.transaction() as connection:
        pass
    async with pool.acquire() as other:
        assert other is connection  # nothing was run in that block
        assert other.runner.nothing_to_end() or not other.get_autocommit()
