"""The classic names of what awaitable functions return."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from aiomysql_core.waiting.awaitable import AwaitableContextManager as _ContextManager
from aiomysql_pool.acquire import PoolAcquireContextManager as _PoolAcquireContextManager
from aiomysql_pool.acquire import PoolConnectionContextManager as _PoolConnectionContextManager
from aiomysql_pool.acquire import PoolContextManager as _PoolContextManager

if TYPE_CHECKING:
    from aiomysql_sa.awaitable import SAConnectionContextManager as _SAConnectionContextManager
    from aiomysql_sa.awaitable import TransactionContextManager as _TransactionContextManager

__all__ = [
    "Coroutine",
    "_ContextManager",
    "_PoolAcquireContextManager",
    "_PoolConnectionContextManager",
    "_PoolContextManager",
    "_SAConnectionContextManager",
    "_TransactionContextManager",
]


def __getattr__(name: str) -> Any:
    # Only on demand: importing aiomysql must not import SQLAlchemy.
    if name in ("_SAConnectionContextManager", "_TransactionContextManager"):
        from aiomysql_sa import awaitable

        return getattr(awaitable, name[1:])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
