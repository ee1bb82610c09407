"""The types of options, for annotations in programs; nothing imports this at run time."""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Mapping, Sequence
from ssl import SSLContext
from typing import Any, Literal, TypedDict

from aiomysql_core.options.options import Password
from aiomysql_protocol.login.auth import AuthMethod, Dialog

__all__ = ["ConnectOptions", "KeywordOptions"]


class KeywordOptions(TypedDict, total=False):
    """The options of `connect` that can only be named, but for `row_factory`."""

    database: str | None
    passwd: Password | None
    collation: str | None
    read_timeout: float | None
    write_timeout: float | None
    sock: socket.socket | None
    conn_attrs: Mapping[str, str] | None
    allow_cleartext: bool
    allow_old_password: bool
    auth_methods: Mapping[str, type[AuthMethod]] | None
    dialog: Dialog | None
    factor_passwords: Sequence[str | bytes]
    get_warnings: bool
    warn_uncommitted: bool
    compression: (
        Literal["zlib", "zstd", "uncompressed"]
        | Sequence[Literal["zlib", "zstd", "uncompressed"]]
        | None
    )
    compression_level: int | None
    time_zone: str | datetime.tzinfo | None
    multi_statements: bool | None
    bulk_statements: bool | None
    stmt_cache_size: int
    skip_idle_commits: bool
    max_allowed_packet: int
    tcp_keepalive: int | Sequence[int] | None
    tcp_user_timeout: float | None
    on_cancel: Literal["close", "kill"]
    kill_timeout: float
    ssl_mode: Literal["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] | None
    ssl_ca: str | os.PathLike[str] | None
    ssl_capath: str | os.PathLike[str] | None
    ssl_cert: str | os.PathLike[str] | None
    ssl_key: str | os.PathLike[str] | None
    ssl_key_password: str | bytes | None
    ssl_cipher: str | None
    ssl_verify_cert: bool | None
    ssl_verify_identity: bool | None
    ssl_disabled: bool
    ssl_negotiation: Literal["mysql", "direct"]
    ssl_session_reuse: bool
    tls_version: str | None


class ConnectOptions(KeywordOptions, total=False):
    """The options of `connect` but those that say of what type rows are (`cursorclass` and
    `row_factory`) and those that a pool has as well (`echo` and `loop`).
    """

    host: str | None
    user: str | None
    password: Password
    db: str | None
    port: int | None
    unix_socket: str | os.PathLike[str] | None
    charset: str
    sql_mode: str | int | None
    read_default_file: str | os.PathLike[str] | None
    conv: Mapping[Any, Any] | None
    use_unicode: bool | None
    client_flag: int
    init_command: str | bytes | None
    connect_timeout: float | None
    read_default_group: str | None
    autocommit: bool | None
    local_infile: bool
    ssl: SSLContext | bool | Mapping[str, Any] | None
    auth_plugin: str | None
    program_name: str | None
    server_public_key: str | bytes | None
