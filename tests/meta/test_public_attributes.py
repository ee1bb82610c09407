"""What each public attribute of a class is: see public_attributes.toml."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import Connection, Cursor
from tests.meta.test_surface import SURFACE

KINDS = ("classic", "pep249", "ours", "internal")
TABLE: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("public_attributes.toml").read_text("utf-8")
)

#: Class -> what makes an object of it, which has attributes that the class has not.
OBJECTS: dict[type, Callable[[], object]] = {
    Connection: Connection,
    Cursor: lambda: Cursor(Connection()),
}


def the_class(name: str) -> type:
    module, _, attribute = name.rpartition(".")
    found: type = getattr(importlib.import_module(module), attribute)
    return found


def listed(name: str) -> dict[str, str]:
    """Attribute -> kind, those of the bases included."""
    found: dict[str, str] = {}
    for base in reversed(the_class(name).__mro__):
        kinds = TABLE.get(f"{base.__module__}.{base.__qualname__}", {})
        found |= {attribute: kind for kind in kinds for attribute in kinds[kind].split()}
    return found


def public(owner: object) -> set[str]:
    # `dir` of an object shows what is for users.
    names = dir(owner) if isinstance(owner, type) else object.__dir__(owner)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", TABLE)
async def test_every_attribute_is_listed(name: str) -> None:
    cls = the_class(name)
    make = OBJECTS.get(cls)
    found = public(cls) if make is None else public(make())
    if Cursor in cls.__mro__:
        found |= public(OBJECTS[Cursor]())
    assert found == set(listed(name))


@pytest.mark.parametrize("name", TABLE)
def test_each_is_listed_once(name: str) -> None:
    attributes = [attribute for kind in TABLE[name].values() for attribute in kind.split()]
    assert sorted(attributes) == sorted(set(attributes))
    assert set(TABLE[name]) <= set(KINDS)


@pytest.mark.parametrize("name", TABLE)
def test_the_classic_surface_is_classic(name: str) -> None:
    classic = SURFACE[f"aiomysql.{name.split('.')[1]}"]["classes"][name.split(".")[2]]
    kinds = listed(name)
    wrong = {
        attribute: kinds.get(attribute)
        for attribute in classic
        if attribute != "bases" and not attribute.startswith("_")
    }
    assert set(wrong.values()) <= {"classic"}, wrong


@pytest.mark.parametrize("name", TABLE)
def test_what_is_internal_says_so(name: str) -> None:
    cls = the_class(name)
    for attribute in TABLE[name].get("internal", "").split():
        found: Any = inspect.getattr_static(cls, attribute, None)
        if found is not None:
            assert (found.__doc__ or "").startswith("For cursors:"), attribute
