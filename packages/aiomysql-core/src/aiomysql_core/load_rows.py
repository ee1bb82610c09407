"""`Connection.load_rows`: many rows of Python values into a table, all or nothing.

LOAD DATA LOCAL is much the quickest, but it stores some values otherwise than INSERT does, and
implies IGNORE: what an INSERT refuses it drops or changes, and gives a warning.  So it is used as
long as all values are of types for which both are known to be the same (`table_columns.py`,
`file_rows.py`), and every warning is an error.  From the first row on that has another value, and
where the server or the connection allows no LOAD DATA LOCAL, the rows go as INSERTs of many rows.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pymysql import err
from pymysql.constants import CLIENT

from aiomysql_core.bulk.batches import TextBatch, insert_batch
from aiomysql_core.bulk.insert import InsertTemplate
from aiomysql_core.bulk.load_session import LoadSession, unexpected
from aiomysql_core.bulk.row_source import RowSource, record_row
from aiomysql_core.bulk.table_columns import TableColumns, find_columns, folded
from aiomysql_core.compat import hooks
from aiomysql_core.compat.row_literals import row_literals
from aiomysql_core.log import logger, warn_of_server
from aiomysql_protocol.values.file_rows import FILE_TYPES, write_file_rows
from aiomysql_protocol.wire.packets import error_of

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_protocol.commands.query import Result

#: Bytes that are written at once.
_PIECE = 1 << 16

#: Bytes of an INSERT, at most, and of what stands in a request besides it.
_LONGEST, _HEAD = 1 << 18, 1 << 10

#: What a server says that allows no LOAD DATA LOCAL, or does not know it: ER_TABLEACCESS_DENIED,
#: ER_COLUMNACCESS_DENIED, ER_NOT_ALLOWED_COMMAND, ER_NOT_SUPPORTED_YET,
#: ER_CLIENT_LOCAL_FILES_DISABLED of MySQL, ER_LOAD_INFILE_CAPABILITY_DISABLED of MariaDB.
_NOT_ALLOWED = frozenset({1142, 1143, 1148, 1235, 3948, 4166})

#: ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME.
_DUPLICATE = frozenset({1062, 1586})

_FILE = "rows"
_LOAD = {"error": "", "ignore": " IGNORE", "replace": " REPLACE"}
_INSERT = {"error": "INSERT", "ignore": "INSERT IGNORE", "replace": "REPLACE"}

_NUMBERS = re.compile(rb"\d+")
_MOST_DIGITS = 20
_CODE = re.compile(r"[0-9]{1,5}")

#: Character sets in which the name of a file is not what it is in ASCII.
_WIDE = ("ucs2", "utf16", "utf32")

#: Called with the number of rows that were written so far.
Progress = Callable[[int], object]


class RowLoad:
    """One call of `Connection.load_rows`."""

    #: Why rows went as INSERTs, as far as the log has been told.
    told: set[str] = set()  # noqa: RUF012

    def __init__(
        self,
        connection: Connection[Any],
        table: str | Sequence[str],
        columns: Sequence[str] | None,
        on_duplicate: str,
        progress: Progress | None,
    ) -> None:
        if on_duplicate not in _LOAD:
            raise ValueError(
                f"argument 'on_duplicate' must be one of {', '.join(_LOAD)}, not {on_duplicate!r}"
            )
        if isinstance(columns, (str, bytes)):
            raise TypeError("argument 'columns' must be a list of names, not one name")
        self._connection = connection
        self._session = LoadSession(connection, needs_warnings=on_duplicate == "ignore")
        self._table = ".".join(map(quoted, [table] if isinstance(table, str) else table))
        self._names = None if columns is None else list(columns)
        self._check_names()
        self._on_duplicate = on_duplicate
        self._progress = progress
        # Why a file has ended before its time.
        self._failure: Exception | None = None

    def _check_names(self) -> None:
        names = self._names
        if names is None:
            return
        if not names:
            raise ValueError("there are no columns")
        quoted_names = [folded(quoted(name)) for name in names]
        for number, name in enumerate(quoted_names):
            if name in quoted_names[:number]:
                raise ValueError(f"column {names[number]!r} is named twice")

    async def run(self, rows: Iterable[object] | AsyncIterable[object]) -> int:
        """Load `rows`; returns how many were taken.  See `Connection.load_rows`."""
        connection, session = self._connection, self._session
        await connection.make_ready()
        source = RowSource(rows, connection.runner)
        async with contextlib.aclosing(source):
            if not await source.fill():
                return 0
            first = source.rows[0]
            if self._names is None and isinstance(first, Mapping):
                self._names = list(first)
                self._check_names()
            try:
                async with session:
                    loaded = await self._load(source, await self._find_columns())
                    loaded += await self._insert(source)
            except Exception as error:
                if not hasattr(error, "row_index"):
                    record_row(error, None)
                raise
            return loaded

    async def _find_columns(self) -> TableColumns | None:
        """The table's columns; None: the server does not tell them."""
        runner = self._connection.runner
        known_changes = runner.known_changes
        try:
            columns = await find_columns(self._session.ask, self._table)
        except (err.MySQLError, LookupError, ValueError) as error:
            if self._connection.closed:
                raise
            runner.restore_changes(known_changes)
            self._tell(f"the columns of the table are not known ({error})")
            return None
        if self._names is None:
            self._names = columns.names
        return columns

    @property
    def _most(self) -> int | None:
        """Rows of a statement whose warnings are all to be seen."""
        return max(self._session.most_warnings, 1) if self._on_duplicate == "ignore" else None

    def _tell(self, reason: str) -> None:
        if reason not in RowLoad.told:
            if len(RowLoad.told) < 100:
                RowLoad.told.add(reason)
            logger.info("load_rows sends INSERTs: %s", reason)

    # -- LOAD DATA -------------------------------------------------------------------------------

    async def _load(self, source: RowSource, columns: TableColumns | None) -> int:
        """Load rows as long as LOAD DATA stores them as INSERT does."""
        source.set_columns(self._names, self._most)
        if columns is None or self._names is None:
            return 0
        found = self._obstacle(columns) or columns.file_kinds(self._names)
        if isinstance(found, str):
            self._tell(found)
            return 0
        kinds, charset = found
        statement = (
            f"LOAD DATA LOCAL INFILE '{_FILE}'{_LOAD[self._on_duplicate]} INTO TABLE {self._table}"
            f" CHARACTER SET {charset} FIELDS TERMINATED BY X'09' ENCLOSED BY '' ESCAPED BY X'5C'"
            f" LINES TERMINATED BY X'0A' ({', '.join(map(quoted, self._names))})"
        ).encode(self._connection.encoding)
        loaded, zone = 0, self._connection.current_literals().zone
        while await source.fill():
            _, stop = write_file_rows(source.rows, source.at, 1, kinds, zone)
            if stop == source.at:
                self._tell("a value might be stored otherwise by LOAD DATA")
                break
            taken = source.taken
            result = await self._send_file(statement, source, kinds)
            if isinstance(result, err.MySQLError):
                self._tell(f"the server allows no LOAD DATA LOCAL ({result.args[0]})")
                break
            loaded += await self._check_loaded(result, source.taken - taken)
        return loaded

    def _obstacle(self, columns: TableColumns) -> str | None:
        """Why no row can be loaded; None: it can be tried."""
        connection = self._connection
        capabilities = connection.runner.stream().session.capabilities
        if not (connection.allows_local_files and capabilities & CLIENT.LOCAL_FILES):
            return "option local_infile is off"
        if connection.charset != "utf8mb4":
            return "the connection's character set is not utf8mb4"
        if not hooks.are_own(connection, hooks.LITERAL_HOOKS):
            return "another's method writes the values"
        if any(map(connection.current_literals().has_encoder, FILE_TYPES)):
            return "option conv has encoders"
        if self._session.file_charset.startswith(_WIDE):
            return f"character_set_filesystem is {self._session.file_charset}"
        if columns.is_versioned and self._on_duplicate == "replace":
            return "LOAD DATA replaces nothing in a table with system versioning"
        return None

    async def _send_file(
        self, statement: bytes, source: RowSource, kinds: bytes
    ) -> Result | err.MySQLError:
        """Run LOAD DATA.  Returns the error of a server that does not allow it; raises others, and
        what the rows' source raises.
        """
        runner, taken = self._connection.runner, source.taken
        known_changes = runner.known_changes
        lines = self._lines(source, kinds)
        server_error: err.MySQLError | None = None
        async with contextlib.aclosing(lines):
            try:
                result = await runner.query(statement, files={_FILE.encode(): [(_FILE, lines)]})
            except err.MySQLError as error:
                server_error = error
        failure, self._failure = self._failure, None
        try:
            if failure is not None:
                raise failure
            if server_error is not None:
                if source.taken == taken and server_error.args[0] in _NOT_ALLOWED:
                    runner.restore_changes(known_changes)
                    return server_error
                raise server_error
        finally:
            del failure, server_error
        return result

    async def _lines(self, source: RowSource, kinds: bytes) -> AsyncGenerator[bytes, None]:
        """The bytes of the file.  An error ends it, and is raised when the server has answered."""
        most, before = self._most, source.taken
        zone = self._connection.current_literals().zone
        try:
            while await source.fill():
                written, ready = source.taken - before, len(source.rows) - source.at
                if most is not None and written > 0 and written + ready > most:
                    return
                piece, stop = write_file_rows(source.rows, source.at, _PIECE, kinds, zone)
                if stop == source.at:
                    return
                source.at = stop
                yield piece
                self._tell_progress(source.taken)
        except Exception as error:
            self._failure = error

    async def _check_loaded(self, result: Result, count: int) -> int:
        """Raise an error unless all rows are in the table as they are, or as it was asked for.

        Returns how many of them were not dropped.
        """
        if not (result.message or result.metadata is not None or result.has_next):
            # MySQL says no more for NULL that a trigger gives to a column that can't have it.
            for level, code, message in await self._ask_warnings():
                if level != "Note":
                    raise error_of(code, message)
        # "Records: 3  Deleted: 0  Skipped: 1  Warnings: 1", in the server's language, and before it
        # its length in a byte.
        numbers = _NUMBERS.findall(result.message[1:])
        if (
            result.metadata is not None
            or result.has_next
            or len(numbers) != 4
            or max(map(len, numbers)) > _MOST_DIGITS
        ):
            raise unexpected(f"answered LOAD DATA with {result.message[:200]!r}")
        records, deleted, skipped, warnings = map(int, numbers)
        await self._check_warnings(max(warnings, result.warning_count), skipped)
        if records != count or (deleted and self._on_duplicate != "replace"):
            raise unexpected(f"read {records} rows where {count} were sent, and deleted {deleted}")
        return count - skipped

    async def _check_warnings(self, warnings: int, skipped: int) -> None:
        """Raise an error for a warning of anything but a duplicate that is to be ignored."""
        if not (warnings or skipped):
            return
        shown = await self._ask_warnings()
        duplicates = 0
        for level, code, message in shown:
            if level == "Note":
                continue
            if self._on_duplicate != "ignore" or code not in _DUPLICATE:
                raise error_of(code, message)
            duplicates += 1
        if duplicates != skipped or warnings > len(shown):
            raise err.DataError(
                0,
                f"{skipped} rows were dropped and {warnings} warnings given, of which the server "
                f"tells {len(shown)}",
            )

    async def _ask_warnings(self) -> list[tuple[str, int, str]]:
        """Level, code and message of each warning of the last statement."""
        shown: list[tuple[str, int, str]] = []
        for row in await self._session.ask("SHOW WARNINGS"):
            if len(row) != 3:
                raise unexpected(f"answered SHOW WARNINGS with {len(row)} columns")
            level, number, message = (cell or "" for cell in row)
            shown.append((level, int(number) if _CODE.fullmatch(number) else 0, message))
        return shown

    # -- INSERT ----------------------------------------------------------------------------------

    async def _insert(self, source: RowSource) -> int:
        """Insert the rows that are left, many at a time."""
        if not await source.fill():
            return 0
        connection, session = self._connection, self._session
        names = ""
        if self._names is not None:
            names = f" ({', '.join(map(quoted, self._names))})"
        marks = ", ".join(["%s"] * source.width)
        prefix = f"{_INSERT[self._on_duplicate]} INTO {self._table}{names} VALUES "
        batch = insert_batch(
            InsertTemplate(prefix, f"({marks})", ""),
            partial(row_literals, connection),
            connection.encoding,
        )
        longest = min(_LONGEST, session.longest_request, connection.max_allowed_packet) - _HEAD
        most, inserted = self._most, 0
        while await source.fill():
            if most is not None and batch.count and batch.count + len(source.rows) > most:
                inserted += await self._run_insert(batch, prefix, source)
            before = batch.count
            try:
                stop = batch.add(source.rows, source.at, longest)
            except Exception as error:  # of a value
                record_row(error, source.taken + batch.count - before)
                raise
            is_full = stop < len(source.rows)
            source.at = stop
            if is_full:
                inserted += await self._run_insert(batch, prefix, source)
        if batch.count:
            inserted += await self._run_insert(batch, prefix, source)
        return inserted

    async def _run_insert(self, batch: TextBatch, prefix: str, source: RowSource) -> int:
        connection, count = self._connection, batch.count
        exchange = connection.new_query(batch.take(), files={}, source=prefix)
        try:
            result = await connection.runner.execute(exchange)
        except err.MySQLError as error:
            record_row(error, source.taken - count)
            raise
        changed = result.affected_rows
        if (
            result.metadata is not None
            or result.has_next
            or (changed < count if self._on_duplicate == "replace" else changed > count)
        ):
            raise unexpected(f"answered an INSERT of {count} rows with {changed}")
        if self._on_duplicate == "ignore":
            await self._check_warnings(result.warning_count, count - changed)
        elif self._on_duplicate == "error" and changed != count:
            raise unexpected(f"inserted {changed} of {count} rows")
        elif result.warning_count and connection.get_warnings:
            for _, _, message in await self._ask_warnings():
                warn_of_server(message)
        self._tell_progress(source.taken)
        return changed if self._on_duplicate == "ignore" else count

    def _tell_progress(self, rows: int) -> None:
        if self._progress is not None:
            self._progress(rows)


def quoted(name: str) -> str:
    """`name` as an identifier.  Raises TypeError, and ValueError for one that can't be a name."""
    if not isinstance(name, str):
        raise TypeError(f"a name must be str, not {type(name).__name__}")
    if not name or "\0" in name:
        raise ValueError(f"{name!r} can't be a name")
    return f"`{name.replace('`', '``')}`"
