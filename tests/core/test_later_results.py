"""Errors of results that nobody has read: whatever comes next says them, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    DictCursor,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SSCursor,
    connect,
)
from tests.servers import Server

Act = Callable[[Connection], Awaitable[object]]

#: Between two statements: the second's response has come already, or is to come.
COMING = pytest.mark.parametrize("pause", ["", "DO SLEEP(0.1);"], ids=["there", "coming"])


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (n INT PRIMARY KEY) ENGINE=InnoDB")
    return table_name


async def half_done(connection: Connection, table: str, pause: str = "") -> None:
    """Run three statements of which the second fails; read the first's result."""
    cursor = await connection.cursor()
    assert await cursor.execute(
        f"INSERT INTO {table} VALUES (1); {pause} INSERT INTO {table} VALUES (1);"
        f" INSERT INTO {table} VALUES (2)"
    )
    if not pause:
        await asyncio.sleep(0.05)


async def cursor_executes(connection: Connection, *args: Any) -> None:
    cursor = await connection.cursor()
    await cursor.execute(*args)


async def streams(connection: Connection) -> None:
    cursor = await connection.cursor(SSCursor)
    await cursor.execute("SELECT 1")


async def makes_dicts(connection: Connection) -> None:
    cursor = await connection.cursor(DictCursor)
    await cursor.execute("SELECT 1")


async def executes_many(connection: Connection) -> None:
    cursor = await connection.cursor()
    await cursor.executemany("DO %s", [(1,), (2,)])


async def calls_a_procedure(connection: Connection) -> None:
    cursor = await connection.cursor()
    await cursor.callproc("none", (1,))


SAYING: dict[str, Act] = {
    "commit": Connection.commit,
    "begin": Connection.begin,
    "query": lambda connection: connection.query("SELECT 1"),
    "execute": lambda connection: cursor_executes(connection, "SELECT 1"),
    "execute with values": lambda connection: cursor_executes(connection, "SELECT %s", (1,)),
    "stream": streams,
    "dicts": makes_dicts,
    "executemany": executes_many,
    "callproc": calls_a_procedure,
    "select_db": lambda connection: connection.select_db("mysql"),
    "set_charset": lambda connection: connection.set_charset("latin1"),
    "ping": Connection.ping,
    "ping without": lambda connection: connection.ping(reconnect=False),
    "autocommit": lambda connection: connection.autocommit(True),
    "the same mode": lambda connection: connection.autocommit(False),
    "show_warnings": Connection.show_warnings,
    "prepare": lambda connection: connection.prepare("SELECT 1"),
    "kill": lambda connection: connection.kill(connection.thread_id()),
    "discard_results": Connection.discard_results,
}


@COMING
@pytest.mark.parametrize("act", SAYING.values(), ids=SAYING)
async def test_the_next_request_says_it(
    connection: Connection, server: Server, table: str, act: Act, pause: str
) -> None:
    """Nothing of it is sent, and the connection is in step and usable."""
    charset, db, mode = connection.charset, connection.db, connection.get_autocommit()
    await half_done(connection, table, pause)
    with pytest.raises(IntegrityError, match="1062"):
        await act(connection)
    assert not connection.closed
    assert (connection.charset, connection.db, connection.get_autocommit()) == (charset, db, mode)
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT n, @@autocommit, DATABASE() FROM {table}")
        assert await cursor.fetchall() == ((1, 0, db),)
    assert server.execute(f"SELECT * FROM {table}") == []
    await connection.commit()
    assert server.execute(f"SELECT * FROM {table}") == [(1,)]


@COMING
@pytest.mark.parametrize("act", [Connection.rollback, Connection.reset])
async def test_what_undoes_is_done_before(
    connection: Connection, server: Server, table: str, act: Act, pause: str
) -> None:
    await connection.query("SET @mine = 1")
    await half_done(connection, table, pause)
    with pytest.raises(IntegrityError, match="1062"):
        await act(connection)
    await connection.commit()  # nothing is left
    assert server.execute(f"SELECT * FROM {table}") == []
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT @mine")
        assert await cursor.fetchone() == (None if act is Connection.reset else 1,)


@COMING
async def test_good_byes(
    connect_args: dict[str, Any], server: Server, table: str, pause: str
) -> None:
    connection = await connect(**connect_args, autocommit=True)
    await half_done(connection, table, pause)
    with pytest.raises(IntegrityError, match="1062"):
        await connection.ensure_closed()
    assert connection.closed
    await connection.ensure_closed()
    server.execute(f"DELETE FROM {table}")
    connection = await connect(**connect_args, autocommit=True)
    await half_done(connection, table, pause)
    with pytest.raises(IntegrityError, match="1062"):
        await connection.__aexit__(None, None, None)
    assert connection.closed


