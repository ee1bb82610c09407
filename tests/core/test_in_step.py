"""Whatever is left unread, interrupted or done in a wrong order, the connection stays in step."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    InterfaceError,
    OperationalError,
    SSCursor,
    connect,
)
from aiomysql_core.connection import _connect
from tests import scripted
from tests.scripted_tls import CLIENT_OPTIONS
from tests.servers import Server

pytestmark = pytest.mark.tls

LONG = "SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 100"


async def one(connection: Connection, query: str, args: object = None) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(query, args)
        (row,) = await cursor.fetchall()
        return row[0] if len(row) == 1 else row


async def test_warnings_asked_for_with_further_results(connection: Connection) -> None:
    """Asking throws the further results away; nobody waits for them for ever."""
    cursor = await connection.cursor()
    await cursor.execute("SELECT 1; SELECT SLEEP(0.05)")
    assert await connection.show_warnings() == ()
    assert not await cursor.nextset()
    assert await one(connection, "SELECT 2") == 2


async def test_streamed_result_left_complete_but_unread(connection: Connection) -> None:
    for after in ("nextset", "execute", "close"):
        async with connection.cursor(SSCursor) as cursor:
            await cursor.execute(f"SELECT REPEAT('x', 290000); SELECT SLEEP(0.02); {LONG}")
            await asyncio.sleep(0.01)
            async with asyncio.timeout(5):
                if after == "nextset":
                    assert await cursor.nextset()
                    assert await cursor.fetchall() == [(0,)]
                elif after == "execute":
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        await cursor.execute("SELECT 1")
                else:
                    await cursor.close()
        assert await one(connection, "SELECT 3") == 3


async def test_response_that_came_with_the_end_of_the_connection(over_tls: bool) -> None:
    async def answer_and_go(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        writer.write(
            scripted.frame(scripted.ok(affected_rows=7), 1)
            + scripted.frame(scripted.error(1053, "Server shutdown in progress"), 0)
        )

    options: dict[str, Any] = {"autocommit": None, **(CLIENT_OPTIONS if over_tls else {})}
    async with scripted.scripted_server(answer_and_go, tls=over_tls) as port:
        connection = await connect(host="127.0.0.1", port=port, **options)
        cursor = await connection.cursor()
        assert await cursor.execute("UPDATE t SET a = 1") == 7
        assert not await cursor.nextset()
        with pytest.raises(OperationalError, match="shutdown"):
            await cursor.execute("SELECT 1")
        await cursor.close()


async def test_rows_before_an_error_are_delivered(connection: Connection) -> None:
    """A streamed result that fails later gives its first rows first, however packets were cut."""
    query = (
        "SELECT IF(n < 3, n, (SELECT 1 UNION SELECT 2)) FROM "
        "(SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS t"
    )
    async with connection.cursor(SSCursor) as cursor:
        await cursor.execute(query)
        assert await cursor.fetchmany(2) == [(1,), (2,)]
        with pytest.raises(OperationalError) as caught:
            await cursor.fetchone()
        assert caught.value.args[0] == 1242
    assert await one(connection, "SELECT 4") == 4


async def test_rows_before_a_value_that_fails(connect_args: dict[str, Any]) -> None:
    from pymysql.constants import FIELD_TYPE

    def picky(text: str) -> str:
        if text == "2.5":
            raise ArithmeticError(text)
        return text

    async with connect(**connect_args, conv={FIELD_TYPE.NEWDECIMAL: picky}) as connection:
        async with connection.cursor(SSCursor) as cursor:
            await cursor.execute("SELECT 0.5 UNION ALL SELECT 1.5 UNION ALL SELECT 2.5")
            assert [await cursor.fetchone(), await cursor.fetchone()] == [("0.5",), ("1.5",)]
            with pytest.raises(ArithmeticError, match="2.5"):
                await cursor.fetchone()
        assert await one(connection, "SELECT 1") == "1"


async def test_second_task_does_not_cut_a_stream_short(connection: Connection) -> None:
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(f"{LONG}; SELECT 5")
    reading = asyncio.ensure_future(cursor.fetchall())
    while not connection.busy:
        await asyncio.sleep(0)
    for use in (cursor.nextset, lambda: cursor.execute("SELECT 1")):
        with pytest.raises(InterfaceError, match="another task"):
            await use()
    assert len(await reading) == 100
    await cursor.close()


async def test_literals_follow_what_is_outstanding(connection: Connection) -> None:
    first = await connection.cursor()
    await first.execute("SELECT 1; SELECT SLEEP(0.05); SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    value = "a\\' OR 1 = 1 -- "
    assert await one(connection, "SELECT %s", (value,)) == value


async def test_warnings_as_errors_do_no_harm(connect_args: dict[str, Any]) -> None:
    """Left as errors by the test run: the warning is raised once, and nothing is left undone."""
    connection = await connect(**connect_args)
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(LONG)
    with pytest.raises(UserWarning, match="left incomplete"):
        await connection.query("SELECT 1")
    async with asyncio.timeout(5):
        assert await one(connection, "SELECT 2") == 2
        await cursor.execute(LONG)
        await connection.ensure_closed()
    assert connection.closed


async def test_two_tasks_that_reopen(server: Server, connect_args: dict[str, Any]) -> None:
    connection = await connect(**connect_args)
    connection.close()
    outcomes = await asyncio.gather(connection.ping(), connection.ping(), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {type(None), InterfaceError}
    assert await one(connection, "SELECT 1") == 1
    await connection.ensure_closed()


@pytest.mark.parametrize(
    "arguments",
    [{"password": "wrong", "user": "nobody"}, {"db": "no_such_database"}, {"port": 1}],
    ids=["password", "database", "port"],
)
async def test_failed_connect_leaves_no_cycle(
    connect_args: dict[str, Any], arguments: dict[str, Any]
) -> None:
    made: list[weakref.ref[Connection]] = []

    async def attempt() -> None:
        connection = Connection(**connect_args | arguments)
        made.append(weakref.ref(connection))
        await connection._connect()

    gc.collect()
    gc.disable()
    try:
        try:
            await attempt()
        except OperationalError:
            pass
        else:
            pytest.fail("connected")
        await asyncio.sleep(0)
        assert made[0]() is None
    finally:
        gc.enable()


async def test_cancelled_at_every_step(server: Server, connect_args: dict[str, Any]) -> None:
    """However far connect() and a query have come, a cancel leaves nothing open."""

    async def work() -> None:
        connection = await _connect(**connect_args)
        try:
            async with connection.cursor(SSCursor) as cursor:
                await cursor.execute("SELECT 1 UNION SELECT 2; SELECT 3")
                await cursor.fetchone()
        finally:
            connection.close()

    for steps in range(40):
        task = asyncio.ensure_future(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            continue
        break
    gc.collect()


async def test_charset_after_a_collation(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, collation="utf8mb4_bin") as connection:
        await connection.set_charset("latin1")
        connection.close()
        await connection.ping()
        assert await one(connection, "SELECT @@character_set_client") == "latin1"


def test_closing_after_the_loop(connect_args: dict[str, Any], anyio_backend: Any) -> None:
    import uvloop

    make: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if anyio_backend[1]["use_uvloop"]:
        make = uvloop.new_event_loop
    loop = make()
    connection = loop.run_until_complete(_connect(**connect_args))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the loops' own transports say that they were left open
        loop.close()
        connection.close()
        assert connection.closed
        del connection
        gc.collect()


async def test_read_timeout_counts_silence_only(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, read_timeout=0.3) as connection:
        rows = "SELECT SLEEP(0.1), REPEAT('x', 20000) FROM information_schema.columns LIMIT 6"
        async with connection.cursor() as cursor:
            assert await cursor.execute(rows) == 6


@pytest.mark.parametrize("query", [5, [1, 2], None, ("SELECT 1",)])
async def test_what_is_no_statement(connection: Connection, query: Any) -> None:
    async with connection.cursor() as cursor:
        with pytest.raises(TypeError, match="must be str or bytes"):
            await cursor.execute(query)
    with pytest.raises(TypeError, match="must be str or bytes"):
        await connection.query(query)


async def test_what_can_not_be_copied(connection: Connection) -> None:
    for function in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="can't be copied or pickled"):
            function(connection)
    assert await one(connection, "SELECT 1") == 1


async def test_cursor_in_a_task_of_its_own(connection: Connection) -> None:
    cursor = await asyncio.wait_for(connection.cursor(), 1)
    await cursor.execute("SELECT 1")
    assert await asyncio.wait_for(cursor.fetchone(), 1) == (1,)
    for wrong in (None, 5, object):
        with pytest.raises(TypeError, match="subclass of Cursor"):
            connection.cursor(wrong)  # type: ignore[type-var, arg-type]


async def test_rows_are_the_callers(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT 1 UNION SELECT 2")
        assert await cursor.fetchall() == ((1,), (2,))
        assert await cursor.executemany("DO %s", None) is None


async def test_flag_for_a_database_without_one(connect_args: dict[str, Any]) -> None:
    from pymysql.constants import CLIENT

    arguments = connect_args | {"db": None, "client_flag": CLIENT.CONNECT_WITH_DB}
    async with connect(**arguments) as connection:
        assert await one(connection, "SELECT DATABASE()") is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"host": "a..b"}, "'host'"),
        ({"host": "x" * 70 + ".example"}, "'host'"),
        ({"user": "\ud800"}, "'user'"),
        ({"user": "ü𝄞", "charset": "latin1"}, "'user'.*latin1"),
        ({"password": "se\ud800cret"}, "'password' can't be written in utf-8$"),
        ({"program_name": "\ud800"}, "'program_name'"),
        ({"conn_attrs": {"a": "\ud800"}}, "'conn_attrs'"),
    ],
)
async def test_options_that_can_not_be_sent(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        await connect(**arguments)
    with pytest.raises(TypeError, match="'conn_attrs' must map str to str"):
        await connect(conn_attrs={"a": 1})  # type: ignore[dict-item]


@pytest.mark.parametrize("dsn", ["mysql://root:a[hunter2]b@h/", "mysql://root:p℀hunter2@h/d"])
async def test_data_source_name_that_is_no_url(dsn: str) -> None:
    with pytest.raises(ValueError, match="not a URL") as caught:
        await connect(dsn)
    assert "hunter2" not in str(caught.value)


async def test_oserror_of_a_password_function_is_its_own(connect_args: dict[str, Any]) -> None:
    def missing() -> str:
        raise FileNotFoundError("no token file")

    with pytest.raises(FileNotFoundError, match="no token file"):
        await connect(**connect_args | {"password": missing})


async def test_sql_mode_may_be_an_expression(connect_args: dict[str, Any]) -> None:
    for mode, expected in (
        ("ANSI_QUOTES,NO_BACKSLASH_ESCAPES", {"ANSI_QUOTES", "NO_BACKSLASH_ESCAPES"}),
        ("'ANSI_QUOTES'", {"ANSI_QUOTES"}),
        (
            "CONCAT('ANSI_QUOTES', ',', 'HIGH_NOT_PRECEDENCE')",
            {"ANSI_QUOTES", "HIGH_NOT_PRECEDENCE"},
        ),
        ("", {""}),
    ):
        async with connect(**connect_args, sql_mode=mode) as connection:
            found = await one(connection, "SELECT @@sql_mode")
            assert set(found.split(",")) == expected


async def test_two_cursors_take_turns(connection: Connection) -> None:
    streaming = await connection.cursor(SSCursor)
    await streaming.execute(LONG)
    row = await streaming.fetchone()
    assert row is not None
    assert len(row[0]) == 100000
    with pytest.warns(UserWarning, match="left incomplete"):
        other = await connection.cursor(Cursor)
        await other.execute("SELECT 'other'")
    assert await other.fetchone() == ("other",)
    with pytest.raises(InterfaceError, match="given up"):
        await streaming.fetchall()
    await streaming.close()
