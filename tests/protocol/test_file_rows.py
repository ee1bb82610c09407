"""Rows as LOAD DATA reads them: both implementations, against a reader of such files."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any

import pytest
from pymysql.err import DataError, ProgrammingError

from aiomysql_protocol.values import file_rows
from aiomysql_protocol.values.file_rows import BINARY, BIT, TEXT, FileRows
from aiomysql_protocol.values.literals import Literals

WRITERS = {file_rows.write_file_rows, file_rows.py_write_file_rows}


@pytest.fixture(params=WRITERS, ids=lambda writer: type(writer).__name__)
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "write_file_rows", request.param)


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


@pytest.mark.usefixtures("write")
def test_any_rows() -> None:
    generator = random.Random(5)

    def value() -> Any:
        kind = generator.randrange(8)
        if kind == 0:
            return None
        if kind == 1:
            return generator.randrange(-(2**70), 2**70)
        if kind == 2:
            return bytes(generator.choices(b"\\\t\n\0Na\xff", k=generator.randrange(9)))
        if kind == 3:
            return Decimal(generator.randrange(10**9)) / 1000
        if kind == 4:
            return datetime.datetime(2024, 1, 2, 3, 4, 5, generator.choice([0, 6]))
        if kind == 5:
            return generator.random() < 0.5
        return "".join(generator.choices("\\\t\n\0Naü\U0001f600", k=generator.randrange(9)))

    rows = [tuple(value() for _ in range(3)) for _ in range(500)]
    rows += [list(row) for row in rows[:100]]  # type: ignore[misc]
    written, stop = FileRows(TEXT + BINARY + BIT, Literals()).write(rows, 0, 1 << 30)
    assert stop == len(rows)
    for row, found in zip(rows, read(written), strict=True):
        expected = [_bytes(one) for one in row]
        if isinstance(row[2], bytes):
            expected[2] = b"%d" % int.from_bytes(row[2])
        second = None if found[1] is None else bytes.fromhex(found[1].decode())
        assert [found[0], second, found[2]] == expected


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return str(value).encode()


@pytest.mark.usefixtures("write")
def test_sizes() -> None:
    rows = FileRows(TEXT, Literals())
    given = [("x" * 9,)] * 100
    assert rows.write(given, 0, 100) == ((b"x" * 9 + b"\n") * 10, 10)
    start, parts = 0, []
    while start < len(given):
        data, start = rows.write(given, start, 95)
        parts.append(data)
    assert b"".join(parts) == (b"x" * 9 + b"\n") * 100
    assert rows.write(given, 100, 95) == (b"", 100)
    assert FileRows(b"", Literals()).write([()], 0, 9) == (b"\n", 1)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ((1, 2), ValueError),
        ((), ValueError),
        ("x", TypeError),
        ({"a": 1}, TypeError),
        (([],), TypeError),
        (({},), TypeError),
        ((float("inf"),), ProgrammingError),
        (("\ud800",), DataError),
    ],
)
@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.usefixtures("write")
def test_what_can_not_be_written(kind: bytes, row: Any, error: type[Exception]) -> None:
    rows = FileRows(kind, Literals())
    with pytest.raises(error):
        rows.write([row], 0, 99)
    if kind == TEXT:
        assert rows.write([("a",), row], 0, 1) == (b"a\n", 1)


@pytest.mark.usefixtures("write")
def test_rows_that_change_meanwhile() -> None:
    """Code of the values' types runs while they are written."""
    given: list[Any] = []

    class Shrinking:
        def __str__(self) -> str:
            given.clear()
            return "gone"

    given += [["a", Shrinking()], ["b", "c"]]
    inner = given[0]
    assert FileRows(TEXT * 2, Literals()).write(given, 0, 999) == (b"a\tgone\n", 1)
    given.append(inner)

    class Emptying:
        def __str__(self) -> str:
            inner.clear()
            return "empty"

    inner[:] = [Emptying(), "b"]
    assert FileRows(TEXT * 2, Literals()).write(given, 0, 999)[0] == b"empty\tb\n"


def test_wrong_calls() -> None:
    write: Any = file_rows.write_file_rows
    if write is file_rows.py_write_file_rows:
        pytest.skip("the one in Python does nothing")
    calls: list[Any] = [(), ([], 0, 1, "t", str), ([], -1, 1, b"t", str), ([], "x", 1, b"t", str)]
    for wrong in calls:
        with pytest.raises((TypeError, ValueError)):
            write(*wrong)
    with pytest.raises(TypeError, match="bytes"):
        write([(object(),)], 0, 9, b"t", lambda value, kind: "no bytes")
