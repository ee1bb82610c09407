"""A forked process can neither use its parent's connections nor disturb them."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from tests.core.programs import run_program
from tests.servers import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SCRIPT = """
import asyncio, gc, os, sys, warnings
from aiomysql_core import InterfaceError, connect

async def main(arguments):
    connection = await connect(**arguments)
    child = os.fork()
    if not child:
        warnings.simplefilter("ignore")
        code = 1
        try:
            connection.query("SELECT 1").send(None)
        except InterfaceError as error:
            code = 0 if "forked" in str(error) else 2
        how = sys.argv[2]
        if how == "close":
            connection.close()
        del connection
        gc.collect()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    async with asyncio.timeout(10):
        for number in range(3):
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT %s", (number,))
                assert await cursor.fetchone() == (number,)
        await connection.ensure_closed()
    print("fine")
"""


@pytest.mark.parametrize("how", ["close", "collect"])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("uvloop", [False, True])
async def test_parent_goes_on(server: Server, how: str, tls: bool, uvloop: bool) -> None:
    arguments: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "ssl_mode": "REQUIRED" if tls else "DISABLED",
        "uvloop": uvloop,
    }
    await run_program(SCRIPT, arguments, how)


UNDER_WAY = """
import asyncio, os, signal, sys, warnings
from aiomysql_core import Cursor, InterfaceError, OperationalError, SSCursor, connect

async def main(arguments):
    connection = await connect(**arguments)
    streams = sys.argv[2] == "rows"
    cursor = await connection.cursor(SSCursor if streams else Cursor)
    if streams:
        rows = (f"SELECT {number}, SLEEP(0.01), REPEAT('x', 9000)" for number in range(60))
        numbers = " UNION ALL ".join(rows)
        await cursor.execute(numbers)
        task = asyncio.ensure_future(cursor.fetchall())
    else:
        task = asyncio.ensure_future(cursor.execute("SELECT 7, SLEEP(0.3)"))
    await asyncio.sleep(0.1)
    child = os.fork()
    if not child:
        warnings.simplefilter("ignore")
        signal.alarm(10)
        code = 1
        try:
            await task
        except (InterfaceError, OperationalError) as error:
            code = 0 if "forked" in str(error) else 2
        try:
            if not code:
                await cursor.execute("SELECT 1")
        except (InterfaceError, OperationalError):
            pass
        os._exit(code)
    async with asyncio.timeout(10):
        if streams:
            found = [row[0] for row in await task]
            assert found == list(range(60)), found
        else:
            await task
            assert await cursor.fetchone() == (7, 0)
        await connection.ensure_closed()
    status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status[1]) == 0
    print("fine")
"""


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="from Python 3.14 on tasks don't go on in the child"
)
@pytest.mark.parametrize("what", ["rows", "statement"])
@pytest.mark.parametrize("tls", [False, True])
async def test_the_child_reads_nothing(server: Server, what: str, tls: bool) -> None:
    """What the server has to say is for the parent."""
    arguments: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "ssl_mode": "REQUIRED" if tls else "DISABLED",
        "uvloop": False,
    }
    await run_program(UNDER_WAY, arguments, what)
