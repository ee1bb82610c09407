"""A transaction block begins with its first statement, and nothing is ever run before it."""

# ruff: noqa: PT012  (blocks that raise at their end are what is tested)

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest

from aiomysql_core import (
    Connection,
    DataError,
    InterfaceError,
    MySQLError,
    OperationalError,
    SSCursor,
    connect,
)
from aiomysql_core.block_beginning import BlockBeginning
from aiomysql_protocol.commands.query import Query
from tests import scripted
from tests.flags import FlagProxy
from tests.hostile.response_scripts import EOF, MORE, column
from tests.scripted import error, frames, ok
from tests.servers import Server

BEGINNING = b"SET AUTOCOMMIT = 0; SAVEPOINT aiomysql_1"
END = b"RELEASE SAVEPOINT aiomysql_1; COMMIT AND NO CHAIN NO RELEASE; SET AUTOCOMMIT = 1"


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    return table_name


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[FlagProxy]:
    """Where commands are seen."""
    async with FlagProxy(server.host, server.port, lambda flags: flags) as proxy:
        yield proxy


@pytest.fixture
async def connection(connect_args: dict[str, Any], proxy: FlagProxy) -> AsyncIterator[Connection]:
    address = {"host": "127.0.0.1", "port": proxy.port}
    options = {"autocommit": True, "local_infile": True, "warn_uncommitted": False}
    async with connect(**connect_args | address | options) as connection:
        proxy.commands.clear()
        yield connection


def ids(server: Server, table: str) -> list[Any]:
    """What is committed."""
    return [row[0] for row in server.execute(f"SELECT id FROM {table} ORDER BY id")]


def insert(table: str, number: int = 1) -> str:
    return f"INSERT INTO {table} VALUES ({number}, 0)"


async def test_one_text_with_the_first_statement(
    connection: Connection, proxy: FlagProxy, server: Server, table: str
) -> None:
    async with connection.transaction():
        assert proxy.commands == []
        assert await connection.execute(insert(table)) == 1
        assert ids(server, table) == []
        assert await connection.fetchall(f"SELECT id FROM {table}") == ((1,),)
    assert ids(server, table) == [1]
    first = insert(table).encode()
    select = f"SELECT id FROM {table}".encode()
    assert [command[1:] for command in proxy.commands] == [BEGINNING + b"; " + first, select, END]


async def test_nothing_is_sent_for_nothing(
    connection: Connection, proxy: FlagProxy, server: Server, table: str
) -> None:
    """Nor does such a block leave something behind that would begin with what comes next."""
    for raises in (contextlib.nullcontext(), pytest.raises(ZeroDivisionError)):
        with raises as caught:
            async with connection.transaction() as block:
                await block.rollback()
                if caught is not None:
                    raise ZeroDivisionError
        assert connection.runner.nothing_to_end()
    assert proxy.commands == []
    await connection.execute(insert(table))
    assert ids(server, table) == [1]


async def test_the_first_statement_is_another_block(
    connection: Connection, proxy: FlagProxy, server: Server, table: str
) -> None:
    async with connection.transaction():
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute(insert(table, 1))
                raise ZeroDivisionError
        await connection.execute(insert(table, 2))
    assert proxy.commands[0][1:] == BEGINNING + b"; SAVEPOINT aiomysql_2"
    assert ids(server, table) == [2]


async def by_cursor(connection: Connection, table: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (1, 0))
        assert cursor.rowcount == 1


async def streamed(connection: Connection, table: str) -> None:
    async with connection.cursor(SSCursor) as cursor:
        await cursor.execute(f"SELECT id FROM {table} FOR UPDATE")
        assert await cursor.fetchall() == []
        await cursor.execute(insert(table))


async def prepared(connection: Connection, table: str) -> None:
    async with connection.prepare(f"INSERT INTO {table} VALUES (?, 0)") as statement:
        await statement.execute((1,))


async def many(connection: Connection, table: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)", [(1, 0), (2, 0)])
        assert cursor.rowcount == 2


