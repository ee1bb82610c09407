"""Payloads too long for the receive buffer: gathered, received in place, and read as rows."""

from __future__ import annotations

import gc
import struct
from collections.abc import Callable
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE
from pymysql.err import InternalError, MySQLError

from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.implementation import IMPLEMENTATION
from aiomysql_protocol.login import handshake
from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellKind
from aiomysql_protocol.wire import payloads
from aiomysql_protocol.wire.errors import MalformedPacket
from aiomysql_protocol.wire.payloads import LongPayload, whole_payload
from tests import scripted

from .blocking import new_session
from .row_bytes import (
    binary_implementation,
    binary_payload,
    implementation,
    part,
    payload,
    plan,
)

KIND = CellKind
BYTES, TEXT, INT = plan(KIND.BYTES, None), plan(KIND.TEXT), plan(KIND.INT)
LONG = bytes(range(256)) * 300  # 75 KiB

MakePayload = Callable[[], payloads.LongPayload]


@pytest.fixture(params=["c", "python"])
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def new(name: str) -> MakePayload:
    found: MakePayload = part(name, payloads, "LongPayload")
    return found


@pytest.fixture
def c_payload() -> MakePayload:
    """The one in C, which has room."""
    found: MakePayload = part("c", payloads, "LongPayload")
    return found


def gathered(new: MakePayload, data: bytes, step: int = 1 << 16) -> payloads.LongPayload:
    made = new()
    for start in range(0, len(data), step):
        made.gather(data, start, min(len(data), start + step))
    return made


def test_gathered_bytes(new: MakePayload) -> None:
    made = new()
    assert len(made) == 0
    assert not made
    assert bytes(made) == b""
    made.gather(bytearray(b"..abc.."), 2, 5)
    made.gather(b"", 0, 0)
    made.gather(b"defg", 0, 4)
    assert len(made) == 7
    assert bytes(made) == b"abcdefg"
    assert (made[0], made[6], made[-1], made[-7]) == (97, 103, 103, 97)
    slices = [bytes(piece) for piece in (made[:2], made[5:], made[-3:-1], made[9:])]
    assert slices == [b"ab", b"fg", b"ef", b""]
    for index in (7, -8):
        with pytest.raises(IndexError):
            made[index]


def test_no_room_in_python() -> None:
    made = payloads.PyLongPayload()
    assert made.room(10) is None
    with pytest.raises(ValueError, match="no room"):
        made.fill(1)


def test_room(c_payload: MakePayload) -> None:
    made = gathered(c_payload, b"abc")
    for text in (b"defg", b"h"):
        view = made.room(100)
        assert view is not None
        assert len(view) == 100
        view[: len(text)] = text
        view.release()
        assert not bytes(made).endswith(text)
        made.fill(len(text))
    made.gather(b"ij", 0, 2)
    assert bytes(made) == b"abcdefghij"


def test_room_grows_with_what_is_there(c_payload: MakePayload) -> None:
    """Whoever announces much gets no memory for it."""
    made = c_payload()
    for expected in (1 << 20, 1 << 20, 2 << 20, 4 << 20):
        view = made.room(1 << 30)
        assert view is not None
        assert len(view) == expected
        view.release()
        made.fill(expected)
    assert len(made) == 8 << 20


@pytest.mark.parametrize("count", [-1, 6, 1 << 40])
def test_more_than_there_is_room(c_payload: MakePayload, count: int) -> None:
    made = gathered(c_payload, b"abc")
    with pytest.raises(ValueError, match="no room"):
        made.fill(count)
    view = made.room(5)
    assert view is not None
    view.release()
    with pytest.raises(ValueError, match="no room"):
        made.fill(count)
    made.fill(5)
    assert len(made) == 8


def test_misuse_of_room(c_payload: MakePayload) -> None:
    made: Any = c_payload()
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="limit"):
            made.room(wrong)
    for start, stop in ((-1, 1), (2, 1), (0, 4)):
        with pytest.raises(ValueError, match="within the buffer"):
            made.gather(b"abc", start, stop)
    for call in (made.room, made.fill):
        with pytest.raises(TypeError):
            call("5")
    with pytest.raises(TypeError):
        made.gather(b"abc", 0)
    with pytest.raises(TypeError):
        made.gather("abc", 0, 1)
    with pytest.raises(ValueError, match="step"):
        made[::2]
    assert len(made) == 0


def test_a_view_holds_the_bytes_in_their_place(c_payload: MakePayload) -> None:
    made = gathered(c_payload, b"abc")
    view = memoryview(made)
    assert view.readonly
    with pytest.raises(BufferError):
        made.gather(b"d", 0, 1)
    with pytest.raises(BufferError):
        made.room(1)
    assert bytes(view) == b"abc"
    view.release()
    made.gather(b"d", 0, 1)
    assert bytes(made) == b"abcd"


