"""What is public: `__all__` says it, of packages, sub-packages and modules."""

from __future__ import annotations

import ast
import copy
import importlib
import pickle
from types import ModuleType
from typing import Any

import pytest

from tests.layers import LAYERS, Layer, is_private, uses

#: The layers below the classic namespace, which re-exports what classic aiomysql had.
OWN = LAYERS[:-1]

MODULES = {name: layer for layer in OWN for name in layer.modules() if "._" not in name}

#: Modules that stand for classic aiomysql's: each has the names that it had.
CLASSIC = {
    *("aiomysql_core.connection", "aiomysql_core.cursors", "aiomysql_core.log"),
    "aiomysql_pool.pool",
    *(f"aiomysql_sa.{name}" for name in ("connection", "engine", "exc", "result", "transaction")),
}


def is_package(module: ModuleType) -> bool:
    return hasattr(module, "__path__")


def exported(name: str) -> list[str] | None:
    found: list[str] | None = getattr(importlib.import_module(name), "__all__", None)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_what_is_exported_is_there(name: str) -> None:
    module = importlib.import_module(name)
    names = exported(name)
    assert names is not None or not is_package(module), "a package says what is public"
    for one in names or ():
        if not hasattr(module, one):
            importlib.import_module(f"{name}.{one}")
    if not name.startswith("aiomysql_core.compat."):  # classic names, with an underscore perhaps
        assert [one for one in names or () if is_private(one)] == []


def submodules(package: str) -> set[str]:
    depth = package.count(".") + 1
    return {
        name.rpartition(".")[2]
        for name in MODULES
        if name.startswith(f"{package}.") and name.count(".") == depth
    }


ROOMS = [
    name
    for name, layer in MODULES.items()
    if name != layer.package and is_package(importlib.import_module(name))
]


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "aiomysql_protocol.login.auth"])
def test_a_room_names_its_public_modules(room: str) -> None:
    public = {name for name in submodules(room) if exported(f"{room}.{name}") is not None}
    assert set(exported(room) or ()) == public


@pytest.mark.parametrize("layer", OWN, ids=lambda layer: layer.folder)
def test_layers_use_what_others_export(layer: Layer) -> None:
    wrong = []
    for module, path in layer.modules().items():
        tree = ast.parse(path.read_text("utf-8"))
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for name in (f"{node.module}.{alias.name}" for alias in node.names)
        }
        for line, dotted in uses(tree, module, path.name == "__init__.py"):
            source, _, name = dotted.rpartition(".")
            if dotted not in imported or source.partition(".")[0] == layer.package:
                continue
            if source in MODULES and dotted not in MODULES and source not in CLASSIC:
                names = exported(source)
                if names is None or name not in names:
                    wrong.append(f"{module}:{line}: {dotted}")
    assert wrong == []


def errors() -> list[type[Exception]]:
    """The exception classes of all distributions."""
    modules = [importlib.import_module(name) for name in MODULES]
    found = [value for module in modules for value in vars(module).values()]
    classes = {value for value in found if isinstance(value, type) and value.__module__ in MODULES}
    return sorted(
        (kind for kind in classes if issubclass(kind, Exception)), key=lambda kind: kind.__name__
    )


@pytest.mark.parametrize("kind", errors())
def test_errors_can_be_copied_and_pickled(kind: type[Exception]) -> None:
    """As test runners and task queues do."""
    for given in ((), (2013, "it's"), ("message",)):
        if kind.__name__ == "PoolClosed" and len(given) > 1:
            continue
        error: Any = kind(*given)
        error.where = "here"
        error.add_note("a note")
        copies = [copy.copy(error), copy.deepcopy(error)]
        copies += [
            pickle.loads(pickle.dumps(error, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ]
        for other in copies:
            assert type(other) is kind
            assert (other.args, str(other)) == (error.args, str(error))
            assert vars(other) == vars(error)
