"""Which implementation runs, C or Python, and why: in this layer and the protocol together."""

from __future__ import annotations

import os
from functools import cache
from typing import Literal

from aiomysql_core._accelerator import HAS_C, accelerator
from aiomysql_core.log import logger
from aiomysql_protocol import implementation as protocol
from aiomysql_protocol.implementation import build_trouble, load_accelerator, reason_for

__all__ = [
    "IMPLEMENTATION",
    "REBUILD",
    "announce",
    "build_failed",
    "build_trouble",
    "load_accelerator",
    "reason",
    "reason_for",
    "warn_of_build",
]

IMPLEMENTATION: Literal["c", "python"] = (
    "python" if HAS_C and accelerator() is None else protocol.IMPLEMENTATION
)
"""What runs: "c" where each layer that has a C module for this system uses it, else "python"."""


def reason() -> str:
    """Why IMPLEMENTATION is what it is: a clause for messages."""
    if protocol.IMPLEMENTATION == "python" or not HAS_C:
        return protocol.reason()
    return reason_for("aiomysql_core", built=IMPLEMENTATION == "c")


def build_failed() -> bool:
    """Whether Python runs only because a build could not compile the C modules."""
    by_choice = IMPLEMENTATION == "c" or os.environ.get("AIOMYSQL_IMPL") == "python"
    layers = ("aiomysql_protocol", "aiomysql_core")
    return not by_choice and any(map(build_trouble, layers))


#: What makes installers build again what is installed, and may be in their caches.
REBUILD = "--force-reinstall --no-deps --no-cache-dir (pip) or --reinstall --no-cache (uv)"


@cache
def announce() -> None:
    """Log, once, which implementation runs: at level debug, or as a warning if a build failed.

    pip and uv show nothing of what a build says, so this is where a missing compiler is noticed.
    """
    if not build_failed():
        logger.debug("implementation: %s (%s)", IMPLEMENTATION, reason())
    else:
        warn_of_build(reason())


def warn_of_build(reason: str) -> None:
    """Log that Python runs because a build failed; `reason` says which."""
    logger.warning(
        "implementation: python, which takes more processor time than the C one: %s. To build it"
        " anew, add %s to the command that installed it. (AIOMYSQL_IMPL=python says that Python is"
        " meant.)",
        reason,
        REBUILD,
    )
