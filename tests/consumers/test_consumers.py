"""Software that is built on aiomysql, really installed, on ours and a real server.

`pytest -m consumers` runs only these; they need the package index.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.layers import LAYERS, PACKAGES
from tests.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.consumers]

HERE = Path(__file__).parent
UV = (sys.executable, "-m", "uv")
REQUIREMENTS = ("databases", "tortoise-orm", "peewee-async", "SQLAlchemy[asyncio]>=2.1,<2.2")
RECIPES = (HERE.parent.parent / "docs" / "recipes.md").read_text("utf-8")
#: What docs/recipes.md needs beside.
INGREDIENTS = (
    *("aiohttp", "alembic", "fastapi", "httpx", "pandas", "polars", "pytest-asyncio", "sqlmodel"),
)


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command that knows nothing of this process's packages."""
    return run_in(None, *command, **env)


def run_in(
    folder: Path | None, *command: str | Path, **env: str
) -> subprocess.CompletedProcess[str]:
    """The same in a folder."""
    base = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIOMYSQL_") and name not in {"PYTHONPATH", "VIRTUAL_ENV"}
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
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
    wanted = [*REQUIREMENTS, *INGREDIENTS]
    installed = run(*UV, "pip", "install", "--python", python, *ours, *wanted)
    if installed.returncode:
        pytest.fail(
            f"could not install {', '.join(wanted)} (is the package index within reach?):\n"
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


def recipes() -> dict[str, str]:
    """The sections of the page on recipes, by heading."""
    parts = re.split(r"^## (.*)$", RECIPES, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("recipe", recipes())
def test_recipe(interpreter: Path, server: Server, tmp_path: Path, recipe: str) -> None:
    """Each block is a file, which is run, or commands; what it prints is in the text behind it."""
    blocks = re.findall(
        r"^```(python|sh)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?",
        recipes()[recipe],
        re.MULTILINE | re.DOTALL,
    )
    assert blocks
    name = f"recipe_{os.getpid()}"
    env = {
        "DATABASE_URL": urlsplit(server.dsn)._replace(path=f"/{name}", query="").geturl(),
        "PATH": f"{interpreter.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": ".",
    }
    server.execute(f"CREATE DATABASE {name}")
    server.execute(f"CREATE TABLE {name}.fruit (id INT AUTO_INCREMENT PRIMARY KEY, name CHAR(20))")
    try:
        for kind, text, output in blocks:
            command: tuple[str | Path, ...] = ("sh", "-e", "-c", text)
            if kind == "python":
                file = Path(text.partition("\n")[0].removeprefix("# "))
                (tmp_path / file).write_text(text, "utf-8")
                if f"from {file.stem} import" in recipes()[recipe] or file.name == "env.py":
                    continue  # another file uses it
                is_test = file.name.startswith("test_")
                command = (interpreter, "-m", "pytest", file) if is_test else (interpreter, file)
            result = run_in(tmp_path, *command, **env)
            assert result.returncode == 0, result.stdout + result.stderr
            assert not output or result.stdout == output
            assert "ResourceWarning" not in result.stderr
    finally:
        server.execute(f"DROP DATABASE {name}")
