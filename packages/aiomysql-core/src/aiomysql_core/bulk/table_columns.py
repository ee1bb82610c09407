"""The columns of a table, and which of their values LOAD DATA stores as INSERT does."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from aiomysql_protocol.values.file_rows import (
    BYTES,
    DATETIME,
    DECIMAL,
    FLOAT,
    INTEGER,
    NOTHING,
    TEXT,
    TIME,
)

#: What columns may be given, by the first word of their type.
_KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint"), INTEGER),
    "decimal": DECIMAL,
    **dict.fromkeys(("float", "double"), FLOAT),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), TEXT),
    **dict.fromkeys(("enum", "set", "json"), TEXT),
    **dict.fromkeys(("binary", "varbinary"), BYTES),
    **dict.fromkeys(("tinyblob", "blob", "mediumblob", "longblob"), BYTES),
    **dict.fromkeys(("date", "datetime", "timestamp"), DATETIME),
    "time": TIME,
}

_WORD = re.compile(r"[a-z]+")

#: The end of the columns in SHOW CREATE TABLE.  Names and texts with line ends in them may look
#: like it, so there may be several, of which one is true.
_ENGINE = re.compile(r"^\)(?: ENGINE=(\w+))?", re.MULTILINE)

#: Servers compare other letters by rules of their own: by some of them K is the Kelvin sign, too.
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

#: Gives the rows of a statement, as text.
_Ask = Callable[[str], Awaitable[Sequence[Sequence[str | None]]]]


class TableColumn(NamedTuple):
    """One column of a table."""

    name: str
    #: What it may be given, see `file_rows`.
    kind: bytes
    #: It has characters that must be converted from UTF-8.
    is_converted: bool
    #: `SELECT *` shows it.
    is_visible: bool
    #: Nothing can be stored in it.
    is_generated: bool
    #: A row must have a value for it.
    is_required: bool


class TableColumns(NamedTuple):
    """The columns of a table, as far as the server tells."""

    columns: Sequence[TableColumn]
    engine: str
    #: Rows of the past are kept (MariaDB).
    is_versioned: bool

    @property
    def names(self) -> list[str]:
        """Of those that rows have values for, if they are not named."""
        return [one.name for one in self.columns if one.is_visible and not one.is_generated]

    def file_kinds(self, names: Sequence[str]) -> tuple[bytes, str] | str:
        """What the columns of these names may be given by LOAD DATA, and the character set of the
        file; or why none of it is known to be the same as by INSERT.
        """
        if self.engine != "InnoDB":
            # LOAD DATA stores what an INSERT refuses, and is to be undone then.
            return f"it can't be undone in a table of the engine {self.engine}"
        known = {folded(one.name): one for one in self.columns}
        wanted = [folded(name) for name in names]
        if any(one.is_required and folded(one.name) not in wanted for one in self.columns):
            return "a column without a default has no value"
        found = [known.get(name) for name in wanted]
        # Bytes are bytes only in a file that has no character set.
        is_binary = any(one is not None and one.kind.lower() == BYTES for one in found)
        kinds = b""
        for one in found:
            is_odd = one is None or one.is_generated or (one.is_converted and is_binary)
            kinds += NOTHING if one is None or is_odd else one.kind
        return kinds, "binary" if is_binary else "utf8mb4"


async def find_columns(ask: _Ask, table: str) -> TableColumns:
    """The columns of `table`, a quoted name.  Raises what the server says, LookupError or
    ValueError for what can't be understood.
    """
    columns = [_column(row) for row in await ask(f"SHOW FULL COLUMNS FROM {table}")]
    if all(column.is_generated for column in columns):
        raise LookupError("there are none that may have values")
    ((_, created, *others),) = await ask(f"SHOW CREATE TABLE {table}")
    created = "" if others else created or ""  # a view has more
    engines = {name or "unknown" for name in _ENGINE.findall(created)}
    return TableColumns(
        columns, ", ".join(sorted(engines)) or "unknown", "SYSTEM VERSIONING" in created
    )


def folded(name: str) -> str:
    """What two names of the same column have in common; other names may be the same column, too."""
    return name.translate(_LOWER)


def _column(row: Sequence[str | None]) -> TableColumn:
    name, type_name, collation, null, _, default, extra, *_ = row
    if not name or "\0" in name:
        raise ValueError(f"{name!r} is no name")
    words = (extra or "").upper().split()
    found = _WORD.match((type_name or "").lower())
    kind = NOTHING if found is None else _KINDS.get(found[0], NOTHING)
    is_generated = "GENERATED" in words
    is_nullable = null == "YES"
    return TableColumn(
        name=name,
        kind=kind if is_nullable else kind.upper(),
        is_converted=kind == TEXT and not (collation or "").startswith("utf8mb4_"),
        is_visible="INVISIBLE" not in words,
        is_generated=is_generated,
        is_required=not (
            is_nullable or is_generated or default is not None or "AUTO_INCREMENT" in words
        ),
    )
