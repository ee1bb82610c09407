"""What programs are told of mistakes: in words that say what to do, at the line that made them."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import enum
import inspect
import pickle
import pydoc
import re
import sys
import tomllib
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import (
    DEFAULT,
    Connection,
    Cursor,
    DictCursor,
    ProgrammingError,
    SSCursor,
    Warning,  # noqa: A004
    connect,
)
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_core.waiting.ready import PyReady, Ready
from tests.core.statements import sizes
from tests.servers import Server

UNFIT: list[tuple[str, Any, type[Exception], str]] = [
    ("SELECT %s, %s", (1,), TypeError, "2 %s marks, but one argument"),
    ("SELECT %s", (1, 2), TypeError, "one %s mark, but 2 arguments"),
    ("SELECT ?", (1,), TypeError, r"the mark \?, and one argument: write each mark as %s"),
    ("SELECT $1", (1,), TypeError, r"the mark \$1, and one argument"),
    ("SELECT ?, %s", (1, 2), TypeError, r"the marks %s and \?, and 2 arguments"),
    ("SELECT 'a' LIKE '5%', %s", (1,), ValueError, "a percent sign is written %%"),
    ("SELECT 'a' LIKE '5% s', %s", (1,), TypeError, "a percent sign is written %%"),
    ("SELECT %(a)s", {"b": 1}, KeyError, r"the mark %\(a\)s, but its arguments have no such key"),
    ("SELECT %(a)s", (1,), TypeError, "its arguments are a tuple: give a dict"),
    ("SELECT %s", {"a": 1}, TypeError, "its arguments are a dict: give a tuple or list"),
    ("SELECT %s, %(a)s", {"a": 1}, TypeError, "use one kind"),
    ("SELECT %s", ({"a": 1},), TypeError, "dict can not be used as parameter: .* json.dumps"),
    ("SELECT 1 IN %s", ([],), ProgrammingError, r"1064.*an empty list is written as \(\)"),
    ("SELECT '%s'", ("x",), ProgrammingError, "1064.*a mark stands between quotes"),
    ("SELECT 1 LIKE '%%%s%%'", ("x",), ProgrammingError, "1064.*as in LIKE %s"),
    ("SELECT %(a)s", [{"a": 1}], TypeError, "a dict within a list: give the dict itself"),
]

unfit = pytest.mark.parametrize(("query", "args", "kind", "words"), UNFIT)


class Colour(enum.Enum):
    """No text of its own."""

    RED = 1


class Rank(enum.IntEnum):
    """A number."""

    FIRST = 1


class Plain:
    """Neither."""


# -- marks and arguments, values ------------------------------------------------------------------


@sizes
@unfit
async def test_execute(
    connect_args: dict[str, Any],
    size: int,
    query: str,
    args: Any,
    kind: type[Exception],
    words: str,
) -> None:
    """The same as text and prepared, by cursors, by `mogrify` and in pipelines."""
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for _ in range(2):
            with pytest.raises(kind, match=words):
                await cursor.execute(query, args)
        async with connection.pipeline() as pipeline:
            with pytest.raises(kind, match=words):
                await pipeline.execute(query, args)
        if kind is not ProgrammingError:
            with pytest.raises(kind, match=words):
                cursor.mogrify(query, args)
        await cursor.execute("SELECT %s", (1,))
        assert await cursor.fetchone() == (1,)


async def test_without_arguments(connection: Connection) -> None:
    cursor = await connection.cursor()
    for query, words in (
        ("SELECT %s", "the mark %s, but no arguments were given"),
        ("SELECT ?", r"\? is no mark here: write each mark as %s"),
        ("SELECT :a", r":a is no mark here: write each mark as %\(name\)s"),
    ):
        with pytest.raises(ProgrammingError, match=words) as raised:
            await cursor.execute(query)
        assert raised.value.args[0] == 1064
    with pytest.raises(ProgrammingError) as raised:
        await cursor.execute("SELECT 1 x y z")
    assert raised.value.args[1].endswith("at line 1")


ROWS: list[tuple[str, list[Any], type[Exception], str]] = [
    ("INSERT INTO {} VALUES (%s, %s)", [(1, 2), (1,)], TypeError, "2 %s marks, but one argument"),
    ("INSERT INTO {} VALUES (%(a)s)", [{"a": 1}, {"b": 1}], KeyError, r"the mark %\(a\)s, but"),
    ("INSERT INTO {} VALUES (?, ?)", [(1, 2), (1, 3)], TypeError, r"the mark \?, and 2 arguments"),
    ("INSERT INTO {} VALUES (%s, %s)", [(1, 2), (1, Plain())], TypeError, "Plain can not be used"),
    ("INSERT INTO {} VALUES (%s, %s)", [(1, 2), (1, [])], ProgrammingError, "an empty list"),
    ("INSERT INTO {} VALUES (%(a)s)", [({"a": 1},)], TypeError, "a dict within a tuple: give"),
    ("UPDATE {} SET a = %s WHERE b = %s", [(1, 2), (1,)], TypeError, "2 %s marks, but one"),
    ("UPDATE {} SET a = %s WHERE b = '5%'", [(1,), (2,)], TypeError, "percent sign is written"),
    ("UPDATE {} SET a = %s WHERE b IN %s", [(1, (2,)), (1, [])], ProgrammingError, "an empty list"),
    ("UPDATE {} SET a = %s", [(1,)] * 40 + [(Colour.RED,)], TypeError, r"Colour .*\.value"),
    ("UPDATE {} SET a = %s, b = %s", [(1, 2)] * 40 + [(1,)], TypeError, "2 %s marks, but one"),
]


@sizes
@pytest.mark.parametrize(("query", "rows", "kind", "words"), ROWS)
async def test_executemany(
    connect_args: dict[str, Any],
    server: Server,
    table_name: str,
    size: int,
    query: str,
    rows: list[Any],
    kind: type[Exception],
    words: str,
) -> None:
    """Whatever rows are sent in."""
    server.execute(f"CREATE TABLE {table_name} (a INT, b INT)")
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        with pytest.raises(kind, match=words):
            await cursor.executemany(query.format(table_name), rows)


async def test_prepare(connection: Connection) -> None:
    for query, words in (
        ("SELECT ?, %s", r"the marks %s and \?: write each mark as %s"),
        ("SELECT %s, %(a)s", "use one kind"),
        ("SELECT '100%', %s", "percent sign is written %%"),
        ("SELECT '%s'", "a mark stands for a whole value"),
        ("SELECT :a", r"write each mark as %\(name\)s"),
        ("SELECT 1 IN %s", "a list for IN can't be prepared"),
    ):
        with pytest.raises(ProgrammingError, match=words):
            await connection.prepare(query)
    for unfit in (b"SELECT 1", None):
        with pytest.raises(TypeError, match="a statement must be str to be prepared, not"):
            await connection.prepare(unfit)  # type: ignore[arg-type]
    async with connection.prepare("SELECT %s, %s") as statement:
        with pytest.raises(TypeError, match="2 %s marks, but one argument"):
            await statement.execute((1,))
    async with connection.prepare("SELECT ?") as statement:
        with pytest.raises(ProgrammingError, match="a list, as for IN, is none: run the statement"):
            await statement.execute(([1],))
        with pytest.raises(ProgrammingError, match="prepare it with %s marks"):
            await statement.execute((DEFAULT,))


@sizes
async def test_values_without_an_sql_form(connect_args: dict[str, Any], size: int) -> None:
    conv = {Colour: lambda value, mapping: f"'{value.name}'"}
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        for value, words in (
            (Colour.RED, r"Colour can not be used as parameter: give its value \(.value\), or an"),
            (Plain(), "Plain can not be used as parameter: give a value of Python's own types"),
            (Plain, "type can not be used as parameter: give what it makes or returns"),
            ([Plain()], "Plain can not be used"),
        ):
            with pytest.raises(TypeError, match=words):
                await cursor.execute("SELECT %s", (value,))
            with pytest.raises(TypeError, match=words):
                connection.escape(value)
        await cursor.execute("SELECT %s, %s", (Rank.FIRST, Colour.RED.value))
        assert await cursor.fetchone() == (1, 1)
    async with connect(**connect_args, stmt_cache_size=size, conv=conv) as connection:
        cursor = await connection.cursor()
        await cursor.execute("SELECT %s", (Colour.RED,))
        assert await cursor.fetchone() == ("RED",)


# -- what is to be awaited ------------------------------------------------------------------------


async def unawaited(connection: Connection, args: dict[str, Any]) -> AsyncIterator[tuple[str, Any]]:
    """What returns something to be awaited, and that."""
    yield "connect()", connect(**args)
    yield "cursor()", connection.cursor()
    yield "prepare()", connection.prepare("SELECT 1")
    async with connection.pipeline() as pipeline:
        yield "execute()", pipeline.execute("SELECT 1")
    cursor = await connection.cursor()
    await cursor.execute("SELECT 1")
    yield "Ready", cursor.fetchone()
    yield "Ready", cursor.close()
    yield "Ready", PyReady(5)
    yield "Ready", Ready(5)


def enter(found: Any) -> None:
    with found:
        pass


async def loop(found: Any) -> None:
    async for _ in found:
        pass


async def test_what_was_not_awaited(connection: Connection, connect_args: dict[str, Any]) -> None:
    async for source, found in unawaited(connection, connect_args):
        words = f"{re.escape(source)}.*to be awaited"
        for attempt in (
            lambda found=found: found[0],
            lambda found=found: [*found],
            lambda found=found: dict(found),
            lambda found=found: 1 in found,
            lambda found=found: len(found),
        ):
            with pytest.raises(TypeError, match=words):
                attempt()
        # Python 3.14 looks for `__exit__` first, and says the same in words of its own.
        own = "context manager protocol"
        with pytest.raises(TypeError, match=words if sys.version_info < (3, 14) else own):
            enter(found)
        with pytest.raises(TypeError, match=words):
            await loop(found)
        with pytest.raises(TypeError, match=f"{own}|{words}"):
            contextlib.ExitStack().enter_context(found)
        assert found
        with pytest.raises(AttributeError, match=f"{words}.*") as raised:
            found.no_such_thing.at_all()
        assert "'no_such_thing'" in str(raised.value)
        if "Pipelined" not in repr(found):
            assert re.search(words, repr(found))
        assert ("`async with`" in str(raised.value)) is hasattr(type(found), "__aenter__")
        result = await found
        if isinstance(result, Connection):
            await result.ensure_closed()


async def test_what_is_for_async_with_alone(connection: Connection) -> None:
    for source, found in (
        ("transaction()", connection.transaction()),
        ("pipeline()", connection.pipeline()),
        ("iterate()", connection.iterate("SELECT 1")),
    ):
        loop_words = "`async for`, or with " if source == "iterate()" else ""
        await check_blocks(source, found, f"it is to be used with {loop_words}`async with`")


async def check_blocks(source: str, found: Any, advice: str) -> None:
    words = f"^what {re.escape(source)} returns .*: {advice}$"
    with pytest.raises(TypeError, match=words):
        await found
    for attempt in (lambda: found[0], lambda: [*found]):
        with pytest.raises(TypeError, match=words):
            attempt()
    own = "context manager protocol"
    with pytest.raises(TypeError, match=words if sys.version_info < (3, 14) else own):
        enter(found)
    assert not hasattr(found, "__enter__")
    async with found:  # it can be used even so
        pass


async def test_duck_typing_goes_on(connection: Connection, connect_args: dict[str, Any]) -> None:
    """What is asked of it by those who handle any object."""
    async for _, found in unawaited(connection, connect_args):
        assert not hasattr(found, "no_such_thing")
        assert getattr(found, "cr_running", 5) == 5
        assert not hasattr(found, "gi_frame")
        assert not hasattr(found, "__enter__")
        assert inspect.isawaitable(found)
        assert isinstance(found, Awaitable)
        assert not isinstance(found, Iterable)
        assert not isinstance(found, contextlib.AbstractContextManager)
        assert isinstance(found, AwaitableContextManager) is hasattr(type(found), "__aenter__")
        if type(found).__name__ != "PipelinedStatement":
            assert isinstance(found, Coroutine)
            assert asyncio.iscoroutine(found)
        assert dict(inspect.getmembers(found))["__await__"]
        assert str(found) == f"{found}" == repr(found)
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.loads(pickle.dumps(found)).nothing  # noqa: B018
        assert getattr(found, "_nothing", 5) == 5
        result = await asyncio.ensure_future(found)
        if isinstance(result, Connection):
            await result.ensure_closed()


async def test_delegated_to(connection: Connection) -> None:
    """`__await__` by its name, as in classes of programs, and from within coroutines."""
    cursor = await connection.cursor()
    await cursor.execute("SELECT 1")

    class Delegating:
        def __init__(self, found: Awaitable[Any]) -> None:
            self.found = found

        def __await__(self) -> Any:
            return (yield from self.found.__await__())

    assert type(await Delegating(connection.cursor())) is Cursor
    assert await Delegating(cursor.fetchone()) == (1,)
    assert await asyncio.wait_for(Delegating(Ready(5)), 5) == 5


async def test_half_made_and_copied() -> None:
    """Nothing is asked of an object that has nothing yet."""
    kind: Any = AwaitableContextManager
    made = kind.__new__(kind)
    assert not hasattr(made, "_coro")
    assert "to be awaited" in repr(made)
    assert not hasattr(copy.copy(PyReady(5)), "nothing")


async def test_fetching_before_the_statement_was_awaited(connection: Connection) -> None:
    cursor = await connection.cursor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        cursor.execute("SELECT 1")  # type: ignore[unused-coroutine]
    with pytest.raises(ProgrammingError, match="await"):
        await cursor.fetchall()


# -- the server's warnings ------------------------------------------------------------------------

WARNS = "SELECT CAST('x' AS SIGNED)"

Use = Callable[[Connection], Awaitable[int]]


def here() -> int:
    """The line that calls this."""
    return sys._getframe(1).f_lineno


async def by_cursor(connection: Connection) -> int:
    cursor = await connection.cursor()
    line = here() + 1
    await cursor.execute(WARNS)
    return line


async def by_dict_cursor(connection: Connection) -> int:
    async with connection.cursor(DictCursor) as cursor:
        line = here() + 1
        await cursor.execute(WARNS)
        return line


async def with_arguments(connection: Connection) -> int:
    cursor = await connection.cursor()
    line = here() + 1
    await cursor.execute("SELECT CAST(%s AS SIGNED)", ("x",))
    return line


async def with_timeout(connection: Connection) -> int:
    cursor = await connection.cursor()
    line = here() + 1
    await cursor.execute(WARNS, timeout=30)
    return line


async def by_streaming(connection: Connection) -> int:
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(WARNS)
    line = here() + 1
    await cursor.fetchall()
    return line


async def by_iterating(connection: Connection) -> int:
    cursor = await connection.cursor(SSCursor)
    await cursor.execute(WARNS)
    line = here() + 1
    async for _ in cursor:
        pass
    return line


async def by_prepared_statement(connection: Connection) -> int:
    async with connection.prepare("SELECT CAST(? AS SIGNED)") as statement:
        line = here() + 1
        await statement.execute(("x",))
        return line


async def by_executemany(connection: Connection) -> int:
    cursor = await connection.cursor()
    line = here() + 1
    await cursor.executemany("DO CAST(%s AS SIGNED)", ["x"], timeout=30)
    return line


async def by_joined_statements(connection: Connection) -> int:
    cursor = await connection.cursor()
    await cursor.execute("CREATE TEMPORARY TABLE words_t (a INT)")
    insert = "INSERT IGNORE INTO words_t SELECT CAST(%s AS SIGNED)"
    line = here() + 1
    await cursor.executemany(insert, ["x"] * 2)
    return line


async def by_pipeline(connection: Connection) -> int:
    async with connection.pipeline() as pipeline:
        line = here() + 1
        pipeline.execute(WARNS)
        pipeline.execute("SELECT 1")
    return line


async def alone_in_a_pipeline(connection: Connection) -> int:
    """Which runs it as a cursor does, by a task of its own."""
    statement = await connection.prepare("SELECT CAST(? AS SIGNED)")
    await connection.reset()
    async with connection.pipeline() as pipeline:
        line = here() + 1
        pipeline.execute(statement, ("x",))
        pipeline.execute("SELECT 1")
    return line


@pytest.mark.parametrize(
    "use",
    [
        by_cursor,
        by_dict_cursor,
        with_arguments,
        with_timeout,
        by_streaming,
        by_iterating,
        by_prepared_statement,
        by_executemany,
        by_joined_statements,
        by_pipeline,
        alone_in_a_pipeline,
    ],
)
async def test_warnings_point_at_the_caller(connection: Connection, use: Use) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = await use(connection)
    assert caught
    assert {one.category for one in caught} == {Warning}
    assert (caught[-1].filename, caught[-1].lineno) == (__file__, line)


async def test_once_per_line(connection: Connection) -> None:
    """By Python's own default."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            async with connection.pipeline() as pipeline:
                pipeline.execute(WARNS)
    assert len(caught) == 1


