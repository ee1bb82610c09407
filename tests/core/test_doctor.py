"""``python -m aiomysql doctor`` and ``query``: what they say, and what they exit with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from aiomysql.__main__ import main
from aiomysql_core.doctor.output import Step, histogram, printable, show, writer
from tests import scripted
from tests.servers import DSN_NAME, Server, serving
from tests.tls_proxy import TlsProxy, own_context

PAGE = (Path(__file__).parent.parent.parent / "docs" / "doctor.md").read_text("utf-8")
PASSWORD = "gehe1m & wört/"
PLUGINS = {"mysql_native_password", "caching_sha2_password"}

Run = Callable[..., Any]
MakeUser = Callable[[str, str], dict[str, Any]]


def dsn(user: str, password: str, host: str, port: int, db: str = "", **options: Any) -> str:
    address = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}:{port}/{db}"
    return f"mysql://{address}?{urlencode(options)}"


def dsn_of(server: Server, **options: Any) -> str:
    given = {"host": server.host, "port": server.port, "user": server.user, "db": server.database}
    return dsn(**{**given, "password": server.password, **options})


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; returns what it exits with, and what it prints: on both, if that is asked."""

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, list(arguments))
        said = capsys.readouterr()
        for form in (PASSWORD, quote(PASSWORD), quote(PASSWORD, safe="")):
            assert form not in said.out + said.err
        return code, said.out, said.err

    return run


@pytest.fixture
def examine(run: Run) -> Run:
    """Run the doctor both ways, the second time as JSON; returns its code, text and steps."""

    async def examine(given: str) -> tuple[int, str, dict[str, Any]]:
        code, text, errors = await run("doctor", given)
        assert errors == ""
        again, out, errors = await run("doctor", given, "--json")
        assert (again, errors) == (code, "")
        said = json.loads(out)
        steps = {step["name"]: step for step in said["steps"]}
        assert len(steps) == len(said["steps"])
        for step in said["steps"]:
            # One after another, with the same status.
            assert f"{step['status']:9}{step['name']}" in text
        failed = [step for step in said["steps"] if step["status"] == "failed"]
        assert (said["status"] == "failed") == bool(failed) == (code != 0)
        for step in failed:
            assert step["likely_cause"] or step["what_to_do"]
            assert words(step["what_to_do"]) in words(text)
        return code, words(text), steps

    return examine


def words(text: str) -> str:
    """A text without the ends of its lines."""
    return " ".join(text.split())


async def failure(examine: Run, given: str, name: str) -> tuple[str, dict[str, Any]]:
    """What is said of the last step, which fails."""
    code, text, steps = await examine(given)
    assert code == 1, text
    step: dict[str, Any] = steps[name]
    assert step["status"] == "failed"
    assert list(steps)[-1] == name
    assert all(steps[other]["status"] != "failed" for other in list(steps)[:-1])
    return text, step


# -- what works ------------------------------------------------------------------------------------


async def test_a_healthy_server(examine: Run, server: Server) -> None:
    code, text, steps = await examine(dsn_of(server))
    assert code == 0
    assert list(steps) == [
        *("Name", "TCP", "Server", "TLS", "Log-in"),
        *("Session", "Clock", "Limits", "Round trips"),
    ]
    assert steps["TCP"]["address"] == f"{server.host}:{server.port}"
    kind = {"mysql": "MySQL", "mariadb": "MariaDB"}[server.kind]
    assert steps["Server"]["kind"] == kind
    ((version, packet, timeout),) = server.execute(
        "SELECT VERSION(), @@GLOBAL.max_allowed_packet, @@GLOBAL.wait_timeout"
    )
    assert steps["Server"]["version"].endswith(version)
    assert f"{kind}, version" in text
    assert "PROTOCOL_41" in steps["Server"]["capabilities_used"]
    assert "SSL" in steps["Server"]["capabilities_offered"]
    assert steps["TLS"]["encrypted"] is False
    assert "on this machine" in text
    assert steps["Log-in"]["auth_plugin"] in server.auth_plugins
    assert steps["Session"]["character_set_client"] == "utf8mb4"
    assert steps["Session"]["database"] == server.database
    assert "STRICT_TRANS_TABLES" in steps["Session"]["sql_mode"]
    assert abs(steps["Clock"]["seconds_ahead"]) < 5
    limits = steps["Limits"]
    assert (limits["max_allowed_packet"], limits["wait_timeout"]) == (packet, timeout)
    times = steps["Round trips"]
    assert times["fastest"] <= times["median"] <= times["slowest"]
    assert times["count"] == len(times["seconds"])


