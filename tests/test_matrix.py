"""Thinning leaves nothing out that another run doesn't have."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from tests.matrix import SPREADS, Spread, runs, spread_of

TESTS = Path(__file__).parent
NAMES = [f"test_{number}" for number in range(200)]


def kept(spread: Spread | None, name: str) -> set[tuple[int, int, int]]:
    """The combinations of server, event loop and implementation that a test runs with."""
    return {
        (server, loop, implementation)
        for server, loop, implementation in product(range(3), range(2), range(2))
        if runs(spread, name, server, loop, implementation=implementation, servers=3)
    }


@pytest.mark.parametrize("path", SPREADS)
def test_what_is_spread_is_there(path: str) -> None:
    assert (TESTS / path).exists()
    assert spread_of(path) is SPREADS[path]


def test_a_module_goes_before_its_folder() -> None:
    assert spread_of("hostile/test_login.py") is SPREADS["hostile"]
    assert spread_of("core/test_streams.py") is None


def test_what_is_not_spread_runs_everywhere() -> None:
    assert len(kept(None, "test")) == 12


def test_pairs() -> None:
    """Each two of server, event loop and implementation meet in each test, in half of the runs."""
    for name in NAMES:
        found = kept(Spread.PAIRS, name)
        assert len(found) == 6
        assert {(server, loop) for server, loop, _ in found} == set(product(range(3), range(2)))
        assert {(server, built) for server, _, built in found} == set(product(range(3), range(2)))
        assert {(loop, built) for _, loop, built in found} == set(product(range(2), range(2)))


def test_one_server() -> None:
    """Each event loop with each implementation, on two of the servers or more."""
    for name in NAMES:
        found = kept(Spread.ONE_SERVER, name)
        assert len(found) == 4
        assert {(loop, built) for _, loop, built in found} == set(product(range(2), range(2)))
        assert len({server for server, _, _ in found}) > 1


def test_tests_are_spread_evenly() -> None:
    counted = [
        sum((0, loop, 0) in kept(spread, name) for name in NAMES)
        for spread in (Spread.PAIRS, Spread.ONE_SERVER)
        for loop in (0, 1)
    ]
    assert all(40 <= count <= 120 for count in counted)


def test_comparisons_run_once() -> None:
    assert {built for _, _, built in kept(Spread.ONCE, "test")} == {0}


@pytest.mark.parametrize("spread", [None, *Spread])
def test_tests_without_a_choice_run(spread: Spread | None) -> None:
    assert runs(spread, "test", None, None, implementation=0, servers=3)
