"""Payloads that are too long for the receive buffer.

``LongPayload`` here is the Python implementation; ``_payload.h`` holds one of which a row's value
can be made without a copy, and which can lend its room.
"""

from __future__ import annotations


class LongPayload(bytearray):
    """A payload that is gathered piece by piece.

    The one in C is no bytearray: it has a length, items, slices (bytes) and the buffer protocol.
    What `RowDecoder.decode_row` has read may be empty afterwards.
    """

    def gather(self, buffer: bytes | bytearray, start: int, stop: int, /) -> None:
        """Append buffer[start:stop]."""
        with memoryview(buffer) as view:
            self += view[start:stop]

    def room(self, limit: int, /) -> memoryview | None:
        """A view to write the next bytes to, `limit` at most; None: they can only be gathered.

        It must be released before more room is asked for, anything is gathered, or the payload is
        read.
        """
        return None

    def fill(self, count: int, /) -> None:
        """The next `count` bytes were written to the room.  Raises ValueError where none is."""
        raise ValueError("there is no room for so many bytes")
