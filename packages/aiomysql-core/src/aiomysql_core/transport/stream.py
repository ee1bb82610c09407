"""What stands between a socket and the protocol session: receive buffer, flow control, end of file.

It moves bytes and parses none of them.  `socket_stream` reads and writes a socket itself,
`tls_stream` an encrypted one; `transport_stream` goes through asyncio's transports.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from time import monotonic
from typing import Any

from pymysql.constants import CLIENT

from aiomysql_core.transport.stream_state import BUFFER_SIZE, StreamState
from aiomysql_core.waiting.timeouts import QueryTimeout
from aiomysql_protocol.commands.end_of_text import EndOfText
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.session import Session

#: Seconds that a further result of a text may take before the server is asked whether one comes:
#: longer than servers wait for a lock, because proxies close connections on which a command comes
#: before they have answered the one before.
_PATIENCE = 60.0


class Stream(StreamState, ABC):
    """Base of the streams."""

    #: Whether the waiting task may run within the callback that told of the end.
    _wakes_at_once = False

    _write_resumed: asyncio.Future[None] | None = None
    _ended = False
    _lost: asyncio.Future[None] | None = None  # for those who wait for the end
    _goes_on = False  # `_go_on` will be called
    # Since when a further result is waited for, and the timer that looks after that.
    _further_since = 0.0
    _further_timer: asyncio.TimerHandle | None = None

    # -- for the connection ----------------------------------------------------------------------

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether the stream is of no more use: it is closed or lost, or its session is broken."""

    @abstractmethod
    def extra_info(self, name: str) -> Any:
        """As asyncio's transports tell it: "socket", "peername" and so on; None if unknown."""

    def _not_sent(self, exchange: Exchange) -> None:
        """Close the stream if the request of `exchange` is started: it may be sent only in part."""
        if self.session.newest is exchange:
            self.abort()

    def flush(self) -> None:
        """Send what the session has to send."""
        data = self.session.data_to_send()
        if data:
            self._write(data)

    def pause(self) -> None:
        """Leave what comes with the system, until `resume` or until a task waits for a response."""
        if not self._reading_paused and not self.from_parent_process:
            self._reading_paused = True
            self._pause_reading()

    def resume(self) -> None:
        """Read on after a pause."""
        if self._reading_paused and not self.from_parent_process:
            if self.session.has_more:
                self._go_on_soon()
            else:
                self._reading_paused = False
                self._resume_reading()

    async def drain(self) -> None:
        """Wait until more bytes may be sent."""
        if self._write_resumed is not None:
            await asyncio.shield(self._write_resumed)

    def expect_further_result(self) -> None:
        """Before `wait`: if the further result of a text does not come for long, ask the
        server for the end of the text.
        """
        self._further_since = monotonic()
        if self._further_timer is None:
            self._further_timer = self.loop.call_later(_PATIENCE, self._look_for_further)

    def _look_for_further(self) -> None:
        self._further_timer = None
        if not self.session.awaits_further_result:
            return  # the next one who waits for such a result starts another timer
        left = self._further_since + _PATIENCE - monotonic()
        if left > 0:
            self._further_timer = self.loop.call_later(left, self._look_for_further)
        else:
            self.ask_for_end()

    def ask_for_end(self) -> bool:
        """Ask the server whether it has left the text of which a further result is due (see
        `EndOfText`): if so, that result is error 1317, at once.

        False: nothing of the kind is due, or it can't be asked.
        """
        session = self.session
        return (
            len(session.exchanges) == 1
            and session.awaits_further_result
            and not session.exchanges[0].local_files  # the question would stand in the file
            and bool(session.capabilities & CLIENT.MULTI_STATEMENTS)
            and self.start(EndOfText())
        )

    def expect_end(self) -> None:
        """What is still to come is the end of the connection: nothing else is of interest."""

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
        self.writing_paused: bool = True
        self._write_resumed = self.loop.create_future()

    def _resume_writers(self) -> None:
        self.writing_paused = False
        if self._write_resumed is not None and not self._write_resumed.done():
            self._write_resumed.set_result(None)
        self._write_resumed = None

    def _free_space(self) -> memoryview:
        return self._view[self._end :] if self._end else self._view

    def _enlarge_buffer(self) -> None:
        """Go on with a large buffer; the bytes in the old one that are still needed move along."""
        if len(self._view) >= BUFFER_SIZE:
            return
        buffer = bytearray(BUFFER_SIZE)
        buffer[: self._end] = self._view[: self._end]
        self._buffer, self._view = buffer, memoryview(buffer)

    def _look_after(self, session: Session) -> None:
        """Do what the session needs besides a task that is resumed."""
        self.flush()
        if session.error is not None:
            self.abort()
        elif session.has_more:
            self.pause()
            if not session.paused:
                self._go_on_soon()
        elif session.paused:
            self.pause()

    def _go_on_soon(self) -> None:
        """Have the session go on with what it has left of the bytes that came."""
        if not self._goes_on:
            self._goes_on = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        session = self.session
        if self.closed or not session.has_more or session.paused:
            return
        self.received(0)
        if not session.has_more and not session.paused:
            self.resume()

    def _start_silence_timer(self, seconds: float) -> None:
        self._silence_timer = self.loop.call_later(seconds, self._look_for_silence)

    def _look_for_silence(self) -> None:
        """Time the waiting task out, or look again when its time may be over."""
        self._silence_timer = None
        limit = self._read_timeout
        if limit is None or not self._waiter.armed:
            return  # the next one who waits starts another timer
        left = max(self._waiting_since, self._received_at) + limit - monotonic()
        if left > 0:
            self._start_silence_timer(left)
        else:
            self._waiter.fail(QueryTimeout.after(limit, "option 'read_timeout'"))

    def _end_session(self, reason: BaseException | None) -> None:
        """Nothing more will come, for `reason` or because the server has closed the connection.

        The last thing that the caller does, because a task may be resumed in it.
        """
        self.session.connection_lost(reason)
        self._resume_writers()
        self._ended = True
        if self._silence_timer is not None:
            self._silence_timer.cancel()
            self._silence_timer = None
        if self._further_timer is not None:
            self._further_timer.cancel()
            self._further_timer = None
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        self._waiter.wake_if_progressed(self._wakes_at_once)
