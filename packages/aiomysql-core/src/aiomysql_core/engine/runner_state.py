"""The state of a runner of commands, and what can be asked of it.

Whether a COMMIT would end nothing is decided by what this side did itself.  A flag of the server is
a reason to send one, never to leave one out.  So is an ERR packet, which has no flags.
"""

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

__all__ = ["RunnerState", "nothing_to_end", "wake_next"]

_COMPLETION_TYPE = re.compile(rb"\bcompletion_type\b", re.IGNORECASE)


class RunnerState:
    """Base of CommandRunner: its state, without what changes it."""

    # Slots, because C code finds these at once.
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
        """read_timeout: seconds without a byte of a response; write_timeout: seconds for a request.

        None: no limit.  kill_client: has a statement stopped whose task is cancelled; without it
        the stream is closed.
        """
        self._kill_client = kill_client
        self._cancellation: StatementCancellation | None = None
        # Cancels a statement on a stream that was given up.
        self._detached: asyncio.Task[None] | None = None
        # Whose response is read only to be dropped.
        self._unwanted: Exchange | None = None
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._stream: Stream | None = None
        #: The protocol session; None when closed.
        self.session: Session | None = None
        self._busy = False
        #: What runs the commonest statements of cursors; None: nothing does.
        self.fast_path: FastPath | None = None
        self._close_reason: str | None = None
        #: The result read last; None after an error.
        self.result: Result | None = None
        #: When the last response came, in seconds of time.monotonic (the clock of asyncio's loops).
        self.last_usage = 0.0
        #: The autocommit mode that this side has set, if nothing that was run since can have
        #: changed it or begun a transaction; None: it is unknown.
        self.autocommit: bool | None = None
        #: Whether a transaction may be open, by what was run since the last COMMIT or ROLLBACK.
        #: The server's flags don't matter to it: a proxy may not know of them.
        self.transaction_possible = False
        #: Whether backslashes are ordinary characters in the session's strings, by what the
        #: connection knows, not by the server's flag.
        self.no_backslash_escapes = False
        # Whether COMMIT and ROLLBACK may begin another one (variable completion_type).
        self._chains = False
        #: Rows changed or found by the last statement that succeeded.
        self.affected_rows = 0

    @property
    def closed(self) -> bool:
        """Whether there is no stream that works."""
        return self._stream is None or self._stream.closed

    @property
    def opened(self) -> bool:
        """Whether the runner was opened, and not closed since by this side."""
        return self._stream is not None

    @property
    def busy(self) -> bool:
        """Whether a task waits for a response."""
        return self._busy

    @property
    def cancelling(self) -> bool:
        """Whether a cancelled statement is being stopped, perhaps on a stream that was closed."""
        return self._cancellation is not None or self._detached is not None

    @property
    def idle(self) -> bool:
        """Whether no response is outstanding, and none left half read."""
        return self.session is None or self.session.idle

    @property
    def server_status(self) -> int:
        """The last status flags of the server; 0 when closed."""
        return self.session.server_status & 0xFFFF if self.session is not None else 0

    @property
    def outstanding(self) -> bool:
        """Whether something of the last statement's response may be unread, or the server's error
        in it.
        """
        result = self.result
        return result is not None and (
            not result.complete or result.ok.more_results or result.exchange.error is not None
        )

    @property
    def streaming(self) -> bool:
        """Whether rows of a streamed result may still come."""
        return self.result is not None and self.result.streamed and not self.result.complete

    @property
    def is_reusable(self) -> bool:
        """Whether it is open, no response is outstanding, no task waits, and the server did not say
        that a transaction is open.
        """
        session = self.session
        return session is not None and not self._busy and session.is_reusable

    def nothing_to_end(self) -> bool:
        """Whether it is reusable, and a COMMIT or ROLLBACK would end nothing.

        The server's flags alone do not say so: proxies leave them out, and MySQL keeps metadata
        locks without telling.  So nothing may have been run since the last one, but for statements
        that end by themselves in the autocommit mode that this side has set.
        """
        return nothing_to_end(self)

    def record_statement(self, exchange: Exchange) -> None:
        """A statement is about to be sent, which may begin a transaction or change the mode."""
        if not exchange.is_simple:
            self.autocommit = None
            if _COMPLETION_TYPE.search(exchange.request):
                self._chains = True
        if not self.autocommit:
            self.transaction_possible = True

    def record_mode(self, autocommit: bool | None) -> None:
        """This side has ended what was open, and the mode is this one; None: it is unknown."""
        self.autocommit = autocommit
        self.transaction_possible = self._chains

    def record_session(self) -> None:
        """Record that the session is new, or was reset."""
        self._chains = False
        self.record_mode(None)

    def claim(self) -> bool:
        """Take the runner for the caller alone, until `release`; False: it is busy.

        No other code, of a finalizer say, runs between the check and the taking.
        """
        if self._busy:
            return False
        self._busy = True
        return True

    def release(self) -> None:
        """End the claim, unless a statement is being cancelled: that keeps it."""
        self._busy = self._cancellation is not None

    def check_free(self) -> None:
        """Raise InterfaceError when a task waits for a response."""
        if self._busy:
            raise err.InterfaceError(
                0, "another task is waiting for a response on this connection: use one per task"
            )


def nothing_to_end(runner: RunnerState, /) -> bool:
    """What `RunnerState.nothing_to_end` says; quicker, for pools, which ask it at each lease."""
    session = runner.session
    return not (
        session is None
        or runner._busy
        or runner.transaction_possible
        or session.error is not None
        or session.exchanges
        or session.server_status & MAYBE_IN_TRANSACTION
    )


def wake_next(runner: RunnerState, waiter: Waiter, /) -> None:
    """Fire the waiter of the task that is to use the runner next: see `Stream.wake_next`."""
    stream = runner._stream
    if stream is None:
        waiter.fire(False)
    else:
        stream.wake_next(waiter)


py_nothing_to_end = nothing_to_end
py_wake_next = wake_next
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    nothing_to_end = _c.nothing_to_end
    wake_next = _c.wake_next
