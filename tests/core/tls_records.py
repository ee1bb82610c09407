"""A TLS 1.3 server that makes its own records, for what no TLS library can be brought to send.

Python's ssl does the handshake; from then on the records are sealed and opened here, with the
secrets that it logs (RFC 8446, sections 5 and 7). So a script decides where a record begins and
ends, and sends tickets, key updates and alerts when it likes.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests import scripted
from tests.scripted_tls import offering_tls
from tests.servers.certificates import certificates

# Content types, and types of handshake messages.
ALERT, HANDSHAKE, DATA = 21, 22, 23
NEW_SESSION_TICKET, KEY_UPDATE = 4, 24
#: The most bytes in a record.
LARGEST = 1 << 14

_CIPHERS: dict[str, tuple[type[AESGCM | ChaCha20Poly1305], int, hashes.HashAlgorithm]] = {
    "TLS_AES_256_GCM_SHA384": (AESGCM, 32, hashes.SHA384()),
    "TLS_AES_128_GCM_SHA256": (AESGCM, 16, hashes.SHA256()),
    "TLS_CHACHA20_POLY1305_SHA256": (ChaCha20Poly1305, 32, hashes.SHA256()),
}


class _Direction:
    """The keys of one direction, and how many records have used them."""

    def __init__(self, cipher: str, secret: bytes) -> None:
        self._aead, self._size, self._hash = _CIPHERS[cipher]
        self._use(secret)

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = self._aead(self._expand(b"key", self._size))
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")
        self._number = 0

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(self._hash, size, info).derive(self._secret)

    def update(self) -> None:
        self._use(self._expand(b"traffic upd", self._hash.digest_size))

    def _nonce(self) -> bytes:
        number, self._number = self._number, self._number + 1
        return (self._iv ^ number).to_bytes(12, "big")

    def seal(self, plain: bytes) -> bytes:
        head = b"\x17\x03\x03" + (len(plain) + 16).to_bytes(2, "big")
        return head + self._cipher.encrypt(self._nonce(), plain, head)

    def open(self, record: bytes) -> bytes:
        return self._cipher.decrypt(self._nonce(), record[5:], record[:5])


class RecordServer:
    """One connection, from the end of the handshake on."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ours: _Direction,
        theirs: _Direction,
    ) -> None:
        self._reader, self.writer = reader, writer
        self._ours, self._theirs = ours, theirs
        self._received = bytearray()
        #: How many key updates and alerts the client has sent.
        self.key_updates = 0
        self.alerts: list[bytes] = []

    # -- what it sends ---------------------------------------------------------------------------

    def seal(self, data: bytes, kind: int = DATA, *, padding: int = 0) -> bytes:
        """One record; those that are made must be sent in this order."""
        assert len(data) + padding <= LARGEST
        return self._ours.seal(data + bytes([kind]) + bytes(padding))

    def split(self, data: bytes, size: int = LARGEST) -> bytes:
        """Records of at most `size` bytes."""
        pieces = range(0, len(data), size)
        return b"".join(self.seal(data[start : start + size]) for start in pieces)

    def ticket(self) -> bytes:
        """A session ticket, of no use."""
        # lifetime, age, nonce, ticket, no extensions
        body = b"\0\0\x0e\x10" + b"\1\2\3\4" + b"\x01n" + b"\0\x40" + b"t" * 64 + b"\0\0"
        return self.seal(_message(NEW_SESSION_TICKET, body), HANDSHAKE)

    def key_update(self, *, answer: bool) -> bytes:
        """New keys for what comes then; answer: whether the client has to do the same."""
        record = self.seal(_message(KEY_UPDATE, bytes([answer])), HANDSHAKE)
        self._ours.update()
        return record

    def close_notify(self) -> bytes:
        return self.alert(0, level=1)

    def alert(self, description: int, level: int = 2) -> bytes:
        return self.seal(bytes([level, description]), ALERT)

    async def send(self, *segments: bytes, pause: float | None = None) -> None:
        """Send the segments; pause: seconds between them."""
        for number, segment in enumerate(segments):
            if number and pause is not None:
                await asyncio.sleep(pause)
            self.writer.write(segment)
            await self.writer.drain()

    # -- what it receives ------------------------------------------------------------------------

    async def receive(self) -> None:
        """Open the client's next record.  Raises IncompleteReadError at the end."""
        head = await self._reader.readexactly(5)
        assert head[:3] == b"\x17\x03\x03", head
        record = head + await self._reader.readexactly(int.from_bytes(head[3:], "big"))
        plain = self._theirs.open(record).rstrip(b"\0")
        kind, plain = plain[-1], plain[:-1]
        if kind == DATA:
            self._received += plain
        elif kind == ALERT:
            self.alerts.append(plain)
        else:
            assert (kind, plain[0]) == (HANDSHAKE, KEY_UPDATE), plain
            self.key_updates += 1
            self._theirs.update()

    async def packet(self) -> bytes:
        """The payload of the client's next MySQL packet."""
        head = await self._take(4)
        return await self._take(int.from_bytes(head[:3], "little"))

    async def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            await self.receive()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    async def log_in(self) -> None:
        """Let the client in and accept its settings."""
        await self.packet()
        await self.send(self.seal(scripted.frame(scripted.ok(), 3)))
        settings = await self.packet()
        assert settings.startswith(b"\x03SET NAMES "), settings
        await self.send(self.seal(scripted.frames(scripted.ok())))


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


async def _encrypted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> RecordServer:
    """Greet, be asked for TLS and do the handshake."""
    writer.write(offering_tls(scripted.frame(scripted.greeting(), 0)))
    await scripted.read_packet(reader)
    files = certificates()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "secrets")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(files.certificate("server"), files.key("server"))
        context.num_tickets = 0  # they would be sent with the keys that are used here
        context.keylog_filename = str(log)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                # One by one: what follows the last one is not for it.
                head = await reader.readexactly(5)
                incoming.write(head + await reader.readexactly(int.from_bytes(head[3:], "big")))
            else:
                break
        writer.write(outgoing.read())
        lines = [line.split() for line in log.read_text().splitlines()]
    secrets = {line[0]: bytes.fromhex(line[2]) for line in lines if len(line) == 3}
    cipher = tls.cipher()
    assert cipher is not None
    ours = _Direction(cipher[0], secrets["SERVER_TRAFFIC_SECRET_0"])
    theirs = _Direction(cipher[0], secrets["CLIENT_TRAFFIC_SECRET_0"])
    return RecordServer(reader, writer, ours, theirs)


RecordHandler = Callable[[RecordServer], Awaitable[None]]


@asynccontextmanager
async def record_server(handler: RecordHandler, *, logged_in: bool = True) -> AsyncIterator[int]:
    """Serve each connection with `handler`; gives the port.

    logged_in: whether the client is logged in when the handler begins; else its next packet is the
    handshake response.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await _encrypted(reader, writer)
        if logged_in:
            await server.log_in()
        await handler(server)

    async with scripted.scripted_server(serve) as port:
        yield port
