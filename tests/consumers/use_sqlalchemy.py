"""SQLAlchemy's asynchronous engines on this driver; arguments: the name of a table."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings

import sqlalchemy
from sqlalchemy import URL, Column, Integer, MetaData, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

METADATA = MetaData()
NOTES = Table(
    sys.argv[1],
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("text", String(100)),
    mysql_charset="utf8mb4",
    mariadb_charset="utf8mb4",
)


async def use(engine: AsyncEngine) -> None:
    """Create, insert, select, stream, roll back, and many at once."""
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.drop_all)
        await connection.run_sync(METADATA.create_all)
        await connection.execute(NOTES.insert(), [{"text": f"{n} % ü"} for n in range(100)])
        result = await connection.execute(NOTES.insert().values(text="last"))
        assert result.inserted_primary_key == (101,)
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(NOTES)) == 101
        texts = [row.text async for row in await connection.stream(select(NOTES).limit(3))]
        assert texts == ["0 % ü", "1 % ü", "2 % ü"]
        await connection.execute(NOTES.delete())
        await connection.rollback()
        assert await connection.scalar(select(func.count()).select_from(NOTES)) == 101
        driver = await connection.get_raw_connection()
        assert type(driver.driver_connection).__module__ == "aiomysql_core.connection"

    async def one(number: int) -> int:
        async with engine.connect() as connection:
            return int(await connection.scalar(select(sqlalchemy.literal(number))) or 0)

    assert await asyncio.gather(*(one(n) for n in range(20))) == list(range(20))


async def main() -> None:
    """Run it all, for each name of the dialect that fits the server."""
    given = json.loads(os.environ["CONNECT"])
    for name in os.environ["DIALECTS"].split():
        url = URL.create(
            f"{name}+aiomysql",
            given["user"],
            given["password"],
            given["host"],
            given["port"],
            given["db"],
        )
        engine = create_async_engine(url, pool_size=3, pool_pre_ping=True)
        try:
            await use(engine)
        finally:
            await engine.dispose()


warnings.simplefilter("error")
asyncio.run(main())
print("ok")
