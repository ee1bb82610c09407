"""What classic aiomysql's change history says was mended, and no other test is about."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymysql.constants import CLIENT

import aiomysql
from aiomysql.cursors import DeserializationCursor
from tests.servers import Server

CURSORS = [
    aiomysql.Cursor,
    aiomysql.DictCursor,
    aiomysql.SSCursor,
    aiomysql.SSDictCursor,
    DeserializationCursor,
]
STREAMING = [aiomysql.SSCursor, aiomysql.SSDictCursor]


async def value(connection: aiomysql.Connection, sql: str) -> Any:
    async with connection.cursor(aiomysql.Cursor) as cursor:
        await cursor.execute(sql)
        return (await cursor.fetchall())[0][0]


def test_pool_get_is_gone() -> None:
    assert not hasattr(aiomysql.Pool, "get")


async def test_no_delay_is_gone(connect_args: dict[str, Any]) -> None:
    no_delay: dict[str, Any] = {"no_delay": True}
    with pytest.raises(TypeError, match="no_delay"):
        aiomysql.connect(**connect_args, **no_delay)


async def test_connect_raises_the_original_error(connect_args: dict[str, Any]) -> None:
    class Ours(Exception):
        pass

    def password() -> str:
        raise Ours

    with pytest.raises(Ours):
        await aiomysql.connect(**connect_args | {"password": password})
    with pytest.raises(aiomysql.ProgrammingError) as caught:
        await aiomysql.connect(**connect_args, init_command="SELEC 1")
    assert caught.value.args[0] == 1064


async def test_unreachable_is_an_operational_error(connect_args: dict[str, Any]) -> None:
    with pytest.raises(aiomysql.OperationalError) as caught:
        await aiomysql.connect(**connect_args | {"port": 1})
    assert caught.value.args[0] == 2003
    assert isinstance(caught.value.__cause__, OSError)


async def test_logging_in_says_nothing_above_debug(
    server: Server,
    connect_args: dict[str, Any],
    make_user: Callable[[str, str], dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugins = {"sha256_password", "caching_sha2_password", "mysql_native_password"}
    for plugin in sorted(plugins & server.auth_plugins):
        account = make_user(plugin, "secret")
        with caplog.at_level(logging.DEBUG):
            async with aiomysql.connect(**connect_args | account) as connection:
                assert await value(connection, "SELECT 1") == 1
    assert [r for r in caplog.records if r.levelno > logging.DEBUG and r.name != "asyncio"] == []
    assert "secret" not in caplog.text


async def test_charset_of_the_handshake_over_tls(connect_args: dict[str, Any]) -> None:
    for charset in ("latin1", "utf8mb4"):
        async with aiomysql.connect(
            **connect_args, charset=charset, ssl_mode="REQUIRED"
        ) as connection:
            assert await value(connection, "SELECT @@character_set_client") == charset
            assert await value(connection, "SELECT 'ä'") == "ä"


@pytest.mark.slow
def test_user_without_an_entry_in_passwd() -> None:
    code = (
        "import os\n"
        "os.getuid = lambda: 54321\n"
        "import aiomysql.connection\n"
        "print(aiomysql.connection.DEFAULT_USER)\n"
    )
    names = {"LOGNAME", "USER", "LNAME", "USERNAME"}
    env = {name: text for name, text in os.environ.items() if name not in names}
    run = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "unknown\n"), run.stderr


@pytest.mark.slow
async def test_pool_replaces_a_connection_that_timed_out(connect_args: dict[str, Any]) -> None:
    async with aiomysql.create_pool(
        **connect_args, minsize=1, maxsize=1, init_command="SET wait_timeout = 1"
    ) as pool:
        async with pool.acquire() as connection:
            first = connection.thread_id()
        await asyncio.sleep(1.5)
        async with pool.acquire() as connection:
            assert await value(connection, "SELECT CONNECTION_ID()") != first
        assert pool.size == 1


@pytest.mark.parametrize("cursor_class", STREAMING)
async def test_streaming_cursor_closed_half_read(
    connection: aiomysql.Connection, cursor_class: type[aiomysql.SSCursor]
) -> None:
    cursor = await connection.cursor(cursor_class)
    await cursor.execute("SELECT 1 AS a UNION SELECT 2 UNION SELECT 3")
    assert await cursor.fetchone() in ((1,), {"a": 1})
    await cursor.close()
    assert await value(connection, "SELECT 4") == 4


@pytest.mark.parametrize("cursor_class", STREAMING)
async def test_streaming_cursor_and_a_wrong_statement(
    connection: aiomysql.Connection, cursor_class: type[aiomysql.SSCursor]
) -> None:
    async with connection.cursor(cursor_class) as cursor:
        with pytest.raises(aiomysql.ProgrammingError, match="1064"):
            await cursor.execute("SELEC 1")
        await cursor.execute("SELECT 1 AS a")
        assert await cursor.fetchone() in ((1,), {"a": 1})
    assert await value(connection, "SELECT 2") == 2


async def test_streamed_query_that_is_killed_half_way(
    server: Server, connection: aiomysql.Connection
) -> None:
    # The rows are long enough for the server to send each at once.
    rows = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(100))
    async with connection.cursor(aiomysql.SSCursor) as cursor:
        await cursor.execute(f"SELECT n, REPEAT('x', 20000), SLEEP(0.02) FROM ({rows}) AS t")
        row = await cursor.fetchone()
        assert row is not None
        assert row[0] == 0
        await asyncio.to_thread(server.execute, f"KILL QUERY {connection.thread_id()}")
        with pytest.raises(aiomysql.OperationalError) as caught:
            await cursor.fetchall()
        assert caught.value.args[0] == 1317
    assert await value(connection, "SELECT 5") == 5


@pytest.mark.parametrize("cursor_class", CURSORS)
async def test_async_iteration(
    connection: aiomysql.Connection, cursor_class: type[aiomysql.Cursor]
) -> None:
    async with connection.cursor(cursor_class) as cursor:
        await cursor.execute("SELECT 1 AS a UNION SELECT 2")
        rows = [row async for row in cursor]
    assert rows in ([(1,), (2,)], [{"a": 1}, {"a": 2}])


async def test_binary_strings_warn_of_nothing(
    connection: aiomysql.Connection, table_name: str
) -> None:
    blob = bytes(range(256))
    async with connection.cursor() as cursor:
        await cursor.execute(f"CREATE TABLE {table_name} (a BLOB)")
        await cursor.execute(f"INSERT INTO {table_name} VALUES (%s)", (blob,))
        assert list(await connection.show_warnings()) == []
        await cursor.executemany(f"INSERT INTO {table_name} VALUES (%s)", [(blob,), (blob,)])
        assert list(await connection.show_warnings()) == []
        await cursor.execute(f"SELECT a FROM {table_name}")
        assert [a for (a,) in await cursor.fetchall()] == [blob] * 3
        await connection.commit()  # the table is dropped next


async def test_mogrify(connection: aiomysql.Connection) -> None:
    async with connection.cursor() as cursor:
        assert cursor.mogrify("SELECT '%'") == "SELECT '%'"
        assert cursor.mogrify("SELECT %s, '%%'", ("a'b",)) == r"SELECT 'a\'b', '%'"
        assert cursor.mogrify("SELECT %(a)s", {"a": None}) == "SELECT NULL"


async def test_ensure_closed_twice(connect_args: dict[str, Any]) -> None:
    connection = await aiomysql.connect(**connect_args)
    await connection.ensure_closed()
    await connection.ensure_closed()
    connection.close()
    assert connection.closed


async def test_facts_of_a_closed_connection(connect_args: dict[str, Any]) -> None:
    connection = await aiomysql.connect(**connect_args)
    thread_id, version = connection.thread_id(), connection.get_server_info()
    connection.close()
    assert (connection.thread_id(), connection.get_server_info()) == (thread_id, version)
    assert connection.get_proto_info() == 10
    await connection.ping()
    assert connection.thread_id() != thread_id
    await connection.ensure_closed()


async def test_the_client_flag_alone_loads_no_file(
    connect_args: dict[str, Any], table_name: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.txt").write_text("1\n")
    statement = f"LOAD DATA LOCAL INFILE '{tmp_path / 'rows.txt'}' INTO TABLE {table_name}"
    async with aiomysql.connect(**connect_args, client_flag=CLIENT.LOCAL_FILES) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute(f"CREATE TABLE {table_name} (a INT)")
            with pytest.raises(aiomysql.MySQLError):
                await cursor.execute(statement)
        assert await value(connection, f"SELECT COUNT(*) FROM {table_name}") == 0
    async with (
        aiomysql.connect(**connect_args, local_infile=True, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        assert await cursor.execute(statement) == 1
