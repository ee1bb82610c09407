"""The compressed protocol, without a server: what is sent, what is read, what is refused."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from pymysql.constants import COMMAND
from pymysql.err import InternalError, OperationalError

from aiomysql_protocol.commands.exchange import Command
from aiomysql_protocol.commands.query import STREAM_HIGH_WATER, Query
from aiomysql_protocol.session import Session
from aiomysql_protocol.wire.capabilities import MAX_FRAME
from aiomysql_protocol.wire.compression import ALGORITHMS, algorithm
from aiomysql_protocol.wire.errors import MalformedPacket
from tests import scripted
from tests.compressed import (
    compressed,
    compressed_frame,
    compressed_frames,
    read_frames,
    stored,
)
from tests.hostile.compression_scripts import HOSTILE, PACKETS, ROWS
from tests.hostile.response_scripts import EOF, column
from tests.protocol.blocking import new_session, outcome

#: Bytes of a read, as the streams have it.
READ = 1 << 18


def started(name: str = "zlib", level: int | None = None, max_payload: int = 1 << 30) -> Session:
    """A session behind its log-in."""
    session = new_session(max_payload)
    session.start_compression(algorithm(name, level))
    return session


def ask(session: Session, *, streamed: bool = False) -> Query:
    query = Query(b"SELECT 1", streamed=streamed)
    session.start(query)
    session.data_to_send()
    return query


def feed(session: Session, data: bytes) -> None:
    """As a stream does: what was left is read on while no result is paused."""
    buffer = bytearray()
    for start in range(0, len(data), READ):
        buffer += data[start : start + READ]
        del buffer[: session.receive(buffer, 0, len(buffer))]
        while session.has_more and not session.paused:
            assert session.receive(buffer, 0, 0) == 0


def most_memory(session: Session, data: bytes) -> int:
    """The most bytes that were in use while it was fed."""
    tracemalloc.start()
    try:
        feed(session, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -- reading ---------------------------------------------------------------------------------


def one_frame(name: str) -> bytes:
    return compressed(ROWS, 1, name)


def many_frames(name: str) -> bytes:
    return compressed_frames(ROWS, size=60, name=name)


def stored_frames(name: str) -> bytes:
    parts = [ROWS[start : start + 3] for start in range(0, len(ROWS), 3)]
    return b"".join(stored(part, number) for number, part in enumerate(parts, 1))


def numbered_as_frames(name: str) -> bytes:
    """As servers do it who have sent all they had before each of the last packets."""
    begin = scripted.frames(*PACKETS[:3])
    frames = [compressed(begin, 1, name)]
    for number, payload in enumerate(PACKETS[3:], 2):
        frames.append(compressed(scripted.frame(payload, number), number, name))
    return b"".join(frames)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("way", [one_frame, many_frames, stored_frames, numbered_as_frames])
def test_cut_at_every_byte(way: Callable[[str], bytes], name: str) -> None:
    plain = new_session()
    wanted = ask(plain)
    plain.receive(bytearray(ROWS), 0, len(ROWS))
    data = way(name)
    cuts = [[data[:at], data[at:]] for at in range(len(data))]
    cuts.append([data[at : at + 1] for at in range(len(data))])
    for pieces in cuts:
        session = started(name)
        query = ask(session)
        for piece in pieces:
            feed(session, piece)
        assert session.error is None
        assert outcome(query) == outcome(wanted)


def test_frames_that_begin_and_end_anywhere() -> None:
    more = scripted.ok(status=8)
    packets = scripted.frames(more, more, more, scripted.ok())
    for size in range(1, len(packets)):
        session = started()
        query = ask(session)
        feed(session, compressed_frames(packets, size=size))
        assert session.error is None
        assert query.done
        assert len(query.results) == 4


def test_several_exchanges_outstanding() -> None:
    """Each has numbers of its own."""
    session = started()
    queries = [ask(session) for _ in range(3)]
    feed(session, compressed_frames(ROWS, size=50) * 3)
    assert session.error is None
    assert [query.done for query in queries] == [True] * 3


def test_response_to_a_request_of_several_frames() -> None:
    """Its numbers follow those of the request's frames, those of its packets too."""
    session = started()
    query = Query(b"SELECT '" + random.Random(1).randbytes(3 << 20).hex().encode() + b"'")
    session.start(query)
    count = len(read_frames(session.data_to_send()))
    assert count > 2
    packets = scripted.frames(*PACKETS, first=count)
    feed(session, compressed(packets, count))
    assert session.error is None
    assert query.done


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("is_random", [False, True])
def test_long_cells(name: str, is_random: bool) -> None:
    """They take no more memory than without compression, however long the frames are."""
    cell = random.Random(1).randbytes(1 << 20) * 20 if is_random else bytes(20 << 20)
    row = b"\xfe" + len(cell).to_bytes(8, "little") + cell
    packets = scripted.frames(b"\x01", column(collation=63), EOF, row[:MAX_FRAME], row[MAX_FRAME:])
    packets += scripted.frame(EOF, 6)
    plain = new_session()
    ask(plain)
    as_usual = most_memory(plain, packets)
    session = started(name)
    query = ask(session)
    most = most_memory(session, compressed_frames(packets, size=MAX_FRAME - 9999, name=name))
    assert session.error is None
    assert query.results[0].rows == [(cell,)]
    assert most < as_usual + (1 << 21)


