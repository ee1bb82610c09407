"""What tasks await: both implementations, on both event loops, with both kinds of tasks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import sys
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from operator import methodcaller
from typing import Any

import pytest

from aiomysql_core.waiting.ready import PyReady, Ready
from aiomysql_core.waiting.waiter import PyWaiter, Waiter
from tests.conftest import LOOPS
from tests.core.conftest import new_loop
from tests.core.twins import need_c

NewWaiter = Callable[[asyncio.AbstractEventLoop], Waiter]
NewReady = Callable[[Any], Ready[Any]]
Run = Callable[[Coroutine[Any, Any, None]], None]


def ready_class(implementation: str) -> Any:
    """The class called Ready in the implementation "c" or "python"."""
    return need_c().Ready if implementation == "c" else PyReady


def waiter_class(implementation: str) -> Any:
    """The class called Waiter in the implementation "c" or "python"."""
    return need_c().Waiter if implementation == "c" else PyWaiter


@pytest.fixture(params=["c", "python"])
def ready(request: pytest.FixtureRequest) -> NewReady:
    found: NewReady = ready_class(request.param)
    return found


def done_future(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.Future(loop=loop)
    future.set_result(None)
    return future


@pytest.fixture(params=["c", "c-done_future", "python", "python-done_future"])
def new(request: pytest.FixtureRequest) -> NewWaiter:
    implementation, _, given = request.param.partition("-")
    waiter = waiter_class(implementation)
    if given:
        return lambda loop: waiter(loop, asyncio.CancelledError, done_future(loop))
    return lambda loop: waiter(loop, asyncio.CancelledError)


@pytest.mark.parametrize("implementation", ["c", "python"])
def test_what_the_callback_gets(implementation: str) -> None:
    new: Any = waiter_class(implementation)

    async def check(future: asyncio.Future[None] | None) -> None:
        waiter = new(asyncio.get_running_loop(), asyncio.CancelledError, future)
        got: list[object] = []
        for wake in (
            methodcaller("fire", True),
            methodcaller("fire", False),
            methodcaller("cancel"),
        ):
            waiter.arm(None)
            waiter.add_done_callback(got.append, context=contextvars.Context())
            wake(waiter)
            await asyncio.sleep(0)
        fired = waiter if future is None else future
        assert got == [fired, fired, waiter]

    async def main() -> None:
        await check(None)
        await check(done_future(asyncio.get_running_loop()))

    asyncio.run(main())


def test_only_progress_wakes(new: NewWaiter) -> None:
    """Each time anew: what was made before the last `arm` or waking counts no more."""

    async def main() -> None:
        waiter = new(asyncio.get_running_loop())
        for at_once in (True, False):
            waiter.mark_progress()
            waiter.arm(None)
            waiter.wake_if_progressed(at_once)
            assert waiter.armed
            waiter.mark_progress()
            assert waiter.armed
            waiter.wake_if_progressed(at_once)
            assert not waiter.armed

    asyncio.run(main())


@pytest.fixture(params=[(loop, kind) for loop in LOOPS for kind in ("Task", "_PyTask")], ids=str)
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a coroutine on an event loop, within a task of asyncio's C or Python code."""
    name, kind = request.param
    task_class = getattr(asyncio.tasks, kind)

    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        return task_class(coro, loop=loop, **options)

    # From Python 3.14 on each kind of task is known to its own function alone.
    if kind == "_PyTask" and sys.version_info >= (3, 14):
        own = asyncio.tasks._py_current_task  # type: ignore[attr-defined,unused-ignore]
        for module in (asyncio, asyncio.tasks):
            monkeypatch.setattr(module, "current_task", own)

    def run(coro: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: new_loop(name)) as runner:
            runner.get_loop().set_task_factory(factory)
            runner.run(asyncio.wait_for(coro, 10))

    return run


# Ready


@pytest.mark.parametrize("value", [None, 5, (), (1, 2), [3], ValueError("a value"), StopIteration])
def test_ready_gives_its_value(ready: NewReady, value: object) -> None:
    object_ = ready(value)
    assert object_.value is value
    assert isinstance(object_, Coroutine)
    steps: list[Callable[[], object]] = [
        lambda: object_.send(None),
        lambda: next(iter(object_.__await__())),
    ]
    for step in steps:
        with pytest.raises(StopIteration) as caught:
            step()
        assert caught.value.value is value
    object_.close()


