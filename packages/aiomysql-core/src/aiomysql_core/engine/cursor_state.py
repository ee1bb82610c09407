"""The attributes of cursors that are used for each statement, and what is done with them most.

`CursorState` is the first base of cursors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiomysql_core._accelerator import accelerator
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_core.waiting.ready import DONE, Ready

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_core.cursors import Cursor
    from aiomysql_protocol.commands.query import Result

_CursorT = TypeVar("_CursorT", bound="Cursor")


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
        return DONE

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
        return DONE

    def close(self) -> Coroutine[Any, Any, None]:
        """Let the connection go."""
        raise NotImplementedError

    def _check_executed(self) -> None:
        """Raise ProgrammingError before the first statement."""
        raise NotImplementedError


def new_cursor(
    kind: type[_CursorT], connection: Connection, echo: bool, /
) -> AwaitableContextManager[_CursorT]:
    """A new cursor of that class, ready to be awaited or used with `async with`."""
    return AwaitableContextManager(Ready(kind(connection, echo)))


PyCursorState = CursorState
py_new_cursor = new_cursor
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    CursorState = _c.CursorState
    new_cursor = _c.new_cursor
