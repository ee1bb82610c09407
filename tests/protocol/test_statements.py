"""What a statement's first word tells, in both implementations."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiomysql_protocol.sql import statements

from .row_bytes import part


@pytest.fixture(params=["c", "python"])
def implementation(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


SIMPLE = [
    b"SELECT 1",
    b"select 1;",
    b" \t\r\n\x0b\x0cSELECT 1 ; \n",
    b"/* of the app */ SELECT 1",
    b"/**/ /*/ no end yet */SELECT 1",
    b"-- words\nSELECT 1",
    b"--\n SELECT 1",
    b"# words\n/**/-- \t\n(SELECT 1)",
    b"(SELECT 1) UNION (SELECT 2)",
    b"((SELECT 1))",
    b"INSERT INTO t VALUES (1)",
    b"UPDATE t SET a = 1",
    b"Delete FROM t",
    b"REPLACE INTO t VALUES (1)",
    b"WITH a AS (SELECT 1) SELECT * FROM a",
    b"SHOW WARNINGS",
    b"DO 0",
    b"VALUES ROW(1)",
    b"TABLE t",
    b"EXPLAIN SELECT 1",
    b"DESC t",
    b"DESCRIBE t",
    b"SELECT(1)",
    b"SELECT`a`",
    b"SELECT/*! 1 */",
    b"SELECT",
    b"SELECT ';'",
    b"SELECT ';', \";\", `;` ; ",
    b"SELECT 'it''s; here', 1 - 2 / 3",
    b"SELECT '\xe9\x5c\xe9;'",
    b"SELECT '#;--/*'",
    b"SELECT 'a\\\\;', 'b'",
    b"INSERT INTO t VALUES ('a;b', X'00'), (_utf8mb4';', 2);",
]
UNCLEAR = [
    b"",
    b" ",
    b";",
    b"BEGIN",
    b"START TRANSACTION",
    b"SET autocommit = 0",
    b"SET STATEMENT max_statement_time = 1 FOR SELECT 1",
    b"COMMIT AND CHAIN",
    b"ROLLBACK",
    b"CALL p()",
    b"EXECUTE IMMEDIATE 'BEGIN'",
    b"XA START 'x'",
    b"LOCK TABLES t WRITE",
    b"USE test",
    b"(BEGIN)",
    b"SELECT 1; BEGIN",
    b"SELECT 1;;",
    b"SELECT '; BEGIN",
    b"SELECT 'a\\'; BEGIN; '",
    b"SELECT 'a\\\\'; BEGIN; '\\\\'",
    b"SELECT '\x95\x5c'; BEGIN; '",
    b"SELECT \x95`; BEGIN; `",
    b"SELECT 1 /* ' */; BEGIN /* ' */",
    b"SELECT 1 -- '\n; BEGIN -- '\n",
    b"SELECT 1 # '\n; BEGIN # '\n",
    b"SELECT 'a;\\",
    b"/*! BEGIN */",
    b"/*!50000 SET autocommit = 0 */",
    b"/*M! BEGIN */",
    b"/*+ hint */ SELECT 1",
    b"/* no end SELECT 1",
    b"/*/ SELECT 1",
    b"/*",
    b"/",
    b"-- words",
    b"--words\nSELECT 1",
    b"# words",
    b"SELECT 1 AS `\x81`; BEGIN # `",
    b"SELECTED",
    b"SELECT_1",
    b"SELECT$",
    b"SELECT9",
    b"SELECT\xe9",
    b"DESCRIBES t",
    b"DOUBLE",
    b"S\x85ELECT 1",
    b"\xa0SELECT 1",
    b"SELEC\x14 1",
]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (b"INSERT INTO t VALUES (1)", True),
        (b" /* of the app */ (delete FROM t)", True),
        (b"-- words\nUPDATE t SET a = 1", True),
        (b"REPLACE", True),
        (b"SELECT 'INSERT'", False),
        (b"INSERTS", False),
        (b"DELETE_1", False),
        (b"UPDATE$", False),
        (b"REPLACE\xe9", False),
        (b"/*! INSERT INTO t VALUES (1) */", False),
        (b"WITH c AS (SELECT 1) DELETE FROM t", False),
        (b"", False),
    ],
)
def test_row_changes(implementation: str, statement: bytes, expected: bool) -> None:
    is_row_change = part(implementation, statements, "is_row_change")
    assert is_row_change(statement, 0) is expected
    assert is_row_change(b"\x03" + statement, 1) is expected
    assert is_row_change(b"BEGIN" + statement, 5) is expected
    assert is_row_change(statement, len(statement)) is False
    assert is_row_change(statement, len(statement) + 1) is False


@pytest.mark.parametrize("statement", SIMPLE)
def test_simple(implementation: str, statement: bytes) -> None:
    is_simple = part(implementation, statements, "is_simple_statement")
    assert is_simple(statement, 0) is True
    assert is_simple(b"\x03" + statement, 1) is True
    assert is_simple(b"BEGIN" + statement, 5) is True


@pytest.mark.parametrize("statement", UNCLEAR)
def test_unclear(implementation: str, statement: bytes) -> None:
    is_simple = part(implementation, statements, "is_simple_statement")
    assert is_simple(statement, 0) is False
    assert is_simple(b"SELECT" + statement, 6) is False


def test_wrong_arguments(implementation: str) -> None:
    is_simple = part(implementation, statements, "is_simple_statement")
    assert is_simple(b"SELECT 1", 9) is False
    assert is_simple(b"SELECT 1", 100) is False
    assert is_simple("SELECT 'ü;'", 0) is True
    assert is_simple("ü SELECT 1", 2) is True
    assert is_simple("ü SELECT 1", 1) is False
    with pytest.raises(UnicodeEncodeError):
        is_simple("SELECT '\ud800'", 0)
    for wrong in ((), (b"",), (1, 0), (b"SELECT 1", "0"), (b"SELECT 1", 0, 0)):
        with pytest.raises(TypeError):
            is_simple(*wrong)


MARKS = (b"/*", b"*/", b" ", b"\n", b";", b"*", b"!", b"M", b"\x00", b"\xff", b"'", b'"', b"`")
PIECES = [*SIMPLE, *UNCLEAR, *MARKS, b"\\", b"--", b"#"]


@pytest.mark.slow
@given(st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join), st.integers(0, 10))
@example(b"/*" * 50_000, 0)
@example(b"/**/" * 50_000 + b"SELECT 1", 0)
@example(b"SELECT " + b"';'" * 50_000, 0)
@example(b"SELECT '" + b"''\\\\" * 50_000 + b";", 0)
def test_both_say_the_same(statement: bytes, start: int) -> None:
    said = {
        part(name, statements, "is_simple_statement")(statement, start) for name in ("c", "python")
    }
    assert len(said) == 1
