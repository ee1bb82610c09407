"""Event loops and sockets of a test's own, for what is tested without a server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tests.conftest import LOOPS

Pair = tuple[socket.socket, socket.socket]


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """An event loop of one of the `LOOPS`."""
    if name == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that the test runs itself."""
    loop = new_loop(request.param)
    yield loop
    loop.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets: the client's and the server's end."""
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)
    yield pair
    for end in pair:
        end.close()


@pytest.fixture
def other(pair: Pair) -> socket.socket:
    """The server's end."""
    return pair[1]
