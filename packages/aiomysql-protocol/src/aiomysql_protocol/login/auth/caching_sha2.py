"""caching_sha2_password: MySQL's default.

MySQL: "Caching_sha2_password information".
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

from aiomysql_protocol.login.auth.base import (
    SCRAMBLE_LENGTH,
    AuthContext,
    exact_nonce,
    no_further_step,
)
from aiomysql_protocol.login.auth.native import xor
from aiomysql_protocol.login.auth.rsa import rsa_encrypt

_REQUEST_PUBLIC_KEY = b"\x02"
_FAST_AUTH_SUCCESS = b"\x03"
_PERFORM_FULL_AUTHENTICATION = b"\x04"


class CachingSha2Password:
    """A scramble for the server's cache; the password itself, under TLS or RSA, when it is not
    cached.
    """

    name: ClassVar[str] = "caching_sha2_password"

    def __init__(self, context: AuthContext) -> None:
        self._context = context
        self._key_requested = False
        self._password_sent = False

    def start(self) -> bytes:
        """SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce); nothing for no
        password.
        """
        password = self._context.password
        if not password:
            return b""
        nonce = exact_nonce(self._context, SCRAMBLE_LENGTH, self.name)
        stage1 = hashlib.sha256(password).digest()
        stage2 = hashlib.sha256(hashlib.sha256(stage1).digest() + nonce).digest()
        return xor(stage1, stage2)

    def step(self, challenge: bytes) -> bytes | None:
        """Follow the server through the fast or the full path."""
        context = self._context
        if self._key_requested and not self._password_sent:
            return self._encrypted(challenge)
        if challenge == _FAST_AUTH_SUCCESS:
            return None
        if challenge != _PERFORM_FULL_AUTHENTICATION or self._password_sent:
            raise no_further_step(self.name, challenge)
        if context.secure and not context.behind_proxy:
            self._password_sent = True
            return context.password + b"\0"
        if context.server_public_key is not None:
            return self._encrypted(context.server_public_key)
        self._key_requested = True
        return _REQUEST_PUBLIC_KEY

    def _encrypted(self, public_key: bytes) -> bytes:
        self._password_sent = True
        return rsa_encrypt(self._context, public_key, self.name)
