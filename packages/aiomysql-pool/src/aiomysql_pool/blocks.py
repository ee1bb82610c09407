"""What `Pool.transaction` and `Pool.iterate` return."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from aiomysql_core import (
    Connection,
    InterfaceError,
    ProgrammingError,
    RowFactory,
    RowStream,
    Transaction,
)
from aiomysql_core.type_variables import Row

if TYPE_CHECKING:
    from aiomysql_pool.pool import Pool

__all__ = ["PoolRowStream", "PoolTransaction"]


class PoolTransaction(Generic[Row]):
    """See `Pool.transaction`: for `async with`."""

    def __init__(self, pool: Pool[Row], options: dict[str, Any]) -> None:
        """options: of `Connection.transaction`."""
        self._pool = pool
        self._options = options
        self._connection: Connection[Any] | None = None
        self._block: Transaction | None = None

    async def __aenter__(self) -> Connection[Row]:
        if self._connection is not None:
            raise ProgrammingError("a transaction block is used once")
        connection = self._connection = await self._pool.acquire()
        try:
            self._block = connection.transaction(**self._options)
            await self._block.__aenter__()
        except BaseException:
            await self._pool.release(connection)
            raise
        return connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        assert self._connection is not None and self._block is not None
        try:
            await self._block.__aexit__(exc_type, exc_val, exc_tb)
        finally:
            await self._pool.release(self._connection)


class PoolRowStream(Generic[Row]):
    """See `Pool.iterate`.  An asynchronous iterator, and for `async with`."""

    def __init__(
        self, pool: Pool[Any], query: Any, args: object, row_factory: RowFactory[Row] | None
    ) -> None:
        """As for `Pool.iterate`."""
        self._pool = pool
        self._query, self._args, self._row_factory = query, args, row_factory
        self._connection: Connection[Any] | None = None
        self._rows: RowStream[Row] | None = None
        self._is_over = self._is_acquiring = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        if self._is_over:
            raise StopAsyncIteration
        if self._is_acquiring:
            raise InterfaceError(0, "another task is waiting for the next row")
        if self._rows is None:
            connection = await self._acquire()
            self._rows = connection.iterate(self._query, self._args, row_factory=self._row_factory)
        try:
            return await anext(self._rows)
        except BaseException as error:
            await self._end(commits=isinstance(error, StopAsyncIteration))
            raise

    async def _acquire(self) -> Connection[Any]:
        self._is_acquiring = True
        try:
            connection = self._connection = await self._pool.acquire()
        finally:
            self._is_acquiring = False
        if self._is_over:  # by another task
            await self._end(commits=False)
            raise StopAsyncIteration
        return connection

    async def _end(self, *, commits: bool) -> None:
        self._is_over = True
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if not connection.idle:
                connection.close()  # sooner than its rest is read
            elif commits:
                await connection.commit()
        finally:
            await self._pool.release(connection)

    async def aclose(self) -> None:
        """Give the connection back; it is closed when rows of the statement are outstanding."""
        await self._end(commits=True)

    async def __aenter__(self) -> Self:
        if self._rows is not None or self._is_over:
            raise ProgrammingError("the rows of a statement are iterated over once")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self._end(commits=exc_type is None)
