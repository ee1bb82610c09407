"""The DB-API exceptions as attributes (PEP 249, "Optional DB API Extensions")."""

from __future__ import annotations

from typing import ClassVar

from pymysql import err


class ErrorClasses:
    """Base of connections and cursors: ``except connection.OperationalError``."""

    Warning: ClassVar = err.Warning
    Error: ClassVar = err.Error
    InterfaceError: ClassVar = err.InterfaceError
    DatabaseError: ClassVar = err.DatabaseError
    DataError: ClassVar = err.DataError
    OperationalError: ClassVar = err.OperationalError
    IntegrityError: ClassVar = err.IntegrityError
    InternalError: ClassVar = err.InternalError
    ProgrammingError: ClassVar = err.ProgrammingError
    NotSupportedError: ClassVar = err.NotSupportedError
