"""A stream that reads and writes a socket itself, watched by the event loop.

There is no transport between: a request is one call of send, a response one of recv, and the task
that waits for it goes on in the same turn of the loop.  `tls_stream` does the same with TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from aiomysql_core.transport.stream import Stream
from aiomysql_protocol.session import Session


class SocketStream(Stream):
    """Needs a loop with `add_reader` (not Windows' proactor loop)."""

    _wakes_at_once = True

    #: The receive buffer and its view, while the session's own are in their place.
    _own: tuple[bytearray, memoryview] | None = None

    def __init__(
        self, session: Session, loop: asyncio.AbstractEventLoop, sock: socket.socket
    ) -> None:
        """Raises NotImplementedError when the loop can't watch sockets.

        sock: connected and not blocking; the stream's own from now on.
        """
        super().__init__(session, loop)
        self._descriptor = sock.fileno()
        self._sock = sock
        self.loop.add_reader(self._descriptor, self.readable)

    @property
    def closed(self) -> bool:
        return self._sock is None or self._closing or self.session.error is not None

    def extra_info(self, name: str) -> Any:
        sock = self._sock
        if sock is None or name == "socket":
            return sock
        try:
            if name == "peername":
                return sock.getpeername()
            if name == "sockname":
                return sock.getsockname()
        except OSError:
            pass
        return None

    async def release_socket(self) -> socket.socket:
        """Send what is unsent, and give the socket up: it is the caller's, to be encrypted.

        Raises OSError when bytes have come that nobody has read, or the connection is closed.
        """
        await self.drain()
        if self._end:
            raise OSError("the server sent data before the TLS handshake")
        sock, self._sock = self._sock, None
        if sock is None:
            raise ConnectionResetError("connection closed before the TLS handshake")
        self.loop.remove_reader(self._descriptor)
        return sock

    def close(self) -> None:
        self._closing = True
        if not self._unsent:
            self.abort()
        elif self._sock is not None:
            self._reading_paused = True
            self._pause_reading()

    def abort(self) -> None:
        if self._shut() and not self.from_parent_process:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon(self._end_session, None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._shut()
        self._end_session(exc)

    def _shut(self) -> bool:
        """Close the socket; False when it is closed already."""
        sock, self._sock = self._sock, None
        if sock is None:
            return False
        if self.from_parent_process:
            sock.close()  # this process's descriptor
            return True
        try:
            self.loop.remove_reader(self._descriptor)
            if self._unsent:
                self.loop.remove_writer(self._descriptor)
                self._unsent.clear()
        except RuntimeError:  # the loop is closed
            pass
        try:  # noqa: SIM105  (`suppress` takes longer than closing)
            sock.close()
        except OSError:
            pass
        return True

    # -- writing ---------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if self._closing:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._send(data)
        if sent < len(data):
            self._unsent += memoryview(data)[sent:]
            self._pause_writers()
            if self._sock is not None:  # or else the descriptor may be another's by now
                self.loop.add_writer(self._descriptor, self._writable)

    def _send(self, data: bytes | bytearray) -> int:
        """Send what the system takes; returns how many bytes that were."""
        sock = self._sock
        if sock is None:
            return len(data)
        try:
            return sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            # The server may have said why before it closed the connection: that is read first.
            self.loop.call_soon(self._read_last_words, error)
            return len(data)

    def _writable(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        if self._unsent or self._sock is None:
            return
        self.loop.remove_writer(self._descriptor)
        self._resume_writers()
        if self._closing:
            self.abort()

    # -- reading ---------------------------------------------------------------------------------

    def _enlarge_buffer(self) -> None:
        if self._own is None:  # or else it is no buffer of this object's
            super()._enlarge_buffer()

    def _look_after(self, session: Session) -> None:
        """Also have the rest of a long payload received where the session wants it."""
        if self._own is not None:
            self._view.release()
            self._buffer, self._view = self._own
            self._own = None
        if not self._end:
            room = session.room()
            if room is not None:
                self._own = self._buffer, self._view
                self._buffer, self._view = room
        super()._look_after(session)

    def _read_last_words(self, reason: OSError) -> None:
        """Sending failed for `reason`: take what the server has sent, then end."""
        received = -1
        while self._sock is not None and received != self.bytes_received:
            received = self.bytes_received
            self.readable()
        if self._sock is not None:
            self.connection_lost(reason)

    def _pause_reading(self) -> None:
        if self._sock is not None:
            self.loop.remove_reader(self._descriptor)

    def _resume_reading(self) -> None:
        if self._sock is not None:
            self.loop.add_reader(self._descriptor, self.readable)
