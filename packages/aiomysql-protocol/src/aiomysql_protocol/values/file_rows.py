r"""Rows as the lines of a file for LOAD DATA.

Between fields stands a tab, behind each row a line feed; both, NUL and the backslash itself have a
backslash in front, and NULL is ``\N``, as LOAD DATA has it by default.  Text is UTF-8, bytes are
themselves.

LOAD DATA gives every column a string, INSERT gives it a literal, and what a column makes of the two
is not always the same: an ENUM takes the number 1 for its first value, the string '1' for itself;
MySQL loads '1x' into a DECIMAL without a warning.  So only those values are written, of exactly
these types, for which it is the same; all others are left to the caller.

MySQL: "LOAD DATA Statement".
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.values.literals import Literals
from aiomysql_protocol.values.session_zone import SessionZone

__all__ = [
    "BYTES",
    "DATETIME",
    "DECIMAL",
    "FILE_TYPES",
    "FLOAT",
    "INTEGER",
    "NOTHING",
    "TEXT",
    "TIME",
    "write_file_rows",
]

#: What a column may be given; a capital letter: and it can't be NULL.
INTEGER, DECIMAL, FLOAT, TEXT, BYTES = b"i", b"d", b"f", b"s", b"b"
#: A DATE, a DATETIME or a TIMESTAMP.
DATETIME = b"t"
TIME = b"c"
#: No value is written for such a column, not even None.
NOTHING = b"-"

_NULL = b"\\N"
_ESCAPED = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\0": b"\\0"}

_INTEGERS = range(-(1 << 63), 1 << 64)

#: Those that a DOUBLE holds as they are.
_EXACT = range(-(1 << 53), (1 << 53) + 1)

#: Characters of a Decimal that no column needs an exponent for.
_LONGEST_DECIMAL = 72

#: Days that a timedelta may have, far more than a TIME holds.
_MOST_DAYS = 1_000_000

_literals = Literals()


def write_file_rows(
    rows: Sequence[object], start: int, size: int, kinds: bytes, zone: SessionZone | None = None, /
) -> tuple[bytes, int]:
    """Lines for the rows from number `start` on, until there are `size` bytes of them.

    kinds: of each column, in the order of the rows' values; zone: as for Literals.  Returns them,
    and the number of the first row that it leaves to the caller: because there is enough, because
    it is no tuple or list of the right length, or because of a value in it.
    """
    lines: list[bytes] = []
    while start < len(rows) and size > 0:
        line = _line(rows[start], kinds, zone)
        if line is None:
            break
        lines.append(line)
        size -= len(line)
        start += 1
    return b"".join(lines), start


def _line(row: object, kinds: bytes, zone: SessionZone | None) -> bytes | None:
    if not isinstance(row, (tuple, list)):
        return None
    values = [*row]
    if len(values) != len(kinds):
        return None
    fields: list[bytes] = []
    for value, kind in zip(values, kinds, strict=True):
        if zone is not None and type(value) is datetime.datetime:
            try:
                value = zone.wall_time(value)
            except Exception:
                return None
        field = _field(value, chr(kind))
        if field is None:
            return None
        fields.append(field)
    return b"\t".join(fields) + b"\n"


def _field(value: object, kind: str) -> bytes | None:
    if value is None:
        return _NULL if kind.islower() else None
    writer = _WRITERS.get(kind.lower(), _NONE).get(type(value))
    return None if writer is None else writer(value)


def _integer(value: int) -> bytes | None:
    return b"%d" % value if value in _INTEGERS else None


def _exact(value: int) -> bytes | None:
    return b"%d" % value if value in _EXACT else None


def _float(value: float) -> bytes | None:
    return repr(value).encode() if math.isfinite(value) else None


def _decimal(value: Decimal) -> bytes | None:
    text = str(value)
    if len(text) > _LONGEST_DECIMAL or text.strip("0123456789.-"):
        return None
    return text.encode()


def _text(value: str) -> bytes | None:
    try:
        return _escaped(value.encode())
    except UnicodeEncodeError:
        return None


def _escaped(value: bytes) -> bytes:
    for byte, escaped in _ESCAPED.items():
        value = value.replace(byte, escaped)
    return value


def _temporal(value: object) -> bytes | None:
    if isinstance(value, datetime.timedelta) and abs(value.days) > _MOST_DAYS:
        return None
    return _literals.literal(value)[1:-1].encode()  # without its quotes


_Writer = Callable[[Any], bytes | None]

_NONE: Mapping[type, _Writer] = {}
_NUMBERS: Mapping[type, _Writer] = {int: _integer, bool: _integer}

#: What is written for a column, by the type of the value.
_WRITERS: Mapping[str, Mapping[type, _Writer]] = {
    "i": _NUMBERS,
    "d": {**_NUMBERS, Decimal: _decimal},
    "f": {int: _exact, bool: _exact, float: _float},
    "s": {str: _text},
    "b": {bytes: _escaped},
    "t": {datetime.date: _temporal, datetime.datetime: _temporal},
    "c": {datetime.time: _temporal, datetime.timedelta: _temporal},
}

#: The types of all values that are ever written.
FILE_TYPES = frozenset(kind for writers in _WRITERS.values() for kind in writers)

py_write_file_rows = write_file_rows
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    write_file_rows = _c.write_file_rows
