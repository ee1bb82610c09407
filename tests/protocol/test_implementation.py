"""The choice between the C and the Python implementation, each case in a fresh interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import aiomysql_protocol
from aiomysql_protocol.implementation import IMPLEMENTATION
from aiomysql_protocol.rows.cells import CellKind
from aiomysql_protocol.rows.text import TextRowDecoder

from .row_bytes import c_decoder, need_c, payload, plan

WHICH = "from aiomysql_protocol.implementation import IMPLEMENTATION; print(IMPLEMENTATION)"
LIBRARY = f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"


def python(code: str, folder: Path | None, impl: str | None) -> subprocess.CompletedProcess[str]:
    """Run `code` with AIOMYSQL_IMPL set to `impl`, and the package taken from `folder` if given."""
    env = {name: value for name, value in os.environ.items() if name != "AIOMYSQL_IMPL"}
    if impl is not None:
        env["AIOMYSQL_IMPL"] = impl
    path = [str(folder), *sys.path] if folder is not None else sys.path
    env["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=env,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    """A folder with a copy of the package that has no compiled module."""
    source = Path(aiomysql_protocol.__file__).parent
    skip = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(source, tmp_path / "aiomysql_protocol", ignore=skip)
    return tmp_path


def test_decoder_is_of_the_implementation_that_was_chosen() -> None:
    decoder = TextRowDecoder([plan(CellKind.INT)])
    module = {"c": "aiomysql_protocol._speedups", "python": "aiomysql_protocol.rows.text"}
    assert type(decoder).__module__ == module[IMPLEMENTATION]
    assert decoder.decode_row(payload(b"1")) == (1,)
    assert os.environ.get("AIOMYSQL_IMPL") in (None, "", IMPLEMENTATION)


@pytest.mark.parametrize("impl", [None, ""])
def test_unset_means_c_where_built(impl: str | None) -> None:
    expected = "python" if c_decoder() is None else "c"
    assert python(WHICH, None, impl).stdout == f"{expected}\n"


def test_c_on_request() -> None:
    need_c()
    assert python(WHICH, None, "c").stdout == "c\n"


def test_python_on_request() -> None:
    code = WHICH + "; import sys; print('aiomysql_protocol._speedups' in sys.modules)"
    assert python(code, None, "python").stdout == "python\nFalse\n"


def test_unset_without_the_c_module(pure: Path) -> None:
    result = python(WHICH, pure, None)
    assert (result.stdout, result.stderr) == ("python\n", "")


def test_c_on_request_without_the_c_module(pure: Path) -> None:
    result = python(WHICH, pure, "c")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "ImportError: AIOMYSQL_IMPL is 'c', but aiomysql_protocol._speedups was not built"
    )


def test_a_second_import_says_the_same(pure: Path) -> None:
    """What the first attempt has imported stays, without the package."""
    again = "try:\n    import aiomysql_core\nexcept ImportError as error:\n    print(error)\n"
    first, second = python(again * 2, pure, "c").stdout.splitlines()
    assert first == second
    assert "AIOMYSQL_IMPL is 'c', but aiomysql_protocol._speedups was not built" in first


@pytest.mark.parametrize("impl", ["C", "cython", "yes", " c"])
def test_unknown_implementation(impl: str) -> None:
    result = python(WHICH, None, impl)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f'ImportError: AIOMYSQL_IMPL must be "c", "python" or unset, not {impl!r}'
    )


@pytest.mark.parametrize("impl", [None, "c"])
def test_broken_library_is_no_reason_to_fall_back(pure: Path, impl: str | None) -> None:
    (pure / "aiomysql_protocol" / LIBRARY).write_bytes(b"not a library")
    result = python(WHICH, pure, impl)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "AIOMYSQL_IMPL" not in last


@pytest.mark.parametrize("impl", [None, "c"])
def test_another_missing_module_is_no_reason_to_fall_back(pure: Path, impl: str | None) -> None:
    (pure / "aiomysql_protocol" / "_speedups.py").write_text("import no_such_module\n")
    result = python(WHICH, pure, impl)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: No module named 'no_such_module'"
    )


# Python 3.12.1 itself crashes at the end of an interpreter that has imported no more than pymysql,
# so there only one is made, and none is ended.
IN_ANOTHER_INTERPRETER = """
import os, sys
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters
code = '''
import sys
sys.path[:] = {path!r}
from aiomysql_protocol._speedups import TextRowDecoder
from aiomysql_protocol.rows.cells import CellKind, CellPlan
decoder = TextRowDecoder([CellPlan(CellKind.DATE, None, None, "a")])
print(decoder.decode_row(bytes([10]) + b"2024-01-02"), flush=True)
'''
for _ in range(2):
    one = interpreters.create()
    problem = interpreters.run_string(one, code)
    assert problem is None, problem
    if sys.version_info[:2] == (3, 12):
        os._exit(0)
    interpreters.destroy(one)
"""


@pytest.mark.slow
def test_c_in_other_interpreters() -> None:
    need_c()
    result = python(IN_ANOTHER_INTERPRETER.replace("{path!r}", repr(sys.path)), None, "c")
    assert result.returncode == 0, result.stderr
    rounds = 1 if sys.version_info[:2] == (3, 12) else 2
    assert result.stdout == "(datetime.date(2024, 1, 2),)\n" * rounds
