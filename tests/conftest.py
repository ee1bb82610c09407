"""Fixtures shared by all tests: servers, connections, accounts and event loops.

SERVER=name[,name] chooses among the servers; AIOMYSQL_TEST_DSN puts a running one in their place.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import matrix, raise_in_twins
from tests.lanes import Lane
from tests.packet_dump import PacketDump
from tests.scripted_tls import CLIENT_OPTIONS
from tests.servers import DSN_NAME, Server, ServerError, selected_names, serving
from tests.servers.progress import shown_by

if TYPE_CHECKING:
    from aiomysql_core import Connection

# uvloop does not exist for every platform (Windows, PyPy).
LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])
SERVERS = pytest.StashKey[tuple[str, ...]]()
RUNNING = pytest.StashKey[dict[str, Server]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of this suite."""
    group = parser.getgroup("aiomysql")
    group.addoption("--loop", choices=LOOPS, help="run on this event loop only")
    group.addoption(
        "--every-combination",
        action="store_true",
        help="run each test with each server and event loop, see tests/matrix.py",
    )
    group.addoption(
        "--lane", type=Path, metavar="FOLDER", help="share the tests with others: tests/lanes.py"
    )
    group.addoption(
        "--dump-packets",
        action="store_true",
        help="show the packets that tests exchange with a server when they fail",
    )
    group.addoption(
        "--compression",
        help="compress what connections send and receive, where the server can: zlib, zstd "
        "(but for core/test_frames.py, which counts what Python enters without)",
    )
    group.addoption(
        "--raise-in-twins",
        action="store_true",
        help="let the Python twins of what runs in C raise errors, see tests/raise_in_twins.py",
    )


@pytest.hookimpl(trylast=True)  # the terminal reporter is there only then
def pytest_configure(config: pytest.Config) -> None:
    """Choose the servers, and let them report through pytest's own terminal output."""
    try:
        config.stash[SERVERS] = selected_names(os.environ.get("SERVER", ""))
    except ServerError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[RUNNING] = {}
    if folder := config.getoption("lane"):
        config.pluginmanager.register(Lane(folder), "lane")
    if config.getoption("dump_packets"):
        config.pluginmanager.register(PacketDump(), "packet_dump")
    if algorithm := config.getoption("compression"):
        from aiomysql_core import Connection

        # Not in `connect_args`: many tests give options of their own, or a data source name.
        defaults = Connection.__init__.__kwdefaults__
        assert defaults is not None
        defaults["compression"] = (algorithm, "uncompressed")
    if config.getoption("raise_in_twins"):
        from aiomysql_core.implementation import IMPLEMENTATION

        if IMPLEMENTATION != "c":
            raise pytest.UsageError("--raise-in-twins needs the C implementation")
        config.pluginmanager.register(raise_in_twins.Plugin())
    capture = config.pluginmanager.getplugin("capturemanager")
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if capture and reporter:

        def sink(line: str) -> None:
            with capture.global_and_fixture_disabled():
                reporter.write_line(line)

        shown = contextlib.ExitStack()
        shown.enter_context(shown_by(sink))
        config.add_cleanup(shown.close)


def pytest_report_header(config: pytest.Config) -> str:
    """What the run is about."""
    from aiomysql_protocol.implementation import IMPLEMENTATION

    names = config.stash[SERVERS]
    return (
        f"servers: {', '.join(names)}; row decoder: {IMPLEMENTATION}; "
        f"event loops: {', '.join(LOOPS)}"
    )


@pytest.hookimpl(tryfirst=True)  # the server comes first in the names of tests
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that use `server` on each server; each runs at most once per session."""
    if "server" in metafunc.fixturenames:
        names = metafunc.config.stash[SERVERS]
        metafunc.parametrize("server", names, indirect=True, scope="session")

    if "over_tls" in metafunc.fixturenames and metafunc.definition.get_closest_marker("tls"):
        metafunc.parametrize("over_tls", [False, True], ids=["plain", "tls"], indirect=True)

    if "anyio_backend" in metafunc.fixturenames:
        loop = metafunc.config.getoption("loop")
        metafunc.parametrize("anyio_backend", [loop] if loop else LOOPS, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run on several servers, leave out what says nothing new (tests/matrix.py)."""
    # Where Python runs for lack of a compiler there is no other run.
    implementation = int(os.environ.get("AIOMYSQL_IMPL") == "python")
    servers = config.stash[SERVERS]
    if len(servers) > 1 and not config.getoption("every_combination"):
        left_out = matrix.thin(items, servers, LOOPS, implementation)
        config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish() -> None:
    """Let what became garbage after all be found, and warn."""
    gc.unfreeze()


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Each async test runs on asyncio's own event loop and on uvloop."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A real server, started when the first test asks for it."""
    name: str = request.param
    running = request.config.stash[RUNNING]
    dump: PacketDump | None = request.config.pluginmanager.getplugin("packet_dump")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(name))
        if dump is not None:
            server = stack.enter_context(dump.before(server))
        running[name] = server
        try:
            yield server
        finally:
            del running[name]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what this folder holds, committed; tests that change it take a clone."""
    from tests.installations import check_out

    return check_out(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module", autouse=True)
def _no_session_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No module leaves a session on a server of ours, or an object that warns when it goes."""
    # A collection need not look at what was there before: of all tests and modules that is a lot.
    gc.freeze()
    yield
    gc.collect()
    for name, server in request.config.stash[RUNNING].items():
        if name != DSN_NAME:
            assert server.settled_sessions() == [], f"sessions left on {name}"


@pytest.fixture
def over_tls(request: pytest.FixtureRequest) -> bool:
    """Whether the test is to use TLS: tests that are marked `tls` run without it and with it."""
    return getattr(request, "param", False)


@pytest.fixture
def connect_args(server: Server, over_tls: bool) -> dict[str, Any]:
    """Keyword arguments of `connect()` for a TCP connection as administrator."""
    return {**server.connect_args, **(CLIENT_OPTIONS if over_tls else {})}


@pytest.fixture
async def connection(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    """An open connection, closed after the test."""
    from aiomysql_core import connect

    async with connect(**connect_args) as connection:
        yield connection


_numbers = itertools.count(1)


def _unique(prefix: str) -> str:
    # With the process id two runs can share a server; names of accounts have 32 characters.
    return f"{prefix}_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def table_name(server: Server) -> Iterator[str]:
    """The name of a table that does not exist yet; it is dropped after the test."""
    name = _unique("t")
    yield name
    server.execute(f"DROP TABLE IF EXISTS {name}")


@pytest.fixture
def make_user(server: Server) -> Iterator[Callable[[str, str], dict[str, Any]]]:
    """A function `(plugin, password)` that makes an account with all rights on the test database.

    It returns the account's user and password, to be merged into `connect_args`.  The plugin must
    be one of `server.auth_plugins`.  The accounts are dropped after the test.
    """
    with contextlib.ExitStack() as stack:

        def make(plugin: str, password: str) -> dict[str, Any]:
            user = _unique("u")
            how = "BY %s" if server.kind == "mysql" else "USING PASSWORD(%s)"
            via = "WITH" if server.kind == "mysql" else "VIA"
            server.execute(f"CREATE USER {user} IDENTIFIED {via} {plugin} {how}", (password,))
            stack.callback(server.execute, f"DROP USER IF EXISTS {user}")
            server.execute(f"GRANT ALL ON `{server.database}`.* TO {user}")
            return {"user": user, "password": password}

        yield make
