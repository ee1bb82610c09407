"""What makes rows: `row_factory`, and the statements of a connection that need no cursor."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    DeserializationCursor,
    DictCursor,
    ProgrammingError,
    QueryTimeout,
    SSCursor,
    SSDictCursor,
    connect,
)
from aiomysql_core.rows import (
    RowFactory,
    class_row,
    dict_row,
    namedtuple_row,
    scalar_row,
    tuple_row,
)
from tests.servers import Server

QUERY = "SELECT 1 AS id, 'x' AS name UNION ALL SELECT 2, 'y' ORDER BY id"


@dataclass
class Row:
    id: int
    name: str


def joined(cursor: Cursor) -> Callable[[tuple[Any, ...]], str]:
    """A factory of the user's own."""
    assert cursor.description is not None
    names = [column[0] for column in cursor.description]
    return lambda values: ",".join(f"{n}={v}" for n, v in zip(names, values, strict=True))


FACTORIES: list[tuple[RowFactory[Any] | None, list[Any]]] = [
    (None, [(1, "x"), (2, "y")]),
    (tuple_row, [(1, "x"), (2, "y")]),
    (dict_row, [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]),
    (namedtuple_row, [(1, "x"), (2, "y")]),
    (scalar_row, [1, 2]),
    (class_row(Row), [Row(1, "x"), Row(2, "y")]),
    (joined, ["id=1,name=x", "id=2,name=y"]),
]
EACH = pytest.mark.parametrize(("factory", "expected"), FACTORIES)


@pytest.fixture
async def connection(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    async with connect(**connect_args) as connection:
        yield connection


@EACH
@pytest.mark.parametrize("kind", [Cursor, SSCursor])
@pytest.mark.parametrize("args", [None, ()])
async def test_cursors(
    connect_args: dict[str, Any],
    factory: RowFactory[Any],
    expected: list[Any],
    kind: type[Cursor],
    args: object,
) -> None:
    options = connect_args | {"stmt_cache_size": 8 if args is not None else 0}
    async with (
        connect(**options) as connection,
        connection.cursor(kind, row_factory=factory) as cursor,
    ):
        for _ in range(2):
            await cursor.execute(QUERY, args)
            assert await cursor.fetchone() == expected[0]
            assert list(await cursor.fetchmany(1)) == expected[1:]
            assert await cursor.fetchone() is None
        await cursor.execute(QUERY, args)
        assert [row async for row in cursor] == expected
        await cursor.execute("DO 1")
        assert not cursor.column_names
        await cursor.execute(QUERY, args)
        assert list(await cursor.fetchall()) == expected
        assert cursor.column_names == ("id", "name")
        cursor.row_factory = None
        await cursor.execute(QUERY, args)
        assert list(await cursor.fetchall()) == [(1, "x"), (2, "y")]


@EACH
async def test_connections(
    connect_args: dict[str, Any], factory: RowFactory[Any], expected: list[Any]
) -> None:
    """All its cursors have it, but for those that make rows of their own kind."""
    async with connect(**connect_args, row_factory=factory) as connection:
        assert list(await connection.fetchall(QUERY)) == expected
        assert await connection.fetchone(QUERY) == expected[0]
        assert [row async for row in connection.iterate(QUERY)] == expected
        assert await connection.fetchval(QUERY) == 1
        assert list(await connection.fetchall(QUERY, row_factory=scalar_row)) == [1, 2]
        assert list(await connection.fetchall(QUERY, row_factory=tuple_row)) == [(1, "x"), (2, "y")]
        async with connection.cursor(DictCursor) as cursor:
            await cursor.execute(QUERY)
            assert await cursor.fetchone() == {"id": 1, "name": "x"}
        async with connection.pipeline() as pipeline:
            results = [pipeline.execute(QUERY) for _ in range(3)]
        for result in results:
            assert list(await (await result).fetchall()) == expected


async def test_named_tuples(connection: Connection) -> None:
    query = "SELECT 1 AS id, 2 AS `class`, 3 AS `a b`"
    row: Any = await connection.fetchone(query, row_factory=namedtuple_row)
    assert (row.id, row._1, row._2) == row == (1, 2, 3)
    assert type(row) is type(await connection.fetchone(query, row_factory=namedtuple_row))


async def test_columns_of_the_same_name(connection: Connection) -> None:
    """As in DictCursor."""
    query = "SELECT a.id, b.id FROM (SELECT 1 AS id) a, (SELECT 2 AS id) b"
    expected = {"id": 1, "b.id": 2}
    assert await connection.fetchone(query, row_factory=dict_row) == expected
    async with connection.cursor(DictCursor) as cursor:
        await cursor.execute(query)
        assert await cursor.fetchone() == expected
        by_hand = dict_row(cursor)
        assert by_hand((1, 2)) == expected


async def test_what_can_be_no_factory(connection: Connection, connect_args: dict[str, Any]) -> None:
    for wrong in ("dict", 7, True):
        with pytest.raises(TypeError, match="'row_factory' must be a function"):
            connection.cursor(row_factory=wrong)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="'row_factory' must be a function"):
            await connect(**connect_args | {"row_factory": wrong})
    for kind in (DictCursor, SSDictCursor, DeserializationCursor):
        with pytest.raises(ProgrammingError, match=f"{kind.__name__} makes its rows itself"):
            connection.cursor(kind, row_factory=dict_row)  # type: ignore[arg-type]
        cursor = await connection.cursor(kind)
        with pytest.raises(ProgrammingError, match="makes its rows itself"):
            cursor.row_factory = scalar_row


