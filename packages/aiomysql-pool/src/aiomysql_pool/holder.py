"""What a pool knows of each of its connections."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any, Self

from aiomysql_core import Connection

if TYPE_CHECKING:
    from aiomysql_core.engine.runner import CommandRunner

#: Told when a connection is garbage-collected; may be called in any thread.
OnCollected = Callable[[weakref.ref[Connection[Any]]], None]


_LIBRARIES = ("aiomysql_core.", "aiomysql_pool.", "aiomysql_sa.", "asyncio.")


class Reference(weakref.ref[Connection[Any]]):
    """A weak reference that knows the key of the connection's holder."""

    __slots__ = ("key",)

    def __new__(cls, connection: Connection[Any], on_collected: OnCollected) -> Self:
        return super().__new__(cls, connection, on_collected)

    def __init__(self, connection: Connection[Any], on_collected: OnCollected) -> None:
        self.key: int = id(connection)


class ConnectionHolder:
    """Stands for one open connection in a pool.

    While the connection is acquired it refers to it weakly: a caller that forgets a connection must
    not take it from the pool for ever.  Times are those of time.monotonic.
    """

    __slots__ = (
        "acquired_at",
        "acquired_by",
        "acquired_where",
        "connection",
        "expires_at",
        "is_reported",
        "key",
        "must_close",
        "never_acquired",
        "opened_at",
        "reference",
        "runner",
    )

    def __init__(
        self,
        connection: Connection[Any],
        on_collected: OnCollected,
        opened_at: float,
        expires_at: float,
    ) -> None:
        #: The connection; None while it is acquired.
        self.connection: Connection[Any] | None = connection
        #: What tells quickly whether the connection can change hands.
        self.runner: CommandRunner = connection.runner
        self.reference: Reference = Reference(connection, on_collected)
        #: Where the pool finds it.
        self.key: int = id(connection)
        #: Whether no caller has had it yet.
        self.never_acquired: bool = True
        #: When it was acquired; only kept if an option needs it.
        self.acquired_at: float = opened_at
        #: The task that acquired it last; only kept if an option needs it.
        self.acquired_by: weakref.ref[asyncio.Task[Any]] | None = None
        #: When it was opened, and when it is to be replaced.
        self.opened_at: float = opened_at
        self.expires_at: float = expires_at
        #: Whether it is to be closed when it is released.
        self.must_close: bool = False
        #: Where the caller asked for it (debug mode).
        self.acquired_where: str = ""
        #: Whether it was reported as acquired for too long.
        self.is_reported: bool = False

    def find(self) -> Connection[Any] | None:
        """The connection, wherever it is; None: it was garbage-collected."""
        return self.reference()

    @property
    def is_acquired(self) -> bool:
        """Whether a caller has the connection, or is about to get it."""
        return self.connection is None


def describe_task(holder: ConnectionHolder) -> str:
    """Which task has acquired the connection, and where that is now."""
    task = None if holder.acquired_by is None else holder.acquired_by()
    if task is None:
        return "a task that is gone" if holder.acquired_by is not None else "an unknown task"
    name = task.get_name()
    if task.done():
        return f"task {name!r}, which has ended"
    frame = _innermost_frame(task)
    if frame is None:
        return f"task {name!r}"
    code = frame.f_code
    return f"task {name!r}, now in {code.co_name}, {code.co_filename}:{frame.f_lineno}"


def _innermost_frame(task: asyncio.Task[Any]) -> FrameType | None:
    """Where a task waits: in the program, not in what it has called of ours and asyncio's."""
    found = None
    awaits: object = task.get_coro()
    while isinstance(awaits, CoroutineType):
        frame = awaits.cr_frame
        if frame is not None and not frame.f_globals.get("__name__", "").startswith(_LIBRARIES):
            found = frame
        awaits = awaits.cr_await
    return found


def find_acquired(
    holders: dict[int, ConnectionHolder], connection: Connection[Any]
) -> tuple[ConnectionHolder, Connection[Any]] | None:
    """The holder of an acquired connection and the pool's own object for it.

    What is released may be a tracer's proxy that only equals the connection.
    """
    holder = holders.get(id(connection))
    if holder is not None and holder.is_acquired and holder.find() is connection:
        return holder, connection
    for holder in [*holders.values()]:  # comparing may run anybody's code
        if holder.is_acquired and (own := holder.find()) is not None and connection == own:
            return holder, own
    return None
