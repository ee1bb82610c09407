"""Responses in pieces, and code that runs while they are read: whatever it does, all ways to read a
response come to the same, and every exchange ends.
"""

from __future__ import annotations

import gc
import itertools
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from pymysql.constants import CLIENT, FIELD_TYPE, SERVER_STATUS
from pymysql.converters import decoders
from pymysql.err import OperationalError

from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.commands.exchange_state import CHANGES, CHANGES_UNKNOWN, NO_CHANGES
from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from aiomysql_protocol.sql.statements import is_row_change, is_simple_statement
from aiomysql_protocol.values.parameters import NO_PARAMETERS
from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF
from tests.protocol.readers import IMPLEMENTATIONS, WAYS, Read, feed, receiver
from tests.protocol.row_bytes import frames, length

# Both implementations are compared.
pytestmark = pytest.mark.twins

MORE = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS


def definition(name: bytes, kind: int = FIELD_TYPE.VAR_STRING, table: bytes = b"") -> bytes:
    names = b"\3def\0" + length(len(table)) + table + b"\0" + length(len(name)) + name + b"\0"
    return names + b"\x0c\x2d\0\x0b\0\0\0" + bytes([kind]) + bytes(5)


COLUMNS = [definition(b"n", FIELD_TYPE.LONG), definition(b"s")]
OK = b"\0\3\5\x22\0\1\0"
OK_MORE = b"\0\1\0" + MORE.to_bytes(2, "little") + b"\0\0message"
ERROR = b"\xff\x15\4#28000Access denied"
END = b"\xfe\0\0\x22\0\1\0"
END_MORE = b"\xfe\0\0" + MORE.to_bytes(2, "little") + b"\0\0"
EOF = b"\xfe\0\0\x22\0"
TEXT_ROWS = [b"\0015\2\xc3\xbc", b"\xfb\1x", b"\00277\xfb"]
BINARY_ROWS = [b"\0\0\5\0\0\0\2\xc3\xbc", b"\0\4\1x", b"\0\x08\x4d\0\0\0"]
VALUES = [(5, "ü"), (None, "x"), (77, None)]

#: Payloads of whole responses in the text protocol; of the binary one those without rows.
RESPONSES: dict[str, list[bytes]] = {
    "ok": [OK],
    "error": [ERROR],
    "no rows": [b"\2", *COLUMNS, END],
    "rows": [b"\2", *COLUMNS, *TEXT_ROWS, END],
    "error in rows": [b"\2", *COLUMNS, *TEXT_ROWS, ERROR],
    "many rows": [b"\2", *COLUMNS, *TEXT_ROWS * 90, END],
    "two": [b"\2", *COLUMNS, *TEXT_ROWS, END_MORE, OK],
    "several": [OK_MORE, b"\2", *COLUMNS, *TEXT_ROWS, END_MORE, b"\2", *COLUMNS, END_MORE, ERROR],
    "malformed row": [b"\2", *COLUMNS, *TEXT_ROWS, b"\1"],
    "malformed end": [b"\2", *COLUMNS, *TEXT_ROWS, b"\xfe\0\0"],
    "malformed ok": [b"\0"],
    "bad value": [b"\2", *COLUMNS, TEXT_ROWS[0], b"\1a\1b", *TEXT_ROWS, END],
    "empty": [b"\2", *COLUMNS, b""],
    "file": [b"\xfbfile"],
}
BINARY: dict[str, list[bytes]] = {
    "rows": [b"\2", *COLUMNS, *BINARY_ROWS, END],
    "two": [b"\2", *COLUMNS, *BINARY_ROWS, END_MORE, OK],
    "malformed row": [b"\2", *COLUMNS, *BINARY_ROWS, b"\0"],
}
#: With CACHE_METADATA.
CACHED: dict[str, list[bytes]] = {
    "first": [b"\2\1", *COLUMNS, *BINARY_ROWS, END],
    "unchanged": [b"\2\0", *BINARY_ROWS, END],
    "changed": [b"\1\1", COLUMNS[1], b"\0\0\1x", END],
}


