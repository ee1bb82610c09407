"""What the driver tells besides errors: by its logger, and by warnings."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from asyncio import _get_running_loop as running_loop  # None where none runs
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any

from pymysql import err

__all__ = [
    "LOST",
    "Place",
    "UncommittedWarning",
    "asked_at",
    "calling_place",
    "is_told_otherwise",
    "logger",
    "warn_caller",
    "warn_of_lost_changes",
    "warn_of_server",
]

#: Its name is the one classic aiomysql uses.
logger: logging.Logger = logging.getLogger("aiomysql")

#: Modules that a warning is not about: ours, and what stands between them and the program.
_PASSED = (
    "aiomysql_protocol.",
    "aiomysql_core.",
    "aiomysql_pool.",
    "aiomysql_sa.",
    "aiomysql.",
    "asyncio.",
    "contextlib.",
)

#: Functions by which a loop runs what is nobody's call.
_LOOP = frozenset({("asyncio.events", "_run"), ("asyncio.runners", "run")})

#: What becomes of changes that were not committed.
LOST = "they are rolled back, where their tables have transactions"


class UncommittedWarning(UserWarning):
    """Rows were changed in a transaction, and what was done then loses that: see option
    `warn_uncommitted`.
    """


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
    level, frame = _find_caller(sys._getframe(1))
    # Where there is none it is the driver's own line that has the warning.
    warnings.warn(message, category, stacklevel=2 if frame is None else level + 1)


def _find_caller(frame: FrameType) -> tuple[int, FrameType | None]:
    """The first frame of the program's from `frame` on, and which it is, counted from 1.

    None: the loop runs the driver without one.  Who runs the loop has called nothing.
    """
    level, found = 1, frame
    while True:
        name = str(found.f_globals.get("__name__"))
        if not f"{name}.".startswith(_PASSED):
            return level, found
        if (name, found.f_code.co_name) in _LOOP or found.f_back is None:
            return level, None
        level, found = level + 1, found.f_back


def calling_place() -> Place | None:
    """The line of the program that has called the driver; None: there is none."""
    _, frame = _find_caller(sys._getframe(1))
    return None if frame is None else (frame.f_code, frame.f_lasti, frame.f_globals)


def warn_of_server(message: object) -> None:
    """Issue a message of SHOW WARNINGS, of whatever type the connection's converters give it."""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    warn_caller(str(message), err.Warning)


def warn_of_lost_changes(connection: object, deed: str, place: Place | None = None) -> None:
    """Warn the program that changes were not committed.

    deed: what it did to the connection; place: the line that did so, if it is known.
    """
    place = place or asked_at.get() or calling_place()
    subject = "a connection"  # the same text for all: so it comes once for each place
    if place is None:  # it comes each time: there is nothing that remembers it
        subject, frame = repr(connection), sys._getframe()
        place = frame.f_code, frame.f_lasti, {"__name__": __name__}
    warn_caller(
        f"{subject} was {deed} with changes that are not committed: {LOST}; "
        "`await connection.commit()` keeps them, and so do the option autocommit=True and "
        "`async with connection.transaction()`",
        UncommittedWarning,
        place,
    )


def is_told_otherwise() -> bool:
    """Whether an exception is being handled, or the task was cancelled: nobody needs to be told
    that work is given up.
    """
    if sys.exception() is not None:
        return True
    loop = running_loop()
    task = None if loop is None else asyncio.current_task(loop)
    return task is not None and task.cancelling() > 0
