"""Errors that are raised some time after they came."""

from __future__ import annotations

from typing import Protocol

from aiomysql_protocol.session import Session


class _Failable(Protocol):
    """An exchange or a result."""

    def take_error(self) -> BaseException | None: ...


class PendingError:
    """An error that is still to be raised, or none.

    An exception that was raised holds the frames it went through.  A frame with a variable for it
    would hold it in turn, which makes a cycle of references: an error that waits stands in here.
    """

    __slots__ = ("_error",)

    def __init__(self, error: BaseException | None) -> None:
        self._error = error

    @classmethod
    def of(cls, failable: _Failable, session: Session) -> PendingError:
        """The error of an exchange or a result, taken from it; a copy if the session keeps it."""
        error = failable.take_error()
        return cls(None if error is None else session.copy_error(error))

    def __bool__(self) -> bool:
        return self._error is not None

    def __str__(self) -> str:
        return str(self._error)

    def raise_once(self) -> None:
        """Raise the error, if there is one, and drop it."""
        error, self._error = self._error, None
        if error is None:
            return
        try:
            raise error
        finally:
            del error
