"""LOAD DATA LOCAL INFILE."""

from __future__ import annotations

import asyncio
import builtins
import io
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymysql.err import Warning as MySQLWarning

from aiomysql_core import (
    Connection,
    Cursor,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SSCursor,
    connect,
)
from aiomysql_protocol.sql.local_infile import local_file_names
from tests import scripted
from tests.servers import Server

ROWS = 30_000
DATA = b"".join(b"%d\tname %d\n" % (n, n) for n in range(ROWS))


@pytest.fixture
async def loading(connect_args: dict[str, Any], table_name: str) -> Any:
    options = {"local_infile": True, "warn_uncommitted": False}
    async with connect(**connect_args | options) as connection:
        await connection.query(f"CREATE TABLE {table_name} (id INT PRIMARY KEY, v VARCHAR(40))")
        yield connection


async def count(connection: Connection, table: str) -> tuple[Any, ...]:
    async with connection.cursor() as cursor:
        await cursor.execute(f"SELECT COUNT(*), MAX(id), MAX(v) FROM {table}")
        (row,) = await cursor.fetchall()
        return row


@pytest.mark.tls
async def test_file(loading: Connection, table_name: str, tmp_path: Path) -> None:
    path = tmp_path / "it's data.tsv"
    path.write_bytes(DATA)
    async with loading.cursor() as cursor:
        query = f"LOAD DATA LOCAL INFILE %s INTO TABLE {table_name}"
        assert await cursor.execute(query, (str(path),)) == ROWS
        assert cursor.rowcount == ROWS
    assert await count(loading, table_name) == (ROWS, ROWS - 1, "name 9999")


@pytest.mark.tls
async def test_file_among_other_statements(
    loading: Connection, table_name: str, tmp_path: Path
) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"1\ta\n2\tb\n")
    for kind in (Cursor, SSCursor):
        async with loading.cursor(kind) as cursor:
            await cursor.execute(
                f"DELETE FROM {table_name}; LOAD DATA LOCAL INFILE %s INTO TABLE {table_name}; "
                "SELECT 'after'",
                str(path),
            )
            assert await cursor.nextset()
            assert cursor.rowcount == 2
            assert await cursor.nextset()
            assert await cursor.fetchone() == ("after",)


@pytest.mark.tls
async def test_other_tasks_wait_their_turn(loading: Connection, table_name: str) -> None:
    going = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"1\ta\n"
        going.set()
        await asyncio.sleep(0.05)
        yield b"2\tb\n"

    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    load = asyncio.ensure_future(loading.load_local(query, slow()))
    await going.wait()
    with pytest.raises(InterfaceError, match="another task"):
        await loading.query("SELECT 1")
    assert await load == 2


async def asynchronously() -> AsyncIterator[bytes]:
    for start in range(0, len(DATA), 100_000):
        await asyncio.sleep(0)
        yield DATA[start : start + 100_000]


@pytest.mark.tls
@pytest.mark.parametrize(
    "source",
    [
        lambda: DATA,
        lambda: memoryview(DATA),
        lambda: io.BytesIO(DATA),
        asynchronously,
        lambda: (DATA[n : n + 7000] for n in range(0, len(DATA), 7000)),
    ],
    ids=["bytes", "memoryview", "file object", "async iterator", "iterator"],
)
async def test_other_sources(loading: Connection, table_name: str, source: Any) -> None:
    query = f"LOAD DATA LOCAL INFILE 'anything' INTO TABLE {table_name}"
    async with loading.cursor() as cursor:
        assert await cursor.load_local(query, source()) == ROWS
        assert cursor.rowcount == ROWS
    assert (await count(loading, table_name))[0] == ROWS
    await loading.query(f"DELETE FROM {table_name}")
    assert await loading.load_local(query, b"") == 0


