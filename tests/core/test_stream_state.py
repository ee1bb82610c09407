"""What a stream does for each request and response: C and Python behave alike.

The streams here have a socket and a session of their own, and record what is asked of the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from pymysql.err import InternalError, OperationalError

from aiomysql_core._accelerator import accelerator
from aiomysql_core.transport import stream_state
from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_core.waiting.timeouts import QueryTimeout
from aiomysql_core.waiting.waiter import Waiter
from aiomysql_protocol.commands.exchange import Command
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from tests.core.conftest import Pair
from tests.scripted import error, frame, frames, ok

CLASSES: dict[str, Any] = {"python": stream_state.PyStreamState}
if accelerator() is not None:
    CLASSES["c"] = stream_state.StreamState

#: Sizes of the first buffer, and of a response that fills it.
FIRST = stream_state.FIRST_BUFFER_SIZE

READ = frame(b"\x03SELECT 1", 0)


class StopError(BaseException):
    """Raised by code that runs in between."""


class Recording:
    """What the classes here have beside StreamState."""

    def __init__(self, session: Session, loop: Any, sock: socket.socket) -> None:
        super().__init__(session, loop)  # type: ignore[call-arg]
        self._sock: Any = sock
        self._descriptor = sock.fileno()
        self.calls: list[Any] = []
        self.raises: dict[str, BaseException] = {}

    def note(self, *call: Any) -> None:
        self.calls.append(call if len(call) > 1 else call[0])
        if call[0] in self.raises:
            raise self.raises[call[0]]

    def _write(self, data: bytes) -> None:
        self.note("write", bytes(data))

    def _not_sent(self, exchange: object) -> None:
        self.note("not sent", exchange)

    def abort(self) -> None:
        self.note("abort")
        self._sock = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.note("lost", exc)
        self._sock = None

    def resume(self) -> None:
        self.note("resume")
        self._reading_paused = False

    def _enlarge_buffer(self) -> None:
        self.note("enlarge")
        left: Any = bytes(self._view[: self._end])  # type: ignore[has-type,attr-defined]
        buffer = bytearray(2 * len(self._view))  # type: ignore[has-type]
        buffer[: self._end] = left  # type: ignore[attr-defined]
        self._buffer, self._view = buffer, memoryview(buffer)

    def _look_after(self, session: Session) -> None:
        self.note("look after", session)

    def _start_silence_timer(self, seconds: float) -> None:
        self.note("timer", seconds)


@pytest.fixture(params=CLASSES)
def base(request: pytest.FixtureRequest) -> Any:
    return CLASSES[request.param]


@pytest.fixture
def stream(base: Any, loop: Any, pair: Pair) -> Any:
    made: Any = type("Made", (Recording, base), {})
    return made(Session(ColumnCache("utf8", {})), loop, pair[0])


def test_both_are_tested() -> None:
    assert len(set(CLASSES.values())) == len(CLASSES) == 1 + (accelerator() is not None)


def test_defaults(stream: Any, loop: Any) -> None:
    assert stream.loop is loop
    assert (stream.bytes_received, stream._end) == (0, 0)
    assert stream._unsent == b""
    assert len(stream._view) == len(stream._buffer) == FIRST
    assert not any((stream.waking, stream.writing_paused, stream._closing, stream._reading_paused))
    for name in ("next_waiter", "_read_timeout", "_silence_timer"):
        assert getattr(stream, name) is None
    assert stream.from_parent_process is False
    assert isinstance(stream._waiter, Waiter)


# -- sending


def test_start(stream: Any, other: socket.socket) -> None:
    query = Query(b"SELECT 1")
    assert stream.start(query) is True
    assert other.recv(100) == READ
    assert list(stream.session.exchanges) == [query]
    assert stream.calls == []


@pytest.mark.parametrize("size", [1, 1 << 14, (1 << 14) + 1, 100_000])
def test_start_of_any_size(stream: Any, other: socket.socket, size: int) -> None:
    statement = b"x" * size
    assert stream.start(Query(statement)) is True
    sent = b""
    while len(sent) < size + 5:
        sent += other.recv(1 << 20)
    assert sent == frame(b"\x03" + statement, 0)
    assert stream.calls == []


def test_the_rest_is_written_later(stream: Any, other: socket.socket) -> None:
    """What the system does not take, in a piece or at all."""
    statement = b"x" * (1 << 22)
    assert stream.start(Query(statement)) is True
    ((name, rest),) = stream.calls
    assert name == "write"
    assert 0 < len(rest) < len(statement)
    whole = frame(b"\x03" + statement, 0)
    assert whole.endswith(rest)
    assert stream.start(Query(b"SELECT 1")) is True
    assert stream.calls[1:] == [("write", READ)]
    sent = bytearray()
    while len(sent) < len(whole) - len(rest):
        sent += other.recv(1 << 20)
    assert bytes(sent) + rest == whole


def test_something_unsent_goes_first(stream: Any, other: socket.socket) -> None:
    stream._unsent += b"before"
    assert stream.start(Query(b"SELECT 1")) is True
    assert stream.calls == [("write", READ)]
    with pytest.raises(BlockingIOError):
        other.recv(1)


def test_queued_bytes_go_along(stream: Any, other: socket.socket) -> None:
    stream.session.start(Command(14))
    assert stream.start(Query(b"SELECT 1")) is True
    assert other.recv(100) == frame(b"\x0e", 0) + READ


def test_a_broken_pipe_is_met_by_the_stream(stream: Any, other: socket.socket) -> None:
    other.close()
    assert stream.start(Query(b"SELECT 1")) is True
    assert stream.calls == [("write", READ)]


def close_socket(stream: Any) -> None:
    stream._sock = None


def closing(stream: Any) -> None:
    stream._closing = True


def broken(stream: Any) -> None:
    stream.session.fail(OperationalError(2006, "gone"))


CLOSED: list[Callable[[Any], None]] = [close_socket, closing, broken]


@pytest.mark.parametrize("close", CLOSED)
def test_start_when_closed(stream: Any, other: socket.socket, close: Callable[..., None]) -> None:
    close(stream)
    query = Query(b"SELECT 1")
    assert stream.start(query) is False
    assert query.session is None
    assert not stream.session.exchanges
    assert stream.calls == []
    with pytest.raises(BlockingIOError):
        other.recv(1)


class Last:
    """Does something when the last reference to it goes."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self.deed = deed

    def __del__(self) -> None:
        self.deed()


