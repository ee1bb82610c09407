"""What a runner is: its fields, and what can be asked of it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from pymysql import err

from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine.cancellation import KillClient, StatementCancellation
from aiomysql_core.transport.stream import Stream
from aiomysql_core.waiting.waiter import Waiter
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.commands.query import Result
from aiomysql_protocol.session import MAYBE_IN_TRANSACTION, Session

if TYPE_CHECKING:
    from aiomysql_core.transport.fast_path import FastPath

_COMPLETION_TYPE = re.compile(rb"\bcompletion_type\b", re.IGNORECASE)


class RunnerState:
    """Base of CommandRunner: its state, without what changes it."""

    # C code finds these at once.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_busy",
        "_stream",
        "affected_rows",
        "autocommit",
        "last_usage",
        "no_backslash_escapes",
        "result",
        "session",
        "transaction_possible",
    )

    def __init__(
        self,
        read_timeout: float | None,
        write_timeout: float | None,
        kill_client: KillClient | None = None,
    ) -> None:
        """read_timeout: seconds without a byte of an answer; write_timeout: seconds for a request.

        None: no limit.  kill_client: has statements stopped whose task is cancelled; without it the
        stream is closed.
        """
        self._kill_client = kill_client
        self._stopping: StatementCancellation | None = None
        self._leaving: asyncio.Task[None] | None = None  # stops a statement on a stream given up
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._stream: Stream | None = None
        #: The protocol session; None when closed.  (An attribute: it is asked for all the time.)
        self.session: Session | None = None
        self._busy = False
        #: For cursors: what runs the commonest statements, if there is such a thing.
        self.fast_path: FastPath | None = None
        self._close_reason: str | None = None
        #: The result read last; None after an error.
        self.result: Result | None = None
        #: When the last answer came, in seconds of time.monotonic (the clock of asyncio's loops).
        self.last_usage = 0.0
        #: The autocommit mode that this side has set, if nothing that was run since can have
        #: changed it or begun a transaction; None: who knows.
        self.autocommit: bool | None = None
        #: May a transaction be open, by what was run since the last COMMIT or ROLLBACK?  Whatever
        #: the server's flags say: a proxy may not know of them.
        self.transaction_possible = False
        #: Are backslashes ordinary characters in the session's strings?  What the connection knows,
        #: not what the server's flag says.
        self.no_backslash_escapes = False
        # May COMMIT and ROLLBACK begin another one (variable completion_type)?
        self._chains = False
        #: Rows changed or found by the last statement that succeeded.
        self.affected_rows = 0

    @property
    def closed(self) -> bool:
        """Is there no stream that works?"""
        return self._stream is None or self._stream.closed

    @property
    def opened(self) -> bool:
        """Was the runner opened, and not closed since by this side?"""
        return self._stream is not None

    @property
    def busy(self) -> bool:
        """Is a task waiting for an answer?"""
        return self._busy

    @property
    def stopping(self) -> bool:
        """Is a cancelled statement being stopped, perhaps on a stream that was closed?"""
        return self._stopping is not None or self._leaving is not None

    @property
    def idle(self) -> bool:
        """Is no answer outstanding, and none left half read?"""
        return self.session is None or self.session.idle

    @property
    def server_status(self) -> int:
        """The last status flags of the server; 0 when closed."""
        return self.session.server_status & 0xFFFF if self.session is not None else 0

    @property
    def outstanding(self) -> bool:
        """May something of the last statement's answer be unread, or the server's error in it?"""
        result = self.result
        return result is not None and (
            not result.complete or result.ok.more_results or result.exchange.error is not None
        )

    @property
    def streaming(self) -> bool:
        """May rows of a streamed result still come?"""
        return self.result is not None and self.result.streamed and not self.result.complete

    def at_rest(self) -> bool:
        """Is it open, with no answer outstanding and no task waiting, and did the server not say
        that a transaction is open?
        """
        session = self.session
        return session is not None and not self._busy and session.at_rest()

    def nothing_to_end(self) -> bool:
        """Whether the runner is at rest, and COMMIT or ROLLBACK would end nothing.

        The server's flags alone do not say so: proxies leave them out, and MySQL keeps metadata
        locks without telling.  So nothing may have been run since the last one, but for statements
        that end by themselves in the autocommit mode that this side has set.
        """
        return nothing_to_end(self)

    def record_statement(self, exchange: Exchange) -> None:
        """A statement is about to be sent: may it begin a transaction or change the mode?"""
        if not exchange.is_simple:
            self.autocommit = None
            if _COMPLETION_TYPE.search(exchange.request):
                self._chains = True
        if not self.autocommit:
            self.transaction_possible = True

    def record_mode(self, autocommit: bool | None) -> None:
        """This side has ended what was open, and the mode is this one; None: who knows."""
        self.autocommit = autocommit
        self.transaction_possible = self._chains

    def record_session(self) -> None:
        """The session is new, or as good as new."""
        self._chains = False
        self.record_mode(None)

    def claim(self) -> bool:
        """Take the runner for the caller alone, until `release`; False: somebody has it.

        Question and deed are one: no code of anybody, of a finalizer say, runs between them.
        """
        if self._busy:
            return False
        self._busy = True
        return True

    def release(self) -> None:
        """End the claim, unless a statement is being stopped: that keeps it."""
        self._busy = self._stopping is not None

    def wake_next(self, waiter: Waiter) -> None:
        """Fire the waiter of the task that is to use the runner next: see `Stream.wake_next`."""
        stream = self._stream
        if stream is None:
            waiter.fire(False)
        else:
            stream.wake_next(waiter)

    def check_free(self) -> None:
        """Raise InterfaceError when a task waits for an answer."""
        if self._busy:
            raise err.InterfaceError(
                0, "another task is waiting for an answer on this connection: use one per task"
            )


def nothing_to_end(runner: RunnerState, /) -> bool:
    """See `RunnerState.nothing_to_end`; quicker, for those who ask it of many runners."""
    session = runner.session
    return not (
        session is None
        or runner._busy
        or runner.transaction_possible
        or session.error is not None
        or session.exchanges
        or session.server_status & MAYBE_IN_TRANSACTION
    )


py_nothing_to_end = nothing_to_end
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    nothing_to_end = _c.nothing_to_end
