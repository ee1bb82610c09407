"""Initialised data folders: made once for each version, then copied for each server."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from .cache import once
from .errors import ServerError
from .packages import Program
from .progress import Ticker, run

# Part of the cache's key: to be raised when the content of the folders changes.
_FORMAT = 1

# What MariaDB's own install script feeds its server, less the help texts.  The files are called
# mysql_* before MariaDB 11 and mariadb_* since.
_SYSTEM_SQL = (
    "{}_system_tables.sql",
    "{}_performance_tables.sql",
    "{}_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "{}_sys_schema.sql",
)
_ACCOUNTS_SQL = """
DELETE FROM mysql.global_priv WHERE user = '';
UPDATE mysql.global_priv SET priv = json_set(priv, '$.plugin', 'mysql_native_password',
    '$.authentication_string', '') WHERE user = 'root';
"""


def data_template(program: Program, ticker: Ticker) -> Path:
    """A data folder with system tables and root without a password; to be copied, not used."""
    key = hashlib.sha256(f"{_FORMAT} {program.version}".encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        ticker.say("initialising a data folder")
        if program.kind == "mysql":
            _initialise_mysql(program, folder, ticker)
        else:
            _initialise_mariadb(program, folder, ticker)

    return once(f"data/{key}", ticker, make)


def _initialise_mysql(program: Program, folder: Path, ticker: Ticker) -> None:
    options = ["--initialize-insecure", f"--datadir={folder}", "--skip-log-bin"]
    run(
        program.argv("--no-defaults", *program.base_options, *options),
        ticker,
        lambda: "initialising",
        env=program.environment,
    )
    # Every copy gets an identity of its own.
    (folder / "auto.cnf").unlink(missing_ok=True)


def _initialise_mariadb(program: Program, folder: Path, ticker: Ticker) -> None:
    # With no @auth_root_socket root has a password, here none, in place of the unix socket plugin.
    parts = ["CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"]
    for pattern in _SYSTEM_SQL:
        found = [
            path
            for prefix in ("mariadb", "mysql")
            if (path := program.share / pattern.format(prefix)).is_file()
        ]
        if not found:
            raise ServerError(f"{ticker.job}: {pattern.format('mariadb')} not in {program.share}")
        # The accounts for the host's name would need that name to be resolved.
        parts.append(re.sub(r"(?m)^.*@current_hostname.*$", "", found[0].read_text()))
    parts.append(_ACCOUNTS_SQL)
    options = [
        "--bootstrap",
        f"--datadir={folder}",
        "--skip-log-bin",
        "--enforce-storage-engine=",
        "--max-allowed-packet=8M",
        "--net-buffer-length=16K",
    ]
    with tempfile.TemporaryFile("w+") as sql:
        sql.write("\n".join(parts))
        sql.seek(0)
        run(
            program.argv("--no-defaults", *program.base_options, *options),
            ticker,
            lambda: "initialising",
            stdin=sql,
            env=program.environment,
        )
