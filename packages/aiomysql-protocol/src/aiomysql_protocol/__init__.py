"""The MySQL and MariaDB client protocol without I/O.

`Session` takes the bytes that arrive and gives results and the bytes to send; see `session`.

Public is what `__all__` has here and in the modules, for the layers above.  A module without it is
internal.

What a server says of a result costs no more than it has sent: nothing here takes a time that grows
with the square of a count, or memory for a width, a length or a number of columns that was only
claimed.
"""

from aiomysql_protocol._version import __version__
from aiomysql_protocol.commands.exchange import Command, Exchange, Quit
from aiomysql_protocol.commands.prepared import (
    Execute,
    Prepare,
    ServerStatement,
    close_statement,
    reset_statement,
)
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.login.auth import AUTH_METHODS, AuthContext, AuthMethod, Dialog
from aiomysql_protocol.login.change_user import ChangeUser
from aiomysql_protocol.login.handshake import Greeting
from aiomysql_protocol.login.login import Channel, Login, LoginOptions, Tls
from aiomysql_protocol.rows.metadata import Column, ColumnCache
from aiomysql_protocol.session import Session
from aiomysql_protocol.sql.placeholders import ParsedStatement
from aiomysql_protocol.values.literals import Literals, escape_string
from aiomysql_protocol.values.parameters import NeedsTextError, Parameters, ParameterWriter
from aiomysql_protocol.wire.charsets import Charset, find_charset
from aiomysql_protocol.wire.errors import MalformedPacket
from aiomysql_protocol.wire.packets import Ok

__all__ = [
    "AUTH_METHODS",
    "AuthContext",
    "AuthMethod",
    "ChangeUser",
    "Channel",
    "Charset",
    "Column",
    "ColumnCache",
    "Command",
    "Dialog",
    "Exchange",
    "Execute",
    "Greeting",
    "Literals",
    "Login",
    "LoginOptions",
    "MalformedPacket",
    "NeedsTextError",
    "Ok",
    "ParameterWriter",
    "Parameters",
    "ParsedStatement",
    "Prepare",
    "Query",
    "Quit",
    "Result",
    "ServerStatement",
    "Session",
    "Tls",
    "__version__",
    "close_statement",
    "escape_string",
    "find_charset",
    "reset_statement",
]
