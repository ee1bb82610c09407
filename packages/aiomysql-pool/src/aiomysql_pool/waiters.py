"""The queue of those who wait for a connection."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from aiomysql_core import Connection

Waiter = asyncio.Future[Connection]


class Waiters(OrderedDict[Waiter, int]):
    """Waiters in the order of asking, each with its ticket; who gives up can leave quickly.

    Tickets grow with the time of asking.
    """

    def __init__(self) -> None:
        super().__init__()
        #: The ticket given last.
        self.newest = 0

    def add(self, waiter: Waiter, *, first: bool = False) -> None:
        """Queue up; `first`: before all others."""
        self.newest += 1
        self[waiter] = self.newest
        if first:
            self.move_to_end(waiter, last=False)

    def next(self, ticket: int | None = None) -> Waiter | None:
        """Take out the oldest waiter (that has at most this ticket), if there is one."""
        while self:
            waiter = next(iter(self))
            if waiter.done():
                del self[waiter]
            elif ticket is not None and self[waiter] > ticket:
                break
            else:
                del self[waiter]
                return waiter
        return None
