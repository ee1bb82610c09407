"""The servers that the suite runs on, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["mariadb", "mysql"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A server of a given series: how to recognise it and which Debian packages hold it."""

    name: str
    kind: Kind
    series: tuple[int, ...]
    """The leading parts of the version; the rest may move."""
    suite: str
    roots: tuple[str, ...]
    """Packages fetched with all they depend on."""
    plain: tuple[str, ...] = ()
    """Packages fetched alone: of these only the plugins are wanted."""
    pretend: tuple[str, ...] = ("perl",)
    """Dependencies of maintainer scripts, which are never run here."""


# The second one has authentication plugins for tests: prompts, and passwords in clear.
_MARIADB_PLUGINS = ("mariadb-server", "mariadb-test")
_MARIADB_PRETEND = ("perl", "adduser", "debconf", "mariadb-common", "galera-4")

CATALOGUE = {
    entry.name: entry
    for entry in (
        Entry(
            name="mariadb1011",
            kind="mariadb",
            series=(10, 11),
            suite="bookworm",
            roots=("mariadb-server-core",),
            plain=_MARIADB_PLUGINS,
            pretend=_MARIADB_PRETEND,
        ),
        Entry(
            name="mariadb118",
            kind="mariadb",
            series=(11, 8),
            suite="trixie",
            roots=("mariadb-server-core",),
            plain=_MARIADB_PLUGINS,
            pretend=_MARIADB_PRETEND,
        ),
        # Debian's unstable suite moves on: any 9.x will do.
        Entry(
            name="mysql97",
            kind="mysql",
            series=(9,),
            suite="sid",
            roots=("mysql-server-core",),
        ),
    )
}

# Not in the suite's list: it takes several of them to make a server.
CLUSTER = Entry(
    name="galera",
    kind="mariadb",
    series=(11, 8),
    suite="trixie",
    roots=("mariadb-server-core", "galera-4"),
    pretend=(*_MARIADB_PRETEND[:-1], "mariadb-server", "rsync", "lsof", "iproute2", "psmisc"),
)

ANY_MARIADB = "mariadb"
"""Whatever MariaDB the host has, else the one fetched for `FALLBACK`."""

FALLBACK = "mariadb1011"
