"""The ways to ask for one row that a user can choose or combine.

Everything here uses the public API alone, so that it runs with other checkouts of the driver too.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from types import FrameType
from typing import Any

import aiomysql_core

Ask = Callable[[int], Awaitable[Any]]
"""Runs the query with a number; returns the row."""


@dataclass(frozen=True)
class Option:
    """One thing that a user chooses."""

    name: str
    kind: str
    """Of options of the same kind a query has one."""
    connect: Mapping[str, object] = field(default_factory=dict)
    """Arguments of `connect`."""
    execute: Mapping[str, object] = field(default_factory=dict)
    """Arguments of `Cursor.execute`."""


#: The limits are so far away that nothing is ever over them.
OPTIONS = {
    option.name: option
    for option in (
        Option("no values", "statement"),
        Option("prepared", "statement"),
        Option("kept", "statement", connect={"stmt_cache_size": 8}),
        Option("DictCursor", "rows"),
        Option("SSCursor", "rows"),
        Option("SSDictCursor", "rows"),
        Option("subclass", "class"),
        Option("local_infile", "local_infile", connect={"local_infile": True}),
        Option("read_timeout", "read_timeout", connect={"read_timeout": 600}),
        Option("write_timeout", "write_timeout", connect={"write_timeout": 600}),
        Option("on_cancel", "on_cancel", connect={"on_cancel": "kill"}),
        Option("TLS", "tls", connect={"ssl_mode": "REQUIRED"}),
        Option("timeout=", "timeout", execute={"timeout": 600}),
    )
}

Way = tuple[Option, ...]
"""The options of a query; without any it is plain: text with a value, a tuple, no limits."""

PLAIN: Way = ()
SINGLE: tuple[Way, ...] = tuple((option,) for option in OPTIONS.values())
PAIRS: tuple[Way, ...] = tuple(
    pair for pair in combinations(OPTIONS.values(), 2) if pair[0].kind != pair[1].kind
)


def name_of(way: Way) -> str:
    """The names of the options, with " + " between."""
    return " + ".join(option.name for option in way) or "plain"


def connect_options(way: Way) -> dict[str, Any]:
    """The arguments of `connect` that the way needs."""
    return {key: value for option in way for key, value in option.connect.items()}


def cursor_classes(way: Way) -> tuple[type[aiomysql_core.Cursor], ...]:
    """The argument of `Connection.cursor`, if it gets one."""
    names = {option.name for option in way}
    rows = [option.name for option in way if option.kind == "rows"]
    base: type[aiomysql_core.Cursor] = getattr(aiomysql_core, rows[0] if rows else "Cursor")
    if "subclass" in names:
        return (subclass_of(base),)
    return (base,) if rows else ()


def subclass_of(base: type[aiomysql_core.Cursor]) -> type[aiomysql_core.Cursor]:
    """A cursor class with an attribute and a method that have nothing to do with statements."""

    class Named(base):  # type: ignore[misc, valid-type]
        label = "orders"

        def describe(self) -> str:
            return f"{self.label}: {self.rowcount}"

    return Named


async def asker(
    connection: aiomysql_core.Connection, way: Way, query: str, stack: AsyncExitStack
) -> Ask:
    """What asks on an open connection, as users write it; a prepared statement closes with `stack`.

    query: a statement with one `%s`, for an integer.
    """
    statement: Any = query
    names = {option.name for option in way}
    if "prepared" in names:
        statement = await stack.enter_async_context(await connection.prepare(query))
    classes = cursor_classes(way)
    extra: dict[str, Any] = {key: value for option in way for key, value in option.execute.items()}

    async def ask_without_values(number: int) -> Any:
        async with connection.cursor(*classes) as cursor:
            await cursor.execute(query % number, **extra)
            return await cursor.fetchone()

    async def ask(number: int) -> Any:
        async with connection.cursor(*classes) as cursor:
            await cursor.execute(statement, (number,), **extra)
            return await cursor.fetchone()

    return ask_without_values if "no values" in names else ask


@asynccontextmanager
async def asking(query: str, way: Way, **where: Any) -> AsyncIterator[Ask]:
    """The same on a connection of its own.  where: arguments of `connect` for any way."""
    async with (
        aiomysql_core.connect(**where, **connect_options(way)) as connection,
        AsyncExitStack() as stack,
    ):
        yield await asker(connection, way, query, stack)


_LAYERS = ("aiomysql_protocol", "aiomysql_core", "aiomysql_pool")
#: Frames before Python 3.12 only.
_COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>"}
_WARMING = 4
_TIMES = 7


async def count_frames(ask: Ask, number: int) -> int:
    """How many frames of the driver's Python code are entered while a warm query is asked.

    A coroutine that is resumed is entered once more.  The number is the most frequent one of
    several queries, as a response may come in two parts now and then.
    """
    folders = tuple(
        str(Path(spec.origin).parent)
        for name in _LAYERS
        if (spec := importlib.util.find_spec(name)) is not None and spec.origin is not None
    )
    entered = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal entered
        if event == "call":
            code = frame.f_code
            if code.co_filename.startswith(folders) and code.co_name not in _COMPREHENSIONS:
                entered += 1

    for _ in range(_WARMING):  # until metadata is known and the statement prepared
        await ask(number)
    counts = []
    gc.collect()
    gc.disable()  # no finalizer is entered meanwhile
    try:
        for _ in range(_TIMES):
            entered = 0
            before = sys.getprofile()
            sys.setprofile(profile)
            try:
                await ask(number)
            finally:
                sys.setprofile(before)
            counts.append(entered)
    finally:
        gc.enable()
    return statistics.mode(counts)
