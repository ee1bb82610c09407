"""Python values as SQL literals, and character sets."""

from __future__ import annotations

import array
import codecs
import datetime
import enum
import fractions
import numbers
import time
import uuid
from collections import UserDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pymysql import converters
from pymysql.err import DataError, ProgrammingError

from aiomysql_protocol.values.literals import Literals, encode_statement, escape_string
from aiomysql_protocol.wire.charsets import BINARY_COLLATION, find_charset


class Text(str):
    """A str that says something else of itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "'; DROP TABLE students; --"

    __repr__ = __str__


class Number(int):
    """An int that says something else of itself."""

    def __str__(self) -> str:
        return "0 OR 1=1"

    __repr__ = __str__


class Real(float):
    """A float that says something else of itself."""

    def __repr__(self) -> str:
        return "0 OR 1=1"

    __str__ = __repr__


class Binary(bytes):
    """A bytes that says something else of itself."""

    def __repr__(self) -> str:
        return "0 OR 1=1"


class Moment(datetime.datetime):
    """A datetime that says something else of itself."""

    def __str__(self) -> str:
        return "0 OR 1=1"

    isoformat = __str__  # type: ignore[assignment]


class Answer(enum.IntEnum):
    """A number by another name."""

    YES = 42


class Word(enum.StrEnum):
    """A text by another name."""

    ITS = "it's"


class Old(str, enum.Enum):  # noqa: UP042
    """What StrEnum was before Python 3.11; str() of its members gives their names."""

    ITS = "it's"


class Colour(enum.Enum):
    """No number and no text."""

    RED = 1


class Flag(enum.IntFlag):
    """Numbers that can be combined."""

    A = 1
    B = 2


class Scalar:
    """Like the integers of NumPy, which are no ints."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return f"Scalar({self.value})"


@numbers.Real.register
class Single:
    """Like the floats of NumPy that are no floats."""

    def __float__(self) -> float:
        return 0.5


class Money:
    """A type without a rule."""

    def __str__(self) -> str:
        return "it's 5 \\"


class Point(NamedTuple):
    """A tuple by another name."""

    x: int
    y: str


