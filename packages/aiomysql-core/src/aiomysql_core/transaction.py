"""Blocks that are a transaction, or within one a part of it that can be undone by itself.

A block does not begin by BEGIN alone: what is run behind a deadlock, or behind a statement that
commits implicitly, would be committed at once in autocommit mode.  So that mode is off within the
block, and a savepoint at its beginning tells at the end whether it is still the same transaction:
whatever ended it has deleted the savepoint.  The server's flags are not asked: proxies leave them
out.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from pymysql import err

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection

__all__ = ["Transaction"]

_LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")

#: ER_SP_DOES_NOT_EXIST: there is no such savepoint.
_NO_SAVEPOINT = 1305


class Transaction:
    """See `Connection.transaction`."""

    def __init__(
        self,
        connection: Connection,
        isolation: str | None = None,
        readonly: bool = False,
        consistent_snapshot: bool = False,
    ) -> None:
        """As for `Connection.transaction`."""
        self._connection = connection
        self._runner = connection.runner
        self._isolation = _level(isolation)
        modes = ["WITH CONSISTENT SNAPSHOT"] if consistent_snapshot else []
        if readonly:
            modes.append("READ ONLY")
        self._begin = f"START TRANSACTION {', '.join(modes)}".rstrip()
        # The savepoint at the beginning; empty before that.
        self._savepoint = ""
        self._is_nested = False
        # Whether the session was in autocommit mode, and that mode, as `CommandRunner.autocommit`
        # has it.
        self._sets_mode = False
        self._mode: bool | None = None
        # The session that the block began in, as `CommandRunner.generation` counts.
        self._generation = 0

    def __repr__(self) -> str:
        kind = f"savepoint {self._savepoint}" if self._is_nested else self._begin
        return f"<{type(self).__name__} ({kind}) of {self._connection!r}>"

    # -- the block -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._savepoint:
            raise err.ProgrammingError("a transaction block is used once")
        connection, runner = self._connection, self._runner
        await connection.make_ready()
        depth = len(runner.open_blocks())
        self._is_nested = depth > 0 or connection.get_transaction_status()
        if self._is_nested and (self._isolation or self._begin != "START TRANSACTION"):
            raise err.ProgrammingError(
                "a transaction is open already: isolation, readonly and consistent_snapshot "
                "are for the outermost block"
            )
        runner.enter_block(self)
        self._savepoint = f"aiomysql_{depth + 1}"
        self._generation = runner.generation
        try:
            if self._is_nested:
                await self._run(f"SAVEPOINT {self._savepoint}")
            else:
                self._sets_mode = connection.get_autocommit()
                self._mode = True if self._sets_mode else runner.autocommit
                await self._run(*self._beginning())
                if self._sets_mode:
                    runner.autocommit = False
        except BaseException as error:
            runner.leave_block(self)
            if not (self._is_nested and isinstance(error, err.MySQLError)):
                connection.close()  # nobody knows what has begun, and in which mode
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        connection, is_lost = self._connection, self._is_lost()
        is_innermost = self._runner.leave_block(self)
        if is_lost:
            if exc_type is None:
                raise err.OperationalError(
                    0,
                    "the session ended within the transaction block, "
                    "and the server has rolled it back",
                )
            return
        try:
            if not is_innermost:
                raise err.ProgrammingError("blocks of transactions must be left in their order")
            if exc_type is None:
                await self._commit()
            else:
                await self._undo()
        except BaseException as error:
            if not isinstance(error, err.MySQLError) or not is_innermost:
                connection.close()  # whatever was to be undone: so it is
            raise

    async def rollback(self) -> None:
        """Undo what was done in the block.

        The block goes on: what follows is committed at its end.  Raises what the server says, and
        ProgrammingError outside of the block or while a block within it is open.
        """
        if self._is_lost() or self._runner.open_blocks()[-1:] != [self]:
            raise err.ProgrammingError("only the innermost block that is open can be rolled back")
        await self._connection.make_ready()
        if self._is_nested:
            await self._run(f"ROLLBACK TO SAVEPOINT {self._savepoint}")
        else:
            await self._run("ROLLBACK", *self._beginning())

    # -- its end ---------------------------------------------------------------------------------

    def _is_lost(self) -> bool:
        return self._connection.closed or self._runner.generation != self._generation

    def _beginning(self) -> list[str]:
        level = f"SET TRANSACTION ISOLATION LEVEL {self._isolation}"
        return [
            *([level] if self._isolation else []),
            *(["SET AUTOCOMMIT = 0"] if self._sets_mode else []),
            self._begin,
            f"SAVEPOINT {self._savepoint}",
        ]

    async def _commit(self) -> None:
        release = f"RELEASE SAVEPOINT {self._savepoint}"
        try:
            await self._connection.make_ready()
            if self._is_nested:
                await self._run(release)
            else:
                await self._run(release, "COMMIT", *self._mode_before())
                self._connection.record_transaction_end(self._mode)
        except err.MySQLError as error:
            failure: err.MySQLError = error
            if error.args[:1] == (_NO_SAVEPOINT,):
                failure = err.OperationalError(
                    0,
                    "the transaction ended within the block: by a deadlock or the like, or by a "
                    "statement that commits or rolls back (DDL, BEGIN, LOCK TABLES, commit()); "
                    "what came after that was rolled back",
                )
                failure.__cause__ = error
            try:
                await self._undo()
                raise failure
            finally:
                del failure, error

    async def _undo(self) -> None:
        """Roll the block back; what fails then is of no interest to who left it with an error."""
        if self._connection.closed:
            return
        savepoint = self._savepoint
        try:
            await self._runner.drop_outstanding()
            if self._is_nested:
                # If it is gone the whole transaction is, and the outer block will find that out.
                undo = f"ROLLBACK TO SAVEPOINT {savepoint}"
                await self._run(undo, f"RELEASE SAVEPOINT {savepoint}")
            else:
                await self._run("ROLLBACK", *self._mode_before())
                self._connection.record_transaction_end(self._mode)
        except err.MySQLError as error:
            if not (self._is_nested and error.args[:1] == (_NO_SAVEPOINT,)):
                self._connection.close()

    def _mode_before(self) -> list[str]:
        return ["SET AUTOCOMMIT = 1"] if self._sets_mode else []

    async def _run(self, *statements: str) -> None:
        await self._connection.run_in_turn(statements)


def _level(isolation: str | None) -> str | None:
    if isolation is None:
        return None
    level = str(isolation).upper().replace("_", " ")
    if level not in _LEVELS:
        raise ValueError(
            f"isolation must be one of {', '.join(map(repr, _LEVELS))}, not {isolation!r}"
        )
    return level
