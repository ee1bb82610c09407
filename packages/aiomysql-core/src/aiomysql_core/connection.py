"""Connections."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import os
import socket
import sys
import time
import warnings
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import lru_cache
from ssl import SSLContext
from time import monotonic
from types import MethodType, TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    NoReturn,
    Self,
    TypeVar,
    Unpack,
    overload,
)
from weakref import ref

from pymysql import err
from pymysql.constants import CLIENT, COMMAND, CR, SERVER_STATUS
from pymysql.converters import decoders as default_decoders

from aiomysql_core.bulk.infile import LocalFiles, LocalSource, files_by_name
from aiomysql_core.compat import hooks
from aiomysql_core.compat.internals import ClassicInternals
from aiomysql_core.compat.names import *  # noqa: F403  (names this module had in classic aiomysql)
from aiomysql_core.compat.origins import origin_of
from aiomysql_core.cursors import Cursor, check_row_factory
from aiomysql_core.engine.cancellation import KillClient
from aiomysql_core.engine.connection_state import ConnectionState
from aiomysql_core.engine.cursor_state import new_cursor
from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.error_classes import ErrorClasses
from aiomysql_core.implementation import announce
from aiomysql_core.load_rows import RowLoad
from aiomysql_core.log import (
    LOST,
    Place,
    calling_place,
    is_told_otherwise,
    warn_of_lost_changes,
)
from aiomysql_core.options.dsn import is_dsn, parse_dsn
from aiomysql_core.options.keywords import KEYWORDS, check_value, without_aliases
from aiomysql_core.options.option_files import apply_option_file
from aiomysql_core.options.options import (
    OPTION_NAMES,
    Password,
    find_options,
    find_session_options,
)
from aiomysql_core.options.signatures import declares, running_loop, takes_parameters_of
from aiomysql_core.options.time_zone import add_zone_advice, zones_differ
from aiomysql_core.pending_error import PendingError
from aiomysql_core.pipeline import Pipeline
from aiomysql_core.row_stream import RowStream
from aiomysql_core.rows import RowFactory, tuple_row
from aiomysql_core.session_charset import SessionCharset
from aiomysql_core.statement_encoder import StatementEncoder
from aiomysql_core.statements import PreparedStatement, StatementCache, add_advice
from aiomysql_core.transaction import Transaction
from aiomysql_core.transport.connect import open_stream
from aiomysql_core.type_variables import OtherRow, Row
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_core.waiting.ready import DONE, Ready
from aiomysql_core.waiting.timeouts import (
    ConnectTimeout,
    Deadline,
    with_timeout,
    within_timeout_argument,
)
from aiomysql_protocol.commands.exchange import Command, Exchange
from aiomysql_protocol.commands.query import Query, encode_query
from aiomysql_protocol.login.auth import AuthMethod, Dialog
from aiomysql_protocol.login.change_user import ChangeUser
from aiomysql_protocol.login.handshake import Greeting
from aiomysql_protocol.login.login import Channel
from aiomysql_protocol.rows.metadata import Converter
from aiomysql_protocol.session import Session
from aiomysql_protocol.sql.local_infile import local_file_names
from aiomysql_protocol.sql.marks import explained_preparation
from aiomysql_protocol.values.literals import Literals, encode_statement
from aiomysql_protocol.values.literals import escape_string as escape_text
from aiomysql_protocol.wire.capabilities import MAX_PAYLOAD
from aiomysql_protocol.wire.charsets import find_charset
from aiomysql_protocol.wire.packets import Ok

if TYPE_CHECKING:
    from aiomysql_core.compat.row_mixins import _DictCursorMixin
    from aiomysql_core.typing import KeywordOptions

C = TypeVar("C", bound=Cursor[Any])
DictRows = TypeVar("DictRows", bound="_DictCursorMixin")

#: What is not in pymysql.constants.COMMAND and, of older releases, not in pymysql.constants.ER.
_COM_RESET_CONNECTION = 0x1F
_MUST_CHANGE_PASSWORD = 1820


class _DefaultConverters(dict[Any, Any]):
    """PyMySQL's converters as the default of an option, which help() shows by their name."""

    def __repr__(self) -> str:
        return "pymysql.converters.decoders"


_DEFAULT_CONV = _DefaultConverters(default_decoders)

#: What is public for other parts of the driver only; and what only classic code calls.
_NOT_FOR_USERS = frozenset(
    {"allows_local_files", "current_literals", "encoder", "escape_args", "local_file_names"}
    | {"joins_statements", "local_files", "loses_changes", "make_ready", "max_allowed_packet"}
    | {"new_cursor", "new_query", "record_transaction_end", "run_in_turn", "runner"}
    | {"session_charset", "set_up_session", "statements", *vars(ClassicInternals)}
) - frozenset(dir(object))


