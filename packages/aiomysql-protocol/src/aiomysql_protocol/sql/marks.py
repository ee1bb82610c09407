"""What is wrong with a statement's marks and its arguments, in words.

Asked only where writing the one into the other has failed, or the server has refused the statement.
Neither values nor the statement's text are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from numbers import Number
from typing import Any, NamedTuple

__all__ = ["explained", "explained_by_server", "explained_preparation", "explained_values"]

# (The patterns are compiled where they are needed: importing them costs nothing.)

#: What Python's % operator takes for a mark; the last part is missing where the text ends.
_FORMAT = (
    r"(?s)%(?:\((?P<name>(?:[^()]++|\([^()]*+\))*+)\))?"
    r"(?P<form>[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*)?)?[hlL]?)(?P<kind>.?)"
)

#: Strings, names and comments, in which a question mark is one.
_NO_MARKS = (
    r"""'(?:[^'\\]++|\\.?|'')*+(?:'|\Z)|"(?:[^"\\]++|\\.?|"")*+(?:"|\Z)|`[^`]*+(?:`|\Z)"""
    r"""|/\*.*?(?:\*/|\Z)|\#[^\n]*+|--\s[^\n]*+"""
)

#: Marks of other drivers.
_FOREIGN = rf"(?sx){_NO_MARKS}|(?P<mark>\?|\$\d+|(?<![:\w@]):(?:[A-Za-z_]\w*|\d+))"

#: What stands before a mark for a list.
_IN = r"(?i)\bIN\s*\(?\s*\Z"

#: The server's error is about a mark that it was sent.
_NEAR_MARK = r"(?:near|column) '(%s|%\([^()']*\)s|\?|\$\d+|:[A-Za-z_]\w*|:\d+)"

_QUOTED_MARK = "a mark stands between quotes: write it without, they are added where needed"

_QUOTED_PATTERN = (
    "a mark stands within quotes, beside other text: write the mark alone, as in LIKE %s, and give "
    'the whole text as its value, as in "%x%"'
)

_DICT_IN_LIST = (
    "the statement has %(name)s marks, but its arguments are a dict within a {}: give the dict "
    "itself"
)

#: ER_PARSE_ERROR and ER_BAD_FIELD_ERROR.
_SYNTAX, _COLUMN = 1064, 1054


class _Marks(NamedTuple):
    #: Those that are ``%s``, and how many values all take that have no name.
    plain: int
    positional: int
    #: The names of those that have one.
    names: list[str]
    #: The first that is none of these, and where it stands.
    stray: tuple[str, int] | None


def _marks(query: str) -> _Marks:
    plain = positional = 0
    names: list[str] = []
    stray = None
    for found in re.finditer(_FORMAT, query):
        name, form, kind = found["name"], found["form"], found["kind"]
        if kind == "%" and name is None and not form:
            continue
        if kind == "s" and name is not None:
            names.append(name)
            continue
        is_mark = kind == "s" and not form
        plain += is_mark
        positional += 1
        # `%5s` and `%r` are formats of Python, and the text in front of a value may end with one.
        if stray is None and not is_mark:
            stray = found[0], found.start()
    return _Marks(plain, positional, names, stray)


class _Mark(NamedTuple):
    name: str | None
    #: Its number among those without a name.
    number: int
    start: int
    end: int
    #: Where the string in single quotes begins and ends in which it stands; None: in none.
    string: tuple[int, int] | None


def _placed_marks(query: str) -> Iterator[_Mark]:
    """The marks for values."""
    strings = (
        found.span() for found in re.finditer(rf"(?sx){_NO_MARKS}", query) if found[0][0] == "'"
    )
    string = next(strings, None)
    number = 0
    for found in re.finditer(_FORMAT, query):
        start, end = found.span()
        if found["kind"] != "s" or found["form"]:
            continue
        while string is not None and string[1] <= start:
            string = next(strings, None)
        is_inside = string is not None and string[0] < start
        yield _Mark(found["name"], number, start, end, string if is_inside else None)
        number += found["name"] is None


