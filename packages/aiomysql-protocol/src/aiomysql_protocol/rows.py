"""Text result rows: from the bytes of a result set to tuples of Python values.

A decoder is made once per set of columns and used for every packet of every result set that has
those columns. ``TextRowDecoder`` here is the Python implementation; ``_speedups.c`` holds one
that behaves the same. Which of the two runs is decided in ``implementation``.

Wire format: MySQL: Protocol::Packet, ProtocolText::ResultsetRow, LengthEncodedInteger.
"""

from __future__ import annotations

import codecs
import datetime
import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from decimal import (
    MAX_EMAX,
    MAX_PREC,
    MIN_EMIN,
    Clamped,
    Context,
    Decimal,
    Inexact,
    InvalidOperation,
    Rounded,
)
from itertools import repeat
from operator import methodcaller
from typing import Any, NamedTuple, Protocol, TypeVar

from pymysql.constants import FIELD_TYPE
from pymysql.converters import decoders
from pymysql.err import DataError

from .errors import MalformedPacket, malformed, unreadable_cell

_T = TypeVar("_T")

_HEADER = 4  # three bytes of length, one of sequence id
_FULL_FRAME = 0xFFFFFF  # a frame of this length is continued by the next one
_NULL = 0xFB
_FIRST_STOP = 0xFE  # EOF or OK; 0xFF is ERR

# What a built-in conversion can raise because of the value it was given.
UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError)


class CellKind(enum.IntEnum):
    """How the text of a column's values becomes a Python value."""

    TEXT = 0
    BYTES = 1
    INT = 2
    FLOAT = 3
    DECIMAL = 4
    DATETIME = 5
    DATE = 6
    TIMEDELTA = 7
    CONVERT = 8


class CellPlan(NamedTuple):
    """How one column is read.

    `encoding` is a Python codec's name: needed for TEXT; for CONVERT it says that the converter
    takes str, None that it takes bytes; the other kinds ignore it. `converter` is needed for
    CONVERT and ignored otherwise. `name` is the column's name, for messages.
    """

    kind: CellKind
    encoding: str | None
    converter: Callable[[Any], Any] | None
    name: str


