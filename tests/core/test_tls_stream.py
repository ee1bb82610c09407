"""What only TLS has: records, tickets, key updates, alerts, and two ways to end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from OpenSSL import SSL

from aiomysql_core import (
    Connection,
    Cursor,
    InterfaceError,
    MySQLError,
    OperationalError,
    QueryTimeout,
    SSCursor,
    connect,
)
from tests import scripted
from tests.core.tls_records import LARGEST, RecordServer, record_server
from tests.faults.soak import resident
from tests.faults.watch import let_transports_close, watching
from tests.hostile.response_scripts import EOF, column
from tests.scripted_tls import offering_tls, server_context
from tests.servers import Server
from tests.servers.certificates import certificates

pytestmark = pytest.mark.tls

#: Numbers of a lost connection, and of an error of TLS.
LOST = (2006, 2013, 2026)
QUIT = b"\x01"
KINDS = pytest.mark.parametrize("cursorclass", [Cursor, SSCursor])


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    """No warning, task, socket, or exception that nobody receives."""
    before = asyncio.all_tasks()
    with watching() as noise:
        yield
        await let_transports_close()
    left = [str(task.get_coro()) for task in asyncio.all_tasks() - before]
    assert [name for name in left if " TestRunner." not in name] == []
    assert {line: noise[line] for line in noise if not line.startswith("tasks left")} == {}


async def opened(port: int, **options: Any) -> Connection:
    return await connect(
        **{
            "host": "127.0.0.1",
            "port": port,
            "user": "u",
            "password": "p",
            "ssl_mode": "REQUIRED",
            "autocommit": None,
            "connect_timeout": 5,
            **options,
        }
    )


def cell(data: bytes) -> bytes:
    """A row of one value."""
    size = len(data)
    if size < 251:
        return bytes([size]) + data
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + data
    return b"\xfd" + size.to_bytes(3, "little") + data


def result(*cells: bytes) -> bytes:
    """A result set of one column."""
    return scripted.frames(b"\x01", column(), EOF, *map(cell, cells), EOF)


async def ask(
    connection: Connection, cursorclass: type[Cursor] = Cursor, query: str = "SELECT a FROM t"
) -> list[str]:
    """The values of a result."""
    async with asyncio.timeout(10), connection.cursor(cursorclass) as cursor:
        await cursor.execute(query)
        return [value for (value,) in await cursor.fetchall()]


async def lost(connection: Connection, cursorclass: type[Cursor] = Cursor) -> OperationalError:
    """The error of a statement whose connection is lost over it."""
    began = time.monotonic()
    with pytest.raises(OperationalError) as caught:
        await ask(connection, cursorclass)
    assert time.monotonic() - began < 2
    assert caught.value.args[0] in LOST
    assert connection.closed
    with pytest.raises(MySQLError):
        await connection.ping(reconnect=False)
    return caught.value


async def until_it_goes(server: RecordServer) -> None:
    """Receive whatever the client sends, until it says goodbye."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while await server.packet() != QUIT:
            pass


ROWS = result(b"first", b"second", b"third")
VALUES = ["first", "second", "third"]
GOOD = scripted.frames(scripted.ok(affected_rows=7))


# -- records ---------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 100, 1000])
async def test_packets_over_many_records(size: int, cursorclass: type[Cursor]) -> None:
    """In one segment, and in a segment for each record."""
    long = b"x" * 3000
    response = result(b"first", long, b"last")

    async def serve(server: RecordServer) -> None:
        for separate in (False, True):
            await server.packet()
            pieces = [response[at : at + size] for at in range(0, len(response), size)]
            records = [server.seal(piece) for piece in pieces]
            if separate:
                for record in records:
                    await server.send(record)
                    await asyncio.sleep(0)
            else:
                await server.send(b"".join(records))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        for _ in range(2):
            assert await ask(connection, cursorclass) == ["first", long.decode(), "last"]


async def test_many_packets_in_a_record() -> None:
    response = result(*[b"%d" % number for number in range(1200)])
    assert len(response) < LARGEST

    async def serve(server: RecordServer) -> None:
        await server.packet()
        await server.send(server.seal(response))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        assert await ask(connection) == [str(number) for number in range(1200)]


