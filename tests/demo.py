"""Runs the programs of the README's quickstart as printed, on the server of AIOMYSQL_TEST_DSN.

``python -m tests.demo`` prints each program, runs it in an interpreter of its own and shows what it
printed; the exit status is 1 if one of them failed. ``python -m tests.demo --versions`` only says
what is installed.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

README = Path(__file__).parent.parent / "README.md"
LAYERS = ("aiomysql", "aiomysql-sa", "aiomysql-pool", "aiomysql-core", "aiomysql-protocol")


def quickstart(readme: str) -> list[str]:
    """Return the Python programs in the section "Quickstart" of a Markdown text, in order."""
    section = re.search(r"^## Quickstart\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    if section is None:
        return []
    return re.findall(r"^```python\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)


def client_environment(dsn: str) -> dict[str, str]:
    """Return the variables by which the quickstart finds the server of a ``mysql://`` DSN.

    The quickstart names the host, the user and the database itself, so only a server that is
    reached as root at 127.0.0.1 will do; for any other, ValueError is raised.
    """
    parts = urlsplit(dsn)
    if (parts.hostname, parts.username, parts.path) != ("127.0.0.1", "root", "/test"):
        raise ValueError("the quickstart needs host 127.0.0.1, user root, database test")
    return {
        "MYSQL_TCP_PORT": str(parts.port or 3306),
        "MYSQL_PWD": unquote(parts.password or ""),
    }


def versions() -> str:
    """Describe what is installed, and which row decoder runs."""
    from aiomysql_protocol.implementation import IMPLEMENTATION

    names = (*LAYERS, "PyMySQL", "SQLAlchemy")
    lines = [
        f"Python {sys.version.split()[0]}, "
        + ", ".join(f"{name} {version(name)}" for name in names),
        f"Row decoder: {IMPLEMENTATION}",
    ]
    if IMPLEMENTATION == "python" and not os.environ.get("AIOMYSQL_IMPL"):
        lines.append(
            "The C decoder was not built. It needs a C compiler and Python's headers (Debian, "
            "Ubuntu: apt install gcc python3-dev; then make hatch ARGS='run rebuild') and is "
            "optional: the Python one does the same, more slowly."
        )
    return "\n".join(lines)


def run(program: str, environment: dict[str, str]) -> bool:
    """Run a program in a fresh interpreter, in an empty folder, and show its output as it comes."""
    with tempfile.TemporaryDirectory(prefix="aiomysql-demo-") as folder:
        path = Path(folder, "quickstart.py")
        path.write_text(program, encoding="utf-8")
        started = time.monotonic()
        status = subprocess.run(
            [sys.executable, str(path)], cwd=folder, env=os.environ | environment, check=False
        ).returncode
    print(f"--- exit status {status} after {time.monotonic() - started:.2f} s", flush=True)
    return status == 0


def main() -> int:
    """Run the command line; return its exit status."""
    print(versions(), flush=True)
    if sys.argv[1:] == ["--versions"]:
        return 0
    dsn = os.environ.get("AIOMYSQL_TEST_DSN")
    if not dsn:
        print(
            "AIOMYSQL_TEST_DSN is not set; `make demo` starts a server and sets it", file=sys.stderr
        )
        return 2
    environment = client_environment(dsn)
    programs = quickstart(README.read_text(encoding="utf-8"))
    passed = 0
    for number, program in enumerate(programs, 1):
        print(f"\n=== README.md, quickstart {number} of {len(programs)}\n\n{program}")
        print("--- it prints:", flush=True)
        passed += run(program, environment)
    print(f"\n{passed} of {len(programs)} quickstart programs did their work")
    return 0 if programs and passed == len(programs) else 1


if __name__ == "__main__":
    sys.exit(main())
