"""Connections that run SQLAlchemy's expressions."""

from __future__ import annotations

import weakref
from collections.abc import MutableMapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, TypeVarTuple, overload

from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import DDLElement
from sqlalchemy.sql.compiler import Compiled, DDLCompiler
from sqlalchemy.sql.dml import UpdateBase  # noqa: F401  (a name of the classic module)
from sqlalchemy.sql.elements import ClauseElement

from aiomysql_core import Connection, Cursor, SSCursor
from aiomysql_sa._sqlalchemy import ResultColumns
from aiomysql_sa.awaitable import SAConnectionContextManager, TransactionContextManager
from aiomysql_sa.exc import ArgumentError, InvalidRequestError, ResourceClosedError
from aiomysql_sa.result import ResultProxy, create_result_proxy
from aiomysql_sa.statement import (
    Row,
    Statement,
    check_dialect,
    compile_ddl,
    compile_query,
    distill_params,
    wants_streaming,
)
from aiomysql_sa.transaction import (
    NestedTransaction,
    RootTransaction,
    Transaction,
    TwoPhaseTransaction,
)

if TYPE_CHECKING:
    # Statements with the types of their columns, of which 2.0 makes a tuple and 2.1 does not. In
    # 1.4 there is nothing of it: then the first overload, for text, keeps that from being Never.
    from sqlalchemy.sql.selectable import TypedReturnsRows

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Names of the classic module.
_distill_params = distill_params
_SAConnectionContextManager = SAConnectionContextManager
_TransactionContextManager = TransactionContextManager

Query = str | ClauseElement | Compiled


def noop(k: Any) -> Any:
    """Return `k`; a name of the classic module."""
    return k


class HasDialect(Protocol):
    """All that a connection needs of its engine to run statements."""

    @property
    def dialect(self) -> Dialect:
        """The dialect into which expressions are compiled."""


