"""Statements and rows through cursors."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections import OrderedDict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from pymysql.err import Warning as MySQLWarning

from aiomysql_core import (
    Connection,
    Cursor,
    DeserializationCursor,
    DictCursor,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SSCursor,
    SSDictCursor,
    connect,
)

NUMBERS = "SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3"
LONG = "SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 100"


async def test_select_42(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        assert await cursor.execute("SELECT 42;") == 1
        row = await cursor.fetchone()
        assert row is not None
        (r,) = row
        assert r == 42
        assert await cursor.fetchone() is None
        assert cursor.rowcount == 1
        assert cursor.connection is connection
    assert cursor.closed
    with pytest.raises(ProgrammingError, match="Cursor closed"):
        await cursor.execute("SELECT 1")


async def test_fetching(connection: Connection) -> None:
    cursor = await connection.cursor()
    with pytest.raises(ProgrammingError, match="execute"):
        await cursor.fetchone()
    await cursor.execute(NUMBERS)
    assert cursor.rownumber == 0
    assert list(await cursor.fetchmany(2)) == [(1,), (2,)]
    assert cursor.rownumber == 2
    assert list(await cursor.fetchall()) == [(3,)]
    assert list(await cursor.fetchall()) == []
    assert list(await cursor.fetchmany()) == []
    await cursor.scroll(1, "absolute")
    assert await cursor.fetchone() == (2,)
    await cursor.scroll(-2)
    assert [row async for row in cursor] == [(1,), (2,), (3,)]
    with pytest.raises(IndexError):
        await cursor.scroll(3, "absolute")
    with pytest.raises(ProgrammingError, match="sideways"):
        await cursor.scroll(1, "sideways")  # type: ignore[arg-type]
    await cursor.close()


@pytest.mark.parametrize("kind", [Cursor, DictCursor, DeserializationCursor])
async def test_rows_belong_to_whoever_fetched_them(
    connection: Connection, kind: type[Cursor]
) -> None:
    """The connection may stay idle for hours: not with the last result's rows."""
    async with connection.cursor(kind) as cursor:
        await cursor.execute(NUMBERS)
        rows = await cursor.fetchall()
    assert len(rows) == 3
    assert connection.runner.result is not None
    assert connection.runner.result.rows == []


async def test_values_and_parameters(connection: Connection) -> None:
    values: tuple[Any, ...] = (
        None,
        7,
        -(2**63),
        1.5e-300,
        Decimal("12345678901234567890.123456789"),
        'it\'s \\ "quoted" ü 𝄞 \0 \n\r\x1a',
        b"\x00\xff'\\",
        datetime.datetime(2026, 11, 22, 1, 2, 3, 45),
        datetime.date(1, 2, 3),
        datetime.timedelta(days=-1, seconds=3, microseconds=4),
    )
    types = (None, None, None, "DOUBLE", None, None, None, "DATETIME(6)", "DATE", "TIME(6)")
    marks = ", ".join(f"CAST(%s AS {kind})" if kind else "%s" for kind in types)
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT {marks}", values)
        assert await cursor.fetchone() == values
        await cursor.execute("SELECT %(a)s, %(b)s, '100%%'", {"a": 1, "b": "x"})
        assert await cursor.fetchone() == (1, "x", "100%")
        await cursor.execute("SELECT %s", "one")
        assert await cursor.fetchone() == ("one",)
        await cursor.execute("SELECT 2 IN %s, '%%'", ([1, 2],))
        assert await cursor.fetchone() == (1, "%")
        assert cursor.mogrify("x = %s", ("it's",)) == "x = 'it\\'s'"


async def test_no_backslash_escapes(connection: Connection) -> None:
    value = "a\\'b\\\\"
    async with connection.cursor() as cursor:
        await cursor.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
        await cursor.execute("SELECT %s, %s", (value, b"\\'"))
        assert await cursor.fetchone() == (value, b"\\'")


