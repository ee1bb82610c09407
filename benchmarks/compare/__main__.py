"""The command: `python -m benchmarks.compare --help`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.compare.plan import CONTENDERS, LOOPS, SERVERS, TRANSPORTS, WORKLOADS, Sizes
from benchmarks.compare.plot import draw
from benchmarks.compare.processes import ROOT
from benchmarks.compare.results import Results, read_results
from benchmarks.compare.run import Measurement, Selection, say
from benchmarks.compare.tables import report
from tests.servers import DSN_NAME, KNOWN_NAMES, ServerError, serving
from tests.servers.server import DSN_VARIABLE

PAGE = ROOT / "docs/benchmarks.md"
BEGIN = "<!-- written by benchmarks.compare: begin -->"
END = "<!-- written by benchmarks.compare: end -->"
_QUICK = ("ours-c", "asyncmy", "ours-python", "classic", "floor-socket", "floor-asyncio")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Compare this driver with others on real servers. Each option that names "
        "something can be repeated; without it, all are taken. The figures go to "
        ".bench/results.json, .bench/results.md and a plot.",
    )
    parser.add_argument(
        "--server", action="append", choices=KNOWN_NAMES, help=f"default: {', '.join(SERVERS)}"
    )
    parser.add_argument("--transport", action="append", choices=TRANSPORTS)
    parser.add_argument("--loop", action="append", choices=LOOPS)
    parser.add_argument("--workload", action="append", help="a name or its beginning")
    parser.add_argument("--contender", action="append", help="a name or its beginning")
    parser.add_argument("--rounds", type=int, help="rounds that count (7, with --quick 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workloads (1.0)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="asyncio over TCP, and only the drivers with aiomysql's API (about 3 minutes)",
    )
    parser.add_argument("--no-memory", action="store_true", help="don't measure memory")
    parser.add_argument("--list", action="store_true", help="show the names and end")
    parser.add_argument("--from", dest="source", type=Path, metavar="JSON", help="measure nothing")
    parser.add_argument("--write-docs", action="store_true", help="rewrite docs/benchmarks.md")
    parser.add_argument("--keep", type=Path, default=ROOT / ".bench", metavar="FOLDER")
    return parser


def _chosen(parser: argparse.ArgumentParser, names: Iterable[str], given: list[str]) -> list[str]:
    """The names that begin with one of those given, in their own order."""
    names = list(names)
    for beginning in given:
        if not any(name.startswith(beginning) for name in names):
            parser.error(f"nothing is called {beginning!r}; known: {', '.join(names)}")
    # A whole name doesn't stand for longer ones as well.
    exact = set(given) & set(names)
    rest = tuple(set(given) - exact)
    return [name for name in names if name in exact or (rest and name.startswith(rest))]


def select(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Selection:
    """What the options ask for; ends the program if they make no sense."""
    quick: bool = options.quick
    rounds = options.rounds if options.rounds is not None else (3 if quick else 7)
    if rounds < 1:
        parser.error("--rounds: at least 1")
    if not 0 < options.scale <= 1:
        parser.error("--scale: more than 0, at most 1")
    contenders = list(_QUICK) if quick else list(CONTENDERS)
    if options.contender:
        contenders = _chosen(parser, CONTENDERS, options.contender)
    workloads = _chosen(parser, WORKLOADS, options.workload) if options.workload else WORKLOADS
    dsn = os.environ.get(DSN_VARIABLE)
    return Selection(
        servers=(DSN_NAME,) if dsn else tuple(dict.fromkeys(options.server or SERVERS)),
        transports=options.transport or (TRANSPORTS[:1] if quick else TRANSPORTS),
        loops=options.loop or (LOOPS[:1] if quick else LOOPS),
        workloads=tuple(workloads),
        contenders=[contender for key, contender in CONTENDERS.items() if key in contenders],
        rounds=rounds,
        sizes=Sizes().scaled(options.scale),
        memory=not options.no_memory,
    )


def measure(selection: Selection, keep: Path, command: str) -> Results:
    """Measure everything; what was found until an error or Ctrl-C is in results.json."""
    measurement = Measurement(selection, keep)
    measurement.results.command = command
    try:
        for name in selection.servers:
            with serving(name) as server:
                measurement.on_server(server)
    finally:
        measurement.results.write(keep / "results.json")
    return measurement.results


def write_page(results: Results, page: Path) -> None:
    """Replace the part between the marks, and the files beside the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"{page} lacks the marks for the generated part")
    images = page.parent / "img"
    images.mkdir(exist_ok=True)
    if not draw(results, images):
        raise SystemExit("no plot without matplotlib: use `hatch run bench:compare`")
    results.write(page.with_suffix(".json"))
    page.write_text(f"{before}{BEGIN}\n\n{report(results)}\n\n{END}{after}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = make_parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    if options.list:
        titles = {key: workload.title for key, workload in WORKLOADS.items()}
        titles |= {key: contender.title for key, contender in CONTENDERS.items()}
        for key, title in titles.items():
            print(f"{key:27}{title}")
        return 0
    keep: Path = options.keep.resolve()
    keep.mkdir(parents=True, exist_ok=True)
    if options.source:
        try:
            results = read_results(options.source)
        except (OSError, ValueError) as error:
            parser.error(f"--from: {error}")
    else:
        command = shlex.join(["python", "-m", "benchmarks.compare", *given])
        try:
            results = measure(select(parser, options), keep, command)
        except ServerError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            say(f"interrupted: what was measured so far is in {keep / 'results.json'}")
            return 130
    text = report(results)
    (keep / "results.md").write_text(text + "\n")
    drawn = draw(results, keep)
    print(text)
    if options.write_docs:
        write_page(results, PAGE)
    for path in (keep / "results.json", keep / "results.md", *drawn):
        say(f"written: {path}")
    return 1 if any(series.status == "wrong" for series in results.series) else 0


if __name__ == "__main__":
    sys.exit(main())
