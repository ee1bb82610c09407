"""Log-ins by each method over each channel."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.constants import CLIENT

from aiomysql_core import Connection, NotSupportedError, OperationalError, connect
from aiomysql_protocol.login.auth import AUTH_METHODS, AuthContext, AuthMethod
from tests import scripted
from tests.servers import DSN_NAME, Server, serving

MakeUser = Callable[[str, str], dict[str, Any]]


@pytest.fixture(params=["secret", "", "pässwörd ⚿", "long" * 30])
def password(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


async def who(connection: Connection) -> str:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT CURRENT_USER(), DATABASE()")
        ((user, database),) = await cursor.fetchall()
    assert database == connection.db
    return str(user).split("@")[0]


async def cipher(connection: Connection) -> str:
    """The session's TLS cipher; empty without TLS."""
    async with connection.cursor() as cursor:
        await cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        return str((await cursor.fetchall())[0][1])


async def denied(arguments: dict[str, Any]) -> None:
    """Another password is not accepted."""
    for wrong in ("wrong", arguments["password"] + "x"):
        with pytest.raises(OperationalError, match="Access denied"):
            await connect(**{**arguments, "password": wrong})


def need(server: Server, plugin: str) -> None:
    """Skip where the server can't do what is tested; another of the three can."""
    if plugin not in server.auth_plugins:
        pytest.skip(f"{server.kind} {server.version[0]} has no {plugin}")


def trusting(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.tls_ca)


def channel(server: Server, name: str) -> dict[str, Any]:
    """Arguments for a connection over "tcp", "tls" or "unix"."""
    arguments = server.connect_args
    if name == "tls":
        arguments["ssl"] = trusting(server)
    elif name == "unix":
        arguments["unix_socket"] = server.unix_socket
    else:
        arguments["ssl"] = False
    return arguments


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
async def test_native_password(
    server: Server, make_user: MakeUser, over: str, password: str
) -> None:
    need(server, "mysql_native_password")
    account = make_user("mysql_native_password", password)
    async with connect(**{**channel(server, over), **account}) as connection:
        assert await who(connection) == account["user"]
    await denied({**channel(server, over), **account})


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
async def test_caching_sha2_password(
    server: Server, make_user: MakeUser, over: str, password: str
) -> None:
    need(server, "caching_sha2_password")
    account = make_user("caching_sha2_password", password)
    arguments = {**channel(server, over), **account}
    for _ in ("full", "fast"):  # a new account is not in the server's cache yet
        async with connect(**arguments) as connection:
            assert await who(connection) == account["user"]
    server.execute("FLUSH PRIVILEGES")  # empties the cache
    async with connect(**{**arguments, "password": password.encode()}) as connection:
        assert await who(connection) == account["user"]


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
async def test_sha256_password(
    server: Server, make_user: MakeUser, over: str, password: str
) -> None:
    need(server, "sha256_password")
    account = make_user("sha256_password", password)
    arguments = {**channel(server, over), **account}
    for choice in ("", "sha256_password", "caching_sha2_password"):
        async with connect(**arguments, auth_plugin=choice) as connection:
            assert await who(connection) == account["user"]
    await denied(arguments)


@pytest.mark.parametrize("plugin", ["sha256_password", "caching_sha2_password"])
async def test_rsa_with_a_key_at_hand(server: Server, make_user: MakeUser, plugin: str) -> None:
    need(server, plugin)
    assert server.rsa_public_key is not None
    key = Path(server.rsa_public_key).read_text()
    account = make_user(plugin, "secret")
    arguments = {**channel(server, "tcp"), **account}
    for choice in ("", plugin):
        server.execute("FLUSH PRIVILEGES")
        async with connect(**arguments, server_public_key=key, auth_plugin=choice) as connection:
            assert await who(connection) == account["user"]
    server.execute("FLUSH PRIVILEGES")
    with pytest.raises(OperationalError, match="not PEM"):
        await connect(**arguments, server_public_key="nonsense")


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
async def test_ed25519(server: Server, make_user: MakeUser, over: str, password: str) -> None:
    need(server, "ed25519")
    account = make_user("ed25519", password)
    if not password:
        # Before 11 PASSWORD('') gives nothing, with which nobody can log in.
        key = "4LH+dBF+G5W2CKTyId8xR3SyDqZoQjUNUVNxx8aWbG4"
        server.execute(f"ALTER USER {account['user']} IDENTIFIED VIA ed25519 USING '{key}'")
    arguments = {**channel(server, over), **account}
    for choice in ("", "client_ed25519", "mysql_native_password"):
        async with connect(**arguments, auth_plugin=choice) as connection:
            assert await who(connection) == account["user"]
    await denied(arguments)


