"""Responses read at one go: both implementations alike, and as the states of Query read them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE, SERVER_STATUS
from pymysql.err import Error

from aiomysql_protocol.commands import query
from aiomysql_protocol.commands import response as responses
from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.commands.response import Response
from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellKind
from aiomysql_protocol.rows.metadata import MetadataPrefix, ResultMetadata
from aiomysql_protocol.rows.text import RowDecoder
from aiomysql_protocol.values.parameters import ParameterWriter
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from aiomysql_protocol.wire.packets import Ok
from tests.protocol.blocking import Client, login_options, new_session, outcome
from tests.protocol.row_bytes import (
    binary_implementation,
    binary_payload,
    frames,
    implementation,
    length,
    part,
    payload,
    plan,
)
from tests.servers import Server

ReadResponse = Callable[[list[MetadataPrefix], "bytes | bytearray", int, int], Response | None]

IMPLEMENTATIONS = ["c", "python"]
MORE = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS


def reader(name: str) -> ReadResponse:
    found: ReadResponse = part(name, responses, "read_response")
    return found


@pytest.fixture(params=IMPLEMENTATIONS)
def read(request: pytest.FixtureRequest) -> ReadResponse:
    return reader(request.param)


def ok_payload(
    affected_rows: int = 0,
    insert_id: int = 0,
    *,
    status: int = 2,
    warnings: int = 0,
    message: bytes = b"",
    header: int = 0,
    width: int | None = None,
) -> bytes:
    """An OK packet; `width`: of its length-encoded integers."""
    numbers = length(affected_rows, width) + length(insert_id, width)
    fixed = status.to_bytes(2, "little") + warnings.to_bytes(2, "little")
    return bytes([header]) + numbers + fixed + message


END = ok_payload(header=0xFE, status=34, warnings=1)


def prefix(decoder: RowDecoder, *definitions: bytes, plain: bool = True) -> MetadataPrefix:
    """Metadata as it stands in the stream; what is in it is not read."""
    raw = frames(length(len(definitions)), *definitions, sequence_id=1)
    return MetadataPrefix(raw, 1 + len(definitions), ResultMetadata((), (), decoder, plain, ()))


PLANS = [plan(CellKind.INT, name="a"), plan(CellKind.TEXT, name="b")]
BINARY_PLANS = [BinaryPlan(FIELD_TYPE.LONG, PLANS[0]), BinaryPlan(FIELD_TYPE.VAR_STRING, PLANS[1])]


def text_prefix(name: str = "python") -> MetadataPrefix:
    return prefix(implementation(name)(PLANS), b"one", b"two")


def binary_prefix(name: str = "python") -> MetadataPrefix:
    return prefix(binary_implementation(name)(BINARY_PLANS), b"one", b"two")


def number(value: int) -> bytes:
    return value.to_bytes(4, "little", signed=True)


#: Ways to have rows (5, "ü") and (None, "x"): prefix, and the rows' payloads.
BOTH: list[tuple[Callable[[str], MetadataPrefix], list[bytes]]] = [
    (text_prefix, [payload(b"5", "ü".encode()), payload(None, b"x")]),
    (
        binary_prefix,
        [binary_payload(BINARY_PLANS, row) for row in ([number(5), b"\xc3\xbc"], [None, b"x"])],
    ),
]
ROWS = [(5, "ü"), (None, "x")]


def whole(known: MetadataPrefix, rows: Sequence[bytes], end: bytes = END) -> bytes:
    return known.raw + frames(*rows, end, sequence_id=(1 + known.frames) & 0xFF)


# OK packets


@pytest.mark.parametrize("width", [None, 3, 4, 9])
@pytest.mark.parametrize("value", [0, 250, 251, 65535])
def test_numbers_of_every_form(read: ReadResponse, value: int, width: int | None) -> None:
    data = frames(
        ok_payload(value, 7, status=0x1234, warnings=3, message=b"\1\xff", width=width),
        sequence_id=1,
    )
    expected = Response(len(data), 2, None, [], Ok(value, 7, 0x1234, 3, b"\1\xff"))
    found = read([], data, 0, len(data))
    assert found == expected
    assert type(found) is Response
    assert type(found.ok) is Ok


@pytest.mark.parametrize("value", [1 << 16, (1 << 24) - 1, 1 << 24, 1 << 63, (1 << 64) - 1])
def test_large_numbers(read: ReadResponse, value: int) -> None:
    data = bytearray(frames(ok_payload(3, value), sequence_id=1))
    found = read([], data, 0, len(data))
    assert found is not None
    assert found.ok == Ok(3, value, 2)


def test_no_byte_of_an_ok_packet_may_be_missing(read: ReadResponse) -> None:
    """Neither of the frame nor of the payload in it: both are left to be read frame by frame."""
    for body in (ok_payload(), ok_payload(251, 1 << 40), ok_payload(5, 5, width=9)):
        data = frames(body, sequence_id=1)
        assert all(read([], data, 0, end) is None for end in range(len(data)))
        for shorter in range(len(body)):
            short = frames(body[:shorter], sequence_id=1)
            assert read([], short, 0, len(short)) is None


def test_what_is_no_ok_packet(read: ReadResponse) -> None:
    bodies = [b"", b"\xff\x15\x04#28000no", b"\xfbfile", b"\2", END]
    bodies += [b"\0" + bytes([first]) + b"\0" * 12 for first in (0xFB, 0xFF)]
    bodies += [b"\0\0" + bytes([first]) + b"\0" * 12 for first in (0xFB, 0xFF)]
    for body in bodies:
        data = frames(body, sequence_id=1)
        assert read([text_prefix()], data, 0, len(data)) is None
    for sequence_id in (0, 2, 255):
        data = frames(ok_payload(), sequence_id=sequence_id)
        assert read([], data, 0, len(data)) is None
    data = b"\xff\xff\xff\1" + bytes(0xFFFFFF)  # the first of several frames
    assert read([], data, 0, len(data)) is None


def test_only_what_lies_between_start_and_end(read: ReadResponse) -> None:
    response = frames(ok_payload(9), sequence_id=1)
    data = b"\xaa" * 7 + response + response
    found = read([], data, 7, len(data))
    assert found is not None
    assert (found.position, found.ok) == (7 + len(response), Ok(9, 0, 2))
    assert read([], data, 7, 7) is None
    assert read([], data, 7, 6 + len(response)) is None


# Result sets


@pytest.mark.parametrize(("make", "rows"), BOTH)
@pytest.mark.parametrize("decoder", IMPLEMENTATIONS)
def test_rows(
    read: ReadResponse, decoder: str, make: Callable[[str], MetadataPrefix], rows: list[bytes]
) -> None:
    known = make(decoder)
    data = b"?" + whole(known, rows) + frames(ok_payload(), sequence_id=1)
    end = 1 + len(whole(known, rows))
    found = read([known], data, 1, len(data))
    assert found == Response(end, 6 + 1, known.metadata, ROWS, Ok(0, 0, 34, 1))
    assert found.metadata is known.metadata


@pytest.mark.parametrize(("make", "rows"), BOTH)
def test_every_truncation(
    read: ReadResponse, make: Callable[[str], MetadataPrefix], rows: list[bytes]
) -> None:
    """As many rows as are whole, and the position behind them."""
    known = make("python")
    data = whole(known, rows)
    ends = [len(known.raw)]
    ends += [ends[0] + 4 + len(rows[0]), ends[0] + 8 + len(rows[0]) + len(rows[1])]
    for end in range(len(data)):
        found = read([known], data, 0, end)
        if end < ends[0]:
            assert found is None
        else:
            count = sum(end >= stop for stop in ends) - 1
            expected = Response(ends[count], 4 + count, known.metadata, ROWS[:count], None)
            assert found == expected, end


def test_sequence_ids_begin_again_behind_255(read: ReadResponse) -> None:
    known = text_prefix()
    rows = [payload(b"%d" % n, b"") for n in range(600)]
    data = whole(known, rows)
    found = read([known], data, 0, len(data))
    assert found is not None
    assert [row[0] for row in found.rows] == list(range(600))
    assert (found.position, found.sequence_id) == (len(data), (4 + 600 + 1) & 0xFF)
    wide = prefix(implementation("python")(PLANS), *[b"d"] * 300)
    data = whole(wide, rows[:3])
    found = read([wide], data, 0, len(data))
    assert found is not None
    assert (len(found.rows), found.sequence_id) == (3, (1 + 301 + 4) & 0xFF)


def test_rows_end_where_something_else_comes(read: ReadResponse) -> None:
    known = text_prefix()
    row = payload(b"1", b"a")
    error = b"\xff\x15\x04#28000no"
    for other in (error, b"", END[:6], b"\xfe\xfb" + bytes(8), b"\xfe" + bytes(4)):
        data = whole(known, [row], other)
        found = read([known], data, 0, len(data))
        assert found is not None
        assert (found.position, found.sequence_id) == (len(known.raw) + 4 + len(row), 5)
        assert (found.rows, found.ok) == ([(1, "a")], None)
    out_of_order = known.raw + frames(row, sequence_id=4) + frames(END, sequence_id=6)
    found = read([known], out_of_order, 0, len(out_of_order))
    assert found is not None
    assert (len(found.rows), found.ok) == (1, None)


def test_blocks_that_are_not_this_one(read: ReadResponse) -> None:
    known, rows = text_prefix(), [payload(b"1", b"a")]
    data = whole(known, rows)
    other = prefix(known.metadata.decoder, b"one", b"twa")
    own = prefix(known.metadata.decoder, b"one", b"two", plain=False)
    longer = MetadataPrefix(data + b"?", 3, known.metadata)
    for prefixes in ([], [other], [own], [longer], [other, own, longer]):
        assert read(prefixes, data, 0, len(data)) is None
    found = read([other, own, longer, known], data, 0, len(data))
    assert found is not None
    assert found.rows == [(1, "a")]


def test_a_value_that_fails(read: ReadResponse) -> None:
    """It is left to be read again, frame by frame; nothing is consumed."""
    for decoder in IMPLEMENTATIONS:
        known = text_prefix(decoder)
        for cells in ([b"one", b"a"], [b"1", b"\xff"]):
            data = whole(known, [payload(b"1", b"a"), payload(*cells)])
            assert read([known], data, 0, len(data)) is None


class Raising:
    """A decoder that fails with anything."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def decode(self, *_: Any) -> int:
        raise self.error

    def decode_row(self, _: object) -> tuple[Any, ...]:
        raise self.error