@pytest.mark.parametrize("kind", [Cursor, SSCursor])
async def test_a_factory_that_fails(connection: Connection, kind: type[Cursor]) -> None:
    """The error is raised, and the connection goes on."""

    def none(cursor: Cursor) -> Any:
        raise LookupError("factory")

    def fails(cursor: Cursor) -> Any:
        def make(values: tuple[Any, ...]) -> Any:
            raise LookupError("row")

        return make

    for factory in (none, fails, class_row(int)):
        async with connection.cursor(kind, row_factory=factory) as cursor:
            with pytest.raises((LookupError, TypeError)):  # noqa: PT012  (either of them)
                await cursor.execute(QUERY)
                await cursor.fetchall()
        assert await connection.fetchval("SELECT 5") == 5


@pytest.mark.parametrize("kind", [Cursor, SSCursor])
async def test_rows_that_are_none(connection: Connection, kind: type[Cursor]) -> None:
    """They end no iteration."""
    query = "SELECT 1 AS a UNION ALL SELECT NULL UNION ALL SELECT 3"
    async with connection.cursor(kind, row_factory=scalar_row) as cursor:
        await cursor.execute(query)
        assert [value async for value in cursor] == [1, None, 3]
        await cursor.execute("SELECT NULL")
        assert [value async for value in cursor] == [None]
    stream = connection.iterate(query, row_factory=scalar_row)
    assert [value async for value in stream] == [1, None, 3]


async def test_changed_while_rows_are_outstanding(connection: Connection) -> None:
    """It is for the next result."""
    async with connection.cursor(SSCursor, row_factory=namedtuple_row) as cursor:
        await cursor.execute("SELECT 1 AS a, 2 AS b")
        row: Any = await cursor.fetchone()
        assert row.a == 1
        cursor.row_factory = None
        await cursor.execute("SELECT 1 AS c, 2 AS d UNION ALL SELECT 3, 4")
        cursor.row_factory = namedtuple_row
        assert [type(row) for row in await cursor.fetchall()] == [tuple, tuple]
        await cursor.execute("SELECT 1 AS c, 2 AS d UNION ALL SELECT 3, 4")
        cursor.row_factory = None
        assert [row.d for row in await cursor.fetchall()] == [2, 4]


