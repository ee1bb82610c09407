"""SQLAlchemy's own test-suite, run on this driver, on classic aiomysql and on asyncmy.

    python -m tests.sqlalchemy_suite.run                       # all drivers, all servers, for hours
    python -m tests.sqlalchemy_suite.run --server mysql97 --driver ours test/dialect/mysql
    python -m tests.sqlalchemy_suite.run --report              # only the tables of what ran before

Each driver gets an environment of its own, with a released SQLAlchemy (`--sqlalchemy 2.1.9`); the
tests come from the source distribution of the same release. Both are fetched once and kept in the
folder of `--keep`. Each run has a throw-away server, or the one of AIOMYSQL_TEST_DSN, where
it makes the databases test_schema and test_schema_2: never point it at a server that matters.

The suite writes JUnit's XML per driver and server into that folder. From there the tables come:
how many tests passed, failed and were skipped, and, of which there must be none, those that pass
with another driver and don't with ours. The exit status is 1 if there is one. What the suite skips
for classic aiomysql by its name is run for all (`suite_requirements.py`).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.layers import LAYERS, PACKAGES
from tests.servers import DSN_NAME, Server, serving
from tests.servers.server import DSN_VARIABLE

UV = (sys.executable, "-m", "uv")
TESTS = ("test/dialect/test_suite.py", "test/dialect/mysql", "test/engine", "test/ext/asyncio")
SCHEMAS = ("test_schema", "test_schema_2")
SERVERS = ("mariadb118", "mysql97")
# A driver, a server's version: in the names of SQLAlchemy's test classes.
VARIANT = re.compile(r"_(mysql|mariadb)\+\w+?(_\d+)+(?=$|\W)")


@dataclass(frozen=True)
class Driver:
    """A driver: what to install, and what SQLAlchemy calls it."""

    name: str
    requirements: tuple[str, ...]
    dialect: str = "aiomysql"


DRIVERS = (
    Driver("ours", tuple(str(PACKAGES / layer.folder) for layer in LAYERS)),
    # This release doesn't work with the later ones of PyMySQL.
    Driver("classic", ("aiomysql==0.3.2", "PyMySQL==1.1.2")),
    Driver("asyncmy", ("asyncmy==0.2.18",), "asyncmy"),
)


def run(*command: str | Path, cwd: Path | None = None) -> int:
    """Run a command in an environment that doesn't point at our sources; returns its status."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "PYTEST_ADDOPTS"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    # With it, the suite tests the installed SQLAlchemy, which is compiled.
    env["PYTHONNOUSERSITE"] = "1"
    env["PYTHONPATH"] = str(Path(__file__).parent)
    return subprocess.run([str(part) for part in command], cwd=cwd, env=env, check=False).returncode


def require(*command: str | Path) -> None:
    """Run a command that has to end well."""
    if run(*command):
        raise SystemExit(f"failed: {' '.join(map(str, command))}")


def fetch(version: str, keep: Path) -> Path:
    """Return the folder of SQLAlchemy's sources, which are fetched if they aren't there."""
    folder = keep / f"sqlalchemy-{version}"
    if not folder.exists():
        pip = keep / "pip"
        require(*UV, "venv", "--quiet", "--clear", "--seed", pip)
        options = ("--quiet", "--no-deps", "--no-binary", ":all:", "--dest", keep)
        require(_python(pip), "-m", "pip", "download", *options, f"SQLAlchemy=={version}")
        (archive,) = [p for p in keep.glob("*.tar.gz") if p.name.lower() == f"{folder.name}.tar.gz"]
        with tarfile.open(archive) as tar:
            tar.extractall(keep / "unpacked", filter="data")
        (unpacked,) = (keep / "unpacked").iterdir()
        shutil.move(unpacked, folder)
    return folder


def _python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def environment(driver: Driver, version: str, keep: Path) -> Path:
    """Return the interpreter of an environment with the driver and SQLAlchemy."""
    python = _python(keep / f"env-{driver.name}-{version}")
    if driver.name == "ours" or not python.exists():  # ours may have changed
        require(*UV, "venv", "--quiet", "--clear", python.parent.parent)
        sqlalchemy = f"SQLAlchemy[asyncio]=={version}"
        needed = (sqlalchemy, "pytest>=8,<10", "cryptography", *driver.requirements)
        require(*UV, "pip", "install", "--quiet", "--python", python, *needed)
    return python


