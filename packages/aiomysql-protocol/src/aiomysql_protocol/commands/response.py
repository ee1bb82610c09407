"""The reader of what most statements are answered with: an OK packet, or rows behind metadata that
came before.

Its state stands in the exchange, so it goes on where the bytes ended.  Everything else, and what is
wrong, it leaves to `Exchange.receive`: ERR and EOF packets, new metadata, requests for files,
payloads of several frames, and rows that nobody wants.

Converters and finalizers run while it reads, and may do anything with the session: what was found
counts only if the response is still the one that is due.

MySQL: "OK_Packet", "Text Resultset", "Binary Protocol Resultset".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.commands.exchange_state import NO_CHANGES, RESPONSE, ROWS
from aiomysql_protocol.commands.query import NO_OK, Result
from aiomysql_protocol.rows.text import unpack_header
from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF
from aiomysql_protocol.wire.errors import MalformedPacket
from aiomysql_protocol.wire.packets import (
    EOF_HEADER,
    IN_TRANSACTION,
    MORE_RESULTS,
    OK_HEADER,
    parse_ok,
    parse_short_ok,
)

if TYPE_CHECKING:
    from aiomysql_protocol.commands.query import Query
    from aiomysql_protocol.rows.metadata import MetadataPrefix
    from aiomysql_protocol.session_state import SessionState

_HEADER = 4
_FULL_FRAME = 0xFFFFFF


def read_response(session: SessionState, buffer: bytearray, position: int, end: int, /) -> int:
    """Read buffer[position:end] as far as it belongs to the oldest exchange and can be read here.

    Returns the position where that ends.  Raises MalformedPacket for a row that is none, and what
    `on_progress` raises; whatever a converter raises is the result's error.
    """
    exchanges = session.exchanges
    if session.error is not None or not exchanges or exchanges[0].done:
        return position
    # Only a Query's `reading` is one of those below.  (`isinstance` takes long for its subclass.)
    exchange: Query = exchanges[0]  # type: ignore[assignment]
    while True:
        if exchange.reading == ROWS:
            stop = _read_rows(session, exchange, buffer, position, end)
        elif exchange.reading == RESPONSE:
            stop = _read_first(session, exchange, buffer, position, end)
        else:
            return position
        if stop == end or exchange.done or session.error is not None:
            return stop
        if stop == position:
            return position
        position = stop


def _read_first(
    session: SessionState, exchange: Query, buffer: bytearray, position: int, end: int
) -> int:
    """Read the first packet of a result, or all of its metadata and the rows that follow."""
    if end - position <= _HEADER:
        return position
    if buffer[position + _HEADER] == OK_HEADER:
        return _read_ok(session, exchange, buffer, position, end)
    if not session.capabilities & DEPRECATE_EOF:
        return position
    prefix = _match(session, exchange, buffer, position, end)
    if prefix is None:
        return position
    result = exchange.result or _new_result(exchange)
    if exchange.done or session.error is not None or exchange.reading != RESPONSE:
        return position
    result.metadata = prefix.metadata
    exchange.result = result
    exchange.sequence_id = (exchange.sequence_id + prefix.frames) & 0xFF
    exchange.reading = ROWS
    position += len(prefix.raw)
    if exchange.streamed:
        _announce(exchange, result)
        exchange.notify()
    elif position < end:
        return _read_rows(session, exchange, buffer, position, end)
    return position


def _match(
    session: SessionState, exchange: Query, buffer: bytearray, position: int, end: int
) -> MetadataPrefix | None:
    """The metadata at buffer[position:end], if it came before and all of it is there."""
    columns = session.columns
    if exchange.binary:
        columns = columns.for_binary
        prepared = exchange.own_prepared
        if prepared.prefixes is not None and prepared.compiled_by is columns:
            for prefix in prepared.prefixes:
                if _stands_at(prefix, buffer, position, end, exchange.sequence_id):
                    return prefix
    prefixes = columns.prefixes
    for index, prefix in enumerate(prefixes):
        if _stands_at(prefix, buffer, position, end, exchange.sequence_id):
            if index:
                prefixes.insert(0, prefixes.pop(index))
            if exchange.binary and session.capabilities & CACHE_METADATA:
                exchange.record_metadata(prefix.metadata)
            return prefix
    return None


def _stands_at(
    prefix: MetadataPrefix, buffer: bytearray, position: int, end: int, sequence_id: int
) -> bool:
    """Whether its frames stand at buffer[position:end], numbered from `sequence_id` on.

    In a response of several results only those of the first are numbered as in the prefix.
    """
    raw = prefix.raw
    if sequence_id == 1:
        return buffer.startswith(raw, position, end)
    start = 0
    while start < len(raw):
        length = int.from_bytes(raw[start : start + 3], "little")
        here = position + start
        if not (
            buffer.startswith(raw[start : start + 3], here, end)
            and buffer.startswith(raw[start + 4 : start + 4 + length], here + 4, end)
            and buffer[here + 3] == sequence_id & 0xFF
        ):
            return False
        start += _HEADER + length
        sequence_id += 1
    return True


def _new_result(exchange: Query) -> Result:
    result = Result()
    result.ok = NO_OK
    result.rows = []
    result.streamed = exchange.streamed
    return result


def _read_rows(
    session: SessionState, exchange: Query, buffer: bytearray, position: int, end: int
) -> int:
    """Read as many rows as there are, and the packet that ends them."""
    result = exchange.result
    assert result is not None
    if exchange.discarding or result.skipped or result.error is not None:
        return _skip_rows(exchange, buffer, position, end)
    metadata = result.metadata
    assert metadata is not None
    # In a list of its own: a converter, or a finalizer, may take the result's rows meanwhile.
    rows: list[object] = []
    sequence_id = exchange.sequence_id
    try:
        if exchange.as_dicts:
            keys = metadata.keys
            stop = metadata.decoder.decode(buffer, position, end, sequence_id, rows, keys)
        else:
            stop = metadata.decoder.decode(buffer, position, end, sequence_id, rows)
        if stop < position or stop > end:
            raise ValueError("a decoder went astray")
    except BaseException as error:
        _add_rows(exchange, result, rows)
        if not exchange.done and session.error is None:
            if isinstance(error, MalformedPacket):
                raise
            # A value that can't be converted is the caller's affair: the rows that follow are read
            # and dropped, from here, and the connection stays in step.  Whatever a converter raises
            # is for who waits, also CancelledError and KeyboardInterrupt.
            result.error = error
            if exchange.streamed:
                exchange.notify()
        return position
    if stop > position:
        exchange.sequence_id = (sequence_id + len(rows)) & 0xFF
        wanted = _add_rows(exchange, result, rows)
        if not wanted or exchange.done or session.error is not None:
            return stop
        if exchange.streamed:
            exchange.stored += stop - position
            exchange.notify()
            return stop
    if (
        end - stop <= _HEADER
        or buffer[stop + _HEADER] != EOF_HEADER
        or not session.capabilities & DEPRECATE_EOF
    ):
        return stop
    return _read_ok(session, exchange, buffer, stop, end)


def _skip_rows(exchange: Query, buffer: bytearray, position: int, end: int) -> int:
    """Pass over rows that nobody wants."""
    sequence_id = exchange.sequence_id
    while end - position > _HEADER:
        length = unpack_header(buffer, position)[0] - (sequence_id << 24)
        stop = position + _HEADER + length
        if (
            not 0 < length < _FULL_FRAME
            or stop > end
            or buffer[position + _HEADER] >= EOF_HEADER  # or an ERR packet
        ):
            break
        position = stop
        sequence_id = (sequence_id + 1) & 0xFF
    exchange.sequence_id = sequence_id
    return position


def _add_rows(exchange: Query, result: Result, rows: list[object]) -> bool:
    """Add rows to a result, if they are still wanted; returns whether they are."""
    if exchange.discarding or result.skipped:
        return False
    if result.rows:
        result.rows += rows
    else:
        result.rows = rows
    return True


def _read_ok(
    session: SessionState, exchange: Query, buffer: bytearray, position: int, end: int
) -> int:
    """Read the OK packet that ends a result."""
    reading = exchange.reading
    sequence_id = exchange.sequence_id
    start = position + _HEADER
    length: int = unpack_header(buffer, position)[0] - (sequence_id << 24)
    stop = start + length
    if length <= 0 or length >= _FULL_FRAME or stop > end:
        return position
    payload = bytes(buffer[start:stop])
    ok = parse_short_ok(payload) if length == 7 else parse_ok(payload)
    result = exchange.result or _new_result(exchange)
    changes = NO_CHANGES
    if ok.server_status & IN_TRANSACTION:
        changes = exchange.uncommitted_after(result, ok)
    if exchange.done or session.error is not None or exchange.reading != reading:
        return position
    exchange.sequence_id = (sequence_id + 1) & 0xFF
    session.server_status = ok.server_status
    session.uncommitted = changes
    result.ok = ok
    result.complete = True
    if not exchange.announced:  # `_announce`, written out
        exchange.announced = True
        if not exchange.discarding:
            exchange.results.append(result)
    exchange.result = None
    if ok.server_status & MORE_RESULTS:
        exchange.announced = False
        exchange.reading = RESPONSE
    else:
        exchange.done = True
        session.exchanges.popleft()
    exchange.notify()
    return stop


def _announce(exchange: Query, result: Result) -> None:
    if not (exchange.announced or exchange.discarding):
        exchange.results.append(result)
    exchange.announced = True


py_read_response = read_response
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    read_response = _c.read_response