async def test_a_certificate_that_is_verified(examine: Run, server: Server) -> None:
    if server.tls_ca is None:
        pytest.skip("the server's authority is not known")
    given = dsn_of(server, host="localhost", ssl_ca=server.tls_ca, ssl_mode="VERIFY_IDENTITY")
    code, text, steps = await examine(given)
    assert code == 0
    found = steps["TLS"]
    assert found["encrypted"]
    assert found["version"] in ("TLSv1.2", "TLSv1.3")
    assert found["version"] in text
    assert found["verified"] == "authority and name"
    assert "localhost" in found["names"]
    assert found["days_left"] > 30
    assert found["valid_until"][:10] in text


async def test_what_is_not_verified_is_not_called_so(examine: Run, server: Server) -> None:
    for mode, verified in (("REQUIRED", "no"), ("VERIFY_CA", "authority")):
        authority = {"ssl_ca": server.tls_ca} if mode == "VERIFY_CA" else {}
        _, _, steps = await examine(dsn_of(server, ssl_mode=mode, **authority))
        assert steps["TLS"]["verified"] == verified


async def test_a_certificate_that_the_password_proves(
    examine: Run, server: Server, make_user: MakeUser, tmp_path: Path
) -> None:
    if server.kind != "mariadb" or server.version < (11, 4):
        pytest.skip("only MariaDB 11.4 and later proves its certificate")
    account = make_user("mysql_native_password", PASSWORD)
    for mode, verified in (
        ("VERIFY_CA", "by the password"),
        ("PREFERRED", "by the password"),
        ("REQUIRED", "no"),
    ):
        code, _, steps = await examine(dsn_of(server, **account, ssl_mode=mode))
        assert code == 0
        assert steps["TLS"]["verified"] == verified
    async with TlsProxy(server.host, server.port, own_context(tmp_path)) as proxy:
        given = dsn_of(server, **account, port=proxy.port, ssl_mode="VERIFY_CA")
        _, step = await failure(examine, given, "TLS")
    assert step["subject"] == "CN=in the middle"


async def test_over_a_unix_socket(examine: Run, server: Server) -> None:
    if server.unix_socket is None:
        pytest.skip("the server has no unix socket here")
    code, _, steps = await examine(dsn_of(server, unix_socket=server.unix_socket))
    assert code == 0
    assert steps["Name"]["unix_socket"] == server.unix_socket


async def test_the_end_of_a_certificate_is_told(
    examine: Run, server: Server, tmp_path: Path
) -> None:
    """Also where nobody verifies it."""
    for days, said in ((5, "ends in 4 days"), (-2, "has expired")):
        async with TlsProxy(server.host, server.port, own_context(tmp_path, days=days)) as proxy:
            code, text, steps = await examine(dsn_of(server, port=proxy.port, ssl_mode="REQUIRED"))
        assert code == 0
        assert steps["TLS"]["status"] == "warning"
        assert said in text


# -- what does not ---------------------------------------------------------------------------------


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_a_dead_port(examine: Run, free_port: int) -> None:
    text, step = await failure(examine, dsn("app", PASSWORD, "127.0.0.1", free_port), "TCP")
    assert step["error"] == 2003
    assert "nobody listens at this port" in text
    printed = PAGE.partition("```text\n")[2].partition("```")[0]
    assert words(printed).replace("3307", str(free_port)) == text


async def test_several_addresses(
    examine: Run, server: Server, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def both(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "db.example":
            return look_up(host, port, *args, **kwargs)
        dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port))
        return [(*dead[:4], (server.host, port)), dead]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    code, text, steps = await examine(dsn_of(server, host="db.example"))
    assert code == 0
    assert steps["Name"]["addresses"] == [server.host, "127.0.0.2"]
    where = f"127.0.0.2:{server.port}"
    word = steps["Other addresses"]["reached"][where]
    assert word in ("refused", "reached")  # the server may listen everywhere
    assert f"{where}: {word}" in text
    text, step = await failure(examine, dsn("app", PASSWORD, "db.example", free_port), "TCP")
    assert set(step["reached"].values()) == {"refused"}


async def test_an_unknown_name(examine: Run) -> None:
    text, _ = await failure(examine, dsn("app", PASSWORD, "nowhere.invalid", 3306), "Name")
    assert "nowhere.invalid" in text
    assert "the name has no address" in text


