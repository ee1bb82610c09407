"""Prepared statements: those of `Connection.prepare`, and those kept for cursors.

The server forgets a session's statements when it is reset, and so do they here: a statement belongs
to a session and to a generation of it, and is prepared again when either is another one.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pymysql import err

from aiomysql_core.waiting.ready import DONE
from aiomysql_protocol.commands.prepared import Execute, Prepare, ServerStatement, close_statement
from aiomysql_protocol.sql.character_sets import ASKS_BEFORE
from aiomysql_protocol.sql.placeholders import ParsedStatement, convert
from aiomysql_protocol.sql.statements import is_simple_statement
from aiomysql_protocol.values.literals import encode_statement
from aiomysql_protocol.values.parameters import NO_PARAMETERS, NeedsTextError, ParameterWriter

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_core.cursors import Cursor
    from aiomysql_core.engine.runner import CommandRunner
    from aiomysql_protocol.commands.query import Result
    from aiomysql_protocol.session import Session

#: Errors of an execution for which nothing was done, because the statement must be prepared again:
#: ER_NEED_REPREPARE and ER_UNKNOWN_STMT_HANDLER.
_STALE = frozenset({1615, 1243})

#: Errors of a preparation that are about this moment, not about the statement: ER_QUERY_INTERRUPTED
#: and ER_LOCK_WAIT_TIMEOUT.
_PASSING = frozenset({1317, 1205})

#: Statements after which others may mean something else, because a prepared one keeps the database
#: and the modes it was prepared under: those others are prepared again.  Such a word stands
#: anywhere in them; in front of it may stand a digit, of the version in a comment that the server
#: executes.
_CHANGE = re.compile(rb"(?<![A-Z_])(?:USE|CALL|SET|EXECUTE)\b", re.IGNORECASE)
_NO_CHANGE = re.compile(
    rb"\s*SET\s+(?:SESSION\s+)?(?:AUTOCOMMIT\s*=\s*\w+|TRANSACTION\s[\w\s,]+);?\s*", re.IGNORECASE
)

#: Statements that may ask for a file.
_LOADS = re.compile(rb"\bLOAD\s+(?:DATA|XML)\b", re.IGNORECASE)

_UTF8 = ("utf8", "utf-8")


def _changes_meaning(statement: bytes) -> bool:
    return (
        not is_simple_statement(statement, 0)
        and _CHANGE.search(statement) is not None
        and _NO_CHANGE.fullmatch(statement) is None
    )


class Statement:
    """One statement of one connection, prepared or not."""

    __slots__ = (
        "cached",
        "changes_meaning",
        "encoded",
        "generation",
        "is_simple",
        "parsed",
        "positional",
        "prepared",
        "session",
        "text",
    )

    def __init__(self, text: str, parsed: ParsedStatement | None, cached: bool) -> None:
        #: What the server prepares.
        self.text = text
        #: The same in the character set in which it was sent.
        self.encoded = b""
        #: Whether others have to be prepared again after it.
        self.changes_meaning = False
        #: Whether ``statements.is_simple_statement`` says that it is simple.
        self.is_simple = False
        #: The statement with its marks; None: it goes as text.
        self.parsed = parsed
        #: How many ``%s`` marks it has; -1: it has others, or goes as text.
        self.positional = -1
        if parsed is not None and parsed.names is None:
            self.positional = parsed.parameters
        #: Whether it goes as text when the server can't prepare it.
        self.cached = cached
        #: What the server has prepared, in which session and generation; None: nothing.
        self.prepared: ServerStatement | None = None
        self.session: Session | None = None
        self.generation = 0


class StatementCache:
    """The prepared statements of one connection."""

    __slots__ = (
        "_cached",
        "_conv",
        "_encoding",
        "_generation",
        "_newest",
        "_runner",
        "_to_close",
        "_writer",
        "size",
        "usual",
        "version",
    )

    def __init__(
        self, runner: CommandRunner, size: int, encoding: str, conv: Mapping[Any, Any] | None
    ) -> None:
        """runner: the connection's; size: how many statements of cursors are kept (0: none);
        encoding: the connection's codec; conv: as for `connect`.
        """
        self._runner = runner
        self.size = size
        self._conv = conv
        self._encoding = encoding
        self._writer: ParameterWriter | None = None
        #: Whether values are written as UTF-8, and by none of the user's encoders.
        self.usual = conv is None and encoding in _UTF8
        #: Another one whenever a statement kept may be run in another way than before.
        self.version = 0
        self._generation = 0
        self._cached: OrderedDict[str, Statement] = OrderedDict()
        self._newest: Statement | None = None  # the last of them
        self._to_close: list[tuple[Session, ServerStatement]] = []

    # -- what happens to the session -------------------------------------------------------------

    def forget(self, encoding: str | None = None) -> None:
        """Close the statements kept for cursors: they may mean something else now.

        encoding: the connection's codec, if it has changed.
        """
        self.version += 1
        cached, self._cached, self._newest = self._cached, OrderedDict(), None
        for statement in cached.values():
            self.close(statement)
        if encoding is not None:
            self._encoding = encoding
            self._writer = None
            self.usual = self._conv is None and encoding in _UTF8

    def session_reset(self, encoding: str) -> None:
        """The session is as good as new: it has no statements."""
        self._generation += 1  # so that nothing is closed
        self._to_close.clear()
        self.forget(encoding)

    def record_text(self, statement: bytes) -> None:
        """`statement` is run as text: it may change what others mean."""
        if self._cached and _changes_meaning(statement):
            self.forget()

    # -- cursors' statements -----------------------------------------------------------------------

    def cached(self, query: str) -> Statement | None:
        """The statement for a cursor's `query`; None: it must go as text.

        The one used longest ago makes room for a new one.
        """
        statement = self._cached.get(query)
        if statement is None:
            statement = self.new_statement(query, cached=True)
            cached = self._cached
            while len(cached) >= self.size:
                self.close(cached.popitem(last=False)[1])
            cached[query] = statement
        elif statement is not self._newest:
            self._cached[query] = self._cached.pop(query, statement)
        if statement is not self._newest:
            self._newest = statement
            self.version += 1
        return None if statement.parsed is None else statement

    def new_statement(self, query: str, *, cached: bool = False) -> Statement:
        """A statement from a text with `%s` or `%(name)s` marks."""
        parsed = convert(query, no_backslash_escapes=self._runner.no_backslash_escapes)
        statement = Statement(parsed.statement if parsed is not None else query, parsed, cached)
        statement.encoded = encode_statement(statement.text, self._encoding)
        statement.is_simple = is_simple_statement(statement.encoded, 0)
        statement.changes_meaning = _changes_meaning(statement.encoded)
        # Some ask for what the statement before has left, which preparing them would overwrite.
        if cached and (
            statement.changes_meaning
            or ASKS_BEFORE.search(statement.encoded)
            or _LOADS.search(statement.encoded)
        ):
            statement.parsed = None
        return statement

    def close(self, statement: Statement) -> None:
        """Have the server forget a statement; that goes out with the next request."""
        if statement.prepared is not None and self._is_current(statement):
            assert statement.session is not None
            self._to_close.append((statement.session, statement.prepared))
            self._close_given_up()
        statement.prepared = None
        self.version += 1

    def _close_given_up(self) -> None:
        runner = self._runner
        if not runner.claim():
            return  # later: it may be sending a file, into which this would go
        try:
            while self._to_close:
                session, prepared = self._to_close.pop()
                if session is runner.session:
                    close_statement(session, prepared)
        finally:
            runner.release()

    def _is_current(self, statement: Statement) -> bool:
        return (
            statement.generation == self._generation and statement.session is self._runner.session
        )

    async def prepare(self, statement: Statement) -> None:
        """Prepare a statement; raises what the server says."""
        await self._runner.wait_cancelled()
        self._runner.check_free()
        if self._to_close:
            self._close_given_up()
        statement.encoded = encode_statement(statement.text, self._encoding)
        exchange = Prepare(statement.encoded)
        try:
            await self._runner.run(exchange)
        except BaseException:
            exchange.discard()  # it would never be closed
            raise
        statement.prepared = exchange.prepared
        statement.session = exchange.session
        statement.generation = self._generation
        self.version += 1

    # -- running ---------------------------------------------------------------------------------

    async def run(self, statement: Statement, args: Any, *, streamed: bool) -> Result | None:
        """Prepare a statement if need be, and run it; None: it must go as text."""
        for _ in range(2):
            if statement.prepared is None or not self._is_current(statement):
                try:
                    await self.prepare(statement)
                except err.InterfaceError:  # of the connection, which may be busy or closed
                    raise
                except err.MySQLError as error:
                    if not statement.cached or self._runner.closed or error.args[0] in _PASSING:
                        raise
                    statement.parsed = None  # the text will tell if more than that is wrong
                    return None
            exchange = self.execution(statement, args, streamed=streamed)
            if exchange is None:
                return None
            await self._runner.begin(exchange)
            result = self.take(statement, exchange)
            if result is not None:
                return result
        return None

    def take(self, statement: Statement, exchange: Execute) -> Result | None:
        """The result of an execution; None: it did not take place, `run` may try again."""
        try:
            return self._runner.take(exchange)
        except err.MySQLError as error:
            if error.args[0] not in _STALE:
                raise
        finally:
            if statement.changes_meaning:
                self.forget()
        self.close(statement)
        return None

    def execution(self, statement: Statement, args: Any, *, streamed: bool) -> Execute | None:
        """What runs a statement that is prepared; None: ask `run`."""
        prepared, parsed = statement.prepared, statement.parsed
        if (
            prepared is None
            or statement.session is not self._runner.session
            or statement.generation != self._generation
        ):
            return None
        if args is None and not prepared.parameter_count:
            return Execute(prepared, NO_PARAMETERS, streamed=streamed)
        count = prepared.parameter_count
        values: Sequence[Any]
        if parsed is None:
            values = args if isinstance(args, (tuple, list)) else (args,)
        elif parsed.parameters != count:
            return None  # the server sees the statement in another way
        elif parsed.names is None and type(args) is tuple and len(args) == count:
            values = args
        else:
            try:
                values = parsed.arrange(() if args is None else args)
            except NeedsTextError:
                return None
        try:
            writer = self._writer
            if writer is None:
                writer = self._writer = ParameterWriter(self._encoding, self._conv)
            parameters = writer.write(values)
        except NeedsTextError:
            return None
        same = parameters[2] == prepared.accepted_last and parameters[0] == count
        if same or prepared.accepts(parameters):
            return Execute(prepared, parameters, streamed=streamed)
        # The marks that are the server's own are what it says they are.
        return Execute(prepared, parameters, streamed=streamed) if parsed is None else None


class PreparedStatement:
    """A statement that the server has prepared; made by `Connection.prepare`.

    Used with `async with`, or closed by `close`.  It outlives a reset of the session and a
    reconnect: then it is prepared again.
    """

    def __init__(self, connection: Connection, query: str, statement: Statement) -> None:
        self._connection = connection
        #: The statement with the caller's marks.
        self.query = query
        self._statement: Statement | None = statement

    def __repr__(self) -> str:
        state = "closed " if self.closed else ""
        return f"<{type(self).__name__} {state}{self.query!r} of {self._connection!r}>"

    @property
    def connection(self) -> Connection:
        """The connection it belongs to."""
        return self._connection

    @property
    def closed(self) -> bool:
        """Whether the statement is closed."""
        return self._statement is None

    def statement_for(self, connection: Connection) -> Statement:
        """For cursors: the statement that is run.

        Raises ProgrammingError when it is closed or belongs to another connection.
        """
        if self._statement is None:
            raise err.ProgrammingError("the prepared statement is closed")
        if connection is not self._connection:
            raise err.ProgrammingError("the prepared statement belongs to another connection")
        return self._statement

    def as_text(self, args: object) -> tuple[str, object]:
        """For cursors: query and arguments, to be run as text.

        Raises ProgrammingError when that can't be, because the marks are the server's.
        """
        if self._statement is None or self._statement.parsed is None:
            raise err.ProgrammingError("these values can't be parameters of a prepared statement")
        return self.query, () if args is None else args

    async def execute(self, args: object = None, *, timeout: float | None = None) -> Cursor:
        """Run it; returns a cursor with the result, of the connection's `cursorclass`.

        args, timeout: as for `Cursor.execute`.  For a cursor of another kind give this statement to
        its `execute` in the place of SQL text.  Raises ProgrammingError when marks and values don't
        match or the statement is closed, and what `Cursor.execute` raises.
        """
        cursor = await self._connection.cursor()
        if timeout is None:
            await cursor.execute(self, args)
        else:
            await cursor.execute(self, args, timeout=timeout)
        return cursor

    def close(self) -> Coroutine[Any, Any, None]:
        """Have the server forget it: with the next request, so this costs no round trip."""
        statement, self._statement = self._statement, None
        if statement is not None:
            self._connection.statements.close(statement)
        return DONE

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()
