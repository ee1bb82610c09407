"""The type variables of rows; the stub beside it says more than Python 3.11 can."""

from typing import TypeVar

__all__ = ["OtherRow", "Row"]

#: The type of a cursor's rows, of those of a connection's cursors, or of a pool's connections.
Row = TypeVar("Row")

#: That of the rows that a method's own `row_factory` makes.
OtherRow = TypeVar("OtherRow")
