"""What is said of marks and arguments that do not fit."""

from __future__ import annotations

import re
import sys
from collections import UserDict
from typing import Any

import pytest

from aiomysql_protocol.sql.marks import (
    explained,
    explained_by_server,
    explained_preparation,
    explained_values,
)
from aiomysql_protocol.values.literals import Literals

#: What Python raises for a mark without a name behind one with a name.
NO_KEY = TypeError if sys.version_info < (3, 15) else ValueError

#: A statement, its arguments, what Python raises, and words of the message.
UNFIT: list[tuple[str, Any, type[Exception], str]] = [
    ("%s %s", (1,), TypeError, "2 %s marks, but one argument: give one argument for each mark"),
    ("%s", (), TypeError, "one %s mark, but no arguments"),
    ("%s", (1, 2, 3), TypeError, "one %s mark, but 3 arguments: .* a list for one mark, as in IN"),
    ("%s %s", [1, 2, 3], TypeError, "2 %s marks, but 3 arguments: give one"),
    ("%s %s", "ab", TypeError, "2 %s marks, but one argument, a str: give a tuple or list"),
    ("1", "ab", TypeError, "no %s marks, but one argument, a str: write %s where a value goes"),
    ("1", (5,), TypeError, "no %s marks, but one argument: write %s where a value goes"),
    ("?", (5,), TypeError, r"the mark \?, and one argument: write each mark as %s"),
    ("$1, $2", (5, 6), TypeError, r"the mark \$1, and 2 arguments: write each mark as %s"),
    (":id", (5,), TypeError, r"the mark :id, and one argument: write each mark as %\(name\)s"),
    (":1", (5,), TypeError, "the mark :1, and one argument: write each mark as %s"),
    ("'a:1' 12:30 a::1", (5,), TypeError, "no %s marks"),
    ("?, %s", (5, 6), TypeError, r"the marks %s and \?, and 2 arguments: write each mark as %s"),
    ("'?' `?` \"?\" /* ? */ # ?\n-- ?\n1", (5,), TypeError, "no %s marks"),
    ("@a := 1, '::x'", (5,), TypeError, "no %s marks"),
    ("LIKE '5%' AND %s", (1,), ValueError, r'"%\'" at position 7 .* percent sign is written %%'),
    ("LIKE '5% s' AND %s", (1,), TypeError, "'% s' at position 7 .* percent sign is written %%"),
    ("LIKE '%s%'", ("x",), TypeError, 'a mark stands within quotes.*LIKE %s.*"%x%"'),
    ("LIKE '%%%(a)s%'", {"a": "x"}, NO_KEY, "a mark stands within quotes"),
    ("LIKE '5%' AND b = '%s'", (1,), ValueError, "percent sign is written %%"),
    ("DATE_FORMAT(d, '%Y')", (1,), ValueError, "'%Y' at position 16"),
    ("%d", (1,), TypeError, "'%d' at position 0 .* marks are %s, whatever the type"),
    ("%", (1,), ValueError, "incomplete format"),
    ("%'", {"a": 1}, ValueError, "percent sign is written %%"),
    ("%(a)d", {"a": 1}, TypeError, r"'%\(a\)d' at position 0"),
    ("%(a)s %(b)s", {"b": 1}, KeyError, r"the mark %\(a\)s, but its arguments have no such key"),
    ("%(a)s %(b)s", UserDict(), KeyError, r"the marks %\(a\)s, %\(b\)s, but .* no such keys"),
    ("%(a)s", (1,), TypeError, r"%\(name\)s marks, but its arguments are a tuple: give a dict"),
    ("%(a)s", [UserDict(a=1)], TypeError, "a dict within a list: give the dict itself"),
    ("%(a)s", 5, TypeError, "its arguments are an int: give a dict"),
    ("%s", {"a": 1}, TypeError, "%s marks, but its arguments are a dict: give a tuple or list"),
    ("%s %(a)s", {"a": 1}, TypeError, r"%s and %\(name\)s marks: use one kind"),
    ("%(a)s %s", (1,), TypeError, r"%s and %\(name\)s marks: use one kind"),
]


@pytest.mark.parametrize(("query", "args", "kind", "words"), UNFIT, ids=str)
def test_unfit(query: str, args: Any, kind: type[Exception], words: str) -> None:
    try:
        literals = Literals().arguments(args)
    except TypeError as error:
        found = explained_values(error, query, args)
    else:
        with pytest.raises(kind) as raised:
            query % literals
        found = explained(raised.value, query, args)
    assert type(found) is kind
    assert re.search(words, str(found), re.DOTALL)


@pytest.mark.parametrize("query", ["%s", "%%s %s", "%s '%%'", "%% %s ?"])
def test_what_fits_is_not_explained(query: str) -> None:
    """The error is of something else."""
    error = TypeError("of an encoder")
    assert explained(error, query, (1,)) is error
    assert explained(error, "%(a)s", {"a": 1, "b": 2}) is error
    assert query % Literals().arguments((1,))


