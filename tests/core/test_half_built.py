"""Another thread looks into all that there is while statements are written and rows are read.

tests/protocol/test_half_built.py says what for, and looks from within.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.programs import run_program

PROGRAM = """
import datetime, faulthandler, gc, threading
from aiomysql_core import Cursor, DictCursor, SSCursor, connect

faulthandler.enable()
faulthandler.dump_traceback_later(25, exit=True)
done = threading.Event()
rounds = 0


def monitor():
    global rounds
    while not done.is_set():
        for found in gc.get_objects():
            if type(found) in (tuple, list, dict, set):
                try:
                    for item in found:
                        type(item)
                except RuntimeError:
                    pass  # it grows
        rounds += 1


async def run(connection, marks, dates):
    for cursor_class in (Cursor, DictCursor, SSCursor):
        async with connection.cursor(cursor_class) as cursor:
            await cursor.execute(f"SELECT COUNT(*), 1 IN ({marks}), %s", [*dates, "x"])
            assert len(await cursor.fetchall()) == 1
            await cursor.execute("SELECT %s, %s UNION SELECT 1, 2", (dates[0], 1.5))
            assert len(await cursor.fetchall()) == 2
            rows = [(date, str(date)) for date in dates[:300]]
            await cursor.executemany("INSERT INTO half_built VALUES (%s, %s)", rows)


async def main(arguments):
    dates = [datetime.datetime(2024, 2, 29, 1, 2, 3, n) for n in range(3000)]
    marks = ",".join(["%s"] * len(dates))
    kept = await connect(**arguments, stmt_cache_size=8)
    async with kept, connect(**arguments, conv={12: str, 246: lambda text: [text]}) as converted:
        for connection in (kept, converted):
            await connection.query("CREATE TEMPORARY TABLE half_built (a DATETIME(6), b TEXT)")
            await run(connection, marks, dates)  # imports what is imported late
        sys.setswitchinterval(1e-6)
        thread = threading.Thread(target=monitor)
        thread.start()
        try:
            while rounds < 50:
                for connection in (kept, converted):
                    await run(connection, marks, dates)
        finally:
            done.set()
            thread.join()
    print("fine")
"""


@pytest.mark.slow
async def test_all_that_is_found_is_whole(connect_args: dict[str, Any], anyio_backend: Any) -> None:
    uvloop = anyio_backend[1]["use_uvloop"]
    await run_program(PROGRAM, {**connect_args, "uvloop": uvloop})
