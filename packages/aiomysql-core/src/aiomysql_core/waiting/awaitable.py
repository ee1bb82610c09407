"""Results that are awaited, or used with `async with`."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiomysql_core._accelerator import accelerator
from aiomysql_core.waiting.ready import DONE, Ready
from aiomysql_core.waiting.unawaited import Unawaited

__all__ = ["AwaitableContextManager"]

T = TypeVar("T")


class AwaitableContextManager(Unawaited[T], Coroutine[Any, Any, T], Generic[T]):
    """Wraps an awaitable whose result is an async context manager, a cursor say.

    Awaiting it gives that object.  `async with` gives it too, and calls the object's `__aexit__` in
    the end; the object's own `__aenter__` is not called.
    """

    __slots__ = ("_coro", "_obj", "_steps")

    def __init__(self, coro: Awaitable[T]) -> None:
        self._coro = coro
        self._obj: Any = None
        self._steps: Generator[Any, Any, T] | None = None

    def send(self, value: Any) -> Any:
        """Part of the coroutine protocol: tasks run what they are given by it."""
        if self._steps is None:
            self._steps = self._coro.__await__()
        return self._steps.send(value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any:
        """Part of the coroutine protocol."""
        error = typ if val is None else val
        if tb is not None and isinstance(error, BaseException):
            error = error.with_traceback(tb)
        try:
            if self._steps is not None:
                return self._steps.throw(error)
            # From Python 3.12 on a generator that has not begun lets StopIteration through, which
            # would be the result.
            self.close()
            DONE.throw(error)
        finally:
            del error, typ, val, tb  # the error that comes back holds this frame

    def close(self) -> None:
        """Part of the coroutine protocol: nobody will await this."""
        close = getattr(self._coro, "close", None)
        if close is not None:
            close()

    def __await__(self) -> Generator[Any, None, T]:
        return self._coro.__await__()

    async def _enter(self) -> T:
        self._obj = obj = await self._coro
        return obj

    if TYPE_CHECKING:
        # As the protocols of `contextlib` have them.
        async def __aenter__(self) -> T: ...

        async def __aexit__(
            self,
            exc_type: type[BaseException] | None,
            exc: BaseException | None,
            traceback: TracebackType | None,
        ) -> Any: ...

    else:

        def __aenter__(self) -> Coroutine[Any, Any, T]:
            coro = self._coro
            if isinstance(coro, Ready):
                self._obj = coro.value
                return coro
            return self._enter()

        def __aexit__(self, exc_type, exc, traceback) -> Coroutine[Any, Any, Any]:
            obj, self._obj = self._obj, None
            return obj.__aexit__(exc_type, exc, traceback)


if not TYPE_CHECKING and (_c := accelerator()) is not None:
    AwaitableContextManager.register(_c.ReadyContext)
