"""Statements and their parameters."""

from __future__ import annotations

import datetime
import enum
import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.schema import CreateTable, DropTable

from aiomysql_core import IntegrityError, ProgrammingError
from aiomysql_sa import ArgumentError, ResourceClosedError, SAConnection
from aiomysql_sa.connection import _distill_params
from tests.sa.conftest import MakeEngine


async def values(conn: SAConnection, tbl: sa.Table) -> list[str]:
    return [row.val async for row in conn.execute(tbl.select().order_by(tbl.c.id))]


async def test_plain_string(conn: SAConnection) -> None:
    assert await conn.scalar("SELECT '100%'") == "100%"
    for arguments in [(1, "b"), ((1, "b"),), ([1, "b"],)]:
        row = await (await conn.execute("SELECT %s, %s", *arguments)).first()
        assert row == (1, "b")
    assert await conn.scalar("SELECT %(a)s", {"a": 5}) == 5
    assert await conn.scalar("SELECT %(a)s", a=6) == 6


async def test_plain_string_for_many_rows(conn: SAConnection, tbl: sa.Table) -> None:
    result = await conn.execute(f"INSERT INTO {tbl.name} (val) VALUES (%s)", [("a",), ("b",)])
    assert result.rowcount == 2
    assert await values(conn, tbl) == ["first", "a", "b"]


async def test_insert(conn: SAConnection, tbl: sa.Table) -> None:
    for statement, arguments in [
        (tbl.insert().values(val="1"), ()),
        (tbl.insert(), ({"val": "2"},)),
        (tbl.insert(), (4, "3")),
        (tbl.insert(), ((5, "4"),)),
        (sa.insert(tbl).values([{"val": "5"}, {"val": "6"}]), ()),
    ]:
        result = await conn.execute(statement, *arguments)
        assert result.lastrowid
        assert result.closed
    result = await conn.execute(tbl.insert(), val="7")
    assert (result.lastrowid, result.rowcount) == (8, 1)
    assert await values(conn, tbl) == ["first", *"1234567"]


async def test_insert_many(conn: SAConnection, tbl: sa.Table) -> None:
    result = await conn.execute(tbl.insert(), [{"val": "a"}, {"val": "b"}])
    assert result.rowcount == 2
    await conn.execute(tbl.insert(), {"val": "c"}, {"val": "d"})
    await conn.execute(tbl.insert(), [(10, "e"), (11, "f")])
    assert await values(conn, tbl) == ["first", *"abcdef"]
    with pytest.raises(sa.exc.InvalidRequestError, match="bind parameter 'val'"):
        await conn.execute(tbl.insert(), [{"val": "g"}, {"id": 99}])


async def test_update_and_delete(conn: SAConnection, tbl: sa.Table) -> None:
    result = await conn.execute(tbl.update().where(tbl.c.id == 1).values(val="x"))
    assert result.rowcount == 1
    by_id = tbl.update().where(tbl.c.id == sa.bindparam("number"))
    await conn.execute(by_id, {"number": 1, "val": "y"})
    assert await values(conn, tbl) == ["y"]
    await conn.execute(by_id, [{"number": 1, "val": "z"}, {"number": 2, "val": "none"}])
    assert await values(conn, tbl) == ["z"]
    assert (await conn.execute(tbl.delete().where(tbl.c.val == "z"))).rowcount == 1
    assert await values(conn, tbl) == []


async def test_select(conn: SAConnection, tbl: sa.Table) -> None:
    assert await conn.scalar(sa.select(sa.func.count(tbl.c.id))) == 1
    assert await conn.scalar(tbl.select().where(tbl.c.id == sa.bindparam("n")), n=1) == 1
    assert await conn.scalar(sa.func.abs(-3)) == 3
    cte = sa.select(tbl.c.val).cte("c")
    assert await conn.scalar(sa.select(cte.c.val)) == "first"


