"""A shortcut for the commonest statements, which there is in C only.

All state stays in the Python objects.  What the C code looks at for each statement are slots of
their classes, read and written where they stand in the object: to look them up by name took a
quarter of a point query's instructions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from aiomysql_core._accelerator import accelerator

if TYPE_CHECKING:
    from aiomysql_core.cursors import Cursor
    from aiomysql_core.statements import Statement
    from aiomysql_protocol.commands.query import Query


class FastPath(Awaitable[int | None], Protocol):
    """`Cursor.execute` for the commonest case: a statement on a reusable connection, whose whole
    response comes at once.
    """

    def begin(self, cursor: Cursor, query: object, args: object, /) -> bool:
        """Start a statement; False: nothing was done, it is no case for this.

        After True this object is to be awaited at once.  That gives the cursor its result and
        returns the number of rows, or None when the result is still to be taken (see `rest`).
        """

    def rest(self) -> tuple[Query, Statement | None]:
        """What the result is to be taken from, and the statement, if it was a prepared one."""


fast_path: Callable[..., FastPath] | None = None
"""Makes the FastPath of a connection, see `SocketStream.fast_path`; None: there is none, and every
statement goes the general way."""

if not TYPE_CHECKING and (_c := accelerator()) is not None:
    fast_path = _c.FastPath
