"""The connection phase as an exchange: greeting, TLS, handshake response, authentication.

MySQL: "Connection Phase".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar

from pymysql.constants import CLIENT, CR
from pymysql.err import OperationalError

from aiomysql_protocol.auth import AUTH_METHODS, AuthContext, AuthMethod
from aiomysql_protocol.auth.native import NativePassword
from aiomysql_protocol.auth.rsa import rsa_available
from aiomysql_protocol.capabilities import DEFAULT, MAX_PAYLOAD, REQUIRED
from aiomysql_protocol.errors import malformed
from aiomysql_protocol.exchanges import Exchange
from aiomysql_protocol.handshake import (
    Greeting,
    handshake_response,
    not_a_greeting,
    parse_auth_switch,
    parse_greeting,
    ssl_request,
)
from aiomysql_protocol.packets import EOF_HEADER, ERR_HEADER, OK_HEADER, parse_error, parse_ok

_AUTH_MORE_DATA = 0x01

#: More steps than any method takes: a server that goes on and on is refused.
_MOST_STEPS = 16

#: Methods that need RSA when the channel is not secure and the server's cache is cold.
_RSA_METHODS = frozenset({"caching_sha2_password", "sha256_password"})


class Tls(Enum):
    """Whether to encrypt the connection (names as in MySQL's --ssl-mode)."""

    DISABLED = auto()
    IF_NEEDED = auto()  # only where a password could not be sent without: no RSA on this machine
    PREFERRED = auto()  # when the server offers it
    REQUIRED = auto()  # or fail before anything about the user is sent


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """What a log-in needs to know."""

    user: bytes
    password: bytes = field(repr=False)
    database: bytes | None
    #: Collation number for the session (one byte).
    collation_id: int
    #: Further capability flags to ask for.
    client_flags: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    tls: Tls = Tls.DISABLED
    #: Is the channel secure as it is (a unix socket)?
    secure: bool = False
    #: Method to begin with; empty for the server's default.
    auth_plugin: str = ""
    #: The server's RSA public key, PEM.
    server_public_key: bytes | None = None


class Login(Exchange):
    """From the server's greeting to its OK.

    When `tls_wanted` becomes true the caller encrypts the connection, with nothing left unread,
    and calls `tls_started`.
    """

    __slots__ = (
        "_capabilities",
        "_context",
        "_head",
        "_method",
        "_options",
        "_secure",
        "_steps",
        "auth_plugin",
        "tls_wanted",
    )

    activity: ClassVar[str] = "the handshake"

    def __init__(self, options: LoginOptions) -> None:
        super().__init__()
        self._options = options
        self._secure = options.secure
        self._capabilities = 0
        self._head = b""
        self._method: AuthMethod | None = None
        self._context: AuthContext | None = None
        self._steps = 0
        #: Is it the caller's turn to start TLS?
        self.tls_wanted = False
        #: The method in use; empty before the greeting.
        self.auth_plugin = ""

    @property
    def greeting(self) -> Greeting | None:
        """The server's greeting, once it came."""
        return self.session.greeting if self.session is not None else None

    def tls_started(self) -> None:
        """The channel is encrypted now: go on with the handshake response."""
        self.tls_wanted = False
        self._secure = True
        self._respond()

    def receive(self, payload: bytes | bytearray) -> None:
        assert self.session is not None
        header = payload[0] if payload else None
        if header == ERR_HEADER:
            self.finish(parse_error(payload))
        elif self.session.greeting is None:
            self._greeted(parse_greeting(payload))
        elif self._method is None:
            raise malformed("the server did not wait for the handshake response")
        elif header == OK_HEADER:
            self.session.note_status(parse_ok(payload))
            self.finish()
        elif header == EOF_HEADER:
            switch = parse_auth_switch(payload)
            self._reply(self._begin(switch.plugin, switch.nonce))
        elif header == _AUTH_MORE_DATA:
            reply = self._method.step(bytes(payload[1:]))
            if reply is not None:
                self._reply(reply)
        else:
            raise malformed(f"an authentication packet begins with {bytes(payload[:8])!r}")
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise malformed(f"authentication did not end after {_MOST_STEPS} steps")

    def out_of_order(self, data: bytes, expected: int) -> Exception:
        if self.greeting is None:
            return not_a_greeting(data)
        return super().out_of_order(data, expected)

    def _greeted(self, greeting: Greeting) -> None:
        assert self.session is not None
        options = self._options
        self.session.greeting = greeting
        self.session.server_status = greeting.server_status
        wanted = DEFAULT | options.client_flags
        if options.database is not None:
            wanted |= CLIENT.CONNECT_WITH_DB
        self._capabilities = (wanted & greeting.capabilities | REQUIRED) & ~CLIENT.SSL
        encrypt = self._decide_tls(greeting)
        if encrypt:
            self._capabilities |= CLIENT.SSL
        self._head = ssl_request(self._capabilities, MAX_PAYLOAD, options.collation_id)
        self.session.capabilities = self._capabilities
        if encrypt:
            self.session.send_payload(self, self._head)
            self.tls_wanted = True
            self.notify()
        else:
            self._respond()

    def _decide_tls(self, greeting: Greeting) -> bool:
        """Encrypt?  Raises OperationalError 2026 when TLS is asked for and not to be had."""
        options = self._options
        offered = bool(greeting.capabilities & CLIENT.SSL)
        if options.tls is Tls.REQUIRED and not offered:
            raise OperationalError(
                CR.CR_SSL_CONNECTION_ERROR,
                "SSL connection error: SSL is required but the server doesn't support it",
            )
        if options.tls is Tls.IF_NEEDED:
            needed = greeting.auth_plugin in _RSA_METHODS and bool(options.password)
            return offered and needed and not options.secure and not rsa_available()
        return options.tls is not Tls.DISABLED and offered

    def _respond(self) -> None:
        assert self.session is not None and self.session.greeting is not None
        options, greeting = self._options, self.session.greeting
        plugin = options.auth_plugin or greeting.auth_plugin
        if plugin not in AUTH_METHODS:
            # The server will switch to what the account needs.
            plugin = NativePassword.name
        auth_response = self._begin(plugin, greeting.nonce)
        self._reply(
            handshake_response(
                self._head,
                self._capabilities,
                user=options.user,
                auth_response=auth_response,
                auth_plugin=plugin,
                database=options.database,
                attributes=options.attributes,
            )
        )

    def _begin(self, plugin: str, nonce: bytes) -> bytes:
        """Begin (or switch to) the method named `plugin`; returns its first bytes."""
        method = AUTH_METHODS.get(plugin)
        if method is None:
            raise OperationalError(
                CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
                f"Authentication plugin '{plugin}', which the server asks for, is not supported",
            )
        self.auth_plugin = plugin
        context = AuthContext(
            password=self._options.password,
            nonce=nonce,
            secure=self._secure,
            server_public_key=self._options.server_public_key,
        )
        self._method = method(context)
        return self._method.start()

    def _reply(self, payload: bytes) -> None:
        assert self.session is not None
        self.session.send_payload(self, payload)
