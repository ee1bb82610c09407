"""A man in the middle: takes TLS with a certificate of its own, and passes the rest on.

async with TlsProxy("127.0.0.1", 3306, own_context(folder)) as proxy:
connect(host="127.0.0.1", port=proxy.port, ssl_mode="REQUIRED")
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import scripted
from tests.proxy import Proxy, accepted, asks_for_tls, connected, either, pass_on, read_packet, send

#: What is made of a packet's payload that the server sent.
Change = Callable[[bytes], bytes]


def own_context(folder: Path, *names: str, days: int = 1) -> ssl.SSLContext:
    """A server's context with a new self-signed certificate, which has these names.

    days: how long it is valid; it has expired if that is less than zero.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "in the middle")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    path = folder / "own.pem"
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


class TlsProxy(Proxy):
    """Listens on 127.0.0.1, in front of a server."""

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None = None,
        change: Change | None = None,
    ) -> None:
        """host, port: the server's; context: None passes TLS on as it is."""
        super().__init__(host, port)
        self.context = context
        self.change = change
        self.received = b""
        """All that clients said, without encryption."""

    async def serve(self, sock: socket.socket) -> None:
        async with connected(*self.target) as (far_reader, far_writer):
            encrypted = None
            if self.context is not None:
                encrypted = await self._greet(sock, far_reader, far_writer)
            async with accepted(sock, encrypted) as (reader, writer):
                changes = self.context is not None and self.change is not None
                to_client = self._to_client if changes else pass_on
                await either(
                    to_client(far_reader, writer), pass_on(reader, far_writer, self._receive)
                )

    def _receive(self, data: bytes) -> None:
        self.received += data

    async def _greet(
        self,
        sock: socket.socket,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> ssl.SSLContext | None:
        """Until both sides begin with TLS, if the client wants that: then with which context."""
        await asyncio.get_running_loop().sock_sendall(sock, await self._packet(far_reader))
        # Not by a stream, which would read on into the TLS handshake.
        request = await _exactly(sock, 4)
        request += await _exactly(sock, int.from_bytes(request[:3], "little"))
        self.received += request
        far_writer.write(request)
        if not asks_for_tls(request[4:]):
            return None
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        await far_writer.start_tls(trusting)
        return self.context

    async def _to_client(
        self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await send(writer, await self._packet(far_reader))

    async def _packet(self, far_reader: asyncio.StreamReader) -> bytes:
        """The server's next packet, changed."""
        sequence_id, payload = await read_packet(far_reader)
        return scripted.frame(payload if self.change is None else self.change(payload), sequence_id)


async def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not more:
            raise asyncio.IncompleteReadError(data, size)
        data += more
    return data
