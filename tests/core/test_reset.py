"""`Connection.reset`: what the session forgets, and what is as asked for in `connect` again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiomysql_core import Connection, OperationalError, SSCursor, connect
from tests.scripted import error, frame, ok, open_session, read_packet, scripted_server
from tests.servers import Server


async def row(connection: Connection, sql: str) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(sql)
        return await cursor.fetchone()


STATE = "SELECT @@character_set_client, @@collation_connection, @@sql_mode, @@autocommit, @a"


async def test_what_the_options_ask_for_is_restored(connect_args: dict[str, Any]) -> None:
    async with connect(
        **connect_args,
        charset="utf8mb4",
        collation="utf8mb4_bin",
        sql_mode="ANSI_QUOTES",
        init_command="SET @a = 7",
        autocommit=True,
    ) as connection:
        number = connection.thread_id()
        before = await row(connection, STATE)
        assert before[1:] == ("utf8mb4_bin", "ANSI_QUOTES", 1, 7)
        await connection.set_charset("latin1")
        await connection.autocommit(False)
        await connection.query("SET sql_mode='NO_BACKSLASH_ESCAPES', @a = 1")
        assert (await row(connection, STATE))[1:] != before[1:]
        await connection.reset()
        assert await row(connection, STATE) == before
        assert (connection.charset, connection.get_autocommit()) == ("utf8mb4", True)
        assert await row(connection, "SELECT CONNECTION_ID(), '\\'ä'") == (number, "'ä")


async def test_what_the_session_forgets(connection: Connection, server: Server) -> None:
    await connection.query("SET @b = 1, SESSION lock_wait_timeout = 7")
    await connection.query("CREATE TEMPORARY TABLE to_be_gone (a INT)")
    await connection.query("DO GET_LOCK('reset', 0)")
    await connection.begin()
    await connection.query("USE information_schema")
    assert not connection.is_reusable
    await connection.reset()
    assert connection.is_reusable
    assert await row(connection, "SELECT @b, DATABASE(), IS_FREE_LOCK('reset')") == (
        None,
        server.database,
        1,
    )
    assert (await row(connection, "SELECT @@lock_wait_timeout"))[0] != 7
    with pytest.raises(connection.ProgrammingError):
        await connection.query("SELECT * FROM to_be_gone")


async def test_reset_with_rows_left_unread(connection: Connection) -> None:
    cursor = await connection.cursor(SSCursor)
    await cursor.execute("SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 100")
    assert not connection.is_reusable
    with pytest.warns(UserWarning, match="left incomplete"):
        await connection.reset()
    assert connection.is_reusable
    assert await row(connection, "SELECT 3") == (3,)


async def test_a_server_that_cannot_reset() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_session(reader, writer)
        assert await read_packet(reader) == b"\x1f"
        writer.write(frame(error(1047, "Unknown command", "08S01"), 1))
        await reader.read()

    async with scripted_server(handler) as port:
        connection = await connect(host="127.0.0.1", port=port, user="u")
        with pytest.raises(OperationalError, match="1047"):
            await connection.reset()
        assert connection.closed
        assert not connection.is_reusable


@pytest.mark.parametrize("db", [None, "shop"])
async def test_all_goes_out_at_once(db: str | None) -> None:
    """The server answers when it has everything: one round trip."""
    seen: list[bytes] = []
    count = 2 if db is None else 3

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_session(reader, writer)
        for _ in range(2):
            seen[:] = [await read_packet(reader) for _ in range(count)]
            writer.write(frame(ok(), 1) * count)
        await reader.read()

    async with scripted_server(handler) as port:
        connection = await connect(
            host="127.0.0.1", port=port, user="u", db=db, autocommit=True, sql_mode="ANSI"
        )
        for _ in range(2):
            await connection.reset()
        assert connection.is_reusable
        connection.close()
    expected = [b"\x1f", b"\x03SET NAMES utf8mb4, autocommit = 1, sql_mode = 'ANSI'", b"\x02shop"]
    assert seen == expected[:count]


async def test_an_error_behind_the_reset() -> None:
    """It is the first one that is raised, and the connection is closed."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_session(reader, writer)
        for _ in range(3):
            await read_packet(reader)
        refusals = [frame(error(number, "no"), 1) for number in (1231, 1049)]
        writer.write(frame(ok(), 1) + b"".join(refusals))
        await reader.read()

    async with scripted_server(handler) as port:
        connection = await connect(host="127.0.0.1", port=port, user="u", db="d", sql_mode="x")
        with pytest.raises(OperationalError, match="1231"):
            await connection.reset()
        assert connection.closed