UTC = datetime.UTC
DELTA = datetime.timedelta


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "NULL"),
        (True, "1"),
        (False, "0"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (10**81 - 1, "9" * 81),
        (1 - 10**81, "-" + "9" * 81),
        (1.0, "1.0e0"),
        (-0.0, "-0.0e0"),
        (5e-324, "5e-324"),
        (1e22, "1e+22"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+5"), "100000"),
        (Decimal("-1E-5"), "-0.00001"),
        (Decimal("1E+80"), "1" + "0" * 80),
        (Decimal("1.5E+81"), "1.5E+81"),
        (Decimal("1E-72"), "0." + "0" * 71 + "1"),
        (Decimal("-1.5E-999999"), "-1.5E-999999"),
        (Decimal("1E+999999999"), "1E+999999999"),
        (Decimal("0E+999999999"), "0"),
        (Decimal("-0.0"), "-0.0"),
        ("", "''"),
        ("a\0\n\r\x1a'\"\\b%", r"""'a\0\n\r\Z\'\"\\b%'"""),
        (b"", "_binary X''"),
        (b"\x00'\xff", "_binary X'0027ff'"),
        (bytearray(b"\x01"), "_binary X'01'"),
        (memoryview(b"\x01\x02\x03\x04")[::-2], "_binary X'0402'"),
        (memoryview(array.array("H", [0x0101, 0x0202])), "_binary X'01010202'"),
        (memoryview(b"\x01\x02\x03\x04").cast("B", [2, 2]), "_binary X'01020304'"),
        (memoryview(b""), "_binary X''"),
        (datetime.date(5, 1, 2), "'0005-01-02'"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "'2026-01-02 03:04:05'"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "'2026-01-02 03:04:05.000006'"),
        (datetime.datetime(2026, 1, 2, tzinfo=UTC), "'2026-01-02 00:00:00'"),
        (datetime.time(3, 4), "'03:04:00'"),
        (datetime.time(3, 4, 5, 60), "'03:04:05.000060'"),
        (DELTA(0), "'00:00:00'"),
        (DELTA(days=-1, seconds=86399, microseconds=999999), "'-00:00:00.000001'"),
        (DELTA(hours=-838, minutes=-59, seconds=-59), "'-838:59:59'"),
        (DELTA(days=1000), "'24000:00:00'"),
        (time.struct_time((2026, 1, 2, 23, 59, 60, 0, 0, 0)), "'2026-01-02 23:59:60'"),
        ((1, "a"), "(1,'a')"),
        ([1], "(1)"),
        ((), "()"),
        ([], "()"),
        (range(3), "(0,1,2)"),
        ([(1, "it's"), (None, (2, [3.5]))], r"((1,'it\'s'),(NULL,(2,(3.5e0))))"),
        ({5}, "(5)"),
        (frozenset({"a"}), "('a')"),
        (([1], {2}), "((1),(2))"),
        (Point(1, "'"), r"(1,'\'')"),
        (Text("it's"), r"'it\'s'"),
        (Number(5), "5"),
        (Real(0.5), "0.5e0"),
        (Binary(b"\x05"), "_binary X'05'"),
        (Moment(2026, 1, 2), "'2026-01-02 00:00:00'"),
        (Answer.YES, "42"),
        (Word.ITS, r"'it\'s'"),
        (Old.ITS, r"'it\'s'"),
        (Colour.RED, "'Colour.RED'"),
        (Flag.A | Flag.B, "3"),
        (Scalar(-7), "-7"),
        (Single(), "0.5e0"),
        (fractions.Fraction(1, 4), "0.25e0"),
        (Money(), r"'it\'s 5 \\'"),
        (uuid.UUID(int=5), "'00000000-0000-0000-0000-000000000005'"),
        (type("Point3", (tuple,), {"__str__": Text.__str__})((1,)), "(1)"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_literal(value: Any, literal: str) -> None:
    assert Literals().literal(value) == literal
    assert Literals(converters.conversions).literal(value) == literal


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (float("nan"), ProgrammingError, "nan can not be used with MySQL"),
        (Real("inf"), ProgrammingError, "can not be used with MySQL"),
        (Decimal("sNaN"), ProgrammingError, "sNaN can not be used with MySQL"),
        (10**81, DataError, "int of more than 81 digits"),
        (-(10**81), DataError, "int of more than 81 digits"),
        (Number(10**4301), DataError, "Number of more than 81 digits"),
        (Scalar(10**4301), DataError, "int of more than 81 digits"),
        ({}, TypeError, "dict can not be used as parameter"),
        (((1, {"a": 1}),), TypeError, "dict can not be used as parameter"),
        (UserDict(a=1), TypeError, "UserDict can not be used as parameter"),
        ({}.values(), TypeError, "dict_values can not be used as parameter"),
        (iter([1]), TypeError, "list_iterator can not be used as parameter"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_refused(value: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        Literals().literal(value)


def test_without_backslash_escapes() -> None:
    literals = Literals()
    literals.no_backslash_escapes = True
    assert literals.literal("it's \\ \"\0\n") == "'it''s \\ \"\0\n'"
    assert literals.literal(["'", ["\\"], Text("'"), Money()]) == r"('''',('\'),'''','it''s 5 \')"
    assert literals.arguments({"a": ["'"]}) == {"a": "('''')"}
    assert escape_string("'\\") == "\\'\\\\"
    assert escape_string("'\\", no_backslash_escapes=True) == "''\\"


def test_arguments() -> None:
    literals = Literals()

    def written(template: str, args: object) -> str:
        text: str = template % literals.arguments(args)
        return text

    assert written("%s,%s", [1, "a"]) == "1,'a'"
    assert written("%s %%", (b"",)) == "_binary X'' %"
    assert written("%s", "a") == "'a'"
    assert written("%s", {5}) == "(5)"
    named: Mapping[str, Any] = {"a": None, "b": (1, 2)}
    for mapping in (named, UserDict(named)):
        assert written("%(b)s %(a)s %(b)s", mapping) == "(1,2) NULL (1,2)"
        for mark in ("%s", "%r", "%a"):
            with pytest.raises(TypeError, match="its arguments are a dict"):
                written(mark, mapping)


def test_own_encoders() -> None:
    def money(value: Money, mapping: Mapping[Any, Any]) -> str:
        return f"MONEY({converters.escape_item(str(value), 'utf8', mapping)})"

    conv = {
        **converters.conversions,
        Money: money,
        int: lambda value, mapping: f"INT({value})",
        Number: lambda value, mapping: "NUMBER",
    }
    literals = Literals(conv)
    assert literals.literal(Money()) == r"MONEY('it\'s 5 \\')"
    assert literals.literal([5, Money(), "a"]) == r"(INT(5),MONEY('it\'s 5 \\'),'a')"
    assert literals.arguments({"a": 5}) == {"a": "INT(5)"}
    assert literals.literal(Number(5)) == "NUMBER"
    # An encoder is for exactly its type.
    assert literals.literal(True) == "1"
    assert literals.literal(Answer.YES) == "42"


def test_encode_statement() -> None:
    assert encode_statement("ü", "utf8") == b"\xc3\xbc"
    with pytest.raises(DataError, match="surrogates not allowed") as caught:
        encode_statement("\ud800", "utf8")
    assert isinstance(caught.value.__cause__, UnicodeEncodeError)


def test_charsets() -> None:
    assert find_charset("utf8mb4") == ("utf8mb4", 45, "utf8", "utf8mb4")
    assert find_charset("UTF8") == ("UTF8", 45, "utf8", "utf8mb4")
    assert find_charset("utf8mb3") == ("utf8mb3", 33, "utf8", "utf8mb3")
    assert find_charset("Big5") == ("Big5", 1, "big5", "big5")
    assert find_charset("binary") == ("binary", BINARY_COLLATION, "utf8", "binary")
    assert find_charset("euckr").encoding == "cp949"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("utf16", "'utf16'.*can't be used by clients"),
        ("UCS2", "'UCS2'.*can't be used by clients"),
        ("armscii8", "'armscii8'.*has no codec"),
        ("eucjpms", "'eucjpms'.*has no codec"),
        ("utf-8", "unknown character set 'utf-8'"),
        ("utf8mb4; DROP TABLE t", "unknown character set"),
        ("", "unknown character set ''"),
    ],
)
def test_charsets_that_cannot_be_used(name: str, words: str) -> None:
    with pytest.raises(ProgrammingError, match=words):
        find_charset(name)


# All that the servers have for clients, but those without a codec.
CHARSETS = (
    "ascii big5 binary cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 cp932 euckr gb18030 gb2312 gbk"
    " greek hebrew hp8 koi8r koi8u latin1 latin2 latin5 latin7 macce macroman sjis tis620 ujis"
    " utf8mb3 utf8mb4"
)


@pytest.mark.parametrize("name", CHARSETS.split())
def test_ascii_is_itself(name: str) -> None:
    """Escaping rests upon it."""
    charset = find_charset(name.upper())
    assert (charset.name, charset.server_name) == (name.upper(), name)
    assert 0 < charset.collation_id < 256
    text = "".join(map(chr, range(128)))
    assert text.encode(charset.encoding) == text.encode()
    assert text.encode().decode(charset.encoding) == text


def test_latin1_is_the_servers() -> None:
    encoding = find_charset("latin1").encoding
    every_byte = bytes(range(256))
    text = every_byte.decode(encoding)
    assert text.encode(encoding) == every_byte
    assert [text[code] for code in (0x80, 0x81, 0x8D, 0x8F, 0x90, 0x9D, 0xFF)] == list(
        "€\x81\x8d\x8f\x90\x9dÿ"
    )
    with pytest.raises(UnicodeEncodeError):
        "\x80".encode(encoding)  # the byte is the euro sign's
    assert "漢".encode(encoding, "replace") == b"?"


@pytest.mark.parametrize("charset", ["sjis", "ujis", "cp932", "gbk", "big5", "euckr", "gb18030"])
def test_only_ascii_characters_become_ascii_characters(charset: str) -> None:
    """Else what is no quote and no backslash when it is escaped would be one for the server."""
    encode = codecs.lookup(find_charset(charset).encoding).encode
    for code in [*range(0x80, 0xD800), *range(0xE000, 0x10000)]:
        try:
            data, _ = encode(chr(code), "strict")
        except UnicodeEncodeError:
            continue
        assert data[0] >= 0x80, hex(code)
    if charset in ("sjis", "ujis"):
        with pytest.raises(UnicodeEncodeError, match=rf"'aiomysql_{charset}'.*\\xa5.*position 2"):
            encode("ab\xa5", "strict")
