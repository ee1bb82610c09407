"""The attributes of cursors that are used for each statement, and what is done with them most.

The class here is the Python implementation of cursors' first base; `_cursor_state.h` holds one that
behaves the same.  Which of the two is used is decided in `implementation`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiomysql_protocol.implementation import Ready

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_protocol.commands.query import Result

_DONE: Ready[None] = Ready(None)


class CursorState:
    """See `cursors.Cursor`."""

    # Attributes begin as the class's: many cursors live for one statement.
    _arraysize: int = 1
    _executed: bytes | None = None
    _last_executed: bytes | None = None
    _rownumber: int = 0
    _rowcount: int = -1
    _lastrowid: int | None = None
    _description: tuple[tuple[Any, ...], ...] | None = None
    _rows: Sequence[Any] | None = None
    _result: Result | None = None
    _connection: Connection | None = None
    _echo: bool = False

    def fetchone(self) -> Awaitable[Any]:
        """The next row, or None at the end."""
        rows = self._rows
        number = self._rownumber
        if rows is not None and number < len(rows):
            row = rows[number]
            self._rownumber = number + 1  # first: to make the object may run code that uses this
            return Ready(row)
        self._check_executed()
        return _DONE

    async def __aenter__(self) -> Self:
        return self

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Coroutine[Any, Any, None]:
        result = self._result
        if result is not None and result.exchange is not None:
            exchange = result.exchange
            if not exchange.done or exchange.error is not None or result.ok.more_results:
                return self.close()  # something is left to be read
        self._connection = None
        return _DONE

    def close(self) -> Coroutine[Any, Any, None]:
        """Let the connection go."""
        raise NotImplementedError

    def _check_executed(self) -> None:
        """Raise ProgrammingError before the first statement."""
        raise NotImplementedError
