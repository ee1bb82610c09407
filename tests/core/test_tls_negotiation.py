"""TLS from the first byte, encrypted sockets, and contexts of a kind of their own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiomysql_core import Connection, OperationalError, connect
from aiomysql_core.transport.tls_stream import TlsStream
from aiomysql_core.transport.transport_stream import TransportStream
from aiomysql_pool import create_pool
from tests.scripted import frame, greeting
from tests.servers import Server
from tests.servers.certificates import certificates


class Stunnel:
    """Takes TLS off, as stunnel does, and passes the rest on to a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = certificates()
        self._context.load_cert_chain(files.certificate("server"), files.key("server"))
        self.port = 0
        #: How often somebody has connected.
        self.connections = 0

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Stunnel]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = listener.sockets[0].getsockname()[1]
        async with listener:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection(self._server.host, self._server.port)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    def options(self, **more: Any) -> dict[str, Any]:
        where = {"host": "127.0.0.1", "port": self.port, "ssl_ca": str(certificates().ca)}
        return self._server.connect_args | where | more


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Stunnel]:
    if server.host != "127.0.0.1":
        pytest.skip("needs a server of this run")
    async with Stunnel(server).run() as proxy:
        yield proxy


async def works(connection: Connection) -> None:
    text = "x" * 100_000
    cursor = await connection.cursor()
    await cursor.execute("SELECT %s", (text,))
    assert await cursor.fetchall() == ((text,),)
    await cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    assert await cursor.fetchall() == (("Ssl_cipher", ""),)  # there is none behind the proxy


async def test_direct(proxy: Stunnel) -> None:
    options = proxy.options(ssl_negotiation="direct")
    async with connect(**options) as connection:
        assert type(connection.runner.stream()) is TlsStream
        await works(connection)
    with pytest.raises(OperationalError):  # its greeting never comes
        await connect(**(proxy.options() | {"connect_timeout": 0.5}))


async def test_direct_is_verified(proxy: Stunnel) -> None:
    options = proxy.options(ssl_negotiation="direct", ssl_mode="VERIFY_IDENTITY")
    async with connect(**options) as connection:
        await works(connection)
    with pytest.raises(OperationalError, match="certificate") as caught:
        await connect(**(options | {"ssl_ca": None, "ssl": True}))
    assert caught.value.args[0] == 2026


async def test_direct_in_a_pool_with_statements_killed(proxy: Stunnel) -> None:
    options = proxy.options(ssl_negotiation="direct", on_cancel="kill")
    async with create_pool(minsize=2, maxsize=2, **options) as pool:
        async with pool.acquire() as connection:
            cursor = await connection.cursor()
            with pytest.raises(TimeoutError):
                await cursor.execute("SELECT SLEEP(10)", timeout=0.1)
            await cursor.execute("SELECT 1")
            assert await cursor.fetchall() == ((1,),)
        assert proxy.connections == 3
        assert pool.size == 2


async def test_direct_to_a_server_that_begins_itself(server: Server) -> None:
    """It sends its greeting, which is no TLS record."""
    options: dict[str, Any] = server.connect_args | {"ssl_mode": "REQUIRED"}
    with pytest.raises(OperationalError, match="SSL connection error") as caught:
        await connect(**options, ssl_negotiation="direct")
    assert caught.value.args[0] == 2026


@pytest.mark.parametrize(
    "options",
    [{}, {"ssl": False}, {"ssl_mode": "DISABLED"}, {"ssl_mode": "PREFERRED"}],
    ids=str,
)
async def test_direct_needs_tls(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'ssl_negotiation'.*'ssl_mode' to REQUIRED"):
        await connect(**options, ssl_negotiation="direct")


async def test_bad_negotiation() -> None:
    with pytest.raises(ValueError, match="'ssl_negotiation' must be 'mysql' or 'direct', not 'x'"):
        await connect(ssl_negotiation="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'ssl_negotiation' must be"):
        await connect(ssl_negotiation=None)  # type: ignore[arg-type]


# -- sockets that are encrypted already ------------------------------------------------------------


def encrypted(proxy: Stunnel, *, handshake: bool) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=certificates().ca)
    sock = socket.create_connection(("127.0.0.1", proxy.port))
    return context.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=handshake)


