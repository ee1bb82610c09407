"""What a session is asked for with each statement: a request made, a response received.

The class in C has the same attributes, which C code finds at once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.commands.response import read_response
from aiomysql_protocol.wire.capabilities import MAX_FRAME
from aiomysql_protocol.wire.framing import LARGE_FRAME

if TYPE_CHECKING:
    from aiomysql_protocol.commands.exchange import Exchange
    from aiomysql_protocol.rows.metadata import ColumnCache


class SessionState:
    """See `session.Session`."""

    __slots__ = (
        "_gathering",
        "_to_send",
        "capabilities",
        "columns",
        "compressed",
        "error",
        "exchanges",
        "server_status",
        "uncommitted",
    )

    #: Compiler of column sets; may be replaced while no exchange is open.
    columns: ColumnCache

    #: The capabilities in force, once the handshake response was sent.
    capabilities: int

    #: The last status flags (pymysql.constants.SERVER_STATUS); above them, see
    #: `mark_transaction_unknown`.
    server_status: int

    #: What is known of rows that were changed in the open transaction: one of those of
    #: ``exchange_state``.  Nothing is decided by it: a program is warned, or is not.
    uncommitted: int

    #: Why the session is broken; None while it works.
    error: BaseException | None

    #: Those whose responses are outstanding, the oldest first.
    exchanges: deque[Exchange]

    #: All that goes either way is compressed.
    compressed: bool

    _to_send: list[bytes | memoryview]

    #: A payload is being gathered, of which the first bytes were consumed.
    _gathering: bool

    if TYPE_CHECKING:

        @abstractmethod
        def start(self, exchange: Exchange) -> None: ...
        @abstractmethod
        def data_to_send(self) -> bytes: ...
        @abstractmethod
        def fail(self, error: BaseException) -> None: ...
        @abstractmethod
        def _fail_reading(self, error: BaseException) -> None: ...
        @abstractmethod
        def _receive_compressed(self, buffer: bytearray, start: int, end: int) -> int: ...
        @abstractmethod
        def _receive_payload(self, buffer: bytearray, position: int, end: int) -> int: ...
        @abstractmethod
        def _receive_unasked(self, buffer: bytearray, position: int, end: int) -> int: ...

    def request(self, exchange: Exchange, /) -> bytes:
        """Start `exchange`; returns what is to be sent, all that was queued before included.

        Raises what `start` raises.
        """
        payload = exchange.request
        size = len(payload)
        if 0 < size < MAX_FRAME and not self.compressed:
            data = size.to_bytes(4, "little") + payload
            # Asked when the bytes are there: code that runs while they are made may queue others.
            if self.error is None and not self._to_send:
                exchange.session = self  # type: ignore[assignment]  # there is but one class
                exchange.sequence_id = 1
                self.exchanges.append(exchange)
                return data
        self.start(exchange)
        return self.data_to_send()

    def receive(self, buffer: bytearray, start: int, end: int, /) -> int:
        """Read buffer[start:end]; returns the position of the first byte that is still needed.

        The rest (at most framing.LARGE_FRAME + 3 bytes) must stand at the front of the next call's
        bytes.  A fault ends all exchanges and stands in `error`; nothing is raised, but what is no
        Exception (KeyboardInterrupt, out of a signal's handler) goes on its way after that.
        """
        if self.compressed:
            return self._receive_compressed(buffer, start, end)
        return self.receive_plain(buffer, start, end)

    def receive_plain(self, buffer: bytearray, start: int, end: int, /) -> int:
        """As `receive`, for bytes that are not compressed, or not any more."""
        position = start
        try:
            while position < end and self.error is None:
                if not self.exchanges:
                    return self._receive_unasked(buffer, position, end)
                exchange = self.exchanges[0]
                if not self._gathering:
                    stop = read_response(self, buffer, position, end)
                    if stop != position:
                        position = stop
                        continue
                    if not _is_oldest(self, exchange):
                        continue  # what has run meanwhile has ended it
                    if _is_missing_bytes(exchange, buffer, position, end):
                        return position
                stop = self._receive_payload(buffer, position, end)
                if stop == position:
                    return position
                position = stop
        except BaseException as error:
            self._fail_reading(error)
        return end


def _is_oldest(session: SessionState, exchange: Exchange) -> bool:
    """Whether the session works and what comes next belongs to `exchange`."""
    exchanges = session.exchanges
    return session.error is None and bool(exchanges) and exchanges[0] is exchange


def _is_missing_bytes(exchange: Exchange, buffer: bytearray, position: int, end: int) -> bool:
    """Whether there is but a part of a frame, which is left in the buffer."""
    if end - position < 4:
        return True
    length = int.from_bytes(buffer[position : position + 3], "little")
    return (
        buffer[position + 3] == exchange.sequence_id
        and length <= LARGE_FRAME
        and length > end - position - 4
    )


#: For C code of other packages: a capsule; None where there is no C here.
functions: object = None

PySessionState = SessionState
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    SessionState = _c.SessionState
    functions = _c.session_functions