@pytest.mark.tls
async def test_missing_file(loading: Connection, table_name: str) -> None:
    query = f"LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE {table_name}"
    async with loading.cursor() as cursor:
        with pytest.raises(OperationalError, match="/no/such/file") as caught:
            await cursor.execute(query)
        assert caught.value.args[0] == 1017
        await cursor.execute("SELECT 'in step'")
        assert await cursor.fetchone() == ("in step",)


@pytest.mark.parametrize("kind", [Cursor, SSCursor])
async def test_the_same_file_in_two_statements(
    loading: Connection, table_name: str, tmp_path: Path, kind: type[Cursor]
) -> None:
    """The server asks for it by name for each of them; once more is refused."""
    path = tmp_path / "it's data"
    path.write_bytes(b"1\ta\n2\tb\n")
    load = f"LOAD DATA LOCAL INFILE %s REPLACE INTO TABLE {table_name}"
    async with loading.cursor(kind) as cursor:
        await cursor.execute(f"{load}; DO 1; {load}; SELECT 'after'", (path, path))
        assert [await cursor.nextset() for _ in range(3)] == [True] * 3
        assert await cursor.fetchone() == ("after",)
        assert await cursor.executemany(f"{load}; {load}", [(path, path)] * 2)
    assert await count(loading, table_name) == (2, 2, "b")


async def test_the_same_file_once_too_often(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"mine")
    got = []

    async def rogue(reader: Any, writer: Any) -> None:
        await scripted.open_session(reader, writer)
        request = await scripted.read_packet(reader)
        assert request.count(b"LOAD DATA") == 2
        for number in range(1, 13, 4):
            writer.write(scripted.frame(b"\xfb" + str(path).encode(), number))
            got.append(await scripted.read_packet(reader))
            assert await scripted.read_packet(reader) == b""
            writer.write(scripted.frame(scripted.ok(status=2 | 8), number + 3))

    load = f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t"
    async with scripted.scripted_server(rogue) as port:
        connection = await connect(host="127.0.0.1", port=port, autocommit=None, local_infile=True)
        cursor = await connection.cursor()
        await cursor.execute(f"{load}; {load}")
        assert await cursor.nextset()
        with pytest.raises(OperationalError, match="2068"):
            await cursor.nextset()
        assert connection.closed
    assert got == [b"mine", b"mine"]


class Opened:
    """All that `open` has to give."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces, self.closed = [*pieces], 0

    def read(self, size: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


async def test_files_are_used_by_open_read_and_close(
    loading: Connection, table_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Classic code puts another object in the place of a file, which has nothing else."""
    opened = Opened(b"1\ta\n", b"2\tb\n")
    original = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda name, *mode: opened if name == "x" else original(name, *mode)
    )
    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    async with loading.cursor() as cursor:
        assert await cursor.execute(query) == 2
        assert opened.closed == 1
        opened = Opened(b"3\tc\n", OSError(5, "out of order"))
        with pytest.raises(OperationalError, match="Error reading file 'x'.*out of order") as error:
            await cursor.execute(query)
    assert error.value.args[0] == 1024
    assert type(error.value.__cause__) is OSError
    assert opened.closed == 1
    assert loading.closed


async def test_warnings_arrive(loading: Connection, table_name: str) -> None:
    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    async with loading.cursor() as cursor:
        with pytest.warns(MySQLWarning, match="id"):
            await cursor.load_local(query, b"notanumber\tv\n")


async def test_server_says_no(loading: Connection) -> None:
    async with loading.cursor() as cursor:
        with pytest.raises(ProgrammingError) as caught:
            await cursor.load_local("LOAD DATA LOCAL INFILE 'x' INTO TABLE no_such_table", DATA)
        assert caught.value.args[0] == 1146
        await cursor.execute("SELECT 1")
        assert await cursor.fetchone() == (1,)


