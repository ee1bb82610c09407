"""Which statements executemany sends as one, and what they look like then."""

from __future__ import annotations

import pytest

from aiomysql_core.batching import InsertTemplate, split_insert


@pytest.mark.parametrize(
    ("statement", "template"),
    [
        ("INSERT INTO t VALUES (%s)", ("INSERT INTO t VALUES ", "(%s)", "")),
        ("replace t(a,b)values(%s , %(b)s);", ("replace t(a,b)values", "(%s , %(b)s)", "")),
        (
            " INSERT INTO t (`values`, `a%%`) VALUE (%s,\n%s) ON DUPLICATE KEY UPDATE a = '%%'",
            (
                " INSERT INTO t (`values`, `a%`) VALUE ",
                "(%s,\n%s)",
                " ON DUPLICATE KEY UPDATE a = '%'",
            ),
        ),
        (
            "INSERT INTO t VALUES (%s) AS new ON DUPLICATE KEY UPDATE a = new.a",
            ("INSERT INTO t VALUES ", "(%s)", " AS new ON DUPLICATE KEY UPDATE a = new.a"),
        ),
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
