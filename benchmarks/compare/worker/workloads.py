"""The workloads of a driver: what is opened before, what is measured, and what must come out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from benchmarks.compare import data
from benchmarks.compare.worker import web
from benchmarks.compare.worker.drivers import Driver, Flavour
from benchmarks.compare.worker.jobs import Absent, Job, Opener, Wrong, same, same_rows


def openers(driver: Driver) -> dict[str, Opener]:
    """What opens each workload, by its key."""
    return {
        "scan-ints-text": partial(scan, driver, "ints", "text"),
        "scan-ints-prepared": partial(scan, driver, "ints", "prepared"),
        "scan-mixed-text": partial(scan, driver, "mixed", "text"),
        "scan-mixed-prepared": partial(scan, driver, "mixed", "prepared"),
        "scan-mixed-dict": partial(scan, driver, "mixed", "dict"),
        "scan-mixed-stream": partial(stream, driver),
        "pooled-text": partial(pooled, driver, prepared=False),
        "pooled-prepared": partial(pooled, driver, prepared=True),
        "sequential-text": partial(sequential, driver, prepared=False),
        "sequential-prepared": partial(sequential, driver, prepared=True),
        "insert": partial(insert, driver),
        "load": partial(load, driver),
        "load-executemany": partial(load_by_executemany, driver),
        "update": partial(update, driver),
        "update-autocommit": partial(update, driver, transaction=False),
        "update-delayed": partial(update, driver, delayed=True),
        "update-delayed-autocommit": partial(update, driver, transaction=False, delayed=True),
        "pipeline": partial(pipeline, driver),
        "connect": partial(connect, driver),
        "connect-full": partial(connect, driver, resume=False),
        "open": partial(opened, driver),
        "cell": partial(cell, driver),
        "web-text": partial(web.pages, driver, "text"),
        "web-dict": partial(web.pages, driver, "dict"),
    }


async def check_transport(driver: Driver) -> None:
    """Raise Wrong unless connections are encrypted when they have to be, and only then."""
    async with driver.connected() as conn:
        _, cipher = await driver.one(conn, "SHOW STATUS LIKE 'Ssl_cipher'")
    if bool(cipher) != (driver.setting.transport == "tls"):
        raise Wrong(f"the cipher is {cipher!r} over {driver.setting.transport}")


@asynccontextmanager
async def scan(driver: Driver, table: str, flavour: Flavour) -> AsyncIterator[Job]:
    """All rows of a table at once."""
    count = driver.setting.sizes.rows
    ints = table == "ints"

    def check(rows: Any) -> None:
        if flavour == "dict":
            same(tuple(rows[0]), data.MIXED_NAMES)
            rows = [tuple(row.values()) for row in rows]
        same_rows(rows, data.all_ints(count) if ints else data.all_mixed(count))

    sql = data.SCAN_INTS if ints else data.SCAN_MIXED
    async with driver.connected(prepared=flavour == "prepared") as conn:
        yield Job(partial(driver.scan, conn, sql, flavour), check)


@asynccontextmanager
async def stream(driver: Driver) -> AsyncIterator[Job]:
    """All rows of the mixed table, one after the other."""
    count = driver.setting.sizes.rows

    def check(result: Any) -> None:
        same(result[:2], (count, count * (count + 1) // 2))
        same_rows(result[2], data.all_mixed(count)[99::100])

    async with driver.connected() as conn:
        yield Job(partial(driver.stream, conn, data.SCAN_MIXED), check)


@asynccontextmanager
async def pooled(driver: Driver, *, prepared: bool) -> AsyncIterator[Job]:
    """Point queries from several tasks over a smaller pool."""
    sizes = driver.setting.sizes
    ids = data.point_ids(sizes.pooled, sizes.rows)
    shares = [ids[at :: sizes.tasks] for at in range(sizes.tasks)]

    def check(found: list[list[Any]]) -> None:
        expected = data.points(sizes.pooled, sizes.rows)
        for at, rows in enumerate(found):
            same_rows(rows, expected[at :: sizes.tasks])

    async with driver.pool(prepared=prepared) as pool:

        async def run() -> Any:
            return await asyncio.gather(*(driver.pooled_points(pool, share) for share in shares))

        yield Job(run, check)


@asynccontextmanager
async def sequential(driver: Driver, *, prepared: bool) -> AsyncIterator[Job]:
    """Point queries on one connection."""
    sizes = driver.setting.sizes
    ids = data.point_ids(sizes.sequential, sizes.rows)
    expected = partial(data.points, sizes.sequential, sizes.rows)
    async with driver.connected(prepared=prepared) as conn:
        yield Job(
            partial(driver.points, conn, ids, prepared=prepared),
            lambda found: same_rows(found, expected()),
        )


@asynccontextmanager
async def load(driver: Driver) -> AsyncIterator[Job]:
    """Rows put into an empty table by what is made for that."""
    rows = data.inserts(driver.setting.sizes.loaded)
    async with driver.loading() as conn:
        yield Job(
            partial(conn.load_rows, data.INSERT, rows, data.INSERT_NAMES),
            lambda found: same(tuple(found), data.filled(len(rows))),
            before=partial(driver.one, conn, data.EMPTY),
            after=partial(driver.one, conn, data.FILLED),
        )


def load_by_executemany(driver: Driver) -> AbstractAsyncContextManager[Job]:
    """The same rows as INSERTs."""
    return insert(driver, driver.setting.sizes.loaded)


@asynccontextmanager
async def insert(driver: Driver, count: int | None = None) -> AsyncIterator[Job]:
    """Rows put into an empty table, which the server then adds up."""
    rows = data.inserts(driver.setting.sizes.inserts if count is None else count)
    async with driver.connected() as conn:
        yield Job(
            partial(driver.many, conn, data.FILL, rows),
            lambda found: same(tuple(found), data.filled(len(rows))),
            before=partial(driver.one, conn, data.EMPTY),
            after=partial(driver.one, conn, data.FILLED),
        )


@asynccontextmanager
async def update(
    driver: Driver, *, transaction: bool = True, delayed: bool = False
) -> AsyncIterator[Job]:
    """Rows that get another value each time, which the server then adds up."""
    sizes = driver.setting.sizes
    count = sizes.delayed if delayed else sizes.updates
    rows: list[data.Row] = []
    # To set what another contender has set a moment ago would change nothing, and take less time.
    turn = os.getpid() % 10_000 * 1000

    async def before() -> None:
        nonlocal turn
        turn += 1
        rows[:] = data.changes(count, turn)

    async with AsyncExitStack() as stack:
        if delayed:
            stack.enter_context(driver.delayed())
        conn = await stack.enter_async_context(driver.connected())
        yield Job(
            partial(driver.many, conn, data.CHANGE, rows, transaction=transaction),
            lambda found: same(tuple(found), data.changed(count, turn)),
            before=before,
            after=partial(driver.one, conn, data.CHANGED.format(count)),
        )


@asynccontextmanager
async def pipeline(driver: Driver) -> AsyncIterator[Job]:
    """Point queries on one connection, far from the server, whose answers aren't waited for."""
    sizes = driver.setting.sizes
    ids = data.point_ids(sizes.pipelined, sizes.rows)
    expected = partial(data.points, sizes.pipelined, sizes.rows)
    with driver.delayed():
        async with driver.connected() as conn:
            yield Job(
                partial(driver.pipelined, conn, ids),
                lambda found: same_rows(found, expected()),
            )


