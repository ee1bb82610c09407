"""Text row decoding on random input: equal to PyMySQL's converters, and both alike."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE
from pymysql.converters import decoders
from pymysql.err import DataError

from aiomysql_protocol.rows.cells import CellKind, CellPlan, general_reader
from aiomysql_protocol.rows.text import PyTextRowDecoder, RowDecoder

from .row_bytes import BERLIN, decode_all, frames, implementation, length, need_c, payload, plan

KIND = CellKind
ENCODINGS = ["utf8", "cp1252", "ascii", "latin1", "gbk"]

CONVERTERS: dict[CellKind, Callable[[str], Any]] = {
    KIND.INT: decoders[FIELD_TYPE.LONGLONG],
    KIND.FLOAT: decoders[FIELD_TYPE.DOUBLE],
    KIND.DECIMAL: decoders[FIELD_TYPE.NEWDECIMAL],
    KIND.DATETIME: decoders[FIELD_TYPE.DATETIME],
    KIND.DATE: decoders[FIELD_TYPE.DATE],
    KIND.TIMEDELTA: decoders[FIELD_TYPE.TIME],
    KIND.TIMESTAMP: lambda text: decoders[FIELD_TYPE.DATETIME](text).replace(tzinfo=BERLIN.tzinfo),
}


def time_text(value: datetime.timedelta) -> str:
    """A TIME as a server writes it."""
    seconds, microseconds = divmod(abs(value) // datetime.timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    sign = "-" if value < datetime.timedelta() else ""
    fraction = f".{microseconds:06}" if microseconds else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"


MAXIMUM = datetime.timedelta(hours=838, minutes=59, seconds=59)

TEXTS: dict[CellKind, st.SearchStrategy[str]] = {
    KIND.TEXT: st.text(max_size=300),
    KIND.INT: st.integers(-(1 << 70), 1 << 70).map(str),
    KIND.FLOAT: st.floats(allow_nan=False).map(repr)
    | st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
    KIND.DECIMAL: st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: f"{d:f}"),
    KIND.DATETIME: st.datetimes().map(lambda value: value.isoformat(" ")),
    KIND.DATE: st.dates().map(str),
    KIND.TIMEDELTA: st.timedeltas(-MAXIMUM, MAXIMUM).map(time_text),
    # In January no clock was ever changed.
    KIND.TIMESTAMP: st.datetimes().map(lambda value: value.replace(month=1).isoformat(" ")),
}


@st.composite
def columns_and_rows(
    draw: st.DrawFn,
) -> tuple[list[CellPlan], list[list[bytes | None]], list[tuple[Any, ...]]]:
    """Plans, the values' bytes, and the values that are expected."""
    kinds = draw(st.lists(st.sampled_from(list(CellKind)), min_size=1, max_size=6))
    plans = [
        plan(kind, draw(st.sampled_from(ENCODINGS)), str.upper, name=f"c{i}")
        for i, kind in enumerate(kinds)
    ]
    cells, expected = [], []
    for _ in range(draw(st.integers(1, 4))):
        pairs = [
            (None, None) if draw(st.integers(0, 9)) == 0 else draw_cell(draw, p) for p in plans
        ]
        cells.append([raw for raw, _ in pairs])
        expected.append(tuple(value for _, value in pairs))
    return plans, cells, expected


def draw_cell(draw: st.DrawFn, column: CellPlan) -> tuple[bytes, Any]:
    if column.kind is KIND.BYTES:
        raw = draw(st.binary(max_size=300))
        return raw, raw
    if column.kind in CONVERTERS:
        text = draw(TEXTS[column.kind])
        return text.encode("ascii"), CONVERTERS[column.kind](text)
    assert column.encoding is not None
    raw = draw(TEXTS[KIND.TEXT]).encode(column.encoding, "ignore")
    text = raw.decode(column.encoding)
    return raw, text.upper() if column.kind is KIND.CONVERT else text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c", "python"])
@settings(max_examples=150, deadline=None)
@given(drawn=columns_and_rows(), sequence_id=st.integers(0, 255))
def test_round_trip(
    name: str,
    drawn: tuple[list[CellPlan], list[list[bytes | None]], list[tuple[Any, ...]]],
    sequence_id: int,
) -> None:
    plans, cells, expected = drawn
    bodies = [payload(*row) for row in cells]
    data = frames(*bodies, sequence_id=sequence_id)
    rows, position = decode_all(implementation(name)(plans), data, sequence_id)
    assert position == len(data)
    assert repr(rows) == repr(expected)


# Both implementations on anything

