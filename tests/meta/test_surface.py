"""The public surface of aiomysql 0.3.2, name by name: see surface.toml."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import MethodDescriptorType
from typing import Any, NamedTuple

import pytest

from aiomysql_core.engine.cursor_state import PyCursorState

SURFACE: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("surface.toml").read_text("utf-8")
)
MIGRATION = Path(__file__).parent.parent.parent / "docs" / "migration.md"

# What differs on purpose.  docs/migration.md has the reasons, and names each of these.
OTHER_DEFAULTS: dict[tuple[str, str], object] = {
    ("aiomysql.connection.connect", "connect_timeout"): 10.0,
    ("aiomysql.connection.Connection.__init__", "connect_timeout"): 10.0,
}
OTHER_SIGNATURES = {
    "aiomysql.connection.MySQLResult.__init__",
    "aiomysql.sa.engine.MySQLCompiler_pymysql.__init__",
    "aiomysql.sa.engine.MySQLCompiler_pymysql.construct_params",
}
OTHER_BASES = {"aiomysql.pool.Pool": "AbstractServer"}
MISSING = {
    "aiomysql.connection.MySQLResult.init_unbuffered_query",
    "aiomysql.connection.MySQLResult.read",
    "aiomysql.pool.Pool.__iter__",
    "aiomysql.sa.engine.Engine.__iter__",
    "aiomysql.utils._ContextManager.__iter__",
    "aiomysql.utils._ContextManager.gi_code",
    "aiomysql.utils._ContextManager.gi_frame",
    "aiomysql.utils._ContextManager.gi_running",
}
# Of PyMySQL's packets; a class of our own stands in their place.
REPLACED = {"pymysql.protocol"}


class Entry(NamedTuple):
    """A function or a member of a class."""

    owner: str  # the module, or the class in it
    attribute: str
    kind: str  # "def", "async def", "prop", "rw" or "attr"
    parameters: str

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.attribute}"


def resolve(dotted: str) -> Any:
    """What a dotted name stands for, beginning with a module."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


def split(text: str) -> tuple[str, str]:
    """The kind and the parameters of an entry like ``async def (self)``."""
    kind, _, parameters = text.partition("(")
    return kind.strip(), f"({parameters}" if parameters else ""


def members() -> Iterator[Entry]:
    for module, content in SURFACE.items():
        for name, text in content.get("functions", {}).items():
            yield Entry(module, name, *split(text))
        for class_name, entries in content.get("classes", {}).items():
            for name, text in entries.items():
                if name != "bases":
                    yield Entry(f"{module}.{class_name}", name, *split(text))


MEMBERS = {entry.name: entry for entry in members() if entry.name not in MISSING}
CALLABLES = [name for name, entry in MEMBERS.items() if entry.parameters]
REEXPORTS = [
    (module, source, name)
    for module, content in SURFACE.items()
    for source, names in content.get("reexports", {}).items()
    for name in names.split()
]


def classic_parameters(entry: Entry) -> list[inspect.Parameter]:
    """The parameters as surface.toml has them; a default of a dotted name is resolved."""
    (function,) = ast.parse(f"def f{entry.parameters}: pass").body
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    found = [
        parameter(node.arg, inspect.Parameter.POSITIONAL_OR_KEYWORD, default)
        for node, default in zip(arguments.args, defaults, strict=True)
    ]
    if arguments.vararg:
        found.append(parameter(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL, None))
    for node, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(parameter(node.arg, inspect.Parameter.KEYWORD_ONLY, default))
    if arguments.kwarg:
        found.append(parameter(arguments.kwarg.arg, inspect.Parameter.VAR_KEYWORD, None))
    return found


def parameter(name: str, kind: Any, default: ast.expr | None) -> inspect.Parameter:
    value: Any = inspect.Parameter.empty
    if isinstance(default, ast.Attribute):
        value = resolve(ast.unparse(default))
    elif default is not None:
        value = ast.literal_eval(default)
    return inspect.Parameter(name, kind, default=value)


def found_parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


@pytest.mark.parametrize("module", SURFACE)
def test_constants_and_star_imports(module: str) -> None:
    found = importlib.import_module(module)
    content = SURFACE[module]
    names = content.get("constants", "").split()
    assert [name for name in names if not hasattr(found, name)] == []
    assert set(content.get("all", "").split()) <= set(getattr(found, "__all__", ()))


