"""Cells: from the text of a value, or of many values of a column, to Python values.

Each kind of cell can be read in three ways.  `fast_reader` reads one value and `column_reader` many
at once; both leave what is unusual about a value to `general_reader`, which knows all of them and
raises the errors that callers see.
"""

from __future__ import annotations

import codecs
import datetime
import enum
from collections.abc import Callable, Sequence
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
from functools import partial
from itertools import repeat
from operator import methodcaller, sub
from typing import Any, NamedTuple

from pymysql.constants import FIELD_TYPE
from pymysql.converters import decoders
from pymysql.err import DataError

from aiomysql_protocol.values.session_zone import SessionZone
from aiomysql_protocol.wire.errors import uncertain_cell, unreadable_cell

__all__ = ["CellKind", "CellPlan"]

Reader = Callable[[bytes], Any]

#: Reads values of one column, none of them NULL.
ColumnReader = Callable[[Sequence[bytes]], Sequence[Any]]

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
    TIMESTAMP = 9


class CellPlan(NamedTuple):
    """How one column is read.

    `encoding` is a Python codec's name: needed for TEXT; for CONVERT it says that the converter
    takes str, None that it takes bytes; the other kinds ignore it. `converter` is needed for
    CONVERT and ignored otherwise. `name` is the column's name, for messages. `zone` is needed for
    TIMESTAMP: a datetime of that zone.
    """

    kind: CellKind
    encoding: str | None
    converter: Callable[[Any], Any] | None
    name: str
    zone: SessionZone | None = None


def checked_plans(plans: Sequence[CellPlan]) -> tuple[CellPlan, ...]:
    """`plans` as a tuple of true CellPlans, each complete; both implementations use it."""
    checked = tuple([CellPlan(CellKind(plan.kind), *plan[1:]) for plan in plans])
    for plan in checked:
        if plan.kind is CellKind.TEXT and plan.encoding is None:
            raise ValueError(f"Column {plan.name!r}: TEXT needs an encoding")
        if plan.kind is CellKind.CONVERT and plan.converter is None:
            raise ValueError(f"Column {plan.name!r}: CONVERT needs a converter")
        if plan.kind is CellKind.TIMESTAMP and not isinstance(plan.zone, SessionZone):
            raise ValueError(f"Column {plan.name!r}: TIMESTAMP needs a zone")
        if plan.encoding is not None:
            codecs.lookup(plan.encoding)
    return checked


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
_FRACTIONS = (b"", *(b"." + b"0" * digits for digits in range(1, 7)))
_DATE_SHAPES = frozenset([b"0000-00-00"])
_TIME_SHAPES = frozenset(b"00:00:00" + fraction for fraction in _FRACTIONS)
_DATETIME_SHAPES = frozenset(b"0000-00-00 " + time for time in _TIME_SHAPES)

_from_iso = datetime.datetime.fromisoformat
_FIRST_DAY = "1970-01-01 "  # a time of this day becomes a duration when midnight is subtracted
_MIDNIGHT = datetime.datetime(1970, 1, 1)


def _datetime(raw: bytes) -> Any:
    text = raw.decode("ascii")
    # Hour 24 is valid in ISO 8601, and in some versions of Python.
    if raw.translate(_TO_SHAPE) in _DATETIME_SHAPES and raw[11:13] != b"24":
        try:
            return _from_iso(text)
        except ValueError:
            pass
    return _convert_datetime(text)


def _date(raw: bytes) -> Any:
    text = raw.decode("ascii")
    if raw.translate(_TO_SHAPE) in _DATE_SHAPES:
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            pass
    return _convert_date(text)


def _timedelta(raw: bytes) -> Any:
    text = raw.decode("ascii")
    if raw.translate(_TO_SHAPE) in _TIME_SHAPES:
        try:
            return _from_iso(_FIRST_DAY + text) - _MIDNIGHT
        except ValueError:
            pass
    return _convert_timedelta(text)


_FAST_READERS: dict[CellKind, Reader] = {
    CellKind.BYTES: bytes,
    CellKind.INT: int,
    CellKind.FLOAT: float,
    CellKind.DECIMAL: _decimal,
    CellKind.DATETIME: _datetime,
    CellKind.DATE: _date,
    CellKind.TIMEDELTA: _timedelta,
}


def fast_reader(plan: CellPlan) -> Reader:
    """A function that reads most values, and raises one of UNREADABLE for the others."""
    if plan.encoding is not None and plan.kind in (CellKind.TEXT, CellKind.CONVERT):
        if codecs.lookup(plan.encoding).name == "utf-8":
            return bytes.decode
        return methodcaller("decode", plan.encoding)
    if plan.kind is CellKind.TIMESTAMP and plan.zone is not None:
        localize = plan.zone.localize
        return lambda raw: localize(_datetime(raw))
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
    if plan.kind is CellKind.TIMESTAMP:
        return _datetime
    return fast_reader(plan)


