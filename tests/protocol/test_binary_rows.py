"""Binary rows: the values of each type, what is malformed, and both implementations alike."""

from __future__ import annotations

import datetime
import random
import struct
import time
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE
from pymysql.err import DataError

from aiomysql_protocol.rows.binary import PyBinaryRowDecoder
from aiomysql_protocol.rows.binary_cells import NOT_FIXED, BinaryPlan
from aiomysql_protocol.rows.cells import CellKind, CellPlan
from aiomysql_protocol.wire.errors import MalformedPacket

from .row_bytes import (
    MakeBinaryDecoder,
    binary_implementation,
    binary_payload,
    decode_all,
    frames,
    plan,
)
from .test_rows_random import convert, mutated, outcome

T = FIELD_TYPE
KIND = CellKind


def column(
    type_code: int,
    kind: CellKind,
    *,
    encoding: str | None = "utf8",
    unsigned: bool = False,
    decimals: int = NOT_FIXED,
    zerofill: int = 0,
    name: str = "col",
) -> BinaryPlan:
    cell = plan(kind, encoding, convert, name)
    return BinaryPlan(type_code, cell, unsigned, decimals, zerofill)


def text(type_code: int, *, decimals: int = NOT_FIXED, zerofill: int = 0) -> BinaryPlan:
    """A column of which the values are read as the server's text for them."""
    return column(type_code, KIND.TEXT, encoding="ascii", decimals=decimals, zerofill=zerofill)


def date(year: int, month: int, day: int, *clock: int) -> bytes:
    """The bytes of a date; `clock`: hour, minute, second, microsecond."""
    raw = struct.pack("<HBB", year, month, day) + bytes(clock[:3])
    return raw + (struct.pack("<I", clock[3]) if len(clock) > 3 else b"")


def clock(days: int, hours: int, minutes: int, seconds: int, *rest: int, sign: int = 0) -> bytes:
    """The bytes of a TIME; `rest`: microseconds."""
    return struct.pack("<BI3B", sign, days, hours, minutes, seconds) + b"".join(
        struct.pack("<I", n) for n in rest
    )


DATETIME = column(T.DATETIME, KIND.DATETIME, decimals=6)
DATE = column(T.DATE, KIND.DATE, decimals=0)
TIME = column(T.TIME, KIND.TIMEDELTA, decimals=6)
LONGEST = datetime.timedelta(days=41)

