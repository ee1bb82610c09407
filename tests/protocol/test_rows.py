"""Text row decoding: every rule, on both implementations."""

from __future__ import annotations

import datetime
import gc
import sys
import tracemalloc
from typing import Any

import pytest
from pymysql.err import DataError

from aiomysql_protocol.rows.cells import CellKind, CellPlan
from aiomysql_protocol.wire.errors import MalformedPacket

from .row_bytes import (
    DrainRows,
    MakeDecoder,
    decode_all,
    drain_implementation,
    frames,
    implementation,
    length,
    payload,
    plan,
)

KIND = CellKind

INT, TEXT = plan(KIND.INT), plan(KIND.TEXT)


# Lengths and frames


@pytest.mark.parametrize("width", [1, 3, 4, 9])
@pytest.mark.parametrize("size", [0, 1, 250])
def test_every_form_of_length(make: MakeDecoder, width: int, size: int) -> None:
    # A row that begins with 0xfe would be taken for an EOF packet, so the column comes second.
    data = frames(payload(b"1") + payload(b"x" * size, width=width) + payload(b"2"))
    assert decode_all(make([INT, TEXT, INT]), data) == ([(1, "x" * size, 2)], len(data))


@pytest.mark.parametrize("size", [251, 252, 65535, 65536, 70000])
def test_long_values(make: MakeDecoder, size: int) -> None:
    data = frames(payload(b"x" * size, b"1"))
    assert decode_all(make([TEXT, INT]), data) == ([("x" * size, 1)], len(data))


def test_sequence_id_wraps_around(make: MakeDecoder) -> None:
    bodies = [payload(b"%d" % i) for i in range(600)]
    data = frames(*bodies, sequence_id=250)
    assert decode_all(make([INT]), data, 250) == ([(i,) for i in range(600)], len(data))


def test_nothing_to_decode(make: MakeDecoder) -> None:
    assert decode_all(make([INT]), b"") == ([], 0)


GOOD = frames(payload(b"1"), payload(b"22"))
FULL = b"\xff\xff\xff\x02" + payload(b"x" * (0xFFFFFF - 4))


@pytest.mark.parametrize(
    "stop",
    [
        b"",
        b"\x02",
        b"\x02\x00\x00\x02",
        b"\x02\x00\x00\x02\x01",
        b"\x00\x00\x00\x02",
        b"\x00\x00\x00\x02\x01\x31",
        frames(payload(b"3"), sequence_id=3),
        frames(payload(b"3"), sequence_id=1),
        frames(b"\xff\x19\x04#42000oops", sequence_id=2),
        frames(b"\xfe\x00\x00\x02\x00", sequence_id=2),
        frames(b"\xfe", sequence_id=2),
        frames(b"\xfe\x01\x00\x00\x00\x00\x00\x00\x00a", sequence_id=2),
        b"\xff\xff\xff\x02\x01\x31",
        FULL,
    ],
    ids=lambda stop: stop[:8].hex(),
)
def test_what_decoding_stops_at(make: MakeDecoder, stop: bytes) -> None:
    data = GOOD + stop
    assert decode_all(make([INT]), data) == ([(1,), (22,)], len(GOOD))
    rows: list[tuple[Any, ...]] = []
    assert make([INT]).decode(data, len(GOOD), len(data), 2, rows) == len(GOOD)
    assert rows == []


def test_only_the_range_is_read(make: MakeDecoder) -> None:
    row = frames(payload(b"1", b"x"))
    for data in (b"??" + row + row, bytearray(b"??" + row + row)):
        rows: list[tuple[Any, ...]] = []
        assert make([INT, TEXT]).decode(data, 2, 2 + len(row), 0, rows) == 2 + len(row)
        assert make([INT, TEXT]).decode(data, 2, len(data) - 1, 0, rows) == 2 + len(row)
        assert rows == [(1, "x")] * 2


