"""Connections."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import warnings
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, ClassVar, NoReturn, Self, TypeVar, overload

from pymysql import err
from pymysql.constants import COMMAND, CR
from pymysql.converters import decoders as default_decoders

from aiomysql_core.bulk.infile import LocalSource
from aiomysql_core.compat.classic import *  # noqa: F403  (names this module had in classic aiomysql)
from aiomysql_core.compat.classic import ClassicInternals
from aiomysql_core.cursors import Cursor
from aiomysql_core.engine.cancellation import KillClient
from aiomysql_core.engine.cursor_state import CursorState, new_cursor
from aiomysql_core.engine.runner import CommandRunner, LocalFiles
from aiomysql_core.error_classes import ErrorClasses
from aiomysql_core.implementation import announce
from aiomysql_core.info import ConnectionInfo
from aiomysql_core.options.dsn import is_dsn, parse_dsn
from aiomysql_core.options.option_files import read_option_file
from aiomysql_core.options.options import OPTION_NAMES, Password, find_options
from aiomysql_core.options.signatures import running_loop, takes_parameters_of
from aiomysql_core.statements import PreparedStatement, StatementCache
from aiomysql_core.transport.connect import open_stream
from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_core.waiting.timeouts import ConnectTimeout, Deadline, check_timeout, with_timeout
from aiomysql_protocol.commands.exchange import Command
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.login.auth import AuthMethod, Dialog
from aiomysql_protocol.login.handshake import Greeting
from aiomysql_protocol.login.login import Login
from aiomysql_protocol.rows.metadata import ColumnCache, Converter
from aiomysql_protocol.session import Session
from aiomysql_protocol.sql.character_sets import (
    changes_charset_within,
    ignores_charset,
    may_change_charset,
    sets_names_to,
)
from aiomysql_protocol.sql.local_infile import local_file_names
from aiomysql_protocol.values.literals import Literals, encode_statement
from aiomysql_protocol.values.literals import escape_string as escape_text
from aiomysql_protocol.wire.capabilities import MAX_PAYLOAD
from aiomysql_protocol.wire.charsets import Charset, find_charset, reported_charset

C = TypeVar("C", bound=Cursor)

#: What the session reads literals in, turns them into, and gives text in; and how it reads them.
_ASK_CHARSETS = (
    b"SELECT @@character_set_client, @@character_set_connection, @@character_set_results,"
    b" @@sql_mode"
)

#: Not in pymysql.constants.COMMAND.
_COM_RESET_CONNECTION = 0x1F


class Connection(ConnectionInfo, ClassicInternals, ErrorClasses):
    """A connection to a MySQL or MariaDB server.

    Made by `connect`.  One task at a time may use it.
    """

    #: May COMMIT and ROLLBACK be run without `query`, because it is the one of this class?
    _queries_usually: ClassVar[bool] = True

    def __init__(
        self,
        host: str | None = "localhost",
        user: str | None = None,
        password: Password = "",
        db: str | None = None,
        port: int = 3306,
        unix_socket: str | None = None,
        charset: str = "",
        sql_mode: str | int | None = None,
        read_default_file: str | None = None,
        conv: Mapping[Any, Any] | None = default_decoders,
        use_unicode: bool | None = None,
        client_flag: int = 0,
        cursorclass: type[Cursor] = Cursor,
        init_command: str | None = None,
        connect_timeout: float | None = 10.0,
        read_default_group: str | None = None,
        autocommit: bool | None = False,
        echo: bool = False,
        local_infile: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        ssl: Any = None,
        auth_plugin: str = "",
        program_name: str = "",
        server_public_key: str | bytes | None = None,
        *,
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
        stmt_cache_size: int = 0,
        skip_idle_commits: bool = True,
        max_allowed_packet: int = MAX_PAYLOAD,
        tcp_keepalive: int | Sequence[int] | None = None,
        tcp_user_timeout: float | None = None,
        on_cancel: str = "close",
        kill_timeout: float = 5.0,
        ssl_mode: str | None = None,
        ssl_ca: str | None = None,
        ssl_cert: str | None = None,
        ssl_key: str | None = None,
        ssl_key_password: str | None = None,
        ssl_verify_cert: bool | None = None,
        ssl_verify_identity: bool | None = None,
        ssl_disabled: bool = False,
    ) -> None:
        """Nothing is opened yet.

        host, port: where the server listens; unix_socket: path of its socket, used instead; sock:
        a connected socket, used instead of both.
        user: default is the name of the process's user.  password: str, bytes, or a function (also
        a coroutine function) that is asked for one at every connect.  db: the default database.
        charset: the server's name of a character set (default utf8mb4); collation: of the session
        (default: the server's for that character set).
        conv: field type -> converter of a cell, and type -> encoder of a parameter.
        use_unicode: False leaves text as bytes.
        connect_timeout: seconds for everything up to the first usable moment; read_timeout,
        write_timeout: seconds that each answer or request may take.  None: no limit.
        on_cancel: what becomes of a statement whose task is cancelled, or whose `timeout` is over.
        "close" closes the connection; "kill" sends KILL QUERY over another one, to the same address
        with the same options, and keeps the connection, which whoever uses it meanwhile waits for;
        it is closed if that fails or takes longer than kill_timeout (seconds).
        tcp_keepalive: seconds of silence after which the peer is probed, as often again, and taken
        for lost after three probes; or (seconds of silence, seconds between probes, probes).
        tcp_user_timeout: seconds that what was sent may remain without acknowledgement (Linux).
        None for either: as the system has it.
        max_allowed_packet: bytes, from 262,144; a longer packet from the server is refused.
        sql_mode, init_command: set and run on connecting.  sql_mode: names of modes with commas
        between, or an expression of SQL that gives them (DEFAULT, a number).
        autocommit: the session's autocommit mode; None leaves the server's default.
        cursorclass: of cursors.  get_warnings: ask for a statement's warnings and issue them.
        stmt_cache_size: how many of the statements that cursors run with arguments are kept
        prepared on the server (see `Cursor.execute`); 0: none.
        skip_idle_commits: send no COMMIT or ROLLBACK that would end nothing.
        local_infile: allow LOAD DATA LOCAL INFILE.
        ssl: an ssl.SSLContext; True for the system's CAs; a dict as PyMySQL takes it; False for
        plaintext; None encrypts where the server offers it and is not on this machine.
        ssl_mode: DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY; ssl_ca, ssl_cert,
        ssl_key: PEM files; ssl_key_password, ssl_verify_cert, ssl_verify_identity, ssl_disabled.
        auth_plugin: the authentication method to begin with.  server_public_key: PEM.
        allow_cleartext: may the password be sent as it is on a channel that is not secure?
        allow_old_password: may mysql_old_password be used, which gives the password's hash away?
        auth_methods: further methods by name.  dialog: a function (prompt, echo) that answers the
        prompts of the method dialog.  factor_passwords: of the second and third factor.
        program_name, conn_attrs: connection attributes that the server shows.
        client_flag: further capabilities (pymysql.constants.CLIENT) to ask for.
        read_default_file, read_default_group: an option file, whose values go before the others.
        echo: log statements.  loop: ignored, deprecated.

        Raises TypeError, ValueError, NotSupportedError or ProgrammingError for a bad option, which
        is named.
        """
        self._loop: asyncio.AbstractEventLoop = running_loop(loop)
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
            local_infile,
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
            ssl_cert,
            ssl_key,
            ssl_key_password,
            ssl_verify_cert,
            ssl_verify_identity,
            ssl_disabled,
            password,
            factor_passwords,
        )
        if read_default_file:
            read = read_option_file(read_default_file, read_default_group)
            given = tuple(map(read.get, OPTION_NAMES, given))
        self._options = options = find_options(given)
        self._charset = options.find_charset()
        self._echo = bool(echo)
        self.get_warnings = get_warnings
        if not isinstance(skip_idle_commits, bool):
            kind = type(skip_idle_commits).__name__
            raise TypeError(f"option 'skip_idle_commits' must be of type bool, not {kind}")
        #: Is no COMMIT or ROLLBACK sent that would end nothing?
        self.skip_idle_commits = skip_idle_commits
        self.cursorclass = cursorclass
        self.use_unicode = True if use_unicode is None else use_unicode
        modes: object = sql_mode
        if not isinstance(modes, (str, int, type(None))) or isinstance(modes, bool):
            kind = type(modes).__name__
            raise TypeError(f"option 'sql_mode' must be of type str, int, None, not {kind}")
        self.sql_mode = sql_mode
        self.init_command = init_command
        #: The autocommit mode asked for; None for the server's default.
        self.autocommit_mode = None if autocommit is None else bool(autocommit)
        # What `reset` goes back to: others change the current values.
        self._given = (options.charset, options.collation, options.db, self.autocommit_mode)
        self.decoders: dict[Any, Converter]
        if conv is None or conv is default_decoders:
            conv, self.decoders = None, default_decoders.copy()
        else:
            self.decoders = {key: conv[key] for key in conv if not isinstance(key, type)}
        self._literals = Literals(conv)
        self.host_info = "Not connected"
        self._last_greeting: Greeting | None = None
        self._opening = self._asking_password = False
        #: For cursors: may the session's character set be another than `encoding` is for, or
        #: NO_BACKSLASH_ESCAPES have changed?
        self.charset_in_doubt = False
        #: For cursors: the exchanges with the server.
        self._kill_client = KillClient(options) if options.on_cancel == "kill" else None
        self.runner = CommandRunner(read_timeout, write_timeout, self._kill_client)
        self.runner.last_usage = monotonic()
        #: For cursors: the prepared statements.
        self.statements = StatementCache(self.runner, stmt_cache_size, self.encoding, conv)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._queries_usually = cls.query is Connection.query

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection can't be copied or pickled")

    # -- opening and closing ---------------------------------------------------------------------

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
            late = deadline.over(error)
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
            deadline.over(None)
            del deadline  # it holds the task, a task holds its error, and that holds this frame

    async def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        options = self._options
        self._asking_password = True
        password = await options.ask_password()
        self._asking_password = False
        session = Session(self._column_cache(), max_payload=options.max_allowed_packet)
        login = Login(options.login(self._charset, password))
        stream = await open_stream(options, session, login, loop)
        if self._kill_client is not None:
            await self._kill_client.record_server(stream)
        self.runner.attach(stream)
        self._last_greeting = session.require_greeting()
        self._record_auth_plugins(login)
        if options.unix_socket is not None:
            self.host_info = f"Localhost via UNIX socket: {options.unix_socket}"
        else:
            self.host_info = f"socket {options.host}:{options.port}"
        await self._prepare_session()

    def _writes_usually(self) -> bool:
        """Are statements made of text and arguments as this class does, without local files?"""
        own = type(self)
        return not self._options.local_infile and (
            own is Connection
            or all(getattr(own, name) is getattr(Connection, name) for name in _WRITING)
        )

    async def _prepare_session(self, db: str | None = None) -> None:
        """What a new session, or one that was reset, still lacks; db: a database to be chosen.

        What flags and greeting say of the session is not asked: it may be wrong (by a server that
        knows no such flag, or does not know the collation that the handshake asks for) or out of
        date (by the server's option init_connect).
        """
        settings = [f"NAMES {self._charset.server_name}"]
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
        await self._set(settings)
        # Of a statement's answers this is the one whose flag is believed: after a routine that sets
        # sql_mode, which the server undoes, the flag stays.
        session = self.runner.session
        self.runner.no_backslash_escapes = session is not None and session.no_backslash_escapes
        if db is not None:
            await self.select_db(db)
        if self.init_command is not None:
            await self.query(self.init_command)
            await self.commit()
            changed = _common(await self._ask_charsets()) != self._charset.server_name
            await self._set(settings[:1] * changed + autocommit)
        self.runner.record_mode(self.autocommit_mode)

    async def _set(self, settings: list[str]) -> None:
        """Set character set, mode and the like, after which the character set is known."""
        if settings:
            # Not by `query`, which looks for what a caller's text may change.
            statement = encode_statement(f"SET {', '.join(settings)}", self.encoding)
            await self.runner.query(statement)
        self._charset_known()

    async def reset(self) -> None:
        """Make the session as good as new, without a new log-in (MySQL: COM_RESET_CONNECTION).

        An open transaction is rolled back; locks, temporary tables, user and session variables and
        prepared statements are gone.  Character set, collation, `sql_mode`, `init_command`,
        autocommit mode and, if one was given, the default database are those asked for in `connect`
        again.  Raises OperationalError 1047 on MySQL before 5.7.3 and MariaDB before 10.2.4; after
        any error of its own the connection is closed, because nobody knows what the session is
        like.  The server's error in results that nobody has read is raised in the end.
        """
        unread = await self.runner.drop_outstanding()
        self.runner.check_free()
        options = self._options
        options.charset, options.collation, db, self.autocommit_mode = self._given
        self._charset = options.find_charset()
        try:
            await self.runner.run(Command(_COM_RESET_CONNECTION))
            self.runner.record_session()
            self.statements.session_reset(self.encoding)
            self.runner.stream().session.columns = self._column_cache()
            await self._prepare_session(db)
        except BaseException:
            self.close()
            raise
        if unread is not None:
            try:
                raise unread
            finally:
                del unread

    def close(self) -> None:
        """Close at once, without waiting; the server is told if no answer is outstanding.

        What has come of results that nobody has read is dropped; an error of the server in it is
        logged.
        """
        self.runner.close()

    async def ensure_closed(self) -> None:
        """Say good-bye to the server and wait until it has closed the session.

        Returns after two seconds at most.  Does nothing when the connection is closed already.
        The server's error in results that nobody has read is raised after that.
        """
        await self.runner.quit()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self.close()
        else:
            await self.ensure_closed()

    def __del__(self) -> None:
        runner = getattr(self, "runner", None)  # there is none when __init__ failed
        if runner is None or runner.closed or sys.is_finalizing():
            return
        message = f"Unclosed connection {self!r}"
        runner.abort()
        warnings.warn(message, ResourceWarning, source=self, stacklevel=2)

    def _column_cache(self) -> ColumnCache:
        return ColumnCache(self.encoding, self.decoders, use_unicode=self.use_unicode)

    # -- statements ------------------------------------------------------------------------------

    @overload
    def cursor(self) -> AwaitableContextManager[Cursor]: ...
    @overload
    def cursor(self, cursor: type[C], /) -> AwaitableContextManager[C]: ...
    @overload
    def cursor(self, *cursors: type[Cursor]) -> AwaitableContextManager[Any]: ...
    def cursor(self, *cursors: type[Cursor]) -> AwaitableContextManager[Any]:
        """A new cursor: awaitable, or for `async with`.

        cursors: the cursor's class, or several to combine.  Raises TypeError for anything that is
        not a subclass of Cursor, InterfaceError when the connection is closed.
        """
        runner = self.runner
        session = runner.session
        if session is None or session.error is not None:
            runner.stream()  # says why
        runner.last_usage = monotonic()
        cursor_class = _cursor_class(cursors) if cursors else self.cursorclass
        context: AwaitableContextManager[Any] = new_cursor(cursor_class, self, self._echo)
        return context

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
            check_timeout("argument 'timeout'", timeout)
            return await with_timeout(self.runner, self.query(sql, unbuffered), timeout)
        if self.charset_in_doubt:
            await self.settle_charset(sql)
        if isinstance(sql, str):
            sql = encode_statement(sql, self.encoding)
        if not isinstance(sql, (bytes, bytearray, memoryview)):
            raise TypeError(f"a statement must be str or bytes, not {type(sql).__name__}")
        exchange = self.new_query(bytes(sql), unbuffered=unbuffered)
        return (await self.runner.execute(exchange)).affected_rows

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
        written = None if source is None else source.encode("utf-8", "replace")
        if written is not None and changes_charset_within(written, self._charset):
            raise err.ProgrammingError(
                "the statement changes the character set or sql_mode for values behind it in the "
                "same text: run that SET by itself"
            )
        self.record_statement(statement if written is None else written)
        if files is None:
            files = self.local_files(statement)
        query = Query(statement, streamed=unbuffered, local_files=files)
        query.source = written
        return query

    def record_statement(self, statement: bytes) -> None:
        """For cursors: this is run as text; what does it change?"""
        if self.statements.size:
            self.statements.record_text(statement)
        self.record_charset(statement)

    def record_charset(self, statement: bytes) -> None:
        """For cursors: this is run; if it may change how literals are read, the next one asks."""
        if may_change_charset(statement) and not sets_names_to(statement, self._charset):
            self._doubt_charset()

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
        return self._local_files(names, None)

    def _local_files(self, names: Iterable[str], source: LocalSource | None) -> LocalFiles:
        files = {}
        for name in names:
            with contextlib.suppress(UnicodeEncodeError):  # no statement can have it
                files[name.encode(self.encoding)] = (name, source)
        return files

    async def prepare(self, query: str) -> PreparedStatement:
        """Have the server prepare a statement: `async with await connection.prepare(sql) as stmt`.

        query: with `%s` or `%(name)s` marks, each in the place of a value, and `%%` for a percent
        sign; or, without any `%`, with the server's own marks `?`.  Raises ProgrammingError when a
        mark stands where no value can, and what the server says.
        """
        await self.settle()  # which tells how strings in it are read
        handle = self.statements.new_handle(query)
        if handle.template is None and "%" in query:
            raise err.ProgrammingError("the statement can't be prepared: its marks are not values")
        await self.statements.prepare(handle)
        return PreparedStatement(self, query, handle)

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
        if self.charset_in_doubt:
            await self.settle_charset()
        statement = sql if isinstance(sql, bytes) else encode_statement(sql, self.encoding)
        if not self._options.local_infile:
            raise err.NotSupportedError("LOAD DATA LOCAL needs option local_infile=True")
        if names is None:
            names = self.local_file_names(sql)
        if len(names) != 1:
            raise err.ProgrammingError("the statement is not one LOAD DATA LOCAL INFILE '...'")
        files = self._local_files(names[0], source)
        return (await self.runner.query(statement, files=files)).affected_rows

    async def next_result(self) -> int:
        """Read the next result of the last statement; returns `affected_rows`."""
        return (await self.runner.next_result()).affected_rows

    async def discard_results(self) -> None:
        """Read and drop what is left of the last statement's results.

        Raises the server's error in it, if there is one: of several statements in one text that
        which failed, and the statements behind it were not run.  All methods that send something
        do this first.
        """
        await self.runner.settle()

    async def begin(self) -> None:
        """Begin a transaction."""
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
        unread = None
        if runner.outstanding:
            if statement == "COMMIT":
                await runner.settle()
            else:
                unread = await runner.drop_outstanding()
        if not (self.skip_idle_commits and runner.nothing_to_end()):
            mode = runner.autocommit  # which this doesn't change
            fast = runner.fast_path
            unseen: Any = CursorState()  # what the fast path gives the result to
            if fast is not None and self._queries_usually and fast.begin(unseen, statement, None):
                if await fast is None:
                    runner.take(fast.rest()[0])
            else:
                await self.query(statement)
            runner.record_mode(mode)
            if self.charset_in_doubt:
                runner.transaction_possible = True  # no pool lends it as it is
        if unread is not None:
            try:
                raise unread
            finally:
                del unread  # which holds this frame

    async def autocommit(self, value: bool) -> None:
        """Set the session's autocommit mode.

        Nothing is sent when this was done before, and nothing was run since that may have changed
        it.
        """
        mode = bool(value)
        runner = self.runner
        if runner.outstanding:
            await runner.settle()
        if runner.autocommit is not mode:
            possible = runner.transaction_possible
            await self.query(f"SET AUTOCOMMIT = {int(mode)}")
            runner.autocommit = mode
            # Even though it may have committed: what was said of the transaction may outlast it.
            runner.transaction_possible = possible
        self.autocommit_mode = mode

    async def select_db(self, db: str) -> None:
        """Change the default database."""
        if self.charset_in_doubt:
            await self.settle_charset()
        command = Command(COMMAND.COM_INIT_DB, encode_statement(db, self.encoding))
        with self._known_state():
            await self.runner.run(command)
        self.statements.forget()
        self._options.db = db

    async def set_charset(self, charset: str) -> None:
        """Change the connection's character set.  Raises ProgrammingError for an unknown one."""
        found = find_charset(charset)
        in_doubt = self.charset_in_doubt
        with self._known_state():
            await self.query(f"SET NAMES {found.server_name}")
            self._use_charset(found)
            if in_doubt:  # so the sql_mode is, too
                self._doubt_charset()
                await self.settle_charset()

    def _use_charset(self, charset: Charset) -> None:
        """The session has this character set now."""
        self._charset = charset
        self._options.charset, self._options.collation = charset.name, None
        self.runner.stream().session.columns = self._column_cache()
        self.statements.forget(self.encoding)
        self._charset_known()

    def _doubt_charset(self) -> None:
        """The next statement asks; one that does not ask may not be sent."""
        self.charset_in_doubt = True
        self.runner.fast_path = None

    def _charset_known(self) -> None:
        """The session has the connection's character set."""
        self.charset_in_doubt = False
        if self.runner.fast_path is None:
            self.runner.hasten(self.statements, self._literals, text=self._writes_usually())

    async def settle(self) -> None:
        """For cursors: read and drop what is outstanding; then it is known how to write values."""
        await self.runner.settle()
        if self.charset_in_doubt:
            await self.settle_charset()

    async def settle_charset(self, query: object = None, args: object = None) -> None:
        """For cursors: find out how the session reads literals, to run `query` with `args`.

        A statement may have set sql_mode or the character set: the connection goes over to that
        then, as by `set_charset`.  Raises ProgrammingError when it can't.  The server isn't asked
        when it does not matter to the statement.
        """
        if args is None and isinstance(query, (str, bytes, bytearray)):
            text = query.encode("utf-8", "replace") if isinstance(query, str) else bytes(query)
            if ignores_charset(text):
                return
        await self.runner.settle()
        found = await self._ask_charsets()
        name = _common(found)
        if name == self._charset.server_name:
            self._charset_known()
            return
        if name is not None:
            with contextlib.suppress(err.ProgrammingError):
                self._use_charset(find_charset(name))
                return
        raise err.ProgrammingError(
            "a statement has changed the session's character set to one that can't be followed "
            f"({', '.join(map(str, found))} for client, connection and results): "
            "use set_charset() to change it"
        )

    async def _ask_charsets(self) -> tuple[str | None, ...]:
        """The names of the session's character sets: of statements, literals and, if the connection
        decodes text, results.  Finds out about NO_BACKSLASH_ESCAPES, too.
        """
        session = self.runner.stream().session
        columns, session.columns = session.columns, ColumnCache("latin-1", {}, use_unicode=False)
        try:
            rows = await self.runner.fetch(_ASK_CHARSETS)
        finally:
            session.columns = columns
        if len(rows) != 1 or len(rows[0]) != 4:
            raise err.InternalError(0, "the server did not tell the session's character sets")
        # Results in UTF-16 or UTF-32 are these names with NULs between.
        *charsets, modes = [
            cell.replace(b"\0", b"").decode("latin-1") if isinstance(cell, bytes) else None
            for cell in rows[0]
        ]
        self.runner.no_backslash_escapes = "NO_BACKSLASH_ESCAPES" in (modes or "").split(",")
        return tuple(
            None if name is None else reported_charset(name)
            for name in charsets[: 3 if self.use_unicode else 2]
        )

    @contextlib.contextmanager
    def _known_state(self) -> Iterator[None]:
        """Close the connection when it is not known whether what the block asks for was done."""
        try:
            yield
        except err.MySQLError:
            raise
        except BaseException:
            self.close()
            raise

    async def kill(self, thread_id: int) -> None:
        """End the session that has this number."""
        await self.query(f"KILL {int(thread_id)}")

    async def ping(self, reconnect: bool = True) -> None:
        """Ask the server for a sign of life.

        reconnect: open a new connection when this one is lost.  Raises Error when it is closed and
        may not be reopened.
        """
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

    async def wait_stopped(self) -> None:
        """Wait until no cancelled statement is being stopped (option `on_cancel`).

        Whatever uses the connection does so by itself.
        """
        await self.runner.wait_stopped()

    async def show_warnings(self) -> tuple[tuple[Any, ...], ...]:
        """The rows of SHOW WARNINGS: (level, number, message)."""
        return await self.runner.fetch(b"SHOW WARNINGS")

    # -- literals --------------------------------------------------------------------------------

    def escape(self, obj: object) -> str:
        """`obj` as an SQL literal for this session.  Raises TypeError or ProgrammingError."""
        return self.current_literals().literal(obj)

    def literal(self, obj: object) -> str:
        """The same as `escape`."""
        return self.escape(obj)

    def escape_string(self, s: str) -> str:
        """`s` with the characters escaped that end a quoted string; no quotes added."""
        literals = self.current_literals()
        return escape_text(s, no_backslash_escapes=literals.no_backslash_escapes)

    def escape_args(self, args: object) -> Any:
        """The right-hand side of ``query % ...`` for a statement's arguments."""
        return self.current_literals().arguments(args)

    def current_literals(self) -> Literals:
        """For cursors: what writes literals as the session reads them now."""
        literals = self._literals
        literals.no_backslash_escapes = self.no_backslash_escapes
        return literals


#: What `fast_path` does itself: a subclass may do it in another way.
_WRITING = ("escape", "escape_args", "literal", "current_literals", "new_query", "encoding")


def _common(charsets: tuple[str | None, ...]) -> str | None:
    """The character set that text may be written and read in, of those for statements, literals
    and results; None: there is none.  Literals may become utf8mb4, which has every character.
    """
    client, literals, *results = charsets
    fits = literals in (client, "utf8mb4") and results in ([], [client])
    return client if fits else None


def _add_address(error: err.MySQLError, where: str) -> None:
    *numbers, message = error.args or ("",)
    error.args = *numbers, f"{message} (connecting to {where})"


def _cursor_class(cursors: tuple[type[Cursor], ...]) -> type[Cursor]:
    """The one class, or one made of several."""
    if not all(isinstance(cls, type) and issubclass(cls, Cursor) for cls in cursors):  # type: ignore[redundant-expr]
        raise TypeError("Custom cursor must be subclass of Cursor")
    if len(cursors) == 1:
        return cursors[0]
    names = "".join(cls.__name__ for cls in cursors)
    return type(names.replace("Cursor", "") + "Cursor", cursors, {})


async def _connect(*args: Any, **kwargs: Any) -> Connection:
    connection = Connection(*args, **kwargs)
    await connection._connect()
    return connection


@takes_parameters_of(Connection)
def connect(*args: Any, **kwargs: Any) -> AwaitableContextManager[Connection]:
    """Open a connection, to be awaited or used with `async with`.

    The parameters are those of `Connection`; `host` may also be a data source name,
    `mysql://user:password@host:port/database?charset=...`, whose parts other parameters override.
    """
    host = args[0] if args else kwargs.get("host")
    if is_dsn(host):
        args, kwargs = args[1:], {k: v for k, v in kwargs.items() if k != "host"}
        kwargs = parse_dsn(host) | kwargs
        if args:
            raise TypeError("with a data source name the other arguments must be named")
    return AwaitableContextManager(_connect(*args, **kwargs))
