"""Tests that test_raise_in_twins.py runs with the option; without it nobody collects them."""

from __future__ import annotations

import contextlib
import importlib

import pytest


def call() -> None:
    """Call a twin, without its name in this file."""
    module = importlib.import_module("aiomysql_core.waiting.ready")
    getattr(module, "Py" + "Ready")(1)


def test_calls_one() -> None:
    call()


def test_calls_one_and_swallows_the_error() -> None:
    with contextlib.suppress(AssertionError):
        call()


def test_calls_none() -> None:
    importlib.import_module("aiomysql_core.waiting.ready").Ready(1)


@pytest.mark.twins
def test_of_a_twin() -> None:
    call()


@pytest.mark.parametrize("implementation", ["c", "python"])
def test_of_both(implementation: str) -> None:
    if implementation == "python":
        call()
