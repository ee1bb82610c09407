"""The classic names, and that they are the layers' own."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pymysql
import pytest

import aiomysql
import aiomysql.sa

# Of the modules that users import from; what these offer, beside what is tested elsewhere.
NAMES = {
    "aiomysql": """
        Connection Cursor DataError DatabaseError DictCursor Error IntegrityError InterfaceError
        InternalError MySQLError NotSupportedError OperationalError Pool ProgrammingError SSCursor
        SSDictCursor Warning connect create_pool escape_string version __version__ connection
        cursors log pool utils""",
    "aiomysql.connection": "Connection Cursor connect _connect",
    "aiomysql.cursors": "Cursor DeserializationCursor DictCursor SSCursor SSDictCursor logger",
    "aiomysql.pool": "Pool connect create_pool _create_pool",
    "aiomysql.log": "logger",
    "aiomysql.utils": """
        _ContextManager _PoolContextManager _SAConnectionContextManager _TransactionContextManager
        _PoolAcquireContextManager _PoolConnectionContextManager""",
    "aiomysql.sa": """
        ArgumentError Engine Error InvalidRequestError NoSuchColumnError ResourceClosedError
        SAConnection create_engine connection engine exc result transaction""",
    "aiomysql.sa.connection": """
        NestedTransaction RootTransaction SAConnection Transaction TwoPhaseTransaction
        _distill_params create_result_proxy""",
    "aiomysql.sa.engine": """
        ArgumentError Cursor DeserializationCursor DictCursor Engine InvalidRequestError
        MySQLDialect_pymysql SAConnection SSCursor SSDictCursor _create_engine _dialect
        create_engine""",
    "aiomysql.sa.exc": "ArgumentError Error InvalidRequestError NoSuchColumnError",
    "aiomysql.sa.result": "ResultMetaData ResultProxy RowProxy create_result_proxy",
    "aiomysql.sa.transaction": "NestedTransaction RootTransaction Transaction TwoPhaseTransaction",
}

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


@pytest.mark.parametrize("module", NAMES)
def test_names(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


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
