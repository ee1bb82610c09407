"""Prints the rows of a statement as a table, as they come."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from aiomysql_core.connection import Connection
from aiomysql_core.cursors import SSCursor
from aiomysql_core.doctor.output import Write, printable

#: Rows and characters of them that the widths are made from.
_FIRST_ROWS = 200
_FIRST_CHARACTERS = 1 << 20

#: A longer value is written whole, and moves what is behind it.
_WIDEST = 60


async def print_rows(options: Mapping[str, Any], statement: str, write: Write) -> None:
    """Run `statement` and write its results.

    What it changes is committed, unless the options say otherwise.  No more than the first rows are
    kept.  Raises what `connect` and `Cursor.execute` raise.
    """
    given = {"autocommit": True, **options, "echo": False, "use_unicode": True}
    connection = Connection(**given)
    try:
        await connection.ping()  # which opens it
        cursor = await connection.cursor(SSCursor)
        await cursor.execute(statement)
        while True:
            if cursor.description is None:
                count = cursor.rowcount
                write(f"(no result, {count} {'row' if count == 1 else 'rows'} changed)", "")
            else:
                await _print_result(cursor, write)
            if not await cursor.nextset():
                break
        await cursor.close()
    except BaseException:
        connection.close()  # what is left of the rows is not wanted
        raise
    await connection.ensure_closed()


async def _print_result(cursor: SSCursor, write: Write) -> None:
    assert cursor.description is not None
    names = [printable(column[0]) for column in cursor.description]
    first: list[list[str]] = []
    size = 0
    numeric = [True] * len(names)
    rows = 0
    while len(first) < _FIRST_ROWS and size < _FIRST_CHARACTERS:
        row = await cursor.fetchone()
        if row is None:
            break
        for at, value in enumerate(row):
            if value is not None and not isinstance(value, (int, float, Decimal)):
                numeric[at] = False
        texts = [cell(value) for value in row]
        size += sum(map(len, texts))
        first.append(texts)
    widths = [min(_WIDEST, max(map(_columns, texts))) for texts in zip(names, *first, strict=True)]
    write(_line(names, widths, [False] * len(names)), "bold")
    write("-+-".join("-" * width for width in widths), "")
    for texts in first:
        write(_line(texts, widths, numeric), "")
    rows = len(first)
    first.clear()
    while (row := await cursor.fetchone()) is not None:
        rows += 1
        write(_line([cell(value) for value in row], widths, numeric), "")
    write(f"({rows} {'row' if rows == 1 else 'rows'})", "")


def cell(value: Any) -> str:
    """A value as a table has it, on one line."""
    if value is None:
        return "NULL"
    if isinstance(value, (bytes, bytearray)):
        return f"0x{value.hex().upper()}" if value else ""
    return printable(str(value))


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def _line(texts: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    pieces = []
    for text, width, is_number in zip(texts, widths, numeric, strict=True):
        space = " " * (width - _columns(text))
        pieces.append(space + text if is_number else text + space)
    return " | ".join(pieces).rstrip()
