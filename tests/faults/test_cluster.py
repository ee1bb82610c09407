"""A Galera cluster that loses a node under load: what was acknowledged is on the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from aiomysql_pool import create_pool
from tests.faults.load import LIMITS, Load
from tests.servers import DSN_NAME, Server, selected_names
from tests.servers.galera import cluster
from tests.servers.instance import Instance


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Instance]]:
    names = selected_names(os.environ.get("SERVER", ""))
    if DSN_NAME in names or not any(name.startswith("mariadb") for name in names):
        pytest.skip("only servers without Galera are chosen")
    with cluster(3) as nodes:
        nodes[0].server.execute("CREATE TABLE kept (id INT PRIMARY KEY, v VARCHAR(40))")
        yield nodes


@pytest.fixture
def anyio_backend() -> str:
    """A node dies once: one event loop has to do."""
    return "asyncio"


def rows(server: Server) -> set[int]:
    """What is there once the node knows all that was committed anywhere."""
    ready = "SET wsrep_sync_wait = 1"
    with server.connect(init_command=ready) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM kept")
        return {identity for (identity,) in cursor.fetchall()}


async def test_lost_node(nodes: list[Instance]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        loads = []
        for number, node in enumerate(nodes):
            options = {**node.server.connect_args, **LIMITS, "minsize": 0, "maxsize": 5}
            pool = await stack.enter_async_context(create_pool(**options))
            loads.append(Load(pool, number * 100_000_000))
        tasks = [asyncio.ensure_future(load.run()) for load in loads]
        for load in loads:
            await load.until(50)
        os.kill(nodes[2].pid, signal.SIGKILL)
        # The others stop until they know that it is gone, and go on without it.
        for load in loads[:2]:
            await load.until(100, 40)
        for load in loads:
            load.over = True
        await asyncio.gather(*tasks)
    assert loads[2].errors
    acknowledged = set().union(*(load.acknowledged for load in loads))
    assert len(acknowledged) > 350
    for node in nodes[:2]:
        assert acknowledged - rows(node.server) == set(), "acknowledged and lost"
        assert node.server.settled_sessions() == []
