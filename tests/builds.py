"""Copies of the packages whose C modules are compiled in another way than for users.

For gcov (measure_coverage.py), with sanitizers (test_sanitizers.py), with faults (mutations.py).
Python takes a copy when its folder comes first in PYTHONPATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("aiomysql_protocol", "aiomysql_core", "aiomysql_pool", "aiomysql_sa", "aiomysql")
SHARED = ROOT / "shared"


def copy_packages(folder: Path) -> list[Path]:
    """Copy all packages into `folder`, without compiled modules; returns those that have C."""
    unwanted = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    for package in PACKAGES:
        source = ROOT / "packages" / package.replace("_", "-") / "src" / package
        shutil.copytree(source, folder / package, ignore=unwanted)
    return [folder / package for package in PACKAGES if (folder / package / "c").is_dir()]


def library_of(package: Path) -> Path:
    """Where the compiled module of a package belongs."""
    return package / f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"


def compile_package(
    compiler: str, package: Path, objects: Path, compiling: Sequence[str], linking: Sequence[str]
) -> Path:
    """Compile the C module of a package, with these options; returns the library.

    objects: the folder for the objects; what is there already and newer than all C files stays.
    """
    return compile_library(
        compiler, package / "c", library_of(package), objects, compiling, linking
    )


def compile_library(
    compiler: str,
    folder: Path,
    library: Path,
    objects: Path,
    compiling: Sequence[str],
    linking: Sequence[str],
) -> Path:
    """Compile all C sources of a folder and those in it into a library; returns that.

    Raises RuntimeError with what the compiler says.
    """
    includes = [f"-I{path}" for path in (sysconfig.get_path("include"), SHARED, folder)]
    headers = max((path.stat().st_mtime for path in folder.rglob("*.h")), default=0.0)
    made = []
    for source in sorted(folder.rglob("*.c")):
        target = (objects / source.relative_to(folder)).with_suffix(".o")
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(str(target))
        changed = max(headers, source.stat().st_mtime)
        if not target.exists() or target.stat().st_mtime <= changed:
            options = ["-fPIC", *compiling, *includes]
            _call([compiler, *options, "-c", str(source), "-o", str(target)])
    _call([compiler, "-shared", *linking, *made, "-o", str(library)])
    return library


def _call(command: list[str]) -> None:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
