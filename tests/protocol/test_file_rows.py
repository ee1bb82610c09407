"""Rows as LOAD DATA reads them: both implementations, against a reader of such files."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from aiomysql_protocol.values import file_rows
from aiomysql_protocol.values.file_rows import FILE_TYPES, py_write_file_rows

WRITERS = {file_rows.write_file_rows, py_write_file_rows}

ALL_KINDS = b"idfsbtc"

WHEN = datetime.datetime(2024, 2, 29, 3, 4, 5, 6)


@pytest.fixture(params=WRITERS, ids=lambda writer: type(writer).__name__)
def write(request: pytest.FixtureRequest) -> Any:
    return request.param


def read(data: bytes) -> list[list[bytes | None]]:
    """What LOAD DATA makes of it."""
    escapes = {b"t": b"\t", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}
    rows: list[list[bytes | None]] = []
    for line in data.split(b"\n")[:-1]:
        row: list[bytes | None] = []
        for field in line.split(b"\t"):
            if field == b"\\N":
                row.append(None)
                continue
            parts, rest = [], field
            while rest:
                before, slash, rest = rest.partition(b"\\")
                parts.append(before)
                if slash:
                    parts.append(escapes[rest[:1]])
                    rest = rest[1:]
            row.append(b"".join(parts))
        rows.append(row)
    return rows


def test_any_rows(write: Any) -> None:
    generator = random.Random(5)

    def values() -> tuple[Any, ...]:
        row = (
            generator.randrange(-(2**63), 2**64),
            Decimal(generator.randrange(10**9)) / 1000,
            generator.random() * 10 ** generator.randrange(-9, 30),
            "".join(generator.choices("\\\t\n\0Naü\U0001f600", k=generator.randrange(9))),
            bytes(generator.choices(b"\\\t\n\0Na\xff", k=generator.randrange(9))),
            WHEN.replace(microsecond=generator.choice([0, 6])),
            datetime.timedelta(microseconds=generator.randrange(-(10**12), 10**12)),
        )
        return tuple(value if generator.randrange(5) else None for value in row)

    rows: list[Sequence[Any]] = [values() for _ in range(500)]
    rows += [list(row) for row in rows[:100]]
    written, stop = write(rows, 0, 1 << 30, ALL_KINDS)
    assert stop == len(rows)
    for row, found in zip(rows, read(written), strict=True):
        assert found[:6] == [_bytes(one) for one in row[:6]]
        assert (None if found[6] is None else _delta(found[6].decode())) == row[6]


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return str(value).encode()


def _delta(text: str) -> datetime.timedelta:
    hours, minutes, seconds = text.removeprefix("-").split(":")
    assert len(hours) >= len(minutes) == 2
    delta = datetime.timedelta(
        hours=int(hours), minutes=int(minutes), microseconds=int(Decimal(seconds) * 10**6)
    )
    return -delta if text.startswith("-") else delta


@pytest.mark.parametrize(
    ("kinds", "value", "field"),
    [
        ("idf", True, b"1"),
        ("idf", 7, b"7"),
        ("id", 2**64 - 1, b"18446744073709551615"),
        ("id", -(2**63), b"-9223372036854775808"),
        ("idf", 2**53, b"9007199254740992"),
        ("f", -0.0, b"-0.0"),
        ("f", 1e300, b"1e+300"),
        ("d", Decimal("-0.50"), b"-0.50"),
        ("s", "x", b"x"),
        ("s", "", b""),
        ("b", b"\xff\0", b"\xff\\0"),
        ("t", datetime.date(7, 1, 2), b"0007-01-02"),
        ("t", WHEN.replace(microsecond=0), b"2024-02-29 03:04:05"),
        ("t", WHEN.replace(tzinfo=datetime.UTC), b"2024-02-29 03:04:05.000006"),
        ("c", datetime.time(1, 2, 3, 4), b"01:02:03.000004"),
        ("c", datetime.timedelta(days=34, hours=23), b"839:00:00"),
        ("c", datetime.timedelta(microseconds=-1), b"-00:00:00.000001"),
        ("c", datetime.timedelta(days=-1), b"-24:00:00"),
        ("idfsbtc", None, b"\\N"),
    ],
)
def test_fields(write: Any, kinds: str, value: Any, field: bytes) -> None:
    for kind in "idfsbtc":
        expected = (field + b"\n", 1) if kind in kinds else (b"", 0)
        assert write([(value,)], 0, 1, kind.encode()) == expected
        if value is not None:
            assert write([(value,)], 0, 1, kind.upper().encode()) == expected
    assert write([(value,)], 0, 1, b"-") == (b"", 0)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("S", None),
        ("i", 2**64),
        ("i", -(2**63) - 1),
        ("i", 10**90),
        ("f", 2**53 + 1),
        ("f", float("nan")),
        ("f", float("-inf")),
        ("d", Decimal("1E+3")),
        ("d", Decimal("NaN")),
        ("d", Decimal("1" * 73)),
        ("d", 1.5),
        ("i", 1.0),
        ("f", Decimal(1)),
        ("s", "\ud800"),
        ("s", b"x"),
        ("s", Text("x")),
        ("s", 1),
        ("b", "x"),
        ("b", bytearray(b"x")),
        ("i", "1"),
        ("d", "1"),
        ("f", "1"),
        ("t", "2024-01-01"),
        ("c", "01:02:03"),
        ("t", 20240101),
        ("t", datetime.time(1)),
        ("c", WHEN),
        ("c", datetime.timedelta(days=10**6 + 1)),
        ("c", datetime.timedelta.min),
        ("s", object()),
        ("s", [1]),
    ],
)
def test_what_is_left(write: Any, kind: str, value: Any) -> None:
    assert write([("x", 1), ("y", value)], 0, 99, b"s" + kind.encode()) in (
        (b"x\t1\n", 1),
        (b"", 0),
    )
    assert write([(value,)], 0, 99, kind.encode()) == (b"", 0)


@pytest.mark.parametrize("row", [(), (1, 2), "x", {"a": 1}, None, 5])
def test_rows_that_are_left(write: Any, row: Any) -> None:
    assert write([(1,), row, (2,)], 0, 99, b"i") == (b"1\n", 1)
    assert write([[1], row, (2,)], 2, 99, b"i") == (b"2\n", 3)


def test_sizes(write: Any) -> None:
    given = [("x" * 9,)] * 100
    assert write(given, 0, 100, b"s") == ((b"x" * 9 + b"\n") * 10, 10)
    start, parts = 0, []
    while start < len(given):
        data, start = write(given, start, 95, b"s")
        parts.append(data)
    assert b"".join(parts) == (b"x" * 9 + b"\n") * 100
    assert write(given, 100, 95, b"s") == (b"", 100)
    assert write(given, 5, 0, b"s") == (b"", 5)
    assert write([()], 0, 9, b"") == (b"\n", 1)


def test_types() -> None:
    assert {str, bytes, int, bool, float, Decimal, datetime.timedelta} < FILE_TYPES


def test_wrong_calls() -> None:
    write: Any = file_rows.write_file_rows
    if write is py_write_file_rows:
        pytest.skip("that in Python is told by its annotations")
    calls: list[Any] = [(), ([], 0, 1, "t"), ([], -1, 1, b"t"), ([], "x", 1, b"t"), (5, 0, 1, b"t")]
    for wrong in calls:
        with pytest.raises((TypeError, ValueError)):
            write(*wrong)
