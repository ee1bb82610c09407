from typing import Any

# Part of what every type checker knows; at run time it is neither there nor needed.
from typing_extensions import TypeVar

__all__ = ["OtherRow", "Row"]

Row = TypeVar("Row", default=tuple[Any, ...])  # noqa: PYI001  (shared by several modules)
OtherRow = TypeVar("OtherRow")  # noqa: PYI001
