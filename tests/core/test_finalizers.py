"""Finalizers, which may run at any allocation, that use the connection that is in use.

What they begin is refused as what a second task begins is, or goes before; what they close is
closed.  Each statement gives its own row or raises a DB-API error.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_core import Connection, Cursor, InterfaceError, OperationalError, connect
from tests.core.finalizers import Trap, Watch, begin
from tests.core.programs import run_program
from tests.core.statements import rows, sizes
from tests.servers import Server

pytestmark = pytest.mark.tls

PROGRAM = "from tests.core.finalizers import main"

DEEDS = ["execute", "same_cursor", "ping", "prepare", "close", "close_cursor", "patch", "release"]


@pytest.mark.parametrize("deed", DEEDS)
async def test_whatever_runs_at_whatever_allocation(
    server: Server, anyio_backend: tuple[str, dict[str, Any]], deed: str
) -> None:
    ways = [
        {"ssl_mode": "DISABLED", "stmt_cache_size": 0},
        {"ssl_mode": "DISABLED", "stmt_cache_size": 4},
        {"ssl_mode": "REQUIRED", "stmt_cache_size": 4},
    ]
    arguments = {
        "uvloop": anyio_backend[1]["use_uvloop"],
        "deed": deed,
        "options": [{**server.connect_args, **way} for way in ways],
        "seed": 1,
    }
    await run_program(PROGRAM, arguments)


class Last:
    """Does something when the last reference to it goes."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self.deed = deed

    def __del__(self) -> None:
        self.deed()


async def run_once(cursor: Cursor, text: str) -> list[Any] | Exception:
    """The rows of a statement, or what it raised of what it may raise."""
    try:
        return await rows(cursor, "SELECT %s", (text,))
    except (InterfaceError, OperationalError) as error:
        return error


async def clearing(connection: Connection, deed: Callable[[], object]) -> list[Any] | Exception:
    """A statement, whose cursor gives up rows while it is begun: their end runs `deed`."""
    cursor = await connection.cursor()
    for _ in range(2):  # so that it is prepared, where it is
        assert await run_once(cursor, "before") == [("before",)]
    cursor._rows = (Last(deed),)
    async with asyncio.timeout(5):
        return await run_once(cursor, "mine")


@sizes
async def test_a_statement_begun_while_another_is(connect_args: dict[str, Any], size: int) -> None:
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        other = await connection.cursor()
        begun: list[asyncio.Task[Any] | None] = []
        mine = await clearing(connection, lambda: begun.append(begin(run_once(other, "other"))))
        assert len(begun) == 1
        # On Python 3.11 what ends at once is no task.
        theirs = await asyncio.wait_for(begun[0], 5) if begun[0] is not None else None
        outcomes = [mine, theirs]
        got = [outcome for outcome in outcomes if isinstance(outcome, list)]
        assert got == [[("mine",)] if mine in got else [("other",)]]
        assert await run_once(other, "after") == [("after",)]


@sizes
async def test_a_connection_closed_while_a_statement_is_begun(
    connect_args: dict[str, Any], size: int
) -> None:
    watch = Watch()
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        mine = await clearing(connection, lambda: watch.close(connection))
        assert isinstance(mine, (InterfaceError, OperationalError))
        await asyncio.sleep(0.01)
        assert watch.taken == 1
        watch.check()
        await connection.ping()  # connects again
        assert await run_once(await connection.cursor(), "after") == [("after",)]


@pytest.mark.parametrize("fetch", ["fetchone", "fetchmany", "fetchall"])
async def test_rows_given_up_while_they_are_fetched(connection: Connection, fetch: str) -> None:
    """By whatever runs at an allocation in between, as a statement that begins does."""
    cursor = await connection.cursor()
    cursor.arraysize = 25  # more than the interpreter keeps tuples for
    query = " UNION ALL ".join(f"SELECT {number}" for number in range(30))
    before = gc.get_threshold()
    gc.collect()
    try:
        for threshold in range(1, 9):
            await cursor.execute(query)
            assert await cursor.fetchone() == (0,)
            method = getattr(cursor, fetch)
            gc.set_threshold(0)
            gc.collect()
            Trap.set = True
            Trap(cursor._clear_result, 0)
            gc.set_threshold(threshold)
            try:
                coming = method()
            finally:
                gc.set_threshold(0)
                Trap.set = False
            got = await coming
            # Given up before they were looked at, or not.
            if got and fetch == "fetchone":
                assert got == (1,)
            elif got:
                assert got == tuple((number,) for number in range(1, 1 + len(got)))
            gc.collect()
    finally:
        gc.set_threshold(*before)
