"""Lending: both implementations, on both event loops."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from threading import get_ident
from types import SimpleNamespace
from typing import Any

import pytest

from aiomysql_protocol import lending
from tests.core.test_waiter import LOOPS, new_loop
from tests.protocol.row_bytes import part

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["c", "python"])
def implementation(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    def run(coro: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: new_loop(request.param)) as runner:
            runner.run(asyncio.wait_for(coro, 10))

    return run


class Thing:
    """What is lent."""


class Owner:
    """Lends things, and notes what it is asked for."""

    def __init__(self, implementation: str, things: int, *, is_open: bool = True) -> None:
        self.asked: list[object] = []
        self.unfit: set[Thing] = set()
        self.more: list[Thing] = []
        self.gate: asyncio.Event | None = None
        self.item: Any = part(implementation, lending, "Item")
        self.shelf: Any = part(implementation, lending, "Shelf")(
            asyncio.get_running_loop(),
            asyncio.CancelledError,
            get_ident=get_ident,
            fit=self.fit,
            wake=self.wake,
            borrow=Owner.borrow,
            accept=Owner.accept,
            give_back=Owner.give_back,
        )
        self.shelf.open = is_open
        self.things = [self.new() for _ in range(things)]
        self.shelf.capacity = things

    def new(self) -> Thing:
        thing = Thing()
        self.shelf.items[id(thing)] = item = self.item(thing, thing)
        self.shelf.idle.append(item)
        return thing

    def loan(self, timeout: float | None = None) -> Any:
        return self.shelf.loan(self, timeout)

    def fit(self, thing: Thing) -> bool:
        return thing not in self.unfit

    def wake(self, thing: Thing, turn: Any) -> None:
        turn.fire(False)

    async def borrow(self, timeout: float | None) -> Thing:
        self.asked.append(("borrow", timeout))
        await (asyncio.sleep(0) if self.gate is None else self.gate.wait())
        if not self.more:
            raise LookupError("no more things")
        return self.more.pop()

    async def accept(self, thing: Thing) -> Thing:
        self.asked.append(("accept", thing))
        await asyncio.sleep(0)
        return thing

    def give_back(self, thing: Thing) -> Any:
        self.asked.append(("give back", thing))
        over = asyncio.get_running_loop().create_future()
        over.set_result(None)
        return over


async def waiting(owner: Owner, count: int = 1) -> list[asyncio.Task[Thing]]:
    """Tasks that stand in the queue, in this order."""
    before = owner.shelf.waiting

    async def borrow() -> Thing:
        thing: Thing = await owner.loan()
        return thing

    tasks = [asyncio.create_task(borrow()) for _ in range(count)]
    await asyncio.sleep(0)
    assert owner.shelf.waiting == before + count
    return tasks


def test_an_idle_thing_needs_no_suspension(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 2)
        first, second = owner.things
        for lent in (1, 2):
            loan = owner.loan()
            assert isinstance(loan, Coroutine)
            with pytest.raises(StopIteration) as caught:
                loan.send(None)
            assert caught.value.value is owner.things[lent - 1]
            assert owner.shelf.lent == lent
        assert not owner.shelf.idle
        assert [item.held for item in owner.shelf.items.values()] == [None, None]
        assert not any(item.fresh for item in owner.shelf.items.values())
        assert owner.shelf.take_back(second)
        assert owner.shelf.take_back(first)
        assert [item.held for item in owner.shelf.idle] == [second, first]
        assert not owner.shelf.take_back(first)  # nobody has it
        assert not owner.shelf.take_back(Thing())
        assert owner.asked == []

    run(body())


def test_async_with(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        loan = owner.loan()
        for _ in range(2):  # it may be used again
            async with loan as thing:
                assert thing is owner.things[0]
                assert not owner.shelf.idle
            assert len(owner.shelf.idle) == 1
        with pytest.raises(ZeroDivisionError):
            async with owner.loan():
                raise ZeroDivisionError
        assert len(owner.shelf.idle) == 1
        async with owner.loan() as thing:
            owner.unfit.add(thing)
        assert owner.asked == [("give back", thing)]
        with pytest.raises(RuntimeError, match="nothing was borrowed"):
            owner.loan().__aexit__(None, None, None)

    run(body())


def test_oldest_turn_first(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        (thing,) = owner.things
        got: list[int] = []

        async def borrow(number: int) -> None:
            async with owner.loan() as lent:
                assert lent is thing
                assert owner.shelf.items[id(thing)].held is None
                got.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(borrow(number) for number in range(9)))
        assert got == list(range(9))
        assert (owner.shelf.lent, owner.shelf.waited, owner.shelf.waiting) == (9, 8, 0)
        assert 0 < owner.shelf.wait_time < 9
        assert owner.asked == []

    run(body())


def test_what_is_not_simple_is_asked_of_the_owner(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        (thing,) = owner.things
        owner.unfit.add(thing)
        with pytest.raises(LookupError, match="no more"):  # it stays where it is
            await owner.loan()
        assert owner.shelf.idle[0].held is thing
        owner.unfit.clear()
        assert await owner.loan(2.5) is thing
        for timeout, capacity, is_open in ((2.5, 1, True), (None, -1, True), (None, 1, False)):
            owner.shelf.capacity, owner.shelf.open = capacity, is_open
            owner.more.append(Thing())
            async with owner.loan(timeout) as lent:
                assert owner.asked.pop() == ("borrow", timeout)
            assert owner.asked.pop() == ("give back", lent)
            with pytest.raises(LookupError, match="no more things"):
                async with owner.loan(timeout):
                    raise AssertionError
        owner.shelf.open = False
        assert not owner.shelf.take_back(thing)

    run(body())


@pytest.mark.parametrize("closed", [False, True])
def test_what_came_from_the_queue_is_looked_at(implementation: str, run: Run, closed: bool) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        thing = await owner.loan()
        (task,) = await waiting(owner)
        assert owner.shelf.take_back(thing)
        if closed:
            owner.shelf.open = False
        else:
            owner.unfit.add(thing)
        assert await task is thing
        assert owner.asked == [("accept", thing)]

    run(body())


@pytest.mark.parametrize("queued", [False, True])
def test_one_task_at_a_time(implementation: str, run: Run, queued: bool) -> None:
    """Whoever awaits a loan that another task awaits gets an error; that task goes on."""

    async def wait_for(loan: Any) -> Thing:
        thing: Thing = await loan
        return thing

    async def use(loan: Any) -> None:
        async with loan:
            raise AssertionError

    async def body() -> None:
        owner = Owner(implementation, 1)
        thing = await owner.loan()
        loan = owner.loan(None if queued else 5)
        owner.more.append(thing)
        owner.gate = asyncio.Event()
        first = asyncio.create_task(wait_for(loan))
        await asyncio.sleep(0)
        for second in (wait_for(loan), use(loan), *([loan] if queued else [])):
            with pytest.raises(RuntimeError, match="awaited already"):
                await asyncio.create_task(second)
        if queued:
            assert owner.shelf.waiting == 1
            assert owner.shelf.take_back(thing)
        owner.gate.set()
        assert await first is thing
        owner.shelf.take_back(thing)
        owner.more.append(thing)
        assert await loan is thing  # and afterwards it may be used again

    run(body())


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("how", ["cancel", "throw", "stop", "close", "drop"])
def test_who_gives_up(implementation: str, run: Run, how: str, given: bool) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        thing = await owner.loan()
        if how == "cancel":
            (task,) = await waiting(owner)
        else:
            loan = owner.loan()
            assert loan.send(None) is not None
        assert owner.shelf.waiting == 1
        if given:
            assert owner.shelf.take_back(thing)
        if how == "cancel":
            task.cancel("why")
            with pytest.raises(asyncio.CancelledError, match="why"):
                await task
        elif how == "throw":
            with pytest.raises(KeyError):
                loan.throw(KeyError("this one"))
        elif how == "stop":
            with pytest.raises(RuntimeError, match="raised StopIteration"):
                loan.throw(StopIteration(thing))
        elif how == "close":
            loan.close()
        else:
            del loan
            gc.collect()
        assert owner.shelf.waiting == 0
        assert owner.asked == ([("give back", thing)] if given else [])
        assert owner.shelf.waited == 1

    run(body())


class Trap:
    """Garbage once it is made; does something when it is found."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self.cycle, self.deed = self, deed

    def __del__(self) -> None:
        self.deed()


