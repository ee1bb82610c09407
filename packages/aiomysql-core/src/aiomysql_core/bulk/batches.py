"""Rows of `executemany` gathered for one request."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from aiomysql_protocol.sql.marks import explained, explained_values
from aiomysql_protocol.values.literals import encode_statement
from aiomysql_protocol.values.parameter_rows import ParameterRows

if TYPE_CHECKING:
    from aiomysql_core.bulk.insert import InsertTemplate
    from aiomysql_core.statements import Statement
    from aiomysql_protocol.sql.repeated import RepeatableStatement
    from aiomysql_protocol.values.parameters import ParameterWriter

#: Rows that are taken at once from what is no sequence.
_CHUNK = 1000

_MARK = re.compile(r"(%%|%s)")


async def in_chunks(
    rows: Iterable[object] | AsyncIterable[object],
) -> AsyncGenerator[Sequence[object], None]:
    """The rows, some at a time; a sequence is given as it is."""
    if isinstance(rows, Sequence):
        yield rows
        return
    # Rows that came before an error are given, too.
    error: Exception | None = None
    is_over = False
    iterator = _asynchronous(rows)
    while not is_over:
        chunk: list[object] = []
        try:
            async for row in iterator:
                chunk.append(row)
                if len(chunk) == _CHUNK:
                    break
            else:
                is_over = True
        except Exception as failure:
            error, is_over = failure, True
        if chunk:
            yield chunk
    if error is not None:
        raise error


async def _asynchronous(
    rows: Iterable[object] | AsyncIterable[object],
) -> AsyncGenerator[object, None]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


class RowLiterals(Protocol):
    """What writes rows; the methods are those of `Literals`."""

    def rows(
        self,
        pieces: tuple[bytes, ...],
        args: Sequence[object],
        start: int,
        room: int,
        separator: bytes,
        /,
    ) -> tuple[bytes, int]: ...

    def arguments(self, args: object, /) -> Any: ...


class TextBatch:
    """Rows as literals in one text: of one INSERT, or each in a statement of its own."""

    def __init__(
        self,
        prefix: str,
        row: str,
        separator: str,
        suffix: str,
        literals: Callable[[], RowLiterals],
        encoding: str,
        *,
        takes_none: bool,
    ) -> None:
        """prefix, separator and suffix: text before, between and behind the rows, ready to send.

        row: the text of one row, with its marks; literals: called at the beginning of each text,
        because the last one may have changed the session; encoding: of the connection; takes_none:
        whether a row may be None, which is then a NULL.
        """
        self._takes_none = takes_none
        self._prefix, self._separator, self._suffix = (
            encode_statement(text, encoding) for text in (prefix, separator, suffix)
        )
        self._row = row
        self._new_literals = literals
        self._literals: RowLiterals | None = None
        self._encoding = encoding
        # What is between the marks, where rows can be written quickly.
        self._pieces: tuple[bytes, ...] | None = None
        if encoding == "utf8" and "%(" not in row:
            self._pieces = tuple([piece.encode() for piece in _pieces(row)])
        self._rows: list[bytes] = []
        self._size = 0
        #: How many rows there are.
        self.count: int = 0

    def add(self, rows: Sequence[object], start: int, longest: int) -> int:
        """Add those of `rows` from number `start` on, as long as the text has at most `longest`
        bytes, but at least one: unless it is None, and not taken.

        Returns the number of the first row that was not added.  Raises what `Cursor.execute` raises
        for the values of the row behind those added.
        """
        if self._literals is None:
            self._literals = self._new_literals()
            self._size = len(self._prefix) + len(self._suffix)
        literals = self._literals
        while start < len(rows):
            room = longest - self._size
            if self._pieces is not None and room > 0:
                before = start
                written, start = literals.rows(self._pieces, rows, start, room, self._separator)
                if start > before:
                    self._append(written, start - before)
                if start >= len(rows):
                    break
            if rows[start] is None and not self._takes_none:
                break
            try:
                values = literals.arguments(rows[start])
            except TypeError as error:
                found = explained_values(error, self._row, rows[start])
                if found is error:
                    raise
                raise found from None
            try:
                text = self._row % values
            except (TypeError, ValueError, KeyError) as error:
                raise explained(error, self._row, rows[start]) from None
            row = encode_statement(text, self._encoding)
            if self.count and len(row) > longest - self._size:
                break
            self._append(row, 1)
            start += 1
        return start

    def _append(self, written: bytes, count: int) -> None:
        self._rows.append(written)
        self._size += len(written) + len(self._separator)
        self.count += count

    def take(self) -> bytes:
        """The text; the batch is empty after that."""
        text = self._prefix + self._separator.join(self._rows) + self._suffix
        self._rows.clear()
        self._literals = None
        self.count = 0
        return text


def insert_batch(
    insert: InsertTemplate, literals: Callable[[], RowLiterals], encoding: str
) -> TextBatch:
    """For one INSERT or REPLACE of many rows."""
    return TextBatch(
        insert.prefix, insert.row, ",", insert.suffix, literals, encoding, takes_none=True
    )


def joined_batch(
    statement: RepeatableStatement,
    literals: Callable[[], RowLiterals],
    encoding: str,
    *,
    shows_warnings: bool,
) -> TextBatch:
    """For a statement for each row; shows_warnings: and one for its warnings, which the next would
    delete.
    """
    behind = "\n;SHOW WARNINGS" if shows_warnings else "\n"
    separator = f"{behind};\n"
    # None as the arguments of a statement means that it has no marks.
    return TextBatch("", statement.text, separator, behind, literals, encoding, takes_none=False)


def _pieces(row: str) -> list[str]:
    """What stands around the ``%s`` marks, with ``%`` for ``%%``."""
    pieces = [""]
    for part in _MARK.split(row):
        if part == "%s":
            pieces.append("")
        else:
            pieces[-1] += "%" if part == "%%" else part
    return pieces


class BulkBatch:
    """Rows as parameters of one COM_STMT_BULK_EXECUTE."""

    def __init__(self, statement: Statement, writer: Callable[[], ParameterWriter]) -> None:
        """statement: prepared; writer: called at the beginning of each request."""
        prepared = statement.prepared
        assert prepared is not None
        self.statement = statement
        #: How many values each row has.
        self.parameters: int = prepared.parameter_count
        self._new_writer = writer
        self._rows: ParameterRows | None = None

    @property
    def count(self) -> int:
        """How many rows there are."""
        return 0 if self._rows is None else self._rows.count

    def add(self, rows: Sequence[object], start: int, longest: int) -> int:
        """As `TextBatch.add`; none is added to an empty batch if the row can't be in such a
        request.
        """
        if self._rows is None:
            self._rows = ParameterRows(self._new_writer(), self.parameters)
        return self._rows.add(rows, start, longest)

    def take(self) -> ParameterRows:
        """The rows; the batch is empty after that."""
        rows, self._rows = self._rows, None
        assert rows is not None
        return rows
