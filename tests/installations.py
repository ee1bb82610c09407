"""Distributions in clean environments: how they are built, installed and used there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.layers import PACKAGES

ROOT = PACKAGES.parent
UV = (sys.executable, "-m", "uv")
SWITCH = "AIOMYSQL_BUILD_SPEEDUPS"

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None,
    reason="there is no C compiler on this machine",
)


def run(
    *command: str | Path,
    env: Mapping[str, str] = {},
    check: bool = True,
    cwd: Path = ROOT.parent,
) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment without our own variables but those in `env`."""
    base = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIOMYSQL_") and name not in {"PYTHONPATH", "VIRTUAL_ENV"}
    }
    result = subprocess.run(
        [str(part) for part in command],
        env={**base, **env},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if check:
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


def build(source: Path, out: Path, *options: str, **env: str) -> Path:
    """Build one sdist and from it the wheel, or with `--wheel` that alone; return the wheel."""
    run(*UV, "build", "--python", sys.executable, *options, "--out-dir", out, source, env=env)
    stem = re.split(r"-[0-9]", source.name)[0].replace("-", "_")
    (wheel,) = out.glob(f"{stem}-[0-9]*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, with nothing but what was asked for."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *, pip: bool = False) -> Self:
        """An empty one; pip: with the newest pip."""
        run(*UV, "venv", "--python", sys.executable, *(["--seed"] if pip else []), folder)
        return cls(folder)

    def shell(
        self, command: str, cwd: Path, env: Mapping[str, str] = {}, *, check: bool = True
    ) -> str:
        """Run a command as a user types it with the environment activated; what it printed.

        check: it has to do its work; else it has to fail.
        """
        # (`python -m uv` would install into the environment of that Python.)
        folders = (self.python.parent, Path(sys.executable).parent)
        path = os.pathsep.join([*map(str, folders), env.get("PATH", os.environ["PATH"])])
        activated = {"VIRTUAL_ENV": str(self.folder), **env, "PATH": path}
        result = run("/bin/sh", "-c", command, env=activated, cwd=cwd, check=check)
        assert check or result.returncode != 0
        return result.stdout + result.stderr

    @property
    def python(self) -> Path:
        name = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return self.folder / name

    def run(self, program: str, **env: str) -> str:
        """Run a program with warnings as errors; return what it printed."""
        return run(self.python, "-I", "-W", "error", "-c", program, env=env).stdout

    def distributions(self) -> set[str]:
        listed = run(*UV, "pip", "list", "--format", "freeze", "--python", self.python).stdout
        return {line.partition("==")[0].partition(" @ ")[0].lower() for line in listed.splitlines()}


def check_out(folder: Path) -> Path:
    """Make `folder` a repository with what this folder holds, committed."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a checkout")
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    run("git", "init", "-q", cwd=folder)
    commit(folder)
    return folder


def commit(repository: Path) -> None:
    """Commit all that a repository's folder holds."""
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    run("git", "add", "-A", cwd=repository)
    run("git", *identity, "commit", "-q", "-m", "All of it", cwd=repository)


IMPLEMENTATION = "import aiomysql_core.implementation as i; print(i.IMPLEMENTATION)"
CORE_QUERY = """
import asyncio, json, os
import aiomysql_core

async def main():
    async with aiomysql_core.connect(**json.loads(os.environ["CONNECT"])) as connection:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT %s + 2", (40,))
            print(*await cursor.fetchone())

asyncio.run(main())
"""
FULL_QUERY = """
import asyncio, json, os
import aiomysql, aiomysql.sa, sqlalchemy

arguments = json.loads(os.environ["CONNECT"])

async def main():
    async with aiomysql.create_pool(**arguments) as pool:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT %s + 2", (40,))
            print(*await cursor.fetchone())
    async with aiomysql.sa.create_engine(**arguments) as engine:
        async with engine.acquire() as connection:
            print(await connection.scalar(sqlalchemy.select(sqlalchemy.literal(43))))

asyncio.run(main())
"""
