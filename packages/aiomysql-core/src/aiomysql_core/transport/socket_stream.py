"""A stream that reads and writes a socket itself, watched by the event loop.

There is no transport between: a request is one call of send, a response one of recv, and the task
that waits for it goes on in the same turn of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiomysql_core._accelerator import accelerator
from aiomysql_core.transport.fast_path import FastPath, fast_path
from aiomysql_core.transport.stream import Forks, Stream
from aiomysql_core.transport.transport_stream import TransportStream
from aiomysql_core.waiting.waiter import Waiter
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.session import Session

if TYPE_CHECKING:
    from aiomysql_core.engine.runner import CommandRunner
    from aiomysql_core.statements import StatementCache
    from aiomysql_protocol.values.literals import Literals


class SocketStream(Stream):
    """Needs a loop with `add_reader` (not Windows' proactor loop), and no TLS."""

    __slots__ = ("_sock",)

    _wakes_at_once = True

    def __init__(
        self, session: Session, loop: asyncio.AbstractEventLoop, sock: socket.socket
    ) -> None:
        """Raises NotImplementedError when the loop can't watch sockets.

        sock: connected and not blocking; the stream's own from now on.
        """
        super().__init__(session, loop)
        self._descriptor = sock.fileno()
        self._sock: socket.socket | None = sock
        self._watch()
        self._unsent = bytearray()  # always this one
        self._closing = False  # as soon as everything is sent
        #: The receive buffer and its view, while the session's own are in their place.
        self._own: tuple[bytearray, memoryview] | None = None

    def _watch(self) -> None:
        """Have the event loop tell of bytes that have come."""
        reader = receiver(self, self.session, self._waiter, self._descriptor)
        if self._sock is not None:  # or else the descriptor may be another's by now
            self.loop.add_reader(self._descriptor, reader)

    @property
    def closed(self) -> bool:
        return self._sock is None or self._closing or self.session.error is not None

    def fast_path(
        self,
        runner: CommandRunner,
        interrupted: Callable[[BaseException], object],
        statements: StatementCache,
        literals: Literals,
        *,
        text: bool,
    ) -> FastPath | None:
        if fast_path is None:
            return None
        return fast_path(
            runner,
            interrupted,
            self,
            self._unsent,
            self._waiter,
            self.session,
            statements,
            literals,
            self._descriptor,
            text,
        )

    def extra_info(self, name: str) -> Any:
        sock = self._sock
        if sock is None or name == "socket":
            return sock
        try:
            return {"peername": sock.getpeername, "sockname": sock.getsockname}[name]()
        except (KeyError, OSError):
            return None

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> Stream:
        await self.drain()
        if self._end:
            raise ssl.SSLError("the server sent data before the TLS handshake")
        sock, self._sock = self._sock, None
        if sock is None:
            raise ConnectionResetError("connection closed before the TLS handshake")
        self.loop.remove_reader(self._descriptor)
        stream = TransportStream(self.session, self.loop)
        try:
            await self.loop.create_connection(
                lambda: stream, sock=sock, ssl=context, server_hostname=server_hostname or ""
            )
        except BaseException:
            sock.close()
            raise
        return stream

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

    def start(self, exchange: Exchange) -> bool:
        session, sock, closing = self.session, self._sock, self._closing
        if sock is None or closing or session.error is not None or self._forks != Forks.count:
            return False
        try:
            data = session.request(exchange)
            sock = self._sock  # code that ran meanwhile may have closed it
            if sock is not None and not (self._closing or self._unsent):
                # What nearly always happens, written out.
                try:
                    sent = sock.send(data)
                    if sent == len(data):
                        return True
                    data = data[sent:]
                except OSError:
                    pass  # `_write` will meet it again
            self._write(data)
        except BaseException:
            self._not_sent(exchange)
            raise
        return True

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

    def _readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        if self._forks != Forks.count:
            # What is there to be read is for the other process.
            self.connection_lost(ConnectionError("the process was forked"))
            return
        try:
            count = sock.recv_into(self._view[self._end :] if self._end else self._view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.connection_lost(error)
            return
        if not count:
            self.connection_lost(None)
            return
        self.waking = True
        try:
            self._take(count)
        finally:
            self.waking = False
            if self.next_waiter is not None:
                waiter, self.next_waiter = self.next_waiter, None
                waiter.fire(True)

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
        while self._sock is not None and received != self.received:
            received = self.received
            self._readable()
        if self._sock is not None:
            self.connection_lost(reason)

    def _pause_reading(self) -> None:
        if self._sock is not None:
            self.loop.remove_reader(self._descriptor)

    def _resume_reading(self) -> None:
        if self._sock is not None:
            self._watch()


def receiver(
    stream: SocketStream, session: Session, waiter: Waiter, descriptor: int, /
) -> Callable[[], None]:
    """What the event loop is to call when the stream's socket has bytes."""
    return stream._readable


py_receiver = receiver
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    receiver = _c.Receiver
