"""The DB-API exceptions as attributes (PEP 249, "Optional DB API Extensions")."""

from __future__ import annotations

from typing import ClassVar

from pymysql import err


class ErrorClasses:
    """Base of connections and cursors: ``except connection.OperationalError``."""

    Warning: ClassVar[type[err.Warning]] = err.Warning
    Error: ClassVar[type[err.Error]] = err.Error
    InterfaceError: ClassVar[type[err.InterfaceError]] = err.InterfaceError
    DatabaseError: ClassVar[type[err.DatabaseError]] = err.DatabaseError
    DataError: ClassVar[type[err.DataError]] = err.DataError
    OperationalError: ClassVar[type[err.OperationalError]] = err.OperationalError
    IntegrityError: ClassVar[type[err.IntegrityError]] = err.IntegrityError
    InternalError: ClassVar[type[err.InternalError]] = err.InternalError
    ProgrammingError: ClassVar[type[err.ProgrammingError]] = err.ProgrammingError
    NotSupportedError: ClassVar[type[err.NotSupportedError]] = err.NotSupportedError
