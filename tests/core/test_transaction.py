"""`async with connection.transaction()`: all or nothing, whatever ends the block."""

# ruff: noqa: PT012  (blocks that raise at their end are what is tested)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest

from aiomysql_core import (
    Connection,
    IntegrityError,
    MySQLError,
    OperationalError,
    ProgrammingError,
    connect,
)
from tests.flags import FlagProxy
from tests.servers import Server

#: Modes of the session before the block, and whether texts of several statements are allowed.
MODES = pytest.mark.parametrize(
    "options",
    [
        {"autocommit": True},
        {"autocommit": False},
        {"autocommit": True, "multi_statements": False},
    ],
    ids=["autocommit", "without autocommit", "single statements"],
)


@pytest.fixture
def table(server: Server, table_name: str) -> str:
    server.execute(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    return table_name


@pytest.fixture
async def connection(
    connect_args: dict[str, Any], options: dict[str, Any]
) -> AsyncIterator[Connection]:
    async with connect(**connect_args | options) as connection:
        yield connection


async def add(connection: Connection, table: str, number: int) -> None:
    await connection.execute(f"INSERT INTO {table} VALUES (%s, 0)", (number,))


def ids(server: Server, table: str) -> list[Any]:
    """What is committed."""
    return [row[0] for row in server.execute(f"SELECT id FROM {table} ORDER BY id")]


async def check_mode(connection: Connection, options: dict[str, Any]) -> None:
    """The session's mode is what it was, and nothing is open."""
    assert connection.get_autocommit() is options["autocommit"]
    assert await connection.fetchval("SELECT @@autocommit") == int(options["autocommit"])
    assert not connection.get_transaction_status()


@MODES
async def test_commit_and_rollback(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    async with connection.transaction():
        await add(connection, table, 1)
        assert ids(server, table) == []
    assert ids(server, table) == [1]
    await check_mode(connection, options)
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            await add(connection, table, 2)
            raise ZeroDivisionError
    with pytest.raises(IntegrityError):
        async with connection.transaction():
            await add(connection, table, 3)
            await add(connection, table, 1)
    assert ids(server, table) == [1]
    assert connection.runner.nothing_to_end()  # so that a pool takes it as it is
    await check_mode(connection, options)


@MODES
async def test_savepoints(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    async with connection.transaction():
        await add(connection, table, 1)
        async with connection.transaction():
            await add(connection, table, 2)
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await add(connection, table, 3)
                async with connection.transaction():
                    await add(connection, table, 4)
                raise ZeroDivisionError
        async with connection.transaction():
            await add(connection, table, 5)
        assert ids(server, table) == []
    assert ids(server, table) == [1, 2, 5]
    await check_mode(connection, options)


@pytest.mark.parametrize("options", [{}])
async def test_what_its_repr_says(connection: Connection) -> None:
    plain, nested = connection.transaction(), connection.transaction()
    modes = connection.transaction(isolation="SERIALIZABLE", readonly=True)

    def shown() -> list[str]:
        return [repr(block).removesuffix(f" of {connection!r}>") for block in (plain, nested)]

    assert shown() == ["<Transaction not entered"] * 2
    async with plain:
        async with nested:
            assert shown() == ["<Transaction open", "<Transaction open (savepoint aiomysql_2)"]
        assert shown() == ["<Transaction open", "<Transaction over (savepoint aiomysql_2)"]
    assert shown()[0] == "<Transaction over"
    begin = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION READ ONLY"
    with pytest.raises(OperationalError, match="the session ended"):
        async with modes:
            assert repr(modes) == f"<Transaction open ({begin}) of {connection!r}>"
            connection.close()
            assert repr(modes) == f"<Transaction lost ({begin}) of {connection!r}>"


@MODES
async def test_a_transaction_begun_by_hand(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    """It stays open: the block is a part of it, and commits nothing of it."""
    await connection.begin()
    await add(connection, table, 1)
    async with connection.transaction():
        await add(connection, table, 2)
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            await add(connection, table, 3)
            raise ZeroDivisionError
    assert ids(server, table) == []
    await connection.commit()
    assert ids(server, table) == [1, 2]
    await check_mode(connection, options)


@MODES
async def test_rollback_within(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    async with connection.transaction() as outer:
        await add(connection, table, 1)
        async with connection.transaction() as inner:
            await add(connection, table, 2)
            await inner.rollback()
            await add(connection, table, 3)
            with pytest.raises(ProgrammingError, match="innermost"):
                await outer.rollback()
        await outer.rollback()
        await add(connection, table, 4)
    assert ids(server, table) == [4]
    with pytest.raises(ProgrammingError, match="innermost"):
        await outer.rollback()
    with pytest.raises(ProgrammingError, match="used once"):
        await outer.__aenter__()
    await check_mode(connection, options)


@MODES
@pytest.mark.parametrize("how", ["DDL", "commit", "begin", "rollback", "SQL"])
async def test_a_transaction_that_ends_within(
    connection: Connection, server: Server, table: str, options: dict[str, Any], how: str
) -> None:
    """What came before is committed by then, what comes after is not, and it is told."""
    with pytest.raises(OperationalError, match="ended within the block"):
        async with connection.transaction():
            await add(connection, table, 1)
            if how == "DDL":
                await connection.execute(f"ALTER TABLE {table} ADD w INT")
                await connection.execute(f"ALTER TABLE {table} DROP w")
            elif how == "SQL":
                await connection.execute("COMMIT")
            else:
                await getattr(connection, how)()
            await add(connection, table, 2)
    assert ids(server, table) == ([] if how == "rollback" else [1])
    await check_mode(connection, options)


@MODES
async def test_a_deadlock_ends_the_whole(
    connection: Connection,
    connect_args: dict[str, Any],
    server: Server,
    table: str,
    options: dict[str, Any],
) -> None:
    """Even if its error is caught in the block: nothing that follows is committed."""
    server.execute(f"INSERT INTO {table} VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)")
    update = f"UPDATE {table} SET v = v + 1 WHERE id = %s"
    async with connect(**connect_args) as other:
        await other.begin()
        for number in (2, 3, 4, 5, 6):  # the server ends the one that has changed less
            await other.execute(update, (number,))
        with pytest.raises(OperationalError, match="ended within the block") as caught:
            async with connection.transaction():
                try:
                    async with connection.transaction():
                        await connection.execute(update, (1,))
                        waiting = asyncio.ensure_future(other.execute(update, (1,)))
                        await asyncio.sleep(0.1)
                        await connection.execute(update, (2,))
                except OperationalError as error:
                    number = error.args[0]
                await waiting
                await other.rollback()
                await add(connection, table, 9)
        assert number == 1213
        assert isinstance(caught.value.__cause__, MySQLError)
    assert ids(server, table) == [1, 2, 3, 4, 5, 6]
    await check_mode(connection, options)


@MODES
@pytest.mark.parametrize("on_cancel", ["close", "kill"])
async def test_cancelled(
    connect_args: dict[str, Any],
    server: Server,
    table: str,
    options: dict[str, Any],
    on_cancel: Literal["close", "kill"],
) -> None:
    async with connect(**connect_args | options, on_cancel=on_cancel) as connection:

        async def work(sleeps: bool) -> None:
            async with connection.transaction():
                await add(connection, table, 1)
                await (connection.query("SELECT SLEEP(1)") if sleeps else asyncio.sleep(20))

        for sleeps in (False, True):
            task = asyncio.ensure_future(work(sleeps))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ids(server, table) == []
            if sleeps and on_cancel == "close":
                assert connection.closed
            else:
                await check_mode(connection, options)


@MODES
async def test_a_session_that_is_lost(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    changes: list[Callable[[], Awaitable[None]]] = [
        lambda: connection.reset(),
        lambda: connection.change_user("root"),
        lambda: connection.autocommit(True),
    ]
    for change in changes:
        async with connection.transaction():
            await add(connection, table, 1)
            with pytest.raises(ProgrammingError, match="within a transaction block"):
                await change()
        await connection.execute(f"DELETE FROM {table}")
        await connection.commit()
    await check_mode(connection, options)
    with pytest.raises(MySQLError):
        async with connection.transaction():
            await add(connection, table, 3)
            server.execute(f"KILL {connection.thread_id()}")
            with pytest.raises(MySQLError):
                await add(connection, table, 4)
            await connection.ping()  # which opens no other session there
    assert connection.closed
    await connection.ping()
    async with connection.transaction():
        await add(connection, table, 5)
    assert 5 in ids(server, table)
    with pytest.raises(OperationalError, match="session ended within"):
        async with connection.transaction():
            await add(connection, table, 6)
            connection.close()
    assert 6 not in ids(server, table)


@MODES
async def test_isolation(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    count = f"SELECT COUNT(*) FROM {table}"
    expected = 0
    isolation: Any
    for isolation, sees in (("read committed", 1), ("Repeatable_Read", 0), ("READ UNCOMMITTED", 1)):
        async with connection.transaction(isolation=isolation) as block:
            for _ in range(2):  # after a rollback, too
                assert await connection.fetchval(count) == expected
                server.execute(f"INSERT INTO {table} VALUES ({expected}, 0)")
                assert await connection.fetchval(count) == expected + sees
                expected += 1
                await block.rollback()
    locked = f"SELECT id FROM {table} WHERE id = 0 FOR UPDATE NOWAIT"
    async with connection.transaction(isolation="SERIALIZABLE"):
        await connection.fetchall(f"SELECT * FROM {table}")
        with pytest.raises(MySQLError):
            server.execute(locked)
    assert server.execute(locked)
    await check_mode(connection, options)


@MODES
async def test_readonly_and_snapshots(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    with pytest.raises(MySQLError, match="READ ONLY"):
        async with connection.transaction(readonly=True):
            await add(connection, table, 1)
    count = f"SELECT COUNT(*) FROM {table}"
    async with connection.transaction(
        consistent_snapshot=True, readonly=True, isolation="REPEATABLE READ"
    ):
        server.execute(f"INSERT INTO {table} VALUES (7, 0)")
        assert await connection.fetchval(count) == 0
        with pytest.raises(ProgrammingError, match="for the outermost block"):
            async with connection.transaction(readonly=True):
                pass
    assert await connection.fetchval(count) == 1
    for wrong in ("snapshot", "", 7):
        with pytest.raises(ValueError, match="isolation must be one of 'READ UNCOMMITTED'"):
            connection.transaction(isolation=wrong)  # type: ignore[arg-type]
    await connection.rollback()
    await check_mode(connection, options)


@MODES
async def test_a_rollback_when_the_transaction_had_ended(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    with pytest.raises(OperationalError, match="ended within the block"):
        async with connection.transaction() as block:
            await add(connection, table, 1)
            await connection.execute(f"ALTER TABLE {table} ADD w INT")
            await connection.execute(f"INSERT INTO {table} VALUES (2, 0, 0)")
            await block.rollback()
    assert ids(server, table) == [1]
    await check_mode(connection, options)


@MODES
async def test_around_it_a_transaction_begun_by_hand_ends(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    """In autocommit mode nothing can be done for what follows; that is told."""
    await connection.begin()
    fate = "committed statement by statement" if options["autocommit"] else "rolled back"
    with pytest.raises(OperationalError, match=fate):
        async with connection.transaction():
            await connection.commit()
            await add(connection, table, 2)
    await connection.rollback()
    assert ids(server, table) == ([2] if options["autocommit"] else [])
    await connection.begin()
    async with connection.transaction():
        if options["autocommit"]:
            with pytest.raises(ProgrammingError, match="open already"):
                await connection.pipeline(transaction=True).__aenter__()
        else:
            async with connection.pipeline(transaction=True) as pipeline:
                pipeline.execute(f"INSERT INTO {table} VALUES (3, 0)")
    await connection.rollback()
    assert ids(server, table) == ([2] if options["autocommit"] else [])


@MODES
async def test_the_mode_is_changed_within(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    """It is what it was afterwards, and the driver knows it."""
    with pytest.raises(ProgrammingError, match="within a transaction block"):
        async with connection.transaction():
            await add(connection, table, 1)
            await connection.autocommit(True)
    with pytest.raises(OperationalError, match="ended within"):
        async with connection.transaction():
            await add(connection, table, 2)
            await connection.execute("SET autocommit = 1")
    async with connection.transaction():
        await add(connection, table, 3)
        await connection.execute("SET @@session.autocommit = 0")
    await check_mode(connection, options)
    await connection.autocommit(False)
    await add(connection, table, 4)
    await connection.rollback()
    assert ids(server, table) == [2, 3]


@MODES
async def test_a_transaction_that_no_flag_tells_of(
    connect_args: dict[str, Any], server: Server, table: str, options: dict[str, Any]
) -> None:
    """An error has no flags, and proxies leave them out: nothing is committed by the way."""
    server.execute(
        f"CREATE PROCEDURE {table}_p() BEGIN INSERT INTO {table} VALUES (1, 0);"
        " SIGNAL SQLSTATE '45000'; END"
    )
    try:
        async with FlagProxy(server.host, server.port, lambda flags: flags & ~3) as proxy:
            for port in (connect_args["port"], proxy.port):
                there = {"port": port, "ssl": False}
                async with connect(**connect_args | options | there) as other:
                    if options["autocommit"]:
                        await other.begin()
                    with pytest.raises(MySQLError):
                        await other.execute(f"CALL {table}_p()")
                    async with other.transaction():
                        await add(other, table, 2)
                    await other.rollback()
                    assert ids(server, table) == []
                    async with other.transaction():
                        await add(other, table, 3)
                    assert ids(server, table) == [3]
                    await other.execute(f"DELETE FROM {table}")
                    await other.commit()
    finally:
        server.execute(f"DROP PROCEDURE {table}_p")


@MODES
@pytest.mark.parametrize("how", ["returned", "raised", "rolled back", "cancelled"])
async def test_a_transaction_around_it_ends_within(
    connection: Connection, server: Server, table: str, options: dict[str, Any], how: str
) -> None:
    """Whoever began that is told, and nothing that came after is left to be committed."""
    if options["autocommit"]:
        await connection.begin()
    await add(connection, table, 1)

    async def work() -> None:
        async with connection.transaction() as block:
            await connection.query("ROLLBACK")  # as a deadlock would
            await connection.query("SET AUTOCOMMIT = 0")
            await add(connection, table, 2)
            if how == "raised":
                raise LookupError
            if how == "rolled back":
                await block.rollback()
            if how == "cancelled":
                raise asyncio.CancelledError

    kind = asyncio.CancelledError if how == "cancelled" else OperationalError
    with pytest.raises(kind, match=None if how == "cancelled" else "ended within the block"):
        await work()
    if how == "cancelled":
        assert connection.closed
    else:
        await connection.commit()
    assert ids(server, table) == []


@MODES
async def test_an_error_says_that_a_part_was_committed(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    with pytest.raises(LookupError) as caught:
        async with connection.transaction():
            await add(connection, table, 1)
            await connection.execute(f"ALTER TABLE {table} ADD w INT")
            raise LookupError
    assert "ended within the block" in caught.value.__notes__[0]
    assert ids(server, table) == [1]
    await check_mode(connection, options)


@MODES
@pytest.mark.parametrize("kind", ["CHAIN", "RELEASE"])
async def test_completion_type(
    connection: Connection, server: Server, table: str, options: dict[str, Any], kind: str
) -> None:
    await connection.execute(f"SET completion_type = '{kind}'")
    for number in range(3):
        async with connection.transaction():
            await add(connection, table, number)
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await add(connection, table, 9)
                raise ZeroDivisionError
        assert ids(server, table) == list(range(number + 1))


@MODES
async def test_left_in_another_order(
    connection: Connection, server: Server, table: str, options: dict[str, Any]
) -> None:
    outer, inner = connection.transaction(), connection.transaction()
    await outer.__aenter__()
    await inner.__aenter__()
    await add(connection, table, 1)
    with pytest.raises(ProgrammingError, match="in their order"):
        await outer.__aexit__(None, None, None)
    assert connection.closed
    with pytest.raises(OperationalError, match="session ended"):
        await inner.__aexit__(None, None, None)
    assert ids(server, table) == []


@pytest.mark.parametrize("options", [{"autocommit": True}])
async def test_round_trips(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at the beginning, one at the end."""
    begin, begun = connection.runner.begin, []

    def counted(exchange: Any) -> Any:
        begun.append(exchange.request)
        return begin(exchange)

    monkeypatch.setattr(connection.runner, "begin", counted)
    async with connection.transaction(isolation="READ COMMITTED"):
        await add(connection, table, 1)
        async with connection.transaction():
            await add(connection, table, 2)
    assert len(begun) == 6


@pytest.mark.parametrize("options", [{"autocommit": True}])
async def test_tracers_see_its_statements(
    connection: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    query = Connection.query

    async def traced(self: Connection, sql: Any, *args: Any) -> int:
        seen.append(sql)
        return await query(self, sql, *args)

    monkeypatch.setattr(Connection, "query", traced)
    async with connection.transaction():
        await add(connection, table, 1)
    assert seen[:2] == ["SET AUTOCOMMIT = 0", "SAVEPOINT aiomysql_1"]
    commit = "COMMIT AND NO CHAIN NO RELEASE"
    assert seen[-3:] == ["RELEASE SAVEPOINT aiomysql_1", commit, "SET AUTOCOMMIT = 1"]


@pytest.mark.parametrize("options", [{"autocommit": True}])
async def test_locked_tables(
    connection: Connection, connect_args: dict[str, Any], server: Server, table: str
) -> None:
    """A block does not give them back."""
    await connection.query(f"LOCK TABLES {table} WRITE")
    async with connection.transaction():
        await add(connection, table, 1)
    async with connect(**connect_args) as other:
        await other.query("SET lock_wait_timeout = 1")
        with pytest.raises(OperationalError, match="ock wait timeout"):
            await other.fetchall(f"SELECT * FROM {table}")
    await connection.query("UNLOCK TABLES")
    assert ids(server, table) == [1]


@pytest.mark.parametrize("options", [{"autocommit": True}])
async def test_a_deadlock_around_it_begun_by_hand(
    connection: Connection, connect_args: dict[str, Any], server: Server, table: str
) -> None:
    """Whoever tries again after a deadlock is told of it by its own number."""
    server.execute(f"INSERT INTO {table} VALUES (1, 0), (2, 0), (3, 0), (4, 0)")
    update = f"UPDATE {table} SET v = v + 1 WHERE id = %s"
    async with connect(**connect_args) as other:
        await other.begin()
        for number in (2, 3, 4):
            await other.execute(update, (number,))
        await connection.begin()
        await connection.execute(update, (1,))
        waiting = asyncio.ensure_future(other.execute(update, (1,)))
        await asyncio.sleep(0.1)
        with pytest.raises(OperationalError) as caught:
            async with connection.transaction():
                await connection.execute(update, (2,))
        assert caught.value.args[0] == 1213
        assert "ended within the block" in caught.value.__notes__[0]
        await waiting
        await other.rollback()


@pytest.mark.parametrize("options", [{"autocommit": True}])
@pytest.mark.parametrize("reason", [KeyboardInterrupt, GeneratorExit])
async def test_left_when_nothing_can_be_run(
    connection: Connection, server: Server, table: str, reason: type[BaseException]
) -> None:
    """A coroutine that is thrown away can't wait: the server rolls back."""
    with pytest.raises(reason):
        async with connection.transaction():
            await add(connection, table, 1)
            raise reason
    assert connection.closed
    assert ids(server, table) == []


@pytest.mark.parametrize("options", [{"autocommit": True}])
async def test_committed_and_the_mode_is_not_restored(
    connection: Connection,
    server: Server,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is committed is no error."""
    run_in_turn = connection.run_in_turn

    async def failing(statements: tuple[str, ...]) -> None:
        await run_in_turn(["SET no_such = 1" if "= 1" in text else text for text in statements])

    monkeypatch.setattr(connection, "run_in_turn", failing)
    async with connection.transaction():
        await add(connection, table, 1)
    assert connection.closed
    assert ids(server, table) == [1]
    assert any("mode could not be restored" in record.message for record in caplog.records)
