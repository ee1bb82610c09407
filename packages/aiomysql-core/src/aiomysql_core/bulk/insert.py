"""Statements with many rows, as `executemany` sends them for INSERT and REPLACE."""

from __future__ import annotations

import re
from typing import NamedTuple

from aiomysql_protocol.sql.statements import is_simple_statement

_PLACEHOLDER = r"(?:%s|%\([^)]*\)s)"

#: The three parts of a statement for many rows (the name is classic aiomysql's).
RE_INSERT_VALUES = re.compile(
    rf"""
    \s*
    (?P<prefix> (?:INSERT|REPLACE) \s .+? (?<![\w$`]) VALUES? \s* )
    (?P<row> \( \s* {_PLACEHOLDER} \s* (?: , \s* {_PLACEHOLDER} \s* )* \) )
    (?P<suffix> \s* (?: AS \s+ .+? )? (?: \s* ON \s+ DUPLICATE \s .* )? )
    ;? \s* \Z
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


class InsertTemplate(NamedTuple):
    """An INSERT or REPLACE cut where its rows go."""

    #: The text before the first row, ready to send.
    prefix: str
    #: One row with its placeholders.
    row: str
    #: The text behind the last row, ready to send.
    suffix: str


def split_insert(statement: str) -> InsertTemplate | None:
    """Cut `INSERT ... VALUES (%s, ...) [AS ...] [ON DUPLICATE KEY UPDATE ...]`.

    Returns None for anything else, where placeholders stand outside the row, and for several
    statements: each is to be run for every row.
    """
    match = RE_INSERT_VALUES.match(statement)
    if match is None:
        return None
    if ";" in statement and not is_simple_statement(statement.encode("utf-8", "replace"), 0):
        return None  # the semicolon ends a statement, or perhaps does
    try:
        # Doubled % become single, as they do in execute(); a placeholder here fails.
        prefix, suffix = match["prefix"] % (), match["suffix"] % ()
    except (TypeError, ValueError):
        return None
    return InsertTemplate(prefix, match["row"], suffix)
