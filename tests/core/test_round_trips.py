"""Round trips that are not made: COMMIT and ROLLBACK that would end nothing, SETs on connecting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SSCursor,
    connect,
)
from tests import scripted
from tests.servers import Server


async def counters(connection: Connection) -> dict[str, int]:
    """What the server has counted in this session."""
    async with connection.cursor() as cursor:
        await cursor.execute("SHOW SESSION STATUS")
        return {name: int(value) for name, value in await cursor.fetchall() if value.isdigit()}


async def ends(connection: Connection) -> tuple[int, int]:
    """How many COMMITs and ROLLBACKs the server has had."""
    found = await counters(connection)
    return found["Com_commit"], found["Com_rollback"]


@pytest.fixture
async def committing(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    """A connection in autocommit mode."""
    async with connect(**connect_args, autocommit=True) as connection:
        yield connection


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (n INT PRIMARY KEY) ENGINE=InnoDB")
    server.execute(f"INSERT INTO {table_name} VALUES (1)")
    return table_name


def locked(server: Server, table: str) -> bool:
    """Whether a session holds a metadata lock on `table`, as an open transaction does.

    For a second, that is: the server's own threads hold one for a moment.
    """
    with server.connect(init_command="SET lock_wait_timeout = 1") as other:
        try:
            other.cursor().execute(f"ALTER TABLE {table} COMMENT = 'altered'")
        except other.OperationalError as error:
            if error.args[0] != 1205:
                raise
            return True
    return False


async def test_nothing_to_end_in_autocommit_mode(committing: Connection, table: str) -> None:
    await committing.query(f"INSERT INTO {table} VALUES (2)")
    for _ in range(3):
        await committing.commit()
        await committing.rollback()
    await committing.query(f"SELECT * FROM {table}")
    await committing.commit()
    assert await ends(committing) == (0, 0)


async def test_switched_off(connect_args: dict[str, Any]) -> None:
    async with connect(**connect_args, autocommit=True, skip_idle_commits=False) as connection:
        await connection.commit()
        await connection.rollback()
        assert await ends(connection) == (1, 1)
    wrong: Any
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match="skip_idle_commits"):
            await connect(**connect_args, skip_idle_commits=wrong)


@pytest.mark.parametrize(
    "begin", ["BEGIN", "START TRANSACTION READ ONLY", "START TRANSACTION WITH CONSISTENT SNAPSHOT"]
)
async def test_transactions_in_autocommit_mode(committing: Connection, begin: str) -> None:
    await committing.query(begin)
    assert committing.get_transaction_status()
    await committing.commit()
    assert not committing.get_transaction_status()
    await committing.query(begin)
    await committing.rollback()
    await committing.commit()
    assert await ends(committing) == (1, 1)


async def test_without_autocommit(connection: Connection, table: str, server: Server) -> None:
    """Whatever was run is committed; only what follows a COMMIT or ROLLBACK at once is not sent."""
    await connection.commit()  # nothing was run
    assert await ends(connection) == (0, 0)
    for number, statement in enumerate(
        [
            f"INSERT INTO {table} VALUES (3)",
            f"SELECT * FROM {table} WHERE 0 = 1",
            "SELECT 1",
            "SET @a = 1",
        ],
        2,  # the question for the counters is a statement, too
    ):
        await connection.commit()
        await connection.query(statement)
        await connection.commit()
        await connection.commit()
        await connection.rollback()
        assert not locked(server, table)
        assert await ends(connection) == (2 * number - 2, 0), statement
    assert server.execute(f"SELECT COUNT(*) FROM {table}") == [(2,)]


async def test_metadata_locks_of_other_engines(
    connection: Connection, server: Server, table_name: str
) -> None:
    """The flags of MySQL do not tell of them, and yet it keeps them."""
    server.execute(f"CREATE TABLE {table_name} (n INT) ENGINE=MyISAM")
    for end in (connection.commit, connection.rollback):
        await connection.query(f"SELECT * FROM {table_name}")
        await end()
        assert not locked(server, table_name)


@pytest.mark.slow
async def test_after_an_error(
    connection: Connection, committing: Connection, server: Server, table: str
) -> None:
    """An ERR packet has no flags, but the failed statement has opened a transaction."""
    for end in (connection.commit, connection.rollback):
        await end()
        with pytest.raises(IntegrityError):
            await connection.query(f"INSERT INTO {table} VALUES (1)")
        assert locked(server, table)
        assert not connection.is_reusable
        await end()
        assert not locked(server, table)
        assert connection.is_reusable
    server.execute(
        f"CREATE PROCEDURE p_{table}() BEGIN START TRANSACTION; INSERT INTO {table} VALUES (7);"
        f" INSERT INTO {table} VALUES (1); END"
    )
    with pytest.raises(IntegrityError):
        await committing.query(f"CALL p_{table}()")
    assert not committing.is_reusable
    await committing.rollback()
    server.execute(f"DROP PROCEDURE p_{table}")
    assert not locked(server, table)
    assert server.execute(f"SELECT * FROM {table}") == [(1,)]
    with pytest.raises(IntegrityError):
        await committing.query(f"INSERT INTO {table} VALUES (1)")
    await committing.query("DO 0")  # whose flags say how it is
    assert committing.is_reusable
    assert committing.server_status < 1 << 16


@pytest.mark.slow
async def test_locked_tables(connection: Connection, server: Server, table: str) -> None:
    """They are not unlocked by a COMMIT; what was read of them is committed."""
    await connection.query(f"LOCK TABLES {table} WRITE")
    await connection.commit()
    assert locked(server, table)
    await connection.query("UNLOCK TABLES")
    await connection.commit()
    assert not locked(server, table)


async def test_xa(committing: Connection, server: Server) -> None:
    """Where a server refuses a COMMIT it still does."""
    await committing.query("XA START 'x'")
    for statement in ("XA END 'x'", "XA PREPARE 'x'", "XA ROLLBACK 'x'"):
        if committing.get_transaction_status():
            with pytest.raises(OperationalError, match="1399"):
                await committing.commit()
        await committing.query(statement)
    await committing.commit()
    expected = 3 if server.kind == "mysql" else 4  # MySQL drops what is prepared
    assert await ends(committing) == (expected, 0)


async def test_temporary_tables(committing: Connection) -> None:
    await committing.query("CREATE TEMPORARY TABLE passing (n INT)")
    await committing.begin()
    await committing.query("INSERT INTO passing VALUES (1)")
    await committing.rollback()
    assert await committing.query("SELECT * FROM passing") == 0


async def test_unread_rows(committing: Connection) -> None:
    """A commit ends a streamed result, as ever, even where there is nothing else to end."""
    cursor = await committing.cursor(SSCursor)
    await cursor.execute("SELECT REPEAT('x', 100000) FROM information_schema.columns LIMIT 100")
    with pytest.warns(UserWarning, match="left incomplete"):
        await committing.commit()
    await committing.commit()
    assert await ends(committing) == (0, 0)
    with pytest.raises(InterfaceError, match="dropped"):
        await cursor.fetchall()
    await cursor.close()


async def test_closed_and_busy_connections(connect_args: dict[str, Any], server: Server) -> None:
    connection = await connect(**connect_args, autocommit=True)
    sleeping = asyncio.ensure_future(connection.query("SELECT SLEEP(0.2)"))
    await asyncio.sleep(0)
    with pytest.raises(InterfaceError, match="another task"):
        await connection.commit()
    await sleeping
    server.execute(f"KILL {connection.thread_id()}")
    async with asyncio.timeout(5):
        while not connection.closed:
            await asyncio.sleep(0.01)
    with pytest.raises(OperationalError):
        await connection.commit()
    with pytest.raises(InterfaceError):
        await connection.rollback()


async def test_reset_and_reconnect(connection: Connection) -> None:
    await connection.query("DO 0")
    await connection.reset()
    await connection.commit()
    connection.close()
    await connection.ping()
    await connection.commit()
    assert await ends(connection) == (0, 0)


# Connecting


@pytest.mark.parametrize("collation", [None, "utf8mb4_bin"])
@pytest.mark.parametrize("autocommit", [None, True, False])
async def test_one_statement_on_connecting(
    connect_args: dict[str, Any], autocommit: bool | None, collation: str | None
) -> None:
    """Whatever is to be set goes in one; what else is asked for is known from the greeting."""
    options: dict[str, Any] = {"autocommit": autocommit, "collation": collation}
    async with connect(**connect_args, **options, sql_mode="ANSI") as connection:
        found = await counters(connection)
        assert (found["Questions"], found["Com_set_option"]) == (2, 1)  # with that question
        await connection.reset()
        assert (await counters(connection))["Com_set_option"] == 1  # since then


async def test_statements_around_an_init_command() -> None:
    """What it has changed is right again, and it is committed."""
    seen: list[bytes] = []
    charsets = scripted.frames(
        b"\x04",
        *[b"\x03def\0\0\0\x01a\0\x0c\x2d\0\xff\0\0\0\xfd\0\0\0\0\0"] * 4,
        b"\xfe\0\0\x02\0",
        b"\x07utf8mb4" * 3 + b"\0",
        b"\xfe\0\0\x02\0",
    )

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await scripted.open_session(reader, writer)
        responses = [scripted.frames(scripted.ok(status=status)) for status in (3, 2)]
        for response in (*responses, charsets, scripted.frames(scripted.ok())):
            seen.append(await scripted.read_packet(reader))
            writer.write(response)
        await reader.read()

    async with scripted.scripted_server(handler) as port:
        connection = await connect(
            host="127.0.0.1", port=port, init_command="INSERT", autocommit=True
        )
        connection.close()
    asked = b"\x03SELECT " + b", ".join(
        b"@@" + what
        for what in (
            b"character_set_client",
            b"character_set_connection",
            b"character_set_results",
            b"sql_mode",
        )
    )
    assert seen == [b"\x03INSERT", b"\x03COMMIT", asked, b"\x03SET autocommit = 1"]


class Noting(Connection):
    """A connection that notes the statements given to `query`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.noted: list[object] = []
        super().__init__(*args, **kwargs)

    async def query(self, sql: Any, unbuffered: bool = False, **kwargs: Any) -> int:
        self.noted.append(sql)
        return await super().query(sql, unbuffered, **kwargs)


