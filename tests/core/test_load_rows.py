"""`Connection.load_rows`: in the table is what an INSERT would have put there, or nothing."""

from __future__ import annotations

import asyncio
import datetime
import enum
import gc
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, Self

import pytest
from pymysql.constants import CLIENT, FIELD_TYPE
from pymysql.converters import conversions

from aiomysql_core import (
    DEFAULT,
    Connection,
    DataError,
    IntegrityError,
    InterfaceError,
    MySQLError,
    OperationalError,
    ProgrammingError,
    connect,
)
from aiomysql_core.load_rows import RowLoad
from tests.servers import Server

TEXTS = ["", "a", "\\", "\\N", "N", "\t", "\n", "\r\n", "\0", "ü\U0001f600", "'\"`;%s", "\x1a"]

SETTINGS = (
    "SELECT @@sql_mode, @@sql_notes, @@sql_select_limit, @@net_read_timeout, @@max_error_count,"
    " @@autocommit"
)


class Color(enum.IntEnum):
    RED = 3


@pytest.fixture(params=["file", "insert"])
def way(request: pytest.FixtureRequest) -> str:
    """Whether LOAD DATA LOCAL is allowed."""
    return str(request.param)


@pytest.fixture(autouse=True)
def local(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowLoad, "told", set())
    server.execute("SET GLOBAL local_infile = 1")


@pytest.fixture
def options(connect_args: dict[str, Any], way: str) -> dict[str, Any]:
    return connect_args | {"local_infile": way == "file", "autocommit": True}


# Both are closed, and so their transactions ended, before the table goes.


@pytest.fixture
async def loading(table_name: str, options: dict[str, Any]) -> AsyncIterator[Connection]:
    async with connect(**options) as connection:
        yield connection


@pytest.fixture
async def files(table_name: str, connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    """A connection that may load files."""
    async with connect(**connect_args, local_infile=True, autocommit=True) as connection:
        yield connection


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v VARCHAR(20), b VARBINARY(20),"
        " d DECIMAL(8,3), f DOUBLE, t DATETIME(6), n INT NOT NULL DEFAULT 7)"
        " ENGINE=InnoDB CHARACTER SET utf8mb4"
    )
    return table_name


async def contents(connection: Connection, table: str, what: str = "*") -> Sequence[Any]:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT {what} FROM {table} ORDER BY 1")
        return await cursor.fetchall()


def some(count: int, value: str = "v") -> list[tuple[int, str]]:
    return [(number, value) for number in range(count)]


def mixed(count: int) -> list[tuple[Any, ...]]:
    return [
        (
            number,
            TEXTS[number % len(TEXTS)] if number % 5 else None,
            bytes([number % 256, 0, 92, 255, 9, 10]) if number % 3 else None,
            Decimal(number) / 8 if number % 4 else number,
            number / 7,
            datetime.datetime(2024, 1, 2, 3, 4, number % 60, number),
            number,
        )
        for number in range(count)
    ]


async def test_values_are_those_of_an_insert(loading: Connection, table: str, way: str) -> None:
    rows = mixed(3000)
    assert await loading.load_rows(table, rows) == 3000
    assert (way == "file") == (not RowLoad.told)
    loaded = await contents(loading, table)
    await loading.query(f"DELETE FROM {table}")
    async with loading.cursor() as cursor:
        marks = ", ".join(["%s"] * 7)
        await cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    assert loaded == await contents(loading, table)
    assert loading.get_autocommit()
    assert not loading.get_transaction_status()


async def test_values_of_no_file(files: Connection, table_name: str) -> None:
    """From the first row on that has one the rows are inserted: what it is to the table's types."""
    await files.query(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY, a BIT(10), b YEAR, c ENUM('x', 'y'),"
        " d POINT, e INT NOT NULL DEFAULT 5, f VARCHAR(9), g DECIMAL(5,2), h DATE, i TIME)"
    )
    point = bytes.fromhex("000000000101000000000000000000f03f0000000000000040")
    plain: tuple[Any, ...] = (None, None, "x", None, 1, "f", Decimal("1.25"), None, None)
    rows = [(number, *plain) for number in range(700)]
    rows += [
        (700, b"\x02\x01", 24, 2, point, DEFAULT, 5, 1.5, "2024-02-29", "01:02"),
        (701, 513, "1999", "y", None, True, b"f", "2.5", 20240101, 10203),
        (702, *plain[:4], Color.RED, bytearray(b"f"), *plain[6:]),
    ]
    assert await files.load_rows(table_name, rows) == 703
    assert any("a value" in reason for reason in RowLoad.told)
    loaded = await contents(files, table_name)
    await files.query(f"DELETE FROM {table_name}")
    async with files.cursor() as cursor:
        for row in rows[690:]:
            marks = ", ".join(["%s"] * len(row))
            await cursor.execute(f"INSERT INTO {table_name} VALUES ({marks})", row)
    assert list(loaded[690:]) == list(await contents(files, table_name))
    assert loaded[700][5] == 5
    with pytest.raises(DataError) as caught:
        await files.load_rows(table_name, [*((n + 800, *plain) for n in range(9)), ("x", *plain)])
    assert len(await contents(files, table_name)) == 13
    assert caught.value.args[0] == 1366


