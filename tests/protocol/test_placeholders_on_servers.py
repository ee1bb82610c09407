"""Statements whose marks were converted give on real servers what the text gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from pymysql.err import MySQLError

from aiomysql_protocol.sql.placeholders import convert
from aiomysql_protocol.values.parameters import NeedsTextError
from tests.protocol.blocking import Client, login_options, rows_of
from tests.servers import Server

PIECES = [
    *("'", '"', "`", "\\", "''", "%%", "?", "-- ", "--", "#", "/*", "*/", "/*!", "/*M!", "\n"),
    *(" ", ", ", "'a'", '"b"', "`x`", "'it''s'", "'\\''", "1", " + ", "(", ")", "/*!99999 ", "é"),
    *(" FROM t", " WHERE x = ", " ORDER BY ", " LIMIT ", ";", "-", ".", "@", "_utf8mb4", "X"),
    *("/*!50000 ", "/*!", "*/", "*", "/", "--\t"),
    *(", x", "/* ? */", "-- ?\n", "# '\n", "'?'", " LIKE ", " AS ", ", 1e", "\t", "\0", "\x1f"),
]
VALUES = [1, 2, -5, "a", "b", "it's", "%", "", None, "x"]
# With everything that a mode can change; the first is the servers' default.
MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"]


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    options = login_options(server.user, server.password, server.database)
    with Client((server.host, server.port), options) as client:
        client.query("CREATE TEMPORARY TABLE t (x VARCHAR(10))")
        client.query("INSERT INTO t VALUES ('a'), ('b'), ('x')")
        yield client


def random_statement(rng: random.Random) -> str:
    pieces = ["SELECT ", rng.choice(["", "1, ", "'a', "])]
    for _ in range(rng.choice([1, 1, 2, 3])):
        pieces.append("%s")
        pieces += rng.choices(PIECES, k=rng.choice([0, 1, 1, 2, 3, 5]))
    return "".join(pieces)


@pytest.mark.parametrize("mode", MODES)
def test_same_rows(client: Client, mode: str) -> None:
    client.query("SET SESSION sql_mode = %s", mode)
    client.literals.no_backslash_escapes = "NO_BACKSLASH" in mode
    seed = 1000 + MODES.index(mode)
    rng = random.Random(seed)
    compared = 0
    for _ in range(1500):
        statement = random_statement(rng)
        parsed = convert(
            statement,
            no_backslash_escapes="NO_BACKSLASH" in mode,
            ansi_quotes=rng.choice([None, "ANSI" in mode]),
        )
        if parsed is None:
            continue
        values: list[Any] = rng.choices(VALUES, k=parsed.parameters)
        try:
            prepared = client.prepare(parsed.statement)
            if prepared.parameter_count != parsed.parameters:
                continue
            in_binary = rows_of(client.execute(parsed.statement, *values))
        except (MySQLError, NeedsTextError):
            continue
        try:
            in_text = rows_of(client.query(statement, *values))
        except MySQLError:
            assert "LIMIT" in statement, (seed, statement, values)  # a string is none in text
            continue
        assert in_binary == in_text, (seed, statement, values)
        compared += 1
    assert compared > 50
