"""From a cursor's statement and arguments to the exchange that runs it: as text, or prepared."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any

from pymysql import err

from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.session_charset import SessionCharset
from aiomysql_core.statements import PreparedStatement, Statement, StatementCache
from aiomysql_protocol.commands.prepared import Execute, encode_execution
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.values.literals import Literals, encode_statement
from aiomysql_protocol.wire.packets import MORE_RESULTS

if TYPE_CHECKING:
    from aiomysql_core.bulk.infile import LocalFiles
    from aiomysql_core.connection import Connection
    from aiomysql_core.cursors import Cursor


class StatementEncoder:
    """Makes the exchanges of one connection's cursors.

    What is asked of connection and cursor, by methods that may be another's, is in `compat.hooks`.
    """

    __slots__ = ("_charset", "_literals", "_runner", "_statements")

    def __init__(
        self,
        runner: CommandRunner,
        statements: StatementCache,
        charset: SessionCharset,
        literals: Literals,
        /,
    ) -> None:
        self._runner = runner
        self._statements = statements
        self._charset = charset
        self._literals = literals

    def encode(
        self, cursor: Cursor[Any], query: object, args: object, /
    ) -> Query | tuple[str | bytes, LocalFiles | None, str | None] | None:
        """The exchange that runs `query` with `args`, to be begun at once; the cursor lets go its
        result.

        A tuple: it goes as text, and `Cursor._query` or `Connection.query` is another's: text and
        origin, to be run by the former.  None: something stands in the way, which
        `Cursor._make_ready` removes.  Nothing was done then.  Raises what `Cursor.execute` raises
        for arguments that do not fit, and InterfaceError for a cursor or prepared statement of who
        had the connection before.
        """
        connection = cursor._connection
        if connection is None:
            raise err.ProgrammingError("Cursor closed")
        self._check_user(cursor)
        if self._has_obstacle(query, args):
            return None
        statement = self._statements.statement_for(connection, query, args)
        if statement is not None:
            if not self._statements.is_current(statement):
                return None
            exchange = self._encode_execution(cursor, statement, args)
            if exchange is not None:
                return exchange
            if isinstance(query, PreparedStatement):
                query, args = query.as_text(args)
        text, files, source = self._text(cursor, connection, query, args)
        method, by_connection = cursor._query, connection.query
        # A tracer's proxy of our method has the attributes of that.
        if (
            type(method) is not MethodType
            or method.__func__ is not cursor._own_query
            or type(by_connection) is not MethodType
            or by_connection.__func__ is not connection._own_query
        ):
            return text, files, source
        return self._encode_text(cursor, connection, text, files, source)

    def encode_text(self, cursor: Cursor[Any], text: str | bytes | bytearray, /) -> Query | None:
        """For `Cursor._query`: as `encode`, for a text that is complete."""
        connection = cursor._connection
        if connection is None:
            raise err.ProgrammingError("Cursor closed")
        self._check_user(cursor)
        if self._has_obstacle(text, None):
            return None
        return self._encode_text(cursor, connection, *self._text(cursor, connection, text, None))

    def _check_user(self, cursor: Cursor) -> None:
        """Raise InterfaceError for a cursor of who had the connection before."""
        if cursor._handovers != self._runner.handovers:
            self._runner.check_handovers(cursor._handovers, "this cursor")

    def _has_obstacle(self, query: object, args: object) -> bool:
        runner = self._runner
        # What is outstanding may change how values must be written.
        result = runner.result  # `outstanding`, written out
        return (
            (
                result is not None
                and (
                    not result.complete
                    or bool(result.ok.server_status & MORE_RESULTS)
                    or result.exchange.error is not None
                )
            )
            or runner._cancellation is not None
            or (runner.charset_in_doubt and self._charset.matters_to(query, args))
        )

    def _encode_execution(
        self, cursor: Cursor[Any], statement: Statement, args: object
    ) -> Execute | None:
        """None: it must go as text."""
        statements, prepared = self._statements, statement.prepared
        assert prepared is not None
        values: Sequence[Any] | None
        if type(args) is tuple and len(args) == statement.positional:
            values = args  # as `values` would say
        else:
            values = statement.values(args)
        if values is None:
            return None
        exchange = encode_execution(
            statements.writer(),
            prepared,
            values,
            cursor._unbuffered,
            cursor._has_dict_rows(),
            statement.parsed is None,
        )
        if exchange is None:
            return None
        if statement.changes_meaning:
            self._charset.record_statement(statement.encoded)
            statements.forget()
        exchange.statement = statement
        cursor._last_executed = statement.encoded
        cursor._forget_result()
        return exchange

    def _text(
        self, cursor: Cursor[Any], connection: Connection[Any], query: object, args: object
    ) -> tuple[str | bytes, LocalFiles | None, str | None]:
        """The text of a statement with its values in it, and its origin (see `Cursor._origin`)."""
        if args is None:
            if not isinstance(query, (str, bytes, bytearray)):
                raise _no_statement(query)
            text = query if isinstance(query, str) else bytes(query)
            return text, *(cursor._origin or (None, None))
        if not isinstance(query, str):
            if isinstance(query, (bytes, bytearray)):
                query = query.decode(connection.encoding)
            if not isinstance(query, str):
                raise _no_statement(query)
        files = connection.local_files(query, args)
        text = cursor.mogrify(query, args)
        if cursor._connection is None:  # values may run any code
            raise err.ProgrammingError("Cursor closed")
        return text, files, query

    def _encode_text(
        self,
        cursor: Cursor[Any],
        connection: Connection[Any],
        text: str | bytes,
        files: LocalFiles | None,
        source: str | None,
    ) -> Query:
        if isinstance(text, str):
            statement = encode_statement(text, connection.encoding)
        elif isinstance(text, (bytes, bytearray)):
            statement = bytes(text)
        else:
            raise _no_statement(text)
        exchange = connection.new_query(
            statement, unbuffered=cursor._unbuffered, files=files, source=source
        )
        exchange.as_dicts = cursor._has_dict_rows()
        cursor._last_executed = statement
        cursor._forget_result()
        return exchange


def _no_statement(query: object) -> TypeError:
    return TypeError(f"a statement must be str or bytes, not {type(query).__name__}")


PyStatementEncoder = StatementEncoder
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    StatementEncoder = _c.StatementEncoder
