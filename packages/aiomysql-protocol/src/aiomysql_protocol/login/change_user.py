"""COM_CHANGE_USER as an exchange: the log-in of another user in a session that is open.

MySQL: "COM_CHANGE_USER".  The session begins anew with it, as by COM_RESET_CONNECTION.

Servers answer with a request for the account's method and, mostly, a new nonce.  Proxies may not:
so the request has what the first method says to the greeting's nonce, as a handshake response has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pymysql.constants import CLIENT, COMMAND

from aiomysql_protocol.login.auth.native import NativePassword
from aiomysql_protocol.login.handshake import connection_attributes
from aiomysql_protocol.login.login import Channel, Login, LoginOptions

if TYPE_CHECKING:
    from aiomysql_protocol.session import Session

__all__ = ["ChangeUser"]

#: Bytes of the first method's response: its length is written in one byte.
_LONGEST_RESPONSE = 255


class ChangeUser(Login):
    """From the command to the server's OK.

    After an error it depends on the server who the session's user is, and what else it is like.
    """

    activity: ClassVar[str] = "the change of the user"

    def __init__(self, options: LoginOptions, session: Session, channel: Channel) -> None:
        """session: logged in, with the same options but for user, passwords and database; channel:
        what protects it.

        Raises OperationalError when the method to begin with can't be used.
        """
        super().__init__(options)
        self._tls, self._certificate = channel
        greeting = session.require_greeting()
        self.server_auth_plugin: str = greeting.auth_plugin
        plugin, method = options.first_method(greeting, session.capabilities)
        announced = plugin == greeting.auth_plugin
        response = self._begin(plugin, method, greeting.nonce, announced)
        if len(response) > _LONGEST_RESPONSE:
            # A password that is a token, say: the server asks for it once more, in a packet.
            plugin, method = NativePassword.name, options.find_method(NativePassword.name)
            response = self._begin(plugin, method, greeting.nonce, False)
        self.request: bytes = b"".join(
            (
                bytes([COMMAND.COM_CHANGE_USER]),
                options.user + b"\0",
                bytes([len(response)]),
                response,
                (options.database or b"") + b"\0",
                options.collation_id.to_bytes(2, "little"),
                plugin.encode() + b"\0" if session.capabilities & CLIENT.PLUGIN_AUTH else b"",
                connection_attributes(options.attributes)
                if session.capabilities & CLIENT.CONNECT_ATTRS
                else b"",
            )
        )
