"""COM_QUERY and its results.

MySQL: "COM_QUERY", "COM_QUERY Response", "Text Resultset".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from pymysql.constants import CR, SERVER_STATUS
from pymysql.err import OperationalError

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.commands.exchange_state import ResultState
from aiomysql_protocol.commands.response import read_response
from aiomysql_protocol.rows.metadata import (
    Column,
    ColumnCache,
    DescriptionItem,
    MetadataPrefix,
    ResultMetadata,
    check_size,
)
from aiomysql_protocol.sql.statements import is_simple_statement
from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF
from aiomysql_protocol.wire.errors import MalformedPacket, malformed
from aiomysql_protocol.wire.packets import (
    EOF_HEADER,
    ERR_HEADER,
    LOCAL_INFILE_HEADER,
    OK_HEADER,
    Ok,
    parse_eof,
    parse_error,
    parse_ok,
)
from aiomysql_protocol.wire.primitives import PayloadReader

if TYPE_CHECKING:
    from aiomysql_protocol.session import Session

__all__ = ["UNKNOWN_ROW_COUNT", "Query", "Result", "Row", "start_query"]

Row = tuple[Any, ...]

#: Bytes of rows that a streamed result holds before the session asks the reader to pause.
STREAM_HIGH_WATER = 1 << 18

#: Results that are kept untaken before the session asks the reader to pause.
RESULTS_HIGH_WATER = 256

#: `affected_rows` of a result set whose rows are not counted yet.
UNKNOWN_ROW_COUNT = (1 << 64) - 1

_MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS

_NO_OK = Ok()

#: The most columns a result set may have (MySQL's own limit is 4096).
_MOST_COLUMNS = 1 << 16


class Result(ResultState):
    """One result of a statement: a result set, or the OK packet of a statement without rows."""

    @property
    def unwanted(self) -> bool:
        """Whether further rows are to be dropped."""
        return self.skipped or self.error is not None

    @property
    def affected_rows(self) -> int:
        """Rows changed, or rows in the result set (2**64 - 1 for a streamed one)."""
        if self.metadata is None:
            return self.ok.affected_rows
        return UNKNOWN_ROW_COUNT if self.streamed else len(self.rows)

    @property
    def insert_id(self) -> int | None:
        """The AUTO_INCREMENT value generated; None for a result set."""
        return self.ok.insert_id if self.metadata is None else None

    @property
    def warning_count(self) -> int:
        """Warnings of the statement; 0 until all rows are read."""
        return self.ok.warning_count

    @property
    def server_status(self) -> int:
        """Status flags (pymysql.constants.SERVER_STATUS) after the statement."""
        return self.ok.server_status

    @property
    def message(self) -> bytes:
        """What the server says of the statement, e.g. ``b"Records: 2"``."""
        return self.ok.message

    @property
    def has_next(self) -> bool:
        """Whether another result follows in the same response."""
        return self.ok.more_results

    @property
    def fields(self) -> tuple[Column, ...]:
        """The columns; empty for a statement without rows."""
        return self.metadata.columns if self.metadata is not None else ()

    @property
    def field_count(self) -> int:
        """Number of columns."""
        return len(self.fields)

    @property
    def description(self) -> tuple[DescriptionItem, ...] | None:
        """PEP 249's description; None for a statement without rows."""
        return self.metadata.description if self.metadata is not None else None

    def take_error(self) -> BaseException | None:
        """Why the result failed, to be raised; None the next time."""
        error, self.error = self.error, None
        exchange = getattr(self, "exchange", None)
        if exchange is not None and exchange.error is error:
            exchange.error = None
        return error


class _State(Enum):
    RESPONSE = auto()  # the first packet of a result
    COLUMNS = auto()  # column definitions
    LOCAL_FILE = auto()  # it's our turn to send a file
    COLUMNS_EOF = auto()  # the EOF packet behind them, without CLIENT_DEPRECATE_EOF
    ROWS = auto()


_RESPONSE = _State.RESPONSE


