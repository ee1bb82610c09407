"""A blocking shell around the session, which shows that it needs no event loop, and records."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pymysql.constants import COMMAND
from pymysql.converters import decoders

from aiomysql_protocol.commands.exchange import Command, Exchange
from aiomysql_protocol.commands.prepared import Execute, Prepare, ServerStatement, close_statement
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.login.login import Login, LoginOptions
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from aiomysql_protocol.values.literals import Literals
from aiomysql_protocol.values.parameters import NeedsTextError, ParameterWriter

T = TypeVar("T", bound=Exchange)


def new_session(max_payload: int = 1 << 30) -> Session:
    return Session(ColumnCache("utf8", decoders), max_payload=max_payload)


@dataclass
class Recording:
    """What was sent, and what came back, in one conversation."""

    statements: list[bytes]
    sent: list[bytes] = field(default_factory=list)
    #: One response for the log-in, and one for each statement.
    responses: list[bytes] = field(default_factory=list)


def login_options(user: str, password: str, database: str) -> LoginOptions:
    return LoginOptions(
        user=user.encode(),
        password=password.encode(),
        database=database.encode(),
        collation_id=45,
        attributes={"_client_name": "tests"},
    )


def converse(
    address: tuple[str, int], options: LoginOptions, statements: Iterable[bytes]
) -> tuple[Recording, list[Any]]:
    """Log in and run the statements over a blocking socket."""
    recording = Recording(list(statements))
    session = new_session()
    results: list[Any] = []
    with socket.create_connection(address, timeout=30) as sock:
        exchange: Exchange = Login(options)
        for statement in [None, *recording.statements]:
            if statement is not None:
                exchange = Query(statement)
            session.start(exchange)
            response = b""
            pending = bytearray()
            while not exchange.done:
                data = session.data_to_send()
                if data:
                    sock.sendall(data)
                    recording.sent.append(data)
                chunk = sock.recv(1 << 16)
                assert chunk, "the server hung up"
                response += chunk
                pending += chunk
                del pending[: session.receive(pending, 0, len(pending))]
            recording.responses.append(response)
            results.append(outcome(exchange))
        session.start(Command(COMMAND.COM_QUIT))
        sock.sendall(session.data_to_send())
    return recording, results


def outcome(exchange: Exchange) -> Any:
    """What an exchange that is done came to, as comparable values."""
    assert exchange.done
    if isinstance(exchange, Query):
        return [
            (
                result.metadata.description if result.metadata else None,
                result.rows,
                result.ok,
                repr(result.error),
            )
            for result in exchange.results
        ]
    return repr(exchange.error)


def replay(
    options: LoginOptions, recording: Recording, pieces: Any
) -> tuple[list[Any], list[bytes]]:
    """Feed the recorded responses to a new session; `pieces(response)` cuts each.

    Returns the results, and what the session would have sent.
    """
    session = new_session()
    results: list[Any] = []
    sent: list[bytes] = []
    exchange: Exchange = Login(options)
    for statement, response in zip([None, *recording.statements], recording.responses, strict=True):
        if statement is not None:
            exchange = Query(statement)
        session.start(exchange)
        pending = bytearray()
        sent.append(session.data_to_send())
        for piece in pieces(response):
            pending += piece
            del pending[: session.receive(pending, 0, len(pending))]
            sent.append(session.data_to_send())
        assert not pending
        results.append(outcome(exchange))
    return results, [data for data in sent if data]


class Client:
    """One connection, to run exchanges over one by one."""

    def __init__(
        self,
        address: tuple[str, int],
        options: LoginOptions,
        converters: Mapping[Any, Any] = decoders,
        *,
        encoding: str = "utf8",
        use_unicode: bool = True,
    ) -> None:
        self.session = Session(ColumnCache(encoding, converters, use_unicode=use_unicode))
        self.writer = ParameterWriter(encoding)
        self.literals = Literals()
        self._encoding = encoding
        self._socket = socket.create_connection(address, timeout=30)
        self._pending = bytearray()
        #: What came for the last exchange.
        self.response = b""
        login = self.run(Login(options))
        assert login.error is None, login.error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._socket:
            self.session.start(Command(COMMAND.COM_QUIT))
            self._socket.sendall(self.session.data_to_send())

    def run(self, exchange: T) -> T:
        """Run `exchange` to its end."""
        self.session.start(exchange)
        self.response = b""
        while not exchange.done:
            self._socket.sendall(self.session.data_to_send())
            chunk = self._socket.recv(1 << 16)
            assert chunk, "the server hung up"
            self.response += chunk
            self._pending += chunk
            del self._pending[: self.session.receive(self._pending, 0, len(self._pending))]
        assert not self._pending
        return exchange

    def query(self, statement: str, *values: object) -> Query:
        """Run a statement as text, with literals for its `%s` marks."""
        if values:
            statement %= self.literals.arguments(values)
        return self.run(Query(statement.encode(self._encoding)))

    def prepare(self, statement: str) -> ServerStatement:
        """Prepare a statement with `?` marks; raises the server's error."""
        exchange = self.run(Prepare(statement.encode(self._encoding)))
        if exchange.error is not None:
            raise exchange.error
        assert exchange.prepared is not None
        return exchange.prepared

    def execute(self, statement: str, *values: object) -> Query:
        """Prepare a statement with `?` marks, execute it, and forget it."""
        prepared = self.prepare(statement)
        parameters = self.writer.write(values)
        if not prepared.accepts(parameters):
            raise NeedsTextError(statement)
        done = self.run(Execute(prepared, parameters))
        close_statement(self.session, prepared)
        return done


def rows_of(query: Query) -> list[tuple[Any, ...]]:
    """The rows of the only result; raises the error."""
    (result,) = query.results
    if result.error is not None:
        raise result.error
    return result.rows
