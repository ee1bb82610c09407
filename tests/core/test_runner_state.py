"""What is asked of a runner before its connection changes hands, and how the next task is woken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine.runner_state import (
    RunnerState,
    py_nothing_to_end,
    py_wake_next,
)
from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session

_IN_TRANSACTION = 1
_IN_DOUBT = 1 << 16


def new_runner(**changes: Any) -> Any:
    """A runner without a stream, whose session is at rest but for these changes."""
    runner: Any = RunnerState(None, None)
    runner.session = Session(ColumnCache("utf8", {}))
    for name, value in changes.items():
        setattr(runner.session, name, value)
    return runner


#: The C twin reads slots that the classes of the Python implementation have not.
TWINS: dict[str, Callable[[Any], bool]] = {"python": py_nothing_to_end}
if (_c := accelerator()) is not None:
    TWINS["c"] = _c.nothing_to_end
WAKERS: dict[str, Callable[[Any, Any], None]] = {"python": py_wake_next}
if _c is not None:
    WAKERS["c"] = _c.wake_next


@pytest.fixture(params=TWINS)
def nothing_to_end(request: pytest.FixtureRequest) -> Callable[[Any], bool]:
    return TWINS[request.param]


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
def test_nothing_to_end(
    nothing_to_end: Callable[[Any], bool], changes: dict[str, Any], rests: bool
) -> None:
    runner = new_runner(**changes)
    assert nothing_to_end(runner) is runner.nothing_to_end() is rests
    assert runner.claim()
    assert nothing_to_end(runner) is False
    runner.release()
    runner.transaction_possible = True
    assert nothing_to_end(runner) is False
    runner.transaction_possible = False
    assert nothing_to_end(runner) is rests
    runner.session = None
    assert nothing_to_end(runner) is False


@pytest.mark.parametrize(
    "spoil",
    [
        lambda runner: delattr(runner, "_busy"),
        lambda runner: delattr(runner, "transaction_possible"),
        lambda runner: delattr(runner.session, "exchanges"),
        lambda runner: delattr(runner.session, "server_status"),
        lambda runner: delattr(runner.session, "error"),
        lambda runner: delattr(runner, "session"),
    ],
)
def test_an_attribute_that_is_missing(
    nothing_to_end: Callable[[Any], bool], spoil: Callable[[object], None]
) -> None:
    runner = new_runner()
    spoil(runner)
    with pytest.raises(AttributeError):
        nothing_to_end(runner)


@pytest.mark.skipif("c" not in TWINS, reason="the Python implementation looks at nothing")
def test_something_else() -> None:
    ask = TWINS["c"]
    with pytest.raises(TypeError, match="RunnerState"):
        ask(object())
    runner = new_runner()
    runner.session = object()
    with pytest.raises(TypeError, match="Session"):
        ask(runner)


class Waiter:
    """Notes how it was fired."""

    def __init__(self) -> None:
        self.fired: list[bool] = []

    def fire(self, at_once: bool) -> None:
        self.fired.append(at_once)


@pytest.fixture(params=WAKERS)
def wake_next(request: pytest.FixtureRequest) -> Callable[[Any, Any], None]:
    return WAKERS[request.param]


def test_next_waiter(wake_next: Callable[[Any, Any], None]) -> None:
    """One task may follow the one that runs; all others are woken by the event loop."""
    runner = new_runner()
    runner._stream = stream = SocketStream.__new__(SocketStream)
    stream.waking, stream.next_waiter = True, None
    first, second, third, fourth = (Waiter() for _ in range(4))
    wake_next(runner, first)
    wake_next(runner, second)
    assert stream.next_waiter is first
    assert (first.fired, second.fired) == ([], [False])
    stream.next_waiter, stream.waking = None, False
    wake_next(runner, third)
    assert stream.next_waiter is None
    assert third.fired == [False]
    runner._stream = None
    wake_next(runner, fourth)
    assert fourth.fired == [False]


def test_next_waiter_of_another_stream(wake_next: Callable[[Any, Any], None]) -> None:
    class Stream:
        woken: ClassVar[list[object]] = []

        def wake_next(self, waiter: object) -> None:
            self.woken.append(waiter)

    runner, waiter = new_runner(), Waiter()
    runner._stream = Stream()
    wake_next(runner, waiter)
    assert Stream.woken == [waiter]
    assert waiter.fired == []
    del runner._stream
    with pytest.raises(AttributeError):
        wake_next(runner, waiter)


@pytest.mark.skipif("c" not in WAKERS, reason="the Python implementation looks at nothing")
def test_next_waiter_of_something_else() -> None:
    for arguments in ((), (object(), Waiter())):
        with pytest.raises(TypeError, match="RunnerState"):
            WAKERS["c"](*arguments)
    runner = new_runner()
    runner._stream = stream = SocketStream.__new__(SocketStream)
    with pytest.raises(AttributeError):
        WAKERS["c"](runner, Waiter())  # `waking` isn't set
    assert not hasattr(stream, "next_waiter")
