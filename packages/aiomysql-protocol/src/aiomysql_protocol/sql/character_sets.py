"""What statements may do to the session's character set and time zone, by their text.

MySQL: "Connection Character Sets and Collations".
"""

from __future__ import annotations

import re
from enum import IntEnum

from aiomysql_protocol.sql.statements import is_simple_statement
from aiomysql_protocol.wire.charsets import Charset

__all__ = [
    "ASKS_BEFORE",
    "ZoneChange",
    "changes_charset_within",
    "find_zone_change",
    "ignores_charset",
    "may_change_charset",
    "sets_names_to",
    "sets_zone_to_value",
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


class ZoneChange(IntEnum):
    """What a text may do to the session's time zone."""

    NONE = 0
    #: Change it for later texts.
    AFTER = 1
    #: Change it for what is in the same text: where values then mean what can't be told.
    WITHIN = 2


def find_zone_change(statement: bytes, *, has_values: bool = False) -> ZoneChange:
    """What this text, perhaps of several statements, may do to the session's time zone; has_values:
    values are written into it, at its marks.

    A statement may change it if it has SET with the zone's name, CALL, because what a procedure
    sets of it remains, or EXECUTE.  The definition of a procedure and the like does nothing yet.
    What functions, triggers and a procedure for itself do, and what EXECUTE takes from a variable,
    is not seen.
    """
    if _NEAR_ZONE.search(statement) is None or is_simple_statement(statement, 0):
        return ZoneChange.NONE
    # Whether backslashes escape is the session's matter.
    return max(
        _zone_change(_stripped(pattern, statement), _bare(pattern, statement), has_values)
        for pattern in (_ESCAPING, _NOT_ESCAPING)
    )


def _zone_change(statement: bytes, bare: bytes, has_values: bool) -> ZoneChange:
    """The same of one without comments, and of what else is left of it out of quotes."""
    if _is_one_definition(bare):
        return ZoneChange.NONE
    if _ZONE_NAME.search(statement) is not None and (
        # By SET STATEMENT, perhaps in what is to be prepared; or in a block that is.
        _STATEMENT.search(statement) is not None
        or (_PREPARED.search(bare) is not None and b";" in statement.rstrip(b"; \t\r\n"))
    ):
        return ZoneChange.WITHIN
    parts = [part for part in bare.split(b";") if part.strip()]
    changing = [index for index, part in enumerate(parts) if _changes_zone(part)]
    if not changing:
        return ZoneChange.NONE
    if changing[0] < len(parts) - 1 or (has_values and _BEHIND_ZONE.search(parts[-1]) is not None):
        return ZoneChange.WITHIN
    return ZoneChange.AFTER


def _changes_zone(part: bytes) -> bool:
    if is_simple_statement(part, 0) or _HARMLESS.match(part) is not None:
        return False
    if _RUNS.search(part) is not None:
        return True
    return _SET.search(part) is not None and _ZONE_NAME.search(part) is not None


def _stripped(pattern: re.Pattern[bytes], statement: bytes) -> bytes:
    """`statement` without comments, but with the text of those that the server may execute."""
    return pattern.sub(lambda found: found[0] if found[0][:1] in b"'\"`" else b" ", statement)


def _bare(pattern: re.Pattern[bytes], statement: bytes) -> bytes:
    """The same also without what is in quotes, but for the zone's name."""

    def replacement(found: re.Match[bytes]) -> bytes:
        text = found[0]
        if text[:1] not in b"'\"`":
            return b" "
        return text[1:-1] if _ZONE_NAME.fullmatch(text, 1, len(text) - 1) else b"''"

    return pattern.sub(replacement, statement)


def _is_one_definition(bare: bytes) -> bool:
    """Whether the text is nothing but the definition of a routine, trigger or event.

    Its semicolons, but for those at the end, stand between BEGIN and END.
    """
    head = _DEFINITION.match(bare)
    if head is None:
        return False
    text = bare.rstrip(b"; \t\r\n")
    depth = int(head[1].upper() == b"PACKAGE")
    for found in _BLOCK.finditer(text, head.end()):
        if found.lastgroup == "begin":
            depth += 1
        elif found.lastgroup == "end":
            depth -= 1
        if depth < 0 or (depth == 0 and found.lastgroup == "semicolon"):
            return False
    return depth == 0


def sets_zone_to_value(statement: str) -> bool:
    """Whether this text, with a mark for a value, does nothing but set the session's zone to it."""
    return _SETS_ZONE_TO_VALUE.fullmatch(statement) is not None


def ignores_charset(statement: bytes) -> bool:
    """Whether this is one statement that means the same in every character set and gives no rows,
    or one about the statement before, of which a question in between would leave nothing.
    """
    return (
        statement.isascii()
        and b";" not in statement
        and _STATEMENT.search(statement) is None  # MariaDB's SET STATEMENT ... FOR SELECT
        and (_WITHOUT_ROWS.match(statement) or ASKS_BEFORE.search(statement)) is not None
    )


# In front may stand a digit: of the version in a comment that the server executes.  The second word
# of CHARACTER SET, as of a column, is none.
_SET = re.compile(
    rb"(?<![A-Z_])(?:SET\b(?<!CHARACTER.SET)(?<!CHAR.SET)|EXECUTE\b)", re.IGNORECASE | re.DOTALL
)
_CHARSET_WORD = re.compile(rb"NAMES|CHAR|COLLATION_CONNECTION|SQL_MODE|EXECUTE", re.IGNORECASE)
_STATEMENT = re.compile(rb"\bSTATEMENT\b", re.IGNORECASE)
_COMMENT = rb"/\*(?![Mm]?!)(?>(?:(?!\*/).)*)(?:\*/)?|(?:--(?=\s|\Z)|\#)[^\n]*+"

_ZONE_NAME = re.compile(rb"(?<![A-Z_$])TIME_ZONE(?![\w$])", re.IGNORECASE)
_NEAR_ZONE = re.compile(rb"TIME_ZONE|CALL|EXECUTE", re.IGNORECASE)
_RUNS = re.compile(rb"(?<![A-Z_$@.])(?:CALL|EXECUTE)\b", re.IGNORECASE)
_PREPARED = re.compile(rb"(?<![A-Z_$@.])(?:PREPARE|EXECUTE)\b", re.IGNORECASE)
#: Privileges, and columns, may have such names.
_HARMLESS = re.compile(
    rb"\s*+(?:GRANT|REVOKE|(?:CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?|ALTER\s+)TABLE)\b",
    re.IGNORECASE,
)
#: A value that is taken after the zone is set, in the same SET.
_BEHIND_ZONE = re.compile(rb"TIME_ZONE[^,]*,.*(?<!%)%(?:\([^()]*\))?s", re.IGNORECASE | re.DOTALL)
#: What is replaced: comments, the signs around those that are executed, and what is in quotes.
_QUOTED = (
    _COMMENT
    + rb"""|/\*[Mm]?!\d*|\*/|`[^`]*+`?"""
    + rb"""|'(?>(?:[^'%b]|''%b)*)(?:'|\Z)|"(?>(?:[^"%b]|""%b)*)(?:"|\Z)"""
)
_ESCAPING = re.compile(_QUOTED % ((rb"\\", rb"|\\.") * 2), re.DOTALL)
_NOT_ESCAPING = re.compile(_QUOTED % ((b"", b"") * 2), re.DOTALL)
_DEFINITION = re.compile(
    rb"\s*+(?:CREATE|ALTER)\b[^(;]*?\b(PROCEDURE|FUNCTION|TRIGGER|EVENT|PACKAGE)\b",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK = re.compile(
    rb"(?<![\w$@.])(?:END\s+(?:IF|LOOP|WHILE|REPEAT|FOR)|(?P<end>END(?:\s+CASE)?)"
    rb"|(?P<begin>BEGIN|CASE))(?![\w$])|(?P<semicolon>;)",
    re.IGNORECASE,
)
_SETS_ZONE_TO_VALUE = re.compile(
    r"""(?:/\*(?!M?!)(?>(?:(?!\*/).)*)\*/|\s)*+SET\s+(?:SESSION\s+|LOCAL\s+|@@(?:SESSION\.|LOCAL\.)?)?
    `?TIME_ZONE`?\s*:?=\s*%(?:\([^()]*\))?s\s*;?\s*""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
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
    rb"(?:\s|/\*(?![!Mm+])(?>(?:(?!\*/).)*)\*/)*+(?:SET|BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|KILL)\b",
    re.IGNORECASE | re.DOTALL,
)
