"""What `Cursor.executemany` does: one statement for many rows, with few round trips.

- INSERT and REPLACE with VALUES become statements of many rows, as in classic aiomysql.
- MariaDB runs UPDATE and DELETE row by row out of one request (COM_STMT_BULK_EXECUTE).
- Elsewhere INSERT, REPLACE, UPDATE and DELETE are sent as texts of many statements.
- All others are sent one by one.

In all but the first, and whatever the mode of transactions, those rows are run that the last way
would run: in order, up to the first error.  Servers do so by themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING

from pymysql import err
from pymysql.constants import CLIENT

from aiomysql_core.bulk.batches import BulkBatch, TextBatch, in_chunks, insert_batch, joined_batch
from aiomysql_core.bulk.insert import split_insert
from aiomysql_core.compat import hooks
from aiomysql_core.log import warn_of_server
from aiomysql_core.statements import PreparedStatement, Statement
from aiomysql_protocol.commands.bulk import BulkExecute
from aiomysql_protocol.sql.repeated import repeatable_statement
from aiomysql_protocol.wire.capabilities import STMT_BULK_OPERATIONS

if TYPE_CHECKING:
    from aiomysql_core.cursors import Cursor
    from aiomysql_protocol.commands.prepared import ServerStatement

#: So many rows are worth the two round trips that a bulk request takes beforehand.
_FEW = 16

#: Bytes of a request that any server takes.
_SMALL_REQUEST = 1 << 16

#: Bytes of a request besides its rows, at most.
_HEAD = 1 << 10

#: How many prepared executions there were in this session, each row of a bulk request counted.
_EXECUTIONS = (
    b"SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS"
    b" WHERE VARIABLE_NAME = 'COM_STMT_EXECUTE'"
)

#: ER_UNKNOWN_STMT_HANDLER: nothing was run.
_FORGOTTEN = 1243


class ManyRows:
    """One call of `Cursor.executemany`."""

    def __init__(self, cursor: Cursor, query: str | bytes | PreparedStatement) -> None:
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

    async def run(self, rows: Iterable[object] | AsyncIterable[object]) -> int | None:
        """Run the statement for each of `rows`; returns the number of rows changed.

        None: there were none.  See `Cursor.executemany`.
        """
        chunks = in_chunks(rows)
        is_first = True
        try:
            while True:
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    break
                except Exception as error:  # of the caller's iterable
                    await self._send_before(error)
                    raise
                if chunk is not rows:  # what gives them may have run something meanwhile
                    self._is_counted = False
                if is_first and chunk:
                    try:
                        await self._choose(len(chunk))
                    except Exception as error:  # nothing was run
                        self._record_row(error, 0)
                        raise
                    is_first = False
                await self._take(chunk)
            await self._send()
        except Exception as error:
            if not hasattr(error, "row_index"):
                self._record_row(error, None)
            raise
        finally:
            await chunks.aclose()
            if self._own_statement is not None:
                self._connection.statements.close(self._own_statement)
        return None if is_first else self._changed

    # -- the way ---------------------------------------------------------------------------------

    async def _choose(self, count: int) -> None:
        """Decide how the rows are sent, of which at least `count` are to come."""
        connection, query = self._connection, self._query
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
        capabilities = connection.runner.stream().session.capabilities
        if (
            repeatable.runs_row_by_row
            and repeatable.parameters
            and not repeatable.has_names
            and count >= _FEW
            and capabilities & STMT_BULK_OPERATIONS
        ):
            statement = await self._prepare(query)
            if statement is not None:
                self._batch = BulkBatch(statement, connection.statements.writer)
                return
        if isinstance(query, str) and capabilities & CLIENT.MULTI_STATEMENTS:
            self._batch = joined_batch(
                repeatable,
                connection.current_literals,
                connection.encoding,
                shows_warnings=self._shows_warnings,
            )

    async def _prepare(self, query: str | bytes | PreparedStatement) -> Statement | None:
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
        batch, start = self._batch, 0
        while start < len(rows):
            if batch is None:
                await self._run_alone(rows[start])
                start += 1
                continue
            longest = self._longest()
            try:
                stop = batch.add(rows, start, longest)
            except Exception as error:  # of a value
                await self._send_before(error)
                raise
            if stop == start and not batch.count:
                await self._run_alone(rows[start])
                stop += 1
            elif stop < len(rows) and (longest != _SMALL_REQUEST or not await self._enlarge()):
                await self._send()
            start = stop

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
        runner = self._connection.runner
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

    async def _send_before(self, error: Exception) -> None:
        """Something is wrong with the row behind those in the batch, which are sent first.

        (Not those of one statement: that can't be run without the row.)
        """
        if self._is_one_statement and self._batch is not None:
            self._record_row(error, self._batch.count)
        else:
            await self._send()
            self._record_row(error, 0)

    def _record_row(self, error: Exception, rows: int | None) -> None:
        """The error belongs to the row behind `rows` of the batch; None: it is unknown to which."""
        with contextlib.suppress(AttributeError):
            index = None if rows is None else self._done + rows
            error.row_index = index  # type: ignore[attr-defined]

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

    async def _send(self) -> None:
        """Send the batch, if there are rows in it."""
        batch = self._batch
        if batch is None or not batch.count:
            return
        count = batch.count
        if isinstance(batch, BulkBatch):
            await self._run_bulk(batch, count)
        elif self._is_one_statement:
            await self._run_one(batch.take())
        else:
            await self._run_joined(batch.take(), count)
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
        cursor, connection = self._cursor, self._connection
        runner = connection.runner
        exchange = connection.new_query(text, files={}, source=str(self._query))
        cursor._last_executed = text
        cursor._forget_result()
        answered = 0
        messages: list[object] = []
        # Each answer is an OK, and one with rows follows it if warnings are asked for.
        is_as_asked, wants_rows = True, False
        try:
            await runner.begin(exchange)
            result = runner.take(exchange)
            while True:
                is_as_asked = is_as_asked and (result.metadata is not None) is wants_rows
                wants_rows = self._shows_warnings and not wants_rows
                if result.metadata is None:
                    answered += 1
                    self._changed += result.affected_rows
                    last = result
                else:
                    messages += [row[-1] for row in result.rows]
                if not result.has_next:
                    break
                result = await runner.next_result()
        except Exception as error:
            self._record_row(error, answered)
            raise
        if answered != count or wants_rows or not is_as_asked:
            raise self._unexpected(f"answered {answered} of {count} statements in one text")
        cursor.accept(connection, last)
        for message in messages:
            warn_of_server(message)

    async def _run_bulk(self, batch: BulkBatch, count: int) -> None:
        cursor, connection = self._cursor, self._connection
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
                self._record_row(error, await self._rows_before_error(count))
                raise
        if self._executions is not None:
            self._executions += count
        if result.metadata is not None or result.has_next:
            raise self._unexpected("given rows, or several results, for a bulk request")
        self._changed += result.affected_rows
        if cursor.accept(connection, result):
            await cursor._show_warnings_of_result(connection)

    async def _prepared_again(self, batch: BulkBatch) -> ServerStatement:
        """The statement as the server has it; whoever gives the rows may have had it closed."""
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
