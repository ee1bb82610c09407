"""Requests made at one go (`start_query`, `start_execution`): what they send and what they make is
what `Session.request` sends for a Query or an Execute that Python made.
"""

from __future__ import annotations

import datetime
import gc
import weakref
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE
from pymysql.err import OperationalError

from aiomysql_protocol import implementation
from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.session import Session
from aiomysql_protocol.values.parameters import ParameterWriter
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from tests.protocol.blocking import new_session
from tests.protocol.row_bytes import frames, length, part

pytestmark = pytest.mark.skipif(
    implementation.IMPLEMENTATION != "c", reason="the Python implementation has neither"
)

WRITER = ParameterWriter("utf8")
MAX_FRAME = 0xFFFFFF

#: Makes an exchange and starts it in a session; returns it and what is to be sent.
Start = Callable[[Session], tuple[Any, bytes]]


def start_query(*args: Any) -> Any:
    return part("c", implementation, "start_query")(*args)


def start_execution(*args: Any) -> Any:
    return part("c", implementation, "start_execution")(*args)


def idle_session(capabilities: int = DEPRECATE_EOF) -> Session:
    session = new_session()
    session.capabilities = capabilities
    return session


def prepared_for(values: Sequence[object], number: int = 7) -> ServerStatement:
    """A statement that was run with values of these types."""
    prepared = ServerStatement(number, len(values), 0, 0)
    assert prepared.accepts(WRITER.write(values))
    return prepared


def query_by(way: str, statement: bytes) -> Start:
    def start(session: Session) -> tuple[Any, bytes]:
        if way == "c":
            both: tuple[Any, bytes] = start_query(session, Query, statement)
            return both
        query = Query(statement)
        return query, session.request(query)

    return start


def execution_by(way: str, prepared: ServerStatement, values: tuple[object, ...]) -> Start:
    def start(session: Session) -> tuple[Any, bytes]:
        if way == "c":
            both: tuple[Any, bytes] = start_execution(session, Execute, prepared, values)
            return both
        execution = Execute(prepared, WRITER.write(values))
        return execution, session.request(execution)

    return start


def result_state(result: Result) -> dict[str, object]:
    """All that a result can be asked for."""
    return {
        name: repr(value) if isinstance(value, BaseException) else value
        for name in dir(result)
        if not name.startswith("__")
        and not callable(value := getattr(result, name, None))
        and name != "exchange"  # set by whoever takes it
    }


def state(exchange: Any) -> dict[str, object]:
    """All that an exchange can be asked for, but what its request was: that is not kept.

    Nor what follows from it.
    """
    found: dict[str, object] = {}
    for name in dir(exchange):
        if name.startswith("__") or name in ("request", "is_simple"):
            continue
        value: Any = getattr(exchange, name, None)
        if name == "results":
            value = [result_state(result) for result in value]
        elif isinstance(value, Result):
            value = result_state(value)
        elif isinstance(value, Session):
            value = "the session"
        elif callable(value) and name not in ("on_progress", "new_result"):
            continue
        elif isinstance(value, BaseException):
            value = repr(value)
        found[name] = value
    return found


def feed(session: Session, data: bytes, size: int) -> None:
    """Have `session` receive `data` in pieces of `size` bytes."""
    pending = bytearray()
    for start in range(0, len(data), size):
        pending += data[start : start + size]
        del pending[: session.receive(pending, 0, len(pending))]
    assert session.error is not None or not pending


# What is sent


@pytest.mark.parametrize("statement", [b"", b"SELECT 1", b"\0\xff" * 300, b"q" * 70_000])
def test_queries(statement: bytes) -> None:
    sessions = idle_session(), idle_session()
    query, sent = query_by("c", statement)(sessions[0])
    assert sent == query_by("python", statement)(sessions[1])[1]
    assert type(sent) is bytes
    assert type(query) is Query
    assert list(sessions[0].exchanges) == [query]
    assert query.session is sessions[0]


VALUES: list[tuple[object, ...]] = [
    (),
    (None,),
    (1, -1, (1 << 63) - 1, -(1 << 63)),
    (1.5, -0.0, "ü", "", b"\0\xff", True, False, None),
    tuple(range(9)),
    (None,) * 17,
    ("q" * 251, b"q" * 70_000),
]


@pytest.mark.parametrize("values", VALUES, ids=range(len(VALUES)))
def test_executions(values: tuple[object, ...]) -> None:
    prepared = prepared_for(values)
    sessions = idle_session(), idle_session()
    execution, sent = execution_by("c", prepared, values)(sessions[0])
    assert sent == execution_by("python", prepared, values)(sessions[1])[1]
    assert type(sent) is bytes
    assert type(execution) is Execute
    assert list(sessions[0].exchanges) == [execution]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.binary(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.binary().map(bytearray),
)


