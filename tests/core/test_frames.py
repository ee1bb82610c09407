"""How many frames of the driver's Python code a warm point query enters, whatever users combine.

A query is `async with connection.cursor(...) as cursor`, `cursor.execute` and `cursor.fetchone`; a
coroutine that is resumed is entered once more.  With a server beside it (see benchmarks/README.md)
`python -m benchmarks.ways --frames` prints these numbers for the present code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from aiomysql_core import connect, dict_row
from aiomysql_core.implementation import IMPLEMENTATION
from benchmarks.point_queries import (
    OPTIONS,
    PAIRS,
    PLAIN,
    SINGLE,
    Way,
    asking,
    count_frames,
    name_of,
)

pytestmark = pytest.mark.skipif(
    IMPLEMENTATION != "c", reason="the Python implementation has other numbers"
)

QUERY = "SELECT CAST(%s AS SIGNED) AS id, 'a name' AS name"

#: Wanted are 3 to 5 for all but `timeout=`, and 6 for that.
FRAMES: Mapping[str, int] = MappingProxyType(
    {
        "plain": 3,
        "no values": 3,
        "prepared": 3,
        "kept": 3,
        "DictCursor": 3,
        "SSCursor": 4,
        "SSDictCursor": 4,
        "subclass": 3,
        "local_infile": 3,
        "read_timeout": 3,
        "write_timeout": 3,
        "on_cancel": 3,
        "TLS": 3,
        "timeout=": 6,
    }
)

#: Pairs that enter more frames than the larger of the two and one more.  Wanted are none.
ABOVE: Mapping[str, int] = MappingProxyType({})


def ids(ways: tuple[Way, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", ways, ids=name_of)


def limit(way: Way) -> int:
    """The most frames that a pair may enter."""
    return max(FRAMES[option.name] for option in way) + 1


@ids((PLAIN, *SINGLE))
async def test_one_option(connect_args: dict[str, Any], way: Way) -> None:
    async with asking(QUERY, way, **connect_args) as ask:
        assert await count_frames(ask, 7) == FRAMES[name_of(way)]
        expected = {"id": 7, "name": "a name"}
        is_dict = "Dict" in name_of(way)
        assert await ask(7) == (expected if is_dict else tuple(expected.values()))


@ids(PAIRS)
async def test_two_options(connect_args: dict[str, Any], way: Way) -> None:
    async with asking(QUERY, way, **connect_args) as ask:
        frames = await count_frames(ask, 7)
    if name_of(way) in ABOVE:
        assert frames == ABOVE[name_of(way)]
    else:
        assert frames <= limit(way)


def test_the_tables_are_of_these_options() -> None:
    assert [*FRAMES] == ["plain", *OPTIONS]
    assert {name_of(way) for way in PAIRS}.issuperset(ABOVE)
    for way in PAIRS:
        if name_of(way) in ABOVE:
            assert ABOVE[name_of(way)] > limit(way)


async def test_without_a_cursor(connect_args: dict[str, Any]) -> None:
    """Beside the query: the method, which is resumed once, and what asks for the cursor."""
    async with connect(**connect_args) as connection:

        async def one(number: int) -> Any:
            return await connection.fetchone(QUERY, (number,))

        async def many(number: int) -> Any:
            return await connection.fetchall(QUERY, (number,), row_factory=dict_row)

        async def value(number: int) -> Any:
            return await connection.fetchval(QUERY, (number,))

        assert await one(7) == (7, "a name")
        assert await many(7) == [{"id": 7, "name": "a name"}]
        assert await value(7) == 7
        assert [await count_frames(ask, 7) for ask in (one, value)] == [FRAMES["plain"] + 3] * 2
        assert await count_frames(many, 7) <= 15  # a `row_factory` is checked and set
