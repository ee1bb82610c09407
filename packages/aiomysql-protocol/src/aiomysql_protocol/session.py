"""The session: all protocol state of one connection, without any I/O.

Bytes in, results out.  Requests and responses meet in a queue of exchanges: several requests may be
started before the first response is read; what comes in belongs to the oldest exchange that is not
done.

The caller writes what `data_to_send` returns after `start` and after `receive`, and feeds `receive`
whatever arrives, in pieces of any size.  After any error in `error` the session is broken for good:
the caller closes the connection.

Errors are values here, because the event loop calls `receive`, and an exception would have no one
to go to.  An error in a value is no error of the stream: when a converter raises, the caller is
told, the rows that follow are read and dropped, and the connection stays in step.  Of all that the
server sends only packets that can't be read break the session.

The session knows no sockets, time-outs or coroutines: a blocking socket can drive it as well, and
the tests feed it recorded responses whole, byte by byte, and cut at every point.
"""

from __future__ import annotations

from collections import deque
from copy import copy

from pymysql.constants import CR, ER, SERVER_STATUS
from pymysql.err import InterfaceError, InternalError, MySQLError, OperationalError

from aiomysql_protocol.commands.end_of_text import EndOfText
from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.commands.exchange_state import (
    CHANGES,
    CHANGES_UNKNOWN,
    NO_CHANGES,
    RESPONSE,
)
from aiomysql_protocol.login.handshake import Greeting
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session_state import SessionState
from aiomysql_protocol.wire.capabilities import MAX_PAYLOAD
from aiomysql_protocol.wire.compression import Algorithm, CompressedReader, compressed_frames
from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.framing import (
    LARGE_FRAME,
    Frame,
    PayloadAssembler,
    frames,
    wrong_sequence,
)
from aiomysql_protocol.wire.packets import ERR_HEADER, MORE_RESULTS, Ok, parse_error
from aiomysql_protocol.wire.payloads import whole_payload

__all__ = ["MAYBE_IN_TRANSACTION", "Session"]

# Above the server's 16 flags, so that its next ones take it away.
_IN_DOUBT = 1 << 16

#: Set in `Session.server_status` when a transaction is open, or may be.
MAYBE_IN_TRANSACTION = SERVER_STATUS.SERVER_STATUS_IN_TRANS | _IN_DOUBT


#: What stands for the response that a text lacks when the server has left it.
_LEFT = (
    bytes([ERR_HEADER])
    + ER.QUERY_INTERRUPTED.to_bytes(2, "little")
    + b"#70100Query execution was interrupted: the server left the text between two statements"
)

#: Bytes that are inflated in one call of `receive`, or one piece more.
_MOST_INFLATED = 1 << 20


