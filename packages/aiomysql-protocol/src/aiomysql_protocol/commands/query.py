"""COM_QUERY and its results.

MySQL: "COM_QUERY", "COM_QUERY Response", "Text Resultset".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from pymysql.constants import CLIENT, CR
from pymysql.err import OperationalError

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.commands.exchange_state import (
    CHANGES,
    NO_CHANGES,
    PAYLOADS,
    RESPONSE,
    ROWS,
    ResultState,
)
from aiomysql_protocol.rows.metadata import (
    Column,
    ColumnCache,
    DescriptionItem,
    ResultMetadata,
    check_size,
)
from aiomysql_protocol.sql.statements import (
    changes_rows,
    is_row_change,
    is_simple_statement,
    may_undo_changes,
)
from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF
from aiomysql_protocol.wire.errors import MalformedPacket, malformed
from aiomysql_protocol.wire.packets import (
    EOF_HEADER,
    ERR_HEADER,
    IN_TRANSACTION,
    LOCAL_INFILE_HEADER,
    OK_HEADER,
    Ok,
    parse_eof,
    parse_error,
    parse_ok,
)
from aiomysql_protocol.wire.primitives import PayloadReader

__all__ = ["UNKNOWN_ROW_COUNT", "Query", "Result", "encode_query"]

#: Bytes of rows that a streamed result holds before the session asks the reader to pause.
STREAM_HIGH_WATER = 1 << 18

#: Results that are kept untaken before the session asks the reader to pause.
RESULTS_HIGH_WATER = 256

#: `affected_rows` of a result set whose rows are not counted yet.
UNKNOWN_ROW_COUNT = (1 << 64) - 1

#: What stands for the packet that ends a result, until it came.
NO_OK = Ok()

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
        error = self.error
        self.error: BaseException | None = None
        exchange = getattr(self, "exchange", None)
        if exchange is not None and exchange.error is error:
            exchange.error = None
        return error


class _State(Enum):
    """What is read payload by payload."""

    COLUMNS = auto()  # column definitions
    LOCAL_FILE = auto()  # it's our turn to send a file
    COLUMNS_EOF = auto()  # the EOF packet behind them, without CLIENT_DEPRECATE_EOF


class Query(Exchange):
    """A statement in the text protocol, with all of its results."""

    runs_statement: bool = True

    #: Name of the file that the server waits for (see `take_file` and `send_file`).
    file_wanted: bytes | None = None

    _state: _State = _State.COLUMNS
    _column_count: int = 0
    _definitions: list[bytes]
    _size: int = 0  # their bytes

    # What `changes_rows` and `may_undo_changes` say of its statement; None: they were not asked.
    _changes_rows: bool | None = None
    _may_undo: bool | None = None

    def __init__(
        self,
        statement: bytes,
        *,
        streamed: bool = False,
        as_dicts: bool = False,
        local_files: Mapping[bytes, Sequence[Any]] | None = None,
        source: str | None = None,
    ) -> None:
        """`local_files`: the files that the server may ask for: name, as it stands in the statement
        -> what `take_file` is to return, one after another, for each time it may ask.

        `source`: the statement as it was before values were written into it.

        `streamed`: wake the waiter for each batch of rows instead of for each result, and ask for a
        pause (`paused`) when nobody takes them.  Many results that nobody takes ask for one, too.

        `as_dicts`: make each row a dict, of the values by ``ResultMetadata.keys``.
        """
        self.request: bytes = b"\x03" + statement  # COM_QUERY
        self._begin(streamed, as_dicts)
        if local_files:
            self.local_files = dict(local_files)
        if source is None:
            self.is_simple: bool = is_simple_statement(self.request, 1)
        else:
            self.is_simple = is_simple_statement(source.encode("utf-8", "replace"), 0)

    def _begin(self, streamed: bool, as_dicts: bool) -> None:
        """Set what every statement is asked for.

        In the instance, although most of it is as the class has it: there it is found sooner.
        """
        self.results: list[Result] = []
        self.streamed = streamed
        self.as_dicts = as_dicts
        self.reading: int = RESPONSE
        self.done = self.has_progress = self.discarding = self.announced = False
        self.on_progress = self.local_files = self.result = None

    @property
    def columns(self) -> ColumnCache:
        """What compiles the metadata of the results."""
        assert self.session is not None
        return self.session.columns

    @property
    def paused(self) -> bool:
        if self.streamed and self.stored >= STREAM_HIGH_WATER:
            return True
        return len(self.results) >= RESULTS_HIGH_WATER

    def take_rows(self, result: Result) -> list[Any]:
        """Take all rows that have come for `result`, which is then empty again."""
        rows = result.rows
        result.rows = []
        self.stored: int = 0
        return rows

    def skip(self, result: Result) -> None:
        """Drop the rows of `result` that were not taken and those still to come."""
        result.skipped = True
        result.rows = []
        self.stored = 0

    def discard(self) -> None:
        """Drop all results that are not taken.  The server's error remains in `error`."""
        self.discarding: bool = True
        self.on_progress: Callable[[], None] | None = None
        self.stored = 0
        self.results.clear()
        if not self.done:
            self._reading().rows = []

    # -- reading ---------------------------------------------------------------------------------
    # What `response.read_response` leaves.

    def _reading(self) -> Result:
        """The result being read."""
        result = self.result
        if result is None:
            result = self.result = Result()
            result.ok = NO_OK
            result.rows = []
            result.streamed = self.streamed
        return result

    def receive(self, payload: bytes | bytearray) -> None:
        if not payload:
            raise malformed("an empty packet in the response to a query")
        if payload[0] == ERR_HEADER:
            assert self.session is not None
            self.session.mark_transaction_unknown()
            self._refused(parse_error(payload))
        elif self.reading == ROWS:
            self._receive_in_rows(payload)
        elif self.reading == RESPONSE:
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
            self._record_ok(parse_ok(payload))
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
            self.reading = PAYLOADS

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
        self.reading = PAYLOADS
        self.file_wanted = name
        self.notify()

    def take_file(self) -> Any:
        """What `local_files` has for the file that is wanted, this time."""
        assert self.file_wanted is not None and self.local_files is not None
        found, *others = self.local_files.pop(self.file_wanted)
        if others:
            self.local_files[self.file_wanted] = others
        return found

    def send_file(self, data: bytes) -> None:
        """Send a piece of the file that is wanted; an empty one ends it."""
        if self.done or self.file_wanted is None:
            return
        assert self.session is not None
        self.session.send_payload(self, data)
        if not data:
            self.file_wanted = None
            self.reading = RESPONSE

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
            flag = b"\1" if self.session.capabilities & CACHE_METADATA else b""
            columns.store(self._definitions, metadata, flag)
            self._begin_rows()
        else:
            self._state = _State.COLUMNS_EOF

    def _begin_rows(self) -> None:
        self.reading = ROWS
        if self.streamed:
            self._announce()
            self.notify()

    def _announce(self) -> None:
        if not self.announced and not self.discarding:
            self.results.append(self._reading())
        self.announced: bool = True

    def _receive_in_rows(self, payload: bytes | bytearray) -> None:
        assert self.session is not None
        # A row may begin with 0xFE only when its first cell, and so its payload, has 16 MiB or
        # more.  A shorter one that is no EOF packet is malformed.
        if payload[0] == EOF_HEADER and len(payload) < 0xFFFFFF:
            parse = parse_ok if self.session.capabilities & DEPRECATE_EOF else parse_eof
            self._record_ok(parse(payload))
            return
        result = self._reading()
        if self.discarding or result.unwanted:
            return
        assert result.metadata is not None
        try:
            result.rows.append(
                result.metadata.decoder.decode_row(payload, result.metadata.keys)
                if self.as_dicts
                else result.metadata.decoder.decode_row(payload)
            )
        except MalformedPacket:
            raise
        except BaseException as error:  # as in `read_response`
            result.error = error
            return
        if self.streamed:
            self.stored += len(payload)
            self.notify()

    def _refused(self, error: BaseException) -> None:
        """An ERR packet has come: nothing follows it.

        `error` is for the owner of the connection, until it was raised: the
        reader of the result may never come to its end.
        """
        self.error: BaseException | None = error
        result = self._reading()
        if result.error is None:
            result.error = error
        self._end_result(Ok())

    def _record_ok(self, ok: Ok) -> None:
        """An OK packet, or what stands for it, has ended a result."""
        session = self.session
        assert session is not None
        changes = self.uncommitted_after(self._reading(), ok)
        session.record_status(ok)
        session.uncommitted = changes
        self._end_result(ok)

    def uncommitted_after(self, result: Result, ok: Ok, /) -> int:
        """What `SessionState.uncommitted` is after this OK packet, which ends `result`.

        A number of affected rows is no proof: a SELECT that reads into variables has one, too.  And
        a transaction may be open after a statement that has ended the one before.
        """
        session = self.session
        assert session is not None
        if not ok.server_status & IN_TRANSACTION:
            return NO_CHANGES
        before = session.uncommitted
        if before == CHANGES:
            if not self.is_simple and self._may_undo is None:
                self._may_undo = may_undo_changes(self.text_request, 1)
            if self._may_undo:
                before = NO_CHANGES
        if before != NO_CHANGES:
            return before
        if ok.affected_rows:
            finds_rows = bool(session.capabilities & CLIENT.FOUND_ROWS)
            if finds_rows and b"Changed: 0 " in ok.message:
                return before
            if self._changes_rows is None:
                self._changes_rows = changes_rows(self.text_request, 1, self.is_simple, finds_rows)
            return CHANGES if self._changes_rows else before
        # The rows of an INSERT with RETURNING are those it has changed.
        returning = result.metadata is not None and result.rows and self.is_simple
        return CHANGES if returning and is_row_change(self.text_request, 1) else before

    @property
    def text_request(self) -> bytes:
        """A request with the statement's text behind its first byte."""
        return self.request

    def _end_result(self, ok: Ok) -> None:
        """A result is complete; without more to follow the exchange is done."""
        result = self._reading()
        result.ok = ok
        result.complete = True
        self._announce()
        if not ok.more_results:
            self.finish()
            return
        self.result = None
        self.announced = False
        self.reading = RESPONSE
        self.notify()

    def finish(self, error: BaseException | None = None) -> None:
        if error is not None:
            # The connection broke: the result under way ends here, and its reader raises that.
            result = self._reading()
            result.error = result.error or error
            result.complete = True
            self._announce()
        self.result = None  # which may know this exchange
        super().finish(error)


def encode_query(statement: bytes, source: str | None, streamed: bool, as_dicts: bool, /) -> Query:
    """The Query for `statement`, to be started by `Session.request`.

    source: the statement as it was before values were written into it; None: it is as it was.
    """
    return Query(statement, streamed=streamed, as_dicts=as_dicts, source=source)


py_encode_query = encode_query
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    encode_query = _c.encode_query
