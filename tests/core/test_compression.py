"""Option `compression`: the same answers with it and without, on real servers."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    MySQLError,
    NotSupportedError,
    OperationalError,
    SSCursor,
    SSDictCursor,
    connect,
)
from aiomysql_core.options.dsn import parse_dsn
from aiomysql_pool import create_pool
from tests import scripted
from tests.servers import Server

RANDOM = random.Random(1).randbytes(1 << 20)
NUMBERS = (
    "(WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 900)"
    " SELECT n FROM s)"
)


async def all_of(connection: Connection, sql: str, args: object = None) -> list[Any]:
    """All there is to be seen of a statement's results."""
    seen: list[Any] = []
    async with connection.cursor() as cursor:
        try:
            await cursor.execute(sql, args)
            more: bool | None = True
            while more:
                rows = await cursor.fetchall() if cursor.description else None
                seen.append((rows, cursor.description, cursor.rowcount, cursor.lastrowid))
                more = await cursor.nextset()
        except MySQLError as error:
            seen.append(error.args)
    return seen


async def one(connection: Connection, sql: str, args: object = None) -> Any:
    ((((value,),), *_),) = await all_of(connection, sql, args)
    return value


async def status(connection: Connection) -> dict[str, str]:
    """What the server says of the session's compression."""
    ((rows, *_),) = await all_of(connection, "SHOW SESSION STATUS LIKE 'Compression%'")
    return dict(rows)


# -- which -----------------------------------------------------------------------------------


@pytest.mark.tls
@pytest.mark.parametrize(
    ("compression", "level", "mysql", "mariadb"),
    [
        (None, None, None, None),
        ("uncompressed", None, None, None),
        ("zlib", None, ("zlib", "6"), ("zlib", "6")),
        ("zlib", 9, ("zlib", "6"), ("zlib", "6")),
        ("zstd", None, ("zstd", "3"), 2061),
        ("zstd", 22, ("zstd", "22"), 2061),
        (("zstd", "zlib"), 11, ("zstd", "11"), ("zlib", "6")),
        (["zlib", "zstd"], 1, ("zlib", "6"), ("zlib", "6")),
        (("uncompressed", "zstd"), None, ("zstd", "3"), None),
    ],
)
async def test_what_is_used(
    server: Server,
    connect_args: dict[str, Any],
    compression: str | Sequence[str] | None,
    level: int | None,
    mysql: tuple[str, str] | None,
    mariadb: Any,
) -> None:
    wanted = mysql if server.kind == "mysql" else mariadb
    options = {**connect_args, "compression": compression, "compression_level": level}
    if wanted == 2061:
        message = "option 'compression' asks for zstd, the server offers zlib; with 'uncompressed'"
        with pytest.raises(OperationalError, match=message) as caught:
            await connect(**options)
        assert caught.value.args[0] == 2061
        return
    async with connect(**options) as connection:
        said = await status(connection)
        assert said["Compression"] == ("ON" if wanted else "OFF")
        if wanted and server.kind == "mysql":
            assert (said["Compression_algorithm"], said["Compression_level"]) == wanted
        assert await one(connection, "SELECT REPEAT('x', 100000)") == "x" * 100000


