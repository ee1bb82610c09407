"""More than the buffers of both sides hold, in both directions."""

from __future__ import annotations

import pytest

from aiomysql_core import Connection

pytestmark = pytest.mark.slow


async def test_both_directions_are_full(connection: Connection) -> None:
    """Ten thousand statements with 64 KiB each way."""
    text, count, size = "x" * (1 << 16), 10_000, 0
    async with connection.pipeline() as pipeline:
        for _ in range(0, count, 500):
            statements = [pipeline.execute("SELECT %s", (text,)) for _ in range(500)]
            for statement in statements:
                ((value,),) = await (await statement).fetchall()
                size += len(value)
    assert size == count << 16
