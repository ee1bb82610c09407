"""Core's C module under AddressSanitizer and UndefinedBehaviorSanitizer, with a real server."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

import aiomysql_core
from tests.protocol.test_sanitizers import compile_library, compiler, run
from tests.servers import DSN_NAME, Server

__all__ = ["compiler"]

TESTS = Path(__file__).parent
PACKAGE = Path(aiomysql_core.__file__).parent
TESTED_BY = ["test_fast_path.py", "test_cursor_state.py"]


def test_tests_of_the_module_under_sanitizers(
    compiler: str,
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = tmp_path / "aiomysql_core"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    library = package / f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"
    compile_library(compiler, PACKAGE / "_speedups.c", library)
    check = "from aiomysql_core import _speedups; print(_speedups.__file__)"
    loaded = run(compiler, "-c", check, path=tmp_path)
    assert loaded.stdout == f"{library}\n", loaded.stderr
    args = server.connect_args
    where = f"{args['user']}:{args.get('password', '')}@{args['host']}:{args['port']}"
    monkeypatch.setenv("AIOMYSQL_TEST_DSN", f"mysql://{where}/{server.database}")
    monkeypatch.setenv("SERVER", DSN_NAME)
    root = TESTS.parent.parent
    options = ["-c", str(root / "pyproject.toml"), "--rootdir", str(root), "-q", "-x"]
    options += ["-p", "no:cacheprovider", "-k", "not uvloop and not python"]
    tests = [str(TESTS / name) for name in TESTED_BY]
    done = run(compiler, "-m", "pytest", *options, *tests, path=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
