"""Fixtures of the protocol tests."""

from __future__ import annotations

import pytest

from .row_bytes import (
    MakeBinaryDecoder,
    MakeDecoder,
    MakeDicts,
    binary_implementation,
    dicts_implementation,
    implementation,
)


@pytest.fixture(params=["c", "python"])
def make(request: pytest.FixtureRequest) -> MakeDecoder:
    return implementation(request.param)


@pytest.fixture(params=["c", "python"])
def make_binary(request: pytest.FixtureRequest) -> MakeBinaryDecoder:
    return binary_implementation(request.param)


@pytest.fixture(params=["c", "python"])
def dict_rows(request: pytest.FixtureRequest) -> MakeDicts:
    return dicts_implementation(request.param)
