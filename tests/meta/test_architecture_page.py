"""The architecture page is short, and what it names exists."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.layers import LAYERS, PACKAGES

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")

MOST_LINES = 150
LONGEST_LINE = 100
MOST_TERMS = 15

#: What stands in backticks and is nobody's name.
NO_NAMES = frozenset({"%s", "?", "pip install .", "recv_into"})

#: A word in the picture that must be a name: it has an underscore, or a capital or dot within.
_NAME_IN_PICTURE = re.compile(r"\b(?=\w*[a-z][A-Z]|\w*[a-z]_[a-z]|[A-Z]\w+\.[a-z_])[A-Za-z_][\w.]*")

_FUNCTION_IN_C = re.compile(r"^(\w+)\(", re.MULTILINE)
_TYPE_IN_C = re.compile(r"^(?:\} (\w+);|typedef struct \w+ (\w+);)", re.MULTILINE)


class Names:
    """The names that the sources define."""

    def __init__(self) -> None:
        #: All of them, wherever they are defined.
        self.all: set[str] = set()
        #: The names that stand in a class or a module, by its name.
        self.within: dict[str, set[str]] = defaultdict(set)
        #: The names of a class's bases.
        self.bases: dict[str, set[str]] = defaultdict(set)

    def add_module(self, dotted: str, source: str) -> None:
        """Add a module and all that it defines."""
        tree = ast.parse(source)
        names = dotted.split(".")
        self.all.update(names)
        for outer, inner in pairwise(names):
            self.within[outer].add(inner)
        self._add_body(names[-1], tree.body)
        for node in ast.walk(tree):
            match node:
                case ast.ClassDef(name=name):
                    self._add_class(node)
                    self.all.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    self.all.add(name)
                    self.all.update(argument.arg for argument in _arguments(node))
                case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    self.all.add(name)
                case _:
                    pass

    def _add_body(self, owner: str, body: list[ast.stmt]) -> None:
        for statement in body:
            match statement:
                case (
                    ast.ClassDef(name=name)
                    | ast.FunctionDef(name=name)
                    | ast.AsyncFunctionDef(name=name)
                    | ast.AnnAssign(target=ast.Name(id=name))
                ):
                    self.within[owner].add(name)
                case ast.Assign(targets=targets):
                    self.within[owner].update(
                        target.id for target in targets if isinstance(target, ast.Name)
                    )
                case _:
                    pass

    def _add_class(self, node: ast.ClassDef) -> None:
        self._add_body(node.name, node.body)
        self.bases[node.name].update(base.id for base in node.bases if isinstance(base, ast.Name))
        for inner in ast.walk(node):
            match inner:
                case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                    self.within[node.name].add(name)
                case _:
                    pass

    def add_c(self, source: str) -> None:
        """Add a C file's functions and types."""
        self.all.update(_FUNCTION_IN_C.findall(source))
        for found in _TYPE_IN_C.findall(source):
            self.all.update(name for name in found if name)

    def has(self, dotted: str) -> bool:
        """Whether there is such a name; of `a.b`, whether `a` has a `b`, perhaps by a base."""
        first, *rest = dotted.split(".")
        if first not in self.all:
            return False
        for name in rest:
            if not self._has_within(first, name):
                return False
            first = name
        return True

    def _has_within(self, owner: str, name: str) -> bool:
        return name in self.within[owner] or any(
            self._has_within(base, name) for base in self.bases[owner]
        )


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


@cache
def names() -> Names:
    """Those of all layers, with their C sources."""
    found = Names()
    for layer in LAYERS:
        for dotted, path in layer.modules().items():
            found.add_module(dotted, path.read_text("utf-8"))
        source = PACKAGES / layer.folder / "src"
        for path in source.rglob("*.pyi"):
            dotted = ".".join(path.relative_to(source).with_suffix("").parts)
            found.add_module(dotted, path.read_text("utf-8"))
        for path in [*source.rglob("*.c"), *source.rglob("*.h")]:
            found.add_c(path.read_text("utf-8"))
    return found


@cache
def paths() -> frozenset[str]:
    """The files and folders of the repository, each with a slash before its path."""
    found = {f"/{path.name}" for path in ROOT.iterdir()}
    for top in ("packages", "shared", "tests", "benchmarks", "docs", "tools"):
        found.update(f"/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob(f"{top}/**/*"))
    return frozenset(found)


@cache
def targets() -> frozenset[str]:
    """What make can be asked for."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return frozenset(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def exists(token: str, room: str = "") -> bool:
    """Whether what stands in backticks is there: a path (in that folder), a target or a name."""
    if token in NO_NAMES:
        return True
    if token.startswith("make "):
        return token.removeprefix("make ") in targets()
    if "/" in token or "-" in token or re.search(r"\.(?:py|md|toml|[ch])$", token):
        wanted = "/" + (token if "/" in token else room + token).rstrip("/")
        return any(path.endswith(wanted) for path in paths())
    return names().has(token) or any(path.endswith(f"/{token}") for path in paths())


def picture_and_text(page: str) -> tuple[str, str]:
    """What stands in fences, and the rest."""
    fence = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    return "\n".join(fence.findall(page)), fence.sub("", page)


def tokens(page: str) -> Iterator[tuple[str, str]]:
    """What is named, and the folder that the line is about: of `- `wire/`: ...` it is `wire/`."""
    picture, text = picture_and_text(page)
    for line in text.splitlines():
        first = re.match(r"- `([\w/]+/)`:", line)
        room = "" if first is None else first[1]
        for token in re.findall(r"`([^`]+)`", line):
            yield token, room
    for token in _NAME_IN_PICTURE.findall(picture):
        yield token, ""


def missing(page: str) -> list[str]:
    """What the page names and there is not."""
    return [token for token, room in tokens(page) if not exists(token, room)]


def test_everything_that_is_named_exists() -> None:
    assert missing(PAGE) == []


def test_every_room_is_named() -> None:
    """The folders of Python modules in the layers."""
    rooms = {
        path.parent.name
        for layer in LAYERS
        for path in (PACKAGES / layer.folder / "src" / layer.package).glob("*/__init__.py")
        if layer.package != "aiomysql"
    }
    assert rooms <= {room.rstrip("/") for _, room in tokens(PAGE)}


def test_the_page_is_short() -> None:
    lines = PAGE.splitlines()
    assert len(lines) <= MOST_LINES
    assert [line for line in lines if len(line) > LONGEST_LINE] == []
    glossary = PAGE.partition("\n## Glossary\n")[2]
    assert 0 < len(re.findall(r"^- ", glossary, re.MULTILINE)) <= MOST_TERMS


@pytest.mark.parametrize(
    "wrong",
    [
        "CommandRuner",
        "CommandRunner.begins",
        "Pool.try_release",
        "aiomysql_core.wire",
        "commands/exchanges.py",
        "tests/nowhere",
        "make nothing",
        "link.py",
    ],
)
def test_a_wrong_name_is_found(wrong: str) -> None:
    assert missing(f"{PAGE}\n`{wrong}`") == [wrong]


def test_a_wrong_name_in_the_picture_is_found() -> None:
    assert missing("```\nPool.acquires -> LeaseQeue -> some_function\n```") == [
        "Pool.acquires",
        "LeaseQeue",
        "some_function",
    ]


def test_a_file_is_looked_for_in_its_room() -> None:
    assert missing("- `wire/`: `framing.py`, `login.py`") == ["login.py"]