async def test_percent_signs(conn: SAConnection, tbl: sa.Table) -> None:
    await conn.execute(tbl.insert(), {"val": "100%"})
    assert await conn.scalar(sa.select(tbl.c.id).where(tbl.c.val.like("%0\\%"))) == 2
    assert await conn.scalar(sa.text("SELECT '%d %%' AS p")) == "%d %%"
    assert await conn.scalar(sa.select(sa.literal_column("'5%'", sa.String))) == "5%"
    odd = "a %(b)s : %"
    row = await (await conn.execute(sa.select(sa.literal(1).label(odd)))).first()
    assert row is not None
    assert row[odd] == 1


async def test_in(conn: SAConnection, tbl: sa.Table) -> None:
    await conn.execute(tbl.insert(), [{"val": "a"}, {"val": "b"}])
    query = sa.select(tbl.c.val).order_by(tbl.c.id)
    found = await (await conn.execute(query.where(tbl.c.id.in_([1, 3])))).fetchall()
    assert found == [("first",), ("b",)]
    assert await (await conn.execute(query.where(tbl.c.id.in_([])))).fetchall() == []
    later = query.where(tbl.c.id.in_(sa.bindparam("ids", expanding=True)))
    assert await conn.scalar(later, ids=[2]) == "a"
    pairs = query.where(sa.tuple_(tbl.c.id, tbl.c.val).in_([(2, "a"), (3, "x")]))
    assert await (await conn.execute(pairs)).fetchall() == [("a",)]
    literal = query.where(tbl.c.val == sa.bindparam("v", "it's %", literal_execute=True))
    assert await conn.scalar(literal) is None


async def test_update_many_with_in(conn: SAConnection, tbl: sa.Table) -> None:
    await conn.execute(tbl.insert(), [{"val": "a"}, {"val": "b"}])
    update = tbl.update().where(tbl.c.id.in_(sa.bindparam("ids", expanding=True)))
    await conn.execute(update, [{"ids": [1, 2], "val": "x"}, {"ids": [3], "val": "y"}])
    assert await values(conn, tbl) == ["x", "x", "y"]


async def test_text(conn: SAConnection) -> None:
    assert await conn.scalar(sa.text("SELECT :a + :b"), {"a": 1, "b": 2}) == 3
    assert await conn.scalar(sa.text("SELECT :a").bindparams(a="x")) == "x"
    typed = sa.text("SELECT 1 AS b, '[1]' AS j").columns(j=sa.JSON, b=sa.Boolean)
    row = await (await conn.execute(typed)).first()
    assert row == (True, [1])
    assert row is not None
    assert row.b is True


async def test_on_duplicate_key_update(conn: SAConnection, tbl: sa.Table) -> None:
    statement = insert(tbl).values(id=1, val="a").on_duplicate_key_update(val="again")
    await conn.execute(statement)
    assert await values(conn, tbl) == ["again"]


async def test_ddl(conn: SAConnection, table_name: str) -> None:
    column = sa.Column("per%cent", sa.Integer, comment="100% of it's")
    table = sa.Table(table_name, sa.MetaData(), column)
    assert (await conn.execute(CreateTable(table))).returns_rows is False
    await conn.execute(table.insert(), {"per%cent": 4})
    row = await (await conn.execute(table.select())).first()
    assert row is not None
    assert row["per%cent"] == row[column] == 4
    created = await (await conn.execute(f"SHOW CREATE TABLE {table_name}")).first()
    assert created is not None
    assert "'100% of it''s'" in created[1]
    with pytest.raises(ArgumentError, match="DDL clause and execution with parameters"):
        await conn.execute(DropTable(table), {"a": 1})
    await conn.execute(DropTable(table).compile(dialect=MySQLDialect_pymysql()))
    with pytest.raises(ProgrammingError, match=table_name):
        await conn.execute(table.select())


class Color(enum.Enum):
    RED = 1
    BLUE = 2


if TYPE_CHECKING:
    IntegerDecorator = sa.TypeDecorator[int]
else:  # not generic before SQLAlchemy 2
    IntegerDecorator = sa.TypeDecorator


class Doubled(IntegerDecorator):
    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: object) -> int | None:
        return None if value is None else value * 2

    def process_result_value(self, value: Any, dialect: object) -> int | None:
        return None if value is None else value // 2


