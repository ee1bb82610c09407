"""Time-outs: of single statements, of connections, and of every stage of connecting."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pymysql.constants import CLIENT, CR

from aiomysql_core import (
    Connection,
    ConnectTimeout,
    InterfaceError,
    OperationalError,
    QueryTimeout,
    SSCursor,
    connect,
)
from tests.scripted import CAPABILITIES, frame, greeting, scripted_server, silent
from tests.scripted_tls import CLIENT_OPTIONS
from tests.servers import Server

pytestmark = pytest.mark.tls

LONG = "SELECT SLEEP(2), %s"


async def test_execute(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args) as connection:
        cursor = await connection.cursor()
        assert await cursor.execute("SELECT SLEEP(0.01), %s", (1,), timeout=20) == 1
        assert await cursor.fetchall() == ((0, 1),)
        began = time.monotonic()
        with pytest.raises(QueryTimeout, match=r"after 0\.1 s, argument 'timeout'") as caught:
            await cursor.execute(LONG, (1,), timeout=0.1)
        assert time.monotonic() - began < 1.5
        assert isinstance(caught.value, OperationalError)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.args[0] == CR.CR_SERVER_LOST
        assert str(caught.value).startswith("(2013, ")
        # The connection is closed, and says why.
        assert connection.closed
        with pytest.raises(InterfaceError, match="argument 'timeout'"):
            await cursor.execute("SELECT 1")


async def executemany(connection: Connection, name: str) -> None:
    cursor = await connection.cursor()
    await cursor.executemany("SELECT SLEEP(%s)", [(0,), (2,)], timeout=0.2)


async def batches(connection: Connection, name: str) -> None:
    await connection.query(f"CREATE TEMPORARY TABLE {name} (n INT)")
    cursor = await connection.cursor()
    insert = f"INSERT INTO {name} VALUES (%s)"
    assert await cursor.executemany(insert, [(1,), (2,)], timeout=20) == 2
    await cursor.executemany(f"INSERT INTO {name} SELECT SLEEP(%s)", [(0,), (2,)], timeout=0.2)


async def callproc(connection: Connection, name: str) -> None:
    cursor = await connection.cursor()
    assert await cursor.callproc(f"{name}_p", (0,), timeout=20) == (0,)
    await cursor.callproc(f"{name}_p", (2,), timeout=0.1)


async def query(connection: Connection, name: str) -> None:
    await connection.query("SELECT SLEEP(2)", timeout=0.1)


async def prepared(connection: Connection, name: str) -> None:
    async with await connection.prepare("SELECT SLEEP(%s)") as statement:
        assert await (await statement.execute((0,), timeout=20)).fetchone() == (0,)
        await statement.execute((2,), timeout=0.1)


async def streamed(connection: Connection, name: str) -> None:
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(LONG, (1,), timeout=0.1)


WAYS = [executemany, batches, callproc, query, prepared, streamed]


@pytest.fixture
def procedure(server: Server, table_name: str) -> Iterator[str]:
    server.execute(f"CREATE PROCEDURE {table_name}_p(seconds INT) DO SLEEP(seconds)")
    yield table_name
    server.execute(f"DROP PROCEDURE {table_name}_p")


@pytest.mark.parametrize("way", WAYS)
async def test_other_ways(
    connect_args: dict[str, Any],
    procedure: str,
    way: Callable[[Connection, str], Awaitable[None]],
) -> None:
    async with connect(**connect_args) as connection:
        with pytest.raises(QueryTimeout, match="argument 'timeout'"):
            await way(connection, procedure)
        assert connection.closed


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (0, ValueError),
        (-1.5, ValueError),
        (float("nan"), ValueError),
        ("1", TypeError),
        (True, TypeError),
    ],
)
async def test_bad_timeout(connection: Connection, timeout: Any, error: type[Exception]) -> None:
    """It is refused by its name before anything is sent, and no coroutine is left unawaited."""
    cursor = await connection.cursor()
    for call in (
        lambda: cursor.execute("DROP TABLE no_such", timeout=timeout),
        lambda: cursor.executemany("DROP TABLE no_such", [()], timeout=timeout),
        lambda: cursor.callproc("no_such", timeout=timeout),
        lambda: connection.query("DROP TABLE no_such", timeout=timeout),
    ):
        with pytest.raises(error, match="argument 'timeout'"):
            await call()
    await connection.ping(reconnect=False)


async def test_outer_timeout_is_its_own(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args) as connection:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await connection.query("SELECT SLEEP(2)", timeout=20)
        assert not isinstance(caught.value, QueryTimeout)


async def test_read_timeout(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, read_timeout=0.1) as connection:
        with pytest.raises(QueryTimeout, match="option 'read_timeout'"):
            await connection.query("SELECT SLEEP(2)")
        assert connection.closed


async def test_read_timeout_while_connecting(connect_args: dict[str, Any]) -> None:
    """What a first statement runs into is told as it is, not as a server that can't be reached."""
    with pytest.raises(QueryTimeout, match="option 'read_timeout'"):
        await connect(**connect_args, read_timeout=0.1, init_command="DO SLEEP(2)")


def test_errors_can_be_copied() -> None:
    error = QueryTimeout.after(1.5, "option 'read_timeout'")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is QueryTimeout
        assert (other.args, str(other)) == (error.args, str(error))


# -- connect_timeout -----------------------------------------------------------------------------


