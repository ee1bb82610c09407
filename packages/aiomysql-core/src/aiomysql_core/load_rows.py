"""`Connection.load_rows`: rows of Python values into a table, by LOAD DATA LOCAL.

LOAD DATA LOCAL implies IGNORE: the server drops rows, and changes values, where an INSERT would
fail, and only counts that.  So all is done within a transaction or behind a savepoint, and undone
when something was dropped or changed that was not to be.  Where the server, or the connection,
allows no LOAD DATA LOCAL the rows go as INSERTs of many rows.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING

from pymysql import err
from pymysql.constants import CLIENT, FIELD_TYPE

from aiomysql_core.bulk.batches import in_chunks
from aiomysql_core.log import logger, warn_caller
from aiomysql_protocol.values.file_rows import BINARY, BIT, TEXT, FileRows
from aiomysql_protocol.wire.charsets import BINARY_COLLATION
from aiomysql_protocol.wire.packets import error_of

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection
    from aiomysql_protocol.commands.query import Result
    from aiomysql_protocol.rows.metadata import Column

#: Bytes that are sent at once.
_PIECE = 1 << 16

#: What a server says that allows no LOAD DATA LOCAL: ER_NOT_ALLOWED_COMMAND,
#: ER_CLIENT_LOCAL_FILES_DISABLED of MySQL, ER_LOAD_INFILE_CAPABILITY_DISABLED of MariaDB.
_NOT_ALLOWED = frozenset({1148, 3948, 4166})

#: ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME.
_DUPLICATE = frozenset({1062, 1586})

#: Warnings that a session keeps, at most.
_MOST_WARNINGS = 65535

_FILE = "rows"
_SAVEPOINT = "`aiomysql load_rows`"
_WORDS = {"error": "", "ignore": " IGNORE", "replace": " REPLACE"}

_BYTES = frozenset(
    {
        *(FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR),
        *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB),
    }
)
#: MySQL's VECTOR, which PyMySQL does not name.
_VECTOR = 242

#: Called with the number of rows that were written so far.
Progress = Callable[[int], object]


class RowLoad:
    """One call of `Connection.load_rows`."""

    #: Whether the log has been told that rows go as INSERTs.
    _is_told = False

    def __init__(
        self,
        connection: Connection,
        table: str | Sequence[str],
        columns: Sequence[str] | None,
        on_duplicate: str,
        progress: Progress | None,
    ) -> None:
        if on_duplicate not in _WORDS:
            raise ValueError(
                f"argument 'on_duplicate' must be one of {', '.join(_WORDS)}, not {on_duplicate!r}"
            )
        if isinstance(columns, (str, bytes)):
            raise TypeError("argument 'columns' must be a list of names, not one name")
        self._connection = connection
        self._table = ".".join(map(quoted, [table] if isinstance(table, str) else table))
        self._columns = None if columns is None else list(columns)
        self._on_duplicate = on_duplicate
        self._progress = progress
        # Rows that were written.
        self._count = 0
        # Why the rows have ended before their time.
        self._failure: Exception | None = None

    async def run(self, rows: Iterable[object] | AsyncIterable[object]) -> int:
        """Load `rows`; returns how many of them are in the table.  See `Connection.load_rows`."""
        await self._connection.make_ready()
        async with contextlib.aclosing(in_chunks(rows)) as chunks:
            first: Sequence[object] = ()
            while not first:
                try:
                    first = await anext(chunks)
                except StopAsyncIteration:
                    return 0
            if self._columns is None and isinstance(first[0], Mapping):
                self._columns = list(first[0])
            columns = await self._find_columns()
            self._columns = [column.name for column in columns]
            all_chunks = self._in_order(first, chunks)
            async with self._all_or_nothing(), self._many_warnings():
                if self._allows_files():
                    try:
                        return await self._load(all_chunks, columns)
                    except err.MySQLError as error:
                        if error.args[0] not in _NOT_ALLOWED or self._count:
                            raise
                return await self._insert(all_chunks)

    # -- columns and rows ------------------------------------------------------------------------

    async def _find_columns(self) -> Sequence[Column]:
        names = "*" if self._columns is None else ", ".join(map(quoted, self._columns))
        result = await self._query(f"SELECT {names} FROM {self._table} LIMIT 0")
        if self._columns is not None and len(result.fields) != len(self._columns):
            raise err.InternalError(0, "the server has described other columns than were named")
        return result.fields

    async def _in_order(
        self, first: Sequence[object], chunks: AsyncIterator[Sequence[object]]
    ) -> AsyncIterator[Sequence[object]]:
        yield self._without_names(first)
        async for chunk in chunks:
            yield self._without_names(chunk)

    def _without_names(self, rows: Sequence[object]) -> Sequence[object]:
        """The rows as tuples, where they are dicts."""
        if not any(isinstance(row, Mapping) for row in rows):
            return rows
        columns = self._columns or []
        ordered: list[object] = []
        for row in rows:
            if isinstance(row, Mapping):
                if row.keys() != set(columns):
                    names = ", ".join(sorted(map(str, row.keys() ^ set(columns))))
                    raise ValueError(f"a row has not the columns of the others: {names}")
                ordered.append(tuple(row[name] for name in columns))
            else:
                ordered.append(row)
        return ordered

    # -- the session -----------------------------------------------------------------------------

    async def _query(self, statement: str) -> Result:
        connection = self._connection
        return await connection.runner.query(statement.encode(connection.encoding))

    @contextlib.asynccontextmanager
    async def _all_or_nothing(self) -> AsyncIterator[None]:
        connection = self._connection
        # In autocommit mode what was begun is seen in the flag; in the other mode a savepoint does.
        is_alone = connection.get_autocommit() and not connection.get_transaction_status()
        await connection.query("BEGIN" if is_alone else f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield
        except Exception:
            if not connection.closed:
                await (
                    connection.rollback()
                    if is_alone
                    else connection.query(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
                )
            raise
        await (
            connection.commit() if is_alone else connection.query(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        )

    @contextlib.asynccontextmanager
    async def _many_warnings(self) -> AsyncIterator[None]:
        """To tell duplicates from what else was dropped all warnings must be there."""
        if self._on_duplicate != "ignore":
            yield
            return
        ((before,),) = (await self._query("SELECT @@SESSION.max_error_count")).rows
        await self._query(f"SET SESSION max_error_count = {_MOST_WARNINGS}")
        try:
            yield
        finally:
            if not self._connection.closed:
                await self._query(f"SET SESSION max_error_count = {int(before)}")

    # -- LOAD DATA -------------------------------------------------------------------------------

    def _allows_files(self) -> bool:
        connection = self._connection
        capabilities = connection.runner.stream().session.capabilities
        return connection.allows_local_files and bool(capabilities & CLIENT.LOCAL_FILES)

    async def _load(
        self, chunks: AsyncIterator[Sequence[object]], columns: Sequence[Column]
    ) -> int:
        kinds = [_kind(column) for column in columns]
        targets, settings = [], []
        for number, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
            name, variable = quoted(column.name), f"@_load_rows_{number}"
            targets.append(name if kind == TEXT else variable)
            if kind == BINARY:
                settings.append(f"{name} = UNHEX({variable})")
            elif kind == BIT:
                settings.append(f"{name} = CAST({variable} AS UNSIGNED)")
        statement = (
            f"LOAD DATA LOCAL INFILE '{_FILE}'{_WORDS[self._on_duplicate]} INTO TABLE {self._table}"
            " CHARACTER SET utf8mb4 FIELDS TERMINATED BY X'09' ENCLOSED BY '' ESCAPED BY X'5C'"
            f" LINES TERMINATED BY X'0A' ({', '.join(targets)})"
        )
        if settings:
            statement += f" SET {', '.join(settings)}"
        connection = self._connection
        source = self._lines(chunks, FileRows(b"".join(kinds), connection.current_literals()))
        await connection.load_local(statement, source, names=[(_FILE,)])
        result = connection.runner.result
        if self._failure is not None:
            failure, self._failure = self._failure, None
            try:
                raise failure
            finally:
                del failure
        assert result is not None
        return await self._check(result)

    async def _lines(
        self, chunks: AsyncIterator[Sequence[object]], rows: FileRows
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the file.  An error ends it, and is raised when the server has answered."""
        data, size = [], 0
        try:
            async for chunk in chunks:
                start = 0
                while start < len(chunk):
                    before = start
                    piece, start = rows.write(chunk, start, _PIECE - size)
                    self._count += start - before
                    data.append(piece)
                    size += len(piece)
                    if size >= _PIECE:
                        yield b"".join(data)
                        data, size = [], 0
                        self._tell_progress()
        except Exception as error:
            with contextlib.suppress(AttributeError):
                error.row_index = self._count  # type: ignore[attr-defined]
            self._failure = error
            return
        yield b"".join(data)
        self._tell_progress()

    def _tell_progress(self) -> None:
        if self._progress is not None:
            self._progress(self._count)

    async def _check(self, result: Result) -> int:
        """Raise an error unless all rows are in the table as they are, or as it was asked for."""
        # "Records: 3  Deleted: 0  Skipped: 1  Warnings: 1", in the server's language.
        text = result.message[1:]  # behind its length
        numbers = [int(number) for number in re.findall(rb"\d+", text)]
        if len(numbers) != 4:
            raise err.InternalError(0, f"the server says of LOAD DATA {result.message!r}")
        records, _, skipped, _ = numbers
        if records != self._count:
            raise err.InternalError(
                0, f"the server has read {records} rows where {self._count} were sent"
            )
        if not (skipped or result.warning_count):
            return records
        shown = await self._connection.show_warnings()
        for level, number, message in shown:
            is_expected = self._on_duplicate == "ignore" and int(number) in _DUPLICATE
            if level != "Note" and not is_expected:
                raise error_of(int(number), str(message))
        if result.warning_count > len(shown) or (skipped and self._on_duplicate != "ignore"):
            raise err.DataError(
                0, f"{skipped} rows were dropped, and {result.warning_count} warnings were given"
            )
        if self._connection.get_warnings:
            for level, _, message in shown:
                if level == "Note":
                    warn_caller(str(message), err.Warning)
        return records - skipped

    # -- INSERT ----------------------------------------------------------------------------------

    async def _insert(self, chunks: AsyncIterator[Sequence[object]]) -> int:
        connection, names = self._connection, [quoted(name) for name in self._columns or ()]
        if not RowLoad._is_told:
            RowLoad._is_told = True
            logger.info(
                "load_rows sends INSERTs: LOAD DATA LOCAL is not allowed by the server, "
                "or by the connection (option local_infile)"
            )
        word = "REPLACE" if self._on_duplicate == "replace" else "INSERT"
        statement = (
            f"{word} INTO {self._table.replace('%', '%%')}"
            f" ({', '.join(names).replace('%', '%%')})"
            f" VALUES ({', '.join(['%s'] * len(names))})"
        )
        if self._on_duplicate == "ignore":
            name = names[0].replace("%", "%%")
            statement += f" ON DUPLICATE KEY UPDATE {name} = {name}"
        ((modes,),) = (await self._query("SELECT @@SESSION.sql_mode")).rows
        await connection.query(f"SET SESSION sql_mode = '{modes},STRICT_ALL_TABLES'")
        try:
            async with connection.cursor() as cursor:
                await cursor.executemany(statement, self._counted(chunks))
                changed = cursor.rowcount
        finally:
            if not connection.closed:
                await connection.query(f"SET SESSION sql_mode = '{modes}'")
        return changed if self._on_duplicate == "ignore" else self._count

    async def _counted(self, chunks: AsyncIterator[Sequence[object]]) -> AsyncIterator[object]:
        async for chunk in chunks:
            for row in chunk:
                yield row
                self._count += 1
            self._tell_progress()


def quoted(name: str) -> str:
    """`name` as an identifier.  Raises TypeError, and ValueError for one that can't be a name."""
    if not isinstance(name, str):
        raise TypeError(f"a name must be str, not {type(name).__name__}")
    if not name or "\0" in name:
        raise ValueError(f"{name!r} can't be a name")
    return f"`{name.replace('`', '``')}`"


def _kind(column: Column) -> bytes:
    if column.type_code == FIELD_TYPE.BIT:
        return BIT
    if column.type_code in (FIELD_TYPE.GEOMETRY, _VECTOR):
        return BINARY
    is_binary = column.charsetnr == BINARY_COLLATION and column.type_code in _BYTES
    return BINARY if is_binary else TEXT
