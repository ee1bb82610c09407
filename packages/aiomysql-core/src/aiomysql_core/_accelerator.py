"""Internal: the layer's C module, if it runs.

The protocol's module of this name says how it is used.
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
