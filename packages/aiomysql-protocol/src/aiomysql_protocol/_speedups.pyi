from collections.abc import Sequence
from typing import Any, final

from .binary_rows import BinaryPlan
from .rows import CellPlan

def pack_parameters(values: Sequence[object], /) -> tuple[int, bytes, bytes, bytes] | None: ...

@final
class TextRowDecoder:
    def __new__(cls, plans: Sequence[CellPlan]) -> TextRowDecoder: ...
    def decode(
        self,
        buffer: bytes | bytearray,
        start: int,
        end: int,
        sequence_id: int,
        rows: list[tuple[Any, ...]],
        /,
    ) -> int: ...
    def decode_row(self, payload: bytes | bytearray, /) -> tuple[Any, ...]: ...

@final
class BinaryRowDecoder:
    def __new__(cls, plans: Sequence[BinaryPlan]) -> BinaryRowDecoder: ...
    def decode(
        self,
        buffer: bytes | bytearray,
        start: int,
        end: int,
        sequence_id: int,
        rows: list[tuple[Any, ...]],
        /,
    ) -> int: ...
    def decode_row(self, payload: bytes | bytearray, /) -> tuple[Any, ...]: ...
