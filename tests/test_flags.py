"""The proxy that changes status flags: whatever else passes is what the server and client said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymysql.constants import SERVER_STATUS

from aiomysql_core import Connection, IntegrityError, SSCursor, connect
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from tests.flags import FlagProxy
from tests.servers import Server

CHANGED = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT | SERVER_STATUS.SERVER_STATUS_IN_TRANS


@pytest.fixture(params=[0, DEPRECATE_EOF], ids=["OK at the end", "EOF at the end"])
async def proxy(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[FlagProxy]:
    async with FlagProxy(
        server.host, server.port, lambda flags: flags ^ CHANGED, without=request.param
    ) as proxy:
        yield proxy


@pytest.fixture
async def changed(proxy: FlagProxy, server: Server) -> AsyncIterator[Connection]:
    """A connection in autocommit mode that goes by the proxy."""
    options: Any = {**server.connect_args, "port": proxy.port}
    async with connect(**options, autocommit=None, local_infile=True) as connection:
        yield connection


def flags(connection: Connection) -> int:
    return connection.runner.server_status & CHANGED


IN_TRANS = SERVER_STATUS.SERVER_STATUS_IN_TRANS


async def test_text_statements(changed: Connection, proxy: FlagProxy, table_name: str) -> None:
    assert flags(changed) == IN_TRANS  # as the last packet of the log-in says
    await changed.query(f"CREATE TABLE {table_name} (n INT PRIMARY KEY, t LONGTEXT)")
    await changed.ping()
    assert flags(changed) == IN_TRANS
    async with changed.cursor() as cursor:
        assert await cursor.execute(f"INSERT INTO {table_name} VALUES (1, 'a'), (300, 'b')") == 2
        assert flags(changed) == IN_TRANS
        await cursor.execute(f"SELECT * FROM {table_name}; DO 1; SELECT 2, 3")
        assert await cursor.fetchall() == ((1, "a"), (300, "b"))
        assert await cursor.nextset()
        assert await cursor.nextset()
        assert await cursor.fetchall() == ((2, 3),)
        assert flags(changed) == IN_TRANS
        with pytest.raises(IntegrityError):
            await cursor.execute(f"INSERT INTO {table_name} VALUES (1, 'a')")
        await changed.begin()
        assert flags(changed) == 0
        assert await cursor.execute(f"SELECT n FROM {table_name} WHERE n = 7") == 0
        assert flags(changed) == 0
        await changed.query("ROLLBACK")
        assert flags(changed) == IN_TRANS
    async with changed.cursor(SSCursor) as streaming:
        await streaming.execute(f"SELECT n, t FROM {table_name} ORDER BY n")
        assert await streaming.fetchall() == [(1, "a"), (300, "b")]
    assert b"\x0e" in proxy.commands
    assert b"\x03BEGIN" in proxy.commands


async def test_prepared_statements(changed: Connection) -> None:
    async with await changed.prepare("SELECT %s + 1, 'x' FROM DUAL WHERE %s") as statement:
        for number in range(3):
            cursor = await statement.execute((number, 1))
            assert await cursor.fetchall() == ((number + 1, "x"),)
            assert flags(changed) == IN_TRANS
            assert await (await statement.execute((number, 0))).fetchall() == ()
    async with await changed.prepare("DO %s") as statement:
        await statement.execute((1,))
        assert flags(changed) == IN_TRANS
    await changed.select_db("test")
    await changed.reset()
    assert flags(changed) == IN_TRANS


@pytest.mark.slow
async def test_files_and_long_payloads(changed: Connection, table_name: str) -> None:
    await changed.query(f"CREATE TEMPORARY TABLE {table_name} (n INT, t LONGTEXT)")
    loaded = await changed.load_local(
        f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}",
        (b"%d\tline\n" % number for number in range(600)),
    )
    assert loaded == 600
    assert flags(changed) == IN_TRANS
    async with changed.cursor() as cursor:
        await cursor.execute("SELECT CONCAT(REPEAT('a', 9000000), REPEAT('b', 9000000)), 5")
        ((text, five),) = await cursor.fetchall()
        assert (len(text), five) == (18_000_000, 5)
        assert await cursor.execute("SELECT LENGTH(%s)", ("x" * 17_000_000,)) == 1
        assert await cursor.fetchall() == ((17_000_000,),)
        assert flags(changed) == IN_TRANS
