"""SQLAlchemy Core expressions on connections to MySQL and MariaDB, for asyncio.

Public is what `__all__` has here.  `connection`, `engine`, `exc`, `result` and `transaction` are
classic aiomysql's modules, with its names; all other modules are internal.
"""

from __future__ import annotations

from aiomysql_sa._version import __version__
from aiomysql_sa.connection import SAConnection
from aiomysql_sa.engine import Engine, create_engine
from aiomysql_sa.exc import (
    ArgumentError,
    Error,
    InvalidRequestError,
    NoSuchColumnError,
    ResourceClosedError,
)

__all__ = [
    "ArgumentError",
    "Engine",
    "Error",
    "InvalidRequestError",
    "NoSuchColumnError",
    "ResourceClosedError",
    "SAConnection",
    "__version__",
    "create_engine",
]
