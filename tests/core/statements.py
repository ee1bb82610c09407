"""What tests of statements have in common."""

from __future__ import annotations

from typing import Any

import pytest

from aiomysql_core import Cursor

#: Statements that cursors prepare and keep, and those that go as text.
sizes = pytest.mark.parametrize("size", [0, 8], ids=["text", "prepared"])


async def rows(cursor: Cursor, query: Any, args: object = None, **options: Any) -> list[Any]:
    """The rows of a statement."""
    assert await cursor.execute(query, args, **options) >= 0
    return list(await cursor.fetchall())
