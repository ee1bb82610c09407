"""What stands between a socket and the protocol session: receive buffer, flow control, end of file.

It moves bytes and parses none of them.  There are two kinds: `socket_stream` reads and writes a
socket itself, `transport_stream` goes through asyncio's transports.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiomysql_core.waiting.waiter import Waiter, done_future
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.session import Session
from aiomysql_protocol.wire.framing import SMALLEST_BUFFER

if TYPE_CHECKING:
    from aiomysql_core.engine.runner import CommandRunner
    from aiomysql_core.statements import StatementCache
    from aiomysql_core.transport.fast_path import FastPath
    from aiomysql_protocol.values.literals import Literals

#: Size of the receive buffer in bytes, once so much has come at one go that the first was full.
_BUFFER_SIZE = 1 << 18
assert _BUFFER_SIZE >= 2 * SMALLEST_BUFFER

#: Size of the first: to fill the large one with zeros takes as long as half a query.
_FIRST_BUFFER_SIZE = 1 << 14


class Forks:
    """Counts how often this process came out of a fork since the module was loaded."""

    count = 0


def _record_fork() -> None:
    Forks.count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_record_fork)


class Stream(ABC):
    """Base of both streams: the buffer, the session and the waiter of the task that waits."""

    # Slots, because C code finds these at once.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_buffer",
        "_end",
        "next_waiter",
        "received",
        "waking",
    )

    #: Whether the waiting task may run within the callback that brought its response.
    _wakes_at_once = False

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        #: The event loop.
        self.loop = loop
        self._forks = Forks.count
        #: How many bytes have come so far.
        self.received = 0
        self._buffer = bytearray(_FIRST_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._size = _FIRST_BUFFER_SIZE
        self._end = 0  # bytes in the buffer that the session has not consumed
        self._waiter = Waiter(loop, asyncio.CancelledError, done_future(loop))
        #: Whether a task runs that a response has resumed just now, within the event loop's
        #: callback, and the waiter whose task is resumed in the same callback, after it: see
        #: `wake_next`.
        self.waking = False
        self.next_waiter: Waiter | None = None
        self._reading_paused = False
        #: Whether more waits to be sent than should.
        self.writing_paused = False
        self._write_resumed: asyncio.Future[None] | None = None
        self._ended = False
        self._lost: asyncio.Future[None] | None = None  # for those who wait for the end

    # -- for the connection ----------------------------------------------------------------------

    @property
    def from_parent_process(self) -> bool:
        """Whether it belongs to the process that this one was forked from.

        Then nothing may be sent, and nothing be changed in the event loop: both processes share its
        selector.
        """
        return self._forks != Forks.count

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether the stream is of no more use: it is closed or lost, or its session is broken."""

    def fast_path(
        self,
        runner: CommandRunner,
        interrupted: Callable[[BaseException], object],
        statements: StatementCache,
        literals: Literals,
        *,
        text: bool,
    ) -> FastPath | None:
        """An object that runs the commonest statements on this stream; None: there is none.

        interrupted: as for `wait`; text: whether statements may be run as text.
        """
        return None

    @abstractmethod
    def extra_info(self, name: str) -> Any:
        """As asyncio's transports tell it: "socket", "peername" and so on; None if unknown."""

    def start(self, exchange: Exchange) -> bool:
        """Start `exchange` and send its request; False: nothing was done, the stream is closed.

        Who shares the stream with others has made sure before that it is free.  If it is closed
        while the request is made, nothing is sent, and the exchange fails as the session does.
        Raises OperationalError when the request is too long.
        """
        if self.closed or self.from_parent_process:
            return False
        try:
            self._write(self.session.request(exchange))
        except BaseException:
            self._not_sent(exchange)
            raise
        return True

    def _not_sent(self, exchange: Exchange) -> None:
        """Close the stream if the request of `exchange` is started: it may be sent only in part."""
        if self.session.newest is exchange:
            self.abort()

    def flush(self) -> None:
        """Send what the session has to send."""
        data = self.session.data_to_send()
        if data:
            self._write(data)

    def wait(
        self,
        exchange: Exchange,
        interrupted: Callable[[BaseException], object] | None = None,
    ) -> Waiter:
        """To be awaited: returns when `exchange` has made progress, or is done.

        Only one task may wait at a time.  interrupted: called with the exception when the task is
        resumed by one instead.
        """
        waiter = self._waiter
        if exchange.has_progress or exchange.done:
            exchange.has_progress = False
        else:
            if self._reading_paused and not self.session.paused:
                self.resume()
            waiter.arm(interrupted)
            exchange.on_progress = waiter.mark_progress
        return waiter

    def wake_next(self, waiter: Waiter) -> None:
        """Fire the waiter of a task that may use the stream once the task that runs has done so.

        One more task may be resumed in the event loop's callback that has brought a response, once;
        all others are resumed by the loop's next turn.
        """
        if self.waking and self.next_waiter is None:
            self.next_waiter = waiter
        else:
            waiter.fire(False)

    @abstractmethod
    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> Stream:
        """Encrypt the connection; returns the stream to use from now on.

        Raises ssl.SSLError or OSError when the handshake fails.
        """

    def resume(self) -> None:
        """Read on after a pause."""
        if self._reading_paused and not self.from_parent_process:
            self._reading_paused = False
            self._resume_reading()

    async def drain(self) -> None:
        """Wait until more bytes may be sent."""
        if self._write_resumed is not None:
            await asyncio.shield(self._write_resumed)

    @abstractmethod
    def close(self) -> None:
        """Close after what was written is sent; nothing is read any more."""

    @abstractmethod
    def abort(self) -> None:
        """Close at once, and discard what is not sent.  The loop's next turn resumes who waits."""

    @abstractmethod
    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended, for `exc` or because the server has closed it."""

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        if not self._ended:
            if self._lost is None:
                self._lost = self.loop.create_future()
            await asyncio.shield(self._lost)

    # -- for the two kinds -----------------------------------------------------------------------

    @abstractmethod
    def _write(self, data: bytes) -> None: ...

    @abstractmethod
    def _pause_reading(self) -> None: ...

    @abstractmethod
    def _resume_reading(self) -> None: ...

    def _pause_writers(self) -> None:
        self.writing_paused = True
        self._write_resumed = self.loop.create_future()

    def _resume_writers(self) -> None:
        self.writing_paused = False
        if self._write_resumed is not None and not self._write_resumed.done():
            self._write_resumed.set_result(None)
        self._write_resumed = None

    def _free_space(self) -> memoryview:
        return self._view[self._end :] if self._end else self._view

    def _take(self, nbytes: int) -> None:
        """Receive `nbytes` more that stand in the buffer.

        The last thing that the caller does, because a task may be resumed in it.
        """
        try:
            self.received += nbytes
            end = self._end + nbytes
            session = self.session
            consumed = session.receive(self._buffer, 0, end)
            if consumed == end:
                self._end = 0
            else:
                left = end - consumed
                if consumed:
                    self._view[:left] = self._view[consumed:end]
                self._end = left
            if end == self._size < _BUFFER_SIZE:
                self._enlarge_buffer()
            if session.exchanges or session.error is not None:
                self._look_after(session)
        except BaseException:  # KeyboardInterrupt in a signal's handler: the state is unknown
            self.abort()
            raise
        self._waiter.wake_if_progressed(self._wakes_at_once)

    def _enlarge_buffer(self) -> None:
        """Go on with a large buffer; the bytes in the old one that are still needed move along."""
        buffer = bytearray(_BUFFER_SIZE)
        buffer[: self._end] = self._view[: self._end]
        self._buffer, self._view, self._size = buffer, memoryview(buffer), _BUFFER_SIZE

    def _look_after(self, session: Session) -> None:
        """Do what the session needs besides a task that is resumed."""
        self.flush()
        if session.error is not None:
            self.abort()
        elif session.paused and not self._reading_paused:
            self._reading_paused = True
            self._pause_reading()

    def _end_session(self, reason: BaseException | None) -> None:
        """Nothing more will come, for `reason` or because the server has closed the connection.

        The last thing that the caller does, because a task may be resumed in it.
        """
        self.session.connection_lost(reason)
        self._resume_writers()
        self._ended = True
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        self._waiter.wake_if_progressed(self._wakes_at_once)
