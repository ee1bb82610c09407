"""Every column type of the servers, both ways: written as a parameter, read from a table."""

from __future__ import annotations

import datetime
import struct
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pymysql.constants import FIELD_TYPE

from aiomysql_core import Connection, DataError, SSCursor, connect
from tests.servers import Server

DATE = datetime.date
DATETIME = datetime.datetime
DELTA = datetime.timedelta

# Zero dates and invalid dates are values, too; out of range is an error.
SQL_MODE = "STRICT_TRANS_TABLES,ALLOW_INVALID_DATES"
UTC = "SET time_zone = '+00:00'"

POINT = struct.pack("<IBI2d", 0, 1, 1, 1.5, -2.5)  # SRID, byte order, type, x, y
VECTOR = struct.pack("<3f", 1.5, -2.5, 3.0e10)
UNICODE = 'it\'s \\ "ü" \0\n % 𝄞 漢'
ALL_BYTES = bytes(range(256))


class As(NamedTuple):
    """A parameter that comes back as something else."""

    parameter: Any
    value: Any


def integers(bits: int) -> tuple[list[int], list[int]]:
    """The limits of a signed and of an unsigned integer type."""
    half = 1 << (bits - 1)
    return [-half, -1, 0, half - 1], [0, 1, 2 * half - 1]


SAMPLES: dict[str, list[Any]] = {
    "TINYINT": integers(8)[0],
    "TINYINT UNSIGNED": integers(8)[1],
    "TINYINT(3) ZEROFILL": [0, 7, 255],
    "SMALLINT": integers(16)[0],
    "SMALLINT UNSIGNED": integers(16)[1],
    "MEDIUMINT": integers(24)[0],
    "MEDIUMINT UNSIGNED": integers(24)[1],
    "INT": integers(32)[0],
    "INT UNSIGNED": integers(32)[1],
    "BIGINT": integers(64)[0],
    "BIGINT UNSIGNED": integers(64)[1],
    "BOOL": [As(True, 1), As(False, 0)],
    "DECIMAL(65,30)": [
        Decimal("9" * 35 + "." + "9" * 30),
        Decimal("-" + "9" * 35 + "." + "9" * 30),
        Decimal("1E-30"),
        Decimal("1E+5"),
        Decimal("-0.10"),
        As(7, Decimal(7)),
    ],
    "DECIMAL(65,0)": [Decimal("1E+64"), As(10**65 - 1, Decimal(10**65 - 1))],
    "FLOAT": [0.0, 0.1, -1.5, 1e22, 3.40282e38, -3.40282e38, 1.17549e-38],
    "DOUBLE": [
        0.0,
        0.1,
        1 / 3,
        -1e22,
        123456789.12345679,
        1.7976931348623157e308,
        2.2250738585072014e-308,
        5e-324,
        As(Decimal("1E+200"), 1e200),
        As(Decimal("1E-200"), 1e-200),
        As(2**53, 2.0**53),
    ],
    "BIT(1)": [As(True, b"\x01"), As(0, b"\x00"), b"\x01"],
    "BIT(64)": [b"\xff" * 8, b"\x80" + b"\0" * 6 + b"'", As(2**64 - 1, b"\xff" * 8)],
    "YEAR": [1901, 2026, 2155, As("0000", 0)],
    "DATE": [
        DATE(1000, 1, 1),
        DATE(2024, 2, 29),
        DATE(9999, 12, 31),
        "0000-00-00",
        "2026-00-00",
        "2026-02-31",
        As(DATETIME(2026, 1, 2), DATE(2026, 1, 2)),
    ],
    "DATETIME": [DATETIME(1000, 1, 1), DATETIME(9999, 12, 31, 23, 59, 59), "0000-00-00 00:00:00"],
    "DATETIME(3)": [DATETIME(2026, 11, 22, 1, 2, 3, 45000)],
    "DATETIME(6)": [
        DATETIME(1000, 1, 1, 0, 0, 0, 1),
        DATETIME(9999, 12, 31, 23, 59, 59, 999999),
        DATETIME(2026, 11, 22, 1, 2, 3),
        "0000-00-00 00:00:00.000000",
        "2026-02-31 01:02:03.000004",
        As(DATE(2026, 1, 2), DATETIME(2026, 1, 2)),
        As(DATETIME(2026, 1, 2, tzinfo=datetime.UTC), DATETIME(2026, 1, 2)),
    ],
    "TIMESTAMP(6) NULL": [
        DATETIME(1970, 1, 1, 0, 0, 1),
        DATETIME(2038, 1, 19, 3, 14, 7, 999999),
        "0000-00-00 00:00:00.000000",
    ],
    "TIME": [DELTA(hours=838, minutes=59, seconds=59), -DELTA(hours=838, minutes=59, seconds=59)],
    "TIME(1)": [DELTA(microseconds=-100000), DELTA(hours=-1, microseconds=900000)],
    "TIME(6)": [
        DELTA(hours=838, minutes=59, seconds=58, microseconds=999999),
        -DELTA(hours=838, minutes=59, seconds=58, microseconds=999999),
        DELTA(microseconds=-1),
        DELTA(days=-1, seconds=3, microseconds=4),
        DELTA(0),
        As(datetime.time(23, 59, 59, 999999), DELTA(days=1, microseconds=-1)),
    ],
    "ENUM('', 'it''s', 'ü')": ["", "it's", "ü", As(2, "it's")],
    "SET('a', 'ü', 'c')": ["", "a", "ü,c", As(7, "a,ü,c")],
    "JSON": ['{"ü": ["it\'s", 1, null, "𝄞\\\\"]}', "[]", '"漢"'],
    "GEOMETRY": [POINT],
    "POINT": [POINT],
    "CHAR(30)": ["", "a", UNICODE],
    "VARCHAR(30)": ["", " a ", UNICODE],
    "VARCHAR(30) COLLATE utf8mb4_bin": [UNICODE],
    "VARCHAR(30) CHARACTER SET latin1": ["", "é€\x81\x8d\x8f\x90\x9d'\\"],
    "VARCHAR(30) CHARACTER SET ascii": ["~"],
    "VARCHAR(30) CHARACTER SET gbk": ["\\'漢縗"],
    "VARCHAR(30) CHARACTER SET sjis": ["\\'表ソ"],
    "VARCHAR(30) CHARACTER SET utf16": [UNICODE],
    "VARCHAR(30) CHARACTER SET utf8mb3": ["\\'漢ü"],
    "TINYTEXT": [UNICODE],
    "TEXT": [UNICODE, "ü" * 300],
    "MEDIUMTEXT": [UNICODE, "ü" * 70000],
    "LONGTEXT": [UNICODE],
    "BINARY(4)": [b"\0\xff'\\", As(b"ab", b"ab\0\0"), As("ü", b"\xc3\xbc\0\0")],
    "VARBINARY(256)": [b"", ALL_BYTES, As(bytearray(b"\xfe"), b"\xfe")],
    "VARCHAR(30) CHARACTER SET binary": [b"\xff"],
    "TINYBLOB": [b"", ALL_BYTES[:255]],
    "BLOB": [ALL_BYTES, As(memoryview(ALL_BYTES)[::-2], ALL_BYTES[::-2])],
    "MEDIUMBLOB": [ALL_BYTES * 300],
    "LONGBLOB": [ALL_BYTES, As("ü", b"\xc3\xbc")],
}

