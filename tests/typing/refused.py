"""What type checkers must refuse: nothing here is run, and pytest finds no tests.

Under `make types` mypy and pyright tell of each comment that hides no error.  Comments of the
kind `type: ignore` are mypy's, `pyright: ignore` pyright's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiomysql
from aiomysql import Connection, Cursor, DictCursor, Pool


@dataclass
class User:
    id: int


async def names_of_options() -> None:
    await aiomysql.create_pool(max_size=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await aiomysql.connect(hots="localhost")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await aiomysql.create_pool("mysql://root@localhost/", ping=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await aiomysql.connect(maxsize=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await aiomysql.connect("localhost", "root", user="root")  # type: ignore[misc]  # pyright: ignore[reportCallIssue]


async def values_of_options() -> None:
    await aiomysql.connect(port="3306")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect("localhost", "root", "", None, "3306")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect(ssl_mode="verify")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect(on_cancel="abort")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect(compression="gzip")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect(compression=["zlib", "gzip"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect(ssl_negotiation="tls")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect(read_timeout="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.connect(cursorclass=dict)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.create_pool(maxsize="4")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.create_pool(reset_session=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.create_pool(connect_timeout="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await aiomysql.create_pool(configure=4)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def arguments(connection: Connection, pool: Pool) -> None:
    connection.transaction(isolation="NONE")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pool.transaction(isolation="NONE")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await connection.load_rows("t", [], on_duplicate="update")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await connection.execute(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await connection.fetchval("SELECT 1", row_factory=aiomysql.dict_row)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    connection.cursor(dict)  # type: ignore[type-var]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def rows(connection: Connection, pool: Pool) -> None:
    async with connection.cursor() as cursor:
        row = await cursor.fetchone()
        print(row[0])  # type: ignore[index]  # pyright: ignore[reportOptionalSubscript]
        assert row is not None
        print(row.nope)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        print(row["id"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
        for found in await cursor.fetchall():
            print(found.nope)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        async for found in cursor:
            print(found.nope)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        cursor.row_factory = aiomysql.dict_row  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    async with connection.cursor(DictCursor) as dicts:
        for item in await dicts.fetchall():
            print(item.nope)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
            print(item[0])  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    for user in await connection.fetchall("SELECT 1", row_factory=aiomysql.class_row(User)):
        print(user.nope)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        print(user[0])  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    async for user in pool.iterate("SELECT 1", row_factory=aiomysql.class_row(User)):
        print(user.nope)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def forgotten_await(connection: Connection, pool: Pool) -> None:
    connection.cursor().execute("SELECT 1")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    aiomysql.connect().cursor()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    pool.acquire().ping()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    connection.execute("SELECT 1")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    connection.commit()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    with connection.cursor():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
        for row in cursor.fetchall():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
            print(row)
        for row in cursor:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
            print(row)


def connections_of_other_rows(dicts: Connection[dict[str, Any]]) -> None:
    def of_tuples(connection: Connection) -> None: ...
    def of_any(connection: Connection[Any]) -> None: ...
    def of_cursor(cursor: Cursor[Any]) -> None: ...

    of_any(dicts)
    of_tuples(dicts)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    of_cursor(dicts)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
