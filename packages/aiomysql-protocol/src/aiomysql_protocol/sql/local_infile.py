"""Which files a statement of the LOAD DATA LOCAL INFILE kind names.

MySQL: "LOAD DATA Statement", "Protocol::LOCAL INFILE Request".  A server may answer any statement
with the request for a file; only those that the caller named are ever sent.

The names are looked for in the caller's text, before values are written into it, and go beside the
statement from then on.  So no value can name a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from itertools import product

__all__ = ["local_file_names"]

# Possessive quantifiers: no text takes longer than its length.
_BLOCK = r"(?>(?:(?!\*/).)*)\*/"

#: What begins a comment that a server may execute: then only this and its end are none of the text.
_EXECUTED = r"/\*(?:M?!\d*+|\+)"

#: Stands for a mark's value; no statement that can be sent has it.
_VALUE = "\ud800"

_MARK = re.compile(r"%(?:%|s|\(([^()]*)\)s|(?P<other>.?))", re.DOTALL)


class _Reading:
    """One of the ways in which a server may read a text, by its sql_mode, version and character
    set.
    """

    def __init__(self, in_single: str, in_double: str, *, executes: bool, spaces: str) -> None:
        """in_single, in_double: a pattern for a character within such quotes.

        executes: whether comments are executed that some servers execute.  spaces: behind which two
        dashes begin a comment.
        """
        line = rf"(?:--(?=[{spaces}]|\Z)|\#)[^\n]*+"
        if executes:
            comment = rf"{_EXECUTED} | /\*(?!M?!|\+){_BLOCK} | {line}"
            gap = rf"(?>(?:\s++|{comment}|\*/)+)"
        else:
            comment = rf"/\*{_BLOCK} | {line}"
            gap = rf"(?>(?:\s++|{comment})+)"
        #: One statement up to its semicolon, which may not stand in a literal, a name or a comment.
        self.statement = re.compile(
            rf"""
            (?> (?: {comment}
                  | '(?>(?:{in_single})*)'? | "(?>(?:{in_double})*)"? | `[^`]*+`?
                  | [^;'"`] )* )
            """,
            re.DOTALL | re.VERBOSE,
        )
        self.load_local = re.compile(
            rf"""
            (?:{gap})? LOAD {gap} (?:DATA|XML) {gap} (?: (?:LOW_PRIORITY|CONCURRENT) {gap} )?
            LOCAL {gap} INFILE (?:{gap})?
            (?P<name> '(?>(?:{in_single}|'')*)' | "(?>(?:{in_double}|"")*)" | {_VALUE} )
            """,
            re.IGNORECASE | re.DOTALL | re.VERBOSE,
        )

    def names(self, sql: str) -> set[tuple[int, int]]:
        """Where the names of local files stand."""
        found = set()
        position = 0
        while position < len(sql):
            load = self.load_local.match(sql, position)
            if load is not None:
                found.add(load.span("name"))
            end = self.statement.match(sql, position)
            position = (end.end() if end is not None else len(sql)) + 1
        return found


#: As by default, with ANSI_QUOTES (where double quotes hold a name), with NO_BACKSLASH_ESCAPES.
_QUOTES = ((r"[^'\\]|\\.", r'[^"\\]|\\.'), (r"[^'\\]|\\.", r'[^"]'), (r"[^']", r'[^"]'))

#: White space and control characters; and what may be some in one character set or another.
_SPACES = (r"\x00-\x20\x7f", r"\x00-\x20\x7f-\ud7ff\ue000-\U0010ffff")


@cache
def _readings() -> list[_Reading]:
    """All of them; made when they are needed, because that takes a while."""
    return [
        _Reading(*quotes, executes=executes, spaces=spaces)
        for quotes, executes, spaces in product(_QUOTES, (False, True), _SPACES)
    ]


_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_ESCAPES |= {"%": "\\%", "_": "\\_"}  # the backslash stays


def local_file_names(sql: str, args: object = None) -> list[tuple[str, ...]]:
    """The client's files that the statements in `sql` load, in their order, each with its name.

    args: values for the marks of `sql`, as for `Cursor.execute`.  A file is what the text itself
    names, or the one value that stands in the place of its name; nothing that is written into the
    text with another value names one.  Where the name depends on the session's sql_mode, which a
    server may be lying about, a file has two names, with backslashes as escapes and as they stand;
    and where the mode decides what is a name at all, there is none; nor where it is one for some
    servers only, which execute what is in a comment.
    """
    if "infile" not in sql.lower():
        return []
    values: list[object] = []
    if args is not None:
        filled = _with_values(sql, args, values)
        if filled is None:
            return []
        sql = filled
    places = set.intersection(*[reading.names(sql) for reading in _readings()])
    names = [_names(sql, start, end, values) for start, end in sorted(places)]
    return [found for found in names if found]


def _with_values(sql: str, args: object, values: list[object]) -> str | None:
    """`sql` as the server gets it, with `_VALUE` for each mark, whose values are put in `values`.

    None: what the marks stand for isn't certain.
    """
    if _VALUE in sql:
        return None
    positional = args if isinstance(args, (tuple, list)) else (args,)
    parts = []
    position = 0
    for mark in _MARK.finditer(sql):
        parts.append(sql[position : mark.start()])
        position = mark.end()
        if mark["other"] is not None:
            return None
        if mark[0] == "%%":
            parts.append("%")
            continue
        parts.append(_VALUE)
        if mark[1] is not None:
            values.append(args.get(mark[1]) if isinstance(args, Mapping) else None)
        else:
            values.append(positional[len(values)] if len(values) < len(positional) else None)
    return "".join([*parts, sql[position:]])


def _names(sql: str, start: int, end: int, values: list[object]) -> tuple[str, ...]:
    """The names of the file whose name stands there; empty: none is certain."""
    text = sql[start:end]
    if text == _VALUE:
        value = values[sql.count(_VALUE, 0, start)]
        if isinstance(value, str):
            return (str.__str__(value),)
        return (str(value),) if isinstance(value, os.PathLike) else ()
    if values and _VALUE in text:
        return ()
    quote = text[0]
    plain = text[1:-1].replace(quote * 2, quote)
    escaped = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), plain, flags=re.DOTALL)
    return (escaped, plain) if escaped != plain else (plain,)
