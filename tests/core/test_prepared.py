"""Prepared statements: `Connection.prepare`, and those that cursors keep (`stmt_cache_size`)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import struct
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE

from aiomysql_core import (
    Connection,
    Cursor,
    DataError,
    DeserializationCursor,
    DictCursor,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SSCursor,
    SSDictCursor,
    connect,
)
from aiomysql_protocol.commands.exchange import Command
from tests import scripted
from tests.protocol.test_prepared import EXPRESSIONS, TYPED
from tests.servers import Server

SIZE = 3
COM_RESET_CONNECTION = 0x1F


@pytest.fixture
async def caching(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    """A connection whose cursors keep statements prepared."""
    async with connect(**connect_args, stmt_cache_size=SIZE) as connection:
        yield connection


async def run(connection: Connection, query: Any, args: object = None) -> Any:
    """The rows of a statement, or how many it changed."""
    async with connection.cursor() as cursor:
        count = await cursor.execute(query, args)
        return list(await cursor.fetchall()) if cursor.description else count


async def status(connection: Connection) -> dict[str, int]:
    """What the server has counted in this session; `held` counts those of all."""
    found = dict(await run(connection, "SHOW SESSION STATUS"))
    names = {"Com_stmt_execute", "Com_stmt_prepare", "Com_stmt_close"}
    counted = {name.removeprefix("Com_stmt_"): int(found[name]) for name in names}
    return counted | {"held": int(found["Prepared_stmt_count"])}


async def status_after_closing(connection: Connection) -> dict[str, int]:
    """The status, after the closings that go out with the question for it."""
    await connection.ping()
    return await status(connection)


# Connection.prepare


async def test_prepare_execute_close(connection: Connection) -> None:
    before = await status(connection)
    async with await connection.prepare("SELECT %s + 1, %s") as statement:
        assert not statement.closed
        assert statement.connection is connection
        assert statement.query == "SELECT %s + 1, %s"
        for number in range(5):
            cursor = await statement.execute((number, "ü"))
            assert isinstance(cursor, Cursor)
            assert await cursor.fetchall() == ((number + 1, "ü"),)
        during = await status(connection)
        assert during["prepare"] == before["prepare"] + 1
        assert during["execute"] == before["execute"] + 5
        assert during["held"] == before["held"] + 1
        assert "closed" not in repr(statement)
    assert statement.closed
    assert "closed" in repr(statement)
    await statement.close()
    after = await status_after_closing(connection)
    assert (after["close"], after["held"]) == (before["close"] + 1, before["held"])
    with pytest.raises(ProgrammingError, match="is closed"):
        await statement.execute((1, 2))


@pytest.mark.parametrize(
    ("query", "args", "expected"),
    [
        ("SELECT ?, ? + 1", ("a", 2), ("a", 3)),
        ("SELECT ?", 5, (5,)),
        ("SELECT ?", [None], (None,)),
        ("SELECT '?', `a?` FROM (SELECT ? AS `a?`) AS t", ("x",), ("?", "x")),
        ("SELECT %(b)s, %(a)s, %(b)s", {"a": 1, "b": "two", "c": 3}, ("two", 1, "two")),
        ("SELECT %s, '%%'", ("x",), ("x", "%")),
        ("SELECT 7 %% %s", 4, (3,)),
        ("SELECT 'no marks'", None, ("no marks",)),
        ("SELECT 'no marks'", (), ("no marks",)),
        ("SELECT %s", (Decimal("1.50"),), (Decimal("1.50"),)),
        ("SELECT %s", (b"\0\xff",), (b"\0\xff",)),
        ("SELECT CAST(%s AS DATE)", (datetime.date(2024, 2, 29),), (datetime.date(2024, 2, 29),)),
    ],
)
async def test_marks(
    connection: Connection, query: str, args: object, expected: tuple[Any, ...]
) -> None:
    before = await status(connection)
    async with await connection.prepare(query) as statement:
        for _ in range(2):
            cursor = await statement.execute(args)
            assert await cursor.fetchall() == (expected,)
    if "?" in query:  # else MySQL may have found for a parameter the type of another literal
        assert (await status(connection))["execute"] == before["execute"] + 2


async def test_marks_and_values_that_do_not_match(connection: Connection) -> None:
    args: object
    async with await connection.prepare("SELECT ?, ?") as statement:
        for args in ((), (1,), (1, 2, 3), 5):
            with pytest.raises(ProgrammingError, match="2 parameters"):
                await statement.execute(args)
        with pytest.raises((ProgrammingError, TypeError)):
            await statement.execute({"a": 1})
        assert await (await statement.execute((1, 2))).fetchone() == (1, 2)
    async with await connection.prepare("SELECT %s, %s") as statement:
        for args in (None, (), (1,), (1, 2, 3), 5):
            with pytest.raises(TypeError, match="arguments"):
                await statement.execute(args)
        with pytest.raises(TypeError):
            await statement.execute({"a": 1})
    async with await connection.prepare("SELECT %(a)s") as statement:
        with pytest.raises(KeyError):
            await statement.execute({"b": 1})
        with pytest.raises(TypeError):
            await statement.execute((1,))
        assert await (await statement.execute({"a": 1})).fetchone() == (1,)


async def test_what_can_not_be_prepared(connection: Connection) -> None:
    with pytest.raises(ProgrammingError, match="1064"):
        await connection.prepare("SELEC 1")
    with pytest.raises(ProgrammingError, match="1146"):
        await connection.prepare("SELECT * FROM no_such_table")
    for query in ("SELECT * FROM t ORDER BY %s", "SELECT '%s'", "SELECT %s %(a)s", "SELECT `%s`"):
        with pytest.raises(ProgrammingError, match="can't be prepared"):
            await connection.prepare(query)
    with pytest.raises(DataError):
        await connection.prepare("SELECT '\ud800'")
    assert await run(connection, "SELECT 1") == [(1,)]


class Point:
    """A type that has an encoder of the user's, for literals."""


