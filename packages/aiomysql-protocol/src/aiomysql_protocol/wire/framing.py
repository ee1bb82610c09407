"""Frames: the 4-byte headers that cut the stream into payloads.

MySQL: "MySQL Packets", "Sending More Than 16Mb".
"""

from __future__ import annotations

from typing import NamedTuple

from pymysql.constants import CR, ER
from pymysql.err import InternalError, OperationalError

from aiomysql_protocol.wire.capabilities import MAX_FRAME, MAX_PAYLOAD
from aiomysql_protocol.wire.payloads import LongPayload

__all__ = ["LARGE_FRAME", "SMALLEST_BUFFER"]

#: An unfinished frame longer than this many bytes is gathered outside the receive buffer.
LARGE_FRAME = 1 << 16

#: The receive buffer must be able to hold at least this many bytes.
SMALLEST_BUFFER = LARGE_FRAME + 4


def frames(payload: bytes, sequence_id: int) -> tuple[list[bytes | memoryview], int]:
    """Cut `payload` into frames, the first numbered `sequence_id`.

    Returns the chunks to write in order, and the sequence id that follows the last frame.  A
    payload whose length is a multiple of 0xFFFFFF ends with an empty frame.
    """
    if len(payload) < MAX_FRAME:
        header = (len(payload) | sequence_id << 24).to_bytes(4, "little")
        return [header + payload], (sequence_id + 1) & 0xFF
    if len(payload) > MAX_PAYLOAD:
        raise OperationalError(
            ER.NET_PACKET_TOO_LARGE,
            f"A request of {len(payload)} bytes is larger than any server takes ({MAX_PAYLOAD})",
        )
    chunks: list[bytes | memoryview] = []
    view = memoryview(payload)
    for start in range(0, len(payload) + 1, MAX_FRAME):
        part = view[start : start + MAX_FRAME]
        chunks.append((len(part) | sequence_id << 24).to_bytes(4, "little"))
        chunks.append(part)
        sequence_id = (sequence_id + 1) & 0xFF
    return chunks, sequence_id


class Frame(NamedTuple):
    """What `PayloadAssembler.read` found."""

    #: The whole payload (a LongPayload when it was gathered), or None while bytes are missing.
    payload: bytes | bytearray | None
    #: Where the next unread byte stands in the buffer.
    position: int
    #: The sequence id expected in the next frame header.
    sequence_id: int


class PayloadAssembler:
    """Joins frames to payloads.

    Short frames are left in the caller's buffer until they are complete.  Long ones, and payloads
    of several frames, are gathered as they come, so that the buffer need not grow and a payload of
    many MiB is copied once.
    """

    __slots__ = ("_gathered", "_last_frame", "_missing", "gathering", "max_payload")

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        """`max_payload`: bytes; a longer payload raises OperationalError 2020."""
        self.max_payload: int = max_payload
        #: Whether a long payload is being gathered, with its first bytes consumed already.
        self.gathering: bool = False
        self._gathered: LongPayload | None = None
        self._missing = 0  # bytes that the frame being gathered still lacks
        self._last_frame = True  # the frame being gathered is the last of its payload

    def room(self) -> tuple[LongPayload, memoryview] | None:
        """See `Session.room`."""
        # The last byte comes by way of the caller's buffer, so that no view is left by then.
        size = self._missing - 1
        if self._gathered is None or size < LARGE_FRAME:
            return None
        view = self._gathered.room(size)
        return None if view is None else (self._gathered, view)

    def read(
        self,
        buffer: bytearray,
        position: int,
        end: int,
        sequence_id: int,
        limit: int = MAX_PAYLOAD,
    ) -> Frame:
        """Read one payload from buffer[position:end], whose first frame carries `sequence_id`.

        buffer: the caller's, or what `room` gave, with `end` - `position` bytes in its room.

        Raises InternalError when a frame carries another number, OperationalError when the payload
        exceeds `max_payload`, or the `limit` for this one (bytes).
        """
        while True:
            if self.gathering:
                if self._missing:
                    position = self._gather(buffer, position, end)
                    if self._missing:
                        return Frame(None, position, sequence_id)
                if self._last_frame:
                    gathered, self._gathered = self._gathered, None
                    self.gathering = False
                    return Frame(gathered, position, sequence_id)
            if end - position < 4:
                return Frame(None, position, sequence_id)
            length = buffer[position] | buffer[position + 1] << 8 | buffer[position + 2] << 16
            if buffer[position + 3] != sequence_id:
                raise wrong_sequence(buffer[position + 3], sequence_id)
            complete = position + 4 + length <= end
            if not self.gathering and length < MAX_FRAME:
                if complete:
                    start = position + 4
                    payload = bytes(memoryview(buffer)[start : start + length])
                    return Frame(payload, start + length, (sequence_id + 1) & 0xFF)
                if length <= LARGE_FRAME:
                    return Frame(None, position, sequence_id)
            self._begin(length, limit)
            sequence_id = (sequence_id + 1) & 0xFF
            position += 4

    def _begin(self, length: int, limit: int) -> None:
        """A long frame, or one more of a long payload, starts here."""
        self.gathering = True
        if self._gathered is None:
            self._gathered = LongPayload()
        size = len(self._gathered) + length
        if size > limit:
            raise OperationalError(
                CR.CR_NET_PACKET_TOO_LARGE,
                f"Got a packet of {size} bytes or more where at most {limit} may come",
            )
        if size > self.max_payload:
            raise OperationalError(
                CR.CR_NET_PACKET_TOO_LARGE,
                f"Got a packet bigger than 'max_allowed_packet' ({self.max_payload} bytes)",
            )
        self._missing = length
        self._last_frame = length < MAX_FRAME

    def _gather(self, buffer: bytearray, position: int, end: int) -> int:
        assert self._gathered is not None
        stop = min(end, position + self._missing)
        if buffer is self._gathered:
            self._gathered.fill(stop - position)
        else:
            self._gathered.gather(buffer, position, stop)
        self._missing -= stop - position
        return stop


def wrong_sequence(got: int, expected: int) -> InternalError:
    """The error for a frame that is out of order."""
    return InternalError(f"Packet sequence number wrong - got {got} expected {expected}")
