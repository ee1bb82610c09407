"""Ed25519 signatures (RFC 8032, section 5.1) with a secret of any length.

MariaDB takes the password for the secret, where RFC 8032 has 32 random bytes and libraries take
nothing else: so the curve's arithmetic is here.  Two multiplications of a point take some
milliseconds.  They do not take the same time for each secret; who can measure that from outside
must first get the server to repeat a nonce.
"""

from __future__ import annotations

import hashlib

# RFC 8032, section 5.1: the field's prime, the order of the base point, the curve's constant d.
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555

# A point as (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z (section 5.1.4).
_Point = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


def _add(one: _Point, other: _Point) -> _Point:
    """Section 5.1.4; right for equal points as well."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = 2 * t1 * t2 * _D % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply_base(factor: int) -> bytes:
    """The base point times `factor`, encoded as in section 5.1.2."""
    result, power = _NEUTRAL, _BASE
    while factor:
        if factor & 1:
            result = _add(result, power)
        power = _add(power, power)
        factor >>= 1
    x, y, z, _ = result
    inverse = pow(z, -1, _P)
    sign = (x * inverse % _P & 1) << 255
    return (y * inverse % _P | sign).to_bytes(32, "little")


def _hash_to_int(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


class SigningKey:
    """A key made of a secret of any length (section 5.1.5)."""

    def __init__(self, secret: bytes) -> None:
        expanded = hashlib.sha512(secret).digest()
        # Steps 2 and 3: the lowest three bits and the highest are 0, the next is 1.
        self._scalar = int.from_bytes(expanded[:32], "little") & (1 << 254) - 8 | 1 << 254
        self._prefix = expanded[32:]
        #: 32 bytes.
        self.public_key: bytes = _multiply_base(self._scalar)

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`, 64 bytes (section 5.1.6)."""
        nonce = _hash_to_int(self._prefix, message) % _L
        commitment = _multiply_base(nonce)
        challenge = _hash_to_int(commitment, self.public_key, message)
        return commitment + ((nonce + challenge * self._scalar) % _L).to_bytes(32, "little")