async def test_values_that_can_not_be_parameters(connect_args: dict[str, Any]) -> None:
    """With `%s` the statement goes as text; with `?` there is no such way."""
    conv: dict[Any, Any] = {Point: lambda value, mapping: "POINT(1, 2)"}
    async with connect(**connect_args, conv=conv) as connection:
        async with await connection.prepare("SELECT ST_X(%s)") as statement:
            assert await (await statement.execute((Point(),))).fetchone() == ("1",)
        async with await connection.prepare("SELECT ?") as statement:
            value: Any
            for value in (Point(), (4, 5)):
                with pytest.raises(ProgrammingError, match="can't be parameters"):
                    await statement.execute((value,))
            for value in ({}, float("nan"), Decimal("Infinity"), "\ud800"):
                with pytest.raises((TypeError, ProgrammingError, DataError)):
                    await statement.execute((value,))
            assert await (await statement.execute(("a",))).fetchone() == ("a",)


async def test_cursors_of_every_kind(connection: Connection) -> None:
    numbers = "(SELECT 1 AS n UNION ALL SELECT 2) AS t"
    query = f"SELECT n, JSON_OBJECT('n', n) AS j FROM {numbers} WHERE n > %s"
    async with await connection.prepare(query) as statement:
        cursorclass: Any
        for cursorclass in (Cursor, SSCursor):
            async with connection.cursor(cursorclass) as cursor:
                await cursor.execute(statement, (0,))
                assert [row[0] for row in await cursor.fetchall()] == [1, 2]
                await cursor.execute(statement, (1,))
                second = await cursor.fetchone()
                assert second is not None
                assert second[0] == 2
                assert await cursor.fetchone() is None
        for cursorclass in (DictCursor, SSDictCursor):
            async with connection.cursor(cursorclass) as cursor:
                await cursor.execute(statement, (0,))
                assert [row["n"] for row in await cursor.fetchall()] == [1, 2]
        async with connection.cursor(DeserializationCursor) as cursor:
            await cursor.execute("SELECT JSON_OBJECT('n', 2)")
            as_text = await cursor.fetchall()
            await cursor.execute(statement, (1,))
            assert [row[1:] for row in await cursor.fetchall()] == list(as_text)


async def test_a_long_result_streamed(connection: Connection) -> None:
    sql = "SELECT a.n * 1000 + b.n, REPEAT('x', %s) FROM {0} AS a, {0} AS b"
    await connection.query("CREATE TEMPORARY TABLE many (n INT)")
    numbers = ",".join(f"({n})" for n in range(1000))
    await connection.query(f"INSERT INTO many VALUES {numbers}")
    await connection.query("CREATE TEMPORARY TABLE few SELECT * FROM many LIMIT 30")
    query = sql.replace("{0} AS a", "few AS a").replace("{0} AS b", "many AS b")
    async with await connection.prepare(query) as statement, connection.cursor(SSCursor) as cursor:
        await cursor.execute(statement, (50,))
        seen = {row async for row in cursor}
        assert len(seen) == 30_000
        await cursor.execute(statement, (50,))
        assert len(await cursor.fetchmany(10)) == 10
    assert await run(connection, "SELECT 3") == [(3,)]


async def test_a_statement_of_another_connection(
    connection: Connection, caching: Connection
) -> None:
    async with await connection.prepare("SELECT 1") as statement, caching.cursor() as cursor:
        with pytest.raises(ProgrammingError, match="another connection"):
            await cursor.execute(statement)


async def test_executemany(table_name: str, connection: Connection) -> None:
    await connection.query(f"CREATE TABLE {table_name} (n INT PRIMARY KEY, s TEXT)")
    insert = await connection.prepare(f"INSERT INTO {table_name} VALUES (?, ?)")
    async with connection.cursor() as cursor:
        assert await cursor.executemany(insert, [(n, f"s{n}") for n in range(20)]) == 20
        assert cursor.rowcount == 20
        with pytest.raises(IntegrityError):
            await cursor.executemany(insert, [(20, "a"), (1, "b"), (21, "c")])
    await insert.close()
    assert await run(connection, f"SELECT COUNT(*), MAX(n) FROM {table_name}") == [(21, 20)]


