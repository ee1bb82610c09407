"""How long `import aiomysql_core` takes, against `import pymysql`.

Every import happens in a fresh interpreter, with compiled bytecode in place; the candidates take
turns, so that a slow moment of the machine hits them alike. Times are taken inside the interpreter
around the import: its own start is not counted. CPU time is the steadier of the two.

aiomysql_core imports asyncio, which an asyncio program has anyway, and PyMySQL's exception classes
and constants, for which Python imports the whole of PyMySQL. The candidate "pymysql asyncio" is
therefore what it can reach at best.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

BASELINE = "pymysql"
CANDIDATES = (BASELINE, "asyncio", "pymysql asyncio", "aiomysql_core")
PROGRAM = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {modules}
print(time.process_time() - cpu, time.perf_counter() - wall)
"""


@dataclass(frozen=True)
class Result:
    """Medians over all rounds in milliseconds, and the CPU time as a multiple of the baseline's."""

    imported: str
    cpu_ms: float
    wall_ms: float
    cpu_ratio: float


def measure(candidate: str) -> tuple[float, float]:
    """Import the modules (separated by spaces) once; return the seconds of CPU and wall time."""
    program = PROGRAM.format(modules=", ".join(candidate.split()))
    output = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    ).stdout
    cpu, wall = map(float, output.split())
    return cpu, wall


def compare(rounds: int) -> list[Result]:
    """Measure every candidate in every round, after one round that does not count."""
    times: dict[str, list[tuple[float, float]]] = {candidate: [] for candidate in CANDIDATES}
    for _ in range(rounds + 1):
        for candidate in CANDIDATES:
            times[candidate].append(measure(candidate))
    medians = {
        candidate: tuple(
            statistics.median(column) * 1000 for column in zip(*taken[1:], strict=True)
        )
        for candidate, taken in times.items()
    }
    baseline, _ = medians[BASELINE]
    return [
        Result(candidate, round(cpu, 2), round(wall, 2), round(cpu / baseline, 3))
        for candidate, (cpu, wall) in medians.items()
    ]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="imports per candidate (30)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    results = compare(arguments.rounds)
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    print(f"{'import':20}{'CPU ms':>10}{'wall ms':>10}{'CPU, times ' + BASELINE:>22}")
    for result in results:
        print(
            f"{result.imported:20}{result.cpu_ms:10.1f}{result.wall_ms:10.1f}{result.cpu_ratio:22.2f}"
        )


if __name__ == "__main__":
    main()
