"""`Connection.load_rows`: LOAD DATA is used only for values that it stores as INSERT does."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from aiomysql_core import Connection, MySQLError, connect
from aiomysql_core.bulk.table_columns import find_columns
from aiomysql_core.load_rows import RowLoad
from aiomysql_protocol.values.file_rows import write_file_rows
from tests.servers import Server

COLUMNS = [
    *("TINYINT", "TINYINT(1)", "SMALLINT UNSIGNED", "MEDIUMINT", "INT", "INT(7) ZEROFILL"),
    *("BIGINT", "BIGINT UNSIGNED", "DECIMAL(10,3)", "DECIMAL(5,0) UNSIGNED", "DECIMAL(65,30)"),
    *("FLOAT", "FLOAT(7,2)", "DOUBLE", "DOUBLE(9,3)", "DOUBLE UNSIGNED"),
    *("CHAR(4)", "VARCHAR(4)", "TEXT", "TINYTEXT", "VARCHAR(9) CHARACTER SET latin1"),
    *("VARCHAR(9) CHARACTER SET utf8mb3", "TEXT CHARACTER SET utf16"),
    "CHAR(3) CHARACTER SET ascii",
    *("VARCHAR(9) COLLATE utf8mb4_bin", "ENUM('1','x','','é')", "SET('1','x','é')", "JSON"),
    *("BINARY(4)", "VARBINARY(4)", "BLOB", "TINYBLOB", "BIT(9)", "YEAR"),
    *("DATE", "DATETIME", "DATETIME(3)", "TIMESTAMP NULL", "TIMESTAMP(6) NULL", "TIME"),
    "TIME(2)",
    *("INT NOT NULL", "VARCHAR(4) NOT NULL", "DATE NOT NULL", "INT NOT NULL DEFAULT 5", "POINT"),
]
WHEN = datetime.datetime(2024, 2, 29, 23, 59, 59, 999_999)
VALUES: list[Any] = [
    *(None, 0, 1, -1, True, False, 127, 128, 255, 256, 1970, 2**31, 2**53, 2**63, 2**64 - 1),
    *(-(2**63), 99999999, 0.0, -0.0, 0.1, 1.5, -2.5, 1e-7, 1234567.891, 1e16, 1.7e308),
    *(3.5e38, 5e-324),
    *(Decimal("1.5"), Decimal("-0.0005"), Decimal("99999999.9995"), Decimal("1234567.0005")),
    *(Decimal("0.1") ** 30, Decimal("12345678901234567890.123456789")),
    *("", " ", "x", "x ", "x    ", "abcd", "abcde", "abc é", "é", "é" * 9, "\U0001f600"),
    *("\0", "\\", "\\N"),
    *("\t", "\n", "\r\n", "\x1a", "'\"`%;", "1", "0", "-1", "01", " 1", "1 ", "+1", "1.5"),
    *("1e2", ".5", "1."),
    *("0x10", "1x", "NULL", "null", "true", "2", "3", "99999999999999999999", "1e400"),
    *("x,1", "1,x"),
    *("2024-02-29", "2023-02-29", "0000-00-00", "2024-00-01", "24-2-9", "20240229"),
    "2024-02-29 1:2",
    *("2024-02-29T10:11:12.5", "2024-02-29 10:11:12+05:00", "2024-02-29 25:00:00"),
    "2038-01-19 03:14:08",
    *("10:11:12", "-838:59:59", "839:00:00", "1 02:03", "101112", "10:11:12.999", "10:11"),
    "x" * 300,
    *('{"a": [1, "é\\t"]}', "[1", "70", "2155"),
    *(b"", b"\0", b"\\", b"\\N", b"\t\n", b"x", b"x ", b"abcd", b"abcde", b"\xff\xfe"),
    *(b"\x1a", bytes(range(256))),
    *(datetime.date(2024, 2, 29), datetime.date(1, 1, 1), datetime.date(9999, 12, 31), WHEN),
    *(WHEN.replace(microsecond=0), WHEN.replace(microsecond=1), datetime.datetime(1970, 1, 1)),
    *(datetime.datetime(2038, 1, 20), WHEN.replace(tzinfo=datetime.UTC)),
    datetime.datetime(1, 1, 1),
    *(datetime.time(1, 2, 3), datetime.time(23, 59, 59, 999_999), datetime.timedelta(0)),
    *(datetime.timedelta(hours=838), datetime.timedelta(days=-30, microseconds=5)),
    *(datetime.timedelta(days=40), datetime.timedelta(microseconds=-1)),
]
MODES = ["", "ALLOW_INVALID_DATES,NO_BACKSLASH_ESCAPES,ANSI_QUOTES"]


@pytest.fixture
async def files(
    server: Server, connect_args: dict[str, Any], table_name: str
) -> AsyncIterator[Connection]:
    server.execute("SET GLOBAL local_infile = 1")
    async with connect(**connect_args, autocommit=True, local_infile=True) as connection:
        yield connection


async def taken(connection: Connection, table: str, column: str) -> list[Any]:
    """What is in the table, which is empty after that."""
    is_number = column.startswith(("FLOAT", "DOUBLE"))  # which are shown with few digits
    async with connection.cursor() as cursor:
        what = "v + 0e0" if is_number else "HEX(v)"
        await cursor.execute(f"SELECT n, v, {what} FROM {table} ORDER BY n")
        found = list(await cursor.fetchall())
        await cursor.execute(f"DELETE FROM {table}")
    return found


async def kinds_of(connection: Connection, table: str) -> bytes:
    async def ask(question: str) -> list[list[str | None]]:
        rows = await connection.runner.fetch_bytes(question.encode())
        return [[None if cell is None else cell.decode() for cell in row] for row in rows]

    found = (await find_columns(ask, table)).file_kinds(["v"])
    assert not isinstance(found, str)
    return found[0]


@pytest.mark.parametrize("modes", MODES)
@pytest.mark.filterwarnings("ignore")
async def test_all_pairs(
    files: Connection, table_name: str, modes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every value that a file has for any column: it is stored as an INSERT in strict mode
    stores it, or refused by both.
    """
    monkeypatch.setattr(RowLoad, "told", set())
    strict = f"{modes},STRICT_ALL_TABLES".removeprefix(",")
    pairs = 0
    for column in COLUMNS:
        await files.query(f"DROP TABLE IF EXISTS {table_name}")
        await files.query(
            f"CREATE TABLE {table_name} (n INT, v {column}) ENGINE=InnoDB CHARACTER SET utf8mb4"
        )
        kinds = await kinds_of(files, table_name)
        await files.query(f"SET sql_mode = '{strict}'")
        good, refused = [], []
        async with files.cursor() as cursor:
            for row in enumerate(VALUES):
                if write_file_rows([row[1:]], 0, 1, kinds)[1]:
                    try:
                        await cursor.execute(f"INSERT INTO {table_name} VALUES (%s, %s)", row)
                        good.append(row)
                    except MySQLError:
                        refused.append(row)
        if not (good or refused):
            continue
        inserted = await taken(files, table_name, column)
        await files.query(f"SET sql_mode = '{modes}'")
        assert await files.load_rows(table_name, good) == len(good)
        loaded = await taken(files, table_name, column)
        assert repr(loaded) == repr(inserted), column
        for row in refused[:: len(modes) + 1]:
            with pytest.raises(MySQLError):
                await files.load_rows(table_name, [row])
        assert await taken(files, table_name, column) == []
        pairs += len(good) + len(refused)
    assert pairs > 1000
    assert not RowLoad.told