ALPHABET = [b"0", b"1", b"9", b"-", b".", b":", b" ", b"e", b"T", b"\x1c", b"_", b"\x85", b"\xff"]
ALPHABET += [b"\xd9\xa1", b"\xef\xbc\x91", b"+", b"nan", b"inf", b"0" * 20]

SAMPLES: dict[CellKind, list[bytes]] = {
    KIND.TEXT: [b"", b"abc", "grüße 日本".encode(), b"\xff", b"x" * 260],
    KIND.BYTES: [b"", b"\x00\xff", b"y" * 251],
    KIND.INT: [b"0", b"-12", b"123456789012345678", b"18446744073709551615", b""],
    KIND.FLOAT: [b"1.5", b"-0.0", b"1e300", b"3.141592653589793", b"0.1", b"123456.789"],
    KIND.DECIMAL: [b"1.50", b"-99999.99", b"0", b"1e5"],
    KIND.DATETIME: [b"2024-02-29 12:34:56", b"2024-02-30 12:34:56.5", b"0000-00-00 00:00:00"],
    KIND.DATE: [b"2024-02-29", b"2023-02-29", b"0000-00-00"],
    KIND.TIMEDELTA: [b"12:34:56", b"-838:59:59.999999", b"00:00:00.5"],
    KIND.CONVERT: [b"one", b"trouble", b"\xff"],
    KIND.TIMESTAMP: [
        *(b"2026-10-25 01:59:59.999999", b"2026-10-25 02:00:00", b"2026-03-29 03:00:00"),
        *(b"2026-03-29 02:59:59", b"2037-07-01 00:00:00", b"2040-07-01 00:00:00"),
        *(b"0000-00-00 00:00:00", b"2024-02-30 12:34:56.5"),
    ],
}


def convert(text: str) -> str:
    if "r" in text:
        raise ZeroDivisionError(text)
    return text.title()


def mutated(rng: random.Random, data: bytes) -> bytes:
    """`data` after a few random edits."""
    result = bytearray(data)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        at = rng.randrange(len(result) + 1)
        edit = rng.randrange(4)
        if edit == 0:
            result[at:at] = rng.choice(ALPHABET)
        elif edit == 1:
            del result[at : at + rng.choice([1, 1, 2, 9])]
        elif at < len(result):
            result[at] = rng.randrange(256) if edit == 2 else rng.choice(ALPHABET)[0]
    return bytes(result)


def random_row(rng: random.Random, plans: list[CellPlan]) -> bytes:
    row = b""
    for column in plans:
        raw = mutated(rng, rng.choice(SAMPLES[column.kind]))
        form = rng.choice([None, None, None, None, 3, 4, 9])
        row += b"\xfb" if rng.randrange(10) == 0 else length(len(raw), form) + raw
    return row if rng.randrange(8) else mutated(rng, row)


def outcome(decoder: RowDecoder, data: bytes, sequence_id: int) -> tuple[Any, ...]:
    """Everything that one can see of decoding `data`, as one row and as frames."""
    rows: list[tuple[Any, ...]] = []
    seen: list[object] = []
    for call in (
        lambda: decoder.decode(data, 0, len(data), sequence_id, rows),
        lambda: decoder.decode_row(data[4:]),
    ):
        try:
            seen.append(repr(call()))
        except Exception as exc:
            cause = exc.__cause__
            seen.append((type(exc), exc.args, type(cause), cause and cause.args))
    return repr(rows), *seen


def run_fuzz(rounds: int, seed: int) -> tuple[int, int]:
    """Compare both on random rows; return how many were read whole, and how many raised."""
    rng = random.Random(seed)
    make_c = need_c()
    whole = failed = 0
    for _ in range(rounds):
        plans = [
            plan(rng.choice(list(CellKind)), rng.choice(ENCODINGS), convert, f"c{i}")
            for i in range(rng.choice([1, 1, 2, 3, 8]))
        ]
        sequence_id = rng.choice([0, 1, 254])
        bodies = [random_row(rng, plans) for _ in range(rng.choice([1, 2, 3]))]
        data = frames(*bodies, sequence_id=sequence_id)
        if rng.randrange(4) == 0:
            data = mutated(rng, data)
        in_c = outcome(make_c(plans), data, sequence_id)
        in_python = outcome(PyTextRowDecoder(plans), data, sequence_id)
        assert in_c == in_python, (plans, data, sequence_id)
        whole += in_c[1] == repr(len(data))
        failed += isinstance(in_c[1], tuple)
    return whole, failed


@pytest.mark.slow
def test_both_alike_on_mutated_rows() -> None:
    whole, failed = run_fuzz(15_000, seed=random.SystemRandom().randrange(1 << 32))
    assert whole > 1500
    assert failed > 1500


