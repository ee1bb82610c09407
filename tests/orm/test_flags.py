"""Engines behind a proxy that never says that a transaction is open."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from pymysql.constants import SERVER_STATUS

from tests.flags import FlagProxy
from tests.orm.conftest import MakeEngine
from tests.servers import Server


@pytest.mark.parametrize("level", [None, "READ COMMITTED", "AUTOCOMMIT"])
async def test_what_is_written_stays(
    server: Server, url: sa.URL, make_engine: MakeEngine, table_name: str, level: str | None
) -> None:
    number_column = sa.Column("n", sa.Integer, primary_key=True, autoincrement=False)
    table = sa.Table(table_name, sa.MetaData(), number_column)
    options = {} if level is None else {"isolation_level": level}
    async with FlagProxy(
        server.host, server.port, lambda flags: flags & ~SERVER_STATUS.SERVER_STATUS_IN_TRANS
    ) as proxy:
        engine = make_engine(url=url.set(host="127.0.0.1", port=proxy.port), **options)
        async with engine.begin() as connection:
            await connection.run_sync(table.metadata.create_all)
        for number in range(3):
            async with engine.begin() as connection:
                await connection.execute(table.insert().values(n=number))
        async with engine.connect() as connection:
            await connection.execute(table.insert().values(n=100))
        await engine.dispose()
    kept = [100] if level == "AUTOCOMMIT" else []
    assert [n for (n,) in server.execute(f"SELECT n FROM {table_name} ORDER BY n")] == [
        0,
        1,
        2,
        *kept,
    ]
