"""What type checkers are told of `connect` and `create_pool` is what they are.

What is called takes anything; the declarations are compared with it by their sources.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest

import aiomysql
from aiomysql.typing import ConnectOptions, KeywordOptions
from aiomysql_core import Connection
from aiomysql_core import connection as core
from aiomysql_core.options.keywords import KEYWORDS
from aiomysql_core.options.tls import MODES
from aiomysql_pool import pool
from aiomysql_protocol.wire.compression import ALGORITHMS, UNCOMPRESSED

#: Those that say of what type rows are.
OF_ROWS = {"cursorclass", "row_factory"}

PARAMETERS = dict(list(inspect.signature(Connection.__init__).parameters.items())[1:])
KEYWORD_ONLY = {
    name
    for name, parameter in PARAMETERS.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
}


def declared(module: ModuleType, name: str) -> ast.arguments:
    """The parameters of a function as its source has them."""
    found = [
        node
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    assert len(found) == 1
    return found[0].args


def told(arguments: ast.arguments) -> dict[str, tuple[str, str]]:
    """Annotation and default of each, but for those of rows."""
    named = [*arguments.posonlyargs, *arguments.args]
    defaults = [*zip(named[::-1], arguments.defaults[::-1], strict=False)][::-1]  # not of `self`
    defaults += [
        (name, default)
        for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    ]
    return {
        name.arg: (ast.unparse(name.annotation), ast.unparse(default))
        for name, default in defaults
        if name.annotation is not None and name.arg not in OF_ROWS
    }


def text(annotation: Any) -> str:
    """An annotation as its source has it, whatever quotes and brackets it has."""
    return ast.unparse(ast.parse(getattr(annotation, "__forward_arg__", annotation), mode="eval"))


def test_connect() -> None:
    """It has the parameters of Connection: some by name, the others as KeywordOptions.

    The first may be a data source name, with which others may be given whatever they are.
    """
    arguments = declared(core, "connect")
    [init] = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(core)))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    expected = {
        name: parameter for name, parameter in told(init.args).items() if name not in KEYWORD_ONLY
    }
    found = told(arguments)
    assert found.pop("host_or_dsn") == found["host"]
    assert found == expected
    order = [argument.arg for argument in arguments.args]
    assert ["host", *order] == list(PARAMETERS)[: len(order) + 1]
    assert [argument.arg for argument in arguments.posonlyargs] == ["host_or_dsn"]
    assert KeywordOptions.__annotations__.keys() == KEYWORD_ONLY - OF_ROWS
    assert inspect.signature(aiomysql.connect).parameters == PARAMETERS


HINTS = """
import inspect, typing
import aiomysql, aiomysql.sa, aiomysql_core, aiomysql_pool

def check(name, value):
    if not getattr(value, "__module__", "").startswith("aiomysql") or not callable(value):
        return 0
    typing.get_type_hints(value)
    return 1

found = 0
for module in (aiomysql, aiomysql.sa, aiomysql_core, aiomysql_pool):
    for name in module.__all__:
        value = getattr(module, name)
        found += check(name, value)
        if isinstance(value, type):
            for attribute in ("__init__", *dir(value)):
                if not attribute.startswith("_"):
                    got = inspect.getattr_static(value, attribute)
                    got = getattr(got, "fget", None) or getattr(got, "__func__", None) or got
                    found += check(f"{name}.{attribute}", got)
            typing.get_type_hints(value.__init__)
assert found > 200, found
for value in (aiomysql.Connection, aiomysql.connect, aiomysql.create_pool):
    inspect.signature(value, eval_str=True)
"""


@pytest.mark.parametrize("implementation", ["", "python"])
def test_annotations_mean_something(implementation: str) -> None:
    """Where the C modules are there, the first run is theirs."""
    environment = os.environ | {"AIOMYSQL_IMPL": implementation}
    subprocess.run([sys.executable, "-c", HINTS], check=True, env=environment)


def test_options() -> None:
    own = {"echo", "loop"}
    assert ConnectOptions.__annotations__.keys() == PARAMETERS.keys() - OF_ROWS - own
    assert {name: text(kind) for name, kind in ConnectOptions.__annotations__.items()} == {
        name: text(PARAMETERS[name].annotation) for name in ConnectOptions.__annotations__
    }
    # Those that are checked elsewhere have no types there.
    assert KEYWORDS.keys() <= ConnectOptions.__annotations__.keys() | own
    assert not ConnectOptions.__required_keys__


def test_create_pool() -> None:
    """The first parameter is `minsize` or a data source name; the others are as they are called."""
    arguments = declared(pool, "create_pool")
    assert [argument.arg for argument in arguments.posonlyargs] == ["minsize_or_dsn"]
    found = told(arguments)
    assert found.pop("minsize_or_dsn") == ("int | str", "1")
    expected = {
        name: (text(parameter.annotation), repr(parameter.default))
        for name, parameter in inspect.signature(aiomysql.create_pool).parameters.items()
        if name != "kwargs"
    }
    assert {name: (kind, default) for name, (kind, default) in found.items()} == expected
    assert [argument.arg for argument in arguments.args] == list(expected)[1:5]
    assert arguments.kwarg is not None
    assert arguments.kwarg.annotation is not None
    assert ast.unparse(arguments.kwarg.annotation) == "Unpack[ConnectOptions]"


def values(name: str) -> set[Any]:
    """The texts that an option may have, for checkers."""
    found: set[Any] = set()
    left = [get_type_hints(ConnectOptions)[name]]
    while left:
        kind = left.pop()
        if isinstance(kind, str):
            found.add(kind)
        left += get_args(kind)
    return found


def test_fixed_sets() -> None:
    assert values("ssl_mode") == set(MODES)
    assert values("compression") == {*ALGORITHMS, UNCOMPRESSED}
    for name in ("on_cancel", "ssl_negotiation"):
        assert len(values(name)) == 2


@pytest.mark.parametrize("name", ["on_cancel", "ssl_negotiation", "ssl_mode"])
async def test_values_are_taken(name: str) -> None:
    make: Any = Connection
    for value in values(name):
        others = {"ssl_mode": "REQUIRED"} if value == "direct" else {}
        make(**others | {name: value})
    with pytest.raises(ValueError, match=name):
        make(**{name: "another"})


def test_help() -> None:
    """It is readable, and tells no insides."""
    for function in (aiomysql.connect, aiomysql.create_pool):
        assert function.__doc__
        assert function.__doc__.startswith("Open a")
        assert "kwargs" not in str(inspect.signature(aiomysql.connect))
        assert "<function" not in str(inspect.signature(function))
    assert aiomysql.connect.__name__ == "connect"
    assert aiomysql.create_pool.__qualname__ == "create_pool"
    with pytest.raises(TypeError, match=r"connect\(\) has no option 'hots'; did you mean 'host'"):
        aiomysql.connect(hots="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_none_where_the_page_says_so() -> None:
    page = Path(__file__).parents[2].joinpath("docs/options.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    hints = get_type_hints(ConnectOptions)
    told = {name for name, kind in rows if kind.endswith("or None")} & hints.keys()
    assert {"multi_statements", "bulk_statements", "time_zone"} <= told
    assert [name for name in told if type(None) not in get_args(hints[name])] == []
