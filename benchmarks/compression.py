"""When option `compression` pays: times with it and without, by the network between.

    make hatch ARGS='run python -m tests.servers run mysql97 -- python -m benchmarks.compression'

The server is the one of AIOMYSQL_TEST_DSN; a proxy before it delays what passes, and limits how
much does (`compare/delay.py`).  Prints the table of docs/compression.md: medians of the time that
the caller waits, and of the CPU time that the client takes.
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

_Work = Callable[[Connection], Awaitable[None]]

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

_WORKLOADS: dict[str, _Work] = {
    "one row by its key": _point,
    "10,000 rows read (1.2 MB)": _select,
    "10,000 rows inserted (1.4 MB)": _insert,
    "1 MB that is compressed already": _picture,
}


class _Measured:
    """Milliseconds of waiting, and of CPU time, of one connection."""

    def __init__(self) -> None:
        self._waited: list[float] = []
        self._used: list[float] = []

    async def add(self, run: _Work, connection: Connection) -> None:
        began, cpu = time.perf_counter(), time.process_time()
        await run(connection)
        self._waited.append(time.perf_counter() - began)
        self._used.append(time.process_time() - cpu)

    @property
    def waited(self) -> str:
        return f"{statistics.median(self._waited) * 1e3:.1f}" if self._waited else "-"

    @property
    def used(self) -> str:
        return f"{statistics.median(self._used) * 1e3:.2f}" if self._used else "-"


async def _measure(options: dict[str, Any], run: _Work) -> list[_Measured]:
    """With each of the algorithms, in turn."""
    measured = [_Measured() for _ in _ALGORITHMS]
    async with contextlib.AsyncExitStack() as stack:
        connections = []
        algorithm: Any
        for algorithm, series in zip(_ALGORITHMS, measured, strict=True):
            with contextlib.suppress(OperationalError):  # the server doesn't offer it
                connecting = connect(**options, compression=algorithm)
                connections.append((series, await stack.enter_async_context(connecting)))
        for number in range(_ROUNDS + 1):
            for series, connection in connections:
                await (series if number else _Measured()).add(run, connection)
    return measured


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
    waited: dict[str, list[str]] = {work: [] for work in _WORKLOADS}
    used: dict[str, list[str]] = {}
    try:
        for seconds, rate in _NETWORKS.values():
            with contextlib.ExitStack() as stack:
                to = dict(options)
                if seconds:
                    proxy = delaying(options["host"], options["port"], seconds, None, rate)
                    to |= {"host": "127.0.0.1", "port": stack.enter_context(proxy)}
                for work, run in _WORKLOADS.items():
                    measured = await _measure(to, run)
                    if not seconds:
                        used[work] = [series.used for series in measured]
                    waited[work].append(" / ".join(series.waited for series in measured))
    finally:
        await _drop(options)
    columns = [*_NETWORKS, "CPU time of the client"]
    print(f"| ms without / zlib / zstd | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for work, cells in waited.items():
        print(f"| {work} | {' | '.join([*cells, ' / '.join(used[work])])} |")


if __name__ == "__main__":
    asyncio.run(_main())
