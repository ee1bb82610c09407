"""A running server as the tests see it, and the data source name that stands for it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import pymysql

from .catalogue import Kind
from .errors import ServerError

DSN_VARIABLE = "AIOMYSQL_TEST_DSN"
_PATH_OPTIONS = (
    "unix_socket",
    "tls_ca",
    "tls_client_cert",
    "tls_client_key",
    "rsa_public_key",
)
# Threads of the server itself, which show up in its process list.
_SERVER_USERS = ("event_scheduler", "system user")


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a server listens, how to log in as an administrator, and what it can do."""

    name: str
    kind: Kind = "mysql"
    version: tuple[int, ...] = ()
    host: str = "127.0.0.1"
    port: int = 3306
    user: str = "root"
    password: str = ""
    database: str = "test"
    unix_socket: str | None = None
    tls_ca: str | None = None
    """PEM file of the authority that signed the server's certificate."""
    tls_client_cert: str | None = None
    tls_client_key: str | None = None
    rsa_public_key: str | None = None
    """PEM file of the key that sha2 passwords are encrypted with."""
    auth_plugins: frozenset[str] = frozenset()
    """Names of the authentication plugins that are active on the server."""
    log: Path | None = None
    """The server's error log; None for a server this run did not start."""

    @property
    def connect_args(self) -> dict[str, Any]:
        """Keyword arguments of `connect()` for a plain TCP connection."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "db": self.database,
        }

    @property
    def dsn(self) -> str:
        """The data source name, to be given to another process in AIOMYSQL_TEST_DSN."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = {key: value for key in _PATH_OPTIONS if (value := getattr(self, key))}
        user, password, database = (
            quote(part, safe="") for part in (self.user, self.password, self.database)
        )
        query = f"?{urlencode(options)}" if options else ""
        return f"mysql://{user}:{password}@{host}:{self.port}/{database}{query}"

    def connect(self, **options: Any) -> pymysql.Connection[Any]:
        """An administrator's connection by PyMySQL (autocommit; by the unix socket if known)."""
        chosen = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "unix_socket": self.unix_socket,
            "autocommit": True,
            "connect_timeout": 10,
            # Never wait long for a lock that a failed test left behind.
            "init_command": "SET lock_wait_timeout = 5",
            **options,
        }
        # What PyMySQL makes ready for TLS takes it 30 ms each time.
        chosen.setdefault("ssl_disabled", chosen["unix_socket"] is not None)
        return pymysql.connect(**chosen)

    def execute(self, sql: str, args: object = None) -> list[tuple[Any, ...]]:
        """Run one statement as administrator, on a connection of its own; returns its rows."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, args)
            return list(cursor.fetchall())

    def create_database(self) -> None:
        """Make `database` if it is not there."""
        with self.connect(database=None) as connection, connection.cursor() as cursor:
            name = self.database.replace("`", "``")
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")

    def sessions(self) -> list[str]:
        """A line for each session that is open now, but the one that asks."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CONNECTION_ID()")
            own = cursor.fetchone()
            cursor.execute("SHOW FULL PROCESSLIST")
            return [
                " ".join(str(item) for item in row[:8])
                for row in cursor.fetchall()
                if row[:1] != own and row[1] not in _SERVER_USERS
            ]

    def settled_sessions(self, timeout: float = 3.0) -> list[str]:
        """`sessions()` once there is none, or after `timeout` seconds.

        A server notices only some time after the client that a session is over.
        """
        end = time.monotonic() + timeout
        while (open_sessions := self.sessions()) and time.monotonic() < end:
            time.sleep(0.02)
        return open_sessions

    def identified(self) -> Server:
        """The same server with `kind`, `version` and `auth_plugins` as it tells them itself."""
        ((text,),) = self.execute("SELECT VERSION()")
        plugins = self.execute(
            "SELECT plugin_name FROM information_schema.plugins"
            " WHERE plugin_type = 'AUTHENTICATION' AND plugin_status = 'ACTIVE'"
        )
        found = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
        if found is None:
            raise ServerError(f"{self.name} has no version number: {text}")
        return replace(
            self,
            kind="mariadb" if "mariadb" in text.lower() else "mysql",
            version=tuple(map(int, found.groups())),
            auth_plugins=frozenset(name for (name,) in plugins),
        )


def parse_dsn(dsn: str) -> Server:
    """A server from `mysql://user:password@host:port/database?unix_socket=/path&tls_ca=...`.

    All parts but the scheme have defaults; user, password and database are percent-decoded.
    Raises ServerError for anything else.
    """
    example = f"{DSN_VARIABLE} should look like mysql://user:password@host:3306/database"
    try:
        parts = urlsplit(dsn)
        port = parts.port
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError as error:
        raise ServerError(f"{example}: {error}") from None
    if parts.scheme not in ("mysql", "mariadb"):
        raise ServerError(f"{example}: its scheme is {parts.scheme!r}")
    if unknown := options.keys() - set(_PATH_OPTIONS):
        known = ", ".join(_PATH_OPTIONS)
        raise ServerError(f"{example}: unknown {', '.join(sorted(unknown))} (known: {known})")
    given: dict[str, Any] = {
        "name": "dsn",
        "host": parts.hostname,
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")),
        **options,
    }
    known_fields = {field.name for field in fields(Server)}
    return Server(**{key: value for key, value in given.items() if value and key in known_fields})


def connect_dsn(dsn: str) -> Server:
    """The running server that `dsn` names; raises ServerError when it cannot be reached."""
    server = parse_dsn(dsn)
    try:
        return server.identified()
    except pymysql.Error as error:
        at = server.unix_socket or f"{server.host}:{server.port}"
        raise ServerError(f"the server of {DSN_VARIABLE} at {at}: {error}") from None
