"""What docs/errors.md says of errors that are not provoked elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import Connection, Cursor, OperationalError, connect
from aiomysql_core.doctor.advice import ADVICE
from tests.servers import Server

PAGE = Path(__file__).parent.parent.parent / "docs" / "errors.md"


@contextlib.contextmanager
def globally(server: Server, variable: str, value: int) -> Iterator[None]:
    ((before,),) = server.execute(f"SELECT @@GLOBAL.{variable}")
    server.execute(f"SET GLOBAL {variable} = {value}")
    try:
        yield
    finally:
        server.execute(f"SET GLOBAL {variable} = {before}")


@contextlib.contextmanager
def error(number: int) -> Iterator[None]:
    with pytest.raises(OperationalError) as caught:
        yield
    assert caught.value.args[0] == number


async def value(cursor: Cursor, sql: str) -> Any:
    await cursor.execute(sql)
    ((found,),) = await cursor.fetchall()
    return found


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
    server.execute(f"INSERT INTO {table_name} VALUES (1, 0), (2, 0)")
    return table_name


async def test_a_statement_that_is_too_long(server: Server, connect_args: dict[str, Any]) -> None:
    with globally(server, "max_allowed_packet", 1 << 20):
        connection = await connect(**connect_args)
    with error(1153):
        await connection.query(f"SELECT '{'x' * (3 << 20)}'")
    with pytest.raises(Connection.Error):
        await connection.query("SELECT 1")
    assert connection.closed
    await connection.ping()
    await connection.ensure_closed()


async def test_waiting_for_a_lock(connect_args: dict[str, Any], table: str) -> None:
    """The transaction is still open."""
    options = {**connect_args, "init_command": "SET innodb_lock_wait_timeout = 1"}
    async with (
        connect(**connect_args, warn_uncommitted=False) as holder,
        connect(**options) as connection,
    ):
        await holder.query(f"UPDATE {table} SET n = 1 WHERE id = 1")
        cursor = await connection.cursor()
        await cursor.execute(f"UPDATE {table} SET n = 5 WHERE id = 2")
        with error(1205):
            await cursor.execute(f"UPDATE {table} SET n = 6 WHERE id = 1")
        assert connection.get_transaction_status()
        assert await value(cursor, f"SELECT n FROM {table} WHERE id = 2") == 5
        await connection.rollback()


async def test_a_deadlock(connect_args: dict[str, Any], table: str) -> None:
    """The transaction is gone."""
    async with connect(**connect_args) as other, connect(**connect_args) as connection:
        await other.query(f"UPDATE {table} SET n = 1")  # more rows: this one is not chosen
        await other.rollback()
        await other.query(f"INSERT INTO {table} VALUES (3, 0), (4, 0), (5, 0)")
        await other.query(f"UPDATE {table} SET n = 1 WHERE id = 1")
        cursor = await connection.cursor()
        await cursor.execute(f"UPDATE {table} SET n = 5 WHERE id = 2")
        waiting = asyncio.ensure_future(other.query(f"UPDATE {table} SET n = 1 WHERE id = 2"))
        await asyncio.sleep(0.2)
        with error(1213):
            await cursor.execute(f"UPDATE {table} SET n = 5 WHERE id = 1")
        await waiting
        assert await value(cursor, f"SELECT n FROM {table} WHERE id = 2") == 0
        await other.rollback()


async def test_a_server_that_is_read_only(
    server: Server, make_user: Any, connect_args: dict[str, Any], table: str
) -> None:
    plugin = {"mysql": "caching_sha2_password", "mariadb": "mysql_native_password"}[server.kind]
    options = {**connect_args, **make_user(plugin, "secret")}
    with globally(server, "read_only", 1):
        async with connect(**options) as connection:
            with error(1290):
                await connection.query(f"UPDATE {table} SET n = 1")
            await connection.query("SELECT 1")


async def test_a_limit_of_the_server(server: Server, connection: Connection) -> None:
    number, sql = 1969, "SET STATEMENT max_statement_time = 0.05 FOR SELECT SLEEP(5)"
    if server.kind == "mysql":
        columns = "information_schema.columns"
        number, sql = (
            3024,
            (
                "SELECT /*+ MAX_EXECUTION_TIME(50) */ COUNT(*)"
                f" FROM {columns} a, {columns} b, {columns} c"
            ),
        )
    with error(number):
        await connection.query(sql)
    await connection.query("SELECT 1")


def test_the_doctor_says_the_same() -> None:
    section = PAGE.read_text("utf-8").partition("## While connecting\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    plain = [[re.sub(r"\[(.*?)\]\(.*?\)|`", r"\1", cell) for cell in row] for row in rows[2:]]
    assert plain == [[key, *advice] for key, advice in ADVICE.items()]


async def test_a_blocked_machine(server: Server, connection: Connection) -> None:
    """How it is let in again."""
    statement = "FLUSH HOSTS"
    if server.kind == "mysql":
        statement = "TRUNCATE performance_schema.host_cache"
    await connection.query(statement)
