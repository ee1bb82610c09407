from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context
from typing import Any, Generic, NoReturn, TypeVar, final

from .answers import Answer
from .binary_rows import BinaryPlan
from .columns import Block
from .rows import CellPlan

_T = TypeVar("_T")

@final
class Ready(Coroutine[Any, Any, _T], Generic[_T]):
    def __init__(self, value: _T, /) -> None: ...
    @property
    def value(self) -> _T: ...
    def __await__(self) -> Generator[Any, None, _T]: ...
    def send(self, value: Any, /) -> NoReturn: ...
    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> NoReturn: ...
    def close(self) -> None: ...

@final
class Waiter:
    def __init__(self, loop: Any, cancelled_error: type[BaseException]) -> None: ...
    def arm(self, interrupted: Callable[[BaseException], object] | None, /) -> None: ...
    def fire(self, at_once: bool, /) -> None: ...
    def __await__(self) -> Generator[Any]: ...
    def get_loop(self) -> Any: ...
    def add_done_callback(
        self, callback: Callable[[Waiter], object], /, *, context: Context | None = None
    ) -> None: ...
    def cancel(self, msg: Any = None) -> bool: ...
    def result(self) -> None: ...

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

def read_answer(
    blocks: list[Block], buffer: bytes | bytearray, start: int, end: int, /
) -> Answer | None: ...
def literals(
    args: Sequence[object],
    no_backslash_escapes: bool,
    other: Callable[[Any], str],
    /,
) -> tuple[str, ...]: ...
def pack_parameters(values: Sequence[object], /) -> tuple[int, bytes, bytes, bytes] | None: ...
def write_rows(
    pieces: tuple[bytes, ...],
    rows: Sequence[object],
    start: int,
    room: int,
    no_backslash_escapes: bool,
    other: Callable[[Any], str],
    /,
) -> tuple[bytes, int]: ...
