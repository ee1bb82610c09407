"""Real servers that are killed, restarted, frozen, full, read-only, or end our sessions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pymysql
import pytest

from aiomysql_core import Cursor, MySQLError, OperationalError, SSCursor, connect
from aiomysql_pool import create_pool
from tests.faults.load import DEADLINE, LIMITS, POOL, Load
from tests.faults.watch import let_transports_close, watching
from tests.scripted_tls import CLIENT_OPTIONS
from tests.servers import DSN_NAME, Server, selected_names
from tests.servers.instance import Instance, frozen, running_instance

pytestmark = pytest.mark.slow


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "instance" in metafunc.fixturenames:
        names = selected_names(os.environ.get("SERVER", ""))
        metafunc.parametrize("instance", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A server that may be killed."""
    if request.param == DSN_NAME:
        pytest.skip("the server of AIOMYSQL_TEST_DSN is not ours to kill")
    with running_instance(request.param, max_connections="12") as instance:
        instance.server.execute("CREATE TABLE kept (id INT PRIMARY KEY, v VARCHAR(40))")
        yield instance


@pytest.fixture
def account(instance: Instance) -> Iterator[dict[str, Any]]:
    """How somebody logs in whom the server grants no exceptions, as it does to root."""
    server = instance.server
    server.execute("CREATE USER plain IDENTIFIED BY 'secret'")
    server.execute(f"GRANT ALL ON {server.database}.* TO plain")
    yield {"user": "plain", "password": "secret"}
    server.execute("DROP USER plain")


@pytest.fixture
def options(instance: Instance, over_tls: bool) -> dict[str, Any]:
    """Arguments of connect()."""
    return {**instance.server.connect_args, **(CLIENT_OPTIONS if over_tls else {})}


def pool_options(instance: Instance, **options: Any) -> dict[str, Any]:
    return {**instance.server.connect_args, **LIMITS, "minsize": 0, "maxsize": POOL, **options}


@contextlib.asynccontextmanager
async def under_load(instance: Instance, **options: Any) -> AsyncIterator[Load]:
    """Load in the background; at the end every acknowledged row has to be there.

    options: of its pool.
    """
    first = time.monotonic_ns() // 1000 % 1_000_000_000
    instance.server.execute("DELETE FROM kept")
    with watching() as noise:
        async with create_pool(**pool_options(instance, **options)) as pool:
            load = Load([pool], first)
            task = asyncio.ensure_future(load.run())
            await load.until(20)
            yield load
            await load.until(50)
            load.over = True
            await task
            assert (pool.size, pool.freesize) == (pool.freesize, pool.size)
        await let_transports_close()
    found = {identity for (identity,) in instance.server.execute("SELECT id FROM kept")}
    assert load.acknowledged - found == set(), "acknowledged and lost"
    assert noise == {}
    assert instance.server.settled_sessions() == []


@pytest.mark.tls
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_killed_and_restarted(
    instance: Instance, options: dict[str, Any], number: signal.Signals
) -> None:
    async with under_load(instance, **options) as load:
        os.kill(instance.pid, number)
        async with asyncio.timeout(DEADLINE):
            while not load.errors:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(instance.restart)
    assert load.errors


@pytest.mark.tls
async def test_frozen(instance: Instance, options: dict[str, Any]) -> None:
    async with under_load(instance, **options) as load:
        with frozen(instance.pid):
            begin = time.monotonic()
            with pytest.raises(OperationalError, match="connect_timeout"):
                await connect(**options, **LIMITS)
            assert time.monotonic() - begin < 2
            async with asyncio.timeout(DEADLINE):
                while not load.errors:
                    await asyncio.sleep(0.01)


@pytest.mark.tls
async def test_frozen_while_it_streams(instance: Instance, options: dict[str, Any]) -> None:
    async with connect(**options, **LIMITS) as connection:
        cursor = await connection.cursor(SSCursor)
        rows = "SELECT SLEEP(0.2), REPEAT('x', 100000) FROM information_schema.columns"
        await cursor.execute(rows)
        await cursor.fetchone()
        with frozen(instance.pid):
            begin = time.monotonic()
            with pytest.raises(OperationalError, match="read_timeout"):
                await cursor.fetchall()
            assert time.monotonic() - begin < 2
        assert connection.closed


@pytest.mark.tls
async def test_sessions_killed_under_load(instance: Instance, options: dict[str, Any]) -> None:
    def kill_all() -> None:
        # By one connection: the list is soon out of date, because each lease has a new session.
        with instance.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CONNECTION_ID()")
            own = cursor.fetchone()
            for line in instance.server.sessions():
                number = int(line.split()[0])
                if (number,) != own:
                    with contextlib.suppress(MySQLError):
                        cursor.execute(f"KILL {number}")

    async with under_load(instance, **options) as load:
        for _ in range(5):
            errors = load.errors.total()
            async with asyncio.timeout(60):
                while load.errors.total() == errors:
                    # Not within the event loop: MySQL can be slow to answer while sessions that it
                    # kills are logging in, which the loop has to go on with.
                    await asyncio.to_thread(kill_all)
            await load.until(20)


