"""The asyncio side of a connection: socket, receive buffer, flow control, TLS upgrade.

It moves bytes between the transport and the protocol session and parses none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import cast

from aiomysql_protocol.exchanges import Exchange
from aiomysql_protocol.framing import SMALLEST_BUFFER
from aiomysql_protocol.session import Session

#: Size of the receive buffer in bytes.
_BUFFER_SIZE = 1 << 18
assert _BUFFER_SIZE >= 2 * SMALLEST_BUFFER


class Stream(asyncio.BufferedProtocol):
    """Joins an asyncio transport and a session."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        #: The event loop.
        self.loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        #: Bytes that have come so far.
        self.received = 0
        self._end = 0  # bytes in the buffer that the session has not consumed
        self._reading_paused = False
        self._write_resumed: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] = loop.create_future()

    # -- for the connection ----------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Is the stream of no more use: closed, lost, or its session broken?"""
        transport = self._transport
        return (
            self._lost.done()
            or self.session.error is not None
            or transport is None
            or transport.is_closing()
        )

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; None before there is one and after it is lost."""
        return self._transport

    def start(self, exchange: Exchange) -> None:
        """Start `exchange` and send its request; raises the session's error if that is broken."""
        self.session.start(exchange)
        self.flush()

    async def wait(self, exchange: Exchange) -> None:
        """Wait until `exchange` has news, or is done."""
        if exchange.take_news():
            return
        if not self.session.paused:
            self.resume()
        waiter = self.loop.create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        exchange.wake = wake
        try:
            await waiter
        finally:
            exchange.wake = None

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> None:
        """Encrypt the connection.

        Raises ssl.SSLError or OSError when the handshake fails.
        """
        assert self._transport is not None
        if self._end:
            raise ssl.SSLError("the server sent data before the TLS handshake")
        transport = await self.loop.start_tls(
            self._transport, self, context, server_hostname=server_hostname
        )
        if transport is None:
            raise ConnectionResetError("connection closed during the TLS handshake")
        self._transport = transport

    def flush(self) -> None:
        """Send what the session has to send."""
        data = self.session.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    def resume(self) -> None:
        """Read on after a pause."""
        if self._reading_paused:
            self._reading_paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    @property
    def writing_paused(self) -> bool:
        """Does the transport hold more than it should of what was written?"""
        return self._write_resumed is not None

    async def drain(self) -> None:
        """Wait until the transport takes more bytes."""
        if self._write_resumed is not None:
            await asyncio.shield(self._write_resumed)

    def close(self) -> None:
        """Close after what was written is sent; nothing is read any more."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._transport.close()

    def abort(self) -> None:
        """Close at once, throwing away what is not sent."""
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the transport is closed."""
        await asyncio.shield(self._lost)

    def set_socket_options(self) -> None:
        """Small requests at once, and notice peers that vanish (TCP only)."""
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    # -- asyncio.BufferedProtocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._end :] if self._end else self._view

    def buffer_updated(self, nbytes: int) -> None:
        self.received += nbytes
        end = self._end + nbytes
        session = self.session
        consumed = session.receive(self._buffer, 0, end)
        left = end - consumed
        if left and consumed:
            self._view[:left] = self._view[consumed:end]
        self._end = left
        self.flush()
        if session.error is not None:
            self.abort()
        elif session.paused and not self._reading_paused and self._transport is not None:
            self._transport.pause_reading()
            self._reading_paused = True

    def eof_received(self) -> bool:
        self.session.connection_lost()
        return False  # the transport closes itself

    def connection_lost(self, exc: BaseException | None) -> None:
        self.session.connection_lost(exc)
        transport, self._transport = self._transport, None
        if transport is not None and not transport.is_closing():
            transport.abort()
        if self._write_resumed is not None and not self._write_resumed.done():
            self._write_resumed.set_result(None)
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        self._write_resumed = self.loop.create_future()

    def resume_writing(self) -> None:
        if self._write_resumed is not None and not self._write_resumed.done():
            self._write_resumed.set_result(None)
        self._write_resumed = None