async def test_no_such_socket(examine: Run, tmp_path: Path) -> None:
    given = dsn("app", PASSWORD, "", 3306, unix_socket=tmp_path / "none.sock")
    text, _ = await failure(examine, given.replace("@:3306", "@"), "TCP")
    assert "no such socket" in text


async def test_a_silent_address(examine: Run) -> None:
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        for _ in range(3):
            sock = opened.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(address)
        given = dsn("app", PASSWORD, *address, connect_timeout=0.2)
        text, step = await failure(examine, given, "TCP")
    assert "timed out after 0.2 s" in step["message"]
    assert "firewall" in text


@contextlib.asynccontextmanager
async def peer(says: bytes, *, after: bytes = b"") -> AsyncIterator[str]:
    """A data source name of something that says this, first of all or after a line."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after:
            await reader.readuntil(after)
        writer.write(says)

    async with scripted.scripted_server(speak) as port:
        yield dsn("app", PASSWORD, "127.0.0.1", port, connect_timeout=0.3)


async def test_an_ssh_server(examine: Run) -> None:
    async with peer(b"SSH-2.0-OpenSSH_9.2\r\n") as given:
        text, step = await failure(examine, given, "Server")
    assert (step["error"], step["protocol"]) == (2007, "SSH")
    assert "it is an SSH server" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "protocol", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP", "it is a web server"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS", "ssl_negotiation=direct"),
        (b"?", None, "says nothing until"),
    ],
)
async def test_what_waits_for_the_client(
    examine: Run, says: bytes, protocol: str | None, said: str
) -> None:
    async with peer(says, after=b"\r\n\r\n") as given:
        text, step = await failure(examine, given, "Server")
    assert step["protocol"] == protocol
    assert said in text


async def test_something_else(examine: Run) -> None:
    async with peer(b"220 \x1b[31mmail\r\n") as given:
        text, step = await failure(examine, given, "Server")
    assert step["error"] == 2007
    assert "\x1b" not in text
    async with peer(b"") as given:
        text, step = await failure(examine, given, "Server")
    assert step["error"] == 2013
    full = scripted.frame(scripted.error(1040, "Too many \x1b[31mconnections"), 0)
    async with peer(full) as given:
        text, step = await failure(examine, given, "Server")
    assert step["error"] == 1040
    assert "\x1b" not in text
    assert "max_connections sessions" in text


async def test_a_server_that_stops_to_answer(examine: Run) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(scripted.frame(scripted.greeting(), 0))
        await scripted.silent(reader, writer)

    async with scripted.scripted_server(greet) as port:
        given = dsn("app", PASSWORD, "127.0.0.1", port, connect_timeout=0.5)
        text, step = await failure(examine, given, "Log-in")
    assert step["error"] == 2003
    assert "does not go on" in text


async def test_a_server_that_says_the_password(examine: Run) -> None:
    said = scripted.frame(scripted.error(1045, f"not '{PASSWORD}' {quote(PASSWORD)}"), 0)
    async with peer(said) as given:
        text, _ = await failure(examine, given, "Server")
    assert "not '***' ***" in text


async def test_a_server_that_says_the_password_of_an_option_file(
    examine: Run, tmp_path: Path
) -> None:
    path = tmp_path / "my.cnf"
    path.write_text("[client]\npassword=another-one\n", "utf-8")
    said = scripted.frame(scripted.error(1045, f"not 'another-one', not {PASSWORD}"), 0)
    async with peer(said) as given:
        joint = "&" if "?" in given else "?"
        text, _ = await failure(examine, f"{given}{joint}read_default_file={path}", "Server")
    assert "not '***', not ***" in text


async def test_an_option_file(examine: Run, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "my.cnf"
    path.write_text(f"[client]\nhost={server.host}\nport={server.port}\nuser=no-one\n", "utf-8")
    with path.open("a", encoding="utf-8") as file:
        file.write(f'password="{PASSWORD}"\n')
    text, step = await failure(examine, f"mysql:///?read_default_file={path}", "Log-in")
    assert step["error"] == 1045
    assert "no-one" in text


async def test_a_wrong_password(examine: Run, server: Server, make_user: MakeUser) -> None:
    account = make_user(min(server.auth_plugins & PLUGINS), "x")
    account["password"] = PASSWORD
    text, step = await failure(examine, dsn_of(server, **account), "Log-in")
    assert step["error"] == 1045
    assert account["user"] in text


async def test_an_unknown_database(examine: Run, server: Server) -> None:
    _, step = await failure(examine, dsn_of(server, db="no_such_database"), "Log-in")
    assert step["error"] == 1049


async def test_a_database_that_others_use(
    examine: Run, server: Server, make_user: MakeUser
) -> None:
    account = make_user(min(server.auth_plugins & PLUGINS), PASSWORD)
    server.execute(f"REVOKE ALL ON `{server.database}`.* FROM {account['user']}")
    _, step = await failure(examine, dsn_of(server, **account), "Log-in")
    assert step["error"] == 1044


async def test_a_bad_session(examine: Run, server: Server) -> None:
    _, step = await failure(examine, dsn_of(server, init_command="NONSENSE"), "Session")
    assert step["error"] == 1064


async def test_a_connection_that_is_lost_later(examine: Run, server: Server) -> None:
    """The log-in was over then."""
    async with lost_behind(server, b"UTC_TIMESTAMP") as port:
        text, step = await failure(examine, dsn_of(server, port=port), "Clock")
    assert step["error"] == 2013
    assert "broke after the log-in" in text
    assert "before the log-in" not in text


@contextlib.asynccontextmanager
async def lost_behind(server: Server, word: bytes) -> AsyncIterator[int]:
    """The port of a proxy that closes the connection when a statement has `word` in it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(server.host, server.port)

        async def forward(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while (data := await source.read(1 << 16)) and word not in data:
                target.write(data)
            writer.close()
            ours.close()

        with contextlib.suppress(OSError):
            await asyncio.gather(forward(reader, ours), forward(theirs, writer))

    async with scripted.scripted_server(serve) as port:
        yield port


async def test_garbage_after_the_greeting(examine: Run) -> None:
    """Without a number there is nothing to look up."""
    async with peer(scripted.frame(scripted.greeting(), 0) + b"\xff" * 40) as given:
        _, step = await failure(examine, given, "Log-in")
    assert "manual" not in step["what_to_do"]


@pytest.mark.parametrize("option", ["ssl_ca", "ssl_cert"])
async def test_files_that_can_not_be_used(examine: Run, free_port: int, option: str) -> None:
    """The option is named, and nothing is opened."""
    for path in ("/no/such.pem", __file__):
        given = dsn("app", PASSWORD, "127.0.0.1", free_port, **{option: path})
        text, step = await failure(examine, given, "Options")
        assert step["error"] == 2026
        assert f"{option}='{path}'" in step["message"]
        assert "mend the option that the message names" in text


async def test_no_tls(examine: Run, server: Server) -> None:
    if server.name == DSN_NAME:
        pytest.skip("a server that is not ours is not to be changed")
    off = {"ssl": "0"} if server.kind == "mariadb" else {"tls-version": ""}
    with serving(server.name, **off) as other:
        text, step = await failure(examine, dsn_of(other, ssl_mode="REQUIRED"), "TLS")
        assert step["error"] == 2026
        assert "the server has none" in text
        code, text, steps = await examine(dsn_of(other))
        assert code == 0
        assert steps["TLS"]["offered"] is False


async def test_an_unknown_authority(examine: Run, server: Server) -> None:
    """What the certificate says is seen all the same."""
    given = dsn_of(server, ssl_mode="VERIFY_IDENTITY", ssl_capath="", user="nobody", password="")
    text, step = await failure(examine, given, "TLS")
    assert step["error"] == 2026
    assert "its authority is not known here" in text
    assert "localhost" in step["names"]


async def test_certificates_that_are_refused(examine: Run, server: Server, tmp_path: Path) -> None:
    for days, mode, said in (
        (-2, "VERIFY_CA", "no longer valid"),
        (2, "VERIFY_IDENTITY", "for another name"),
    ):
        context = own_context(tmp_path, "other.example", days=days)
        async with TlsProxy(server.host, server.port, context) as proxy:
            given = dsn_of(server, port=proxy.port, ssl_mode=mode, ssl_ca=tmp_path / "own.pem")
            text, step = await failure(examine, given, "TLS")
            assert server.user.encode() + b"\0" not in proxy.received
        assert said in text
        assert step["names"] == ["other.example"]
        assert (step["days_left"] < 0) == (days < 0)


async def test_a_certificate_that_an_option_file_refuses(
    examine: Run, server: Server, tmp_path: Path
) -> None:
    """It is shown all the same."""
    context = own_context(tmp_path, "other.example", days=2)
    path = tmp_path / "my.cnf"
    async with TlsProxy(server.host, server.port, context) as proxy:
        lines = ("[client]", f"ssl-ca={tmp_path / 'own.pem'}", "ssl-verify-server-cert")
        path.write_text("\n".join([*lines, f"port={proxy.port}"]), "utf-8")
        given = f"mysql://{server.user}@{server.host}/?read_default_file={path}"
        text, step = await failure(examine, given, "TLS")
        assert server.user.encode() + b"\0" not in proxy.received
    assert "for another name" in text
    assert step["names"] == ["other.example"]


# -- the command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        f"app:{PASSWORD}@db.example/shop",
        f"http://app:{PASSWORD}@db.example/shop",
        f"mysql://app:{PASSWORD}@db.example/shop",
        f"mysql://app:{quote(PASSWORD, safe='')}@db.example/shop?colour=red",
        f"mysql://app:{quote(PASSWORD, safe='')}@db.example/shop?ssl_mode=PERHAPS",
    ],
)
async def test_no_data_source_name(examine: Run, run: Run, given: str) -> None:
    code, _, steps = await examine(given)
    assert code == 2
    assert list(steps) == ["Options"]
    code, out, errors = await run("query", given, "SELECT 1")
    assert (code, out) == (2, "")
    assert errors


