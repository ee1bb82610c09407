"""Fixtures of the protocol tests."""

from __future__ import annotations

import pytest

from .row_bytes import (
    DrainRows,
    MakeBinaryDecoder,
    MakeDecoder,
    binary_implementation,
    drain_implementation,
    implementation,
)


@pytest.fixture(params=["c", "python"])
def make(request: pytest.FixtureRequest) -> MakeDecoder:
    return implementation(request.param)


@pytest.fixture(params=["c", "python"])
def make_binary(request: pytest.FixtureRequest) -> MakeBinaryDecoder:
    return binary_implementation(request.param)


@pytest.fixture(params=["c", "python"])
def drain_rows(request: pytest.FixtureRequest) -> DrainRows:
    return drain_implementation(request.param)
