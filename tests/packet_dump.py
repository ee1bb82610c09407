"""What went between the tests and a server: `--dump-packets` shows it with each test that fails.

Everything over TCP goes by way of a proxy that writes it down.  What the client sends while it logs
in is masked, and passwords in statements are; other values are shown.  What is encrypted is only
counted, and what goes by a Unix socket is not seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial

import pytest
from pymysql.constants import COMMAND

from tests.proxy import Proxy, accepted, asks_for_tls, connected, either, pass_on
from tests.servers import Server

#: The last packets that are shown, and so many bytes of each.
PACKETS, BYTES = 300, 256
_COMMANDS = {value: name for name, value in vars(COMMAND).items() if name.startswith("COM_")}
_PASSWORD = re.compile(
    rb"""(?is)((?:\bidentified\b|\bpassword\b)[^'"]*)(?P<quote>['"])(?:\\.|(?!(?P=quote)).)*"""
)
_OK, _ERR = b"\x00", b"\xff"


class Conversation:
    """The packets of one connection, told in lines of text."""

    def __init__(self, number: int, begun: float, lines: deque[str]) -> None:
        self._number = number
        self._begun = begun
        self._lines = lines
        self._rest = {True: b"", False: b""}
        self._is_encrypted = False
        self._is_logged_in = False
        #: How many packets the client has sent.
        self._sent = 0

    def add(self, data: bytes, *, to_server: bool) -> None:
        """Tell what came from one side; nothing: it has ended."""
        if not data:
            self._tell(to_server, "the end", b"")
            return
        if self._is_encrypted:
            self._tell(to_server, f"{len(data)} bytes, encrypted", b"")
            return
        rest = self._rest[to_server] + data
        while len(rest) >= 4 and len(rest) >= (size := 4 + int.from_bytes(rest[:3], "little")):
            self._add_packet(rest[3], rest[4:size], to_server)
            rest = rest[size:]
            if self._is_encrypted:
                rest = b""
        self._rest[to_server] = rest

    def _add_packet(self, sequence_id: int, payload: bytes, to_server: bool) -> None:
        what = f"packet {sequence_id}, {len(payload)} bytes"
        if not to_server:
            if not self._is_logged_in:
                self._is_logged_in = payload[:1] == _OK
            what += {_OK: ", OK?", _ERR: ", ERR"}.get(payload[:1], "")
            self._tell(False, what, payload)
            return
        first, self._sent = self._sent == 0, self._sent + 1
        if self._is_logged_in:
            what += f", {_COMMANDS.get(payload[0], '') if payload and not sequence_id else ''}"
            if not sequence_id and payload[:1] == bytes([COMMAND.COM_CHANGE_USER]):
                self._is_logged_in = False
                payload = payload[: payload.find(b"\0") + 1]
                what += ", masked behind the user"
            self._tell(True, what.removesuffix(", "), mask_statement(payload))
        elif first and asks_for_tls(payload):
            self._is_encrypted = True
            self._tell(True, f"{what}, asks for TLS", payload)
        elif first:
            self._tell(True, f"{what}, log-in, masked behind the user", mask_login(payload))
        else:
            self._tell(True, f"{what}, log-in, masked", b"")

    def _tell(self, to_server: bool, what: str, payload: bytes) -> None:
        seconds = time.monotonic() - self._begun
        arrow = "client -> server" if to_server else "server -> client"
        lines = [f"{seconds:.4f} s, connection {self._number}, {arrow}: {what}"]
        for at in range(0, min(len(payload), BYTES), 16):
            part = payload[at : at + 16]
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
            lines.append(f"    {at:04x}  {part.hex(' '):47}  {text}")
        if len(payload) > BYTES:
            lines.append(f"    ... {len(payload) - BYTES} bytes more")
        self._lines.append("\n".join(lines))


def mask_login(payload: bytes) -> bytes:
    """A log-in as far as the user's name: what proves the password stands behind it."""
    return payload[: payload.find(b"\0", 32) + 1]


def mask_statement(payload: bytes) -> bytes:
    """A request without the passwords that stand in its text."""
    return _PASSWORD.sub(rb"\1\g<quote>***", payload)


class PacketDump:
    """The plugin: proxies for the servers, and the packets of the test that runs."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=PACKETS)
        self._begun = time.monotonic()
        self._connections = 0

    @contextlib.contextmanager
    def before(self, server: Server) -> Iterator[Server]:
        """The same server by way of a proxy that writes down what passes."""
        with _DumpProxy(server.host, server.port, self._conversation).in_thread() as port:
            yield replace(server, host="127.0.0.1", port=port)

    def _conversation(self) -> Conversation:
        self._connections += 1
        return Conversation(self._connections, self._begun, self._lines)

    def text(self) -> str:
        """What has been written down of this test."""
        return "\n".join(self._lines)

    def begin(self) -> None:
        """Forget what was; the next test begins."""
        self._lines.clear()
        self._begun = time.monotonic()
        self._connections = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self.begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and self._lines:
            report.sections.append(("packets", self.text()))
        return report


class _DumpProxy(Proxy):
    """Has a thread of its own: tests and fixtures wait for the server in theirs."""

    def __init__(self, host: str, port: int, begin: Callable[[], Conversation]) -> None:
        super().__init__(host, port)
        self._conversation = begin

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[int]:
        """Within the block it listens, at this port."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
            try:
                yield self.port
            finally:
                asyncio.run_coroutine_threadsafe(self.__aexit__(None, None, None), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def serve(self, sock: socket.socket) -> None:
        async with connected(*self.target) as (upstream, down), accepted(sock) as (reader, writer):
            told = self._conversation()
            await either(
                pass_on(upstream, writer, partial(told.add, to_server=False)),
                pass_on(reader, down, partial(told.add, to_server=True)),
            )
