"""A program is told when what it does to a connection loses changes that it has not committed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pymysql.constants import CLIENT, SERVER_STATUS

import aiomysql_core.log
from aiomysql_core import (
    Connection,
    IntegrityError,
    OperationalError,
    QueryTimeout,
    SSCursor,
    UncommittedWarning,
    connect,
)
from tests.flags import FlagProxy
from tests.servers import Server

IN_TRANSACTION = SERVER_STATUS.SERVER_STATUS_IN_TRANS


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    server.execute(f"INSERT INTO {table_name} VALUES (-1, 1), (-2, 2)")
    return table_name


@pytest.fixture
async def open_one(connect_args: dict[str, Any]) -> AsyncIterator[Callable[..., Any]]:
    """Opens connections, which are closed in the end."""
    opened: list[Connection] = []

    async def open_one(**options: Any) -> Connection:
        opened.append(await connect(**connect_args | options))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.runner.forget_changes()
        await connection.ensure_closed()


@contextlib.contextmanager
def told(times: int = 1) -> Any:
    """The lines for which the warning comes in the block, all of this file, as often as given."""
    lines: list[int] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lines
    assert [warning.category for warning in caught] == [UncommittedWarning] * times
    assert {warning.filename for warning in caught} <= {__file__}
    lines += [warning.lineno for warning in caught]


def line() -> int:
    """That of the caller."""
    return sys._getframe(1).f_lineno


async def by_cursor(connection: Connection, table: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (1, 1))


async def prepared(connection: Connection, table: str) -> None:
    async with connection.prepare(f"UPDATE {table} SET v = ?") as statement:
        await statement.execute((7,))


async def many(connection: Connection, table: str) -> None:
    rows = [(number, number) for number in range(40)]
    await connection.executemany(f"INSERT INTO {table} VALUES (%s, %s)", rows)


async def many_updates(connection: Connection, table: str) -> None:
    rows = [(7, -1), (8, -2)] * 20
    await connection.executemany(f"UPDATE {table} SET v = v + %s WHERE id = %s", rows)


async def in_a_pipeline(connection: Connection, table: str) -> None:
    async with connection.pipeline() as pipeline:
        for number in range(3):
            pipeline.execute(f"REPLACE INTO {table} VALUES (%s, 0)", (number,))


async def loaded(connection: Connection, table: str) -> None:
    await connection.load_rows(table, [(1, 1), (2, 2)], ["id", "v"])


async def by_query(connection: Connection, table: str) -> None:
    await connection.query(f" /* all */ delete from {table}")


async def second_of_several(connection: Connection, table: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT 1; UPDATE {table} SET v = 9; SELECT 2")
        while await cursor.nextset():
            pass


async def after_begin(connection: Connection, table: str) -> None:
    await connection.autocommit(True)
    await connection.begin()
    await connection.execute(f"DELETE FROM {table}")


async def after_part_was_undone(connection: Connection, table: str) -> None:
    await connection.execute("SAVEPOINT a")
    await connection.execute(f"DELETE FROM {table}")
    await connection.execute("ROLLBACK TO SAVEPOINT a")
    await connection.execute(f"UPDATE {table} SET v = 9")
    await connection.execute("RELEASE SAVEPOINT a")


async def then_read(connection: Connection, table: str) -> None:
    await connection.execute(f"DELETE FROM {table}")
    await connection.fetchall(f"SELECT * FROM {table}")
    await connection.execute("SET @x = 1")
    await connection.ping()


async def by_common_table(connection: Connection, table: str) -> None:
    if "maria" in connection.server_version.lower():
        await connection.execute(f"DELETE FROM {table}")  # which has that only for SELECT
    else:
        await connection.execute(f"WITH c AS (SELECT 1) DELETE FROM {table}")


async def returning(connection: Connection, table: str) -> None:
    if "maria" in connection.server_version.lower():
        await connection.fetchall(f"INSERT INTO {table} VALUES (1, 1) RETURNING id")
    else:
        await by_query(connection, table)


async def before_and_in_a_block(connection: Connection, table: str) -> None:
    await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    async with connection.transaction():
        await connection.execute(f"INSERT INTO {table} VALUES (2, 2)")


async def before_a_block(connection: Connection, table: str) -> None:
    await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    async with connection.transaction():
        await connection.fetchall(f"SELECT * FROM {table}")


async def in_a_block_of_an_open_one(connection: Connection, table: str) -> None:
    await connection.fetchall(f"SELECT * FROM {table}")
    async with connection.transaction(), connection.transaction():
        await connection.execute(f"INSERT INTO {table} VALUES (2, 2)")


async def before_a_block_that_failed(connection: Connection, table: str) -> None:
    await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    with contextlib.suppress(IntegrityError):
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")


async def after_undoing_a_block(connection: Connection, table: str) -> None:
    await connection.begin()
    async with connection.transaction() as block:
        await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
        await block.rollback()
        await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")


async def before_loading(connection: Connection, table: str) -> None:
    await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    await connection.load_rows(table, [(2, 2)], ["id", "v"])


async def loaded_after_a_read(connection: Connection, table: str) -> None:
    await connection.fetchall(f"SELECT * FROM {table}")
    await connection.load_rows(table, [(2, 2)], ["id", "v"])


async def words_in_strings(connection: Connection, table: str) -> None:
    text = "'CALL p(); CREATE TEMPORARY TABLE t; EXECUTE s'"
    await connection.query(f"UPDATE {table} SET v = 9 WHERE {text} <> ''; DELETE FROM {table}")
    await connection.query("SELECT 'BEGIN'; SELECT 'COMMIT'")
    await connection.discard_results()


async def of_those_found(connection: Connection, table: str) -> None:
    await connection.executemany(f"UPDATE {table} SET v = v + %s", [(0,), (1,)] * 20)


WRITES = [
    before_and_in_a_block,
    before_a_block,
    in_a_block_of_an_open_one,
    before_a_block_that_failed,
    after_undoing_a_block,
    before_loading,
    loaded_after_a_read,
    words_in_strings,
    of_those_found,
    by_cursor,
    prepared,
    many,
    many_updates,
    in_a_pipeline,
    loaded,
    by_query,
    second_of_several,
    after_begin,
    after_part_was_undone,
    then_read,
    by_common_table,
    returning,
]


@pytest.mark.parametrize("write", WRITES)
async def test_writes(
    open_one: Callable[..., Awaitable[Connection]],
    table: str,
    write: Callable[[Connection, str], Awaitable[None]],
) -> None:
    for options in ({}, {"stmt_cache_size": 8}, {"client_flag": CLIENT.FOUND_ROWS}):
        connection = await open_one(**options, local_infile=True, get_warnings=False)
        await write(connection, table)
        with told() as lines:
            connection.close()
        assert lines == [line() - 1]
        assert connection.closed


READS = [
    "SELECT * FROM {}",
    "SELECT * FROM {} FOR UPDATE",
    "SELECT COUNT(*) FROM {} INTO @n",
    "SELECT COUNT(*) INTO/**/@n FROM {} WHERE 'UPDATE' = 'INSERT'",
    "WITH c AS (SELECT COUNT(*) AS n FROM {}) SELECT n INTO @n FROM c",
    "UPDATE {} SET v = 1 WHERE id = 77",
    "SELECT * FROM {}; SELECT COUNT(*) INTO @n FROM {}",
    "CREATE TEMPORARY TABLE {}_t SELECT * FROM {}; INSERT INTO {}_t SELECT * FROM {}",
    "EXPLAIN DELETE FROM {}",
]
ENDS = [
    "COMMIT",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "BEGIN",
    "/* */ START TRANSACTION",
    "SELECT 1; BEGIN",
    "CALL {}_ends()",
    "SET autocommit = 1",
    "ALTER TABLE {} COMMENT 'x'",
    "LOCK TABLES {} WRITE",
]


async def test_what_is_no_write(
    open_one: Callable[..., Awaitable[Connection]], table: str, server: Server
) -> None:
    """Reads, what is committed by itself or was undone, and what nobody knows."""

    async def run(connection: Connection, statement: str) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(statement.replace("{}", table))
            while await cursor.nextset():
                pass

    for statement in READS:
        connection = await open_one(get_warnings=False)
        await run(connection, f"SELECT * FROM {table}")
        await run(connection, statement)
        connection.close()
    server.execute(
        f"CREATE PROCEDURE {table}_ends() BEGIN COMMIT; SELECT COUNT(*) INTO @n FROM {table}; END"
    )
    for statement in ENDS:
        connection = await open_one()
        await run(connection, "UPDATE {} SET v = v + 1")
        await run(connection, statement)
        connection.close()
    connection = await open_one(autocommit=True)
    await run(connection, "UPDATE {} SET v = v + 1")
    connection.close()
    # That it counts a row does not say whether it has read or written one.
    read = f"{table}_read"
    server.execute(f"CREATE PROCEDURE {read}(OUT n INT) SELECT COUNT(*) INTO n FROM {table}")
    connection = await open_one()
    async with connection.cursor() as cursor:
        await cursor.callproc(read, (0,))
    connection.close()
    server.execute(f"DROP PROCEDURE {read}")
    server.execute(f"DROP PROCEDURE {table}_ends")
    # It may make temporary tables, too.
    server.execute(f"CREATE PROCEDURE {read}() CREATE TEMPORARY TABLE {read} AS SELECT 1 AS n")
    connection = await open_one()
    await run(connection, f"CALL {read}()")
    await run(connection, f"INSERT INTO {read} VALUES (2)")
    connection.close()
    server.execute(f"DROP PROCEDURE {read}")
    # Rows that are as they were before, and found even so.
    connection = await open_one(client_flag=CLIENT.FOUND_ROWS)
    assert await connection.execute(f"UPDATE {table} SET v = v") == 2
    insert = f"INSERT INTO {table} VALUES (-1, 1) ON DUPLICATE KEY UPDATE v = v"
    assert await connection.execute(insert) == 1
    await connection.executemany(f"UPDATE {table} SET v = v + %s", [(0,)] * 40)
    connection.close()
    connection = await open_one()
    if "maria" in connection.server_version.lower():
        await run(
            connection,
            "BEGIN NOT ATOMIC DECLARE x INT; SELECT v INTO x FROM {} WHERE id = -1;"
            " IF x > 100 THEN DELETE FROM {}; END IF; END",
        )
    connection.close()


async def test_deeds(open_one: Callable[..., Awaitable[Connection]], table: str) -> None:
    insert = f"INSERT INTO {table} VALUES (1, 1)"
    connection = await open_one()
    await connection.execute(insert)
    with told() as lines:
        await connection.reset()
    assert lines == [line() - 1]
    await connection.execute(insert)
    with told() as lines:
        await connection.ensure_closed()
    assert lines == [line() - 1]
    with told() as lines:
        async with await open_one() as connection:
            await connection.execute(insert)
    assert lines == [line() - 2]
    # Nor are the frames of these the caller's.
    with told() as lines:
        async with contextlib.AsyncExitStack() as stack:
            connection = await stack.enter_async_context(await open_one())
            await connection.execute(insert)
    assert lines == [line() - 3]
    connection = await open_one()
    await connection.execute(insert)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = repr(connection)
        del connection
        open_one.__closure__[-1].cell_contents.clear()  # type: ignore[index]
        gc.collect()
    (warning,) = caught
    assert str(warning.message) == (
        f"Unclosed connection {text}, with changes that are not committed: they are rolled back, "
        "where their tables have transactions"
    )


async def test_the_line_of_what_a_task_runs(
    open_one: Callable[..., Awaitable[Connection]], table: str
) -> None:
    """It is where the coroutine was made, or else none: never that which runs the loop."""

    async def changed() -> Connection:
        connection = await open_one()
        await connection.execute(f"INSERT INTO {table} VALUES ({connection.thread_id()}, 1)")
        return connection

    connection = await changed()
    with told() as lines:
        await asyncio.wait_for(connection.ensure_closed(), 5)
    assert lines == [line() - 1]
    connection = await changed()
    with told() as lines:
        await asyncio.gather(connection.ensure_closed())
    assert lines == [line() - 1]
    if not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        return  # uvloop has no frames, so its callbacks seem to be called by what runs it
    for run in (
        lambda connection: asyncio.get_running_loop().call_soon(connection.close),
        lambda connection: asyncio.create_task(connection.reset()),
    ):
        connections = [await changed(), await changed()]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for connection in connections:
                run(connection)
            async with asyncio.timeout(10):
                while len(caught) < 2:
                    await asyncio.sleep(0.001)
        for warning in caught:
            assert str(warning.message).startswith(repr(connection)[:12])
            assert warning.filename == aiomysql_core.log.__file__


async def test_another_user(
    open_one: Callable[..., Awaitable[Connection]],
    table: str,
    connect_args: dict[str, Any],
) -> None:
    connection = await open_one()
    await connection.execute(f"DELETE FROM {table}")
    with told() as lines:
        await connection.change_user(
            connect_args["user"], connect_args["password"], connect_args["db"]
        )
    assert lines == [line() - 3]


async def test_once_for_each_place(
    open_one: Callable[..., Awaitable[Connection]], table: str, server: Server
) -> None:
    """By Python's own filters, which tell by its class which warning it is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            connection = await open_one()
            await connection.execute(f"DELETE FROM {table}")
            connection.close()
    (warning,) = caught
    assert "connection.commit()" in str(warning.message)
    connection = await open_one()
    await connection.execute(f"DELETE FROM {table}")
    with pytest.raises(UncommittedWarning):
        connection.close()
    assert connection.closed  # even so
    for switch in ({"warn_uncommitted": False}, {}):
        connection = await open_one(**switch)
        await connection.execute(f"DELETE FROM {table}")
        with warnings.catch_warnings():
            if not switch:
                warnings.simplefilter("ignore", UncommittedWarning)
            connection.close()
    assert len(server.execute(f"SELECT * FROM {table}")) == 2


