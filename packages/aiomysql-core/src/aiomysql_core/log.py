"""What the driver tells besides errors: by its logger, and by warnings."""

from __future__ import annotations

import logging
import sys
import warnings

from pymysql import err

#: Its name is the one classic aiomysql uses.
logger = logging.getLogger("aiomysql")

_OURS = ("aiomysql_core.", "aiomysql_pool.", "aiomysql_sa.", "aiomysql.")


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning for the line of the program that has called the driver."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)


def warn_of_server(message: object) -> None:
    """Issue a message of SHOW WARNINGS, of whatever type the connection's converters give it."""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    warn_caller(str(message), err.Warning)