@KINDS
async def test_empty_and_padded_records(cursorclass: type[Cursor]) -> None:
    """They are no end of the connection, wherever they come."""

    async def serve(server: RecordServer) -> None:
        await server.packet()
        await server.send(server.seal(b""))
        await asyncio.sleep(0.01)
        records = [server.seal(b"")]
        for at in range(0, len(ROWS), 9):
            records += [
                server.seal(ROWS[at : at + 9], padding=at * 7 % 300),
                server.seal(b"", padding=at % 2 * 100),
            ]
        await server.send(b"".join(records))
        await server.packet()
        await server.send(server.seal(b""))
        await server.send(server.seal(GOOD, padding=LARGEST - len(GOOD) - 1))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        assert await ask(connection, cursorclass) == VALUES
        assert await connection.query("UPDATE t") == 7


@pytest.mark.parametrize("at", [1, 4, 5, 6, 20, -17, -16, -1])
@KINDS
async def test_a_record_in_two_segments(at: int, cursorclass: type[Cursor]) -> None:
    """Its second half comes when the task has waited for a while."""

    async def serve(server: RecordServer) -> None:
        await server.packet()
        record = server.seal(ROWS)
        await server.send(record[:at], record[at:], pause=0.02)
        await server.packet()
        # Behind a response that is whole, there stands the beginning of what comes next.
        records = server.seal(GOOD[:-1]) + server.seal(GOOD[-1:])
        await server.send(records[:at], records[at:], pause=0.02)
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        assert await ask(connection, cursorclass) == VALUES
        assert await connection.query("UPDATE t") == 7


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("total", [1 << 14, 1 << 15, 1 << 18, (1 << 18) + (1 << 14), 1 << 19])
@KINDS
async def test_responses_as_long_as_the_buffers(
    total: int, more: int, cursorclass: type[Cursor]
) -> None:
    """What fills the receive buffer to its last byte is the last of it, or isn't."""
    row = b"r" * 2000
    rows = [row] * ((total - 200) // (len(row) + 7) - 1)
    rest = total + more - len(result(*rows)) - 7
    response = result(*rows, b"e" * rest)
    assert len(response) == total + more
    wanted = [row.decode()] * len(rows) + ["e" * rest]

    async def serve(server: RecordServer) -> None:
        for _ in range(3):
            await server.packet()
            await server.send(server.split(response))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        for _ in range(3):  # the first has a small buffer to begin with
            assert await ask(connection, cursorclass) == wanted


@pytest.mark.parametrize("size", [100, 4097, LARGEST - 1, LARGEST])
async def test_long_cells(size: int) -> None:
    """Received where they are to stand, whatever the records are like."""
    value = bytes(range(97, 122)) * 40_000

    async def serve(server: RecordServer) -> None:
        for _ in range(2):
            await server.packet()
            await server.send(server.split(result(b"a", value, b"b", value), size))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        cursorclass: Any
        for cursorclass in (Cursor, SSCursor):
            got = await ask(connection, cursorclass)
            assert got == ["a", value.decode(), "b", value.decode()]


# -- what the protocol has between the records -----------------------------------------------


@pytest.mark.parametrize("where", ["before", "alone", "same segment", "within", "after", "split"])
@KINDS
async def test_late_tickets(where: str, cursorclass: type[Cursor]) -> None:
    async def serve(server: RecordServer) -> None:
        if where == "alone":
            await server.send(server.ticket() + server.ticket())
        for _ in range(3):
            await server.packet()
            if where == "before":
                await server.send(server.ticket(), server.seal(ROWS), pause=0.01)
            elif where == "same segment":
                await server.send(server.seal(ROWS) + server.ticket() + server.ticket())
            elif where == "within":
                await server.send(server.seal(ROWS[:30]) + server.ticket() + server.seal(ROWS[30:]))
            elif where == "split":
                records = server.seal(ROWS) + server.ticket()
                await server.send(records[:-5], records[-5:], pause=0.02)
            else:
                await server.send(server.seal(ROWS), server.ticket(), pause=0.01)
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        await asyncio.sleep(0.01)
        for _ in range(3):
            assert await ask(connection, cursorclass) == VALUES
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("answer", [False, True])
@KINDS
async def test_key_updates(answer: bool, cursorclass: type[Cursor]) -> None:
    """By themselves, within a result, and many in a row."""
    updates = 0

    async def serve(server: RecordServer) -> None:
        nonlocal updates
        await server.send(server.key_update(answer=answer))
        await server.packet()
        await server.send(
            server.seal(ROWS[:30]) + server.key_update(answer=answer) + server.seal(ROWS[30:])
        )
        await server.packet()
        await server.send(server.seal(ROWS[:40]), server.key_update(answer=answer), pause=0.01)
        await asyncio.sleep(0.01)
        await server.send(server.seal(ROWS[40:]))
        for _ in range(10):
            await server.packet()
            updated = b"".join(server.key_update(answer=answer) for _ in range(3))
            await server.send(updated + server.split(ROWS, 20))
        await server.packet()
        await server.send(server.seal(GOOD))
        updates = server.key_updates
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        await asyncio.sleep(0.01)
        for _ in range(12):
            assert await ask(connection, cursorclass) == VALUES
        assert await connection.query("UPDATE t") == 7
    assert updates >= 12 if answer else updates == 0


LONG = "SELECT '" + "".join(f"{number:07}" for number in range(2_400_000)) + "'"


@pytest.mark.slow
@pytest.mark.parametrize("between", ["key updates", "tickets"])
async def test_while_a_request_is_sent(between: str) -> None:
    """What has to be read, and answered, before all is sent."""
    received: list[bytes] = []

    async def serve(server: RecordServer) -> None:
        async def talk() -> None:
            for _ in range(5):
                if between == "tickets":
                    await server.send(server.ticket())
                else:
                    await server.send(server.key_update(answer=True))
                await asyncio.sleep(0.02)

        talking = asyncio.ensure_future(talk())
        for _ in range(2):
            received.append(await server.packet())
            await asyncio.sleep(0)
        await talking
        await server.send(server.seal(scripted.frame(scripted.ok(affected_rows=7), 2)))
        if between == "key updates":
            await server.packet()
            assert server.key_updates >= 1
            await server.send(server.seal(GOOD))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        async with asyncio.timeout(20):
            assert await connection.query(LONG) == 7
            if between == "key updates":
                assert await connection.query("UPDATE t") == 7
    assert b"".join(received) == b"\x03" + LONG.encode()


@pytest.mark.parametrize(
    "then",
    [
        "server reads",
        pytest.param("cancelled"),
        pytest.param("closed"),
        pytest.param("server goes"),
    ],
)
async def test_key_updates_that_can_not_be_answered(then: str) -> None:
    """To read the client has to write, which the system does not take."""
    read_on = asyncio.Event()
    blocked = 0
    rounds = 3000

    async def serve(server: RecordServer) -> None:
        nonlocal blocked
        reading = cast(asyncio.Transport, server.writer.transport)
        reading.pause_reading()
        while not read_on.is_set() and blocked < rounds:
            # It doesn't read, and knows what it is asked. More without data between are too many.
            updates = b"".join(server.key_update(answer=True) for _ in range(20))
            await server.send(updates + server.seal(GOOD))
            blocked += 1
            await asyncio.sleep(0)
        await read_on.wait()
        if then == "server goes":
            return
        reading.resume_reading()
        await until_it_goes(server)

    async with record_server(serve) as port:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock.connect(("127.0.0.1", port))
        descriptor = sock.fileno()
        connection = await opened(port, sock=sock)

        async def use() -> int:
            for number in range(rounds):
                assert await connection.query("UPDATE t") == 7
                # Its answers are on their way before the next request.
                await asyncio.sleep(0.0001 * (number % 2))
            return number

        using = asyncio.ensure_future(use())
        await asyncio.wait([using], timeout=1.5)
        loop = asyncio.get_running_loop()
        try:
            if then == "cancelled":
                using.cancel()
            elif then == "closed":
                connection.close()
            else:
                read_on.set()
            await asyncio.wait([using], timeout=10)
            assert using.done()
            if then != "server reads":
                assert connection.closed
                await asyncio.sleep(0.01)
                # The loop does not watch a number that may be another's from now on.
                assert not loop.remove_writer(descriptor)
                assert not loop.remove_reader(descriptor)
        finally:
            using.cancel()
            with contextlib.suppress(asyncio.CancelledError, MySQLError, RuntimeError):
                await using
            connection.close()
            read_on.set()


class Renegotiating:
    """A server with TLS 1.2 that begins a new handshake when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        certificate, key = _files()
        context.use_certificate_file(str(certificate))
        context.use_privatekey_file(str(key))
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._reader, self._writer = reader, writer
        self._received = bytearray()

    async def _flush(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self._writer.write(self._tls.bio_read(1 << 16))
        await self._writer.drain()

    async def _more(self) -> None:
        await self._flush()
        data = await self._reader.read(1 << 16)
        if not data:
            raise asyncio.IncompleteReadError(b"", 1)
        self._tls.bio_write(data)

    async def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                await self._more()
            else:
                return await self._flush()

    async def renegotiate(self) -> None:
        """Ask for a new handshake and wait until it is done; keeps what comes before it."""
        done = self._tls.total_renegotiations() + 1
        assert self._tls.renegotiate()
        self._tls.do_handshake()
        while self._tls.total_renegotiations() < done or self._tls.renegotiate_pending():
            await self._more()
            with contextlib.suppress(SSL.WantReadError):
                while True:
                    self._received += self._tls.recv(1 << 16)
        await self._flush()

    async def send(self, data: bytes) -> None:
        self._tls.sendall(data)
        await self._flush()

    async def read(self, size: int) -> bytes:
        while len(self._received) < size:
            try:
                self._received += self._tls.recv(1 << 16)
            except SSL.WantReadError:
                await self._more()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    async def packet(self) -> bytes:
        head = await self.read(4)
        return await self.read(int.from_bytes(head[:3], "little"))


@contextlib.asynccontextmanager
async def renegotiating(
    handler: Callable[[Renegotiating], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve logged in clients with `handler`; gives the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(offering_tls(scripted.frame(scripted.greeting(), 0)))
        await scripted.read_packet(reader)
        server = Renegotiating(reader, writer)
        await server.handshake()
        await server.packet()
        await server.send(scripted.frame(scripted.ok(), 3))
        await server.packet()
        await server.send(scripted.frames(scripted.ok()))
        await handler(server)
        with contextlib.suppress(SSL.ZeroReturnError):
            assert await server.packet() == QUIT

    async with scripted.scripted_server(serve) as port:
        yield port


@KINDS
async def test_renegotiation(cursorclass: type[Cursor]) -> None:
    """While the client is idle, waits, and is within a result."""

    async def serve(server: Renegotiating) -> None:
        await server.renegotiate()
        for at in (0, 30, len(ROWS)):
            await server.packet()
            if at:
                await server.send(ROWS[:at])
            await server.renegotiate()
            if at < len(ROWS):
                await server.send(ROWS[at:])

    async with renegotiating(serve) as port, await opened(port) as connection:
        for _ in range(3):
            assert await ask(connection, cursorclass) == VALUES


@pytest.mark.slow
async def test_renegotiation_while_a_request_is_sent() -> None:
    """The client can't write before it has read, and goes on with the same bytes."""
    request = b"\x03" + LONG.encode()
    received = b""

    async def serve(server: Renegotiating) -> None:
        nonlocal received
        for size in (1000, 1_000_000, 100_000):
            received += await server.read(size)
            await server.renegotiate()
        received += await server.read(len(request) + 8 - len(received))
        await server.send(scripted.frame(scripted.ok(affected_rows=7), 2))

    async with renegotiating(serve) as port, await opened(port) as connection:
        async with asyncio.timeout(20):
            assert await connection.query(LONG) == 7
    frame_size = (1 << 24) - 1
    assert received[4 : 4 + frame_size] + received[8 + frame_size :] == request


# -- the end ---------------------------------------------------------------------------------


async def end_ragged(server: RecordServer) -> None:
    server.writer.close()


async def end_properly(server: RecordServer) -> None:
    await server.send(server.close_notify())
    server.writer.close()


async def end_by_tls_alone(server: RecordServer) -> None:
    """TCP stays open."""
    await server.send(server.close_notify())
    await until_it_goes(server)


async def reset(server: RecordServer) -> None:
    reset_writer(server.writer)


def reset_writer(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


ENDS = [end_ragged, end_properly, end_by_tls_alone, reset]
ends = pytest.mark.parametrize("end", ENDS)
PLACES = {
    "nothing": 0,
    "within the columns": 20,
    "within a row": ROWS.index(b"second") + 2,
    "at a packet's border": ROWS.index(b"second") - 5,
    "before the last byte": len(ROWS) - 1,
}


@pytest.mark.parametrize("place", PLACES)
@ends
@KINDS
async def test_ends_within_a_result(
    place: str, end: Callable[[RecordServer], Awaitable[None]], cursorclass: type[Cursor]
) -> None:
    async def serve(server: RecordServer) -> None:
        await server.packet()
        if PLACES[place]:
            await server.send(server.seal(ROWS[: PLACES[place]]))
        await end(server)

    async with record_server(serve) as port:
        await lost(await opened(port), cursorclass)


@pytest.mark.parametrize("at", [1, 4, 5, 6, -16, -1])
async def test_ends_within_a_record(at: int) -> None:
    async def serve(server: RecordServer) -> None:
        await server.packet()
        await server.send(server.seal(ROWS)[:at])
        server.writer.close()

    async with record_server(serve) as port:
        await lost(await opened(port))


@ends
async def test_ends_before_the_log_in(end: Callable[[RecordServer], Awaitable[None]]) -> None:
    async with record_server(end, logged_in=False) as port:
        began = time.monotonic()
        with pytest.raises(OperationalError) as caught:
            await opened(port)
        assert caught.value.args[0] in LOST
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("turns", range(8))
async def test_reset_before_the_handshake(turns: int) -> None:
    """Whatever the client is about to do with its socket then."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(offering_tls(scripted.frame(scripted.greeting(), 0)))
        for _ in range(turns):
            await asyncio.sleep(0)
        reset_writer(writer)

    async with scripted.scripted_server(serve) as port:
        with pytest.raises(OperationalError) as caught:
            await opened(port)
        assert caught.value.args[0] in (2003, *LOST)


@ends
async def test_ends_while_idle(end: Callable[[RecordServer], Awaitable[None]]) -> None:
    async with record_server(end) as port:
        connection = await opened(port)
        async with asyncio.timeout(2):
            while not connection.closed:
                await asyncio.sleep(0.01)
        await lost(connection)


@pytest.mark.parametrize("end", [end_properly, end_by_tls_alone, end_ragged])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_response_and_the_end(
    end: Callable[[RecordServer], Awaitable[None]], at_once: bool
) -> None:
    """What is whole is delivered, also from the segment that brings the end."""

    async def serve(server: RecordServer) -> None:
        await server.packet()
        if at_once and end is not end_ragged:
            await server.send(server.seal(ROWS) + server.close_notify())
            if end is end_by_tls_alone:
                await until_it_goes(server)
        else:
            await server.send(server.seal(ROWS))
            await end(server)

    async with record_server(serve) as port:
        connection = await opened(port)
        assert await ask(connection) == VALUES
        await lost(connection)


async def test_last_words() -> None:
    """An error that the server sends unasked is what the next statement raises."""

    async def serve(server: RecordServer) -> None:
        await server.packet()
        words = scripted.frame(scripted.error(1053, "Server shutdown in progress"), 0)
        await server.send(server.seal(ROWS) + server.seal(words) + server.close_notify())

    async with record_server(serve) as port:
        connection = await opened(port)
        assert await ask(connection) == VALUES
        with pytest.raises(OperationalError, match="shutdown"):
            await ask(connection)
        assert connection.closed


async def test_a_second_packet_that_nobody_asked_for() -> None:
    async def serve(server: RecordServer) -> None:
        await server.packet()
        await server.send(server.seal(ROWS + GOOD))
        await until_it_goes(server)

    async with record_server(serve) as port:
        connection = await opened(port)
        with contextlib.suppress(OperationalError):  # told at once, or at the next statement
            assert await ask(connection) == VALUES
        with pytest.raises(MySQLError, match="nobody asked for|gone away"):
            await ask(connection)
        assert connection.closed


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("size", [100_000, 16 << 20])
async def test_ends_while_a_request_is_sent(size: int, told: bool) -> None:
    """Why, if the server has said so; and in any case at once."""

    async def serve(server: RecordServer) -> None:
        await server.receive()
        if told:
            too_large = scripted.error(1153, "Got a packet too large", "08S01")
            await server.send(server.seal(scripted.frame(too_large, 1)))
        await server.send(server.close_notify())
        await asyncio.sleep(0.05)

    async with record_server(serve) as port:
        connection = await opened(port)
        began = time.monotonic()
        with pytest.raises(OperationalError) as caught:
            async with asyncio.timeout(5):
                await connection.query("SELECT '" + "q" * size + "'")
        assert caught.value.args[0] in ((1153,) if told else LOST)
        assert time.monotonic() - began < 3
        if not told:
            assert connection.closed
        connection.close()


# -- what breaks it --------------------------------------------------------------------------


def flipped(record: bytes, at: int) -> bytes:
    data = bytearray(record)
    data[at] ^= 1
    return bytes(data)


BROKEN: dict[str, Callable[[RecordServer], bytes]] = {
    "a bit of the text": lambda server: flipped(server.seal(ROWS), 7),
    "a bit of its tag": lambda server: flipped(server.seal(ROWS), -1),
    "its version": lambda server: flipped(server.seal(ROWS), 1),
    "its type": lambda server: flipped(server.seal(ROWS), 0),
    "its length": lambda server: flipped(server.seal(ROWS), 4) + bytes(100),
    "a good one, then a bit": lambda server: server.seal(ROWS[:30]) + flipped(server.seal(ROWS), 9),
    "the same again": lambda server: server.seal(ROWS[:30]) * 2,
    "one that is lost": lambda server: (server.seal(b"x"), server.seal(ROWS))[1],
    "a length of 64 KiB": lambda server: b"\x17\x03\x03\xff\xff" + bytes(1000),
    "MySQL in clear": lambda server: ROWS,
    "OK in clear": lambda server: GOOD,
    "a web server": lambda server: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "nonsense": lambda server: bytes(range(256)),
    "an alert": lambda server: server.alert(80),
    "an alert behind half a result": lambda server: server.seal(ROWS[:40]) + server.alert(40),
    "an alert in clear": lambda server: b"\x15\x03\x03\0\x02\x02\x28",
    "a handshake message": lambda server: server.seal(b"\x0e\0\0\0", 22),
    "a handshake in clear": lambda server: b"\x16\x03\x03\0\x04\x00\0\0\0",
    "an unknown type": lambda server: server.seal(ROWS, 99),
    "nothing but padding": lambda server: server.seal(b"", 0),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_records(name: str) -> None:
    async def serve(server: RecordServer) -> None:
        await server.packet()
        await server.send(BROKEN[name](server))
        await until_it_goes_or_breaks(server)

    async with record_server(serve) as port:
        error = await lost(await opened(port, read_timeout=5))
        assert not isinstance(error, QueryTimeout)


@pytest.mark.parametrize("name", ["a bit of its tag", "MySQL in clear", "an alert"])
async def test_broken_records_while_idle(name: str) -> None:
    async def serve(server: RecordServer) -> None:
        await asyncio.sleep(0.05)
        await server.send(BROKEN[name](server))
        await until_it_goes_or_breaks(server)

    async with record_server(serve) as port:
        connection = await opened(port)
        async with asyncio.timeout(2):
            while not connection.closed:
                await asyncio.sleep(0.01)
        await lost(connection)


@pytest.mark.parametrize("name", ["a bit of its tag", "MySQL in clear", "an alert"])
async def test_broken_records_while_a_request_is_sent(name: str) -> None:
    async def serve(server: RecordServer) -> None:
        await server.receive()
        await server.send(BROKEN[name](server))
        await asyncio.sleep(0.1)

    async with record_server(serve) as port:
        connection = await opened(port)
        with pytest.raises(OperationalError) as caught:
            async with asyncio.timeout(5):
                await connection.query("SELECT '" + "q" * (16 << 20) + "'")
        assert caught.value.args[0] in LOST
        assert connection.closed


@pytest.mark.parametrize("name", ["a bit of its tag", "MySQL in clear", "an alert", "nonsense"])
async def test_broken_records_within_the_log_in(name: str) -> None:
    async def serve(server: RecordServer) -> None:
        await server.packet()
        await server.send(BROKEN[name](server))
        await until_it_goes_or_breaks(server)

    async with record_server(serve, logged_in=False) as port:
        with pytest.raises(OperationalError) as caught:
            await opened(port)
        assert caught.value.args[0] in LOST


async def until_it_goes_or_breaks(server: RecordServer) -> None:
    """Receive whatever comes, which may be an alert in clear."""
    with contextlib.suppress(AssertionError):
        await until_it_goes(server)


# -- a server that does not read -------------------------------------------------------------

HUGE = 64 << 20


async def by_cancelling(connection: Connection, query: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.query(query), 0.3)


async def by_its_timeout(connection: Connection, query: str) -> None:
    with pytest.raises(QueryTimeout, match="argument 'timeout'"):
        await connection.query(query, timeout=0.3)


async def by_write_timeout(connection: Connection, query: str) -> None:
    with pytest.raises(QueryTimeout, match="option 'write_timeout'"):
        await connection.query(query)


async def by_closing(connection: Connection, query: str) -> None:
    asyncio.get_running_loop().call_later(0.3, connection.close)
    with pytest.raises((InterfaceError, OperationalError)):
        await connection.query(query)


async def by_aborting(connection: Connection, query: str) -> None:
    asyncio.get_running_loop().call_later(0.3, connection.runner.stream().abort)
    with pytest.raises((InterfaceError, OperationalError)):
        await connection.query(query)


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", [by_cancelling, by_its_timeout, by_write_timeout, by_closing, by_aborting]
)
async def test_a_server_that_reads_nothing(
    way: Callable[[Connection, str], Awaitable[None]],
) -> None:
    async def serve(server: RecordServer) -> None:
        await asyncio.sleep(60)

    options: dict[str, Any] = {"write_timeout": 0.3} if way is by_write_timeout else {}
    query = "SELECT '" + "q" * HUGE + "'"
    async with record_server(serve) as port:
        connection = await opened(port, **options)
        before = resident()
        most = 0

        async def measure() -> None:
            nonlocal most
            while True:
                most = max(most, resident() - before)
                await asyncio.sleep(0.01)

        measuring = asyncio.ensure_future(measure())
        began = time.monotonic()
        async with asyncio.timeout(10):
            await way(connection, query)
        assert time.monotonic() - began < 5
        measuring.cancel()
        assert connection.closed
        await asyncio.wait([measuring])
    # The text as bytes, the request, and what of it is not sent yet.
    assert most < 4 * HUGE
    del query


async def test_what_nobody_takes_is_not_received() -> None:
    """Of 50 MB only what the buffers hold; the rest comes when it is asked for."""
    row = b"r" * 100_000
    count = 500
    sent = 0

    async def serve(server: RecordServer) -> None:
        nonlocal sent
        await server.packet()
        response = scripted.frames(b"\x01", column(), EOF)
        packet = cell(row)
        for number in range(4, 4 + count):
            response += scripted.frame(packet, number)
            await server.send(server.split(response))
            sent += 1
            response = b""
        await server.send(server.seal(scripted.frame(EOF, 4 + count)))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port) as connection:
        async with connection.cursor(SSCursor) as cursor:
            await cursor.execute("SELECT a FROM t")
            before, seen = resident(), -1
            while seen != sent:
                seen = sent
                await asyncio.sleep(0.1)
            assert sent < count // 2
            assert resident() - before < 8_000_000
            async with asyncio.timeout(20):
                rows = [value async for (value,) in cursor]
        assert rows == [row.decode()] * count


async def test_a_file_that_nobody_takes() -> None:
    """As much of it is read as the buffers hold."""
    chunk = b"0123456789\n" * 10_000
    given = 0
    read_on = asyncio.Event()
    received = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(400):
            given += 1
            yield chunk

    async def serve(server: RecordServer) -> None:
        nonlocal received
        await server.packet()
        await server.send(server.seal(scripted.frame(b"\xfbdata", 1)))
        await read_on.wait()
        number = 2
        while packet := await server.packet():
            received += len(packet)
            number += 1
        await server.send(server.seal(scripted.frame(scripted.ok(affected_rows=9), number + 1)))
        await until_it_goes(server)

    async with record_server(serve) as port, await opened(port, local_infile=True) as connection:
        load = "LOAD DATA LOCAL INFILE 'data' INTO TABLE t"
        loading = asyncio.ensure_future(connection.load_local(load, source()))
        seen = 0
        while not given or seen != given:
            seen = given
            await asyncio.sleep(0.1)
        assert 0 < given < 200
        read_on.set()
        async with asyncio.timeout(20):
            assert await loading == 9
    assert received == len(chunk) * 400


# -- the handshake ---------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def half_a_handshake(
    *, then: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, direct: bool = False
) -> AsyncIterator[tuple[int, list[int]]]:
    """A server that sends so many bytes of its handshake; gives its port and their number.

    then: "stall" or "close".  direct: whether TLS comes before the greeting.
    """
    place = [0]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = context.minimum_version = version
    context.load_cert_chain(*_files())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not direct:
            writer.write(offering_tls(scripted.frame(scripted.greeting(), 0)))
            await scripted.read_packet(reader)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        left = place[0]
        while left > 0:
            incoming.write(await reader.read(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            data = outgoing.read()[:left]
            left -= len(data)
            writer.write(data)
            if not data:
                break
        await writer.drain()
        if then == "stall":
            await scripted.silent(reader, writer)

    async with scripted.scripted_server(serve) as port:
        yield port, place


def _files() -> tuple[Path, Path]:
    files = certificates()
    return files.certificate("server"), files.key("server")


#: How many bytes of it: within and about its records.
SENT = [0, 1, 4, 5, 6, 50, 95, 96, 122, 127, 128, 133, 134, 200, 500, 800, 1000, 1200]
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
async def test_cancelled_within_the_handshake(version: ssl.TLSVersion) -> None:
    async with half_a_handshake(then="stall", version=version) as (port, place):
        await cancel_everywhere(place, lambda: opened(port))


async def test_cancelled_within_the_handshake_of_direct_tls() -> None:
    async with half_a_handshake(then="stall", direct=True) as (port, place):
        await cancel_everywhere(place, lambda: opened(port, ssl_negotiation="direct"))


async def test_cancelled_within_the_handshake_of_a_socket() -> None:
    """Which is the connection's own, and closed with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    socks: list[ssl.SSLSocket] = []

    async def open_it() -> Connection:
        sock = socket.create_connection(("127.0.0.1", port))
        socks.append(context.wrap_socket(sock, do_handshake_on_connect=False))
        return await opened(port, sock=socks[-1])

    async with half_a_handshake(then="stall", direct=True) as (port, place):
        await cancel_everywhere(place, open_it)
    assert len(socks) == len(SENT)
    assert {sock.fileno() for sock in socks} == {-1}


async def test_a_socket_of_which_something_was_read() -> None:
    """What OpenSSL has decrypted already makes no descriptor readable."""
    preamble = b"welcome\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(preamble + scripted.frame(scripted.greeting(), 0))  # one record
        with contextlib.suppress(asyncio.IncompleteReadError):
            await scripted.read_packet(reader)
            writer.write(scripted.frame(scripted.ok(), 2))
            await scripted.read_packet(reader)
            writer.write(scripted.frames(scripted.ok()))
            assert await scripted.read_packet(reader) == QUIT
        writer.close()

    def begun() -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=certificates().ca)
        plain = socket.create_connection(("127.0.0.1", port))
        sock = context.wrap_socket(plain, server_hostname="localhost")
        assert sock.recv(len(preamble)) == preamble
        assert sock.pending()
        return sock

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context())
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        sock = await asyncio.to_thread(begun)
        async with await opened(port, sock=sock, connect_timeout=1):
            pass