async def test_encrypted_socket(proxy: Stunnel) -> None:
    sock = await asyncio.to_thread(encrypted, proxy, handshake=True)
    async with connect(**proxy.options(sock=sock)) as connection:
        assert connection.runner.stream().extra_info("ssl_object") is sock
        await works(connection)
    assert sock.fileno() == -1


async def test_encrypted_socket_without_a_handshake(proxy: Stunnel) -> None:
    sock = encrypted(proxy, handshake=False)
    async with connect(**proxy.options(sock=sock)) as connection:
        await works(connection)
    assert sock.version() is None


async def test_handshake_of_an_encrypted_socket_fails(proxy: Stunnel) -> None:
    plain = socket.create_connection(("127.0.0.1", proxy.port))
    context = ssl.create_default_context()
    sock = context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False)
    with pytest.raises(OperationalError, match="certificate") as caught:
        await connect(**proxy.options(sock=sock))
    assert caught.value.args[0] == 2026
    assert sock.fileno() == -1


async def test_the_server_knows_nothing_of_tls(
    proxy: Stunnel, server: Server, make_user: Any
) -> None:
    """So it wants the password by RSA where its cache is cold."""
    if server.kind != "mysql":
        pytest.skip("MariaDB has no such cache")
    account = make_user("caching_sha2_password", "secret")
    sock = await asyncio.to_thread(encrypted, proxy, handshake=True)
    async with connect(**(proxy.options(sock=sock) | account)) as connection:
        await works(connection)
    other = proxy.options(ssl_negotiation="direct") | make_user("sha256_password", "secret")
    async with connect(**other) as connection:
        await works(connection)


async def test_a_password_in_clear() -> None:
    """It may travel in what a proxy encrypts."""
    files = certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate("server"), files.key("server"))
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(greeting(), 0))
        header = await reader.readexactly(4)
        await reader.readexactly(int.from_bytes(header[:3], "little"))
        writer.write(frame(b"\xfemysql_clear_password\0", 2))
        seen.append(await reader.readexactly(11))
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        with pytest.raises(OperationalError, match="Lost"):
            await connect(
                host="127.0.0.1",
                port=port,
                user="u",
                password="secret",
                ssl_mode="REQUIRED",
                ssl_negotiation="direct",
            )
    assert seen == [b"\x07\0\0\x03secret\0"]


async def test_encrypted_socket_and_direct(proxy: Stunnel) -> None:
    sock = encrypted(proxy, handshake=False)
    with contextlib.closing(sock), pytest.raises(ValueError, match="'ssl_negotiation'.*leave it"):
        await connect(**proxy.options(sock=sock, ssl_negotiation="direct"))


async def test_encrypted_socket_of_a_server() -> None:
    ours, theirs = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with contextlib.closing(theirs):
        sock = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
        with contextlib.closing(sock), pytest.raises(ValueError, match="client's side"):
            await connect(sock=sock)


async def test_encrypted_socket_that_is_not_verified() -> None:
    """Where the options want it verified, that is said before anything is sent."""
    ours, theirs = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = context.wrap_socket(ours, do_handshake_on_connect=False)
    with contextlib.closing(theirs), contextlib.closing(sock):
        strict = ssl.create_default_context()
        for options in ({"ssl": True}, {"ssl_mode": "VERIFY_CA"}, {"ssl": strict}):
            with pytest.raises(ValueError, match="'sock'.*verify_mode"):
                await connect(sock=sock, **options)
        context.verify_mode = ssl.CERT_REQUIRED
        with pytest.raises(ValueError, match="'sock'.*check_hostname"):
            await connect(sock=sock, ssl_mode="VERIFY_IDENTITY")
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