class Conversation:
    """A session, and what is run in it."""

    def __init__(
        self,
        way: str,
        *,
        capabilities: int = DEPRECATE_EOF,
        converters: dict[int, Callable[[Any], Any]] | None = None,
    ) -> None:
        self.way = way
        self.session = Session(ColumnCache("utf8", {**decoders, **(converters or {})}))
        self.session.capabilities = capabilities
        self.session.exchanges.clear()

    def run(self, exchange: Query, pieces: Sequence[bytes]) -> object:
        """Start `exchange`, feed it its response, and end what is left: what came of it."""
        return self.finish([exchange], self.feed(exchange, pieces))

    def feed(self, exchange: Query, pieces: Sequence[bytes]) -> bytearray:
        self.session.request(exchange)
        with receiver(self.way) as receive:
            return feed(receive, self.session, pieces)

    def finish(self, exchanges: Sequence[Query], pending: bytearray) -> object:
        session = self.session
        failure = repr(session.error)
        session.connection_lost()
        assert session.idle
        assert all(exchange.done for exchange in exchanges)
        return (
            [seen(exchange) for exchange in exchanges],
            failure,
            session.server_status,
            bytes(pending),
        )


def seen(exchange: Query) -> object:
    return [
        (
            result.metadata.description if result.metadata else None,
            result.rows,
            result.ok,
            repr(result.error),
            result.complete,
            result.streamed,
        )
        for result in exchange.results
    ], repr(exchange.error)


def query(streamed: bool = False, as_dicts: bool = False) -> Query:
    return Query(b"SELECT 1", streamed=streamed, as_dicts=as_dicts)


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """In two pieces at each point, and byte by byte."""
    if len(data) < 400:
        yield from ([data[:at], data[at:]] for at in range(len(data)))
    else:
        yield from ([data[:at], data[at:]] for at in range(0, len(data), 37))
    yield [data[at : at + 1] for at in range(len(data))]


# In pieces


@pytest.mark.parametrize("as_dicts", [False, True], ids=["tuples", "dicts"])
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("name", RESPONSES)
def test_cut_at_every_byte(name: str, known: bool, streamed: bool, as_dicts: bool) -> None:
    data = frames(*RESPONSES[name], sequence_id=1)
    before = frames(*RESPONSES["rows"], sequence_id=1) if known else b""

    def came_to(way: str, pieces: Sequence[bytes]) -> object:
        conversation = Conversation(way)
        if known:
            conversation.feed(query(), [before])
        return conversation.run(query(streamed, as_dicts), pieces)

    expected = came_to("by payloads", [data])
    for way in IMPLEMENTATIONS:
        for pieces in ([data], *cuts(data)):
            assert came_to(way, pieces) == expected, pieces
    if name == "rows":
        rows = [dict(zip("ns", row, strict=True)) for row in VALUES] if as_dicts else VALUES
        assert f", {rows}, Ok(" in str(expected)


@pytest.mark.parametrize("as_dicts", [False, True], ids=["tuples", "dicts"])
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", BINARY)
def test_binary_rows_cut_at_every_byte(name: str, streamed: bool, as_dicts: bool) -> None:
    data = frames(*BINARY[name], sequence_id=1)

    def came_to(way: str, pieces: Sequence[bytes]) -> object:
        conversation = Conversation(way)
        prepared = ServerStatement(1, 0, 2, 0)
        conversation.feed(
            Execute(prepared, NO_PARAMETERS), [frames(*BINARY["rows"], sequence_id=1)]
        )
        return conversation.run(
            Execute(prepared, NO_PARAMETERS, streamed=streamed, as_dicts=as_dicts), pieces
        )

    expected = came_to("by payloads", [data])
    for way in IMPLEMENTATIONS:
        for pieces in ([data], *cuts(data)):
            assert came_to(way, pieces) == expected, pieces


