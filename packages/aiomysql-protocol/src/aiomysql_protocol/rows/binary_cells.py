"""Cells of binary rows: from the bytes of a value to the same Python value as from a text row.

A value that has no direct way to its column's Python type is rendered as the server would write it
in a text row, and then read as text: so it is with converters.

FLOAT: the server's text of a FLOAT has six significant digits, which is less than the binary value
holds, and that of a FLOAT(M,D) or DOUBLE(M,D) has D decimals. The value here is what that text
says: the binary value rounded to so many digits (exactly, ties to even). A DOUBLE without D is
the binary value itself.

Wire format: MySQL: "Binary Protocol Value".
"""

from __future__ import annotations

import datetime
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from pymysql.constants import FIELD_TYPE

from aiomysql_protocol.rows.cells import (
    UNREADABLE,
    CellKind,
    CellPlan,
    Reader,
    checked_plans,
    fast_reader,
    general_reader,
)
from aiomysql_protocol.wire.errors import unreadable_cell

__all__ = ["BinaryPlan"]

#: The smallest `decimals` of a column without a fixed number of them (MySQL: NOT_FIXED_DEC).
NOT_FIXED = 31

#: The most characters to which a number may be filled with zeros (MySQL: MAX_FIELD_WIDTH, 255).
WIDEST_NUMBER = 255

_FRACTION_DIGITS = 6

# The server writes a real number with an exponent when its point lies outside of these digits.
_LAST_POINT = 15
_FIRST_POINT = -14

#: Types whose values have a fixed size, and that size in bytes. All others carry their length.
FIXED_SIZES: dict[int, int] = {
    FIELD_TYPE.TINY: 1,
    FIELD_TYPE.SHORT: 2,
    FIELD_TYPE.YEAR: 2,
    FIELD_TYPE.LONG: 4,
    FIELD_TYPE.INT24: 4,
    FIELD_TYPE.LONGLONG: 8,
    FIELD_TYPE.FLOAT: 4,
    FIELD_TYPE.DOUBLE: 8,
}

_REALS = frozenset({FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE})
_DATETIMES = frozenset({FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP})
_DATES = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE})

#: What a renderer or a fast reader can raise because of the bytes it was given.
BINARY_UNREADABLE = (*UNREADABLE, struct.error)


class BinaryPlan(NamedTuple):
    """How one column of binary rows is read."""

    #: How its values are sent: one of pymysql.constants.FIELD_TYPE.
    type_code: int
    #: How the server's text for a value would be read.
    cell: CellPlan
    unsigned: bool = False
    #: Digits behind the point; of a real number NOT_FIXED or more: as many as it needs.
    decimals: int = NOT_FIXED
    #: Characters, at most WIDEST_NUMBER, up to which the server's text of a number is filled with
    #: zeros; 0: it is not.
    zerofill: int = 0


def checked_binary_plans(plans: Sequence[BinaryPlan]) -> tuple[BinaryPlan, ...]:
    """`plans` as a tuple of true BinaryPlans, each complete; both implementations use it.

    Raises what ``cells.checked_plans`` raises, and ValueError for negative decimals or a number
    that is to be filled with zeros beyond WIDEST_NUMBER.
    """
    cells = checked_plans([plan.cell for plan in plans])
    for plan in plans:
        if plan.decimals < 0:
            raise ValueError(f"Column {plan.cell.name!r}: {plan.decimals} decimals")
        if not 0 <= plan.zerofill <= WIDEST_NUMBER:
            raise ValueError(f"Column {plan.cell.name!r}: zeros up to {plan.zerofill} characters")
    return tuple(
        [
            BinaryPlan(
                *(int(plan.type_code), cell, bool(plan.unsigned)),
                *(int(plan.decimals), int(plan.zerofill)),
            )
            for plan, cell in zip(plans, cells, strict=True)
        ]
    )


_FORMATS = {1: "bB", 2: "hH", 4: "iI", 8: "qQ"}  # signed, unsigned


