"""The character set that a session reads statements in is the one that they are written in.

Whatever sets it: what the server does not know, its options, its init_connect, a script that the
connection runs, or a statement.  So for collation, autocommit mode and NO_BACKSLASH_ESCAPES.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    DictCursor,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
    SSCursor,
    connect,
)
from aiomysql_pool import create_pool
from aiomysql_protocol.sql.character_sets import ignores_charset, may_change_charset
from tests import scripted
from tests.flags import FlagProxy
from tests.servers import DSN_NAME, Server
from tests.servers.instance import running

#: Values that come to something else where the server reads them in another character set: as
#: two characters, with a quote that is none, as another statement.
NASTY = ("Chloé", "Zoë €", "誠", "€' UNION SELECT 42 -- ", "誠\\' OR 1=1 -- ", "\\", "'", "a\\'b")
LATIN = ("Chloé", "é' UNION SELECT 42 -- ", "\\", "a\\'b")

STATE = (
    "SELECT @@character_set_client, @@character_set_connection, @@character_set_results,"
    " @@collation_connection, @@autocommit, @@sql_mode"
)


async def row(connection: Connection, sql: str, args: object = None) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(sql, args)
        return await cursor.fetchone()


async def charsets(connection: Connection) -> set[str]:
    return set((await row(connection, STATE))[:3])


async def check_values(connection: Connection, values: tuple[str, ...] = NASTY) -> None:
    """The values come back as they are, and are stored as they are."""
    async with connection.cursor() as cursor:
        await cursor.execute("CREATE TEMPORARY TABLE kept (t VARCHAR(99) CHARACTER SET utf8mb4)")
        for value in values:
            await cursor.execute("SELECT %s AS a, %s AS b", (value, value))
            assert await cursor.fetchall() == ((value, value),)
            await cursor.execute("INSERT INTO kept VALUES (%s)", (value,))
            await cursor.execute("SELECT t, HEX(t) FROM kept WHERE t = %s", (value,))
            assert await cursor.fetchall() == ((value, value.encode().hex().upper()),)
            await cursor.execute("DELETE FROM kept")
        await cursor.executemany("INSERT INTO kept VALUES (%s)", [(value,) for value in values])
        await cursor.execute("SELECT t FROM kept")
        assert sorted(await cursor.fetchall()) == sorted((value,) for value in values)
        await cursor.execute("DROP TEMPORARY TABLE kept")


@pytest.fixture
def plain(server: Server, make_user: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Options of an account for which the server runs init_connect: not for administrators."""
    plugin = {"mysql": "caching_sha2_password", "mariadb": "mysql_native_password"}[server.kind]
    return {**server.connect_args, **make_user(plugin, "secret")}


@contextlib.contextmanager
def init_connect(server: Server, statement: str) -> Iterator[None]:
    ((before,),) = server.execute("SELECT @@GLOBAL.init_connect")
    server.execute("SET GLOBAL init_connect = %s", (statement,))
    try:
        yield
    finally:
        server.execute("SET GLOBAL init_connect = %s", (before,))


# What the server does on its own


async def test_a_character_set_that_the_server_lacks(
    connect_args: dict[str, Any], server: Server
) -> None:
    """MariaDB takes its default without a word for what the handshake asks for."""
    options = {**connect_args, "charset": "gb18030"}
    if server.kind == "mariadb":
        with pytest.raises(OperationalError, match="gb18030") as caught:
            await connect(**options)
        assert caught.value.args[0] == 1115
        return
    async with connect(**options) as connection:
        assert await charsets(connection) == {"gb18030"}
        await check_values(connection, (*NASTY, ", USER()) -- "))


@pytest.mark.parametrize("autocommit", [None, True, False])
@pytest.mark.parametrize(
    "statement",
    [
        "SET NAMES latin1",
        "SET NAMES gbk",
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        "SET character_set_results = NULL",
        "SET character_set_results = utf16",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
        "SET sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES', NAMES sjis",
        "SET autocommit = 0",
        "SET autocommit = 1",
    ],
)
async def test_init_connect(
    server: Server, plain: dict[str, Any], statement: str, autocommit: bool | None
) -> None:
    default = None
    with init_connect(server, statement):
        for charset, values in (("utf8mb4", NASTY), ("latin1", LATIN)):
            async with connect(**plain, charset=charset, autocommit=autocommit) as connection:
                state = await row(connection, STATE)
                assert set(state[:3]) == {charset}
                if autocommit is not None:
                    assert state[4] == connection.get_autocommit() == autocommit
                if charset == "utf8mb4":
                    default = default or state[3]
                    assert state[3] == default != "utf8mb4_bin"
                await check_values(connection, values)
    # The server's own default: what SET NAMES without a collation gives.
    with server.connect() as other, other.cursor() as cursor:
        cursor.execute("SET NAMES utf8mb4")
        cursor.execute("SELECT @@collation_connection")
        assert cursor.fetchone() == (default,)


