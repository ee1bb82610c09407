"""Full load: for some seconds here, for ten minutes by `python -m tests.faults.soak`."""

from __future__ import annotations

import pytest

from tests.faults.drivers import load
from tests.faults.soak import Samples, soak
from tests.scripted_tls import CLIENT_OPTIONS
from tests.servers import Server

pytestmark = pytest.mark.slow


@pytest.mark.tls
async def test_soak(server: Server, over_tls: bool) -> None:
    samples = await soak(load("ours"), server, 4, 1, CLIENT_OPTIONS if over_tls else {})
    assert samples.complaints() == []
    assert samples.done > 500


def test_what_grows_is_noticed() -> None:
    flat = Samples([50_000_000] * 20, [5] * 20, [12] * 20)
    assert flat.complaints() == []
    flat.memory = [50_000_000 + n * 200_000 for n in range(20)]
    flat.sockets = list(range(0, 60, 3))
    flat.tasks = list(range(0, 80, 4))
    assert [line.split(":")[0] for line in flat.complaints()] == ["memory", "sockets", "tasks"]
