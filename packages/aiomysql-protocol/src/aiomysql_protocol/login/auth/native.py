"""mysql_native_password.

MySQL: "Native Authentication".
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


class NativePassword:
    """One scramble, and the server says yes or no."""

    name: ClassVar[str] = "mysql_native_password"

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    def start(self) -> bytes:
        """SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))), or nothing for no password."""
        password = self._context.password
        if not password:
            return b""
        nonce = exact_nonce(self._context, SCRAMBLE_LENGTH, self.name)
        stage1 = hashlib.sha1(password).digest()
        stage2 = hashlib.sha1(stage1).digest()
        return xor(stage1, hashlib.sha1(nonce + stage2).digest())

    def step(self, challenge: bytes) -> bytes | None:
        """This method has no further steps."""
        raise no_further_step(self.name, challenge)

    def hash_password(self) -> bytes:
        """SHA1(SHA1(password))."""
        return hashlib.sha1(hashlib.sha1(self._context.password).digest()).digest()


def xor(data: bytes, key: bytes) -> bytes:
    """`data` XOR `key`, the key (not empty) repeated as often as needed."""
    size = len(data)
    if len(key) != size:
        key = (key * (size // len(key) + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
