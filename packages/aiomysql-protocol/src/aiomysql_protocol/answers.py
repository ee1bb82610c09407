"""Answers read at one go: an OK packet, or a result set whose metadata came before.

That is what most statements are answered with, and it needs none of the states that `Query` keeps
for everything else.  `read_answer` here is the Python implementation; `_answers.h` holds one that
behaves the same.  Which of the two runs is decided in `implementation`.

MySQL: "OK_Packet", "Text Resultset"; with CLIENT_DEPRECATE_EOF.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pymysql.err import Error

from aiomysql_protocol.packets import EOF_HEADER, OK_HEADER, Ok, parse_ok

if TYPE_CHECKING:
    from aiomysql_protocol.columns import Block, ColumnSet

_HEADER = 4
_FULL_FRAME = 0xFFFFFF


class Answer(NamedTuple):
    """What `read_answer` found."""

    #: Where the next unread byte stands in the buffer.
    position: int
    #: The sequence id expected in the next frame.
    sequence_id: int
    #: The metadata; None for a statement without rows.
    column_set: ColumnSet | None
    rows: list[tuple[Any, ...]]
    #: The packet that ended the answer; None when more rows are to come.
    ok: Ok | None


def read_answer(
    blocks: Sequence[Block], buffer: bytes | bytearray, start: int, end: int, /
) -> Answer | None:
    """Read the answer to a statement, whose first frame stands at buffer[start:end].

    `blocks`: the metadata that can be recognised; passed over is what a user's function reads.
    Returns None for everything that is not an OK packet or a result set with known metadata, and
    for whatever is wrong with one; nothing is consumed then.
    """
    payload = _frame(buffer, start, end, 1)
    if payload is None:
        return None
    if payload[0] == OK_HEADER:
        ok = _ok(payload)
        return None if ok is None else Answer(start + _HEADER + len(payload), 2, None, [], ok)
    for block in blocks:
        if block.column_set.plain and buffer.startswith(block.raw, start, end):
            return _read_rows(block, buffer, start + len(block.raw), end)
    return None


def _read_rows(block: Block, buffer: bytes | bytearray, start: int, end: int) -> Answer | None:
    rows: list[tuple[Any, ...]] = []
    first = (1 + block.frames) & 0xFF
    try:
        position = block.column_set.decoder.decode(buffer, start, end, first, rows)
    except Error:
        return None  # whoever reads frame by frame will meet it again
    sequence_id = (first + len(rows)) & 0xFF
    payload = _frame(buffer, position, end, sequence_id)
    if payload is None or payload[0] != EOF_HEADER or (ok := _ok(payload)) is None:
        return Answer(position, sequence_id, block.column_set, rows, None)
    position += _HEADER + len(payload)
    return Answer(position, (sequence_id + 1) & 0xFF, block.column_set, rows, ok)


def _frame(
    buffer: bytes | bytearray, start: int, end: int, sequence_id: int
) -> bytes | bytearray | None:
    """The payload of the frame at `start`, unless it is empty, incomplete, long or out of order."""
    if end - start <= _HEADER or buffer[start + 3] != sequence_id:
        return None
    length = buffer[start] | buffer[start + 1] << 8 | buffer[start + 2] << 16
    stop = start + _HEADER + length
    if length == 0 or length == _FULL_FRAME or stop > end:
        return None
    return buffer[start + _HEADER : stop]


def _ok(payload: bytes | bytearray) -> Ok | None:
    try:
        return parse_ok(payload)
    except Error:
        return None
