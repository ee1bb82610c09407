"""The C sources: each unit and each header compiles by itself, without a warning."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.layers import PACKAGES

SHARED = PACKAGES.parent / "shared"
FOLDERS = sorted(PACKAGES.glob("*/src/*/c"))
COMPILER = next(filter(shutil.which, (os.environ.get("CC", ""), "gcc", "clang", "cc")), None)
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
#: Of what a header offers not everything is used when nobody includes it.
UNUSED = ["-Wno-unused-function", "-Wno-unused-variable", "-Wno-unused-const-variable"]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler on this machine")


def compile_alone(source: Path, folder: Path, *options: str) -> None:
    include = [f"-I{path}" for path in (sysconfig.get_path("include"), SHARED, folder)]
    command = [str(COMPILER), "-fsyntax-only", *WARNINGS, *options, *include]
    command += ["-x", "c", str(source)]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr


def test_there_are_sources() -> None:
    assert {folder.parent.name for folder in FOLDERS} >= {
        "aiomysql_protocol",
        "aiomysql_core",
        "aiomysql_pool",
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_headers_stand_alone(folder: Path) -> None:
    headers = sorted([*folder.rglob("*.h"), *SHARED.glob("*.h")])
    assert len(headers) > 5
    for header in headers:
        compile_alone(header, folder, *UNUSED)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_units_compile_alone(folder: Path) -> None:
    units = sorted(folder.rglob("*.c"))
    assert folder / "module.c" in units
    for unit in units:
        compile_alone(unit, folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_each_unit_begins_with_its_header(folder: Path) -> None:
    """So that no header needs what was included before it."""
    for unit in folder.rglob("*.c"):
        header = unit.with_suffix(".h")
        if header.exists():
            included = [line for line in unit.read_text("utf-8").splitlines() if "#include" in line]
            assert included[0] == f'#include "{header.relative_to(folder).as_posix()}"', unit
