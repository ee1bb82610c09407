"""Requests (`encode_query`, `encode_execution`, `Session.request`): both implementations send the
same, and make the same exchanges.
"""

from __future__ import annotations

import datetime
import gc
import sys
import uuid
import weakref
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE
from pymysql.err import OperationalError, ProgrammingError

from aiomysql_protocol import session_state
from aiomysql_protocol.commands import prepared as prepared_statements
from aiomysql_protocol.commands import query as queries
from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.session import Session
from aiomysql_protocol.values.parameters import ParameterWriter
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from tests.protocol.blocking import new_session
from tests.protocol.readers import IMPLEMENTATIONS, receiver
from tests.protocol.row_bytes import frames, length, part

# Both implementations are compared.
pytestmark = pytest.mark.twins

WRITER = ParameterWriter("utf8")
LATIN = ParameterWriter("latin1")
OWN = ParameterWriter("utf8", {int: lambda value, mapping: f"({value})"})
MAX_FRAME = 0xFFFFFF

#: Makes an exchange and starts it in a session; returns it and what is to be sent.
Start = Callable[[Session], tuple[Any, bytes]]


def encode_query(way: str, statement: bytes, source: str | None = None, **options: bool) -> Query:
    encode = part(way, queries, "encode_query")
    found: Query = encode(
        statement, source, options.get("streamed", False), options.get("as_dicts", False)
    )
    return found


def encode_execution(
    way: str,
    prepared: ServerStatement,
    values: Sequence[object],
    writer: ParameterWriter = WRITER,
    **options: bool,
) -> Execute | None:
    encode = part(way, prepared_statements, "encode_execution")
    found: Execute | None = encode(
        writer,
        prepared,
        values,
        options.get("streamed", False),
        options.get("as_dicts", False),
        options.get("own_marks", False),
    )
    return found


def request(way: str, session: Session, exchange: Any) -> bytes:
    found: bytes = part(way, session_state, "SessionState").request(session, exchange)
    return found


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
        query = encode_query(way, statement)
        return query, request(way, session, query)

    return start


def execution_by(way: str, prepared: ServerStatement, values: tuple[object, ...]) -> Start:
    def start(session: Session) -> tuple[Any, bytes]:
        execution = encode_execution(way, prepared, values)
        return execution, request(way, session, execution)

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
    """All that an exchange can be asked for."""
    found: dict[str, object] = {}
    for name in dir(exchange):
        if name.startswith("__"):
            continue
        value: Any = getattr(exchange, name, None)
        if name == "results":
            value = [result_state(result) for result in value]
        elif isinstance(value, Result):
            value = result_state(value)
        elif isinstance(value, Session):
            value = "the session"
        elif callable(value) and name != "on_progress":
            continue
        elif isinstance(value, BaseException):
            value = repr(value)
        found[name] = value
    return found


def feed(session: Session, data: bytes, size: int, way: str = IMPLEMENTATIONS[0]) -> None:
    """Have `session` receive `data` in pieces of `size` bytes."""
    pending = bytearray()
    with receiver(way) as receive:
        for start in range(0, len(data), size):
            pending += data[start : start + size]
            del pending[: receive(session, pending, 0, len(pending))]
    assert session.error is not None or not pending


# What is sent


STATEMENTS = [
    b"",
    b"SELECT 1",
    b"select `;` from t",
    b"BEGIN",
    b"SELECT 1; BEGIN",
    b"\0\xff" * 300,
    b"q" * 70_000,
]


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_queries(way: str, statement: bytes) -> None:
    sessions = idle_session(), idle_session()
    query, sent = query_by(way, statement)(sessions[0])
    assert sent == request("python", sessions[1], Query(statement))
    assert sent == frames(b"\3" + statement)
    assert type(sent) is bytes
    assert type(query) is Query
    assert list(sessions[0].exchanges) == [query]
    assert query.session is sessions[0]
    assert query.is_simple is (statement in (b"SELECT 1", b"select `;` from t"))


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
@pytest.mark.parametrize("source", [None, "SELECT %s", "BEGIN %s", "ü", "\ud800"])
def test_what_queries_were(way: str, source: str | None) -> None:
    """Whether they are simple is said by what they were before values were written into them."""
    query = encode_query(way, b"SELECT 'x'", source, streamed=True, as_dicts=True)
    assert (query.streamed, query.as_dicts, query.done) == (True, True, False)
    assert query.is_simple is (source is None or source == "SELECT %s")