CASES: list[tuple[BinaryPlan, bytes, Any]] = [
    (column(T.TINY, KIND.INT), b"\x80", -128),
    (column(T.TINY, KIND.INT, unsigned=True), b"\x80", 128),
    (column(T.SHORT, KIND.INT), b"\xfe\xff", -2),
    (column(T.YEAR, KIND.INT, unsigned=True), struct.pack("<H", 2155), 2155),
    (column(T.INT24, KIND.INT), struct.pack("<i", -8388608), -8388608),
    (column(T.LONG, KIND.INT), struct.pack("<i", -(2**31)), -(2**31)),
    (column(T.LONG, KIND.INT, unsigned=True), b"\xff" * 4, 2**32 - 1),
    (column(T.LONGLONG, KIND.INT), struct.pack("<q", -(2**63)), -(2**63)),
    (column(T.LONGLONG, KIND.INT, unsigned=True), b"\xff" * 8, 2**64 - 1),
    (column(T.LONG, KIND.FLOAT), b"\7\0\0\0", 7.0),
    (column(T.LONG, KIND.BYTES), b"\xff" * 4, b"-1"),
    (text(T.LONG, zerofill=5), b"\7\0\0\0", "00007"),
    (column(T.DOUBLE, KIND.FLOAT), struct.pack("<d", 0.1), 0.1),
    (column(T.DOUBLE, KIND.FLOAT, decimals=39), struct.pack("<d", -1e-300), -1e-300),
    (column(T.DOUBLE, KIND.FLOAT, decimals=2), struct.pack("<d", 2.675), 2.67),
    (column(T.DOUBLE, KIND.FLOAT, decimals=2), struct.pack("<d", 0.1 + 0.2), 0.3),
    (column(T.DOUBLE, KIND.FLOAT, decimals=0), struct.pack("<d", 1e300), 1e300),
    (column(T.DOUBLE, KIND.DECIMAL), struct.pack("<d", 0.1), Decimal("0.1")),
    (column(T.FLOAT, KIND.FLOAT), struct.pack("<f", 0.1), 0.1),
    (column(T.FLOAT, KIND.FLOAT), struct.pack("<f", 16777216), 16777200.0),
    (column(T.FLOAT, KIND.FLOAT), struct.pack("<f", 1234565), 1234560.0),  # a tie: to even
    (column(T.FLOAT, KIND.FLOAT), struct.pack("<f", 999999.5), 1000000.0),
    (column(T.FLOAT, KIND.FLOAT), struct.pack("<f", 3.4e38), 3.4e38),
    (column(T.FLOAT, KIND.FLOAT), struct.pack("<f", 1e-45), 1.4013e-45),
    (column(T.FLOAT, KIND.FLOAT, decimals=2), struct.pack("<f", 1.005), 1.0),
    (text(T.FLOAT), struct.pack("<f", 1e20), "1e20"),
    (text(T.FLOAT), struct.pack("<f", -1.25e-20), "-1.25e-20"),
    (text(T.DOUBLE), struct.pack("<d", 1e-15), "0.000000000000001"),
    (text(T.DOUBLE), struct.pack("<d", -0.0), "-0"),
    (text(T.DOUBLE, decimals=3), struct.pack("<d", 1), "1.000"),
    (DATETIME, date(2024, 2, 29), datetime.datetime(2024, 2, 29)),
    (DATETIME, date(2024, 2, 29, 1, 2, 3), datetime.datetime(2024, 2, 29, 1, 2, 3)),
    (DATETIME, date(9999, 12, 31, 23, 59, 59, 999999), datetime.datetime.max),
    (DATETIME, b"", "0000-00-00 00:00:00.000000"),
    (DATETIME, date(2024, 2, 30), "2024-02-30 00:00:00.000000"),
    (DATETIME, date(2024, 0, 0, 1, 2, 3, 4), "2024-00-00 01:02:03.000004"),
    (column(T.TIMESTAMP, KIND.DATETIME, decimals=0), b"", "0000-00-00 00:00:00"),
    (
        column(T.DATETIME, KIND.DATETIME, decimals=2),
        date(2024, 1, 1, 0, 0, 0, 123456),
        datetime.datetime(2024, 1, 1, 0, 0, 0, 120000),
    ),
    (text(T.DATETIME, decimals=39), date(2024, 1, 1, 0, 0, 0, 5), "2024-01-01 00:00:00.000005"),
    (text(T.DATETIME, decimals=39), date(2024, 1, 1), "2024-01-01 00:00:00"),
    (DATE, date(2024, 2, 29), datetime.date(2024, 2, 29)),
    (DATE, b"", "0000-00-00"),
    (DATE, date(2023, 2, 29), "2023-02-29"),
    (TIME, b"", datetime.timedelta()),
    (TIME, clock(34, 22, 59, 59), datetime.timedelta(hours=838, minutes=59, seconds=59)),
    (TIME, clock(0, 0, 0, 1, 5, sign=1), -datetime.timedelta(seconds=1, microseconds=5)),
    (text(T.TIME, decimals=3), clock(34, 22, 59, 58, 500000, sign=1), "-838:59:58.500"),
    (text(T.TIME, decimals=0), b"", "00:00:00"),
    (column(T.NEWDECIMAL, KIND.DECIMAL), b"-1.50", Decimal("-1.50")),
    (column(T.VAR_STRING, KIND.TEXT), "ü".encode(), "ü"),
    (column(T.VAR_STRING, KIND.TEXT), b"a" * 300, "a" * 300),
    (column(T.BLOB, KIND.BYTES, encoding=None), b"\0\xff", b"\0\xff"),
    (column(T.BIT, KIND.BYTES, encoding=None), b"\1", b"\1"),
    (column(T.LONG, KIND.CONVERT), b"\7\0\0\0", "7"),
    (column(T.VAR_STRING, KIND.CONVERT), b"abc", "Abc"),
    (column(T.DATE, KIND.CONVERT, decimals=0), date(2024, 1, 2), "2024-01-02"),
]


@pytest.mark.parametrize(("one", "raw", "value"), CASES)
def test_values(make_binary: MakeBinaryDecoder, one: BinaryPlan, raw: bytes, value: Any) -> None:
    decoder = make_binary([one])
    assert repr(decoder.decode_row(binary_payload([one], [raw]))) == repr((value,))
    data = frames(*[binary_payload([one], [cell]) for cell in (raw, None, raw, raw)])
    rows, position = decode_all(decoder, data)
    assert position == len(data)
    assert repr(rows) == repr([(value,), (None,), (value,), (value,)])


