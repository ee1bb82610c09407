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
import re
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks import checkouts

_QUERY = "SELECT id, name FROM revisions WHERE id = %s"
_UPDATE = "UPDATE revisions SET name = %s WHERE id = %s"

_COUNTING = (*checkouts.COUNTING, "--callgrind-out-file=/dev/null")

#: Operations of a short and a long run: what is done once falls out of the difference.
_RUNS = (200, 1200)
_CONNECT_RUNS = (20, 140)
_LEASE_RUNS = (2_000, 22_000)

#: Options of a pool by which each lease asks for the time.
_AGES = {"max_lifetime": 1800, "ping_after": 30}


async def _points(dsn: str, count: int, **options: Any) -> None:
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


async def _updates(dsn: str, count: int) -> None:
    import aiomysql

    async with aiomysql.create_pool(dsn, minsize=1) as pool:
        for number in range(count):
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(_UPDATE, (f"name {number}", number % 100))
                await connection.commit()


async def _contended_points(dsn: str, count: int) -> None:
    import aiomysql

    async def run(pool: aiomysql.Pool) -> None:
        for number in range(count // 20):
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(_QUERY, (number % 100,))
                await cursor.fetchone()

    async with aiomysql.create_pool(dsn, minsize=5, maxsize=5, autocommit=True) as pool:
        await asyncio.gather(*(run(pool) for _ in range(20)))


async def _leases(dsn: str, count: int, **options: Any) -> None:
    import aiomysql

    async with aiomysql.create_pool(dsn, minsize=1, **options) as pool:
        for _ in range(count):
            async with pool.acquire():
                pass


async def _aged_leases(dsn: str, count: int) -> None:
    await _leases(dsn, count, **_AGES)


async def _contended_leases(dsn: str, count: int, **options: Any) -> None:
    import aiomysql

    async def run(pool: aiomysql.Pool) -> None:
        for _ in range(count // 20):
            async with pool.acquire():
                await asyncio.sleep(0)

    async with aiomysql.create_pool(dsn, minsize=5, maxsize=5, **options) as pool:
        await asyncio.gather(*(run(pool) for _ in range(20)))


async def _contended_aged_leases(dsn: str, count: int) -> None:
    await _contended_leases(dsn, count, **_AGES)


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
    "pooled updates, committed": (_updates, _RUNS),
    "leases": (_leases, _LEASE_RUNS),
    "leases, max_lifetime and ping_after": (_aged_leases, _LEASE_RUNS),
    "leases, 20 tasks, 5 connections": (_contended_leases, _LEASE_RUNS),
    "leases, 20 tasks, both options": (_contended_aged_leases, _LEASE_RUNS),
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
    arguments = ("--run", workload, "--count", str(count))
    return checkouts.output(python, "benchmarks.revisions", *arguments, before=before)


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


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    checkouts.add_arguments(parser, rounds=7)
    parser.add_argument("--no-instructions", action="store_true")
    parser.add_argument("--workload", default="", help="only those whose names have this")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    dsn = checkouts.dsn()
    if args.run:
        checkouts.run(_WORKLOADS[args.run][0](dsn, 5))  # imports what it needs
        began = time.process_time()
        checkouts.run(_WORKLOADS[args.run][0](dsn, args.count))
        print((time.process_time() - began) / args.count * 1e6)
        return
    pythons = checkouts.interpreters(args.others, uvloop=args.uvloop)
    asyncio.run(_prepare(dsn))
    for name, (_, runs) in _WORKLOADS.items():
        if args.workload not in name:
            continue
        samples = [[_cpu(python, name, runs[1]) for python in pythons] for _ in range(args.rounds)]
        for index, python in enumerate(pythons):
            shown = name if not index else ""
            line = f"{shown:40}"
            if samples:
                line += f" {statistics.median(row[index] for row in samples):8.1f} us"
            if checkouts.can_count() and not args.no_instructions:
                line += f" {_instructions(python, name, runs):10,} instructions"
            print(f"{line}  {python}", flush=True)


if __name__ == "__main__":
    _main()
