"""The keywords of connect(): what values they may have, and how text is read where it gives one.

This is the one place that knows.  Values come as keyword arguments, in data source names and in
option files.  In the last two all are text; a keyword argument may be text where the value is true
or false, because settings files and environments give "false", which is true in Python.
"""

from __future__ import annotations

import datetime
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

__all__ = [
    "KEYWORDS",
    "TLS_KEYWORDS",
    "Keyword",
    "check_value",
    "parse_boolean",
    "parse_integer",
    "parse_number",
    "unknown_option",
    "without_aliases",
]

#: What types are called in messages, where not by their names.
_NAMES: Final = {"Callable": "function", "PathLike": "path"}

#: Marks the keywords for which None stands for nothing.
REFUSED: Final = object()

#: Other names of keywords, as PyMySQL and others have them.
ALIASES: Final = {"database": "db", "passwd": "password"}

# Compiled when the first text is read.
_INTEGER = r"[+-]?[0-9]{1,30}"
_NUMBER = r"(?i)[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|nan)"


def parse_boolean(text: str) -> bool:
    """The value that a text like "on" or "False" stands for.  Raises ValueError for others."""
    lowered = text.strip().lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off"}:
        return False
    raise ValueError(text)


def parse_integer(text: str) -> int:
    """The whole number that a text stands for.  Raises ValueError for others."""
    if not re.fullmatch(_INTEGER, text.strip()):
        raise ValueError(text)
    return int(text)


def parse_number(text: str) -> float:
    """The number that a text stands for.  Raises ValueError for others."""
    if not re.fullmatch(_NUMBER, text.strip()):
        raise ValueError(text)
    return float(text)


def parse_keepalive(text: str) -> int | tuple[int, ...]:
    """Seconds, or three numbers with commas between.  Raises ValueError for others."""
    numbers = tuple(map(parse_integer, text.split(",")))
    return numbers if len(numbers) > 1 else numbers[0]


def parse_names(text: str) -> tuple[str, ...]:
    """Names with commas between; none of an empty text."""
    return tuple(name.strip() for name in text.split(",")) if text.strip() else ()


class Keyword(NamedTuple):
    """What is known of one keyword."""

    #: The types that its value may have; empty: it is checked elsewhere.  With bool and int it is
    #: true or false, also as 0, 1 or text; with PathLike it becomes a str.
    types: tuple[type, ...] = ()
    #: What turns text into the value, in data source names and option files; None: it can't stand
    #: there.
    parse: Callable[[str], Any] | None = None
    #: What None stands for.
    none: Any = REFUSED
    #: Its key in option files; empty: it has none, or one that `option_files` knows.
    file: str = ""


def _text(none: Any = REFUSED, file: str = "") -> Keyword:
    return Keyword((str,), str, none, file)


def _path(file: str = "") -> Keyword:
    return Keyword((str, os.PathLike), str, None, file)


def _integer(none: Any = REFUSED, file: str = "") -> Keyword:
    return Keyword((int,), parse_integer, none, file)


def _number(none: Any = REFUSED) -> Keyword:
    return Keyword((int, float), parse_number, none)


def _flag(none: Any = REFUSED) -> Keyword:
    """True or false, or 0 or 1."""
    return Keyword((bool, int), parse_boolean, none)


#: Those that make up Options.  The secrets stand last, to be cut off.
OF_OPTIONS: Final[Mapping[str, Keyword]] = {
    "host": _text("localhost", "host"),
    "port": _integer(3306, "port"),
    "unix_socket": _path("socket"),
    "sock": Keyword((socket.socket,), none=None),
    "user": _text("", "user"),
    "db": _text(None, "database"),
    "charset": _text("", "default-character-set"),
    "collation": _text(None),
    "connect_timeout": _number(None),
    "read_timeout": _number(None),
    "write_timeout": _number(None),
    "client_flag": _integer(),
    "stmt_cache_size": _integer(),
    "max_allowed_packet": _integer(),
    "on_cancel": _text(),
    "kill_timeout": _number(),
    "compression": Keyword((str, list, tuple), parse_names, None, "compression-algorithms"),
    "compression_level": _integer(None, "zstd-compression-level"),
    "local_infile": _flag(False),
    "multi_statements": _flag(True),
    "bulk_statements": _flag(True),
    "auth_plugin": _text(""),
    "program_name": _text(""),
    "conn_attrs": Keyword((Mapping,), none=None),
    "server_public_key": Keyword((str, bytes), str, None),
    "allow_cleartext": _flag(False),
    "allow_old_password": _flag(False),
    "auth_methods": Keyword((Mapping,), none=None),
    "dialog": Keyword((Callable,), none=None),  # type: ignore[arg-type]
    "tcp_keepalive": Keyword(parse=parse_keepalive),
    "tcp_user_timeout": Keyword(parse=parse_number),
    "ssl": Keyword(parse=parse_boolean),
    "ssl_mode": _text(None, "ssl-mode")._replace(parse=str.upper),
    "ssl_ca": _path("ssl-ca"),
    "ssl_capath": _path("ssl-capath"),
    "ssl_cert": _path("ssl-cert"),
    "ssl_key": _path("ssl-key"),
    "ssl_key_password": Keyword((str, bytes, Callable), str, None),  # type: ignore[arg-type]
    "ssl_cipher": _text(None, "ssl-cipher"),
    "ssl_verify_cert": _flag(None),
    "ssl_verify_identity": _flag(None)._replace(file="ssl-verify-server-cert"),
    "ssl_disabled": _flag(False),
    "ssl_negotiation": _text(),
    "ssl_session_reuse": Keyword((bool,), parse_boolean),
    "tls_version": _text(None, "tls-version"),
    "password": Keyword(file="password"),
    "factor_passwords": Keyword((list, tuple)),
}

