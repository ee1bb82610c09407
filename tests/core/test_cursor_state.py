"""The first base of cursors: C and Python behave alike."""

from __future__ import annotations

from typing import Any

import pytest

from aiomysql_core import cursor_state, implementation
from aiomysql_protocol.query import Query, Result

CLASSES = {"python": cursor_state.CursorState}
if implementation.fast_path is not None:
    CLASSES["c"] = implementation.CursorState


class NotExecutedError(Exception):
    """Raised by the cursors here before the first statement."""


@pytest.fixture(params=CLASSES)
def cursor(request: pytest.FixtureRequest) -> Any:
    base: Any = CLASSES[request.param]

    class Some(base):  # type: ignore[misc]
        def _check_executed(self) -> None:
            if not self._executed:
                raise NotExecutedError

        async def close(self) -> None:
            self.closed = True

    some = Some()
    some._connection = "connection"
    return some


def test_both_are_tested() -> None:
    assert len(CLASSES) == 1 + (implementation.fast_path is not None)
    assert len(set(CLASSES.values())) == len(CLASSES)


async def test_defaults(cursor: Any) -> None:
    assert cursor._connection == "connection"
    assert cursor._echo is False
    assert (cursor._arraysize, cursor._rownumber, cursor._rowcount) == (1, 0, -1)
    for name in ("_executed", "_last_executed", "_lastrowid", "_description", "_rows", "_result"):
        assert getattr(cursor, name) is None
    assert type(cursor)()._connection is None


@pytest.mark.parametrize("kind", [list, tuple])
async def test_fetchone(cursor: Any, kind: Any) -> None:
    with pytest.raises(NotExecutedError):
        cursor.fetchone()
    cursor._executed = b"SELECT"
    assert await cursor.fetchone() is None
    cursor._rows = kind([("a",), ("b",)])
    assert [await cursor.fetchone() for _ in range(3)] == [("a",), ("b",), None]
    assert cursor._rownumber == 2
    cursor._rownumber = 10**6
    assert await cursor.fetchone() is None
    cursor._rownumber = 1
    assert await cursor.fetchone() == ("b",)


async def test_rows_made_shorter_meanwhile(cursor: Any) -> None:
    cursor._executed = b"SELECT"
    cursor._rows = [("a",), ("b",)]
    await cursor.fetchone()
    cursor._rows.clear()
    assert await cursor.fetchone() is None


@pytest.mark.parametrize("wrong", ["1", None, 1.5])
async def test_a_wrong_row_number_is_a_type_error(cursor: Any, wrong: object) -> None:
    """C finds it when it is set, Python when it is used."""
    cursor._executed = b"SELECT"
    cursor._rows = [("a",), ("b",)]

    async def use() -> None:
        cursor._rownumber = wrong
        await cursor.fetchone()

    with pytest.raises(TypeError):
        await use()


async def test_leaving_lets_the_connection_go(cursor: Any) -> None:
    async with cursor as entered:
        assert entered is cursor
    assert cursor._connection is None


@pytest.mark.parametrize("done", [True, False])
async def test_leaving_closes_only_what_is_unfinished(cursor: Any, done: bool) -> None:
    result, query = Result(), Query(b"SELECT 1")
    query.done = done
    result.exchange = query
    cursor._result = result
    cursor.closed = False
    async with cursor:
        pass
    assert cursor.closed is not done
    assert (cursor._connection is None) is done


async def test_leaving_takes_three_arguments(cursor: Any) -> None:
    with pytest.raises(TypeError):
        cursor.__aexit__()
