"""Python values as SQL literals, and their place in a statement.

MySQL: "String Literals", "Hexadecimal Literals", "Date and Time Literals".
"""

from __future__ import annotations

import datetime
import math
import numbers
import operator
import re
import time
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MappingView,
    Sequence,
)
from dataclasses import is_dataclass
from decimal import Decimal
from enum import Enum, Flag
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from pymysql.converters import encoders as pymysql_encoders
from pymysql.err import DataError, ProgrammingError

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.values.session_zone import SessionZone

__all__ = [
    "DEFAULT",
    "Default",
    "Encoder",
    "Literals",
    "encode_statement",
    "escape_string",
    "literals",
]

#: Turns a value into the text of a literal; called as encoder(value, mapping).
Encoder = Callable[..., str]

#: Digits of the longest integer literal that the server does not cut off without an error.
_MAX_DIGITS = 81

#: Integers between this one and its negative need not be looked at further.
_LARGE = 1 << 64

#: Where the first digit of a number may stand that a literal without exponent can hold.
_DECIMAL_EXPONENTS = range(-72, _MAX_DIGITS)

#: Types that are a mistake as a parameter, unless a type of this kind has a `__str__` of its own.
NEVER_VALUES = (Mapping, MappingView, Iterator, Awaitable)

#: What `__str__` is where a type says nothing of its values' text.
_NO_TEXTS = (object.__str__, Enum.__str__, Flag.__str__, MappingProxyType.__str__)

#: What `object.__repr__` gives, and those that are made like it.
_ADDRESS = r"(?s)<.* at 0x[0-9A-Fa-f]+>"


class Default:
    """The class of `DEFAULT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DEFAULT"

    def __reduce__(self) -> str:
        return "DEFAULT"


#: Given as a value: the column's default, in the statements in which DEFAULT may stand there.
DEFAULT = Default()

_BACKSLASH_ESCAPES = str.maketrans(
    {
        "\0": "\\0",
        "\n": "\\n",
        "\r": "\\r",
        "\x1a": "\\Z",
        '"': '\\"',
        "'": "\\'",
        "\\": "\\\\",
    }
)


def escape_string(value: str, *, no_backslash_escapes: bool = False) -> str:
    """`value` with the characters escaped that end or change a quoted string; no quotes added.

    `no_backslash_escapes` says that the session's sql_mode has NO_BACKSLASH_ESCAPES.
    """
    if no_backslash_escapes:
        return value.replace("'", "''")
    return value.translate(_BACKSLASH_ESCAPES)


def custom_encoders(encoders: Mapping[Any, Any]) -> dict[type, Encoder]:
    """The entries of `encoders` for types that are not PyMySQL's own defaults."""
    return {
        key: encoder
        for key, encoder in encoders.items()
        if isinstance(key, type) and pymysql_encoders.get(key) is not encoder
    }


def literals(
    args: Sequence[object], no_backslash_escapes: bool, other: Callable[[Any], str], /
) -> tuple[str, ...]:
    """A literal for each of `args`, a tuple or list.

    `other` makes those for all types but the commonest, and may be called for any of them.
    """
    # From a list: a tuple that grows while code of the user runs could be found half-made.
    return tuple([other(arg) for arg in args])


def write_rows(
    pieces: tuple[bytes, ...],
    rows: Sequence[object],
    start: int,
    room: int,
    no_backslash_escapes: bool,
    other: Callable[[Any], str],
    separator: bytes,
    as_is: object = None,
    /,
) -> tuple[bytes, int]:
    """The rows from number `start` on in UTF-8, with `separator` between: the literals of each
    between `pieces`.  `other`: as for `literals`; `as_is`: see `SessionZone`, None: the zones of
    values are dropped.

    Returns them, at most `room` bytes, and the number of the first row that it leaves to the
    caller: because there is no room, because it is no tuple or list of the right length, or because
    a text in it is none.  In Python it leaves all of them: it would be no quicker.
    """
    return b"", start