#: Those of them that are about TLS.
TLS_KEYWORDS: Final = tuple(name for name in OF_OPTIONS if name.startswith(("ssl", "tls")))

#: Those that say how the session is set up and used.
OF_SESSION: Final[Mapping[str, Keyword]] = {
    "autocommit": _flag(None),
    "echo": _flag(False),
    "get_warnings": _flag(True),
    "init_command": Keyword((str, bytes), str, None),
    "skip_idle_commits": Keyword((bool,), parse_boolean),
    "sql_mode": Keyword((str, int), str, None),
    "time_zone": Keyword((str, datetime.tzinfo), str, None),
    "use_unicode": _flag(True),
    "warn_uncommitted": Keyword((bool,), parse_boolean),
}

#: What is known of each keyword of connect() that something has to be known of.
KEYWORDS: Final[Mapping[str, Keyword]] = {
    **OF_OPTIONS,
    **OF_SESSION,
    "read_default_file": _path(),
    "read_default_group": _text(None),
}


def check_value(name: str, value: object, keyword: Keyword) -> Any:
    """The value that a keyword argument stands for.

    Raises TypeError, or ValueError for text that is neither true nor false; they name the option
    and don't show the value: what was given in the wrong place may be a secret.
    """
    types, _, none, _ = keyword
    if value is None and none is not REFUSED:
        return none
    if not types:
        return value
    if types[0] is bool:
        return _check_boolean(name, value, keyword)
    if not isinstance(value, types) or isinstance(value, bool):
        raise _wrong_type(name, value, keyword)
    if float in types:
        try:
            float(value)  # type: ignore[arg-type]
        except OverflowError:
            raise ValueError(f"option {name!r} is too large a number") from None
    return os.fsdecode(value) if isinstance(value, os.PathLike) else value


def _check_boolean(name: str, value: object, keyword: Keyword) -> bool:
    if isinstance(value, bool):
        return value
    if int in keyword.types and isinstance(value, str):
        try:
            return parse_boolean(value)
        except ValueError:
            raise ValueError(
                f"option {name!r} must be true or false (as text: true, false, yes, no, on, off, "
                "1 or 0), not this text"
            ) from None
    if int in keyword.types and isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise _wrong_type(name, value, keyword)


def _wrong_type(name: str, value: object, keyword: Keyword) -> TypeError:
    types = [kind for kind in keyword.types if not (kind is int and bool in keyword.types)]
    names = [_NAMES.get(kind.__name__, kind.__name__) for kind in types]
    if keyword.none is not REFUSED:
        names.append("None")
    return TypeError(
        f"option {name!r} must be of type {', '.join(names)}, not {type(value).__name__}"
    )


def without_aliases(given: dict[str, Any]) -> dict[str, Any]:
    """The same with the usual names of keywords; another name with None gives nothing.

    Raises TypeError if one is given by both.
    """
    if ALIASES.keys().isdisjoint(given):
        return given
    for alias, name in ALIASES.items():
        if alias in given:
            if given[alias] is None:
                given = {key: value for key, value in given.items() if key != alias}
                continue
            if given.get(name) is not None:
                raise TypeError(f"options {name!r} and {alias!r} are the same: give one of them")
            given = {key: value for key, value in given.items() if key != name}
            given[name] = given.pop(alias)
    return given


def unknown_option(function: str, name: str, known: Iterable[str]) -> TypeError:
    """The error for a keyword that `function` does not have."""
    import difflib  # not for everybody who imports this

    close = difflib.get_close_matches(name, known, 1)
    advice = f"; did you mean {ALIASES.get(close[0], close[0])!r}?" if close else ""
    return TypeError(f"{function}() has no option {name!r}{advice}")
