"""Transactions."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from aiomysql_core import OperationalError
from aiomysql_sa import InvalidRequestError, SAConnection
from aiomysql_sa.transaction import (
    NestedTransaction,
    RootTransaction,
    Transaction,
    TwoPhaseTransaction,
)
from tests.servers import Server


def values(server: Server, tbl: sa.Table) -> list[str]:
    """What other sessions see."""
    return [val for (val,) in server.execute(f"SELECT val FROM {tbl.name} ORDER BY id")]


async def test_commit_and_rollback(conn: SAConnection, server: Server, tbl: sa.Table) -> None:
    transaction = await conn.begin()
    assert isinstance(transaction, RootTransaction)
    assert (transaction.is_active, conn.in_transaction) == (True, True)
    assert transaction.connection is conn
    await conn.execute(tbl.insert().values(val="a"))
    assert values(server, tbl) == ["first"]
    await transaction.commit()
    assert (transaction.is_active, conn.in_transaction) == (False, False)
    assert values(server, tbl) == ["first", "a"]

    transaction = await conn.begin()
    await conn.execute(tbl.delete())
    await transaction.rollback()
    await transaction.rollback()
    assert conn.in_transaction is False
    assert values(server, tbl) == ["first", "a"]
    with pytest.raises(InvalidRequestError, match="This transaction is inactive"):
        await transaction.commit()


async def test_context_managers(conn: SAConnection, server: Server, tbl: sa.Table) -> None:
    async with conn.begin() as transaction:
        await conn.execute(tbl.insert().values(val="a"))
        assert transaction.is_active
    assert values(server, tbl) == ["first", "a"]

    async def fail() -> None:
        async with conn.begin():
            await conn.execute(tbl.delete())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with await conn.begin() as transaction:
        await conn.execute(tbl.delete())
        await transaction.rollback()
    assert values(server, tbl) == ["first", "a"]
    assert not conn.in_transaction


async def test_transaction_within_a_transaction(
    conn: SAConnection, server: Server, tbl: sa.Table
) -> None:
    outer = await conn.begin()
    async with conn.begin() as inner:
        assert type(inner) is Transaction
        await conn.execute(tbl.insert().values(val="a"))
    assert outer.is_active
    assert values(server, tbl) == ["first"]
    await outer.commit()
    assert values(server, tbl) == ["first", "a"]

    outer, inner = await conn.begin(), await conn.begin()
    await inner.close()
    assert (outer.is_active, inner.is_active) == (True, False)
    inner = await conn.begin()
    await inner.rollback()
    assert (outer.is_active, inner.is_active, conn.in_transaction) == (False, False, False)
    with pytest.raises(InvalidRequestError, match="inactive"):
        await outer.commit()
    await outer.close()


async def test_savepoints(conn: SAConnection, server: Server, tbl: sa.Table) -> None:
    async def fail() -> None:
        async with conn.begin_nested():
            await conn.execute(tbl.insert().values(val="b"))
            async with conn.begin_nested():
                await conn.execute(tbl.insert().values(val="c"))
            raise ZeroDivisionError

    async with conn.begin() as outer:
        async with conn.begin_nested() as savepoint:
            assert isinstance(savepoint, NestedTransaction)
            await conn.execute(tbl.insert().values(val="a"))
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert outer.is_active
        assert conn.in_transaction
    assert values(server, tbl) == ["first", "a"]


@pytest.mark.parametrize("begin", ["begin", "begin_nested"])
async def test_ended_twice(conn: SAConnection, server: Server, tbl: sa.Table, begin: str) -> None:
    """The end of the outermost one decides, as in classic aiomysql."""
    outer = await conn.begin()
    inner = await getattr(conn, begin)()
    await conn.execute(tbl.insert().values(val="a"))
    for end in (inner.commit, inner.close, inner.commit):
        await end()
        assert (outer.is_active, inner.is_active) == (True, False)
    await outer.commit()
    assert values(server, tbl) == ["first", "a"]
    with pytest.raises(InvalidRequestError, match="inactive"):
        await inner.commit()

    outer = await conn.begin()
    inner = await getattr(conn, begin)()
    await conn.execute(tbl.insert().values(val="b"))
    await inner.commit()
    await inner.rollback()  # of a savepoint there is nothing left to roll back
    assert outer.is_active == conn.in_transaction == (begin == "begin_nested")
    await outer.close()
    assert values(server, tbl) == ["first", "a"]


async def test_savepoint_whose_work_is_lost(conn: SAConnection) -> None:
    """It can't be committed, unlike in classic aiomysql: nobody is to believe that it was."""
    outer = await conn.begin()
    savepoint = await conn.begin_nested()
    await savepoint.rollback()
    with pytest.raises(InvalidRequestError, match="inactive"):
        await savepoint.commit()
    savepoint = await conn.begin_nested()
    await conn.execute(f"RELEASE SAVEPOINT {savepoint._savepoint}")  # type: ignore[attr-defined]
    with pytest.raises(OperationalError, match="SAVEPOINT"):
        await savepoint.commit()
    with pytest.raises(InvalidRequestError, match="inactive"):
        await savepoint.commit()
    await outer.rollback()


