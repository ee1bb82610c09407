"""Pools of connections to MySQL and MariaDB for asyncio."""

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
