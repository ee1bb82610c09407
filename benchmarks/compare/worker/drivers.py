"""What the drivers do in a workload, each written as its users write it.

The blocking drivers' coroutines never suspend: nothing else runs on the event loop beside them.
"""

from __future__ import annotations

import asyncio
import importlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Literal

from benchmarks.compare import data
from benchmarks.compare.worker.jobs import Absent, Setting
from benchmarks.compare.worker.tls import tls_context

STATEMENTS = 32
"""Prepared statements that a connection keeps."""

Streamed = tuple[int, int, list[Any]]
"""How many rows came, the sum of their ids, and every hundredth row."""
Flavour = Literal["text", "prepared", "dict"]


class Driver(ABC):
    """A driver, and how it connects."""

    def __init__(self, module: str, setting: Setting) -> None:
        self.setting = setting
        self.module: Any = importlib.import_module(module)
        self.options: dict[str, Any] = {
            "host": setting.host,
            "port": setting.port,
            "user": setting.user,
            "password": setting.password,
            "database": setting.database,
            "charset": "utf8mb4",
            "autocommit": True,
            **self.tls(),
        }

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Connections opened in the block go through the proxy that delays."""
        usual = {name: self.options[name] for name in ("host", "port")}
        if self.setting.delayed_port is None:
            raise Absent("no proxy")
        self.options |= {"host": "127.0.0.1", "port": self.setting.delayed_port}
        try:
            yield
        finally:
            self.options |= usual

    @abstractmethod
    def tls(self) -> dict[str, Any]:
        """The options that make connections encrypted, or plain."""

    @abstractmethod
    def connected(self, *, prepared: bool = False) -> AbstractAsyncContextManager[Any]:
        """An open connection; raises Absent where it can't have prepared statements."""

    @abstractmethod
    async def connects(self, count: int) -> int:
        """Open and close connections; returns how many were open."""

    @abstractmethod
    async def one(self, conn: Any, sql: str) -> Any:
        """The first row of a statement's result, or None."""

    @abstractmethod
    async def scan(self, conn: Any, sql: str, flavour: Flavour) -> Any:
        """All rows of a statement that takes the argument 0."""

    @abstractmethod
    async def stream(self, conn: Any, sql: str) -> Streamed:
        """The rows of a statement that takes the argument 0, without keeping them."""

    @abstractmethod
    async def points(self, conn: Any, ids: Sequence[int], *, prepared: bool) -> list[Any]:
        """The rows found by point queries in sequence."""

    async def pipelined(self, conn: Any, ids: Sequence[int]) -> list[Any]:
        """The rows found by point queries sent at once, or in sequence where it can't do that."""
        return await self.points(conn, ids, prepared=False)

    @abstractmethod
    async def many(
        self, conn: Any, sql: str, rows: list[data.Row], *, transaction: bool = True
    ) -> None:
        """Executemany, in a transaction of its own or in autocommit mode."""

    def loading(self) -> AbstractAsyncContextManager[Any]:
        """An open connection with `load_rows`; raises Absent where there is none."""
        raise Absent("no load_rows")

    def pool(self, *, prepared: bool) -> AbstractAsyncContextManager[Any]:
        """A pool with all its connections open."""
        raise Absent("no pool")

    async def pooled_points(self, pool: Any, ids: Sequence[int]) -> list[Any]:
        """The rows found by point queries that take a connection from the pool each."""
        raise Absent("no pool")

    async def pooled_rows(
        self, pool: Any, sql: str, args: tuple[object, ...], flavour: Flavour
    ) -> Any:
        """All rows of a statement, on a connection from the pool."""
        raise Absent("no pool")


