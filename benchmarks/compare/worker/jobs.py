"""What a workload is made of, and how one run of it is measured."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from operator import eq
from pathlib import Path
from typing import Any

from benchmarks.compare.plan import Loop, Sizes, Transport


class Absent(Exception):
    """The driver lacks what the workload needs."""


class Wrong(Exception):
    """The driver returned something else than what is in the database."""


@dataclass(frozen=True)
class Setting:
    """Where and how a worker works."""

    contender: str
    host: str
    port: int
    user: str
    password: str
    database: str
    tls_ca: str | None
    transport: Transport
    loop: Loop
    cpu: int | None
    """The processor that the worker stays on."""
    sizes: Sizes
    delayed_port: int | None = None
    """Where on 127.0.0.1 the proxy listens that delays; None where there is none."""


@dataclass(frozen=True)
class Job:
    """A workload that is ready to run, with its connections open."""

    run: Callable[[], Awaitable[Any]]
    check: Callable[[Any], None]
    """Raises Wrong."""
    before: Callable[[], Awaitable[Any]] | None = None
    """Not measured; nor is `after`, whose result `check` gets instead of that of `run`."""
    after: Callable[[], Awaitable[Any]] | None = None


Opener = Callable[[], AbstractAsyncContextManager[Job]]


@dataclass(frozen=True)
class Sample:
    """One run: seconds, and bytes of memory above what was in use before."""

    wall: float
    cpu: float
    peak: int


class Meter:
    """Measures from `start` to `stop`, with the garbage of before collected."""

    def start(self) -> None:
        gc.collect()
        self._memory = _reset_peak()
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def stop(self) -> Sample:
        wall = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        return Sample(wall, cpu, max(0, _peak() - self._memory))


async def measure(job: Job) -> Sample:
    """Run the job once and check what it did; raises Wrong."""
    if job.before is not None:
        await job.before()
    meter = Meter()
    meter.start()
    result = await job.run()
    sample = meter.stop()
    if job.after is not None:
        result = await job.after()
    job.check(result)
    return sample


def same_rows(got: Sequence[Any], expected: Sequence[Any]) -> None:
    """Raise Wrong unless the rows are equal, in order, whatever sequence holds them."""
    if len(got) != len(expected):
        raise Wrong(f"{len(got)} rows instead of {len(expected)}")
    if not all(map(eq, got, expected)):
        different = next(pair for pair in zip(got, expected, strict=True) if pair[0] != pair[1])
        raise Wrong(f"a row is {different[0]!r} instead of {different[1]!r}")


def same(got: Any, expected: Any) -> None:
    """Raise Wrong unless both are equal."""
    if got != expected:
        raise Wrong(f"{str(got)[:200]} instead of {str(expected)[:200]}")


def pin(cpu: int | None) -> None:
    """Stay on one processor, where the system can do that."""
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


def _reset_peak() -> int:
    """Forget the highest use of memory so far; returns bytes in use now.

    Where Linux's clear_refs is missing, the peak of the whole process stands in: only the first
    run in an interpreter is then right.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    if sys.platform == "linux":
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(name: str) -> int:
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(name.encode() + b":"):
                return int(line.split()[1]) * 1024
    raise OSError(f"the system tells no {name}")
