"""What is asked of a runner before its connection changes hands, and how the next task is woken."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pymysql.err import InterfaceError, OperationalError

from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.engine.runner_state import (
    PyRunnerState,
    py_hand_over,
    py_nothing_to_end,
    py_wake_next,
)
from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_core.transport.stream_state import StreamState
from aiomysql_core.waiting.timeouts import QueryTimeout
from aiomysql_protocol.commands.query import UNKNOWN_ROW_COUNT, Query, Result
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from aiomysql_protocol.wire.packets import Ok
from tests.core.conftest import Pair
from tests.protocol.test_session import EOF, column
from tests.scripted import error, frame, frames, ok

_IN_TRANSACTION = 1
_IN_DOUBT = 1 << 16


def new_runner(**changes: Any) -> Any:
    """A runner without a stream, whose session is at rest but for these changes."""
    runner: Any = CommandRunner(None, None)
    runner.session = Session(ColumnCache("utf8", {}))
    for name, value in changes.items():
        setattr(runner.session, name, value)
    return runner


def new_stream() -> Any:
    """A stream without a socket."""
    stream: Any = SocketStream.__new__(SocketStream)
    loop: Any = Loop()
    StreamState.__init__(stream, Session(ColumnCache("utf8", {})), loop)
    return stream


class Loop:
    """Enough of an event loop for a waiter."""

    def create_future(self) -> Any:
        return FinishedFuture()


class FinishedFuture:
    def set_result(self, result: object) -> None:
        pass


#: The C twin reads slots that the classes of the Python implementation have not.
TWINS: dict[str, Callable[[Any], bool]] = {"python": py_nothing_to_end}
HAND_OVERS: dict[str, Callable[[Any], bool]] = {"python": py_hand_over}
if (_c := accelerator()) is not None:
    TWINS["c"] = _c.nothing_to_end
    HAND_OVERS["c"] = _c.hand_over
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


@pytest.mark.parametrize("name", HAND_OVERS)
def test_hand_over(name: str) -> None:
    hand_over = HAND_OVERS[name]
    runner = new_runner()
    assert runner.handovers == 0
    assert hand_over(runner) is True
    runner.transaction_possible = True
    assert hand_over(runner) is False
    assert runner.handovers == 2
    runner.check_handovers(2, "this")
    runner.check_handovers(0, "this")
    with pytest.raises(InterfaceError, match="this is of before"):
        runner.check_handovers(1, "this")
    with pytest.raises((TypeError, AttributeError)):
        hand_over(object())
    runner.handovers = 1 << 40
    assert runner.handovers == 1 << 40


@pytest.mark.parametrize(
    "spoil",
    [
        lambda runner: delattr(runner.session, "exchanges"),
        lambda runner: delattr(runner.session, "server_status"),
        lambda runner: delattr(runner.session, "error"),
    ],
)
def test_an_attribute_that_is_missing(
    nothing_to_end: Callable[[Any], bool], spoil: Callable[[object], None]
) -> None:
    runner = new_runner()
    spoil(runner)
    with pytest.raises(AttributeError):
        nothing_to_end(runner)


@pytest.mark.parametrize("name", ["_busy", "transaction_possible", "session"])
def test_what_is_missing_of_the_runner(nothing_to_end: Callable[[Any], bool], name: str) -> None:
    """A runner that has its state in C always has numbers, and without a session it is closed."""
    runner = new_runner()
    try:
        delattr(runner, name)
    except TypeError:
        assert nothing_to_end(runner)
    else:
        with contextlib.suppress(AttributeError):
            assert nothing_to_end(runner) is False


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


async def test_next_waiter(wake_next: Callable[[Any, Any], None]) -> None:
    """One task may follow the one that runs; all others are woken by the event loop."""
    runner = new_runner()
    here, there = socket.socketpair()
    here.setblocking(False)
    stream: Any = SocketStream(runner.session, asyncio.get_running_loop(), here)
    runner._stream = stream
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
    stream.abort()
    there.close()


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


@pytest.mark.skipif("c" not in WAKERS, reason="the Python implementation looks at nothing")
def test_next_waiter_of_something_else() -> None:
    for arguments in ((), (object(), Waiter())):
        with pytest.raises(TypeError, match="RunnerState"):
            WAKERS["c"](*arguments)
    runner, waiter = new_runner(), Waiter()
    runner._stream = SocketStream.__new__(SocketStream)  # `waking` isn't set
    WAKERS["c"](runner, waiter)
    assert waiter.fired == [False]
    with pytest.raises(AttributeError):
        WAKERS["c"](new_runner(), object())


# -- begin and take


class Recording:
    """What the classes here have beside RunnerState: they record what is asked of them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.raises: dict[str, BaseException] = {}

    def note(self, *call: Any) -> None:
        self.calls.append(call if len(call) > 1 else call[0])
        if call[0] in self.raises:
            raise self.raises[call[0]]

    def check_free(self) -> None:
        self.note("check free")

    def release(self) -> None:
        self.note("release")
        self._busy = False

    def record_statement(self, exchange: Any) -> None:
        self.note("record", exchange)

    def _begin_later(self, exchange: Any) -> str:
        self.note("later", exchange)
        return "later"

    def _begin_slowly(self, stream: Any, exchange: Any) -> str:
        self.note("slowly", exchange)
        return "slowly"

    def _refuse(self) -> None:
        self.note("refuse")
        raise RefusedError

    def _not_begun(self, exchange: Any, error: BaseException) -> None:
        self.note("not begun", exchange, type(error))

    def _interrupted(self, error: BaseException) -> None:
        self.note("interrupted", type(error))

    def _raise_for(self, result: Any) -> None:
        self.note("raise for", result)
        if result.error is not None:
            raise result.take_error()


