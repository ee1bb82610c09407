"""What the driver says where only the pool's C module is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aiomysql_core.implementation import IMPLEMENTATION, REBUILD
from aiomysql_pool import implementation
from tests.core.test_announcement import run
from tests.layers import PACKAGES

POOLS = """
import asyncio, logging
import aiomysql
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")

async def main():
    for _ in range(2):
        try:
            await aiomysql.create_pool(unix_socket="/nonexistent/socket")
        except aiomysql.OperationalError:
            pass

print(aiomysql.implementation)
asyncio.run(main())
"""
DESCRIBE = "import aiomysql.__main__ as m; print(m.describe())"

pytestmark = pytest.mark.skipif(IMPLEMENTATION == "python", reason="needs the C modules")


@pytest.fixture
def without_c(tmp_path: Path) -> Path:
    """The pool's sources, without the C module."""
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "_speedups_missing.txt")
    source = PACKAGES / "aiomysql-pool" / "src" / "aiomysql_pool"
    return shutil.copytree(source, tmp_path / "aiomysql_pool", ignore=ignored)


def test_the_layers_agree() -> None:
    assert implementation.IMPLEMENTATION == IMPLEMENTATION
    assert not implementation.build_failed()
    assert "\nPool:" not in run(DESCRIBE)[0]


def test_never_built_is_told_by_the_command(without_c: Path) -> None:
    printed, logged = run(POOLS, without_c.parent)
    assert printed == "c"
    assert [line.partition(" ")[0] for line in logged] == ["DEBUG"]  # the core's
    described, _ = run(DESCRIBE, without_c.parent)
    assert "\nPool:           Python (aiomysql_pool._speedups was not built)\n" in described
    assert "To build C" not in described


def test_a_failed_build_is_a_warning_once(without_c: Path) -> None:
    (without_c / "_speedups_missing.txt").write_text("no compiler\n", "utf-8")
    printed, logged = run(POOLS, without_c.parent)
    assert printed == "c"
    (line,) = [line for line in logged if not line.startswith("DEBUG")]
    assert line.startswith(
        "WARNING aiomysql implementation: python, which takes more processor time than the C one: "
        "aiomysql_pool._speedups was not built: no compiler. To build it anew, add "
    )
    described, _ = run(DESCRIBE, without_c.parent)
    assert "\nPool:           Python (aiomysql_pool._speedups was not built: no com" in described
    assert f"\nTo build C:     install again with {REBUILD}\n" in described
