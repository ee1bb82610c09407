"""Sizes, borrowing and giving back."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    InterfaceError,
    OperationalError,
    SSCursor,
    UncommittedWarning,
)
from aiomysql_pool import Pool, create_pool
from tests.pool.conftest import MakePool, alive, driver_tasks, one, thread_ids, wait_until
from tests.servers import Server


async def test_defaults(make_pool: MakePool) -> None:
    pool = await make_pool()
    assert isinstance(pool, Pool)
    assert (pool.minsize, pool.maxsize, pool.size, pool.freesize) == (1, 10, 1, 1)
    assert pool.echo is False
    assert pool.closed is False
    assert pool._loop is asyncio.get_running_loop()


async def test_minsize_connections_are_opened_at_once(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=4, maxsize=6, echo=True)
    assert (pool.size, pool.freesize, pool.echo) == (4, 4, True)
    assert all(connection.echo for connection in pool._free)
    assert len(thread_ids(pool)) == 4


async def test_context_managers(connect_args: dict[str, Any]) -> None:
    async with create_pool(**connect_args) as pool:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT 42")
            assert await cursor.fetchone() == (42,)
            assert pool._used == {connection}
        assert not pool._used
        assert list(pool._free) == [connection]
    assert pool.closed

    async with await create_pool(**connect_args) as pool:
        connection = await pool.acquire()
        await pool.release(connection)
        assert pool.freesize == 1
    assert pool.closed


async def test_exception_in_the_block_releases(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    with pytest.raises(ZeroDivisionError):
        async with pool.acquire():
            raise ZeroDivisionError
    assert (pool.freesize, pool.size) == (1, 1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"minsize": -1}, "minsize should be .*-1"),
        ({"minsize": 0, "maxsize": -2}, "maxsize should be .*-2"),
        ({"minsize": 5, "maxsize": 2}, "maxsize should be not less than minsize 5, not 2"),
    ],
)
async def test_bad_sizes(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        await create_pool(**sizes)


async def test_unlimited(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=0)
    assert (pool.maxsize, pool.size) == (None, 0)
    async with asyncio.timeout(0.8), pool.acquire():  # before the pool's regular look
        assert pool.size == 1
    connections = [await pool.acquire() for _ in range(12)]
    assert (pool.size, pool.freesize) == (12, 0)
    for connection in connections:
        await pool.release(connection)
    assert (pool.size, pool.freesize) == (12, 12)


async def test_loop_is_deprecated_and_ignored(connect_args: dict[str, Any]) -> None:
    with pytest.warns(DeprecationWarning, match="'loop'") as caught:
        creating = create_pool(loop=asyncio.get_running_loop(), **connect_args)
    assert [warning.filename for warning in caught] == [__file__]
    async with creating as pool:
        assert pool.size == 1


async def test_errors_of_connect_come_through_and_leave_nothing(
    server: Server, connect_args: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        await create_pool(no_such_option=1, **connect_args)  # type: ignore[call-arg]
    with pytest.raises(OperationalError, match="no_such_database"):
        await create_pool(minsize=3, **{**connect_args, "db": "no_such_database"})
    assert driver_tasks() == []
    assert not [line for line in server.sessions() if "no_such_database" in line]


async def test_idle_connections_are_acquired_without_suspension(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=2, maxsize=2)
    first, second = pool._free
    tasks = asyncio.all_tasks()
    acquiring = pool._acquire()
    with pytest.raises(StopIteration) as stopped:
        acquiring.send(None)
    assert stopped.value.value is first
    pool.release(first)
    assert asyncio.all_tasks() == tasks
    assert await pool.acquire() is second
    assert await pool.acquire() is first


async def test_release_needs_no_await(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    connection = await pool.acquire()
    pool.release(connection)
    assert (pool.freesize, pool.size) == (1, 1)


async def test_release_of_what_is_not_acquired(make_pool: MakePool, connection: Connection) -> None:
    pool = await make_pool()
    with pytest.raises(InterfaceError, match="is not lent by"):
        pool.release(connection)
    acquired = await pool.acquire()
    await pool.release(acquired)
    with pytest.raises(InterfaceError, match="is not lent by"):
        pool.release(acquired)
    assert (pool.size, pool.freesize) == (1, 1)


class Proxy:
    """Stands for a connection, as those of tracers do."""

    def __init__(self, wrapped: Connection) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __eq__(self, other: object) -> bool:
        return self._wrapped == other

    def __hash__(self) -> int:
        return hash(self._wrapped)


async def test_tracers_wrap_acquire_and_release_proxies(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = Pool._acquire

    async def traced(self: Pool) -> Any:
        assert self._conn_kwargs["user"]
        return Proxy(await acquire(self))

    monkeypatch.setattr(Pool, "_acquire", traced)
    pool = await make_pool(maxsize=1)
    (own,) = pool._free
    async with pool.acquire() as proxy:
        assert isinstance(proxy, Proxy)
        assert pool._used == {own}
    assert [type(connection) for connection in pool._free] == [Connection]


async def test_with_await_pool(make_pool: MakePool) -> None:
    pool = await make_pool()
    with pytest.warns(DeprecationWarning, match="async with pool.acquire"):
        manager = await pool
    with manager as connection:
        assert await one(connection, "SELECT 1") == 1
        assert pool._used == {connection}
    await wait_until(lambda: pool.freesize == 1)  # once it is rolled back
    with pytest.raises(RuntimeError, match="async with pool.acquire"), pool:
        pass


async def test_release_in_a_transaction_closes(
    make_pool: MakePool, server: Server, table_name: str
) -> None:
    server.execute(f"CREATE TABLE {table_name} (a INT) ENGINE=InnoDB")
    pool = await make_pool(minsize=2, maxsize=2)
    connection = await pool.acquire()
    other = await pool.acquire()
    async with connection.cursor() as cursor:
        await cursor.execute(f"INSERT INTO {table_name} VALUES (1)")
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    with pytest.warns(UncommittedWarning):
        pool.release(connection)
    assert connection.closed
    assert pool._used == {other}
    async with asyncio.timeout(3):
        await pool.release(await waiting)  # it got a connection opened for it
    await pool.release(other)
    assert (pool.size, pool.freesize) == (2, 2)
    assert server.execute(f"SELECT * FROM {table_name}") == []


async def test_transaction_is_rolled_back_on_release(
    make_pool: MakePool, server: Server, table_name: str
) -> None:
    server.execute(f"CREATE TABLE {table_name} (a INT) ENGINE=InnoDB")
    pool = await make_pool(maxsize=1, reset_session="rollback")
    connection = await pool.acquire()
    assert await one(connection, "SELECT 1") == 1
    async with connection.cursor() as cursor:
        await cursor.execute(f"INSERT INTO {table_name} VALUES (1)")
    assert connection.get_transaction_status()
    with pytest.warns(UncommittedWarning):
        released = pool.release(connection)
    assert (pool.size, pool.freesize, len(pool._used)) == (1, 0, 0)
    await released
    assert (pool.size, pool.freesize) == (1, 1)
    async with pool.acquire() as again:
        assert again is connection
        assert not again.get_transaction_status()
    assert server.execute(f"SELECT * FROM {table_name}") == []


async def test_rollback_goes_on_when_the_releasing_task_is_cancelled(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1, reset_session="rollback")
    connection = await pool.acquire()
    await connection.begin()
    releasing = asyncio.ensure_future(pool.release(connection))
    await asyncio.sleep(0)
    releasing.cancel()
    async with asyncio.timeout(3), pool.acquire() as again:
        assert again is connection
        assert not connection.get_transaction_status()


async def test_connection_that_cannot_roll_back_is_dropped(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=1, reset_session="rollback")
    connection = await pool.acquire()
    async with connection.cursor() as cursor:
        # Within it ROLLBACK is an error.
        await cursor.execute("XA START %s", (f"pool-{os.getpid()}-{id(pool)}",))
    await pool.release(connection)
    await wait_until(lambda: connection.closed)
    assert pool.size == 0
    async with pool.acquire() as other:
        assert other is not connection


async def test_idle_for_too_long(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(maxsize=2, pool_recycle=0.2)
    first = await pool.acquire()
    thread = first.thread_id()
    await pool.release(first)
    async with pool.acquire() as connection:
        assert connection is first
    await asyncio.sleep(0.3)
    async with pool.acquire() as connection:
        assert connection is not first
        assert pool.size == 1
    assert alive(server, {thread}) == set()


async def test_clear(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=3, maxsize=4)
    acquired = await pool.acquire()
    idle = {connection.thread_id() for connection in pool._free}
    await pool.clear()
    assert (pool.size, pool.freesize) == (1, 0)
    assert alive(server, idle) == set()
    assert await one(acquired, "SELECT 1") == 1
    await pool.release(acquired)


async def test_release_with_a_response_half_read(make_pool: MakePool) -> None:
    """The next borrower gets neither the rest of it nor its transaction."""
    pool = await make_pool(maxsize=1)
    connection = await pool.acquire()
    cursor = await connection.cursor(SSCursor)
    await cursor.execute("SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 100")
    assert not connection.idle
    pool.release(connection)
    assert connection.closed
    async with asyncio.timeout(3), pool.acquire() as other:
        assert other is not connection
        assert await one(other, "SELECT 1") == 1


async def test_release_while_a_task_waits(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    connection = await pool.acquire()
    waiting = asyncio.ensure_future(one(connection, "SELECT SLEEP(0.2)"))
    while not connection.busy:
        await asyncio.sleep(0)
    pool.release(connection)
    async with asyncio.timeout(3), pool.acquire() as other:
        assert other is not connection
    with pytest.raises(OperationalError):
        await waiting


async def test_data_source_name(server: Server) -> None:
    user = f"{server.user}:{server.password}"
    dsn = f"mysql://{user}@{server.host}:{server.port}/{server.database}?minsize=2&maxsize=3"
    async with create_pool(dsn, maxsize=4, charset="latin1") as pool:
        assert (pool.minsize, pool.maxsize, pool.size) == (2, 4, 2)
        async with pool.acquire() as connection:
            assert connection.charset == "latin1"
            assert await one(connection, "SELECT DATABASE()") == server.database
    with pytest.raises(TypeError, match="must be named"):
        create_pool(dsn, 5)
    with pytest.raises(ValueError, match="reset_session should be None, 'rollback' or 'full'"):
        await create_pool(dsn, reset_session="fully")  # type: ignore[arg-type]


async def test_repr_shows_no_password(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=0, password="top-secret")
    assert repr(pool) == (
        f"<Pool open {server.host}:{server.port} db={server.database!r} user={server.user!r} "
        "used=0 free=0 size=0 minsize=0 maxsize=10 waiting=0>"
    )
