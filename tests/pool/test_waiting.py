"""Waiting for a connection: who gets which one, and what cancelling leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from aiomysql_core import Connection, InterfaceError, OperationalError
from aiomysql_pool import Pool, PoolClosed
from tests.pool.conftest import MakePool, one, small_thresholds, wait_until
from tests.scripted import scripted_server, silent
from tests.servers import Server


async def queue_up(pool: Pool, names: Iterable[str], got: list[str]) -> list[asyncio.Task[None]]:
    """Tasks that borrow in this order, note their name and give back."""

    async def borrow(name: str) -> None:
        async with pool.acquire() as connection:
            got.append(name)
            assert await one(connection, "SELECT 1") == 1

    tasks = [asyncio.create_task(borrow(name), name=name) for name in names]
    await wait_until(lambda: pool._leases.waiting == len(tasks))
    return tasks


async def test_first_come_first_served(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    got: list[str] = []
    tasks = await queue_up(pool, "abcdef", got)
    pool.release(acquired)
    await asyncio.gather(*tasks)
    assert got == list("abcdef")
    assert (pool.size, pool.freesize) == (1, 1)


async def test_late_comer_does_not_overtake(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    got: list[str] = []
    tasks = await queue_up(pool, "a", got)
    pool.release(acquired)

    async def late() -> None:
        async with pool.acquire():
            got.append("late")

    await late()
    await asyncio.gather(*tasks)
    assert got == ["a", "late"]


async def close_at_once(connection: Connection) -> None:
    connection.close()


async def begin(connection: Connection) -> None:
    await connection.begin()


async def stay(connection: Connection) -> None:
    pass


@pytest.mark.parametrize(
    "spoil", [close_at_once, Connection.ensure_closed, begin, stay], ids=lambda f: f.__name__
)
async def test_every_release_serves_a_waiter(make_pool: MakePool, spoil: Any) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    tasks = await queue_up(pool, "ab", [])
    await spoil(acquired)
    pool.release(acquired)
    async with asyncio.timeout(3):
        await asyncio.gather(*tasks)
    assert (pool.size, pool.freesize) == (1, 1)


async def test_cancel_while_waiting(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    got: list[str] = []
    a, b, c = await queue_up(pool, "abc", got)
    b.cancel()
    pool.release(acquired)
    results = await asyncio.gather(a, b, c, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert got == ["a", "c"]
    assert not pool._leases.waiting


async def test_cancel_just_after_the_hand_over(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    got: list[str] = []
    a, b = await queue_up(pool, "ab", got)
    pool.release(acquired)  # a has it now, but has not run yet
    a.cancel()
    await asyncio.gather(a, b, return_exceptions=True)
    assert a.cancelled()
    assert got == ["b"]
    assert (pool.size, pool.freesize) == (1, 1)


async def test_connection_lost_just_after_the_hand_over(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    got: list[str] = []
    tasks = await queue_up(pool, "ab", got)
    pool.release(acquired)
    acquired.close()
    async with asyncio.timeout(3):
        await asyncio.gather(*tasks)
    assert got == ["a", "b"]
    assert (pool.size, pool.freesize) == (1, 1)


async def test_time_out_of_a_waiter(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    async with pool.acquire():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.acquire(), 0.05)
    assert (pool.size, pool.freesize) == (1, 1)


async def test_freed_connection_is_taken_while_another_is_being_opened(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=2)
    acquired = await pool.acquire()
    async with scripted_server(silent) as port:
        pool._conn_kwargs.update(host="127.0.0.1", port=port)
        got: list[str] = []
        (waiting,) = await queue_up(pool, "a", got)
        assert pool.size == 2
        pool.release(acquired)
        async with asyncio.timeout(1):
            await waiting
        assert got == ["a"]
        async with asyncio.timeout(1), pool.acquire() as connection:
            assert connection is acquired
        pool.close()
        async with asyncio.timeout(3):
            await pool.wait_closed()


async def test_cancel_while_connecting(make_pool: MakePool, server: Server) -> None:
    pool = await make_pool(minsize=0, maxsize=1)
    acquiring = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: pool.size == 1)
    acquiring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acquiring
    # What was begun for it serves the next one; there is never more than one connection.
    async with asyncio.timeout(3), pool.acquire() as connection:
        assert await one(connection, "SELECT 1") == 1
        assert pool.size == 1
    assert pool.freesize == 1


async def test_error_of_a_connect_goes_to_one_waiter_and_the_next_is_served(
    make_pool: MakePool, connect_args: dict[str, Any]
) -> None:
    pool = await make_pool(minsize=0, maxsize=1)
    pool._conn_kwargs["db"] = "no_such_database"
    first, second = (asyncio.ensure_future(pool.acquire()) for _ in range(2))
    await wait_until(lambda: pool._leases.waiting == 2)
    await asyncio.sleep(0)  # the connect for the first one begins
    pool._conn_kwargs["db"] = connect_args["db"]
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert isinstance(results[0], OperationalError)
    assert isinstance(results[1], Connection)
    assert pool._used == {results[1]}
    pool.release(results[1])


async def test_idle_connection_serves_when_a_lost_one_cannot_be_replaced(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = await make_pool(minsize=2, maxsize=2)
    acquired = await pool.acquire()
    (idle,) = pool._free
    acquired.close()
    pool.release(acquired)
    pool._conn_kwargs["db"] = "no_such_database"
    async with pool.acquire() as connection:
        assert connection is idle
    await wait_until(lambda: "could not open a connection" in caplog.text)
    assert "no_such_database" in caplog.text


async def test_lost_connections_are_replaced_up_to_minsize(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=3, maxsize=3)
    acquired = await pool.acquire()
    await acquired.ensure_closed()
    await pool.release(acquired)
    assert (pool.size, pool.freesize) == (3, 2)
    await wait_until(lambda: pool.freesize == 3)


async def check(connection: Connection) -> None:
    await connection.ping(reconnect=False)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reset_session": "rollback", "timeout": 5, "max_waiting": 500, "debug": True},
        {"reset_session": "full", "max_lifetime": 0.05, "max_idle": 0.02},
        {"check": check, "configure": check, "reset": check, "pool_recycle": 0.05},
        {"ping_after": 0, "minsize": 3, "report_lent_after": 1},
    ],
    ids=lambda options: "+".join(options),
)
async def test_many_tasks_and_random_cancels(make_pool: MakePool, options: dict[str, Any]) -> None:
    pool = await make_pool(**{"minsize": 0, "maxsize": 3, **options})
    crowd = 0

    async def borrow(number: int) -> int:
        nonlocal crowd
        async with pool.acquire() as connection:
            crowd += 1
            try:
                assert crowd <= 3
                if number % 3 == 0:
                    await connection.begin()
                assert await one(connection, f"SELECT {number}") == number
            finally:
                crowd -= 1
        return number

    tasks = [asyncio.create_task(borrow(number)) for number in range(200)]
    for step, task in enumerate(tasks[::7]):
        await asyncio.sleep(0.001 * (step % 3))
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {int, asyncio.CancelledError}
    await wait_until(lambda: not pool._shutdown.tasks)
    assert not pool._used
    assert not pool._leases.waiting
    stats = pool.get_stats()
    assert pool.size == pool.freesize == len(pool._leases.holders) <= 3
    closed = sum(figure for name, figure in stats.items() if name.startswith("closed_"))
    assert stats["connects"] - stats["connect_errors"] - closed == pool.size


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timeout": 4.0},
        {"max_waiting": 4},
        {"max_lifetime": 1000, "ping_after": 0, "report_lent_after": 1000},
    ],
    ids=str,
)
@pytest.mark.parametrize("closed", [False, True])
async def test_a_finalizer_gives_back_what_is_waited_for(
    make_pool: MakePool, options: dict[str, Any], closed: bool
) -> None:
    """At whatever allocation of `acquire` that is: the connection, or a new one, is acquired."""
    pool = await make_pool(maxsize=1, **options)
    with small_thresholds() as lay:
        for number in range(1, 41):
            acquired = [await pool.acquire()]

            def give_back(acquired: list[Connection] = acquired) -> None:
                if closed:
                    acquired[0].close()
                pool.release(acquired.pop())

            lay(number, give_back)
            task = asyncio.ensure_future(pool.acquire())
            await asyncio.sleep(0)
            gc.set_threshold(0)
            gc.collect()  # where it was not found before
            assert not acquired
            connection = await asyncio.wait_for(task, 5)
            assert not connection.closed
            pool.release(connection)
            assert (pool.size, pool.freesize, pool._leases.waiting) == (1, 1, 0)


@pytest.mark.parametrize("deed", ["acquire", "release", "close", "terminate"])
async def test_a_finalizer_runs_while_a_holder_is_examined(make_pool: MakePool, deed: str) -> None:
    """What is examined is nowhere else: nobody gets it twice, and none is lost."""
    options: dict[str, Any] = {"max_lifetime": 1000, "ping_after": 1000, "report_lent_after": 1000}
    pool = await make_pool(minsize=3, maxsize=3, **options)
    for number in range(1, 31, 2):
        if pool._closing:
            pool = await make_pool(minsize=3, maxsize=3, **options)
        await wait_until(lambda pool=pool: pool.freesize == 3)  # type: ignore[misc]
        acquired = [await pool.acquire()]
        pool._free[0].close()  # to find it lost takes Python code
        begun: list[Any] = []

        def act(
            pool: Pool = pool, acquired: list[Any] = acquired, begun: list[Any] = begun
        ) -> None:
            if deed == "acquire":
                begun.append(pool.acquire())
                try:
                    begun[0].send(None)
                except StopIteration as stop:
                    acquired.append(stop.value)
            elif deed == "release":
                pool.release(acquired.pop(0))
            else:
                getattr(pool, deed)()

        with small_thresholds() as lay:
            lay(number, act)
            task = asyncio.ensure_future(pool.acquire())
            await asyncio.sleep(0)
            gc.set_threshold(0)
            gc.collect()
        with contextlib.suppress(PoolClosed):
            acquired.append(await asyncio.wait_for(task, 5))
        for context in begun:
            context.close()
        assert len(set(acquired)) == len(acquired)
        assert pool._closing or set(acquired) == pool._used
        for connection in acquired:
            pool.release(connection)
        assert not pool._used
        if pool._closing:
            await asyncio.wait_for(pool.wait_closed(), 5)
    assert pool.get_stats()["closed_forgotten"] == 0


class Examined:
    """Stands for a holder's runner; when it is looked at, the deed of a finalizer is done."""

    def __init__(self, holder: Any, deed: Callable[[], object]) -> None:
        self.holder, self.runner, self.deed = holder, holder.runner, deed
        holder.runner = self

    @property
    def closed(self) -> bool:
        self.holder.runner = self.runner
        self.deed()
        return bool(self.runner.closed)


