"""Certificates of MariaDB 11.4 and later that the password proves, and who sits in between."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import Connection, OperationalError, connect
from aiomysql_pool import create_pool
from aiomysql_protocol.login.auth import AUTH_METHODS
from tests.servers import DSN_NAME, Server, serving
from tests.servers.certificates import certificates
from tests.tls_proxy import TlsProxy, own_context

PASSWORD = "gehe1m-wört"
PLUGINS = ("mysql_native_password", "ed25519", "parsec")
VERIFYING: list[dict[str, Any]] = [
    {"ssl_mode": "VERIFY_CA"},
    {"ssl_mode": "VERIFY_IDENTITY"},
    {"ssl": True},
]
CHECKING = [*VERIFYING, {"ssl_mode": "PREFERRED"}]


@pytest.fixture(scope="module")
def proving(server: Server) -> Iterator[Server]:
    """A server with the certificate that it made itself, and an account for each method."""
    if server.name == DSN_NAME:
        pytest.skip("a server that is not ours is not to be changed")
    if server.kind != "mariadb" or server.version < (11, 4):
        pytest.skip("only MariaDB 11.4 and later proves its certificate")
    with serving(server.name, **{"ssl-ca": "", "ssl-cert": "", "ssl-key": ""}) as other:
        make_accounts(other)
        yield other
        assert other.settled_sessions() == []


def make_accounts(server: Server) -> None:
    for plugin in PLUGINS:
        for name, password in ((plugin, PASSWORD), (f"empty_{plugin}", "")):
            server.execute(
                f"CREATE OR REPLACE USER {name} IDENTIFIED VIA {plugin} USING PASSWORD(%s)",
                (password,),
            )
            server.execute(f"GRANT ALL ON `{server.database}`.* TO {name}")


def account(server: Server, plugin: str = PLUGINS[0], **options: Any) -> dict[str, Any]:
    return {**server.connect_args, "user": plugin, "password": PASSWORD, **options}


async def one(connection: Connection, query: str) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(query)
        return (await cursor.fetchall())[0][-1]


async def log_in(**arguments: Any) -> None:
    """Log in and see that the session is encrypted."""
    async with connect(**arguments) as connection:
        assert await one(connection, "SHOW STATUS LIKE 'Ssl_cipher'")
        assert await one(connection, "SELECT 7") == 7


async def refused(words: str, **arguments: Any) -> str:
    """The log-in fails with error 2026; returns its message."""
    with pytest.raises(OperationalError) as caught:
        await connect(**arguments)
    number, message = caught.value.args
    assert number == 2026, message
    assert words in message
    assert "ssl_mode='REQUIRED'" in message
    assert PASSWORD not in message
    return str(message)


def between(server: Server, tmp_path: Path, **options: Any) -> TlsProxy:
    return TlsProxy(server.host, server.port, own_context(tmp_path), **options)


# -- the server itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", CHECKING, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_proven(proving: Server, plugin: str, options: dict[str, Any]) -> None:
    await log_in(**account(proving, plugin, **options))


@pytest.mark.parametrize("chosen", ["mysql_native_password", "client_ed25519", "parsec"])
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_proven_after_a_switch(proving: Server, plugin: str, chosen: str) -> None:
    """The greeting's nonce counts."""
    for mode in ("VERIFY_CA", "PREFERRED"):
        await log_in(**account(proving, plugin, auth_plugin=chosen, ssl_mode=mode))


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_certificate_of_an_unknown_authority(server: Server, plugin: str) -> None:
    """The server proves a configured certificate as well."""
    if plugin not in server.auth_plugins or server.version < (11, 4) or server.kind != "mariadb":
        pytest.skip("only MariaDB 11.4 and later proves its certificate")
    if server.name == DSN_NAME:
        pytest.skip("a server that is not ours is not to be changed")
    make_accounts(server)
    for options in CHECKING:
        await log_in(**account(server, plugin, **options))


