"""The order of measurement: contenders take turns, so that a slow moment hits them alike."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compare import data
from benchmarks.compare.delay import delaying
from benchmarks.compare.environments import Environment, EnvironmentMissing, make_environment
from benchmarks.compare.plan import (
    CONTENDERS,
    DELAY,
    WORKLOADS,
    Contender,
    Loop,
    Sizes,
    Transport,
)
from benchmarks.compare.processes import WorkerProcess, pin_server, setting_of
from benchmarks.compare.results import Results, Series
from benchmarks.compare.worker.jobs import Setting
from tests.servers import Server

USER = ("bench", "bench password")


@dataclass(frozen=True)
class Selection:
    """What to measure."""

    servers: Sequence[str]
    transports: Sequence[Transport]
    loops: Sequence[Loop]
    workloads: Sequence[str]
    contenders: Sequence[Contender]
    rounds: int
    sizes: Sizes
    memory: bool = True

    def rounds_over(self, transport: Transport) -> int:
        """All rounds over the first transport, half of them over another one."""
        return self.rounds if transport == self.transports[0] else (self.rounds + 1) // 2

    def workloads_over(self, transport: Transport) -> list[str]:
        """Those that are measured over a transport."""
        return [key for key in self.workloads if transport == "tcp" or not WORKLOADS[key].delayed]


@dataclass
class Measurement:
    """A run in progress."""

    selection: Selection
    keep: Path
    results: Results = field(default_factory=Results)

    def __post_init__(self) -> None:
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._cpu = cpus[-1] if cpus else None
        self._delayed_port: int | None = None
        self._environments: dict[str, Environment | EnvironmentMissing] = {}
        self.results.sizes = dict(vars(self.selection.sizes))
        self.results.date = dt.datetime.now(dt.UTC).isoformat(timespec="minutes")
        self.results.machine = {
            "system": platform.platform(),
            "processor": _processor(),
            "processors": os.cpu_count(),
            "memory": _memory(),
        }
        for contender in self.selection.contenders:
            name = contender.environment
            if name not in self._environments:
                self._environments[name] = self._environment(name)

    def _environment(self, name: str) -> Environment | EnvironmentMissing:
        try:
            return make_environment(name, self.keep)
        except EnvironmentMissing as error:
            say(f"left out: {name}: {error}")
            return error

    def on_server(self, server: Server) -> None:
        """Measure everything on one server, which may be written to."""
        self.results.servers[server.name] = f"{server.kind} {'.'.join(map(str, server.version))}"
        say(f"{server.name}: loading the tables")
        load(server, self.selection.sizes)
        stack = contextlib.ExitStack()
        stack.callback(drop, server)
        with stack:
            if any(WORKLOADS[key].delayed for key in self.selection.workloads):
                proxy = delaying(server.host, server.port, DELAY, self._cpu)
                self._delayed_port = stack.enter_context(proxy)
            pinned = pin_server(server, self._cpu)
            self.results.machine["pinning"] = pinned
            say(f"{server.name}: {pinned}")
            for transport in self.selection.transports:
                blocking_done = False
                for loop in self.selection.loops:
                    contenders = [
                        contender
                        for contender in self.selection.contenders
                        if not (contender.blocking and blocking_done)
                        and not (contender.kind.startswith("floor") and transport == "tls")
                    ]
                    self._in_place(server, transport, loop, contenders)
                    blocking_done = True

    def _in_place(
        self, server: Server, transport: Transport, loop: Loop, contenders: list[Contender]
    ) -> None:
        with contextlib.ExitStack() as stack:
            workers = {
                contender.key: stack.enter_context(worker)
                for contender in contenders
                if (worker := self._worker(server, transport, loop, contender)) is not None
            }
            chosen = self.selection.workloads_over(transport)
            for number, workload in enumerate(chosen, 1):
                found = self._workload(server.name, transport, loop, workload, workers)
                self.results.series += found.values()
                # TLS adds a few buffers to it, and time to the run.
                first = transport == self.selection.transports[0]
                if self.selection.memory and first and WORKLOADS[workload].memory:
                    for series in found.values():
                        self._measure_memory(server, transport, loop, series)
                count = f"{number}/{len(chosen)}"
                say(f"{server.name} {transport} {loop} {count} {workload}: {_brief(found)}")
            for key, worker in workers.items():
                self.results.versions.setdefault(key, worker.versions)

    def _measure_memory(
        self, server: Server, transport: Transport, loop: Loop, series: Series
    ) -> None:
        """Run the workload once more, as the first thing that an interpreter does."""
        fresh = self._worker(server, transport, loop, CONTENDERS[series.contender])
        if series.status == "ok" and fresh is not None:
            with fresh:
                series.peak = fresh.ask(f"memory {series.workload}").get("peak")

    def _worker(
        self, server: Server, transport: Transport, loop: Loop, contender: Contender
    ) -> WorkerProcess | None:
        environment = self._environments[contender.environment]
        if isinstance(environment, EnvironmentMissing):
            return None
        setting = Setting(
            contender=contender.key,
            transport=transport,
            loop="none" if contender.blocking else loop,
            cpu=self._cpu,
            delayed_port=self._delayed_port,
            sizes=self.selection.sizes,
            **setting_of(server, USER),
        )
        return WorkerProcess(environment, setting)

    def _workload(
        self,
        server: str,
        transport: Transport,
        loop: Loop,
        workload: str,
        workers: dict[str, WorkerProcess],
    ) -> dict[str, Series]:
        """Open the workload for all that have it, measure in turns, close."""
        found: dict[str, Series] = {}

        def ask(key: str, command: str) -> bool:
            response = workers[key].ask(command)
            series = found[key]
            if response["status"] != "ok":
                series.status, series.note = response["status"], response["note"]
                return False
            if command == "run":
                series.wall.append(_rounded(response["wall"]))
                series.cpu.append(_rounded(response["cpu"]))
            return True

        for key in workers:
            if CONTENDERS[key].does(workload):
                own = "none" if CONTENDERS[key].blocking else loop
                found[key] = Series(server, transport, own, workload, key)
                ask(key, f"open {workload}")
        for number in range(self.selection.rounds_over(transport)):
            tick(f"{workload}: round {number + 1}")
            for key in _turn(list(found), number):
                # The slow ones would take most of the time; their medians are steady enough.
                takes_part = CONTENDERS[key].often or number % 2 == 0
                if takes_part and found[key].status == "ok":
                    ask(key, "run")
        for key, series in found.items():
            if series.status == "ok":
                ask(key, "close")
        return found


def _turn(keys: list[str], number: int) -> list[str]:
    """Another one begins in each round, and none always comes behind the same one."""
    at = number % len(keys) if keys else 0
    turn = keys[at:] + keys[:at]
    return turn if number % 4 < 2 else turn[::-1]


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.5g}")


def _brief(found: dict[str, Series]) -> str:
    parts = []
    for key, series in found.items():
        cpu = series.median("cpu")
        parts.append(f"{key} {series.status if cpu is None else f'{cpu * 1000:.1f}'}")
        if series.status in ("wrong", "failed"):
            parts[-1] += f" ({series.note})"
    return ", ".join(parts) + " ms of CPU"


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)


def tick(text: str) -> None:
    """Show on a terminal that something goes on."""
    if sys.stderr.isatty():
        print(f"{text:<60}", end="\r", file=sys.stderr, flush=True)


def load(server: Server, sizes: Sizes) -> None:
    """Make the tables, their rows, and the account that the contenders use."""
    drop(server)
    user, password = USER
    server.execute("SET GLOBAL local_infile = 1")
    server.execute(f"CREATE USER {user} IDENTIFIED BY %s", (password,))
    server.execute(f"GRANT ALL ON `{server.database}`.* TO {user}")
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        for table, columns in data.DEFINITIONS.items():
            cursor.execute(f"CREATE TABLE {table} ({columns}) CHARACTER SET utf8mb4")
        cursor.execute("BEGIN")
        for table, rows in _contents(sizes):
            for batch in _batches(rows, 5000):
                marks = ", ".join(["%s"] * len(batch[0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
        # As a statement of repetition, because the literal would be twice as long as the cell.
        repeated = sizes.cell // len(data.CELL_PATTERN) + 1
        cursor.execute(
            f"INSERT INTO {data.CELL} VALUES (1, LEFT(REPEAT(UNHEX(%s), %s), %s))",
            (data.CELL_PATTERN.hex(), repeated, sizes.cell),
        )
        cursor.execute("COMMIT")
        cursor.execute(f"ANALYZE TABLE {data.INTS}, {data.MIXED}")
    # MySQL remembers the password from here on, and logs in without RSA.
    server.connect(user=user, password=password, unix_socket=None).close()


def drop(server: Server) -> None:
    """Remove everything that `load` makes."""
    for table in data.DEFINITIONS:
        server.execute(f"DROP TABLE IF EXISTS {table}")
    server.execute(f"DROP USER IF EXISTS {USER[0]}")


def _contents(sizes: Sizes) -> Iterator[tuple[str, Iterator[data.Row]]]:
    yield data.INTS, data.ints(sizes.rows)
    yield data.MIXED, data.mixed(sizes.rows)
    yield data.UPDATE, iter(data.changes(sizes.updates, 0))


def _batches(rows: Iterator[data.Row], size: int) -> Iterator[list[data.Row]]:
    batch: list[data.Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _memory() -> int:
    """Bytes."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0
