"""Time-outs of `acquire`, limits of the queue, and options that can't be."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from aiomysql_core import OperationalError
from aiomysql_pool import PoolTimeout, TooManyWaiters, create_pool
from tests.pool.conftest import MakePool, one, wait_until
from tests.scripted import scripted_server, silent
from tests.servers import Server


async def test_acquire_times_out(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    for error in (PoolTimeout, OperationalError, TimeoutError):
        with pytest.raises(error, match=r"within 0.02 s: size 1, maxsize 1, acquired 1"):
            await pool.acquire(timeout=0.02)
    assert not pool._leases.waiting
    assert pool.get_stats()["timeouts"] == 3
    pool.release(acquired)
    async with pool.acquire(timeout=0) as connection:  # an idle one needs no time
        assert await one(connection, "SELECT 1") == 1


async def test_option_timeout_holds_for_every_acquire(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1, timeout=0.02)
    async with pool.acquire() as acquired:
        with pytest.raises(PoolTimeout, match="within 0.02 s"):
            async with pool.acquire():
                raise AssertionError
        waiting = asyncio.ensure_future(pool.acquire(timeout=math.inf))
        await asyncio.sleep(0.06)
        assert not waiting.done()
    assert await waiting is acquired
    pool.release(acquired)


async def test_time_out_while_connecting(make_pool: MakePool) -> None:
    async with scripted_server(silent) as port:
        pool = await make_pool(minsize=0, host="127.0.0.1", port=port)
        with pytest.raises(PoolTimeout, match="connecting 1"):
            await pool.acquire(timeout=0.05)
        pool.terminate()
        await pool.wait_closed()


async def test_time_out_just_after_the_hand_over(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1)
    acquired = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire(timeout=0.05))
    await wait_until(lambda: pool._leases.waiting == 1)
    pool.release(acquired)
    assert await waiting is acquired
    await asyncio.sleep(0.08)  # the time passes after it was served
    assert pool._used == {acquired}
    pool.release(acquired)


async def test_max_waiting(make_pool: MakePool) -> None:
    pool = await make_pool(minsize=0, maxsize=2, max_waiting=1)
    # Two connections may be opened, so two don't wait for a release.
    first, second = await asyncio.gather(pool.acquire(), pool.acquire())
    waiting = asyncio.ensure_future(pool.acquire())
    await wait_until(lambda: pool._leases.waiting == 1)
    for error in (TooManyWaiters, OperationalError):
        with pytest.raises(error, match="1 callers wait .*'max_waiting'.* waiting 1"):
            await pool.acquire()
    pool.release(first)
    assert await waiting is first
    pool.release(first)
    pool.release(second)
    stats = pool.get_stats()
    assert (stats["refused"], stats["waiting"]) == (2, 0)


async def test_a_lost_waiter_makes_room(make_pool: MakePool) -> None:
    pool = await make_pool(maxsize=1, max_waiting=1)
    acquired = await pool.acquire()
    for _ in range(3):
        with pytest.raises(PoolTimeout):
            await pool.acquire(timeout=0.01)
    pool.release(acquired)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timeout": -1}, ValueError, "timeout should be at least 0 s, not -1"),
        ({"timeout": "3"}, TypeError, "timeout should be a number of seconds, not str"),
        ({"max_lifetime": 0}, ValueError, "max_lifetime should be above 0 s, not 0"),
        ({"max_lifetime": True}, TypeError, "max_lifetime .* not bool"),
        ({"max_idle": math.nan}, ValueError, "max_idle .* not nan"),
        ({"ping_after": -0.1}, ValueError, "ping_after .* not -0.1"),
        ({"report_lent_after": 0}, ValueError, "report_lent_after .* not 0"),
        ({"pool_recycle": -2}, ValueError, "pool_recycle .* not -2"),
        ({"pool_recycle": None}, TypeError, "pool_recycle .* not NoneType"),
        ({"max_waiting": -1}, ValueError, "max_waiting should be zero or greater, not -1"),
        ({"max_waiting": 1.5}, TypeError, "max_waiting should be an int, not float"),
        ({"minsize": "1"}, TypeError, "minsize should be an int, not str"),
        ({"maxsize": None}, TypeError, "maxsize should be an int, not NoneType"),
        ({"reset_session": "half"}, ValueError, "reset_session should be None, 'rollback'"),
        ({"configure": 1}, TypeError, "configure should be a function, not int"),
        ({"check": "ping"}, TypeError, "check should be a function, not str"),
        ({"reset": b""}, TypeError, "reset should be a function, not bytes"),
    ],
)
async def test_bad_options(
    options: dict[str, Any], error: type[Exception], message: str, unused_tcp_port: int
) -> None:
    with pytest.raises(error, match=message):
        await create_pool(host="127.0.0.1", port=unused_tcp_port, **options)


@pytest.mark.parametrize("place", ["first", "minsize", "timeout", "reset_session", "check"])
@pytest.mark.parametrize(
    "given",
    [
        "root:hunter2@127.0.0.1:3306/test",
        "mysql:/root:hunter2@h/test",
        "mysql//root:hunter2@h",
        "hunter2",
        b"mysql://root:hunter2@127.0.0.1:3306/test",
        bytearray(b"root:hunter2@h"),
    ],
)
async def test_a_slip_in_a_data_source_name_is_not_shown(given: Any, place: str) -> None:
    arguments, options = ((given,), {}) if place == "first" else ((), {place: given})
    with pytest.raises((TypeError, ValueError), match="should be|mysql://") as caught:
        await create_pool(*arguments, **options)
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"
    if place == "first":
        assert isinstance(caught.value, ValueError) == isinstance(given, str)


@pytest.fixture
def unused_tcp_port() -> int:
    """Nothing listens there: a bad option is refused before anything is sent."""
    return 1


@pytest.mark.parametrize("timeout", [-1, math.nan, "1", True])
async def test_bad_timeouts(make_pool: MakePool, timeout: Any) -> None:
    pool = await make_pool(minsize=0)
    with pytest.raises((TypeError, ValueError), match="timeout should be"):
        pool.acquire(timeout=timeout)
    pool.close()
    with pytest.raises((TypeError, ValueError), match="timeout should be"):
        await pool.wait_closed(timeout=timeout)


async def test_options_in_a_data_source_name(server: Server) -> None:
    user = f"{server.user}:{server.password}"
    dsn = f"mysql://{user}@{server.host}:{server.port}/{server.database}"
    async with create_pool(f"{dsn}?timeout=0.5&max_lifetime=60&max_waiting=3&debug=yes") as pool:
        options = pool._options
        assert (options.timeout, options.max_lifetime, options.max_waiting) == (0.5, 60, 3)
        assert options.debug is True