@pytest.mark.parametrize("options", VERIFYING, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_no_password(proving: Server, plugin: str, options: dict[str, Any]) -> None:
    arguments = account(proving, f"empty_{plugin}", **options) | {"password": ""}
    message = await refused("without a password", **arguments)
    assert "certificate verify failed" in message
    assert "ssl_ca" in message
    await log_in(**arguments | {"ssl": None, "ssl_mode": "PREFERRED"})


@pytest.mark.parametrize("options", CHECKING, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_wrong_password(proving: Server, plugin: str, options: dict[str, Any]) -> None:
    with pytest.raises(OperationalError, match="Access denied"):
        await connect(**account(proving, plugin, **options) | {"password": "wrong"})


async def test_password_that_is_asked_for(proving: Server) -> None:
    """Once for both connections."""
    asked = 0

    async def give() -> str:
        nonlocal asked
        asked += 1
        return PASSWORD

    await log_in(**account(proving, ssl_mode="VERIFY_CA") | {"password": give})
    assert asked == 1


async def test_second_connection_only_once(proving: Server) -> None:
    """That verifying fails is remembered."""
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, ssl_mode="VERIFY_IDENTITY", port=proxy.port)
        for connections in (2, 3, 4):
            await log_in(**arguments)
            assert proxy.connections == connections
        # With another password, too.
        with pytest.raises(OperationalError, match="Access denied"):
            await connect(**arguments | {"password": "wrong"})
        assert proxy.connections == 5
        await log_in(**arguments)
        assert proxy.connections == 6


async def test_pool(proving: Server) -> None:
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, ssl_mode="VERIFY_CA", port=proxy.port)
        async with create_pool(**arguments, minsize=3, maxsize=3) as pool:
            leases = [await pool.acquire() for _ in range(3)]
            for connection in leases:
                assert await one(connection, "SHOW STATUS LIKE 'Ssl_cipher'")
                pool.release(connection)
        assert proxy.connections <= 6


async def test_connection_that_kills(proving: Server) -> None:
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, ssl_mode="VERIFY_CA", port=proxy.port, on_cancel="kill")
        async with connect(**arguments) as connection:
            thread = connection.thread_id()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await one(connection, "SELECT SLEEP(20)")
            assert await one(connection, "SELECT 7") == 7
            assert connection.thread_id() == thread
        assert proxy.connections == 3


async def test_sock_is_connected_once(proving: Server) -> None:
    sock = socket.create_connection((proving.host, proving.port))
    await refused("certificate verify failed", **account(proving, ssl_mode="VERIFY_CA", sock=sock))
    assert sock.fileno() == -1


async def test_context_of_the_user(proving: Server, tmp_path: Path) -> None:
    """It says what is trusted: nothing else is tried."""
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, port=proxy.port)
        context = ssl.create_default_context()
        message = await refused("certificate verify failed", **arguments, ssl=context)
        assert "SSLContext" in message
        assert proxy.connections == 1
    # Without verification there is none, unless encryption is only preferred, which goes without a
    # context.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with between(proving, tmp_path) as proxy:
        arguments = account(proving, port=proxy.port)
        await log_in(**arguments, ssl=context)
        await refused("another one", **arguments, ssl_mode="PREFERRED")
    await log_in(**account(proving), ssl_mode="PREFERRED")
    with pytest.raises(ValueError, match="'ssl' asks for TLS"):
        await log_in(**account(proving), ssl=context, ssl_mode="PREFERRED")


async def test_authority_that_is_named(proving: Server) -> None:
    async with TlsProxy(proving.host, proving.port) as proxy:
        ca = certificates().ca
        folder = {"capath": str(ca.parent)}
        for options in ({"ssl_ca": str(ca)}, {"ssl": {"ca": str(ca)}}, {"ssl": folder}):
            arguments = account(proving, port=proxy.port, **options)
            message = await refused("self-signed certificate", **arguments)
            assert "ssl_ca" in message
        assert proxy.connections == 3


async def test_cause_is_kept(proving: Server) -> None:
    with pytest.raises(OperationalError) as caught:
        await connect(**account(proving, ssl_ca=str(certificates().ca)))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert caught.value.__cause__.verify_code == 18


