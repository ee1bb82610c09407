"""Who has the connections, told by the pool when somebody waits for one for too long."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest

from aiomysql_pool import Pool
from tests.pool.conftest import MakePool, wait_until

SOON = 0.05


async def hold(pool: Pool, is_over: asyncio.Event) -> None:
    async with pool.acquire():
        await wait_for(is_over)


async def wait_for(event: asyncio.Event) -> None:
    await event.wait()


def acquired(pool: Pool, is_over: asyncio.Event, name: str) -> asyncio.Task[None]:
    return asyncio.create_task(hold(pool, is_over), name=name)


def reports(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [record.message for record in caplog.records if words in record.message]


def is_reported(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return bool(reports(caplog, words))


WAITED = "waited for a connection for more than 0.05 s"


@pytest.mark.parametrize("options", [{}, {"timeout": 30}, {"max_lifetime": 1000, "debug": True}])
async def test_waiting_for_a_connection(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    """Once for each wait, however it came into the queue; those of one round in one message."""
    pool = await make_pool(maxsize=2, report_wait_after=SOON, **options)
    over = asyncio.Event()
    holders = [acquired(pool, over, name) for name in ("first one", "second one")]
    await wait_until(lambda: pool.get_stats()["acquired"] == 2)
    waiting = [asyncio.create_task(hold(pool, over)) for _ in range(3)]
    await wait_until(lambda: is_reported(caplog, WAITED))
    await asyncio.sleep(4 * SOON)
    (report,) = reports(caplog, WAITED)
    assert "3 callers have waited" in report
    assert "maxsize 2, acquired 2, free 0, connecting 0, resetting 0, waiting 3" in report
    for name in ("first one", "second one"):
        assert f"is acquired by task {name!r}, now in wait_for, {__file__}:" in report
    assert ("in hold" in report) is bool(options.get("debug"))
    late = asyncio.create_task(hold(pool, over))
    await wait_until(lambda: len(reports(caplog, WAITED)) == 2)
    assert "a caller has waited" in reports(caplog, WAITED)[1]
    over.set()
    await asyncio.gather(*holders, *waiting, late)
    await asyncio.sleep(4 * SOON)
    assert len(reports(caplog, WAITED)) == 2


async def test_a_connection_that_was_handed_over(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the task that has it, not the one that released it."""
    pool = await make_pool(maxsize=1, report_wait_after=SOON)
    before, over = asyncio.Event(), asyncio.Event()
    first = acquired(pool, before, "first one")
    await asyncio.sleep(0)
    second = acquired(pool, over, "second one")
    await asyncio.sleep(0)
    before.set()
    await first
    caplog.clear()
    third = acquired(pool, over, "third one")
    await wait_until(lambda: is_reported(caplog, "acquired by task 'second one'"))
    over.set()
    await asyncio.gather(second, third)


async def test_a_task_that_has_ended(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool = await make_pool(maxsize=1, report_wait_after=SOON)
    kept = []

    async def keep() -> None:
        kept.append(await pool.acquire())

    for is_kept in (True, False):
        caplog.clear()
        task = asyncio.create_task(keep(), name="gone")
        await task
        if not is_kept:
            del task
            gc.collect()
        waiting = asyncio.create_task(keep())
        words = "task 'gone', which has ended" if is_kept else "a task that is gone"
        await wait_until(partial(is_reported, caplog, words))
        pool.release(kept.pop())
        await waiting
        pool.release(kept.pop())


async def test_a_task_is_not_kept(make_pool: MakePool) -> None:
    """Nor is what it holds, where it is dropped with a connection of the pool."""
    pool = await make_pool(maxsize=1)
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Held:
        def __del__(self) -> None:
            loop.call_soon(gone.set)

    async def drop() -> None:
        held = Held()
        async with pool.acquire():
            pass
        del held

    await asyncio.create_task(drop())
    await asyncio.wait_for(gone.wait(), 10)
    await asyncio.sleep(0)  # Python 3.14 holds a task for one turn more
    (holder,) = pool._leases.holders.values()
    assert holder.acquired_by is not None
    gc.collect()
    assert holder.acquired_by() is None


async def test_the_end_of_a_pool(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool = await make_pool(maxsize=2, report_wait_after=SOON)
    over = asyncio.Event()
    holder = acquired(pool, over, "the last one")
    await asyncio.sleep(0)
    pool.close()
    closing = asyncio.create_task(pool.wait_closed())
    words = "its end has been waited for for more than 0.05 s"
    await wait_until(lambda: is_reported(caplog, words))
    await asyncio.sleep(4 * SOON)
    (report,) = reports(caplog, words)
    assert "is acquired by task 'the last one', now in wait_for" in report
    over.set()
    await asyncio.gather(holder, closing)


async def test_nothing_to_report(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for seconds in (None, 1000):
        pool = await make_pool(maxsize=1, report_wait_after=seconds, max_idle=SOON)
        over = asyncio.Event()
        tasks: list[Awaitable[None]] = [acquired(pool, over, str(n)) for n in range(2)]
        await asyncio.sleep(4 * SOON)
        over.set()
        await asyncio.gather(*tasks)
        (holder,) = pool._leases.holders.values()
        assert (holder.acquired_by is None) is (seconds is None)
        pool.close()
        await pool.wait_closed()
    assert not caplog.records


async def test_many_holders(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    pool = await make_pool(maxsize=22, report_wait_after=SOON)
    over = asyncio.Event()
    tasks = [acquired(pool, over, str(number)) for number in range(23)]
    await wait_until(lambda: is_reported(caplog, "acquired 22"))
    assert reports(caplog, "acquired 22")[-1].endswith("\n  and 2 more")
    over.set()
    await asyncio.gather(*tasks)