async def test_one_column(files: Connection, table_name: str) -> None:
    await files.query(f"CREATE TABLE {table_name} (v VARCHAR(9))")
    assert await files.load_rows(table_name, [(text,) for text in TEXTS] + [(None,)]) == 13
    assert not RowLoad.told
    found = [row[0] for row in await contents(files, table_name)]
    assert sorted(found, key=str) == sorted([*TEXTS, None], key=str)


async def test_dicts_and_other_orders(loading: Connection, table: str) -> None:
    rows = [{"v": "a", "id": 1}, {"id": 2, "v": None}]
    assert await loading.load_rows(table, rows) == 2
    assert await loading.load_rows(table, [("b", 3)], ["v", "ID"]) == 1
    assert await loading.load_rows(table, [[4, "c"], {"v": "c", "id": 5}], ["id", "v"]) == 2
    assert list(await contents(loading, table, "id, v, n")) == [
        *((1, "a", 7), (2, None, 7), (3, "b", 7), (4, "c", 7), (5, "c", 7))
    ]
    for wrong in ({"id": 6}, {"id": 6, "v": 1, "x": 1}):
        with pytest.raises(ValueError, match="columns of the others: ") as caught:
            await loading.load_rows(table, [*rows, wrong])
        assert caught.value.row_index == 2  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="columns of the others"):
        await loading.load_rows(table, [(6,) * 7, {"id": 6}])
    assert len(await contents(loading, table)) == 5


async def test_names(loading: Connection, server: Server, table: str) -> None:
    name = "odd`name.of %s a -- table"
    quoted = f"`{name.replace('`', '``')}`"
    await loading.query(f"CREATE TABLE {quoted} (`a``b%` INT PRIMARY KEY, `select` BLOB)")
    try:
        for number, given in enumerate((name, (server.database, name))):
            rows = [{"a`b%": number, "select": b"\t"}]
            assert await loading.load_rows(given, rows, on_duplicate="ignore") == 1
        assert len(await contents(loading, quoted)) == 2
    finally:
        await loading.query(f"DROP TABLE {quoted}")
    for bad, error in (("", ValueError), ("a\0", ValueError), (b"t", TypeError), (5, TypeError)):
        with pytest.raises(error):
            await loading.load_rows(bad, [(1,)])  # type: ignore[arg-type]
    with pytest.raises(ProgrammingError):
        await loading.load_rows("no such table", [(1,)])
    with pytest.raises(ValueError, match="named twice"):
        await loading.load_rows(table, [(1, 2)], ["id", "ID"])
    with pytest.raises(ValueError, match="no columns"):
        await loading.load_rows(table, [()], [])
    with pytest.raises(TypeError, match="list of names"):
        await loading.load_rows(table, [(1,)], "id")
    with pytest.raises(OperationalError):
        await loading.load_rows(table, [(1, 2)], ["id", "none"])
    with pytest.raises(ValueError, match="error, ignore, replace"):
        await loading.load_rows(table, [(1,)], ["id"], on_duplicate="update")  # type: ignore[arg-type]
    assert await contents(loading, table) == ()


@pytest.mark.parametrize(
    ("row", "error", "numbers"),
    [
        ((1, "x" * 30), DataError, {1406, 1265}),
        ((0, "twice"), IntegrityError, {1062}),
        (("no number", "x"), DataError, {1366}),
        ((None, "x"), (IntegrityError, OperationalError), {1048}),
        ((2**40, "x"), DataError, {1264}),
    ],
)
@pytest.mark.parametrize("mode", ["autocommit", "transaction", "not strict", "no autocommit"])
async def test_nothing_is_dropped_or_changed(
    loading: Connection, table: str, row: Any, error: Any, numbers: set[int], mode: str
) -> None:
    """It is an error, and nothing was loaded; an open transaction goes on; nothing is left."""
    if mode == "not strict":
        await loading.query("SET sql_mode = '', sql_notes = 0, sql_select_limit = 1")
    has_before = mode in ("transaction", "no autocommit")
    if mode == "no autocommit":
        await loading.autocommit(False)
    if mode == "transaction":
        await loading.begin()
    if has_before:
        await loading.load_rows(table, [(100, "before")], ["id", "v"])
    before = await contents(loading, "dual", SETTINGS[7:])
    rows = [*some(50), row]
    with pytest.raises(error) as caught:
        await loading.load_rows(table, rows, ["id", "v"])
    assert caught.value.args[0] in numbers
    assert await contents(loading, "dual", SETTINGS[7:]) == before
    if has_before:
        assert loading.get_transaction_status()
        with pytest.raises(OperationalError, match="SAVEPOINT"):
            await loading.query("ROLLBACK TO SAVEPOINT `aiomysql load_rows`")
        await loading.commit()
    assert not loading.get_transaction_status()
    await loading.query("SET sql_select_limit = DEFAULT")
    assert len(await contents(loading, table)) == has_before
    assert await loading.load_rows(table, rows[:50], ["id", "v"]) == 50
    await loading.rollback()
    assert len(await contents(loading, table)) == (
        51 if mode == "transaction" else 50 * (mode != "no autocommit") + has_before
    )