def _values_in_place(query: str, args: object) -> Iterator[tuple[object, _Mark]]:
    """The values for the marks."""
    if not isinstance(args, (tuple, list, Mapping)):
        args = (args,)
    for mark in _placed_marks(query):
        if isinstance(args, Mapping):
            if mark.name in args:
                yield args[mark.name], mark
        elif mark.name is None and mark.number < len(args):
            yield args[mark.number], mark


def _is_for_list(query: str, mark: _Mark) -> bool:
    return re.search(_IN, query[max(0, mark.start - 40) : mark.start]) is not None


def _is_in_pattern(query: str, position: int) -> bool:
    """Whether a mark stands within the quotes in which that position is."""
    return any(
        mark.string is not None and mark.string[0] < position < mark.string[1]
        for mark in _placed_marks(query)
    )


def _foreign(query: str) -> str | None:
    """The first mark of another driver's kind."""
    return next((found["mark"] for found in re.finditer(_FOREIGN, query) if found["mark"]), None)


def _own_mark(foreign: str) -> str:
    """What is to be written for a mark of another driver's."""
    return "%(name)s" if foreign[0] == ":" and not foreign[1:].isdigit() else "%s"


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"one {what}"
    return f"{number or 'no'} {what}s"


def _kind(args: object) -> str:
    name = type(args).__name__
    return f"an {name}" if name[:1] in "aeiouAEIOU" else f"a {name}"


def _stray_words(query: str, stray: tuple[str, int]) -> str:
    text, start = stray
    if not text[1:].isalpha() and _is_in_pattern(query, start):
        return _QUOTED_PATTERN
    what = "no mark" if text != "%" else "an incomplete format"
    return (
        f"the {text[:20]!r} at position {start} of the statement is {what}: marks are %s, whatever "
        "the type of the value, and a percent sign is written %%"
    )


def _of_mapping(query: str, marks: _Marks, args: Mapping[Any, Any]) -> str | None:
    if marks.plain and marks.names:
        return (
            "the statement has %s and %(name)s marks: use one kind, and for %(name)s give its "
            "arguments as a dict"
        )
    if marks.plain:
        return (
            "the statement has %s marks, but its arguments are a dict: give a tuple or list, or "
            "name the marks, %(name)s"
        )
    if marks.stray is not None:
        return _stray_words(query, marks.stray)
    missing = [name for name in dict.fromkeys(marks.names) if name not in args]
    if missing:
        asked = ", ".join(f"%({name})s" for name in missing)
        is_one = len(missing) == 1
        return (
            f"the statement has the mark{'s' * (not is_one)} {asked}, but its arguments have no "
            f"such key{'s' * (not is_one)}: add {'it' if is_one else 'them'}, None for NULL"
        )
    return None


def _of_values(query: str, marks: _Marks, args: object) -> str | None:
    is_many = isinstance(args, (tuple, list))
    if marks.names:
        if marks.positional:
            return (
                "the statement has %s and %(name)s marks: use one kind, and for %(name)s give its "
                "arguments as a dict"
            )
        if _is_dict_in_list(args):
            return _DICT_IN_LIST.format(type(args).__name__)
        return (
            f"the statement has %(name)s marks, but its arguments are {_kind(args)}: give a dict, "
            "or use %s marks"
        )
    if marks.stray is not None:
        return _stray_words(query, marks.stray)
    count = len(args) if isinstance(args, (tuple, list)) else 1
    if count == marks.plain:
        return None
    given = _count(count, "argument") + ("" if is_many else f", {_kind(args)}")
    # (The words in front are Python's.)
    words = "not enough arguments" if count < marks.plain else "not all arguments converted"
    foreign = _foreign(query)
    if foreign is not None:
        other = _own_mark(foreign)
        found = f"the marks %s and {foreign}" if marks.plain else f"the mark {foreign}"
        return f"{words}: the statement has {found}, and {given}: write each mark as {other}"
    fix = "give one argument for each mark"
    if not marks.plain:
        fix = "write %s where a value goes"
    elif not is_many:
        fix = "give a tuple or list with one value for each mark"
    elif marks.plain == 1 and count > 1:
        fix = "give one argument for each mark; a list for one mark, as in IN %s, goes in a tuple"
    return f"{words}: the statement has {_count(marks.plain, '%s mark')}, but {given}: {fix}"


