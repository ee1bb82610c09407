"""One private server process: folder, port, start, stop, and no trace left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pymysql

from .bootstrap import data_template
from .certificates import certificates
from .errors import ServerError
from .packages import Program, find_program
from .progress import Ticker, run
from .server import Server

START_TIMEOUT = 90.0
STOP_TIMEOUT = 30.0
_PREFIX = "aiomysql-server-"
_LOCK = "guard.lock"
_PORT_TAKEN = "Bind on TCP/IP port"
# The path of a unix socket has to fit into 103 bytes (macOS; Linux takes 107).
_LONGEST_SOCKET = 103
_SETTINGS = {
    "bind-address": "127.0.0.1",
    "character-set-server": "utf8mb4",
    "innodb-buffer-pool-size": "256M",
    # Durability costs time and is of no use to data that are thrown away.
    "innodb-flush-log-at-trx-commit": "2",
    "sync-binlog": "0",
    "local-infile": "ON",
    "max-allowed-packet": "1G",
    "max-connections": "1000",
    "performance-schema": "OFF",
}


def _settings(program: Program, folder: Path, port: int) -> dict[str, str]:
    tls = certificates()
    settings = {
        **_SETTINGS,
        "datadir": str(folder / "data"),
        "port": str(port),
        "socket": str(folder / "socket"),
        "pid-file": str(folder / "mysqld.pid"),
        "tmpdir": str(folder / "tmp"),
        "secure-file-priv": str(folder / "files"),
        "ssl-ca": str(tls.ca),
        "ssl-cert": str(tls.certificate("server")),
        "ssl-key": str(tls.key("server")),
    }
    if program.kind == "mysql":
        settings["mysqlx"] = "OFF"
    return settings


def _make_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    if len(os.fsencode(folder / "socket")) > _LONGEST_SOCKET:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    for name in ("tmp", "files"):
        (folder / name).mkdir()
    return folder


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def sweep(minimum_age: float = 60.0) -> list[Path]:
    """Remove what killed runs left behind; returns the folders removed.

    A folder is left alone while a guard holds its lock, or when it is younger than
    `minimum_age` seconds: it may be about to be locked.
    """
    removed = []
    for parent in {tempfile.gettempdir(), "/tmp"}:
        for lock in Path(parent).glob(f"{_PREFIX}*/{_LOCK}"):
            with contextlib.suppress(OSError):
                if time.time() - lock.stat().st_mtime < minimum_age:
                    continue
                with lock.open("r+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _kill_orphan(lock.parent)
                    shutil.rmtree(lock.parent)
                    removed.append(lock.parent)
    return removed


def _kill_orphan(folder: Path) -> None:
    """Kill the server that works in `folder`, if its process is really that one."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "server.pid").read_text())
        # Where there is no /proc, a number alone is not enough to kill somebody.
        if os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


class _PortTaken(Exception):
    """Another program was quicker to take the port."""