@pytest.mark.parametrize(
    "arguments",
    [
        [f"mysql://app:{PASSWORD}@db.example/shop"],
        ["doctor", "mysql://app:my", f"{PASSWORD}@db.example"],
        ["doctor", f"--json=mysql://app:{PASSWORD}@db.example"],
        ["query", f"mysql://app:{PASSWORD}@db.example"],
    ],
)
async def test_arguments_that_can_not_be_used(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "gehe1m" not in said.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mysql://app@db.example/shop?charset=nosuch", "give the option that the message names"),
        ("mysql+aiomysql://app@db.example/shop", "mysql://, not mysql+aiomysql://: leave out what"),
    ],
)
async def test_what_to_do_about_options(examine: Run, given: str, said: str) -> None:
    code, text, _ = await examine(given)
    assert code == 2
    assert said in text


def test_a_password_from_a_pipe(server: Server) -> None:
    command = [sys.executable, "-W", "error", "-m", "aiomysql", "query", "-p", dsn_of(server)]
    result = subprocess.run(
        [*command, "DO 0"],
        input=f"{server.password}\n".encode(),
        capture_output=True,
        start_new_session=True,  # without a terminal
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, b"")


async def test_a_password_that_is_asked_for(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: server.password)
    given = dsn_of(server, password=PASSWORD)
    assert (await run("doctor", "-p", given))[0] == 0
    assert (await run("query", "-p", given, "DO 0"))[0] == 0


