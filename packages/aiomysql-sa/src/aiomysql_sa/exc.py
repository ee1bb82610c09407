"""Errors of this layer; those of the server are DB-API errors, those of compiling SQLAlchemy's."""

from __future__ import annotations


class Error(Exception):
    """Base of all errors of this layer."""


class ArgumentError(Error):
    """A function was called with arguments that don't fit."""


class InvalidRequestError(ArgumentError):
    """Something was asked for that can't be done in the present state."""


class NoSuchColumnError(KeyError, InvalidRequestError):
    """A row was asked for a column that it doesn't have."""


class ResourceClosedError(InvalidRequestError):
    """A connection or a result was used after it was closed."""
