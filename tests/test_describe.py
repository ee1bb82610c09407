"""``python -m aiomysql`` says what is installed and which implementation runs."""

from __future__ import annotations

import platform
import ssl
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

import pytest

import aiomysql
import aiomysql.__main__ as command
from aiomysql_core.implementation import reason
from tests.layers import LAYERS

pytestmark = pytest.mark.slow


def test_it_says_everything() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "aiomysql"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stderr == ""
    assert result.stdout == f"{command.describe()}\n"
    for layer in LAYERS:
        assert f"{layer.folder} {version(layer.folder)}" in result.stdout
    for name in ("PyMySQL", "SQLAlchemy", "cryptography"):
        assert f"{name} {version(name)}" in result.stdout
    words = {"c": "C", "python": "Python"}
    assert f"Implementation: {words[aiomysql.implementation]} ({reason()})" in result.stdout
    assert ssl.OPENSSL_VERSION in result.stdout
    assert f"{platform.python_implementation()} {platform.python_version()} " in result.stdout
    assert "asyncio.SelectorEventLoop" in result.stdout
    assert ("uvloop" in result.stdout) == (find_spec("uvloop") is not None)


def test_layers_that_differ_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core's module may be missing alone."""
    monkeypatch.setattr(command, "IMPLEMENTATION", "python")
    monkeypatch.setattr(command, "ROWS", "c")
    lines = command.describe().splitlines()
    assert "Rows, values:   C" in lines
    monkeypatch.setattr(command, "ROWS", "python")
    assert "Rows, values:" not in command.describe()


def test_what_is_not_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_OTHERS", ("no-such-distribution-anywhere",))
    assert "no-such-distribution-anywhere (not installed)" in command.describe()
