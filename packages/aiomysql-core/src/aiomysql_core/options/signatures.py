"""Helpers for functions that stand in front of a class."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from aiomysql_core.log import warn_caller
from aiomysql_core.options.keywords import unknown_option

P = ParamSpec("P")
T = TypeVar("T")

#: How many ways to call a function are remembered.
_MOST_SHAPES = 64


def takes_parameters_of(
    model: Callable[P, Any],
) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Decorator: the function takes the parameters of `model`, and refuses others when called."""
    signature = inspect.signature(model)
    # How many by position and which by name: binding depends on nothing else, and takes long.
    accepted: set[tuple[int, tuple[str, ...]]] = set()

    def decorate(function: Callable[..., T]) -> Callable[P, T]:
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            shape = len(args), tuple(kwargs)
            if shape not in accepted:
                if unknown := kwargs.keys() - signature.parameters.keys():
                    name = min(unknown)
                    raise unknown_option(function.__name__, name, signature.parameters)
                signature.bind(*args, **kwargs)
                if len(accepted) < _MOST_SHAPES:
                    accepted.add(shape)
            return function(*args, **kwargs)

        checked.__name__ = function.__name__
        checked.__qualname__ = function.__qualname__
        checked.__module__ = function.__module__
        checked.__doc__ = function.__doc__
        checked.__signature__ = signature  # type: ignore[attr-defined]
        return checked

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
