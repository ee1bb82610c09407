"""What is to be awaited, and says so where an `await` or `async with` was forgotten.

C types have the same by these functions, which are called only where something is wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

__all__ = [
    "AsyncBlock",
    "Unawaited",
    "awaiting",
    "describe",
    "refuse_async_items",
    "refuse_attribute",
    "refuse_await",
    "refuse_block",
    "refuse_items",
    "refuse_length",
]

T = TypeVar("T")


#: What returns objects of these classes.
_SOURCES = {
    "AcquireContext": "acquire()",
    "Pipeline": "pipeline()",
    "PipelinedStatement": "execute()",
    "PoolRowStream": "iterate()",
    "PoolTransaction": "transaction()",
    "ReadyContext": "cursor()",
    "RowStream": "iterate()",
    "Transaction": "transaction()",
}


def _source(unawaited: object) -> str:
    """What has returned it, as a call; empty: unknown."""
    kind = type(unawaited).__name__
    if kind in _SOURCES:
        return _SOURCES[kind]
    work = getattr(unawaited, "_coro", None)
    if type(work).__name__ == "Ready":
        return "cursor()"
    name = str(getattr(work, "__qualname__", "")).rpartition(".")[2].lstrip("_")
    return f"{name}()" if name else ""


def _subject(unawaited: object) -> str:
    source = _source(unawaited)
    return f"what {source} returns" if source else f"{type(unawaited).__name__!r} object"


def _advice(unawaited: object) -> str:
    if isinstance(unawaited, AsyncBlock):
        loop = "`async for`, or with " if hasattr(type(unawaited), "__aiter__") else ""
        return f"it is to be used with {loop}`async with`"
    advice = "it is to be awaited"
    if hasattr(type(unawaited), "__aenter__"):
        advice += ", or used with `async with`"
    return advice


def describe(unawaited: object, /) -> str:
    """Its repr()."""
    source = _source(unawaited)
    of = f" of {source}" if source else ""
    advice = _advice(unawaited).removeprefix("it is ")
    return f"<{type(unawaited).__name__}{of}, {advice}>"


def refuse_attribute(unawaited: object, name: str, /) -> NoReturn:
    """Raise AttributeError."""
    raise AttributeError(
        f"{_subject(unawaited)} has no attribute {name!r}: {_advice(unawaited)}",
        name=name,
        obj=unawaited,
    )


def refuse_items(unawaited: object, /) -> NoReturn:
    """Raise TypeError."""
    raise TypeError(
        f"{_subject(unawaited)} is neither subscriptable nor iterable: {_advice(unawaited)}"
    )


def refuse_async_items(unawaited: object, /) -> NoReturn:
    """Raise TypeError."""
    raise TypeError(f"{_subject(unawaited)} is not iterable by `async for`: {_advice(unawaited)}")


def refuse_length(unawaited: object, /) -> NoReturn:
    """Raise TypeError."""
    raise TypeError(f"{_subject(unawaited)} has no length: {_advice(unawaited)}")


class _NoBlockError(AttributeError, TypeError):
    """What `with` raises; and who asks whether there is an `__enter__` is told that there is none.

    For that there is no `__exit__`: what has both is an AbstractContextManager.  (Python 3.14 looks
    for that one first, and has words of its own.)
    """


def refuse_block(unawaited: object, /) -> NoReturn:
    """Raise TypeError, which is an AttributeError, too."""
    raise _NoBlockError(f"{_subject(unawaited)} can't be used with `with`: {_advice(unawaited)}")


def refuse_await(unawaited: object, /) -> NoReturn:
    """Raise TypeError."""
    raise TypeError(f"{_subject(unawaited)} can't be awaited: {_advice(unawaited)}")


async def _result(work: Awaitable[T]) -> T:
    return await work


def awaiting(work: Awaitable[T], /) -> Generator[Any, Any, T]:
    """What `__await__` returns for an object that awaits as its own iterator."""
    return _result(work).__await__()


class Unawaited(Awaitable[T], Generic[T]):
    """Base of what functions return that are not coroutine functions, but are to be awaited."""

    __slots__ = ()

    def __repr__(self) -> str:
        return describe(self)

    # Not for type checkers: they are to find the mistake, too.
    if not TYPE_CHECKING:

        def __getattr__(self, name):
            # (What has an underscore in front may be asked of an object that is not made yet.)
            if name[:1] == "_":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            refuse_attribute(self, name)

        # It is asked by loops, too: what has an `__iter__` would be an Iterable.
        def __getitem__(self, key):
            refuse_items(self)

        def __aiter__(self):
            refuse_async_items(self)

        def __len__(self):
            refuse_length(self)

        def __bool__(self):
            return True

        @property
        def __enter__(self):
            refuse_block(self)


class AsyncBlock:
    """Base of what is for `async with` alone, or for `async for` too."""

    if not TYPE_CHECKING:

        def __await__(self):
            refuse_await(self)

        # As in Unawaited.
        def __getitem__(self, key):
            refuse_items(self)

        @property
        def __enter__(self):
            refuse_block(self)
