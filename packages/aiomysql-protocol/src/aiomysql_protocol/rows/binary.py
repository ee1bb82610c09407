"""Binary result rows, which answer COM_STMT_EXECUTE: the same Python values as from text rows.

Wire format: MySQL: "Binary Protocol Resultset".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pymysql.err import DataError

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.rows.binary_cells import (
    BINARY_UNREADABLE,
    FIXED_SIZES,
    BinaryPlan,
    checked_binary_plans,
    direct_format,
    fast_binary_reader,
    general_binary_reader,
)
from aiomysql_protocol.rows.cells import Reader
from aiomysql_protocol.rows.text import FramedRows, long_length
from aiomysql_protocol.wire.errors import MalformedPacket, malformed

__all__ = ["BinaryRowDecoder"]

_NULL = 0xFB
_MOST_PATTERNS = 64  # combinations of NULLs that a decoder keeps, each with a step per column
_MOST_STEPS = 1 << 16


class _Step(NamedTuple):
    """A part of a row: several values of fixed sizes, or one value, or one NULL."""

    unpack: Callable[[bytes, int], tuple[Any, ...]] | None
    #: Bytes of the part; 0: it begins with its length; -1: NULL.
    size: int
    read: Reader


class BinaryRowDecoder(FramedRows):
    """The RowDecoder of binary rows.

    Raises ValueError for a plan that lacks its encoding or its converter, LookupError for an
    encoding that Python does not have.
    """

    __slots__ = ("_bitmap_size", "_fast", "_formats", "_general", "_plans", "_sizes", "_steps")

    def __init__(self, plans: Sequence[BinaryPlan]) -> None:
        self._plans = checked_binary_plans(plans)
        super().__init__(plan.cell for plan in self._plans)
        self._sizes = [FIXED_SIZES.get(plan.type_code, 0) for plan in self._plans]
        self._bitmap_size = (len(self._plans) + 9) // 8
        self._formats = [direct_format(plan) for plan in self._plans]
        self._fast = [fast_binary_reader(plan) for plan in self._plans]
        self._general = [general_binary_reader(plan) for plan in self._plans]
        self._steps: dict[int, list[_Step]] = {}  # by the bitmap of NULLs

    def _read(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        start = pos
        pos += 1 + self._bitmap_size
        bitmap = int.from_bytes(data[start + 1 : pos], "little")
        steps = self._steps.get(bitmap) or self._make_steps(bitmap)
        if data[start] != 0 or steps is None:
            return self._read_generally(data, start, end)
        values: list[Any] = []
        append = values.append
        try:
            for unpack, size, read in steps:
                if unpack is not None:
                    values += unpack(data, pos)
                    pos += size
                elif size > 0:
                    append(read(data[pos : (pos := pos + size)]))
                elif size == 0:
                    length = data[pos]
                    pos += 1
                    if length >= _NULL:
                        pos, length = _long_length(data, pos, end)
                    append(read(data[pos : (pos := pos + length)]))
                else:
                    append(None)
        except (MalformedPacket, DataError, *BINARY_UNREADABLE):
            return self._read_generally(data, start, end)
        if pos != end:
            return self._read_generally(data, start, end)
        return tuple(values)

    def _read_generally(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        return tuple(
            [
                None if cell is None else read(cell)
                for read, cell in zip(self._general, self._split(data, pos, end), strict=True)
            ]
        )

    def _split(self, data: bytes, pos: int, end: int) -> list[bytes | None]:
        """The values of the row in ``data[pos:end]`` as they were sent, None for NULL."""
        if pos >= end or data[pos] != 0:
            raise malformed("a binary row does not begin with 0x00")
        pos += 1
        if self._bitmap_size > end - pos:
            raise malformed("a row ends within its bitmap of NULLs")
        nulls = data[pos : pos + self._bitmap_size]
        pos += self._bitmap_size
        cells: list[bytes | None] = []
        for column, size in enumerate(self._sizes):
            if _is_null(nulls, column):
                cells.append(None)
                continue
            length = size
            if not size:
                if pos >= end:
                    raise malformed("a row ends before its last column")
                length = data[pos]
                pos += 1
                if length >= _NULL:
                    pos, length = _long_length(data, pos, end)
            if length > end - pos:
                raise malformed("a value runs past the end of its row")
            cells.append(data[pos : pos + length])
            pos += length
        if pos != end:
            raise malformed("bytes are left over after the last column of a row")
        return cells

    def _make_steps(self, bitmap: int) -> list[_Step] | None:
        """The steps for rows with these NULLs; None when there are too many combinations."""
        known, columns = len(self._steps), len(self._plans)
        if known >= _MOST_PATTERNS or known * columns >= _MOST_STEPS or bitmap >> 2 >> columns:
            return None
        nulls = bitmap.to_bytes(self._bitmap_size, "little")
        steps: list[_Step] = []
        run = ""
        for column, size in enumerate(self._sizes):
            is_null = _is_null(nulls, column)
            if self._formats[column] and not is_null:
                run += self._formats[column]
                continue
            steps += _run_step(run)
            run = ""
            steps.append(_Step(None, -1 if is_null else size, self._fast[column]))
        steps += _run_step(run)
        self._steps[bitmap] = steps
        return steps


def _is_null(nulls: bytes, column: int) -> int:
    # (To shift all of a number's bits for each column would cost the square of their count.)
    return nulls[column + 2 >> 3] >> (column + 2 & 7) & 1


def _run_step(formats: str) -> list[_Step]:
    if not formats:
        return []
    run = struct.Struct("<" + formats)
    return [_Step(run.unpack_from, run.size, bytes)]


def _long_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    if data[pos - 1] == _NULL:
        raise malformed("a value's length begins with 0xfb")
    return long_length(data, pos, end)


PyBinaryRowDecoder = BinaryRowDecoder
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    BinaryRowDecoder = _c.BinaryRowDecoder
