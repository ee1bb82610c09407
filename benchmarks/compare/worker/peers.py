"""More drivers, each with an API of its own: MariaDB Connector/Python, pyro-mysql, SQLCyCli."""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.compare import data
from benchmarks.compare.worker.drivers import STATEMENTS, AiomysqlLike, Driver, Flavour, Streamed
from benchmarks.compare.worker.jobs import Absent, Setting


class MariaDB(Driver):
    """MariaDB Connector/Python by its asynchronous API, whose connecting blocks the event loop."""

    def __init__(self, module: str, setting: Setting) -> None:
        super().__init__(module, setting)
        if self.module.__impl__ != "binary":
            raise RuntimeError(f"the implementation is {self.module.__impl__}, not binary")
        # It knows no other.
        del self.options["charset"]
        self.options["prep_stmt_cache_size"] = STATEMENTS

    def tls(self) -> dict[str, Any]:
        setting = self.setting
        if setting.transport == "tcp":
            return {"ssl": False}
        verified = {"ssl_verify_cert": True, "ssl_ca": setting.tls_ca} if setting.tls_ca else {}
        return {"ssl": True, **verified}

    @asynccontextmanager
    async def connected(self, *, prepared: bool = False) -> AsyncIterator[Any]:
        conn = await self.module.asyncConnect(**self.options)
        try:
            yield conn
        finally:
            await conn.close()

    async def connects(self, count: int) -> int:
        opened = 0
        for _ in range(count):
            conn = await self.module.asyncConnect(**self.options)
            opened += conn.thread_id > 0
            await conn.close()
        return opened

    async def one(self, conn: Any, sql: str) -> Any:
        async with conn.cursor() as cur:
            await cur.execute(sql)
            return await cur.fetchone() if cur.description else None

    async def scan(self, conn: Any, sql: str, flavour: Flavour) -> Any:
        async with conn.cursor(**_kind(flavour)) as cur:
            await cur.execute(_marked(sql), (0,))
            return await cur.fetchall()

    async def stream(self, conn: Any, sql: str) -> Streamed:
        count, total, kept = 0, 0, []
        async with conn.cursor(buffered=False) as cur:
            await cur.execute(_marked(sql), (0,))
            async for row in cur:
                count += 1
                total += row[0]
                if row[0] % 100 == 0:
                    kept.append(row)
        return count, total, kept

    async def points(self, conn: Any, ids: Sequence[int], *, prepared: bool) -> list[Any]:
        found, sql = [], _marked(data.POINT)
        kind = _kind("prepared" if prepared else "text")
        for number in ids:
            async with conn.cursor(**kind) as cur:
                await cur.execute(sql, (number,))
                found.append(await cur.fetchone())
        return found

    async def many(
        self, conn: Any, sql: str, rows: list[data.Row], *, transaction: bool = True
    ) -> None:
        if transaction:
            await conn.begin()
        async with conn.cursor() as cur:
            await cur.executemany(_marked(sql), rows)
        if transaction:
            await conn.commit()

    @asynccontextmanager
    async def pool(self, *, prepared: bool) -> AsyncIterator[Any]:
        size = self.setting.sizes.pool
        pool = await self.module.create_async_pool(min_size=size, max_size=size, **self.options)
        self.kind = _kind("prepared" if prepared else "text")
        try:
            yield pool
        finally:
            await pool.close()

    async def pooled_points(self, pool: Any, ids: Sequence[int]) -> list[Any]:
        found, sql = [], _marked(data.POINT)
        for number in ids:
            async with await pool.acquire() as conn, conn.cursor(**self.kind) as cur:
                await cur.execute(sql, (number,))
                found.append(await cur.fetchone())
        return found


def _kind(flavour: Flavour) -> dict[str, Any]:
    """Options of MariaDB Connector/Python's cursors."""
    if flavour == "prepared":
        return {"binary": True}
    return {"dictionary": True} if flavour == "dict" else {}


def _marked(sql: str) -> str:
    """The statement with the marks that these drivers prefer."""
    return sql.replace("%s", "?")


class Pyro(Driver):
    """pyro-mysql by its asynchronous API; statements with arguments are prepared."""

    def __init__(self, module: str, setting: Setting) -> None:
        super().__init__(module, setting)
        self.api: Any = importlib.import_module(f"{module}.async_")

    def tls(self) -> dict[str, Any]:
        setting = self.setting
        if setting.transport == "tls":
            if setting.tls_ca is None:
                raise Absent("it takes only certificates that it can verify")
            # It has no option for the authority.
            os.environ["SSL_CERT_FILE"] = setting.tls_ca
        return {}

    def _options(self) -> Any:
        options = self.options
        opts = self.module.Opts().host(options["host"]).port(options["port"])
        opts = opts.user(options["user"]).password(options["password"]).db(options["database"])
        return opts.tls(self.setting.transport == "tls")

    @asynccontextmanager
    async def connected(self, *, prepared: bool = False) -> AsyncIterator[Any]:
        conn = await self.api.Conn.new(self._options())
        try:
            yield conn
        finally:
            await conn.close()

    async def connects(self, count: int) -> int:
        opened = 0
        for _ in range(count):
            conn = await self.api.Conn.new(self._options())
            opened += await conn.id() > 0
            await conn.close()
        return opened

    async def one(self, conn: Any, sql: str) -> Any:
        return await conn.query_first(sql)

    async def scan(self, conn: Any, sql: str, flavour: Flavour) -> Any:
        if flavour == "prepared":
            return await conn.exec(_marked(sql), (0,))
        return await conn.query(sql.replace("%s", "0"), as_dict=flavour == "dict")

    async def stream(self, conn: Any, sql: str) -> Streamed:
        raise Absent("results come as a whole")

    async def points(self, conn: Any, ids: Sequence[int], *, prepared: bool) -> list[Any]:
        sql = _marked(data.POINT)
        return [await conn.exec_first(sql, (number,)) for number in ids]

    async def many(
        self, conn: Any, sql: str, rows: list[data.Row], *, transaction: bool = True
    ) -> None:
        if not transaction:
            await conn.exec_batch(_marked(sql), rows)
            return
        async with conn.start_transaction() as begun:
            await conn.exec_batch(_marked(sql), rows)
            await begun.commit()


class SQLCyCli(AiomysqlLike):
    """SQLCyCli by its asynchronous API, which is nearly aiomysql's."""

    def __init__(self, module: str, setting: Setting) -> None:
        Driver.__init__(self, module, setting)
        self.cursors = importlib.import_module(f"{module}.aio")
        # The others return Decimal as well.
        self.options["use_decimal"] = True

    @asynccontextmanager
    async def connected(self, *, prepared: bool = False) -> AsyncIterator[Any]:
        conn = await self.module.connect(**self.options)
        try:
            yield conn
        finally:
            await conn.close()

    async def connects(self, count: int) -> int:
        opened = 0
        for _ in range(count):
            conn = await self.module.connect(**self.options)
            opened += conn.thread_id > 0
            await conn.close()
        return opened

    @asynccontextmanager
    async def pool(self, *, prepared: bool) -> AsyncIterator[Any]:
        size = self.setting.sizes.pool
        pool = await self.module.create_pool(min_size=size, max_size=size, **self.options)
        try:
            yield pool
        finally:
            await pool.close()
