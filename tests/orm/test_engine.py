"""AsyncEngine: isolation levels, and connections that die."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.orm.conftest import MakeEngine
from tests.scripted import scripted_server
from tests.servers import Server

LEVELS = ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


async def level(conn: AsyncConnection) -> Any:
    """What the server itself says."""
    # MariaDB knows this name since 11.1.
    try:
        return await conn.scalar(sa.text("SELECT @@transaction_isolation"))
    except OperationalError:
        return await conn.scalar(sa.text("SELECT @@tx_isolation"))


async def driver_connection(conn: AsyncConnection) -> Any:
    return (await conn.get_raw_connection()).driver_connection


async def test_dialect(engine: AsyncEngine, server: Server) -> None:
    async with engine.connect() as conn:
        assert engine.dialect.name == server.kind
        assert engine.dialect.driver == "aiomysql"
        assert conn.dialect.server_version_info is not None
        assert conn.dialect.server_version_info[:3] == server.version
        assert type(await driver_connection(conn)).__module__ == "aiomysql_core.connection"


@pytest.mark.parametrize("name", LEVELS)
async def test_isolation_level(make_engine: MakeEngine, name: str) -> None:
    engine = make_engine(isolation_level=name, pool_size=1, max_overflow=0)
    async with engine.connect() as conn:
        assert await level(conn) == name.replace(" ", "-")
        assert await conn.get_isolation_level() == name
    other = LEVELS[LEVELS.index(name) - 1]
    async with engine.connect() as conn:
        await conn.execution_options(isolation_level=other)
        assert await level(conn) == other.replace(" ", "-")
    async with engine.connect() as conn:  # the pool has set it back
        assert await level(conn) == name.replace(" ", "-")


async def test_autocommit(make_engine: MakeEngine, server: Server, table_name: str) -> None:
    server.execute(f"CREATE TABLE {table_name} (n INT)")
    engine = make_engine(pool_size=1, max_overflow=0)
    insert = sa.text(f"INSERT INTO {table_name} VALUES (1)")
    async with engine.connect() as conn:
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        await conn.execute(insert)
        assert len(server.execute(f"SELECT * FROM {table_name}")) == 1
    async with engine.connect() as conn:
        assert not (await driver_connection(conn)).get_autocommit()
        await conn.execute(insert)
        assert len(server.execute(f"SELECT * FROM {table_name}")) == 1
        await conn.commit()
    assert len(server.execute(f"SELECT * FROM {table_name}")) == 2


async def test_pre_ping(make_engine: MakeEngine, server: Server) -> None:
    engine = make_engine(pool_pre_ping=True, pool_size=2)
    async with engine.connect() as one, engine.connect() as two:
        ids = [(await driver_connection(conn)).thread_id() for conn in (one, two)]
    for number in ids:
        server.execute(f"KILL {number}")
    for _ in range(2):
        async with engine.connect() as conn:
            assert await conn.scalar(sa.text("SELECT 42")) == 42
            assert (await driver_connection(conn)).thread_id() not in ids


async def kill(conn: AsyncConnection, server: Server) -> None:
    """The server ends the session while nothing is asked of it."""
    server.execute(f"KILL {(await driver_connection(conn)).thread_id()}")
    await asyncio.sleep(0.05)


async def kill_unseen(conn: AsyncConnection, server: Server) -> None:
    """The server ends the session, and the client has no time to see it."""
    server.execute(f"KILL {(await driver_connection(conn)).thread_id()}")


async def kill_in_query(conn: AsyncConnection, server: Server) -> None:
    """The server ends the session in the middle of a query."""
    number = (await driver_connection(conn)).thread_id()
    asyncio.get_running_loop().call_later(0.1, server.execute, f"KILL {number}")
    await conn.execute(sa.text("SELECT SLEEP(10)"))


async def close(conn: AsyncConnection, server: Server) -> None:
    """The driver's connection was closed by hand."""
    (await driver_connection(conn)).close()


async def cut(conn: AsyncConnection, server: Server) -> None:
    """The network is gone."""
    (await driver_connection(conn)).runner.abort()


async def wait_timeout(conn: AsyncConnection, server: Server) -> None:
    """The server finds the session idle for too long."""
    await conn.execute(sa.text("SET SESSION wait_timeout = 1"))
    await asyncio.sleep(1.5)


Death = Callable[[AsyncConnection, Server], Awaitable[None]]


@pytest.mark.slow
@pytest.mark.parametrize("death", [kill, kill_unseen, kill_in_query, close, cut, wait_timeout])
async def test_lost_connection(make_engine: MakeEngine, server: Server, death: Death) -> None:
    engine = make_engine(pool_size=1, max_overflow=0)
    conn = await engine.connect()
    lost = await driver_connection(conn)

    async def die() -> None:
        await death(conn, server)
        await conn.execute(sa.text("SELECT 1"))

    with pytest.raises(DBAPIError) as caught:
        await die()
    assert isinstance(caught.value, (OperationalError, InterfaceError))
    assert caught.value.connection_invalidated
    await conn.rollback()
    assert await conn.scalar(sa.text("SELECT 42")) == 42
    assert await driver_connection(conn) is not lost
    await conn.close()


async def test_read_timeout(make_engine: MakeEngine) -> None:
    engine = make_engine(connect_args={"read_timeout": 0.2}, pool_size=1, max_overflow=0)
    async with engine.connect() as conn:
        with pytest.raises(OperationalError, match="read_timeout") as caught:
            await conn.execute(sa.text("SELECT SLEEP(1)"))
        assert caught.value.connection_invalidated
        await conn.rollback()
        assert await conn.scalar(sa.text("SELECT 42")) == 42


@pytest.mark.parametrize("after", [0, 1000])
async def test_hang_up_within_an_response(
    make_engine: MakeEngine, server: Server, url: sa.URL, after: int
) -> None:
    """The line is cut after some bytes of the response to a query that says so."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(server.host, server.port)

        async def responses() -> None:
            while data := await back.read(65536):
                writer.write(data[:left] if left is not None else data)
                if left is not None:
                    break
            writer.close()

        left = None
        answering = asyncio.create_task(responses())
        try:
            while data := await reader.read(65536):
                if b"cut here" in data:
                    left = after
                forth.write(data)
        finally:
            answering.cancel()
            forth.close()

    async with scripted_server(relay) as port:
        engine = make_engine(url=url.set(port=port), pool_size=1, max_overflow=0)
        async with engine.connect() as conn:
            with pytest.raises(OperationalError) as caught:
                await conn.execute(sa.text("SELECT REPEAT('x', 100000) /* cut here */"))
            assert caught.value.connection_invalidated
            await conn.rollback()
            assert await conn.scalar(sa.text("SELECT 42")) == 42
        await engine.dispose()


async def test_errors_of_statements_keep_the_connection(engine: AsyncEngine) -> None:
    async with engine.connect() as conn:
        before = (await driver_connection(conn)).thread_id()
        for wrong in ("SELEC 1", "SELECT nope", "SELECT * FROM no_such_table"):
            with pytest.raises(DBAPIError) as caught:
                await conn.execute(sa.text(wrong))
            assert not caught.value.connection_invalidated
        assert (await driver_connection(conn)).thread_id() == before


async def test_cancelled_statement(make_engine: MakeEngine) -> None:
    engine = make_engine(pool_size=1, max_overflow=0)
    async with engine.connect() as conn:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await conn.execute(sa.text("SELECT SLEEP(1)"))
    async with engine.connect() as conn:
        assert await conn.scalar(sa.text("SELECT 42")) == 42
