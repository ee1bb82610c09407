"""The callbacks configure, check and reset: when they run, and what their failures do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_core import Connection, OperationalError
from aiomysql_pool import PoolTimeout, create_pool
from tests.pool.conftest import MakePool, aborted_clients, one, wait_until
from tests.servers import Server


class Broken(Exception):
    """What a callback raises."""

    def __init__(self, number: int, *, why: str) -> None:  # can't be copied
        super().__init__(number, why)


class Recorder:
    """A callback that notes what it is called with, and does then as told."""

    def __init__(self, *, asynchronous: bool = True) -> None:
        self.seen: list[Connection] = []
        self.act: Callable[[Connection], Any] = lambda connection: None
        self.asynchronous = asynchronous

    def __call__(self, connection: Connection) -> Any:
        self.seen.append(connection)
        return self._run(connection) if self.asynchronous else self.act(connection)

    async def _run(self, connection: Connection) -> Any:
        await one(connection, "SELECT 1")
        result = self.act(connection)
        return await result if asyncio.iscoroutine(result) else result


def fail(connection: Connection) -> None:
    raise Broken(1, why="broken")


def cancel(connection: Connection) -> None:
    raise asyncio.CancelledError


async def wait_long(connection: Connection) -> None:
    await asyncio.sleep(30)


async def swallow(connection: Connection) -> None:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        return


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_when_they_are_called(make_pool: MakePool, asynchronous: bool) -> None:
    configure, check, reset = (Recorder(asynchronous=asynchronous) for _ in range(3))
    pool = await make_pool(maxsize=1, configure=configure, check=check, reset=reset)
    (connection,) = pool._free
    assert (configure.seen, check.seen, reset.seen) == ([connection], [connection], [])
    for _ in range(2):
        async with pool.acquire() as acquired:
            assert acquired is connection
    assert configure.seen == [connection]
    assert check.seen == [connection] * 3
    assert reset.seen == [connection] * 2
    assert pool.get_stats()["resets"] == 2


async def test_configured_before_anyone_has_it(make_pool: MakePool) -> None:
    async def configure(connection: Connection) -> None:
        await connection.query("SET @configured = 7")

    pool = await make_pool(minsize=0, maxsize=3, configure=configure)

    async def borrow() -> None:
        async with pool.acquire() as connection:
            assert await one(connection, "SELECT @configured") == 7
            await asyncio.sleep(0.01)

    await asyncio.gather(*(borrow() for _ in range(9)))


@pytest.mark.parametrize("name", ["configure", "check"])
@pytest.mark.parametrize(
    ("act", "error"), [(fail, Broken), (cancel, OperationalError)], ids=["fails", "cancels"]
)
async def test_new_connection_that_fails(
    server: Server,
    connect_args: dict[str, Any],
    make_pool: MakePool,
    name: str,
    act: Any,
    error: type[Exception],
) -> None:
    before = aborted_clients(server)
    callback = Recorder()
    callback.act = act
    with pytest.raises(error):
        await create_pool(**{**connect_args, name: callback})
    pool = await make_pool(minsize=0, maxsize=1, **{name: callback})
    callback.seen.clear()
    async with asyncio.timeout(3):
        outcomes = await asyncio.gather(*(pool.acquire() for _ in range(4)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {error}
    # One for the first, who waited alone, then one for all the others.
    assert len(callback.seen) == 2
    assert all(connection.closed for connection in callback.seen)
    assert (pool.size, pool.get_stats()["connect_errors"]) == (0, 2)
    callback.act = lambda connection: None
    async with asyncio.timeout(3), pool.acquire() as connection:
        assert await one(connection, "SELECT 1") == 1
    assert aborted_clients(server) == before


async def test_configure_that_leaves_a_transaction(connect_args: dict[str, Any]) -> None:
    with pytest.raises(OperationalError, match="'configure' left the connection in a transaction"):
        await create_pool(configure=Connection.begin, **connect_args)


async def test_check_says_false(make_pool: MakePool) -> None:
    check = Recorder(asynchronous=False)
    pool = await make_pool(minsize=2, maxsize=2, check=check)
    bad, good = pool._free
    check.act = lambda connection: connection is not bad
    async with pool.acquire() as acquired:
        assert acquired is good
    assert pool.get_stats()["closed_check"] == 1
    await wait_until(lambda: pool.freesize == 2)  # replaced in the background
    assert bad.closed


@pytest.mark.slow
async def test_check_that_always_fails_is_no_busy_loop(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    check = Recorder()
    pool = await make_pool(minsize=3, maxsize=3, check=check)
    check.seen.clear()
    check.act = fail
    with pytest.raises(Broken):
        await pool.acquire()
    assert len(check.seen) <= 6  # the three idle ones, and those opened in their place
    assert "Broken" in caplog.text
    check.seen.clear()
    for _ in range(3):
        with pytest.raises(Broken):
            await pool.acquire()
    await asyncio.sleep(0.3)
    assert len(check.seen) < 12
    check.act = lambda connection: None
    async with asyncio.timeout(5), pool.acquire() as connection:
        assert await one(connection, "SELECT 1") == 1


@pytest.mark.parametrize("act", [wait_long, swallow])
async def test_cancelled_in_check(make_pool: MakePool, act: Any) -> None:
    check = Recorder()
    pool = await make_pool(maxsize=1, check=check)
    check.act = act
    acquiring = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: len(check.seen) == 2)
    other = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0.02)
    acquiring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acquiring
    check.act = lambda connection: None
    connection = await asyncio.wait_for(other, 3)
    assert pool._used == {connection}
    await pool.release(connection)
    assert (pool.size, pool.freesize) == (1, 1)


async def test_time_out_in_check(make_pool: MakePool) -> None:
    check = Recorder()
    pool = await make_pool(minsize=0, maxsize=1, check=check)
    async with pool.acquire():
        pass
    check.act = swallow
    with pytest.raises(PoolTimeout):
        await pool.acquire(timeout=0.05)
    assert (pool.size, pool.get_stats()["timeouts"]) == (0, 1)


@pytest.mark.parametrize("act", [fail, cancel, Connection.begin, Connection.ensure_closed])
async def test_reset_that_fails(make_pool: MakePool, act: Any) -> None:
    reset = Recorder()
    pool = await make_pool(maxsize=1, reset=reset)
    reset.act = act
    acquired = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    await pool.release(acquired)  # raises nothing
    assert acquired.closed
    reset.act = lambda connection: None
    connection = await asyncio.wait_for(waiting, 3)
    assert connection is not acquired
    await pool.release(connection)
    assert list(pool._free) == [connection]
    assert pool.get_stats()["closed_reset"] == 1


async def test_reset_that_hangs(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiomysql_pool.lifecycle.RESET_TIMEOUT", 0.05)
    reset = Recorder()
    reset.act = wait_long
    pool = await make_pool(maxsize=1, reset=reset)
    async with pool.acquire() as acquired:
        pass
    assert acquired.closed


async def test_releasing_task_is_cancelled_while_reset_runs(make_pool: MakePool) -> None:
    reset = Recorder()
    go_on = asyncio.Event()
    reset.act = lambda connection: go_on.wait()
    pool = await make_pool(maxsize=1, reset=reset)

    async def borrow() -> None:
        async with pool.acquire():
            pass

    task = asyncio.create_task(borrow())
    await wait_until(lambda: bool(reset.seen))
    assert (pool.size, pool.freesize, pool.get_stats()["resetting"]) == (1, 0, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    async with asyncio.timeout(3), pool.acquire() as connection:
        assert connection is reset.seen[0]
