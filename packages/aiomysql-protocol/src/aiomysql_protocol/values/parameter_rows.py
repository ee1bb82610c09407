"""Rows of parameters, as COM_STMT_BULK_EXECUTE carries them.

The types stand once in front of all rows, so the values of a parameter must all be of one type.  In
front of each value stands an indicator, which also says that there is none: NULL.  (The one for a
column's default is not used: the server takes it where the keyword DEFAULT may not stand.)

MariaDB: "COM_STMT_BULK_EXECUTE".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.values.parameters import NULL, NeedsTextError, ParameterWriter

__all__ = ["ParameterRows"]

_VALUE = b"\0"
_IS_NULL = b"\1"


def write_parameter_rows(
    rows: Sequence[object], start: int, room: int, types: bytes, as_is: object = None, /
) -> tuple[bytes, bytes, int]:
    """The rows from number `start` on: their bytes, at most `room`, and the types of the values.

    types: those of the rows before, two bytes for each parameter; NULL where none is known.  as_is:
    of the writer.  Returns bytes, types, and the number of the first row that it leaves to the
    caller: because there is no room, because it is no tuple or list of the right length, or because
    a value in it is of another type than those before, or an unusual one.  In Python it leaves all
    of them: it would be no quicker.
    """
    return b"", types, start


class ParameterRows:
    """The rows of one request."""

    __slots__ = ("_parts", "_writer", "count", "size", "types")

    def __init__(self, writer: ParameterWriter, parameters: int) -> None:
        """parameters: how many each row has."""
        self._writer = writer
        self._parts: list[bytes] = []
        #: How many rows there are.
        self.count: int = 0
        #: Their bytes.
        self.size: int = 0
        #: Type and flags of each parameter, as COM_STMT_EXECUTE has them.
        self.types: bytes = NULL * parameters

    @property
    def data(self) -> bytes:
        """The rows."""
        return b"".join(self._parts)

    def add(self, rows: Sequence[object], start: int, room: int) -> int:
        """Add those of `rows` from number `start` on, until there are `room` bytes of them; the
        first one may have more.

        Returns the number of the first row that was not added: there is no room for it, a value is
        of another type than those before, or it can't be in such a request: then this object is
        empty still.  Raises what `ParameterWriter.write` raises, for the row behind those added,
        but NeedsTextError.
        """
        while start < len(rows):
            if self._writer.is_usual:
                before = start
                data, self.types, start = write_parameter_rows(
                    rows, start, room - self.size, self.types, self._writer.as_is
                )
                self._append(data, start - before)
                if start >= len(rows):
                    break
            row = rows[start]
            if row is None or isinstance(row, Mapping):
                break
            if not isinstance(row, (tuple, list)):
                row = (row,)
            if not self._add_row(row, room):
                break
            start += 1
        return start

    def _add_row(self, values: Sequence[object], room: int) -> bool:
        types = [self.types[at : at + 2] for at in range(0, len(self.types), 2)]
        # A list could change while a function of the user's runs; a tuple could be found half-made.
        values = [*values]
        if len(values) != len(types):
            return False
        parts: list[bytes] = []
        for index, value in enumerate(values):
            try:
                written = self._writer.write_value(value)
            except NeedsTextError:
                return False
            if written is None:
                parts.append(_IS_NULL)
                continue
            if types[index] not in (NULL, written[0]):
                return False
            types[index] = written[0]
            parts += (_VALUE, written[1])
        data = b"".join(parts)
        if self.count and self.size + len(data) > room:
            return False
        self.types = b"".join(types)
        self._append(data, 1)
        return True

    def _append(self, data: bytes, count: int) -> None:
        if count:
            self._parts.append(data)
            self.size += len(data)
            self.count += count


py_write_parameter_rows = write_parameter_rows
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    write_parameter_rows = _c.write_parameter_rows