def test_errors_of_other_kinds_stay() -> None:
    class MyTypeError(TypeError):
        pass

    others: list[Exception] = [MyTypeError("mine"), UnicodeError("mine"), LookupError("mine")]
    for other in others:
        assert explained(other, "%s", ()) is other
    error = TypeError("mine")
    assert explained(error, b"%s", ()) is error
    for query in (b"%(a)s", "%s"):
        assert explained_values(error, query, ({},)) is error
    assert explained_values(error, "%(a)s", ({}, {})) is error


def test_values_are_not_shown() -> None:
    for query, args in (("%s", ("secret", "secret")), ("%(a)s", {"b": "secret"})):
        assert "secret" not in str(explained(KeyError(), query, args))


@pytest.mark.parametrize(
    "piece", ["'", "%(", "%((", "/*", "'\\", '"\\', "`", "a'", "-- ", "#", "%", "(", ":a", "\\"]
)
def test_long_statements(piece: str) -> None:
    """Nothing takes a time that grows with the square of the length: this would take minutes."""
    for count in (100_000, 100_001):
        explained(TypeError(), piece * count, (1,))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT ?, %s", r"the marks %s and \?: write each mark as %s"),
        ("SELECT %s, %(a)s", "use one kind"),
        ("SELECT '100%', ?", "percent sign is written %%"),
        ("SELECT '%s'", "a mark stands for a whole value"),
    ],
)
def test_preparation(query: str, words: str) -> None:
    assert re.search(words, explained_preparation(query))


NEAR = "You have an error in your SQL syntax; check the manual near '{}' at line 1"


@pytest.mark.parametrize(
    ("near", "query", "args", "words"),
    [
        ("%s", "SELECT %s", None, "the mark %s, but no arguments were given"),
        ("%(a)s", "SELECT %(a)s", None, r"the mark %\(a\)s, but no arguments were given"),
        ("?", "SELECT ?", None, r"\? is no mark here: write each mark as %s"),
        (":a", "SELECT :a", {"a": 1}, r":a is no mark here: write each mark as %\(name\)s"),
        (")", "a IN %s", ([],), "an empty list is written as ()"),
        (")", "a IN %(a)s", {"a": frozenset()}, "an empty list is written as ()"),
        (")", "(a, b) IN %s", ([(1, 2), ()],), "an empty list is written as ()"),
        ("x''", "'%s'", ("x",), "a mark stands between quotes"),
        ("x", "SELECT x x x", None, None),
        (")", "a IN %s", ([1],), None),
        ("y", "a = 'it%%s' y %s", (1,), None),
        ("x'%", "LIKE '%%%s%%'", ("x",), r"within quotes.*as in LIKE %s.*as in \"%x%\""),
        ("x'%", "LIKE '%(a)s%%'", {"a": "x"}, "within quotes, beside other text"),
        ("x'", "'\\\\' LIKE '%%%s'", "x", "within quotes, beside other text"),
        ("m", "SELECT '%s' FORM m", (1,), None),
        ("WERE", "UPDATE m SET id='%s' WERE id=%s", (1, "x"), None),
        ("x''", "UPDATE m SET id=%s, a='%s'", (1, "x"), "a mark stands between quotes"),
        ("y", '`%s` "%s" y', ("x", "x"), None),
        (")", "INSERT INTO m VALUES (%s)", ([],), "which is no value: give None for NULL"),
        (":1", "SELECT :1", None, ":1 is no mark here: write each mark as %s"),
    ],
)
def test_syntax_errors(near: str, query: str, args: Any, words: str | None) -> None:
    found = explained_by_server((1064, NEAR.format(near)), query, args)
    if words is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(words, found)
    assert explained_by_server((1146, NEAR.format(near)), query, args) is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1 IN %s", "a list for IN can't be prepared"),
        ("SELECT 1 in %(a)s", "a list for IN can't be prepared"),
        ("SELECT 1 IN ?", "a list for IN can't be prepared"),
        ("SELECT ? FORM t", None),
        ("SELECT :a, ?", r"write each mark as %\(name\)s"),
    ],
)
def test_syntax_errors_of_preparation(query: str, words: str | None) -> None:
    near = ":a, ?" if ":a" in query else "?"
    found = explained_by_server((1064, NEAR.format(near)), query, (), prepares=True)
    assert found is None if words is None else re.search(words, str(found))


def test_other_errors_of_servers() -> None:
    unknown = (1054, "Unknown column '$1' in 'SELECT'")
    assert "write each mark as %s" in str(explained_by_server(unknown, "SELECT $1", ()))
    assert explained_by_server(unknown, "SELECT a", ([],)) is None
    assert explained_by_server((), "SELECT ?", None) is None
    assert explained_by_server((1064, NEAR.format("?")), b"SELECT ?", None) is None
