"""What happened on the way to a connection, for who looks into it: the doctor."""

from __future__ import annotations

import socket
import ssl
from contextvars import ContextVar
from typing import Any, NamedTuple

from aiomysql_core.transport.stream import Stream
from aiomysql_protocol.login.login import Login
from aiomysql_protocol.session import Session


class Encryption(NamedTuple):
    """TLS as it was agreed upon."""

    version: str | None
    cipher: str | None
    #: The server's certificate (DER).
    certificate: bytes | None
    #: Whether its authority was verified, and whether its name was.
    verifies: bool
    verifies_name: bool
    #: Whether an earlier session was resumed.
    resumed: bool


class ConnectTrace:
    """The last attempt to open a connection: what was reached of it.

    `watching.set(ConnectTrace())` has it filled in by what opens connections in this context.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        #: The address that the connection is to; None: there is none.
        self.peer: Any = None
        self.session: Session | None = None
        self.login: Login | None = None
        self.encryption: Encryption | None = None
        self.is_logged_in: bool = False

    def begun(self, session: Session, login: Login) -> None:
        """An attempt begins, perhaps not the first."""
        self._begin()
        self.session, self.login = session, login

    def connected(self, sock: socket.socket) -> None:
        """The server's machine has accepted the connection."""
        try:
            self.peer = sock.getpeername()
        except OSError:  # it is closed again
            self.peer = ()

    def encrypted(self, stream: Stream) -> None:
        """TLS has begun, if `stream` has it."""
        tls: ssl.SSLSocket | ssl.SSLObject | None = stream.extra_info("ssl_object")
        if tls is not None:
            cipher = tls.cipher()
            self.encryption = Encryption(
                tls.version(),
                cipher[0] if cipher else None,
                tls.getpeercert(binary_form=True),
                tls.context.verify_mode is ssl.CERT_REQUIRED,
                tls.context.check_hostname,
                bool(tls.session_reused),
            )

    def logged_in(self) -> None:
        """The server has let the user in."""
        self.is_logged_in = True


#: Who watches what is opened in this context; None: nobody.
watching: ContextVar[ConnectTrace | None] = ContextVar("watching", default=None)
