"""This driver under SQLAlchemy's AsyncEngine, against asyncmy and classic aiomysql.

    python -m benchmarks.sqlalchemy_asyncio --server mariadb118

Each driver has an environment of its own with the same SQLAlchemy, made at the first run in the
folder of `--keep`. Each round starts a fresh interpreter per driver, one after the other, so that a
slow moment of the machine hits them alike; a workload runs once unmeasured, then measured. The
server is a throw-away one, or the one of AIOMYSQL_TEST_DSN.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path

from tests.servers import DSN_NAME, KNOWN_NAMES, Server, serving
from tests.servers.server import DSN_VARIABLE
from tests.sqlalchemy_suite.run import DRIVERS, Driver, environment

WORKER = Path(__file__).with_name("sqlalchemy_worker.py")
TABLE = "bench_sqlalchemy"
FILL = f"""
    INSERT INTO {TABLE}
    SELECT n, CONCAT('name ', n), n * 1.01, '2024-02-29 12:00:00' + INTERVAL n MINUTE, n / 7,
        REPEAT('x', n % 60)
    FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 1 AS n FROM %s a, %s b, %s c, %s e) x
    ORDER BY n
"""
DIGITS = f"({' UNION ALL '.join(f'SELECT {digit} AS d' for digit in range(10))})"

Times = dict[str, tuple[float, float]]


def prepare(server: Server) -> None:
    """Make the table with its 10,000 rows."""
    server.execute(f"DROP TABLE IF EXISTS {TABLE}")
    server.execute(
        f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, name VARCHAR(50), amount DECIMAL(12, 2),"
        " at DATETIME, ratio DOUBLE, note VARCHAR(100))"
    )
    server.execute(FILL.replace("%s", DIGITS))


def measure(driver: Driver, python: Path, server: Server) -> Times:
    """Run the workloads in a fresh interpreter."""
    password = f":{server.password}" if server.password else ""
    address = f"{server.user}{password}@{server.host}:{server.port}/{server.database}"
    url = f"mysql+{driver.dialect}://{address}?charset=utf8mb4"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = (str(python), "-P", str(WORKER), url, TABLE)
    output = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    times: Times = json.loads(output)
    return times


def show(times: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    """Print the medians, and how many times ours' they are."""
    for workload, by_driver in times.items():
        print(f"\n{workload}\n{'':10}{'wall ms':>10}{'CPU ms':>10}{'wall':>8}{'CPU':>8}")
        medians = {
            driver: [statistics.median(column) * 1000 for column in zip(*taken, strict=True)]
            for driver, taken in by_driver.items()
        }
        ours = medians["ours"]
        for driver, (wall, cpu) in medians.items():
            print(f"{driver:10}{wall:10.1f}{cpu:10.1f}{wall / ours[0]:8.2f}{cpu / ours[1]:8.2f}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", default="mariadb118", choices=KNOWN_NAMES)
    parser.add_argument("--rounds", type=int, default=15, help="interpreters per driver (15)")
    parser.add_argument("--sqlalchemy", default="2.1.9", metavar="VERSION", help="default: 2.1.9")
    parser.add_argument("--keep", type=Path, default=Path(".sqlalchemy-suite"), metavar="FOLDER")
    options = parser.parse_args()
    keep = options.keep.resolve()
    keep.mkdir(exist_ok=True)
    pythons = {driver: environment(driver, options.sqlalchemy, keep) for driver in DRIVERS}
    times: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with serving(DSN_NAME if os.environ.get(DSN_VARIABLE) else options.server) as server:
        prepare(server)
        for _ in range(options.rounds):
            for driver, python in pythons.items():
                for workload, taken in measure(driver, python, server).items():
                    times[workload][driver.name].append(taken)
        server.execute(f"DROP TABLE {TABLE}")
    show(times)


if __name__ == "__main__":
    main()
