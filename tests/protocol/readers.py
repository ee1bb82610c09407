"""The ways to read responses, to be compared: in C, by its Python twin, and payload by payload."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from aiomysql_protocol import implementation, session_state
from aiomysql_protocol.commands import response as responses
from aiomysql_protocol.session import Session
from tests.protocol.row_bytes import part

#: What `read_response` and `Session.receive` have in common.
Read = Callable[[Session, "bytes | bytearray", int, int], int]

#: Both read sessions of the implementation that runs; C reads only its own.
IMPLEMENTATIONS = ["c", "python"] if implementation.IMPLEMENTATION == "c" else ["python"]

#: The last one reads all that there is by `Exchange.receive`.
WAYS = [*IMPLEMENTATIONS, "by payloads"]


def reader(name: str) -> Read:
    """The `read_response` of an implementation."""
    found: Read = part(name, responses, "read_response")
    return found


def nothing(session: Session, buffer: object, position: int, end: int, /) -> int:
    """A `read_response` that leaves everything to `Exchange.receive`."""
    return position


@contextmanager
def receiver(way: str) -> Iterator[Read]:
    """The `Session.receive` of one of WAYS."""
    if way == "c":
        yield part("c", session_state, "SessionState").receive
        return
    with pytest.MonkeyPatch.context() as patch:
        read = reader("python") if way == "python" else nothing
        patch.setattr(session_state, "read_response", read)
        yield session_state.PySessionState.receive  # type: ignore[misc]


def feed(
    receive: Read, session: Session, pieces: Sequence[bytes], pending: bytearray | None = None
) -> bytearray:
    """Have `session` receive these pieces; returns what it has left."""
    pending = bytearray() if pending is None else pending
    for piece in pieces:
        pending += piece
        del pending[: receive(session, pending, 0, len(pending))]
    return pending
