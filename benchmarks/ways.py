"""Compares the ways to ask for one row: with other cursors, options, time limits, and so on.

    make hatch ARGS='run python -m tests.servers run mariadb118 -- python -m benchmarks.ways \
        /other/checkout/.hatch/data/env/virtual/NAME/bin/python'

Each argument is the interpreter of another checkout's environment; this one's comes last.  An
interpreter has one process, which keeps a connection for each way; all take turns in each round.
Shown are medians of client CPU time and wall time, and medians of the rounds' ratios: of a way to
the plain one of the same protocol, and of each interpreter to the first.  `--instructions` has
valgrind count instructions as well (`--rounds 0`: nothing else).

`--sizes`: a query by the size of its answer, against a bare client that sends the same bytes and
reads as many as the answer has.  `--frames`: how many Python frames a query enters, as the tables
of tests/core/test_frames.py.  The server is the one of AIOMYSQL_TEST_DSN.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from benchmarks import checkouts
from benchmarks.point_queries import (
    OPTIONS,
    PAIRS,
    PLAIN,
    SINGLE,
    Ask,
    Way,
    asking,
    connect_options,
    count_frames,
    name_of,
)

_MODULE = "benchmarks.ways"
_QUERY = "SELECT id, name FROM ways WHERE id = %s"
_SIZED_QUERY = "SELECT id, number, name, note FROM ways_rows WHERE id <= {}"
_DROP = "DROP TABLE IF EXISTS ways, ways_rows"
_SIZES = range(100, 1001, 50)

_PREPARED: Way = (OPTIONS["prepared"],)
_KEPT: Way = (OPTIONS["kept"],)
_POOLED = "pooled, "


def _ways() -> dict[str, tuple[Way, str]]:
    """By its name, each way and the name of the plain one of its protocol."""
    found: dict[str, tuple[Way, str]] = {}
    for base in (PLAIN, _PREPARED, _KEPT):
        plain = name_of(base)
        options = [way for way in SINGLE if way[0].kind != "statement"]
        if base == PLAIN:
            options.append((OPTIONS["no values"],))
        for way in (PLAIN, *options):
            found[name_of((*base, *way))] = (*base, *way), plain
        if base != _PREPARED:  # statements of `Connection.prepare` belong to one connection
            found[_POOLED + plain] = base, plain
    return found


_WAYS = _ways()


async def _prepare(dsn: str) -> None:
    import aiomysql_core

    async with (
        aiomysql_core.connect(dsn, autocommit=True, get_warnings=False) as connection,
        connection.cursor() as cursor,
    ):
        points = [(number, f"name {number}") for number in range(100)]
        rows = [
            (number, number * 1_000_003, f"name {number:06}", f"a note of row {number:06}")
            for number in range(1, _SIZES[-1] + 1)
        ]
        await cursor.execute(_DROP)
        await cursor.execute("CREATE TABLE ways (id INT PRIMARY KEY, name VARCHAR(40))")
        await cursor.executemany("INSERT INTO ways VALUES (%s, %s)", points)
        await cursor.execute(
            "CREATE TABLE ways_rows"
            " (id INT PRIMARY KEY, number BIGINT, name VARCHAR(40), note VARCHAR(40))"
        )
        await cursor.executemany("INSERT INTO ways_rows VALUES (%s, %s, %s, %s)", rows)
        await cursor.execute("ANALYZE TABLE ways, ways_rows")


async def _clean_up(dsn: str) -> None:
    import aiomysql_core

    async with (
        aiomysql_core.connect(dsn, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        await cursor.execute(_DROP)


# -- what the processes do -------------------------------------------------------------------------


@asynccontextmanager
async def _pooled(dsn: str, way: Way) -> AsyncIterator[Ask]:
    import aiomysql_pool

    options = connect_options(way)
    async with aiomysql_pool.create_pool(
        dsn, minsize=1, maxsize=1, autocommit=True, **options
    ) as pool:

        async def ask(number: int) -> Any:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(_QUERY, (number,))
                return await cursor.fetchone()

        yield ask


@asynccontextmanager
async def _sized(dsn: str, size: int) -> AsyncIterator[Ask]:
    import aiomysql_core

    query = _SIZED_QUERY.format(size)
    async with aiomysql_core.connect(dsn, autocommit=True) as connection:

        async def ask(_: int) -> Any:
            async with connection.cursor() as cursor:
                await cursor.execute(query)
                return await cursor.fetchall()

        assert len(await ask(0)) == size
        yield ask


class _Bare:
    """Sends a request, and reads as many bytes as its answer has."""

    def __init__(self, sock: socket.socket, request: bytes, length: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._request = request
        self._length = length
        self._buffer = bytearray(1 << 18)
        self._missing = 0
        self.reads = 0

    async def ask(self, _: int) -> None:
        self._missing = self._length
        self._waiter = self._loop.create_future()
        self._sock.send(self._request)
        await self._waiter

    def read(self) -> None:
        self.reads += 1
        received = self._sock.recv_into(self._buffer)
        self._missing -= received
        if self._missing <= 0 or not received:
            if self._missing or not received:
                self._waiter.set_exception(ConnectionError("the answer has another length"))
            else:
                self._waiter.set_result(None)


@asynccontextmanager
async def _bare(dsn: str, size: int) -> AsyncIterator[tuple[_Bare, int]]:
    """The bare client and the length of its answer."""
    from benchmarks.compare.plan import Sizes
    from benchmarks.compare.worker.floors import learn_response, logged_in, query_request
    from benchmarks.compare.worker.jobs import Setting

    parts = urlsplit(dsn)
    setting = Setting(
        contender="",
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/"),
        tls_ca=None,
        transport="tcp",
        loop="asyncio",
        cpu=None,
        sizes=Sizes(),
    )
    request = query_request(_SIZED_QUERY.format(size))
    with logged_in(setting) as sock:
        length = len(learn_response(sock, request, quiet=0.1))
        sock.setblocking(False)
        bare = _Bare(sock, request, length)
        loop = asyncio.get_running_loop()
        loop.add_reader(sock, bare.read)
        try:
            yield bare, length
        finally:
            loop.remove_reader(sock)


class _Worker:
    """Opens what it is told to, and measures it whenever it is asked."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._dsn = checkouts.dsn()
        self._asks: dict[str, Ask] = {}
        self._bare: dict[str, tuple[_Bare, int]] = {}

    async def open(self, name: str) -> Ask:
        """What asks in the way of that name, `size N` or `bare N`, warmed up."""
        if name not in self._asks:
            kind, _, size = name.partition(" ")
            if kind == "bare":
                found = await self._stack.enter_async_context(_bare(self._dsn, int(size)))
                self._bare[name] = found
                ask: Ask = found[0].ask
            elif kind == "size":
                ask = await self._stack.enter_async_context(_sized(self._dsn, int(size)))
            elif name.startswith(_POOLED):
                way, _ = _WAYS[name]
                ask = await self._stack.enter_async_context(_pooled(self._dsn, way))
            else:
                way, _ = _WAYS[name]
                connecting = asking(_QUERY, way, host=self._dsn, autocommit=True)
                ask = await self._stack.enter_async_context(connecting)
            self._asks[name] = ask
            for number in range(20):
                await ask(number)
        return self._asks[name]

    async def measure(self, name: str, count: int) -> dict[str, float]:
        """Microseconds of CPU and wall time per query; for the bare client reads and bytes, too."""
        ask = await self.open(name)
        bare, length = self._bare.get(name, (None, 0))
        reads = bare.reads if bare is not None else 0
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            await ask(number % 100)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        found = {"cpu": cpu / count * 1e6, "wall": wall / count * 1e6}
        if bare is not None:
            found |= {"reads": (bare.reads - reads) / count, "bytes": length}
        return found


