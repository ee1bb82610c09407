"""What the methods of engines and connections return."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from aiomysql_core.waiting.awaitable import AwaitableContextManager
from aiomysql_sa.exc import InvalidRequestError
from aiomysql_sa.type_variables import Ts

if TYPE_CHECKING:
    from aiomysql_sa.connection import SAConnection
    from aiomysql_sa.result import ResultProxy, RowProxy
    from aiomysql_sa.transaction import Transaction

__all__ = ["SAConnectionContextManager", "TransactionContextManager"]

T = TypeVar("T", bound="Transaction")


class SAConnectionContextManager(AwaitableContextManager["ResultProxy[*Ts]"], Generic[*Ts]):
    """`await` gives a statement's result; `async for` runs over its rows."""

    __slots__ = ("_result",)

    _result: ResultProxy[*Ts] | None

    def __aiter__(self) -> Self:
        self._result = None
        return self

    async def __anext__(self) -> RowProxy[*Ts]:
        if self._result is None:
            self._result = await self
        return await self._result.__anext__()


class TransactionContextManager(AwaitableContextManager[T], Generic[T]):
    """`await` gives a begun transaction; `async with` also commits it, or rolls it back."""

    __slots__ = ()


class EngineAcquireContextManager(AwaitableContextManager["SAConnection"]):
    """`await` gives a connection to be released by the caller; `async with` releases it itself."""

    __slots__ = ("_borrowed",)

    async def __aenter__(self) -> SAConnection:
        self._borrowed = await self
        return self._borrowed

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        unfinished = self._borrowed.in_transaction
        await self._borrowed.close()
        if unfinished and exc is None:
            raise InvalidRequestError(
                "Cannot release a connection with not finished transaction: it was rolled back"
            )
