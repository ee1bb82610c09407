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

from aiomysql_core.options.keywords import parse_boolean
from aiomysql_protocol.login.login import Tls

#: The values of option `ssl_mode`, as in MySQL's --ssl-mode.
MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")

#: The keys of an `ssl` dict, as PyMySQL takes it.
_DICT_KEYS = frozenset(
    {"ca", "capath", "cert", "key", "password", "cipher", "check_hostname", "verify_mode"}
)

_FILES = ("ca", "capath", "cert", "key")

#: The versions of TLS by their names in option `tls_version`; None: no longer permitted.
_VERSIONS: Mapping[str, ssl.TLSVersion | None] = {
    "tlsv1": None,
    "tlsv1.0": None,
    "tlsv1.1": None,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}


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
    #: The versions of TLS that are permitted, from the lowest; empty: as the system has it.
    versions: tuple[ssl.TLSVersion, ...] = ()
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
    def from_keywords(cls, given: Mapping[str, Any]) -> Self:
        """From some of the keywords of connect(), all about TLS, under their names there.

        Raises what `resolve` raises.
        """
        others = {name: value for name, value in given.items() if name != "ssl"}
        if "tls_version" in others:
            others["version"] = others.pop("tls_version")
        return cls.resolve(
            given.get("ssl"),
            **{name.removeprefix("ssl_"): value for name, value in others.items()},
        )

    @classmethod
    def resolve(
        cls,
        given: ssl.SSLContext | bool | Mapping[str, Any] | None,
        *,
        mode: str | None = None,
        ca: str | None = None,
        capath: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        key_password: str | None = None,
        cipher: str | None = None,
        version: str | None = None,
        verify_cert: bool | None = None,
        verify_identity: bool | None = None,
        disabled: bool = False,
        negotiation: str = "mysql",
        session_reuse: bool = True,
    ) -> Self:
        """From the keywords of connect(): `ssl` (given), `ssl_mode`, `ssl_ca` and so on, whose
        types were checked.

        Raises TypeError or ValueError, which name the option.
        """
        if given is not None and not isinstance(given, (ssl.SSLContext, bool, Mapping)):
            raise TypeError(
                "option 'ssl' must be an ssl.SSLContext, True, False, a dict or None, "
                f"not {type(given).__name__}"
            )
        if negotiation not in ("mysql", "direct"):
            raise ValueError(
                f"option 'ssl_negotiation' must be 'mysql' or 'direct', not {negotiation!r}"
            )
        direct = negotiation == "direct"
        if mode is not None and mode.upper() not in MODES:
            raise ValueError(f"option 'ssl_mode' must be one of {', '.join(MODES)}, not {mode!r}")
        mode = mode.upper() if mode is not None else None
        versions = parse_versions(version)
        _check_contradictions(
            given, mode, disabled=disabled, verify_cert=verify_cert, verify_identity=verify_identity
        )
        parts: dict[str, Any] = {
            "ca": ca or None,
            "capath": capath or None,
            "cert": cert or None,
            "key": key or None,
            "password": key_password or None,
            "cipher": cipher or None,
        }
        if disabled or given is False or mode == "DISABLED":
            off = "ssl_disabled" if disabled else "ssl" if given is False else "ssl_mode"
            _check_nothing_asked({**parts, "version": version}, off)
            return cls(mode="DISABLED", direct=direct)
        if isinstance(given, ssl.SSLContext):
            _check_context_alone({**parts, "version": version})
            if mode is None and (verify_cert or verify_identity):
                mode = "VERIFY_IDENTITY" if verify_identity else "VERIFY_CA"
            options = cls(mode=mode or "REQUIRED", direct=direct, session_reuse=session_reuse)
            return options.with_context(given)
        if given is True and mode is None:
            mode = "VERIFY_IDENTITY"
            _check_verification("option 'ssl' as True", mode, verify_cert, verify_identity)
        elif given and given is not True:
            _add_dict(parts, given)
            if mode is None:
                mode = _mode_of_dict(
                    given, verify_cert is None and bool(parts["ca"] or parts["capath"])
                )
                if not _says_how(given):
                    implied = _implied_mode(parts, verify_cert, verify_identity, bool(versions))
                    mode = max(mode, implied or mode, key=MODES.index)
                _check_verification("option 'ssl' as a dict", mode, verify_cert, verify_identity)
            elif _says_how(given) and MODES.index(mode) < MODES.index(_mode_of_dict(given)):
                raise ValueError(
                    "option 'ssl' as a dict asks for verification, which option 'ssl_mode' "
                    f"with {mode} does without: leave one of them out"
                )
        elif mode is None:
            mode = _implied_mode(parts, verify_cert, verify_identity, bool(versions))
        return cls(
            mode=mode, direct=direct, session_reuse=session_reuse, versions=versions, **parts
        )

    def with_context(self, context: ssl.SSLContext | None) -> Self:
        """The same with another context.

        Raises ValueError for one that does not verify what the other options want verified.
        """
        if context is not None and not _verifies(context, self.mode):
            raise ValueError(
                f"option 'ssl' is an SSLContext that does not verify what {self.mode} asks for, of "
                "'ssl_mode' or 'ssl_verify_...': set its verify_mode and check_hostname"
            )
        same = object.__new__(type(self))
        vars(same).update(vars(self), context=context)
        return same

    def is_weaker_than(self, other: TlsOptions) -> bool:
        """Whether something that `other` asks for is not asked for here, or of other authorities,
        with other ciphers or versions.
        """
        if other.mode is not None and (
            self.mode is None or MODES.index(self.mode) < MODES.index(other.mode)
        ):
            return True
        if (other.ca or other.capath) and (self.ca, self.capath) != (other.ca, other.capath):
            return True
        return other.cipher not in (None, self.cipher) or other.versions not in ((), self.versions)

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
        mode = self.mode
        if self.context is not None and self.context.verify_mode is ssl.CERT_REQUIRED:
            mode = "VERIFY_IDENTITY" if self.context.check_hostname else "VERIFY_CA"
        if not _verifies(context, mode):
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

        Raises OperationalError 2026, which names the option, when a file can't be read or is not
        what it should be.
        """
        if self.context is not None:
            return self.context
        changed = tuple(_state(self, name) for name in _FILES if getattr(self, name))
        return _build(self, changed)

    def check_files(self) -> None:
        """Raise what `ssl_context` raises, if TLS was asked for."""
        if self.mode not in (None, "DISABLED"):
            self.ssl_context()


#: What tells that a file is another one, or was written to.
_State = tuple[int, int, int, int]


def _state(options: TlsOptions, name: str) -> _State:
    try:
        found = os.stat(getattr(options, name))
    except (OSError, ValueError) as error:  # ValueError: no path can be like this
        raise _unusable(options, (name,), error) from error
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=32)
def _build(options: TlsOptions, changed: tuple[_State, ...]) -> ssl.SSLContext:
    used: tuple[str, ...] = ()
    try:
        if options.mode in ("VERIFY_CA", "VERIFY_IDENTITY"):
            used = ("ca", "capath")
            context = ssl.create_default_context(cafile=options.ca, capath=options.capath)
            # The certificates that MySQL makes for itself lack what the strict profile asks for.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.check_hostname = options.mode == "VERIFY_IDENTITY"
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if options.cert is not None or options.key is not None:
            used = ("cert", "key")
            # As for the servers' own clients, one file may hold both.
            certificate = options.cert or options.key
            assert certificate is not None
            context.load_cert_chain(certificate, options.key, options.password)
        if options.cipher is not None:
            used = ("cipher",)
            context.set_ciphers(options.cipher)
        if options.versions:
            used = ()
            lowest, highest = options.versions[0], options.versions[-1]
            context.minimum_version, context.maximum_version = lowest, highest
    except (OSError, ValueError) as error:
        raise _unusable(options, used, error) from error
    return context


def _unusable(options: TlsOptions, names: tuple[str, ...], error: Exception) -> OperationalError:
    """The error of options, which are named like the attributes of `options`."""
    given = [f"ssl_{name}={value!r}" for name in names if (value := getattr(options, name))]
    said = f"can't use {', '.join(given)}: {error}" if given else str(error)
    return OperationalError(CR.CR_SSL_CONNECTION_ERROR, f"SSL connection error: {said}")


def _verifies(context: ssl.SSLContext, mode: str | None) -> bool:
    """Whether a context verifies what a mode asks for."""
    if mode == "VERIFY_IDENTITY" and not context.check_hostname:
        return False
    return mode not in ("VERIFY_CA", "VERIFY_IDENTITY") or context.verify_mode is ssl.CERT_REQUIRED


def parse_versions(text: str | None) -> tuple[ssl.TLSVersion, ...]:
    """The versions of TLS in a list like "TLSv1.2,TLSv1.3".  Raises ValueError for others."""
    if not text:
        return ()
    names = [name.strip().lower() for name in text.split(",")]
    found = sorted({version for name in names if (version := _VERSIONS.get(name)) is not None})
    if not found or not _VERSIONS.keys() >= set(names):
        raise ValueError(
            f"option 'tls_version' must name TLSv1.2 or TLSv1.3 or both (TLSv1.2,TLSv1.3), "
            f"not {text!r}"
        )
    return tuple(found)


def _check_context_alone(others: Mapping[str, Any]) -> None:
    """Raise ValueError for options that would have no effect beside an SSLContext."""
    found = _names_of(others)
    if found:
        raise ValueError(
            f"option {found[0]!r} has no effect where option 'ssl' is an ssl.SSLContext: "
            "set it in the context, or leave one of them out"
        )


def _check_nothing_asked(others: Mapping[str, Any], off: str) -> None:
    """Raise ValueError for options that imply TLS beside one that switches it off."""
    found = _names_of(others)
    if found:
        raise _switched_off(found[0], off)


def _switched_off(wanted: str, off: str) -> ValueError:
    return ValueError(
        f"option {wanted!r} asks for TLS, and option {off!r} switches it off: leave one of them out"
    )


def _names_of(others: Mapping[str, Any]) -> list[str]:
    """The names in connect() of those that have a value."""
    names = {"password": "ssl_key_password", "version": "tls_version"}
    return [names.get(name, f"ssl_{name}") for name, value in others.items() if value]


def _add_dict(parts: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Add what the dict of option `ssl` has to what the other options gave."""
    unknown = ", ".join(map(repr, sorted(map(str, given.keys() - _DICT_KEYS))))
    if unknown:
        raise ValueError(f"option 'ssl' has unknown keys: {unknown}")
    for name in parts:
        value = given.get(name)
        if not value:
            continue
        if name in _FILES and isinstance(value, os.PathLike):
            value = os.fsdecode(value)
        kinds = (str, bytes) if name == "password" else str
        if not isinstance(value, kinds) and not (name == "password" and callable(value)):
            raise TypeError(f"option 'ssl': {name} must be a str, not {type(value).__name__}")
        if parts[name] not in (None, value):
            other = "ssl_key_password" if name == "password" else f"ssl_{name}"
            raise ValueError(f"options 'ssl' and {other!r} both have {name}, and they differ")
        parts[name] = value


