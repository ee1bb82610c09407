"""Transactions.

The outermost one is a RootTransaction or a TwoPhaseTransaction. `begin` within it gives a plain
Transaction, which has no counterpart in the server: committing it does nothing, rolling it back
rolls the outermost one back. A NestedTransaction is a savepoint.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from aiomysql_sa.exc import InvalidRequestError

if TYPE_CHECKING:
    from aiomysql_sa.connection import SAConnection


class Transaction:
    """A transaction within another one."""

    def __init__(self, connection: SAConnection, parent: Transaction | None) -> None:
        """Made by `SAConnection.begin`; `parent` is the transaction around it."""
        self._connection = connection
        self._parent = parent or self
        self._is_active = True

    def __repr__(self) -> str:
        state = "active" if self.is_active else "finished"
        return f"<{type(self).__name__} {state} on {self._connection!r}>"

    @property
    def is_active(self) -> bool:
        """Whether neither this transaction nor one around it is finished."""
        return self._is_active and (self._parent is self or self._parent.is_active)

    @property
    def connection(self) -> SAConnection:
        """The connection of the transaction."""
        return self._connection

    async def close(self) -> None:
        """Roll back, if this is the outermost transaction; else only end it."""
        if self._parent is self:
            await self.rollback()
        self._is_active = False

    async def rollback(self) -> None:
        """Undo what was done; has no effect on a finished transaction."""
        if not self.is_active:
            return
        try:
            await self._do_rollback()
        finally:
            self._is_active = False

    async def commit(self) -> None:
        """Make permanent what was done. Raises InvalidRequestError on a finished transaction."""
        self._require_active()
        try:
            await self._do_commit()
        finally:
            self._is_active = False

    def _require_active(self) -> None:
        if not self.is_active:
            raise InvalidRequestError("This transaction is inactive")

    async def _do_rollback(self) -> None:
        await self._parent.rollback()

    async def _do_commit(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            await self.rollback()
        elif self.is_active:
            await self.commit()


class RootTransaction(Transaction):
    """An outermost transaction."""

    def __init__(self, connection: SAConnection) -> None:
        """Made by `SAConnection.begin`."""
        super().__init__(connection, None)

    async def _do_rollback(self) -> None:
        await self._connection._finish("ROLLBACK")

    async def _do_commit(self) -> None:
        await self._connection._finish("COMMIT")


class NestedTransaction(Transaction):
    """A savepoint within a transaction; rolling it back leaves the outer transaction going."""

    _savepoint: str

    async def _do_rollback(self) -> None:
        await self._connection._finish(f"ROLLBACK TO SAVEPOINT {self._savepoint}", self._parent)

    async def _do_commit(self) -> None:
        await self._connection._finish(f"RELEASE SAVEPOINT {self._savepoint}", self._parent)


class TwoPhaseTransaction(Transaction):
    """An outermost transaction that may be prepared first and committed later (XA)."""

    def __init__(self, connection: SAConnection, xid: str) -> None:
        """Made by `SAConnection.begin_twophase`."""
        super().__init__(connection, None)
        self._is_prepared = False
        self._xid = xid

    @property
    def xid(self) -> str:
        """The transaction's id, by which any session may finish it once it is prepared."""
        return self._xid

    async def prepare(self) -> None:
        """Prepare to commit; afterwards only `commit` and `rollback` are allowed.

        Raises InvalidRequestError on a finished transaction, and on one that is prepared.
        """
        self._require_active()
        if self._is_prepared:
            raise InvalidRequestError(f"The transaction {self._xid!r} is prepared already")
        await self._connection._prepare_twophase(self._xid)
        self._is_prepared = True

    async def _do_rollback(self) -> None:
        await self._connection.rollback_prepared(self._xid, is_prepared=self._is_prepared)

    async def _do_commit(self) -> None:
        await self._connection.commit_prepared(self._xid, is_prepared=self._is_prepared)
