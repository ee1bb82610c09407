"""The two examples of classic aiomysql's documentation, as they stand there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

import aiomysql
from aiomysql import UncommittedWarning
from aiomysql.sa import create_engine
from tests.servers import Server


async def test_pool_example(connect_args: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    with pytest.warns(DeprecationWarning, match="'loop'"):
        pool = await aiomysql.create_pool(**connect_args, loop=loop)
    async with pool.acquire() as conn, conn.cursor() as cur:
        await cur.execute("SELECT 42;")
        assert cur.description is not None
        assert cur.description[0][0] == "42"
        (r,) = await cur.fetchone()  # type: ignore[misc]  # as it is printed
        assert r == 42
    pool.close()
    await pool.wait_closed()
    assert pool.closed


async def test_sqlalchemy_example(
    server: Server,
    connect_args: dict[str, Any],
    table_name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.execute(
        f"CREATE TABLE {table_name} (id INT AUTO_INCREMENT PRIMARY KEY, val VARCHAR(255))"
    )
    metadata = sa.MetaData()
    tbl = sa.Table(
        table_name,
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("val", sa.String(255)),
    )
    loop = asyncio.get_running_loop()
    with pytest.warns(DeprecationWarning, match="'loop'"):
        engine = await create_engine(**connect_args, loop=loop)
    # It has neither autocommit mode nor a transaction.
    with pytest.warns(UncommittedWarning):
        async with engine.acquire() as conn:
            await conn.execute(tbl.insert().values(val="abc"))
            await conn.execute(tbl.insert().values(val="xyz"))
            async for row in conn.execute(tbl.select()):
                print(row.id, row.val)
    engine.close()
    await engine.wait_closed()
    assert capsys.readouterr().out == "1 abc\n2 xyz\n"
