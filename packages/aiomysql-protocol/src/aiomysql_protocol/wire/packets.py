"""The generic response packets: OK, ERR and EOF.

MySQL: "OK_Packet", "ERR_Packet", "EOF_Packet".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from pymysql import err
from pymysql.constants import SERVER_STATUS

from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.primitives import PayloadReader

__all__ = ["MORE_RESULTS", "Ok", "error_of"]

OK_HEADER = 0x00
LOCAL_INFILE_HEADER = 0xFB
EOF_HEADER = 0xFE
ERR_HEADER = 0xFF

# What is longer and begins with 0xFE begins with a length of eight bytes.
_LONGEST_EOF = 8

# Behind the header: affected rows, insert id, status, warnings.
_unpack_ok = struct.Struct("<xBBHH").unpack_from


class Ok(NamedTuple):
    """What an OK packet, or the EOF packet at the end of a result set, says."""

    affected_rows: int = 0
    insert_id: int = 0
    server_status: int = 0
    warning_count: int = 0
    message: bytes = b""

    @property
    def more_results(self) -> bool:
        """Whether another result follows in the same response."""
        return bool(self.server_status & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS)


def parse_ok(payload: bytes | bytearray) -> Ok:
    """Read an OK packet (header 0x00, or 0xFE where it stands for EOF).

    Raises MalformedPacket.
    """
    return parse_short_ok(bytes(payload)) if len(payload) == 7 else _read_ok(payload)


def _read_ok(payload: bytes | bytearray) -> Ok:
    if len(payload) >= 7 and payload[1] < 0xFB and payload[2] < 0xFB:
        # Nearly always: both numbers take a byte each.  Made without the function that NamedTuple
        # puts between.
        return tuple.__new__(Ok, (*_unpack_ok(payload), bytes(payload[7:])))
    reader = PayloadReader(payload, "an OK packet", 1)
    return Ok(
        affected_rows=reader.required_lenenc_integer(),
        insert_id=reader.required_lenenc_integer(),
        server_status=reader.integer(2),
        warning_count=reader.integer(2),
        message=reader.rest(),
    )


#: The flag by which `Ok.more_results` is true.
MORE_RESULTS = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS

#: The flag by which a transaction is open.
IN_TRANSACTION = SERVER_STATUS.SERVER_STATUS_IN_TRANS

#: `parse_ok` for packets of seven bytes: one ends nearly every result set, and few are different.
parse_short_ok: Callable[[bytes], Ok] = lru_cache(maxsize=256)(_read_ok)


def parse_eof(payload: bytes | bytearray) -> Ok:
    """Read a classic EOF packet (header 0xFE, 5 bytes).

    Raises MalformedPacket, also for one of more than 8 bytes: whatever that is, it ends nothing.
    """
    if len(payload) > _LONGEST_EOF:
        raise malformed(f"an EOF packet of {len(payload)} bytes")
    reader = PayloadReader(payload, "an EOF packet", 1)
    warning_count = reader.integer(2)
    return Ok(server_status=reader.integer(2), warning_count=warning_count)


def parse_error(payload: bytes | bytearray) -> err.MySQLError:
    """Turn an ERR packet into the DB-API exception that PyMySQL assigns to its number.

    The exception's args are (number, message); its attribute `sqlstate` is the five-character
    SQLSTATE or None.  Raises MalformedPacket when the packet is shorter than its fixed part.
    """
    reader = PayloadReader(payload, "an ERR packet", 1)
    number = reader.integer(2)
    message = reader.rest()
    sqlstate = None
    if message[:1] == b"#" and len(message) >= 6:
        sqlstate = message[1:6].decode("ascii", "replace")
        message = message[6:]
    error = error_of(number, message.decode("utf-8", "replace"))
    setattr(error, "sqlstate", sqlstate)  # noqa: B010  (older PyMySQL has no such parameter)
    return error


def error_of(number: int, message: str) -> err.MySQLError:
    """The DB-API exception that PyMySQL assigns to the number of a server's error."""
    error_class = err.error_map.get(number)
    if error_class is None:
        error_class = err.InternalError if number < 1000 else err.OperationalError
    error: err.MySQLError = error_class(number, message)
    return error
