"""Where marks stand: what of a statement may be a parameter."""

from __future__ import annotations

import pytest

from aiomysql_protocol.sql.parameter_places import Place
from aiomysql_protocol.sql.placeholders import convert

SHORT = {"v": Place.VALUE, "n": Place.OPERAND, "c": Place.COUNT, "-": Place.OTHER}


@pytest.mark.parametrize(
    ("statement", "places"),
    [
        # Compared.
        ("SELECT * FROM t WHERE id = %s", "v"),
        ("SELECT * FROM t WHERE `id`=%s", "v"),
        ("select * from t where id = %s and t.b <> %s or %s < c", "vvv"),
        ("SELECT * FROM t WHERE NOT (a <=> %s) AND (b LIKE %s OR c NOT LIKE %s)", "vvv"),
        ("SELECT * FROM t WHERE a IN (%s, %s) AND b NOT IN (%s)", "vvv"),
        ("SELECT * FROM t WHERE (a, b) IN ((%s, %s), (%s, %s)) AND (a, b) > (%s, %s)", "vvvvvv"),
        ("SELECT * FROM t WHERE a BETWEEN %s AND %s AND b >= %s", "vvv"),
        ("SELECT * FROM a JOIN b ON a.i = b.i AND b.x = %s LEFT JOIN c ON c.i = %s", "vv"),
        ("SELECT COUNT(*) FROM t GROUP BY a HAVING COUNT(*) > %s ORDER BY a LIMIT %s", "vc"),
        ("SELECT IF(a = %s, 1, 0), SUM(b < %s) FROM t ORDER BY c = %s DESC", "vvv"),
        ("/* which */ (SELECT a FROM t WHERE b = %s -- these\n) LIMIT %s", "vc"),
        ("SELECT a FROM t WHERE f(b, 'x') = %s", "v"),
        # Stored.
        ("INSERT INTO t VALUES (%s, %s), (%s, DEFAULT)", "vvv"),
        ("INSERT INTO t (a, b) VALUES (%s, NOW()) ON DUPLICATE KEY UPDATE b = %s", "vv"),
        ("REPLACE INTO t SET a = %s, b = %s", "vv"),
        ("UPDATE t SET a = %s, b = b + %s WHERE id = %s LIMIT %s", "vnvc"),
        ("DELETE FROM t WHERE a < %s", "v"),
        # Columns of the result.
        ("SELECT %s, a, %s FROM t", "vv"),
        ("SELECT DISTINCT %s AS x", "v"),
        ("DO %s, 2", "v"),
        # Numbers.
        ("SELECT a FROM t LIMIT %s, %s", "cc"),
        ("SELECT a FROM t LIMIT %s OFFSET %s", "cc"),
        ("SELECT a FROM t WHERE b - %s > c AND (b) * %s < 5 AND 1 + %s = b", "nnn"),
        # More than one query.
        ("SELECT * FROM t WHERE id IN (SELECT i FROM u WHERE n = %s) AND a = %s", "--"),
        ("SELECT a FROM t WHERE b = %s UNION SELECT a FROM u WHERE b = %s", "--"),
        ("SELECT a FROM t WHERE b = %s EXCEPT TABLE u", "-"),
        ("WITH x AS (SELECT * FROM t WHERE a = %s) SELECT * FROM x WHERE b = %s", "--"),
        # A type may matter.
        ("SELECT f(%s)", "-"),
        ("SELECT CAST(%s AS TIME)", "-"),
        ("SELECT a FROM t WHERE WEEKDAY(%s) = %s", "-v"),
        ("SELECT a FROM t WHERE b LIKE CONCAT(%s, '%%')", "-"),
        ("INSERT INTO t VALUES (f(%s), %s)", "-v"),
        ("INSERT INTO t SELECT %s, a FROM u WHERE b = %s", "-v"),
        ("SELECT 7 UNION ALL SELECT %s", "-"),
        ("SELECT %s UNION ALL SELECT 7", "-"),
        ("SELECT x FROM (SELECT %s AS x) AS d", "-"),
        ("WITH d AS (SELECT %s AS x) SELECT %s FROM d", "--"),
        ("SELECT (%s), (SELECT %s)", "--"),
        ("SELECT a FROM t WHERE b = (%s) / 3", "-"),
        ("SELECT a FROM t WHERE b = (%s)", "-"),
        ("SELECT a FROM t WHERE b = %s + 1 AND c = -%s", "--"),
        ("SELECT a / %s, a DIV %s, a & %s, a << %s, a || %s, a <<%s FROM t", "------"),
        ("SELECT %s + a, %s IS NULL, %s COLLATE utf8mb4_bin, %s LIKE a, a=-%s FROM t", "-----"),
        ("SELECT a = %s = b FROM t", "-"),
        ("SELECT @a := %s", "-"),
        ("SELECT a FROM t WHERE %s AND NOT %s", "--"),
        ("SELECT a FROM t WHERE b AND %s", "-"),
        ("SELECT a FROM t WHERE b BETWEEN c AND %s OR b BETWEEN %s AND c", "--"),
        ("SELECT a FROM t WHERE b BETWEEN %s AND c + %s", "-n"),
        ("SELECT a FROM t WHERE b IN (%s, c, %s) OR b IN (1, %s)", "---"),
        ("SELECT a FROM t WHERE (a, b) IN ((%s, 1), (2, %s))", "--"),
        ("SELECT a FROM t WHERE b IN ((%s), (%s))", "--"),
        ("SELECT CASE a WHEN %s THEN %s ELSE %s END FROM t", "---"),
        ("SELECT a + INTERVAL %s DAY FROM t", "-"),
        ("SELECT SUM(a) OVER (ORDER BY b ROWS BETWEEN %s PRECEDING AND %s FOLLOWING) FROM t", "--"),
        ("SELECT a FROM t OFFSET %s ROWS", "-"),
        ("SELECT a FROM t LIMIT ROWS EXAMINED %s", "-"),
        ("VALUES ROW(%s, 1)", "-"),
        ("CREATE TABLE t AS SELECT * FROM u WHERE a = %s", "-"),
        ("SHOW TABLES LIKE %s", "-"),
        ("SELECT a) %s, (b FROM t", "-"),
    ],
)
def test_places(statement: str, places: str) -> None:
    parsed = convert(statement, no_backslash_escapes=False)
    assert parsed is not None
    assert parsed.places == tuple(SHORT[letter] for letter in places)
