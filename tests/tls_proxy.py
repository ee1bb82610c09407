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
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymysql.constants import CLIENT

from tests import scripted

#: What is made of a packet's payload that the server sent.
Change = Callable[[bytes], bytes]


def own_context(folder: Path, *names: str) -> ssl.SSLContext:
    """A server's context with a new self-signed certificate, which has these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "in the middle")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
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


class TlsProxy:
    """Listens on 127.0.0.1, in front of a server."""

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None = None,
        change: Change | None = None,
    ) -> None:
        """host, port: the server's; context: None passes TLS on as it is."""
        self._target = host, port
        self.context = context
        self.change = change
        self.port = 0
        self.received = b""
        """All that clients said, without encryption."""
        self.connections = 0
        """How many there were."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.socket()

    async def __aenter__(self) -> Self:
        self._listener.setblocking(False)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._begin(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            sock.setblocking(False)
            self.connections += 1
            self._begin(self._serve(sock))

    async def _serve(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self.serve(sock)
        finally:
            sock.close()

    async def serve(self, sock: socket.socket) -> None:
        """Serve one connection, until either side ends it."""
        async with _connected(*self._target) as (far_reader, far_writer):
            encrypted = None
            if self.context is not None:
                encrypted = await self._greet(sock, far_reader, far_writer)
            async with _accepted(sock, encrypted) as (reader, writer):
                to_client = self._to_client if self.context is not None else self._copy
                ways = [
                    asyncio.ensure_future(to_client(far_reader, writer)),
                    asyncio.ensure_future(self._copy(reader, far_writer, keep=True)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _greet(
        self,
        sock: socket.socket,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> ssl.SSLContext | None:
        """Until both sides begin with TLS, if the client wants that: then with which context."""
        loop = asyncio.get_running_loop()
        header, payload = await self._packet(far_reader)
        await loop.sock_sendall(sock, scripted.frame(payload, header[3]))
        # Not by a stream, which would read on into the TLS handshake.
        request = await _exactly(sock, 4)
        request += await _exactly(sock, int.from_bytes(request[:3], "little"))
        self.received += request
        far_writer.write(request)
        if len(request) != 36 or not int.from_bytes(request[4:8], "little") & CLIENT.SSL:
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
                header, payload = await self._packet(far_reader)
                writer.write(scripted.frame(payload, header[3]))
                await writer.drain()

    async def _packet(self, far_reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
        """Header and payload of the server's next packet, changed."""
        header = await far_reader.readexactly(4)
        payload = await far_reader.readexactly(int.from_bytes(header[:3], "little"))
        return header, payload if self.change is None else self.change(payload)

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, keep: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                if keep:
                    self.received += data
                target.write(data)
                await target.drain()


async def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not more:
            raise asyncio.IncompleteReadError(data, size)
        data += more
    return data


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def _connected(host: str, port: int) -> AsyncIterator[_Ends]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        await _close(writer)


@contextlib.asynccontextmanager
async def _accepted(sock: socket.socket, context: ssl.SSLContext | None) -> AsyncIterator[_Ends]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=context)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        yield reader, writer
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
