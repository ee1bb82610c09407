"""`Connection.change_user`: another user in a session that begins anew.

The methods by which it logs in are tested in `test_authentication`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pymysql.constants import CLIENT

from aiomysql_core import (
    Connection,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
    SSCursor,
    connect,
)
from tests import scripted
from tests.servers import Server

Account = dict[str, Any]
MakeUser = Callable[[str, str], Account]

STATE = "SELECT @@character_set_client, @@collation_connection, @@sql_mode, @@autocommit, @a"


async def row(connection: Connection, sql: str) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(sql)
        return await cursor.fetchone()


async def user(connection: Connection) -> str:
    return str((await row(connection, "SELECT CURRENT_USER()"))[0]).split("@")[0]


@pytest.fixture
def accounts(server: Server, make_user: MakeUser) -> tuple[Account, Account]:
    """Two, with passwords."""
    plugin = "caching_sha2_password" if server.kind == "mysql" else "mysql_native_password"
    return make_user(plugin, "first"), make_user(plugin, "second")


@pytest.fixture
def options(server: Server, accounts: tuple[Account, Account]) -> dict[str, Any]:
    """Those of a connection of the first."""
    return {**server.connect_args, **accounts[0], "ssl_mode": "REQUIRED"}


async def test_the_session_begins_anew(
    options: dict[str, Any], accounts: tuple[Account, Account], server: Server
) -> None:
    async with connect(
        **options,
        collation="utf8mb4_bin",
        sql_mode="ANSI_QUOTES",
        init_command="SET @a = 7",
        autocommit=True,
        stmt_cache_size=4,
    ) as connection:
        number, before = connection.thread_id(), await row(connection, STATE)
        prepared = await connection.prepare("SELECT %s + 1")
        assert await row(connection, "SELECT 1") == (1,)
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT %s, 'kept'", (5,))
        await connection.set_charset("latin1")
        await connection.autocommit(False)
        await connection.query("SET sql_mode='NO_BACKSLASH_ESCAPES', @a = 1, @b = 2")
        await connection.query("CREATE TEMPORARY TABLE to_be_gone (a INT)")
        await connection.begin()
        await connection.change_user(**accounts[1], db=server.database)
        assert not connection.get_transaction_status()
        assert await row(connection, STATE) == before
        assert (connection.user, connection.db) == (accounts[1]["user"], server.database)
        assert (connection.charset, connection.get_autocommit()) == ("utf8mb4", True)
        assert await row(connection, "SELECT CONNECTION_ID(), @b, DATABASE(), '\\'ä'") == (
            number,
            None,
            server.database,
            "'ä",
        )
        with pytest.raises(ProgrammingError):
            await connection.query("SELECT * FROM to_be_gone")
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT %s, 'kept'", (6,))
            assert await cursor.fetchone() == (6, "kept")
            await cursor.execute(prepared, (1,))
            assert await cursor.fetchone() == (2,)
        await connection.reset()
        assert await user(connection) == accounts[1]["user"]
        assert await row(connection, STATE) == before
        await connection.change_user(**accounts[0])
        assert await row(connection, "SELECT DATABASE()") == (None,)
        assert (await user(connection), connection.db) == (accounts[0]["user"], None)


async def test_another_connection_with_the_same_options(
    options: dict[str, Any], accounts: tuple[Account, Account]
) -> None:
    async with connect(**options) as one, connect(**options) as other:
        await one.change_user(**accounts[1])
        async with connect(**options) as third:
            assert await user(third) == await user(other) == accounts[0]["user"]
        one.close()
        await one.ping()  # opens it again
        assert await user(one) == accounts[1]["user"]


async def test_a_function_for_the_password(
    options: dict[str, Any], accounts: tuple[Account, Account]
) -> None:
    asked: list[str] = []

    async def token() -> str:
        asked.append("token")
        return str(accounts[1]["password"])

    async def broken() -> str:
        raise ValueError("no token")

    async with connect(**options) as connection:
        with pytest.raises(ValueError, match="no token"):
            await connection.change_user(accounts[1]["user"], broken)
        assert await user(connection) == accounts[0]["user"]
        await connection.change_user(accounts[1]["user"], token)
        assert await user(connection) == accounts[1]["user"]
        connection.close()
        await connection.ping()
        assert asked == ["token"] * 2


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"db": "no_such_database"}], ids=str)
async def test_closed_when_it_is_refused(
    options: dict[str, Any], accounts: tuple[Account, Account], wrong: dict[str, str]
) -> None:
    """MariaDB goes back to the old user, in a session that has forgotten all; MySQL ends it."""
    connection = await connect(**options)
    with pytest.raises(OperationalError, match="1045|1044|1049"):
        await connection.change_user(**{**accounts[1], **wrong})
    assert connection.closed
    await connection.ping()  # opens it again, as before
    assert await user(connection) == accounts[0]["user"]
    connection.close()


async def test_refused_in_between(
    options: dict[str, Any], accounts: tuple[Account, Account]
) -> None:
    """Nothing is changed then."""
    async with connect(**options) as connection:

        async def refused(words: str) -> None:
            with pytest.raises(InterfaceError, match=words):
                await connection.change_user(**accounts[1])

        sleeping = asyncio.ensure_future(connection.query("DO SLEEP(0.2)"))
        await asyncio.sleep(0)
        await refused("another task")
        await sleeping
        async with connection.pipeline() as pipeline:
            one = pipeline.execute("SELECT 1")
            await refused("pipeline")
            await one
        async with connection.cursor(SSCursor) as cursor:
            await cursor.execute(
                "SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 100"
            )
            await refused("unread")
            assert len(await cursor.fetchall()) == 100
        await connection.query("SELECT 1; SELECT 2")
        await refused("unread")
        await connection.discard_results()

        async def meanwhile() -> str:
            await connection.query("SELECT 1; SELECT 2")
            return "second"

        with pytest.raises(InterfaceError, match="unread"):
            await connection.change_user(accounts[1]["user"], meanwhile)
        await connection.discard_results()
        for wrong in ({"user": 1}, {"db": b"x"}, {"password": 5}, {"factor_passwords": [1]}):
            given: dict[str, Any] = {"user": "u", **wrong}
            with pytest.raises(TypeError, match=f"option '{next(iter(wrong))}'"):
                await connection.change_user(**given)
        with pytest.raises(ValueError, match="NUL"):
            await connection.change_user("u\0")
        assert await user(connection) == accounts[0]["user"]
    with pytest.raises(InterfaceError, match="Not connected"):
        await connection.change_user(**accounts[1])


async def test_a_statement_is_stopped_as_the_new_user(
    options: dict[str, Any], accounts: tuple[Account, Account]
) -> None:
    """The old one may not do that."""
    async with connect(**options, on_cancel="kill") as connection:
        await connection.change_user(**accounts[1])
        number = connection.thread_id()
        with pytest.raises(QueryTimeout):
            await connection.query("SELECT SLEEP(30)", timeout=0.1)
        assert await row(connection, "SELECT CONNECTION_ID()") == (number,)


# Scripted servers


async def log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **hello: Any) -> bytes:
    """Let a client in; returns its COM_CHANGE_USER."""
    await scripted.open_session(reader, writer, scripted.greeting(**hello))
    return await scripted.read_packet(reader)


@pytest.mark.parametrize("on_cancel", ["close", "kill"])
@pytest.mark.parametrize("how", ["cancelled", "connect_timeout", "read_timeout"])
async def test_closed_when_it_is_not_answered(how: str, on_cancel: str) -> None:
    """No statement is there to be stopped, and nothing says whose session it is."""
    begun = asyncio.Event()
    clients = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal clients
        clients += 1
        await scripted.open_session(reader, writer)
        if on_cancel == "kill":
            await scripted.read_packet(reader)  # which server it is
            writer.write(scripted.frames(scripted.ok()))
        await scripted.read_packet(reader)
        begun.set()
        await reader.read()

    options: dict[str, Any] = {"user": "u", "on_cancel": on_cancel}
    if how != "cancelled":
        options[how] = 0.3
    async with scripted.scripted_server(handler) as port:
        connection = await connect(host="127.0.0.1", port=port, **options)
        changing = asyncio.ensure_future(connection.change_user("other", "secret"))
        await begun.wait()
        if how == "cancelled":
            changing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await changing
        else:
            with pytest.raises(QueryTimeout, match=f"option '{how}'"):
                await changing
        assert connection.closed
        assert not connection.cancelling
        assert connection.user == "u"
        assert clients == 1


async def test_what_is_sent() -> None:
    """What an authentication method says first, as long as its length fits in a byte."""
    seen: list[bytes] = []
    token = "t" * 300

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await log_in(reader, writer))
        writer.write(scripted.frame(b"\xfemysql_clear_password\0", 1))
        seen.append(await scripted.read_packet(reader))
        writer.write(scripted.frame(scripted.ok(), 3))
        assert (await scripted.read_packet(reader)).startswith(b"\x03SET NAMES ")
        writer.write(scripted.frame(scripted.ok(), 1))
        seen.append(await scripted.read_packet(reader))

    async with scripted.scripted_server(handler) as port:
        connection = await connect(
            host="127.0.0.1",
            port=port,
            user="u",
            auth_plugin="mysql_clear_password",
            allow_cleartext=True,
            charset="latin1",
        )
        await connection.change_user("é", token, "dé")
        with pytest.raises(OperationalError, match="Lost connection.*the change of the user"):
            await connection.change_user("u", "short")
        assert connection.closed
    head, rest = seen[0][:3], seen[0][3:]
    assert head == b"\x11\xe9\0"
    assert rest[0] == 20
    assert rest[21:].startswith(b"d\xe9\0\x08\0mysql_native_password\0")
    assert b"_client_name" in rest
    assert seen[1] == token.encode() + b"\0"
    assert seen[2].startswith(b"\x11u\0\x06short\0\0\x08\0mysql_clear_password\0")


async def test_a_server_without_plugins() -> None:
    seen: list[bytes] = []
    capabilities = scripted.CAPABILITIES & ~CLIENT.PLUGIN_AUTH & ~CLIENT.CONNECT_ATTRS

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.accept_login(reader, writer, scripted.greeting(capabilities=capabilities))
        for _ in range(2):
            await scripted.read_packet(reader)
            writer.write(scripted.frame(scripted.ok(), 1))
        seen.append(await scripted.read_packet(reader))
        writer.write(scripted.frame(scripted.ok(), 1))
        for _ in range(2):
            await scripted.read_packet(reader)
            writer.write(scripted.frame(scripted.ok(), 1))
        await reader.read()

    async with scripted.scripted_server(handler) as port:
        connection = await connect(host="127.0.0.1", port=port, user="u")
        await connection.change_user("v", "secret")
        connection.close()
    assert seen[0][:4] == b"\x11v\0\x14"
    assert seen[0][24:] == b"\0\x2d\0"


async def test_a_password_is_not_sent_in_clear() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        writer.write(scripted.frame(b"\xfemysql_clear_password\0", 1))
        assert await reader.read() == b""

    async with scripted.scripted_server(handler) as port:
        connection = await connect(host="127.0.0.1", port=port, user="u")
        with pytest.raises(OperationalError, match="in clear"):
            await connection.change_user("v", "secret")
        assert connection.closed
