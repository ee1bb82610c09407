"""The runner of commands: one stream to a server, and the exchanges that run over it.

Nearly everything may run anybody's code: an allocation may start the garbage collector and so
finalizers, a call in Python a signal's handler.  So a statement takes the runner before anything
else, with the question and the deed in one, and whoever comes in between finds it busy.  Then its
exchange is queued, and its bytes are sent in the order of the queue.  Right before bytes go out the
stream is asked again whether it is open: C code sends by descriptor, which may be another's by
then.  The claim ends last, when runner and cursor have the result.

While a task has the runner, nothing of another kind is sent, such as what closes a prepared
statement: if a file is under way, those bytes would stand in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import _get_running_loop as running_loop  # None where none runs, as in forks
from collections.abc import Coroutine
from copy import copy
from time import monotonic
from typing import Any, NoReturn

from pymysql import err
from pymysql.constants import CR

from aiomysql_core.block_beginning import BlockBeginning
from aiomysql_core.bulk.infile import (
    LocalFiles,
    LocalSource,
    PieceSender,
    chunks,
    open_local_file,
)
from aiomysql_core.engine.cancellation import KillClient, StatementCancellation, is_cancellable
from aiomysql_core.engine.runner_state import RunnerState, nothing_to_end
from aiomysql_core.engine.session_transactions import SessionTransactions
from aiomysql_core.log import logger, warn_caller
from aiomysql_core.pending_error import PendingError
from aiomysql_core.transport.stream import Stream
from aiomysql_core.waiting.timeouts import QueryTimeout
from aiomysql_protocol.commands.end_of_text import EndOfText
from aiomysql_protocol.commands.exchange import Exchange, Quit
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.rows.metadata import ColumnCache

__all__ = ["CommandRunner"]

#: Seconds that `quit` waits for the server to close the connection.
_QUIT_TIMEOUT = 2.0

#: So many results are read at once, rather than one by one as they come; if fewer are there, the
#: server has so many seconds for more.
_MANY_RESULTS = 64
_MOMENT = 0.001

_PLAIN = (b"\3COMMIT", b"\3ROLLBACK")  # what is run most needs no look


class CommandRunner(RunnerState):
    """Runs one exchange at a time, and keeps the stream in step or closes it.

    Whatever happens to a request, its response never reaches another one: it is read to its end, or
    the stream is closed.
    """

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
        super().__init__()
        self._kill_client = kill_client
        # Whether a pipeline has the runner.
        self._is_pipeline = False
        # Whose response is read only to be dropped.
        self._unwanted: Exchange | None = None
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._close_reason: str | None = None
        #: Bytes of the longest request that the server takes; None: it was not asked.
        self.max_request: int | None = None
        #: Of the session that is open, or was last.
        self.transactions: SessionTransactions = SessionTransactions()
        #: Whether the session's user is another one than it was opened for, or will be when it is
        #: opened again.
        self.user_changed = False

    # -- questions -------------------------------------------------------------------------------

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
    def limits_responses(self) -> bool:
        """Whether a response must come within some time (option `read_timeout`)."""
        return self._read_timeout is not None

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

    # -- what is known of the transaction, and whose the connection is ---------------------------

    def nothing_to_end(self) -> bool:
        """Whether it is reusable, and a COMMIT or ROLLBACK would end nothing.

        The server's flags alone do not say so: proxies leave them out, and MySQL keeps metadata
        locks without telling.  So nothing may have been run since the last one, but for statements
        that end by themselves in the autocommit mode that this side has set.
        """
        return nothing_to_end(self)

    @property
    def has_lost_changes(self) -> bool:
        """Whether rows are known to have been changed that are not committed, so that what ends the
        session, or rolls back, loses that.
        """
        session, stream = self.session, self._stream
        return (
            session is not None
            and session.has_uncommitted_changes
            and session.error is None
            and stream is not None
            and not (stream.closed or stream.from_parent_process)
            and not (self._busy or self.outstanding)
            and not self.transactions.may_have_temporary_tables
            and not self.transactions.blocks  # which tell of it
        )

    def forget_changes(self) -> None:
        """What was changed and not committed is given up: nobody needs to be warned of it."""
        if self.session is not None:
            self.session.forget_changes()

    @property
    def known_changes(self) -> int:
        """What is known of changes that are not committed, as `SessionState.uncommitted`; 0 when
        closed.
        """
        return 0 if self.session is None else self.session.uncommitted

    def restore_changes(self, known: int) -> None:
        """What was run since `known_changes` was `known` has changed nothing, or was undone, and
        the transaction is the same.
        """
        if self.session is not None and self.session.in_transaction:
            self.session.uncommitted = known

    def is_current(self, number: int) -> bool:
        """Whether what was made when there were so many handovers may still send something."""
        return number in (0, self.handovers)

    def check_handovers(self, number: int, what: str) -> None:
        """Raise InterfaceError if the connection has changed hands since there were so many
        handovers, at which `what` was made.
        """
        if not self.is_current(number):
            raise err.InterfaceError(
                0, f"the connection went back to the pool, and {what} is of before: make a new one"
            )

    def record_statement(self, exchange: Exchange) -> None:
        """A statement is about to be sent, which may begin a transaction or change the mode."""
        if not exchange.is_simple:
            self.autocommit = None
            if exchange.request not in _PLAIN:
                self.transactions.record_request(exchange.request)
        if not self.autocommit:
            self.transaction_possible: bool = True

    def record_mode(self, autocommit: bool | None) -> None:
        """This side has ended what was open, and the mode is this one; None: it is unknown."""
        self.autocommit = autocommit
        transactions = self.transactions
        # Nor does a pool hand on what is another user's, or has a block open.
        self.transaction_possible = (
            transactions.may_chain or self.user_changed or bool(transactions.blocks)
        )

    def record_session(self) -> None:
        """Record that the session is new, or was reset."""
        self._beginning = None
        self.transactions = SessionTransactions()
        self.generation += 1
        self.record_mode(None)

    # -- a block that has not begun --------------------------------------------------------------

    def begin_by(self, beginning: BlockBeginning) -> None:
        """Have a block, which was entered, begin with the next command."""
        self._beginning = beginning

    def is_to_begin(self, beginning: BlockBeginning) -> bool:
        """Whether a block waits for its first command."""
        return self._beginning is beginning

    def withdraw(self, beginning: BlockBeginning) -> bool:
        """Whether a block has not begun; then it does not begin any more."""
        if not self.is_to_begin(beginning):
            return False
        self._beginning = None
        return True

    async def begin_block(self) -> None:
        """Begin the block that waits for its first command, if there is one."""
        if self._beginning is not None:
            await self._begin_with(self._beginning, None)

    # -- one task at a time ----------------------------------------------------------------------

    def claim(self) -> bool:
        """Take the runner for the caller alone, until `release`; False: it is busy.

        No other code, of a finalizer say, runs between the check and the taking.
        """
        if self._busy:
            return False
        self._busy = True
        return True

    def claim_free(self) -> None:
        """The same; raises InterfaceError when it is busy."""
        while not self.claim():
            self.check_free()

    def release(self) -> None:
        """End the claim, unless a statement is being cancelled: that keeps it."""
        self._busy = self._cancellation is not None

    def check_free(self) -> None:
        """Raise InterfaceError when a task waits for a response."""
        if self._is_pipeline:
            raise err.InterfaceError(
                0, "a pipeline is open on this connection: use its `execute`, or leave it first"
            )
        if self._busy:
            raise err.InterfaceError(
                0, "another task is waiting for a response on this connection: use one per task"
            )

    def check_at_rest(self) -> None:
        """Raise what `stream` and `check_free` raise, and InterfaceError if results are unread."""
        self.stream()
        self.check_free()
        if self.outstanding:
            raise err.InterfaceError(
                0,
                "results of the last statement are unread: read them, or call `discard_results`, "
                "first",
            )

    # -- opening and closing ---------------------------------------------------------------------

    def stream(self) -> Stream:
        """The stream.

        Raises InterfaceError when this side closed it, OperationalError when it was lost.
        """
        stream = self._stream
        if stream is None:
            # By the first words classic code tells a lost connection.
            reason = f"Not connected: {self._close_reason}" if self._close_reason else None
            raise err.InterfaceError(0, reason or "Not connected")
        if stream.closed:
            error = stream.session.error
            self.abort()
            if isinstance(error, err.OperationalError):
                raise err.OperationalError(*error.args) from error
            raise err.OperationalError(CR.CR_SERVER_GONE_ERROR, "MySQL server has gone away")
        return stream

    def record_reason(self, reason: str) -> None:
        """Have later uses told `reason`, if the runner is closed."""
        if self._stream is None:
            self._close_reason = reason

    def attach(self, stream: Stream) -> None:
        """Use `stream`, which is logged in, from now on."""
        self.abort()
        self._stream = stream
        self.session = stream.session
        self._close_reason = None
        self.max_request = None
        self.no_backslash_escapes = False
        self.record_session()

    async def record_server(self) -> None:
        """Note which server this is, for the stopping of statements (option `on_cancel`).

        Raises what the server says, and OperationalError when it is lost.
        """
        if self._kill_client is not None:
            with _Claim(self):
                await self._kill_client.record_server(self.stream())

    def abort(self, reason: str | None = None) -> None:
        """Close the stream at once; later uses are told `reason`."""
        stream, self._stream = self._stream, None
        self.session = self.result = self._beginning = None
        if self._cancellation is not None:
            cancellation, self._cancellation = self._cancellation, None
            self._busy = False
            cancellation.cancel()
        if stream is not None:
            self._close_reason = reason
            stream.abort()

    def close(self) -> None:
        """Close without waiting; a COM_QUIT is sent along if no response is outstanding."""
        stream = self._stream
        if stream is None or stream.closed or stream.from_parent_process or stream.loop.is_closed():
            self.abort()
            return
        busy, self._stream = self._busy, None  # so nothing more is begun
        result = self.result
        self.session = self.result = self._beginning = None
        cancellation, self._cancellation = self._cancellation, None
        if cancellation is not None:
            self._detach(cancellation)
        elif busy or not stream.session.idle:
            stream.abort()
        else:
            if result is not None:
                result.exchange.discard()
                error = result.exchange.take_error()
                if error is not None:
                    logger.warning("closed with an error that nobody has read: %r", error)
            stream.start(Quit())
            stream.close()

    def _detach(self, cancellation: StatementCancellation) -> None:
        """Leave the stream to the cancellation of a statement on it, which closes it in the end."""
        self._busy = False
        self._detached = cancellation.task
        self._detached.add_done_callback(self._on_detached_done)
        cancellation.detach()

    def _on_detached_done(self, task: asyncio.Task[None]) -> None:
        if self._detached is task:
            self._detached = None

    async def quit(self) -> None:
        """Send COM_QUIT and wait, two seconds at most, until the server has closed the session.

        A statement that is being cancelled has its own time before.  Raises the server's error in
        what is outstanding, of which nobody has been told, after that.
        """
        if self._cancellation is not None:
            self.close()
        if self._detached is not None and self._detached.get_loop() is running_loop():
            await asyncio.wait([self._detached])
        stream = self._stream
        if (
            stream is None
            or stream.closed
            or stream.from_parent_process
            or stream.loop is not running_loop()
            or self._busy
        ):
            self.abort()
            return
        self._stream = self._beginning = None  # so nothing more is begun
        last = self.result.exchange if self.result is not None and self.outstanding else None
        self._give_up_result()
        self.session = None
        if last is not None and not last.done and last.local_files:
            # A later statement may ask for a file, and would take the good-bye for it.
            logger.warning("closed with statements unread that may load a local file")
            stream.abort()
            return
        goodbye = Quit()
        timer = stream.loop.call_later(_QUIT_TIMEOUT, stream.abort)
        try:
            stream.resume()
            if stream.start(goodbye):
                if last is None or last.done:
                    stream.expect_end()
                while not goodbye.done:
                    await stream.wait(goodbye)
        finally:
            timer.cancel()
            stream.abort()
        if last is not None and last.error is not stream.session.error:
            PendingError(last.take_error()).raise_once()

    # -- exchanges -------------------------------------------------------------------------------

    async def wait_cancelled(self) -> None:
        """Wait until no cancelled statement is being stopped on this stream.

        Raises InterfaceError on another event loop than the stream's.
        """
        while self._cancellation is not None:
            if self._cancellation.task.get_loop() is not running_loop():
                self._refuse()
            await asyncio.wait([self._cancellation.task])

    async def run(self, *exchanges: Exchange) -> None:
        """Run commands, at least one, which go out at once; what results they have is in them.

        Raises the error of the first that fails; nobody waits for those behind it, which were sent,
        too.  Raises InterfaceError when another task uses the runner.
        """
        if self._cancellation is not None or self.outstanding:
            await self.discard_results()
        await self.begin_block()
        with _Claim(self):
            for exchange in exchanges[:-1]:
                self.queue(exchange)
            stream = self._start(exchanges[-1])
            if stream.writing_paused:
                await self._drain(stream)
            for exchange in exchanges:
                while not exchange.done:
                    await self._wait(exchange)
                if exchange.error is not None:
                    break
        if exchange.error is not None:
            self._pending_error(exchange).raise_once()

    def query(
        self, statement: bytes, *, streamed: bool = False, files: LocalFiles | None = None
    ) -> Coroutine[Any, Any, Result]:
        """Run `statement` and read its first result.

        files: what the server may ask for (LOAD DATA LOCAL).  A file that can't be opened is loaded
        as an empty one, and its error raised; what another source raises is raised again and closes
        the runner, because the server must not take a part for the whole.
        """
        return self.execute(Query(statement, streamed=streamed, local_files=files))

    async def execute(self, exchange: Query) -> Result:
        """Run `exchange` and read its first result."""
        await self.begin(exchange)
        return self.take(exchange)

    def _not_begun(self, exchange: Exchange, error: BaseException) -> None:
        """Sending the request of `exchange` failed: if it is under way, nobody will wait for it."""
        stream = self._stream
        if stream is not None and stream.session.newest is exchange:
            self._interrupted(error)
        else:
            self.release()

    async def _begin_later(self, exchange: Query) -> None:
        """Begin once what is outstanding has been read, and with it a block that was entered."""
        await self.discard_results()
        beginning = self._beginning
        if beginning is not None and beginning.may_join(exchange):
            await self._begin_with(beginning, exchange)
        else:
            await self.begin_block()
            await self.begin(exchange)

    async def _begin_with(self, beginning: BlockBeginning, statement: Query | None) -> None:
        """Begin a block, and in the same text behind that its first statement, if there is one."""
        exchange = Query(beginning.text) if statement is None else statement
        request = exchange.request
        is_sent = True
        self.claim_free()
        try:
            self._beginning = None
            try:
                if statement is not None:
                    exchange.request = beginning.before(request)
                stream = self._start(exchange)
            except BaseException:
                if not self.closed:
                    self._beginning, is_sent = beginning, False
                raise
            finally:
                exchange.request = request
            if stream.writing_paused:
                await self._drain(stream)
            for left in reversed(range(beginning.count)):
                await self._until_result(exchange)
                result = exchange.results.pop(0)
                self._pending_error(result).raise_once()
                follows = left > 0 or statement is not None
                if result.metadata is not None or result.has_next != follows:
                    raise err.InternalError(0, f"the server did not answer {beginning.text!r}")
            beginning.is_done = True
            if statement is not None:
                await self._until_result(exchange)
        except BaseException as error:
            if is_sent and not beginning.is_done:
                # Nobody knows in which mode the session is.  What is being stopped will be.
                stops = self._cancellation is not None
                reason = f"a transaction block could not be begun: {error}"
                self.close() if stops else self.abort(reason)
                self.record_reason(reason)
            self.release()
            raise
        if statement is None:
            self.autocommit = False
            self.release()

    async def _begin_slowly(self, stream: Stream, exchange: Query) -> None:
        """What `begin` does where sending takes longer, or more than one wait may be needed."""
        try:
            if stream.writing_paused:
                await self._drain(stream)
            await self._until_result(exchange)
        except BaseException:
            self.release()
            raise

    async def _until_result(self, exchange: Query) -> None:
        """Wait until `take` has a result to give; files are sent meanwhile."""
        file_error: Exception | None = None
        while not exchange.results:
            if exchange.file_wanted is not None:
                file_error = await self._send_file(exchange)
            elif exchange.done:
                raise err.ProgrammingError("the further results were given up")
            else:
                await self._wait(exchange)
        if exchange.done and self.session is not None and self.session.exchanges:
            await self._read_end_of_text()
        if file_error is not None:
            self.take(exchange)
            raise file_error

    # -- several exchanges at once ---------------------------------------------------------------

    def begin_pipeline(self) -> None:
        """Keep the runner for exchanges that are queued, until `end_pipeline`.

        Raises InterfaceError when another task uses it.
        """
        self.claim_free()
        self._is_pipeline = True
        self.result = None

    def end_pipeline(self) -> None:
        """No more exchanges are queued; all have been answered, or it was interrupted."""
        self._is_pipeline = False
        self.release()

    def queue(self, exchange: Exchange) -> None:
        """Have `exchange` follow those that are outstanding: its request goes out by `flush`, or
        with the next one.

        Raises as `begin`, and OperationalError when the request is too long.
        """
        self._check_beginning()
        if exchange.runs_statement:
            self.record_statement(exchange)
        stream = self._stream
        if (
            stream is None
            or stream.closed
            or stream.loop is not running_loop()
            or stream.from_parent_process
        ):
            self._refuse()
        stream.session.start(exchange)

    def flush(self) -> bool:
        """Send what is queued; returns whether more may be sent now."""
        stream = self.stream()
        stream.flush()
        return not stream.writing_paused

    async def drain(self) -> None:
        """Wait until more may be sent.  Raises QueryTimeout (option `write_timeout`)."""
        await self._drain(self.stream())

    async def read_whole(self, exchange: Query) -> Result:
        """Read the whole response to `exchange`, the oldest that was queued; returns its first
        result, and keeps further ones in the exchange.  Raises the error of any of them.
        """
        results: list[Result] = []
        while not exchange.done:
            await self._wait(exchange)
            results += exchange.results  # many that nobody takes would stop the reading
            exchange.results.clear()
        results += exchange.results
        self._pending_error(exchange).raise_once()
        for result in results:
            result.exchange = exchange
            self._pending_error(result).raise_once()
        exchange.results[:] = results[1:]
        if results[0].metadata is None:
            self.affected_rows: int = results[0].ok.affected_rows
        return results[0]

    async def next_result(self) -> Result:
        """Read the next result of the last statement; ProgrammingError when there is none."""
        with _Claim(self):
            if self.result is None or not self.result.has_next:
                raise err.ProgrammingError("the last statement has no further result")
            exchange, self.result = self.result.exchange, None
            await self._until_result(exchange)
            return self.take(exchange)

    async def next_results(self, due: int) -> list[Result]:
        """As `next_result`: the next one, and those behind it that have come without an error.

        due: how many are to come.  Of many, some are left to come first: servers send each by
        itself, and to be woken for each takes longer than to read it.
        """
        with _Claim(self):
            if self.result is None or not self.result.has_next:
                raise err.ProgrammingError("the last statement has no further result")
            exchange, self.result = self.result.exchange, None
            if due > _MANY_RESULTS > len(exchange.results):
                await self._let_come(exchange)
            await self._until_result(exchange)
            ready = exchange.results
            stop = 1
            if ready[0].error is None:
                while stop < len(ready) and ready[stop].error is None:
                    stop += 1
            results = ready[: stop - 1]
            del ready[: stop - 1]
            results.append(self.take(exchange))
            return results

    async def stop_statement(self, result: Result) -> None:
        """Have the statement stopped whose rows nobody wants any more, if it can be (option
        `on_cancel`), and if they are not all there.
        """
        if self._kill_client is None or self._busy or result is not self.result or result.complete:
            return
        with _Claim(self):
            self._cancel(self._kill_client)
        await self.wait_cancelled()

    async def _let_come(self, exchange: Query) -> None:
        """Wait a moment, without reading."""
        try:
            self.stream().pause()
            await asyncio.sleep(_MOMENT)
        except BaseException as error:
            self._interrupted(error)
            raise

    async def read_rows(self, result: Result) -> list[tuple[Any, ...]]:
        """The next rows of a streamed result, at least one; empty at its end."""
        if self._cancellation is None:
            self.check_free()  # who waits for the next rows is to get them
        while True:
            rows = result.exchange.take_rows(result)
            if rows:
                return rows
            if result.complete:
                result.unbuffered_active = False
            if result.complete or result.error is not None:
                if not result.complete:  # of a value: the rows behind it are no longer kept
                    result.exchange.skip(result)
                self._raise_for(result)
                return []
            with _Claim(self):
                await self._wait(result.exchange)

    async def finish_result(self, result: Result) -> bool:
        """Read the rest of a result and drop it; returns whether another one follows."""
        if result.unbuffered_active:
            with _Claim(self):
                result.exchange.skip(result)
                while not result.complete:
                    await self._wait(result.exchange)
            result.unbuffered_active = False
        if not (result.has_next or self.closed):
            # Rows may be dropped, what the server says may not.
            result.error = None
            if result.exchange.error is not None:
                self._pending_error(result.exchange).raise_once()
        return result.has_next

    async def fetch(self, statement: bytes) -> tuple[tuple[Any, ...], ...]:
        """The rows of `statement`, run beside: the current result stays, without those after it."""
        result = self.result
        rows = (await self.query(statement)).rows
        self.result = None if result is None or result.has_next else result
        return tuple(rows)

    async def fetch_bytes(self, statement: bytes) -> tuple[tuple[bytes | None, ...], ...]:
        """The same with the cells as the server sends them, whatever the connection converts."""
        session = self.stream().session
        columns, session.columns = session.columns, ColumnCache("latin-1", {}, use_unicode=False)
        try:
            return await self.fetch(statement)
        finally:
            session.columns = columns

    async def discard_results(self) -> None:
        """Read and drop what is outstanding, so that the session's state is what the server has.

        Raises the server's error in it, of which nobody has been told: whatever was to be done
        next was meant to come after a success.
        """
        (await self.drop_outstanding()).raise_once()

    async def drop_outstanding(self) -> PendingError:
        """Read and drop what is outstanding; returns the server's error in it.

        Raises InterfaceError when another task uses the runner, OperationalError when it is lost.
        """
        if self._cancellation is not None:
            await self.wait_cancelled()
        result = self.result
        if result is None or not self.outstanding:
            return PendingError(None)
        file_error: Exception | None = None
        with _Claim(self):
            exchange = self._unwanted = result.exchange
            try:
                self._forget_result()
                while not exchange.done:
                    if exchange.file_wanted is not None:
                        file_error = await self._send_file(exchange)
                    else:
                        await self._wait(exchange)
            finally:
                self._unwanted = None
        if exchange.error is not None and result.error is exchange.error:
            result.error = copy(exchange.error)  # for the reader of the further rows
        if self.closed:
            self._pending_error(exchange).raise_once()
        return PendingError(exchange.take_error() or file_error)

    def _start(self, exchange: Exchange) -> Stream:
        """Send the request of `exchange`, as far as the socket takes it."""
        self._check_beginning()
        self.result = None
        if exchange.runs_statement:
            self.record_statement(exchange)
        stream = self._stream
        if stream is None or stream.loop is not running_loop() or not stream.start(exchange):
            self._refuse()
        return stream

    def _check_beginning(self) -> None:
        """Nothing goes out before a block that was entered has begun."""
        if self._beginning is not None:
            raise err.InternalError(0, "a transaction block has to begin before")

    def _refuse(self) -> NoReturn:
        """Raise why nothing can be sent."""
        stream = self.stream()
        if stream.from_parent_process:
            raise err.InterfaceError(
                0,
                "the connection was opened before this process was forked: "
                "two processes can't share one, open one in each",
            )
        if stream.loop is not running_loop():
            raise err.InterfaceError(
                0,
                "the connection was opened on another event loop: "
                "two loops can't share one, open one in each",
            )
        raise err.InterfaceError(0, f"{stream!r} can't be used")

    async def _drain(self, stream: Stream) -> None:
        """Wait until the whole request is sent, or nearly."""
        try:
            await self._sent(stream)
        except BaseException as error:
            self._interrupted(error)
            raise

    async def _sent(self, stream: Stream) -> None:
        """Wait as `_drain` does, as long as no `write_timeout` passes without a byte from the
        server.
        """
        seconds = self._write_timeout
        while seconds is not None:
            received = stream.bytes_received
            try:
                async with asyncio.timeout(seconds):
                    await stream.drain()
                    return
            except TimeoutError:
                if stream.bytes_received == received:
                    raise QueryTimeout.after(seconds, "option 'write_timeout'") from None
        await stream.drain()

    async def _send_file(self, exchange: Query) -> Exception | None:
        """Send the file that is wanted; returns why it can't be opened, if so."""
        stream = self.stream()
        error: Exception | None = None
        path, source = exchange.take_file()
        try:
            with contextlib.ExitStack() as opened:
                if source is None:
                    try:
                        source = await open_local_file(path)
                        opened.callback(source.close)
                    except err.OperationalError as failure:
                        source, error = b"", failure
                await self._send_pieces(stream, exchange, source)
        except BaseException as failure:
            self.abort(f"LOAD DATA LOCAL failed: {failure!r}")
            raise
        return error

    async def _send_pieces(self, stream: Stream, exchange: Query, source: LocalSource) -> None:
        def send(data: bytes) -> None:
            exchange.send_file(data)
            stream.flush()

        sender = PieceSender(send, stream.loop)
        try:
            async with contextlib.aclosing(chunks(source)) as pieces:
                async for piece in pieces:
                    if exchange.done:  # the server has refused it
                        break
                    if sender.add(piece):
                        await asyncio.sleep(0)
                    if stream.writing_paused:
                        await self._sent(stream)
            sender.flush()
        finally:
            sender.close()
        send(b"")

    async def _wait(self, exchange: Exchange) -> None:
        """Wait until `exchange` has made progress."""
        if not exchange.consume_progress():
            stream = self.stream()
            if stream.from_parent_process:
                self._refuse()
            if stream.session.awaits_further_result:
                stream.expect_further_result()
            await stream.wait(exchange, self._interrupted, self._read_timeout)
            self.last_usage: float = monotonic()
        if exchange.done and self.session is not None and self.session.exchanges:
            await self._read_end_of_text()

    async def _read_end_of_text(self) -> None:
        """Wait for what the server says to the question for the end of a text that is over."""
        stream = self._stream
        while stream is not None and isinstance(question := stream.session.newest, EndOfText):
            await stream.wait(question, self._interrupted, self._read_timeout)

    def _interrupted(self, error: BaseException) -> None:
        """Cancel the statement whose response nobody will read, or else close the stream."""
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and self._kill_client is not None and self._cancel(self._kill_client):
            return
        self.abort("Cancelled during execution" if cancelled else str(error))
        self.release()

    def _cancel(self, kill_client: KillClient) -> bool:
        """Have what is outstanding stopped on the server; False: that can't be done."""
        stream = self._stream
        if stream is None or stream.closed or not is_cancellable(stream.session):
            return False
        if self._unwanted is not None:
            return False  # these statements are another's: they are not to be killed half-way
        stream.session.forget_changes()
        self._give_up_result("its reader was cancelled")
        self._busy = not stream.session.idle
        if self._busy:
            self._cancellation = StatementCancellation(stream, kill_client, self._on_cancelled)
        return True

    def _on_cancelled(self, cancellation: StatementCancellation) -> None:
        self._cancellation = None
        self.last_usage = monotonic()
        if cancellation.failure is not None:
            self.abort(cancellation.failure)
        self._busy = False

    def _forget_result(self) -> None:
        """Give up the last statement's result; warn if rows of it are unread."""
        if self._give_up_result():
            warn_caller("Previous unbuffered result was left incomplete", UserWarning)

    def _give_up_result(self, why: str = "it was given up for another statement") -> bool:
        """What the last statement has not delivered yet is not wanted any more.

        why: what its reader is told.  Returns whether it was a streamed result with rows unread.
        """
        result, self.result = self.result, None
        if result is None:
            return False
        incomplete = result.unbuffered_active and not result.complete
        result.exchange.discard()
        if incomplete:
            # A further read of this result raises that its rest was dropped.
            result.error = result.error or err.InterfaceError(
                0, f"the rest of this result was dropped: {why}"
            )
            result.unbuffered_active = False
        return incomplete

    def _raise_for(self, result: Result) -> None:
        """Raise the error of `result`, if there is one; without further results it is done with."""
        pending = self._pending_error(result)
        if pending and result is self.result and not self.outstanding:
            self.result = None
        pending.raise_once()

    def _pending_error(self, failable: Exchange | Result) -> PendingError:
        """The error of an exchange or a result, taken from it.

        If it is that of a broken session the stream is closed.
        """
        stream = self._stream
        if stream is None or stream.session.error is None:
            return PendingError(failable.take_error())
        pending = PendingError.of(failable, stream.session)
        if pending:
            self.abort(str(pending))
        return pending


class _Claim:
    """Within a `with` block the runner is one task's; a second task gets InterfaceError."""

    __slots__ = ("_runner",)

    def __init__(self, runner: CommandRunner) -> None:
        self._runner = runner

    def __enter__(self) -> None:
        self._runner.claim_free()

    def __exit__(self, *exc: object) -> None:
        self._runner.release()
