"""The layers, and a checker that reads their sources for what import-linter (`make layers`) can't
see: names rather than modules.

What is private to another package, be it reached by an import, a chain of attributes that starts at
an imported module, or an attribute of some object; and what PyMySQL doesn't offer.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = Path(__file__).parent.parent / "packages"


@dataclass(frozen=True)
class Layer:
    """One distribution: its folder and its import name."""

    folder: str
    package: str

    def modules(self, packages: Path = PACKAGES) -> dict[str, Path]:
        """Return the path of every module, by its dotted name."""
        source = packages / self.folder / "src"
        found = {}
        for path in sorted((source / self.package).rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return found


LAYERS = (
    Layer("aiomysql-protocol", "aiomysql_protocol"),
    Layer("aiomysql-core", "aiomysql_core"),
    Layer("aiomysql-pool", "aiomysql_pool"),
    Layer("aiomysql-sa", "aiomysql_sa"),
    Layer("aiomysql", "aiomysql"),
)

# What PyMySQL offers to others; its connections, cursors, packets and passwords are its own affair.
PYMYSQL_OFFERS = ("pymysql.err", "pymysql.constants", "pymysql.charset", "pymysql.converters")
PYMYSQL_REFUSES = ("pymysql.converters.escape_dict", "pymysql.converters.escape_bytes_prefixed")


@dataclass(frozen=True, order=True)
class Violation:
    """A place where a module reaches for what it must not use."""

    module: str
    line: int
    reason: str


def is_private(name: str) -> bool:
    """Tell whether a name is marked private: an underscore first, but not `__like_this__`."""
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def uses(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) for everything that a module takes from an imported module."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                yield node.lineno, item.name
                aliases[item.asname or item.name.partition(".")[0]] = (
                    item.name if item.asname else item.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            origin = _absolute(node, module, is_package)
            for item in node.names:
                dotted = origin if item.name == "*" else f"{origin}.{item.name}"
                yield node.lineno, dotted
                aliases[item.asname or item.name] = dotted
        elif isinstance(node, ast.Call) and _last_name(node.func) in {
            "import_module",
            "__import__",
        }:
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (chain := _chain(node, aliases)):
            yield node.lineno, chain


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, node.module] if node.module else base)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _chain(node: ast.Attribute, aliases: dict[str, str]) -> str:
    """Return the dotted name of `alias.a.b`, or "" when it starts at no imported name."""
    names: list[str] = []
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        names.append(value.attr)
        value = value.value
    if not isinstance(value, ast.Name) or value.id not in aliases:
        return ""
    return ".".join([aliases[value.id], *reversed(names)])


def private_definitions(trees: Iterable[ast.Module]) -> set[str]:
    """Return the private names that some modules define, be it as attribute, function or slot."""
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case (
                    ast.FunctionDef(name=name)
                    | ast.AsyncFunctionDef(name=name)
                    | ast.ClassDef(name=name)
                ):
                    found.add(name)
                case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    found.add(name)
                case ast.Constant(value=str(name)) if name.isidentifier():
                    found.add(name)  # __slots__
                case _:
                    pass
    return {name for name in found if is_private(name)}


def _refusal(layer: Layer, dotted: str) -> str | None:
    """Return why a layer must not use a dotted name of another package, or None."""
    top, *rest = dotted.split(".")
    if top == layer.package or top in sys.stdlib_module_names:
        return None
    if top == "pymysql" and not dotted.startswith(PYMYSQL_OFFERS):
        return f"{dotted}: not one of {', '.join(PYMYSQL_OFFERS)}"
    if dotted.startswith(PYMYSQL_REFUSES):
        return f"{dotted}: marked not to be imported"
    if any(is_private(name) for name in rest):
        return f"{dotted}: private to another package"
    return None


def violations(packages: Path = PACKAGES, layers: Iterable[Layer] = LAYERS) -> list[Violation]:
    """Check every module of every layer."""
    layers = tuple(layers)
    trees = {
        layer: {
            name: (ast.parse(path.read_text(encoding="utf-8")), path.name == "__init__.py")
            for name, path in layer.modules(packages).items()
        }
        for layer in layers
    }
    private = {
        layer: private_definitions(tree for tree, _ in modules.values())
        for layer, modules in trees.items()
    }
    found: list[Violation] = []
    for layer, modules in trees.items():
        theirs = {
            name: other.package for other in layers if other is not layer for name in private[other]
        }
        for module, (tree, is_package) in modules.items():
            for line, dotted in uses(tree, module, is_package):
                if reason := _refusal(layer, dotted):
                    found.append(Violation(module, line, reason))
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr in theirs.keys() - private[layer]:
                    reason = f".{node.attr}: private to {theirs[node.attr]}"
                    found.append(Violation(module, node.lineno, reason))
    return sorted(found)
