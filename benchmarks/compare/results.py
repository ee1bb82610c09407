"""The results of a run, and what follows from them: medians, ratios, targets."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.compare.plan import CONTENDERS, OURS, OURS_PYTHON, POINTS, SCANS

Measure = Literal["cpu", "wall", "peak"]
FORMAT = 1


@dataclass
class Series:
    """All runs of one workload by one contender in one place."""

    server: str
    transport: str
    loop: str
    workload: str
    contender: str
    status: str = "ok"
    note: str = ""
    wall: list[float] = field(default_factory=list)
    """Seconds."""
    cpu: list[float] = field(default_factory=list)
    """Seconds of the client's processor time."""
    peak: int | None = None
    """Bytes of memory above what was in use before, in an interpreter that did nothing else."""

    def median(self, measure: Measure) -> float | None:
        """The median in seconds (or bytes); None where nothing was measured."""
        if self.status != "ok":
            return None
        if measure == "peak":
            return self.peak
        values = self.cpu if measure == "cpu" else self.wall
        return statistics.median(values) if values else None


@dataclass
class Results:
    """Everything that a run found out."""

    machine: dict[str, Any] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    command: str = ""
    date: str = ""
    series: list[Series] = field(default_factory=list)

    def find(
        self, server: str, transport: str, loop: str, workload: str, contender: str
    ) -> Series | None:
        """The series of a contender; those that block have one for all event loops."""
        loops = ("none",) if CONTENDERS[contender].blocking else (loop,)
        for series in self.series:
            if (series.server, series.transport) == (server, transport) and (
                series.loop in loops
                and (series.workload, series.contender) == (workload, contender)
            ):
                return series
        return None

    def places(self) -> list[tuple[str, str, str]]:
        """The combinations of server, transport and event loop, in order."""
        found = ((s.server, s.transport, s.loop) for s in self.series if s.loop != "none")
        return list(dict.fromkeys(found)) or [
            (s.server, s.transport, "asyncio") for s in self.series[:1]
        ]

    def ratio(
        self,
        place: tuple[str, str, str],
        workload: str,
        peer: str,
        *,
        ours: str = OURS,
        measure: Measure = "cpu",
    ) -> float | None:
        """How many times as much the peer takes as ours; None where one of them is missing."""
        series = [self.find(*place, workload, contender) for contender in (peer, ours)]
        theirs, own = (one.median(measure) if one else None for one in series)
        return theirs / own if theirs is not None and own else None

    def write(self, path: Path) -> None:
        """Write JSON, a line per series."""
        head = {name: value for name, value in asdict(self).items() if name != "series"}
        lines = ",\n".join(f"  {json.dumps(asdict(series))}" for series in self.series)
        text = json.dumps({"format": FORMAT} | head, indent=1)
        path.write_text(f'{text[:-2]},\n "series": [\n{lines}\n ]\n}}\n')


def read_results(path: Path) -> Results:
    """Read what `Results.write` wrote; ValueError for another format."""
    found = json.loads(path.read_text())
    if found.pop("format", None) != FORMAT:
        raise ValueError(f"{path} was written by another version of this program")
    return Results(**found | {"series": [Series(**series) for series in found["series"]]})


@dataclass(frozen=True)
class Target:
    """What must hold in every place: a peer's median at least so many times ours.

    With `limit`, instead, the most that ours may have: bytes of memory.
    """

    title: str
    workloads: tuple[str, ...]
    least: float = 0.0
    peer: str = "asyncmy"
    ours: str = OURS
    measure: Measure = "cpu"
    limit: float | None = None
    kind: str = ""
    """The kind of server it is for, "mariadb" or "mysql"; empty: any."""

    def values(self, results: Results, place: tuple[str, str, str]) -> Iterator[tuple[str, float]]:
        """The workloads that were measured in a place, with their ratios or bytes."""
        server = place[0]
        if not results.servers.get(server, server).startswith(self.kind):
            return
        for workload in self.workloads:
            if self.limit is None:
                value = results.ratio(
                    place, workload, self.peer, ours=self.ours, measure=self.measure
                )
            else:
                series = results.find(*place, workload, self.ours)
                value = series.median(self.measure) if series else None
            if value is not None:
                yield workload, value

    def worst(self, results: Results, place: tuple[str, str, str]) -> tuple[str, float] | None:
        """The workload that is farthest from the target; None if none was measured."""
        found = list(self.values(results, place))
        if not found:
            return None
        return (min if self.limit is None else max)(found, key=lambda pair: pair[1])

    def met(self, value: float) -> bool:
        """Whether a ratio, or bytes, is good enough."""
        return value >= self.least if self.limit is None else value <= self.limit