class RefusedError(Exception):
    """Raised instead of what the runner says."""


class StopError(BaseException):
    """Raised by code that runs in between."""


CLASSES: dict[str, Any] = {"python": PyRunnerState}
if _c is not None:
    CLASSES["c"] = _c.RunnerState


@pytest.fixture(params=CLASSES)
def base(request: pytest.FixtureRequest) -> Any:
    return CLASSES[request.param]


@pytest.fixture
async def runner(base: Any, pair: Pair) -> Any:
    """One whose stream is open, on the event loop that runs."""
    runner: Any = type("Made", (Recording, base), {})()
    session = Session(ColumnCache("utf8", {}))
    runner._stream = SocketStream(session, asyncio.get_running_loop(), pair[0].dup())
    runner.session = session
    stream = runner._stream
    yield runner
    stream._shut()


READ = frame(b"\x03SELECT 1", 0)


async def answered(runner: Any, other: socket.socket, query: Query, *payloads: bytes) -> Any:
    """What `take` gives for this response."""
    other.send(frames(*payloads))
    await runner.begin(query)
    return runner.take(query)


def test_both_are_tested() -> None:
    assert len(set(CLASSES.values())) == len(CLASSES) == 1 + (accelerator() is not None)


async def test_defaults(base: Any) -> None:
    runner = base()
    for name in ("_stream", "session", "_cancellation", "_detached", "_read_timeout", "result"):
        assert getattr(runner, name) is None
    assert runner.autocommit is None
    for name in ("_busy", "transaction_possible", "no_backslash_escapes", "charset_in_doubt"):
        assert getattr(runner, name) is False
    assert (runner.last_usage, runner.generation, runner.affected_rows) == (0, 0, 0)
    assert runner.outstanding is False
    with pytest.raises(TypeError):
        base(1)


async def test_statement(runner: Any, other: socket.socket) -> None:
    query = Query(b"SELECT 1")
    before = time.monotonic()
    coming = runner.begin(query)
    assert other.recv(100) == READ
    assert runner._busy is True
    assert runner.result is None
    other.send(frame(ok(affected_rows=3), 1))
    await coming
    assert runner._busy is True
    result: Any = runner.take(query)
    assert result.exchange is query
    assert runner.result is result
    assert query.results == []
    assert runner._busy is False
    assert runner.affected_rows == 3
    assert before <= runner.last_usage <= time.monotonic()
    assert runner.outstanding is False
    assert runner.calls == []


async def test_next_statement(runner: Any, other: socket.socket) -> None:
    """The result before is let go when the next one is begun."""
    result = await answered(runner, other, Query(b"SELECT 1"), ok())
    assert runner.result is result
    runner.begin(Query(b"SELECT 1"))
    assert runner.result is None


@pytest.mark.parametrize("cancelling", [True, False])
async def test_begin_while_busy(runner: Any, other: socket.socket, cancelling: bool) -> None:
    query = Query(b"SELECT 1")
    runner._busy = True
    if cancelling:
        runner._cancellation = "under way"
        assert runner.begin(query) == "later"
        assert runner.calls == [("later", query)]
    else:
        runner.raises["check free"] = RefusedError()
        with pytest.raises(RefusedError):
            runner.begin(query)
        assert runner.calls == ["check free"]
    assert runner._busy is True
    with pytest.raises(BlockingIOError):
        other.recv(1)


