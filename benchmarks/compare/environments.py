"""An environment of its own for each driver, made at the first run and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compare.plan import CONTENDERS
from tests.layers import LAYERS, PACKAGES
from tests.servers import ServerError, apt
from tests.servers.cache import once
from tests.servers.catalogue import Entry
from tests.servers.progress import Ticker

UV = (sys.executable, "-m", "uv")
OURS = "ours"
_STAMP = "installed.json"
# mysqlclient is built against MariaDB's client library.
_CLIENT_LIBRARY = Entry(
    name="libmariadb",
    kind="mariadb",
    series=(),
    suite="bookworm",
    roots=(),
    plain=("libmariadb-dev", "libmariadb3"),
)


class EnvironmentMissing(Exception):
    """An environment can't be made; the text says why."""


@dataclass(frozen=True)
class Environment:
    """An interpreter with a driver, and the variables that the driver needs."""

    python: Path
    variables: dict[str, str] = field(default_factory=dict)


def make_environment(name: str, keep: Path) -> Environment:
    """Return the environment that contenders call `name`, made below `keep` if need be.

    Ours is installed anew when a source file has changed. Raises EnvironmentMissing.
    """
    requirements = [
        requirement
        for contender in CONTENDERS.values()
        if contender.environment == name
        for requirement in contender.requirements
    ]
    build: dict[str, str] = {}
    variables: dict[str, str] = {}
    installed: dict[str, object] = {"requirements": requirements, "python": sys.version}
    if name == OURS:
        requirements += [str(PACKAGES / layer.folder) for layer in LAYERS]
        installed["sources"] = _fingerprint()
        build["AIOMYSQL_BUILD_SPEEDUPS"] = "yes"
    elif name == "mysqlclient":
        build, variables = _client_library()
    folder = keep / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / _STAMP
    wanted = json.dumps(installed)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making the environment {name}", file=sys.stderr, flush=True)
        _run(*UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        # What uv knows a folder by in its cache doesn't cover every source file.
        fresh = [f"--refresh-package={layer.folder}" for layer in LAYERS if name == OURS]
        install = (*UV, "pip", "install", "--quiet", "--python", str(python))
        _run(*install, *fresh, *requirements, **build)
        stamp.write_text(wanted)
    return Environment(python, variables)


def _run(*command: str, **variables: str) -> None:
    # pip's and uv's own settings stay in force, the environment around us doesn't.
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command, env=env | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise EnvironmentMissing(f"{' '.join(command[:6])} ...: {done.stderr.strip()[-1500:]}")


def _fingerprint() -> str:
    """A digest of all source files of ours."""
    digest = hashlib.sha256()
    for layer in LAYERS:
        for path in sorted((PACKAGES / layer.folder).rglob("*")):
            if path.suffix in {".py", ".c", ".h", ".toml"} and "build" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _client_library() -> tuple[dict[str, str], dict[str, str]]:
    """Variables for building mysqlclient and for running it.

    The host's own library is used where its headers are there, else that of Debian's packages,
    unpacked in the cache. Raises EnvironmentMissing.
    """
    if any(map(shutil.which, ("mariadb_config", "mysql_config"))):
        return {}, {}

    def fetch(folder: Path) -> None:
        work = folder / "apt"
        work.mkdir()
        for package in apt.download(_CLIENT_LIBRARY, work, ticker):
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
        shutil.rmtree(work)

    ticker = Ticker(_CLIENT_LIBRARY.name)
    try:
        usr = once(f"packages/{_CLIENT_LIBRARY.name}", ticker, fetch) / "usr"
    except (ServerError, subprocess.CalledProcessError) as error:
        raise EnvironmentMissing(f"MariaDB's client library is missing: {error}") from None
    library = usr / "lib" / str(sysconfig.get_config_var("MULTIARCH"))
    return (
        {
            "MYSQLCLIENT_CFLAGS": f"-I{usr}/include/mariadb",
            "MYSQLCLIENT_LDFLAGS": f"-L{library} -lmariadb -Wl,-rpath,{library}",
        },
        {"MARIADB_PLUGIN_DIR": str(library / "libmariadb3/plugin")},
    )