@pytest.mark.tls
async def test_source_that_fails_loads_nothing(
    loading: Connection, table_name: str, server: Server
) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield DATA[:200_000]
        raise LookupError("the source has run dry")

    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    await loading.autocommit(True)
    with pytest.raises(LookupError, match="dry"):
        await loading.load_local(query, failing())
    assert loading.closed
    for _ in range(50):  # the server undoes what it has of the statement
        await asyncio.sleep(0.02)
        if not any("LOAD DATA" in str(row) for row in server.execute("SHOW PROCESSLIST")):
            break
    assert server.execute(f"SELECT COUNT(*) FROM {table_name}") == [(0,)]


async def test_bad_calls(loading: Connection, table_name: str) -> None:
    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    with pytest.raises(ProgrammingError, match="not one LOAD DATA LOCAL"):
        await loading.load_local("SELECT 1", b"")
    with pytest.raises(TypeError, match="int"):
        await loading.load_local(query, 5)  # type: ignore[arg-type]
    assert loading.closed


async def test_off_by_default(connection: Connection, table_name: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    await connection.query(f"CREATE TABLE {table_name} (id INT, v VARCHAR(40))")
    with pytest.raises((OperationalError, NotSupportedError, ProgrammingError)):
        await connection.query(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table_name}")
    assert await count(connection, table_name) == (0, None, None)
    await connection.rollback()
    with pytest.raises(NotSupportedError, match="local_infile"):
        await connection.load_local(f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}", DATA)


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "query",
    ["SELECT 1", "LOAD DATA LOCAL INFILE '{path}.other' INTO TABLE t", "DO 'LOCAL INFILE {path}'"],
)
async def test_rogue_server_gets_no_file(allowed: bool, query: str, tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.write_bytes(b"private!")
    (tmp_path / "private.other").write_bytes(b"other")
    got = b""

    async def rogue(reader: Any, writer: Any) -> None:
        nonlocal got
        await scripted.open_session(reader, writer)
        await scripted.read_packet(reader)
        writer.write(scripted.frame(b"\xfb" + str(path).encode(), 1))
        got = await reader.read()

    async with scripted.scripted_server(rogue) as port:
        connection = await connect(
            host="127.0.0.1",
            port=port,
            autocommit=None,
            local_infile=allowed,
            client_flag=128,  # CLIENT_LOCAL_FILES alone allows nothing
        )
        with pytest.raises(OperationalError, match="private"):
            await connection.query(query.format(path=path))
        assert connection.closed
    assert got == b""


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("LOAD DATA LOCAL INFILE 'a.txt' INTO TABLE t", ["a.txt"]),
        ('\n /* c */ -- d\n load data concurrent local\tinfile "a b" into', ["a b"]),
        ("LOAD/*x*/XML LOCAL INFILE'it''s' INTO TABLE t", ["it's"]),
        (r"LOAD DATA LOCAL INFILE 'a\_b\%c' INTO TABLE t", [r"a\_b\%c"]),
        (r"LOAD DATA LOCAL INFILE 'C:\\new' INTO TABLE t", [(r"C:\new", r"C:\\new")]),
        ("LOAD DATA INFILE 'a.txt' INTO TABLE t", []),
        ("SELECT 'LOAD DATA LOCAL INFILE ''x'''", []),
        ("SELECT '; LOAD DATA LOCAL INFILE \"x\" INTO'", []),
        ("SELECT `;` /* ; LOAD DATA LOCAL INFILE 'y' */ ; LOAD DATA LOCAL INFILE 'x' INTO", ["x"]),
        ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t; load data local infile 'y' into", ["x", "y"]),
        # Where the session's sql_mode decides what is a name, nothing is one.
        (r"LOAD DATA LOCAL INFILE 'it\'s' INTO TABLE t", []),
        (r"""DO 'a\', '; LOAD DATA LOCAL INFILE "x" INTO TABLE t; -- '""", []),
        (r"""DO "a\", '; LOAD DATA LOCAL INFILE "x" INTO TABLE t; -- '""", []),
        ("LOAD DATA LOCAL INFILE '%s' INTO TABLE t", ["%s"]),
        ("LOAD DATA /*!40000 CONCURRENT */ LOCAL INFILE 'x' INTO TABLE t", ["x"]),
        ("--\n--\x01 it's\nLOAD DATA LOCAL INFILE 'x' INTO TABLE t --", ["x"]),
        ("DO 5--3; DO 5 --é\n; LOAD DATA LOCAL INFILE 'x' INTO TABLE t", ["x"]),
        # Nor where a comment is one for some servers only.
        ("/*!40000 DO '*/; LOAD DATA LOCAL INFILE \"x\" INTO TABLE t -- ' */", []),
        ("/*M!40000 DO '*/; LOAD DATA LOCAL INFILE \"x\" INTO TABLE t -- ' */", []),
        ("SELECT /*+ SET_VAR(a='*/; LOAD DATA LOCAL INFILE \"x\" INTO TABLE t -- ') */ 1", []),
        ("DO 1 /*!99999 ' */, '; LOAD DATA LOCAL INFILE \"x\" INTO TABLE t -- '", []),
        ("DO 1 --\x01 it's\n, '; LOAD DATA LOCAL INFILE \"x\" INTO TABLE t; -- '", []),
        ("DO 1 --\xa0'\n, '; LOAD DATA LOCAL INFILE \"x\" INTO TABLE t; -- '", []),
        ("/*!40000 LOAD DATA LOCAL INFILE 'x' INTO TABLE t */", []),
    ],
)
def test_names_in_the_statement(statement: str, names: list[str | tuple[str, ...]]) -> None:
    wanted = [(name,) if isinstance(name, str) else name for name in names]
    assert local_file_names(statement) == wanted


