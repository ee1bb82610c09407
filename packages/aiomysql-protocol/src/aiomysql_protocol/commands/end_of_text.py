"""COM_SET_OPTION, as the question whether the server still has something to say of a text.

Servers that are told to stop a statement (KILL QUERY) at the moment when one of a text has ended
leave the text without a word, although the last OK packet has announced a further result.

MySQL: "COM_SET_OPTION".
"""

from __future__ import annotations

from typing import ClassVar

from pymysql.constants import COMMAND

from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.packets import EOF_HEADER, ERR_HEADER

__all__ = ["EndOfText"]


class EndOfText(Exchange):
    """Queued right behind a text of several statements: its response comes when the text's is over.

    What it sets must be set already: that several statements in one text are allowed.  Of all
    commands that do nothing its response alone can't be taken for the beginning of a result: frames
    are counted modulo 256, so a frame's number is not enough.
    """

    max_payload: ClassVar[int] = 1 << 16

    def __init__(self) -> None:
        self.request: bytes = bytes([COMMAND.COM_SET_OPTION]) + b"\0\0"

    @staticmethod
    def is_response(data: bytes | bytearray, position: int) -> bool:
        """Whether the frame at `position` is the response; an ERR packet is not told by it."""
        return data[position + 3 : position + 5] == bytes([1, EOF_HEADER])

    def receive(self, payload: bytes | bytearray) -> None:
        if payload[:1] not in (bytes([EOF_HEADER]), bytes([ERR_HEADER])):
            raise malformed(f"the response to COM_SET_OPTION begins with {bytes(payload[:8])!r}")
        self.finish()  # an error of it is nobody's
