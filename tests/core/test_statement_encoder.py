"""From a cursor's statement and arguments to an exchange: C and Python behave alike."""

from __future__ import annotations

import contextlib
import gc
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from pymysql.err import DataError, ProgrammingError

from aiomysql_core import Connection, Cursor, DictCursor, SSCursor, connect
from aiomysql_core._accelerator import accelerator
from aiomysql_core.engine.cursor_state import PyCursorState
from aiomysql_core.statement_encoder import PyStatementEncoder, StatementEncoder
from aiomysql_protocol.commands.prepared import Execute
from aiomysql_protocol.commands.query import Query

CLASSES: dict[str, Any] = {"python": PyStatementEncoder}
if accelerator() is not None:
    CLASSES["c"] = StatementEncoder

Encode = Callable[[Cursor, Any, Any], Query | None]


class StopError(BaseException):
    """Raised by code that runs in between."""


@pytest.fixture(params=[0, 8], ids=["text", "kept"])
async def connection(
    request: pytest.FixtureRequest, connect_args: dict[str, Any]
) -> AsyncIterator[Connection]:
    async with connect(**connect_args, stmt_cache_size=request.param) as connection:
        yield connection


@pytest.fixture
async def plain(connect_args: dict[str, Any]) -> AsyncIterator[Connection]:
    """One without kept statements."""
    async with connect(**connect_args, local_infile=True) as connection:
        yield connection


@pytest.fixture(params=CLASSES)
def new_encode(request: pytest.FixtureRequest) -> Callable[[Connection], Encode]:
    def new_encode(connection: Connection) -> Encode:
        encoder = CLASSES[request.param](
            connection.runner,
            connection.statements,
            connection.session_charset,
            connection._literals,
        )
        found: Encode = encoder.encode
        return found

    return new_encode


NewEncode = Callable[[Connection], Encode]


def test_both_are_tested() -> None:
    assert len(set(CLASSES.values())) == len(CLASSES) == 1 + (accelerator() is not None)


class Text(str):
    """Not exactly str."""

    __slots__ = ()


class Sent(bytes):
    """Not exactly bytes."""

    def __bytes__(self) -> bytes:
        return b"SELECT 'by __bytes__'"


class Loud(str):
    """Text that becomes other bytes."""

    __slots__ = ()

    def encode(self, *args: Any) -> bytes:
        return super().encode(*args).upper()


class NoBytes(str):
    """Text that becomes no bytes at all."""

    __slots__ = ()

    def encode(self, *args: Any) -> Any:
        return "text"


class Undecodable(bytes):
    """Bytes that become no text."""

    def decode(self, *args: Any) -> Any:
        return 5


@pytest.mark.parametrize("cursor_class", [Cursor, SSCursor, DictCursor])
@pytest.mark.parametrize(
    ("query", "args", "request_"),
    [
        ("SELECT 1", None, b"SELECT 1"),
        ("SELECT 'é€😀'", None, "SELECT 'é€😀'".encode()),
        (b"SELECT '\xff'", None, b"SELECT '\xff'"),
        (bytearray(b"SELECT 1"), None, b"SELECT 1"),
        (Text("SELECT 1"), None, b"SELECT 1"),
        (Sent(b"SELECT 1"), None, b"SELECT 'by __bytes__'"),
        (Loud("select 1"), None, b"SELECT 1"),
        ("SELECT %%", None, b"SELECT %%"),
        ("SELECT %s, '%%'", (1,), b"SELECT 1, '%'"),
        ("SELECT %s", ("é'",), "SELECT 'é\\''".encode()),
        ("SELECT %s", [2.5], b"SELECT 2.5e0"),
        ("SELECT %s", 7, b"SELECT 7"),
        ("SELECT %s", "text", b"SELECT 'text'"),
        ("SELECT %(a)s, %(a)s", {"a": None}, b"SELECT NULL, NULL"),
        ("SELECT %(a)s", OrderedDict(a=b"\1"), b"SELECT _binary X'01'"),
        (b"SELECT %s", (1,), b"SELECT 1"),
        (bytearray(b"SELECT %s"), (1,), b"SELECT 1"),
        (Text("SELECT %s"), (1,), b"SELECT 1"),
        ("SELECT 1", (), b"SELECT 1"),
        ("SELECT 1", {}, b"SELECT 1"),
    ],
    ids=str,
)
async def test_text(
    new_encode: NewEncode,
    plain: Connection,
    cursor_class: type[Cursor[Any]],
    query: Any,
    args: Any,
    request_: bytes,
) -> None:
    cursor = await plain.cursor(cursor_class)
    exchange = new_encode(plain)(cursor, query, args)
    assert type(exchange) is Query
    assert exchange.request == b"\x03" + request_
    assert exchange.request[1:] == cursor._last_executed
    assert type(cursor._last_executed) is bytes
    assert exchange.streamed is (cursor_class is SSCursor)
    assert exchange.as_dicts is (cursor_class is DictCursor)
    assert exchange.is_simple is True
    assert not exchange.local_files


