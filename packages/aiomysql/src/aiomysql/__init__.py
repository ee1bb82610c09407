"""The asyncio driver for MySQL and MariaDB, under its classic names.

``python -m aiomysql`` says which implementation runs and why, and the versions of all parts.
"""

from __future__ import annotations

import sys
from typing import Literal

try:
    from aiomysql import log, utils  # noqa: F401  (reachable as attributes)
except ImportError as _error:
    # `python -m aiomysql`, which imports this first, says what is wrong without a traceback.
    if sys.argv[:1] == ["-m"] and "aiomysql" in sys.orig_argv:
        raise SystemExit(f"aiomysql can't be used: {_error}") from None
    raise
from aiomysql._version import __version__
from aiomysql.connection import Connection, connect
from aiomysql.cursors import Cursor, DictCursor, SSCursor, SSDictCursor
from aiomysql.pool import Pool, PoolClosed, PoolTimeout, TooManyWaiters, create_pool
from aiomysql_core import (
    DEFAULT,
    ConnectTimeout,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    MySQLError,
    NotSupportedError,
    OperationalError,
    PreparedStatement,
    ProgrammingError,
    QueryTimeout,
    RowFactory,
    RowStream,
    Transaction,
    UncommittedWarning,
    Warning,  # noqa: A004  (PEP 249 names it so)
    class_row,
    dict_row,
    escape_string,
    namedtuple_row,
    scalar_row,
    tuple_row,
)
from aiomysql_core.compat.names import escape_dict, escape_sequence
from aiomysql_core.implementation import IMPLEMENTATION

version: str = __version__

implementation: Literal["c", "python"] = IMPLEMENTATION
"""What runs, see ``aiomysql_core.implementation``."""

__all__ = [
    "DEFAULT",
    "ConnectTimeout",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "DictCursor",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MySQLError",
    "NotSupportedError",
    "OperationalError",
    "Pool",
    "PoolClosed",
    "PoolTimeout",
    "PreparedStatement",
    "ProgrammingError",
    "QueryTimeout",
    "RowFactory",
    "RowStream",
    "SSCursor",
    "SSDictCursor",
    "TooManyWaiters",
    "Transaction",
    "UncommittedWarning",
    "Warning",
    "__version__",
    "class_row",
    "connect",
    "create_pool",
    "dict_row",
    "escape_dict",
    "escape_sequence",
    "escape_string",
    "implementation",
    "namedtuple_row",
    "scalar_row",
    "tuple_row",
]
