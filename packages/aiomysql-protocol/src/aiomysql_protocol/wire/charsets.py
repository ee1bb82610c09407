"""Character sets: the server's names and numbers, and the Python codec for each.

MySQL: "Character Set".  The table of names and numbers is PyMySQL's; where Python's codec of the
same name is not the server's character set, another codec stands here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from pymysql.charset import charset_by_name
from pymysql.err import ProgrammingError

__all__ = [
    "BINARY_COLLATION",
    "Charset",
    "find_charset",
    "reading_codec",
    "reported_charset",
]

#: Collation id that marks a column's bytes as bytes (MySQL: collation `binary`).
BINARY_COLLATION = 63

#: The collation utf8mb3_general_ci, which older releases of PyMySQL do not know by this name.
_UTF8MB3_COLLATION = 33

_PREFIX = "aiomysql_"

#: The server's name -> codec, where PyMySQL's choice is missing or differs from the server.
_CODECS = {
    # Without conversion on the server: what comes is in the columns' own character sets.
    "binary": "utf8",
    "big5": _PREFIX + "big5",
    "cp1256": _PREFIX + "cp1256",
    "cp866": _PREFIX + "cp866",
    "cp932": _PREFIX + "cp932",
    "euckr": "cp949",
    "gb18030": _PREFIX + "gb18030",
    "greek": _PREFIX + "greek",
    "hebrew": _PREFIX + "hebrew",
    "hp8": "hp_roman8",
    "koi8r": "koi8_r",
    "koi8u": _PREFIX + "koi8u",
    "latin1": _PREFIX + "latin1",
    "macce": "mac_latin2",
    "sjis": _PREFIX + "sjis",
    "ujis": _PREFIX + "ujis",
    "utf8mb3": _PREFIX + "utf8mb3",
    "utf8mb4": "utf8",
}

#: What the server accepts for columns, but not from a client (MySQL: "Connection Character Sets and
#: Collations").
_NOT_FOR_CLIENTS = frozenset({"ucs2", "utf16", "utf16le", "utf32"})


class Charset(NamedTuple):
    """A character set as the client uses it."""

    #: The server's name of it, as given by the caller.
    name: str
    #: Number of its default collation, sent in the handshake (one byte).
    collation_id: int
    #: Name of the Python codec.
    encoding: str
    #: The name for the server: lower case, and utf8mb4 where the caller said utf8, which a server
    #: may take for utf8mb3.
    server_name: str


@lru_cache(maxsize=64)
def find_charset(name: str) -> Charset:
    """Look up a character set by the server's name (case does not matter; utf8 means utf8mb4).

    Raises ProgrammingError, which names it, when it is unknown, when a client may not use it, or
    when Python has no codec for it.
    """
    if not isinstance(name, str):
        kind = type(name).__name__
        raise ProgrammingError(f"a character set (option 'charset') has a str for name, not {kind}")
    server_name = name.lower()
    if server_name == "utf8":
        server_name = "utf8mb4"
    if server_name in _NOT_FOR_CLIENTS:
        raise ProgrammingError(
            f"character set {name!r} (option 'charset') can't be used by clients, only in columns"
        )
    if server_name == "utf8mb3":
        return Charset(name, _UTF8MB3_COLLATION, _CODECS[server_name], server_name)
    try:
        found = charset_by_name(server_name)
    except KeyError:
        found = None
    if found is None:
        raise ProgrammingError(f"unknown character set {name!r} (option 'charset')")
    encoding = _CODECS.get(server_name, found.encoding)
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ProgrammingError(
            f"character set {name!r} (option 'charset') has no codec in this Python"
        ) from None
    collation_id: int = getattr(found, "id")  # noqa: B009  (the public stubs lack it)
    return Charset(name, collation_id, encoding, server_name)


def reported_charset(name: str) -> str:
    """The name of a character set that a server gives it, as `Charset.server_name` has it.

    Servers that don't know the name utf8mb3 yet say utf8 for it.
    """
    return "utf8mb3" if name == "utf8" else name


def reading_codec(encoding: str) -> str:
    """The codec that reads what `encoding` writes: the usual one, which is quicker, if there is."""
    return "utf8" if encoding == _PREFIX + "utf8mb3" else encoding


def _table(
    charset: str, codec: str, changed: dict[int, str], refused: str = ""
) -> Callable[[], codecs.CodecInfo]:
    """A Python codec of single bytes, some of which are other characters for the server.

    refused: characters that it does not have; their bytes are nothing to it, and are read as Python
    does.
    """

    def make() -> codecs.CodecInfo:
        characters = [
            changed.get(byte) or bytes([byte]).decode(codec, "ignore") or "\ufffe"
            for byte in range(0x100)
        ]
        decoding = "".join(characters)
        encoding = codecs.charmap_build(
            "".join("\ufffe" if character in refused else character for character in characters)
        )
        return codecs.CodecInfo(
            lambda text, errors="strict": codecs.charmap_encode(text, errors, encoding),
            lambda data, errors="strict": codecs.charmap_decode(data, errors, decoding),
            name=_PREFIX + charset,
        )

    return make


def _refusing(
    charset: str, codec: str, pattern: str, read_as: tuple[str, str] | None = None
) -> Callable[[], codecs.CodecInfo]:
    """A Python codec that does not write the characters of `pattern` (a regular expression).

    read_as: one that it reads, and what the server takes that for.
    """
    name = _PREFIX + charset
    refused = re.compile(pattern)

    def make() -> codecs.CodecInfo:
        original = codecs.lookup(codec)

        def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
            found = None if text.isascii() else refused.search(text)
            if found is not None:
                reason = f"not in the server's {charset}"
                raise UnicodeEncodeError(name, text, found.start(), found.end(), reason)
            return original.encode(text, errors)

        def decode(data: Any, errors: str = "strict") -> tuple[str, int]:
            text, size = original.decode(data, errors)
            assert read_as is not None
            return text.replace(*read_as), size

        return codecs.CodecInfo(encode, original.decode if read_as is None else decode, name=name)

    return make


def _gb18030() -> codecs.CodecInfo:
    """The server's gb18030, of 2005: before, two characters had each other's place."""
    original = codecs.lookup("gb18030")
    swapped = {0x1E3F: 0xE7C7, 0xE7C7: 0x1E3F}
    if original.encode("\u1e3f")[0] == b"\xa8\xbc":
        swapped.clear()

    def swap(text: str) -> str:
        return text.translate(swapped) if "\u1e3f" in text or "\ue7c7" in text else text

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return original.encode(swap(text), errors)[0], len(text)

    def decode(data: Any, errors: str = "strict") -> tuple[str, int]:
        text, size = original.decode(data, errors)
        return swap(text), size

    return codecs.CodecInfo(encode, decode, name=_PREFIX + "gb18030")


# What MySQL and MariaDB take for other characters than Python does, or for none.  (The server says
# so in `tests/core/test_escaping.py`.)

# What cp1252 leaves out stands for itself.
_LATIN1 = {byte: chr(byte) for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}

_CP866 = {0xFC: "\u207f", 0xFD: "\xb2"}
_GREEK = {0xA1: "\u02bd", 0xA2: "\u02bc"}
_HEBREW = {0xAF: "\u203e"}
_KOI8U = {0x95: "\u2022"}
_NOT_IN_CP1256 = "\u0679\u0688\u0691\u06a9\u06ba\u06be\u06c1\u06d2"
_NOT_IN_GREEK = "\u037a\u20ac\u20af"

# Python writes U+00A5 YEN SIGN as a backslash and U+203E OVERLINE as a tilde.  For the server these
# bytes are backslash and tilde, so a yen sign would escape the quote behind it.  U+FF3C FULLWIDTH
# REVERSE SOLIDUS, too, is a backslash to it once the text becomes Unicode.
_ASCII_LOOKALIKES = "[\xa5\u203e\uff3c]"
_BACKSLASH = "\uff3c", "\\"

# Single bytes that are no characters for the server; and what Python writes as another character
# that looks alike: CENT SIGN, POUND SIGN, NOT SIGN, DOUBLE VERTICAL LINE, MINUS SIGN, WAVE DASH.
_NOT_IN_CP932 = "[\x80\xa0\uf8f0-\uf8f3\xa2\xa3\xac\u2016\u2212\u301c]"

_NOT_IN_BIG5 = "[\u02cd\u2574\uffe3]"
_NOT_IN_UTF8MB3 = "[\U00010000-\U0010ffff]"

_MAKERS: dict[str, Callable[[], codecs.CodecInfo]] = {
    _PREFIX + "big5": _refusing("big5", "big5", _NOT_IN_BIG5),
    _PREFIX + "cp1256": _table("cp1256", "cp1256", {}, _NOT_IN_CP1256),
    _PREFIX + "cp866": _table("cp866", "cp866", _CP866),
    _PREFIX + "cp932": _refusing("cp932", "cp932", _NOT_IN_CP932),
    _PREFIX + "gb18030": _gb18030,
    _PREFIX + "greek": _table("greek", "iso8859_7", _GREEK, _NOT_IN_GREEK),
    _PREFIX + "hebrew": _table("hebrew", "iso8859_8", _HEBREW),
    _PREFIX + "koi8u": _table("koi8u", "koi8_u", _KOI8U),
    _PREFIX + "latin1": _table("latin1", "cp1252", _LATIN1),
    _PREFIX + "sjis": _refusing("sjis", "shift_jis", _ASCII_LOOKALIKES, _BACKSLASH),
    _PREFIX + "ujis": _refusing("ujis", "euc_jp", _ASCII_LOOKALIKES, _BACKSLASH),
    _PREFIX + "utf8mb3": _refusing("utf8mb3", "utf8", _NOT_IN_UTF8MB3),
}


def _find_codec(name: str) -> codecs.CodecInfo | None:
    maker = _MAKERS.get(name)
    return None if maker is None else maker()


codecs.register(_find_codec)
