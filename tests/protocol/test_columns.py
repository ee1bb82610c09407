"""Column definitions: what is described, and how cells are read."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.converters import decoders
from pymysql.err import DataError

from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.wire.charsets import find_charset
from aiomysql_protocol.wire.errors import MalformedPacket


def definition(
    name: bytes,
    type_code: int,
    *,
    collation: int = 45,
    length: int = 9,
    flags: int = 0,
    scale: int = 0,
) -> bytes:
    """A column definition packet."""
    texts = [b"def", b"d", b"t", b"ot", name, b"on"]
    head = b"".join(bytes([len(text)]) + text for text in texts)
    return (
        head
        + b"\x0c"
        + collation.to_bytes(2, "little")
        + length.to_bytes(4, "little")
        + bytes([type_code])
        + flags.to_bytes(2, "little")
        + bytes([scale, 0, 0])
    )


def read(cache: ColumnCache, payload: bytes, cell: bytes) -> Any:
    """The value of a cell in a column."""
    (value,) = cache.compile([payload]).decoder.decode_row(bytes([len(cell)]) + cell)
    return value


@pytest.fixture
def cache() -> ColumnCache:
    return ColumnCache("utf8", decoders)


def test_description(cache: ColumnCache) -> None:
    columns = [
        definition(b"a", FIELD_TYPE.LONG, length=11, flags=FLAG.NOT_NULL),
        definition("ü".encode(), FIELD_TYPE.VAR_STRING, length=120),
        definition(b"c", FIELD_TYPE.VAR_STRING, length=90, collation=33),
        definition(b"d", FIELD_TYPE.NEWDECIMAL, length=67, scale=30),
    ]
    found = cache.compile(columns)
    assert found.description == (
        ("a", FIELD_TYPE.LONG, None, 11, 11, 0, False),
        ("ü", FIELD_TYPE.VAR_STRING, None, 120, 120, 0, True),
        ("c", FIELD_TYPE.VAR_STRING, None, 30, 30, 0, True),
        ("d", FIELD_TYPE.NEWDECIMAL, None, 67, 67, 30, True),
    )
    column = found.columns[1]
    assert (column.db, column.table_name, column.org_table) == ("d", "t", "ot")
    assert (column.name, column.org_name, column.charsetnr) == ("ü", "on", 45)


def test_keys(cache: ColumnCache) -> None:
    """A name that came before gets its table's name; so the last of equal ones stays."""
    columns = [definition(name, FIELD_TYPE.LONG) for name in (b"a", b"b", b"a", b"a", b"c")]
    table = cache.compile(columns).columns[0].table_name
    keys = cache.compile(columns).keys
    assert keys == ("a", "b", f"{table}.a", f"{table}.a", "c")


def test_metadata_is_kept_up_to_a_number(cache: ColumnCache) -> None:
    first = cache.compile([definition(b"first", FIELD_TYPE.LONG)])
    assert cache.compile([definition(b"first", FIELD_TYPE.LONG)]) is first
    for number in range(ColumnCache.SIZE):
        cache.compile([definition(b"c%d" % number, FIELD_TYPE.LONG)])
    again = cache.compile([definition(b"first", FIELD_TYPE.LONG)])
    assert again is not first
    assert again.description == first.description


@pytest.mark.parametrize(
    ("type_code", "collation", "cell", "value"),
    [
        (FIELD_TYPE.BLOB, 63, b"\xff", b"\xff"),
        (FIELD_TYPE.BLOB, 45, "ü".encode(), "ü"),
        (FIELD_TYPE.STRING, 2304, "ü".encode(), "ü"),  # a collation that no table lists
        (FIELD_TYPE.JSON, 63, "ü".encode(), "ü"),
        (FIELD_TYPE.BIT, 63, b"\xff", b"\xff"),
        (FIELD_TYPE.GEOMETRY, 63, b"\xff", b"\xff"),
        (242, 63, b"\xff", b"\xff"),  # VECTOR
        (199, 63, b"\xff", b"\xff"),  # a type that is not known yet
        (199, 45, "ü".encode(), "ü"),
        (FIELD_TYPE.ENUM, 45, "ü".encode(), "ü"),
        (FIELD_TYPE.LONGLONG, 63, b"-5", -5),
        (FIELD_TYPE.NEWDECIMAL, 63, b"5.10", Decimal("5.10")),
        (FIELD_TYPE.NEWDATE, 63, b"2026", "2026"),
    ],
)
def test_cells(
    cache: ColumnCache, type_code: int, collation: int, cell: bytes, value: object
) -> None:
    found = read(cache, definition(b"c", type_code, collation=collation), cell)
    assert found == value
    assert type(found) is type(value)