def direct_format(plan: BinaryPlan) -> str:
    """struct's format of values that need nothing more; empty for others."""
    size = FIXED_SIZES.get(plan.type_code, 0)
    if size and plan.type_code not in _REALS and plan.cell.kind is CellKind.INT:
        return _FORMATS[size][plan.unsigned]
    if (
        plan.type_code == FIELD_TYPE.DOUBLE
        and plan.cell.kind is CellKind.FLOAT
        and plan.decimals >= NOT_FIXED
    ):
        return "d"
    return ""


# Reading directly


def _real_reader(plan: BinaryPlan) -> Reader:
    single = plan.type_code == FIELD_TYPE.FLOAT
    unpack = struct.Struct("<f" if single else "<d").unpack
    if plan.decimals < NOT_FIXED:
        form = f".{plan.decimals}f"
    elif single:
        form = ".6g"
    else:
        return lambda raw: unpack(raw)[0]
    return lambda raw: float(format(unpack(raw)[0], form))


_DATE = struct.Struct("<HBB").unpack
_SECONDS = struct.Struct("<H5B").unpack
_MICROSECONDS = struct.Struct("<H5BI").unpack
_TIME = struct.Struct("<BI3B").unpack
_FRACTIONAL_TIME = struct.Struct("<BI3BI").unpack


def _read_datetime(raw: bytes) -> datetime.datetime:
    if len(raw) == 7:
        return datetime.datetime(*_SECONDS(raw))
    return datetime.datetime(*(_DATE(raw) if len(raw) == 4 else _MICROSECONDS(raw)))


def _datetime_reader(plan: BinaryPlan) -> Reader:
    # Digits that the column does not show are left to the general reader.
    read: Reader = _read_datetime
    if plan.decimals < _FRACTION_DIGITS:
        read = lambda raw: _read_datetime(_shown(raw, 7))  # noqa: E731
    if plan.cell.kind is CellKind.DATETIME or plan.cell.zone is None:
        return read
    localize = plan.cell.zone.localize
    return lambda raw: localize(read(raw))


def _read_date(raw: bytes) -> datetime.date:
    return datetime.date(*_DATE(raw))


def _read_timedelta(raw: bytes) -> datetime.timedelta:
    negative, days, hours, minutes, seconds, microseconds = _time_parts(raw)
    hours += days * 24
    if hours > 999 or minutes > 59 or seconds > 59 or microseconds > 999_999:
        raise ValueError
    value = datetime.timedelta(0, (hours * 60 + minutes) * 60 + seconds, microseconds)
    return -value if negative else value


def _time_parts(raw: bytes) -> tuple[int, ...]:
    """Whether it is negative; days, hours, minutes, seconds, microseconds."""
    if not raw:
        return (0, 0, 0, 0, 0, 0)
    return (*_TIME(raw), 0) if len(raw) == 8 else _FRACTIONAL_TIME(raw)


def fast_binary_reader(plan: BinaryPlan) -> Reader:
    """A function that reads most values as `general_binary_reader` does, and raises one of
    BINARY_UNREADABLE for the others.
    """
    kind = plan.cell.kind
    if plan.type_code in _REALS and kind is CellKind.FLOAT:
        return _real_reader(plan)
    renderer = _RENDERERS.get(plan.type_code)
    if renderer is None:
        return fast_reader(plan.cell)
    if kind in (CellKind.DATETIME, CellKind.TIMESTAMP) and plan.type_code in _DATETIMES:
        return _datetime_reader(plan)
    if kind is CellKind.TIMEDELTA and plan.type_code == FIELD_TYPE.TIME:
        if plan.decimals >= _FRACTION_DIGITS:
            return _read_timedelta
        return lambda raw: _read_timedelta(_shown(raw, 8))
    if kind is CellKind.DATE and plan.type_code in _DATES:
        return _read_date
    return general_binary_reader(plan)


