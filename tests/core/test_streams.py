"""Both ways to a socket: read and written by ourselves, and through asyncio's transports."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import random
import socket
import sys
import time
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pymysql.constants import COMMAND

from aiomysql_core import (
    Connection,
    InterfaceError,
    InternalError,
    OperationalError,
    QueryTimeout,
    SSCursor,
    connect,
)
from aiomysql_core.transport import connect as opening
from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_core.transport.stream import Stream
from aiomysql_core.transport.tls_stream import TlsStream
from aiomysql_core.transport.transport_stream import TransportStream
from aiomysql_protocol.commands.exchange import Command
from aiomysql_protocol.implementation import IMPLEMENTATION
from tests import scripted
from tests.conftest import LOOPS
from tests.core.conftest import new_loop
from tests.scripted_tls import CLIENT_OPTIONS
from tests.servers import Server

#: How a connection is made -> the stream it has.
KINDS: dict[str, type[Stream]] = {
    "tcp": SocketStream,
    "unix": SocketStream,
    "loop without add_reader": TransportStream,
    "tls": TlsStream,
    "tls, loop without add_reader": TransportStream,
}
LONG = "SELECT REPEAT('x', 100000), 7 FROM information_schema.columns LIMIT 100"

Open = Callable[..., Any]


def refuse(*_: object) -> None:
    """As the `add_reader` of Windows' proactor loop."""
    raise NotImplementedError


@pytest.fixture(params=KINDS)
async def open_it(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Open]:
    """A function that connects in that way."""
    options = dict(server.connect_args)
    kind: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        if kind == "unix":
            if server.unix_socket is None:
                pytest.skip("the server of AIOMYSQL_TEST_DSN has no unix socket that is known")
            options["unix_socket"] = server.unix_socket
        else:
            options["ssl_mode"] = "REQUIRED" if kind.startswith("tls") else "DISABLED"
            if KINDS[kind] is TransportStream:
                patch.setattr(asyncio.get_running_loop(), "add_reader", refuse)

        async def open_it(**more: Any) -> Connection:
            connection = await connect(**options, **more)
            assert type(connection.runner.stream()) is KINDS[kind]
            return connection

        yield open_it


def scripted_options(port: int, over_tls: bool) -> dict[str, Any]:
    options = {"host": "127.0.0.1", "port": port, "autocommit": None}
    return options | (CLIENT_OPTIONS if over_tls else {})


async def one(connection: Connection, sql: str, args: object = None) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(sql, args)
        return (await cursor.fetchall())[0][0]


async def test_statements(open_it: Open) -> None:
    async with await open_it(autocommit=True) as connection:
        for number in range(50):
            assert await one(connection, "SELECT %s", (number,)) == number
        await connection.ping()
        cursor = await connection.cursor()
        await cursor.execute("SELECT 1; SELECT 2")
        assert await cursor.nextset()
        assert await cursor.fetchall() == ((2,),)
        stream = connection.runner.stream()
        assert stream.extra_info("socket") is not None
        assert stream.extra_info("peername") is not None
        assert stream.extra_info("no such thing") is None
        statement = await connection.prepare("SELECT %s")
        assert await (await statement.execute(("a",))).fetchone() == ("a",)
    assert stream.closed