def test_ready_in_tasks(ready: NewReady, run: Run) -> None:
    async def body() -> None:
        assert await ready((1, 2)) == (1, 2)
        again = ready("twice")
        assert [await again, await again] == ["twice", "twice"]
        assert await asyncio.create_task(ready(3)) == 3
        assert list(await asyncio.gather(ready(4), ready(5))) == [4, 5]
        assert await asyncio.wait_for(ready(6), 5) == 6
        assert await asyncio.shield(ready(7)) == 7
        assert await asyncio.ensure_future(ready(None)) is None
        async with asyncio.timeout(0):
            assert await ready(8) == 8
        cancelled = asyncio.create_task(ready(9))
        cancelled.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="why"):
            await cancelled

    run(body())


def test_ready_does_not_suspend(ready: NewReady) -> None:
    async def body() -> object:
        return [await ready(1), await ready(2)]

    with pytest.raises(StopIteration) as caught:
        body().send(None)
    assert caught.value.value == [1, 2]


def test_throwing_into_ready(ready: NewReady) -> None:
    error = KeyError("this one")
    with pytest.raises(KeyError) as caught:
        ready(1).throw(error)
    assert caught.value is error
    with pytest.raises(KeyError) as caught:
        ready(1).throw(KeyError, error)
    assert caught.value is error
    with pytest.raises(KeyError):
        ready(1).throw(KeyError)
    throw: Any = ready(1).throw
    for wrong in ((), ("text",), (5,)):
        with pytest.raises(TypeError):
            throw(*wrong)


@pytest.mark.parametrize("thrown", [(StopIteration(5),), (StopIteration,), (StopIteration, 5)])
def test_stop_iteration_is_no_result(ready: NewReady, thrown: tuple[Any, ...]) -> None:
    """As out of any coroutine: else whoever awaits would take it for the response."""
    throw: Any = ready(1).throw
    if thrown == (StopIteration, 5) and type(ready(1)) is PyReady:
        thrown = (StopIteration, StopIteration(5))
    with pytest.raises(RuntimeError, match="coroutine raised StopIteration") as caught:
        throw(*thrown)
    assert isinstance(caught.value.__cause__, StopIteration)


class Canary:
    """An object whose end can be seen."""


@pytest.mark.slow
def test_ready_keeps_nothing_alive(ready: NewReady) -> None:
    canary = Canary()
    seen = weakref.ref(canary)
    kept = ready(canary)
    del canary
    assert seen() is kept.value
    del kept
    assert seen() is None
    cycle: list[Any] = [Canary()]
    seen = weakref.ref(cycle[0])
    cycle.append(ready(cycle))
    del cycle
    gc.collect()
    assert seen() is None


def test_bad_arguments() -> None:
    for name in ("c", "python"):
        make_ready = ready_class(name)
        make_waiter = waiter_class(name)
        for wrong in ((), (1, 2)):
            with pytest.raises(TypeError):
                make_ready(*wrong)
        with pytest.raises(TypeError):
            make_waiter()
    with pytest.raises(TypeError, match="exception class"):
        waiter_class("c")(None, int)


# Waiter


class Story:
    """A task that waits, and all that happens, in order."""

    def __init__(self, new: NewWaiter, *, armed: bool = True) -> None:
        self.waiter = new(asyncio.get_running_loop())
        self.events: list[object] = []
        self.told: list[BaseException] = []
        if armed:
            self.arm()

    def arm(self) -> None:
        self.waiter.arm(self.told.append)

    async def wait(self) -> str:
        self.events.append("waits")
        try:
            await self.waiter
        except BaseException as error:
            self.events.append(type(error))
            raise
        self.events.append("woken")
        return "done"

    async def waiting(self) -> asyncio.Task[str]:
        """A task that has come to the await."""
        task = asyncio.create_task(self.wait())
        await turn()
        assert self.events == ["waits"]
        assert not task.done()
        return task

    def from_the_loop(self, *, at_once: bool) -> asyncio.Future[None]:
        """Fire from a callback of the loop, as streams do; gives when that is over."""
        loop = asyncio.get_running_loop()
        fired = loop.create_future()

        def fire() -> None:
            self.waiter.fire(at_once)
            self.events.append("fired")
            fired.set_result(None)

        loop.call_soon(fire, context=contextvars.Context())
        return fired