async def test_a_server_that_skips_the_handshake(server: Server) -> None:
    if server.name == DSN_NAME or server.kind == "mysql":
        pytest.skip("needs a server of its own that has the option, which MySQL 9 has not")
    options = {"character_set_client_handshake": "OFF", "character_set_server": "latin1"}
    with running(server.name, **options) as stubborn:
        async with connect(**stubborn.connect_args) as connection:
            assert await charsets(connection) == {"utf8mb4"}
            await check_values(connection)


async def test_a_cancelled_statement_is_stopped_whatever_is_set(
    server: Server, plain: dict[str, Any]
) -> None:
    """The connection that sends KILL has no literals: it asks and says what is ASCII everywhere."""
    with init_connect(server, "SET NAMES sjis, character_set_results = utf16"):
        async with connect(**plain, on_cancel="kill") as connection:
            with pytest.raises(QueryTimeout):
                await connection.query("SELECT SLEEP(9)", timeout=0.05)
            await check_values(connection)


# Autocommit mode and collation


@pytest.mark.parametrize("claimed", [0, 2])
@pytest.mark.parametrize("autocommit", [True, False])
async def test_autocommit_is_set_whatever_the_flags_say(
    server: Server, plain: dict[str, Any], table_name: str, claimed: int, autocommit: bool
) -> None:
    server.execute(f"CREATE TABLE {table_name} (n INT) ENGINE=InnoDB")
    opposite = f"SET autocommit = {int(not autocommit)}"
    async with FlagProxy(
        server.host, server.port, lambda flags: flags & ~3 | claimed | flags & 1
    ) as proxy:
        with init_connect(server, opposite):
            options = {**plain, "port": proxy.port, "autocommit": autocommit}
            async with connect(**options) as connection:
                assert (await row(connection, STATE))[4] == autocommit
                await connection.reset()
                assert (await row(connection, STATE))[4] == autocommit
    assert [b"autocommit = %d" % autocommit in sent for sent in proxy.commands].count(True) == 2


async def test_rollback_behind_a_proxy_without_flags(
    server: Server, connect_args: dict[str, Any], table_name: str
) -> None:
    server.execute(f"CREATE TABLE {table_name} (n INT) ENGINE=InnoDB")
    async with (
        FlagProxy(server.host, server.port, lambda flags: flags & ~3) as proxy,
        connect(**{**connect_args, "port": proxy.port}) as connection,
    ):
        await connection.query(f"INSERT INTO {table_name} VALUES (1)")
        await connection.rollback()
    assert server.execute(f"SELECT * FROM {table_name}") == []


async def test_variables_and_columns_compare(connection: Connection, server: Server) -> None:
    """With another collation than the server's default this is error 1267 on MySQL."""
    await connection.query("CREATE TEMPORARY TABLE named (name VARCHAR(9) CHARACTER SET utf8mb4)")
    await connection.query("INSERT INTO named VALUES ('x')")
    await connection.query("SET @t = 'x'")
    assert await row(connection, "SELECT name FROM named WHERE name = @t") == ("x",)
    with server.connect() as other, other.cursor() as cursor:
        cursor.execute("SELECT @@collation_connection")
        assert (await row(connection, STATE))[3] == cursor.fetchone()[0]


@pytest.mark.parametrize("collation", [None, "utf8mb4_bin", "utf8mb4_unicode_520_ci"])
async def test_each_lease_has_the_same_collation(
    connect_args: dict[str, Any], collation: str | None
) -> None:
    question = "SELECT @@collation_connection, 'a ' = 'a', 'a' = 'A'"
    options: dict[str, Any] = {**connect_args, "collation": collation, "maxsize": 1}
    seen = []
    async with create_pool(**options, reset_session="full") as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                seen.append(await row(connection, question))
                await connection.query("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci")
    assert len(set(seen)) == 1
    assert seen[0][0] == collation or collation is None


