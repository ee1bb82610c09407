"""How long to wait before the next attempt to connect, after attempts that failed."""

from __future__ import annotations

import random
from time import monotonic

#: Seconds of the first and of the longest pause.
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0


class Backoff:
    """Pauses that double with each round of failures, up to `LONGEST_PAUSE`.

    Each pause is cut by a random part of up to one half, so that the clients of a server that
    comes back don't come all at once.
    """

    __slots__ = ("_resume", "_since", "failures")

    def __init__(self) -> None:
        #: Rounds of attempts that failed since the last success.
        self.failures = 0
        self._since = self._resume = 0.0

    def failed(self, began: float) -> None:
        """An attempt that began at `began` (time.monotonic) failed."""
        if self.failures and began < self._since:
            return  # it went along with one that has been counted
        self.failures += 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 16), LONGEST_PAUSE)
        self._since = monotonic()
        self._resume = self._since + pause * random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """An attempt succeeded: the next failure is a first one."""
        self.failures = 0

    @property
    def pause(self) -> float:
        """Seconds until the next attempt may begin."""
        return max(self._resume - monotonic(), 0.0) if self.failures else 0.0
