r"""Rows as the lines of a file for LOAD DATA.

Between fields stands a tab, behind each row a line feed; both, NUL and the backslash itself have a
backslash in front, and NULL is ``\N``, as LOAD DATA has it by default.  Text is UTF-8.  What a
binary column takes stands in hexadecimal, because not all bytes are characters.

MySQL: "LOAD DATA Statement".
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pymysql.err import DataError

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.values.literals import DEFAULT, NEVER_VALUES, Literals

__all__ = ["BINARY", "BIT", "TEXT", "FileRows"]

#: What a column takes: text, bytes in hexadecimal, or the number that bits are.
TEXT, BINARY, BIT = b"t", b"b", b"i"

_NULL = b"\\N"
_ESCAPED = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\0": b"\\0"}

_NEVER_FIELDS = (*NEVER_VALUES, tuple, list, range, set, frozenset)
_TEMPORAL = (datetime.date, datetime.time, datetime.timedelta, time.struct_time)


def write_file_rows(
    rows: Sequence[object],
    start: int,
    size: int,
    kinds: bytes,
    other: Callable[[Any, int], bytes],
    /,
) -> tuple[bytes, int]:
    """Rows from number `start` on, until there are `size` bytes of them.

    kinds: what each column takes; other: makes the field of a value of an unusual type for a column
    of that kind.  Returns them, and the number of the first row that it
    leaves to the caller, which may be no tuple or list of the right length.  In Python it leaves
    all of them: it would be no quicker.
    """
    return b"", start


class FileRows:
    """Writes rows for one table."""

    __slots__ = ("_kinds", "_literals")

    def __init__(self, kinds: bytes, literals: Literals) -> None:
        """kinds: TEXT, BINARY or BIT for each column; literals: the connection's."""
        self._kinds = kinds
        self._literals = literals

    def write(self, rows: Sequence[object], start: int, size: int) -> tuple[bytes, int]:
        """Rows from number `start` on, until there are about `size` bytes of them, and the number
        of the first one that is not among them.

        Raises TypeError, DataError or ProgrammingError for values that have no such form, and
        ValueError for a row that has not as many as there are columns.
        """
        parts: list[bytes] = []
        while start < len(rows) and size > 0:
            written, start = write_file_rows(rows, start, size, self._kinds, self.field)
            if written:
                parts.append(written)
                size -= len(written)
            elif start < len(rows):
                parts.append(self._row(rows[start]))
                size -= len(parts[-1])
                start += 1
        return b"".join(parts), start

    def _row(self, row: object) -> bytes:
        if not isinstance(row, (tuple, list)):
            raise TypeError(f"a row must be a tuple, a list or a dict, not {type(row).__name__}")
        values = tuple(row)  # a list could change while a function of the user's runs
        if len(values) != len(self._kinds):
            raise ValueError(f"a row of {len(values)} values for {len(self._kinds)} columns")
        fields = [self.field(value, kind) for value, kind in zip(values, self._kinds, strict=True)]
        return b"\t".join(fields) + b"\n"

    def field(self, value: Any, kind: int) -> bytes:
        """One value for a column of that kind.  Raises what `write` raises."""
        if value is None:
            return _NULL
        if kind == BIT[0] and isinstance(value, (bytes, bytearray)):
            value = int.from_bytes(value)
        data = self._bytes(value)
        if kind == BINARY[0]:
            return data.hex().encode()
        if not data.isalnum():
            for byte, escaped in _ESCAPED.items():
                data = data.replace(byte, escaped)
        return data

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(memoryview(value))
        if isinstance(value, str):
            text = str.__str__(value)
        else:
            if value is DEFAULT or isinstance(value, _NEVER_FIELDS):
                raise TypeError(f"{type(value).__name__} can not be loaded as a value")
            if self._literals.has_encoder(type(value)):
                raise TypeError(
                    f"{type(value).__name__} has an encoder of its own, which makes SQL: "
                    "it can not be loaded as a value"
                )
            text = self._literals.literal(value)
            if text.startswith("'"):
                text = text[1:-1] if isinstance(value, _TEMPORAL) else str(value)
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"a value can't be written in UTF-8: {error}") from error


py_write_file_rows = write_file_rows
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    write_file_rows = _c.write_file_rows