VALUES: list[tuple[object, ...]] = [
    (),
    (None,),
    (1, -1, (1 << 63) - 1, -(1 << 63)),
    (1.5, -0.0, "ü", "", b"\0\xff", True, False, None),
    tuple(range(9)),
    (None,) * 17,
    ("q" * 251, b"q" * 70_000),
]


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
@pytest.mark.parametrize("values", VALUES, ids=range(len(VALUES)))
def test_executions(way: str, values: tuple[object, ...]) -> None:
    prepared = prepared_for(values)
    sessions = idle_session(), idle_session()
    execution, sent = execution_by(way, prepared, values)(sessions[0])
    assert sent == request("python", sessions[1], Execute(prepared, WRITER.write(values)))
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
    try:
        prepared = prepared_for(values)
    except Exception:  # integers of too many digits
        return
    expected = Execute(prepared, WRITER.write(values)).request
    for way in IMPLEMENTATIONS:
        for sequence in (values, list(values)):
            execution = encode_execution(way, prepared, sequence)
            assert execution is not None
            assert execution.request == expected


@pytest.mark.skipif("c" not in IMPLEMENTATIONS, reason="there are frames of Python")
@pytest.mark.parametrize("values", VALUES, ids=range(len(VALUES)))
def test_no_frame_of_python_is_entered(values: tuple[object, ...]) -> None:
    prepared, session = prepared_for(values), idle_session()
    session.request(Query(b""))
    entered: list[str] = []

    def profile(frame: Any, event: str, argument: object) -> None:
        if event == "call":
            entered.append(frame.f_code.co_name)

    encode = part("c", queries, "encode_query"), part("c", prepared_statements, "encode_execution")
    sys.setprofile(profile)
    try:
        session.request(encode[0](b"SELECT 1", "SELECT %s", False, False))
        session.request(encode[1](WRITER, prepared, values, False, False, False))
    finally:
        sys.setprofile(None)
    assert entered == []
    assert len(session.exchanges) == 3


# What is long, or must wait


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_a_query_that_fills_a_frame(way: str) -> None:
    """The longest that goes in one, and the first that needs two."""
    _, sent = query_by(way, b"q" * (MAX_FRAME - 1))(idle_session())
    assert (sent[:4], sent[-4:]) == (b"\xff\xff\xff\0", b"\0\0\0\1")
    _, sent = query_by(way, b"q" * (MAX_FRAME - 2))(idle_session())
    assert sent[:4] == b"\xfe\xff\xff\0"
    assert len(sent) == 4 + MAX_FRAME - 1


@pytest.mark.slow
@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_an_execution_that_fills_a_frame(way: str) -> None:
    around = 10 + 1 + 1 + 2 + 4
    for size, fits in ((MAX_FRAME - around - 1, True), (MAX_FRAME - around, False)):
        values = (b"q" * size,)
        session = idle_session()
        _, sent = execution_by(way, prepared_for(values), values)(session)
        assert len(sent) == 4 + around + size + (0 if fits else 4)
        assert len(session.exchanges) == 1


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_a_session_that_is_broken(way: str) -> None:
    session = idle_session()
    session.fail(OperationalError(2013, "lost"))
    for start in (query_by(way, b"q"), execution_by(way, prepared_for(("a",)), ("a",))):
        with pytest.raises(OperationalError, match="lost"):
            start(session)
    assert not session.exchanges


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_what_was_queued_goes_before(way: str) -> None:
    session = idle_session()
    session.send_payload(Query(b""), b"\x19\1\0\0\0")
    query, sent = query_by(way, b"SELECT 1")(session)
    assert sent == frames(b"\x19\1\0\0\0") + frames(b"\3SELECT 1")
    assert list(session.exchanges) == [query]
    assert not session.wants_to_send


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_behind_others(way: str) -> None:
    """Requests may be started before the responses to earlier ones."""
    session = idle_session()
    first, _ = query_by("python", b"SELECT 1")(session)
    second, _ = query_by(way, b"SELECT 2")(session)
    third, _ = execution_by(way, prepared_for(("a",)), ("a",))(session)
    assert list(session.exchanges) == [first, second, third]
    feed(session, frames(OK, sequence_id=1) * 3, 1000, way)
    assert [query.done for query in (first, second, third)] == [True] * 3


# Values that are others


def came_of(
    way: str, values: Sequence[object], writer: ParameterWriter, own_marks: bool
) -> tuple[object, ...]:
    """What becomes of values for a statement that was run with (1, "a")."""
    prepared = prepared_for((1, "a"))
    strings = frozenset({FIELD_TYPE.NULL, FIELD_TYPE.VAR_STRING})
    prepared.accepted = (None, strings)
    try:
        execution = encode_execution(way, prepared, values, writer, own_marks=own_marks)
    except Exception as error:
        return type(error), str(error)
    if execution is None:
        return ("text",)
    return execution.request, prepared.accepted_last


