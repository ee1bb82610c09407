"""Responses of a hostile server to a query: name -> its packets, and words of the error.

MySQL: "COM_QUERY Response", "Text Resultset".
"""

from __future__ import annotations

from dataclasses import dataclass

from pymysql.constants import FIELD_TYPE, SERVER_STATUS

from tests.scripted import error, frame, frames, greeting, ok

MORE = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
VAR_STRING = FIELD_TYPE.VAR_STRING
# 2**64 - 1 and 2**63 as a length, and the byte that begins none.
ENDLESS = b"\xfe" + b"\xff" * 8
HUGE = b"\xfe" + bytes(7) + b"\x80"
NO_LENGTH = b"\xff"
EOF = b"\xfe\0\0\x02\0"


def column(name: bytes = b"a", kind: int = VAR_STRING, collation: int = 45) -> bytes:
    """A column definition (Protocol::ColumnDefinition41)."""
    texts = [b"def", b"", b"", b"", name, b""]
    head = b"".join(bytes([len(text)]) + text for text in texts)
    return (
        head
        + b"\x0c"
        + collation.to_bytes(2, "little")
        + b"\xff\0\0\0"
        + bytes([kind])
        + b"\0\0\0\0\0"
    )


A = column()
B = column(b"b")
LONG_NAME = A[:8] + b"\xfd\0\0\x10" + b"a" * (1 << 20) + A[10:]


def rows(*packets: bytes) -> bytes:
    """A result set of one column."""
    return frames(b"\x01", A, EOF, *packets)


def pairs(*packets: bytes) -> bytes:
    """A result set of two columns."""
    return frames(b"\x02", A, B, EOF, *packets)


@dataclass(frozen=True)
class Case:
    """What the server sends after the query, and whether it closes the connection then."""

    data: bytes
    words: str
    hang_up: bool = False
    deprecate_eof: bool = False


def numbered(*packets: tuple[int, bytes]) -> bytes:
    """Packets with numbers of their own."""
    return b"".join(frame(payload, number) for number, payload in packets)


