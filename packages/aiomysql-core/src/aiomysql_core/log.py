"""What the driver tells besides errors: by its logger, and by warnings."""

from __future__ import annotations

import logging
import sys
import warnings
from contextvars import ContextVar
from types import CodeType
from typing import Any

from pymysql import err

#: Its name is the one classic aiomysql uses.
logger: logging.Logger = logging.getLogger("aiomysql")

_OURS = ("aiomysql_protocol.", "aiomysql_core.", "aiomysql_pool.", "aiomysql_sa.", "aiomysql.")


#: A line of a program: code, the index of an instruction in it, and the module's names.  (To find
#: out the line itself takes long.)
Place = tuple[CodeType, int, dict[str, Any]]

#: Who has asked for what a task of the driver's own does.
asked_at: ContextVar[Place | None] = ContextVar("asked_at", default=None)


def _line(code: CodeType, instruction: int) -> int:
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end)
    return next(lines, None) or 0


def warn_caller(message: str, category: type[Warning], place: Place | None = None) -> None:
    """Issue a warning for the line of the program that has called the driver.

    place: that line; default: found on the stack.
    """
    if place is None:
        place = asked_at.get()
    if place is not None:
        code, instruction, names = place
        warnings.warn_explicit(
            message,
            category,
            code.co_filename,
            _line(code, instruction),
            module=names.get("__name__"),
            registry=names.setdefault("__warningregistry__", {}),
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
