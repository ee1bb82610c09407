"""Character sets: the server's names and numbers, and the Python codec for each.

MySQL: "Character Set".  The table itself is PyMySQL's.
"""

from __future__ import annotations

import codecs
from typing import NamedTuple

from pymysql.charset import charset_by_name
from pymysql.err import ProgrammingError

#: Collation id that marks a column's bytes as bytes (MySQL: collation `binary`).
BINARY_COLLATION = 63


class Charset(NamedTuple):
    """A character set as the client uses it."""

    #: The server's name of it, as given by the caller.
    name: str
    #: Number of its default collation, sent in the handshake (one byte).
    collation_id: int
    #: Name of the Python codec.
    encoding: str


def find_charset(name: str) -> Charset:
    """Look up a character set by the server's name (case does not matter).

    Raises ProgrammingError, which names it, when it is unknown or Python has no codec for it.
    """
    try:
        found = charset_by_name(name)
    except KeyError:
        found = None
    if found is None:
        raise ProgrammingError(f"unknown character set {name!r} (option 'charset')")
    encoding = found.encoding
    if found.is_binary:
        encoding = "latin1"  # the wire's bytes pass through unchanged
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ProgrammingError(
            f"character set {name!r} (option 'charset') has no codec in this Python"
        ) from None
    collation_id: int = getattr(found, "id")  # noqa: B009  (the public stubs lack it)
    return Charset(name, collation_id, encoding)
