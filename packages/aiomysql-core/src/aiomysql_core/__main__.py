"""``python -m aiomysql_core`` has the commands of ``python -m aiomysql``."""

from __future__ import annotations

import sys

import aiomysql_protocol
from aiomysql_core._version import __version__
from aiomysql_core.doctor.command_line import run_command
from aiomysql_core.implementation import IMPLEMENTATION, reason


def describe() -> str:
    """Which versions are installed, and which implementation runs."""
    names = {"c": "C", "python": "Python"}
    versions = f"aiomysql-core {__version__}, aiomysql-protocol {aiomysql_protocol.__version__}"
    return f"{versions}\nImplementation: {names[IMPLEMENTATION]} ({reason()})"


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:], "aiomysql_core", describe))
