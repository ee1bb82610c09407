from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from aiomysql_protocol.commands.exchange_state import ExchangeState as ExchangeState
from aiomysql_protocol.commands.exchange_state import ResultState as ResultState
from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.commands.response import Response
from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellPlan
from aiomysql_protocol.rows.metadata import MetadataPrefix
from aiomysql_protocol.session import Session

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

def whole_payload(
    buffer: bytes | bytearray, position: int, end: int, sequence_id: int, /
) -> bytes | None: ...
def is_simple_statement(statement: bytes | str, start: int, /) -> bool: ...
def read_greeting(payload: bytes, /) -> tuple[int, str, int, int, int, int, bytes, str] | None: ...
def read_response(
    prefixes: list[MetadataPrefix], buffer: bytes | bytearray, start: int, end: int, /
) -> Response | None: ...
def dict_rows(names: tuple[str, ...], rows: list[Any], /) -> None: ...
def drain_rows(rows: list[_T], /) -> tuple[_T, ...]: ...
def literals(
    args: Sequence[object],
    no_backslash_escapes: bool,
    other: Callable[[Any], str],
    /,
) -> tuple[str, ...]: ...
def pack_parameters(values: Sequence[object], /) -> tuple[int, bytes, bytes, bytes] | None: ...
def start_query(
    session: Session, kind: type[Query], statement: bytes, /
) -> tuple[Query, bytes] | None: ...
def start_execution(
    session: Session, kind: type[Execute], prepared: ServerStatement, values: tuple[object, ...], /
) -> tuple[Execute, bytes] | None: ...
def quick_response(session: Session, buffer: bytearray, start: int, end: int, /) -> bool: ...
def write_rows(
    pieces: tuple[bytes, ...],
    rows: Sequence[object],
    start: int,
    room: int,
    no_backslash_escapes: bool,
    other: Callable[[Any], str],
    /,
) -> tuple[bytes, int]: ...
