"""What a task awaits until something has happened, a response has come say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import TYPE_CHECKING, Any

from aiomysql_core._accelerator import accelerator

__all__ = ["Waiter", "done_future"]

_ARMED = "armed"
_FIRED = "fired"
_FAILED = "failed"


class Waiter:
    """A future-like object that can resume its task without a turn of the event loop between.

    It is used over and over, by one task at a time: the owner calls `arm`, the task awaits the
    waiter, and the owner calls `fire`.  Of the event loop it uses `call_soon` alone.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled_error",
        "_context",
        "_done_future",
        "_error",
        "_has_progress",
        "_interrupted",
        "_loop",
        "_state",
    )

    def __init__(
        self, loop: Any, cancelled_error: type[BaseException], done_future: Any = None, /
    ) -> None:
        """loop: the event loop; cancelled_error: what it throws into cancelled tasks.

        done_future: a future of the loop's own kind with the result None.  After `fire` the task is
        given this future in place of the waiter, because asyncio asks its own futures for their
        result without looking up any method.
        """
        self._loop = loop
        self._cancelled_error = cancelled_error
        self._done_future = self if done_future is None else done_future
        self._interrupted: Callable[[BaseException], object] | None = None
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._error: BaseException | None = None
        self._state = _FIRED
        self._has_progress = False
        # asyncio knows by this attribute what a task can wait for (see asyncio.isfuture).
        self._asyncio_future_blocking = False

    def arm(self, interrupted: Callable[[BaseException], object] | None, /) -> None:
        """From now on awaiting waits for the next `fire`.

        interrupted: called with the exception when the task is resumed by one instead.
        """
        self._state = _ARMED
        self._has_progress = False
        self._interrupted = interrupted

    @property
    def armed(self) -> bool:
        """Whether it was neither fired nor cancelled since `arm`."""
        return self._state is _ARMED

    def fire(self, at_once: bool, /) -> None:
        """Resume the task that waits.

        at_once: resume it within this call.  The caller must have been called by the event loop,
        and have nothing left to do.  Otherwise the loop's next turn resumes it.
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

    def fail(self, error: BaseException, /) -> None:
        """Resume the task that waits with `error`, in the loop's next turn."""
        if self._state is _ARMED:
            self._error = error
            self._resume_failed()

    def mark_progress(self) -> None:
        """Have the next `wake_if_progressed` resume the task."""
        self._has_progress = True

    def wake_if_progressed(self, at_once: bool, /) -> None:
        """Call `fire`, if `mark_progress` was called since `arm`."""
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
            future = self if self._state is _FAILED else self._done_future
            self._loop.call_soon(callback, future, context=context)

    def cancel(self, msg: Any = None) -> bool:
        """Resume the task with the error of a cancelled one; False when it was resumed already."""
        if self._state is not _ARMED:
            return False
        self._error = self._cancelled_error() if msg is None else self._cancelled_error(msg)
        self._resume_failed()
        return True

    def _resume_failed(self) -> None:
        self._state = _FAILED
        callback, self._callback = self._callback, None
        context, self._context = self._context, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=context)

    def result(self) -> None:
        """Return None; raises the error given to `fail`, or of a cancelled task after `cancel`."""
        if self._state is _FAILED:
            self._state = _FIRED
            error, self._error = self._error, None
            assert error is not None
            try:
                raise error
            finally:
                del error  # its traceback holds this frame


def done_future(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """A future of this loop that has the result None, for a Waiter."""
    future: asyncio.Future[None] = loop.create_future()
    future.set_result(None)
    return future


PyWaiter = Waiter
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    Waiter = _c.Waiter
