"""Zones of sessions: what is written for aware datetimes, and what TIMESTAMPs become."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymysql import converters
from pymysql.constants import FIELD_TYPE
from pymysql.err import DataError, ProgrammingError

from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.cells import CellKind, CellPlan
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.sql.character_sets import ZoneChange, find_zone_change
from aiomysql_protocol.values import file_rows, literals, parameter_rows, parameters
from aiomysql_protocol.values.literals import Literals
from aiomysql_protocol.values.parameter_rows import ParameterRows
from aiomysql_protocol.values.parameters import ParameterWriter
from aiomysql_protocol.values.session_zone import DOUBTFUL_ZONE, SessionZone

from .row_bytes import (
    BERLIN,
    binary_implementation,
    binary_payload,
    decode_all,
    frames,
    implementation,
    part,
    payload,
)

HOUR = datetime.timedelta(hours=1)
UTC = SessionZone("+00:00", datetime.UTC, datetime.timedelta())
WEST = SessionZone("-05:30", datetime.timezone(-5.5 * HOUR), -5.5 * HOUR)
ZONES = [UTC, WEST, BERLIN]

SUMMER = datetime.datetime(2026, 7, 1, 12, 0, 0, 5)
#: The two moments at which clocks in Berlin show the same, in UTC.
TWICE = [datetime.datetime(2026, 10, 25, hour, 30, tzinfo=datetime.UTC) for hour in (0, 1)]


class Subclass(datetime.datetime):
    """Another kind of datetime, whose sums are not what they seem."""

    def __sub__(self, other: Any) -> Any:
        raise AssertionError

    __add__ = __sub__


class NoOffset(datetime.tzinfo):
    """A zone that knows none: datetimes with it are naive."""

    def utcoffset(self, _: datetime.datetime | None) -> None:
        return None

    tzname = dst = utcoffset


def aware(zone: datetime.tzinfo, kind: type[datetime.datetime] = datetime.datetime) -> Any:
    return kind(2026, 7, 1, 12, 0, 0, 5, tzinfo=zone)


#: Values, and what clocks in UTC, in the west and in Berlin show then.
NOON = [f"2026-07-01 {clock}.000005" for clock in ("12:00:00", "06:30:00", "14:00:00")]
VALUES: list[tuple[datetime.datetime, list[str]]] = [
    (aware(datetime.UTC), NOON),
    (aware(ZoneInfo("UTC")), NOON),
    (aware(datetime.UTC, Subclass), NOON),
    (aware(datetime.UTC).astimezone(ZoneInfo("America/New_York")), NOON),
    (aware(datetime.timezone(-5.5 * HOUR)) - 5.5 * HOUR, NOON),
    # Naive ones.
    (SUMMER, NOON[:1] * 3),
    (aware(NoOffset()), NOON[:1] * 3),
    (Subclass(2026, 7, 1, 12, 0, 0, 5), NOON[:1] * 3),
    (
        datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC),
        ["2040-01-01 00:00:00", "2039-12-31 18:30:00", "2040-01-01 01:00:00"],
    ),
]


@pytest.fixture(params=["c", "python"])
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which implementation writes."""
    name: str = request.param
    for module, function in (
        (literals, "literals"),
        (literals, "write_rows"),
        (parameters, "pack_parameters"),
        (parameter_rows, "write_parameter_rows"),
    ):
        monkeypatch.setattr(module, function, part(name, module, function))
    return name


def as_literal(zone: SessionZone | None, value: object) -> str:
    return Literals(zone=zone).arguments((value,))[0][1:-1]  # type: ignore[no-any-return]


def in_rows(zone: SessionZone | None, value: object) -> str:
    writer = Literals(zone=zone)
    written, end = writer.rows((b"", b""), [(value,)], 0, 1000)
    if not end:  # in Python it leaves all of them
        return as_literal(zone, value)
    return written.decode()[1:-1]


def as_parameter(zone: SessionZone | None, value: object) -> str:
    return ParameterWriter("utf8", zone=zone).write([value]).values[1:].decode()


def in_bulk(zone: SessionZone | None, value: object) -> str:
    rows = ParameterRows(ParameterWriter("utf8", zone=zone), 1)
    assert rows.add([(value,), (None,)], 0, 1000) == 2
    return rows.data[2:-1].decode()


