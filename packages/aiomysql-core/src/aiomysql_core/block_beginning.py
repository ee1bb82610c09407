"""How a transaction block begins by its first statement, which saves a round trip."""

from __future__ import annotations

import re

from aiomysql_protocol.commands.query import Query

__all__ = ["BlockBeginning"]

#: A statement that has no more bytes, and begins with a word, goes in one text with the beginning:
#: what begins with a comment may be nothing else, or be meant for a proxy.
_LONGEST = 1 << 14

#: The longest request that servers take, max_allowed_packet, is a multiple of that.  What fits by
#: itself has to fit with the beginning.
_UNIT = 1024
_MARGIN = 16

_WORD = re.compile(rb"\s*[A-Za-z(]")


class BlockBeginning:
    """The statements that a block begins with, which go out before its first command."""

    __slots__ = ("count", "is_done", "text")

    def __init__(self, *statements: str) -> None:
        self.text: bytes = "; ".join(statements).encode()
        #: How many statements these are: each is answered by OK.
        self.count: int = len(statements)
        #: Whether the server has run all of them.
        self.is_done: bool = False

    def may_join(self, exchange: Query) -> bool:
        """Whether it may be one text with this statement."""
        return (
            type(exchange) is Query
            and not exchange.local_files
            and self._fits(len(exchange.request))
            and _WORD.match(exchange.request, 1) is not None
        )

    def _fits(self, length: int) -> bool:
        """Whether no limit of the server's can lie between this length and that of the text."""
        end = length + len(self.text) + _MARGIN
        return length <= _LONGEST and (end <= _UNIT or (length - _MARGIN) // _UNIT == end // _UNIT)

    def before(self, request: bytes) -> bytes:
        """The request for one text with the statement of `request`.

        The server leaves it at the first error: so the statement is run within the block, or not at
        all.
        """
        return b"%c%b; %b" % (request[0], self.text, request[1:])
