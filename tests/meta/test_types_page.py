"""The tables of docs/types.md, on real servers, as text and prepared."""

from __future__ import annotations

import datetime
import re
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import aiomysql
from tests.servers import Server

PAGE = (Path(__file__).parent.parent.parent / "docs" / "types.md").read_text("utf-8")
NAMES = {"aiomysql": aiomysql, "datetime": datetime, "uuid": uuid, "Decimal": Decimal}


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    lines = PAGE.partition(f"# {heading}\n")[2].partition("|---")[2].splitlines()[1:]
    rows = [line.strip("| ") for line in lines[: lines.index("")]]
    return [[cell.strip() for cell in row.split(" | ")] for row in rows]


def code(cell: str) -> str:
    found = re.match(r"`(.*?)`", cell)
    assert found, cell
    return found[1]


COLUMNS = table("From SQL to Python") + table("Zero dates")
EXPRESSIONS = table("Results of expressions")
VALUES = table("From Python to SQL")


async def both_ways(connection: aiomysql.Connection, sql: str) -> str:
    """What a statement gives as text and prepared, as Python writes it."""
    async with connection.cursor() as cursor:
        await cursor.execute(sql)
        ((as_text,),) = await cursor.fetchall()
    async with await connection.prepare(sql) as statement:
        ((prepared,),) = await (await statement.execute()).fetchall()
    assert (type(as_text), as_text) == (type(prepared), prepared)
    return repr(as_text)


def exists(column: str, server: Server) -> bool:
    """Whether the server has a column's type, which says so if not all have it."""
    if "(" not in column.rpartition("`")[2]:
        return True
    name = {"mysql": "MySQL", "mariadb": "MariaDB"}[server.kind]
    found = re.search(rf"{name}(?: ([\d.]+))?", column)
    since = tuple(map(int, (found[1] or "0").split("."))) if found else None
    return since is not None and server.version >= since


async def test_columns(server: Server, connect_args: dict[str, Any], table_name: str) -> None:
    wrong = []
    # Some values are none for a strict server.
    async with aiomysql.connect(**connect_args, sql_mode="", autocommit=True) as connection:
        for number, (column, stored, wanted) in enumerate(COLUMNS):
            if exists(column, server):
                name = f"{table_name}_{number}"
                await connection.query(f"CREATE TEMPORARY TABLE {name} (v {code(column)} NULL)")
                await connection.query(f"INSERT INTO {name} VALUES ({code(stored)})")
                given = await both_ways(connection, f"SELECT v FROM {name}")
                if given != code(wanted):
                    wrong.append((column, stored, given))
                await connection.query(f"UPDATE {name} SET v = NULL")
                assert await both_ways(connection, f"SELECT v FROM {name}") == "None"
            else:
                with pytest.raises(aiomysql.Error):
                    await connection.query(f"CREATE TEMPORARY TABLE none (v {code(column)})")
    assert wrong == []
    assert len(COLUMNS) > 25


async def test_expressions(connection: aiomysql.Connection) -> None:
    rows = "(SELECT 5 AS n) AS t"
    given = [
        (sql, await both_ways(connection, f"SELECT {code(sql)} FROM {rows}"))
        for sql, _ in EXPRESSIONS
    ]
    assert given == [(sql, code(wanted)) for sql, wanted in EXPRESSIONS]


async def test_geometries(connection: aiomysql.Connection) -> None:
    sql = "SELECT g, ST_AsBinary(g) FROM (SELECT POINT(1, 2) AS g) AS t"
    async with connection.cursor() as cursor:
        await cursor.execute(sql)
        ((value, binary),) = await cursor.fetchall()
    assert value == bytes(4) + binary


async def test_values(connection: aiomysql.Connection) -> None:
    async with connection.cursor() as cursor:
        given = [
            (value, cursor.mogrify("%s", (eval(code(value), NAMES),)))  # noqa: S307
            for value, _ in VALUES
        ]
    assert given == [(value, code(wanted)) for value, wanted in VALUES]


async def test_values_without_a_literal(connection: aiomysql.Connection) -> None:
    with pytest.raises(TypeError):
        connection.escape({"a": 1})
    with pytest.raises(aiomysql.ProgrammingError):
        connection.escape(float("nan"))
    zone = datetime.timezone(datetime.timedelta(hours=2))
    aware = datetime.datetime(2026, 11, 30, 7, 8, 9, tzinfo=zone)
    assert connection.escape(aware) == "'2026-11-30 07:08:09'"
