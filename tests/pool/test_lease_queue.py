"""Who gets which connection: the queue and what awaits it.

Both implementations, on both event loops; no server.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

import pytest

from aiomysql_core.engine.runner_state import RunnerState
from aiomysql_pool.acquire import PoolFunctions, PyAcquireContext
from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lease_queue import PyLeaseQueue
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from tests.core.test_waiter import LOOPS, new_loop
from tests.core.twins import need_c
from tests.pool.conftest import Lay, small_thresholds

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    def run(coro: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: new_loop(request.param)) as runner:
            runner.run(asyncio.wait_for(coro, 10))

    return run


class Connection:
    """What is acquired: a runner without a stream, at rest."""

    def __init__(self) -> None:
        self.runner: Any = RunnerState(None, None)
        self.runner.session = Session(ColumnCache("utf8", {}))

    def spoil(self) -> None:
        """It can't change hands any more, as if a transaction were open."""
        self.runner.transaction_possible = True

    def repair(self) -> None:
        self.runner.transaction_possible = False


class FakePool:
    """Has connections, and notes what it is asked for."""

    queue_class: Any = PyLeaseQueue
    context_class: Any = PyAcquireContext

    def __init__(self, connections: int, *, is_open: bool = True) -> None:
        self.asked: list[object] = []
        self.more: list[Any] = []
        self.gate: asyncio.Event | None = None
        self.leases = self.queue_class(asyncio.get_running_loop())
        self.leases.is_open = is_open
        self.connections = [self.new() for _ in range(connections)]
        self.leases.capacity = connections

    def new(self) -> Any:
        connection: Any = Connection()
        holder = ConnectionHolder(connection, lambda reference: None, 0.0, 0.0)
        self.leases.holders[id(connection)] = holder
        self.leases.available.append(holder)
        return connection

    def acquire(self, timeout: float | None = None) -> Any:
        functions = PoolFunctions(FakePool.ask, FakePool.accept, FakePool.release)
        return self.context_class(self.leases, functions, self, timeout)

    async def ask(self, timeout: float | None) -> Any:
        self.asked.append(("acquire", timeout))
        await (asyncio.sleep(0) if self.gate is None else self.gate.wait())
        if not self.more:
            raise LookupError("no more connections")
        return self.more.pop()

    async def accept(self, connection: Any) -> Any:
        self.asked.append(("accept", connection))
        await asyncio.sleep(0)
        return connection

    def release(self, connection: Any) -> Any:
        self.asked.append(("release", connection))
        over = asyncio.get_running_loop().create_future()
        over.set_result(None)
        return over


