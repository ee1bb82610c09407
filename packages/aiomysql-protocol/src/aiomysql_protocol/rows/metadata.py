"""Column definitions and what is made of them: the description and the compiled row decoder.

MySQL: "Column Definition", "Text Resultset", "Binary Protocol Resultset".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from pymysql import converters
from pymysql.constants import FIELD_TYPE, FLAG

from aiomysql_protocol.rows.binary import BinaryRowDecoder
from aiomysql_protocol.rows.binary_cells import FIXED_SIZES, WIDEST_NUMBER, BinaryPlan
from aiomysql_protocol.rows.cells import CellKind, CellPlan
from aiomysql_protocol.rows.text import RowDecoder, TextRowDecoder
from aiomysql_protocol.values.session_zone import SessionZone
from aiomysql_protocol.wire.charsets import BINARY_COLLATION, reading_codec
from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.framing import LARGE_FRAME, frames
from aiomysql_protocol.wire.primitives import PayloadReader, lenenc_integer

__all__ = ["Column", "ColumnCache", "Converter", "DescriptionItem", "ResultMetadata"]

Converter = Callable[[Any], Any]

#: Field types whose values are written in ASCII, whatever the column's collation.  All others hold
#: characters or bytes, depending on the collation.
_ASCII_TYPES = frozenset(
    {
        FIELD_TYPE.DECIMAL,
        FIELD_TYPE.TINY,
        FIELD_TYPE.SHORT,
        FIELD_TYPE.LONG,
        FIELD_TYPE.FLOAT,
        FIELD_TYPE.DOUBLE,
        FIELD_TYPE.NULL,
        FIELD_TYPE.TIMESTAMP,
        FIELD_TYPE.LONGLONG,
        FIELD_TYPE.INT24,
        FIELD_TYPE.DATE,
        FIELD_TYPE.TIME,
        FIELD_TYPE.DATETIME,
        FIELD_TYPE.YEAR,
        FIELD_TYPE.NEWDATE,
        FIELD_TYPE.NEWDECIMAL,
    }
)

#: The collations whose columns' lengths are given in characters, as PyMySQL does: utf8mb3, ujis,
#: sjis.
_BYTES_PER_CHARACTER = {33: 3, 88: 2, 91: 2}

#: The converters that a row decoder knows by itself.
_KNOWN_CONVERTERS: dict[Converter, CellKind] = {
    int: CellKind.INT,
    float: CellKind.FLOAT,
    Decimal: CellKind.DECIMAL,
    converters.convert_datetime: CellKind.DATETIME,
    converters.convert_date: CellKind.DATE,
    converters.convert_timedelta: CellKind.TIMEDELTA,
}

#: The most bytes that the column definitions of one result set may measure in all: more than ten
#: times those of a result set with as many columns as a server knows.
_MOST_METADATA = 1 << 24

#: Result sets whose definitions measure more than this many bytes are compiled each time.
_MOST_KEPT = 1 << 18

#: The most columns of all metadata that is kept: compiled, a column takes a KiB or more.
_MOST_COLUMNS_KEPT = 1 << 14

#: PEP 249's seven items of a column's description.
DescriptionItem = tuple[str, int, None, int, int, int, bool]


class Column(NamedTuple):
    """One column of a result set."""

    name: str
    org_name: str
    table_name: str
    org_table: str
    db: str
    charsetnr: int
    length: int
    type_code: int
    flags: int
    scale: int

    def description(self) -> DescriptionItem:
        """The column as PEP 249's 7-item tuple; sizes in characters."""
        size = self.length
        if self.type_code == FIELD_TYPE.VAR_STRING:
            size //= _BYTES_PER_CHARACTER.get(self.charsetnr, 1)
        null_ok = not self.flags & FLAG.NOT_NULL
        return (self.name, self.type_code, None, size, size, self.scale, null_ok)


class ResultMetadata(NamedTuple):
    """All that a result set's metadata says, compiled once."""

    columns: tuple[Column, ...]
    description: tuple[DescriptionItem, ...]
    decoder: RowDecoder
    #: The columns' names, for rows as dicts; of a name that came before, it is "table.name".
    keys: tuple[str, ...]
    #: What it was compiled from.
    definitions: tuple[bytes, ...]


class MetadataPrefix(NamedTuple):
    """The metadata of a result set as it stands in the stream, from the column count on."""

    #: All its frames, the first numbered 1.
    raw: bytes
    #: How many frames that are.
    frames: int
    metadata: ResultMetadata


