"""Real servers for the tests: throw-away ones of their own, or one that is already running.

    with serving("mariadb1011") as server:
        connection = pymysql.connect(**server.connect_args)

From a shell: `python -m tests.servers --help`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator

from .catalogue import ANY_MARIADB, CATALOGUE
from .errors import ADVICE, ServerError
from .server import DSN_VARIABLE, Server, connect_dsn

__all__ = ["DSN_NAME", "KNOWN_NAMES", "NAMES", "Server", "ServerError", "selected_names", "serving"]

NAMES = tuple(CATALOGUE)
"""The servers that the suite runs on."""

KNOWN_NAMES = (*NAMES, ANY_MARIADB)
DSN_NAME = "dsn"
"""Stands for the running server that AIOMYSQL_TEST_DSN points at."""


def selected_names(choice: str) -> tuple[str, ...]:
    """The servers to use for `choice`, a comma-separated list; all of `NAMES` when it is empty.

    When AIOMYSQL_TEST_DSN is set, that server is the only one.  Raises ServerError for a name
    that does not exist.
    """
    if os.environ.get(DSN_VARIABLE):
        return (DSN_NAME,)
    chosen = tuple(dict.fromkeys(name.strip() for name in choice.split(",") if name.strip()))
    for name in chosen:
        if name not in KNOWN_NAMES:
            raise ServerError(f"no server is called {name!r}; known: {', '.join(KNOWN_NAMES)}")
    return chosen or NAMES


@contextlib.contextmanager
def serving(name: str, **options: str) -> Iterator[Server]:
    """A server called `name`: started here and purged afterwards, or the one of the DSN.

    `options` are further settings of a server started here, for example performance_schema="ON".
    Raises ServerError when it cannot be had.
    """
    if name == DSN_NAME:
        yield connect_dsn(os.environ[DSN_VARIABLE])
        return
    # A running server can be used from anywhere, those of our own need Unix.
    if importlib.util.find_spec("fcntl") is None:
        raise ServerError(f"{name} cannot be started on {sys.platform}. {ADVICE}")
    from .instance import running

    with running(name, **options) as server:
        yield server
