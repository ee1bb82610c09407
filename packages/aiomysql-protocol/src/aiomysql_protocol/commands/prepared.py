"""Prepared statements: COM_STMT_PREPARE, COM_STMT_EXECUTE and COM_STMT_CLOSE.

MySQL: "COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_CLOSE".

A server forgets a session's statements when it is reset (COM_RESET_CONNECTION) or changes its user.
A statement keeps the current database and the sql_mode under which it was prepared, whatever the
session changes later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from pymysql.constants import COMMAND, FIELD_TYPE
from pymysql.err import ProgrammingError

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.commands.exchange import Command, Exchange
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.rows.metadata import ColumnCache, MetadataPrefix, ResultMetadata, check_size
from aiomysql_protocol.sql.parameter_places import Place
from aiomysql_protocol.sql.statements import is_row_change, is_simple_statement
from aiomysql_protocol.values.parameters import (
    ACCEPTED_DATES,
    ACCEPTED_TIMES,
    ACCEPTED_YEARS,
    NeedsTextError,
    Parameters,
    ParameterWriter,
    accepted,
)
from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF
from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.framing import frames
from aiomysql_protocol.wire.packets import EOF_HEADER, ERR_HEADER, OK_HEADER, parse_eof, parse_error
from aiomysql_protocol.wire.primitives import PayloadReader, lenenc_integer

if TYPE_CHECKING:
    from aiomysql_protocol.session import Session

__all__ = [
    "Execute",
    "Prepare",
    "ServerStatement",
    "close_statement",
    "encode_execution",
    "reset_statement",
]

_NO_CURSOR = b"\0"
_ITERATIONS = (1).to_bytes(4, "little")
_TYPES_FOLLOW = b"\1"
_NULL = frozenset({FIELD_TYPE.NULL})
_INTEGER = frozenset({FIELD_TYPE.LONGLONG})


@dataclass(slots=True)
class ServerStatement:
    """A statement that the server has prepared, in one session."""

    statement_id: int
    parameter_count: int
    #: Columns of its result set; 0: it has none. (A server may not know before it runs.)
    column_count: int
    warning_count: int
    #: What may be sent for each parameter (see ``parameters.accepted``); None: anything for all.
    accepted: tuple[frozenset[int] | None, ...] | None = None
    #: The metadata of its result set that the server sent last, where it won't send it again
    #: unless it changes (see ``capabilities.CACHE_METADATA``).
    metadata: ResultMetadata | None = field(default=None, compare=False, repr=False)
    #: What compiled it.
    compiled_by: ColumnCache | None = field(default=None, compare=False, repr=False)
    #: The frame that says that the metadata has not changed; empty where there is none.
    unchanged: bytes = field(default=b"", compare=False, repr=False)

    #: Whether it is simple, see ``statements.is_simple_statement``.
    is_simple: bool = field(default=False, compare=False, repr=False)

    #: Whether it is one, and an INSERT or the like, see ``statements.is_row_change``.
    is_row_change: bool = field(default=False, compare=False, repr=False)

    #: The request by which it was prepared: a byte, and its text.
    request: bytes = field(default=b"", compare=False, repr=False)

    #: What `read_response` matches then: that frame, in the metadata's place.
    prefixes: list[MetadataPrefix] | None = field(default=None, compare=False, repr=False)

    #: How a request to execute it begins.
    head: bytes = field(init=False, compare=False, repr=False)
    #: The types that were accepted last.
    accepted_last: bytes = field(default=b"", init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.head = (
            COMMAND.COM_STMT_EXECUTE.to_bytes(1, "little")
            + self.statement_id.to_bytes(4, "little")
            + _NO_CURSOR
            + _ITERATIONS
        )

    def accepts(self, parameters: Parameters) -> bool:
        """Whether these values mean in this statement what their literals mean.

        If not, the statement must go as text.  Raises ProgrammingError when their number is wrong.
        """
        if parameters.number != self.parameter_count:
            raise ProgrammingError(
                f"the statement has {self.parameter_count} parameters, "
                f"but {parameters.number} values were given"
            )
        if self.accepted is None:
            self.accepted_last = parameters.types
            return True
        pairs = zip(self.accepted, parameters.types[::2], strict=True)
        if not all(types is None or given in types for types, given in pairs):
            return False
        self.accepted_last = parameters.types
        return True

    def misreads(self, parameters: Parameters) -> bool:
        """Whether one of these is a time, and the server would read a date in it.

        That gives nonsense, and with 24 hours or more it ends MySQL 9.7 (``WEEKDAY(?)``).
        """
        return self.accepted is not None and any(
            given == FIELD_TYPE.VARCHAR and types == ACCEPTED_DATES
            for types, given in zip(self.accepted, parameters.types[::2], strict=True)
        )

    def accept_at(self, places: Sequence[Place]) -> None:
        """Accept only what means at the places of its marks what its literal means.

        For a statement of which the caller doesn't know that it is prepared.
        """
        accepted = tuple(map(_accepted_at, places, self.accepted or (None,) * len(places)))
        self.accepted = accepted if any(types is not None for types in accepted) else None

    def record_metadata(self, metadata: ResultMetadata, compiled_by: ColumnCache) -> None:
        """The server has sent this metadata and may not do so again."""
        self.metadata = metadata
        self.compiled_by = compiled_by
        self.unchanged = bytes(frames(lenenc_integer(len(metadata.columns)) + b"\0", 1)[0][0])
        self.prefixes = [MetadataPrefix(self.unchanged, 1, metadata)]


class _State(Enum):
    RESPONSE = auto()
    DEFINITIONS = auto()  # of the parameters, or of the columns
    EOF = auto()  # behind either, without CLIENT_DEPRECATE_EOF


class Prepare(Exchange):
    """COM_STMT_PREPARE: has the server parse a statement with `?` marks."""

    activity = "preparation of a statement"

    def __init__(self, statement: bytes) -> None:
        """`statement`: in the connection's character set."""
        self.request: bytes = bytes([COMMAND.COM_STMT_PREPARE]) + statement
        #: What came of it; None until it is complete, and after an error.
        self.prepared: ServerStatement | None = None
        self._prepared: ServerStatement | None = None
        self._state = _State.RESPONSE
        self._blocks: list[int] = []  # lengths of the prefixes of definitions that are to come
        self._missing = 0  # definitions that the one under way lacks
        self._accepted: list[frozenset[int] | None] = []
        self._columns: list[bytes] = []
        self._size = 0  # their bytes
        self._discarded = False

    def discard(self) -> None:
        """Close the statement as soon as the server has prepared it."""
        super().discard()
        self._discarded = True
        self._close_discarded()

    def _close_discarded(self) -> None:
        if self._discarded and self.prepared is not None:
            assert self.session is not None
            if self.session.error is None:
                close_statement(self.session, self.prepared)
            self.prepared = None

    def receive(self, payload: bytes | bytearray) -> None:
        assert self.session is not None
        header = payload[0] if payload else None
        if header == ERR_HEADER:
            self.finish(parse_error(payload))
        elif self._state is _State.RESPONSE:
            if header != OK_HEADER:
                raise malformed(f"the response to a preparation begins with {bytes(payload[:8])!r}")
            self._receive_response(payload)
        elif self._state is _State.DEFINITIONS:
            self._receive_definition(payload)
        elif header == EOF_HEADER:
            self.session.record_status(parse_eof(payload))
            self._next_block()
        else:
            raise malformed("no EOF packet behind the definitions of a prepared statement")

    def _receive_definition(self, payload: bytes | bytearray) -> None:
        assert self.session is not None and self._prepared is not None
        if len(self._accepted) < self._prepared.parameter_count:
            self._accepted.append(_accepted_by(payload))
        else:
            self._columns.append(bytes(payload))
            self._size = check_size(self._size + len(payload))
        self._missing -= 1
        if self._missing:
            return
        if self.session.capabilities & DEPRECATE_EOF:
            self._next_block()
        else:
            self._state = _State.EOF

    def _receive_response(self, payload: bytes | bytearray) -> None:
        reader = PayloadReader(payload, "the response to a preparation", 1)
        statement_id = reader.integer(4)
        column_count = reader.integer(2)
        parameter_count = reader.integer(2)
        reader.take(1)  # filler
        # Servers before MySQL 4.1 end here.
        warning_count = reader.integer(2) if reader.remaining else 0
        self._prepared = ServerStatement(statement_id, parameter_count, column_count, warning_count)
        self._prepared.request = self.request
        self._prepared.is_simple = is_simple = is_simple_statement(self.request, 1)
        self._prepared.is_row_change = is_simple and is_row_change(self.request, 1)
        self._blocks = [count for count in (column_count, parameter_count) if count]
        self._next_block()

    def _next_block(self) -> None:
        if self._blocks:
            self._missing = self._blocks.pop()
            self._state = _State.DEFINITIONS
        else:
            self.prepared = self._complete()
            self.finish()
            self._close_discarded()

    def _complete(self) -> ServerStatement:
        assert self.session is not None and self._prepared is not None
        prepared = self._prepared
        if any(types is not None for types in self._accepted):
            prepared.accepted = tuple(self._accepted)
        if self._columns and self.session.capabilities & CACHE_METADATA:
            columns = self.session.columns.for_binary
            prepared.record_metadata(columns.compile(self._columns), columns)
        return prepared


