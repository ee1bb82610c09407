"""Responses read in one step: an OK packet, or a result set whose metadata came before.

That is what most statements are answered with, and it needs none of the states that `Query` keeps
for everything else.

MySQL: "OK_Packet", "Text Resultset"; with CLIENT_DEPRECATE_EOF.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pymysql.err import Error

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.rows.text import unpack_header
from aiomysql_protocol.wire.packets import EOF_HEADER, OK_HEADER, Ok, parse_ok, parse_short_ok

if TYPE_CHECKING:
    from aiomysql_protocol.rows.metadata import MetadataPrefix, ResultMetadata

_HEADER = 4
_FULL_FRAME = 0xFFFFFF


class Response(NamedTuple):
    """What `read_response` found."""

    #: Where the next unread byte stands in the buffer.
    position: int
    #: The sequence id expected in the next frame.
    sequence_id: int
    #: The metadata; None for a statement without rows.
    metadata: ResultMetadata | None
    rows: list[tuple[Any, ...]]
    #: The packet that ended the response; None when more rows are to come.
    ok: Ok | None


def read_response(
    prefixes: Sequence[MetadataPrefix], buffer: bytes | bytearray, start: int, end: int, /
) -> Response | None:
    """Read the response to a statement, whose first frame stands at buffer[start:end].

    `prefixes`: the metadata that can be matched, except where a user's function reads values.
    Returns None for everything that is not an OK packet or a result set with known metadata, and
    for malformed ones; nothing is consumed then.
    """
    data = bytes(buffer[start:end])
    if len(data) <= _HEADER or data[3] != 1:
        return None
    if data[_HEADER] == OK_HEADER:
        ok, position = _read_ok(data, 0, 1, OK_HEADER)
        return None if ok is None else Response(start + position, 2, None, [], ok)
    for prefix in prefixes:
        if data.startswith(prefix.raw) and prefix.metadata.plain:
            break
    else:
        return None
    rows: list[tuple[Any, ...]] = []
    sequence_id = (1 + prefix.frames) & 0xFF
    try:
        position = prefix.metadata.decoder.decode(
            data, len(prefix.raw), len(data), sequence_id, rows
        )
    except Error:
        return None  # the reader of single frames will meet it again
    sequence_id = (sequence_id + len(rows)) & 0xFF
    ok, position = _read_ok(data, position, sequence_id, EOF_HEADER)
    if ok is not None:
        sequence_id = (sequence_id + 1) & 0xFF
    # Without the function that NamedTuple puts between.
    return tuple.__new__(Response, (start + position, sequence_id, prefix.metadata, rows, ok))


def _read_ok(data: bytes, start: int, sequence_id: int, header: int) -> tuple[Ok | None, int]:
    """The OK packet at `start`, and the position behind it; None and `start` if there is none."""
    if len(data) - start <= _HEADER or data[start + _HEADER] != header:
        return None, start
    length = unpack_header(data, start)[0] - (sequence_id << 24)
    stop = start + _HEADER + length
    if not 0 < length < _FULL_FRAME or stop > len(data):
        return None, start
    parse = parse_short_ok if length == 7 else parse_ok
    try:
        return parse(data[start + _HEADER : stop]), stop
    except Error:
        return None, start


py_read_response = read_response
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    read_response = _c.read_response
