"""Engines and tables for tests of the SQLAlchemy layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from aiomysql_sa import Engine, SAConnection, create_engine
from tests.servers import Server

MakeEngine = Callable[..., Awaitable[Engine]]


@pytest.fixture
async def make_engine(connect_args: dict[str, Any], table_name: str) -> AsyncIterator[MakeEngine]:
    """Makes engines, which are closed after the test, but before its table is dropped."""
    engines = []

    async def make(**options: Any) -> Engine:
        engine = await create_engine(**{**connect_args, **options})
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.terminate()
        await asyncio.wait_for(engine.wait_closed(), 10)


@pytest.fixture
async def conn(make_engine: MakeEngine) -> AsyncIterator[SAConnection]:
    """A connection whose statements take effect at once."""
    engine = await make_engine(autocommit=True)
    async with engine.acquire() as conn:
        yield conn


@pytest.fixture
def tbl(server: Server, table_name: str) -> sa.Table:
    """A table of the server with the row (1, 'first')."""
    server.execute(
        f"CREATE TABLE {table_name} (id INT AUTO_INCREMENT PRIMARY KEY, val VARCHAR(255))"
    )
    server.execute(f"INSERT INTO {table_name} (val) VALUES ('first')")
    return sa.Table(
        table_name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("val", sa.String(255)),
    )