def test_little_that_holds_much() -> None:
    """A streamed result that nobody takes is paused, although all of it has come."""
    row = b"\xfc\xe8\x03" + b"x" * 1000
    packets = [b"\x01", column(), EOF, *[row] * 20_000, EOF]
    data = compressed_frames(scripted.frames(*packets), size=1 << 20, name="zstd")
    assert len(data) < READ
    session = started("zstd")
    query = ask(session, streamed=True)
    buffer = bytearray(data)
    session.receive(buffer, 0, len(buffer))
    assert session.paused
    assert session.has_more
    assert query.stored < 2 * STREAM_HIGH_WATER
    count = 0
    while not query.done:
        count += len(query.take_rows(query.results[0]))
        session.receive(buffer, 0, 0)
    assert count + len(query.take_rows(query.results[0])) == 20_000
    assert session.error is None
    assert not session.has_more


def test_other_work_goes_on_meanwhile() -> None:
    """All of a response may have come, but it is not read in one go."""
    row = b"\xfc\xe8\x03" + b"x" * 1000
    data = compressed(scripted.frames(b"\x01", column(), EOF, *[row] * 9000, EOF), 1)
    session = started()
    query = ask(session)
    buffer = bytearray(data)
    session.receive(buffer, 0, len(buffer))
    turns = 1
    while session.has_more:
        assert not session.paused
        session.receive(buffer, 0, 0)
        turns += 1
    assert query.done
    assert 5 < turns < 12


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_frames(name: str) -> None:
    data, words = HOSTILE[name]
    for size in (len(data), 1, 7):
        session = started()
        ask(session)
        for start in range(0, len(data), size):
            feed(session, data[start : start + size])
        with pytest.raises((InternalError, OperationalError), match=words):
            raise session.error or AssertionError("no error")
        assert not session.exchanges
        assert not session.has_more


def zstd() -> Any:
    try:
        return import_module("compression.zstd")
    except ImportError:
        return import_module("backports.zstd")


def wide_window() -> bytes:
    parameters = {zstd().CompressionParameter.window_log: 27}
    compressor = zstd().ZstdCompressor(options=parameters)
    return bytes(compressor.compress(bytes(1000)) + compressor.flush())


