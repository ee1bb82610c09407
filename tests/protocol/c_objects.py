"""Objects of every type that the C module has, each of which refers to something."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellKind, CellPlan


class Loop:
    """What is asked of an event loop; it runs."""

    def __init__(self, held: object) -> None:
        self.held = held

    def is_running(self) -> bool:
        return True


def speedups() -> ModuleType:
    return importlib.import_module("aiomysql_protocol._speedups")


def new_shelf(held: object) -> Any:
    names = ("fit", "wake", "borrow", "accept", "give_back", "get_ident")
    functions = dict.fromkeys(names, len)
    return speedups().Shelf(Loop(held), asyncio.CancelledError, held, **functions)


def new_turn(held: object) -> Any:
    shelf = new_shelf(held)
    shelf.queue_up()
    return shelf.next()


def new_loan(held: object) -> Any:
    return new_shelf(None).loan(held, None)


def waiting_loan(held: object) -> Any:
    shelf = new_shelf(held)
    shelf.capacity, shelf.open = 0, True
    loan = shelf.loan(held, None)
    assert type(loan.send(None)).__name__ == "Turn"
    return loan


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
    "Item": lambda held: speedups().Item(held, held),
    "Shelf": new_shelf,
    "Turn": new_turn,
    "Loan": new_loan,
    "Rule": lambda held: speedups().resting("claimed", "pending", 1).__self__,
}

#: Those that refer to nothing of the caller's.
ALONE = {"LongPayload", "Rule"}


def each(held: object) -> list[Any]:
    """An object of each type that the garbage collector knows, and a loan whose turn has not come.

    (What it doesn't know keeps its type, and with that the module, until it goes.)
    """
    made = [make(held) for name, make in MAKERS.items() if name != "LongPayload"]
    return [*made, waiting_loan(held)]