async def test_duplicates(loading: Connection, table: str) -> None:
    await loading.load_rows(table, some(3, "old"), ["id", "v"])
    rows = some(200, "new")
    assert await loading.load_rows(table, rows, ["id", "v"], on_duplicate="ignore") == 197
    assert [row[1] for row in await contents(loading, table)][:4] == ["old"] * 3 + ["new"]
    rows = some(100, "newer")
    assert await loading.load_rows(table, rows, ["id", "v"], on_duplicate="replace") == 100
    assert [row[1] for row in await contents(loading, table)].count("newer") == 100
    # Counted are the rows that were taken, also those that a later one has replaced.
    rows[1:1] = [(0, "later"), (0, "newer")]
    assert await loading.load_rows(table, rows, ["id", "v"], on_duplicate="replace") == 102
    del rows[1:3]
    for how in ("ignore", "replace"):
        with pytest.raises(DataError):
            await loading.load_rows(table, [*rows, (500, "x" * 30)], ["id", "v"], on_duplicate=how)
    assert len(await contents(loading, table)) == 200


@pytest.mark.parametrize("kept", [None, 64, 0])
async def test_more_than_the_server_tells(
    loading: Connection, server: Server, table: str, kept: int | None
) -> None:
    """One row among thousands is no duplicate, but dropped or changed: the list of warnings ends
    before it.  Whether the account may have a longer one does not matter.
    """
    if kept is not None:
        await loading.query(f"SET max_error_count = {kept}")
    rows = some(3000)
    assert await loading.load_rows(table, rows, ["id", "v"]) == 3000
    assert await loading.load_rows(table, rows, ["id", "v"], on_duplicate="ignore") == 0
    before = await contents(loading, "dual", SETTINGS[7:])
    with pytest.raises(IntegrityError, match="Duplicate"):
        await loading.load_rows(table, rows[:1], ["id", "v"])
    assert await contents(loading, "dual", SETTINGS[7:]) == before
    server.execute(f"CREATE TABLE {table}_2 (id INT, FOREIGN KEY (id) REFERENCES {table} (id))")
    try:
        for row in ((3001, "x" * 30), (2**40, "x")):
            with pytest.raises(DataError):
                await loading.load_rows(table, [*rows, row], ["id", "v"], on_duplicate="ignore")
            with pytest.raises(MySQLError):
                await loading.load_rows(table, [row, *rows], ["id", "v"])
        with pytest.raises(IntegrityError) as caught:
            await loading.load_rows(f"{table}_2", [(1,), (5000,)], on_duplicate="ignore")
        assert caught.value.args[0] == 1452
        assert await contents(loading, f"{table}_2") == ()
    finally:
        server.execute(f"DROP TABLE {table}_2")
    assert len(await contents(loading, table)) == 3000


async def test_an_account_without_rights(
    files: Connection, server: Server, table: str, connect_args: dict[str, Any]
) -> None:
    """It may insert, and neither select nor have long lists of warnings: the rows are loaded."""
    user = f"u{table}"[:30]
    server.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'Secret-1'")
    options = connect_args | {"user": user, "password": "Secret-1"}
    try:
        for grants, count in ((f"INSERT ON {table}", 3000), (f"INSERT (id, v) ON {table}", 6000)):
            server.execute(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}@'%'")
            server.execute(f"GRANT {grants} TO {user}@'%'")
            async with connect(**options, local_infile=True, autocommit=True) as connection:
                rows = some(count)
                how: Any = {"columns": ["id", "v"], "on_duplicate": "ignore"}
                assert await connection.load_rows(table, rows, **how) == 3000
                with pytest.raises(DataError):
                    await connection.load_rows(table, [*rows, (9000, "x" * 30)], **how)
            assert len(await contents(files, table)) == count
    finally:
        server.execute(f"DROP USER {user}@'%'")


