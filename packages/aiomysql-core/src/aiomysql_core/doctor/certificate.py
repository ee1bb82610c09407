"""What a certificate says."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from aiomysql_core.transport.stream import Stream
from aiomysql_core.transport.trace import ConnectTrace


class Certificate(NamedTuple):
    """What is said of a certificate."""

    subject: str
    issuer: str
    #: The hosts that it is for.
    names: list[str]
    valid_from: dt.datetime
    valid_until: dt.datetime


def read_certificate(der: bytes | None) -> Certificate | None:
    """None without the library cryptography, or if it can't be read."""
    if der is None:
        return None
    try:
        from cryptography import x509
    except ImportError:
        return None
    try:
        found = x509.load_der_x509_certificate(der)
        try:
            alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names = [str(name.value) for name in alternatives.value]
        except x509.ExtensionNotFound:
            names = []
        # cryptography 41 has the times without their zone only.
        times: list[Any] = []
        for name in ("not_valid_before", "not_valid_after"):
            time = getattr(found, f"{name}_utc", None)
            times.append(time or getattr(found, name).replace(tzinfo=dt.UTC))
        return Certificate(
            found.subject.rfc4514_string(), found.issuer.rfc4514_string(), names, *times
        )
    except ValueError:
        return None


class CertificateSeen(Exception):
    """The certificate is there, and nothing about the user was sent."""


class CertificateTrace(ConnectTrace):
    """Ends an attempt to connect as soon as it is encrypted."""

    def encrypted(self, stream: Stream) -> None:
        super().encrypted(stream)
        if self.encryption is not None:
            raise CertificateSeen
