"""The measured part of `sqlalchemy_asyncio.py`: runs in the environment of one driver.

Arguments: a URL of SQLAlchemy and the name of the table. Prints JSON: seconds of wall and CPU time
of each workload.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

ROWS = 10_000
POINTS = 200


def describe(name: str) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50)),
        sa.Column("amount", sa.Numeric(12, 2)),
        sa.Column("at", sa.DateTime),
        sa.Column("ratio", sa.Float),
        sa.Column("note", sa.String(100)),
    )


async def scan(engine: AsyncEngine, table: sa.Table) -> None:
    async with engine.connect() as conn:
        rows = (await conn.execute(sa.select(table))).all()
    assert len(rows) == ROWS
    assert rows[-1].name == f"name {ROWS}"


async def points(engine: AsyncEngine, table: sa.Table) -> None:
    async with engine.connect() as conn:
        for number in range(1, POINTS + 1):
            row = (await conn.execute(sa.select(table).where(table.c.id == number))).one()
            assert row.id == number


async def borrowed_points(engine: AsyncEngine, table: sa.Table) -> None:
    for number in range(1, POINTS + 1):
        async with engine.connect() as conn:
            row = (await conn.execute(sa.select(table).where(table.c.id == number))).one()
        assert row.id == number


WORKLOADS: dict[str, Callable[[AsyncEngine, sa.Table], Awaitable[None]]] = {
    "select of 10,000 rows": scan,
    "200 point selects": points,
    "200 point selects, each on a borrowed connection": borrowed_points,
}


async def main(url: str, name: str) -> None:
    engine = create_async_engine(url, pool_size=1, max_overflow=0)
    table = describe(name)
    times = {}
    for label, workload in WORKLOADS.items():
        await workload(engine, table)
        wall, cpu = time.perf_counter(), time.process_time()
        await workload(engine, table)
        times[label] = (time.perf_counter() - wall, time.process_time() - cpu)
    await engine.dispose()
    print(json.dumps(times))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
