"""The queue of those who wait for a connection."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from aiomysql_core import Connection
from aiomysql_core.awaitable import Waiter

#: As many turns are kept for use.
_MOST_SPARE = 100


class Turn:
    """The place of one caller in the queue, who awaits `waiter` and then asks for the `outcome`."""

    __slots__ = ("connection", "error", "waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        #: What the caller awaits.
        self.waiter = waiter = Waiter(loop, asyncio.CancelledError)
        waiter.arm(None)
        #: What was given.
        self.connection: Connection | None = None
        self.error: BaseException | None = None

    @property
    def waiting(self) -> bool:
        """Does the caller still wait?"""
        return self.waiter.armed

    def give(self, connection: Connection) -> None:
        """The caller gets `connection`."""
        self.connection = connection
        connection.link.wake(self.waiter)

    def fail(self, error: BaseException) -> None:
        """The caller gets `error`."""
        self.error = error
        self.waiter.fire(False)

    def outcome(self) -> Connection:
        """What was given; raises what `fail` was called with."""
        if self.connection is None:
            assert self.error is not None
            try:
                raise self.error
            finally:
                self.error = None  # it holds the frame that holds this
        return self.connection


class Turns(OrderedDict[Turn, int]):
    """Turns in the order of asking, each with its ticket; who gives up can leave quickly.

    Tickets grow with the time of asking.
    """

    def __init__(self) -> None:
        super().__init__()
        #: The ticket given last.
        self.newest = 0
        #: Is there nothing to do for a caller that has to wait but to queue up?
        self.simple = False
        #: Turns that were used and can be again.
        self.spare: list[Turn] = []

    def add(self, turn: Turn, *, first: bool = False) -> None:
        """Queue up; `first`: before all others."""
        self.newest += 1
        self[turn] = self.newest
        if first:
            self.move_to_end(turn, last=False)

    def reuse(self, turn: Turn) -> None:
        """Nobody has this turn any more."""
        if len(self.spare) < _MOST_SPARE:
            turn.connection = None
            turn.waiter.arm(None)
            self.spare.append(turn)

    def next(self) -> Turn | None:
        """Take out the oldest turn, if there is one."""
        while self:
            turn, _ = self.popitem(last=False)
            if turn.waiter.armed:
                return turn
        return None

    def next_of(self, ticket: int) -> Turn | None:
        """The same, if the oldest turn has at most this ticket."""
        while self:
            turn, own = self.popitem(last=False)
            if not turn.waiting:
                continue
            if own <= ticket:
                return turn
            self[turn] = own
            self.move_to_end(turn, last=False)
            break
        return None
