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
    assert spread_of("core/test_values.py") is SPREADS["core/test_values.py"]
    assert spread_of("core/test_values_more.py") is None


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


def test_single() -> None:
    """Each implementation on a server and an event loop that the other one does not have."""
    for name in NAMES:
        (c_server, c_loop, c), (server, loop, python) = sorted(
            kept(Spread.SINGLE, name), key=lambda combination: combination[2]
        )
        assert (c, python) == (0, 1)
        assert c_server != server
        assert c_loop != loop
    found = set().union(*(kept(Spread.SINGLE, name) for name in NAMES))
    assert len(found) == 12


def test_what_runs_once_is_spread_alike() -> None:
    """What is left out is what another implementation would have had."""
    for once, spread in ((Spread.ONCE_PAIRS, Spread.PAIRS), (Spread.ONCE_SINGLE, Spread.SINGLE)):
        for name in NAMES:
            built = {combination for combination in kept(spread, name) if not combination[2]}
            assert kept(once, name) == built
    for name in NAMES:
        assert {server for server, _, _ in kept(Spread.ONCE_PAIRS, name)} == {0, 1, 2}


def test_tests_are_spread_evenly() -> None:
    for spread, shares in ((Spread.PAIRS, 2), (Spread.ONE_SERVER, 3), (Spread.SINGLE, 6)):
        for loop in (0, 1):
            count = sum((0, loop, 0) in kept(spread, name) for name in NAMES)
            assert 0.6 < count * shares / len(NAMES) < 1.4


def test_comparisons_run_once() -> None:
    for spread in Spread:
        built = {implementation for _, _, implementation in kept(spread, "test")}
        assert built == ({0} if spread.is_once else {0, 1})


@pytest.mark.parametrize("spread", [None, *Spread])
def test_tests_without_a_choice_run(spread: Spread | None) -> None:
    assert runs(spread, "test", None, None, implementation=0, servers=3)