async def turn() -> None:
    """Let the loop do what is due."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_fired_at_once(new: NewWaiter, run: Run) -> None:
    """The task goes on within the call."""

    async def body() -> None:
        story = Story(new)
        task = await story.waiting()
        await story.from_the_loop(at_once=True)
        assert story.events == ["waits", "woken", "fired"]
        assert await task == "done"
        assert story.told == []

    run(body())


def test_fired_for_later(new: NewWaiter, run: Run) -> None:
    async def body() -> None:
        story = Story(new)
        task = await story.waiting()
        await story.from_the_loop(at_once=False)
        assert await task == "done"
        assert story.events == ["waits", "fired", "woken"]
        assert story.told == []

    run(body())


@pytest.mark.parametrize("at_once", [True, False])
def test_not_armed_or_fired_before(new: NewWaiter, run: Run, at_once: bool) -> None:
    async def body() -> None:
        story = Story(new, armed=False)
        story.waiter.fire(at_once)  # nobody waits
        assert await story.wait() == "done"
        story.arm()
        story.waiter.fire(at_once)
        assert await story.wait() == "done"
        assert story.events == ["waits", "woken"] * 2
        assert story.told == []

    run(body())


def test_used_over_and_over(new: NewWaiter, run: Run) -> None:
    async def body() -> None:
        story = Story(new, armed=False)
        loop = asyncio.get_running_loop()
        for number in range(200):
            story.arm()
            loop.call_soon(story.waiter.fire, number % 2 == 0, context=contextvars.Context())
            await story.waiter
        assert story.told == []

    run(body())


def test_fired_twice(new: NewWaiter, run: Run) -> None:
    async def body() -> None:
        story = Story(new)
        task = await story.waiting()
        story.waiter.fire(False)
        story.waiter.fire(False)
        story.waiter.fire(True)
        assert await task == "done"
        assert story.events == ["waits", "woken"]

    run(body())


def test_fired_within_another_task(new: NewWaiter, run: Run) -> None:
    """A task can't run within another one: the loop's next turn runs it."""

    async def body() -> None:
        story = Story(new)
        task = await story.waiting()
        story.waiter.fire(True)
        assert story.events == ["waits"]
        assert await task == "done"
        assert story.events == ["waits", "woken"]

    run(body())


def test_fired_within_its_own_context(new: NewWaiter, run: Run) -> None:
    """A context can't be entered twice."""

    async def body() -> None:
        story = Story(new)
        context = contextvars.copy_context()
        task = asyncio.create_task(story.wait(), context=context)
        await turn()
        asyncio.get_running_loop().call_soon(story.waiter.fire, True, context=context)
        assert await task == "done"

    run(body())


@pytest.mark.parametrize("at_once", [True, False])
def test_context_variables(new: NewWaiter, run: Run, at_once: bool) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")

    async def body() -> None:
        story = Story(new)

        async def wait() -> str:
            variable.set("inside")
            await story.waiter
            return variable.get()

        task = asyncio.create_task(wait())
        await turn()
        seen: list[str] = []

        def fire() -> None:
            story.waiter.fire(at_once)
            seen.append(variable.get())

        asyncio.get_running_loop().call_soon(fire)
        assert await task == "inside"
        assert seen == ["outside"]

    run(body())


@pytest.mark.parametrize("message", [None, "why"])
def test_cancelled_while_waiting(new: NewWaiter, run: Run, message: str | None) -> None:
    async def body() -> None:
        story = Story(new)
        task = await story.waiting()
        assert task.cancel(message)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert story.events == ["waits", asyncio.CancelledError]
        (error,) = story.told
        assert isinstance(error, asyncio.CancelledError)
        assert error.args == (() if message is None else (message,))
        story.waiter.fire(True)  # the response that nobody waits for any more
        # It can be used again.
        story.arm()
        story.waiter.fire(False)
        await story.waiter
        assert len(story.told) == 1

    run(body())


