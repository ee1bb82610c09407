"""A TCP proxy that delays what passes through it, as a network does between two machines.

A program of its own, so that its work is no client's CPU time, nor that of its turns:
`python -m benchmarks.compare.delay HOST PORT SECONDS CPU RATE` prints the port where it listens on
127.0.0.1, and ends when its standard input does.  CPU is the processor it keeps off, or -1; RATE
how many bytes pass each way in a second, or 0.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
import time
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


def _serve(listener: socket.socket, address: tuple[str, int], seconds: float, rate: float) -> None:
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(address)
        except OSError:
            client.close()
            continue
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in ((client, server), (server, client)):
            chunks: queue.Queue[tuple[float, bytes]] = queue.Queue(_CHUNKS)
            _start(_receive, source, chunks, seconds, rate)
            _start(_send, target, chunks)


def _receive(
    source: socket.socket,
    chunks: queue.Queue[tuple[float, bytes]],
    seconds: float,
    rate: float,
) -> None:
    size = min(_CHUNK, int(rate * _RATED_CHUNK) + 1) if rate else _CHUNK
    chunk = b"-"
    free = 0.0  # when the line has sent what came before
    while chunk:
        try:
            chunk = source.recv(size)
        except OSError:
            chunk = b""
        free = max(free, time.monotonic()) + (len(chunk) / rate if rate else 0)
        chunks.put((free + seconds, chunk))


def _send(target: socket.socket, chunks: queue.Queue[tuple[float, bytes]]) -> None:
    """Send each chunk when it is due; an empty one is the end."""
    held: tuple[float, bytes] | None = None
    chunk = b"-"
    while chunk:
        due, chunk = held or chunks.get()
        held = None
        time.sleep(max(0.0, due - time.monotonic()))
        parts = [chunk]
        # What else is due by now goes along, so that many small chunks don't wait for this program.
        with contextlib.suppress(queue.Empty):
            while chunk and held is None:
                held = chunks.get_nowait()
                if held[0] <= time.monotonic():
                    chunk, held = held[1], None
                    parts.append(chunk)
        # Who is gone needs nothing more, but the other thread must not wait for room.
        with contextlib.suppress(OSError):
            target.sendall(b"".join(parts))
            if not chunk:
                target.shutdown(socket.SHUT_WR)


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
