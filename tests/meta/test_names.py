"""The classic modules are the layers' own; `test_surface.py` walks their names."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pymysql
import pytest

import aiomysql
import aiomysql.sa

LAYERS = {
    "aiomysql.connection": "aiomysql_core.connection",
    "aiomysql.cursors": "aiomysql_core.cursors",
    "aiomysql.log": "aiomysql_core.log",
    "aiomysql.pool": "aiomysql_pool.pool",
    "aiomysql.sa.connection": "aiomysql_sa.connection",
    "aiomysql.sa.engine": "aiomysql_sa.engine",
    "aiomysql.sa.exc": "aiomysql_sa.exc",
    "aiomysql.sa.result": "aiomysql_sa.result",
    "aiomysql.sa.transaction": "aiomysql_sa.transaction",
}


@pytest.mark.parametrize("package", [aiomysql, aiomysql.sa])
def test_star_import(package: Any) -> None:
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


@pytest.mark.parametrize("classic", LAYERS)
def test_modules_are_those_of_the_layers(classic: str) -> None:
    module = importlib.import_module(classic)
    parent, _, name = classic.rpartition(".")
    assert module is importlib.import_module(LAYERS[classic])
    assert module is sys.modules[classic]
    assert module is getattr(sys.modules[parent], name)


def test_errors_are_those_of_pymysql() -> None:
    assert aiomysql.OperationalError is pymysql.err.OperationalError
    assert aiomysql.Connection.IntegrityError is pymysql.err.IntegrityError


async def test_patching_a_classic_module_takes_effect(
    connect_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    module: Any = aiomysql.connection
    original = module._connect

    async def traced(*args: Any, **kwargs: Any) -> Any:
        connection = await original(*args, **kwargs)
        calls.append(connection.port)
        return connection

    monkeypatch.setattr(module, "_connect", traced)
    async with aiomysql.connect(**connect_args):
        pass
    async with aiomysql.create_pool(minsize=2, **connect_args):
        pass
    assert calls == [connect_args["port"]] * 3


def test_importing_aiomysql_imports_no_sqlalchemy() -> None:
    code = "import sys, aiomysql; print('sqlalchemy' in sys.modules, 'aiomysql_sa' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
