"""sha256_password.

MySQL: "SHA-256 Authentication".
"""

from __future__ import annotations

from typing import ClassVar

from aiomysql_protocol.login.auth.base import AuthContext, no_further_step
from aiomysql_protocol.login.auth.rsa import rsa_encrypt

_REQUEST_PUBLIC_KEY = b"\x01"


class Sha256Password:
    """The password itself under TLS, else under the server's RSA key."""

    name: ClassVar[str] = "sha256_password"

    def __init__(self, context: AuthContext) -> None:
        self._context = context
        self._key_requested = False

    def start(self) -> bytes:
        """The password with a NUL, in clear or encrypted, or the request for the server's key."""
        context = self._context
        # On a unix socket, too, servers want RSA here.
        if context.tls or not context.password:
            return context.password + b"\0"
        if context.server_public_key is not None:
            return rsa_encrypt(context, context.server_public_key, self.name)
        self._key_requested = True
        return _REQUEST_PUBLIC_KEY

    def step(self, challenge: bytes) -> bytes | None:
        """Encrypt the password with the key that the server sent."""
        if not self._key_requested:
            raise no_further_step(self.name, challenge)
        self._key_requested = False
        return rsa_encrypt(self._context, challenge, self.name)