@pytest.mark.parametrize("order", list(itertools.product(CACHED, repeat=3)), ids="-".join)
def test_metadata_that_is_sent_once(order: Sequence[str]) -> None:
    """MariaDB sends it again only when it has changed."""

    def came_to(way: str, cut: int) -> object:
        conversation = Conversation(way, capabilities=DEPRECATE_EOF | CACHE_METADATA)
        statements = ServerStatement(1, 0, 2, 0), ServerStatement(2, 0, 2, 0)
        executions = []
        for name in ("first", *order):
            data = frames(*CACHED[name], sequence_id=1)
            for prepared in statements:
                if conversation.session.error is None:
                    executions.append(Execute(prepared, NO_PARAMETERS))
                    at = cut % len(data)
                    conversation.feed(executions[-1], [data[:at], data[at:]])
        metadata = [prepared.metadata for prepared in statements]
        return (
            conversation.finish(executions, bytearray()),
            [found and found.definitions for found in metadata],
        )

    expected = came_to("by payloads", 0)
    for way in IMPLEMENTATIONS:
        for cut in (0, 5, 9, 60, 90, 110):
            assert came_to(way, cut) == expected


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_the_metadata_met_is_recorded(way: str) -> None:
    """Also when the session knew it, but not as the statement's."""
    conversation = Conversation(way, capabilities=DEPRECATE_EOF | CACHE_METADATA)
    data = frames(*CACHED["first"], sequence_id=1)
    statements = [ServerStatement(number, 0, 2, 0) for number in range(3)]
    for prepared in statements:
        conversation.feed(Execute(prepared, NO_PARAMETERS), [data])
    unchanged = frames(*CACHED["unchanged"], sequence_id=1)
    for prepared in statements:
        assert prepared.metadata is statements[0].metadata is not None
        execution = Execute(prepared, NO_PARAMETERS)
        conversation.feed(execution, [unchanged])
        assert execution.results[0].rows == VALUES
    # Values are to be read in another way from now on.
    conversation.session.columns = ColumnCache("utf8", {})
    for _ in range(2):
        execution = Execute(statements[0], NO_PARAMETERS)
        conversation.feed(execution, [unchanged])
        assert execution.results[0].rows == [("5", "ü"), (None, "x"), ("77", None)]


def test_metadata_that_changes_by_a_byte() -> None:
    first = frames(*RESPONSES["rows"], sequence_id=1)
    size = len(frames(*RESPONSES["rows"][:3], sequence_id=1))
    for at in range(size):
        changed = bytearray(first)
        changed[at] ^= 1
        results = []
        for way in WAYS:
            conversation = Conversation(way)
            conversation.feed(query(), [first])
            results.append(conversation.run(query(), [bytes(changed)]))
        assert all(result == results[0] for result in results), at


@pytest.mark.parametrize("way", IMPLEMENTATIONS)
def test_metadata_is_kept_once(way: str) -> None:
    """Also where its bytes end in it, so that it is read anew."""
    conversation = Conversation(way)
    data = frames(*RESPONSES["rows"], sequence_id=1)
    for at in range(40):
        conversation.feed(query(), [data[:at], data[at:]])
    assert len(conversation.session.columns.prefixes) == 1


def test_without_deprecate_eof() -> None:
    body = [b"\2", *COLUMNS, EOF, *TEXT_ROWS, EOF]
    data = frames(*body, sequence_id=1)
    for way in WAYS:
        for pieces in ([data], *cuts(data)):
            conversation = Conversation(way, capabilities=0)
            exchanges = [query(), query(True)]
            for exchange in exchanges:
                assert not conversation.feed(exchange, pieces)
                assert exchange.done
                assert exchange.results[0].rows == VALUES
            assert conversation.session.error is None


def test_sequence_numbers_wrap() -> None:
    """In rows, and from one result to the next."""
    parts = [*[OK_MORE] * 250, b"\2", *COLUMNS, *TEXT_ROWS * 100, END_MORE, *[OK_MORE] * 300, OK]
    data = frames(*parts, sequence_id=1)
    results = [
        Conversation(way).run(query(), pieces)
        for way in WAYS
        for pieces in ([data], [data[:1200], data[1200:]], [data[:3333], data[3333:]])
    ]
    assert all(result == results[0] for result in results)
    assert str(results[0]).count("Ok(") == 552


