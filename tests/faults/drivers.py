"""The drivers that the faults are done to: ours and, for comparison, its peers, by one surface."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Driver:
    """What the cases need of a driver."""

    name: str
    connect: Callable[..., Any]
    create_pool: Callable[..., Any]
    cursor: Any
    streaming_cursor: Any
    error: type[Exception]
    """The base of its DB-API errors."""
    options: frozenset[str]
    """The keywords of connect()."""

    @property
    def time_limits(self) -> list[str]:
        """Those keywords that limit how long a response or a request may take."""
        return [name for name in ("read_timeout", "write_timeout") if name in self.options]

    @property
    def prepares(self) -> bool:
        """Whether it has prepared statements: `Connection.prepare`, and a cache of them."""
        return "stmt_cache_size" in self.options

    @property
    def has_pipelines(self) -> bool:
        """Whether it can send statements before others are answered."""
        return self.prepares

    @property
    def compresses(self) -> bool:
        """Whether it can be told with which algorithms to compress."""
        return "compression" in self.options

    @property
    def kills(self) -> bool:
        """Whether it can stop a cancelled statement and keep the connection."""
        return "on_cancel" in self.options


def load(name: str) -> Driver:
    """The driver called "ours", "classic" or "asyncmy", which must be installed."""
    module = importlib.import_module("asyncmy" if name == "asyncmy" else "aiomysql")
    cursors = importlib.import_module(f"{module.__name__}.cursors")
    errors = importlib.import_module("asyncmy.errors" if name == "asyncmy" else "pymysql.err")
    known = inspect.signature(module.connect).parameters
    if name == "ours":
        # It hands its keywords on.
        known = inspect.signature(module.Connection).parameters
    return Driver(
        name=name,
        connect=module.connect,
        create_pool=module.create_pool,
        cursor=cursors.Cursor,
        streaming_cursor=cursors.SSCursor,
        error=errors.MySQLError,
        options=frozenset(known),
    )