class Literals:
    """Writes literals for one session."""

    __slots__ = ("_custom", "_mapping", "no_backslash_escapes", "zone")

    def __init__(
        self, encoders: Mapping[Any, Any] | None = None, zone: SessionZone | None = None
    ) -> None:
        """`encoders`: type -> encoder(value, mapping); entries that are PyMySQL's own defaults, and
        those whose key is not a type, are passed over, so that a whole `conv` mapping may be given.
        """
        #: What aware datetimes are converted to; None: their zones are dropped.
        self.zone: SessionZone | None = zone
        #: Whether the session's sql_mode has NO_BACKSLASH_ESCAPES; kept up to date by the caller.
        self.no_backslash_escapes: bool = False
        self._custom = custom_encoders(encoders) if encoders else {}
        # What an encoder is called with: it may hand values on to PyMySQL's functions.
        self._mapping: dict[Any, Any] = (
            {**pymysql_encoders, **self._custom} if self._custom else self._custom
        )

    def literal(self, value: object) -> str:
        """`value` as an SQL literal.

        An encoder for exactly the value's type comes first, then the rule of the first type in its
        method resolution order that has one (so members of IntEnum and StrEnum are written as
        numbers and strings).  Any other value is written as an integer if it has ``__index__``, as
        a float if it is a numbers.Real, else as the string that its ``__str__`` gives.  An empty
        tuple or list is ``()``; an offset is not written: without a `zone` it is dropped.

        Raises TypeError for what `plain_value` refuses, ProgrammingError for NaN, infinity and
        empty sets, DataError for integers of more than 81 digits, and what `SessionZone.wall_time`
        raises.
        """
        kind = type(value)
        if self._custom:
            encoder = self._custom.get(kind)
            if encoder is not None:
                return encoder(value, self._mapping)
        if kind is str:
            return self.quoted(value)  # type: ignore[arg-type]
        if kind is int and -_LARGE < value < _LARGE:  # type: ignore[operator]
            return repr(value)
        method = _WRITERS.get(kind)
        if method is None:
            method = next((_WRITERS[base] for base in kind.__mro__ if base in _WRITERS), _other)
        return method(self, value)

    def has_encoder(self, kind: type) -> bool:
        """Whether an encoder of the user's writes values of this very type."""
        return kind in self._custom

    def arguments(self, args: object, literal: Callable[[object], str] | None = None) -> Any:
        """The right-hand side for `query % ...`: a tuple of literals for a tuple or list, a dict of
        literals for a mapping, one literal for anything else.

        literal: writes each of them; default: this object's.
        """
        if isinstance(args, (tuple, list)):
            if literal is None and not self._custom:
                return literals(args, self.no_backslash_escapes, self.literal)
            literal = literal or self.literal
            return tuple([literal(arg) for arg in args])
        literal = literal or self.literal
        if isinstance(args, Mapping):
            return _NamedLiterals((key, literal(value)) for key, value in args.items())
        return literal(args)

    def rows(
        self,
        pieces: tuple[bytes, ...],
        args: Sequence[object],
        start: int,
        room: int,
        separator: bytes = b",",
    ) -> tuple[bytes, int]:
        """Rows in UTF-8, with `separator` between: the literals of each between `pieces`.

        They are those of `args` from number `start` on that go fast and fit in `room` bytes.
        Returns them, and the number of the first one left to the caller, which may be `start`.
        """
        if self._custom:
            return b"", start
        return write_rows(
            *(pieces, args, start, room, self.no_backslash_escapes, self.literal, separator),
            None if self.zone is None else self.zone.as_is,
        )

    def quoted(self, value: str) -> str:
        """`value` escaped and in single quotes."""
        return f"'{escape_string(value, no_backslash_escapes=self.no_backslash_escapes)}'"