# -- rows ------------------------------------------------------------------------------------------


async def test_a_table(run: Run, server: Server) -> None:
    sql = "SELECT 7 AS n, 'a\nb' AS t, NULL AS e UNION ALL SELECT 1234, '日本', 'x'"
    assert await run("query", dsn_of(server), sql) == (
        0,
        "n    | t    | e\n-----+------+-----\n   7 | a\\nb | NULL\n1234 | 日本 | x\n(2 rows)\n",
        "",
    )
    code, out, _ = await run("query", dsn_of(server), "SELECT UNHEX('00FF') AS b; SELECT 2 AS c")
    assert (code, out) == (0, "b\n------\n0x00FF\n(1 row)\nc\n-\n2\n(1 row)\n")


async def test_the_table_of_the_page(run: Run, server: Server) -> None:
    sql = "SELECT 42 AS id, 'Ann' AS name UNION ALL SELECT 43, 'Bob'"
    _, out, _ = await run("query", dsn_of(server), sql)
    assert f"```text\n{out}```" in PAGE


async def test_what_is_changed_is_committed(run: Run, server: Server, table_name: str) -> None:
    server.execute(f"CREATE TABLE {table_name} (n INT)")
    code, out, _ = await run("query", dsn_of(server), f"INSERT INTO {table_name} VALUES (1), (2)")
    assert (code, out) == (0, "(no result, 2 rows changed)\n")
    assert len(server.execute(f"SELECT * FROM {table_name}")) == 2
    assert await run("query", dsn_of(server), f"SELECT n FROM {table_name} WHERE n > 2") == (
        *(0, "n\n-\n(0 rows)\n", ""),
    )