@pytest.mark.parametrize(
    ("query", "args", "error", "words"),
    [
        (5, None, TypeError, "a statement must be str or bytes, not int"),
        (None, None, TypeError, "a statement must be str or bytes, not NoneType"),
        (5, (1,), TypeError, "a statement must be str or bytes, not int"),
        (memoryview(b"x"), None, TypeError, "a statement must be str or bytes, not memoryview"),
        (Undecodable(b"x"), (1,), TypeError, "a statement must be str or bytes, not int"),
        (NoBytes("SELECT 1"), None, TypeError, None),
        ("SELECT '\ud800'", None, DataError, "can't be written in the connection's"),
        (b"\xff %s", (1,), UnicodeDecodeError, None),
        ("SELECT %s", (), TypeError, "not enough arguments"),
        ("SELECT %s", (1, 2), TypeError, "not all arguments"),
        ("SELECT %(a)s", {"b": 1}, KeyError, "a"),
        ("SELECT %s", (float("nan"),), ProgrammingError, "nan"),
        ("SELECT %s", ([{}],), TypeError, None),
        ("SELECT %", (1,), ValueError, "incomplete format"),
    ],
    ids=str,
)
async def test_what_does_not_fit(
    new_encode: NewEncode,
    plain: Connection,
    query: Any,
    args: Any,
    error: type[Exception],
    words: str | None,
) -> None:
    cursor = await plain.cursor()
    cursor._rowcount = 5
    with pytest.raises(error, match=words):
        new_encode(plain)(cursor, query, args)
    assert cursor._last_executed is None
    assert cursor._rowcount == 5


async def test_the_last_result_goes(new_encode: NewEncode, plain: Connection) -> None:
    cursor = await plain.cursor()
    await cursor.execute("SELECT 1, 2")
    new_encode(plain)(cursor, "SELECT 1", None)
    assert (cursor._result, cursor._rows, cursor.description) == (None, None, None)
    assert (cursor.rowcount, cursor.rownumber) == (0, 0)
    assert cursor._executed == b"SELECT 1, 2"
    assert cursor._last_executed == b"SELECT 1"


async def test_a_closed_cursor(new_encode: NewEncode, plain: Connection) -> None:
    cursor = await plain.cursor()
    await cursor.close()
    with pytest.raises(ProgrammingError, match="Cursor closed"):
        new_encode(plain)(cursor, "SELECT 1", None)


async def test_closed_by_a_value(new_encode: NewEncode, plain: Connection) -> None:
    cursor = await plain.cursor()

    class Closing:
        def __str__(self) -> str:
            cursor._connection = None
            return "x"

    with pytest.raises(ProgrammingError, match="Cursor closed"):
        new_encode(plain)(cursor, "SELECT %s", (Closing(),))


async def test_what_stands_in_the_way(new_encode: NewEncode, plain: Connection) -> None:
    cursor, encode, runner = await plain.cursor(), new_encode(plain), plain.runner
    runner._cancellation = "under way"  # type: ignore[assignment]
    assert encode(cursor, "SELECT 1", None) is None
    runner._cancellation = None
    await plain.query("SELECT 1; SELECT 2", unbuffered=False)
    assert runner.outstanding
    assert encode(cursor, "SELECT 1", None) is None
    await runner.discard_results()
    assert encode(cursor, "SELECT 1", None) is not None
    runner.charset_in_doubt = True
    assert encode(cursor, "SELECT %s", (1,)) is None
    assert encode(cursor, "SELECT 'x'", None) is None
    assert encode(cursor, "COMMIT", None) is not None
    runner.charset_in_doubt = False
    assert cursor._last_executed == b"COMMIT"


