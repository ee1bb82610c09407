"""Rows for one table, from whatever gives them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Protocol

from aiomysql_core.bulk.batches import in_chunks

#: Rows that are looked at together, at most.
_MOST_ROWS = 1000


class _Claimable(Protocol):
    """A runner of commands."""

    def claim(self) -> bool: ...
    def release(self) -> None: ...


class RowSource:
    """Rows, some at a time: `rows`, from number `at` on, are those that come next.

    Whoever uses them counts `at` up.
    """

    def __init__(self, rows: Iterable[object] | AsyncIterable[object], runner: _Claimable) -> None:
        """runner: kept from others while rows are taken."""
        self._chunks = in_chunks(rows)
        self._chunk: Sequence[object] = ()
        self._next = 0  # in the chunk
        self._runner = runner
        self._most = _MOST_ROWS
        self._names: Sequence[str] | None = None
        # Values in a row, once that is known.
        self._width: int | None = None
        self.rows: Sequence[object] = ()
        self.at: int = 0
        # Rows before `rows`.
        self._before = 0

    @property
    def taken(self) -> int:
        """How many rows were used."""
        return self._before + self.at

    @property
    def width(self) -> int:
        """How many values a row has."""
        return self._width or 0

    async def aclose(self) -> None:
        """Close what gives the rows."""
        await self._chunks.aclose()

    async def fill(self) -> bool:
        """Have a row to come; returns False at the end.

        Raises what gives the rows raises, TypeError for what is no row, and ValueError for one with
        other columns; the attribute `row_index` of the error says which.
        """
        while self.at >= len(self.rows):
            self._before, self.at, self.rows = self.taken, 0, ()
            if self._next >= len(self._chunk):
                # What was taken waits for the rest of its thousand, even if that takes long: it is
                # not to be seen before the end anyway.
                is_claimed = self._runner.claim()  # or else by what sends the rows
                try:
                    self._chunk, self._next = await anext(self._chunks), 0
                except StopAsyncIteration:
                    self._chunk = ()
                    return False
                except Exception as error:
                    record_row(error, self.taken)
                    raise
                finally:
                    if is_claimed:
                        self._runner.release()
            start, stop = self._next, min(self._next + self._most, len(self._chunk))
            self._next = stop
            self.rows = (
                self._chunk[start:stop]
                if isinstance(self._chunk, (list, tuple))
                else [self._chunk[number] for number in range(start, stop)]
            )
            if self._width is not None:
                self.rows = self._checked(self.rows)
        return True

    def set_columns(self, names: Sequence[str] | None, most: int | None = None) -> None:
        """Have every row be a tuple or list with values for these columns from now on.

        names: None if they are not known, and as many as the first row has; most: rows at a time.
        Raises as `fill`.
        """
        if most is not None and most < self._most:
            # Those at hand are taken again, no more than that.
            self._next -= len(self.rows)
            self._most = most
            self.rows = self.rows[:most]
            self._next += len(self.rows)
        self._names = names
        first = self.rows[self.at] if self.at < len(self.rows) else ()
        if names is not None:
            self._width = len(names)
        elif isinstance(first, (tuple, list)):
            self._width = len(first)
        else:
            self._width = 0  # it is refused
        self.rows = self._checked(self.rows)

    def _checked(self, rows: Sequence[object]) -> Sequence[object]:
        # By functions in C, as long as nothing is unusual.
        if not {tuple, list}.issuperset(map(type, rows)):
            rows = [self._values(number, row) for number, row in enumerate(rows)]
        if set(map(len, rows)) != {self._width}:  # type: ignore[arg-type]
            for number, row in enumerate(rows):
                if len(row) != self._width:  # type: ignore[arg-type]
                    count = len(row)  # type: ignore[arg-type]
                    error = ValueError(f"a row has {count} values for {self._width} columns")
                    record_row(error, self._before + number)
                    raise error
        return rows

    def _values(self, number: int, row: object) -> object:
        if isinstance(row, (tuple, list)):
            return row
        error: Exception
        if not isinstance(row, Mapping):
            error = TypeError(f"a row must be a tuple, a list or a dict, not {type(row).__name__}")
        elif self._names is None:
            error = TypeError("a row is a dict, and the first was none: name the columns")
        elif row.keys() != set(self._names):
            names = ", ".join(sorted(map(str, row.keys() ^ set(self._names))))
            error = ValueError(f"a row has not the columns of the others: {names}")
        else:
            return tuple([row[name] for name in self._names])
        record_row(error, self._before + number)
        raise error


def record_row(error: Exception, row: int | None) -> None:
    """The error is about the row of this number; None: it is not known of which."""
    with contextlib.suppress(AttributeError):
        error.row_index = row  # type: ignore[attr-defined]
