"""What a connection says of itself and of its session."""

from __future__ import annotations

import asyncio

from pymysql import err
from pymysql.constants import SERVER_STATUS

from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.options.options import Options
from aiomysql_protocol.login.handshake import Greeting
from aiomysql_protocol.wire.charsets import Charset


class ConnectionInfo:
    """Base of Connection: everything that is read without asking the server."""

    #: For cursors: the exchanges with the server.
    runner: CommandRunner
    #: For cursors: see Connection.
    charset_in_doubt: bool
    #: How the server is reached, in words.
    host_info: str

    _options: Options
    _charset: Charset
    _loop: asyncio.AbstractEventLoop
    _echo: bool
    _opening: bool
    _last_greeting: Greeting | None

    def __repr__(self) -> str:
        options = self._options
        where = options.unix_socket or f"{options.host}:{options.port}"
        state = "closed" if self.closed else f"thread {self.thread_id()}"
        return f"<{type(self).__name__} {options.user}@{where} db={options.db!r} {state}>"

    @property
    def host(self) -> str:
        """Host name or address of the server."""
        return self._options.host

    @property
    def port(self) -> int:
        """TCP port of the server."""
        return self._options.port

    @property
    def unix_socket(self) -> str | None:
        """Path of the server's unix socket, if that is used."""
        return self._options.unix_socket

    @property
    def db(self) -> str | None:
        """The default database."""
        return self._options.db

    @property
    def user(self) -> str:
        """User name of the session."""
        return self._options.user

    @property
    def echo(self) -> bool:
        """Are statements logged?"""
        return self._echo

    @property
    def connect_timeout(self) -> float | None:
        """Seconds that connecting may take; None: no limit."""
        return self._options.connect_timeout

    @property
    def last_usage(self) -> float:
        """Time of the loop's clock (seconds) when the connection was last used."""
        return self.runner.last_usage

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the connection."""
        return self._loop

    @property
    def encoding(self) -> str:
        """Python codec of the connection's character set."""
        return self._charset.encoding

    @property
    def charset(self) -> str:
        """The server's name of the connection's character set."""
        return self._charset.name

    @property
    def closed(self) -> bool:
        """Is the connection closed, by us or by the server?"""
        return self.runner.closed

    @property
    def server_status(self) -> int:
        """The last status flags of the server (pymysql.constants.SERVER_STATUS)."""
        return self.runner.server_status

    def character_set_name(self) -> str:
        """The same as `charset`."""
        return self.charset

    def get_autocommit(self) -> bool:
        """Is the session in autocommit mode: by what this side has set, or else by what the server
        has said last?
        """
        if self.runner.autocommit is not None:
            return self.runner.autocommit
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)

    def get_transaction_status(self) -> bool:
        """Did the server last say that a transaction is open?"""
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def get_host_info(self) -> str:
        """How the server is reached, in words."""
        return self.host_info

    def _greeting(self) -> Greeting:
        # The last session's, as long as there is no other: what it says is asked for in logs.
        if self._last_greeting is None:
            raise err.InterfaceError(0, "Not connected")
        return self._last_greeting

    def get_proto_info(self) -> int:
        """Version of the protocol: 10.  Raises InterfaceError before the first connect."""
        return self._greeting().protocol_version

    def get_server_info(self) -> str:
        """The server's version.  Raises InterfaceError before the first connect."""
        return self.server_version

    @property
    def server_version(self) -> str:
        """The server's version.  Raises InterfaceError before the first connect."""
        return self._greeting().server_version

    def thread_id(self) -> int:
        """The server's number for this (or the last) session.

        Raises InterfaceError before the first connect.
        """
        return self._greeting().thread_id

    def affected_rows(self) -> int:
        """Rows changed or found by the last statement."""
        return self.runner.affected_rows

    def insert_id(self) -> int:
        """AUTO_INCREMENT value of the last statement; 0 when there is none."""
        result = self.runner.result
        return (result.insert_id or 0) if result is not None else 0

    @property
    def busy(self) -> bool:
        """Is a task waiting for an answer, or opening the connection?"""
        return self._opening or self.runner.busy

    @property
    def stopping(self) -> bool:
        """Is a cancelled statement being stopped (option `on_cancel`)?"""
        return self.runner.stopping

    @property
    def idle(self) -> bool:
        """Is no answer outstanding, and none left half read?"""
        return self.runner.idle

    @property
    def no_backslash_escapes(self) -> bool:
        """Are backslashes ordinary characters in the session's strings?

        Behind a statement that may have changed that, and before the next, by the server's flag.
        """
        session = self.runner.session
        if self.charset_in_doubt and session is not None:
            return session.no_backslash_escapes
        return self.runner.no_backslash_escapes

    @property
    def is_reusable(self) -> bool:
        """Can another task use it as it is: open, nothing outstanding, no transaction open?"""
        return self.runner.at_rest()
