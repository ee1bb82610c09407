"""The options of a connection: read, checked and put in the form the protocol wants."""

from __future__ import annotations

import getpass
import ipaddress
import os
from collections.abc import Mapping
from configparser import RawConfigParser
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Self

from pymysql.constants import CLIENT
from pymysql.err import NotSupportedError

from aiomysql_core._version import __version__
from aiomysql_core.tls import default_context
from aiomysql_protocol.capabilities import UNSUPPORTED
from aiomysql_protocol.charsets import Charset, find_charset
from aiomysql_protocol.login import LoginOptions, Tls

DEFAULT_CHARSET = "utf8mb4"

try:
    DEFAULT_USER = getpass.getuser()
except (KeyError, ImportError, OSError):  # a uid without a passwd entry
    DEFAULT_USER = "unknown"

#: Option-file key -> keyword of connect().
_FILE_OPTIONS = {
    "user": "user",
    "password": "password",
    "host": "host",
    "database": "db",
    "socket": "unix_socket",
    "port": "port",
    "default-character-set": "charset",
}


#: The types an option may have.
_TYPES: dict[str, tuple[type, ...]] = {
    "host": (str,),
    "port": (int,),
    "unix_socket": (str, type(None)),
    "user": (str,),
    "password": (str, bytes, bytearray),
    "db": (str, type(None)),
    "charset": (str,),
    "connect_timeout": (int, float, type(None)),
    "client_flag": (int,),
    "auth_plugin": (str,),
    "program_name": (str,),
    "server_public_key": (str, bytes, type(None)),
    "ssl": (SSLContext, bool, type(None)),
}


@dataclass(slots=True)
class Options:
    """Where to connect, as whom, and how; checked by `check`."""

    host: str
    port: int
    unix_socket: str | None
    user: str
    password: str | bytes = field(repr=False)
    db: str | None
    charset: str
    connect_timeout: float | None
    client_flag: int
    auth_plugin: str
    program_name: str
    server_public_key: str | bytes | None
    ssl: SSLContext | bool | None

    @classmethod
    def resolve(cls, from_file: Mapping[str, Any], **given: Any) -> Self:
        """The options given, those of an option file before them, and defaults for the rest."""
        options = {**given, **from_file}
        return cls(
            **options
            | {
                "host": options["host"] or "localhost",
                "unix_socket": options["unix_socket"] or None,
                "user": options["user"] or DEFAULT_USER,
                "password": options["password"] or b"",
                "db": options["db"] or None,
                "charset": options["charset"] or DEFAULT_CHARSET,
            }
        )

    def check(self) -> Charset:
        """Check every value; returns the character set.

        Raises TypeError, ValueError, ProgrammingError or NotSupportedError, which name the option.
        """
        self._check_types()
        if not 0 < self.port < 1 << 16:
            raise ValueError(f"option 'port' must be from 1 to 65535, not {self.port}")
        timeout = self.connect_timeout
        if timeout is not None and not timeout > 0:
            raise ValueError(f"option 'connect_timeout' must be above 0 s, not {timeout}")
        for name in ("user", "db", "unix_socket"):
            if "\0" in (getattr(self, name) or ""):
                raise ValueError(f"option {name!r} must not hold a NUL character")
        if self.client_flag & UNSUPPORTED:
            raise NotSupportedError(
                f"option 'client_flag' asks for {self.client_flag & UNSUPPORTED:#x}, "
                "which this driver does not speak"
            )
        return find_charset(self.charset)

    def _check_types(self) -> None:
        for name, types in _TYPES.items():
            value = getattr(self, name)
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                wanted = ", ".join("None" if t is type(None) else t.__name__ for t in types)
                raise TypeError(
                    f"option {name!r} must be of type {wanted}, not {type(value).__name__}"
                )

    def login(self, charset: Charset) -> LoginOptions:
        """The options as the protocol layer wants them."""
        attributes = {
            "_client_name": "aiomysql",
            "_client_version": __version__,
            "_pid": str(os.getpid()),
        }
        if self.program_name:
            attributes["program_name"] = self.program_name
        return LoginOptions(
            user=self.user.encode(charset.encoding),
            password=_to_bytes(self.password),
            database=self.db.encode(charset.encoding) if self.db else None,
            collation_id=charset.collation_id,
            client_flags=self.client_flag & ~CLIENT.SSL,
            attributes=attributes,
            tls=self._tls_policy(),
            secure=self.unix_socket is not None,
            auth_plugin=self.auth_plugin,
            server_public_key=(
                None if self.server_public_key is None else _to_bytes(self.server_public_key)
            ),
        )

    def ssl_context(self) -> SSLContext:
        """The context for a connection that is to be encrypted."""
        if isinstance(self.ssl, SSLContext):
            return self.ssl
        return default_context(verify=self.ssl is True)

    def _tls_policy(self) -> Tls:
        if self.ssl is not None and self.ssl is not False:
            return Tls.REQUIRED
        if self.ssl is False or self.unix_socket is not None:
            return Tls.DISABLED
        return Tls.IF_NEEDED if _is_loopback(self.host) else Tls.PREFERRED


def read_option_file(path: str, group: str | None) -> Mapping[str, Any]:
    """The keywords of connect() that an option file (my.cnf syntax) sets in `group` ("client").

    A file that can't be read counts as empty.
    """
    parser = RawConfigParser(allow_no_value=True, strict=False)
    parser.read(os.path.expanduser(path))
    group = group or "client"
    found: dict[str, Any] = {}
    for key, keyword in _FILE_OPTIONS.items():
        value = parser.get(group, key, fallback=None)
        if value is not None:
            found[keyword] = value.strip("'\"")
    if "port" in found:
        found["port"] = int(found["port"])
    return found


def _to_bytes(value: str | bytes | bytearray) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