@pytest.mark.parametrize("collation", ["latin1_bin", "klingon_ci"])
async def test_a_collation_that_is_wrong(connect_args: dict[str, Any], collation: str) -> None:
    with pytest.raises(OperationalError, match=collation):
        await connect(**connect_args, collation=collation)
    with pytest.raises(ValueError, match="'collation'"):
        await connect(**connect_args, collation=f"{collation}, sql_mode=''")


# What the connection runs


@pytest.mark.parametrize(
    ("command", "collation"),
    [
        ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", "utf8mb4_bin"),
        ("SET time_zone = '+00:00'", None),
        ("SET NAMES latin1", None),
        ("SET NAMES utf8", None),
        ("SET NAMES gbk, sql_mode = 'NO_BACKSLASH_ESCAPES'", None),
        ("SET CHARACTER SET latin1", None),
        ("SET character_set_results = NULL", None),
        ("SET character_set_results = utf16", None),
        ("SET character_set_client = gbk", None),
        ("SET collation_connection = latin1_bin", None),
        ("SET NAMES binary", None),
        ("SET @a = 1; SET NAMES gbk", None),
        ("SET autocommit = 1", None),
        ("CALL {procedure}()", None),
    ],
)
@pytest.mark.parametrize("autocommit", [None, False])
async def test_init_command(
    connect_args: dict[str, Any],
    procedure: str,
    command: str,
    collation: str | None,
    autocommit: bool | None,
) -> None:
    options = {**connect_args, "autocommit": autocommit}
    command = command.format(procedure=procedure)
    async with connect(**options, init_command=command) as connection:
        state = await row(connection, STATE)
        assert set(state[:3]) == {"utf8mb4"}
        if collation is not None:
            assert state[3] == collation
        assert state[4] == (autocommit is None)
        await check_values(connection)
        await connection.reset()
        assert await row(connection, STATE) == state


@pytest.mark.slow
@pytest.mark.parametrize(
    "response",
    [
        scripted.frames(scripted.ok()),
        scripted.frames(
            b"\x01",
            b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0",
            b"\xfe\0\0\x02\0",
            b"\x013",
            b"\xfe\0\0\x02\0",
        ),
    ],
    ids=["OK", "a number"],
)
async def test_a_server_that_does_not_tell(response: bytes) -> None:
    async def handler(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        for _ in range(2):  # the command, and a COMMIT
            await scripted.read_packet(reader)
            writer.write(scripted.frames(scripted.ok()))
        assert b"@@character_set_client" in await scripted.read_packet(reader)
        writer.write(response)
        await scripted.silent(reader, writer)

    async with scripted.scripted_server(handler) as port:
        with pytest.raises(Connection.DatabaseError, match="character sets|number"):
            await connect(host="127.0.0.1", port=port, autocommit=None, init_command="DO 1")


# What statements set


@pytest.fixture
async def procedure(server: Server, table_name: str) -> AsyncIterator[str]:
    """The name of a procedure that changes the character set of what comes after it."""
    server.execute(f"CREATE PROCEDURE p{table_name}() BEGIN SET NAMES latin1; END")
    yield f"p{table_name}"
    server.execute(f"DROP PROCEDURE p{table_name}")


@pytest.mark.filterwarnings("ignore:.*UTF8.*|.*deprecated.*")
@pytest.mark.parametrize("kind", [Cursor, DictCursor, SSCursor, None])
@pytest.mark.parametrize(
    ("statement", "charset"),
    [
        ("SET NAMES gbk", "gbk"),
        ("set names 'latin1'", "latin1"),
        ("SET NAMES utf8", "utf8mb3"),
        ("/*!40101 SET NAMES latin1 */", "latin1"),
        ("-- old\nSET NAMES latin1, sql_mode = 'NO_BACKSLASH_ESCAPES'", "latin1"),
        ("SET @a = 'x;y', NAMES latin1", "latin1"),
        ("SET @@character_set_client=latin1, @@character_set_results=latin1", "latin1"),
        ("SET CHARACTER SET latin1", "latin1"),
        ("SET CHARSET latin1", "latin1"),
        ("DO 1; SET NAMES latin1", "latin1"),
        ("SELECT 1; SELECT 2; SET NAMES latin1", "latin1"),
        ("PREPARE x FROM 'SET NAMES latin1'; EXECUTE x", "latin1"),
        ("SET CHAR SET latin1", "latin1"),
        ("--\nSET NAMES latin1", "latin1"),
        ("--\x01 c\nSET NAMES latin1", "latin1"),
        ("/*!999999 c */ SET NAMES latin1", "latin1"),
        ("/*!40101SET NAMES latin1*/", "latin1"),
    ],
)
async def test_a_statement_that_changes_it(
    connection: Connection, statement: str, charset: str, kind: type[Cursor] | None
) -> None:
    """The connection goes over to it, as by `set_charset`."""
    if kind is None:
        await connection.query(statement)
    else:
        async with connection.cursor(kind) as running:
            await running.execute(statement)
    cursor = await connection.cursor()
    for value in LATIN:
        await cursor.execute("SELECT %s AS a, %s AS b, @@character_set_client", (value, value))
        assert await cursor.fetchall() == ((value, value, charset),)
    assert connection.charset == charset
    await check_values(connection, LATIN)
    await connection.set_charset("utf8mb4")
    await check_values(connection)


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN NOT ATOMIC SET NAMES latin1; END",
        "IF 1 THEN SET NAMES latin1; END IF",
        "FOR i IN 1..1 DO SET NAMES latin1; END FOR",
    ],
)
async def test_a_compound_statement_that_changes_it(
    connect_args: dict[str, Any], server: Server, statement: str, size: int
) -> None:
    if server.kind == "mysql":
        pytest.skip("only within routines there")
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        cursor = await connection.cursor()
        await cursor.execute(statement, ())
        assert await row(connection, "SELECT %s, @@character_set_client", ("é",)) == (
            ("é", "latin1")
        )
        await connection.query("SET NAMES utf8mb4")
        async with await connection.prepare(statement) as prepared:
            await prepared.execute()
        assert await row(connection, "SELECT %s", ("é",)) == ("é",)
        assert connection.charset == "latin1"


