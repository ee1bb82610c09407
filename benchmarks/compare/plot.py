"""The results at a glance: how many times our CPU time the peers take."""

from __future__ import annotations

import importlib
import statistics
from pathlib import Path
from typing import Any

from benchmarks.compare.plan import CONTENDERS, WORKLOADS
from benchmarks.compare.results import Results
from benchmarks.compare.tables import ratios

_PEERS = {"asyncmy": "#d1495b", "classic": "#30638e", "connector": "#8d8d8d"}
_TICKS = (0.5, 1, 2, 5, 10, 20, 50)


def draw(results: Results, folder: Path) -> list[Path]:
    """Write benchmarks.svg and benchmarks.png; nothing where matplotlib is missing."""
    try:
        matplotlib: Any = importlib.import_module("matplotlib")
    except ModuleNotFoundError:
        return []
    matplotlib.use("agg")
    # The same results give the same file.
    matplotlib.rcParams |= {"svg.hashsalt": "aiomysql", "svg.fonttype": "path", "font.size": 10}
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    measured = {series.workload for series in results.series}
    workloads = [key for key in WORKLOADS if key in measured]
    figure, axes = pyplot.subplots(figsize=(9, 1.6 + 0.36 * len(workloads)))
    for row in range(0, len(workloads), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f4f4f4", zorder=0)
    axes.axvline(1, color="#2a9d4a", linewidth=2.5, zorder=1)
    for shift, peer in enumerate(_PEERS):
        _draw_peer(axes, results, peer, workloads, (shift - 1) * 0.2)
    axes.set_xscale("log")
    axes.set_xticks(_TICKS, [f"{tick:g}x" for tick in _TICKS])
    axes.minorticks_off()
    axes.grid(axis="x", color="#dddddd", zorder=0)
    axes.set_yticks(range(len(workloads)), [WORKLOADS[key].title for key in workloads])
    axes.set_ylim(len(workloads) - 0.5, -0.5)
    axes.set_title("CPU time as a multiple of this driver's (green line): right of it is slower")
    if axes.get_legend_handles_labels()[0]:
        place = {"loc": "upper center", "bbox_to_anchor": (0.3, -0.05)}
        axes.legend(ncols=len(_PEERS), frameon=False, **place)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False)
    paths = [folder / f"benchmarks.{suffix}" for suffix in ("svg", "png")]
    for path in paths:
        extra = {"metadata": {"Date": None}} if path.suffix == ".svg" else {"dpi": 150}
        figure.savefig(path, bbox_inches="tight", **extra)
    pyplot.close(figure)
    return paths


def _draw_peer(axes: Any, results: Results, peer: str, workloads: list[str], shift: float) -> None:
    """A dot per workload, on a line from the lowest to the highest; words for a wrong result."""
    colour = _PEERS[peer]
    wrong = {s.workload for s in results.series if (s.contender, s.status) == (peer, "wrong")}
    dots = []
    for row, workload in enumerate(workloads):
        height = row + shift
        if workload in wrong:
            text = f"{CONTENDERS[peer].title}: wrong result"
            edge = axes.get_yaxis_transform()
            axes.text(0.01, height, text, color=colour, fontsize=8, va="center", transform=edge)
        elif values := ratios(results, workload, peer):
            dots.append((statistics.median(values), height))
            axes.plot([min(values), max(values)], [height] * 2, color=colour, linewidth=2, zorder=2)
    if dots:
        title = CONTENDERS[peer].title
        axes.scatter(*zip(*dots, strict=True), color=colour, label=title, s=36, zorder=3)
