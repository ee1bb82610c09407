"""Prepared statements: those of `Connection.prepare`, and those kept for cursors.

The server forgets a session's statements when it is reset, and so do they here: a statement belongs
to a session and to a generation of it, and is prepared again when either is another one.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from pymysql import err

from aiomysql_core.compat import hooks
from aiomysql_core.type_variables import Row
from aiomysql_core.waiting.ready import DONE
from aiomysql_protocol.commands.prepared import Prepare, ServerStatement, close_statement
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.sql.character_sets import ASKS_BEFORE
from aiomysql_protocol.sql.marks import explained_by_server
from aiomysql_protocol.sql.parameter_places import Place
from aiomysql_protocol.sql.placeholders import ParsedStatement, convert
from aiomysql_protocol.sql.statements import is_simple_statement
from aiomysql_protocol.values.literals import encode_statement
from aiomysql_protocol.values.parameters import NeedsTextError, ParameterWriter
from aiomysql_protocol.values.session_zone import SessionZone

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_core.cursors import Cursor
    from aiomysql_core.engine.runner import CommandRunner

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
        "counts",
        "encoded",
        "generation",
        "handovers",
        "parsed",
        "positional",
        "prepared",
        "text",
        "used",
    )

    def __init__(self, text: str, parsed: ParsedStatement | None, cached: bool) -> None:
        #: What the server prepares.
        self.text: str = text
        #: The same in the character set in which it was sent.
        self.encoded: bytes = b""
        #: Whether others have to be prepared again after it.
        self.changes_meaning: bool = False
        #: The statement with its marks; None: it goes as text.
        self.parsed: ParsedStatement | None = parsed
        #: Which of the marks stand in LIMIT or OFFSET.
        self.counts: tuple[int, ...] = ()
        #: How many ``%s`` marks it has, in the server's eyes too; -1: `values` must tell.
        self.positional: int = -1
        if parsed is not None:
            if cached:
                places = enumerate(parsed.places)
                self.counts = tuple(index for index, place in places if place is Place.COUNT)
            if parsed.names is None and not self.counts:
                self.positional = parsed.parameters
        #: Whether it goes as text when the server can't prepare it.
        self.cached: bool = cached
        #: When it was used, as `StatementCache` counts.
        self.used: int = 0
        #: What the server has prepared, and when, as `CommandRunner.generation` counts; None:
        #: nothing.
        self.prepared: ServerStatement | None = None
        self.generation: int = 0
        #: As `CursorState._handovers`.
        self.handovers: int = 0

    def values(self, args: Any) -> Sequence[Any] | None:
        """The values of its parameters for a cursor's arguments; None: it must go as text."""
        prepared, parsed = self.prepared, self.parsed
        count = 0 if prepared is None else prepared.parameter_count
        if args is None and not count:
            return ()
        if parsed is None:
            return args if isinstance(args, (tuple, list)) else (args,)
        if parsed.parameters != count:
            return None  # the server sees the statement in another way
        values: Sequence[Any]
        if parsed.names is None and type(args) is tuple and len(args) == count:
            values = args
        else:
            try:
                values = parsed.arrange(() if args is None else args)
            except NeedsTextError:
                return None
        for index in self.counts:
            value = values[index]
            if type(value) is not int or value < 0:
                return None  # MariaDB would take -1 for the largest number
        return values