@pytest.mark.parametrize("acquired", [1, 2])
async def test_acquired_while_maintenance_examines_it(make_pool: MakePool, acquired: int) -> None:
    """Who acquires has examined the holder as well: it is theirs, and closed when released."""
    pool = await make_pool(minsize=2, maxsize=2)
    got: list[Connection] = []

    def acquire() -> None:
        for _ in range(acquired):
            with pytest.raises(StopIteration) as stop:
                pool.acquire().send(None)
            got.append(stop.value.value)

    holders = [*pool._leases.available]
    for holder in holders:
        holder.must_close = True
    Examined(holders[0], acquire)
    pool._run_maintenance()
    assert pool._used == set(got)
    assert pool.get_stats()["closed_drain"] == 2 - acquired
    for connection in got:
        assert await one(connection, "SELECT 1") == 1
        await pool.release(connection)
    assert pool.get_stats()["closed_drain"] == 2
    await wait_until(lambda: pool.freesize == 2)


async def test_closed_while_maintenance_examines_it(make_pool: MakePool) -> None:
    """It is closed and counted once."""
    pool = await make_pool(minsize=2, maxsize=2)
    holder = pool._leases.available[0]
    holder.runner.close()
    Examined(holder, lambda: pool.resize(1, 1))
    pool._run_maintenance()
    stats = pool.get_stats()
    assert (pool.size, stats["closed_surplus"], stats["closed_lost"]) == (1, 1, 0)