@asynccontextmanager
async def connect(driver: Driver, *, resume: bool = True) -> AsyncIterator[Job]:
    """Connections opened and closed one after the other."""
    setting, count = driver.setting, driver.setting.sizes.connects
    if not resume:
        if setting.transport != "tls":
            raise Absent("there is no TLS session")
        if setting.contender.startswith("ours"):  # no other resumes any
            driver.options["ssl_session_reuse"] = False
    try:
        yield Job(partial(driver.connects, count), lambda opened: same(opened, count))
    finally:
        driver.options.pop("ssl_session_reuse", None)


@asynccontextmanager
async def opened(driver: Driver) -> AsyncIterator[Job]:
    """Connections that are open at the same time."""
    count = driver.setting.sizes.connects

    async def run() -> int:
        async with AsyncExitStack() as stack:
            conns = [await stack.enter_async_context(driver.connected()) for _ in range(count)]
            return len({tuple(await driver.one(conn, "SELECT CONNECTION_ID()")) for conn in conns})

    yield Job(run, lambda different: same(different, count))


@asynccontextmanager
async def cell(driver: Driver) -> AsyncIterator[Job]:
    """A row whose only value is many MiB of bytes."""
    size = driver.setting.sizes.cell

    def check(row: Any) -> None:
        same(row and len(row[0]), size)
        same(row[0] == data.cell(size), True)

    async with driver.connected() as conn:
        yield Job(partial(driver.one, conn, data.BIG), check)
