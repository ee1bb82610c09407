"""Cancelled statements that are stopped (`on_cancel="kill"`), and the connections that stay."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Literal

import pytest

from aiomysql_core import (
    Connection,
    InterfaceError,
    OperationalError,
    QueryTimeout,
    SSCursor,
    connect,
)
from tests.faults.proxy import Direction, Fault, FaultProxy, Kind
from tests.servers import Server

pytestmark = pytest.mark.tls

LONG = "SELECT SLEEP(20)"
# A statement that streams for ever, as far as a test is concerned.
ROWS = (
    "SELECT a.*, REPEAT('x', 1000) FROM information_schema.columns a, information_schema.columns b"
)


@pytest.fixture
async def killing(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    async with connect(**connect_args, on_cancel="kill") as connection:
        yield connection


async def cancelled(coro: Any, after: float = 0.1) -> None:
    """Run something and cancel it; it ends at once."""
    task = asyncio.ensure_future(coro)
    await asyncio.sleep(after)
    assert not task.done(), task
    task.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 1.5


async def one(connection: Connection, query: str, args: object = None) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(query, args)
        (row,) = await cursor.fetchall()
        return row[0] if len(row) == 1 else row


def running(server: Server, thread_id: int) -> str | None:
    """What a session runs."""
    sql = "SELECT info FROM information_schema.processlist WHERE id = %s"
    rows = server.execute(sql, (thread_id,))
    return rows[0][0] if rows else None


async def until_nothing_runs(server: Server, thread_id: int, seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while running(server, thread_id) is not None:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("tls", [False, True])
async def test_connection_is_kept(server: Server, tls: bool) -> None:
    mode: Literal["REQUIRED", "DISABLED"] = "REQUIRED" if tls else "DISABLED"
    async with connect(**server.connect_args, on_cancel="kill", ssl_mode=mode) as connection:
        await connection.query("SET @mine = 7")
        number = connection.thread_id()
        await cancelled(connection.query(LONG))
        assert connection.cancelling
        assert not connection.closed
        # Who uses it meanwhile waits, and gets what it asked for.
        began = time.monotonic()
        assert await one(connection, "SELECT %s, @mine", (5,)) == (5, 7)
        assert time.monotonic() - began < 3
        assert not connection.cancelling
        assert connection.is_reusable
        assert running(server, number) is None
        assert connection.thread_id() == number


@pytest.mark.parametrize("cls", [None, SSCursor])
@pytest.mark.parametrize("size", [0, 8])
async def test_cursors(connect_args: dict[str, Any], cls: Any, size: int) -> None:
    async with connect(**connect_args, on_cancel="kill", stmt_cache_size=size) as connection:
        classes = [] if cls is None else [cls]
        async with connection.cursor(*classes) as cursor:
            await cancelled(cursor.execute("SELECT SLEEP(20), %s", (1,)))
            await cursor.execute("SELECT %s", (2,))
            assert list(await cursor.fetchall()) == [(2,)]
            await cancelled(cursor.execute("SELECT SLEEP(20), %s", (1,)))
        assert await one(connection, "SELECT %s", (3,)) == 3


async def test_streamed_rows(killing: Connection) -> None:
    """The rest of a result is not sent; its cursor says what became of it."""
    async with killing.cursor(SSCursor) as cursor:
        await cursor.execute(ROWS)

        async def read() -> None:
            while await cursor.fetchone():
                pass

        await cancelled(read())
        assert await one(killing, "SELECT 4") == 4
        with pytest.raises(InterfaceError, match="its reader was cancelled"):
            await cursor.fetchall()
    assert await one(killing, "SELECT 5") == 5


async def test_further_results(killing: Connection) -> None:
    async with killing.cursor() as cursor:
        await cursor.execute(f"SELECT 1; {LONG}; SELECT 3")
        await cancelled(cursor.nextset())
        assert await one(killing, "SELECT 4") == 4
        # SLEEP that is interrupted is no error, so that the server goes on with the next one.
        await cancelled(killing.query(";".join([LONG] * 5)))
        assert await one(killing, "SELECT 5") == 5


async def test_prepared_statements(server: Server, killing: Connection) -> None:
    async with await killing.prepare("SELECT SLEEP(%s), %s") as statement:
        await cancelled(statement.execute((20, 1)))
        assert await (await statement.execute((0, 2))).fetchone() == (0, 2)


async def test_preparation_is_not_left(server: Server, killing: Connection) -> None:
    """A statement prepared for a task that is gone is closed on the server."""

    async def prepared() -> int:
        return int((await one(killing, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'"))[1])

    before = await prepared()
    for turns in range(12):
        task = asyncio.ensure_future(killing.prepare("SELECT %s"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await task).close()
        await killing.ping(reconnect=False)
    assert await prepared() == before


async def test_timeout(server: Server, killing: Connection) -> None:
    cursor = await killing.cursor()
    with pytest.raises(QueryTimeout, match="argument 'timeout'"):
        await cursor.execute(LONG, timeout=0.1)
    assert await one(killing, "SELECT 1") == 1
    assert not killing.closed


async def test_transaction_stays(killing: Connection, table_name: str) -> None:
    """Only the statement is undone, as for any statement that fails."""
    await killing.query(f"CREATE TABLE {table_name} (n INT) ENGINE = InnoDB")
    await killing.query(f"INSERT INTO {table_name} VALUES (1)")
    await cancelled(killing.query(f"INSERT INTO {table_name} SELECT SLEEP(20) + 2"))
    await killing.wait_cancelled()
    assert killing.get_transaction_status()
    assert not killing.is_reusable
    await killing.rollback()
    assert await one(killing, f"SELECT COUNT(*) FROM {table_name}") == 0
    await killing.rollback()


async def test_long_request(connect_args: dict[str, Any]) -> None:
    """A request that is sent in part is sent to its end: the server takes no other before."""
    async with connect(**connect_args, on_cancel="kill") as connection:
        sock = connection.runner.stream().extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        # No compression makes it short.
        long = "SELECT SLEEP(5), '" + random.Random(1).randbytes(2_000_000).hex() + "'"
        task = asyncio.ensure_future(connection.query(long))
        while not connection.runner.stream().writing_paused:
            await asyncio.sleep(0)
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await one(connection, "SELECT 1") == 1


@pytest.mark.parametrize("how", ["close", "ensure_closed", "leave"])
async def test_closed_meanwhile(server: Server, connect_args: dict[str, Any], how: str) -> None:
    """The statement is stopped all the same, and the session ends."""
    connection = await connect(**connect_args, on_cancel="kill")
    number = connection.thread_id()
    if how == "leave":

        async def use() -> None:
            async with connection:
                await connection.query(LONG)

        await cancelled(use())
    else:
        await cancelled(connection.query(LONG))
        if how == "close":
            connection.close()
        else:
            await connection.ensure_closed()
    assert connection.closed
    with pytest.raises(InterfaceError):
        await connection.query("SELECT 1")
    await until_nothing_runs(server, number)
    async with asyncio.timeout(5):
        while server.execute(
            "SELECT 1 FROM information_schema.processlist WHERE id = %s", (number,)
        ):
            await asyncio.sleep(0.02)


async def test_opened_again_meanwhile(server: Server, connect_args: dict[str, Any]) -> None:
    """The session before and the new one have nothing to do with one another; both end."""
    connection = await connect(**connect_args, on_cancel="kill")
    sessions = [connection.thread_id()]
    await cancelled(connection.query(LONG))
    connection.close()
    await connection.ping()
    sessions.append(connection.thread_id())
    assert await one(connection, "SELECT SLEEP(0.05)") == 0
    await connection.ensure_closed()
    assert connection.closed
    async with asyncio.timeout(5):
        while server.execute(
            "SELECT 1 FROM information_schema.processlist WHERE id IN %s", (sessions,)
        ):
            await asyncio.sleep(0.02)


async def test_forgotten_meanwhile(connect_args: dict[str, Any]) -> None:
    tasks = asyncio.all_tasks()
    connection = await connect(**connect_args, on_cancel="kill")
    await cancelled(connection.query("SELECT SLEEP(2)"))
    await asyncio.sleep(0)  # the loop's last callback still held the task
    with pytest.warns(ResourceWarning, match="Unclosed connection"):
        del connection
        gc.collect()
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == tasks


async def test_two_users_meanwhile(killing: Connection) -> None:
    """Both wait; then one runs, and the other is told."""
    await cancelled(killing.query(LONG))
    outcomes = await asyncio.gather(
        *(killing.query(f"SELECT SLEEP(0.05), {n}") for n in range(2)), return_exceptions=True
    )
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], InterfaceError)
    assert "another task" in str(outcomes[1])


async def test_waiting_user_is_cancelled(killing: Connection) -> None:
    await cancelled(killing.query(LONG))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await killing.query("SELECT 1")
    assert await one(killing, "SELECT 2") == 2


async def test_kill_is_refused(server: Server, connect_args: dict[str, Any]) -> None:
    """Without a connection for the KILL, the statement's own is closed and says why."""
    secrets = ["secret", "wrong"]

    def password() -> str:
        return secrets.pop(0)

    name = f"refused_{time.monotonic_ns() % 10**9}"
    server.execute(f"CREATE USER {name} IDENTIFIED BY 'secret'")
    try:
        options: dict[str, Any] = {"user": name, "password": password, "db": None}
        connection = await connect(**connect_args | options, on_cancel="kill")
        await cancelled(connection.query("SELECT SLEEP(2)"))
        with pytest.raises(InterfaceError, match="stopping it failed: .*denied"):
            await connection.query("SELECT 1")
        assert connection.closed
    finally:
        server.execute(f"DROP USER {name}")


