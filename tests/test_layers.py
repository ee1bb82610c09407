"""No layer uses what is private to another, and every module can be imported alone, those of the
protocol without asyncio.  (Which module may import which is checked by `make layers`.)
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.layers import LAYERS, PACKAGES, Layer, uses, violations

DISTRIBUTIONS = {
    "pymysql": "PyMySQL",
    "sqlalchemy": "SQLAlchemy",
    "cryptography": "cryptography",
    "backports": "backports.zstd",
    "rich": "rich",
} | {layer.package: layer.folder for layer in LAYERS}

#: What is in the standard library of later interpreters.
LATER_STANDARD = {"compression"}


def test_no_layer_uses_what_is_private_to_another() -> None:
    assert violations() == []


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.folder)
def test_every_layer_has_modules_and_is_typed(layer: Layer) -> None:
    assert layer.package in layer.modules()
    assert (PACKAGES / layer.folder / "src" / layer.package / "py.typed").is_file()


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.folder)
def test_what_a_layer_imports_is_among_its_requirements(layer: Layer) -> None:
    """A layer that relied on what the layer below happens to require would break with it."""
    settings = tomllib.loads((PACKAGES / layer.folder / "pyproject.toml").read_text("utf-8"))
    project = settings["project"]
    extras = project.get("optional-dependencies", {}).values()
    named = [*project["dependencies"], *(item for extra in extras for item in extra)]
    required = {re.split(r"[^\w.-]", item)[0] for item in named}
    imported = set()
    for module, path in layer.modules().items():
        tree = ast.parse(path.read_text("utf-8"))
        for _, dotted in uses(tree, module, path.name == "__init__.py"):
            imported.add(dotted.partition(".")[0])
    third_party = imported - sys.stdlib_module_names - {layer.package} - LATER_STANDARD
    assert {DISTRIBUTIONS[name] for name in third_party} <= required


# Each module in a process of its own, which knows the standard library that all of them need.
IMPORTS = """
import importlib, os, sys, traceback

for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.folder)
def test_modules_are_importable_alone(layer: Layer) -> None:
    """With warnings as errors; in the protocol, with asyncio taken away."""
    blocked = "import sys; sys.modules['asyncio'] = None" * (layer.package == "aiomysql_protocol")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocked + IMPORTS, *layer.modules()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)


PLANTED = {
    "from pymysql.connections import Connection": "pymysql.connections.Connection: not one of",
    "import pymysql.err\npymysql.cursors": "pymysql.cursors: not one of",
    "from pymysql.converters import escape_dict": "pymysql.converters.escape_dict: marked",
    "from pymysql.converters import _escape_table": "pymysql.converters._escape_table: private",
    "from pymysql import converters as c\nc._escape_table": "pymysql.converters._escape_table: ",
    "import pymysql._auth": "pymysql._auth: not one of",
}
PLANTED_ABOVE = {
    "from aiomysql_protocol.wire import _hidden": "aiomysql_protocol.wire._hidden: private",
    "import aiomysql_protocol.wire as w\nw._hidden": "aiomysql_protocol.wire._hidden: private",
    "import aiomysql_protocol._speedups": "aiomysql_protocol._speedups: private",
    "def f(session: object) -> None:\n    session._queue": "._queue: private to aiomysql_protocol",
}
INNOCENT = (
    "import os, sys\nfrom pymysql import err\nfrom pymysql.constants.CR import CR_SERVER_LOST\n"
    "from aiomysql_protocol import wire\nfrom . import wire as w\n"
    "err.Error, w._hidden, wire.__name__\n"
    "class C:\n    def f(self) -> object:\n        self._queue = 1\n        return self._queue\n"
)


def plant(packages: Path, folder: str, package: str, **modules: str) -> None:
    source = packages / folder / "src" / package
    source.mkdir(parents=True)
    for name, text in {"__init__": "", **modules}.items():
        (source / f"{name}.py").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("source", "reason"), PLANTED.items(), ids=PLANTED.keys())
def test_the_checker_finds_what_is_planted(tmp_path: Path, source: str, reason: str) -> None:
    plant(tmp_path, "aiomysql-protocol", "aiomysql_protocol", planted=source)
    found = violations(tmp_path)
    assert {violation.module for violation in found} == {"aiomysql_protocol.planted"}
    assert any(violation.reason.startswith(reason) for violation in found)


@pytest.mark.parametrize(("source", "reason"), PLANTED_ABOVE.items(), ids=PLANTED_ABOVE.keys())
def test_the_checker_finds_what_is_planted_above(tmp_path: Path, source: str, reason: str) -> None:
    below = "class Session:\n    def __init__(self) -> None:\n        self._queue = 1\n"
    plant(tmp_path, "aiomysql-protocol", "aiomysql_protocol", wire=below)
    plant(tmp_path, "aiomysql-core", "aiomysql_core", planted=source)
    found = violations(tmp_path)
    assert {violation.module for violation in found} == {"aiomysql_core.planted"}
    assert any(violation.reason.startswith(reason) for violation in found)


def test_the_checker_lets_the_innocent_go(tmp_path: Path) -> None:
    plant(tmp_path, "aiomysql-protocol", "aiomysql_protocol", wire="", innocent=INNOCENT)
    assert violations(tmp_path) == []