HERE = Path("/here")


@pytest.mark.parametrize(
    ("statement", "args", "names"),
    [
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", ("it's",), ["it's"]),
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", ["it's\\"], ["it's\\"]),
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", "x", ["x"]),
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", (HERE,), ["/here"]),
        ("LOAD DATA LOCAL INFILE %(a)s INTO TABLE %(b)s", {"b": "y", "a": "x"}, ["x"]),
        ("DO %s, '%%s'; LOAD DATA LOCAL INFILE %s INTO TABLE t", ("y", "x"), ["x"]),
        ("LOAD DATA LOCAL INFILE '5%%' INTO TABLE t", (), ["5%"]),
        # The value is not the whole name, is no text, or is not there.
        ("LOAD DATA LOCAL INFILE '%s' INTO TABLE t", (5,), []),
        ("LOAD DATA LOCAL INFILE '/data/%s' INTO TABLE t", (5,), []),
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", (5,), []),
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", (b"x",), []),
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", (), []),
        ("LOAD DATA LOCAL INFILE %s INTO TABLE t", {"a": "x"}, []),
        ("LOAD DATA LOCAL INFILE %(a)s INTO TABLE t", ("x",), []),
        ("LOAD DATA LOCAL INFILE %(a)s INTO TABLE t", {}, []),
        # What is no mark of ours may stand for anything.
        ("DO %r; LOAD DATA LOCAL INFILE 'x' INTO TABLE t", (1,), []),
        ("DO %10s; LOAD DATA LOCAL INFILE 'x' INTO TABLE t", (1,), []),
        ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t %", (1,), []),
        # Values name nothing.
        ("DO %s, %s", ("a\\", '; LOAD DATA LOCAL INFILE "x" INTO TABLE t; -- '), []),
        ("DO %s, 'INFILE'", ("'; LOAD DATA LOCAL INFILE 'x' INTO TABLE t; -- '",), []),
    ],
)
def test_names_with_values(statement: str, args: object, names: list[str]) -> None:
    assert local_file_names(statement, args) == [(name,) for name in names]


