"""Lending things: who finds none waits, and what comes back goes to the oldest of those who wait.

What is lent is the owner's affair.  It gives the rules, as functions, and does what is not simple;
here is what happens nearly always, without a step of the owner in between.  The classes are the
Python implementation; `_turns.h`, `_shelf.h`, `_loan.h` and `_rules.h` hold one that behaves the
same.  Which of the two runs is decided in `implementation`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from operator import attrgetter
from time import monotonic
from types import TracebackType
from typing import Any, Generic, TypeVar

from aiomysql_protocol.waiting import Ready, Waiter

T = TypeVar("T")
ItemT = TypeVar("ItemT", bound="Item[Any]")


class Item(Generic[T]):
    """Stands for a thing that can be lent; to be subclassed."""

    __slots__ = ("fresh", "held", "subject")

    def __init__(self, thing: T | None, subject: Any) -> None:
        """`subject`: what the shelf's rules `fit` and `wake` are asked about."""
        #: The thing, but for when it is lent.
        self.held = thing
        self.subject = subject
        #: Was it never lent?
        self.fresh = True


class Turn(Waiter, Generic[T]):
    """The place of one borrower in the queue, who awaits it and then asks for the `outcome`.

    Made by `Shelf.queue_up`.
    """

    __slots__ = ("_error", "item", "thing")

    def __init__(self, loop: Any, cancelled_error: type[BaseException], done_future: Any) -> None:
        super().__init__(loop, cancelled_error, done_future)
        self.arm(None)
        #: What was given, and what stands for it; None before.
        self.thing: T | None = None
        self.item: Item[T] | None = None
        self._error: BaseException | None = None

    def fail(self, error: BaseException, /) -> None:
        """Let the borrower get `error`, unless it got something already."""
        if self.armed:
            self._error = error
            self.fire(False)

    def outcome(self) -> T:
        """What was given.  Raises the error that was given instead, RuntimeError before either."""
        if self.thing is not None:
            return self.thing
        error, self._error = self._error, None
        if error is None:
            raise RuntimeError("nothing was given yet")
        try:
            raise error
        finally:
            del error  # it holds the frame that holds this


