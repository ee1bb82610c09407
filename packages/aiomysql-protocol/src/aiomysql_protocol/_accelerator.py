"""Internal: the one place that decides between C and Python.

Everything in the C module has a Python twin of the same name and signature, which is defined where
it belongs.  At the end of its module the C one takes that name, and the twin keeps one of its own,
for tests.  `accelerator` decides for all of them alike:

    def literals(...): ...

    py_literals = literals
    if not TYPE_CHECKING and (_c := accelerator()) is not None:
        literals = _c.literals

Type checkers see the twin; that the C module has the signatures of its stub is checked by stubtest.
While the C module is loaded it imports only modules that take nothing from it; the rest it imports
when it first needs them.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from types import ModuleType

VARIABLE = "AIOMYSQL_IMPL"

# Why a C module can't be loaded, for whoever imports the package once more: a second attempt would
# find some of its modules, and complain of a circle.
_failures: dict[str, str] = {}


@cache
def accelerator() -> ModuleType | None:
    """This package's C module; None: Python runs.  Raises what `load_accelerator` raises."""
    return load_accelerator("aiomysql_protocol")


def load_accelerator(package: str) -> ModuleType | None:
    """The C module of `package`; None where Python is to run: by AIOMYSQL_IMPL or for lack of one.

    Raises ImportError for another value of AIOMYSQL_IMPL than "c", "python" or none, if it is "c"
    and there is no C module, and if there is one that can't be loaded.
    """
    if package in _failures:
        raise ImportError(_failures[package])
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "c", "python"):
        raise ImportError(f'{VARIABLE} must be "c", "python" or unset, not {wanted!r}')
    if wanted == "python":
        return None
    name = f"{package}._speedups"
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        if not isinstance(exc, ModuleNotFoundError) or exc.name != name:
            _failures[package] = str(exc)
            raise
        if wanted == "c":
            _failures[package] = f"{VARIABLE} is 'c', but {missing(package)}"
            raise ImportError(_failures[package]) from exc
        return None


def missing(package: str) -> str:
    """That `package` has no C module, and why if that is known: a clause for messages."""
    trouble = build_trouble(package)
    return f"{package}._speedups was not built" + (f": {trouble}" if trouble else "")


def build_trouble(package: str) -> str:
    """What kept the C module of `package` from being compiled, as its build noted; or ""."""
    from pkgutil import get_data  # takes a millisecond, and hardly anybody asks

    try:
        noted = get_data(package, "_speedups_missing.txt")
    except OSError:
        return ""
    return noted.decode().strip() if noted is not None else ""
