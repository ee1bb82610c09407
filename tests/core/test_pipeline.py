"""Pipelines: statements that are sent before the responses to others have come."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE

from aiomysql_core import (
    Connection,
    Cursor,
    DictCursor,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SSCursor,
    Warning,  # noqa: A004
    connect,
)
from tests import scripted
from tests.servers import Server


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    return table_name


@pytest.fixture
async def committing(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    async with connect(**connect_args, autocommit=True) as connection:
        yield connection


async def run(connection: Connection, *queries: str, transaction: bool = False) -> None:
    """A pipeline whose results nobody looks at."""
    async with connection.pipeline(transaction=transaction) as pipeline:
        for query in queries:
            pipeline.execute(query)


async def numbers(connection: Connection, table: str) -> list[int]:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT id FROM {table} ORDER BY id")
        return [row[0] for row in await cursor.fetchall()]


@pytest.mark.parametrize("cached", [0, 10])
async def test_results_are_those_of_cursors(connect_args: dict[str, Any], cached: int) -> None:
    """Of text and prepared statements, in any order of awaiting."""
    async with (
        connect(**connect_args, stmt_cache_size=cached) as connection,
        await connection.prepare("SELECT %s, 'p'") as prepared,
    ):
        for _ in range(2):
            async with connection.pipeline() as pipeline:
                texts = [pipeline.execute("SELECT %s, %s", (n, str(n))) for n in range(50)]
                plain = pipeline.execute("SELECT 1 AS one")
                executions = [pipeline.execute(prepared, (n,)) for n in range(50)]
                assert await (await executions[-1]).fetchall() == ((49, "p"),)
                for number, statement in enumerate(texts):
                    cursor = await statement
                    assert type(cursor) is Cursor
                    assert await cursor.fetchall() == ((number, str(number)),)
            description = (await plain).description
            assert description is not None
            assert description[0][0] == "one"
            assert await (await plain).fetchone() == (1,)
            assert [await (await one).fetchone() for one in executions[:2]] == [(0, "p"), (1, "p")]
        async with connection.cursor() as cursor:  # the connection is as good as before
            assert await cursor.execute("SELECT 1") == 1


async def test_other_cursors(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, cursorclass=DictCursor) as connection:
        async with connection.pipeline() as pipeline:
            assert await (await pipeline.execute("SELECT 1 AS a")).fetchone() == {"a": 1}
        connection.cursorclass = SSCursor
        async with connection.pipeline() as pipeline:
            with pytest.raises(NotSupportedError, match="SSCursor"):
                pipeline.execute("SELECT 1")


async def test_rows_changed(committing: Connection, table: str) -> None:
    async with committing.pipeline() as pipeline:
        insert = pipeline.execute(f"INSERT INTO {table} VALUES (1, 1), (2, 2)")
        update = pipeline.execute(f"UPDATE {table} SET v = 3")
    assert ((await insert).rowcount, (await update).rowcount) == (2, 2)
    assert await numbers(committing, table) == [1, 2]


async def test_an_error_is_its_own_statements(committing: Connection, table: str) -> None:
    """Those behind it are run all the same."""
    async with committing.pipeline() as pipeline:
        query = f"INSERT INTO {table} VALUES (%s, 0)"
        statements = [pipeline.execute(query, (n % 3,)) for n in range(5)]
        with pytest.raises(IntegrityError, match="Duplicate"):
            await statements[3]
        with pytest.raises(IntegrityError):
            await statements[3]  # as often as it is asked for
        with pytest.raises(IntegrityError):
            await statements[4]
    assert await numbers(committing, table) == [0, 1, 2]


async def test_an_error_that_nobody_has_seen(committing: Connection) -> None:
    with pytest.raises(ProgrammingError, match="wrong") as caught:
        await run(committing, "wrong", "SELECT 1", "")
    assert caught.value.__notes__ == ["1 more statements of the pipeline failed"]
    assert not committing.busy

    async def fail() -> None:
        async with committing.pipeline() as pipeline:
            pipeline.execute("wrong")
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block"):
        await fail()
    assert await committing.query("SELECT 1") == 1


async def test_arguments_that_do_not_fit(committing: Connection) -> None:
    async with committing.pipeline() as pipeline:
        bad = pipeline.execute("SELECT %s, %s", (1,))
        good = pipeline.execute("SELECT %s", (1,))
        with pytest.raises(TypeError):
            await bad
        assert await (await good).fetchone() == (1,)


async def test_few_packets(connect_args: dict[str, Any]) -> None:
    """100 statements are read by the server in one go, so their answers come together."""
    gathered = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        gathered.append(await reader.read(1 << 20))
        writer.write(scripted.frame(scripted.ok(), 1) * 100)
        await reader.read(100)  # the good-bye

    async with (
        scripted.scripted_server(serve) as port,
        connect(host="127.0.0.1", port=port) as connection,
        connection.pipeline() as pipeline,
    ):
        for number in range(100):
            pipeline.execute("DO %s", (number,))
        await pipeline.sync()
        assert gathered[0].count(b"\3DO ") == 100


async def test_sync(committing: Connection) -> None:
    async with committing.pipeline() as pipeline:
        await pipeline.sync()
        statements = [pipeline.execute("SELECT SLEEP(0.01)") for _ in range(3)]
        failing = pipeline.execute("wrong")
        assert not statements[2].done()
        await pipeline.sync()
        assert all(one.done() for one in (*statements, failing))
        with pytest.raises(ProgrammingError):
            await failing


async def test_settings_count_for_what_follows(committing: Connection) -> None:
    """A statement that changes how strings are read is answered before the next one is written."""
    async with committing.pipeline() as pipeline:
        pipeline.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
        first = pipeline.execute("SELECT %s", ("\\'",))
        pipeline.execute("SET NAMES latin1")
        second = pipeline.execute("SELECT %s", ("é\\",))
        assert await (await first).fetchone() == ("\\'",)
        assert await (await second).fetchone() == ("é\\",)


async def test_several_results(committing: Connection) -> None:
    async with committing.pipeline() as pipeline:
        several = pipeline.execute("SELECT 1; SELECT 2; DO 0")
        other = pipeline.execute("SELECT 3")
        failing = pipeline.execute("SELECT 1; SELECT nothing")
        many = pipeline.execute(";".join(["SELECT 1"] * 1000))
        cursor = await several
        assert await cursor.fetchall() == ((1,),)
        assert await cursor.nextset()
        assert await cursor.fetchall() == ((2,),)
        assert await cursor.nextset()
        assert cursor.description is None
        assert not await cursor.nextset()
        assert await (await other).fetchall() == ((3,),)
        with pytest.raises(OperationalError, match="nothing"):
            await failing
        assert await (await many).fetchall() == ((1,),)


async def test_the_order_is_kept(connect_args: dict[str, Any], table: str) -> None:
    """What is queued while a statement is being prepared is not sent before it."""
    async with connect(**connect_args, stmt_cache_size=10) as connection:
        async with connection.pipeline() as pipeline:
            pipeline.execute(f"INSERT INTO {table} VALUES (%s, 0)", (1,))
            counts = []
            for _ in range(20):
                await asyncio.sleep(0)
                counts.append(pipeline.execute(f"SELECT COUNT(*) FROM {table}"))
        assert [await (await count).fetchone() for count in counts] == [(1,)] * 20
        await connection.rollback()


async def test_converters_that_fail(connect_args: dict[str, Any]) -> None:
    """As in a cursor: that is one statement's affair."""

    def convert(text: object) -> int:
        raise LookupError(text)

    conv = {FIELD_TYPE.LONG: convert, FIELD_TYPE.LONGLONG: convert}
    async with connect(**connect_args, conv=conv) as connection:
        async with connection.pipeline() as pipeline:
            failing, behind = pipeline.execute("SELECT 1"), pipeline.execute("SELECT 'a'")
            with pytest.raises(LookupError):
                await failing
            assert await (await behind).fetchone() == ("a",)
        assert not connection.closed


