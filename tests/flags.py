"""A TCP proxy between a client and a real server that changes the status flags of its packets.

    async with FlagProxy(server.host, server.port, lambda flags: flags & ~IN_TRANS) as proxy:
        connect(host="127.0.0.1", port=proxy.port)

So speak proxies and databases that know less of a session than a server does (Vitess, dolt).  What
is rewritten: the greeting, OK packets and EOF packets, those of result sets included.  There is no
TLS and no compression: they are taken from what the greeting offers.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Generator

from pymysql.constants import CLIENT, COMMAND, SERVER_STATUS

from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF, MAX_FRAME
from tests.proxy import Proxy, accepted, connected, either, read_packet, send

_OK, _LOCAL_INFILE, _EOF, _ERR = 0x00, 0xFB, 0xFE, 0xFF
_UNANSWERED = (COMMAND.COM_QUIT, COMMAND.COM_STMT_CLOSE, COMMAND.COM_STMT_SEND_LONG_DATA)
_RESULTS = (COMMAND.COM_QUERY, COMMAND.COM_STMT_EXECUTE)

#: What the proxy can't look into.
_HIDDEN = CLIENT.SSL | CLIENT.COMPRESS | 1 << 26  # CLIENT_ZSTD_COMPRESSION_ALGORITHM


class FlagProxy(Proxy):
    """Listens on 127.0.0.1 and connects each client to the server."""

    def __init__(
        self, host: str, port: int, flags: Callable[[int], int], *, without: int = 0
    ) -> None:
        """host, port: the server's; flags: what the status flags of each packet become.

        without: further capabilities that the greeting does not offer, DEPRECATE_EOF for instance.
        """
        super().__init__(host, port)
        self._hidden = _HIDDEN | without
        self.flags = flags
        #: The commands of all clients, each with its number in front (MySQL: "Command Phase").
        self.commands: list[bytes] = []

    async def serve(self, sock: socket.socket) -> None:
        conversation = _Conversation(self.flags, self._hidden, self.commands)
        async with connected(*self.target) as (upstream, down), accepted(sock) as (reader, writer):
            await either(
                _pump(upstream, writer, conversation.from_server),
                _pump(reader, down, conversation.from_client),
            )


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    change: Callable[[int, bytes], bytes],
) -> None:
    """Hand packets on until one end is closed; change: (sequence id, payload) -> payload."""
    goes_on = False  # the next frame is the rest of a long payload
    while True:
        sequence_id, payload = await read_packet(reader)
        if not goes_on:
            payload = change(sequence_id, payload)
        goes_on = len(payload) == MAX_FRAME
        await send(writer, len(payload).to_bytes(3, "little") + bytes([sequence_id]) + payload)


class _Conversation:
    """What is said on one connection; payloads of 16 MiB or more are seen by their first frame."""

    def __init__(self, flags: Callable[[int], int], hidden: int, commands: list[bytes]) -> None:
        self._flags = flags
        self._hidden = hidden
        self._commands = commands
        self._capabilities = 0
        self._unanswered: deque[int] = deque()
        self._sends_file = False
        self._reader = self._read()
        next(self._reader)

    def from_client(self, sequence_id: int, payload: bytes) -> bytes:
        """Note what the client asks for."""
        if self._sends_file:
            self._sends_file = bool(payload)
        elif sequence_id == 0:
            self._commands.append(payload)
            if payload[0] not in _UNANSWERED:
                self._unanswered.append(payload[0])
        elif not self._capabilities:
            self._capabilities = int.from_bytes(payload[:4], "little")
            self._capabilities |= int.from_bytes(payload[28:32], "little") << 32
        return payload

    def from_server(self, sequence_id: int, payload: bytes) -> bytes:
        """Change the flags of a packet that has some."""
        return self._reader.send(payload)

    # Takes the server's payloads one by one, and yields what is sent in their place.
    _Steps = Generator[bytes, bytes, bytes]

    def _read(self) -> _Steps:
        payload = self._greeting((yield b""))
        while payload[0] not in (_OK, _ERR):
            payload = yield payload
        payload = yield self._ok(payload)
        while True:
            # An error that the server sends by itself is no response.
            command = self._unanswered.popleft() if self._unanswered else COMMAND.COM_PING
            if payload[0] == _ERR:
                payload = yield payload
            elif command in _RESULTS:
                payload = yield from self._results(payload)
            elif command == COMMAND.COM_STMT_PREPARE:
                payload = yield from self._prepared(payload)
            else:
                payload = yield self._ok(payload)

    def _results(self, payload: bytes) -> _Steps:
        """The response to a statement; returns the first packet behind it."""
        more = True
        while more:
            while payload[0] == _LOCAL_INFILE:
                self._sends_file = True
                payload = yield payload
            if payload[0] not in (_OK, _ERR):
                count, position = _lenenc(payload, 0)
                if self._capabilities & CACHE_METADATA and not payload[position]:
                    count = 0
                payload = yield payload
                payload = yield from self._definitions(payload, count)
                while not (payload[0] == _ERR or self._is_end(payload)):
                    payload = yield payload
            more = bool(_status(payload) & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS)
            payload = yield self._ok(payload)
        return payload

    def _prepared(self, payload: bytes) -> _Steps:
        columns, parameters = (int.from_bytes(payload[at : at + 2], "little") for at in (5, 7))
        payload = yield payload
        for count in (parameters, columns):
            if count:
                payload = yield from self._definitions(payload, count)
        return payload

    def _definitions(self, payload: bytes, count: int) -> _Steps:
        """So many column definitions, and the EOF packet behind them."""
        for _ in range(count):
            payload = yield payload
        if not self._capabilities & DEPRECATE_EOF:
            payload = yield self._ok(payload)
        return payload

    def _is_end(self, payload: bytes) -> bool:
        longest = MAX_FRAME if self._capabilities & DEPRECATE_EOF else 9
        return payload[0] == _EOF and len(payload) < longest

    def _ok(self, payload: bytes) -> bytes:
        """An OK or EOF packet with other flags; an ERR packet as it is."""
        at = _place_of_status(payload)
        return payload if at is None else self._changed(payload, at)

    def _changed(self, payload: bytes, at: int) -> bytes:
        flags = self._flags(int.from_bytes(payload[at : at + 2], "little"))
        return payload[:at] + flags.to_bytes(2, "little") + payload[at + 2 :]

    def _greeting(self, payload: bytes) -> bytes:
        """Behind the version: thread id, 8 bytes of nonce, NUL, capabilities, collation, status."""
        if payload[0] == _ERR:
            return payload
        at = payload.index(0, 1) + 14
        for place, hidden in ((at, self._hidden), (at + 5, self._hidden >> 16)):
            offered = int.from_bytes(payload[place : place + 2], "little") & ~hidden & 0xFFFF
            payload = payload[:place] + offered.to_bytes(2, "little") + payload[place + 2 :]
        return self._changed(payload, at + 3)


def _lenenc(payload: bytes, at: int) -> tuple[int, int]:
    """A length-encoded integer, and where it ends."""
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(payload[at])
    if size is None:
        return payload[at], at + 1
    return int.from_bytes(payload[at + 1 : at + 1 + size], "little"), at + 1 + size


def _place_of_status(payload: bytes) -> int | None:
    """Where the status flags stand; None: it is an ERR packet."""
    if payload[0] == _ERR:
        return None
    if payload[0] == _EOF and len(payload) == 5:
        return 3  # behind the number of warnings
    _, at = _lenenc(payload, 1)  # affected rows
    return _lenenc(payload, at)[1]  # insert id


def _status(payload: bytes) -> int:
    at = _place_of_status(payload)
    return 0 if at is None else int.from_bytes(payload[at : at + 2], "little")