RESPONSES: dict[str, Case] = {
    # -- the first packet --------------------------------------------------------------------
    "empty": Case(frames(b""), "empty packet"),
    "OK of one byte": Case(frames(b"\0"), "OK packet ends"),
    "OK of six bytes": Case(frames(ok()[:6]), "OK packet ends"),
    "OK with an endless number": Case(frames(b"\0" + NO_LENGTH + ok()[2:]), "0xFF"),
    "OK with NULL for a number": Case(frames(b"\0\xfb" + ok()[2:]), "NULL"),
    "OK whose number ends early": Case(frames(b"\0\xfe\x01\0"), "OK packet ends"),
    "ERR of one byte": Case(frames(b"\xff"), "ERR packet ends"),
    "ERR of two bytes": Case(frames(b"\xff\x01"), "ERR packet ends"),
    "EOF alone": Case(frames(EOF), "column count ends"),
    "endless count of columns": Case(frames(ENDLESS), "18446744073709551615 columns"),
    "16 million columns": Case(frames(b"\xfd\xff\xff\xff"), "16777215 columns"),
    "no column": Case(frames(b"\xfc\0\0"), "0 columns"),
    "count that ends early": Case(frames(b"\xfc\x01"), "column count ends"),
    "count with a tail": Case(frames(b"\x01\0\0"), "2 bytes too many"),
    "count that is no length": Case(frames(b"\x01", NO_LENGTH), "ERR packet ends"),
    "a web server's response": Case(b"HTTP/1.1 200 OK\r\n\r\n", "sequence"),
    "a second greeting": Case(frames(greeting()), "10 columns"),
    "wrong number": Case(numbered((2, ok())), "got 2 expected 1"),
    "number of the request": Case(numbered((0, ok())), "got 0 expected 1"),
    # -- files -------------------------------------------------------------------------------
    "a file": Case(frames(b"\xfb/etc/passwd"), "local file"),
    "a file without a name": Case(frames(b"\xfb"), "local file"),
    "a file with a name of 1 MiB": Case(frames(b"\xfb" + b"x" * (1 << 20)), "local file"),
    "a file after a result": Case(frames(ok(status=MORE), b"\xfb/etc/passwd"), "local file"),
    "a file among the columns": Case(frames(b"\x01", b"\xfb/etc/passwd"), "NULL|definition ends"),
    "a file among the rows": Case(rows(b"\xfb/etc/passwd"), "left over"),
    # -- column definitions ------------------------------------------------------------------
    "empty definition": Case(frames(b"\x01", b""), "empty packet"),
    "definition that ends early": Case(frames(b"\x01", A[:9]), "column definition ends"),
    "definition without its numbers": Case(frames(b"\x01", A[:-13]), "definition ends"),
    "definition without its end": Case(frames(b"\x01", A[:-3]), "definition ends"),
    "definition with an endless name": Case(frames(b"\x01", b"\x03def" + ENDLESS), "announced"),
    "definition with a huge name": Case(frames(b"\x01", b"\x03def" + HUGE), "announced"),
    "definition with NULL for a name": Case(frames(b"\x01", b"\x03def\xfb"), "NULL"),
    "definition with no length": Case(frames(b"\x01", b"\x03def" + NO_LENGTH), "0xFF"),
    "OK for a definition": Case(frames(b"\x02", A, ok()), "definition ends"),
    "EOF for a definition": Case(frames(b"\x02", A, EOF), "definition ends"),
    "ERR of one byte for a definition": Case(frames(b"\x02", A, b"\xff"), "ERR packet ends"),
    "one definition too many": Case(frames(b"\x01", A, A), "no EOF"),
    "definitions out of order": Case(numbered((1, b"\x02"), (3, A), (2, B)), "got 3 expected 2"),
    "definitions without EOF": Case(frames(b"\x01", A, b"\x01x"), "no EOF"),
    "EOF of one byte behind them": Case(frames(b"\x01", A, b"\xfe", b"\xfe"), "EOF packet ends"),
    "end among the definitions": Case(frames(b"\x02", A), "Lost connection", True),
    "definitions of 20 MiB": Case(frames(b"\x20", *[LONG_NAME] * 20), "16777216 bytes"),
    # -- rows --------------------------------------------------------------------------------
    "empty row": Case(rows(b""), "empty packet"),
    "row that ends early": Case(rows(b"\x05x"), "past the end"),
    "row with a tail": Case(rows(b"\x01xy"), "left over"),
    "row with too few columns": Case(pairs(b"\x01x"), "before its last column"),
    "row with too many columns": Case(pairs(b"\x01x\x01y\x01z"), "left over"),
    "row with an endless value": Case(pairs(b"\x01x" + ENDLESS + b"y"), "past the end"),
    "row with a huge value": Case(pairs(b"\x01x" + HUGE + b"y"), "past the end"),
    "row with no length": Case(pairs(b"\x01x" + NO_LENGTH + b"y"), "0xff"),
    "row whose length ends early": Case(pairs(b"\x01x\xfd\x01\0"), "within a value's length"),
    "good row, then a broken one": Case(rows(b"\x01x", b"\x07x"), "past the end"),
    "rows out of order": Case(
        numbered((1, b"\x01"), (2, A), (3, EOF), (5, b"\x01y"), (4, b"\x01x")),
        "got 5 expected 4",
    ),
    "row twice": Case(rows(b"\x01x")[:-6] + numbered((4, b"\x01x")) * 2, "got 4 expected 5"),
    "end among the rows": Case(rows(b"\x01x"), "Lost connection", True),
    "end within a row": Case(rows(b"\x01x", b"\x05hello")[:-3], "Lost connection", True),
    "end within a header": Case(rows(b"\x01x", b"\x05hello")[:-8], "Lost connection", True),
    "end within a frame of 16 MiB": Case(
        rows(b"\x01x") + b"\xff\xff\xff\x05" + b"x" * 100, "Lost connection", True
    ),
    "EOF that ends early": Case(rows(b"\x01x", b"\xfe"), "EOF packet ends"),
    "EOF of two bytes": Case(rows(b"\x01x", b"\xfe\0"), "EOF packet ends"),
    "row that begins as an EOF does": Case(rows(b"\x01x", EOF + bytes(4)), "EOF packet of 9 bytes"),
    "row with a length of eight bytes": Case(
        rows(b"\x01x", b"\xfe\x01" + bytes(7) + b"x", EOF), "EOF packet of 10 bytes"
    ),
    "EOF of 9 bytes behind the columns": Case(
        frames(b"\x01", A, EOF + bytes(4), b"\x01x", EOF), "EOF packet of 9 bytes"
    ),
    "EOF of one byte behind the columns": Case(frames(b"\x01", A, b"\xfe"), "EOF packet ends"),
    "EOF out of order": Case(rows(b"\x01x") + frame(EOF, 0), "got 0 expected 5"),
    "ERR of one byte for a row": Case(rows(b"\x01x", b"\xff"), "ERR packet ends"),
    "OK at the end that ends early": Case(
        frames(b"\x01", A, b"\x01x", b"\xfe\0\0"), "OK packet ends", deprecate_eof=True
    ),
    "OK at the end with an endless number": Case(
        frames(b"\x01", A, b"\x01x", b"\xfe" + NO_LENGTH * 9), "0xFF", deprecate_eof=True
    ),
    # -- further results ---------------------------------------------------------------------
    "more results, then the end": Case(frames(ok(status=MORE)), "Lost connection", True),
    "more results, then an empty one": Case(frames(ok(status=MORE), b""), "empty packet"),
    "more results, then nonsense": Case(
        frames(ok(status=MORE), ok(status=MORE), b"\0"), "OK packet ends"
    ),
    "error that promises more": Case(frames(error(1064, "no"), ok()), "1064|nobody asked for"),
    "a packet nobody asked for": Case(frames(ok(), ok()), "nobody asked for|gone away"),
    "an error nobody asked for": Case(frames(ok()) + frame(error(1053, "bye"), 0), "bye"),
    "half a packet nobody asked for": Case(frames(ok()) + b"\x10", "gone away|Lost", True),
}