@given(st.lists(scalars, max_size=20).map(tuple))
@settings(max_examples=100, deadline=None)
def test_executions_at_random(values: tuple[object, ...]) -> None:
    """What is declined is left alone; what is not is sent as ever."""
    try:
        prepared = prepared_for(values)
    except Exception:  # integers of too many digits
        return
    session = idle_session()
    both = start_execution(session, Execute, prepared, values)
    if both is None:
        assert not session.exchanges
    else:
        assert both[1] == execution_by("python", prepared, values)(idle_session())[1]


# What is declined


def test_a_query_that_fills_a_frame() -> None:
    """The longest that goes in one, and the first that needs two."""
    session = idle_session()
    assert start_query(session, Query, b"q" * (MAX_FRAME - 1)) is None
    assert not session.exchanges
    assert not session.wants_to_send
    _, sent = start_query(session, Query, b"q" * (MAX_FRAME - 2))
    assert sent[:4] == b"\xfe\xff\xff\0"
    assert len(sent) == 4 + MAX_FRAME - 1


def test_an_execution_that_fills_a_frame() -> None:
    around = 10 + 1 + 1 + 2 + 4
    for size, fits in ((MAX_FRAME - around - 1, True), (MAX_FRAME - around, False)):
        values = (b"q" * size,)
        session = idle_session()
        both = start_execution(session, Execute, prepared_for(values), values)
        assert (both is not None) is fits
        assert len(session.exchanges) == fits


def broken(session: Session) -> None:
    session.fail(OperationalError(2013, "lost"))


def queued(session: Session) -> None:
    session.send_payload(Query(b""), b"\x19\1\0\0\0")


@pytest.mark.parametrize("spoil", [broken, queued])
def test_sessions_that_are_not_idle(spoil: Callable[[Session], None]) -> None:
    session = idle_session()
    spoil(session)
    assert start_query(session, Query, b"SELECT 1") is None
    assert start_execution(session, Execute, prepared_for(("a",)), ("a",)) is None
    assert not session.exchanges


def test_behind_others() -> None:
    """Requests may be started before the responses to earlier ones."""
    session = idle_session()
    first, _ = query_by("python", b"SELECT 1")(session)
    second, _ = query_by("c", b"SELECT 2")(session)
    third, _ = execution_by("c", prepared_for(("a",)), ("a",))(session)
    assert list(session.exchanges) == [first, second, third]
    feed(session, frames(OK, sequence_id=1) * 3, 1000)
    assert [query.done for query in (first, second, third)] == [True] * 3


@pytest.mark.parametrize(
    "values",
    [
        (1,),
        (1, "a", 2),
        (1, b"a"),
        ("1", "a"),
        (None, "a"),
        (1 << 63, "a"),
        (Decimal(1), "a"),
        (datetime.date(2024, 1, 1), "a"),
        ((1, 2), "a"),
        ([1], "a"),
        ({}, "a"),
        (object(), "a"),
        (float("nan"), "a"),
        (1, "\ud800"),
    ],
)
def test_values_that_are_others(values: tuple[object, ...]) -> None:
    """Of another number or of other types than the last, or not of the commonest."""
    session = idle_session()
    prepared = prepared_for((1, "a"))
    try:
        assert start_execution(session, Execute, prepared, values) is None
    except UnicodeEncodeError:
        assert "\ud800" in values
    assert not session.exchanges


def test_a_statement_that_was_never_run() -> None:
    session = idle_session()
    assert start_execution(session, Execute, ServerStatement(1, 1, 0, 0), ("a",)) is None
    both = start_execution(session, Execute, ServerStatement(1, 0, 0, 0), ())
    assert both[1] == b"\x0a\0\0\0\x17\1\0\0\0\0\1\0\0\0"


class Wrong:
    """No class of exchanges."""


@pytest.mark.parametrize(
    "call",
    [
        lambda session: start_query(session, Query),
        lambda session: start_query(session, "Query", b""),
        lambda session: start_query(session, Query, "SELECT 1"),
        lambda session: start_query(session, Query, bytearray(b"SELECT 1")),
        lambda session: start_query(session, Wrong, b"SELECT 1"),
        lambda session: start_query(session, int, b"SELECT 1"),
        lambda session: start_execution(session, Execute, prepared_for(("a",))),
        lambda session: start_execution(session, "Execute", prepared_for(("a",)), ("a",)),
        lambda session: start_execution(session, Wrong, prepared_for(("a",)), ("a",)),
    ],
    ids=range(9),
)
def test_wrong_arguments(call: Callable[[Session], object]) -> None:
    session = idle_session()
    with pytest.raises(TypeError):
        call(session)
    assert not session.exchanges


@pytest.mark.parametrize("wrong", [None, 5, object()])
def test_what_is_no_session_or_statement(wrong: object) -> None:
    with pytest.raises(TypeError):
        start_query(wrong, Query, b"SELECT 1")
    with pytest.raises(TypeError):
        start_execution(wrong, Execute, prepared_for(("a",)), ("a",))
    session = idle_session()
    with pytest.raises(TypeError):
        start_execution(session, Execute, wrong, ("a",))
    assert not session.exchanges