@pytest.mark.parametrize("name", ["a", "b"])
async def test_files(new_encode: NewEncode, plain: Connection, name: str) -> None:
    query = f"LOAD DATA LOCAL INFILE '{name}' INTO TABLE t"
    encode, cursor = new_encode(plain), await plain.cursor()
    exchange = encode(cursor, query, None)
    assert exchange is not None
    assert list(exchange.local_files or ()) == [name.encode()]
    exchange = encode(cursor, "LOAD DATA LOCAL INFILE %s INTO TABLE t", (name,))
    assert exchange is not None
    assert list(exchange.local_files or ()) == [name.encode()]
    assert exchange.is_simple is False


async def test_origin(new_encode: NewEncode, plain: Connection) -> None:
    """A text with values in it loads the files that its marks name, not its values."""
    encode, cursor = new_encode(plain), await plain.cursor()
    text = "LOAD DATA LOCAL INFILE 'a' INTO TABLE t"
    for files in ({}, {b"b": None}):
        cursor._origin = files, "LOAD DATA %s"  # type: ignore[assignment]
        exchange = encode(cursor, text, None)
        assert exchange is not None
        assert (exchange.local_files or {}) == files
    cursor._origin = None
    exchange = encode(cursor, text, None)
    assert exchange is not None
    assert list(exchange.local_files or ()) == [b"a"]


async def test_a_replaced_query_is_told_the_origin(
    new_encode: NewEncode, plain: Connection
) -> None:
    class Own(Cursor):
        async def _query(self, query: Any) -> None:
            raise NotImplementedError

    cursor = await plain.cursor(Own)
    text, files, source = cast(Any, new_encode(plain)(cursor, "SELECT %s", ("a",)))
    assert (text, source) == ("SELECT 'a'", "SELECT %s")
    assert not files


async def test_hooks(new_encode: NewEncode, plain: Connection) -> None:
    """Patched between two calls, and patched back."""
    encode, cursor = new_encode(plain), await plain.cursor()

    def text(query: Any = "SELECT %s") -> Any:
        exchange = encode(cursor, query, ("a",))
        assert exchange is not None
        return exchange.request[1:]

    def patched(place: Any, name: str, new: Any, found: bytes) -> None:
        assert text() == b"SELECT 'a'"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, name, new)
            assert text() == found
        assert text() == b"SELECT 'a'"

    for place in (Cursor, cursor):
        patched(place, "mogrify", lambda *args: "SELECT 5", b"SELECT 5")
        patched(place, "mogrify", lambda *args: bytearray(b"SELECT 5"), b"SELECT 5")
        with pytest.raises(TypeError, match="not int"):
            patched(place, "mogrify", lambda *args: 5, b"")
    for where in (Connection, plain):
        patched(where, "escape_args", lambda *args: ("5",), b"SELECT 5")
    counts = []
    new_query = Connection.new_query

    def counted(self: Any, statement: bytes, **options: Any) -> Any:
        counts.append(options)
        return new_query(self, statement, **options)

    patched(Connection, "new_query", counted, b"SELECT 'a'")
    assert [(one["unbuffered"], one["source"]) for one in counts] == [(False, "SELECT %s")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "encoding", property(lambda self: "utf-16-le"))
        assert text() == "SELECT 'a'".encode("utf-16-le")
    for name in ("_forget_result", "_clear_result"):
        own, dropped = getattr(Cursor, name), list[object]()

        def drop(self: object, own: Any = own, dropped: list[object] = dropped) -> None:
            dropped.append(self)
            own(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Cursor, name, drop)
            await cursor.execute("SELECT 1")
            text()
        assert cursor in dropped


