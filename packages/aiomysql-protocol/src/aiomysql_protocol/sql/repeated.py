"""Statements that may be sent many times in one text, or one request.

MySQL: "Multi-Statement", "INSERT", "UPDATE", "DELETE".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from aiomysql_protocol.sql.character_sets import ASKS_BEFORE
from aiomysql_protocol.sql.placeholders import convert
from aiomysql_protocol.sql.statements import first_word

__all__ = ["RepeatableStatement", "repeatable_statement"]

_KINDS = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})

#: Of these MariaDB runs each row of a bulk request as a statement of its own.
_ROW_BY_ROW = frozenset({"UPDATE", "DELETE"})

_UNFIT = re.compile(r"\bRETURNING\b|/\*M?!|\0", re.IGNORECASE)


class RepeatableStatement(NamedTuple):
    """One statement without results, with its marks."""

    #: Without a semicolon at its end.
    text: str
    #: Whether marks have names.
    has_names: bool
    #: How many marks it has.
    parameters: int
    #: Whether MariaDB runs it row by row in COM_STMT_BULK_EXECUTE.
    runs_row_by_row: bool


def repeatable_statement(
    statement: str, *, no_backslash_escapes: bool
) -> RepeatableStatement | None:
    """`statement` if it is certain that it is one INSERT, REPLACE, UPDATE or DELETE that gives no
    rows, asks nothing about the statement before, and can stand in front of another one; else None.

    no_backslash_escapes: how the session reads strings.
    """
    text = statement.strip()
    word = first_word(text)
    # What stands in a comment that the server executes may end anywhere, and a NUL is an end.
    if word not in _KINDS or _UNFIT.search(text) or ASKS_BEFORE.search(text.encode()):
        return None
    text = text.removesuffix(";")
    # With another statement behind it, it must go no further than it does alone.
    parsed = convert(f"{text}\n;", no_backslash_escapes=no_backslash_escapes)
    if parsed is None:
        return None
    return RepeatableStatement(
        text, parsed.names is not None, parsed.parameters, word in _ROW_BY_ROW
    )
