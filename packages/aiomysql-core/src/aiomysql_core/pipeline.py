"""Many statements on the wire at once: each is sent before the responses to those before have come.

The requests go out in few packets, and responses are read while requests are written, so neither
side waits for the other with full buffers.  A task of its own sends and reads; what is unusual of
a statement (it is to be prepared first, say) is done once all before it have been answered.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Generator
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from pymysql import err

from aiomysql_core.compat import hooks
from aiomysql_core.cursors import Cursor
from aiomysql_core.log import Place, asked_at, warn_caller
from aiomysql_core.statements import add_advice
from aiomysql_core.transaction import Transaction
from aiomysql_core.type_variables import Row
from aiomysql_core.waiting.unawaited import Unawaited
from aiomysql_protocol.commands.query import Query

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_core.statements import PreparedStatement

#: The most statements, and bytes of their requests, that are sent and not answered.
_MOST_STATEMENTS = 1000
_MOST_BYTES = 1 << 20

#: Bytes of requests that are put together into one packet.
_PACKET = 1 << 16


class PipelinedStatement(Unawaited[Cursor[Row]], Generic[Row]):
    """A statement of a pipeline: to be awaited, gives a cursor that holds its result."""

    __slots__ = ("_future", "args", "asked_at", "cursor", "is_told", "number", "query")

    def __init__(
        self, number: int, cursor: Cursor[Row], query: Any, args: Any, place: Place
    ) -> None:
        #: Its place in the pipeline.
        self.number: int = number
        self.cursor: Cursor[Row] = cursor
        self.query: Any = query
        self.args: Any = args
        #: Where the program has queued it, for warnings.
        self.asked_at: Place = place
        #: Whether somebody has the result, or the error.
        self.is_told: bool = False
        self._future: asyncio.Future[Cursor[Row]] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        state = "done" if self.done() else "pending"
        return f"<{type(self).__name__} {state} {self.query!r}>"

    def __await__(self) -> Generator[Any, None, Cursor[Row]]:
        return self._result().__await__()

    async def _result(self) -> Cursor[Row]:
        # Who stops waiting for it does not stop it.
        if not self._future.done():
            await asyncio.wait([self._future])
        self.is_told = True
        error = self._future.exception()
        if error is None:
            return self._future.result()
        # A copy: what was raised holds the frames it went through, and they this statement.
        raise _copy(error)

    def done(self) -> bool:
        """Whether it has been answered, or never will be."""
        return self._future.done()

    def error(self) -> BaseException | None:
        """Why it failed."""
        if not self._future.done() or self._future.cancelled():
            return None
        return self._future.exception()

    def succeed(self) -> None:
        """The cursor has the result."""
        self._future.set_result(self.cursor)

    def fail(self, error: BaseException) -> None:
        """It failed, or is not going to be sent."""
        if not self._future.done():
            self._future.set_exception(error.with_traceback(None))  # whose frames hold this
            self._future.exception()  # the pipeline tells of it, nobody else


class Pipeline(Generic[Row]):
    """See `Connection.pipeline`."""

    def __init__(self, connection: Connection[Row], transaction: bool) -> None:
        self._connection = connection
        self._runner = connection.runner
        self._handovers = connection.runner.handovers
        self._transaction = Transaction(connection) if transaction else None
        #: Statements that are not sent yet, and those that are not answered.
        self._waiting: deque[PipelinedStatement[Any]] = deque()
        self._sent: deque[tuple[PipelinedStatement[Any], Query]] = deque()
        self._count = self._sent_bytes = 0
        # Those that failed, and whose error nobody has been told.
        self._failed: list[PipelinedStatement[Any]] = []
        # The next statement can't be sent before all others are answered.
        self._is_held_up = False
        self._is_scheduled = False
        # The runner is kept for what is queued here.
        self._has_runner = False
        self._driver: asyncio.Task[None] | None = None
        self._is_over = False
        self._more = asyncio.Event()

    def __repr__(self) -> str:
        waiting, sent = len(self._waiting), len(self._sent)
        return f"<{type(self).__name__} of {self._connection!r}: {waiting} to send, {sent} sent>"

    # -- the block -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._driver is not None:
            raise err.ProgrammingError("a pipeline is used once")
        connection = self._connection
        self._runner.check_handovers(self._handovers, "this pipeline")
        await connection.make_ready()
        self._runner.stream()  # or says why there is none
        if self._transaction is not None:
            is_within_block = bool(self._runner.transactions.blocks)
            await self._transaction.__aenter__()
            # What is behind a deadlock is sent already: in autocommit mode it would be committed.
            if not self._transaction.is_protected or (
                self._transaction.is_nested and not is_within_block
            ):
                await self._transaction.__aexit__(None, None, None)
                raise err.ProgrammingError(
                    "a transaction is open already: commit it or roll it back before the pipeline, "
                    "or have all of it in one block of `connection.transaction()`"
                )
        try:
            await self._runner.begin_block()
            self._runner.begin_pipeline()
        except BaseException as error:
            if self._transaction is not None:
                await self._transaction.__aexit__(type(error), error, error.__traceback__)
            raise
        self._has_runner = True
        self._driver = asyncio.get_running_loop().create_task(self._drive())
        # Even when who waits for it is cancelled twice.
        self._driver.add_done_callback(self._on_driver_done)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        driver = self._driver
        assert driver is not None
        self._is_over = True
        self._more.set()
        if exc_val is not None:
            self._refuse_waiting(
                err.InterfaceError(0, "the pipeline was left before this was sent")
            )
        if exc_type is not None and issubclass(exc_type, asyncio.CancelledError):
            driver.cancel()
        try:
            await self._until_ended(driver)
        except asyncio.CancelledError as error:
            if self._transaction is not None:
                await self._transaction.__aexit__(type(error), error, None)
            raise
        failed = sorted(
            (statement for statement in self._failed if not statement.is_told),
            key=lambda statement: statement.number,
        )
        if self._transaction is not None:
            has_failed = exc_val is not None or self._failed
            await self._transaction.__aexit__(err.Error if has_failed else None, None, None)
        if exc_val is None and failed:
            first = failed[0].error()
            assert first is not None
            failed[0].is_told = True
            first = _copy(first)
            if len(failed) > 1:
                first.add_note(f"{len(failed) - 1} more statements of the pipeline failed")
            try:
                raise first
            finally:
                del first, failed
        if exc_val is None and self._transaction is not None and self._failed:
            raise err.OperationalError(
                0, "the transaction was rolled back, because a statement of the pipeline has failed"
            )

    def _on_driver_done(self, driver: asyncio.Task[None]) -> None:
        if self._has_runner:
            self._has_runner = False
            self._runner.end_pipeline()

    async def _until_ended(self, driver: asyncio.Task[None]) -> None:
        """Wait until the driver has ended; who is cancelled meanwhile ends it."""
        try:
            await asyncio.wait([driver])
        except asyncio.CancelledError:
            driver.cancel()
            try:
                await asyncio.wait([driver])
            except asyncio.CancelledError:
                if self._transaction is not None:
                    self._connection.close()
                raise
            raise

    # -- for the caller --------------------------------------------------------------------------

    def execute(
        self, query: str | bytes | bytearray | PreparedStatement[Any], args: object = None
    ) -> PipelinedStatement[Row]:
        """Queue a statement; awaiting what is returned gives a cursor with its result.

        query, args: as for `Cursor.execute`; the cursor is of the connection's `cursorclass`.
        Awaiting raises what `Cursor.execute` raises.  Raises InterfaceError outside of the block,
        NotSupportedError where the connection's cursors leave rows in the server's stream.
        """
        if self._driver is None or self._is_over:
            raise err.InterfaceError(0, "the pipeline is not open: use it with `async with`")
        connection = self._connection
        if connection.cursorclass._unbuffered:
            raise err.NotSupportedError("an SSCursor can't be used in a pipeline")
        cursor = connection.new_cursor(connection.cursorclass)
        frame = sys._getframe(1)
        place = frame.f_code, frame.f_lasti, frame.f_globals
        statement = PipelinedStatement(self._count, cursor, query, args, place)
        self._count += 1
        if self._driver.done():
            self._fail(statement, err.InterfaceError(0, "the pipeline has ended with an error"))
            return statement
        self._waiting.append(statement)
        if not self._is_scheduled:  # with all that are queued in this turn of the loop
            self._is_scheduled = True
            connection.loop.call_soon(self._send_scheduled)
        return statement

    async def sync(self) -> None:
        """Wait until all statements that are queued have been answered."""
        pending = [one for one, _ in self._sent] + list(self._waiting)
        for statement in reversed(pending):
            if not statement.done():
                await asyncio.wait([statement._future])

    # -- sending and reading ---------------------------------------------------------------------

    def _send_scheduled(self) -> None:
        self._is_scheduled = False
        self._send()
        self._more.set()

    def _send(self) -> None:
        """Send as much as may be outstanding."""
        runner = self._runner
        size = 0
        try:
            while (
                self._waiting
                and not self._is_held_up
                and not runner.closed
                and len(self._sent) < _MOST_STATEMENTS
                and self._sent_bytes < _MOST_BYTES
            ):
                size += self._start(self._waiting[0])
                if size > _PACKET:
                    size = 0
                    if not runner.flush():
                        return
        finally:
            if size and not runner.closed:
                runner.flush()

    def _start(self, statement: PipelinedStatement[Any]) -> int:
        """Queue the request of the next statement; returns its bytes."""
        connection = self._connection
        try:
            exchange: object = None  # where `execute` is another's
            if hooks.are_own(statement.cursor, ("execute",)):
                exchange = connection.encoder.encode(
                    statement.cursor, statement.query, statement.args
                )
            if not isinstance(exchange, Query):
                self._is_held_up = True
                return 0
            if exchange.local_files:
                raise err.NotSupportedError("LOAD DATA LOCAL can't be run in a pipeline")
            self._runner.queue(exchange)
        except Exception as error:
            self._waiting.popleft()
            self._fail(statement, error)
            return 0
        self._waiting.popleft()
        self._sent.append((statement, exchange))
        self._sent_bytes += len(exchange.request)
        return len(exchange.request)

    async def _drive(self) -> None:
        """The task that reads the responses."""
        try:
            while True:
                self._send()
                if self._sent:
                    await self._read()
                elif self._is_held_up and self._waiting:
                    await self._run_alone(self._waiting.popleft())
                elif self._waiting:
                    await self._runner.drain()
                elif self._is_over:
                    return
                else:
                    self._more.clear()
                    await self._more.wait()
        except Exception as error:
            self._refuse_waiting(error)
            if self._sent:
                self._runner.abort(str(error))  # nobody reads what is to come
            self._fail_sent(error)
        except BaseException:
            cancelled = err.InterfaceError(0, "the pipeline was cancelled")
            self._refuse_waiting(cancelled)
            self._fail_sent(cancelled)
            raise

    async def _read(self) -> None:
        """Read the response to the oldest statement."""
        statement, exchange = self._sent[0]
        runner, cursor = self._runner, statement.cursor
        try:
            result = await runner.read_whole(exchange)
        except Exception as error:  # of the server, or of converters of the user's
            self._forget_oldest()
            if isinstance(error, err.MySQLError):
                add_advice(error, statement.query, statement.args)
            self._fail(statement, error)
            return
        self._forget_oldest()
        try:
            if cursor.accept(self._connection, result) and self._connection.get_warnings:
                warn_caller(
                    f"{result.warning_count} warnings, whose texts are lost in a pipeline: "
                    f"{statement.query!r}",
                    err.Warning,
                    statement.asked_at,
                )
        except Exception as error:  # of methods that others have replaced, or the warning
            self._fail(statement, error)
            return
        statement.succeed()

    def _forget_oldest(self) -> None:
        _, exchange = self._sent.popleft()
        self._sent_bytes -= len(exchange.request)

    async def _run_alone(self, statement: PipelinedStatement[Any]) -> None:
        """Run a statement as a cursor does, when all before it have been answered."""
        self._has_runner = False
        self._runner.end_pipeline()
        token = asked_at.set(statement.asked_at)
        try:
            await statement.cursor.execute(statement.query, statement.args)
            if statement.cursor._unfinished:
                await self._runner.discard_results()
        except Exception as error:
            self._fail(statement, error)
        except BaseException:
            self._fail(statement, err.InterfaceError(0, "the pipeline was cancelled"))
            raise
        else:
            statement.succeed()
        finally:
            asked_at.reset(token)
        self._runner.begin_pipeline()
        self._has_runner = True
        self._is_held_up = False  # those behind it are not sent before

    def _fail(self, statement: PipelinedStatement[Any], error: BaseException) -> None:
        self._failed.append(statement)
        statement.fail(error)

    def _refuse_waiting(self, error: BaseException) -> None:
        """What is not sent yet is not going to be."""
        while self._waiting:
            self._fail(self._waiting.popleft(), _copy(error))

    def _fail_sent(self, error: BaseException) -> None:
        """Nobody reads what is not answered yet."""
        while self._sent:
            self._fail(self._sent.popleft()[0], _copy(error))


def _copy(error: BaseException) -> BaseException:
    """The same error without where it was raised; itself, if it can't be copied."""
    try:
        copied = copy(error)
    except Exception:
        return error
    copied.__cause__ = error.__cause__
    return copied
