"""Methods that classic code overrides and tracers patch are called, wherever and whenever that is.

On a subclass, on our own class or on one object; before the first statement or between two of the
same cursor; and they are no longer called once they were taken away again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from types import MethodType
from typing import Any, ClassVar

import pytest

from aiomysql_core import (
    Connection,
    Cursor,
    DictCursor,
    OperationalError,
    ProgrammingError,
    SSCursor,
    SSDictCursor,
    connect,
)
from aiomysql_core.compat import hooks
from aiomysql_core.compat.row_mixins import _DictCursorMixin
from aiomysql_core.implementation import IMPLEMENTATION
from aiomysql_core.session_charset import SessionCharset
from aiomysql_core.statements import PreparedStatement

#: How a statement goes.
KINDS = ["text", "kept", "prepared"]

#: What is patched: a class of the cursor's or connection's own, the class it is derived from, the
#: first class that the method belongs to, or the object alone.
PLACES = ["subclass", "class", "base", "object"]

#: The names of connections that values become literals by.
WRITERS = ["escape", "literal", "escape_args", "current_literals"]

Patch = pytest.MonkeyPatch
Run = Callable[[Cursor, str], Any]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[Cursor, DictCursor, SSCursor])
def cursor_class(request: pytest.FixtureRequest) -> type[Cursor]:
    base: Any = request.param

    class Own(base):  # type: ignore[misc]
        """A class of its own, so that it can be patched."""

    return Own


@pytest.fixture
async def plain(connect_args: dict[str, Any]) -> Any:
    async with Connection(**connect_args) as connection:
        await connection.ping()  # opens it
        yield connection


@pytest.fixture
async def connection(connect_args: dict[str, Any], kind: str) -> Any:
    """Of a class of its own, and open."""

    class Own(Connection):
        """A class of its own, so that it can be patched."""

    async with Own(**connect_args, stmt_cache_size=8 * (kind == "kept")) as connection:
        await connection.ping()  # opens it
        yield connection


@pytest.fixture
async def statement(connection: Connection, kind: str) -> Any:
    """What a cursor runs with one value, of which it gives column `v`."""
    query = "SELECT %s AS v"
    return query if kind != "prepared" else await connection.prepare(query)


async def value_of(
    cursor: Cursor[Any], statement: str | PreparedStatement, args: Any = ("a",)
) -> Any:
    await cursor.execute(statement, args)
    (row,) = await cursor.fetchall()
    return row["v"] if isinstance(row, dict) else row[0]


def put(patch: Patch, place: str, found: Any, base: type, name: str, new: Any) -> None:
    """Have `found`, which is derived from `base`, use `new` by this name."""
    if place == "object":
        patch.setattr(found, name, MethodType(new, found))
    elif place == "subclass":
        patch.setattr(type(found), name, new)
    elif place == "class":
        patch.setattr(type(found).__mro__[1], name, new)
    else:
        patch.setattr(base, name, new)


ORIGINALS = {name: getattr(Cursor, name) for name in hooks.CURSOR_HOOKS}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["mogrify", "_query", "_take_result", "_forget_result"])
async def test_of_cursors(
    connection: Connection,
    cursor_class: type[Cursor],
    statement: Any,
    kind: str,
    name: str,
    place: str,
) -> None:
    called: list[tuple[Any, ...]] = []

    def new(self: Cursor, *args: Any) -> Any:
        called.append(args)
        return ORIGINALS[name](self, *args)

    cursor = await connection.cursor(cursor_class)
    expected = 1 if kind == "text" or name in ("_take_result", "_forget_result") else 0
    for _ in range(2):
        assert await value_of(cursor, statement) == "a"
        assert called == []
        with pytest.MonkeyPatch.context() as patch:
            put(patch, place, cursor, Cursor, name, new)
            for _ in range(2):
                assert await value_of(cursor, statement) == "a"
                assert len(called) == expected or (name == "_forget_result" and called)
                called.clear()
            other = await connection.cursor(cursor_class)
            assert await value_of(other, statement) == "a"
            assert bool(called) is (bool(expected) and place != "object")
            called.clear()
    assert await value_of(cursor, statement) == "a"
    assert called == []


@pytest.mark.parametrize("place", PLACES)
async def test_what_they_change_is_sent(
    connection: Connection, cursor_class: type[Cursor], statement: Any, kind: str, place: str
) -> None:
    """In a text; what is prepared has no text with values in it."""

    def mogrify(self: Cursor, query: str, args: object = None) -> str:
        return str(ORIGINALS["mogrify"](self, query, args)).replace("'a'", "'A'")

    async def _query(self: Cursor, query: str) -> None:
        await ORIGINALS["_query"](self, query.replace("'A'", "'AA'"))

    cursor = await connection.cursor(cursor_class)
    is_text = kind == "text"
    with pytest.MonkeyPatch.context() as patch:
        put(patch, place, cursor, Cursor, "mogrify", mogrify)
        assert await value_of(cursor, statement) == ("A" if is_text else "a")
        put(patch, place, cursor, Cursor, "_query", _query)
        assert await value_of(cursor, statement) == ("AA" if is_text else "a")
    assert await value_of(cursor, statement) == "a"


async def test_a_query_that_sends_nothing(connection: Connection, kind: str) -> None:
    cursor = await connection.cursor()
    assert await cursor.execute("SELECT 1 UNION SELECT 2") == 2

    async def _query(self: Cursor, query: str) -> None:
        self._rowcount = 77

    with pytest.MonkeyPatch.context() as patch:
        put(patch, "object", cursor, Cursor, "_query", _query)
        assert await cursor.execute("DROP TABLE nothing_here") == 77
    assert await cursor.execute("SELECT 1") == 1


async def test_batches_go_by_it(connection: Connection) -> None:
    """Each is a statement with values in it, which may look like anything."""
    told: list[Any] = []
    cursor = await connection.cursor()
    await cursor.execute("CREATE TEMPORARY TABLE batched (v TEXT)")
    cursor.max_stmt_length = 100
    values = ["LOAD DATA LOCAL INFILE 'x' INTO TABLE y"] * 9

    async def _query(self: Cursor, query: Any) -> None:
        told.append((len(query), self._origin))
        await ORIGINALS["_query"](self, query)

    insert = "INSERT INTO batched VALUES (%s)"
    with pytest.MonkeyPatch.context() as patch:
        put(patch, "object", cursor, Cursor, "_query", _query)
        assert await cursor.executemany(insert, values) == 9
    assert len(told) > 2
    assert {origin for _, (_, origin) in told} == {insert}
    assert [files for _, (files, _) in told] == [{}] * len(told)
    assert cursor._origin is None
    await cursor.execute("SELECT COUNT(*) FROM batched WHERE v = %s", (values[0],))
    assert await cursor.fetchone() == (9,)


async def test_no_question_in_between(connection: Connection) -> None:
    """What may change how literals are read goes by a replaced `_query` as without one."""
    asked: list[object] = []
    cursor = await connection.cursor()

    async def _query(self: Cursor, query: Any) -> None:
        await ORIGINALS["_query"](self, query)

    async def refresh(self: SessionCharset) -> None:
        asked.append(self)

    with pytest.MonkeyPatch.context() as patch:
        put(patch, "object", cursor, Cursor, "_query", _query)
        patch.setattr(SessionCharset, "refresh", refresh)
        await cursor.execute("SET @mode = 'é', sql_mode = @@sql_mode")
        assert asked == []
    assert connection.session_charset.in_doubt
    await cursor.execute("SELECT @mode")
    assert await cursor.fetchone() == ("é",)
    assert not connection.session_charset.in_doubt


@pytest.mark.parametrize("base", [Cursor, DictCursor, SSCursor])
async def test_overridden_from_the_beginning(
    connection: Connection, statement: Any, kind: str, base: Any
) -> None:
    called: list[str] = []

    class Traced(base):  # type: ignore[misc]
        def mogrify(self, query: str, args: object = None) -> str:
            called.append("mogrify")
            return str(super().mogrify(query, args))

        async def _query(self, query: str) -> None:
            called.append("_query")
            await super()._query(query)

        def _take_result(self, *args: Any) -> Any:
            called.append("_take_result")
            return super()._take_result(*args)

        def _clear_result(self) -> None:
            called.append("_clear_result")
            super()._clear_result()

    cursor = await connection.cursor(Traced)
    assert await value_of(cursor, statement) == "a"
    texts = ["mogrify", "_query"] if kind == "text" else []
    assert called == [*texts, "_take_result"]
    called.clear()
    assert await value_of(cursor, statement) == "a"
    assert [name for name in called if name != "_clear_result"] == [*texts, "_take_result"]
    assert "_clear_result" in called


class Proxy:
    """As tracers put in the place of a function: it has its attributes, and is equal to it."""

    called: ClassVar[list[str]] = []

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.wrapped == other)

    def __hash__(self) -> int:
        return hash(self.wrapped)

    def __get__(self, found: object, owner: type | None = None) -> Any:
        return Proxy(self.wrapped.__get__(found, owner)) if found is not None else self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.called.append(self.wrapped.__name__)
        return self.wrapped(*args, **kwargs)


@pytest.mark.parametrize("name", ["mogrify", "_query", "_take_result", "_forget_result"])
async def test_proxies_of_cursors_methods(
    connection: Connection, statement: Any, kind: str, name: str
) -> None:
    Proxy.called.clear()
    cursor = await connection.cursor()
    assert await value_of(cursor, statement) == "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cursor, name, Proxy(getattr(Cursor, name)))
        assert await value_of(cursor, statement) == "a"
    expected = kind == "text" or name in ("_take_result", "_forget_result")
    assert set(Proxy.called) == ({name} if expected else set())


@pytest.mark.parametrize("name", [*WRITERS, "new_query", "query"])
async def test_proxies_of_connections_methods(
    connection: Connection, statement: Any, kind: str, name: str
) -> None:
    Proxy.called.clear()
    cursor = await connection.cursor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, name, Proxy(getattr(Connection, name)))
        assert await value_of(cursor, statement) == "a"
        if name == "query":
            await connection.commit()
    is_called = kind == "text" or name == "query" or (kind == "kept" and name in WRITERS)
    assert set(Proxy.called) == ({name} if is_called else set())


# Connections


class Upper:
    """Literals in upper case."""

    def arguments(self, args: Any) -> Any:
        if isinstance(args, dict):
            return {key: f"'{value.upper()}'" for key, value in args.items()}
        args = args if isinstance(args, (tuple, list)) else (args,)
        return tuple([f"'{value.upper()}'" for value in args])

    def literal(self, value: str) -> str:
        return f"'{value.upper()}'"


def in_upper_case(name: str) -> Callable[..., Any]:
    """What takes the place of the method of this name and writes values in upper case."""
    original = getattr(Connection, name)

    def new(self: Connection, *args: Any) -> Any:
        if name == "current_literals":
            return Upper()
        if name == "escape_args":
            return Upper().arguments(*args)
        return original(self, *args).upper()

    return new


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("args", [("a",), ["a"], {"v": "a"}, "a"])
async def test_of_connections_for_values(
    connection: Connection, kind: str, place: str, name: str, args: Any
) -> None:
    """They write what goes as text; and nothing is prepared but what the program prepares."""
    new = in_upper_case(name)
    query = "SELECT %(v)s AS v" if isinstance(args, dict) else "SELECT %s AS v"
    statement: Any = query if kind != "prepared" else await connection.prepare(query)
    expected = "a" if kind == "prepared" else "A"
    for cursor_class in (Cursor, DictCursor, SSCursor):
        cursor = await connection.cursor(cursor_class)
        assert await value_of(cursor, statement, args) == "a"
        with pytest.MonkeyPatch.context() as patch:
            put(patch, place, connection, Connection, name, new)
            for _ in range(2):
                assert await value_of(cursor, statement, args) == expected
        assert await value_of(cursor, statement, args) == "a"


@pytest.mark.parametrize("way", ["INSERT", "UPDATE", "INSERT SELECT", "load_rows"])
@pytest.mark.parametrize("name", WRITERS)
async def test_of_connections_for_many_rows(
    connect_args: dict[str, Any], kind: str, name: str, way: str
) -> None:
    """They write the values of all rows, as `execute` would."""
    texts = {
        "INSERT": "INSERT INTO many VALUES (%s)",
        "UPDATE": "UPDATE many SET v = %s WHERE v = '-'",
        "INSERT SELECT": "INSERT INTO many SELECT %s",
    }

    class Own(Connection):
        """A class of its own, so that it can be patched."""

    async def write(connection: Connection, rows: list[tuple[str]]) -> list[Any]:
        async with connection.cursor() as cursor:
            await cursor.execute("DELETE FROM many")
            if way == "UPDATE":
                await cursor.execute("INSERT INTO many VALUES ('-')")
            if way == "load_rows":
                await connection.load_rows("many", rows)
            elif kind == "prepared":
                async with connection.prepare(texts[way]) as statement:
                    await cursor.executemany(statement, rows)
            else:
                await cursor.executemany(texts[way], rows)
            await cursor.execute("SELECT v FROM many")
            return [value for (value,) in await cursor.fetchall()]

    options: Any = {"stmt_cache_size": 8 * (kind == "kept"), "local_infile": way == "load_rows"}
    is_prepared = kind == "prepared" and way != "load_rows"
    async with Own(**connect_args, **options) as connection:
        await connection.ping()  # opens it
        await connection.query("CREATE TEMPORARY TABLE many (v TEXT COLLATE utf8mb4_bin)")
        for count in (1, 20):
            rows = [(f"a{number}",) for number in range(count)]
            expected = [f"a{number}" for number in range(1 if way == "UPDATE" else count)]
            assert await write(connection, rows) == expected
            for place in ("subclass", "object"):
                with pytest.MonkeyPatch.context() as patch:
                    put(patch, place, connection, Connection, name, in_upper_case(name))
                    written = await write(connection, rows)
                assert written == (expected if is_prepared else [v.upper() for v in expected])
            assert await write(connection, rows) == expected


@pytest.mark.parametrize("way", ["executemany", "load_rows"])
async def test_types_that_only_they_know(connect_args: dict[str, Any], way: str) -> None:
    class Own(Connection):
        def escape(self, obj: object) -> str:
            return super().escape(str(obj) if isinstance(obj, dict) else obj)

    async with Own(**connect_args, local_infile=True) as connection:
        await connection.ping()  # opens it
        await connection.query("CREATE TEMPORARY TABLE many (v TEXT)")
        rows = [("a",), ({1: 2},)]
        if way == "load_rows":
            await connection.load_rows("many", rows)
        else:
            await connection.executemany("INSERT INTO many VALUES (%s)", rows)
        assert [*await connection.fetchall("SELECT v FROM many")] == [("a",), ("{1: 2}",)]


@pytest.mark.parametrize("place", PLACES)
async def test_new_query(
    connection: Connection, cursor_class: type[Cursor], statement: Any, kind: str, place: str
) -> None:
    """It is given what goes as text, once."""
    original = Connection.new_query
    given: list[bytes] = []

    def new(self: Connection, statement: bytes, **options: Any) -> Any:
        given.append(statement)
        return original(self, statement.replace(b"'a'", b"'A'"), **options)

    cursor = await connection.cursor(cursor_class)
    assert await value_of(cursor, statement) == "a"
    with pytest.MonkeyPatch.context() as patch:
        put(patch, place, connection, Connection, "new_query", new)
        assert await value_of(cursor, statement) == ("A" if kind == "text" else "a")
        assert given == [b"SELECT 'a' AS v"][: kind == "text"]
        await cursor.execute("SELECT 'a'")
        assert [tuple(row) for row in await cursor.fetchall()] in ([("A",)], [("A",)])
        assert given[-1:] == [b"SELECT 'a'"]
    given.clear()
    assert await value_of(cursor, statement) == "a"
    assert given == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_transactions_end_by_query(
    connection: Connection, statement: Any, kind: str, place: str, end: str
) -> None:
    original = Connection.query
    given: list[object] = []

    async def new(self: Connection, sql: Any, *args: Any, **options: Any) -> int:
        given.append(sql)
        return await original(self, sql, *args, **options)

    async def work() -> None:
        assert await value_of(await connection.cursor(), statement) == "a"
        await getattr(connection, end)()

    await work()
    with pytest.MonkeyPatch.context() as patch:
        put(patch, place, connection, Connection, "query", new)
        await work()
        expected = ["SELECT 'a' AS v"] * (kind == "text") + [end.upper()]
        assert given == expected
    await work()
    assert given == expected


@pytest.mark.parametrize("place", PLACES)
async def test_cursors_run_by_query(
    connection: Connection, cursor_class: type[Cursor], statement: Any, kind: str, place: str
) -> None:
    """Tracers see in `Connection.query` what goes as text, as in classic aiomysql."""
    original = Connection.query
    given: list[Any] = []

    async def new(self: Connection, sql: Any, *args: Any, **options: Any) -> int:
        given.append((sql, *args, options))
        # In a task of its own.
        rows: int = await asyncio.wait_for(original(self, sql, *args, **options), 10)
        return rows

    cursor = await connection.cursor(cursor_class)
    streamed = {"unbuffered": True} if issubclass(cursor_class, SSCursor) else {}
    with pytest.MonkeyPatch.context() as patch:
        put(patch, place, connection, Connection, "query", new)
        assert await value_of(cursor, statement) == "a"
        assert given == [("SELECT 'a' AS v", streamed)][: kind == "text"]
        given.clear()
        await cursor.execute("SELECT 1 AS v; SELECT 2 AS v")
        for number in (1, 2):
            ((*row,),) = await cursor.fetchall()
            assert row in ([number], ["v"])
            assert await cursor.nextset() is (True if number == 1 else None)
        await cursor.executemany("DO %s", [1, 2])
        with pytest.raises(ProgrammingError, match="1064"):
            await cursor.execute("nonsense")
        with pytest.raises(OperationalError, match="1305"):
            await cursor.callproc("no_such_procedure", (5,))
        texts = [sql for sql, _ in given]
        if kind == "kept" and "DO 1" not in texts:  # not every server can prepare them
            texts[1:1] = ["DO 1", "DO 2"]
        assert texts == [
            "SELECT 1 AS v; SELECT 2 AS v",
            *("DO 1", "DO 2", "nonsense"),
            "SET @_no_such_procedure_0=5",
            "CALL no_such_procedure(@_no_such_procedure_0)",
        ]
        given.clear()
    assert await value_of(cursor, statement) == "a"
    assert given == []


async def test_values_name_no_file_in_query(
    connect_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a statement may load is known from its text without values, whoever runs it."""
    original, asked = Connection.query, []

    async def new(self: Connection, sql: Any, *args: Any, **options: Any) -> int:
        return await original(self, f"{sql} /* traced */", *args, **options)

    def new_query(self: Connection, statement: bytes, **options: Any) -> Any:
        asked.append((options["files"], options["source"]))
        return new_query_before(self, statement, **options)

    new_query_before = Connection.new_query
    monkeypatch.setattr(Connection, "query", new)
    monkeypatch.setattr(Connection, "new_query", new_query)
    async with connect(**connect_args, local_infile=True) as connection:
        cursor = await connection.cursor()
        value = "'; LOAD DATA LOCAL INFILE 'x' INTO TABLE t; -- "
        asked.clear()
        await cursor.execute("SELECT %s", (value,))
        assert list(await cursor.fetchall()) == [(value,)]
        assert asked == [({}, None)]
        monkeypatch.setattr(Connection, "query", lambda *args, **kw: original(*args, **kw))
        await cursor.execute("SELECT %s", (value,))
        assert asked[1:] == [({}, "SELECT %s")]


