"""The compressed protocol: frames around the frames.

From the packet behind the log-in's OK on, all that goes either way stands in frames of its own: the
length of what follows, a sequence id, and the length that it has when it is inflated, or zero if it
is not compressed.  Packets begin and end anywhere in them.

MySQL: "Compression", "Compressed Packet".  MariaDB: "Compression".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from aiomysql_protocol.wire.errors import malformed

__all__ = ["ALGORITHMS", "UNCOMPRESSED", "Algorithm", "algorithm"]

#: Stands among the names of algorithms for none (MySQL's name for it).
UNCOMPRESSED: Final = "uncompressed"

_HEADER = 7  # bytes

#: Bytes that are put in one frame, of at most 16 MiB: as many are compressed at once, in memory
#: that need not grow with the request.
_FRAME = 1 << 20

#: What is shorter, in bytes, grows when it is compressed (the servers have the same limit).
_WORTH_IT = 50

#: The most bytes that are inflated at once, and those that are given to be.
_MOST_OUT = 1 << 16
_MOST_IN = 1 << 14

#: So many bytes of a frame tell whether a packet begins with it, and of what kind.
_TELLING = 5

#: Bytes, as a power of two, of the largest window that a frame of 16 MiB needs.
_LARGEST_WINDOW = 24


class Inflater(Protocol):
    """Inflates what was compressed at one go, piece by piece."""

    @property
    def eof(self) -> bool:
        """Whether the end was met."""

    @property
    def unused_data(self) -> bytes:
        """What stands behind the end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """The next bytes, at most `max_length`; when there are fewer, more of `data` must come."""


class Algorithm(Protocol):
    """A way to compress."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """`data` compressed."""

    def inflater(self) -> Inflater:
        """Inflates the content of one frame."""


class _ZlibInflater:
    """As zstd's, it keeps what it has not used."""

    def __init__(self, inflater: Any) -> None:
        self._inflater = inflater

    @property
    def eof(self) -> bool:
        return bool(self._inflater.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inflater.unused_data)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        left = self._inflater.unconsumed_tail
        return bytes(self._inflater.decompress(left + data if left else data, max_length))


class Zlib:
    """zlib, levels 1 to 9."""

    def __init__(self, level: int | None = None) -> None:
        import zlib  # not for everybody who imports this

        self._zlib = zlib
        self._level = -1 if level is None else min(level, 9)

    def compress(self, data: bytes | memoryview, /) -> bytes:
        # The memory that a small window needs is made in a tenth of the time.
        window, memory = (12, 5) if len(data) <= 1 << 12 else (15, 8)
        compressor = self._zlib.compressobj(self._level, self._zlib.DEFLATED, window, memory)
        return compressor.compress(data) + compressor.flush()

    def inflater(self) -> Inflater:
        return _ZlibInflater(self._zlib.decompressobj())


class Zstd:
    """zstd, levels 1 to 22: Python 3.14's, or that of the package backports.zstd."""

    #: The level by default, which the server is told: it compresses with it, too.
    DEFAULT_LEVEL: Final = 3

    def __init__(self, level: int | None = None) -> None:
        """Raises ImportError where there is none."""
        zstd = _zstd()
        self._zstd = zstd
        #: What the server is told.
        self.level: int = self.DEFAULT_LEVEL if level is None else level
        limit = zstd.DecompressionParameter.window_log_max
        self._limits: Mapping[Any, int] = {limit: _LARGEST_WINDOW}

    def compress(self, data: bytes | memoryview, /) -> bytes:
        return bytes(self._zstd.compress(data, self.level))

    def inflater(self) -> Inflater:
        inflater: Inflater = self._zstd.ZstdDecompressor(options=self._limits)
        return inflater


def _zstd() -> Any:
    """The module.  Raises ImportError where there is none."""
    from importlib import import_module

    try:
        return import_module("compression.zstd")
    except ImportError:
        return import_module("backports.zstd")


_CLASSES: Final[Mapping[str, type[Zlib | Zstd]]] = {"zlib": Zlib, "zstd": Zstd}

#: The names of the algorithms.
ALGORITHMS: Final = tuple(_CLASSES)


def algorithm(name: str, level: int | None = None) -> Zlib | Zstd:
    """The algorithm of this name.

    level: None for its own default; what is too high for it is its highest.
    Raises ImportError when its library is missing.
    """
    return _CLASSES[name](level)


