"""The session on what real servers say: in whole, byte by byte, and cut at every point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pymysql.constants import COMMAND
from pymysql.err import InternalError, MySQLError, OperationalError

from aiomysql_protocol.commands.exchange import Command
from aiomysql_protocol.commands.query import STREAM_HIGH_WATER, Query
from aiomysql_protocol.login.login import Login, LoginOptions, Tls
from aiomysql_protocol.session import Session
from aiomysql_protocol.wire.errors import MalformedPacket
from aiomysql_protocol.wire.framing import LARGE_FRAME
from tests import scripted
from tests.protocol.blocking import (
    Recording,
    converse,
    login_options,
    new_session,
    outcome,
    replay,
)
from tests.servers import Server

STATEMENTS = [
    b"SELECT 1 AS a, 'two' AS b, NULL AS c, CAST('2026-11-22' AS DATE) AS d",
    b"SELECT 'x' AS v UNION ALL SELECT 'yy' UNION ALL SELECT REPEAT('z', 300)",
    b"DO 0",
    b"SELECT 1; SELECT 2, 3; DO 0; SELECT 'last'",
    b"SELECT 1; SELECT * FROM no_such_table; SELECT 3",
    b"SELEC nonsense",
    b"SELECT 1 FROM (SELECT 1) AS t WHERE FALSE",
    # Once more: metadata that came before is matched as it stands in the stream.
    b"SELECT 1 AS a, 'two' AS b, NULL AS c, CAST('2026-11-22' AS DATE) AS d",
    b"SELECT 1; SELECT 2, 3; DO 0; SELECT 'last'",
]
LARGE = b"SELECT REPEAT('q', 70000), 7 UNION ALL SELECT REPEAT('r', 140000), 8"


@pytest.fixture(scope="module")
def options(server: Server) -> LoginOptions:
    return login_options(server.user, server.password, server.database)


@pytest.fixture(scope="module")
def recorded(server: Server, options: LoginOptions) -> tuple[Recording, list[Any]]:
    return converse((server.host, server.port), options, STATEMENTS)


def test_results(recorded: tuple[Recording, list[Any]]) -> None:
    _, results = recorded
    assert results[0] == "None"  # the log-in has no error
    ((description, rows, ok, error),) = results[1]
    assert [item[0] for item in description] == ["a", "b", "c", "d"]
    assert rows[0][:3] == (1, "two", None)
    assert str(rows[0][3]) == "2026-11-22"
    assert (ok.more_results, error) == (False, "None")
    assert [len(row[0]) for row in results[2][0][1]] == [1, 2, 300]
    assert results[3][0][0] is None
    assert [result[1] for result in results[4]] == [[(1,)], [(2, 3)], [], [("last",)]]
    assert [result[1] for result in results[5]] == [[(1,)], []]
    assert "1146" in results[5][1][3]
    assert "1064" in results[6][0][3]
    assert results[7][0][1] == []
    assert results[8] == results[1]
    assert results[9] == results[4]


def whole(response: bytes) -> list[bytes]:
    return [response]


def bytewise(response: bytes) -> Iterator[bytes]:
    return (response[n : n + 1] for n in range(len(response)))


@pytest.mark.parametrize("pieces", [whole, bytewise])
def test_replayed(
    options: LoginOptions, recorded: tuple[Recording, list[Any]], pieces: Any
) -> None:
    recording, results = recorded
    replayed, sent = replay(options, recording, pieces)
    assert replayed == results
    assert sent == recording.sent


def test_cut_at_every_point(options: LoginOptions, recorded: tuple[Recording, list[Any]]) -> None:
    recording, results = recorded
    longest = max(map(len, recording.responses))
    for point in range(1, longest):
        replayed, _ = replay(options, recording, lambda a, at=point: [a[:at], a[at:]])
        assert replayed == results, point


def test_long_cells_cut_anywhere(server: Server, options: LoginOptions) -> None:
    recording, results = converse((server.host, server.port), options, [LARGE])
    assert [(len(text), n) for text, n in results[1][0][1]] == [(70000, 7), (140000, 8)]
    for size in (1000, LARGE_FRAME + 3, LARGE_FRAME + 4, 100_000):
        replayed, _ = replay(
            options,
            recording,
            lambda a, n=size: [a[at : at + n] for at in range(0, len(a), n)],
        )
        assert replayed == results, size


def test_pipelined(options: LoginOptions, recorded: tuple[Recording, list[Any]]) -> None:
    """Requests written before the first response is read get their own responses."""
    recording, results = recorded
    session = new_session()
    login = Login(options)
    session.start(login)
    response = bytearray(recording.responses[0])
    assert session.receive(response, 0, len(response)) == len(response)
    session.data_to_send()
    exchanges = [Query(statement) for statement in recording.statements]
    for exchange in exchanges:
        session.start(exchange)
    assert session.data_to_send() == b"".join(recording.sent[-len(exchanges) :])
    responses = bytearray(b"".join(recording.responses[1:]))
    assert session.receive(responses, 0, len(responses)) == len(responses)
    assert [outcome(exchange) for exchange in exchanges] == results[1:]
    assert session.idle


# -- a session by hand -----------------------------------------------------------------------


def logged_in(max_payload: int = 1 << 30) -> Session:
    session = new_session(max_payload)
    login = Login(login_options("u", "", "test"))
    session.start(login)
    feed(session, scripted.frame(scripted.greeting(), 0))
    assert session.data_to_send()
    feed(session, scripted.frame(scripted.ok(), 2))
    assert login.done
    assert login.error is None
    return session


def feed(session: Session, data: bytes) -> int:
    return session.receive(bytearray(data), 0, len(data))


def column(name: str = "a", kind: int = 0xFD) -> bytes:
    texts = [b"def", b"", b"", b"", name.encode(), b""]
    head = b"".join(bytes([len(text)]) + text for text in texts)
    return head + b"\x0c\x2d\x00\xff\x00\x00\x00" + bytes([kind]) + b"\x00\x00\x00\x00\x00"


EOF = b"\xfe\x00\x00\x02\x00"


def test_result_without_deprecate_eof() -> None:
    session = logged_in()
    query = Query(b"SELECT 'x'")
    session.start(query)
    feed(session, scripted.frames(b"\x01", column(), EOF, b"\x01x", b"\x02yz", EOF))
    assert query.results[0].rows == [("x",), ("yz",)]
    assert query.done
    assert session.error is None


def test_streamed_query_asks_for_a_pause() -> None:
    session = logged_in()
    query = Query(b"SELECT ...", streamed=True)
    session.start(query)
    woken: list[int] = []
    query.on_progress = lambda: woken.append(1)
    feed(session, scripted.frames(b"\x01", column(), EOF))
    assert woken == [1]
    (result,) = query.results
    row = scripted.frame(b"\xfd\x00\x40\x00" + b"x" * 0x4000, 0)
    number = 4
    while not session.paused:
        feed(session, row[:3] + bytes([number % 256]) + row[4:])
        number += 1
    rows = query.take_rows(result)
    assert len(rows) * len(row) >= STREAM_HIGH_WATER > (len(rows) - 1) * len(row)
    assert not session.paused
    assert not result.complete
    query.skip(result)
    feed(session, row[:3] + bytes([number % 256]) + row[4:])
    feed(session, scripted.frame(EOF, number + 1))
    assert result.complete
    assert result.rows == []
    assert query.done


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ([b""], "empty packet"),
        ([b"\x00"], "OK packet ends"),
        ([b"\x00\x00\x00\x02"], "OK packet ends"),
        ([b"\xff\x01"], "ERR packet ends"),
        ([b"\xfc\x01"], "column count ends"),
        ([b"\xfd\xff\xff\xff"], "16777215 columns"),
        ([b"\x01\x01"], "1 bytes too many"),
        ([b"\x01", b"\x03de"], "column definition ends"),
        ([b"\x01", column()[:-3]], "column definition ends"),
        ([b"\x01", column(), b"\x00"], "no EOF"),
        ([b"\x01", column(), EOF, b""], "empty packet"),
        ([b"\x01", column(), EOF, b"\x05x"], ""),
        ([b"\x01", column(), EOF, b"\x01xy"], ""),
        ([b"\x01", column(), EOF, b"\xfe\x00"], "EOF packet ends"),
    ],
)
def test_malformed_responses(response: list[bytes], words: str) -> None:
    session = logged_in()
    query = Query(b"SELECT 1")
    waiting = Command(COMMAND.COM_PING)
    session.start(query)
    session.start(waiting)
    feed(session, scripted.frames(*response))
    assert isinstance(session.error, MalformedPacket)
    assert words in str(session.error)
    assert query.done
    assert query.results[-1].error is session.error
    assert waiting.error is session.error
    with pytest.raises(MalformedPacket):
        session.start(Query(b"SELECT 2"))


def test_every_truncation_and_byte_change_is_a_database_error(
    options: LoginOptions, recorded: tuple[Recording, list[Any]]
) -> None:
    """No response, however damaged, ends in anything but a DB-API error."""
    recording, _ = recorded
    response = recording.responses[1]
    for at in range(len(response)):
        for value in (0x00, 0x01, 0xFB, 0xFC, 0xFE, 0xFF, response[at] ^ 0x10):
            session = logged_in()
            session.capabilities = 0xFFFFFFFF
            query = Query(STATEMENTS[0])
            session.start(query)
            damaged = bytearray(response)
            damaged[at] = value
            session.receive(damaged, 0, len(damaged))
            session.connection_lost()
            assert query.done
            assert isinstance(session.error, MySQLError)
            for result in query.results:
                assert result.error is None or isinstance(result.error, MySQLError), (at, value)


def test_payload_limit() -> None:
    session = logged_in(max_payload=100_000)
    query = Query(b"SELECT 1")
    session.start(query)
    feed(session, scripted.frames(b"\x01", column(), EOF))
    feed(session, (200_000).to_bytes(3, "little") + b"\x04")
    assert isinstance(session.error, OperationalError)
    assert session.error.args[0] == 2020
    assert "max_allowed_packet" in session.error.args[1]


def test_request_that_is_too_long() -> None:
    class Endless(bytes):
        def __len__(self) -> int:
            return 1 << 31

    from aiomysql_protocol.wire.framing import frames

    with pytest.raises(OperationalError, match="larger than any server takes"):
        frames(Endless(), 0)


def test_local_file_that_nobody_asked_for() -> None:
    session = logged_in()
    query = Query(b"SELECT 1")
    session.start(query)
    session.data_to_send()
    feed(session, scripted.frame(b"\xfb/etc/passwd", 1))
    assert isinstance(session.error, OperationalError)
    assert session.data_to_send() == b""


def test_wrong_sequence_number() -> None:
    session = logged_in()
    command = Command(COMMAND.COM_PING)
    session.start(command)
    feed(session, scripted.frame(scripted.ok(), 2))
    assert isinstance(command.error, InternalError)
    assert "got 2 expected 1" in str(command.error)


def test_packet_nobody_asked_for() -> None:
    session = logged_in()
    feed(session, scripted.frame(scripted.ok(), 0))
    assert isinstance(session.error, MalformedPacket)


def test_after_an_error_a_transaction_may_be_open() -> None:
    """An ERR packet has no status flags: only the next OK packet says that there is none."""
    session = logged_in()
    assert session.is_reusable
    for packet, is_reusable in (
        (scripted.error(1064, "no"), False),
        (scripted.ok(), True),
        (scripted.ok(status=1), False),
        (scripted.ok(), True),
    ):
        session.start(Query(b"DO 1"))
        assert session.data_to_send()
        feed(session, scripted.frame(packet, 1))
        assert (session.idle, session.is_reusable) == (True, is_reusable)


@pytest.mark.parametrize("length", range(1, 60))
def test_greeting_that_ends_early(length: int) -> None:
    session = new_session()
    login = Login(login_options("u", "secret", "test"))
    session.start(login)
    feed(session, scripted.frame(scripted.greeting()[:length], 0))
    session.connection_lost()
    assert login.done
    assert isinstance(login.error, MySQLError)


def test_packets_before_the_handshake_response() -> None:
    """A server, or somebody in between, that talks before TLS is refused."""
    session = new_session()
    options = login_options("u", "secret", "test")
    login = Login(replace(options, tls=Tls.REQUIRED))
    session.start(login)
    hello = scripted.greeting(capabilities=scripted.CAPABILITIES | 0x800)
    feed(session, scripted.frame(hello, 0) + scripted.frame(scripted.ok(), 2))
    assert isinstance(login.error, MalformedPacket)
    assert b"secret" not in session.data_to_send()


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_the_ok_of_a_login_comes_whole_or_in_pieces(cut: int) -> None:
    session = new_session()
    login = Login(login_options("u", "", "test"))
    session.start(login)
    feed(session, scripted.frame(scripted.greeting(), 0))
    end = scripted.frame(scripted.ok(status=0x4001), 2)
    buffer = bytearray(end)
    assert session.receive(buffer, 0, cut) == (cut if cut == len(end) else 0)
    assert login.done is (cut == len(end))
    if not login.done:
        assert session.receive(buffer, 0, len(end)) == len(end)
    assert (login.done, login.error, session.server_status) == (True, None, 0x4001)
    assert session.idle


def test_the_middle_of_a_long_payload_is_no_ok() -> None:
    session = new_session()
    login = Login(login_options("u", "", "test"))
    session.start(login)
    feed(session, scripted.frame(scripted.greeting(), 0))
    looks = bytearray(scripted.frame(scripted.ok(), 3))
    start = bytearray((70_000).to_bytes(3, "little") + b"\x02\xfe")
    session.receive(start, 0, len(start))
    session.receive(looks, 0, len(looks))
    assert not login.done


@pytest.mark.parametrize("number", [1, 3])
def test_the_ok_of_a_login_out_of_order(number: int) -> None:
    session = new_session()
    login = Login(login_options("u", "", "test"))
    session.start(login)
    feed(session, scripted.frame(scripted.greeting(), 0))
    feed(session, scripted.frame(scripted.ok(), number))
    assert isinstance(login.error, InternalError)
