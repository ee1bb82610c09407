"""What becomes of connections, cursors, statements and pools that nobody refers to any more.

No reference cycle is left to the garbage collector; and what outlives its event loop goes without
an exception, with a warning if it was still open.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import CoroutineType, FrameType, GeneratorType
from typing import Any, TypeVar

import pytest
from pymysql.constants import FIELD_TYPE
from pymysql.converters import decoders

from aiomysql_core import Connection, Cursor, MySQLError, SSCursor, connect
from aiomysql_core.cursors import DictCursor, SSDictCursor
from aiomysql_pool import PoolTimeout, create_pool
from tests import scripted
from tests.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.tls]

T = TypeVar("T")
Arguments = dict[str, Any]
Use = Callable[[Arguments], Awaitable[Any]]

ROWS = "SELECT REPEAT('x', 1000) FROM information_schema.columns"
SLEEP = "SELECT SLEEP(0.3)"


@pytest.fixture
def run(anyio_backend: Any) -> Iterator[Callable[[Awaitable[T]], T]]:
    """Runs a coroutine on an event loop, which is closed as soon as the coroutine is over."""
    loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
    if anyio_backend[1]["use_uvloop"]:
        import uvloop

        loop.close()
        loop = uvloop.new_event_loop()

    def run(use: Awaitable[T]) -> T:
        try:
            return loop.run_until_complete(use)
        finally:
            loop.close()

    yield run
    loop.close()


def name_of(found: object) -> str:
    """The name of what is ours, empty for what is not."""
    file = ""
    if isinstance(found, (CoroutineType, GeneratorType)):
        code = found.cr_code if isinstance(found, CoroutineType) else found.gi_code
        file, name = code.co_filename, code.co_qualname
    elif isinstance(found, FrameType):
        file, name = found.f_code.co_filename, found.f_code.co_qualname
    else:
        name = f"{type(found).__module__}.{type(found).__qualname__}"
    ours = name.startswith("aiomysql") or "/aiomysql_" in file
    return f"{type(found).__name__} {name}" if ours else ""


@contextlib.contextmanager
def nothing_for_the_collector() -> Iterator[None]:
    """Within the block nothing of ours may become a cycle, or be part of one."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        found = Counter(filter(None, map(name_of, gc.garbage)))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.collect()
    assert dict(found) == {}


@contextlib.contextmanager
def noticing(noise: list[str]) -> Iterator[None]:
    """Collects warnings, and exceptions that nobody can receive."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda event: noise.append(f"unraisable: {event.exc_value!r}")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            gc.collect()
    finally:
        sys.unraisablehook = hook
    noise += [f"{warning.category.__name__}: {warning.message}" for warning in caught]


# -- cycles ----------------------------------------------------------------------------------


async def cursors(args: Arguments) -> None:
    async with connect(**args) as connection:
        for kind in (DictCursor, SSCursor, SSDictCursor):
            async with connection.cursor(kind) as cursor:
                await cursor.execute("SELECT %s, 'x' UNION ALL SELECT 2, 'y'; SELECT 3", 1)
                await cursor.fetchone()
                await cursor.fetchall()
                assert await cursor.nextset()
            async with connection.cursor(kind) as cursor:
                await cursor.execute("SELECT 1 UNION SELECT 2")
                assert len([row async for row in cursor]) == 2
        cursor = await connection.cursor()
        await cursor.executemany("SELECT %s", [1, 2])
        await connection.ping()
        await connection.reset()


async def prepared(args: Arguments) -> None:
    async with connect(**args, stmt_cache_size=2) as connection:
        async with await connection.prepare("SELECT %s") as statement:
            for value in (1, "x", None):
                cursor = await statement.execute((value,))
                await cursor.fetchall()
            async with connection.cursor(SSCursor) as streaming:
                await streaming.execute(statement, (5,))
                assert await streaming.fetchone() == (5,)
        for number in range(4):
            async with connection.cursor() as cursor:
                await cursor.execute(f"SELECT %s, {number}", (1,))
                await cursor.fetchall()
        with pytest.raises(MySQLError):
            await connection.prepare("SELECT * FROM no_such_table")


async def errors(args: Arguments) -> None:
    def refuse(_: object) -> None:
        raise KeyError("refused")

    async def all_of(cursor: Cursor, statement: str) -> None:
        await cursor.execute(statement)
        await cursor.fetchall()
        await cursor.nextset()

    conv = {**decoders, FIELD_TYPE.LONG: refuse, FIELD_TYPE.LONGLONG: refuse}
    async with connect(**args, conv=conv) as connection:
        for kind in (DictCursor, SSCursor):
            async with connection.cursor(kind) as cursor:
                for statement in ("SELECT * FROM no_such_table", "SELEC", "SELECT 'x'; SELEC"):
                    with pytest.raises(MySQLError):
                        await all_of(cursor, statement)
                with pytest.raises(KeyError):
                    await all_of(cursor, "SELECT CAST(1 AS SIGNED)")


async def refused_log_in(args: Arguments) -> None:
    for wrong in ({"user": "nobody_of_this_name"}, {"db": "no_such_database"}, {"port": 1}):
        with pytest.raises(MySQLError):
            await connect(**args | wrong)


def scripted_args(args: Arguments, port: int) -> Arguments:
    options = {"host": "127.0.0.1", "port": port, "autocommit": None}
    return options | {name: args[name] for name in args if name == "ssl_mode"}


@contextlib.asynccontextmanager
async def silent_server(args: Arguments) -> AsyncIterator[Arguments]:
    """A server that lets everybody in and answers nothing, with TLS where `args` ask for it."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await scripted.silent(reader, writer)

    async with scripted.scripted_server(accept, tls="ssl_mode" in args) as port:
        yield scripted_args(args, port)


