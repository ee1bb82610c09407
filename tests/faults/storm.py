"""A storm of cancellations over a pool: no response reaches the wrong task, and nothing is left.

    python -m tests.faults.storm --server mysql97 --tasks 20000

Tasks ask for a connection, ask the server something that nobody else asks, and check the response.
About half of them are cancelled: after some turns of the event loop, which finds every await, or
after some time, which finds every state of the server. Options of connect() are passed on, so that
other ways to cancel and prepared statements go through the same storm.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymysql.err import DataError

from tests.faults.conversations import Wrong, expect
from tests.faults.drivers import Driver, load
from tests.faults.watch import let_transports_close, watching
from tests.servers import DSN_NAME, Server, serving
from tests.servers.server import DSN_VARIABLE

POOL = 5
AT_ONCE = 40
DEADLINE = 30.0
TABLE = "storm_rows"

Act = Callable[[Driver, Any, int], Awaitable[None]]


async def small(_: Driver, connection: Any, number: int) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT %s, %s", (number, f"token {number}"))
        expect(list(await cursor.fetchall()), [(number, f"token {number}")])


async def slow(_: Driver, connection: Any, number: int) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT SLEEP(%s), %s", (number % 7 / 1000, number))
        expect(list(await cursor.fetchall()), [(0, number)])


async def large(_: Driver, connection: Any, number: int) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT %s, REPEAT(%s, 9000)", (number, f"<{number:09}>"))
        expect(list(await cursor.fetchall()), [(number, f"<{number:09}>" * 9000)])


async def several(_: Driver, connection: Any, number: int) -> None:
    for part in range(3):
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT %s, %s", (number, part))
            expect(await cursor.fetchone(), (number, part))
    await connection.rollback()


async def streamed(driver: Driver, connection: Any, number: int) -> None:
    async with connection.cursor(driver.streaming_cursor) as cursor:
        await cursor.execute(
            f"SELECT seq.n, {number}, REPEAT('{number % 10}', 400) FROM (WITH RECURSIVE seq AS "
            "(SELECT 1 AS n UNION ALL SELECT n + 1 FROM seq WHERE n < 200) SELECT n FROM seq) seq"
        )
        for n in range(1, 201):
            expect(await cursor.fetchone(), (n, number, str(number % 10) * 400))
        expect(await cursor.fetchone(), None)


async def limited(driver: Driver, connection: Any, number: int) -> None:
    """A statement that may run into its limit, and goes on with the same connection then."""
    async with connection.cursor() as cursor:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(number % 31 / 1000):
                await cursor.execute("SELECT SLEEP(%s), %s", (number % 7 / 100, number))
                expect(list(await cursor.fetchall()), [(0, number)])
    await small(driver, connection, number)


async def many(_: Driver, connection: Any, number: int) -> None:
    """Rows of one task only, in a transaction that is rolled back."""
    numbers = range(20)
    async with connection.cursor() as cursor:
        insert = f"INSERT INTO {TABLE} VALUES (%s, %s, -100)"
        expect(await cursor.executemany(insert, [(number, n) for n in numbers]), 20)
        update = f"UPDATE {TABLE} SET v = %s WHERE run = %s AND n = %s"
        rows = [(number + n, number, n) for n in numbers]
        expect(await cursor.executemany(update, rows), 20)
        expect(await cursor.executemany(update, [(-n, number, n) for n in range(1, 6)]), 5)
        await cursor.execute(f"SELECT n, v FROM {TABLE} WHERE run = %s ORDER BY n", (number,))
        changed = [(n, -n if 0 < n < 6 else number + n) for n in numbers]
        expect(list(await cursor.fetchall()), changed)
    await connection.rollback()


async def loaded(_: Driver, connection: Any, number: int) -> None:
    """Rows of one task only, in a transaction that is rolled back; the settings are as before."""
    rows = ((number, n, "v" if number % 4 == 3 and n > 800 else n) for n in range(1200))
    try:
        expect(await connection.load_rows(TABLE, rows), 1200)
        count = 1200
    except DataError:
        count = 0
    expect(count, 0 if number % 4 == 3 else 1200)
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT COUNT(*) FROM {TABLE} WHERE run = %s", (number,))
        expect(list(await cursor.fetchall()), [(count,)])
        # Alone: in a statement with a table it is 0 on MariaDB.
        await cursor.execute("SELECT @@sql_notes, @@sql_mode LIKE '%STRICT_ALL%', @@autocommit")
        expect(list(await cursor.fetchall()), [(1, 0, 0)])
    await connection.rollback()


async def pipelined(_: Driver, connection: Any, number: int) -> None:
    async with connection.pipeline(transaction=number % 2 == 0) as pipeline:
        asked = []
        for part in range(10):
            sql = "SELECT %s, %s, SLEEP(%s)"
            asked.append(pipeline.execute(sql, (number, part, number % 3 / 1000)))
        for part, statement in enumerate(asked):
            expect(await (await statement).fetchone(), (number, part, 0))


ACTS: tuple[Act, ...] = (small, slow, large, several, streamed)
#: Of our driver, over a table of `Storm`.
MANY_ACTS: tuple[Act, ...] = (many, loaded, pipelined)


@dataclass
class Report:
    """What became of the tasks, and what was left."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    noise: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        return not self.failures and not self.noise

    def fail(self, outcome: str, detail: str) -> None:
        self.outcomes[outcome] += 1
        self.failures.append(f"{outcome}: {detail}"[:400])


