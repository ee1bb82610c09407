"""What this driver and others do in the cases of `docs/comparison.md`, tried on a server.

    python -m benchmarks.behaviour                          # all drivers, on MariaDB 11.8
    python -m benchmarks.behaviour --server mysql97 --driver asyncmy

Each driver has an environment of its own, made at the first run in the folder of `--keep`. Drivers
are used with their defaults, unless a trial says otherwise; nothing is judged here, only told.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
UV = (sys.executable, "-m", "uv")
DRIVERS: dict[str, tuple[str, ...]] = {
    "ours": (str(ROOT),),
    "classic": ("aiomysql==0.3.2", "PyMySQL==1.1.2", "cryptography"),
    "asyncmy": ("asyncmy==0.2.18", "cryptography"),
    "connector": ("mysql-connector-python==26.10.0",),
    "mariadb": ("mariadb[pool]==2.0.0rc2",),
    "mariadb-binary": ("mariadb[binary,pool]==2.0.0rc2",),
    "pyro": ("pyro-mysql==0.2.16",),
}
DISTRIBUTIONS = {
    "ours": "aiomysql",
    "classic": "aiomysql",
    "connector": "mysql-connector-python",
    "mariadb-binary": "mariadb",
    "pyro": "pyro-mysql",
}
USER, PASSWORD = "behaviour", "some-password"
SLOW = "SELECT SLEEP(4), 'slow'"


class Adapter:
    """A connection of one driver: `query` gives the rows of a statement."""

    def __init__(self, driver: str, dsn: str) -> None:
        parts = urlsplit(dsn)
        self.driver = driver
        self.address = {
            "host": parts.hostname,
            "port": parts.port,
            "user": parts.username,
            "password": parts.password,
        }
        self.url = dsn

    async def open(self, **options: Any) -> Any:
        """A new connection, with options of this driver."""
        arguments = self.address | options
        match self.driver:
            case "ours" | "classic":
                return await import_module("aiomysql").connect(**arguments)
            case "asyncmy":
                return await import_module("asyncmy").connect(**arguments)
            case "connector":
                return await import_module("mysql.connector.aio").connect(**arguments)
            case "mariadb" | "mariadb-binary":
                return await import_module("mariadb").asyncConnect(**arguments)
            case _:
                options = import_module("pyro_mysql").Opts(self.url)
                return await import_module("pyro_mysql.async_").Conn.new(options)

    async def query(self, connection: Any, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        if self.driver == "pyro":
            return list(await connection.query(statement))
        cursor = connection.cursor()
        if inspect.isawaitable(cursor):
            cursor = await cursor
        await cursor.execute(statement)
        rows = await cursor.fetchall()
        with contextlib.suppress(Exception):
            await cursor.close()
        return list(map(tuple, rows))

    async def close(self, connection: Any) -> None:
        """Close it, whatever that takes."""
        with contextlib.suppress(Exception):
            closed = connection.close()
            if closed is not None:
                await asyncio.wait_for(closed, 3)


async def _outcome(work: Awaitable[Any], seconds: float = 8.0) -> str:
    try:
        return repr(await asyncio.wait_for(work, seconds))
    except TimeoutError as error:
        return f"TimeoutError: {error}" if str(error) else f"no response within {seconds} s"
    except BaseException as error:  # whatever it may be: this only tells
        return f"{type(error).__name__}: {str(error)[:90]}"


async def _with(adapter: Adapter, statement: str, **options: Any) -> Any:
    """The rows of a statement on a new connection with these options."""
    connection = await adapter.open(**options)
    try:
        return await adapter.query(connection, statement)
    finally:
        await adapter.close(connection)


async def _sleepers(adapter: Adapter) -> int:
    """How many sessions run SLOW."""
    watcher = await adapter.open()
    try:
        rows = await adapter.query(
            watcher,
            "SELECT COUNT(*) FROM information_schema.processlist"
            " WHERE info LIKE 'SELECT SLEEP(4)%' AND command <> 'Killed'",
        )
        return int(rows[0][0])
    finally:
        await adapter.close(watcher)


async def cancelled(adapter: Adapter, **options: Any) -> str:
    """Whether a cancelled statement goes on, and what the connection says next."""
    connection = await adapter.open(**options)
    task = asyncio.ensure_future(adapter.query(connection, SLOW))
    await asyncio.sleep(0.3)
    task.cancel()
    began = time.monotonic()
    with contextlib.suppress(BaseException):
        await asyncio.wait_for(task, 6)
    took = time.monotonic() - began
    await asyncio.sleep(0.5)
    running = await _sleepers(adapter)
    said = await _outcome(adapter.query(connection, "SELECT 'next'"))
    await adapter.close(connection)
    await asyncio.sleep(4 if running else 0)
    return (
        f"told after {took:.1f} s; {'runs on' if running else 'stopped'} on the server; "
        f"the next statement: {said}"
    )


async def killed_on_request(adapter: Adapter) -> str:
    """The same with what the driver has for it."""
    if adapter.driver != "ours":
        return "-"
    return await cancelled(adapter, on_cancel="kill")


async def shared(adapter: Adapter) -> str:
    """Two tasks use one connection at the same time."""
    connection = await adapter.open()
    queries = [adapter.query(connection, f"SELECT SLEEP(0.1), {n}") for n in (1, 2)]
    said = await asyncio.gather(*(_outcome(query, 4) for query in queries))
    await adapter.close(connection)
    return "; ".join(said)


async def encrypted(adapter: Adapter) -> str:
    """Whether the channel is encrypted, without options, to a server here that offers it."""
    connection = await adapter.open()
    rows = await adapter.query(connection, "SHOW STATUS LIKE 'Ssl_version'")
    await adapter.close(connection)
    return str(rows[0][1]) or "no"


async def limited(adapter: Adapter) -> str:
    """`SELECT SLEEP(4)` with each of the driver's options for a limit of one second."""
    named = {
        "ours": ("read_timeout",),
        "classic": (),
        "asyncmy": ("read_timeout",),
        "connector": ("read_timeout",),
        "pyro": (),
    }
    said = []
    for option in named.get(adapter.driver, ("socket_timeout", "read_timeout", "query_timeout")):
        began = time.monotonic()
        outcome = await _outcome(_with(adapter, SLOW, **{option: 1}))
        said.append(f"{option}: {outcome} after {time.monotonic() - began:.1f} s")
    return "; ".join(said) or "no option"