async def test_nothing_is_said_before_it_is_refused() -> None:
    """Neither user nor password go to a server that doesn't offer what is asked for."""
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(scripted.frame(scripted.greeting(), 0))
        received.extend(await reader.read())

    async with scripted.scripted_server(serve) as port:
        with pytest.raises(OperationalError, match="the server offers no compression"):
            await connect(host="127.0.0.1", port=port, compression=("zlib", "zstd"))
    assert received == b""


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"compression": "lz4"}, ValueError, "'zlib', 'zstd', 'uncompressed'"),
        ({"compression": ("zlib", 7)}, ValueError, "'zlib', 'zstd', 'uncompressed'"),
        ({"compression": "zlib,zstd"}, ValueError, "one or several of"),
        ({"compression": True}, TypeError, "option 'compression' must be of type str"),
        ({"compression": 1}, TypeError, "option 'compression' must be of type str"),
        ({"compression_level": 5}, ValueError, "needs option 'compression'"),
        ({"compression": "uncompressed", "compression_level": 5}, ValueError, "needs option"),
        ({"compression": "zlib", "compression_level": 0}, ValueError, "from 1 to 9"),
        ({"compression": "zlib", "compression_level": 10}, ValueError, "from 1 to 9 .*not 10"),
        ({"compression": "zstd", "compression_level": 23}, ValueError, "from 1 to 22"),
        ({"compression": "zlib", "compression_level": "5"}, TypeError, "'compression_level'"),
        ({"client_flag": 32}, NotSupportedError, "option 'client_flag' asks for 0x20"),
    ],
)
async def test_what_can_not_be(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Connection(**options)
    with pytest.raises(error, match=message):
        await create_pool(host="db.invalid", **options)


async def test_zstd_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    for names in ("zstd", ("zlib", "zstd")):
        with pytest.raises(NotSupportedError, match=r"pip install backports\.zstd"):
            Connection(compression=names, user="nobody else has this one")
    Connection(compression="zlib")


def compression_of(**given: Any) -> tuple[Any, Any]:
    options = Connection(**given)._options
    return options.compression, options.compression_level


async def test_data_source_names() -> None:
    found = parse_dsn("mysql://h/d?compression=zstd,%20zlib&compression_level=7")
    assert found["compression"] == ("zstd", "zlib")
    for text, wanted in (("zlib", ("zlib",)), ("", ()), ("zlib,uncompressed", BOTH[1:])):
        assert compression_of(**parse_dsn(f"mysql://h/?compression={text}")) == (wanted, None)
    with pytest.raises(ValueError, match="one or several of"):
        await connect("mysql://h.invalid/?compression=gzip")


async def test_several_names_are_remembered() -> None:
    """What was found out for one connection counts for the next one."""
    names: Any = BOTH[::2]
    first, second = (Connection(host="h", compression=("zlib", name)) for name in names)
    for other in (Connection(host="h", compression=("zlib", "zstd")), first):
        assert other._options._logins is first._options._logins
        assert other._options._logins is not second._options._logins


BOTH = ("zstd", "zlib", "uncompressed")


@pytest.mark.parametrize(
    ("lines", "given", "wanted"),
    [
        ("compress", {}, (("zlib", "uncompressed"), None)),
        ("compress=1", {}, (("zlib", "uncompressed"), None)),
        ("enable-compress", {}, (("zlib", "uncompressed"), None)),
        ("compress=0", {}, ((), None)),
        ("skip-compress", {}, ((), None)),
        ("compress\nskip-compress", {}, ((), None)),
        ("compression-algorithms=zstd,zlib,uncompressed", {}, (BOTH, None)),
        ("compression_algorithms=zstd\ncompress", {}, (("zstd",), None)),
        ("compress\ncompression-algorithms=zstd", {}, (("zstd",), None)),
        ("compression-algorithms=uncompressed", {}, ((), None)),
        ("zstd-compression-level=7", {}, ((), None)),
        ("zstd-compression-level=7\ncompress", {}, (("zlib", "uncompressed"), None)),
        ("zstd-compression-level=17\ncompression-algorithms=zstd", {}, (("zstd",), 17)),
        ("zstd-compression-level=17", {"compression": ("zstd", "zlib")}, (("zstd", "zlib"), 17)),
        ("compression-algorithms=zlib", {"compression_level": 2}, (("zlib",), 2)),
        ("user=u", {"compression": "zlib"}, (("zlib",), None)),
    ],
)
async def test_option_files(
    tmp_path: Path, lines: str, given: dict[str, Any], wanted: tuple[Any, Any]
) -> None:
    path = tmp_path / "my.cnf"
    path.write_text(f"[client]\n{lines}\n")
    assert compression_of(read_default_file=path, **given) == wanted


@pytest.mark.parametrize("line", ["compress=maybe", "zstd-compression-level=high"])
async def test_option_files_that_can_not_be(tmp_path: Path, line: str) -> None:
    path = tmp_path / "my.cnf"
    path.write_text(f"[client]\n{line}\ncompression-algorithms=zstd\n")
    with pytest.raises(ValueError, match=f"option file .*{line.partition('=')[0]} can't be"):
        Connection(read_default_file=path)


# -- the same with it and without ------------------------------------------------------------

LONG = "a word and " * 200_000

CORPUS: list[tuple[str, Any]] = [
    ("SELECT 1, 'two', NULL, 3.5, CAST('2026-11-22' AS DATE), 0x00ff", None),
    (f"SELECT n, REPEAT('y', n), MD5(n) FROM {NUMBERS} AS s", None),
    ("SELECT 1; SELECT 2, 3; DO 0; SELECT 'last'", None),
    ("SELECT 1; SELECT * FROM no_such_table; SELECT 3", None),
    ("SELEC nonsense", None),
    ("SELECT 1 FROM (SELECT 1) AS t WHERE FALSE", None),
    ("SELECT %s, LENGTH(%s)", (LONG, RANDOM)),
    ("SELECT _binary %s", (RANDOM,)),
    ("SELECT REPEAT('z', 17000000), 1 UNION ALL SELECT REPEAT('q', 16777208), 2", None),
    ("CREATE TEMPORARY TABLE c (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)", None),
    ("INSERT INTO c (v) VALUES (%s), (%s), (NULL)", (RANDOM, "short")),
    ("INSERT INTO c (id) VALUES (1)", None),
    ("SELECT id, v FROM c ORDER BY id", None),
    ("UPDATE c SET v = CONCAT(v, 'x') WHERE id > 1", None),
    ("SELECT CAST('x' AS SIGNED)", None),
    ("SHOW WARNINGS", None),
]


@pytest.mark.tls
@pytest.mark.filterwarnings("ignore:Truncated incorrect")
@pytest.mark.parametrize("size", [0, 8], ids=["text", "prepared"])
async def test_same_answers(connect_args: dict[str, Any], size: int) -> None:
    options = {**connect_args, "stmt_cache_size": size}
    names: Any = ("zstd", "zlib") if size else "zlib"
    async with connect(**options) as plain, connect(**options, compression=names) as compressed:
        for sql, args in CORPUS:
            wanted = await all_of(plain, sql, args)
            # Not by a message of pytest's, which would show megabytes.
            assert (await all_of(compressed, sql, args) == wanted) is True, sql
        assert (await status(compressed))["Compression"] == "ON"


@pytest.fixture
async def connection(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    async with connect(
        **connect_args,
        compression=("zstd", "zlib"),
        local_infile=True,
        on_cancel="kill",
        autocommit=True,  # or else tables could not be dropped meanwhile
    ) as connection:
        yield connection


@pytest.mark.parametrize("cursorclass", [SSCursor, SSDictCursor])
async def test_streamed(connection: Connection, cursorclass: type[Cursor]) -> None:
    """Little comes, and holds much: it is taken piece by piece, or not at all."""
    sql = f"SELECT a.n AS a, REPEAT('x', 9000) AS b FROM {NUMBERS} AS a"
    async with connection.cursor(cursorclass) as cursor:
        await cursor.execute(sql)
        count = len(await cursor.fetchmany(10))
        await asyncio.sleep(0.1)
        assert count + len(await cursor.fetchall()) == 900
    async with connection.cursor(cursorclass) as cursor:
        await cursor.execute(sql)
        await cursor.fetchone()
        with pytest.warns(UserWarning, match="left incomplete"):
            assert await one(connection, "SELECT 7") == 7


async def test_much_at_once(connection: Connection) -> None:
    """Other tasks have their turns while a little that came becomes much."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    sql = f"SELECT REPEAT('x', 30000) FROM {NUMBERS} AS a"
    ((rows, *_),) = await all_of(connection, sql)
    counting.cancel()
    assert len(rows) == 900
    assert turns > 20


async def test_local_files(connection: Connection, server: Server, table_name: str) -> None:
    server.execute(f"CREATE TABLE {table_name} (n INT, v VARCHAR(80))")
    lines = [b"%d\t%s\n" % (n, b"value %d " % n * (n % 7)) for n in range(30_000)]
    async with connection.cursor() as cursor:
        sql = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
        for source in (lines, b"".join(lines), [b"1\tone\n"], b""):
            await cursor.load_local(sql, source)
    assert await one(connection, f"SELECT COUNT(*) FROM {table_name}") == 60_001


async def test_many(connection: Connection, server: Server, table_name: str) -> None:
    server.execute(f"CREATE TABLE {table_name} (n INT PRIMARY KEY, v LONGTEXT)")
    async with connection.cursor() as cursor:
        rows = [(n, RANDOM[n * 99 : n * 101].hex() * 4) for n in range(3000)]
        await cursor.executemany(f"INSERT INTO {table_name} VALUES (%s, %s)", rows)
        updates = [(f"changed {n}" * 9, n) for n in range(3000)]
        await cursor.executemany(f"UPDATE {table_name} SET v = %s WHERE n = %s", updates)
    async with connection.pipeline() as pipeline:
        sql = f"SELECT v FROM {table_name} WHERE n = %s"
        asked = [pipeline.execute(sql, (n,)) for n in range(300)]
        failing = pipeline.execute("SELECT no_such_column")
        await pipeline.execute("SELECT REPEAT('x', 20000000)")
        for n, statement in enumerate(asked):
            assert await (await statement).fetchone() == (f"changed {n}" * 9,)
        with pytest.raises(OperationalError, match="1054"):
            await failing


async def test_stopped(connection: Connection) -> None:
    """The statement is killed, and the connection goes on."""
    number = connection.thread_id()
    for sql in ("SELECT SLEEP(9)", f"SELECT a.n, SLEEP(0.01) FROM {NUMBERS} AS a"):
        task = asyncio.ensure_future(connection.query(sql))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await one(connection, "SELECT CONNECTION_ID()") == number
    with pytest.raises(TimeoutError):
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT SLEEP(9)", timeout=0.1)
    assert await one(connection, "SELECT CONNECTION_ID()") == number


async def test_reset(connection: Connection) -> None:
    """What was agreed on at the log-in stays."""
    await connection.query("SET @x = 1")
    await connection.reset()
    assert await one(connection, "SELECT @x") is None
    assert (await status(connection))["Compression"] == "ON"
    assert await one(connection, "SELECT REPEAT('x', 100000)") == "x" * 100000
    await connection.ping()


async def test_long_packets_are_refused(connect_args: dict[str, Any]) -> None:
    """However little it was that came."""
    options = {**connect_args, "compression": "zlib", "max_allowed_packet": 1 << 18}
    connection = await connect(**options)
    assert await one(connection, "SELECT REPEAT('x', 200000)") == "x" * 200_000
    with pytest.raises(OperationalError, match="bigger than 'max_allowed_packet'"):
        await connection.query("SELECT REPEAT('x', 30000000)")
    assert connection.closed


async def test_largest_request(server: Server, connect_args: dict[str, Any]) -> None:
    """A server counts the packet's header, too, if it is compressed."""
    limit = 1 << 21
    ((before,),) = server.execute("SELECT @@GLOBAL.max_allowed_packet")
    server.execute(f"SET GLOBAL max_allowed_packet = {limit}")
    try:
        compression: Any
        for compression, most in ((None, limit - 1), ("zlib", limit - 5)):
            async with connect(**connect_args, compression=compression) as connection:
                rest = most - len("\x03SELECT LENGTH('')")
                found = await one(connection, f"SELECT LENGTH('{'x' * rest}')")
                assert found == rest
                with pytest.raises(OperationalError, match="1153|max_allowed_packet"):
                    await connection.query(f"SELECT LENGTH('{'x' * rest}x')")
    finally:
        server.execute(f"SET GLOBAL max_allowed_packet = {before}")


async def test_pool(connect_args: dict[str, Any]) -> None:
    options = {**connect_args, "compression": ("zstd", "zlib"), "minsize": 2}
    async with create_pool(**options) as pool:
        async with pool.acquire() as connection:
            assert (await status(connection))["Compression"] == "ON"
        async with pool.acquire() as connection:
            assert await one(connection, "SELECT REPEAT('x', 100000)") == "x" * 100_000