async def test_a_query_method_of_a_subclass_is_used(connect_args: dict[str, Any]) -> None:
    async with Noting(**connect_args) as connection:
        await connection.ping()  # opens it
        await connection.query("DO 1")
        await connection.commit()
        await connection.query("DO 1")
        await connection.rollback()
        assert connection.noted[-4:] == ["DO 1", "COMMIT", "DO 1", "ROLLBACK"]


async def test_the_results_of_cursors_outlast_a_transaction(
    connection: Connection, table: str
) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT n, n + 1 FROM {table}")
        await connection.rollback()
        assert not connection.get_transaction_status()
        assert (cursor.rowcount, cursor.rownumber) == (1, 0)
        assert await cursor.fetchall() == ((1, 2),)
        assert await cursor.execute(f"INSERT INTO {table} VALUES (%s)", (8,)) == 1
        await connection.commit()
        assert connection.affected_rows() == 0
        assert cursor.rowcount == 1
        assert await cursor.nextset() is None


async def test_one_cursor_through_transactions(connection: Connection, table: str) -> None:
    """Its results are its own, whatever the connection has run since."""
    cursor, other = await connection.cursor(), await connection.cursor()
    await cursor.execute("SELECT 1; SELECT 2; SELECT 3")
    await connection.commit()  # gives up the results after the first
    assert await cursor.fetchall() == ((1,),)
    for number in range(10, 13):
        assert await cursor.execute(f"INSERT INTO {table} VALUES (%s)", (number,)) == 1
        assert cursor.description is None
        await connection.commit()
        assert await other.execute(f"SELECT n FROM {table} WHERE n = %s", (number,)) == 1
        assert await cursor.execute(f"SELECT COUNT(*) FROM {table}") == 1
        await connection.rollback()
        assert await cursor.fetchall() == ((number - 8,),)
        assert await other.fetchall() == ((number,),)
    await other.execute("SELECT 1; SELECT 2")
    assert await cursor.execute("SELECT 4") == 1
    assert await other.nextset() is None
    assert await cursor.fetchone() == (4,)


