"""Texts of several statements that a KILL QUERY meets between two of them: servers leave them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from pymysql.constants import ER

from aiomysql_core import Connection, Cursor, IntegrityError, OperationalError, SSCursor, connect
from aiomysql_core.transport import stream
from aiomysql_core.transport.stream import Stream
from tests import scripted
from tests.hostile.response_scripts import EOF, MORE, column
from tests.servers import Server

ROWS = 1500
TRIES = 15


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """They are asked early; for each whether it was sent."""
    asked: list[bool] = []
    ask = Stream.ask_for_end

    def ask_for_end(self: Stream) -> bool:
        asked.append(ask(self))
        return asked[-1]

    monkeypatch.setattr(stream, "_PATIENCE", 0.05)
    monkeypatch.setattr(Stream, "ask_for_end", ask_for_end)
    return asked


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    rows = ", ".join(f"({number}, -1)" for number in range(ROWS))
    server.execute(f"INSERT INTO {table_name} VALUES {rows}")
    return table_name


async def update(connection: Connection, table: str, value: int) -> int:
    """All rows, in one text; returns how many were changed, and were to be, up to an error."""
    async with connection.cursor() as cursor:
        rows = [(value, number) for number in range(ROWS)]
        try:
            return await cursor.executemany(f"UPDATE {table} SET v = %s WHERE id = %s", rows) or 0
        except OperationalError as error:
            if error.args[0] != ER.QUERY_INTERRUPTED:
                raise
            done: int = error.row_index  # type: ignore[attr-defined]
            return done


async def changed(connection: Connection, table: str, value: int) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT COUNT(*) FROM {table} WHERE v = %s", (value,))
        ((count,),) = await cursor.fetchall()
        return count


@pytest.mark.usefixtures("questions")
async def test_killed_by_others(connect_args: dict[str, Any], table: str) -> None:
    """What was not answered was not run, and nobody waits for ever."""
    chance = random.Random(7)
    options = {**connect_args, "autocommit": True, "bulk_statements": False}
    async with (
        asyncio.timeout(60),
        connect(**options) as connection,
        connect(**options) as other,
    ):
        for value in range(TRIES):
            task = asyncio.create_task(update(connection, table, value))
            await asyncio.sleep(chance.random() * 0.05)
            await other.query(f"KILL QUERY {connection.thread_id()}")
            told = await task
            assert told == await changed(connection, table, value)


async def test_cancelled(connect_args: dict[str, Any], table: str) -> None:
    """With on_cancel="kill" the connection is kept."""
    chance = random.Random(8)
    options = {**connect_args, "autocommit": True, "bulk_statements": False}
    options |= {"on_cancel": "kill", "kill_timeout": 30}
    async with asyncio.timeout(25), connect(**options) as connection:
        number = connection.thread_id()
        for value in range(TRIES):
            task = asyncio.create_task(update(connection, table, value))
            await asyncio.sleep(chance.random() * 0.05)
            task.cancel()
            await asyncio.wait([task])
            assert 0 <= await changed(connection, table, value) <= ROWS
        assert connection.thread_id() == number


async def test_what_is_asked_is_answered(connection: Connection, questions: list[bool]) -> None:
    """A statement that takes long is no reason to leave its text, and the connection is in step."""
    for cls in (Cursor, SSCursor):
        async with connection.cursor(cls) as cursor:
            await cursor.execute("SELECT 1; DO SLEEP(0.2); SELECT 2; DO SLEEP(0.2); SELECT 3")
            found = list(await cursor.fetchall())
            while await cursor.nextset():
                found += await cursor.fetchall()
            assert found == [(1,), (2,), (3,)]
        assert connection.runner.is_reusable
    assert questions.count(True) in (2, 3, 4)
    await connection.query("SELECT 1; DO SLEEP(0.2); SELECT no_such_column")
    with pytest.raises(OperationalError):  # given up for another one
        await connection.query("SELECT 2")
    assert await connection.fetchval("SELECT 3") == 3
    assert connection.runner.is_reusable


async def test_blocks(connection: Connection, table: str, questions: list[bool]) -> None:
    for isolation in (None, "SERIALIZABLE"):
        async with connection.transaction(isolation=isolation):
            await connection.query("DO SLEEP(0.2)")
            await connection.query(f"UPDATE {table} SET v = 5 WHERE id = 0")
        assert connection.runner.is_reusable
    assert True in questions
    async with connection.transaction():
        await connection.query(f"DO 0; DO SLEEP(0.2); INSERT INTO {table} VALUES (0, 0)")
        with pytest.raises(IntegrityError):
            await connection.discard_results()
    assert await changed(connection, table, 5) == 1
    await connection.rollback()


async def test_where_a_file_is_wanted(
    connect_args: dict[str, Any], table: str, questions: list[bool]
) -> None:
    """The question would stand in the file."""
    async with connect(**connect_args, local_infile=True, autocommit=True) as connection:
        load = f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {table} (id, v)"
        await connection.load_local(f"DO 0; DO SLEEP(0.2); {load}", b"9000\t7\n")
        await connection.discard_results()
        assert await changed(connection, table, 7) == 1
    assert True not in questions


async def test_a_session_without_such_texts(
    connect_args: dict[str, Any], questions: list[bool], server: Server, table_name: str
) -> None:
    """Of a procedure's results nothing is asked: what the question sets is not to be set."""
    server.execute(f"CREATE PROCEDURE {table_name}() BEGIN SELECT 1; DO SLEEP(0.2); SELECT 2; END")
    try:
        async with connect(**connect_args, multi_statements=False) as connection:
            async with connection.cursor() as cursor:
                await cursor.callproc(table_name)
                while await cursor.nextset():
                    pass
            with pytest.raises(Exception, match="syntax"):
                await connection.query("DO 0; DO 0")
    finally:
        server.execute(f"DROP PROCEDURE {table_name}")
    assert questions == [False]


async def test_cancelled_where_the_server_says_nothing_more() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.accept_login(reader, writer)
        while request := await scripted.read_packet(reader):
            asked.append(request)
            answer = [scripted.ok()]
            if b"@@server_id" in request:
                answer = [b"\x01", column(), EOF, b"\x01a", EOF]
            elif b"UPDATE" in request:
                answer = [scripted.ok(status=MORE)]
            elif request == b"\x1b\0\0":
                answer = [EOF]
            writer.write(scripted.frames(*answer))

    async with (
        asyncio.timeout(20),
        scripted.scripted_server(serve) as port,
        connect(host="127.0.0.1", port=port, on_cancel="kill", kill_timeout=15) as connection,
    ):
        async with connection.cursor() as cursor:
            with pytest.raises(TimeoutError):
                await cursor.executemany("UPDATE t SET a = %s", [1, 2, 3], timeout=0.1)
        await connection.query("DO 1")
        assert not connection.closed
    assert [request[:4] for request in asked].count(b"\x1b\0\0") == 1
    assert asked.index(b"\x03KILL QUERY 1") < asked.index(b"\x1b\0\0")