def _shown(raw: bytes, longest: int) -> bytes:
    if len(raw) > longest:
        raise ValueError
    return raw


# Rendering as text


def general_binary_reader(plan: BinaryPlan) -> Reader:
    """A function that reads any value of a column, and raises what ``RowDecoder.decode`` raises.

    Both implementations leave to it what their fast paths don't read.
    """
    read = general_reader(plan.cell)
    renderer = _RENDERERS.get(plan.type_code)
    if renderer is None:
        return read
    if plan.type_code in _REALS and plan.cell.kind is CellKind.FLOAT:
        return _real_reader(plan)

    def render_and_read(raw: bytes) -> Any:
        try:
            text = renderer(raw, plan)
            if plan.type_code in FIXED_SIZES:
                text = text.zfill(plan.zerofill)
        except BINARY_UNREADABLE as exc:
            raise unreadable_cell(plan.cell.name, plan.cell.kind.name, raw) from exc
        return read(text.encode("ascii"))

    return render_and_read


def _render_integer(raw: bytes, plan: BinaryPlan) -> str:
    return str(int.from_bytes(raw, "little", signed=not plan.unsigned))


def _render_real(raw: bytes, plan: BinaryPlan) -> str:
    single = plan.type_code == FIELD_TYPE.FLOAT
    (value,) = struct.unpack("<f" if single else "<d", raw)
    if not math.isfinite(value):
        return repr(value)
    if plan.decimals < NOT_FIXED:
        return f"{value:.{plan.decimals}f}"
    # The shortest text of a double that says exactly it, but six digits of a float.
    number = Decimal(f"{value:.5e}" if single else repr(value)).normalize()
    sign, digits, _ = number.as_tuple()
    point = number.adjusted() + 1
    if not number or _FIRST_POINT <= point <= _LAST_POINT or 0 < point < len(digits):
        return f"{number:f}"
    first, *rest = map(str, digits)
    fraction = "." + "".join(rest) if rest else ""
    return f"{'-' * sign}{first}{fraction}e{point - 1}"


def _render_datetime(raw: bytes, plan: BinaryPlan) -> str:
    year, month, day, hour, minute, second, microsecond = _date_parts(raw)
    fraction = _fraction(microsecond, plan.decimals)
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}"


def _render_date(raw: bytes, plan: BinaryPlan) -> str:
    year, month, day = _date_parts(raw)[:3]
    return f"{year:04}-{month:02}-{day:02}"


def _render_time(raw: bytes, plan: BinaryPlan) -> str:
    negative, days, hours, minutes, seconds, microseconds = _time_parts(raw)
    fraction = _fraction(microseconds, plan.decimals)
    sign = "-" if negative else ""
    return f"{sign}{days * 24 + hours:02}:{minutes:02}:{seconds:02}{fraction}"


def _date_parts(raw: bytes) -> tuple[int, ...]:
    """Year, month, day, hour, minute, second, microsecond; what was not sent is zero."""
    if len(raw) not in (0, 4, 7, 11):
        raise ValueError
    return _MICROSECONDS(raw.ljust(11, b"\0"))


def _fraction(microsecond: int, decimals: int) -> str:
    if microsecond > 999_999:
        raise ValueError
    if decimals > _FRACTION_DIGITS:
        decimals = _FRACTION_DIGITS if microsecond else 0
    return f".{microsecond:06}"[: decimals + 1] if decimals else ""


def _by_type(
    *renderers: tuple[Iterable[int], Callable[[bytes, BinaryPlan], str]],
) -> dict[int, Callable[[bytes, BinaryPlan], str]]:
    return {type_code: renderer for types, renderer in renderers for type_code in types}


#: The values of all other types are sent as text anyway, or as bytes.
_RENDERERS = _by_type(
    (FIXED_SIZES.keys() - _REALS, _render_integer),
    (_REALS, _render_real),
    (_DATETIMES, _render_datetime),
    (_DATES, _render_date),
    ([FIELD_TYPE.TIME], _render_time),
)