class _NamedLiterals(dict[Any, str]):
    """Literals for `%(name)s` marks; a plain `%s` would write the dict into the statement."""

    def __str__(self) -> str:
        raise TypeError("the statement has %s marks, but its arguments are a dict")

    __repr__ = __str__


def encode_statement(statement: str, encoding: str) -> bytes:
    """`statement` in the connection's character set.

    Raises DataError when a character does not exist in it, a lone surrogate for instance.
    """
    try:
        return statement.encode(encoding)
    except UnicodeEncodeError as error:
        raise DataError(
            f"the statement can't be written in the connection's character set: {error}"
        ) from error


def _null(_: Literals, value: object) -> str:
    return "NULL"


def _integer(_: Literals, value: int) -> str:
    try:
        text = int.__repr__(value)
        if len(text) <= _MAX_DIGITS or (len(text) == _MAX_DIGITS + 1 and value < 0):
            return text
    except ValueError:  # longer than Python converts
        pass
    raise DataError(
        f"{type(value).__name__} of more than {_MAX_DIGITS} digits can not be used with MySQL"
    )


def _boolean(_: Literals, value: bool) -> str:
    return "1" if value else "0"


def _float(_: Literals, value: float) -> str:
    if not math.isfinite(value):
        raise ProgrammingError(f"{value} can not be used with MySQL")
    text = float.__repr__(value)
    # Without an exponent the server would take the number for an exact DECIMAL.
    return text if "e" in text else text + "e0"


def _decimal(_: Literals, value: Decimal) -> str:
    if not value.is_finite():
        raise ProgrammingError(f"{value} can not be used with MySQL")
    if value.adjusted() in _DECIMAL_EXPONENTS:
        return Decimal.__format__(value, "f")
    # No DECIMAL can hold it.  An exponent makes it a DOUBLE, and saves millions of zeros.
    return Decimal.__format__(value, "E") if value else "0"


def _bytes(_: Literals, value: bytes | bytearray | memoryview) -> str:
    # In hexadecimal no byte can be mistaken for half of a character, a quote or a backslash.
    # Of a memoryview these are the bytes of its elements in order, wherever they lie.
    return f"_binary X'{value.hex()}'"


def _string(literals: Literals, value: str) -> str:
    # The characters themselves, whatever a subclass says of its str().
    return literals.quoted(str.__str__(value))


def _datetime(literals: Literals, value: datetime.datetime) -> str:
    if literals.zone is not None:
        value = literals.zone.wall_time(value)
    try:
        return f"'{_date_text(value)} {_time_text(value)}'"
    except ValueError as error:  # pandas.NaT is a datetime without numbers
        raise _unusable(value) from error


def _date(_: Literals, value: datetime.date) -> str:
    return f"'{_date_text(value)}'"


def _time(_: Literals, value: datetime.time) -> str:
    return f"'{_time_text(value)}'"


def _timedelta(_: Literals, value: datetime.timedelta) -> str:
    sign = "-" if value.days < 0 else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"'{sign}{value.days * 24 + hours:02}:{minutes:02}:{seconds:02}{fraction}'"


def _struct_time(_: Literals, value: time.struct_time) -> str:
    year, month, day, hour, minute, second = value[:6]
    return f"'{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}'"


def _default(_: Literals, value: Default) -> str:
    return "DEFAULT"


def _sequence(literals: Literals, value: Iterable[object]) -> str:
    return f"({','.join([literals.literal(item) for item in value])})"


def _refuse(_: Literals, value: object) -> NoReturn:
    raise _never(value)


def _never(value: object) -> TypeError:
    """The error for one of NEVER_VALUES."""
    if isinstance(value, Mapping):
        fix = "give the text that is to be stored, such as json.dumps() makes"
    elif isinstance(value, Awaitable):
        fix = "await it, and give what that returns"
    else:
        fix = "give a tuple or list of its elements"
    return TypeError(f"{type(value).__name__} can not be used as parameter: {fix}")