def _unreadable(plan: CellPlan, raw: bytes) -> DataError:
    """The error for a value that `plan` cannot read."""
    wanted = plan.kind.name
    if plan.encoding is not None and plan.kind in (CellKind.TEXT, CellKind.CONVERT):
        wanted = f"text in {plan.encoding}"
    return unreadable_cell(plan.name, wanted, raw)


def general_reader(plan: CellPlan) -> Reader:
    """A function that reads any value of a column, and raises what ``RowDecoder.decode`` raises.

    Both implementations leave to it what their fast paths don't read.
    """
    exact = _exact_reader(plan)
    converter = plan.converter

    def read(raw: bytes) -> Any:
        try:
            return exact(raw)
        except UNREADABLE as exc:
            raise _unreadable(plan, raw) from exc

    if plan.kind is CellKind.TIMESTAMP and plan.zone is not None:
        localize = plan.zone.localize

        def read_moment(raw: bytes) -> Any:
            value = read(raw)
            try:
                return localize(value)
            except ValueError as exc:
                raise uncertain_cell(plan.name, exc) from None

        return read_moment
    if plan.kind is not CellKind.CONVERT or converter is None:
        return read
    return lambda raw: converter(read(raw))


def column_reader(plan: CellPlan) -> Callable[[list[bytes | None]], Sequence[Any]]:
    """A function that reads the cells of a column, None for NULL, or raises one of UNREADABLE.

    What is done to all of them by one call costs much less than a call, or several, for each.
    """
    read = fast_reader(plan)
    read_all = _COLUMN_READERS.get(plan.kind)
    if read is bytes.decode:
        read_all = _texts
    elif plan.kind is CellKind.TIMESTAMP and plan.zone is not None:
        read_all = partial(_moments, plan.zone)
    elif read_all is None:
        read_all = partial(_each, read)

    def read_column(cells: list[bytes | None]) -> Sequence[Any]:
        known = [cell for cell in cells if cell is not None]
        if not known:
            return cells
        try:
            values = read_all(known)
        except UNREADABLE:
            values = list(map(_Memo(read).__getitem__, known))
        if len(known) == len(cells):
            return values
        following = iter(values)
        return [None if cell is None else next(following) for cell in cells]

    return read_column


class _Memo(dict[bytes, Any]):
    """The values of cells; those not known yet are read."""

    def __init__(self, read: Reader) -> None:
        self._read = read

    def __missing__(self, raw: bytes) -> Any:
        value = self[raw] = self._read(raw)
        return value


def _each(read: Reader, cells: Sequence[bytes]) -> list[Any]:
    return list(map(read, cells))


def _unchanged(cells: Sequence[bytes]) -> Sequence[bytes]:
    return cells


def _texts(cells: Sequence[bytes], encoding: str = "utf-8") -> list[str]:
    # No character's UTF-8 has a NUL in it or ends behind one, so each cell is decoded on its own.
    texts = b"\0".join(cells).decode(encoding).split("\0")
    if len(texts) != len(cells):
        raise ValueError("a text holds a NUL")
    return texts


def _decimals(cells: Sequence[bytes]) -> list[Decimal]:
    return list(map(exact_decimal, _texts(cells, "ascii")))  # Decimal knows all scripts' digits


def _datetimes(cells: Sequence[bytes]) -> list[datetime.datetime]:
    text = _alike(cells, _DATETIME_SHAPES)
    if " 24:" in text:
        raise ValueError("see _datetime")
    return list(map(_from_iso, text.split("\0")))


def _moments(zone: SessionZone, cells: Sequence[bytes]) -> list[datetime.datetime]:
    return list(map(zone.localize, _datetimes(cells)))


def _dates(cells: Sequence[bytes]) -> list[datetime.date]:
    return list(map(datetime.date.fromisoformat, _alike(cells, _DATE_SHAPES).split("\0")))


def _timedeltas(cells: Sequence[bytes]) -> list[datetime.timedelta]:
    times = _FIRST_DAY + _alike(cells, _TIME_SHAPES).replace("\0", "\0" + _FIRST_DAY)
    return list(map(sub, map(_from_iso, times.split("\0")), repeat(_MIDNIGHT)))


def _alike(cells: Sequence[bytes], shapes: frozenset[bytes]) -> str:
    """The cells with NULs between, if all have the same shape, and that is one of `shapes`."""
    shape = cells[0].translate(_TO_SHAPE)
    joined = b"\0".join(cells)
    if shape not in shapes or joined.translate(_TO_SHAPE) != b"\0".join([shape] * len(cells)):
        raise ValueError("odd dates or times")
    return joined.decode("ascii")


_COLUMN_READERS: dict[CellKind, ColumnReader] = {
    CellKind.BYTES: _unchanged,
    CellKind.DECIMAL: _decimals,
    CellKind.DATETIME: _datetimes,
    CellKind.DATE: _dates,
    CellKind.TIMEDELTA: _timedeltas,
}
