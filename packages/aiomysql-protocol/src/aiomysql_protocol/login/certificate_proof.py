"""The proof that a server's certificate is its own, made with the password.

MariaDB: "Zero-Configuration SSL".  From 11.4 on the OK packet that ends a log-in has a digest of
what the server keeps of the password, of its greeting's nonce and of its certificate.  Who sits in
between with another certificate can't make that digest, and the server's own doesn't fit.

A proof with an empty password proves nothing: anybody can make it.
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest

from pymysql.constants import CLIENT, CR
from pymysql.err import OperationalError

from aiomysql_protocol.login.auth.base import SCRAMBLE_LENGTH
from aiomysql_protocol.login.handshake import Greeting

__all__ = ["sends_proof"]

#: The first release that sends proofs.
_FIRST_VERSION = (11, 4)

#: What MariaDB 10's version began with, for the sake of old replicas.
_VERSION_PREFIX = "5.5.5-"

#: The kind of message that a proof is.
_PROOF = 0x01

_ADVICE = (
    "name the authority of its certificate with the option ssl_ca='...'; "
    "ssl_mode='REQUIRED' encrypts without verifying"
)


def sends_proof(greeting: Greeting) -> bool:
    """Whether a server with this greeting sends proofs: MariaDB 11.4 and later does."""
    if greeting.capabilities & CLIENT.LONG_PASSWORD:
        return False  # MariaDB leaves it out
    version = greeting.server_version.removeprefix(_VERSION_PREFIX).partition("-")[0]
    numbers = version.split(".")[:2]
    if len(numbers) < 2 or not all(text.isdecimal() and len(text) < 5 for text in numbers):
        return False
    return tuple(map(int, numbers)) >= _FIRST_VERSION


def make_proof(password_hash: bytes, nonce: bytes, certificate: bytes) -> bytes:
    """The message of the OK packet that proves `certificate` (DER); nonce: the greeting's."""
    fingerprint = hashlib.sha256(certificate).digest()
    digest = hashlib.sha256(password_hash + nonce + fingerprint).hexdigest().upper().encode()
    proof = bytes([_PROOF]) + digest
    return bytes([len(proof)]) + proof


def is_proof(message: bytes) -> bool:
    """Whether the message of an OK packet is meant to be a proof, right or wrong."""
    return message[1:2] == bytes([_PROOF])


def is_proven(message: bytes, password_hash: bytes, nonce: bytes, certificate: bytes) -> bool:
    """Whether the message of an OK packet proves `certificate`.

    password_hash: what the server keeps of the password; empty: it is not known, nothing is proven.
    A nonce of another length proves nothing either: a longer one could hold the server's own digest
    of a shorter one, which anybody can go on with (SHA-256 allows length extension).
    """
    proof = make_proof(password_hash, nonce, certificate)
    is_sound = bool(password_hash) and len(nonce) == SCRAMBLE_LENGTH
    return is_sound and compare_digest(message, proof)


def unproven(reason: str, *further_advice: str) -> OperationalError:
    """The error for a certificate that nobody has verified."""
    advice = "; ".join((_ADVICE, *further_advice))
    return OperationalError(CR.CR_SSL_CONNECTION_ERROR, f"SSL connection error: {reason}: {advice}")