@pytest.mark.slow
async def test_ed25519_with_each_end_of_the_nonce(server: Server, make_user: MakeUser) -> None:
    """One nonce in 256 ends with a NUL, which is part of it."""
    need(server, "ed25519")
    arguments = {**channel(server, "unix"), **make_user("ed25519", "secret")}
    for _ in range(600):
        connection = await connect(**arguments)
        await connection.ensure_closed()


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
async def test_parsec(server: Server, make_user: MakeUser, over: str, password: str) -> None:
    need(server, "parsec")
    account = make_user("parsec", password)
    arguments = {**channel(server, over), **account}
    for choice in ("", "parsec", "mysql_native_password"):
        async with connect(**arguments, auth_plugin=choice) as connection:
            assert await who(connection) == account["user"]
    await denied(arguments)


@pytest.fixture
def old_server(server: Server) -> Iterator[Server]:
    need(server, "mysql_old_password")
    server.execute("SET GLOBAL secure_auth = 0")
    yield server
    server.execute("SET GLOBAL secure_auth = 1")


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
async def test_old_password(
    old_server: Server, make_user: MakeUser, over: str, password: str
) -> None:
    account = make_user("mysql_old_password", password)
    arguments = {**channel(old_server, over), **account}
    for choice in ("", "mysql_old_password"):
        async with connect(**arguments, auth_plugin=choice, allow_old_password=True) as connection:
            assert await who(connection) == account["user"]
    if password:
        with pytest.raises(OperationalError, match="'allow_old_password'"):
            await connect(**arguments)
    await denied({**arguments, "allow_old_password": True})


@pytest.fixture(scope="module")
def plugin_server(server: Server) -> Iterator[Server]:
    """A server with the authentication plugins that MariaDB's own tests use."""
    if server.kind != "mariadb":
        pytest.skip("MySQL has these plugins in packages of its own tests and in its paid edition")
    if server.name == DSN_NAME:
        pytest.skip("a server that is not ours is not to be changed")
    with serving(server.name, plugin_maturity="unknown") as other:
        for library in ("dialog_examples", "auth_test_plugin"):
            with contextlib.suppress(pymysql.OperationalError):
                other.execute(f"INSTALL SONAME '{library}'")
        yield other.identified()


def account_on(server: Server, plugin: str, password: str) -> dict[str, Any]:
    """An account of a plugin that keeps the password itself."""
    need(server, plugin)
    server.execute(f"CREATE OR REPLACE USER u IDENTIFIED VIA {plugin} USING %s", (password,))
    server.execute(f"GRANT ALL ON `{server.database}`.* TO u")
    return {"user": "u", "password": password}


@pytest.mark.parametrize("over", ["tls", "unix"])
@pytest.mark.parametrize("plugin", ["cleartext_plugin_server", "three_attempts"])
async def test_password_itself(
    plugin_server: Server, plugin: str, over: str, password: str
) -> None:
    account = account_on(plugin_server, plugin, password)
    name = "dialog" if plugin == "three_attempts" else "mysql_clear_password"
    arguments = {**channel(plugin_server, over), **account}
    for choice in ("", "mysql_clear_password", "dialog"):
        async with connect(**arguments, auth_plugin=choice) as connection:
            assert await who(connection) == "u"
    with pytest.raises(OperationalError, match=f"'{name}'.*TLS or a unix socket"):
        await connect(**{**channel(plugin_server, "tcp"), **account})
    # Over loopback there is TLS only if it is needed, and here it is known to be.
    async with connect(
        **{**plugin_server.connect_args, **account, "auth_plugin": name}
    ) as connection:
        assert await cipher(connection) != ""


