"""The session on mutations of what servers say, on kept seeds, and guided by coverage."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import responses
from tests.fuzz.sessions import EVERY, PREPARED, check, play, seeds

KEPT = dict(seeds())
CORPUS = [*KEPT.values(), *responses()]


@pytest.mark.parametrize("name", KEPT)
def test_seeds(name: str) -> None:
    check(KEPT[name])


def test_the_scripts_of_hostile_servers() -> None:
    for data in responses():
        check(data)


@pytest.mark.parametrize("name", [name for name in KEPT if "login" not in name])
def test_good_responses_are_understood(name: str) -> None:
    """Otherwise the mutations would all end at the first byte."""
    data = KEPT[name]
    if name.startswith(("mariadb", "mysql")):
        error, _, _, outcomes = play(data[0], data[1:], 100)
        assert error == ""
        assert outcomes[0]
        if data[0] & PREPARED:
            assert len(outcomes) == 3
            assert outcomes[1] == outcomes[2]


SPECIAL = (b"\0", b"\xfb", b"\xfc\xff\xff", b"\xfd\xff\xff\xff", b"\xfe" + b"\xff" * 8, b"\xff")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A response that was changed in a few places."""
    data = bytearray(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, min(len(data), at + 40)))
        how = draw(st.sampled_from(["byte", "special", "delete", "repeat", "cut", "splice"]))
        if how == "byte" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif how == "special":
            piece = draw(st.sampled_from(SPECIAL))
            data[at : at + len(piece)] = piece
        elif how == "delete":
            del data[at:to]
        elif how == "repeat":
            data[at:at] = data[at:to]
        elif how == "cut":
            del data[at:]
        elif how == "splice":
            data[at:] = draw(st.sampled_from(CORPUS))[1:][at:]
    if not data:
        return b""
    if draw(st.booleans()):
        data[0] = draw(st.integers(0, EVERY))
    return bytes(data)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=mutated())
def test_mutations(data: bytes) -> None:
    check(data)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    check(data)


def test_coverage_guided(tmp_path: Any) -> None:
    """Some seconds of it; `hatch run fuzz:session` takes as long as it is given."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: hatch run fuzz:test")
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", "-max_total_time=10"]
    crashes = f"-artifact_prefix={tmp_path}/"
    run = subprocess.run([*command, crashes], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Done" in run.stderr