@pytest.mark.parametrize(
    ("content", "size", "words"),
    [
        (b"garbage" * 9, 200, "inflated"),
        (algorithm("zstd").compress(ROWS)[:-3], len(ROWS), "not as long"),
        (algorithm("zstd").compress(ROWS) + b"x", len(ROWS), "not as long"),
        (algorithm("zstd").compress(ROWS) * 2, len(ROWS) * 2, "not as long"),
        (algorithm("zstd").compress(ROWS), len(ROWS) - 1, "longer"),
        (algorithm("zstd").compress(bytes(1 << 24)), 1, "longer"),
        (b"\x50\x2a\x4d\x18\x04\0\0\0abcd", 4, "not as long"),  # a frame to be skipped
        (wide_window(), 1000, "inflated"),
    ],
)
def test_hostile_zstd(content: bytes, size: int, words: str) -> None:
    session = started("zstd")
    ask(session)
    feed(session, compressed_frame(content, 1, size))
    assert isinstance(session.error, MalformedPacket)
    assert words in str(session.error)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_bombs(name: str) -> None:
    """Memory is taken for what is wanted only."""
    bomb = algorithm(name).compress(bytes(0xFFFFFF))
    session = started(name)
    ask(session)
    assert most_memory(session, compressed_frame(bomb, 1, 1)) < 1 << 21
    assert isinstance(session.error, MalformedPacket)
    # Frames as announced, but a packet longer than what is taken.
    session = started(name, max_payload=1 << 20)
    ask(session)
    head = scripted.frames(b"\x01", column(), EOF) + b"\xff\xff\xff\x04"
    data = compressed(head, 1) if name == "zlib" else stored(head, 1)
    data += b"".join(compressed_frame(bomb, number, 0xFFFFFF) for number in range(2, 30))
    assert most_memory(session, data) < 1 << 22
    with pytest.raises(OperationalError, match="max_allowed_packet"):
        raise session.error or AssertionError("no error")


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no Exception goes on its way, and the session is broken."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    session = started()
    ask(session)
    monkeypatch.setattr(Session, "_check_compressed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        feed(session, one_frame("zlib"))
    assert isinstance(session.error, InternalError)


# -- sending ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("size", [1, 40, 49, 60, 5000, 1 << 20, MAX_FRAME - 1, MAX_FRAME, 40 << 20])
def test_requests(name: str, size: int) -> None:
    """What arrives is what goes without compression, in frames that follow each other."""
    payload = bytes([COMMAND.COM_QUERY]) + b"q" * (size - 1)
    plain = new_session()
    plain.start(Command(payload[0], payload[1:]))
    wanted = plain.data_to_send()
    session = started(name)
    for _ in range(2):  # each begins with 0
        session.start(Command(payload[0], payload[1:]))
        sent = session.data_to_send()
        found = read_frames(sent, name)
        assert b"".join(content for _, content in found) == wanted
        assert [number for number, _ in found] == [n % 256 for n in range(len(found))]
        assert len(sent) < size / 100 + 200 * len(found)


def test_what_does_not_shrink_goes_as_it_is() -> None:
    session = started()
    data = random.Random(1).randbytes(3 << 20)
    session.start(Command(COMMAND.COM_QUERY, data))
    sent = session.data_to_send()
    assert len(sent) < len(data) + 100
    session.start(Command(COMMAND.COM_PING))
    assert session.data_to_send() == stored(scripted.frame(b"\x0e", 0), 0)


def test_file_goes_on_with_the_numbers() -> None:
    session = started()
    query = Query(b"LOAD DATA LOCAL ...", local_files={b"f": (None,)})
    session.start(query)
    session.data_to_send()
    feed(session, stored(scripted.frame(b"\xfbf", 1), 1))
    assert query.take_file() is None
    for _ in range(300):
        query.send_file(b"x" * 100)
    query.send_file(b"")
    frames = read_frames(session.data_to_send())
    assert [number for number, _ in frames] == [n % 256 for n in range(2, 303)]
    assert frames[-1][1] == scripted.frame(b"", 302)
    last = frames[-1][0] + 1
    feed(session, stored(scripted.frame(scripted.ok(affected_rows=7), last), last))
    assert query.done
    assert query.results[0].affected_rows == 7
    assert session.error is None


def test_levels() -> None:
    data = random.Random(1).randbytes(20_000).hex().encode()
    for name, levels in (("zlib", (1, 6, 9)), ("zstd", (1, 3, 22))):
        for level in levels:
            sent = algorithm(name, level).compress(data)
            assert algorithm(name).inflater().decompress(sent, 1 << 20) == data
        assert algorithm(name).compress(data) == algorithm(name, levels[1]).compress(data)
    assert algorithm("zlib", 22).compress(data) == algorithm("zlib", 9).compress(data)
