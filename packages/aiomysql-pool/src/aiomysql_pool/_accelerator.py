"""Internal: does this layer's C module run?  As in the core's module of that name.

PyLeaseQueue = LeaseQueue
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    LeaseQueue = _c.LeaseQueue
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from aiomysql_core.implementation import IMPLEMENTATION, load_accelerator


@cache
def accelerator() -> ModuleType | None:
    """This package's C module; None: Python runs, as it does where the core runs in Python.

    Raises what `load_accelerator` raises.
    """
    return None if IMPLEMENTATION == "python" else load_accelerator("aiomysql_pool")
