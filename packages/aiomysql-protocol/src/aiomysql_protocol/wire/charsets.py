"""Character sets: the server's names and numbers, and the Python codec for each.

MySQL: "Character Set".  The table of names and numbers is PyMySQL's; where Python's codec of the
same name is not the server's character set, another codec stands here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from pymysql.charset import charset_by_name
from pymysql.err import ProgrammingError

__all__ = ["BINARY_COLLATION", "Charset", "find_charset", "reported_charset"]

#: Collation id that marks a column's bytes as bytes (MySQL: collation `binary`).
BINARY_COLLATION = 63

#: The collation utf8mb3_general_ci, which older releases of PyMySQL do not know by this name.
_UTF8MB3_COLLATION = 33

_PREFIX = "aiomysql_"

#: The server's name -> codec, where PyMySQL's choice is missing or differs from the server.
_CODECS = {
    # Without conversion on the server: what comes is in the columns' own character sets.
    "binary": "utf8",
    "cp1256": _PREFIX + "cp1256",
    "cp932": _PREFIX + "cp932",
    "euckr": "cp949",
    "greek": _PREFIX + "greek",
    "hp8": "hp_roman8",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "latin1": _PREFIX + "latin1",
    "macce": "mac_latin2",
    "sjis": _PREFIX + "sjis",
    "ujis": _PREFIX + "ujis",
    "utf8mb3": "utf8",
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
        return Charset(name, _UTF8MB3_COLLATION, "utf8", server_name)
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


def _latin1() -> codecs.CodecInfo:
    """The server's latin1: cp1252, and the bytes that cp1252 leaves out stand for themselves."""
    decoding = "".join(
        bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x100)
    )
    encoding = codecs.charmap_build(decoding)

    return codecs.CodecInfo(
        lambda text, errors="strict": codecs.charmap_encode(text, errors, encoding),
        lambda data, errors="strict": codecs.charmap_decode(data, errors, decoding),
        name=_PREFIX + "latin1",
    )


def _refusing(pattern: str, charset: str, codec: str) -> Callable[[], codecs.CodecInfo]:
    """A Python codec that does not write the characters of `pattern` (a regular expression)."""
    name = _PREFIX + charset
    refused = re.compile(pattern)

    def make() -> codecs.CodecInfo:
        original = codecs.lookup(codec)

        def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
            found = refused.search(text)
            if found is not None:
                reason = f"not in the server's {charset}"
                raise UnicodeEncodeError(name, text, found.start(), found.end(), reason)
            return original.encode(text, errors)

        return codecs.CodecInfo(encode, original.decode, name=name)

    return make


# Python writes U+00A5 YEN SIGN as a backslash and U+203E OVERLINE as a tilde. For the server these
# bytes are backslash and tilde, so a yen sign would escape the quote behind it.
_ASCII_LOOKALIKES = "[\xa5\u203e]"

# Python writes these as single bytes that are no characters for the server.
_NOT_IN_CP932 = "[\x80\xa0\uf8f0-\uf8f3]"
_NOT_IN_CP1256 = "[\u0679\u0688\u0691\u06a9\u06ba\u06be\u06c1\u06d2]"
_NOT_IN_GREEK = "[\u037a\u20ac\u20af]"

_MAKERS: dict[str, Callable[[], codecs.CodecInfo]] = {
    _PREFIX + "cp932": _refusing(_NOT_IN_CP932, "cp932", "cp932"),
    _PREFIX + "cp1256": _refusing(_NOT_IN_CP1256, "cp1256", "cp1256"),
    _PREFIX + "greek": _refusing(_NOT_IN_GREEK, "greek", "iso8859_7"),
    _PREFIX + "latin1": _latin1,
    _PREFIX + "sjis": _refusing(_ASCII_LOOKALIKES, "sjis", "shift_jis"),
    _PREFIX + "ujis": _refusing(_ASCII_LOOKALIKES, "ujis", "euc_jp"),
}


def _find_codec(name: str) -> codecs.CodecInfo | None:
    maker = _MAKERS.get(name)
    return None if maker is None else maker()


codecs.register(_find_codec)
