"""client_ed25519 and parsec: MariaDB's methods with Ed25519 signatures.

MariaDB: "Authentication Plugin - ed25519", "Authentication Plugin - PARSEC".
"""

from __future__ import annotations

import hashlib
import os
from typing import ClassVar

from aiomysql_protocol.login.auth.base import AuthContext, exact_nonce, no_further_step
from aiomysql_protocol.login.auth.ed25519 import SigningKey
from aiomysql_protocol.wire.errors import malformed

_NONCE_LENGTH = 32

# Parsec's second packet: how the key is made from the password.
_PBKDF2 = ord("P")
_SALT_LENGTH = 18
_FEWEST_ITERATIONS = 1024
_MOST_FACTOR = 3  # iterations are _FEWEST_ITERATIONS << factor


class Ed25519Password:
    """The nonce, signed with the password."""

    name: ClassVar[str] = "client_ed25519"

    def __init__(self, context: AuthContext) -> None:
        self._context = context
        self._key: SigningKey | None = None

    def start(self) -> bytes:
        """The signature, 64 bytes; nothing until the server has sent a nonce for this method."""
        if not self._context.announced:
            return b""
        nonce = exact_nonce(self._context, _NONCE_LENGTH, self.name)
        self._key = SigningKey(self._context.password)
        return self._key.sign(nonce)

    def hash_password(self) -> bytes:
        """The public key; nothing before there was a signature."""
        return b"" if self._key is None else self._key.public_key

    def step(self, challenge: bytes) -> bytes | None:
        """This method has no further steps."""
        raise no_further_step(self.name, challenge)


class Parsec:
    """The server's nonce and our own, signed with a key that is costly to derive."""

    name: ClassVar[str] = "parsec"

    def __init__(self, context: AuthContext) -> None:
        self._context = context
        self._signed = False
        self._password_hash = b""

    def start(self) -> bytes:
        """An empty packet, which asks for the salt."""
        return b""

    def step(self, challenge: bytes) -> bytes | None:
        """Our nonce and the signature of both, 96 bytes."""
        if self._signed:
            raise no_further_step(self.name, challenge)
        self._signed = True
        nonce = exact_nonce(self._context, _NONCE_LENGTH, self.name)
        if (
            len(challenge) != 2 + _SALT_LENGTH
            or challenge[0] != _PBKDF2
            or challenge[1] > _MOST_FACTOR
        ):
            raise malformed(f"{self.name} does not know a salt that begins {challenge[:2]!r}")
        secret = hashlib.pbkdf2_hmac(
            "sha512",
            self._context.password,
            challenge[2:],
            _FEWEST_ITERATIONS << challenge[1],
            dklen=32,
        )
        key = SigningKey(secret)
        self._password_hash = challenge + key.public_key
        own = os.urandom(_NONCE_LENGTH)
        return own + key.sign(nonce + own)

    def hash_password(self) -> bytes:
        """How the key is made, the salt and the public key; nothing before there was a
        signature.
        """
        return self._password_hash