LOAD = """; LOAD DATA LOCAL INFILE "{path}" INTO TABLE t; -- """
NO_BACKSLASH_ESCAPES = 0x200


async def text(connection: Connection, values: tuple[str, ...]) -> None:
    cursor = await connection.cursor()
    await cursor.execute("INSERT INTO t VALUES (%s, %s)", values)


async def bytes_statement(connection: Connection, values: tuple[str, ...]) -> None:
    cursor = await connection.cursor()
    await cursor.execute(b"INSERT INTO t VALUES (%s, %s)", values)


async def named(connection: Connection, values: tuple[str, ...]) -> None:
    cursor = await connection.cursor(SSCursor)
    pairs = dict(zip("ab", values, strict=True))
    await cursor.execute("INSERT INTO t VALUES (%(a)s, %(b)s)", pairs)


async def many(connection: Connection, values: tuple[str, ...]) -> None:
    cursor = await connection.cursor()
    await cursor.executemany("INSERT INTO t VALUES (%s, %s)", [values])


async def many_others(connection: Connection, values: tuple[str, ...]) -> None:
    cursor = await connection.cursor()
    await cursor.executemany("UPDATE t SET a = %s, b = %s", [values])


async def procedure(connection: Connection, values: tuple[str, ...]) -> None:
    cursor = await connection.cursor()
    await cursor.callproc("p", [values[1]])


async def escaped(connection: Connection, values: tuple[str, ...]) -> None:
    a, b = map(connection.escape, values)
    await connection.query(f"INSERT INTO t VALUES ({a}, {b})")


async def another_file(connection: Connection, values: tuple[str, ...]) -> None:
    cursor = await connection.cursor()
    query = "LOAD DATA LOCAL INFILE 'named' INTO TABLE t SET a = %s, b = %s"
    await cursor.load_local(query, b"named!", values)


WAYS = [text, bytes_statement, named, many, many_others, procedure, escaped, another_file]


@pytest.mark.parametrize("status", [2, 2 | NO_BACKSLASH_ESCAPES])
@pytest.mark.parametrize("end", ["\\", "'", "", "\\'", '"', '\\"'])
@pytest.mark.parametrize("way", WAYS)
async def test_values_name_no_file(way: Any, end: str, status: int, tmp_path: Path) -> None:
    """Whatever the server says of backslashes, or does with the text."""
    path = tmp_path / "private"
    path.write_bytes(b"private!")
    got = b""

    async def rogue(reader: Any, writer: Any) -> None:
        nonlocal got
        await scripted.open_session(reader, writer)
        while (request := await scripted.read_packet(reader))[:5] in (b"\x0e", b"\x03DO 1"):
            writer.write(scripted.frames(scripted.ok(status=status)))
        assert request[:1] == b"\x03"
        writer.write(scripted.frame(b"\xfb" + str(path).encode(), 1))
        got = await reader.read(1000)

    values = (f"author{end}", LOAD.format(path=path))
    async with scripted.scripted_server(rogue) as port:
        options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "autocommit": None}
        connection = await connect(**options, local_infile=True)
        await connection.ping()  # whose response brings the flags
        with pytest.raises(OperationalError, match="private"):
            await way(connection, values)
        assert connection.closed
    assert got == b""


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"])
@pytest.mark.parametrize("name", ["it's", "back\\slash\\", 'quo"te', "100% %s", "ünï"])
async def test_a_name_that_is_a_value(
    loading: Connection, table_name: str, tmp_path: Path, name: str, mode: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"1\ta\n2\tb\n")
    await loading.query(f"SET sql_mode = '{mode}'")
    cursor = await loading.cursor()
    into = f"INTO TABLE {table_name} FIELDS TERMINATED BY %s"
    for query, args in (
        (f"LOAD DATA LOCAL INFILE %s {into}", (str(path), "\t")),
        (f"LOAD DATA LOCAL INFILE %s {into}", [path, "\t"]),
        (f"load data local infile %(path)s {into % '%(tab)s'}", {"tab": "\t", "path": path}),
        (f"LOAD DATA LOCAL INFILE %s {into}".encode(), (str(path), "\t")),
    ):
        assert await cursor.execute(query, args) == 2
        assert await cursor.execute(f"DELETE FROM {table_name}") == 2
    doubled = f"LOAD DATA LOCAL INFILE %s INTO TABLE {table_name}"
    assert await cursor.executemany(doubled, [(str(path),)]) == 2


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES"])
async def test_a_name_with_backslashes(
    loading: Connection, table_name: str, tmp_path: Path, mode: str
) -> None:
    """In the text it is what the session's mode makes of it."""
    (tmp_path / "a\\\\b").write_bytes(b"1\ta\n")
    (tmp_path / "a\\b").write_bytes(b"1\ta\n2\tb\n")
    await loading.query(f"SET sql_mode = '{mode}'")
    query = f"LOAD DATA LOCAL INFILE '{tmp_path}/a\\\\b' INTO TABLE {table_name}"
    assert await loading.query(query) == (1 if mode else 2)
    cursor = await loading.cursor()
    await cursor.execute(f"DELETE FROM {table_name}")
    assert await cursor.execute(f"{query} LINES TERMINATED BY %s", ("\n",)) == (1 if mode else 2)
    await cursor.execute(f"DELETE FROM {table_name}")
    assert await loading.load_local(query, b"1\ta\n") == 1


