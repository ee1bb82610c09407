"""Parameters of prepared statements: their bytes, and what is refused."""

from __future__ import annotations

import datetime
import enum
import struct
import time
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.err import DataError

from aiomysql_protocol.values.literals import Literals
from aiomysql_protocol.values.parameters import NeedsTextError, Parameters, ParameterWriter

WRITER = ParameterWriter("utf8")


class Kind(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    A = "a"


class Name(enum.Enum):
    FIRST = 1


def test_types_values_and_nulls() -> None:
    assert WRITER.write([]) == Parameters(0, b"", b"", b"")
    written = WRITER.write([1, None, "ü", b"\0", 2**63, 0.5, None, None, True])
    assert written.number == 9
    assert written.nulls == bytes([0b11000010, 0])
    assert written.types == bytes([8, 0, 6, 0, 253, 0, 252, 0, 8, 128, 5, 0, 6, 0, 6, 0, 8, 0])
    assert written.values == (
        struct.pack("<q", 1)
        + b"\x02\xc3\xbc"
        + b"\x01\0"
        + struct.pack("<Qd", 2**63, 0.5)
        + struct.pack("<q", 1)
    )


@pytest.mark.parametrize(
    ("value", "type_code", "text"),
    [
        (-(2**63) - 1, 246, "-9223372036854775809"),
        (2**64, 246, "18446744073709551616"),
        (Decimal("-1.50"), 246, "-1.50"),
        (Decimal("1E+20"), 246, "100000000000000000000"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5), 254, "2024-01-02 03:04:05"),
        (datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), 254, "2024-01-02 00:00:00"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, 60), 254, "2024-01-02 03:04:05.000060"),
        (datetime.date(1, 1, 2), 254, "0001-01-02"),
        (datetime.time(3, 4, 5), 15, "03:04:05"),
        (datetime.timedelta(days=-1), 15, "-24:00:00"),
        (time.struct_time((2024, 1, 2, 3, 4, 5, 0, 0, 0)), 254, "2024-01-02 03:04:05"),
        (Word.A, 253, "a"),
        (uuid.UUID(int=5), 253, "00000000-0000-0000-0000-000000000005"),
        ("x" * 300, 253, "x" * 300),
        (bytearray(b"ab"), 252, "ab"),
        (memoryview(b"abcd")[::-2], 252, "db"),
    ],
)
def test_written_as_text(value: Any, type_code: int, text: str) -> None:
    written = WRITER.write([value])
    assert written.types[0] == type_code
    prefix = 1 if len(text) < 251 else 3
    assert written.values[prefix:] == text.encode()


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (Kind.ONE, struct.pack("<q", 1)),
        (Fraction(1, 4), struct.pack("<d", 0.25)),
        (Decimal("1E+100"), struct.pack("<d", 1e100)),
    ],
)
def test_written_as_number(value: Any, raw: bytes) -> None:
    assert WRITER.write([value]).values == raw


@pytest.mark.parametrize(
    "value",
    [
        *({}, {"a": 1}, {}.keys(), iter([1]), (n for n in "a"), float("nan"), float("-inf")),
        *(Decimal("NaN"), Decimal("Infinity"), 10**81, -(10**81), 1j, int),
        *(object(), len, Name.FIRST, iter),
    ],
)
def test_refused_as_literals_are(value: Any) -> None:
    with pytest.raises(Exception) as refused:  # noqa: PT011  (which one is compared)
        Literals().literal(value)
    with pytest.raises(type(refused.value)) as same:
        WRITER.write([1, value])
    assert same.value.args == refused.value.args


@pytest.mark.parametrize("value", [(1, 2), [], {1}, frozenset("a"), range(3), Decimal("1E+999")])
def test_values_that_need_text(value: Any) -> None:
    with pytest.raises(NeedsTextError):
        WRITER.write([value])


def test_encoders_of_the_user_need_text() -> None:
    writer = ParameterWriter("utf8", {uuid.UUID: lambda value, _: "1", type(None): lambda *_: "2"})
    assert writer.write([1]).number == 1
    for value in (uuid.UUID(int=1), None):
        with pytest.raises(NeedsTextError):
            writer.write([value])


def test_text_outside_of_the_character_set() -> None:
    assert ParameterWriter("latin1").write(["é"]).values == b"\x01\xe9"
    for writer, value in ((WRITER, "\ud800"), (ParameterWriter("latin1"), "漢")):
        with pytest.raises(DataError, match="character set"):
            writer.write([value])


@given(
    st.lists(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 66), 1 << 66)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
        | st.binary(max_size=300)
        | st.datetimes()
        | st.dates(),
        max_size=20,
    )
)
def test_both_implementations_write_the_same(values: list[object]) -> None:
    # With an encoder for some type that does not occur the values are written one by one.
    assert ParameterWriter("utf8", {Word: str}).write(values) == WRITER.write(values)


@pytest.mark.parametrize(
    "length",
    [
        *(250, 251, 0xFFFF, 0x10000),
        pytest.param(0xFFFFFF, marks=pytest.mark.slow),
        pytest.param(0x1000000, marks=pytest.mark.slow),
    ],
)
def test_lengths(length: int) -> None:
    for value in ("x" * length, b"y" * length):
        written = WRITER.write([value, 1])
        assert written == ParameterWriter("utf8", {Word: str}).write([value, 1])
        assert written.values.count(value[:1] if isinstance(value, bytes) else b"x") == length