def prepare(server: Server) -> None:
    """Make the databases that the suite expects."""
    with server.connect(database=None) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL collation_server = utf8mb4_unicode_ci")
        for name in (server.database, *SCHEMAS):
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name} COLLATE utf8mb4_unicode_ci")


def test(
    driver: Driver, server: Server, python: Path, sources: Path, xml: Path, tests: Sequence[str]
) -> None:
    """Run the suite; its results are in `xml` afterwards."""
    password = f":{server.password}" if server.password else ""
    uri = (
        f"{server.kind}+{driver.dialect}://{server.user}{password}@{server.host}:{server.port}"
        f"/{server.database}?charset=utf8mb4"
    )
    # Read by the suite after its own setup.cfg.
    (sources / "test.cfg").write_text(
        "[sqla_testing]\nrequirement_cls = suite_requirements:Requirements\n"
    )
    xml.unlink(missing_ok=True)
    results = (f"--junitxml={xml}", f"--dburi={uri}")
    quiet = ("-p", "no:cacheprovider", "--maxfail=100000", "-qq", "--tb=short", "-rfE")
    status = run(python, "-m", "pytest", *results, *quiet, *tests, cwd=sources)
    if status not in (0, 1):
        raise SystemExit(f"the suite did not run: pytest's exit status is {status}")


def read(xml: Path) -> dict[str, str]:
    """Return how each test went: passed, failed or skipped, by names without driver and server."""
    outcomes: dict[str, str] = {}
    for case in ElementTree.parse(xml).iter("testcase"):
        name = VARIANT.sub("", f"{case.get('classname')}::{case.get('name')}")
        outcome = "passed"
        for child in case:
            if child.tag in ("failure", "error"):
                outcome = "failed"
            elif child.tag == "skipped" and outcome == "passed":
                outcome = "skipped"
        # An error of a test's teardown comes as a case of its own.
        if outcomes.get(name) != "failed":
            outcomes[name] = outcome
    return outcomes


def report(results: Mapping[tuple[str, str], Mapping[str, str]]) -> bool:
    """Print the tables, and tell whether ours passes all that another driver passes."""
    servers = dict.fromkeys(server for server, _ in results)
    print("| server | driver | passed | failed | skipped |\n|---|---|---|---|---|")
    for (server, name), outcomes in results.items():
        count = Counter(outcomes.values())
        numbers = (count[outcome] for outcome in ("passed", "failed", "skipped"))
        print(f"| {server} | {name} | {' | '.join(map(str, numbers))} |")
    good = True
    for server in servers:
        ours = results.get((server, "ours"), {})
        for other in DRIVERS[1:]:
            theirs = results.get((server, other.name), {})
            passed = {name for name, outcome in theirs.items() if outcome == "passed"}
            worse = sorted(name for name in passed if ours.get(name) != "passed")
            good = good and not worse
            print(f"\n{server}: {len(worse)} tests pass with {other.name} and not with ours")
            for name in worse:
                print(f"  {ours.get(name, 'did not run')}: {name}")
    return good


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--server", action="append", help="mariadb1011, mariadb118, mysql97")
    parser.add_argument("--driver", action="append", choices=[driver.name for driver in DRIVERS])
    parser.add_argument("--sqlalchemy", default="2.1.9", metavar="VERSION", help="default: 2.1.9")
    parser.add_argument("--keep", type=Path, default=Path(".sqlalchemy-suite"), metavar="FOLDER")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("tests", nargs="*", help=f"default: {' '.join(TESTS)}")
    options = parser.parse_args()
    keep: Path = options.keep.resolve()
    keep.mkdir(exist_ok=True)
    drivers = [d for d in DRIVERS if not options.driver or d.name in options.driver]
    servers = options.server or SERVERS

    def xml(server: str, driver: Driver) -> Path:
        return keep / f"{options.sqlalchemy}-{server}-{driver.name}.xml"

    if not options.report:
        sources = fetch(options.sqlalchemy, keep)
        pythons = {driver: environment(driver, options.sqlalchemy, keep) for driver in drivers}
        for name in servers:
            with serving(DSN_NAME if os.environ.get(DSN_VARIABLE) else name) as server:
                for driver in drivers:
                    prepare(server)
                    tests = options.tests or TESTS
                    test(driver, server, pythons[driver], sources, xml(name, driver), tests)
    found = [(name, driver) for name in servers for driver in DRIVERS if xml(name, driver).exists()]
    return not report({(name, d.name): read(xml(name, d)) for name, d in found})


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Leaves the text above as it is written."""


if __name__ == "__main__":
    sys.exit(main())
