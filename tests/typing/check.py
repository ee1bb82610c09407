"""What pyright says: of the files in this folder, and whether all public names have full types.

Part of `make types`; mypy, which checks the same files, runs apart.  basedpyright is pyright with a
runtime of its own.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PACKAGES = ["aiomysql_core", "aiomysql", "aiomysql_protocol", "aiomysql_sa", "aiomysql_pool"]

CHECKS = [
    ["--project", str(Path(__file__).with_name("pyrightconfig.json")), "--level", "error"],
    *(["--verifytypes", package, "--ignoreexternal"] for package in PACKAGES),
]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run pyright once."""
    command = [sys.executable, "-m", "basedpyright", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def main() -> int:
    """Run all checks and print what is wrong; returns what to exit with."""
    failed = 0
    with ThreadPoolExecutor(2) as threads:
        for arguments, done in zip(CHECKS, threads.map(run, CHECKS), strict=True):
            if done.returncode != 0:
                failed += 1
                print(f"==> {' '.join(arguments)}", done.stdout, done.stderr, sep="\n")
    if not failed:
        print(f"pyright: no errors, {len(PACKAGES)} packages with full types")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