async def test_other_servers_have_one_connection(server: Server, tmp_path: Path) -> None:
    """MySQL, and MariaDB before 11.4: a certificate that fails is refused, as ever."""
    if server.kind == "mariadb" and server.version >= (11, 4):
        pytest.skip("proves its certificate")
    async with TlsProxy(server.host, server.port) as proxy:
        arguments = {**server.connect_args, "port": proxy.port, "password": "any"}
        for count, options in enumerate(VERIFYING, 1):
            message = await refused("certificate verify failed", **arguments, **options)
            assert "without a password" not in message
            assert "ssl_ca" in message
            assert proxy.connections == count
    async with between(server, tmp_path) as proxy:
        arguments = {**server.connect_args, "port": proxy.port}
        await log_in(**arguments, ssl_mode="PREFERRED")
        await refused("certificate verify failed", **arguments, ssl_mode="VERIFY_CA")


async def test_name_is_another(server: Server) -> None:
    if server.tls_ca is None or server.host != "127.0.0.1":
        pytest.skip("needs a server of this run")
    async with TlsProxy(server.host, server.port) as proxy:
        sock = socket.create_connection(("127.0.0.1", proxy.port))
        arguments = {**server.connect_args, "host": "db.example.org", "sock": sock}
        message = await refused(
            "Hostname mismatch", **arguments, ssl_ca=server.tls_ca, ssl_mode="VERIFY_IDENTITY"
        )
        assert "VERIFY_CA" in message


async def test_one_time_limit_for_both(proving: Server) -> None:
    """And nothing stays open when it is over."""

    class Slow(TlsProxy):
        async def serve(self, sock: socket.socket) -> None:
            if self.connections == 2:
                await asyncio.Event().wait()
            await super().serve(sock)

    async with Slow(proving.host, proving.port) as proxy:
        arguments = account(proving, ssl_mode="VERIFY_CA", port=proxy.port, connect_timeout=1.0)
        begin = asyncio.get_running_loop().time()
        with pytest.raises(OperationalError, match="'connect_timeout'"):
            await connect(**arguments)
        assert asyncio.get_running_loop().time() - begin < 2
        assert proxy.connections == 2


# -- another one in between ------------------------------------------------------------------------


@pytest.mark.parametrize("options", CHECKING, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_other_certificate(
    proving: Server, tmp_path: Path, plugin: str, options: dict[str, Any]
) -> None:
    async with between(proving, tmp_path) as proxy:
        arguments = account(proving, plugin, port=proxy.port)
        for _ in range(2):
            await refused("another one is between", **arguments, **options)
        await log_in(**arguments, ssl_mode="REQUIRED")


async def test_other_certificate_with_the_right_name(proving: Server, tmp_path: Path) -> None:
    context = own_context(tmp_path, "localhost")
    async with TlsProxy(proving.host, proving.port, context) as proxy:
        arguments = account(proving, port=proxy.port, host="localhost")
        await refused("another one is between", **arguments, ssl_mode="VERIFY_IDENTITY")


async def test_other_certificate_once_it_was_proven(proving: Server, tmp_path: Path) -> None:
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, ssl_mode="VERIFY_CA", port=proxy.port)
        await log_in(**arguments)
        proxy.context = own_context(tmp_path)
        await refused("certificate verify failed", **arguments)
        await refused("another one is between", **arguments)
        proxy.context = None
        await log_in(**arguments)


async def test_pool_behind_another_certificate(proving: Server, tmp_path: Path) -> None:
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, ssl_mode="PREFERRED", port=proxy.port)
        async with create_pool(**arguments, minsize=1, maxsize=2) as pool:
            first = await pool.acquire()
            proxy.context = own_context(tmp_path)
            with pytest.raises(OperationalError, match="another one is between"):
                await pool.acquire()
            pool.release(first)


def is_login_ok(payload: bytes) -> bool:
    return payload[:1] == b"\0" and payload[8:9] == b"\x01" and len(payload) == 73


def without_proof(payload: bytes) -> bytes:
    return payload[:7] if is_login_ok(payload) else payload


async def test_proof_taken_away(proving: Server, tmp_path: Path) -> None:
    async with between(proving, tmp_path, change=without_proof) as proxy:
        arguments = account(proving, port=proxy.port)
        for options in VERIFYING:
            await refused("did not prove it", **arguments, **options)
        # Whoever wants to be sure asks for verification.
        await log_in(**arguments, ssl_mode="PREFERRED")


