"""What a runner of commands does for each statement, and its state.

Whether a COMMIT would end nothing is decided by what this side did itself.  A flag of the server is
a reason to send one, never to leave one out.  So is an ERR packet, which has no flags.
"""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop as running_loop  # None where none runs, as in forks
from collections.abc import Awaitable
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

from aiomysql_core._accelerator import accelerator
from aiomysql_core.block_beginning import BlockBeginning
from aiomysql_core.engine.cancellation import StatementCancellation
from aiomysql_core.transport.stream import Stream
from aiomysql_core.waiting.waiter import Waiter
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.session import MAYBE_IN_TRANSACTION, Session
from aiomysql_protocol.wire.packets import MORE_RESULTS

__all__ = ["RunnerState", "hand_over", "nothing_to_end", "wake_next"]


class RunnerState:
    """Base of CommandRunner: its state, and the two steps that each statement takes.

    `begin` and `take` are apart so that a cursor's statement costs one coroutine and one object
    that is awaited.
    """

    def __init__(self) -> None:
        self._stream: Stream | None = None
        #: The protocol session; None when closed.
        self.session: Session | None = None
        self._busy = False
        # What stops a cancelled statement on this stream.
        self._cancellation: StatementCancellation | None = None
        # What a transaction block begins with, until a command is run in it.
        self._beginning: BlockBeginning | None = None
        # Stops a statement on a stream that was given up.
        self._detached: asyncio.Task[None] | None = None
        self._read_timeout: float | None = None
        #: The result read last; None after an error.
        self.result: Result | None = None
        #: When the last response came, in seconds of time.monotonic (the clock of asyncio's loops).
        self.last_usage: float = 0.0
        #: The autocommit mode that this side has set, if nothing that was run since can have
        #: changed it or begun a transaction; None: it is unknown.
        self.autocommit: bool | None = None
        #: Whether a transaction may be open, by what was run since the last COMMIT or ROLLBACK.
        #: The server's flags don't matter to it: a proxy may not know of them.
        self.transaction_possible: bool = False
        #: Whether backslashes are ordinary characters in the session's strings, by what the
        #: connection knows, not by the server's flag.
        self.no_backslash_escapes = False
        #: Whether the session's character set may be another one than the connection's, or
        #: `no_backslash_escapes` may be wrong.
        self.charset_in_doubt = False
        #: Counts the sessions and their resets: what was prepared before is gone.
        self.generation = 0
        #: Counts how often the connection has changed hands (`hand_over`): cursors and the like
        #: that were made before send nothing any more.  Those of 0 are nobody's.
        self.handovers = 0
        #: Rows changed or found by the last statement that succeeded.
        self.affected_rows: int = 0

    @property
    def outstanding(self) -> bool:
        """Whether something of the last statement's response may be unread, or the server's error
        in it.
        """
        result = self.result
        return result is not None and (
            not result.complete or result.ok.more_results or result.exchange.error is not None
        )

    def begin(self, exchange: Query, /) -> Awaitable[None]:
        """Send the request of `exchange`.

        What is returned must be awaited at once, and `take` called after it.  Raises InterfaceError
        when another task uses the runner, and what `discard_results` raises.
        """
        if self._busy:
            if self._cancellation is not None:
                return self._begin_later(exchange)
            self.check_free()
        if self._beginning is not None:
            return self._begin_later(exchange)
        # First of all: what is done from here on may run code that wants to use the runner.
        self._busy = True
        try:
            result = self.result  # as `outstanding` has it
            if result is not None and (
                not result.complete
                or result.ok.server_status & MORE_RESULTS
                or result.exchange.error is not None
            ):
                self.release()
                return self._begin_later(exchange)
            self.result = None
            if not exchange.is_simple:
                self.record_statement(exchange)
            elif not self.autocommit:
                self.transaction_possible = True
            stream = self._stream
            if stream is None or stream.loop is not running_loop() or not stream.start(exchange):
                self._refuse()
            if exchange.local_files or stream.writing_paused:
                return self._begin_slowly(stream, exchange)
            return stream.wait(exchange, self._interrupted, self._read_timeout)
        except BaseException as error:
            self._not_begun(exchange, error)
            raise

    def take(self, exchange: Query, /) -> Result:
        """The result that `exchange` has; raises its error."""
        result = exchange.results.pop(0)
        result.exchange = exchange
        self.result = result
        self.last_usage = monotonic()
        self._busy = False  # the runner says what is unread by now
        if result.error is not None and not (result.streamed and result.metadata is not None):
            self._raise_for(result)
        if result.metadata is None:
            self.affected_rows = result.ok.affected_rows
        elif result.streamed:
            result.unbuffered_active = True
            self.affected_rows = result.affected_rows
        else:
            self.affected_rows = len(result.rows)
        return result

    # -- of CommandRunner ------------------------------------------------------------------------

    if TYPE_CHECKING:

        def check_free(self) -> None: ...
        def release(self) -> None: ...
        def record_statement(self, exchange: Exchange) -> None: ...
        def _begin_later(self, exchange: Query) -> Awaitable[None]: ...
        def _begin_slowly(self, stream: Stream, exchange: Query) -> Awaitable[None]: ...
        def _refuse(self) -> NoReturn: ...
        def _not_begun(self, exchange: Exchange, error: BaseException) -> None: ...
        def _interrupted(self, error: BaseException) -> None: ...
        def _raise_for(self, result: Result) -> None: ...


def nothing_to_end(runner: RunnerState, /) -> bool:
    """What `CommandRunner.nothing_to_end` says; quicker, for pools, which ask it at each lease."""
    session = runner.session
    return not (
        session is None
        or runner._busy
        or runner.transaction_possible
        or session.error is not None
        or session.exchanges
        or session.server_status & MAYBE_IN_TRANSACTION
    )


def hand_over(runner: RunnerState, /) -> bool:
    """For pools: the connection goes from one user to another, or to nobody.

    Returns what `nothing_to_end` says.
    """
    runner.handovers += 1
    return nothing_to_end(runner)


def wake_next(runner: RunnerState, waiter: Waiter, /) -> None:
    """Fire the waiter of the task that is to use the runner next: see `Stream.wake_next`."""
    stream = runner._stream
    if stream is None:
        waiter.fire(False)
    else:
        stream.wake_next(waiter)


PyRunnerState = RunnerState
py_hand_over = hand_over
py_nothing_to_end = nothing_to_end
py_wake_next = wake_next
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    RunnerState = _c.RunnerState
    hand_over = _c.hand_over
    nothing_to_end = _c.nothing_to_end
    wake_next = _c.wake_next
