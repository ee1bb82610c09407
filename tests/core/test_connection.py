"""Connections: state, statements of their own, loss, cancellation, misuse."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Error,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SSCursor,
    connect,
)
from tests import scripted
from tests.servers import Server


async def one(connection: Connection, query: str, args: object = None) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(query, args)
        (row,) = await cursor.fetchall()
        return row[0] if len(row) == 1 else row


async def test_closing_can_be_awaited(connect_args: dict[str, Any]) -> None:
    connection = await connect(**connect_args)
    await connection.close()
    assert connection.closed
    await connection.close()


async def test_what_it_says_of_itself(connection: Connection, server: Server) -> None:
    assert connection.host == server.host
    assert connection.port == server.port
    assert connection.user == server.user
    assert connection.db == server.database
    assert connection.unix_socket is None
    assert connection.charset == connection.character_set_name() == "utf8mb4"
    assert connection.get_proto_info() == 10
    assert connection.get_server_info() == await one(connection, "SELECT VERSION()") or (
        server.kind == "mariadb"  # which puts 5.5.5- in front
        and connection.get_server_info().endswith(await one(connection, "SELECT VERSION()"))
    )
    assert connection.get_host_info() == f"socket {server.host}:{server.port}"
    assert connection.thread_id() == await one(connection, "SELECT CONNECTION_ID()")
    assert str(connection.thread_id()) in repr(connection)
    assert connection.loop is asyncio.get_running_loop()
    assert 0 <= time.monotonic() - connection.last_usage < 60
    assert connection.escape_string("it's") == "it\\'s"
    assert connection.literal(["a", 1]) == "('a',1)"


async def test_unix_socket(server: Server) -> None:
    if server.unix_socket is None:
        pytest.skip("the server named in the environment has no unix socket here")
    arguments = {**server.connect_args, "unix_socket": server.unix_socket}
    async with connect(**arguments) as connection:
        assert connection.get_host_info().endswith(server.unix_socket)
        assert await one(connection, "SELECT CURRENT_USER()") == "root@localhost"


async def test_session_options(connect_args: dict[str, Any]) -> None:
    async with connect(
        **connect_args,
        charset="latin1",
        sql_mode="ANSI_QUOTES",
        init_command="SET @hello = 'wörld'",
        autocommit=True,
        program_name="tests",
    ) as connection:
        assert await one(connection, "SELECT @hello") == "wörld"
        assert await one(connection, "SELECT @@character_set_connection") == "latin1"
        assert await one(connection, "SELECT @@sql_mode") == "ANSI_QUOTES"
        assert connection.get_autocommit()
        await connection.autocommit(False)
        assert await one(connection, "SELECT @@autocommit") == 0
        await connection.set_charset("utf8mb4")
        assert connection.encoding == "utf8"
        assert await one(connection, "SELECT %s", "𝄞") == "𝄞"
        with pytest.raises(ProgrammingError, match="klingon"):
            await connection.set_charset("klingon")
        assert connection.charset == "utf8mb4"


@pytest.mark.parametrize(("asked", "found"), [(False, 0), (True, 1), (None, 1)])
async def test_autocommit(connect_args: dict[str, Any], asked: bool | None, found: int) -> None:
    async with connect(**connect_args, autocommit=asked) as connection:
        assert await one(connection, "SELECT @@autocommit") == found


async def test_option_file(server: Server, tmp_path: Any) -> None:
    path = tmp_path / "my.cnf"
    path.write_text(
        f"[client]\nhost = {server.host}\nport={server.port}\nuser='{server.user}'\n"
        f"password={server.password}\ndefault-character-set=latin1\nskip-something\n"
        f"[other]\ndatabase = {server.database}\n"
    )
    async with connect(read_default_file=str(path), port=1) as connection:
        assert connection.charset == "latin1"
        assert connection.port == server.port
        assert await one(connection, "SELECT DATABASE()") is None
    arguments = server.connect_args | {"db": None}
    async with connect(
        **arguments, read_default_file=str(path), read_default_group="other"
    ) as connection:
        assert await one(connection, "SELECT DATABASE()") == server.database


async def test_select_db_and_ping(connection: Connection) -> None:
    await connection.select_db("mysql")
    assert connection.db == await one(connection, "SELECT DATABASE()") == "mysql"
    await connection.ping()
    before = connection.thread_id()
    await connection.ping(reconnect=True)
    assert connection.thread_id() == before
    with pytest.raises(OperationalError) as caught:
        await connection.select_db("no_such_database")
    assert caught.value.args[0] == 1049
    connection.close()
    with pytest.raises(Error, match="Already closed"):
        await connection.ping(reconnect=False)
    await connection.ping()
    assert connection.db == await one(connection, "SELECT DATABASE()") == "mysql"


async def test_killed_session(connection: Connection, connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args) as victim:
        cursor = await victim.cursor()
        await connection.kill(victim.thread_id())
        with pytest.raises(OperationalError) as caught:
            await cursor.execute("SELECT 1")
        assert caught.value.args[0] in {2006, 2013, 1927, 4031}
        assert victim.closed
        await victim.ping()
        assert not victim.closed
        assert await one(victim, "SELECT 1") == 1
        assert victim.get_transaction_status() is False


async def test_killed_while_waiting(connection: Connection, connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args) as victim:
        waiting = asyncio.ensure_future(one(victim, "SELECT SLEEP(20)"))
        await asyncio.sleep(0.05)
        await connection.kill(victim.thread_id())
        with pytest.raises(OperationalError) as caught:
            await asyncio.wait_for(waiting, 5)
        assert caught.value.args[0] in {2013, 1927, 1053}
        assert victim.closed
        with pytest.raises((InterfaceError, OperationalError)):
            victim.cursor()


async def test_cancelled_query_closes_the_connection(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one(connection, "SELECT SLEEP(20)"), 0.05)
        assert connection.closed
        with pytest.raises(InterfaceError, match="Cancelled during execution"):
            connection.cursor()
        await connection.ping()
        assert await one(connection, "SELECT 'mine'") == "mine"


async def test_two_tasks_on_one_connection(connection: Connection) -> None:
    first = asyncio.ensure_future(one(connection, "SELECT SLEEP(0.1), 'first'"))
    await asyncio.sleep(0.02)
    with pytest.raises(InterfaceError, match="another task"):
        await one(connection, "SELECT 'second'")
    assert await first == (0, "first")
    assert await one(connection, "SELECT 'third'") == "third"


@pytest.mark.slow
async def test_streaming_reads_no_more_than_asked(connection: Connection, server: Server) -> None:
    """200 MB of rows: the process holds a small part of them, and can leave at any point."""
    query = "SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 2000"
    async with connection.cursor(SSCursor) as cursor:
        await cursor.execute(query)
        before = most = memory()
        count = size = 0
        async for (cell,) in cursor:
            count += 1
            size += len(cell)
            if count % 50 == 0:
                most = max(most, memory())
            if count == 10:
                await asyncio.sleep(0.2)  # time for the socket to run full
        assert size == count * 100000
        assert count > 500
        assert most - before < 20_000_000
        assert cursor.rownumber == count
        await cursor.execute(query)
        row = await cursor.fetchone()
        assert row is not None
        assert len(row[0]) == 100000
        with pytest.warns(UserWarning, match="left incomplete"):
            await connection.query("SELECT 1")
        await cursor.execute(query)
        await cursor.fetchmany(3)
    assert await one(connection, "SELECT 2") == 2


def memory() -> int:
    """The memory this process holds, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("size", [2**24 - 2, 2**24 - 1, 2**24, 2**25 - 1, 2**25 + 7])
