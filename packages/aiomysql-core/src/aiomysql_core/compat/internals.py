"""What classic code and tracers reach for on a connection, beside what new code uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from pymysql.err import InternalError, NotSupportedError

from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.options.options import Options
from aiomysql_core.transport.stream import Stream
from aiomysql_protocol.commands.exchange import Command
from aiomysql_protocol.login.handshake import Greeting
from aiomysql_protocol.login.login import Login
from aiomysql_protocol.values.literals import encode_statement
from aiomysql_protocol.wire.packets import Ok


class StreamHandle:
    """Stands where classic connections had the reader and the writer of asyncio's streams."""

    __slots__ = ("_protocol",)  # the name that asyncio's streams have for it

    def __init__(self, stream: Stream) -> None:
        self._protocol = stream

    @property
    def transport(self) -> Self:
        """This object, which also stands for the transport."""
        return self

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio's transports tell: "socket", "peername" and so on."""
        value = self._protocol.extra_info(name)
        return default if value is None else value

    def is_closing(self) -> bool:
        """Whether the connection is closed or being closed."""
        return self._protocol.closed

    def close(self) -> None:
        """Close the connection once everything is sent."""
        self._protocol.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._protocol.abort()

    def at_eof(self) -> bool:
        """Whether nothing more will come."""
        return self._protocol.closed

    def exception(self) -> BaseException | None:
        """Why the stream can't be used any more; None while it can."""
        return self._protocol.session.error

    def set_exception(self, exc: BaseException) -> None:
        """Treat the connection as lost."""
        self._protocol.connection_lost(exc)


class ClassicInternals:
    """Base of Connection: methods and attributes that only classic code and tracers use."""

    # Of Connection.
    runner: CommandRunner
    host_info: str
    _options: Options

    if TYPE_CHECKING:

        def escape(self, obj: object) -> str: ...
        def _greeting(self) -> Greeting: ...
        @property
        def charset(self) -> str: ...
        @property
        def server_version(self) -> str: ...

    # The method that the server announced, and the one that was used in the end.
    _server_auth_plugin: str
    _auth_plugin_used: str

    _last_command: Command | None

    def get_host_info(self) -> str:
        """The same as `host_info`."""
        return self.host_info

    def get_server_info(self) -> str:
        """The same as `server_version`."""
        return self.server_version

    def get_proto_info(self) -> int:
        """Version of the protocol: 10.  Raises InterfaceError before the first connect."""
        return self._greeting().protocol_version

    def character_set_name(self) -> str:
        """The same as `charset`."""
        return self.charset

    def literal(self, obj: object) -> str:
        """The same as `escape`."""
        return self.escape(obj)

    @property
    def protocol_version(self) -> int:
        """The same as `get_proto_info()`."""
        return self._greeting().protocol_version

    @property
    def server_thread_id(self) -> tuple[int]:
        """What `thread_id()` gives, in a tuple."""
        return (self._greeting().thread_id,)

    @property
    def server_capabilities(self) -> int:
        """What the server said it can do (pymysql.constants.CLIENT)."""
        return self._greeting().capabilities & 0xFFFFFFFF

    @property
    def client_flag(self) -> int:
        """The capabilities in use (pymysql.constants.CLIENT); not connected: those asked for."""
        session = self.runner.session
        flags = self._options.client_flag if session is None else session.capabilities
        return flags & 0xFFFFFFFF

    def _ensure_alive(self) -> None:
        self.runner.stream()

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
        """The response to the last `_execute_command`."""
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