async def test_what_statements_without_rows_say(connection: Connection) -> None:
    await connection.query("CREATE TEMPORARY TABLE t (n INT PRIMARY KEY AUTO_INCREMENT, v INT)")
    async with await connection.prepare("INSERT INTO t (v) VALUES (%s), (%s)") as statement:
        for first in (1, 3):
            cursor = await statement.execute((5, 6))
            assert (cursor.rowcount, cursor.lastrowid, cursor.description) == (2, first, None)
            assert (connection.affected_rows(), connection.insert_id()) == (2, first)


async def test_long_parameters_and_cells(connection: Connection) -> None:
    """Parts of a frame, a frame, and several."""
    async with await connection.prepare("SELECT LENGTH(%s), %s") as statement:
        for size in (0, 250, 251, 70_000, (1 << 24) - 20, (1 << 24) + 5):
            value = b"q" * size
            cursor = await statement.execute((value, value))
            ((length, cell),) = await cursor.fetchall()
            assert (length, len(cell), cell == value) == (size, size, True)


# What happens to the session


async def test_it_survives_a_reset(connection: Connection) -> None:
    async with await connection.prepare("SELECT %s, @a") as statement:
        await connection.query("SET @a = 1")
        assert await (await statement.execute((5,))).fetchone() == (5, 1)
        await connection.reset()
        for number in range(3):
            assert await (await statement.execute((number,))).fetchone() == (number, None)
    held = await status_after_closing(connection)
    assert held["held"] == 0


async def test_it_survives_a_reconnect(connection: Connection) -> None:
    statement = await connection.prepare("SELECT %s")
    lost = await connection.prepare("SELECT 1")
    connection.close()
    with pytest.raises(InterfaceError):
        await statement.execute((1,))
    await lost.close()
    await connection.ping()
    assert await (await statement.execute((2,))).fetchone() == (2,)
    await statement.close()
    assert (await status_after_closing(connection))["held"] == 0


async def test_it_survives_a_change_of_the_character_set(connection: Connection) -> None:
    statement = await connection.prepare("SELECT 'ü', %s")
    await connection.set_charset("latin1")
    assert await (await statement.execute(("ä",))).fetchone() == ("ü", "ä")
    connection.close()
    await connection.ping()
    assert connection.charset == "latin1"
    assert await (await statement.execute(("ä",))).fetchone() == ("ü", "ä")
    await statement.close()


async def test_it_keeps_its_database(connection: Connection, server: Server) -> None:
    await connection.select_db("information_schema")
    async with await connection.prepare("SELECT COUNT(*) FROM schemata") as statement:
        await connection.select_db(server.database)
        assert (await (await statement.execute()).fetchall())[0][0] > 2


async def test_a_table_that_changes(table_name: str, connection: Connection) -> None:
    await connection.query(f"CREATE TABLE {table_name} (n INT)")
    await connection.query(f"INSERT INTO {table_name} VALUES (1)")
    async with await connection.prepare(f"SELECT * FROM {table_name} WHERE n = %s") as statement:
        assert await (await statement.execute((1,))).fetchall() == ((1,),)
        await connection.query(f"ALTER TABLE {table_name} ADD COLUMN s TEXT DEFAULT ('new')")
        cursor = await statement.execute((1,))
        assert await cursor.fetchall() == ((1, "new"),)
        assert cursor.description is not None
        assert [column[0] for column in cursor.description] == ["n", "s"]
        await connection.query(f"ALTER TABLE {table_name} DROP COLUMN s, MODIFY n VARCHAR(9)")
        assert await (await statement.execute(("1",))).fetchall() == (("1",),)
        await connection.query(f"DROP TABLE {table_name}")
        with pytest.raises(ProgrammingError, match="1146"):
            await statement.execute((1,))
        await connection.query(f"CREATE TABLE {table_name} SELECT 1 AS n")
        assert await (await statement.execute((1,))).fetchall() == ((1,),)


async def test_a_statement_the_server_has_forgotten(
    connection: Connection, caching: Connection
) -> None:
    """ER_UNKNOWN_STMT_HANDLER: it is prepared again, and nobody notices."""
    statement = await connection.prepare("SELECT %s")
    await connection.runner.run(Command(COM_RESET_CONNECTION))
    assert await (await statement.execute(("1",))).fetchone() == ("1",)
    await connection.runner.run(Command(COM_RESET_CONNECTION))
    async with connection.cursor(SSCursor) as cursor:
        await cursor.execute(statement, ("2",))
        assert await cursor.fetchall() == [("2",)]
    await statement.close()
    await connection.ping()
    assert await run(caching, "SELECT %s", ("1",)) == [("1",)]
    await caching.runner.run(Command(COM_RESET_CONNECTION))
    assert await run(caching, "SELECT %s", ("2",)) == [("2",)]
    assert (await status_after_closing(caching))["held"] == 1


