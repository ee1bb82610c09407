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
    async with create_pool(os.environ["AIOMYSQL_TEST_DSN"].partition("?")[0]) as pool:
        empty = await _best(_loop, pool)
        for name, run in (
            ("async with pool.acquire()", _with),
            ("await pool.acquire(); pool.release()", _release),
        ):
            print(f"{name:38} {await _best(run, pool) - empty:.2f} us")


if __name__ == "__main__":
    asyncio.run(_main())
