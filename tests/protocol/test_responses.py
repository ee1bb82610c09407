"""The reader of responses: both implementations alike, and as `Query.receive` reads them."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE, SERVER_STATUS
from pymysql.err import Error

from aiomysql_protocol.commands.exchange_state import RESPONSE
from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellKind
from aiomysql_protocol.rows.metadata import MetadataPrefix, ResultMetadata
from aiomysql_protocol.rows.text import RowDecoder
from aiomysql_protocol.session import Session
from aiomysql_protocol.values.parameters import NO_PARAMETERS
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from aiomysql_protocol.wire.errors import MalformedPacket
from aiomysql_protocol.wire.packets import Ok
from tests.protocol.blocking import Client, login_options, new_session, outcome
from tests.protocol.readers import IMPLEMENTATIONS, WAYS, Read, feed, reader, receiver
from tests.protocol.row_bytes import (
    binary_implementation,
    binary_payload,
    frames,
    implementation,
    length,
    payload,
    plan,
)
from tests.servers import Server

# Nearly all compare both implementations.
pytestmark = pytest.mark.twins

MORE = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS


class Found(NamedTuple):
    """What was read of a response."""

    #: Where the next unread byte stands in the buffer.
    position: int
    #: The sequence id expected in the next frame.
    sequence_id: int
    #: The metadata; None for a statement without rows.
    metadata: ResultMetadata | None
    rows: list[tuple[Any, ...]]
    #: The packet that ended the result; None when more rows are to come.
    ok: Ok | None


class Reader:
    """Has an implementation read the response to a query."""

    def __init__(self, name: str) -> None:
        self.read: Read = reader(name)
        self.exchange: Query
        self.session: Session

    def __call__(
        self, known: list[MetadataPrefix], data: bytes | bytearray, start: int, end: int
    ) -> Found | None:
        """What is read; None: nothing."""
        binary = bool(known) and not isinstance(known[0].metadata.decoder, TEXT)
        self.exchange = new_exchange(int(binary))
        self.session = started(self.exchange, known)
        position = self.read(self.session, bytearray(data), start, end)
        assert self.exchange.result is None or not self.exchange.done
        return self.found(start, position)

    def found(self, start: int, position: int) -> Found | None:
        result = self.exchange.results[0] if self.exchange.results else self.exchange.result
        if result is None:
            assert position == start
            assert (self.exchange.reading, self.exchange.sequence_id) == (RESPONSE, 1)
            return None
        return Found(
            position,
            self.exchange.sequence_id,
            result.metadata,
            result.rows,
            result.ok if result.complete else None,
        )


@pytest.fixture(params=IMPLEMENTATIONS)
def read(request: pytest.FixtureRequest) -> Reader:
    return Reader(request.param)


def started(
    exchange: Query, known: Sequence[MetadataPrefix] = (), like: Session | None = None
) -> Session:
    """A session in which `exchange` is the one that is due; it knows what `like` knows."""
    session = new_session()
    session.capabilities = DEPRECATE_EOF
    if like is not None:
        session.columns, session.capabilities = like.columns, like.capabilities
    session.request(exchange)
    exchange.columns.prefixes.extend(known)
    return session


def new_exchange(which: int) -> Query:
    if which == 0:
        return Query(b"")
    return Execute(ServerStatement(1, 0, 2, 0), NO_PARAMETERS)


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
#: Bytes of its frame.
LAST = 4 + len(END)


#: Those of the columns of PLANS.
KEYS = ("a", "b")


def prefix(decoder: RowDecoder, *definitions: bytes) -> MetadataPrefix:
    """Metadata as it stands in the stream; what is in it is not read."""
    raw = frames(length(len(definitions)), *definitions, sequence_id=1)
    return MetadataPrefix(raw, 1 + len(definitions), ResultMetadata((), (), decoder, KEYS, ()))


PLANS = [plan(CellKind.INT, name="a"), plan(CellKind.TEXT, name="b")]
BINARY_PLANS = [BinaryPlan(FIELD_TYPE.LONG, PLANS[0]), BinaryPlan(FIELD_TYPE.VAR_STRING, PLANS[1])]


TEXT = tuple(type(implementation(name)([])) for name in IMPLEMENTATIONS)


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
def test_numbers_of_every_form(read: Reader, value: int, width: int | None) -> None:
    data = frames(
        ok_payload(value, 7, status=0x1234, warnings=3, message=b"\1\xff", width=width),
        sequence_id=1,
    )
    expected = Found(len(data), 2, None, [], Ok(value, 7, 0x1234, 3, b"\1\xff"))
    found = read([], data, 0, len(data))
    assert found == expected
    assert type(found.ok) is Ok


@pytest.mark.parametrize("value", [1 << 16, (1 << 24) - 1, 1 << 24, 1 << 63, (1 << 64) - 1])
def test_large_numbers(read: Reader, value: int) -> None:
    data = bytearray(frames(ok_payload(3, value), sequence_id=1))
    found = read([], data, 0, len(data))
    assert found is not None
    assert found.ok == Ok(3, value, 2)


def test_no_byte_of_an_ok_packet_may_be_missing(read: Reader) -> None:
    """Neither of the frame, which is waited for, nor of the payload in it."""
    for body in (ok_payload(), ok_payload(251, 1 << 40), ok_payload(5, 5, width=9)):
        data = frames(body, sequence_id=1)
        assert all(read([], data, 0, end) is None for end in range(len(data)))
        for shorter in range(len(body)):
            short = frames(body[:shorter], sequence_id=1)
            if not shorter:
                assert read([], short, 0, len(short)) is None
                continue
            with pytest.raises(MalformedPacket):
                read([], short, 0, len(short))


def test_what_is_no_ok_packet(read: Reader) -> None:
    bodies = [b"", b"\xff\x15\x04#28000no", b"\xfbfile", b"\2", END]
    malformed = [b"\0" + bytes([first]) + b"\0" * 12 for first in (0xFB, 0xFF)]
    malformed += [b"\0\0" + bytes([first]) + b"\0" * 12 for first in (0xFB, 0xFF)]
    for body in malformed:
        data = frames(body, sequence_id=1)
        with pytest.raises(MalformedPacket):
            read([], data, 0, len(data))
    for body in bodies:
        data = frames(body, sequence_id=1)
        assert read([text_prefix()], data, 0, len(data)) is None
    for sequence_id in (0, 2, 255):
        data = frames(ok_payload(), sequence_id=sequence_id)
        assert read([], data, 0, len(data)) is None
    data = b"\xff\xff\xff\1" + bytes(0xFFFFFF)  # the first of several frames
    assert read([], data, 0, len(data)) is None


def test_only_what_lies_between_start_and_end(read: Reader) -> None:
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
    read: Reader, decoder: str, make: Callable[[str], MetadataPrefix], rows: list[bytes]
) -> None:
    known = make(decoder)
    data = b"?" + whole(known, rows) + frames(ok_payload(), sequence_id=1)
    end = 1 + len(whole(known, rows))
    found = read([known], data, 1, len(data))
    assert found == Found(end, 6 + 1, known.metadata, ROWS, Ok(0, 0, 34, 1))
    assert found.metadata is known.metadata


@pytest.mark.parametrize(("make", "rows"), BOTH)
def test_every_truncation(
    read: Reader, make: Callable[[str], MetadataPrefix], rows: list[bytes]
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
            expected = Found(ends[count], 4 + count, known.metadata, ROWS[:count], None)
            assert found == expected, end


def test_sequence_ids_begin_again_behind_255(read: Reader) -> None:
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


def test_rows_end_where_something_else_comes(read: Reader) -> None:
    known = text_prefix()
    row = payload(b"1", b"a")
    error = b"\xff\x15\x04#28000no"
    for other in (error, b"", END[:6], b"\xfe\xfb" + bytes(8), b"\xfe" + bytes(4)):
        data = whole(known, [row], other)
        if other[:1] == b"\xfe":
            with pytest.raises(MalformedPacket):
                read([known], data, 0, len(data))
            found = read.found(0, len(known.raw) + 4 + len(row))
        else:
            found = read([known], data, 0, len(data))
        assert found is not None
        assert (found.position, found.sequence_id) == (len(known.raw) + 4 + len(row), 5)
        assert (found.rows, found.ok) == ([(1, "a")], None)
    out_of_order = known.raw + frames(row, sequence_id=4) + frames(END, sequence_id=6)
    found = read([known], out_of_order, 0, len(out_of_order))
    assert found is not None
    assert (len(found.rows), found.ok) == (1, None)


def test_blocks_that_are_not_this_one(read: Reader) -> None:
    known, rows = text_prefix(), [payload(b"1", b"a")]
    data = whole(known, rows)
    other = prefix(known.metadata.decoder, b"one", b"twa")
    longer = MetadataPrefix(data + b"?", 3, known.metadata)
    for prefixes in ([], [other], [longer], [other, longer]):
        assert read(prefixes, data, 0, len(data)) is None
    found = read([other, longer, known], data, 0, len(data))
    assert found is not None
    assert found.rows == [(1, "a")]
    assert read.session.columns.prefixes == [known, other, longer]


@pytest.mark.parametrize("before", [1, 2, 251, 252, 253, 254, 255, 256, 400])
def test_metadata_of_a_later_result(read: Reader, before: int) -> None:
    """Its frames have other numbers than those of the first result."""
    known, rows = text_prefix(), [payload(b"1", b"a")]
    more = ok_payload(status=SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS)
    definitions = [length(2), b"one", b"two"]
    data = bytearray(frames(*[more] * before, *definitions, *rows, END, sequence_id=1))
    found = read([known], data, 0, len(data))
    assert found is not None
    assert found.position == len(data)
    last = read.exchange.results[before]
    assert (last.metadata, last.rows, last.complete) == (known.metadata, [(1, "a")], True)
    start = before * (4 + len(more))
    for at in range(start, start + len(known.raw)):
        changed = bytearray(data)
        changed[at] ^= 1
        found = read([known], changed, 0, len(changed))
        assert found is not None
        assert found.position == start
        assert len(read.exchange.results) == before
    for end in range(start, start + len(known.raw)):
        found = read([known], data, 0, end)
        assert found is not None
        assert found.position == start


def test_a_value_that_fails(read: Reader) -> None:
    """The rows before it have come; those that follow are dropped."""
    for decoder in IMPLEMENTATIONS:
        known = text_prefix(decoder)
        for cells in ([b"one", b"a"], [b"1", b"\xff"]):
            data = whole(known, [payload(b"1", b"a"), payload(*cells)])
            found = read([known], data, 0, len(data))
            assert found == Found(len(data) - LAST, 6, known.metadata, [(1, "a")], None)
            assert read.exchange.result is not None
            assert isinstance(read.exchange.result.error, Error)


def test_rows_that_nobody_wants(read: Reader) -> None:
    """They are passed over, whatever is in them, up to what may be no row, wherever bytes end."""
    known = text_prefix("python")
    rows = [payload(b"1", b"a"), b"\xfd\xff\xff", b"\0" * 300, payload(b"2", b"b")]
    data = whole(known, rows)
    lengths = [4 + len(row) for row in rows]
    ends = list(itertools.accumulate(lengths, initial=len(known.raw)))[1:]
    first = ends[0]

    def after_discarding(data: bytes, end: int) -> tuple[int, int]:
        """The position then, and the number of frames that were passed over."""
        found = read([known], data, 0, first)
        assert found == Found(first, 5, known.metadata, [(1, "a")], None)
        read.exchange.discard()
        position = read.read(read.session, bytearray(data), first, end)
        assert read.exchange.result is not None
        assert (read.exchange.result.rows, read.exchange.results) == ([], [])
        return position, read.exchange.sequence_id - 5

    for end in range(first, len(data) - LAST + 4):
        passed = [stop for stop in ends if stop <= end]
        assert after_discarding(data, end) == (passed[-1], len(passed) - 1)
    for other in (b"", b"\xff\x15\x04#28000no", b"\xfe" * 9):
        changed = whole(known, [*rows[:2], other])
        assert after_discarding(changed, len(changed)) == (ends[1], 1)
    out_of_order = bytearray(data)
    out_of_order[ends[1] + 3] += 1
    assert after_discarding(bytes(out_of_order), len(data)) == (ends[1], 1)


def test_a_malformed_row(read: Reader) -> None:
    for decoder in IMPLEMENTATIONS:
        known = text_prefix(decoder)
        data = whole(known, [payload(b"1", b"a"), payload(b"1")])
        with pytest.raises(MalformedPacket):
            read([known], data, 0, len(data))
        found = read.found(0, len(known.raw))
        assert found == Found(len(known.raw), 4, known.metadata, [(1, "a")], None)


class Raising:
    """A decoder that fails with anything."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def decode(self, *_: Any) -> int:
        raise self.error

    def decode_row(self, *_: Any) -> Any:
        raise self.error


