"""A load of tasks that commit, and that remember what was acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiomysql_core import Connection, MySQLError
from aiomysql_pool import Pool

POOL = 5
TASKS = 12
# Seconds: what the driver is told, and when a task has hung.
LIMITS: dict[str, Any] = {"connect_timeout": 1.0, "read_timeout": 1.0, "write_timeout": 1.0}
DEADLINE = 10.0


@dataclass
class Load:
    """Tasks that write, and remember what was acknowledged; after an error with the next pool."""

    pools: Sequence[Pool]
    first: int
    acknowledged: set[int] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    """Seconds that a task waited at most, for its row to be there or for its error."""
    over: bool = False
    _run: asyncio.Task[None] | None = None

    async def run(self) -> None:
        self._run = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            for number in range(TASKS):
                group.create_task(self._work(self.first + number * 100_000))

    async def _work(self, identity: int) -> None:
        pools = itertools.cycle(self.pools)
        pool = next(pools)
        while not self.over:
            identity += 1
            begin = time.monotonic()
            try:
                # A TimeoutError from here is not an error of the driver's: the task has hung.
                async with asyncio.timeout(DEADLINE), pool.acquire() as connection:
                    await self._write(connection, identity)
            except MySQLError as error:
                self.errors[str(error)] += 1
                pool = next(pools)
                await asyncio.sleep(0.02)
            finally:
                self.longest = max(self.longest, time.monotonic() - begin)

    async def _write(self, connection: Connection, identity: int) -> None:
        row = (identity, f"v{identity}")
        async with connection.cursor() as cursor:
            assert await cursor.execute("INSERT INTO kept VALUES (%s, %s)", row) == 1
            await connection.commit()
            self.acknowledged.add(identity)
            await cursor.execute("SELECT * FROM kept WHERE id = %s", identity)
            assert await cursor.fetchone() == row

    async def until(self, more: int, seconds: float = DEADLINE) -> None:
        """Wait until `more` further rows are acknowledged; TimeoutError after `seconds`.

        Raises what has ended the load.
        """
        wanted = len(self.acknowledged) + more
        async with asyncio.timeout(seconds):
            while len(self.acknowledged) < wanted:
                if self._run is not None and self._run.done():
                    self._run.result()
                await asyncio.sleep(0.01)
