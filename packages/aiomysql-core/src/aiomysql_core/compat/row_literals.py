"""What writes the values of many rows, where methods of a connection may be another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiomysql_core.compat import hooks
from aiomysql_protocol.values.literals import Literals

if TYPE_CHECKING:
    from aiomysql_core.connection import Connection


class OtherLiterals:
    """For a connection whose `escape`, say, is another's: it is asked for each value."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def rows(self, pieces: object, args: object, start: int, *rest: object) -> tuple[bytes, int]:
        """As `Literals.rows`: all rows are left to the caller."""
        return b"", start

    def arguments(self, args: object) -> Any:
        """As `Literals.arguments`."""
        return self._connection.escape_args(args)


def row_literals(connection: Connection[Any]) -> Literals | OtherLiterals:
    """What writes rows as the session reads them now, and as the connection's methods have it."""
    if hooks.are_own(connection, hooks.LITERAL_HOOKS):
        return connection.current_literals()
    return OtherLiterals(connection)
