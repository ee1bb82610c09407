"""Whether and how a connection is encrypted.

Contexts are built once per option set: loading the system's CA store takes tens of milliseconds.

Without an option TLS is used when the server offers it, but not to this machine, unless a password
could not be sent otherwise (without `cryptography` there is no RSA, and some methods send it as it
is).  Where TLS is insisted on, a server without it is error 2026, before anything about the user
is sent.

MariaDB 11.4 and later makes itself a certificate if it has none, and proves it to those who know
the password.  Where the certificate is to be verified and no authority was named, that will do, as
for MariaDB's own clients.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self

from pymysql.constants import CR
from pymysql.err import OperationalError

from aiomysql_protocol.login.login import Tls

#: The values of option `ssl_mode`, as in MySQL's --ssl-mode.
MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")

#: The keys of an `ssl` dict, as PyMySQL takes it.
_DICT_KEYS = frozenset(
    {"ca", "capath", "cert", "key", "password", "cipher", "check_hostname", "verify_mode"}
)

_FILES = ("ca", "capath", "cert", "key")


@dataclass(frozen=True)
class TlsOptions:
    """The TLS options of a connection, checked."""

    #: One of MODES, or None for the default of the address.
    mode: str | None = None
    context: ssl.SSLContext | None = None
    ca: str | None = None
    capath: str | None = None
    cert: str | None = None
    key: str | None = None
    password: str | None = field(default=None, repr=False)
    cipher: str | None = None
    #: Whether TLS begins before the handshake of MySQL.
    direct: bool = False
    #: Whether TLS sessions are resumed; the context is the same.
    session_reuse: bool = field(default=True, compare=False)
    #: Whether the password had to prove the server's certificate the last time, or an authority had
    #: signed it; None: neither is known.  Shared by copies.
    _proofs: list[bool | None] = field(
        default_factory=lambda: [None], init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.direct and self.mode in (None, "DISABLED", "PREFERRED"):
            raise ValueError(
                "option 'ssl_negotiation' can be 'direct' only where TLS is insisted on: "
                "set 'ssl', or 'ssl_mode' to REQUIRED, VERIFY_CA or VERIFY_IDENTITY"
            )

    @classmethod
    def resolve(
        cls,
        given: ssl.SSLContext | bool | Mapping[str, Any] | None,
        *,
        mode: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        key_password: str | None = None,
        verify_cert: bool | None = None,
        verify_identity: bool | None = None,
        disabled: bool = False,
        negotiation: str = "mysql",
        session_reuse: bool = True,
    ) -> Self:
        """From the keywords of connect(): `ssl` (given), `ssl_mode`, `ssl_ca` and so on.

        Raises TypeError or ValueError, which name the option.
        """
        if negotiation not in ("mysql", "direct"):
            raise ValueError(
                f"option 'ssl_negotiation' must be 'mysql' or 'direct', not {negotiation!r}"
            )
        direct = negotiation == "direct"
        if mode is not None and mode.upper() not in MODES:
            raise ValueError(f"option 'ssl_mode' must be one of {', '.join(MODES)}, not {mode!r}")
        mode = mode.upper() if mode is not None else None
        if not isinstance(session_reuse, bool):
            kind = type(session_reuse).__name__
            raise TypeError(f"option 'ssl_session_reuse' must be of type bool, not {kind}")
        _check_contradictions(given, mode, verify=bool(verify_cert or verify_identity))
        if disabled or given is False or mode == "DISABLED":
            return cls(mode="DISABLED", direct=direct)
        if isinstance(given, ssl.SSLContext):
            mode = "PREFERRED" if mode == "PREFERRED" else "REQUIRED"
            return cls(mode=mode, context=given, direct=direct, session_reuse=session_reuse)
        if given is True:
            mode = mode or "VERIFY_IDENTITY"
        elif given is not None and not isinstance(given, Mapping):
            raise TypeError(
                "option 'ssl' must be an ssl.SSLContext, True, False, a dict or None, "
                f"not {type(given).__name__}"
            )
        files: dict[str, Any] = {"ca": ca, "cert": cert, "key": key, "password": key_password}
        if isinstance(given, Mapping) and given:
            unknown = ", ".join(map(repr, sorted(given.keys() - _DICT_KEYS)))
            if unknown:
                raise ValueError(f"option 'ssl' has unknown keys: {unknown}")
            files |= {name: given[name] for name in (*_FILES, "password") if given.get(name)}
            files["cipher"] = given.get("cipher")
            mode = mode or _mode_of_dict(given)
        elif mode is None and any((verify_cert, verify_identity, *files.values())):
            if verify_identity:
                mode = "VERIFY_IDENTITY"
            elif verify_cert or (verify_cert is None and ca):
                mode = "VERIFY_CA"
            else:
                mode = "REQUIRED"
        return cls(mode=mode, direct=direct, session_reuse=session_reuse, **files)

    def with_context(self, context: ssl.SSLContext | None) -> Self:
        """The same with another context."""
        same = object.__new__(type(self))
        vars(same).update(vars(self), context=context)
        return same

    def policy(self, *, local: bool) -> Tls:
        """What to ask of the server; `local`: whether its address is this machine's."""
        if self.mode is None:
            return Tls.IF_NEEDED if local else Tls.PREFERRED
        if self.mode in ("DISABLED", "PREFERRED"):
            return Tls[self.mode]
        return Tls.REQUIRED

    def check_verified_by(self, context: ssl.SSLContext) -> None:
        """Raise ValueError if these options verify what `context`, of a socket that is encrypted
        already, does not.
        """
        own = self.context
        verifies = self.mode in ("VERIFY_CA", "VERIFY_IDENTITY")
        names = self.mode == "VERIFY_IDENTITY"
        if own is not None:
            verifies, names = own.verify_mode is ssl.CERT_REQUIRED, own.check_hostname
        if (verifies and context.verify_mode is not ssl.CERT_REQUIRED) or (
            names and not context.check_hostname
        ):
            raise ValueError(
                "option 'sock' is encrypted already, and its SSLContext does not verify what the "
                "TLS options want verified: set verify_mode and check_hostname of it"
            )

    @property
    def proof_allowed(self) -> bool:
        """Whether the password may prove a certificate that no known authority has signed.

        As with MariaDB's own clients: it is to be verified, and no authority was named for it.  Not
        if one had signed it before: who sits in between could have a user logged in elsewhere.
        """
        return (
            self.mode in ("VERIFY_CA", "VERIFY_IDENTITY")
            and self.context is None
            and not (self.ca or self.capath)
            and self._proofs[0] is not False
        )

    @property
    def proof_expected(self) -> bool:
        """Whether the password has to prove the certificate, as far as is known of the server."""
        return bool(self._proofs[0])

    def expect_proof(self, expected: bool | None) -> None:
        """Remember how the certificate was verified, for all that use these options.

        expected: by the password; False: by an authority; None: that is not known any more.
        """
        self._proofs[0] = expected

    def without_verification(self) -> Self:
        """The same for a certificate that is verified in another way."""
        return replace(self, mode="REQUIRED")

    def ssl_context(self) -> ssl.SSLContext:
        """The context; built anew when a file it is made of has changed.

        Raises OperationalError 2026 when a file can't be read or is not what it should be.
        """
        if self.context is not None:
            return self.context
        try:
            changed = tuple(_state(path) for name in _FILES if (path := getattr(self, name)))
            return _build(self, changed)
        except (OSError, ValueError) as error:  # ValueError: no path can be like this
            files = ", ".join(str(p) for name in _FILES if (p := getattr(self, name)))
            raise OperationalError(
                CR.CR_SSL_CONNECTION_ERROR, f"SSL connection error: {error} ({files})"
            ) from error


