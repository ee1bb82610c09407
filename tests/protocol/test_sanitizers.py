"""The C module under AddressSanitizer and UndefinedBehaviorSanitizer.

It is compiled with both, and its tests run with it in an interpreter of their own, which ends at
the first finding.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import aiomysql_protocol

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent
PACKAGE = Path(aiomysql_protocol.__file__).parent
SHARED = TESTS.parent.parent / "shared"
TESTED_BY = [
    *("test_row_values.py", "test_rows.py", "test_rows_random.py", "test_binary_rows.py"),
    *("test_responses.py", "test_common_literals.py", "test_parameters.py"),
    *("test_row_literals.py", "test_payloads.py", "test_requests.py"),
    "test_dealloc.py",
]
FLAGS = [
    *("-shared", "-fPIC", "-g", "-O1", "-fno-omit-frame-pointer"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    *("-Wall", "-Wextra", "-Werror"),
]

# `bytes` is a Python object's memory: an object of 64 bytes and the zero after them.
CANARY = """
#include <limits.h>

int harmless(const char *bytes) { return bytes[64]; }

int overread(const char *bytes) { return bytes[65]; }

int overflow(const char *bytes) { return INT_MAX - 54 + bytes[0]; }
"""

CALL_CANARY = """
import ctypes, sys
print(getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])(bytes(b"7" * int(sys.argv[3]))))
"""


def runtime_of(compiler: str) -> str:
    """Where `compiler` has AddressSanitizer's runtime library; empty if it has none."""
    response = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], text=True, capture_output=True, check=False
    )
    path = response.stdout.strip()
    return path if os.path.isabs(path) and os.path.exists(path) else ""


@pytest.fixture(scope="module")
def compiler() -> str:
    for name in (os.environ.get("CC", ""), "gcc", "cc"):
        if name and shutil.which(name) and runtime_of(name):
            return name
    pytest.skip("no C compiler with the sanitizers' runtime library on this machine")


def compile_library(compiler: str, folder: Path, library: Path) -> None:
    """Compile all C sources of a folder and those in it."""
    folders = [f"-I{path}" for path in (sysconfig.get_path("include"), SHARED, folder)]
    sources = sorted(str(path) for path in folder.rglob("*.c"))
    command = [compiler, *FLAGS, *folders, *sources, "-o", str(library)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def run(compiler: str, *arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the sanitizers' runtime loaded first."""
    env = {
        **os.environ,
        "LD_PRELOAD": runtime_of(compiler),
        # Python's own memory that lives until the end is no finding.
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        # Every object in a block of its own, with guarded ends.
        "PYTHONMALLOC": "malloc",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(path), *sys.path])),
        "AIOMYSQL_IMPL": "c",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=path,
        env=env,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("function", "report"),
    [
        ("overread", "AddressSanitizer: heap-buffer-overflow"),
        ("overflow", "signed integer overflow"),
    ],
)
def test_sanitizers_are_on(compiler: str, tmp_path: Path, function: str, report: str) -> None:
    source, library = tmp_path / "canary.c", tmp_path / "canary.so"
    source.write_text(CANARY)
    compile_library(compiler, tmp_path, library)
    fine = run(compiler, "-c", CALL_CANARY, str(library), "harmless", "64", path=tmp_path)
    assert (fine.returncode, fine.stdout) == (0, "0\n"), fine.stderr
    found = run(compiler, "-c", CALL_CANARY, str(library), function, "64", path=tmp_path)
    assert found.returncode != 0
    assert report in found.stderr


def test_tests_of_the_module_under_sanitizers(compiler: str, tmp_path: Path) -> None:
    package = tmp_path / "aiomysql_protocol"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    library = package / f"_speedups{suffix}"
    compile_library(compiler, PACKAGE / "c", library)
    check = "from aiomysql_protocol import _speedups; print(_speedups.__file__)"
    loaded = run(compiler, "-c", check, path=tmp_path)
    assert loaded.stdout == f"{library}\n", loaded.stderr
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    twins\n")
    options = ["-c", str(tmp_path / "pytest.ini"), "--rootdir", str(TESTS.parent.parent)]
    options += ["--confcutdir", str(TESTS), "--import-mode=importlib", "-q", "-x"]
    # Eager tasks are Python's affair, and of some versions only; servers are another fixture's.
    # What is about size or depth takes long, and is nothing new in kind.
    unneeded = "not python and not servers and not eager and not many_columns and not nest"
    options += ["-p", "no:cacheprovider", "-k", unneeded, "-W", "error"]
    tests = [str(TESTS / name) for name in TESTED_BY]
    done = run(compiler, "-m", "pytest", *options, *tests, path=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
