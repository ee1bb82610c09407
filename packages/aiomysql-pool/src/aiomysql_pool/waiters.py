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

    def next(self) -> Waiter | None:
        """Take out the oldest waiter, if there is one."""
        while self:
            waiter, _ = self.popitem(last=False)
            if not waiter.done():
                return waiter
        return None

    def next_of(self, ticket: int) -> Waiter | None:
        """The same, if the oldest waiter has at most this ticket."""
        while self:
            waiter, own = self.popitem(last=False)
            if waiter.done():
                continue
            if own <= ticket:
                return waiter
            self[waiter] = own
            self.move_to_end(waiter, last=False)
            break
        return None
