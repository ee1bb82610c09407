"""Text row decoding: what each kind of value becomes, on both implementations."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE
from pymysql.converters import decoders
from pymysql.err import DataError

from aiomysql_protocol.rows.cells import CellKind
from aiomysql_protocol.rows.text import PyTextRowDecoder

from .row_bytes import BERLIN, MakeDecoder, decode_all, frames, payload, plan

KIND = CellKind

INT, TEXT = plan(KIND.INT), plan(KIND.TEXT)


def same(left: object, right: object) -> bool:
    """Equal to the last bit: by repr(), which tells zeros apart and takes NaN for NaN."""
    return type(left) is type(right) and repr(left) == repr(right)


def parts(text: str) -> list[str]:
    """What stands between the line breaks and the bars of `text`, blanks and all."""
    return [part for line in text.split("\n") for part in line.removeprefix("    ").split("|")]


NUMBERS = parts(
    """0|-0|1|-1|+1|007|-007|42|1_000|123456789012345678|999999999999999999
    -999999999999999999|1234567890123456789|9223372036854775807|-9223372036854775808
    9999999999999999999|-9999999999999999999|18446744073709551615|99999999999999999999999999999999
    18446744073709551616|18446744073709551609|99999999999999999999|-18446744073709551615
    9223372036854775808|-9223372036854775807|-9223372036854775809|1844674407370955161a"""
)

FLOATS = parts(
    """0|-0|0.0|-0.0|1|-1|+1|1.5|-1.5|.5|5.|0.1|0.3|1e5|1E5|1e-5|1.7976931348623157e308
    -1.7976931348623157e308|1e309|-1e309|5e-324|1e-400|2.2250738585072014e-308|3.14159265358979
    123456789012345|1234567890123456|0.000000000000001|0.1234567890123456789|9007199254740993
    nan|inf|-inf|infinity|1_0.5|3.402823466e38|0.000000000000000000000000000000000000000000000001
    12345678901234567890123456789012345678901234567890123456789012345678901234567890"""
)

# The C decoder copies up to 63 characters.
FLOATS += ["0." + "123456789" * 6 + "1" * more for more in range(12)]

DECIMALS = parts(
    """0|-0|0.00|1.50|-1.50|+1|1e5|NaN|Infinity|1_0|1e99999999999999999999|sNaN|-NaN12
    1e-99999999999999999999|1e999999999999999999|1e-1999999999999999997|1e-1999999999999999998
    99999999999999999999999999999999999.999999999999999999999999999999
    -0.000000000000000000000000000001"""
)

DATETIMES = parts(
    """2024-02-29 12:34:56|2023-02-29 12:34:56|0000-00-00 00:00:00|0001-01-01 00:00:00
    9999-12-31 23:59:59.999999|2024-01-01 00:00:00.1|2024-01-01 00:00:00.12
    2024-01-01 00:00:00.123|2024-01-01 00:00:00.1234|2024-01-01 00:00:00.12345
    2024-01-01 00:00:00.000001|2024-01-01 00:00:00.1234567|2024-01-01 24:00:00
    2024-01-01 23:60:00|2024-01-01 23:59:60|2024-00-10 00:00:00|2024-10-00 00:00:00
    2024-13-01 00:00:00|2024-01-01T10:20:30|2024-1-2 3:4:5|2024-01-01|2024-01-01 10:20
    2024-01-01 10:20:30+01:00|2024-01-01 10:20:30Z|2024-W01-1 10:20:30|20240101T102030
    2024-01-01 10:20:30.|-024-01-01 10:20:30|2024-01-01 -1:20:30|2024-01-01 10 20 30
    |0000-01-01 00:00:00|2024-01-01  1:20:30|2024-01-01 10:20:3"""
)

DATES = parts(
    """2024-02-29|2023-02-29|0000-00-00|0001-01-01|9999-12-31|2024-1-2|2024-00-01|2024-13-01
    20240229|2024-W01|2024-W01-1|2024-060|-001-01-01|2024-01-01-01|2024-01-1 |+024-01-01|a-b-c
    |24-01-01|2024-01- 1|2024-1_-01"""
)

TIMES = parts(
    """00:00:00|-00:00:00|00:00:01|-00:00:01|12:34:56|838:59:59|-838:59:59|999:59:59
    01:02:03.5|01:02:03.000001|-01:02:03.999999|-838:59:59.000000|100:00:00.123456|24:00:00
    1:2:3|12:60:00|12:00:60|12:00|+12:00:00|12:00:00.|12:00:00.1234567|--12:00:00|-12:00:00-
    |1234:00:00|-1:00:00|12:00:0|99:99:99|12.00.00|:00:00|-"""
)

DEFAULTS = {
    KIND.INT: (decoders[FIELD_TYPE.LONGLONG], NUMBERS),
    KIND.FLOAT: (decoders[FIELD_TYPE.DOUBLE], FLOATS),
    KIND.DECIMAL: (decoders[FIELD_TYPE.NEWDECIMAL], DECIMALS),
    KIND.DATETIME: (decoders[FIELD_TYPE.DATETIME], DATETIMES),
    KIND.DATE: (decoders[FIELD_TYPE.DATE], DATES),
    KIND.TIMEDELTA: (decoders[FIELD_TYPE.TIME], TIMES),
}


def in_berlin(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=BERLIN.tzinfo)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind, (_, texts) in DEFAULTS.items() for text in texts],
)
def test_values_are_those_of_pymysql(make: MakeDecoder, kind: CellKind, text: str) -> None:
    decoder = make([plan(kind)])
    try:
        expected = DEFAULTS[kind][0](text)
    except (ValueError, TypeError, ArithmeticError):
        with pytest.raises(DataError, match=kind.name):
            decode_all(decoder, frames(payload(text.encode())))
    else:
        rows, _ = decode_all(decoder, frames(payload(text.encode())))
        assert len(rows) == 1
        assert same(rows[0][0], expected), (rows, expected)


@pytest.mark.parametrize("kind", list(DEFAULTS))
@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\v", "\f", "\r", "\x1c", "\x1f", "\0"])
def test_blanks_are_stripped_as_from_str(make: MakeDecoder, kind: CellKind, blank: str) -> None:
    text = blank + {KIND.DATETIME: "2024-01-01 00:00:00", KIND.DATE: "2024-01-01"}.get(kind, "12")
    try:
        expected = DEFAULTS[kind][0](text)
    except (ValueError, ArithmeticError):
        with pytest.raises(DataError):
            make([plan(kind)]).decode_row(payload(text.encode()))
    else:
        assert same(make([plan(kind)]).decode_row(payload(text.encode()))[0], expected)


# Arabic, Devanagari, full-width and mathematical ones; int(), float() and Decimal() take them all.
OTHER_DIGITS = ["\u0661\u0662", "1\u0967", "\uff15", "\U0001d7d8", "1\u00a0", "\u20071", "\u22121"]


@pytest.mark.parametrize("kind", list(DEFAULTS))
@pytest.mark.parametrize("text", OTHER_DIGITS)
def test_digits_of_other_scripts(make: MakeDecoder, kind: CellKind, text: str) -> None:
    usual = {KIND.DATETIME: "2024-02-29 12:34:56", KIND.DATE: "2024-02-29"}.get(kind, "12:34:56")
    usual = usual if kind >= KIND.DATETIME else "12"
    for odd in (text, usual[:-2] + text):
        for before in (0, 300):
            rows: list[Any] = []
            data = frames(*map(payload, [usual.encode()] * before + [odd.encode()]))
            with pytest.raises(DataError, match=kind.name):
                make([plan(kind)]).decode(data, 0, len(data), 0, rows)
            assert len(rows) == before


def test_value_is_not_read_beyond_its_end(make: MakeDecoder) -> None:
    # What follows the value is the next one's length, 48 to 57, which would be a digit as text.
    for kind, (convert, _) in DEFAULTS.items():
        for text in ("100:00:0", "10:00:0", "2024-01-0", "2024-01-01 00:00:0", "1.", "1"):
            with contextlib.suppress(TypeError, ValueError, ArithmeticError):
                expected = convert(text)
                body = payload(text.encode(), b"x" * 0x35)
                assert same(make([plan(kind), TEXT]).decode_row(body)[0], expected)


TEXTS = ["", "a", "plain", "x" * 300, "grüße", "日本語", "🎉", "\0", "a\u20acb", "8 bytes!é"]
TEXTS += [
    "é",
    "\x80\xff",
    "\u0100x",
    "\u07ff\u0800",
    "\ud7ff\ue000\uffff",
    "x" * 127 + "é",
    "é" * 65,
]

# What is no UTF-8: cut, overlong, surrogates, beyond the last character.
NO_UTF8 = (
    b"\x80 \xc3 \xc0\x80 \xc1\xbf \xe0\x9f\xbf \xed\xa0\x80 \xed\xbf\xbf \xe2\x82 \xe2\x82x \xc3x"
    b" \xf4\x90\x80\x80 \xf0\x8f\xbf\xbf \xff \xf8\x88\x80\x80\x80 \xe2x\x82"
).split()


@pytest.mark.parametrize("raw", NO_UTF8)
@pytest.mark.parametrize("around", [b"", b"a", b"a longer text", b"x" * 128])
def test_no_utf8(make: MakeDecoder, raw: bytes, around: bytes) -> None:
    for text in (around + raw, raw + around):
        with pytest.raises(DataError, match="utf8"):
            make([plan(KIND.TEXT)]).decode_row(
                payload(text, b"x")[: len(text) + 1 + 2 * (len(text) > 250)]
            )


@pytest.mark.parametrize("encoding", ["utf8", "utf-8", "cp1252", "latin1", "ascii", "gbk", "sjis"])
@pytest.mark.parametrize("text", TEXTS)
def test_text_in_every_kind_of_encoding(make: MakeDecoder, encoding: str, text: str) -> None:
    try:
        raw = text.encode(encoding)
    except UnicodeEncodeError:
        raw = b""
    expected = raw.decode(encoding)
    assert make([plan(KIND.TEXT, encoding)]).decode_row(payload(raw)) == (expected,)


def test_encodings_that_are_no_superset_of_ascii(make: MakeDecoder) -> None:
    for encoding in ("utf-16-le", "utf-7", "cp037", "iso2022_jp"):
        raw = "abc+é"[: 4 if encoding == "iso2022_jp" else 5].encode(encoding)
        assert make([plan(KIND.TEXT, encoding)]).decode_row(payload(raw)) == (raw.decode(encoding),)


@pytest.mark.parametrize("raw", [b"", b"a", bytes(range(256)), b"\xff" * 1000])
def test_bytes_are_untouched(make: MakeDecoder, raw: bytes) -> None:
    (value,) = make([plan(KIND.BYTES, None)]).decode_row(payload(raw))
    assert value == raw
    assert type(value) is bytes


def test_converter_takes_str_or_bytes(make: MakeDecoder) -> None:
    columns = [plan(KIND.CONVERT, "cp1252", list), plan(KIND.CONVERT, None, list)]
    assert make(columns).decode_row(payload(b"\x80", b"\x80")) == (["€"], [128])


@pytest.mark.parametrize("kind", list(CellKind))
def test_null_is_none_and_reaches_no_converter(make: MakeDecoder, kind: CellKind) -> None:
    def converter(_: Any) -> Any:
        raise AssertionError

    decoder = make([plan(kind, "utf8", converter), TEXT])
    assert decode_all(decoder, frames(payload(None, b"x")))[0] == [(None, "x")]


def test_repeated_values_stay_apart_from_others_of_their_length(make: MakeDecoder) -> None:
    columns = [plan(kind) for kind in (KIND.TEXT, KIND.DECIMAL, KIND.DATE, KIND.BYTES)]
    cells = [
        (b"ab", b"1.5", b"2024-01-01", b"ab"),
        (b"ab", b"1.5", b"2024-01-01", b"ab"),
        (b"ac", b"1.6", b"2024-01-02", b"ac"),
        (None, None, None, None),
        (b"ab", b"1.5", b"2024-01-01", b"ab"),
        (b"", b"0", b"2024-01-01", b""),
    ]
    rows, _ = decode_all(make(columns), frames(*(payload(*row) for row in cells)))
    assert [row[0] for row in rows] == ["ab", "ab", "ac", None, "ab", ""]
    assert [row[1] for row in rows] == [
        None if c[1] is None else Decimal(c[1].decode()) for c in cells
    ]
    assert rows[2][2] == datetime.date(2024, 1, 2)
    assert [row[3] for row in rows] == [c[3] for c in cells]


SHARED_KINDS = [k for k in CellKind if k is not KIND.CONVERT]


@pytest.mark.parametrize("kind", SHARED_KINDS)
@pytest.mark.parametrize("distinct", [1, 3, 40, 3000])
def test_values_of_many_rows(make: MakeDecoder, kind: CellKind, distinct: int) -> None:
    # Many enough for equal values to become one object, where that is worth the while.
    def text(number: int) -> str:
        number %= distinct
        if kind in (KIND.TEXT, KIND.BYTES):
            # Alike but for their middles and lengths.
            return f"{number % 3}{'same' * 5}{number}{'same' * (number % 3 * 5)}"
        if kind in (KIND.DATETIME, KIND.TIMESTAMP):
            return f"20{number % 90 + 10}-01-{number % 28 + 1:02} 00:00:{number % 60:02}"
        if kind is KIND.DATE:
            return f"{number + 1:04}-01-01"
        if kind is KIND.TIMEDELTA:
            return f"{number % 24:02}:{number % 60:02}:00"
        return str(number)

    convert: Callable[[str], Any] = str if kind is KIND.TEXT else str.encode
    if kind in DEFAULTS:
        convert = DEFAULTS[kind][0]
    if kind is KIND.TIMESTAMP:
        convert = in_berlin
    texts = [None if i % 7 == 0 else text(i) for i in range(5000)]
    data = frames(*(payload(None if t is None else t.encode()) for t in texts))
    rows, position = decode_all(make([plan(kind)]), data)
    assert position == len(data)
    assert rows == [(None if t is None else convert(t),) for t in texts]


@pytest.mark.parametrize("kind", list(DEFAULTS))
def test_odd_value_among_many(make: MakeDecoder, kind: CellKind) -> None:
    # What reads many values by one call must notice each that is not like the others.
    convert, texts = DEFAULTS[kind]
    usual = {
        KIND.DATETIME: "2024-02-29 12:34:56",
        KIND.DATE: "2024-02-29",
        KIND.TIMEDELTA: "12:34:56",
    }.get(kind, "12")
    for text in texts:
        cells = [usual.encode()] * 300 + [text.encode(), None, usual.encode()]
        data = frames(*map(payload, cells))
        rows: list[Any] = []
        try:
            expected = convert(text)
        except (ValueError, TypeError, ArithmeticError):
            with pytest.raises(DataError, match=kind.name):
                make([plan(kind)]).decode(data, 0, len(data), 0, rows)
            assert rows == [(convert(usual),)] * 300
        else:
            rows, _ = decode_all(make([plan(kind)]), data)
            assert rows[:300] + rows[302:] == [(convert(usual),)] * 301
            assert same(rows[300][0], expected), (rows[300], expected)
            assert rows[301] == (None,)


@pytest.mark.parametrize("text", TEXTS)
def test_text_among_many(make: MakeDecoder, text: str) -> None:
    texts = ["usual"] * 300 + [text, text, "usual"]
    rows, _ = decode_all(make([plan(KIND.TEXT)]), frames(*(payload(t.encode()) for t in texts)))
    assert [row[0] for row in rows] == texts


@pytest.mark.parametrize(
    "pair", [(b"\xc3", b"\xa4"), (b"\xf0\x9f\x8e", b"\x89"), (b"a\xe2\x82", b"b")]
)
def test_character_cut_between_two_of_many(make: MakeDecoder, pair: tuple[bytes, bytes]) -> None:
    rows: list[Any] = []
    data = frames(*map(payload, [b"usual"] * 300), *map(payload, pair))
    with pytest.raises(DataError, match="utf8"):
        make([plan(KIND.TEXT)]).decode(data, 0, len(data), 0, rows)
    assert rows == [("usual",)] * 300


def test_repeated_values_are_one_object(make: MakeDecoder) -> None:
    shares = make is not PyTextRowDecoder
    texts = [b"1.50"] * 2000
    rows, _ = decode_all(make([plan(KIND.DECIMAL)]), frames(*map(payload, texts)))
    assert len({id(row[0]) for row in rows}) == (1 if shares else 2000)


def test_values_that_begin_to_repeat_become_one_object(make: MakeDecoder) -> None:
    shares = make is not PyTextRowDecoder
    decoder = make([plan(KIND.DECIMAL)])
    decode_all(decoder, frames(*(payload(str(number).encode()) for number in range(2000))))
    # Another try is due after some pieces of a scan.
    repeated = frames(*[payload(b"1.50")] * 500)
    shared = [len({id(row[0]) for row in decode_all(decoder, repeated)[0]}) for _ in range(50)]
    assert shared[-1] == (1 if shares else 500)


@pytest.mark.slow
def test_converter_runs_for_every_value(make: MakeDecoder) -> None:
    rows, _ = decode_all(make([plan(KIND.CONVERT, "utf8", list)]), frames(*[payload(b"ab")] * 3))
    assert rows == [(["a", "b"],)] * 3
    assert rows[0][0] is not rows[1][0]