class StatementCache:
    """The prepared statements of one connection."""

    __slots__ = (
        "_cached",
        "_conv",
        "_encoding",
        "_runner",
        "_to_close",
        "_used",
        "_writer",
        "_zone",
        "size",
    )

    def __init__(
        self,
        runner: CommandRunner,
        size: int,
        encoding: str,
        conv: Mapping[Any, Any] | None,
        zone: SessionZone | None = None,
    ) -> None:
        """runner: the connection's; size: how many statements of cursors are kept (0: none);
        encoding: the connection's codec; conv: as for `connect`; zone: the session's.
        """
        self._runner = runner
        self.size: int = size
        self._conv = conv
        self._zone = zone
        self._encoding = encoding
        self._writer: ParameterWriter | None = None
        self._cached: dict[str, Statement] = {}  # always this one
        self._used = 0  # counts the uses of all
        self._to_close: list[tuple[int, ServerStatement]] = []

    # -- what happens to the session -------------------------------------------------------------

    def forget(self, encoding: str | None = None) -> None:
        """Close the statements kept for cursors: they may mean something else now.

        encoding: the connection's codec, if it has changed.
        """
        cached = list(self._cached.values())
        self._cached.clear()
        for statement in cached:
            self.close(statement)
        if encoding is not None:
            self._encoding = encoding
            self._writer = None

    def use_zone(self, zone: SessionZone | None) -> None:
        """The session has that time zone now."""
        self._zone = zone
        self._writer = None

    def session_reset(self, encoding: str) -> None:
        """The session is as good as new: it has no statements."""
        self._to_close.clear()
        self.forget(encoding)

    def record_text(self, statement: bytes) -> None:
        """`statement` is run as text: it may change what others mean."""
        if self._cached and _changes_meaning(statement):
            self.forget()

    # -- cursors' statements -----------------------------------------------------------------------

    def statement_for(
        self, connection: Connection[Any], query: object, args: object
    ) -> Statement | None:
        """The statement that a cursor is to run, prepared or to be prepared; None: it goes as text.

        Raises what `PreparedStatement.statement_for` raises.
        """
        if (
            args is not None
            and self.size
            and isinstance(query, str)
            and hooks.are_own(connection, hooks.LITERAL_HOOKS)  # or else they write the values
        ):
            return self.cached(query)
        if isinstance(query, PreparedStatement):
            return query.statement_for(connection)
        return None

    def cached(self, query: str) -> Statement | None:
        """The statement for a cursor's `query`; None: it must go as text.

        The one used longest ago makes room for a new one.
        """
        statement = self._cached.get(query)
        if statement is None:
            statement = self.new_statement(query, cached=True)
            cached = self._cached
            while len(cached) >= self.size:
                oldest = min(cached, key=lambda text: cached[text].used)
                self.close(cached.pop(oldest))
            cached[query] = statement
        self._used += 1
        statement.used = self._used
        return None if statement.parsed is None else statement

    def writer(self) -> ParameterWriter:
        """What writes the values of parameters."""
        if self._writer is None:
            self._writer = ParameterWriter(self._encoding, self._conv, self._zone)
        return self._writer

    def new_statement(self, query: str, *, cached: bool = False) -> Statement:
        """A statement from a text with `%s` or `%(name)s` marks."""
        parsed = convert(query, no_backslash_escapes=self._runner.no_backslash_escapes)
        statement = Statement(parsed.statement if parsed is not None else query, parsed, cached)
        statement.encoded = encode_statement(statement.text, self._encoding)
        statement.changes_meaning = _changes_meaning(statement.encoded)
        # Some ask for what the statement before has left, which preparing them would overwrite.
        if cached and (
            (parsed is not None and Place.OTHER in parsed.places)
            or statement.changes_meaning
            or ASKS_BEFORE.search(statement.encoded)
            or _LOADS.search(statement.encoded)
        ):
            statement.parsed = None
        return statement

    def close(self, statement: Statement) -> None:
        """Have the server forget a statement; that goes out with the next request."""
        if statement.prepared is not None and self.is_current(statement):
            self._to_close.append((statement.generation, statement.prepared))
            self._close_given_up()
        statement.prepared = None

    def _close_given_up(self) -> None:
        runner = self._runner
        if not runner.claim():
            return  # later: it may be sending a file, into which this would go
        try:
            while self._to_close:
                generation, prepared = self._to_close.pop()
                if generation == runner.generation and runner.session is not None:
                    close_statement(runner.session, prepared)
        finally:
            runner.release()

    def is_current(self, statement: Statement) -> bool:
        """Whether the server has it prepared in this session, after its last reset."""
        return statement.prepared is not None and statement.generation == self._runner.generation

    async def prepare(self, statement: Statement) -> None:
        """Prepare a statement.

        Raises what the server says; a statement kept for cursors that can't be prepared goes as
        text from now on, whose error will tell if more than that is wrong.
        """
        runner = self._runner
        await runner.wait_cancelled()
        runner.check_free()
        if self._to_close:
            self._close_given_up()
        statement.encoded = encode_statement(statement.text, self._encoding)
        exchange = Prepare(statement.encoded)
        generation = runner.generation
        try:
            await runner.run(exchange)
        except err.MySQLError as error:
            exchange.discard()  # it would never be closed
            if (
                isinstance(error, err.InterfaceError)  # of the connection, which may be busy
                or not statement.cached
                or runner.closed
                or error.args[0] in _PASSING
            ):
                raise
            statement.parsed = None
            return
        except BaseException:
            exchange.discard()
            raise
        prepared, parsed = exchange.prepared, statement.parsed
        assert prepared is not None
        if parsed is not None and parsed.parameters != prepared.parameter_count:
            statement.positional = -1
        if statement.cached and parsed is not None:
            prepared.accept_at(parsed.places)
        statement.prepared = prepared
        statement.generation = generation