async def test_it_has_its_own_columns(connection: Connection) -> None:
    """For each of several results."""
    async with connection.cursor(row_factory=joined) as cursor:
        await cursor.execute("SELECT 1 AS a; SELECT 2 AS b, 3 AS c")
        assert await cursor.fetchall() == ["a=1"]
        assert await cursor.nextset()
        assert await cursor.fetchall() == ["b=2,c=3"]


async def test_without_a_cursor(connection: Connection, server: Server, table_name: str) -> None:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY) ENGINE=InnoDB")
    insert = f"INSERT INTO {table_name} VALUES (%s)"
    assert await connection.execute(insert, (1,)) == 1
    assert await connection.executemany(insert, [(2,), (3,)]) == 2
    assert await connection.executemany(insert, []) is None
    query = f"SELECT id FROM {table_name} WHERE id > %s ORDER BY id"
    assert await connection.fetchall(query, (1,)) == ((2,), (3,))
    assert await connection.fetchone(query, (2,)) == (3,)
    assert await connection.fetchone(query, (3,)) is None
    assert await connection.fetchval(query, (3,)) is None
    assert await connection.fetchval("SELECT NULL") is None
    assert await connection.fetchval("DO 1") is None
    async with await connection.prepare(query) as statement:
        assert await connection.fetchval(statement, (0,)) == 1
    for method in (connection.execute, connection.fetchall, connection.fetchval):
        with pytest.raises(ProgrammingError) as caught:
            await method("SELECT nonsense FROM")
        assert caught.value.args[0] == 1064
    with pytest.raises(Exception, match="timeout"):
        await connection.fetchval("SELECT SLEEP(2)", timeout=0.05)


@pytest.mark.parametrize("kind", [Cursor, DictCursor, SSCursor, SSDictCursor])
async def test_they_have_the_connections_cursors(
    connect_args: dict[str, Any], kind: type[Cursor]
) -> None:
    seen: list[Any] = []

    class Own(kind):  # type: ignore[valid-type, misc]
        async def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(query)
            return await super().execute(query, *args, **kwargs)

    is_dict = issubclass(kind, DictCursor | SSDictCursor)
    expected = [{"a": 1}, {"a": 2}] if is_dict else [(1,), (2,)]
    query = "SELECT 1 AS a UNION ALL SELECT 2"
    async with connect(**connect_args, cursorclass=Own) as connection:
        assert list(await connection.fetchall(query)) == expected
        assert await connection.fetchone(query) == expected[0]
        assert await connection.fetchval(query) == 1
        assert [row async for row in connection.iterate(query)] == expected
        await connection.execute("DO 1")
        assert seen == [query] * 4 + ["DO 1"]


# -- iterate ---------------------------------------------------------------------------------------


@pytest.fixture
def endless(server: Server, table_name: str) -> str:
    """A query for 8,000,000,000 rows."""
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY) ENGINE=InnoDB")
    numbers = ", ".join(f"({number})" for number in range(1, 2001))
    server.execute(f"INSERT INTO {table_name} VALUES {numbers}")
    return f"SELECT a.id FROM {table_name} a, {table_name} b, {table_name} c"


async def test_many_rows(connection: Connection) -> None:
    query = "SELECT ordinal_position FROM information_schema.columns"
    stream = connection.iterate(query, row_factory=scalar_row)
    count = 0
    async for row in stream:
        count += 1
        assert row > 0
    assert count == len(await connection.fetchall(query)) > 1000
    assert [row async for row in stream] == []
    with pytest.raises(ProgrammingError, match="once"):
        await stream.__aenter__()


async def test_left_early(connect_args: dict[str, Any], endless: str) -> None:
    """With on_cancel="kill" the statement is stopped: its rest would take hours."""
    async with asyncio.timeout(20), connect(**connect_args, on_cancel="kill") as connection:
        for _ in range(3):
            async with connection.iterate(endless, row_factory=scalar_row) as rows:
                async for row in rows:
                    assert row >= 1
                    break
            assert not connection.closed
            assert await connection.fetchval("SELECT 'mine'") == "mine"
        with pytest.raises(LookupError):  # noqa: PT012  (raised within)
            async with connection.iterate(endless) as rows:
                async for _ in rows:
                    raise LookupError
        assert await connection.fetchval("SELECT 'mine'") == "mine"
        async with connection.iterate("SELECT 1 UNION ALL SELECT 2") as rows:
            assert await anext(rows) == (1,)
        async with connection.iterate("SELECT 1"):
            pass  # it was not begun
        assert await connection.fetchval("SELECT 'mine'") == "mine"


