"""What a stream does for each response, and for each request over a socket of its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from aiomysql_core._accelerator import accelerator
from aiomysql_core.waiting.waiter import Waiter, done_future
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.session import Session
from aiomysql_protocol.wire.framing import SMALLEST_BUFFER

#: Size of the receive buffer in bytes, once so much has come at one go that the first was full.
BUFFER_SIZE = 1 << 18
assert BUFFER_SIZE >= 2 * SMALLEST_BUFFER

#: Size of the first: to fill the large one with zeros takes as long as half a query.
FIRST_BUFFER_SIZE = 1 << 14


class _Forks:
    """Counts how often this process came out of a fork since the module was loaded."""

    count = 0


def _record_fork() -> None:
    _Forks.count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_record_fork)


class StreamState:
    """Base of Stream: the receive buffer, the session and the waiter of the task that waits.

    A stream that has a socket of its own sends in `start`, and has the event loop call `readable`.
    An encrypted one uses its socket's methods in C too.
    """

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop, /) -> None:
        self.session = session
        #: The event loop.
        self.loop = loop
        self._forks = _Forks.count
        # The socket, connected and not blocking; None when it is closed, or an asyncio transport
        # has it.
        self._sock: socket.socket | None = None
        self._descriptor = -1
        # Whether the socket is an `ssl.SSLSocket`, and whether there may be something to be read
        # that the event loop does not see: decrypted bytes, or why no more come.
        self._encrypted = False
        self._look_again = False
        # To be closed as soon as everything is sent.
        self._closing = False
        # What the socket has not taken yet; always this object.
        self._unsent = bytearray()
        #: How many bytes have come so far.
        self.bytes_received: int = 0
        # When the last ones came, in seconds of time.monotonic.
        self._received_at = 0.0
        self._buffer = bytearray(FIRST_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._end = 0  # bytes in the buffer that the session has not consumed
        self._waiter = Waiter(loop, asyncio.CancelledError, done_future(loop))
        #: Whether a task runs that a response has resumed just now, within the event loop's
        #: callback, and the waiter whose task is resumed in the same callback, after it: see
        #: `wake_next`.
        self.waking: bool = False
        self.next_waiter: Waiter | None = None
        self._reading_paused = False
        #: Whether more waits to be sent than should.
        self.writing_paused = False
        # Seconds that the waiting task waits without a byte, and since when; None: no limit.
        self._read_timeout: float | None = None
        self._waiting_since = 0.0
        # The timer that looks after that, which goes on from one statement to the next.
        self._silence_timer: asyncio.TimerHandle | None = None

    @property
    def from_parent_process(self) -> bool:
        """Whether it belongs to the process that this one was forked from.

        Then nothing may be sent, and nothing be changed in the event loop: both processes share its
        selector.
        """
        return self._forks != _Forks.count

    def wait(
        self,
        exchange: Exchange,
        interrupted: Callable[[BaseException], object] | None = None,
        read_timeout: float | None = None,
        /,
    ) -> Waiter:
        """To be awaited: returns when `exchange` has made progress, or is done.

        Only one task may wait at a time.  interrupted: called with the exception when the task is
        resumed by one instead.  read_timeout: seconds without a byte from the server, after which
        QueryTimeout is raised in the task; None: no limit.
        """
        waiter = self._waiter
        if exchange.has_progress or exchange.done:
            exchange.has_progress = False
            return waiter
        if self._reading_paused and not self.session.paused:
            self.resume()
        waiter.arm(interrupted)
        exchange.on_progress = waiter.mark_progress
        self._read_timeout = read_timeout
        if read_timeout is not None:
            self._waiting_since = monotonic()
            if self._silence_timer is None:
                self._start_silence_timer(read_timeout)
        return waiter

    def wake_next(self, waiter: Waiter, /) -> None:
        """Fire the waiter of a task that may use the stream once the task that runs has done so.

        One more task may be resumed in the event loop's callback that has brought a response, once;
        all others are resumed by the loop's next turn.
        """
        if self.waking and self.next_waiter is None:
            self.next_waiter = waiter
        else:
            waiter.fire(False)

    def start(self, exchange: Exchange, /) -> bool:
        """Start `exchange` and send its request; False: nothing was done, the stream is closed.

        Who shares the stream with others has made sure before that it is free.  If it is closed
        while the request is made, nothing is sent, and the exchange fails as the session does.
        Raises OperationalError when the request is too long.
        """
        session, sock, closing = self.session, self._sock, self._closing
        if sock is None or closing or session.error is not None or self._forks != _Forks.count:
            return False
        try:
            data = session.request(exchange)
            sock = self._sock  # code that ran meanwhile may have closed it
            if sock is not None and not (self._closing or self._unsent or self._encrypted):
                # What mostly happens, written out.
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

    def readable(self) -> None:
        """The socket has bytes to be received: for the event loop."""
        if self._sock is None:
            return
        if self._forks != _Forks.count:
            # What is there to be read is for the other process.
            self.connection_lost(ConnectionError("the process was forked"))
            return
        try:
            count = self._receive()
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
            self.received(count)
        finally:
            self.waking = False
            if self.next_waiter is not None:
                waiter, self.next_waiter = self.next_waiter, None
                waiter.fire(True)
        if self._look_again and not self._reading_paused and self._sock is not None:
            self._read_soon()

    def _receive(self) -> int:
        """Receive into the buffer; returns the number of bytes, 0 at the end of them.

        In C it is a part of `readable`.  Raises BlockingIOError if there is nothing, and OSError.
        """
        sock = self._sock
        assert sock is not None
        return sock.recv_into(self._view[self._end :] if self._end else self._view)

    def received(self, nbytes: int, /) -> None:
        """`nbytes` more stand in the buffer.

        The last thing that the caller does, because a task may be resumed in it.
        """
        try:
            self.bytes_received += nbytes
            if self._read_timeout is not None:
                self._received_at = monotonic()
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
            if end == len(self._view):
                self._enlarge_buffer()
            if session.exchanges or session.error is not None:
                self._look_after(session)
        except BaseException:  # KeyboardInterrupt in a signal's handler: the state is unknown
            self.abort()
            raise
        self._waiter.wake_if_progressed(self.waking)

    # -- of Stream -------------------------------------------------------------------------------

    if TYPE_CHECKING:

        def resume(self) -> None: ...
        def abort(self) -> None: ...
        def connection_lost(self, exc: BaseException | None) -> None: ...
        def _write(self, data: bytes) -> None: ...
        def _not_sent(self, exchange: Exchange) -> None: ...
        def _enlarge_buffer(self) -> None: ...
        def _read_soon(self) -> None: ...
        def _look_after(self, session: Session) -> None: ...
        def _start_silence_timer(self, seconds: float) -> None: ...


PyStreamState = StreamState
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    StreamState = _c.StreamState
