"""A user's program as `mypy --strict` sees it; what it asserts of types, `make types` checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from aiomysql_core import Connection
from aiomysql_sa import SAConnection
from aiomysql_sa.result import ResultProxy, RowProxy
from tests.sa.conftest import MakeEngine

if TYPE_CHECKING:
    from typing import assert_type
else:

    def assert_type(value: object, kind: object) -> object:
        return value


def names(rows: list[RowProxy]) -> list[str]:
    """A row of which nothing is known need not be told so."""
    return [row.name for row in rows]


async def only(result: ResultProxy[int, str]) -> tuple[int, str]:
    """A row with the types of its columns; the result must have one."""
    row = await result.first()
    assert row is not None
    assert_type(row, RowProxy[int, str])
    number, text = row.as_tuple()
    assert_type(number, int)
    assert_type(text, str)
    return number, text


async def test_types_of_rows(conn: SAConnection, tbl: sa.Table) -> None:
    typed = sa.select(sa.literal(40) + 2, sa.literal("x", sa.String))
    assert await only(await conn.execute(typed)) == (42, "x")
    assert await only(await conn.stream(typed)) == (42, "x")
    async for row in conn.execute(typed):
        assert_type(row.as_tuple(), tuple[int, str])
    async with conn.execute(typed) as result:
        assert_type(await result.fetchall(), list[RowProxy[int, str]])

    count = await conn.scalar(sa.select(sa.func.count()).select_from(tbl))
    assert_type(count, int | None)
    assert count == 1

    plain = await conn.execute("SELECT 'n' AS name")
    assert_type(plain, ResultProxy)
    assert names(await plain.fetchall()) == ["n"]
    added = await conn.execute(tbl.insert().values(val="a"))
    assert_type(added, ResultProxy)
    assert_type(added.lastrowid, int | None)
    assert_type(added.rowcount, int)
    assert_type(await conn.scalar("SELECT 1"), Any)
    assert_type(conn.connection, Connection[Any] | None)


async def test_types_of_engines(make_engine: MakeEngine) -> None:
    engine = await make_engine()
    assert_type(engine.size, int)
    async with engine.acquire() as conn:
        assert_type(conn, SAConnection)
        async with conn.begin() as transaction:
            assert_type(transaction.is_active, bool)
        async with conn.begin_twophase() as twophase:
            assert_type(twophase.xid, str)
    assert engine.freesize == 1
