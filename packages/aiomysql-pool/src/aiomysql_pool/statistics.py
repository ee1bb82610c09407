"""What a pool counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

#: Why connections are closed; `Pool.get_stats` has a counter `closed_...` for each.
REASONS = (
    "check",  # the callback `check` refused it
    "clear",  # `Pool.clear`
    "close",  # the pool was closed
    "drain",  # `Pool.drain`
    "expired",  # older than `max_lifetime` or `pool_recycle`
    "forgotten",  # garbage-collected while acquired
    "idle",  # not needed for `max_idle`
    "lost",  # the server or the network ended it while it was available
    "ping",  # no answer to a ping
    "reset",  # rollback, reset or the callback `reset` failed
    "surplus",  # more than a new `maxsize`
    "unusable",  # released closed, in a transaction or with an answer unread
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
    #: How many connections were closed, by reason.
    closed: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, float]:
        """All of them, as `Pool.get_stats` names them."""
        counted = {
            counter.name: getattr(self, counter.name)
            for counter in fields(self)
            if counter.name != "closed"
        }
        return counted | {f"closed_{reason}": self.closed[reason] for reason in REASONS}