@pytest.mark.parametrize("autocommit", [True, False])
async def test_a_transaction(
    connect_args: dict[str, Any], committing: Connection, table: str, autocommit: bool
) -> None:
    async with connect(**connect_args, autocommit=autocommit) as other:
        async with other.pipeline(transaction=True) as pipeline:
            for number in range(10):
                pipeline.execute(f"INSERT INTO {table} VALUES (%s, 0)", (number,))
        assert other.get_autocommit() is autocommit
        assert await numbers(committing, table) == list(range(10))
        inserts = [f"INSERT INTO {table} VALUES ({number}, 0)" for number in (10, 9, 11)]
        with pytest.raises(IntegrityError):
            await run(other, *inserts, transaction=True)

        async def fail() -> None:
            async with other.pipeline(transaction=True) as pipeline:
                await pipeline.execute(f"INSERT INTO {table} VALUES (12, 0)")
                raise LookupError

        with pytest.raises(LookupError):
            await fail()

        async def look_away() -> None:
            async with other.pipeline(transaction=True) as pipeline:
                failing = pipeline.execute(f"INSERT INTO {table} VALUES (9, 0)")
                pipeline.execute(f"INSERT INTO {table} VALUES (13, 0)")
                with pytest.raises(IntegrityError):
                    await failing

        with pytest.raises(OperationalError, match="rolled back, because"):
            await look_away()
        assert other.get_autocommit() is autocommit
        assert await numbers(committing, table) == list(range(10))
        await other.begin()
        await other.query(f"INSERT INTO {table} VALUES (14, 0)")
        with pytest.raises(ProgrammingError, match="open already"):
            await run(other, transaction=True)
        await other.rollback()


