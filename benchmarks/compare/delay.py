"""A TCP proxy that delays what passes through it, as a network does between two machines.

A program of its own, so that its work is no client's CPU time, nor that of its turns:
`python -m benchmarks.compare.delay HOST PORT SECONDS CPU RATE` prints the port where it listens on
127.0.0.1, and ends when its standard input does.  CPU is the processor it keeps off, or -1; RATE
how many bytes pass each way in a second, or 0.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent
_CHUNK = 1 << 16
_CHUNKS = 1024
"""Chunks that wait on one way; behind them, the sender has to."""
_RATED_CHUNK = 0.002
"""Seconds that a chunk takes, at most, where the rate is limited."""


@contextlib.contextmanager
def delaying(
    host: str, port: int, seconds: float, cpu: int | None, rate: float = 0
) -> Iterator[int]:
    """Run the proxy before a server; the port to connect to, on 127.0.0.1.

    seconds: of delay each way.  cpu: the client's processor, which the proxy keeps off.  rate:
    bytes that pass each way in a second, on each connection; 0: as many as can.
    """
    off = -1 if cpu is None else cpu
    arguments = ("-m", __spec__.name, host, str(port), str(seconds), str(off), str(rate))
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


class _Way:
    """One direction of a connection."""

    def __init__(
        self, source: socket.socket, target: socket.socket, seconds: float, rate: float
    ) -> None:
        self.source, self.target = source, target
        self._seconds, self._rate = seconds, rate
        self._size = min(_CHUNK, int(rate * _RATED_CHUNK) + 1) if rate else _CHUNK
        # When each chunk is due; an empty one is the end.
        self._chunks: deque[tuple[float, bytes]] = deque()
        # What is due, and was not taken by the system yet.
        self._unsent = b""
        # When the line has sent what came before.
        self._free = 0.0
        self._has_all = False
        #: Whether the end has passed.
        self.is_over = False

    @property
    def takes_more(self) -> bool:
        """Whether there is room for what comes; behind the last chunk the sender has to wait."""
        return not self._has_all and len(self._chunks) < _CHUNKS

    @property
    def is_held_up(self) -> bool:
        """Whether the target does not take more for now."""
        return bool(self._unsent)

    @property
    def due(self) -> float:
        """When there is something to be sent."""
        return self._chunks[0][0] if self._chunks and not self._unsent else math.inf

    def receive(self) -> None:
        """Take what has come."""
        try:
            chunk = self.source.recv(self._size)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._has_all = not chunk
        now = time.monotonic()
        self._free = max(self._free, now) + (len(chunk) / self._rate if self._rate else 0)
        self._chunks.append((self._free + self._seconds, chunk))

    def send(self) -> None:
        """Send what is due."""
        parts, now = [self._unsent], time.monotonic()
        while self._chunks and self._chunks[0][0] <= now and not self.is_over:
            chunk = self._chunks.popleft()[1]
            parts.append(chunk)
            self.is_over = not chunk
        data = b"".join(parts)
        # Who is gone needs nothing more.
        try:
            self._unsent = data[self.target.send(data) :] if data else b""
        except BlockingIOError:
            self._unsent = data
        except OSError:
            self._unsent = b""
        if self.is_over and not self._unsent:
            with contextlib.suppress(OSError):
                self.target.shutdown(socket.SHUT_WR)


def _carry(client: socket.socket, server: socket.socket, seconds: float, rate: float) -> None:
    """Carry one connection, both ways in one thread: two would wake each other for each chunk."""
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
    ways = [_Way(client, server, seconds, rate), _Way(server, client, seconds, rate)]
    with client, server:
        while not all(way.is_over and not way.is_held_up for way in ways):
            reading = [way.source for way in ways if way.takes_more]
            writing = [way.target for way in ways if way.is_held_up]
            due = min(way.due for way in ways)
            wait = None if math.isinf(due) else max(0.0, due - time.monotonic())
            readable, writable, _ = select.select(reading, writing, [], wait)
            for way in ways:
                if way.source in readable:
                    way.receive()
                if way.target in writable or way.due <= time.monotonic():
                    way.send()


def _serve(listener: socket.socket, address: tuple[str, int], seconds: float, rate: float) -> None:
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(address)
        except OSError:
            client.close()
            continue
        _start(_carry, client, server, seconds, rate)


def _start(function: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def main() -> None:
    """Serve until standard input ends."""
    host, port, seconds, cpu, rate = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {int(cpu)} or {int(cpu)})
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    _start(_serve, listener, (host, int(port)), float(seconds), float(rate))
    sys.stdin.read()


if __name__ == "__main__":
    main()
