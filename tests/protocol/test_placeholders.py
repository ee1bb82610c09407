"""Statements with Python's marks and with the server's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiomysql_protocol.sql.placeholders import ParsedStatement, convert
from aiomysql_protocol.values.parameters import NeedsTextError


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT %s", "SELECT ?"),
        ("SELECT * FROM t WHERE a=%s AND b IN (%s,%s)", "SELECT * FROM t WHERE a=? AND b IN (?,?)"),
        ("INSERT INTO t VALUES (%s, -%s);", "INSERT INTO t VALUES (?, -?);"),
        ("SELECT 5%%%s", "SELECT 5%?"),
        ("SELECT 'it''s 100%% \\' ?', %s", "SELECT 'it''s 100% \\' ?', ?"),
        ("SELECT `a``?`, %s", "SELECT `a``?`, ?"),
        ("SELECT 1 -- it's ?\n, %s", "SELECT 1 -- it's ?\n, ?"),
        ("SELECT 1 # it's\n, %s --", "SELECT 1 # it's\n, ? --"),
        ("SELECT 1--%s", "SELECT 1--?"),  # two minus signs
        ("SELECT /* it's ? */ %s", "SELECT /* it's ? */ ?"),
        ("SELECT /*! STRAIGHT_JOIN */ %s", "SELECT /*! STRAIGHT_JOIN */ ?"),
        ("SELECT /*! '?' , */ %s", "SELECT /*! '?' , */ ?"),
        ("SELECT a FROM t ORDER BY f(a, %s), a = %s LIMIT %s, %s", None),
        ("SELECT MAX(a) OVER (ORDER BY b), %s FROM t", "SELECT MAX(a) OVER (ORDER BY b), ? FROM t"),
        ("SELECT a FROM t GROUP BY a, b HAVING %s", "SELECT a FROM t GROUP BY a, b HAVING ?"),
        ("SELECT é, %s", "SELECT é, ?"),
    ],
)
def test_converted(statement: str, expected: str | None) -> None:
    parsed = convert(statement, no_backslash_escapes=False)
    if expected is None:
        expected = statement.replace("%s", "?")
    count = expected.count("?") - literal_marks(expected)
    assert parsed == ParsedStatement(expected, count, None)


def literal_marks(statement: str) -> int:
    """How many of the question marks in the samples above are none."""
    return sum(statement.count(text) for text in ("?'", "?`", "?\n", "? *"))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT '%s'",
        "SELECT `%s`",
        'SELECT "%s"',
        "SELECT 1 -- %s",
        "SELECT /* %s */ 1",
        "SELECT # %s",
        "SELECT ?, %s",
        "SELECT %s, %(a)s",
        "SELECT %d",
        "SELECT %5s",
        "SELECT 5 % 3, %s",
        "SELECT 'a",
        "SELECT %s 'a'",
        "SELECT 'a' /* and */ %s",
        "SELECT %s %s",
        "SELECT a_%s",
        "SELECT %sa",
        "SELECT @%s",
        "SELECT `a`%s",
        "SELECT 1; SELECT %s",
        "SELECT %s/*!'a'*/",
        "SELECT 2*/* or the end of one */%s",
        "SELECT %s; -- an empty one",
        "SELECT %s;;",
        "SELECT %s;\0",
        "SELECT /* %s",
        "SELECT a FROM t ORDER BY %s",
        "SELECT a FROM t GROUP BY a, %s",
        "SELECT a FROM t ORDER BY (%s)",
        "SELECT a LIKE %s ESCAPE %s",
    ],
)
def test_left_as_text(statement: str) -> None:
    assert convert(statement, no_backslash_escapes=False, ansi_quotes=False) is None


# Where a literal ends depends on the modes; where they are not known, nothing is guessed.
@pytest.mark.parametrize(
    ("statement", "no_backslash", "ansi", "converts"),
    [
        (r"SELECT 'a\' , ', %s", False, None, True),
        (r"SELECT 'a\' , ', %s", True, None, False),
        (r"SELECT 'a\' , ', %s", None, None, False),
        (r"SELECT 'a\', %s", True, None, True),
        (r"SELECT 'a\', %s", False, None, False),
        (r'SELECT "a\" , ", %s', False, False, True),
        (r'SELECT "a\" , ", %s', False, True, False),
        (r'SELECT "a\" , ", %s', False, None, False),
        (r'SELECT "a\", %s', False, True, True),
        (r'SELECT "a\", %s', True, None, True),
        ('SELECT "a""?", %s', None, None, True),
    ],
)
def test_modes(
    statement: str, no_backslash: bool | None, ansi: bool | None, converts: bool
) -> None:
    found = convert(statement, no_backslash_escapes=no_backslash, ansi_quotes=ansi)
    assert (found is not None) is converts


def test_names() -> None:
    parsed = convert("SELECT %(a)s, %(b)s, %(a)s", no_backslash_escapes=False)
    assert parsed == ParsedStatement("SELECT ?, ?, ?", 3, ("a", "b", "a"))
    assert parsed.arrange({"a": 1, "b": None, "c": 3}) == [1, None, 1]
    for args in ({"a": 1}, (1, 2, 3), 1):
        with pytest.raises(NeedsTextError):
            parsed.arrange(args)


def test_positions() -> None:
    one = convert("SELECT %s")
    two = convert("SELECT %s, %s")
    assert one is not None
    assert two is not None
    for args in (5, (5,), [5]):
        assert list(one.arrange(args)) == [5]
    assert one.arrange("ab") == ["ab"]
    assert two.arrange((1, 2)) == (1, 2)
    wrong: list[tuple[ParsedStatement, Any]]
    wrong = [(one, ()), (one, {"a": 1}), (two, 1), (two, (1, 2, 3))]
    for parsed, args in wrong:
        with pytest.raises(NeedsTextError):
            parsed.arrange(args)


PIECES = st.sampled_from(
    [
        *("'", '"', "`", "\\", "''", "%%", "?", "-- ", "--", "#", "/*", "*/", "/*!", "\n", " "),
        *(", ", "a", "=", "(", ")", ";", "ORDER BY ", "LIMIT ", "é", "5", "'x%%?'", "\0", "%"),
    ]
)


@given(st.lists(st.lists(PIECES, max_size=5).map("".join), min_size=1, max_size=6), st.booleans())
def test_only_the_marks_change(pieces: list[str], no_backslash: bool) -> None:
    """What is converted is the statement with `?` for each mark, and nothing else."""
    # A percent sign left alone in front of a mark would make `%%` and `s` of it.
    assume(not any(piece.replace("%%", "").endswith("%") for piece in pieces[:-1]))
    parsed = convert("%s".join(pieces), no_backslash_escapes=no_backslash)
    if parsed is not None:
        assert parsed.parameters == len(pieces) - 1
        assert parsed.statement == "?".join(pieces).replace("%%", "%")
        assert "%s".join(pieces) % (("?",) * parsed.parameters) == parsed.statement


@pytest.mark.slow
@given(st.text(max_size=60))
def test_any_text(statement: str) -> None:
    parsed = convert(statement, no_backslash_escapes=False)
    assert parsed is None or parsed.statement.count("?") >= parsed.parameters