@pytest.mark.parametrize("close", [close_socket, closing])
def test_closed_while_the_request_is_made(
    stream: Any, other: socket.socket, close: Callable[..., None]
) -> None:
    """Nothing is sent: the descriptor may be another's."""
    query: Any = Query(b"SELECT 1")
    query.session = Last(lambda: close(stream))  # goes when the session begins the exchange
    assert stream.start(query) is True
    assert stream.calls == [("write", READ)]
    with pytest.raises(BlockingIOError):
        other.recv(1)


def test_a_request_that_raises(stream: Any, other: socket.socket) -> None:
    query: Any = Query(b"SELECT 1")
    query.request = 5
    with pytest.raises(TypeError):
        stream.start(query)
    assert stream.calls == [("not sent", query)]
    stream.raises["not sent"] = StopError("later")
    with pytest.raises(StopError) as caught:
        stream.start(query)
    assert isinstance(caught.value.__context__, TypeError)
    with pytest.raises(BlockingIOError):
        other.recv(1)


def test_a_write_that_raises(stream: Any) -> None:
    stream._unsent += b"before"
    stream.raises["write"] = StopError("why")
    query = Query(b"SELECT 1")
    with pytest.raises(StopError, match="why"):
        stream.start(query)
    assert stream.calls == [("write", READ), ("not sent", query)]


