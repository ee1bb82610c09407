"""What `Cursor.execute` returns, driven by hand: closed, thrown into, awaited twice or never."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from aiomysql_core import Connection, InterfaceError, connect
from tests.core.statements import rows, sizes

SLEEP = "SELECT SLEEP(IF(%s = 'long', 2, 0))"
SHORT, LONG = ("short",), ("long",)

#: Seconds.
TOO_SHORT = 0.05


async def opened(connect_args: dict[str, Any], size: int = 0) -> Connection:
    """A connection on which SLEEP was run once, and so is prepared if `size` says so."""
    connection = await connect(**connect_args, stmt_cache_size=size)
    assert await rows(await connection.cursor(), SLEEP, SHORT) == [(0,)]
    return connection


@sizes
async def test_closed_before_it_runs(connect_args: dict[str, Any], size: int) -> None:
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    for timeout in (None, 5):
        work = cursor.execute(SLEEP, LONG, timeout=timeout)
        work.close()
        work.close()
        with pytest.raises(RuntimeError, match="already awaited"):
            await work
    assert await rows(cursor, SLEEP, SHORT) == [(0,)]
    await connection.ensure_closed()


async def test_never_awaited(connect_args: dict[str, Any]) -> None:
    """A warning, as for every coroutine; nothing is sent and nothing held."""
    connection = await opened(connect_args)
    cursor = await connection.cursor()

    class Held(str):
        __slots__ = ("__weakref__",)

    held = Held("x")
    gone = weakref.ref(held)
    with pytest.warns(RuntimeWarning, match=r"Cursor\.execute' was never awaited"):
        cursor.execute("SELECT %s", (held,))  # type: ignore[unused-coroutine]
    del held
    assert gone() is None
    assert await rows(cursor, SLEEP, SHORT) == [(0,)]
    await connection.ensure_closed()


@sizes
async def test_closed_while_it_waits(connect_args: dict[str, Any], size: int) -> None:
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    work = cursor.execute(SLEEP, LONG)
    waits_for = work.send(None)
    assert asyncio.isfuture(waits_for)
    assert connection.runner.busy
    work.close()
    assert connection.closed
    assert not connection.runner.busy
    with pytest.raises(RuntimeError, match="already awaited"):
        await work
    with pytest.raises(InterfaceError):
        await cursor.execute("SELECT 1")


@sizes
async def test_dropped_while_it_waits(connect_args: dict[str, Any], size: int) -> None:
    """Nothing is left of it, without the garbage collector."""
    problems: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, problems.append
    gc.collect()
    gc.disable()
    try:
        connection = await opened(connect_args, size)
        cursor = await connection.cursor()
        gone = weakref.ref(cursor), weakref.ref(connection)
        work = cursor.execute(SLEEP, LONG)
        work.send(None)
        del cursor, work
        assert gone[0]() is None
        assert connection.closed
        assert not connection.runner.busy
        del connection
        await asyncio.sleep(0)  # the stream says so in the loop's next turn
        await asyncio.sleep(0)
        assert gone[1]() is None
    finally:
        gc.enable()
        sys.unraisablehook = before
    assert problems == []


class Thrown(Exception):
    """An error that nobody knows."""


class ThrownBase(BaseException):
    """One that is not to be caught."""


@sizes
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Thrown("why"), "why"),
        (ThrownBase("why"), "why"),
        (asyncio.CancelledError("why"), "Cancelled during execution"),
        (StopAsyncIteration("why"), "why"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_thrown_into(
    connect_args: dict[str, Any], size: int, error: BaseException, reason: str
) -> None:
    """It comes out as it is; the connection is closed, and says why."""
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    work = cursor.execute(SLEEP, LONG)
    work.send(None)
    with pytest.raises(type(error)) as caught:
        work.throw(error)
    assert caught.value is error
    assert connection.closed
    assert not connection.runner.busy
    with pytest.raises(InterfaceError, match=reason):
        await cursor.execute("SELECT 1")
    await connection.ping()
    assert await rows(cursor, "SELECT 1") == [(1,)]
    await connection.ensure_closed()


@sizes
@pytest.mark.parametrize("stop", [StopIteration, StopIteration(1)], ids=["class", "instance"])
async def test_stop_iteration_is_no_response(
    connect_args: dict[str, Any], size: int, stop: Any
) -> None:
    connection = await opened(connect_args, size)
    work = (await connection.cursor()).execute(SLEEP, LONG)
    work.send(None)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        work.throw(stop)
    assert connection.closed
    assert not connection.runner.busy


async def test_stop_iteration_thrown_into_a_context(connection: Connection) -> None:
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        connection.cursor().throw(StopIteration(1))
    for context in connection.prepare("SELECT 1"), connect(host="nobody.invalid"):
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            context.throw(StopIteration(1))


@sizes
async def test_thrown_into_before(connect_args: dict[str, Any], size: int) -> None:
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    work = cursor.execute(SLEEP, LONG)
    with pytest.raises(Thrown):
        work.throw(Thrown("why"))
    assert await rows(cursor, SLEEP, SHORT) == [(0,)]
    await connection.ensure_closed()


@sizes
async def test_awaited_twice(connect_args: dict[str, Any], size: int) -> None:
    """After it has run, and while it does."""
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    work = cursor.execute(SLEEP, SHORT)
    assert await work == 1
    with pytest.raises(RuntimeError, match="already awaited"):
        await work
    work = cursor.execute("SELECT SLEEP(0.1)")
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)

    async def again() -> Any:
        return await work

    with pytest.raises(RuntimeError, match="already"):
        await again()
    assert await task == 1
    assert await cursor.fetchall() == ((0,),)
    await connection.ensure_closed()


@sizes
async def test_resumed_too_early(connect_args: dict[str, Any], size: int) -> None:
    """By someone who does not wait for what it waits for."""
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    work = cursor.execute(SLEEP, LONG)
    work.send(None)
    with pytest.raises(RuntimeError, match="woken by someone else"):
        work.send(None)
    assert connection.closed
    assert not connection.runner.busy


@sizes
async def test_driven_by_hand(connect_args: dict[str, Any], size: int) -> None:
    """What is waited for calls back as a future does, and the result is there."""
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    work = cursor.execute(SLEEP, SHORT)
    waits_for = work.send(None)
    called = asyncio.Event()
    waits_for.add_done_callback(lambda _: called.set())
    assert waits_for._loop is asyncio.get_running_loop()
    await asyncio.wait_for(called.wait(), 5)
    with pytest.raises(StopIteration) as stopped:
        work.send(None)
    assert stopped.value.value == 1
    assert await cursor.fetchall() == ((0,),)
    assert not connection.runner.busy
    assert await rows(cursor, SLEEP, SHORT) == [(0,)]
    await connection.ensure_closed()


@sizes
async def test_what_is_waited_for_is_cancelled(connect_args: dict[str, Any], size: int) -> None:
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    work = cursor.execute(SLEEP, LONG)
    waits_for = work.send(None)
    assert waits_for.cancel("enough") is True
    assert waits_for.cancel() is False
    with pytest.raises(asyncio.CancelledError, match="enough"):
        work.send(None)
    assert connection.closed
    with pytest.raises(InterfaceError, match="Cancelled during execution"):
        await cursor.execute("SELECT 1")


def by_task(work: Any) -> Any:
    return asyncio.create_task(work)


def by_wait_for(work: Any) -> Any:
    return asyncio.wait_for(work, 5)


async def by_gather(work: Any) -> Any:
    (result,) = await asyncio.gather(work)
    return result


def by_shield(work: Any) -> Any:
    return asyncio.shield(work)


async def by_group(work: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
    return task.result()


async def by_eager_task(work: Any) -> Any:
    return await eager_tasks(asyncio.get_running_loop(), work)


CONSUMERS: list[Callable[[Any], Any]] = [by_task, by_wait_for, by_gather, by_shield, by_group]
eager_tasks: Any = getattr(asyncio, "eager_task_factory", None)  # Python 3.12
if eager_tasks is not None:
    CONSUMERS.append(by_eager_task)


@sizes
@pytest.mark.parametrize("consume", CONSUMERS)
async def test_consumers(
    connect_args: dict[str, Any], size: int, consume: Callable[[Any], Any]
) -> None:
    """Everything of asyncio's that runs coroutines; they keep their context variables."""
    connection = await opened(connect_args, size)
    cursor = await connection.cursor()
    variable: ContextVar[int] = ContextVar("variable")

    async def work(number: int) -> Any:
        variable.set(number)
        assert await cursor.execute(SLEEP, SHORT) == 1
        return variable.get(), await cursor.fetchall()

    for number in (1, 2):
        assert await consume(work(number)) == (number, ((0,),))
    assert await consume(cursor.execute(SLEEP, SHORT)) == 1
    await connection.ensure_closed()


