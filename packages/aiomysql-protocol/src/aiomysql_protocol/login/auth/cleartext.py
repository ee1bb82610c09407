"""mysql_clear_password: for servers that hand the password on to PAM, LDAP or a cloud's IAM.

MySQL: "Clear Text Authentication".
"""

from __future__ import annotations

from typing import ClassVar

from aiomysql_protocol.login.auth.base import AuthContext, no_further_step, require_secure


class ClearPassword:
    """The password itself, on a secure channel only unless the caller allows it elsewhere."""

    name: ClassVar[str] = "mysql_clear_password"

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    def start(self) -> bytes:
        """The password with a NUL."""
        require_secure(self._context, self.name)
        return self._context.password + b"\0"

    def step(self, challenge: bytes) -> bytes | None:
        """This method has no further steps."""
        raise no_further_step(self.name, challenge)
