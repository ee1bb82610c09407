"""The asyncio driver for MySQL and MariaDB: connections and cursors.

Public is what `__all__` has here; what the layers above use beside has it in its module.
`connection`, `cursors` and `log` are classic aiomysql's modules, with its names; all other modules
are internal.

Nothing here makes a cycle of references that stays: a closed connection goes with the last
reference to it.  Errors are handed on, not kept.
"""

from pymysql.converters import escape_string
from pymysql.err import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    MySQLError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004  (PEP 249 names it so)
)

from aiomysql_core._version import __version__
from aiomysql_core.connection import Connection, connect
from aiomysql_core.cursors import (
    Cursor,
    DeserializationCursor,
    DictCursor,
    SSCursor,
    SSDictCursor,
)
from aiomysql_core.log import UncommittedWarning
from aiomysql_core.row_stream import RowStream
from aiomysql_core.rows import (
    RowFactory,
    class_row,
    dict_row,
    namedtuple_row,
    scalar_row,
    tuple_row,
)
from aiomysql_core.statements import PreparedStatement
from aiomysql_core.transaction import Transaction
from aiomysql_core.waiting.timeouts import ConnectTimeout, QueryTimeout
from aiomysql_protocol.values.literals import DEFAULT

__all__ = [
    "DEFAULT",
    "ConnectTimeout",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "DeserializationCursor",
    "DictCursor",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MySQLError",
    "NotSupportedError",
    "OperationalError",
    "PreparedStatement",
    "ProgrammingError",
    "QueryTimeout",
    "RowFactory",
    "RowStream",
    "SSCursor",
    "SSDictCursor",
    "Transaction",
    "UncommittedWarning",
    "Warning",
    "__version__",
    "class_row",
    "connect",
    "dict_row",
    "escape_string",
    "namedtuple_row",
    "scalar_row",
    "tuple_row",
]