def _accepted_by(definition: bytes | bytearray) -> frozenset[int] | None:
    """What may be sent for the parameter with this definition.  Raises MalformedPacket."""
    reader = PayloadReader(definition, "the definition of a parameter")
    for _ in range(6):  # names
        reader.lenenc_bytes()
    reader.lenenc_integer()
    charsetnr = reader.integer(2)
    length = reader.integer(4)
    return accepted(reader.integer(1), charsetnr, length)


def _accepted_at(place: Place, accepted: frozenset[int] | None) -> frozenset[int] | None:
    """What may be sent for a mark at this place, of what the server would accept there."""
    if accepted in (ACCEPTED_TIMES, ACCEPTED_YEARS):
        accepted = _NULL
    if place is Place.VALUE:
        if accepted is not None and FIELD_TYPE.NEWDECIMAL in accepted:
            return accepted | _INTEGER  # nothing is made of the number of decimals
        return accepted
    if place is Place.OTHER:
        return frozenset()
    return _INTEGER if accepted is None else accepted & _INTEGER


class Execute(Query):
    """COM_STMT_EXECUTE: runs a prepared statement; its results come as those of a Query do."""

    def __init__(
        self,
        prepared: ServerStatement,
        parameters: Parameters,
        streamed: bool = False,
        as_dicts: bool = False,
    ) -> None:
        """`parameters`: those that ``prepared.accepts``; the others: see Query."""
        # Without a call of Query's, whose request is another one: executions are what must be fast.
        number, nulls, types, values = parameters
        head = prepared.head
        # The types are sent each time: so an execution that failed can't leave others in force.
        self.request: bytes = head + nulls + _TYPES_FOLLOW + types + values if number else head
        self._begin(streamed, as_dicts)
        self.binary = True
        self.is_simple: bool = prepared.is_simple
        self.own_prepared = prepared

    @property
    def columns(self) -> ColumnCache:
        assert self.session is not None
        return self.session.columns.for_binary

    @property
    def text_request(self) -> bytes:
        return self.own_prepared.request

    def known_columns(self, count: int) -> ResultMetadata:
        prepared, columns = self.own_prepared, self.columns
        found = prepared.metadata
        if found is None or len(found.columns) != count:
            return super().known_columns(count)
        if prepared.compiled_by is not columns:  # the session reads values in another way now
            found = columns.compile(found.definitions)
            self.record_metadata(found)
        return found

    def record_metadata(self, metadata: ResultMetadata) -> None:
        assert self.session is not None
        if self.session.capabilities & CACHE_METADATA:
            self.own_prepared.record_metadata(metadata, self.columns)


