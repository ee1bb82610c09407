"""Keywords of connect() that the other tests don't pass by."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from pymysql.constants import CLIENT

from aiomysql_core import Cursor, DictCursor, connect


async def test_cursorclass(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, cursorclass=DictCursor) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1 AS a")
            assert await cursor.fetchall() == [{"a": 1}]
        async with connection.cursor(Cursor) as cursor:
            await cursor.execute("SELECT 1 AS a")
            assert await cursor.fetchall() == ((1,),)


async def test_echo(connect_args: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    for echo in (True, False):
        caplog.clear()
        async with connect(**connect_args, echo=echo) as connection:
            assert connection.echo is echo
            async with connection.cursor() as cursor:
                assert cursor.echo is echo
                with caplog.at_level(logging.INFO, logger="aiomysql"):
                    await cursor.execute("SELECT %s", (7,))
        said = [record.getMessage() for record in caplog.records]
        assert said == (["SELECT 7", "(7,)"] if echo else [])


async def test_client_flag(connect_args: dict[str, Any], table_name: str) -> None:
    """With FOUND_ROWS an UPDATE counts the rows it found, not those it changed."""
    for flag, count in ((0, 0), (CLIENT.FOUND_ROWS, 1)):
        async with connect(**connect_args, client_flag=flag, autocommit=True) as connection:
            await connection.query(f"CREATE TABLE {table_name} (a INT) AS SELECT 5 AS a")
            assert await connection.query(f"UPDATE {table_name} SET a = 5") == count
            await connection.query(f"DROP TABLE {table_name}")


async def test_use_unicode(connect_args: dict[str, Any]) -> None:
    for choice, text in ((None, "é"), (True, "é"), (False, "é".encode())):
        async with (
            connect(**connect_args, use_unicode=choice) as connection,
            connection.cursor() as cursor,
        ):
            await cursor.execute("SELECT 'é', 1")
            assert await cursor.fetchone() == (text, 1)


async def test_connect_by_hand(connect_args: dict[str, Any]) -> None:
    """A connection may be made first and opened later."""
    from aiomysql_core import Connection

    connection = Connection(**connect_args)
    assert connection.closed
    await connection._connect()
    async with connection:
        assert await connection.query("SELECT 1") == 1
    assert connection.closed


@pytest.mark.slow
def test_process_without_a_name() -> None:
    """Importing and making a connection works for a uid that has no passwd entry."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can take another uid")
    # The code is loaded first: another uid may not be able to read it.
    program = (
        "import importlib.util, os, aiomysql_core.options.options as options\n"
        "name = options.__name__\n"
        "code = importlib.util.find_spec(name).loader.get_code(name)\n"
        "os.setuid(54321)\n"
        "exec(code, vars(options))\n"
        "print(options.DEFAULT_USER)"
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"LOGNAME", "USER", "LNAME", "USERNAME"}
    }
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "unknown", done.stderr
