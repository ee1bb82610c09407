"""A stream over an asyncio transport: for event loops that can't watch sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any, Self, cast

from aiomysql_core.transport.stream import Stream
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.session import Session


class TransportStream(Stream, asyncio.BufferedProtocol):
    """The protocol object of an asyncio transport."""

    _transport: asyncio.Transport | None = None

    @classmethod
    async def open(
        cls,
        session: Session,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> Self:
        """A stream on `sock`, connected; with `context` encrypted.

        Raises ssl.SSLError or OSError when the handshake fails; the socket is closed then.
        """
        stream = cls(session, loop)
        name = server_hostname or "" if context is not None else None  # an empty name is none
        try:
            await loop.create_connection(
                lambda: stream, sock=sock, ssl=context, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        return stream

    @property
    def closed(self) -> bool:
        transport = self._transport
        return (
            self._ended
            or self.session.error is not None
            or transport is None
            or transport.is_closing()
        )

    def extra_info(self, name: str) -> Any:
        return self._transport.get_extra_info(name) if self._transport is not None else None

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> None:
        """Encrypt the connection.  Raises ssl.SSLError or OSError when the handshake fails."""
        assert self._transport is not None
        if self._end:
            raise OSError("the server sent data before the TLS handshake")
        transport = await self.loop.start_tls(
            self._transport, self, context, server_hostname=server_hostname
        )
        if transport is None:
            raise ConnectionResetError("connection closed during the TLS handshake")
        self._transport = transport

    def close(self) -> None:
        if self.from_parent_process:
            self._transport = None
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._transport.close()

    def abort(self) -> None:
        if self.from_parent_process:
            self._transport = None
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.abort()

    def start(self, exchange: Exchange, /) -> bool:
        if self.closed or self.from_parent_process:
            return False
        try:
            self._write(self.session.request(exchange))
        except BaseException:
            self._not_sent(exchange)
            raise
        return True

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def _pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # -- asyncio.BufferedProtocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._free_space()

    def buffer_updated(self, nbytes: int) -> None:
        self.received(nbytes)

    def eof_received(self) -> bool:
        self.session.connection_lost()
        return False  # the transport closes itself

    def connection_lost(self, exc: BaseException | None) -> None:
        transport, self._transport = self._transport, None
        if transport is not None and not transport.is_closing():
            transport.abort()
        self._end_session(exc)

    def pause_writing(self) -> None:
        self._pause_writers()

    def resume_writing(self) -> None:
        self._resume_writers()