async def test_a_class_that_changes_very_often(new_encode: NewEncode, plain: Connection) -> None:
    """CPython tells each change of a class by a number, and gives a class so many at most."""

    class Own(Cursor):
        changed = 0

    encode, cursor = new_encode(plain), await plain.cursor(Own)
    own = Own.mogrify
    for number in range(1200):
        Own.changed = number
        encode(cursor, "SELECT %s", (1,))
    for _ in range(2):
        Own.mogrify = lambda *args: "SELECT 5"  # type: ignore[method-assign]
        exchange = encode(cursor, "SELECT %s", (1,))
        assert exchange is not None
        assert exchange.request == b"\x03SELECT 5"
        Own.mogrify = own  # type: ignore[method-assign]
        exchange = encode(cursor, "SELECT %s", (1,))
        assert exchange is not None
        assert exchange.request == b"\x03SELECT 1"


async def test_many_classes(new_encode: NewEncode, plain: Connection) -> None:
    encode = new_encode(plain)
    kinds: list[Any] = [type(f"Own{n}", (Cursor,), {"_unbuffered": n % 3 == 0}) for n in range(99)]
    for _ in range(2):
        for number, kind in enumerate(kinds):
            exchange = encode(kind(plain), "SELECT 1", None)
            assert exchange is not None
            assert exchange.streamed is (number % 3 == 0)
        kinds.clear()
        gc.collect()  # others may stand where they stood
        kinds += [type(f"Late{n}", (Cursor,), {"_unbuffered": n % 3 == 0}) for n in range(99)]


@pytest.mark.parametrize("name", ["mogrify", "_forget_result"])
async def test_hooks_that_raise(new_encode: NewEncode, plain: Connection, name: str) -> None:
    def stop(*args: object) -> None:
        raise StopError(name)

    cursor = await plain.cursor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursor, name, stop)
        with pytest.raises(StopError, match=name):
            new_encode(plain)(cursor, "SELECT %s", (1,))


# -- prepared


async def prepared(encode: Encode, cursor: Cursor, query: Any, args: Any) -> Query:
    while (exchange := encode(cursor, query, args)) is None:
        connection = cursor.connection
        assert connection is not None
        await cursor._make_ready(connection, query, args)
    return exchange


def need_untyped_parameters(connection: Connection) -> None:
    if "MariaDB" not in connection.server_version:
        pytest.skip("MySQL gives a parameter in a select list one type: other values go as text")


async def test_kept_with_untyped_parameters(new_encode: NewEncode, connection: Connection) -> None:
    need_untyped_parameters(connection)
    encode, cursor = new_encode(connection), await connection.cursor()
    kind = Execute if connection.statements.size else Query
    query: Any = "SELECT %s, %s"
    args: Any
    for args in ((1, "a"), [1, "a"], (None, 2.5)):
        exchange = await prepared(encode, cursor, query, args)
        assert type(exchange) is kind
    for text in (Text(query), query):
        assert type(await prepared(encode, cursor, text, (1, 2))) is kind
    named = await prepared(encode, cursor, "SELECT %(b)s, %(a)s", {"a": 1, "b": 2})
    assert type(named) is kind
    for query in ("SELECT 1", b"SELECT %s", "SET @a = %s", "CALL p(%s)"):
        args = None if query == "SELECT 1" else (1,)
        assert type(await prepared(encode, cursor, query, args)) is Query
    assert type(await prepared(encode, cursor, "SELECT %s", ({1, 2},))) is Query


async def test_kept_counts_uses(new_encode: NewEncode, connection: Connection) -> None:
    encode, cursor, statements = new_encode(connection), await connection.cursor(), None
    statements = connection.statements
    for number in range(20):
        await prepared(encode, cursor, f"SELECT %s + {number % 12}", (1,))
        await prepared(encode, cursor, "SELECT %s", (1,))
    cached = statements._cached
    assert len(cached) == statements.size
    if cached:
        assert max(cached.values(), key=lambda one: one.used).text == "SELECT ?"
        assert statements._used == max(one.used for one in cached.values())
        assert len({one.used for one in cached.values()}) == len(cached)