async def fails_to_connect(**options: Any) -> ConnectTimeout:
    began = time.monotonic()
    with pytest.raises(ConnectTimeout, match=r"0\.3 s, option 'connect_timeout'") as caught:
        await connect(connect_timeout=0.3, **options)
    assert time.monotonic() - began < 1.5
    assert caught.value.args[0] == CR.CR_CONN_HOST_ERROR
    assert isinstance(caught.value, TimeoutError)
    return caught.value


async def test_name_lookup_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says nothing, played at the border to the system."""

    async def stalled(*_: Any, **__: Any) -> None:
        await asyncio.sleep(30)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", stalled, raising=False)
    await fails_to_connect(host="stalled.example")


async def test_password_function_stalls() -> None:
    async def stalled() -> str:
        await asyncio.sleep(30)
        return ""

    await fails_to_connect(host="127.0.0.1", password=stalled)


async def test_a_cancelled_connect_is_no_timeout() -> None:
    """Not even when its time ends in the same turn of the loop."""

    async def stalled() -> str:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.05, task.cancel, "the caller's")
        time.sleep(0.1)  # noqa: ASYNC251  (both are due)
        await asyncio.sleep(30)
        return ""

    connecting = asyncio.ensure_future(
        connect(host="127.0.0.1", password=stalled, connect_timeout=0.05)
    )
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert connecting.cancelled()


async def test_tcp_stalls() -> None:
    """A listener whose queue is full: the system leaves further SYNs without a response."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        clients = []
        try:
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(full.getsockname())
                clients.append(client)
            await fails_to_connect(host="127.0.0.1", port=full.getsockname()[1])
        finally:
            for client in clients:
                client.close()


async def test_greeting_stalls() -> None:
    async with scripted_server(silent) as port:
        await fails_to_connect(host="127.0.0.1", port=port)


async def test_tls_stalls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(greeting(capabilities=CAPABILITIES | CLIENT.SSL), 0))
        await silent(reader, writer)

    async with scripted_server(serve) as port:
        await fails_to_connect(host="127.0.0.1", port=port, ssl_mode="REQUIRED")


async def test_authentication_stalls(over_tls: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(greeting(), 0))
        await silent(reader, writer)

    async with scripted_server(serve, tls=over_tls) as port:
        options: dict[str, Any] = CLIENT_OPTIONS if over_tls else {}
        await fails_to_connect(host="127.0.0.1", port=port, **options)


async def test_init_command_stalls(connect_args: dict[str, Any]) -> None:
    await fails_to_connect(**connect_args, init_command="DO SLEEP(2)")


# -- options of the socket and of packets ---------------------------------------------------------


async def test_keepalive(connect_args: dict[str, Any]) -> None:
    for given, wanted in ((7, (7, 7, 3)), ((30, 5, 2), (30, 5, 2))):
        async with connect(**connect_args, tcp_keepalive=given) as connection:
            sock = connection.runner.stream().extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            found = tuple(sock.getsockopt(socket.IPPROTO_TCP, option) for option in options)
            assert found == wanted


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has it")
async def test_user_timeout(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, tcp_user_timeout=2.5) as connection:
        sock = connection.runner.stream().extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500


async def test_options_of_a_unix_socket(server: Server, connect_args: dict[str, Any]) -> None:
    if server.unix_socket is None:
        pytest.skip("the server given has no socket of its own here")
    path = {"unix_socket": server.unix_socket, "tcp_keepalive": 7, "tcp_user_timeout": 2}
    async with connect(**connect_args | path) as connection:
        await connection.ping(reconnect=False)


async def test_largest_packet(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, max_allowed_packet=1 << 20) as connection:
        cursor = await connection.cursor()
        await cursor.execute("SELECT REPEAT('x', 1000000)")
        assert await cursor.fetchone() == ("x" * 1_000_000,)
        with pytest.raises(OperationalError, match=r"max_allowed_packet.*1048576") as caught:
            await cursor.execute("SELECT REPEAT('x', 1100000)")
        assert caught.value.args[0] == CR.CR_NET_PACKET_TOO_LARGE
        assert connection.closed


async def test_server_is_told_the_largest_packet() -> None:
    told: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(greeting(), 0))
        header = await reader.readexactly(4)
        response = await reader.readexactly(int.from_bytes(header[:3], "little"))
        told.append(int.from_bytes(response[4:8], "little"))

    async with scripted_server(serve) as port:
        with pytest.raises(OperationalError):
            await connect(host="127.0.0.1", port=port, max_allowed_packet=3_000_000)
    assert told == [3_000_000]


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("tcp_keepalive", 0, ValueError),
        ("tcp_keepalive", (1, 2), ValueError),
        ("tcp_keepalive", (1, 2, 200), ValueError),
        ("tcp_keepalive", 1.5, TypeError),
        ("tcp_keepalive", True, TypeError),
        ("tcp_keepalive", "60", TypeError),
        ("tcp_user_timeout", 0, ValueError),
        ("tcp_user_timeout", float("nan"), ValueError),
        ("tcp_user_timeout", 1e9, ValueError),
        ("tcp_user_timeout", "5", TypeError),
        ("max_allowed_packet", 1024, ValueError),
        ("max_allowed_packet", (1 << 30) + 1, ValueError),
        ("max_allowed_packet", "16M", TypeError),
    ],
)
async def test_bad_options(option: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"'{option}'"):
        await connect(**{option: value})  # type: ignore[arg-type]


async def test_options_in_a_dsn(server: Server) -> None:
    options = "max_allowed_packet=300000&tcp_keepalive=60&tcp_user_timeout=10"
    base = f"mysql://{server.user}:{server.password}@{server.host}:{server.port}/"
    async with connect(f"{base}?{options}") as connection:
        sock = connection.runner.stream().extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
