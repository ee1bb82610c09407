from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar, final

from aiomysql_core.connection import Connection
from aiomysql_core.cursors import Cursor
from aiomysql_core.engine.cursor_state import CursorState as CursorState
from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.statements import Statement, StatementCache
from aiomysql_core.transport.stream import Stream
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.implementation import Waiter
from aiomysql_protocol.session import Session
from aiomysql_protocol.values.literals import Literals

_T = TypeVar("_T")

@final
class ReadyContext(Coroutine[Any, Any, _T], Generic[_T]):
    # Made by `new_cursor`; called, it gives an AwaitableContextManager.
    def __init__(self, coro: Awaitable[_T], /) -> None: ...
    def __await__(self) -> Generator[Any, None, _T]: ...
    def send(self, value: Any, /) -> NoReturn: ...
    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> NoReturn: ...
    def close(self) -> None: ...
    def __aenter__(self) -> Awaitable[_T]: ...
    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Coroutine[Any, Any, Any]: ...

@final
class FastPath:
    def __init__(
        self,
        runner: CommandRunner,
        interrupted: Callable[[BaseException], object],
        stream: Stream,
        unsent: bytearray,
        waiter: Waiter,
        session: Session,
        statements: StatementCache,
        literals: Literals,
        descriptor: int,
        text: bool,
    ) -> None: ...
    def begin(self, cursor: Cursor, query: object, args: object, /) -> bool: ...
    def rest(self) -> tuple[Query, Statement | None]: ...
    def __await__(self) -> Generator[Any, None, int | None]: ...
    def send(self, value: Any, /) -> Any: ...
    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any: ...
    def close(self) -> None: ...

@final
class Receiver:
    def __init__(
        self,
        stream: Stream,
        session: Session,
        waiter: Waiter,
        descriptor: int,
    ) -> None: ...
    def __call__(self) -> None: ...

def new_cursor(
    kind: type[Cursor], connection: Connection, echo: bool, /
) -> ReadyContext[Cursor]: ...
def same_items(a: tuple[Any, ...], b: tuple[Any, ...], /) -> bool: ...
