"""Names that the modules of classic aiomysql had, for software that imports them.

Nothing here is of use to new code, and nothing of ours uses it.  The module `connection` offers
`__all__`, as classic aiomysql's did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NoReturn

from pymysql import converters
from pymysql.constants import FIELD_TYPE
from pymysql.converters import escape_item, escape_string, through
from pymysql.err import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004  (PEP 249 names it so)
)

from aiomysql_core.log import logger
from aiomysql_core.options.options import DEFAULT_CHARSET, DEFAULT_USER
from aiomysql_core.waiting.awaitable import AwaitableContextManager as _ContextManager
from aiomysql_protocol.commands.query import Result as MySQLResult
from aiomysql_protocol.rows.metadata import Column
from aiomysql_protocol.wire.capabilities import MAX_FRAME
from aiomysql_protocol.wire.packets import Ok
from aiomysql_protocol.wire.primitives import PayloadReader

__all__ = [
    "DEFAULT_CHARSET",
    "DEFAULT_USER",
    "MAX_PACKET_LEN",
    "TEXT_TYPES",
    "DataError",
    "DatabaseError",
    "EOFPacketWrapper",
    "Error",
    "FieldDescriptorPacket",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "LoadLocalFile",
    "LoadLocalPacketWrapper",
    "MySQLResult",
    "MysqlPacket",
    "NotSupportedError",
    "OKPacketWrapper",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "_ContextManager",
    "escape_item",
    "escape_string",
    "logger",
    "partial",
    "through",
]

#: Payload bytes of the largest frame.
MAX_PACKET_LEN = MAX_FRAME

#: Field types that hold text or, with the binary collation, bytes.
TEXT_TYPES = {
    FIELD_TYPE.VARCHAR,
    FIELD_TYPE.BIT,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.BLOB,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.STRING,
    FIELD_TYPE.GEOMETRY,
}

# These stand in the place of PyMySQL's packet classes: a column of a result (`result.fields`), what
# `_read_ok_packet` gives, and the reader of a payload.
FieldDescriptorPacket = Column
OKPacketWrapper = EOFPacketWrapper = Ok
MysqlPacket = PayloadReader


class LoadLocalPacketWrapper:
    """The server's request for a file."""

    def __init__(self, from_packet: bytes) -> None:
        """from_packet: the payload."""
        self.filename: bytes = bytes(from_packet[1:])


class LoadLocalFile:
    """Classic aiomysql sent files with it; `Connection.load_local` does that now."""

    def __init__(self, filename: str | bytes, connection: object) -> None:
        self.filename = filename
        self.connection = connection

    async def send_data(self) -> NoReturn:
        """Raises NotSupportedError."""
        raise NotSupportedError("to send a file of your own use Connection.load_local()")


def _escape_sequence(
    val: Iterable[Any], charset: object = None, mapping: Mapping[Any, Any] | None = None
) -> str:
    """The elements of `val` as literals in parentheses, by PyMySQL's rules."""
    return f"({','.join(escape_item(item, charset, mapping) for item in val)})"


#: PyMySQL's own function as long as it has one; it is deprecated there.
escape_sequence: Callable[..., str] = getattr(converters, "escape_sequence", _escape_sequence)


def escape_dict(
    val: Mapping[str, Any], charset: object, mapping: Mapping[Any, Any] | None = None
) -> dict[str, str]:
    """The values of `val` as literals, by PyMySQL's rules; `Connection.escape` knows the session.

    Newer PyMySQL no longer has it.
    """
    return {name: escape_item(value, charset, mapping) for name, value in val.items()}