# Rows


@pytest.fixture(params=[DictCursor, SSDictCursor])
def dict_cursor_class(request: pytest.FixtureRequest) -> type[Cursor]:
    base: Any = request.param

    class Own(base):  # type: ignore[misc]
        """A class of its own, so that it can be patched."""

    return Own


async def row_of(cursor: Cursor, statement: Any) -> Any:
    await cursor.execute(statement, ("a",))
    row = await cursor.fetchone()
    assert await cursor.fetchone() is None
    return row


@pytest.mark.parametrize("place", PLACES)
async def test_dict_type(
    connection: Connection, dict_cursor_class: type[Cursor], statement: Any, place: str
) -> None:
    cursor: Any = await connection.cursor(dict_cursor_class)
    assert type(await row_of(cursor, statement)) is dict
    with pytest.MonkeyPatch.context() as patch:
        owners = {
            "object": cursor,
            "subclass": dict_cursor_class,
            "class": dict_cursor_class.__mro__[1],
            "base": _DictCursorMixin,
        }
        patch.setattr(owners[place], "dict_type", OrderedDict)
        for _ in range(2):
            row = await row_of(cursor, statement)
            assert type(row) is OrderedDict
            assert row == {"v": "a"}
    row = await row_of(cursor, statement)
    assert type(row) is dict
    assert row == {"v": "a"}


