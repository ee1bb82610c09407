"""The pool: the module `aiomysql_pool.pool`."""

from __future__ import annotations

import sys

import aiomysql_pool.pool
from aiomysql_pool.pool import Pool as Pool
from aiomysql_pool.pool import PoolClosed as PoolClosed
from aiomysql_pool.pool import PoolTimeout as PoolTimeout
from aiomysql_pool.pool import TooManyWaiters as TooManyWaiters
from aiomysql_pool.pool import create_pool as create_pool

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_pool.pool