def sound_row(rng: random.Random, plans: list[CellPlan]) -> bytes:
    """A row that can be read."""
    decoder = PyTextRowDecoder(plans)
    while True:
        body = random_row(rng, plans)
        try:
            decoder.decode_row(body)
        except Exception:
            continue
        if body and body[0] < 0xFE:
            return body


@pytest.mark.slow
def test_both_alike_on_many_rows() -> None:
    # As many as are read column by column, or with equal values as one object.
    rng = random.Random(random.SystemRandom().randrange(1 << 32))
    make_c = need_c()
    kinds = [kind for kind in CellKind if kind is not KIND.CONVERT]
    whole = 0
    for _ in range(300):
        plans = [
            plan(rng.choice(kinds), rng.choice(ENCODINGS), None, f"c{i}")
            for i in range(rng.choice([1, 2, 3, 8]))
        ]
        pool = [sound_row(rng, plans) for _ in range(20)]
        bodies = rng.choices(pool, k=rng.choice([200, 400, 1500]))
        for _ in range(rng.randrange(3)):
            bodies[rng.randrange(len(bodies))] = random_row(rng, plans)
        data = frames(*bodies, sequence_id=7)
        data = data[: len(data) - rng.choice([0, 0, 1, 5])]
        if rng.randrange(4) == 0:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        in_c = outcome(make_c(plans), data, 7)
        assert in_c == outcome(PyTextRowDecoder(plans), data, 7), (plans, data)
        whole += in_c[1] == repr(len(data))
    assert whole > 30


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(list(CellKind)), min_size=1, max_size=3),
    text=st.binary(max_size=24) | st.text("0123456789-:. eET+_", max_size=28).map(str.encode),
)
def test_both_alike_on_any_bytes(kinds: list[CellKind], text: bytes) -> None:
    plans = [plan(kind, "utf8", convert) for kind in kinds]
    data = frames(payload(*[text] * len(kinds)), text)
    assert outcome(need_c()(plans), data, 0) == outcome(PyTextRowDecoder(plans), data, 0)


NUMBERS = [KIND.INT, KIND.FLOAT, KIND.DECIMAL, KIND.DATETIME, KIND.DATE, KIND.TIMEDELTA]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(NUMBERS),
    text=st.text("0123456789-:. eET+_nafiNy\u0661\u0967\uff11\u2003\xa0", max_size=28)
    | st.text(st.characters(categories=["Nd"]), min_size=1, max_size=3),
    data=st.data(),
)
def test_both_alike_on_an_odd_number_among_many(
    kind: CellKind, text: str, data: st.DataObject
) -> None:
    # Whichever way a value is read, it is what the general reader says, or refused as that does it.
    read = general_reader(plan(kind))
    usual = data.draw(TEXTS[kind]).encode()
    body = frames(*map(payload, [usual] * 150 + [text.encode()] + [usual] * 150))
    found = outcome(need_c()([plan(kind)]), body, 0)
    assert found == outcome(PyTextRowDecoder([plan(kind)]), body, 0)
    expected = [(read(usual),)] * 150
    refused: tuple[Any, ...] = ()
    try:
        expected += [(read(text.encode()),), *expected]
    except DataError as error:
        refused = (DataError, error.args)
    assert found[0] == repr(expected)
    assert found[1] == repr(len(body)) if not refused else found[1][:2] == refused


def test_short_floats_are_rounded_correctly() -> None:
    decoder = need_c()([plan(KIND.FLOAT)])
    rng = random.Random(1)
    for _ in range(20_000):
        digits = str(rng.randrange(10 ** rng.randrange(1, 22)))
        at = rng.randrange(len(digits) + 1)
        text = f"{rng.choice(['', '-'])}{digits[:at]}.{digits[at:]}"
        assert decoder.decode_row(payload(text.encode())) == (float(Decimal(text)),)


@pytest.mark.slow
def test_floats_between_two_doubles() -> None:
    # Halfway, and a little beside it, with as many digits as the fast way takes.
    decoder = need_c()([plan(KIND.FLOAT)])
    rng = random.Random(2)
    for _ in range(5000):
        exponent = rng.randrange(1, 11)
        middle = (rng.randrange(1 << 52, 1 << 53) << exponent) + (1 << exponent - 1)
        for number in (middle - 1, middle, middle + 1):
            for text in (f"{number}", f"-{number}.0", f"{Decimal(number).scaleb(-5)}"):
                assert decoder.decode_row(payload(text.encode())) == (float(text),)
