"""The SQLAlchemy layer, and the dialect, on the newest release of each supported series.

`make test-sqlalchemy` runs these and nothing else does. Each series gets an environment of its
own, with our packages installed from this checkout; that needs the package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layers import LAYERS, PACKAGES
from tests.servers import Server
from tests.servers.server import DSN_VARIABLE

pytestmark = pytest.mark.sa_versions

ROOT = PACKAGES.parent
UV = (sys.executable, "-m", "uv")
NEEDED = ("anyio>=4.12", "cryptography", "pytest>=9")
# What the tests of the ORM need; they are for SQLAlchemy 2.
ORM = ("alembic", "greenlet")
SERIES = {"1.4": (), "2.0": ("tests/orm",), "2.1": ("tests/orm",)}


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command that knows nothing of this process's packages."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "SERVER", "PYTHONWARNINGS"}
    base = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [str(part) for part in command],
        env={**base, **env},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )


@pytest.fixture(scope="module", params=SERIES)
def series(request: pytest.FixtureRequest) -> str:
    """One of the supported series of SQLAlchemy."""
    return str(request.param)


@pytest.fixture(scope="module")
def interpreter(series: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the newest release of the series and our distributions."""
    folder = tmp_path_factory.mktemp(f"sqlalchemy-{series}")
    created = run(*UV, "venv", "--python", sys.executable, folder)
    assert created.returncode == 0, created.stderr
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    needed = [*NEEDED, *(ORM if SERIES[series] else ()), f"SQLAlchemy=={series}.*"]
    ours = [PACKAGES / layer.folder for layer in LAYERS]
    installed = run(*UV, "pip", "install", "--python", python, *ours, *needed)
    if installed.returncode:
        pytest.fail(
            f"could not install {', '.join(needed)} (is the package index within reach?):\n"
            f"{installed.stderr}",
            pytrace=False,
        )
    return python


def test_suite(interpreter: Path, series: str, server: Server) -> None:
    version = run(interpreter, "-I", "-c", "import sqlalchemy; print(sqlalchemy.__version__)")
    assert version.stdout.startswith(f"{series}."), version.stderr
    options = ("-q", "-p", "no:cacheprovider", "--tb=short")
    tests = ("tests/sa", *SERIES[series])
    env = {DSN_VARIABLE: server.dsn}
    result = run(interpreter, "-m", "pytest", *options, *tests, **env)
    assert result.returncode == 0, f"{version.stdout}{result.stdout}\n{result.stderr}"
    assert server.settled_sessions() == []


def test_types(interpreter: Path, series: str) -> None:
    """A typed program that uses the installed packages; SQLAlchemy has types since 2.0."""
    if series == "1.4":
        pytest.skip("SQLAlchemy 1.4 comes without types")
    needed = (*UV, "pip", "install", "--python", interpreter, "mypy", "types-PyMySQL")
    installed = run(*needed)
    assert installed.returncode == 0, installed.stderr
    options = (
        "--strict",
        "--config-file=",
        "--explicit-package-bases",
        f"--cache-dir={os.devnull}",
    )
    checked = run(interpreter, "-m", "mypy", *options, "tests/sa/test_typing.py")
    assert checked.returncode == 0, checked.stdout
