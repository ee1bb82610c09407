"""The first base of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiomysql_core._accelerator import accelerator


class ConnectionState:
    """In C it has a place for each attribute of Connection, so that what others set is told apart:
    a name of `compat.hooks` may be among it.

    In Python such a name is found whenever it is called.
    """

    __slots__ = ()


PyConnectionState = ConnectionState
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    ConnectionState = _c.ConnectionState
