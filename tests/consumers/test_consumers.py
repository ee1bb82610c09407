"""Software that is built on aiomysql, really installed, on ours and a real server.

`pytest -m consumers` runs only these; they need the package index.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layers import LAYERS, PACKAGES
from tests.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.consumers]

HERE = Path(__file__).parent
UV = (sys.executable, "-m", "uv")
REQUIREMENTS = ("databases", "tortoise-orm", "peewee-async", "SQLAlchemy[asyncio]>=2.1,<2.2")


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command that knows nothing of this process's packages."""
    base = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIOMYSQL_") and name not in {"PYTHONPATH", "VIRTUAL_ENV"}
    }
    return subprocess.run(
        [str(part) for part in command],
        env={**base, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the consumers, and our distributions from this checkout."""
    folder = tmp_path_factory.mktemp("consumers")
    created = run(*UV, "venv", "--python", sys.executable, folder)
    assert created.returncode == 0, created.stderr
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ours = [PACKAGES / layer.folder for layer in LAYERS]
    installed = run(*UV, "pip", "install", "--python", python, *ours, *REQUIREMENTS)
    if installed.returncode:
        pytest.fail(
            f"could not install {', '.join(REQUIREMENTS)} (is the package index within reach?):\n"
            f"{installed.stderr}",
            pytrace=False,
        )
    return python


def use(interpreter: Path, server: Server, script: str, table: str, **env: str) -> None:
    """Run one of the programs here; it must end well and leave nothing open."""
    env["CONNECT"] = json.dumps(server.connect_args)
    result = run(interpreter, "-W", "default", HERE / script, table, **env)
    assert (result.returncode, result.stdout) == (0, "ok\n"), result.stderr
    assert "ResourceWarning" not in result.stderr
    assert "Traceback" not in result.stderr
    assert server.settled_sessions() == []


def test_aiomysql_is_ours(interpreter: Path) -> None:
    program = "import aiomysql, aiomysql_core; print(aiomysql.Connection.__module__)"
    assert run(interpreter, "-I", "-c", program).stdout == "aiomysql_core.connection\n"


@pytest.mark.parametrize("name", ["databases", "tortoise", "peewee"])
def test_consumer(interpreter: Path, server: Server, table_name: str, name: str) -> None:
    use(interpreter, server, f"use_{name}.py", table_name)


def test_sqlalchemy(interpreter: Path, server: Server, table_name: str) -> None:
    dialects = "mysql mariadb" if server.kind == "mariadb" else "mysql"
    use(interpreter, server, "use_sqlalchemy.py", table_name, DIALECTS=dialects)
