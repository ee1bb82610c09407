"""dialog: MariaDB's prompts, mostly those of PAM.

MariaDB: "Authentication Plugin - PAM", section "Dialog".  A prompt is a byte for its kind and the
text; the answer ends with a NUL.
"""

from __future__ import annotations

from typing import ClassVar

from pymysql.constants import CR
from pymysql.err import OperationalError

from aiomysql_protocol.login.auth.base import AuthContext, no_further_step, require_secure
from aiomysql_protocol.wire.errors import malformed

_LAST = 0x01  # no prompt follows
_ECHO = 0x02  # the answer may be shown while it is typed
_SECRET = 0x04  # it may not


class DialogPassword:
    """Answers the first prompt for a secret with the password, and lets the caller answer the
    others.

    Which answers are secret is unknown, so all of them need a secure channel.
    """

    name: ClassVar[str] = "dialog"

    def __init__(self, context: AuthContext) -> None:
        self._context = context
        self._password_used = False
        self._ended = False

    def start(self) -> bytes:
        """The answer to the first prompt, which comes in the nonce's place."""
        require_secure(self._context, self.name)
        # A caller's own choice: the server still has to ask.
        return self._answer(self._context.nonce) if self._context.announced else b""

    def step(self, challenge: bytes) -> bytes | None:
        """The answer to one more prompt."""
        if self._ended:
            raise no_further_step(self.name, challenge)
        return self._answer(challenge)

    def _answer(self, prompt: bytes) -> bytes:
        kind = prompt[0] if prompt else 0
        if kind & ~_LAST not in (_ECHO, _SECRET):
            raise malformed(f"a prompt begins with {prompt[:16]!r}")
        self._ended = bool(kind & _LAST)
        return self._reply(prompt[1:].rstrip(b"\0"), bool(kind & _ECHO)) + b"\0"

    def _reply(self, prompt: bytes, echo: bool) -> bytes:
        context = self._context
        if not echo and not self._password_used and (context.password or context.dialog is None):
            self._password_used = True
            return context.password
        text = prompt.decode("utf-8", "replace")
        if context.dialog is None:
            raise OperationalError(
                CR.CR_AUTH_PLUGIN_ERR,
                f"The server asks {text!r}: set the option 'dialog' to a function that answers",
            )
        return context.dialog(text, echo).encode()
