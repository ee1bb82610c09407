"""Which statements executemany sends as one, and what they look like then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pymysql.err import DataError

from aiomysql_core.bulk.batches import insert_batch
from aiomysql_core.bulk.insert import InsertTemplate, split_insert
from aiomysql_protocol.values.literals import Literals


@pytest.mark.parametrize(
    ("statement", "template"),
    [
        ("INSERT INTO t VALUES (%s)", ("INSERT INTO t VALUES ", "(%s)", "")),
        ("replace t(a,b)values(%s , %(b)s);", ("replace t(a,b)values", "(%s , %(b)s)", "")),
        (
            " INSERT INTO t (`values`, `a%%`) VALUE (%s,\n%s) ON DUPLICATE KEY UPDATE a = '%%'",
            (
                "INSERT INTO t (`values`, `a%`) VALUE ",
                "(%s,\n%s)",
                " ON DUPLICATE KEY UPDATE a = '%'",
            ),
        ),
        (
            "INSERT INTO t VALUES (%s) AS new ON DUPLICATE KEY UPDATE a = new.a",
            ("INSERT INTO t VALUES ", "(%s)", " AS new ON DUPLICATE KEY UPDATE a = new.a"),
        ),
        (" \n\tREPLACE t VALUES (%s) \n;\n ", ("REPLACE t VALUES ", "(%s)", " \n")),
        ("INSERT INTO t VALUES (';', %s)", None),
        ("INSERT INTO t (`;`) VALUES (%s)", ("INSERT INTO t (`;`) VALUES ", "(%s)", "")),
        (
            "INSERT INTO t VALUES (%s) ON DUPLICATE KEY UPDATE a = ';';",
            ("INSERT INTO t VALUES ", "(%s)", " ON DUPLICATE KEY UPDATE a = ';';"),
        ),
        # Several statements in one text, or perhaps.
        ("INSERT INTO t VALUES (1); INSERT INTO t VALUES (%s)", None),
        ("INSERT INTO t VALUES (%s); SELECT 1", None),
        ("INSERT INTO t VALUES (%s) AS new; DELETE FROM t", None),
        ("INSERT INTO t VALUES (%s) ON DUPLICATE KEY UPDATE a = 1; DELETE FROM t", None),
        ("INSERT INTO t VALUES ('\\'); DELETE FROM t; INSERT INTO t VALUES (%s)", None),
        ("INSERT INTO t /* ; */ VALUES (%s)", None),
        ("INSERT INTO t VALUES (%s); -- behind", None),
        ("INSERT INTO t VALUES (%s) -- behind", None),
        ("INSERT INTO t SELECT a FROM u WHERE b = %s", None),
        ("INSERT INTO t VALUES (%s) ON DUPLICATE KEY UPDATE a = %s", None),
        ("INSERT INTO t VALUES (%s, NOW())", None),
        ("INSERT INTO t SELECT * FROM (VALUES (%s)) AS v", None),
        ("UPDATE t SET a = %s", None),
        ("SELECT 'INSERT INTO t VALUES (%s)'", None),
    ],
)
def test_split_insert(statement: str, template: tuple[str, str, str] | None) -> None:
    assert split_insert(statement) == (InsertTemplate(*template) if template else None)


def built(
    statement: str, args: Sequence[object], encoding: str = "utf8", longest: int = 1000
) -> list[bytes]:
    template, literals = split_insert(statement), Literals()
    assert template is not None
    batch = insert_batch(template, lambda: literals, encoding)
    statements, start = [], 0
    while start < len(args):
        start = batch.add(args, start, longest)
        statements.append(batch.take())
    return statements


def test_statements_are_the_same_whoever_writes_them() -> None:
    rows = [(number, "ü'" * (number % 7), b"x", None) for number in range(100)]
    named = [dict(zip("abcd", row, strict=True)) for row in rows]
    many = "REPLACE t VALUES (%s, %s,%s , %s) ON DUPLICATE KEY UPDATE a = 'é%%'"
    by_name = "REPLACE t VALUES (%(a)s, %(b)s,%(c)s , %(d)s) ON DUPLICATE KEY UPDATE a = 'é%%'"
    for longest in (1, 150, 1000, 10_000):
        statements = built(many, rows, longest=longest)
        assert statements == built(many, rows, "utf-8", longest)
        assert statements == built(by_name, named, longest=longest)
        assert statements == built(many, [list(row) for row in rows], longest=longest)
        values = [s.removesuffix(" ON DUPLICATE KEY UPDATE a = 'é%'".encode()) for s in statements]
        assert all(value.startswith(b"REPLACE t VALUES (") for value in values)
        joined = b",".join(value.removeprefix(b"REPLACE t VALUES ") for value in values)
        assert joined.decode() == ",".join(
            "({}, {},{} , {})".format(*Literals().arguments(row)) for row in rows
        )
        assert all(len(s) <= longest or b"),(" not in s for s in statements)
    assert len(built(many, rows, longest=1)) == 100
    assert len(built(many, rows, longest=10_000)) == 1


def test_as_many_rows_as_fit() -> None:
    insert = "INSERT t VALUES (%s)"
    assert built(insert, ["a", "b", "c"], longest=27) == [
        b"INSERT t VALUES ('a'),('b')",
        b"INSERT t VALUES ('c')",
    ]
    assert len(built(insert, ["a", "b", "c"], longest=26)) == 3
    assert built(insert, [("a",), ("b",), ("c",)], longest=27) == built(
        insert, ["a", "b", "c"], longest=27
    )


@pytest.mark.parametrize(
    ("row", "error", "words"),
    [
        ((1, 2), TypeError, "not all arguments converted"),
        ((), TypeError, "not enough arguments"),
        (("\ud800",), DataError, "surrogates not allowed"),
        ({"a": 1}, TypeError, "its arguments are a dict"),
    ],
)
def test_a_row_that_does_not_fit_the_marks(row: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        built("INSERT t VALUES (%s)", [(1,), row])
