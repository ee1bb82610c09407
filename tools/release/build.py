"""Builds what is published of a distribution, and checks it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.release.commands import run
from tools.release.packages import Package, Packages, ReleaseError

_SWITCH = "AIOMYSQL_BUILD_SPEEDUPS"
_UV = (sys.executable, "-m", "uv")


def series(root: Path) -> list[str]:
    """The Python series that are supported: hatch.toml's matrix of tests."""
    environments = tomllib.loads((root / "hatch.toml").read_text("utf-8"))["envs"]
    found: list[str] = environments["hatch-test"]["matrix"][0]["python"]
    return found


def interpreters(root: Path) -> list[str]:
    """Those of the supported ones that this machine has."""
    # pyenv's own commands refuse to run what is not the chosen version.
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    folders = [str(path) for path in sorted(pyenv.glob("versions/*/bin"))]
    path = os.pathsep.join([*folders, os.environ["PATH"]])
    found = []
    for wanted in series(root):
        find = (*_UV, "python", "find", "--no-python-downloads", "--no-project", "--system", wanted)
        try:
            found.append(run(*find, cwd=root, env={"PATH": path}).strip())
        except ReleaseError:
            print(f"Python {wanted} is not on this machine: no wheel with C for it")
    return found


def build(packages: Packages, package: Package, pythons: Sequence[str], folder: Path) -> list[Path]:
    """Build source archive, pure wheel, wheels with C and SBOM into `folder`; their paths.

    pythons: interpreters to make wheels with C for.  Wheels are built from the source archive, as
    users may have to.  Raises ReleaseError if something can't be built or is not as it should be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{package.stem}-{package.version}"
    for old in folder.glob(f"{stem}[-.]*"):
        old.unlink()
    # The time in archives is the commit's, so that two builds are alike.
    moment = run("git", "log", "-1", "--format=%ct", cwd=packages.root).strip()
    env = {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", moment)}
    _uv(packages, env, "build", "--sdist", "--out-dir", folder, package.folder)
    archive = folder / f"{stem}.tar.gz"
    _uv(packages, env | {_SWITCH: "no"}, "build", "--wheel", "--out-dir", folder, archive)
    for python in pythons if package.has_c else ():
        with tempfile.TemporaryDirectory() as name:
            options = ("--wheel", "--python", python, "--out-dir", name)
            _uv(packages, env | {_SWITCH: "yes"}, "build", *options, archive)
            (wheel,) = Path(name).glob("*.whl")
            _add(packages, wheel, folder, env)
    files = sorted(folder.glob(f"{stem}[-.]*"))
    run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=packages.root)
    _describe(packages, package, folder, env)
    return sorted(folder.glob(f"{stem}[-.]*"))


def _add(packages: Packages, wheel: Path, folder: Path, env: dict[str, str]) -> None:
    """Put a wheel into `folder`; on Linux with the oldest glibc it runs on in its name."""
    if sys.platform == "linux":
        # Raises an error if it needs a library that is not on every machine.
        repair = (sys.executable, "-m", "auditwheel", "repair", "-w", folder, wheel)
        run(*repair, cwd=packages.root, env=env)
    else:
        wheel.replace(folder / wheel.name)


def _describe(packages: Packages, package: Package, folder: Path, env: dict[str, str]) -> None:
    """Write the SBOM into `folder`: what an installation has now, in CycloneDX's JSON."""
    ours = [*packages.below(package), package]
    pure = env | {_SWITCH: "no"}
    with tempfile.TemporaryDirectory() as name:
        environment = Path(name, "env")
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        install = ("pip", "install", "--python", python)
        pinned = [f"{each.name}=={each.version}" for each in ours]
        for each in ours:
            built = folder / f"{each.stem}-{each.version}-py3-none-any.whl"
            if built.exists():
                shutil.copy(built, name)
            else:
                _uv(packages, pure, "build", "--wheel", "--out-dir", name, each.folder)
        _uv(packages, {}, "venv", "--python", sys.executable, environment)
        # First ours, from here and nowhere else; then what they need of others.
        _uv(packages, {}, *install, "--no-index", "--no-deps", "--find-links", name, *pinned)
        _uv(packages, {}, *install, "--find-links", name, *pinned)
        project = package.folder / "pyproject.toml"
        options = ("--output-reproducible", "--of", "JSON", "--pyproject", project)
        command = (sys.executable, "-m", "cyclonedx_py", "environment", *options, python)
        found = json.loads(run(*command, cwd=packages.root, env=env))
    # The version isn't in pyproject.toml, from which this is.
    version = str(package.version)
    purl = f"pkg:pypi/{package.name}@{version}"
    found["metadata"]["component"] |= {"version": version, "purl": purl}
    path = folder / f"{package.stem}-{version}.cdx.json"
    path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def _uv(packages: Packages, env: dict[str, str], *arguments: str | Path) -> None:
    run(*_UV, *arguments, cwd=packages.root, env=env)