class RowDecoder(Protocol):
    """Turns rows into tuples. Stateless: one decoder may serve any number of result sets.

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
        rows: list[tuple[Any, ...]],
        /,
    ) -> int:
        """Append a tuple to `rows` for each complete row frame in ``buffer[start:end]``.

        `sequence_id` (0 to 255) is what the first frame must carry. Returns the position of the
        first byte not consumed. That is where the bytes end, or a frame that is incomplete, empty
        or 0xFFFFFF bytes long (continued in the next one), or has another sequence id than
        expected, or begins with 0xFE (EOF, OK) or 0xFF (ERR).

        Raises MalformedPacket for a row that does not have the columns' structure, DataError for
        a value that cannot be read as its column's type, whatever a CONVERT column's converter
        raises, and ValueError for a range outside of the buffer. Rows before the failing one are
        in `rows` then.
        """
        ...

    def decode_row(self, payload: bytes | bytearray, /) -> tuple[Any, ...]:
        """The one row that makes up the whole `payload`, which may be of any size and may begin
        with 0xFE or 0xFF. Raises what ``decode`` raises.
        """
        ...


Reader = Callable[[bytes], Any]

# So many bytes of rows are worth reading column by column; and so many fit into fast memory.
_MANY_BYTES = 1024
_AT_ONCE = 32768


class FramedRows(ABC):
    """What RowDecoders in Python share: the way from frame to frame."""

    __slots__ = ("_converts",)

    def __init__(self, plans: Iterable[CellPlan]) -> None:
        # The fast way notices a broken row only after reading its values, which no user's function
        # may see.
        self._converts = any(plan.kind is CellKind.CONVERT for plan in plans)

    def decode(
        self,
        buffer: bytes | bytearray,
        start: int,
        end: int,
        sequence_id: int,
        rows: list[tuple[Any, ...]],
        /,
    ) -> int:
        """See ``RowDecoder.decode``."""
        if not 0 <= start <= end <= len(buffer):
            raise ValueError("start and end must lie within the buffer")
        if not 0 <= sequence_id <= 255:
            raise ValueError("sequence_id must be 0 to 255")
        if _row_end(buffer, start, end, sequence_id) < 0:
            return start  # before copying, so that the head of a large row is not copied often
        if type(buffer) is bytes:
            return self._decode(buffer, start, end, sequence_id, rows)
        with memoryview(buffer) as view, view[start:end] as part:
            data = bytes(part)
        return start + self._decode(data, 0, len(data), sequence_id, rows)

    def decode_row(self, payload: bytes | bytearray, /) -> tuple[Any, ...]:
        """See ``RowDecoder.decode_row``."""
        data = bytes(payload)
        return self._read_carefully(data, 0, len(data))

    def _decode(
        self, data: bytes, pos: int, end: int, sequence_id: int, rows: list[tuple[Any, ...]]
    ) -> int:
        append = rows.append
        read = self._read_carefully if self._converts else self._read
        while end - pos >= _MANY_BYTES and not self._converts:
            start, before = pos, len(rows)
            pos = self._read_many(data, pos, min(end, pos + _AT_ONCE), sequence_id, rows)
            sequence_id = (sequence_id + len(rows) - before) & 0xFF
            if pos == start:
                break
        while (row_end := _row_end(data, pos, end, sequence_id)) >= 0:
            append(read(data, pos + _HEADER, row_end))
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
    def _read_carefully(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        """The row in ``data[pos:end]``: all of its structure is checked first."""


class TextRowDecoder(FramedRows):
    """The RowDecoder of text rows in Python.

    Raises ValueError for a plan that lacks its encoding or its converter, LookupError for an
    encoding that Python does not have.
    """

    __slots__ = ("_careful", "_fast", "_plans")

    def __init__(self, plans: Sequence[CellPlan]) -> None:
        self._plans = checked_plans(plans)
        super().__init__(self._plans)
        self._fast = list(enumerate(map(fast_reader, self._plans)))
        self._careful = [careful_reader(plan) for plan in self._plans]

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
            return self._read_carefully(data, start, end)
        if pos != end:
            return self._read_carefully(data, start, end)
        return tuple(values)

    def _read_many(
        self, data: bytes, pos: int, end: int, sequence_id: int, rows: list[tuple[Any, ...]]
    ) -> int:
        start = pos
        cells, pos = self._split_many(data, pos, end, sequence_id)
        count = len(self._fast)
        try:
            columns = [
                list(map(_Memo(read).__getitem__, cells[column::count]))
                if read in _WORTH_A_MEMO
                else _column(read, cells[column::count])
                for column, read in self._fast
            ]
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

    def _read_carefully(self, data: bytes, pos: int, end: int) -> tuple[Any, ...]:
        cells = _split(data, pos, end, len(self._plans))
        return tuple(
            [
                None if cell is None else read(cell)
                for read, cell in zip(self._careful, cells, strict=True)
            ]
        )


def checked_plans(plans: Sequence[CellPlan]) -> tuple[CellPlan, ...]:
    """`plans` as a tuple of true CellPlans, each complete; both implementations use it."""
    checked = tuple(CellPlan(CellKind(plan.kind), *plan[1:]) for plan in plans)
    for plan in checked:
        if plan.kind is CellKind.TEXT and plan.encoding is None:
            raise ValueError(f"Column {plan.name!r}: TEXT needs an encoding")
        if plan.kind is CellKind.CONVERT and plan.converter is None:
            raise ValueError(f"Column {plan.name!r}: CONVERT needs a converter")
        if plan.encoding is not None:
            codecs.lookup(plan.encoding)
    return checked


def _row_end(data: bytes | bytearray, pos: int, end: int, sequence_id: int) -> int:
    """Where the row frame at `pos` ends; -1 when decoding stops there."""
    if end - pos <= _HEADER:
        return -1
    length = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16
    row_end = pos + _HEADER + length
    if (
        length == 0
        or length == _FULL_FRAME
        or row_end > end
        or data[pos + 3] != sequence_id
        or data[pos + _HEADER] >= _FIRST_STOP
    ):
        return -1
    return row_end


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


def dict_rows(names: tuple[str, ...], rows: list[Any], /) -> None:
    """Turn each of `rows`, tuples, into a dict by `names`, in its place.

    Of equal names the last one's value stays. Raises ValueError for a row of another length.
    """
    if not {len(names)}.issuperset(map(len, rows)):
        raise ValueError("each row must be a tuple with a value for each name")
    rows[:] = map(dict, map(zip, repeat(names), rows))


def drain_rows(rows: list[_T], /) -> tuple[_T, ...]:
    """All of `rows` as a tuple; the list is empty afterwards."""
    drained = tuple(rows)
    rows.clear()
    return drained


#: ``Decimal(text)``, or an ArithmeticError where that is not simple: quicker, because the context
#: need not be looked up.
exact_decimal: Callable[[str], Decimal] = Context(
    prec=MAX_PREC,
    Emax=MAX_EMAX,
    Emin=MIN_EMIN,
    traps=[InvalidOperation, Inexact, Rounded, Clamped],
).create_decimal


def _decimal(raw: bytes) -> Decimal:
    return exact_decimal(raw.decode("ascii"))


_convert_datetime: Callable[[str], Any] = decoders[FIELD_TYPE.DATETIME]
_convert_date: Callable[[str], Any] = decoders[FIELD_TYPE.DATE]
_convert_timedelta: Callable[[str], Any] = decoders[FIELD_TYPE.TIME]

# The shape of a value is what it becomes when every digit is replaced with 0.
_TO_SHAPE = bytes.maketrans(b"123456789", b"000000000")
_DATE_SHAPE = b"0000-00-00"
_DATETIME_SHAPES = frozenset(
    b"0000-00-00 00:00:00" + fraction
    for fraction in (b"", *(b"." + b"0" * digits for digits in range(1, 7)))
)


def _datetime(raw: bytes) -> Any:
    text = raw.decode("ascii")
    # Hour 24 is valid in ISO 8601, and in some versions of Python.
    if raw.translate(_TO_SHAPE) in _DATETIME_SHAPES and raw[11:13] != b"24":
        try:
            return datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
    return _convert_datetime(text)


def _date(raw: bytes) -> Any:
    text = raw.decode("ascii")
    if raw.translate(_TO_SHAPE) == _DATE_SHAPE:
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            pass
    return _convert_date(text)


def _timedelta(raw: bytes) -> Any:
    return _convert_timedelta(raw.decode("ascii"))


_FAST_READERS: dict[CellKind, Reader] = {
    CellKind.BYTES: bytes,
    CellKind.INT: int,
    CellKind.FLOAT: float,
    CellKind.DECIMAL: _decimal,
    CellKind.DATETIME: _datetime,
    CellKind.DATE: _date,
    CellKind.TIMEDELTA: _timedelta,
}


#: Readers that take longer than finding a value that was read before.
_WORTH_A_MEMO = frozenset({_datetime, _date, _timedelta})


class _Memo(dict[bytes | None, Any]):
    """The values of cells; those not known yet are read."""

    def __init__(self, read: Reader) -> None:
        self[None] = None
        self._read = read

    def __missing__(self, raw: bytes) -> Any:
        value = self[raw] = self._read(raw)
        return value


def _column(read: Reader, cells: list[bytes | None]) -> list[Any]:
    """The values of a column's cells."""
    if None in cells:
        return [None if cell is None else read(cell) for cell in cells]
    return list(map(read, cells))  # type: ignore[arg-type]


