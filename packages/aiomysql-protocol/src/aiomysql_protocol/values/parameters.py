"""Python values as the binary parameters of a prepared statement.

A value means what its literal in a text statement means (see ``literals``), and is refused with the
same errors. So dates and times are sent as strings, which their literals are: a DATETIME would be
compared with a VARCHAR in another way, and a bare ``SELECT ?`` would return another type.

MySQL 8.0.22 and later decides a parameter's type when it prepares the statement, and says which it
is: ``COALESCE(?, 7)`` makes of every string a number. Where that is not the type of the literal,
`accepted` says so. MariaDB, and older MySQL, take whatever comes.

MySQL: "COM_STMT_EXECUTE", "Binary Protocol Value".
"""

from __future__ import annotations

import codecs
import datetime
import math
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pymysql.constants import FIELD_TYPE

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.values.literals import (
    Default,
    Literals,
    custom_encoders,
    encode_statement,
    plain_value,
)
from aiomysql_protocol.values.session_zone import SessionZone
from aiomysql_protocol.wire.charsets import BINARY_COLLATION
from aiomysql_protocol.wire.primitives import lenenc_bytes

__all__ = [
    "ACCEPTED_DATES",
    "ACCEPTED_TIMES",
    "ACCEPTED_YEARS",
    "NO_PARAMETERS",
    "NULL",
    "NeedsTextError",
    "ParameterWriter",
    "Parameters",
]

_UNSIGNED = 0x80

#: Type and flags of a parameter, two bytes each.
NULL = bytes([FIELD_TYPE.NULL, 0])
_SIGNED = bytes([FIELD_TYPE.LONGLONG, 0])
_POSITIVE = bytes([FIELD_TYPE.LONGLONG, _UNSIGNED])
_DOUBLE = bytes([FIELD_TYPE.DOUBLE, 0])
_DECIMAL = bytes([FIELD_TYPE.NEWDECIMAL, 0])
_STRING = bytes([FIELD_TYPE.VAR_STRING, 0])
# Strings for the server; a date, with a time of day perhaps, or a time for `accepted`.
_DATE = bytes([FIELD_TYPE.STRING, 0])
_TIME = bytes([FIELD_TYPE.VARCHAR, 0])
_BLOB = bytes([FIELD_TYPE.BLOB, 0])

_pack_signed = struct.Struct("<q").pack
_pack_double = struct.Struct("<d").pack

#: A parameter's type and its value.
_Written = tuple[bytes, bytes]


class NeedsTextError(Exception):
    """These values have a literal, but can't be parameters: the statement must go as text."""


_INTEGERS = (
    FIELD_TYPE.TINY,
    FIELD_TYPE.SHORT,
    FIELD_TYPE.INT24,
    FIELD_TYPE.LONG,
    FIELD_TYPE.LONGLONG,
    FIELD_TYPE.BIT,
)
_DATES = (FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)
_STRINGS = (
    FIELD_TYPE.VARCHAR,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.STRING,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.BLOB,
)

#: For a parameter that is a date or a date and time to the server.
ACCEPTED_DATES = frozenset({FIELD_TYPE.NULL, FIELD_TYPE.STRING})

#: For a TIME. A literal is rounded to the column's decimals, a parameter is not.
ACCEPTED_TIMES = frozenset({FIELD_TYPE.NULL, FIELD_TYPE.VARCHAR})
#: For a YEAR. A number out of its range is none as a parameter. (No value has the last type.)
ACCEPTED_YEARS = frozenset({FIELD_TYPE.NULL, FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR})
_ONLY_NULL = frozenset({FIELD_TYPE.NULL})
_ONLY_BYTES = frozenset({FIELD_TYPE.NULL, FIELD_TYPE.BLOB})
_NOTHING: frozenset[int] = frozenset()