@pytest.mark.parametrize("writer", [WRITER, LATIN, OWN], ids=["usual", "latin1", "encoders"])
@pytest.mark.parametrize("own_marks", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        (1, "ü"),
        [1, "ü"],
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
        (uuid.UUID(int=5), "a"),
        (float("nan"), "a"),
        (1, "\ud800"),
    ],
)
def test_values_that_are_others(
    values: Sequence[object], writer: ParameterWriter, own_marks: bool
) -> None:
    """Of another number or of other types than the last, or not of the commonest."""
    found = [came_of(way, values, writer, own_marks) for way in IMPLEMENTATIONS]
    assert found[0] == found[-1]
    (first, *_) = found[0]
    if writer is OWN and type(values[0]) is int:
        assert first == "text"
    elif len(values) != 2:
        assert first is ProgrammingError
    elif isinstance(values[0], (tuple, list)):
        assert first == "text"
    elif isinstance(values[1], bytes):
        assert (first == "text") is not own_marks
    elif not isinstance(values[0], (dict, float)) and "\ud800" not in values:
        assert isinstance(first, bytes)


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_a_statement_that_was_never_run(way: str) -> None:
    execution = encode_execution(way, ServerStatement(1, 1, 0, 0), ("a",))
    assert execution is not None
    assert execution.own_prepared.accepted_last == b"\xfd\0"
    _, sent = execution_by(way, ServerStatement(1, 0, 0, 0), ())(idle_session())
    assert sent == b"\x0a\0\0\0\x17\1\0\0\0\0\1\0\0\0"


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_what_executions_are(way: str) -> None:
    prepared = prepared_for(("a",))
    prepared.is_simple = True
    found = encode_execution(way, prepared, ("a",), streamed=True, as_dicts=True)
    assert found is not None
    assert (found.streamed, found.as_dicts, found.is_simple, found.binary) == (True,) * 4
    assert found.own_prepared is prepared


@pytest.mark.skipif("c" not in IMPLEMENTATIONS, reason="Python looks at no types")
@pytest.mark.parametrize(
    "call",
    [
        lambda query, execution: query(b""),
        lambda query, execution: query("SELECT 1", None, False, False),
        lambda query, execution: query(bytearray(b"SELECT 1"), None, False, False),
        lambda query, execution: query(b"SELECT 1", b"SELECT", False, False),
        lambda query, execution: execution(WRITER, prepared_for(("a",)), ("a",)),
        lambda query, execution: execution(5, prepared_for(("a",)), ("a",), 0, 0, 0),
        lambda query, execution: execution(WRITER, None, ("a",), 0, 0, 0),
        lambda query, execution: execution(WRITER, prepared_for(("a",)), 5, 0, 0, 0),
        lambda query, execution: request("c", idle_session(), 5),
    ],
    ids=range(9),
)
def test_wrong_arguments(call: Callable[[Any, Any], object]) -> None:
    with pytest.raises(TypeError):
        call(part("c", queries, "encode_query"), part("c", prepared_statements, "encode_execution"))


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


WAYS = IMPLEMENTATIONS[0], "python"


def both_kinds(binary: bool) -> tuple[Start, Start]:
    """The same exchange, made in C and in Python."""
    if not binary:
        return query_by(WAYS[0], b"SELECT 1"), query_by(WAYS[1], b"SELECT 1")
    return (
        execution_by(WAYS[0], prepared_for(("a",)), ("a",)),
        execution_by(WAYS[1], prepared_for(("a",)), ("a",)),
    )


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_attributes_at_first(binary: bool) -> None:
    session = idle_session()
    made, written = (start(session)[0] for start in both_kinds(binary))
    assert state(made) == state(written)
    assert set(dir(made)) == set(dir(written))
    assert set(vars(written)) == set(vars(made))
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
        for way, start, session in zip(WAYS, starts, sessions, strict=True):
            if session.error is not None:
                return
            exchange, _ = start(session)
            woken: list[int] = []
            exchange.on_progress = lambda woken=woken: woken.append(1)
            feed(session, data, size, way)
            found.append((state(exchange), len(woken), repr(session.error), len(session.exchanges)))
        made, written = found
        # Each of two sessions compiles metadata of its own.
        for states in (made[0], written[0]):
            for name in ("columns", "own_prepared"):
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
@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_nothing_is_held(binary: bool, way: str) -> None:
    """An exchange that is done, or whose session is gone, goes without the garbage collector."""

    class Statement(ServerStatement):
        __slots__ = ("__weakref__",)

    gc.collect()
    gc.disable()
    try:
        session = idle_session()
        prepared = Statement(7, 1, 0, 0)
        assert prepared.accepts(WRITER.write(("a",)))
        start = execution_by(way, prepared, ("a",)) if binary else query_by(way, b"SELECT 1")
        exchange, _ = start(session)
        del start
        gone = weakref.ref(exchange), weakref.ref(prepared), weakref.ref(session)
        feed(session, frames(OK, sequence_id=1), 1000, way)
        assert exchange.done
        del exchange
        assert gone[0]() is None
        del prepared, session
        assert [reference() for reference in gone] == [None] * 3
    finally:
        gc.enable()
