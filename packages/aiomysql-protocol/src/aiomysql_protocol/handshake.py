"""The packets of the connection phase.

MySQL: "Connection Phase", "Protocol::HandshakeV10", "Protocol::HandshakeResponse41",
"Protocol::SSLRequest", "Protocol::AuthSwitchRequest", "Protocol::AuthNextFactor".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pymysql.constants import CLIENT, CR
from pymysql.err import OperationalError

from aiomysql_protocol.capabilities import REQUIRED
from aiomysql_protocol.wire import PayloadReader, lenenc_bytes, lenenc_integer

#: The client can go on with a second and third factor (CLIENT_MULTI_FACTOR_AUTHENTICATION).
MULTI_FACTOR = 1 << 28

_PROTOCOL_VERSION = 10
_NONCE_HEAD = 8  # bytes of the nonce before the capability flags
_LONGEST_SHORT_RESPONSE = 255  # bytes, for servers without CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA


@dataclass(frozen=True, slots=True)
class Greeting:
    """Protocol::HandshakeV10: what the server says first."""

    protocol_version: int
    server_version: str
    thread_id: int
    #: With MariaDB's own from bit 32 on.
    capabilities: int
    collation_id: int
    server_status: int
    nonce: bytes
    auth_plugin: str


def not_a_greeting(data: bytes | bytearray) -> OperationalError:
    """The error for a peer that begins with something else than a MySQL greeting."""
    return OperationalError(
        CR.CR_VERSION_ERROR,
        f"Protocol mismatch; the peer began with {bytes(data[:32])!r}: is it a MySQL server?",
    )


def parse_greeting(payload: bytes | bytearray) -> Greeting:
    """Read Protocol::HandshakeV10.

    Raises OperationalError when the peer speaks something else, or a MySQL protocol older than
    4.1's with plug-in authentication; MalformedPacket when the packet ends early.
    """
    if not payload or payload[0] != _PROTOCOL_VERSION:
        raise not_a_greeting(payload)
    reader = PayloadReader(payload, "the server's greeting", 1)
    server_version = reader.null_terminated().decode("ascii", "replace")
    thread_id = reader.integer(4)
    nonce = reader.take(_NONCE_HEAD)
    reader.take(1)
    capabilities = reader.integer(2)
    collation_id = server_status = nonce_length = 0
    if reader.remaining:
        collation_id = reader.integer(1)
        server_status = reader.integer(2)
        capabilities |= reader.integer(2) << 16
        nonce_length = reader.integer(1)
        reader.take(6)  # reserved
        mariadb = reader.integer(4)
        if not capabilities & CLIENT.LONG_PASSWORD:  # which MariaDB leaves out to say who it is
            capabilities |= mariadb << 32
    if capabilities & REQUIRED != REQUIRED:
        raise OperationalError(
            CR.CR_VERSION_ERROR,
            f"server {server_version} lacks capabilities this client needs "
            f"(it offers {capabilities:#x}, needed are {REQUIRED:#x})",
        )
    nonce += reader.take(max(13, nonce_length - _NONCE_HEAD))
    return Greeting(
        protocol_version=_PROTOCOL_VERSION,
        server_version=server_version,
        thread_id=thread_id,
        capabilities=capabilities,
        collation_id=collation_id,
        server_status=server_status,
        nonce=nonce.removesuffix(b"\0"),
        auth_plugin=reader.null_terminated(end_is_terminator=True).decode("ascii", "replace"),
    )


def ssl_request(capabilities: int, max_packet: int, collation_id: int) -> bytes:
    """Protocol::SSLRequest, which is also the head of the handshake response.

    `capabilities`: with MariaDB's own from bit 32 on.
    """
    return (
        (capabilities & 0xFFFFFFFF).to_bytes(4, "little")
        + max_packet.to_bytes(4, "little")
        + bytes([collation_id])
        + bytes(19)
        + (capabilities >> 32).to_bytes(4, "little")  # for MariaDB
    )


def handshake_response(
    head: bytes,
    capabilities: int,
    *,
    user: bytes,
    auth_response: bytes,
    auth_plugin: str,
    database: bytes | None,
    attributes: Mapping[str, str],
) -> bytes:
    """Protocol::HandshakeResponse41; `head` comes from `ssl_request`.

    Raises OperationalError when `auth_response` is too long for the server.
    """
    parts = [head, user, b"\0"]
    if capabilities & CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA:
        parts.append(lenenc_bytes(auth_response))
    elif len(auth_response) > _LONGEST_SHORT_RESPONSE:
        raise OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"Authentication plugin '{auth_plugin}' would send {len(auth_response)} bytes, "
            f"the server takes at most {_LONGEST_SHORT_RESPONSE}",
        )
    else:
        parts.append(bytes([len(auth_response)]) + auth_response)
    if database is not None and capabilities & CLIENT.CONNECT_WITH_DB:
        parts += [database, b"\0"]
    parts += [auth_plugin.encode(), b"\0"]
    if capabilities & CLIENT.CONNECT_ATTRS:
        pairs = b"".join(
            lenenc_bytes(text.encode()) for pair in attributes.items() for text in pair
        )
        parts += [lenenc_integer(len(pairs)), pairs]
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class AuthSwitch:
    """Protocol::AuthSwitchRequest, or AuthNextFactor: go on with another method."""

    plugin: str
    #: As it came: a NUL at its end may be a terminator, or the last of 32 random bytes.
    nonce: bytes


def parse_auth_switch(payload: bytes | bytearray) -> AuthSwitch:
    """Read Protocol::AuthSwitchRequest, or AuthNextFactor.  Raises MalformedPacket."""
    if payload == b"\xfe":
        # Protocol::OldAuthSwitchRequest has no fields: the greeting's nonce stays in force.
        return AuthSwitch("mysql_old_password", b"")
    reader = PayloadReader(payload, "an authentication switch request", 1)
    plugin = reader.null_terminated(end_is_terminator=True).decode("ascii", "replace")
    return AuthSwitch(plugin, reader.rest())
