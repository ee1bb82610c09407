"""Test servers from a shell; see `python -m tests.servers --help`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from . import DSN_NAME, KNOWN_NAMES, NAMES, ServerError, serving
from .catalogue import CATALOGUE
from .server import DSN_VARIABLE

_GRACE = 10.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers",
        description="Throw-away MariaDB and MySQL servers for tests; nothing is installed.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="start a server, run a command with its address in AIOMYSQL_TEST_DSN, purge it",
        description="Start the server NAME, run the command, stop and purge the server; the exit "
        "status is the command's. With AIOMYSQL_TEST_DSN set, that server is used, whatever NAME.",
    )
    run.add_argument("name", metavar="NAME", choices=KNOWN_NAMES, help=", ".join(KNOWN_NAMES))
    run.add_argument("argv", metavar="-- COMMAND", nargs="+", help="the command and its arguments")
    fetch = commands.add_parser("fetch", help="fetch servers into the cache, without starting them")
    fetch.add_argument("names", metavar="NAME", nargs="+", choices=KNOWN_NAMES)
    commands.add_parser("list", help="the servers, and which are fetched")
    return parser


def _run(name: str, argv: Sequence[str]) -> int:
    with serving(DSN_NAME if os.environ.get(DSN_VARIABLE) else name) as server:
        process = subprocess.Popen(argv, env={**os.environ, DSN_VARIABLE: server.dsn})
        try:
            status = process.wait()
        except KeyboardInterrupt:
            # From a terminal it reaches the command as well, which may have to clean up.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            raise
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return status if status >= 0 else 128 - status


def _list() -> None:
    from .packages import is_fetched

    for name in NAMES:
        entry = CATALOGUE[name]
        state = "fetched" if is_fetched(name) else "not fetched"
        series = ".".join(map(str, entry.series))
        print(f"{name:12} {entry.kind} {series} from Debian {entry.suite}: {state}")


def _terminate(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.command == "run" and shutil.which(parsed.argv[0]) is None:
        parser.error(f"there is no command {parsed.argv[0]}")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if parsed.command == "run":
            return _run(parsed.name, parsed.argv)
        if parsed.command == "fetch":
            from .packages import find_program

            for name in parsed.names:
                print(f"{name}: {find_program(name).version}")
        else:
            _list()
    except ServerError as error:
        print(f"test servers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
