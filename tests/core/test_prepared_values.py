"""Cursors' statements give the same whether they are prepared (`stmt_cache_size`) or not."""

from __future__ import annotations

import datetime
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from aiomysql_core import Connection, MySQLError, ProgrammingError, connect
from tests.core.prepared_cases import Cases

#: How many statements, and after a comma the seed: AIOMYSQL_PREPARED_CASES=100000,7
COUNT, _, SEED = os.environ.get("AIOMYSQL_PREPARED_CASES", "300").partition(",")


async def open_connection(connect_args: dict[str, Any], sql_mode: str, size: int) -> Connection:
    """One with tables of the same rows; `size`: how many statements it keeps."""
    connection = await connect(**connect_args, get_warnings=False, stmt_cache_size=size)
    for statement in Cases.setup(sql_mode):
        await connection.query(statement)
    await connection.begin()
    return connection


async def outcome(
    connection: Connection, statement: str | bytes, values: Any, question: str | None
) -> tuple[str, str]:
    """What a statement gives, or its error, and what it wrote."""
    wrote = ""
    async with connection.cursor() as cursor:
        try:
            await cursor.execute(statement, values)
            given = repr(await cursor.fetchall())
        except MySQLError as error:
            given = f"error {error.args[0]}"
        if question is not None:
            await cursor.execute(question)
            wrote = repr(await cursor.fetchall())
            await connection.rollback()
            await connection.begin()
    return given, wrote


async def differing(
    text: Connection, caching: Connection, cases: Cases, count: int
) -> AsyncIterator[tuple[Any, ...]]:
    """What is not the same, of `count` cases."""
    for _ in range(count):
        statement, runs, question = cases.case()
        for values in runs:
            in_text = await outcome(text, statement, values, question)
            found = await outcome(caching, statement, values, question)
            # As bytes it goes as text: few statements have two answers even so.
            if found != in_text == await outcome(caching, statement.encode(), values, question):
                yield statement, runs, in_text, found


async def executions(connection: Connection) -> int:
    """How many prepared statements were run."""
    async with connection.cursor() as cursor:
        await cursor.execute("SHOW SESSION STATUS LIKE 'Com_stmt_execute'")
        return int((await cursor.fetchall())[0][1])


@pytest.mark.parametrize("sql_mode", ["", "STRICT_ALL_TABLES"])
async def test_the_same_as_text(connect_args: dict[str, Any], sql_mode: str) -> None:
    async with (
        await open_connection(connect_args, sql_mode, 0) as text,
        await open_connection(connect_args, sql_mode, 4) as caching,
    ):
        cases = Cases(int(SEED or 1) * 2 + bool(sql_mode))
        found = [item async for item in differing(text, caching, cases, int(COUNT))]
        assert found == []
        assert await executions(caching) > int(COUNT) // 3


MOMENT = datetime.datetime(2024, 1, 2, 3, 4, 5, 678)
INTERVAL = datetime.timedelta(hours=30, microseconds=5)


#: What gave another value, or an error less, than as text.
NOT_THE_SAME: list[tuple[str, Any]] = [
    ("SELECT CAST(%s AS TIME)", datetime.time(1, 2, 3)),
    ("SELECT 7 UNION ALL SELECT %s", None),
    ("SELECT IFNULL(1.50, %s)", None),
    ("SELECT TIMESTAMP(%s)", MOMENT),
    ("SELECT TIMESTAMP(%s)", "2024-01-02 03:04:05.25"),
    ("SELECT WEEKDAY(%s)", INTERVAL),
    ("SELECT WEEKDAY(%s) = 1", str(INTERVAL)),
    ("SELECT id FROM typed LIMIT %s", -1),
    ("SELECT id FROM typed LIMIT %s", None),
    ("SELECT id FROM typed LIMIT %s", "1"),
    ("SELECT SUM(t0 = %s) FROM typed", INTERVAL),
    ("SELECT id FROM typed WHERE dt = %s", datetime.time(1, 2, 3)),
    ("SELECT id FROM typed WHERE t0 = %s", datetime.date(1999, 12, 31)),
    ("SELECT id FROM typed WHERE y < %s", 2**31),
    ("SELECT COUNT(*) FROM typed WHERE dt BETWEEN bi AND %s", MOMENT),
    ("SELECT %s", Decimal(-3)),
    ("INSERT INTO written (id, bi) VALUES (1, %s)", Decimal(-3)),
]

