"""What the proxies between a client and a server have in common: a proxy says what it passes on.

class Plain(Proxy):
    async def serve(self, sock):
        async with connected(*self.target) as (far_reader, far_writer):
            async with accepted(sock) as (reader, writer):
                await either(pass_on(far_reader, writer), pass_on(reader, far_writer))
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from pymysql.constants import CLIENT

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens on 127.0.0.1, in front of a server."""

    def __init__(self, host: str, port: int) -> None:
        """host, port: the server's."""
        self.target = host, port
        self.port = 0
        """Where it listens, once it does."""
        self.connections = 0
        """How many clients there were."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self._listener = socket.socket()

    async def __aenter__(self) -> Self:
        self._listener.setblocking(False)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._begin(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all connections.  Raises what went wrong in the proxy itself."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Not before the loop has done with it: its descriptor may be another's at once.
        self._listener.close()
        for fault in self._faults:
            raise fault

    async def serve(self, sock: socket.socket) -> None:
        """Serve one client, until either side ends it; the socket is closed afterwards."""
        raise NotImplementedError

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._faults.append(fault)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            sock.setblocking(False)
            self.connections += 1
            self._begin(self._serve(sock))

    async def _serve(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self.serve(sock)
        finally:
            sock.close()


async def either(*ways: Coroutine[Any, Any, None]) -> None:
    """Run all at once until one of them ends, and give up the others.  Raises what that one did."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pass_on(
    source: asyncio.StreamReader,
    target: asyncio.StreamWriter,
    seen: Callable[[bytes], object] = lambda data: None,
) -> None:
    """Pass bytes on until the source has no more; seen: is called with them first, in the end too.

    An end that breaks ends it as well.
    """
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            seen(data)
            await send(target, data)
    seen(b"")


async def send(target: asyncio.StreamWriter, data: bytes) -> None:
    """Write, and wait until there is room for more.  Raises OSError at a connection that ended."""
    if target.is_closing():
        raise BrokenPipeError
    target.write(data)
    await target.drain()


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The sequence id and the payload of the next packet, or of its first 16 MiB."""
    header = await reader.readexactly(4)
    return header[3], await reader.readexactly(int.from_bytes(header[:3], "little"))


def asks_for_tls(payload: bytes) -> bool:
    """Whether this, a client's first packet, is an SSLRequest: all after it is encrypted."""
    return len(payload) == 32 and bool(int.from_bytes(payload[:4], "little") & CLIENT.SSL)


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Ends]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        await _close(writer)


@contextlib.asynccontextmanager
async def accepted(
    sock: socket.socket, context: ssl.SSLContext | None = None
) -> AsyncIterator[Ends]:
    """The connection of a client; context: it is encrypted from here on."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=context)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        yield reader, writer
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
