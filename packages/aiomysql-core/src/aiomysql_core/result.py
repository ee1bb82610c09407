"""One result of a statement, as a connection and its cursors see it."""

from __future__ import annotations

from typing import Any

from pymysql.err import InterfaceError

from aiomysql_protocol.columns import Column, DescriptionItem
from aiomysql_protocol.query import Query, Result

#: `affected_rows` of a result set whose rows are not counted yet.
UNKNOWN_ROW_COUNT = 18446744073709551615


class MySQLResult:
    """A view of a protocol result and of the exchange it came in."""

    __slots__ = ("_exchange", "_result", "unbuffered_active")

    def __init__(self, exchange: Query, result: Result) -> None:
        self._exchange = exchange
        self._result = result
        #: Are rows of a streamed result still to be read from the server?
        self.unbuffered_active = exchange.streamed and result.column_set is not None

    @property
    def exchange(self) -> Query:
        """The exchange the result came in."""
        return self._exchange

    @property
    def affected_rows(self) -> int:
        """Rows changed, or rows in the result set (2**64 - 1 for a streamed one)."""
        if self._result.column_set is None:
            return self._result.ok.affected_rows
        return UNKNOWN_ROW_COUNT if self._exchange.streamed else len(self._result.rows)

    @property
    def insert_id(self) -> int | None:
        """The AUTO_INCREMENT value generated; None for a result set."""
        return self._result.ok.insert_id if self._result.column_set is None else None

    @property
    def warning_count(self) -> int:
        """Warnings of the statement; 0 until all rows are read."""
        return self._result.ok.warning_count

    @property
    def server_status(self) -> int:
        """Status flags (pymysql.constants.SERVER_STATUS) after the statement."""
        return self._result.ok.server_status

    @property
    def message(self) -> bytes:
        """What the server says of the statement, e.g. ``b"Records: 2"``."""
        return self._result.ok.message

    @property
    def has_next(self) -> bool:
        """Does another result follow in the same answer?"""
        return self._result.ok.more_results

    @property
    def fields(self) -> tuple[Column, ...]:
        """The columns; empty for a statement without rows."""
        columns = self._result.column_set
        return columns.columns if columns is not None else ()

    @property
    def field_count(self) -> int:
        """Number of columns."""
        return len(self.fields)

    @property
    def description(self) -> tuple[DescriptionItem, ...] | None:
        """PEP 249's description; None for a statement without rows."""
        columns = self._result.column_set
        return columns.description if columns is not None else None

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...] | None:
        """The rows of a buffered result set; None for a statement without rows."""
        return tuple(self._result.rows) if self._result.column_set is not None else None

    @property
    def complete(self) -> bool:
        """Has the whole result come?"""
        return self._result.complete

    def take_rows(self) -> list[tuple[Any, ...]]:
        """The rows of a streamed result that have come and were not taken."""
        return self._exchange.take_rows(self._result)

    def skip(self) -> None:
        """Drop the rows that were not taken and those still to come."""
        self._exchange.skip(self._result)

    def give_up(self) -> None:
        """Whoever still reads this result is to know that its rest was dropped."""
        if self.unbuffered_active and not self.complete:
            self._result.error = self._result.error or InterfaceError(
                0, "the rest of this result was given up for another statement"
            )
        self.unbuffered_active = False

    @property
    def failed(self) -> bool:
        """Is there an error to take?"""
        return self._result.error is not None

    def take_error(self) -> BaseException | None:
        """Why the result failed; None the next time."""
        error, self._result.error = self._result.error, None
        return error