def _is_dict_in_list(args: object) -> bool:
    return isinstance(args, (tuple, list)) and len(args) == 1 and isinstance(args[0], Mapping)


def explained_values(error: Exception, query: object, args: object, /) -> Exception:
    """An error of the same class that says what is wrong; `error` itself, if that isn't known.

    error: what making literals of `args` has raised.
    """
    if type(error) is not TypeError or not isinstance(query, str) or not _is_dict_in_list(args):
        return error
    return TypeError(_DICT_IN_LIST.format(type(args).__name__)) if _marks(query).names else error


def explained(error: Exception, query: object, args: object, /) -> Exception:
    """An error of the same class that says what is wrong; `error` itself, if that isn't known.

    error: what ``query % literals`` has raised; args: what the literals were made of.
    """
    if type(error) not in (TypeError, ValueError, KeyError) or not isinstance(query, str):
        return error
    marks = _marks(query)
    words = (
        _of_mapping(query, marks, args)
        if isinstance(args, Mapping)
        else _of_values(query, marks, args)
    )
    return error if words is None else type(error)(words)


def explained_preparation(query: str) -> str:
    """Why a statement with ``%`` can't be prepared."""
    marks, foreign = _marks(query), _foreign(query)
    if (marks.plain or marks.names) and foreign is not None:
        return f"the statement has the marks %s and {foreign}: write each mark as %s"
    if marks.plain and marks.names:
        return "the statement has %s and %(name)s marks: use one kind"
    if marks.stray is not None:
        return _stray_words(query, marks.stray)
    return (
        "its marks are not values: a mark stands for a whole value, neither for a name nor within "
        "quotes or a comment, nor for a place in ORDER BY"
    )


def _is_empty_list(value: object) -> bool:
    return isinstance(value, (tuple, list, range, set, frozenset)) and (
        not value or any(map(_is_empty_list, value))
    )


def _has_quotes(value: object) -> bool:
    """Whether its literal has."""
    if isinstance(value, (tuple, list, range, set, frozenset)):
        return any(map(_has_quotes, value))
    return value is not None and not isinstance(value, Number)


def explained_by_server(
    error: tuple[Any, ...], query: object, args: object, *, prepares: bool = False
) -> str | None:
    """What is wrong with the marks and arguments of a statement that the server has refused; None:
    nothing that is known.

    error: number and message; prepares: the statement was to be prepared.
    """
    if len(error) < 2 or error[0] not in (_SYNTAX, _COLUMN) or not isinstance(query, str):
        return None
    if prepares and error[0] == _SYNTAX:
        # (One without `%` has the server's own marks, which look the same in the message.)
        if re.search(r"(?i)\bIN\s*(?:\?|%s|%\([^()]*\)s)", query):
            return (
                "a list for IN can't be prepared: run the statement with a cursor, and %s for the "
                "list, or prepare one with a mark for each of its elements"
            )
        query = query.replace("?", " ")
    found = re.search(_NEAR_MARK, str(error[1]))
    if found is not None and found[1] in query:
        mark = found[1]
        if mark[0] != "%":
            return (
                f"{mark} is no mark here: write each mark as {_own_mark(mark)}, and give its "
                "arguments"
            )
        if args is None:
            return f"the statement has the mark {mark}, but no arguments were given"
    if error[0] != _SYNTAX or args is None:
        return None
    for value, mark in _values_in_place(query, args):
        if _is_empty_list(value):
            if _is_for_list(query, mark):
                return (
                    "an empty list is written as (), which IN can't have: leave the condition out, "
                    "or give (None,), in which no value is"
                )
            return (
                "an empty list is written as (), which is no value: give None for NULL, or the "
                "text that is to be stored"
            )
        if mark.string is not None and _has_quotes(value):
            is_alone = mark.string == (mark.start - 1, mark.end + 1)
            return _QUOTED_MARK if is_alone else _QUOTED_PATTERN
    return None