@pytest.mark.tls
@pytest.mark.parametrize("streamed", [False, True])
async def test_session_killed_in_the_middle(
    instance: Instance, options: dict[str, Any], *, streamed: bool
) -> None:
    """Whoever waits for its response is told at once, and so is whoever comes next."""
    # Without time-outs of our own, which would end it as well.
    connection = await connect(**options)
    cursor = await connection.cursor(SSCursor if streamed else Cursor)
    rows = "SELECT SLEEP(0.5), REPEAT('x', 100000) FROM information_schema.columns"

    async def read_all() -> None:
        await cursor.execute(rows)
        await cursor.fetchall()

    reading = asyncio.ensure_future(read_all())
    await asyncio.sleep(0.8)
    begin = time.monotonic()
    instance.server.execute(f"KILL {connection.thread_id()}")
    with pytest.raises(OperationalError, match="1317|1927|2006|2013"):
        await asyncio.wait_for(reading, DEADLINE)
    with pytest.raises(MySQLError):
        async with asyncio.timeout(DEADLINE):
            await connection.ping(reconnect=False)
    assert time.monotonic() - begin < 2
    assert connection.closed
    assert instance.server.settled_sessions() == []


async def test_out_of_connections(instance: Instance) -> None:
    """Whoever finds none gets the server's own error."""

    async def take_all(taken: contextlib.AsyncExitStack) -> None:
        while True:
            await taken.enter_async_context(connect(**instance.server.connect_args, **LIMITS))

    async with contextlib.AsyncExitStack() as taken:
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(OperationalError, match="1040"):
                await take_all(taken)
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(OperationalError, match="1040"):
                await create_pool(**pool_options(instance, minsize=2))
    assert instance.server.settled_sessions() == []


def sessions_of(server: Server, account: dict[str, Any]) -> list[str]:
    """The numbers of the account's sessions, without those that are logging in."""
    lines = [line.split() for line in server.sessions()]
    return [number for number, user, *_ in lines if user == account["user"]]


def take_places(
    server: Server, account: dict[str, Any], killed: str, taken: contextlib.ExitStack
) -> None:
    """End one session of the account, and open as many as the server grants.

    Nobody is quicker while the event loop stands still.  Root has a place of its own.
    """

    def open_all() -> None:
        while True:
            taken.enter_context(server.connect(**account))

    with contextlib.suppress(MySQLError):  # it may have ended by itself
        server.execute(f"KILL {killed}")
    while killed in sessions_of(server, account):
        time.sleep(0.01)
    with pytest.raises(pymysql.OperationalError, match="1040"):
        open_all()


async def test_out_of_connections_under_load(instance: Instance, account: dict[str, Any]) -> None:
    """The pool serves with the connections it still has, and opens more when it can."""
    async with under_load(instance, **account) as load:
        await load.until(1)
        while not (found := sessions_of(instance.server, account)):
            await asyncio.sleep(0.001)  # each lease has a new one, and all may be logging in
        with contextlib.ExitStack() as taken:
            take_places(instance.server, account, found[0], taken)
            async with asyncio.timeout(DEADLINE):
                while not any("1040" in error for error in load.errors):
                    await asyncio.sleep(0.01)
            await load.until(20)


async def test_read_only(instance: Instance, account: dict[str, Any]) -> None:
    """A replica after a failover: an error for what is written, and the connection goes on."""
    server = instance.server
    server.execute("SET GLOBAL read_only = ON")
    try:
        async with (
            asyncio.timeout(DEADLINE),
            connect(**{**server.connect_args, **LIMITS, **account}) as connection,
            connection.cursor() as cursor,
        ):
            with pytest.raises(MySQLError, match="1290|1836"):
                await cursor.execute("INSERT INTO kept VALUES (-1, 'x')")
            await cursor.execute("SELECT 'still here'")
            assert await cursor.fetchone() == ("still here",)
    finally:
        server.execute("SET GLOBAL read_only = OFF")


async def test_read_only_under_load(instance: Instance, account: dict[str, Any]) -> None:
    async with under_load(instance, **account) as load:
        await asyncio.to_thread(instance.server.execute, "SET GLOBAL read_only = ON")
        try:
            async with asyncio.timeout(DEADLINE):
                while not any("1290" in error or "1836" in error for error in load.errors):
                    await asyncio.sleep(0.01)
        finally:
            await asyncio.to_thread(instance.server.execute, "SET GLOBAL read_only = OFF")


async def test_idle_transaction_ends(instance: Instance) -> None:
    """What the server rolled back when it closed the session is not acknowledged."""
    server = instance.server
    options = {**server.connect_args, **LIMITS, "init_command": "SET wait_timeout = 1"}
    async with connect(**options) as connection, connection.cursor() as cursor:
        await cursor.execute("INSERT INTO kept VALUES (-2, 'x')")
        await asyncio.sleep(1.5)
        with pytest.raises(OperationalError, match="2006|2013|4031"):
            await connection.commit()
        assert connection.closed
    assert server.execute("SELECT * FROM kept WHERE id = -2") == []


@pytest.mark.tls
async def test_idle_sessions_end(instance: Instance, over_tls: bool) -> None:
    """The server closes what the pool keeps; nobody is given such a connection."""
    more = CLIENT_OPTIONS if over_tls else {}
    options = pool_options(instance, init_command="SET wait_timeout = 1", minsize=3, **more)
    async with asyncio.timeout(DEADLINE), create_pool(**options) as pool:
        await asyncio.sleep(1.5)
        for _ in range(5):
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute("SELECT 7")
                assert await cursor.fetchone() == (7,)
    assert instance.server.settled_sessions() == []
