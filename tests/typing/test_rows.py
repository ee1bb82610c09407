"""What type checkers are told of rows, and that the rows are so.

`make types` checks each `assert_type`, by mypy and by pyright.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, assert_type, cast

import pytest

import aiomysql
from aiomysql import Connection, Cursor, DictCursor, Pool, SSCursor, SSDictCursor
from aiomysql.typing import ConnectOptions
from aiomysql_core import DeserializationCursor, PreparedStatement

QUERY = "SELECT 1 AS id, 'x' AS name"

Tuple = tuple[Any, ...]
Dict = dict[str, Any]


@dataclass
class User:
    id: int
    name: str


class Own(DictCursor):
    """A classic program's."""

    def hello(self) -> str:
        return "hello"


class OfUsers(Cursor[User]):
    """A class that makes rows of its own."""

    _converts_rows = True

    def _conv_row(self, row: Any) -> Any:
        return User(*row)


class AttrDict(dict[str, Any]):
    def __getattr__(self, name: str) -> Any:
        return self[name]


class AttrDictCursor(DictCursor):
    """A classic program's: at run time rows are of this class, a checker sees dicts."""

    dict_type = AttrDict


class Both(SSCursor[Dict], DictCursor):
    """Two classes with the same rows."""


def attr_row(cursor: Cursor[Any]) -> Callable[[Tuple], AttrDict]:
    names = [column[0] for column in cursor.description or ()]
    return lambda values: AttrDict(zip(names, values, strict=True))


def joined(cursor: Cursor[Any]) -> Callable[[Tuple], str]:
    return lambda values: ",".join(map(str, values))


@pytest.fixture
def options(connect_args: dict[str, Any]) -> ConnectOptions:
    return cast(ConnectOptions, connect_args)


