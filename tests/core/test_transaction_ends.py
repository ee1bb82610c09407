"""COMMIT and ROLLBACK behind a proxy that never says whether a transaction is open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pymysql.constants import COMMAND, SERVER_STATUS

from aiomysql_core import Connection, Cursor, DictCursor, IntegrityError, SSCursor, connect
from tests.flags import FlagProxy
from tests.servers import Server

Act = Callable[[Connection, str], Awaitable[object]]


def no_transaction(flags: int) -> int:
    return flags & ~SERVER_STATUS.SERVER_STATUS_IN_TRANS


def always_autocommit(flags: int) -> int:
    return no_transaction(flags) | SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[FlagProxy]:
    async with FlagProxy(server.host, server.port, always_autocommit) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: FlagProxy, connect_args: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `connect()` for a connection by way of the proxy."""
    return {**connect_args, "host": "127.0.0.1", "port": proxy.port, "unix_socket": None}


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (n INT PRIMARY KEY) ENGINE=InnoDB")
    return table_name


def ends(proxy: FlagProxy) -> list[bytes]:
    """The COMMITs and ROLLBACKs that were sent."""
    return [command[1:] for command in proxy.commands if command[1:] in (b"COMMIT", b"ROLLBACK")]


async def executes(connection: Connection, *statements: str, args: Any = None) -> None:
    async with connection.cursor() as cursor:
        for statement in statements:
            await cursor.execute(statement, args)


async def by_dicts(connection: Connection, table: str) -> None:
    async with connection.cursor(DictCursor) as cursor:
        await cursor.execute(f"INSERT INTO {table} VALUES (%s)", (1,))


async def streamed(connection: Connection, table: str) -> None:
    async with connection.cursor(SSCursor) as cursor:
        await cursor.execute(f"INSERT INTO {table} VALUES (1)")