@pytest.mark.parametrize(
    ("start", "end", "sequence_id"),
    [
        (-1, 4, 0),
        (0, 9, 0),
        (5, 4, 0),
        (9, 9, 0),
        (0, -1, 0),
        (0, 1 << 70, 0),
        (-(1 << 70), 4, 0),
        (0, 8, -1),
        (0, 8, 256),
        (0, 8, 1 << 70),
    ],
)
def test_arguments_out_of_range(make: MakeDecoder, start: int, end: int, sequence_id: int) -> None:
    with pytest.raises(ValueError, match=r"must|index-sized"):
        make([INT]).decode(b"\x02\x00\x00\x00\x01\x31xx", start, end, sequence_id, [])


def test_split_at_every_byte(make: MakeDecoder) -> None:
    columns = [INT, TEXT, plan(KIND.DATETIME), plan(KIND.FLOAT)]
    bodies = [
        payload(b"%d" % i, b"x" * (i * 50), None if i % 3 else b"2024-01-01 00:00:00", b"%d.5" % i)
        for i in range(8)
    ]
    data = frames(*bodies, sequence_id=254)
    decoder = make(columns)
    whole, _ = decode_all(decoder, data, 254)
    assert len(whole) == 8
    for cut in range(len(data) + 1):
        rows: list[tuple[Any, ...]] = []
        position = decoder.decode(data, 0, cut, 254, rows)
        assert position <= cut
        sequence_id = (254 + len(rows)) & 0xFF
        assert decoder.decode(data, position, len(data), sequence_id, rows) == len(data)
        assert rows == whole


def test_byte_by_byte(make: MakeDecoder) -> None:
    data = frames(*(payload(b"%d" % i, None, b"abc") for i in range(5)))
    decoder = make([INT, INT, TEXT])
    rows: list[tuple[Any, ...]] = []
    buffer = bytearray()
    for byte in data:
        buffer.append(byte)
        del buffer[: decoder.decode(buffer, 0, len(buffer), len(rows), rows)]
    assert rows == [(i, None, "abc") for i in range(5)]
    assert not buffer


def test_row_of_several_frames(make: MakeDecoder) -> None:
    cell = b"\x00ab\xfe" * (17 * 256 * 1024)
    body = payload(cell)
    assert body[0] == 0xFE
    assert make([plan(KIND.BYTES)]).decode_row(body) == (cell,)
    assert make([plan(KIND.BYTES)]).decode_row(bytearray(body)) == (cell,)


def test_one_row_alone(make: MakeDecoder) -> None:
    assert make([INT, TEXT]).decode_row(payload(b"7", b"x")) == (7, "x")
    assert make([]).decode_row(b"") == ()
    with pytest.raises(MalformedPacket):
        make([INT]).decode_row(b"")


# What is wrong with rows


BROKEN = [
    (b"\x01", "runs past the end"),
    (b"\xfa" + b"x" * 249, "runs past the end"),
    (b"\x011\x011", "left over"),
    (b"\x00\xfb", "left over"),
    (b"\xfc", "within a value's length"),
    (b"\xfc\x01", "within a value's length"),
    (b"\xfd\x01\x00", "within a value's length"),
    (b"\xfc\x05\x00abcd", "runs past the end"),
    (b"\xfd\xff\xff\xffx", "runs past the end"),
]


@pytest.mark.parametrize(("body", "message"), BROKEN)
def test_broken_rows(make: MakeDecoder, body: bytes, message: str) -> None:
    # With a column before, with a row after and before, and alone.
    data = frames(payload(b"1", b"2"), b"\x019" + body, payload(b"3", b"4"))
    rows: list[tuple[Any, ...]] = []
    with pytest.raises(MalformedPacket, match=message) as caught:
        make([INT, TEXT]).decode(data, 0, len(data), 0, rows)
    assert caught.value.args[0] == 2027
    assert rows == [(1, "2")]
    with pytest.raises(MalformedPacket, match=message):
        make([TEXT]).decode_row(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff", "begins with 0xff"),
        (b"\xfe\x01\x00\x00\x00\x00\x00\x00", "within a value's length"),
        (b"\xfe" + b"\xff" * 8 + b"x", "runs past the end"),
        (b"\xfe" + b"\x00" * 7 + b"\x80" + b"x", "runs past the end"),
        (b"\xfe" + b"\xff" * 7 + b"\x7f" + b"x", "runs past the end"),
    ],
)
def test_broken_rows_with_bytes_no_row_begins_with(
    make: MakeDecoder, body: bytes, message: str
) -> None:
    with pytest.raises(MalformedPacket, match=message):
        make([TEXT]).decode_row(body)
    with pytest.raises(MalformedPacket, match=message):
        decode_all(make([INT, TEXT]), frames(b"\x019" + body))


