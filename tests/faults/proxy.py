"""A TCP proxy between a client and a MySQL server that does harm at a chosen place.

    async with FaultProxy("127.0.0.1", 3306, Fault(Kind.CUT, Direction.TO_CLIENT, at=100)) as proxy:
        connect(host="127.0.0.1", port=proxy.port)

What TCP itself can do to a stream (end, reset, stall, be slow, come in pieces) is done at a byte,
or at a place of a TLS record; what a broken middlebox or server can do (repeat, swap, shorten,
lose) at a packet: a MySQL packet, a frame once the connection is compressed, or a TLS record once
it is encrypted.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pymysql.constants import CLIENT

from aiomysql_protocol.wire.capabilities import ZSTD_COMPRESSION
from tests.proxy import Proxy, accepted, asks_for_tls, connected, either, send

# A handshake response has more bytes.
_RESPONSE = 36

# The size of a full TLS record, its header and what encryption adds left aside.
_FULL_RECORD = 1 << 14
# How many bytes are sent one by one before the rest follows whole.
_TRICKLE = 500
# How long a packet waits for the next one, with which it is to change places.
_SWAP_WAIT = 0.05


class Direction(Enum):
    TO_CLIENT = "to client"
    TO_SERVER = "to server"


class Kind(Enum):
    NONE = "none"
    # at a byte
    CUT = "cut (FIN)"
    RESET = "reset (RST)"
    STALL = "stall"
    DELAY = "delay"
    TRICKLE = "byte by byte"
    # at a packet
    DUPLICATE = "packet twice"
    REORDER = "packets swapped"
    TRUNCATE = "packet shortened"
    DROP = "packet lost"

    @property
    def harmless(self) -> bool:
        """Whether the stream that comes out is the one that went in."""
        return self in (Kind.NONE, Kind.DELAY, Kind.TRICKLE)

    @property
    def by_packet(self) -> bool:
        """Whether the place of the fault is counted in packets."""
        return self in (Kind.DUPLICATE, Kind.REORDER, Kind.TRUNCATE, Kind.DROP)


class Place(Enum):
    """Where in a TLS record, of an encrypted connection, something is done at a byte."""

    BORDER = "before it"
    HEADER = "within its header"
    BODY = "within its body"
    LAST_BYTE = "before its last byte"
    WITHIN_PACKET = "before it, where a full record precedes"
    """So that a MySQL packet goes on over the border, for all that can be seen of it."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and where."""

    kind: Kind = Kind.NONE
    direction: Direction = Direction.TO_CLIENT
    at: int = 0
    """The number of the byte, or packet, in this direction; the first is 0."""
    place: Place | None = None
    """Of a fault that is done at a byte: where in the packet `at`, or the next that is a record."""
    seconds: float = 0.05
    """How long a DELAY lasts."""
    size: int = 1
    """How many bytes a TRUNCATE takes away."""


@dataclass
class Traffic:
    """What passed in one direction."""

    bytes: int = 0
    packets: int = 0


class _Broken(Exception):
    """The fault ends the connection."""


class FaultProxy(Proxy):
    """Listens on 127.0.0.1 and does the same harm to each connection."""

    def __init__(self, host: str, port: int, fault: Fault = Fault()) -> None:
        """`host`, `port`: the server's."""
        super().__init__(host, port)
        self.fault = fault
        self.traffic = {direction: Traffic() for direction in Direction}
        self.hit = False
        """Whether the fault has happened."""

    async def serve(self, sock: socket.socket) -> None:
        runner = _Runner()
        async with connected(*self.target) as (upstream, down), accepted(sock) as (reader, writer):
            try:
                await either(
                    _Lane(self, runner, Direction.TO_CLIENT, upstream, writer).run(),
                    _Lane(self, runner, Direction.TO_SERVER, reader, down).run(),
                )
            finally:
                if self.hit and self.fault.kind is Kind.RESET:
                    for end in (writer, down):
                        _reset(end)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass
class _Runner:
    """What the two directions of a connection know of each other."""

    encrypted: bool = False
    """Whether all but the first packet of each direction is a TLS record."""
    from_the_start: bool = False
    """Whether the first is one, too."""
    asks_compression: bool = False
    compressed: bool = False
    """Whether what follows stands in compressed frames."""