async def test_acquired_while_maintenance_closes_those_not_needed(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=3, max_idle=1000)
    for connection in [await pool.acquire() for _ in range(3)]:
        pool.release(connection)
    pool._leases.least_available = 3
    got = []
    for holder in pool._maintenance.take_unneeded(time.monotonic() + 2000, 3):
        pool._remove_holder(holder, "idle")
        while pool.freesize:
            with pytest.raises(StopIteration) as stop:
                pool.acquire().send(None)
            got.append(stop.value.value)
    assert pool.get_stats()["closed_idle"] == 1
    assert pool._used == set(got)
    for connection in got:
        pool.release(connection)
    assert pool.freesize == 2


@pytest.mark.parametrize("options", [{}, {"reset_session": "full"}])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_released_when_it_was_collected(make_pool: MakePool, options: dict[str, Any]) -> None:
    """The pool hears of it after a finalizer has released it, perhaps with a reset under way."""
    pool = await make_pool(minsize=0, maxsize=1, **options)
    connection = await pool.acquire()
    (holder,) = pool._leases.holders.values()
    pool.release(connection)
    pool._on_collected(holder.reference)
    assert (pool.freesize, pool.get_stats()["closed_forgotten"]) == (0, 1)
    connection.close()  # as its own finalizer does
    await wait_until(lambda: not pool._resets)
    async with pool.acquire() as other:
        assert other is not connection
        assert await one(other, "SELECT 1") == 1