@sizes
async def test_no_cycle_is_left(connect_args: dict[str, Any], size: int) -> None:
    """Neither of a statement, nor of its error, its time-out or its cancellation."""

    async def use(
        query: str, timeout: float | None = None, *, cancel: bool = False
    ) -> list[weakref.ref[Any]]:
        cursor = await connection.cursor()
        task = asyncio.ensure_future(cursor.execute(query, LONG, timeout=timeout))
        if cancel:
            await asyncio.sleep(0.05)
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is cancel
        failed = "nothing" in query or timeout == TOO_SHORT
        assert cancel or (task.exception() is not None) is failed
        return [weakref.ref(cursor), weakref.ref(task)]

    connection = await opened(connect_args, size)
    await use("SELECT %s")
    gc.collect()
    gc.disable()
    try:
        for query, timeout, cancel in [
            ("SELECT %s", None, False),
            ("SELECT %s", 5, False),
            ("SELECT %s, nothing_here", None, False),
            ("SELECT %s, nothing_here", 5, False),
            (SLEEP, TOO_SHORT, False),
            (SLEEP, None, True),
        ]:
            if connection.closed:
                await connection.ping()
                await use("SELECT %s")
            gone = await use(query, timeout, cancel=cancel)
            await asyncio.sleep(0.01)
            assert [reference() for reference in gone] == [None, None], query
    finally:
        gc.enable()
    assert connection.closed


async def test_unread_results_do_not_warn(connect_args: dict[str, Any]) -> None:
    """A cursor that is dropped with rows nobody fetched is no one's affair."""
    connection = await opened(connect_args)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            await (await connection.cursor()).execute("SELECT 1 UNION SELECT 2")
            gc.collect()
        assert await rows(await connection.cursor(), "SELECT 3") == [(3,)]
    await connection.ensure_closed()