def test_what_is_no_exchange(stream: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        stream.start(object())
    with pytest.raises((TypeError, AttributeError)):
        stream.wait(object())


# -- receiving


def respond(stream: Any, other: socket.socket, data: bytes) -> None:
    other.send(data)
    stream.readable()


def test_a_response(stream: Any, other: socket.socket) -> None:
    query = Query(b"SELECT 1")
    stream.start(query)
    data = frame(ok(affected_rows=3), 1)
    respond(stream, other, data)
    assert query.done
    assert query.results[0].ok.affected_rows == 3
    assert stream.bytes_received == len(data)
    assert stream._end == 0
    assert stream.calls == []


@pytest.mark.parametrize("first", range(1, 11))
def test_a_response_in_pieces(stream: Any, other: socket.socket, first: int) -> None:
    query = Query(b"SELECT 1")
    stream.start(query)
    data = frame(ok(), 1)
    respond(stream, other, data[:first])
    assert not query.done
    assert bytes(stream._view[: stream._end]) == data[first - stream._end : first]
    assert stream.calls == [("look after", stream.session)]
    respond(stream, other, data[first:])
    assert query.done
    assert stream._end == 0
    assert stream.bytes_received == len(data)
    assert len(stream.calls) == 1


def test_responses_with_bytes_left_over(stream: Any, other: socket.socket) -> None:
    queries = [Query(b"SELECT 1"), Query(b"SELECT 1")]
    for query in queries:
        stream.start(query)
    data = frame(ok(), 1)
    respond(stream, other, data + data[:5])
    assert [query.done for query in queries] == [True, False]
    assert stream._end == 5
    assert bytes(stream._view[:5]) == data[:5]
    respond(stream, other, data[5:])
    assert queries[1].done


def test_a_buffer_that_fills_up(stream: Any, other: socket.socket) -> None:
    query = Query(b"SELECT 1")
    stream.start(query)
    message = frame(ok() + b"x" * 2000, 1)
    more = frame(ok(status=8) + b"x" * 2000, 1)
    count = FIRST // len(more) + 1
    payload = ok(status=8) + b"x" * 2000
    data = frames(*[payload] * count, ok())
    assert len(message) == len(more)
    respond(stream, other, data[:FIRST])
    assert "enlarge" in stream.calls
    assert len(stream._view) == 2 * FIRST
    respond(stream, other, data[FIRST:])
    assert query.done
    assert len(query.results) == count + 1


def test_a_fault_is_looked_after(stream: Any, other: socket.socket) -> None:
    query = Query(b"SELECT 1")
    stream.start(query)
    respond(stream, other, frame(ok(), 7))
    assert query.done
    assert isinstance(query.error, InternalError | OperationalError)
    assert stream.calls == [("look after", stream.session)]


def test_unasked(stream: Any, other: socket.socket) -> None:
    respond(stream, other, frame(error(1927, "killed"), 0))
    assert stream.session.error.args == (1927, "killed")
    assert stream.calls == [("look after", stream.session)]


@pytest.mark.parametrize("name", ["look after", "enlarge"])
def test_an_exception_of_the_stream(stream: Any, other: socket.socket, name: str) -> None:
    """The state is unknown: the stream is closed, and nobody is woken."""
    query = Query(b"SELECT 1")
    stream.start(query)
    stream.wait(query)
    stream.raises[name] = StopError("why")
    data = frames(ok(status=8), *[ok(status=8) + b"x" * 2000] * 9)
    other.send(data)
    with pytest.raises(StopError, match="why"):
        stream.readable()
    assert stream.calls[-1] == "abort"
    assert stream.waking is False
    assert stream._waiter.armed


def test_an_exception_of_the_session(stream: Any, other: socket.socket) -> None:
    """Out of a signal's handler, say."""

    def stop() -> None:
        raise StopError("why")

    query = Query(b"SELECT 1")
    stream.start(query)
    query.on_progress = stop
    other.send(frame(ok(), 1))
    with pytest.raises(StopError, match="why"):
        stream.readable()
    assert stream.calls == ["abort"]
    assert isinstance(stream.session.error, InternalError)


def test_an_exception_while_another_is_met(stream: Any, other: socket.socket) -> None:
    stream.session.start(Query(b"SELECT 1"))
    stream.raises["look after"] = StopError("why")
    stream.raises["abort"] = ZeroDivisionError("later")
    other.send(b"x")
    with pytest.raises(ZeroDivisionError) as caught:
        stream.readable()
    assert isinstance(caught.value.__context__, StopError)


def test_nothing_to_read(stream: Any) -> None:
    stream.readable()
    assert stream.calls == []
    assert stream.bytes_received == 0
    stream._sock = None
    stream.readable()
    assert stream.calls == []


def test_the_end(stream: Any, other: socket.socket) -> None:
    other.close()
    stream.readable()
    assert stream.calls == [("lost", None)]


def test_an_error_of_the_socket(stream: Any) -> None:
    with socket.socket() as sock:
        stream._sock = sock
        stream._descriptor = sock.fileno()
    stream.readable()
    ((name, reason),) = stream.calls
    assert name == "lost"
    assert isinstance(reason, OSError)


# -- waiting


def test_wait(stream: Any, other: socket.socket, loop: Any) -> None:
    query = Query(b"SELECT 1")

    async def run() -> None:
        stream.start(query)
        other.send(frame(ok(), 1))
        loop.call_soon(stream.readable)
        await stream.wait(query)
        assert query.done
        assert not query.results[0].error
        await stream.wait(query)  # nothing more comes
        assert not query.has_progress

    loop.run_until_complete(run())
    assert stream._waiter.armed is False
    assert stream.calls == []


def test_the_task_runs_within_the_callback(stream: Any, other: socket.socket, loop: Any) -> None:
    seen: list[Any] = []

    async def run() -> None:
        query = Query(b"SELECT 1")
        stream.start(query)
        await stream.wait(query)
        seen.append(stream.waking)

    def read() -> None:
        other.send(frame(ok(), 1))
        stream.readable()
        seen.append(stream.waking)

    async def main() -> None:
        task = asyncio.ensure_future(run())
        await asyncio.sleep(0)
        loop.call_soon(read)
        await task

    loop.run_until_complete(main())
    assert seen == [True, False]


def test_progress_before_the_wait(stream: Any) -> None:
    query = Query(b"SELECT 1")
    query.has_progress = True
    assert stream.wait(query) is stream._waiter
    assert not query.has_progress
    assert not stream._waiter.armed
    assert stream.wait(query) is stream._waiter
    assert stream._waiter.armed


def test_reading_goes_on_after_a_pause(stream: Any) -> None:
    query = Query(b"SELECT 1", streamed=True)
    stream.start(query)
    stream._reading_paused = True
    stream.wait(query)
    assert stream.calls == ["resume"]
    query.results += [None] * 256  # type: ignore[list-item]
    assert stream.session.paused
    stream._reading_paused = True
    stream.wait(query)
    assert stream.calls == ["resume"]
    stream.raises["resume"] = StopError()
    query.results.clear()
    with pytest.raises(StopError):
        stream.wait(query)


def test_interrupted(stream: Any, loop: Any) -> None:
    told: list[BaseException] = []

    async def main() -> None:
        query = Query(b"SELECT 1")
        stream.start(query)

        async def run() -> None:
            await stream.wait(query, told.append)

        task = asyncio.ensure_future(run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run_until_complete(main())
    assert [type(error) for error in told] == [asyncio.CancelledError]


def test_read_timeout(stream: Any, other: socket.socket) -> None:
    query = Query(b"SELECT 1")
    stream.start(query)
    before = time.monotonic()
    stream.wait(query, None, 3.5)
    assert stream.calls == [("timer", 3.5)]
    assert stream._read_timeout == 3.5
    assert before <= stream._waiting_since <= time.monotonic()
    assert stream._received_at == 0
    respond(stream, other, frame(ok(status=8), 1))
    assert before <= stream._received_at <= time.monotonic()
    stream._silence_timer = "a timer that goes on"
    query.has_progress = False
    stream.calls.clear()
    stream.wait(query, None, 3.5)
    assert stream.calls == []
    query.has_progress = False
    received_at = stream._received_at
    stream.wait(query, None, None)
    assert stream._read_timeout is None
    respond(stream, other, frame(ok(), 2))
    assert stream._received_at == received_at


def test_a_timer_that_can_not_start(stream: Any) -> None:
    query = Query(b"SELECT 1")
    stream.start(query)
    stream.raises["timer"] = StopError("why")
    with pytest.raises(StopError, match="why"):
        stream.wait(query, None, 1.0)


# -- who follows


class Follower:
    """Notes how it was fired."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.fired: list[bool] = []
        self.fails = fails

    def fire(self, at_once: bool) -> None:
        self.fired.append(at_once)
        if self.fails is not None:
            raise self.fails


def test_wake_next(stream: Any, other: socket.socket) -> None:
    first, second, third = Follower(), Follower(), Follower()
    stream.wake_next(first)
    assert first.fired == [False]
    stream.waking = True
    stream.wake_next(second)
    stream.wake_next(third)
    assert (second.fired, third.fired) == ([], [False])
    assert stream.next_waiter is second
    respond(stream, other, b"\0")
    assert second.fired == [True]
    assert stream.next_waiter is None
    assert stream.waking is False


def test_wake_next_waiter_of_ours(stream: Any, loop: Any) -> None:
    async def main() -> None:
        waiter = Waiter(loop, asyncio.CancelledError)
        waiter.arm(None)
        loop.call_soon(stream.wake_next, waiter)
        await waiter

    loop.run_until_complete(main())


def test_a_follower_that_fails(stream: Any, other: socket.socket) -> None:
    stream.next_waiter = Follower(ZeroDivisionError("follower"))
    other.send(b"\0")
    with pytest.raises(ZeroDivisionError, match="follower"):
        stream.readable()
    assert stream.next_waiter is None
    stream.next_waiter = follower = Follower(ZeroDivisionError("follower"))
    stream.session.start(Query(b"SELECT 1"))
    stream.raises["look after"] = StopError("first")
    other.send(b"\0")
    with pytest.raises(ZeroDivisionError) as caught:
        stream.readable()
    assert isinstance(caught.value.__context__, StopError)
    assert follower.fired == [True]
    with pytest.raises(AttributeError):
        stream.wake_next(object())


# -- what may be set


NAMES = [
    "_sock",
    "_unsent",
    "_buffer",
    "_view",
    "next_waiter",
    "_read_timeout",
    "_silence_timer",
]


def use(stream: Any, other: socket.socket) -> None:
    """All that a stream can do, whatever comes of it."""
    query = Query(b"SELECT 1")
    other.send(frame(ok(status=8), 1))
    for act in (
        lambda: stream.start(query),
        lambda: stream.wait(query, None, 1.0),
        stream.readable,
        lambda: stream.received(1),
        lambda: stream.wait(query),
        lambda: stream.wake_next(Follower()),
    ):
        with contextlib.suppress(Exception):
            act()


@pytest.mark.parametrize("value", [1, "x", b"x", None, [], object])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_crashes(stream: Any, other: socket.socket, name: str, value: object) -> None:
    setattr(stream, name, value)
    use(stream, other)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_crashes_without(stream: Any, other: socket.socket, name: str) -> None:
    delattr(stream, name)
    use(stream, other)


@pytest.mark.parametrize("number", [-1, -(2**63), 2**63 - 1, FIRST, FIRST + 1])
def test_no_number_crashes(stream: Any, other: socket.socket, number: int) -> None:
    stream._end = number
    use(stream, other)


@pytest.mark.parametrize("name", ["exchanges", "error"])
def test_a_session_without(stream: Any, other: socket.socket, name: str) -> None:
    delattr(stream.session, name)
    use(stream, other)


def test_a_released_view(stream: Any, other: socket.socket) -> None:
    stream._view.release()
    use(stream, other)
    with pytest.raises(ValueError, match="released"):
        stream.readable() if stream._sock else stream._view.tobytes()


def test_without_init(base: Any, other: socket.socket) -> None:
    made: Any = type("Made", (Recording, base), {})
    use(made.__new__(made), other)
    empty = base.__new__(base)
    for act in (
        lambda: empty.start(Query(b"SELECT 1")),
        lambda: empty.wait(Query(b"SELECT 1")),
        lambda: empty.received(1),
        empty.readable,
    ):
        with pytest.raises((AttributeError, RuntimeError)):
            act()


@pytest.mark.skipif("c" not in CLASSES, reason="the Python implementation looks at nothing")
def test_what_c_refuses(loop: Any) -> None:
    kind, session = CLASSES["c"], Session(ColumnCache("utf8", {}))
    wrong: Any
    for wrong in ((), (session,), (object(), loop), (session, loop, 1)):
        with pytest.raises(TypeError):
            kind(*wrong)
    with pytest.raises(TypeError, match="keyword"):
        kind(session, loop, more=1)
    stream = kind(session, loop)
    with pytest.raises(RuntimeError, match="once"):
        stream.__init__(session, loop)
    for wrong in (-1, 2**63):
        with pytest.raises(ValueError, match="number of bytes|buffer holds|cannot fit"):
            stream.received(wrong)
    with pytest.raises(TypeError):
        stream.received("1")
    for wrong in ((), (1, 2, 3, 4), (object(),)):
        with pytest.raises(TypeError, match="wait takes"):
            stream.wait(*wrong)


def test_nothing_is_kept_alive(base: Any, loop: Any, pair: Pair) -> None:
    made: Any = type("Made", (Recording, base), {})
    stream = made(Session(ColumnCache("utf8", {})), loop, pair[0])
    stream._waiter.arm(stream.note)
    stream.next_waiter = stream
    gone = weakref.ref(stream)
    del stream
    gc.collect()
    assert gone() is None


# -- streams as they are


@pytest.fixture
def real(loop: Any, pair: Pair) -> Any:
    session = Session(ColumnCache("utf8", {}))
    stream = SocketStream(session, loop, pair[0].dup())
    yield stream
    stream._shut()


async def wait_for(stream: SocketStream, query: Query, limit: float | None) -> float:
    """Seconds until the exchange is done."""
    begin = time.monotonic()
    while not query.done:
        await stream.wait(query, None, limit)
    return time.monotonic() - begin


def test_silence(real: SocketStream, other: socket.socket, loop: Any) -> None:
    """The limit counts from the last byte; the timer goes on, and none is left behind."""

    async def main() -> None:
        query = Query(b"SELECT 1")
        assert real.start(query)
        loop.call_later(0.1, other.send, frame(ok(status=8), 1))
        begin = time.monotonic()
        with pytest.raises(QueryTimeout):
            await wait_for(real, query, 0.2)
        assert 0.28 < time.monotonic() - begin < 5
        assert real._silence_timer is None

    loop.run_until_complete(main())


def test_one_timer_for_many_statements(real: SocketStream, other: socket.socket, loop: Any) -> None:
    async def main() -> None:
        timers = set()
        for _ in range(20):
            query = Query(b"SELECT 1")
            assert real.start(query)
            loop.call_soon(other.send, frame(ok(), 1))
            await wait_for(real, query, 30)
            timers.add(real._silence_timer)
        assert len(timers) == 1
        (timer,) = timers
        assert timer is not None
        real.connection_lost(None)
        assert timer.cancelled()
        assert real._silence_timer is None

    loop.run_until_complete(main())


def test_a_timer_that_finds_nobody(real: SocketStream, other: socket.socket, loop: Any) -> None:
    async def main() -> None:
        query = Query(b"SELECT 1")
        assert real.start(query)
        loop.call_soon(other.send, frame(ok(), 1))
        await wait_for(real, query, 0.05)
        assert real._silence_timer is not None
        await asyncio.sleep(0.1)
        assert real._silence_timer is None
        assert not real.closed

    loop.run_until_complete(main())


def test_closed_while_the_timer_runs(real: SocketStream, loop: Any) -> None:
    async def main() -> None:
        query = Query(b"SELECT 1")
        assert real.start(query)
        task = asyncio.ensure_future(wait_for(real, query, 0.2))
        await asyncio.sleep(0)
        timer = real._silence_timer
        real.abort()
        assert await task < 0.15
        assert isinstance(query.error, OperationalError)
        assert timer is not None
        assert timer.cancelled()

    loop.run_until_complete(main())


def test_a_session_that_fails_wakes_who_waits(
    real: SocketStream, other: socket.socket, loop: Any
) -> None:
    async def main() -> None:
        query = Query(b"SELECT 1")
        assert real.start(query)
        loop.call_soon(other.send, frame(ok(), 9))
        await wait_for(real, query, 5)
        assert real.closed
        assert query.error is not None

    loop.run_until_complete(main())