async def test_prepared_with_untyped_parameters(
    new_encode: NewEncode, connection: Connection
) -> None:
    need_untyped_parameters(connection)
    encode, cursor = new_encode(connection), await connection.cursor()
    async with await connection.prepare("SELECT %s") as statement:
        exchange = encode(cursor, statement, (5,))
        assert type(exchange) is Execute
        assert exchange.statement is statement._statement
        assert cursor._last_executed == b"SELECT ?"
        text = encode(cursor, statement, ({1, 2},))
        assert type(text) is Query
        assert text.request in (b"\x03SELECT (1,2)", b"\x03SELECT (2,1)")
        for wrong in ((), (1, 2)):
            with pytest.raises(TypeError):
                encode(cursor, statement, wrong)
        connection.runner.generation += 1
        assert encode(cursor, statement, (5,)) is None
        connection.runner.generation -= 1
    with pytest.raises(ProgrammingError, match="closed"):
        encode(cursor, statement, (5,))


async def test_own_marks(new_encode: NewEncode, connection: Connection) -> None:
    encode, cursor = new_encode(connection), await connection.cursor()
    async with await connection.prepare("SELECT ?") as statement:
        assert type(encode(cursor, statement, (5,))) is Execute
        assert type(encode(cursor, statement, "x")) is Execute
        with pytest.raises(ProgrammingError, match="can't be parameters"):
            encode(cursor, statement, ({1, 2},))


async def test_another_connections_statement(
    new_encode: NewEncode, connection: Connection, plain: Connection
) -> None:
    cursor = await plain.cursor()
    async with await connection.prepare("SELECT %s") as statement:
        with pytest.raises(ProgrammingError, match="belongs to another connection"):
            new_encode(plain)(cursor, statement, (5,))


async def test_after_a_change_untyped_parameters_are_prepared_again(
    new_encode: NewEncode, connection: Connection
) -> None:
    need_untyped_parameters(connection)
    encode, cursor = new_encode(connection), await connection.cursor()
    await prepared(encode, cursor, "SELECT %s", (1,))
    assert bool(connection.statements._cached) is bool(connection.statements.size)
    async with await connection.prepare("SET @a = %s") as statement:
        assert type(encode(cursor, statement, (5,))) is Execute
        assert not connection.statements._cached


async def test_a_statement_that_is_spoiled(new_encode: NewEncode, connection: Connection) -> None:
    """Attributes that are not set, or something else, crash nothing."""
    cursor, encode = await connection.cursor(), new_encode(connection)
    statement = await connection.prepare("SELECT %s")
    inner: Any = statement._statement
    for name in ("prepared", "parsed", "encoded", "positional", "generation", "changes_meaning"):
        before = getattr(inner, name)
        for value in (None, "x", -(2**70), 2**70, object()):
            setattr(inner, name, value)
            with contextlib.suppress(Exception):
                encode(cursor, statement, (1,))
        delattr(inner, name)
        with contextlib.suppress(Exception):
            encode(cursor, statement, (1,))
        setattr(inner, name, before)
    statement._statement = "no statement"  # type: ignore[assignment]
    with pytest.raises((TypeError, AttributeError)):
        encode(cursor, statement, (1,))
    statement._statement = inner
    await statement.close()


@pytest.mark.parametrize("name", ["_cached", "_conv", "_used", "_writer", "size"])
async def test_a_cache_that_is_spoiled(
    new_encode: NewEncode, connection: Connection, name: str
) -> None:
    cursor, encode, statements = (
        await connection.cursor(),
        new_encode(connection),
        connection.statements,
    )
    await prepared(encode, cursor, "SELECT %s", (1,))
    before = getattr(statements, name)
    for value in (None, "x", 2**70, {"SELECT %s": 1}, {}):
        setattr(statements, name, value)
        with contextlib.suppress(Exception):
            encode(cursor, "SELECT %s", (1,))
    delattr(statements, name)
    with contextlib.suppress(Exception):
        encode(cursor, "SELECT %s", (1,))
    setattr(statements, name, before)


