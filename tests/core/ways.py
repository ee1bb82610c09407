"""The two ways of `Cursor.execute`: the fast path of the C implementation, and the general way.

Tests that run once with each use::

    @both_ways
    async def test(way: Way, connect_args: dict[str, Any]) -> None:
        async with way.connect(**connect_args) as connection:
            ...
            assert way.taken == way.expects(True)
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest

from aiomysql_core import Connection, Cursor, connect
from aiomysql_core.statements import Statement
from aiomysql_core.transport.fast_path import FastPath, fast_path
from aiomysql_protocol.commands.query import Query


class Watched:
    """A connection's fast path that notes what `begin` returned."""

    def __init__(self, fast: FastPath, begun: list[bool]) -> None:
        self.fast = fast
        self.begun = begun

    def begin(self, cursor: Cursor, query: object, args: object, /) -> bool:
        try:
            begun = self.fast.begin(cursor, query, args)
        except BaseException:
            self.begun.append(False)
            raise
        self.begun.append(begun)
        return begun

    def rest(self) -> tuple[Query, Statement | None]:
        return self.fast.rest()

    def __await__(self) -> Generator[Any, None, int | None]:
        return self.fast.__await__()


class Way:
    """How the statements of a test go."""

    def __init__(self, name: str) -> None:
        self.name = name
        #: For each statement that might take the fast path: whether it did.
        self.taken: list[bool] = []

    def __repr__(self) -> str:
        return self.name

    def choose(self, connection: Connection) -> Connection:
        """Have the statements of `connection` go this way until it is opened again."""
        self.taken.clear()
        fast = connection.runner.fast_path
        if self.name == "general":
            connection.runner.fast_path = None
        elif fast is not None:
            connection.runner.fast_path = Watched(fast, self.taken)
        return connection

    @contextlib.asynccontextmanager
    async def connect(self, **options: Any) -> AsyncIterator[Connection]:
        """A connection whose statements go this way."""
        async with connect(**options) as connection:
            yield self.choose(connection)

    def expects(self, *taken: bool) -> list[bool]:
        """What `taken` is when the fast path was asked, if there is one, with these responses."""
        return list(taken) if self.name == "fast" else []


#: Without a C implementation there is one way only.
WAYS = ["general"] if fast_path is None else ["general", "fast"]


def both_ways(function: Any) -> Any:
    """Run a test with each way, its argument `way`."""
    return pytest.mark.parametrize("way", [Way(name) for name in WAYS], ids=WAYS)(function)


#: Statements that cursors prepare and keep, and those that go as text.
sizes = pytest.mark.parametrize("size", [0, 8], ids=["text", "prepared"])


async def rows(cursor: Cursor, query: Any, args: object = None, **options: Any) -> list[Any]:
    """The rows of a statement."""
    assert await cursor.execute(query, args, **options) >= 0
    return list(await cursor.fetchall())
