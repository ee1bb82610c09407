"""Errors that this package adds to, or builds from, PyMySQL's exception classes."""

from __future__ import annotations

from pymysql.constants import CR
from pymysql.err import DataError, InternalError

__all__ = ["MalformedPacket"]

_SHOWN_BYTES = 32


class MalformedPacket(InternalError):
    """The server sent bytes that are not what the protocol allows here.

    ``args`` is ``(2027, message)``, the client library's CR_MALFORMED_PACKET. After it the
    position in the stream is unknown: the connection cannot be used any more.
    """


def malformed(what: str) -> MalformedPacket:
    """The error for a packet that breaks the protocol; `what` says how."""
    return MalformedPacket(CR.CR_MALFORMED_PACKET, f"Malformed packet: {what}")


def uncertain_cell(column: str, reason: ValueError) -> DataError:
    """The error for a date that is read and is no certain moment; `reason` says why."""
    return DataError(CR.CR_UNKNOWN_ERROR, f"Column {column!r}: {reason}")


def unreadable_cell(column: str, wanted: str, raw: bytes) -> DataError:
    """The error for a well-framed value that cannot be read as its column's type.

    `column` is the column's name, `wanted` the type that was expected, `raw` the value as the
    server sent it, of which the message shows the first 32 bytes.
    """
    shown = repr(raw) if len(raw) <= _SHOWN_BYTES else f"{raw[:_SHOWN_BYTES]!r}..."
    return DataError(CR.CR_UNKNOWN_ERROR, f"Column {column!r}: cannot read {shown} as {wanted}")