def test_several_exchanges_at_once() -> None:
    data = b"".join(
        frames(*RESPONSES[name], sequence_id=1) for name in ("rows", "two", "ok", "error", "rows")
    )
    for pieces in ([data], *([data[:at], data[at:]] for at in range(0, len(data), 7))):
        results = []
        for way in WAYS:
            conversation = Conversation(way)
            exchanges = [query() for _ in range(5)]
            for exchange in exchanges:
                conversation.session.request(exchange)
            with receiver(way) as receive:
                pending = feed(receive, conversation.session, pieces)
            results.append(conversation.finish(exchanges, pending))
        assert all(result == results[0] for result in results)


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            changed[at:at] = rng.randbytes(rng.randrange(1, 4))
        elif kind == 1:
            del changed[at : at + rng.randrange(1, 9)]
        elif at < len(changed):
            changed[at] = rng.choice([0, 1, 2, 3, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF])
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.skipif("c" not in IMPLEMENTATIONS, reason="there is one implementation")
@pytest.mark.parametrize("seed", range(20))
def test_both_alike_at_random(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        kind = rng.randrange(3)
        responses = (RESPONSES, BINARY, CACHED)[kind]
        capabilities = DEPRECATE_EOF | (CACHE_METADATA if kind == 2 else 0)
        first = frames(*responses.get("rows", responses.get("first", [])), sequence_id=1)
        data = mutated(rng, frames(*responses[rng.choice(list(responses))], sequence_id=1))
        streamed, discarded, skipped = (rng.random() < 0.2 for _ in range(3))
        points = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(3)))
        pieces = [data[a:b] for a, b in itertools.pairwise([0, *points, len(data)])]
        results = []
        for way in IMPLEMENTATIONS:
            conversation = Conversation(way, capabilities=capabilities)
            if kind:
                prepared = ServerStatement(1, 0, 2, 0)
                before: Query = Execute(prepared, NO_PARAMETERS)
                exchange: Query = Execute(prepared, NO_PARAMETERS, streamed=streamed)
            else:
                before, exchange = query(), query(streamed)
            conversation.feed(before, [first])
            conversation.session.request(exchange)
            pending = bytearray()
            woken = []
            with receiver(way) as receive:
                for number, piece in enumerate(pieces):
                    if number == 1 and discarded:
                        exchange.discard()
                    if number == 1 and skipped and exchange.result is not None:
                        exchange.skip(exchange.result)
                    feed(receive, conversation.session, [piece], pending)
                    woken.append((exchange.consume_progress(), exchange.stored, exchange.paused))
            results.append((conversation.finish([exchange], pending), woken))
        assert results[0] == results[1], (data, pieces)


# Code that runs meanwhile

Act = Callable[["Meanwhile"], None]


class Meanwhile(Conversation):
    """A conversation in which something is done while a response is read."""

    def __init__(self, way: str, act: Act, *, streamed: bool = False) -> None:
        self.converted = 0
        super().__init__(way, converters={FIELD_TYPE.VAR_STRING: self.convert})
        self.act = act
        self.acts = False  # in a converter
        self.waits = False  # for the garbage collector
        self.taken: list[Any] = []
        self.started: list[Exchange] = []
        self.feed(query(), [frames(*RESPONSES["rows"], sequence_id=1)])
        self.exchange = query(streamed)

    def convert(self, text: str) -> str:
        if self.acts:
            self.converted += 1
            if self.converted == 2:
                self.act(self)
        return text

    def results(self) -> list[Result]:
        """Those that have begun."""
        found = list(self.exchange.results)
        if self.exchange.result is not None and self.exchange.result not in found:
            found.append(self.exchange.result)
        return found


class Trouble(BaseException):
    """No Exception."""


def raise_error(_: Meanwhile) -> None:
    raise OperationalError(1, "from a converter")


def raise_trouble(_: Meanwhile) -> None:
    raise Trouble


def fail(meanwhile: Meanwhile) -> None:
    meanwhile.session.fail(OperationalError(2, "failed"))


