"""What LOAD DATA LOCAL INFILE sends: a file, bytes, or anything that gives bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from time import monotonic
from typing import Any, BinaryIO, Protocol, runtime_checkable

from pymysql.constants import ER
from pymysql.err import OperationalError

#: Bytes sent in one packet.
_CHUNK = 1 << 16

#: Seconds after which other tasks have their turn, where pieces come without a pause.
_TURN = 0.01


@runtime_checkable
class Readable(Protocol):
    """A binary file, or anything that reads like one."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


#: Where the data of a LOAD DATA LOCAL statement may come from.
LocalSource = bytes | bytearray | memoryview | Readable | AsyncIterable[bytes] | Iterable[bytes]


#: The files that a statement may load.  Name as it is sent -> for each time it may be asked for its
#: path, and where the bytes come from: None for the file itself.
LocalFiles = Mapping[bytes, Sequence[tuple[str, LocalSource | None]]]


def files_by_name(
    names: Iterable[str], encoding: str, source: LocalSource | None = None
) -> LocalFiles:
    """The files that a statement in `encoding` may load, with these names and one source.

    Each as often as its name is among them: several statements in one text may load the same.
    """
    files: dict[bytes, list[tuple[str, LocalSource | None]]] = {}
    for name in names:
        with contextlib.suppress(UnicodeEncodeError):  # no statement can have it
            files.setdefault(name.encode(encoding), []).append((name, source))
    return files


class LocalFile:
    """A file of the client's.

    Of what `open` gives only `read` and `close` are used: classic code puts objects in its place
    that have nothing else.
    """

    def __init__(self, name: str) -> None:
        """Open it.  Raises what `open` raises."""
        self._name = name
        self._file = _open(name)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes.  Raises OperationalError 1024 when that fails."""
        try:
            return self._file.read(size)
        except Exception as error:
            raise OperationalError(
                ER.ERROR_ON_READ, f"Error reading file '{self._name}' ({error})"
            ) from error

    def close(self) -> None:
        """Close it."""
        self._file.close()


async def open_local_file(name: str) -> LocalFile:
    """Open the file `name`.  Raises OperationalError 1017 when it can't be opened."""
    loop = asyncio.get_running_loop()
    try:
        opening = loop.run_in_executor(None, LocalFile, name)
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise
    except OSError as error:
        raise OperationalError(
            ER.FILE_NOT_FOUND, f"Can't find file '{name}' ({error.strerror or error})"
        ) from error


def _close(opening: asyncio.Future[LocalFile]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _open(name: str) -> BinaryIO:
    return open(name, "rb")


async def chunks(source: LocalSource) -> AsyncGenerator[bytes, None]:
    """The bytes of `source` in pieces of at most 64 KiB; files are read in a thread.

    Raises TypeError for a source that gives something else than bytes, and what the source raises.
    """
    async for piece in _pieces(source):
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"the source of LOAD DATA LOCAL must give bytes, not {type(piece).__name__}"
            )
        data = bytes(piece)
        for start in range(0, len(data), _CHUNK):
            yield data[start : start + _CHUNK]


class PieceSender:
    """Sends the pieces of a file, small ones together.

    One that has been taken is sent in the next turn of the event loop at the latest: its source may
    wait long for what comes next, and servers don't wait long for a file.
    """

    def __init__(self, send: Callable[[bytes], None], loop: asyncio.AbstractEventLoop) -> None:
        """send: called with at most 64 KiB at a time, perhaps by the loop."""
        self._send = send
        self._loop = loop
        self._gathered = bytearray()
        self._handle: asyncio.Handle | None = None
        self._turn_ends = 0.0

    def add(self, piece: bytes) -> bool:
        """Take a piece of at most 64 KiB; returns whether other tasks should have their turn."""
        if len(self._gathered) + len(piece) > _CHUNK:
            self.flush()
        self._gathered += piece
        if self._handle is None:
            self._turn_ends = monotonic() + _TURN
            self._handle = self._loop.call_soon(self.flush)
        if len(self._gathered) < _CHUNK:
            return monotonic() > self._turn_ends
        self.flush()
        return True

    def flush(self) -> None:
        """Send what was taken."""
        self.close()
        data, self._gathered = bytes(self._gathered), bytearray()
        if data:
            self._send(data)

    def close(self) -> None:
        """Send nothing more by itself."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


async def _pieces(source: Any) -> AsyncIterator[Any]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield source
    elif isinstance(source, Readable):
        loop = asyncio.get_running_loop()
        while piece := await loop.run_in_executor(None, source.read, _CHUNK):
            yield piece
    elif isinstance(source, AsyncIterable):
        async for piece in source:
            yield piece
    elif isinstance(source, Iterable) and not isinstance(source, str):
        for piece in source:
            yield piece
    else:
        raise TypeError(
            "the source of LOAD DATA LOCAL must be bytes, a binary file or an iterable of bytes, "
            f"not {type(source).__name__}"
        )
