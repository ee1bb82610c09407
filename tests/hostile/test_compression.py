"""Hostile servers that compress: a DB-API error, and the connection closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymysql.constants import CLIENT

from aiomysql_core import Connection, Cursor, MySQLError, SSCursor, connect
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from tests import scripted
from tests.compressed import compressed_frames, stored
from tests.hostile.compression_scripts import HOSTILE
from tests.hostile.peer import FILE, PASSWORD
from tests.hostile.response_scripts import RESPONSES
from tests.hostile.test_responses import PATIENT, everything

CAPABILITIES = scripted.CAPABILITIES | CLIENT.COMPRESS


async def read_compressed(reader: asyncio.StreamReader) -> bytes:
    """The content of the client's next frame."""
    header = await reader.readexactly(7)
    return await reader.readexactly(int.from_bytes(header[:3], "little"))


@contextlib.asynccontextmanager
async def answering(
    response: bytes, *, flags: int = 0, hang_up: bool = False, repeated: bool = False
) -> AsyncIterator[Connection]:
    """A connection to a server that lets it in, and answers anything with `response`."""
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = scripted.greeting(capabilities=CAPABILITIES | flags)
        answer = await scripted.accept_login(reader, writer, hello)
        assert int.from_bytes(answer[:4], "little") & CLIENT.COMPRESS
        await read_compressed(reader)  # SET NAMES
        writer.write(stored(scripted.frame(scripted.ok(), 1), 1))
        await read_compressed(reader)
        writer.write(response)
        while repeated:
            await writer.drain()
            writer.write(response)
        while not hang_up and (data := await reader.read(1 << 16)):
            received.extend(data)

    async with scripted.scripted_server(serve) as port:
        connection = await connect(
            host="127.0.0.1",
            port=port,
            user="u",
            password=PASSWORD,
            autocommit=None,
            local_infile=True,
            compression="zlib",
            **PATIENT,
        )
        try:
            yield connection
        finally:
            connection.close()
    assert FILE not in received


async def refused(connection: Connection, words: str, cursorclass: type[Cursor] = Cursor) -> None:
    with pytest.raises(MySQLError, match=words):
        await everything(connection, cursorclass)
    assert connection.closed
    assert not connection.busy


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_frames(name: str) -> None:
    data, words = HOSTILE[name]
    async with answering(data) as connection:
        await refused(connection, f"{words}|gone away")


@pytest.mark.parametrize("name", RESPONSES)
async def test_hostile_response_within_frames(name: str) -> None:
    """What is refused without compression is refused with it."""
    case = RESPONSES[name]
    number = list(RESPONSES).index(name)
    data = compressed_frames(case.data, size=(100, 1 << 16)[number % 2])
    flags = DEPRECATE_EOF if case.deprecate_eof else 0
    async with answering(data, flags=flags, hang_up=case.hang_up) as connection:
        cursorclass: Any = (Cursor, SSCursor)[number // 2 % 2]
        await refused(connection, case.words, cursorclass)


@pytest.mark.parametrize("data", [b"\0" * 7, stored(b"\0", 1)])
async def test_frames_for_ever(data: bytes) -> None:
    async with answering(data, repeated=True) as connection:
        await refused(connection, "empty compressed packet|sequence number wrong")
