"""The page on options has each of them, and its default."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from aiomysql_core import Connection
from aiomysql_core.options.keywords import ALIASES, KEYWORDS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "options.md").read_text("utf-8")
PARAMETERS = inspect.signature(Connection.__init__).parameters
OPTIONS = [name for name in PARAMETERS if name != "self"]

#: The cells of the row that begins with an option's name.
ROWS = {
    name: [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in PAGE.partition("## Data source names")[0].splitlines()
    if line.startswith("| `")
    for name in re.findall(r"`(\w+)`", line.split("|")[1])
}

#: Defaults that the page has in words.
IN_WORDS = {
    "host": '`"localhost"`',
    "user": "name of the process's user",
    "max_allowed_packet": "1 GiB",
    "cursorclass": "`Cursor`",
    "conv": "PyMySQL's",
    "read_default_group": '`"client"`',
}


def test_no_other() -> None:
    assert ROWS.keys() == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_default(name: str) -> None:
    default = PARAMETERS[name].default
    plain = f'`"{default}"`' if isinstance(default, str) else f"`{default}`"
    text = IN_WORDS.get(name, plain)
    if name not in ALIASES:
        assert ROWS[name][2].strip("`") == text.strip("`") or float(ROWS[name][2]) == default
        assert ROWS[name][3]


def test_order() -> None:
    said = PAGE.partition("by position, in this order: ")[2].partition(".")[0]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    wanted = [name for name in OPTIONS if PARAMETERS[name].kind is kind]
    assert re.findall(r"`(\w+)`", said) == wanted
    assert f"The first {len(wanted)} may" in PAGE


def test_keys_of_option_files() -> None:
    keys = PAGE.partition("## Option files")[2]
    for keyword in KEYWORDS.values():
        assert f"`{keyword.file}`" in keys or not keyword.file


def test_what_can_not_stand_in_a_data_source_name() -> None:
    said = PAGE.partition("Not in a data source name: ")[2].partition(". ")[0]
    others = {name for name in OPTIONS if name not in KEYWORDS or KEYWORDS[name].parse is None}
    assert set(re.findall(r"`(\w+)`", said)) == others - {"password", *ALIASES}