async def compressed(adapter: Adapter) -> str:
    """Whether `compress=True` compresses, where there is such an option."""
    if adapter.driver in ("ours", "classic", "asyncmy", "pyro"):
        return "-"
    return await _outcome(_with(adapter, "SHOW STATUS LIKE 'Compression'", compress=True))


async def several_hosts(adapter: Adapter) -> str:
    """Two hosts are named, of which the first refuses."""
    host, port = adapter.address["host"], adapter.address["port"]
    options: dict[str, Any]
    if adapter.driver == "connector":
        refuses = {"host": "127.0.0.1", "port": 1, "priority": 9}
        options = {"failover": [refuses, {"host": host, "port": port, "priority": 8}]}
    elif adapter.driver.startswith("mariadb"):
        options = {"host": f"127.0.0.9:1,{host}"}
    else:
        return "-"
    return await _outcome(_with(adapter, "SELECT 1", **options))


async def silent(adapter: Adapter) -> str:
    """A peer that takes the connection and says nothing, with the driver's defaults, for 15 s."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda reader, writer: held.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    other = Adapter(adapter.driver, f"mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/test")
    began = time.monotonic()
    said = await _outcome(other.open(), 15)
    server.close()
    for writer in held:
        writer.close()
    return f"{time.monotonic() - began:.1f} s: {said}"


async def values(adapter: Adapter) -> str:
    """Values at the edges, and what they become."""
    connection = await adapter.open()
    said = []
    for expression in (
        "CAST('-838:59:59' AS TIME)",
        "CAST('2024-02-29 01:02:03.000004' AS DATETIME(6))",
        "CAST(18446744073709551615 AS UNSIGNED)",
        "CAST('0.10' AS DECIMAL(4,2))",
        "CAST(_binary X'FE00' AS BINARY)",
        "STR_TO_DATE('0000-00-00', '%Y-%m-%d')",
    ):
        rows = await _outcome(adapter.query(connection, f"SELECT {expression}"))
        said.append(rows.removeprefix("[(").removesuffix(",)]"))
    await adapter.close(connection)
    return "; ".join(said)


async def refused(adapter: Adapter) -> str:
    """What the error says when nobody listens at the port."""
    other = Adapter(adapter.driver, f"mysql://{USER}:{PASSWORD}@127.0.0.1:1/test")
    return await _outcome(other.open())


async def pooled(adapter: Adapter) -> str:
    """The server ends the session of a pooled connection; then the pool is asked for one."""
    address, query, driver = adapter.address, "SELECT CONNECTION_ID()", adapter.driver
    pool: Any
    if driver in ("ours", "classic", "asyncmy"):
        module = import_module("asyncmy" if driver == "asyncmy" else "aiomysql")
        pool = await module.create_pool(**address, minsize=1, maxsize=1)

        async def use() -> Any:
            async with pool.acquire() as connection:
                return (await adapter.query(connection, query))[0][0]

    elif driver.startswith("mariadb"):
        pool = await import_module("mariadb").create_async_pool(**address, min_size=1, max_size=1)

        async def use() -> Any:
            async with await pool.acquire() as connection:
                return (await adapter.query(connection, query))[0][0]

    elif driver == "connector":
        pooling = import_module("mysql.connector.aio.pooling")
        pool = pooling.MySQLConnectionPool(pool_size=1, **address)
        with contextlib.suppress(AttributeError):
            await pool.initialize_pool()

        async def use() -> Any:
            connection = await pool.get_connection()
            found = (await adapter.query(connection, query))[0][0]
            await connection.close()
            return found

    else:
        return "no pool"
    number = await use()
    other = await adapter.open()
    await _outcome(adapter.query(other, f"KILL {number}"))
    await adapter.close(other)
    await asyncio.sleep(0.3)
    said = await _outcome(use())
    return "a new connection" if said.isdigit() and int(said) != number else said


TRIALS: dict[str, Callable[[Adapter], Awaitable[str]]] = {
    function.__name__: function
    for function in (
        cancelled,
        killed_on_request,
        shared,
        encrypted,
        limited,
        compressed,
        several_hosts,
        silent,
        refused,
        pooled,
        values,
    )
}


async def _try_all(driver: str, dsn: str) -> None:
    name = DISTRIBUTIONS.get(driver, driver)
    print(f"\n## {driver}: {name} {version(name)}\n")
    adapter = Adapter(driver, dsn)
    for name, trial in TRIALS.items():
        try:
            said = await trial(adapter)
        except Exception as error:  # told like anything else
            said = f"the trial failed: {type(error).__name__}: {error}"
        print(f"- {name}: {said}", flush=True)


def environment(driver: str, keep: Path) -> Path:
    """The interpreter of an environment with the driver, which is made if it isn't there."""
    folder = keep / f"behaviour-{driver}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if driver == "ours" or not python.exists():  # ours may have changed
        subprocess.run((*UV, "venv", "--quiet", "--clear", str(folder)), check=True)
        install = (*UV, "pip", "install", "--quiet", "--prerelease", "allow")
        subprocess.run((*install, "--python", str(python), *DRIVERS[driver]), check=True)
    return python


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", default="mariadb118")
    parser.add_argument("--driver", action="append", choices=DRIVERS)
    parser.add_argument("--keep", type=Path, default=Path(".sqlalchemy-suite"), metavar="FOLDER")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        asyncio.run(_try_all(*options.inside))
        return
    from tests.servers import serving

    keep: Path = options.keep.resolve()
    keep.mkdir(exist_ok=True)
    with serving(options.server) as server:
        # With a password, because one of the drivers can't do without.
        account = f"'{USER}'@'localhost'"
        server.execute(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
        server.execute(f"GRANT ALL ON *.* TO {account}")
        dsn = f"mysql://{USER}:{PASSWORD}@{server.host}:{server.port}/test"
        for driver in options.driver or DRIVERS:
            python = environment(driver, keep)
            command = (str(python), str(Path(__file__)), "--inside", driver, dsn)
            subprocess.run(command, check=False)


if __name__ == "__main__":
    main()
