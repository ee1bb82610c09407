"""The session of one `Connection.load_rows`: all of it or nothing, and the settings meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

from pymysql import err

from aiomysql_core.log import logger
from aiomysql_core.transaction import COMMIT, NO_SAVEPOINT, ROLLBACK

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection

_SAVEPOINT = "`aiomysql load_rows`"

#: Numbers that are another meanwhile.
_NUMBERS = ("sql_notes", "sql_select_limit", "net_read_timeout", "unique_checks", "max_error_count")

#: What is dropped or changed is an error, whatever the user's mode; notes are none, and don't take
#: the place of warnings; nothing that SHOW gives is cut off; rows may come slowly; and MariaDB does
#: not look for duplicates only at the end of the transaction, which it then undoes.
_SETTINGS = (
    "sql_notes = 0, sql_select_limit = 18446744073709551615, net_read_timeout = 31536000"
    ", unique_checks = 1"
)

#: Modes that LOAD DATA does not know of.
_LEFT_OUT = frozenset({"EMPTY_STRING_IS_NULL"})

#: Warnings that a session keeps, at most.
_MOST_WARNINGS = 65535

_MODES = re.compile(r"[A-Z0-9_,]*")
_NUMBER = re.compile(r"[0-9]{1,20}")


class LoadSession:
    """Has what is done between `begin` and `end` be done whole or, by `undo`, not at all."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._runner = connection.runner
        #: Warnings that the server keeps of one statement, and bytes of its longest request.
        self.most_warnings: int = 0
        self.longest_request: int = 0
        #: The character set that the server has for names of files.
        self.file_charset: str = ""
        self._autocommit: bool | None = None
        # The settings before.
        self._settings = ""
        # A transaction of its own, or else what lies behind a savepoint of the user's.
        self._is_own = False
        self._is_begun = self._is_ended = False
        # A savepoint may be there: it was sent; and it is.
        self._may_have_savepoint = self._has_savepoint = False

    async def ask(self, question: str) -> list[list[str | None]]:
        """The rows that the server answers, as text, whatever the connection converts."""
        rows = await self._runner.fetch_bytes(question.encode(self._connection.encoding))
        encoding = self._connection.encoding
        return [
            [None if cell is None else cell.decode(encoding, "replace") for cell in row]
            for row in rows
        ]

    async def begin(self, *, needs_warnings: bool) -> None:
        """Set the session, and begin; needs_warnings: all of a statement's are to be kept, as far
        as the account may have that.
        """
        connection = self._connection
        self._autocommit = self._runner.autocommit
        names = ("sql_mode", *_NUMBERS, "max_allowed_packet", "character_set_filesystem")
        rows = await self.ask(f"SELECT {', '.join(f'@@SESSION.{name}' for name in names)}")
        values = [(cell or "").replace("\0", "") for row in rows for cell in row]
        if (
            len(values) != len(names)
            or not _MODES.fullmatch(values[0])
            or not all(map(_NUMBER.fullmatch, values[1:-1]))
        ):
            raise err.InternalError(0, "the server did not tell the session's settings")
        modes, *numbers, longest, self.file_charset = values
        self.longest_request = int(longest)
        self.most_warnings = int(numbers[-1])
        kept = dict(zip(_NUMBERS, numbers, strict=True))
        del kept["max_error_count"]
        self._settings = f"sql_mode = '{modes}'" + "".join(
            f", {name} = {number}" for name, number in kept.items()
        )
        # By the flags of the answer, so the server has told them just now.
        self._is_own = connection.get_autocommit() and not connection.get_transaction_status()
        self._is_begun = True
        strict = [mode for mode in modes.split(",") if mode and mode not in _LEFT_OUT]
        modes = ",".join([*strict, "STRICT_ALL_TABLES"])
        settings = f"SET SESSION sql_mode = '{modes}', {_SETTINGS}"
        if self._is_own:
            # Not by BEGIN, which would give back tables that are locked.
            settings += ", autocommit = 0"
            self._settings += ", autocommit = 1"
        await self._run(settings)
        if needs_warnings and self.most_warnings != _MOST_WARNINGS:
            # Who is cancelled meanwhile does not know whether it is set: then it is restored.
            before = self._settings
            self._settings += f", max_error_count = {self.most_warnings}"
            try:
                await self._run(f"SET SESSION max_error_count = {_MOST_WARNINGS}")
            except err.OperationalError:  # not every account may
                if self._runner.closed:
                    raise
                self._settings = before
            else:
                self.most_warnings = _MOST_WARNINGS
        if not self._is_own:
            self._may_have_savepoint = True
            try:
                await self._run(f"SAVEPOINT {_SAVEPOINT}")
            except err.MySQLError:
                self._may_have_savepoint = False
                raise
            self._has_savepoint = True

    async def end(self) -> None:
        """Keep what was done: it is committed, if no transaction was open.

        Raises what the server says, then nothing is kept.  What fails behind a COMMIT is no error
        of the load any more: the connection is closed, and the log is told.
        """
        if not self._is_own:
            await self._run(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            self._is_ended = True
            await self._restore()
            return
        self._is_ended = True  # as far as who is cancelled meanwhile can know
        try:
            await self._run(COMMIT)
        except err.MySQLError:
            self._is_ended = False
            raise
        try:
            await self._restore()
        except err.MySQLError as error:
            self._connection.close()
            logger.warning(
                "load_rows has committed its rows, and closed the connection: the session's "
                "settings could not be restored (%r)",
                error,
            )

    async def undo(self, error: BaseException) -> None:
        """Undo what was done, because of `error`.  Where that can't be, the connection is closed:
        then the server does it.
        """
        connection = self._connection
        if connection.closed or not self._is_begun:
            return
        if self._is_ended or not isinstance(error, (Exception, asyncio.CancelledError)):
            connection.close()
            return
        try:
            with contextlib.suppress(err.MySQLError):
                await self._runner.discard_results()
            if self._is_own:
                await self._run(ROLLBACK)
            elif self._may_have_savepoint:
                await self._roll_back_to_savepoint(error)
            await self._restore()
        except Exception as failure:
            connection.close()
            error.add_note(f"the load could not be undone, the connection was closed: {failure!r}")
        except BaseException:
            connection.close()
            raise

    async def _roll_back_to_savepoint(self, error: BaseException) -> None:
        try:
            await self._run(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        except err.MySQLError as failure:
            if failure.args[:1] != (NO_SAVEPOINT,):
                raise
            if not self._has_savepoint:  # it was stopped before it was run
                return
            if not isinstance(error, err.MySQLError):
                raise
            # As after a deadlock.
            error.add_note("the server has rolled back the whole transaction")
        else:
            await self._run(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    async def _restore(self) -> None:
        runner = self._runner
        await self._run(f"SET SESSION {self._settings}")
        if self._is_own:
            runner.record_mode(self._autocommit)
        else:
            runner.autocommit = self._autocommit

    async def _run(self, statement: str) -> None:
        result = await self._runner.query(statement.encode())
        if result.metadata is not None or result.has_next:
            self._connection.close()  # nobody knows what it has done
            raise unexpected("given rows, or several results, for a statement that has none")


def unexpected(what: str) -> err.InternalError:
    """The error for a server that answers what nobody has asked."""
    return err.InternalError(0, f"the server has {what}")