@pytest.mark.parametrize("place", [*PLACES, "cursor"])
async def test_conv_row(
    connection: Connection, dict_cursor_class: type[Cursor], statement: Any, place: str
) -> None:
    base: Any = Cursor if place == "cursor" else _DictCursorMixin
    original = base._conv_row

    def new(self: Cursor, row: Any) -> Any:
        row = original(self, row)
        return {**row, "more": 1} if isinstance(row, dict) else (row[0].upper(),)

    cursor = await connection.cursor(dict_cursor_class)
    assert await row_of(cursor, statement) == {"v": "a"}
    with pytest.MonkeyPatch.context() as patch:
        put(patch, place, cursor, base, "_conv_row", new)
        for _ in range(2):
            changed = {"v": "A"} if place == "cursor" else {"v": "a", "more": 1}
            assert await row_of(cursor, statement) == changed
    assert await row_of(cursor, statement) == {"v": "a"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("base", [Cursor, SSCursor])
async def test_conv_row_of_tuples(
    connection: Connection, base: type[Cursor], statement: Any, place: str
) -> None:
    """Of a class that makes no rows of its own kind otherwise."""
    cursor_class: Any = type("Own", (base,), {})
    cursor: Any = await connection.cursor(cursor_class)
    assert await row_of(cursor, statement) == ("a",)
    with pytest.MonkeyPatch.context() as patch:
        put(patch, place, cursor, Cursor, "_conv_row", lambda self, row: row and ("seen", *row))
        for _ in range(2):
            assert await row_of(cursor, statement) == ("seen", "a")
        if place != "object":
            with pytest.raises(ProgrammingError, match="makes its rows itself"):
                cursor.row_factory = lambda cursor: list
            connection.row_factory = lambda cursor: list
            assert await row_of(await connection.cursor(cursor_class), statement) == ("seen", "a")
    assert await row_of(cursor, statement) == ("a",)
    assert await row_of(await connection.cursor(SSCursor), statement) in (["a"], ("a",))


async def test_conv_row_of_a_mixin(connection: Connection, statement: Any) -> None:
    class Mixin:
        def _conv_row(self, row: Any) -> Any:
            return ("seen", *row)

    for kind in (Cursor, SSCursor):
        cursor: Any = await connection.cursor(type("Own", (Mixin, kind), {}))
        assert await row_of(cursor, statement) == ("seen", "a")


@pytest.mark.parametrize("kind", ["text"], indirect=True)
async def test_fetchall_goes_by_fetchone(connection: Connection) -> None:
    """Of an SSCursor; and is quick again when it is ours."""

    async def fetchone(self: Cursor) -> Any:
        row = await fetchone_of_ours(self)
        return row and {"v": row[0]}

    fetchone_of_ours = SSCursor.fetchone
    cursor: Any = await connection.cursor(type("Own", (SSCursor,), {}))
    with pytest.MonkeyPatch.context() as patch:
        put(patch, "subclass", cursor, Cursor, "fetchone", fetchone)
        await cursor.execute("SELECT 1 UNION ALL SELECT 2")
        assert await cursor.fetchall() == [{"v": 1}, {"v": 2}]
        await cursor.execute("SELECT 1")
        assert [row async for row in cursor] == [{"v": 1}]
    await cursor.execute("SELECT 1")
    assert await cursor.fetchall() == [(1,)]


@pytest.mark.parametrize("name", ["dict_type", "_conv_row"])
async def test_patched_while_rows_are_fetched(
    connection: Connection, dict_cursor_class: type[Cursor], kind: str, name: str
) -> None:
    """The rows of a statement are made in one way; the next statement's in the new one."""
    length, count = 20_000, 40  # more than a stream takes at once
    statement = f"SELECT 'n' AS k, REPEAT('q', {length}) AS q" + " UNION ALL SELECT 'n', ''" * count
    cursor: Any = await connection.cursor(dict_cursor_class)
    with pytest.MonkeyPatch.context() as patch:
        for patched in (False, True):
            await cursor.execute(statement)
            rows = [await cursor.fetchone()]
            if not patched:
                if name == "dict_type":
                    patch.setattr(type(cursor), name, OrderedDict)
                else:
                    patch.setattr(
                        type(cursor),
                        name,
                        lambda self, row: OrderedDict(_DictCursorMixin._conv_row(self, row)),
                    )
            rows += await cursor.fetchall()
            assert {type(row) for row in rows} == {OrderedDict if patched else dict}
            assert rows == [{"k": "n", "q": "q" * length}, *[{"k": "n", "q": ""}] * count]


def test_every_hook_is_tested() -> None:
    """Those of `hooks` are the ones of this module, or how objects are made."""
    made = {"__init__", "__new__"}  # tests/core/test_cursor_state.py
    tested = {"mogrify", "_query", "_take_result", "_forget_result", "_clear_result"}
    assert set(hooks.CURSOR_HOOKS) == tested | made
    assert [*hooks.LITERAL_HOOKS] == [*WRITERS, "no_backslash_escapes"]
    assert [*hooks.TEXT_HOOKS] == ["new_query", "encoding"]  # tests/core/test_character_sets.py


def test_flags_follow_the_class() -> None:
    """What C code asks: for a class as it is at the moment, and for one object."""

    class Own(DictCursor):
        """A class of its own, so that it can be patched."""

    flag_of = hooks.CursorHook
    assert hooks.cursor_hooks(Cursor) == 0
    assert hooks.cursor_hooks(SSCursor) == flag_of.UNBUFFERED
    assert hooks.cursor_hooks(DictCursor) == hooks.cursor_hooks(Own) == flag_of.DICT_ROWS
    assert hooks.cursor_hooks(SSDictCursor) == flag_of.DICT_ROWS | flag_of.UNBUFFERED
    assert hooks.connection_hooks(Connection) == 0
    flags = {
        "mogrify": flag_of.MOGRIFY,
        "_query": flag_of.QUERY,
        "_take_result": flag_of.TAKE_RESULT,
        "_forget_result": flag_of.FORGET_RESULT,
        "_clear_result": flag_of.FORGET_RESULT,
        "__init__": flag_of.CREATION,
    }
    for name, flag in flags.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Cursor, name, lambda *args: None)
            assert hooks.cursor_hooks(Cursor) == flag
            assert hooks.cursor_hooks(Own) == flag | flag_of.DICT_ROWS
        cursor = Own.__new__(Own)
        vars(cursor)[name] = None
        if name != "__init__":
            assert hooks.cursor_hooks_of(cursor) == flag | flag_of.DICT_ROWS
    for name in hooks.ROW_HOOKS:
        cursor = Own.__new__(Own)
        vars(cursor)[name] = None
        assert hooks.cursor_hooks_of(cursor) == flag_of.CONVERTS_ROWS
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_DictCursorMixin, name, None, raising=False)
            assert hooks.cursor_hooks(Own) == flag_of.CONVERTS_ROWS
    for name in (*hooks.LITERAL_HOOKS, *hooks.TEXT_HOOKS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, name, None)
            which = name in hooks.LITERAL_HOOKS
            expected = hooks.LITERALS_REPLACED if which else hooks.TEXT_REPLACED
            assert hooks.connection_hooks(Connection) == expected
    assert hooks.cursor_hooks(Own) == flag_of.DICT_ROWS
    assert hooks.connection_hooks(Connection) == 0