@pytest.mark.parametrize("kind", ["more", "error", "incomplete"])
async def test_begin_while_something_is_outstanding(
    runner: Any, other: socket.socket, kind: str
) -> None:
    first = Query(b"SELECT 1")
    if kind == "error":
        with pytest.raises(OperationalError):
            await answered(runner, other, first, error(1205, "why"))
        first.error = OperationalError(1205, "why")
        assert runner.outstanding is True
    else:
        await answered(runner, other, first, ok(status=8))
        if kind == "incomplete":
            runner.result.ok = Ok()
            runner.result.complete = False
        assert runner.outstanding is True
    other.recv(100)
    runner.calls.clear()
    query = Query(b"SELECT 1")
    assert runner.begin(query) == "later"
    assert runner.calls == ["release", ("later", query)]
    assert runner._busy is False
    with pytest.raises(BlockingIOError):
        other.recv(1)


@pytest.mark.parametrize("name", ["release", "later"])
async def test_begin_later_that_fails(runner: Any, other: socket.socket, name: str) -> None:
    await answered(runner, other, Query(b"SELECT 1"), ok(status=8))
    runner.raises[name] = StopError()
    query = Query(b"SELECT 1")
    with pytest.raises(StopError):
        runner.begin(query)
    assert runner.calls[-1] == ("not begun", query, StopError)


@pytest.mark.parametrize("autocommit", [True, False, None])
async def test_a_transaction_is_possible(runner: Any, autocommit: bool | None) -> None:
    runner.autocommit = autocommit
    runner.begin(Query(b"SELECT 1"))
    assert runner.transaction_possible is not bool(autocommit)
    assert runner.calls == []


async def test_what_is_not_simple_is_recorded(runner: Any) -> None:
    query = Query(b"SET autocommit = 0")
    assert not query.is_simple
    runner.begin(query)
    assert runner.calls == [("record", query)]
    assert runner.transaction_possible is False


async def test_recording_that_fails(runner: Any, other: socket.socket) -> None:
    query = Query(b"SET autocommit = 0")
    runner.raises["record"] = StopError("why")
    with pytest.raises(StopError, match="why"):
        runner.begin(query)
    assert runner.calls == [("record", query), ("not begun", query, StopError)]
    runner._busy = False
    runner.raises["not begun"] = ZeroDivisionError("later")
    with pytest.raises(ZeroDivisionError) as caught:
        runner.begin(query)
    assert isinstance(caught.value.__context__, StopError)
    with pytest.raises(BlockingIOError):
        other.recv(1)


def close_runner(runner: Any) -> None:
    runner._stream = None


def close_stream(runner: Any) -> None:
    runner._stream.abort()


def break_session(runner: Any) -> None:
    runner.session.fail(OperationalError(2006, "gone"))


@pytest.mark.parametrize("close", [close_runner, close_stream, break_session])
async def test_begin_when_closed(runner: Any, close: Callable[[Any], None]) -> None:
    query = Query(b"SELECT 1")
    close(runner)
    with pytest.raises(RefusedError):
        runner.begin(query)
    assert runner.calls == ["refuse", ("not begun", query, RefusedError)]


