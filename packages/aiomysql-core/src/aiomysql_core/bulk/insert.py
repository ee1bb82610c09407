"""Statements with many rows, as `executemany` sends them for INSERT and REPLACE."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from aiomysql_protocol.sql.statements import is_simple_statement
from aiomysql_protocol.values.literals import Literals, encode_statement

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


def insert_statements(
    insert: InsertTemplate,
    args: Sequence[object],
    literals: Callable[[], Literals],
    encoding: str,
    longest: int,
) -> Iterator[bytes]:
    """The statements for all `args`, each of at most `longest` bytes unless a single row is longer.

    literals: called at the beginning of each, because the last one may have changed the session;
    encoding: of the connection.  Raises what `Cursor.execute` raises for a row's values.
    """
    prefix = encode_statement(insert.prefix, encoding)
    suffix = encode_statement(insert.suffix, encoding)
    # Nothing else than marks, commas and space stands in a row.
    pieces = None
    if encoding == "utf8" and "%(" not in insert.row:
        pieces = tuple([piece.encode() for piece in insert.row.split("%s")])
    start = 0
    while start < len(args):
        writer = literals()
        room = longest - len(prefix) - len(suffix)
        rows: list[bytes] = []
        while start < len(args):
            if pieces is not None:
                written, start = writer.rows(pieces, args, start, room)
                if written:
                    rows.append(written)
                    room -= len(written) + 1
                if start >= len(args):
                    break
            row = encode_statement(insert.row % writer.arguments(args[start]), encoding)
            if rows and len(row) > room:
                break
            rows.append(row)
            room -= len(row) + 1
            start += 1
        yield prefix + b",".join(rows) + suffix
