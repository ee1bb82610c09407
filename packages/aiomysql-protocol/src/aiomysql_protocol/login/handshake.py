"""The packets of the connection phase.

MySQL: "Connection Phase", "Protocol::HandshakeV10", "Protocol::HandshakeResponse41",
"Protocol::SSLRequest", "Protocol::AuthSwitchRequest", "Protocol::AuthNextFactor".
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from pymysql.constants import CLIENT, CR
from pymysql.err import OperationalError

from aiomysql_protocol._accelerator import accelerator
from aiomysql_protocol.login.auth.base import SCRAMBLE_LENGTH
from aiomysql_protocol.login.auth.native import NativePassword
from aiomysql_protocol.wire.capabilities import REQUIRED
from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.primitives import PayloadReader, lenenc_bytes, lenenc_integer

__all__ = ["MULTI_FACTOR", "Greeting"]

#: The client can go on with a second and third factor (CLIENT_MULTI_FACTOR_AUTHENTICATION).
MULTI_FACTOR = 1 << 28

_PROTOCOL_VERSION = b"\x0a"

# What stands behind the server's version: number of the session, the nonce's first 8 bytes, a
# filler, and half of the capability flags, with which very old servers end; then collation, status
# flags, the other half, the nonce's length, 6 reserved bytes, and MariaDB's own flags.
_GREETING = Struct("<I8sxHBHHB6xI")
_OLD_GREETING = Struct("<I8sxH")

_NONCE_HEAD = 8  # bytes of the nonce in there

#: Bytes of the nonce behind that, at least; a NUL is the last.
_NONCE_TAIL = 13

# Capabilities, MariaDB's own (at the end), the largest payload, collation, 19 reserved bytes.
_RESPONSE_HEAD = Struct("<IIB19xI")

_LONGEST_SHORT_RESPONSE = 255  # bytes, for servers without CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA


class Greeting(NamedTuple):
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


#: The items of a Greeting.
_Items = tuple[int, str, int, int, int, int, bytes, str]


def read_greeting(payload: bytes, /) -> _Items | None:
    """The items of a Greeting; None: it isn't whole, or not of this version of the protocol."""
    end = payload.find(0, 1)
    position = end + 1 + _GREETING.size
    if payload[:1] != _PROTOCOL_VERSION or end < 0 or len(payload) < position:
        return None
    thread_id, nonce, low, collation_id, server_status, high, nonce_length, mariadb = (
        _GREETING.unpack_from(payload, end + 1)
    )
    capabilities: int = low | high << 16
    if not capabilities & CLIENT.LONG_PASSWORD:  # which MariaDB leaves out to say who it is
        capabilities |= mariadb << 32
    stop = position + _nonce_tail(nonce_length)
    if len(payload) < stop:
        return None
    return (
        payload[0],
        payload[1:end].decode("ascii", "replace"),
        thread_id,
        capabilities,
        collation_id,
        server_status,
        (nonce + payload[position:stop]).removesuffix(b"\0"),
        payload[stop:].partition(b"\0")[0].decode("ascii", "replace"),
    )


def parse_greeting(payload: bytes | bytearray) -> Greeting:
    """Read Protocol::HandshakeV10.

    A server without plug-in authentication (Sphinx, MySQL before 5.5.7) means the native method.
    Raises OperationalError when the peer speaks something else, or a MySQL protocol older than
    4.1's; MalformedPacket when the packet ends early.
    """
    payload = bytes(payload)
    read = read_greeting(payload)
    if read is None:
        raise _refusal(payload)
    if read[3] & REQUIRED != REQUIRED:
        raise _too_old(read[1], read[3])
    if not read[3] & CLIENT.PLUGIN_AUTH:
        # The byte behind the nonce may be any.
        read = *read[:6], read[6][:SCRAMBLE_LENGTH], NativePassword.name
    return tuple.__new__(Greeting, read)


def _nonce_tail(nonce_length: int) -> int:
    """Bytes of the nonce that stand behind the fixed fields."""
    return max(_NONCE_TAIL, nonce_length - _NONCE_HEAD)


def _refusal(payload: bytes) -> Exception:
    """What is wrong with a greeting that `read_greeting` doesn't read."""
    if payload[:1] != _PROTOCOL_VERSION:
        return not_a_greeting(payload)
    end = payload.find(0, 1)
    if end < 0:
        return malformed("a string in the server's greeting has no end")
    server_version = payload[1:end].decode("ascii", "replace")
    position = end + 1 + _GREETING.size
    if len(payload) == end + 1 + _OLD_GREETING.size:
        return _too_old(server_version, _OLD_GREETING.unpack_from(payload, end + 1)[-1])
    if len(payload) < position:
        return _too_short(payload, position)
    _, _, low, _, _, high, nonce_length, mariadb = _GREETING.unpack_from(payload, end + 1)
    capabilities = low | high << 16
    if capabilities & REQUIRED != REQUIRED:
        if not capabilities & CLIENT.LONG_PASSWORD:
            capabilities |= mariadb << 32
        return _too_old(server_version, capabilities)
    return _too_short(payload, position + _nonce_tail(nonce_length))


def _too_old(server_version: str, capabilities: int) -> OperationalError:
    return OperationalError(
        CR.CR_VERSION_ERROR,
        f"server {server_version} lacks capabilities this client needs "
        f"(it offers {capabilities:#x}, needed are {REQUIRED:#x})",
    )


def _too_short(payload: bytes, announced: int) -> Exception:
    return malformed(
        f"the server's greeting ends after {len(payload)} bytes, {announced} were announced"
    )


def ssl_request(capabilities: int, max_packet: int, collation_id: int) -> bytes:
    """Protocol::SSLRequest, which is also the head of Protocol::HandshakeResponse41.

    The user's name and a NUL stand behind it there, then `auth_response_field` and
    `rest_of_response`.

    `capabilities`: with MariaDB's own from bit 32 on.
    """
    return _RESPONSE_HEAD.pack(
        capabilities & 0xFFFFFFFF, max_packet, collation_id, capabilities >> 32
    )


def connection_attributes(attributes: Mapping[str, str]) -> bytes:
    """`attributes` as they stand in the handshake response."""
    pairs = b"".join(lenenc_bytes(text.encode()) for pair in attributes.items() for text in pair)
    return lenenc_integer(len(pairs)) + pairs


def auth_response_field(capabilities: int, auth_response: bytes, auth_plugin: str) -> bytes:
    """An authentication method's first bytes as they stand in the handshake response.

    Raises OperationalError when they are too long for the server.
    """
    size = len(auth_response)
    if capabilities & CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA:
        return lenenc_integer(size) + auth_response
    if size > _LONGEST_SHORT_RESPONSE:
        raise OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"Authentication plugin '{auth_plugin}' would send {size} bytes, "
            f"the server takes at most {_LONGEST_SHORT_RESPONSE}",
        )
    return bytes([size]) + auth_response


def rest_of_response(
    capabilities: int, auth_plugin: str, database: bytes | None, attributes: bytes
) -> bytes:
    """What stands behind that; `attributes` comes from `connection_attributes`."""
    rest = auth_plugin.encode() + b"\0" if capabilities & CLIENT.PLUGIN_AUTH else b""
    if database is not None and capabilities & CLIENT.CONNECT_WITH_DB:
        rest = database + b"\0" + rest
    return rest + attributes if capabilities & CLIENT.CONNECT_ATTRS else rest


class AuthSwitch(NamedTuple):
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


py_read_greeting = read_greeting
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    read_greeting = _c.read_greeting
