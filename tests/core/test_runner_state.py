"""What is asked of a runner before its connection changes hands, and how the next task is woken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aiomysql_core.engine.runner_state import RunnerState
from aiomysql_core.transport.socket_stream import SocketStream

_IN_TRANSACTION = 1
_IN_DOUBT = 1 << 16


def new_runner(**changes: Any) -> Any:
    """A runner without a stream, whose session is at rest but for these changes."""
    fields: dict[str, Any] = {"error": None, "exchanges": [], "server_status": 0}
    runner: Any = RunnerState(None, None)
    runner.session = SimpleNamespace(**{**fields, **changes})
    return runner


@pytest.mark.parametrize(
    ("changes", "rests"),
    [
        ({}, True),
        ({"server_status": 2}, True),
        ({"server_status": _IN_TRANSACTION}, False),
        ({"server_status": _IN_DOUBT}, False),
        ({"exchanges": [1]}, False),
        ({"error": ValueError()}, False),
    ],
)
def test_nothing_to_end(changes: dict[str, Any], rests: bool) -> None:
    runner = new_runner(**changes)
    assert runner.nothing_to_end() is rests
    assert runner.claim()
    assert runner.nothing_to_end() is False
    runner.release()
    runner.transaction_possible = True
    assert runner.nothing_to_end() is False
    runner.transaction_possible = False
    assert runner.nothing_to_end() is rests
    runner.session = None
    assert runner.nothing_to_end() is False


class Waiter:
    """Notes how it was fired."""

    def __init__(self) -> None:
        self.fired: list[bool] = []

    def fire(self, at_once: bool) -> None:
        self.fired.append(at_once)


def test_next_waiter() -> None:
    """One task may follow the one that runs; all others are woken by the event loop."""
    runner = new_runner()
    runner._stream = stream = SocketStream.__new__(SocketStream)
    stream.waking, stream.next_waiter = True, None
    first, second, third, fourth = (Waiter() for _ in range(4))
    runner.wake_next(first)
    runner.wake_next(second)
    assert stream.next_waiter is first
    assert (first.fired, second.fired) == ([], [False])
    stream.next_waiter, stream.waking = None, False
    runner.wake_next(third)
    assert stream.next_waiter is None
    assert third.fired == [False]
    runner._stream = None
    runner.wake_next(fourth)
    assert fourth.fired == [False]
