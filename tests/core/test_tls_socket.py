"""A TLS stream and what its socket's methods give: sockets here are scripted."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymysql.err import OperationalError

from aiomysql_core.implementation import IMPLEMENTATION
from aiomysql_core.transport import tls_stream
from aiomysql_core.transport.stream_state import BUFFER_SIZE, FIRST_BUFFER_SIZE
from aiomysql_core.transport.tls_stream import TlsStream
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from tests.core.conftest import Pair
from tests.scripted import frame, ok

Step = bytes | BaseException | Callable[[], Any]

WANTS_READ = ssl.SSLWantReadError("read")
WANTS_WRITE = ssl.SSLWantWriteError("write")


class ScriptedSocket:
    """Does what an `ssl.SSLSocket` does, as the steps of its scripts say."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        #: What the next calls of `read` and `write` do; without a step a read finds nothing.
        self.reads: list[Step] = []
        self.writes: list[int | BaseException] = []
        self.written: list[bytes] = []
        self.left = 0
        self.goodbyes = 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def read(self, size: int, room: memoryview) -> Any:
        step = self.reads.pop(0) if self.reads else WANTS_READ
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            return step()
        assert size == len(room)
        taken, rest = step[:size], step[size:]
        room[: len(taken)] = taken
        self.left = len(rest)
        if rest:
            self.reads.insert(0, rest)
        return len(taken)

    def pending(self) -> int:
        return self.left

    def write(self, data: Any) -> Any:
        step = self.writes.pop(0) if self.writes else len(data)
        if isinstance(step, BaseException):
            raise step
        self.written.append(bytes(data[:step]))
        return step

    def unwrap(self) -> None:
        self.goodbyes += 1

    def close(self) -> None:
        self._sock.close()


class Recording(TlsStream):
    """Notes how it ended."""

    lost: Any = "not"

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost = exc
        super().connection_lost(exc)


@pytest.fixture
def sock(pair: Pair) -> ScriptedSocket:
    return ScriptedSocket(pair[0])


@pytest.fixture
def stream(loop: Any, sock: Any) -> Iterator[Any]:
    session = Session(ColumnCache("utf8", {}))
    session.capabilities = 0x1000000
    stream = Recording(session, loop, sock)
    yield stream
    stream.abort()
    turn(loop)


def turn(loop: Any) -> None:
    loop.run_until_complete(asyncio.sleep(0))


def started(stream: Any) -> Any:
    query = Query(b"SELECT 1")
    assert stream.start(query)
    return query


OK = frame(ok(), 1)


def test_a_response(stream: Any, sock: Any) -> None:
    query = started(stream)
    assert sock.written == [frame(b"\x03SELECT 1", 0)]
    sock.reads = [OK]
    stream.readable()
    assert query.done
    assert query.error is None
    assert stream.bytes_received == len(OK)
    assert sock.reads == []


def test_a_response_in_pieces(stream: Any, sock: Any) -> None:
    query = started(stream)
    for byte in OK:
        assert not query.done
        sock.reads = [bytes([byte])]
        stream.readable()
    assert query.done
    assert query.error is None


def test_nothing(stream: Any) -> None:
    started(stream)
    stream.readable()
    assert stream.lost == "not"
    assert not stream.closed


@pytest.mark.parametrize("size", [4095, 4096, FIRST_BUFFER_SIZE - 5, FIRST_BUFFER_SIZE, 100_000])
def test_what_the_loop_does_not_see(stream: Any, sock: Any, size: int) -> None:
    """All that the socket has decrypted is read, without another event."""
    query = started(stream)
    sock.reads = [frame(b"\xff\x01\x02#HY000" + b"e" * size, 1)]
    stream.readable()
    for _ in range(3):
        turn(stream.loop)
    assert query.done
    assert query.error.args == (0x201, "e" * size)
    assert sock.reads == []
    assert not stream._look_again


