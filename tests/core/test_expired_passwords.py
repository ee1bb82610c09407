"""An account whose password has expired: its sessions are for changing it, and whole after that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymysql.constants import CLIENT

from aiomysql_core import (
    Connection,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
    connect,
)
from aiomysql_pool import create_pool
from tests.servers import Server

FIRST, SECOND = "first secret", "another 'secret'"

STATE = (
    "SELECT @@character_set_client, @@autocommit, @@sql_mode LIKE '%%ANSI%%', @kept, DATABASE(), %s"
)


@pytest.fixture
def expired(server: Server, make_user: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Options of such an account, which may log in nevertheless."""
    plugin = {"mysql": "caching_sha2_password", "mariadb": "mysql_native_password"}[server.kind]
    account = make_user(plugin, FIRST)
    server.execute(f"ALTER USER {account['user']} PASSWORD EXPIRE")
    return {**server.connect_args, **account, "client_flag": CLIENT.HANDLE_EXPIRED_PASSWORDS}


@pytest.fixture
def change(server: Server) -> str:
    """The statement that changes the password of whoever runs it."""
    if server.kind == "mysql":
        return "ALTER USER USER() IDENTIFIED BY %s"
    return "SET PASSWORD = PASSWORD(%s)"


async def test_without_the_flag(server: Server, expired: dict[str, Any]) -> None:
    """MySQL does not let such an account in; MariaDB only if it is told so."""
    del expired["client_flag"]
    if server.kind == "mysql":
        with pytest.raises(OperationalError, match="has expired") as caught:
            await connect(**expired)
        assert caught.value.args[0] == 1862
        return
    async with connect(**expired) as connection:
        with pytest.raises(OperationalError) as caught:
            await connection.query("SELECT 1")
        assert caught.value.args[0] == 1820


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"autocommit": True},
        {"autocommit": None, "charset": "latin1"},
        {"on_cancel": "kill"},
        {"init_command": "SET @kept = 5", "sql_mode": "ANSI", "stmt_cache_size": 4},
    ],
    ids=str,
)
async def test_a_session_is_whole_once_it_has_a_password(
    expired: dict[str, Any], change: str, options: dict[str, Any]
) -> None:
    async with connect(**expired, **options) as connection, connection.cursor() as cursor:
        for statement in ("SELECT 1", "DO 1", "CREATE TABLE never (n INT)"):
            with pytest.raises(OperationalError) as caught:
                await cursor.execute(statement)
            assert caught.value.args[0] == 1820
        await cursor.execute(change, (SECOND,))
        await check_whole(connection, options, expired["db"])
        await connection.reset()
        await check_whole(connection, options, expired["db"])
    async with connect(**{**expired, **options, "password": SECOND}) as connection:
        await check_whole(connection, options, expired["db"])


async def check_whole(connection: Connection, options: dict[str, Any], db: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(STATE, ("é\\'",))
        assert await cursor.fetchone() == (
            options.get("charset", "utf8mb4"),
            int(options.get("autocommit", False) is not False),
            int("sql_mode" in options),
            5 if "init_command" in options else None,
            db,
            "é\\'",
        )


@pytest.mark.parametrize("first", ["BEGIN", "SAVEPOINT a"])
async def test_it_is_set_up_before_anything_else(
    expired: dict[str, Any], change: str, first: str
) -> None:
    """Also before what needs no character set: to set the mode later might commit."""
    async with connect(**expired, init_command="SET @kept = 5", autocommit=True) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute(change, (SECOND,))
        await connection.query(first)
        cursor = await connection.cursor()
        await cursor.execute("SELECT @kept, @@autocommit")
        assert await cursor.fetchone() == (5, 1)
        await connection.commit()


async def test_what_the_server_might_read_otherwise(
    server: Server, expired: dict[str, Any], change: str
) -> None:
    """MySQL refuses SET NAMES too, so it is not known how it reads characters and backslashes."""
    async with connect(**expired) as connection, connection.cursor() as cursor:
        if server.kind == "mysql":
            for password in ("sécret", "se\\cret"):
                with pytest.raises(ProgrammingError, match="password has expired.*only ASCII"):
                    await cursor.execute(change, (password,))
            await cursor.execute(change, (SECOND,))
        await cursor.execute(change, ("sé\\cret",))
        await check_whole(connection, {}, expired["db"])
    async with connect(**{**expired, "password": "sé\\cret"}) as connection:
        await connection.ping()


async def test_what_fails_in_setting_it_up(server: Server, expired: dict[str, Any]) -> None:
    """It is told to whoever runs a statement, and done again before the next."""
    broken = {**expired, "init_command": "CALL no_such_procedure()"}
    change = f"ALTER USER {expired['user']} IDENTIFIED BY %s"
    if server.kind == "mariadb":
        change = f"SET PASSWORD FOR {expired['user']} = PASSWORD(%s)"
    async with connect(**broken) as connection, connection.cursor() as cursor:
        await cursor.execute(change, (SECOND,))
        for _ in range(2):
            with pytest.raises(OperationalError, match="no_such_procedure"):
                await cursor.execute("SELECT 1")
        connection.init_command = None
        await check_whole(connection, {}, expired["db"])


async def test_a_statement_is_stopped_afterwards(expired: dict[str, Any], change: str) -> None:
    """With a function for the password, which knows the new one."""
    passwords = [FIRST]
    options = {**expired, "password": lambda: passwords[-1], "on_cancel": "kill"}
    async with connect(**options) as connection, connection.cursor() as cursor:
        await cursor.execute(change, (SECOND,))
        passwords.append(SECOND)
        with pytest.raises(QueryTimeout):
            await cursor.execute("SELECT SLEEP(9)", timeout=0.1)
        await check_whole(connection, {}, expired["db"])


async def test_in_a_pool(expired: dict[str, Any], change: str) -> None:
    passwords = [FIRST]
    async with create_pool(**{**expired, "password": lambda: passwords[-1]}, maxsize=1) as pool:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            with pytest.raises(OperationalError, match="must"):
                await cursor.execute("SELECT 1")
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(change, (SECOND,))
            passwords.append(SECOND)
        async with pool.acquire() as connection:
            await check_whole(connection, {}, expired["db"])


async def test_change_to_a_user_whose_password_has_expired(
    server: Server, expired: dict[str, Any], change: str
) -> None:
    options = {**server.connect_args, "client_flag": CLIENT.HANDLE_EXPIRED_PASSWORDS}
    async with connect(**options, ssl_mode="REQUIRED") as connection, connection.cursor() as cursor:
        await connection.change_user(expired["user"], FIRST, expired["db"])
        with pytest.raises(OperationalError) as caught:
            await cursor.execute("SELECT 1")
        assert caught.value.args[0] == 1820
        await cursor.execute(change, (SECOND,))
        await check_whole(connection, {}, expired["db"])