async def test_warnings_and_errors(run: Run, server: Server, free_port: int) -> None:
    code, out, errors = await run("query", dsn_of(server), "SELECT CAST('x' AS SIGNED) AS x")
    assert (code, out) == (0, "x\n-\n0\n(1 row)\n")
    assert errors.startswith("warning: ")
    code, out, errors = await run("query", dsn_of(server), "SELECT * FROM no_such_table")
    assert (code, out) == (1, "")
    assert errors.startswith("error 1146: ")
    code, _, errors = await run("query", dsn("app", PASSWORD, "127.0.0.1", free_port), "SELECT 1")
    assert code == 1
    assert errors.startswith("error 2003: ")
    assert "nobody listens at this port" in errors


async def test_an_error_among_the_rows(run: Run, server: Server) -> None:
    """What came before it is there."""
    sql = "SELECT IF(seq < 1000, seq, (SELECT 1 UNION SELECT 2)) AS n FROM (WITH RECURSIVE"
    sql += " s (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s WHERE seq < 1000)"
    sql += " SELECT seq FROM s) AS t"
    code, _, errors = await run("query", dsn_of(server), sql)
    assert code == 1
    assert errors.startswith("error 1242: ")


LONG = "SELECT REPEAT('x', 1000) FROM information_schema.columns a, information_schema.columns b"


def test_in_a_pipe(server: Server) -> None:
    """Who reads may stop at once: of all those rows few are sent."""
    command = [sys.executable, "-W", "error", "-m", "aiomysql", "query", dsn_of(server), LONG]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("REPEAT")
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == ""


def test_the_doctor_in_a_pipe(server: Server) -> None:
    command = [sys.executable, "-W", "error", "-m", "aiomysql", "doctor", dsn_of(server)]
    result = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"ok       Name ")
    assert b"\x1b" not in result.stdout


def test_with_the_core_alone(server: Server) -> None:
    command = [sys.executable, "-W", "error", "-m", "aiomysql_core"]
    for arguments, said in (
        ([], b"aiomysql-core "),
        (["doctor", dsn_of(server)], b"ok       Name "),
        (["query", dsn_of(server), "SELECT 42 AS n"], b"n\n--\n42\n(1 row)\n"),
    ):
        result = subprocess.run(
            [*command, *arguments], capture_output=True, check=False, timeout=60
        )
        assert (result.returncode, result.stderr) == (0, b"")
        assert result.stdout.startswith(said)


# -- its parts -------------------------------------------------------------------------------------


class Terminal:
    """A terminal that keeps what is written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None: ...


@pytest.mark.parametrize("has_rich", [True, False])
def test_colors_on_a_terminal(has_rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    terminal: Any = Terminal()
    step = Step("TCP", lines=["connected"])
    step.warn("it is [red]slow[/red]", "wait")
    show(step, writer(terminal))
    assert ("\x1b[" in terminal.written) == has_rich
    assert "it is [red]slow[/red]" in terminal.written


def test_no_color_is_not_bold_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal: Any = Terminal()
    writer(terminal)("a head", "bold")
    assert terminal.written == "a head\n"


# A thread that prints holds a lock for a moment more, without which Python ends by abort().
HANGING = """
import os, signal, socket, sys, time
from aiomysql.__main__ import main

def hang(*args, **options):
    os.write(1, b"looks it up\\n")
    time.sleep(600)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" has it ignored
socket.getaddrinfo = hang
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl-C is no signal")
@pytest.mark.parametrize("command", [["doctor"], ["query"]])
def test_an_interrupt_while_a_name_is_looked_up(command: list[str]) -> None:
    dsn = "mysql://db.example/"
    arguments = [*command, dsn, *(["SELECT 1"] if command == ["query"] else [])]
    with subprocess.Popen(
        [sys.executable, "-c", HANGING, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "looks it up\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()


def test_histogram() -> None:
    assert histogram([0.0001, 0.00015, 0.0002, 0.0009]) == [
        "up to     0.1 ms   1 ####################",
        "up to     0.2 ms   2 ########################################",
        "up to     0.5 ms   0",
        "up to       1 ms   1 ####################",
    ]


def test_printable() -> None:
    assert printable("größer 日本") == "größer 日本"
    assert printable("a\x1b[2J\tb\n\u202e") == "a\\x1b[2J\\tb\\n\\u202e"
