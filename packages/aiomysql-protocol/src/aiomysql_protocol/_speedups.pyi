from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from aiomysql_protocol.commands.exchange_state import ExchangeState as ExchangeState
from aiomysql_protocol.commands.exchange_state import ResultState as ResultState
from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellPlan
from aiomysql_protocol.session_state import SessionState as SessionState
from aiomysql_protocol.values.parameters import ParameterWriter

_T = TypeVar("_T")

@final
class LongPayload(bytearray):
    def gather(self, buffer: bytes | bytearray, start: int, stop: int, /) -> None: ...
    def room(self, limit: int, /) -> memoryview | None: ...
    def fill(self, count: int, /) -> None: ...

@final
class TextRowDecoder:
    def __new__(cls, plans: Sequence[CellPlan]) -> TextRowDecoder: ...
    def decode(
        self,
        buffer: bytes | bytearray,
        start: int,
        end: int,
        sequence_id: int,
        rows: list[Any],
        keys: tuple[str, ...] | None = None,
        /,
    ) -> int: ...
    def decode_row(
        self, payload: bytes | bytearray, keys: tuple[str, ...] | None = None, /
    ) -> Any: ...

@final
class BinaryRowDecoder:
    def __new__(cls, plans: Sequence[BinaryPlan]) -> BinaryRowDecoder: ...
    def decode(
        self,
        buffer: bytes | bytearray,
        start: int,
        end: int,
        sequence_id: int,
        rows: list[Any],
        keys: tuple[str, ...] | None = None,
        /,
    ) -> int: ...
    def decode_row(
        self, payload: bytes | bytearray, keys: tuple[str, ...] | None = None, /
    ) -> Any: ...

def whole_payload(
    buffer: bytes | bytearray, position: int, end: int, sequence_id: int, /
) -> bytes | None: ...
def is_row_change(statement: bytes, start: int, /) -> bool: ...
def is_simple_statement(statement: bytes | str, start: int, /) -> bool: ...
def read_greeting(payload: bytes, /) -> tuple[int, str, int, int, int, int, bytes, str] | None: ...
def read_response(session: SessionState, buffer: bytearray, position: int, end: int, /) -> int: ...
def encode_query(
    statement: bytes, source: str | None, streamed: bool, as_dicts: bool, /
) -> Query: ...
def encode_execution(
    writer: ParameterWriter,
    prepared: ServerStatement,
    values: Sequence[object],
    streamed: bool,
    as_dicts: bool,
    own_marks: bool,
    /,
) -> Execute | None: ...
def drain_rows(rows: list[_T], /) -> tuple[_T, ...]: ...
def literals(
    args: Sequence[object],
    no_backslash_escapes: bool,
    other: Callable[[Any], str],
    /,
) -> tuple[str, ...]: ...
def pack_parameters(values: Sequence[object], /) -> tuple[int, bytes, bytes, bytes] | None: ...
def write_file_rows(
    rows: Sequence[object], start: int, size: int, kinds: bytes, /
) -> tuple[bytes, int]: ...
def write_parameter_rows(
    rows: Sequence[object], start: int, room: int, types: bytes, /
) -> tuple[bytes, bytes, int]: ...
def write_rows(
    pieces: tuple[bytes, ...],
    rows: Sequence[object],
    start: int,
    room: int,
    no_backslash_escapes: bool,
    other: Callable[[Any], str],
    separator: bytes,
    /,
) -> tuple[bytes, int]: ...

session_functions: object