def general_execution(
    writer: ParameterWriter,
    prepared: ServerStatement,
    values: Sequence[object],
    streamed: bool,
    as_dicts: bool,
    own_marks: bool,
    /,
) -> Execute | None:
    """What `encode_execution` does, for values of any types: C has it done here, too."""
    try:
        parameters = writer.write(values)
    except NeedsTextError:
        return None
    same = (
        parameters.types == prepared.accepted_last and parameters.number == prepared.parameter_count
    )
    if same or prepared.accepts(parameters) or (own_marks and not prepared.misreads(parameters)):
        return Execute(prepared, parameters, streamed, as_dicts)
    return None


def encode_execution(
    writer: ParameterWriter,
    prepared: ServerStatement,
    values: Sequence[object],
    streamed: bool,
    as_dicts: bool,
    own_marks: bool,
    /,
) -> Execute | None:
    """The Execute that runs `prepared` with `values`, to be started by `Session.request`.

    None: the statement must go as text, because a value can't be a parameter or does not mean there
    what its literal means.  (With `own_marks` it may mean that: the statement came with `?` marks,
    which are what the server says they are; but no time for a date.)

    Raises ProgrammingError for a wrong number of values, and what ``writer.write`` raises.
    """
    return general_execution(writer, prepared, values, streamed, as_dicts, own_marks)


def reset_statement(prepared: ServerStatement) -> Command:
    """COM_STMT_RESET: gives up what belongs to an execution, and keeps the statement."""
    return Command(COMMAND.COM_STMT_RESET, prepared.statement_id.to_bytes(4, "little"))


class _Close(Exchange):
    """COM_STMT_CLOSE, which the server doesn't answer: never in a session's queue."""

    def receive(self, payload: bytes | bytearray) -> None:
        raise malformed("a response to COM_STMT_CLOSE")


def close_statement(session: Session, prepared: ServerStatement) -> None:
    """Have the server forget a statement.

    There is no response: the bytes go out in front of the next request (or with the next
    ``Session.data_to_send``).
    """
    session.send_payload(
        _Close(),
        COMMAND.COM_STMT_CLOSE.to_bytes(1, "little") + prepared.statement_id.to_bytes(4, "little"),
    )


# C has it for values of the types that it does not write itself.
py_encode_execution = encode_execution
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    encode_execution = _c.encode_execution
