"""Who gets which connection: the queue and what awaits it.

Both implementations, on both event loops; no server.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import time
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from typing import Any

import pytest

from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_pool.acquire import AcquireContext, PoolFunctions, PyAcquireContext
from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lease_queue import PyLeaseQueue
from aiomysql_pool.verdict import Verdict
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from tests.conftest import LOOPS
from tests.core.conftest import new_loop
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
        self.runner: Any = CommandRunner(None, None)
        self.runner.session = Session(ColumnCache("utf8", {}))

    def spoil(self) -> None:
        """It can't change hands any more, as if somebody used it."""
        self.runner.claim()

    def repair(self) -> None:
        self.runner.release()


class FakePool:
    """Has connections, and notes what it is asked for."""

    queue_class: Any = PyLeaseQueue
    context_class: Any = PyAcquireContext

    def __init__(self, connections: int, *, is_open: bool = True) -> None:
        self.asked: list[object] = []
        self.verdicts: list[Verdict] = []
        self.accepting: tuple[Any, ...] = ()
        self.more: list[Any] = []
        self.gate: asyncio.Event | None = None
        self.leases = self.queue_class(asyncio.get_running_loop())
        self.leases.is_open = is_open
        self.connections = [self.new() for _ in range(connections)]
        self.leases.capacity = connections

    def new(self) -> Any:
        connection: Any = Connection()
        holder = ConnectionHolder(connection, lambda reference: None, 0.0, math.inf)
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

    async def accept(self, timeout: Any, holder: Any, connection: Any, verdict: Verdict) -> Any:
        self.asked.append(("accept", connection))
        self.accepting = (timeout, holder, verdict)
        await asyncio.sleep(0)
        return connection

    def gives_back(self, connection: Any) -> bool:
        verdict: Verdict = self.leases.try_release(connection)
        return verdict is Verdict.LENDABLE

    def release(self, connection: Any, verdict: Verdict) -> Any:
        self.asked.append(("release", connection))
        self.verdicts.append(verdict)
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


async def test_what_was_not_awaited() -> None:
    """It says so; and it is of classic aiomysql's class, and no iterable."""
    found = FakePool(1).acquire()
    # Python 3.14 looks for `__exit__` first, and says the same in words of its own.
    words = "acquire.*`async with`" if sys.version_info < (3, 14) else "context manager protocol"
    with pytest.raises(TypeError, match=words), found:
        pass
    for attempt in (list, len, lambda found: 1 in found):
        with pytest.raises(TypeError, match=r"acquire\(\).*to be awaited"):
            attempt(found)
    # (The C one is not asked for where the package runs without.)
    if type(found) in (AcquireContext, PyAcquireContext):
        assert isinstance(found, AwaitableContextManager)
    assert not isinstance(found, Iterable)
    assert not hasattr(found, "__enter__")
    assert found


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
        assert pool.gives_back(second)
        assert pool.gives_back(first)
        assert [holder.connection for holder in pool.leases.available] == [second, first]
        assert not pool.gives_back(first)  # nobody has it
        assert not pool.gives_back(Connection())
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
        assert await pool.acquire(1.5) is connection
        assert pool.asked.pop() == ("accept", connection)
        assert pool.accepting == (1.5, pool.leases.holders[id(connection)], Verdict.LOST)
        assert not pool.gives_back(connection)
        connection.repair()
        assert pool.gives_back(connection)
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
        assert not pool.gives_back(connection)

    run(body())


@pytest.mark.parametrize("terminated", [False, True])
def test_what_came_from_the_queue_is_looked_at(run: Run, terminated: bool) -> None:
    async def body() -> None:
        pool = FakePool(1)
        connection = await pool.acquire()
        (task,) = await waiting(pool)
        assert pool.gives_back(connection)
        if terminated:
            pool.leases.is_open = False
            del pool.leases.holders[id(connection)]
        else:
            connection.spoil()
        assert await task is connection
        assert pool.asked == [("accept", connection)]

    run(body())


#: Times of a holder are around this one, which has no other float beside it that would be equal.
NOW = 1000.0
BEFORE, AFTER = math.nextafter(NOW, 0), math.nextafter(NOW, 2000)


async def examined(**changes: Any) -> tuple[Any, ConnectionHolder]:
    """A queue and a holder whose connection was opened at 900 and used last at 950."""
    pool = FakePool(1)
    (holder,) = pool.leases.available
    holder.never_acquired = False
    holder.opened_at, holder.runner.last_usage = 900.0, 950.0
    for name, value in changes.items():
        owners = (holder, holder.runner, pool.leases)
        setattr(next(owner for owner in owners if hasattr(owner, name)), name, value)
    return pool.leases, holder