class Instance:
    """A server that runs from construction until `stop`, at the latest until this process ends."""

    def __init__(
        self,
        program: Program,
        name: str,
        options: Mapping[str, str],
        ticker: Ticker,
        data: Path | None = None,
    ) -> None:
        """`data`: the folder whose copy it begins with; default is a fresh one."""
        self._program = program
        self._ticker = ticker
        self._folder = _make_folder()
        self._guard: subprocess.Popen[bytes] | None = None
        try:
            shutil.copytree(data or data_template(program, ticker), self.data)
            port = free_port()
            self._spawn({**_settings(program, self._folder, port), **options})
            self.server = self._wait(self._describe(name, port))
        except BaseException:
            self.stop()
            raise

    def _describe(self, name: str, port: int) -> Server:
        tls = certificates()
        public_key = self._folder / "data/public_key.pem"
        return Server(
            name=name,
            kind=self._program.kind,
            port=port,
            unix_socket=str(self._folder / "socket"),
            tls_ca=str(tls.ca),
            tls_client_cert=str(tls.certificate("client")),
            tls_client_key=str(tls.key("client")),
            rsa_public_key=str(public_key) if self._program.kind == "mysql" else None,
            log=self._folder / "server.log",
        )

    def _configure(self, settings: Mapping[str, str]) -> None:
        """Add to the option file, where the last of several values counts."""
        with (self._folder / "my.cnf").open("a") as file:
            file.writelines(f"{key} = {value}\n" for key, value in settings.items())

    def _argv(self, *options: str) -> list[str]:
        option_file = self._folder / "my.cnf"
        base = self._program.base_options
        return self._program.argv(f"--defaults-file={option_file}", *base, *options)

    def _spawn(self, settings: Mapping[str, str]) -> None:
        option_file = self._folder / "my.cnf"
        option_file.write_text("[mysqld]\n")
        option_file.chmod(0o600)
        self._configure(settings)
        argv = self._argv()
        guard = str(Path(__file__).with_name("guard.py"))
        # The guard inherits the lock, and holds it as long as it lives.
        with (self._folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard, str(self._folder), *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[lock.fileno()],
                env=self._program.environment,
                # Ctrl-C on the terminal reaches the tests; the guard follows them.
                start_new_session=True,
            )

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self._folder / "data"

    def shut_down(self) -> None:
        """End the server in an orderly way, and leave its folder."""
        assert self._guard is not None
        assert self._guard.stdout is not None
        os.kill(self.pid, signal.SIGTERM)
        self._guard.stdout.read()

    @property
    def pid(self) -> int:
        """Number of the server's process."""
        return int((self._folder / "server.pid").read_text())

    def run(self, *options: str) -> str:
        """Run the program of the server, which was killed, with further options on its folder.

        For options that let it end by itself; returns what it printed.
        """
        environment = self._program.environment
        return run(self._argv(*options), self._ticker, lambda: options[0], env=environment)

    def restart(self, options: Mapping[str, str] | None = None) -> None:
        """Start the server again, which was killed; waits until it answers.

        options: settings that are new or changed.
        """
        assert self._guard is not None
        assert self._guard.stdin is not None
        self._configure(options or {})
        old = self.pid
        self._guard.stdin.write(b"\n")
        self._guard.stdin.flush()
        end = time.monotonic() + START_TIMEOUT
        while self.pid == old and time.monotonic() < end:
            time.sleep(0.01)
        self._wait(self.server, ends=False)

    def _wait(self, server: Server, *, ends: bool = True) -> Server:
        """The server once it answers, with its database made.

        ends: whether the guard still tells when the server ends; it does so once.
        """
        assert self._guard is not None
        assert self._guard.stdout is not None
        trouble: Exception | None = None
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            try:
                # PyMySQL leaves the socket of a failed attempt to the garbage collector.
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(server.unix_socket))
                server.create_database()
                return self._equipped(server).identified()
            except (OSError, pymysql.OperationalError) as error:
                trouble = error
            # The guard closes its output when the server ends.
            if not ends:
                time.sleep(0.03)
            elif select.select([self._guard.stdout], [], [], 0.03)[0]:
                log = self._log()
                if _PORT_TAKEN in log:
                    raise _PortTaken
                raise ServerError(f"{server.name} ended instead of starting:\n{log}")
            self._ticker.tick("starting")
        raise ServerError(
            f"{server.name} was not ready after {START_TIMEOUT:.0f} s ({trouble}):\n{self._log()}"
        )

    def _equipped(self, server: Server) -> Server:
        """The server with MariaDB's authentication plugins loaded, as far as it has them."""
        if server.kind == "mariadb":
            for library in ("auth_ed25519", "auth_parsec"):
                with contextlib.suppress(pymysql.OperationalError):
                    server.execute(f"INSTALL SONAME '{library}'")
        return server

    def _log(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")[-3000:].strip()

    def stop(self) -> None:
        """End the server and remove its folder; does nothing the second time."""
        guard, self._guard = self._guard, None
        if guard is not None:
            assert guard.stdin is not None
            assert guard.stdout is not None
            guard.stdin.close()
            try:
                guard.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                guard.kill()
                guard.wait()
            guard.stdout.close()
        # What the guard left, if it did not get that far.
        if self._folder.exists():
            _kill_orphan(self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)


def _start(name: str, options: Mapping[str, str], ticker: Ticker) -> Instance:
    program = find_program(name)
    for _ in range(5):
        with contextlib.suppress(_PortTaken):
            return Instance(program, name, options, ticker)
    raise ServerError(f"{name}: other programs took five free ports in a row")


@contextlib.contextmanager
def running_instance(name: str, **options: str) -> Iterator[Instance]:
    """Start the server `name`, and stop and purge it however the body ends.

    `options` are further settings of the server, by name with underscores, for example
    performance_schema="ON".  Raises ServerError when it cannot be had or does not start.
    """
    sweep()
    ticker = Ticker(name)
    settings = {key.replace("_", "-"): value for key, value in options.items()}
    instance = _start(name, settings, ticker)
    try:
        server = instance.server
        version = ".".join(map(str, server.version))
        ticker.say(f"{version} runs on port {server.port} after {ticker.elapsed:.1f} s")
        yield instance
    finally:
        instance.stop()


@contextlib.contextmanager
def running(name: str, **options: str) -> Iterator[Server]:
    """`running_instance`, for those who only want to talk to the server."""
    with running_instance(name, **options) as instance:
        yield instance.server


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Within the block the process stands still: it takes bytes and answers nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        # The signal takes effect a little later, and in each thread for itself.
        tasks = Path(f"/proc/{pid}/task")
        while any(_state(task) != "T" for task in tasks.glob("*")):
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _state(task: Path) -> str:
    with contextlib.suppress(OSError):  # the thread has ended
        return (task / "stat").read_text().rpartition(") ")[2][:1]
    return "T"
