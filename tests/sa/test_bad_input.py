"""What must not be done is refused by an exception that names the thing."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.schema import CreateTable

from aiomysql_core import DatabaseError, OperationalError, ProgrammingError
from aiomysql_sa import (
    ArgumentError,
    InvalidRequestError,
    NoSuchColumnError,
    ResourceClosedError,
    SAConnection,
    create_engine,
)
from tests.sa.conftest import MakeEngine
from tests.servers import Server


async def test_unknown_column(conn: SAConnection, tbl: sa.Table) -> None:
    with pytest.raises(sa.exc.CompileError, match="Unconsumed column names: nope"):
        await conn.execute(tbl.insert().values(nope=1))
    with pytest.raises(sa.exc.CompileError, match="Unconsumed column names: nope"):
        await conn.execute(tbl.update().values(nope=1))
    for statement in (tbl.insert(), tbl.update()):
        with pytest.raises(ArgumentError, match=f"{tbl.name} has no column 'nope'"):
            await conn.execute(statement, [{"val": "a", "nope": 1}])
    with pytest.raises((ProgrammingError, OperationalError), match="Unknown column 'nope'"):
        await conn.execute(sa.select(sa.column("nope")).select_from(tbl))
    row = await (await conn.execute(tbl.select())).first()
    assert row is not None
    with pytest.raises(NoSuchColumnError, match="'nope'"):
        row["nope"]


async def test_closed_connection(make_engine: MakeEngine, tbl: sa.Table) -> None:
    engine = await make_engine()
    conn = await engine.acquire()
    transaction = await conn.begin()
    await transaction.rollback()
    await conn.close()
    uses = (
        lambda: conn.execute(tbl.select()),
        lambda: conn.stream(tbl.select()),
        lambda: conn.scalar(tbl.select()),
        conn.begin,
        conn.begin_nested,
        conn.begin_twophase,
        conn.recover_twophase,
    )
    for use in uses:
        with pytest.raises(ResourceClosedError, match="This Connection is closed"):
            await use()
    with pytest.raises(InvalidRequestError, match="This transaction is inactive"):
        await transaction.commit()
    await conn.close()


@pytest.mark.parametrize("begin", ["begin", "begin_nested", "begin_twophase"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_finished_transaction(conn: SAConnection, begin: str, end: str) -> None:
    transaction = await getattr(conn, begin)()
    await getattr(transaction, end)()
    with pytest.raises(InvalidRequestError, match="This transaction is inactive"):
        await transaction.commit()
    await transaction.rollback()
    await transaction.close()
    assert not conn.in_transaction
    assert await conn.scalar("SELECT 1") == 1


async def test_finished_savepoint(conn: SAConnection) -> None:
    async with conn.begin():
        savepoint = await conn.begin_nested()
        await savepoint.rollback()
        with pytest.raises(InvalidRequestError, match="This transaction is inactive"):
            await savepoint.commit()
        assert conn.in_transaction


async def test_two_phases_out_of_order(conn: SAConnection, server: Server, tbl: sa.Table) -> None:
    transaction = await conn.begin_twophase()
    with pytest.raises(InvalidRequestError, match="two phase transaction when a transaction"):
        await conn.begin_twophase()
    await conn.execute(tbl.insert().values(val="a"))
    await transaction.prepare()
    with pytest.raises(InvalidRequestError, match=f"'{transaction.xid}' is prepared already"):
        await transaction.prepare()
    await transaction.commit()
    with pytest.raises(InvalidRequestError, match="This transaction is inactive"):
        await transaction.prepare()
    assert server.execute(f"SELECT val FROM {tbl.name}") == [("first",), ("a",)]
    assert await conn.recover_twophase() == []


async def test_two_phase_ids(conn: SAConnection) -> None:
    with pytest.raises(DatabaseError):
        await conn.begin_twophase("x" * 65)
    assert not conn.in_transaction
    for finish in (conn.commit_prepared, conn.rollback_prepared):
        with pytest.raises(OperationalError, match="XAER_NOTA"):
            await finish("unknown")
    assert await conn.scalar("SELECT 1") == 1


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
async def test_dialect_of_another_server(connect_args: dict[str, Any], name: str) -> None:
    dialect = sa.engine.make_url(f"{name}://").get_dialect()()
    with pytest.raises(ArgumentError, match=f"the dialect '{name}' is not one of MySQL"):
        await create_engine(dialect=dialect, **connect_args)


async def test_paramstyle_of_another_driver(connect_args: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=r"mysql\+pymysql .* style 'qmark'"):
        await create_engine(dialect=MySQLDialect_pymysql(paramstyle="qmark"), **connect_args)


async def test_statement_compiled_for_another_server(conn: SAConnection, tbl: sa.Table) -> None:
    by_id = tbl.select().where(tbl.c.id == 1)
    with pytest.raises(ArgumentError, match="the dialect 'default' is not one of MySQL"):
        await conn.execute(by_id.compile())
    with pytest.raises(ArgumentError, match="the dialect 'sqlite' is not one of MySQL"):
        await conn.execute(CreateTable(tbl).compile(dialect=sqlite.dialect()))
    assert await conn.scalar(by_id.compile(dialect=MySQLDialect_pymysql())) == 1
