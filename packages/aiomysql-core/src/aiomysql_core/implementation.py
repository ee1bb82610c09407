"""What runs between the event loop and the protocol session: C where it was built, else Python.

The choice is that of ``aiomysql_protocol.implementation``: AIOMYSQL_IMPL=c insists on this C module
too.  `fast_path`, `receiver` and `same_items` have no second implementation: without them all takes
the way that they are shortcuts of.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from aiomysql_core.engine import cursor_state
from aiomysql_core.engine.awaitable import AwaitableContextManager
from aiomysql_core.log import logger
from aiomysql_protocol import implementation as protocol
from aiomysql_protocol.implementation import Ready

if TYPE_CHECKING:
    from aiomysql_core.cursors import Cursor
    from aiomysql_core.statements import Statement
    from aiomysql_protocol.commands.query import Query

_C_MODULE = "aiomysql_core._speedups"

#: Is there a use for this layer's C module?  It watches sockets as Windows' event loop can't.
_HAS_C = os.name == "posix"


class FastPath(Awaitable[int | None], Protocol):
    """`Cursor.execute` for what is done most: a statement on a connection at rest, whose whole
    answer comes at once.
    """

    def begin(self, cursor: Cursor, query: object, args: object, /) -> bool:
        """Start a statement; False: nothing was done, it is no case for this.

        After True this object is to be awaited at once.  That gives the cursor its result and
        returns the number of rows, or None when the result is still to be taken (see `rest`).
        """

    def rest(self) -> tuple[Query, Statement | None]:
        """What the result is to be taken from, and the statement, if it was a prepared one."""


class _Parts(NamedTuple):
    cursor_state: type[Any]
    new_cursor: Callable[[type[Any], Any, bool], Any]
    fast_path: Callable[..., FastPath] | None
    receiver: Callable[..., Callable[[], None]] | None
    same_items: Callable[[tuple[Any, ...], tuple[Any, ...]], bool] | None


def _chosen() -> _Parts:
    python = _Parts(
        cursor_state.CursorState,
        lambda kind, connection, echo: AwaitableContextManager(Ready(kind(connection, echo))),
        None,
        None,
        None,
    )
    if protocol.IMPLEMENTATION == "python" or not _HAS_C:
        return python
    try:
        import aiomysql_core._speedups as _speedups
    except ModuleNotFoundError as exc:
        if exc.name != _C_MODULE:
            raise
        if os.environ.get("AIOMYSQL_IMPL") == "c":
            reason = protocol.missing("aiomysql_core")
            raise ImportError(f"AIOMYSQL_IMPL is 'c', but {reason}") from exc
        return python
    return _Parts(
        _speedups.CursorState,
        _speedups.new_cursor,
        _speedups.FastPath,
        _speedups.Receiver,
        _speedups.same_items,
    )


_parts = _chosen()

IMPLEMENTATION: Literal["c", "python"] = (
    "c" if protocol.IMPLEMENTATION == "c" and (_parts.fast_path or not _HAS_C) else "python"
)
"""What runs: "c" where each layer that has a C module for this system uses it, else "python"."""


def reason() -> str:
    """Why IMPLEMENTATION is what it is: a clause for messages."""
    if protocol.IMPLEMENTATION == "python" or not _HAS_C:
        return protocol.reason()
    return protocol.reason_for("aiomysql_core", built=IMPLEMENTATION == "c")


def build_failed() -> bool:
    """Whether Python runs only because a build could not compile the C modules."""
    by_choice = IMPLEMENTATION == "c" or os.environ.get("AIOMYSQL_IMPL") == "python"
    layers = ("aiomysql_protocol", "aiomysql_core")
    return not by_choice and any(map(protocol.build_trouble, layers))


#: What makes installers build again what is installed, and may be in their caches.
REBUILD = "--force-reinstall --no-deps --no-cache-dir (pip) or --reinstall --no-cache (uv)"


@cache
def announce() -> None:
    """Log, once, which implementation runs: at level debug, or as a warning if a build failed.

    pip and uv show nothing of what a build says, so this is where a missing compiler is noticed.
    """
    if not build_failed():
        logger.debug("implementation: %s (%s)", IMPLEMENTATION, reason())
        return
    logger.warning(
        "implementation: python, which takes more processor time than the C one: %s. To build it"
        " anew, add %s to the command that installed it. (AIOMYSQL_IMPL=python says that Python is"
        " meant.)",
        reason(),
        REBUILD,
    )


if TYPE_CHECKING:
    from aiomysql_core.engine.cursor_state import CursorState as CursorState
else:
    # See `cursor_state`.
    CursorState = _parts.cursor_state

new_cursor = _parts.new_cursor
"""``new_cursor(class, connection, echo)``: an ``AwaitableContextManager`` of that new cursor."""

fast_path = _parts.fast_path
"""Makes the FastPath of a connection, see ``SocketStream.fast_path``; None: there is none."""

receiver = _parts.receiver
"""``receiver(stream, session, waiter, descriptor)`` does what ``SocketStream`` does
when its socket has bytes; None: that does it itself."""

same_items = _parts.same_items
"""``same_items(a, b)``: whether two tuples hold the same objects.  None: comparing is as quick."""
