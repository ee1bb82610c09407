"""Names of classic aiomysql's inside, for software that relies on them.

Nothing here is of use to new code, and nothing of ours uses it.  The module `connection` offers
`__all__`, as classic aiomysql's did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self

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
from aiomysql_protocol.commands.exchange import Command
from aiomysql_protocol.commands.query import Result as MySQLResult
from aiomysql_protocol.rows.metadata import Column
from aiomysql_protocol.values.literals import encode_statement
from aiomysql_protocol.wire.capabilities import MAX_FRAME
from aiomysql_protocol.wire.packets import Ok
from aiomysql_protocol.wire.primitives import PayloadReader

if TYPE_CHECKING:
    from aiomysql_core.engine.runner import CommandRunner
    from aiomysql_core.options.options import Options
    from aiomysql_core.transport.stream import Stream
    from aiomysql_protocol.login.login import Login

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

# What stands in the place of PyMySQL's packet classes: a column of a result (`result.fields`), what
# `_read_ok_packet` gives, and what reads a payload.
FieldDescriptorPacket = Column
OKPacketWrapper = EOFPacketWrapper = Ok
MysqlPacket = PayloadReader


class LoadLocalPacketWrapper:
    """The server's request for a file."""

    def __init__(self, from_packet: bytes) -> None:
        """from_packet: the payload."""
        self.filename = bytes(from_packet[1:])


class LoadLocalFile:
    """Was used to send a file; see `Connection.load_local`."""

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


#: PyMySQL's own as long as it has one; it is deprecated there.
escape_sequence = getattr(converters, "escape_sequence", _escape_sequence)


def escape_dict(
    val: Mapping[str, Any], charset: object, mapping: Mapping[Any, Any] | None = None
) -> dict[str, str]:
    """The values of `val` as literals, by PyMySQL's rules; `Connection.escape` knows the session.

    Newer PyMySQL no longer has it.
    """
    return {name: escape_item(value, charset, mapping) for name, value in val.items()}


class StreamHandle:
    """Stands where classic connections had the reader and the writer of asyncio's streams."""

    __slots__ = ("_protocol",)

    def __init__(self, stream: Stream) -> None:
        self._protocol = stream

    @property
    def transport(self) -> Self:
        """What can be asked of a transport is answered here too."""
        return self

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio's transports tell: "socket", "peername" and so on."""
        value = self._protocol.extra_info(name)
        return default if value is None else value

    def is_closing(self) -> bool:
        """Is the connection closed or being closed?"""
        return self._protocol.closed

    def close(self) -> None:
        """Close the connection once everything is sent."""
        self._protocol.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._protocol.abort()

    def at_eof(self) -> bool:
        """Does nothing more come?"""
        return self._protocol.closed

    def exception(self) -> BaseException | None:
        """Why the stream is of no more use."""
        return self._protocol.session.error

    def set_exception(self, exc: BaseException) -> None:
        """Take the connection for lost."""
        self._protocol.connection_lost(exc)


class ClassicInternals:
    """Base of Connection: methods and attributes that others reach for."""

    runner: CommandRunner
    _options: Options

    #: The method that the server announced, and the one that was used at last.
    _server_auth_plugin = ""
    _auth_plugin_used = ""

    _last_command: Command | None = None

    @property
    def _client_auth_plugin(self) -> str:
        return self._options.auth_plugin

    def _record_auth_plugins(self, login: Login) -> None:
        self._server_auth_plugin = login.server_auth_plugin
        self._auth_plugin_used = login.auth_plugin

    @property
    def _reader(self) -> StreamHandle | None:
        return None if self.runner.closed else StreamHandle(self.runner.stream())

    @property
    def _writer(self) -> StreamHandle | None:
        return self._reader

    async def _execute_command(self, command: int, sql: str | bytes) -> None:
        """Run a command that is answered by OK (any of pymysql.constants.COMMAND)."""
        if isinstance(sql, str):
            sql = encode_statement(sql, self._options.find_charset().encoding)
        self._last_command = exchange = Command(command, bytes(sql))
        await self.runner.run(exchange)

    async def _read_ok_packet(self) -> Ok:
        """The answer to the last `_execute_command`."""
        ok = self._last_command.ok if self._last_command is not None else None
        if ok is None:
            raise InternalError("no command was answered by OK")
        return ok

    def write_packet(self, payload: bytes) -> NoReturn:
        """Raises NotSupportedError: the protocol session numbers and sends packets itself."""
        raise NotSupportedError("packets can't be written from outside of the protocol session")

    async def sha256_password_auth(self, pkt: object) -> NoReturn:
        """Raises NotSupportedError: authentication is the protocol layer's."""
        raise NotSupportedError("authentication runs within the protocol session")

    async def caching_sha2_password_auth(self, pkt: object) -> NoReturn:
        """Raises NotSupportedError: authentication is the protocol layer's."""
        raise NotSupportedError("authentication runs within the protocol session")