async def test_types(conn: SAConnection, table_name: str) -> None:
    table = sa.Table(
        table_name,
        sa.MetaData(),
        sa.Column("color", sa.Enum(Color)),
        sa.Column("doc", sa.JSON),
        sa.Column("at", sa.DateTime),
        sa.Column("day", sa.Date),
        sa.Column("clock", sa.Time),
        sa.Column("flag", sa.Boolean),
        sa.Column("money", sa.Numeric(10, 2)),
        sa.Column("raw", sa.LargeBinary),
        sa.Column("number", Doubled),
    )
    rows: list[dict[str, Any]] = [
        {
            "color": Color.BLUE,
            "doc": {"é": [1, None, "it's"]},
            "at": datetime.datetime(2024, 2, 29, 12, 30),
            "day": datetime.date(2024, 2, 29),
            "clock": datetime.time(23, 59, 58),
            "flag": True,
            "money": Decimal("12.30"),
            "raw": b"\x00\xff%'",
            "number": 21,
        },
        dict.fromkeys(table.c.keys()),
    ]
    rows[1]["doc"] = sa.null()
    await conn.execute(CreateTable(table))
    for row in rows:
        await conn.execute(table.insert(), row)
    await conn.execute(table.insert(), [{**rows[0], "doc": n} for n in range(2)])
    result = await conn.execute(table.select())
    assert dict(await result.fetchone() or {}) == rows[0]
    assert await result.fetchone() == (None,) * 9
    assert [row.doc async for row in result] == [0, 1]
    assert await conn.scalar(f"SELECT number FROM {table_name}") == 42
    wanted = sa.select(table.c.color).where(table.c.color.in_([Color.BLUE]))
    assert await conn.scalar(wanted) is Color.BLUE


async def test_column_defaults(conn: SAConnection, table_name: str) -> None:
    counter = itertools.count(1)
    table = sa.Table(
        table_name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, default=sa.func.abs(-7)),
        sa.Column("fixed", sa.String(20), default="d%"),
        sa.Column("counted", sa.Integer, default=lambda: next(counter)),
        sa.Column("clause", sa.Integer, default=sa.func.abs(-9), onupdate=sa.func.abs(-8)),
        sa.Column(
            "derived",
            sa.String(20),
            default=lambda context: f"{context.get_current_parameters()['id']}!",
            onupdate="changed",
        ),
    )
    await conn.execute(CreateTable(table))
    await conn.execute(table.insert())
    await conn.execute(table.insert().values(id=1, counted=50))
    await conn.execute(table.insert(), [{"id": 2}, {"id": 3}])
    await conn.execute(table.insert().values([{"id": 4, "fixed": "x"}, {"id": 5, "fixed": "y"}]))
    result = await conn.execute(table.select().order_by(table.c.id))
    assert await result.fetchall() == [
        (1, "d%", 50, 9, "1!"),
        (2, "d%", 2, 9, "2!"),
        (3, "d%", 3, 9, "3!"),
        (4, "x", 4, 9, "4!"),
        (5, "y", 5, 9, "5!"),
        (7, "d%", 1, 9, "7!"),
    ]
    await conn.execute(table.update().where(table.c.id == 1).values(fixed="u"))
    result = await conn.execute(table.select().where(table.c.id == 1))
    assert await result.first() == (1, "u", 50, 8, "changed")


async def test_default_of_a_primary_key(conn: SAConnection, table_name: str) -> None:
    table = sa.Table(
        table_name,
        sa.MetaData(),
        sa.Column("id", sa.String(20), primary_key=True, default=sa.func.lower("KEY")),
        sa.Column("a", sa.String(20), default=lambda c: c.get_current_parameters()["id"]),
    )
    await conn.execute(CreateTable(table))
    statement = table.insert()
    assert statement.compile(dialect=MySQLDialect_pymysql(), column_keys=[]).prefetch
    await conn.execute(statement)
    assert await (await conn.execute(table.select())).first() == ("key", "key")


