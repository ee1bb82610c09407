"""Objects of every type that the C module has, each of which refers to something."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellKind, CellPlan


def speedups() -> ModuleType:
    return importlib.import_module("aiomysql_protocol._speedups")


def new_state(name: str, attribute: str) -> Callable[[object], Any]:
    def make(held: object) -> Any:
        state = getattr(speedups(), name)()
        setattr(state, attribute, held)
        return state

    return make


def new_payload(held: object) -> Any:
    payload = speedups().LongPayload()
    payload.gather(b"bytes", 0, 5)
    return payload


def cell(held: Any) -> CellPlan:
    return CellPlan(CellKind.CONVERT, "utf8", held or len, "c")


#: How an object of each type is made that refers to the argument.
MAKERS: dict[str, Callable[[Any], Any]] = {
    "TextRowDecoder": lambda held: speedups().TextRowDecoder([cell(held)]),
    "BinaryRowDecoder": lambda held: speedups().BinaryRowDecoder([BinaryPlan(253, cell(held))]),
    "LongPayload": new_payload,
    "ExchangeState": new_state("ExchangeState", "on_progress"),
    "ResultState": new_state("ResultState", "error"),
    "SessionState": new_state("SessionState", "columns"),
}

#: Those that refer to nothing of the caller's.
ALONE = {"LongPayload"}


def each(held: object) -> list[Any]:
    """An object of each type that the garbage collector knows.

    (What it doesn't know keeps its type, and with that the module, until it goes.)
    """
    return [make(held) for name, make in MAKERS.items() if name != "LongPayload"]