def fast_reader(plan: CellPlan) -> Reader:
    """A function that reads most values, and raises one of UNREADABLE for the others."""
    if plan.encoding is not None and plan.kind in (CellKind.TEXT, CellKind.CONVERT):
        if codecs.lookup(plan.encoding).name == "utf-8":
            return bytes.decode
        return methodcaller("decode", plan.encoding)
    return _FAST_READERS.get(plan.kind, bytes)


def _exact_reader(plan: CellPlan) -> Reader:
    """A function that reads every value that can be read, and raises one of UNREADABLE else."""
    # From bytes, int() and float() take fewer kinds of white space than from str.
    if plan.kind is CellKind.INT:
        return lambda raw: int(raw.decode("ascii"))
    if plan.kind is CellKind.FLOAT:
        return lambda raw: float(raw.decode("ascii"))
    if plan.kind is CellKind.DECIMAL:
        return lambda raw: Decimal(raw.decode("ascii"))
    return fast_reader(plan)


def _unreadable(plan: CellPlan, raw: bytes) -> DataError:
    """The error for a value that `plan` cannot read."""
    wanted = plan.kind.name
    if plan.encoding is not None and plan.kind in (CellKind.TEXT, CellKind.CONVERT):
        wanted = f"text in {plan.encoding}"
    return unreadable_cell(plan.name, wanted, raw)


def careful_reader(plan: CellPlan) -> Reader:
    """A function that reads any value of a column, and raises what ``RowDecoder.decode`` raises.

    Both implementations leave to it whatever their fast paths don't know.
    """
    exact = _exact_reader(plan)
    converter = plan.converter

    def read(raw: bytes) -> Any:
        try:
            return exact(raw)
        except UNREADABLE as exc:
            raise _unreadable(plan, raw) from exc

    if plan.kind is not CellKind.CONVERT or converter is None:
        return read
    return lambda raw: converter(read(raw))
