"""Options of connect() beyond host, user and password."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import socket
import ssl
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import Connection, OperationalError, connect
from aiomysql_core import connection as connection_module
from aiomysql_core.options.dsn import parse_dsn
from aiomysql_core.options.option_files import read_option_file
from aiomysql_core.options.options import OPTION_NAMES, Options, find_options
from aiomysql_core.options.tls import TlsOptions
from aiomysql_pool import create_pool
from aiomysql_pool.options import POOL_KEYWORDS
from aiomysql_protocol.login.login import Login
from aiomysql_protocol.session import Session
from tests import scripted
from tests.servers import Server


async def one(connection: Connection, query: str) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(query)
        (row,) = await cursor.fetchall()
        return row[0] if len(row) == 1 else row


async def cipher(connection: Connection) -> str:
    """The cipher in use; empty without TLS."""
    return str((await one(connection, "SHOW STATUS LIKE 'Ssl_cipher'"))[1])


# -- TLS -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "encrypted"),
    [
        ({}, False),  # to a loopback address
        ({"ssl": False}, False),
        ({"ssl_disabled": True, "ssl_ca": ""}, False),
        ({"ssl_mode": "DISABLED"}, False),
        ({"ssl_mode": "preferred"}, True),
        ({"ssl_mode": "REQUIRED"}, True),
        ({"ssl": {"verify_mode": "none", "check_hostname": False}}, True),
    ],
)
async def test_modes_without_verification(
    connect_args: dict[str, Any], options: dict[str, Any], encrypted: bool
) -> None:
    async with connect(**connect_args, **options) as connection:
        assert bool(await cipher(connection)) is encrypted


async def test_modes_with_verification(server: Server) -> None:
    if server.tls_ca is None:
        pytest.skip("the server named in the environment came without its CA")
    arguments = server.connect_args
    known: list[dict[str, Any]] = [
        {"ssl_ca": server.tls_ca},
        {"ssl_ca": server.tls_ca, "ssl_verify_cert": True, "ssl_verify_identity": True},
        {"ssl_ca": server.tls_ca, "ssl_mode": "VERIFY_CA"},
        {"ssl_ca": server.tls_ca, "ssl_mode": "VERIFY_IDENTITY"},
        {"ssl": {"ca": server.tls_ca}},
        {"ssl": {"ca": server.tls_ca, "check_hostname": False, "verify_mode": "required"}},
    ]
    for options in known:
        async with connect(**arguments, **options) as connection:
            assert await cipher(connection)
    unknown: list[dict[str, Any]] = [
        {"ssl_mode": "VERIFY_CA"},
        {"ssl_verify_cert": True},
        {"ssl": True},
    ]
    for options in unknown:
        with pytest.raises(OperationalError, match="certificate") as caught:
            await connect(**arguments, **options)
        assert caught.value.args[0] == 2026


async def test_host_name_is_verified(server: Server) -> None:
    """The certificate names 127.0.0.1 and localhost, not 127.0.0.2, where the server also is."""
    if server.tls_ca is None or server.host != "127.0.0.1":
        pytest.skip("needs a server of this run")
    context = ssl.create_default_context(cafile=server.tls_ca)

    async def forward(reader: Any, writer: Any) -> None:
        far_reader, far_writer = await asyncio.open_connection(server.host, server.port)

        async def copy(source: Any, target: Any) -> None:
            with contextlib.suppress(ConnectionError):
                while (data := await source.read(65536)) and not target.is_closing():
                    target.write(data)
            target.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    forwarder = await asyncio.start_server(forward, "127.0.0.2", 0)
    port = forwarder.sockets[0].getsockname()[1]
    arguments = server.connect_args | {"host": "127.0.0.2", "port": port}
    async with forwarder:
        with pytest.raises(OperationalError, match="127.0.0.2") as caught:
            await connect(**arguments, ssl=context)
        assert caught.value.args[0] == 2026
        async with connect(**arguments, ssl_ca=server.tls_ca, ssl_mode="VERIFY_CA") as connection:
            assert await cipher(connection)


async def test_client_certificate(
    server: Server, make_user: Callable[[str, str], dict[str, Any]]
) -> None:
    if server.tls_client_cert is None:
        pytest.skip("the server named in the environment came without a client certificate")
    plugin = "mysql_native_password" if server.kind == "mariadb" else "caching_sha2_password"
    account = make_user(plugin, "secret")
    server.execute(f"ALTER USER {account['user']} REQUIRE X509")
    arguments = {**server.connect_args, **account, "ssl_ca": server.tls_ca}
    with pytest.raises(OperationalError) as caught:
        await connect(**arguments)
    assert caught.value.args[0] == 1045
    async with connect(
        **arguments, ssl_cert=server.tls_client_cert, ssl_key=server.tls_client_key
    ) as connection:
        assert str(await one(connection, "SELECT CURRENT_USER()")).startswith(account["user"])


async def test_tls_preferred_by_default_away_from_loopback() -> None:
    """To another machine TLS is used when offered, and nothing is said in clear before."""
    seen: list[bytes] = []

    async def listen(reader: Any, writer: Any) -> None:
        hello = scripted.greeting(capabilities=scripted.CAPABILITIES | 0x800)
        writer.write(scripted.frame(hello, 0))
        seen.append(await reader.readexactly(36))

    from aiomysql_core.options.options import Options
    from aiomysql_protocol.login.login import Tls

    def policy(**options: Any) -> Tls:
        return Connection(**options)._options.login(Connection().session_charset.charset, b"x").tls

    assert isinstance(Connection()._options, Options)
    assert policy(host="db.example.org") is Tls.PREFERRED
    assert policy(host="10.0.0.7") is Tls.PREFERRED
    assert policy(host="127.0.0.1") is policy(host="::1") is policy(host="localhost")
    assert policy(host="localhost") is Tls.IF_NEEDED
    async with scripted.scripted_server(listen) as port:
        with pytest.raises(OperationalError) as caught:
            await connect(host="127.0.0.1", port=port, user="someone", ssl_mode="PREFERRED")
    assert caught.value.args[0] == 2026
    assert b"someone" not in seen[0]
    assert len(seen[0]) == 36


def test_context_is_built_once_per_option_set(server: Server, tmp_path: Path) -> None:
    if server.tls_ca is None:
        pytest.skip("the server named in the environment came without its CA")
    copy = tmp_path / "ca.pem"
    copy.write_bytes(Path(server.tls_ca).read_bytes())
    options = TlsOptions.resolve(None, ca=str(copy))
    context = options.ssl_context()
    assert TlsOptions.resolve(None, ca=str(copy)).ssl_context() is context
    assert TlsOptions.resolve(None, ca=server.tls_ca).ssl_context() is not context
    import os

    os.utime(copy, ns=(1, 1))  # the file was changed
    assert options.ssl_context() is not context


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"ssl_mode": "SOMETIMES"}, ValueError, "'ssl_mode'.*SOMETIMES"),
        ({"ssl": {"caa": "x"}}, ValueError, "'caa'"),
        ({"ssl": {"ca": "x", "verify_mode": "maybe"}}, ValueError, "'maybe'"),
        ({"ssl_ca": "/no/such/ca.pem"}, OperationalError, "/no/such/ca.pem"),
        ({"ssl_cert": __file__}, OperationalError, "SSL connection error"),
        ({"ssl_ca": __file__}, OperationalError, f"can't use ssl_ca='{__file__}'"),
        ({"ssl_cert": "/no/such/c.pem"}, OperationalError, "can't use ssl_cert='/no/such/c.pem'"),
        ({"ssl_cipher": "NOSUCH"}, OperationalError, "can't use ssl_cipher='NOSUCH'"),
        ({"ssl_session_reuse": 1}, TypeError, "'ssl_session_reuse'.*bool, not int"),
        ({"ssl_session_reuse": None, "ssl": False}, TypeError, "'ssl_session_reuse'"),
    ],
)
async def test_bad_tls_options(
    connect_args: dict[str, Any], options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    for given in (connect_args, {"host": "127.0.0.1", "port": 1}):  # before anything is opened
        with pytest.raises(kind, match=words):
            await connect(**given, **options)


# -- passwords, sockets, attributes ----------------------------------------------------------------


async def test_password_is_asked_at_every_connect(
    server: Server, make_user: Callable[[str, str], dict[str, Any]]
) -> None:
    plugin = "mysql_native_password" if server.kind == "mariadb" else "caching_sha2_password"
    account = make_user(plugin, "secret")
    asked = 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return "secret"

    async def slow_token() -> bytes:
        await asyncio.sleep(0)
        return token().encode()

    for function in (token, slow_token):
        arguments = {**server.connect_args, **account, "password": function}
        async with connect(**arguments) as connection:
            connection.close()
            await connection.ping()
    assert asked == 4

    def broken() -> str:
        raise LookupError("no token today")

    with pytest.raises(LookupError, match="today"):
        await connect(**{**arguments, "password": broken})
    with pytest.raises(TypeError, match="'password'.*NoneType"):
        await connect(**{**arguments, "password": lambda: None})


async def test_connected_socket(server: Server) -> None:
    sock = socket.create_connection((server.host, server.port))
    sock.setblocking(False)
    async with connect(**server.connect_args, sock=sock) as connection:
        assert await one(connection, "SELECT 1") == 1
    assert sock.fileno() == -1


async def test_attributes_of_ones_own(connect_args: dict[str, Any]) -> None:
    seen: list[bytes] = []

    async def listen(reader: Any, writer: Any) -> None:
        seen.append(await scripted.open_session(reader, writer))
        await scripted.silent(reader, writer)

    async with scripted.scripted_server(listen) as port:
        connection = await connect(
            host="127.0.0.1", port=port, autocommit=None, conn_attrs={"team": "blau", "äöü": "ß"}
        )
        connection.close()
    assert b"\x04team\x04blau" in seen[0]
    assert "äöü".encode() in seen[0]
    async with connect(**connect_args, conn_attrs={"long": "x" * 3000}) as connection:
        assert await one(connection, "SELECT 1") == 1


async def test_collation(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, collation="utf8mb4_unicode_ci") as connection:
        assert await one(connection, "SELECT @@collation_connection") == "utf8mb4_unicode_ci"
    with pytest.raises(OperationalError, match="klingon_ci"):
        await connect(**connect_args, collation="klingon_ci")


async def test_warnings_can_be_turned_off(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, get_warnings=False) as connection:
        cursor = await connection.cursor()
        await cursor.execute("DROP TABLE IF EXISTS no_such_table")
        assert (await connection.show_warnings())[0][1] == 1051


# -- time-outs -------------------------------------------------------------------------------------


async def test_read_timeout(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, read_timeout=0.2) as connection:
        began = time.monotonic()
        with pytest.raises(OperationalError, match="read_timeout") as caught:
            await one(connection, "SELECT SLEEP(1.5)")
        assert caught.value.args[0] == 2013
        assert 0.15 < time.monotonic() - began < 1.45
        assert connection.closed
        await connection.ping()
        assert await one(connection, "SELECT 1") == 1


async def test_write_timeout() -> None:
    async def deaf(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        await asyncio.sleep(5)

    async with scripted.scripted_server(deaf) as port:
        connection = await connect(
            host="127.0.0.1", port=port, autocommit=None, write_timeout=0.2, read_timeout=4
        )
        with pytest.raises(OperationalError, match="write_timeout") as caught:
            await connection.query(b"SELECT '" + b"x" * 50_000_000 + b"'")
        assert caught.value.args[0] == 2013
        assert connection.closed


# -- option files and data source names ------------------------------------------------------------


def test_option_file_syntax(tmp_path: Path) -> None:
    path = tmp_path / "my.cnf"
    path.write_text(
        "# comment\n; comment\n!include /no/such/other.cnf\n"
        "[client]\n"
        "  user=somebody   # a comment\n"
        'password = "a # b \\\\ \\" \'c\'"\n'
        "host='db.example.org'\n"
        "port=3307\n"
        "socket = /tmp/my\\ssock\n"
        "default_character_set = latin1\n"
        "ssl-ca=/ca.pem\nssl_cert = /cert.pem\nssl-key=/key.pem\n"
        "unknown = 1\nskip-something\n\n"
        "[other]\nuser=other\n"
        "[client]\ndatabase=last\n"
    )
    assert read_option_file(str(path)) == {
        "user": "somebody",
        "password": "a # b \\ \" 'c'",
        "host": "db.example.org",
        "port": 3307,
        "unix_socket": "/tmp/my sock",
        "charset": "latin1",
        "ssl_ca": "/ca.pem",
        "ssl_cert": "/cert.pem",
        "ssl_key": "/key.pem",
        "db": "last",
    }
    assert read_option_file(str(path), "other") == {"user": "other"}
    with pytest.raises(ValueError, match=r"missing\.cnf' can't be read: No such file"):
        read_option_file(str(tmp_path / "missing.cnf"))
    path.write_text("[client]\nport = many\n")
    with pytest.raises(ValueError, match=r"port can't be 'many'"):
        read_option_file(str(path))


async def test_data_source_name(server: Server) -> None:
    user = f"{server.user}:{server.password}"
    dsn = f"mysql://{user}@{server.host}:{server.port}/{server.database}?charset=latin1&ssl=no"
    async with connect(dsn) as connection:
        assert await one(connection, "SELECT DATABASE()") == server.database
        assert connection.charset == "latin1"
    async with connect(host=dsn, charset="utf8mb4", autocommit=True) as connection:
        assert connection.charset == "utf8mb4"
        assert connection.get_autocommit()


def test_parts_of_a_data_source_name() -> None:
    parsed = parse_dsn(
        "mariadb://us%40er:p%3Aw%2F@[::1]:3307/my%20db?connect_timeout=2.5&local_infile=true"
    )
    assert parsed == {
        "host": "::1",
        "port": 3307,
        "user": "us@er",
        "password": "p:w/",
        "db": "my db",
        "connect_timeout": 2.5,
        "local_infile": True,
    }
    assert parse_dsn("mysql:///test?unix_socket=/tmp/s") == {"db": "test", "unix_socket": "/tmp/s"}
    assert parse_dsn("mysql://h?ssl_session_reuse=no") == {"host": "h", "ssl_session_reuse": False}
    assert parse_dsn("mysql://h?minsize=2", POOL_KEYWORDS) == {"host": "h", "minsize": 2}


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("postgres://u:topsecret@h/d", "postgres"),
        ("mysql://u:topsecret@h:99999/d", "port"),
        ("mysql://u:topsecret?x@h/d", "characters of user, password and database quoted"),
        ("mysql://u:topsecret@h/d?colour=red", "colour"),
        ("mysql://u:topsecret@h/d?ssl=perhaps", "perhaps"),
        ("mysql://u:topsecret@h/d?minsize=2", "minsize"),
    ],
)
async def test_bad_data_source_name(dsn: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        await connect(dsn)
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("DEFAULT", None),
        (" default ", None),
        ("@@GLOBAL.sql_mode", None),
        ("0", ""),
        (0, ""),
        ("4", "ANSI_QUOTES"),
        (4, "ANSI_QUOTES"),
        ("", ""),
        ("ANSI_QUOTES,PIPES_AS_CONCAT", "PIPES_AS_CONCAT,ANSI_QUOTES"),
        ("'ANSI_QUOTES'", "ANSI_QUOTES"),
    ],
)
async def test_sql_mode(connect_args: dict[str, Any], given: str | int, wanted: str | None) -> None:
    if wanted is None:
        async with connect(**connect_args) as plain:
            wanted = await one(plain, "SELECT @@GLOBAL.sql_mode")
    async with connect(**connect_args, sql_mode=given) as connection:
        assert await one(connection, "SELECT @@sql_mode") == wanted
        assert connection.sql_mode == given


@pytest.mark.parametrize("given", [b"ANSI", True, 1.5, ["ANSI"]])
async def test_bad_sql_mode(given: Any) -> None:
    with pytest.raises(TypeError, match="'sql_mode'"):
        await connect(sql_mode=given)


@pytest.mark.parametrize(
    "given",
    [
        "mysql:/root:hunter2@db.example/test",
        "mysql//root:hunter2@db.example",
        "mysql:root:hunter2@db.example",
        "root:hunter2@db.example:3306/test",
        "root:hunter2",
        "db.example:3306",
        "[::1]",
        "/run/mysqld.sock",
        "db.example hunter2",
        "hunter2\n",
        "mysql:\\\\root:hunter2@db.example",
    ],
)
async def test_a_slip_in_a_data_source_name(given: str) -> None:
    """It is no host: nothing is looked up, and the password is not shown."""
    for unix_socket in (None, "/no/such/socket"):
        with pytest.raises(ValueError, match="option 'host' has") as caught:
            await connect(given, unix_socket=unix_socket)
        assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://root:12#hunter2@db.example/test",
        "mysql://root:12/hunter2@db.example/test",
        "mysql://root:12?hunter2@db.example/test",
        "mysql://root:hunter2/x@db.example/test",
        "mysqlx://root:hunter2@db.example/test",
        "root:hunter2@db.example://",
        "mysql://root:x@%68unter2%40db.example/test",
        "mysql://root:12?charset=hunter2@db.example/test",
        "mysql://root:12?hunter2=x@db.example/test",
        "mysql://root:x@db.example/test?init_command=hunter2@db.example",
        "mysql://root:12?hunter2",
        "mysql://db.example/test?hunter2=1",
        "mysql://db.example/test?password=hunter2",
        "mysql://db.example/test?password%3Dhunter2",
    ],
)
async def test_a_password_that_is_not_quoted(dsn: str) -> None:
    with pytest.raises(ValueError, match="data source name|option 'host'") as caught:
        await connect(dsn)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0", "127.0.0.1", "db-1.example", "a_b", "ö.x"])
async def test_hosts(host: str) -> None:
    assert Connection(host).host == host


async def test_no_password_is_shown() -> None:
    secret: Any = {"user": "root", "password": "hunter2", "factor_passwords": ["hunter2"]}
    key: Any = {"ssl_key_password": "hunter2", "ssl_cert": __file__, "ssl_key": __file__}
    connection = Connection("127.0.0.1", port=1, **secret, **key)
    pool: Any = create_pool(host="127.0.0.1", port=1, minsize=0, **secret)
    async with pool as opened:
        for thing in (connection, connection._options, opened, pool):
            assert "hunter2" not in repr(thing)
    with pytest.raises(OperationalError, match="2003") as caught:
        await connect("mysql://root:hunter2@127.0.0.1:1/")
    assert "hunter2" not in repr(caught.value)


async def test_every_option_gets_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []

    def find(given: tuple[Any, ...]) -> Options:
        seen.append(given)
        return find_options(given)

    monkeypatch.setattr(connection_module, "find_options", find)
    for name in OPTION_NAMES:
        mark = object()
        given: dict[str, Any] = {name: mark}
        with contextlib.suppress(TypeError, ValueError, AttributeError):
            Connection(**given)
        assert seen.pop()[OPTION_NAMES.index(name)] is mark, name


# -- options that were checked before --------------------------------------------------------------


async def test_checked_options_are_told_apart_by_type_and_keep_no_password() -> None:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "user": "u", "connect_timeout": 1}
    first = Connection(**given, password="first")._options
    for wrong in ({"port": True}, {"port": 1.0}, {"connect_timeout": True}, {"client_flag": False}):
        with pytest.raises(TypeError, match=repr(next(iter(wrong)))):
            Connection(**given | wrong)
    second = Connection(**given, password="second")._options
    assert (first.password, second.password) == ("first", "second")
    assert Connection(**given)._options.password == b""
    refused: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"password": 1}, TypeError),
        ({"password": "\ud800"}, ValueError),
        ({"factor_passwords": None}, TypeError),
    ]
    for wrong, error in refused:
        with pytest.raises(error, match=repr(next(iter(wrong)))):
            Connection(**given | wrong)
    second.db = "other"
    assert first.db is Connection(**given)._options.db is None


class Context(ssl.SSLContext):
    """A context with ways of its own."""


async def test_checked_options_keep_no_context() -> None:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "user": "contexts"}
    gc.disable()
    try:
        for kind in (ssl.SSLContext, Context):
            contexts = [kind(ssl.PROTOCOL_TLS_CLIENT) for _ in range(3)]
            for context in contexts:
                for mode in (None, "REQUIRED"):
                    tls = Connection(**given, ssl=context, ssl_mode=mode)._options.tls
                    assert (tls.context, tls.mode) == (context, mode or "REQUIRED")
            alive = weakref.WeakSet(contexts)
            assert len(alive) == 3
            del contexts, context, tls
            assert len(alive) == 0
    finally:
        gc.enable()
    assert Connection(**given)._options.tls.mode is None


async def test_what_one_connection_changes_is_not_another_ones(
    connect_args: dict[str, Any], server: Server
) -> None:
    arguments = connect_args | {"charset": "utf8mb4"}
    async with connect(**arguments) as first:
        await first.select_db("information_schema")
        await first.set_charset("latin1")
        await first.ping()
        first.close()
        await first.ping()
        where = "SELECT DATABASE(), @@character_set_client"
        assert await one(first, where) == ("information_schema", "latin1")
        async with connect(**arguments) as second:
            assert await one(second, where) == (connect_args["db"], "utf8mb4")


# -- TLS options that contradict each other --------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"ssl": True, "ssl_mode": "DISABLED"},
        {"ssl": ssl.create_default_context(), "ssl_mode": "disabled"},
        {"ssl": {"ca": "x"}, "ssl_mode": "DISABLED"},
        {"ssl": ssl.create_default_context(), "ssl_mode": "Preferred"},
        {"ssl": {"ca": "x"}, "ssl_mode": "PREFERRED"},
        {"ssl": {"verify_mode": "none"}, "ssl_mode": "PREFERRED"},
        {"ssl_verify_identity": True, "ssl_mode": "DISABLED"},
        {"ssl_verify_identity": True, "ssl_mode": "PREFERRED"},
        {"ssl_verify_cert": True, "ssl_mode": "PREFERRED"},
    ],
    ids=lambda options: " ".join(options),
)
async def test_tls_that_is_asked_for_and_switched_off(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"option 'ssl.*'ssl_mode' with [A-Z]+ does without"):
        await connect(**options)


async def test_tls_that_an_option_file_switches_off(tmp_path: Path) -> None:
    file = tmp_path / "my.cnf"
    file.write_text("[client]\nssl-mode=DISABLED\n")
    with pytest.raises(ValueError, match="'ssl_mode' with DISABLED"):
        await connect(ssl=True, read_default_file=str(file))


async def test_a_host_that_is_no_name_for_tls(server: Server) -> None:
    """With a unix socket it is only a name that is verified."""
    if server.unix_socket is None:
        pytest.skip("needs a unix socket")
    arguments = server.connect_args | {"unix_socket": server.unix_socket, "host": "a..b"}
    with pytest.raises((OperationalError, ValueError), match="SSL connection error|'host'"):
        await connect(**arguments, ssl=True)


async def test_a_file_that_no_path_names(server: Server) -> None:
    with pytest.raises(OperationalError, match="null") as caught:
        await connect(**server.connect_args, ssl_ca="a\0b")
    assert caught.value.args[0] == 2026


async def test_another_file_of_the_same_time(server: Server, tmp_path: Path) -> None:
    """It replaces the authority: copies keep the time of what they are copied from."""
    if server.tls_ca is None:
        pytest.skip("the server named in the environment came without its CA")
    path = tmp_path / "ca.pem"
    shutil.copyfile(server.tls_ca, path)
    times = path.stat()
    arguments = server.connect_args | {"ssl_ca": str(path), "ssl_mode": "VERIFY_CA"}
    async with connect(**arguments) as connection:
        assert await cipher(connection)
    other = tmp_path / "other.pem"
    assert server.tls_client_cert is not None
    shutil.copyfile(server.tls_client_cert, other)
    other.replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(OperationalError, match="certificate"):
        await connect(**arguments)


async def test_failed_handshakes_leave_no_cycle(server: Server) -> None:
    """Not even for who switched the collector off."""

    def alive() -> list[object]:
        return [found for found in gc.get_objects() if type(found) in (Session, Login)]

    gc.collect()
    gc.disable()
    before = alive()
    try:
        for _ in range(3):
            with contextlib.suppress(OperationalError):
                await connect(**(server.connect_args | {"ssl_mode": "VERIFY_CA", "password": "x"}))
        await asyncio.sleep(0)
        assert [found for found in alive() if not any(found is old for old in before)] == []
    finally:
        gc.enable()