@pytest.mark.parametrize("first", ["DO 1", "SELECT 1", "SELECT 1; DO 1; SELECT 2"])
async def test_a_later_statement_that_changes_it(connection: Connection, first: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(f"{first}; SET NAMES latin1; SELECT 3")
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT %s, @@character_set_client", ("é",))
        assert await cursor.fetchall() == (("é", "latin1"),)


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize(
    "use",
    [
        lambda connection: row(connection, "SELECT %s", ("é",)),
        lambda connection: row(connection, "SELECT 'é'"),
        lambda connection: row(connection, "SELECT %(a)s", {"a": "é"}),
    ],
    ids=["value", "text", "named"],
)
async def test_each_way_to_write_text(
    connect_args: dict[str, Any], size: int, use: Callable[[Connection], Any]
) -> None:
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        for charset in ("latin1", "gbk", "utf8mb4"):
            assert await use(connection) == ("é",)
            await connection.query(f"SET NAMES {charset}")
            assert await use(connection) == ("é",)
            assert connection.charset == charset


async def test_other_ways_to_write_text(connect_args: dict[str, Any], server: Server) -> None:
    async with connect(**connect_args, local_infile=True) as connection:
        cursor = await connection.cursor()
        await connection.query("CREATE TEMPORARY TABLE t (a VARCHAR(9) CHARACTER SET utf8mb4)")

        async def stored() -> Any:
            await cursor.execute("SELECT a FROM t")
            found = await cursor.fetchall()
            await connection.query("DELETE FROM t")
            return found

        await connection.query("SET NAMES latin1")
        await cursor.executemany("INSERT INTO t VALUES (%s)", [("é",), ("ü",)])
        assert await stored() == (("é",), ("ü",))
        await connection.query("SET NAMES utf8mb4")
        await connection.query("INSERT INTO t VALUES ('é')")
        assert await stored() == (("é",),)
        await connection.query("SET NAMES latin1")
        statement = "LOAD DATA LOCAL INFILE 'x' INTO TABLE t CHARACTER SET utf8mb4 SET a = 'é'"
        await cursor.load_local(statement, b"-\n")
        assert await stored() == (("é",),)
        await connection.query("SET NAMES utf8mb4")
        async with await connection.prepare("INSERT INTO t VALUES (CONCAT(%s, 'é'))") as prepared:
            await prepared.execute(("é",))
            await connection.query("SET NAMES latin1")
            await prepared.execute(("é",))
        assert await stored() == (("éé",), ("éé",))
        async with await connection.prepare("SET NAMES utf8mb4") as prepared:
            await prepared.execute()
        assert await row(connection, "SELECT %s, HEX('é')", ("誠",)) == ("誠", "C3A9")
        await connection.query("SET NAMES latin1")
        with pytest.raises(OperationalError, match="no_such_procedure"):
            await cursor.callproc("no_such_procedure", ("é",))
        assert await row(connection, "SELECT @_no_such_procedure_0") == ("é",)
        await connection.query("SET NAMES gbk")
        await connection.query("SET NAMES latin1")
        with pytest.raises(OperationalError, match="1049"):
            await connection.select_db("é")
        assert connection.charset == "latin1"


async def test_rows_that_are_unread_meanwhile(connection: Connection) -> None:
    """What they are is settled; they are dropped as before any other statement."""
    streaming = await connection.cursor(SSCursor)
    cursor = await connection.cursor(DictCursor)
    await cursor.execute("SELECT 'é' AS a")
    await connection.query("SET NAMES latin1")
    await streaming.execute("SELECT 'ü' FROM information_schema.columns LIMIT 9")
    assert await streaming.fetchone() == ("ü",)
    with pytest.warns(UserWarning, match="left incomplete"):
        await streaming.execute("SET NAMES utf8mb4")
    assert await cursor.fetchall() == [{"a": "é"}]
    assert await row(connection, "SELECT %s", ("誠",)) == ("誠",)


@pytest.mark.parametrize(
    "statement",
    [
        "SET character_set_client = latin1",
        "SET character_set_results = NULL",
        "SET collation_connection = latin1_bin",
        "SET NAMES swe7",
        "SET character_set_results = utf16",
    ],
)
async def test_a_change_that_cannot_be_followed(connection: Connection, statement: str) -> None:
    await connection.query(statement)
    for _ in range(2):
        with pytest.raises(ProgrammingError, match=r"set_charset\(\)"):
            await row(connection, "SELECT %s", ("é",))
        with pytest.raises(ProgrammingError, match=r"set_charset\(\)"):
            await connection.query("INSERT INTO t VALUES ('é')")
        await connection.begin()
        await connection.commit()
        await connection.rollback()
    await connection.set_charset("utf8mb4")
    await check_values(connection)
    await connection.query(statement)
    await connection.query("SET NAMES utf8mb4")
    await check_values(connection)
    await connection.query(statement)
    await connection.reset()
    await check_values(connection)


async def test_text_that_is_left_as_bytes(connect_args: dict[str, Any]) -> None:
    """Then the character set of results is the caller's affair."""
    command = "SET character_set_results = NULL"
    async with connect(**connect_args, use_unicode=False, init_command=command) as connection:
        assert await row(connection, "SELECT @@character_set_results, 'é'") == (None, "é".encode())
        await connection.query("SET NAMES latin1, character_set_results = NULL")
        assert await row(connection, "SELECT %s", ("é",)) == (b"\xe9",)


async def test_a_change_that_is_none_costs_nothing(connection: Connection) -> None:
    async def questions() -> int:
        return int((await row(connection, "SHOW SESSION STATUS LIKE 'Questions'"))[1])

    await connection.query("SET NAMES utf8mb4")
    before = await questions()
    for statement in (
        "SET NAMES utf8mb4",
        "set names 'utf8mb4' collate 'utf8mb4_bin';",
        "SET time_zone = '+00:00'",
        "CREATE TEMPORARY TABLE c (t TEXT) CHARACTER SET utf8mb4",
    ):
        await connection.query(statement)
        assert await row(connection, "SELECT %s", ("é",)) == ("é",)
    assert await questions() == before + 9


@pytest.mark.parametrize(
    ("statement", "may", "ignores"),
    [
        ("SET NAMES x", True, True),
        ("(SELECT 1);\n/**/ # c\nset\tcharacter set x", True, False),
        ("SET CHAR SET x", True, True),
        ("--\nSET NAMES x", True, False),
        ("--\x01 c\nSET NAMES x", True, False),
        ("/*!999999 c */ SET NAMES x", True, False),
        ("/*!999999\\- enable the sandbox mode */\nSET NAMES x", True, False),
        ("/*M!999999 c */ SET NAMES x", True, False),
        ("/*!40101SET NAMES x*/", True, False),
        ("\xa0SET NAMES x", True, False),
        ("BEGIN NOT ATOMIC SET NAMES x; END", True, False),
        ("IF 1 THEN SET NAMES x; END IF", True, False),
        ("SET/**/@@sql_mode = ''", True, True),
        ("EXECUTE IMMEDIATE 'DO 1'", True, False),
        ("SELECT 'SET NAMES x'", False, False),
        ("CREATE TABLE t (a CHAR(9) CHARACTER SET x)", False, False),
        ("UPDATE t SET names = 1", False, False),
        ("CREATE TABLE t (a INT) CHARSET=latin1", False, False),
        ("SET autocommit = 0", False, True),
        ("SET @a = 1; EXECUTE x", True, False),
        ("COMMIT", False, True),
        ("ROLLBACK TO `é`", False, False),
        ("BEGIN; SELECT 1", False, False),
    ],
)
def test_what_may_change_it(statement: str, may: bool, ignores: bool) -> None:
    text = statement.encode("latin-1", "xmlcharrefreplace")
    assert (may_change_charset(text), ignores_charset(text)) == (may, ignores)


# NO_BACKSLASH_ESCAPES: the flag of the server stays where a routine has set the mode and the server
# has undone that.

#: Values that end their literal where backslashes are read in the other way.
ESCAPES = ("\\' UNION SELECT 43 -- ", "x' UNION SELECT 44 -- ", "\\", ", (SELECT USER())) -- ")


@pytest.fixture
async def routines(server: Server, table_name: str) -> AsyncIterator[str]:
    """Ends of the names of routines: p and f set the mode, q takes it away, and a trigger of t."""
    name, mode = table_name, "SET sql_mode = 'NO_BACKSLASH_ESCAPES'"
    server.execute(f"CREATE PROCEDURE p{name}() {mode}")
    server.execute(f"CREATE PROCEDURE q{name}() SET sql_mode = ''")
    server.execute(f"CREATE FUNCTION f{name}() RETURNS INT NO SQL BEGIN {mode}; RETURN 1; END")
    server.execute(f"CREATE TABLE {name} (a TEXT)")
    server.execute(f"CREATE TRIGGER t{name} BEFORE INSERT ON {name} FOR EACH ROW {mode}")
    yield name
    for kind, first in (("PROCEDURE", "p"), ("PROCEDURE", "q"), ("FUNCTION", "f")):
        server.execute(f"DROP {kind} {first}{name}")


async def check_escapes(connection: Connection) -> None:
    cursor = await connection.cursor()
    for value in ESCAPES:
        await cursor.execute("SELECT %s", (value,))
        assert await cursor.fetchall() == ((value,),)
        await cursor.execute(f"SELECT {connection.escape(value)}")
        assert await cursor.fetchall() == ((value,),)
        await cursor.execute(f"SELECT '{connection.escape_string(value)}'")
        assert await cursor.fetchall() == ((value,),)
    await connection.query("CREATE TEMPORARY TABLE kept_too (a TEXT, b TEXT)")
    await cursor.executemany("INSERT INTO kept_too VALUES (%s, %s)", [(v, v) for v in ESCAPES])
    await cursor.execute("SELECT * FROM kept_too")
    assert await cursor.fetchall() == tuple((value, value) for value in ESCAPES)
    await connection.query("DROP TEMPORARY TABLE kept_too")
    async with await connection.prepare("SELECT '\\\\', %s") as prepared:
        cursor = await prepared.execute(("x",))
        assert await cursor.fetchone() == ("\\\\" if connection.no_backslash_escapes else "\\", "x")


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize(
    "statements",
    [
        ["CALL p{0}()"],
        ["SELECT f{0}()"],
        ["DO f{0}()"],
        ["SET @a = f{0}()"],
        ["INSERT INTO {0} VALUES ('a')"],
        ["SET sql_mode = 'NO_BACKSLASH_ESCAPES'"],
        ["SET sql_mode = 'NO_BACKSLASH_ESCAPES'", "CALL q{0}()"],
        ["CALL p{0}()", "DO 1", "COMMIT"],
        ["CALL p{0}()", "SET sql_mode = @@sql_mode"],
        ["SET sql_mode = 'NO_BACKSLASH_ESCAPES'", "SET sql_mode = ''", "SET @a = f{0}()"],
        ["SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'; SELECT 1"],
        ["PREPARE x FROM \"SET sql_mode = 'NO_BACKSLASH_ESCAPES'\"", "EXECUTE x"],
    ],
)
async def test_backslashes_as_the_session_reads_them(
    connect_args: dict[str, Any], routines: str, statements: list[str], size: int
) -> None:
    async with connect(**connect_args, stmt_cache_size=size, autocommit=True) as connection:
        for statement in statements:
            await connection.query(statement.format(routines))
        await check_escapes(connection)
        await connection.set_charset("utf8mb4")
        await check_escapes(connection)
        await connection.reset()
        assert not connection.no_backslash_escapes
        await check_escapes(connection)


@pytest.mark.parametrize("autocommit", [None, True, False])
async def test_backslashes_after_init_command(
    connect_args: dict[str, Any], routines: str, autocommit: bool | None
) -> None:
    options = {**connect_args, "autocommit": autocommit}
    async with connect(**options, init_command=f"CALL p{routines}()") as connection:
        await check_escapes(connection)
    command = "SET sql_mode = 'NO_BACKSLASH_ESCAPES'"
    async with connect(**options, init_command=command) as connection:
        assert connection.no_backslash_escapes
        await check_escapes(connection)


async def test_set_statement(connection: Connection, server: Server) -> None:
    if server.kind == "mysql":
        pytest.skip("MariaDB's alone")
    await connection.query("SET STATEMENT sql_mode = 'NO_BACKSLASH_ESCAPES' FOR SELECT 1")
    await check_escapes(connection)


async def test_the_mode_and_then_the_character_set(connection: Connection) -> None:
    """`set_charset` settles only the one, so it asks for the other."""
    await connection.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    await connection.set_charset("latin1")
    assert connection.no_backslash_escapes
    await check_escapes(connection)


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES"])
@pytest.mark.parametrize("lie", [lambda flags: flags | 512, lambda flags: flags & ~512])
async def test_a_flag_that_lies(
    server: Server, connect_args: dict[str, Any], mode: str, lie: Callable[[int], int]
) -> None:
    lies: list[Callable[[int], int]] = []
    async with FlagProxy(
        server.host, server.port, lambda flags: lies[0](flags) if lies else flags
    ) as proxy:
        options = {**connect_args, "port": proxy.port, "sql_mode": mode}
        async with connect(**options) as connection:
            lies.append(lie)
            await connection.query("DO 1")
            assert connection.no_backslash_escapes == bool(mode)
            await check_escapes(connection)


# Statements that aren't preceded by the question, and those that are refused


@pytest.mark.parametrize(
    ("before", "question", "response"),
    [
        ("INSERT INTO numbers VALUES (1), (2), (3)", "SELECT ROW_COUNT()", ((3,),)),
        ("SELECT SQL_CALC_FOUND_ROWS * FROM two LIMIT 1", "SELECT FOUND_ROWS()", ((2,),)),
        ("SELECT CAST('x' AS SIGNED)", "SHOW COUNT(*) WARNINGS", ((1,),)),
        ("SELECT CAST('x' AS SIGNED)", "SELECT @@warning_count", ((1,),)),
    ],
)
async def test_questions_about_the_statement_before(
    connection: Connection, before: str, question: str, response: Any
) -> None:
    connection.get_warnings = False
    await connection.query("CREATE TEMPORARY TABLE numbers (n INT)")
    await connection.query("CREATE TEMPORARY TABLE two AS SELECT 1 AS n UNION SELECT 2")
    cursor = await connection.cursor()
    for way in (cursor.execute, connection.query):
        await way(f"SET NAMES latin1; {before}")
        await connection.discard_results()
        if way == connection.query:
            await way(question)
            assert connection.runner.result is not None
            assert tuple(connection.runner.result.rows or ()) == response
        else:
            await way(question)
            assert await cursor.fetchall() == response
        assert await row(connection, "SELECT %s", ("é",)) == ("é",)
        assert connection.charset == "latin1"
        await connection.set_charset("utf8mb4")


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("SET NAMES latin1", True),
        ("SET sql_mode = 'NO_BACKSLASH_ESCAPES'", True),
        ("SET character_set_results = NULL", False),
        ("SET character_set_client = latin1", False),
    ],
)
async def test_what_a_pool_hands_on(
    connect_args: dict[str, Any], statement: str, kept: bool, ended: bool, autocommit: bool
) -> None:
    """A connection whose character set is known."""
    async with create_pool(**connect_args, minsize=1, maxsize=1, autocommit=autocommit) as pool:
        for _ in range(2):
            async with pool.acquire() as first:
                await first.query(statement)
                if ended:
                    await first.commit()
            async with pool.acquire() as second:
                assert not second.session_charset.in_doubt
                assert (second is first) == kept
                assert await row(second, "SELECT %s", ("\\'é",)) == ("\\'é",)


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("SET NAMES gbk; SELECT %s", True),
        ("DO 1; SET @a = 'x;y', NAMES gbk; SELECT %s", True),
        ("SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT %s", True),
        ("SET NAMES utf8mb4; SELECT %s", False),
        ("SET names utf8mb4 COLLATE utf8mb4_bin; SELECT %s; ", False),
        ("SELECT %s; SET NAMES gbk;", False),
        ("SELECT %s; SET NAMES gbk; DO '%%s'", False),
        ("SELECT %s; UPDATE charnames SET names = 'a;b'; DO 1", False),
    ],
)
async def test_values_behind_a_change_in_the_same_text(
    connect_args: dict[str, Any], statement: str, refused: bool, size: int
) -> None:
    value = "誠\\' OR 1=1 -- "
    async with connect(**connect_args, stmt_cache_size=size) as connection:
        await connection.query("CREATE TEMPORARY TABLE charnames (names TEXT)")
        cursor = await connection.cursor()
        if refused:
            with pytest.raises(ProgrammingError, match="by itself"):
                await cursor.execute(statement, (value,))
            assert not connection.session_charset.in_doubt
        else:
            await cursor.execute(statement, (value,))
            while cursor.description is None:
                await cursor.nextset()
            assert await cursor.fetchall() == ((value,),)
        assert await row(connection, "SELECT %s", (value,)) == (value,)


