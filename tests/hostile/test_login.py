"""Hostile servers before the log-in is over: a DB-API error within a second, nothing given away."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aiomysql_core import MySQLError, connect
from tests.hostile.login_scripts import SCRIPTS
from tests.hostile.peer import PASSWORD, assert_nothing_given_away, playing


@pytest.mark.parametrize("name", SCRIPTS)
async def test_hostile_login(name: str) -> None:
    script, words = SCRIPTS[name]
    options: dict[str, Any] = {"user": "u", "password": PASSWORD, "connect_timeout": 5}
    options["ssl"] = name.startswith("TLS")
    begin = time.monotonic()
    async with playing(script) as peer:
        with pytest.raises(MySQLError, match=words) as caught:
            await connect(host="127.0.0.1", port=peer.port, **options)
        await asyncio.wait_for(peer.ended.wait(), 2)
    assert time.monotonic() - begin < 1
    assert PASSWORD not in str(caught.value)
    assert_nothing_given_away(peer)
