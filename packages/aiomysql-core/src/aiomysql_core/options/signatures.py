"""Helpers for functions that stand in front of a class."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from aiomysql_core.log import warn_caller
from aiomysql_core.options.keywords import unknown_option

__all__ = ["declares", "running_loop", "takes_parameters_of"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

#: How many ways to call a function are remembered.
_MOST_SHAPES = 64


def takes_parameters_of(
    model: Callable[..., object],
) -> Callable[[Callable[[tuple[Any, ...], dict[str, Any]], T]], Callable[..., T]]:
    """Decorator: what is called takes the parameters of `model`, and refuses others; the function
    gets those by position and those by name.
    """
    signature = inspect.signature(model)
    # How many by position and which by name: binding depends on nothing else, and takes long.
    accepted: set[tuple[int, tuple[str, ...]]] = set()

    def decorate(function: Callable[[tuple[Any, ...], dict[str, Any]], T]) -> Callable[..., T]:
        def checked(*args: Any, **kwargs: Any) -> T:
            shape = len(args), tuple(kwargs)
            if shape not in accepted:
                if unknown := kwargs.keys() - signature.parameters.keys():
                    name = min(unknown)
                    raise unknown_option(checked.__name__, name, signature.parameters)
                signature.bind(*args, **kwargs)
                if len(accepted) < _MOST_SHAPES:
                    accepted.add(shape)
            return function(args, kwargs)

        checked.__name__ = function.__name__
        checked.__signature__ = signature  # type: ignore[attr-defined]
        return checked

    return decorate


def declares(
    implementation: Callable[..., Any], signature: inspect.Signature | None = None
) -> Callable[[F], F]:
    """Decorator: what is called is `implementation`; the function says how, to readers, editors and
    type checkers: its body never runs.

    signature: what `inspect.signature` gives; None: that of `implementation`.
    """

    def decorate(declaration: F) -> F:
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(implementation, name, getattr(declaration, name))
        if signature is not None:
            implementation.__signature__ = signature  # type: ignore[attr-defined]
        return cast(F, implementation)

    return decorate


def running_loop(loop: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop:
    """The running event loop; a `loop` argument is deprecated and ignored.

    Raises RuntimeError when no loop is running and none was given.
    """
    if loop is None:
        return asyncio.get_running_loop()
    warn_caller(
        "the 'loop' argument is ignored: the running event loop is used", DeprecationWarning
    )
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return loop
