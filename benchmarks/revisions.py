"""Compares revisions of this driver: client CPU time and instructions of an operation.

    make hatch ARGS='run python -m tests.servers run mariadb118 -- python -m benchmarks.revisions \
        /other/checkout/.hatch/data/env/virtual/NAME/bin/python'

Each argument is the interpreter of another checkout's environment; this one's comes last.  CPU
times are medians of rounds in which all take turns; the instructions, which depend less on what
else the machine does, are counted by valgrind where there is one (`--rounds 0`: nothing else).
The server is the one of AIOMYSQL_TEST_DSN.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from urllib.parse import urlsplit

_QUERY = "SELECT id, name FROM revisions WHERE id = %s"

_COUNTING = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")

#: Set where the operations are to run on uvloop.
_UVLOOP = "AIOMYSQL_REVISIONS_UVLOOP"

#: Operations of a short and a long run: what is done once falls out of the difference.
_RUNS = (200, 1200)
_CONNECT_RUNS = (20, 140)
_LEASE_RUNS = (2_000, 22_000)


async def _points(dsn: str, count: int, **options: object) -> None:
    import aiomysql

    async with aiomysql.create_pool(dsn, minsize=1, autocommit=True, **options) as pool:
        for number in range(count):
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(_QUERY, (number % 100,))
                await cursor.fetchone()


async def _text(dsn: str, count: int) -> None:
    await _points(dsn, count)


async def _prepared(dsn: str, count: int) -> None:
    await _points(dsn, count, stmt_cache_size=10)


async def _contended_points(dsn: str, count: int) -> None:
    import aiomysql

    async def run(pool: aiomysql.Pool) -> None:
        for number in range(count // 20):
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(_QUERY, (number % 100,))
                await cursor.fetchone()

    async with aiomysql.create_pool(dsn, minsize=5, maxsize=5, autocommit=True) as pool:
        await asyncio.gather(*(run(pool) for _ in range(20)))


async def _leases(dsn: str, count: int) -> None:
    import aiomysql

    async with aiomysql.create_pool(dsn, minsize=1) as pool:
        for _ in range(count):
            async with pool.acquire():
                pass


async def _contended_leases(dsn: str, count: int) -> None:
    import aiomysql

    async def run(pool: aiomysql.Pool) -> None:
        for _ in range(count // 20):
            async with pool.acquire():
                await asyncio.sleep(0)

    async with aiomysql.create_pool(dsn, minsize=5, maxsize=5) as pool:
        await asyncio.gather(*(run(pool) for _ in range(20)))


async def _sqlalchemy(dsn: str, count: int) -> None:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(dsn.replace("mysql://", "mysql+aiomysql://"))
    select = sa.text("SELECT id, name FROM revisions WHERE id = :id")
    for number in range(count):
        async with engine.connect() as connection:
            (await connection.execute(select, {"id": number % 100})).fetchone()
    await engine.dispose()


async def _connects(dsn: str, count: int, autocommit: bool = False) -> None:
    import aiomysql

    for _ in range(count):
        connection = await aiomysql.connect(dsn, autocommit=autocommit)
        await connection.ensure_closed()


async def _autocommit_connects(dsn: str, count: int) -> None:
    await _connects(dsn, count, autocommit=True)


_WORKLOADS: dict[str, tuple[Callable[[str, int], Coroutine[None, None, None]], tuple[int, int]]] = {
    "pooled points, text": (_text, _RUNS),
    "pooled points, prepared": (_prepared, _RUNS),
    "pooled points, 20 tasks, 5 connections": (_contended_points, _RUNS),
    "leases": (_leases, _LEASE_RUNS),
    "leases, 20 tasks, 5 connections": (_contended_leases, _LEASE_RUNS),
    "SQLAlchemy, borrowed selects": (_sqlalchemy, _RUNS),
    "connects": (_connects, _CONNECT_RUNS),
    "connects, autocommit=True": (_autocommit_connects, _CONNECT_RUNS),
}


async def _prepare(dsn: str) -> None:
    import aiomysql

    async with aiomysql.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        await cursor.execute("DROP TABLE IF EXISTS revisions")
        await cursor.execute("CREATE TABLE revisions (id INT PRIMARY KEY, name VARCHAR(40))")
        rows = [(number, f"name {number}") for number in range(100)]
        await cursor.executemany("INSERT INTO revisions VALUES (%s, %s)", rows)


def _child(python: str, workload: str, count: int, *before: str) -> str:
    command = [*before, python, __file__, "--run", workload, "--count", str(count)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout + done.stderr


def _cpu(python: str, workload: str, count: int) -> float:
    """Microseconds of an operation."""
    return float(_child(python, workload, count).split()[-1])


def _instructions(python: str, workload: str, runs: tuple[int, int]) -> int:
    counted = []
    for count in runs:
        said = _child(python, workload, count, *_COUNTING)
        found = re.search(r"Collected : (\d+)", said)
        assert found is not None, said
        counted.append(int(found[1]))
    return (counted[1] - counted[0]) // (runs[1] - runs[0])


def _run(coro: Coroutine[None, None, None]) -> None:
    loop_factory = None
    if os.environ.get(_UVLOOP):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(coro)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("others", nargs="*", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--no-instructions", action="store_true")
    parser.add_argument("--workload", default="", help="only those whose names have this")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    parts = urlsplit(os.environ["AIOMYSQL_TEST_DSN"])
    dsn = parts._replace(query="").geturl()
    if args.run:
        _run(_WORKLOADS[args.run][0](dsn, 5))  # imports what it needs
        began = time.process_time()
        _run(_WORKLOADS[args.run][0](dsn, args.count))
        print((time.process_time() - began) / args.count * 1e6)
        return
    if args.uvloop:
        os.environ[_UVLOOP] = "1"
    asyncio.run(_prepare(dsn))
    pythons = [*args.others, sys.executable]
    for name, (_, runs) in _WORKLOADS.items():
        if args.workload not in name:
            continue
        samples = [[_cpu(python, name, runs[1]) for python in pythons] for _ in range(args.rounds)]
        for index, python in enumerate(pythons):
            shown = name if not index else ""
            line = f"{shown:40}"
            if samples:
                line += f" {statistics.median(row[index] for row in samples):8.1f} us"
            if shutil.which("valgrind") and not args.no_instructions:
                line += f" {_instructions(python, name, runs):10,} instructions"
            print(f"{line}  {python}", flush=True)


if __name__ == "__main__":
    _main()