class Shelf(Generic[T, ItemT]):
    """The things that are to be lent, and the queue of those who wait for one.

    It belongs to the thread that makes it, and to the event loop `loop`.
    """

    def __init__(
        self,
        loop: Any,
        cancelled_error: type[BaseException],
        done_future: Any = None,
        *,
        get_ident: Callable[[], int],
        fit: Callable[[Any], bool],
        wake: Callable[[Any, Waiter], object],
        borrow: Callable[[Any, float | None], Awaitable[T]],
        accept: Callable[[Any, T], Awaitable[T]],
        give_back: Callable[[Any, T], Awaitable[None]],
    ) -> None:
        """loop, cancelled_error, done_future: those of a Waiter, see there.

        get_ident: threading.get_ident.
        fit: may a thing change hands now?  It gets its item's subject, as wake does, which fires
        the waiter that gets the thing.
        The owner of a loan (see `loan`) is given to what does all that is not simple: borrow, with
        a time-out in seconds or None; accept, with a thing that came from the queue and is not fit,
        or came while the shelf was not open; give_back.
        """
        self._waiters = loop, cancelled_error, done_future
        self._fit, self._wake = fit, wake
        self._borrow, self._accept, self._give_back = borrow, accept, give_back
        self._runs = loop.is_running
        self._get_ident, self._thread = get_ident, get_ident()
        self._turns: OrderedDict[Turn[T], int] = OrderedDict()
        self._done = Ready(None)
        #: What stands for each thing, by the thing's id; the owner's to change.
        self.items: dict[int, ItemT] = {}
        #: Those of the things that nobody has, longest first; the owner's to change.
        self.idle: deque[ItemT] = deque()
        #: May things change hands without the owner?
        self.open = False
        #: So many items there are when no more will be made and a borrower who finds none needs
        #: nothing but to wait; -1: ask the owner.
        self.capacity = -1
        #: How many things were lent, by anyone.
        self.lent = 0
        #: How many loans had to wait, and for how long together, in seconds.
        self.waited = 0
        self.wait_time = 0.0
        #: The ticket of the turn that is the newest; tickets grow with the time of asking.
        self.newest = 0

    @property
    def waiting(self) -> int:
        """How many turns there are in the queue."""
        return len(self._turns)

    def loan(self, owner: Any, timeout: float | None, /) -> Loan[T]:
        """To be awaited or used with `async with`: a thing of `owner`'s."""
        return Loan(self, owner, timeout)

    # -- things ----------------------------------------------------------------------------------

    def put(self, item: ItemT, thing: T, /) -> bool:
        """Give `thing` to the oldest turn, or make it idle; returns whether it was given."""
        turn = self.next()
        if turn is None:
            item.held = thing
            self.idle.append(item)
            return False
        item.held = None
        self.lent += 1
        turn.item, turn.thing = item, thing
        self._wake(item.subject, turn)
        return True

    def take_back(self, thing: T, /) -> bool:
        """`put` a thing that was lent, if there is nothing else to do for that.

        False: nothing was done.
        """
        item = self.items.get(id(thing)) if self.open else None
        if item is None or item.held is not None or not self._fit(item.subject):
            return False
        item.fresh = False
        self.put(item, thing)
        return True

    def _take(self) -> T | None:
        """Take the first idle thing, if there is nothing else to do for that."""
        if not (self.idle and self.open and self._get_ident() == self._thread and self._runs()):
            return None
        item = self.idle.popleft()
        thing: T | None = item.held
        if thing is None or not self._fit(item.subject):
            self.idle.appendleft(item)
            return None
        item.held = None
        item.fresh = False
        self.lent += 1
        return thing

    # -- the queue -------------------------------------------------------------------------------

    def queue_up(self, *, first: bool = False) -> Turn[T]:
        """A new turn, the last in the queue or the first."""
        turn: Turn[T] = Turn(*self._waiters)
        self.newest += 1
        self._turns[turn] = self.newest
        if first:
            self._turns.move_to_end(turn, last=False)
        self._give_idle()
        return turn

    def _give_idle(self) -> None:
        """Somebody came into the queue: while that was made ready code may have run, a finalizer
        say, that gave things back and found nobody there.
        """
        while self.idle and self._turns:
            item = self.idle.popleft()
            if (thing := item.held) is not None:
                self.put(item, thing)

    def next(self, ticket: int | None = None, /) -> Turn[T] | None:
        """Take out the oldest turn; None if there is none, or its ticket is above `ticket`."""
        turns = self._turns
        while turns:
            turn, own = turns.popitem(last=False)
            if turn.armed:
                if ticket is None or own <= ticket:
                    return turn
                turns[turn] = own
                turns.move_to_end(turn, last=False)
                self._give_idle()
                break
        return None

    def discard(self, turn: Turn[T], /) -> None:
        """Take out a turn, if it is in the queue."""
        self._turns.pop(turn, None)

    def _only_wait(self) -> bool:
        """Is there nothing to do for a borrower but to wait?"""
        return self._full() and not self.idle and self._get_ident() == self._thread and self._runs()

    def _full(self) -> bool:
        """Are there all things that there will be, and does the shelf give them by itself?"""
        return self.open and len(self.items) == self.capacity


_AWAITED = "this loan is being awaited already"


class _Progress:
    """How far the awaiting of a loan has come; its steps hold this, and not the loan."""

    __slots__ = ("turn", "under_way")

    def __init__(self) -> None:
        self.under_way = False
        #: Where it waits.
        self.turn: Turn[Any] | None = None


