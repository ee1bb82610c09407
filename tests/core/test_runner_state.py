"""What pools ask of a runner: may its connection change hands, and who is woken next."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aiomysql_core.engine.runner_state import RunnerState
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session


@pytest.mark.parametrize(
    ("changes", "nothing_to_end"),
    [
        ({}, True),
        ({"server_status": 2}, True),
        ({"server_status": 1}, False),
        ({"server_status": 1 << 16}, False),
        ({"exchanges": [1]}, False),
        ({"error": ValueError()}, False),
    ],
)
def test_nothing_to_end(changes: dict[str, Any], nothing_to_end: bool) -> None:
    runner = RunnerState(None, None)
    assert runner.nothing_to_end() is False  # it is not open
    runner.session = Session(ColumnCache("utf8", {}))
    for name, value in changes.items():
        setattr(runner.session, name, value)
    assert runner.nothing_to_end() is nothing_to_end
    assert runner.at_rest() is nothing_to_end
    runner.transaction_possible = True
    assert runner.nothing_to_end() is False
    runner.transaction_possible = False
    if nothing_to_end:
        assert runner.claim()
        assert runner.nothing_to_end() is False
        runner.release()
        assert runner.nothing_to_end() is True


def test_wake_next() -> None:
    """One waiter may follow the task that runs; all others are woken by the event loop."""

    class Waiter:
        def __init__(self) -> None:
            self.fired: list[bool] = []

        def fire(self, at_once: bool) -> None:
            self.fired.append(at_once)

    runner: Any = RunnerState(None, None)
    runner._stream = stream = SimpleNamespace(waking=True, next_waiter=None)
    first, second, third, fourth = (Waiter() for _ in range(4))
    runner.wake_next(first)
    runner.wake_next(second)
    assert stream.next_waiter is first
    assert (first.fired, second.fired) == ([], [False])
    stream.next_waiter, stream.waking = None, False
    runner.wake_next(third)
    assert (stream.next_waiter, third.fired) == (None, [False])
    runner._stream = None
    runner.wake_next(fourth)
    assert fourth.fired == [False]
