"""mysql_old_password: the hash of MySQL 4.0 and before.

MySQL: "Old Password Authentication".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pymysql.constants import CR
from pymysql.err import OperationalError

from aiomysql_protocol.login.auth.base import AuthContext, no_further_step
from aiomysql_protocol.wire.errors import malformed

_NONCE_LENGTH = 8
_MASK = 0x7FFFFFFF
_MODULUS = 0x3FFFFFFF


class OldPassword:
    """One scramble, from which who listens can learn all that a log-in needs."""

    name: ClassVar[str] = "mysql_old_password"

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    def start(self) -> bytes:
        """The scramble with a NUL, or nothing for no password."""
        context = self._context
        if not context.allow_old_password:
            raise OperationalError(
                CR.CR_SECURE_AUTH,
                f"Authentication plugin '{self.name}' is not safe, anybody on the way can learn "
                "the password's hash: give the account another one, or set the option "
                "'allow_old_password'",
            )
        if not context.password:
            return b""
        # Servers send the 20 bytes of the newer methods; only the first ones count here.
        if len(context.nonce) < _NONCE_LENGTH:
            raise malformed(f"{self.name} needs {_NONCE_LENGTH} bytes of nonce")
        return _scramble(context.password, context.nonce[:_NONCE_LENGTH]) + b"\0"

    def step(self, challenge: bytes) -> bytes | None:
        """This method has no further steps."""
        raise no_further_step(self.name, challenge)


def _hash(data: bytes) -> tuple[int, int]:
    """Two numbers of 31 bits: what a server of that time stored for a password."""
    first, second, shift = 1345345333, 0x12345671, 7
    for byte in data:
        if byte in b" \t":
            continue
        first ^= ((first & 63) + shift) * byte + (first << 8) & _MASK
        second = second + ((second << 8) ^ first) & _MASK
        shift += byte
    return first & _MASK, second & _MASK


def _random(first: int, second: int) -> Iterator[int]:
    """Numbers from 0 to 30."""
    first, second = first % _MODULUS, second % _MODULUS
    while True:
        first = (first * 3 + second) % _MODULUS
        second = (first + second + 33) % _MODULUS
        # In floating point like the servers: an exact division differs at the multiples of 1/31.
        yield int(first / _MODULUS * 31)


def _scramble(password: bytes, nonce: bytes) -> bytes:
    secret, public = _hash(password), _hash(nonce)
    numbers = _random(secret[0] ^ public[0], secret[1] ^ public[1])
    letters = [64 + next(numbers) for _ in nonce]
    last = next(numbers)
    return bytes(letter ^ last for letter in letters)