async def test_a_deadlock_within_a_transaction(
    committing: Connection, connect_args: dict[str, Any], table: str
) -> None:
    """What is sent behind it is not committed by itself."""
    await committing.query(f"INSERT INTO {table} VALUES (1, 0), (2, 0)")
    async with connect(**connect_args) as other:
        await other.query(f"UPDATE {table} SET v = 1 WHERE id = 2")
        await other.query(f"INSERT INTO {table} VALUES (101, 0), (102, 0), (103, 0)")

        async def work() -> None:
            async with committing.pipeline(transaction=True) as pipeline:
                await pipeline.execute(f"UPDATE {table} SET v = 2 WHERE id = 1")
                pipeline.execute(f"UPDATE {table} SET v = 2 WHERE id = 2")
                pipeline.execute(f"INSERT INTO {table} VALUES (50, 0)")
                await asyncio.sleep(0.2)
                await other.query(f"UPDATE {table} SET v = 1 WHERE id = 1")

        with pytest.raises(OperationalError) as caught:
            await work()
        assert caught.value.args[0] == 1213
        await other.rollback()
    assert await numbers(committing, table) == [1, 2]
    assert committing.get_autocommit()


async def test_a_connection_that_is_lost_before_the_commit(
    committing: Connection, connection: Connection, table: str
) -> None:
    """Every statement was run, and nothing is written: that must not pass for a success."""

    async def work() -> None:
        async with committing.pipeline(transaction=True) as pipeline:
            await pipeline.execute(f"INSERT INTO {table} VALUES (1, 0)")
            await connection.query(f"KILL {committing.thread_id()}")
            async with asyncio.timeout(5):
                while not committing.closed:
                    await asyncio.sleep(0.01)

    with pytest.raises((OperationalError, InterfaceError)):
        await work()
    assert await numbers(connection, table) == []
    await connection.rollback()