WAYS: list[Callable[[SessionZone | None, object], str]] = [
    *(as_literal, in_rows, as_parameter, in_bulk),
]


@pytest.mark.parametrize("way", WAYS)
def test_aware_values(twin: str, way: Callable[[SessionZone | None, object], str]) -> None:
    for value, wanted in VALUES:
        assert [way(zone, value) for zone in ZONES] == wanted
        as_it_stands = f"{value.replace(tzinfo=None)!s}"
        assert way(None, value) == as_it_stands, "without a zone it is dropped"


@pytest.mark.parametrize("way", WAYS)
def test_values_that_are_refused(
    twin: str, way: Callable[[SessionZone | None, object], str]
) -> None:
    for value in (*TWICE, *(one.astimezone(BERLIN.tzinfo) for one in TWICE)):
        with pytest.raises(DataError, match=r"02:30:00 is no certain .* time_zone=\"UTC\"$"):
            way(BERLIN, value)
        assert way(UTC, value) == f"{value.astimezone(datetime.UTC).replace(tzinfo=None)!s}"
    with pytest.raises(DataError, match="2040-07-01 02:00:00 is behind the end"):
        way(BERLIN, datetime.datetime(2040, 7, 1, tzinfo=datetime.UTC))
    for zone, year in ((WEST, datetime.MINYEAR), (BERLIN, datetime.MAXYEAR)):
        edge = datetime.datetime.min if year == datetime.MINYEAR else datetime.datetime.max
        with pytest.raises(DataError, match=f"is out of range in time zone {zone.name}"):
            way(zone, edge.replace(tzinfo=datetime.UTC))


@pytest.mark.parametrize("name", ["c", "python"])
def test_rows_of_a_file(name: str) -> None:
    write = part(name, file_rows, "write_file_rows")
    for value, wanted in VALUES:
        exact = type(value) is datetime.datetime
        for zone, text in zip(ZONES, wanted, strict=True):
            written = (f"{text}\n".encode(), 1) if exact else (b"", 0)
            assert write([(value,)], 0, 1, b"t", zone) == written
    # What can't be written is left to an INSERT, whose error has the row's number.
    rows = [(SUMMER,), (TWICE[0],)]
    assert write(rows, 0, 1000, b"t", BERLIN) == (b"2026-07-01 12:00:00.000005\n", 1)
    assert write(rows, 0, 1000, b"t", None)[1] == 2


def test_encoders_of_the_user_come_first() -> None:
    def encode(value: datetime.datetime, _: Any) -> str:
        return repr(value.year)

    writer = Literals({datetime.datetime: encode}, UTC)
    assert writer.literal(aware(datetime.UTC)) == "2026"
    assert writer.rows((b"", b""), [(aware(datetime.UTC),)], 0, 1000) == (b"", 0)


def definition(type_code: int, name: bytes = b"c") -> bytes:
    texts = b"".join(bytes([len(text)]) + text for text in (b"def", b"", b"", b"", name, b""))
    return texts + struct.pack("<BHIBHBH", 12, 63, 26, type_code, 0x80, 6, 0)


def binary(value: datetime.datetime) -> bytes:
    date = struct.pack("<HBB", value.year, value.month, value.day)
    clock = bytes([value.hour, value.minute, value.second])
    return date + clock + struct.pack("<I", value.microsecond)


def read(
    cache: ColumnCache, type_code: int, values: list[datetime.datetime], prepared: bool
) -> list[Any]:
    """What becomes of values that came in a column."""
    needed = cache.for_binary if prepared else cache
    decoder = needed.compile([definition(type_code)]).decoder
    bodies = [payload(value.isoformat(" ").encode()) for value in values]
    if prepared:
        bodies = [b"\0\0\x0b" + binary(value) for value in values]
    return [row[0] for row in decode_all(decoder, frames(*bodies))[0]]


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("count", [1, 300])
def test_timestamps_are_read(prepared: bool, count: int) -> None:
    for zone in ZONES:
        cache = ColumnCache("utf8", converters.decoders, zone=zone)
        (value, *others) = read(cache, FIELD_TYPE.TIMESTAMP, [SUMMER] * count, prepared)
        assert (value, value.tzinfo) == (SUMMER.replace(tzinfo=zone.tzinfo), zone.tzinfo)
        assert others == [value] * (count - 1)
        assert read(cache, FIELD_TYPE.DATETIME, [SUMMER], prepared) == [SUMMER]
    cache = ColumnCache("utf8", converters.decoders, zone=UTC, use_unicode=False)
    assert read(cache, FIELD_TYPE.TIMESTAMP, [SUMMER], prepared) == [aware(datetime.UTC)]
    own = {**converters.decoders, FIELD_TYPE.TIMESTAMP: str.upper}
    cache = ColumnCache("utf8", own, zone=UTC)
    assert read(cache, FIELD_TYPE.TIMESTAMP, [SUMMER], prepared) == [str(SUMMER)]