async def test_compiled_statement(conn: SAConnection, tbl: sa.Table) -> None:
    query = tbl.select().where(tbl.c.id == sa.bindparam("n"))
    compiled = query.compile(dialect=MySQLDialect_pymysql())  # its placeholders are positional
    assert await conn.scalar(compiled, n=1) == 1
    assert await conn.scalar(compiled, {"n": 2}) is None


async def test_positional_dialect(make_engine: MakeEngine, tbl: sa.Table) -> None:
    engine = await make_engine(dialect=MySQLDialect_pymysql(paramstyle="format"), autocommit=True)
    async with engine.acquire() as conn:
        await conn.execute(tbl.insert(), [{"id": 5, "val": "a%"}, {"id": 6, "val": "b"}])
        query = sa.select(tbl.c.id).where(tbl.c.val != "b", tbl.c.id.in_([5, 6]))
        assert await conn.scalar(query) == 5
        assert await conn.scalar(sa.text("SELECT '%'")) == "%"


async def test_compiled_cache(make_engine: MakeEngine, tbl: sa.Table) -> None:
    cache: dict[Any, Any] = {}
    engine = await make_engine(compiled_cache=cache, autocommit=True)
    async with engine.acquire() as conn:
        await conn.execute(tbl.select().where(tbl.c.val == "inline"))
        await conn.execute(tbl.insert().values(val="inline"))
        assert not cache
        query = tbl.select().where(tbl.c.val == sa.bindparam("v"))
        assert await conn.scalar(query, v="first") == 1
        (kept,) = cache.values()
        assert await conn.scalar(query, {"v": "inline"}) == 2
        assert list(cache.values()) == [kept]
        adding = tbl.insert()
        await conn.execute(adding, val="a")
        assert len(cache) == 2
        await conn.execute(adding, {"id": 50, "val": "b"})
        await conn.execute(adding, val="c")
        assert await values(conn, tbl) == ["first", "inline", "a", "b", "c"]


async def test_bad_input(conn: SAConnection, tbl: sa.Table) -> None:
    with pytest.raises(ArgumentError, match="should be str or SQLAlchemy .*, not int"):
        await conn.execute(42)  # type: ignore[call-overload]
    with pytest.raises(ArgumentError, match="positional parameters"):
        await conn.execute(tbl.select(), (1,))
    with pytest.raises(ArgumentError, match=f"{tbl.name} has no column 'nope'"):
        await conn.execute(tbl.insert(), {"nope": 1})
    with pytest.raises(sa.exc.InvalidRequestError, match="bind parameter 'n'"):
        await conn.execute(tbl.select().where(tbl.c.id == sa.bindparam("n")))
    with pytest.raises(IntegrityError, match="Duplicate entry"):
        await conn.execute(tbl.insert(), {"id": 1})
    assert await conn.scalar("SELECT 1") == 1


async def test_released_connection(make_engine: MakeEngine) -> None:
    engine = await make_engine()
    conn = await engine.acquire()
    await conn.close()
    for attempt in (conn.execute("SELECT 1"), conn.scalar("SELECT 1"), conn.begin()):
        with pytest.raises(ResourceClosedError, match="This Connection is closed"):
            await attempt


@pytest.mark.parametrize(
    ("multiparams", "params", "rows"),
    [
        (None, None, []),
        ((), {}, []),
        ((), {"a": 1}, [{"a": 1}]),
        (({"a": 1},), {}, [{"a": 1}]),
        (("arg",), {}, [["arg"]]),
        (("a", "b"), {}, [("a", "b")]),
        ((["a", "b"],), {}, [["a", "b"]]),
        ((("a", "b"),), {}, [("a", "b")]),
        (([("a", "b"), ("c", "d")],), {}, [("a", "b"), ("c", "d")]),
        (([{"a": 1}, {"a": 2}],), {}, [{"a": 1}, {"a": 2}]),
        (({"a": 1}, {"a": 2}), {}, ({"a": 1}, {"a": 2})),
        (([],), {}, []),
    ],
)
def test_distill_params(multiparams: Any, params: Any, rows: Any) -> None:
    assert _distill_params(multiparams, params) == rows
