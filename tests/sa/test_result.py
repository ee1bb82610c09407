"""Results and rows."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import sqlalchemy as sa

from aiomysql_sa import InvalidRequestError, NoSuchColumnError, ResourceClosedError, SAConnection
from aiomysql_sa.result import RowProxy


async def first(conn: SAConnection, query: Any) -> RowProxy:
    row = await (await conn.execute(query)).first()
    assert row is not None
    return row


async def test_row_is_a_mapping(conn: SAConnection, tbl: sa.Table) -> None:
    row = await first(conn, tbl.select())
    assert dict(row) == {"id": 1, "val": "first"}
    assert list(row.keys()) == ["id", "val"]
    assert list(row.items()) == [("id", 1), ("val", "first")]
    assert row.get("nope", 5) == 5
    assert row["val"] == row.val == row[1] == row[tbl.c.val] == "first"
    assert row.as_tuple() == (1, "first")
    assert row == (1, "first")
    assert row == await first(conn, tbl.select())
    assert row != (1, "other")
    keys: list[Any] = ["id", tbl.c.val, 0, "x", 9]
    assert [key in row for key in keys] == [True, True, True, False, False]
    assert repr(row) == "(1, 'first')"
    assert copy.copy(row) == row
    with pytest.raises(TypeError):
        hash(row)


async def test_columns_that_are_not_there(conn: SAConnection, tbl: sa.Table) -> None:
    row = await first(conn, tbl.select())
    for key in ("nope", 2, -1, object(), sa.column("nope")):
        with pytest.raises(NoSuchColumnError, match="Could not locate column in row"):
            row[key]
    with pytest.raises(KeyError):
        row["nope"]
    with pytest.raises(AttributeError, match="'nope'"):
        row.nope  # noqa: B018
    other = sa.Table("other", sa.MetaData(), sa.Column("val", sa.String(9)))
    with pytest.raises(NoSuchColumnError, match=r"other\.val"):
        row[other.c.val]


async def test_ambiguous_names(conn: SAConnection) -> None:
    row = await first(conn, "SELECT 1 AS a, 2 AS a, 3 AS b")
    keys: list[Any] = ["a", sa.column("a")]
    for key in keys:
        with pytest.raises(InvalidRequestError, match="Ambiguous column name 'a'"):
            row[key]
    with pytest.raises(InvalidRequestError, match="Ambiguous"):
        row.a  # noqa: B018
    assert "a" in row
    assert row.b == 3
    assert row[1] == 2
    assert row.as_tuple() == (1, 2, 3)
    assert len(row) == 3


async def test_join_with_names_in_common(conn: SAConnection, tbl: sa.Table) -> None:
    other = tbl.alias("other")
    joined = tbl.join(other, tbl.c.id == other.c.id)
    query = sa.select(tbl, other.c.id, (other.c.val + "!").label("loud")).select_from(joined)
    row = await first(conn, query)
    assert row[tbl.c.id] == row[other.c.id] == 1
    assert row[tbl.c.val] == "first"
    assert row.loud == "first!"


async def test_columns_by_descent(conn: SAConnection, tbl: sa.Table) -> None:
    row = await first(conn, sa.select(tbl.alias("t").c.val))
    assert row[tbl.c.val] == "first"
    row = await first(conn, sa.select(tbl.c.val.label("other")))
    assert row[tbl.c.val] == row.other == "first"
    row = await first(conn, f"SELECT * FROM {tbl.name}")
    assert row[tbl.c.val] == "first"


async def test_fetching(conn: SAConnection) -> None:
    numbers = "SELECT 1 AS n UNION SELECT 2 UNION SELECT 3"
    result = await conn.execute(numbers)
    assert result.returns_rows
    assert not result.closed
    assert result.keys() == ("n",)
    assert result.rowcount == 3
    assert await result.fetchone() == (1,)
    assert await result.fetchmany(1) == [(2,)]
    assert await result.fetchmany(5) == [(3,)]
    assert await result.fetchmany() == []
    assert result.closed
    result = await conn.execute(numbers)
    assert await result.fetchall() == [(1,), (2,), (3,)]
    assert [row.n async for row in conn.execute(numbers)] == [1, 2, 3]
    assert [row.n async for row in await conn.execute(numbers)] == [1, 2, 3]
    async with conn.execute(numbers) as result:
        assert await result.scalar() == 1
    assert await (await conn.execute("SELECT 1 FROM DUAL WHERE 1 = 0")).scalar() is None


@pytest.mark.parametrize("exhaust", ["fetchall", "first", "scalar", "close"])
async def test_closed_result(conn: SAConnection, exhaust: str) -> None:
    result = await conn.execute("SELECT 1")
    await getattr(result, exhaust)()
    assert result.closed
    assert result.cursor is None
    for method in (result.fetchone, result.fetchall, result.fetchmany, result.first, result.scalar):
        with pytest.raises(ResourceClosedError, match="This result object is closed"):
            await method()
    await result.close()


async def test_last_row_closes(conn: SAConnection) -> None:
    result = await conn.execute("SELECT 1")
    assert await result.fetchone() == (1,)
    assert not result.closed
    assert await result.fetchone() is None
    assert result.closed


async def test_statement_without_rows(conn: SAConnection, tbl: sa.Table) -> None:
    result = await conn.execute(tbl.insert().values(val="x"))
    assert (result.closed, result.returns_rows, result.keys()) == (True, False, ())
    assert (result.rowcount, result.lastrowid) == (1, 2)
    with pytest.raises(ResourceClosedError, match="does not return rows"):
        await result.fetchone()
