"""The reference has every public name of the five packages, and they have docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import FunctionType

import pytest

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference"
PACKAGES = ["aiomysql_protocol", "aiomysql_core", "aiomysql_pool", "aiomysql_sa"]


def documented(package: str) -> set[str]:
    """The names that a package's page shows."""
    page = (REFERENCE / f"{package.removeprefix('aiomysql_')}.rst").read_text("utf-8")
    found = re.findall(
        r"^\.\. (?:auto)?(?:class|data|exception|function):: (\S+)", page, re.MULTILINE
    )
    return {name.removeprefix(f"{package}.") for name in found}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name(package: str) -> None:
    public = {*importlib.import_module(package).__all__} - {"__version__"}
    assert public - documented(package) == set()


def test_the_classic_package() -> None:
    page = (REFERENCE / "aiomysql.rst").read_text("utf-8")
    names = set(importlib.import_module("aiomysql").__all__)
    assert names - set(re.findall(r"``(?:\w+\.)?(\w+)``", page)) == set()


def test_the_classic_package_has_the_names_of_the_core() -> None:
    names = {*importlib.import_module("aiomysql_core").__all__}
    classic = {*importlib.import_module("aiomysql").__all__}
    assert names - classic == {"DeserializationCursor"}


def test_what_connections_inherit() -> None:
    page = (REFERENCE / "core.rst").read_text("utf-8")
    base = importlib.import_module("aiomysql_core.compat.internals").ClassicInternals
    told = set(re.findall(r"^   \.\. auto(?:method|property):: (\w+)", page, re.MULTILINE))
    # docs/migration.md tells of the others.
    others = {"caching_sha2_password_auth", "sha256_password_auth", "write_packet"}
    assert {name for name, value in vars(base).items() if is_public(name, value)} - told == others


def is_public(name: str, value: object) -> bool:
    return not name.startswith("_") and isinstance(value, (FunctionType, property))


@pytest.mark.parametrize("package", ["aiomysql_core", "aiomysql_pool"])
def test_how_to_connect_is_told_in_full(package: str) -> None:
    """`connect` and `create_pool` have signatures of their own, each of whose names is told."""
    name = {"aiomysql_core": "connect", "aiomysql_pool": "create_pool"}[package]
    function = getattr(importlib.import_module(package), name)
    told = re.findall(r"^- ((?:\w+, )*\w+):", inspect.getdoc(function) or "", re.MULTILINE)
    told += re.findall(r"; (\w+): ", inspect.getdoc(function) or "")
    told += ["kill_timeout"]  # with `on_cancel`
    parameters = inspect.signature(function).parameters
    assert len(parameters) > 15
    assert set(parameters) - {"kwargs"} - set(", ".join(told).split(", ")) == set()