# Rows

SHAPES: list[tuple[list[Any], list[bytes | None]]] = [
    ([BYTES], [LONG]),
    ([BYTES], [b"short"]),
    ([INT, BYTES, TEXT], [b"17", LONG, b"caf\xc3\xa9"]),
    ([BYTES, BYTES, BYTES], [LONG, LONG + b"!", LONG[:-1]]),
    ([TEXT, BYTES], [b"x" * 70_000, None]),
    ([TEXT, BYTES], [b"x" * 90_000, LONG]),
    ([BYTES, INT], [LONG, None]),
    ([plan(KIND.CONVERT, None, lambda raw: [len(raw)]), BYTES], [LONG, LONG]),
]


@pytest.mark.parametrize(("plans", "cells"), SHAPES)
def test_long_rows(name: str, new: MakePayload, plans: list[Any], cells: list[Any]) -> None:
    decoder = implementation(name)(plans)
    data = payload(*cells)
    row = decoder.decode_row(gathered(new, data))
    assert row == decoder.decode_row(data)
    assert [type(value) for value in row] == [type(value) for value in decoder.decode_row(data)]
    gc.collect()
    assert row == decoder.decode_row(data)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_long_binary_rows(name: str, new: MakePayload, position: int) -> None:
    plans = [BinaryPlan(FIELD_TYPE.LONG, INT), BinaryPlan(FIELD_TYPE.VAR_STRING, TEXT)]
    cells: list[bytes | None] = [(-5).to_bytes(4, "little", signed=True), None]
    plans.insert(position, BinaryPlan(FIELD_TYPE.LONG_BLOB, BYTES))
    cells.insert(position, LONG)
    decoder = binary_implementation(name)(plans)
    data = binary_payload(plans, cells)
    row = decoder.decode_row(gathered(new, data))
    assert row == decoder.decode_row(data)
    assert row[position] == LONG


@pytest.mark.parametrize(
    "wrong",
    [
        payload(LONG)[:-1],
        payload(LONG) + b"\5",
        payload(LONG),
        payload(LONG, b"1", b"2"),
        b"\xff" + LONG,
        b"\xfe" + b"\xff" * 8 + LONG,
    ],
)
def test_long_rows_that_are_malformed(name: str, new: MakePayload, wrong: bytes) -> None:
    decoder = implementation(name)([BYTES, INT])
    with pytest.raises(MalformedPacket) as caught:
        decoder.decode_row(gathered(new, wrong))
    with pytest.raises(MalformedPacket) as expected:
        decoder.decode_row(wrong)
    assert str(caught.value) == str(expected.value)


def test_a_value_that_cannot_be_read_beside_a_long_one(name: str, new: MakePayload) -> None:
    decoder = implementation(name)([BYTES, plan(KIND.DECIMAL)])
    data = payload(LONG, b"no number")
    with pytest.raises(Exception, match="col") as expected:
        decoder.decode_row(data)
    with pytest.raises(type(expected.value), match="col"):
        decoder.decode_row(gathered(new, data))


def test_the_value_is_the_payloads_own_memory(c_payload: MakePayload) -> None:
    decoder = implementation("c")([INT, BYTES])
    made = gathered(c_payload, payload(b"1", LONG))
    assert decoder.decode_row(made) == (1, LONG)
    assert len(made) == 0
    made.gather(b"again", 0, 5)
    assert bytes(made) == b"again"


def test_a_value_is_copied_while_there_is_a_view(c_payload: MakePayload) -> None:
    decoder = implementation("c")([BYTES])
    data = payload(LONG)
    made = gathered(c_payload, data)
    with memoryview(made) as view:
        assert decoder.decode_row(made) == (LONG,)
        assert bytes(view) == data
    assert decoder.decode_row(made) == (LONG,)


def test_a_converter_that_reads_the_same_payload(c_payload: MakePayload) -> None:
    inner = implementation("c")([BYTES, BYTES])
    made = gathered(c_payload, payload(b"1", LONG))

    def convert(_: Any) -> Any:
        with pytest.raises(BufferError):
            made.gather(LONG, 0, 10)
        return inner.decode_row(made)[1]

    decoder = implementation("c")([plan(KIND.CONVERT, None, convert), BYTES])
    assert decoder.decode_row(made) == (LONG, LONG)


# The session


def response(cell: bytes, *, frame: int = 0xFFFFFF) -> bytes:
    """A result set with one cell, in frames of `frame` bytes at most."""
    row = payload(cell)
    pieces = [row[at : at + frame] for at in range(0, len(row) + 1, frame)]
    column = b"\x03def\x00\x00\x00\x01a\x00\x0c\x3f\x00\xff\xff\xff\xff\xfb\x80\x00\x00\x00\x00"
    end = b"\xfe\x00\x00\x02\x00"
    return scripted.frames(b"\x01", column, end, *pieces, end)