def test_too_few_columns(make: MakeDecoder) -> None:
    with pytest.raises(MalformedPacket, match="ends before its last column"):
        decode_all(make([INT, INT, INT]), frames(payload(b"1", b"2")))


def test_every_truncation_of_a_row(make: MakeDecoder) -> None:
    body = payload(b"12", None, b"x" * 300, b"2024-01-01", b"")
    columns = [INT, INT, TEXT, plan(KIND.DATE), TEXT]
    assert make(columns).decode_row(body) == (12, None, "x" * 300, datetime.date(2024, 1, 1), "")
    for size in range(len(body)):
        with pytest.raises(MalformedPacket):
            make(columns).decode_row(body[:size])


def test_structure_is_checked_before_values(make: MakeDecoder) -> None:
    seen: list[str] = []
    columns = [INT, plan(KIND.CONVERT, "utf8", seen.append), TEXT]
    with pytest.raises(MalformedPacket):
        decode_all(make(columns), frames(b"\x01?" + b"\x01a" + b"\x05x"))
    assert seen == []


@pytest.mark.parametrize(("body", "message"), BROKEN)
def test_structure_matters_more_than_values(make: MakeDecoder, body: bytes, message: str) -> None:
    with pytest.raises(MalformedPacket, match=message):
        make([INT, TEXT]).decode_row(b"\x01?" + body)
    with pytest.raises(MalformedPacket, match=message):
        make([TEXT, INT, TEXT]).decode_row(b"\x01a\x01?" + body)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (KIND.TEXT, b"\xff\xfe"),
        (KIND.TEXT, b"abc\xed\xa0\x80"),
        (KIND.INT, b""),
        (KIND.INT, b"-"),
        (KIND.INT, b"1.5"),
        (KIND.INT, b"\xb2"),
        (KIND.INT, b"9" * 5000),
        (KIND.FLOAT, b""),
        (KIND.FLOAT, b"1.2.3"),
        (KIND.FLOAT, b"1e"),
        (KIND.FLOAT, b"1\0"),
        (KIND.FLOAT, b"\xff"),
        (KIND.DECIMAL, b""),
        (KIND.DECIMAL, b"1.2.3"),
        (KIND.DECIMAL, b"\xff"),
        (KIND.DATETIME, b"2024"),
        (KIND.DATETIME, b"\xff" * 19),
        (KIND.DATE, b"99999999999999999999-01-01"),
        (KIND.DATE, b"\xff"),
        (KIND.TIMEDELTA, b"\xff"),
        (KIND.CONVERT, b"\xff"),
    ],
)
def test_unreadable_values(make: MakeDecoder, kind: CellKind, raw: bytes) -> None:
    column = plan(kind, "utf8", list, name="wrong one")
    rows: list[tuple[Any, ...]] = []
    data = frames(payload(b"1", b"1" if kind is KIND.INT else None), payload(b"2", raw))
    with pytest.raises(DataError, match="Column 'wrong one': cannot read b'") as caught:
        make([INT, column]).decode(data, 0, len(data), 0, rows)
    assert caught.value.__cause__ is not None
    assert len(str(caught.value)) < 250
    assert rows == [(1, 1 if kind is KIND.INT else None)]


def test_converter_errors_are_left_alone(make: MakeDecoder) -> None:
    class Trouble(ValueError):
        pass

    calls: list[str] = []

    def converter(text: str) -> str:
        calls.append(text)
        if text == "bad":
            raise Trouble(text)
        return text

    decoder = make([INT, plan(KIND.CONVERT, "utf8", converter), INT])
    data = frames(payload(b"1", b"a", b"1"), payload(b"2", b"bad", b"2"), payload(b"3", b"c", b"3"))
    rows: list[tuple[Any, ...]] = []
    with pytest.raises(Trouble, match="bad"):
        decoder.decode(data, 0, len(data), 0, rows)
    assert rows == [(1, "a", 1)]
    assert calls == ["a", "bad"]


