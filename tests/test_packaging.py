"""The distributions as users get them: built, installed into clean environments, and used there."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.layers import LAYERS, PACKAGES
from tests.servers import Server

ROOT = PACKAGES.parent
UV = (sys.executable, "-m", "uv")
SWITCH = "AIOMYSQL_BUILD_SPEEDUPS"
NO_COMPILER = {"CC": "/nonexistent/cc", "PATH": ""}
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None,
    reason="there is no C compiler on this machine",
)


def run(
    *command: str | Path, env: Mapping[str, str] = {}, check: bool = True
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
        cwd=ROOT.parent,
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
class Distributions:
    """The folder with what was built, and the wheel of every distribution."""

    folder: Path
    wheels: dict[str, Path]

    @property
    def protocol_sdist(self) -> Path:
        (path,) = self.folder.glob("aiomysql_protocol-*.tar.gz")
        return path


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, with nothing but what was asked for."""

    folder: Path

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


def install(built: Distributions, folder: Path, requirement: str) -> Environment:
    """Make an environment; our own distributions come from `built`, whatever an index offers."""
    environment = Environment(folder)
    run(*UV, "venv", "--python", sys.executable, folder)
    overrides = folder / "ours.txt"
    overrides.write_text(
        "".join(f"{name} @ {wheel.as_uri()}\n" for name, wheel in built.wheels.items()), "utf-8"
    )
    result = run(
        *UV,
        "pip",
        "install",
        "--python",
        environment.python,
        "--constraints",
        overrides,
        requirement,
    )
    assert "does not have an extra" not in result.stderr
    return environment


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    folder = tmp_path_factory.mktemp("dist")
    wheels = {layer.folder: build(PACKAGES / layer.folder, folder) for layer in LAYERS}
    return Distributions(folder, wheels)


