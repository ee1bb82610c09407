"""What a pool knows of each of its connections."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Self

from aiomysql_core import Connection

#: Told when a connection is garbage-collected; may be called in any thread.
Collected = Callable[[weakref.ref[Connection]], None]


class Place(weakref.ref[Connection]):
    """The place of one open connection in a pool.

    While the connection is lent, it refers to it weakly: a borrower that forgets a connection must
    not bind the place for ever. Times are those of time.monotonic.
    """

    __slots__ = (
        "doomed",
        "expires",
        "fresh",
        "held",
        "key",
        "lent_at",
        "link",
        "opened",
        "reported",
        "where",
    )

    def __new__(
        cls, connection: Connection, collected: Collected, opened: float, expires: float
    ) -> Self:
        return super().__new__(cls, connection, collected)

    def __init__(
        self, connection: Connection, collected: Collected, opened: float, expires: float
    ) -> None:
        #: Where the pool finds it.
        self.key = id(connection)
        #: The connection, but for when it is lent.
        self.held: Connection | None = connection
        #: What tells quickly whether the connection can be lent.
        self.link = connection.link
        #: When it was lent; only kept if an option needs it.
        self.lent_at = opened
        #: When it was opened, and when it is to be replaced.
        self.opened = opened
        self.expires = expires
        #: Does it come straight from being opened?
        self.fresh = True
        #: Is it to be closed when it comes back?
        self.doomed = False
        #: Where the borrower asked for it (debug mode).
        self.where = ""
        #: Was it reported as lent for too long?
        self.reported = False

    @property
    def lent(self) -> bool:
        """Is the connection with a borrower?"""
        return self.held is None