@pytest.mark.parametrize(("module", "source", "name"), REEXPORTS)
def test_reexports(module: str, source: str, name: str) -> None:
    found = getattr(importlib.import_module(module), name)
    if source in REPLACED:
        assert found.__module__.startswith("aiomysql_")
    else:
        assert found is getattr(importlib.import_module(source), name)


@pytest.mark.parametrize("name", MEMBERS)
def test_kinds(name: str) -> None:
    entry = MEMBERS[name]
    found = inspect.getattr_static(resolve(entry.owner), entry.attribute)
    if entry.kind in ("prop", "rw"):
        assert isinstance(found, property)
        assert (found.fset is not None) == (entry.kind == "rw")
    elif entry.kind == "attr":
        assert not callable(found)
    elif entry.kind == "def":
        assert callable(found)
        assert not inspect.iscoroutinefunction(found)
    elif isinstance(found, MethodDescriptorType) and is_special(entry.attribute):
        pass  # in C: nothing says what it returns
    elif not inspect.iscoroutinefunction(found):
        # Or what it returns is a coroutine all the same; for what is in C its twin says so.
        if isinstance(found, MethodDescriptorType):
            found = getattr(PyCursorState, entry.attribute)
        returned = str(inspect.signature(found).return_annotation).partition("[")[0]
        assert returned.endswith(("Manager", "Coroutine"))


@pytest.mark.parametrize("name", CALLABLES)
def test_signatures(name: str) -> None:
    entry = MEMBERS[name]
    found = found_parameters(resolve(name))
    if name in OTHER_SIGNATURES:
        assert [p.name for p in found] != [p.name for p in classic_parameters(entry)]
        return
    if is_special(entry.attribute):
        assert takes(found) >= len(classic_parameters(entry))
        return
    by_name = {p.name: p for p in found}
    for classic in classic_parameters(entry):
        if classic.kind in (classic.VAR_POSITIONAL, classic.VAR_KEYWORD):
            assert classic.kind in [p.kind for p in found]
            continue
        ours = by_name[classic.name]
        default = OTHER_DEFAULTS.get((name, classic.name), classic.default)
        if classic.default is not classic.empty:
            assert ours.default == default
        if classic.kind is not classic.KEYWORD_ONLY:
            assert ours.kind is ours.POSITIONAL_OR_KEYWORD


def is_special(name: str) -> bool:
    """Whether it is a method that the interpreter calls, always by position."""
    return name.startswith("__") and name != "__init__"


def takes(parameters: list[inspect.Parameter]) -> float:
    """How many arguments by position."""
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return float("inf")
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


@pytest.mark.parametrize("name", CALLABLES)
def test_parameters_keep_their_places(name: str) -> None:
    """And what is new comes behind them, and can be left out."""
    entry = MEMBERS[name]
    if name in OTHER_SIGNATURES or is_special(entry.attribute):
        return
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [p.name for p in classic_parameters(entry) if p.kind not in variable]
    found = [p for p in found_parameters(resolve(name)) if p.kind not in variable]
    assert [p.name for p in found if p.name in names] == names
    positional = [p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional[: len(names)] == names[: len(positional)]
    assert all(p.default is not p.empty for p in found if p.name not in names)


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        (f"{module}.{name}", entries["bases"].split())
        for module, content in SURFACE.items()
        for name, entries in content.get("classes", {}).items()
        if "bases" in entries
    ],
)
def test_bases(name: str, bases: list[str]) -> None:
    found = resolve(name)
    module = importlib.import_module(name.rpartition(".")[0])
    for base in bases:
        if OTHER_BASES.get(name) == base:
            continue
        expected = getattr(module, base, getattr(builtins, base, None))
        assert isinstance(expected, type)
        assert issubclass(found, expected)


def test_what_differs_is_on_the_migration_page() -> None:
    page = MIGRATION.read_text("utf-8")
    names = {".".join(name.split(".")[-2:]) for name in MISSING | OTHER_SIGNATURES}
    names |= {parameter for _, parameter in OTHER_DEFAULTS} | {*OTHER_BASES.values()}
    assert [name for name in sorted(names) if f"{name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(MISSING))
def test_what_is_said_to_be_missing_is(name: str) -> None:
    owner, _, attribute = name.rpartition(".")
    assert not hasattr(resolve(owner), attribute)
