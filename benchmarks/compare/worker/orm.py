"""The workloads of SQLAlchemy's asyncio extension over a driver."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from benchmarks.compare import data
from benchmarks.compare.worker.jobs import Job, Opener, Setting, same_rows
from benchmarks.compare.worker.tls import tls_context


def openers(dialect: str, setting: Setting) -> dict[str, Opener]:
    """What opens each workload, by its key."""
    return {
        "sqlalchemy-points": partial(points, dialect, setting, borrowed=False),
        "sqlalchemy-borrowed": partial(points, dialect, setting, borrowed=True),
        "sqlalchemy-scan": partial(scan, dialect, setting),
    }


@asynccontextmanager
async def _engine(dialect: str, setting: Setting) -> AsyncIterator[tuple[Any, Any]]:
    """An AsyncEngine with one connection, and a select of the mixed table."""
    sa: Any = importlib.import_module("sqlalchemy")
    extension: Any = importlib.import_module("sqlalchemy.ext.asyncio")
    url = sa.URL.create(
        f"mysql+{dialect}",
        setting.user,
        setting.password,
        setting.host,
        setting.port,
        setting.database,
        {"charset": "utf8mb4"},
    )
    arguments = {"ssl": tls_context(setting.tls_ca)} if setting.transport == "tls" else {}
    engine = extension.create_async_engine(url, pool_size=1, max_overflow=0, connect_args=arguments)
    table = sa.Table(
        data.MIXED,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40)),
        sa.Column("city", sa.String(40)),
        sa.Column("note", sa.String(80)),
        sa.Column("ratio", sa.Double),
        sa.Column("amount", sa.Numeric(12, 2)),
        sa.Column("at", sa.DateTime),
        sa.Column("day", sa.Date),
    )
    try:
        yield engine, table
    finally:
        await engine.dispose()


def _expected(setting: Setting, count: int) -> list[data.Row]:
    return [row[:8] for row in data.all_mixed(setting.sizes.rows)[:count]]


@asynccontextmanager
async def scan(dialect: str, setting: Setting) -> AsyncIterator[Job]:
    """All rows of a select at once."""
    count = min(setting.sizes.sqlalchemy_rows, setting.sizes.rows)
    async with _engine(dialect, setting) as (engine, table):
        select = table.select().where(table.c.id <= count)

        async def run() -> Any:
            async with engine.connect() as conn:
                return (await conn.execute(select)).all()

        yield Job(run, lambda rows: same_rows(rows, _expected(setting, count)))


@asynccontextmanager
async def points(dialect: str, setting: Setting, *, borrowed: bool) -> AsyncIterator[Job]:
    """Single rows: on one connection, or on a connection borrowed for each."""
    count = min(setting.sizes.sqlalchemy_points, setting.sizes.rows)
    async with _engine(dialect, setting) as (engine, table):

        async def one(conn: Any, number: int) -> Any:
            return (await conn.execute(table.select().where(table.c.id == number))).one()

        async def run() -> Any:
            if not borrowed:
                async with engine.connect() as conn:
                    return [await one(conn, number) for number in range(1, count + 1)]
            found = []
            for number in range(1, count + 1):
                async with engine.connect() as conn:
                    found.append(await one(conn, number))
            return found

        yield Job(run, lambda rows: same_rows(rows, _expected(setting, count)))