async def test_kill_takes_too_long(server: Server, connect_args: dict[str, Any]) -> None:
    """A server that says nothing any more has so many seconds; then the connection is closed."""
    async with FaultProxy(server.host, server.port, Fault()) as proxy:
        options = {**connect_args, "port": proxy.port, "on_cancel": "kill", "kill_timeout": 0.3}
        connection = await connect(**options)
        task = asyncio.ensure_future(connection.query("SELECT SLEEP(2)"))
        await asyncio.sleep(0.1)
        proxy.fault = Fault(Kind.STALL, Direction.TO_CLIENT, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        began = time.monotonic()
        with pytest.raises(InterfaceError, match=r"not stopped in 0\.3 s, option 'kill_timeout'"):
            await connection.query("SELECT 1")
        assert 0.2 < time.monotonic() - began < 2
        assert connection.closed


@pytest.fixture
def server_id(server: Server) -> Iterator[Callable[[int], object]]:
    """Sets the server's number, for one test."""
    ((before,),) = server.execute("SELECT @@GLOBAL.server_id")
    yield lambda number: server.execute(f"SET GLOBAL server_id = {number}")
    server.execute(f"SET GLOBAL server_id = {before}")


async def test_another_server_answers(
    server: Server, connect_args: dict[str, Any], server_id: Callable[[int], object]
) -> None:
    """Nothing is killed there: the session's number is somebody else's on it."""

    def kills() -> int:
        return int(server.execute("SHOW GLOBAL STATUS LIKE 'Com_kill'")[0][1])

    connection = await connect(**connect_args, on_cancel="kill")
    before = kills()
    server_id(4711)  # as if a balancer's address led to another server from now on
    await cancelled(connection.query("SELECT SLEEP(2)"))
    with pytest.raises(InterfaceError, match="another server has its address too"):
        await connection.query("SELECT 1")
    assert connection.closed
    assert kills() == before


@pytest.mark.parametrize("use_unicode", [True, False])
async def test_values_are_converted_as_before(
    connect_args: dict[str, Any], use_unicode: bool
) -> None:
    """What is asked of the server beside the caller's statements changes nothing for those."""
    options: dict[str, Any] = {"use_unicode": use_unicode, "on_cancel": "kill"}
    async with connect(**connect_args, **options) as connection:
        text = "SELECT 'é', 1"
        assert await one(connection, text) == ("é" if use_unicode else "é".encode(), 1)
        await cancelled(connection.query(LONG))
        assert await one(connection, text) == ("é" if use_unicode else "é".encode(), 1)


@pytest.mark.slow
async def test_prepared_while_the_kill_is_under_way(connect_args: dict[str, Any]) -> None:
    """Once the response is there only the KILL's is waited for, by what wants the connection."""

    async def through_the_cache(connection: Connection) -> None:
        assert await one(connection, "SELECT %s", (1,)) == 1
        count = await one(connection, "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'")
        assert int(count[1]) == 1, "it went as text"

    uses: list[Callable[[Connection], Awaitable[Any]]] = [
        through_the_cache,
        lambda connection: connection.prepare("SELECT 1"),
        lambda connection: connection.reset(),
        lambda connection: connection.ping(reconnect=False),
        lambda connection: connection.rollback(),
        lambda connection: connection.select_db("information_schema"),
    ]
    asked = answered = asyncio.Event()

    async def password() -> Any:
        asked.set()
        await answered.wait()
        return connect_args["password"]

    options: dict[str, Any] = {"on_cancel": "kill", "stmt_cache_size": 8, "password": password}
    for use in uses:
        answered.set()
        async with connect(**connect_args | options) as connection:
            asked, answered = asyncio.Event(), asyncio.Event()
            session = connection.runner.session
            assert session is not None
            await cancelled(connection.query("SELECT SLEEP(0.5)"))
            await asked.wait()
            while not session.idle:
                await asyncio.sleep(0.01)
            using = asyncio.ensure_future(use(connection))
            done, _ = await asyncio.wait([using], timeout=0.02)
            assert not done
            answered.set()
            await using
            assert not connection.closed


async def test_session_is_killed_meanwhile(server: Server, connect_args: dict[str, Any]) -> None:
    connection = await connect(**connect_args, on_cancel="kill")
    await cancelled(connection.query(LONG))
    server.execute(f"KILL {connection.thread_id()}")
    with pytest.raises((InterfaceError, OperationalError)):
        await connection.query("SELECT 1")
    assert connection.closed


async def test_state_changes_close(connect_args: dict[str, Any]) -> None:
    """Nobody knows whether they took place."""
    changes: list[Callable[[Connection], Awaitable[None]]] = [
        lambda connection: connection.select_db("information_schema"),
        lambda connection: connection.set_charset("latin1"),
        lambda connection: connection.reset(),
    ]
    for change in changes:
        connection = await connect(**connect_args, on_cancel="kill")
        task = asyncio.ensure_future(change(connection))
        await asyncio.sleep(0)
        assert connection.busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.closed
    await asyncio.sleep(0.1)


async def test_load_data_closes(connect_args: dict[str, Any], table_name: str) -> None:
    """The server must not take a part for the whole."""
    connection = await connect(**connect_args, on_cancel="kill", local_infile=True)
    await connection.query(f"CREATE TABLE {table_name} (n INT)")

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"1\n"
            await asyncio.sleep(0.01)

    load = f"LOAD DATA LOCAL INFILE 'numbers' INTO TABLE {table_name}"
    await cancelled(connection.load_local(load, endless()))
    assert connection.closed


async def test_no_kill_where_none_is_needed(server: Server, connect_args: dict[str, Any]) -> None:
    """A response that comes by itself within moments costs no second connection."""

    def connects() -> int:
        return int(server.execute("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])

    async with connect(**connect_args, on_cancel="kill") as connection:
        counted = connects()
        for turns in range(20):
            task = asyncio.ensure_future(connection.query("SELECT 1"))
            for _ in range(turns % 5):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert await one(connection, f"SELECT {turns}") == turns
        assert connects() - counted == 1  # that of the second count


@pytest.mark.slow
async def test_late_kills_hit_nothing(connect_args: dict[str, Any]) -> None:
    """A thousand cancels at random moments about the end of a statement, and what follows it."""
    lengths = (0.0, 0.0, 0.011, 0.012, 0.013, 0.014, 0.016, 0.05)  # a KILL comes after 10 ms

    async def use(worker: int) -> None:
        chance = random.Random(worker)
        async with connect(**connect_args, on_cancel="kill") as connection:
            for number in range(200):
                seconds = chance.choice(lengths)
                task = asyncio.ensure_future(connection.query(f"SELECT SLEEP({seconds}), {number}"))
                if seconds:
                    await asyncio.sleep(chance.random() * 0.004)
                else:
                    for _ in range(chance.randrange(5)):
                        await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                # Interrupted, this would be error 1317 (MySQL) or a sleep that gives 1.
                wanted = (0, worker, number)
                query = "SELECT SLEEP(0.0005), %s, %s"
                assert await one(connection, query, (worker, number)) == wanted

    async with asyncio.TaskGroup() as group:
        for worker in range(5):
            group.create_task(use(worker))


@pytest.mark.slow
def test_end_of_the_loop(connect_args: dict[str, Any]) -> None:
    """A program that ends while statements run, or are being stopped, ends without a complaint."""
    complaints: list[dict[str, Any]] = []

    async def main(meanwhile: bool) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        connection = await connect(**connect_args, on_cancel="kill")
        task = asyncio.ensure_future(connection.query("SELECT SLEEP(2)"))
        await asyncio.sleep(0.05)
        if meanwhile:
            task.cancel()
            await asyncio.sleep(0.015)
        kept.append((connection, task))

    kept: list[Any] = []
    runners: list[Callable[..., Any]] = [asyncio.run]
    with contextlib.suppress(ImportError):
        import uvloop

        runners.append(uvloop.run)
    for run in runners:
        for meanwhile in (False, True):
            run(main(meanwhile))
            connection, _ = kept.pop()
            connection.close()
            del connection, _
            gc.collect()
    assert complaints == []


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"on_cancel": "stop"}, ValueError, "'on_cancel'.*'stop'"),
        ({"on_cancel": None}, TypeError, "'on_cancel'"),
        ({"on_cancel": "kill", "kill_timeout": 0}, ValueError, "'kill_timeout'"),
        ({"kill_timeout": None}, TypeError, "'kill_timeout'"),
    ],
)
async def test_bad_options(options: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        await connect(**options)
