"""What is known of a session that outlasts a statement and concerns all its transactions.

What each statement asks is not here: it is in the runner's state.
"""

from __future__ import annotations

import re
from typing import Any

from pymysql import err

from aiomysql_protocol.sql.statements import may_make_temporary_tables

#: What statements that are not simple may do to all transactions that follow: a look at them in
#: capitals, because an expression that ignores case takes twice as long.
_SPECIAL = re.compile(rb"COMPLETION_TYPE|TEMPORARY|CALL|EXECUTE")
_CHAINS = re.compile(rb"\bcompletion_type\b", re.IGNORECASE)


class SessionTransactions:
    """One for each session, and another one when that is reset."""

    __slots__ = ("blocks", "may_chain", "may_have_temporary_tables")

    def __init__(self) -> None:
        #: The blocks of `Connection.transaction` that were not left, the innermost last.
        self.blocks: list[Any] = []
        #: Whether COMMIT and ROLLBACK may begin another one (variable completion_type).
        self.may_chain: bool = False
        #: Whether there may be temporary tables: rows of theirs are lost in any case.
        self.may_have_temporary_tables: bool = False

    def record_request(self, request: bytes) -> None:
        """`request`, of a statement that is not simple, is about to be sent."""
        if _SPECIAL.search(request.upper()):
            self.may_chain |= _CHAINS.search(request) is not None
            self.may_have_temporary_tables |= may_make_temporary_tables(request, 1)

    def leave(self, block: object) -> bool:
        """A block ends; returns whether it was the innermost."""
        is_innermost = self.blocks[-1:] == [block]
        if block in self.blocks:
            self.blocks.remove(block)
        return is_innermost

    def check_no_block(self, what: str) -> None:
        """Raise ProgrammingError within a block, where `what` can't be done."""
        if self.blocks:
            raise err.ProgrammingError(f"{what} can't be changed within a transaction block")