def test_an_error_that_is_no_error_of_the_response(read: ReadResponse) -> None:
    known = prefix(Raising(ZeroDivisionError("here")), b"d")
    data = whole(known, [])
    with pytest.raises(ZeroDivisionError, match="here"):
        read([known], data, 0, len(data))
    assert read([prefix(Raising(Error("there")), b"d")], data, 0, len(data)) is None


class Astray(Raising):
    """A decoder that gives a position out of the buffer."""

    def __init__(self, position: int) -> None:
        self.position = position

    def decode(self, *_: Any) -> int:
        return self.position


def test_c_believes_no_position() -> None:
    read = reader("c")
    for position in (-1, 0, 1 << 40):
        known = prefix(Astray(position), b"d")
        data = whole(known, [])
        assert read([known], data, 0, len(data)) is None


def test_c_refuses_what_it_can_not_read_safely() -> None:
    read: Any = reader("c")
    data = frames(ok_payload(), sequence_id=1)
    for start, end in ((-1, 5), (0, len(data) + 1), (5, 4), (0, 1 << 70), (1 << 70, 5)):
        with pytest.raises((ValueError, IndexError)):
            read([], data, start, end)
    known = whole(text_prefix(), [])
    incomplete = ResultMetadata((), (), Raising(ValueError()), True, ())[:3]
    for prefixes in (
        (),
        None,
        [None],
        [()],
        [("raw", 1, text_prefix().metadata)],
        [(b"raw", 1, ())],
        [(b"raw", 1, incomplete)],
    ):
        with pytest.raises(TypeError):
            read(prefixes, known, 0, len(known))
    with pytest.raises(TypeError):
        read([], data, 0)
    with pytest.raises(TypeError):
        read([], "text", 0, 1)
    with pytest.raises(TypeError):
        read([(known, "3", text_prefix().metadata)], known, 0, len(known))
    with pytest.raises(OverflowError):
        read([(known, 1 << 70, text_prefix().metadata)], known, 0, len(known))


