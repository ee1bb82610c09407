"""What must hold for a session whatever bytes it is fed.

A case is one string of bytes: the first says which conversation it is, the rest is what the server
sends. It is fed whole, byte by byte and in pieces; each time the session has to come to the same
results, and to end in a DB-API error or none.

Cases that once failed are kept in the folder `seeds`, with some that real servers said.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymysql.constants import COMMAND
from pymysql.err import MySQLError

from aiomysql_protocol.commands.exchange import Command, Exchange
from aiomysql_protocol.commands.prepared import Execute, Prepare
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.login.login import Login
from aiomysql_protocol.session import Session
from aiomysql_protocol.values.parameters import NO_PARAMETERS
from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF
from tests import scripted
from tests.protocol.blocking import login_options, new_session

SEEDS = Path(__file__).with_name("seeds")
# A session that takes longer payloads would only be slower here.
MAX_PAYLOAD = 1 << 20

# The bits of a case's first byte.
LOGIN = 1
STREAMED = 2
OLD_EOF = 4
SEVERAL = 8
# A statement is prepared, and executed twice; MariaDB sends its metadata once.
PREPARED = 16
CACHED = 32
EVERY = LOGIN | STREAMED | OLD_EOF | SEVERAL | PREPARED | CACHED


class Broken(AssertionError):
    """Something that must hold for all bytes does not hold for these."""


def case(response: bytes, flags: int) -> bytes:
    """The case for a response of a server."""
    return bytes([flags]) + response


def seeds() -> Iterator[tuple[str, bytes]]:
    """The cases that are kept: name, bytes."""
    return ((path.name, path.read_bytes()) for path in sorted(SEEDS.glob("*.bin")))


def check(data: bytes) -> None:
    """Raise Broken, or whatever escapes, when the session does not stand up to `data`."""
    if not data:
        return
    flags, response = data[0], data[1:]
    whole = play(flags, response, len(response) or 1)
    for size in (1, 7):
        if len(response) > 4096 and size == 1:
            continue
        parts = play(flags, response, size)
        if parts != whole:
            raise Broken(f"whole: {whole!r}\nin pieces of {size}: {parts!r}")


def play(flags: int, response: bytes, size: int) -> list[Any]:
    """Feed `response` in pieces of `size` bytes; returns what came out of it, comparable."""
    session, exchanges = _conversation(flags)
    pending = bytearray()
    sent = len(session.data_to_send())
    for at in range(0, len(response), size):
        pending += response[at : at + size]
        used = session.receive(pending, 0, len(pending))
        if not 0 <= used <= len(pending):
            raise Broken(f"{used} of {len(pending)} bytes used")
        del pending[:used]
        sent += len(session.data_to_send())
        if session.error is not None:
            break
    error = _name(session.error)
    if error:
        # A response that is not written yet is dropped.
        sent = -1
    session.connection_lost()
    _check_ended(session, exchanges)
    return [error, sent, session.server_status, [_outcome(exchange) for exchange in exchanges]]


def _conversation(flags: int) -> tuple[Session, list[Exchange]]:
    session = new_session(MAX_PAYLOAD)
    login = Login(login_options("u", "secret", "test"))
    session.start(login)
    if flags & LOGIN:
        return session, [login]
    capabilities = scripted.CAPABILITIES | (0 if flags & OLD_EOF else DEPRECATE_EOF)
    hello = bytearray(scripted.frame(scripted.greeting(capabilities=capabilities), 0))
    session.receive(hello, 0, len(hello))
    session.data_to_send()
    accepted = bytearray(scripted.frame(scripted.ok(), 2))
    session.receive(accepted, 0, len(accepted))
    assert login.done
    assert login.error is None
    streamed = bool(flags & STREAMED)
    if flags & CACHED and not flags & OLD_EOF:
        session.capabilities |= CACHE_METADATA
    if flags & PREPARED:
        return session, _prepared(session, streamed=streamed)
    # The second one has the metadata of the first in its cache.
    exchanges: list[Exchange] = [Query(b"SELECT 1", streamed=streamed)]
    if flags & SEVERAL:
        exchanges += [
            Query(b"LOAD DATA LOCAL ...", local_files={b"f": (None,)}),
            Query(b"SELECT 1", streamed=streamed),
            Command(COMMAND.COM_PING),
        ]
    for exchange in exchanges:
        session.start(exchange)
    return session, exchanges


def _prepared(session: Session, *, streamed: bool) -> list[Exchange]:
    """A preparation, and what follows as soon as it has succeeded."""
    preparation = Prepare(b"SELECT ?")
    exchanges: list[Exchange] = [preparation]

    def go_on() -> None:
        if preparation.prepared is not None:
            for _ in range(2):
                execution = Execute(preparation.prepared, NO_PARAMETERS, streamed=streamed)
                exchanges.append(execution)
                session.start(execution)

    preparation.on_progress = go_on
    session.start(preparation)
    return exchanges


def _check_ended(session: Session, exchanges: list[Exchange]) -> None:
    """Everything is over, and says why in an error that callers expect."""
    for error in _errors(session, exchanges):
        if not isinstance(error, MySQLError):
            raise Broken(f"not a DB-API error: {error!r}") from error
        # Session.receive wraps what it did not foresee.
        cause = error.__cause__
        if "can't read the server's response" in str(error):
            raise Broken(f"not foreseen: {cause!r}") from cause
    for exchange in exchanges:
        if not exchange.done:
            raise Broken(f"{exchange!r} is not done")
    if not session.idle:
        raise Broken("the session is not idle")


def _errors(session: Session, exchanges: list[Exchange]) -> Iterator[BaseException]:
    found = [session.error, *(exchange.error for exchange in exchanges)]
    for exchange in exchanges:
        if isinstance(exchange, Query):
            found += [result.error for result in exchange.results]
    return (error for error in found if error is not None)


def _name(error: BaseException | None) -> str:
    # Not its text, which may show how much had come.
    return "" if error is None else f"{type(error).__name__} {str(error.args[:1])[:40]}"


def _outcome(exchange: Exchange) -> Any:
    if isinstance(exchange, Prepare):
        return repr(exchange.prepared), _name(exchange.error)
    if not isinstance(exchange, Query):
        return _name(exchange.error)
    return [
        (
            result.metadata.description if result.metadata else None,
            repr(result.rows),  # NaN is not equal to itself
            result.ok,
            _name(result.error),
        )
        for result in exchange.results
    ]
