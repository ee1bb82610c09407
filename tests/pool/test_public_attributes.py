"""What a Pool shows: each public name is classic, ours, or there for the pool's own parts."""

from __future__ import annotations

from aiomysql_pool import Pool

#: Of aiomysql 0.3.2.
CLASSIC = {
    "acquire",
    "clear",
    "close",
    "closed",
    "echo",
    "freesize",
    "maxsize",
    "minsize",
    "release",
    "size",
    "terminate",
    "wait_closed",
}

#: Added here: documented in docs/pool.md and docs/statements.md.
OURS = {
    "drain",
    "execute",
    "executemany",
    "fetchall",
    "fetchone",
    "fetchval",
    "get_stats",
    "iterate",
    "resize",
    "transaction",
}

#: Public by their names only: nobody outside the pool uses them.
INTERNAL: set[str] = set()

#: Names with an underscore that tracers, other libraries and their tests rely on.
CLASSIC_INSIDES = {"_acquire", "_free", "_used"}
CLASSIC_ATTRIBUTES = {"_conn_kwargs", "_loop"}


def test_every_public_attribute_is_in_the_table() -> None:
    public = {name for name in dir(Pool) if not name.startswith("_")}
    assert public == CLASSIC | OURS | INTERNAL


async def test_instances_have_no_further_ones() -> None:
    pool = Pool(0, 1, False, -1)
    assert {name for name in vars(pool) if not name.startswith("_")} == set()
    assert set(vars(pool)) >= CLASSIC_ATTRIBUTES
    pool.close()
    await pool.wait_closed()


def test_what_others_rely_on_is_there() -> None:
    assert {name for name in CLASSIC_INSIDES if hasattr(Pool, name)} == CLASSIC_INSIDES
