"""A Galera cluster under load whose nodes are killed and frozen: no acknowledged row is lost.

    python -m tests.faults.cluster --rounds 10

In each round the clients of three nodes commit all the time, and one of the nodes is killed with
SIGKILL and started again, or stopped with SIGSTOP until the others have gone on without it, and
continued. Clients that know more than one node go on with the next; those that know only the
lost one get errors until it is back. At the end all rows that were acknowledged, by whichever
node, have to be on each of the three.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from aiomysql_pool import create_pool
from tests.faults.load import LIMITS, POOL, Load
from tests.faults.watch import let_transports_close, watching
from tests.servers import Server
from tests.servers.galera import Node, cluster
from tests.servers.instance import frozen

# Seconds, until a node that is gone is left behind, and until one that came back takes part.
_PATIENCE = 30.0
_TABLE = "CREATE TABLE IF NOT EXISTS kept (id INT PRIMARY KEY, v VARCHAR(40))"


@dataclass
class Outcome:
    """What a round came to."""

    acknowledged: int = 0
    missing: list[int] = field(default_factory=list)
    """How many of the acknowledged rows are not there, for each node."""
    errors: list[int] = field(default_factory=list)
    """How many errors the clients got that know only this node, for each node."""
    moved: int = 0
    """How many errors the clients got that went on with the next node."""
    elsewhere: int = 0
    """How many rows were acknowledged to those while the node was away."""
    meanwhile: int = 0
    """How many rows the other nodes acknowledged while it came back."""
    longest: float = 0.0
    """Seconds that anybody waited at most for a row or an error."""
    standstill: float = 0.0
    """Seconds until the other nodes acknowledged rows again."""
    back: float = 0.0
    """Seconds until the node that was away acknowledged rows again, from when it was let back."""
    noise: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)
    """Sessions that are still open."""

    def __str__(self) -> str:
        text = (
            f"{self.acknowledged} rows acknowledged, missing on each node {self.missing}; errors at"
            f" each {self.errors}, of those who moved on {self.moved}; the others stood still for"
            f" {self.standstill:.1f} s, it was back after {self.back:.1f} s and"
            f" {self.meanwhile} rows; longest wait {self.longest:.1f} s"
        )
        return text if self.good else f"{text}; FAILED: noise {self.noise}, left {self.left}"

    @property
    def good(self) -> bool:
        """Whether nothing was lost, and nothing left behind."""
        return not (any(self.missing) or self.noise or self.left)


class Round:
    """The load on a cluster, one of whose nodes goes away and comes back."""

    def __init__(self, nodes: list[Node], lost: int, number: int) -> None:
        """lost: index of that node; number: of the round, on whose rows no other round writes."""
        self.outcome = Outcome()
        self._nodes = nodes
        self._lost = lost
        self._first = number * 10_000_000
        self._loads: list[Load] = []

    async def kill(self) -> Outcome:
        """Kill the node with SIGKILL, and start it again."""
        async with self._load():
            node = self._nodes[self._lost]
            os.kill(node.pid, signal.SIGKILL)
            await self._others_go_on()
            await self._comes_back(node.rejoin)
        return self.outcome

    async def freeze(self) -> Outcome:
        """Freeze the node with SIGSTOP until the others have gone on, and let it continue."""
        async with self._load():
            node = self._nodes[self._lost]
            with frozen(node.pid):
                await self._others_go_on()
            # By itself.
            await self._comes_back(lambda: None)
            await asyncio.to_thread(node.wait_synced, len(self._nodes))
        return self.outcome

    @contextlib.asynccontextmanager
    async def _load(self) -> AsyncIterator[None]:
        """Clients of each node, and some that begin with the node that is lost and know all."""
        self._nodes[0].server.execute(_TABLE)
        with watching() as self.outcome.noise:
            async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
                pools = []
                for node in self._nodes:
                    options = {**node.server.connect_args, **LIMITS, "minsize": 0, "maxsize": POOL}
                    pools.append(await stack.enter_async_context(create_pool(**options)))
                all_of_them = pools[self._lost :] + pools[: self._lost]
                for known in [*([pool] for pool in pools), all_of_them]:
                    load = Load(known, self._first + len(self._loads) * 2_000_000)
                    self._loads.append(load)
                    group.create_task(load.run())
                for load in self._loads:
                    await load.until(50, _PATIENCE)
                yield
                for load in self._loads:
                    load.over = True
            await let_transports_close()
        self._account()

    def _others(self) -> list[Load]:
        return [load for number, load in enumerate(self._loads) if number != self._lost]

    async def _others_go_on(self) -> None:
        """All but the clients that know only the lost node have rows acknowledged again."""
        begin = time.monotonic()
        wanderers = self._loads[-1]
        before = len(wanderers.acknowledged)
        # They stop until they know that it is gone.
        await asyncio.gather(*(load.until(100, _PATIENCE) for load in self._others()))
        self.outcome.standstill = time.monotonic() - begin
        self.outcome.elsewhere = len(wanderers.acknowledged) - before

    async def _comes_back(self, start: Callable[[], None]) -> None:
        """The node is started by `start`, which may block, and every node acknowledges rows."""
        begin = time.monotonic()
        before = sum(len(load.acknowledged) for load in self._others())
        await asyncio.to_thread(start)
        await self._loads[self._lost].until(50, _PATIENCE)
        self.outcome.back = time.monotonic() - begin
        self.outcome.meanwhile = sum(len(load.acknowledged) for load in self._others()) - before
        await asyncio.gather(*(load.until(50, _PATIENCE) for load in self._others()))

    def _account(self) -> None:
        outcome = self.outcome
        acknowledged = set().union(*(load.acknowledged for load in self._loads))
        outcome.acknowledged = len(acknowledged)
        outcome.missing = [len(acknowledged - _rows(node.server)) for node in self._nodes]
        *errors, outcome.moved = (load.errors.total() for load in self._loads)
        outcome.errors = errors
        outcome.longest = max(load.longest for load in self._loads)
        outcome.left = [line for node in self._nodes for line in node.server.settled_sessions()]


def _rows(server: Server) -> set[int]:
    """What is there once the node knows all that was committed anywhere."""
    ready = "SET wsrep_sync_wait = 1"
    with server.connect(init_command=ready) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM kept")
        return {identity for (identity,) in cursor.fetchall()}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="chooses the nodes that are lost")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    good = True
    with cluster(3) as nodes:
        for number in range(options.rounds):
            lost = chance.randrange(len(nodes))
            to_do = Round(nodes, lost, number)
            what = "frozen" if number % 2 else "killed"
            outcome = asyncio.run(to_do.freeze() if number % 2 else to_do.kill())
            print(f"node {lost} {what}: {outcome}", flush=True)
            good = good and outcome.good
    return not good


if __name__ == "__main__":
    sys.exit(main())
