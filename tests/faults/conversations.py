"""What is said between a client and a server while something goes wrong, and the right answers.

Each conversation takes a fresh connection's options, checks every response it gets, and raises
`Wrong` for one that isn't right.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pymysql

from tests.faults.drivers import Driver
from tests.servers import Server

ROWS = 1500
BATCH = 200
# Those whose accounts can be made by their names alone.
AUTH_PLUGINS = (
    "mysql_native_password",
    "caching_sha2_password",
    "sha256_password",
    "ed25519",
    "parsec",
)
#: The conversations that are held compressed, too.
COMPRESSED = (
    "query",
    "stream",
    "many updates",
    "load data",
    "prepared",
    "cancelled",
)
_numbers = itertools.count(1)
_tokens = itertools.count(1)


class Wrong(Exception):
    """A driver gave a response that is not the right one."""


def value(n: int) -> str:
    """What stands in row `n` of every table here."""
    return f"value {n} " + "xyz" * (n % 13)


@dataclass(frozen=True)
class Setting:
    """The accounts, tables and files that the conversations are about."""

    server: Server
    admin: pymysql.Connection[Any]
    source: str
    """A table of ROWS rows."""
    target: str
    file: Path
    accounts: dict[str, dict[str, Any]]
    """Authentication plugin -> user and password."""
    tls: ssl.SSLContext | None

    def execute(self, sql: str, args: object = None) -> list[tuple[Any, ...]]:
        with self.admin.cursor() as cursor:
            cursor.execute(sql, args)
            return list(cursor.fetchall())


@contextmanager
def setting(server: Server) -> Iterator[Setting]:
    """Make it on `server`, and take it away afterwards."""
    base = f"faults_{id(server) % 10**8}_{next(_numbers)}"
    accounts = {}
    tls = ssl.create_default_context(cafile=server.tls_ca) if server.tls_ca else None
    with server.connect() as admin, contextlib.ExitStack() as stack, admin.cursor() as cursor:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = folder / "data"
        file.write_text("".join(f"{n}\t{value(n)}\n" for n in range(ROWS)))
        for name in (f"{base}_s", f"{base}_t"):
            cursor.execute(
                f"CREATE TABLE {name} (run INT, n INT, v VARCHAR(80), PRIMARY KEY (run, n))"
            )
            stack.callback(server.execute, f"DROP TABLE IF EXISTS {name}")
        rows = [(n, value(n)) for n in range(ROWS)]
        cursor.executemany(f"INSERT INTO {base}_s VALUES (0, %s, %s)", rows)
        for number, plugin in enumerate(AUTH_PLUGINS):
            if plugin in server.auth_plugins:
                user, password = f"{base}_{number}", f"secret {number}"
                how = f"WITH {plugin} BY %s"
                if server.kind == "mariadb":
                    how = f"VIA {plugin} USING PASSWORD(%s)"
                cursor.execute(f"CREATE USER {user} IDENTIFIED {how}", (password,))
                stack.callback(server.execute, f"DROP USER IF EXISTS {user}")
                cursor.execute(f"GRANT ALL ON `{server.database}`.* TO {user}")
                accounts[plugin] = {"user": user, "password": password}
        yield Setting(server, admin, f"{base}_s", f"{base}_t", file, accounts, tls)


Conversation = Callable[[Driver, Setting, dict[str, Any]], Awaitable[None]]


def conversations(driver: Driver, setting: Setting) -> dict[str, Conversation]:
    """All that the driver and the server can hold, by name."""
    found: dict[str, Conversation] = {
        "query": query,
        "stream": stream,
        "executemany": executemany,
        "many updates": many_updates,
        "many inserts": many_inserts,
        "load data": load_data,
    }
    for plugin in setting.accounts:
        found[f"connect {plugin}"] = partial(log_in, plugin)
    if driver.prepares:
        found |= {"prepared": prepared, "prepared insert": prepared_insert}
        for plugin in setting.accounts:
            found[f"change to {plugin}"] = partial(change_user, plugin)
        for name in ("query", "stream"):
            found[f"{name}, prepared"] = partial(with_options, {"stmt_cache_size": 8}, found[name])
    if driver.has_pipelines:
        found |= {
            "pipeline": pipeline,
            "pipeline, prepared": partial(with_options, {"stmt_cache_size": 8}, pipeline),
            "pipeline of a transaction": pipeline_of_a_transaction,
            "load rows": partial(with_options, {"local_infile": True}, load_rows),
            "load rows, inserted": load_rows,
        }
    if driver.kills:
        found["cancelled"] = cancelled
        found["cancelled, prepared"] = partial(with_options, {"stmt_cache_size": 8}, cancelled)
    compression = {"compression": ("zstd", "zlib")} if driver.compresses else {}
    for name in COMPRESSED if compression else ():
        found[f"{name}, compressed"] = partial(with_options, compression, found[name])
    if setting.tls is not None:
        for name in sorted(found):
            found[f"{name} over TLS"] = partial(with_options, {"ssl": setting.tls}, found[name])
        if compression:
            # Without TLS nobody could tell that a frame is lost which is all of a response.
            options = {"ssl": setting.tls, **compression}
            found["pipeline, compressed over TLS"] = partial(with_options, options, pipeline)
    return found


@asynccontextmanager
async def connected(driver: Driver, options: dict[str, Any]) -> AsyncIterator[Any]:
    """A connection; whatever fails in the block, it answers rightly or not at all afterwards."""
    connection = await driver.connect(**options)
    try:
        try:
            if options.get("ssl"):
                await expect_encrypted(connection)
            yield connection
        except Exception:
            with contextlib.suppress(driver.error, OSError):
                await ask(connection)
            raise
        await connection.ensure_closed()
    finally:
        connection.close()


def expect(got: Any, wanted: Any) -> None:
    if got != wanted:
        raise Wrong(f"got {str(got)[:200]}, not {str(wanted)[:200]}")


async def expect_encrypted(connection: Any) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        (_, cipher) = await cursor.fetchone()
    if not cipher:
        raise Wrong("TLS was asked for, the connection is not encrypted")


async def ask(connection: Any) -> None:
    """A question that nobody else asks."""
    number = next(_tokens)
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT %s, %s, NULL", (number, f"token {number}"))
        expect(list(await cursor.fetchall()), [(number, f"token {number}", None)])


async def query(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    async with connected(driver, options) as connection:
        await ask(connection)
        async with connection.cursor() as cursor:
            await cursor.execute(f"SELECT n, v FROM {setting.source} WHERE n < 300 ORDER BY n")
            expect(list(await cursor.fetchall()), [(n, value(n)) for n in range(300)])
        await ask(connection)


async def stream(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    async with connected(driver, options) as connection:
        async with connection.cursor(driver.streaming_cursor) as cursor:
            await cursor.execute(f"SELECT n, v FROM {setting.source} ORDER BY n")
            for n in range(ROWS):
                expect(await cursor.fetchone(), (n, value(n)))
            expect(await cursor.fetchone(), None)
        await ask(connection)


async def executemany(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    run = next(_numbers)
    rows = [(run, n, value(n)) for n in range(BATCH)]
    async with connected(driver, options) as connection:
        async with connection.cursor() as cursor:
            sql = f"INSERT INTO {setting.target} VALUES (%s, %s, %s)"
            expect(await cursor.executemany(sql, rows), BATCH)
        await connection.commit()
        found = setting.execute(f"SELECT * FROM {setting.target} WHERE run = {run} ORDER BY n")
        expect(found, rows)


async def many_updates(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    """A bulk request on MariaDB, else one text of many statements: counted and stored rightly."""
    sql = f"UPDATE {setting.target} SET v = %s WHERE run = %s AND n = %s"
    await many(driver, setting, options, sql)


async def many_inserts(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    """One text of many statements on every server."""
    sql = f"INSERT INTO {setting.target} SET v = %s, run = %s, n = %s"
    await many(driver, setting, options, sql)


async def many(driver: Driver, setting: Setting, options: dict[str, Any], sql: str) -> None:
    run = next(_numbers)
    rows = [(run, n, "") for n in range(BATCH)]
    async with connected(driver, options) as connection:
        async with connection.cursor() as cursor:
            if sql.startswith("UPDATE"):
                insert = f"INSERT INTO {setting.target} VALUES (%s, %s, %s)"
                expect(await cursor.executemany(insert, rows), BATCH)
            expect(await cursor.executemany(sql, [(value(n), run, n) for n in range(BATCH)]), BATCH)
        await connection.commit()
        found = setting.execute(f"SELECT n, v FROM {setting.target} WHERE run = {run} ORDER BY n")
        expect(found, [(n, value(n)) for n in range(BATCH)])


async def pipeline(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    """Each statement has its own result or error, whatever became of the others."""
    async with connected(driver, options) as connection:
        failure: Exception | None = None
        async with connection.pipeline() as pipeline:
            asked = []
            for _ in range(30):
                number = next(_tokens)
                asked.append((number, pipeline.execute("SELECT %s, REPEAT('x', %s)", (number, 99))))
            for number, statement in asked:
                try:
                    cursor = await statement
                except (driver.error, OSError) as error:
                    failure = failure or error
                else:
                    expect(await cursor.fetchone(), (number, "x" * 99))
        if failure is not None:
            raise failure
        await ask(connection)


async def pipeline_of_a_transaction(
    driver: Driver, setting: Setting, options: dict[str, Any]
) -> None:
    """All or nothing: all if it ends well, and perhaps if the COMMIT was under way."""
    run = next(_numbers)
    rows = [(run, n, value(n)) for n in range(20)]
    is_ended = False
    sql = f"SELECT * FROM {setting.target} WHERE run = {run} ORDER BY n"
    try:
        async with connected(driver, {**options, "autocommit": True}) as connection:
            async with connection.pipeline(transaction=True) as pipeline:
                for row in rows:
                    pipeline.execute(f"INSERT INTO {setting.target} VALUES (%s, %s, %s)", row)
            is_ended = True
            await ask(connection)
    finally:
        found = setting.execute(sql)
        if is_ended or found:
            expect(found, rows)


async def load_rows(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    """All or nothing: all if it ends well, and perhaps if the COMMIT was under way."""
    run = next(_numbers)
    rows = [(run, n, value(n)) for n in range(BATCH)]
    is_ended = False
    try:
        async with connected(driver, {**options, "autocommit": True}) as connection:
            expect(await connection.load_rows(setting.target.split("."), rows), BATCH)
            is_ended = True
            await ask(connection)
    finally:
        sql = f"SELECT * FROM {setting.target} WHERE run = {run} ORDER BY n"
        found = setting.execute(sql)
        if is_ended or found:
            expect(found, rows)


async def load_data(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    run = next(_numbers)
    async with connected(driver, {**options, "local_infile": True}) as connection:
        async with connection.cursor() as cursor:
            into = f"INTO TABLE {setting.target} (n, v) SET run = {run}"
            await cursor.execute(f"LOAD DATA LOCAL INFILE '{setting.file}' {into}")
            expect(cursor.rowcount, ROWS)
        await connection.commit()
        found = setting.execute(f"SELECT n, v FROM {setting.target} WHERE run = {run} ORDER BY n")
        expect(found, [(n, value(n)) for n in range(ROWS)])


async def log_in(plugin: str, driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    if "sha2" in plugin:
        # The server forgets who was there: the longer of the two ways in.
        setting.execute("FLUSH PRIVILEGES")
    async with connected(driver, {**options, **setting.accounts[plugin]}) as connection:
        await ask(connection)


async def prepared_insert(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    run = next(_numbers)
    rows = [(run, n, value(n)) for n in range(20)]
    async with connected(driver, options) as connection:
        sql = f"INSERT INTO {setting.target} VALUES (%s, %s, %s)"
        async with await connection.prepare(sql) as statement:
            for row in rows:
                cursor = await statement.execute(row)
                expect(cursor.rowcount, 1)
        await connection.commit()
        found = setting.execute(f"SELECT * FROM {setting.target} WHERE run = {run} ORDER BY n")
        expect(found, rows)


async def prepared(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    async with connected(driver, options) as connection:
        sql = f"SELECT n, v FROM {setting.source} WHERE n < %s ORDER BY n"
        async with await connection.prepare(sql) as statement:
            for most in (300, 10):
                cursor = await statement.execute((most,))
                expect(list(await cursor.fetchall()), [(n, value(n)) for n in range(most)])
                await cursor.close()
            async with connection.cursor(driver.streaming_cursor) as cursor:
                await cursor.execute(statement, (100,))
                for n in range(100):
                    expect(await cursor.fetchone(), (n, value(n)))
                expect(await cursor.fetchone(), None)
        await ask(connection)


async def change_user(
    plugin: str, driver: Driver, setting: Setting, options: dict[str, Any]
) -> None:
    """Who the user is, is known or the connection closed."""
    account = setting.accounts[plugin]
    async with connected(driver, options) as connection:
        await connection.change_user(**account, db=setting.server.database)
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT CURRENT_USER(), DATABASE(), @@autocommit")
            expect(await cursor.fetchone(), (f"{account['user']}@%", setting.server.database, 0))
        await ask(connection)


async def cancelled(driver: Driver, setting: Setting, options: dict[str, Any]) -> None:
    """Statements that are stopped when their task is cancelled; the faults hit the KILL as well."""
    more = {"on_cancel": "kill", "kill_timeout": options["connect_timeout"]}
    async with connected(driver, {**options, **more}) as connection:
        for kind in (driver.cursor, driver.streaming_cursor):
            task = asyncio.ensure_future(sleep(connection, kind))
            await asyncio.wait([task], timeout=0.02)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
            await ask(connection)


async def sleep(connection: Any, kind: Any) -> None:
    number = next(_tokens)
    async with connection.cursor(kind) as cursor:
        await cursor.execute("SELECT SLEEP(1), %s", (number,))
        expect(list(await cursor.fetchall()), [(0, number)])


async def with_options(
    more: dict[str, Any],
    conversation: Conversation,
    driver: Driver,
    setting: Setting,
    options: dict[str, Any],
) -> None:
    await conversation(driver, setting, {**options, **more})