class AiomysqlLike(Driver):
    """Drivers with aiomysql's API: ours, classic aiomysql and asyncmy."""

    def __init__(self, module: str, setting: Setting) -> None:
        super().__init__(module, setting)
        self.options["db"] = self.options.pop("database")
        self.cursors: Any = importlib.import_module(f"{module}.cursors")

    def tls(self) -> dict[str, Any]:
        setting = self.setting
        return {"ssl": tls_context(setting.tls_ca)} if setting.transport == "tls" else {}

    def _options(self, prepared: bool) -> dict[str, Any]:
        return self.options | ({"stmt_cache_size": STATEMENTS} if prepared else {})

    @asynccontextmanager
    async def connected(self, *, prepared: bool = False) -> AsyncIterator[Any]:
        try:
            conn = await self.module.connect(**self._options(prepared))
        except TypeError as error:
            raise Absent(f"not there: {error}") from None
        try:
            yield conn
        finally:
            await conn.ensure_closed()

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[Any]:
        if not hasattr(self.module.Connection, "load_rows"):  # only ours has it
            raise Absent("no load_rows")
        conn = await self.module.connect(**self.options, local_infile=True)
        try:
            yield conn
        finally:
            await conn.ensure_closed()

    async def connects(self, count: int) -> int:
        opened = 0
        for _ in range(count):
            conn = await self.module.connect(**self.options)
            opened += conn.thread_id() > 0
            await conn.ensure_closed()
        return opened

    async def one(self, conn: Any, sql: str) -> Any:
        async with conn.cursor() as cur:
            await cur.execute(sql)
            return await cur.fetchone()

    async def scan(self, conn: Any, sql: str, flavour: Flavour) -> Any:
        classes = (self.cursors.DictCursor,) if flavour == "dict" else ()
        async with conn.cursor(*classes) as cur:
            await cur.execute(sql, (0,))
            return await cur.fetchall()

    async def stream(self, conn: Any, sql: str) -> Streamed:
        count, total, kept = 0, 0, []
        async with conn.cursor(self.cursors.SSCursor) as cur:
            await cur.execute(sql, (0,))
            async for row in cur:
                count += 1
                total += row[0]
                if row[0] % 100 == 0:
                    kept.append(row)
        return count, total, kept

    async def points(self, conn: Any, ids: Sequence[int], *, prepared: bool) -> list[Any]:
        found = []
        for number in ids:
            async with conn.cursor() as cur:
                await cur.execute(data.POINT, (number,))
                found.append(await cur.fetchone())
        return found

    async def pipelined(self, conn: Any, ids: Sequence[int]) -> list[Any]:
        if not hasattr(conn, "pipeline"):  # only ours has it
            return await super().pipelined(conn, ids)
        async with conn.pipeline() as pipeline:
            waiting = [pipeline.execute(data.POINT, (number,)) for number in ids]
            return [await (await statement).fetchone() for statement in waiting]

    async def many(
        self, conn: Any, sql: str, rows: list[data.Row], *, transaction: bool = True
    ) -> None:
        if transaction:
            await conn.begin()
        async with conn.cursor() as cur:
            await cur.executemany(sql, rows)
        if transaction:
            await conn.commit()

    @asynccontextmanager
    async def pool(self, *, prepared: bool) -> AsyncIterator[Any]:
        size = self.setting.sizes.pool
        try:
            pool = await self.module.create_pool(
                minsize=size, maxsize=size, **self._options(prepared)
            )
        except TypeError as error:
            raise Absent(f"not there: {error}") from None
        try:
            yield pool
        finally:
            pool.close()
            await pool.wait_closed()

    async def pooled_points(self, pool: Any, ids: Sequence[int]) -> list[Any]:
        found = []
        for number in ids:
            async with pool.acquire() as conn, conn.cursor() as cur:
                await cur.execute(data.POINT, (number,))
                found.append(await cur.fetchone())
        return found

    async def pooled_rows(
        self, pool: Any, sql: str, args: tuple[object, ...], flavour: Flavour
    ) -> Any:
        classes = (self.cursors.DictCursor,) if flavour == "dict" else ()
        async with pool.acquire() as conn, conn.cursor(*classes) as cur:
            await cur.execute(sql, args)
            return await cur.fetchall()


