"""A Galera cluster that loses a node under load: what was acknowledged is on all three."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.cluster import Outcome, Round
from tests.servers import DSN_NAME, selected_names
from tests.servers.galera import Node, cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    names = selected_names(os.environ.get("SERVER", ""))
    if DSN_NAME in names or not any(name.startswith("mariadb") for name in names):
        pytest.skip("only servers without Galera are chosen")
    with cluster(3) as nodes:
        yield nodes


@pytest.fixture
def anyio_backend() -> str:
    """It takes long: one event loop has to do."""
    return "asyncio"


def check(outcome: Outcome, lost: int) -> None:
    assert outcome.missing == [0, 0, 0], "acknowledged and lost"
    assert outcome.noise == {}
    assert outcome.left == []
    assert outcome.acknowledged
    assert outcome.errors[lost]
    assert outcome.moved
    assert outcome.elsewhere
    assert outcome.meanwhile


async def test_node_killed_and_started_again(nodes: list[Node]) -> None:
    check(await Round(nodes, 2, 0).kill(), 2)


async def test_node_frozen(nodes: list[Node]) -> None:
    check(await Round(nodes, 0, 1).freeze(), 0)