def test_all_columns_at_once(make_binary: MakeBinaryDecoder) -> None:
    plans = [one for one, _, _ in CASES]
    decoder = make_binary(plans)
    rng = random.Random(5)
    for _ in range(100):  # more combinations of NULLs than are kept
        chosen = [rng.randrange(4) > 0 for _ in CASES]
        pairs = list(zip(chosen, CASES, strict=True))
        cells = [raw if take else None for take, (_, raw, _) in pairs]
        expected = [value if take else None for take, (_, _, value) in pairs]
        rows, _ = decode_all(decoder, frames(binary_payload(plans, cells)))
        assert repr(rows) == repr([tuple(expected)])


@pytest.mark.parametrize("count", range(1, 27))
def test_nulls_among_any_number_of_columns(make_binary: MakeBinaryDecoder, count: int) -> None:
    """The bitmap has as many bytes as the number needs."""
    plans = INT * count
    decoder = make_binary(plans)
    for null in (None, 0, count - 1):
        values = [None if place == null else place for place in range(count)]
        cells = [None if value is None else struct.pack("<I", value) for value in values]
        rows, _ = decode_all(decoder, frames(binary_payload(plans, cells)))
        assert rows == [tuple(values)]


ONE = [column(T.VAR_STRING, KIND.TEXT)]
INT = [column(T.LONG, KIND.INT)]


@pytest.mark.parametrize(
    ("plans", "row"),
    [
        (INT, b"\1\0\1\0\0\0"),
        (INT, b"\0"),
        (INT, b"\0\0"),
        (INT, b"\0\0\1\0\0"),
        (INT, b"\0\0\1\0\0\0\0"),
        (INT, b"\0\4\1\0\0\0"),
        (INT * 7, b"\0\0"),
        (ONE, b"\0\0"),
        (ONE, b"\0\0\2a"),
        (ONE, b"\0\0\1ab"),
        (ONE, b"\0\0\xfb"),
        (ONE, b"\0\0\xff"),
        (ONE, b"\0\0\xfc\1"),
        (ONE, b"\0\0\xfe" + b"\xff" * 8),
        ([DATE], b"\0\0\4\0\0"),
    ],
)
def test_malformed(make_binary: MakeBinaryDecoder, plans: list[BinaryPlan], row: bytes) -> None:
    rows: list[tuple[Any, ...]] = []
    decoder = make_binary(plans)
    with pytest.raises(MalformedPacket):
        decoder.decode_row(row)
    data = frames(row)
    with pytest.raises(MalformedPacket):
        decoder.decode(data, 0, len(data), 0, rows)
    with pytest.raises(MalformedPacket):  # as if another row followed at once
        decoder.decode(data + bytes(20), 0, len(data), 0, rows)
    assert rows == []


def test_an_empty_row_is_malformed(make_binary: MakeBinaryDecoder) -> None:
    with pytest.raises(MalformedPacket):
        make_binary(INT).decode_row(b"")


def test_structure_is_checked_before_a_converter_runs(make_binary: MakeBinaryDecoder) -> None:
    called: list[str] = []
    cell = CellPlan(KIND.CONVERT, "utf8", called.append, "c")
    plans = [BinaryPlan(T.VAR_STRING, cell), *INT]
    data = frames(b"\0\0\1a\1\0\0")
    with pytest.raises(MalformedPacket):
        make_binary(plans).decode(data, 0, len(data), 0, [])
    assert called == []


@pytest.mark.parametrize(
    ("one", "raw"),
    [
        (DATETIME, b"\1"),
        (DATETIME, bytes(12)),
        (DATETIME, date(2024, 1, 1, 0, 0, 0, 1_000_000)),
        (DATE, b"\1\2\3"),
        (TIME, bytes(7)),
        (TIME, clock(0, 0, 0, 0, 1_000_000)),
        (column(T.VAR_STRING, KIND.TEXT), b"\xff"),
        (column(T.NEWDECIMAL, KIND.DECIMAL), b"x"),
        (column(T.VAR_STRING, KIND.INT), b"x"),
    ],
)
def test_unreadable(make_binary: MakeBinaryDecoder, one: BinaryPlan, raw: bytes) -> None:
    good = binary_payload([one], [None])
    data = frames(good, binary_payload([one], [raw]), good)
    rows: list[tuple[Any, ...]] = []
    with pytest.raises(DataError, match="Column 'col': cannot read"):
        make_binary([one]).decode(data, 0, len(data), 0, rows)
    assert rows == [(None,)]


