"""What `Cursor.executemany` does: one statement for many rows, with few round trips.

- INSERT and REPLACE with VALUES become statements of many rows, as in classic aiomysql.
- MariaDB runs UPDATE and DELETE row by row out of one request (COM_STMT_BULK_EXECUTE).
- Elsewhere INSERT, REPLACE, UPDATE and DELETE are sent as texts of many statements.
- All others are sent one by one.

In all but the first, and whatever the mode of transactions, those rows are run that the last way
would run: in order, up to the first error.  Servers do so by themselves.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pymysql import err
from pymysql.constants import CLIENT

from aiomysql_core.bulk.batches import BulkBatch, TextBatch, in_chunks, insert_batch, joined_batch
from aiomysql_core.bulk.insert import split_insert
from aiomysql_core.bulk.row_source import record_row
from aiomysql_core.compat import hooks
from aiomysql_core.log import warn_of_server
from aiomysql_core.statements import PreparedStatement, Statement, add_advice
from aiomysql_protocol.commands.bulk import BulkExecute
from aiomysql_protocol.sql.repeated import RepeatableStatement, repeatable_statement
from aiomysql_protocol.wire.capabilities import STMT_BULK_OPERATIONS
from aiomysql_protocol.wire.packets import MORE_RESULTS

if TYPE_CHECKING:
    from aiomysql_core.cursors import Cursor
    from aiomysql_protocol.commands.prepared import ServerStatement
    from aiomysql_protocol.commands.query import Result

#: So many rows are worth the two round trips that a bulk request takes beforehand.
_FEW = 16

#: Bytes of a request that any server takes.
_SMALL_REQUEST = 1 << 16

#: Bytes of a request besides its rows, at most.
_HEAD = 1 << 10

#: How many prepared executions there were in this session, each row of a bulk request counted;
#: those that were begun again after the server had prepared the statement again are counted twice.
_EXECUTIONS = (
    b"SELECT SUM(IF(VARIABLE_NAME = 'COM_STMT_EXECUTE', VARIABLE_VALUE, -VARIABLE_VALUE))"
    b" FROM information_schema.SESSION_STATUS"
    b" WHERE VARIABLE_NAME IN ('COM_STMT_EXECUTE', 'COM_STMT_REPREPARE')"
)

#: ER_UNKNOWN_STMT_HANDLER, ER_UNSUPPORTED_PS: nothing was run.
_FORGOTTEN, _UNSUPPORTED = 1243, 1295


class ManyRows:
    """One call of `Cursor.executemany`."""

    def __init__(self, cursor: Cursor[Any], query: str | bytes | PreparedStatement[Any]) -> None:
        self._cursor = cursor
        self._connection = cursor._get_db()
        self._query = query
        # None: the rows are sent one by one.
        self._batch: TextBatch | BulkBatch | None = None
        # Texts of many statements ask for the warnings of each.
        self._shows_warnings = self._connection.get_warnings
        # Rows are sent as one statement: either all of them are changed or none.
        self._is_one_statement = False
        # What was prepared for this call alone.
        self._own_statement: Statement | None = None
        # Rows that were run, and rows that they changed.
        self._done = self._changed = 0
        # `_EXECUTIONS` before the next bulk request; None: unknown.
        self._executions: int | None = None
        # That is how many there are now.
        self._is_counted = False
        # What can be sent many at a time, and whether that may be a bulk request.
        self._repeatable: RepeatableStatement | None = None
        self._may_be_bulk = True

    async def run(self, rows: Iterable[object] | AsyncIterable[object]) -> int | None:
        """Run the statement for each of `rows`; returns the number of rows changed.

        None: there were none.  See `Cursor.executemany`.
        """
        chunks = in_chunks(rows)
        is_empty = True
        try:
            while True:
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    break
                except Exception as error:  # of the caller's iterable
                    self._record_row(error, 0)
                    raise
                if not chunk:
                    continue
                is_empty = False
                # Anew for each: what gives the rows may have used the connection meanwhile.
                try:
                    await self._choose(len(chunk))
                except Exception as error:  # nothing was run
                    self._record_row(error, 0)
                    raise
                await self._take(chunk)
        finally:
            await chunks.aclose()
            self._close_own_statement()
        return None if is_empty else self._changed

    def _close_own_statement(self) -> None:
        statement, self._own_statement = self._own_statement, None
        if statement is not None:
            self._connection.statements.close(statement)

    # -- the way ---------------------------------------------------------------------------------

    async def _choose(self, count: int) -> None:
        """Decide how the next `count` rows are sent."""
        self._connection = connection = self._cursor._current_db()
        query = self._query
        self._batch = None
        self._is_one_statement = self._is_counted = False
        self._close_own_statement()
        self._cursor._warn_of_unread()
        await self._cursor._give_up_results(connection)
        insert = split_insert(query) if isinstance(query, str) else None
        if insert is not None:
            await connection.make_ready()
            self._is_one_statement = True
            self._batch = insert_batch(insert, connection.current_literals, connection.encoding)
            return
        if (
            count == 1
            or not hooks.are_own(self._cursor, hooks.STATEMENT_HOOKS)
            or hooks.connection_hooks_of(connection)
        ):
            return
        await connection.make_ready()
        text = query.query if isinstance(query, PreparedStatement) else query
        if not isinstance(text, str):
            return
        repeatable = repeatable_statement(
            text, no_backslash_escapes=connection.no_backslash_escapes
        )
        if repeatable is None:
            return
        self._repeatable = repeatable
        capabilities = connection.runner.stream().session.capabilities
        if (
            self._may_be_bulk
            and repeatable.runs_row_by_row
            and repeatable.parameters
            and not repeatable.has_names
            and count >= _FEW
            and capabilities & STMT_BULK_OPERATIONS
            and not connection.runner.limits_responses  # there is but one for all rows
        ):
            statement = await self._prepare(query)
            if statement is not None:
                self._batch = BulkBatch(statement, connection.statements.writer)
                return
        self._batch = self._joined_batch()

    def _joined_batch(self) -> TextBatch | None:
        """For texts of many statements; None: that can't be."""
        connection, repeatable = self._connection, self._repeatable
        capabilities = connection.runner.stream().session.capabilities
        if (
            repeatable is None
            or not isinstance(self._query, str)
            or not capabilities & CLIENT.MULTI_STATEMENTS
        ):
            return None
        return joined_batch(
            repeatable,
            connection.current_literals,
            connection.encoding,
            shows_warnings=self._shows_warnings,
        )

    async def _prepare(self, query: str | bytes | PreparedStatement[Any]) -> Statement | None:
        """The statement, prepared.

        None: it can't be, it has rows, or not all values mean in it what their literals mean.
        """
        connection = self._connection
        statements = connection.statements
        statement = statements.statement_for(connection, query, ())
        if statement is None and isinstance(query, str) and not statements.size:
            statement = self._own_statement = statements.new_statement(query, cached=True)
        if statement is None or statement.parsed is None:
            return None
        if not statements.is_current(statement):
            await statements.prepare(statement)
        prepared = statement.prepared
        if (
            prepared is None
            or prepared.accepted is not None
            or prepared.column_count
            or prepared.parameter_count != statement.parsed.parameters
        ):
            return None
        return statement

    # -- rows ------------------------------------------------------------------------------------

    async def _take(self, rows: Sequence[object]) -> None:
        """Add rows to the batch, and send it when it is full."""
        start = first = 0  # the next row, and the first of the batch
        while start < len(rows):
            batch = self._batch
            if batch is None:
                await self._run_alone(rows[start])
                start = first = start + 1
                continue
            longest = self._longest()
            try:
                stop = batch.add(rows, start, longest)
            except Exception as error:  # of a value
                if self._is_one_statement:  # which can't be run without the row
                    self._record_row(error, batch.count)
                else:
                    await self._send(rows, first)
                    self._record_row(error, 0)
                raise
            if not batch.count:
                if isinstance(batch, BulkBatch) and self._goes_on_as_text():
                    first = start = stop
                    continue
                if stop < len(rows):
                    await self._run_alone(rows[stop])
                stop = first = stop + 1
            elif stop >= len(rows) or longest != _SMALL_REQUEST or not await self._enlarge():
                await self._send(rows, first)
                first = stop
            start = stop

    def _goes_on_as_text(self) -> bool:
        """Have the rows from a row on that no bulk request can hold sent as texts; returns whether
        that can be.
        """
        batch = self._joined_batch()
        if batch is None:
            return False
        self._may_be_bulk, self._batch = False, batch
        return True

    def _longest(self) -> int:
        """Bytes of the longest request."""
        longest = self._connection.runner.max_request
        return min(self._cursor.max_stmt_length, _SMALL_REQUEST if longest is None else longest)

    async def _enlarge(self) -> bool:
        """Ask the server how long a request may be, once; returns whether there is room now."""
        runner = self._connection.runner
        if runner.max_request is not None:
            return False
        limit = await self._ask(b"SELECT @@max_allowed_packet")
        options = self._connection.max_allowed_packet
        runner.max_request = max(min(limit or 0, options) - _HEAD, _SMALL_REQUEST)
        return runner.max_request > _SMALL_REQUEST and self._longest() > _SMALL_REQUEST

    async def _ask(self, question: bytes) -> int | None:
        """The number that the server answers; None: it does not know."""
        runner = self._cursor._current_db().runner
        try:
            rows = await runner.fetch(question)
            return int(rows[0][0])
        except (err.MySQLError, ArithmeticError, LookupError, TypeError, ValueError):
            if runner.closed:
                raise
            return None

    async def _count_executions(self) -> int | None:
        return await self._ask(_EXECUTIONS)

    # -- sending ---------------------------------------------------------------------------------
    # What gives rows, or makes text of values, may have released the connection: whatever sends
    # something gets it by `_current_db`.

    def _record_row(self, error: Exception, rows: int | None) -> None:
        """The error belongs to the row behind `rows` of the batch; None: it is unknown to which."""
        record_row(error, None if rows is None else self._done + rows)

    def _unexpected(self, what: str) -> err.InternalError:
        """The error for a server that answers what nobody has asked."""
        error = err.InternalError(0, f"the server has {what}")
        self._record_row(error, None)
        return error

    async def _run_alone(self, row: object) -> None:
        self._is_counted = False  # it may be an execution
        try:
            changed = await self._cursor.execute(self._query, row)
        except Exception as error:
            self._record_row(error, 0)
            raise
        self._changed += changed
        self._done += 1

    async def _send(self, rows: Sequence[object], first: int) -> None:
        """Send the batch, of the rows from number `first` on."""
        batch = self._batch
        if batch is None or not batch.count:
            return
        count = batch.count
        if isinstance(batch, BulkBatch):
            if not await self._run_bulk(batch, count):
                self._may_be_bulk = False
                self._batch = self._joined_batch()
                await self._take([rows[first + index] for index in range(count)])
                return
        else:
            try:
                if self._is_one_statement:
                    await self._run_one(batch.take())
                else:
                    await self._run_joined(batch.take(), count)
            except err.MySQLError as error:
                for index in range(first, first + count):
                    if add_advice(error, self._query, rows[index]):
                        break
                raise
        self._done += count

    async def _run_one(self, statement: bytes) -> None:
        cursor = self._cursor
        before, cursor._origin = cursor._origin, ({}, str(self._query))
        try:
            self._changed += await cursor.execute(statement)
        except Exception as error:
            self._record_row(error, 0)
            raise
        finally:
            cursor._origin = before

    async def _run_joined(self, text: bytes, count: int) -> None:
        cursor = self._cursor
        connection = cursor._current_db()
        runner = connection.runner
        exchange = connection.new_query(text, files={}, source=str(self._query))
        cursor._last_executed = text
        cursor._forget_result()
        responses = _JoinedResponses(count, self._shows_warnings)
        try:
            await runner.begin(exchange)
            result = runner.take(exchange)
            responses.add([result])
            while result.has_next:
                results = await runner.next_results(responses.due)
                responses.add(results)
                result = results[-1]
        except Exception as error:
            self._record_row(error, responses.answered)
            _tell_before(error, responses.messages)
            raise
        finally:
            self._changed += responses.changed
        last = responses.last
        if last is None or responses.due or not responses.is_as_asked:
            raise self._unexpected(
                f"answered {responses.answered} of {count} statements in one text"
            )
        # That of the last row stands for all: nothing more is to come.
        last.exchange = exchange
        last.ok = last.ok._replace(server_status=last.ok.server_status & ~MORE_RESULTS)
        runner.result = last
        runner.affected_rows = last.affected_rows
        cursor.accept(connection, last)
        _tell(responses.messages)

    async def _run_bulk(self, batch: BulkBatch, count: int) -> bool:
        """Returns False when the server takes no such statement so."""
        cursor = self._cursor
        connection = cursor._current_db()
        runner, statement = connection.runner, batch.statement
        rows = batch.take()
        cursor._last_executed = statement.encoded
        if not self._is_counted:
            self._executions = await self._count_executions()
            self._is_counted = True
        for attempt in range(2):
            prepared = await self._prepared_again(batch)
            exchange = BulkExecute(prepared, rows)
            exchange.statement = statement
            cursor._forget_result()
            try:
                await runner.begin(exchange)
                result = runner.take(exchange)
                break
            except err.MySQLError as error:
                if attempt == 0 and error.args[0] == _FORGOTTEN and not runner.closed:
                    connection.statements.close(statement)
                    continue
                if error.args[0] == _UNSUPPORTED and not runner.closed:
                    return False
                messages = await self._warnings_before_error()
                before = await self._rows_before_error(count)
                self._record_row(error, before)
                if before != 0:  # else they are all of the row that failed
                    _tell_before(error, messages)
                raise
        if self._executions is not None:
            self._executions += count
        if result.metadata is not None or result.has_next:
            raise self._unexpected("given rows, or several results, for a bulk request")
        self._changed += result.affected_rows
        if cursor.accept(connection, result):
            await cursor._show_warnings_of_result(connection)
        return True

    async def _warnings_before_error(self) -> list[object]:
        """The warnings of the rows before the one that failed, and its own: the server does not
        say of which row each is.
        """
        connection = self._connection
        if connection.closed or not self._shows_warnings:
            return []
        try:
            shown = await connection.show_warnings()
        except err.MySQLError:  # the connection is lost: of what came before is to be told
            return []
        return [row[-1] for row in shown if str(row[0]) != "Error"]

    async def _prepared_again(self, batch: BulkBatch) -> ServerStatement:
        """The statement as the server has it: another task may have had it closed between two
        requests of one list.
        """
        statements, statement = self._connection.statements, batch.statement
        if not statements.is_current(statement):
            if isinstance(self._query, str):  # the cache may have others by now
                self._own_statement = statement
            await statements.prepare(statement)
        prepared = statement.prepared
        if (
            prepared is None
            or not statements.is_current(statement)
            or prepared.column_count
            or prepared.parameter_count != batch.parameters
        ):
            raise self._unexpected("prepared the statement, and now does it otherwise")
        return prepared

    async def _rows_before_error(self, count: int) -> int | None:
        """How many of `count` rows were run before the one that failed; None: it is unknown."""
        if self._executions is None or self._connection.closed:
            return None
        try:
            now = await self._count_executions()
        except err.MySQLError:  # the connection is lost: of what came before is to be told
            return None
        if now is None or not 0 < now - self._executions <= count:
            return None
        return now - self._executions - 1