# What is made

OK = b"\0\3\5\x22\0\1\0"
ERROR = b"\xff\x15\4#28000Access denied"
DEFINITION = b"\3def\0\0\0\1n\0\x0c\x2d\0\x0b\0\0\0" + bytes([FIELD_TYPE.VAR_STRING]) + bytes(5)
END = b"\xfe\0\0\x22\0\1\0"
MORE = b"\xfe\0\0\x0a\0\0\0"
FILE = b"\xfbfile"

#: Payloads of whole responses, in the text protocol and in the binary one.
RESPONSES: dict[str, list[bytes]] = {
    "ok": [OK],
    "error": [ERROR],
    "no rows": [length(1), DEFINITION, END],
    "rows": [length(1), DEFINITION, b"\1a", b"\xfb", END],
    "binary rows": [length(1), DEFINITION, b"\0\0\1a", b"\0\4", END],
    "error in rows": [length(1), DEFINITION, b"\1a", ERROR],
    "two results": [length(1), DEFINITION, MORE, OK],
    "malformed": [b"\0"],
    "nothing": [b""],
    "a file": [FILE],
}


def both_kinds(binary: bool) -> tuple[Start, Start]:
    """The same exchange, made in C and in Python."""
    if not binary:
        return query_by("c", b"SELECT 1"), query_by("python", b"SELECT 1")
    return (
        execution_by("c", prepared_for(("a",)), ("a",)),
        execution_by("python", prepared_for(("a",)), ("a",)),
    )


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_attributes_at_first(binary: bool) -> None:
    session = idle_session()
    made, written = (start(session)[0] for start in both_kinds(binary))
    assert state(made) == state(written)
    assert set(dir(made)) == set(dir(written))
    assert set(vars(written)) - set(vars(made)) <= {"request"}
    assert made.request == b""
    assert type(made.results) is list


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("response", RESPONSES)
def test_attributes_after_a_response(response: str, binary: bool, size: int) -> None:
    """Each time the second one's metadata is known; what wakes is called as often."""
    data = frames(*RESPONSES[response], sequence_id=1)
    sessions = idle_session(), idle_session()
    starts = both_kinds(binary)
    for _ in range(2):
        found = []
        for start, session in zip(starts, sessions, strict=True):
            if session.error is not None:
                return
            exchange, _ = start(session)
            woken: list[int] = []
            exchange.on_progress = lambda woken=woken: woken.append(1)
            feed(session, data, size)
            found.append((state(exchange), len(woken), repr(session.error), len(session.exchanges)))
        made, written = found
        # Each of two sessions compiles metadata of its own.
        for states in (made[0], written[0]):
            for name in ("columns", "prefixes", "own_prefixes", "compiled_by", "own_prepared"):
                states.pop(name, None)
            for result in states["results"]:  # type: ignore[attr-defined]
                if result["metadata"] is not None:
                    result["metadata"] = result["metadata"].description
        assert made == written
        for session in sessions:
            session.exchanges.clear()


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_given_up(binary: bool) -> None:
    """Before its response: that is read and dropped."""
    for start in both_kinds(binary):
        session = idle_session()
        exchange, _ = start(session)
        exchange.discard()
        rows = RESPONSES["binary rows" if binary else "rows"]
        feed(session, frames(*rows, sequence_id=1), 5)
        assert exchange.done
        assert not session.exchanges
        assert all(not result.rows for result in exchange.results)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_the_connection_is_lost(binary: bool) -> None:
    states = []
    for start in both_kinds(binary):
        session = idle_session()
        exchange, _ = start(session)
        session.connection_lost(ConnectionResetError("reset"))
        assert exchange.done
        (result,) = exchange.results
        assert result.error is session.error
        states.append(result_state(result))
    assert states[0] == states[1]


@pytest.mark.slow
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_nothing_is_held(binary: bool) -> None:
    """An exchange that is done, or whose session is gone, goes without the garbage collector."""

    class Statement(ServerStatement):
        __slots__ = ("__weakref__",)

    gc.collect()
    gc.disable()
    try:
        session = idle_session()
        prepared = Statement(7, 1, 0, 0)
        assert prepared.accepts(WRITER.write(("a",)))
        kind = type("Own", (Execute if binary else Query,), {})
        if binary:
            exchange, _ = start_execution(session, kind, prepared, ("a",))
        else:
            exchange, _ = start_query(session, kind, b"SELECT 1")
        gone = weakref.ref(exchange), weakref.ref(prepared), weakref.ref(session)
        feed(session, frames(OK, sequence_id=1), 1000)
        assert exchange.done
        del exchange
        assert gone[0]() is None
        del prepared, session
        assert [reference() for reference in gone] == [None] * 3
    finally:
        gc.enable()
