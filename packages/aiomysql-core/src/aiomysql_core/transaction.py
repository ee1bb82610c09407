"""Blocks that are a transaction, or within one a part of it that can be undone by itself.

A block does not begin by BEGIN alone: what is run behind a deadlock, or behind a statement that
commits implicitly, would be committed at once in autocommit mode.  So that mode is off within the
block, and a savepoint at its beginning tells at the end whether it is still the same transaction:
whatever ended it has deleted the savepoint.  Both go out in one text with the first statement: if
one of them fails, the server does not run that.  Whether a transaction is open already is known
from what this side has run, or else the server is asked, and its flags are not: proxies leave them
out.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pymysql import err

from aiomysql_core.block_beginning import BlockBeginning
from aiomysql_core.log import logger

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection

__all__ = ["Transaction", "may_go_on"]

_LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")

#: ER_SP_DOES_NOT_EXIST, ER_CANT_CHANGE_TX_CHARACTERISTICS, ER_UNKNOWN_SYSTEM_VARIABLE.
_NO_SAVEPOINT, _IS_OPEN, _UNKNOWN_VARIABLE = 1305, 1568, 1193

#: ER_LOCK_DEADLOCK: whoever gets this error is told by it that the transaction has ended.
_DEADLOCK = 1213

#: How a transaction ends whatever the session's completion_type.
_COMMIT, _ROLLBACK = (f"{word} AND NO CHAIN NO RELEASE" for word in ("COMMIT", "ROLLBACK"))

_MODE_OFF = "SET AUTOCOMMIT = 0"


class Transaction:
    """See `Connection.transaction`."""

    def __init__(
        self,
        connection: Connection[Any],
        isolation: str | None = None,
        readonly: bool = False,
        consistent_snapshot: bool = False,
        *,
        commits: bool = True,
    ) -> None:
        """As for `Connection.transaction`.

        commits: False: without autocommit mode it is a part of the transaction that is open or
        would begin by its first statement, and that is left open.
        """
        self._connection = connection
        self._runner = connection.runner
        self._handovers = connection.runner.handovers
        self._commits = commits
        level = _level(isolation)
        modes = ["WITH CONSISTENT SNAPSHOT"] if consistent_snapshot else []
        if readonly:
            modes.append("READ ONLY")
        # What the transaction is begun with.  A plain one is begun by its first statement, so that
        # tables that are locked remain so.
        self._begin: list[str] = []
        if level:
            self._begin.append(f"SET TRANSACTION ISOLATION LEVEL {level}")
        if level or modes:
            self._begin.append(f"START TRANSACTION {', '.join(modes)}".rstrip())
        # The savepoint at the beginning; empty before that.
        self._savepoint = ""
        #: Whether it is a part of a transaction that was open already.
        self.is_nested: bool = False
        # Whether that one was begun without a block.
        self._is_by_hand = False
        #: Whether nothing in it is committed by itself, even when its transaction has ended.  It
        #: may be where that transaction was begun by hand in autocommit mode.
        self.is_protected: bool = True
        # The session's autocommit mode before.
        self._mode = False
        # Those of the session that the block begins in.
        self._transactions = connection.runner.transactions
        # What it begins with, if its first statement is to take that along, and what the runner
        # knew of the session before.
        self._beginning: BlockBeginning | None = None
        self._known_before: tuple[bool | None, bool] = (None, False)
        # `CommandRunner.known_changes` at the savepoint.
        self._known_changes = 0

    def __repr__(self) -> str:
        if not self._savepoint:
            state = "not entered"
        elif self in self._transactions.blocks:
            state = "lost" if self._is_lost() else "open"
        else:
            state = "over"
        begin = self._begin or ([f"savepoint {self._savepoint}"] if self.is_nested else [])
        kind = f" ({'; '.join(begin)})" if begin else ""
        return f"<{type(self).__name__} {state}{kind} of {self._connection!r}>"

    # -- the block -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._savepoint:
            raise err.ProgrammingError("a transaction block is used once")
        connection, runner = self._connection, self._runner
        runner.check_handovers(self._handovers, "this transaction block")
        await connection.make_ready()
        self._transactions = runner.transactions
        blocks = self._transactions.blocks
        if blocks:
            self.is_nested, self.is_protected = True, blocks[-1].is_protected
        else:
            is_open = not runner.nothing_to_end() and await self._is_open()
            self._mode = await self._find_mode()
            self.is_nested = self._is_by_hand = is_open or not (self._commits or self._mode)
            self.is_protected = not (self.is_nested and self._mode)
        if self.is_nested and self._begin:
            raise err.ProgrammingError(
                "a transaction is open already: isolation, readonly and consistent_snapshot "
                "are for the outermost block"
            )
        blocks.append(self)
        self._savepoint = f"aiomysql_{len(blocks)}"
        if not self.is_nested:
            self._known_before = (runner.autocommit, runner.transaction_possible)
            runner.autocommit, runner.transaction_possible = False, True
        try:
            if self.is_nested:
                await self._run(f"SAVEPOINT {self._savepoint}")
                self._known_changes = runner.known_changes
            elif self._begin or not connection.joins_statements():
                await self._run(_MODE_OFF, *self._first_statements())
                runner.autocommit = False
            else:
                self._beginning = BlockBeginning(_MODE_OFF, *self._first_statements())
                runner.begin_by(self._beginning)
        except BaseException as error:
            self._transactions.leave(self)
            if not (self.is_nested and isinstance(error, err.MySQLError)):
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
        is_innermost = self._transactions.leave(self)
        if is_lost or not may_go_on(exc_val):
            connection.close()  # if it is another session by now
            if exc_type is None:
                raise err.OperationalError(
                    0,
                    "the session ended within the transaction block: the server has rolled back "
                    "what was run before that",
                )
            return
        try:
            if not is_innermost:
                raise err.ProgrammingError("blocks of transactions must be left in their order")
            if exc_type is None:
                await self._commit()
            else:
                await self._leave(exc_val)
        except BaseException as error:
            if not isinstance(error, err.MySQLError) or not is_innermost:
                connection.close()  # whatever was to be undone: so it is
            raise

    async def rollback(self) -> None:
        """Undo what was done in the block.

        The block goes on: what follows is committed at its end.  Raises what the server says, and
        ProgrammingError outside of the block or while a block within it is open; OperationalError
        when the transaction had ended already, what is open being undone even so.
        """
        if self._is_lost() or self._transactions.blocks[-1:] != [self]:
            raise err.ProgrammingError("only the innermost block that is open can be rolled back")
        await self._connection.make_ready()
        if self._beginning is not None and self._runner.is_to_begin(self._beginning):
            return  # nothing was run in it
        ended: err.MySQLError | None = None
        try:
            await self._run(f"ROLLBACK TO SAVEPOINT {self._savepoint}")
        except err.MySQLError as error:
            ended = self._explained(error)
        if not self._connection.closed:
            if self.is_nested and ended is None:
                self._runner.restore_changes(self._known_changes)
            if not self.is_nested:
                await self._run(_ROLLBACK, *self._first_statements())
            elif ended is not None and self._is_by_hand:  # no block around it will do that
                await self._run(_ROLLBACK, f"SAVEPOINT {self._savepoint}")
        if ended is not None:
            try:
                raise ended
            finally:
                del ended

    # -- its end ---------------------------------------------------------------------------------

    def _is_lost(self) -> bool:
        return self._connection.closed or self._runner.transactions is not self._transactions

    def _first_statements(self) -> list[str]:
        return [*self._begin, f"SAVEPOINT {self._savepoint}"]

    def _withdraw(self) -> bool:
        """Whether nothing was run in it, so that it has not begun, and does not any more."""
        if self._beginning is None or not self._runner.withdraw(self._beginning):
            return False
        self._runner.autocommit, self._runner.transaction_possible = self._known_before
        return True

    async def _commit(self) -> None:
        if self._withdraw():
            return
        statements = [f"RELEASE SAVEPOINT {self._savepoint}"]
        if not self.is_nested:
            statements += [_COMMIT, self._mode_before()]
        try:
            await self._connection.make_ready()
            await self._run(*statements)
            if not self.is_nested:
                self._connection.record_transaction_end(self._mode)
        except err.MySQLError as error:
            if getattr(error, "statement_index", 0) == 2:  # so it is committed
                self._connection.close()
                logger.warning(
                    "a transaction block is committed, and its connection closed: the autocommit "
                    "mode could not be restored (%r)",
                    error,
                )
                return
            failure = self._explained(error)
            try:
                await self._undo()
                raise failure
            finally:
                del failure, error

    async def _leave(self, reason: BaseException | None) -> None:
        """Roll the block back, which was left for `reason`, if that is known.

        If its transaction had ended, whoever began that by hand is told by OperationalError, and
        all others by a note, as is who is told of a deadlock.
        """
        ended = await self._undo(reason)
        if ended is None:
            return
        is_deadlock = isinstance(reason, err.MySQLError) and reason.args[:1] == (_DEADLOCK,)
        if not self._is_by_hand or is_deadlock:
            if reason is not None:
                reason.add_note(str(ended.args[-1]))
        elif reason is None or isinstance(reason, Exception):
            try:
                raise ended from reason
            finally:
                del ended, reason
        else:  # a cancellation, say, stays one; and nothing more is committed
            self._connection.close()

    async def _undo(self, reason: BaseException | None = None) -> err.MySQLError | None:
        """Roll the block back; returns the error that tells that its transaction had ended before.

        Whatever else fails closes the connection, which undoes all.
        """
        ended: err.MySQLError | None = None
        savepoint = self._savepoint
        try:
            if self._connection.closed or self._withdraw():
                return None
            await self._runner.drop_outstanding()
            try:
                undo = f"ROLLBACK TO SAVEPOINT {savepoint}"
                await self._run(undo, f"RELEASE SAVEPOINT {savepoint}")
            except err.MySQLError as error:
                if error.args[:1] != (_NO_SAVEPOINT,):
                    raise
                ended = self._explained(error)
            if not self.is_nested:
                await self._run(_ROLLBACK, self._mode_before())
                self._connection.record_transaction_end(self._mode)
            elif ended is None:
                if not isinstance(reason, asyncio.CancelledError):  # or else nobody is to be warned
                    self._runner.restore_changes(self._known_changes)
            elif self._is_by_hand:
                await self._run(_ROLLBACK)
            # Or else the block around it will find the same.
        except err.MySQLError:
            self._connection.close()
        return ended

    def _explained(self, error: err.MySQLError) -> err.MySQLError:
        """The error of a savepoint that is gone, in words; another one as it is."""
        if error.args[:1] != (_NO_SAVEPOINT,):
            return error
        after = "was rolled back, unless the autocommit mode was switched on"
        if not self.is_protected:
            after = "was committed statement by statement: begin() was called in autocommit mode"
        explained = err.OperationalError(
            0,
            "the transaction ended within the block: by a deadlock or the like, or by a statement "
            "that commits or rolls back (DDL, BEGIN, LOCK TABLES, commit()); what came after "
            f"{after}",
        )
        explained.__cause__ = error
        return explained

    def _mode_before(self) -> str:
        return f"SET AUTOCOMMIT = {int(self._mode)}"

    # -- what is there before --------------------------------------------------------------------

    async def _is_open(self) -> bool:
        """Ask the server whether a transaction is open.

        A mode of the next transaction can't be set while one is.  It is set to the session's.
        """
        is_mariadb = "mariadb" in self._connection.server_version.lower()
        name = "tx_read_only" if is_mariadb else "transaction_read_only"
        known_changes = self._runner.known_changes
        try:
            await self._run(f"SET @@{name} = @@session.{name}")
        except err.MySQLError as error:
            self._runner.restore_changes(known_changes)  # the question was none
            if error.args[:1] == (_UNKNOWN_VARIABLE,):  # MySQL before 8
                return self._connection.get_transaction_status()
            if error.args[:1] != (_IS_OPEN,):
                raise
            return True
        return False

    async def _find_mode(self) -> bool:
        """The session's autocommit mode."""
        if self._runner.autocommit is not None:
            return self._runner.autocommit
        rows = await self._runner.fetch(b"SELECT @@autocommit")
        try:
            return bool(int(rows[0][0]))
        except (LookupError, TypeError, ValueError):
            raise err.InternalError(0, f"the server says @@autocommit is {rows!r}") from None

    async def _run(self, *statements: str) -> None:
        await self._connection.run_in_turn(statements)


def may_go_on(error: BaseException | None) -> bool:
    """Whether something can be run before a block is left for `error`: not if the program ends, or
    the coroutine is thrown away.
    """
    return error is None or isinstance(error, (Exception, asyncio.CancelledError))


def _level(isolation: str | None) -> str | None:
    if isolation is None:
        return None
    level = str(isolation).upper().replace("_", " ")
    if level not in _LEVELS:
        raise ValueError(
            f"isolation must be one of {', '.join(map(repr, _LEVELS))}, not {isolation!r}"
        )
    return level