def test_an_error_that_is_no_error_of_the_response(read: Reader) -> None:
    for error in (ZeroDivisionError("here"), Error("there"), KeyboardInterrupt()):
        known = prefix(Raising(error), b"d")
        data = whole(known, [payload(b"1")])
        found = read([known], data, 0, len(data))
        assert found == Found(len(data) - LAST, 4, known.metadata, [], None)
        assert read.exchange.result is not None
        assert read.exchange.result.error is error


class Astray(Raising):
    """A decoder that gives a position out of the buffer."""

    def __init__(self, position: int) -> None:
        self.position = position

    def decode(self, *_: Any) -> int:
        return self.position


def test_no_position_is_believed(read: Reader) -> None:
    for position in (-1, 0, 1 << 40):
        known = prefix(Astray(position), b"d")
        data = whole(known, [payload(b"1")])
        found = read([known], data, 0, len(data))
        assert found == Found(len(data) - LAST, 4, known.metadata, [], None)
        assert read.exchange.result is not None
        assert isinstance(read.exchange.result.error, ValueError)


@pytest.mark.skipif("c" not in IMPLEMENTATIONS, reason="Python can read anything safely")
def test_c_refuses_what_it_can_not_read_safely() -> None:
    read: Any = Reader("c")
    data = frames(ok_payload(), sequence_id=1)
    for start, end in ((-1, 5), (0, len(data) + 1), (0, 1 << 70), (1 << 70, 5)):
        with pytest.raises((ValueError, IndexError)):
            read([], data, start, end)
    known = whole(text_prefix(), [])
    incomplete = ResultMetadata((), (), Raising(ValueError()), (), ())[:2]
    for prefixes in (
        (),
        None,
        [None],
        [()],
        [("raw", 1, text_prefix().metadata)],
        [(b"raw", 1, ())],
        [(b"raw", 1, incomplete)],
    ):
        session = started(Query(b""), [])
        session.columns.prefixes = prefixes  # type: ignore[assignment]
        with pytest.raises(TypeError):
            read.read(session, known, 0, len(known))
    session = started(Query(b""), [])
    for wrong in ((session, data, 0), (session, "text", 0, 1), (None, data, 0, len(data))):
        with pytest.raises(TypeError):
            read.read(*wrong)
    session.columns.prefixes = [(known, "3", text_prefix().metadata)]  # type: ignore[list-item]
    with pytest.raises(TypeError):
        read.read(session, known, 0, len(known))
    session.columns.prefixes = [MetadataPrefix(known, 1 << 70, text_prefix().metadata)]
    with pytest.raises(OverflowError):
        read.read(session, known, 0, len(known))


