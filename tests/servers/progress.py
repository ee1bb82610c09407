"""Signs of life on the terminal while packages download and servers start."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from .errors import ServerError

PERIOD = 2.0
_TAIL = 3000


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_sink: Callable[[str], None] = _print


@contextlib.contextmanager
def shown_by(sink: Callable[[str], None]) -> Iterator[None]:
    """Within the block the lines go to `sink` instead of stderr, which a test runner captures."""
    global _sink
    before, _sink = _sink, sink
    try:
        yield
    finally:
        _sink = before


class Ticker:
    """One long job, which shows a line at least every `PERIOD` seconds if `tick` is called."""

    def __init__(self, job: str) -> None:
        self.job = job
        self._began = self._last = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Print a line now."""
        self._last = time.monotonic()
        _sink(f"test servers: {self.job}: {text}")

    def tick(self, text: str) -> None:
        """Print `text` with the seconds gone by, if the last line is old enough."""
        if time.monotonic() - self._last >= PERIOD:
            self.say(f"{text} ({self.elapsed:.0f} s)")


def folder_megabytes(folder: Path) -> float:
    """Size of all files below `folder`; files that vanish meanwhile count as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total / 1e6


def run(
    argv: Sequence[str | Path],
    ticker: Ticker,
    doing: Callable[[], str],
    *,
    stdin: IO[str] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it printed; `doing()` describes it meanwhile.

    Raises ServerError with the end of its output when it fails.  It never outlives this call.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            [str(item) for item in argv],
            stdin=stdin or subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
        )
        try:
            while True:
                try:
                    status = process.wait(0.2)
                    break
                except subprocess.TimeoutExpired:
                    ticker.tick(doing())
        except BaseException:
            process.kill()
            process.wait()
            raise
        output.seek(0)
        text = output.read()
    if status:
        raise ServerError(f"{ticker.job}: {argv[0]} failed ({status}):\n{text[-_TAIL:].strip()}")
    return text
