"""The results as Markdown."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.compare.plan import CONTENDERS, OURS, WORKLOADS, Sizes
from benchmarks.compare.results import Results, Target, targets

Place = tuple[str, str, str]

_FLOORS = ("floor-socket", "floor-asyncio")
_PEERS = tuple(key for key in CONTENDERS if key != OURS and key not in _FLOORS)
_NOTHING = "-"


def report(results: Results) -> str:
    """Everything, as Markdown without a heading of the first or second level."""
    return "\n\n".join("\n".join(lines) for lines in _parts(results))


def _parts(results: Results) -> Iterator[Iterable[str]]:
    yield _conditions(results)
    yield ["### Targets"]
    yield target_table(results)
    yield ["### CPU time of the peers, as a multiple of ours (C)"]
    yield ["The median over servers and event loops (TCP); in brackets the lowest and the highest."]
    yield ratio_table(results)
    if any(series.peak is not None for series in results.series):
        yield ["### Peak of memory, MB above what was in use before"]
        yield memory_table(results)
    yield ["### Every place"]
    yield ["Medians: CPU ms / wall ms of the client (the CPU time as a multiple of ours in C)."]
    for place in results.places():
        yield [f"<details><summary>{_name(results, place)}</summary>", ""]
        yield place_table(results, place)
        yield ["", "</details>"]
    if notes := _notes(results):
        yield ["### What is missing"]
        yield notes


def _conditions(results: Results) -> list[str]:
    machine, sizes = results.machine, results.sizes
    versions = [
        f"{CONTENDERS[key].title}: " + ", ".join(f"{name} {value}" for name, value in of.items())
        for key, of in results.versions.items()
        if of and key not in _FLOORS
    ]
    servers = ", ".join(f"{name} ({version})" for name, version in results.servers.items())
    processors = f"{machine.get('processors')} processors ({machine.get('processor')})"
    lines = [
        f"Measured {results.date} by `{results.command}`.",
        f"Machine: {processors}, {machine.get('system')}; {machine.get('pinning')}.",
        f"Servers: {servers}.",
    ]
    # Results from before there was a workload lack its size.
    if any(sizes.get(name, size) != size for name, size in vars(Sizes()).items()):
        lines.append("**The sizes differ from those in the titles.**")
    return [*lines, "", *(f"- {line}" for line in versions)]


def _name(results: Results, place: Place) -> str:
    server, transport, loop = place
    return f"{results.servers.get(server, server)}, {transport.upper()}, {loop}"


def target_places(results: Results) -> list[Place]:
    """Where targets have to be met: over TCP, if that was measured."""
    places = results.places()
    return [place for place in places if place[1] == "tcp"] or places


def target_table(results: Results) -> list[str]:
    """A line per target: the worst value in each place, and whether it is met in all of them."""
    places = target_places(results)
    heads = [f"{server}, {loop}" for server, _, loop in places]
    lines = _table_head(["target", "needed", *heads, "met"])
    for target in targets(results.sizes["cell"]):
        worst = [target.worst(results, place) for place in places]
        known = [found for found in worst if found is not None]
        met = "not measured"
        if known:
            met = "yes" if all(target.met(value) for _, value in known) else "**no**"
        cells = [_worst(target, found) for found in worst]
        lines.append(_row([target.title, _needed(target), *cells, met]))
    return lines


def _needed(target: Target) -> str:
    if target.limit is not None:
        return f"≤ {target.limit / 1e6:.0f}"
    return f"≥ {target.least:g}"


def _worst(target: Target, found: tuple[str, float] | None) -> str:
    if found is None:
        return _NOTHING
    workload, value = found
    text = f"{value:.2f}" if target.limit is None else f"{value / 1e6:.1f}"
    if not target.met(value):
        text = f"**{text}**"
    return text if len(target.workloads) == 1 else f"{text} ({workload})"


def ratio_table(results: Results) -> list[str]:
    """A line per workload: how many times our CPU time each peer takes."""
    peers = _present(results, _PEERS)
    lines = _table_head(["workload", *(CONTENDERS[peer].title for peer in peers)])
    for workload in _workloads(results):
        cells = [_span(ratios(results, workload, peer)) for peer in peers]
        lines.append(_row([WORKLOADS[workload].title, *cells]))
    return lines


def ratios(results: Results, workload: str, peer: str) -> list[float]:
    """The CPU time of a peer as a multiple of ours, in each place that counts for targets."""
    found = (results.ratio(place, workload, peer) for place in target_places(results))
    return [ratio for ratio in found if ratio is not None]


def _span(values: Sequence[float]) -> str:
    if not values:
        return _NOTHING
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def memory_table(results: Results) -> list[str]:
    """A line per workload: the highest peak of each contender in any place."""
    keys = _present(results, [OURS, *_PEERS])
    lines = _table_head(["workload", *(CONTENDERS[key].title for key in keys)])
    for workload in _workloads(results):
        peaks = {
            key: [
                series.peak
                for series in results.series
                if (series.workload, series.contender) == (workload, key)
                and series.peak is not None
            ]
            for key in keys
        }
        if any(peaks.values()):
            cells = [f"{max(found) / 1e6:.1f}" if found else _NOTHING for found in peaks.values()]
            lines.append(_row([WORKLOADS[workload].title, *cells]))
    return lines


def place_table(results: Results, place: Place) -> list[str]:
    """A line per workload: medians of all contenders in one place."""
    keys = _present(results, [OURS, *_PEERS])
    floors = _present(results, _FLOORS)
    heads = [CONTENDERS[key].title for key in keys] + ["floor"] * bool(floors)
    lines = _table_head(["workload", *heads])
    for workload in _workloads(results):
        cells = [_cell(results, place, workload, key) for key in keys]
        if floors:
            found = (_cell(results, place, workload, key) for key in floors)
            cells.append(next((cell for cell in found if cell != _NOTHING), _NOTHING))
        lines.append(_row([WORKLOADS[workload].title, *cells]))
    return lines


def _cell(results: Results, place: Place, workload: str, key: str) -> str:
    series = results.find(*place, workload, key)
    if series is None or series.status == "absent":
        return _NOTHING
    cpu, wall = series.median("cpu"), series.median("wall")
    if cpu is None or wall is None:
        return f"**{series.status}**"
    text = f"{cpu * 1000:.1f} / {wall * 1000:.1f}"
    ratio = results.ratio(place, workload, key)
    return text if ratio is None or key == OURS else f"{text} ({ratio:.2f})"


def _notes(results: Results) -> list[str]:
    """A line for each failure, with the number of places where it happened."""
    counted = Counter(
        (series.contender, series.workload, series.status, series.note)
        for series in results.series
        if series.status != "ok"
    )
    return [
        f"- {CONTENDERS[contender].title}, {WORKLOADS[workload].title}: {status} "
        f"({'once' if times == 1 else f'in {times} places'}): {note}"
        for (contender, workload, status, note), times in counted.items()
    ]


def _present(results: Results, keys: Iterable[str]) -> list[str]:
    measured = {series.contender for series in results.series}
    return [key for key in keys if key in measured]


def _workloads(results: Results) -> list[str]:
    measured = {series.workload for series in results.series}
    return [key for key in WORKLOADS if key in measured]


def _table_head(cells: Sequence[str]) -> list[str]:
    return [_row(cells), _row(["---"] * len(cells))]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
