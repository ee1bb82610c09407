"""The distributions as users get them: built, installed into clean environments, and used there."""

import functools
import json
import os
import re
import shutil
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import aiomysql
from aiomysql_core.implementation import REBUILD
from tests.installations import (
    CORE_QUERY,
    FULL_QUERY,
    IMPLEMENTATION,
    ROOT,
    SWITCH,
    UV,
    Environment,
    build,
    commit,
    needs_compiler,
    run,
)
from tests.layers import LAYERS, PACKAGES
from tests.servers import Server

pytestmark = pytest.mark.slow

SHARED = ROOT / "shared"
NO_COMPILER = {"CC": "/nonexistent/cc", "PATH": ""}


README = ROOT / "README.md"
OTHERS = {"pymysql", "sqlalchemy", "cryptography"}


@dataclass(frozen=True)
class Distributions:
    """The folder with what was built, and the wheel of every distribution."""

    folder: Path
    wheels: dict[str, Path]

    @property
    def protocol_sdist(self) -> Path:
        (path,) = self.folder.glob("aiomysql_protocol-*.tar.gz")
        return path


def install(built: Distributions, folder: Path, requirement: str) -> Environment:
    """Make an environment; our own distributions come from `built`, whatever an index offers."""
    environment = Environment.make(folder)
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


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    folder = tmp_path_factory.mktemp("dist")
    wheels = {layer.folder: build(PACKAGES / layer.folder, folder) for layer in LAYERS}
    return Distributions(folder, wheels)