@pytest.mark.parametrize("on_cancel", ["close", "kill"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_transaction_that_is_cancelled(
    connect_args: dict[str, Any], connection: Connection, table: str, on_cancel: str, times: int
) -> None:
    """Rolled back and with the mode it had before, or closed; also while it is being left."""
    options = connect_args | {"autocommit": True, "on_cancel": on_cancel}
    for body in ("waits", "is left"):
        async with connect(**options) as other:

            async def work(body: str, other: Connection) -> None:
                async with other.pipeline(transaction=True) as pipeline:
                    await pipeline.execute(f"INSERT INTO {table} VALUES (1, 0)")
                    slow = pipeline.execute("SELECT SLEEP(2)")
                    if body == "waits":
                        await slow

            task = asyncio.ensure_future(work(body, other))
            await asyncio.sleep(0.1)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            if times == 1:
                assert other.closed == (on_cancel == "close")
            if not other.closed:
                assert other.get_autocommit()
                assert not other.get_transaction_status()
                assert await other.query("SELECT 1") == 1
        assert await numbers(connection, table) == []
        await connection.rollback()


async def test_a_statement_run_alone_that_is_cancelled(connect_args: dict[str, Any]) -> None:
    """Whoever waits for it is told."""
    async with connect(**connect_args, stmt_cache_size=10, on_cancel="kill") as connection:

        async def work() -> None:
            async with connection.pipeline() as pipeline:
                alone.append(pipeline.execute("SELECT SLEEP(%s)", (2,)))
                await pipeline.sync()

        alone: list[Any] = []
        task = asyncio.ensure_future(work())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        with pytest.raises(InterfaceError, match="cancelled"):
            await asyncio.wait_for(asyncio.ensure_future(alone[0]._result()), 5)
        assert await connection.query("SELECT 1") == 1


async def test_nothing_else_meanwhile(committing: Connection) -> None:
    async with committing.pipeline() as pipeline, committing.cursor() as cursor:
        with pytest.raises(InterfaceError, match="pipeline is open"):
            await cursor.execute("SELECT 1")
        with pytest.raises(InterfaceError, match="pipeline is open"):
            await committing.ping()
        with pytest.raises(InterfaceError, match="pipeline is open"):
            await run(committing)
        assert await (await pipeline.execute("SELECT 1")).fetchone() == (1,)
    with pytest.raises(InterfaceError, match="not open"):
        pipeline.execute("SELECT 1")
    with pytest.raises(ProgrammingError, match="used once"):
        async with pipeline:
            pass
    with pytest.raises(InterfaceError, match="not open"):
        committing.pipeline().execute("SELECT 1")


async def test_a_waiter_that_is_cancelled(committing: Connection) -> None:
    """It stops nothing: the statement was sent."""
    async with committing.pipeline() as pipeline:
        slow = pipeline.execute("SELECT SLEEP(0.2)")
        behind = pipeline.execute("SELECT 2")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(slow._result()), 0.01)
        assert await (await behind).fetchone() == (2,)
        assert await (await slow).fetchone() == (0,)


@pytest.mark.parametrize("on_cancel", ["close", "kill"])
async def test_cancelled(connect_args: dict[str, Any], on_cancel: str) -> None:
    """Nothing is left half read: the connection is closed, or what was sent is answered."""
    options = {"autocommit": True, "on_cancel": on_cancel}
    async with connect(**connect_args | options) as connection:

        async def work() -> None:
            async with connection.pipeline() as pipeline:
                pipeline.execute("SELECT 1")
                pipeline.execute("SELECT SLEEP(2)")
                behind = pipeline.execute("SELECT 3")
                await behind

        task = asyncio.ensure_future(work())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        if on_cancel == "close":
            assert connection.closed
        else:
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT 4")
                assert await cursor.fetchall() == ((4,),)
            assert not connection.busy


async def test_cancelled_while_it_is_left(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, on_cancel="kill") as connection:

        async def work() -> None:
            async with connection.pipeline() as pipeline:
                pipeline.execute("SELECT SLEEP(2)")

        task = asyncio.ensure_future(work())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        assert await connection.query("SELECT 1") == 1


async def test_cancelled_at_every_moment(connect_args: dict[str, Any]) -> None:
    """Whenever it comes, no row of one statement gets to another one."""
    async with connect(**connect_args, on_cancel="kill") as connection:
        for number in range(40):

            async def work() -> None:
                async with connection.pipeline() as pipeline:
                    statements = [pipeline.execute("SELECT %s", (n,)) for n in range(20)]
                    for n, statement in enumerate(statements):
                        assert await (await statement).fetchone() == (n,)

            task = asyncio.ensure_future(work())
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT %s", (-number,))
                assert await cursor.fetchall() == ((-number,),)


async def test_the_connection_is_lost(committing: Connection, connection: Connection) -> None:
    async with committing.pipeline() as pipeline:
        first = pipeline.execute("SELECT 1")
        slow = pipeline.execute("SELECT SLEEP(2)")
        behind = pipeline.execute("SELECT 2")
        await first
        await connection.query(f"KILL {committing.thread_id()}")
        for lost in (slow, behind):
            with pytest.raises(OperationalError):
                await asyncio.wait_for(asyncio.ensure_future(lost._result()), 5)
        with pytest.raises(InterfaceError):
            await pipeline.execute("SELECT 3")
    assert committing.closed
    with pytest.raises((OperationalError, InterfaceError)):
        await run(committing)


async def test_read_timeout(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, read_timeout=0.2) as connection:
        with pytest.raises(TimeoutError):
            await run(connection, "SELECT SLEEP(2)", "SELECT 1")
        assert connection.closed


async def test_local_files_are_refused(connect_args: dict[str, Any], table: str) -> None:
    async with (
        connect(**connect_args, local_infile=True) as connection,
        connection.pipeline() as pipeline,
    ):
        with pytest.raises(NotSupportedError, match="LOAD DATA LOCAL"):
            await pipeline.execute(f"LOAD DATA LOCAL INFILE '/nothing' INTO TABLE {table}")
        assert await (await pipeline.execute("SELECT 1")).fetchone() == (1,)


async def test_local_files_without_the_option(connection: Connection, table: str) -> None:
    """The statement goes to the server, which refuses it."""
    async with connection.pipeline() as pipeline:
        with pytest.raises(OperationalError) as caught:
            await pipeline.execute(f"LOAD DATA LOCAL INFILE '/nothing' INTO TABLE {table}")
        assert caught.value.args[0] in (1148, 3948, 4166)
        assert await (await pipeline.execute("SELECT 1")).fetchone() == (1,)


async def test_warnings_are_told_of(committing: Connection) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with committing.pipeline() as pipeline:
            pipeline.execute("SELECT CAST('x' AS SIGNED)")
            pipeline.execute("SELECT 1")
    assert [one.category for one in caught] == [Warning]
    assert "1 warning" in str(caught[0].message)


async def test_warnings_as_errors(committing: Connection) -> None:
    """The statement's own error; those behind it go on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with committing.pipeline() as pipeline:
            bad = pipeline.execute("SELECT CAST('x' AS SIGNED)")
            good = pipeline.execute("SELECT 1")
            with pytest.raises(Warning, match="1 warning"):
                await bad
            assert await (await good).fetchone() == (1,)
    assert not committing.closed


async def test_methods_that_others_replace(committing: Connection) -> None:
    """Statements go by way of a `_query` of a subclass, one by one."""
    seen = []

    class Watching(Cursor):
        async def _query(self, query: Any) -> None:
            seen.append(query)
            await super()._query(query)

    committing.cursorclass = Watching
    async with committing.pipeline() as pipeline:
        statements = [pipeline.execute("SELECT %s", (n,)) for n in range(3)]
    assert [await (await one).fetchone() for one in statements] == [(0,), (1,), (2,)]
    assert len(seen) == 3


async def test_what_is_left_is_collected(committing: Connection) -> None:
    """No cycles, no warnings of futures that nobody has awaited."""
    async with committing.pipeline() as pipeline:
        pipeline.execute("SELECT 1")
    gc.collect()
    assert await committing.query("SELECT 1") == 1


async def test_an_execute_that_is_replaced(committing: Connection) -> None:
    seen = []

    class Watching(Cursor):
        async def execute(self, query: Any, args: Any = None, **options: Any) -> int:
            seen.append(args)
            return await super().execute(query, args, **options)

    committing.cursorclass = Watching
    async with committing.pipeline() as pipeline:
        statements = [pipeline.execute("SELECT %s", (n,)) for n in range(3)]
    assert [await (await one).fetchone() for one in statements] == [(0,), (1,), (2,)]
    assert seen == [(0,), (1,), (2,)]


async def test_errors_hold_no_frames(committing: Connection) -> None:
    """Without the collector nothing is left of a pipeline in which a statement has failed."""
    gone = []

    async def work() -> None:
        async with committing.pipeline() as pipeline:
            gone.append(weakref.ref(pipeline))
            failing = pipeline.execute("wrong")
            with contextlib.suppress(ProgrammingError):
                await failing

    gc.collect()
    gc.disable()
    try:
        await work()
        await asyncio.sleep(0)
        assert gone[0]() is None
    finally:
        gc.enable()
