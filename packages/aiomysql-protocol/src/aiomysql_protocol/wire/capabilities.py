"""Capability flags, commands and limits that PyMySQL's public constants do not name.

MySQL: "Capabilities Flags", "Command Phase".

Two flags that could help are not asked for.  CLIENT_OPTIONAL_RESULTSET_METADATA: whether metadata
is sent is a variable of the session, which no hint sets for one statement.  So text statements
would come without columns as well, or each change between the two would cost a round trip.
CLIENT_SESSION_TRACK, which tells of changes of the character set: not all that speak the protocol
have it, so the client would have to find out in another way all the same.
"""

from __future__ import annotations

from typing import Final

from pymysql.constants import CLIENT

__all__ = [
    "CACHE_METADATA",
    "DEFAULT",
    "DEPRECATE_EOF",
    "MAX_FRAME",
    "MAX_PAYLOAD",
    "REQUIRED",
    "STMT_BULK_OPERATIONS",
    "UNSUPPORTED",
    "ZSTD_COMPRESSION",
]

#: The server sends an OK packet where it used to send EOF (MySQL: CLIENT_DEPRECATE_EOF).
DEPRECATE_EOF: Final = 1 << 24

#: The compressed protocol with zstd (MySQL: CLIENT_ZSTD_COMPRESSION_ALGORITHM).
ZSTD_COMPRESSION: Final = 1 << 26

#: The server has COM_STMT_BULK_EXECUTE (MariaDB: MARIADB_CLIENT_STMT_BULK_OPERATIONS).
#: MariaDB's own flags stand above the 32 of the protocol.
STMT_BULK_OPERATIONS: Final = 1 << 34

#: A prepared statement's metadata comes again only when it has changed (MariaDB:
#: MARIADB_CLIENT_CACHE_METADATA).
CACHE_METADATA: Final = 1 << 36

#: What every session asks for and cannot do without: before MySQL 4.1.1 who listened to a log-in
#: could log in himself.
REQUIRED: Final = CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION

#: What a session asks for when the server offers it.
DEFAULT: Final = (
    REQUIRED
    | CLIENT.PLUGIN_AUTH
    | CLIENT.LONG_PASSWORD
    | CLIENT.LONG_FLAG
    | CLIENT.TRANSACTIONS
    | CLIENT.MULTI_STATEMENTS
    | CLIENT.MULTI_RESULTS
    | CLIENT.PS_MULTI_RESULTS
    | CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
    | CLIENT.CONNECT_ATTRS
    | DEPRECATE_EOF
    | STMT_BULK_OPERATIONS
    | CACHE_METADATA
)

#: Flags whose reply formats this package does not read: refused when a caller asks for them.
UNSUPPORTED: Final = (
    CLIENT.COMPRESS  # by option `compression` only
    | ZSTD_COMPRESSION
    | (1 << 23)  # CLIENT_SESSION_TRACK
    | (1 << 25)  # CLIENT_OPTIONAL_RESULTSET_METADATA
    | (1 << 27)  # CLIENT_QUERY_ATTRIBUTES
)

#: Payload bytes of the largest frame; a longer payload goes on in the next one.
MAX_FRAME: Final = 0xFFFFFF

#: The most a payload may measure, in bytes: the largest `max_allowed_packet` of any server.
MAX_PAYLOAD: Final = 1 << 30