async def test_prepare_after_a_change(connection: Connection) -> None:
    """Which strings a statement has, and so which marks, is known only then."""
    await connection.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    async with await connection.prepare("SELECT '\\', %s, '\\'") as prepared:
        cursor = await prepared.execute(("x",))
        assert await cursor.fetchone() == ("\\", "x", "\\")


@pytest.mark.parametrize("name", [None, 5, b"utf8mb4"])
async def test_a_name_that_is_none(connection: Connection, name: Any) -> None:
    with pytest.raises(ProgrammingError, match="'charset'"):
        await connection.set_charset(name)
    await check_values(connection)


async def test_names_in_another_character_set(connection: Connection) -> None:
    await connection.query("SET character_set_results = utf16")
    with pytest.raises(ProgrammingError, match="utf8mb4, utf8mb4, utf16 for client"):
        await connection.query("SELECT 1")


async def test_what_subclasses_say_of_text(connect_args: dict[str, Any]) -> None:
    """They may say, as with classic aiomysql, by which codec and whether text is read, and how
    strings are written.
    """

    class Latin(Connection):
        encoding = property(lambda self: "latin-1")

    class Bytes(Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.use_unicode, self.decoders = True, {}
            super().__init__(*args, **kwargs)

    class Plain(Connection):
        charset = property(lambda self: "its own")
        no_backslash_escapes = property(lambda self: True)
        server_version = property(lambda self: "1.2")

    latin, raw = Latin(**connect_args), Bytes(**connect_args)
    async with latin, raw:
        await latin._connect()
        async with latin.cursor() as cursor:
            await cursor.execute("SELECT CONVERT(0xC3A9 USING utf8mb4)")
            assert await cursor.fetchall() == (("\u00c3\u00a9",),)
        await raw._connect()
        assert raw.decoders
        raw.use_unicode = False
        await raw.set_charset("utf8mb4")
        async with raw.cursor() as cursor:
            await cursor.execute("SELECT 'a'")
            assert await cursor.fetchall() == ((b"a",),)
    plain = Plain(**connect_args)
    assert plain.escape("a\\b'") == "'a\\b'''"
    assert (plain.character_set_name(), plain.get_server_info()) == ("its own", "1.2")