@pytest.mark.parametrize("plugin", ["cleartext_plugin_server", "three_attempts"])
async def test_password_itself_in_clear(plugin_server: Server, plugin: str) -> None:
    account = account_on(plugin_server, plugin, "secret")
    arguments = {**channel(plugin_server, "tcp"), **account}
    async with connect(**arguments, allow_cleartext=True) as connection:
        assert await who(connection) == "u"
        assert await cipher(connection) == ""


@pytest.mark.parametrize("over", ["tls", "unix"])
async def test_prompts(plugin_server: Server, over: str) -> None:
    asked: list[tuple[str, bool]] = []

    def answer(prompt: str, echo: bool) -> str:
        asked.append((prompt, echo))
        return "yes, of course"

    account = account_on(plugin_server, "two_questions", "secret")
    arguments = {**channel(plugin_server, over), **account}
    async with connect(**arguments, dialog=answer) as connection:
        assert await who(connection) == "u"
    assert asked == [("Are you sure ?", True)]
    with pytest.raises(OperationalError, match="Are you sure"):
        await connect(**arguments)
    with pytest.raises(OperationalError, match="Access denied"):
        await connect(**arguments, dialog=lambda prompt, echo: "no")


async def test_prompts_until_the_password_is_right(plugin_server: Server) -> None:
    answers = iter(["second", "third"])
    arguments = {
        **channel(plugin_server, "tls"),
        **account_on(plugin_server, "three_attempts", "third"),
    }
    arguments["password"] = "first"
    async with connect(**arguments, dialog=lambda prompt, echo: next(answers)) as connection:
        assert await who(connection) == "u"
    assert list(answers) == []