async def test_cells_around_the_frame_limit(connection: Connection, size: int) -> None:
    """Both ways; a lone cell of 16 MiB begins with the byte that also marks an EOF packet."""
    for kind in (connection.cursorclass, SSCursor):
        async with connection.cursor(kind) as cursor:
            await cursor.execute("SELECT REPEAT('x', %s)", size)
            ((cell,),) = await cursor.fetchall()
            assert len(cell) == size
    filler = "SELECT LENGTH('')"
    value = "y" * (size - len(filler) - 1)
    assert await one(connection, f"SELECT LENGTH('{value}')") == len(value)


async def test_many_columns(connection: Connection) -> None:
    columns = ", ".join(f"{n} AS c{n}" for n in range(1500))
    assert await one(connection, f"SELECT {columns}") == tuple(range(1500))


async def test_unclosed_connection_warns(connect_args: dict[str, Any]) -> None:
    connection = await connect(**connect_args)
    reference = weakref.ref(connection)
    with pytest.warns(ResourceWarning, match="Unclosed connection"):
        del connection
        gc.collect()
    assert reference() is None
    await asyncio.sleep(0.01)


async def test_closed_connection_goes_without_the_collector(
    connect_args: dict[str, Any],
) -> None:
    connection = await connect(**connect_args)
    assert await one(connection, "SELECT 1") == 1
    with pytest.raises(ProgrammingError):
        await one(connection, "SELECT * FROM no_such_table")
    await connection.ensure_closed()
    reference = weakref.ref(connection)
    gc.disable()
    try:
        del connection
        assert reference() is None
    finally:
        gc.enable()


