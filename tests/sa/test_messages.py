"""What programs are told of mistakes in this layer."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest

from aiomysql_core import Warning  # noqa: A004
from aiomysql_sa import SAConnection
from tests.sa.conftest import MakeEngine


async def test_what_was_not_awaited(make_engine: MakeEngine) -> None:
    engine = await make_engine()
    acquiring = engine.acquire()
    with pytest.raises(AttributeError, match=r"acquire\(\) returns has no attribute 'execute'"):
        acquiring.execute  # type: ignore[attr-defined]  # noqa: B018
    connection = await acquiring
    found: Any
    for found in (connection.execute("SELECT 1"), connection.begin(), connection.begin_nested()):
        assert "to be awaited, or used with `async with`" in repr(found)
        with pytest.raises(AttributeError, match=r"\(\) returns has no attribute 'no_such_thing'"):
            found.no_such_thing  # noqa: B018
        with pytest.raises(TypeError, match="to be awaited"):
            list(found)
        await found
    await connection.close()


async def test_warnings_point_at_the_caller(conn: SAConnection) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = sys._getframe().f_lineno + 1
        await conn.execute("SELECT CAST(%s AS SIGNED)", "x")
        async for _ in conn.execute("SELECT CAST('x' AS SIGNED)"):
            pass
    assert {one.category for one in caught} == {Warning}
    assert [(one.filename, one.lineno) for one in caught] == [
        (__file__, line),
        (__file__, line + 1),
    ]
