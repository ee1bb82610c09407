"""How much of the packages' code the tests run: branches of the Python code, lines of the C code.

`make coverage`, or `make coverage ARGS=--quick` for one server and event loop without the tests
marked slow.  What follows `--` goes to pytest.

The packages are copied, their C modules are compiled there for gcov, and the tests run with the
copy, once for each implementation, both at the same time.  Left out is what runs in installations
or builds of its own, and would count for nothing: packaging, consumers, sanitizers.

A test may fail for being watched (one that installs a trace function, one that counts frames): how
many did is said, and the figures are given all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.builds import PACKAGES, ROOT, SHARED, compile_package, copy_packages

FOLDER = ROOT / ".hatch" / "coverage"
IMPLEMENTATIONS = ("c", "python")
ELSEWHERE = (
    *("tests/consumers", "tests/benchmarks", "tests/test_packaging.py", "tests/test_demo.py"),
    *("tests/test_sanitizers.py", "tests/sa_versions"),
)
QUICK = ("--loop", "asyncio", "-m", "not slow and not sa_versions")
QUICK_SERVER = "mariadb118"


@dataclass(slots=True)
class Share:
    """So many of so many."""

    covered: int = 0
    total: int = 0

    def add(self, covered: int, total: int) -> None:
        self.covered += covered
        self.total += total

    def __str__(self) -> str:
        percent = 100 * self.covered / self.total if self.total else 100.0
        return f"{percent:6.2f} % ({self.covered} of {self.total})"


def prepare(compiler: str) -> None:
    """Copy the packages, and compile their C modules for gcov."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    options = ["-O0", "-g", "--coverage"]
    for package in copy_packages(FOLDER / "src"):
        # gcov finds its notes beside the objects.
        compile_package(compiler, package, FOLDER / "objects" / package.name, options, options)


def begin_tests(implementation: str, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Run the tests with one implementation; what they say goes into a file."""
    env = {
        **os.environ,
        "AIOMYSQL_IMPL": implementation,
        "COVERAGE_FILE": str(FOLDER / f".coverage.{implementation}"),
        "PYTHONPATH": str(FOLDER / "src"),
    }
    watched = ["-m", "coverage", "run", "--branch", f"--source={FOLDER / 'src'}"]
    left_out = [f"--ignore={path}" for path in ELSEWHERE]
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *left_out, *options]
    with output_of(implementation).open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *watched, *pytest],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def output_of(implementation: str) -> Path:
    """What the tests with one implementation said."""
    return FOLDER / f"tests-{implementation}.txt"


def closing_line(output: str) -> str:
    """How many tests passed and failed, as pytest said it."""
    said = [line for line in output.splitlines() if re.search(r"\d (passed|failed|error)", line)]
    return said[-1] if said else "no tests ran"


def python_shares() -> Iterator[tuple[str, Share, Share]]:
    """Each package with its branches and its lines of Python."""
    coverage = [sys.executable, "-m", "coverage"]
    env = {**os.environ, "COVERAGE_FILE": str(FOLDER / ".coverage")}
    report = FOLDER / "python.json"
    parts = [str(FOLDER / f".coverage.{name}") for name in IMPLEMENTATIONS]
    for command in (["combine", "-q", "--keep", *parts], ["json", "-q", "-o", str(report)]):
        subprocess.run([*coverage, *command], cwd=ROOT, env=env, check=True)
    branches: defaultdict[str, Share] = defaultdict(Share)
    lines: defaultdict[str, Share] = defaultdict(Share)
    for path, file in json.loads(report.read_text())["files"].items():
        package = (ROOT / path).relative_to(FOLDER / "src").parts[0]
        summary = file["summary"]
        branches[package].add(summary["covered_branches"], summary["num_branches"])
        lines[package].add(summary["covered_lines"], summary["num_statements"])
    for package in PACKAGES:
        yield package, branches[package], lines[package]


def c_lines() -> dict[Path, Counter[int]]:
    """By source file, how often each line of C was run."""
    files: defaultdict[Path, Counter[int]] = defaultdict(Counter)
    for notes in sorted((FOLDER / "objects").rglob("*.gcno")):
        command = ["gcov", "--json-format", "--stdout", str(notes)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        for part in done.stdout.splitlines():
            for file in json.loads(part)["files"]:
                for line in file["lines"]:
                    files[Path(file["file"])][line["line_number"]] += line["count"]
    ours = (FOLDER / "src", SHARED)
    return {path: lines for path, lines in files.items() if any(map(path.is_relative_to, ours))}


def report() -> None:
    """Say how much was covered, of each package and of all of them."""
    print(f"{'Python':20} {'branches':28} lines")
    all_branches, all_lines = Share(), Share()
    for package, branches, lines in python_shares():
        print(f"{package:20} {branches!s:28} {lines}")
        all_branches.add(branches.covered, branches.total)
        all_lines.add(lines.covered, lines.total)
    print(f"{'all':20} {all_branches!s:28} {all_lines}")
    print(f"\n{'C':20} {'lines':28}")
    shares: defaultdict[str, Share] = defaultdict(Share)
    missed = []
    for path, counts in sorted(c_lines().items()):
        in_package = path.is_relative_to(FOLDER / "src")
        package = path.relative_to(FOLDER / "src").parts[0] if in_package else "shared"
        unrun = [number for number, count in sorted(counts.items()) if not count]
        for name in (package, "all"):
            shares[name].add(len(counts) - len(unrun), len(counts))
        missed += [f"{path}:{number}" for number in unrun]
    for name in (*PACKAGES, "shared", "all"):
        if name in shares:
            print(f"{name:20} {shares[name]}")
    (FOLDER / "missed-c.txt").write_text("".join(f"{line}\n" for line in missed))
    print(f"\nThe lines of C that nothing ran: {FOLDER / 'missed-c.txt'}")
    print(f"Python: COVERAGE_FILE={FOLDER / '.coverage'} python -m coverage report -m")


def main() -> int:
    """Run the tests, watched, and say what they covered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one server, nothing slow")
    parser.add_argument("options", nargs="*", help="options for pytest, after --")
    chosen = parser.parse_args()
    compiler = os.environ.get("CC") or "gcc"
    prepare(compiler)
    options = list(chosen.options)
    if chosen.quick:
        os.environ.setdefault("SERVER", QUICK_SERVER)
        options = [*QUICK, *options]
    running = {name: begin_tests(name, options) for name in IMPLEMENTATIONS}
    status = 0
    for name, process in running.items():
        # 1: some tests failed; more than that: there was no run.
        status = max(status, 0 if process.wait() <= 1 else 1)
        print(f"{name}: {closing_line(output_of(name).read_text(errors='replace'))}")
    if not status:
        report()
    return status


if __name__ == "__main__":
    sys.exit(main())
