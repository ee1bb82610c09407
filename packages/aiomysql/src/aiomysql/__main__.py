"""``python -m aiomysql`` says what is installed and which implementation runs.

``python -m aiomysql doctor DSN`` says what works of a connection, ``python -m aiomysql query DSN
STATEMENT`` prints the rows of a statement.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import ssl
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NoReturn

import aiomysql
import aiomysql_core
import aiomysql_pool
import aiomysql_protocol
import aiomysql_sa
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


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without the arguments themselves, which may be a password."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, "These arguments can't be used (are they quoted?); --help says how.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m aiomysql",
        description="Without a command: what is installed, and which implementation runs.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    doctor = commands.add_parser(
        "doctor",
        help="connect step by step and say what works",
        description="Connect step by step and say what works. Exits with 0 if everything does, "
        "with 1 if a step failed, with 2 for arguments that can't be used.",
        allow_abbrev=False,
    )
    query = commands.add_parser(
        "query",
        help="run a statement and print its rows",
        description="Run a statement and print its rows as they come. Exits with 0, with 1 after "
        "an error, with 2 for arguments that can't be used.",
        allow_abbrev=False,
    )
    for command in (doctor, query):
        command.add_argument(
            "dsn", metavar="DSN", help="mysql://user:password@host:3306/database?option=value"
        )
        command.add_argument(
            "-p",
            "--ask-password",
            action="store_true",
            help="ask for the password, which others may see in the command line",
        )
    query.add_argument("statement", metavar="STATEMENT")
    doctor.add_argument("--json", action="store_true", help="for programs")
    return parser


def main(arguments: list[str]) -> int:
    """Run a command; returns what to exit with."""
    given = _parser().parse_args(arguments)
    if given.command is None:
        sys.stdout.write(f"{describe()}\n")
        return 0
    from aiomysql_core.doctor import commands

    if given.command == "doctor":
        return commands.doctor(given.dsn, as_json=given.json, ask_password=given.ask_password)
    return commands.query(given.dsn, given.statement, ask_password=given.ask_password)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
