"""The first base of cursors, and what `Connection.cursor` gives: C and Python behave alike."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

import pytest
from pymysql.constants import SERVER_STATUS

from aiomysql_core import Connection, Cursor, connect
from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine import cursor_state
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.wire.packets import Ok

CLASSES = {"python": cursor_state.PyCursorState}
if accelerator() is not None:
    CLASSES["c"] = cursor_state.CursorState


class NotExecutedError(Exception):
    """Raised by the cursors here before the first statement."""


@pytest.fixture(params=CLASSES)
def cursor(request: pytest.FixtureRequest) -> Any:
    base: Any = CLASSES[request.param]

    class Some(base):  # type: ignore[misc]
        def _check_executed(self) -> None:
            if not self._executed:
                raise NotExecutedError

        async def close(self) -> None:
            self.closed = True

    some = Some()
    some._connection = "connection"
    return some


def test_both_are_tested() -> None:
    assert len(CLASSES) == 1 + (accelerator() is not None)
    assert len(set(CLASSES.values())) == len(CLASSES)


async def test_defaults(cursor: Any) -> None:
    assert cursor._connection == "connection"
    assert cursor._echo is False
    assert (cursor._arraysize, cursor._rownumber, cursor._rowcount) == (1, 0, -1)
    for name in ("_executed", "_last_executed", "_lastrowid", "_description", "_rows", "_result"):
        assert getattr(cursor, name) is None
    assert type(cursor)()._connection is None


@pytest.mark.parametrize("kind", [list, tuple])
async def test_fetchone(cursor: Any, kind: Any) -> None:
    with pytest.raises(NotExecutedError):
        cursor.fetchone()
    cursor._executed = b"SELECT"
    assert await cursor.fetchone() is None
    cursor._rows = kind([("a",), ("b",)])
    assert [await cursor.fetchone() for _ in range(3)] == [("a",), ("b",), None]
    assert cursor._rownumber == 2
    cursor._rownumber = 10**6
    assert await cursor.fetchone() is None
    cursor._rownumber = 1
    assert await cursor.fetchone() == ("b",)


async def test_rows_made_shorter_meanwhile(cursor: Any) -> None:
    cursor._executed = b"SELECT"
    cursor._rows = [("a",), ("b",)]
    await cursor.fetchone()
    cursor._rows.clear()
    assert await cursor.fetchone() is None


@pytest.mark.parametrize("wrong", ["1", None, 1.5])
async def test_a_wrong_row_number_is_a_type_error(cursor: Any, wrong: object) -> None:
    """C finds it when it is set, Python when it is used."""
    cursor._executed = b"SELECT"
    cursor._rows = [("a",), ("b",)]

    async def use() -> None:
        cursor._rownumber = wrong
        await cursor.fetchone()

    with pytest.raises(TypeError):
        await use()


async def test_leaving_lets_the_connection_go(cursor: Any) -> None:
    async with cursor as entered:
        assert entered is cursor
    assert cursor._connection is None


@pytest.mark.parametrize("status", [0, SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS])
@pytest.mark.parametrize("done", [True, False])
async def test_leaving_closes_only_what_is_unfinished(cursor: Any, done: bool, status: int) -> None:
    result, query = Result(), Query(b"SELECT 1")
    query.done = done
    result.exchange = query
    result.ok = Ok(server_status=status)
    cursor._result = result
    cursor.closed = False
    async with cursor:
        pass
    finished = done and not status
    assert cursor.closed is not finished
    assert (cursor._connection is None) is finished


async def test_leaving_takes_three_arguments(cursor: Any) -> None:
    with pytest.raises(TypeError):
        cursor.__aexit__()


@pytest.mark.parametrize("name", ["_arraysize", "_rownumber"])
async def test_numbers_can_be_set(cursor: Any, name: str) -> None:
    for value in (0, 1, 2**62, -1):
        setattr(cursor, name, value)
        assert getattr(cursor, name) == value


@pytest.mark.parametrize("number", [2, 2**62])
async def test_beyond_the_last_row(cursor: Any, number: int) -> None:
    cursor._executed = b"SELECT"
    cursor._rows = [("a",), ("b",)]
    cursor._rownumber = number
    assert await cursor.fetchone() is None
    assert cursor._rownumber == number


async def test_objects_are_released(cursor: Any) -> None:
    class Held:
        pass

    gc.collect()
    gc.disable()
    try:
        for name in ("_connection", "_rows", "_result", "_description", "_last_executed"):
            held = Held()
            gone = weakref.ref(held)
            setattr(cursor, name, held)
            del held
            assert gone() is not None
            setattr(cursor, name, None)
            assert gone() is None
    finally:
        gc.enable()


@pytest.mark.slow
async def test_a_cycle_is_collected() -> None:
    """A cursor of each kind that refers to itself."""
    for base in CLASSES.values():
        some = type("Some", (base,), {})()
        some._rows = [some]
        some._result = some
        gone = weakref.ref(some)
        del some
        gc.collect()
        assert gone() is None


# What Connection.cursor gives


class Plain(Cursor):
    pass


class Built(Cursor):
    """One with an `__init__` of its own."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.more = "more"


