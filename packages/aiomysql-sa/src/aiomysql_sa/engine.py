"""Engines: a pool of connections together with a dialect of SQLAlchemy."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, MutableMapping
from types import TracebackType
from typing import Any, NoReturn, Self

from sqlalchemy.dialects.mysql.mysqldb import MySQLCompiler_mysqldb
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine.interfaces import Dialect

from aiomysql_core import connect
from aiomysql_core.cursors import (
    Cursor,
    DeserializationCursor,
    DictCursor,
    SSCursor,
    SSDictCursor,
)
from aiomysql_core.options.dsn import is_dsn
from aiomysql_core.options.keywords import unknown_option
from aiomysql_pool import Pool, create_pool
from aiomysql_pool.acquire import PoolContextManager
from aiomysql_pool.pool import warn_of_loop
from aiomysql_sa.awaitable import EngineAcquireContextManager
from aiomysql_sa.connection import SAConnection
from aiomysql_sa.exc import ArgumentError, InvalidRequestError
from aiomysql_sa.statement import check_dialect

# Results are taken from these cursors as plain tuples of all rows, which SQLAlchemy's types then
# process.
_UNFIT_CURSORS = (DeserializationCursor, DictCursor, SSCursor, SSDictCursor)

# Names of the classic module.
_PoolContextManager = PoolContextManager
MySQLCompiler_pymysql = MySQLCompiler_mysqldb

_dialect: Dialect = MySQLDialect_pymysql(paramstyle="pyformat")


def create_engine(
    minsize: int = 1,
    maxsize: int = 10,
    loop: asyncio.AbstractEventLoop | None = None,
    dialect: Dialect = _dialect,
    pool_recycle: float = -1,
    compiled_cache: MutableMapping[Any, Any] | None = None,
    **kwargs: Any,
) -> PoolContextManager[Engine]:
    """Make an engine; to be awaited or used with `async with`, which also closes it.

    `compiled_cache` (a dict, or a cache of bounded size) keeps statements that get all their values
    by name at execution; they are compiled once. `dialect` is one of SQLAlchemy's for MySQL. The
    other arguments are those of `aiomysql_pool.create_pool`.

    Raises TypeError for an option that does not exist and for a data source name in the first place
    (it is given as `host`), ArgumentError for a `cursorclass` that isn't plain, a `row_factory`
    and a dialect that isn't MySQL's, and what `create_pool` raises.
    """
    if is_dsn(minsize):  # it is not shown: a password may stand in it
        raise TypeError("option 'minsize' must be an int; a data source name is given as 'host'")
    known = [
        name
        for function in (create_engine, create_pool, connect)
        for name in inspect.signature(function).parameters
        if name != "kwargs"
    ]
    if unknown := kwargs.keys() - set(known):
        raise unknown_option("create_engine", min(unknown), known)
    warn_of_loop(loop)
    return PoolContextManager(
        _create_engine(
            minsize=minsize,
            maxsize=maxsize,
            dialect=dialect,
            pool_recycle=pool_recycle,
            compiled_cache=compiled_cache,
            **kwargs,
        )
    )


async def _create_engine(
    minsize: int = 1,
    maxsize: int = 10,
    loop: asyncio.AbstractEventLoop | None = None,
    dialect: Dialect = _dialect,
    pool_recycle: float = -1,
    compiled_cache: MutableMapping[Any, Any] | None = None,
    **kwargs: Any,
) -> Engine:
    cursorclass = kwargs.get("cursorclass", Cursor)
    if isinstance(cursorclass, type) and issubclass(cursorclass, _UNFIT_CURSORS):
        raise ArgumentError(
            f"SQLAlchemy engine does not support this cursor class: {cursorclass!r}"
        )
    if kwargs.get("row_factory") is not None:
        raise ArgumentError("SQLAlchemy engine makes its rows itself: it takes no 'row_factory'")
    if not isinstance(compiled_cache, (MutableMapping, type(None))):
        kind = type(compiled_cache).__name__
        raise ArgumentError(f"option 'compiled_cache' must be a mutable mapping, not {kind}")
    check_dialect(dialect)
    pool = await create_pool(
        minsize=minsize, maxsize=maxsize, loop=loop, pool_recycle=pool_recycle, **kwargs
    )
    return Engine(dialect, pool, compiled_cache=compiled_cache)


class Engine:
    """Gives connections that run expressions of SQLAlchemy; made by `create_engine`."""

    def __init__(
        self,
        dialect: Dialect,
        pool: Pool,
        compiled_cache: MutableMapping[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Put a pool and a dialect together; other keywords have no effect."""
        self._dialect = dialect
        self._pool = pool
        self._compiled_cache = compiled_cache

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}+{self.driver} {self._pool!r}>"

    @property
    def dialect(self) -> Dialect:
        """The dialect into which expressions are compiled."""
        return self._dialect

    @property
    def name(self) -> str:
        """Name of the dialect."""
        return self._dialect.name

    @property
    def driver(self) -> str:
        """Name of the dialect's driver."""
        return self._dialect.driver

    @property
    def minsize(self) -> int:
        """How many connections the pool keeps at least."""
        return self._pool.minsize

    @property
    def maxsize(self) -> int | None:
        """How many connections there may be at a time; None: any number."""
        return self._pool.maxsize

    @property
    def size(self) -> int:
        """How many connections there are."""
        return self._pool.size

    @property
    def freesize(self) -> int:
        """How many connections are idle."""
        return self._pool.freesize

    def acquire(self) -> EngineAcquireContextManager:
        """Borrow a connection: `await engine.acquire()` or `async with engine.acquire() as conn`.

        At its end, `async with` rolls an unfinished transaction back, and raises
        InvalidRequestError unless another exception is on its way. See `Pool.acquire`.
        """
        return EngineAcquireContextManager(self._acquire())

    async def _acquire(self) -> SAConnection:
        raw = await self._pool.acquire()
        return SAConnection(raw, self, compiled_cache=self._compiled_cache)

    def release(self, conn: SAConnection) -> Awaitable[None]:
        """Give a borrowed connection back; what is returned need not be awaited.

        Raises InvalidRequestError for a connection in a transaction, which the caller keeps, and
        for one that was released before.
        """
        if conn.in_transaction:
            raise InvalidRequestError("Cannot release a connection with not finished transaction")
        return self._pool.release(conn.detach())

    def close(self) -> None:
        """Begin to close: no connection can be acquired any more. See `Pool.close`."""
        self._pool.close()

    def terminate(self) -> None:
        """Begin to close, and close acquired connections at once under their borrowers."""
        self._pool.terminate()

    async def wait_closed(self) -> None:
        """Wait until all connections are released and closed. See `Pool.wait_closed`."""
        await self._pool.wait_closed()

    def __enter__(self) -> NoReturn:
        raise RuntimeError("use `async with engine.acquire() as conn`")

    def __exit__(self, *args: object) -> None:
        """Only there so that `with engine` reaches the message of `__enter__`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()