def compressed_frames(
    algorithm: Algorithm, chunks: Iterable[bytes | memoryview], sequence_id: int
) -> tuple[list[bytes | memoryview], int]:
    """`chunks` in compressed frames, the first numbered `sequence_id`.

    Returns the chunks to write in order, and the sequence id that follows the last frame.
    """
    frames: list[bytes | memoryview] = []
    for chunk in chunks:
        whole = memoryview(chunk)
        for start in range(0, len(whole), _FRAME):
            part = whole[start : start + _FRAME]
            size = len(part)
            content: bytes | memoryview = part
            if size >= _WORTH_IT:
                content = algorithm.compress(part)
            if len(content) >= size:
                content, size = part, 0
            header = len(content) | sequence_id << 24 | size << 32
            frames += (header.to_bytes(_HEADER, "little"), content)
            sequence_id = (sequence_id + 1) & 0xFF
    return frames, sequence_id


class CompressedReader:
    """Reads what comes in compressed frames, as it comes.

    What a frame holds is given in pieces of 64 KiB, and checked at its end, so that no frame needs
    memory of its size, and none gives more than it has announced.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._input = bytearray()
        self._position = 0  # of the next byte to be read in there
        self._is_within = False  # a frame
        self._sequence_id: int | None = None  # of a frame whose first bytes were not given yet
        self._missing = 0  # bytes of it that are still to be read
        self._size = 0  # bytes that it must still give
        self._inflater: Inflater | None = None  # None: it is not compressed
        self._has_more = False  # what the inflater has may give more
        self._held = b""  # its first bytes, while they are too few

    def feed(self, data: memoryview) -> None:
        """These bytes came."""
        self._input += data

    def read(self) -> tuple[int | None, bytes] | None:
        """The next bytes within the frames; None: others must come first.

        A frame's first five bytes or more (all, if it is shorter) come with its sequence id, what
        follows with None.  Raises MalformedPacket.
        """
        while self._is_within or self._begin():
            piece = self._inflated() if self._inflater is not None else self._stored()
            is_missing = self._is_within and not piece
            if self._held:
                piece, self._held = self._held + piece, b""
            if self._is_within and self._sequence_id is not None and len(piece) < _TELLING:
                self._held = piece
            elif piece:
                sequence_id, self._sequence_id = self._sequence_id, None
                return sequence_id, piece
            if is_missing:
                break
        if self._position:
            del self._input[: self._position]
            self._position = 0
        return None

    def _begin(self) -> bool:
        """Read a header; False: it is not all there."""
        start = self._position
        header = self._input[start : start + _HEADER]
        if len(header) < _HEADER:
            return False
        self._position = start + _HEADER
        self._missing = int.from_bytes(header[:3], "little")
        self._sequence_id = header[3]
        self._size = int.from_bytes(header[4:], "little")
        if not self._missing:
            raise malformed("an empty compressed packet")
        self._inflater = self._algorithm.inflater() if self._size else None
        self._has_more = False
        self._is_within = True
        return True

    def _take(self, limit: int) -> bytes:
        """The next bytes of the frame that have come, at most `limit`."""
        start = self._position
        taken = bytes(self._input[start : start + min(limit, self._missing)])
        self._position = start + len(taken)
        self._missing -= len(taken)
        return taken

    def _stored(self) -> bytes:
        """The next bytes of a frame that is not compressed; none: others must come first."""
        taken = self._take(_MOST_OUT)
        self._is_within = self._missing > 0
        return taken

    def _inflated(self) -> bytes:
        """The next bytes of a frame that is compressed; none: at its end, or others must come."""
        inflater = self._inflater
        assert inflater is not None
        piece = b""
        while self._is_within and not piece:
            data = b"" if self._has_more else self._take(_MOST_IN)
            if not (data or self._has_more):
                break
            limit = min(_MOST_OUT, self._size + 1)  # one more, to know that there are no more
            try:
                piece = inflater.decompress(data, limit)
            except Exception as error:  # each library has errors of its own
                raise malformed(f"a compressed packet can't be inflated: {error}") from error
            self._size -= len(piece)
            self._has_more = len(piece) == limit
            if self._size < 0:
                raise malformed("a compressed packet is longer than it has announced")
            if inflater.eof or not (self._missing or self._has_more):
                if not inflater.eof or self._missing or inflater.unused_data or self._size:
                    raise malformed("a compressed packet is not as long as it has announced")
                self._is_within = False
        return piece
