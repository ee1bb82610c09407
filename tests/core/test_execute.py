"""`Cursor.execute` at its borders.

Connections out of place, warnings, time-outs and cancellation, local files, stale statements.
"""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from pymysql.constants import CLIENT
from pymysql.err import Warning as MySQLWarning

from aiomysql_core import (
    Connection,
    Cursor,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
    SSCursor,
    connect,
)
from aiomysql_protocol.commands.exchange import Command
from tests import scripted
from tests.core.programs import run_program
from tests.core.statements import rows, sizes
from tests.servers import Server

COM_RESET_CONNECTION = 0x1F
PREPARE, EXECUTE, CLOSE = 0x16, 0x17, 0x19

TRUNCATED = "SELECT CAST(CONCAT(%s, 'x') AS SIGNED)"


# What a statement leaves


@pytest.mark.parametrize("args", [None, (7,), [7], {"n": 7}, 7])
@sizes
async def test_after_a_statement(connect_args: dict[str, Any], size: int, args: Any) -> None:
    query = "SELECT 7" if args is None else "SELECT %(n)s" if type(args) is dict else "SELECT %s"
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for _ in range(2):
            assert await rows(cursor, query, args) == [(7,)]
            assert (cursor.rowcount, cursor.rownumber, cursor.lastrowid) == (1, 1, None)
            assert cursor.description is not None


@sizes
async def test_after_an_error(connect_args: dict[str, Any], size: int) -> None:
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for args in (None, (1,)):
            with pytest.raises(ProgrammingError, match="nothing_here"):
                await cursor.execute("SELECT 1 FROM nothing_here" + " WHERE %s" * bool(args), args)
            assert await rows(cursor, "SELECT 1") == [(1,)]


@sizes
async def test_more_results_are_read_first(connect_args: dict[str, Any], size: int) -> None:
    options = {**connect_args, "client_flag": CLIENT.MULTI_STATEMENTS, "stmt_cache_size": size}
    async with connect(**options) as connection:
        cursor = await connection.cursor()
        for _ in range(2):
            assert await rows(cursor, "SELECT 1; SELECT 2") == [(1,)]
            assert await rows(cursor, "SELECT %s", ("3",)) == [("3",)]


@sizes
async def test_counts(connect_args: dict[str, Any], table_name: str, size: int) -> None:
    """Of statements without rows, whatever their arguments are."""
    columns = "id INT AUTO_INCREMENT PRIMARY KEY, v INT"
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        await cursor.execute(f"CREATE TABLE {table_name} ({columns})")
        for number, args in enumerate([(1,), [1], {"v": 1}, 1] * 2):
            mark = "%(v)s" if isinstance(args, dict) else "%s"
            await cursor.execute(f"INSERT INTO {table_name} (v) VALUES ({mark})", args)
            assert (cursor.rowcount, cursor.rownumber, cursor.description) == (1, 0, None)
            assert cursor.lastrowid == number + 1
        await connection.commit()


@sizes
async def test_one_at_a_time(connect_args: dict[str, Any], size: int) -> None:
    """A second statement is refused; the first has its response."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        first, second = await connection.cursor(), await connection.cursor()
        assert await rows(first, "SELECT %s", ("0",)) == [("0",)]
        task = asyncio.ensure_future(first.execute("SELECT %s", ("1",)))
        await asyncio.sleep(0)
        for args in (None, ("2",)):
            with pytest.raises(InterfaceError, match="another task"):
                await second.execute("SELECT 2" if args is None else "SELECT %s", args)
        assert await task == 1
        assert list(await first.fetchall()) == [("1",)]
        assert await rows(second, "SELECT %s", ("2",)) == [("2",)]


# Connections that are out of place


FORKED = """
import asyncio, os, warnings
from aiomysql_core import InterfaceError, connect

STATEMENTS = [("SELECT 1", None), ("SELECT %s", (1,)), ("SELECT %s", [1])]

