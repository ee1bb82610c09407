"""`pytest --raise-in-twins`: with the C implementation the driver calls none of its Python twins.

A twin is what `aiomysql_protocol._accelerator` describes: a class kept as `PyX` or a function kept
as `py_x` in a module where the C one has taken the name X or x.  While tests run every function of
theirs raises AssertionError, and a test fails that calls one, also if the error was swallowed.
Tests of the twins themselves are left out: all of a module that names one, those with a parameter
"python", and those marked `twins`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.layers import LAYERS

_NAMES = re.compile(r"Py(?P<class>[A-Z]\w*)|py_(?P<function>\w+)")

#: What the functions of twins said since the test began.
_calls: list[str] = []


def twins() -> dict[str, object]:
    """The twins whose place a C class or function has, by module and name."""
    found = {}
    for path in itertools.chain.from_iterable(layer.modules() for layer in LAYERS):
        if path.endswith(".__main__"):
            continue
        module = importlib.import_module(path)
        for name, value in vars(module).items():
            match = _NAMES.fullmatch(name)
            if match is None or getattr(value, "__module__", None) != path:
                continue
            if getattr(module, match["class"] or match["function"], value) is not value:
                found[f"{path}.{name}"] = value
    return found


def called(message: str) -> AssertionError:
    """What a function of a twin raises."""
    _calls.append(message)
    return AssertionError(message)


def _functions(twin: object) -> list[FunctionType]:
    if isinstance(twin, FunctionType):
        return [twin]
    found = []
    for value in vars(twin).values():
        if isinstance(value, property):
            parts = [value.fget, value.fset, value.fdel]
        else:
            parts = [getattr(value, "__func__", value)]  # of a static or class method
        found += [part for part in parts if isinstance(part, FunctionType)]
    return found


def _raising(name: str, free_names: Sequence[str] = (), flags: int = 0) -> FunctionType:
    """A function that raises; free_names: of variables of an enclosing function that it uses.

    flags: `co_flags`; it is a generator, or a coroutine, where they say so.
    """
    is_async = flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
    yields = flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR)
    # In place of another function's code it has that one's global names: it can use none of ours.
    source = f"""
def enclosing():
    {" = ".join([*free_names, "None"])}
    {"async " if is_async else ""}def twin(*args, **kwargs):
        from tests.raise_in_twins import called
        raise called({f"the Python twin {name} was called"!r})
        {", ".join(free_names)}
        {"yield" if yields else ""}
    return twin
"""
    made: dict[str, Any] = {}
    exec(source, made)  # noqa: S102  (the names are those of our own code)
    function: FunctionType = made["enclosing"]()
    return function


@contextlib.contextmanager
def raising(found: Mapping[str, object]) -> Iterator[None]:
    """Have the functions of these twins raise AssertionError, whoever has a reference to them."""
    with contextlib.ExitStack() as stack:
        for path, twin in found.items():
            for function in _functions(twin):
                name = f"{function.__module__}.{function.__qualname__}"
                # A function's code must be of its kind, with as many free names as it has cells.
                code = function.__code__
                stack.callback(setattr, function, "__code__", code)
                function.__code__ = _raising(name, code.co_freevars, code.co_flags).__code__
            if isinstance(twin, type) and "__init__" not in vars(twin):
                stack.callback(delattr, twin, "__init__")
                setattr(twin, "__init__", _raising(path))  # noqa: B010  (mypy: it is a method)
        yield


def _parameters(item: pytest.Item) -> list[object]:
    callspec = getattr(item, "callspec", None)  # tests without parameters have none
    return [*callspec.params.values()] if callspec is not None else []


@cache
def _names_one(path: Path, names: frozenset[str]) -> bool:
    return not names.isdisjoint(re.findall(r"\w+", path.read_text()))


class Plugin:
    """What the option does."""

    def __init__(self) -> None:
        self._twins = twins()
        self._left_out = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out the tests of twins."""
        names = frozenset(path.rpartition(".")[2] for path in self._twins)
        kept: list[pytest.Item] = []
        left_out: list[pytest.Item] = []
        for item in items:
            is_left_out = (
                item.get_closest_marker("twins")
                or "python" in _parameters(item)
                or _names_one(item.path, names)
            )
            (left_out if is_left_out else kept).append(item)
        self._left_out = len(left_out)
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)

    def pytest_report_collectionfinish(self) -> str:
        """Say what is left out."""
        return f"{len(self._twins)} Python twins raise; left out: {self._left_out} tests of twins"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Only now: modules of tests may call twins while they are imported."""
        with raising(self._twins):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Fail if somebody has swallowed the error."""
        _calls.clear()
        result = yield
        if _calls:
            raise AssertionError(f"{_calls[0]}, and the error swallowed")
        return result
