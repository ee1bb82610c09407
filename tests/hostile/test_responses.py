"""Hostile responses: a DB-API error within a second, and the connection closed."""

from __future__ import annotations

import asyncio
import contextlib
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE

from aiomysql_core import (
    Connection,
    Cursor,
    DataError,
    DictCursor,
    MySQLError,
    SSCursor,
    SSDictCursor,
    connect,
)
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from tests.hostile.peer import FILE, PASSWORD, Peer, Script, assert_nothing_given_away, playing
from tests.hostile.response_scripts import EOF, MORE, RESPONSES, Case, column
from tests.protocol.blocking import new_session
from tests.scripted import CAPABILITIES, frame, frames, greeting, ok
from tests.scripted_tls import CLIENT_OPTIONS

# Nothing here depends on them.
PATIENT: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 5}


def script(*responses: bytes, hang_up: bool = False, deprecate_eof: bool = False) -> Script:
    """A good log-in and SET, then one response for each request."""
    flags = CAPABILITIES | (DEPRECATE_EOF if deprecate_eof else 0)
    hello = frame(greeting(capabilities=flags), 0)
    return Script([hello, frame(ok(), 2), frames(ok()), *responses], hang_up)


async def opened(peer: Peer, **options: Any) -> Connection:
    return await connect(
        host="127.0.0.1",
        port=peer.port,
        user="u",
        password=PASSWORD,
        autocommit=None,
        **{**PATIENT, **(CLIENT_OPTIONS if peer.tls else {}), **options},
    )


async def everything(connection: Connection, cursorclass: type[Cursor]) -> None:
    """Ask, read all results, and ask again."""
    async with connection.cursor(cursorclass) as cursor:
        await cursor.execute("SELECT 'all' FROM t")
        await cursor.fetchall()
        while await cursor.nextset():
            await cursor.fetchall()
    await connection.ping(reconnect=False)


@pytest.mark.parametrize("cursorclass", [Cursor, SSCursor])
@pytest.mark.parametrize("name", RESPONSES)
async def test_hostile_response(name: str, cursorclass: type[Cursor]) -> None:
    await meet(RESPONSES[name], cursorclass, tls=False)


@pytest.mark.tls
@pytest.mark.parametrize("name", RESPONSES)
async def test_hostile_response_over_tls(name: str) -> None:
    cursorclass: Any = (Cursor, SSCursor)[list(RESPONSES).index(name) % 2]
    await meet(RESPONSES[name], cursorclass, tls=True)


async def meet(response: Case, cursorclass: type[Cursor], *, tls: bool) -> None:
    plan = script(response.data, hang_up=response.hang_up, deprecate_eof=response.deprecate_eof)
    async with playing(plan, tls=tls) as peer:
        # A file may be loaded, but no statement here names one.
        connection = await opened(peer, local_infile=True)
        begin = time.monotonic()
        with pytest.raises(MySQLError, match=response.words):
            await everything(connection, cursorclass)
        assert connection.closed
        assert not connection.busy
        await asyncio.wait_for(peer.ended.wait(), 2)
        assert time.monotonic() - begin < 5
        with pytest.raises(MySQLError):
            await connection.ping(reconnect=False)
    assert_nothing_given_away(peer)


@pytest.mark.tls
@pytest.mark.parametrize("cursorclass", [Cursor, SSCursor])
async def test_long_packet_at_the_end(cursorclass: type[Cursor], over_tls: bool) -> None:
    """With DEPRECATE_EOF an OK packet ends the rows, which may say as much as it likes."""
    end = b"\xfe" + ok()[1:] + b"m" * 1000
    plan = script(frames(b"\x01", column(), b"\x01x", end), hang_up=True, deprecate_eof=True)
    async with playing(plan, tls=over_tls) as peer:
        connection = await opened(peer)
        async with connection.cursor(cursorclass) as cursor:
            await cursor.execute("SELECT 'x'")
            assert list(await cursor.fetchall()) == [("x",)]
        connection.close()


# -- many columns ----------------------------------------------------------------------------

MOST_COLUMNS = 1 << 16


