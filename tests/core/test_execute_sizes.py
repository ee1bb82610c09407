"""Requests and responses of every size."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from aiomysql_core import InterfaceError, QueryTimeout, connect
from tests import scripted
from tests.core.statements import rows, sizes
from tests.scripted_tls import CLIENT_OPTIONS
from tests.servers import Server

pytestmark = pytest.mark.tls

FRAME = (1 << 24) - 1
QUIT = b"\x01"


def options(over_tls: bool) -> dict[str, Any]:
    """Of connections to scripted servers."""
    return {"autocommit": None, **(CLIENT_OPTIONS if over_tls else {})}


async def narrow(host: str, port: int, size: int = 4096) -> socket.socket:
    """A socket that takes little at once."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, port))
    return sock


@pytest.mark.slow
@sizes
async def test_requests_sent_in_parts(
    server: Server, connect_args: dict[str, Any], size: int
) -> None:
    sock = await narrow(server.host, server.port)
    async with connect(**connect_args, stmt_cache_size=size, sock=sock) as connection:
        cursor = await connection.cursor()
        await cursor.execute("SELECT LENGTH(%s)", ("q",))
        for length in (10, 5_000, 16_380, 16_390, 300_000, 5_000_000):
            assert await rows(cursor, "SELECT LENGTH(%s)", ("q" * length,)) == [(length,)]


@sizes
async def test_requests_of_16_mib(connect_args: dict[str, Any], size: int) -> None:
    """One frame that is nearly full, the first two that are not alone, and many."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        query = "SELECT LENGTH(%s), %s"
        await cursor.execute(query, ("", "a"))
        around = len("\x03SELECT LENGTH(''), 'a'") if not size else 10 + 1 + 1 + 4 + 4 + 2
        for more in (-2, -1, 0, 1, 5_000):
            length = FRAME - around + more
            assert await rows(cursor, query, ("q" * length, "a")) == [(length, "a")]


@sizes
async def test_responses_of_16_mib(connect_args: dict[str, Any], size: int) -> None:
    """A cell that just fits in a frame, those that don't, alone and among others."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        query = "SELECT 'before', REPEAT('q', %s), 'after'"
        await cursor.execute(query, (1,))
        for length in (FRAME - 100, FRAME, FRAME + 1, (1 << 24) + 70_000):
            (row,) = await rows(cursor, query, (length,))
            assert (row[0], len(row[1]), row[2]) == ("before", length, "after")
            assert row[1] == "q" * length
            assert await rows(cursor, "SELECT %s", ("1",)) == [("1",)]


async def test_a_peer_that_reads_nothing(over_tls: bool) -> None:
    """What can't be sent waits; the time that the statement may take goes on."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await asyncio.sleep(60)

    async with scripted.scripted_server(handler, tls=over_tls) as port:
        for timed in (True, False):
            connection = await connect(host="127.0.0.1", port=port, **options(over_tls))
            cursor = await connection.cursor()
            work = cursor.execute("SELECT %s", ("q" * 12_000_000,), timeout=0.2 if timed else None)
            began = time.monotonic()
            if timed:
                with pytest.raises(QueryTimeout, match="argument 'timeout'"):
                    await work
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(work, 0.2)
            assert time.monotonic() - began < 5
            assert connection.closed
            with pytest.raises(InterfaceError):
                await cursor.execute("SELECT 1")


async def test_write_timeout(over_tls: bool) -> None:

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        writer.write(scripted.frame(scripted.ok(), 1))
        await asyncio.sleep(60)

    async with scripted.scripted_server(handler, tls=over_tls) as port:
        where: dict[str, Any] = {"host": "127.0.0.1", "port": port, **options(over_tls)}
        connection = await connect(**where, write_timeout=0.3)
        cursor = await connection.cursor()
        assert await cursor.execute("DO 1") == 0
        with pytest.raises(QueryTimeout, match="option 'write_timeout'"):
            await cursor.execute("SELECT %s", ("q" * 12_000_000,))
        assert connection.closed


async def test_a_peer_that_reads_late(over_tls: bool) -> None:
    """The rest goes out when it can, in order and only once."""
    statement = "SELECT '" + "".join(f"{number:07}" for number in range(100_000)) + "'"
    received: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await asyncio.sleep(0.2)
        for _ in range(2):
            received.append(await scripted.read_packet(reader))
            writer.write(scripted.frame(scripted.ok(affected_rows=3), 1))
        assert await scripted.read_packet(reader) == QUIT

    async with scripted.scripted_server(handler, tls=over_tls) as port:
        sock = await narrow("127.0.0.1", port)
        async with connect(sock=sock, **options(over_tls)) as connection, asyncio.timeout(20):
            cursor = await connection.cursor()
            assert await cursor.execute(statement) == 3
            assert await cursor.execute("DO 1") == 3
    assert received == [b"\x03" + statement.encode(), b"\x03DO 1"]


@pytest.mark.slow
async def test_answered_before_all_is_sent(over_tls: bool) -> None:
    """The statement after it goes out behind, and each has its own response."""
    received = bytearray()
    read_on = asyncio.Event()
    statement = "SELECT '" + "q" * 2_000_000 + "'"

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        received.extend(await reader.readexactly(1000))
        writer.write(scripted.frame(scripted.ok(affected_rows=1), 1))
        await read_on.wait()
        received.extend(await reader.readexactly(len(statement) + 5 - 1000))
        assert await scripted.read_packet(reader) == b"\x03DO 2"
        writer.write(scripted.frame(scripted.ok(affected_rows=2), 1))
        assert await scripted.read_packet(reader) == QUIT

    async with scripted.scripted_server(handler, tls=over_tls) as port:
        sock = await narrow("127.0.0.1", port)
        async with connect(sock=sock, **options(over_tls)) as connection, asyncio.timeout(20):
            cursor = await connection.cursor()
            asyncio.get_running_loop().call_later(0.3, read_on.set)
            assert await cursor.execute(statement) == 1
            assert await cursor.execute("DO 2") == 2
    assert received[5:] == statement.encode()
