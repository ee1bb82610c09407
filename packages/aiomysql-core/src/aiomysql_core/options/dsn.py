"""Data source names: `mysql://user:password@host:3306/database?charset=utf8mb4`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from aiomysql_core.options.keywords import ALIASES, KEYWORDS, Keyword

__all__ = ["is_dsn", "parse_dsn"]

_SCHEMES = frozenset({"mysql", "mariadb"})

_HOW_TO_QUOTE = (
    "are the special characters of user, password and database quoted, as "
    "urllib.parse.quote(password, safe='') does (%23 for #, %2F for /, %3A for :, %3F for ?, "
    "%40 for @)?"
)

#: `urlsplit` drops these, which would change a password.
_DROPPED = re.compile(r"[\t\r\n]")

#: What is written before the query, or not in a data source name at all.
_ELSEWHERE = frozenset({"host", "port", "user", "password", "db", *ALIASES})


def is_dsn(text: object) -> TypeGuard[str]:
    """Whether this is a data source name rather than a host."""
    return isinstance(text, str) and "://" in text


def parse_dsn(dsn: str, further: Mapping[str, Keyword] | None = None) -> dict[str, Any]:
    """The keywords of connect(), and of `further`, that a data source name stands for.

    Raises ValueError naming the part that can't be; never shows the password.
    """
    dsn = dsn.strip()
    try:
        parts = urlsplit(dsn)
    except ValueError:
        # The message of `urlsplit` would show the password.
        raise ValueError(f"the data source name is not a URL: {_HOW_TO_QUOTE}") from None
    if parts.scheme not in _SCHEMES:
        hint = ": leave out what only SQLAlchemy knows" if "+" in parts.scheme else ""
        raise ValueError(f"a data source name begins with mysql://, not {parts.scheme}://{hint}")
    if parts.fragment or "#" in dsn or "@" in parts.path or "@" in parts.query:
        # What follows it would be shown as a database or an option, or lost.
        raise ValueError(
            "the data source name has a '#', or an '@' in the database or the options: "
            + _HOW_TO_QUOTE
        )
    if not dsn.isprintable() and _DROPPED.search(dsn):
        raise ValueError(f"the data source name has a tab or a line's end in it: {_HOW_TO_QUOTE}")
    found: dict[str, Any] = {}
    # Each of them is taken out of the text whenever it is asked for.
    host, user, secret = parts.hostname, parts.username, parts.password
    if host:
        found["host"] = _unquote("the host", host)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(
            "the port of the data source name is not a number up to 65535: " + _HOW_TO_QUOTE
        ) from None
    if port is not None:
        found["port"] = port
    if user is not None:
        found["user"] = _unquote("the user", user)
    if secret is not None:
        password = unquote_to_bytes(secret)
        try:
            found["password"] = password.decode()
        except UnicodeDecodeError:
            found["password"] = password
    if database := parts.path.removeprefix("/"):
        if "/" in database:
            raise ValueError(
                f"the data source name has more than one '/' behind the host: {_HOW_TO_QUOTE}"
            )
        found["db"] = _unquote("the database", database)
    known = {**KEYWORDS, **further} if further else KEYWORDS
    for option in filter(None, parts.query.split("&")):
        name, _, quoted = option.partition("=")
        keyword = known.get(name)
        if keyword is None or keyword.parse is None or name in _ELSEWHERE:
            # Behind a user the password is over; else this may be the rest of it.
            harmless = user is not None or name in _ELSEWHERE
            shown = repr(name) if harmless and name.isidentifier() else "(is the password quoted?)"
            raise ValueError(f"the data source name has an unknown option {shown}")
        if name in found:
            raise ValueError(f"the data source name has option {name!r} twice")
        text = _unquote(f"option {name!r}", quoted)
        try:
            found[name] = keyword.parse(text)
        except ValueError:
            raise ValueError(f"option {name!r} of the data source name can't be {text!r}") from None
    return found


def _unquote(what: str, text: str) -> str:
    """Percent-decoded; a plus stays one.  Raises ValueError for bytes that are no text."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"{what} of the data source name is not in UTF-8") from None
