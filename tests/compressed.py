"""Frames of the compressed protocol, as a server sends them, and as it reads them."""

from __future__ import annotations

from aiomysql_protocol.wire.compression import algorithm


def compressed_frame(content: bytes, sequence_id: int, size: int) -> bytes:
    """One frame; size: what it announces, 0 for content that is not compressed."""
    head = len(content).to_bytes(3, "little") + bytes([sequence_id % 256])
    return head + size.to_bytes(3, "little") + content


def stored(data: bytes, sequence_id: int) -> bytes:
    """A frame of `data` as it is."""
    return compressed_frame(data, sequence_id, 0)


def compressed(data: bytes, sequence_id: int, name: str = "zlib") -> bytes:
    """A frame of `data`, compressed with the algorithm of this name, also where it grows."""
    return compressed_frame(algorithm(name).compress(data), sequence_id, len(data))


def compressed_frames(data: bytes, *, size: int, name: str = "zlib", first: int = 1) -> bytes:
    """`data` in frames of `size` bytes; 1 is the number of a response's first one."""
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(compressed(part, first + n, name) for n, part in enumerate(parts))


def read_frames(data: bytes, name: str = "zlib") -> list[tuple[int, bytes]]:
    """The frames that a client has sent: sequence id and content of each."""
    found = []
    while data:
        length, size = int.from_bytes(data[:3], "little"), int.from_bytes(data[4:7], "little")
        content = data[7 : 7 + length]
        assert len(content) == length > 0
        if size:
            content = algorithm(name).inflater().decompress(content, 1 << 24)
            assert len(content) == size
        found.append((data[3], content))
        data = data[7 + length :]
    return found
