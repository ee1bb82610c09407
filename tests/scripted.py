"""A TCP peer that misbehaves as told, for what no real server can be brought to do.

Within ``async with scripted_server(handler) as port`` the coroutine function `handler` responses
each connection to 127.0.0.1 at that port. A handler that refuses everybody::

    async def refuse(reader, writer):
        writer.write(frame(error(1040, "Too many connections"), 0))
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from pymysql.constants import CLIENT, SERVER_STATUS

from tests import scripted_tls

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

NONCE = bytes(range(1, 21))
# What a plain server of the day can do, without TLS and compression.
CAPABILITIES = (
    CLIENT.LONG_PASSWORD
    | CLIENT.FOUND_ROWS
    | CLIENT.LONG_FLAG
    | CLIENT.CONNECT_WITH_DB
    | CLIENT.LOCAL_FILES
    | CLIENT.PROTOCOL_41
    | CLIENT.TRANSACTIONS
    | CLIENT.SECURE_CONNECTION
    | CLIENT.MULTI_STATEMENTS
    | CLIENT.MULTI_RESULTS
    | CLIENT.PLUGIN_AUTH
    | CLIENT.CONNECT_ATTRS
    | CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
)


def frame(payload: bytes, sequence_id: int) -> bytes:
    """One packet of less than 16 MiB with its header."""
    return len(payload).to_bytes(3, "little") + bytes([sequence_id % 256]) + payload


def frames(*payloads: bytes, first: int = 1) -> bytes:
    """Several packets with consecutive sequence ids; 1 is the id of a response's first packet."""
    return b"".join(frame(payload, first + n) for n, payload in enumerate(payloads))


def greeting(
    *,
    capabilities: int = CAPABILITIES,
    plugin: str = "mysql_native_password",
    version: str = "8.4.0-scripted",
    nonce: bytes = NONCE,
) -> bytes:
    """The payload of a server's first packet (MySQL: Protocol::HandshakeV10), utf8mb4."""
    return (
        b"\x0a"
        + version.encode()
        + b"\0"
        + struct.pack("<I", 1)
        + nonce[:8]
        + b"\0"
        + struct.pack("<H", capabilities & 0xFFFF)
        + bytes([45])
        + struct.pack("<HH", SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT, capabilities >> 16)
        + bytes([len(nonce) + 1])
        + bytes(10)
        + nonce[8:]
        + b"\0"
        + plugin.encode()
        + b"\0"
    )


def ok(*, status: int = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT, affected_rows: int = 0) -> bytes:
    """The payload of an OK packet (MySQL: OK_Packet), for up to 250 rows."""
    return struct.pack("<BBBHH", 0, affected_rows, 0, status, 0)


def error(code: int, message: str, state: str = "HY000") -> bytes:
    """The payload of an ERR packet (MySQL: ERR_Packet)."""
    return struct.pack("<BH", 0xFF, code) + b"#" + state.encode() + message.encode()


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    """The payload of the client's next packet of less than 16 MiB."""
    header = await reader.readexactly(4)
    return await reader.readexactly(int.from_bytes(header[:3], "little"))


async def accept_login(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: bytes | None = None
) -> bytes:
    """Greet and let any client in; returns the payload of its handshake response."""
    writer.write(frame(greeting() if hello is None else hello, 0))
    response = await read_packet(reader)
    writer.write(frame(ok(), 2))
    return response


async def open_session(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: bytes | None = None
) -> bytes:
    """Let any client in and accept the settings with which ours begins a session.

    Returns the payload of the handshake response.
    """
    response = await accept_login(reader, writer, hello)
    settings = await read_packet(reader)
    assert settings.startswith(b"\x03SET NAMES "), settings
    writer.write(frame(ok(), 1))
    return response


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A handler that accepts and never says anything, until the client goes."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


@contextlib.asynccontextmanager
async def scripted_server(handler: Handler, *, tls: bool = False) -> AsyncIterator[int]:
    """Serve each connection with `handler`, closing it when it returns; gives the port.

    tls: whether it offers and speaks TLS; CLIENT_OPTIONS of `scripted_tls` are for its clients.
    A handler may meet the end of its connection.  Any other exception in one is raised at the
    end of the block; handlers that still run then are cancelled.
    """
    tasks: list[asyncio.Task[None]] = []
    writers: list[asyncio.StreamWriter] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer)
                await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if ended.is_set():
            # It was still in the queue of the listening socket, and would be waited for.
            writer.transport.abort()
            return
        if tls:
            reader, writer = scripted_tls.over_tls(reader, writer)
        writers.append(writer)
        tasks.append(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ended.set()
        server.close()
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            # For those whose task was cancelled before it began.
            writer.close()
        await server.wait_closed()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