#: What is to be prepared on every server.
PREPARED: list[tuple[str, Any]] = [
    ("SELECT v FROM typed WHERE id = %s", (1,)),
    ("SELECT v FROM typed WHERE id = %(id)s AND v <> %(v)s", {"id": 1, "v": "x"}),
    ("SELECT id FROM typed WHERE id IN (%s, %s) ORDER BY v LIMIT %s", (1, 2, 1)),
    ("SELECT id FROM typed WHERE dt >= %s AND dt < %s", (MOMENT, MOMENT)),
    ("SELECT id FROM typed WHERE da BETWEEN %s AND %s", (MOMENT.date(), MOMENT.date())),
    ("SELECT id FROM typed WHERE v LIKE %s OR d > %s", ("a%", 1.5)),
    ("SELECT id FROM typed WHERE de = %s OR de > %s", (Decimal("1.50"), Decimal(2))),
    ("SELECT t.id FROM typed AS t JOIN other AS o USING (id) WHERE o.b = %s", (b"abc",)),
    ("SELECT i, COUNT(*) FROM typed GROUP BY i HAVING COUNT(*) > %s LIMIT %s, %s", (0, 0, 5)),
    ("SELECT %s, i FROM typed WHERE (id, v) IN ((%s, %s))", ("x", 1, "abc")),
    ("INSERT INTO written (id, v, dt) VALUES (%s, %s, %s)", (1, "a", MOMENT)),
    ("INSERT INTO written (id, bl, de) VALUES (%s, %s, %s)", (1, b"\0", Decimal(5))),
    ("UPDATE typed SET v = %s, i = i + %s WHERE id = %s", (None, 1, 2)),
    ("DELETE FROM typed WHERE i = %s LIMIT %s", (1, 1)),
]


async def test_what_was_not_the_same(connect_args: dict[str, Any]) -> None:
    found: list[list[tuple[str, str]]] = [[], []]
    for size in (0, 4):
        async with await open_connection(connect_args, "", size) as connection:
            for statement, value in NOT_THE_SAME:
                question = "SELECT * FROM written" if "INSERT" in statement else None
                for _ in range(2):
                    given = await outcome(connection, statement, (value,), question)
                    found[bool(size)].append((statement, repr(given)))
    assert found[0] == found[1]


async def test_what_is_prepared(connect_args: dict[str, Any]) -> None:
    async with await open_connection(connect_args, "", 4) as connection:
        count = 0
        for statement, values in PREPARED:
            for _ in range(2):
                given, _ = await outcome(connection, statement, values, None)
                count += 1
                assert (await executions(connection), "error" in given) == (count, False), statement
                await connection.rollback()


async def test_what_ends_a_server_is_not_sent(connection: Connection) -> None:
    """MySQL 9.7.4 ends at a prepared WEEKDAY of more than a day."""
    connection.get_warnings = False
    async with await connection.prepare("SELECT WEEKDAY(%s)") as statement:
        cursor = await statement.execute((INTERVAL,))
        assert await cursor.fetchone() == (None,)
    async with await connection.prepare("SELECT WEEKDAY(?)") as statement:
        if "MariaDB" in connection.server_version:
            assert await (await statement.execute((INTERVAL,))).fetchone() == (None,)
        else:
            with pytest.raises(ProgrammingError, match="parameters"):
                await statement.execute((INTERVAL,))
    await connection.ping(reconnect=False)
