"""Hostile servers before the log-in is over: a DB-API error within a second, nothing given away."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aiomysql_core import MySQLError, connect
from tests.hostile.login_scripts import AFTER_THE_GREETING, IN_A_SESSION, SCRIPTS
from tests.hostile.peer import PASSWORD, Script, assert_nothing_given_away, playing
from tests.scripted_tls import CLIENT_OPTIONS


@pytest.mark.parametrize("name", SCRIPTS)
async def test_hostile_login(name: str) -> None:
    await meet(*SCRIPTS[name], tls=False, ssl=name.startswith("TLS"))


@pytest.mark.tls
@pytest.mark.parametrize("name", AFTER_THE_GREETING)
async def test_hostile_login_over_tls(name: str) -> None:
    await meet(*SCRIPTS[name], tls=True, **CLIENT_OPTIONS)


async def meet(script: Script, words: str, *, tls: bool, **more: Any) -> None:
    options: dict[str, Any] = {"user": "u", "password": PASSWORD, "connect_timeout": 5, **more}
    begin = time.monotonic()
    async with playing(script, tls=tls) as peer:
        with pytest.raises(MySQLError, match=words) as caught:
            await connect(host="127.0.0.1", port=peer.port, **options)
        await asyncio.wait_for(peer.ended.wait(), 2)
    assert time.monotonic() - begin < 4
    assert PASSWORD not in str(caught.value)
    assert_nothing_given_away(peer)


@pytest.mark.parametrize("name", IN_A_SESSION)
async def test_hostile_change_of_the_user(name: str) -> None:
    script, words = IN_A_SESSION[name]
    begin = time.monotonic()
    async with playing(script) as peer:
        connection = await connect(host="127.0.0.1", port=peer.port, user="u")
        with pytest.raises(MySQLError, match=words) as caught:
            await connection.change_user("v", PASSWORD)
        assert connection.closed
        await asyncio.wait_for(peer.ended.wait(), 2)
    assert time.monotonic() - begin < 4
    assert PASSWORD not in str(caught.value)
    assert_nothing_given_away(peer)
