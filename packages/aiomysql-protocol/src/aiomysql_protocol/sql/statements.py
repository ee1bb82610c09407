"""What a statement's first word tells of it.

MySQL: "SQL Statements", "Statements That Cause an Implicit Commit", "Comments".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiomysql_protocol._accelerator import accelerator

__all__ = ["first_word", "is_simple_statement"]

#: Comments that the server doesn't execute, and that are no hints; and parentheses.
_GAP = rb"(?>[\s(]++|/\*(?![!M+])(?>(?:(?!\*/).)*)\*/|(?:--(?=\s)|\#)[^\n]*+\n)*+"

_SIMPLE = re.compile(
    _GAP + rb"(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|SHOW|DO|VALUES|TABLE"
    rb"|EXPLAIN|DESC|DESCRIBE)(?![\w$\x80-\xff])",
    re.IGNORECASE | re.DOTALL,
)
_FIRST_WORD = re.compile(_GAP + rb"([A-Za-z]++)(?![\w$\x80-\xff])", re.DOTALL)
_END = re.compile(rb";\s*+")

#: A statement whose semicolons stand in quotes, but for one at its end; without comments and, out
#: of quotes, without bytes that are the second of a character perhaps.  Backslashes within quotes
#: escape or don't, as the session's sql_mode has it.
_QUOTED = (
    rb"""(?>[^;'"`\\#/\-\x80-\xff]++|'(?>[^'%b]|''%b)*+'|"(?>[^"%b]|""%b)*+"|`[^`\x80-\xff]*+`"""
    rb"""|-(?!-)|/(?!\*))*+(?:;\s*+)?"""
)
_ESCAPING = re.compile(_QUOTED % ((rb"\\", rb"|\\.") * 2), re.DOTALL)
_NOT_ESCAPING = re.compile(_QUOTED % ((b"", b"") * 2), re.DOTALL)


def is_simple_statement(statement: bytes | str, start: int, /) -> bool:
    """Whether statement[start:] can neither begin a transaction which outlives it in autocommit
    mode, nor change what later ones mean (modes, character set, default database).

    start: in bytes; a str is looked at in UTF-8.
    Only what is known for certain counts: one statement that begins with one of some words, behind
    comments perhaps.
    """
    if isinstance(statement, str):
        statement = statement.encode()
    first = _SIMPLE.match(statement, start)
    if first is None:
        return False
    semicolon = statement.find(b";", start)
    return (
        semicolon < 0
        or _END.fullmatch(statement, semicolon) is not None
        or (
            _ESCAPING.fullmatch(statement, first.end()) is not None
            and _NOT_ESCAPING.fullmatch(statement, first.end()) is not None
        )
    )


def first_word(statement: str) -> str:
    """The first word of a statement, behind comments and parentheses perhaps, in capital letters;
    empty where none is found.
    """
    found = _FIRST_WORD.match(statement.encode("utf-8", "replace"))
    return "" if found is None else found[1].decode().upper()


py_is_simple_statement = is_simple_statement
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    is_simple_statement = _c.is_simple_statement
