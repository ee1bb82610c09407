"""Which implementation of the speed-critical parts runs, C or Python, and why.

The environment variable AIOMYSQL_IMPL decides, once, when the first of them is imported: "c" or
"python" means that one and nothing else; unset or empty means C where it was built.  A C module
that is there but cannot be loaded is an error, never a reason to go on slowly in silence.
"""

from __future__ import annotations

import os
import sys
from typing import Literal

from aiomysql_protocol._accelerator import (
    VARIABLE,
    accelerator,
    build_trouble,
    load_accelerator,
    missing,
)

__all__ = [
    "IMPLEMENTATION",
    "build_trouble",
    "load_accelerator",
    "missing",
    "reason",
    "reason_for",
]

IMPLEMENTATION: Literal["c", "python"] = "python" if accelerator() is None else "c"
"""The implementation that runs."""


def reason_for(package: str, *, built: bool) -> str:
    """Why `package`, which chose as this one did, runs in C (`built`) or in Python."""
    if wanted := os.environ.get(VARIABLE):
        return f"{VARIABLE} is {wanted!r}"
    if built:
        return f"{package}._speedups was built"
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} runs Python code faster"
    return missing(package)


def reason() -> str:
    """Why IMPLEMENTATION is what it is: a clause for messages."""
    return reason_for("aiomysql_protocol", built=IMPLEMENTATION == "c")