async def cancel_everywhere(place: list[int], open_it: Callable[[], Awaitable[Connection]]) -> None:
    for place[0] in SENT:
        task = asyncio.ensure_future(open_it())
        await asyncio.sleep(0.01)
        if task.done():  # the last bytes were sent
            with pytest.raises(OperationalError):
                await task
            continue
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 5


async def test_handshake_takes_too_long() -> None:
    async with half_a_handshake(then="stall") as (port, place):
        for place[0] in SENT[::4]:
            with pytest.raises(OperationalError, match="connect_timeout") as caught:
                await opened(port, connect_timeout=0.05)
            assert caught.value.args[0] == 2003


@VERSIONS
async def test_ends_within_the_handshake(version: ssl.TLSVersion) -> None:
    async with half_a_handshake(then="close", version=version) as (port, place):
        for place[0] in SENT:
            began = time.monotonic()
            with pytest.raises(OperationalError) as caught:
                await opened(port)
            assert caught.value.args[0] in LOST
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_both_versions(version: str, server: Server) -> None:
    context = ssl.create_default_context(cafile=server.tls_ca)
    context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
    async with connect(**server.connect_args, ssl=context) as connection:
        assert connection.runner.stream().extra_info("cipher")[1] == version.replace("_", ".")
        assert await ask(connection, query="SELECT REPEAT('x', 300000)") == ["x" * 300_000]


async def test_extra_info(server: Server) -> None:
    context = ssl.create_default_context(cafile=server.tls_ca)
    async with connect(**server.connect_args, ssl=context) as connection:
        stream = connection.runner.stream()
        told = stream.extra_info("ssl_object")
        assert told.version() in ("TLSv1.2", "TLSv1.3")
        assert isinstance(told.getpeercert(True), bytes)
        assert stream.extra_info("peercert")["subject"]
        assert stream.extra_info("cipher") == told.cipher()
        assert stream.extra_info("sslcontext") is context
        assert stream.extra_info("compression") is None
        assert stream.extra_info("peername")[:2] == (server.host, server.port)
        assert stream.extra_info("sockname")[1] > 0
        assert stream.extra_info("socket").fileno() > 0
        assert stream.extra_info("no such thing") is None
    for name in ("ssl_object", "socket", "peercert", "cipher"):
        stream.extra_info(name)  # raises nothing
