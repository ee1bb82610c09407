"""Whether this layer's C module is used, decided once, when this is imported.

The choice is that of ``aiomysql_protocol.implementation``: AIOMYSQL_IMPL=c insists on this C module
too.
"""

from __future__ import annotations

import os
from types import ModuleType

from aiomysql_protocol import implementation as protocol

_C_MODULE = "aiomysql_core._speedups"

#: Is there a use for this layer's C module?  It watches sockets as Windows' event loop can't.
HAS_C = os.name == "posix"


def _load() -> ModuleType | None:
    if protocol.IMPLEMENTATION == "python" or not HAS_C:
        return None
    try:
        import aiomysql_core._speedups as _speedups
    except ModuleNotFoundError as exc:
        if exc.name != _C_MODULE:
            raise
        if os.environ.get("AIOMYSQL_IMPL") == "c":
            reason = protocol.missing("aiomysql_core")
            raise ImportError(f"AIOMYSQL_IMPL is 'c', but {reason}") from exc
        return None
    return _speedups


#: The C module; None: the Python twins of what it holds are used.
speedups = _load()
