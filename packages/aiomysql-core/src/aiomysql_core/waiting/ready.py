"""A coroutine whose result is there already."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from aiomysql_core._accelerator import accelerator
from aiomysql_core.waiting.unawaited import Unawaited

__all__ = ["DONE", "Ready"]

T = TypeVar("T")


class Ready(Unawaited[T], Coroutine[Any, Any, T], Generic[T]):
    """A coroutine that has its result already: awaiting it doesn't suspend."""

    __slots__ = ("value",)

    def __init__(self, value: T, /) -> None:
        #: The result.
        self.value: T = value

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
        finally:
            del typ, val, tb  # an error must not be held by a frame that it holds

    def close(self) -> None:
        """Part of the coroutine protocol: nobody will await this."""


PyReady = Ready
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    Ready = _c.Ready

#: Awaiting it gives None at once.
DONE: Ready[None] = Ready(None)
