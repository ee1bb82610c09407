"""Whatever a parameter holds, the server reads exactly that: in every character set and sql_mode.

The properties don't depend on the event loop, so they are shown on one.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import datetime
import functools
import itertools
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiomysql_core import Connection, DataError, ProgrammingError, connect
from aiomysql_protocol.wire.charsets import find_charset
from tests.servers import Server

# Those in which a character may end with a byte that is an ASCII character, and some others.
CHARSETS = ["utf8mb4", "latin1", "gbk", "sjis", "cp932", "big5", "gb18030", "ujis", "euckr"]
MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI,NO_BACKSLASH_ESCAPES"]

#: Every character set that clients may use and Python has a codec for, with the characters that
#: the server's own conversion to Unicode and back does not keep, because it knows them differently.
LOSSY = {
    "ascii": "",
    "big5": "",
    "cp1250": "",
    "cp1251": "",
    "cp1256": "",
    "cp1257": "",
    "cp850": "",
    "cp852": "",
    "cp866": "",
    "cp932": "",
    "euckr": "",
    "gb18030": "",
    "gb2312": "",
    "gbk": "",
    "greek": "",
    "hebrew": "",
    "hp8": "",
    "koi8r": "",
    "koi8u": "",
    "latin1": "",
    "latin2": "",
    "latin5": "",
    "latin7": "",
    "macce": "",
    "macroman": "",
    "sjis": "",
    "tis620": "",
    "ujis": "",
    "utf8mb3": "",
    "utf8mb4": "",
}

SPECIAL = "'\"\\%_`;#-/* \0\n\r\x1a\t()"

#: As many examples as keep this module below half a minute on each server.
PROPERTY = settings(
    max_examples=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Client:
    """A connection that is used without `await`."""

    def __init__(self, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self.connection: Connection = self._runner.run(self._open(options))

    async def _open(self, options: dict[str, Any]) -> Connection:
        return await connect(**options)

    def prepare(self, charset: str, mode: str = "") -> None:
        """Set the character set and the sql_mode."""
        self._runner.run(self.connection.set_charset(charset))
        self.rows("SET sql_mode = %s", mode)

    def rows(self, statement: str, args: object = None) -> list[tuple[Any, ...]]:
        """Run a statement; returns its rows."""
        return self._runner.run(self._rows(statement, args))

    async def _rows(self, statement: str, args: object) -> list[tuple[Any, ...]]:
        async with self.connection.cursor() as cursor:
            await cursor.execute(statement, args)
            return list(await cursor.fetchall())

    def close(self) -> None:
        """Close the connection and the loop."""
        self._runner.run(self.connection.ensure_closed())
        self._runner.close()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    client = Client(**server.connect_args)
    yield client
    client.close()


@functools.cache
def characters(charset: str) -> str:
    """All characters of a character set; above the 16-bit ones, some."""
    encoding = find_charset(charset).encoding
    planes = [range(0xD800), range(0xE000, 0x10000)]
    if charset != "utf8mb3":
        planes += [range(0x1F600, 0x1F610), range(0x20000, 0x20100), range(0x10FFF0, 0x110000)]
    found = []
    for code in itertools.chain(*planes):
        with contextlib.suppress(UnicodeEncodeError):
            chr(code).encode(encoding)
            found.append(chr(code))
    return "".join(found)


@functools.cache
def dangerous(charset: str) -> str:
    """The characters whose encoded form contains a byte that means something in SQL."""
    encoding = find_charset(charset).encoding
    return SPECIAL + "".join(
        character
        for character in characters(charset)
        if len(data := character.encode(encoding)) > 1 and not set(data).isdisjoint(b"\\'\"`%")
    )


@functools.cache
def texts(charset: str) -> st.SearchStrategy[str]:
    """Texts in a character set, in which special characters are frequent."""
    return st.text(
        st.one_of(
            st.sampled_from(SPECIAL),
            st.sampled_from(dangerous(charset)),
            st.sampled_from(characters(charset)),
        ),
        max_size=20,
    )


def unknown(server: Server, charset: str) -> bool:
    """Whether this is a character set that the server does not have."""
    return charset == "gb18030" and server.kind == "mariadb"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("charset", CHARSETS)
@PROPERTY
@given(data=st.data())
def test_text_and_bytes_come_back(
    server: Server, client: Client, charset: str, mode: str, data: st.DataObject
) -> None:
    if unknown(server, charset):
        with pytest.raises(Connection.OperationalError, match=charset):
            client.prepare(charset, mode)
        return
    client.prepare(charset, mode)
    values = data.draw(
        st.lists(texts(charset) | st.binary(max_size=20), min_size=1, max_size=10), label="values"
    )
    marks = ", ".join(f"%s AS c{number}" for number in range(len(values)))
    assert client.rows(f"SELECT {marks}", values) == [tuple(values)]
    named = {f"n{number}": value for number, value in enumerate(values)}
    marks = ", ".join(f"%({name})s AS {name}" for name in named)
    assert client.rows(f"SELECT {marks}, '%%'", named) == [(*values, "%")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("charset", CHARSETS)
@PROPERTY
@given(data=st.data())
def test_the_statement_keeps_its_structure(
    server: Server, client: Client, charset: str, mode: str, data: st.DataObject
) -> None:
    if unknown(server, charset):
        assert server.kind == "mariadb"
        return
    client.prepare(charset, mode)
    text = texts(charset)
    first = data.draw(text, label="first")
    second = data.draw(text, label="second")
    others = data.draw(st.lists(text, min_size=1, max_size=5), label="others")
    rows = client.rows(
        "SELECT 'begin', %s IN %s AS a, (%s, %s) IN %s AS b, %s LIKE %s AS c, %s IN %s AS d,"
        " LENGTH(%s) AS e, 'end' FROM (SELECT 1 UNION SELECT 2) AS t WHERE 'x' <> %s",
        (
            *(first, [*others, first]),
            *(first, second, ((second, "~"), *zip(others, others, strict=True), (first, second))),
            *(first, second),
            *(first, {first, second}),
            first,
            f"x{second}x",
        ),
    )
    size = len(first.encode(find_charset(charset).encoding))
    assert len(rows) == 2
    for begin, a, b, c, d, length, end in rows:
        assert (begin, a, b, d, length, end) == ("begin", 1, 1, 1, size, "end")
        assert c in (0, 1)


TIMES = st.timedeltas(
    datetime.timedelta(hours=-838, minutes=-59, seconds=-58),
    datetime.timedelta(hours=838, minutes=59, seconds=58),
)
FIRST_YEAR = datetime.datetime(1000, 1, 1)


@pytest.mark.parametrize("mode", MODES)
@PROPERTY
@given(
    integer=st.integers(-(10**65) + 1, 10**65 - 1),
    number=st.floats(allow_nan=False, allow_infinity=False),
    decimal=st.decimals(-(10**34), 10**34, allow_nan=False, allow_infinity=False, places=30),
    moment=st.datetimes(FIRST_YEAR),
    date=st.dates(FIRST_YEAR.date()),
    span=TIMES,
    clock=st.times(),
)
def test_numbers_and_times_come_back(
    client: Client,
    mode: str,
    integer: int,
    number: float,
    decimal: Decimal,
    moment: datetime.datetime,
    date: datetime.date,
    span: datetime.timedelta,
    clock: datetime.time,
) -> None:
    client.prepare("utf8mb4", mode)
    ((*got, time),) = client.rows(
        "SELECT %s + 0, %s, %s, CAST(%s AS DATETIME(6)), CAST(%s AS DATE), CAST(%s AS TIME(6)),"
        " CAST(%s AS TIME(6))",
        (integer, number, decimal, moment, date, span, clock),
    )
    assert got == [integer, number, decimal, moment, date, span]
    since_midnight = datetime.datetime.combine(FIRST_YEAR, clock) - FIRST_YEAR
    assert time == since_midnight
    # Beside a minus sign, too, which must not make a comment of a negative number.
    ((negated,),) = client.rows("SELECT 1 - %s", (-abs(number),))
    assert math.isclose(negated, 1 + abs(number), rel_tol=1e-9)


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES"])
@pytest.mark.parametrize("charset", LOSSY)
def test_every_character(server: Server, client: Client, charset: str, mode: str) -> None:
    if unknown(server, charset):
        with pytest.raises(Connection.OperationalError, match=charset):
            client.prepare(charset, mode)
        return
    client.prepare(charset, mode)
    everything = characters(charset)
    assert len(everything) >= 128
    for start in range(0, len(everything), 10000):
        part = everything[start : start + 10000]
        text = "".join(f"{character}'{character}\\{character}\"" for character in part)
        ((back, after),) = client.rows("SELECT %s AS a, 'after'", (text,))
        assert back == text
        assert after == "after"


@pytest.mark.filterwarnings("ignore:.*is deprecated")  # MySQL says so of some character sets
@pytest.mark.parametrize("charset", LOSSY)
def test_every_character_in_a_column_of_another_charset(
    server: Server, client: Client, charset: str
) -> None:
    if unknown(server, charset):
        assert server.kind == "mariadb"
        return
    client.prepare(charset)
    everything = characters(charset)
    ((back,),) = client.rows(
        f"SELECT CONVERT(CONVERT(%s USING utf8mb4) USING {charset}) AS a", (everything,)
    )
    assert len(back) == len(everything)
    lossy = "".join(a for a, b in zip(everything, back, strict=True) if a != b)
    assert lossy == LOSSY[charset]


@pytest.mark.filterwarnings("ignore:.*is deprecated")
@pytest.mark.parametrize("charset", LOSSY)
def test_every_character_is_the_same_to_the_server(
    server: Server, client: Client, charset: str
) -> None:
    """Written as one, and read as one: two mistakes might cancel each other."""
    if unknown(server, charset):
        assert server.kind == "mariadb"
        return
    client.prepare(charset)
    everything = characters(charset)
    in_utf8 = everything.encode().hex().upper()
    ((known, back),) = client.rows(
        f"SELECT HEX(CONVERT(%s USING utf8mb4)), CONVERT(X'{in_utf8}' USING utf8mb4)",
        (everything,),
    )
    assert known == in_utf8
    assert back == everything


async def test_percent_signs(connection: Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT '%', '%%', '%s'")  # no arguments: nothing is a mark
        assert await cursor.fetchone() == ("%", "%%", "%s")
        await cursor.execute("SELECT '%%', '%%s', %s", ("%s %% %(a)s",))
        assert await cursor.fetchone() == ("%", "%s", "%s %% %(a)s")
        await cursor.execute("SELECT '%%'", ())
        assert await cursor.fetchone() == ("%",)
        await cursor.execute("SELECT '%%', %(a)s, %(a)s", {"a": "%(b)s", "b": 1})
        assert await cursor.fetchone() == ("%", "%(b)s", "%(b)s")
        await cursor.execute("SELECT %(a)s", collections.UserDict(a=5))
        assert await cursor.fetchone() == (5,)
        await cursor.execute(b"SELECT %s, '%%'", ("ü",))
        assert await cursor.fetchone() == ("ü", "%")


@pytest.mark.parametrize("charset", ["sjis", "ujis"])
async def test_yen_sign_is_no_backslash(connection: Connection, charset: str) -> None:
    """Python's codecs write it as the byte of a backslash, which would escape the quote."""
    await connection.set_charset(charset)
    async with connection.cursor() as cursor:
        for text in ("\xa5' OR 1=1 -- ", "\u203e"):
            with pytest.raises(DataError, match=f"not in the server's {charset}"):
                await cursor.execute("SELECT 1 FROM (SELECT 1) AS t WHERE 'a' = %s", (text,))
        await cursor.execute("SELECT 1 FROM (SELECT 1) AS t WHERE 'a' = %s", ("' OR 1=1 -- ",))
        assert list(await cursor.fetchall()) == []


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("cp932", "\xa0"),
        *(("cp932", character) for character in "¢£¬‖\u2212〜"),
        ("cp1256", "\u0679"),
        ("cp866", "№"),
        ("big5", "￣"),
        ("greek", "€"),
        ("greek", "\u2018"),
        ("hebrew", "¯"),
        ("koi8u", "∙"),
        ("sjis", "\uff3c"),
        ("latin1", "漢"),
        ("ascii", "ü"),
        ("utf8mb3", "😀"),
    ],
)
async def test_characters_that_a_charset_lacks(
    connection: Connection, charset: str, text: str
) -> None:
    await connection.set_charset(charset)
    async with connection.cursor() as cursor:
        with pytest.raises(DataError, match="can't be written in the connection's character set"):
            await cursor.execute("SELECT %s", (text,))
        await cursor.execute("SELECT 5")
        assert await cursor.fetchone() == (5,)


