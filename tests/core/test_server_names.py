"""The name that a server is told before it shows a certificate (SNI): never an address."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import OperationalError, connect
from tests.servers import Server
from tests.servers.certificates import certificates
from tests.tls_proxy import TlsProxy, own_context


class Named(TlsProxy):
    """Records the names that it is told."""

    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        super().__init__(server.host, server.port, context)
        self.names: list[str | None] = []
        context.sni_callback = lambda connection, name, context: self.names.append(name)


def signed() -> ssl.SSLContext:
    """A context with the test server's certificate, for localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates().certificate("server"), certificates().key("server"))
    return context


def by_sock(proxy: TlsProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port))


@pytest.mark.parametrize("mode", ["PREFERRED", "REQUIRED"])
@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("db.example.org", "db.example.org"),
        ("db.example.org.", "db.example.org"),
        ("localhost", "localhost"),
        ("my_db-1", "my_db-1"),
        ("_mysql._tcp.example.org", "_mysql._tcp.example.org"),
        ("bücher.example.org", "xn--bcher-kva.example.org"),
        ("127.0.0.1", None),
        ("10.1.2.3", None),
        ("::1", None),
        ("fe80::1%lo", None),
        (".".join(["a" * 50] * 5), ".".join(["a" * 50] * 5)),
        (".".join(["a" * 60] * 5), None),  # longer than any name
    ],
)
async def test_name_that_is_sent(
    server: Server, tmp_path: Path, mode: Any, host: str, name: str | None
) -> None:
    async with Named(server, own_context(tmp_path)) as proxy:
        arguments = {**server.connect_args, "host": host, "sock": by_sock(proxy)}
        async with connect(**arguments, ssl_mode=mode) as connection:
            await connection.ping(reconnect=False)
    assert proxy.names == [name]


async def test_names_are_sent_where_only_the_authority_counts(server: Server) -> None:
    async with Named(server, signed()) as proxy:
        context = ssl.create_default_context(cafile=certificates().ca)
        context.check_hostname = False
        for options in ({"ssl_ca": str(certificates().ca)}, {"ssl": context}):
            arguments = {**server.connect_args, "host": "db.example.org", "sock": by_sock(proxy)}
            async with connect(**arguments, **options):
                pass
    assert proxy.names == ["db.example.org"] * 2


async def test_names_are_verified_only_if_asked_for(server: Server) -> None:
    verifying: dict[str, Any] = {
        "ssl_ca": str(certificates().ca),
        "ssl_mode": "VERIFY_IDENTITY",
    }
    async with Named(server, signed()) as proxy:
        for host in ("localhost", "127.0.0.1"):
            arguments = {**server.connect_args, "host": host, "sock": by_sock(proxy)}
            async with connect(**arguments, **verifying):
                pass
        assert proxy.names == ["localhost", None]
        for host in ("db.example.org", "127.0.0.2"):
            arguments = {**server.connect_args, "host": host, "sock": by_sock(proxy)}
            with pytest.raises(OperationalError, match="certificate verify failed.*mismatch"):
                await connect(**arguments, **verifying)
        assert proxy.names == ["localhost", None, "db.example.org", None]


async def test_no_name_by_a_unix_socket(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name there is only the default, and the server is this machine's."""
    if server.unix_socket is None:
        pytest.skip("the server named in the environment came without its socket")
    asked: list[str | None] = []
    wrap_bio, wrap_socket = ssl.SSLContext.wrap_bio, ssl.SSLContext.wrap_socket

    def recording(wrap: Any) -> Any:
        def wrapped(*args: Any, server_hostname: str | None = None, **options: Any) -> Any:
            asked.append(server_hostname)
            return wrap(*args, server_hostname=server_hostname, **options)

        return wrapped

    monkeypatch.setattr(ssl.SSLContext, "wrap_bio", recording(wrap_bio))
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", recording(wrap_socket))
    arguments = {**server.connect_args, "unix_socket": server.unix_socket}
    async with connect(**arguments, ssl_mode="REQUIRED"):
        pass
    if asked:  # uvloop has a way of its own
        assert asked == [None]