@pytest.mark.slow
def test_search_for_names_takes_no_time() -> None:
    began = time.process_time()
    assert local_file_names("/*a*/ " * 5000 + "INFILE '" + "\\'" * 50_000) == []
    assert local_file_names("LOAD DATA LOCAL INFILE '" + "''" * 50_000) == []
    assert local_file_names("/*!1 /*" * 50_000 + "INFILE" + "*/" * 50_000) == []
    assert local_file_names("INFILE" + "%s" * 50_000, ("x",) * 50_000) == []
    assert time.process_time() - began < 2


async def test_small_pieces_are_put_together(loading: Connection, table_name: str) -> None:
    """In few packets, and other tasks have their turns."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    flushed: list[None] = []
    stream = loading.runner.stream()
    flush = stream.flush

    def counting() -> None:
        flushed.append(None)
        flush()

    stream.flush = counting  # type: ignore[method-assign]
    other = asyncio.ensure_future(count_turns())
    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    lines = (b"%d\tabcdef\n" % number for number in range(100_000))
    assert await loading.load_local(query, lines) == 100_000
    other.cancel()
    assert len(flushed) < 60
    assert turns >= 15


async def test_a_piece_does_not_wait_for_the_next(loading: Connection, table_name: str) -> None:
    """A source may take long: the server waits for what was given, and not for long."""
    flushed: list[None] = []
    stream = loading.runner.stream()
    flush = stream.flush

    def counting() -> None:
        flushed.append(None)
        flush()

    async def slow() -> AsyncIterator[bytes]:
        for number in range(3):
            before = len(flushed)
            yield b"%d\ta\n" % number
            yield b"%d\tb\n" % (number + 10)
            for _ in range(2):
                await asyncio.sleep(0)
            assert len(flushed) == before + 1

    stream.flush = counting  # type: ignore[method-assign]
    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    assert await loading.load_local(query, slow()) == 6


async def test_nothing_is_sent_behind_an_error(loading: Connection, table_name: str) -> None:
    """What was gathered is dropped when the source fails: no part is taken for the whole."""

    def failing() -> Iterator[bytes]:
        yield b"1\ta\n"
        raise LookupError("no more")

    query = f"LOAD DATA LOCAL INFILE 'x' INTO TABLE {table_name}"
    with pytest.raises(LookupError):
        await loading.load_local(query, failing())
    await asyncio.sleep(0)
    assert loading.closed
