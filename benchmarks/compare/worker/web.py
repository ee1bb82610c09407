"""A web application over a driver: FastAPI, called as a server calls it, without HTTP between."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.compare import data
from benchmarks.compare.worker.drivers import Driver, Flavour
from benchmarks.compare.worker.jobs import Job, same, same_rows


@asynccontextmanager
async def pages(driver: Driver, flavour: Flavour) -> AsyncIterator[Job]:
    """Requests from several tasks, each answered with a page of rows as JSON."""
    sizes = driver.setting.sizes
    starts = [number * sizes.page % sizes.rows for number in range(sizes.requests)]
    fastapi: Any = importlib.import_module("fastapi")
    responses: Any = importlib.import_module("fastapi.responses")
    app = fastapi.FastAPI()
    async with driver.pool(prepared=False) as pool:

        async def page(start: int) -> Any:
            rows = await driver.pooled_rows(pool, data.PAGE, (start, sizes.page), flavour)
            return responses.JSONResponse(rows)

        app.get("/page", response_model=None)(page)

        async def task(share: list[int]) -> list[bytes]:
            return [await _get(app, "/page", f"start={start}") for start in share]

        async def run() -> list[list[bytes]]:
            shares = (starts[at :: sizes.tasks] for at in range(sizes.tasks))
            return await asyncio.gather(*map(task, shares))

        def check(found: list[list[bytes]]) -> None:
            rows: list[Any] = [[*row[:3], row[4]] for row in data.all_mixed(sizes.rows)]
            if flavour == "dict":
                names = ("id", "name", "city", "ratio")
                rows = [dict(zip(names, row, strict=True)) for row in rows]
            for at, bodies in enumerate(found):
                for start, body in zip(starts[at :: sizes.tasks], bodies, strict=True):
                    same_rows(json.loads(body), rows[start : start + sizes.page])
            same(sum(map(len, found)), sizes.requests)

        yield Job(run, check)


async def _get(app: Any, path: str, query: str) -> bytes:
    """The body of a response."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    }
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            same(message["status"], 200)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(parts)