async def test_every_byte_of_latin1(connect_args: dict[str, Any]) -> None:
    every_byte = bytes(range(256))
    options = {**connect_args, "charset": "latin1"}
    async with connect(**options) as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT CONVERT(%s USING latin1)", (every_byte,))
        ((text,),) = await cursor.fetchall()
        assert len(text) == 256
        assert text[0x81] == "\x81"
        assert text[0x80] == "€"
        await cursor.execute("SELECT HEX(%s), %s = CONVERT(%s USING latin1)", (text, text, text))
        assert await cursor.fetchone() == (every_byte.hex().upper(), 1)


async def test_binary_connection(connect_args: dict[str, Any]) -> None:
    """Without conversion by the server, statements are in UTF-8, and text comes as bytes."""
    options = {**connect_args, "charset": "binary"}
    async with connect(**options) as connection, connection.cursor() as cursor:
        await cursor.execute("CREATE TEMPORARY TABLE b (t TEXT CHARACTER SET utf8mb4)")
        await cursor.execute("INSERT b VALUES (%s)", ("it's ü𝄞\\",))
        await cursor.execute("SELECT t, CONVERT(LEFT(t, 6) USING gbk), %s, 5 FROM b", ("ü",))
        text = "it's ü𝄞\\"
        assert await cursor.fetchone() == (text.encode(), b"it's \xa8\xb9", "ü".encode(), 5)
        assert cursor.description is not None
        assert cursor.description[0][0] == "t"


