"""What went between the tests and a server: `--dump-packets` shows it with each test that fails.

Everything over TCP goes by way of a proxy that writes it down.  What the client sends while it logs
in is masked, and passwords in statements are; other values are shown.  What is encrypted is only
counted, and what goes by a Unix socket is not seen.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace

import pytest
from pymysql.constants import CLIENT, COMMAND

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
        elif first and len(payload) == 32:
            self._is_encrypted = bool(int.from_bytes(payload[:4], "little") & CLIENT.SSL)
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
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self._serve, args=(listener, server), daemon=True)
            thread.start()
            try:
                yield replace(server, host="127.0.0.1", port=listener.getsockname()[1])
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join()

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

    def _serve(self, listener: socket.socket, server: Server) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection((server.host, server.port))
            except OSError:
                client.close()
                continue
            self._connections += 1
            told = Conversation(self._connections, self._begun, self._lines)
            args = (client, upstream, told)
            threading.Thread(target=_connect, args=args, daemon=True).start()


def _connect(client: socket.socket, upstream: socket.socket, told: Conversation) -> None:
    """Pass on what comes from both ends until both have ended."""
    with client, upstream:
        back = threading.Thread(target=_pass_on, args=(upstream, client, told, False), daemon=True)
        back.start()
        _pass_on(client, upstream, told, True)
        back.join()


def _pass_on(
    source: socket.socket, target: socket.socket, told: Conversation, to_server: bool
) -> None:
    data = b"?"
    while data:
        try:
            data = source.recv(1 << 16)
            told.add(data, to_server=to_server)
            target.sendall(data)
        except OSError:
            break
    # By this the other direction ends as well.
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
