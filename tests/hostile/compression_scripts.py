"""Compressed frames of a hostile server, in response to a query: name -> bytes, words of the error.

MySQL: "Compressed Packet".
"""

from __future__ import annotations

import zlib

from tests.compressed import compressed, compressed_frame, stored
from tests.hostile.response_scripts import EOF, column
from tests.scripted import error, frame, frames

PACKETS = [b"\x01", column(), EOF, b"\x01x", b"\xfa" + b"y" * 250, b"\x01z", EOF]

#: A result set.
ROWS = frames(*PACKETS)

CONTENT = zlib.compress(ROWS)
BOMB = zlib.compress(bytes(1 << 24))

HOSTILE: dict[str, tuple[bytes, str]] = {
    "no content": (compressed_frame(b"", 1, 0), "empty compressed packet"),
    "no content, again and again": (compressed_frame(b"", 1, 0) * 999, "empty compressed packet"),
    "no content that would be some": (compressed_frame(b"", 1, 9), "empty compressed packet"),
    "garbage": (compressed_frame(b"garbage" * 9, 1, 200), "can't be inflated"),
    "longer than announced": (compressed_frame(CONTENT, 1, len(ROWS) - 1), "longer"),
    "much longer than announced": (compressed_frame(BOMB, 1, 1), "longer"),
    "shorter than announced": (compressed_frame(CONTENT, 1, len(ROWS) + 1), "not as long"),
    "much shorter than announced": (compressed_frame(CONTENT, 1, 0xFFFFFF), "not as long"),
    "cut off": (compressed_frame(CONTENT[:-1], 1, len(ROWS)), "not as long"),
    "cut off in the middle": (compressed_frame(CONTENT[:50], 1, len(ROWS)), "not as long"),
    "bytes behind the end": (compressed_frame(CONTENT + b"x", 1, len(ROWS)), "not as long"),
    "twice in one": (compressed_frame(CONTENT * 2, 1, len(ROWS) * 2), "not as long"),
    "wrong checksum": (compressed_frame(CONTENT[:-4] + bytes(4), 1, len(ROWS)), "inflated"),
    "compressed, but announced as not": (stored(CONTENT, 1), "sequence number wrong"),
    "not compressed, but announced as such": (compressed_frame(ROWS, 1, len(ROWS)), "inflated"),
    "wrong number": (stored(ROWS, 2), "got 2 expected 1"),
    "wrong number later": (stored(ROWS[:9], 1) + stored(ROWS[9:], 3), "got 3 expected 2"),
    "the same number again": (stored(ROWS[:9], 1) * 2, "got 1 expected 2"),
    "packets out of order": (compressed(frames(*PACKETS, first=4), 1), "got 4 expected 1"),
    "a packet too much": (compressed(ROWS + frame(EOF, 0), 1), "nobody asked for"),
    "a frame too much": (compressed(ROWS, 1) + compressed(ROWS, 2), "got 1|nobody asked for"),
    "an error out of order": (stored(frame(error(1053, "bye"), 0), 0), "bye"),
}
