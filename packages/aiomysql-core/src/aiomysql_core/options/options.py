"""The options of a connection: read, checked and put in the form the protocol wants."""

from __future__ import annotations

import getpass
import inspect
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pymysql.constants import CLIENT
from pymysql.err import NotSupportedError

from aiomysql_core._accelerator import accelerator
from aiomysql_core._version import __version__
from aiomysql_core.options.keywords import OF_OPTIONS, OF_SESSION, TLS_KEYWORDS, check_value
from aiomysql_core.options.tcp import TcpOptions
from aiomysql_core.options.time_zone import find_zone
from aiomysql_core.options.tls import TlsOptions
from aiomysql_core.waiting.timeouts import check_timeout
from aiomysql_protocol.login.auth import AuthMethod, Dialog
from aiomysql_protocol.login.login import LoginOptions
from aiomysql_protocol.values.session_zone import SessionZone
from aiomysql_protocol.wire.capabilities import MAX_PAYLOAD, STMT_BULK_OPERATIONS, UNSUPPORTED
from aiomysql_protocol.wire.charsets import Charset, find_charset
from aiomysql_protocol.wire.compression import ALGORITHMS, UNCOMPRESSED, algorithm

__all__ = [
    "OPTION_NAMES",
    "Options",
    "Password",
    "address_family",
    "address_text",
    "find_options",
    "find_session_options",
]

DEFAULT_CHARSET = "utf8mb4"

try:
    DEFAULT_USER = getpass.getuser()
except (KeyError, ImportError, OSError):  # a uid without a passwd entry
    DEFAULT_USER = "unknown"

#: A password, or what gives one each time a connection is opened (for tokens that expire).
Password = str | bytes | Callable[[], str | bytes | Awaitable[str | bytes]]

#: Bytes of the least `max_allowed_packet`: shorter packets are read where they were received.
_LEAST_PACKET = 1 << 18

_NONE = type(None)


#: The names of the keywords that make up Options, in the order in which `find_options` takes the
#: values.
OPTION_NAMES = tuple(OF_OPTIONS)


def address_text(host: str, port: int, unix_socket: str | None = None) -> str:
    """A server's address as it is written: host:port, [IPv6 address]:port, or the socket's path."""
    if unix_socket:
        return unix_socket
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _peer_text(sock: socket.socket) -> str:
    """The address that a socket is connected to, for messages."""
    try:
        peer = sock.getpeername()
    except OSError:  # it is not connected
        peer = ""
    if sock.family in (socket.AF_INET, socket.AF_INET6) and peer:
        return address_text(peer[0], peer[1])
    return "the socket of option 'sock'"


