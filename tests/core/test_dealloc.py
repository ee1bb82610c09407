"""How objects of the core's C types go: while an exception is under way, in deep nests, as garbage.

tests/protocol/test_dealloc.py is the same for the types of the layer below.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiomysql_core import Connection, Cursor, connect
from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine.cursor_state import new_cursor
from aiomysql_core.waiting.ready import Ready
from aiomysql_core.waiting.waiter import Waiter
from aiomysql_pool import create_pool
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from tests.core.programs import run_program
from tests.protocol.test_dealloc import Loud

pytestmark = pytest.mark.skipif(
    accelerator() is None, reason="the Python implementation has no types of its own"
)

Make = Callable[[dict[str, Any], Loud], Awaitable[Any]]


async def closed(arguments: dict[str, Any], loud: Loud) -> Connection:
    connection = await connect(**arguments)
    await connection.ensure_closed()
    vars(connection.runner)["loud"] = loud
    return connection


def speedups() -> Any:
    return importlib.import_module("aiomysql_core._speedups")


async def new_runner(arguments: dict[str, Any], loud: Any) -> Any:
    runner = speedups().RunnerState()
    runner.result = loud
    return runner


async def new_stream(arguments: dict[str, Any], loud: Any) -> Any:
    session = Session(ColumnCache("utf8", {}))
    stream = speedups().StreamState(session, asyncio.get_running_loop())
    stream.next_waiter = loud
    return stream


async def new_connection(arguments: dict[str, Any], loud: Loud) -> Any:
    # It has no attributes of its own.
    connection = type("ConnectionState", (speedups().ConnectionState,), {})()
    connection.runner = loud
    return connection


async def new_encoder(arguments: dict[str, Any], loud: Any) -> Any:
    return (await closed(arguments, loud)).encoder


async def new_state(arguments: dict[str, Any], loud: Loud) -> Any:
    state = speedups().CursorState()
    state._result = loud
    return state


async def new_context(arguments: dict[str, Any], loud: Any) -> Any:
    return new_cursor(Cursor, loud, False)


async def new_ready(arguments: dict[str, Any], loud: Loud) -> Any:
    return Ready(loud)


async def new_waiter(arguments: dict[str, Any], loud: Loud) -> Any:
    return Waiter(loud, asyncio.CancelledError)


#: How an object of each type is made that refers to the argument.
MAKERS: dict[str, Make] = {
    "ConnectionState": new_connection,
    "RunnerState": new_runner,
    "StatementEncoder": new_encoder,
    "StreamState": new_stream,
    "CursorState": new_state,
    "ReadyContext": new_context,
    "Ready": new_ready,
    "Waiter": new_waiter,
}


def test_every_type_is_here() -> None:
    found = vars(speedups())
    assert {name for name in found if isinstance(found[name], type)} == set(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
async def test_exception_under_way_survives(name: str, connect_args: dict[str, Any]) -> None:
    gone: list[str] = []
    made = [await MAKERS[name](connect_args, Loud(gone))]
    assert type(made[0]).__name__ == name
    with pytest.raises(ZeroDivisionError):
        [made.pop(), 1 / 0]
    assert gone == ["gone"]


async def test_exception_with_whole_connections_and_pools(connect_args: dict[str, Any]) -> None:
    gone: list[str] = []
    with pytest.raises(ZeroDivisionError):
        [await closed(connect_args, Loud(gone)), 1 / 0]
    with pytest.raises(ZeroDivisionError):
        [await create_pool(**connect_args, minsize=0), 1 / 0]
    with pytest.warns(ResourceWarning), pytest.raises(ZeroDivisionError):
        [await connect(**connect_args), 1 / 0]
    pool = await create_pool(**connect_args, maxsize=1)
    async with pool.acquire():
        with pytest.raises(ZeroDivisionError):
            [pool.acquire(), 1 / 0]
    await pool.clear()
    pool.close()
    await pool.wait_closed()


NEST = """
import asyncio, threading
from aiomysql_core._speedups import (
    CursorState, Ready, RunnerState, StreamState, Waiter, new_cursor
)


def nest(make, name):
    def made(inner):
        state = make()
        setattr(state, name, inner)
        return state
    return made


def run():
    for make in (
        nest(CursorState, "_rows"),
        nest(RunnerState, "_detached"),
        nest(lambda: StreamState.__new__(StreamState), "_sock"),
        lambda inner: new_cursor(CursorState, inner, False),
        Ready,
        lambda inner: Waiter(inner, asyncio.CancelledError),
    ):
        found = None
        for _ in range(50_000):
            found = make(found)
        found = None


async def main(arguments):
    threading.stack_size(1 << 20)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    print("fine")
"""

GARBAGE = """
import asyncio, gc, sys, warnings
from aiomysql_core import connect
from aiomysql_core._speedups import Ready, RunnerState, StreamState, Waiter
from aiomysql_pool import create_pool

warnings.simplefilter("ignore")  # of what is still open


async def main(arguments):
    cycle = []
    gc.collect()
    gc.disable()
    for _ in range(3):
        connection = await connect(**arguments)
        pool = await create_pool(**arguments, minsize=1)
        acquired = await pool.acquire()
        cursor = await connection.cursor()
        await cursor.execute("SELECT %s", (1,))
        cycle += [cycle, connection, pool, acquired, cursor, pool.acquire(), connection.cursor()]
        cycle += [Ready(cycle), Waiter(cycle, asyncio.CancelledError)]
        for name, made in (
            ("result", RunnerState()),
            ("_sock", StreamState(connection.runner.session, connection.loop)),
            ("_sock", StreamState.__new__(StreamState)),
        ):
            setattr(made, name, cycle)
            cycle.append(made)
        cycle.append(connection.encoder)
    if not modules_kept:
        del connection, pool, acquired, cursor, cycle, made
        for name in ("connect", "create_pool", "Ready", "RunnerState", "StreamState", "Waiter"):
            del globals()[name]
        for name in list(sys.modules):
            if name.startswith("aiomysql_"):
                del sys.modules[name]
        gc.collect()
    print("fine")
    sys.stdout.flush()
"""


@pytest.mark.slow
async def test_deep_nests() -> None:
    await run_program(NEST, {"uvloop": False})


@pytest.mark.parametrize("kept", [True, False])
async def test_garbage(connect_args: dict[str, Any], kept: bool, anyio_backend: Any) -> None:
    uvloop = anyio_backend[1]["use_uvloop"]
    await run_program(f"modules_kept = {kept}\n" + GARBAGE, {**connect_args, "uvloop": uvloop})