async def test_columns_that_must_have_values(files: Connection, table_name: str) -> None:
    """What LOAD DATA gives a zero, a warning, or nothing at all."""
    await files.query(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY AUTO_INCREMENT, a INT NOT NULL,"
        " b INT NULL DEFAULT 3, c TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,"
        " g INT AS (a + 1) STORED, u VARCHAR(40) DEFAULT (UUID()), i INT INVISIBLE DEFAULT 9)"
    )
    with pytest.raises((OperationalError, IntegrityError)) as caught:
        await files.load_rows(table_name, [(1,)], ["id"])
    assert caught.value.args[0] == 1364
    with pytest.raises((OperationalError, IntegrityError)) as caught:
        await files.load_rows(table_name, [(1, None)], ["id", "a"])
    assert caught.value.args[0] == 1048
    with pytest.raises(MySQLError):
        await files.load_rows(table_name, [(1, 1, 1)], ["id", "a", "g"])
    assert await contents(files, table_name) == ()
    RowLoad.told.clear()
    assert await files.load_rows(table_name, [(5,), (6,)], ["a"]) == 2
    assert await files.load_rows(table_name, [(0, 7)], ["id", "a"]) == 1
    now = datetime.datetime(2024, 1, 1)
    assert await files.load_rows(table_name, [(9, 8, None, now, "u")]) == 1
    assert not RowLoad.told
    found = await contents(files, table_name, "a, b, g, i, LENGTH(u)")
    assert list(found) == [
        *((5, 3, 6, 9, 36), (6, 3, 7, 9, 36), (7, 3, 8, 9, 36), (8, None, 9, 9, 1)),
    ]
    assert await files.load_rows(table_name, [(None, 1), (DEFAULT, 2)], ["id", "a"]) == 2


async def test_notes_are_no_errors(loading: Connection, table: str) -> None:
    rows = [(number, Decimal("1.23456"), "x" * 20 + "  ") for number in range(100)]
    assert await loading.load_rows(table, rows, ["id", "d", "v"]) == 100
    assert (await contents(loading, table, "d, v"))[0] == (Decimal("1.235"), "x" * 20)


async def test_what_a_connection_converts(
    connect_args: dict[str, Any], table: str, server: Server
) -> None:
    """The driver's own questions are answered as they are; the user's encoders are asked."""
    rows = [(1, "a", b"\xff", 1, 1.5, datetime.datetime(2024, 1, 1), 5)]

    def refuse(value: Any) -> Any:
        raise AssertionError(value)

    kinds = (FIELD_TYPE.VAR_STRING, FIELD_TYPE.LONGLONG, FIELD_TYPE.BLOB, FIELD_TYPE.LONG)
    given: list[dict[str, Any]] = [
        {"use_unicode": False},
        {"conv": conversions | dict.fromkeys(kinds, refuse)},
        {"charset": "latin1"},
    ]
    for one in given:
        options = one | {"local_infile": True, "autocommit": True}
        async with connect(**connect_args | options) as connection:
            RowLoad.told.clear()
            assert await connection.load_rows(table, rows, on_duplicate="replace") == 1
            with pytest.raises(DataError):
                await connection.load_rows(table, [(3, "x" * 30)], ["id", "v"])
            assert bool(RowLoad.told) == ("charset" in options)
    conv = conversions | {str: lambda value, _: f"'<{value}>'"}
    async with connect(**connect_args, local_infile=True, conv=conv, autocommit=True) as connection:
        assert await connection.load_rows(table, [(2, "b")], ["id", "v"]) == 1
    assert server.execute(f"SELECT v FROM {table} ORDER BY id") == [("a",), ("<b>",)]


async def test_sessions_of_all_kinds(files: Connection, table: str) -> None:
    await files.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO'")
    assert await files.load_rows(table, [(2, "ü\\\t'")], ["id", "v"]) == 1
    assert not RowLoad.told
    await files.query("SET sql_mode = ''")
    assert await files.load_rows(table, [(3, "ü\\\t'", 5.0)], ["id", "v", "d"]) == 1
    assert [row[0] for row in await contents(files, table, "v")] == ["ü\\\t'"] * 2


@pytest.mark.parametrize("begins", [False, True])
async def test_unchecked_sessions(loading: Connection, table: str, begins: bool) -> None:
    """MariaDB fills an empty table without a look at its keys, and finds duplicates too late."""
    await loading.query("SET unique_checks = 0, foreign_key_checks = 0")
    if begins:
        await loading.begin()
    rows = [(1, "a"), (2, "b"), (1, "c")]
    assert await loading.load_rows(table, rows, ["id", "v"], on_duplicate="ignore") == 2
    await loading.commit()
    assert list(await contents(loading, table, "id, v")) == [(1, "a"), (2, "b")]
    with pytest.raises(IntegrityError):
        await loading.load_rows(table, [(5, "e"), (5, "f")], ["id", "v"])
    kept = await contents(loading, "dual", "@@unique_checks, @@foreign_key_checks")
    assert list(kept) == [(0, 0)]


@pytest.mark.parametrize("completion", ["RELEASE", "CHAIN"])
async def test_completion_types(loading: Connection, table: str, completion: str) -> None:
    """The session goes on, and no transaction is open."""
    await loading.query(f"SET completion_type = '{completion}'")
    assert await loading.load_rows(table, some(3), ["id", "v"]) == 3
    with pytest.raises(IntegrityError):
        await loading.load_rows(table, some(3), ["id", "v"])
    assert not loading.get_transaction_status()
    assert len(await contents(loading, table)) == 3


