"""Whatever goes wrong while connecting, the error's message names the server: host and port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import MySQLError, OperationalError, connect
from aiomysql_core.options.options import address_text
from aiomysql_pool import PoolTimeout, create_pool
from tests import scripted
from tests.servers import Server

Opener = Callable[..., Awaitable[Any]]
OPENERS: tuple[Opener, ...] = (connect, create_pool)


async def message(opener: Opener, number: int, **options: Any) -> str:
    with pytest.raises(MySQLError) as caught:
        await opener(**options)
    assert caught.value.args[0] == number
    return str(caught.value.args[1])


@pytest.fixture
def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    ("host", "written"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")],
)
async def test_nobody_listens(opener: Opener, host: str, written: str, free_port: int) -> None:
    said = await message(opener, 2003, host=host, port=free_port)
    assert said.startswith(f"Can't connect to MySQL server on '{written}:{free_port}' (")


async def test_no_such_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "none.sock")
    said = await message(connect, 2003, unix_socket=path)
    assert said.startswith(f"Can't connect to MySQL server on {path!r} (")


async def test_too_late() -> None:
    async with scripted.scripted_server(scripted.silent) as port:
        said = await message(connect, 2003, host="127.0.0.1", port=port, connect_timeout=0.05)
    assert said.startswith(f"Can't connect to MySQL server on '127.0.0.1:{port}' (timed out after")


@pytest.mark.parametrize(("sent", "number"), [(b"", 2013), (b"SSH-2.0-OpenSSH_9.2\r\n", 2007)])
async def test_no_server_of_that_kind(sent: bytes, number: int) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    async with scripted.scripted_server(other) as port:
        said = await message(connect, number, host="127.0.0.1", port=port)
    assert said.endswith(f" (connecting to 127.0.0.1:{port})")


async def test_a_malformed_log_in() -> None:
    """An error that has no number."""

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(scripted.frame(scripted.greeting()[:20], 0))
        await reader.read()

    async with scripted.scripted_server(broken) as port:
        with pytest.raises(MySQLError, match=rf"\(connecting to 127.0.0.1:{port}\)"):
            await connect(host="127.0.0.1", port=port)


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    ("options", "number", "beginning"),
    [
        ({"user": "nobody_here", "password": "wrong"}, 1045, "Access denied for user"),
        ({"db": "no_such_database"}, 1049, "Unknown database"),
        ({"init_command": "NONSENSE"}, 1064, "You have an error in your SQL syntax"),
        ({"ssl": True}, 2026, "SSL connection error: "),
    ],
    ids=["password", "database", "init_command", "certificate"],
)
async def test_the_log_in_fails(
    server: Server, opener: Opener, options: dict[str, Any], number: int, beginning: str
) -> None:
    arguments = server.connect_args | options
    said = await message(opener, number, **arguments)
    assert said.startswith(beginning)
    where = address_text(arguments["host"], arguments["port"])
    assert said.endswith(f" (connecting to {where})")


async def test_over_a_unix_socket(server: Server) -> None:
    path = server.unix_socket
    if path is None:
        pytest.skip("the server named in the environment has no unix socket here")
    said = await message(connect, 1045, user="nobody_here", password="wrong", unix_socket=path)
    assert said.endswith(f" (connecting to {path})")


async def test_over_a_given_socket(server: Server) -> None:
    address = server.connect_args["host"], server.connect_args["port"]
    with socket.create_connection(address) as sock:
        said = await message(connect, 1045, user="nobody_here", password="wrong", sock=sock)
    assert said.endswith(f" (connecting to {address_text(*address)})")


async def test_over_a_given_socket_that_is_no_tcp_connection() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    said = await message(connect, 2013, sock=ours)
    assert said.endswith(" (connecting to the socket of option 'sock')")
    with socket.socket() as unconnected:
        said = await message(connect, 2003, sock=unconnected)
    assert said.startswith("Can't connect to MySQL server on \"the socket of option 'sock'\" (")


async def test_an_error_of_the_password_function_is_left_alone() -> None:
    def no_password() -> str:
        raise OperationalError(1, "the vault is shut")

    with pytest.raises(OperationalError) as caught:
        await connect(host="127.0.0.1", password=no_password)
    assert caught.value.args == (1, "the vault is shut")


async def test_waiting_for_a_connection_in_vain(connect_args: dict[str, Any]) -> None:
    where = address_text(connect_args["host"], connect_args["port"])
    async with create_pool(**connect_args, minsize=1, maxsize=1) as pool, pool.acquire():
        with pytest.raises(PoolTimeout, match=f"no connection to '{where}' within 0.02 s: "):
            await pool.acquire(timeout=0.02)
        assert where in repr(pool)


@pytest.mark.parametrize("place", ["first", "host"])
async def test_a_data_source_name_is_never_shown(connect_args: dict[str, Any], place: str) -> None:
    where = address_text(connect_args["host"], connect_args["port"])
    dsn = f"mysql://nobody_here:secret@{where}/test?connect_timeout=5"
    options: dict[str, Any] = {"user": connect_args["user"], "password": connect_args["password"]}
    arguments: Any = (dsn,)
    if place == "host":
        arguments, options = (), options | {"host": dsn}
    async with create_pool(*arguments, **options | {"maxsize": 1}) as pool, pool.acquire():
        assert f" {where} db='test' user={connect_args['user']!r} " in repr(pool)
        with pytest.raises(PoolTimeout) as caught:
            await pool.acquire(timeout=0.02)
    assert where in str(caught.value)
    assert "secret" not in str(caught.value) + repr(pool)


async def test_a_pool_with_an_option_file(server: Server, tmp_path: Path) -> None:
    """What the file says is not known to the pool, so it names the file."""
    path = tmp_path / "my.cnf"
    arguments = server.connect_args
    path.write_text(f"[client]\nhost = {arguments['host']}\nport = {arguments['port']}\n", "utf-8")
    options = {k: v for k, v in arguments.items() if k not in ("host", "port")}
    async with create_pool(**options, read_default_file=str(path)) as pool:
        assert f"the server in {path}" in repr(pool)
