"""A pool of connections.

The pool has no lock. Its state changes only between two suspensions of the event loop, and whatever
takes time (connecting, resetting, saying goodbye) runs in a task of its own, which changes the
state when it is done. Whoever finds no connection waits in one queue: a connection that becomes
free or is newly opened always goes to the oldest waiter, no matter who caused it.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Generator
from dataclasses import fields
from types import TracebackType
from typing import Any, NoReturn, Self, overload

from aiomysql_core import Connection, connect
from aiomysql_core.options.dsn import is_dsn, parse_dsn
from aiomysql_pool.acquire import PoolConnectionContextManager, PoolContextManager
from aiomysql_pool.borrowing import Borrowing
from aiomysql_pool.errors import PoolClosed as PoolClosed
from aiomysql_pool.errors import PoolTimeout as PoolTimeout
from aiomysql_pool.errors import TooManyWaiters as TooManyWaiters
from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lifecycle import prepare
from aiomysql_pool.options import Callback, PoolOptions

_PoolContextManager = PoolContextManager  # the classic name


async def _create_pool(
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Any,
) -> Pool:
    pool = Pool(minsize, maxsize, echo, pool_recycle, loop, **kwargs)
    try:
        await pool._fill()
    except BaseException:
        pool.terminate()
        await pool.wait_closed()
        raise
    return pool


def _signature() -> inspect.Signature:
    """That of `_create_pool`, with the further options by name."""
    signature = inspect.signature(_create_pool)
    *named, keywords = signature.parameters.values()
    further = [
        keywords.replace(
            name=option.name,
            kind=inspect.Parameter.KEYWORD_ONLY,
            default=option.default,
            annotation=option.type,
        )
        for option in fields(PoolOptions)
        if option.name not in signature.parameters
    ]
    return signature.replace(parameters=[*named, *further, keywords])


_SIGNATURE = _signature()


@overload
def create_pool(
    minsize: int = 1,
    maxsize: int = 10,
    echo: bool = False,
    pool_recycle: float = -1,
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    timeout: float | None = None,
    max_waiting: int = 0,
    max_lifetime: float | None = None,
    max_idle: float | None = None,
    ping_after: float | None = None,
    reset_session: str | None = None,
    configure: Callback | None = None,
    check: Callback | None = None,
    reset: Callback | None = None,
    report_lent_after: float | None = None,
    debug: bool | None = None,
    **kwargs: Any,
) -> PoolContextManager[Pool]: ...
@overload
def create_pool(dsn: str, /, **kwargs: Any) -> PoolContextManager[Pool]: ...
def create_pool(*args: Any, **kwargs: Any) -> PoolContextManager[Pool]:
    """Open a pool; to be awaited or used with `async with`, which also closes it.

    minsize, maxsize: connections that are opened at once and kept, and that may exist at a time (0:
    any number).  echo: log the statements.  loop: ignored, deprecated.
    timeout: seconds that `acquire` waits at most (None: for ever).  max_waiting: callers that may
    wait for a connection to be released (0: any number).
    pool_recycle: seconds after which a connection is replaced when it would be lent (-1: never).
    max_lifetime: the same, up to 10 % earlier and also while it is idle.  max_idle: seconds after
    which connections above `minsize` that nobody needed are closed.  ping_after: seconds without an
    answer from the server after which a connection is pinged before it is lent.
    reset_session: None closes a connection that is released in a transaction; "rollback" rolls back
    and keeps it; "full" resets the session after each release (see `Connection.reset`).
    configure: called with each new connection; check: before a connection is lent, an error or
    False replaces it; reset: after a release.  All may be coroutine functions.
    report_lent_after: seconds after which a connection that is still lent is logged; debug: also
    tell where it was asked for (None: as the event loop's debug mode).

    All other keywords go to `aiomysql_core.connect`.  A data source name,
    `mysql://user:password@host:port/database?minsize=2`, may stand in the first holder; other
    arguments, which must be named then, override its parts.  As `host` it may have no options of
    the pool.

    Raises TypeError or ValueError for an impossible option and what `connect` and `configure`
    raise; then nothing stays open.
    """
    if args and is_dsn(args[0]):
        if len(args) > 1:
            raise TypeError("with a data source name the other arguments must be named")
        kwargs = parse_dsn(args[0], pool=True) | kwargs
        args = ()
    elif args and isinstance(args[0], (str, bytes, bytearray)):
        # It is not shown: a password may stand in it.
        raise (ValueError if isinstance(args[0], str) else TypeError)(
            "the first argument must be minsize, an int, or a data source name, "
            "a str that begins with mysql://"
        )
    elif is_dsn(dsn := kwargs.get("host")):  # as `connect` takes it; messages must not show it
        kwargs = parse_dsn(dsn) | {name: kwargs[name] for name in kwargs if name != "host"}
    options = _SIGNATURE.bind(*args, **kwargs).arguments
    options |= options.pop("kwargs", {})
    warn_of_loop(options.pop("loop", None))
    return PoolContextManager(_create_pool(**options))


create_pool.__signature__ = _SIGNATURE  # type: ignore[attr-defined]


def warn_of_loop(loop: object) -> None:
    """Warn the caller's caller, if it gave an event loop."""
    if loop is not None:
        warnings.warn(
            "the 'loop' argument is ignored: a pool belongs to the loop that runs when it is made",
            DeprecationWarning,
            stacklevel=3,
        )


class Pool(Borrowing):
    """Lends open connections; made by `create_pool`.

    Must be made while the event loop runs, and belongs to that loop and this process.
    """

    def __init__(
        self,
        minsize: int,
        maxsize: int,
        echo: bool,
        pool_recycle: float,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the options of `create_pool`, but open no connection yet."""
        warn_of_loop(loop)
        sizes = {"minsize": minsize, "maxsize": maxsize}
        super().__init__(
            *PoolOptions.split({**kwargs, **sizes, "echo": echo, "pool_recycle": pool_recycle})
        )
        self._traced = (type(self)._acquire, type(self).release) != (_acquire, _release)
        self._update_plain()

    async def _fill(self) -> None:
        """Open `minsize` connections; raises the first error."""
        self._open_missing()
        if self._connects:
            tasks, _ = await asyncio.wait(self._connects, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                task.result()
        if not self._closing:
            self._next_round()

    async def _connect(self) -> tuple[Connection, ConnectionHolder]:
        connection = await connect(echo=self._options.echo, **self._conn_kwargs)
        await prepare(connection, self._options)
        try:
            return connection, self._new_holder(connection)
        except BaseException:  # a tracer's proxy that can't be referred to weakly
            connection.close()
            raise

    def __await__(self) -> Generator[Any, None, PoolConnectionContextManager]:
        warnings.warn(
            "`with await pool as conn` is deprecated, use `async with pool.acquire() as conn`",
            DeprecationWarning,
            stacklevel=2,
        )
        connection = yield from self._acquire().__await__()
        return PoolConnectionContextManager(self, connection)

    def __enter__(self) -> NoReturn:
        raise RuntimeError("use `async with pool.acquire() as conn`")

    def __exit__(self, *args: object) -> None:
        """Only there so that `with pool` reaches the message of `__enter__`."""

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


_acquire, _release = Pool._acquire, Pool.release
