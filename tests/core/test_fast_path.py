"""`fast_path`: which statements take it, and that the others go the general way, and right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    DataError,
    DictCursor,
    InterfaceError,
    ProgrammingError,
    SSCursor,
    connect,
)
from aiomysql_core.transport.fast_path import FastPath, fast_path
from tests.core.ways import Watched
from tests.servers import Server

pytestmark = pytest.mark.skipif(fast_path is None, reason="the Python implementation has none")


def fast_of(connection: Connection) -> FastPath:
    fast = connection.runner.fast_path
    assert fast is not None
    return fast


def watch(connection: Connection) -> list[bool]:
    begun: list[bool] = []
    connection.runner.fast_path = Watched(fast_of(connection), begun)
    return begun


async def one(cursor: Cursor, query: str, args: object = None) -> Any:
    await cursor.execute(query, args)
    (row,) = await cursor.fetchall()
    return row


class Upper(Cursor):
    """A subclass that changes what is sent."""

    def mogrify(self, query: str, args: object = None) -> str:
        return super().mogrify(query, args).upper()


@pytest.mark.parametrize("args", [None, (7,), [7]])
async def test_text_statements_take_it(connection: Connection, args: object) -> None:
    begun = watch(connection)
    cursor = await connection.cursor()
    assert await one(cursor, "SELECT 7" if args is None else "SELECT %s", args) == (7,)
    assert (cursor.rowcount, cursor.rownumber, cursor.lastrowid) == (1, 1, None)
    assert cursor.description is not None
    assert begun == [True]


async def test_kept_statements_take_it_once_prepared(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, stmt_cache_size=4) as connection:
        begun = watch(connection)
        cursor = await connection.cursor()
        for number in range(3):
            assert await one(cursor, "SELECT %s + 1", (number,)) == (number + 1,)
        assert begun == [False, True, True]


async def test_prepared_statements_take_it(connection: Connection) -> None:
    async with await connection.prepare("SELECT %s * 2") as statement:
        cursor = await connection.cursor()
        await cursor.execute(statement, (1,))
        begun = watch(connection)
        await cursor.execute(statement, (21,))
        assert await cursor.fetchone() == (42,)
        assert begun == [True]


@pytest.mark.parametrize(
    ("query", "args"),
    [("SELECT %(n)s", {"n": 5}), ("SELECT %s", 5)],
    ids=["dict", "scalar"],
)
async def test_other_arguments_go_the_general_way(
    connection: Connection, query: str, args: object
) -> None:
    begun = watch(connection)
    assert await one(await connection.cursor(), query, args) == (5,)
    assert begun == [False]


@pytest.mark.parametrize("cursor_class", [DictCursor, SSCursor, Upper])
async def test_other_cursors_are_not_asked(
    connection: Connection, cursor_class: type[Cursor]
) -> None:
    begun = watch(connection)
    async with connection.cursor(cursor_class) as cursor:
        row = await one(cursor, "SELECT %s AS n", ("a",))
    expected: dict[type[Cursor], object] = {DictCursor: {"n": "a"}, SSCursor: ("a",)}
    assert row == expected.get(cursor_class, ("A",))
    assert begun == []


async def test_echo_goes_the_general_way(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, echo=True) as connection:
        begun = watch(connection)
        assert await one(await connection.cursor(), "SELECT 1") == (1,)
        assert begun == [False]


async def test_errors_are_the_general_ways(connection: Connection) -> None:
    begun = watch(connection)
    cursor = await connection.cursor()
    with pytest.raises(ProgrammingError, match="nothing_here"):
        await cursor.execute("SELECT * FROM nothing_here")
    assert begun == [True]
    assert await one(cursor, "SELECT 1") == (1,)


async def test_more_results_are_read_first(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, client_flag=1 << 16) as connection:
        begun = watch(connection)
        cursor = await connection.cursor()
        await cursor.execute("SELECT 1; SELECT 2")
        assert await cursor.fetchall() in ([(1,)], ((1,),))
        assert await one(cursor, "SELECT 3") == (3,)
        assert begun[1] is False


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (("a", "b"), TypeError),  # too many
        ((), TypeError),
        (("\ud800",), DataError),
        ((float("nan"),), ProgrammingError),
    ],
)
async def test_bad_values_are_told_the_general_way(
    connection: Connection, bad: tuple[object, ...], error: type[Exception]
) -> None:
    begun = watch(connection)
    cursor = await connection.cursor()
    with pytest.raises(error, match=r"."):
        await cursor.execute("SELECT %s", bad)
    assert begun == [False]
    assert await one(cursor, "SELECT 1") == (1,)


async def test_backslashes_as_the_session_has_them(connection: Connection) -> None:
    cursor = await connection.cursor()
    await cursor.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    assert connection.runner.fast_path is None  # the next one asks
    assert await one(cursor, "SELECT %s", ("a\\'b",)) == ("a\\'b",)
    begun = watch(connection)
    assert await one(cursor, "SELECT %s", ("a\\'b",)) == ("a\\'b",)
    assert begun == [True]


async def test_a_closed_connection_has_none(connect_args: dict[str, Any]) -> None:
    connection = await connect(**connect_args)
    cursor = await connection.cursor()
    fast = fast_of(connection)
    await connection.ensure_closed()
    assert connection.runner.fast_path is None
    assert fast.begin(cursor, "SELECT 1", None) is False


def send_none(fast: Any) -> None:
    fast.send(None)


def rest(fast: Any) -> None:
    fast.rest()


@pytest.mark.parametrize("misuse", [send_none, rest])
async def test_nothing_under_way(connection: Connection, misuse: Callable[[Any], None]) -> None:
    with pytest.raises(RuntimeError, match="no statement is under way"):
        misuse(fast_of(connection))
    assert await one(await connection.cursor(), "SELECT 1") == (1,)


async def test_begun_means_busy(connection: Connection) -> None:
    """A second statement is declined, and an error the general way; the first has its response."""
    fast = fast_of(connection)
    first, second = await connection.cursor(), await connection.cursor()
    assert fast.begin(first, "SELECT 1", None) is True
    assert fast.begin(second, "SELECT 2", None) is False
    with pytest.raises(InterfaceError):
        await second.execute("SELECT 2")
    assert await fast == 1
    assert await first.fetchall() in ([(1,)], ((1,),))
    with pytest.raises(RuntimeError, match="no statement is under way"):
        await fast


@pytest.mark.parametrize("wrong", [None, 1, object()])
async def test_what_is_no_cursor_is_declined(connection: Connection, wrong: Any) -> None:
    assert fast_of(connection).begin(wrong, "SELECT 1", None) is False


async def test_rows_and_counts_as_the_general_way_gives(
    connection: Connection, server: Server, table_name: str
) -> None:
    server.execute(f"CREATE TABLE {table_name} (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    begun = watch(connection)
    cursor = await connection.cursor()
    found = []
    for marks in ("%s", "%(v)s"):
        args: object = (1,) if marks == "%s" else {"v": 1}
        await cursor.execute(f"INSERT INTO {table_name} (v) VALUES ({marks})", args)
        found.append((cursor.rowcount, cursor.rownumber, cursor.description))
    assert found[0] == found[1] == (1, 0, None)
    assert cursor.lastrowid == 2
    assert begun == [True, False]
    await connection.commit()