# Statements that cursors keep


async def test_each_is_prepared_once(caching: Connection) -> None:
    before = await status(caching)
    for number in range(10):
        for query in ("SELECT %s", "SELECT 2, %s", "SELECT 3, %s"):
            assert (await run(caching, query, (f"{number}",)))[0][-1] == f"{number}"
    after = await status(caching)
    assert after["prepare"] == before["prepare"] + 3
    assert after["execute"] == before["execute"] + 30
    assert after["close"] == before["close"]


async def test_without_the_option_nothing_is_prepared(connection: Connection) -> None:
    before = await status(connection)
    assert await run(connection, "SELECT %s", (1,)) == [(1,)]
    assert await status(connection) == before


async def test_statements_without_arguments_are_not_prepared(caching: Connection) -> None:
    before = await status(caching)
    assert await run(caching, "SELECT 1") == [(1,)]
    assert await run(caching, b"SELECT %s", (1,)) == [(1,)]
    assert await status(caching) == before


async def test_the_one_used_longest_ago_makes_room(caching: Connection) -> None:
    before = await status(caching)
    for number in range(SIZE):
        await run(caching, f"SELECT %s, {number}", ("1",))
    await run(caching, "SELECT %s, 0", ("1",))  # the oldest, and used again
    for number in range(SIZE, 30):
        assert await run(caching, f"SELECT %s, {number}", ("5",)) == [("5", number)]
        assert await run(caching, "SELECT %s, 0", ("1",)) == [("1", 0)]
        assert (await status(caching))["held"] <= before["held"] + SIZE
    after = await status_after_closing(caching)
    assert after["prepare"] == before["prepare"] + 30
    assert after["close"] == before["close"] + 30 - SIZE
    assert after["held"] == before["held"] + SIZE


#: COM_STMT_PREPARE's response: statement number, without columns, with one parameter.
def preparation(number: int, sequence_id: int = 1) -> bytes:
    response = struct.pack("<BIHHBH", 0, number, 0, 1, 0, 0)
    definition = b"\x03def\0\0\0\x01?\0\x0c\x3f\0" + bytes(4) + bytes([FIELD_TYPE.NULL]) + bytes(5)
    return scripted.frames(response, definition, b"\xfe\0\0\2\0", first=sequence_id)


async def conversation(
    responses: list[bytes], talk: Callable[[Connection], Any], **options: Any
) -> list[bytes]:
    """The requests that a server gets which sends `responses` for those that have one."""
    seen: list[bytes] = []
    pending = list(responses)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        while True:
            request = await scripted.read_packet(reader)
            if request == b"\x01":
                return
            seen.append(request)
            if request[0] != 0x19:  # COM_STMT_CLOSE has no response
                writer.write(pending.pop(0))

    async with scripted.scripted_server(handler) as port:
        connection = await connect(host="127.0.0.1", port=port, autocommit=None, **options)
        async with connection, asyncio.timeout(5):
            await talk(connection)
    assert pending == []
    return seen


OK = scripted.frames(scripted.ok())


async def test_closing_is_no_round_trip() -> None:
    async def talk(connection: Connection) -> None:
        await run(connection, "DO %s", (1,))
        await run(connection, "DO %s, 2", (1,))
        statement = await connection.prepare("DO %s, 3")
        await statement.close()
        await connection.ping()

    responses = [preparation(7), OK, preparation(8), OK, preparation(9), OK]
    seen = await conversation(responses, talk, stmt_cache_size=1)
    assert [request[:1] for request in seen] == [
        *(b"\x16", b"\x17", b"\x19", b"\x16", b"\x17"),  # the second makes room before it comes
        *(b"\x16", b"\x19", b"\x0e"),
    ]
    assert (seen[0], seen[2]) == (b"\x16DO ?", b"\x19\x07\0\0\0")
    assert (seen[5], seen[6]) == (b"\x16DO ?, 3", b"\x19\x09\0\0\0")


@pytest.mark.parametrize("code", [1615, 1243])
@pytest.mark.parametrize("cached", [True, False])
async def test_prepared_again_when_the_server_asks_for_it(code: int, cached: bool) -> None:
    stale = scripted.frames(scripted.error(code, "again"))

    async def talk(connection: Connection) -> None:
        if cached:
            assert await run(connection, "DO %s", (1,)) == 0
            assert await run(connection, "DO %s", (1,)) == 0
        else:
            statement = await connection.prepare("DO %s")
            assert (await statement.execute((1,))).rowcount == 0

    once = [preparation(7), stale, preparation(8), OK, *([OK] if cached else [])]
    seen = await conversation(once, talk, stmt_cache_size=9 * cached)
    executions = [request[1] for request in seen if request[0] == 0x17]
    assert executions == ([7, 8, 8] if cached else [7, 8])
    # A server that can't do it: as text.
    twice = [preparation(7), stale, preparation(8), stale]
    always = twice + ([OK, OK] if not cached else [OK, preparation(9), OK])
    if not cached:
        always = [*twice, preparation(9), stale, OK]
    seen = await conversation(always, talk, stmt_cache_size=9 * cached)
    assert b"\x03DO 1" in seen


