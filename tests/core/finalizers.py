"""A program whose finalizers use the connection that is in use: run by test_finalizers.py.

Objects in reference cycles are found by the garbage collector at allocations that nobody chose, the
driver's among them; with small thresholds at nearly all of them.  Whatever their finalizers do then
with the same connection, each statement gives its own row or raises a DB-API error, nobody waits
for ever, and nothing is written to a descriptor that is another's by now.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import inspect
import random
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable
from typing import Any

from aiomysql_core import Connection, Cursor, DictCursor, Error, InterfaceError, SSCursor, connect
from aiomysql_pool import Pool, create_pool

#: Where traps are laid, and which statements are run.
PLACES = ["begin", "execute", "execute", "execute", "fetch"]
KINDS: list[Any] = ["ping", "prepared", DictCursor, SSCursor, Cursor, Cursor, Cursor, Cursor]

#: Seconds after which somebody counts as forgotten.
PATIENCE = 10


class Trap:
    """Garbage once it is made; does something when it is found for the `after`th time and the
    two that follow.
    """

    #: Whether it is to do that.
    set = False

    def __init__(self, deed: Callable[[], object], after: int) -> None:
        self.cycle = self
        self.deed, self.after = deed, after

    def __del__(self) -> None:
        if not Trap.set:
            return
        if self.after > -2:
            Trap(self.deed, self.after - 1)
        if self.after > 0:
            return
        with contextlib.suppress(Error):
            self.deed()


class Rest:
    """What is left of a coroutine that was begun, and gave `first`."""

    def __init__(self, coro: Coroutine[Any, Any, Any], first: Any) -> None:
        self.coro, self.first = coro, first

    def __await__(self) -> Generator[Any, Any, Any]:
        value = None
        try:
            sent = yield self.first
            while True:
                sent = yield self.coro.send(sent)
        except StopIteration as stop:
            value = stop.value
        return value


async def finish(rest: Rest) -> Any:
    return await rest


def begin(coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
    """Run `coro` up to its first wait, as an eager task; None: it has ended."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coro, loop=loop, eager_start=True)
    try:
        first = coro.send(None)
    except (StopIteration, Error):
        return None
    return loop.create_task(finish(Rest(coro, first)))


class Watch:
    """Takes the numbers of descriptors that are freed, and sees what is written to them."""

    def __init__(self) -> None:
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.taken = 0

    def close(self, connection: Connection) -> None:
        """Close a connection and take its descriptor's number."""
        writer = connection._writer
        sock = writer.get_extra_info("socket") if writer is not None else None
        number = sock.fileno() if sock is not None else -1
        connection.close()
        if number >= 0:
            pair = socket.socketpair()
            self.taken += number in (pair[0].fileno(), pair[1].fileno())
            self.pairs.append(pair)

    def check(self) -> None:
        """Nothing has come."""
        for pair in self.pairs:
            for end in pair:
                end.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    raise AssertionError(f"written to another's: {end.recv(100)!r}")
        for pair in self.pairs:
            pair[0].close()
            pair[1].close()
        self.pairs.clear()