#: What tells that a file is another one, or was written to.
_State = tuple[int, int, int, int]


def _state(path: str) -> _State:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=32)
def _build(options: TlsOptions, changed: tuple[_State, ...]) -> ssl.SSLContext:
    verify = options.mode in ("VERIFY_CA", "VERIFY_IDENTITY")
    if verify:
        context = ssl.create_default_context(cafile=options.ca, capath=options.capath)
        # The certificates that MySQL makes for itself lack what the strict profile asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = options.mode == "VERIFY_IDENTITY"
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.cert is not None:
        context.load_cert_chain(options.cert, options.key, options.password)
    if options.cipher is not None:
        context.set_ciphers(options.cipher)
    return context


def _check_contradictions(given: object, mode: str | None, *, verify: bool) -> None:
    """Raise ValueError where one option asks for TLS and `ssl_mode`, perhaps from elsewhere, does
    without: that must not go unnoticed.
    """
    wanted = ""
    if verify and mode in ("DISABLED", "PREFERRED"):
        wanted = "ssl_verify_cert' or 'ssl_verify_identity"
    elif given and mode == "DISABLED":
        wanted = "ssl"
    if wanted:
        raise ValueError(
            f"option '{wanted}' asks for TLS, and option 'ssl_mode' with {mode} does without: "
            "leave one of them out"
        )


def _mode_of_dict(given: Mapping[str, Any]) -> str:
    """The mode that PyMySQL's `verify_mode` and `check_hostname` stand for."""
    has_ca = bool(given.get("ca") or given.get("capath"))
    verify = given.get("verify_mode")
    if isinstance(verify, str):
        lowered = verify.lower()
        if lowered not in {"none", "0", "false", "no", "optional", "required", "1", "true", "yes"}:
            raise ValueError(f"option 'ssl': verify_mode must not be {verify!r}")
        verify = lowered in {"optional", "required", "1", "true", "yes"}
    if verify is None:
        verify = has_ca
    if not verify:
        return "REQUIRED"
    return "VERIFY_IDENTITY" if has_ca and given.get("check_hostname", True) else "VERIFY_CA"
