"""Texts that the server leaves between two statements: the question that is queued behind tells."""

from __future__ import annotations

import pytest
from pymysql.constants import CLIENT, COMMAND, ER, SERVER_STATUS

from aiomysql_protocol.commands.end_of_text import EndOfText
from aiomysql_protocol.commands.exchange import Command, Exchange
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.session import Session
from aiomysql_protocol.wire.capabilities import DEPRECATE_EOF
from aiomysql_protocol.wire.compression import algorithm
from tests import scripted
from tests.compressed import compressed, compressed_frames
from tests.hostile.response_scripts import EOF, column
from tests.protocol.blocking import new_session
from tests.protocol.readers import WAYS, feed, receiver

# Both implementations are compared.
pytestmark = pytest.mark.twins

MORE = SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
OK, OK_MORE = scripted.ok(), scripted.ok(status=MORE)
SHORT, LONG = EOF, b"\xfe\0\0\x02\0\0\0"  # of servers that have and have not CLIENT_DEPRECATE_EOF
ERROR = scripted.error(1064, "no")
ENDED = scripted.frame(SHORT, 1)
NEXT = scripted.frame(OK, 1)


def outstanding(*behind: Exchange, deprecate_eof: bool = False) -> tuple[Session, Query]:
    """A text, and what is queued behind it."""
    session = new_session()
    session.capabilities = CLIENT.PROTOCOL_41 | (DEPRECATE_EOF if deprecate_eof else 0)
    query = Query(b"DO 0; DO 0")
    for exchange in (query, *behind):
        session.start(exchange)
    session.data_to_send()
    return session, query


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [SHORT, LONG], ids=["EOF", "OK"])
@pytest.mark.parametrize("before", [1, 2, 255, 256, 512])  # frames are counted modulo 256
def test_text_that_is_left(before: int, answer: bytes, way: str) -> None:
    results = scripted.frames(*[OK_MORE] * before)
    data = results + scripted.frame(answer, 1) + NEXT
    cuts = range(len(results), len(data)) if before > 2 else range(len(data))
    pieces = [[data], *([data[:at], data[at:]] for at in cuts)]
    pieces.append([data[at : at + 1] for at in range(len(data))])
    for parts in pieces:
        question, after = EndOfText(), Command(COMMAND.COM_PING)
        session, query = outstanding(question, after, deprecate_eof=answer is LONG)
        with receiver(way) as receive:
            assert not feed(receive, session, parts)
        assert session.error is None
        assert [result.error for result in query.results[:-1]] == [None] * before
        error = query.results[-1].error
        assert error is query.error
        assert error is not None
        assert error.args[0] == ER.QUERY_INTERRUPTED
        assert query.done
        assert question.done
        assert after.ok is not None
        assert session.idle
        assert not session.server_status & MORE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [ENDED, scripted.frame(ERROR, 1)], ids=["EOF", "ERR"])
@pytest.mark.parametrize("last", [OK, ERROR], ids=["OK", "ERR"])
def test_text_that_is_not_left(last: bytes, answer: bytes, way: str) -> None:
    """The response to the question is nobody's, whatever it is."""
    data = scripted.frames(OK_MORE, last) + answer + NEXT
    for at in range(len(data)):
        question, after = EndOfText(), Command(COMMAND.COM_PING)
        session, query = outstanding(question, after)
        with receiver(way) as receive:
            assert not feed(receive, session, [data[:at], data[at:]])
        assert session.error is None
        assert len(query.results) == 2
        assert (query.error is None) is (last is OK)
        assert question.done
        assert question.error is None
        assert after.ok is not None


def text(*payloads: bytes) -> bytes:
    return scripted.frames(*payloads)


ROWS = (b"\x01", column(), EOF, b"\x01a")
LIES: dict[str, tuple[bytes, str]] = {
    "at first": (ENDED, "a column count ends"),
    "within columns": (text(OK_MORE, ROWS[0]) + ENDED, "got 1 expected 3"),
    "within rows": (text(OK_MORE, *ROWS) + ENDED, "got 1 expected 6"),
    "another number": (text(OK_MORE, OK_MORE) + scripted.frame(SHORT, 2), "got 2 expected 3"),
    "its own number": (text(OK_MORE, SHORT), "a column count ends"),
    "OK": (text(OK_MORE) + scripted.frame(OK, 1), "got 1 expected 2"),
    "ERR": (text(OK_MORE) + scripted.frame(ERROR, 1), "no"),
    "rows": (text(OK_MORE) + scripted.frame(b"\x01", 1), "got 1 expected 2"),
    "nothing": (text(OK_MORE) + scripted.frame(b"", 1), "got 1 expected 2"),
    "too long": (text(OK_MORE) + b"\xff\xff\xff\x01\xfe", "at most 65536"),
    "OK for the question": (text(OK) + NEXT, "COM_SET_OPTION"),
    "the same twice": (text(OK_MORE) + ENDED + ENDED, "got 1 expected 0"),
    "OK behind it": (text(OK_MORE) + ENDED + NEXT, "got 1 expected 0"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LIES)
def test_lies(name: str, way: str) -> None:
    """They break the session, as without a question."""
    data, words = LIES[name]
    session, query = outstanding(EndOfText())
    with receiver(way) as receive:
        feed(receive, session, [data])
    assert session.error is not None
    assert query.done
    with pytest.raises(type(session.error), match=words):
        raise session.error


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["none", "ping", "text"])
def test_no_question_was_asked(kind: str, way: str) -> None:
    others: dict[str, list[Exchange]] = {
        "none": [],
        "ping": [Command(COMMAND.COM_PING)],
        "text": [Query(b"DO 0; DO 0")],
    }
    behind = others[kind]
    session, query = outstanding(*behind)
    with receiver(way) as receive:
        feed(receive, session, [text(OK_MORE) + ENDED])
    assert session.error is query.error is not None


@pytest.mark.parametrize("before", [1, 2, 255, 256])
def test_compressed(before: int) -> None:
    for size in (1, 3, 11, 1 << 14):
        session = new_session()
        session.start_compression(algorithm("zlib", None))
        query, question, after = Query(b"DO 0; DO 0"), EndOfText(), Command(COMMAND.COM_PING)
        for exchange in (query, question, after):
            session.start(exchange)
        data = compressed_frames(text(*[OK_MORE] * before), size=size)
        buffer = bytearray()
        for piece in (data, compressed(ENDED, 1), compressed(NEXT, 1)):  # so servers send them
            buffer += piece
            del buffer[: session.receive(buffer, 0, len(buffer))]
            if session.has_more:
                query.results.clear()
                session.receive(buffer, 0, 0)
        assert session.error is None, size
        assert query.done
        assert query.error is not None
        assert query.error.args[0] == ER.QUERY_INTERRUPTED
        assert question.done
        assert after.ok is not None
