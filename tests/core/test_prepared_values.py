"""Cursors' statements give the same whether they are prepared (`stmt_cache_size`) or not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiomysql_core import Connection, MySQLError, connect
from tests.core.prepared_cases import Cases

#: How many statements, and after a comma the seed: AIOMYSQL_PREPARED_CASES=100000,7
COUNT, _, SEED = os.environ.get("AIOMYSQL_PREPARED_CASES", "400").partition(",")


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
        return int((await cursor.fetchone())[1])


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