def plain_value(value: object) -> int | float | str:
    """What a value of a type that has no rule of its own is written as: its number, or its text.

    Raises TypeError for arrays, booleans and complex numbers of numpy's kind; for values that stand
    for a missing one; where the text would be an object's address; and where the type has no
    ``__str__`` of its own (or that of Enum): for mappings, iterators, awaitables and collections,
    Enum members, functions, classes and dataclasses.  Of others the text is their ``__repr__``.
    """
    number = _number(value)
    if number is not None:
        return number
    has_text = _has_text(value)
    try:
        if has_text and not _is_array_or_missing(value):
            text = str(value)
            if re.fullmatch(_ADDRESS, text) is None:
                return text
    except (TypeError, ValueError) as error:
        raise _unusable(value) from error
    raise _unusable(value)


def _number(value: object) -> int | float | None:
    """Its number, if it has one.  A proxy may promise one that it has not: then it has a text."""
    if hasattr(type(value), "__index__"):
        try:
            return operator.index(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            pass
    # (isinstance() asks a proxy for the type of what is behind it.)
    if isinstance(value, bool):
        return int(bool(value))
    if isinstance(value, numbers.Real):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    return None


def _has_text(value: object) -> bool:
    """Whether its type says what its text is."""
    kind = type(value)
    if kind.__str__ not in _NO_TEXTS:
        return True
    if isinstance(value, NEVER_VALUES):
        raise _never(value)
    says_nothing = isinstance(value, (Enum, Collection, type)) or callable(value)
    return not says_nothing and kind.__repr__ is not object.__repr__ and not is_dataclass(value)


def _is_array_or_missing(value: object) -> bool:
    """Whether it is an array, an element of one whose text is not what a server reads, a complex
    number, or what stands for a missing value.
    """
    if issubclass(type(value), numbers.Complex) or isinstance(value, (complex, type(None))):
        return True
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        # (NaT is not equal to itself.)
        is_moment = getattr(dtype, "kind", "") == "M" and getattr(value, "shape", None) == ()
        return not is_moment or bool(value != value)
    try:
        return (value == value) is value  # pandas.NA makes itself of everything
    except Exception:
        return False  # it can't be compared, which is no matter


def _unusable(value: object) -> TypeError:
    kind = type(value)
    fix = "a value of Python's own types (item() of a numpy scalar, None for a missing value)"
    if isinstance(value, Enum):
        fix = "its value (.value)"
    elif kind.__str__ in _NO_TEXTS and callable(value):
        fix = "what it makes or returns"
    elif is_dataclass(value):
        fix = "its fields, or a text such as json.dumps() makes"
    return TypeError(
        f"{kind.__module__}.{kind.__qualname__} can not be used as parameter: give {fix}, or an "
        "encoder for the type in option 'conv'"
    )


def _other(literals: Literals, value: object) -> str:
    plain = plain_value(value)
    if isinstance(plain, str):
        return literals.quoted(plain)
    return _integer(literals, plain) if isinstance(plain, int) else _float(literals, plain)


def _date_text(value: datetime.date) -> str:
    return f"{value.year:04d}-{value.month:02d}-{value.day:02d}"


def _time_text(value: datetime.datetime | datetime.time) -> str:
    fraction = f".{value.microsecond:06}" if value.microsecond else ""
    return f"{value.hour:02}:{value.minute:02}:{value.second:02}{fraction}"


_WRITERS: dict[type, Callable[[Literals, Any], str]] = {
    type(None): _null,
    bool: _boolean,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    str: _string,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    datetime.datetime: _datetime,
    datetime.date: _date,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    time.struct_time: _struct_time,
    tuple: _sequence,
    list: _sequence,
    range: _sequence,
    set: _sequence,
    frozenset: _sequence,
    dict: _refuse,
    Default: _default,
}

py_literals = literals
py_write_rows = write_rows
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    literals = _c.literals
    write_rows = _c.write_rows
