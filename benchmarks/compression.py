"""When option `compression` pays: times with it and without, by the network between.

    make hatch ARGS='run python -m tests.servers run mysql97 -- python -m benchmarks.compression'

The server is the one of AIOMYSQL_TEST_DSN; a proxy before it delays what passes, and limits how
much does (`compare/delay.py`).  Prints the tables of docs/compression.md: medians of the time that
the caller waits, and the CPU time that the client's process takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiomysql_core import Connection, OperationalError, connect
from benchmarks.compare.delay import delaying

_ROUNDS = 7
_ROWS = 10_000
_TABLE = "benchmark_compression"

#: Name -> seconds of delay each way, bytes in a second; 0: as many as can.
_NETWORKS = {
    "this machine": (0.0, 0.0),
    "1 ms, 1 Gbit/s": (0.001, 125e6),
    "1 ms, 100 Mbit/s": (0.001, 12.5e6),
    "20 ms, 100 Mbit/s": (0.02, 12.5e6),
    "20 ms, 10 Mbit/s": (0.02, 1.25e6),
}

_ALGORITHMS = (None, "zlib", "zstd")

_WORDS = ("order", "paid", "open", "invoice", "customer", "street", "north", "blue", "part")


def _rows() -> list[tuple[int, str, str, str]]:
    """Rows as tables have them: numbers, names, some text."""
    chance = random.Random(1)
    return [
        (
            number,
            f"{chance.choice(_WORDS)}.{chance.randrange(10**6)}@example.org",
            chance.choice(_WORDS),
            " ".join(chance.choices(_WORDS, k=12)),
        )
        for number in range(_ROWS)
    ]


async def _point(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT * FROM {_TABLE} WHERE id = %s", (17,))
        await cursor.fetchone()


async def _select(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT * FROM {_TABLE}")
        await cursor.fetchall()


async def _insert(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(f"INSERT INTO {_TABLE} VALUES (%s, %s, %s, %s)", _new_rows)
    await connection.rollback()


async def _picture(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT data FROM {_TABLE}_blobs")
        await cursor.fetchall()


_new_rows = [(_ROWS + number, *rest) for number, *rest in _rows()]

_WORKLOADS: dict[str, Callable[[Connection], Awaitable[None]]] = {
    "one row by its key": _point,
    "10,000 rows read (1.3 MB)": _select,
    "10,000 rows inserted (1.4 MB)": _insert,
    "1 MB that is compressed already": _picture,
}


async def _measure(
    connection: Connection, run: Callable[[Connection], Awaitable[None]]
) -> tuple[float, float]:
    """Milliseconds of waiting, and of CPU time."""
    await run(connection)
    waited, used = [], []
    for _ in range(_ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        await run(connection)
        waited.append(time.perf_counter() - began)
        used.append(time.process_time() - cpu)
    return statistics.median(waited) * 1e3, statistics.median(used) * 1e3


async def _prepare(options: dict[str, Any]) -> None:
    async with connect(**options, autocommit=True) as connection, connection.cursor() as cursor:
        await _drop(options)
        await cursor.execute(
            f"CREATE TABLE {_TABLE} (id INT PRIMARY KEY, mail VARCHAR(80), state VARCHAR(20),"
            " note VARCHAR(200))"
        )
        await cursor.executemany(f"INSERT INTO {_TABLE} VALUES (%s, %s, %s, %s)", _rows())
        await cursor.execute(f"CREATE TABLE {_TABLE}_blobs (data LONGBLOB)")
        data = random.Random(1).randbytes(1 << 20)
        await cursor.execute(f"INSERT INTO {_TABLE}_blobs VALUES (%s)", (data,))


async def _drop(options: dict[str, Any]) -> None:
    async with connect(**options, autocommit=True, get_warnings=False) as connection:
        await connection.query(f"DROP TABLE IF EXISTS {_TABLE}, {_TABLE}_blobs")


async def _main() -> None:
    parts = urlsplit(os.environ["AIOMYSQL_TEST_DSN"])
    options: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password or "",
        "db": parts.path.strip("/"),
        "ssl_disabled": True,
    }
    await _prepare(options)
    print("| network | work | without | zlib | zstd |\n|---|---|---|---|---|")
    used: dict[str, list[str]] = {}
    try:
        for network, (seconds, rate) in _NETWORKS.items():
            with contextlib.ExitStack() as stack:
                to = dict(options)
                if seconds:
                    proxy = delaying(options["host"], options["port"], seconds, None, rate)
                    to |= {"host": "127.0.0.1", "port": stack.enter_context(proxy)}
                for work, run in _WORKLOADS.items():
                    cells = []
                    for algorithm in _ALGORITHMS:
                        try:
                            async with connect(**to, compression=algorithm) as connection:
                                waited, cpu = await _measure(connection, run)
                        except OperationalError:
                            cells.append("-")  # the server doesn't offer it
                            continue
                        cells.append(f"{waited:.1f} ms")
                        if not seconds:
                            used.setdefault(work, []).append(f"{cpu:.2f} ms")
                    print(f"| {network} | {work} | {' | '.join(cells)} |", flush=True)
    finally:
        await _drop(options)
    print("\n| CPU time of the client | without | zlib | zstd |\n|---|---|---|---|")
    for work, cells in used.items():
        print(f"| {work} | {' | '.join(cells)} |")


if __name__ == "__main__":
    asyncio.run(_main())