class _Lane:
    """One direction of one connection."""

    def __init__(
        self,
        proxy: FaultProxy,
        runner: _Runner,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._runner = runner
        self._traffic = proxy.traffic[direction]
        self._fault = proxy.fault if proxy.fault.direction is direction else Fault()
        self._to_server = direction is Direction.TO_SERVER
        self._reader = reader
        self._writer = writer
        self._seen = self._packets = 0
        self._incomplete = b""
        self._follows_full = self._is_done = False
        self._swapping: bytes | None = None

    async def run(self) -> None:
        with contextlib.suppress(OSError, _Broken):
            while True:
                data = await self._read()
                if data == b"":
                    break
                await self._pass_on(data)
            # What was held back, and what a peer sent that ended in the middle of a packet.
            await self._write((self._swapping or b"") + self._incomplete)

    async def _read(self) -> bytes:
        while self._swapping is not None:
            try:
                async with asyncio.timeout(_SWAP_WAIT):
                    return await self._reader.read(1 << 16)
            except TimeoutError:
                # Nothing comes that it could change places with.
                held, self._swapping = self._swapping, None
                await self._write(held)
        return await self._reader.read(1 << 16)

    async def _write(self, data: bytes) -> None:
        if data:
            await send(self._writer, data)

    async def _pass_on(self, data: bytes) -> None:
        if self._to_server and not self._seen:
            self._runner.from_the_start = data[:2] == b"\x16\x03"
            self._runner.encrypted = self._runner.from_the_start or asks_for_tls(
                data[4 : 4 + int.from_bytes(data[:3], "little")]
            )
            flags = int.from_bytes(data[4:8], "little") if len(data) > _RESPONSE else 0
            self._runner.asks_compression = bool(flags & (CLIENT.COMPRESS | ZSTD_COMPRESSION))
        self._traffic.bytes += len(data)
        start, self._seen = self._seen, self._seen + len(data)
        if self._fault.place is not None:
            for packet in self._cut(data):
                await self._record(packet, self._fault.place)
        elif self._fault.kind.by_packet or self._fault.kind is Kind.NONE:
            out = b"".join(self._packet(packet) for packet in self._cut(data))
            await self._write(out)
        elif start <= self._fault.at < self._seen:
            await self._write(data[: self._fault.at - start])
            self._proxy.hit = True
            await self._harm(data[self._fault.at - start :])
        else:
            await self._write(data)

    async def _record(self, packet: bytes, place: Place) -> None:
        """Pass a packet on, or do what is to be done at `place` of the record that it is."""
        number, self._packets = self._packets, self._packets + 1
        self._traffic.packets += 1
        follows_full, self._follows_full = self._follows_full, len(packet) >= _FULL_RECORD
        offset = {Place.HEADER: 1 + number % 4, Place.BODY: (5 + len(packet)) // 2}.get(place, 0)
        if place is Place.LAST_BYTE:
            offset = len(packet) - 1
        if (
            self._is_done
            or number < self._fault.at
            or not self._is_record(number)
            or (place is Place.WITHIN_PACKET and not follows_full)
        ):
            await self._write(packet)
            return
        await self._write(packet[:offset])
        self._is_done = self._proxy.hit = True
        await self._harm(packet[offset:])

    def _is_record(self, number: int) -> bool:
        """Whether the packet of this number is a TLS record."""
        return self._runner.encrypted and (number > 0 or self._runner.from_the_start)

    async def _harm(self, rest: bytes) -> None:
        kind = self._fault.kind
        if kind in (Kind.CUT, Kind.RESET):
            raise _Broken
        if kind is Kind.STALL:
            await asyncio.Event().wait()
        elif kind is Kind.DELAY:
            await asyncio.sleep(self._fault.seconds)
        elif kind is Kind.TRICKLE:
            for at in range(min(len(rest), _TRICKLE)):
                await self._write(rest[at : at + 1])
                await asyncio.sleep(0)
            rest = rest[_TRICKLE:]
        await self._write(rest)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        """Give the packets that are complete now."""
        self._incomplete += data
        while True:
            # The first packet of the client asks for TLS itself.
            encrypted = self._is_record(self._packets)
            if self._to_server and self._runner.asks_compression and not encrypted:
                self._runner.compressed |= self._incomplete[3:4] == b"\0"  # the first command
            head = 5 if encrypted else 7 if self._runner.compressed else 4
            if len(self._incomplete) < head:
                return
            length = self._incomplete[:3] if not encrypted else self._incomplete[4:2:-1]
            size = head + int.from_bytes(length, "little")
            if len(self._incomplete) < size:
                return
            packet, self._incomplete = self._incomplete[:size], self._incomplete[size:]
            if self._runner.asks_compression and not (encrypted or self._to_server):
                self._runner.compressed |= packet[4:5] == b"\0"  # the OK of the log-in
            yield packet

    def _packet(self, packet: bytes) -> bytes:
        """What is sent in place of `packet`."""
        number, self._packets = self._packets, self._packets + 1
        self._traffic.packets += 1
        fault = self._fault
        if self._swapping is not None:
            packet, self._swapping = packet + self._swapping, None
            self._proxy.hit = True
            return packet
        if fault.kind is Kind.NONE or number != fault.at:
            return packet
        if fault.kind is Kind.REORDER:
            self._swapping = packet
            return b""
        self._proxy.hit = True
        if fault.kind is Kind.DROP:
            return b""
        if fault.kind is Kind.DUPLICATE:
            return packet * 2
        if self._is_record(number):
            return _shortened_record(packet, fault.size)
        return _shortened(packet, fault.size, 7 if self._runner.compressed else 4)


def _shortened_record(packet: bytes, size: int) -> bytes:
    """The record without its last bytes; its header says so."""
    body = packet[5 : max(5, len(packet) - size)]
    return packet[:3] + len(body).to_bytes(2, "big") + body


def _shortened(packet: bytes, size: int, head: int) -> bytes:
    """The packet, whose header has `head` bytes, without its last bytes; its header says so."""
    body = packet[head : max(head, len(packet) - size)]
    return len(body).to_bytes(3, "little") + packet[3:head] + body