@pytest.mark.parametrize("options", CHECKING, ids=str)
async def test_changed_proof(proving: Server, tmp_path: Path, options: dict[str, Any]) -> None:
    changes = (
        lambda ok: ok[:9] + ok[9:].lower(),
        lambda ok: ok[:7] + b"\x40" + ok[8:-1],
        lambda ok: ok[:-1],
        lambda ok: ok + b"0",
        lambda ok: ok[:9] + b"no hexadecimal digits" + bytes(43),
    )
    for change in changes:

        def changed(payload: bytes, change: Any = change) -> bytes:
            return bytes(change(payload)) if is_login_ok(payload) else payload

        async with between(proving, tmp_path, change=changed) as proxy:
            await refused("another one is between", **account(proving, port=proxy.port), **options)


@pytest.mark.parametrize("plugin", sorted(AUTH_METHODS))
@pytest.mark.parametrize("options", CHECKING, ids=str)
async def test_password_is_not_given_away(
    proving: Server, tmp_path: Path, plugin: str, options: dict[str, Any]
) -> None:
    """One in between that asks for the password itself, at first or in place of the answer."""
    salt = b"\x04Password: " if plugin == "dialog" else bytes(range(64, 84)) + b"\0"

    def announced(payload: bytes) -> bytes:
        if payload[:1] != b"\x0a":
            return b"\xfe" + plugin.encode() + b"\0" + salt
        return payload.replace(b"mysql_native_password", plugin.encode())

    def switched(payload: bytes) -> bytes:
        return payload if payload[:1] == b"\x0a" else b"\xfe" + plugin.encode() + b"\0" + salt

    for change in (announced, switched):
        async with between(proving, tmp_path, change=change) as proxy:
            arguments = account(proving, port=proxy.port, allow_cleartext=False, **options)
            with pytest.raises(Connection.Error):
                await connect(**arguments)
            await asyncio.sleep(0.01)
            assert proxy.received
            assert PASSWORD.encode() not in proxy.received


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog"])
async def test_password_itself_for_those_who_want_it(
    proving: Server, tmp_path: Path, plugin: str
) -> None:
    prompt = b"\x04Password: \0" if plugin == "dialog" else b""

    def switched(payload: bytes) -> bytes:
        return payload if payload[:1] == b"\x0a" else b"\xfe" + plugin.encode() + b"\0" + prompt

    async def said(**options: Any) -> bytes:
        async with between(proving, tmp_path, change=switched) as proxy:
            with pytest.raises(Connection.Error) as caught:
                await connect(**account(proving, port=proxy.port), **options)
            await asyncio.sleep(0.01)
            if PASSWORD.encode() not in proxy.received:
                assert f"'{plugin}'" in str(caught.value)
            return proxy.received

    password = PASSWORD.encode() + b"\0"
    assert password in await said(ssl_mode="REQUIRED")
    assert password in await said(ssl_mode="PREFERRED", auth_plugin=plugin)
    assert password in await said(ssl_mode="PREFERRED", allow_cleartext=True)
    assert password not in await said(ssl_mode="PREFERRED")
    # The password is to prove the certificate, which it can't do when others have it.
    assert password not in await said(ssl_mode="VERIFY_CA", auth_plugin=plugin)
    assert password not in await said(ssl_mode="VERIFY_CA", allow_cleartext=True)