async def timeouts(args: Arguments) -> None:
    async with silent_server(args) as args:
        connection = await connect(**args, read_timeout=0.01)
        with pytest.raises(MySQLError, match="read_timeout"):
            await connection.ping(reconnect=False)
        connection = await connect(**args, read_timeout=0.01)
        with pytest.raises(MySQLError, match="read_timeout"):
            await connection.query("SELECT 1")
        with pytest.raises(MySQLError, match="connect_timeout"):
            await connect(**args, init_command="SELECT 1", connect_timeout=0.01)


async def waiting_too_long(args: Arguments) -> None:
    """`asyncio.wait_for` around everything that can be awaited."""
    async with silent_server(args) as args:
        for method, *arguments in (
            ("query", "SELECT 1"),
            ("prepare", "SELECT 1"),
            ("select_db", "test"),
            ("ping",),
            ("reset",),
        ):
            connection = await connect(**args)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(getattr(connection, method)(*arguments), 0.01)
            assert connection.closed
        connection = await connect(**args)
        cursor = await connection.cursor()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cursor.execute("SELECT 1"), 0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connect(**args, init_command="SELECT 1"), 0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connect(**args, init_command="SELECT 1")


async def lost(args: Arguments) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        writer.write(b"\x01")

    async with scripted.scripted_server(hang_up, tls="ssl_mode" in args) as port:
        for kind in (DictCursor, SSCursor):
            connection = await connect(**scripted_args(args, port))
            cursor = await connection.cursor(kind)
            with pytest.raises(MySQLError):
                await cursor.execute("SELECT 1")
            with contextlib.suppress(MySQLError):
                await cursor.close()


async def pools(args: Arguments) -> None:
    async with create_pool(**args, minsize=1, maxsize=1, stmt_cache_size=2) as pool:
        async with pool.acquire() as connection:
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT %s", (1,))
            with pytest.raises(PoolTimeout):
                await pool.acquire(timeout=0.01)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.acquire(), 0.01)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), pool.acquire():
                    pass
        with pytest.raises(TimeoutError):
            async with pool.acquire() as connection:
                await asyncio.wait_for(connection.query(SLEEP), 0.02)


async def verified(args: Arguments, server: Server) -> None:
    import ssl

    context = ssl.create_default_context(cafile=server.tls_ca)
    async with connect(**args, ssl=context) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
        with pytest.raises(MySQLError):
            await connection.query("SELEC")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.query(SLEEP), 0.02)


@pytest.mark.parametrize(
    "use",
    [
        *(cursors, prepared, errors, refused_log_in, timeouts, waiting_too_long, lost, pools),
        verified,
    ],
)
def test_no_cycles(
    use: Any,
    server: Server,
    connect_args: dict[str, Any],
    run: Callable[[Awaitable[None]], None],
) -> None:
    more = [server] if use is verified else []
    with nothing_for_the_collector():
        run(use(connect_args, *more))


# -- after the loop --------------------------------------------------------------------------


async def open_connection(args: Arguments) -> Any:
    return await connect(**args)


