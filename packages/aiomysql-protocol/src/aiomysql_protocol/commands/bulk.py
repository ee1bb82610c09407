"""COM_STMT_BULK_EXECUTE: runs a prepared statement for many rows of parameters.

The server runs the statement once per row, for UPDATE and DELETE each time as a statement of its
own, stops at the first error, and answers once: with an OK packet that counts the rows of all, or
with that error, which does not say in which row it was.

MariaDB: "COM_STMT_BULK_EXECUTE".
"""

from __future__ import annotations

from aiomysql_protocol.commands.prepared import Execute, ServerStatement
from aiomysql_protocol.values.parameter_rows import ParameterRows

__all__ = ["BulkExecute"]

_COM_STMT_BULK_EXECUTE = b"\xfa"
_TYPES_FOLLOW = (128).to_bytes(2, "little")


class BulkExecute(Execute):
    """COM_STMT_BULK_EXECUTE; its response is read as that of an Execute."""

    def __init__(self, prepared: ServerStatement, rows: ParameterRows) -> None:
        """rows: at least one, each with as many values as the statement has parameters."""
        self.request: bytes = b"".join(
            (
                _COM_STMT_BULK_EXECUTE,
                prepared.statement_id.to_bytes(4, "little"),
                _TYPES_FOLLOW,
                rows.types,
                rows.data,
            )
        )
        self._begin(False, False)
        self.binary = True
        self.is_simple: bool = prepared.is_simple
        self.own_prepared = prepared