@pytest.mark.skipif(IMPLEMENTATION != "c", reason="only the C implementation has room")
@pytest.mark.parametrize("size", [70_000, 400_000, (1 << 24) - 6, (1 << 24) - 5, (2 << 24) + 11])
@pytest.mark.parametrize("chunk", [100_000, 1 << 30])
def test_bytes_that_are_put_where_they_belong(size: int, chunk: int) -> None:
    cell = (LONG * (size // len(LONG) + 1))[:size]
    data = memoryview(response(cell))
    session = new_session()
    query = Query(b"SELECT 1")
    session.start(query)
    buffer = bytearray(1 << 17)
    position = end = in_place = 0
    while position < len(data):
        room = session.room()
        if room is None:
            count = min(len(buffer) - end, chunk, len(data) - position)
            buffer[end : end + count] = data[position : position + count]
            end += count
            consumed = session.receive(buffer, 0, end)
            buffer[: end - consumed] = buffer[consumed:end]
            end -= consumed
        else:
            assert end == 0
            long_payload, view = room
            count = min(len(view), chunk, len(data) - position)
            view[:count] = data[position : position + count]
            view.release()
            assert session.receive(long_payload, 0, count) == count
            in_place += count
        position += count
        assert session.error is None
    assert query.done
    assert query.results[0].rows == [(cell,)]
    assert in_place > size - (len(buffer) + (1 << 16)) * (1 + size // 0xFFFFFF)
    assert session.room() is None


@pytest.mark.skipif(IMPLEMENTATION != "c", reason="only the C implementation has room")
def test_a_view_that_was_not_released() -> None:
    """The session breaks; it doesn't read what is not there."""
    session = new_session()
    query = Query(b"SELECT 1")
    session.start(query)
    data = bytearray(response(LONG * 40))
    assert session.receive(data, 0, 100_000) == 100_000
    room = session.room()
    assert room is not None
    assert isinstance(room[0], LongPayload)
    session.receive(data, 100_000, len(data) - 100_000)
    assert isinstance(session.error, InternalError)
    assert isinstance(query.error, InternalError)
    assert session.room() is None
    room[1].release()


def test_no_room_without_a_long_payload() -> None:
    session = new_session()
    assert session.room() is None
    session.start(Query(b"SELECT 1"))
    assert session.room() is None
    session.receive(bytearray(response(LONG)), 0, 70_000)
    assert session.room() is None
    session.connection_lost()
    assert session.room() is None


# -- what a log-in is read with --------------------------------------------------------------------


def test_a_whole_payload_is_read_where_it_stands() -> None:
    data = bytearray(b"??\x03\x00\x00\x07abc\x00\x00\x00\x08!")
    for read in (whole_payload, payloads.whole_payload):
        assert read(data, 2, len(data), 7) == b"abc"
        assert read(data, 9, len(data), 8) == b""
        assert read(bytes(data), 2, 9, 7) == b"abc"
        for end in range(2, 9):
            assert read(data, 2, end, 7) is None
        assert read(data, 2, len(data), 8) is None
        goes_on = bytearray(b"\xff\xff\xff\x00" + bytes(0xFFFFFF))
        assert read(goes_on, 0, len(goes_on), 0) is None


@pytest.mark.skipif(IMPLEMENTATION != "c", reason="there is one in C")
def test_whole_payload_refuses_positions_outside_of_the_buffer() -> None:
    for position, end in ((-1, 3), (2, 1), (0, 9)):
        with pytest.raises(ValueError, match="within the buffer"):
            whole_payload(bytearray(8), position, end, 0)


@pytest.mark.skipif(IMPLEMENTATION != "c", reason="there is one in C")
def test_greetings_cut_anywhere_are_read_as_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(payload: bytes) -> object:
        try:
            return handshake.parse_greeting(payload)
        except MySQLError as error:
            return type(error), error.args

    nonce = bytes(range(1, 21))
    fields = struct.pack("<I8sxHBHHB6xI", 7, nonce[:8], 0xFFFE, 45, 2, 0x81FF, 21, 0x1D)
    whole = b"\x0a11.8.2-MariaDB\0" + fields + nonce[8:] + b"\0mysql_native_password\0"
    cases = [whole[:size] for size in range(len(whole) + 1)]
    for at in range(len(whole)):
        cases += [whole[:at] + bytes([byte]) + whole[at + 1 :] for byte in (0, 1, 0x41, 0x80, 255)]
    in_c = [outcome(case) for case in cases]
    monkeypatch.setattr(handshake, "read_greeting", handshake.py_read_greeting)
    assert in_c == [outcome(case) for case in cases]
    assert in_c[len(whole)] == handshake.Greeting(
        10, "11.8.2-MariaDB", 7, 0x1D_81FF_FFFE, 45, 2, nonce, "mysql_native_password"
    )
