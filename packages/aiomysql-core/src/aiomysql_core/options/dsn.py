"""Data source names: `mysql://user:password@host:3306/database?charset=utf8mb4`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard
from urllib.parse import parse_qsl, unquote, urlsplit

from aiomysql_core.options.options import KEYWORDS, parse_boolean

__all__ = ["is_dsn", "parse_dsn"]

_SCHEMES = frozenset({"mysql", "mariadb"})


#: The keywords that a query may set, and what turns its text into the value.
_QUERY = {name: keyword.query for name, keyword in KEYWORDS.items() if keyword.query is not None}

#: Those that only a pool understands.
_POOL_QUERY: dict[str, Callable[[str], Any]] = {
    "minsize": int,
    "maxsize": int,
    "pool_recycle": float,
    "reset_session": str,
    "timeout": float,
    "max_waiting": int,
    "max_lifetime": float,
    "max_idle": float,
    "ping_after": float,
    "report_lent_after": float,
    "debug": parse_boolean,
}

#: What is written before the query, or not in a data source name at all.
_ELSEWHERE = frozenset({"host", "port", "user", "password", "passwd", "db"})


def is_dsn(text: object) -> TypeGuard[str]:
    """Whether this is a data source name rather than a host."""
    return isinstance(text, str) and "://" in text


def parse_dsn(dsn: str, *, pool: bool = False) -> dict[str, Any]:
    """The keywords of connect() (with `pool`: of create_pool()) that a data source name stands for.

    Raises ValueError naming the part that can't be; never shows the password.
    """
    try:
        parts = urlsplit(dsn)
    except ValueError:
        # The message of `urlsplit` would show the password.
        raise ValueError("the data source name is not a URL (is the password quoted?)") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"a data source name begins with mysql://, not {parts.scheme}://")
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        # What follows it would be shown as a database or an option, or lost.
        raise ValueError(
            "the data source name has a part behind '#', or an '@' in the database or the options: "
            "are the special characters of user, password and database quoted (%23, %40, %2F)?"
        )
    found: dict[str, Any] = {}
    if parts.hostname:
        found["host"] = unquote(parts.hostname)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(
            "the port of the data source name is not a number up to 65535 "
            "(is the password quoted, for example '?' as %3F?)"
        ) from None
    if port is not None:
        found["port"] = port
    if parts.username is not None:
        found["user"] = unquote(parts.username)
    if parts.password is not None:
        found["password"] = unquote(parts.password)
    if parts.path.strip("/"):
        found["db"] = unquote(parts.path[1:])
    known = _QUERY | _POOL_QUERY if pool else _QUERY
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        convert = known.get(name)
        if convert is None:
            # Behind a user the password is over; else this may be the rest of it.
            harmless = parts.username is not None or name in _POOL_QUERY or name in _ELSEWHERE
            shown = repr(name) if harmless and name.isidentifier() else "(is the password quoted?)"
            raise ValueError(f"the data source name has an unknown option {shown}")
        try:
            found[name] = convert(text)
        except ValueError:
            raise ValueError(f"option {name!r} of the data source name can't be {text!r}") from None
    return found
