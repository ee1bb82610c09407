"""Pools of connections to MySQL and MariaDB for asyncio."""

from __future__ import annotations

from aiomysql_pool._version import __version__
from aiomysql_pool.pool import Pool, PoolClosed, create_pool

__all__ = ["Pool", "PoolClosed", "__version__", "create_pool"]
