"""Option `time_zone`: TIMESTAMPs are moments, whatever the session's zone and way of the values."""

from __future__ import annotations

import datetime
import random
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymysql.constants import FIELD_TYPE
from pymysql.converters import decoders

import aiomysql_core
from aiomysql_core import (
    Connection,
    DataError,
    DictCursor,
    OperationalError,
    ProgrammingError,
    SSCursor,
    connect,
)
from aiomysql_core.options.dsn import parse_dsn
from aiomysql_core.options.time_zone import find_zone
from tests.servers import Server

Moment = datetime.datetime
UTC = datetime.UTC
HOUR = datetime.timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
SUMMER = Moment(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC)
#: The clocks in Berlin show the same at both.
TWICE = [Moment(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]

#: Zones that values have.
OTHERS = [UTC, BERLIN, ZoneInfo("Australia/Sydney"), datetime.timezone(-9.75 * HOUR)]


def offset_at(zone: ZoneInfo, second: int) -> tuple[float, str | None]:
    local = Moment.fromtimestamp(second, zone)
    return local.utcoffset().total_seconds(), local.tzname()  # type: ignore[union-attr]


def transitions(zone: ZoneInfo) -> list[int]:
    """When its offset changes, from 1970 to the end of 2037, in seconds since 1970."""
    found, week = [], 7 * 86400
    for start in range(0, int(Moment(2038, 1, 1, tzinfo=UTC).timestamp()), week):
        before, after = start, start + week
        if offset_at(zone, before) == offset_at(zone, after):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            if offset_at(zone, middle) == offset_at(zone, start):
                before = middle
            else:
                after = middle
        found.append(after)
    return found


def load_zone(server: Server, name: str, zone: ZoneInfo, number: int, late: int = 0) -> None:
    """Put the rules of `zone` into the server's tables, as mysql_tzinfo_to_sql does; late: by which
    all changes come later, in seconds.
    """
    changes = [0, *transitions(zone)]
    offsets = [offset_at(zone, change) for change in changes]
    changes[1:] = [change + late for change in changes[1:]]
    kinds = list(dict.fromkeys(offsets))
    moves = ", ".join(
        f"({number}, {change}, {kinds.index(offset)})"
        for change, offset in zip(changes, offsets, strict=True)
    )
    types = ", ".join(
        f"({number}, {index}, {seconds:.0f}, 0, '{short}')"
        for index, (seconds, short) in enumerate(kinds)
    )
    for statement in (
        f"INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES ({number}, 'N')",
        f"INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('{name}', {number})",
        f"INSERT INTO mysql.time_zone_transition VALUES {moves}",
        f"INSERT INTO mysql.time_zone_transition_type VALUES {types}",
    ):
        server.execute(statement)


@pytest.fixture
def zones(server: Server) -> Iterator[None]:
    """The server knows Berlin, and has other rules than Python for two cities."""
    for number, name in enumerate(("Europe/Berlin", "America/New_York"), 9001):
        load_zone(server, name, BERLIN, number)
    # This one as it has been, but for the days of change.
    load_zone(server, "America/Chicago", ZoneInfo("America/Chicago"), 9003, late=7 * 86400)
    yield
    for table in ("time_zone", "time_zone_name", "time_zone_transition"):
        server.execute(f"DELETE FROM mysql.{table} WHERE Time_zone_id > 9000")
    server.execute("DELETE FROM mysql.time_zone_transition_type WHERE Time_zone_id > 9000")


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(
        f"CREATE TABLE {table_name} (n INT PRIMARY KEY, at TIMESTAMP(6) NULL, d DATETIME(6) NULL)"
    )
    return table_name


# -- values ----------------------------------------------------------------------------------------


async def by_text(connection: Connection, table: str, rows: list[Any]) -> None:
    for row in rows:
        await connection.execute(f"INSERT INTO {table} VALUES (%s, %s, %s)", row)


async def by_prepared(connection: Connection, table: str, rows: list[Any]) -> None:
    async with connection.prepare(f"INSERT INTO {table} VALUES (%s, %s, %s)") as statement:
        for row in rows:
            await statement.execute(row)


async def by_pipeline(connection: Connection, table: str, rows: list[Any]) -> None:
    async with connection.pipeline() as pipeline:
        for n, at, d in rows:
            pipeline.execute(
                f"INSERT INTO {table} VALUES (%(n)s, %(at)s, %(d)s)", {"n": n, "at": at, "d": d}
            )


async def by_executemany(connection: Connection, table: str, rows: list[Any]) -> None:
    await connection.executemany(f"INSERT INTO {table} VALUES (%s, %s, %s)", rows)


async def by_bulk(connection: Connection, table: str, rows: list[Any]) -> None:
    for n, _, _ in rows:
        await connection.execute(f"INSERT INTO {table} (n) VALUES (%s)", (n,))
    changed = [(at, d, n) for n, at, d in rows]
    await connection.executemany(f"UPDATE {table} SET at = %s, d = %s WHERE n = %s", changed)


async def by_load_rows(connection: Connection, table: str, rows: list[Any]) -> None:
    await connection.load_rows(table, rows)


WAYS: list[Callable[[Connection, str, list[Any]], Any]] = [
    *(by_text, by_prepared, by_pipeline, by_executemany, by_bulk, by_load_rows),
]


def moments(server: Server, zone: datetime.tzinfo, count: int) -> list[Moment]:
    """Some that clocks in `zone` show only once, in several zones, microseconds and all."""
    rng = random.Random(random.SystemRandom().randrange(1 << 32))
    is_longer = server.kind == "mariadb" and server.version >= (11, 5)
    years = (2106 if is_longer and zone is not BERLIN else 2038) - 1970
    found: list[Moment] = []
    while len(found) < count:
        micros = rng.randrange(86_400_000_000, int(years * 365.2425 * 86_400_000_000))
        micros -= rng.choice([0, micros % 1_000_000, micros % 1000])
        at = Moment(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(microseconds=micros)
        local = at.astimezone(zone)
        if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
            found.append(at.astimezone(rng.choice([*OTHERS, zone])))
    return found


@pytest.mark.parametrize("way", WAYS)
async def test_moments(
    server: Server, connect_args: dict[str, Any], table: str, zones: None, way: Any
) -> None:
    offset = datetime.timezone(5.5 * HOUR)
    async with connect(**connect_args, autocommit=True) as other:
        await other.query("SET time_zone = '+00:00'")
        for given, zone in (("UTC", UTC), (offset, offset), ("Europe/Berlin", BERLIN)):
            rows = [(n, at, at) for n, at in enumerate(moments(server, zone, 40))]
            async with connect(
                **connect_args, time_zone=given, autocommit=True, local_infile=True
            ) as connection:
                await way(connection, table, rows)
                # (One of an hour that comes twice equals none of another zone.)
                wanted = [at.astimezone(UTC) for _, at, _ in rows]
                # As a reader without the option sees them.
                stored = await other.fetchall(
                    f"SELECT at, UNIX_TIMESTAMP(at), d FROM {table} ORDER BY n"
                )
                assert [at.replace(tzinfo=UTC) for at, _, _ in stored] == wanted
                since = Moment(1970, 1, 1, tzinfo=UTC)
                micro = datetime.timedelta(microseconds=1)
                assert [int(number * 1_000_000) for _, number, _ in stored] == [
                    (at - since) // micro for at in wanted
                ]
                assert [d for _, _, d in stored] == [
                    at.astimezone(zone).replace(tzinfo=None) for at in wanted
                ]
                # And as this connection reads them.
                sql = f"SELECT at FROM {table} ORDER BY n"
                async with connection.prepare(sql) as statement:
                    cursors = [await statement.execute()]
                for kind in (aiomysql_core.Cursor, DictCursor, SSCursor):
                    cursor = await connection.cursor(kind)
                    await cursor.execute(sql)
                    cursors.append(cursor)
                for cursor in cursors:
                    read = [
                        row["at"] if isinstance(row, dict) else row[0]
                        for row in await cursor.fetchall()
                    ]
                    assert read == wanted
                    assert {at.tzinfo for at in read} == {zone}
                found = await connection.fetchall(
                    f"SELECT n FROM {table} WHERE at IN %s ORDER BY n", (wanted[:3],)
                )
                assert found == ((0,), (1,), (2,))
            await other.query(f"TRUNCATE TABLE {table}")


@pytest.mark.parametrize("way", WAYS)
async def test_moments_that_can_not_be_written(
    connect_args: dict[str, Any], table: str, zones: None, way: Any
) -> None:
    async with connect(
        **connect_args, time_zone="Europe/Berlin", autocommit=True, local_infile=True
    ) as connection:
        for wrong in (*TWICE, Moment(2040, 7, 1, tzinfo=UTC), Moment.max.replace(tzinfo=UTC)):
            with pytest.raises(DataError) as caught:
                await way(connection, table, [(1, SUMMER, None), (2, wrong, None)])
            assert getattr(caught.value, "row_index", 1) == 1
            assert 'connect with time_zone="UTC"' in str(caught.value) or wrong.year == 9999
            assert await connection.fetchval("SELECT 5") == 5
            await connection.query(f"TRUNCATE TABLE {table}")


async def read_all(cursor: aiomysql_core.Cursor, query: Any) -> None:
    await cursor.execute(query)
    await cursor.fetchall()


@pytest.mark.parametrize("kind", [aiomysql_core.Cursor, SSCursor])
async def test_moments_that_can_not_be_read(
    connect_args: dict[str, Any], table: str, zones: None, kind: Any
) -> None:
    """The connection remains as usable as after an error of a converter."""
    async with connect(**connect_args, autocommit=True, time_zone="UTC") as other:
        rows = [(n, SUMMER) for n in range(2000)]
        rows[1000] = (1000, TWICE[1])
        await other.executemany(f"INSERT INTO {table} (n, at) VALUES (%s, %s)", rows)
        assert await other.fetchval(f"SELECT at FROM {table} WHERE n = 1000") == TWICE[1]
    async with connect(**connect_args, time_zone="Europe/Berlin") as connection:
        for query in (
            f"SELECT n, at FROM {table} ORDER BY n",
            await connection.prepare(f"SELECT n, at FROM {table} ORDER BY n"),
        ):
            async with connection.cursor(kind) as cursor:
                with pytest.raises(DataError, match=r"Column .*at.*: 2026-10-25 02:30:00 is no"):
                    await read_all(cursor, query)
            assert await connection.fetchval("SELECT 5") == 5
        read = await connection.fetchval(f"SELECT at FROM {table} WHERE n <> 1000 LIMIT 1")
        assert read == SUMMER


async def test_the_present_moment(connect_args: dict[str, Any]) -> None:
    """Servers have it of different types; the value is right in any case."""
    kinds = ["NOW()", "CURRENT_TIMESTAMP", "SYSDATE()", "FROM_UNIXTIME(UNIX_TIMESTAMP())"]
    columns = ", ".join([*kinds, "CAST(NOW() AS DATETIME)", "UNIX_TIMESTAMP()"])
    async with connect(**connect_args, time_zone="+05:00") as connection:
        row = await connection.fetchone(f"SELECT {columns}")
        assert row is not None
        *moments, wall, seconds = row
        zone = datetime.timezone(datetime.timedelta(hours=5))
        are_timestamps = connection.server_version.startswith("11.8")
        assert [moment.tzinfo is not None for moment in moments] == [are_timestamps] * len(kinds)
        assert wall.tzinfo is None
        for moment in (*moments, wall):
            aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
            assert abs(aware.timestamp() - seconds) < 60


async def test_what_stays_as_it_is(connect_args: dict[str, Any], table: str) -> None:
    values = {
        "naive": Moment(2026, 7, 1, 12),
        "date": datetime.date(2026, 7, 1),
        "time": datetime.time(12, tzinfo=UTC),
    }
    literals = ["'2026-07-01 12:00:00'", "'2026-07-01'", "'12:00:00'"]
    options = connect_args | {"sql_mode": "", "autocommit": True}
    async with connect(**options, time_zone="+05:00") as connection:
        assert [connection.escape(value) for value in values.values()] == literals
        assert connection.escape(SUMMER) == "'2026-07-01 17:00:00.000005'"
        cursor = await connection.cursor()
        assert cursor.mogrify("%s", (SUMMER,)) == "'2026-07-01 17:00:00.000005'"
        await connection.execute(f"INSERT INTO {table} VALUES (1, 0, %s)", (SUMMER,))
        row = ("0000-00-00 00:00:00.000000", Moment(2026, 7, 1, 17, 0, 0, 5))
        assert await connection.fetchone(f"SELECT at, d FROM {table}") == row
        async with connection.prepare(f"SELECT at, d FROM {table}") as statement:
            assert await (await statement.execute()).fetchone() == row
        assert type(await connection.fetchval("SELECT NOW()")) is Moment
    conv = {**decoders, FIELD_TYPE.TIMESTAMP: str.upper}
    async with connect(**options, time_zone="UTC", conv=conv) as connection:
        await connection.execute(f"INSERT INTO {table} VALUES (2, %s, NULL)", (SUMMER,))
        sql = f"SELECT at FROM {table} WHERE n = 2"
        assert await connection.fetchval(sql) == "2026-07-01 12:00:00.000005"
    async with connect(**connect_args) as connection:  # without the option
        assert connection.escape(SUMMER.astimezone(BERLIN)) == "'2026-07-01 14:00:00.000005'"


# -- sessions --------------------------------------------------------------------------------------


async def session_zone(connection: Connection) -> Any:
    return await connection.fetchval("SELECT @@time_zone")


async def test_it_is_set_again(
    server: Server, connect_args: dict[str, Any], zones: None, make_user: Any
) -> None:
    plugin = "caching_sha2_password" if server.kind == "mysql" else "mysql_native_password"
    account = make_user(plugin, "second")
    for given, name in (("+02:00", "+02:00"), ("UTC", "+00:00"), ("Europe/Berlin",) * 2):
        async with connect(**connect_args, time_zone=given) as connection:
            assert await session_zone(connection) == name
            for again in (
                connection.reset,
                lambda: connection.change_user(**account),
                connection.ping,
            ):
                await connection.query("SET time_zone = '-03:00'")
                if again == connection.ping:
                    connection.close()
                await again()
                assert await session_zone(connection) == name
                assert (
                    connection.escape(Moment(2026, 7, 1, tzinfo=UTC))
                    == {
                        "+02:00": "'2026-07-01 02:00:00'",
                        "+00:00": "'2026-07-01 00:00:00'",
                        "Europe/Berlin": "'2026-07-01 02:00:00'",
                    }[name]
                )


async def test_init_command(connect_args: dict[str, Any]) -> None:
    for command in ("SET time_zone = '-03:00'", "SET @a = @@time_zone"):
        async with connect(**connect_args, time_zone="+02:00", init_command=command) as connection:
            assert await session_zone(connection) == "+02:00"
            assert await connection.fetchval("SELECT @a") in ("+02:00", None)


async def test_a_later_set(connect_args: dict[str, Any], table: str, zones: None) -> None:
    async with connect(
        **connect_args, time_zone="UTC", autocommit=True, stmt_cache_size=10
    ) as connection:
        insert = f"INSERT INTO {table} (n, at) VALUES (%s, %s)"
        read = f"SELECT at FROM {table} WHERE n >= %s ORDER BY n"
        statement = await connection.prepare(read)
        for n, (zone, offset) in enumerate((("+02:00", 2), ("-05:30", -5.5), ("+00:00", 0))):
            await connection.execute(insert, (n, SUMMER))
            await connection.query(f"SET time_zone = '{zone}'")
            await connection.execute(insert, (n + 10, SUMMER))
            for rows in (
                await (await statement.execute((0,))).fetchall(),
                await connection.fetchall(read, (0,)),
                await connection.fetchall(f"SELECT at FROM {table}"),
            ):
                assert {row[0] for row in rows} == {SUMMER}
                assert {row[0].utcoffset() for row in rows} == {offset * HOUR}
        # What can't be followed stops all that could be wrong.
        for zone in ("SYSTEM", "Europe/Berlin"):
            await connection.query(f"SET time_zone = '{zone}'")
            for _ in range(2):
                with pytest.raises(ProgrammingError, match=f"time zone to '{zone}', which can't"):
                    await connection.fetchall(f"SELECT at FROM {table}")
            with pytest.raises(ProgrammingError, match="set it to an offset, or to '.00:00' again"):
                await connection.execute(insert, (20, SUMMER))
        await connection.query("SET SESSION TIME_ZONE := '+00:00'")
        assert await connection.fetchval(f"SELECT at FROM {table}") == SUMMER
        for text in (
            f"SET time_zone = '+01:00'; SELECT at FROM {table}",
            "SET STATEMENT time_zone = '+01:00' FOR SELECT 1",
        ):
            with pytest.raises(ProgrammingError, match="run SET time_zone, CALL"):
                await connection.query(text)
        # A column of that name is none of its business.
        await connection.query("CREATE TEMPORARY TABLE people (time_zone TEXT)")
        await connection.query("UPDATE people SET time_zone = 'a'; UPDATE people SET time_zone = 1")
        # What a procedure sets remains.
        await connection.query(f"CREATE PROCEDURE p_{table}() SET time_zone = '-09:00'")
        try:
            await connection.query(f"CALL p_{table}()")
            read_there = await connection.fetchval(f"SELECT at FROM {table}")
        finally:
            await connection.query(f"DROP PROCEDURE p_{table}")
        assert (read_there, read_there.utcoffset()) == (SUMMER, -9 * HOUR)
        # So it is in pipelines.
        async with connection.pipeline() as pipeline:
            pipeline.execute("SET time_zone = '+03:00'")
            pipeline.execute(insert, (30, SUMMER))
            later = pipeline.execute(f"SELECT at FROM {table} WHERE at = %s", (SUMMER,))
        assert {row[0] for row in await (await later).fetchall()} == {SUMMER}
    async with connect(**connect_args) as connection:  # without the option nobody looks
        await connection.query("SET time_zone = SYSTEM")
        assert await session_zone(connection) == "SYSTEM"


async def test_texts_that_set_it_within(
    server: Server, connect_args: dict[str, Any], table: str
) -> None:
    """What they read and write would be hours off: they are refused before they are sent."""
    texts = [
        f"/* app:web */ SET time_zone='+05:00'; INSERT INTO {table} (n, at) VALUES (5, %s)",
        f"/* app:x */ SET time_zone='+05:00'; SELECT at FROM {table} WHERE at < %s",
        f"/*!50000 SET time_zone='+05:00'*/; SELECT at FROM {table} WHERE at < %s",
        "CALL p(%s); CALL p(1)",
    ]
    alone = []
    if server.kind == "mariadb":
        alone = [f"/* app:x */ SET STATEMENT time_zone='+05:00' FOR SELECT at, %s FROM {table}"]
    async with connect(
        **connect_args, time_zone="UTC", autocommit=True, stmt_cache_size=5
    ) as connection:
        cursor = await connection.cursor()
        for text in texts + alone:
            with pytest.raises(ProgrammingError, match="run SET time_zone, CALL and EXECUTE by th"):
                await cursor.execute(text, (SUMMER,))
            with pytest.raises(ProgrammingError, match="run SET time_zone, CALL and EXECUTE by th"):
                await connection.query(text.replace("%s", "'2026-07-01'"))
        for text in alone:
            with pytest.raises(ProgrammingError, match="by themselves"):
                async with connection.prepare(text) as statement:
                    await statement.execute((1,))
        assert await session_zone(connection) == "+00:00"
        # Rows come by this one, too.
        await connection.query("SET time_zone = '+05:00'")
        if server.kind == "mariadb":
            sql = "SET STATEMENT max_statement_time = 60 FOR SELECT MAX(at) FROM "
            await connection.execute(f"INSERT INTO {table} (n, at) VALUES (1, %s)", (SUMMER,))
            await connection.query("/* app:x */ SET time_zone = '+06:00'")
            assert await connection.fetchval(sql + table) == SUMMER


async def test_routines_may_set_it(connect_args: dict[str, Any], table: str) -> None:
    body = "BEGIN DECLARE x INT; SET time_zone = '+05:00'; SELECT 1; END"
    async with connect(**connect_args, time_zone="UTC", autocommit=True) as connection:
        await connection.query(f"CREATE PROCEDURE p_{table}() {body}")
        try:
            assert connection.escape(SUMMER) == "'2026-07-01 12:00:00.000005'"
            assert await connection.fetchval(f"CALL p_{table}()") == 1
        finally:
            await connection.query(f"DROP PROCEDURE p_{table}")
        assert await connection.fetchval("SELECT TIMESTAMP(%s)", (SUMMER,)) == Moment(
            2026, 7, 1, 17, 0, 0, 5
        )


async def test_literals_after_it_was_set(connect_args: dict[str, Any], table: str) -> None:
    """Nobody can ask the server while they are written."""
    change = "SET time_zone = '+05:00'"
    async with connect(**connect_args, time_zone="UTC", autocommit=True) as connection:
        cursor = await connection.cursor()
        statement = await connection.prepare(change)
        await connection.query(f"PREPARE p FROM {connection.escape(change)}")
        await connection.query(f"CREATE PROCEDURE p_{table}() {change}")
        try:
            ways: list[tuple[Callable[[Any], Any], Any]] = [
                (cursor.execute, change),
                (cursor.execute, statement),
                (connection.query, "EXECUTE p"),
                (connection.query, f"CALL p_{table}()"),
            ]
            for run, query in ways:
                await connection.execute("SET time_zone = %s", ("+00:00",))
                assert await session_zone(connection) == "+00:00"
                assert connection.escape(SUMMER) == "'2026-07-01 12:00:00.000005'"
                await run(query)
                for write in (
                    connection.escape,
                    connection.literal,
                    lambda value: cursor.mogrify("%s", (value,)),
                ):
                    with pytest.raises(ProgrammingError, match="give the value to execute"):
                        write(SUMMER)
                    assert write(Moment(2026, 7, 1)) == "'2026-07-01 00:00:00'"
                    assert write("a") == "'a'"
                assert await session_zone(connection) == "+05:00"
                assert connection.escape(SUMMER) == "'2026-07-01 17:00:00.000005'"
        finally:
            await connection.query(f"DROP PROCEDURE p_{table}")


async def test_it_can_be_set_back(connect_args: dict[str, Any], table: str) -> None:
    async with connect(**connect_args, time_zone="UTC", autocommit=True) as connection:
        await connection.execute(f"INSERT INTO {table} (n, at) VALUES (1, %s)", (SUMMER,))
        for sql, args in (
            ("/* app:web */ SET time_zone = '+00:00'", None),
            ("SET time_zone=%s", ("+00:00",)),
            ("SET @@session.time_zone = %(zone)s", {"zone": "+02:00"}),
            ("SET SESSION time_zone = %s", "-03:00"),
        ):
            await connection.query("SET time_zone = 'SYSTEM'")
            with pytest.raises(ProgrammingError, match="to 'SYSTEM', which can't be followed"):
                await connection.execute("SELECT %s", (1,))
            with pytest.raises(ProgrammingError, match="give the value to execute"):
                connection.escape(SUMMER)
            with pytest.raises(ProgrammingError, match="which can't be followed"):
                await connection.fetchone(f"SELECT at, ROW_COUNT() FROM {table}")
            await connection.execute(sql, args)
            assert await connection.fetchval(f"SELECT at FROM {table}") == SUMMER


async def test_types_of_expressions(connect_args: dict[str, Any], table: str) -> None:
    """By the type that the server gives a result, whatever it was made of."""
    async with connect(**connect_args, time_zone="UTC", autocommit=True) as connection:
        await connection.execute(f"INSERT INTO {table} (n, at) VALUES (1, %s)", (SUMMER,))
        for expression in ("MAX(at)", "IF(1, at, at)", "COALESCE(at, at)"):
            assert await connection.fetchval(f"SELECT {expression} FROM {table}") == SUMMER
        later = await connection.fetchval(f"SELECT at + INTERVAL 0 DAY FROM {table}")
        assert later == SUMMER.replace(tzinfo=None)


async def test_round_trips(connect_args: dict[str, Any], zones: None) -> None:
    """Setting the zone, and comparing the rules, costs none."""
    counts = []
    for given in (None, "UTC", "Europe/Berlin"):
        async with connect(**connect_args, time_zone=given) as connection:
            rows = await connection.fetchall("SHOW SESSION STATUS LIKE 'Questions'")
            counts.append(int(rows[0][1]))
    assert counts == [counts[0], counts[0], counts[0] + 1]


async def test_zones_that_the_server_lacks(
    server: Server, connect_args: dict[str, Any], zones: None
) -> None:
    for zone, words in (
        ("Asia/Kolkata", r"load the tables of zones \(mysql_tzinfo_to_sql\), or give 'UTC'"),
        ("America/New_York", "different rules for America/New_York"),
        ("America/Chicago", "different rules for America/Chicago"),
        ("+14:00", r"this server has no such offset, which MariaDB has from -12:59 to \+13:00"),
    ):
        if zone == "+14:00" and server.kind == "mysql":
            continue
        with pytest.raises(OperationalError, match=words) as caught:
            await connect(**connect_args, time_zone=zone)
        assert caught.value.args[0] == 1298
    for offset in ("+13:00", "-12:59", "+14:00", "-13:59")[: 4 if server.kind == "mysql" else 2]:
        async with connect(**connect_args, time_zone=offset) as connection:
            assert await session_zone(connection) == offset


# -- the option ------------------------------------------------------------------------------------


def test_values_of_the_option() -> None:
    for given, name, tzinfo in (
        *((text, "+00:00", UTC) for text in ("UTC", "utc", "Etc/UTC", "+00:00", "-00:00", UTC)),
        (datetime.timezone(0 * HOUR, "Z"), "+00:00", UTC),
        (ZoneInfo("UTC"), "+00:00", ZoneInfo("UTC")),
        ("+2:00", "+02:00", datetime.timezone(2 * HOUR)),
        ("-05:30", "-05:30", datetime.timezone(-5.5 * HOUR)),
        (datetime.timezone(-0.5 * HOUR), "-00:30", datetime.timezone(-0.5 * HOUR)),
        ("Europe/Berlin", "Europe/Berlin", BERLIN),
        (BERLIN, "Europe/Berlin", BERLIN),
        ("Etc/GMT+5", "Etc/GMT+5", ZoneInfo("Etc/GMT+5")),
    ):
        zone = find_zone(given)
        assert (zone.name, zone.tzinfo) == (name, tzinfo)
        assert zone.is_fixed == (not name[0].isalpha())


class Offset(datetime.tzinfo):
    """One that has no name."""

    def utcoffset(self, _: Moment | None) -> datetime.timedelta:
        return HOUR

    def dst(self, _: Moment | None) -> None:
        return None

    def tzname(self, _: Moment | None) -> str:
        return "one"


class OwnZone(ZoneInfo):
    """Not Python's own any more."""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("SYSTEM", "which is another zone on each machine: give its name"),
        ("localtime", "which is another zone on each machine"),
        ("right/Europe/Berlin", "leave out 'right/'"),
        *((text, "give 'UTC', an offset like") for text in ("", "'", "0", "+02", "Europe'Berlin")),
        *((text, "give 'UTC', an offset like") for text in ("a/../b", "../etc", "Европа", "\0")),
        ("+02:00:00", "give 'UTC', an offset like"),
        *((text, "no time zone that Python knows") for text in ("Mars/Phobos", "Europe", "Etc/")),
        *((text, r"from -13:59 to \+14:00") for text in ("+14:01", "-14:00", "+99:00")),
        ("+02:60", "an hour has 60 minutes"),
        (datetime.timezone(datetime.timedelta(seconds=1)), "in whole minutes"),
        (datetime.timezone(15 * HOUR), r"from -13:59 to \+14:00"),
    ],
)
async def test_values_that_are_refused(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"option 'time_zone' .*{words}"):
        Connection(time_zone=given)