async def test_only_its_own_statement_is_stopped(connect_args: dict[str, Any]) -> None:
    query = "SELECT ordinal_position FROM information_schema.columns"
    async with connect(**connect_args, on_cancel="kill") as connection:
        first = connection.iterate("SELECT 1")
        await anext(first)
        second = connection.iterate(query)
        await anext(second)
        await first.aclose()
        assert len([row async for row in second]) > 1000


async def test_a_classic_subclass(connect_args: dict[str, Any]) -> None:
    """Its `cursor` knows of no `row_factory`."""

    class Classic(Connection):
        def cursor(self, *cursors: Any) -> Any:  # type: ignore[override]
            return super().cursor(*cursors)

    connection = Classic(**connect_args)
    await connection.ping()
    assert await connection.fetchval("SELECT 1") == 1
    assert await connection.fetchone("SELECT 1") == (1,)
    assert [row async for row in connection.iterate("SELECT 1")] == [(1,)]
    connection.close()


async def test_time_limits_cover_all_results(connection: Connection) -> None:
    with pytest.raises(QueryTimeout):
        await connection.execute("SELECT 1; SELECT SLEEP(2)", timeout=0.1)


async def test_left_early_without_kill(connection: Connection) -> None:
    """The rest is read and dropped."""
    query = "SELECT ordinal_position FROM information_schema.columns"
    async with connection.iterate(query) as rows:
        await anext(rows)
    assert await connection.fetchval("SELECT 'mine'") == "mine"


async def test_an_error_in_the_middle(connection: Connection) -> None:
    with pytest.raises(ProgrammingError):
        async for _ in connection.iterate("SELECT nonsense FROM"):
            pass
    assert await connection.fetchval("SELECT 'mine'") == "mine"


async def test_nothing_is_kept(connection: Connection) -> None:
    async for _ in connection.iterate(QUERY):
        pass
    gc.collect()
    assert connection.idle


@pytest.mark.parametrize("wrong", [class_row, Row, dict])
async def test_what_is_no_factory(connection: Connection, wrong: Any) -> None:
    """It is said what is one."""
    words = r"class_row\((cls|Row|dict)\)"
    with pytest.raises(TypeError, match=words):
        connection.cursor(row_factory=wrong)
    with pytest.raises(TypeError, match=words):
        await connection.fetchall(QUERY, row_factory=wrong)
    with pytest.raises(TypeError, match=words):
        await connect(row_factory=wrong)


async def test_a_class_of_factories(connection: Connection) -> None:
    class Factory:
        def __init__(self, cursor: Cursor) -> None:
            self.names = cursor.column_names

        def __call__(self, row: tuple[Any, ...]) -> str:
            return "".join(self.names)

    assert await connection.fetchone(QUERY, row_factory=Factory) == "idname"


@pytest.mark.parametrize("kind", [Cursor, SSCursor, DictCursor, SSDictCursor])
async def test_how_many_rows_a_statement_finds(
    connect_args: dict[str, Any], kind: type[Cursor[Any]]
) -> None:
    """Whatever the cursors are, and even though nobody gets the rows."""
    async with connect(**connect_args, cursorclass=kind) as connection:
        many = " UNION ALL ".join(["SELECT REPEAT('x', 1000) AS x"] * 1500)
        for query, count in [(QUERY, 2), ("SELECT 1 FROM DUAL WHERE 0", 0), (many, 1500)]:
            assert await connection.execute(query) == count
            assert await connection.execute(f"{query}; SELECT 1", timeout=10) == count
        assert await connection.execute("DO 0") == 0
