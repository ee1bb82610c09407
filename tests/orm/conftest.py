"""Asyncio engines of SQLAlchemy on this driver.

The tests are written for SQLAlchemy 2; with an older one (`make test-lowest`) there are none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.servers import Server

collect_ignore_glob = ["test_*.py"] if sa.__version__.startswith("1.") else []

MakeEngine = Callable[..., AsyncEngine]


@pytest.fixture
def url(server: Server) -> sa.URL:
    """The server's address; MariaDB goes by its own name."""
    return sa.URL.create(
        f"{server.kind}+aiomysql",
        server.user,
        server.password,
        server.host,
        server.port,
        server.database,
    )


@pytest.fixture
async def make_engine(url: sa.URL, table_name: str) -> AsyncIterator[MakeEngine]:
    """Makes engines, which are closed after the test, but before its tables are dropped."""
    engines = []

    def make(**options: Any) -> AsyncEngine:
        engine = create_async_engine(options.pop("url", url), **options)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        await engine.dispose()


@pytest.fixture
def engine(make_engine: MakeEngine) -> AsyncEngine:
    """An engine as the defaults have it."""
    return make_engine()