def _implied_mode(
    parts: Mapping[str, Any],
    verify_cert: bool | None,
    verify_identity: bool | None,
    has_versions: bool,
) -> str | None:
    """The mode where none is given."""
    if verify_identity:
        return "VERIFY_IDENTITY"
    if verify_cert or (verify_cert is None and (parts["ca"] or parts["capath"])):
        return "VERIFY_CA"
    return "REQUIRED" if has_versions or any(parts.values()) else None


def _check_contradictions(
    given: object,
    mode: str | None,
    *,
    disabled: bool,
    verify_cert: bool | None,
    verify_identity: bool | None,
) -> None:
    """Raise ValueError where one option asks for what another one, perhaps from elsewhere, does
    without: that must not go unnoticed.
    """
    wanted = "ssl" if given else ""
    if verify_cert or verify_identity:
        wanted = "ssl_verify_identity" if verify_identity else "ssl_verify_cert"
    off = "ssl_disabled" if disabled else "ssl" if given is False else ""
    if off and mode not in (None, "DISABLED"):
        wanted = wanted or "ssl_mode"
    if off and wanted:
        raise _switched_off(wanted, off)
    if given and mode in ("DISABLED", "PREFERRED"):
        raise ValueError(
            f"option 'ssl' asks for TLS, and option 'ssl_mode' with {mode} does without: "
            "leave one of them out"
        )
    if verify_identity and verify_cert is False:
        raise ValueError(
            "option 'ssl_verify_identity' asks for verification, which option 'ssl_verify_cert' "
            "does without: leave one of them out"
        )
    if mode is not None:
        _check_verification(f"option 'ssl_mode' with {mode}", mode, verify_cert, verify_identity)