async def test_not_after_an_exception(
    open_one: Callable[..., Awaitable[Connection]], table: str
) -> None:
    delete = f"DELETE FROM {table}"
    with contextlib.suppress(LookupError):
        async with await open_one() as connection:
            await connection.execute(delete)
            raise LookupError
    connection = await open_one()
    await connection.execute(delete)
    await connection.__aexit__(LookupError, LookupError(), None)
    connection = await open_one()
    with contextlib.suppress(LookupError):
        try:
            await connection.execute(delete)
            raise LookupError
        finally:
            connection.close()
    # Of the server, though it was caught.
    connection = await open_one()
    await connection.execute(delete)
    await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    with pytest.raises(IntegrityError):
        await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    await connection.execute(f"INSERT INTO {table} VALUES (2, 1)")
    await connection.reset()
    await connection.execute(delete)
    with pytest.raises(OperationalError):
        await connection.select_db("no_such_database")
    await connection.reset()
    # In another transaction than that.
    with pytest.raises(IntegrityError):
        await connection.execute(f"INSERT INTO {table} VALUES (-1, 1)")
    await connection.rollback()
    await connection.execute(delete)
    with told():
        connection.close()


async def test_not_after_a_cancellation(
    open_one: Callable[..., Awaitable[Connection]], table: str, server: Server
) -> None:
    connection = await open_one(on_cancel="kill")
    await connection.execute(f"DELETE FROM {table}")
    with pytest.raises(QueryTimeout):
        await connection.execute("DO SLEEP(9)", timeout=0.01)
    await connection.execute(f"INSERT INTO {table} VALUES (3, 3)")
    connection.close()

    async def work(connection: Connection) -> None:
        await connection.execute(f"DELETE FROM {table}")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(9)
        connection.close()

    task = asyncio.create_task(work(await open_one()))
    for _ in range(1000):
        await asyncio.sleep(0.001)
        if "sleep" in str(task.get_stack()) or task.done():
            break
    task.cancel()
    await task
    # Nor when it is lost, or somebody else uses it.
    connection = await open_one()
    await connection.execute(f"DELETE FROM {table}")
    server.execute(f"KILL {connection.thread_id()}")
    with contextlib.suppress(Exception):
        await connection.ping(reconnect=False)
    connection.close()
    connection = await open_one()
    await connection.execute(f"DELETE FROM {table}")
    running = asyncio.create_task(connection.execute("DO SLEEP(1)"))
    await asyncio.sleep(0)
    connection.close()
    with contextlib.suppress(Exception):
        await running