@pytest.mark.parametrize(
    ("query", "args", "expected"),
    [
        ("SELECT n FROM (SELECT 2 AS n UNION ALL SELECT 1) AS t ORDER BY %s", (1,), [(1,), (2,)]),
        ("SELECT 5 IN %s", ((4, 5),), [(1,)]),
        ("SELECT '%s'", (5,), [("5",)]),
        ("SHOW VARIABLES LIKE %s", ("license",), [("license", "GPL")]),
        ("SELECT %s %%s", (1,), None),
        ("BEGIN NOT %s", ("x",), None),
    ],
)
async def test_what_is_not_prepared_is_text(
    connection: Connection, caching: Connection, query: str, args: Any, expected: Any
) -> None:
    for _ in range(3):
        if expected is None:
            for which in (connection, caching):
                with pytest.raises((ProgrammingError, OperationalError)):
                    await run(which, query, args)
        else:
            assert await run(caching, query, args) == expected
    assert await run(caching, "SELECT %s", (1,)) == [(1,)]


async def test_errors_are_those_of_the_text_way(
    connection: Connection, caching: Connection
) -> None:
    args: Any
    for query, args in [
        ("SELECT %s FROM no_such_table", (1,)),
        ("SELEC %s", (1,)),
        ("SELECT %s", ()),
        ("SELECT %s", (1, 2)),
        ("SELECT %(a)s", {}),
        ("SELECT %s", ({},)),
        ("SELECT %s", (float("inf"),)),
        ("SELECT %s", ("\ud800",)),
        ("SELECT %d", ("x",)),
    ]:
        errors = []
        for which in (connection, caching):
            with pytest.raises(Exception) as caught:  # noqa: PT011  (compared below)
                await run(which, query, args)
            errors.append((caught.type, str(caught.value).partition("character set: ")[0]))
        assert errors[0] == errors[1], query


async def test_too_many_statements_on_the_server(
    connect_args: dict[str, Any], server: Server
) -> None:
    ((before,),) = server.execute("SELECT @@max_prepared_stmt_count")
    async with connect(**connect_args, stmt_cache_size=9) as connection:
        assert await run(connection, "SELECT %s, 1", ("a",)) == [("a", 1)]
        server.execute("SET GLOBAL max_prepared_stmt_count = 0")
        try:
            for text in ("b", "c", "d"):
                assert await run(connection, "SELECT %s, 2", (text,)) == [(text, 2)]
                assert await run(connection, "SELECT %s, 1", (text,)) == [(text, 1)]
            with pytest.raises(OperationalError, match="1461"):
                await connection.prepare("SELECT 1")
        finally:
            server.execute(f"SET GLOBAL max_prepared_stmt_count = {before}")
        assert (await status(connection))["execute"] == 4


async def test_the_last_statement_may_be_another(
    connect_args: dict[str, Any], server: Server, table_name: str
) -> None:
    """Why an execution isn't sent along with its PREPARE, by the id for the last statement: when
    that is refused for being one too many, MariaDB takes the one before, and stores the values.
    """
    if server.kind != "mariadb":
        pytest.skip("has no such id")
    server.execute(f"CREATE TABLE {table_name} (id INT)")
    ((before,),) = server.execute("SELECT @@max_prepared_stmt_count")
    async with connect(**connect_args, autocommit=True) as connection:
        statement = await connection.prepare(f"INSERT INTO {table_name} VALUES (?)")
        server.execute("SET GLOBAL max_prepared_stmt_count = 0")
        try:
            with pytest.raises(OperationalError, match="1461"):
                await connection.prepare(f"DELETE FROM {table_name} WHERE id = ?")
        finally:
            server.execute(f"SET GLOBAL max_prepared_stmt_count = {before}")
        payload = b"\x17\xff\xff\xff\xff\0\1\0\0\0" + b"\0\1\x03\0" + (7).to_bytes(4, "little")
        await connection.runner.run(Command(payload[0], payload[1:]))
        await statement.close()
    assert server.execute(f"SELECT id FROM {table_name}") == [(7,)]


@pytest.mark.parametrize("code", [1317, 1205])
async def test_interrupted_while_it_is_prepared(code: int) -> None:
    """Then the statement is not run as text: it was to end."""

    async def talk(connection: Connection) -> None:
        with pytest.raises(OperationalError, match=str(code)):
            await run(connection, "DO %s", ("a",))
        assert await run(connection, "DO %s", ("a",)) == 0

    responses = [scripted.frames(scripted.error(code, "no")), preparation(7), OK]
    seen = await conversation(responses, talk, stmt_cache_size=1)
    assert [request[0] for request in seen] == [0x16, 0x16, 0x17]


