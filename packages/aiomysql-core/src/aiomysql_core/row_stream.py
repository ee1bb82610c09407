"""The rows of one statement, one by one."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from pymysql import err

from aiomysql_core.cursors import Cursor, SSCursor
from aiomysql_core.rows import RowFactory
from aiomysql_core.statements import PreparedStatement
from aiomysql_core.type_variables import Row
from aiomysql_core.waiting.unawaited import AsyncBlock

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection


class RowStream(AsyncBlock, Generic[Row]):
    """See `Connection.iterate`.  An asynchronous iterator, and for `async with`."""

    def __init__(
        self,
        connection: Connection[Any],
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object,
        row_factory: RowFactory[Row] | None,
    ) -> None:
        """As for `Connection.iterate`."""
        self._connection = connection
        self._handovers = connection.runner.handovers
        self._query, self._args = query, args
        self._row_factory = row_factory
        self._cursor: Cursor[Row] | None = None
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        if self._is_over:
            raise StopAsyncIteration
        cursor = self._cursor
        if cursor is None:
            cursor = await self._begin()
        try:
            return await anext(cursor)
        except StopAsyncIteration:
            await self.aclose()
            raise

    async def _begin(self) -> Cursor[Row]:
        connection = self._connection
        connection.runner.check_handovers(self._handovers, "this iterator")
        kinds = [connection.cursorclass]
        if not issubclass(connection.cursorclass, SSCursor):
            kinds = [SSCursor] if connection.cursorclass is Cursor else [*kinds, SSCursor]
        # Classic subclasses have a `cursor` that knows of no `row_factory`.
        options = {} if self._row_factory is None else {"row_factory": self._row_factory}
        cursor: Cursor[Row] = await connection.cursor(*kinds, **options)
        self._cursor = cursor
        await cursor.execute(self._query, self._args)
        return cursor

    async def aclose(self) -> None:
        """Stop the statement, or read and drop the rest of its rows; then the stream is over."""
        self._is_over = True
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await cursor.close_early()

    async def __aenter__(self) -> Self:
        if self._cursor is not None or self._is_over:
            raise err.ProgrammingError("the rows of a statement are iterated over once")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()