@dataclass
class Options:
    """Where to connect, as whom, and how; checked by `resolve` or `find`."""

    host: str
    port: int
    unix_socket: str | None
    sock: socket.socket | None
    user: str
    password: Password = field(repr=False)
    db: str | None
    charset: str
    collation: str | None
    connect_timeout: float | None
    read_timeout: float | None
    write_timeout: float | None
    client_flag: int
    stmt_cache_size: int
    max_allowed_packet: int
    on_cancel: str
    kill_timeout: float
    compression: tuple[str, ...]
    compression_level: int | None
    local_infile: bool
    multi_statements: bool
    bulk_statements: bool
    auth_plugin: str
    program_name: str
    conn_attrs: Mapping[str, str] | None
    server_public_key: str | bytes | None
    allow_cleartext: bool
    allow_old_password: bool
    auth_methods: Mapping[str, type[AuthMethod]] | None
    dialog: Dialog | None
    factor_passwords: Sequence[str | bytes] = field(repr=False)
    tls: TlsOptions
    tcp: TcpOptions
    #: The address that `sock` was connected to when it was given: later it may be closed.
    _peer: str = field(default="", init=False, repr=False, compare=False)
    #: The results of `login` so far; shared by all copies.
    _logins: dict[tuple[Any, ...], LoginOptions] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def with_given(self, password: Password, context: ssl.SSLContext | None) -> Self:
        """The same with a caller's password and, unless it is None, TLS context.

        Raises what `resolve` raises for the password.
        """
        _check_password(password)
        same = object.__new__(type(self))
        same.__dict__ = self.__dict__.copy()
        same.password = password
        if context is not None:
            same.tls = self.tls.with_context(context)
        return same

    def with_user(
        self, user: str, password: Password, db: str | None, factor_passwords: Sequence[str | bytes]
    ) -> Self:
        """The same for another user.  Raises what `resolve` raises."""
        given: dict[str, Any] = {
            "user": user,
            "password": password,
            "db": db,
            "factor_passwords": factor_passwords,
        }
        given = {name: check_value(name, given[name], OF_OPTIONS[name]) for name in given}
        same = replace(
            self,
            user=given["user"] or DEFAULT_USER,
            password=_or_none_given(given["password"]),
            db=given["db"] or None,
            factor_passwords=given["factor_passwords"],
        )
        same._check()
        return same

    def change_user(self, other: Self) -> None:
        """From now on have the user of `other`, which `with_user` has made."""
        self.user, self.password, self.db = other.user, other.password, other.db
        self.factor_passwords, self._logins = other.factor_passwords, other._logins

    @classmethod
    def resolve(cls, **given: Any) -> Self:
        """From the keywords of connect().

        Raises TypeError, ValueError or NotSupportedError, which name the option.
        """
        given = {name: check_value(name, given[name], OF_OPTIONS[name]) for name in given}
        about_tls = {name: given.pop(name) for name in TLS_KEYWORDS}
        options = cls(
            tls=TlsOptions.from_keywords(about_tls),
            tcp=TcpOptions.resolve(given.pop("tcp_keepalive"), given.pop("tcp_user_timeout")),
            host=given.pop("host") or "localhost",
            unix_socket=given.pop("unix_socket") or None,
            user=given.pop("user") or DEFAULT_USER,
            password=_or_none_given(given.pop("password")),
            db=given.pop("db") or None,
            server_public_key=given.pop("server_public_key") or None,
            charset=given.pop("charset") or DEFAULT_CHARSET,
            compression=_compression(given.pop("compression")),
            **given,
        )
        options._check()
        return options

    def _check(self) -> None:
        _check_password(self.password)
        if not 0 < self.port < 1 << 16:
            raise ValueError(f"option 'port' must be from 1 to 65535, not {self.port}")
        for name in ("connect_timeout", "read_timeout", "write_timeout", "kill_timeout"):
            seconds = getattr(self, name)
            if seconds is not None:
                check_timeout(f"option {name!r}", seconds)
        if not 0 <= self.client_flag < 1 << 32:
            raise ValueError(
                f"option 'client_flag' must have flags of 32 bits, not {self.client_flag:#x}"
            )
        if self.stmt_cache_size < 0:
            raise ValueError(
                f"option 'stmt_cache_size' must be 0 or more, not {self.stmt_cache_size}"
            )
        if self.on_cancel not in ("close", "kill"):
            raise ValueError(
                f"option 'on_cancel' must be 'close' or 'kill', not {self.on_cancel!r}"
            )
        if isinstance(self.sock, ssl.SSLSocket):
            if self.tls.direct:
                raise ValueError(
                    "option 'ssl_negotiation' can't be 'direct' with an ssl.SSLSocket as 'sock', "
                    "which is encrypted already: leave it out"
                )
            if self.sock.server_side:
                raise ValueError("option 'sock' must be the client's side of TLS")
            self.tls.check_verified_by(self.sock.context)
        if self.on_cancel == "kill" and self.sock is not None:
            raise ValueError("option 'on_cancel' can't be 'kill' with 'sock': it needs an address")
        if not _LEAST_PACKET <= self.max_allowed_packet <= MAX_PAYLOAD:
            raise ValueError(
                f"option 'max_allowed_packet' must be from {_LEAST_PACKET} to {MAX_PAYLOAD} bytes, "
                f"not {self.max_allowed_packet}"
            )
        _check_host(self.host)
        if self.collation is not None and not _COLLATION.fullmatch(self.collation):
            raise ValueError(f"option 'collation' can't be {self.collation!r}")
        for name in ("user", "db", "unix_socket"):
            if "\0" in (getattr(self, name) or ""):
                raise ValueError(f"option {name!r} must not hold a NUL character")
        if self.sock is not None and not self.sock.type & socket.SOCK_STREAM:
            raise ValueError("option 'sock' must be a stream socket")
        if self.sock is not None:
            self._peer = _peer_text(self.sock)
        if not all(isinstance(secret, (str, bytes, bytearray)) for secret in self.factor_passwords):
            raise TypeError("option 'factor_passwords' must be a list of str or bytes")
        methods: Mapping[Any, Any] = self.auth_methods or {}
        for name, method in methods.items():
            if not isinstance(name, str) or not callable(method):
                raise TypeError("option 'auth_methods' must map str to classes of methods")
        for secret in self.factor_passwords:
            if isinstance(secret, str):
                _check_encodable("factor_passwords", secret, "utf-8")
        attributes = [text for pair in (self.conn_attrs or {}).items() for text in pair]
        if not all(isinstance(text, str) for text in attributes):
            raise TypeError("option 'conn_attrs' must map str to str")
        charset = self.find_charset()
        try:
            os.fsencode(self.unix_socket or "")
        except UnicodeError:
            raise ValueError("option 'unix_socket' is no path that can be written") from None
        for name, text, encoding in (
            ("user", self.user, charset.encoding),
            ("db", self.db, charset.encoding),
            ("program_name", self.program_name, "utf-8"),
            ("conn_attrs", "".join(attributes), "utf-8"),
            ("server_public_key", self.server_public_key, "utf-8"),
            ("host", self.host, "utf-8" if self.unix_socket else "idna"),
        ):
            if isinstance(text, str):
                _check_encodable(name, text, encoding)
        if self.client_flag & UNSUPPORTED:
            raise NotSupportedError(
                f"option 'client_flag' asks for {self.client_flag & UNSUPPORTED:#x}, "
                "which this driver does not speak"
            )
        if self.compression_level is not None:
            if not self.compression:
                raise ValueError("option 'compression_level' needs option 'compression'")
            most = 22 if "zstd" in self.compression else 9
            if not 1 <= self.compression_level <= most:
                raise ValueError(
                    f"option 'compression_level' must be from 1 to {most} with option "
                    f"'compression' as it is, not {self.compression_level}"
                )
        if self.client_flag & CLIENT.MULTI_STATEMENTS and not self.multi_statements:
            raise ValueError(
                "option 'client_flag' asks for MULTI_STATEMENTS, which option 'multi_statements' "
                "forbids: leave out one of them"
            )

    def find_charset(self) -> Charset:
        """The character set.  Raises ProgrammingError for an unknown one."""
        return find_charset(self.charset)

    @property
    def where(self) -> str:
        """The server's address, for messages."""
        if self.sock is not None:
            return self._peer
        return address_text(self.host, self.port, self.unix_socket)

    @property
    def secure(self) -> bool:
        """Whether nobody else can listen to the channel as it is (a unix socket)."""
        if self.sock is not None:
            return self.sock.family not in (socket.AF_INET, socket.AF_INET6)
        return self.unix_socket is not None

    @property
    def encrypted(self) -> bool:
        """Whether there is TLS before the server's greeting."""
        return self.tls.direct or isinstance(self.sock, ssl.SSLSocket)

    async def ask_password(self) -> bytes:
        """The password's bytes; a function is called, and awaited if need be.

        Raises what the function raises, TypeError when it gives something else.
        """
        password: Any = self.password
        if callable(password):
            password = password()
            if inspect.isawaitable(password):
                password = await password
            if not isinstance(password, (str, bytes, bytearray)):
                raise TypeError(
                    f"option 'password': the function gave {type(password).__name__}, "
                    "not str or bytes"
                )
        return _to_bytes(password)

    def login(self, charset: Charset, password: bytes) -> LoginOptions:
        """The options for the protocol layer's log-in."""
        key = charset, self.db, os.getpid()
        found = self._logins.get(key)
        if found is None:
            found = self._login(charset)
            if self.sock is None:
                self._logins.clear()
                self._logins[key] = found
        return found.with_password(password) if password else found

    def _login(self, charset: Charset) -> LoginOptions:
        """What `login` gives, without the password."""
        attributes = {
            "_client_name": "aiomysql",
            "_client_version": __version__,
            "_pid": str(os.getpid()),
        }
        if self.program_name:
            attributes["program_name"] = self.program_name
        attributes.update(self.conn_attrs or {})
        flags = self.client_flag & ~(CLIENT.SSL | CLIENT.LOCAL_FILES)
        if self.local_infile:
            flags |= CLIENT.LOCAL_FILES
        unwanted = 0 if self.multi_statements else CLIENT.MULTI_STATEMENTS
        if not self.bulk_statements:
            unwanted |= STMT_BULK_OPERATIONS
        host = self.sock.getpeername()[0] if self.sock and not self.secure else self.host
        local = self.secure or _is_loopback(host)
        return LoginOptions(
            user=self.user.encode(charset.encoding),
            password=b"",
            database=self.db.encode(charset.encoding) if self.db else None,
            collation_id=charset.collation_id,
            client_flags=flags,
            unwanted_flags=unwanted,
            compression=self.compression,
            compression_level=self.compression_level,
            attributes=attributes,
            tls=self.tls.policy(local=local),
            secure=self.secure,
            encrypted=self.encrypted,
            auth_plugin=self.auth_plugin,
            server_public_key=(
                None if self.server_public_key is None else _to_bytes(self.server_public_key)
            ),
            allow_cleartext=self.allow_cleartext,
            allow_old_password=self.allow_old_password,
            auth_methods=self.auth_methods or {},
            dialog=self.dialog,
            factor_passwords=tuple(map(_to_bytes, self.factor_passwords)),
            max_payload=self.max_allowed_packet,
        )