class Made(Cursor):
    """One with a `__new__` of its own."""

    more: str

    def __new__(cls, *args: Any) -> Self:
        made = super().__new__(cls)
        made.more = "more"
        return made


NewCursor = Callable[..., Any]


NEW_CURSOR: dict[str, NewCursor] = {"python": cursor_state.py_new_cursor}
if accelerator() is not None:
    NEW_CURSOR["c"] = cursor_state.new_cursor


@pytest.fixture(params=NEW_CURSOR)
def new_cursor(request: pytest.FixtureRequest) -> NewCursor:
    return NEW_CURSOR[request.param]


@pytest.mark.parametrize("kind", [Cursor, Plain, Built, Made])
@pytest.mark.parametrize("echo", [True, False])
async def test_new_cursors(new_cursor: NewCursor, kind: type[Cursor], echo: bool) -> None:
    connection: Any = "connection"
    made = await new_cursor(kind, connection, echo)
    assert type(made) is kind
    assert (made.connection, made.echo) == (connection, echo)
    assert (made.rowcount, made.rownumber, made.arraysize) == (-1, 0, 1)
    assert getattr(made, "more", "more") == "more"


async def test_it_is_a_coroutine(new_cursor: NewCursor) -> None:
    """For whoever asks, and for what runs coroutines."""
    context = new_cursor(Cursor, None, False)
    assert isinstance(context, Coroutine)
    assert asyncio.iscoroutine(context)
    for run in (asyncio.ensure_future, asyncio.gather, lambda work: asyncio.wait_for(work, 5)):
        made = await run(new_cursor(Cursor, None, False))
        assert type(made[0] if isinstance(made, list) else made) is Cursor


async def test_awaited_again(new_cursor: NewCursor) -> None:
    context = new_cursor(Cursor, None, False)
    made = await context
    assert await context is made
    context.close()
    assert await context is made


async def test_sent_by_hand(new_cursor: NewCursor) -> None:
    context = new_cursor(Cursor, None, False)
    with pytest.raises(StopIteration) as stopped:
        context.send(None)
    assert type(stopped.value.value) is Cursor
    iterator = new_cursor(Cursor, None, False).__await__()
    with pytest.raises(StopIteration) as stopped:
        next(iterator)
    assert type(stopped.value.value) is Cursor


@pytest.mark.parametrize(
    "thrown",
    [
        (NotExecutedError("why"),),
        (NotExecutedError,),
        (NotExecutedError, NotExecutedError("why"), None),
        (GeneratorExit,),
        (asyncio.CancelledError(),),
    ],
)
async def test_thrown_into(new_cursor: NewCursor, thrown: tuple[Any, ...]) -> None:
    kind = thrown[0] if isinstance(thrown[0], type) else type(thrown[0])
    with pytest.raises(kind):
        new_cursor(Cursor, None, False).throw(*thrown)


async def test_what_is_no_exception_is_not_thrown(new_cursor: NewCursor) -> None:
    with pytest.raises(TypeError):
        new_cursor(Cursor, None, False).throw("why")


class Left(Cursor):
    """Says how it was left."""

    left: tuple[Any, ...] = ()

    async def __aexit__(self, *error: object) -> Any:
        self.left = error
        return error[0] is NotExecutedError


async def test_context(new_cursor: NewCursor) -> None:
    async with new_cursor(Left, "connection", False) as first:
        assert first.connection == "connection"
    assert first.left == (None, None, None)
    error = NotExecutedError("why")
    async with new_cursor(Left, "connection", False) as second:
        raise error
    assert second.left[:2] == (NotExecutedError, error)
    with pytest.raises(KeyError):
        async with new_cursor(Left, "connection", False):
            raise KeyError
    context = new_cursor(Cursor, "connection", False)
    made = await context
    async with context as entered:
        assert entered is made
    assert made.closed


async def test_context_holds_nothing(new_cursor: NewCursor) -> None:
    """Neither afterwards, nor when it is dropped."""
    gc.collect()
    gc.disable()
    try:
        context = new_cursor(Plain, None, False)
        gone = weakref.ref(await context)
        assert gone() is not None
        del context
        assert gone() is None
        async with new_cursor(Plain, None, False) as made:
            gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.skipif("c" not in NEW_CURSOR, reason="the Python implementation looks at nothing")
@pytest.mark.parametrize("wrong", [(), (Cursor,), (Cursor, None), (object, None, False), (1, 2, 3)])
async def test_what_makes_no_cursor(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="new_cursor takes"):
        NEW_CURSOR["c"](*wrong)


@pytest.fixture(params=[True, 1, "yes"])
async def echoing(
    request: pytest.FixtureRequest, connect_args: dict[str, Any]
) -> AsyncIterator[Connection]:
    async with connect(**connect_args, echo=request.param) as connection:
        yield connection


async def test_echo_is_what_is_true(echoing: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """As in classic aiomysql, which did not look at its type."""
    assert echoing.echo is True
    for made in (await echoing.cursor(), Cursor(echoing, 1)):  # type: ignore[arg-type]
        assert made.echo is True
        caplog.clear()
        with caplog.at_level("INFO"):
            await made.execute("SELECT 1")
        assert "SELECT 1" in caplog.messages
