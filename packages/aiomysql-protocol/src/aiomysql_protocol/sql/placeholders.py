"""Turns a statement with Python's marks (`%s`, `%(name)s`) into one with the server's (`?`).

A parameter is a value, not text: what a mark may stand for in a text statement (part of a name, a
position in ORDER BY, a piece of a string) it may not here. A statement in which a `?` could mean
something else than the literal in its place, or of which it is not certain where its literals end,
is left to the text way.

MySQL: "String Literals", "Schema Object Names", "Comments", "ORDER BY".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiomysql_protocol.sql.parameter_places import Place, Places
from aiomysql_protocol.values.parameters import NeedsTextError

__all__ = ["ParsedStatement", "convert"]


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """A statement that may be prepared. (The server may refuse to: then it goes as text.)"""

    #: With `?` for the marks and `%` for `%%`.
    statement: str
    #: How many marks it has. If the server finds another number of parameters it must go as text.
    parameters: int
    #: For `%(name)s` marks the names in the order of the marks; None for `%s`.
    names: tuple[str, ...] | None
    #: Where the marks stand, which decides what may be sent for them.
    places: tuple[Place, ...] = field(default=(), compare=False)

    def arrange(self, args: object) -> Sequence[Any]:
        """The values for the marks: `args` is a tuple or list, a mapping, or a single value.

        Raises NeedsTextError when they don't fit; the text way will say what is wrong.
        """
        if self.names is not None:
            if isinstance(args, Mapping) and all(name in args for name in self.names):
                return [args[name] for name in self.names]
        elif isinstance(args, (tuple, list)):
            if len(args) == self.parameters:
                return args
        elif self.parameters == 1 and not isinstance(args, Mapping):
            return [args]
        raise NeedsTextError("the arguments don't fit the statement's marks")


def convert(
    statement: str, *, no_backslash_escapes: bool | None = None, ansi_quotes: bool | None = None
) -> ParsedStatement | None:
    """`statement` with the server's marks; None: it must go as text.

    The two modes are those of the session's sql_mode; None when it isn't known whether they are on.
    """
    tokens = _tokens(no_backslash_escapes, ansi_quotes)
    scanner = _Scanner()
    for match in tokens.finditer(statement):
        kind = match.lastgroup
        if kind is None or not scanner.take(kind, match[0]):
            return None
    return scanner.parsed()


def _quoted(quote: str, backslash: bool | None) -> str:
    """A pattern for what stands in `quote`; `backslash`: whether one escapes what follows."""
    if backslash is False:
        return rf"{quote}(?:[^{quote}]|{quote}{quote})*+{quote}"
    escape = r"\\.|" if backslash else ""  # where it isn't known nothing with a backslash matches
    return rf"{quote}(?:[^{quote}\\]|{escape}{quote}{quote})*+{quote}"


@cache
def _tokens(no_backslash_escapes: bool | None, ansi_quotes: bool | None) -> re.Pattern[str]:
    backslash = None if no_backslash_escapes is None else not no_backslash_escapes
    in_double = backslash
    if ansi_quotes:
        in_double = False  # they hold a name, in which a backslash is an ordinary character
    elif ansi_quotes is None and backslash:
        in_double = None
    return re.compile(
        rf"""
          (?P<mark> %s | %\([^()%]*\)s )
        | (?P<percent> %% )
        | (?P<string> {_quoted("'", backslash)} | {_quoted('"', in_double)} )
        | (?P<name> {_quoted("`", False)} )
        | (?P<comment> /\*(?!!|M!).*?\*/ | \#[^\n]*+ | --(?=[\x00-\x20\x7f]|\Z)[^\n]*+
                     | /\*M?!(?:\d{{5,6}})? | \*/(?!\*) )  # around what a server may execute
        | (?P<word> [\w$@.\x80-\U0010ffff]++ )
        | (?P<space> [\x00-\x20\x7f]++ )
        | (?P<end> ; )
        | (?P<unclear> [%'"`?] | /\*(?!!|M!) | \*/ )
        | (?P<other> . )
        """,
        re.VERBOSE | re.DOTALL,
    )


#: Behind these words of a clause an integer literal is no position any more.
_ENDS_LIST = frozenset({"SELECT", "LIMIT", "HAVING", "UNION", "EXCEPT", "INTERSECT", "WINDOW"})


class _Scanner:
    """Goes over a statement's tokens and finds what stands in a mark's way."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._names: list[str | None] = []
        self._places = Places()
        self._last = ("", "")  # kind and text of the token before, also a space or a comment
        self._before = ("", "")  # of the last one that is neither
        self._ended = False  # whether a semicolon came
        self._depth = 0  # of parentheses
        self._lists: set[int] = set()  # the depths at which an ORDER BY or GROUP BY list is open

    def take(self, kind: str, text: str) -> bool:
        """Add a token; False: the statement must go as text."""
        if kind == "unclear":
            return False
        self._places.take(kind, text)
        if kind == "mark":
            if not self._may_be_parameter():
                return False
            self._names.append(text[2:-2] if len(text) > 2 else None)
            self._parts.append("?")
        else:
            if self._glued_to_mark(kind):
                return False
            unformatted = text.replace("%%", "")
            if "%" in unformatted:  # a mark within a literal, a name or a comment
                return False
            self._parts.append(text.replace("%%", "%"))
        if self._ended and text.strip(" \t\n\v\f\r"):
            return False  # a second statement, be it an empty one (a NUL is one for servers)
        if kind in ("space", "comment"):
            self._last = (kind, text)
            return True
        self._follow(kind, text)
        self._last = self._before = (kind, text)
        return True

    def parsed(self) -> ParsedStatement | None:
        """What was found."""
        named = [name for name in self._names if name is not None]
        if named and len(named) < len(self._names):
            return None
        names = tuple(named) if named else None
        return ParsedStatement("".join(self._parts), len(self._names), names, self._places.end())

    def _may_be_parameter(self) -> bool:
        if self._last[0] in ("word", "name") or self._before[0] in ("string", "mark"):
            return False  # part of a name, of a number, or of a string in several pieces
        return not self._at_list_item() and self._before[1].upper() != "ESCAPE"

    def _glued_to_mark(self, kind: str) -> bool:
        if kind in ("word", "name"):
            return self._last[0] == "mark"
        return kind == "string" and self._before[0] == "mark"

    def _at_list_item(self) -> bool:
        """Whether an integer here would be the position of a column."""
        return self._depth in self._lists and self._before[1].upper() in ("BY", ",", "(")

    def _follow(self, kind: str, text: str) -> None:
        """Keep track of parentheses and lists."""
        word = text.upper() if kind == "word" else text
        if kind == "end":
            self._ended = True
        elif word == "(":
            inside = self._at_list_item()
            self._depth += 1
            if inside:
                self._lists.add(self._depth)
        elif word == ")":
            self._lists.discard(self._depth)
            self._depth -= 1
        elif word == "BY":
            self._lists.add(self._depth)
        elif word in _ENDS_LIST:
            self._lists.discard(self._depth)
