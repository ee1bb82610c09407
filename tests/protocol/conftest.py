"""Fixtures of the protocol tests."""

from __future__ import annotations

import pytest

from .row_bytes import MakeDecoder, implementation


@pytest.fixture(params=["c", "python"])
def make(request: pytest.FixtureRequest) -> MakeDecoder:
    return implementation(request.param)