async def test_empty_strings(loading: Connection, server: Server, table: str) -> None:
    """They are no NULL, not even in MariaDB's mode that takes them for it in statements."""
    if server.kind != "mariadb":
        pytest.skip("has no such mode")
    await loading.query("SET sql_mode = 'EMPTY_STRING_IS_NULL,ANSI_QUOTES'")
    assert await loading.load_rows(table, [(1, "", b"")], ["id", "v", "b"]) == 1
    assert list(await contents(loading, table, "v, b")) == [("", b"")]
    ((mode,),) = await contents(loading, "dual", "@@sql_mode")
    assert set(mode.split(",")) == {"EMPTY_STRING_IS_NULL", "ANSI_QUOTES"}


async def test_file_names_in_other_character_sets(files: Connection, table: str) -> None:
    """The server would ask for another file than it was told."""
    for charset in ("utf16", "utf16le", "ucs2", "utf32", "latin1"):
        RowLoad.told.clear()
        await files.query(f"SET character_set_filesystem = {charset}")
        assert await files.load_rows(table, [(1, "a")], ["id", "v"], on_duplicate="replace") == 1
        assert bool(RowLoad.told) == (charset != "latin1")


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize(
    "statement",
    ["SET SESSION sql", "SET SESSION max", "SELECT @@", "SAVEPOINT", "LOAD", "RELEASE", "COMMIT"],
)
async def test_cancelled_at_any_statement(
    connect_args: dict[str, Any],
    table: str,
    server: Server,
    statement: str,
    begins: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session is as it was, or closed.  Who has begun COMMIT can't know whether it was done."""
    options = connect_args | {"autocommit": True, "local_infile": True, "on_cancel": "kill"}
    async with connect(**options, warn_uncommitted=False) as connection:
        await connection.query("SET max_error_count = 50")
        before = await contents(connection, "dual", SETTINGS[7:])
        if begins:
            await connection.begin()
            await connection.query(f"INSERT INTO {table} (id) VALUES (-1)")
        runner, cancelled = connection.runner, False
        query, run_in_turn = runner.query, connection.run_in_turn

        def cancel_at(*texts: str) -> None:
            nonlocal cancelled
            if not cancelled and any(text.startswith(statement) for text in texts):
                cancelled = True
                asyncio.get_running_loop().call_soon(task.cancel)

        def querying(text: bytes, **given: Any) -> Any:
            cancel_at(text.decode())
            return query(text, **given)

        def running(statements: list[str]) -> Any:
            cancel_at(*statements)
            return run_in_turn(statements)

        monkeypatch.setattr(runner, "query", querying)
        monkeypatch.setattr(connection, "run_in_turn", running)
        loading = connection.load_rows(table, some(3), ["id", "v"], on_duplicate="ignore")
        task = asyncio.ensure_future(loading)
        await asyncio.wait([task])
        monkeypatch.undo()
        assert cancelled == task.cancelled()
        # It has no end of its own within another one, and begins with its first question else.
        assert cancelled == ((statement, begins) not in {("COMMIT", True), ("SAVEPOINT", False)})
        if statement == "COMMIT" and not begins:
            assert connection.closed
        if connection.closed or not cancelled:
            return
        assert await contents(connection, "dual", SETTINGS[7:]) == before
        assert connection.get_transaction_status() == begins
        assert len(await contents(connection, table)) == begins
        if begins:
            with pytest.raises(OperationalError, match="SAVEPOINT"):
                await connection.query("RELEASE SAVEPOINT aiomysql_1")


async def test_settings_that_are_not_restored(
    loading: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is loaded then: they are restored before the COMMIT."""
    query, loaded = loading.runner.query, False

    async def failing(text: bytes, **given: Any) -> Any:
        nonlocal loaded
        if text.startswith(b"SET SESSION") and loaded:
            return await query(b"SET no_such = 1")
        loaded = loaded or not text.startswith(b"SET")
        return await query(text, **given)

    monkeypatch.setattr(loading.runner, "query", failing)
    with pytest.raises(OperationalError, match="no_such"):
        await loading.load_rows(table, [(1, "a", 2.5)], ["id", "v", "d"])
    assert loading.closed
    await loading.ping()
    assert await contents(loading, table) == ()


@pytest.mark.parametrize("given", [(), (["x"],), (1142, "mine"), (3948,)])
async def test_database_errors_of_the_source(
    loading: Connection, table: str, given: tuple[Any, ...]
) -> None:
    """They are not taken for the server's."""
    error = OperationalError(*given)

    def rows() -> Iterator[tuple[int, str]]:
        yield from some(1000)
        raise error

    with pytest.raises(OperationalError) as caught:
        await loading.load_rows(table, rows(), ["id", "v"])
    assert caught.value is error
    assert await contents(loading, table) == ()


async def test_system_versioning(loading: Connection, server: Server, table: str) -> None:
    """LOAD DATA REPLACE replaces nothing there."""
    if server.kind != "mariadb":
        pytest.skip("has no such tables")
    await loading.query(f"ALTER TABLE {table} ADD SYSTEM VERSIONING")
    for how in ("error", "replace", "ignore"):
        rows = [(1, how), (2, how)] if how == "error" else [(1, how)]
        count = await loading.load_rows(table, rows, ["id", "v"], on_duplicate=how)
        assert count == len(rows) - (how == "ignore")
    assert list(await contents(loading, table, "id, v")) == [(1, "replace"), (2, "error")]
    versions = await contents(loading, f"{table} FOR SYSTEM_TIME ALL", "COUNT(*)")
    assert list(versions) == [(3,)]


async def test_columns_that_differ_by_rules_of_the_server(
    loading: Connection, table_name: str
) -> None:
    """The Kelvin sign is a K by the rules of Python, and of some servers."""
    try:
        await loading.query(f"CREATE TABLE {table_name} (k ENUM('b', '2', '1'), `\u212a` INT)")
    except OperationalError:  # they are one name
        pass
    else:
        rows = [{"k": 1, "\u212a": 5}, {"k": 3, "\u212a": 6}]
        assert await loading.load_rows(table_name, rows) == 2
        assert set(await contents(loading, table_name)) == {("b", 5), ("1", 6)}
        await loading.query(f"DROP TABLE {table_name}")
    await loading.query(f"CREATE TABLE {table_name} (`é` INT NOT NULL, b INT)")
    assert await loading.load_rows(table_name, [(1, 2)], ["É", "B"]) == 1
    with pytest.raises(MySQLError) as caught:
        await loading.load_rows(table_name, [(1, 2, 3)], ["É", "B", "é"])
    assert caught.value.args[0] == 1110
    assert list(await contents(loading, table_name)) == [(1, 2)]


async def test_names_that_look_like_an_engine(files: Connection, table_name: str) -> None:
    await files.query(
        f"CREATE TABLE {table_name} (i INT, v TINYINT, `a\n) ENGINE=InnoDB` INT) ENGINE=MyISAM"
    )
    with pytest.raises(DataError):
        await files.load_rows(table_name, [(1, 300, 1)])
    assert any("MyISAM" in reason for reason in RowLoad.told)
    assert await contents(files, table_name) == ()


async def test_triggers_that_give_null(files: Connection, table: str) -> None:
    """The error says so, also where the server says nothing to LOAD DATA."""
    await files.query(
        f"CREATE TRIGGER {table}_t BEFORE INSERT ON {table} FOR EACH ROW SET NEW.n = NULL"
    )
    for how in ("error", "ignore", "replace"):
        with pytest.raises((IntegrityError, OperationalError)) as caught:
            await files.load_rows(table, some(3), ["id", "v"], on_duplicate=how)
        assert caught.value.args[0] == 1048
    assert await contents(files, table) == ()
    assert not RowLoad.told


async def test_rows_that_can_not_be_written(loading: Connection, table: str) -> None:
    """Nothing is loaded, the connection is kept, and the error says which row it was."""
    bad: list[tuple[Any, Any]] = [
        ((1, {}), TypeError),
        ((1, float("nan")), ProgrammingError),
        ((1, "\ud800"), DataError),
        ((1,), ValueError),
        (5, TypeError),
        (None, TypeError),
    ]
    for row, error in bad:
        with pytest.raises(error) as caught:
            await loading.load_rows(table, iter([*some(1500), row]), ["id", "v"])
        assert caught.value.row_index == 1500
        assert not loading.closed
        assert await contents(loading, table) == ()

    def failing(count: int) -> Iterator[Any]:
        yield from some(count)
        raise LookupError("no more")

    for count in (0, 1500):
        with pytest.raises(LookupError, match="no more") as failed:
            await loading.load_rows(table, failing(count), ["id", "v"])
        assert failed.value.row_index == count  # type: ignore[attr-defined]
    assert await contents(loading, table) == ()
    assert not loading.get_transaction_status()
    assert await loading.load_rows(table, []) == 0
    assert await loading.load_rows(table, iter(())) == 0
    for wrong in (5, "ab", b"ab"):
        with pytest.raises(TypeError):
            await loading.load_rows(table, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["list", "dicts", "generator", "asynchronous"])
async def test_rows_come_bit_by_bit(loading: Connection, table: str, kind: str) -> None:
    """Others have their turns, and progress is told of."""
    told: list[int] = []
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def asynchronous() -> AsyncIterator[tuple[int, str]]:
        for row in some(30_000):
            yield row

    rows: Any = some(30_000)
    if kind == "dicts":
        rows = [{"id": number, "v": value} for number, value in rows]
    elif kind != "list":
        rows = iter(rows) if kind == "generator" else asynchronous()
    other = asyncio.ensure_future(count_turns())
    count = await loading.load_rows(table, rows, ["id", "v"], progress=told.append)
    other.cancel()
    assert count == 30_000
    assert told == sorted(told)
    assert told[-1] == 30_000
    assert len(told) > 1
    assert turns > 5


async def test_memory_is_bounded(loading: Connection, table: str) -> None:
    """However many rows there are, no more than some of them are held at a time."""
    held = most = 0

    class Row(tuple[int, str]):
        __slots__ = ()

        def __new__(cls, number: int) -> Self:
            nonlocal held, most
            held += 1
            most = max(most, held)
            return super().__new__(cls, (number, "value"))

        def __del__(self) -> None:
            nonlocal held
            held -= 1

    gc.collect()
    assert await loading.load_rows(table, map(Row, range(20_000)), ["id", "v"]) == 20_000
    assert most <= 2500


async def test_slow_rows(loading: Connection, table: str) -> None:
    """The server waits longer for them than it does for other requests."""
    await loading.query("SET net_read_timeout = 1")

    async def rows() -> AsyncIterator[tuple[int, str]]:
        for row in some(2001):
            if row[0] == 1500:
                await asyncio.sleep(1.3)
            yield row

    assert await loading.load_rows(table, rows(), ["id", "v"]) == 2001


async def test_the_source_may_not_use_the_connection(loading: Connection, table: str) -> None:
    """What it does there would be in the file, or end the transaction."""
    for start in (0, 1500):

        async def rows(start: int = start) -> AsyncIterator[tuple[int, str]]:
            for row in some(2000):
                if row[0] == start:
                    await loading.commit()
                    await loading.query("COMMIT")
                yield row

        with pytest.raises(InterfaceError, match="another task"):
            await loading.load_rows(table, rows(), ["id", "v"])
        assert await contents(loading, table) == ()


class Stop(BaseException):
    pass


@pytest.mark.parametrize("error", [LookupError, Stop, asyncio.CancelledError])
@pytest.mark.parametrize("where", ["progress", "rows"])
@pytest.mark.parametrize("begins", [False, True])
async def test_errors_of_the_user(
    loading: Connection, table: str, error: type[BaseException], where: str, begins: bool
) -> None:
    """Whatever is raised, nothing is loaded, and the session is as it was, or closed."""
    before = await contents(loading, "dual", SETTINGS[7:])
    if begins:
        await loading.begin()
        await loading.query(f"INSERT INTO {table} (id) VALUES (-1)")

    def rows() -> Iterator[tuple[int, str]]:
        yield from some(20_000, "value " * 3)
        if where == "rows":
            raise error

    def progress(count: int) -> None:
        if where == "progress" and count > 5000:
            raise error

    with pytest.raises(error):
        await loading.load_rows(table, rows(), ["id", "v"], progress=progress)
    if loading.closed:
        assert error is not LookupError
        return
    assert await contents(loading, "dual", SETTINGS[7:]) == before
    assert loading.get_transaction_status() == begins
    assert len(await contents(loading, table)) == begins
    await loading.rollback()


async def holding_up(
    loading: Connection, other: Connection, server: Server, table: str
) -> asyncio.Task[int]:
    """A load that waits for a row that the other connection has locked."""
    await other.begin()
    await other.query(f"INSERT INTO {table} (id) VALUES (1500)")
    task = asyncio.ensure_future(loading.load_rows(table, some(3000), ["id", "v"]))
    waiting = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    for _ in range(100):
        await asyncio.sleep(0.12)  # InnoDB looks no sooner
        if server.execute(waiting)[0][0]:
            break
    return task


@pytest.mark.parametrize("on_cancel", ["close", "kill"])
@pytest.mark.parametrize("begins", [False, True])
async def test_cancellation(
    options: dict[str, Any],
    connect_args: dict[str, Any],
    server: Server,
    table: str,
    on_cancel: Literal["close", "kill"],
    begins: bool,
) -> None:
    """Nothing is loaded; a connection that is kept goes on with the user's transaction."""
    loading = await connect(**options, on_cancel=on_cancel)
    other = await connect(**connect_args)
    async with other, loading:
        before = await contents(loading, "dual", SETTINGS[7:])
        if begins:
            await loading.begin()
            await loading.query(f"INSERT INTO {table} (id) VALUES (-1)")
        task = await holding_up(loading, other, server, table)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await other.rollback()
        assert loading.closed == (on_cancel == "close")
        if not loading.closed:
            assert await contents(loading, "dual", SETTINGS[7:]) == before
            assert len(await contents(loading, table)) == begins
            assert await loading.load_rows(table, some(3000), ["id", "v"]) == 3000
        else:
            for _ in range(1000):  # until the server has noticed
                if await contents(other, table) == ():
                    break
                await other.rollback()
                await asyncio.sleep(0.01)
            assert await contents(other, table) == ()


async def test_deadlocks(loading: Connection, connect_args: dict[str, Any], table: str) -> None:
    """The server has rolled back more than was loaded: its error is raised, no other."""
    await loading.load_rows(table, [(-1, "old"), *some(1400)], ["id", "v"])
    before = await contents(loading, "dual", SETTINGS[7:])
    async with connect(**connect_args) as other:
        await loading.begin()
        await loading.query(f"UPDATE {table} SET v = 'mine' WHERE id = -1")
        await other.begin()
        numbers = ", ".join(map(str, range(50)))
        await other.query(f"UPDATE {table} SET v = 'theirs' WHERE id IN ({numbers})")
        await other.query(f"INSERT INTO {table} (id) VALUES (1500)")
        rows = [(number + 1500, "v") for number in range(20)]
        task = asyncio.ensure_future(loading.load_rows(table, rows, ["id", "v"]))
        await other.query(f"UPDATE {table} SET v = 'theirs' WHERE id = -1")
        with pytest.raises(OperationalError) as caught:
            await task
        assert caught.value.args[0] == 1213
        await other.rollback()
    assert not loading.closed
    assert await contents(loading, "dual", SETTINGS[7:]) == before
    assert (await contents(loading, table, "id, v"))[0] == (-1, "old")
    await loading.rollback()
    assert await loading.load_rows(table, [(1500, "v")], ["id", "v"]) == 1


async def test_locked_tables(loading: Connection, connect_args: dict[str, Any], table: str) -> None:
    """They remain locked."""
    await loading.query(f"LOCK TABLES {table} WRITE")
    assert await loading.load_rows(table, some(10), ["id", "v"]) == 10
    with pytest.raises(DataError):
        await loading.load_rows(table, [(20, "x" * 30)], ["id", "v"])
    async with connect(**connect_args) as other:
        await other.query("SET lock_wait_timeout = 1")
        with pytest.raises(OperationalError, match="ock wait timeout"):
            await contents(other, table)
    await loading.query("UNLOCK TABLES")
    assert len(await contents(loading, table)) == 10


@pytest.mark.parametrize("engine", ["MyISAM", "MEMORY"])
async def test_tables_without_transactions(files: Connection, table_name: str, engine: str) -> None:
    """Nothing is changed there, either: an INSERT refuses what LOAD DATA would change."""
    await files.query(f"CREATE TABLE {table_name} (id INT, v VARCHAR(5)) ENGINE={engine}")
    assert await files.load_rows(table_name, [(1, "a"), (2, "b")]) == 2
    assert any(engine in reason for reason in RowLoad.told)
    with pytest.raises(DataError):
        await files.load_rows(table_name, [(3, "c"), (4, "x" * 30), (5, "e")])
    assert set(await contents(files, table_name)) <= {(1, "a"), (2, "b"), (3, "c")}


async def test_temporary_tables_views_and_triggers(files: Connection, table: str) -> None:
    await files.query(f"CREATE TEMPORARY TABLE {table} (id INT, v VARCHAR(5), b BLOB)")
    assert await files.load_rows(table, [(1, "a", b"\xff")]) == 1
    assert not RowLoad.told
    await files.query(f"DROP TEMPORARY TABLE {table}")
    await files.query(
        f"CREATE VIEW {table}_v AS SELECT id, v FROM {table} WHERE id < 9 WITH CHECK OPTION"
    )
    try:
        assert await files.load_rows(f"{table}_v", [(1, "a")]) == 1
        with pytest.raises(MySQLError) as caught:
            await files.load_rows(f"{table}_v", [(2, "a"), (10, "a")])
        assert caught.value.args[0] == 1369
    finally:
        await files.query(f"DROP VIEW {table}_v")
    await files.query(
        f"CREATE TRIGGER {table}_t BEFORE INSERT ON {table} FOR EACH ROW"
        " SET NEW.v = CONCAT(NEW.v, '!')"
    )
    RowLoad.told.clear()
    assert await files.load_rows(table, [(3, "c")], ["id", "v"]) == 1
    with pytest.raises(DataError):
        await files.load_rows(table, [(4, "d"), (5, "x" * 20)], ["id", "v"])
    assert not RowLoad.told
    assert list(await contents(files, table, "id, v")) == [(1, "a"), (3, "c!")]


async def test_a_server_that_forbids_it(
    files: Connection, server: Server, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows go as INSERTs, which the log is told of once."""
    server.execute("SET GLOBAL local_infile = 0")
    try:
        with caplog.at_level(logging.INFO, "aiomysql"):
            for start in (0, 100):
                rows = iter([(n, "v") for n in range(start, start + 100)])
                assert await files.load_rows(table, rows, ["id", "v"]) == 100
        assert sum("sends INSERTs" in record.message for record in caplog.records) == 1
        assert len(await contents(files, table)) == 200
    finally:
        server.execute("SET GLOBAL local_infile = 1")


async def test_without_the_option_no_file_can_be_asked_for(
    connect_args: dict[str, Any], table: str
) -> None:
    async with connect(**connect_args, autocommit=True) as connection:
        assert not connection.allows_local_files
        assert not connection.runner.stream().session.capabilities & CLIENT.LOCAL_FILES
        assert await connection.load_rows(table, [(1, "a")], ["id", "v"]) == 1