async def test_types_that_are_refused() -> None:
    wrong: Any
    for wrong in (2, b"UTC", 2 * HOUR):
        with pytest.raises(TypeError, match="option 'time_zone' must be of type str, tzinfo, None"):
            Connection(time_zone=wrong)

    for wrong in (Offset(), OwnZone("Europe/Berlin")):
        with pytest.raises(TypeError, match=r"or a zoneinfo\.ZoneInfo, not (Offset|OwnZone)$"):
            Connection(time_zone=wrong)
    with open(f"{zoneinfo.TZPATH[0]}/Europe/Berlin", "rb") as file:
        without_key = ZoneInfo.from_file(file)
    with pytest.raises(ValueError, match="without a key: give it by its name"):
        Connection(time_zone=without_key)


async def test_without_a_database_of_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tzdata", None)
    path = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()
    try:
        with pytest.raises(ValueError, match="install the package tzdata, or give 'UTC' or"):
            Connection(time_zone="Europe/Berlin")
        assert find_zone("UTC").is_fixed
    finally:
        zoneinfo.reset_tzpath(path)


def test_data_source_names() -> None:
    for text, given in (("UTC", "UTC"), ("-05:30", "-05:30"), ("%2B02:00", "+02:00")):
        assert parse_dsn(f"mysql://h?time_zone={text}")["time_zone"] == given
    assert parse_dsn("mysql://h?time_zone=Europe/Berlin")["time_zone"] == "Europe/Berlin"