async def main(arguments):
    connection = await connect(**arguments)
    cursor = await connection.cursor()
    for query, args in STATEMENTS:
        await cursor.execute(query, args)
    child = os.fork()
    if not child:
        warnings.simplefilter("ignore")
        refused = 0
        for query, args in STATEMENTS:
            try:
                cursor.execute(query, args).send(None)
            except InterfaceError as error:
                refused += "before this process was forked" in str(error)
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(STATEMENTS)
    async with asyncio.timeout(10):
        for query, args in STATEMENTS:
            await cursor.execute(query, args)
            assert list(await cursor.fetchall()) == [(1,)]
        await connection.ensure_closed()
    print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@sizes
async def test_forked(
    server: Server, connect_args: dict[str, Any], size: int, anyio_backend_options: dict[str, Any]
) -> None:
    """The child is told so, for statements just run as for others; the parent goes on."""
    arguments = {**connect_args, "stmt_cache_size": size, "ssl_mode": "DISABLED"}
    arguments["uvloop"] = anyio_backend_options["use_uvloop"]
    await run_program(FORKED, arguments)


@sizes
async def test_another_event_loop(connect_args: dict[str, Any], size: int) -> None:
    """In another thread, whose loop runs beside this one."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        assert await rows(cursor, "SELECT %s", ("1",)) == [("1",)]

        async def use() -> None:
            for args in (("1",), None):
                query = "SELECT %s" if args else "SELECT 1"
                for timeout in (None, 5):
                    with pytest.raises(InterfaceError, match="another event loop"):
                        await cursor.execute(query, args, timeout=timeout)

        await asyncio.to_thread(asyncio.run, use())
        assert await rows(cursor, "SELECT %s", ("2",)) == [("2",)]


@sizes
def test_the_loop_is_closed(server: Server, size: int) -> None:
    """On another loop, and on none."""
    options = {**server.connect_args, "stmt_cache_size": size}

    async def first() -> Cursor:
        connection = await connect(**options)
        cursor = await connection.cursor()
        assert await rows(cursor, "SELECT %s", ("1",)) == [("1",)]
        return cursor

    async def second(cursor: Cursor) -> None:
        with pytest.raises(InterfaceError, match="another event loop"):
            await cursor.execute("SELECT %s", ("1",))
        connection = cursor.connection
        assert connection is not None
        await connection.ensure_closed()

    cursor = asyncio.run(first())
    with pytest.raises(InterfaceError, match="another event loop"):
        cursor.execute("SELECT %s", ("1",)).send(None)
    asyncio.run(second(cursor))


async def test_without_a_task(connect_args: dict[str, Any]) -> None:
    """A callback of the loop may begin a statement too: what runs is the loop."""
    async with connect(**connect_args) as connection:
        cursor = await connection.cursor()
        begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def callback() -> None:
            coroutine = cursor.execute("SELECT 7")
            begun.set_result((coroutine.send(None), coroutine))

        asyncio.get_running_loop().call_soon(callback)
        _, coroutine = await begun
        assert connection.runner.busy
        coroutine.close()
        assert connection.closed


# Warnings


@sizes
async def test_warnings(connect_args: dict[str, Any], size: int) -> None:
    """Each time anew; the result is there, and what the server says of it."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for number in range(3):
            with pytest.warns(MySQLWarning, match="Truncated incorrect") as caught:
                assert await cursor.execute(TRUNCATED, (f"{number}",)) == 1
            assert len(caught) == 1
            assert await connection.show_warnings() != ()
            assert (cursor.rowcount, await cursor.fetchall()) == (1, ((number,),))
        streaming = await connection.cursor(SSCursor)
        with pytest.warns(MySQLWarning, match="Truncated incorrect"):
            await streaming.execute(TRUNCATED, ("5",))
            assert await streaming.fetchall() == [(5,)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert await rows(cursor, "SELECT %s", ("1",)) == [("1",)]


@sizes
async def test_warnings_as_errors(connect_args: dict[str, Any], size: int) -> None:
    """They are raised, and nothing is left undone."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for number in range(3):
            with pytest.raises(MySQLWarning, match="Truncated incorrect"):
                await cursor.execute(TRUNCATED, (f"{number}",))
            assert await cursor.fetchall() == ((number,),)
        assert await rows(cursor, "SELECT %s", ("1",)) == [("1",)]


@sizes
async def test_warnings_not_asked_for(connect_args: dict[str, Any], size: int) -> None:
    async with connect(**connect_args, stmt_cache_size=size, get_warnings=False) as connection:
        cursor = await connection.cursor()
        for number in range(3):
            assert await rows(cursor, TRUNCATED, (f"{number}",)) == [(number,)]
        assert len(await connection.show_warnings()) == 1


async def test_warnings_of_statements_without_rows(connection: Connection, table_name: str) -> None:
    cursor = await connection.cursor()
    with pytest.warns(MySQLWarning, match=table_name):
        assert await cursor.execute(f"DROP TABLE IF EXISTS {table_name}") == 0
    assert (cursor.rowcount, cursor.description) == (0, None)
    assert [number for _, number, _ in await connection.show_warnings()] == [1051]


class Quiet(Cursor):
    """A cursor that has its own way with warnings."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.told: list[Any] = []

    async def _show_warnings(self, conn: Connection) -> None:
        self.told += await conn.show_warnings()


async def test_warnings_of_a_subclass(connection: Connection) -> None:
    cursor = await connection.cursor(Quiet)
    assert await rows(cursor, TRUNCATED, ("5",)) == [(5,)]
    assert [number for _, number, _ in cursor.told] == [1292]


# Time-outs, cancellation and local files

SLEEP = "SELECT SLEEP(IF(%s = 'long', 2, 0))"
SHORT, LONG = ("short",), ("long",)


@sizes
async def test_timeout(connect_args: dict[str, Any], size: int) -> None:
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        assert await rows(cursor, SLEEP, SHORT, timeout=20) == [(0,)]
        assert await rows(cursor, SLEEP, SHORT, timeout=20) == [(0,)]
        with pytest.raises(QueryTimeout, match=r"after 0\.1 s, argument 'timeout'"):
            await cursor.execute(SLEEP, LONG, timeout=0.1)
        assert connection.closed
        with pytest.raises(InterfaceError, match="argument 'timeout'"):
            await cursor.execute("SELECT 1")


@sizes
@pytest.mark.parametrize("option", ["read_timeout", "write_timeout"])
async def test_timeouts_of_the_connection(
    connect_args: dict[str, Any], size: int, option: str
) -> None:
    options: dict[str, Any] = {option: 0.3}
    async with connect(**connect_args, **options, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for number in range(2):
            assert await rows(cursor, "SELECT %s", (f"{number}",)) == [(f"{number}",)]
        if option == "read_timeout":
            with pytest.raises(QueryTimeout, match="option 'read_timeout'"):
                await cursor.execute(SLEEP, LONG)
            assert connection.closed


async def cancelled(coroutine: Any) -> None:
    """Run it for a moment, and cancel it."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0.1)
    assert not task.done()
    task.cancel("enough")
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    assert time.monotonic() - began < 1.5


@sizes
async def test_cancelled(connect_args: dict[str, Any], size: int) -> None:
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        assert await rows(cursor, SLEEP, SHORT) == [(0,)]
        await cancelled(cursor.execute(SLEEP, LONG))
        assert connection.closed
        assert not connection.runner.busy
        for work in (cursor.execute("SELECT 1"), connection.query("SELECT 1")):
            with pytest.raises(InterfaceError, match="Cancelled during execution"):
                await work
        await connection.ping()
        assert await rows(cursor, "SELECT %s", ("1",)) == [("1",)]


@sizes
async def test_cancelled_and_kept(connect_args: dict[str, Any], size: int) -> None:
    """on_cancel="kill" changes nothing of that: what comes next waits, and is then as before."""
    options = {**connect_args, "on_cancel": "kill", "stmt_cache_size": size}
    async with connect(**options) as connection:
        cursor = await connection.cursor()
        number = connection.thread_id()
        assert await rows(cursor, SLEEP, SHORT) == [(0,)]
        for _ in range(2):
            await cancelled(cursor.execute(SLEEP, LONG))
            assert connection.cancelling
            assert await rows(cursor, SLEEP, SHORT) == [(0,)]
            assert await rows(cursor, SLEEP, SHORT) == [(0,)]
        with pytest.raises(QueryTimeout, match="argument 'timeout'"):
            await cursor.execute(SLEEP, LONG, timeout=0.1)
        assert await rows(cursor, SLEEP, SHORT) == [(0,)]
        assert (connection.closed, connection.thread_id()) == (False, number)


def hold_up_the_loop() -> None:
    time.sleep(0.2)


async def test_cancelled_when_the_response_is_there(connection: Connection) -> None:
    """Between the response and the task's turn: the connection goes the same way as ever."""
    cursor = await connection.cursor()
    task = asyncio.ensure_future(cursor.execute("SELECT SLEEP(0.05)"))
    await asyncio.sleep(0)
    assert connection.runner.busy
    hold_up_the_loop()  # the response comes, and nobody reads it
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.closed


@sizes
async def test_local_files(connect_args: dict[str, Any], size: int, tmp_path: Path) -> None:
    """Where they are allowed a text might ask for one; what is prepared can't."""
    path = tmp_path / "rows"
    path.write_text("1\n2\n")
    options = {**connect_args, "local_infile": True, "stmt_cache_size": size}
    async with connect(**options) as connection:
        cursor = await connection.cursor()
        await cursor.execute("CREATE TEMPORARY TABLE loaded (n INT, x INT)")
        query = "LOAD DATA LOCAL INFILE %s INTO TABLE loaded (n)"
        for _ in range(2):
            assert await cursor.execute(query, (str(path),)) == 2
        with pytest.raises(OperationalError, match="nothing"):
            await cursor.execute(query, (str(tmp_path / "nothing"),))
        for factor in range(3):
            found = await rows(cursor, "SELECT n * %s FROM loaded ORDER BY n", (factor,))
            assert found == [(factor,), (factor,), (2 * factor,), (2 * factor,)] or factor == 0
        for number in range(2):
            assert await cursor.execute(f"{query} SET x = %s", (str(path), number)) == 2
            named = f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE loaded (n) SET x = %s"
            assert await cursor.execute(named, (number,)) == 2
            count = "SELECT COUNT(*) FROM loaded WHERE x = %s"
            assert await rows(cursor, count, (number,)) == [(4,)]


async def test_local_files_not_allowed(connection: Connection, tmp_path: Path) -> None:
    """The server is told off, not the file read; which ends the connection only if it asks."""
    path = tmp_path / "rows"
    path.write_text("1\n")
    cursor = await connection.cursor()
    await cursor.execute("CREATE TEMPORARY TABLE loaded (n INT)")
    with pytest.raises((OperationalError, ProgrammingError)):
        await cursor.execute("LOAD DATA LOCAL INFILE %s INTO TABLE loaded", (str(path),))


async def test_a_file_that_nobody_named(tmp_path: Path) -> None:
    """A server that asks for one in the response to any statement."""
    path = tmp_path / "secret"
    path.write_text("secret")
    got: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        writer.write(scripted.frame(b"\xfb" + str(path).encode(), 1))
        got.append(await reader.read())

    async with scripted.scripted_server(handler) as port:
        connection = await connect(host="127.0.0.1", port=port, autocommit=None)
        cursor = await connection.cursor()
        with pytest.raises(OperationalError, match="local file"):
            await cursor.execute("SELECT 1")
        assert connection.closed
        await asyncio.sleep(0.05)
    assert b"secret" not in b"".join(got)


# Prepared statements that the server does not know any more


def definition(type_code: int = 0xFD) -> bytes:
    """The definition of a parameter, or of a column `?`."""
    fixed = b"\x0c\x3f\0" + bytes(4) + bytes([type_code]) + bytes(5)
    return b"\x03def\0\0\0\x01?\0" + fixed


def prepared(number: int) -> bytes:
    """The response to a preparation: one parameter, no columns."""
    head = b"\0" + number.to_bytes(4, "little") + b"\0\0\1\0\0\0\0"
    return scripted.frames(head, definition(6), b"\xfe\0\0\2\0")


OK = scripted.frames(scripted.ok(affected_rows=1))


@pytest.mark.parametrize("code", [1615, 1243])
async def test_stale_statements(code: int) -> None:
    """Prepared again and run, and nobody notices."""
    stale = scripted.frames(scripted.error(code, "stale"))
    seen: list[tuple[int, int]] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        newest = runs = 0
        while (request := await scripted.read_packet(reader)) != b"\x01":
            command, number = request[0], request[1]
            seen.append((command, number if command != PREPARE else 0))
            if command == PREPARE:
                newest += 1
                writer.write(prepared(newest))
            elif command == EXECUTE:
                runs += 1
                writer.write(stale if runs in (3, 5) else OK)

    async with scripted.scripted_server(handler) as port:
        options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "autocommit": None}
        async with connect(**options, stmt_cache_size=2) as connection:
            cursor = await connection.cursor()
            for number in range(5):
                assert await cursor.execute("DO %s", (number,)) == 1
    again = [(CLOSE, 1), (PREPARE, 0), (EXECUTE, 2)]
    first = [(PREPARE, 0), (EXECUTE, 1), (EXECUTE, 1), (EXECUTE, 1)]
    last = [(EXECUTE, 2), (CLOSE, 2), (PREPARE, 0), (EXECUTE, 3), (EXECUTE, 3)]
    assert seen == first + again + last


async def test_stale_again() -> None:
    """A statement that stays stale goes as text, one of `prepare` too."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        stale = False
        while (request := await scripted.read_packet(reader)) != b"\x01":
            if request[0] == PREPARE:
                writer.write(prepared(1))
            elif request[0] == EXECUTE:
                writer.write(scripted.frames(scripted.error(1615, "stale")) if stale else OK)
                stale = True
            elif request[0] != CLOSE:
                seen.append(request)
                writer.write(OK)

    async with scripted.scripted_server(handler) as port:
        options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "autocommit": None}
        async with connect(**options, stmt_cache_size=2) as connection:
            cursor = await connection.cursor()
            for number in range(3):
                assert await cursor.execute("DO %s", (number,)) == 1
    assert seen == [b"\x03DO 1", b"\x03DO 2"]


async def test_forgotten_statements(connect_args: dict[str, Any]) -> None:
    """On a server: the session is reset, and nobody told this side."""
    async with connect(**connect_args, stmt_cache_size=8) as connection:
        statement = await connection.prepare("SELECT CONCAT('s', %s)")
        for number in range(6):
            cursor = await connection.cursor()
            assert await rows(cursor, "SELECT %s", (f"{number}",)) == [(f"{number}",)]
            assert await rows(cursor, statement, (f"{number}",)) == [(f"s{number}",)]
            if number % 2:
                await connection.runner.run(Command(COM_RESET_CONNECTION))
        await statement.close()


async def test_tables_that_change(connect_args: dict[str, Any], table_name: str) -> None:
    """The columns are those of the moment."""
    async with connect(**connect_args, stmt_cache_size=8) as connection:
        cursor = await connection.cursor()
        await connection.query(f"CREATE TABLE {table_name} (n INT)")
        await connection.query(f"INSERT INTO {table_name} VALUES (1)")
        query = f"SELECT * FROM {table_name} WHERE n = %s"
        for change, row in [
            (None, (1,)),
            ("ADD COLUMN s TEXT DEFAULT ('new')", (1, "new")),
            ("DROP COLUMN s", (1,)),
            ("MODIFY n VARCHAR(9)", ("1",)),
        ]:
            if change:
                await connection.query(f"ALTER TABLE {table_name} {change}")
            for _ in range(2):
                value = 1 if change is None or "n VARCHAR" not in change else "1"
                assert await rows(cursor, query, (value,)) == [row]
                assert cursor.description is not None
                assert len(cursor.description) == len(row)
        await connection.query(f"DROP TABLE {table_name}")
        with pytest.raises(ProgrammingError, match="1146"):
            await cursor.execute(query, (1,))
        assert await rows(cursor, "SELECT %s", ("1",)) == [("1",)]
