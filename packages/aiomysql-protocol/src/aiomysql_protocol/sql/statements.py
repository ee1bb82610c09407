"""What a statement's first word tells of it.

MySQL: "SQL Statements", "Statements That Cause an Implicit Commit", "Comments".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiomysql_protocol._accelerator import accelerator

__all__ = [
    "changes_rows",
    "first_word",
    "is_row_change",
    "is_simple_statement",
    "may_make_temporary_tables",
    "may_undo_changes",
]

#: Comments that the server doesn't execute, and that are no hints; and parentheses.
_GAP = rb"(?>[\s(]++|/\*(?![!M+])(?>(?:(?!\*/).)*)\*/|(?:--(?=\s)|\#)[^\n]*+\n)*+"

_SIMPLE = re.compile(
    _GAP + rb"(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|SHOW|DO|VALUES|TABLE"
    rb"|EXPLAIN|DESC|DESCRIBE)(?![\w$\x80-\xff])",
    re.IGNORECASE | re.DOTALL,
)
_FIRST_WORD = re.compile(_GAP + rb"([A-Za-z]++)(?![\w$\x80-\xff])", re.DOTALL)
_END = re.compile(rb";\s*+")

_ROW_CHANGE = re.compile(
    _GAP + rb"(?:INSERT|REPLACE|UPDATE|DELETE)(?![\w$\x80-\xff])", re.IGNORECASE | re.DOTALL
)
_CHANGES = re.compile(rb"\b(?:INSERT|REPLACE|UPDATE|DELETE|LOAD)\b", re.IGNORECASE)

#: What gives a number of affected rows, and perhaps has changed none that outlives the session: a
#: procedure that reads into a variable, for one.  INTO is the group's where rows are written.
_MAY_ONLY_READ = re.compile(
    rb"\b(?:((?:INSERT|REPLACE)(?:\s+(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE))*+\s+INTO"
    rb"|INTO\s+TABLE)|CALL|CREATE|EXECUTE|INTO)\b",
    re.IGNORECASE,
)

#: What ends a transaction and may begin another one at once, or undoes a part of it.
_ENDS = re.compile(rb"\b(?:BEGIN|CALL|COMMIT|EXECUTE|LOCK|ROLLBACK|START|XA)\b", re.IGNORECASE)

#: A row that is there already may be left as it is.
_DUPLICATE = re.compile(rb"\bDUPLICATE\s+KEY\b", re.IGNORECASE)

#: What makes temporary tables, or runs a procedure, which may.
_TEMPORARY = re.compile(rb"\b(?:TEMPORARY|CALL|EXECUTE)\b", re.IGNORECASE)

#: What stands in quotes, and what leaves it open where that begins and ends.
_STRING = re.compile(rb"'[^']*+'" rb'|"[^"]*+"' rb"|`[^`\x80-\xff]*+`")
_UNCLEAR = re.compile(rb"[\\#]|--|/\*")

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


def is_row_change(statement: bytes, start: int, /) -> bool:
    """Whether the first word of statement[start:] is INSERT, REPLACE, UPDATE or DELETE."""
    return _ROW_CHANGE.match(statement, start) is not None


def _without_strings(statement: bytes, start: int) -> bytes:
    """statement[start:] without what stands in quotes, if it is certain what that is."""
    text = statement[start:]
    return text if _UNCLEAR.search(text) else _STRING.sub(b"''", text)


def _has_word(words: re.Pattern[bytes], statement: bytes, start: int) -> bool:
    """Whether one of `words` stands in statement[start:] out of quotes."""
    return (
        words.search(statement, start) is not None
        and words.search(_without_strings(statement, start)) is not None
    )


def changes_rows(statement: bytes, start: int, is_simple: bool, finds_rows: bool) -> bool:
    """Whether statement[start:], after which the server tells a number of affected rows, has
    changed rows for certain.

    is_simple: as `is_simple_statement` says; finds_rows: rows that are found count as affected.
    """
    if finds_rows and _has_word(_DUPLICATE, statement, start):
        return False
    if is_simple and is_row_change(statement, start):
        return True
    if _CHANGES.search(statement, start) is None:
        return False
    text = _without_strings(statement, start)
    return all(found[1] for found in _MAY_ONLY_READ.finditer(text))


def may_undo_changes(statement: bytes, start: int) -> bool:
    """Whether statement[start:], which is not simple, may have committed or undone what was changed
    before, although a transaction is open after it.
    """
    return _has_word(_ENDS, statement, start)


def may_make_temporary_tables(statement: bytes, start: int) -> bool:
    """Whether statement[start:], which is not simple, may make temporary tables."""
    return _has_word(_TEMPORARY, statement, start)


py_is_row_change = is_row_change
py_is_simple_statement = is_simple_statement
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    is_row_change = _c.is_row_change
    is_simple_statement = _c.is_simple_statement
