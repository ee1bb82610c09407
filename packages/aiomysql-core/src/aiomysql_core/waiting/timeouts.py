"""Errors of time-outs, and the limit of a single statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol, TypeVar

from pymysql.constants import CR
from pymysql.err import OperationalError

__all__ = ["ConnectTimeout", "QueryTimeout"]

T = TypeVar("T")


class ConnectTimeout(OperationalError, TimeoutError):
    """Error 2003: the connection was not open within `connect_timeout`."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # OSError has a form of its own


class QueryTimeout(OperationalError, TimeoutError):
    """Error 2013: a statement's `timeout`, `read_timeout` or `write_timeout` is over."""

    def __str__(self) -> str:
        return Exception.__str__(self)

    @classmethod
    def after(cls, seconds: float, what: str, *, lost: bool = True) -> QueryTimeout:
        """The error for `what`, an option or argument, of so many seconds.

        lost: whether the connection is closed for it.
        """
        timed_out = f"timed out after {seconds} s, {what}"
        if lost:
            timed_out = f"Lost connection to MySQL server during query ({timed_out})"
        return cls(CR.CR_SERVER_LOST, timed_out)


def check_timeout(name: str, seconds: object) -> None:
    """Raise TypeError or ValueError, naming the option, unless `seconds` is a time above 0."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError(f"{name} must be of type int, float, not {type(seconds).__name__}")
    if not seconds > 0:
        raise ValueError(f"{name} must be above 0 s, not {seconds}")


class Deadline:
    """Does what `asyncio.timeout` does, in a third of the time.

    It has no `with` block: the function that made it ends it.
    """

    __slots__ = ("_cancelling", "_expired", "_task", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None) -> None:
        """Have the running task cancelled in `seconds`; None: never.

        loop: the running one.  Raises RuntimeError outside of a task.  `end` must be called.
        """
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a time-out needs a task that can be cancelled")
        self._task: asyncio.Task[Any] | None = task
        self._expired = False
        self._cancelling = task.cancelling()
        self._timer = None if seconds is None else loop.call_later(seconds, self._expire)

    @classmethod
    def of_statement(cls, timeout: float) -> Deadline:
        """The deadline of a statement with this argument `timeout`.

        Raises TypeError or ValueError unless that is a time above 0, RuntimeError outside of a
        task.
        """
        if type(timeout) not in (float, int) or not timeout > 0:
            check_timeout("argument 'timeout'", timeout)
        return cls(asyncio.get_running_loop(), timeout)

    def _expire(self) -> None:
        self._expired = True
        self._timer = None
        if self._task is not None:
            self._task.cancel()

    def end(self, error: BaseException | None) -> bool:
        """End it, with the error that the task got.

        Returns whether the end of the time was the reason, and nothing else.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, self._task = self._task, None  # a task holds its error, and that who has this
        if task is None or not self._expired:
            return False
        others = task.uncancel() > self._cancelling
        return isinstance(error, asyncio.CancelledError) and not others


class _Runner(Protocol):
    @property
    def closed(self) -> bool: ...

    def record_reason(self, reason: str, /) -> None: ...


async def with_timeout(
    runner: _Runner, work: Awaitable[T], seconds: float | None, what: str = "argument 'timeout'"
) -> T:
    """Await `work`, which uses `runner` and may take so many seconds; returns what it gives.

    When they are over it is cancelled, which leaves the runner as a cancellation does, and
    QueryTimeout is raised.  what: says where the time comes from; None: there is no limit.
    """
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            return await work
    except TimeoutError:
        if not deadline.expired():
            raise
        assert seconds is not None
        raise timed_out(runner, seconds, what) from None
    finally:
        del deadline  # it holds the task, a task holds its error, and that holds this frame


async def within_timeout_argument(
    runner: _Runner, work: Coroutine[Any, Any, T], seconds: float
) -> T:
    """As `with_timeout`, for the argument `timeout` of a method.

    Raises TypeError or ValueError unless it is a time above 0; `work` is not begun then.
    """
    try:
        check_timeout("argument 'timeout'", seconds)
    except BaseException:
        work.close()
        raise
    return await with_timeout(runner, work, seconds)


def timed_out(runner: _Runner, seconds: float, what: str = "argument 'timeout'") -> QueryTimeout:
    """The error for a statement's `timeout`; if that has closed the runner, it is the reason."""
    error = QueryTimeout.after(seconds, what, lost=runner.closed)
    runner.record_reason(str(error.args[1]))
    return error
