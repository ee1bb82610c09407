"""What makes the rows of results: functions for `row_factory`, by the model of psycopg.

Each is called with the cursor once a result has come, whose `description` is there, and returns
what makes a row of a tuple of values.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from aiomysql_core.cursors import Cursor

__all__ = [
    "RowFactory",
    "class_row",
    "dict_row",
    "namedtuple_row",
    "scalar_row",
    "tuple_row",
]

T = TypeVar("T")
Row_co = TypeVar("Row_co", covariant=True)


class RowFactory(Protocol[Row_co]):
    """What `row_factory` may be."""

    def __call__(self, cursor: Cursor[Any], /) -> Callable[[tuple[Any, ...]], Row_co]:
        """Return what makes the rows of the cursor's present result."""


def tuple_row(cursor: Cursor[Any], /) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Rows are tuples."""
    return tuple


def dict_row(cursor: Cursor[Any], /) -> Callable[[tuple[Any, ...]], dict[str, Any]]:
    """Rows are dicts by the columns' names, as `DictCursor` has them."""
    names = cursor.column_names
    return lambda values: dict(zip(names, values, strict=True))


def namedtuple_row(cursor: Cursor[Any], /) -> Callable[[tuple[Any, ...]], Any]:
    """Rows are named tuples; a column whose name can't be a field's is called by its number."""
    make: Callable[[tuple[Any, ...]], Any] = _namedtuple(cursor.column_names)._make
    return make


@lru_cache(256)
def _namedtuple(names: tuple[str, ...]) -> Any:
    return collections.namedtuple("Row", names, rename=True)  # noqa: PYI024


def scalar_row(cursor: Cursor[Any], /) -> Callable[[tuple[Any, ...]], Any]:
    """Instead of rows the values of their first column."""
    return _first


def _first(values: tuple[Any, ...]) -> Any:
    return values[0]


def class_row(cls: Callable[..., T], /) -> RowFactory[T]:
    """Rows are what `cls` makes of the columns as keyword arguments: a dataclass, say."""

    def factory(cursor: Cursor[Any], /) -> Callable[[tuple[Any, ...]], T]:
        names = cursor.column_names
        return lambda values: cls(**dict(zip(names, values, strict=True)))

    return factory