def _work() -> None:
    """Answer each line `NAME<tab>COUNT` with a line of JSON."""
    with asyncio.Runner(loop_factory=checkouts.loop_factory()) as runner:
        stack = AsyncExitStack()
        worker = _Worker(stack)
        for line in sys.stdin:
            name, _, count = line.rstrip("\n").partition("\t")
            print(json.dumps(runner.run(worker.measure(name, int(count)))), flush=True)
        runner.run(stack.aclose())


async def _be_counted(names: Sequence[str], count: int) -> None:
    """Ask in each way, between two calls of `getppid`, at which valgrind writes what it counted."""
    async with AsyncExitStack() as stack:
        worker = _Worker(stack)
        for name in names:
            ask = await worker.open(name)
            for number in range(count // 4):
                await ask(number % 100)
            gc.collect()
            os.getppid()
            for number in range(count):
                await ask(number % 100)
            os.getppid()


async def _print_frames() -> None:
    async def count(way: Way) -> int:
        async with asking(_QUERY, way, host=checkouts.dsn(), autocommit=True) as ask:
            return await count_frames(ask, 7)

    single = {name_of(way): await count(way) for way in (PLAIN, *SINGLE)}
    above = {}
    for way in PAIRS:
        frames = await count(way)
        if frames > max(single[option.name] for option in way) + 1:
            above[name_of(way)] = frames
    for title, table in ("FRAMES", single), ("ABOVE", above):
        print(f"{title}:")
        for name, frames in table.items():
            print(f'        "{name}": {frames},')


# -- what measures them ----------------------------------------------------------------------------


class _Process:
    """A worker's process."""

    def __init__(self, python: str) -> None:
        self._process = checkouts.start(python, _MODULE, "--work", stdin=subprocess.PIPE, bufsize=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def measure(self, name: str, count: int) -> dict[str, float]:
        """What `_Worker.measure` returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\t{count}\n")
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name}: the process has ended")
        found: dict[str, float] = json.loads(answer)
        return found


Samples = dict[tuple[int, str], list[dict[str, float]]]
"""By the position of an interpreter and the name of a way: what each round found."""


def _rounds(names: Sequence[tuple[int, str]], pythons: Sequence[str], rounds: int) -> Samples:
    """Measure (interpreter, way) in turns, in another order in each round."""
    found: Samples = {name: [] for name in names}
    with ExitStack() as stack:
        processes = [stack.enter_context(_Process(python)) for python in pythons]
        for index, name in names:  # connects, and is not counted
            processes[index].measure(name, 1)
        for number in range(rounds):
            at = number * len(names) // rounds
            order = [*names[at:], *names[:at]]
            for index, name in reversed(order) if number % 2 else order:
                found[index, name].append(processes[index].measure(name, _COUNT))
    return found


_COUNT = 200


def _median(samples: Sequence[Mapping[str, float]], key: str) -> float:
    return statistics.median(sample[key] for sample in samples)


def _ratio(samples: Sequence[Mapping[str, float]], to: Sequence[Mapping[str, float]]) -> float:
    """The median of the rounds' ratios of CPU time."""
    return statistics.median(a["cpu"] / b["cpu"] for a, b in zip(samples, to, strict=True))


def _instructions(python: str, names: Sequence[str]) -> list[int]:
    """How many instructions of the client's a query takes in each way."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counted"
        counting = (
            *checkouts.COUNTING,
            "--dump-before=getppid",
            f"--callgrind-out-file={file}",
        )
        arguments = ["--be-counted", str(_COUNT), *(f"--name={name}" for name in names)]
        checkouts.output(python, _MODULE, *arguments, before=counting)
        found = []
        for number in range(len(names)):
            part = file.with_name(f"{file.name}.{2 * number + 2}").read_text()
            totals = re.search(r"^totals: (\d+)", part, re.MULTILINE)
            assert totals is not None
            found.append(int(totals[1]) // _COUNT)
    return found


def _show_interpreters(pythons: Sequence[str]) -> None:
    for number, python in enumerate(pythons, 1):
        print(f"{number}: {python}")


def _show_ways(pythons: Sequence[str], names: Sequence[str], rounds: int, counted: bool) -> None:
    keys = [(index, name) for name in names for index in range(len(pythons))]
    found = _rounds(keys, pythons, rounds) if rounds else {}
    instructions = [_instructions(python, names) for python in pythons] if counted else []
    for number, name in enumerate(names):
        _, plain = _WAYS[name]
        for index in range(len(pythons)):
            line = f"{name if not index else '':24} {index + 1}"
            if rounds:
                samples = found[index, name]
                line += f" {_median(samples, 'cpu'):7.1f} us of CPU"
                if (index, plain) in found:
                    line += f" {_ratio(samples, found[index, plain]):5.2f} of {plain:8}"
                line += f" {_ratio(samples, found[0, name]):5.2f} of 1"
                line += f" {_median(samples, 'wall'):7.1f} us of wall time"
            if counted:
                of_first = instructions[index][number] / instructions[0][number]
                line += f" {instructions[index][number]:9,} instructions {of_first:6.3f} of 1"
            print(line, flush=True)
    _show_interpreters(pythons)


def _show_sizes(pythons: Sequence[str], rounds: int) -> None:
    # The bare client is this checkout's in a process of its own.
    bare = len(pythons)
    keys = [
        (index, f"{'bare' if index == bare else 'size'} {size}")
        for size in _SIZES
        for index in range(bare + 1)
    ]
    found = _rounds(keys, [*pythons, sys.executable], rounds)
    names = "".join(f"{index + 1:>9}" for index in range(bare))
    print(f"rows   bytes  reads   bare us{names}   (less the bare client's)")
    lengths = []
    times: list[list[float]] = [[] for _ in range(bare + 1)]
    for size in _SIZES:
        samples = found[bare, f"bare {size}"]
        lengths.append(int(samples[0]["bytes"]))
        for index in range(bare):
            times[index].append(_median(found[index, f"size {size}"], "cpu"))
        times[bare].append(_median(samples, "cpu"))
        line = f"{size:4} {lengths[-1]:7} {_median(samples, 'reads'):6.2f} {times[bare][-1]:9.1f}"
        for index in range(bare):
            line += f"{times[index][-1]:9.1f}"
        line += "   "
        for index in range(bare):
            line += f"{times[index][-1] - times[bare][-1]:9.1f}"
        print(line)
    _show_interpreters(pythons)
    print("What one more read costs, beyond what its rows do:")
    reads = [_median(found[bare, f"bare {size}"], "reads") for size in _SIZES]
    bare_steps = steps(lengths, reads, times[bare])
    if not bare_steps:
        print("unknown: answers come in more reads now and then, as something else runs")
    for index in range(bare):
        for number, step in steps(lengths, reads, times[index]).items():
            more = step - bare_steps[number]
            print(
                f"{index + 1}: read {number}: {step:6.1f} us, bare client"
                f" {bare_steps[number]:6.1f} us, {more:+6.1f} us"
            )


def steps(
    lengths: Sequence[int], reads: Sequence[float], times: Sequence[float]
) -> dict[int, float]:
    """By the number of a read, how far the times with it lie above those without it.

    Lines are laid through the times with either, and compared halfway between.  Answers that come
    in more reads at one time than at another are left out.
    """
    parts: dict[int, list[tuple[int, float]]] = {}
    for length, mean, spent in zip(lengths, reads, times, strict=True):
        if abs(mean - round(mean)) <= 0.1:
            parts.setdefault(round(mean), []).append((length, spent))
    found = {}
    for number, after in parts.items():
        before = parts.get(number - 1, [])
        if min(len(before), len(after)) >= 3:
            border = (before[-1][0] + after[0][0]) / 2
            found[number] = _line(after)(border) - _line(before)(border)
    return found


def _line(points: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    slope, intercept = statistics.linear_regression(*zip(*points, strict=True))
    return lambda x: slope * x + intercept


def _main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    checkouts.add_arguments(parser, rounds=15)
    parser.add_argument("--way", default="", help="only those whose names have this")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--sizes", action="store_true")
    parser.add_argument("--frames", action="store_true")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--be-counted", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--name", action="append", help=argparse.SUPPRESS)
    parser.add_argument("--print-frames", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        _work()
        return
    if args.be_counted:
        checkouts.run(_be_counted(args.name, args.be_counted))
        return
    if args.print_frames:
        checkouts.run(_print_frames())
        return
    pythons = checkouts.interpreters(args.others, uvloop=args.uvloop)
    asyncio.run(_prepare(checkouts.dsn()))
    try:
        if args.frames:
            for python in pythons:
                print(python)
                print(checkouts.output(python, _MODULE, "--print-frames"), end="", flush=True)
        elif args.sizes:
            _show_sizes(pythons, args.rounds)
        else:
            chosen = [name for name in _WAYS if args.way in name]
            counted = (args.instructions or not args.rounds) and checkouts.can_count()
            _show_ways(pythons, chosen, args.rounds, counted)
    finally:
        asyncio.run(_clean_up(checkouts.dsn()))


if __name__ == "__main__":
    _main()