class Session(SessionState):
    """Protocol state of one connection."""

    #: What the server said first; None before.
    greeting: Greeting | None = None

    #: Whether something was left of what came compressed: the caller stops reading and, unless the
    #: session is `paused`, calls `receive` again without further bytes, after other work.
    has_more: bool = False

    _algorithm: Algorithm | None = None
    _reader: CompressedReader | None = None
    _inflated: bytearray  # bytes of a packet that is not all there

    def __init__(self, columns: ColumnCache, max_payload: int = MAX_PAYLOAD) -> None:
        """`columns` compiles metadata; `max_payload`: bytes; longer responses are refused."""
        self.columns = columns
        self.capabilities = 0
        self.server_status: int = 0
        self.uncommitted: int = NO_CHANGES
        self.error = None
        self.exchanges: deque[Exchange] = deque()
        self._assembler = PayloadAssembler(max_payload)
        self._gathering = False
        self._to_send = []
        self.compressed: bool = False

    # -- state -----------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether no response is outstanding."""
        return not self.exchanges

    @property
    def newest(self) -> Exchange | None:
        """The exchange whose response comes last; None when idle."""
        return self.exchanges[-1] if self.exchanges else None

    @property
    def paused(self) -> bool:
        """Whether the caller has to stop reading until a streamed result's rows are taken."""
        return bool(self.exchanges) and self.exchanges[0].paused

    @property
    def in_transaction(self) -> bool:
        """Whether the server said last that a transaction is open."""
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def no_backslash_escapes(self) -> bool:
        """Whether the server said last that backslashes are ordinary characters."""
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES)

    @property
    def is_reusable(self) -> bool:
        """Whether it works, with no response outstanding and certainly no transaction open."""
        return (
            self.error is None
            and not self.exchanges
            and not self.server_status & MAYBE_IN_TRANSACTION
        )

    @property
    def awaits_further_result(self) -> bool:
        """Whether nothing is due before the first packet of a further result in one response."""
        return (
            bool(self.exchanges)
            and self.exchanges[0].reading == RESPONSE
            and bool(self.server_status & MORE_RESULTS)
        )

    def require_greeting(self) -> Greeting:
        """The server's greeting.  Raises InterfaceError before it came."""
        if self.greeting is None:
            raise InterfaceError(0, "Not connected")
        return self.greeting

    @property
    def has_uncommitted_changes(self) -> bool:
        """Whether rows are known to have been changed in a transaction that is still open."""
        return self.uncommitted == CHANGES

    def forget_changes(self) -> None:
        """Let nothing be known of changes, until a transaction has ended."""
        self.uncommitted = CHANGES_UNKNOWN

    def record_status(self, ok: Ok) -> Ok:
        """Remember the status flags of an OK packet (for exchanges); returns it."""
        self.server_status = ok.server_status
        if not self.in_transaction:
            self.uncommitted = NO_CHANGES
        return ok

    def mark_transaction_unknown(self) -> None:
        """A statement failed (for exchanges): ERR packets have no status flags, yet it may have
        opened a transaction.  No result follows.
        """
        if self.in_transaction:
            self.uncommitted = CHANGES_UNKNOWN
        self.server_status = self.server_status & ~MORE_RESULTS | _IN_DOUBT

    def copy_error(self, error: BaseException) -> BaseException:
        """`error`, or a copy of it if the session keeps it.

        An exception that was raised holds its frames, and they the session: a reference cycle.
        """
        if error is not self.error:
            return error
        copied = copy(error)
        copied.__cause__ = error.__cause__
        return copied

    # -- sending ---------------------------------------------------------------------------------

    def start(self, exchange: Exchange) -> None:
        """Queue `exchange` and the bytes of its request.

        Raises the session's error when it is broken, OperationalError when the request is too long.
        """
        if self.error is not None:
            raise self.error
        payload = exchange.request
        exchange.session = self
        if payload:
            self.send_payload(exchange, payload)
        self.exchanges.append(exchange)

    def send_payload(self, exchange: Exchange, payload: bytes) -> None:
        """Queue one more payload of an exchange's request (for exchanges of several steps)."""
        chunks, exchange.sequence_id = frames(payload, exchange.sequence_id)
        if self._algorithm is not None:
            chunks, exchange.compressed_sequence_id = compressed_frames(
                self._algorithm, chunks, exchange.compressed_sequence_id
            )
        self._to_send += chunks

    def start_compression(self, algorithm: Algorithm) -> None:
        """What follows goes in compressed frames, either way (for the log-in)."""
        self._algorithm = algorithm
        self._reader = CompressedReader(algorithm)
        self._inflated = bytearray()
        self.compressed = True

    @property
    def wants_to_send(self) -> bool:
        """Whether `data_to_send` would return something."""
        return bool(self._to_send)

    def data_to_send(self) -> bytes:
        """The bytes to write now; empty when there are none."""
        chunks = self._to_send
        if not chunks:
            return b""
        self._to_send = []
        return bytes(chunks[0]) if len(chunks) == 1 else b"".join(chunks)

    # -- receiving -------------------------------------------------------------------------------

    def room(self) -> tuple[bytearray, memoryview] | None:
        """Where the next bytes are best put, when they are many and of one payload: (buffer, view).

        The caller puts bytes at the front of the view, releases it, and calls
        receive(buffer, 0, number of bytes).  None: they come by way of the caller's own buffer.
        Never raises: as `receive`.
        """
        if self._gathering and self.error is None and not self.compressed:
            try:
                return self._assembler.room()
            except Exception as error:
                self._fail_reading(error)
        return None

    def connection_lost(self, reason: BaseException | None = None) -> None:
        """The peer closed the connection, or it broke for `reason`: end all exchanges."""
        if self.error is None:
            detail = f" ({reason})" if reason is not None else ""
            if self.idle:
                error = OperationalError(
                    CR.CR_SERVER_GONE_ERROR, f"MySQL server has gone away{detail}"
                )
            else:
                activity = self.exchanges[0].activity
                error = OperationalError(
                    CR.CR_SERVER_LOST, f"Lost connection to MySQL server during {activity}{detail}"
                )
            error.__cause__ = reason
            self.fail(error)

    def _fail_reading(self, error: BaseException) -> None:
        """Break the session for what reading has raised.  What is no Exception is raised again."""
        if isinstance(error, MySQLError):
            # Its frames would hold this session, which is to hold the error.
            self.fail(error.with_traceback(None))
            return
        failure = InternalError(CR.CR_UNKNOWN_ERROR, f"can't read the server's response: {error!r}")
        failure.__cause__ = error
        self.fail(failure)
        if not isinstance(error, Exception):
            raise error

    def fail(self, error: BaseException) -> None:
        """Break the session: every open exchange ends with `error`."""
        self.error = error
        self._to_send.clear()
        while self.exchanges:
            exchange = self.exchanges.popleft()
            if not exchange.done:
                exchange.finish(error)

    def _receive_compressed(self, buffer: bytearray, start: int, end: int) -> int:
        """Read what is compressed in buffer[start:end], all of which is taken.

        Few bytes may hold many: other work goes on, and a paused result stays paused, before all of
        them are read (see `has_more`).
        """
        assert self._reader is not None
        self.has_more = False
        try:
            with memoryview(buffer) as view, view[start:end] as came:
                self._reader.feed(came)
            left = _MOST_INFLATED
            while self.error is None:
                if self.exchanges and (left <= 0 or self.paused):
                    self.has_more = True
                    break
                read = self._reader.read()
                if read is None:
                    break
                sequence_id, piece = read
                left -= len(piece)
                if sequence_id is not None and self.exchanges:
                    self._check_compressed(sequence_id, piece)
                self._read_inflated(piece)
        except BaseException as error:
            self._fail_reading(error)
        return end

    def _check_compressed(self, sequence_id: int, data: bytes) -> None:
        """A compressed frame begins with `data`: raise if it is out of order."""
        begins_packet = not (self._inflated or self._gathering)
        exchange = self.exchanges[1 if begins_packet and self._is_left(data, 0) else 0]
        if sequence_id == exchange.compressed_sequence_id:
            # Whenever a server has sent all it had, it numbers the packets within as the frames.
            if begins_packet and data[3:4] == bytes([sequence_id]):
                exchange.sequence_id = sequence_id
        elif not (begins_packet and data[4:5] == bytes([ERR_HEADER])):
            raise wrong_sequence(sequence_id, exchange.compressed_sequence_id)
        exchange.compressed_sequence_id = (sequence_id + 1) & 0xFF

    def _read_inflated(self, data: bytes) -> None:
        """Read what stood in a compressed frame."""
        inflated = self._inflated
        inflated += data
        consumed = self.receive_plain(inflated, 0, len(inflated))
        if self.error is None:
            del inflated[:consumed]

    def _receive_payload(self, buffer: bytearray, position: int, end: int) -> int:
        """Have the oldest exchange receive a payload; returns the position behind what was read.

        That is `position` when nothing can be done before more bytes come.
        """
        exchange = self.exchanges[0]
        payload: bytes | bytearray | None = None
        if not self._gathering:
            if self._is_left(buffer, position):
                self.exchanges.popleft()
                exchange.receive(_LEFT)
                return self._receive_payload(buffer, position, end) if self.exchanges else position
            payload = whole_payload(buffer, position, end, exchange.sequence_id)
        if payload is not None:
            position += 4 + len(payload)
            exchange.sequence_id = (exchange.sequence_id + 1) & 0xFF
        else:
            frame = self._read_frame(exchange, buffer, position, end)
            position = frame.position
            if frame.payload is None:
                return position
            payload = frame.payload
        exchange.receive(payload)
        if exchange.done and self.exchanges and self.exchanges[0] is exchange:
            self.exchanges.popleft()
        return position

    def _is_left(self, data: bytes | bytearray, position: int) -> bool:
        """Whether the server has left the text of the oldest exchange: in the place of a further
        result there is a frame, at `position`, that answers the next exchange.
        """
        return (
            len(self.exchanges) > 1
            and self.awaits_further_result
            and isinstance(self.exchanges[1], EndOfText)
            and EndOfText.is_response(data, position)
        )

    def _read_frame(self, exchange: Exchange, buffer: bytearray, position: int, end: int) -> Frame:
        """The next payload for `exchange`."""
        expected = exchange.sequence_id
        if end - position >= 4 and not self._gathering and buffer[position + 3] != expected:
            self._out_of_order(exchange, bytes(memoryview(buffer)[position:end]))
            return Frame(None, position, expected)
        frame = self._assembler.read(buffer, position, end, expected, exchange.max_payload)
        exchange.sequence_id = frame.sequence_id
        self._gathering = self._assembler.gathering
        return frame

    @staticmethod
    def _out_of_order(exchange: Exchange, data: bytes) -> None:
        """`data` begins with a frame of a wrong number: raise for it, unless more bytes must tell.

        A server that ends the connection says why in an ERR packet with a number of its own.
        """
        length = int.from_bytes(data[:3], "little")
        payload = data[4 : 4 + length]
        may_explain = 0 < length <= LARGE_FRAME and payload[:1] in (b"", bytes([ERR_HEADER]))
        if not may_explain:
            raise exchange.out_of_order(data, exchange.sequence_id)
        if len(payload) == length:
            raise parse_error(payload)

    def _receive_unasked(self, buffer: bytearray, position: int, end: int) -> int:
        """Bytes while no response is due: a server that closes the connection may say why."""
        frame = self._assembler.read(buffer, position, end, 0)
        if frame.payload is None and not self._assembler.gathering:
            return frame.position
        if frame.payload and frame.payload[0] == ERR_HEADER:
            raise parse_error(frame.payload)
        raise malformed("the server sent a packet that nobody asked for")
