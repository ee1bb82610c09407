"""The tables of docs/compatibility.md say what the distributions and the tests say."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from tests.sa_versions.test_versions import SERIES
from tests.servers.catalogue import CATALOGUE
from tools.release.build import series
from tools.release.packages import Packages

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
PACKAGES = Packages(ROOT)


def table(head: str) -> list[list[str]]:
    """The rows of the table that begins with the column `head`."""
    text = PAGE.partition(f"\n| {head} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def listed(requirements: list[str]) -> str:
    """Requirements as the page has them."""
    conditions = {"python_version < '3.14'": " before Python 3.14", "": ""}
    parts = [text.partition("; ") for text in requirements]
    return ", ".join(f"`{text}`{conditions[condition]}" for text, _, condition in parts)


def test_layers() -> None:
    assert table("distribution") == [
        [f"`{name}`", f"{package.version.major}.x", listed(package.project["dependencies"])]
        for name, package in PACKAGES.items()
    ]


def test_extras() -> None:
    assert table("extra") == [
        [f"`{extra}`", f"`{name}`", listed(brought)]
        for name, package in PACKAGES.items()
        for extra, brought in package.project.get("optional-dependencies", {}).items()
        if brought
    ]


def test_what_is_tested() -> None:
    servers = {
        kind: [entry.name for entry in CATALOGUE.values() if entry.kind == kind]
        for kind in ("mariadb", "mysql")
    }
    digits = {kind: [name.removeprefix(kind) for name in names] for kind, names in servers.items()}
    said = {row[0]: row[1].split(", ") for row in table("of")}
    assert said["CPython"] == series(ROOT)
    for kind, name in (("mariadb", "MariaDB"), ("mysql", "MySQL")):
        assert [version.replace(".", "") for version in said[name]] == digits[kind]
    assert said["SQLAlchemy"] == list(SERIES)


def test_the_oldest_are_those_of_the_environment() -> None:
    """`make test-lowest` installs the lower bounds."""
    environments = tomllib.loads((ROOT / "hatch.toml").read_text("utf-8"))["envs"]
    pinned = dict(item.split("==") for item in environments["lowest"]["extra-dependencies"])
    for package in PACKAGES.values():
        for requirement in package.requirements:
            if requirement.name in pinned:
                assert requirement.specifier.contains(pinned[requirement.name])
                (bound,) = (part for part in requirement.specifier if part.operator == ">=")
                assert f"{pinned[requirement.name]}.".startswith(f"{bound.version}.")


def test_workflows_have_the_interpreters_of_the_tests() -> None:
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
    found = re.search(r"^ +python: (\[.*\])$", workflow, re.MULTILINE)
    assert found is not None
    assert json.loads(found[1]) == series(ROOT)
    wheels = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
    assert wheels["build"] == [f"cp{each.replace('.', '')}-*" for each in series(ROOT)]