# Both implementations on anything


def seen(read: ReadResponse, known: list[MetadataPrefix], data: bytes) -> object:
    """All that one can see of reading `data`."""
    try:
        return repr(read(known, data, 0, len(data)))
    except Exception as error:
        return type(error), error.args


@st.composite
def changed_responses(draw: st.DrawFn) -> tuple[int, bytes]:
    """Which of BOTH, and a response of that kind, mostly with something wrong."""
    which = draw(st.integers(0, 1))
    known = BOTH[which][0]("python")
    rows = draw(st.lists(st.sampled_from(BOTH[which][1]), max_size=3))
    data = bytearray(
        draw(
            st.sampled_from(
                [
                    whole(known, rows),
                    whole(known, rows, ok_payload(250, 1 << 33, header=0xFE, status=8)),
                    frames(ok_payload(251, 1 << 20, message=b"m"), sequence_id=1),
                ]
            )
        )
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data[at:at] = draw(st.binary(min_size=1, max_size=2))
        elif kind == 1:
            del data[at : at + draw(st.integers(1, 9))]
        elif at < len(data):
            data[at] = draw(st.sampled_from([0, 1, 2, 3, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF]))
    return which, bytes(data)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(response=changed_responses(), decoder=st.sampled_from(IMPLEMENTATIONS))
def test_both_alike_on_changed_responses(response: tuple[int, bytes], decoder: str) -> None:
    which, data = response
    known = [BOTH[which][0](decoder)]
    assert seen(reader("c"), known, data) == seen(reader("python"), known, data)


# The states of Query


def nothing_at_one_go(*_: object) -> None:
    return None


WAYS: dict[str, Callable[[], Any]] = {
    "c": lambda: reader("c"),
    "python": lambda: reader("python"),
    "by states": lambda: nothing_at_one_go,
}


def came_to(
    way: str, exchange: Query, known: list[MetadataPrefix], pieces: Sequence[bytes]
) -> tuple[object, ...]:
    """What becomes of a query whose response comes in these pieces, read in that way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(query, "read_response", WAYS[way]())
        session = new_session()
        session.capabilities = DEPRECATE_EOF
        session.start(exchange)
        exchange.columns.prefixes.extend(known)
        session.data_to_send()
        pending = bytearray()
        woken = 0
        for piece in pieces:
            pending += piece
            del pending[: session.receive(pending, 0, len(pending))]
            woken += exchange.consume_progress()
        session.connection_lost()
        return (
            repr(outcome(exchange)),
            repr(session.error),
            session.server_status,
            bytes(pending),
            bool(woken),
        )


def cut(data: bytes, points: Sequence[int]) -> list[bytes]:
    ends = sorted({point % (len(data) + 1) for point in points} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def new_exchange(which: int) -> Query:
    if which == 0:
        return Query(b"")
    return Execute(ServerStatement(1, 0, 2, 0), ParameterWriter("utf8").write([]))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["c", "python"])
@settings(max_examples=400, deadline=None)
@given(response=changed_responses(), points=st.lists(st.integers(0, 200), max_size=3))
def test_as_the_states_read_it(way: str, response: tuple[int, bytes], points: list[int]) -> None:
    which, data = response
    known = [BOTH[which][0]("python")]
    pieces = cut(data, points)
    by_states = came_to("by states", new_exchange(which), known, pieces)
    assert came_to(way, new_exchange(which), known, pieces) == by_states


@pytest.mark.slow
@pytest.mark.parametrize("way", ["c", "python"])
def test_several_results_of_which_the_first_is_known(way: str) -> None:
    known = text_prefix()
    row = payload(b"1", b"a")
    more = ok_payload(header=0xFE, status=MORE)
    first = whole(known, [row], more)
    second = frames(ok_payload(3, status=MORE), sequence_id=first[-len(more) - 1] + 1)
    third = frames(ok_payload(4, status=2), sequence_id=second[3] + 1)
    data = first + second + third
    for point in range(len(data)):
        pieces = cut(data, [point])
        found = came_to(way, Query(b""), [known], pieces)
        assert found == came_to("by states", Query(b""), [known], pieces)
    assert "affected_rows=4" in str(found[0])


# Responses of servers

STATEMENTS = [
    *("DO 0", "SELECT 1", "SELECT 'ü', NULL, 1.5, NOW(6) FROM (SELECT 1) AS t WHERE 1 = 1"),
    *("SELECT 1 WHERE 1 = 0", "SELECT * FROM numbered", "SELECT n, s FROM numbered WHERE n = 3"),
    *("UPDATE numbered SET s = 'z' WHERE n < 3", "INSERT INTO numbered (s) VALUES ('new')"),
    *("SELECT REPEAT('x', 70000), n FROM numbered LIMIT 2", "SELECT 1; SELECT 2", "SELEC"),
    *("SET @a = 1", "SELECT 1/0, n FROM numbered ORDER BY n LIMIT 3"),
]

NOT_PREPARED = {"SELECT 1; SELECT 2", "SELEC"}


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    options = login_options(server.user, server.password, server.database)
    with Client((server.host, server.port), options) as client:
        client.query("CREATE TEMPORARY TABLE numbered (n INT PRIMARY KEY AUTO_INCREMENT, s TEXT)")
        for _ in range(9):
            client.query("INSERT INTO numbered (s) VALUES ('a'), (NULL), ('ü')")
        yield client


@pytest.mark.parametrize(
    ("statement", "prepared"),
    [(statement, False) for statement in STATEMENTS]
    + [(statement, True) for statement in STATEMENTS if statement not in NOT_PREPARED],
)
def test_responses_of_servers(client: Client, statement: str, prepared: bool) -> None:
    if prepared:
        new: Callable[[], Query] = partial(
            Execute, client.prepare(statement), client.writer.write([])
        )
    else:
        new = partial(Query, statement.encode())
    client.run(new())
    done = client.run(new())
    (first, *others) = done.results
    known, data = done.prefixes, client.response
    found = [reader(name)(known, data, 0, len(data)) for name in IMPLEMENTATIONS]
    assert found[0] == found[1]
    if first.error is not None:
        assert found[0] is None
    elif not others:
        assert found[0] is not None
        assert (found[0].rows, found[0].ok) == (first.rows, first.ok)
        assert found[0].position == len(data)
    rng = random.Random(statement)
    for pieces in [[data], *(cut(data, [rng.randrange(len(data))]) for _ in range(20))]:
        results = [came_to(way, new(), known, pieces) for way in WAYS]
        assert results[0] == results[1] == results[2]