class Query(Exchange):
    """A statement in the text protocol, with all of its results."""

    reads_rows: bool = True
    runs_statement: bool = True

    #: Class of its results.
    new_result = Result

    #: Name of the file that the server waits for (see `take_file` and `send_file`).
    file_wanted: bytes | None = None

    #: The statement as it was before values were written into it; None: it is as it was.
    source: bytes | None = None

    #: Whether the rows are binary.
    binary: bool = False

    _state: _State = _State.RESPONSE
    _result: Result | None = None  # the one being read, once it has begun
    _announced: bool = False  # `_result` stands in `results`, or was taken from there
    _column_count: int = 0
    _definitions: list[bytes]
    _size: int = 0  # their bytes
    _stored: int = 0  # bytes of rows received since the last `take_rows`
    _discarding: bool = False

    def __init__(
        self,
        statement: bytes,
        *,
        streamed: bool = False,
        local_files: Mapping[bytes, Any] | None = None,
    ) -> None:
        """`local_files`: the files that the server may ask for, each once: name, as it stands in
        the statement -> what `take_file` is to return.

        `streamed`: wake the waiter for each batch of rows instead of for each result, and ask for a
        pause (`paused`) when nobody takes them.  Many results that nobody takes ask for one, too.
        """
        self.request = b"\x03" + statement  # COM_QUERY
        self._begin(streamed)
        if local_files:
            self.local_files = dict(local_files)

    def _begin(self, streamed: bool) -> None:
        """Set what every statement is asked for.

        In the instance, although most of it is as the class has it: there it is found sooner.
        """
        self.results = []
        self.streamed = streamed
        self.quick = not streamed
        self.done = self.has_progress = False
        self.on_progress = self.local_files = None

    @property
    def is_simple(self) -> bool:
        if self.source is not None:
            return is_simple_statement(self.source, 0)
        return is_simple_statement(self.request, 1)

    @property
    def columns(self) -> ColumnCache:
        """What compiles the metadata of the results."""
        assert self.session is not None
        return self.session.columns

    @property
    def prefixes(self) -> list[MetadataPrefix]:
        """The metadata that is matched as it stands in the stream."""
        assert self.session is not None
        return self.session.columns.prefixes

    @property
    def paused(self) -> bool:
        if self.streamed and self._stored >= STREAM_HIGH_WATER:
            return True
        return len(self.results) >= RESULTS_HIGH_WATER

    def take_rows(self, result: Result) -> list[Row]:
        """Take all rows that have come for `result`, which is then empty again."""
        rows = result.rows
        result.rows = []
        self._stored = 0
        return rows

    def skip(self, result: Result) -> None:
        """Drop the rows of `result` that were not taken and those still to come."""
        result.skipped = True
        result.rows = []
        self._stored = 0

    def discard(self) -> None:
        """Drop all results that are not taken.  The server's error remains in `error`."""
        self._discarding = True
        self.quick = False
        self.on_progress = None
        self._stored = 0
        self.results.clear()
        if not self.done:
            self._reading().rows = []

    # -- reading ---------------------------------------------------------------------------------

    def receive_rows(self, buffer: bytearray, position: int, end: int) -> int:
        if self._state is _RESPONSE:
            session = self.session
            if session is None or self.sequence_id != 1 or not session.capabilities & DEPRECATE_EOF:
                return position
            if not self.streamed and not self._discarding:
                prefixes = self.prefixes if self.binary else session.columns.prefixes
                response = read_response(prefixes, buffer, position, end)
                if response is not None:
                    position, self.sequence_id, metadata, rows, ok = response
                    result = Result()
                    result.rows = rows
                    result.metadata = metadata
                    result.ok = _NO_OK
                    if ok is None or ok.server_status & _MORE_RESULTS:
                        self._take_part(session, result, ok)
                        return position
                    session.server_status = ok.server_status
                    result.ok = ok
                    result.complete = self.done = True
                    self.results.append(result)
                    self.notify()
                    return position
            position = self._match_metadata(buffer, position, end)
            if self._state is _RESPONSE:
                return position
        result = self._reading()
        assert result.metadata is not None
        if self._discarding or result.unwanted:
            return position  # frame by frame, undecoded
        # In a list of its own: a converter, or a finalizer, may take the result's rows meanwhile.
        decoded: list[Row] = []
        try:
            stop = result.metadata.decoder.decode(buffer, position, end, self.sequence_id, decoded)
        except MalformedPacket:
            self._add_rows(result, decoded)
            raise
        except BaseException as error:
            self._add_rows(result, decoded)
            # A value that can't be converted is the caller's affair: the rows that follow are read
            # and dropped, frame by frame from here, and the connection stays in step.  Whatever a
            # converter raises is for who waits, also CancelledError and KeyboardInterrupt.
            result.error = error
            if self.streamed:
                self.notify()
            return position
        self.sequence_id = (self.sequence_id + len(decoded)) & 0xFF
        self._add_rows(result, decoded)
        if self.streamed and stop > position:
            self._stored += stop - position
            self.notify()
        return stop

    def _add_rows(self, result: Result, rows: list[Row]) -> None:
        if not (self._discarding or result.skipped):
            if result.rows:
                result.rows += rows
            else:
                result.rows = rows

    def _reading(self) -> Result:
        """The result being read."""
        result = self._result
        if result is None:
            result = self._result = Result()
            result.ok = _NO_OK
            result.rows = []
            result.streamed = self.streamed
        return result

    def _take_part(self, session: Session, result: Result, ok: Ok | None) -> None:
        """A response as far as it has come: rows of it are to come, or (`ok`) a further result."""
        self._result = result
        self.quick = False
        if ok is None:
            self._state = _State.ROWS
        else:
            self._end_result(session.record_status(ok))

    def _match_metadata(self, buffer: bytearray, position: int, end: int) -> int:
        """Pass over metadata that came before, in the first result of a response."""
        prefix = self.columns.match(buffer, position, end)
        if prefix is None:
            return position
        self.quick = False
        self.sequence_id = (1 + prefix.frames) & 0xFF
        self._reading().metadata = prefix.metadata
        self.record_metadata(prefix.metadata)
        self._begin_rows()
        return position + len(prefix.raw)

    def receive(self, payload: bytes | bytearray) -> None:
        self.quick = False  # what comes now is not the first of the response
        if not payload:
            raise malformed(f"an empty packet in the response to a query ({self._state.name})")
        if payload[0] == ERR_HEADER:
            assert self.session is not None
            self.session.mark_transaction_unknown()
            self._refused(parse_error(payload))
        elif self._state is _State.ROWS:
            self._receive_in_rows(payload)
        elif self._state is _State.RESPONSE:
            self._receive_response(payload)
        elif self._state is _State.COLUMNS:
            self._receive_definition(payload)
        elif self._state is _State.LOCAL_FILE:
            raise malformed("the server did not wait for the end of the file")
        elif payload[0] == EOF_HEADER:
            parse_eof(payload)
            self._begin_rows()
        else:
            raise malformed("no EOF packet behind the column definitions")

    def _receive_response(self, payload: bytes | bytearray) -> None:
        assert self.session is not None
        if payload[0] == OK_HEADER:
            self._end_result(self.session.record_status(parse_ok(payload)))
        elif payload[0] == LOCAL_INFILE_HEADER:
            self._receive_file_request(bytes(payload[1:]))
        else:
            reader = PayloadReader(payload, "a column count")
            count = reader.required_lenenc_integer()
            follows = True
            if self.session.capabilities & CACHE_METADATA:
                follows = bool(reader.integer(1))
            if reader.remaining or not 0 < count <= _MOST_COLUMNS:
                raise malformed(
                    f"a result set of {count} columns, {reader.remaining} bytes too many"
                )
            if not follows:
                self._reading().metadata = self.known_columns(count)
                self._begin_rows()
                return
            self._column_count = count
            self._definitions = []
            self._size = 0
            self._state = _State.COLUMNS
            self.reads_rows = False

    def known_columns(self, count: int) -> ResultMetadata:
        """The metadata of a result set of `count` columns for which the server sends none."""
        raise malformed(f"a result set of {count} columns without metadata")

    def record_metadata(self, metadata: ResultMetadata) -> None:
        """The server has sent this metadata."""

    def _receive_file_request(self, name: bytes) -> None:
        if self.local_files is None or name not in self.local_files:
            raise OperationalError(
                CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED,
                f"the server asks for the local file {name[:256]!r}, which the statement "
                "does not name or the connection does not allow",
            )
        self._state = _State.LOCAL_FILE
        self.reads_rows = False
        self.file_wanted = name
        self.notify()

    def take_file(self) -> Any:
        """What `local_files` has for the file that is wanted."""
        assert self.file_wanted is not None and self.local_files is not None
        return self.local_files.pop(self.file_wanted)

    def send_file(self, data: bytes) -> None:
        """Send a piece of the file that is wanted; an empty one ends it."""
        if self.done or self.file_wanted is None:
            return
        assert self.session is not None
        self.session.send_payload(self, data)
        if not data:
            self.file_wanted = None
            self._state = _State.RESPONSE

    def _receive_definition(self, payload: bytes | bytearray) -> None:
        assert self.session is not None
        self._definitions.append(bytes(payload))
        self._size = check_size(self._size + len(payload))
        if len(self._definitions) < self._column_count:
            return
        columns = self.columns
        metadata = self._reading().metadata = columns.compile(self._definitions)
        self.record_metadata(metadata)
        if self.session.capabilities & DEPRECATE_EOF:
            if self.sequence_id == (2 + self._column_count) & 0xFF:
                flag = b"\1" if self.session.capabilities & CACHE_METADATA else b""
                columns.store(self._definitions, metadata, flag)
            self._begin_rows()
        else:
            self._state = _State.COLUMNS_EOF

    def _begin_rows(self) -> None:
        self._state = _State.ROWS
        self.reads_rows = True
        if self.streamed:
            self._announce()
            self.notify()

    def _announce(self) -> None:
        if not self._announced and not self._discarding:
            self.results.append(self._reading())
        self._announced = True

    def _receive_in_rows(self, payload: bytes | bytearray) -> None:
        assert self.session is not None
        # A row may begin with 0xFE only when its first cell, and so its payload, has 16 MiB or
        # more.  A shorter one that is no EOF packet is malformed.
        if payload[0] == EOF_HEADER and len(payload) < 0xFFFFFF:
            parse = parse_ok if self.session.capabilities & DEPRECATE_EOF else parse_eof
            self._end_result(self.session.record_status(parse(payload)))
            return
        result = self._reading()
        if self._discarding or result.unwanted:
            return
        assert result.metadata is not None
        try:
            result.rows.append(result.metadata.decoder.decode_row(payload))
        except MalformedPacket:
            raise
        except BaseException as error:  # as in `receive_rows`
            result.error = error
            return
        if self.streamed:
            self._stored += len(payload)
            self.notify()

    def _refused(self, error: BaseException) -> None:
        """An ERR packet has come: nothing follows it.

        `error` is for the owner of the connection, until it was raised: the
        reader of the result may never come to its end.
        """
        self.error = error
        result = self._reading()
        if result.error is None:
            result.error = error
        self._end_result(Ok())

    def _end_result(self, ok: Ok) -> None:
        """A result is complete; without more to follow the exchange is done."""
        result = self._reading()
        result.ok = ok
        result.complete = True
        self._announce()
        if not ok.more_results:
            self.finish()
            return
        self._result = None
        self._announced = False
        self._state = _State.RESPONSE
        self.reads_rows = True
        self.notify()

    def finish(self, error: BaseException | None = None) -> None:
        if error is not None:
            # The connection broke: the result under way ends here, and its reader raises that.
            result = self._reading()
            result.error = result.error or error
            result.complete = True
            self._announce()
        self._result = None  # which may know this exchange
        super().finish(error)


def start_query(
    session: Session, kind: type[Query], statement: bytes, /
) -> tuple[Query, bytes] | None:
    """Make a `kind` and start it, as `Session.request` does.

    Returns it, and the bytes to be sent at once; None: nothing was done, `Session.request` must do
    it.  So it is in Python.
    """
    return None


py_start_query = start_query
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    start_query = _c.start_query