async def test_how_the_session_reads_strings(connect_args: dict[str, Any]) -> None:
    """A subclass knows better than the connection: here it is wrong, so that it shows."""

    class Own(Connection):
        no_backslash_escapes = property(lambda self: True)

    async with Own(**connect_args) as connection:
        await connection.ping()
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT %s AS v", ("a\\\\b",))
            assert await cursor.fetchone() == ("a\\b",)


# -- what others set on one object -----------------------------------------------------------------


@pytest.mark.skipif(IMPLEMENTATION != "c", reason="in Python all attributes stand together")
async def test_ours_have_places_of_their_own(plain: Connection) -> None:
    """What C looks for names of hooks in has nothing of ours, which would cost each statement."""
    cursor = await plain.cursor()
    await cursor.execute("SELECT 1")
    assert (vars(plain), vars(cursor)) == ({}, {})


def set_in_dict(place: Any, name: str, value: object) -> None:
    place.__dict__[name] = value


@pytest.mark.parametrize("how", [setattr, object.__setattr__, set_in_dict])
async def test_however_it_is_set(plain: Connection, how: Callable[[Any, str, Any], Any]) -> None:
    cursor = await plain.cursor()
    how(cursor, "span", 1)
    how(plain, "span", 2)
    how(cursor, "mogrify", lambda query, args: "SELECT 77")
    await cursor.execute("SELECT %s", (1,))
    assert await cursor.fetchone() == (77,)
    object.__delattr__(cursor, "mogrify")
    how(plain, "escape", lambda value: "99")
    await cursor.execute("SELECT %s", (1,))
    assert await cursor.fetchone() == (99,)
    del plain.escape
    await cursor.execute("SELECT %s", (1,))
    assert await cursor.fetchone() == (1,)
    assert (vars(cursor)["span"], vars(plain)["span"]) == (1, 2)


async def test_subclasses_that_set_attributes_by_themselves(connect_args: dict[str, Any]) -> None:
    class Own(Connection):
        def __setattr__(self, name: str, value: object) -> None:
            object.__setattr__(self, name, value)

    class OwnCursor(Cursor):
        def __setattr__(self, name: str, value: object) -> None:
            object.__setattr__(self, name, value)

    async with Own(**connect_args) as connection:
        await connection.ping()
        async with connection.cursor(OwnCursor) as cursor:
            await cursor.execute("SELECT %s", (5,))
            assert await cursor.fetchall() in ([(5,)], ((5,),))