class Storm:
    """`tasks` tasks over a pool of POOL connections."""

    def __init__(
        self, driver: Driver, server: Server, tasks: int, seed: int, options: Mapping[str, Any]
    ) -> None:
        """options: further keywords of create_pool()."""
        self._driver = driver
        self._server = server
        self._tasks = tasks
        self._seed = seed
        self._options = options
        self._acts = (*ACTS, limited) if options.get("on_cancel") == "kill" else ACTS
        if driver.has_pipelines:
            self._acts += MANY_ACTS
            self._options = {"local_infile": True, **options}
        self.report = Report()

    async def run(self) -> Report:
        columns = "run INT, n INT, v INT, PRIMARY KEY (run, n)"
        self._server.execute("SET GLOBAL local_infile = 1")
        self._server.execute(f"CREATE TABLE {TABLE} ({columns}) ENGINE=InnoDB")
        try:
            return await self._run()
        finally:
            self._server.execute(f"DROP TABLE {TABLE}")

    async def _run(self) -> Report:
        ignored = ("Previous unbuffered result was left incomplete",)
        with watching(ignore=ignored) as noise:
            pool = await self._driver.create_pool(
                **self._server.connect_args, minsize=0, maxsize=POOL, **self._options
            )
            await self._storm(pool)
            await self._account(pool)
            pool.close()
            try:
                async with asyncio.timeout(DEADLINE):
                    await pool.wait_closed()
            except TimeoutError:
                self.report.fail("hang", "wait_closed")
                pool.terminate()
            if pool.size:
                self.report.fail("accounting", f"{pool.size} connections in the closed pool")
            left = self._server.settled_sessions()
            if left:
                self.report.fail("sessions left", "; ".join(left))
            await let_transports_close()
        self.report.noise.update(noise)
        return self.report

    async def _storm(self, pool: Any) -> None:
        free = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with free:
                await self._one(pool, number)

        async with asyncio.TaskGroup() as group:
            for number in range(self._tasks):
                group.create_task(one(number))

    async def _one(self, pool: Any, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")
        act = chance.choice(self._acts)

        async def use() -> None:
            async with pool.acquire() as connection:
                await act(self._driver, connection, number)

        task = asyncio.ensure_future(use())
        cancelled = await self._interrupt(task, chance)
        done, _ = await asyncio.wait([task], timeout=DEADLINE)
        what = f"{act.__name__} {number}"
        if not done:
            task.cancel()
            self.report.fail("hang", what)
        elif task.cancelled():
            if cancelled:
                self.report.outcomes["cancelled"] += 1
            else:
                self.report.fail("cancelled by nobody", what)
        elif error := task.exception():
            crossed = isinstance(error, Wrong)
            self.report.fail("crossed answer" if crossed else "error", f"{what}: {error!r}")
        else:
            self.report.outcomes["answered"] += 1

    async def _interrupt(self, task: asyncio.Future[None], chance: random.Random) -> bool:
        """Cancel the task in every second case; returns whether that was done in time."""
        way = chance.randrange(4)
        if way == 0:
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
        elif way == 1:
            await asyncio.wait([task], timeout=chance.random() ** 3 * 0.1)
        return way < 2 and task.cancel()

    async def _account(self, pool: Any) -> None:
        """Every connection is back, and no more of them exist than are counted."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while pool.freesize != pool.size:
                    await asyncio.sleep(0.01)
        if pool.freesize != pool.size or pool.size > POOL:
            self.report.fail("accounting", f"size {pool.size}, free {pool.freesize}")
        size, end = pool.size, time.monotonic() + 5
        while (open_sessions := len(self._server.sessions())) != size and time.monotonic() < end:
            await asyncio.sleep(0.02)
        if open_sessions != size:
            self.report.fail("accounting", f"size {size}, but {open_sessions} sessions")


def option(text: str) -> tuple[str, Any]:
    """NAME=VALUE of a command line; the value is JSON, or else a string."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--driver", default="ours", choices=["ours", "classic", "asyncmy"])
    parser.add_argument("--server", default="mariadb118")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--option", type=option, action="append", default=[], help="of connect(): NAME=VALUE"
    )
    options = parser.parse_args()
    name = DSN_NAME if os.environ.get(DSN_VARIABLE) else options.server
    begin = time.monotonic()
    with serving(name) as server:
        driver = load(options.driver)
        storm = Storm(driver, server, options.tasks, options.seed, dict(options.option))
        report = asyncio.run(storm.run())
    print(f"{options.driver}, {options.server}, seed {options.seed}, options {options.option}:")
    print(f"{options.tasks} tasks in {time.monotonic() - begin:.0f} s:", dict(report.outcomes))
    for line in report.failures[:30]:
        print("FAILED", line)
    for line, count in report.noise.most_common(20):
        print(f"NOISE {count} times: {line}")
    return not report.good


if __name__ == "__main__":
    sys.exit(main())
