"""The migration page names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "migration.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", PAGE)))
ENTRIES = re.findall(r"^- \[(.)\] (.*(?:\n  .*)*)", PAGE, re.MULTILINE)


def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_is_named_exists(file: str) -> None:
    assert {name for other, name in NAMED if other == file} - functions(file) == set()


def test_every_entry_of_the_history_is_ticked_or_says_why_not() -> None:
    assert len(ENTRIES) > 70
    for mark, text in ENTRIES:
        assert mark in "x-", text
        assert ("tests/" in text) == (mark == "x"), text
        assert mark == "x" or "(" in text, text
