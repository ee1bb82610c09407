"""CPU time of borrowing an idle connection from a pool and giving it back.

    make hatch ARGS='run python -m tests.servers run mariadb118 -- python benchmarks/pool_lease.py'

No statement is sent: this is the pool alone. The server is the one of AIOMYSQL_TEST_DSN.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from aiomysql_pool import Pool, create_pool

_LEASES = 10_000
_ROUNDS = 60


async def _with(pool: Pool) -> None:
    for _ in range(_LEASES):
        async with pool.acquire():
            pass


async def _release(pool: Pool) -> None:
    for _ in range(_LEASES):
        connection = await pool.acquire()
        pool.release(connection)


async def _loop(pool: Pool) -> None:
    for _ in range(_LEASES):
        pass


async def _best(run: Callable[[Pool], Awaitable[None]], pool: Pool) -> float:
    """Microseconds per lease of the best round: the others were disturbed."""
    times = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        await run(pool)
        times.append(time.process_time() - began)
    return min(times) / _LEASES * 1e6


async def _main() -> None:
    dsn = os.environ["AIOMYSQL_TEST_DSN"].partition("?")[0]
    async with create_pool(dsn) as pool, create_pool(dsn, max_lifetime=1800, ping_after=30) as aged:
        empty = await _best(_loop, pool)
        for name, run, used in (
            ("async with pool.acquire()", _with, pool),
            ("await pool.acquire(); pool.release()", _release, pool),
            ("async with, max_lifetime and ping_after", _with, aged),
        ):
            print(f"{name:40} {await _best(run, used) - empty:.2f} us")


if __name__ == "__main__":
    asyncio.run(_main())
