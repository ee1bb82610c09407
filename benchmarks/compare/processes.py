"""Worker processes: started, asked, and ended when they don't answer."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.compare.environments import Environment
from benchmarks.compare.plan import CONTENDERS
from benchmarks.compare.worker.jobs import Setting
from tests.servers import Server

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 120.0
"""Seconds to wait for a response."""

Response = dict[str, Any]


class WorkerProcess:
    """A worker, started at the first question and again after it died."""

    def __init__(self, environment: Environment, setting: Setting) -> None:
        self._environment = environment
        self._setting = setting
        self._process: subprocess.Popen[str] | None = None
        # Closed by __exit__.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._errors.close()

    def ask(self, command: str) -> Response:
        """Send a command and return the response; no response in time is a failure as well."""
        if self._process is None:
            self._process = self._start()
            hello = self._ask(self._process, "hello")
            if hello["status"] != "ok":
                self.stop()
                return hello
            self.versions = hello["versions"]
        return self._ask(self._process, command)

    def stop(self) -> None:
        """End the process; does nothing if it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        hidden = {"PYTHONPATH", "VIRTUAL_ENV", "AIOMYSQL_IMPL"}
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        env |= self._environment.variables | CONTENDERS[self._setting.contender].variables
        # With the root on the path the worker's modules are found, but no driver.
        env["PYTHONPATH"] = str(ROOT)
        worker = ("-P", "-m", "benchmarks.compare.worker", json.dumps(asdict(self._setting)))
        return subprocess.Popen(
            [str(self._environment.python), *worker],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
        )

    def _ask(self, process: subprocess.Popen[str], command: str) -> Response:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{command}\n")
            process.stdin.flush()
            # Nothing is buffered here: there is a response for each command, and it is a line.
            if not select.select([process.stdout], [], [], TIMEOUT)[0]:
                process.kill()
                self.stop()
                return {"status": "failed", "note": f"no response within {TIMEOUT:.0f} s"}
            line = process.stdout.readline()
            if line:
                response: Response = json.loads(line)
                return response
        self.stop()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or ["no message"]
        return {"status": "failed", "note": f"the worker ended: {lines[-1]}"[:300]}


def setting_of(server: Server, user: tuple[str, str]) -> dict[str, Any]:
    """The parts of a worker's setting that tell where the server is."""
    name, password = user
    return {
        "host": server.host,
        "port": server.port,
        "user": name,
        "password": password,
        "database": server.database,
        "tls_ca": server.tls_ca,
    }


def pin_server(server: Server, client: int | None) -> str:
    """Keep a server that was started here off the client's processor; returns what was done."""
    if client is None or not hasattr(os, "sched_setaffinity"):
        return "nothing is pinned to a processor on this system"
    others = os.sched_getaffinity(0) - {client}
    if server.log is None or not others:
        return f"client on processor {client}; the server is not pinned"
    pid = int((server.log.parent / "server.pid").read_text())
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), others)
    return f"client on processor {client}, server on {', '.join(map(str, sorted(others)))}"