# Plans and arguments


def test_incomplete_plans(make: MakeDecoder) -> None:
    with pytest.raises(ValueError, match="'a': TEXT needs an encoding"):
        make([plan(KIND.TEXT, None, name="a")])
    with pytest.raises(ValueError, match="'b': CONVERT needs a converter"):
        make([plan(KIND.CONVERT, name="b")])
    with pytest.raises(LookupError, match="no-such-codec"):
        make([plan(KIND.TEXT, "no-such-codec")])
    with pytest.raises(ValueError, match="'c': TIMESTAMP needs a zone"):
        make([CellPlan(KIND.TIMESTAMP, None, None, "c")])
    with pytest.raises(ValueError, match="10"):
        make([plan(10)])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        make(None)  # type: ignore[arg-type]


def test_plain_number_as_kind(make: MakeDecoder) -> None:
    assert make([plan(2)]).decode_row(payload(b"5")) == (5,)  # type: ignore[arg-type]


def test_wrong_types(make: MakeDecoder) -> None:
    decoder = make([INT])
    with pytest.raises(TypeError):
        decoder.decode("some text", 0, 9, 0, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        decoder.decode(b"", 0, 0, 0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        decoder.decode(b"", 0, None, 0, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        decoder.decode_row("text")  # type: ignore[arg-type]


# Converters that misbehave, and what is left behind


@pytest.mark.slow
def test_converter_may_use_the_decoder_and_the_rows(make: MakeDecoder) -> None:
    rows: list[tuple[Any, ...]] = []
    inner = frames(payload(b"inner", b"stop"))

    def converter(text: str) -> Any:
        if text == "stop":
            return text
        rows.clear()
        gc.collect()
        nested: list[tuple[Any, ...]] = []
        decoder.decode(inner, 0, len(inner), 0, nested)
        return nested

    decoder = make([TEXT, plan(KIND.CONVERT, "utf8", converter)])
    data = bytearray(frames(*[payload(b"same", b"x")] * 3))
    assert decoder.decode(data, 0, len(data), 0, rows) == len(data)
    assert rows == [("same", [("inner", "stop")])]
    data.clear()


def test_buffer_is_free_after_every_outcome(make: MakeDecoder) -> None:
    good, broken = bytearray(frames(payload(b"1"))), bytearray(frames(b"\x05"))
    decoder = make([INT])
    decode_all(decoder, good)
    with pytest.raises(MalformedPacket):
        decode_all(decoder, broken)
    with pytest.raises(MalformedPacket):
        decoder.decode_row(broken)
    with pytest.raises(ValueError, match="within the buffer"):
        decoder.decode(broken, 0, 99, 0, [])
    for buffer in (good, broken):
        buffer.clear()
        assert not buffer


def test_converter_cannot_pull_the_buffer_away(make: MakeDecoder) -> None:
    data = bytearray(frames(*[payload(b"x" * 100, b"y" * 100)] * 20))

    def converter(text: str) -> str:
        try:
            data.clear()
        except BufferError:
            assert len(data) > 0
        return text

    decoder = make([plan(KIND.CONVERT, "utf8", converter), TEXT])
    rows, _ = decode_all(decoder, data)
    assert rows == [("x" * 100, "y" * 100)] * 20


def test_collector_is_spared_atomic_rows_only() -> None:
    decoder = implementation("c")([INT, TEXT, plan(KIND.CONVERT, "utf8", list)])
    atomic, other = decode_all(
        decoder, frames(payload(b"1", b"a", None), payload(b"1", b"a", b""))
    )[0]
    assert not gc.is_tracked(atomic)
    assert gc.is_tracked(other)


def test_cycle_through_a_decoder_is_collected(make: MakeDecoder) -> None:
    class Owner:
        decoder: object = None
        alive = 0

        def __init__(self) -> None:
            Owner.alive += 1
            self.decoder = make([plan(KIND.CONVERT, "utf8", self.convert)])

        def convert(self, text: str) -> str:
            return text

        def __del__(self) -> None:
            Owner.alive -= 1

    Owner()
    gc.collect()
    assert Owner.alive == 0


@pytest.mark.slow
def test_memory_does_not_grow(make: MakeDecoder) -> None:
    columns = [
        *(INT, TEXT, plan(KIND.DECIMAL), plan(KIND.DATE)),
        *(plan(KIND.CONVERT, "utf8", str.upper), plan(KIND.CONVERT, None, bytes.upper)),
    ]
    good = [b"1", b"a", b"1.50", b"2024-13-01", b"convert", b"bytes"]
    outcomes = [
        frames(*[payload(b"1" * 25, b"\xc3\xa9" * 40, b"1", b"2024-01-01", b"ab", None)] * 3),
        frames(payload(*good), payload(b"x", *good[1:])),
        frames(payload(*good), payload(*good[:4], b"\xff", None)),
        frames(payload(*good), length(5)),
    ]

    def everything() -> None:
        for data in outcomes:
            rows: list[tuple[Any, ...]] = []
            decoder = make(columns)
            try:
                decoder.decode(data, 0, len(data), 0, rows)
            except (DataError, MalformedPacket):
                assert len(rows) == 1
            else:
                assert len(rows) == 3

    for _ in range(50):
        everything()
    references = sys.getrefcount(type(make([])))
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            everything()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 10_000, f"{grown} bytes more after 200 rounds"
    assert sys.getrefcount(type(make([]))) < references + 100


# Rows as dicts


KEYED = [plan(CellKind.INT, name="a"), plan(CellKind.TEXT, name="b"), plan(CellKind.INT)]
KEYED_ROWS = [(5, "ü", 1), (None, "x", None), (77, None, 3)]
KEYED_PAYLOADS = [payload(b"5", b"\xc3\xbc", b"1"), payload(None, b"x", None)]
KEYED_PAYLOADS += [payload(b"77", None, b"3")]


@pytest.mark.parametrize("times", [1, 7, 300])
@pytest.mark.parametrize("keys", [("a", "b", "c"), ("a", "b", "a"), ("ü", "", "")])
def test_rows_as_dicts(make: MakeDecoder, keys: tuple[str, ...], times: int) -> None:
    """Of equal keys the last one's value stays, in the first one's place."""
    decoder = make(KEYED)
    expected = [dict(zip(keys, row, strict=True)) for row in KEYED_ROWS] * times
    data = frames(*KEYED_PAYLOADS * times)
    for buffer in (data, bytearray(data)):
        rows: list[Any] = []
        assert decoder.decode(buffer, 0, len(data), 0, rows, keys) == len(data)
        assert rows == expected
        assert [list(row) for row in rows] == [list(row) for row in expected]
        assert all(type(row) is dict for row in rows)
    for body, row in zip(KEYED_PAYLOADS, KEYED_ROWS, strict=True):
        assert decoder.decode_row(body, keys) == dict(zip(keys, row, strict=True))
        assert decoder.decode_row(body, None) == row
    rows = []
    decoder.decode(data, 0, len(data), 0, rows, None)
    assert rows == KEYED_ROWS * times


def test_every_truncation_of_rows_as_dicts(make: MakeDecoder) -> None:
    decoder, keys = make(KEYED), ("a", "b", "c")
    data = frames(*KEYED_PAYLOADS)
    for end in range(len(data)):
        tuples: list[Any] = []
        dicts: list[Any] = []
        stop = decoder.decode(data, 0, end, 0, tuples)
        assert decoder.decode(data, 0, end, 0, dicts, keys) == stop
        assert dicts == [dict(zip(keys, row, strict=True)) for row in tuples]


@pytest.mark.parametrize("keys", [(), ("a", "b"), ("a", "b", "c", "d")])
def test_another_number_of_keys(make: MakeDecoder, keys: tuple[str, ...]) -> None:
    rows: list[Any] = []
    data = frames(*KEYED_PAYLOADS)
    with pytest.raises(ValueError, match="a key for each column"):
        make(KEYED).decode(data, 0, len(data), 0, rows, keys)
    with pytest.raises(ValueError, match="a key for each column"):
        make(KEYED).decode_row(KEYED_PAYLOADS[0], keys)
    assert rows == []


def test_c_refuses_keys_that_are_none() -> None:
    decoder: Any = implementation("c")(KEYED)
    for keys in ("abc", ["a", "b", "c"], ("a", "b", 3), ("a", "b", b"c"), 5):
        with pytest.raises(TypeError):
            decoder.decode(frames(*KEYED_PAYLOADS), 0, 4, 0, [], keys)
        with pytest.raises(TypeError):
            decoder.decode_row(KEYED_PAYLOADS[0], keys)


@pytest.mark.parametrize(
    "bad", [payload(b"1", b"a"), payload(b"1", b"a", b"2") + b"x", payload(b"x", b"a", b"2")]
)
def test_dicts_before_a_row_that_fails(make: MakeDecoder, bad: bytes) -> None:
    rows: list[Any] = []
    data = frames(*KEYED_PAYLOADS, bad)
    with pytest.raises((MalformedPacket, DataError)):
        make(KEYED).decode(data, 0, len(data), 0, rows, ("a", "b", "c"))
    assert rows == [dict(zip("abc", row, strict=True)) for row in KEYED_ROWS]


def test_dicts_of_converted_values(make: MakeDecoder) -> None:
    """A converter sees nothing of a malformed row, and its error is left alone."""
    seen: list[str] = []

    def convert(text: str) -> list[str]:
        seen.append(text)
        if text == "bad":
            raise ZeroDivisionError
        return [text]

    decoder = make([plan(CellKind.INT), plan(CellKind.CONVERT, converter=convert)])
    data = frames(payload(b"1", b"x"), payload(b"2", b"bad"))
    rows: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        decoder.decode(data, 0, len(data), 0, rows, ("n", "v"))
    assert rows == [{"n": 1, "v": ["x"]}]
    data = frames(payload(b"1", b"y") + b"?")
    with pytest.raises(MalformedPacket):
        decoder.decode(data, 0, len(data), 0, rows, ("n", "v"))
    assert seen == ["x", "bad"]


@pytest.mark.parametrize("count", [0, 1, 9, 700])
def test_dicts_of_many_columns(make: MakeDecoder, count: int) -> None:
    keys = tuple(map(str, range(count)))
    decoder = make([plan(CellKind.INT)] * count)
    body = payload(*[b"%d" % number for number in range(count)])
    rows: list[Any] = []
    data = frames(*[body] * 3) if body else b""
    decoder.decode(data, 0, len(data), 0, rows, keys)
    expected = dict(zip(keys, range(count), strict=True))
    assert rows == [expected] * (3 if count else 0)
    assert decoder.decode_row(body, keys) == expected


# Rows as a tuple


@pytest.mark.parametrize("count", [0, 1, 2, 20, 21, 1000])
def test_drained_rows(drain_rows: DrainRows, count: int) -> None:
    made: list[tuple[Any, ...]] = [(number, object()) for number in range(count)]
    rows = list(made)
    drained = drain_rows(rows)
    assert type(drained) is tuple
    assert all(one is other for one, other in zip(drained, made, strict=True))
    assert rows == []
    rows.append((1,))
    assert rows == [(1,)]


def test_drained_rows_are_counted_once(drain_rows: DrainRows) -> None:
    row = (object(),)
    before = sys.getrefcount(row)
    rows = [row] * 10
    drained = drain_rows(rows)
    assert sys.getrefcount(row) == before + 10
    del drained
    assert sys.getrefcount(row) == before


def test_drain_what_is_no_list() -> None:
    drain: Any = drain_implementation("c")
    with pytest.raises(TypeError, match="drain_rows takes a list"):
        drain(((1,),))


# Many columns


@pytest.mark.slow
def test_row_of_many_columns_takes_no_memory_before_it_is_there(make: MakeDecoder) -> None:
    decoder = make([TEXT] * (1 << 16))
    data = frames(b"\0" * (1 << 16))[:-1]
    tracemalloc.start()
    try:
        assert decode_all(decoder, data) == ([], 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.slow
def test_rows_of_many_columns_take_little_more_memory_than_themselves(make: MakeDecoder) -> None:
    count = 1 << 16
    decoder = make([TEXT] * count)
    data = frames(b"\1x" * count)
    tracemalloc.start()
    try:
        rows, _ = decode_all(decoder, data)
        assert rows == [("x",) * count]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 15_000_000
