"""The connection phase as an exchange: greeting, TLS, handshake response, authentication.

MySQL: "Connection Phase".

What options and greeting make of a log-in is a plan, which is kept with the options, and so shared
by connections; nonce and password make the rest.

The handshake carries a collation although a SET follows the log-in: the names of user and database
are read by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, NamedTuple, Self

from pymysql.constants import CLIENT, CR
from pymysql.err import MySQLError, NotSupportedError, OperationalError

from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.login.auth import AUTH_METHODS, AuthContext, AuthMethod, Dialog
from aiomysql_protocol.login.auth.base import SCRAMBLE_LENGTH
from aiomysql_protocol.login.auth.native import NativePassword
from aiomysql_protocol.login.auth.rsa import rsa_available
from aiomysql_protocol.login.certificate_proof import is_proof, is_proven, sends_proof, unproven
from aiomysql_protocol.login.handshake import (
    MULTI_FACTOR,
    AuthSwitch,
    Greeting,
    auth_response_field,
    connection_attributes,
    not_a_greeting,
    parse_auth_switch,
    parse_greeting,
    rest_of_response,
    ssl_request,
)
from aiomysql_protocol.wire.capabilities import (
    CACHE_METADATA,
    DEFAULT,
    DEPRECATE_EOF,
    MAX_PAYLOAD,
    REQUIRED,
    ZSTD_COMPRESSION,
)
from aiomysql_protocol.wire.compression import UNCOMPRESSED, Zstd, algorithm
from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.packets import EOF_HEADER, ERR_HEADER, OK_HEADER, parse_error, parse_ok

__all__ = ["Channel", "Login", "LoginOptions", "Tls"]

_AUTH_MORE_DATA = 0x01
_AUTH_NEXT_FACTOR = 0x02

#: More steps than any method takes: a server that goes on and on is refused.
_MOST_STEPS = 16

#: Methods that need RSA when the channel is not secure and the server's cache is cold.
_RSA_METHODS = frozenset({"caching_sha2_password", "sha256_password"})

#: Methods that send the password, and are refused when the channel is not secure.
_CLEARTEXT_METHODS = frozenset({"mysql_clear_password", "dialog"})


class Tls(Enum):
    """Whether to encrypt the connection (names as in MySQL's --ssl-mode)."""

    #: Never.
    DISABLED = auto()
    #: Only where a password could not be sent without: no RSA on this machine.
    IF_NEEDED = auto()
    #: When the server offers it.
    PREFERRED = auto()
    #: Or fail before anything about the user is sent.
    REQUIRED = auto()


class _Plan(NamedTuple):
    """What the options and a greeting make of a log-in, but for nonce and password."""

    #: Whether TLS is started.
    encrypt: bool
    capabilities: int
    #: The method to begin with.
    plugin: str
    method: type[AuthMethod] | None
    #: The request for TLS, with which the handshake response begins too.
    head: bytes
    #: What stands in that before and behind the method's first bytes.
    before: bytes
    behind: bytes
    #: The algorithm to compress with; None: nothing is compressed.
    compression: str | None


class Channel(NamedTuple):
    """What protects a session's bytes, as its log-in has left it."""

    #: Whether the server encrypts it.
    tls: bool
    #: The server's certificate (DER) if TLS was only preferred and nobody has verified that.
    certificate: bytes | None


#: The channel of a session without TLS.
_UNPROTECTED = Channel(False, None)

#: The flag of each algorithm.
_COMPRESSION = {"zlib": CLIENT.COMPRESS, "zstd": ZSTD_COMPRESSION}

#: The error for algorithms that the server does not offer, as in MySQL's client library.
_CR_COMPRESSION_WRONGLY_CONFIGURED = 2061

#: How many plans are kept: the servers behind one address are of a kind.
_MOST_PLANS = 8


@dataclass(frozen=True)
class LoginOptions:
    """What a log-in needs to know.

    Raises NotSupportedError when `auth_plugin` is not known.
    """

    user: bytes
    password: bytes = field(repr=False)
    database: bytes | None
    #: Collation number for the session (one byte).
    collation_id: int
    #: Further capability flags to ask for.
    client_flags: int = 0
    #: Those that are not asked for, although they are by default.
    unwanted_flags: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    tls: Tls = Tls.DISABLED
    #: Whether the channel is secure as it is (a unix socket).
    secure: bool = False
    #: Whether it is encrypted before the greeting, so that TLS is not asked for: by a proxy, of
    #: which the server knows nothing.
    encrypted: bool = False
    #: Method to begin with; empty for the server's default.
    auth_plugin: str = ""
    #: The server's RSA public key, PEM.
    server_public_key: bytes | None = None
    #: Whether mysql_clear_password and dialog may send the password on an insecure channel.
    allow_cleartext: bool = False
    #: Whether mysql_old_password may be used; what it sends gives the password's hash away.
    allow_old_password: bool = False
    #: Answers the prompts of the method `dialog` after the one for the password; called from
    #: within `Session.receive`, for which the connection waits.
    dialog: Dialog | None = None
    #: Further methods by their names on the wire; they come before the package's own.
    auth_methods: Mapping[str, type[AuthMethod]] = field(default_factory=dict)
    #: Passwords for an account's second and third factor.
    factor_passwords: tuple[bytes, ...] = field(default=(), repr=False)
    #: The longest payload that is accepted, in bytes, which the server is told.
    max_payload: int = MAX_PAYLOAD
    #: Algorithms to compress with, the best first: the first that the server offers is used.  Where
    #: it offers none the log-in fails, unless "uncompressed" is among them; empty: as that alone.
    compression: tuple[str, ...] = ()
    #: See `algorithm`.
    compression_level: int | None = None
    #: What `plan` has made before; shared by all copies.
    _plans: dict[tuple[int, str, bool, bool, bool], _Plan] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.auth_plugin and self.find_method(self.auth_plugin) is None:
            known = ", ".join(sorted({*AUTH_METHODS, *self.auth_methods}))
            raise NotSupportedError(
                f"option 'auth_plugin' names the unknown {self.auth_plugin!r}; known are {known}"
            )

    def plan(self, greeting: Greeting, proof_required: bool) -> _Plan:
        """For a server with this greeting.  proof_required: see `Login`.

        Raises OperationalError where the options can't be met.
        """
        has_password, has_rsa = bool(self.password), rsa_available()
        key = greeting.capabilities, greeting.auth_plugin, proof_required, has_password, has_rsa
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._plan(greeting, proof_required)
        return plan

    def _plan(self, greeting: Greeting, proof_required: bool) -> _Plan:
        encrypt = self._decide_tls(greeting, proof_required)
        wanted = DEFAULT | MULTI_FACTOR | self.client_flags & 0xFFFFFFFF & ~CLIENT.CONNECT_WITH_DB
        wanted &= ~self.unwanted_flags
        if self.database is not None:
            wanted |= CLIENT.CONNECT_WITH_DB
        capabilities = (wanted & greeting.capabilities | REQUIRED) & ~CLIENT.SSL
        if not capabilities & DEPRECATE_EOF:
            capabilities &= ~CACHE_METADATA  # what stands in for its EOF is not known
        if encrypt:
            capabilities |= CLIENT.SSL
        compression = self._choose_compression(greeting)
        if compression is not None:
            capabilities |= _COMPRESSION[compression]
        if not capabilities & CLIENT.PLUGIN_AUTH:
            capabilities &= ~MULTI_FACTOR
        plugin, method = self.first_method(greeting, capabilities)
        head = ssl_request(capabilities, self.max_payload, self.collation_id)
        attributes = connection_attributes(self.attributes)
        behind = rest_of_response(capabilities, plugin, self.database, attributes)
        if compression == "zstd":
            behind += bytes([self.compression_level or Zstd.DEFAULT_LEVEL])
        return _Plan(
            encrypt,
            capabilities,
            plugin,
            method,
            head,
            head + self.user + b"\0",
            behind,
            compression,
        )

    def _decide_tls(self, greeting: Greeting, proof_required: bool) -> bool:
        """Whether to use TLS.  Raises OperationalError 2026 if asked for and not to be had."""
        required = proof_required or self.tls is Tls.REQUIRED
        if self.encrypted and not proof_required:
            return False
        if self.tls is Tls.DISABLED and not required:
            return False
        offered = bool(greeting.capabilities & CLIENT.SSL)
        if required and not offered:
            raise OperationalError(
                CR.CR_SSL_CONNECTION_ERROR,
                "SSL connection error: SSL is required but the server doesn't support it",
            )
        if self.tls is Tls.IF_NEEDED and not required:
            return offered and not self.secure and self._needs_tls(greeting)
        return offered

    def _needs_tls(self, greeting: Greeting) -> bool:
        """Whether there is a password that could not be sent in clear."""
        own, announced = self.auth_plugin, greeting.auth_plugin
        if own in _CLEARTEXT_METHODS or announced in _CLEARTEXT_METHODS:
            return not self.allow_cleartext
        return (
            bool(self.password)
            and (own in _RSA_METHODS or announced in _RSA_METHODS)
            and not rsa_available()
        )

    def _choose_compression(self, greeting: Greeting) -> str | None:
        """The algorithm; None for none.  Raises OperationalError where one is needed."""
        names = [name for name in self.compression if name != UNCOMPRESSED]
        for name in names:
            if greeting.capabilities & _COMPRESSION[name]:
                return name
        if not names or UNCOMPRESSED in self.compression:
            return None
        offered = [name for name, flag in _COMPRESSION.items() if greeting.capabilities & flag]
        raise OperationalError(
            _CR_COMPRESSION_WRONGLY_CONFIGURED,
            f"option 'compression' asks for {' or '.join(names)}, the server offers "
            f"{' and '.join(offered) or 'no compression'}; with {UNCOMPRESSED!r} in the option "
            "nothing is compressed then",
        )

    def first_method(
        self, greeting: Greeting, capabilities: int
    ) -> tuple[str, type[AuthMethod] | None]:
        """The name of the method to begin with, and the method.

        Raises OperationalError when it can't be used with these capabilities.
        """
        plugin = self.auth_plugin or greeting.auth_plugin
        if not capabilities & CLIENT.PLUGIN_AUTH and plugin != NativePassword.name:
            raise OperationalError(
                CR.CR_AUTH_PLUGIN_ERR,
                f"Authentication plugin '{plugin}' (option 'auth_plugin') can't be used: the "
                f"server knows no plugins, only the method of '{NativePassword.name}'",
            )
        method = self.find_method(plugin)
        if method is None:
            # The server will switch to what the account needs.
            plugin, method = NativePassword.name, self.find_method(NativePassword.name)
        return plugin, method

    def with_password(self, password: bytes) -> Self:
        """The same with another password."""
        same = object.__new__(type(self))
        fields = self.__dict__.copy()
        fields["password"] = password
        object.__setattr__(same, "__dict__", fields)
        return same

    def find_method(self, plugin: str) -> type[AuthMethod] | None:
        """The method for a plugin's name; None when there is none."""
        return self.auth_methods.get(plugin) or AUTH_METHODS.get(plugin)


class Login(Exchange):
    """From the server's greeting to its OK.

    When `tls_wanted` becomes true the caller encrypts the connection, with nothing left unread,
    and calls `tls_started`.

    A certificate that the caller did not verify can be verified by the password, with servers that
    prove it (MariaDB 11.4 and later).
    """

    activity: ClassVar[str] = "the handshake"

    # No server needs more, and which one it is isn't known yet.
    max_payload: ClassVar[int] = 1 << 20

    # As in the base, attributes begin as the class's: a log-in changes only a few of them.

    #: Whether it is the caller's turn to start TLS.
    tls_wanted: bool = False

    #: Whether the password has proven the server's certificate.
    is_proven: bool = False

    #: Whether the log-in failed because the certificate was not proven.
    is_unproven: bool = False

    #: The method that the greeting announced; empty before.
    server_auth_plugin: str = ""

    #: The method in use; empty before the greeting.
    auth_plugin: str = ""

    _tls = False

    # The server's certificate (DER) that is to be proven, if it is or if it must be.
    _certificate: bytes | None = None

    _plan: _Plan | None = None
    _method: AuthMethod | None = None
    _factor = 0  # 0 for the password, then 1 and 2
    _steps = 0

    def __init__(self, options: LoginOptions, proof_required: bool = False) -> None:
        """proof_required: there must be TLS, and the password has to prove the server's
        certificate; only methods that can do that use the password.
        """
        self._options = options
        #: Whether the password has to prove the server's certificate.
        self.proof_required = proof_required

    @property
    def greeting(self) -> Greeting | None:
        """The server's greeting, once it came."""
        return self.session.greeting if self.session is not None else None

    @property
    def channel(self) -> Channel:
        """What protects the session, once the log-in is done."""
        return Channel(True, self._certificate) if self._tls else _UNPROTECTED

    def tls_started(self, certificate: bytes | None = None) -> None:
        """The channel is encrypted now: go on with the handshake response.

        certificate: the server's (DER), if nobody has verified it.  If the proof is required, or
        if the server sends one though TLS is only preferred, a wrong one ends the log-in.
        Raises OperationalError when no proof is possible and one is required, or when the method
        to begin with can't be used.
        """
        assert self.session is not None and self.session.greeting is not None
        self.tls_wanted = False
        self._tls = True
        if self.proof_required:
            if certificate is None:
                raise self._unproven("the server's certificate is not known")
            if len(self.session.greeting.nonce) != SCRAMBLE_LENGTH:
                raise self._unproven("the server's nonce is not one that can prove a certificate")
            self._certificate = certificate
        elif self._options.tls is Tls.PREFERRED and sends_proof(self.session.greeting):
            self._certificate = certificate
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
            ok = parse_ok(payload)
            if self._certificate is not None:
                self._check_proof(self._method, ok.message, self._certificate)
            self.session.record_status(ok)
            if self._plan is not None and self._plan.compression is not None:
                level = self._options.compression_level
                self.session.start_compression(algorithm(self._plan.compression, level))
            self.finish()
        elif header == EOF_HEADER:
            if len(payload) > 1 and not self.session.capabilities & CLIENT.PLUGIN_AUTH:
                raise malformed("the server asks for an authentication plugin, but knows none")
            self._switch(parse_auth_switch(payload))
        elif header == _AUTH_NEXT_FACTOR and self.session.capabilities & MULTI_FACTOR:
            self._factor += 1
            self._switch(parse_auth_switch(payload))
        else:
            # MariaDB marks only what could be taken for another packet.
            marked = header == _AUTH_MORE_DATA
            self._step(self._method, bytes(payload[1:] if marked else payload))
        self._steps += 1
        if self._steps > _MOST_STEPS and not self.done:
            raise malformed(f"authentication did not end after {_MOST_STEPS} steps")

    def out_of_order(self, data: bytes, expected: int) -> Exception:
        if self.greeting is None:
            return not_a_greeting(data)
        return super().out_of_order(data, expected)

    def _greeted(self, greeting: Greeting) -> None:
        assert self.session is not None
        session = self.session
        session.greeting = greeting
        session.server_status = greeting.server_status
        self.server_auth_plugin = greeting.auth_plugin
        self._plan = plan = self._options.plan(greeting, self.proof_required)
        session.capabilities = plan.capabilities
        if plan.encrypt:
            session.send_payload(self, plan.head)
            self.tls_wanted = True
            self.notify()
        else:
            self._respond()

    def _respond(self) -> None:
        assert self.session is not None and self.session.greeting is not None
        greeting, plan = self.session.greeting, self._plan
        assert plan is not None
        announced = plan.plugin == greeting.auth_plugin
        first = self._begin(plan.plugin, plan.method, greeting.nonce, announced)
        field = auth_response_field(plan.capabilities, first, plan.plugin)
        self.session.send_payload(self, plan.before + field + plan.behind)

    def _switch(self, switch: AuthSwitch) -> None:
        """The server wants another method, or one for the next factor."""
        assert self.session is not None and self.session.greeting is not None
        nonce = switch.nonce or self.session.greeting.nonce
        method = self._options.find_method(switch.plugin)
        self._reply(self._begin(switch.plugin, method, nonce, True))

    def _begin(
        self, plugin: str, method: type[AuthMethod] | None, nonce: bytes, announced: bool
    ) -> bytes:
        """Begin `method`, named `plugin`; returns its first bytes."""
        options = self._options
        if method is None:
            asked = f" for factor {self._factor + 1}" if self._factor else ""
            raise OperationalError(
                CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
                f"Authentication plugin '{plugin}', which the server asks for{asked}, "
                "is not supported",
            )
        if self._certificate is not None:
            self._check_unproven(plugin, method)
        self.auth_plugin = plugin
        context = AuthContext(  # by position: by name it takes thrice as long
            options.password if self._factor == 0 else self._password(plugin),
            nonce,
            options.secure or options.encrypted or (self._tls and not self.proof_required),
            self._tls,
            options.encrypted,
            options.server_public_key,
            announced,
            options.allow_cleartext,
            options.allow_old_password,
            options.dialog,
        )
        try:
            self._method = method(context)
            return self._method.start()
        except MySQLError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _password(self, plugin: str) -> bytes:
        """The password for the second or third factor, which the server asks for."""
        options, factor = self._options, self._factor
        if factor <= len(options.factor_passwords):
            return options.factor_passwords[factor - 1]
        raise OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"The account has several factors (multi-factor authentication): the server asks for "
            f"factor {factor + 1} with the plugin '{plugin}', and the option "
            "'factor_passwords' has no password for it",
        )

    def _check_unproven(self, plugin: str, method: type[AuthMethod]) -> None:
        """Raise OperationalError if `method` must not run before the certificate is proven."""
        options = self._options
        if not self.proof_required:
            chosen = options.auth_plugin in {plugin, *_CLEARTEXT_METHODS}
            sends_password = plugin in _CLEARTEXT_METHODS or plugin in _RSA_METHODS
            if sends_password and not chosen and not options.allow_cleartext:
                raise self._unproven(
                    f"the server asks for the authentication plugin '{plugin}', by which it gets "
                    "the password itself, and its certificate is not verified",
                    f"the options auth_plugin='{plugin}' and allow_cleartext=True allow it",
                )
        elif not hasattr(method, "hash_password") or self._factor:
            raise self._unproven(
                f"the server's certificate is not verified, and the authentication plugin "
                f"'{plugin}', which it asks for, can't verify it"
            )
        elif not options.password:
            raise self._unproven(
                "the server's certificate is not verified, and without a password the log-in "
                "can't verify it"
            )

    def _check_proof(self, method: AuthMethod, message: bytes, certificate: bytes) -> None:
        """Raise OperationalError unless the server's OK proves the certificate, if it has to."""
        assert self.session is not None and self.session.greeting is not None
        hash_password = getattr(method, "hash_password", None)
        password_hash = b""
        if hash_password is not None and self._options.password and not self._factor:
            try:
                password_hash = hash_password()
            except Exception as error:
                raise self._failed(error) from error
        if is_proven(message, password_hash, self.session.greeting.nonce, certificate):
            self._certificate = None
            self.is_proven = True
            return
        if is_proof(message) and (password_hash or self.proof_required):
            raise self._unproven(
                "the certificate is not the one that the server has proven with the password, so "
                "another one is between it and the client, or has changed its response"
            )
        if self.proof_required:
            raise self._unproven(
                "the server's certificate is not verified, and the server did not prove it with "
                "the password"
            )

    def _unproven(self, reason: str, *further_advice: str) -> OperationalError:
        self.is_unproven = True
        return unproven(reason, *further_advice)

    def _step(self, method: AuthMethod, challenge: bytes) -> None:
        try:
            reply = method.step(challenge)
        except MySQLError:
            raise
        except Exception as error:
            raise self._failed(error) from error
        if reply is not None:
            self._reply(reply)

    def _failed(self, error: Exception) -> OperationalError:
        """The error for one in a method, which may be the caller's code."""
        # Without the error's text, in which a password may stand.
        return OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"Authentication plugin '{self.auth_plugin}' failed ({type(error).__name__})",
        )

    def _reply(self, payload: bytes) -> None:
        assert self.session is not None
        self.session.send_payload(self, payload)
