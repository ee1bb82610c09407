"""Internal: whether this layer's C module runs.  As in the protocol's module of that name.

PyReady = Ready
if not TYPE_CHECKING and (_c := accelerator()) is not None:
Ready = _c.Ready
"""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

from aiomysql_protocol.implementation import IMPLEMENTATION, load_accelerator

#: Whether there is a use for this layer's C module: Windows' event loop can't watch sockets.
HAS_C = os.name == "posix"


@cache
def accelerator() -> ModuleType | None:
    """This package's C module; None: Python runs, as it does where the protocol runs in Python.

    Raises what `load_accelerator` raises.
    """
    if IMPLEMENTATION == "python" or not HAS_C:
        return None
    return load_accelerator("aiomysql_core")