@pytest.fixture
def at_allocation() -> Iterator[Callable[[int, Callable[[], object]], None]]:
    """Has something done by a finalizer, so many allocations later."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()

    def lay(number: int, deed: Callable[[], object]) -> None:
        gc.set_threshold(0)
        gc.collect()
        Trap(deed)
        gc.set_threshold(number)

    yield lay
    gc.unfreeze()
    gc.set_threshold(*thresholds)


Lay = Callable[[int, Callable[[], object]], None]


@pytest.mark.parametrize("whose", ["loan", "turn"])
def test_what_comes_back_while_somebody_queues_up(
    implementation: str, run: Run, at_allocation: Lay, whose: str
) -> None:
    """Whoever is about to stand in the queue gets it, and nothing lies idle beside a queue."""

    async def body(number: int) -> None:
        owner = Owner(implementation, 2)
        thing, other = await owner.loan(), await owner.loan()
        given: list[bool] = []
        loan = owner.loan()
        at_allocation(number, lambda: given.append(owner.shelf.take_back(thing)))
        if whose == "loan":
            task = asyncio.ensure_future(loan)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        else:
            turn = owner.shelf.queue_up()
        gc.set_threshold(0)
        gc.collect()
        await asyncio.sleep(0)
        assert given == [True]
        if whose == "loan":
            async with asyncio.timeout(5):
                assert await task is thing
        else:
            assert turn.outcome() is thing
        assert (len(owner.shelf.idle), owner.shelf.waiting) == (0, 0)
        assert owner.shelf.take_back(other)
        assert len(owner.shelf.idle) == 1

    for number in range(1, 25):
        run(body(number))


def test_what_changes_while_somebody_queues_up(
    implementation: str, run: Run, at_allocation: Lay
) -> None:
    """A thing that leaves makes room for another: the owner is asked, nobody waits for ever."""

    async def body(number: int) -> None:
        owner = Owner(implementation, 1)
        thing = await owner.loan()
        waited: list[int] = []  # how many, when the thing left; the owner sees to those

        def leave() -> None:
            waited.append(owner.shelf.waiting)
            owner.shelf.items.clear()

        loan = owner.loan()
        at_allocation(number, leave)
        loan.send(None)
        gc.set_threshold(0)
        assert (owner.asked == [("borrow", None)]) == (waited == [0])
        assert owner.shelf.waiting == (waited != [0])
        loan.close()
        del thing

    for number in range(1, 8):
        run(body(number))


def test_turns_of_the_owner(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        shelf = owner.shelf
        thing = await owner.loan()
        second, third = shelf.queue_up(), shelf.queue_up()
        first = shelf.queue_up(first=True)
        assert (shelf.waiting, shelf.newest) == (3, 3)
        assert shelf.next(1) is None  # the first one has the newest ticket
        assert shelf.next() is first
        assert shelf.next(1) is second
        assert shelf.next(1) is None
        shelf.discard(third)
        shelf.discard(third)
        assert shelf.next() is None
        with pytest.raises(RuntimeError, match="nothing was given"):
            first.outcome()
        first.fail(LookupError("no"))
        await first
        with pytest.raises(LookupError, match="no"):
            first.outcome()
        turn = shelf.queue_up()
        lost = shelf.queue_up(first=True)
        lost.cancel()  # and not discarded yet
        item = shelf.items[id(thing)]
        assert shelf.put(item, thing)
        turn.fail(LookupError("too late"))
        await turn
        assert turn.outcome() is turn.thing is thing
        assert turn.item is item
        assert not turn.armed
        assert not shelf.put(item, thing)
        assert item.held is thing

    run(body())


def test_a_failed_turn(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        await owner.loan()
        (task,) = await waiting(owner)
        owner.shelf.next().fail(LookupError("given instead"))
        with pytest.raises(LookupError, match="given instead"):
            await task
        assert (owner.asked, owner.shelf.waited, owner.shelf.waiting) == ([], 1, 0)

    run(body())


def test_errors_of_the_rules(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)

        thing = await owner.loan()
        (task,) = await waiting(owner)
        assert owner.shelf.take_back(thing)
        owner.unfit = SimpleNamespace(__contains__=None)  # type: ignore[assignment]
        with pytest.raises(TypeError):
            await task
        assert owner.asked == [("give back", thing)]
        with pytest.raises(TypeError):
            owner.shelf.take_back(thing)

    run(body())


def test_in_tasks(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        (thing,) = owner.things
        assert await asyncio.wait_for(owner.loan(), 5) is thing
        assert not asyncio.isfuture(owner.loan())
        waits = asyncio.ensure_future(owner.loan())
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(owner.loan(), 0.01)
        assert owner.shelf.waiting == 1
        owner.shelf.take_back(thing)
        assert await waits is thing
        owner.more.append(Thing())
        assert isinstance(await asyncio.create_task(owner.loan(5)), Thing)
        task = asyncio.create_task(owner.loan(5))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(body())


def test_any_awaitable_of_the_owner(implementation: str, run: Run) -> None:
    class Steps:
        def __await__(self) -> Generator[Any, Any, str]:
            yield
            try:
                yield
            except KeyError:
                return "thrown"
            return "all"

    async def body() -> None:
        owner = Owner(implementation, 0, is_open=False)
        owner.borrow = None  # type: ignore[assignment,method-assign]
        shelf = part(implementation, lending, "Shelf")(
            asyncio.get_running_loop(),
            asyncio.CancelledError,
            get_ident=get_ident,
            fit=owner.fit,
            wake=owner.wake,
            borrow=lambda owner, timeout: Steps(),
            accept=Owner.accept,
            give_back=Owner.give_back,
        )
        assert await shelf.loan(owner, None) == "all"
        loan = shelf.loan(owner, None)
        assert [loan.send(None), loan.send(None)] == [None, None]
        with pytest.raises(StopIteration) as caught:
            loan.throw(KeyError())
        assert caught.value.value == "thrown"
        loan = shelf.loan(owner, None)
        loan.send(None)
        loan.close()

    run(body())


def test_nothing_is_kept_alive(implementation: str, run: Run) -> None:
    async def body() -> None:
        owner = Owner(implementation, 1)
        thing = await owner.loan()
        loan = owner.loan()
        loan.send(None)
        owner.shelf.take_back(thing)
        del loan
        owner.asked.clear()
        seen = weakref.ref(owner)
        del owner, thing
        gc.collect()
        assert seen() is None
        owner = Owner(implementation, 1)
        seen = weakref.ref(owner)
        turn = owner.shelf.queue_up()
        cycle: Any = owner.loan()
        owner.more.append(cycle)
        del owner, cycle, turn
        gc.collect()
        assert seen() is None

    run(body())


def test_bad_arguments(implementation: str, run: Run) -> None:
    async def body() -> None:
        shelf = Owner(implementation, 0).shelf
        attempts: list[Callable[[], object]] = [
            lambda: type(shelf)(),
            lambda: type(shelf)(asyncio.get_running_loop(), asyncio.CancelledError),
            lambda: shelf.loan(),
            lambda: shelf.put(),
            lambda: part(implementation, lending, "Item")(),
            lambda: part(implementation, lending, "resting")("claimed"),
            lambda: part(implementation, lending, "following")(1),
        ]
        for wrong in attempts:
            with pytest.raises(TypeError):
                wrong()

    run(body())


def test_things_that_are_no_items() -> None:
    async def body() -> None:
        owner = Owner("c", 1)
        owner.shelf.idle.appendleft("text")
        with pytest.raises(TypeError, match="must be an Item"):
            await owner.loan()
        with pytest.raises(TypeError):
            owner.shelf.put("text", "thing")
        with pytest.raises(TypeError):
            owner.shelf.discard("text")
        with pytest.raises(TypeError):
            owner.shelf.queue_up().fail("text")
        make_turn: Any = type(owner.shelf.queue_up())
        with pytest.raises(TypeError):
            make_turn()

    asyncio.run(body())


# resting


@pytest.mark.parametrize(
    ("changes", "rests"),
    [
        ({}, True),
        ({"server_status": 2}, True),
        ({"server_status": 1}, False),
        ({"server_status": 1 << 16}, False),
        ({"exchanges": [1]}, False),
        ({"error": ValueError()}, False),
    ],
)
def test_resting(implementation: str, changes: dict[str, Any], rests: bool) -> None:
    fields: dict[str, Any] = {"error": None, "exchanges": [], "server_status": 0}
    session = SimpleNamespace(**{**fields, **changes})
    at_rest = part(implementation, lending, "resting")("_in_use", "_open", 1 << 16 | 1)
    assert at_rest(SimpleNamespace(session=session, _in_use=False, _open=False)) is rests
    assert at_rest(SimpleNamespace(session=session, _in_use=True, _open=False)) is False
    assert at_rest(SimpleNamespace(session=session, _in_use=False, _open=True)) is False
    assert at_rest(SimpleNamespace(session=None, _in_use=False, _open=False)) is False
    with pytest.raises(AttributeError, match="_in_use"):
        at_rest(SimpleNamespace(session=session, _open=False))
    with pytest.raises(AttributeError, match="_open"):
        at_rest(SimpleNamespace(session=session, _in_use=False))


# following


@pytest.mark.parametrize("slots", [False, True])
def test_following(implementation: str, slots: bool) -> None:
    """One waiter may follow the task that runs; all others are woken by the event loop."""

    class Stream:
        if slots:
            __slots__ = ("next_waiter", "waking")

    class User:
        if slots:
            __slots__ = ("stream",)

    class Waiter:
        def __init__(self) -> None:
            self.fired: list[bool] = []

        def fire(self, at_once: bool) -> None:
            self.fired.append(at_once)

    follow = part(implementation, lending, "following")("stream")
    stream: Any = Stream()
    user: Any = User()
    user.stream, stream.waking, stream.next_waiter = stream, True, None
    first, second, third, fourth = (Waiter() for _ in range(4))
    follow(user, first)
    follow(user, second)
    assert stream.next_waiter is first
    assert (first.fired, second.fired) == ([], [False])
    stream.next_waiter, stream.waking = None, False
    follow(user, third)
    assert (stream.next_waiter, third.fired) == (None, [False])
    user.stream = None
    follow(user, fourth)
    assert fourth.fired == [False]
    del user.stream
    with pytest.raises(AttributeError, match="stream"):
        follow(user, first)


def test_resting_in_slots(implementation: str) -> None:
    """The same of a class with slots, of one that has some, and of one that has none."""

    class Slots:
        __slots__ = ("_in_use", "_open", "error", "exchanges", "server_status", "session")

    class Derived(Slots):
        pass

    class Property(SimpleNamespace):
        @property
        def exchanges(self) -> list[int]:
            return [1]

    at_rest = part(implementation, lending, "resting")("_in_use", "_open", 1)
    for session_class in (Slots, Derived, Slots, SimpleNamespace, Derived):
        for user_class in (Slots, SimpleNamespace, Derived):
            session: Any = session_class()
            session.error, session.exchanges, session.server_status = None, [], 2
            user: Any = user_class()
            user.session, user._in_use, user._open = session, False, False
            assert at_rest(user)
            session.exchanges.append(1)
            assert not at_rest(user)
            del session.exchanges
            with pytest.raises(AttributeError, match="exchanges"):
                at_rest(user)
    session = Property(error=None, server_status=2)
    assert not at_rest(SimpleNamespace(session=session, _in_use=False, _open=False))