@pytest.mark.skipif("c" not in CLASSES, reason="the Python implementation looks at nothing")
async def test_what_c_refuses(plain: Connection) -> None:
    kind, encode = CLASSES["c"], plain.encoder.encode
    right: list[Any] = [
        plain.runner,
        plain.statements,
        plain.session_charset,
        plain._literals,
    ]
    for number in range(3):
        wrong = right.copy()
        wrong[number] = object()
        with pytest.raises(TypeError):
            kind(*wrong)
    with pytest.raises(AttributeError):
        kind(*right[:3], object())
    with pytest.raises(TypeError):
        kind(*right[:3])
    cursor: Any = await plain.cursor()
    for arguments in ((), (cursor,), (cursor, "x"), (object(), "x", None), (PyCursorState(),) * 3):
        with pytest.raises(TypeError, match="encode"):
            encode(*arguments)
    for connection in (object(), 5, "x"):
        cursor._connection = connection
        with pytest.raises((TypeError, AttributeError)):
            encode(cursor, "SELECT 1", None)
        with pytest.raises((TypeError, AttributeError)):
            encode(cursor, "SELECT %s", (1,))


@pytest.mark.parametrize("origin", [(), (1,), (1, 2, 3), 5, "x", ("a", "b")])
async def test_a_spoiled_origin(new_encode: NewEncode, plain: Connection, origin: Any) -> None:
    cursor = await plain.cursor()
    cursor._origin = origin
    with contextlib.suppress(Exception):
        new_encode(plain)(cursor, "SELECT 1", None)


# -- other code that runs meanwhile


class Trap:
    """Garbage; does something when it is found, time after time."""

    deed: Callable[[], object] | None = None

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        if Trap.deed is not None:
            Trap()
            Trap.deed()


DEEDS = [
    "close the cursor",
    "close the connection",
    "patch",
    "encode",
    "forget",
    "change the class",
]


@pytest.mark.parametrize("deed", DEEDS)
async def test_finalizers(new_encode: NewEncode, connect_args: dict[str, Any], deed: str) -> None:
    """At nearly every allocation: nothing crashes, and what comes of it is the right text."""
    connection = await connect(**connect_args, stmt_cache_size=4)
    encode = new_encode(connection)
    statement = await connection.prepare("SELECT %s")
    kinds = [Cursor, type("Own", (Cursor,), {}), DictCursor]
    cursor = await connection.cursor()
    number = 0
    inside = False

    def act() -> None:
        nonlocal number, inside
        number += 1
        if inside:
            return
        inside = True
        try:
            if deed == "close the cursor":
                cursor._connection = None
            elif deed == "close the connection":
                connection.runner.abort()
            elif deed == "patch":
                name = ["mogrify", "_query", "_take_result", "_forget_result"][number % 4]
                if number % 2:
                    setattr(cursor, name, getattr(cursor, name))
                else:
                    setattr(type(cursor), f"unused{number % 9}", number)
            elif deed == "encode":
                run("SELECT %s", (7,))
            elif deed == "forget":
                connection.statements.forget()
            elif type(cursor) in kinds[:2]:
                cursor.__class__ = kinds[number % 2]
        finally:
            inside = False

    def run(query: Any, args: Any) -> Query | None:
        try:
            return encode(cursor, query, args)
        except ProgrammingError as error:
            assert "Cursor closed" in str(error)  # noqa: PT017
            return None

    gc.collect()
    before = gc.get_threshold()
    try:
        for threshold in range(1, 25):
            for kind in (Cursor, kinds[1], DictCursor):
                for query, args, sent in (
                    ("SELECT 1", None, {b"\x03SELECT 1"}),
                    ("SELECT %s", ("a",), {b"\x03SELECT 'a'"}),
                    ("SELECT %(a)s", {"a": "a"}, {b"\x03SELECT 'a'"}),
                    (statement, ("a",), {b"\x03SELECT 'a'"}),
                    (b"SELECT %s", ["a"], {b"\x03SELECT 'a'"}),
                ):
                    cursor = kind(connection)
                    if deed != "close the connection":
                        await cursor.execute("SELECT 5")
                    Trap.deed = act
                    Trap()
                    gc.set_threshold(threshold)
                    exchange = run(query, args)
                    gc.set_threshold(*before)
                    Trap.deed = None
                    if type(exchange) is Query:
                        assert exchange.request in sent
        assert number > 300
    finally:
        Trap.deed = None
        gc.set_threshold(*before)
        gc.collect()
        for kind in (Cursor, DictCursor):
            for name in [name for name in vars(kind) if name.startswith("unused")]:
                delattr(kind, name)
    connection.close()
