"""Tracers, and others that reach inside, as they do it: each wraps and reads what they rely on."""

from __future__ import annotations

import asyncio
import builtins
import functools
import io
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from pymysql.constants import CLIENT, COMMAND

import aiomysql
import aiomysql.sa
from tests.servers import Server


class Proxy:
    """Stands for an object, as wrapt's proxies do: equal to it, and of the same hash."""

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped__ = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    async def __aenter__(self) -> Any:
        await self.__wrapped__.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> Any:
        return await self.__wrapped__.__aexit__(*args)


def module(name: str) -> Any:
    """A module of the classic namespace, for which type checkers need not know private names."""
    found: Any = aiomysql
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found


async def select(connection: Any, sql: str) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(sql)
        return await cursor.fetchone()


async def test_sentry(connect_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It wraps methods of the classes, and keeps what it knows in attributes of the cursors."""
    spans: list[tuple[str, object]] = []

    def traced(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def wrapper(self: Any, query: str, args: Any = None) -> Any:
            connection = self.connection
            self._trace_span = (connection.host, connection.port, connection.user, connection.db)
            spans.append((name, query))
            return await original(self, query, args)

        return wrapper

    connects = []
    original_connect = aiomysql.Connection._connect

    async def connect(self: Any) -> None:
        connects.append((self.host, self.port, self.user, self.db))
        await original_connect(self)

    monkeypatch.setattr(aiomysql.Connection, "_connect", connect)
    for name in ("execute", "executemany"):
        original = getattr(aiomysql.Cursor, name)
        monkeypatch.setattr(aiomysql.Cursor, name, traced(name, original))

    where = tuple(connect_args[name] for name in ("host", "port", "user", "db"))
    cursor: Any
    async with aiomysql.create_pool(**connect_args) as pool, pool.acquire() as connection:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT %s", (1,))
            assert cursor._trace_span == where
        async with connection.cursor(aiomysql.DictCursor) as cursor:
            await cursor.executemany("SET @a = %s", [(1,), (2,)])
    assert connects == [where]
    assert spans[0] == ("execute", "SELECT %s")
    assert spans[1] == ("executemany", "SET @a = %s")
    assert aiomysql.__version__.split(".")[0] == "1"


async def test_ddtrace(connect_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It wraps the connection that `connection._connect` gives, and the cursors of that."""
    seen: list[Any] = []

    class TracedCursor(Proxy):
        async def execute(self, query: str, *args: Any) -> Any:
            result = await self.__wrapped__.execute(query, *args)
            seen.append((query, self.__wrapped__.rowcount, self.__wrapped__.rownumber))
            return result

    class TracedConnection(Proxy):
        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            manager = self.__wrapped__.cursor(*args, **kwargs)

            async def traced() -> Any:
                return TracedCursor(await manager)

            return type(manager)(traced())

    original = module("aiomysql.connection")._connect

    async def connect(*args: Any, **kwargs: Any) -> Any:
        connection = await original(*args, **kwargs)
        seen.append((connection.host, connection.port, connection.user, connection.db))
        return TracedConnection(connection)

    monkeypatch.setattr(module("aiomysql.connection"), "_connect", connect)
    where = tuple(connect_args[name] for name in ("host", "port", "user", "db"))
    async with aiomysql.connect(**connect_args) as connection:
        assert isinstance(connection, TracedConnection)
        assert await select(connection, "SELECT 7") == (7,)
        cursor = await connection.cursor()
        assert await cursor.execute("SELECT 8") == 1
        await cursor.close()
    assert seen == [where, ("SELECT 7", 1, 0), ("SELECT 8", 1, 0)]

    async with aiomysql.create_pool(minsize=1, maxsize=1, **connect_args) as pool:
        for _ in range(2):
            async with pool.acquire() as connection:
                assert isinstance(connection, TracedConnection)
                assert await select(connection, "SELECT 9") == (9,)
    assert seen[3:].count(where) == 1


async def test_new_relic(connect_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It wraps `aiomysql.connect` and what a pool gives, and releases its proxies to the pool."""
    statements = []

    class TracedCursor(Proxy):
        async def execute(self, query: str, *args: Any) -> Any:
            statements.append(query)
            return await self.__wrapped__.execute(query, *args)

    class TracedManager(Proxy):
        def __await__(self) -> Any:
            async def traced() -> Any:
                return TracedCursor(await self.__wrapped__)

            return traced().__await__()

        async def __aenter__(self) -> Any:
            return TracedCursor(await self.__wrapped__.__aenter__())

    class TracedConnection(Proxy):
        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            return TracedManager(self.__wrapped__.cursor(*args, **kwargs))

    acquired = []
    pools = module("aiomysql.pool")
    original_acquire = pools.Pool._acquire

    async def acquire(self: Any) -> Any:
        acquired.append(self._conn_kwargs["port"])
        return TracedConnection(await original_acquire(self))

    original_connect = aiomysql.connect
    connects = []

    def connect(*args: Any, **kwargs: Any) -> Any:
        connects.append(kwargs["port"])
        manager = original_connect(*args, **kwargs)

        async def traced() -> Any:
            return TracedConnection(await manager)

        return type(manager)(traced())

    monkeypatch.setattr(pools.Pool, "_acquire", acquire)
    monkeypatch.setattr(aiomysql, "connect", connect)

    port = connect_args["port"]
    async with aiomysql.connect(**connect_args) as connection:
        assert await select(connection, "SELECT 1") == (1,)
    async with aiomysql.create_pool(minsize=1, maxsize=1, **connect_args) as pool:
        async with pool.acquire() as connection:
            assert isinstance(connection, TracedConnection)
            assert await select(connection, "SELECT 2") == (2,)
            assert pool._used == {connection}
        assert pool.freesize == 1
        connection = await pool.acquire()
        await pool.release(connection)
        assert (pool.size, pool.freesize) == (1, 1)
    assert connects == [port]
    assert acquired == [port, port]
    assert statements == ["SELECT 1", "SELECT 2"]


async def test_elastic(connect_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It wraps `cursors.Cursor.execute`, which all cursors run their statements through."""
    spans = []
    cursors = module("aiomysql.cursors")
    original = cursors.Cursor.execute

    async def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        spans.append((args[0], self.connection.host, self.connection.port))
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(cursors.Cursor, "execute", execute)
    async with aiomysql.connect(**connect_args) as connection:
        for cursor_class in (aiomysql.Cursor, aiomysql.DictCursor, aiomysql.SSCursor):
            async with connection.cursor(cursor_class) as cursor:
                await cursor.execute("SELECT 1 AS a")
                assert list(await cursor.fetchall()) in ([(1,)], [{"a": 1}])
    assert spans == [("SELECT 1 AS a", connect_args["host"], connect_args["port"])] * 3


async def test_tortoise(connect_args: dict[str, Any]) -> None:
    """It sends commands by hand, reads the columns, and declares idle connections dead."""
    cursor: Any
    async with aiomysql.create_pool(minsize=1, **connect_args) as pool:
        async with pool.acquire() as connection:
            with pytest.raises(aiomysql.InternalError, match="no command"):
                await connection._read_ok_packet()
            await connection.begin()
            for statement in ("SAVEPOINT a", "ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a"):
                await connection._execute_command(COMMAND.COM_QUERY, statement)
                assert (await connection._read_ok_packet()).affected_rows == 0
            with pytest.raises(aiomysql.OperationalError):
                await connection._execute_command(COMMAND.COM_QUERY, "RELEASE SAVEPOINT b")
            await connection.rollback()
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT 1 AS a, 2 AS b")
                assert [field.name for field in cursor._result.fields] == ["a", "b"]
        idle: Any
        for idle in pool._free:
            idle._reader.set_exception(EOFError("EOF"))
        async with pool.acquire() as second:
            assert second is not connection
            assert await select(second, "SELECT 1") == (1,)


async def test_a_lost_link_simulated(server: Server, connect_args: dict[str, Any]) -> None:
    async with aiomysql.create_pool(minsize=1, maxsize=1, **connect_args) as pool:
        (connection,) = pool._free
        number = connection.thread_id()
        writer: Any = connection._writer
        assert writer.transport.get_extra_info("socket") is not None
        writer._protocol.connection_lost(OSError("pulled"))
        assert connection.closed
        assert connection._writer is None
        async with pool.acquire() as another:
            assert another is not connection
            assert await select(another, "SELECT 1") == (1,)
        with pytest.raises(aiomysql.OperationalError):
            await connection.query("SELECT 1")
        for _ in range(50):
            left = [line for line in server.sessions() if line.split()[0] == str(number)]
            if not left:
                break
            await asyncio.sleep(0.05)
        assert left == []


async def test_a_pools_insides(connect_args: dict[str, Any]) -> None:
    async with aiomysql.create_pool(minsize=2, maxsize=3, **connect_args) as pool:
        assert pool._loop is asyncio.get_running_loop()
        assert (pool._minsize, pool._echo, pool._recycle, pool._acquiring) == (2, False, -1, 0)
        assert len(list(pool._free)) == 2
        assert pool._used == set()
        first, second = await pool.acquire(), await pool.acquire()
        assert pool._used == {first, second}
        assert not pool._free
        await pool.release(first)
        assert pool._used == {second}
        assert list(pool._free) == [first]
        await pool.release(second)


async def test_how_a_lost_connection_is_told(connect_args: dict[str, Any]) -> None:
    """The wrappers of clouds look for the words "Not connected" in the message."""
    connection: Any = await aiomysql.connect(**connect_args)
    waiting = asyncio.ensure_future(connection.query("SELECT SLEEP(0.2)"))
    while not connection.busy:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for use in (connection.cursor, connection._ensure_alive):
        with pytest.raises(aiomysql.InterfaceError) as error:
            use()
        assert error.value.args == (0, "Not connected: Cancelled during execution")


async def test_what_the_greeting_said(connect_args: dict[str, Any]) -> None:
    async with aiomysql.connect(**connect_args) as connection:
        assert connection.server_thread_id == (connection.thread_id(),)
        assert connection.protocol_version == connection.get_proto_info() == 10
        for flags in (connection.server_capabilities, connection.client_flag):
            assert flags & CLIENT.PROTOCOL_41
    assert aiomysql.Connection(client_flag=CLIENT.FOUND_ROWS).client_flag == CLIENT.FOUND_ROWS


async def test_the_last_statement(connect_args: dict[str, Any], table_name: str) -> None:
    options = {**connect_args, "autocommit": True}
    async with aiomysql.connect(**options) as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT %s", ("ä",))
        assert cursor._last_executed == "SELECT 'ä'".encode()
        await cursor.execute(f"CREATE TABLE {table_name} (a INT)")
        await cursor.executemany(f"\n  INSERT INTO {table_name} VALUES (%s);", [(1,), (2,)])
        assert cursor._last_executed == f"INSERT INTO {table_name} VALUES (1),(2)".encode()


async def test_names_of_the_authentication_plugins(
    server: Server,
    connect_args: dict[str, Any],
    make_user: Callable[[str, str], dict[str, Any]],
) -> None:
    default = "mysql_native_password" if server.kind == "mariadb" else "caching_sha2_password"
    other = "ed25519" if server.kind == "mariadb" else "sha256_password"
    used = "client_ed25519" if server.kind == "mariadb" else "sha256_password"
    account = make_user(other, "secret") if other in server.auth_plugins else None
    async with aiomysql.connect(**connect_args) as connection:
        assert connection._server_auth_plugin == default
        assert connection._auth_plugin_used == default
        assert connection._client_auth_plugin == ""
    if account is not None:
        async with aiomysql.connect(**connect_args | account, auth_plugin=default) as connection:
            assert connection._client_auth_plugin == default
            assert connection._auth_plugin_used == used


async def test_an_sa_connection_made_by_hand(connect_args: dict[str, Any]) -> None:
    engine = SimpleNamespace(dialect=module("aiomysql.sa.engine")._dialect)
    async with aiomysql.connect(**connect_args) as raw:
        connection = aiomysql.sa.SAConnection(raw, engine)
        assert connection._connection is raw
        assert connection._transaction is None
        assert await connection.scalar(sqlalchemy.select(sqlalchemy.literal(3))) == 3
        result = await connection.execute("SELECT 1 AS a")
        assert list(connection._weak_results) == [result]
        transaction = await connection.begin()
        assert connection._transaction is transaction
        await transaction.rollback()
        assert connection._transaction is None
        await result.close()


async def test_local_files_are_opened_by_the_builtin(
    connect_args: dict[str, Any], table_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    original = builtins.open

    def spy(file: Any, *args: Any, **kwargs: Any) -> Any:
        if file != "/nowhere/rows.txt":
            return original(file, *args, **kwargs)
        opened.append(args)
        return io.BytesIO(b"1\n2\n")

    async with (
        aiomysql.connect(**connect_args, local_infile=True) as connection,
        connection.cursor() as cursor,
    ):
        await cursor.execute(f"CREATE TABLE {table_name} (a INT)")
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "open", spy)
            await cursor.execute(
                f"LOAD DATA LOCAL INFILE '/nowhere/rows.txt' INTO TABLE {table_name}"
            )
        await connection.commit()
        await cursor.execute(f"SELECT a FROM {table_name} ORDER BY a")
        assert list(await cursor.fetchall()) == [(1,), (2,)]
    assert opened == [("rb",)]


async def test_packet_methods_say_what_became_of_them(connect_args: dict[str, Any]) -> None:
    async with aiomysql.connect(**connect_args) as connection:
        with pytest.raises(aiomysql.NotSupportedError, match="packets"):
            connection.write_packet(b"\x0e")
        for method in (connection.sha256_password_auth, connection.caching_sha2_password_auth):
            with pytest.raises(aiomysql.NotSupportedError, match="authentication"):
                await method(b"")
        local_file = module("aiomysql.connection").LoadLocalFile("a", connection)
        with pytest.raises(aiomysql.NotSupportedError, match="load_local"):
            await local_file.send_data()
        assert await select(connection, "SELECT 1") == (1,)


def test_escape_dict() -> None:
    assert module("aiomysql").escape_dict({"a": 1, "b": "x"}, "utf8mb4") == {"a": "1", "b": "'x'"}


@pytest.mark.slow
def test_patching_before_the_first_import_of_a_submodule() -> None:
    """A tracer may import `aiomysql.connection` first, and by any of its names."""
    code = (
        "import importlib, sys\n"
        "module = importlib.import_module('aiomysql.connection')\n"
        "import aiomysql, aiomysql_core.connection\n"
        "from aiomysql import connection\n"
        "assert module is connection is aiomysql.connection is aiomysql_core.connection\n"
        "assert aiomysql.Connection is module.Connection\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert run.stderr == ""
