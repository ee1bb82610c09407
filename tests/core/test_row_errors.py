"""Rows of which none can be made, and what becomes of the others.

By a `row_factory`, by `_conv_row` of classic subclasses, and by the decoder of a converter.
"""

from __future__ import annotations

from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from aiomysql_core import Connection, Cursor, SSCursor, SSDictCursor, connect

#: More than a stream takes at once.
COUNT = 3000
NUMBERS = "SELECT CAST(n AS SIGNED) AS n, REPEAT('x', 100) FROM numbers ORDER BY n"


@pytest.fixture
async def connection(connect_args: dict[str, Any]) -> Any:
    async with connect(**connect_args) as connection:
        await fill(connection)
        yield connection


async def fill(connection: Connection[Any]) -> None:
    await connection.query("CREATE TEMPORARY TABLE numbers (n INT)")
    rows = [(number,) for number in range(COUNT)]
    await connection.executemany("INSERT INTO numbers VALUES (%s)", rows)


class BadRow(Exception):
    """No row can be made."""


#: Rows of which none can be made: the first, some beside each other, the last.
BAD = {0, 5, 6, 2000, COUNT - 1}


def number_of(row: Any) -> Any:
    """The number in a row, if something can be made of it."""
    number = row["n"] if isinstance(row, dict) else row[0]
    if number in BAD:
        raise BadRow(number)
    return number


async def cursor_of(connection: Connection[Any], way: str) -> Cursor[Any]:
    if way == "row_factory":
        return await connection.cursor(SSCursor, row_factory=lambda cursor: number_of)
    base: Any = SSDictCursor if way == "dict" else SSCursor

    class Own(base):  # type: ignore[misc]
        def _conv_row(self, row: Any) -> Any:
            return number_of(super()._conv_row(row))

    return await connection.cursor(Own)


@pytest.mark.parametrize("way", ["row_factory", "_conv_row", "dict"])
@pytest.mark.parametrize("size", [None, 1, 7, 1000, COUNT])
async def test_no_other_row_is_lost(
    connection: Connection[Any], way: str, size: int | None
) -> None:
    """By `fetchone`, or by `fetchmany` so many at a time."""
    cursor = await cursor_of(connection, way)
    await cursor.execute(NUMBERS)
    found: list[int] = []
    bad: list[int] = []
    while True:
        try:
            if size is None:
                row: Any = await cursor.fetchone()
                rows = [] if row is None else [row]
            else:
                rows = list(await cursor.fetchmany(size))
        except BadRow as error:
            bad.append(error.args[0])
            assert cursor.rownumber == len(found)
            continue
        if not rows:
            break
        found += rows
        assert cursor.rownumber == len(found)
    assert bad == sorted(BAD)
    assert found == [number for number in range(COUNT) if number not in BAD]
    assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("way", ["row_factory", "_conv_row", "dict"])
async def test_fetchall(connection: Connection[Any], way: str) -> None:
    """All or none: what had come is still to be fetched."""
    cursor = await cursor_of(connection, way)
    await cursor.execute(NUMBERS)
    for number in sorted(BAD):
        with pytest.raises(BadRow, match=f"^{number}$"):
            await cursor.fetchall()
        assert cursor.rownumber == 0
    rows = await cursor.fetchall()
    assert rows == [number for number in range(COUNT) if number not in BAD]
    assert await cursor.fetchall() == []


async def fetched(cursor: Cursor[Any], query: str) -> Any:
    await cursor.execute(query)
    return await cursor.fetchall()


async def collect(rows: Any, found: list[int]) -> None:
    async for row in rows:
        found.append(row)  # noqa: PERF401  (those before an error, too)


async def test_a_loop_ends_behind_the_rows_before(connection: Connection[Any]) -> None:
    for rows in (
        await cursor_of(connection, "row_factory"),
        connection.iterate(NUMBERS, row_factory=lambda cursor: number_of),
    ):
        if isinstance(rows, Cursor):
            await rows.execute(NUMBERS)
        found: list[int] = []
        for number in (0, 5):
            with pytest.raises(BadRow, match=f"^{number}$"):
                await collect(rows, found)
        assert found == [1, 2, 3, 4]
        await (rows.close() if isinstance(rows, Cursor) else rows.aclose())


async def test_an_error_is_of_its_result(connection: Connection[Any]) -> None:
    """The next statement, and the next result, are told nothing of it."""
    cursor = await cursor_of(connection, "row_factory")
    for further in (False, True):
        await cursor.execute(f"SELECT 1, 0 UNION ALL SELECT 0, 1; {NUMBERS} LIMIT 1, 2")
        assert await cursor.fetchone() == 1
        if further:
            assert await cursor.nextset()
            assert await cursor.fetchall() == [1, 2]
        else:
            with pytest.warns(UserWarning, match="left incomplete"):
                await cursor.execute("SELECT 3")
            assert await cursor.fetchall() == [3]


@pytest.mark.parametrize("kind", [Cursor, SSCursor])
async def test_stop_iteration_ends_nothing(
    connection: Connection[Any], kind: type[Cursor[Any]]
) -> None:
    def make(row: Any) -> Any:
        return row[0] if row[0] != 7 else next(iter(()))

    cursor = await connection.cursor(kind, row_factory=lambda cursor: make)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await fetched(cursor, f"{NUMBERS} LIMIT 9")
    if kind is SSCursor:
        assert await cursor.fetchall() == [0, 1, 2, 3, 4, 5, 6, 8]


async def test_no_warning_of_an_error_before(connection: Connection[Any]) -> None:
    """It was of a result that is gone."""
    cursor = await cursor_of(connection, "row_factory")
    await cursor.execute(f"SELECT 1, 0 UNION ALL SELECT 0, 1; {NUMBERS} LIMIT 0")
    assert await cursor.fetchone() == 1
    assert await cursor.nextset()
    await cursor.execute("SELECT 3")
    assert await cursor.fetchall() == [3]


async def test_what_is_no_exception_is_raised_at_once(connection: Connection[Any]) -> None:
    """The rows before it are made again: it is not about one of them."""
    stops = [3]

    def make(row: Any) -> Any:
        if stops and row[0] == stops[0]:
            stops.clear()
            raise KeyboardInterrupt
        return row[0]

    cursor = await connection.cursor(SSCursor, row_factory=lambda cursor: make)
    await cursor.execute(NUMBERS)
    with pytest.raises(KeyboardInterrupt):
        await cursor.fetchone()
    assert await cursor.fetchall() == [*range(COUNT)]


@pytest.mark.parametrize("deed", ["fetchone", "fetchmany", "fetchall"])
async def test_converters(connect_args: dict[str, Any], deed: str) -> None:
    """An error in one ends the result: the rows before it come, and none behind it."""

    def convert(text: str) -> int:
        if text == "1500":
            raise BadRow(text)
        return int(text)

    conv = {**conversions, FIELD_TYPE.LONGLONG: convert}
    async with connect(**connect_args, conv=conv) as connection:
        await fill(connection)
        cursor = await connection.cursor(SSCursor)
        await cursor.execute(NUMBERS)
        found: list[Any] = []
        errors = 0
        cursor.arraysize = 7
        while True:
            try:
                rows: Any = await getattr(cursor, deed)()
            except BadRow:
                errors += 1
                continue
            if not rows:
                break
            found += [rows[0]] if deed == "fetchone" else [row[0] for row in rows]
        assert errors == 1
        assert found == [*range(1500)]
        assert await connection.fetchval("SELECT 'next'") == "next"
