"""Reading and writing the elementary types of the wire format, every length checked.

MySQL: "Integer Types" (FixedLengthInteger, LengthEncodedInteger) and "String Types".
"""

from __future__ import annotations

from aiomysql_protocol.wire.errors import malformed

__all__ = ["PayloadReader"]


class PayloadReader:
    """Reads one payload from front to back.

    Every method returns the value read and moves on; reading past the end raises MalformedPacket.
    """

    __slots__ = ("_data", "_position", "_what")

    def __init__(self, data: bytes | bytearray, what: str, position: int = 0) -> None:
        """`data` is the payload, `what` names the packet in error messages."""
        self._data = bytes(data)
        self._what = what
        self._position = position

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self._position
        end = start + size
        if end > len(self._data):
            raise malformed(
                f"{self._what} ends after {len(self._data)} bytes, {end} were announced"
            )
        self._position = end
        return self._data[start:end]

    def rest(self) -> bytes:
        """All bytes not read yet (may be empty)."""
        return self.take(self.remaining)

    def integer(self, size: int) -> int:
        """An unsigned little-endian integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def lenenc_integer(self) -> int | None:
        """A length-encoded integer, or None for the NULL mark 0xFB."""
        first = self.integer(1)
        if first < 0xFB:
            return first
        if first == 0xFB:
            return None
        if first == 0xFF:
            raise malformed(f"{self._what} holds 0xFF where a length was expected")
        return self.integer({0xFC: 2, 0xFD: 3, 0xFE: 8}[first])

    def required_lenenc_integer(self) -> int:
        """A length-encoded integer that must not be NULL."""
        value = self.lenenc_integer()
        if value is None:
            raise malformed(f"{self._what} holds NULL where a number was expected")
        return value

    def lenenc_bytes(self) -> bytes:
        """A length-encoded string, as bytes."""
        return self.take(self.required_lenenc_integer())

    def null_terminated(self, *, end_is_terminator: bool = False) -> bytes:
        """Bytes up to the next NUL, which is skipped.

        With `end_is_terminator` the end of the payload ends the string as well (some servers
        leave out the last NUL).
        """
        at = self._data.find(b"\0", self._position)
        if at >= 0:
            value = self._data[self._position : at]
            self._position = at + 1
            return value
        if not end_is_terminator:
            raise malformed(f"a string in {self._what} has no end")
        return self.rest()


def lenenc_integer(value: int) -> bytes:
    """`value` (0 ... 2**64 - 1) as a LengthEncodedInteger."""
    if value < 0xFB:
        return value.to_bytes(1, "little")
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def lenenc_bytes(value: bytes) -> bytes:
    """`value` as a length-encoded string."""
    return lenenc_integer(len(value)) + value