# What changes what a statement means


CHANGES: list[tuple[str, str, Any]] = [
    ("SET sql_mode = 'PIPES_AS_CONCAT'", "SELECT 1 || %s", (0,)),
    ("set  SESSION sql_mode = CONCAT('ANSI', '_QUOTES')", 'SELECT %s, "a" FROM named', (1,)),
    ("/* first */ SET @@session.sql_mode = 'ANSI_QUOTES'", 'SELECT %s, "a" FROM named', (1,)),
    ("-- first\nSET sql_mode = 'PIPES_AS_CONCAT'", "SELECT 1 || %s", (0,)),
    ("/*!40101 SET sql_mode = 'PIPES_AS_CONCAT' */", "SELECT 1 || %s", (0,)),
    ("DO 1; SET sql_mode = 'PIPES_AS_CONCAT'", "SELECT 1 || %s", (0,)),
    ("SET NAMES latin1", "SELECT COLLATION('a') LIKE %s", ("latin1%",)),
    ("SET CHARACTER SET latin1", "SELECT HEX('ü'), @@character_set_client LIKE %s", ("latin%",)),
    ("SET collation_connection = utf8mb4_bin", "SELECT 'a' = 'A', %s", (1,)),
    ("SET group_concat_max_len = 4", "SELECT GROUP_CONCAT(n + %s) FROM numbered", (100,)),
    ("SET div_precision_increment = 9", "SELECT 1 / 3, %s", (1,)),
    ("SET default_week_format = 3", "SELECT WEEK('2008-02-20', %s), WEEK('2008-02-20')", (0,)),
    ("SET lc_time_names = 'de_DE'", "SELECT DAYNAME('2024-01-01'), %s", (1,)),
    ("SET time_zone = '+05:00'", "SELECT FROM_UNIXTIME(86400), %s", (1,)),
    ("SET sql_select_limit = 2", "SELECT n, %s FROM numbered", (1,)),
    ("USE information_schema", "SELECT DATABASE(), %s", (1,)),
    ("--\nUSE information_schema", "SELECT DATABASE(), %s", (1,)),
    ("/*!999999 c */ USE information_schema", "SELECT DATABASE(), %s", (1,)),
    ("SET autocommit = 1, sql_mode = 'PIPES_AS_CONCAT'", "SELECT 1 || %s", (0,)),
    ("USE information_schema", "SELECT COUNT(*) > 2, %s FROM schemata", (1,)),
]


@pytest.mark.parametrize(("change", "query", "args"), CHANGES)
async def test_a_statement_means_what_its_text_would(
    connection: Connection, caching: Connection, change: str, query: str, args: Any
) -> None:
    seen = []
    for which in (connection, caching):
        which.get_warnings = False
        await which.query("CREATE TEMPORARY TABLE named (a INT)")
        await which.query("INSERT INTO named VALUES (5)")
        await which.query("CREATE TEMPORARY TABLE numbered (n INT)")
        await which.query("INSERT INTO numbered VALUES (1), (2), (3)")
        rows = []
        for _ in range(2):
            with contextlib.suppress(ProgrammingError):
                rows.append(await run(which, query, args))
        before = rows[-1:]
        await run(which, change)
        rows += [await run(which, query, args) for _ in range(2)]
        assert rows[-1:] != before
        seen.append(repr(rows))
    assert seen[0] == seen[1]


async def test_changes_by_methods(caching: Connection, server: Server) -> None:
    assert await run(caching, "SELECT DATABASE(), %s", ("ü",)) == [(server.database, "ü")]
    await caching.select_db("mysql")
    assert await run(caching, "SELECT DATABASE(), %s", ("ü",)) == [("mysql", "ü")]
    assert await run(caching, "SELECT 'ä', %s", ("ü",)) == [("ä", "ü")]
    await caching.set_charset("latin1")
    assert await run(caching, "SELECT 'ä', %s", ("ü",)) == [("ä", "ü")]
    assert await run(caching, "SELECT CHARSET('ä'), %s", ("ü",)) == [("latin1", "ü")]
    await caching.reset()
    assert await run(caching, "SELECT CHARSET('ä'), %s", ("ü",)) == [("utf8mb4", "ü")]
    assert await run(caching, "SELECT DATABASE(), %s", ("ü",)) == [(server.database, "ü")]
    caching.close()
    await caching.ping()
    assert await run(caching, "SELECT DATABASE(), %s", ("ü",)) == [(server.database, "ü")]
    assert (await status_after_closing(caching))["held"] == 1