@pytest.mark.skipif("c" not in IMPLEMENTATIONS, reason="Python can read anything safely")
@pytest.mark.parametrize("attribute", ["results", "result", "exchanges", "columns", "metadata"])
def test_c_refuses_states_that_are_none(attribute: str) -> None:
    for wrong in (None, 5, (), [], object()):
        known = text_prefix()
        data = whole(known, [payload(b"1", b"a")])
        exchange: Any = Query(b"")
        session: Any = started(exchange, [known])
        position = len(known.raw) if attribute in ("result", "metadata") else 0
        reader("c")(session, data, 0, position)
        holder = {"exchanges": session, "columns": session, "metadata": exchange.result}
        setattr(holder.get(attribute, exchange), attribute, wrong)
        with contextlib.suppress(TypeError, AttributeError):
            reader("c")(session, data, position, len(data))


# Both implementations on anything


def seen(read: Reader, known: list[MetadataPrefix], data: bytes) -> object:
    """All that one can see of reading `data`."""
    try:
        found = read(known, data, 0, len(data))
    except Exception as error:
        return type(error), error.args
    result = read.exchange.result
    failure = repr(None if result is None else result.error)
    return repr(found), failure, read.exchange.done, read.session.server_status


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
    found = [seen(Reader(name), known, data) for name in IMPLEMENTATIONS]
    assert found[0] == found[-1]