@pytest.fixture(params=["c", "python"], autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "c":
        module = need_c("pool")
        monkeypatch.setattr(FakePool, "queue_class", module.LeaseQueue)
        monkeypatch.setattr(FakePool, "context_class", module.AcquireContext)
    name: str = request.param
    return name


async def waiting(pool: FakePool, count: int = 1) -> list[asyncio.Task[Connection]]:
    """Tasks that stand in the queue, in this order."""
    before = pool.leases.waiting

    async def borrow() -> Connection:
        connection: Connection = await pool.acquire()
        return connection

    tasks = [asyncio.create_task(borrow()) for _ in range(count)]
    await asyncio.sleep(0)
    assert pool.leases.waiting == before + count
    return tasks


def test_an_available_connection_needs_no_suspension(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(2)
        first, second = pool.connections
        for acquired in (1, 2):
            context = pool.acquire()
            assert isinstance(context, Coroutine)
            with pytest.raises(StopIteration) as caught:
                context.send(None)
            assert caught.value.value is pool.connections[acquired - 1]
            assert pool.leases.requests == acquired
        assert not pool.leases.available
        assert [holder.connection for holder in pool.leases.holders.values()] == [None, None]
        assert not any(holder.never_acquired for holder in pool.leases.holders.values())
        assert pool.leases.try_release(second)
        assert pool.leases.try_release(first)
        assert [holder.connection for holder in pool.leases.available] == [second, first]
        assert not pool.leases.try_release(first)  # nobody has it
        assert not pool.leases.try_release(Connection())
        assert pool.asked == []

    run(body())


def test_async_with(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        context = pool.acquire()
        for _ in range(2):  # it may be used again
            async with context as connection:
                assert connection is pool.connections[0]
                assert not pool.leases.available
            assert len(pool.leases.available) == 1
        with pytest.raises(ZeroDivisionError):
            async with pool.acquire():
                raise ZeroDivisionError
        assert len(pool.leases.available) == 1
        async with pool.acquire() as connection:
            connection.spoil()
        assert pool.asked == [("release", connection)]
        with pytest.raises(RuntimeError, match="no connection was acquired"):
            pool.acquire().__aexit__(None, None, None)

    run(body())


def test_oldest_waiter_first(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        (connection,) = pool.connections
        got: list[int] = []

        async def borrow(number: int) -> None:
            async with pool.acquire() as acquired:
                assert acquired is connection
                assert pool.leases.holders[id(connection)].connection is None
                got.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(borrow(number) for number in range(9)))
        assert got == list(range(9))
        assert (pool.leases.requests, pool.leases.waited, pool.leases.waiting) == (9, 8, 0)
        assert 0 < pool.leases.wait_time < 9
        assert pool.asked == []

    run(body())


def test_what_is_not_simple_is_asked_of_the_pool(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        (connection,) = pool.connections
        connection.spoil()
        with pytest.raises(LookupError, match="no more"):  # it stays where it is
            await pool.acquire()
        assert pool.leases.available[0].connection is connection
        connection.repair()
        assert await pool.acquire(2.5) is connection
        for timeout, capacity, is_open in ((2.5, 1, True), (None, -1, True), (None, 1, False)):
            pool.leases.capacity, pool.leases.is_open = capacity, is_open
            pool.more.append(Connection())
            async with pool.acquire(timeout) as acquired:
                assert pool.asked.pop() == ("acquire", timeout)
            assert pool.asked.pop() == ("release", acquired)
            with pytest.raises(LookupError, match="no more connections"):
                async with pool.acquire(timeout):
                    raise AssertionError
        pool.leases.is_open = False
        assert not pool.leases.try_release(connection)

    run(body())


@pytest.mark.parametrize("closed", [False, True])
def test_what_came_from_the_queue_is_looked_at(run: Run, closed: bool) -> None:
    async def body() -> None:
        pool = FakePool(1)
        connection = await pool.acquire()
        (task,) = await waiting(pool)
        assert pool.leases.try_release(connection)
        if closed:
            pool.leases.is_open = False
        else:
            connection.spoil()
        assert await task is connection
        assert pool.asked == [("accept", connection)]

    run(body())


@pytest.mark.parametrize("queued", [False, True])
def test_one_task_at_a_time(run: Run, queued: bool) -> None:
    """Whoever awaits a context that another task awaits gets an error; that task goes on."""

    async def wait_for(context: Any) -> Connection:
        connection: Connection = await context
        return connection

    async def use(context: Any) -> None:
        async with context:
            raise AssertionError

    async def body() -> None:
        pool = FakePool(1)
        connection = await pool.acquire()
        context = pool.acquire(None if queued else 5)
        pool.more.append(connection)
        pool.gate = asyncio.Event()
        first = asyncio.create_task(wait_for(context))
        await asyncio.sleep(0)
        for second in (wait_for(context), use(context), *([context] if queued else [])):
            with pytest.raises(RuntimeError, match="awaited already"):
                await asyncio.create_task(second)
        if queued:
            assert pool.leases.waiting == 1
            assert pool.leases.try_release(connection)
        pool.gate.set()
        assert await first is connection
        pool.leases.try_release(connection)
        pool.more.append(connection)
        assert await context is connection  # and afterwards it may be used again

    run(body())


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("how", ["cancel", "throw", "stop", "close", "drop"])
def test_who_gives_up(run: Run, how: str, given: bool) -> None:
    async def body() -> None:
        pool = FakePool(1)
        connection = await pool.acquire()
        if how == "cancel":
            (task,) = await waiting(pool)
        else:
            context = pool.acquire()
            assert context.send(None) is not None
        assert pool.leases.waiting == 1
        if given:
            assert pool.leases.try_release(connection)
        if how == "cancel":
            task.cancel("why")
            with pytest.raises(asyncio.CancelledError, match="why"):
                await task
        elif how == "throw":
            with pytest.raises(KeyError):
                context.throw(KeyError("this one"))
        elif how == "stop":
            with pytest.raises(RuntimeError, match="raised StopIteration"):
                context.throw(StopIteration(connection))
        elif how == "close":
            context.close()
        else:
            del context
            gc.collect()
        assert pool.leases.waiting == 0
        assert pool.asked == ([("release", connection)] if given else [])
        assert pool.leases.waited == 1

    run(body())


@pytest.fixture
def at_allocation() -> Iterator[Lay]:
    """Has something done by a finalizer, so many allocations later."""
    with small_thresholds() as lay:
        yield lay


@pytest.mark.parametrize("whose", ["context", "waiter"])
def test_what_comes_back_while_somebody_queues_up(run: Run, at_allocation: Lay, whose: str) -> None:
    """Whoever is about to stand in the queue gets it, and none is available beside a queue."""

    async def body(number: int) -> None:
        pool = FakePool(2)
        connection, other = await pool.acquire(), await pool.acquire()
        given: list[bool] = []
        context = pool.acquire()
        at_allocation(number, lambda: given.append(pool.leases.try_release(connection)))
        if whose == "context":
            task = asyncio.ensure_future(context)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        else:
            waiter = pool.leases.enqueue()
        gc.set_threshold(0)
        gc.collect()
        await asyncio.sleep(0)
        assert given == [True]
        if whose == "context":
            async with asyncio.timeout(5):
                assert await task is connection
        else:
            assert waiter.outcome() is connection
        assert (len(pool.leases.available), pool.leases.waiting) == (0, 0)
        assert pool.leases.try_release(other)
        assert len(pool.leases.available) == 1

    for number in range(1, 25):
        run(body(number))


def test_what_changes_while_somebody_queues_up(run: Run, at_allocation: Lay) -> None:
    """A connection that leaves makes room for another: the pool is asked, nobody waits for ever."""

    async def body(number: int) -> None:
        pool = FakePool(1)
        connection = await pool.acquire()
        waited: list[int] = []  # how many, when the connection left; the pool sees to those

        def leave() -> None:
            waited.append(pool.leases.waiting)
            pool.leases.holders.clear()

        context = pool.acquire()
        at_allocation(number, leave)
        context.send(None)
        gc.set_threshold(0)
        assert (pool.asked == [("acquire", None)]) == (waited == [0])
        assert pool.leases.waiting == (waited != [0])
        context.close()
        del connection

    for number in range(1, 8):
        run(body(number))


def test_waiters_of_the_pool(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        leases = pool.leases
        connection = await pool.acquire()
        second, third = leases.enqueue(), leases.enqueue()
        first = leases.enqueue(first=True)
        assert (leases.waiting, leases.newest_ticket) == (3, 3)
        assert leases.pop_waiter(1) is None  # the first one has the newest ticket
        assert leases.pop_waiter() is first
        assert leases.pop_waiter(1) is second
        assert leases.pop_waiter(1) is None
        leases.discard(third)
        leases.discard(third)
        assert leases.pop_waiter() is None
        with pytest.raises(RuntimeError, match="nothing was given"):
            first.outcome()
        first.fail(LookupError("no"))
        await first.waiter
        with pytest.raises(LookupError, match="no"):
            first.outcome()
        waiter = leases.enqueue()
        lost = leases.enqueue(first=True)
        lost.waiter.cancel()  # and not discarded yet
        holder = leases.holders[id(connection)]
        assert leases.make_available(holder, connection)
        waiter.fail(LookupError("too late"))
        await waiter.waiter
        assert waiter.outcome() is waiter.connection is connection
        assert waiter.holder is holder
        assert not waiter.is_waiting
        assert not leases.make_available(holder, connection)
        assert holder.connection is connection

    run(body())


def test_a_failed_waiter(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        await pool.acquire()
        (task,) = await waiting(pool)
        pool.leases.pop_waiter().fail(LookupError("given instead"))
        with pytest.raises(LookupError, match="given instead"):
            await task
        assert (pool.asked, pool.leases.waited, pool.leases.waiting) == ([], 1, 0)

    run(body())


def test_errors_of_the_rules(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)

        connection = await pool.acquire()
        (task,) = await waiting(pool)
        assert pool.leases.try_release(connection)
        del connection.runner.transaction_possible
        with pytest.raises(AttributeError):
            await task
        assert pool.asked == [("release", connection)]
        with pytest.raises(AttributeError):
            pool.leases.try_release(connection)

    run(body())


def test_in_tasks(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        (connection,) = pool.connections
        assert await asyncio.wait_for(pool.acquire(), 5) is connection
        assert not asyncio.isfuture(pool.acquire())
        waits = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.acquire(), 0.01)
        assert pool.leases.waiting == 1
        pool.leases.try_release(connection)
        assert await waits is connection
        pool.more.append(Connection())
        assert isinstance(await asyncio.create_task(pool.acquire(5)), Connection)
        task = asyncio.create_task(pool.acquire(5))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(body())


def test_any_awaitable_of_the_pool(run: Run) -> None:
    class Steps:
        def __await__(self) -> Generator[Any, Any, str]:
            yield
            try:
                yield
            except KeyError:
                return "thrown"
            return "all"

    async def body() -> None:
        pool = FakePool(0, is_open=False)
        functions = PoolFunctions(
            lambda pool, timeout: Steps(),  # type: ignore[arg-type,return-value]
            FakePool.accept,
            FakePool.release,
        )

        def acquire() -> Any:
            return pool.context_class(pool.leases, functions, pool, None)

        assert await acquire() == "all"
        context = acquire()
        assert [context.send(None), context.send(None)] == [None, None]
        with pytest.raises(StopIteration) as caught:
            context.throw(KeyError())
        assert caught.value.value == "thrown"
        context = acquire()
        context.send(None)
        context.close()

    run(body())


@pytest.mark.slow
def test_nothing_is_kept_alive(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        connection = await pool.acquire()
        context = pool.acquire()
        context.send(None)
        pool.leases.try_release(connection)
        del context
        pool.asked.clear()
        seen = weakref.ref(pool)
        del pool, connection
        gc.collect()
        assert seen() is None
        pool = FakePool(1)
        seen = weakref.ref(pool)
        waiter = pool.leases.enqueue()
        cycle: Any = pool.acquire()
        pool.more.append(cycle)
        del pool, cycle, waiter
        gc.collect()
        assert seen() is None

    run(body())
