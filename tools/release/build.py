"""Builds what is published of a distribution, and checks it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.release.commands import ReleaseError, run
from tools.release.packages import Package, Packages

_SWITCH = "AIOMYSQL_BUILD_SPEEDUPS"
_UV = (sys.executable, "-m", "uv")

_WITH_C = {_SWITCH: "yes"}
if sys.platform == "linux":
    # Not the interpreter's own: that may have the linker write this machine's folders (RUNPATH).
    _WITH_C["LDSHARED"] = "cc -shared"


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


def build(
    packages: Packages, name: str, pythons: Sequence[str], folder: Path, *, is_trial: bool
) -> list[Path]:
    """Build source archive, pure wheel, wheels with C and SBOM of the distribution `name` into
    `folder`; their paths.

    pythons: interpreters to make wheels with C for.  Wheels are built from the source archive, as
    users may have to, and that from what is committed, whatever else is in the tree.  is_trial:
    also where that is not what the version's tag has.  Raises ReleaseError if something can't be
    built or is not as it should be.
    """
    if not is_trial:
        _check_tag(packages, packages.find(name))
    # The time in archives is the commit's, so that two builds are alike.
    moment = packages.git("log", "-1", "--format=%ct").strip()
    env = {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", moment)}
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary, "committed.tar")
        packages.git("archive", "--output", archive, "HEAD")
        with tarfile.open(archive) as tar:
            tar.extractall(Path(temporary, "tree"), filter="data")
        committed = Packages(Path(temporary, "tree"))
        return _build(committed, committed.find(name), pythons, folder, env)


def _check_tag(packages: Packages, package: Package) -> None:
    """Raise ReleaseError unless the tree is what the tag of the package's version has."""
    packages.check_clean()
    tag = package.tag()
    found = packages.git("tag", "--points-at", "HEAD").split()
    if tag not in found:
        raise ReleaseError(f"this is not the commit that {tag} is on; --trial builds it anyway")


def _build(
    packages: Packages, package: Package, pythons: Sequence[str], folder: Path, env: dict[str, str]
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{package.stem}-{package.version}"
    for old in _files(folder, stem):
        old.unlink()
    _uv(packages, env, "build", "--sdist", "--out-dir", folder, package.folder)
    archive = folder / f"{stem}.tar.gz"
    _uv(packages, env | {_SWITCH: "no"}, "build", "--wheel", "--out-dir", folder, archive)
    for python in pythons if package.has_c else ():
        with tempfile.TemporaryDirectory() as name:
            options = ("--wheel", "--python", python, "--out-dir", name)
            _uv(packages, env | _WITH_C, "build", *options, archive)
            (wheel,) = Path(name).glob("*.whl")
            _add(packages, wheel, folder, env)
    files = _files(folder, stem)
    run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=packages.root)
    _describe(packages, package, folder, env)
    return _files(folder, stem)


def _files(folder: Path, stem: str) -> list[Path]:
    """What is in `folder` of one version; not of 1.0.0.post1 for 1.0.0."""
    names = (f"{stem}-*.whl", f"{stem}.tar.gz", f"{stem}.cdx.json")
    return sorted(path for name in names for path in folder.glob(name))


def _add(packages: Packages, wheel: Path, folder: Path, env: dict[str, str]) -> None:
    """Put a wheel into `folder`; on Linux with the oldest glibc it runs on in its name."""
    if sys.platform == "linux":
        # Raises an error if it needs a library that is not on every machine.
        # Debugging information names the folders of the build.
        repair = (sys.executable, "-m", "auditwheel", "repair", "--strip", "-w", folder, wheel)
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