def test_where_decoding_stops(make_binary: MakeBinaryDecoder) -> None:
    decoder = make_binary(INT)
    row = binary_payload(INT, [b"\1\0\0\0"])
    for stop in (b"\xfe\0\0\2\0", b"\xff\1\1", b""):
        assert decode_all(decoder, frames(row, row, stop, row)) == ([(1,)] * 2, 20)
    assert decode_all(decoder, frames(row) + frames(row, sequence_id=2)) == ([(1,)], 10)
    assert decode_all(decoder, frames(row, row)[:-1]) == ([(1,)], 10)
    assert decode_all(decoder, bytearray(frames(row)), 1) == ([], 0)
    assert decode_all(decoder, frames(row, row, sequence_id=255), 255) == ([(1,)] * 2, 20)
    for start, end in ((-1, 5), (5, 1), (0, 11)):
        with pytest.raises(ValueError, match="within the buffer"):
            decoder.decode(frames(row), start, end, 0, [])


def test_incomplete_plans(make_binary: MakeBinaryDecoder) -> None:
    with pytest.raises(ValueError, match="TEXT needs an encoding"):
        make_binary([BinaryPlan(T.BLOB, CellPlan(KIND.TEXT, None, None, "c"))])
    with pytest.raises(ValueError, match="CONVERT needs a converter"):
        make_binary([BinaryPlan(T.BLOB, CellPlan(KIND.CONVERT, None, None, "c"))])
    with pytest.raises(ValueError, match="-1 decimals"):
        make_binary([column(T.DOUBLE, KIND.FLOAT, decimals=-1)])
    with pytest.raises(LookupError):
        make_binary([BinaryPlan(T.BLOB, CellPlan(KIND.TEXT, "no such", None, "c"))])
    for width in (-1, 256, 1 << 32):
        with pytest.raises(ValueError, match=f"zeros up to {width} characters"):
            make_binary([text(T.LONG, zerofill=width)])


@pytest.mark.slow
def test_very_many_columns(make_binary: MakeBinaryDecoder) -> None:
    """Neither a time that grows with the square of their count, nor much memory beside the rows."""
    count = 1 << 16
    decoder = make_binary([text(T.LONG)] * count)
    rng = random.Random(3)
    nulls = [(rng.getrandbits(32) << 2 | ((1 << count + 2) - (1 << 34))) for _ in range(10)]
    bodies = [
        b"\0" + bitmap.to_bytes((count + 9) // 8, "little") + b"\7\0\0\0" * (32 - ones)
        for bitmap in nulls
        for ones in [(bitmap >> 2 & 0xFFFFFFFF).bit_count()]
    ]
    begin = time.process_time()
    tracemalloc.start()
    try:
        for body in bodies:
            rows, _ = decode_all(decoder, frames(body))
            assert [len(row) for row in rows] == [count]
            assert rows[0].count("7") + rows[0].count(None) == count
            del rows
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < 4
    assert kept < 30_000_000


@pytest.mark.parametrize("name", ["c", "python"])
@settings(max_examples=100, deadline=None)
@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_have_six_digits(name: str, value: float) -> None:
    plans = [column(T.FLOAT, KIND.FLOAT)]
    raw = struct.pack("<f", value)
    (found,) = binary_implementation(name)(plans).decode_row(binary_payload(plans, [raw]))
    assert repr(found) == repr(float(f"{value:.6g}"))


@pytest.mark.parametrize("name", ["c", "python"])
@settings(max_examples=100, deadline=None)
@given(
    value=st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**9), 10**9).map(lambda n: n / 100),
    decimals=st.integers(0, 30),
)
def test_reals_have_fixed_decimals(name: str, value: float, decimals: int) -> None:
    plans = [column(T.DOUBLE, KIND.FLOAT, decimals=decimals)]
    raw = struct.pack("<d", value)
    (found,) = binary_implementation(name)(plans).decode_row(binary_payload(plans, [raw]))
    assert repr(found) == repr(float(f"{value:.{decimals}f}"))


@pytest.mark.parametrize("name", ["c", "python"])
@settings(max_examples=100, deadline=None)
@given(value=st.datetimes(), time=st.timedeltas(-LONGEST, LONGEST))
def test_dates_and_times(name: str, value: datetime.datetime, time: datetime.timedelta) -> None:
    plans = [DATETIME, DATE, TIME]
    seconds, micro = divmod(abs(time) // datetime.timedelta(microseconds=1), 1_000_000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    cells = [
        date(*value.timetuple()[:6], value.microsecond),
        date(*value.timetuple()[:3]),
        clock(*divmod(hours, 24), minute, second, micro, sign=int(time < datetime.timedelta())),
    ]
    found = binary_implementation(name)(plans).decode_row(binary_payload(plans, cells))
    assert found == (value, value.date(), time)


# Both implementations on anything

