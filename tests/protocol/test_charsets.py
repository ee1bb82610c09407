"""Character sets: what they are called, and what escaping rests upon."""

from __future__ import annotations

import codecs

import pytest
from pymysql.err import ProgrammingError

from aiomysql_protocol.wire.charsets import BINARY_COLLATION, find_charset, reading_codec


def test_charsets() -> None:
    assert find_charset("utf8mb4") == ("utf8mb4", 45, "utf8", "utf8mb4")
    assert find_charset("UTF8") == ("UTF8", 45, "utf8", "utf8mb4")
    assert find_charset("utf8mb3") == ("utf8mb3", 33, "aiomysql_utf8mb3", "utf8mb3")
    assert find_charset("Big5") == ("Big5", 1, "aiomysql_big5", "big5")
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


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("cp866", b"\xfc\xfd", "ⁿ²"),
        ("greek", b"\xa1\xa2", "\u02bd\u02bc"),
        ("hebrew", b"\xaf", "\u203e"),
        ("koi8u", b"\x95", "•"),
        ("gb18030", b"\xa8\xbc\x81\x35\xf4\x37a", "\u1e3f\ue7c7a"),
    ],
)
def test_where_the_server_has_other_characters(charset: str, data: bytes, text: str) -> None:
    encoding = find_charset(charset).encoding
    assert data.decode(encoding) == text
    assert text.encode(encoding) == data


def test_what_is_only_read() -> None:
    """The server takes it for a backslash, or for nothing."""
    assert b"\x81\x5fx".decode(find_charset("sjis").encoding) == "\\x"
    assert b"\xa1\xc0x".decode(find_charset("ujis").encoding) == "\\x"
    assert b"\xa4".decode(find_charset("greek").encoding) == "€"
    assert b"\xff".decode(find_charset("hebrew").encoding, "replace") == "\ufffd"


def test_utf8mb3_ends_at_three_bytes() -> None:
    encoding = find_charset("utf8mb3").encoding
    assert "a\uffff漢".encode(encoding) == "a\uffff漢".encode()
    with pytest.raises(UnicodeEncodeError, match="not in the server's utf8mb3"):
        "a\U00010000".encode(encoding)
    assert reading_codec(encoding) == "utf8"