class SAConnection:
    """A connection of an engine; made by `Engine.acquire`."""

    def __init__(
        self,
        connection: Connection[Any],
        engine: HasDialect,
        compiled_cache: MutableMapping[Any, Any] | None = None,
    ) -> None:
        """Run statements on `connection` in the dialect of `engine`."""
        self._connection: Connection[Any] | None = connection
        self._transaction: Transaction | None = None
        self._savepoints = 0
        # The result that has yet to read rows from the connection.
        self._streamed: ResultProxy | None = None
        self._weak_results: weakref.WeakSet[ResultProxy] = weakref.WeakSet()
        self._engine: Any = engine
        self._dialect = engine.dialect
        self._compiled_cache = compiled_cache

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection or 'closed'!r}>"

    @property
    def closed(self) -> bool:
        """Whether the connection was released, or lost."""
        return self._connection is None or self._connection.closed

    @property
    def connection(self) -> Connection[Any] | None:
        """The connection below; None after it was released."""
        return self._connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction begun by `begin` or its like is open."""
        return self._transaction is not None and self._transaction.is_active

    @overload
    def execute(
        self, query: str, *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager: ...

    @overload
    def execute(
        self, query: TypedReturnsRows[tuple[*Ts]], *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager[*Ts]: ...

    @overload
    def execute(
        self, query: TypedReturnsRows[*Ts], *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager[*Ts]: ...

    @overload
    def execute(
        self, query: Query, *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager: ...

    def execute(self, query: Query, *multiparams: Any, **params: Any) -> SAConnectionContextManager:
        """Run a statement: `await` for its result, `async for` for its rows.

        `query` is SQL with the placeholders of DB-API, or an expression, DDL or a compiled
        statement of SQLAlchemy. Parameters are given by name as keywords or as a dict, by position
        as values or as a tuple; a list of dicts or tuples runs the statement for each.

        All rows are read at once, unless the query has the execution option `stream_results`: then
        this is the same as `stream`.

        Raises ArgumentError for parameters that don't fit, ResourceClosedError on a released
        connection, SQLAlchemy's errors of compiling, and DB-API errors.
        """
        return SAConnectionContextManager(
            self._execute(query, distill_params(multiparams, params), wants_streaming(query))
        )

    @overload
    def stream(
        self, query: str, *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager: ...

    @overload
    def stream(
        self, query: TypedReturnsRows[tuple[*Ts]], *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager[*Ts]: ...

    @overload
    def stream(
        self, query: TypedReturnsRows[*Ts], *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager[*Ts]: ...

    @overload
    def stream(
        self, query: Query, *multiparams: Any, **params: Any
    ) -> SAConnectionContextManager: ...

    def stream(self, query: Query, *multiparams: Any, **params: Any) -> SAConnectionContextManager:
        """Do as `execute`, but read the rows from the server as they are fetched.

        So a result may be larger than the memory; its `rowcount` isn't known. The next statement on
        the connection, or the end of the transaction, closes the result: rows that were not fetched
        are read and dropped, and asking for one raises ResourceClosedError.
        """
        return SAConnectionContextManager(
            self._execute(query, distill_params(multiparams, params), True)
        )

    async def _execute(self, query: Query, rows: Sequence[Any], streamed: bool) -> ResultProxy:
        cursor = await self._cursor(SSCursor) if streamed else await self._cursor()
        columns = None
        if isinstance(query, str):
            if len(rows) > 1:
                await cursor.executemany(query, rows)
            else:
                await cursor.execute(query, (rows[0] or None) if rows else None)
        elif isinstance(query, DDLElement):
            await cursor.execute(compile_ddl(query, rows, self._dialect), ())
        elif isinstance(query, DDLCompiler):
            check_dialect(query.dialect)
            await cursor.execute(str(query), ())
        elif isinstance(query, (ClauseElement, Compiled)):
            columns = await self._execute_expression(cursor, query, rows or [{}])
        else:
            raise ArgumentError(
                "sql statement should be str or SQLAlchemy data selection/modification clause, "
                f"not {type(query).__name__}"
            )
        result = await create_result_proxy(self, cursor, self._dialect, columns)
        if not result.closed:
            self._weak_results.add(result)
            self._streamed = result if streamed else None
        return result

    async def _execute_expression(
        self, cursor: Cursor[Any], query: ClauseElement | Compiled, rows: Any
    ) -> ResultColumns:
        statement, rows = compile_query(query, rows, self._dialect, self._compiled_cache)
        if statement.defaults:
            rows = [await self._with_defaults(statement, row) for row in rows]
        bound = [statement.bind(row) for row in rows]
        if len(bound) > 1 and statement.uniform:
            await cursor.executemany(bound[0][0], [parameters for _, parameters in bound])
        else:
            for sql, parameters in bound:
                await cursor.execute(sql, parameters)
        return statement.columns

    async def _with_defaults(self, statement: Statement, row: Row) -> Row:
        values = statement.parameters(row)
        for default in statement.defaults:
            if default.query is not None:
                values[default.key] = await self.scalar(default.query)
            else:
                values[default.key] = statement.default_value(default, values)
        return values

    async def _cursor(self, *classes: type[Cursor[Any]]) -> Cursor[Any]:
        if self._connection is None:
            raise ResourceClosedError("This Connection is closed")
        await self._end_streaming()
        cursor: Cursor[Any] = await self._connection.cursor(*classes)
        return cursor

    async def _end_streaming(self) -> None:
        streamed, self._streamed = self._streamed, None
        if streamed is not None and not self.closed:
            await streamed.close()

    @overload
    async def scalar(self, query: str, *multiparams: Any, **params: Any) -> Any: ...

    @overload
    async def scalar(
        self, query: TypedReturnsRows[tuple[T, *tuple[Any, ...]]], *multiparams: Any, **params: Any
    ) -> T | None: ...

    @overload
    async def scalar(
        self, query: TypedReturnsRows[T, *tuple[Any, ...]], *multiparams: Any, **params: Any
    ) -> T | None: ...

    @overload
    async def scalar(self, query: Query, *multiparams: Any, **params: Any) -> Any: ...

    async def scalar(self, query: Query, *multiparams: Any, **params: Any) -> Any:
        """Run a statement and return the first column of its first row; None without rows."""
        result = await self.execute(query, *multiparams, **params)
        return await result.scalar()

    def begin(self) -> TransactionContextManager[Transaction]:
        """Begin a transaction: `await conn.begin()` or `async with conn.begin()`.

        Within a transaction this gives another Transaction, whose rollback rolls the outermost one
        back, and whose commit has no effect.
        """
        return TransactionContextManager(self._begin())

    async def _begin(self) -> Transaction:
        if self._transaction is not None:
            return Transaction(self, self._transaction)
        await self._command("BEGIN")
        self._transaction = RootTransaction(self)
        return self._transaction

    def begin_nested(self) -> TransactionContextManager[Transaction]:
        """Set a savepoint, which the transaction returned stands for; also for `async with`.

        Outside of any transaction this is the same as `begin`.
        """
        return TransactionContextManager(self._begin_nested())

    async def _begin_nested(self) -> Transaction:
        if self._transaction is None:
            return await self._begin()
        nested = NestedTransaction(self, self._transaction)
        self._savepoints += 1
        nested._savepoint = f"sa_savepoint_{self._savepoints}"
        await self._command(f"SAVEPOINT {nested._savepoint}")
        self._transaction = nested
        return nested

    def begin_twophase(
        self, xid: str | None = None
    ) -> TransactionContextManager[TwoPhaseTransaction]:
        """Begin a transaction that can be prepared (XA); also for `async with`.

        Without an `xid` a random one is made. Raises InvalidRequestError within a transaction.
        """
        return TransactionContextManager(self._begin_twophase(xid))

    async def _begin_twophase(self, xid: str | None) -> TwoPhaseTransaction:
        if self._transaction is not None:
            raise InvalidRequestError(
                "Cannot start a two phase transaction when a transaction is already in progress."
            )
        if xid is None:
            xid = str(self._dialect.create_xid())
        await self._command("XA START %s", xid)
        self._transaction = transaction = TwoPhaseTransaction(self, xid)
        return transaction

    async def _prepare_twophase(self, xid: str) -> None:
        await self._command("XA END %s", xid)
        await self._command("XA PREPARE %s", xid)

    async def recover_twophase(self) -> list[str]:
        """Return the ids of all prepared transactions of the server that wait to be finished."""
        result = await self.execute("XA RECOVER")
        xids = []
        for _, length, _, data in [row.as_tuple() for row in await result.fetchall()]:
            raw = data if isinstance(data, bytes) else data.encode()
            xids.append(raw[:length].decode(errors="backslashreplace"))
        return xids

    async def rollback_prepared(self, xid: str, *, is_prepared: bool = True) -> None:
        """Roll a two-phase transaction back, `is_prepared` tells whether it was prepared."""
        try:
            if self.closed and not is_prepared:
                return  # the server has rolled back
            if not is_prepared:
                await self._command("XA END %s", xid)
            await self._command("XA ROLLBACK %s", xid)
        finally:
            self._forget_twophase(xid)

    async def commit_prepared(self, xid: str, *, is_prepared: bool = True) -> None:
        """Commit a two-phase transaction; one that isn't prepared is prepared first."""
        try:
            if not is_prepared:
                await self._prepare_twophase(xid)
            await self._command("XA COMMIT %s", xid)
        finally:
            self._forget_twophase(xid)

    def _forget_twophase(self, xid: str) -> None:
        current = self._transaction
        if isinstance(current, TwoPhaseTransaction) and current.xid == xid:
            self._transaction = None

    async def _finish(self, command: str, outer: Transaction | None = None) -> None:
        """End the current transaction; `outer` becomes the current one."""
        self._transaction = outer
        # The server rolls back what was open on a lost connection.
        if not (self.closed and command.startswith("ROLLBACK")):
            await self._command(command)

    async def _command(self, command: str, *args: str) -> None:
        cursor = await self._cursor()
        try:
            await cursor.execute(command, args or None)
        finally:
            await cursor.close()

    def detach(self) -> Connection[Any]:
        """Part with the connection below, which is returned; for `Engine.release`.

        Raises InvalidRequestError if that was done before.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            raise InvalidRequestError("The connection was released before")
        if self._streamed is not None and not self._streamed.closed:
            connection.close()  # there is no time now to read the rows that are left
        return connection

    async def close(self) -> None:
        """Give the connection back to the engine, and wait until it can be used again.

        An unfinished transaction is rolled back.
        """
        if self._connection is None:
            return
        try:
            await self._end_streaming()
            while self.in_transaction and self._transaction is not None:
                await self._transaction.rollback()
        finally:
            self._transaction = None
            released = self._engine.release(self)
            self._connection = None
        await released

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