async def test_signed_certificate_in_place_of_a_proven_one(
    proving: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is the authority that counts, and the second connection is left out again."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates().ca))
    # No context that others made knows that file.
    verifying = {"cipher": "DEFAULT:!aNULL:!eNULL", "verify_mode": True}
    signed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signed.load_cert_chain(certificates().certificate("server"), certificates().key("server"))
    async with TlsProxy(proving.host, proving.port, change=without_proof) as proxy:
        for mode in ("VERIFY_CA", "VERIFY_IDENTITY"):
            proxy.context = None
            begin = proxy.connections
            arguments = account(proving, ssl=verifying, ssl_mode=mode, port=proxy.port)
            connection = Connection(**arguments)
            for connections in (2, 3):
                await connection._connect()
                await connection.ensure_closed()
                assert proxy.connections == begin + connections
            proxy.context = signed
            for connections in (5, 6):
                await connection._connect()
                await connection.ensure_closed()
                assert proxy.connections == begin + connections


@pytest.mark.parametrize("mode", ["VERIFY_CA", "PREFERRED"])
async def test_failed_connect_leaves_no_cycle(proving: Server, tmp_path: Path, mode: str) -> None:
    made: list[weakref.ref[Connection]] = []

    async def attempt(port: int) -> None:
        connection = Connection(**account(proving, ssl_mode=mode, port=port))
        made.append(weakref.ref(connection))
        await connection._connect()

    async with between(proving, tmp_path) as proxy:
        gc.collect()
        gc.disable()
        try:
            try:
                await attempt(proxy.port)
            except OperationalError:
                pass
            else:
                pytest.fail("connected")
            for _ in range(5):
                await asyncio.sleep(0)
            assert made[0]() is None
        finally:
            gc.enable()


# -- resumed TLS sessions --------------------------------------------------------------------------


async def is_resumed(**arguments: Any) -> bool:
    async with connect(**arguments) as connection:
        await connection.query("SELECT 1")
        encrypted: Any = connection.runner.stream().extra_info("ssl_object")
        return bool(encrypted.session_reused)


@pytest.mark.parametrize("options", CHECKING, ids=str)
@pytest.mark.parametrize("plugin", PLUGINS)
async def test_proven_when_resumed(proving: Server, plugin: str, options: dict[str, Any]) -> None:
    """The certificate is the session's, and proven anew."""
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, plugin, port=proxy.port, **options)
        resumed = [await is_resumed(**arguments) for _ in range(3)]
        assert resumed[0] is False
        assert resumed[1:] == [True, True]
        with pytest.raises(OperationalError, match="Access denied"):
            await connect(**arguments | {"password": "wrong"})
        await log_in(**arguments)


@pytest.mark.parametrize("options", CHECKING, ids=str)
async def test_other_certificate_when_resumed(
    proving: Server, tmp_path: Path, options: dict[str, Any]
) -> None:
    """A session that was made without verification is no proof."""
    async with between(proving, tmp_path) as proxy:
        arguments = account(proving, port=proxy.port)
        assert [await is_resumed(**arguments, ssl_mode="REQUIRED") for _ in range(3)][2]
        for _ in range(2):
            await refused("another one is between", **arguments, **options)
        await log_in(**arguments, ssl_mode="REQUIRED")


async def test_other_certificate_after_sessions_of_the_server(
    proving: Server, tmp_path: Path
) -> None:
    async with TlsProxy(proving.host, proving.port) as proxy:
        arguments = account(proving, port=proxy.port, ssl_mode="PREFERRED")
        assert [await is_resumed(**arguments) for _ in range(3)][2]
        proxy.context = own_context(tmp_path)
        await refused("another one is between", **arguments)
        proxy.context = None
        await is_resumed(**arguments)


# -- once an authority has signed ------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["VERIFY_CA", "VERIFY_IDENTITY"])
async def test_no_proof_where_an_authority_had_signed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Who sits in between later gets nothing that could be passed on to another server."""
    if server.name == DSN_NAME or server.kind != "mariadb" or server.version < (11, 4):
        pytest.skip("only MariaDB 11.4 and later proves its certificate")
    make_accounts(server)
    files = certificates()
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))  # one of the system's authorities
    signed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signed.load_cert_chain(files.certificate("server"), files.key("server"))
    async with TlsProxy(server.host, server.port, signed) as proxy:
        # A context of its own, because others know the system's authorities already.
        own = {"cipher": "DEFAULT:!aNULL"}
        arguments = account(server, ssl_mode=mode, port=proxy.port, ssl=own)
        connection = Connection(**arguments)
        await connection._connect()
        await connection.ensure_closed()
        proxy.context, proxy.received = own_context(tmp_path), b""
        before = proxy.connections
        with pytest.raises(OperationalError, match="certificate verify failed"):
            await connection._connect()
        assert proxy.connections == before + 1
        assert PLUGINS[0].encode() not in proxy.received
