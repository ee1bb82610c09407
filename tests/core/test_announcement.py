"""The driver says once which implementation runs, and what it means if C could not be built."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aiomysql
from aiomysql_core import implementation
from aiomysql_protocol import implementation as protocol
from tests.layers import PACKAGES

pytestmark = pytest.mark.slow

CONNECTS = """
import asyncio, logging
import aiomysql
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")

async def main():
    for _ in range(2):
        try:
            await aiomysql.connect(unix_socket="/nonexistent/socket")
        except aiomysql.OperationalError:
            pass

print(aiomysql.implementation)
asyncio.run(main())
"""


def run(program: str, *sources: Path, **env: str) -> tuple[str, list[str]]:
    """What a program prints, and what the driver logs; `sources`: where its layers are."""
    others = {name: value for name, value in os.environ.items() if name != "AIOMYSQL_IMPL"}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=others | {"PYTHONPATH": os.pathsep.join(map(str, sources))} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    logged = [line for line in result.stderr.splitlines() if " aiomysql " in line]
    return result.stdout.strip(), logged


@pytest.fixture
def without_c(tmp_path: Path) -> list[Path]:
    """The sources of the layers that have C modules, without those."""
    for name in ("protocol", "core", "pool"):
        package = f"aiomysql_{name}"
        source = PACKAGES / f"aiomysql-{name}" / "src" / package
        ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "_speedups_missing.txt")
        shutil.copytree(source, tmp_path / package, ignore=ignored)
    return [tmp_path]


def test_the_layers_agree() -> None:
    assert aiomysql.implementation == implementation.IMPLEMENTATION
    if protocol.IMPLEMENTATION == "python":
        assert aiomysql.implementation == "python"
    wanted = os.environ.get("AIOMYSQL_IMPL")
    assert aiomysql.implementation == (wanted or aiomysql.implementation)
    if wanted:
        assert implementation.reason() == f"AIOMYSQL_IMPL is {wanted!r}"


@pytest.mark.skipif(protocol.IMPLEMENTATION == "python", reason="needs the C modules")
def test_c_is_said_once_at_debug_level() -> None:
    printed, logged = run(CONNECTS)
    assert printed == "c"
    (line,) = logged
    assert line.startswith("DEBUG aiomysql implementation: c (aiomysql_")
    assert line.endswith("._speedups was built)")


def test_python_by_choice_is_said_once_at_debug_level(without_c: list[Path]) -> None:
    (without_c[0] / "aiomysql_core" / "_speedups_missing.txt").write_text("no compiler\n", "utf-8")
    printed, logged = run(CONNECTS, *without_c, AIOMYSQL_IMPL="python")
    assert printed == "python"
    assert logged == ["DEBUG aiomysql implementation: python (AIOMYSQL_IMPL is 'python')"]


def test_never_built_is_said_once_at_debug_level(without_c: list[Path]) -> None:
    printed, logged = run(CONNECTS, *without_c)
    assert printed == "python"
    assert logged == [
        "DEBUG aiomysql implementation: python (aiomysql_protocol._speedups was not built)"
    ]


@pytest.mark.parametrize("failed", ["aiomysql_protocol", "aiomysql_core"])
def test_a_failed_build_is_a_warning_once(without_c: list[Path], failed: str) -> None:
    if failed == "aiomysql_core":  # the protocol's is there
        if protocol.IMPLEMENTATION == "python":
            pytest.skip("needs the C modules")
        shutil.rmtree(without_c[0] / "aiomysql_protocol")
    (without_c[0] / failed / "_speedups_missing.txt").write_text("no compiler\n", "utf-8")
    printed, logged = run(CONNECTS, *without_c)
    assert printed == "python"
    (line,) = logged
    assert line.startswith(
        "WARNING aiomysql implementation: python, which takes more processor time than the C one: "
        f"{failed}._speedups was not built: no compiler. To build it anew, add --force-reinstall "
    )
    described, _ = run("import aiomysql.__main__ as m; print(m.describe())", *without_c)
    assert f"\nTo build C:     install again with {implementation.REBUILD}\n" in described


def test_a_warning_is_seen_without_any_logging_set_up(without_c: list[Path]) -> None:
    (without_c[0] / "aiomysql_core" / "_speedups_missing.txt").write_text("no compiler\n", "utf-8")
    quiet = CONNECTS.replace("logging.basicConfig(", "dict(").replace(
        "print(", "import sys; sys.stderr = sys.stdout; print("
    )
    printed, _ = run(quiet, *without_c)
    assert "takes more processor time than the C one" in printed


def test_the_command_tells_what_it_insists_on_without_a_traceback(without_c: list[Path]) -> None:
    (without_c[0] / "aiomysql_protocol" / "_speedups_missing.txt").write_text("no cc\n", "utf-8")
    env = {"PYTHONPATH": str(without_c[0]), "AIOMYSQL_IMPL": "c"}
    told = "AIOMYSQL_IMPL is 'c', but aiomysql_protocol._speedups was not built: no cc"
    for arguments, expected in (
        (["-m", "aiomysql"], f"aiomysql can't be used: {told}\n"),
        (["-c", "import aiomysql"], f"ImportError: {told}\n"),
    ):
        result = subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 1
        assert result.stderr.endswith(expected)
        assert ("Traceback" in result.stderr) == ("-c" in arguments)


def test_the_logger_is_the_classic_one() -> None:
    assert logging.getLogger("aiomysql") is aiomysql.log.logger
