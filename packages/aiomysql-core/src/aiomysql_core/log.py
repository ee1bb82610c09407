"""What the driver tells besides errors: by its logger, and by warnings."""

from __future__ import annotations

import logging
import sys
import warnings
from contextvars import ContextVar
from types import CodeType
from typing import Any, NamedTuple

from pymysql import err

#: Its name is the one classic aiomysql uses.
logger = logging.getLogger("aiomysql")

_OURS = ("aiomysql_protocol.", "aiomysql_core.", "aiomysql_pool.", "aiomysql_sa.", "aiomysql.")


class Place(NamedTuple):
    """Where a program has called the driver."""

    code: CodeType
    #: Index of the instruction in it.
    instruction: int
    module: dict[str, Any]

    @property
    def line(self) -> int:
        """The line; 0: it has none."""
        for start, end, line in self.code.co_lines():
            if start <= self.instruction < end:
                return line or 0
        return 0


#: Who has asked for what a task of the driver's own does.
asked_at: ContextVar[Place | None] = ContextVar("asked_at", default=None)


def calling_place() -> Place:
    """Where the caller of this function was called."""
    frame = sys._getframe(2)
    return Place(frame.f_code, frame.f_lasti, frame.f_globals)


def warn_caller(message: str, category: type[Warning], place: Place | None = None) -> None:
    """Issue a warning for the line of the program that has called the driver.

    place: that line; default: found on the stack.
    """
    if place is None:
        place = asked_at.get()
    if place is not None:
        warnings.warn_explicit(
            message,
            category,
            place.code.co_filename,
            place.line,
            module=place.module.get("__name__"),
            registry=place.module.setdefault("__warningregistry__", {}),
        )
        return
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)


def warn_of_server(message: object) -> None:
    """Issue a message of SHOW WARNINGS, of whatever type the connection's converters give it."""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    warn_caller(str(message), err.Warning)
