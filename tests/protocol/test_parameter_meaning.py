"""Parameters of prepared statements mean on real servers what literals mean."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from pymysql.err import MySQLError

from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.values.parameters import NeedsTextError
from tests.protocol.blocking import Client, login_options, rows_of
from tests.servers import Server

D = datetime.datetime
VALUES = [
    *(None, True, 1, -5, 2**63, 2**64 - 1, -(2**70), 1.5, 1e20, Decimal("1.50"), Decimal("1e100")),
    *("", "abc", "5", "5abc", "ü", "ABC", "it's \\ \0 %", "2024-01-02", b"abc", b"ABC", b"\xff\0"),
    *(D(2024, 1, 2, 3, 4, 5), D(2024, 1, 2, 3, 4, 5, 678), datetime.date(2024, 1, 2)),
    *(datetime.time(1, 2, 3), datetime.timedelta(days=-1, seconds=5)),
]
COLUMNS = {
    "v": ("VARCHAR(40)", "abc"),
    "i": ("INT", 5),
    "u": ("BIGINT UNSIGNED", 2**64 - 1),
    "dt": ("DATETIME(6)", D(2024, 1, 2, 3, 4, 5)),
    "da": ("DATE", datetime.date(2024, 1, 2)),
    "tm": ("TIME(6)", datetime.timedelta(hours=1)),
    "b": ("VARBINARY(40)", b"abc"),
    "bl": ("BLOB", b"abc"),
    "t": ("TEXT", "abc"),
    "d": ("DOUBLE", 1.5),
    "f": ("FLOAT", 1.5),
    "de": ("DECIMAL(30,5)", Decimal("1.5")),
    "bi": ("BIT(64)", 5),
    "y": ("YEAR", 2024),
    "j": ("JSON", "5"),
}
EXPRESSIONS = [
    *("?", "? + 1", "HEX(?)", "CONCAT(?, 'x')", "COALESCE(?, 7)", "IF(1, ?, 2)", "UPPER(?)"),
    *("? IN (v, 'q')", "CAST(? AS CHAR)", "CAST(? AS SIGNED)", "v LIKE ?", "? / 3", "? IS NULL"),
    *("ABS(?)", "ROUND(?, 1)", "GREATEST(?, 1)", "? BETWEEN 1 AND 10", "NULLIF(?, 5)"),
    *("CASE ? WHEN 'abc' THEN 1 WHEN 5 THEN 2 END", "BIT_COUNT(?)", "? & 7", "? DIV 2", "? || 1"),
]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    options = login_options(server.user, server.password, server.database)
    with Client((server.host, server.port), options) as client:
        columns = ", ".join(f"{name} {type_}" for name, (type_, _) in COLUMNS.items())
        client.query(f"CREATE TEMPORARY TABLE typed ({columns})")
        marks = ", ".join(["%s"] * len(COLUMNS))
        inserted = client.query(
            f"INSERT INTO typed VALUES ({marks})", *(value for _, value in COLUMNS.values())
        )
        assert inserted.results[0].error is None
        yield client


def outcome(run: Callable[..., Query], statement: str, value: Any) -> tuple[Any, ...]:
    """The only cell of what a statement gives, with its type; or the error's number."""
    try:
        ((cell,),) = rows_of(run(statement, value))
    except MySQLError as error:
        return "error", error.args[0]
    return type(cell), cell  # of a DECIMAL the number of zeros may differ


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *(f"? = {name}" for name in COLUMNS)])
def test_means_what_the_literal_means(client: Client, expression: str) -> None:
    compared = 0
    for value in VALUES:
        try:
            prepared = outcome(client.execute, f"SELECT {expression} FROM typed", value)
        except NeedsTextError:
            continue
        text = outcome(client.query, f"SELECT {expression.replace('?', '%s')} FROM typed", value)
        if text == ("error", 1525):  # the literal is no date; as a parameter it equals none
            text = (type(None), None)
        assert prepared == text, value
        compared += 1
    assert compared > (expression != "? = j")


@pytest.mark.parametrize("mode", ["", "STRICT_ALL_TABLES"])
@pytest.mark.parametrize("column", COLUMNS)
def test_is_stored_as_the_literal_is(client: Client, column: str, mode: str) -> None:
    client.query("SET SESSION sql_mode = %s", mode)
    stored = 0
    for value in VALUES:
        found = []
        for run, mark in ((client.execute, "?"), (client.query, "%s")):
            client.query("DROP TEMPORARY TABLE IF EXISTS written")
            client.query("CREATE TEMPORARY TABLE written (x " + COLUMNS[column][0] + ")")
            try:
                error = run(f"INSERT INTO written VALUES ({mark})", value).results[0].error
            except NeedsTextError:
                break
            number = error.args[0] if error is not None else None
            found.append((number, repr(rows_of(client.query("SELECT x FROM written")))))
        if found:
            assert found[0] == found[1], value
            stored += found[0][0] is None
    assert stored > (column != "j")
