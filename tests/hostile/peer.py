"""A server that follows a script of bytes, and keeps what it was told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tests import scripted

PASSWORD = "s3cret-w0rd-that-nobody-gets"
FILE = b"the content of a file that nobody asked for\n"


@dataclass
class Peer:
    """What the client did."""

    port: int = 0
    tls: bool = False
    """Whether it asks for TLS after its greeting; what is kept is as it was before encryption."""
    received: bytearray = field(default_factory=bytearray)
    sent: int = 0
    """Bytes of the last step that were sent again and again."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether a client's connection is over."""


@dataclass(frozen=True)
class Script:
    """What the server sends: at once, and then after each packet of the client."""

    steps: Sequence[bytes]
    hang_up: bool = False
    """Whether it closes the connection after that; else it listens until the client does."""
    repeated: bool = False
    """Whether the last step comes again and again, unasked."""


@contextlib.asynccontextmanager
async def playing(script: Script, *, tls: bool = False) -> AsyncIterator[Peer]:
    """Play `script` to each client; the last step is sent whole before anything else is read.

    tls: whether all after the greeting is encrypted.
    """
    peer = Peer(tls=tls)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for number, step in enumerate(script.steps):
                if number:
                    header = await reader.readexactly(4)
                    length = int.from_bytes(header[:3], "little")
                    peer.received += header + await reader.readexactly(length)
                writer.write(step)
                await writer.drain()
            while script.repeated:
                writer.write(script.steps[-1])
                await writer.drain()
                peer.sent += len(script.steps[-1])
                await asyncio.sleep(0)
            while not script.hang_up and (data := await reader.read(1 << 16)):
                peer.received += data
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            peer.received += getattr(error, "partial", b"")
        finally:
            peer.ended.set()

    async with scripted.scripted_server(handle, tls=tls) as port:
        peer.port = port
        yield peer


def assert_nothing_given_away(peer: Peer) -> None:
    """Neither the password nor a file's content was sent."""
    assert PASSWORD.encode() not in peer.received
    assert FILE not in peer.received
