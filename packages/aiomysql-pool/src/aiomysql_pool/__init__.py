"""Pools of connections to MySQL and MariaDB for asyncio.

Public is what `__all__` has here; what the layers above use beside has it in its module.  `pool` is
classic aiomysql's module, with its names; all other modules are internal.
"""

from __future__ import annotations

from aiomysql_pool._version import __version__
from aiomysql_pool.errors import PoolClosed, PoolTimeout, TooManyWaiters
from aiomysql_pool.pool import Pool, create_pool

__all__ = [
    "Pool",
    "PoolClosed",
    "PoolTimeout",
    "TooManyWaiters",
    "__version__",
    "create_pool",
]