async def test_begin_on_another_loop(runner: Any, other: socket.socket) -> None:
    def elsewhere() -> None:
        async def begin() -> None:
            runner.begin(Query(b"SELECT 1"))

        with pytest.raises(RefusedError):
            asyncio.run(begin())
        with pytest.raises(RefusedError):
            runner.begin(Query(b"SELECT 1"))  # none runs

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert runner.calls.count("refuse") == 2
    with pytest.raises(BlockingIOError):
        other.recv(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_begin_in_a_forked_child(runner: Any, other: socket.socket) -> None:
    pid = os.fork()
    if not pid:
        try:
            runner.begin(Query(b"SELECT 1"))
        except RefusedError:
            os._exit(7 if runner._stream.from_parent_process else 8)
        finally:
            os._exit(9)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    with pytest.raises(BlockingIOError):
        other.recv(1)
    assert runner._stream.from_parent_process is False
    runner.begin(Query(b"SELECT 1"))
    assert other.recv(100) == READ


async def test_what_takes_longer(runner: Any) -> None:
    query = Query(b"LOAD DATA LOCAL INFILE 'a' INTO TABLE t", local_files={b"a": (None,)})
    assert runner.begin(query) == "slowly"
    assert runner._busy is True
    assert ("slowly", query) in runner.calls
    runner._busy = False
    runner.calls.clear()
    runner._stream.writing_paused = True
    query = Query(b"SELECT 1")
    assert runner.begin(query) == "slowly"
    assert runner.calls == [("slowly", query)]


async def test_interrupted(runner: Any) -> None:
    query = Query(b"SELECT 1")

    async def run() -> None:
        await runner.begin(query)

    task = asyncio.ensure_future(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runner.calls == [("interrupted", asyncio.CancelledError)]


async def test_read_timeout(runner: Any) -> None:
    runner._read_timeout = 0.05
    with pytest.raises(QueryTimeout):
        await runner.begin(Query(b"SELECT 1"))
    assert runner.calls == [("interrupted", QueryTimeout)]


async def test_take_an_error(runner: Any, other: socket.socket) -> None:
    query = Query(b"SELECT 1")
    runner.affected_rows = 5
    with pytest.raises(OperationalError, match="why"):
        await answered(runner, other, query, error(1205, "why"))
    assert [name for name, *_ in runner.calls] == ["raise for"]
    assert runner._busy is False
    assert runner.affected_rows == 5
    assert query.error is None


async def test_take_an_error_that_is_not_raised(runner: Any, other: socket.socket) -> None:
    class Forgiving(type(runner)):  # type: ignore[misc]
        def _raise_for(self, result: Any) -> None:
            pass

    runner.__class__ = Forgiving
    result = await answered(runner, other, Query(b"SELECT 1"), error(1205, "why"))
    assert isinstance(result.error, OperationalError)
    assert runner.affected_rows == 0


@pytest.mark.parametrize("streamed", [True, False])
async def test_take_rows(runner: Any, other: socket.socket, streamed: bool) -> None:
    query = Query(b"SELECT 1", streamed=streamed)
    result = await answered(runner, other, query, b"\1", column(), EOF, b"\1x", b"\1y", EOF)
    assert result.unbuffered_active is streamed
    assert runner.affected_rows == (UNKNOWN_ROW_COUNT if streamed else 2)
    assert result.rows == [("x",), ("y",)]


async def test_take_a_streamed_error(runner: Any, other: socket.socket) -> None:
    """Behind rows it is for who reads them."""
    query = Query(b"SELECT 1", streamed=True)
    payloads = b"\1", column(), EOF, b"\1x", error(1205, "why")
    result = await answered(runner, other, query, *payloads)
    assert isinstance(result.error, OperationalError)
    assert runner.calls == []
    assert runner.outstanding is True


async def test_take_without_results(runner: Any) -> None:
    with pytest.raises(IndexError):
        runner.take(Query(b"SELECT 1"))
    query = Query(b"SELECT 1")
    del query.results
    with pytest.raises(AttributeError):
        runner.take(query)


async def test_outstanding_without_an_exchange(runner: Any) -> None:
    result = Result()
    result.complete, result.ok = True, Ok()
    runner.result = result
    with pytest.raises(AttributeError):
        _ = runner.outstanding
    with pytest.raises(AttributeError):
        runner.begin(Query(b"SELECT 1"))
    assert runner.calls[0][0] == "not begun"


NAMES = ["_stream", "session", "_cancellation", "_read_timeout", "result", "autocommit"]


async def use(runner: Any) -> None:
    """All that a runner can do, whatever comes of it."""
    done = Query(b"SELECT 1")
    done.results.append(Result())
    for act in (
        lambda: runner.begin(Query(b"SELECT 1")),
        lambda: runner.begin(object()),
        lambda: runner.outstanding,
        lambda: nothing_to_end_of(runner),
        lambda: runner.take(done),
        lambda: runner.take(object()),
    ):
        runner._busy = False
        with contextlib.suppress(Exception):
            act()


def nothing_to_end_of(runner: Any) -> None:
    for ask in TWINS.values():
        with contextlib.suppress(AttributeError, TypeError):
            ask(runner)


@pytest.mark.parametrize("value", [1, "x", None, [], object, ValueError()])
@pytest.mark.parametrize("name", NAMES)
async def test_nothing_crashes(runner: Any, name: str, value: object) -> None:
    setattr(runner, name, value)
    await use(runner)


@pytest.mark.parametrize("name", NAMES)
async def test_nothing_crashes_without(runner: Any, name: str) -> None:
    delattr(runner, name)
    await use(runner)


@pytest.mark.parametrize("name", ["rows", "ok", "metadata", "exchange", "error", "complete"])
async def test_no_result_crashes(runner: Any, name: str) -> None:
    value: Any
    for value in (1, None, [], (), ("a", "b", "c", "d"), Query(b"x")):
        query, result = Query(b"SELECT 1"), Result()
        result.complete, result.ok, result.rows = True, Ok(), []
        setattr(result, name, value)
        query.results.append(result)
        runner._busy = False
        with contextlib.suppress(Exception):
            runner.take(query)
        with contextlib.suppress(Exception):
            _ = runner.outstanding


async def test_a_stream_without_init(runner: Any) -> None:
    runner._stream = SocketStream.__new__(SocketStream)
    with pytest.raises((AttributeError, RuntimeError, RefusedError)):
        runner.begin(Query(b"SELECT 1"))

    class Started(SocketStream):
        def start(self, exchange: Any) -> bool:
            return True

    runner._stream = Started.__new__(Started)
    runner._busy = False
    with pytest.raises((AttributeError, RuntimeError, RefusedError)):
        runner.begin(Query(b"SELECT 1"))


async def test_nothing_is_kept_alive(base: Any) -> None:
    runner = type("Made", (Recording, base), {})()
    runner.result = runner._detached = runner
    gone = weakref.ref(runner)
    del runner
    gc.collect()
    assert gone() is None


# -- other code that runs meanwhile


class Trap:
    """Garbage; does something when it is found, some times in a row."""

    deed: Callable[[], object] | None = None
    left = 0

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        if Trap.deed is not None and Trap.left:
            Trap.left -= 1
            Trap()
            with contextlib.suppress(InterfaceError):
                Trap.deed()


#: What code does with the runner and its stream meanwhile.
DEEDS: dict[str, Callable[[Any], object]] = {
    "abort": lambda runner: runner._stream and runner._stream.abort(),
    "close": lambda runner: setattr(runner, "_stream", None),
    "begin": lambda runner: runner.begin(Query(b"SELECT 2")),
    "forget": lambda runner: setattr(runner, "result", None),
    "break": lambda runner: runner.session.fail(OperationalError(2006, "gone")),
    "time out": lambda runner: setattr(runner, "_read_timeout", None),
    "wake": lambda runner: wake_some(runner),
    "view": lambda runner: runner._stream and runner._stream._enlarge_buffer(),
}


def wake_some(runner: Any) -> None:
    wake = WAKERS["python" if isinstance(runner, PyRunnerState) else "c"]
    wake(runner, Waiter())


class Guarded(Recording):
    """Refuses whoever comes in between."""

    def check_free(self) -> None:
        raise InterfaceError("busy")

    def _interrupted(self, error: BaseException) -> None:
        self._busy = False

    def _not_begun(self, exchange: Any, error: BaseException) -> None:
        self._busy = False


@pytest.mark.parametrize("deed", DEEDS)
async def test_finalizers(base: Any, deed: str) -> None:
    """At nearly every allocation: nobody gets another's result, and nothing crashes."""
    loop, count = asyncio.get_running_loop(), 0

    def act() -> None:
        nonlocal count
        count += 1
        DEEDS[deed](runner)

    gc.collect()
    before = gc.get_threshold()
    try:
        for threshold in range(1, 41):
            for place in ("begin", "receive", "take"):
                ours, other = socket.socketpair()
                ours.setblocking(False)
                other.setblocking(False)
                runner: Any = type("Made", (Guarded, base), {})()
                runner.session = Session(ColumnCache("utf8", {}))
                stream = runner._stream = SocketStream(runner.session, loop, ours)
                runner._read_timeout = 5.0
                query = Query(b"SELECT 1", streamed=threshold % 2 == 0)
                with other:
                    done = False
                    try:
                        Trap.deed, Trap.left = act, 5
                        Trap()
                        gc.set_threshold(threshold if place == "begin" else 0)
                        coming = runner.begin(query)
                        gc.set_threshold(threshold if place == "receive" else 0)
                        with contextlib.suppress(OSError):
                            other.send(frames(b"\1", column(), EOF, b"\1x", EOF))
                        await asyncio.wait_for(wait_for(coming), 5)
                        while not query.done:
                            await asyncio.wait_for(wait_for(stream.wait(query)), 5)
                        gc.set_threshold(threshold if place == "take" else 0)
                        result = runner.take(query)
                        done = True
                    except (OperationalError, RefusedError, InterfaceError):
                        pass
                    finally:
                        gc.set_threshold(*before)
                        Trap.deed = None
                    if done:
                        # A streamed result has its error for whoever reads on.
                        assert result.rows == [("x",)] or (result.streamed and result.error)
                        assert result.exchange is query
                        assert runner._busy is False
                    stream._shut()
                    await asyncio.sleep(0)
        assert count > 50
    finally:
        Trap.deed = None
        gc.set_threshold(*before)
        gc.collect()


async def wait_for(coming: Any) -> None:
    await coming
