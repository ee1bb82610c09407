"""What an authentication method knows and does, and the rules that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pymysql.constants import CR
from pymysql.err import OperationalError

from aiomysql_protocol.wire.errors import malformed

#: Bytes of the nonce that most methods use.
SCRAMBLE_LENGTH = 20

#: Answers a prompt of the server: (prompt, may the answer be shown while it is typed?) -> answer.
Dialog = Callable[[str, bool], str]


@dataclass(slots=True)  # not frozen: those take four times as long to make
class AuthContext:
    """All that a method may know."""

    #: The password's bytes, without a terminator; empty when there is none.
    password: bytes = field(repr=False)
    #: What the server sent along for the method: mostly a nonce of 20 bytes.
    nonce: bytes
    #: Whether a password may travel in clear here: under TLS and on a unix socket.
    secure: bool
    #: Whether the server encrypts the channel.
    tls: bool = False
    #: Whether a proxy encrypts it instead: the server takes the channel for insecure.
    behind_proxy: bool = False
    #: The server's RSA public key (PEM) as the caller trusts it; None to ask the server.
    server_public_key: bytes | None = None
    #: Whether the server sent the nonce for this very method; False when the caller chose another
    #: method than the server announced.
    announced: bool = True
    #: Whether the caller allows a password in clear on a channel that is not secure.
    allow_cleartext: bool = False
    #: Whether the caller allows the hash of MySQL 4.0, which gives the password away.
    allow_old_password: bool = False
    #: Answers what the server asks; None when there is nobody to ask.
    dialog: Dialog | None = None


class AuthMethod(Protocol):
    """One run of an authentication method.

    Made anew for each log-in; `start` is called once, then `step` for each challenge until the
    server sends OK or ERR.

    A method may have one more: `hash_password() -> bytes`, asked after OK, gives what the server
    keeps of the password (MariaDB: hash_password); empty: it is not known.  With it MariaDB's
    self-signed certificates are verified by the password; methods without it can't do that.  It
    must be nothing that others could learn from what the method sends.
    """

    #: The plugin's name on the wire.
    name: ClassVar[str]

    def __init__(self, context: AuthContext) -> None: ...

    def start(self) -> bytes:
        """The first bytes to send (may be empty).

        Raises OperationalError when the method can't be used here.
        """

    def step(self, challenge: bytes) -> bytes | None:
        """Response one more challenge: the bytes to send, or None when only OK or ERR can follow.

        Raises OperationalError when the challenge can't be answered.
        """


def exact_nonce(context: AuthContext, length: int, method: str) -> bytes:
    """The context's nonce, `length` bytes long, without the NUL that some servers put behind it.

    Raises MalformedPacket for any other length: what a password is mixed with is not to be the
    choice of a hostile server.
    """
    nonce = context.nonce
    if len(nonce) == length + 1 and nonce[-1] == 0:
        nonce = nonce[:length]
    if len(nonce) != length:
        raise malformed(f"{method} needs a nonce of {length} bytes, the server sent {len(nonce)}")
    return nonce


def require_secure(context: AuthContext, method: str) -> None:
    """Raise OperationalError 2059 unless a password may travel in clear."""
    if not context.secure and not context.allow_cleartext:
        raise OperationalError(
            CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
            f"Authentication plugin '{method}' sends the password in clear and the connection is "
            "not secure: use TLS or a unix socket, or set the option 'allow_cleartext'",
        )


def no_further_step(method: str, challenge: bytes) -> Exception:
    """The error for a challenge after the last one that `method` knows."""
    return malformed(f"{method} does not expect another packet, the server sent {challenge[:16]!r}")