def stale_statement(exchange: Query, error: err.MySQLError) -> Statement | None:
    """The prepared statement that was run, if nothing was done because the server has forgotten it;
    None: the error is another one.
    """
    statement = exchange.statement
    is_stale = type(statement) is Statement and error.args[:1] and error.args[0] in _STALE
    return statement if is_stale else None


def add_advice(
    error: err.MySQLError, query: object, args: object, *, prepares: bool = False
) -> bool:
    """Add to the server's error what is wrong with marks and arguments; returns whether that is
    known.  prepares: the statement was to be prepared.
    """
    words = explained_by_server(error.args, query, args, prepares=prepares)
    if words is None:
        return False
    number, message = error.args[:2]
    error.args = (number, f"{message} ({words})")
    return True


class PreparedStatement(Generic[Row]):
    """A statement that the server has prepared; made by `Connection.prepare`.

    Used with `async with`, or closed by `close`.  It outlives a reset of the session and a
    reconnect: then it is prepared again.
    """

    def __init__(self, connection: Connection[Row], query: str, statement: Statement) -> None:
        self._connection = connection
        #: The statement with the caller's marks.
        self.query = query
        self._statement: Statement | None = statement

    def __repr__(self) -> str:
        state = "closed " if self.closed else ""
        return f"<{type(self).__name__} {state}{self.query!r} of {self._connection!r}>"

    @property
    def connection(self) -> Connection[Row]:
        """The connection it belongs to."""
        return self._connection

    @property
    def closed(self) -> bool:
        """Whether the statement is closed."""
        return self._statement is None

    def statement_for(self, connection: Connection[Any]) -> Statement:
        """For cursors: the statement that is run.

        All that run it ask here.  Raises ProgrammingError when it is closed or belongs to another
        connection, InterfaceError when it is of who had the connection before.
        """
        statement, runner = self._statement, connection.runner
        if statement is None:
            raise err.ProgrammingError("the prepared statement is closed")
        if connection is not self._connection:
            raise err.ProgrammingError("the prepared statement belongs to another connection")
        if statement.handovers != runner.handovers:
            runner.check_handovers(statement.handovers, "this prepared statement")
        return statement

    def as_text(self, args: object) -> tuple[str, object]:
        """For cursors: query and arguments, to be run as text.

        Raises ProgrammingError when that can't be, because the marks are the server's.
        """
        if self._statement is None or self._statement.parsed is None:
            fix = "one has an encoder in option 'conv', say: prepare it with %s marks"
            values = args if isinstance(args, (tuple, list)) else (args,)
            if any(isinstance(value, (tuple, list, range, set, frozenset)) for value in values):
                fix = (
                    "a list, as for IN, is none: run the statement with a cursor, and %s for the "
                    "list, or prepare one with a mark for each of its elements"
                )
            raise err.ProgrammingError(
                f"these values can't be parameters of a prepared statement with ? marks: {fix}"
            )
        return self.query, () if args is None else args

    async def execute(self, args: object = None, *, timeout: float | None = None) -> Cursor[Row]:
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