@pytest.mark.parametrize("options", [{}, {"stmt_cache_size": 4}, {"read_timeout": 60}])
async def test_a_transaction_that_cannot_be_ended(
    connect_args: dict[str, Any], server: Server, options: dict[str, Any]
) -> None:
    """The error is the server's, and the next statement finds all in step."""
    async with connect(**connect_args, **options) as connection:
        await connection.query("XA START 'y'")
        for end in (connection.commit, connection.rollback):
            with pytest.raises(OperationalError, match="1399"):
                await end()
        await connection.query("XA END 'y'")
        await connection.query("XA ROLLBACK 'y'")
        await connection.query("SELECT 1")
        server.execute(f"KILL {connection.thread_id()}")
        with pytest.raises((OperationalError, InterfaceError)):
            await connection.rollback()
        assert connection.closed


async def test_a_cancelled_rollback_closes_the_connection(
    connection: Connection, table: str
) -> None:
    await connection.query(f"INSERT INTO {table} VALUES (9)")
    ending = asyncio.ensure_future(connection.rollback())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert connection.closed


async def test_a_rollback_while_another_task_waits(connection: Connection) -> None:
    sleeping = asyncio.ensure_future(connection.query("SELECT SLEEP(0.2)"))
    await asyncio.sleep(0)
    with pytest.raises(InterfaceError, match="another task"):
        await connection.rollback()
    assert await sleeping == 1
    await connection.rollback()
