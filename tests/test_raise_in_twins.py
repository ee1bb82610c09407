"""`--raise-in-twins` finds every twin, and every call of one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from aiomysql_core.implementation import IMPLEMENTATION
from aiomysql_core.waiting import ready
from aiomysql_protocol.commands import exchange_state
from tests import raise_in_twins, twin_calls
from tests.layers import LAYERS

pytestmark = [
    pytest.mark.skipif(IMPLEMENTATION != "c", reason="nothing has the place of a twin"),
    pytest.mark.twins,
]

#: What there is in C only.
WITHOUT_TWINS = {"functions"}


def test_every_twin_is_found() -> None:
    """That is, one for each name that a module takes from its C module."""
    taken = set()
    for layer in LAYERS:
        for module, path in layer.modules().items():
            names = re.findall(r"^ +(\w+) = _c\.\w+$", path.read_text(), re.MULTILINE)
            if not module.endswith("._accelerator"):
                taken |= {f"{module}.{name}" for name in names if name not in WITHOUT_TWINS}
    assert taken
    assert taken == {re.sub(r"\.(Py|py_)(?=\w+$)", ".", name) for name in raise_in_twins.twins()}


def test_they_raise() -> None:
    twins = raise_in_twins.twins()
    made = ready.PyReady(1)
    with raise_in_twins.raising(twins):
        for twin in twins.values():
            with pytest.raises(AssertionError, match="was called"):
                twin()  # type: ignore[operator]
        with pytest.raises(AssertionError, match=r"Ready\.send was called"):
            made.send(None)
        with pytest.raises(AssertionError, match=r"Ready\.__await__ was called"):
            next(made.__await__())
    assert ready.PyReady(2).value == 2
    assert exchange_state.PyExchangeState() is not None
    with pytest.raises(StopIteration):
        made.send(None)


@pytest.mark.slow
def test_the_option() -> None:
    path = Path(twin_calls.__file__)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(path)]
    root = path.parent.parent
    done = subprocess.run([*command, "--raise-in-twins"], cwd=root, capture_output=True, text=True)
    assert "raise; left out: 2 tests of twins" in done.stdout
    assert "2 failed, 2 passed, 2 deselected" in done.stdout
    assert done.stdout.count("Ready.__init__ was called, and the error swallowed") > 0
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert "6 passed" in done.stdout
