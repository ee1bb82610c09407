"""Runs with one folder divide the tests among them: each is in exactly one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.lanes import UNDIVIDED, Lane

ROOT = Path(__file__).parent.parent


class Session:
    """Enough of one, with its own list of tests."""

    Failed, Interrupted = pytest.Session.Failed, pytest.Session.Interrupted

    def __init__(self, *names: str) -> None:
        self.testsfailed = 0
        self.shouldfail = self.shouldstop = ""
        self.ran: list[tuple[str, str | None]] = []
        self.after: dict[str, Any] = {}
        hook = SimpleNamespace(pytest_runtest_protocol=self.run)
        self.config = SimpleNamespace(hook=hook, option=SimpleNamespace(collectonly=False))
        self.items = [self.item(name) for name in names]

    def item(self, name: str) -> Any:
        nodeid, _, server = name.partition("@")
        callspec = SimpleNamespace(params={"server": server} if server else {})
        return SimpleNamespace(nodeid=nodeid, callspec=callspec, config=self.config)

    def run(self, item: Any, nextitem: Any) -> None:
        self.ran.append((item.nodeid, nextitem and nextitem.nodeid))
        self.after.get(item.nodeid, lambda: None)()

    def go(self, folder: Path) -> Any:
        return Lane(folder).pytest_runtestloop(self)  # type: ignore[arg-type]


NAMES = ("a.py::1@one", "a.py::2@one", "b.py::3@one", "a.py::1@two", "b.py::4", "c.py::5")


def test_one_run_has_all(tmp_path: Path) -> None:
    session = Session(*NAMES)
    assert session.go(tmp_path) is True
    ids = [name.partition("@")[0] for name in NAMES]
    assert session.ran == list(zip(ids, [*ids[1:], None], strict=True))


def test_two_runs_have_each_once(tmp_path: Path) -> None:
    """A part is taken when its turn comes; what is torn down in between is told rightly."""
    first, second = Session(*NAMES), Session(*NAMES)
    first.after["a.py::1"] = lambda: second.go(tmp_path) if not second.ran else None
    first.go(tmp_path)
    assert first.ran == [("a.py::1", "a.py::2"), ("a.py::2", None)]
    assert second.ran[0] == ("b.py::3", "a.py::1")
    assert [name for name, _ in second.ran] == ["b.py::3", "a.py::1", "b.py::4", "c.py::5"]


@pytest.mark.parametrize("module", UNDIVIDED)
def test_what_takes_long_to_make_is_in_one_run(tmp_path: Path, module: str) -> None:
    assert (ROOT / module).exists()
    names = (f"{module}::1@one", "a.py::1@one", f"{module}::1@two", f"{module}::2")
    first, second = Session(*names), Session(*names)
    first.after[f"{module}::1"] = lambda: second.go(tmp_path) if not second.ran else None
    first.go(tmp_path)
    assert len(first.ran) + len(second.ran) == len(names)
    assert {name for name, _ in second.ran} <= {"a.py::1"}


@pytest.mark.parametrize("how", ["shouldfail", "shouldstop"])
def test_a_run_that_is_to_end(tmp_path: Path, how: str) -> None:
    session = Session(*NAMES)
    session.after["a.py::1"] = lambda: setattr(session, how, "enough")
    with pytest.raises((session.Failed, session.Interrupted), match="enough"):
        session.go(tmp_path)
    assert len(session.ran) == 1


def test_errors_of_the_collection_are_left_to_pytest(tmp_path: Path) -> None:
    session = Session(*NAMES)
    session.testsfailed = 1
    assert session.go(tmp_path) is None
    assert session.ran == []
