"""What an authentication method knows and does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class AuthContext:
    """All that a method may know."""

    #: The password's bytes, without a terminator; empty when there is none.
    password: bytes
    #: The server's challenge for this method, without its trailing NUL (mostly 20 bytes).
    nonce: bytes
    #: May a password travel in clear here?  True under TLS and on a unix socket.
    secure: bool
    #: The server's RSA public key (PEM) as the caller trusts it; None to ask the server.
    server_public_key: bytes | None = None


class AuthMethod(Protocol):
    """One run of an authentication method.

    Made anew for each log-in; `start` is called once, then `step` for each challenge until the
    server sends OK or ERR.
    """

    #: The plugin's name on the wire.
    name: ClassVar[str]

    def __init__(self, context: AuthContext) -> None: ...

    def start(self) -> bytes:
        """The first bytes to send (may be empty)."""

    def step(self, challenge: bytes) -> bytes | None:
        """Answer one more challenge: the bytes to send, or None when only OK or ERR can follow.

        Raises OperationalError when the challenge can't be answered.
        """
