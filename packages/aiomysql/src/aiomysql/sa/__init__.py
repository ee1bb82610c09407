"""SQLAlchemy Core expressions on aiomysql connections."""

from __future__ import annotations

from aiomysql.sa.connection import SAConnection
from aiomysql.sa.engine import Engine, create_engine
from aiomysql.sa.exc import (
    ArgumentError,
    Error,
    InvalidRequestError,
    NoSuchColumnError,
    ResourceClosedError,
)

from . import result, transaction  # noqa: F401  (reachable as attributes)

__all__ = [
    "ArgumentError",
    "Engine",
    "Error",
    "InvalidRequestError",
    "NoSuchColumnError",
    "ResourceClosedError",
    "SAConnection",
    "create_engine",
]
