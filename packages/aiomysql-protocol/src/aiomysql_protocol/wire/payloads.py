"""Payloads as they stand in the receive buffer, and those that are too long for it.

Of the ``LongPayload`` in C a row's value can be made without a copy, and bytes can be received
right into its memory.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.wire.capabilities import MAX_FRAME

_unpack_header = Struct("<I").unpack_from


def whole_payload(
    buffer: bytes | bytearray, position: int, end: int, sequence_id: int, /
) -> bytes | None:
    """The payload that begins at `position`, if all of it is in buffer[position:end].

    None: bytes are missing, it goes on in another frame, or its first is not number `sequence_id`.
    """
    start = position + 4
    if start > end:
        return None
    (header,) = _unpack_header(buffer, position)
    length = header & MAX_FRAME
    if header >> 24 != sequence_id or length == MAX_FRAME or start + length > end:
        return None
    return bytes(memoryview(buffer)[start : start + length])


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


py_whole_payload = whole_payload
PyLongPayload = LongPayload
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    whole_payload = _c.whole_payload
    LongPayload = _c.LongPayload
