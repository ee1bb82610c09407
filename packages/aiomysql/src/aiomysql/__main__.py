"""``python -m aiomysql`` says what is installed and which implementation runs.

``python -m aiomysql doctor DSN`` says what works of a connection, ``python -m aiomysql query DSN
STATEMENT`` prints the rows of a statement.
"""

from __future__ import annotations

import asyncio
import platform
import ssl
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import aiomysql
import aiomysql_core
import aiomysql_pool
import aiomysql_protocol
import aiomysql_sa
from aiomysql_core.doctor.command_line import run_command
from aiomysql_core.implementation import IMPLEMENTATION, REBUILD, build_failed, reason
from aiomysql_pool import implementation as pool
from aiomysql_protocol.implementation import IMPLEMENTATION as ROWS

_NAMES = {"c": "C", "python": "Python"}


def describe() -> str:
    """What a report of a problem needs to say of the installation, in some lines."""
    layers = (aiomysql, aiomysql_sa, aiomysql_pool, aiomysql_core, aiomysql_protocol)
    ours = ", ".join(f"{layer.__name__.replace('_', '-')} {layer.__version__}" for layer in layers)
    others = ", ".join(f"{name} {_version(name)}" for name in _OTHERS)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    lines = [
        f"{ours}{_installed_as()}",
        f"Requirements:   {others}",
        f"Implementation: {_NAMES[IMPLEMENTATION]} ({reason()})",
        f"Python:         {python} on {system}, {sys.executable}",
        f"TLS:            {ssl.OPENSSL_VERSION}",
        f"Event loops:    {', '.join(_event_loops())}",
    ]
    if build_failed() or pool.build_failed():
        lines.insert(3, f"To build C:     install again with {REBUILD}")
    if pool.IMPLEMENTATION != IMPLEMENTATION:
        lines.insert(3, f"Pool:           {_NAMES[pool.IMPLEMENTATION]} ({pool.reason()})")
    if ROWS != IMPLEMENTATION:
        lines.insert(3, f"Rows, values:   {_NAMES[ROWS]}")
    return "\n".join(lines)


_OTHERS = ("PyMySQL", "SQLAlchemy", "cryptography")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(not installed)"


def _installed_as() -> str:
    """A note of the one distribution that a checkout's root builds, and its commit; else empty."""
    found = _version("aiomysql")
    return f", all in one distribution, {found}" if "+bundle" in found else ""


def _event_loops() -> list[str]:
    """The event loops that there are: those of asyncio, and others that are installed."""
    candidates = ("SelectorEventLoop", "ProactorEventLoop")
    found = [f"asyncio.{name}" for name in candidates if hasattr(asyncio, name)]
    others = ("uvloop", "winloop", "rloop")
    return found + [f"{name} {_version(name)}" for name in others if find_spec(name)]


def main(arguments: list[str]) -> int:
    """Run a command; returns what to exit with."""
    return run_command(arguments, "aiomysql", describe)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
