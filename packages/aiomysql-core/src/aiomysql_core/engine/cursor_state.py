"""The attributes of cursors that are used for each statement, and what is done with them most.

`CursorState` is the first base of cursors.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from aiomysql_core._accelerator import accelerator
from aiomysql_core.bulk.infile import LocalFiles
from aiomysql_core.engine.connection_state import ConnectionState
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_core.waiting.ready import DONE, Ready
from aiomysql_protocol.commands.query import Result
from aiomysql_protocol.rows.text import drain_rows
from aiomysql_protocol.wire.packets import MORE_RESULTS

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_core.cursors import Cursor

_CursorT = TypeVar("_CursorT", bound="Cursor[Any]")


class CursorState:
    """See `cursors.Cursor`."""

    # Attributes begin as the class's: many cursors live for one statement.
    _arraysize: int = 1
    _executed: bytes | None = None
    _last_executed: bytes | None = None
    #: How many of `_rows` were fetched.
    _rownumber: int = 0
    #: How many rows came before those in `_rows`.
    _rows_before: int = 0
    _rowcount: int = -1
    _lastrowid: int | None = None
    _description: tuple[tuple[Any, ...], ...] | None = None
    #: All rows of a buffered result; those of a streamed one that have come, from some row on.
    _rows: Sequence[Any] | None = None
    _result: Result | None = None
    _connection: Connection[Any] | None = None
    _echo: bool = False

    #: `CommandRunner.handovers` when it was made; 0: it may always be used.
    _handovers: int = 0

    #: Flags of `compat.hooks.CursorHook` that a `row_factory` adds to those of the class.
    _row_flags: int = 0

    #: An argument of `_query` for the statement under way.  (Classic code overrides `_query`, with
    #: the text as its only argument.)  The files that the statement may load, whatever its values
    #: look like (None: those its text names), and its text before values were written into it.
    #: None: no values were.
    _origin: tuple[LocalFiles | None, str | None] | None = None

    if not TYPE_CHECKING:

        def __new__(cls, connection=None, *args, **kwargs):
            self = super().__new__(cls)
            if isinstance(connection, ConnectionState):
                self._handovers = connection.runner.handovers
            return self

    def fetchone(self) -> Coroutine[Any, Any, Any]:
        """The next row, or None at the end.

        Raises ProgrammingError when nothing was executed; for an SSCursor what ends the result.
        """
        rows = self._rows
        number = self._rownumber
        if rows is not None and number < len(rows):
            row = rows[number]
            self._rownumber = number + 1  # first: to make the object may run code that uses this
            return Ready(row)
        self._check_executed()
        result = self._result
        if result is not None and result.streamed:
            return self._fetch_more()
        return DONE

    def accept(self, connection: Connection[Any], result: Result, /) -> bool:
        """For cursors: take over the last statement's result.

        Returns whether there are warnings.
        """
        self._executed = self._last_executed
        return self._take_result(connection, result)

    def _take_result(self, connection: Connection[Any], result: Result, /) -> bool:
        """Take over a result; returns whether there are warnings."""
        self._result = result
        self._rownumber = self._rows_before = 0
        columns, ok = result.metadata, result.ok
        if columns is None:
            self._rowcount = ok.affected_rows
            self._lastrowid = ok.insert_id
            return ok.warning_count > 0
        self._description = columns.description
        self._lastrowid = None
        # What the decoder has made is asked for, not what it would make now.
        own_rows = self._row_flags or self._makes_rows()
        converts = own_rows and not result.exchange.as_dicts
        if converts:
            self._learn_columns(result)
        if result.streamed:
            self._rowcount = result.affected_rows
            # What is to be converted stays where it is until it is fetched.
            self._rows = () if converts else result.exchange.take_rows(result)
            return False  # they are asked for after the last row
        rows = result.rows
        self._rowcount = len(rows)
        # The runner may keep the result for long: without its rows.
        if rows and own_rows:
            self._rows, result.rows = self._conv_rows(rows) if converts else rows, []
        else:
            self._rows = drain_rows(rows)
        return ok.warning_count > 0

    def _makes_rows(self) -> bool:
        return self._converts_rows

    def _forget_result(self) -> None:
        if self._result is None:
            self._rowcount = 0
        else:
            self._clear_result()

    def _clear_result(self) -> None:
        self._rownumber = self._rows_before = 0
        self._result = None
        self._rowcount = 0
        self._description = None
        self._lastrowid = None
        self._rows = None

    async def __aenter__(self) -> Self:
        return self

    if TYPE_CHECKING:
        # As the protocols of `contextlib` have it.
        async def __aexit__(
            self,
            exc_type: type[BaseException] | None,
            exc_val: BaseException | None,
            exc_tb: TracebackType | None,
        ) -> None: ...

    else:

        def __aexit__(self, exc_type, exc_val, exc_tb) -> Coroutine[Any, Any, None]:
            result = self._result
            if result is not None and result.exchange is not None:
                exchange = result.exchange
                more_results = result.ok.server_status & MORE_RESULTS
                if more_results or not exchange.done or exchange.error is not None:
                    return self.close()  # something is left to be read
                if result.streamed:
                    self._rows = None  # who fetches more is told that the cursor is closed
            self._connection = None
            return DONE

    # -- of Cursor -------------------------------------------------------------------------------

    if TYPE_CHECKING:
        _converts_rows: ClassVar[bool]
        _own_query: Callable[..., Any]

        async def _query(self, query: str | bytes | bytearray) -> None: ...
        def close(self) -> Coroutine[Any, Any, None]: ...
        def _check_executed(self) -> None: ...
        def _fetch_more(self) -> Coroutine[Any, Any, Any]: ...
        def _has_dict_rows(self) -> bool: ...
        def _learn_columns(self, result: Result) -> None: ...
        def _conv_rows(self, rows: list[Any]) -> list[Any]: ...


def new_cursor(
    kind: type[_CursorT], connection: Connection[Any], echo: bool, /
) -> AwaitableContextManager[_CursorT]:
    """A new cursor of that class, ready to be awaited or used with `async with`."""
    return AwaitableContextManager(Ready(kind(connection, echo)))


PyCursorState = CursorState
py_new_cursor = new_cursor
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    CursorState = _c.CursorState
    new_cursor = _c.new_cursor
