"""The first base of cursors, and what `Connection.cursor` gives: C and Python behave alike."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from types import MethodType
from typing import Any, Self

import pytest
from pymysql.constants import SERVER_STATUS

from aiomysql_core import Connection, Cursor, connect
from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine import cursor_state
from aiomysql_protocol.commands.query import UNKNOWN_ROW_COUNT, Query, Result
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.wire.packets import Ok
from tests.protocol.test_session import column

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


class Rows:
    """Rows that are neither list nor tuple, as a `_conv_rows` of another's may make them."""

    def __init__(self, *rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Any:
        return self.rows[number]


class Reversed(list[Any]):
    """A list with another order."""

    def __getitem__(self, number: Any) -> Any:
        return super().__getitem__(len(self) - 1 - number)


async def test_rows_of_another_kind(cursor: Any) -> None:
    cursor._executed = b"SELECT"
    for rows in (Rows(("a",), ("b",)), Reversed([("b",), ("a",)])):
        cursor._rows = rows
        cursor._rownumber = 0
        assert [await cursor.fetchone() for _ in range(3)] == [("a",), ("b",), None]
        assert cursor._rownumber == 2
    for wrong in (5, object(), iter(())):
        cursor._rows, cursor._rownumber = wrong, 0
        with pytest.raises(TypeError):
            cursor.fetchone()
        assert cursor._rownumber == 0


async def test_leaving_without_an_exchange(cursor: Any) -> None:
    cursor._result = result = Result()
    result.ok = Ok()
    with pytest.raises(AttributeError):
        cursor.__aexit__(None, None, None)
    result.exchange = None  # type: ignore[assignment]
    await cursor.__aexit__(None, None, None)
    assert cursor._connection is None


# Results that are taken over


def ended(query: Query, **values: Any) -> Result:
    """A result of a query that is done."""
    result = Result()
    result.exchange = query
    result.ok = values.pop("ok", Ok())
    result.complete = query.done = True
    for name, value in values.items():
        setattr(result, name, value)
    return result


METADATA = ColumnCache("utf8", {}).compile([column("a"), column("b")])


class Whole:
    """What the cursors here have beside CursorState: they record what is asked of them."""

    _unbuffered = False
    _converts_rows = False

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def _has_dict_rows(self) -> bool:
        return False

    def _learn_columns(self, result: Result) -> None:
        self.calls.append("learn")

    def _conv_rows(self, rows: list[Any]) -> list[Any]:
        self.calls.append("convert")
        return [list(row) for row in rows]

    def mogrify(self, query: str, args: object = None) -> str:
        raise NotImplementedError

    async def _query(self, query: str) -> None:
        raise NotImplementedError


@pytest.fixture(params=CLASSES)
def taker(request: pytest.FixtureRequest) -> Any:
    taker: Any = type("Taker", (Whole, CLASSES[request.param]), {})()
    taker._last_executed = b"SELECT 1"
    return taker


async def test_accept_without_rows(taker: Any) -> None:
    taker._rownumber = taker._rows_before = 5
    result = ended(Query(b"x"), ok=Ok(affected_rows=2**64 - 1, insert_id=2**63))
    assert taker.accept(None, result) is False
    assert (taker._rowcount, taker._lastrowid) == (2**64 - 1, 2**63)
    assert (taker._rownumber, taker._rows_before) == (0, 0)
    assert taker._result is result
    assert taker._executed == b"SELECT 1"
    result.ok = Ok(warning_count=1)
    assert taker.accept(None, result) is True
    taker._echo = True
    assert taker.accept(None, result) is True
    result.ok = Ok()
    assert taker.accept(None, result) is False


@pytest.mark.parametrize("converts", [True, False])
@pytest.mark.parametrize("rows", [[("a", "b"), ("c", "d")], []])
async def test_accept_rows(taker: Any, converts: bool, rows: list[Any]) -> None:
    type(taker)._converts_rows = converts
    result = ended(Query(b"x"), metadata=METADATA, rows=rows.copy(), ok=Ok(warning_count=3))
    taker._lastrowid = 5
    assert taker.accept(None, result) is True
    assert taker._description is METADATA.description
    assert taker._lastrowid is None
    assert taker._rowcount == len(rows)
    kept = [list(row) for row in rows] if converts else rows
    assert list(taker._rows) == kept
    assert result.rows == []
    assert taker.calls == ["learn"] * converts + ["convert"] * (converts and bool(rows))


@pytest.mark.parametrize("converts", [True, False])
@pytest.mark.parametrize("rows", [[("a", "b"), ("c", "d")], []])
async def test_accept_streamed_rows(taker: Any, converts: bool, rows: list[Any]) -> None:
    type(taker)._converts_rows = converts
    query = Query(b"x", streamed=True)
    result = ended(query, metadata=METADATA, rows=rows.copy(), ok=Ok(warning_count=3))
    result.streamed = True
    assert taker.accept(None, result) is False
    assert taker._rowcount == UNKNOWN_ROW_COUNT
    # What is to be converted stays where it is until it is fetched.
    assert (taker._rows, result.rows) == (((), rows) if converts else (rows, []))
    assert taker.calls == ["learn"] * converts


async def test_accept_rows_that_the_decoder_made(taker: Any) -> None:
    type(taker)._converts_rows = True
    query = Query(b"x", as_dicts=True)
    result = ended(query, metadata=METADATA, rows=[{"a": 1, "b": 2}])
    assert taker.accept(None, result) is False
    assert taker._rows == [{"a": 1, "b": 2}]
    assert taker.calls == []


async def test_accept_when_rows_can_not_be_converted(taker: Any) -> None:
    class Fails(type(taker)):  # type: ignore[misc]
        _converts_rows = True

        def _conv_rows(self, rows: list[Any]) -> Any:
            raise NotExecutedError("why")

    taker.__class__ = Fails
    result = ended(Query(b"x"), metadata=METADATA, rows=[("a", "b")])
    with pytest.raises(NotExecutedError, match="why"):
        taker.accept(None, result)
    assert taker._rowcount == 1
    assert taker._rows is None


async def test_accept_by_another_take_result(taker: Any) -> None:
    """Of a class, a class of it, or one cursor; until it is taken away again."""
    own = type(taker)
    result = ended(Query(b"x"))
    taken: list[object] = []

    def take_result(self: Any, connection: Any, result: Any) -> bool:
        taken.append(connection)
        found: bool = super(own, self)._take_result(connection, result)
        return found

    for place in (own, taker):
        with pytest.MonkeyPatch.context() as patch:
            function = take_result if place is own else MethodType(take_result, taker)
            patch.setattr(place, "_take_result", function, raising=False)
            assert taker.accept("connection", result) is False
        assert taker.accept("another", result) is False
    taker.__class__ = type("Sub", (own,), {"_take_result": take_result})
    assert taker.accept("connection", result) is False
    assert taken == ["connection"] * 3


async def test_forget(taker: Any) -> None:
    taker._rowcount = 7
    taker._description = "description"
    taker._forget_result()
    assert (taker._rowcount, taker._description) == (0, "description")
    result = ended(Query(b"x"), metadata=METADATA, rows=[("a", "b")])
    taker.accept(None, result)
    taker._rownumber = taker._rows_before = 1
    taker._forget_result()
    for name in ("_result", "_rows", "_description", "_lastrowid"):
        assert getattr(taker, name) is None
    assert (taker._rowcount, taker._rownumber, taker._rows_before) == (0, 0, 0)

    class Own(type(taker)):  # type: ignore[misc]
        def _clear_result(self) -> None:
            self.calls.append("clear")
            super()._clear_result()

    taker.__class__ = Own
    taker.calls.clear()
    taker.accept(None, result)
    taker._forget_result()
    assert taker.calls == ["clear"]
    assert taker._result is None


@pytest.mark.parametrize("name", ["rows", "ok", "metadata", "exchange", "streamed"])
@pytest.mark.parametrize("converts", [True, False])
async def test_no_result_crashes(taker: Any, name: str, converts: bool) -> None:
    type(taker)._converts_rows = converts
    wrong: tuple[Any, ...] = (1, None, [], (), ("a", "b", "c", "d"), METADATA, Query(b"x"), True)
    for value in (*wrong, "missing"):
        result = ended(Query(b"x"), metadata=METADATA, rows=[("a", "b")])
        if value == "missing":
            with contextlib.suppress(AttributeError):  # it stands in the class alone
                delattr(result, name)
        else:
            setattr(result, name, value)
        for act in (
            lambda result=result: taker.accept(None, result),
            taker.fetchone,
            lambda: taker.__aexit__(None, None, None),
            taker._forget_result,
        ):
            with contextlib.suppress(Exception):
                coming = act()
                if inspect.iscoroutine(coming):
                    coming.close()


@pytest.mark.parametrize("wrong", [(), (None,), (None, None), (None, object()), (None, 5, 6)])
async def test_what_is_no_result(taker: Any, wrong: tuple[Any, ...]) -> None:
    for take in (taker.accept, taker._take_result):
        with pytest.raises((TypeError, AttributeError)):
            take(*wrong)


@pytest.mark.parametrize(
    "name",
    ["_connection", "_executed", "_last_executed", "_rowcount", "_description", "_rows", "_result"],
)
async def test_nothing_crashes_without(taker: Any, name: str) -> None:
    setattr(taker, name, None)
    delattr(taker, name)
    result = ended(Query(b"x"), metadata=METADATA, rows=[("a", "b")])
    for act in (taker._forget_result, lambda: taker.accept(None, result), taker.fetchone):
        with contextlib.suppress(Exception):
            delattr(taker, name)
        with contextlib.suppress(NotExecutedError, AttributeError):
            act()


class Trap:
    """Garbage; does something when it is found, some times in a row."""

    deed: Callable[[], object] | None = None
    left = 0

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        if Trap.deed is not None and Trap.left:
            Trap.left -= 1
            Trap()
            Trap.deed()


#: What code does with a cursor meanwhile.
DEEDS: dict[str, Callable[[Any], object]] = {
    "close": lambda taker: setattr(taker, "_connection", None),
    "clear": lambda taker: taker._clear_result(),
    "patch": lambda taker: setattr(taker, "_take_result", taker._take_result),
    "change": lambda taker: setattr(type(taker), "changed", object()),
    "fetch": lambda taker: taker.fetchone(),
    "empty": lambda taker: setattr(taker, "_rows", None),
}


@pytest.mark.parametrize("converts", [True, False])
@pytest.mark.parametrize("deed", DEEDS)
async def test_finalizers(taker: Any, deed: str, converts: bool) -> None:
    """At nearly every allocation while a result is taken over, and let go."""
    kind = type(taker)
    kind._converts_rows = converts
    count = 0

    def act() -> None:
        nonlocal count
        count += 1
        with contextlib.suppress(NotExecutedError, AttributeError):
            DEEDS[deed](made)

    gc.collect()
    before = gc.get_threshold()
    try:
        for threshold in range(1, 41):
            for streamed in (True, False):
                made = kind()
                made._executed = made._last_executed = b"SELECT 1"
                result = ended(Query(b"x", streamed=streamed), metadata=METADATA)
                result.rows = [("a", "b"), ("c", "d")]
                result.streamed = streamed
                Trap.deed, Trap.left = act, 5
                Trap()
                gc.set_threshold(threshold)
                more = made.accept("connection", result)
                rows = made._rows
                made._forget_result()
                gc.set_threshold(*before)
                Trap.deed = None
                assert more is False
                if rows is not None and not (streamed and converts):
                    assert [list(row) for row in rows] == [["a", "b"], ["c", "d"]]
        assert count > 0  # without conversion there is hardly an allocation
    finally:
        Trap.deed = None
        gc.set_threshold(*before)
        gc.collect()


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


async def test_a_metaclass_that_makes_them(new_cursor: NewCursor) -> None:
    class Meta(type):
        def __call__(cls, *args: Any) -> Any:
            made = super().__call__(*args)
            made.more = "more"
            return made

    class Own(Cursor, metaclass=Meta):
        more: str

    made = await new_cursor(Own, "connection", 1)
    assert (made.more, made.connection, made.echo) == ("more", "connection", True)


@pytest.mark.parametrize("echo", [1, "yes", [0]])
async def test_echo_of_any_kind(new_cursor: NewCursor, echo: Any) -> None:
    assert (await new_cursor(Cursor, None, echo)).echo is True


async def test_echo_that_raises(new_cursor: NewCursor) -> None:
    class Neither:
        def __bool__(self) -> bool:
            raise NotExecutedError

    with pytest.raises(NotExecutedError):
        new_cursor(Cursor, None, Neither())


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