async def test_changes_by_prepared_statements(caching: Connection) -> None:
    async def means() -> Any:
        return (await run(caching, "SELECT 1 || %s", (0,)))[0][0]

    caching.get_warnings = False
    assert await means() == 1
    await run(caching, "SET sql_mode = %s", ("PIPES_AS_CONCAT",))
    assert await means() == "10"
    statement = await caching.prepare("SET sql_mode = %s")
    await statement.execute(("",))
    assert await means() == 1
    await statement.execute(("PIPES_AS_CONCAT",))
    assert await means() == "10"
    await statement.close()


async def test_strings_in_a_statement_under_both_modes(caching: Connection) -> None:
    query = "SELECT 'a\\\\', %s"
    assert await run(caching, query, ("b\\'",)) == [("a\\", "b\\'")]
    await caching.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    assert await run(caching, query, ("b\\'",)) == [("a\\\\", "b\\'")]


@pytest.mark.parametrize(
    ("first", "question", "args"),
    [
        ("INSERT INTO counted VALUES (8), (9)", "SELECT ROW_COUNT(), %s", (1,)),
        ("SELECT SQL_CALC_FOUND_ROWS * FROM counted LIMIT 1", "SELECT FOUND_ROWS(), %s", (1,)),
        ("SELECT CAST('x' AS SIGNED)", "SHOW WARNINGS LIMIT %s", (5,)),
        ("SELECT CAST('x' AS SIGNED)", "SHOW COUNT(*) WARNINGS", ()),
        ("SELECT CAST('x' AS SIGNED)", "SELECT @@warning_count, %s", (5,)),
        ("SELECT CAST('x' AS SIGNED)", "SELECT @@session.error_count, %s", (5,)),
        ("INSERT INTO keyed (v) VALUES (1)", "SELECT LAST_INSERT_ID(), %s", (1,)),
        ("INSERT INTO keyed (v) VALUES (1)", "SELECT @@identity, %s", (1,)),
    ],
)
async def test_questions_about_the_statement_before(
    connect_args: dict[str, Any], first: str, question: str, args: Any
) -> None:
    responses = []
    for size in (0, SIZE):
        async with connect(**connect_args, stmt_cache_size=size, get_warnings=False) as connection:
            await connection.query("CREATE TEMPORARY TABLE counted (n INT)")
            await connection.query(
                "CREATE TEMPORARY TABLE keyed (n INT PRIMARY KEY AUTO_INCREMENT, v INT)"
            )
            await connection.query("INSERT INTO counted VALUES (1), (2), (3)")
            for _ in range(2):
                await run(connection, first)
                responses.append(await run(connection, question, args))
    assert responses[:2] == responses[2:]


# Everything else that cursors do


async def test_every_type_as_in_text(connection: Connection, caching: Connection) -> None:
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(TYPED))
    seen = []
    for which in (connection, caching):
        which.get_warnings = False
        await which.query("SET sql_mode = 'ALLOW_INVALID_DATES'")
        await which.query(f"CREATE TEMPORARY TABLE typed (n INT, {columns}, PRIMARY KEY (n))")
        await which.query(f"INSERT INTO typed VALUES (1, {', '.join(TYPED.values())})")
        for cursorclass in (Cursor, SSCursor, DictCursor):
            async with which.cursor(cursorclass) as cursor:
                await cursor.execute("SELECT * FROM typed WHERE n = %s", (1,))
                seen.append(repr(list(await cursor.fetchall())))
        for expression in EXPRESSIONS:
            query = f"SELECT {expression.replace('%', '%%')}, %s"
            seen.append(repr(await run(which, query, ("a",))))
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
    assert (await status(caching))["execute"] >= 3 + len(EXPRESSIONS)


async def test_floats(caching: Connection) -> None:
    """FLOAT: the digits that the server writes, not the digits of the double nearest to it."""
    await caching.query("CREATE TEMPORARY TABLE reals (f FLOAT, d DOUBLE, n INT)")
    await run(caching, "INSERT INTO reals VALUES (%s, %s, 1)", (0.1, 0.1))
    await run(caching, "INSERT INTO reals VALUES (%s, %s, 1)", (1 / 3, 1 / 3))
    assert await run(caching, "SELECT f, d FROM reals WHERE n = %s", (1,)) == [
        (0.1, 0.1),
        (0.333333, 1 / 3),
    ]


async def test_executemany_with_the_cache(caching: Connection) -> None:
    await caching.query("CREATE TEMPORARY TABLE t (n INT PRIMARY KEY, v INT)")
    before = await status(caching)
    async with caching.cursor() as cursor:
        rows = [(n, n) for n in range(10)]
        assert await cursor.executemany("INSERT INTO t VALUES (%s, %s)", rows) == 10
        # What can't be sent at once is prepared.
        query = "SELECT v FROM t WHERE n = %s"
        assert await cursor.executemany(query, [(n,) for n in range(10)]) == 10
        changes = [(n + 1, n) for n in range(10)]
        assert await cursor.executemany("UPDATE t SET v = %s WHERE n = %s", changes) == 10
    after = await status(caching)
    assert after["prepare"] == before["prepare"] + 1
    assert after["execute"] == before["execute"] + 10
    assert await run(caching, "SELECT SUM(v - n) FROM t WHERE n >= %s", (0,)) == [(10,)]


