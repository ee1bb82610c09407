"""The comparison of the ways to ask for one row, on the smallest scale."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aiomysql_core.implementation import IMPLEMENTATION
from benchmarks.ways import steps
from tests.servers import Server
from tests.servers.server import DSN_VARIABLE

ROOT = Path(__file__).parent.parent.parent


def run(server: Server, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ways", *arguments],
        cwd=ROOT,
        env={**os.environ, DSN_VARIABLE: server.dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("loop", [(), ("--uvloop",)], ids=["asyncio", "uvloop"])
def test_ways(server: Server, loop: tuple[str, ...]) -> None:
    if loop:
        pytest.importorskip("uvloop")
    shown = run(server, "--rounds", "1", "--way", "kept", sys.executable, *loop)
    assert re.search(r"(?m)^kept \+ DictCursor +1 +[\d.]+ us of CPU +[\d.]+ of kept", shown)
    assert re.search(r"(?m)^ +2 +[\d.]+ us of CPU +[\d.]+ of kept +[\d.]+ of 1", shown)
    assert "pooled, kept" in shown


@pytest.mark.slow
def test_sizes(server: Server) -> None:
    shown = run(server, "--rounds", "1", "--sizes")
    lines = re.findall(r"(?m)^ *\d+ +\d+ +\d+\.\d\d +[\d.]+ +[\d.]+ +-?[\d.]+$", shown)
    assert len(lines) == 19
    assert "What one more read costs" in shown


@pytest.mark.slow
@pytest.mark.skipif(IMPLEMENTATION != "c", reason="the Python implementation has other numbers")
def test_frames(server: Server) -> None:
    assert re.search(r'^ +"plain": \d+,$', run(server, "--frames"), re.MULTILINE)


def test_steps() -> None:
    lengths = [100, 200, 300, 400, 500, 600, 700]
    reads = [1.0, 1.01, 1.0, 1.5, 2.0, 1.96, 2.0]
    times = [11.0, 12.0, 13.0, 30.0, 22.0, 23.0, 24.0]
    found = steps(lengths, reads, times)
    assert [*found] == [2]
    assert found[2] == pytest.approx(7)