def many_columns(name: bytes) -> bytes:
    """A result set of as many columns as are taken, each called `name % its number`."""
    names = [name % number if b"%" in name else name for number in range(MOST_COLUMNS)]
    head = b"\xfd" + MOST_COLUMNS.to_bytes(3, "little")
    row = b"\x01x" * MOST_COLUMNS
    return frames(head, *map(column, names), EOF, row, row, EOF)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cursorclass", "name"),
    [(Cursor, b"%x"), (DictCursor, b"same"), (SSCursor, b"same"), (SSDictCursor, b"%x")],
)
async def test_as_many_columns_as_can_be(cursorclass: type[Cursor], name: bytes) -> None:
    """Nothing takes a time that grows with the square of their count: that was 17 seconds."""
    async with playing(script(many_columns(name), hang_up=True)) as peer:
        connection = await opened(peer)
        begin = time.process_time()
        async with connection.cursor(cursorclass) as cursor:
            await cursor.execute("SELECT * FROM t")
            rows = list(await cursor.fetchall())
        assert time.process_time() - begin < 12
        assert [len(row) for row in rows] == [len(rows[0])] * 2
        if name == b"%x":
            assert len(rows[0]) == MOST_COLUMNS
        connection.close()


# -- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("/etc/passwd", True), ("NAME", False), ("NAME\0", True), ("", True)],
)
async def test_file_that_was_not_named(name: str, allowed: bool, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(FILE)
    asked = name.replace("NAME", str(path)).encode()
    async with playing(script(frames(b"\xfb" + asked))) as peer:
        connection = await opened(peer, local_infile=allowed)
        with pytest.raises(MySQLError, match="local file"):
            await connection.query(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t")
        assert connection.closed
        await asyncio.wait_for(peer.ended.wait(), 1)
    assert_nothing_given_away(peer)


@pytest.mark.tls
async def test_file_that_is_asked_for_twice(tmp_path: Path, over_tls: bool) -> None:
    path = tmp_path / "data"
    path.write_bytes(FILE)
    request = b"\xfb" + str(path).encode()
    # The file takes packets 2 and 3.
    async with playing(script(frame(request, 1), b"", frame(request, 4)), tls=over_tls) as peer:
        connection = await opened(peer, local_infile=True)
        with pytest.raises(MySQLError, match="local file"):
            await connection.query(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t")
        assert connection.closed
        await asyncio.wait_for(peer.ended.wait(), 1)
    assert peer.received.count(FILE) == 1


@pytest.mark.tls
async def test_response_before_the_end_of_a_file(tmp_path: Path, over_tls: bool) -> None:
    path = tmp_path / "data"
    path.write_bytes(FILE * 200_000)
    request = frame(b"\xfb" + str(path).encode(), 1)
    async with playing(script(request + frame(ok(), 2)), tls=over_tls) as peer:
        connection = await opened(peer, local_infile=True)
        with pytest.raises(MySQLError, match="did not wait|sequence"):
            await connection.query(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t")
        assert connection.closed


# -- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cursorclass", [Cursor, SSCursor])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FIELD_TYPE.LONGLONG, b"many"),
        (FIELD_TYPE.LONGLONG, b""),
        (FIELD_TYPE.LONGLONG, b"9" * 200),
        (FIELD_TYPE.LONG, b"1\xff"),
        (FIELD_TYPE.DOUBLE, b"1.2.3"),
        (FIELD_TYPE.NEWDECIMAL, b"12,5"),
        (FIELD_TYPE.VAR_STRING, b"caf\xe9"),
        (FIELD_TYPE.VAR_STRING, b"\xed\xa0\x80"),
        (FIELD_TYPE.JSON, b"\xff"),
        (FIELD_TYPE.DATETIME, b"2026-13-45\xff"),
        (FIELD_TYPE.DATE, b"\xff"),
        (FIELD_TYPE.TIME, b"999999999999999:00:00"),
        (FIELD_TYPE.TIME, b"\xfe\xff"),
        (FIELD_TYPE.YEAR, b"now"),
        (FIELD_TYPE.BIT, b"\x01" * 200),
        (FIELD_TYPE.GEOMETRY, b"\xff"),
        (250 - 40, b"type nobody knows"),
    ],
)
async def test_values_nobody_can_read(kind: int, value: bytes, cursorclass: type[Cursor]) -> None:
    """Some are read as text or bytes after all; in step the connection is in any case."""
    cell = bytes([len(value)]) + value
    response = frames(b"\x01", column(kind=kind), EOF, cell, cell, EOF)
    good = frames(b"\x01", column(), EOF, b"\x05right", EOF)
    async with playing(script(response, good, b"", hang_up=True)) as peer:
        connection = await opened(peer)
        async with connection.cursor(cursorclass) as cursor:
            with contextlib.suppress(DataError):
                await cursor.execute("SELECT 'value'")
                assert len(await cursor.fetchall()) == 2
        async with connection.cursor(cursorclass) as cursor:
            await cursor.execute("SELECT 'right'")
            assert list(await cursor.fetchall()) == [("right",)]
        await connection.ensure_closed()


async def test_names_nobody_can_read() -> None:
    response = frames(b"\x01", column(b"\xff\xfe\xe9"), EOF, b"\x01x", EOF)
    async with playing(script(response, b"", hang_up=True)) as peer:
        connection = await opened(peer)
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 'x'")
            assert await cursor.fetchone() == ("x",)
            assert cursor.description is not None
            assert cursor.description[0][0] == "\ufffd" * 3
        await connection.ensure_closed()


# -- without an end --------------------------------------------------------------------------


@pytest.mark.tls
@pytest.mark.slow
@pytest.mark.parametrize("cursorclass", [Cursor, SSCursor])
async def test_results_that_nobody_takes(cursorclass: type[Cursor], over_tls: bool) -> None:
    """The server is not listened to any more, before they fill the memory."""
    plan = script(frames(*[ok(status=MORE)] * 256))
    async with playing(Script(plan.steps, repeated=True), tls=over_tls) as peer:
        connection = await opened(peer)
        async with connection.cursor(cursorclass) as cursor:
            await cursor.execute("SELECT 1")
            tracemalloc.start()
            try:
                sent = -1
                async with asyncio.timeout(5):
                    while sent != peer.sent:
                        sent = peer.sent
                        await asyncio.sleep(0.1)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 40_000_000
            for _ in range(100_000):  # more than came before the pause
                assert await cursor.nextset()
            async with asyncio.timeout(5):  # until the system's buffer has room worth telling of
                while peer.sent == sent:
                    assert await cursor.nextset()
            connection.close()
        await asyncio.wait_for(peer.ended.wait(), 1)


@pytest.mark.tls
async def test_statement_after_results_that_nobody_takes(over_tls: bool) -> None:
    plan = script(frames(*[ok(status=MORE)] * 40_000, ok()), frames(ok(affected_rows=7)))
    async with playing(plan, tls=over_tls) as peer:
        connection = await opened(peer)
        for rows in (0, 7):
            assert await connection.query("UPDATE t") == rows
            await asyncio.sleep(0.05)
        connection.close()


@pytest.mark.tls
@pytest.mark.slow
async def test_more_results_for_ever(over_tls: bool) -> None:
    """Each is delivered; who has enough of them closes the connection, which ends in time."""
    empty = [ok(status=MORE)] * 256
    plan = script(frames(*empty))
    async with playing(Script(plan.steps, repeated=True), tls=over_tls) as peer:
        connection = await opened(peer)
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
            for _ in range(500):
                assert await cursor.nextset()
            begin = time.monotonic()
            await connection.ensure_closed()
        assert time.monotonic() - begin < 3
        await asyncio.wait_for(peer.ended.wait(), 1)


def test_frames_of_16_mib_for_ever() -> None:
    """A payload that goes on and on is refused at the limit, and held but once until then."""
    limit = 40 << 20
    session = new_session(limit)
    query = Query(b"SELECT 1")
    session.start(query)
    pieces = 273
    piece = bytearray(0xFFFFFF // pieces)
    tracemalloc.start()
    try:
        fed = 0
        for number in range(1, 20):
            head = bytearray(b"\xff\xff\xff" + bytes([number]))
            session.receive(head, 0, 4)
            for _ in range(pieces):
                session.receive(piece, 0, len(piece))
                fed += len(piece)
            if session.error is not None:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(query.error, MySQLError)
    assert "max_allowed_packet" in str(query.error)
    assert fed < limit + 0xFFFFFF
    assert peak < limit * 1.3


@pytest.mark.tls
async def test_flood_after_goodbye(over_tls: bool) -> None:
    plan = script(b"x" * 100_000)
    async with playing(Script(plan.steps, repeated=True), tls=over_tls) as peer:
        connection = await opened(peer)
        begin = time.monotonic()
        await connection.ensure_closed()
        assert time.monotonic() - begin < 3
        assert connection.closed
        await asyncio.wait_for(peer.ended.wait(), 2)


@pytest.mark.tls
@pytest.mark.parametrize(
    "name", [name for name in RESPONSES if "endless" in name or "huge" in name or "million" in name]
)
async def test_nothing_is_allocated_for_a_promise(name: str, over_tls: bool) -> None:
    response = RESPONSES[name]
    plan = script(response.data, deprecate_eof=response.deprecate_eof)
    async with playing(plan, tls=over_tls) as peer:
        connection = await opened(peer)
        tracemalloc.start()
        try:
            with pytest.raises(MySQLError):
                await everything(connection, Cursor)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 2_000_000
