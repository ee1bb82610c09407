"""What statements may do to the session's character set and time zone, by their text.

MySQL: "Connection Character Sets and Collations".
"""

from __future__ import annotations

import re

from aiomysql_protocol.sql.statements import is_simple_statement
from aiomysql_protocol.wire.charsets import Charset

__all__ = [
    "ASKS_BEFORE",
    "changes_charset_within",
    "changes_zone_within",
    "ignores_charset",
    "may_change_charset",
    "may_change_zone",
    "sets_names_to",
]


def may_change_charset(statement: bytes) -> bool:
    """Whether this text, perhaps of several statements, may change how the session reads literals,
    by its character set or its sql_mode.

    It may if it has, anywhere, SET with a word of those that do it, or EXECUTE, which runs what
    PREPARE has prepared: to tell a comment from what is none, servers differ too much.  (What a
    procedure sets of sql_mode, character_set_client and character_set_connection is undone at its
    end, by the server.)
    """
    return not is_simple_statement(statement, 0) and _changes_charset(statement)


def _changes_charset(statement: bytes) -> bool:
    found = _SET.search(statement)
    return found is not None and _CHARSET_WORD.search(statement) is not None


def sets_names_to(statement: bytes, charset: Charset) -> bool:
    """Whether this text does nothing but SET NAMES, perhaps with a collation, to `charset`."""
    found = _SET_NAMES.fullmatch(statement)
    return found is not None and found[2].lower() == charset.server_name.encode()


def changes_charset_within(statement: bytes, charset: Charset) -> bool:
    """Whether one of several statements in this text may change how the session, which has
    `charset`, reads the values of those behind it, which are marks here.
    """
    if not may_change_charset(statement):
        return False
    marks = [mark.start() for mark in _MARK.finditer(statement)]
    parts = statement[: marks[-1]].split(b";")[:-1] if marks else []
    # Where semicolons stand in quotes, the parts say together what is in them.
    return _changes_charset(
        b";".join(
            part
            for part in parts
            if not sets_names_to(part, charset) and not is_simple_statement(part, 0)
        )
    )


def may_change_zone(statement: bytes) -> bool:
    """Whether this text may change the session's time zone: as `may_change_charset`, or by CALL,
    because what a procedure sets of it remains.
    """
    if is_simple_statement(statement, 0):
        return False
    if _CALL.search(statement) is not None:
        return True
    return _SET.search(statement) is not None and _ZONE_WORD.search(statement) is not None


def changes_zone_within(statement: bytes) -> bool:
    """Whether it does so for a statement in the same text."""
    if not may_change_zone(statement):
        return False
    first, *others = statement.rstrip(b"; \t\r\n").split(b";")
    if _SET_STATEMENT.match(first) is not None and _ZONE_WORD.search(first) is not None:
        return True
    return any(_SETS_ZONE.match(part) is not None for part in (first, *others[:-1]) if others)


def ignores_charset(statement: bytes) -> bool:
    """Whether this is one statement that means the same in every character set and gives no rows,
    or one about the statement before, of which a question in between would leave nothing.
    """
    return (
        statement.isascii()
        and b";" not in statement
        and (_WITHOUT_ROWS.match(statement) or ASKS_BEFORE.search(statement)) is not None
    )


# In front may stand a digit: of the version in a comment that the server executes.  The second word
# of CHARACTER SET, as of a column, is none.
_SET = re.compile(
    rb"(?<![A-Z_])(?:SET\b(?<!CHARACTER.SET)(?<!CHAR.SET)|EXECUTE\b)", re.IGNORECASE | re.DOTALL
)
_CHARSET_WORD = re.compile(rb"NAMES|CHAR|COLLATION_CONNECTION|SQL_MODE|EXECUTE", re.IGNORECASE)
_CALL = re.compile(rb"(?<![A-Z_])CALL\b", re.IGNORECASE)
_ZONE_WORD = re.compile(rb"TIME_ZONE|EXECUTE", re.IGNORECASE)
_SET_STATEMENT = re.compile(rb"\s*SET\s+STATEMENT\b", re.IGNORECASE)
_SETS_ZONE = re.compile(rb"\s*SET\s.*TIME_ZONE", re.IGNORECASE | re.DOTALL)
_SET_NAMES = re.compile(
    rb"""\s*SET\s+NAMES\s+(['"]?)(\w+)\1(?:\s+COLLATE\s+(['"]?)\w+\3)?\s*;?\s*""", re.IGNORECASE
)
_MARK = re.compile(rb"(?<!%)%(?:\([^()]*\))?s")

#: What asks about the statement before.
ASKS_BEFORE = re.compile(
    rb"\b(?:ROW_COUNT|FOUND_ROWS)\s*\(|@@(?:\w+\.)?(?:WARNING|ERROR)_COUNT\b"
    rb"|\b(?:SHOW|GET)\s.*?\b(?:WARNINGS|ERRORS|DIAGNOSTICS)\b",
    re.IGNORECASE | re.DOTALL,
)
_WITHOUT_ROWS = re.compile(
    rb"\s*+(?:SET|BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|KILL)\b", re.IGNORECASE
)