async def test_given_back_between_the_look_and_the_queue(make_pool: MakePool) -> None:
    """The same, at that very place: while `acquire` looks whether it may wait."""
    pool = await make_pool(maxsize=1, max_waiting=1)
    acquired = [await pool.acquire()]
    refuse = pool._refuse_if_crowded

    def look() -> None:
        refuse()
        pool.release(acquired.pop())

    pool._refuse_if_crowded = look  # type: ignore[method-assign]
    async with asyncio.timeout(0.5), pool.acquire():
        assert pool.freesize == 0


async def test_closed_while_somebody_queues_up(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1, max_waiting=1)
    acquired = await pool.acquire()
    refuse = pool._refuse_if_crowded

    def look() -> None:
        refuse()
        pool.close()

    pool._refuse_if_crowded = look  # type: ignore[method-assign]
    async with asyncio.timeout(0.5):
        with pytest.raises(PoolClosed):
            await pool.acquire()
    pool.release(acquired)
    await pool.wait_closed()


async def test_an_acquire_that_is_run_once_more(make_pool: MakePool) -> None:
    """By a task or `wait_for`, whatever the first run came to."""
    pool = await make_pool(minsize=1, maxsize=1)
    connection = await pool.acquire()
    acquire = pool.acquire()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(acquire, 0.02)
    pool.release(connection)
    for _ in range(2):
        again = await asyncio.wait_for(acquire, 1)
        assert isinstance(again, Connection)
        pool.release(again)
    acquire.close()
    again = await asyncio.wait_for(acquire, 1)
    assert isinstance(again, Connection)
    pool.release(again)


async def test_cancelled_with_a_connection_that_cannot_be_passed_on(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has released it twice: that is no reason to swallow the cancellation."""
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    pool = await make_pool(minsize=1, maxsize=1)
    for timeout in (None, 5.0):
        connection = await pool.acquire()
        task = asyncio.ensure_future(pool.acquire(timeout))
        await asyncio.sleep(0)
        pool.release(connection)
        pool.release(connection)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert all(isinstance(found.exc_value, InterfaceError) for found in unraisable)


async def test_classic_names_of_its_end(make_pool: MakePool) -> None:
    pool: Any = await make_pool()
    async with pool.acquire() as connection:
        assert (pool._closing, pool._closed, pool._terminated) == (False, False, set())
        pool.terminate()
        assert (pool._closing, pool._closed, pool._terminated) == (True, False, {connection})
    await pool.wait_closed()
    assert pool._closed