# Whole conversations


def came_to(
    way: str,
    exchange: Query,
    known: Sequence[MetadataPrefix],
    pieces: Sequence[bytes],
    like: Session | None = None,
) -> tuple[object, ...]:
    """What becomes of a query whose response comes in these pieces, read in that way."""
    session = started(exchange, known, like)
    woken = 0
    pending = bytearray()
    with receiver(way) as receive:
        for piece in pieces:
            feed(receive, session, [piece], pending)
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


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(response=changed_responses(), points=st.lists(st.integers(0, 200), max_size=3))
def test_both_alike_in_pieces(response: tuple[int, bytes], points: list[int]) -> None:
    which, data = response
    known = [BOTH[which][0]("python")]
    pieces = cut(data, points)
    results = [came_to(way, new_exchange(which), known, pieces) for way in IMPLEMENTATIONS]
    assert results[0] == results[-1]


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
        new: Callable[[], Query] = partial(Execute, client.prepare(statement), NO_PARAMETERS)
    else:
        new = partial(Query, statement.encode())
    client.run(new())
    done = client.run(new())
    (first, *others) = done.results
    data = client.response
    for name in IMPLEMENTATIONS:
        exchange = new()
        session = started(exchange, like=client.session)
        read = Reader(name)
        read.exchange = exchange
        found = read.found(0, read.read(session, bytearray(data), 0, len(data)))
        if first.error is not None:
            assert found is None
        elif not others:
            assert found is not None
            assert (found.rows, found.ok) == (first.rows, first.ok)
            assert found.position == len(data)
    rng = random.Random(statement)
    for pieces in [[data], *(cut(data, [rng.randrange(len(data))]) for _ in range(20))]:
        results = [came_to(way, new(), [], pieces, client.session) for way in WAYS]
        assert all(result == results[0] for result in results)
