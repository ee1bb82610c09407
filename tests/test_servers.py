"""The module that gives the suite its servers: nothing half-made, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import DSN_NAME, NAMES, Server, ServerError, selected_names, serving
from tests.servers import progress as progress_module
from tests.servers.apt import find_mirror
from tests.servers.cache import once
from tests.servers.catalogue import CATALOGUE
from tests.servers.instance import sweep
from tests.servers.progress import Ticker, run, shown_by
from tests.servers.server import DSN_VARIABLE, parse_dsn

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
CLI = [sys.executable, "-m", "tests.servers"]


def wait_until(condition: Callable[[], bool], timeout: float = 15.0) -> bool:
    """Whether the condition came true within `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def port_answers(port: int) -> bool:
    """Whether anybody listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def folder_of(server: Server) -> Path:
    """The folder that holds all of a server."""
    assert server.log is not None
    return server.log.parent


def gone(server: Server) -> bool:
    """Whether neither the server nor its folder is there any more."""
    assert server.unix_socket is not None
    return not Path(server.unix_socket).parent.exists() and not port_answers(server.port)


@pytest.fixture
def own_name(request: pytest.FixtureRequest) -> str:
    """The name of a server that this run may start: the first of those chosen."""
    name = selected_names(os.environ.get("SERVER", ""))[0]
    if name == DSN_NAME:
        pytest.skip(f"{DSN_VARIABLE} is set, so no servers are started here")
    return name


# --- names and data source names


def test_a_dsn_says_everything() -> None:
    server = parse_dsn("mysql://us%40er:p%3Aw%2F@[::1]:3310/t%20est?unix_socket=/a%20b&tls_ca=/c")
    assert (server.user, server.password, server.host) == ("us@er", "p:w/", "::1")
    assert (server.port, server.database) == (3310, "t est")
    assert (server.unix_socket, server.tls_ca) == ("/a b", "/c")
    assert parse_dsn(server.dsn) == server


def test_a_dsn_has_defaults() -> None:
    assert parse_dsn("mariadb://") == Server(name="dsn")
    assert Server(name="dsn").connect_args == {
        "host": "127.0.0.1",
        "port": 3306,
        "user": "root",
        "password": "",
        "db": "test",
    }


@pytest.mark.parametrize(
    ("dsn", "complaint"),
    [
        ("127.0.0.1:3306", "scheme"),
        ("postgres://x", "'postgres'"),
        ("mysql://x:port/", "[Pp]ort"),
        ("mysql://x:99999/", "range"),
        ("mysql://x/test?timeout=3", "unknown timeout"),
        ("mysql://x/test?unix_socket", "bad query"),
    ],
)
def test_a_wrong_dsn_is_explained(dsn: str, complaint: str) -> None:
    with pytest.raises(ServerError, match=f"{DSN_VARIABLE} should look like .*{complaint}"):
        parse_dsn(dsn)


def test_servers_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DSN_VARIABLE, raising=False)
    assert selected_names("") == NAMES
    assert selected_names(" mysql97, mariadb118,mysql97,") == ("mysql97", "mariadb118")
    with pytest.raises(ServerError, match="'mysql5'; known: mariadb1011, mariadb118, mysql97"):
        selected_names("mysql97,mysql5")
    monkeypatch.setenv(DSN_VARIABLE, "mysql://somewhere")
    assert selected_names("mysql97") == (DSN_NAME,)


def test_an_unreachable_dsn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        # Bound, but not listening: nobody else can answer there.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv(DSN_VARIABLE, f"mysql://127.0.0.1:{port}")
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}.*2003"), serving(DSN_NAME):
            pass


# --- fetching


@pytest.mark.parametrize(
    ("file", "text", "mirror"),
    [
        ("sources.list", "deb http://m/debian/ bookworm main contrib # ours", "http://m/debian/"),
        (
            "sources.list.d/a.list",
            """
            # deb http://old/debian sid main
            deb-src http://s/debian sid main
            deb http://m/debian-security bookworm-security main
            deb [arch=amd64 signed-by=/k.gpg] mirror+file:/etc/debian.list trixie main
            """,
            "mirror+file:/etc/debian.list",
        ),
        (
            "sources.list.d/debian.sources",
            """
            Types: deb
            URIs: http://vendor/apt
            Suites: stable
            Components: main

            Enabled: no
            Types: deb
            URIs: http://off/debian
            Suites: sid
            Components: main

            # Debian
            Types: deb deb-src
            URIs: http://m/debian
              http://n/debian
            Suites: bookworm
             bookworm-updates
            Components: main
            """,
            "http://m/debian",
        ),
    ],
)
def test_the_mirror_comes_from_apt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, mirror: str
) -> None:
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    with pytest.raises(ServerError, match="set DEBIAN_MIRROR"):
        find_mirror(tmp_path)
    (tmp_path / file).write_text(textwrap.dedent(text))
    assert find_mirror(tmp_path) == mirror
    monkeypatch.setenv("DEBIAN_MIRROR", "http://chosen")
    assert find_mirror(tmp_path) == "http://chosen"


def fetch(tmp_path: Path, **environment: str) -> str:
    """What a failing fetch into an empty cache prints."""
    cache = tmp_path / "cache"
    done = subprocess.run(
        [*CLI, "fetch", "mysql97"],
        cwd=ROOT,
        env={**os.environ, "AIOMYSQL_TEST_CACHE": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not (cache / "packages/mysql97").exists()
    return done.stderr


def test_without_apt_the_missing_part_is_named(tmp_path: Path) -> None:
    printed = fetch(tmp_path, PATH=str(tmp_path))
    assert "apt-get is not on PATH" in printed
    assert DSN_VARIABLE in printed


def test_off_line_the_mirror_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        mirror = f"http://127.0.0.1:{taken.getsockname()[1]}/debian"
        printed = fetch(tmp_path, DEBIAN_MIRROR=mirror)
    assert "apt-get is not on PATH" in printed or f"cannot be fetched from {mirror}" in printed
    assert DSN_VARIABLE in printed


def test_an_unwritable_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    printed = fetch(tmp_path)
    assert f"AIOMYSQL_TEST_CACHE can name another folder than {tmp_path}/cache" in printed


def test_processes_that_ask_at_once_wait_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOMYSQL_TEST_CACHE", str(tmp_path))
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        time.sleep(0.3)
        (folder / "content").write_text("complete")

    threads = [threading.Thread(target=once, args=("thing", Ticker("t"), make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (tmp_path / "thing/content").read_text() == "complete"


def test_a_partial_result_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOMYSQL_TEST_CACHE", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ServerError("interrupted")

    with pytest.raises(ServerError, match="interrupted"):
        once("thing", Ticker("t"), fail)
    assert not (tmp_path / "thing").exists()
    folder = once("thing", Ticker("t"), lambda folder: (folder / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]


@pytest.fixture
def progress_lines() -> Iterator[list[str]]:
    """The lines that show progress."""
    lines: list[str] = []
    with shown_by(lines.append):
        yield lines


def test_a_long_job_shows_that_it_lives(
    monkeypatch: pytest.MonkeyPatch, progress_lines: list[str]
) -> None:
    monkeypatch.setattr(progress_module, "PERIOD", 0.2)
    printed = run(["sh", "-c", "sleep 1; echo done"], Ticker("job"), lambda: "1.5 MB fetched")
    assert printed == "done\n"
    assert 2 <= len(progress_lines) <= 5
    assert re.fullmatch(r"test servers: job: 1\.5 MB fetched \(\d s\)", progress_lines[0])


def test_a_failing_program_tells_why() -> None:
    with pytest.raises(ServerError, match=r"(?s)job: sh failed \(3\):.*no such package"):
        run(["sh", "-c", "echo no such package >&2; exit 3"], Ticker("job"), str)


# --- starting and purging


def test_a_server_lives_as_long_as_the_block(own_name: str) -> None:
    with serving(own_name, performance_schema="ON") as server:
        assert server.execute("SELECT @@performance_schema") == [(1,)]
        assert oct(folder_of(server).stat().st_mode)[-2:] == "00"
    assert gone(server)


def test_a_failing_block_leaves_nothing(own_name: str) -> None:
    with pytest.raises(ZeroDivisionError), serving(own_name) as server:
        _ = 1 / 0
    assert gone(server)


def test_a_server_that_does_not_start_tells_why(own_name: str) -> None:
    with pytest.raises(ServerError, match=r"(?s)ended instead of starting.*no.such.option"):  # noqa: SIM117
        with serving(own_name, no_such_option="1"):
            pass


def start_cli(own_name: str, *command: str) -> tuple[subprocess.Popen[str], Server]:
    """Start `run` with a command that prints the DSN; a process group of its own."""
    script = f"import os, time; print(os.environ['{DSN_VARIABLE}'], flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [*CLI, "run", own_name, "--", *(command or (sys.executable, "-c", script))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    server = parse_dsn(process.stdout.readline().strip())
    return process, server


@pytest.mark.parametrize(
    ("number", "whole_group", "status"),
    [
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, False, 143),
        (signal.SIGKILL, True, -signal.SIGKILL),
    ],
)
def test_a_signal_purges(
    own_name: str, number: signal.Signals, whole_group: bool, status: int
) -> None:
    process, server = start_cli(own_name)
    with process:
        assert port_answers(server.port)
        (os.killpg if whole_group else os.kill)(process.pid, number)
        assert process.wait(15) == status
    assert wait_until(lambda: gone(server))


def test_run_gives_the_exit_status_and_the_dsn(own_name: str) -> None:
    script = """
import sys
from tests.servers import serving
with serving("dsn") as server:
    print(server.dsn)
    sys.exit(server.execute("SELECT 7")[0][0])
"""
    process, server = start_cli(own_name, sys.executable, "-c", script)
    with process:
        assert process.wait(15) == 7
    assert gone(server)


def start_pytest(own_name: str, folder: Path, text: str) -> subprocess.Popen[str]:
    """Start pytest with the suite's fixtures on a file of tests, in a process group of its own."""
    file = folder / "test_child.py"
    file.write_text(text)
    options = [f"-c{ROOT}/pyproject.toml", f"--rootdir={folder}", "-ptests.conftest"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, str(file)],
        cwd=ROOT,
        env={**os.environ, "SERVER": own_name},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


LEAKING_TEST = """
leaked = []
def test_child(server):
    leaked.append(server.connect())
    assert leaked[0].open
"""
INTERRUPTED_TEST = """
import os, time
def test_child(server):
    with open({file!r} + ".new", "w") as file:
        file.write(server.dsn)
    os.rename(file.name, {file!r})
    time.sleep(60)
"""


def test_a_module_that_leaves_a_session_fails(own_name: str, tmp_path: Path) -> None:
    with start_pytest(own_name, tmp_path, LEAKING_TEST) as process:
        printed, _ = process.communicate(timeout=30)
    assert "1 passed, 1 error" in printed
    assert f"sessions left on {own_name}" in printed


def test_ctrl_c_in_pytest_purges_and_progress_is_seen(own_name: str, tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    with start_pytest(own_name, tmp_path, INTERRUPTED_TEST.format(file=str(file))) as process:
        started = wait_until(lambda: file.exists() or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=15)
    assert started, printed
    assert process.returncode == pytest.ExitCode.INTERRUPTED, printed
    assert re.search(rf"^test servers: {own_name}: [\d.]+ runs on port", printed, re.MULTILINE)
    assert gone(parse_dsn(file.read_text()))


def test_left_overs_of_a_killed_guard_are_swept(own_name: str) -> None:
    with serving(own_name) as server:
        folder = folder_of(server)
        pid = int((folder / "server.pid").read_text())
        status = Path(f"/proc/{pid}/status")
        if not status.exists():
            pytest.skip("without /proc an orphan cannot be told from a stranger")
        guard = re.search(r"(?m)^PPid:\s+(\d+)", status.read_text())
        assert guard is not None
        lock = folder / "guard.lock"
        os.utime(lock, (0, 0))
        assert folder not in sweep(), "a server in use was swept"
        os.kill(int(guard[1]), signal.SIGKILL)
        assert wait_until(lambda: folder in sweep())
        assert wait_until(lambda: gone(server))


# --- what the servers are


AUTH_PLUGINS = {
    "mariadb1011": {"mysql_native_password", "unix_socket", "ed25519"},
    "mariadb118": {"mysql_native_password", "unix_socket", "ed25519", "parsec"},
    "mysql97": {"caching_sha2_password", "sha256_password"},
}


def test_a_server_is_what_it_is_called(server: Server) -> None:
    if server.name in CATALOGUE:
        entry = CATALOGUE[server.name]
        assert server.kind == entry.kind
        assert server.version[: len(entry.series)] == entry.series
        assert server.auth_plugins >= AUTH_PLUGINS[server.name]
    assert server.execute("SELECT DATABASE()") == [(server.database,)]


def test_sessions_are_counted(server: Server) -> None:
    before = server.sessions()
    with server.connect() as connection:
        assert len(server.sessions()) == len(before) + 1
        assert connection.open
    if server.name != DSN_NAME:
        assert server.settled_sessions() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_certificates_stand_the_strictest_checks(server: Server, host: str) -> None:
    if server.tls_ca is None:
        pytest.skip(f"{DSN_VARIABLE} has no tls_ca")
    context = ssl.create_default_context(cafile=server.tls_ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if server.tls_client_cert and server.tls_client_key:
        context.load_cert_chain(server.tls_client_cert, server.tls_client_key)
    with (
        server.connect(unix_socket=None, host=host, ssl=context) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        ((_, cipher),) = cursor.fetchall()
    assert cipher


def test_accounts_are_made_for_each_plugin(
    server: Server, make_user: Callable[[str, str], dict[str, Any]]
) -> None:
    plugins = {"mysql_native_password", "caching_sha2_password", "sha256_password"}
    usable = plugins & server.auth_plugins
    assert usable
    for plugin in usable:
        account = make_user(plugin, "se'cr\\et%s")
        # PyMySQL 1.0 cannot do sha256_password on a unix socket.
        with (
            server.connect(unix_socket=None, **account) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT CURRENT_USER()")
            assert cursor.fetchone() == (f"{account['user']}@%",)
