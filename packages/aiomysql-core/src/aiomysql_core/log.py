"""What the driver tells besides errors: by its logger, and by warnings."""

from __future__ import annotations

import logging
import sys
import warnings

#: Its name is the one classic aiomysql uses.
logger = logging.getLogger("aiomysql")

_OURS = ("aiomysql_core.", "aiomysql_pool.", "aiomysql_sa.", "aiomysql.")


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning for the line of the program that has called the driver."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)