async def updates(connection: Connection, table: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(f"DELETE FROM {table} WHERE id = %s", [(n,) for n in range(50)])
    await connection.execute(insert(table))


async def prepared_many(connection: Connection, table: str) -> None:
    async with connection.prepare(f"INSERT INTO {table} VALUES (?, ?)") as statement:
        await connection.executemany(statement, [(1, 0), (2, 0)])


async def pipelined(connection: Connection, table: str) -> None:
    async with connection.pipeline() as pipeline:
        pipeline.execute(insert(table, 1))
        pipeline.execute(insert(table, 2))


async def loaded(connection: Connection, table: str) -> None:
    assert await connection.load_rows(table, [(1, 0), (2, 0)]) == 2


async def after_a_comment(connection: Connection, table: str) -> None:
    await connection.query(f"/* a hint */ {insert(table)}")


async def several(connection: Connection, table: str) -> None:
    await connection.query(f"{insert(table, 1)}; {insert(table, 2)}")


async def long(connection: Connection, table: str) -> None:
    await connection.query(f"{insert(table)} /* {'x' * 20_000} */")


async def pinged(connection: Connection, table: str) -> None:
    await connection.ping(reconnect=False)
    await connection.query(insert(table))


async def selected(connection: Connection, table: str) -> None:
    await connection.select_db(str(connection.db))
    await connection.query(insert(table))


async def with_results_unread(connection: Connection, table: str) -> None:
    await connection.query(f"{insert(table)}; SELECT 1; SELECT 2")


async def from_a_subclass(connection: Connection, table: str) -> None:
    """Raw bytes, as classic code sends them."""
    await connection.query(insert(table).encode())


WAYS = [
    by_cursor,
    streamed,
    prepared,
    many,
    updates,
    prepared_many,
    pipelined,
    loaded,
    after_a_comment,
    several,
    long,
    pinged,
    selected,
    with_results_unread,
    from_a_subclass,
]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
async def test_whatever_comes_first_is_in_the_block(
    connection: Connection,
    server: Server,
    table: str,
    way: Callable[[Connection, str], Awaitable[None]],
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            await way(connection, table)
            raise ZeroDivisionError
    assert ids(server, table) == []
    assert await connection.fetchval("SELECT @@autocommit") == 1
    async with connection.transaction():
        await way(connection, table)
        assert ids(server, table) == []
    assert ids(server, table)[:1] == [1]
    assert await connection.fetchval("SELECT @@autocommit") == 1


@pytest.mark.parametrize("statement", ["SELEC 1", "INSERT INTO {} VALUES (1, 1)", "", ";"])
async def test_the_first_statement_fails(
    connection: Connection, server: Server, table: str, statement: str
) -> None:
    """Its own error is raised, and the block goes on."""
    server.execute(insert(table))
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            with pytest.raises(MySQLError) as caught:
                await connection.query(statement.format(table))
            assert caught.value.args[0] in (1062, 1064, 1065)
            assert not connection.closed
            await connection.execute(insert(table, 2))
            raise ZeroDivisionError
    assert ids(server, table) == [1]


async def test_the_first_statement_is_not_sent(
    connection: Connection, server: Server, table: str
) -> None:
    """What is refused here has begun nothing, and the next one does."""
    connection.runner.max_request = None
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            with pytest.raises(TypeError):
                await connection.execute("INSERT INTO t VALUES (%s, %s)", (1,))
            with pytest.raises(DataError):
                await connection.query("INSERT INTO t VALUES ('\ud800')")
            await connection.execute(insert(table))
            raise ZeroDivisionError
    assert ids(server, table) == []


@pytest.mark.parametrize("on_cancel", ["close", "kill"])
async def test_cancelled_in_the_first_statement(
    connect_args: dict[str, Any],
    server: Server,
    table: str,
    on_cancel: Literal["close", "kill"],
) -> None:
    """Whoever goes on after that is still in the block, or has no connection."""
    async with connect(**connect_args, autocommit=True, on_cancel=on_cancel) as connection:
        with contextlib.suppress(ZeroDivisionError, OperationalError):
            async with connection.transaction():
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connection.query("SELECT SLEEP(3)"), 0.3)
                with contextlib.suppress(InterfaceError):
                    await connection.execute(insert(table))
                raise ZeroDivisionError
        assert ids(server, table) == []
        assert connection.closed == (on_cancel == "close")
        if not connection.closed:
            assert await connection.fetchval("SELECT @@autocommit") == 1


async def test_cancelled_before_anything_is_answered(
    connect_args: dict[str, Any], server: Server, table: str
) -> None:
    """Nobody knows in which mode the session is: it is closed, even where it could be stopped."""
    async with connect(**connect_args, autocommit=True, on_cancel="kill") as connection:
        with pytest.raises((InterfaceError, OperationalError)):
            async with connection.transaction():
                task = asyncio.ensure_future(connection.execute(insert(table, 1)))
                await asyncio.sleep(0)  # it is sent
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await connection.execute(insert(table, 2))
        assert connection.closed
    assert ids(server, table) == []


async def test_an_error_of_the_session_before(
    connection: Connection, server: Server, table: str
) -> None:
    """A connection that was lost is told by the first statement."""
    server.execute(f"KILL {connection.thread_id()}")
    with pytest.raises(OperationalError, match="2006|2013"):
        async with connection.transaction():
            await connection.execute(insert(table))
    assert connection.closed
    assert ids(server, table) == []


async def test_a_pipeline_that_cannot_be_entered(
    connection: Connection, server: Server, table: str
) -> None:
    """It leaves no block behind, in which later work would be lost."""
    elsewhere = asyncio.new_event_loop()

    def enter() -> None:
        with pytest.raises(InterfaceError, match="another event loop"):
            elsewhere.run_until_complete(connection.pipeline(transaction=True).__aenter__())
        elsewhere.close()

    await asyncio.to_thread(enter)
    await connection.execute(insert(table))
    assert ids(server, table) == [1]
    server.execute(f"KILL {connection.thread_id()}")
    with pytest.raises(OperationalError):
        async with connection.pipeline(transaction=True):
            raise AssertionError("it must not be entered")
    await connection.ping()  # which opens another session


async def test_undone_while_the_first_statement_is_under_way(
    connection: Connection, server: Server, table: str
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction() as block:
            task = asyncio.ensure_future(connection.execute(insert(table)))
            await asyncio.sleep(0)
            with pytest.raises(InterfaceError, match="another task"):
                await block.rollback()
            await task
            raise ZeroDivisionError
    assert ids(server, table) == []


async def test_stopped_although_the_connection_is_closed(
    connect_args: dict[str, Any], server: Server
) -> None:
    """The first statement is stopped on the server (on_cancel), whatever has been answered."""
    async with connect(**connect_args, autocommit=True, on_cancel="kill") as connection:
        number = str(connection.thread_id())
        with pytest.raises(OperationalError, match="session ended"):
            async with connection.transaction():
                task = asyncio.ensure_future(connection.execute("SELECT SLEEP(20)"))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        async with asyncio.timeout(10):
            while any(line.split()[0] == number for line in server.sessions()):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("length", [*range(950, 1030), *range(2010, 2050)])
async def test_what_fits_by_itself_fits_with_the_beginning(length: int) -> None:
    beginning = BlockBeginning(*BEGINNING.decode().split("; "))
    statement = Query(b"SELECT 1" + b" " * (length - 8))
    joined = len(beginning.before(statement.request))
    limit = -(-len(statement.request) // 1024) * 1024  # the least that takes it
    assert joined <= limit or not beginning.may_join(statement)
    assert beginning.may_join(Query(b"SELECT 1" + b" " * 1200))


ROWS = [b"\x01", column(), EOF, b"\x011"]
MORE_EOF = b"\xfe\0\0" + MORE.to_bytes(2, "little")


@pytest.mark.parametrize(
    "answer",
    [
        frames(error(1193, "denied")),
        frames(ok(status=MORE), error(1193, "denied")),
        frames(ok()),
        frames(ok(status=MORE), ok()),
        frames(*ROWS, MORE_EOF, ok(status=MORE), ok()),
        frames(ok(status=MORE), *ROWS, MORE_EOF, ok()),
        frames(ok(status=MORE), ok(status=MORE), *ROWS[:2]),
        frames(b"\xfb/etc/passwd"),
    ],
    ids=["error", "late error", "one", "two", "rows", "rows later", "cut", "a file"],
)
@pytest.mark.parametrize("first", ["SELECT 1", "/**/ SELECT 1"])
async def test_hostile_answers(answer: bytes, first: str) -> None:
    """A statement of a block that may not have begun has no result, and nothing more is sent."""
    received = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        while request := await scripted.read_packet(reader):
            received.append(request)
            writer.write(answer if b"AUTOCOMMIT" in request else frames(ok()))

    async with scripted.scripted_server(serve) as port:
        limits: dict[str, Any] = {"autocommit": True, "read_timeout": 0.3}
        connection = await connect(host="127.0.0.1", port=port, user="u", **limits)
        received.clear()
        two_are_right = first.startswith("/") and answer == frames(ok(status=MORE), ok())
        async with asyncio.timeout(5):
            with pytest.raises(MySQLError):
                async with connection.transaction():
                    await connection.fetchall(first)
        assert connection.closed
        assert len(received) == (4 if two_are_right else 1), received