@pytest.mark.parametrize(
    ("verdict", "changes"),
    [
        (Verdict.LENDABLE, {}),
        (Verdict.LENDABLE, {"transaction_possible": True}),
        (Verdict.LENDABLE, {"is_open": False}),
        (Verdict.LENDABLE, {"must_close": True, "maxsize": 1}),
        (Verdict.LENDABLE, {"expires_at": AFTER}),
        (Verdict.EXPIRED, {"expires_at": NOW}),
        (Verdict.EXPIRED, {"expires_at": BEFORE}),
        (Verdict.LENDABLE, {"max_age": 100.0}),
        (Verdict.EXPIRED, {"max_age": math.nextafter(100.0, 0)}),
        (Verdict.LENDABLE, {"max_age": 0, "opened_at": NOW}),
        (Verdict.EXPIRED, {"max_age": 0, "opened_at": BEFORE}),
        (Verdict.LENDABLE, {"ping_after": math.nextafter(50.0, 60)}),
        (Verdict.PING, {"ping_after": 50.0}),
        (Verdict.PING, {"ping_after": 50.0, "has_check": True}),
        (Verdict.PING, {"ping_after": 0}),
        (Verdict.CHECK, {"has_check": True}),
        (Verdict.CHECK, {"has_check": True, "ping_after": 60.0, "transaction_possible": True}),
        (Verdict.LENDABLE, {"has_check": True, "ping_after": 0, "never_acquired": True}),
        (Verdict.EXPIRED, {"expires_at": NOW, "ping_after": 0, "never_acquired": True}),
        (Verdict.LOST, {"session": None}),
        (Verdict.LOST, {"session": None, "expires_at": NOW, "ping_after": 0, "has_check": True}),
    ],
)
def test_verdicts_before_a_connection_is_acquired(
    run: Run, verdict: Verdict, changes: dict[str, Any]
) -> None:
    async def body() -> None:
        leases, holder = await examined(**changes)
        assert leases.examine_available(holder, NOW) is verdict
        # Of what is handed over the age was looked at before.
        ages = ("expires_at", "max_age")
        leases, holder = await examined(
            **{name: value for name, value in changes.items() if name not in ages}
        )
        expected = leases.examine_available(holder, NOW)
        leases, holder = await examined(**changes)
        assert leases.examine_handed_over(holder, NOW) is expected

    run(body())


def test_what_has_left_a_closed_pool_is_lost(run: Run) -> None:
    async def body() -> None:
        leases, holder = await examined(is_open=False)
        assert leases.examine_handed_over(holder, NOW) is Verdict.LENDABLE
        leases.holders.clear()
        assert leases.examine_handed_over(holder, NOW) is Verdict.LOST

    run(body())


@pytest.mark.parametrize(
    ("verdict", "kept", "changes"),
    [
        (Verdict.LENDABLE, Verdict.LENDABLE, {"max_age": 0, "ping_after": 0, "has_check": True}),
        (Verdict.LENDABLE, Verdict.LENDABLE, {"expires_at": AFTER, "maxsize": 1}),
        (Verdict.EXPIRED, Verdict.EXPIRED, {"expires_at": NOW}),
        (Verdict.SURPLUS, Verdict.SURPLUS, {"expires_at": NOW, "maxsize": 1}),
        (Verdict.DRAINED, Verdict.DRAINED, {"must_close": True, "maxsize": 1}),
        (Verdict.CLOSING, Verdict.CLOSING, {"is_open": False, "must_close": True}),
        (Verdict.UNCLEAN, Verdict.LENDABLE, {"resets_sessions": True}),
        (Verdict.UNCLEAN, Verdict.LENDABLE, {"transaction_possible": True}),
        (Verdict.UNCLEAN, Verdict.EXPIRED, {"session": None, "expires_at": NOW}),
        (Verdict.UNCLEAN, Verdict.CLOSING, {"resets_sessions": True, "is_open": False}),
    ],
)
def test_verdicts_after_a_release(
    run: Run, verdict: Verdict, kept: Verdict, changes: dict[str, Any]
) -> None:
    async def body() -> None:
        leases, holder = await examined(**changes)
        if "maxsize" in changes and verdict is not Verdict.LENDABLE:
            leases.holders[0] = holder  # as if there were one more
        assert leases.examine_released(holder, NOW) is verdict
        assert leases.examine_kept(holder, NOW) is kept

    run(body())


def test_what_can_not_be_examined(run: Run) -> None:
    async def body() -> None:
        leases, holder = await examined()
        for examine in (
            leases.examine_available,
            leases.examine_handed_over,
            leases.examine_released,
            leases.examine_kept,
        ):
            with pytest.raises((TypeError, AttributeError)):
                examine(None, NOW)
            with pytest.raises(TypeError):
                examine(holder)
        for name in ("expires_at", "runner"):
            kept = getattr(holder, name)
            delattr(holder, name)
            with pytest.raises(AttributeError, match=name):
                leases.try_acquire()
            assert list(leases.available) == [holder]  # it stays where it is
            setattr(holder, name, kept)
        assert leases.requests == 0
        taken = leases.try_acquire()
        assert taken == (holder, taken[1], Verdict.LENDABLE)
        assert leases.try_acquire() is None

    run(body())


