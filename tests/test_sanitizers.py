"""The C modules under AddressSanitizer and UndefinedBehaviorSanitizer.

All are compiled with both, once, and their tests run with them in interpreters of their own, which
end at the first finding: those of the protocol without a server, the others with one.  Which server
is at the other end says little to them, so in a run on several each is with one of these.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builds import ROOT, compile_library, compile_package, copy_packages, library_of
from tests.servers import DSN_NAME, Server

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent
PROTOCOL_TESTED_BY = [
    *("test_row_values.py", "test_rows.py", "test_rows_random.py", "test_binary_rows.py"),
    *("test_responses.py", "test_literals.py", "test_parameters.py"),
    *("test_parameter_rows.py", "test_file_rows.py", "test_session_zone.py"),
    *("test_payloads.py", "test_requests.py", "test_dealloc.py"),
]
#: In few runs, because an interpreter takes long to start under the sanitizers.
TESTED_BY = {
    "cursors": [
        *("core/test_hooks.py", "core/test_cursor_state.py", "core/test_awaiting.py"),
        *("core/test_execute_values.py", "core/test_dealloc.py"),
    ],
    "statements": ["core/test_execute.py", "core/test_statement_encoder.py"],
    "parts": [
        *("core/test_waiter.py", "core/test_runner_state.py", "core/test_stream_state.py"),
        "core/test_tls_socket.py",
        *("pool/test_lease_queue.py", "pool/test_dealloc.py"),
    ],
}
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS = ["-g", "-O1", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror", *SANITIZERS]

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


# `bytes` is a Python object's memory: an object of 64 bytes and the zero after them.
CANARY = """
#include <limits.h>

int harmless(const char *bytes) { return bytes[64]; }

int overread(const char *bytes) { return bytes[65]; }

int overflow(const char *bytes) { return INT_MAX - 54 + bytes[0]; }
"""

CALL_CANARY = """
import ctypes, sys
print(getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])(bytes(b"7" * int(sys.argv[3]))))
"""


def runtime_of(compiler: str) -> str:
    """Where `compiler` has AddressSanitizer's runtime library; empty if it has none."""
    response = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], text=True, capture_output=True, check=False
    )
    path = response.stdout.strip()
    return path if os.path.isabs(path) and os.path.exists(path) else ""


@pytest.fixture(scope="session")
def compiler() -> str:
    for name in (os.environ.get("CC", ""), "gcc", "cc"):
        if name and shutil.which(name) and runtime_of(name):
            return name
    pytest.skip("no C compiler with the sanitizers' runtime library on this machine")


def run(compiler: str, *arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the sanitizers' runtime loaded first."""
    env = {
        **os.environ,
        "LD_PRELOAD": runtime_of(compiler),
        # Python's own memory that lives until the end is no finding.
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        # Every object in a block of its own, with guarded ends.
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(path), *sys.path])),
        "AIOMYSQL_IMPL": "c",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=path,
        env=env,
        text=True,
        capture_output=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    ("function", "report"),
    [
        ("overread", "AddressSanitizer: heap-buffer-overflow"),
        ("overflow", "signed integer overflow"),
    ],
)
def test_sanitizers_are_on(compiler: str, tmp_path: Path, function: str, report: str) -> None:
    library = tmp_path / "canary.so"
    (tmp_path / "canary.c").write_text(CANARY)
    compile_library(compiler, tmp_path, library, tmp_path, FLAGS, SANITIZERS)
    fine = run(compiler, "-c", CALL_CANARY, str(library), "harmless", "64", path=tmp_path)
    assert (fine.returncode, fine.stdout) == (0, "0\n"), fine.stderr
    found = run(compiler, "-c", CALL_CANARY, str(library), function, "64", path=tmp_path)
    assert found.returncode != 0
    assert report in found.stderr


@pytest.fixture(scope="session")
def instrumented(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, whose C modules have the sanitizers in them."""
    folder = tmp_path_factory.mktemp("instrumented")
    packages = copy_packages(folder)
    for package in packages:
        objects = folder / "objects" / package.name
        compile_package(compiler, package, objects, FLAGS, SANITIZERS)
    imports = "".join(f"import {package.name}._speedups\n" for package in packages)
    files = ", ".join(f"{package.name}._speedups.__file__" for package in packages)
    loaded = run(compiler, "-c", f"{imports}print({files})", path=folder)
    expected = [str(library_of(package)) for package in packages]
    assert loaded.stdout.split() == expected, loaded.stderr
    return folder


def test_tests_of_the_protocol_under_sanitizers(
    compiler: str, instrumented: Path, tmp_path: Path
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    twins\n")
    folder = TESTS / "protocol"
    options = ["-c", str(tmp_path / "pytest.ini"), "--rootdir", str(ROOT)]
    options += ["--confcutdir", str(folder), "--import-mode=importlib", "-q", "-x"]
    # Eager tasks are Python's affair, and of some versions only; servers are another fixture's.
    # What is about size or depth takes long, and is nothing new in kind.
    unneeded = "not python and not servers and not eager and not many_columns and not nest"
    options += ["-p", "no:cacheprovider", "-k", unneeded, "-W", "error"]
    tests = [str(folder / name) for name in PROTOCOL_TESTED_BY]
    done = run(compiler, "-m", "pytest", *options, *tests, path=instrumented)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("name", TESTED_BY)
def test_tests_of_the_modules_under_sanitizers(
    compiler: str,
    instrumented: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("AIOMYSQL_TEST_DSN", server.dsn)
    monkeypatch.setenv("SERVER", DSN_NAME)
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-q", "-x"]
    # Eager tasks are of some versions of Python only, parameters without a type of MariaDB.
    unneeded = "not uvloop and not python and not eager"
    if server.kind == "mysql":
        unneeded += " and not untyped_parameters"
    options += ["-p", "no:cacheprovider", "-k", unneeded]
    tests = [str(TESTS / path) for path in TESTED_BY[name]]
    done = run(compiler, "-m", "pytest", *options, *tests, path=instrumented)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def data_source(server: Server) -> str:
    """For the driver, which knows no paths in it."""
    args = server.connect_args
    where = f"{args['user']}:{args.get('password', '')}@{args['host']}:{args['port']}"
    return f"mysql://{where}/{server.database}"


def test_conversation_under_sanitizers(
    compiler: str, instrumented: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    done = run(compiler, "-c", CONVERSATION, data_source(server), path=instrumented)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr[-4000:]
