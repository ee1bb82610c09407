"""What a task awaits: a value that is there, or an answer that is not.

Both know how awaiting works, and nothing of any event loop but what they are given.  The classes
here are the Python implementation; `_waiting.h` holds one that behaves the same.  Which of the two
runs is decided in `implementation`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")


class Ready(Coroutine[Any, Any, T], Generic[T]):
    """A coroutine that has its result already: awaiting it doesn't suspend."""

    __slots__ = ("value",)

    def __init__(self, value: T, /) -> None:
        #: The result.
        self.value = value

    def __await__(self) -> Generator[Any, None, T]:
        return self.value
        yield  # the method must be a generator

    def send(self, value: Any, /) -> NoReturn:
        """Part of the coroutine protocol: tasks run what they are given by it."""
        raise StopIteration(self.value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None, /) -> NoReturn:
        """Part of the coroutine protocol."""
        try:
            raise typ if val is None else val
        except StopIteration as error:  # out of a coroutine it would be its result
            raise RuntimeError("coroutine raised StopIteration") from error

    def close(self) -> None:
        """Part of the coroutine protocol: nobody will await this."""


class Waiter:
    """A future-like object that can resume its task without a turn of the event loop between.

    Used over and over by one task at a time: `arm`, await, `fire`.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled_error",
        "_context",
        "_done_future",
        "_has_progress",
        "_interrupted",
        "_loop",
        "_message",
        "_state",
    )

    def __init__(
        self, loop: Any, cancelled_error: type[BaseException], done_future: Any = None
    ) -> None:
        """`loop`: an event loop, of which `call_soon` is used; `cancelled_error`: what it throws
        into cancelled tasks.

        `done_future`: a future of the loop's own kind with the result None, which the task gets
        from `fire` in the place of this object: it asks that one for its result without look-ups.
        """
        self._loop = loop
        self._cancelled_error = cancelled_error
        self._done_future = self if done_future is None else done_future
        self._interrupted: Callable[[BaseException], object] | None = None
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._message: Any = None
        self._state = _FIRED
        self._has_progress = False
        # The mark by which asyncio knows what a task can wait for (see asyncio.isfuture).
        self._asyncio_future_blocking = False

    def arm(self, interrupted: Callable[[BaseException], object] | None, /) -> None:
        """From now on awaiting waits for the next `fire`.

        `interrupted`: called with the exception when the task gets one instead.
        """
        self._state = _ARMED
        self._has_progress = False
        self._interrupted = interrupted

    @property
    def armed(self) -> bool:
        """Neither fired nor cancelled since `arm`?"""
        return self._state is _ARMED

    def fire(self, at_once: bool, /) -> None:
        """Wake the task that waits.

        `at_once`: resume it within this call, which must then be the caller's last deed, and the
        caller one whom the event loop called.  Else the loop's next turn does.
        """
        if self._state is not _ARMED:
            return
        self._state = _FIRED
        callback, self._callback = self._callback, None
        context, self._context = self._context, None
        if callback is None:
            return
        if at_once and context is not None:
            try:
                context.run(callback, self._done_future)
                del callback  # the task's: its error may hold this frame (Python 3.13)
                return
            except RuntimeError:
                pass  # another task runs: the event loop was entered from within it
        self._loop.call_soon(callback, self._done_future, context=context)

    def mark_progress(self) -> None:
        """There is something to wake the task for: the next `wake_if_progressed` does."""
        self._has_progress = True

    def wake_if_progressed(self, at_once: bool, /) -> None:
        """`fire`, if `mark_progress` was called since `arm`."""
        if self._has_progress:
            self._has_progress = False
            self.fire(at_once)

    def __await__(self) -> Generator[Any, None, None]:
        try:
            if self._state is _ARMED:
                self._asyncio_future_blocking = True
                yield self
            self.result()
            if self._state is _ARMED:
                raise RuntimeError("the waiting task was woken by someone else")
        except BaseException as error:
            if self._state is _ARMED:
                self._state = _FIRED
            self._callback = self._context = None
            interrupted, self._interrupted = self._interrupted, None
            if interrupted is not None:
                interrupted(error)
            raise
        self._interrupted = None

    # -- what asyncio's tasks ask of a future, besides `_loop` -------------------------------------

    def add_done_callback(
        self, callback: Callable[[Any], object], /, *, context: Context | None = None
    ) -> None:
        """Have `callback` called once, by `fire` or `cancel`; soon, if that was before."""
        if self._state is _ARMED:
            self._callback, self._context = callback, context
        else:
            future = self if self._state is _CANCELLED else self._done_future
            self._loop.call_soon(callback, future, context=context)

    def cancel(self, msg: Any = None) -> bool:
        """Wake the task with the error of a cancelled one; False when it was woken already."""
        if self._state is not _ARMED:
            return False
        self._state = _CANCELLED
        self._message = msg
        callback, self._callback = self._callback, None
        context, self._context = self._context, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=context)
        return True

    def result(self) -> None:
        """Raises the error of a cancelled task after `cancel`."""
        if self._state is _CANCELLED:
            message, self._message = self._message, None
            self._state = _FIRED
            raise self._cancelled_error() if message is None else self._cancelled_error(message)


_ARMED = "armed"
_FIRED = "fired"
_CANCELLED = "cancelled"