@pytest.fixture(scope="session")
def core_only(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    wheel = built.wheels["aiomysql-core"]
    return install(built, tmp_path_factory.mktemp("core"), f"aiomysql-core @ {wheel.as_uri()}")


@pytest.fixture(scope="session")
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


def test_core_alone_answers_a_query(core_only: Environment, server: Server) -> None:
    assert core_only.run(CORE_QUERY, CONNECT=json.dumps(server.connect_args)) == "42\n"


def test_everything_answers_queries(everything: Environment, server: Server) -> None:
    assert everything.run(FULL_QUERY, CONNECT=json.dumps(server.connect_args)) == "42\n43\n"


def test_every_module_is_in_the_wheels(everything: Environment) -> None:
    modules = [name for layer in LAYERS for name in layer.modules()]
    program = f"import importlib\nfor name in {modules}: importlib.import_module(name)\nprint('ok')"
    assert everything.run(program) == "ok\n"


@pytest.mark.parametrize("layer", ["protocol", "core", "pool"])
def test_sdist_holds_what_the_build_needs(built: Distributions, layer: str) -> None:
    (path,) = built.folder.glob(f"aiomysql_{layer}-*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    folder = PACKAGES / f"aiomysql-{layer}"
    sources = [path for path in folder.glob("src/**/*") if path.suffix in {".c", ".h"}]
    assert len(sources) > 1
    expected = {source.relative_to(folder).as_posix() for source in sources}
    expected |= {path.relative_to(ROOT).as_posix() for path in SHARED.glob("*.*")}
    assert {f"hatch_build_{layer}.py", "LICENSE"} | expected <= names
    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc"))]


def test_an_sdist_builds_an_sdist(built: Distributions, tmp_path: Path) -> None:
    """Alone, with the files that stand elsewhere in the repository."""
    with tarfile.open(built.protocol_sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build(source, tmp_path / "out", **{SWITCH: "no"})
    (again,) = (tmp_path / "out").glob("*.tar.gz")
    with tarfile.open(built.protocol_sdist) as first, tarfile.open(again) as second:
        assert first.getnames() == second.getnames()


def test_no_source_stands_twice() -> None:
    seen: dict[bytes, Path] = {}
    for folder in (SHARED, *(PACKAGES / layer.folder for layer in LAYERS)):
        for path in folder.rglob("*"):
            if path.suffix in {".c", ".h", ".py", ".toml"} and path.name != "_version.py":
                text = path.read_bytes()
                assert not text or text not in seen, (path, seen[text])
                seen[text] = path


def libraries(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.endswith((".so", ".pyd", ".c", ".h"))]


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
    assert "apt install gcc python3-dev" in result.stderr
    assert list(tmp_path.glob("*.whl")) == []


def test_a_python_without_its_lock_gives_a_pure_wheel(built: Distributions, tmp_path: Path) -> None:
    """That it has none is made up: such a Python would compile as well as any."""
    pretence = (
        "import sysconfig\n"
        "told = sysconfig.get_config_var\n"
        "sysconfig.get_config_var = lambda name: 1 if name == 'Py_GIL_DISABLED' else told(name)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(pretence, encoding="utf-8")
    path = {"PYTHONPATH": str(tmp_path)}
    wheel = build(built.protocol_sdist, tmp_path / "out", "--wheel", **path)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert libraries(wheel) == []


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
@pytest.mark.parametrize(
    ("layer", "module", "name"),
    [("core", "engine.cursor_state", "CursorState"), ("pool", "lease_queue", "LeaseQueue")],
)
def test_the_built_wheels_above_have_their_modules(
    built: Distributions, everything: Environment, layer: str, module: str, name: str
) -> None:
    package = f"aiomysql_{layer}"
    wheel = built.wheels[f"aiomysql-{layer}"]
    assert not wheel.name.endswith("-none-any.whl")
    (library,) = libraries(wheel)
    assert library.startswith(f"{package}/_speedups")
    program = f"import {package}.{module} as m; print(m.{name}.__module__)"
    assert everything.run(program) == f"{package}._speedups\n"
    assert everything.run(program, AIOMYSQL_IMPL="python") == f"{package}.{module}\n"


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
    program = f"{use}; print(i.__file__.startswith({str(wheel)!r}), i.IMPLEMENTATION)"
    assert everything.run(program) == "True python\n"
    insisting = (
        f"try:\n    {use}\nexcept ImportError as error: print(error)\nelse: print('imported')"
    )
    if shutil.which(os.environ.get("CC", "cc")) is not None:  # else the protocol says it first
        said = everything.run(insisting, AIOMYSQL_IMPL="c")
        assert said.startswith("AIOMYSQL_IMPL is 'c', but aiomysql_core._speedups was not built")
        assert ("/nonexistent/cc" in said) == (setting == NO_COMPILER)


@needs_compiler
def test_the_wheel_of_the_pool_from_the_tree(tmp_path: Path) -> None:
    wheel = build(PACKAGES / "aiomysql-pool", tmp_path, "--wheel", **{SWITCH: "yes"})
    assert not wheel.name.endswith("-none-any.whl")
    (library,) = libraries(wheel)
    assert library.startswith("aiomysql_pool/_speedups")


@pytest.mark.parametrize("setting", [NO_COMPILER, {SWITCH: "no"}], ids=["no compiler", "no"])
@pytest.mark.parametrize("source", ["tree", "sdist"])
def test_the_pool_without_its_module(
    built: Distributions,
    everything: Environment,
    tmp_path: Path,
    source: str,
    setting: dict[str, str],
) -> None:
    """A pure wheel, whose Python code works; what is missing is told."""
    folder = PACKAGES / "aiomysql-pool"
    if source == "sdist":
        (folder,) = built.folder.glob("aiomysql_pool-*.tar.gz")
    wheel = build(folder, tmp_path, "--wheel", **setting)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert libraries(wheel) == []
    use = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import aiomysql_pool.implementation as i"
    )
    program = f"{use}; print(i.__file__.startswith({str(wheel)!r}), i.IMPLEMENTATION)"
    assert everything.run(program) == "True python\n"
    if shutil.which(os.environ.get("CC", "cc")) is None:  # the layers below say it
        return
    described = everything.run(f"{use}; import aiomysql.__main__ as m; print(m.describe())")
    assert "\nPool:           Python (aiomysql_pool._speedups was not built" in described
    assert ("/nonexistent/cc" in described) == (setting == NO_COMPILER)
    insisting = f"try:\n    {use}\nexcept ImportError as error: print(error)"
    said = everything.run(insisting, AIOMYSQL_IMPL="c")
    assert said.startswith("AIOMYSQL_IMPL is 'c', but aiomysql_pool._speedups was not built")


# -- From source, by the commands of the README ----------------------------------------------------


def commands(title: str) -> list[str]:
    """The shell commands of a section of the README, as they are printed but for comments."""
    section = README.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert blocks
    return [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines()]


def command(start: str) -> str:
    (found,) = (line for line in commands("More ways to install") if line.startswith(start))
    return found


@pytest.fixture(scope="session")
def whole_drivers(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Environment]:
    """What an install command installs; each runs once, for the tests with any server."""

    @functools.cache
    def installed(asked: str) -> Environment:
        environment = Environment.make(
            tmp_path_factory.mktemp("env") / "e", pip=asked.startswith("pip")
        )
        environment.shell(asked, checkout, {"URL": checkout.as_uri()})
        return environment

    return installed


@pytest.fixture(
    params=[f"{tool} install {what}" for tool in ("pip", "uv pip") for what in (".", '"git+$URL"')],
)
def whole_driver(
    request: pytest.FixtureRequest, whole_drivers: Callable[[str], Environment]
) -> Environment:
    """What the obvious command installs; the README has it with pip, and says it of uv."""
    asked: str = request.param
    assert asked.removeprefix("uv ") in commands("Installation")
    return whole_drivers(asked)


def test_the_obvious_command_installs_the_whole_driver(whole_driver: Environment) -> None:
    """As one distribution, which needs none of the layers from anywhere."""
    installed = whole_driver.distributions()
    assert OTHERS | {"aiomysql"} <= installed
    assert {name for name in installed if name.startswith("aiomysql")} == {"aiomysql"}
    said = whole_driver.run("import runpy; runpy.run_module('aiomysql', run_name='__main__')")
    for layer in LAYERS:
        assert f"{layer.folder} " in said
    assert "all in one distribution" in said
    run(*UV, "pip", "check", "--python", whole_driver.python)


@needs_compiler
def test_the_obvious_command_compiles(whole_driver: Environment) -> None:
    assert whole_driver.run("import aiomysql; print(aiomysql.implementation)") == "c\n"


def test_the_obvious_command_gives_a_working_driver(
    whole_driver: Environment, server: Server
) -> None:
    arguments = json.dumps(server.connect_args)
    assert whole_driver.run(FULL_QUERY, CONNECT=arguments) == "42\n43\n"


def test_uninstalling_the_whole_driver_leaves_nothing(checkout: Path, tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "e", pip=True)
    environment.shell("uv pip install .", checkout, {SWITCH: "no"})
    environment.shell("pip uninstall -y aiomysql", checkout)
    (site,) = environment.folder.glob("lib/python*/site-packages")
    assert [path.name for path in site.glob("aiomysql*")] == []


def test_an_editable_install_of_the_root(checkout: Path, tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "e")
    run(*UV, "pip", "install", "--python", environment.python, "--editable", checkout)
    found = environment.run(
        "import aiomysql.sa, aiomysql_core.implementation as core, aiomysql_protocol\n"
        "print(core.__file__, aiomysql.implementation)"
    )
    expected = "c" if shutil.which(os.environ.get("CC", "cc")) else "python"
    path = checkout / "packages/aiomysql-core/src/aiomysql_core/implementation.py"
    assert found.split() == [str(path), expected]
    assert run("git", "status", "--short", cwd=checkout).stdout == ""


@pytest.mark.parametrize(
    ("tool", "start"),
    [
        ("pip", 'pip install "git+$URL#subdirectory='),
        ("uv", 'pip install "git+$URL#subdirectory='),
        ("uv", "pip install ./packages/"),
    ],
)
def test_single_layers(checkout: Path, tmp_path: Path, tool: str, start: str) -> None:
    """As the README has it: all that are needed in one command, none from an index."""
    asked = command(start)
    environment = Environment.make(tmp_path / "e", pip=tool == "pip")
    if tool == "uv":
        asked = f"uv {asked}"
    environment.shell(asked, checkout, {"URL": checkout.as_uri(), SWITCH: "no"})
    ours = {name for name in environment.distributions() if name.startswith("aiomysql")}
    assert ours == {"aiomysql-core", "aiomysql-protocol"}
    found = environment.run(
        "from importlib.metadata import distribution\n"
        f"for name in {sorted(ours)}: print(distribution(name).read_text('direct_url.json'))"
    )
    urls = [json.loads(line)["url"] for line in found.splitlines()]
    assert len(urls) == 2
    assert all(url.startswith(checkout.as_uri()) for url in urls)


def test_wheels_for_several_interpreters_do_not_confuse(
    built: Distributions, checkout: Path, tmp_path: Path
) -> None:
    """The README's commands take this interpreter's, and no layer from anywhere else."""
    for wheel in built.folder.glob("*.whl"):
        shutil.copy2(wheel, tmp_path)
        name, number, *_ = wheel.name.split("-")
        if "none-any" not in wheel.name:
            for tag in ("cp39-cp39-linux_x86_64", "cp399-cp399-linux_x86_64", "cp313-cp313-win32"):
                (tmp_path / f"{name}-{number}-{tag}.whl").write_bytes(b"for another interpreter")
    for name in ("aiomysql-1.0.0+bundle.g0.tar.gz", "aiomysql_core-1.9.tar.gz"):
        (tmp_path / name).write_bytes(b"would be newer")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "dist").symlink_to(tmp_path)
    environment = Environment.make(tmp_path / "e", pip=True)
    # Whatever this machine adds to the places that pip looks in.
    bare = {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
    environment.shell(command("pip install PyMySQL"), checkout)
    # As if the classic driver were there.
    site = environment.run("import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    classic = Path(site, "aiomysql-0.3.2.dist-info")
    classic.mkdir()
    (classic / "METADATA").write_text("Metadata-Version: 2.1\nName: aiomysql\nVersion: 0.3.2\n")
    (classic / "RECORD").write_text(
        "aiomysql-0.3.2.dist-info/METADATA,,\naiomysql-0.3.2.dist-info/RECORD,,\n"
    )
    environment.shell(command("pip install -U --no-index"), tmp_path / "folder", bare)
    assert not classic.exists()
    ours = {name for name in environment.distributions() if name.startswith("aiomysql")}
    assert ours == {layer.folder for layer in LAYERS}
    said = environment.run("import aiomysql; print(aiomysql.implementation)")
    assert said == ("c\n" if libraries(built.wheels["aiomysql-core"]) else "python\n")


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_without_a_compiler_the_driver_says_what_is_missing(
    checkout: Path, tmp_path: Path, tool: str
) -> None:
    """pip shows no more than the wheel's name, uv not even that: so the driver says it."""
    environment = Environment.make(tmp_path / "e", pip=tool == "pip")
    install = "pip install --no-cache-dir --force-reinstall ."
    if tool == "uv":
        install = "uv pip install --no-cache --reinstall ."
    said = environment.shell(install, checkout, NO_COMPILER)
    assert ("-py3-none-any.whl" in said) == (tool == "pip")
    assert "/nonexistent/cc" not in said
    reason = "aiomysql_protocol._speedups was not built: "
    described = run(environment.python, "-m", "aiomysql").stdout
    for told in (described, run(environment.python, "-c", CONNECT_IN_VAIN).stderr):
        assert reason in told
        assert "/nonexistent/cc" in told
        assert "apt install gcc python3-dev" in told
    failed = environment.shell(install, checkout, NO_COMPILER | {SWITCH: "yes"}, check=False)
    assert f"{SWITCH} is 'yes', but aiomysql_protocol._speedups cannot be built" in failed
    assert "apt install gcc python3-dev" in failed


FAILING_COMPILER = """#!/bin/sh
case "$*" in *.c*) echo "first words" >&2; echo "the disk is on fire" >&2;; esac
exit 1
"""


@pytest.mark.skipif(os.name != "posix", reason="the compiler is a shell script")
def test_what_a_failing_compiler_says_is_told(built: Distributions, tmp_path: Path) -> None:
    """And nothing of compilers that are not there."""
    compiler = tmp_path / "cc"
    compiler.write_text(FAILING_COMPILER, "utf-8")
    compiler.chmod(0o755)
    wheel = build(built.protocol_sdist, tmp_path, "--wheel", CC=str(compiler))
    with zipfile.ZipFile(wheel) as archive:
        noted = archive.read("aiomysql_protocol/_speedups_missing.txt").decode()
    assert noted.endswith(", after: first words / the disk is on fire\n")
    assert noted.startswith("CompileError: ")
    failed = run(
        *(*UV, "build", "--python", sys.executable, "--wheel", "--out-dir", tmp_path / "out"),
        built.protocol_sdist,
        env={"CC": str(compiler), SWITCH: "yes"},
        check=False,
    )
    assert failed.returncode != 0
    assert "\nthe disk is on fire\n" in failed.stderr
    assert "apt install" not in failed.stderr + noted


@needs_compiler
def test_missing_headers_are_told(built: Distributions, tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    real = shutil.which(os.environ.get("CC", "cc"))
    compiler.write_text(
        f"""#!/bin/sh
for item do shift
case "$item" in -I*/c|-I*/shared) set -- "$@" "$item";; -I*) ;; *) set -- "$@" "$item";; esac; done
exec {real} -nostdinc "$@"
""",
        "utf-8",
    )
    compiler.chmod(0o755)
    wheel = build(built.protocol_sdist, tmp_path, "--wheel", CC=str(compiler))
    with zipfile.ZipFile(wheel) as archive:
        noted = archive.read("aiomysql_protocol/_speedups_missing.txt").decode()
    assert "Python.h" in noted
    assert "apt install gcc python3-dev" in noted
    assert noted.count("\n") == 1


def test_a_missing_setuptools_is_not_a_missing_compiler(checkout: Path, tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "e")
    environment.shell("uv pip install hatchling", checkout)
    install = "uv pip install --no-cache --no-deps --no-build-isolation ."
    failed = environment.shell(install, checkout, {SWITCH: "yes"}, check=False)
    assert "cannot be built: ModuleNotFoundError: No module named 'setuptools'" in failed
    assert "apt install" not in failed


# -- Installing again ------------------------------------------------------------------------------


PROJECT = """
[project]
name = "project"
version = "0"
requires-python = ">=3.11"
dependencies = {names}
[tool.uv.sources]
"""


@needs_compiler
@pytest.mark.parametrize("names", [["aiomysql"], ["aiomysql-core", "aiomysql-protocol"]])
def test_uv_builds_a_path_anew_when_the_switch_changes(
    checkout: Path, tmp_path: Path, names: list[str]
) -> None:
    """In a project, which has what is cached; `uv pip install PATH` always builds."""
    text = PROJECT.format(names=json.dumps(names))
    for name in names:
        folder = checkout if name == "aiomysql" else checkout / "packages" / name
        text += f"{name} = {{ path = {json.dumps(str(folder))} }}\n"
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    environment = Environment(tmp_path / ".venv")
    for switch, expected in (("no", "python\n"), ("yes", "c\n"), ("no", "python\n")):
        command = (*UV, "sync", "--python", sys.executable)
        run(*command, cwd=tmp_path, env={SWITCH: switch})
        assert environment.run(IMPLEMENTATION) == expected


@needs_compiler
@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_the_options_that_the_driver_tells_build_again(
    checkout: Path, tmp_path: Path, tool: str
) -> None:
    """Without them the installers keep what is there, or in their caches."""
    environment = Environment.make(tmp_path / "e", pip=tool == "pip")
    pip, uv = (alternative.partition(" (")[0] for alternative in REBUILD.split(" or "))
    told = {"pip": pip, "uv": uv}
    install = {"pip": "pip install", "uv": "uv pip install"}[tool] + ' "git+$URL"'
    # A commit of its own: uv keeps what other tests had it build.
    repository = tmp_path / "repository"
    run("git", "clone", "-q", checkout, repository)
    (repository / "MARK").write_text(tool)
    commit(repository)
    settings = {"URL": repository.as_uri(), "PIP_CACHE_DIR": str(tmp_path / "cache")}
    environment.shell(install, checkout, settings | {"CC": "/nonexistent/cc"})
    assert environment.run(IMPLEMENTATION) == "python\n"
    environment.shell(install, checkout, settings | {SWITCH: "yes"})
    assert environment.run(IMPLEMENTATION) == "python\n"
    environment.shell(f"{install} {told[tool]}", checkout, settings | {SWITCH: "yes"})
    assert environment.run(IMPLEMENTATION) == "c\n"


@pytest.mark.parametrize(
    "install", ["pip install", "pip install --upgrade", "uv pip install --upgrade"]
)
def test_a_new_commit_is_installed_over_an_old_one(
    checkout: Path, tmp_path: Path, install: str
) -> None:
    repository = tmp_path / "repository"
    run("git", "clone", "-q", checkout, repository)
    environment = Environment.make(tmp_path / "e", pip=install.startswith("pip"))
    seen = []
    for number in range(2):
        (repository / "packages/aiomysql/src/aiomysql/_marked.py").write_text(f"N = {number}\n")
        commit(repository)
        settings = {"URL": repository.as_uri(), SWITCH: "no"}
        environment.shell(f'{install} "git+$URL"', tmp_path, settings)
        assert environment.run("import aiomysql._marked as m; print(m.N)") == f"{number}\n"
        head = run("git", "rev-parse", "--short=12", "HEAD", cwd=repository).stdout.strip()
        seen.append(head)
        described = run(environment.python, "-m", "aiomysql").stdout
        assert f", all in one distribution, {aiomysql.__version__}+bundle.g{head}\n" in described
    assert len(set(seen)) == 2


def test_the_version_of_the_bundle(checkout: Path, tmp_path: Path) -> None:
    """It tells the commit where there is one, and is right without git or a repository."""
    told = "import runpy, sys; print(runpy.run_path(sys.argv[1])['bundle_version']())"

    def version(folder: Path, **env: str) -> str:
        path = folder / "packages" / "aiomysql" / "bundle_version.py"
        return run(sys.executable, "-c", told, path, env=env).stdout.strip()

    repository = tmp_path / "repository"
    run("git", "clone", "-q", checkout, repository)
    head = run("git", "rev-parse", "--short=12", "HEAD", cwd=repository).stdout.strip()
    bundle = f"{aiomysql.__version__}+bundle"
    assert version(repository) == f"{bundle}.g{head}"
    with (repository / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\n")
    assert version(repository) == f"{bundle}.g{head}.dirty"
    assert version(repository, PATH="/nonexistent") == bundle
    inside = repository / "unpacked"  # another repository's commit is not ours
    shutil.copytree(repository / "packages", inside / "packages")
    assert version(inside) == bundle
    (inside / ".git").write_text("gitdir: /nonexistent\n", "utf-8")
    assert version(inside) == bundle


CONNECT_IN_VAIN = """
import asyncio, aiomysql

async def main():
    await aiomysql.connect(unix_socket="/nonexistent/socket")

try:
    asyncio.run(main())
except aiomysql.OperationalError:
    pass
"""


# -- What the distributions say of themselves ------------------------------------------------------


def settings(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def test_the_root_says_what_the_distribution_of_its_name_says() -> None:
    root, member = settings(ROOT)["project"], settings(PACKAGES / "aiomysql")["project"]
    needed = root.pop("dependencies")
    del member["dependencies"]
    assert root == member
    projects = [settings(PACKAGES / layer.folder)["project"] for layer in LAYERS]
    # The extra `rsa` of the protocol is what `aiomysql` requires.
    rsa = projects[0]["optional-dependencies"]["rsa"]
    wanted = {item for project in projects for item in project["dependencies"]} | {*rsa}
    assert set(needed) == {item for item in wanted if not item.startswith("aiomysql")}


@pytest.mark.parametrize("folder", [ROOT, *(PACKAGES / layer.folder for layer in LAYERS)])
def test_it_claims_the_interpreters_that_are_tested(folder: Path) -> None:
    environments = tomllib.loads((ROOT / "hatch.toml").read_text("utf-8"))["envs"]
    (matrix,) = environments["hatch-test"]["matrix"]
    prefix = "Programming Language :: Python :: 3."
    claimed = [
        item.removeprefix("Programming Language :: Python :: ")
        for item in settings(folder)["project"]["classifiers"]
        if item.startswith(prefix)
    ]
    assert claimed == matrix["python"]
    assert settings(folder)["project"]["urls"]


# What installs a name from an index.  Ours are not there, or are others'.
INSTALLS = re.compile(
    r"\b(?:pip3?|pipx|uv|poetry|pdm|conda)\s(?:pip\s)?(?:install|add|tool)\b[^\n`]*"
)
BARE = re.compile(
    r"(?<![\w/.$=-])aiomysql(?:-\w+)?(?:\[[\w,]*\])?(?:[=<>~!]=?[\w.*]+)?(?=[\s`'\",;)]|$)"
)


def bare_names(text: str) -> list[str]:
    """The commands in a text that would install one of our names from an index."""
    found = INSTALLS.findall(text.replace("\\\n", " "))
    return [line for line in found if BARE.search(line) and "--no-index" not in line]


def test_nothing_printed_says_to_install_by_a_bare_name() -> None:
    assert bare_names("pip install aiomysql") == ["pip install aiomysql"]
    assert bare_names("run `uv add aiomysql-core[rsa]>=1`") == ["uv add aiomysql-core[rsa]>=1"]
    assert bare_names("uv pip install -U \\\n  aiomysql") != []
    assert bare_names("pip install ./packages/aiomysql git+https://x/aiomysql.git") == []
    assert bare_names("pip install --no-index --find-links dist aiomysql") == []
    suffixes = {".md", ".py", ".toml", ".pyi", ".c", ".h", ""}
    folders = [ROOT / name for name in ("docs", "packages", "shared", ".ci", "tests", "benchmarks")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes]
    told = {}
    for path in [*paths, *(path for path in ROOT.glob("*") if path.suffix in suffixes)]:
        if path.is_file() and path != Path(__file__):
            told[str(path.relative_to(ROOT))] = bare_names(path.read_text("utf-8"))
    told = {name: lines for name, lines in told.items() if lines}
    assert told == {}
    assert len(paths) > 200