@pytest.fixture
def procedure(server: Server, table_name: str) -> Any:
    name = f"p_{table_name}"
    server.execute(
        f"CREATE PROCEDURE {name}(a INT, OUT b INT) BEGIN"
        " SET b = a * 2; SELECT a; SELECT a + 1, 'ü'; END"
    )
    yield name
    server.execute(f"DROP PROCEDURE {name}")


async def test_several_results(caching: Connection, procedure: str) -> None:
    statement = await caching.prepare(f"CALL {procedure}(%s, @out)")
    for cursorclass in (Cursor, SSCursor):
        for query in (statement, f"CALL {procedure}(%s, @out)"):
            async with caching.cursor(cursorclass) as cursor:
                await cursor.execute(query, (5,))
                assert list(await cursor.fetchall()) == [(5,)]
                assert await cursor.nextset()
                assert list(await cursor.fetchall()) == [(6, "ü")]
                assert await cursor.nextset()
                assert cursor.description is None
                assert not await cursor.nextset()
            assert await run(caching, "SELECT @out") == [(10,)]
            async with caching.cursor(cursorclass) as cursor:
                await cursor.execute(query, (7,))  # left unread
    await statement.close()


async def test_out_parameters(caching: Connection, procedure: str) -> None:
    """Of a prepared CALL they come as one more result set."""
    async with await caching.prepare(f"CALL {procedure}(?, ?)") as statement:
        cursor = await statement.execute((5, None))
        results = [await cursor.fetchall()]
        while await cursor.nextset():
            if cursor.description:
                results.append(await cursor.fetchall())
        assert results == [((5,),), ((6, "ü"),), ((10,),)]
    async with caching.cursor() as cursor:
        await cursor.callproc(procedure, (3, 0))
        assert await cursor.fetchall() == ((3,),)
    assert await run(caching, f"SELECT @_{procedure}_1") == [(6,)]


async def test_closing_while_a_file_is_sent(connect_args: dict[str, Any]) -> None:
    """Nothing goes into the file."""
    async with connect(**connect_args, local_infile=True, stmt_cache_size=1) as connection:
        statement = await connection.prepare("SELECT %s")
        assert await run(connection, "SELECT 1, %s", (2,)) == [(1, 2)]
        await connection.query("CREATE TEMPORARY TABLE loaded (n INT)")

        async def source() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"%d\n" % number
                await statement.close()
                with pytest.raises(InterfaceError):
                    await connection.query("USE information_schema")
                with pytest.raises(InterfaceError):
                    await run(connection, "SELECT 2, %s", (3,))

        sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE loaded"
        assert await connection.load_local(sql, source()) == 5
        assert await run(connection, "SELECT SUM(n + %s) FROM loaded", (1,)) == [(15,)]
        assert (await status_after_closing(connection))["held"] == 1


async def test_two_tasks(caching: Connection) -> None:
    statement = await caching.prepare("SELECT SLEEP(0.2), %s")
    for query in (statement, "SELECT SLEEP(0.2), %s"):
        first = asyncio.ensure_future(run(caching, query, (1,)))
        await asyncio.sleep(0.05)
        for other in (statement, "SELECT %s", "SELECT 1, %s"):
            with pytest.raises(InterfaceError, match="another task"):
                await run(caching, other, (2,))
        with pytest.raises(InterfaceError, match="another task"):
            await caching.prepare("SELECT 1")
        assert await first == [(0, 1)]
    await statement.close()
    assert await run(caching, "SELECT %s", (3,)) == [(3,)]


async def test_cancelled(connect_args: dict[str, Any]) -> None:
    """In each of the two requests: the connection is closed, and usable once it is open again."""
    connection = await connect(**connect_args, stmt_cache_size=SIZE)
    for prepared_before in (False, True):
        if prepared_before:
            assert await run(connection, "SELECT SLEEP(%s)", (0,)) == [(0,)]
        task = asyncio.ensure_future(run(connection, "SELECT SLEEP(%s)", (1,)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.closed
        with pytest.raises(InterfaceError, match="Cancelled"):
            await run(connection, "SELECT %s", (1,))
        await connection.ping()
        assert await run(connection, "SELECT %s", (1,)) == [(1,)]
    task = asyncio.ensure_future(connection.prepare("SELECT 1"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.closed


async def test_bad_options(connect_args: dict[str, Any]) -> None:
    wrong: Any
    for wrong, error in ((-1, ValueError), ("5", TypeError), (True, TypeError), (None, TypeError)):
        with pytest.raises(error, match="stmt_cache_size"):
            await connect(**connect_args, stmt_cache_size=wrong)