class Storm:
    """Statements of one connection, and finalizers that use it."""

    def __init__(self, deed: str, options: dict[str, Any], seed: int) -> None:
        self.options = options
        self.name = deed
        self.deed: Callable[[], object] = getattr(self, f"deed_{deed}")
        self.watch = Watch()
        self.counts: Counter[str] = Counter()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.pool: Pool | None = None
        self.connection: Connection
        self.cursor: Cursor | None = None
        self.number = 0
        self.threshold = 0
        self.place = ""
        self.random = random.Random(seed)

    # -- what finalizers do ----------------------------------------------------------------------

    def deed_execute(self) -> None:
        """Begin a statement with a cursor of its own."""
        self.number += 1
        self.begin(self.statement(self.connection, Cursor, self.number))

    def deed_same_cursor(self) -> None:
        """Begin a statement with the cursor that is in use."""
        if self.cursor is not None:
            self.begin(self.cursor.execute("SELECT -1, 'same cursor'"))

    def deed_ping(self) -> None:
        self.begin(self.connection.ping(reconnect=False))

    def deed_prepare(self) -> None:
        self.begin(self.prepared(self.connection))

    def deed_close(self) -> None:
        self.watch.close(self.connection)

    def deed_close_cursor(self) -> None:
        if self.cursor is not None:
            self.begin(self.cursor.close())

    def deed_release(self) -> None:
        assert self.pool is not None
        self.pool.release(self.connection)

    def deed_patch(self) -> None:
        """Replace what a tracer patches, on a class or on the cursor that is in use."""
        self.number += 1
        name = ("mogrify", "_query", "_take_result", "_clear_result")[self.number % 4]
        setattr(Cursor, name, vars(Cursor).get(name) or getattr(Cursor, name))
        Connection.escape = Connection.escape  # type: ignore[method-assign]
        if self.cursor is not None and self.number % 3 == 0:
            setattr(self.cursor, name, getattr(self.cursor, name))

    def begin(self, coro: Coroutine[Any, Any, Any]) -> None:
        task = begin(coro) if inspect.iscoroutine(coro) else None
        if task is not None:
            self.tasks.add(task)

    # -- what they meet --------------------------------------------------------------------------

    def reach(self, place: str) -> None:
        """Lay the trap here, if it is to be here: it goes off `threshold` allocations later, or
        some times as many.
        """
        if place == self.place:
            self.place = ""
            gc.collect()
            Trap.set = True
            Trap(self.deed, self.random.choice([0, 0, 1, 2, 90 // self.threshold]))
            gc.set_threshold(self.threshold)

    async def statement(self, connection: Connection, kind: type[Cursor], number: int) -> None:
        text = f"mine {number}"
        cursor = await connection.cursor(kind)
        if kind is not Cursor or number % 2:
            self.cursor = cursor
        self.reach("execute")
        await cursor.execute("SELECT %s + 0 AS a, %s AS b", (number, text))
        self.reach("fetch")
        row: Any
        if number % 3 == 0:
            row = await cursor.fetchone()
        else:
            found = await (cursor.fetchmany() if number % 3 == 1 else cursor.fetchall())
            row = found[0] if found else None
        await cursor.close()
        if row is None and self.name in ("same_cursor", "close_cursor"):
            return
        if isinstance(row, dict):
            row = row["a"], row["b"]
        expected = [(number, text)]
        if self.name == "same_cursor":
            expected.append((-1, "same cursor"))
        assert (int(row[0]), row[1]) in expected, (row, number)
        self.counts["rows"] += 1

    async def prepared(self, connection: Connection) -> None:
        self.number += 1
        number = self.number
        statement = await connection.prepare("SELECT %s + 0")
        self.reach("execute")
        cursor = await statement.execute((number,))
        row = await cursor.fetchone()
        await statement.close()
        assert row is not None
        assert int(row[0]) == number
        self.counts["rows"] += 1

    async def one(self) -> None:
        self.number += 1
        kind = self.random.choice(KINDS)
        if kind == "ping":
            self.reach(self.place)
            await self.connection.ping(reconnect=False)
        elif kind == "prepared":
            await self.prepared(self.connection)
        else:
            await self.statement(self.connection, kind, self.number)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        if self.pool is None:
            async with connect(**self.options) as self.connection:
                yield
        else:
            async with self.pool.acquire() as self.connection:
                yield
            # Or else a finalizer gave it back before.

    async def round(self, threshold: int) -> None:
        """Some statements with one connection, as long as it lives."""
        async with self.connected():
            await self.statement(self.connection, Cursor, self.number)
            self.threshold = threshold
            for _ in range(6):
                self.place = self.random.choice(PLACES)
                try:
                    self.reach("begin")
                    await self.one()
                except Error as error:
                    self.counts[type(error).__name__] += 1
                finally:
                    gc.set_threshold(0)
                    Trap.set = False
                tasks, self.tasks = self.tasks, set()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    assert result is None or isinstance(result, (Error, int)), repr(result)
                gc.collect()
                self.watch.check()
                if self.connection.closed:
                    break

    async def run(self, thresholds: Iterable[int]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            if self.name == "release":
                self.pool = await stack.enter_async_context(
                    create_pool(minsize=1, maxsize=2, **self.options)
                )
            for threshold in thresholds:
                with contextlib.suppress(InterfaceError):  # given back twice
                    await asyncio.wait_for(self.round(threshold), PATIENCE)


async def main(arguments: dict[str, Any]) -> None:
    """Prints "fine"."""
    faulthandler.enable()
    faulthandler.dump_traceback_later(25, exit=True)
    gc.freeze()  # so that collections are quick
    gc.set_threshold(0)
    taken = 0
    for options in arguments["options"]:
        storm = Storm(arguments["deed"], options, arguments["seed"])
        await storm.run(range(1, 41))
        assert storm.counts["rows"] > 20, storm.counts
        taken += storm.watch.taken
    assert taken or arguments["deed"] != "close"
    faulthandler.cancel_dump_traceback_later()
    print("fine")