async def test_deprecations_point_at_the_caller(connect_args: dict[str, Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = here() + 1
        async with connect(**connect_args, loop=asyncio.get_running_loop()):
            pass
    assert [(one.filename, one.lineno) for one in caught] == [(__file__, line)]


# -- what editors and help() show -----------------------------------------------------------------


def test_help_shows_no_converters() -> None:
    for thing in (connect, Connection.__init__):
        text = pydoc.plain(pydoc.render_doc(thing))
        assert "convert_datetime" not in text
        assert "= pymysql.converters.decoders" in text


async def test_completion(connection: Connection) -> None:
    """`dir` shows what is for users; all else can be asked for."""
    page = Path(__file__).parent.parent / "meta" / "public_attributes.toml"
    table = tomllib.loads(page.read_text("utf-8"))
    for found in (connection, Cursor(connection)):
        kind = type(found)
        kinds = table[f"{kind.__module__}.{kind.__qualname__}"]
        internal, ours = set(kinds["internal"].split()), set(kinds["ours"].split())
        shown = set(dir(found))
        assert shown.isdisjoint(internal)
        assert ours <= shown
        assert all(hasattr(found, name) for name in shown | internal)
    names = {"cursor", "query", "begin", "commit", "rollback", "close", "host_info", "__class__"}
    assert names <= set(dir(connection))
    for name in ("runner", "write_packet", "get_proto_info"):
        assert name not in dir(connection)
        assert hasattr(connection, name)
