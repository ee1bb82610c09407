"""The arguments of the commands, for ``python -m aiomysql`` and ``python -m aiomysql_core``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["run_command"]


def run_command(arguments: list[str], program: str, describe: Callable[[], str]) -> int:
    """Run a command; returns what to exit with.

    describe: what is printed without a command.
    """
    given = _parser(program).parse_args(arguments)
    if given.command is None:
        sys.stdout.write(f"{describe()}\n")
        return 0
    from aiomysql_core.doctor import commands

    if given.command == "doctor":
        return commands.doctor(given.dsn, as_json=given.json, ask_password=given.ask_password)
    return commands.query(given.dsn, given.statement, ask_password=given.ask_password)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without the arguments themselves, which may be a password."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, "These arguments can't be used (are they quoted?); --help says how.\n")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"python -m {program}",
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
