"""Finds the C modules of the layers with an event loop, for tests of both implementations."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from aiomysql_core._accelerator import HAS_C
from tests.protocol.row_bytes import c_may_be_missing


def need_c(layer: str = "core") -> ModuleType:
    """The layer's C module; skips the test where it is right that there is none."""
    if not HAS_C:
        pytest.skip("there is no C module for this system")
    name = f"aiomysql_{layer}._speedups"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
    if reason := c_may_be_missing():
        pytest.skip(f"the C module was not built: {reason}")
    pytest.fail(f"{name} was not built: reinstall packages/aiomysql-{layer}")