async def test_second_factor(server: Server) -> None:
    if server.kind != "mysql" or server.unix_socket is None:
        pytest.skip("MySQL asks for several factors, and for the one used here on a unix socket")
    pwd = pytest.importorskip("pwd")
    system_user = pwd.getpwuid(os.geteuid()).pw_name
    with contextlib.ExitStack() as stack:
        server.execute("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
        stack.callback(server.execute, "UNINSTALL PLUGIN auth_socket")
        for name, peer in (("factors_good", system_user), ("factors_bad", "somebody else")):
            server.execute(
                f"CREATE USER {name} IDENTIFIED WITH caching_sha2_password BY 'secret'"
                " AND IDENTIFIED WITH auth_socket AS %s",
                (peer,),
            )
            stack.callback(server.execute, f"DROP USER {name}")
            server.execute(f"GRANT ALL ON `{server.database}`.* TO {name}")
        arguments = {**channel(server, "unix"), "user": "factors_good", "password": "secret"}
        async with connect(**arguments) as connection:
            assert await who(connection) == "factors_good"
        for refused in ({"user": "factors_bad"}, {"password": "wrong"}):
            with pytest.raises(OperationalError, match="Access denied"):
                await connect(**{**arguments, **refused})


async def test_method_of_ones_own(connect_args: dict[str, Any]) -> None:
    started: list[AuthContext] = []

    def counting(method: type[Any]) -> type[AuthMethod]:
        class Counting(method):  # type: ignore[misc]
            def start(self) -> bytes:
                started.append(self._context)
                return bytes(super().start())

        return Counting

    plugins = ("mysql_native_password", "caching_sha2_password")
    methods = {plugin: counting(AUTH_METHODS[plugin]) for plugin in plugins}
    async with connect(**connect_args, auth_methods=methods) as connection:
        assert await who(connection) == connect_args["user"]
    assert len(started) == 1
    assert len(started[0].nonce) == 20


async def test_unknown_choice(connect_args: dict[str, Any]) -> None:
    with pytest.raises(NotSupportedError, match="'auth_plugin'"):
        await connect(**connect_args, auth_plugin="no_such_method")


@pytest.mark.parametrize("plugin", ["sha256_password", "caching_sha2_password"])
async def test_without_cryptography(
    server: Server, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch, plugin: str
) -> None:
    """Where RSA can't be had, TLS is used if it is offered; else the error names the extra."""
    need(server, plugin)
    account = make_user(plugin, "secret")
    monkeypatch.setattr("aiomysql_protocol.login.login.rsa_available", lambda: False)
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    arguments = {**server.connect_args, **account}
    async with connect(**arguments) as connection:
        assert await cipher(connection) != ""
    server.execute("FLUSH PRIVILEGES")
    with pytest.raises(OperationalError, match="'rsa' extra"):
        await connect(**arguments, ssl=False)


async def test_tls_is_checked(server: Server) -> None:
    arguments = server.connect_args
    with pytest.raises(OperationalError, match="certificate") as caught:
        await connect(**arguments, ssl=True)  # the system's CAs did not sign the test server's
    assert caught.value.args[0] == 2026
    async with (
        connect(**arguments, ssl=trusting(server)) as connection,
        connection.cursor() as cursor,
    ):
        await cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        assert (await cursor.fetchall())[0][1].startswith("TLSv1.")


async def test_tls_asked_for_and_not_offered() -> None:
    """Error 2026, and the server has not seen a byte of the credentials."""
    seen = b""

    async def no_tls(reader: Any, writer: Any) -> None:
        nonlocal seen
        writer.write(scripted.frame(scripted.greeting(), 0))
        seen = await reader.read()

    async with scripted.scripted_server(no_tls) as port:
        with pytest.raises(OperationalError, match="doesn't support") as caught:
            await connect(host="127.0.0.1", port=port, user="somebody", password="x", ssl=True)
    assert caught.value.args[0] == 2026
    assert seen == b""


async def test_no_password_in_clear() -> None:
    """A server that asks for the password itself on an open channel gets none."""
    asked: list[bytes] = []

    async def greedy(reader: Any, writer: Any) -> None:
        writer.write(scripted.frame(scripted.greeting(), 0))
        asked.append(await scripted.read_packet(reader))
        writer.write(scripted.frame(b"\xfemysql_clear_password\0", 2))
        asked.append(await reader.read())

    async with scripted.scripted_server(greedy) as port:
        with pytest.raises(OperationalError, match="mysql_clear_password") as caught:
            await connect(host="127.0.0.1", port=port, user="u", password="pass-word")
    assert caught.value.args[0] == 2059
    assert b"pass-word" not in b"".join(asked)


async def test_endless_authentication_ends() -> None:
    async def endless(reader: Any, writer: Any) -> None:
        writer.write(scripted.frame(scripted.greeting(plugin="caching_sha2_password"), 0))
        for number in range(2, 250, 2):
            await scripted.read_packet(reader)
            switch = b"\xfecaching_sha2_password\0" + scripted.NONCE + b"\0"
            writer.write(scripted.frame(switch, number))

    async with scripted.scripted_server(endless) as port:
        with pytest.raises(Connection.InternalError, match="did not end"):
            await connect(host="127.0.0.1", port=port, user="u", password="x", ssl=False)


# Servers that know no plugins: Sphinx, MySQL before 5.5.7

#: What Sphinx offers: CLIENT_CONNECT_WITH_DB, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION.
SPHINX = 0x8208


def old_greeting(capabilities: int = SPHINX, last: int = 0x0D) -> bytes:
    """A greeting that ends with the nonce; last: the byte behind its 20, which may be any."""
    whole = scripted.greeting(capabilities=capabilities, version="2.2.11-id64")
    end = whole.index(scripted.NONCE[8:]) + len(scripted.NONCE) - 8
    return whole[:end] + bytes([last])


def native_scramble(password: bytes) -> bytes:
    once = hashlib.sha1(password).digest()
    mask = hashlib.sha1(scripted.NONCE + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


@pytest.mark.parametrize("last", [0, 0x0D])
@pytest.mark.parametrize("offers_db", [True, False])
@pytest.mark.parametrize("given", ["secret", ""])
async def test_a_server_without_plugins(given: str, offers_db: bool, last: int) -> None:
    """The native method's scramble goes, a database that the log-in can't choose is chosen after
    it, and settings go one by one.
    """
    capabilities = SPHINX if offers_db else SPHINX & ~CLIENT.CONNECT_WITH_DB
    response = b""
    requests = []

    async def old_server(reader: Any, writer: Any) -> None:
        nonlocal response
        hello = old_greeting(capabilities, last)
        response = await scripted.accept_login(reader, writer, hello)
        while (request := await scripted.read_packet(reader)) != b"\x01":
            requests.append(request)
            writer.write(scripted.frame(scripted.ok(), 1))

    async with scripted.scripted_server(old_server) as port:
        options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "db": "d"}
        async with connect(**options, user="u", password=given) as connection:
            assert connection._auth_plugin_used == "mysql_native_password"
    scramble = native_scramble(given.encode()) if given else b""
    expected = b"u\0" + bytes([len(scramble)]) + scramble + b"d\0" * offers_db
    assert response[32:] == expected
    assert int.from_bytes(response[:4], "little") == capabilities
    assert requests == [
        b"\x03SET NAMES utf8mb4",
        b"\x03SET autocommit = 0",
        *([] if offers_db else [b"\x02d"]),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auth_plugin": "caching_sha2_password"}, "'caching_sha2_password'.*knows no plugins"),
        ({"auth_plugin": "mysql_clear_password"}, "'mysql_clear_password'.*knows no plugins"),
        ({"ssl_mode": "REQUIRED"}, "SSL is required"),
    ],
    ids=str,
)
async def test_what_a_server_without_plugins_is_not_told(
    options: dict[str, Any], words: str
) -> None:
    """Who removes the flag gets nothing that was not to be sent."""
    sent = b""

    async def old_server(reader: Any, writer: Any) -> None:
        nonlocal sent
        writer.write(scripted.frame(old_greeting(), 0))
        sent = await reader.read()

    async with scripted.scripted_server(old_server) as port:
        with pytest.raises(OperationalError, match=words):
            await connect(
                host="127.0.0.1", port=port, password="secret", allow_cleartext=True, **options
            )
    assert sent == b""