@pytest.mark.parametrize("name", ["utf8", "UTF8", "utf8mb3", "utf8mb4", "UTF8MB4", "Latin1"])
async def test_spellings(connect_args: dict[str, Any], name: str) -> None:
    async with connect(**connect_args, charset=name) as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT %s, @@character_set_client", ("ü",))
        wanted = "utf8mb4" if name.lower() == "utf8" else name.lower()
        assert await cursor.fetchone() == ("ü", wanted)
        assert connection.charset == name


@pytest.mark.parametrize("name", ["ucs2", "utf16", "UTF32", "utf16le"])
async def test_charsets_that_clients_may_not_use(connect_args: dict[str, Any], name: str) -> None:
    with pytest.raises(ProgrammingError, match=f"{name}.*only in columns"):
        await connect(**connect_args, charset=name)


async def test_mode_of_a_new_session(server: Server) -> None:
    """A session that starts with NO_BACKSLASH_ESCAPES says so in its first response."""
    ((mode,),) = server.execute("SELECT @@GLOBAL.sql_mode")
    server.execute("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'")
    try:
        async with connect(**server.connect_args) as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT %s, %s", ("\\'", "a\\"))
            assert await cursor.fetchone() == ("\\'", "a\\")
    finally:
        server.execute("SET GLOBAL sql_mode = %s", (mode,))
