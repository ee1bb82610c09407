"""The session of one `Connection.load_rows`: all of it or nothing, and the settings meanwhile."""

from __future__ import annotations

import re
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pymysql import err

from aiomysql_core.transaction import Transaction, may_go_on

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection

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
    """Used by `async with`: a transaction block under settings that are for loading rows."""

    def __init__(self, connection: Connection[Any], *, needs_warnings: bool) -> None:
        """needs_warnings: all of a statement's are to be kept, as far as the account may."""
        self._connection = connection
        self._runner = connection.runner
        self._needs_warnings = needs_warnings
        self._transaction = Transaction(connection, commits=False)
        #: Warnings that the server keeps of one statement, and bytes of its longest request.
        self.most_warnings: int = 0
        self.longest_request: int = 0
        #: The character set that the server has for names of files.
        self.file_charset: str = ""
        # The settings before; empty until they are another.
        self._settings = ""
        # The autocommit mode within, which none of the settings changes; None: it is not known.
        self._mode: bool | None = None

    async def ask(self, question: str) -> list[list[str | None]]:
        """The rows that the server answers, as text, whatever the connection converts."""
        rows = await self._runner.fetch_bytes(question.encode(self._connection.encoding))
        encoding = self._connection.encoding
        return [
            [None if cell is None else cell.decode(encoding, "replace") for cell in row]
            for row in rows
        ]

    async def __aenter__(self) -> Self:
        await self._transaction.__aenter__()
        try:
            await self._set()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._settings and may_go_on(exc_val) and not self._connection.closed:
            try:
                await self._restore()
            except BaseException as failure:
                self._connection.close()  # then the server undoes what was done
                await self._transaction.__aexit__(type(failure), failure, failure.__traceback__)
                if exc_val is None or not isinstance(failure, Exception):
                    raise
                exc_val.add_note(f"the connection was closed: {failure!r}")
                return
        await self._transaction.__aexit__(exc_type, exc_val, exc_tb)

    async def _set(self) -> None:
        self._mode = self._runner.autocommit
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
        strict = [mode for mode in modes.split(",") if mode and mode not in _LEFT_OUT]
        modes = ",".join([*strict, "STRICT_ALL_TABLES"])
        await self._run(f"SET SESSION sql_mode = '{modes}', {_SETTINGS}")
        # The reason of a row that LOAD DATA drops is told as a warning.
        wanted = _MOST_WARNINGS if self._needs_warnings else 1
        if self.most_warnings < wanted:
            # Who is cancelled meanwhile does not know whether it is set: then it is restored.
            before = self._settings
            self._settings += f", max_error_count = {self.most_warnings}"
            known_changes = self._runner.known_changes
            try:
                await self._run(f"SET SESSION max_error_count = {wanted}")
            except err.OperationalError:  # not every account may
                if self._runner.closed:
                    raise
                self._runner.restore_changes(known_changes)
                self._settings = before
            else:
                self.most_warnings = wanted
        self._runner.autocommit = self._mode

    async def _restore(self) -> None:
        await self._runner.drop_outstanding()
        await self._run(f"SET SESSION {self._settings}")
        self._runner.autocommit = self._mode

    async def _run(self, statement: str) -> None:
        result = await self._runner.query(statement.encode())
        if result.metadata is not None or result.has_next:
            self._connection.close()  # nobody knows what it has done
            raise unexpected("given rows, or several results, for a statement that has none")


def unexpected(what: str) -> err.InternalError:
    """The error for a server that answers what nobody has asked."""
    return err.InternalError(0, f"the server has {what}")