def test_cancelled_and_fired_in_one_turn(new: NewWaiter, run: Run) -> None:
    """Whichever came first, the task is cancelled, and the owner knows."""

    async def body() -> None:
        for first in ("cancel", "fire"):
            story = Story(new)
            task = await story.waiting()
            if first == "cancel":
                task.cancel("why")
                story.waiter.fire(True)
            else:
                story.waiter.fire(False)
                task.cancel("why")
            with pytest.raises(asyncio.CancelledError):
                await task
            assert story.events == ["waits", asyncio.CancelledError]
            assert [type(error) for error in story.told] == [asyncio.CancelledError]

    run(body())


def test_cancelled_in_other_states(new: NewWaiter, run: Run) -> None:
    async def body() -> None:
        # before it began
        story = Story(new)
        task = asyncio.create_task(story.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (story.events, story.told) == ([], [])

        # by itself, so that the cancellation is due when it comes to the await
        async def cancels_itself() -> str:
            current = asyncio.current_task()
            assert current is not None
            current.cancel("own")
            return await story.wait()

        task = asyncio.create_task(cancels_itself())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [type(error) for error in story.told] == [asyncio.CancelledError]
        # when it was resumed at once, and is done
        story = Story(new)
        task = await story.waiting()
        await story.from_the_loop(at_once=True)
        assert not task.cancel()
        assert await task == "done"
        assert story.told == []

    run(body())


def test_cancelled_again_and_again(new: NewWaiter, run: Run) -> None:
    """A task that goes on after its cancellation waits for the next response."""

    async def body() -> None:
        story = Story(new)

        async def stubborn() -> int:
            caught = 0
            for _ in range(3):
                story.arm()
                try:
                    await story.waiter
                except asyncio.CancelledError:
                    caught += 1
            story.arm()
            await story.waiter
            return caught

        task = asyncio.create_task(stubborn())
        for _ in range(3):
            await turn()
            task.cancel()
        await turn()
        story.waiter.fire(True)
        assert await task == 3
        assert len(story.told) == 3

    run(body())


def test_time_outs(new: NewWaiter, run: Run) -> None:
    async def body() -> None:
        story = Story(new)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await story.wait()
        story.arm()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(story.wait(), 0.01)
        assert [type(error) for error in story.told] == [asyncio.CancelledError] * 2
        story.arm()
        async with asyncio.timeout(5):
            fired = story.from_the_loop(at_once=True)
            await story.waiter
        await fired
        assert len(story.told) == 2

    run(body())


def test_an_error_of_the_task_is_the_task_s(new: NewWaiter, run: Run) -> None:
    """Also a RuntimeError, which `fire` looks for."""

    async def body() -> None:
        story = Story(new)

        async def wait() -> None:
            await story.waiter
            raise RuntimeError("my own")

        task = asyncio.create_task(wait())
        await turn()
        await story.from_the_loop(at_once=True)
        assert task.done()
        with pytest.raises(RuntimeError, match="my own"):
            await task

    run(body())


def test_what_ends_the_program_goes_through(new: NewWaiter) -> None:
    loop = asyncio.new_event_loop()
    waiter = new(loop)
    waiter.arm(None)

    async def wait() -> None:
        await waiter
        raise KeyboardInterrupt

    task = loop.create_task(wait())
    loop.call_soon(lambda: loop.call_soon(waiter.fire, True, context=contextvars.Context()))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert task.done()
    assert isinstance(task.exception(), KeyboardInterrupt)
    loop.close()


# Waiter, without an event loop


class NoLoop:
    """What a Waiter uses of a loop."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> object:
        self.calls.append((callback, args, context))
        return None

    def get_debug(self) -> bool:
        """Asked for by asyncio's futures."""
        return False


def started(waiter: Waiter) -> Coroutine[Any, Any, str]:
    """A coroutine that has come to the await."""

    async def wait() -> str:
        await waiter
        return "woken"

    coroutine = wait()
    assert coroutine.send(None) is waiter
    assert asyncio.isfuture(waiter)
    return coroutine


@pytest.fixture
def bare(new: NewWaiter) -> tuple[Waiter, list[BaseException], NoLoop]:
    loop: Any = NoLoop()
    waiter = new(loop)
    told: list[BaseException] = []
    waiter.arm(told.append)
    return waiter, told, loop


Bare = tuple[Waiter, list[BaseException], NoLoop]


def test_woken_by_someone_else(bare: Bare) -> None:
    waiter, told, _ = bare
    coroutine = started(waiter)
    with pytest.raises(RuntimeError, match="woken by someone else"):
        coroutine.send(None)
    assert [type(error) for error in told] == [RuntimeError]
    waiter.fire(False)
    assert len(told) == 1


def test_something_thrown_in(bare: Bare) -> None:
    waiter, told, _ = bare
    error = OSError("thrown")
    coroutine = started(waiter)
    with pytest.raises(OSError, match="thrown") as caught:
        coroutine.throw(error)
    assert caught.value is error
    assert told == [error]


@pytest.mark.parametrize("stop", [StopIteration, StopIteration("a response")])
def test_stop_iteration_thrown_in(bare: Bare, stop: Any) -> None:
    waiter, told, _ = bare
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        started(waiter).throw(stop)
    assert len(told) == 1
    assert not waiter.armed


@pytest.mark.parametrize("how", ["fire", "cancel"])
def test_a_callback_that_comes_late(bare: Bare, how: str) -> None:
    """It is called too, as a future's."""
    waiter, _, loop = bare
    coroutine = started(waiter)
    if how == "fire":
        waiter.fire(True)
    else:
        waiter.cancel()
    assert loop.calls == []
    got: list[object] = []
    waiter.add_done_callback(got.append, context=contextvars.Context())
    ((callback, (future,), _context),) = loop.calls
    callback(future)
    assert len(got) == 1
    if how == "fire":
        with pytest.raises(StopIteration, match="woken"):
            coroutine.send(None)
    else:
        with pytest.raises(asyncio.CancelledError):
            coroutine.send(None)


def test_closed_while_waiting(bare: Bare) -> None:
    waiter, told, _ = bare
    started(waiter).close()
    assert [type(error) for error in told] == [GeneratorExit]


def test_collected_while_waiting(bare: Bare) -> None:
    waiter, told, _ = bare
    coroutine = started(waiter)
    del coroutine
    gc.collect()
    assert [type(error) for error in told] == [GeneratorExit]


def test_closed_before_waiting_or_after(bare: Bare) -> None:
    waiter, told, _ = bare

    async def wait() -> None:
        await waiter

    coroutine = wait()
    coroutine.close()
    waiter.fire(False)
    with pytest.raises(StopIteration):
        wait().send(None)
    assert told == []


def test_callbacks(bare: Bare) -> None:
    """What is given to `add_done_callback` is called once, in its context, with the waiter or the
    future that was given for it.
    """
    waiter, _, loop = bare
    assert waiter._loop is loop
    context = contextvars.copy_context()
    calls: list[object] = []
    waiter.add_done_callback(calls.append, context=context)
    waiter.fire(False)
    waiter.fire(False)
    assert not waiter.cancel()
    ((_, (given,), _),) = loop.calls
    assert given is waiter or isinstance(given, asyncio.Future)
    assert loop.calls == [(calls.append, (given,), context)]
    waiter.arm(None)
    waiter.add_done_callback(calls.append)
    waiter.fire(True)  # without a context: not at once
    assert loop.calls[1:] == [(calls.append, (given,), None)]
    waiter.arm(None)
    waiter.add_done_callback(calls.append, context=context)
    waiter.fire(True)
    assert calls == [given]
    waiter.arm(None)
    waiter.add_done_callback(calls.append, context=context)
    assert waiter.cancel(msg="why")
    assert not waiter.cancel("again")
    assert loop.calls[2:] == [(calls.append, (waiter,), context)]
    with pytest.raises(asyncio.CancelledError, match="why"):
        waiter.result()
    waiter.result()
    waiter.arm(None)
    waiter.fire(False)
    waiter.fire(True)
    assert len(loop.calls) == 3


def test_an_error_of_the_loop_surfaces(new: NewWaiter) -> None:
    class Closed(NoLoop):
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> object:
            raise OverflowError("no more")

    loop: Any = Closed()
    wakes: list[Callable[[Waiter], object]] = [
        lambda waiter: waiter.fire(False),
        lambda waiter: waiter.cancel(),
    ]
    for wake in wakes:
        waiter = new(loop)
        waiter.arm(None)
        waiter.add_done_callback(print, context=contextvars.copy_context())
        with pytest.raises(OverflowError, match="no more"):
            wake(waiter)


def test_waiter_keeps_nothing_alive(bare: Bare) -> None:
    waiter, _, _ = bare

    def keeping(canary: Canary) -> Callable[[object], object]:
        return lambda _: canary

    canaries = [Canary() for _ in range(4)]
    seen = [weakref.ref(canary) for canary in canaries]

    async def wait(_: Canary) -> None:
        await waiter

    wakes: list[Callable[[], object]] = [
        lambda: waiter.fire(False),
        lambda: waiter.cancel("why"),
    ]
    for wake in wakes:
        waiter.arm(keeping(canaries[0]))
        coroutine = wait(canaries[1])
        coroutine.send(None)
        context = contextvars.copy_context()
        waiter.add_done_callback(keeping(canaries[2]), context=context)
        wake()
        try:
            coroutine.send(None)
        except (StopIteration, asyncio.CancelledError) as error:
            error.__traceback__ = None
        del coroutine
        waiter._loop.calls.clear()
    canaries.clear()
    gc.collect()
    assert [ref() for ref in seen] == [None] * 4


class FailedError(Exception):
    """Given to `fail`."""


def test_an_owner_that_raises(bare: Bare) -> None:
    waiter, _, _ = bare

    def fail(error: BaseException) -> None:
        raise FailedError("owner")

    waiter.arm(fail)
    with pytest.raises(FailedError, match="owner") as caught:
        started(waiter).throw(OSError("thrown"))
    assert isinstance(caught.value.__context__, OSError)
    waiter.arm(fail)
    with pytest.raises(FailedError, match="owner"):
        started(waiter).close()
    waiter.arm(fail)
    coroutine = started(waiter)
    waiter.cancel()
    with pytest.raises(FailedError, match="owner") as caught:
        coroutine.send(None)
    assert isinstance(caught.value.__context__, asyncio.CancelledError)


def test_failed_while_waiting(bare: Bare) -> None:
    waiter, told, loop = bare
    coroutine = started(waiter)
    context = contextvars.copy_context()
    calls: list[object] = []
    waiter.add_done_callback(calls.append, context=context)
    error = FailedError("why")
    waiter.fail(error)
    assert waiter.armed is False
    assert loop.calls == [(calls.append, (waiter,), context)]
    waiter.fail(FailedError("too late"))
    waiter.fire(True)
    assert not waiter.cancel()
    assert len(loop.calls) == 1
    with pytest.raises(FailedError, match="why") as caught:
        coroutine.send(None)
    assert caught.value is error
    assert told == [error]
    waiter.result()


def test_failed_before_waiting(bare: Bare) -> None:
    waiter, told, loop = bare
    error = FailedError("why")
    waiter.fail(error)
    assert loop.calls == []

    async def wait() -> None:
        await waiter

    with pytest.raises(FailedError) as caught:
        wait().send(None)
    assert caught.value is error
    assert told == [error]
    wait().close()
    with pytest.raises(StopIteration):
        wait().send(None)
    waiter.arm(None)
    assert waiter.armed


def test_a_callback_behind_a_failure(bare: Bare) -> None:
    waiter, _, loop = bare
    waiter.fail(FailedError("why"))
    waiter.add_done_callback(print)
    assert loop.calls == [(print, (waiter,), None)]
    with pytest.raises(FailedError):
        waiter.result()


def test_failed_when_fired_or_cancelled(bare: Bare) -> None:
    waiter, told, loop = bare
    waiter.fire(False)
    waiter.fail(FailedError("too late"))
    waiter.result()
    waiter.arm(told.append)
    assert waiter.cancel("first")
    waiter.fail(FailedError("too late"))
    with pytest.raises(asyncio.CancelledError, match="first"):
        waiter.result()
    waiter.fail(FailedError("too late"))
    waiter.result()
    assert loop.calls == []


@pytest.mark.parametrize("armed", [True, False])
def test_failed_within_a_task(new: NewWaiter, run: Run, armed: bool) -> None:
    """As by a timer: while the task waits, or before it does."""

    async def body() -> None:
        loop = asyncio.get_running_loop()
        waiter, told = new(loop), list[BaseException]()
        waiter.arm(told.append)
        error = FailedError("why")

        async def wait() -> None:
            await waiter

        if not armed:
            waiter.fail(error)
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        if armed:
            loop.call_soon(waiter.fail, error)
        with pytest.raises(FailedError):
            await task
        assert told == [error]

    run(body())


def test_failed_and_cancelled_at_once(new: NewWaiter, run: Run) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        waiter, told = new(loop), list[BaseException]()
        waiter.arm(told.append)

        async def wait() -> None:
            await waiter

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        waiter.fail(FailedError("first"))
        task.cancel()  # asyncio finds the waiter done, and throws
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(told) == 1
        waiter.arm(None)
        waiter.fire(False)
        await waiter

    run(body())


def test_a_failure_that_runs_code(bare: Bare) -> None:
    """The error before goes when another is set: what it does then meets a waiter that is whole."""
    waiter, told, loop = bare

    class Held(Exception):
        def __del__(self) -> None:
            waiter.add_done_callback(gone.append)
            waiter.fail(FailedError("in between"))
            waiter.fire(True)
            with contextlib.suppress(FailedError):
                coroutine.throw(FailedError("thrown"))

    gone: list[object] = []
    waiter.fail(Held())
    waiter.arm(told.append)
    coroutine = started(waiter)
    waiter.add_done_callback(gone.append, context=contextvars.copy_context())
    waiter.fail(FailedError("why"))
    gc.collect()
    assert len(loop.calls) >= 1
    assert gone == []


@pytest.mark.parametrize("wrong", [None, 5, "why", FailedError])
def test_what_is_no_failure(wrong: Any) -> None:
    waiter = waiter_class("c")(NoLoop(), asyncio.CancelledError)
    waiter.arm(None)
    with pytest.raises(TypeError, match="fail takes an exception"):
        waiter.fail(wrong)
    assert waiter.armed


def test_at_once_is_asked_first(bare: Bare) -> None:
    """What it runs may resume the task before."""
    waiter, _, loop = bare
    coroutine = started(waiter)
    waiter.add_done_callback(print, context=contextvars.copy_context())

    class Odd:
        def __bool__(self) -> bool:
            with contextlib.suppress(FailedError):
                coroutine.throw(FailedError("thrown"))
            return False

    odd: Any = Odd()
    waiter.fire(odd)
    assert all(call[0] is print for call in loop.calls)


def test_waiter_in_a_cycle(new: NewWaiter) -> None:
    loop: Any = NoLoop()
    loop.waiter = new(loop)
    loop.waiter.arm(loop.calls.append)
    loop.waiter.add_done_callback(loop.calls.append, context=contextvars.copy_context())
    seen = weakref.ref(loop)
    del loop
    gc.collect()
    assert seen() is None


def test_an_await_that_delegates(bare: Bare) -> None:
    """As `yield from` in an `__await__` of Python does it."""
    waiter, told, _ = bare

    class Delegating:
        def __await__(self) -> Generator[Any, None, str]:
            yield from waiter.__await__()
            return "woken"

    async def wait(inner: Awaitable[str]) -> str:
        return await inner

    coroutine = wait(Delegating())
    assert coroutine.send(None) is waiter
    waiter.fire(False)
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    assert caught.value.value == "woken"
    waiter.arm(told.append)
    coroutine = wait(Delegating())
    coroutine.send(None)
    coroutine.close()
    assert [type(error) for error in told] == [GeneratorExit]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 introduced eager tasks")
@pytest.mark.parametrize("name", LOOPS)
def test_eager_tasks(new: NewWaiter, name: str) -> None:
    factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
    takes = {parameter.kind for parameter in inspect.signature(factory).parameters.values()}
    gives_more = name == "uvloop" and sys.version_info >= (3, 13)
    if gives_more and inspect.Parameter.VAR_KEYWORD not in takes:
        pytest.skip("uvloop gives factories an argument that this Python's does not take")
    if name == "uvloop" and sys.version_info >= (3, 14):
        pytest.skip("uvloop gives factories an argument by which tasks aren't eager")

    async def body() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        story = Story(new)
        task = asyncio.create_task(story.wait())
        assert story.events == ["waits"]
        await story.from_the_loop(at_once=True)
        assert story.events == ["waits", "woken", "fired"]
        assert await task == "done"
        story = Story(new)
        story.waiter.fire(True)
        task = asyncio.create_task(story.wait())
        assert task.done()
        story = Story(new)
        task = asyncio.create_task(story.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(story.told) == 1

    with asyncio.Runner(loop_factory=lambda: new_loop(name)) as runner:
        runner.run(body())
