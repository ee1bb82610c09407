"""Kinds of statements and types beyond the everyday ones of `test_execute.py`."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import UserDefinedType

from aiomysql_sa import SAConnection

if TYPE_CHECKING:
    PointType = UserDefinedType[tuple[int, int]]
else:  # not generic before SQLAlchemy 2
    PointType = UserDefinedType


async def rows(conn: SAConnection, query: Any, *arguments: Any) -> list[tuple[Any, ...]]:
    return [row.as_tuple() async for row in conn.execute(query, *arguments)]


async def test_common_table_expressions(conn: SAConnection, tbl: sa.Table) -> None:
    numbers = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < 4))
    assert await rows(conn, sa.select(numbers.c.n)) == [(1,), (2,), (3,), (4,)]
    ids = sa.select(tbl.c.id).where(tbl.c.val == "first").cte("ids")
    joined = sa.select(tbl.c.val).join(ids, ids.c.id == tbl.c.id)
    assert await rows(conn, joined) == [("first",)]


async def test_union_and_subqueries(conn: SAConnection, tbl: sa.Table) -> None:
    await conn.execute(tbl.insert(), [("2", "b"), ("3", "c")])
    union = sa.union_all(
        sa.select(tbl.c.id.label("number")).where(tbl.c.val == "b"),
        sa.select(sa.literal(9)),
    )
    assert await rows(conn, union) == [(2,), (9,)]
    assert (await (await conn.execute(union)).fetchall())[0].number == 2
    newest = sa.select(sa.func.max(tbl.c.id)).scalar_subquery()
    assert await rows(conn, sa.select(tbl.c.val).where(tbl.c.id == newest)) == [("c",)]
    case = sa.case((tbl.c.id == 1, "one"), else_="other").label("word")
    assert await rows(conn, sa.select(case).order_by(tbl.c.id)) == [
        ("one",),
        ("other",),
        ("other",),
    ]


async def test_insert_from_select(conn: SAConnection, tbl: sa.Table) -> None:
    copied = sa.select(tbl.c.id + 10, tbl.c.val)
    result = await conn.execute(tbl.insert().from_select(["id", "val"], copied))
    assert result.rowcount == 1
    assert await rows(conn, tbl.select().order_by(tbl.c.id)) == [(1, "first"), (11, "first")]


async def test_update_of_several_rows_by_expression(conn: SAConnection, tbl: sa.Table) -> None:
    await conn.execute(tbl.insert().values([{"id": 2, "val": "b"}, {"id": 3, "val": "c"}]))
    await conn.execute(tbl.update().values(val=tbl.c.val + "!").where(tbl.c.id > 1))
    assert await rows(conn, tbl.select()) == [(1, "first"), (2, "b!"), (3, "c!")]


# SQLAlchemy writes VALUES() as long as it does not know the server to be MySQL 8.
@pytest.mark.filterwarnings("ignore:'VALUES function' is deprecated")
async def test_on_duplicate_key_update_of_many(conn: SAConnection, tbl: sa.Table) -> None:
    insert = mysql.insert(tbl)
    upsert = insert.on_duplicate_key_update(val=insert.inserted.val)
    await conn.execute(upsert, [{"id": 1, "val": "again"}, {"id": 2, "val": "new"}])
    assert await rows(conn, tbl.select().order_by(tbl.c.id)) == [(1, "again"), (2, "new")]
    some = mysql.insert(tbl).values([{"id": 2, "val": "x"}, {"id": 3, "val": "y"}])
    await conn.execute(some.on_duplicate_key_update({"val": sa.func.upper(some.inserted.val)}))
    assert await rows(conn, tbl.select().order_by(tbl.c.id)) == [
        (1, "again"),
        (2, "X"),
        (3, "y"),
    ]


async def test_literal_execute(conn: SAConnection, tbl: sa.Table) -> None:
    await conn.execute(tbl.insert().values(id=2, val="it's 100% \\ :a %s"))
    value: sa.BindParameter[str] = sa.bindparam("v", literal_execute=True)
    query = sa.select(tbl.c.id).where(tbl.c.val == value, tbl.c.id > 0)
    assert await conn.scalar(query, v="it's 100% \\ :a %s") == 2
    assert await conn.scalar(query, v="other") is None
    limited = sa.select(tbl.c.id).order_by(tbl.c.id.desc()).limit(1)
    assert await conn.scalar(limited) == 2


class Point(PointType):
    """A pair of numbers, kept as text; the SQL adds and removes brackets."""

    cache_ok = True

    def get_col_spec(self, **kwargs: object) -> str:
        return "VARCHAR(40)"

    def bind_processor(self, dialect: object) -> Callable[[Any], Any]:
        return lambda value: None if value is None else f"{value[0]},{value[1]}"

    def result_processor(self, dialect: object, coltype: object) -> Callable[[Any], Any]:
        return lambda value: None if value is None else tuple(map(int, value.split(",")))

    def bind_expression(self, bindvalue: Any) -> Any:
        return sa.func.concat("[", bindvalue, "]")

    def column_expression(self, column: Any) -> Any:
        return sa.func.replace(sa.func.replace(column, "[", ""), "]", "", type_=self)


async def test_user_defined_type(conn: SAConnection, table_name: str) -> None:
    points = sa.Table(
        table_name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", Point),
    )
    await conn.execute(CreateTable(points))
    await conn.execute(points.insert().values(id=1, at=(3, 4)))
    await conn.execute(points.insert(), [{"id": 2, "at": (5, 6)}, {"id": 3, "at": None}])
    await conn.execute(points.insert(), [(4, (7, 8)), (5, (9, 9))])
    await conn.execute(points.update().where(points.c.at == (9, 9)).values(at=(0, -1)))
    assert await rows(conn, points.select().order_by(points.c.id)) == [
        (1, (3, 4)),
        (2, (5, 6)),
        (3, None),
        (4, (7, 8)),
        (5, (0, -1)),
    ]
    assert await conn.scalar(f"SELECT at FROM {table_name} WHERE id = 1") == "[3,4]"
    found = sa.select(points.c.id).where(points.c.at.in_([(3, 4), (7, 8)]))
    assert await rows(conn, found) == [(1,), (4,)]


async def test_json_path(conn: SAConnection, table_name: str) -> None:
    docs = sa.Table(table_name, sa.MetaData(), sa.Column("doc", sa.JSON))
    await conn.execute(CreateTable(docs))
    await conn.execute(docs.insert().values(doc={"a": {"b": [10, "x%"]}}))
    await conn.execute(docs.insert().values([{"doc": [1, 2]}, {"doc": None}]))
    path = docs.c.doc[("a", "b", 0)]
    assert await conn.scalar(sa.select(path.as_integer()).where(path.as_integer() > 5)) == 10
    assert await rows(conn, sa.select(docs.c.doc)) == [
        ({"a": {"b": [10, "x%"]}},),
        ([1, 2],),
        (None,),
    ]


async def test_mysql_types(conn: SAConnection, table_name: str) -> None:
    table = sa.Table(
        table_name,
        sa.MetaData(),
        sa.Column("choice", mysql.ENUM("a", "b")),
        sa.Column("several", mysql.SET("x", "y")),
        sa.Column("bits", mysql.BIT(9)),
        sa.Column("year", mysql.YEAR),
        sa.Column("at", mysql.DATETIME(fsp=6)),
        sa.Column("for_", sa.Interval),
    )
    await conn.execute(CreateTable(table))
    moment = datetime.datetime(2024, 2, 29, 1, 2, 3, 456789)
    value = ("b", {"x", "y"}, 257, 1999, moment, datetime.timedelta(days=2, seconds=5))
    await conn.execute(table.insert(), value)
    assert await rows(conn, table.select()) == [value]
