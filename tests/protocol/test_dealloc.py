"""How objects of C types go: while an exception is under way, in deep nests, with their module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .c_objects import ALONE, MAKERS, speedups
from .row_bytes import need_c

ROOT = Path(__file__).parents[2]

#: Garbage with its types and their module in it, when the interpreter ends and before.
GARBAGE = """
import faulthandler, gc, sys, weakref
from tests.protocol.c_objects import each, speedups

faulthandler.enable()
module = weakref.ref(speedups())


class Late:
    def __del__(self):
        try:
            int("no number")
        except ValueError:
            pass


def leave():
    for _ in range(40):  # more than are kept for the next ones
        cycle = [Late()]
        cycle += each(cycle)


gc.collect()
gc.disable()  # the types are found first, and cleared first
leave()
"""
AT_THE_END = GARBAGE + "cycle = []; cycle += each(cycle); print('fine')"
WITH_THE_MODULES = """
del each, speedups
for name in list(sys.modules):
    if name.startswith(("aiomysql_", "tests")):
        del sys.modules[name]
for _ in range(3):
    gc.collect()
assert module() is None
print("fine")
"""

NEST = """
import faulthandler, sys, threading
from tests.protocol.c_objects import MAKERS

faulthandler.enable()
make = MAKERS[sys.argv[1]]


def run():
    nest = None
    for _ in range(20_000):
        nest = make(nest)
    nest = None
    print("fine")


threading.stack_size(1 << 20)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


@pytest.fixture(autouse=True)
def _with_c() -> None:
    need_c()


def assert_fine(*arguments: str) -> None:
    """Run a program that is to print "fine"."""
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


class Loud:
    """Runs code when it goes, also with exceptions."""

    def __init__(self, gone: list[str]) -> None:
        self.gone = gone
        self.state = MAKERS["ResultState"](None)

    def __del__(self) -> None:
        try:
            int("no number")
        except ValueError:
            self.gone.append("gone")


def test_every_type_is_here() -> None:
    types = {name for name, found in vars(speedups()).items() if isinstance(found, type)}
    assert types == set(MAKERS)
    for name, make in MAKERS.items():
        assert type(make(None)).__name__ == name


@pytest.mark.parametrize("name", MAKERS)
def test_exception_under_way_survives(name: str) -> None:
    make: Any = MAKERS[name]
    gone: list[str] = []
    with pytest.raises(ZeroDivisionError):
        [make(Loud(gone)), 1 / 0]
    assert gone == ["gone"]
    gone.clear()
    empty: dict[str, int] = {}
    with pytest.raises(KeyError) as caught:
        [[make(Loud(gone))], make(Loud(gone)), empty["missing"]]
    assert caught.value.args == ("missing",)
    assert gone == ["gone"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ALONE])
def test_deep_nest(name: str) -> None:
    assert_fine(NEST, name)


def test_garbage_at_the_end_of_the_interpreter() -> None:
    assert_fine(AT_THE_END)


@pytest.mark.slow
def test_garbage_with_the_modules() -> None:
    assert_fine(GARBAGE + WITH_THE_MODULES)
