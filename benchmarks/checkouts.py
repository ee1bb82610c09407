"""What the benchmarks of several checkouts share: programs run by each one's interpreter.

The server is the one of AIOMYSQL_TEST_DSN.  The benchmark's code is always this checkout's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ROOT = Path(__file__).parent.parent
_UVLOOP = "AIOMYSQL_BENCHMARK_UVLOOP"

#: The command that counts instructions, to be followed by that of a program.
COUNTING = ("valgrind", "--tool=callgrind")


def can_count() -> bool:
    """Whether there is what counts instructions."""
    return shutil.which(COUNTING[0]) is not None


def add_arguments(parser: ArgumentParser, *, rounds: int) -> None:
    """The arguments that say whose interpreters, how often and on which event loop."""
    parser.add_argument("others", nargs="*", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--uvloop", action="store_true")


def interpreters(others: Sequence[str], *, uvloop: bool) -> list[str]:
    """The interpreters of the others, then this one; all are to use that event loop."""
    if uvloop:
        os.environ[_UVLOOP] = "1"
    return [*others, sys.executable]


def dsn() -> str:
    """The server's address, without options."""
    return urlsplit(os.environ["AIOMYSQL_TEST_DSN"])._replace(query="").geturl()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop that was chosen; None: asyncio's own."""
    if not os.environ.get(_UVLOOP):
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(coro: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the event loop that was chosen."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(coro)


def start(
    python: str, module: str, *arguments: str, before: Sequence[str] = (), **options: Any
) -> subprocess.Popen[str]:
    """Start a module with an interpreter.  before: of the command; options: of `Popen`."""
    return subprocess.Popen(
        [*before, python, "-m", module, *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def output(python: str, module: str, *arguments: str, before: Sequence[str] = ()) -> str:
    """What a module prints; ends this program with its message if it fails."""
    with start(python, module, *arguments, before=before, stderr=subprocess.PIPE) as process:
        printed, errors = process.communicate()
    if process.returncode:
        raise SystemExit(errors)
    return printed + errors
