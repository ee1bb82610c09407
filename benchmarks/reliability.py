"""The faults and the storms of `tests/faults`, long, and against asyncmy and classic aiomysql.

    python -m benchmarks.reliability                                   # all drivers, both servers
    python -m benchmarks.reliability --driver ours --cases 10000 --tasks 20000

Each driver has an environment of its own, made at the first run in the folder of `--keep`, and gets
the same seeded cases on the same server. The tables say how many cases ended how; anything but
"right" and "error" is a failure, and so is what stands below them as FAILED or NOISE. The status is
1 when ours fails; the others are only looked at.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.layers import LAYERS, PACKAGES
from tests.servers import serving
from tests.servers.server import DSN_VARIABLE

ROOT = Path(__file__).parent.parent
UV = (sys.executable, "-m", "uv")
DRIVERS = {
    "ours": tuple(str(PACKAGES / layer.folder) for layer in LAYERS),
    # This release doesn't work with the later ones of PyMySQL.
    "classic": ("aiomysql==0.3.2", "PyMySQL==1.1.2"),
    "asyncmy": ("asyncmy==0.2.18", "PyMySQL"),
}


def environment(driver: str, keep: Path) -> Path:
    """The interpreter of an environment with the driver, which is made if it isn't there."""
    folder = keep / f"reliability-{driver}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if driver == "ours" or not python.exists():  # ours may have changed
        commands = (
            (*UV, "venv", "--quiet", "--clear", str(folder)),
            (*UV, "pip", "install", "--quiet", "--python", str(python), "cryptography")
            + DRIVERS[driver],
        )
        for command in commands:
            subprocess.run(command, check=True)
    return python


def run(python: Path, module: str, dsn: str, *options: str) -> int:
    """Run one of the tests' modules on the server of `dsn`; returns its status."""
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    env |= {"PYTHONPATH": str(ROOT), DSN_VARIABLE: dsn, "PYTHONUNBUFFERED": "1"}
    command = [str(python), "-m", f"tests.faults.{module}", *options]
    return subprocess.run(command, env=env, check=False).returncode


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", action="append", help="default: mariadb118 and mysql97")
    parser.add_argument("--driver", action="append", choices=DRIVERS)
    parser.add_argument("--cases", type=int, default=1000, help="of the fault proxy")
    parser.add_argument("--tasks", type=int, default=2000, help="of the storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(".sqlalchemy-suite"), metavar="FOLDER")
    options = parser.parse_args()
    keep: Path = options.keep.resolve()
    keep.mkdir(exist_ok=True)
    failed = False
    for name in options.server or ("mariadb118", "mysql97"):
        for driver in options.driver or DRIVERS:
            python = environment(driver, keep)
            for module, count in (("cases", options.cases), ("storm", options.tasks)):
                # A server of its own: what one driver leaves there is not the next one's.
                with serving(name) as server:
                    print(f"\n## {driver} on {name}: {module}\n", flush=True)
                    status = run(
                        python,
                        module,
                        server.dsn,
                        *("--driver", driver, "--server", name, "--seed", str(options.seed)),
                        *(f"--{'tasks' if module == 'storm' else module}", str(count)),
                    )
                failed = failed or (driver == "ours" and status != 0)
    return failed


if __name__ == "__main__":
    sys.exit(main())