# Another user in an open session


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@pytest.mark.parametrize(
    "plugin",
    [
        "mysql_native_password",
        "caching_sha2_password",
        "sha256_password",
        "ed25519",
        "parsec",
    ],
)
async def test_change_of_user(server: Server, make_user: MakeUser, over: str, plugin: str) -> None:
    need(server, plugin)
    account = make_user(plugin, "pässwörd ⚿")
    arguments = channel(server, over)
    for choice in ("", AUTH_METHODS[f"client_{plugin}"].name if plugin == "ed25519" else plugin):
        if choice in ("sha256_password", "caching_sha2_password"):
            server.execute("FLUSH PRIVILEGES")  # empties the server's cache
        async with connect(**{**arguments, "auth_plugin": choice}) as connection:
            for _ in ("full", "fast"):
                await connection.change_user(**account, db=server.database)
                assert await who(connection) == account["user"]


@pytest.mark.parametrize("over", ["tls", "unix"])
@pytest.mark.parametrize("plugin", ["cleartext_plugin_server", "three_attempts", "two_questions"])
async def test_change_to_a_user_by_the_password_itself(
    plugin_server: Server, plugin: str, over: str
) -> None:
    password = "secret" if plugin == "two_questions" else "long" * 100  # more than the command has
    account = account_on(plugin_server, plugin, password)
    arguments = {**channel(plugin_server, over), "dialog": lambda prompt, echo: "yes, of course"}
    for choice in ("", "mysql_clear_password", "dialog"):
        async with connect(**arguments, auth_plugin=choice) as connection:
            await connection.change_user(**account, db=plugin_server.database)
            assert await who(connection) == "u"
    connection = await connect(**{**channel(plugin_server, "tcp"), "ssl": False})
    with pytest.raises(OperationalError, match="TLS or a unix socket"):
        await connection.change_user(**account)
    assert connection.closed