async def many(connection: Connection, table: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(f"INSERT INTO {table} VALUES (%s)", [(1,)])


async def prepared(connection: Connection, table: str) -> None:
    async with await connection.prepare(f"INSERT INTO {table} VALUES (%s)") as statement:
        await statement.execute((1,))


async def command(connection: Connection, table: str) -> None:
    await connection._execute_command(COMMAND.COM_QUERY, f"INSERT INTO {table} VALUES (1)")


INSERTS: list[Act] = [
    lambda connection, table: connection.query(f"INSERT INTO {table} VALUES (1)"),
    lambda connection, table: executes(connection, f"INSERT INTO {table} VALUES (1)"),
    lambda connection, table: executes(connection, f"INSERT INTO {table} VALUES (%s)", args=(1,)),
    by_dicts,
    streamed,
    many,
    prepared,
    command,
]


@pytest.mark.parametrize("size", [0, 5])
@pytest.mark.parametrize("insert", INSERTS)
@pytest.mark.parametrize("mode", [True, False, None])
async def test_what_was_begun_is_committed(
    through: dict[str, Any],
    server: Server,
    proxy: FlagProxy,
    table: str,
    mode: bool | None,
    insert: Act,
    size: int,
) -> None:
    async with connect(**through, autocommit=mode, stmt_cache_size=size) as connection:
        await connection.begin()
        await insert(connection, table)
        await connection.rollback()
        await connection.begin()
        await insert(connection, table)
        await connection.commit()
    assert server.execute(f"SELECT * FROM {table}") == [(1,)]
    assert ends(proxy) == [b"ROLLBACK", b"COMMIT"]


BEGINNINGS = [
    "START TRANSACTION",
    "SET autocommit = 0",
    "SET @@session.autocommit = 0, @a = 1",
    "SET @a = 1; BEGIN",
    "SELECT 1; BEGIN",
    "/*! BEGIN */",
    "/*!40000 SET autocommit = 0 */",
    "CALL begin_in_{table}()",
    "COMMIT AND CHAIN",
]


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_beginnings_that_the_driver_did_not_write(
    through: dict[str, Any], server: Server, table: str, beginning: str
) -> None:
    server.execute(f"CREATE PROCEDURE begin_in_{table}() START TRANSACTION")
    try:
        async with connect(**through, autocommit=True) as connection:
            await executes(connection, beginning.format(table=table))
            await executes(connection, f"INSERT INTO {table} VALUES (1)")
            await connection.commit()
            await executes(connection, f"INSERT INTO {table} VALUES (2)")
            await connection.commit()
    finally:
        server.execute(f"DROP PROCEDURE begin_in_{table}")
    assert server.execute(f"SELECT * FROM {table}") == [(1,), (2,)]


CHAINS = "SET completion_type = 'CHAIN'"


@pytest.mark.parametrize("init", [True, False])
async def test_transactions_in_a_chain(
    through: dict[str, Any], server: Server, table: str, init: bool
) -> None:
    """Each COMMIT begins another one, of which nobody tells."""
    options: dict[str, Any] = {"init_command": CHAINS} if init else {}
    async with connect(**through, autocommit=True, **options) as connection:
        if not init:
            await connection.query(CHAINS)
            await connection.autocommit(True)
        await connection.commit()
        for number in range(2):
            await executes(connection, f"INSERT INTO {table} VALUES ({number})")
            await connection.commit()
        await connection.query("SET completion_type = DEFAULT")
        await connection.commit()
    assert server.execute(f"SELECT * FROM {table}") == [(0,), (1,)]


async def test_backticks_that_are_none(through: dict[str, Any], server: Server, table: str) -> None:
    """The second byte of a character in sjis may be one."""
    async with connect(**through, autocommit=True, charset="sjis") as connection:
        await executes(connection, "SELECT 1 AS `〜`; BEGIN # `")
        await executes(connection, f"INSERT INTO {table} VALUES (1)")
        await connection.commit()
    assert server.execute(f"SELECT * FROM {table}") == [(1,)]


@pytest.mark.parametrize("kind", [Cursor, DictCursor, SSCursor])
async def test_values_do_not_matter(
    through: dict[str, Any], proxy: FlagProxy, kind: type[Cursor]
) -> None:
    async with connect(**through, autocommit=True) as connection:
        async with connection.cursor(kind) as cursor:
            await cursor.execute("SELECT %s", ("it's; BEGIN",))
            await cursor.fetchall()
            await cursor.executemany("DO %s", [("it's; ü",), (";\\",)])
            await cursor.execute("CREATE TEMPORARY TABLE passing (t TEXT)")
            await connection.autocommit(True)
            await cursor.executemany("INSERT INTO passing VALUES (%s)", [("it's; fine",)] * 3)
        await connection.commit()
    assert ends(proxy) == [b"COMMIT"]  # of CREATE


async def test_nothing_is_sent_where_nothing_was_run(
    through: dict[str, Any], proxy: FlagProxy, table: str
) -> None:
    async with connect(**through) as connection:
        for _ in range(2):
            await connection.commit()
            await connection.rollback()
        assert ends(proxy) == []
        await executes(connection, "SELECT 1")
        await connection.commit()
        await connection.ping()
        await connection.commit()
        await connection.rollback()
        assert ends(proxy) == [b"COMMIT"]


async def test_nothing_is_sent_for_what_ends_by_itself(
    through: dict[str, Any], proxy: FlagProxy, table: str
) -> None:
    """In the autocommit mode that the driver itself has set."""
    async with connect(**through, autocommit=True, stmt_cache_size=5) as connection:
        for _ in range(2):
            await executes(connection, f"SELECT * FROM {table}", "SHOW TABLES", "DO 1")
            await executes(connection, f"SELECT * FROM {table} WHERE n = %s", args=(1,))
            await connection.query("SELECT 'a;b', ';'")  # values don't matter
            await connection.commit()
            await connection.rollback()
            assert ends(proxy) == []
        await connection.query("SET @a = 1")  # who knows
        await executes(connection, f"SELECT * FROM {table}")
        await connection.commit()
        assert ends(proxy) == [b"COMMIT"]
        await connection.autocommit(True)
        await executes(connection, f"SELECT * FROM {table}")
        await connection.commit()
        assert ends(proxy) == [b"COMMIT"]
        await connection.autocommit(False)
        await executes(connection, f"SELECT * FROM {table}")
        await connection.rollback()
        assert ends(proxy) == [b"COMMIT", b"ROLLBACK"]


async def test_the_mode_is_what_was_set(
    through: dict[str, Any], proxy: FlagProxy, server: Server, table: str
) -> None:
    """Whatever the flags say of it."""
    async with connect(**through, autocommit=False) as connection:
        assert not connection.get_autocommit()
        await executes(connection, f"INSERT INTO {table} VALUES (1)")
        await connection.rollback()
        await connection.autocommit(True)
        assert connection.get_autocommit()
        before = len(proxy.commands)
        await connection.autocommit(True)
        assert len(proxy.commands) == before
        await connection.query("SET autocommit = 0")
        await connection.autocommit(True)
        await executes(connection, f"INSERT INTO {table} VALUES (2)")
    assert server.execute(f"SELECT * FROM {table}") == [(2,)]


@pytest.mark.parametrize("mode", [True, False, None])
async def test_flags_that_are_all_clear(
    connect_args: dict[str, Any], server: Server, table: str, mode: bool | None
) -> None:
    """As from databases that know no flags."""
    async with FlagProxy(server.host, server.port, lambda flags: 0) as proxy:
        through = {**connect_args, "host": "127.0.0.1", "port": proxy.port, "unix_socket": None}
        async with connect(**through, autocommit=mode) as connection:
            await executes(connection, f"INSERT INTO {table} VALUES (1)")
            await connection.rollback()
            rows = [] if mode is False else [(1,)]
            assert server.execute(f"SELECT * FROM {table}") == rows
            await executes(connection, f"DELETE FROM {table}", f"INSERT INTO {table} VALUES (2)")
            await connection.commit()
    assert server.execute(f"SELECT * FROM {table}") == [(2,)]


async def test_an_error_ends_nothing(
    through: dict[str, Any], proxy: FlagProxy, server: Server, table: str
) -> None:
    async with connect(**through, autocommit=True) as connection:
        await connection.begin()
        await executes(connection, f"INSERT INTO {table} VALUES (1)")
        with pytest.raises(IntegrityError):
            await executes(connection, f"INSERT INTO {table} VALUES (1)")
        await connection.commit()
    assert server.execute(f"SELECT * FROM {table}") == [(1,)]


async def test_what_is_said_of_a_transaction_outlasts_the_mode(
    connection: Connection, server: Server, table: str
) -> None:
    """READ ONLY holds until the next COMMIT, also where the mode has committed."""
    for mode in (True, False):
        await executes(connection, "START TRANSACTION READ ONLY")
        await connection.autocommit(True)
        await connection.commit()
        await executes(connection, f"INSERT INTO {table} VALUES ({int(mode)})")
        await connection.commit()
        await connection.autocommit(False)
    assert server.execute(f"SELECT * FROM {table}") == [(0,), (1,)]


async def test_after_a_reset_and_a_reconnect(
    through: dict[str, Any], proxy: FlagProxy, server: Server, table: str
) -> None:
    async with connect(**through, autocommit=True) as connection:
        for renew in (connection.reset, connection._connect):
            await connection.begin()
            await renew()
            await connection.commit()
            await executes(connection, f"INSERT INTO {table} VALUES (1)")
            await connection.commit()
            await executes(connection, f"DELETE FROM {table}")
        assert ends(proxy) == []