def _check_verification(
    what: str, mode: str, verify_cert: bool | None, verify_identity: bool | None
) -> None:
    """Raise ValueError where `what`, an option that means `mode`, and the options ssl_verify_cert
    and ssl_verify_identity don't fit together.
    """
    for name, value, modes in (
        ("ssl_verify_identity", verify_identity, ("VERIFY_IDENTITY",)),
        ("ssl_verify_cert", verify_cert, ("VERIFY_CA", "VERIFY_IDENTITY")),
    ):
        if value and mode not in modes:
            raise ValueError(
                f"option {name!r} asks for verification, which {what} does without: "
                "leave one of them out"
            )
        if value is False and mode in modes:
            raise ValueError(
                f"{what} asks for verification, which option {name!r} does without: "
                "leave one of them out"
            )


def _says_how(given: Mapping[str, Any]) -> bool:
    """Whether the dict of option `ssl` says what is verified."""
    return bool(given.keys() & {"verify_mode", "check_hostname"})


def _mode_of_dict(given: Mapping[str, Any], has_authority: bool = False) -> str:
    """The mode that PyMySQL's `verify_mode` and `check_hostname` stand for.

    has_authority: whether another option names one.
    """
    has_ca = bool(given.get("ca") or given.get("capath"))
    checks_name = _true_or_false("check_hostname", given.get("check_hostname"), {})
    verifies = _true_or_false(
        "verify_mode", given.get("verify_mode"), {"none": False, "optional": True, "required": True}
    )
    if checks_name and verifies is False:
        raise ValueError("option 'ssl': check_hostname needs a verify_mode that verifies")
    if verifies is None:
        verifies = has_ca or has_authority or checks_name
    if not verifies:
        return "REQUIRED"
    if checks_name is None:
        checks_name = has_ca  # as PyMySQL has it
    return "VERIFY_IDENTITY" if checks_name else "VERIFY_CA"


def _true_or_false(key: str, value: object, words: Mapping[str, bool]) -> bool | None:
    """What a key in the dict of option `ssl` stands for; None: nothing is given.

    words: further texts for it.
    """
    if value is None:
        return None
    if isinstance(value, str):
        lowered = value.strip().lower()
        try:
            return words[lowered] if lowered in words else parse_boolean(lowered)
        except ValueError:
            raise ValueError(f"option 'ssl': {key} must not be {value!r}") from None
    # Also the constants CERT_NONE, CERT_OPTIONAL and CERT_REQUIRED.
    if isinstance(value, int) and value in ((0, 1, 2) if words else (0, 1)):
        return bool(value)
    raise TypeError(f"option 'ssl': {key} must be true or false, not {type(value).__name__}")
