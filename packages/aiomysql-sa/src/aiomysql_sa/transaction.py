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
        # Whether what was done in it is lost, as far as the server has said.
        self._is_undone = False

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
        """Undo what was done; has no effect on a finished transaction.

        One that is no savepoint, within another, has no end of its own: as long as the one around
        it is active, this rolls that one back.
        """
        if not self._is_within_active():
            return
        try:
            await self._do_rollback()
        finally:
            self._is_active = False

    async def commit(self) -> None:
        """Make permanent what was done.

        Has no effect on one within another that was committed or closed before: the end of that
        one decides. Raises InvalidRequestError if it was rolled back, or that one is finished.
        """
        if not self._is_within_active() or self._is_undone:
            raise InvalidRequestError("This transaction is inactive")
        if not self._is_active:
            return
        try:
            await self._do_commit()
        except BaseException:
            self._is_undone = True
            raise
        finally:
            self._is_active = False

    def _is_within_active(self) -> bool:
        """Whether the transaction around this one is active; for an outermost one, itself."""
        return self._is_active if self._parent is self else self._parent.is_active

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
        if not self._is_active:
            return
        self._is_undone = True
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
