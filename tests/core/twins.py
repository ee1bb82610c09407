"""Finds the core's C module, for tests of both implementations."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from aiomysql_core._accelerator import HAS_C
from tests.protocol.row_bytes import c_may_be_missing

C_MODULE = "aiomysql_core._speedups"


def need_c() -> ModuleType:
    """The C module; skips the test where it is right that there is none."""
    if not HAS_C:
        pytest.skip("there is no C module for this system")
    try:
        return importlib.import_module(C_MODULE)
    except ModuleNotFoundError as exc:
        if exc.name != C_MODULE:
            raise
    if reason := c_may_be_missing():
        pytest.skip(f"the C module was not built: {reason}")
    pytest.fail(f"{C_MODULE} was not built: reinstall packages/aiomysql-core")
