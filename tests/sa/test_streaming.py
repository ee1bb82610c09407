"""Results that are read from the server row by row."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from aiomysql_core import OperationalError, SSCursor
from aiomysql_sa import Engine, ResourceClosedError, SAConnection
from aiomysql_sa.result import ResultProxy
from tests.sa.conftest import MakeEngine
from tests.servers import Server

# A thousand rows, from nothing but tables that each server has.
DIGITS = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
THOUSAND = (
    "SELECT a.d + 10 * b.d + 100 * c.d AS n, 'some text' AS t"
    f" FROM ({DIGITS}) a, ({DIGITS}) b, ({DIGITS}) c ORDER BY n"
)


@pytest.fixture
async def engine(make_engine: MakeEngine) -> Engine:
    return await make_engine(maxsize=1, autocommit=True)


@pytest.fixture
async def conn(engine: Engine) -> AsyncIterator[SAConnection]:
    async with engine.acquire() as conn:
        yield conn


async def test_rows_are_those_of_execute(conn: SAConnection, tbl: sa.Table) -> None:
    await conn.execute(tbl.insert(), [{"val": "a"}, {"val": "b"}])
    query = tbl.select().where(tbl.c.id >= sa.bindparam("low")).order_by(tbl.c.id)
    rows = [row async for row in conn.stream(query, low=2)]
    assert rows == [(2, "a"), (3, "b")]
    assert rows[0][tbl.c.val] == rows[0].val == "a"
    result = await conn.stream(query, {"low": 1})
    assert isinstance(result.cursor, SSCursor)
    assert await result.fetchone() == (1, "first")
    assert await result.fetchmany(1) == [(2, "a")]
    assert await result.fetchall() == [(3, "b")]
    assert result.closed
    assert [row[0] async for row in conn.stream("SELECT %s UNION SELECT %s", 1, 2)] == [1, 2]
    assert (await conn.stream(tbl.delete())).rowcount == 3


async def test_execution_option(conn: SAConnection, tbl: sa.Table) -> None:
    for plain in (tbl.select(), sa.text(f"SELECT * FROM {tbl.name}")):
        result = await conn.execute(plain.execution_options(stream_results=True))
        assert isinstance(result.cursor, SSCursor)
        assert await result.fetchall() == [(1, "first")]
        result = await conn.execute(plain)
        assert not isinstance(result.cursor, SSCursor)
    streaming = tbl.select().execution_options(stream_results=True)
    compiled = streaming.compile(dialect=MySQLDialect_pymysql())
    result = await conn.execute(compiled)
    assert isinstance(result.cursor, SSCursor)
    assert await result.scalar() == 1


async def test_rows_are_not_held(conn: SAConnection) -> None:
    """30 MB of rows pass; what they take at a time is what waits between socket and caller."""
    wide = f"SELECT REPEAT(CHAR(65 + n % 26), 30000) AS w FROM ({THOUSAND}) x"
    tracemalloc.start()
    try:
        length = 0
        async for row in conn.stream(wide):
            length += len(row.w)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length == 30_000_000
    assert peak < 5_000_000


async def end_by_statement(conn: SAConnection, result: ResultProxy) -> None:
    assert await conn.scalar("SELECT 42") == 42


async def end_by_transaction(conn: SAConnection, result: ResultProxy) -> None:
    async with conn.begin():
        assert await conn.scalar("SELECT 43") == 43


async def end_by_stream(conn: SAConnection, result: ResultProxy) -> None:
    assert [row[0] async for row in conn.stream("SELECT 44")] == [44]


async def end_by_closing(conn: SAConnection, result: ResultProxy) -> None:
    await result.close()


@pytest.mark.parametrize(
    "end", [end_by_statement, end_by_transaction, end_by_stream, end_by_closing]
)
async def test_result_left_incomplete(conn: SAConnection, end: Any) -> None:
    result = await conn.stream(THOUSAND)
    assert await result.fetchmany(2) == [(0, "some text"), (1, "some text")]
    await end(conn, result)
    assert result.closed
    with pytest.raises(ResourceClosedError, match="This result object is closed"):
        await result.fetchone()
    assert await conn.scalar("SELECT 45") == 45


async def test_break(engine: Engine) -> None:
    async with engine.acquire() as conn:
        async for row in conn.stream(THOUSAND):
            if row.n == 3:
                break
    async with engine.acquire() as conn:  # the same connection: there is but one
        assert await conn.scalar("SELECT 42") == 42


async def test_transaction_ends_while_streaming(engine: Engine, tbl: sa.Table) -> None:
    async with engine.acquire() as conn:
        transaction = await conn.begin()
        await conn.execute(tbl.insert().values(val="lost"))
        result = await conn.stream(THOUSAND)
        await result.fetchone()
        await transaction.rollback()
        assert result.closed
        async with conn.begin():
            await conn.execute(tbl.insert().values(val="kept"))
            result = await conn.stream(THOUSAND)
            await result.fetchone()
        assert result.closed
        assert [row.val async for row in conn.execute(tbl.select())] == ["first", "kept"]


async def test_released_while_streaming(engine: Engine) -> None:
    conn = await engine.acquire()
    result = await conn.stream(THOUSAND)
    await result.fetchone()
    engine.release(conn)  # drops the connection: the rest of the rows would come in the way
    async with engine.acquire() as other:
        assert await other.scalar("SELECT 42") == 42
    assert engine.size == 1


async def test_connection_lost_while_streaming(make_engine: MakeEngine, server: Server) -> None:
    engine = await make_engine(maxsize=1)
    async with engine.acquire() as conn:
        assert conn.connection is not None
        wide = f"SELECT n, REPEAT('x', 100000) FROM ({THOUSAND}) x"
        result = await conn.stream(wide)
        assert (await result.fetchmany(1))[0].n == 0
        server.execute(f"KILL {conn.connection.thread_id()}")
        with pytest.raises(OperationalError):
            await result.fetchall()
        assert conn.closed
    async with engine.acquire() as conn:
        assert await conn.scalar("SELECT 42") == 42