class _JoinedResponses:
    """What came for a text of many statements: an OK for each, and if warnings are asked for one
    with rows behind each OK.
    """

    def __init__(self, count: int, shows_warnings: bool) -> None:
        self._shows_warnings = shows_warnings
        self._wants_rows = False
        #: How many results are still to come, if no statement fails.
        self.due = count * 2 if shows_warnings else count
        #: How many statements were run, and the rows that they changed.
        self.answered = self.changed = 0
        #: The warnings.
        self.messages: list[object] = []
        #: Whether each result was of the kind that it should be.
        self.is_as_asked = True
        #: The result of the last statement.
        self.last: Result | None = None

    def add(self, results: list[Result]) -> None:
        """The next results have come."""
        self.due -= len(results)
        for result in results:
            has_rows = result.metadata is not None
            if has_rows is not self._wants_rows:
                self.is_as_asked = False
            if has_rows:
                self._wants_rows = False
                self.messages += [row[-1] for row in result.rows]
            else:
                self._wants_rows = self._shows_warnings
                self.answered += 1
                self.changed += result.ok.affected_rows
                self.last = result


def _tell(messages: list[object]) -> None:
    for message in messages:
        warn_of_server(message)


def _tell_before(error: Exception, messages: list[object]) -> None:
    """Tell what the server has warned of before `error`, which is what is to be raised: warnings
    that the user's filters make errors become a note of it.
    """
    raised: list[str] = []  # as text: they would hold this frame
    for message in messages:
        try:
            warn_of_server(message)
        except Exception as warning:
            raised.append(str(warning))
    if raised:
        others = f" (and {len(raised) - 1} more)" if len(raised) > 1 else ""
        error.add_note(f"before it the server has warned: {raised[0]}{others}")