async def test_blocks_say_it_themselves(
    open_one: Callable[..., Awaitable[Connection]], table: str
) -> None:
    connection = await open_one()
    async with connection.transaction():
        await connection.execute(f"DELETE FROM {table}")
    with contextlib.suppress(LookupError):
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {table} VALUES (3, 3)")
            raise LookupError
    with contextlib.suppress(OperationalError):
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {table} VALUES (3, 3)")
            connection.close()


async def test_unread_results(open_one: Callable[..., Awaitable[Connection]], table: str) -> None:
    """Nobody knows what is in them: a COMMIT perhaps."""
    connection = await open_one()
    async with connection.cursor(SSCursor) as cursor:
        await connection.query(f"DELETE FROM {table}; COMMIT")
        connection.close()
        del cursor


@pytest.mark.parametrize("says", [True, False])
async def test_flags_that_are_not_true(
    connect_args: dict[str, Any], server: Server, table: str, says: bool
) -> None:
    """They can make the warning wrong, and nothing else."""

    def change(flags: int) -> int:
        return flags | IN_TRANSACTION if says else flags & ~IN_TRANSACTION

    async with FlagProxy(server.host, server.port, change) as proxy:
        through = {"host": "127.0.0.1", "port": proxy.port, "unix_socket": None}
        connection = await connect(**connect_args | through)
        await connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
        await connection.commit()
        await connection.execute(f"INSERT INTO {table} VALUES (2, 1)")
        with told(int(says)):
            await connection.ensure_closed()
        connection = await connect(**connect_args | through, autocommit=True)
        await connection.execute(f"INSERT INTO {table} VALUES (3, 1)")
        with told(int(says)):
            await connection.ensure_closed()
    rows = server.execute(f"SELECT id FROM {table} WHERE id > 0 ORDER BY id")
    assert [row[0] for row in rows] == [1, 3]