@pytest.mark.parametrize("prepared", [False, True])
def test_what_clocks_show_twice_can_not_be_read(prepared: bool) -> None:
    cache = ColumnCache("utf8", converters.decoders, zone=BERLIN)
    for moment, words in (
        (datetime.datetime(2026, 10, 25, 2, 30), "is no certain moment in time zone Europe/Berlin"),
        (datetime.datetime(2026, 3, 29, 2, 30), "is no certain moment"),
        (datetime.datetime(2040, 7, 1), "is behind the end of the servers"),
    ):
        for count in (0, 300):
            with pytest.raises(DataError, match=f"Column .*c.*: {moment} {words}"):
                read(cache, FIELD_TYPE.TIMESTAMP, [SUMMER] * count + [moment], prepared)
    around = [datetime.datetime(2026, 10, 25, 1, 59, 59, 999_999), datetime.datetime(2040, 1, 1)]
    found = read(cache, FIELD_TYPE.TIMESTAMP, around, prepared)
    assert found == [one.replace(tzinfo=BERLIN.tzinfo) for one in around]


@pytest.mark.parametrize("name", ["c", "python"])
def test_zero_dates_and_odd_ones(name: str) -> None:
    for zone in ZONES:
        cell = CellPlan(CellKind.TIMESTAMP, "ascii", None, "c", zone)
        decoder = implementation(name)([cell])
        assert decoder.decode_row(payload(b"0000-00-00 00:00:00")) == ("0000-00-00 00:00:00",)
        plan = BinaryPlan(FIELD_TYPE.TIMESTAMP, cell, decimals=2)
        binary_decoder = binary_implementation(name)([plan])
        assert binary_decoder.decode_row(binary_payload([plan], [b""])) == (
            "0000-00-00 00:00:00.00",
        )
        # Digits that the column does not show.
        (value,) = binary_decoder.decode_row(binary_payload([plan], [binary(SUMMER)]))
        assert value == SUMMER.replace(microsecond=0, tzinfo=zone.tzinfo)
        with pytest.raises(DataError, match="TIMESTAMP"):
            decoder.decode_row(payload(b"\xff"))


def test_comparison() -> None:
    """It asks for winter and summer of several years, and of the last one that tables have, and
    what is around each change.
    """
    asked = BERLIN.comparison(2026)
    summer = "CONVERT_TZ('2026-07-01 12:00:00', '+00:00', 'Europe/Berlin') = '2026-07-01 14:00:00'"
    assert summer in asked
    assert "'2037-07-01 12:00:00'" in asked
    for moment, wall in (
        ("2026-03-29 00:59:59", "2026-03-29 01:59:59"),
        ("2026-03-29 01:00:00", "2026-03-29 03:00:00"),
        ("2026-10-25 00:59:59", "2026-10-25 02:59:59"),
        ("2026-10-25 01:00:00", "2026-10-25 02:00:00"),
    ):
        assert f"CONVERT_TZ('{moment}', '+00:00', 'Europe/Berlin') = '{wall}'" in asked
    assert asked.count("CONVERT_TZ") == 4 * (2 + 2 * 3)
    assert BERLIN.comparison(2050).count("CONVERT_TZ") == 8
    tokyo = SessionZone("Asia/Tokyo", ZoneInfo("Asia/Tokyo"), None)
    assert tokyo.comparison(2026).count("CONVERT_TZ") == 8
    assert "196" not in BERLIN.comparison(1970)


def test_a_zone_that_is_not_known() -> None:
    writer = Literals(zone=DOUBTFUL_ZONE)
    for value in (aware(datetime.UTC), aware(BERLIN.tzinfo, Subclass)):
        with pytest.raises(ProgrammingError, match=r"as an argument$"):
            writer.literal(value)
    for value in (SUMMER, aware(NoOffset())):
        assert writer.literal(value) == f"'{NOON[0]}'"


