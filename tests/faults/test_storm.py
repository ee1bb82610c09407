"""Cancellations by the hundred: no crossed answer, no hang, nothing left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.drivers import load
from tests.faults.storm import Storm
from tests.servers import Server

pytestmark = pytest.mark.slow

TASKS = 1000

# Options of connect() that change what a cancellation does, or how statements are sent.
WAYS: dict[str, dict[str, Any]] = {
    "close": {},
    "prepared": {"stmt_cache_size": 8},
    "kill": {"on_cancel": "kill"},
    "tls": {"ssl_mode": "REQUIRED"},
    "tls-kill-prepared": {"ssl_mode": "REQUIRED", "on_cancel": "kill", "stmt_cache_size": 8},
    "kill-prepared": {"on_cancel": "kill", "stmt_cache_size": 8},
    "kill-compressed": {"on_cancel": "kill", "compression": ("zstd", "zlib")},
}


@pytest.mark.parametrize("way", [way for way in WAYS if WAYS[way].keys() <= load("ours").options])
async def test_storm(server: Server, way: str) -> None:
    """A short one of those that `python -m tests.faults.storm` raises."""

    def kills() -> int:
        return int(server.execute("SHOW GLOBAL STATUS LIKE 'Com_kill'")[0][1])

    before = kills()
    report = await Storm(load("ours"), server, TASKS, 1, WAYS[way]).run()
    assert report.failures == []
    assert report.noise == {}
    assert report.outcomes["cancelled"] > TASKS // 5
    assert report.outcomes["answered"] > TASKS // 3
    if "on_cancel" in WAYS[way]:
        # Few on a busy machine, where most statements are over before they are to be stopped.
        assert kills() - before > TASKS // 250