#: The type that a server decided on -> the types of parameters that mean there what they are; for
#: others none do.
_ACCEPTED: dict[int, frozenset[int]] = {
    **dict.fromkeys(_INTEGERS, frozenset({FIELD_TYPE.NULL, FIELD_TYPE.LONGLONG})),
    **dict.fromkeys(_DATES, ACCEPTED_DATES),
    FIELD_TYPE.FLOAT: frozenset({FIELD_TYPE.NULL, FIELD_TYPE.DOUBLE}),
    FIELD_TYPE.DOUBLE: frozenset({FIELD_TYPE.NULL, FIELD_TYPE.DOUBLE}),
    FIELD_TYPE.NEWDECIMAL: frozenset({FIELD_TYPE.NULL, FIELD_TYPE.NEWDECIMAL}),
    **dict.fromkeys(
        _STRINGS,
        frozenset({FIELD_TYPE.NULL, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.VARCHAR}),
    ),
    FIELD_TYPE.TIME: ACCEPTED_TIMES,
    FIELD_TYPE.YEAR: ACCEPTED_YEARS,
    FIELD_TYPE.JSON: _ONLY_NULL,
}


def accepted(type_code: int, charsetnr: int, length: int) -> frozenset[int] | None:
    """The types of parameters that may be sent for one that the server describes so in its response
    to COM_STMT_PREPARE; None: all.
    """
    if type_code == FIELD_TYPE.NULL or (not length and charsetnr == BINARY_COLLATION):
        return None  # not decided: so MariaDB, and MySQL before 8.0.22, describe each
    if type_code in _STRINGS and charsetnr == BINARY_COLLATION:
        return _ONLY_BYTES
    return _ACCEPTED.get(type_code, _NOTHING)


class Parameters(NamedTuple):
    """The parameters of one execution, as COM_STMT_EXECUTE carries them."""

    number: int
    #: The bitmap of NULLs.
    nulls: bytes
    types: bytes
    values: bytes


#: For a statement without marks.
NO_PARAMETERS = Parameters(0, b"", b"", b"")


def pack_parameters(
    values: Sequence[object], as_is: object = None, /
) -> tuple[int, bytes, bytes, bytes] | None:
    """The items of Parameters for values of the usual types, with text in UTF-8; None for others:
    then `ParameterWriter` writes them.  So it does with all in Python.  as_is: of the writer.
    """
    return None


