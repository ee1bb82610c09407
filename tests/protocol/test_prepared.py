"""Prepared statements on real servers: what they give is what the text protocol gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pymysql.converters import decoders
from pymysql.err import MySQLError, ProgrammingError

from aiomysql_protocol.commands.exchange import Exchange
from aiomysql_protocol.commands.prepared import (
    Execute,
    Prepare,
    ServerStatement,
    close_statement,
    reset_statement,
)
from aiomysql_protocol.commands.query import Query
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.values.parameters import NO_PARAMETERS, ParameterWriter
from aiomysql_protocol.wire.capabilities import CACHE_METADATA, DEPRECATE_EOF
from aiomysql_protocol.wire.errors import MalformedPacket
from tests import scripted
from tests.protocol.blocking import (
    Client,
    login_options,
    new_session,
    outcome,
    rows_of,
)
from tests.servers import Server

#: Types, and values for them as SQL text.
TYPED = {
    "TINYINT": "-128",
    "TINYINT UNSIGNED": "255",
    "SMALLINT": "-32768",
    "SMALLINT UNSIGNED": "65535",
    "MEDIUMINT": "-8388608",
    "MEDIUMINT UNSIGNED": "16777215",
    "INT": "-2147483648",
    "INT UNSIGNED": "4294967295",
    "BIGINT": "-9223372036854775808",
    "BIGINT UNSIGNED": "18446744073709551615",
    "INT(6) ZEROFILL": "7",
    "YEAR": "2026",
    "YEAR(4)": "0",
    "BIT(12)": "5",
    "DECIMAL(65,30)": "-1.5",
    "DECIMAL(10,3) ZEROFILL": "1.5",
    "FLOAT": "0.1",
    "FLOAT(10,2)": "-12345678.9",
    "FLOAT(7,4) ZEROFILL": "1.5",
    "DOUBLE": "-0.0",
    "DOUBLE(10,2)": "2.675",
    "DATE": "'2024-02-29'",
    "DATE NULL": "'0000-00-00'",
    "DATE NOT NULL": "'2024-02-31'",
    "DATETIME": "'2024-01-02'",
    "DATETIME NULL": "'0000-00-00'",
    "DATETIME(2)": "'2024-01-02 03:04:05.25'",
    "DATETIME(6)": "'2024-00-00 00:00:00.000001'",
    "TIMESTAMP(3) NULL": "'2024-01-01 00:00:00.25'",
    "TIME": "'838:59:59'",
    "TIME(3)": "'-838:59:58.5'",
    "TIME(6)": "0",
    "TIME(6) NULL": "'-00:00:00.000001'",
    "CHAR(5)": "'a '",
    "VARCHAR(300)": "REPEAT('ü', 300)",
    "TEXT": "'hü'",
    "BINARY(4)": "'ab'",
    "BLOB": "X'00FF27'",
    "ENUM('x','y')": "'y'",
    "SET('a','b')": "'a,b'",
    "JSON": "'{\"ü\": 1}'",
    "GEOMETRY": "POINT(1, 2)",
}

#: Expressions whose types have traps of their own.
EXPRESSIONS = [
    *("1", "NULL", "1.5", "1e0/3", "ROUND(1e0/3, 2)", "18446744073709551615", "b'101'", "x'4142'"),
    *("SEC_TO_TIME(3600.5)", "CAST('1:2:3.123456' AS TIME(6))", "TIME('10:11:12.25')", "TRUE"),
    *("TIMEDIFF('2024-01-01 00:00:00.5', '2024-01-05')", "MAKETIME(1,2,3.5)", "@@version", "'ü'"),
    *("STR_TO_DATE('2024-01-01 10:11:12.5', '%Y-%m-%d %H:%i:%s.%f')", "CAST(1.23 AS FLOAT)"),
    *("DATE_ADD('2024-01-01 00:00:00', INTERVAL 1.5 SECOND)", "JSON_OBJECT('a', 1)", "1/3"),
]

#: The reals at which a server's text changes its form, or has rounded.
REALS = [
    *(0.1, 1e14, 1e15, 1e16, 1e20, 1e-14, 1e-15, 1e-16, 3.4e38, 1.17e-38, 1e300, 5e-324, 1 / 3),
    *(1234565, 1234567.5, 16777216, 0.333333333, 123456789, 999999.5, 9999995, 2.5, 1.005),
    *(1589767746570533.5, 2.5e-7, 8388608.5, 1234567890123456, 12345678901234567),
]

TEXT_ONLY: dict[int, Any] = {}
SHOWN = {type_code: lambda value: ("shown", value) for type_code in range(256)}


@pytest.fixture(params=["values", "without converters", "with converters", "bytes"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    """Clients that read their rows in different ways."""
    converters: Mapping[Any, Any] = {
        "without converters": TEXT_ONLY,
        "with converters": SHOWN,
    }.get(request.param, decoders)
    with Client(
        (server.host, server.port),
        login_options(server.user, server.password, server.database),
        converters,
        use_unicode=request.param != "bytes",
    ) as client:
        client.query("SET sql_mode = 'ALLOW_INVALID_DATES'")
        yield client


@pytest.fixture
def plain(server: Server) -> Iterator[Client]:
    options = login_options(server.user, server.password, server.database)
    with Client((server.host, server.port), options) as client:
        yield client


def run_ok(client: Client, statement: str) -> None:
    assert client.query(statement).results[0].error is None, statement


def test_every_type_as_in_text(client: Client) -> None:
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(TYPED))
    run_ok(client, f"CREATE TEMPORARY TABLE typed (n INT, {columns}, PRIMARY KEY (n))")
    run_ok(client, f"INSERT INTO typed VALUES (1, {', '.join(TYPED.values())})")
    nullable = [f"c{n}" for n, type_ in enumerate(TYPED) if "NOT NULL" not in type_]
    nulls = ", ".join(f"{name} = NULL" for name in nullable)
    run_ok(client, f"INSERT INTO typed VALUES (2, {', '.join(TYPED.values())})")
    run_ok(client, f"UPDATE typed SET {nulls} WHERE n = 2")
    statement = "SELECT * FROM typed ORDER BY n"
    text = rows_of(client.query(statement))
    assert len(text) == 2
    assert text[1].count(None) == len(nullable)
    for name, in_text, in_binary in zip(
        ["n", *TYPED], text[0], rows_of(client.execute(statement))[0], strict=True
    ):
        assert repr((name, in_binary)) == repr((name, in_text))
    assert repr(rows_of(client.execute(statement))) == repr(text)


def test_every_expression_as_in_text(client: Client) -> None:
    for expression in EXPRESSIONS:
        statement = f"SELECT {expression}"
        text, binary = rows_of(client.query(statement)), rows_of(client.execute(statement))
        assert repr((expression, binary)) == repr((expression, text))


def test_real_numbers_as_in_text(client: Client) -> None:
    columns = "n INT, d DOUBLE, f FLOAT, d2 DOUBLE(20,2), f3 FLOAT(12,3)"
    run_ok(client, f"CREATE TEMPORARY TABLE reals ({columns})")
    for number in [*map(float, REALS), *(-float(real) for real in REALS)]:
        single = number if 1e-37 < abs(number) < 3.4e38 else 0.0
        fixed = number if abs(number) < 1e8 else 0.0
        inserted = client.query(
            "INSERT INTO reals VALUES (1, %s, %s, %s, %s)", number, single, fixed, fixed
        )
        assert inserted.results[0].error is None
    text = rows_of(client.query("SELECT * FROM reals"))
    assert len(text) == 2 * len(REALS)
    for in_text, in_binary in zip(
        text, rows_of(client.execute("SELECT * FROM reals")), strict=True
    ):
        assert repr(in_binary) == repr(in_text)


def test_types_of_some_servers_as_in_text(client: Client, server: Server) -> None:
    types = {"VECTOR(2)": "X'0000803F00000040'"}
    if server.kind == "mariadb":
        types |= {"UUID": "'123e4567-e89b-12d3-a456-426655440000'", "INET6": "'::1'"}
    if server.kind == "mariadb" and server.version < (11, 7):
        del types["VECTOR(2)"]
    for type_, value in types.items():
        run_ok(client, "DROP TEMPORARY TABLE IF EXISTS special")
        run_ok(client, f"CREATE TEMPORARY TABLE special (x {type_})")
        run_ok(client, f"INSERT INTO special VALUES ({value})")
        text = rows_of(client.query("SELECT x FROM special"))
        assert rows_of(client.execute("SELECT x FROM special")) == text


def test_prepare(plain: Client) -> None:
    prepared = plain.prepare("SELECT 1, ? FROM (SELECT ? AS x) AS t")
    assert (prepared.parameter_count, prepared.column_count) == (2, 2)
    assert plain.prepare("DO 0").column_count == 0
    with pytest.raises(ProgrammingError, match="1064"):
        plain.prepare("SELEC 1")
    with pytest.raises(ProgrammingError, match="2 parameters, but 1"):
        prepared.accepts(plain.writer.write([1]))
    with pytest.raises(ProgrammingError, match="1064"):
        plain.prepare("SELECT 1; SELECT 2")


def test_executed_again_and_again(plain: Client) -> None:
    prepared = plain.prepare("SELECT CAST(? AS CHAR), ? IS NULL")
    for value in ("a", None, "ü" * 300, "", None):
        done = plain.run(Execute(prepared, plain.writer.write([value, value])))
        assert rows_of(done) == [(value, int(value is None))]


def test_results_without_rows(plain: Client) -> None:
    run_ok(plain, "CREATE TEMPORARY TABLE t (n INT PRIMARY KEY AUTO_INCREMENT, v INT)")
    done = plain.execute("INSERT INTO t (v) VALUES (?), (?)", 5, 6)
    assert (done.results[0].ok.affected_rows, done.results[0].ok.insert_id) == (2, 1)
    assert rows_of(plain.execute("SELECT v FROM t WHERE n > ?", 5)) == []
    assert rows_of(plain.execute("SELECT v FROM t WHERE n = ?", 2)) == [(6,)]
    failed = plain.execute("INSERT INTO t VALUES (?, ?)", 1, 1)
    assert "1062" in str(failed.results[0].error)


def test_a_procedure_with_several_results(plain: Client) -> None:
    plain.query("DROP PROCEDURE IF EXISTS several")
    run_ok(plain, "CREATE PROCEDURE several(x INT) BEGIN SELECT x; SELECT 'a', x + 1; END")
    done = plain.execute("CALL several(?)", 5)
    assert [result.rows for result in done.results] == [[(5,)], [("a", 6)], []]
    assert [result.error for result in done.results] == [None] * 3
    run_ok(plain, "DROP PROCEDURE several")


def test_closed_in_front_of_the_next_request(plain: Client) -> None:
    prepared = plain.prepare("SELECT 1")
    assert rows_of(plain.run(Execute(prepared, NO_PARAMETERS))) == [(1,)]
    close_statement(plain.session, prepared)
    assert plain.session.idle
    done = plain.run(Execute(prepared, NO_PARAMETERS))
    assert "1243" in str(done.results[0].error)
    assert rows_of(plain.query("SELECT 2")) == [(2,)]


def test_reset_statement(plain: Client) -> None:
    prepared = plain.prepare("SELECT 1")
    assert plain.run(reset_statement(prepared)).error is None
    assert rows_of(plain.run(Execute(prepared, NO_PARAMETERS))) == [(1,)]
    assert "1243" in str(plain.run(reset_statement(ServerStatement(12345, 0, 0, 0))).error)


def test_keeps_database_and_mode(plain: Client) -> None:
    prepared = plain.prepare("SELECT DATABASE(), 'a' || 'b'")
    (before,) = rows_of(plain.run(Execute(prepared, NO_PARAMETERS)))
    run_ok(plain, "SET SESSION sql_mode = 'PIPES_AS_CONCAT'")
    assert before[1] == 0
    assert rows_of(plain.run(Execute(prepared, NO_PARAMETERS))) == [before]
    assert rows_of(plain.execute("SELECT DATABASE(), 'a' || 'b'")) == [(before[0], "ab")]


@pytest.mark.slow
def test_long_cells(plain: Client) -> None:
    statement = "SELECT REPEAT('q', ?), 7 UNION ALL SELECT REPEAT('r', ?), 8"
    (first, second) = rows_of(plain.execute(statement, 70000, (1 << 24) + 5))
    assert first == ("q" * 70000, 7)
    assert (len(second[0]), second[1]) == ((1 << 24) + 5, 8)


# Metadata that does not come again


def test_unchanged_metadata_is_sent_once(plain: Client, server: Server) -> None:
    prepared = plain.prepare("SELECT ? AS a, 'x' AS unchanged_column")
    caches = bool(plain.session.capabilities & CACHE_METADATA)
    assert caches is (server.kind == "mariadb")
    seen = []
    for value in ("ü", "v", 5, 6, None, b"\xff", "w"):
        done = plain.run(Execute(prepared, plain.writer.write([value])))
        if server.kind == "mariadb":  # MySQL has decided that it is a string
            assert rows_of(done) == [(value, "x")]
        metadata = done.results[0].metadata
        assert metadata is not None
        assert [item[0] for item in metadata.description] == ["a", "unchanged_column"]
        seen.append(b"unchanged_column" in plain.response)
    assert seen[:4] == ([True, False, True, False] if caches else [True] * 4)
    assert rows_of(plain.query("SELECT 'text' AS a")) == [("text",)]
    assert rows_of(plain.query("SELECT 'text' AS a")) == [("text",)]


def test_metadata_after_the_table_has_changed(plain: Client) -> None:
    run_ok(plain, "CREATE TEMPORARY TABLE changing (a INT)")
    run_ok(plain, "INSERT INTO changing VALUES (5)")
    prepared = plain.prepare("SELECT * FROM changing")
    for _ in range(2):
        assert rows_of(plain.run(Execute(prepared, NO_PARAMETERS))) == [(5,)]
    for change, expected in (
        ("MODIFY a VARCHAR(10)", ("5",)),
        ("ADD b DATE", ("5", None)),
        ("DROP a", (None,)),
    ):
        run_ok(plain, f"ALTER TABLE changing {change}")
        for _ in range(2):
            done = plain.run(Execute(prepared, NO_PARAMETERS))
            assert done.results[0].error is None
            assert rows_of(done) == [expected], change


def test_metadata_after_values_are_read_in_another_way(plain: Client) -> None:
    prepared = plain.prepare("SELECT 7, 'a'")
    for _ in range(2):
        assert rows_of(plain.run(Execute(prepared, NO_PARAMETERS))) == [(7, "a")]
    plain.session.columns = ColumnCache("utf8", {}, use_unicode=False)
    for _ in range(2):
        assert rows_of(plain.run(Execute(prepared, NO_PARAMETERS))) == [(b"7", b"a")]


def test_metadata_of_several_results(plain: Client) -> None:
    plain.query("DROP PROCEDURE IF EXISTS several")
    run_ok(plain, "CREATE PROCEDURE several() BEGIN SELECT 1; SELECT 'a', 2; END")
    prepared = plain.prepare("CALL several()")
    for _ in range(3):
        done = plain.run(Execute(prepared, NO_PARAMETERS))
        assert [result.rows for result in done.results] == [[(1,)], [("a", 2)], []]
    run_ok(plain, "DROP PROCEDURE several")


@pytest.mark.parametrize("payloads", [[b"\1\0"], [b"\2\0"], [b"\1"], [b"\1\1\1"], [b"\1\2", b""]])
def test_metadata_that_never_came(payloads: list[bytes]) -> None:
    for exchange in (Query(b"SELECT 1"), Execute(ServerStatement(1, 0, 1, 0), NO_PARAMETERS)):
        done = answered(exchange, *payloads, capabilities=DEPRECATE_EOF | CACHE_METADATA)
        assert isinstance(done.error, MalformedPacket)


# The session, fed with what servers say

STATEMENTS: list[tuple[str, list[object]]] = [
    ("SELECT ?, CAST('2024-01-02 03:04:05' AS DATETIME), NULL", ["ü"]),
    ("DO ?", [1]),
    ("SELECT 1", []),
    ("SELECT 1 FROM (SELECT 1) AS t WHERE 1 = ?", [2]),
]


def exchanges(number: int, prepared: ServerStatement | None) -> Exchange:
    statement, values = STATEMENTS[number]
    if prepared is None:
        return Prepare(statement.encode())
    return Execute(prepared, ParameterWriter("utf8").write(values))


@pytest.mark.parametrize("number", range(len(STATEMENTS)))
def test_responses_in_pieces(plain: Client, number: int) -> None:
    """In pieces of any size the same, from one byte to all; and so when the metadata is known."""
    preparation = plain.run(exchanges(number, None))
    assert isinstance(preparation, Prepare)
    prepared = preparation.prepared
    assert prepared is not None
    recorded: list[tuple[bytes, Any]] = [(plain.response, None)]
    for _ in range(2):
        done = plain.run(exchanges(number, prepared))
        recorded.append((plain.response, outcome(done)))
        assert "error" not in str(recorded[-1][1]).lower()
    longest = max(len(response) for response, _ in recorded)
    for size in [1, *range(2, longest)]:
        session = new_session()
        session.capabilities = plain.session.capabilities
        replayed: ServerStatement | None = None
        for response, expected in recorded:
            exchange = exchanges(number, replayed)
            session.start(exchange)
            session.data_to_send()
            pending = bytearray()
            for at in range(0, len(response), size):
                assert not exchange.done
                pending += response[at : at + size]
                del pending[: session.receive(pending, 0, len(pending))]
            assert exchange.done
            assert session.error is None
            if isinstance(exchange, Prepare):
                assert exchange.prepared == prepared
                replayed = exchange.prepared
            else:
                assert outcome(exchange) == expected


def definition(type_code: int = 6) -> bytes:
    """A column or parameter definition."""
    return b"\x03def\0\0\0\x01?\0\x0c\x3f\0\x04\0\0\0" + bytes([type_code]) + b"\0\0\0\0\0"


EOF = b"\xfe\0\0\2\0"
LONG_EOF = EOF + bytes(4)  # none: an EOF packet has at most 8 bytes
PREPARED = b"\0\7\0\0\0\1\0\2\0\0\0\0"  # statement 7: 1 column, 2 parameters


def answered(exchange: Exchange, *payloads: bytes, capabilities: int) -> Exchange:
    session = new_session()
    session.capabilities = capabilities
    session.start(exchange)
    data = bytearray(scripted.frames(*payloads))
    session.receive(data, 0, len(data))
    return exchange


def test_preparation_without_deprecate_eof() -> None:
    prefixes = [definition(8), definition(253), EOF, definition(3), EOF]
    exchange = Prepare(b"SELECT ?, ?")
    answered(exchange, PREPARED, *prefixes, capabilities=0)
    assert exchange.done
    assert exchange.prepared is not None
    assert exchange.prepared.statement_id == 7
    write = ParameterWriter("utf8").write
    assert exchange.prepared.accepts(write([1, b""]))
    assert exchange.prepared.accepts(write([None, None]))
    assert not exchange.prepared.accepts(write(["1", b""]))


@pytest.mark.parametrize(
    "payloads",
    [
        [b""],
        [b"\1"],
        [PREPARED[:8]],
        [PREPARED[:11]],
        [PREPARED, b""],
        [PREPARED, definition()[:9]],
        [PREPARED, definition(), definition(), definition(), definition()],
        [PREPARED, definition(), definition(), b""],
        [PREPARED, definition(), definition(), EOF[:2]],
        [PREPARED, definition(), definition(), LONG_EOF],
        [PREPARED, definition(), definition(), EOF, definition(), LONG_EOF],
    ],
)
def test_malformed_responses_to_a_preparation(payloads: list[bytes]) -> None:
    exchange = answered(Prepare(b"SELECT ?"), *payloads, capabilities=0)
    assert exchange.done
    assert isinstance(exchange.error, MalformedPacket)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("rows", "right"),
    [
        ([LONG_EOF], False),
        ([b"\0\0\1\0\0\0", LONG_EOF, EOF], False),
        ([b"\0\0\1\0\0\0", EOF + bytes(3)], True),
    ],
)
def test_long_packet_among_binary_rows(rows: list[bytes], right: bool, streamed: bool) -> None:
    execution = Execute(ServerStatement(7, 0, 1, 0), NO_PARAMETERS, streamed=streamed)
    answered(execution, b"\1", definition(3), EOF, *rows, capabilities=0)
    assert execution.done
    (result,) = execution.results
    if right:
        assert (result.rows, result.error) == ([(1,)], None)
    else:
        assert isinstance(result.error, MalformedPacket)
        assert isinstance(execution.error, MalformedPacket)


def test_every_truncation_and_byte_change_is_a_database_error(plain: Client) -> None:
    statement, values = STATEMENTS[0]
    prepared = plain.prepare(statement)
    responses: list[tuple[ServerStatement | None, bytes]] = [(None, plain.response)]
    plain.run(Execute(prepared, plain.writer.write(values)))
    responses.append((replace(prepared), plain.response))
    plain.run(Execute(prepared, plain.writer.write(values)))
    responses.append((prepared, plain.response))
    for before, response in responses:
        for at in range(len(response)):
            for byte in (0, 1, 0x7F, 0xFB, 0xFE, 0xFF):
                session = new_session()
                session.capabilities = plain.session.capabilities | DEPRECATE_EOF
                exchange = exchanges(0, before and replace(before))
                session.start(exchange)
                data = bytearray(response)
                data[at] = byte
                session.receive(data, 0, len(data))
                session.connection_lost()
                assert exchange.done
                errors = [exchange.error, session.error]
                if isinstance(exchange, Query):
                    errors += [result.error for result in exchange.results]
                assert all(error is None or isinstance(error, MySQLError) for error in errors)
                assert not any("can't read the server's response" in str(error) for error in errors)
