"""Connections and event loops: another loop, the end of the loop, and what garbage is left."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aiomysql_core import Connection, InterfaceError, SSCursor, connect
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from tests.conftest import LOOPS
from tests.servers import Server

TLS = [False, True]

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """What runs a coroutine on an event loop of its own, which is closed afterwards."""
    if request.param == "uvloop":
        import uvloop

        return uvloop.run
    return asyncio.run


def options(server: Server, tls: bool) -> dict[str, Any]:
    return {**server.connect_args, "ssl_mode": "REQUIRED" if tls else "DISABLED"}


@pytest.mark.parametrize("tls", TLS)
def test_another_loop(server: Server, run: Run, tls: bool) -> None:
    """Nothing is sent from it, and the connection goes on on its own loop."""

    async def use(connection: Connection) -> None:
        cursor = SSCursor(connection)
        for use in (
            lambda: connection.query("SELECT 1"),
            lambda: connection.ping(reconnect=False),
            lambda: connection.prepare("SELECT %s"),
            lambda: cursor.execute("SELECT %s", (1,)),
        ):
            with pytest.raises(InterfaceError, match="another event loop"):
                await use()

    async def main() -> None:
        connection = await connect(**options(server, tls))
        # In a thread: there it runs beside this one.
        await asyncio.to_thread(run, use(connection))
        assert await connection.query("SELECT 1") == 1
        await connection.ensure_closed()

    run(main())


@pytest.mark.parametrize("tls", TLS)
def test_loop_is_over(server: Server, run: Run, tls: bool) -> None:
    """Another loop is told so too when the first is closed; closing there raises nothing."""

    async def use(connection: Connection) -> None:
        with pytest.raises(InterfaceError, match="another event loop"):
            await connection.query("SELECT 1")
        await connection.ensure_closed()
        assert connection.closed
        await connection.ping()  # opens it anew, on this loop
        assert await connection.query("SELECT 1") == 1
        await connection.ensure_closed()

    connection = run(connect(**options(server, tls)))
    run(use(connection))
    del connection
    gc.collect()


@pytest.mark.parametrize("how", ["close", "forget"])
@pytest.mark.parametrize("tls", TLS)
def test_garbage_after_the_loop(server: Server, run: Run, tls: bool, how: str) -> None:
    """What is collected after the end of the loop raises nothing and is no cycle."""
    problems: list[object] = []
    told: list[str] = []

    def warned(message: Warning | str, *_: object, **__: object) -> None:
        told.append(str(message))  # and not its source, which would live on

    async def main() -> tuple[Any, ...]:
        connection = await connect(**options(server, tls))
        statement = await connection.prepare("SELECT %s")
        prepared = await statement.execute((1,))
        cursor = await connection.cursor(SSCursor)
        await cursor.execute("SELECT 1 UNION SELECT 2")
        assert await cursor.fetchone() == (1,)
        return connection, statement, prepared, cursor

    before, sys.unraisablehook = sys.unraisablehook, problems.append
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = warned
            found = run(main())
            connection = found[0]
            gone = weakref.ref(connection)
            if how == "close":
                connection.close()
            del connection, found
            assert gone() is None, "it is in a cycle"
            gc.collect()
    finally:
        gc.enable()
        sys.unraisablehook = before
    assert problems == []
    assert len([text for text in told if "Unclosed connection" in text]) == (how == "forget")


async def test_cancelled_manager_is_no_cycle() -> None:
    """An error thrown into what `connect` and `acquire` are made of takes its frames along."""

    class Held:
        pass

    async def wait(held: Held) -> None:
        await asyncio.sleep(30)

    async def given_up() -> weakref.ref[Held]:
        held = Held()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(AwaitableContextManager(wait(held)), 0.01)
        return weakref.ref(held)

    gc.collect()
    gc.disable()
    try:
        gone = await given_up()
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()