def test_without_unicode() -> None:
    cache = ColumnCache("utf8", decoders, use_unicode=False)
    assert read(cache, definition(b"c", FIELD_TYPE.STRING), b"\xc3\xbc") == b"\xc3\xbc"
    assert read(cache, definition(b"c", FIELD_TYPE.JSON), b"{}") == b"{}"
    assert read(cache, definition(b"c", FIELD_TYPE.LONG), b"5") == 5
    own = ColumnCache("utf8", {FIELD_TYPE.STRING: list}, use_unicode=False)
    assert read(own, definition(b"c", FIELD_TYPE.STRING), b"\x01\x02") == [1, 2]


def test_own_converters() -> None:
    own: dict[Any, Any] = {FIELD_TYPE.STRING: str.upper, FIELD_TYPE.TIMESTAMP: list}
    cache = ColumnCache("utf8", own)
    assert read(cache, definition(b"c", FIELD_TYPE.STRING), "ü".encode()) == "Ü"
    assert read(cache, definition(b"c", FIELD_TYPE.TIMESTAMP, collation=63), b"20") == ["2", "0"]
    assert read(cache, definition(b"c", FIELD_TYPE.LONG, collation=63), b"5") == "5"


def test_latin1() -> None:
    cache = ColumnCache(find_charset("latin1").encoding, decoders)
    column = definition(b"c", FIELD_TYPE.STRING, collation=8)
    for cell in (b"ascii", b"\x80\x81\x8d\x8f\x90\x9d\xff"):
        assert read(cache, column, cell) == cell.decode("latin1").replace("\x80", "€")


def test_name_that_cannot_be_read_costs_no_rows(cache: ColumnCache) -> None:
    """It comes so when a statement, not `set_charset`, has changed the character set."""
    column = definition(b"a\xff", FIELD_TYPE.STRING)
    assert cache.compile([column]).description[0][0] == "a\ufffd"
    assert read(cache, column, b"x") == "x"
    with pytest.raises(DataError, match="a\ufffd"):
        read(cache, column, b"\xff")


@pytest.mark.parametrize("width", [255, 256, (1 << 32) - 1])
@pytest.mark.parametrize("type_code", [FIELD_TYPE.LONG, FIELD_TYPE.DOUBLE])
def test_zeros_up_to_the_width_of_a_column(width: int, type_code: int) -> None:
    """A server that claims more than MySQL's 255 characters gets no memory for them."""
    column = definition(b"c", type_code, length=width, flags=FLAG.ZEROFILL | FLAG.UNSIGNED)
    decoder = ColumnCache("utf8", {}, binary=True).compile([column]).decoder
    cell = b"\x07\0\0\0" if type_code == FIELD_TYPE.LONG else bytes(6) + b"\x1c\x40"
    tracemalloc.start()
    try:
        assert decoder.decode_row(b"\0\0" + cell) == ("7".zfill(255),)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "sets", "kept"), [(100, 70, 64), (1 << 12, 6, 4), (15_000, 3, 1), (16_000, 2, 0)]
)
def test_metadata_that_is_kept(columns: int, sets: int, kept: int) -> None:
    """The last ones, but no more columns than are worth it: each takes a KiB or two."""
    cache = ColumnCache("utf8", decoders)
    definitions = [
        [bytes(6) + b"\x0c\x3f\0" + number.to_bytes(4, "little") + bytes(4)] * columns
        for number in range(sets)
    ]
    compiled = [cache.compile(payloads) for payloads in definitions]
    again = [cache.compile(payloads) for payloads in reversed(definitions[-kept - 1 :])]
    same = [one is other for one, other in zip(again, reversed(compiled), strict=False)]
    assert same == [True] * kept + [False]


@pytest.mark.parametrize("size", [0, 1, 5, 15, -1])
def test_cut_definition(cache: ColumnCache, size: int) -> None:
    with pytest.raises(MalformedPacket, match="column definition"):
        cache.compile([definition(b"c", FIELD_TYPE.LONG)[: size if size >= 0 else -4]])