NONE, AFTER, WITHIN = ZoneChange

BODY = (
    "BEGIN IF NEW.a THEN SET time_zone='+05:00'; END IF;"
    " CASE NEW.a WHEN 1 THEN CALL p(); END CASE; END"
)
IMMEDIATE = "EXECUTE IMMEDIATE 'SET {} time_zone=''+05:00'' {}'"


@pytest.mark.parametrize(
    ("change", "statements"),
    [
        (
            WITHIN,
            [
                "/* app:web */ SET time_zone='+05:00'; INSERT INTO t VALUES (5,%s)",
                "-- x\nSET time_zone='+05:00'; SELECT at FROM t",
                "# x\nSET time_zone='+05:00'; SELECT at FROM t",
                "SET@@time_zone='+05:00'; SELECT at FROM t",
                "SET/**/time_zone='+05:00'; SELECT at FROM t",
                "SET `time_zone`='+05:00'; SELECT at FROM t",
                "/*!50000 SET time_zone='+05:00'*/; SELECT at FROM t",
                "/*M! SET time_zone='+05:00'*/; SELECT at FROM t",
                "/* app:x */ SET STATEMENT time_zone='+05:00' FOR SELECT at FROM t",
                "SELECT 1; SET STATEMENT time_zone='+05:00' FOR SELECT at FROM t",
                "BEGIN NOT ATOMIC SET time_zone='+05:00'; SELECT at FROM t; END",
                "IF 1 THEN SET time_zone='+05:00'; SELECT at FROM t; END IF",
                f"SET @x=1; {IMMEDIATE.format('', '')}; SELECT at FROM t",
                IMMEDIATE.format("STATEMENT", "FOR SELECT at FROM t"),
                "PREPARE s FROM 'SET STATEMENT time_zone=''+05:00'' FOR SELECT at FROM t'",
                "CALL p(%s,%s); CALL p(%s,%s)",
                "EXECUTE s; SELECT at FROM t",
                r"SET @a='\'; SET time_zone='+05:00'; SELECT at FROM t -- '",
                "SET time_zone='+05:00', @a=%s",
                "CREATE PROCEDURE p() SET time_zone='+05:00'; CALL p(); SELECT at FROM t",
                "CREATE PROCEDURE p() BEGIN SET time_zone='+05:00'; END; CALL p(); SELECT 1",
            ],
        ),
        (
            AFTER,
            [
                "SET time_zone='+05:00'",
                "/* app:web */ SET SESSION time_zone='+05:00';",
                "/* statement='x' */ SET time_zone='+05:00' -- it's; then",
                "SET time_zone=%s",
                "SELECT at FROM t; SET time_zone='+05:00'",
                "CALL p('a;b', %s) -- now; then",
                "EXECUTE s",
                IMMEDIATE.format("", ""),
            ],
        ),
        (
            NONE,
            [
                "SELECT @@time_zone",
                "SET @_set_time_zone_0=%s",  # as `callproc` sets arguments
                "SHOW VARIABLES LIKE 'time_zone'; SET @a = 1",
                "CREATE PROCEDURE p() BEGIN DECLARE x INT; SET time_zone='+05:00'; SELECT 1; END",
                "CREATE PROCEDURE p() SET time_zone='+05:00'",
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN SET time_zone='+05:00'; END;",
                "CREATE OR REPLACE FUNCTION f() RETURNS INT BEGIN CALL p(); RETURN 1; END",
                f"CREATE DEFINER=`a`@`%` TRIGGER x BEFORE INSERT ON t FOR EACH ROW {BODY}",
                "UPDATE people SET time_zone = 'a'; UPDATE people SET time_zone = 'b'",
                "CREATE TABLE a (time_zone TEXT CHARACTER SET ascii); INSERT INTO a VALUES ('')",
                "GRANT EXECUTE ON p TO a; FLUSH PRIVILEGES",
            ],
        ),
    ],
)
def test_texts_that_change_the_zone(change: ZoneChange, statements: list[str]) -> None:
    for statement in statements:
        for text in (statement, statement.lower()):
            assert find_zone_change(text.encode(), has_values=True) is change, text