async def test_socket_that_was_unwrapped(proxy: Stunnel) -> None:
    """It is an `ssl.SSLSocket` that does not encrypt any more."""

    def unwrapped() -> ssl.SSLSocket:
        sock = encrypted(proxy, handshake=True)
        with contextlib.suppress(OSError):
            sock.unwrap()
        return sock

    sock = await asyncio.to_thread(unwrapped)
    sock._sslobj = None  # type: ignore[attr-defined]  # if the proxy's notice has not come
    with pytest.raises(OperationalError, match="unwrapped") as caught:
        await connect(**proxy.options(sock=sock))
    assert caught.value.args[0] == 2026


# -- contexts that make objects of their own -------------------------------------------------------


class OwnContext(ssl.SSLContext):
    made = 0

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        OwnContext.made += 1
        return super().wrap_bio(*args, **kwargs)


async def test_own_ssl_objects(server: Server) -> None:
    context = OwnContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    OwnContext.made = 0
    async with connect(**server.connect_args, ssl=context) as connection:
        assert type(connection.runner.stream()) is TransportStream
        assert await connection.query("SELECT 1") == 1
    assert OwnContext.made == 1


async def test_own_class_of_ssl_objects(server: Server, proxy: Stunnel) -> None:
    class Object(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            if self.version():
                raise ssl.SSLCertVerificationError("not this one")

    context = ssl.create_default_context(cafile=certificates().ca)
    context.sslobject_class = Object
    for options in (server.connect_args, proxy.options(ssl_negotiation="direct", ssl_ca=None)):
        with pytest.raises(OperationalError, match="not this one") as caught:
            await connect(**options, ssl=context)
        assert caught.value.args[0] == 2026


async def not_by_us(context: ssl.SSLContext, server: Server) -> None:
    """The context's own way of verifying, which refuses, is asked."""
    with pytest.raises(OperationalError, match="not this one") as caught:
        await connect(**server.connect_args, ssl=context)
    assert caught.value.args[0] == 2026


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise ssl.SSLCertVerificationError("not this one")


def not_verifying(kind: type[ssl.SSLContext] = ssl.SSLContext) -> Any:
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def test_contexts_that_refuse(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        pytest.skip("after an error there uvloop closes the socket's descriptor a second time")
    context = not_verifying()
    context.wrap_bio = refuse
    await not_by_us(context, server)

    class Wrapping(ssl.SSLContext):
        wrap_bio = functools.wraps(ssl.SSLContext.wrap_bio)(refuse)

    await not_by_us(not_verifying(Wrapping), server)
    with monkeypatch.context() as patch:
        patch.setattr(ssl.SSLObject, "do_handshake", refuse)
        await not_by_us(not_verifying(), server)


async def test_contexts_that_wrap_sockets(server: Server) -> None:
    """Which asyncio never asks for."""

    class Narrow(ssl.SSLContext):
        def wrap_socket(self, sock: Any, server_hostname: Any = None) -> Any:  # type: ignore[override]
            raise RuntimeError("nobody calls this")

    context = not_verifying()
    context.wrap_socket = Narrow.wrap_socket
    for other in (context, not_verifying(Narrow)):
        async with connect(**server.connect_args, ssl=other) as connection:
            assert type(connection.runner.stream()) is TransportStream


class Closing(socket.socket):
    """Counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


async def test_the_callers_socket_stays_whole(server: Server) -> None:
    sock = Closing(socket.AF_INET)
    sock.connect((server.host, server.port))
    arguments = server.connect_args | {"sock": sock, "ssl_mode": "REQUIRED"}
    async with connect(**arguments) as connection:
        assert type(connection.runner.stream()) is TlsStream
        assert sock.getpeername()[1] == server.port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert await connection.query("SELECT 1") == 1
    assert sock.closed
    assert sock.fileno() == -1
    sock = Closing(socket.AF_INET)
    sock.connect((server.host, server.port))
    strict = ssl.create_default_context()
    with pytest.raises(OperationalError, match="certificate"):
        await connect(**server.connect_args, sock=sock, ssl=strict)
    assert sock.fileno() == -1
