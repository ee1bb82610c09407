"""The server's side of TLS for scripted servers: what a handler writes is encrypted on its way.

`over_tls(reader, writer)` gives a reader and a writer for a handler that knows nothing of TLS. The
greeting that it writes gets the flag of TLS, the client's request for it (MySQL: SSLRequest) is not
shown, and because that took a packet the numbers of those that follow in the log-in are one higher.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from functools import cache
from typing import Any

from pymysql.constants import CLIENT

from tests.servers.certificates import certificates

#: Options of connect() for such a server.
CLIENT_OPTIONS: dict[str, Any] = {"ssl_mode": "REQUIRED"}


@cache
def server_context() -> ssl.SSLContext:
    """The context of the tests' own certificate for 127.0.0.1."""
    files = certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate("server"), files.key("server"))
    return context


def offering_tls(greeting: bytes) -> bytes:
    """A greeting's frame with the flag CLIENT.SSL; anything else as it is."""
    at = greeting.find(b"\0", 5) + 1 + 4 + 8 + 1  # behind version, number and first nonce
    if greeting[4:5] != b"\x0a" or len(greeting) < at + 2:
        return greeting
    flags = int.from_bytes(greeting[at : at + 2], "little") | CLIENT.SSL
    return greeting[:at] + flags.to_bytes(2, "little") + greeting[at + 2 :]


def renumbered(frames: bytes) -> bytes:
    """The frames with numbers one higher, as far as they look like frames."""
    data, at = bytearray(frames), 0
    while at + 4 <= len(data):
        data[at + 3] = (data[at + 3] + 1) % 256
        at += 4 + int.from_bytes(data[at : at + 3], "little")
    return bytes(data)


def over_tls(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    context: ssl.SSLContext | None = None,
) -> tuple[TlsReader, TlsWriter]:
    """The streams for a handler; context: the server's, if not `server_context()`."""
    channel = TlsChannel(reader, writer, context or server_context())
    ours = TlsReader(channel)
    return ours, TlsWriter(channel, ours)


class TlsChannel:
    """The state of both streams."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
    ) -> None:
        self.reader, self.writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.encrypted = False
        #: What the client has sent and the handler has not read yet.
        self.received = bytearray()
        self._is_greeted = False
        self._logs_in = True

    async def receive(self) -> bool:
        """Decrypt more of what the client sends; returns False at the end."""
        if not self.encrypted:
            await self._begin()
        while True:
            try:
                data = self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                if not await self._receive_records():
                    return False
            except ssl.SSLError as error:
                raise ConnectionAbortedError(str(error)) from error
            else:
                if self._logs_in and data[3:4] == b"\0":
                    self._logs_in = False  # the first packet of a command
                self.received += data
                return bool(data)

    async def _receive_records(self) -> bool:
        self._flush()
        await self.writer.drain()
        data = await self.reader.read(1 << 16)
        self._incoming.write(data)
        return bool(data)

    async def _begin(self) -> None:
        head = await self.reader.readexactly(4)
        request = await self.reader.readexactly(int.from_bytes(head[:3], "little"))
        assert len(request) == 32, request
        assert int.from_bytes(request[:4], "little") & CLIENT.SSL
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                if not await self._receive_records():
                    raise ConnectionAbortedError("within the handshake") from None
            except ssl.SSLError as error:
                self._flush()
                raise ConnectionAbortedError(str(error)) from error
            else:
                break
        self.encrypted = True
        self._flush()

    def send(self, data: bytes) -> None:
        if self.encrypted:
            self.writer.write(self.seal(data))
        else:
            self.writer.write(data if self._is_greeted else offering_tls(data))
        self._is_greeted = True

    def seal(self, data: bytes) -> bytes:
        """The records for `data`, after those that are still to be sent."""
        if self._logs_in:
            data = renumbered(data)
        if data:
            self.tls.write(data)
        return self._outgoing.read()

    def say_goodbye(self) -> None:
        """Send close_notify."""
        if self.encrypted:
            with contextlib.suppress(ssl.SSLError):
                self.tls.unwrap()
            self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and not self.writer.is_closing():
            self.writer.write(self._outgoing.read())


class TlsReader(asyncio.StreamReader):
    """What the client sends, decrypted."""

    def __init__(self, channel: TlsChannel) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._channel = channel

    async def read(self, n: int = -1) -> bytes:
        channel = self._channel
        while n and (n < 0 or not channel.received) and await channel.receive():
            pass
        end = len(channel.received) if n < 0 else n
        return self._take(end)

    async def readexactly(self, n: int) -> bytes:
        channel = self._channel
        while len(channel.received) < n:
            if not await channel.receive():
                raise asyncio.IncompleteReadError(self._take(n), n)
        return self._take(n)

    def _take(self, n: int) -> bytes:
        data = bytes(self._channel.received[:n])
        del self._channel.received[:n]
        return data


class TlsWriter(asyncio.StreamWriter):
    """Encrypts what the handler writes; `transport.close()` ends without close_notify."""

    def __init__(self, channel: TlsChannel, reader: TlsReader) -> None:
        transport = channel.writer.transport
        loop = asyncio.get_running_loop()
        super().__init__(transport, transport.get_protocol(), reader, loop)
        self.channel = channel

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.channel.send(bytes(data))

    def close(self) -> None:
        if not self.is_closing():
            self.channel.say_goodbye()
        super().close()