def fail_and_raise(meanwhile: Meanwhile) -> None:
    fail(meanwhile)
    raise Trouble


def lose(meanwhile: Meanwhile) -> None:
    meanwhile.session.connection_lost(ConnectionResetError("reset"))


def start(meanwhile: Meanwhile) -> None:
    if meanwhile.session.error is None:
        meanwhile.started.append(query())
        meanwhile.session.start(meanwhile.started[-1])


def skip(meanwhile: Meanwhile) -> None:
    for result in meanwhile.results():
        meanwhile.exchange.skip(result)


def discard(meanwhile: Meanwhile) -> None:
    if not meanwhile.exchange.done:
        meanwhile.exchange.discard()


def take(meanwhile: Meanwhile) -> None:
    for result in meanwhile.results():
        meanwhile.taken += meanwhile.exchange.take_rows(result)


def take_results(meanwhile: Meanwhile) -> None:
    meanwhile.taken += meanwhile.exchange.results
    meanwhile.exchange.results.clear()


ACTS: list[Act] = [
    *(raise_error, raise_trouble, fail, fail_and_raise, lose, start, skip, discard, take),
    take_results,
]


@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ["rows", "two", "many rows", "error in rows", "malformed row"])
def test_converters(name: str, act: Act, streamed: bool) -> None:
    data = frames(*RESPONSES[name], sequence_id=1)
    ends = []
    for way in IMPLEMENTATIONS:
        for at in (0, len(data) // 2, len(data) - 3):
            meanwhile = Meanwhile(way, act, streamed=streamed)
            meanwhile.acts = True
            pending = meanwhile.feed(meanwhile.exchange, [data[:at], data[at:]])
            exchange, session = meanwhile.exchange, meanwhile.session
            # A row that is not wanted any more is not looked at.
            ended = exchange.done or session.error is not None
            assert ended or name == "malformed row"
            for result in exchange.results:
                assert result.complete or not ended
                if result.skipped:
                    assert result.rows == []
            if act in (take, take_results) and session.error is None:
                rows = [row for row in meanwhile.taken if isinstance(row, tuple)]
                found = [*meanwhile.taken, *exchange.results]
                for result in found:
                    rows += result.rows if isinstance(result, Result) else []
                assert sorted(map(str, rows)) == sorted(
                    map(str, VALUES * (90 if name == "many rows" else 1))
                )
            if act in (raise_error, raise_trouble) and session.error is None and ended:
                assert "from a converter" in str(seen(exchange)) or "Trouble" in str(seen(exchange))
            if act in (fail, fail_and_raise):
                assert any(result.error is session.error for result in exchange.results)
                assert "failed" in str(session.error)
            others = [one for one in meanwhile.started if isinstance(one, Query)]
            ends.append((at, meanwhile.finish([exchange, *others], pending), meanwhile.converted))
    half = len(ends) // len(IMPLEMENTATIONS)
    assert ends[:half] == ends[-half:]


@pytest.mark.parametrize("act", [fail, lose, start, discard, take_results, raise_error])
@pytest.mark.parametrize("name", ["ok", "rows", "two", "several"])
def test_on_progress(name: str, act: Act) -> None:
    data = frames(*RESPONSES[name], sequence_id=1)
    ends = []
    for way in IMPLEMENTATIONS:
        for streamed in (False, True):
            meanwhile = Meanwhile(way, act, streamed=streamed)
            meanwhile.exchange.on_progress = lambda it=meanwhile: it.act(it)
            pending = meanwhile.feed(meanwhile.exchange, [data[:20], data[20:]])
            others = [one for one in meanwhile.started if isinstance(one, Query)]
            assert meanwhile.exchange.done
            ends.append(meanwhile.finish([meanwhile.exchange, *others], pending))
    half = len(ends) // len(IMPLEMENTATIONS)
    assert ends[:half] == ends[-half:]


@pytest.mark.slow
@pytest.mark.parametrize("way", IMPLEMENTATIONS)
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("act", [fail, lose, start, skip, discard, take, take_results])
@pytest.mark.parametrize("name", ["ok", "rows", "two", "several"])
def test_finalizers(name: str, act: Act, streamed: bool, way: str) -> None:
    """At every allocation of what the garbage collector tracks."""
    data = frames(*RESPONSES[name], sequence_id=1)
    old = gc.get_threshold()
    gc.collect()
    for threshold in range(1, 41):
        meanwhile = Meanwhile(way, act, streamed=streamed)

        due: list[bool] = []

        def collected(
            phase: str, _: object, meanwhile: Meanwhile = meanwhile, due: list[bool] = due
        ) -> None:
            if meanwhile.waits and phase == "stop":
                meanwhile.waits = False
                due.append(not meanwhile.exchange.done)
                act(meanwhile)

        gc.callbacks.append(collected)
        meanwhile.session.request(meanwhile.exchange)
        pending = bytearray(data)
        try:
            with receiver(way) as receive:
                call: Read = receive
                meanwhile.waits = True
                gc.set_threshold(threshold)
                used = call(meanwhile.session, pending, 0, len(data) - 3)
                gc.set_threshold(*old)
                meanwhile.waits = False
                del pending[:used]
                call(meanwhile.session, pending, 0, len(pending))
        finally:
            gc.set_threshold(*old)
            gc.callbacks.remove(collected)
        exchange, session = meanwhile.exchange, meanwhile.session
        assert exchange.done
        if session.error is None:
            # What was started meanwhile is still due, and nothing else.
            assert list(session.exchanges) == meanwhile.started
            rows = [row for row in meanwhile.taken if isinstance(row, tuple)]
            for result in [*meanwhile.taken, *exchange.results]:
                rows += result.rows if isinstance(result, Result) else []
            if act in (start, take, take_results) and name in ("rows", "two"):
                assert sorted(map(str, rows)) == sorted(map(str, VALUES))
        elif due[0]:
            assert any(result.error is session.error for result in exchange.results)
        others = [one for one in meanwhile.started if isinstance(one, Query)]
        meanwhile.finish([exchange, *others], pending)


# In C no Python code takes part


def entered(act: Callable[[], object]) -> list[str]:
    """The functions of Python that `act` enters."""
    found: list[str] = []

    def profile(frame: Any, event: str, argument: object) -> None:
        if event == "call":
            found.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.skipif("c" not in IMPLEMENTATIONS, reason="there are frames of Python")
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", ["ok", "no rows", "rows", "many rows", "two", "unchanged"])
def test_no_frame_of_python_is_entered(name: str, streamed: bool) -> None:
    cached = name in CACHED
    prepared = ServerStatement(1, 0, 2, 0)
    conversation = Conversation("c", capabilities=DEPRECATE_EOF | CACHE_METADATA * cached)
    first = CACHED["first"] if cached else RESPONSES["rows"]
    data = frames(*(CACHED if cached else RESPONSES)[name], sequence_id=1)
    metadata = len(frames(*(CACHED["unchanged"][:1] if cached else first[:3])))

    def new() -> Query:
        if cached:
            return Execute(prepared, NO_PARAMETERS, streamed=streamed)
        return query(streamed)

    conversation.feed(new(), [frames(*first, sequence_id=1)])
    session = conversation.session
    for at in range(0 if name == "ok" else metadata, len(data), 1 if len(data) < 400 else 50):
        exchange = new()
        session.request(exchange)
        pending = bytearray(data)

        def read(at: int = at, pending: bytearray = pending) -> None:
            used = session.receive(pending, 0, at)
            session.receive(pending, used, len(pending))

        assert entered(read) == ["read"]
        assert exchange.done
        assert session.idle


def status_ok(affected: int, status: int, message: bytes = b"") -> bytes:
    return bytes([0, affected, 0]) + status.to_bytes(2, "little") + b"\0\0" + message


OPEN = SERVER_STATUS.SERVER_STATUS_IN_TRANS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("prepares", [False, True])
@pytest.mark.parametrize(
    ("before", "text", "response", "after"),
    [
        (NO_CHANGES, b"INSERT", [status_ok(1, OPEN)], CHANGES),
        (NO_CHANGES, b"insert", [status_ok(0, OPEN)], NO_CHANGES),
        (NO_CHANGES, b"INSERT", [status_ok(1, 0)], NO_CHANGES),
        (NO_CHANGES, b"CALL p()", [status_ok(1, OPEN)], NO_CHANGES),
        (NO_CHANGES, b"SELECT 1 INTO @a", [status_ok(1, OPEN)], NO_CHANGES),
        (NO_CHANGES, b"LOAD DATA INFILE 'a' INTO TABLE t", [status_ok(1, OPEN)], CHANGES),
        (NO_CHANGES, b"UPDATE", [b"\2", *COLUMNS, END], NO_CHANGES),
        (CHANGES, b"UPDATE", [status_ok(1, OPEN)], CHANGES),
        (CHANGES, b"SELECT 1", [status_ok(0, OPEN)], CHANGES),
        (CHANGES, b"SAVEPOINT a", [status_ok(0, OPEN)], CHANGES),
        (CHANGES, b"ROLLBACK TO a", [status_ok(0, OPEN)], NO_CHANGES),
        (CHANGES, b"COMMIT", [status_ok(0, 0)], NO_CHANGES),
        (CHANGES, b"UPDATE", [ERROR], CHANGES_UNKNOWN),
        (CHANGES, b"UPDATE", [status_ok(1, OPEN | MORE), ERROR], CHANGES_UNKNOWN),
        (CHANGES_UNKNOWN, b"UPDATE", [status_ok(1, OPEN)], CHANGES_UNKNOWN),
        (CHANGES_UNKNOWN, b"ROLLBACK TO a", [status_ok(0, OPEN)], CHANGES_UNKNOWN),
        (CHANGES_UNKNOWN, b"ROLLBACK", [status_ok(0, 0)], NO_CHANGES),
    ],
)
def test_changes_that_are_not_committed(
    way: str, prepares: bool, before: int, text: bytes, response: list[bytes], after: int
) -> None:
    conversation = Conversation(way)
    session = conversation.session
    session.server_status = OPEN if before else 0
    session.uncommitted = before
    exchange = Query(text)
    if prepares:
        prepared = ServerStatement(1, 0, 0, 0, request=b"\x16" + text)
        prepared.is_simple = is_simple_statement(text, 0)
        prepared.is_row_change = prepared.is_simple and is_row_change(text, 0)
        exchange = Execute(prepared, NO_PARAMETERS)
    conversation.feed(exchange, [frames(*response, sequence_id=1)])
    assert exchange.done
    assert session.error is None
    assert session.uncommitted == after
    assert session.has_uncommitted_changes == (after == CHANGES)
    session.forget_changes()
    assert session.uncommitted == CHANGES_UNKNOWN


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_were_changed(way: str) -> None:
    """INSERT with RETURNING has no number of them."""
    end = END[:3] + OPEN.to_bytes(2, "little") + END[5:]
    for text, rows, after in (
        (b"INSERT INTO t VALUES (1) RETURNING n, s", TEXT_ROWS, CHANGES),
        (b"INSERT IGNORE INTO t VALUES (1) RETURNING n, s", [], NO_CHANGES),
        (b"SELECT n, s FROM t", TEXT_ROWS, NO_CHANGES),
    ):
        conversation = Conversation(way)
        for _ in range(2):  # with metadata that is known the second time
            conversation.session.uncommitted = NO_CHANGES
            response = frames(b"\2", *COLUMNS, *rows, end, sequence_id=1)
            conversation.feed(Query(text), [response])
            assert conversation.session.uncommitted == after


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_were_found(way: str) -> None:
    conversation = Conversation(way, capabilities=DEPRECATE_EOF | CLIENT.FOUND_ROWS)
    for changed, after in ((0, NO_CHANGES), (1, CHANGES), (0, CHANGES)):
        message = b"Rows matched: 1  Changed: %d  Warnings: 0" % changed
        response = frames(status_ok(1, OPEN, message), sequence_id=1)
        conversation.feed(Query(b"UPDATE t SET a = 1"), [response])
        assert conversation.session.uncommitted == after