class Connection(ConnectionState, ClassicInternals, ErrorClasses, Generic[Row]):
    """A connection to a MySQL or MariaDB server.

    Made by `connect`.  One task at a time may use it.  For type checkers it is generic in the type
    of its cursors' rows.
    """

    _own_query: ClassVar[Callable[..., Any]]

    # What protects the session, since there was one.
    _channel: Channel

    def __init__(
        self,
        host: str | None = "localhost",
        user: str | None = None,
        password: Password = "",
        db: str | None = None,
        port: int | None = 3306,
        unix_socket: str | os.PathLike[str] | None = None,
        charset: str = "",
        sql_mode: str | int | None = None,
        read_default_file: str | os.PathLike[str] | None = None,
        conv: Mapping[Any, Any] | None = _DEFAULT_CONV,
        use_unicode: bool | None = None,
        client_flag: int = 0,
        cursorclass: type[Cursor[Any]] = Cursor,
        init_command: str | bytes | None = None,
        connect_timeout: float | None = 10.0,
        read_default_group: str | None = None,
        autocommit: bool | None = False,
        echo: bool = False,
        local_infile: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        ssl: SSLContext | bool | Mapping[str, Any] | None = None,
        auth_plugin: str | None = "",
        program_name: str | None = "",
        server_public_key: str | bytes | None = None,
        *,
        database: str | None = None,
        passwd: Password | None = None,
        collation: str | None = None,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        sock: socket.socket | None = None,
        conn_attrs: Mapping[str, str] | None = None,
        allow_cleartext: bool = False,
        allow_old_password: bool = False,
        auth_methods: Mapping[str, type[AuthMethod]] | None = None,
        dialog: Dialog | None = None,
        factor_passwords: Sequence[str | bytes] = (),
        get_warnings: bool = True,
        compression: (
            Literal["zlib", "zstd", "uncompressed"]
            | Sequence[Literal["zlib", "zstd", "uncompressed"]]
            | None
        ) = None,
        compression_level: int | None = None,
        multi_statements: bool | None = True,
        bulk_statements: bool | None = True,
        stmt_cache_size: int = 0,
        skip_idle_commits: bool = True,
        max_allowed_packet: int = MAX_PAYLOAD,
        tcp_keepalive: int | Sequence[int] | None = None,
        tcp_user_timeout: float | None = None,
        on_cancel: Literal["close", "kill"] = "close",
        kill_timeout: float = 5.0,
        ssl_mode: Literal["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]
        | None = None,
        ssl_ca: str | os.PathLike[str] | None = None,
        ssl_capath: str | os.PathLike[str] | None = None,
        ssl_cert: str | os.PathLike[str] | None = None,
        ssl_key: str | os.PathLike[str] | None = None,
        ssl_key_password: str | bytes | None = None,
        ssl_cipher: str | None = None,
        ssl_verify_cert: bool | None = None,
        ssl_verify_identity: bool | None = None,
        ssl_disabled: bool = False,
        ssl_negotiation: Literal["mysql", "direct"] = "mysql",
        ssl_session_reuse: bool = True,
        tls_version: str | None = None,
        row_factory: RowFactory[Any] | None = None,
        time_zone: str | datetime.tzinfo | None = None,
        warn_uncommitted: bool = True,
    ) -> None:
        """Take the options of `connect`, but open nothing yet.

        Raises TypeError, ValueError, NotSupportedError or ProgrammingError for a bad option, which
        is named.
        """
        self._loop: asyncio.AbstractEventLoop = running_loop(loop)
        if database is not None:
            db = _one_of("db", db, None, "database", database)
        if passwd is not None:
            password = _one_of("password", password, "", "passwd", passwd)
        # In the order of OPTION_NAMES.  (By way of `locals` this took ten times as long.)
        given: tuple[Any, ...] = (
            host,
            port,
            unix_socket,
            sock,
            user,
            db,
            charset,
            collation,
            connect_timeout,
            read_timeout,
            write_timeout,
            client_flag,
            stmt_cache_size,
            max_allowed_packet,
            on_cancel,
            kill_timeout,
            compression,
            compression_level,
            local_infile,
            multi_statements,
            bulk_statements,
            auth_plugin,
            program_name,
            conn_attrs,
            server_public_key,
            allow_cleartext,
            allow_old_password,
            auth_methods,
            dialog,
            tcp_keepalive,
            tcp_user_timeout,
            ssl,
            ssl_mode,
            ssl_ca,
            ssl_capath,
            ssl_cert,
            ssl_key,
            ssl_key_password,
            ssl_cipher,
            ssl_verify_cert,
            ssl_verify_identity,
            ssl_disabled,
            ssl_negotiation,
            ssl_session_reuse,
            tls_version,
            password,
            factor_passwords,
        )
        if read_default_file is not None or read_default_group is not None:
            given = _with_option_file(read_default_file, read_default_group, given)
        self._options = options = find_options(given)
        session_options = find_session_options(
            (
                autocommit,
                echo,
                get_warnings,
                init_command,
                skip_idle_commits,
                sql_mode,
                time_zone,
                use_unicode,
                warn_uncommitted,
            )
        )
        if conv is _DEFAULT_CONV or conv is default_decoders:
            conv = None
        elif conv is not None:
            _check_converters(conv)
        if cursorclass is not Cursor:
            cursorclass = _without_brackets(cursorclass)
            _check_cursor_class(cursorclass)
        check_row_factory(row_factory)
        self._echo = session_options.echo
        #: Whether cursors ask for the warnings of a statement and issue them.
        self.get_warnings: bool = session_options.get_warnings
        #: Whether no COMMIT or ROLLBACK is sent that would end nothing.
        self.skip_idle_commits: bool = session_options.skip_idle_commits
        #: Class of the cursors that are made without naming one.
        self.cursorclass = cursorclass
        #: What makes the rows of cursors whose class makes tuples; None: they stay tuples.
        self.row_factory = row_factory
        #: The sql_mode that a new session is given; None: the server's default.
        self.sql_mode: str | int | None = session_options.sql_mode
        #: What is run in a new session; None: nothing.
        self.init_command: str | bytes | None = session_options.init_command or None
        #: The autocommit mode asked for; None: the server's default.
        self.autocommit_mode = session_options.autocommit
        # What `reset` goes back to: others change the current values.
        self._given = (options.charset, options.collation, options.db, self.autocommit_mode)
        #: Whether text is decoded to str.
        self.use_unicode: bool = session_options.use_unicode
        #: Whether a warning is issued when changes are lost that were not committed.
        self.warn_uncommitted: bool = session_options.warn_uncommitted
        #: Field type -> converter of a cell.
        self.decoders: dict[Any, Converter]
        if conv is None:
            self.decoders = default_decoders.copy()
        else:
            self.decoders = {key: conv[key] for key in conv if not isinstance(key, type)}
        #: How the server is reached, in words.
        self.host_info: str = "Not connected"
        self._last_greeting: Greeting | None = None
        self._opening = self._asking_password = False
        self._server_auth_plugin = self._auth_plugin_used = ""
        self._last_command = None
        kill_client = KillClient(options) if options.on_cancel == "kill" else None
        #: For cursors: what runs commands.
        self.runner: CommandRunner = CommandRunner(
            options.read_timeout, options.write_timeout, kill_client
        )
        self.runner.last_usage = monotonic()
        #: For cursors: the prepared statements.
        found = options.find_charset()
        zone = session_options.time_zone
        self.statements: StatementCache = StatementCache(
            self.runner, options.stmt_cache_size, found.encoding, conv, zone
        )
        self._literals = Literals(conv, zone)
        #: For cursors: the character set that statements are written and results are read in.
        self.session_charset: SessionCharset = SessionCharset(
            self.runner,
            self.statements,
            options,
            found,
            self._literals,
            reader=ref(self),
        )
        #: For cursors: what makes the exchanges of their statements.
        self.encoder: StatementEncoder = StatementEncoder(
            self.runner, self.statements, self.session_charset, self._literals
        )
        if self.encoding != found.encoding:  # a subclass says so
            self.statements.forget(self.encoding)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection can't be copied or pickled")

    def __dir__(self) -> list[str]:
        """The names that are for users, as editors complete them; others are there as well."""
        return sorted(set(super().__dir__()) - _NOT_FOR_USERS)

    def __repr__(self) -> str:
        options = self._options
        where = options.unix_socket or f"{options.host}:{options.port}"
        state = "closed" if self.closed else f"thread {self.thread_id()}"
        return f"<{type(self).__name__} {options.user}@{where} db={options.db!r} {state}>"

    # -- connecting and closing ------------------------------------------------------------------

    async def _connect(self) -> None:
        """Open the connection, or open it again.

        Raises OperationalError when the server can't be reached or does not answer in time, and
        what the server says when it refuses the log-in.  The message of either has the address.
        """
        announce()
        options = self._options
        self.runner.check_free()
        if self._opening:
            raise err.InterfaceError(0, "another task is opening this connection")
        self._opening = True
        self._loop = loop = asyncio.get_running_loop()
        self.runner.abort()
        deadline = Deadline(loop, options.connect_timeout)
        try:
            await self._open(loop)
        except BaseException as error:
            self.runner.abort()
            reason, kind = str(error), err.OperationalError
            late = deadline.end(error)
            if late:
                reason = f"timed out after {options.connect_timeout} s, option 'connect_timeout'"
                kind = ConnectTimeout
            elif (
                not isinstance(error, OSError)
                or isinstance(error, err.MySQLError)
                or self._asking_password
            ):
                if isinstance(error, err.MySQLError) and not self._asking_password:
                    _add_address(error, options.where)
                raise
            raise kind(
                CR.CR_CONN_HOST_ERROR,
                f"Can't connect to MySQL server on {options.where!r} ({reason})",
            ) from (TimeoutError() if late else error)
        finally:
            self._opening = self._asking_password = False
            deadline.end(None)
            del deadline  # it holds the task, a task holds its error, and that holds this frame

    async def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        options = self._options
        self._asking_password = True
        password = await options.ask_password()
        self._asking_password = False
        charset = self.session_charset
        login_options = options.login(charset.charset, password)

        def new_session() -> Session:
            return Session(charset.columns(), options.max_allowed_packet)

        stream, login = await open_stream(options, login_options, new_session, loop)
        self.runner.attach(stream)
        self._last_greeting = stream.session.require_greeting()
        self._record_auth_plugins(login)
        self._channel = login.channel
        if options.unix_socket is not None:
            self.host_info = f"Localhost via UNIX socket: {options.unix_socket}"
        else:
            self.host_info = f"socket {options.host}:{options.port}"
        await self.set_up_session()

    async def set_up_session(self, db: str | None = None) -> None:
        """For cursors: set what a new session lacks, as far as the server allows it; db: a database
        to be chosen.

        While the account's password has expired the server allows hardly more than to change that;
        all else is error 1820.  What was refused is done before a later statement.
        """
        charset = self.session_charset
        charset.begin_set_up()
        if db is None and not self._greeting().capabilities & CLIENT.CONNECT_WITH_DB:
            db = self._options.db  # which the log-in could not choose
        try:
            await self._set_up_session(db)
            if self._options.on_cancel == "kill":
                await self.runner.record_server()
        except BaseException as error:
            charset.defer_set_up()
            if (
                self.closed
                or not isinstance(error, err.OperationalError)
                or error.args[0] != _MUST_CHANGE_PASSWORD
            ):
                charset.mark_unknown()
                raise
            # What was refused has begun nothing: an error leaves that open, the next OK does not.
            await self.runner.run(Command(COMMAND.COM_PING))
            self.runner.record_mode(None)

    async def _set_up_session(self, db: str | None, *commands: Command) -> None:
        """Set what a new session, or one that `commands` reset, lacks; db: a database to be chosen.

        All goes out at once, but for what an `init_command` must come before.

        What flags and greeting say of the session is not relied on: it may be wrong (by a server
        that knows no such flag, or does not know the collation that the handshake asks for) or out
        of date (by the server's option init_connect).
        """
        settings = [f"NAMES {self.session_charset.charset.server_name}"]
        if self._options.collation is not None:
            settings[0] += f" COLLATE {self._options.collation}"
        autocommit = []
        if self.autocommit_mode is not None:
            autocommit = [f"autocommit = {int(self.autocommit_mode)}"]
        if self.init_command is None:
            settings += autocommit
        if self.sql_mode is not None:
            # A list of modes, or else an expression, which may be quoted itself.
            modes = str(self.sql_mode)
            plain = modes.replace(",", "").replace("_", "").isalnum() or not modes
            plain = plain and not modes.isdigit() and modes.upper() != "DEFAULT"
            settings.append(f"sql_mode = '{modes}'" if plain else f"sql_mode = {modes}")
        zone = self.session_charset.zone
        if zone is not None:
            settings.append(f"time_zone = '{zone.name}'")
        runner = self.runner
        statements = self._sets(settings)
        further: list[Exchange] = []
        if db is not None:
            further = [Command(COMMAND.COM_INIT_DB, encode_statement(db, self.encoding))]
        comparison: Query | None = None
        if zone is not None and not zone.is_fixed:
            question = zone.comparison(time.gmtime().tm_year)
            comparison = Query(encode_statement(question, self.encoding))
            further.append(comparison)
        ok: Ok | None
        try:
            if commands or further or len(statements) > 1:
                sets = [Command(COMMAND.COM_QUERY, statement) for statement in statements]
                await runner.run(*commands, *sets, *further)
                ok = sets[-1].ok
            else:  # as all statements go, which is quicker
                ok = (await runner.execute(Query(statements[0]))).ok
        except err.MySQLError as error:
            add_zone_advice(error, zone)
            raise
        if zone is not None and comparison is not None and not comparison.results[0].rows:
            raise zones_differ(zone)
        assert ok is not None
        self.session_charset.mark_known()
        # Of all responses to statements this is the one whose flag is believed: after a routine
        # that sets sql_mode, which the server undoes, the flag stays.
        runner.no_backslash_escapes = bool(
            ok.server_status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
        )
        if db is not None:
            self.statements.forget()
            self._options.db = db
        if self.init_command is not None:
            await self.query(self.init_command)
            await self.commit()
            changed = not await self.session_charset.is_unchanged()
            settings = settings[:1] * changed
            if zone is not None and not self.session_charset.zone_is_known:
                settings.append(f"time_zone = '{zone.name}'")
            for statement in self._sets(settings + autocommit):
                await runner.query(statement)
            self.session_charset.mark_known()
        runner.record_mode(self.autocommit_mode)

    def _sets(self, settings: list[str]) -> list[bytes]:
        """The statements that set character set, mode and the like: after them it is known."""
        session = self.runner.session
        if session and not session.capabilities & CLIENT.PLUGIN_AUTH:
            statements = settings  # Sphinx knows no list of them
        else:
            statements = [", ".join(settings)] if settings else []
        # Not by `query`, which looks for what a caller's text may change.
        encoding = self.encoding
        return [encode_statement(f"SET {statement}", encoding) for statement in statements]

    async def ping(self, reconnect: bool = True) -> None:
        """Ask the server for a sign of life.

        reconnect: open a new connection when this one is lost.  Raises Error when it is closed and
        may not be reopened, nor within a block of `transaction`.
        """
        if self.runner.transactions.blocks:  # of whose transaction nothing would be behind it
            reconnect = False
        if not self.runner.opened:
            if not reconnect:
                raise err.Error("Already closed")
            await self._connect()
            return
        try:
            await self.runner.run(Command(COMMAND.COM_PING))
        except (err.OperationalError, err.InterfaceError):
            if not reconnect or not self.closed:
                raise
            await self._connect()

    def close(self) -> Awaitable[None]:
        """Close at once, without waiting; the server is told if no response is outstanding.

        What has come of results that nobody has read is dropped; an error of the server in it is
        logged.  What is returned can be awaited, and need not be: nothing is to be waited for.
        Warns of changes that are not committed (option `warn_uncommitted`), as all do that lose
        them.
        """
        loses_changes = self.loses_changes()
        self.runner.close()
        if loses_changes:  # after that: the warning may be an error
            warn_of_lost_changes(self, "closed")
        return DONE

    def ensure_closed(self) -> Coroutine[Any, Any, None]:
        """Say good-bye to the server and wait until it has closed the session.

        Returns after two seconds at most.  Does nothing when the connection is closed already.
        The server's error in results that nobody has read is raised after that.
        """
        session = self.runner.session
        may_lose_changes = session is not None and session.has_uncommitted_changes
        # Found now: another task may run the coroutine.
        return self._ensure_closed(calling_place() if may_lose_changes else None)

    async def _ensure_closed(self, place: Place | None) -> None:
        loses_changes = self.loses_changes()
        await self.runner.quit()
        if loses_changes:
            warn_of_lost_changes(self, "closed", place)

    def loses_changes(self) -> bool:
        """For cursors: whether what is about to be done loses changes that were not committed, and
        the program is to be warned of that, once.
        """
        runner = self.runner
        session = runner.session
        if session is None or not session.has_uncommitted_changes:
            return False
        lost = self.warn_uncommitted and runner.has_lost_changes and not is_told_otherwise()
        runner.forget_changes()
        return lost

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self.runner.forget_changes()
            self.close()
        else:
            await self.ensure_closed()

    def __del__(self) -> None:
        runner = getattr(self, "runner", None)  # there is none when __init__ failed
        if runner is None or runner.closed or sys.is_finalizing():
            return
        message = f"Unclosed connection {self!r}"
        if self.warn_uncommitted and runner.has_lost_changes:
            message += f", with changes that are not committed: {LOST}"
        runner.abort()
        warnings.warn(message, ResourceWarning, source=self, stacklevel=2)

    # -- statements ------------------------------------------------------------------------------

    # A class whose cursors make tuples has other rows on a connection with a `row_factory`.
    @overload
    def cursor(self, *, row_factory: None = None) -> AwaitableContextManager[Cursor[Row]]: ...
    @overload
    def cursor(
        self, *, row_factory: RowFactory[OtherRow]
    ) -> AwaitableContextManager[Cursor[OtherRow]]: ...
    @overload
    def cursor(
        self: Connection[tuple[Any, ...]], cursor: type[C], /, *, row_factory: None = None
    ) -> AwaitableContextManager[C]: ...
    @overload
    def cursor(
        self, cursor: type[DictRows], /, *, row_factory: None = None
    ) -> AwaitableContextManager[DictRows]: ...
    @overload
    def cursor(
        self, cursor: type[Cursor], /, *, row_factory: RowFactory[OtherRow]
    ) -> AwaitableContextManager[Cursor[OtherRow]]: ...
    @overload
    def cursor(
        self, *cursors: type[Cursor[Any]], row_factory: None = None
    ) -> AwaitableContextManager[Any]: ...
    def cursor(
        self, *cursors: type[Cursor[Any]], row_factory: RowFactory[Any] | None = None
    ) -> AwaitableContextManager[Any]:
        """A new cursor: awaitable, or for `async with`.

        cursors: the cursor's class, or several to combine.  row_factory: what makes its rows (see
        `aiomysql_core.rows`); default: the connection's.  Raises TypeError for anything that is not
        a subclass of Cursor, or no function, InterfaceError when the connection is closed.
        """
        runner = self.runner
        session = runner.session
        if session is None or session.error is not None:
            runner.stream()  # says why
        runner.last_usage = monotonic()
        cursor_class = self.cursorclass
        if cursors:
            given: Any = cursors[0]
            if len(cursors) > 1 or not isinstance(given, type) or not issubclass(given, Cursor):
                given = _cursor_class(cursors)
            cursor_class = given
        if row_factory is None and self.row_factory is None:
            context: AwaitableContextManager[Any] = new_cursor(cursor_class, self, self._echo)
            return context
        return AwaitableContextManager(Ready(self.new_cursor(cursor_class, row_factory)))

    def new_cursor(self, kind: type[C], row_factory: RowFactory[Any] | None = None) -> C:
        """For cursors: a new one of that class, and with the connection's `row_factory` if it takes
        one and none is given.
        """
        cursor = kind(self, self._echo)
        if row_factory is None and not kind._converts_rows:
            row_factory = self.row_factory
        if row_factory is not None:
            cursor.row_factory = row_factory
        return cursor

    # -- one statement, by a cursor of its own ---------------------------------------------------

    def _cursor_for(self, row_factory: RowFactory[Any] | None) -> AwaitableContextManager[Any]:
        """A new cursor; classic subclasses have a `cursor` that knows of no `row_factory`."""
        return self.cursor() if row_factory is None else self.cursor(row_factory=row_factory)

    async def execute(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        timeout: float | None = None,
    ) -> int:
        """Run a statement; returns the number of rows found or changed.

        All as in `Cursor.execute`, by a new cursor that is closed after it: rows are dropped.
        """
        if timeout is not None:
            return await within_timeout_argument(self.runner, self.execute(query, args), timeout)
        async with self.cursor() as cursor:
            return await cursor.execute(query, args)

    async def executemany(
        self,
        query: str | PreparedStatement[Any],
        args: Iterable[object] | AsyncIterable[object],
        *,
        timeout: float | None = None,
    ) -> int | None:
        """Run a statement for each of `args`, as `Cursor.executemany` does."""
        async with self.cursor() as cursor:
            return await cursor.executemany(query, args, timeout=timeout)

    @overload
    async def fetchall(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: None = None,
        timeout: float | None = None,
    ) -> Sequence[Row]: ...
    @overload
    async def fetchall(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: RowFactory[OtherRow],
        timeout: float | None = None,
    ) -> Sequence[OtherRow]: ...
    async def fetchall(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Sequence[Any]:
        """Run a statement; returns its rows.

        query, args, timeout: as for `Cursor.execute`, which also says what is raised; row_factory:
        what makes the rows, as for `cursor`.
        """
        if timeout is not None:
            work = self.fetchall(query, args, row_factory=row_factory)
            return await within_timeout_argument(self.runner, work, timeout)
        async with self._cursor_for(row_factory) as cursor:
            await cursor.execute(query, args)
            rows: Sequence[Any] = await cursor.fetchall()
            return rows

    @overload
    async def fetchone(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: None = None,
        timeout: float | None = None,
    ) -> Row | None: ...
    @overload
    async def fetchone(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: RowFactory[OtherRow],
        timeout: float | None = None,
    ) -> OtherRow | None: ...
    async def fetchone(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """As `fetchall`: the first row; None when there is none."""
        if timeout is not None:
            work = self.fetchone(query, args, row_factory=row_factory)
            return await within_timeout_argument(self.runner, work, timeout)
        async with self._cursor_for(row_factory) as cursor:
            await cursor.execute(query, args)
            return await cursor.fetchone()

    async def fetchval(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """As `fetchall`: the first value of the first row; None when there is no row."""
        if timeout is not None:
            return await within_timeout_argument(self.runner, self.fetchval(query, args), timeout)
        # Only where there is another one: the cursors of some are tuples whatever is asked for.
        factory = None if self.row_factory is None or self.cursorclass._converts_rows else tuple_row
        async with self._cursor_for(factory) as cursor:
            await cursor.execute(query, args)
            row = await cursor.fetchone()
        if row is None:
            return None
        return next(iter(row.values())) if isinstance(row, Mapping) else row[0]

    @overload
    def iterate(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: None = None,
    ) -> RowStream[Row]: ...
    @overload
    def iterate(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: RowFactory[OtherRow],
    ) -> RowStream[OtherRow]: ...
    def iterate(
        self,
        query: str | bytes | bytearray | PreparedStatement[Any],
        args: object = None,
        *,
        row_factory: RowFactory[Any] | None = None,
    ) -> RowStream[Any]:
        """The rows of a statement, one by one as the server sends them: for `async for`.

        query, args, row_factory: as for `fetchall`.  The connection runs nothing else meanwhile.
        Use it with `async with` if the loop may be left early: then a statement whose rows are not
        all there is stopped with `on_cancel="kill"`; otherwise its rest is read and dropped.
        """
        return RowStream(self, query, args, row_factory)

    def transaction(
        self,
        *,
        isolation: Literal["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
        | None = None,
        readonly: bool = False,
        consistent_snapshot: bool = False,
    ) -> Transaction:
        """A block that is a transaction: `async with connection.transaction() as tx:`.

        At its end it is committed; it is rolled back when the block is left by an exception, a
        cancellation too.  A block within another, or where a transaction is open already, is a part
        of that one that is undone by itself, by a savepoint.  `await tx.rollback()` undoes what was
        done in the block.  Without the arguments below the block begins with its first statement,
        in one text with that; so nothing is sent for a block in which nothing is run.

        isolation: "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ" or "SERIALIZABLE";
        default: the session's.  readonly: nothing may be written.  consistent_snapshot: all reads
        see what was committed when the block began.

        At the end OperationalError is raised when the transaction ended within the block: by a
        deadlock whose error was caught there, by a statement that commits implicitly (DDL say), or
        by `commit`.  What was run behind that is rolled back.  Raises ValueError for an unknown
        isolation, ProgrammingError for these options where a transaction is open.
        """
        return Transaction(self, isolation, readonly, consistent_snapshot)

    # -- statements as they are ------------------------------------------------------------------

    async def query(
        self,
        sql: str | bytes | bytearray,
        unbuffered: bool = False,
        *,
        timeout: float | None = None,
    ) -> int:
        """Run one statement (or several) and read the first result; returns `affected_rows`.

        unbuffered: leave the rows of a result set to be read by an SSCursor.  timeout: seconds, as
        for `Cursor.execute`.
        """
        if timeout is not None:
            return await within_timeout_argument(self.runner, self.query(sql, unbuffered), timeout)
        if self.session_charset.in_doubt and self.session_charset.matters_to(sql):
            await self.session_charset.refresh()
        files, source = origin_of(sql)
        if isinstance(sql, str):
            sql = encode_statement(sql, self.encoding)
        if not isinstance(sql, (bytes, bytearray, memoryview)):
            raise TypeError(f"a statement must be str or bytes, not {type(sql).__name__}")
        exchange = self.new_query(bytes(sql), unbuffered=unbuffered, files=files, source=source)
        return (await self.runner.execute(exchange)).affected_rows

    def pipeline(self, *, transaction: bool = False) -> Pipeline[Row]:
        """Statements that are sent without waiting for the responses to those before.

        `async with connection.pipeline() as pipeline:`, in which `pipeline.execute(sql, args)`
        queues a statement and returns what can be awaited for a cursor with its result.  At the end
        of the block all are answered.

        A statement that fails stops none of those behind it: they were sent already.  Its error is
        raised where it is awaited, or at the end of the block.  transaction: they are all of one
        transaction, which is rolled back when one of them, or the block, has failed.
        """
        return Pipeline(self, transaction)

    async def next_result(self) -> int:
        """Read the next result of the last statement; returns `affected_rows`."""
        return (await self.runner.next_result()).affected_rows

    async def discard_results(self) -> None:
        """Read and drop what is left of the last statement's results.

        Raises the server's error in it, if there is one: of several statements in one text that
        which failed, and the statements behind it were not run.  All methods that send something
        do this first.
        """
        await self.runner.discard_results()

    async def show_warnings(self) -> tuple[tuple[Any, ...], ...]:
        """The rows of SHOW WARNINGS: (level, number, message)."""
        return await self.runner.fetch(b"SHOW WARNINGS")

    def prepare(self, query: str) -> AwaitableContextManager[PreparedStatement[Row]]:
        """Have the server prepare a statement: `async with connection.prepare(sql) as statement:`,
        or `await` it.

        query: with `%s` or `%(name)s` marks, each in the place of a value, and `%%` for a percent
        sign; or, without any `%`, with the server's own marks `?`.  Raises ProgrammingError when a
        mark stands where no value can, and what the server says.
        """
        return AwaitableContextManager(self._prepare(query, self.runner.handovers))

    async def _prepare(self, query: str, handovers: int) -> PreparedStatement[Row]:
        if not isinstance(query, str):
            raise TypeError(f"a statement must be str to be prepared, not {type(query).__name__}")
        self.runner.check_handovers(handovers, "this prepared statement")
        await self.make_ready()  # which tells how strings in it are read
        statement = self.statements.new_statement(query)
        statement.handovers = handovers
        if statement.parsed is None and "%" in query:
            raise err.ProgrammingError(
                f"the statement can't be prepared: {explained_preparation(query)}"
            )
        try:
            await self.statements.prepare(statement)
        except err.MySQLError as error:
            add_advice(error, query, (), prepares=True)
            raise
        return PreparedStatement(self, query, statement)

    async def load_local(
        self,
        sql: str | bytes,
        source: LocalSource,
        *,
        names: Sequence[tuple[str, ...]] | None = None,
    ) -> int:
        """Run a LOAD DATA LOCAL INFILE statement with the bytes of `source` for the file.

        source: bytes, a binary file object, or a (perhaps asynchronous) iterable of bytes; names:
        for cursors, what `local_file_names` says of it.  Returns the number of rows loaded.  Raises
        ProgrammingError for another statement, NotSupportedError without option `local_infile`;
        what `source` raises closes the connection.
        """
        if self.session_charset.in_doubt:
            await self.session_charset.refresh()
        statement = sql if isinstance(sql, bytes) else encode_statement(sql, self.encoding)
        if not self._options.local_infile:
            raise err.NotSupportedError("LOAD DATA LOCAL needs option local_infile=True")
        if names is None:
            names = self.local_file_names(sql)
        if len(names) != 1:
            raise err.ProgrammingError("the statement is not one LOAD DATA LOCAL INFILE '...'")
        files = files_by_name(names[0], self.encoding, source)
        self.session_charset.record_statement(statement)
        return (await self.runner.query(statement, files=files)).affected_rows

    async def load_rows(
        self,
        table: str | Sequence[str],
        rows: Iterable[object] | AsyncIterable[object],
        columns: Sequence[str] | None = None,
        *,
        on_duplicate: Literal["error", "ignore", "replace"] = "error",
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Put many rows into a table, all or none; returns how many were taken: all but those that
        "ignore" has dropped, and also those in whose place "replace" has put a later one.

        table: its name, or (database, name); rows: tuples or lists, or dicts, from any
        (asynchronous) iterable, which may not use this connection; columns: their names (default:
        the keys of the first dict, or else all of the table but generated and invisible ones).
        on_duplicate: what becomes of a row whose key is there already: "error", "ignore" (the row
        is dropped) or "replace" (it takes the other's place).  progress: called now and then with
        the number of rows written.

        By LOAD DATA LOCAL where that is known to store what an INSERT stores, and the server and
        option `local_infile` allow it, or else by INSERT; in strict mode in either case.  In
        autocommit mode it is committed.  After any error, and when it is cancelled, nothing was
        loaded, and what was done before in an open transaction remains; but tables of an engine
        without transactions keep what they have by then.  The attribute `row_index` of an error is
        the number of the row, counted from 0, or of the first row of its request; None: unknown.

        Raises TypeError or ValueError for rows, names and values that can't be used, DataError,
        IntegrityError or OperationalError for what the server would drop or change.
        """
        return await RowLoad(self, table, columns, on_duplicate, progress).run(rows)

    async def wait_cancelled(self) -> None:
        """Wait until no cancelled statement is being stopped (option `on_cancel`).

        Whatever uses the connection does so by itself.
        """
        await self.runner.wait_cancelled()

    async def kill(self, thread_id: int) -> None:
        """End the session that has this number (see `thread_id`).

        Raises OperationalError: 1094 when there is none, 1095 when it is another user's and this
        one may not end it.
        """
        await self.query(f"KILL {int(thread_id)}")

    # -- what cursors need for their statements --------------------------------------------------

    async def make_ready(self) -> None:
        """For cursors: read and drop what is outstanding; then it is known how to write values."""
        await self.runner.discard_results()
        if self.session_charset.in_doubt:
            await self.session_charset.refresh()

    def new_query(
        self,
        statement: bytes,
        *,
        unbuffered: bool = False,
        files: LocalFiles | None = None,
        source: str | None = None,
    ) -> Query:
        """For cursors: what the runner is to run for `statement`.

        files: those that it may load; default: those that it names itself.  source: the text that
        values were written into; default: none were.  Raises ProgrammingError when that changes how
        the session reads them.
        """
        exchange = Query(statement, streamed=unbuffered, source=source)
        if not exchange.is_simple:  # or else it changes nothing for others
            self.session_charset.check(statement)
            written = None if source is None else source.encode("utf-8", "replace")
            text = statement if written is None else written
            self.session_charset.record_statement(text, has_values=written is not None)
            if self.statements.size:
                self.statements.record_text(text)
        if files is None:
            files = self.local_files(statement)
        if files:
            exchange.local_files = dict(files)
        return exchange

    def local_file_names(
        self, query: str | bytes | bytearray, args: object = None
    ) -> list[tuple[str, ...]]:
        """For cursors: what a statement with these values loads, each file with its name or two."""
        text = query if isinstance(query, str) else query.decode(self.encoding, "replace")
        return local_file_names(text, args)

    def local_files(self, query: str | bytes | bytearray, args: object = None) -> LocalFiles | None:
        """For cursors: the files that a statement with these values may load.

        None: the connection allows none.
        """
        if not self._options.local_infile:
            return None
        names = itertools.chain.from_iterable(self.local_file_names(query, args))
        return files_by_name(names, self.encoding)

    # -- transactions ----------------------------------------------------------------------------

    async def begin(self) -> None:
        """Begin a transaction, also in autocommit mode.

        One that is open is committed by that: the server does so.
        """
        await self.query("BEGIN")

    def commit(self) -> Coroutine[Any, Any, None]:
        """Commit the open transaction.

        Nothing is sent when nothing was run since the last one ended, or only statements that are
        committed by themselves (option `skip_idle_commits`); nor when results that nobody has read
        end with an error of the server, which is raised.
        """
        return self._end_transaction("COMMIT")

    def rollback(self) -> Coroutine[Any, Any, None]:
        """Roll the open transaction back; nothing is sent when there is none, as in `commit`.

        The server's error in results that nobody has read is raised after that.
        """
        return self._end_transaction("ROLLBACK")

    async def _end_transaction(self, statement: str) -> None:
        runner = self.runner
        unread: PendingError | None = None
        if runner.outstanding:
            if statement == "COMMIT":
                await runner.discard_results()
            else:
                unread = await runner.drop_outstanding()
        if not (self.skip_idle_commits and runner.nothing_to_end()):
            mode = runner.autocommit  # which this doesn't change
            if self._sends_by_itself():
                exchange = encode_query(statement.encode(), None, False, False)
                await runner.begin(exchange)
                runner.take(exchange)
            else:  # subclasses and tracers see, count or change each statement in it
                await self.query(statement)
            self.record_transaction_end(mode)
        if unread is not None:
            unread.raise_once()

    async def run_in_turn(self, statements: Sequence[str]) -> None:
        """For cursors: run statements of a transaction block, up to the first that fails.

        They are one text, where the session takes that.  An error has the number of its statement
        as attribute `statement_index`.  Raises InternalError when the server has not said of each
        that it was run.
        """
        runner = self.runner
        answered = 0
        try:
            if not self._sends_by_itself():
                for statement in statements:
                    await self.query(statement)
                    answered += 1
                return
            for text in ["; ".join(statements)] if self.joins_statements() else statements:
                exchange = encode_query(text.encode(), None, False, False)
                await runner.begin(exchange)
                result = runner.take(exchange)
                answered += result.metadata is None
                while result.has_next:
                    result = await runner.next_result()
                    answered += result.metadata is None
        except err.MySQLError as error:
            error.statement_index = answered  # type: ignore[attr-defined]
            raise
        if answered != len(statements):
            raise err.InternalError(0, f"the server has answered {answered} of {statements}")

    def _sends_by_itself(self) -> bool:
        """Whether no subclass or tracer has to see each statement, in `query`."""
        method: object = self.query
        return type(method) is MethodType and method.__func__ is self._own_query

    def joins_statements(self) -> bool:
        """For cursors: whether several statements of a transaction block may be one text.

        Raises what `runner.stream` raises.
        """
        capabilities = self.runner.stream().session.capabilities
        return bool(capabilities & CLIENT.MULTI_STATEMENTS) and self._sends_by_itself()

    def record_transaction_end(self, mode: bool | None) -> None:
        """For cursors: this side has ended what was open; mode: as for `runner.record_mode`."""
        self.runner.record_mode(mode)
        if self.session_charset.in_doubt:
            self.runner.transaction_possible = True  # no pool hands it out as it is

    async def autocommit(self, value: bool) -> None:
        """Set the session's autocommit mode.

        Nothing is sent when this was done before, and nothing was run since that may have changed
        it.  Raises ProgrammingError within a block of `transaction`.
        """
        mode = bool(value)
        runner = self.runner
        runner.transactions.check_no_block("the autocommit mode")
        if runner.outstanding:
            await runner.discard_results()
        if runner.autocommit is not mode:
            possible = runner.transaction_possible
            await self.query(f"SET AUTOCOMMIT = {int(mode)}")
            runner.autocommit = mode
            # Even though it may have committed: what was said of the transaction may outlast it.
            runner.transaction_possible = possible
        self.autocommit_mode = mode

    def get_autocommit(self) -> bool:
        """Whether the session is in autocommit mode: by what this side has set, or else by what the
        server has said last.
        """
        if self.runner.autocommit is not None:
            return self.runner.autocommit
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)

    def get_transaction_status(self) -> bool:
        """Whether the server last said that a transaction is open."""
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    # -- the session -----------------------------------------------------------------------------

    async def select_db(self, db: str) -> None:
        """Change the default database.  Raises OperationalError 1049 when there is none."""
        if self.session_charset.in_doubt:
            await self.session_charset.refresh()
        command = Command(COMMAND.COM_INIT_DB, encode_statement(db, self.encoding))
        with self._closed_if_unknown():
            await self.runner.run(command)
        self.statements.forget()
        self._options.db = db

    async def set_charset(self, charset: str) -> None:
        """Change the connection's character set.  Raises ProgrammingError for an unknown one."""
        found = find_charset(charset)
        in_doubt = self.session_charset.in_doubt
        with self._closed_if_unknown():
            await self.query(f"SET NAMES {found.server_name}")
            self.session_charset.change(found)
            if in_doubt:  # so the sql_mode is, too
                self.session_charset.mark_unknown()
                await self.session_charset.refresh()

    @contextlib.contextmanager
    def _closed_if_unknown(self) -> Iterator[None]:
        """Close the connection when it is not known whether what the block asks for was done."""
        try:
            yield
        except err.MySQLError:
            raise
        except BaseException:
            self.close()
            raise

    async def reset(self) -> None:
        """Make the session as good as new, without a new log-in (MySQL: COM_RESET_CONNECTION).

        An open transaction is rolled back; locks, temporary tables, user and session variables and
        prepared statements are gone.  Character set, collation, `sql_mode`, `init_command`,
        autocommit mode and, if one was given, the default database are those asked for in `connect`
        again.  Raises OperationalError 1047 on MySQL before 5.7.3 and MariaDB before 10.2.4; after
        any error of its own the connection is closed, because it is unknown what the session is
        like.  The server's error in results that nobody has read is raised in the end.
        ProgrammingError is raised within a block of `transaction`.
        """
        self.runner.transactions.check_no_block("the session")
        unread = await self.runner.drop_outstanding()
        self.runner.check_free()
        loses_changes = self.loses_changes()
        reset = Command(_COM_RESET_CONNECTION)
        try:
            db = self._forget_session()
            if self.session_charset.is_set_up:
                await self._set_up_session(db, reset)
            else:
                await self.runner.run(reset)
                await self.set_up_session(db)
        except BaseException:
            self.close()
            raise
        unread.raise_once()
        if loses_changes:
            warn_of_lost_changes(self, "reset")

    async def change_user(
        self,
        user: str,
        password: Password = "",
        db: str | None = None,
        *,
        factor_passwords: Sequence[str | bytes] = (),
    ) -> None:
        """Log in as another user, without a new connection (MySQL: COM_CHANGE_USER).

        user, password, factor_passwords: as for `connect`, by any method that is allowed there; db:
        the default database; None: there is none then.  The session is as after `reset`.  From now
        on whatever opens the connection again, or another one to cancel a statement, logs in as
        that user.  It may take `connect_timeout`.

        Raises TypeError, ValueError or ProgrammingError for an impossible argument, InterfaceError
        if results are unread, or another task uses the connection, OperationalError if no password
        may be sent by a method that the options name, and what `password` raises if it is a
        function: nothing is changed by these, nor by a cancellation or QueryTimeout while that
        function is asked.  Raises what the server says when it refuses the log-in; after that and
        any other error, a later QueryTimeout among them, the connection is closed, because it
        depends on the server who the user is then.  A pool closes a connection that is released as
        another user.
        """
        await with_timeout(
            self.runner,
            self._change_user(user, password, db, factor_passwords),
            self._options.connect_timeout,
            "option 'connect_timeout'",
        )

    async def _change_user(
        self,
        user: str,
        password: Password,
        db: str | None,
        factor_passwords: Sequence[str | bytes],
    ) -> None:
        runner = self.runner
        options = self._options.with_user(user, password, db, factor_passwords)
        options.charset, options.collation, *_ = self._given
        await runner.wait_cancelled()
        runner.transactions.check_no_block("the user")
        runner.check_at_rest()
        secret = await options.ask_password()
        runner.check_at_rest()  # it may have been used meanwhile
        session = runner.stream().session
        login = options.login(options.find_charset(), secret)
        exchange = ChangeUser(login, session, self._channel)
        loses_changes = self.loses_changes()
        try:
            await runner.run(exchange)
            runner.user_changed = True
            self._options.change_user(options)
            self._given = (*self._given[:2], options.db, self._given[3])
            self._record_auth_plugins(exchange)
            self._channel = exchange.channel
            self._forget_session()
            await self.set_up_session()
        except BaseException:
            self.close()
            raise
        if loses_changes:
            warn_of_lost_changes(self, "given to another user")

    def _forget_session(self) -> str | None:
        """The session is as good as new, or is about to be; returns the database to be chosen."""
        options, charset, runner = self._options, self.session_charset, self.runner
        options.charset, options.collation, db, self.autocommit_mode = self._given
        charset.use(options.find_charset())
        charset.forget_zone()
        runner.record_session()
        self.statements.session_reset(self.encoding)
        runner.stream().session.columns = charset.columns()
        return db

    # -- literals --------------------------------------------------------------------------------

    def escape(self, obj: object) -> str:
        """`obj` as an SQL literal for this session.

        Raises TypeError or ProgrammingError: for an aware datetime with option `time_zone` also
        after a statement that may have changed the session's zone, until the next one has asked.
        """
        return self.current_literals().literal(obj)

    def escape_string(self, s: str) -> str:
        """`s` with the characters escaped that end a quoted string; no quotes added."""
        literals = self.current_literals()
        return escape_text(s, no_backslash_escapes=literals.no_backslash_escapes)

    def escape_args(self, args: object) -> Any:
        """For cursors: the right-hand side of ``query % ...`` for a statement's arguments."""
        literals = self.current_literals()
        if hooks.are_own(self, ("escape", "literal")):
            return literals.arguments(args)
        return literals.arguments(args, self.literal)

    def current_literals(self) -> Literals:
        """For cursors: what writes literals as the session reads them now."""
        literals = self._literals
        literals.no_backslash_escapes = self.no_backslash_escapes
        return literals

    # -- information -----------------------------------------------------------------------------

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
    def user(self) -> str:
        """User name of the session."""
        return self._options.user

    @property
    def db(self) -> str | None:
        """The default database."""
        return self._options.db

    @property
    def charset(self) -> str:
        """The server's name of the connection's character set."""
        return self.session_charset.charset.name

    @property
    def encoding(self) -> str:
        """Python codec of the connection's character set."""
        return self.session_charset.encoding

    @property
    def no_backslash_escapes(self) -> bool:
        """Whether backslashes are ordinary characters in the session's strings.

        After a statement that may have changed that, and before the next, by the server's flag.
        """
        return self.session_charset.no_backslash_escapes

    @property
    def echo(self) -> bool:
        """Whether statements are logged."""
        return self._echo

    @property
    def connect_timeout(self) -> float | None:
        """Seconds that connecting may take; None: no limit."""
        return self._options.connect_timeout

    @property
    def allows_local_files(self) -> bool:
        """For cursors: whether LOAD DATA LOCAL is allowed (option `local_infile`)."""
        return bool(self._options.local_infile)

    @property
    def max_allowed_packet(self) -> int:
        """For cursors: bytes of the longest packet that is taken (option of this name)."""
        return self._options.max_allowed_packet

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the connection."""
        return self._loop

    @property
    def last_usage(self) -> float:
        """Time of the loop's clock (seconds) when the connection was last used."""
        return self.runner.last_usage

    @property
    def closed(self) -> bool:
        """Whether the connection is closed, by this side or by the server."""
        return self.runner.closed

    @property
    def busy(self) -> bool:
        """Whether a task waits for a response, or opens the connection."""
        return self._opening or self.runner.busy

    @property
    def cancelling(self) -> bool:
        """Whether a cancelled statement is being stopped (option `on_cancel`)."""
        return self.runner.cancelling

    @property
    def idle(self) -> bool:
        """Whether no response is outstanding, and none left half read."""
        return self.runner.idle

    @property
    def is_reusable(self) -> bool:
        """Whether another task can use it as it is: it is open, nothing is outstanding, no
        transaction is open.
        """
        return self.runner.is_reusable

    @property
    def server_status(self) -> int:
        """The last status flags of the server (pymysql.constants.SERVER_STATUS)."""
        return self.runner.server_status

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

    def _greeting(self) -> Greeting:
        # The last session's, as long as there is no other: what it says is asked for in logs.
        if self._last_greeting is None:
            raise err.InterfaceError(0, "Not connected")
        return self._last_greeting


hooks.own_functions(Connection, hooks.CONNECTION_ATTRIBUTES)
Connection._own_query = staticmethod(Connection.query)


def _add_address(error: err.MySQLError, where: str) -> None:
    *numbers, message = error.args or ("",)
    error.args = *numbers, f"{message} (connecting to {where})"


def _without_brackets(kind: Any) -> Any:
    """The class behind `Cursor[User]`: rows are the checkers' matter."""
    return getattr(kind, "__origin__", kind)


@lru_cache(64)
def _cursor_class(cursors: tuple[type[Cursor[Any]], ...]) -> type[Cursor[Any]]:
    """A class made of several, or the one behind `SSCursor[User]`."""
    cursors = tuple(_without_brackets(cls) for cls in cursors)
    if not all(isinstance(cls, type) and issubclass(cls, Cursor) for cls in cursors):  # type: ignore[redundant-expr]
        raise TypeError("Custom cursor must be subclass of Cursor")
    if len(cursors) == 1:
        return cursors[0]
    names = "".join(cls.__name__ for cls in cursors)
    return type(names.replace("Cursor", "") + "Cursor", cursors, {})


def _one_of(name: str, value: Any, default: object, alias: str, other: Any) -> Any:
    """The value of an option with two names."""
    if value is not None and value != default:
        raise TypeError(f"options {name!r} and {alias!r} are the same: give one of them")
    return other


def _with_option_file(path: Any, group: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values in the order of OPTION_NAMES, with those of an option file."""
    path = check_value("read_default_file", path, KEYWORDS["read_default_file"])
    group = check_value("read_default_group", group, KEYWORDS["read_default_group"])
    if not path:
        return given
    merged = apply_option_file(path, group, dict(zip(OPTION_NAMES, given, strict=True)))
    return tuple(merged[name] for name in OPTION_NAMES)


def _check_converters(conv: Any) -> None:
    if not isinstance(conv, Mapping):
        kind = type(conv).__name__
        raise TypeError(f"option 'conv' must be of type Mapping, None, not {kind}")
    for key, converter in conv.items():
        if converter is not None and not callable(converter):
            raise TypeError(f"option 'conv' must map to functions, but for {key!r} it does not")


def _check_cursor_class(kind: Any) -> None:
    if not isinstance(kind, type) or not issubclass(kind, Cursor):
        name = kind.__name__ if isinstance(kind, type) else type(kind).__name__
        raise TypeError(f"option 'cursorclass' must be a subclass of Cursor, not {name}")


async def _connect(*args: Any, **kwargs: Any) -> Connection[Any]:
    connection: Connection[Any] = Connection(*args, **kwargs)
    await connection._connect()
    return connection


@takes_parameters_of(Connection)
def _connect_checked(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AwaitableContextManager[Connection[Any]]:
    host = args[0] if args else kwargs.get("host")
    if is_dsn(host):
        args, kwargs = args[1:], {k: v for k, v in kwargs.items() if k != "host"}
        kwargs = parse_dsn(host) | without_aliases(kwargs)
        if args:
            raise TypeError("with a data source name the other arguments must be named")
    return AwaitableContextManager(_connect(*args, **kwargs))


@declares(_connect_checked)
def connect(
    host_or_dsn: str | None = "localhost",
    /,
    user: str | None = None,
    password: Password = "",
    db: str | None = None,
    port: int | None = 3306,
    unix_socket: str | os.PathLike[str] | None = None,
    charset: str = "",
    sql_mode: str | int | None = None,
    read_default_file: str | os.PathLike[str] | None = None,
    conv: Mapping[Any, Any] | None = _DEFAULT_CONV,
    use_unicode: bool | None = None,
    client_flag: int = 0,
    cursorclass: type[Cursor | Cursor[Row]] = Cursor,
    init_command: str | bytes | None = None,
    connect_timeout: float | None = 10.0,
    read_default_group: str | None = None,
    autocommit: bool | None = False,
    echo: bool = False,
    local_infile: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
    ssl: SSLContext | bool | Mapping[str, Any] | None = None,
    auth_plugin: str | None = "",
    program_name: str | None = "",
    server_public_key: str | bytes | None = None,
    *,
    host: str | None = "localhost",
    row_factory: RowFactory[Row] | None = None,
    **kwargs: Unpack[KeywordOptions],
) -> AwaitableContextManager[Connection[Row]]:
    """Open a connection, to be awaited or used with `async with`, which also closes it.

    The first parameter may also be a data source name,
    `mysql://user:password@host:port/database?charset=...`, whose parts other parameters, which must
    be named then, override.  What is true or false may be given as text, such as "no" or "0".

    Where, and who:

    - host, port: where the server listens.
    - unix_socket: path of its socket, used instead.
    - sock: a connected socket, used instead of both; an ssl.SSLSocket is used as it is.
    - user: default is the name of the process's user.
    - password: str, bytes, or a function (also a coroutine function) that is asked for one at every
      connect.
    - db: the default database.
    - database, passwd: other names of db and password.
    - auth_plugin: the authentication method to begin with.
    - auth_methods: further methods by name.
    - dialog: a function (prompt, echo) that answers the prompts of the method dialog.
    - factor_passwords: of the second and third factor.
    - server_public_key: PEM of the server's key for SHA-2 passwords without TLS.
    - allow_cleartext: whether the password may be sent as it is on a channel that is not secure.
    - allow_old_password: whether mysql_old_password may be used, which gives the password's hash
      away.
    - program_name, conn_attrs: connection attributes that the server shows.
    - client_flag: further capabilities (pymysql.constants.CLIENT) to ask for.
    - read_default_file, read_default_group: an option file, whose values go before the others.

    The session:

    - charset: the server's name of a character set (default utf8mb4).
    - collation: of the session (default: the server's for that character set).
    - autocommit: the session's autocommit mode; None leaves the server's default.
    - sql_mode: names of modes with commas between, or an expression of SQL that gives them
      (DEFAULT, a number).
    - time_zone: "UTC", an offset ("+02:00"), the name of a zone ("Europe/Berlin"), a
      datetime.timezone or a zoneinfo.ZoneInfo: it is the session's, TIMESTAMPs come as aware
      datetimes of it, and aware datetimes are converted to it.  None: the server's; all that comes
      is naive, and the zone of a value is dropped.
    - init_command: a statement, run on connecting and after a reset.
    - local_infile: allow LOAD DATA LOCAL INFILE.
    - compression: "zlib", "zstd" or several, the better first: what goes either way is compressed
      with the first that the server offers; with "uncompressed" among them not, where it offers
      none.
    - compression_level: 1 to 9 (zlib) or to 22 (zstd).
    - multi_statements: allow several statements in one text, which `executemany` sends, too.
    - bulk_statements: allow `executemany` to send MariaDB's COM_STMT_BULK_EXECUTE, which proxies
      may not know.
    - stmt_cache_size: how many of the statements that cursors run with arguments are kept prepared
      on the server (see `Cursor.execute`); 0: none.
    - skip_idle_commits: send no COMMIT or ROLLBACK that would end nothing.
    - max_allowed_packet: bytes, from 262,144; a longer packet from the server is refused.

    Results:

    - cursorclass: of cursors.
    - row_factory: what makes the rows of cursors whose class makes tuples, `dict_row` say.
    - conv: field type -> converter of a cell, and type -> encoder of a parameter.
    - use_unicode: False leaves text as bytes.
    - get_warnings: ask for a statement's warnings and issue them.
    - warn_uncommitted: warn (UncommittedWarning) when the connection is closed, reset or given back
      to a pool and rows were changed that were not committed.
    - echo: log statements.
    - loop: ignored, deprecated.

    Limits of time, in seconds; None: no limit:

    - connect_timeout: for everything up to the first usable moment.
    - read_timeout, write_timeout: that each response or request may take.
    - on_cancel: what becomes of a statement whose task is cancelled, or whose `timeout` is over.
      "close" closes the connection; "kill" sends KILL QUERY over another one, to the same address
      with the same options, and keeps the connection; uses of it wait until that is done; it is
      closed if that fails or takes longer than kill_timeout.
    - tcp_keepalive: of silence after which the peer is probed, as often again, and taken for lost
      after three probes; or (of silence, between probes, number of probes); None: as the system
      has it.
    - tcp_user_timeout: that what was sent may remain without acknowledgement (Linux); None: as the
      system has it.

    TLS:

    - ssl: an ssl.SSLContext; True for the system's CAs; a dict as PyMySQL takes it; False for
      plaintext; None encrypts where the server offers it and is not on this machine.
    - ssl_mode: DISABLED, PREFERRED (encrypts where the server offers it), REQUIRED (encrypts),
      VERIFY_CA (and verifies the server's certificate) or VERIFY_IDENTITY (and its name).
      Verifying without ssl_ca: the system's CAs must have signed the certificate, or the password
      proves it (MariaDB 11.4 and later).
    - ssl_ca, ssl_cert, ssl_key: PEM files; ssl_capath: a folder of authorities.
    - ssl_key_password, ssl_verify_cert, ssl_verify_identity, ssl_disabled: as PyMySQL has them.
    - ssl_cipher: ciphers up to TLSv1.2, as OpenSSL lists them.
    - tls_version: TLSv1.2, TLSv1.3 or both with a comma.
    - ssl_negotiation: "mysql" asks for TLS within the handshake of MySQL; "direct" begins with TLS,
      for proxies that take it off (stunnel, those of clouds).
    - ssl_session_reuse: resume the TLS sessions of earlier connections with the same context.

    Raises TypeError, ValueError, NotSupportedError or ProgrammingError for a bad option, which is
    named, before anything is opened; OperationalError when the server can't be reached (2003; as
    ConnectTimeout when it is not open in time), for TLS (2026), and for what the server says when
    it refuses the log-in.
    """
    raise NotImplementedError


# Modules below name these two in annotations, and can't import them, in a circle:
# `typing.get_type_hints`, say of `Cursor.connection`, looks for them there.
for _name in ("cursors", "engine.cursor_state", "row_stream", "rows", "statements", "transaction"):
    vars(sys.modules[f"aiomysql_core.{_name}"]).update(Connection=Connection, Cursor=Cursor)
