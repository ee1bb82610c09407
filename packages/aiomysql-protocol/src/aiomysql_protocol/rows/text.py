"""Text result rows: from the bytes of a result set to tuples of Python values.

A decoder is made once per set of columns and used for every packet of every result set that has
those columns.

Wire format: MySQL: Protocol::Packet, ProtocolText::ResultsetRow, LengthEncodedInteger.

A row that is half made must not be found: whatever the garbage collector tracks anybody can find, a
memory profiler's thread for one, and a tuple with empty places crashes who looks into it.  The
interpreter's own tuple(generator) shows it half made, so here tuples are made of lists.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.rows.cells import (
    UNREADABLE,
    CellKind,
    CellPlan,
    checked_plans,
    column_reader,
    fast_reader,
    general_reader,
)
from aiomysql_protocol.wire.errors import MalformedPacket, malformed

__all__ = ["RowDecoder", "TextRowDecoder", "drain_rows"]

_T = TypeVar("_T")

_HEADER = 4  # three bytes of length, one of sequence id
_FULL_FRAME = 0xFFFFFF  # a frame of this length is continued by the next one
_NULL = 0xFB
_FIRST_STOP = 0xFE  # EOF or OK; 0xFF is ERR

#: The header of the frame at a position as one number: length plus 2**24 times the sequence id.
unpack_header: Callable[..., tuple[Any, ...]] = struct.Struct("<I").unpack_from


class RowDecoder(Protocol):
    """Turns rows into tuples or dicts. Stateless: one decoder may serve any number of result sets.

    Values of the kinds INT to TIMEDELTA are what PyMySQL's default converters make of the text
    (dates out of range come back as str). Whatever is wrong with a row, the structure of all of
    it is checked before any of its values is converted.
    """

    def decode(
        self,
        buffer: bytes | bytearray,
        start: int,
        end: int,
        sequence_id: int,
        rows: list[Any],
        keys: tuple[str, ...] | None = None,
        /,
    ) -> int:
        """Append a tuple to `rows` for each complete row frame in ``buffer[start:end]``; with
        `keys`, one for each column, a dict. Of equal keys the last one's value stays.

        `sequence_id` (0 to 255) is what the first frame must carry. Returns the position of the
        first byte not consumed. That is where the bytes end, or a frame that is incomplete, empty
        or 0xFFFFFF bytes long (continued in the next one), or has another sequence id than
        expected, or begins with 0xFE (EOF, OK) or 0xFF (ERR).

        Raises MalformedPacket for a row that does not have the columns' structure, DataError for
        a value that cannot be read as its column's type, whatever a CONVERT column's converter
        raises, and ValueError for a range outside of the buffer or another number of keys than of
        columns. Rows before the failing one are
        in `rows` then.
        """
        ...

    def decode_row(self, payload: bytes | bytearray, keys: tuple[str, ...] | None = None, /) -> Any:
        """The one row that makes up the whole `payload`, which may be of any size and may begin
        with 0xFE or 0xFF. Raises what ``decode`` raises.
        """
        ...


# So many bytes of rows are worth reading column by column; and so many fit into fast memory.
_MANY_BYTES = 1024
_AT_ONCE = 32768


class FramedRows(ABC):
    """What RowDecoders in Python share: the way from frame to frame."""

    __slots__ = ("_converts", "_count")

    def __init__(self, plans: Iterable[CellPlan]) -> None:
        kinds = [plan.kind for plan in plans]
        self._count = len(kinds)
        # The fast way notices a broken row only after reading its values, which no user's function
        # may see.
        self._converts = CellKind.CONVERT in kinds

    def decode(
        self,
        buffer: bytes | bytearray,
        start: int,
        end: int,
        sequence_id: int,
        rows: list[Any],
        keys: tuple[str, ...] | None = None,
        /,
    ) -> int:
        """See ``RowDecoder.decode``."""
        # Without chains of comparisons, which take longer.
        if start < 0 or end < start or len(buffer) < end:
            raise ValueError("start and end must lie within the buffer")
        if sequence_id < 0 or sequence_id > 255:
            raise ValueError("sequence_id must be 0 to 255")
        if keys is not None:
            self._check_keys(keys)
            tuples: list[tuple[Any, ...]] = []
            try:
                return self.decode(buffer, start, end, sequence_id, tuples)
            finally:
                rows += map(dict, map(zip, repeat(keys), tuples))
        if type(buffer) is bytes:
            return self._decode(buffer, start, end, sequence_id, rows)
        room = end - start - _HEADER
        if room <= 0 or unpack_header(buffer, start)[0] & _FULL_FRAME > room:
            return start  # before copying, so that the head of a large row is not copied often
        data = bytes(buffer[start:end])
        return start + self._decode(data, 0, len(data), sequence_id, rows)

    def _check_keys(self, keys: tuple[str, ...]) -> None:
        if len(keys) != self._count:
            raise ValueError("there must be a key for each column")

    def decode_row(self, payload: bytes | bytearray, keys: tuple[str, ...] | None = None, /) -> Any:
        """See ``RowDecoder.decode_row``."""
        if keys is not None:
            self._check_keys(keys)
        data = bytes(payload)
        row = self._read_generally(data, 0, len(data))
        return row if keys is None else dict(zip(keys, row, strict=True))

    def _decode(
        self, data: bytes, pos: int, end: int, sequence_id: int, rows: list[tuple[Any, ...]]
    ) -> int:
        read = self._read_generally if self._converts else self._read
        while end - pos >= _MANY_BYTES and not self._converts:
            start, before = pos, len(rows)
            pos = self._read_many(data, pos, min(end, pos + _AT_ONCE), sequence_id, rows)
            sequence_id = (sequence_id + len(rows) - before) & 0xFF
            if pos == start:
                break
        while end - pos > _HEADER and data[pos + _HEADER] < _FIRST_STOP:
            # Negative, or too great, where the sequence id is another one.
            length = unpack_header(data, pos)[0] - (sequence_id << 24)
            row_end = pos + _HEADER + length
            if length <= 0 or length >= _FULL_FRAME or row_end > end:
                break
            rows.append(read(data, pos + _HEADER, row_end))
            pos = row_end
            sequence_id = (sequence_id + 1) & 0xFF
        return pos

    def _read_many(
        self, data: bytes, pos: int, end: int, sequence_id: int, rows: list[tuple[Any, ...]]
    ) -> int:
        """Append as many rows as can be read the fastest way; return the position after them."""
        return pos

    @abstractmethod
    def _read(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        """The row in ``data[pos:end]``, the fast way; what it cannot do it leaves to the other."""

    @abstractmethod
    def _read_generally(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        """The row in ``data[pos:end]``: all of its structure is checked first."""


class TextRowDecoder(FramedRows):
    """The RowDecoder of text rows.

    Raises ValueError for a plan that lacks its encoding or its converter, LookupError for an
    encoding that Python does not have.
    """

    __slots__ = ("_columns", "_fast", "_general", "_plans")

    def __init__(self, plans: Sequence[CellPlan]) -> None:
        self._plans = checked_plans(plans)
        super().__init__(self._plans)
        self._fast = list(enumerate(map(fast_reader, self._plans)))
        self._columns = [column_reader(plan) for plan in self._plans]
        self._general = [general_reader(plan) for plan in self._plans]

    def _read(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        start = pos
        values: list[Any] = [None] * len(self._fast)
        try:
            for column, read in self._fast:
                length = data[pos]
                pos += 1
                if length < _NULL:
                    values[column] = read(data[pos : (pos := pos + length)])
                elif length != _NULL:
                    pos, length = long_length(data, pos, end)
                    values[column] = read(data[pos : (pos := pos + length)])
        except (MalformedPacket, *UNREADABLE):
            return self._read_generally(data, start, end)
        if pos != end:
            return self._read_generally(data, start, end)
        return tuple(values)

    def _read_many(
        self, data: bytes, pos: int, end: int, sequence_id: int, rows: list[tuple[Any, ...]]
    ) -> int:
        start = pos
        cells, pos = self._split_many(data, pos, end, sequence_id)
        if not cells:
            return start
        count = len(self._fast)
        try:
            columns = [read(cells[at::count]) for at, read in enumerate(self._columns)]
        except UNREADABLE:
            return start
        rows.extend(zip(*columns, strict=True))
        return pos

    def _split_many(
        self, data: bytes, pos: int, end: int, sequence_id: int
    ) -> tuple[list[bytes | None], int]:
        """The cells of all rows up to the first that is odd, and the position of that one.

        That a row's cells run past its end is noticed by where the last one ends.
        """
        columns = range(len(self._fast))
        cells: list[bytes | None] = []
        append = cells.append
        row, known = pos, 0
        try:
            while data[row + 3] == sequence_id and data[row + _HEADER] < _FIRST_STOP:
                pos = row + _HEADER
                row_end = pos + (data[row] | data[row + 1] << 8 | data[row + 2] << 16)
                if row_end > end:
                    break
                for _ in columns:
                    length = data[pos]
                    pos += 1
                    if length >= _NULL:
                        if length == _NULL:
                            append(None)
                            continue
                        pos, length = long_length(data, pos, end)
                    append(data[pos : (pos := pos + length)])
                if pos != row_end:
                    break
                row, known = row_end, len(cells)
                sequence_id = (sequence_id + 1) & 0xFF
        except (MalformedPacket, IndexError):
            pass
        del cells[known:]
        return cells, row

    def _read_generally(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        cells = _split(data, pos, end, len(self._plans))
        return tuple(
            [
                None if cell is None else read(cell)
                for read, cell in zip(self._general, cells, strict=True)
            ]
        )


def long_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """A length too great for one byte, of which `pos` is past the first; and the position after."""
    first = data[pos - 1]
    if first == 0xFF:
        raise malformed("a value's length begins with 0xff")
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    if width > end - pos:
        raise malformed("a row ends within a value's length")
    return pos + width, int.from_bytes(data[pos : pos + width], "little")


def _split(data: bytes, pos: int, end: int, columns: int) -> list[bytes | None]:
    """The values of the row in ``data[pos:end]`` as they were sent, None for NULL."""
    cells: list[bytes | None] = []
    for _ in range(columns):
        if pos >= end:
            raise malformed("a row ends before its last column")
        length = data[pos]
        pos += 1
        if length == _NULL:
            cells.append(None)
            continue
        if length > _NULL:
            pos, length = long_length(data, pos, end)
        if length > end - pos:
            raise malformed("a value runs past the end of its row")
        cells.append(data[pos : pos + length])
        pos += length
    if pos != end:
        raise malformed("bytes are left over after the last column of a row")
    return cells


def drain_rows(rows: list[_T], /) -> tuple[_T, ...]:
    """All of `rows` as a tuple; the list is empty afterwards."""
    drained = tuple(rows)
    rows.clear()
    return drained


PyTextRowDecoder = TextRowDecoder
py_drain_rows = drain_rows
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    TextRowDecoder = _c.TextRowDecoder
    drain_rows = _c.drain_rows
