"""Results and rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, cast

from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.elements import ColumnElement

from aiomysql_core import Cursor
from aiomysql_sa._sqlalchemy import ResultColumn, ResultColumns
from aiomysql_sa.exc import InvalidRequestError, NoSuchColumnError, ResourceClosedError
from aiomysql_sa.type_variables import Ts

if TYPE_CHECKING:
    from aiomysql_sa.connection import SAConnection

Processor = Callable[[Any], Any]

# In place of a position: more than one column goes by this name.
_AMBIGUOUS = -1


async def create_result_proxy(
    connection: SAConnection,
    cursor: Cursor[Any],
    dialect: Dialect,
    result_map: ResultColumns | None,
) -> ResultProxy:
    """Return the result of what `cursor` has executed; closed, if that has no rows."""
    result: ResultProxy = ResultProxy(connection, cursor, dialect, result_map)
    if not result.returns_rows:
        await result.close()
    return result


class RowProxy(Mapping[str, Any], Generic[*Ts]):
    """A row: values by name, by position, by Column, and as attributes; equal to its tuple.

    To type checkers it is a `RowProxy[int, str]` if the statement is a `Select[int, str]`.
    """

    __slots__ = ("_keymap", "_result_proxy", "_row")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        result_proxy: ResultProxy[*Ts],
        row: Sequence[Any],
        processors: Sequence[Processor | None] | None,
        keymap: ResultMetaData,
    ) -> None:
        """Process the values of `row`; None for `processors` says that there is nothing to do."""
        self._result_proxy = result_proxy
        self._keymap = keymap
        if processors is None:
            self._row = tuple(row)
        else:
            self._row = tuple(
                [
                    value if processor is None else processor(value)
                    for value, processor in zip(row, processors, strict=True)
                ]
            )

    def __repr__(self) -> str:
        return repr(self._row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keymap.keys)

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, key: Any) -> Any:
        return self._row[self._keymap.position(key)]

    def __getattr__(self, name: str) -> Any:
        if name in RowProxy.__slots__:  # of an object half made, as copying does
            raise AttributeError(name)
        try:
            return self[name]
        except NoSuchColumnError as error:
            raise AttributeError(error.args[0]) from None

    def __contains__(self, key: object) -> bool:
        return self._keymap.has(key)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RowProxy):
            return self._row == other._row
        if isinstance(other, Sequence):
            return self._row == tuple(other)
        return NotImplemented

    def as_tuple(self) -> tuple[*Ts]:
        """Return the values."""
        return cast("tuple[*Ts]", self._row)


class ResultMetaData:
    """Where the columns of a result are, and how their values are to be processed."""

    def __init__(
        self,
        result_proxy: ResultProxy,
        metadata: Sequence[Sequence[Any]],
        columns: ResultColumns | None = None,
    ) -> None:
        """Bring a cursor's description and the compiled statement's columns together."""
        dialect = result_proxy.dialect
        self.keys: tuple[str, ...] = tuple(column[0] for column in metadata)
        known = _match(self.keys, columns)
        processors: list[Processor | None] = [
            column.type.dialect_impl(dialect).result_processor(dialect, code) if column else None
            for column, (_, code, *_) in zip(known, metadata, strict=True)
        ]
        self.processors: list[Processor | None] | None = processors if any(processors) else None
        self._columns = known
        self._positions: dict[Any, int] = {}
        for position, name in enumerate(self.keys):
            self._add(self._positions, name, position)
        more: dict[Any, int] = {}
        for position, column in enumerate(known):
            for key in column.keys if column else ():
                self._add(more, key, position)
        # Names that the server gives go before those that only SQLAlchemy knows.
        self._positions = {**more, **self._positions, **{n: n for n in range(len(self.keys))}}

    @staticmethod
    def _add(positions: dict[Any, int], key: Any, position: int) -> None:
        if positions.setdefault(key, position) != position:
            positions[key] = _AMBIGUOUS

    def position(self, key: Any) -> int:
        """Return the position of a column.

        Raises NoSuchColumnError, or InvalidRequestError for a name that several columns have.
        """
        position = self._positions.get(key)
        if position is None:
            position = self._search(key)
        if position is None:
            raise NoSuchColumnError(f"Could not locate column in row for column '{key}'")
        if position == _AMBIGUOUS:
            raise InvalidRequestError(
                f"Ambiguous column name '{key}' in result set! Label the columns, or ask by Column"
            )
        return position

    def has(self, key: object) -> bool:
        """Whether `position` knows the key, even if as an ambiguous one."""
        return key in self._positions or self._search(key) is not None

    def _search(self, key: Any) -> int | None:
        """Find a Column that the statement doesn't name itself but, say, by an alias of its table.

        A Column is never taken for a column of the same name of another table, unless the
        statement is plain text, of which only names are known.
        """
        if not isinstance(key, ColumnElement):
            return None
        name = getattr(key, "name", None)
        found: dict[Any, int] = {}
        for number, column in enumerate(self._columns):
            if column is None:
                if name is not None and self.keys[number] == name:
                    self._add(found, key, number)
            elif any(isinstance(k, ColumnElement) and key.shares_lineage(k) for k in column.keys):
                self._add(found, key, number)
        position = found.get(key)
        if position is not None:
            self._positions[key] = position
        return position


def _match(names: Sequence[str], columns: ResultColumns | None) -> list[ResultColumn | None]:
    """Find for each column of the result what the statement knows of it."""
    if columns is None:
        return [None] * len(names)
    if columns.ordered and len(columns.columns) == len(names):
        return list(columns.columns)
    by_name = {column.name.lower(): column for column in columns.columns}
    return [by_name.get(name.lower()) for name in names]


class ResultProxy(Generic[*Ts]):
    """The result of a statement; closes itself after the last row."""

    def __init__(
        self,
        connection: SAConnection,
        cursor: Cursor[Any],
        dialect: Dialect,
        result_map: ResultColumns | None,
    ) -> None:
        """Take over `cursor`, which has executed a statement; `result_map` describes its rows."""
        self._connection = connection
        self._dialect = dialect
        self._cursor: Cursor[Any] | None = cursor
        self._rowcount = cursor.rowcount
        self._lastrowid = cursor.lastrowid
        self._metadata: ResultMetaData | None = None
        if cursor.description is not None:
            self._metadata = ResultMetaData(self, cursor.description, result_map)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"keys={self.keys()!r}"
        return f"<{type(self).__name__} {state} rowcount={self._rowcount}>"

    @property
    def dialect(self) -> Dialect:
        """The dialect of the statement."""
        return self._dialect

    @property
    def cursor(self) -> Cursor[Any] | None:
        """The cursor; None after the result was closed."""
        return self._cursor

    @property
    def rowcount(self) -> int:
        """How many rows were found, or changed."""
        return self._rowcount

    @property
    def lastrowid(self) -> int | None:
        """The AUTO_INCREMENT value that an INSERT made."""
        return self._lastrowid

    @property
    def returns_rows(self) -> bool:
        """Whether the statement was one with rows, be there any or not."""
        return self._metadata is not None

    @property
    def closed(self) -> bool:
        """Whether no more rows can be fetched."""
        return self._cursor is None

    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return self._metadata.keys if self._metadata is not None else ()

    async def close(self) -> None:
        """Let go of the rows that were not fetched."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await cursor.close()

    def _open(self) -> tuple[Cursor[Any], ResultMetaData]:
        if self._metadata is None:
            self._fail("This result object does not return rows. It has been closed automatically.")
        if self._cursor is None:
            self._fail("This result object is closed.")
        return self._cursor, self._metadata

    @staticmethod
    def _fail(message: str) -> NoReturn:
        raise ResourceClosedError(message)

    def _process(self, rows: Sequence[Any], metadata: ResultMetaData) -> list[RowProxy[*Ts]]:
        return [RowProxy(self, row, metadata.processors, metadata) for row in rows]

    async def fetchone(self) -> RowProxy[*Ts] | None:
        """Return the next row; None, and the result is closed, when there is none.

        As all methods that fetch, raises ResourceClosedError if the result is closed or the
        statement had no rows.
        """
        cursor, metadata = self._open()
        row = await cursor.fetchone()
        if row is None:
            await self.close()
            return None
        return RowProxy(self, row, metadata.processors, metadata)

    async def fetchmany(self, size: int | None = None) -> list[RowProxy[*Ts]]:
        """Return up to `size` rows (default: the cursor's arraysize); closes after the last."""
        cursor, metadata = self._open()
        rows = await (cursor.fetchmany() if size is None else cursor.fetchmany(size))
        if not rows:
            await self.close()
        return self._process(rows, metadata)

    async def fetchall(self) -> list[RowProxy[*Ts]]:
        """Return all rows that are left, and close."""
        cursor, metadata = self._open()
        rows = await cursor.fetchall()
        await self.close()
        return self._process(rows, metadata)

    async def first(self) -> RowProxy[*Ts] | None:
        """Return the next row, or None, and close."""
        row = await self.fetchone()
        await self.close()
        return row

    async def scalar(self) -> Any:
        """Return the first column of the next row, or None without a row, and close."""
        row = await self.first()
        return None if row is None else row[0]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RowProxy[*Ts]:
        row = await self.fetchone()
        if row is None:
            raise StopAsyncIteration
        return row

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
