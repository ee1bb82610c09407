"""Connecting that goes wrong: an error that names the cause, in time; nothing is left open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_core import InterfaceError, OperationalError, ProgrammingError, connect
from aiomysql_core.connection import Connection
from tests import scripted
from tests.servers import Server


async def failure(expected: type[Exception], **arguments: Any) -> Exception:
    """The error of a connection attempt, which must come within its time-out."""
    began = time.monotonic()
    with pytest.raises(expected) as caught:
        await connect(**arguments)
    assert time.monotonic() - began < arguments.get("connect_timeout", 5) + 1.5
    return caught.value


async def test_wrong_password(server: Server, make_user: Callable[..., dict[str, Any]]) -> None:
    plugin = "mysql_native_password" if server.kind == "mariadb" else "caching_sha2_password"
    account = make_user(plugin, "right")
    error = await failure(
        OperationalError, **{**server.connect_args, **account, "password": "wrong"}
    )
    assert error.args[0] == 1045
    assert account["user"] in error.args[1]
    assert "wrong" not in repr(error)


async def test_unknown_database(connect_args: dict[str, Any]) -> None:
    error = await failure(OperationalError, **{**connect_args, "db": "no_such_database"})
    assert error.args[0] == 1049
    assert "no_such_database" in error.args[1]


async def test_unknown_host() -> None:
    error = await failure(OperationalError, host="no-such-host.invalid", connect_timeout=5)
    assert error.args[0] == 2003
    assert "no-such-host.invalid" in error.args[1]
    assert isinstance(error.__cause__, OSError)


async def test_closed_port() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    error = await failure(OperationalError, host="127.0.0.1", port=port)
    assert error.args[0] == 2003
    assert "127.0.0.1" in error.args[1]
    assert isinstance(error.__cause__, ConnectionRefusedError)


async def test_missing_unix_socket(tmp_path: Any) -> None:
    path = str(tmp_path / "no.sock")
    error = await failure(OperationalError, unix_socket=path)
    assert error.args[0] == 2003
    assert path in error.args[1]


async def test_port_that_speaks_http() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with scripted.scripted_server(http) as port:
        error = await failure(OperationalError, host="127.0.0.1", port=port)
    assert error.args[0] == 2007
    assert "HTTP/1.1 400" in error.args[1]


async def test_http_server_that_waits_for_a_request() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")  # the client of a MySQL server sends no such thing

    async with scripted.scripted_server(http) as port:
        error = await failure(OperationalError, host="127.0.0.1", port=port, connect_timeout=0.3)
    assert error.args[0] == 2003
    assert "0.3 s" in error.args[1]
    assert "connect_timeout" in error.args[1]


async def test_silent_host_meets_the_timeout() -> None:
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.silent(reader, writer)
        closed.set()

    async with scripted.scripted_server(silent) as port:
        error = await failure(OperationalError, host="127.0.0.1", port=port, connect_timeout=0.3)
        await asyncio.wait_for(closed.wait(), 2)  # nothing is left open
    assert error.args[0] == 2003
    assert isinstance(error.__cause__, TimeoutError)


async def test_server_silent_after_its_greeting_meets_the_timeout() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(scripted.frame(scripted.greeting(), 0))
        await scripted.silent(reader, writer)

    async with scripted.scripted_server(greet) as port:
        error = await failure(OperationalError, host="127.0.0.1", port=port, connect_timeout=0.3)
    assert error.args[0] == 2003


async def test_server_that_hangs_up_in_the_handshake() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(scripted.frame(scripted.greeting(), 0)[:20])

    async with scripted.scripted_server(hang_up) as port:
        error = await failure(OperationalError, host="127.0.0.1", port=port)
    assert error.args[0] == 2013
    assert "handshake" in error.args[1]


async def test_server_that_refuses_everybody() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(scripted.frame(scripted.error(1040, "Too many connections"), 0))

    async with scripted.scripted_server(refuse) as port:
        error = await failure(OperationalError, host="127.0.0.1", port=port)
    assert error.args == (1040, f"Too many connections (connecting to 127.0.0.1:{port})")


async def test_unknown_keyword() -> None:
    with pytest.raises(TypeError, match="hots"):
        connect(hots="localhost")  # type: ignore[call-arg]


async def test_charset_that_does_not_exist() -> None:
    error = await failure(ProgrammingError, charset="klingon")
    assert "klingon" in error.args[0]


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"port": "3306"}, TypeError, "'port'.*str"),
        ({"port": 70000}, ValueError, "'port'.*70000"),
        ({"port": True}, TypeError, "'port'.*bool"),
        ({"connect_timeout": 0}, ValueError, "'connect_timeout'.*0"),
        ({"connect_timeout": "3"}, TypeError, "'connect_timeout'.*str"),
        ({"user": "a\0b"}, ValueError, "'user'.*NUL"),
        ({"db": b"test"}, TypeError, "'db'.*bytes"),
        ({"password": 5}, TypeError, "'password'.*int"),
        ({"ssl": "yes"}, TypeError, "'ssl'.*str"),
    ],
)
async def test_bad_option(arguments: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        await connect(**arguments)


async def test_loop_argument_is_deprecated(connect_args: dict[str, Any]) -> None:
    with pytest.warns(DeprecationWarning, match="loop") as warned:
        connection = await connect(**connect_args, loop=asyncio.get_running_loop())
    assert len(warned) == 1
    await connection.ensure_closed()
    assert connection.closed


async def test_use_after_close(connect_args: dict[str, Any]) -> None:
    connection = await connect(**connect_args)
    cursor = await connection.cursor()
    await connection.ensure_closed()
    await connection.ensure_closed()
    connection.close()
    with pytest.raises(InterfaceError, match="Not connected"):
        connection.cursor()
    with pytest.raises(InterfaceError, match="Not connected"):
        await cursor.execute("SELECT 1")
    await cursor.close()


async def test_password_is_not_shown(connect_args: dict[str, Any]) -> None:
    connection = Connection(**{**connect_args, "password": "s3cret"})
    assert "s3cret" not in repr(connection)
    assert "s3cret" not in repr(connection._options)