TYPES = [
    *(T.TINY, T.SHORT, T.YEAR, T.LONG, T.INT24, T.LONGLONG, T.FLOAT, T.DOUBLE, T.NULL, T.DATE),
    *(T.DATETIME, T.TIMESTAMP, T.TIME, T.NEWDECIMAL, T.VAR_STRING, T.BLOB, T.NEWDATE, T.BIT, 200),
]
#: The kinds that columns of a type have by default.
USUAL = {
    **dict.fromkeys((T.TINY, T.SHORT, T.YEAR, T.LONG, T.INT24, T.LONGLONG), KIND.INT),
    **dict.fromkeys((T.FLOAT, T.DOUBLE), KIND.FLOAT),
    **dict.fromkeys((T.DATETIME, T.TIMESTAMP), KIND.DATETIME),
    T.DATE: KIND.DATE,
    T.TIME: KIND.TIMEDELTA,
    T.NEWDECIMAL: KIND.DECIMAL,
}


def random_plan(rng: random.Random) -> BinaryPlan:
    type_code = rng.choice(TYPES)
    kind = USUAL.get(type_code, KIND.TEXT) if rng.randrange(3) else rng.choice(list(CellKind))
    return column(
        type_code,
        kind,
        encoding=rng.choice(["utf8", "ascii", "cp1252"]),
        unsigned=rng.random() < 0.5,
        decimals=rng.choice([0, 2, 6, 31, 39]),
        zerofill=rng.choice([0, 0, 0, 12]),
        name=f"c{rng.randrange(3)}",
    )


def random_cell(rng: random.Random, one: BinaryPlan) -> bytes | None:
    fitting = [raw for other, raw, _ in CASES if other.type_code == one.type_code]
    raw = rng.choice(fitting or [b"", b"7", b"-1.5", "ü".encode(), b"2024-01-02", b"x" * 260])
    if rng.randrange(6) == 0:
        return None
    if rng.randrange(3):
        return raw
    if one.type_code in (T.FLOAT, T.DOUBLE):
        powers = [10.0**exponent for exponent in range(-30, 30)]
        number = rng.choice([rng.uniform(-1e6, 1e6), rng.randrange(10**7) / 2, *powers])
        return struct.pack("<f" if one.type_code == T.FLOAT else "<d", number)
    changed = bytearray(raw)
    if changed:
        changed[rng.randrange(len(changed))] = rng.choice([0, 1, 59, 60, 99, 255])
    return bytes(changed)


def run_binary_fuzz(rounds: int, seed: int) -> tuple[int, int]:
    """Compare both on random rows; return how many were read whole, and how many raised."""
    rng = random.Random(seed)
    make_c = binary_implementation("c")
    whole = failed = 0
    for _ in range(rounds):
        plans = [random_plan(rng) for _ in range(rng.choice([1, 1, 2, 3, 8]))]
        sequence_id = rng.choice([0, 1, 254])
        bodies = []
        for _ in range(rng.choice([1, 2, 3])):
            body = binary_payload(plans, [random_cell(rng, one) for one in plans])
            bodies.append(body if rng.randrange(6) else mutated(rng, body))
        data = frames(*bodies, sequence_id=sequence_id)
        in_c = outcome(make_c(plans), data, sequence_id)
        in_python = outcome(PyBinaryRowDecoder(plans), data, sequence_id)
        assert in_c == in_python, (plans, data, sequence_id)
        whole += in_c[1] == repr(len(data))
        failed += isinstance(in_c[1], tuple)
    return whole, failed


@pytest.mark.slow
def test_both_alike_on_mutated_rows() -> None:
    whole, failed = run_binary_fuzz(5_000, seed=random.SystemRandom().randrange(1 << 32))
    assert whole > 500
    assert failed > 500


@pytest.mark.parametrize("keys", [("a", "b"), ("a", "a")])
def test_binary_rows_as_dicts(make_binary: MakeBinaryDecoder, keys: tuple[str, ...]) -> None:
    plans = [
        BinaryPlan(FIELD_TYPE.LONG, plan(CellKind.INT)),
        BinaryPlan(FIELD_TYPE.VAR_STRING, plan(CellKind.TEXT)),
    ]
    cells: list[list[bytes | None]] = [[b"\5\0\0\0", b"\xc3\xbc"], [None, b"x"]]
    bodies = [binary_payload(plans, row) for row in cells] * 40
    expected = [dict(zip(keys, row, strict=True)) for row in [(5, "ü"), (None, "x")] * 40]
    data = frames(*bodies)
    rows: list[Any] = []
    decoder = make_binary(plans)
    assert decoder.decode(data, 0, len(data), 0, rows, keys) == len(data)
    assert rows == expected
    assert [decoder.decode_row(body, keys) for body in bodies] == expected
    with pytest.raises(ValueError, match="a key for each column"):
        decoder.decode_row(bodies[0], ("a",))
