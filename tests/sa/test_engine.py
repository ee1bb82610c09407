"""Engines, and borrowing connections from them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from aiomysql_core import (
    Cursor,
    DeserializationCursor,
    DictCursor,
    SSCursor,
    SSDictCursor,
    dict_row,
)
from aiomysql_pool import PoolClosed
from aiomysql_sa import ArgumentError, Engine, InvalidRequestError, SAConnection, create_engine
from aiomysql_sa.engine import _dialect
from tests.sa.conftest import MakeEngine
from tests.servers import Server


async def test_properties(make_engine: MakeEngine) -> None:
    engine = await make_engine(minsize=2, maxsize=5)
    assert isinstance(engine, Engine)
    assert (engine.name, engine.driver) == ("mysql", "pymysql")
    assert engine.dialect is _dialect
    assert (engine.minsize, engine.maxsize, engine.size, engine.freesize) == (2, 5, 2, 2)
    own = MySQLDialect_pymysql(paramstyle="format")
    assert (await make_engine(dialect=own)).dialect is own


async def test_acquire_and_release(make_engine: MakeEngine) -> None:
    engine = await make_engine()
    conn = await engine.acquire()
    assert isinstance(conn, SAConnection)
    assert not conn.closed
    assert engine.freesize == 0
    await engine.release(conn)
    assert engine.freesize == 1
    assert conn.closed
    assert conn.connection is None
    with pytest.raises(InvalidRequestError, match="released before"):
        engine.release(conn)
    await conn.close()
    async with engine.acquire() as conn:
        assert await conn.scalar("SELECT 42") == 42
    assert engine.freesize == 1


async def test_closing(connect_args: dict[str, Any]) -> None:
    async with create_engine(**connect_args) as engine, engine.acquire() as conn:
        engine.close()
        with pytest.raises(PoolClosed):
            await engine.acquire()
        assert await conn.scalar("SELECT 1") == 1
    assert engine.size == 0

    engine = await create_engine(**connect_args)
    conn = await engine.acquire()
    engine.terminate()
    await engine.wait_closed()
    assert conn.closed
    with pytest.raises(RuntimeError, match="async with engine.acquire"), engine:
        pass


async def test_loop_is_deprecated(connect_args: dict[str, Any]) -> None:
    with pytest.warns(DeprecationWarning, match="'loop'") as caught:
        creating = create_engine(loop=asyncio.get_running_loop(), **connect_args)
    assert [warning.filename for warning in caught] == [__file__]
    async with creating as engine:
        assert engine.size == 1


@pytest.mark.parametrize("cls", [DictCursor, SSCursor, SSDictCursor, DeserializationCursor])
async def test_cursors_that_give_no_plain_tuples_are_refused(cls: type[Cursor]) -> None:
    with pytest.raises(ArgumentError, match=f"does not support this cursor class.*{cls.__name__}"):
        await create_engine(cursorclass=cls)


async def test_rows_are_its_own() -> None:
    with pytest.raises(ArgumentError, match="'row_factory'"):
        await create_engine(row_factory=dict_row)


async def test_release_within_a_transaction(make_engine: MakeEngine) -> None:
    engine = await make_engine(maxsize=1)
    conn = await engine.acquire()
    transaction = await conn.begin()
    with pytest.raises(InvalidRequestError, match="not finished transaction"):
        engine.release(conn)
    assert conn.in_transaction
    await transaction.rollback()
    await engine.release(conn)
    assert engine.freesize == 1


async def test_unfinished_transaction_at_the_end_of_the_block(
    make_engine: MakeEngine, server: Server, tbl: sa.Table
) -> None:
    engine = await make_engine(maxsize=1)

    async def leave(error: Exception | None) -> None:
        async with engine.acquire() as conn:
            await conn.begin()
            await conn.begin_nested()
            await conn.execute(tbl.insert().values(val="lost"))
            if error is not None:
                raise error

    with pytest.raises(InvalidRequestError, match="rolled back"):
        await leave(None)
    with pytest.raises(ZeroDivisionError):
        await leave(ZeroDivisionError())
    async with engine.acquire() as conn:
        assert not conn.in_transaction
        assert await conn.scalar(sa.select(sa.func.count()).select_from(tbl)) == 1
    assert len(server.execute(f"SELECT * FROM {tbl.name}")) == 1


async def test_connection_made_by_hand(connection: Any) -> None:
    class Bare:
        dialect = _dialect

    conn = SAConnection(connection, Bare())
    assert conn._connection is connection
    assert conn._transaction is None
    result = await conn.execute("SELECT 1 AS a UNION SELECT 2")
    assert list(conn._weak_results) == [result]
    assert [row.a async for row in result] == [1, 2]