async def test_closing_at_once_logs_it(
    connect_args: dict[str, Any], table: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await connect(**connect_args)
    await half_done(connection, table)
    with caplog.at_level(logging.WARNING, "aiomysql"):
        connection.close()
    assert "1062" in caplog.text
    connection = await connect(**connect_args)
    await cursor_executes(connection, "SELECT 1; SELECT 2")
    await asyncio.sleep(0.05)
    caplog.clear()
    connection.close()
    assert not caplog.records


@COMING
@pytest.mark.parametrize("kind", [Cursor, DictCursor, SSCursor])
async def test_leaving_its_cursor_says_it(
    connection: Connection, table: str, kind: type[Cursor], pause: str
) -> None:
    insert = f"INSERT INTO {table} VALUES (1)"
    cursor = await connection.cursor(kind)
    await cursor.execute(f"{insert};{pause} {insert}")
    await asyncio.sleep(0.05)
    with pytest.raises(IntegrityError, match="1062"):
        await cursor.__aexit__(None, None, None)
    assert cursor.closed
    await connection.rollback()


@COMING
async def test_after_streamed_rows(connection: Connection, table: str, pause: str) -> None:
    """Rows that came are still there, whatever was said of those that were to come."""
    cursor = await connection.cursor(SSCursor)
    insert = f"INSERT INTO {table} VALUES (1)"
    await cursor.execute(f"SELECT 7; {insert}; {pause} {insert}")
    await asyncio.sleep(0.05)
    with pytest.raises(IntegrityError, match="1062"):
        await connection.commit()
    assert await cursor.fetchall() == [(7,)]
    assert await cursor.nextset() is None
    await cursor.close()
    await connection.commit()


#: The third row is an error; the first two have come before it.
FAILING = "SELECT n, (SELECT m FROM {0}_two WHERE {0}.n = 3) FROM {0} ORDER BY n"


@pytest.fixture
def rows_then_error(server: Server, table: str) -> Iterator[str]:
    """A statement whose response is some rows and an error."""
    server.execute(f"INSERT INTO {table} VALUES (1), (2), (3)")
    server.execute(f"CREATE TABLE {table}_two (m INT)")
    server.execute(f"INSERT INTO {table}_two VALUES (1), (2)")
    yield FAILING.format(table)
    server.execute(f"DROP TABLE {table}_two")


async def begins_streaming(connection: Connection, statement: str) -> SSCursor:
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(statement)
    await asyncio.sleep(0.05)
    return cursor


LEAVING: dict[str, Callable[[Connection, SSCursor], Awaitable[object]]] = {
    "commit": lambda connection, cursor: connection.commit(),
    "rollback": lambda connection, cursor: connection.rollback(),
    "another cursor": lambda connection, cursor: cursor_executes(connection, "SELECT 1"),
    "close": lambda connection, cursor: cursor.close(),
    "async with": lambda connection, cursor: cursor.__aexit__(None, None, None),
    "execute": lambda connection, cursor: cursor.execute("SELECT 1"),
    "nextset": lambda connection, cursor: cursor.nextset(),
    "ping": lambda connection, cursor: connection.ping(),
}


@pytest.mark.parametrize("fetched", [0, 1, 2])
@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_errors_behind_rows_that_nobody_fetched(
    connection: Connection, rows_then_error: str, leave: Any, fetched: int
) -> None:
    cursor = await begins_streaming(connection, rows_then_error)
    for _ in range(fetched):
        assert await cursor.fetchone() is not None
    with pytest.raises(OperationalError, match="1242"):
        await leave(connection, cursor)
    await connection.commit()  # it is told once
    assert await connection.query("SELECT 1") == 1
    await cursor.close()


async def test_whoever_reads_on_is_told_as_well(
    connection: Connection, rows_then_error: str
) -> None:
    cursor = await begins_streaming(connection, rows_then_error)
    with pytest.raises(OperationalError, match="1242"):
        await connection.commit()
    assert [await cursor.fetchone(), await cursor.fetchone()] == [(1, None), (2, None)]
    with pytest.raises(OperationalError, match="1242"):
        await cursor.fetchone()
    await connection.commit()


async def test_who_reads_to_the_end_is_told_once(
    connection: Connection, rows_then_error: str
) -> None:
    cursor = await begins_streaming(connection, rows_then_error)
    with pytest.raises(OperationalError, match="1242"):
        await cursor.fetchall()
    await connection.commit()
    await cursor.close()


async def test_good_byes_after_rows(
    connect_args: dict[str, Any], rows_then_error: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await connect(**connect_args)
    await begins_streaming(connection, rows_then_error)
    with pytest.raises(OperationalError, match="1242"):
        await connection.ensure_closed()
    connection = await connect(**connect_args)
    await begins_streaming(connection, rows_then_error)
    connection.close()
    assert "1242" in caplog.text


async def test_files_of_later_statements(
    connect_args: dict[str, Any], server: Server, table: str, tmp_path: Path
) -> None:
    """They are sent, as if the result had been read."""
    path = tmp_path / "rows"
    path.write_text("1\n2\n")
    load = f"SELECT 1; LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table}"
    async with connect(**connect_args, local_infile=True) as connection:
        for kind in (Cursor, SSCursor):
            cursor = await connection.cursor(kind)
            await cursor.execute(load)
            async with asyncio.timeout(5):
                await connection.commit()
            assert server.execute(f"SELECT * FROM {table}") == [(1,), (2,)]
            await cursor.close()
            await connection.query(f"DELETE FROM {table}")
            await connection.commit()
        await connection.query(load)
        path.unlink()
        with pytest.raises(OperationalError, match="1017"):
            await connection.commit()
        await connection.rollback()
    async with asyncio.timeout(5):
        connection = await connect(**connect_args, local_infile=True)
        await connection.query(f"DO 1; {load}")
        await connection.ensure_closed()
    assert server.execute(f"SELECT * FROM {table}") == []


async def test_a_cancellation_does_not_kill_what_another_has_begun(
    connect_args: dict[str, Any], table: str
) -> None:
    """While the rest of a statement is read for the next one, that is all there is to stop."""
    connection = await connect(**connect_args, on_cancel="kill")
    await half_done(connection, table, "DO SLEEP(0.3);")
    cursor = await connection.cursor()
    with pytest.raises(OperationalError, match="timeout"):
        await cursor.execute("SELECT 5", timeout=0.1)
    with pytest.raises((InterfaceError, OperationalError)):
        await connection.commit()
    assert connection.closed


@pytest.mark.parametrize("options", [{}, {"stmt_cache_size": 10}])
async def test_procedures(
    connect_args: dict[str, Any], server: Server, table: str, options: dict[str, Any]
) -> None:
    server.execute(
        f"CREATE PROCEDURE p_{table}(IN n INT) BEGIN SELECT n; SELECT n + 1;"
        f" INSERT INTO {table} VALUES (n); INSERT INTO {table} VALUES (n); END"
    )
    try:
        async with connect(**connect_args, **options) as connection:
            cursor = await connection.cursor()
            await cursor.callproc(f"p_{table}", (1,))
            assert await cursor.fetchall() == ((1,),)
            with pytest.raises(IntegrityError, match="1062"):
                await connection.commit()
            await connection.rollback()
            await cursor.execute(f"CALL p_{table}(%s)", (5,))
            assert await cursor.fetchall() == ((5,),)
            with pytest.raises(IntegrityError, match="1062"):
                await cursor.execute("SELECT 1")
            await cursor.execute("SELECT 2")
            assert await cursor.fetchall() == ((2,),)
            async with await connection.prepare(f"CALL p_{table}(%s)") as statement:
                await statement.execute((7,))
                with pytest.raises(IntegrityError, match="1062"):
                    await connection.commit()
            await connection.rollback()
    finally:
        server.execute(f"DROP PROCEDURE p_{table}")
    assert server.execute(f"SELECT * FROM {table}") == []


async def test_init_command(connect_args: dict[str, Any], server: Server, table: str) -> None:
    insert = f"INSERT INTO {table} VALUES (1)"
    with pytest.raises(IntegrityError, match="1062"):
        await connect(**connect_args, init_command=f"{insert}; {insert}")
    assert server.execute(f"SELECT * FROM {table}") == [(1,)]  # in the server's autocommit mode
    server.execute(f"DELETE FROM {table}")
    async with (
        connect(**connect_args, init_command=f"{insert}; SET @mine = 3") as connection,
        connection.cursor() as cursor,
    ):
        await cursor.execute(f"SELECT n, @mine FROM {table}")
        assert await cursor.fetchall() == ((1, 3),)


async def test_results_without_an_error_are_dropped(connection: Connection) -> None:
    cursor, other = await connection.cursor(), await connection.cursor()
    for statement in ("SELECT 1; SELECT 2; SELECT 3", "SELECT 1; DO SLEEP(0.05); SELECT 3"):
        await cursor.execute(statement)
        await other.execute("SELECT %s", ("mine",))
        assert await other.fetchall() == (("mine",),)
        assert await cursor.fetchall() == ((1,),)
        assert await cursor.nextset() is None


async def test_a_value_that_cannot_be_read_is_nobodys(connection: Connection) -> None:
    """Rows that nobody reads are dropped: their values are not looked at."""
    cursor = await connection.cursor()
    await cursor.execute("SELECT 1; SELECT CAST('x' AS BINARY), 'ok'; SELECT 3")
    await asyncio.sleep(0.05)
    await connection.commit()
    assert not connection.runner.outstanding


async def test_a_connection_lost_meanwhile(
    connect_args: dict[str, Any], server: Server, table: str
) -> None:
    connection = await connect(**connect_args)
    await half_done(connection, table, "DO SLEEP(5);")
    server.execute(f"KILL {connection.thread_id()}")
    with pytest.raises(connection.OperationalError):
        await connection.commit()
    assert connection.closed
    with pytest.raises(connection.InterfaceError):
        await connection.commit()


async def test_many_results_that_nobody_reads(connection: Connection, table: str) -> None:
    """More than are kept; the last one fails."""
    insert = f"INSERT INTO {table} VALUES (1)"
    cursor = await connection.cursor()
    await cursor.execute(";".join([*["SELECT REPEAT('x', 2000)"] * 1000, insert, insert]))
    await asyncio.sleep(0.05)
    with pytest.raises(IntegrityError, match="1062"):
        await connection.commit()
    assert await connection.query("SELECT 1") == 1
    await connection.rollback()