@pytest.mark.slow
async def test_long_statements_and_responses(open_it: Open) -> None:
    """More than the system's buffers take, in both directions."""
    async with await open_it() as connection:
        text = bytes(range(32, 127)) * (20_000_000 // 95)
        text = text.replace(b"'", b"x").replace(b"\\", b"y").replace(b"%", b"z")
        async with connection.cursor() as cursor:
            await cursor.execute(b"SELECT SHA2('%b', 256), '%b'" % (text, text))
            ((digest, echoed),) = await cursor.fetchall()
        assert digest == hashlib.sha256(text).hexdigest()
        assert echoed.encode() == text
        assert await one(connection, "SELECT 1") == 1


@pytest.mark.parametrize(
    "size",
    [
        *(65_530, 300_000, 1 << 20, (1 << 24) - 5, (1 << 24) + 70_000),
        pytest.param(48 << 20, marks=pytest.mark.slow),
    ],
)
async def test_long_cells(open_it: Open, size: int) -> None:
    sql = "SELECT 1, REPEAT(UNHEX('00FF80'), %s), 'x' UNION ALL SELECT 2, UNHEX('07'), NULL"
    count = size // 3
    async with await open_it(autocommit=True, stmt_cache_size=2) as connection:
        for args in ((count,), (count,), None):
            async with connection.cursor() as cursor:
                await cursor.execute(sql if args else sql % count, args)
                first, second = await cursor.fetchall()
                assert first == (1, b"\x00\xff\x80" * count, "x")
                assert second == (2, b"\x07", None)
        assert await one(connection, "SELECT REPEAT('ä', %s)", (count,)) == "ä" * count
        cursor = await connection.cursor(SSCursor)
        await cursor.execute(sql % count)
        assert [len(row[1]) for row in await cursor.fetchall()] == [count * 3, 1]
        assert await one(connection, "SELECT 3") == 3


@pytest.mark.tls
@pytest.mark.skipif(IMPLEMENTATION != "c", reason="Python copies what it has gathered")
async def test_a_long_cell_is_in_memory_once(connect_args: dict[str, Any]) -> None:
    size = 20 << 20
    async with await connect(**connect_args, autocommit=True) as connection:
        await one(connection, "SELECT 1")
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            cell = await one(connection, f"SELECT REPEAT(UNHEX('FF'), {size})")
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert cell == b"\xff" * size
        assert peak < size * 1.7  # the room is not all used


@pytest.mark.tls
async def test_closed_within_a_long_cell(over_tls: bool) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        column = b"\x03def\x00\x00\x00\x01a\x00\x0c\x3f\x00\xff\xff\xff\xff\xfb\x80\0\0\0\0"
        writer.write(scripted.frames(b"\x01", column, b"\xfe\0\0\x02\0"))
        writer.write(b"\xff\xff\xff\x04\xfe" + (20 << 20).to_bytes(8, "little") + b"z" * 2_000_000)
        await writer.drain()
        writer.close()

    async with scripted.scripted_server(handler, tls=over_tls) as port:
        connection = await connect(**scripted_options(port, over_tls))
        with pytest.raises(OperationalError, match="Lost connection"):
            await one(connection, "SELECT a")
        assert connection.closed


async def test_streaming_pauses(open_it: Open) -> None:
    """What nobody takes is not read from the socket."""
    async with await open_it() as connection, connection.cursor(SSCursor) as cursor:
        stream = connection.runner.stream()
        await cursor.execute(LONG)
        await asyncio.sleep(0.1)
        paused_at = stream.bytes_received
        await asyncio.sleep(0.05)
        assert stream.bytes_received == paused_at < 2_000_000
        rows = [row async for row in cursor]
        assert len(rows) == 100
        assert all(len(text) == 100_000 and number == 7 for text, number in rows)
        await cursor.execute(LONG)
        assert len(await cursor.fetchmany(3)) == 3
        # The rest is dropped.
        await cursor.close()
        assert await one(connection, "SELECT 2") == 2


async def test_killed_by_the_server(open_it: Open, server: Server) -> None:
    connection = await open_it()
    sleeping = asyncio.ensure_future(connection.query("SELECT SLEEP(10)"))
    await asyncio.sleep(0.05)
    server.execute(f"KILL {connection.thread_id()}")
    async with asyncio.timeout(5):
        with pytest.raises(OperationalError):
            await sleeping
    assert connection.closed
    connection = await open_it()
    server.execute(f"KILL {connection.thread_id()}")
    async with asyncio.timeout(5):
        while not connection.closed:
            await asyncio.sleep(0.01)
        with pytest.raises(OperationalError):
            await connection.query("SELECT 1")
        await connection.ping()
    assert await one(connection, "SELECT 1") == 1
    await connection.ensure_closed()


async def test_ways_to_close(open_it: Open, server: Server) -> None:
    connection = await open_it()
    stream = connection.runner.stream()
    connection.close()
    assert connection.closed
    await stream.wait_closed()
    assert stream.closed
    assert stream.extra_info("socket") is None
    connection = await open_it()
    stream = connection.runner.stream()
    await connection.ensure_closed()
    assert stream.closed
    connection = await open_it()
    stream = connection.runner.stream()
    stream.abort()
    stream.abort()
    stream.close()
    assert stream.closed
    await stream.wait_closed()
    with pytest.raises(OperationalError):
        await connection.query("SELECT 1")
    assert server.settled_sessions() == []


async def test_cancelled(open_it: Open, server: Server) -> None:
    connection = await open_it()
    task = asyncio.ensure_future(connection.query("SELECT SLEEP(0.3)"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.closed
    with pytest.raises(InterfaceError, match="Cancelled"):
        await connection.query("SELECT 1")
    assert server.settled_sessions() == []


async def test_two_tasks(open_it: Open) -> None:
    async with await open_it() as connection:
        first = asyncio.ensure_future(one(connection, "SELECT SLEEP(0.1) + 5"))
        await asyncio.sleep(0.02)
        with pytest.raises(InterfaceError, match="another task"):
            await one(connection, "SELECT 1")
        assert await first == 5


async def test_forgotten(open_it: Open, server: Server) -> None:
    """A connection that is collected warns, and leaves neither session nor socket."""
    connection = await open_it()
    stream = weakref.ref(connection.runner.stream())
    with pytest.warns(ResourceWarning, match="Unclosed connection"):
        del connection
        gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert stream() is None
    assert server.settled_sessions() == []


@pytest.mark.parametrize("blind", [False, True])
def test_the_loop_closed_first(server: Server, blind: bool) -> None:
    """Nothing is raised, and the socket is closed."""

    async def opened() -> Connection:
        if blind:
            loop: Any = asyncio.get_running_loop()
            loop.add_reader = refuse
        return await connect(**server.connect_args, ssl=False)

    with pytest.warns(ResourceWarning) if blind else contextlib.nullcontext():
        connection = asyncio.run(opened())
        gc.collect()
        sock = connection.runner.stream().extra_info("socket")
        assert sock.fileno() > 0
        connection.close()
        assert connection.closed
        if not blind:
            assert sock.fileno() == -1
        del connection, sock
        gc.collect()
    assert server.settled_sessions() == []


# Writing


async def narrow(server: Server, size: int = 4096) -> socket.socket:
    """A socket that takes little at once."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (server.host, server.port))
    return sock


@pytest.mark.tls
async def test_parts_of_a_request(
    server: Server, connect_args: dict[str, Any], over_tls: bool
) -> None:
    async with connect(**connect_args, sock=await narrow(server)) as connection:
        assert type(connection.runner.stream()) is (TlsStream if over_tls else SocketStream)
        for size in (10, 5_000, 300_000, 5_000_000):
            assert await one(connection, "SELECT LENGTH(%s)", ("q" * size,)) == size
            assert not connection.runner.stream().writing_paused
        assert await one(connection, "SELECT 1") == 1


@pytest.mark.tls
async def test_cancelled_while_sending(server: Server, connect_args: dict[str, Any]) -> None:
    sock = await narrow(server)
    connection = await connect(**connect_args, sock=sock)
    # No compression makes it short.
    text = random.Random(1).randbytes(5_000_000).hex() * 5
    task = asyncio.ensure_future(connection.query(f"SELECT LENGTH('{text}')"))
    await asyncio.sleep(0)
    assert connection.runner.stream().writing_paused
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.closed
    assert sock.fileno() == -1


@pytest.mark.tls
async def test_closed_with_bytes_unsent(over_tls: bool) -> None:
    """They go out first, if the connection has a response already."""
    answered = asyncio.Event()
    received = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        received.extend(await reader.read(1000))
        writer.write(scripted.frame(scripted.ok(), 1))  # early: most of the request is under way
        await answered.wait()
        received.extend(await reader.read(-1))

    statement = b"SELECT '" + b"q" * 10_000_000 + b"'"
    async with scripted.scripted_server(handler, tls=over_tls) as port:
        connection = await connect(**scripted_options(port, over_tls))
        stream = connection.runner.stream()
        exchange = connection.new_query(statement)
        stream.start(exchange)
        async with asyncio.timeout(5):
            while not exchange.done:
                await asyncio.sleep(0)
        assert stream.writing_paused
        connection.close()
        assert stream.closed
        answered.set()
        await asyncio.wait_for(stream.wait_closed(), 5)
        async with asyncio.timeout(5):
            while len(received) < 10_000_000:
                await asyncio.sleep(0.01)
    assert received[4:] == b"\x03" + statement + b"\1\0\0\0\1"


@pytest.mark.tls
async def test_last_words_while_we_write(over_tls: bool) -> None:
    """A server that closes in the middle of a request has said why: that is what surfaces."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await reader.read(1000)
        writer.write(scripted.frame(scripted.error(1153, "Got a packet too large", "08S01"), 1))
        await writer.drain()

    async with scripted.scripted_server(handler, tls=over_tls) as port:
        for size in (100_000, 30_000_000):
            connection = await connect(**scripted_options(port, over_tls))
            with pytest.raises(OperationalError, match="too large"):
                async with asyncio.timeout(5):
                    await connection.query("SELECT '" + "q" * size + "'")
            connection.close()


@pytest.mark.tls
async def test_too_large_for_the_server(server: Server, connect_args: dict[str, Any]) -> None:
    ((before,),) = server.execute("SELECT @@global.max_allowed_packet")
    server.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        connection = await connect(**connect_args)
        async with asyncio.timeout(10):
            with pytest.raises(OperationalError) as caught:
                await connection.query("SELECT '" + "q" * 20_000_000 + "'")
        assert caught.value.args[0] == 1153
        connection.close()
    finally:
        server.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.mark.tls
async def test_a_peer_that_vanished(over_tls: bool) -> None:
    """Writing to a connection that the peer has reset."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        writer.transport.abort()

    async with scripted.scripted_server(handler, tls=over_tls) as port:
        connection = await connect(**scripted_options(port, over_tls))

        async def ask() -> None:
            for _ in range(3):
                await connection.query("SELECT 1")

        with pytest.raises(OperationalError) as caught:
            await asyncio.wait_for(ask(), 5)
        assert caught.value.args[0] in (2006, 2013)
        assert connection.closed


# Connecting


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that lets everybody in and waits for COM_QUIT."""
    await scripted.open_session(reader, writer)
    await scripted.read_packet(reader)
    writer.close()


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[Any, ...]) -> None:
    """Names resolve to these addresses."""
    loop = asyncio.get_running_loop()
    original = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host != "many.example":  # uvloop asks for addresses, too
            return await original(host, port, **options)
        return [
            (
                socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                address,
            )
            for address in addresses
        ]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def test_a_name_with_several_addresses(
    connect_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that answers is taken."""
    port = connect_args["port"]
    closed = socket.create_server(("127.0.0.1", 0))
    nobody = closed.getsockname()[1]
    closed.close()
    resolving_to(
        monkeypatch, ("::1", nobody, 0, 0), ("127.0.0.1", nobody), (connect_args["host"], port)
    )
    async with connect(**{**connect_args, "host": "many.example", "ssl": False}) as connection:
        assert await one(connection, "SELECT 1") == 1
    resolving_to(monkeypatch, ("127.0.0.1", nobody), ("::1", nobody, 0, 0))
    with pytest.raises(OperationalError, match=r"many\.example") as caught:
        await connect(host="many.example", port=nobody, connect_timeout=5)
    assert caught.value.args[0] == 2003
    assert isinstance(caught.value.__cause__, OSError)
    resolving_to(monkeypatch)
    with pytest.raises(OperationalError, match="no address"):
        await connect(host="many.example", port=nobody, connect_timeout=5)


@pytest.fixture
def silent_address() -> Iterator[tuple[str, int]]:
    """An address that does not answer: its queue of connections is full."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address: tuple[str, int] = listener.getsockname()
        for _ in range(4):
            sock = opened.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(address)
        yield address


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
@pytest.mark.parametrize("connect_timeout", [None, 5, 0.9])
async def test_a_silent_address(
    connect_args: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    silent_address: tuple[str, int],
    connect_timeout: float | None,
) -> None:
    """The next address is tried meanwhile, in time."""
    right = connect_args["host"], connect_args["port"]
    resolving_to(monkeypatch, silent_address, silent_address, right)
    options = {**connect_args, "host": "many.example", "ssl": False, "on_cancel": "kill"}
    began = time.monotonic()
    async with connect(**options, connect_timeout=connect_timeout) as connection:
        assert 0.3 < time.monotonic() - began < 5
        assert await one(connection, "SELECT 1") == 1
        assert connection.host == "many.example"
        with pytest.raises(QueryTimeout):
            await connection.query("SELECT SLEEP(9)", timeout=0.05)
        assert await one(connection, "SELECT 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
async def test_only_silent_addresses(
    monkeypatch: pytest.MonkeyPatch, silent_address: tuple[str, int]
) -> None:
    resolving_to(monkeypatch, silent_address, silent_address)
    with pytest.raises(OperationalError, match=r"many\.example.*timed out after 0\.1 s") as caught:
        await connect(host="many.example", port=1, connect_timeout=0.1)
    assert caught.value.args[0] == 2003
    task = asyncio.ensure_future(connect(host="many.example", port=1, connect_timeout=None))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_addresses_that_answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection is made, and what was begun beside it is closed."""
    loop, connected = asyncio.get_running_loop(), []
    original = loop.sock_connect

    async def slow(sock: socket.socket, where: Any) -> None:
        await asyncio.sleep(0.05)
        await original(sock, where)
        connected.append(sock)

    monkeypatch.setattr(loop, "sock_connect", slow)
    monkeypatch.setattr(opening, "_connected_at_once", lambda sock, where: False)
    monkeypatch.setattr(opening, "_NEXT_ADDRESS", 0.0)
    async with scripted.scripted_server(polite) as port:
        resolving_to(monkeypatch, *[("127.0.0.1", port)] * 3)
        async with connect(host="many.example", port=port):
            await asyncio.sleep(0.1)
            assert [sock.fileno() for sock in connected].count(-1) == len(connected) - 1


def test_families_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    addresses = [(six, "a"), (six, "b"), (six, "c"), (four, "d"), (four, "e")]
    assert [where for _, where in opening._in_turn(addresses)] == ["a", "d", "b", "e", "c"]
    assert opening._in_turn([]) == []


async def test_unknown_names() -> None:
    with pytest.raises(OperationalError) as caught:
        await connect(host="no-such-host.invalid", connect_timeout=10)
    assert caught.value.args[0] == 2003


async def test_ipv6() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = await asyncio.start_server(polite, sock=listening)
    async with server:
        port = listening.getsockname()[1]
        connection = await connect(host="::1", port=port, autocommit=None)
        peer = connection.runner.stream().extra_info("peername")
        assert peer[:2] == ("::1", port)
        await connection.ensure_closed()


async def test_nobody_listens_and_nobody_answers() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(OperationalError) as caught:
            await connect(host="127.0.0.1", port=bound.getsockname()[1])
    assert caught.value.args[0] == 2003
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    # A full queue of connections: the SYN has no response.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        with pytest.raises(OperationalError, match="connect_timeout") as caught:
            await connect(host="127.0.0.1", port=full.getsockname()[1], connect_timeout=0.2)
        assert caught.value.args[0] == 2003
        for filler in fillers:
            filler.close()


class Interrupted(Command):
    """A command during whose response the user presses Ctrl-C."""

    def receive(self, payload: bytes | bytearray) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("ssl_mode", ["DISABLED", "REQUIRED"])
def test_interrupted_while_it_reads(server: Server, ssl_mode: Any, loop_name: str) -> None:
    """The interrupt goes on its way; who waits gets an error, and the connection is closed."""
    loop = new_loop(loop_name)
    try:
        connection = loop.run_until_complete(connect(**server.connect_args, ssl_mode=ssl_mode))
        task = loop.create_task(connection.runner.run(Interrupted(COMMAND.COM_PING)))
        with contextlib.suppress(KeyboardInterrupt):  # which uvloop's SSL transports keep
            loop.run_until_complete(asyncio.wait([task], timeout=5))
        with pytest.raises((InternalError, OperationalError)):
            loop.run_until_complete(asyncio.wait_for(task, 5))
        assert connection.closed
        assert not connection.runner.busy
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
