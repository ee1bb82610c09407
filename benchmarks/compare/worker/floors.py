"""What a driver has to be measured by: the same bytes without anybody who makes values of them.

Scans are read from a blocking socket and forgotten. Point queries are answered to a bare asyncio
protocol in Python, which writes a ready-made packet and looks only for the end of the response.
Only the log-in is the protocol layer's. There is no TLS.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

from pymysql.constants import COMMAND, FIELD_TYPE
from pymysql.converters import decoders

from aiomysql_protocol.login.login import Login, LoginOptions
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session
from benchmarks.compare import data
from benchmarks.compare.worker.jobs import Job, Opener, Setting, Wrong, same

_CHUNK = 1 << 18
_QUIET = 0.3
"""Seconds without a byte after which a response is taken for complete, when it is read first."""
_QUIET_POINT = 0.03
"""The same for a response that comes in one piece."""


def openers(setting: Setting) -> dict[str, Opener]:
    """What opens each workload, by its key."""
    return {
        "scan-ints-text": partial(drain, setting, data.SCAN_INTS, prepared=False),
        "scan-ints-prepared": partial(drain, setting, data.SCAN_INTS, prepared=True),
        "scan-mixed-text": partial(drain, setting, data.SCAN_MIXED, prepared=False),
        "scan-mixed-prepared": partial(drain, setting, data.SCAN_MIXED, prepared=True),
        "scan-mixed-stream": partial(drain, setting, data.SCAN_MIXED, prepared=False),
        "pooled-text": partial(pooled, setting, prepared=False),
        "pooled-prepared": partial(pooled, setting, prepared=True),
        "sequential-text": partial(sequential, setting, prepared=False),
        "sequential-prepared": partial(sequential, setting, prepared=True),
    }


@contextmanager
def logged_in(setting: Setting) -> Iterator[socket.socket]:
    """A blocking socket on which the log-in is done; says good-bye in the end."""
    options = LoginOptions(
        user=setting.user.encode(),
        password=setting.password.encode(),
        database=setting.database.encode(),
        collation_id=45,
    )
    session = Session(ColumnCache("utf8", decoders))
    login = Login(options)
    session.start(login)
    with socket.create_connection((setting.host, setting.port), timeout=30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pending = bytearray()
        while not login.done:
            sock.sendall(session.data_to_send())
            chunk = sock.recv(_CHUNK)
            if not chunk:
                raise ConnectionError("the server hung up during the log-in")
            pending += chunk
            del pending[: session.receive(pending, 0, len(pending))]
        if login.error is not None:
            raise login.error
        yield sock
        sock.setblocking(True)
        sock.sendall(_packet(COMMAND.COM_QUIT, b""))


def _packet(command: int, body: bytes) -> bytes:
    return struct.pack("<I", len(body) + 1) + bytes([command]) + body


def query_request(sql: str) -> bytes:
    """What is sent for a statement as text."""
    return _packet(COMMAND.COM_QUERY, sql.encode())


def learn_response(sock: socket.socket, request: bytes, quiet: float) -> bytes:
    """The second response to a request: the first may tell metadata that later ones leave out.

    quiet: seconds without a byte after which it is taken for complete.
    """
    _read_quiet(sock, request, quiet)
    return _read_quiet(sock, request, quiet)


def _read_quiet(sock: socket.socket, request: bytes, quiet: float) -> bytes:
    """A response whose length is not known yet."""
    sock.sendall(request)
    response = bytearray(sock.recv(_CHUNK))
    sock.settimeout(quiet)
    try:
        while chunk := sock.recv(_CHUNK):
            response += chunk
    except TimeoutError:
        pass
    sock.settimeout(30)
    if response[4] == 0xFF:
        raise Wrong(f"the server answers {bytes(response[4:200])!r}")
    return bytes(response)


def _statement(sock: socket.socket, sql: str) -> Callable[[int], bytes]:
    """Prepare a statement with one integer parameter; returns what makes its requests."""
    response = _read_quiet(sock, _packet(COMMAND.COM_STMT_PREPARE, sql.encode()), _QUIET_POINT)
    (number,) = struct.unpack_from("<I", response, 5)
    head = struct.pack("<IBIBBH", number, 0, 1, 0, 1, FIELD_TYPE.LONGLONG)
    return lambda value: _packet(COMMAND.COM_STMT_EXECUTE, head + struct.pack("<q", value))


def _requests(sock: socket.socket, sql: str, prepared: bool) -> Callable[[int], bytes]:
    if prepared:
        return _statement(sock, sql.replace("%s", "?"))
    return lambda value: query_request(sql % value)


@asynccontextmanager
async def drain(setting: Setting, sql: str, *, prepared: bool) -> AsyncIterator[Job]:
    """Send a statement and read as many bytes as came the first time."""
    with logged_in(setting) as sock:
        request = _requests(sock, sql, prepared)(0)
        length = len(learn_response(sock, request, _QUIET))
        buffer = bytearray(_CHUNK)

        async def run() -> int:
            sock.sendall(request)
            got = 0
            while got < length:
                received = sock.recv_into(buffer)
                if not received:
                    raise ConnectionError("the server hung up")
                got += received
            return got

        yield Job(run, lambda got: same(got, length))


class Bare(asyncio.Protocol):
    """Sends one request at a time; its response is complete with the packet that ends it."""

    def __init__(self, end: bytes) -> None:
        self._end = end
        self._parts: list[bytes] = []
        self._waiter: asyncio.Future[bytes] | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if data.endswith(self._end) and self._waiter is not None:
            self._waiter.set_result(data if len(self._parts) == 1 else b"".join(self._parts))
            self._waiter = None
            self._parts = []

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        self._waiter = self._loop.create_future()
        self.transport.write(request)
        return self._waiter


Asker = tuple[Bare, Callable[[int], bytes]]


@asynccontextmanager
async def _bare(setting: Setting, *, prepared: bool) -> AsyncIterator[Asker]:
    with logged_in(setting) as sock:
        request = _requests(sock, data.POINT, prepared)
        response = learn_response(sock, request(1), _QUIET_POINT)
        sock.setblocking(False)
        end = response[_last_packet(response) :]
        loop = asyncio.get_running_loop()
        # The transport closes the socket it is given.
        transport, protocol = await loop.create_connection(lambda: Bare(end), sock=sock.dup())
        yield protocol, request
        transport.close()


def _last_packet(response: bytes) -> int:
    position = last = 0
    while position < len(response):
        last = position
        position += 4 + int.from_bytes(response[position : position + 3], "little")
    return last


def _check(responses: Sequence[bytes], ids: Sequence[int], rows: int) -> None:
    """The names of the rows stand in the responses in both protocols."""
    for response, number in zip(responses, ids, strict=True):
        if data.all_mixed(rows)[number - 1][1].encode() not in response:
            raise Wrong(f"the response for {number} is {response!r}")


@asynccontextmanager
async def sequential(setting: Setting, *, prepared: bool) -> AsyncIterator[Job]:
    """Point queries on one connection."""
    sizes = setting.sizes
    ids = data.point_ids(sizes.sequential, sizes.rows)
    async with _bare(setting, prepared=prepared) as (bare, request):

        async def run() -> list[bytes]:
            return [await bare.ask(request(number)) for number in ids]

        yield Job(run, lambda responses: _check(responses, ids, sizes.rows))


@asynccontextmanager
async def pooled(setting: Setting, *, prepared: bool) -> AsyncIterator[Job]:
    """Point queries from several tasks over fewer connections."""
    sizes = setting.sizes
    ids = data.point_ids(sizes.pooled, sizes.rows)
    shares = [ids[at :: sizes.tasks] for at in range(sizes.tasks)]
    async with _several(setting, sizes.pool, prepared=prepared) as connections:
        idle = deque(connections)
        free = asyncio.Semaphore(len(idle))

        async def task(share: list[int]) -> list[bytes]:
            responses = []
            for number in share:
                async with free:
                    bare, request = idle.popleft()
                    responses.append(await bare.ask(request(number)))
                    idle.append((bare, request))
            return responses

        async def run() -> list[list[bytes]]:
            return await asyncio.gather(*map(task, shares))

        def check(found: list[list[bytes]]) -> None:
            for share, responses in zip(shares, found, strict=True):
                _check(responses, share, sizes.rows)

        yield Job(run, check)


@asynccontextmanager
async def _several(setting: Setting, count: int, *, prepared: bool) -> AsyncIterator[list[Asker]]:
    if count == 0:
        yield []
        return
    async with (
        _bare(setting, prepared=prepared) as first,
        _several(setting, count - 1, prepared=prepared) as others,
    ):
        yield [first, *others]