async def closed_connection(args: Arguments) -> Any:
    async with connect(**args) as connection:
        cursor = await connection.cursor()
        await cursor.execute("SELECT 1")
    return connection, cursor


async def cursor_alone(args: Arguments) -> Any:
    cursor = await (await connect(**args)).cursor()
    await cursor.execute("SELECT 1; SELECT 2")
    return cursor


async def stream_half_read(args: Arguments) -> Any:
    connection = await connect(**args)
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(ROWS)
    assert await cursor.fetchone()
    return connection, cursor


async def prepared_statement(args: Arguments) -> Any:
    connection = await connect(**args, stmt_cache_size=2)
    statement = await connection.prepare("SELECT %s")
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(statement, (1,))
    return statement, cursor


async def contexts_never_entered(args: Arguments) -> Any:
    connection = await connect(**args)
    pool = await create_pool(**args, minsize=1)
    return connection.cursor(), pool.acquire()


async def pool_with_one_acquired(args: Arguments) -> Any:
    pool = await create_pool(**args, minsize=2)
    return pool, await pool.acquire()


async def task_in_the_middle(args: Arguments) -> Any:
    """A statement that still runs when its event loop is gone."""
    connection = await connect(**args)
    asking = asyncio.ensure_future(connection.query(SLEEP))
    await asyncio.sleep(0.02)
    asking.get_loop().set_exception_handler(lambda *_: None)  # asyncio tells that it was pending
    return [asking]


async def tasks_in_the_middle(args: Arguments) -> Any:
    """Tasks within every kind of context, one of them waiting for a connection."""
    pool = await create_pool(**args, minsize=1, maxsize=2)

    async def ask() -> None:
        async with (
            pool.acquire() as connection,
            connection.cursor(SSCursor) as cursor,
            await connection.prepare("SELECT SLEEP(%s)") as statement,
        ):
            await cursor.execute(statement, (0.3,))
            await cursor.fetchall()

    asking = [asyncio.ensure_future(ask()) for _ in range(3)]
    await asyncio.sleep(0.1)
    asking[0].get_loop().set_exception_handler(lambda *_: None)
    return asking


async def waiting_for_an_idle_one(args: Arguments) -> Any:
    """Its borrower is busy with something else, and gives it back as it is collected."""
    pool = await create_pool(**args, minsize=1, maxsize=1)

    async def borrow() -> None:
        async with pool.acquire():
            await asyncio.sleep(10)

    borrowing = [asyncio.ensure_future(borrow()) for _ in range(3)]
    await asyncio.sleep(0.02)
    borrowing[0].get_loop().set_exception_handler(lambda *_: None)
    return borrowing


LEFT_OPEN = [
    open_connection,
    cursor_alone,
    stream_half_read,
    prepared_statement,
    contexts_never_entered,
    pool_with_one_acquired,
]
# Their connections are closed by the contexts that a collected task leaves; the task itself is what
# asyncio complains of.
IN_TASKS = [task_in_the_middle, tasks_in_the_middle, waiting_for_an_idle_one]


@pytest.mark.parametrize("use", [closed_connection, *LEFT_OPEN, *IN_TASKS])
def test_after_the_loop(
    use: Use, server: Server, connect_args: dict[str, Any], run: Callable[[Awaitable[Any]], Any]
) -> None:
    noise: list[str] = []
    with noticing(noise):
        left = run(use(connect_args))
        if isinstance(left, list):
            while left:  # one task after the other
                del left[0]
                gc.collect()
        del left
    unclosed = [line for line in noise if line.startswith("ResourceWarning: Unclosed connection")]
    if use not in IN_TASKS:
        assert bool(unclosed) is (use in LEFT_OPEN)
    assert [line for line in noise if not line.startswith("ResourceWarning")] == []
    assert server.settled_sessions() == []


@pytest.mark.parametrize("use", [open_connection, stream_half_read])
def test_closed_after_the_loop(
    use: Use, server: Server, connect_args: dict[str, Any], run: Callable[[Awaitable[Any]], Any]
) -> None:
    """`close()` is no use of the loop: it is allowed, and nothing is left to warn of."""
    noise: list[str] = []
    with noticing(noise):
        left = run(use(connect_args))
        connection: Connection = left[0] if isinstance(left, tuple) else left
        connection.close()
        assert connection.closed
        del connection, left
    assert noise == []
    assert server.settled_sessions() == []