class ColumnCache:
    """Compiles metadata, and keeps the last ones by the raw bytes of their definitions."""

    #: How many are kept.
    SIZE = 64

    #: How many of them are matched as they stand in the stream: few, because each is compared.
    MOST_PREFIXES = 8

    def __init__(
        self,
        encoding: str,
        decoders: Mapping[Any, Converter],
        *,
        use_unicode: bool = True,
        binary: bool = False,
        zone: SessionZone | None = None,
    ) -> None:
        """`encoding`: the connection's codec; `decoders`: field type -> converter of a cell's str
        or bytes; `use_unicode=False` leaves text as bytes; `binary`: the rows are binary;
        `zone`: that of TIMESTAMPs, None: they have none.
        """
        self._encoding = reading_codec(encoding)
        self._decoders = decoders
        self._use_unicode = use_unicode
        self._zone = zone
        self._known: dict[tuple[bytes, ...], ResultMetadata] = {}
        self._columns_known = 0  # in all of them
        #: The metadata that is matched as it stands in the stream, the newest first.
        self.prefixes: list[MetadataPrefix] = []
        self._binary = binary

    @cached_property
    def for_binary(self) -> ColumnCache:
        """The cache with the same settings for binary rows."""
        return ColumnCache(
            *(self._encoding, self._decoders),
            use_unicode=self._use_unicode,
            binary=True,
            zone=self._zone,
        )

    def compile(self, definitions: Sequence[bytes]) -> ResultMetadata:
        """The metadata of these column definition payloads.  Raises MalformedPacket."""
        key = tuple(definitions)
        found = self._known.get(key)
        if found is None:
            columns = tuple([self._parse(payload) for payload in definitions])
            plans = [self._plan(column) for column in columns]
            found = ResultMetadata(
                columns,
                tuple([column.description() for column in columns]),
                self._decoder(columns, plans),
                _keys(columns),
                key,
            )
            if sum(map(len, key)) <= _MOST_KEPT:
                self._known[key] = found
                self._columns_known += len(key)
                while len(self._known) > self.SIZE or (self._columns_known > _MOST_COLUMNS_KEPT):
                    oldest = next(iter(self._known))
                    del self._known[oldest]
                    self._columns_known -= len(oldest)
        return found

    def store(
        self, definitions: Sequence[bytes], metadata: ResultMetadata, flag: bytes = b""
    ) -> None:
        """Keep these definitions, with the column count before them, to match them from now on.

        `flag`: what stands behind the column count (see capabilities.CACHE_METADATA).
        """
        payloads = (lenenc_integer(len(definitions)) + flag, *definitions)
        raw = b"".join(
            frames(payload, number & 0xFF)[0][0] for number, payload in enumerate(payloads, 1)
        )
        if len(raw) <= LARGE_FRAME:
            known = [prefix for prefix in self.prefixes if prefix.raw != raw]
            self.prefixes[:] = [MetadataPrefix(raw, len(payloads), metadata), *known]
            del self.prefixes[self.MOST_PREFIXES :]

    def _parse(self, payload: bytes) -> Column:
        reader = PayloadReader(payload, "a column definition")
        reader.lenenc_bytes()  # catalog: always "def"
        # A name that can't be read is no reason to lose the rows.
        db, table, org_table, name, org_name = (
            reader.lenenc_bytes().decode(self._encoding, "replace") for _ in range(5)
        )
        reader.lenenc_integer()  # length of the fixed part: always 12
        return Column(
            db=db,
            table_name=table,
            org_table=org_table,
            name=name,
            org_name=org_name,
            charsetnr=reader.integer(2),
            length=reader.integer(4),
            type_code=reader.integer(1),
            flags=reader.integer(2),
            scale=reader.integer(1),
        )

    def _decoder(self, columns: Sequence[Column], plans: Sequence[CellPlan]) -> RowDecoder:
        if not self._binary:
            return TextRowDecoder(plans)
        return BinaryRowDecoder(
            [
                BinaryPlan(
                    column.type_code,
                    plan,
                    unsigned=bool(column.flags & FLAG.UNSIGNED),
                    decimals=column.scale,
                    zerofill=_zerofill(column),
                )
                for column, plan in zip(columns, plans, strict=True)
            ]
        )

    def _plan(self, column: Column) -> CellPlan:
        encoding: str | None = "ascii"
        if not self._use_unicode:
            encoding = None
        elif column.type_code == FIELD_TYPE.JSON:
            # The server marks JSON columns as binary, yet their text is in the connection's
            # charset.
            encoding = self._encoding
        elif column.type_code not in _ASCII_TYPES:
            encoding = None if column.charsetnr == BINARY_COLLATION else self._encoding
        converter = self._decoders.get(column.type_code)
        if converter is None or converter is converters.through:
            kind = CellKind.BYTES if encoding is None else CellKind.TEXT
            return CellPlan(kind, encoding, None, column.name)
        kind = _KNOWN_CONVERTERS.get(converter, CellKind.CONVERT)
        zone = None
        if kind is CellKind.DATETIME and column.type_code == FIELD_TYPE.TIMESTAMP:
            zone = self._zone
            kind = kind if zone is None else CellKind.TIMESTAMP
        return CellPlan(kind, encoding, converter, column.name, zone)


def _keys(columns: Sequence[Column]) -> tuple[str, ...]:
    names: set[str] = set()  # beside the list: a server may send very many columns
    keys: list[str] = []
    for column in columns:
        name = column.name
        if name in names:
            name = f"{column.table_name}.{column.name}"
        names.add(name)
        keys.append(name)
    return tuple(keys)


def check_size(size: int) -> int:
    """`size`, the bytes of the definitions so far.  Raises MalformedPacket if it is too much."""
    if size > _MOST_METADATA:
        raise malformed(f"column definitions of more than {_MOST_METADATA} bytes")
    return size


def _zerofill(column: Column) -> int:
    """Characters up to which a number's text is filled with zeros; 0: it is not.

    A column is never wider than that in MySQL.  What a server says beyond is cut, not refused: the
    number is the same, and for text rows, which come with their zeros, the width is not used.
    """
    if column.type_code not in FIXED_SIZES or not column.flags & FLAG.ZEROFILL:
        return 0
    return min(column.length, WIDEST_NUMBER)