class ParameterWriter:
    """Writes parameters for one session."""

    __slots__ = ("_custom", "_encoding", "_literals", "as_is", "is_usual")

    def __init__(
        self,
        encoding: str,
        encoders: Mapping[Any, Any] | None = None,
        zone: SessionZone | None = None,
    ) -> None:
        """`encoding`: the connection's codec; `encoders`, `zone`: as for Literals."""
        self._encoding = encoding
        self._custom = custom_encoders(encoders) if encoders else {}
        self._literals = Literals(zone=zone)
        #: The `tzinfo` of datetimes that are written as they stand, as naive ones are; None: all
        #: are.
        self.as_is: object = None if zone is None else zone.as_is
        #: Text is in UTF-8, and the user has no encoders.
        self.is_usual: bool = not self._custom and codecs.lookup(encoding).name == "utf-8"

    def write(self, values: Sequence[object]) -> Parameters:
        """The parameters for `values`, in the order of the statement's marks.

        Raises NeedsTextError for sequences and sets (which are lists in SQL) and for values of a
        type with an encoder of the user's; DataError for text that does not exist in the
        connection's character set; else what ``Literals.literal`` raises.
        """
        if self.is_usual:
            packed = pack_parameters(values, self.as_is)
            if packed is not None:
                return Parameters(*packed)
        nulls = 0
        types: list[bytes] = []
        parts: list[bytes] = []
        for index, value in enumerate(values):
            written = self.write_value(value)
            if written is None:
                nulls |= 1 << index
                types.append(NULL)
                continue
            types.append(written[0])
            parts.append(written[1])
        count = len(types)
        bitmap = nulls.to_bytes((count + 7) // 8, "little")
        # Without the function that NamedTuple puts between.
        return tuple.__new__(Parameters, (count, bitmap, b"".join(types), b"".join(parts)))

    def write_value(self, value: object) -> tuple[bytes, bytes] | None:
        """Type and value of one parameter; None for NULL.  Raises what `write` raises."""
        kind = type(value)
        if kind in self._custom:
            raise NeedsTextError(f"{kind.__name__} has an encoder of its own")
        method = _WRITERS.get(kind)
        if method is None:
            method = next((_WRITERS[base] for base in kind.__mro__ if base in _WRITERS), _other)
        return method(self, value)

    def string(self, value: str) -> _Written:
        """`value` in the connection's character set."""
        return _STRING, lenenc_bytes(encode_statement(str.__str__(value), self._encoding))

    def literal(self, value: object) -> str:
        """`value` as a literal."""
        return self._literals.literal(value)

    def date(self, value: object) -> _Written:
        """A date, with a time of day perhaps: the text between the quotes of its literal."""
        return _DATE, self._unquoted(value)

    def time(self, value: object) -> _Written:
        """A time of day, or an interval: the same."""
        return _TIME, self._unquoted(value)

    def _unquoted(self, value: object) -> bytes:
        return lenenc_bytes(self.literal(value)[1:-1].encode("ascii"))

    def refuse(self, value: object) -> NoReturn:
        """Raise what the literal of a value that can't be written raises."""
        self.literal(value)
        raise TypeError(f"{type(value).__name__} can not be used as parameter")


def _null(_: ParameterWriter, value: object) -> None:
    return None


def _integer(writer: ParameterWriter, value: int) -> _Written:
    number = int.__index__(value)
    try:
        return _SIGNED, _pack_signed(number)
    except struct.error:
        pass
    if 0 < number < 1 << 64:
        return _POSITIVE, number.to_bytes(8, "little")
    return _DECIMAL, lenenc_bytes(writer.literal(value).encode("ascii"))


def _float(writer: ParameterWriter, value: float) -> _Written:
    if not math.isfinite(value):
        writer.refuse(value)
    return _DOUBLE, _pack_double(float.__float__(value))


def _decimal(writer: ParameterWriter, value: Decimal) -> _Written:
    text = writer.literal(value)
    if "." not in text and "E" not in text:
        return _integer(writer, int(value))  # which its literal is, too
    if "E" not in text:
        return _DECIMAL, lenenc_bytes(text.encode("ascii"))
    # No DECIMAL can hold it: its literal is a DOUBLE.
    number = float(value)
    if not math.isfinite(number):
        raise NeedsTextError("the number is too large for a DOUBLE")
    return _DOUBLE, _pack_double(number)


def _bytes(_: ParameterWriter, value: bytes | bytearray | memoryview) -> _Written:
    return _BLOB, lenenc_bytes(bytes(memoryview(value)))


def _default(_: ParameterWriter, value: object) -> NoReturn:
    raise NeedsTextError("DEFAULT is a keyword in SQL")


def _list(_: ParameterWriter, value: object) -> NoReturn:
    raise NeedsTextError(f"{type(value).__name__} is a list in SQL")


def _other(writer: ParameterWriter, value: object) -> _Written:
    plain = plain_value(value)
    if isinstance(plain, str):
        return writer.string(plain)
    return _integer(writer, plain) if isinstance(plain, int) else _float(writer, plain)


_WRITERS: dict[type, Callable[[ParameterWriter, Any], _Written | None]] = {
    type(None): _null,
    bool: _integer,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    str: ParameterWriter.string,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    datetime.datetime: ParameterWriter.date,
    datetime.date: ParameterWriter.date,
    datetime.time: ParameterWriter.time,
    datetime.timedelta: ParameterWriter.time,
    time.struct_time: ParameterWriter.date,
    tuple: _list,
    list: _list,
    range: _list,
    set: _list,
    frozenset: _list,
    dict: ParameterWriter.refuse,
    Default: _default,
}

py_pack_parameters = pack_parameters
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    pack_parameters = _c.pack_parameters