async def test_cursors(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        assert_type(cursor, Cursor)
        await cursor.execute(QUERY)
        row = await cursor.fetchone()
        assert_type(row, Tuple | None)
        assert row == (1, "x")
        assert_type(await cursor.fetchmany(2), Sequence[Tuple])
        assert_type(await cursor.fetchall(), Sequence[Tuple])
        await cursor.execute(QUERY)
        async for row in cursor:
            assert_type(row, Tuple)
            assert row == (1, "x")


async def test_classes_of_cursors(connection: Connection) -> None:
    async with connection.cursor(DictCursor) as cursor:
        assert_type(cursor, DictCursor)
        await cursor.execute(QUERY)
        row = await cursor.fetchone()
        assert_type(row, Dict | None)
        assert row == {"id": 1, "name": "x"}
        assert_type(await cursor.fetchall(), Sequence[Dict])
    async with connection.cursor(SSCursor) as streaming:
        await streaming.execute(QUERY)
        rows = await streaming.fetchall()
        assert rows == [(1, "x")]
    async with connection.cursor(SSDictCursor) as streaming_dicts:
        assert_type(streaming_dicts, SSDictCursor)
        await streaming_dicts.execute(QUERY)
        async for row in streaming_dicts:
            assert_type(row, Dict)
            assert row == {"id": 1, "name": "x"}
    async with connection.cursor(DeserializationCursor) as deserializing:
        assert_type(deserializing, DeserializationCursor)
    async with connection.cursor(Own) as own:
        assert_type(own, Own)
        await own.execute(QUERY)
        assert_type(await own.fetchone(), Dict | None)
        assert own.hello() == "hello"
    async with connection.cursor(OfUsers) as of_users:
        await of_users.execute(QUERY)
        assert await of_users.fetchone() == User(1, "x")
    async with connection.cursor(SSCursor, DictCursor) as combined:
        assert_type(combined, Any)


async def test_factories(connection: Connection) -> None:
    async with connection.cursor(row_factory=aiomysql.class_row(User)) as cursor:
        assert_type(cursor, Cursor[User])
        await cursor.execute(QUERY)
        user = await cursor.fetchone()
        assert_type(user, User | None)
        assert user == User(1, "x")
    async with connection.cursor(SSCursor, row_factory=aiomysql.dict_row) as streaming:
        assert_type(streaming, Cursor[Dict])
        await streaming.execute(QUERY)
        assert await streaming.fetchall() == [{"id": 1, "name": "x"}]
    assert_type(await connection.fetchone(QUERY), Tuple | None)
    assert_type(await connection.fetchall(QUERY), Sequence[Tuple])
    assert_type(await connection.fetchval(QUERY), Any)
    found = await connection.fetchone(QUERY, row_factory=aiomysql.dict_row)
    assert_type(found, Dict | None)
    assert found == {"id": 1, "name": "x"}
    users = await connection.fetchall(QUERY, row_factory=aiomysql.class_row(User))
    assert_type(users, Sequence[User])
    assert users == [User(1, "x")]
    texts = await connection.fetchall(QUERY, row_factory=joined)
    assert_type(texts, Sequence[str])
    assert texts == ["1,x"]
    async for user in connection.iterate(QUERY, row_factory=aiomysql.class_row(User)):
        assert_type(user, User)
        assert user == User(1, "x")
    async for row in connection.iterate(QUERY):
        assert_type(row, Tuple)
    async with connection.pipeline() as pipeline:
        sent = pipeline.execute(QUERY)
    assert_type(await sent, Cursor)


async def test_rows_of_own_dicts(connection: Connection) -> None:
    async with connection.cursor(AttrDictCursor) as cursor:
        await cursor.execute(QUERY)
        row = await cursor.fetchone()
        assert_type(row, Dict | None)
        assert type(row) is AttrDict
    own = await connection.fetchone(QUERY, row_factory=attr_row)
    assert own is not None
    assert_type(own, AttrDict)
    assert own.id == 1
    async with connection.cursor(Both) as streaming:
        await streaming.execute(QUERY)
        assert_type(await streaming.fetchall(), list[Dict])


async def test_stacks(connection: Connection, options: ConnectOptions) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(aiomysql.connect(**options))
        assert_type(other, Connection)
        pool = await stack.enter_async_context(aiomysql.create_pool(minsize=0, **options))
        assert_type(pool, Pool)
        assert_type(await stack.enter_async_context(pool.acquire()), Connection)
        assert_type(await stack.enter_async_context(pool.transaction()), Connection)
        cursor = await stack.enter_async_context(connection.cursor(DictCursor))
        assert_type(cursor, DictCursor)
        assert_type(await stack.enter_async_context(await other.cursor()), Cursor)
        statement = await stack.enter_async_context(connection.prepare(QUERY))
        assert_type(statement, PreparedStatement)
        await stack.enter_async_context(other.transaction("SERIALIZABLE"))
        await stack.enter_async_context(other.pipeline())
    assert other.closed


async def test_connections_of_dicts(options: ConnectOptions) -> None:
    async with aiomysql.connect(**options, cursorclass=DictCursor) as connection:
        assert_type(connection, Connection[Dict])
        async with connection.cursor() as cursor:
            assert_type(cursor, Cursor[Dict])
            await cursor.execute(QUERY)
            assert await cursor.fetchone() == {"id": 1, "name": "x"}
        assert_type(await connection.fetchone(QUERY), Dict | None)
        async with connection.prepare(QUERY) as statement:
            assert_type(statement, PreparedStatement[Dict])
            row = await (await statement.execute()).fetchone()
            assert_type(row, Dict | None)
            assert row == {"id": 1, "name": "x"}
        async for row in connection.iterate(QUERY):
            assert_type(row, Dict)
            assert row == {"id": 1, "name": "x"}
        # Of the connection alone it can't be told whether a `row_factory` makes them of tuples.
        assert_type(await connection.cursor(SSCursor), Any)
        assert_type(await connection.cursor(SSDictCursor), SSDictCursor)


async def test_connections_with_a_factory(options: ConnectOptions) -> None:
    async with aiomysql.connect(**options, row_factory=aiomysql.class_row(User)) as connection:
        assert_type(connection, Connection[User])
        user = await connection.fetchone(QUERY)
        assert_type(user, User | None)
        assert user == User(1, "x")
        assert_type(await connection.fetchall(QUERY, row_factory=joined), Sequence[str])
        async with connection.cursor(DictCursor) as cursor:
            assert_type(cursor, DictCursor)
    streaming = aiomysql.connect(
        row_factory=aiomysql.class_row(User), cursorclass=SSCursor, **options
    )
    async with streaming as connection:
        assert_type(connection, Connection[User])
        async with connection.cursor() as users:
            await users.execute(QUERY)
            async for user in users:
                assert_type(user, User)
                assert user == User(1, "x")


async def test_pools(options: ConnectOptions) -> None:
    async with aiomysql.create_pool(maxsize=2, **options) as pool:
        assert_type(pool, Pool)
        async with pool.acquire() as connection:
            assert_type(connection, Connection)
        assert_type(await pool.fetchone(QUERY), Tuple | None)
        users = await pool.fetchall(QUERY, row_factory=aiomysql.class_row(User))
        assert_type(users, Sequence[User])
        assert users == [User(1, "x")]
        async for text in pool.iterate(QUERY, row_factory=joined):
            assert_type(text, str)
            assert text == "1,x"
    async with aiomysql.create_pool(**options, cursorclass=DictCursor) as dicts:
        assert_type(dicts, Pool[Dict])
        assert await dicts.fetchone(QUERY) == {"id": 1, "name": "x"}
        assert_type(await dicts.fetchone(QUERY), Dict | None)
        acquired = await dicts.acquire()
        assert_type(acquired, Connection[Dict])
        await dicts.release(acquired)
    async with aiomysql.create_pool(row_factory=aiomysql.class_row(User), **options) as of_users:
        async with of_users.transaction("READ COMMITTED", readonly=True) as transaction:
            assert_type(transaction, Connection[User])
            assert await transaction.fetchone(QUERY) == User(1, "x")
        async for user in of_users.iterate(QUERY):
            assert_type(user, User)
            assert user == User(1, "x")


async def test_ways_to_connect(connect_args: dict[str, Any]) -> None:
    """By position, with a data source name, and with options of which nothing is known."""
    host, user, password = (connect_args[name] for name in ("host", "user", "password"))
    port: int = connect_args["port"]
    async with aiomysql.connect(host, user, password, None, port) as connection:
        assert_type(connection, Connection)
    dsn = f"mysql://{user}:{password}@{host}:{port}"
    options: ConnectOptions = {"connect_timeout": 20.0}
    async with aiomysql.connect(dsn, **options) as connection:
        assert_type(connection, Connection)
    async with aiomysql.connect(dsn, cursorclass=DictCursor) as dicts:
        assert_type(dicts, Connection[Dict])
    async with aiomysql.create_pool(dsn, minsize=0, reset_session="rollback") as pool:
        assert_type(pool, Pool)
    async with aiomysql.create_pool(0, 2, host=host, port=port, user=user, password=password):
        pass
    async with aiomysql.connect(**connect_args) as unknown:
        assert_type(unknown, Connection[Any])


async def test_classes_at_run_time(connection: Connection) -> None:
    """They may be subscripted, and an object knows nothing of it."""
    cursor = Cursor[User](connection)
    assert type(cursor) is Cursor
    assert await cursor.execute(QUERY) == 1
    assert isinstance(cursor, Cursor)
    assert {Connection[User], Pool[User], SSCursor[User], Cursor[User]}
    assert type(await connection.cursor(SSCursor[User])) is SSCursor
    assert type(await connection.cursor(SSCursor[Dict], DictCursor)).__name__ == "SSDictCursor"
    assert Connection(cursorclass=Cursor[User]).cursorclass is Cursor
    wrong: Any = list[int]
    with pytest.raises(TypeError, match="Custom cursor must be subclass of Cursor"):
        connection.cursor(wrong)
