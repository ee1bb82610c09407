"""Which implementation of the speed-critical parts runs: the C one or the Python one.

The environment variable AIOMYSQL_IMPL decides, once, when this module is imported: "c" or
"python" means that one and nothing else; unset or empty means C where it was built. A C module
that is there but cannot be loaded is an error, never a reason to go on slowly in silence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Literal

from . import binary_rows, rows
from .binary_rows import BinaryPlan
from .rows import CellPlan, RowDecoder

_VARIABLE = "AIOMYSQL_IMPL"
_C_MODULE = "aiomysql_protocol._speedups"


_TextDecoder = Callable[[Sequence[CellPlan]], RowDecoder]
_BinaryDecoder = Callable[[Sequence[BinaryPlan]], RowDecoder]


def _chosen() -> tuple[Literal["c", "python"], _TextDecoder, _BinaryDecoder]:
    wanted = os.environ.get(_VARIABLE, "")
    if wanted not in ("", "c", "python"):
        raise ImportError(f'{_VARIABLE} must be "c", "python" or unset, not {wanted!r}')
    in_python: tuple[Literal["python"], _TextDecoder, _BinaryDecoder]
    in_python = ("python", rows.TextRowDecoder, binary_rows.BinaryRowDecoder)
    if wanted == "python":
        return in_python
    try:
        from ._speedups import BinaryRowDecoder, TextRowDecoder
    except ModuleNotFoundError as exc:
        if exc.name != _C_MODULE:
            raise
        if wanted == "c":
            raise ImportError(f"{_VARIABLE} is 'c', but {_C_MODULE} was not built") from exc
        return in_python
    return "c", TextRowDecoder, BinaryRowDecoder


def _pack_parameters() -> Callable[[Sequence[object]], tuple[int, bytes, bytes, bytes] | None]:
    if IMPLEMENTATION == "python":
        return lambda values: None
    from ._speedups import pack_parameters

    return pack_parameters


IMPLEMENTATION: Literal["c", "python"]
"""The implementation that runs."""

IMPLEMENTATION, _text_row_decoder, _binary_row_decoder = _chosen()

pack_parameters = _pack_parameters()
"""The items of a ``parameters.Parameters`` for values of the usual types, with text in UTF-8; None
for others: then ``ParameterWriter`` writes them."""


def text_row_decoder(plans: Sequence[CellPlan]) -> RowDecoder:
    """A decoder for the text rows of a result set with these columns, in the order of `plans`.

    Raises ValueError for an incomplete plan, LookupError for an encoding unknown to Python.
    """
    return _text_row_decoder(plans)


def binary_row_decoder(plans: Sequence[BinaryPlan]) -> RowDecoder:
    """A decoder for the binary rows of a result set with these columns, in the order of `plans`.

    Raises what ``text_row_decoder`` raises.
    """
    return _binary_row_decoder(plans)
