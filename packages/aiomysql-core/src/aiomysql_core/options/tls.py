"""Whether and how a connection is encrypted.

Contexts are built once per option set: loading the system's CA store takes tens of milliseconds.

Without an option TLS is used when the server offers it, but not to this machine, unless a password
could not be sent otherwise (without `cryptography` there is no RSA, and some methods send it as it
is).  Where TLS is insisted on, a server without it is error 2026, before anything about the user
is sent.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
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
    ) -> Self:
        """From the keywords of connect(): `ssl` (given), `ssl_mode`, `ssl_ca` and so on.

        Raises TypeError or ValueError, which name the option.
        """
        if mode is not None and mode.upper() not in MODES:
            raise ValueError(f"option 'ssl_mode' must be one of {', '.join(MODES)}, not {mode!r}")
        mode = mode.upper() if mode is not None else None
        if disabled or given is False or mode == "DISABLED":
            return cls(mode="DISABLED")
        if isinstance(given, ssl.SSLContext):
            return cls(mode="PREFERRED" if mode == "PREFERRED" else "REQUIRED", context=given)
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
        return cls(mode=mode, **files)

    def policy(self, *, local: bool) -> Tls:
        """What to ask of the server; `local`: whether its address is this machine's."""
        if self.mode is None:
            return Tls.IF_NEEDED if local else Tls.PREFERRED
        if self.mode in ("DISABLED", "PREFERRED"):
            return Tls[self.mode]
        return Tls.REQUIRED

    def ssl_context(self) -> ssl.SSLContext:
        """The context; built anew when a file it is made of has changed.

        Raises OperationalError 2026 when a file can't be read or is not what it should be.
        """
        if self.context is not None:
            return self.context
        try:
            changed = tuple(
                os.stat(path).st_mtime_ns for name in _FILES if (path := getattr(self, name))
            )
            return _build(self, changed)
        except OSError as error:
            files = ", ".join(str(p) for name in _FILES if (p := getattr(self, name)))
            raise OperationalError(
                CR.CR_SSL_CONNECTION_ERROR, f"SSL connection error: {error} ({files})"
            ) from error


@lru_cache(maxsize=32)
def _build(options: TlsOptions, changed: tuple[int, ...]) -> ssl.SSLContext:
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
