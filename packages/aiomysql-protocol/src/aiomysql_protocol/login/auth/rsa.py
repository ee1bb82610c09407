"""Passwords under the server's RSA key, for channels that are not secure.

MySQL: "Caching_sha2_password information", "SHA-256 Authentication".
"""

from __future__ import annotations

from functools import cache

from pymysql.constants import CR
from pymysql.err import OperationalError

from aiomysql_protocol.login.auth.base import SCRAMBLE_LENGTH, AuthContext, exact_nonce
from aiomysql_protocol.login.auth.native import xor


def rsa_encrypt(context: AuthContext, public_key: bytes, method: str) -> bytes:
    """password + NUL, XORed with the nonce, encrypted with `public_key` (PEM) and OAEP padding.

    Needs the `cryptography` library.  Raises OperationalError 2061 when that is missing, the key is
    no RSA key, or the password is too long for it; MalformedPacket for a nonce of a wrong length.
    """
    nonce = exact_nonce(context, SCRAMBLE_LENGTH, method)
    try:
        # Imported here: only this path needs it, and a minimal install has no cryptography.
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    except ModuleNotFoundError as error:
        raise OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"Authentication plugin '{method}' needs RSA on a connection without TLS: "
            "install the 'rsa' extra (the cryptography library) or use TLS",
        ) from error
    try:
        key = serialization.load_pem_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperationalError(
            CR.CR_AUTH_PLUGIN_ERR, f"'{method}': the server's public key is not PEM: {error}"
        ) from error
    if not isinstance(key, RSAPublicKey):
        raise OperationalError(CR.CR_AUTH_PLUGIN_ERR, f"'{method}': not an RSA public key")
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    try:
        return key.encrypt(xor(context.password + b"\0", nonce), oaep)
    except ValueError as error:
        raise OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"'{method}': a password of {len(context.password)} bytes is too long for the "
            "server's RSA key",
        ) from error


@cache
def rsa_available() -> bool:
    """Whether `rsa_encrypt` can work here, that is, the cryptography library is installed."""
    from importlib.util import find_spec

    return find_spec("cryptography") is not None
