"""Several runs that share one set of tests: `--lane=FOLDER` with the same folder in each.

Every run collects all tests.  Those of a module with a server go to the run that comes to them
first, which leaves a file in the folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

#: What these make takes long and is for tests with any server: one run has them all.
UNDIVIDED = (
    "tests/benchmarks/test_compare.py",
    "tests/consumers/test_consumers.py",
    "tests/test_packaging.py",
    "tests/test_release.py",
    "tests/test_sanitizers.py",
)


class Lane:
    """The plugin of one run."""

    def __init__(self, folder: Path) -> None:
        """folder: is there, and was empty before the first run began."""
        self._folder = folder
        self._mine: set[str] = set()

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """As pytest does it, but for what others have taken."""
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest says it
        items = self._taken(session.items)
        item = next(items, None)
        while item is not None:
            following = next(items, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            item = following
        return True

    def _taken(self, items: list[pytest.Item]) -> Iterator[pytest.Item]:
        """The tests of this run; a part is taken when its first test is asked for."""
        for name, part in groupby(items, _part):
            if self._take(name):
                yield from part

    def _take(self, name: str) -> bool:
        if name not in self._mine:
            try:
                (self._folder / name.replace("/", "-")).touch(exist_ok=False)
            except FileExistsError:
                return False
            self._mine.add(name)
        return True


def _part(item: pytest.Item) -> str:
    module = item.nodeid.partition("::")[0]
    callspec = getattr(item, "callspec", None)
    server = callspec.params.get("server") if callspec is not None else None
    return module if server is None or module in UNDIVIDED else f"{module}@{server}"
