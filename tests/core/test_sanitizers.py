"""All C modules under AddressSanitizer and UndefinedBehaviorSanitizer, with a real server."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

import aiomysql_core
import aiomysql_pool
import aiomysql_protocol
from tests.protocol.test_sanitizers import compile_library, compiler, run
from tests.servers import DSN_NAME, Server

pytestmark = pytest.mark.slow

__all__ = ["compiler"]

TESTS = Path(__file__).parent
LAYERS = (aiomysql_core, aiomysql_pool, aiomysql_protocol)
PACKAGES = [Path(module.__file__ or "").parent for module in LAYERS]
TESTED_BY = [
    *("test_hooks.py", "test_cursor_state.py", "test_awaiting.py"),
    *("test_execute.py", "test_execute_values.py", "test_dealloc.py"),
    *("test_waiter.py", "test_runner_state.py", "test_stream_state.py"),
    "test_statement_encoder.py",
    *("../pool/test_lease_queue.py", "../pool/test_dealloc.py"),
]

#: A small program's day: everything that moves through the modules, over a pool.
CONVERSATION = """
import asyncio, gc, sys

from aiomysql_core import InterfaceError, OperationalError, ProgrammingError, SSCursor
from aiomysql_pool import create_pool
from tests import scripted

ROUNDS = 20


async def points(pool, query, number):
    for round in range(ROUNDS):
        async with pool.acquire() as connection, connection.cursor() as cursor:
            key = number * ROUNDS + round
            assert await cursor.execute(query, (key, "ü" * round)) == 1
            assert await cursor.fetchone() == (key, "ü" * round)
            assert await cursor.fetchone() is None


async def long_cells(pool):
    async with pool.acquire() as connection, connection.cursor() as cursor:
        for size in (10, 70_000, (1 << 24) + 100):
            await cursor.execute("SELECT REPEAT('q', %s)", (size,))
            ((cell,),) = await cursor.fetchall()
            assert cell == "q" * size


async def many_rows(pool, cursor_class):
    many = "SELECT a.n * 10 + b.n, 'x' FROM {0} a, {0} b WHERE a.n >= %s"
    digits = " UNION ALL ".join(f"SELECT {n}{' AS n' * (not n)}" for n in range(10))
    async with pool.acquire() as connection, connection.cursor(cursor_class) as cursor:
        for _ in range(3):
            await cursor.execute(many.format(f"({digits})"), (0,))
            assert len(await cursor.fetchall()) == 100


async def errors(pool):
    for _ in range(ROUNDS):
        async with pool.acquire() as connection, connection.cursor() as cursor:
            try:
                await cursor.execute("SELECT %s, nothing_here", (1,))
            except (OperationalError, ProgrammingError):
                pass
            else:
                raise AssertionError("no error")


async def cancellations(pool):
    for delay in (0, 0, 0.001, 0.05):
        async with pool.acquire() as connection, connection.cursor() as cursor:
            task = asyncio.ensure_future(cursor.execute("SELECT SLEEP(1), %s", (1,)))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
    waiting = [asyncio.ensure_future(points(pool, "SELECT %s, %s", n)) for n in range(10)]
    await asyncio.sleep(0.01)
    for task in waiting[::2]:
        task.cancel()
    assert await asyncio.gather(*waiting[1::2]) == [None] * 5
    await asyncio.wait(waiting)


async def killed(pool):
    async with pool.acquire() as victim, victim.cursor() as cursor:
        task = asyncio.ensure_future(cursor.execute("SELECT SLEEP(1), %s", (1,)))
        await asyncio.sleep(0.05)
        async with pool.acquire() as other:
            await other.query(f"KILL {victim.thread_id()}")
        await asyncio.wait([task])
        assert isinstance(task.exception(), OperationalError), task
        try:
            await cursor.execute("SELECT %s", (1,))
        except (InterfaceError, OperationalError):
            pass
        else:
            raise AssertionError("it lives")


async def dead_server():
    async def handler(reader, writer):
        await scripted.open_session(reader, writer)
        request = await scripted.read_packet(reader)
        response = scripted.frames(b"\\x01", b"\\x03def")
        writer.write(response[: request[-1] - ord("0")])

    async with scripted.scripted_server(handler) as port:
        options = {"host": "127.0.0.1", "port": port, "autocommit": None}
        async with create_pool(**options, minsize=0) as pool:
            for bytes_sent in range(10):
                async with pool.acquire() as connection, connection.cursor() as cursor:
                    try:
                        await cursor.execute("SELECT %s", (bytes_sent,))
                    except OperationalError:
                        pass
                    else:
                        raise AssertionError("a response")


async def main():
    for size in (0, 4):
        async with create_pool(sys.argv[1], maxsize=3, stmt_cache_size=size) as pool:
            query = "SELECT %s, %s"
            await asyncio.gather(*[points(pool, query, number) for number in range(10)])
            await asyncio.gather(long_cells(pool), many_rows(pool, SSCursor), errors(pool))
            async with pool.acquire() as connection:
                await many_rows(pool, type(await connection.cursor()))
            await cancellations(pool)
            await killed(pool)
            await points(pool, query, 1)
    await dead_server()


asyncio.run(main())
gc.collect()
print("fine")
"""


@pytest.fixture(scope="module")
def instrumented(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, whose C modules have the sanitizers in them."""
    folder = tmp_path_factory.mktemp("instrumented")
    libraries = []
    for source in PACKAGES:
        package = folder / source.name
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
        library = package / f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"
        compile_library(compiler, source / "c", library)
        libraries.append(library)
    check = (
        "import aiomysql_core._speedups as core, aiomysql_pool._speedups as pool\n"
        "import aiomysql_protocol._speedups as protocol\n"
        "print(core.__file__, pool.__file__, protocol.__file__)"
    )
    loaded = run(compiler, "-c", check, path=folder)
    assert loaded.stdout.split() == [str(library) for library in libraries], loaded.stderr
    return folder


def data_source(server: Server) -> str:
    args = server.connect_args
    where = f"{args['user']}:{args.get('password', '')}@{args['host']}:{args['port']}"
    return f"mysql://{where}/{server.database}"


@pytest.mark.parametrize("name", TESTED_BY)
def test_tests_of_the_modules_under_sanitizers(
    compiler: str,
    instrumented: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("AIOMYSQL_TEST_DSN", data_source(server))
    monkeypatch.setenv("SERVER", DSN_NAME)
    root = TESTS.parent.parent
    options = ["-c", str(root / "pyproject.toml"), "--rootdir", str(root), "-q", "-x"]
    # Eager tasks are of some versions of Python only, parameters without a type of MariaDB.
    unneeded = "not uvloop and not python and not eager"
    if server.kind == "mysql":
        unneeded += " and not untyped_parameters"
    options += ["-p", "no:cacheprovider", "-k", unneeded]
    done = run(compiler, "-m", "pytest", *options, str(TESTS / name), path=instrumented)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_conversation_under_sanitizers(
    compiler: str, instrumented: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TESTS.parent.parent))
    done = run(compiler, "-c", CONVERSATION, data_source(server), path=instrumented)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr[-4000:]