async def test_outermost_end_ends_all(conn: SAConnection, server: Server, tbl: sa.Table) -> None:
    outer = await conn.begin()
    savepoint = await conn.begin_nested()
    within = await conn.begin()
    await conn.execute(tbl.delete())
    await outer.rollback()
    assert not any(transaction.is_active for transaction in (outer, savepoint, within))
    with pytest.raises(InvalidRequestError, match="inactive"):
        await savepoint.commit()
    await within.rollback()
    assert values(server, tbl) == ["first"]


async def test_begin_nested_alone_is_a_transaction(conn: SAConnection) -> None:
    async with conn.begin_nested() as transaction:
        assert isinstance(transaction, RootTransaction)
    assert not conn.in_transaction


async def test_two_phases(conn: SAConnection, server: Server, tbl: sa.Table) -> None:
    async with conn.begin_twophase() as transaction:
        assert isinstance(transaction, TwoPhaseTransaction)
        await conn.execute(tbl.insert().values(val="a"))
        await transaction.prepare()
        assert transaction.xid in await conn.recover_twophase()
    assert values(server, tbl) == ["first", "a"]
    async with conn.begin_twophase(f"sa-{os.getpid()}-{id(conn)}") as transaction:
        await conn.execute(tbl.insert().values(val="b"))
    assert values(server, tbl) == ["first", "a", "b"]
    for prepare in (True, False):
        transaction = await conn.begin_twophase()
        await conn.execute(tbl.delete())
        if prepare:
            await transaction.prepare()
        await transaction.rollback()
        assert not conn.in_transaction
        assert transaction.xid not in await conn.recover_twophase()
    assert values(server, tbl) == ["first", "a", "b"]


async def test_prepared_transactions_by_id(
    conn: SAConnection, server: Server, tbl: sa.Table
) -> None:
    transaction = await conn.begin_twophase()
    await conn.execute(tbl.insert().values(val="a"))
    await transaction.prepare()
    await conn.commit_prepared(transaction.xid)
    assert not conn.in_transaction
    transaction = await conn.begin_twophase()
    await conn.execute(tbl.insert().values(val="b"))
    await conn.rollback_prepared(transaction.xid, is_prepared=False)
    assert not conn.in_transaction
    assert values(server, tbl) == ["first", "a"]
    with pytest.raises(OperationalError, match="XAER_NOTA"):
        await conn.rollback_prepared("no such id")


async def test_two_phases_within_a_transaction(conn: SAConnection) -> None:
    async with conn.begin():
        with pytest.raises(InvalidRequestError, match="already in progress"):
            await conn.begin_twophase()


async def test_lost_connection(conn: SAConnection, server: Server) -> None:
    assert conn.connection is not None
    transaction = await conn.begin()
    server.execute(f"KILL {conn.connection.thread_id()}")
    with pytest.raises(OperationalError):
        await conn.scalar("SELECT 1")
    await transaction.rollback()
    assert conn.closed
    assert not conn.in_transaction
