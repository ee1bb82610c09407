"""The folder that keeps packages, certificates and initialised data folders between runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import ServerError
from .progress import Ticker


def cache_folder() -> Path:
    """$AIOMYSQL_TEST_CACHE, else `aiomysql-test-servers` in the user's own cache folder."""
    if chosen := os.environ.get("AIOMYSQL_TEST_CACHE"):
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "aiomysql-test-servers"


@contextlib.contextmanager
def _locked(path: Path, ticker: Ticker) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                ticker.tick("waiting for another process that prepares the same")
                time.sleep(0.1)
        yield


def once(key: str, ticker: Ticker, make: Callable[[Path], None]) -> Path:
    """The folder `key` of the cache, filled by `make` if no process has done so before.

    `make` gets a scratch folder, which takes its final name only when it is complete: an
    interrupted attempt is never taken for a result.  Processes that ask at once wait for one.
    Raises ServerError when the folder cannot be written.
    """
    final = cache_folder() / key
    if final.is_dir():
        return final
    scratch = final.with_name(final.name + ".partial")
    try:
        with _locked(final.with_name(final.name + ".lock"), ticker):
            if not final.is_dir():
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir(parents=True)
                make(scratch)
                scratch.rename(final)
    except OSError as error:
        raise ServerError(
            f"{ticker.job}: {error}; AIOMYSQL_TEST_CACHE can name another folder than "
            f"{cache_folder()}"
        ) from error
    return final
