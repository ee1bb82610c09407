"""The scripted peer itself: a real client has to find its good responses good."""

from __future__ import annotations

import asyncio
import contextlib

import pymysql
import pytest

from tests.scripted import (
    accept_login,
    error,
    frame,
    frames,
    ok,
    read_packet,
    scripted_server,
    silent,
)

COM_QUIT = b"\x01"


def login(port: int) -> None:
    """Log in by PyMySQL and out again."""
    with pymysql.connect(host="127.0.0.1", port=port, user="x", autocommit=None) as connection:
        connection.ping()


async def test_a_real_client_can_log_in() -> None:
    commands: list[bytes] = []
    ended = asyncio.Event()

    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_login(reader, writer)
        while (command := await read_packet(reader)) != COM_QUIT:
            commands.append(command)
            writer.write(frames(ok()))
        ended.set()

    async with scripted_server(polite) as port:
        await asyncio.to_thread(login, port)
        await asyncio.wait_for(ended.wait(), 5)
    assert commands[-1] == b"\x0e"


async def test_a_real_client_understands_an_error() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(error(1040, "Too many connections", "08004"), 0))

    async with scripted_server(refuse) as port:
        with pytest.raises(pymysql.OperationalError, match=r"1040, .Too many connections"):
            await asyncio.to_thread(login, port)


async def test_a_handlers_failure_is_not_lost() -> None:
    async def fail(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise AssertionError("unexpected command")

    async def converse() -> None:
        async with scripted_server(fail) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    with pytest.raises(AssertionError, match="unexpected command"):
        await converse()


async def test_a_silent_server_ends_with_the_block() -> None:
    async with scripted_server(silent) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello?")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("turns", range(4))
async def test_a_client_that_was_hardly_accepted_is_not_waited_for(turns: int) -> None:
    async with asyncio.timeout(10):
        async with scripted_server(silent) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(turns):
                await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
