"""Which files a statement of the LOAD DATA LOCAL INFILE kind names.

MySQL: "LOAD DATA Statement", "Protocol::LOCAL INFILE Request".  A server may answer any statement
with the request for a file; only those that the statement itself names are ever sent.
"""

from __future__ import annotations

import re

# Possessive quantifiers: no text takes longer than its length.
_COMMENT = r"/\*(?>(?:(?!\*/).)*)\*/ | (?:--(?=\s)|\#)[^\n]*+"
_GAP = rf"(?>(?:\s++|{_COMMENT})+)"

#: One statement up to its semicolon, which may not stand in a literal, a name or a comment.
_STATEMENT = re.compile(
    rf"""
    (?> (?: {_COMMENT}
          | '(?>(?:[^'\\]|\\.)*)'? | "(?>(?:[^"\\]|\\.)*)"? | `[^`]*+`?
          | [^;'"`] )* )
    """,
    re.DOTALL | re.VERBOSE,
)

_LOAD_LOCAL = re.compile(
    rf"""
    (?:{_GAP})? LOAD {_GAP} (?:DATA|XML) {_GAP} (?: (?:LOW_PRIORITY|CONCURRENT) {_GAP} )?
    LOCAL {_GAP} INFILE (?:{_GAP})?
    (?: '(?P<single>(?>(?:[^'\\]|\\.|'')*))' | "(?P<double>(?>(?:[^"\\]|\\.|"")*))" )
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)

_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_ESCAPES |= {"%": "\\%", "_": "\\_"}  # the backslash stays


def local_file_names(sql: str, *, no_backslash_escapes: bool = False) -> list[str]:
    """The names of the client's files that the statements in `sql` load, in their order."""
    if "infile" not in sql.lower():
        return []
    names = []
    position = 0
    while position < len(sql):
        load = _LOAD_LOCAL.match(sql, position)
        if load is not None:
            quote = "'" if load["single"] is not None else '"'
            name = (load["single"] or load["double"] or "").replace(quote * 2, quote)
            if not no_backslash_escapes:
                name = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), name, flags=re.DOTALL)
            names.append(name)
        end = _STATEMENT.match(sql, position)
        position = (end.end() if end is not None else len(sql)) + 1
    return names
