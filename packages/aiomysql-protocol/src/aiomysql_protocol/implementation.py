"""Which implementation of the speed-critical parts runs: the C one or the Python one.

The environment variable AIOMYSQL_IMPL decides, once, when this module is imported: "c" or
"python" means that one and nothing else; unset or empty means C where it was built. A C module
that is there but cannot be loaded is an error, never a reason to go on slowly in silence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

from . import rows
from .rows import CellPlan, RowDecoder

_VARIABLE = "AIOMYSQL_IMPL"
_C_MODULE = "aiomysql_protocol._speedups"


def _chosen() -> tuple[Literal["c", "python"], Callable[[Sequence[CellPlan]], RowDecoder]]:
    wanted = os.environ.get(_VARIABLE, "")
    if wanted not in ("", "c", "python"):
        raise ImportError(f'{_VARIABLE} must be "c", "python" or unset, not {wanted!r}')
    if wanted == "python":
        return "python", rows.TextRowDecoder
    try:
        from ._speedups import TextRowDecoder
    except ModuleNotFoundError as exc:
        if exc.name != _C_MODULE:
            raise
        if wanted == "c":
            raise ImportError(f"{_VARIABLE} is 'c', but {_C_MODULE} was not built") from exc
        return "python", rows.TextRowDecoder
    return "c", TextRowDecoder


IMPLEMENTATION: Literal["c", "python"]
"""The implementation that runs."""

IMPLEMENTATION, _text_row_decoder = _chosen()


def text_row_decoder(plans: Sequence[CellPlan]) -> RowDecoder:
    """A decoder for the text rows of a result set with these columns, in the order of `plans`.

    Raises ValueError for an incomplete plan, LookupError for an encoding unknown to Python.
    """
    return _text_row_decoder(plans)