MARIADB_SAMPLES: dict[str, list[Any]] = {
    "UUID": [
        "123e4567-e89b-12d3-a456-426655440000",
        As(uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
    "INET4": ["192.0.2.1"],
    "INET6": ["::", "2001:db8::1"],
}

VECTOR_SAMPLES: dict[str, list[Any]] = {"VECTOR(3)": [VECTOR]}

MYSQL_SAMPLES: dict[str, list[Any]] = {"VARCHAR(30) CHARACTER SET gb18030": [UNICODE]}


def samples(server: Server) -> dict[str, list[Any]]:
    """The samples for all types that the server has."""
    found = dict(SAMPLES)
    if server.kind == "mariadb":
        found.update(MARIADB_SAMPLES)
        if server.version >= (11, 7):
            found.update(VECTOR_SAMPLES)
    else:
        found.update(MYSQL_SAMPLES)
        if server.version >= (9,):
            found.update(VECTOR_SAMPLES)
    return found


def parameters(values: list[Any]) -> list[Any]:
    """What is written: the samples, and NULL."""
    return [value.parameter if isinstance(value, As) else value for value in values] + [None]


def expected(values: list[Any]) -> list[Any]:
    """What is read back."""
    return [value.value if isinstance(value, As) else value for value in values] + [None]


@pytest.fixture
async def lenient(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    """A connection on which zero dates are values."""
    async with connect(**connect_args, sql_mode=SQL_MODE, init_command=UTC) as connection:
        yield connection


async def fill(connection: Connection, table: str, type_: str, values: list[Any]) -> None:
    """Make a table of one column, and write the values into it."""
    # Not by a cursor, which would pass on the warnings about deprecated types.
    await connection.query(f"CREATE TEMPORARY TABLE {table} (n INT PRIMARY KEY, v {type_})")
    async with connection.cursor() as cursor:
        for number, value in enumerate(parameters(values)):
            assert await cursor.execute(f"INSERT {table} VALUES (%s, %s)", (number, value)) == 1


# Making a table costs more than writing and reading: each test does several types.
GROUPS = {
    "numbers": ("TINYINT", "YEAR"),
    "times": ("DATE", "TIME(6)"),
    "special": ("ENUM", "POINT"),
    "text": ("CHAR(30)", "LONGTEXT"),
    "bytes": ("BINARY(4)", ""),
}


def group(server: Server, name: str) -> dict[str, list[Any]]:
    """The samples of a group: from its first type to its last, as they stand in the list."""
    first, last = GROUPS[name]
    chosen: dict[str, list[Any]] = {}
    inside = False
    for type_, values in samples(server).items():
        inside = inside or type_.startswith(first)
        if inside:
            chosen[type_] = values
        if inside and type_ == last:
            break
    return chosen


@pytest.mark.parametrize("name", GROUPS)
async def test_every_type_both_ways(server: Server, lenient: Connection, name: str) -> None:
    chosen = group(server, name)
    assert len(chosen) >= 3
    for number, (type_, values) in enumerate(chosen.items()):
        table = f"typed_{number}"
        await fill(lenient, table, type_, values)
        wanted = expected(values)
        for cursor_class in (None, SSCursor):
            cursor = await (lenient.cursor(cursor_class) if cursor_class else lenient.cursor())
            await cursor.execute(f"SELECT v FROM {table} ORDER BY n")
            rows = [value for (value,) in await cursor.fetchall()]
            assert rows == wanted, type_
            assert list(map(type, rows)) == list(map(type, wanted)), type_
            await cursor.close()


def test_the_groups_hold_every_type(server: Server) -> None:
    grouped = [type_ for name in GROUPS for type_ in group(server, name)]
    assert sorted(grouped) == sorted(samples(server))


async def test_description_and_values_are_those_of_pymysql(
    server: Server, table_name: str, lenient: Connection
) -> None:
    types = list(samples(server))
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(types))
    length = max(map(len, samples(server).values())) + 1
    await lenient.query(f"CREATE TABLE {table_name} (n INT AUTO_INCREMENT PRIMARY KEY, {columns})")
    async with lenient.cursor() as cursor:
        for row in range(length):
            written = [parameters(values) for values in samples(server).values()]
            values = [column[row % len(column)] for column in written]
            marks = ",".join(["%s"] * len(values))
            await cursor.execute(f"INSERT {table_name} VALUES (NULL,{marks})", values)
        await lenient.commit()
    with server.connect(sql_mode=SQL_MODE, init_command=UTC) as peer, peer.cursor() as theirs:
        for number, type_ in enumerate(["INT", *types]):
            column = f"c{number - 1}" if number else "n"
            statement = f"SELECT {column} FROM {table_name} ORDER BY n"
            cursor = await lenient.cursor()
            await cursor.execute(statement)
            rows = list(await cursor.fetchall())
            assert len(rows) == length
            if server.kind == "mysql" and type_.startswith("VECTOR"):
                # PyMySQL takes the bytes for ASCII, and can't read them.
                assert cursor.description is not None
                assert cursor.description[0][:2] == (column, 242)
                assert {row[0] for row in rows} == {VECTOR, None}
                continue
            theirs.execute(statement)
            assert cursor.description == theirs.description, type_
            assert rows == list(theirs.fetchall()), type_


async def test_expressions_are_those_of_pymysql(server: Server, connection: Connection) -> None:
    statement = (
        "SELECT 1, -1, 1.5, 1e0, 'ü', X'FF', NULL, NOW() > '2000-01-01', DATE'2026-01-02',"
        " TIME'-01:02:03.5', TIMESTAMP'2026-01-02 03:04:05.6', CAST('5' AS BINARY),"
        " CAST(1 AS UNSIGNED), CONCAT('ü', 5), JSON_OBJECT('ü', 'ü'), CAST('7' AS DECIMAL(9,4)),"
        " UUID() LIKE '%-%', b'101', SHA2('x', 256), COUNT(*), SUM(1), AVG(1), MAX('a' COLLATE"
        " utf8mb4_bin), GROUP_CONCAT('ü')"
    )
    with server.connect() as peer, peer.cursor() as theirs:
        theirs.execute(statement)
        async with connection.cursor() as cursor:
            await cursor.execute(statement)
            assert cursor.description == theirs.description
            assert await cursor.fetchall() == theirs.fetchall()


async def test_json_that_was_computed(server: Server, connection: Connection) -> None:
    kind = "JSON" if server.kind == "mysql" else "CHAR"
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT CAST(%s AS {kind})", ('["ü𝄞"]',))
        assert await cursor.fetchone() == ('["ü𝄞"]',)


async def test_without_unicode(server: Server, connect_args: dict[str, Any]) -> None:
    options = {**connect_args, "use_unicode": False, "sql_mode": SQL_MODE, "init_command": UTC}
    async with connect(**options) as connection:
        for number, (type_, values) in enumerate(samples(server).items()):
            table = f"raw_{number}"
            await fill(connection, table, type_, values)
            async with connection.cursor() as cursor:
                await cursor.execute(f"SELECT v FROM {table} ORDER BY n")
                rows = [value for (value,) in await cursor.fetchall()]
            temporal = type_.startswith(("DATE", "TIME"))
            wanted = [
                value.encode() if isinstance(value, str) and not temporal else value
                for value in expected(values)
            ]
            assert rows == wanted, type_
            assert cursor.description is not None
            assert cursor.description[0][0] == "v"


async def test_collations_that_nobody_lists(server: Server, connection: Connection) -> None:
    if server.kind == "mysql":
        collations = ["utf8mb4_0900_as_cs", "utf8mb4_ja_0900_as_cs_ks", "utf8mb4_0900_bin"]
    else:
        collations = ["utf8mb4_uca1400_ai_ci", "utf8mb4_uca1400_nopad_as_cs", "utf8mb4_nopad_bin"]
    async with connection.cursor() as cursor:
        for collation in collations:
            await cursor.execute(f"SELECT 'ü𝄞' COLLATE {collation}")
            assert await cursor.fetchone() == ("ü𝄞",)


async def test_out_of_range_is_the_servers_error(lenient: Connection) -> None:
    async with lenient.cursor() as cursor:
        await cursor.execute("CREATE TEMPORARY TABLE small (i INT, d DOUBLE, t TIME, s CHAR(1))")
        for column, value in [
            ("i", 1 << 31),
            ("d", Decimal("1E+400")),
            ("t", DELTA(days=40)),
            ("s", "ab"),
        ]:
            with pytest.raises(Connection.DatabaseError) as caught:
                await cursor.execute(f"INSERT small ({column}) VALUES (%s)", (value,))
            assert caught.value.args[0] in (1264, 1292, 1367, 1406, 1690), column
        await cursor.execute("SELECT COUNT(*) FROM small")
        assert await cursor.fetchone() == (0,)


async def test_own_converters_by_column_type(connect_args: dict[str, Any]) -> None:
    conv: dict[Any, Any] = {
        **Connection(**connect_args).decoders,
        FIELD_TYPE.TIMESTAMP: lambda text: text,
        FIELD_TYPE.DATETIME: str.upper,
        FIELD_TYPE.LONGLONG: lambda text: -int(text),
        FIELD_TYPE.BLOB: lambda value: (value,),
        FIELD_TYPE.VAR_STRING: lambda value: [value],
        complex: lambda value, mapping: mapping[str](f"{value.real}+{value.imag}i", mapping),
    }
    async with connect(**connect_args, conv=conv) as connection, connection.cursor() as cursor:
        await cursor.execute(
            "CREATE TEMPORARY TABLE own (a DATETIME, b BIGINT, c BLOB, d TEXT, e VARCHAR(9))"
        )
        await cursor.execute(
            "INSERT own VALUES ('2026-01-02', 7, %s, 'ü', %s)", (b"\xff", complex(1, 2))
        )
        await cursor.execute("SELECT * FROM own")
        assert await cursor.fetchone() == (
            "2026-01-02 00:00:00",
            -7,
            (b"\xff",),
            ("ü",),
            ["1.0+2.0i"],
        )


async def test_undecodable_text_is_a_data_error(connection: Connection) -> None:
    """The server sends what a column holds unchanged when the character sets are the same."""
    async with connection.cursor() as cursor:
        await connection.set_charset("gb2312")
        await cursor.execute("SELECT CONVERT(X'A1A1' USING gb2312)")
        assert await cursor.fetchone() == ("\u3000",)
        with pytest.raises(DataError, match="bad.*gb2312"):
            await cursor.execute("SELECT CONVERT(X'A8FE' USING gb2312) AS bad, 5")
        await cursor.execute("SELECT 5")
        assert await cursor.fetchone() == (5,)