async def test_write_and_roll_back(connection: Connection, table_name: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(
            f"CREATE TABLE {table_name} (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20) UNIQUE)"
        )
        assert await cursor.execute(f"INSERT INTO {table_name} (v) VALUES ('a'), ('b')") == 2
        assert cursor.lastrowid == 1
        assert connection.insert_id() == 1
        assert connection.affected_rows() == 2
        assert connection.get_transaction_status()
        await connection.commit()
        assert not connection.get_transaction_status()
        await connection.begin()
        assert await cursor.execute(f"DELETE FROM {table_name}") == 2
        await connection.rollback()
        with pytest.raises(IntegrityError) as caught:
            await cursor.execute(f"INSERT INTO {table_name} (v) VALUES ('a')")
        assert caught.value.args[0] == 1062
        await cursor.execute(f"SELECT v FROM {table_name} ORDER BY id")
        assert list(await cursor.fetchall()) == [("a",), ("b",)]
        await connection.rollback()


async def test_executemany(connection: Connection, table_name: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v VARCHAR(20))")
        assert await cursor.executemany(f"INSERT INTO {table_name} VALUES (%s, %s)", []) is None
        rows = [(n, f"100% {n}") for n in range(500)]
        cursor.max_stmt_length = 2000
        assert await cursor.executemany(f"INSERT INTO {table_name} VALUES (%s, %s)", rows) == 500
        # The last statement holds the last rows, and no more than allowed.
        last = cursor._last_executed or b""
        assert len(last) <= 2000
        assert last.endswith(b"(499, '100% 499')")
        upsert = (
            f"INSERT INTO {table_name} (id, v) VALUES (%(id)s, %(v)s) "
            "ON DUPLICATE KEY UPDATE v = CONCAT(VALUES(v), '%%')"
        )
        expected = (
            contextlib.nullcontext()
            if "MariaDB" in connection.get_server_info()
            else pytest.warns(MySQLWarning, match="VALUES")  # MySQL would have an alias instead
        )
        with expected:
            await cursor.executemany(upsert, [{"id": 1, "v": "x"}, {"id": 2, "v": "y"}])
        update = f"UPDATE {table_name} SET v = %s WHERE id = %s"
        assert await cursor.executemany(update, iter([("z", 3), ("z", 4)])) == 2
        await cursor.execute(f"SELECT v FROM {table_name} WHERE id BETWEEN 1 AND 4 ORDER BY id")
        assert list(await cursor.fetchall()) == [("x%",), ("y%",), ("z",), ("z",)]
        await connection.commit()


async def test_several_results(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT 1; DO 0; SELECT 2")
        assert list(await cursor.fetchall()) == [(1,)]
        assert await cursor.nextset()
        assert cursor.description is None
        assert list(await cursor.fetchall()) == []
        assert await cursor.nextset()
        assert await cursor.fetchone() == (2,)
        assert not await cursor.nextset()
        # What is not looked at is skipped by the next statement.
        await cursor.execute("SELECT 1; SELECT 2; SELECT 3")
        await cursor.execute("SELECT 4")
        assert list(await cursor.fetchall()) == [(4,)]


async def test_error_in_a_later_result(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT 1; SELECT * FROM no_such_table; SELECT 3")
        assert list(await cursor.fetchall()) == [(1,)]
        with pytest.raises(ProgrammingError) as caught:
            await cursor.nextset()
        assert caught.value.args[0] == 1146
        assert not await cursor.nextset()
        await cursor.execute("SELECT 4")
        assert list(await cursor.fetchall()) == [(4,)]


DIGITS = " UNION ALL ".join(["SELECT 0 AS n", *(f"SELECT {digit}" for digit in range(1, 10))])


async def test_dict_cursors(connection: Connection) -> None:
    query = "SELECT a.n, b.n, 5 AS five FROM (SELECT 1 AS n) AS a, (SELECT 2 AS n) AS b"
    expected = {"n": 1, "b.n": 2, "five": 5}
    for kind in (DictCursor, SSDictCursor):
        async with connection.cursor(kind) as cursor:
            await cursor.execute(query)
            assert await cursor.fetchone() == expected
            assert await cursor.fetchone() is None


async def test_dict_cursors_with_names_that_repeat(connection: Connection) -> None:
    query = "SELECT 1 AS n, 2 AS n, NULL AS n, 'x' AS s UNION ALL SELECT 4, NULL, 6, NULL"
    for kind in (DictCursor, SSDictCursor):
        async with connection.cursor(kind) as cursor:
            await cursor.execute(query)
            rows = list(await cursor.fetchall())
            assert rows == [{"n": 1, ".n": None, "s": "x"}, {"n": 4, ".n": 6, "s": None}]
            assert [list(row) for row in rows] == [["n", ".n", "s"]] * 2
            rows[0]["s"] = "mine"
            await cursor.execute(query)
            row = await cursor.fetchone()
            assert row is not None
            assert row["s"] == "x"


@pytest.mark.parametrize("base", [DictCursor, SSDictCursor])
async def test_dict_cursors_of_ones_own(connection: Connection, base: type[Cursor]) -> None:
    class Ordered(base):  # type: ignore[valid-type, misc]
        dict_type = OrderedDict

    class Changed(base):  # type: ignore[valid-type, misc]
        def _conv_row(self, row: Any) -> Any:
            return {**super()._conv_row(row), "more": 1}

    class Mixed(DeserializationCursor, base):  # type: ignore[valid-type, misc]
        pass

    for kind, expected in (
        (Ordered, OrderedDict(a=1)),
        (Changed, {"a": 1, "more": 1}),
        (Mixed, {"a": 1}),
    ):
        async with connection.cursor(kind) as cursor:
            await cursor.execute("SELECT 1 AS a")
            rows = await cursor.fetchall()
            assert list(rows) == [expected]
            assert type(rows[0]) is type(expected)


async def test_deserialization_cursor(connection: Connection, table_name: str) -> None:
    documents = ['{"a": [1, "é"]}', None, '"5"']
    async with connection.cursor(DeserializationCursor) as cursor:
        await cursor.execute(f"CREATE TABLE {table_name} (id INT, doc JSON)")
        await cursor.executemany(
            f"INSERT INTO {table_name} VALUES (%s, %s)", list(enumerate(documents))
        )
        await cursor.execute(f"SELECT id, doc FROM {table_name} ORDER BY id")
        rows = await cursor.fetchall()
        await connection.commit()
    if "MariaDB" in connection.get_server_info():  # JSON is an alias of LONGTEXT there
        assert [row[1] for row in rows] == documents
    else:
        assert [row[1] for row in rows] == [{"a": [1, "é"]}, None, "5"]


async def test_custom_cursor_classes(connection: Connection) -> None:
    class Mine(Cursor):
        pass

    async with connection.cursor(Mine) as cursor:
        assert type(cursor) is Mine
    async with connection.cursor(DictCursor, SSCursor) as cursor:
        assert isinstance(cursor, SSCursor)
        await cursor.execute("SELECT 1 AS a")
        assert list(await cursor.fetchall()) == [{"a": 1}]
    with pytest.raises(TypeError, match="subclass of Cursor"):
        connection.cursor(object)  # type: ignore[type-var]


async def test_warnings_are_surfaced(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        with pytest.warns(MySQLWarning, match="no_such_table"):
            await cursor.execute("DROP TABLE IF EXISTS no_such_table")
        assert (await connection.show_warnings())[0][1] == 1051


async def test_callproc(connection: Connection, table_name: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(
            f"CREATE PROCEDURE {table_name} (IN a INT, OUT b INT) "
            "BEGIN SELECT a; SET b = a + 1; END"
        )
        try:
            assert await cursor.callproc(table_name, (4, 0)) == (4, 0)
            assert list(await cursor.fetchall()) == [(4,)]
            assert await cursor.nextset()
            await cursor.execute(f"SELECT @_{table_name}_1")
            assert await cursor.fetchone() == (5,)
        finally:
            await cursor.execute(f"DROP PROCEDURE {table_name}")


async def test_converters(connect_args: dict[str, Any]) -> None:
    from pymysql.constants import FIELD_TYPE
    from pymysql.converters import conversions

    from aiomysql_core import connect

    class Point:
        pass

    mine = {
        **conversions,
        FIELD_TYPE.NEWDECIMAL: lambda text: float(text),
        FIELD_TYPE.DATE: str.upper,
        Point: lambda value, mapping: "'a point'",
    }
    async with connect(**connect_args, conv=mine) as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT 1.5, CAST('2020-01-02' AS DATE), %s", (Point(),))
        assert await cursor.fetchone() == (1.5, "2020-01-02", "a point")


async def test_error_in_a_converter_leaves_the_connection_in_step(
    connect_args: dict[str, Any],
) -> None:
    from pymysql.constants import FIELD_TYPE

    from aiomysql_core import connect

    class Odd(Exception):
        pass

    def refuse(text: str) -> None:
        raise Odd(text)

    conv = {FIELD_TYPE.NEWDECIMAL: refuse}
    async with connect(**connect_args, conv=conv) as connection:
        for kind in (Cursor, SSCursor):
            async with connection.cursor(kind) as cursor:
                with pytest.raises(Odd, match=r"2\.5"):
                    await everything(
                        cursor, "SELECT 'a', 2.5 UNION ALL SELECT 'b', 3.5; SELECT 'c'"
                    )
            async with connection.cursor(kind) as cursor:
                await cursor.execute("SELECT 'next'")
                assert list(await cursor.fetchall()) == [("next",)]


@pytest.mark.parametrize("where", ["at once", "in pieces"])
@pytest.mark.parametrize(
    "kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit]
)
async def test_a_converter_that_raises_no_exception_leaves_nobody_waiting(
    connect_args: dict[str, Any], kind: type[BaseException], where: str
) -> None:
    """It is told to who waits for the value, and the connection is in step."""
    from pymysql.constants import FIELD_TYPE

    from aiomysql_core import connect

    def refuse(text: str) -> None:
        raise kind(text)

    async def run(cursor: Cursor) -> None:
        # Caught here: out of a task some of them would end the event loop.
        filler = "'b'" if where == "at once" else "REPEAT('b', 300000)"
        with pytest.raises(kind, match=r"^2\.5$"):
            await everything(cursor, f"SELECT {filler}, 2.5 UNION ALL SELECT 'c', 3.5")

    conv = {FIELD_TYPE.NEWDECIMAL: refuse}
    for tls in ("DISABLED", "REQUIRED"):
        async with connect(**connect_args, conv=conv, ssl_mode=tls) as connection:
            for cursor_class in (Cursor, DictCursor, SSCursor):
                async with connection.cursor(cursor_class) as cursor:
                    await asyncio.wait_for(run(cursor), 5)
                async with connection.cursor() as cursor:
                    await cursor.execute("SELECT 'next'")
                    assert list(await cursor.fetchall()) == [("next",)]


async def everything(cursor: Cursor, query: str) -> Sequence[Any]:
    await cursor.execute(query)
    return await cursor.fetchall()


async def test_streaming_over_many_batches(connection: Connection) -> None:
    query = "SELECT a.n * 1000 + b.n * 100 + c.n * 10 + d.n AS n, REPEAT('x', 200) AS x FROM "
    query += ", ".join(f"({DIGITS}) AS {name}" for name in "abcd") + " ORDER BY 1"
    for kind in (SSCursor, SSDictCursor):
        async with connection.cursor(kind) as cursor:
            await cursor.execute(query)
            assert cursor.rownumber == 0
            found: list[Any] = [await cursor.fetchone() for _ in range(10)]
            assert cursor.rownumber == 10
            found += await cursor.fetchmany(2500)
            assert cursor.rownumber == 2510
            async for row in cursor:
                found.append(row)
                if cursor.rownumber == 4000:
                    break
            await cursor.scroll(2000)
            assert cursor.rownumber == 6000
            found += await cursor.fetchall()
            assert cursor.rownumber == 10_000
            assert await cursor.fetchone() is None
            assert await cursor.fetchmany(5) == []
            expected = [*range(4000), *range(6000, 10_000)]
            key: Any = "n" if kind is SSDictCursor else 0
            assert [row[key] for row in found] == expected
        async with connection.cursor(kind) as cursor:
            await cursor.execute(query)
            await cursor.fetchone()
        async with connection.cursor(kind) as cursor:
            await cursor.execute("SELECT 7 AS n")
            assert [row[key] async for row in cursor] == [7]
            assert cursor.rownumber == 1


async def test_streaming_cursor_methods(connection: Connection) -> None:
    async with connection.cursor(SSCursor) as cursor:
        await cursor.execute(NUMBERS + " UNION ALL SELECT 4")
        assert await cursor.fetchone() == (1,)
        await cursor.scroll(1)
        assert list(await cursor.fetchmany(1)) == [(3,)]
        with pytest.raises(NotSupportedError):
            await cursor.scroll(-1)
        with pytest.raises(IndexError):
            await cursor.scroll(9, "absolute")
        assert list(await cursor.fetchall()) == []
        await cursor.execute("DO 0")
        assert await cursor.fetchone() is None
        await cursor.execute("SELECT 1; SELECT 2")
        assert await cursor.fetchone() == (1,)
        assert await cursor.nextset()
        assert list(await cursor.fetchall()) == [(2,)]


@pytest.mark.parametrize("deed", ["fetchone", "fetchmany", "fetchall", "close"])
async def test_rows_taken_while_a_batch_is_read(connect_args: dict[str, Any], deed: str) -> None:
    """By a converter here, as by a finalizer: no row is lost without a word."""
    taken: list[Any] = []
    seen = 0

    def convert(text: str) -> str:
        nonlocal seen
        seen += 1
        if seen == 1000:
            step = getattr(cursor, deed)()
            try:
                step.send(None)
            except StopIteration as stop:
                if stop.value is not None:
                    taken.extend(stop.value if deed != "fetchone" else [stop.value])
            except InterfaceError:
                pass
            finally:
                step.close()
        return text

    conv = {**conversions, FIELD_TYPE.VAR_STRING: convert}
    statement = " UNION ALL ".join(f"SELECT {number}, 'text'" for number in range(3000))
    async with connect(**connect_args, conv=conv) as connection:
        cursor = await connection.cursor(SSCursor)
        try:
            await cursor.execute(statement)
            rows = list(await cursor.fetchall())
        except (InterfaceError, ProgrammingError, OperationalError):
            return  # it says so
        assert sorted(row[0] for row in [*taken, *rows]) == list(range(3000))


@pytest.mark.parametrize("when", ["converted", "dropped"])
async def test_rows_taken_while_a_batch_is_taken_over(
    connect_args: dict[str, Any], when: str
) -> None:
    """By what converts rows, or by the end of the rows before: no row comes twice."""
    taken: list[Any] = []

    class Last:
        def __del__(self) -> None:
            take()

    class Taking(SSCursor):
        _converts_rows = True

        def _conv_row(self, row: Any) -> Any:
            if when == "converted":
                take()
            return [*row, Last()] if when == "dropped" else row

    def take() -> None:
        """A row that has come."""
        if len(taken) < 5 and cursor._rownumber < len(cursor._rows or ()):
            with pytest.raises(StopIteration) as stopped:
                cursor.fetchone().send(None)
            taken.append(stopped.value.value)

    text = "q" * 1000
    statement = " UNION ALL ".join(f"SELECT {number}, '{text}'" for number in range(1000))
    async with connect(**connect_args) as connection:
        cursor = await connection.cursor(Taking)
        got: list[Any] = []
        await cursor.execute(statement)
        while (row := await cursor.fetchone()) is not None:
            got.append(row[0])
            del row
        assert sorted([*got, *(row[0] for row in taken)]) == list(range(1000))
        assert cursor.rownumber == 1000


async def test_a_cursor_closed_by_a_value(connection: Connection) -> None:
    class Closing(list[int]):
        def __iter__(self) -> Any:
            cursor.close().close()  # takes effect at once; nothing is to be awaited
            return super().__iter__()

    cursor = await connection.cursor()
    with pytest.raises(ProgrammingError, match="Cursor closed"):
        await cursor.execute("SELECT 1 IN %s", (Closing([1]),))
    assert await connection.query("SELECT 1") == 1


# -- what is done when -----------------------------------------------------------------------------


async def test_an_error_of_code_that_takes_rows_runs_nothing_again(
    connect_args: dict[str, Any],
) -> None:
    """Not even one with the number of a statement that the server has forgotten."""

    class Failing(DictCursor):
        def _conv_row(self, row: Any) -> Any:
            raise OperationalError(1243, "not the server's")

    async with connect(**connect_args, stmt_cache_size=3) as connection:
        async with connection.cursor(Failing) as failing:
            with pytest.raises(OperationalError, match="not the server's"):
                # Compared, so that MySQL gives the parameter a number's type.
                await failing.execute("SELECT 1 AS id FROM DUAL WHERE 1 = %s", (1,))
        async with connection.cursor() as cursor:
            await cursor.execute("SHOW SESSION STATUS LIKE 'Com_stmt_execute'")
            ((_, count),) = await cursor.fetchall()
            assert int(count) == 1


async def test_streamed_rows_are_converted_when_they_are_fetched(connection: Connection) -> None:
    class Zoned(SSCursor):
        zone = "unset"
        _converts_rows = True

        def _conv_row(self, row: Any) -> Any:
            return *row, self.zone

    async with connection.cursor(Zoned) as cursor:
        await cursor.execute("SELECT 1 UNION ALL SELECT 2")
        cursor.zone = "UTC"
        assert await cursor.fetchone() == (1, "UTC")
        assert await cursor.fetchall() == [(2, "UTC")]


@pytest.mark.parametrize("cursor_class", [SSCursor, SSDictCursor])
async def test_a_closed_stream_has_no_rows(
    connection: Connection, cursor_class: type[SSCursor]
) -> None:
    cursor = await connection.cursor(cursor_class)
    await cursor.execute("SELECT 1 AS a UNION ALL SELECT 2")
    await cursor.close()
    assert await cursor.fetchone() is None
    async with connection.cursor(cursor_class) as cursor:
        await cursor.execute("SELECT 1 AS a UNION ALL SELECT 2")
    with pytest.raises(ProgrammingError, match="closed"):
        await cursor.fetchone()
    cursor = await connection.cursor(cursor_class)
    await cursor.execute("SELECT 1 AS a UNION ALL SELECT 2")
    assert await cursor.nextset() is None
    assert await cursor.fetchall() == []


async def test_a_negative_number_of_rows(connection: Connection) -> None:
    async with connection.cursor(SSCursor) as cursor:
        await cursor.execute("SELECT 1 UNION ALL SELECT 2")
        with pytest.raises(ValueError, match="negative"):
            await cursor.fetchmany(-1)
        assert cursor.rownumber == 0
        assert await cursor.fetchall() == [(1,), (2,)]


async def test_warnings_are_asked_for_only_while_they_are_the_statements(
    connection: Connection,
) -> None:
    first, second = await connection.cursor(SSCursor), await connection.cursor(SSCursor)
    await first.execute("SELECT CAST('x' AS SIGNED) UNION ALL SELECT 2")
    await second.execute("SELECT 3 UNION ALL SELECT 4")
    assert await second.fetchone() == (3,)
    assert await first.fetchall() == [(0,), (2,)]
    assert await second.fetchall() == [(4,)]


async def test_echo_tells_what_a_replaced_query_is_given(
    connect_args: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Own(Cursor):
        async def _query(self, query: Any) -> None:
            if "cached" not in query:
                await super()._query(query)

    caplog.set_level("INFO", "aiomysql")
    async with connect(**connect_args, echo=True) as connection, connection.cursor(Own) as cursor:
        await cursor.execute("SELECT %s", (1,))
        await cursor.execute("SELECT %s /* cached */", (2,))
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if text.startswith("SELECT")] == [
        "SELECT 1",
        "SELECT 2 /* cached */",
    ]


async def test_executemany_of_several_statements(connection: Connection, table_name: str) -> None:
    """Each of them is run for every row."""
    await connection.query(f"CREATE TABLE {table_name} (id INT, v VARCHAR(20))")
    cursor = await connection.cursor()
    insert = f"INSERT INTO {table_name} VALUES"
    first = f"INSERT INTO {table_name} VALUES (0, 'before')"
    await connection.autocommit(True)
    for query, rows in (
        (f"{first}; {insert} (%s, %s)", [(0, "before"), (1, "a"), (0, "before"), (2, ";")]),
        (f"{insert} (%s, %s); {first}", [(1, "a"), (0, "before"), (2, ";"), (0, "before")]),
        (f"{insert} (%s, %s); SELECT 1", [(1, "a"), (2, ";")]),
        (f"{insert} (%s, %s); ", [(1, "a"), (2, ";")]),
        (f"{insert} (%s, %s); -- behind", [(1, "a"), (2, ";")]),
        (f"{insert} (%s, %s) -- ; behind", [(1, "a"), (2, ";")]),
    ):
        await cursor.executemany(query, [(1, "a"), (2, ";")])
        await cursor.execute(f"SELECT id, v FROM {table_name}")
        assert [*await cursor.fetchall()] == rows, query
        await cursor.execute(f"DELETE FROM {table_name}")


@pytest.mark.parametrize("kind", [SSCursor, SSDictCursor])
@pytest.mark.parametrize("query", [NUMBERS, LONG], ids=["all have come", "more to come"])
async def test_rows_that_were_not_fetched(
    connection: Connection, kind: type[Cursor], query: str
) -> None:
    """To run a statement with their cursor drops them: classic programs are warned."""

    async def left_unread() -> Any:
        await cursor.execute(query)
        assert await cursor.fetchone() is not None
        return pytest.warns(UserWarning, match="^Previous unbuffered result was left incomplete$")

    cursor = await connection.cursor(kind)
    with await left_unread() as warned:
        await cursor.execute("SELECT 1")
    assert [warning.filename for warning in warned] == [__file__]
    assert len(await cursor.fetchall()) == 1
    with await left_unread(), pytest.raises(OperationalError, match="1305"):
        await cursor.callproc("no_such_procedure", (1,))
    with await left_unread():
        await cursor.executemany("DO %s", [1, 2])
    await left_unread()
    with pytest.raises(UserWarning, match="left incomplete"):  # as the test run has it
        await cursor.execute("SELECT 1")
    await cursor.execute("SELECT 1")  # it is told once
    await cursor.fetchone()
    await cursor.execute(query)  # nothing is left, although nobody asked for the end
    await cursor.fetchall()
    await cursor.execute("SELECT 1")
    await cursor.close()


async def test_fetching_no_rows(connection: Connection) -> None:
    """A streaming cursor takes the number as it is, as in classic aiomysql."""
    for kind, expected in ((Cursor, [(1,)]), (SSCursor, [])):
        cursor = await connection.cursor(kind)
        await cursor.execute(NUMBERS)
        assert list(await cursor.fetchmany(0)) == expected
        assert cursor.rownumber == len(expected)
        await cursor.close()
        assert cursor.rownumber == len(expected)
        assert len(await cursor.fetchall()) == (2 if expected else 0)
