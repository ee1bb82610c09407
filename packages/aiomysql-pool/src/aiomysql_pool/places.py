"""What a pool knows of each of its connections."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import monotonic
from typing import Self

from aiomysql_core import Connection
from aiomysql_core.engine.lending import Item

#: Told when a connection is garbage-collected; may be called in any thread.
Collected = Callable[[weakref.ref[Connection]], None]


class Reference(weakref.ref[Connection]):
    """A weak reference that knows the key of the connection's place."""

    __slots__ = ("key",)

    def __new__(cls, connection: Connection, collected: Collected) -> Self:
        return super().__new__(cls, connection, collected)

    def __init__(self, connection: Connection, collected: Collected) -> None:
        self.key = id(connection)


class Place(Item[Connection]):
    """The place of one open connection in a pool.

    While the connection is lent, it refers to it weakly: a borrower that forgets a connection must
    not bind the place for ever. Times are those of time.monotonic.
    """

    __slots__ = (
        "doomed",
        "expires",
        "key",
        "lent_at",
        "opened",
        "reference",
        "reported",
        "runner",
        "where",
    )

    def __init__(
        self, connection: Connection, collected: Collected, opened: float, expires: float
    ) -> None:
        #: What tells quickly whether the connection can be lent.
        self.runner = connection.runner
        super().__init__(connection, self.runner)
        self.reference = Reference(connection, collected)
        #: Where the pool finds it.
        self.key = id(connection)
        #: When it was lent; only kept if an option needs it.
        self.lent_at = opened
        #: When it was opened, and when it is to be replaced.
        self.opened = opened
        self.expires = expires
        #: Is it to be closed when it comes back?
        self.doomed = False
        #: Where the borrower asked for it (debug mode).
        self.where = ""
        #: Was it reported as lent for too long?
        self.reported = False

    def note_lent(self) -> None:
        """It is lent from now on."""
        self.reported = False
        self.lent_at = monotonic()

    def __call__(self) -> Connection | None:
        """The connection, wherever it is; None: it was garbage-collected."""
        return self.reference()

    @property
    def lent(self) -> bool:
        """Is the connection with a borrower?"""
        return self.held is None
