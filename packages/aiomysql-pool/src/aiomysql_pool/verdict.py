"""What `LeaseQueue` finds out about a connection when it examines its holder."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Verdict(Enum):
    """What is to be done with a connection.

    The value of those for which it is closed is the reason that `Pool.get_stats` counts.
    """

    #: It was not examined: the pool is to be asked.
    UNKNOWN = "unknown"
    #: A caller may have it as it is.
    LENDABLE = "lendable"
    #: The server or the network ended it, or somebody uses it: close it.
    LOST = "lost"
    #: It is too old: close it.
    EXPIRED = "expired"
    #: It was unused for so long that it is to be pinged first, and then checked as below.
    PING = "ping"
    #: The callback `check` is to be asked first.
    CHECK = "check"
    #: It was released and is not at rest, or its session is to be reset: see `ReleaseAction`.
    UNCLEAN = "unusable"
    #: The pool is closing: close it.
    CLOSING = "close"
    #: It was to be replaced when it is released: close it.
    DRAINED = "drain"
    #: There are more connections than `maxsize`: close it.
    SURPLUS = "surplus"


#: For what is done at each lease: in Python 3.11 it costs more to look up a member of an Enum.
LENDABLE: Final = Verdict.LENDABLE