def _compression(given: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """The names in option `compression`; none where nothing is to be compressed."""
    names = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if name in ALGORITHMS:
            try:
                algorithm(name)
            except ImportError:
                raise NotSupportedError(
                    f"option 'compression': {name!r} needs Python 3.14 or the package "
                    "backports.zstd (pip install backports.zstd, or the extra 'zstd')"
                ) from None
        elif name != UNCOMPRESSED:
            known = ", ".join(map(repr, (*ALGORITHMS, UNCOMPRESSED)))
            raise ValueError(f"option 'compression' must be one or several of {known}")
    return () if set(names) == {UNCOMPRESSED} else names


_COLLATION = re.compile(r"\w+", re.ASCII)

_NEVER_IN_HOST = re.compile(r"[@/\\\s\0]")


class _GivenContext:
    """Stands for a caller's TLS context, which nothing else here depends on."""


_GIVEN_CONTEXT = _GivenContext()

_SSL = OPTION_NAMES.index("ssl")

#: Types whose values can't change, and which mean the same if they are equal.
_SIMPLE = frozenset({str, bytes, int, float, bool, _NONE, _GivenContext})

#: How many sets of options are remembered.
_MOST_KNOWN = 64

_known: dict[tuple[tuple[Any, ...], tuple[type, ...]], Options] = {}

#: The last of them: mostly the same objects are given again.
_last: list[tuple[tuple[Any, ...], Options]] = []


def same_items(a: tuple[Any, ...], b: tuple[Any, ...], /) -> bool:
    """Whether two tuples hold the very same objects."""
    return len(a) == len(b) and all(map(is_, a, b))


def find_options(given: tuple[Any, ...]) -> Options:
    """From values in the order of OPTION_NAMES.  Raises what `Options.resolve` raises.

    To check them takes longer than to log in, so what was checked is remembered, as long as all
    values are of simple types: without the passwords, and without a TLS context, which would live
    on with all that it has loaded.
    """
    shown, password, factor_passwords = given[:-2], given[-2], given[-1]
    context = given[_SSL]
    if isinstance(context, ssl.SSLContext):
        shown = (*given[:_SSL], _GIVEN_CONTEXT, *given[_SSL + 1 : -2])
    else:
        context = None
    if _last and factor_passwords == ():
        last, options = _last[0]
        if same_items(shown, last):
            return options.with_given(_or_none_given(password), context)
    types = tuple(map(type, shown))  # because True == 1 == 1.0
    if factor_passwords != () or not (_SIMPLE.issuperset(types) or _are_simple(shown)):
        return Options.resolve(**dict(zip(OPTION_NAMES, given, strict=True)))
    found = _known.get((shown, types))
    if found is None:
        found = Options.resolve(**dict(zip(OPTION_NAMES, (*given[:-2], b"", ()), strict=True)))
        found.tls = found.tls.with_context(None)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[shown, types] = found
    _last[:] = [(shown, found)]
    return found.with_given(_or_none_given(password), context)


def _are_simple(values: tuple[Any, ...]) -> bool:
    """Whether all are of simple types, or tuples of names."""
    return all(
        type(value) in _SIMPLE
        or (type(value) is tuple and all(type(name) is str for name in value))
        for value in values
    )


class SessionOptions(NamedTuple):
    """How a session is set up and used."""

    autocommit: bool | None
    echo: bool
    get_warnings: bool
    init_command: str | bytes | None
    skip_idle_commits: bool
    sql_mode: str | int | None
    time_zone: SessionZone | None
    use_unicode: bool
    warn_uncommitted: bool


#: The values of the session's options that were checked last, and what they stand for.
_last_session: list[tuple[tuple[Any, ...], SessionOptions]] = []


def find_session_options(given: tuple[Any, ...]) -> SessionOptions:
    """From values in the order of the fields of SessionOptions.

    Raises TypeError or ValueError, which name the option.  What was checked last is remembered.
    """
    if _last_session:
        last, found = _last_session[0]
        if same_items(given, last):
            return found
    values = {
        name: check_value(name, value, OF_SESSION[name])
        for name, value in zip(SessionOptions._fields, given, strict=True)
    }
    if values["time_zone"] is not None:
        values["time_zone"] = find_zone(values["time_zone"])
    found = SessionOptions(**values)
    for name in ("init_command", "sql_mode"):
        text = getattr(found, name)
        if isinstance(text, str):
            _check_encodable(name, text, "utf-8")
    _last_session[:] = [(given, found)]
    return found


def _or_none_given(password: Any) -> Any:
    """The password; for None or "" the bytes that stand for no password."""
    return b"" if password is None or (isinstance(password, str) and not password) else password


def _check_password(password: Any) -> None:
    if isinstance(password, str):
        _check_encodable("password", password, "utf-8")
    elif not isinstance(password, (bytes, bytearray)) and not callable(password):
        raise TypeError(
            "option 'password' must be str, bytes or a function that returns one, "
            f"not {type(password).__name__}"
        )


def _check_host(host: str) -> None:
    """Raise ValueError for a mistyped data source name that was taken for a host."""
    found = _NEVER_IN_HOST.search(host)
    wrong = "" if found is None else found[0]
    if not wrong and ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            wrong = ":"
    if wrong:
        # It is not shown: a password may stand in it.
        raise ValueError(
            f"option 'host' has {wrong!r} in it, which no host name or address has: "
            "a port is given as option 'port', the path of a socket as 'unix_socket', "
            "and a data source name begins with mysql://"
        )


def _check_encodable(name: str, text: str, encoding: str) -> None:
    try:
        text.encode(encoding)
    except UnicodeError:
        what = "is not a host name" if encoding == "idna" else f"can't be written in {encoding}"
        secret = name in ("password", "factor_passwords", "init_command", "conn_attrs")
        shown = "" if secret else f": {text!r}"
        raise ValueError(f"option {name!r} {what}{shown}") from None


def _to_bytes(value: str | bytes | bytearray) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


@lru_cache(maxsize=64)
def address_family(host: str) -> socket.AddressFamily | None:
    """The family of an address; None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


@lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


py_same_items = same_items
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    same_items = _c.same_items
