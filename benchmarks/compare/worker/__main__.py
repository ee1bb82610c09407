"""A worker: `python -m benchmarks.compare.worker SETTING`, with the setting as JSON.

It reads a command per line and answers each with a line of JSON: `hello`, `open WORKLOAD`
(which runs it once), `run`, `close` and `memory WORKLOAD`. A response has a `status`, "ok",
"absent", "wrong" or "failed", and a `note` unless it is "ok".
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.compare.plan import CONTENDERS, Loop, Sizes
from benchmarks.compare.worker.jobs import (
    Absent,
    Job,
    Opener,
    Setting,
    Wrong,
    measure,
    pin,
)

_PACKAGES = (
    "aiomysql",
    "aiomysql-core",
    "aiomysql-protocol",
    "asyncmy",
    "fastapi",
    "mariadb",
    "mariadb-binary",
    "mysql-connector-python",
    "mysqlclient",
    "pyro-mysql",
    "PyMySQL",
    "SQLCyCli",
    "SQLAlchemy",
    "uvloop",
)


class Worker:
    """Answers commands, with one workload open at a time."""

    def __init__(self, setting: Setting, runner: asyncio.Runner) -> None:
        self._setting = setting
        self._runner = runner
        self._openers: dict[str, Opener] = {}
        self._stack = AsyncExitStack()
        self._job: Job | None = None

    def respond(self, command: str, argument: str) -> dict[str, Any]:
        """Do what a command says; an error is a response as well."""
        try:
            done: dict[str, Any] = self._runner.run(getattr(self, f"do_{command}")(argument))
        except Absent as error:
            return {"status": "absent", "note": str(error)}
        except Wrong as error:
            return {"status": "wrong", "note": str(error)}
        except Exception as error:
            return {"status": "failed", "note": f"{type(error).__name__}: {error}"[:300]}
        return {"status": "ok"} | done

    async def do_hello(self, _: str) -> dict[str, Any]:
        """Load the driver; returns the versions in its environment."""
        self._openers = await _openers(self._setting)
        versions = {"Python": platform.python_version()}
        for package in _PACKAGES:
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                continue
        return {"versions": versions}

    async def do_open(self, workload: str) -> dict[str, Any]:
        """Open a workload and run it once."""
        job = await self._enter(workload)
        return vars(await measure(job))

    async def do_run(self, _: str) -> dict[str, Any]:
        """Measure the open workload."""
        assert self._job is not None
        return vars(await measure(self._job))

    async def do_memory(self, workload: str) -> dict[str, Any]:
        """Run a workload unchecked, for its peak of memory, in a fresh interpreter."""
        job = await self._enter(workload)
        return vars(await measure(replace(job, check=lambda _: None)))

    async def do_close(self, _: str) -> dict[str, Any]:
        """Close the open workload."""
        self._job = None
        await self._stack.aclose()
        return {}

    async def _enter(self, workload: str) -> Job:
        await self.do_close("")
        if workload not in self._openers:
            raise Absent("not measured")
        self._job = await self._stack.enter_async_context(self._openers[workload]())
        return self._job


async def _openers(setting: Setting) -> dict[str, Opener]:
    contender = CONTENDERS[setting.contender]
    if contender.kind.startswith("floor"):
        from benchmarks.compare.worker import floors

        return floors.openers(setting)
    from benchmarks.compare.worker import drivers, orm, peers, workloads

    wanted = contender.variables.get("AIOMYSQL_IMPL")
    if wanted is not None:
        implementation: Any = importlib.import_module("aiomysql_protocol.implementation")
        if wanted != implementation.IMPLEMENTATION:
            raise RuntimeError(f"the decoder is {implementation.IMPLEMENTATION}, not {wanted}")
    kinds: dict[str, type[drivers.Driver]] = {
        "aio": drivers.AiomysqlLike,
        "connector": drivers.Connector,
        "blocking": drivers.Blocking,
        "mariadb": peers.MariaDB,
        "pyro": peers.Pyro,
        "sqlcycli": peers.SQLCyCli,
    }
    driver = kinds[contender.kind](contender.module, setting)
    await workloads.check_transport(driver)
    found = workloads.openers(driver)
    return found | (orm.openers(contender.dialect, setting) if contender.dialect else {})


def _loop_factory(loop: Loop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop == "uvloop":
        uvloop: Any = importlib.import_module("uvloop")
        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    return None


def main() -> None:
    """Answer commands until stdin ends."""
    given = json.loads(sys.argv[1])
    setting = Setting(**given | {"sizes": Sizes(**given["sizes"])})
    pin(setting.cpu)
    # What a driver prints must not get between the responses.
    responses = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with asyncio.Runner(loop_factory=_loop_factory(setting.loop)) as runner:
        worker = Worker(setting, runner)
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            print(json.dumps(worker.respond(command, argument)), file=responses)


if __name__ == "__main__":
    main()
