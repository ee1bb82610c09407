"""What a pool counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

#: Why connections are closed; `Pool.get_stats` has a counter `closed_...` for each.
REASONS = (
    "check",  # the callback `check` refused it
    "clear",  # `Pool.clear`
    "close",  # the pool was closed
    "drain",  # `Pool.drain`
    "expired",  # older than `max_lifetime` or `pool_recycle`
    "forgotten",  # garbage-collected while lent
    "idle",  # not needed for `max_idle`
    "lost",  # the server or the network ended it while it was idle
    "ping",  # no answer to a ping
    "reset",  # rollback, reset or the callback `reset` failed
    "surplus",  # more than a new `maxsize`
    "unusable",  # came back closed, in a transaction or with an answer unread
)


@dataclass(slots=True)
class Counters:
    """Grow from the making of the pool on; times are sums of seconds."""

    usage_time: float = 0.0
    timeouts: int = 0
    refused: int = 0
    connects: int = 0
    connect_time: float = 0.0
    connect_errors: int = 0
    pings: int = 0
    resets: int = 0
    closed: Counter[str] = field(default_factory=Counter)
