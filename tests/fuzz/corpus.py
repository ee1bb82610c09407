"""Responses to begin with: good and bad ones that stand in other tests.

python -m tests.fuzz.corpus --server mysql97         # records what a real server says
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from aiomysql_protocol.commands.prepared import Execute
from aiomysql_protocol.values.parameters import NO_PARAMETERS
from aiomysql_protocol.wire.capabilities import CACHE_METADATA
from tests import scripted
from tests.fuzz.sessions import (
    CACHED,
    LOGIN,
    OLD_EOF,
    PREPARED,
    SEEDS,
    SEVERAL,
    STREAMED,
    case,
)
from tests.hostile import login_scripts, response_scripts
from tests.protocol.blocking import Client, converse, login_options
from tests.servers import serving

# Longer ones only take longer.
LONGEST = 4096
STATEMENTS = (
    b"SELECT 1 AS a, 'two' AS b, NULL AS c, 2.5 AS d, 1e3 AS e, CAST('2026-11-22' AS DATE) AS f",
    b"SELECT CAST('2026-11-22 01:02:03.5' AS DATETIME(1)), CAST('-12:34:56' AS TIME), 'n\xc3\xa9'",
    b"SELECT 'x' AS v UNION ALL SELECT 'yy' UNION ALL SELECT REPEAT('z', 300)",
    b"SELECT 1; SELECT 2, 3; DO 0; SELECT 'last'",
    b"SELECT 1; SELECT * FROM no_such_table",
    b"DO 0",
)
PREPARABLE = (*STATEMENTS[:3], *STATEMENTS[5:])


def responses() -> Iterator[bytes]:
    """Cases made of the scripts of the hostile servers."""
    return (data for data in _all_responses() if len(data) <= LONGEST)


def _all_responses() -> Iterator[bytes]:
    for script, _ in login_scripts.SCRIPTS.values():
        yield case(b"".join(script.steps), LOGIN)
    for response in response_scripts.RESPONSES.values():
        eof = 0 if response.deprecate_eof else OLD_EOF
        yield case(response.data, eof)
        yield case(response.data, eof | STREAMED)
    yield case(
        scripted.frames(scripted.ok())
        + scripted.frames(b"\xfbf")
        + scripted.frames(scripted.ok(), first=3),
        SEVERAL,
    )


def record(name: str) -> None:
    """Keep what the server `name` says among the seeds."""
    with serving(name) as server:
        server.execute("CREATE USER fuzz IDENTIFIED BY 'secret'")
        server.execute(f"GRANT ALL ON {server.database}.* TO fuzz")
        options = login_options("fuzz", "secret", server.database)
        recording, _ = converse((server.host, server.port), options, STATEMENTS)
        with Client((server.host, server.port), options) as client:
            prepared = [_executed_twice(client, statement.decode()) for statement in PREPARABLE]
            cached = CACHED if client.session.capabilities & CACHE_METADATA else 0
    login, *results = recording.responses
    (SEEDS / f"{name}-login.bin").write_bytes(case(login, LOGIN))
    for number, response in enumerate(results):
        (SEEDS / f"{name}-{number}.bin").write_bytes(case(response, number % 2 * STREAMED | cached))
    several = results[0] + results[5] + results[0] + results[5]
    (SEEDS / f"{name}-several.bin").write_bytes(case(several, SEVERAL | cached))
    for number, response in enumerate(prepared):
        flags = PREPARED | number % 2 * STREAMED | cached
        (SEEDS / f"{name}-prepared-{number}.bin").write_bytes(case(response, flags))


def _executed_twice(client: Client, statement: str) -> bytes:
    prepared = client.prepare(statement)
    responses = client.response
    for _ in range(2):
        client.run(Execute(prepared, NO_PARAMETERS))
        responses += client.response
    return responses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    record(parser.parse_args().server)
