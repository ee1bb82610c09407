"""Full load for a long time: memory stays flat, descriptors and tasks stay as many as they were.

    python -m tests.faults.soak --server mariadb118 --seconds 600        # a process per core

Every process works off what the storm does, with its cancellations, over a pool, and takes a sample
of itself every half second. What counts is the median of the last fifth of the samples against that
of the second fifth: in the first one caches fill.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.drivers import Driver, load
from tests.faults.storm import ACTS, POOL, option
from tests.faults.watch import open_sockets
from tests.servers import DSN_NAME, Server, serving
from tests.servers.server import DSN_VARIABLE

TASKS = 2 * POOL
PERIOD = 0.5
GROWTH = 0.02


def resident() -> int:
    """Bytes of memory that this process has; 0 where that can't be told."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Samples:
    """What a process saw of itself."""

    memory: list[int] = field(default_factory=list)
    sockets: list[int] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    done: int = 0

    def take(self) -> None:
        self.memory.append(resident())
        self.sockets.append(open_sockets())
        self.tasks.append(len(asyncio.all_tasks()))

    def before_and_after(self, values: list[int]) -> tuple[int, int]:
        """The medians of the second and of the last fifth."""
        fifth = max(1, len(values) // 5)
        before = statistics.median_low(values[fifth : 2 * fifth] or values)
        return before, statistics.median_low(values[-fifth:])

    def complaints(self) -> list[str]:
        """What is not as it was."""
        found = []
        before, after = self.before_and_after(self.memory)
        # Short runs are small enough for a single arena of Python's to weigh more than that.
        if after > before * (1 + GROWTH) + (1 << 19):
            found.append(f"memory: {before} bytes, then {after}")
        for name, values, most in (
            ("sockets", self.sockets, 3 * POOL),
            ("tasks", self.tasks, 4 * POOL),
        ):
            before, after = self.before_and_after(values)
            if after > before + most:
                found.append(f"{name}: {before}, then {after}")
        return found


async def soak(
    driver: Driver, server: Server, seconds: float, seed: int, options: Mapping[str, Any]
) -> Samples:
    """Keep a pool busy; raises whatever a task that was not cancelled raises.

    options: further keywords of create_pool().
    """
    end = time.monotonic() + seconds
    samples = Samples()
    chance = random.Random(seed)

    async def use(pool: Any, number: int) -> None:
        async with pool.acquire() as connection:
            await chance.choice(ACTS)(driver, connection, number)

    async def work(pool: Any, number: int) -> None:
        while time.monotonic() < end:
            number += TASKS
            if chance.randrange(20):
                await use(pool, number)
            else:
                task = asyncio.ensure_future(use(pool, number))
                await asyncio.wait([task], timeout=chance.random() * 0.005)
                task.cancel()
                await asyncio.wait([task])
            samples.done += 1

    sizes = {"minsize": 1, "maxsize": POOL}
    pool = await driver.create_pool(**server.connect_args, **sizes, **options)
    async with asyncio.TaskGroup() as group:
        for number in range(TASKS):
            group.create_task(work(pool, number))
        while time.monotonic() < end:
            await asyncio.sleep(PERIOD)
            samples.take()
    pool.close()
    await pool.wait_closed()
    return samples


def _processes(server: Server, options: argparse.Namespace) -> list[Samples]:
    """Run a process per core, each of which prints its samples."""
    own = [sys.executable, "-m", "tests.faults.soak", "--worker", "--driver", options.driver]
    command = [*own, "--seconds", str(options.seconds)]
    for name, value in options.option:
        command += ["--option", f"{name}={json.dumps(value)}"]
    env = {**os.environ, DSN_VARIABLE: server.dsn}
    processes = [
        subprocess.Popen([*command, "--seed", str(n)], env=env, stdout=subprocess.PIPE, text=True)
        for n in range(options.processes)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("a process failed")
    return [Samples(**json.loads(output)) for output in outputs]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--driver", default="ours", choices=["ours", "classic", "asyncmy"])
    parser.add_argument("--server", default="mariadb118")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--option", type=option, action="append", default=[], help="of connect(): NAME=VALUE"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with serving(DSN_NAME if os.environ.get(DSN_VARIABLE) else options.server) as server:
        if options.worker:
            driver = load(options.driver)
            more = dict(options.option)
            samples = asyncio.run(soak(driver, server, options.seconds, options.seed, more))
            print(json.dumps(asdict(samples)))
            return 0
        found = _processes(server, options)
    complaints = []
    for number, samples in enumerate(found):
        before, after = samples.before_and_after(samples.memory)
        print(
            f"process {number}: {samples.done} tasks in {options.seconds:.0f} s; memory "
            f"{before / 1e6:.1f} MB, then {after / 1e6:.1f} MB; at most {max(samples.sockets)} "
            f"sockets and {max(samples.tasks)} tasks"
        )
        complaints += samples.complaints()
    for line in complaints:
        print("FAILED", line)
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
