"""Internal: the layer's C module, if it runs.

The protocol's module of this name says how it is used.
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