class Connector(Driver):
    """MySQL's own driver, mysql.connector.aio."""

    def tls(self) -> dict[str, Any]:
        # An authority it takes only together with a certificate of the client's.
        return {"ssl_disabled": self.setting.transport == "tcp"}

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
            opened += conn.connection_id > 0
            await conn.close()
        return opened

    async def one(self, conn: Any, sql: str) -> Any:
        async with await conn.cursor() as cur:
            await cur.execute(sql)
            return (await cur.fetchall())[0] if cur.with_rows else None

    async def scan(self, conn: Any, sql: str, flavour: Flavour) -> Any:
        kind = {"text": {}, "prepared": {"prepared": True}, "dict": {"dictionary": True}}[flavour]
        async with await conn.cursor(**kind) as cur:
            await cur.execute(sql, (0,))
            return await cur.fetchall()

    async def stream(self, conn: Any, sql: str) -> Streamed:
        count, total, kept = 0, 0, []
        async with await conn.cursor(buffered=False) as cur:
            await cur.execute(sql, (0,))
            # `async for` raises TypeError: its __aiter__ is a coroutine.
            while (row := await cur.fetchone()) is not None:
                count += 1
                total += row[0]
                if row[0] % 100 == 0:
                    kept.append(row)
        return count, total, kept

    async def points(self, conn: Any, ids: Sequence[int], *, prepared: bool) -> list[Any]:
        found = []
        if prepared:  # the statement lives as long as the cursor
            async with await conn.cursor(prepared=True) as cur:
                for number in ids:
                    await cur.execute(data.POINT, (number,))
                    found.append((await cur.fetchall())[0])
        else:
            for number in ids:
                async with await conn.cursor() as cur:
                    await cur.execute(data.POINT, (number,))
                    found.append((await cur.fetchall())[0])
        return found

    async def many(
        self, conn: Any, sql: str, rows: list[data.Row], *, transaction: bool = True
    ) -> None:
        if transaction:
            await conn.start_transaction()
        async with await conn.cursor() as cur:
            await cur.executemany(sql, rows)
        if transaction:
            await conn.commit()

    @asynccontextmanager
    async def pool(self, *, prepared: bool) -> AsyncIterator[Any]:
        size = self.setting.sizes.pool
        pool = self.module.MySQLConnectionPool(
            pool_name="bench", pool_size=size, pool_reset_session=False, **self.options
        )
        await pool.initialize_pool()
        # An empty pool raises an error instead of waiting.
        self.free = asyncio.Semaphore(size)
        try:
            yield pool
        finally:
            await pool.close_pool()

    async def pooled_points(self, pool: Any, ids: Sequence[int]) -> list[Any]:
        found = []
        for number in ids:
            async with self.free, await pool.get_connection() as conn, await conn.cursor() as cur:
                await cur.execute(data.POINT, (number,))
                found.append((await cur.fetchall())[0])
        return found


class Blocking(Driver):
    """mysqlclient and PyMySQL."""

    def __init__(self, module: str, setting: Setting) -> None:
        super().__init__(module, setting)
        self.cursors: Any = importlib.import_module(f"{module}.cursors")

    def tls(self) -> dict[str, Any]:
        setting = self.setting
        if self.module.__name__ == "pymysql":
            # Left to itself, it uses TLS where the server has it.
            plain = {"ssl_disabled": True}
            return plain if setting.transport == "tcp" else {"ssl": tls_context(setting.tls_ca)}
        if setting.transport == "tcp":
            return {}
        mode = "VERIFY_CA" if setting.tls_ca else "REQUIRED"
        return {"ssl_mode": mode} | ({"ssl": {"ca": setting.tls_ca}} if setting.tls_ca else {})

    @asynccontextmanager
    async def connected(self, *, prepared: bool = False) -> AsyncIterator[Any]:
        conn = self.module.connect(**self.options)
        try:
            yield conn
        finally:
            conn.close()

    async def connects(self, count: int) -> int:
        opened = 0
        for _ in range(count):
            conn = self.module.connect(**self.options)
            opened += conn.thread_id() > 0
            conn.close()
        return opened

    async def one(self, conn: Any, sql: str) -> Any:
        with conn.cursor() as cur:
            cur.execute(sql)
            return cur.fetchone()

    async def scan(self, conn: Any, sql: str, flavour: Flavour) -> Any:
        classes = (self.cursors.DictCursor,) if flavour == "dict" else ()
        with conn.cursor(*classes) as cur:
            cur.execute(sql, (0,))
            return cur.fetchall()

    async def stream(self, conn: Any, sql: str) -> Streamed:
        count, total, kept = 0, 0, []
        with conn.cursor(self.cursors.SSCursor) as cur:
            cur.execute(sql, (0,))
            for row in cur:
                count += 1
                total += row[0]
                if row[0] % 100 == 0:
                    kept.append(row)
        return count, total, kept

    async def points(self, conn: Any, ids: Sequence[int], *, prepared: bool) -> list[Any]:
        found = []
        for number in ids:
            with conn.cursor() as cur:
                cur.execute(data.POINT, (number,))
                found.append(cur.fetchone())
        return found

    async def many(
        self, conn: Any, sql: str, rows: list[data.Row], *, transaction: bool = True
    ) -> None:
        with conn.cursor() as cur:
            if transaction:
                cur.execute("BEGIN")
            cur.executemany(sql, rows)
        if transaction:
            conn.commit()