@pytest.mark.parametrize("name", ["expires_at", "ping_after"])
def test_at_the_moment_of_expiry(run: Run, name: str) -> None:
    """A lease asks for the time itself: before the moment it is one verdict, then the other."""

    async def body() -> None:
        pool = FakePool(1)
        (holder,) = pool.leases.available
        moment = time.monotonic() + 0.02
        holder.opened_at = holder.runner.last_usage = moment
        if name == "expires_at":
            holder.expires_at = moment
        else:
            pool.leases.ping_after = 0.0
        verdict = Verdict.LENDABLE
        while verdict is Verdict.LENDABLE:
            began = time.monotonic()
            holder, connection, verdict = pool.leases.try_acquire()
            is_late = time.monotonic() >= moment
            assert is_late if verdict is not Verdict.LENDABLE else began < moment
            released = pool.leases.try_release(connection)
            if released is not Verdict.LENDABLE:
                assert name == "expires_at"
                assert time.monotonic() >= moment
                verdict = released
        assert verdict is (Verdict.EXPIRED if name == "expires_at" else Verdict.PING)

    run(body())


def test_times_and_the_fewest_available_are_kept_where_they_are_asked_for(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(3)
        leases = pool.leases
        leases.least_available = 3
        first, second, _ = leases.holders.values()
        await pool.acquire()
        assert (first.acquired_at, leases.least_available) == (0.0, 2)
        leases.records_times = True
        second.is_reported = True
        began = time.monotonic()
        connection = await pool.acquire()
        assert began <= second.acquired_at <= time.monotonic()
        assert (second.is_reported, leases.least_available) == (False, 1)
        await pool.acquire()
        (task,) = await waiting(pool)
        second.acquired_at, second.is_reported = 0.0, True
        assert pool.gives_back(connection)
        assert second.acquired_at >= began
        assert not second.is_reported
        assert await task is connection
        assert leases.least_available == 0

    run(body())


def test_nothing_changes_hands_in_a_watched_pool_without_it(run: Run) -> None:
    async def body() -> None:
        pool = FakePool(1)
        pool.leases.is_watched = True
        pool.more += pool.connections
        async with pool.acquire() as connection:
            assert pool.asked.pop() == ("acquire", None)
        assert pool.asked.pop() == ("release", connection)
        assert pool.verdicts == [Verdict.UNKNOWN]
        assert not pool.leases.is_direct()

    run(body())


@pytest.mark.parametrize("waits", [False, True])
def test_the_pool_gets_the_verdict(run: Run, waits: bool) -> None:
    """With what was taken, and the time-out; once the caller has it the verdict is no more."""

    async def body() -> None:
        pool = FakePool(1)
        (holder,) = pool.leases.available
        pool.leases.has_check = True
        if waits:
            holder.never_acquired = False
            pool.leases.has_check = False
            connection = await pool.acquire()
            pool.leases.has_check = True
            (task,) = await waiting(pool)
            assert pool.gives_back(connection)
            assert await task is connection
        else:
            connection = await pool.acquire(7)
        assert pool.accepting == (None if waits else 7, holder, Verdict.CHECK)
        assert pool.asked == [("accept", connection)]
        assert pool.leases.requests == 1 + waits
        pool.leases.resets_sessions = True
        assert pool.leases.try_release(connection) is Verdict.UNCLEAN
        assert holder.connection is None

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
            assert pool.gives_back(connection)
        pool.gate.set()
        assert await first is connection
        pool.gives_back(connection)
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
            assert pool.gives_back(connection)
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


@pytest.mark.parametrize("thrown", [KeyError("this one"), StopIteration(1), "no exception"])
def test_thrown_into_before(run: Run, thrown: Any) -> None:
    """It comes out, a result it is not; the context may be awaited afterwards."""

    async def body() -> None:
        pool = FakePool(1)
        context: Any = pool.acquire()
        with pytest.raises((KeyError, RuntimeError, TypeError), match="this|raised Stop|must"):
            context.throw(thrown)
        assert len(pool.leases.available) == 1
        assert pool.gives_back(await context)

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
        at_allocation(number, lambda: given.append(pool.gives_back(connection)))
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
        assert pool.gives_back(other)
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
        assert pool.gives_back(connection)
        del connection.runner.session.exchanges
        with pytest.raises(AttributeError):
            await task
        assert pool.asked == [("release", connection)]
        with pytest.raises(AttributeError):
            pool.gives_back(connection)

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
        pool.gives_back(connection)
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
        pool.gives_back(connection)
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
