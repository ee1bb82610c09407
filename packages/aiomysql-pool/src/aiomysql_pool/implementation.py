"""Which implementation runs, C or Python, and why: in this layer."""

from __future__ import annotations

from functools import cache
from typing import Literal

from aiomysql_core import implementation as core
from aiomysql_pool._accelerator import accelerator

__all__ = ["IMPLEMENTATION", "announce", "build_failed", "reason"]

IMPLEMENTATION: Literal["c", "python"] = "python" if accelerator() is None else "c"
"""What runs here; "python" wherever that is what runs in the core."""


def reason() -> str:
    """Why IMPLEMENTATION is what it is: a clause for messages."""
    if core.IMPLEMENTATION == "python":
        return core.reason()
    return core.reason_for("aiomysql_pool", built=IMPLEMENTATION == "c")


def build_failed() -> bool:
    """Whether Python runs only because a build could not compile this layer's C module."""
    return IMPLEMENTATION != core.IMPLEMENTATION and bool(core.build_trouble("aiomysql_pool"))


@cache
def announce() -> None:
    """Log a warning, once, if `build_failed`; what runs in other layers is said by the core."""
    if build_failed():
        core.warn_of_build(reason())
