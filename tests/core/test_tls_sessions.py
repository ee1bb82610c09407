"""TLS sessions are resumed, and never where the server would have to be verified otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import socket
import ssl
import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pymysql.constants import CLIENT

from aiomysql_core import Connection, OperationalError, connect
from aiomysql_core.transport.tls_sessions import KeptSession, TlsResumption, TlsSessions
from aiomysql_pool import create_pool
from tests import scripted
from tests.servers import Server
from tests.servers.certificates import certificates
from tests.tls_proxy import TlsProxy, own_context

VERSIONS = [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2]
TLS = scripted.CAPABILITIES | CLIENT.SSL

Context = ssl.SSLContext


def reused(connection: Connection) -> bool:
    """Whether the connection's handshake has resumed a session."""
    found = connection.runner.stream().extra_info("ssl_object").session_reused
    assert isinstance(found, bool)
    return found


def verifying(version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> Context:
    """A context that verifies the test servers, with names."""
    context = ssl.create_default_context(cafile=str(certificates().ca))
    context.maximum_version = version
    return context


def trusting() -> Context:
    """A context that verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def connects(count: int, **arguments: Any) -> list[bool]:
    """Connect so often, one after the other; which of them resumed a session."""
    found = []
    for _ in range(count):
        async with connect(**arguments) as connection:
            assert await connection.query("SELECT 1") == 1
            found.append(reused(connection))
    return found


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Any]:
    """Options for which the driver makes a context that nobody has used."""
    copy = tmp_path / "ca.pem"
    copy.write_bytes(certificates().ca.read_bytes())
    return {"ssl_ca": str(copy)}


@pytest.fixture
def ours(server: Server) -> Server:
    """The server, if it has the certificate of the test authority."""
    if server.tls_ca is None:
        pytest.skip("the server named in the environment came without its CA")
    return server


# -- on real servers -------------------------------------------------------------------------------


async def test_of_our_own_contexts(ours: Server, own: dict[str, Any]) -> None:
    assert await connects(4, **ours.connect_args, **own) == [False, True, True, True]
    # Another mode is another context.
    more = {**ours.connect_args, **own, "ssl_mode": "VERIFY_IDENTITY"}
    assert await connects(2, **more) == [False, True]


@pytest.mark.parametrize("version", VERSIONS)
async def test_of_contexts_of_callers(ours: Server, version: ssl.TLSVersion) -> None:
    """They get sessions from their second connection on."""
    context = verifying(version)
    expected = [False, False, True, True, True]
    assert await connects(5, **ours.connect_args, ssl=context) == expected
    # Another name for the server is another server.
    if ours.host == "127.0.0.1":
        elsewhere = {**ours.connect_args, "host": "localhost", "ssl": context}
        assert await connects(2, **elsewhere) == [False, True]


async def test_over_unix_sockets(ours: Server, own: dict[str, Any]) -> None:
    arguments = {**ours.connect_args, "unix_socket": ours.unix_socket, **own}
    assert await connects(2, **arguments) == [False, True]


async def test_switched_off(ours: Server, own: dict[str, Any]) -> None:
    for given in (own, {"ssl": verifying()}):
        arguments = {**ours.connect_args, **given, "ssl_session_reuse": False}
        assert not any(await connects(4, **arguments))
    # The context is the same, and others may have put sessions there.
    assert (await connects(2, **ours.connect_args, **own))[1]
    assert await connects(1, **ours.connect_args, **own, ssl_session_reuse=False) == [False]


async def test_not_on_sockets_of_callers(ours: Server, own: dict[str, Any]) -> None:
    """Nobody knows to whom they are connected."""
    assert (await connects(2, **ours.connect_args, **own))[1]
    for _ in range(2):
        sock = socket.create_connection((ours.host, ours.port))
        async with connect(**ours.connect_args, **own, sock=sock) as connection:
            assert not reused(connection)


async def test_connections_of_a_pool(ours: Server, own: dict[str, Any]) -> None:
    async with create_pool(**ours.connect_args, **own, minsize=1, maxsize=3) as pool:
        async with pool.acquire() as first:
            async with pool.acquire() as second:
                assert [reused(first), reused(second)] == [False, True]
            second.close()
        async with pool.acquire() as one, pool.acquire() as other:
            assert sorted([reused(one), reused(other)]) == [False, True]


async def test_connections_that_kill(
    ours: Server, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool | None] = []
    logged_in = TlsResumption.logged_in

    def note(resumption: TlsResumption, tls: Any) -> None:
        seen.append(tls.session_reused)
        logged_in(resumption, tls)

    monkeypatch.setattr(TlsResumption, "logged_in", note)
    async with connect(**ours.connect_args, **own, on_cancel="kill") as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.query("SELECT SLEEP(20)")
        await connection.wait_cancelled()
        assert await connection.query("SELECT 1") == 1
    assert seen == [False, True]


async def test_the_server_must_have_let_the_user_in(ours: Server, own: dict[str, Any]) -> None:
    for _ in range(3):
        with pytest.raises(OperationalError) as caught:
            await connect(**ours.connect_args | {"user": "nobody", "password": "wrong"}, **own)
        assert caught.value.args[0] in (1044, 1045, 1698)
    assert await connects(2, **ours.connect_args, **own) == [False, True]


# -- the trap: a session that was made when less was verified --------------------------------------


def require_certificate(context: Context) -> None:
    context.verify_mode = ssl.CERT_REQUIRED


def load_other_authorities(context: Context) -> None:
    context.load_default_certs()
    context.verify_mode = ssl.CERT_REQUIRED


def check_host_name(context: Context) -> None:
    context.check_hostname = True


def check_revocations(context: Context) -> None:
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("tighten", "words"),
    [
        (require_certificate, "certificate verify failed"),
        (load_other_authorities, "certificate verify failed"),
        (check_host_name, "Hostname mismatch"),
        (check_revocations, "unable to get certificate CRL"),
    ],
)
async def test_context_is_tightened(
    ours: Server,
    version: ssl.TLSVersion,
    tighten: Callable[[Context], None],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", only(ours))
    arguments = {**ours.connect_args, "host": "elsewhere.example"}
    if tighten in (require_certificate, load_other_authorities):
        context = trusting()
        context.maximum_version = version
    else:
        context = verifying(version)
        context.check_hostname = False
    assert await connects(3, **arguments, ssl=context) == [False, False, True]
    tighten(context)
    for _ in range(2):
        with pytest.raises(OperationalError, match=words) as caught:
            await connect(**arguments, ssl=context)
        assert caught.value.args[0] == 2026


def only(server: Server) -> Any:
    """A look-up that finds one server by any name."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        address = (server.host, server.port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address)]

    return getaddrinfo


@pytest.mark.parametrize(
    "change",
    [
        lambda context: context.load_default_certs(),
        lambda context: setattr(context, "minimum_version", ssl.TLSVersion.TLSv1_3),
        lambda context: setattr(context, "options", context.options | ssl.OP_NO_RENEGOTIATION),
        lambda context: setattr(context, "verify_flags", ssl.VERIFY_X509_PARTIAL_CHAIN),
        lambda context: setattr(context, "hostname_checks_common_name", False),
    ],
)
async def test_context_is_changed(ours: Server, change: Callable[[Context], None]) -> None:
    """Whatever it was, the next handshake is a full one."""
    context = verifying()
    assert (await connects(3, **ours.connect_args, ssl=context))[2]
    change(context)
    assert await connects(2, **ours.connect_args, ssl=context) == [False, True]


# -- certificates that the password proves ---------------------------------------------------------


@pytest.fixture
def proven(ours: Server, make_user: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Arguments for a server that proves its certificate."""
    if ours.kind != "mariadb" or ours.version < (11, 4):
        pytest.skip("only MariaDB 11.4 and later proves its certificate")
    return {**ours.connect_args, **make_user("mysql_native_password", "secret")}


async def test_proven_again(proven: dict[str, Any]) -> None:
    for mode in ("VERIFY_CA", "VERIFY_IDENTITY"):
        assert (await connects(4, **proven, ssl_mode=mode))[1:] == [True, True, True]


async def test_who_is_in_between_is_found_out_with_a_resumed_session(
    ours: Server, proven: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is that of the session's first handshake."""
    offered: list[bool] = []
    begin = TlsResumption.begin

    def note(resumption: TlsResumption, context: Context, name: str | None) -> Any:
        session = begin(resumption, context, name)
        offered.append(session is not None)
        return session

    monkeypatch.setattr(TlsResumption, "begin", note)
    async with TlsProxy(ours.host, ours.port, own_context(tmp_path)) as proxy:
        arguments = {**proven, "port": proxy.port}
        assert await connects(3, **arguments, ssl_mode="REQUIRED") == [False, True, True]
        with pytest.raises(OperationalError, match="certificate") as caught:
            await connect(**arguments, ssl_mode="VERIFY_CA")
        assert caught.value.args[0] == 2026
        assert offered == [False, True, True, False, True]


# -- servers that don't know a session any more ----------------------------------------------------


class TlsServer:
    """Lets anybody in over TLS, and answers every statement with OK."""

    def __init__(self, version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> None:
        self.version = version
        #: How many connections there were.
        self.accepted = 0
        #: For each whose handshake is over, whether it resumed a session.
        self.resumed: list[bool] = []
        #: Whether it begins with TLS.
        self.direct = False
        #: Whether it closes the connection instead of resuming a session.
        self.breaks_off = False
        self.restart()

    def restart(self) -> None:
        """Know nothing of the sessions before."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = certificates()
        self.context.load_cert_chain(files.certificate("server"), files.key("server"))
        self.context.maximum_version = self.version

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        greeting = scripted.frame(scripted.greeting(capabilities=TLS), 0)
        if not self.direct:
            writer.write(greeting)
            assert len(await scripted.read_packet(reader)) == 32
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)

        async def complete(function: Callable[..., Any], *args: Any) -> Any:
            while True:
                result, done = None, False
                with contextlib.suppress(ssl.SSLWantReadError):
                    result = function(*args)
                    done = True
                if self.breaks_off and tls.session_reused:
                    raise ConnectionError
                writer.write(outgoing.read())
                if done:
                    return result
                data = await reader.read(65536)
                if not data:
                    raise ConnectionError
                incoming.write(data)

        try:
            await complete(tls.do_handshake)
        except ssl.SSLError:
            return
        finally:
            self.resumed.append(bool(tls.session_reused))
        if self.direct:
            await complete(tls.write, greeting)
        # Behind the greeting, the request of TLS and the client's response.
        sequence = 2 if self.direct else 3
        while await complete(tls.read, 65536):
            await complete(tls.write, scripted.frame(scripted.ok(), sequence))
            sequence = 1

    async def connects(self, count: int, **arguments: Any) -> list[bool]:
        """Connect so often; which connections that made, and whether they resumed a session."""
        self.resumed.clear()
        for _ in range(count):
            (await connect(user="u", **arguments)).close()
        return list(self.resumed)


@contextlib.asynccontextmanager
async def serving(server: TlsServer) -> AsyncIterator[dict[str, Any]]:
    async with scripted.scripted_server(server) as port:
        yield {"host": "127.0.0.1", "port": port}


@pytest.mark.parametrize("version", VERSIONS)
async def test_server_is_restarted(version: ssl.TLSVersion, own: dict[str, Any]) -> None:
    server = TlsServer(version)
    async with serving(server) as where:
        assert await server.connects(3, **where, **own) == [False, True, True]
        server.restart()
        assert await server.connects(3, **where, **own) == [False, True, True]


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
async def test_server_breaks_off(
    version: ssl.TLSVersion, direct: bool, own: dict[str, Any]
) -> None:
    """It is connected to again, without a session; after three times none is offered."""
    server = TlsServer(version)
    server.direct = direct
    own["ssl_negotiation"] = "direct" if direct else "mysql"
    async with serving(server) as where:
        assert await server.connects(1, **where, **own) == [False]
        server.breaks_off = True
        assert await server.connects(1, **where, **own) == [True, False]
        for _ in range(2):
            assert await server.connects(2, **where, **own) == [False, True, False]
        assert await server.connects(3, **where, **own) == [False, False, False]


async def test_server_is_gone_after_it_broke_off(own: dict[str, Any]) -> None:
    """Then that says nothing about sessions."""
    server = TlsServer()
    async with serving(server) as where:
        assert await server.connects(2, **where, **own) == [False, True]
        good, server.context = server.context, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with pytest.raises(OperationalError, match="SSL connection error") as caught:
            await server.connects(1, **where, **own)
        assert caught.value.args[0] == 2026
        assert server.accepted == 4
        server.context = good
        assert await server.connects(3, **where, **own) == [False, True, True]


async def test_another_certificate_after_a_restart(own: dict[str, Any]) -> None:
    """A session that was declined does not spare the server the verification."""
    server = TlsServer()
    async with serving(server) as where:
        assert await server.connects(2, **where, **own) == [False, True]
        server.restart()
        files = certificates()
        server.context.load_cert_chain(files.certificate("client"), files.key("client"))
        with pytest.raises(OperationalError, match="certificate verify failed"):
            await server.connects(1, **where, **own)
        assert server.accepted == 3, "it tried again"


# -- contexts are not kept alive -------------------------------------------------------------------


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("no_collection")
async def test_contexts_used_once_are_freed_at_once(ours: Server) -> None:
    alive: weakref.WeakSet[Context] = weakref.WeakSet()
    for _ in range(100):
        context = trusting()
        alive.add(context)
        async with connect(**ours.connect_args, ssl=context):
            pass
    del context
    await asyncio.sleep(0)
    assert len(alive) == 0


async def test_contexts_used_again_are_collected(ours: Server) -> None:
    context = verifying()
    alive = weakref.ref(context)
    assert (await connects(3, **ours.connect_args, ssl=context))[2]
    del context
    await asyncio.sleep(0)
    gc.collect()
    assert alive() is None


# -- the store -------------------------------------------------------------------------------------


class Peer:
    """A server side for handshakes in memory."""

    def __init__(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self._server = TlsServer(version)
        self.client = verifying(version)

    def connect(self, session: ssl.SSLSession | None) -> ssl.SSLObject:
        """A connection that offers a session, when the first bytes behind the handshake came."""
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.client.wrap_bio(
            to_client, to_server, server_hostname="localhost", session=session
        )
        server = self._server.context.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        server.write(b"tickets come before this")
        assert client.read(100)
        return client

    def offer(self, address: str = "address") -> ssl.SSLSession | None:
        """The session that the next connection would offer."""
        return TlsResumption(address, is_own=True).begin(self.client, "localhost")

    def handshake(self, address: str = "address") -> tuple[TlsResumption, ssl.SSLObject]:
        """A handshake as a connection does it, but for the log-in."""
        resumption = TlsResumption(address, is_own=True)
        return resumption, self.connect(resumption.begin(self.client, "localhost"))

    def log_in(self, address: str = "address") -> bool:
        """The whole of it; returns whether a session was resumed."""
        resumption, client = self.handshake(address)
        resumption.logged_in(client)
        return bool(client.session_reused)


def test_resuming_skips_the_verification() -> None:
    """Why the settings of a context are part of the key."""
    peer = Peer()
    peer.client = trusting()
    peer.log_in()
    session = peer.offer()
    peer.log_in()
    peer.client.verify_mode = ssl.CERT_REQUIRED
    assert peer.connect(session).session_reused
    assert peer.offer() is None
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        peer.connect(None)


def test_tickets_are_used_once() -> None:
    peer = Peer()
    peer.log_in()
    assert peer.offer() is not None
    assert peer.offer() is None


def test_sessions_of_tls_1_2_are_used_again() -> None:
    peer = Peer(ssl.TLSVersion.TLSv1_2)
    peer.log_in()
    session = peer.offer()
    assert session is not None
    for _ in range(3):
        assert peer.connect(session).session_reused
        assert peer.offer() is session


def test_the_newest_ticket_is_used_first_and_their_number_is_bounded() -> None:
    peer = Peer()
    opened = [peer.handshake() for _ in range(12)]
    for resumption, client in opened:
        resumption.logged_in(client)
    found = []
    while (session := peer.offer()) is not None:
        found.append(session.id)
    assert found == [client.session.id for _, client in opened[7::-1] if client.session]


def test_sessions_are_not_read_without_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read one takes a while."""
    peer = Peer()
    opened = [peer.handshake() for _ in range(12)]
    read = []

    def session(client: Any) -> Any:
        read.append(client)
        return client._sslobj.session

    monkeypatch.setattr(ssl.SSLObject, "session", property(session))
    for resumption, client in opened:
        resumption.logged_in(client)
    assert len(read) == 8


def test_the_number_of_servers_is_bounded() -> None:
    peer = Peer()
    for number in range(20):
        peer.log_in(f"address {number}")
    known = [number for number in range(20) if peer.offer(f"address {number}")]
    assert known == list(range(4, 20))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("clock", ["time", "monotonic"])
def test_sessions_expire(
    version: ssl.TLSVersion, clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the server says; and an hour after the server was verified, if it says more."""
    peer = Peer(version)
    for _ in range(3):
        peer.log_in()
    assert peer.log_in()
    now = getattr(time, clock)
    monkeypatch.setattr(time, clock, lambda: now() + 3500)
    assert peer.log_in()  # with TLS 1.3 it brought a new ticket
    monkeypatch.setattr(time, clock, lambda: now() + (7300 if clock == "time" else 3700))
    assert not peer.log_in()
    monkeypatch.undo()
    assert peer.log_in()


def test_sessions_of_the_future_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set back must not make them last longer."""
    peer = Peer()
    peer.log_in()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 60)
    assert peer.offer() is None


def test_contexts_with_ways_of_their_own() -> None:
    class Verifying(ssl.SSLContext):
        pass

    class SSLObject(ssl.SSLObject):
        pass

    class SSLSocket(ssl.SSLSocket):
        pass

    contexts = [Verifying(ssl.PROTOCOL_TLS_CLIENT), trusting(), trusting()]
    contexts[1].sslobject_class = SSLObject
    contexts[2].sslsocket_class = SSLSocket
    for context in contexts:
        for _ in range(3):
            TlsResumption("address", is_own=True).begin(context, None)
            assert not vars(context).keys() - {"sslobject_class", "sslsocket_class"}


def test_servers_that_fail_meanwhile() -> None:
    """What one connection learns holds for others that are under way."""
    peer = Peer()
    peer.log_in()
    failing, _ = peer.handshake()
    other, client = peer.handshake()
    failing.failed(OSError())
    assert failing.has_failed
    for _ in range(3):
        failing.avoid_sessions()
    other.logged_in(client)
    other.failed(OSError())
    assert not other.has_failed
    assert peer.offer() is None


def test_threads() -> None:
    """No ticket is offered twice, whoever takes it."""
    peer = Peer()
    opened = [peer.handshake() for _ in range(8)]
    sessions = [session for _, client in opened if (session := client.session) is not None]
    store = TlsSessions()
    taken: list[ssl.SSLSession] = []
    left = itertools.count()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work() -> None:
        while next(left) < 5000:
            if store.wants(("key",), is_single_use=True):
                with contextlib.suppress(IndexError):
                    store.add(("key",), KeptSession(sessions.pop(), True, time.monotonic()))
            found = [store.take(("key",)) for _ in range(3)]
            taken.extend(kept.session for kept in found if kept is not None)

    try:
        with ThreadPoolExecutor(4) as threads:
            for future in [threads.submit(work) for _ in range(4)]:
                future.result()
    finally:
        sys.setswitchinterval(interval)
    assert len(taken) == len({id(session) for session in taken}) == 8
