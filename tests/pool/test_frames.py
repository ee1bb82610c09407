"""How many Python functions of the pool a lease enters: what is quick stays quick."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import aiomysql_pool
from aiomysql_core import Connection
from aiomysql_pool import Pool
from aiomysql_pool.implementation import IMPLEMENTATION
from tests.pool.conftest import MakePool, wait_until

FOLDER = str(Path(aiomysql_pool.__file__).parent)

pytestmark = pytest.mark.skipif(IMPLEMENTATION == "python", reason="needs the C modules")


async def with_block(pool: Pool) -> None:
    async with pool.acquire():
        pass


async def by_hand(pool: Pool) -> None:
    connection = await pool.acquire()
    pool.release(connection)


async def entered(lease: Callable[[Pool], Awaitable[None]], pool: Pool) -> list[str]:
    """The names of the functions, each time that one is entered."""
    names: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(FOLDER):
            names.append(frame.f_code.co_name)

    await lease(pool)
    await wait_until(lambda: pool.freesize == 1)
    sys.setprofile(note)
    try:
        await lease(pool)
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_lifetime": 1000, "ping_after": 100},
        {"pool_recycle": 1000},
        {"max_idle": 1000},
        {"report_lent_after": 1000},
        {"reset_session": "rollback"},
        {"timeout": 10, "max_waiting": 5},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("autocommit", [False, True])
async def test_only_what_the_caller_calls(
    make_pool: MakePool, options: dict[str, Any], autocommit: bool
) -> None:
    pool = await make_pool(maxsize=1, autocommit=autocommit, **options)
    assert await entered(with_block, pool) == ["acquire"]
    assert await entered(by_hand, pool) == ["acquire", "release"]


@pytest.mark.parametrize("options", [{}, {"max_lifetime": 1000, "ping_after": 100}], ids="+".join)
async def test_of_who_waits(make_pool: MakePool, options: dict[str, Any]) -> None:
    pool = await make_pool(maxsize=1, **options)

    async def contended(pool: Pool) -> None:
        async with pool.acquire():
            waiting = asyncio.create_task(with_block(pool))
            await asyncio.sleep(0)
        await waiting

    names = await entered(contended, pool)
    assert names == ["acquire", "acquire"]
    assert pool.get_stats()["waited"] == 2


async def test_with_a_check(make_pool: MakePool) -> None:
    """That is a call of the user's, under the time-out of `acquire`."""

    def check(connection: Connection) -> bool:
        return not connection.closed

    pool = await make_pool(maxsize=1, max_lifetime=1000, check=check)
    names = await entered(with_block, pool)
    assert names == [
        "acquire",
        "<lambda>",
        "_acquire",
        "_check_home",
        "_verified",
        "verify",
        "call",
    ]


async def test_with_a_reset(make_pool: MakePool) -> None:
    """Acquiring is quick; what follows the release takes a task."""
    pool = await make_pool(maxsize=1, reset_session="full")
    names = await entered(by_hand, pool)
    assert names[:3] == ["acquire", "release", "_release"]
    assert pool.get_stats()["resets"] == 2