def targets(cell: int) -> Sequence[Target]:
    """The targets, for a big cell of so many bytes."""
    text = tuple(key for key in POINTS if key.endswith("text"))
    prepared = tuple(key for key in POINTS if key.endswith("prepared"))
    # Classic aiomysql has no prepared statements.
    plain = tuple(key for key in SCANS if not key.endswith("prepared"))
    orm = ("sqlalchemy-points", "sqlalchemy-borrowed", "sqlalchemy-scan")
    stream = ("scan-mixed-stream",)
    web = ("web-text", "web-dict")
    return (
        Target("scans: CPU of asyncmy / ours", SCANS, 1.3),
        Target("scans: wall time of asyncmy / ours", SCANS, 1.0, measure="wall"),
        Target("mixed text scan: CPU of asyncmy / ours", ("scan-mixed-text",), 1.5),
        Target("streamed scan: CPU of asyncmy / ours", stream, 1.3),
        Target("streamed scan: peak of memory, MB", stream, measure="peak", limit=20e6),
        Target("point queries, text: CPU of asyncmy / ours", text, 1.25),
        Target("point queries, prepared: CPU of asyncmy / ours", prepared, 1.1),
        Target("inserts: CPU of asyncmy / ours", ("insert",), 1.3),
        *_update_targets(),
        Target("connects: CPU of asyncmy / ours", ("connect",), 1.2),
        Target("SQLAlchemy: CPU of asyncmy / ours", orm, 1.1),
        Target("FastAPI: requests per second of ours / asyncmy", web, 1.1, measure="wall"),
        Target(
            "48 MiB cell: wall time of mysqlclient / ours",
            ("cell",),
            1.0,
            peer="mysqlclient",
            measure="wall",
        ),
        Target("48 MiB cell: peak of memory, MB", ("cell",), measure="peak", limit=2 * cell),
        Target("scans without C: CPU of classic / ours", plain, 2.0, "classic", OURS_PYTHON),
        Target("point queries without C: CPU of classic / ours", text, 1.5, "classic", OURS_PYTHON),
    )


def _update_targets() -> Iterator[Target]:
    """Those of many updates at once, and of pipelines: times of a peer / ours, wall and CPU."""
    both = ("update", "update-autocommit")
    delayed = ("update-delayed", "update-delayed-autocommit")
    # Asyncmy needs a hundred round trips where a pipeline may take three.
    rows: tuple[tuple[str, tuple[str, ...], str, str, float, float | None], ...] = (
        ("updates on MariaDB", both, "mariadb", "asyncmy", 6.0, 15.0),
        ("updates on MariaDB", both, "mariadb", "mariadb", 1.0, 1.0),
        ("updates on MySQL, in a transaction", both[:1], "mysql", "asyncmy", 2.0, 3.0),
        ("updates on MySQL, autocommit", both[1:], "mysql", "asyncmy", 1.0, 3.0),
        ("updates with 1 ms each way on MariaDB", delayed, "mariadb", "asyncmy", 50.0, None),
        ("updates with 1 ms each way on MySQL", delayed, "mysql", "asyncmy", 20.0, None),
        ("pipeline with 1 ms each way", ("pipeline",), "", "asyncmy", 33.0, None),
    )
    for what, workloads, kind, peer, wall, cpu in rows:
        of = f"of {CONTENDERS[peer].title} / ours"
        title = f"{what}: wall time {of}"
        yield Target(title, workloads, wall, peer, measure="wall", kind=kind)
        if cpu is not None:
            yield Target(f"{what}: CPU {of}", workloads, cpu, peer, kind=kind)