@pytest.fixture(scope="module")
def core_only(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    wheel = built.wheels["aiomysql-core"]
    return install(built, tmp_path_factory.mktemp("core"), f"aiomysql-core @ {wheel.as_uri()}")


@pytest.fixture(scope="module")
def everything(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    wheel = built.wheels["aiomysql"]
    return install(built, tmp_path_factory.mktemp("all"), f"aiomysql[rsa,sa] @ {wheel.as_uri()}")


def test_wheels_carry_types_licence_and_version(built: Distributions) -> None:
    for layer in LAYERS:
        with zipfile.ZipFile(built.wheels[layer.folder]) as wheel:
            names = wheel.namelist()
            (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
            text = wheel.read(metadata).decode()
            (licence,) = (name for name in names if name.endswith("/licenses/LICENSE"))
            assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
        assert f"{layer.package}/py.typed" in names
        assert {name.partition("/")[0].partition("-")[0] for name in names} == {layer.package}
        assert "Version: 1." in text
        assert "Requires-Python: >=3.11" in text


def test_core_alone_brings_protocol_and_pymysql_only(core_only: Environment) -> None:
    assert core_only.distributions() == {"aiomysql-core", "aiomysql-protocol", "pymysql"}


def test_everything_comes_from_what_was_built(
    built: Distributions, core_only: Environment, everything: Environment
) -> None:
    ours = "n for n in sorted(d.name for d in m.distributions()) if n.startswith('aiomysql')"
    program = (
        "import importlib.metadata as m, json\n"
        f"for name in [{ours}]:\n"
        "    print(name, json.loads(m.distribution(name).read_text('direct_url.json'))['url'])"
    )
    expected = {name: wheel.as_uri() for name, wheel in built.wheels.items()}
    found = dict(line.split() for line in everything.run(program).splitlines())
    assert found == expected
    found = dict(line.split() for line in core_only.run(program).splitlines())
    assert found == {name: expected[name] for name in ("aiomysql-core", "aiomysql-protocol")}


def test_importing_the_core_imports_no_more(everything: Environment) -> None:
    """PyMySQL itself imports cryptography where it is installed; the core adds nothing to that."""
    program = (
        "import sys, pymysql; before = set(sys.modules); import aiomysql_core; "
        "print(*{name.partition('.')[0] for name in sys.modules.keys() - before})"
    )
    imported = set(everything.run(program).split())
    unwanted = {"sqlalchemy", "cryptography", "aiomysql", "aiomysql_pool", "aiomysql_sa"}
    assert imported & unwanted == set()
    assert {"aiomysql_core", "aiomysql_protocol"} <= imported
    everything.run(f"import {', '.join(sorted(unwanted))}")  # they are there to be imported


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


def test_core_alone_answers_a_query(core_only: Environment, server: Server) -> None:
    assert core_only.run(CORE_QUERY, CONNECT=json.dumps(server.connect_args)) == "42\n"


def test_everything_answers_queries(everything: Environment, server: Server) -> None:
    assert everything.run(FULL_QUERY, CONNECT=json.dumps(server.connect_args)) == "42\n43\n"


def test_every_module_is_in_the_wheels(everything: Environment) -> None:
    modules = [name for layer in LAYERS for name in layer.modules()]
    program = f"import importlib\nfor name in {modules}: importlib.import_module(name)\nprint('ok')"
    assert everything.run(program) == "ok\n"


def test_sdist_of_the_protocol_holds_what_the_build_needs(built: Distributions) -> None:
    with tarfile.open(built.protocol_sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"hatch_build.py", "LICENSE", "src/aiomysql_protocol/_speedups.c"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyd"))]


def test_sdist_of_the_core_holds_what_the_build_needs(built: Distributions) -> None:
    (path,) = built.folder.glob("aiomysql_core-*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    folder = PACKAGES / "aiomysql-core"
    sources = [*folder.glob("src/aiomysql_core/*.c"), *folder.glob("src/aiomysql_core/*.h")]
    assert len(sources) > 1
    expected = {source.relative_to(folder).as_posix() for source in sources}
    assert {"hatch_build_core.py", "LICENSE"} | expected <= names
    assert not [name for name in names if name.endswith((".so", ".pyd"))]


@pytest.mark.parametrize(
    ("protocol", "core"),
    [
        ("hatch_build.py", "hatch_build_core.py"),
        ("src/aiomysql_protocol/_dealloc.h", "src/aiomysql_core/_dealloc.h"),
        ("src/aiomysql_protocol/_slots.h", "src/aiomysql_core/_slots.h"),
    ],
)
def test_what_both_builds_need_is_the_same(protocol: str, core: str) -> None:
    """Each source archive must build alone."""
    ours = PACKAGES / "aiomysql-protocol" / protocol
    assert ours.read_bytes() == (PACKAGES / "aiomysql-core" / core).read_bytes()


def libraries(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.endswith((".so", ".pyd", ".c"))]


def test_switched_off_gives_a_pure_wheel(built: Distributions, tmp_path: Path) -> None:
    """Even when an earlier build left its library in the sources."""
    with tarfile.open(built.protocol_sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    (source / "src/aiomysql_protocol/_speedups.so").touch()
    wheel = build(source, tmp_path / "out", "--wheel", **{SWITCH: "no"})
    assert wheel.name.endswith("-py3-none-any.whl")
    assert libraries(wheel) == []


def test_no_compiler_gives_a_pure_wheel(built: Distributions, tmp_path: Path) -> None:
    wheel = build(built.protocol_sdist, tmp_path, "--wheel", **NO_COMPILER)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert libraries(wheel) == []


def test_switched_on_without_a_compiler_fails_and_says_why(
    built: Distributions, tmp_path: Path
) -> None:
    result = run(
        *(*UV, "build", "--python", sys.executable, "--wheel", "--out-dir", tmp_path),
        built.protocol_sdist,
        env=NO_COMPILER | {SWITCH: "yes"},
        check=False,
    )
    assert result.returncode != 0
    assert SWITCH in result.stderr
    assert "/nonexistent/cc" in result.stderr
    assert list(tmp_path.glob("*.whl")) == []


@needs_compiler
def test_switched_on_gives_a_platform_wheel(built: Distributions, tmp_path: Path) -> None:
    wheel = build(built.protocol_sdist, tmp_path, "--wheel", **{SWITCH: "yes"})
    assert not wheel.name.endswith("-none-any.whl")
    assert len(libraries(wheel)) == 1


@needs_compiler
def test_the_built_wheel_decodes_in_c(everything: Environment) -> None:
    program = "from aiomysql_protocol.implementation import IMPLEMENTATION; print(IMPLEMENTATION)"
    assert everything.run(program) == "c\n"
    assert everything.run(program, AIOMYSQL_IMPL="python") == "python\n"


@needs_compiler
def test_the_built_wheel_of_the_core_has_its_module(
    built: Distributions, everything: Environment
) -> None:
    wheel = built.wheels["aiomysql-core"]
    assert not wheel.name.endswith("-none-any.whl")
    (library,) = libraries(wheel)
    assert library.startswith("aiomysql_core/_speedups")
    program = "from aiomysql_core.implementation import CursorState; print(CursorState.__module__)"
    assert everything.run(program) == "aiomysql_core._speedups\n"
    assert everything.run(program, AIOMYSQL_IMPL="python") == "aiomysql_core.cursor_state\n"


@pytest.mark.parametrize("setting", [NO_COMPILER, {SWITCH: "no"}], ids=["no compiler", "no"])
def test_the_core_without_its_module(
    built: Distributions, everything: Environment, tmp_path: Path, setting: dict[str, str]
) -> None:
    """A pure wheel, whose Python code works; AIOMYSQL_IMPL=c says what is missing."""
    (sdist,) = built.folder.glob("aiomysql_core-*.tar.gz")
    wheel = build(sdist, tmp_path, "--wheel", **setting)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert libraries(wheel) == []
    use = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import aiomysql_core.implementation as i"
    )
    program = f"{use}; print(i.__file__.startswith({str(wheel)!r}), i.fast_path)"
    assert everything.run(program) == "True None\n"
    insisting = (
        f"try:\n    {use}\nexcept ImportError as error: print(error)\nelse: print('imported')"
    )
    if shutil.which(os.environ.get("CC", "cc")) is not None:  # else the protocol says it first
        said = everything.run(insisting, AIOMYSQL_IMPL="c")
        assert said == "AIOMYSQL_IMPL is 'c', but aiomysql_core._speedups was not built\n"