def test_after_the_event_loop(server: Server) -> None:
    """A connection that outlives its loop is collected without an exception."""
    loop = asyncio.new_event_loop()
    connection: Connection | None = loop.run_until_complete(connect_in_loop(server.connect_args))
    loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del connection
        gc.collect()
    assert {warning.category for warning in caught} == {ResourceWarning}


async def connect_in_loop(arguments: dict[str, Any]) -> Connection:
    return await connect(**arguments)


async def test_no_aborted_connections(server: Server, connect_args: dict[str, Any]) -> None:
    def aborted() -> int:
        return int(server.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")[0][1])

    counts = []
    for _ in range(5):  # what other tests have cut off may be counted meanwhile
        before = aborted()
        connection = await connect(**connect_args)
        assert await one(connection, "SELECT 1") == 1
        await connection.ensure_closed()
        connection = await connect(**connect_args)
        assert await one(connection, "SELECT 1") == 1
        connection.close()
        await asyncio.sleep(0.1)
        counts.append(aborted() - before)
        if not counts[-1]:
            break
    assert 0 in counts


async def test_out_of_order_packet_closes_the_connection() -> None:
    async def disorderly(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        writer.write(scripted.frame(scripted.ok(), 7))
        await scripted.silent(reader, writer)

    async with scripted.scripted_server(disorderly) as port:
        connection = await connect(host="127.0.0.1", port=port, autocommit=None)
        with pytest.raises(InternalError, match="got 7 expected 1"):
            await connection.ping(reconnect=False)
        assert connection.closed


async def test_error_packet_out_of_order_explains() -> None:
    async def shutting_down(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        writer.write(scripted.frame(scripted.error(1053, "Server shutdown in progress"), 0))

    async with scripted.scripted_server(shutting_down) as port:
        connection = await connect(host="127.0.0.1", port=port, autocommit=None)
        with pytest.raises(OperationalError) as caught:
            await connection.ping(reconnect=False)
        assert caught.value.args == (1053, "Server shutdown in progress")
        assert connection.closed


async def test_message_before_the_server_hangs_up() -> None:
    """MySQL 8 says 4031 when an idle session has timed out; the next use says the same."""

    async def impatient(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        message = "The client was disconnected by the server because of inactivity."
        writer.write(scripted.frame(scripted.error(4031, message), 0))

    async with scripted.scripted_server(impatient) as port:
        connection = await connect(host="127.0.0.1", port=port, autocommit=None)
        await asyncio.sleep(0.05)
        assert connection.closed
        with pytest.raises(OperationalError) as caught:
            await connection.ping(reconnect=False)
        assert caught.value.args[0] == 4031


@pytest.mark.slow
async def test_idle_session_times_out(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, init_command="SET wait_timeout = 1") as connection:
        await asyncio.sleep(1.6)
        assert connection.closed
        with pytest.raises(OperationalError) as caught:
            await one(connection, "SELECT 1")
        assert caught.value.args[0] in {2006, 4031}


async def test_connection_attributes(connect_args: dict[str, Any]) -> None:
    """What the server is told: no process name, program_name only when given."""
    seen: list[bytes] = []

    async def listen(reader: Any, writer: Any) -> None:
        seen.append(await scripted.open_session(reader, writer))
        await scripted.silent(reader, writer)

    async with scripted.scripted_server(listen) as port:
        for program in ("", "accounting"):
            connection = await connect(
                host="127.0.0.1", port=port, autocommit=None, program_name=program
            )
            connection.close()
    assert b"_client_name\x08aiomysql" in seen[0]
    assert str(os.getpid()).encode() in seen[0]
    assert b"program_name" not in seen[0]
    assert b"\x0cprogram_name\naccounting" in seen[1]
