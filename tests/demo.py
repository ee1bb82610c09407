"""Runs the programs that the READMEs show, as printed, on the server of AIOMYSQL_TEST_DSN.

``python -m tests.demo`` prints each program, runs it in an interpreter of its own and shows what it
printed; the exit status is 1 if one of them failed.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from aiomysql.__main__ import describe

ROOT = Path(__file__).parent.parent
READMES = (ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md")))


def programs(markdown: str) -> list[str]:
    """The Python programs in a Markdown text, in order."""
    return re.findall(r"^```python\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def client_environment(dsn: str) -> dict[str, str]:
    """The variable by which the programs find the server of a ``mysql://`` DSN."""
    return {"DATABASE_URL": urlsplit(dsn)._replace(query="").geturl()}


def run(program: str, environment: dict[str, str]) -> bool:
    """Run a program in a fresh interpreter, in an empty folder, and show its output as it comes."""
    with tempfile.TemporaryDirectory(prefix="aiomysql-demo-") as folder:
        path = Path(folder, "program.py")
        path.write_text(program, encoding="utf-8")
        started = time.monotonic()
        status = subprocess.run(
            [sys.executable, str(path)], cwd=folder, env=os.environ | environment, check=False
        ).returncode
    print(f"--- exit status {status} after {time.monotonic() - started:.2f} s", flush=True)
    return status == 0


def main() -> int:
    """Run the command line; return its exit status."""
    print(describe(), flush=True)
    dsn = os.environ.get("AIOMYSQL_TEST_DSN")
    if not dsn:
        print(
            "AIOMYSQL_TEST_DSN is not set; `make demo` starts a server and sets it", file=sys.stderr
        )
        return 2
    environment = client_environment(dsn)
    passed = shown = 0
    for readme in READMES:
        for program in programs(readme.read_text(encoding="utf-8")):
            print(f"\n=== {readme.relative_to(ROOT)}\n\n{program}")
            print("--- it prints:", flush=True)
            shown += 1
            passed += run(program, environment)
    print(f"\n{passed} of {shown} programs did their work")
    return 0 if shown and passed == shown else 1


if __name__ == "__main__":
    sys.exit(main())