class Loan(Coroutine[Any, Any, T], Generic[T]):
    """`await` gives a thing to be given back by the caller; `async with` gives it back itself.

    Made by `Shelf.loan`.  Awaiting raises what the owner's `borrow` and `accept` raise, and what
    `Turn.fail` was called with; RuntimeError while another task awaits the same loan.  It doesn't
    suspend when a thing is there.
    """

    __slots__ = ("_owner", "_progress", "_shelf", "_steps", "_thing", "_timeout")

    def __init__(self, shelf: Shelf[T, Any], owner: Any, timeout: float | None) -> None:
        self._shelf = shelf
        self._owner = owner
        self._timeout = timeout
        self._thing: T | None = None
        self._steps: Generator[Any, Any, T] | None = None
        self._progress = _Progress()

    def __await__(self) -> Generator[Any, None, T]:
        # Not a method: kept by the object that it refers to, it would be a reference cycle.
        return _borrow(self._shelf, self._owner, self._timeout, self._progress)

    async def __aenter__(self) -> T:
        thing = self._shelf._take()
        if thing is None:
            thing = await self
        self._thing = thing
        return thing

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[None]:
        thing, self._thing = self._thing, None
        if thing is None:
            raise RuntimeError("nothing was borrowed")
        shelf = self._shelf
        return shelf._done if shelf.take_back(thing) else shelf._give_back(self._owner, thing)

    def send(self, value: Any, /) -> Any:
        """Part of the coroutine protocol: tasks run what they are given by it."""
        turn = self._progress.turn
        if turn is not None and turn.armed:
            raise RuntimeError(_AWAITED)
        return self._running().send(value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None, /) -> Any:
        """Part of the coroutine protocol."""
        try:
            error = typ if val is None else val
            if tb is not None and isinstance(error, BaseException):
                error = error.with_traceback(tb)
            return self._running().throw(error)
        finally:
            del typ, val, error  # an error must not be held by a frame that it holds

    def _running(self) -> Generator[Any, Any, T]:
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps

    def close(self) -> None:
        """Part of the coroutine protocol: nobody will await this."""
        self._running().close()


def _borrow(
    shelf: Shelf[T, Any], owner: Any, timeout: float | None, progress: _Progress
) -> Generator[Any, None, T]:
    if progress.under_way:
        raise RuntimeError(_AWAITED)
    thing = shelf._take()
    if thing is not None:
        return thing
    progress.under_way = True
    try:
        if timeout is None and shelf._only_wait():
            turn = progress.turn = shelf.queue_up()
            if shelf._full() or not turn.armed:
                thing, fits = yield from _wait(shelf, owner, progress, turn)
                if fits:
                    return thing
                return (yield from shelf._accept(owner, thing).__await__())
            # Meanwhile there is something to do for the owner.
            progress.turn = None
            shelf.discard(turn)
        return (yield from shelf._borrow(owner, timeout).__await__())
    finally:
        progress.under_way = False


def _wait(
    shelf: Shelf[T, Any], owner: Any, progress: _Progress, turn: Turn[T]
) -> Generator[Any, None, tuple[T, bool]]:
    """What comes from the queue, and whether it is fit."""
    began = monotonic()
    try:
        yield from turn.__await__()
        thing = turn.outcome()
        item = turn.item
        fits = shelf.open and item is not None and shelf._fit(item.subject)
    except BaseException:
        shelf.discard(turn)
        if turn.thing is not None:
            shelf._give_back(owner, turn.thing)
        raise
    finally:
        progress.turn = None
        shelf.waited += 1
        shelf.wait_time += monotonic() - began
    if fits and item is not None:
        item.fresh = False
    return thing, fits


def resting(claimed: str, pending: str, flags: int, /) -> Callable[[Any], bool]:
    """A function that tells of the user of a session whether both are at rest.

    It has the session, or None, in its attribute `session`, in that named `claimed` whether it is
    in use, and in that named `pending` whether it has something to end.  At rest are, if neither is
    so, an open session without an outstanding answer and with none of `flags` in its
    `server_status`.
    """
    look = attrgetter("session", claimed, pending)

    def at_rest(user: Any, /) -> bool:
        session, in_use, has_more = look(user)
        return not (
            session is None
            or in_use
            or has_more
            or session.error is not None
            or session.exchanges
            or session.server_status & flags
        )

    return at_rest


def following(stream: str, /) -> Callable[[Any, Waiter], None]:
    """A function that wakes the task that is to use a stream next, given a user of it and a waiter.

    The user has the stream, or None, in its attribute `stream` names.  While that is `waking` a
    task, its `next_waiter` is the waiter to be fired next, or None: then this one becomes it.
    """
    look = attrgetter(stream)

    def follow(user: Any, waiter: Waiter, /) -> None:
        found = look(user)
        if found is not None and found.waking and found.next_waiter is None:
            found.next_waiter = waiter
        else:
            waiter.fire(False)

    return follow