def test_many_records(stream: Any, sock: Any) -> None:
    """Long ones: another is tried after each."""
    query = started(stream)
    whole = frame(b"\xff\x01\x02#HY000" + b"e" * 100_000, 1)
    sock.reads = [whole[at : at + 5000] for at in range(0, len(whole), 5000)]
    turns = 0
    while sock.reads:
        stream.readable()
        turn(stream.loop)
        turns += 1
    assert turns <= 4
    assert query.done
    assert query.error.args == (0x201, "e" * 100_000)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ssl.SSLError(1, "bad record mac"), "bad record mac"),
        (ConnectionResetError("gone"), "gone"),
        (ssl.SSLEOFError("ragged"), "ragged"),
        (ssl.SSLZeroReturnError("closed"), "closed"),
        (ValueError("Read on closed or unwrapped SSL socket."), "unwrapped"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("before", [[], [OK[:5]]], ids=["alone", "behind bytes"])
def test_an_error(
    stream: Any, sock: Any, before: list[bytes], error: Exception, shown: str
) -> None:
    query = started(stream)
    sock.reads = [*before, error]
    for _ in sock.reads[:]:
        assert stream.lost == "not"
        stream.readable()
    assert isinstance(stream.lost, OSError)
    assert shown in str(stream.lost)
    assert isinstance(query.error, OperationalError)
    assert query.error.args[0] == 2013
    assert stream.closed


def test_an_error_right_behind_a_long_piece(stream: Any, sock: Any, loop: Any) -> None:
    """What came is delivered, and the error after it, without a word from the event loop."""
    query = started(stream)
    sock.reads = [frame(b"\xff" + b"\x01\x02#HY000" + b"e" * 5000, 1), ssl.SSLError(1, "bad mac")]
    stream.readable()
    for _ in range(2):
        turn(loop)
    assert query.done
    assert query.error.args[0] == 0x201
    assert "bad mac" in str(stream.lost)


def test_the_end(stream: Any, sock: Any) -> None:
    query = started(stream)
    sock.reads = [b""]
    stream.readable()
    assert stream.lost is None
    assert query.error.args[0] == 2013


@pytest.mark.parametrize("result", [None, "x", 1.5])
def test_no_number(stream: Any, sock: Any, result: Any) -> None:
    started(stream)
    sock.reads = [lambda: result]
    with pytest.raises((TypeError, AssertionError)):
        stream.readable()


@pytest.mark.skipif(IMPLEMENTATION != "c", reason="Python can't read beyond a buffer")
@pytest.mark.parametrize("result", [-1, -(2**70), 2**70, 2**31, FIRST_BUFFER_SIZE + 1])
def test_numbers_that_no_socket_gives(stream: Any, sock: Any, result: int) -> None:
    started(stream)
    sock.reads = [lambda: result]
    with contextlib.suppress(ValueError):
        stream.readable()
    assert stream.closed


def test_a_callback_is_short(stream: Any, sock: Any) -> None:
    """However much there is to be read, and wherever it goes."""
    query = started(stream)
    sock.reads = [frame(b"\xff\x01\x02#HY000" + b"e" * 3_000_000, 1)]
    callbacks, before = 0, 0
    while not query.done:
        stream.readable()
        assert stream.bytes_received - before <= BUFFER_SIZE
        before = stream.bytes_received
        callbacks += 1
    assert callbacks > 10


def test_closed_while_it_reads(stream: Any, sock: Any) -> None:
    query = started(stream)

    def close() -> int:
        stream.abort()
        return 0

    sock.reads = [close]
    stream.readable()
    turn(stream.loop)
    assert query.error.args[0] == 2013


def test_closed_by_what_is_read(stream: Any, sock: Any) -> None:
    """A task that the response resumes may close the stream; nothing is read after that."""
    query = started(stream)
    query.on_progress = stream.abort
    sock.reads = [OK.ljust(5000, b"\0"), OK]
    stream.readable()
    assert stream.closed
    assert sock.reads[-1:] == [OK][: len(sock.reads)]


# -- writing


def test_a_write_that_is_tried_again(stream: Any, sock: Any) -> None:
    """With the same bytes, and before what comes later."""
    sock.writes = [WANTS_WRITE] * 9
    query = started(stream)
    request = frame(b"\x03SELECT 1", 0)
    assert stream._unsent == request
    assert stream.writing_paused
    stream._write(b"later")
    stream._writable()
    assert sock.written == []
    assert sock.writes
    sock.writes.clear()
    stream._writable()
    assert sock.written == [request + b"later"]
    assert not stream.writing_paused
    assert not query.done


def test_a_write_that_waits_for_a_read(stream: Any, sock: Any, loop: Any) -> None:
    """TLS 1.2 does a new handshake, and the socket can be written to all the time."""
    sock.writes = [WANTS_READ, WANTS_READ, WANTS_READ]
    query = started(stream)
    for _ in range(5):
        turn(loop)
    assert len(sock.writes) <= 1  # it was not tried at each turn
    sock.writes = []
    turn(loop)
    assert sock.written == []
    stream.readable()  # the handshake goes on
    turn(loop)
    turn(loop)
    assert sock.written == [frame(b"\x03SELECT 1", 0)]
    sock.reads = [OK]
    stream.readable()
    assert query.done
    assert query.error is None


def test_a_read_that_waits_for_a_write(stream: Any, sock: Any, loop: Any) -> None:
    query = started(stream)
    sock.reads = [WANTS_WRITE, OK]
    stream.readable()
    assert not query.done
    turn(loop)
    turn(loop)
    assert query.done
    assert query.error is None
    turn(loop)
    assert sock.written == [frame(b"\x03SELECT 1", 0)]  # and no empty record


def test_a_long_request_is_encrypted_in_parts(stream: Any, sock: Any, loop: Any) -> None:
    text = b"x" * (3 * tls_stream._MOST_WRITTEN)
    query = Query(text)
    assert stream.start(query)
    while stream._unsent:
        turn(loop)
    assert b"".join(sock.written) == frame(b"\x03" + text, 0)
    assert max(map(len, sock.written)) == tls_stream._MOST_WRITTEN


@pytest.mark.parametrize("error", [BrokenPipeError("gone"), ssl.SSLError(1, "no"), ValueError("x")])
def test_an_error_while_it_writes(stream: Any, sock: Any, loop: Any, error: Exception) -> None:
    """What the server said before is read first."""
    query: Any = Query(b"SELECT 1")
    sock.writes = [error, error]
    sock.reads = [frame(b"\xff\x01\x02#HY000too long", 1)]
    assert stream.start(query)
    turn(loop)
    assert query.error.args == (0x201, "too long")
    assert str(error) in str(stream.lost)


def test_an_error_that_is_no_socket_s(stream: Any, sock: Any) -> None:
    sock.writes = [KeyError("x")]
    with pytest.raises(KeyError):
        stream.start(Query(b"SELECT 1"))
    assert stream.closed  # the request may be sent in part


def test_goodbye(stream: Any, sock: Any, loop: Any) -> None:
    started(stream)
    sock.writes = [WANTS_WRITE]
    stream._write(b"quit")
    stream.close()
    assert not sock.goodbyes
    assert stream.closed
    stream._writable()
    assert sock.goodbyes == 1
    assert sock.written[-1] == b"quit"
    assert sock.fileno() == -1


def test_no_goodbye_after_an_abort(stream: Any, sock: Any) -> None:
    stream.abort()
    assert not sock.goodbyes
    assert sock.fileno() == -1


def test_closed_while_a_write_waits_for_a_read(stream: Any, sock: Any) -> None:
    """Nothing would be read any more, so it would wait for ever."""
    sock.writes = [WANTS_READ]
    started(stream)
    stream.close()
    assert sock.fileno() == -1


def test_paused_and_resumed(stream: Any, sock: Any, loop: Any) -> None:
    """What the socket holds is read after a pause although the event loop does not see it."""
    started(stream)
    stream._reading_paused = True
    stream._pause_reading()
    stream._look_again = True
    sock.reads = [OK]
    stream.resume()
    turn(loop)
    turn(loop)
    assert sock.reads == []
    assert stream.bytes_received == len(OK)
