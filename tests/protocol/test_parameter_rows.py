"""Rows of parameters for COM_STMT_BULK_EXECUTE: their bytes, and where a request ends."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.err import DataError, ProgrammingError

from aiomysql_protocol.values import parameter_rows
from aiomysql_protocol.values.literals import DEFAULT
from aiomysql_protocol.values.parameter_rows import ParameterRows
from aiomysql_protocol.values.parameters import ParameterWriter
from tests.protocol.row_bytes import part

Write = Callable[[Sequence[object], int, int, bytes], tuple[bytes, bytes, int]]

ROOM = 1 << 20
WRITER = ParameterWriter("utf8")
NULL = b"\x06\0"
NUMBER = b"\x08\0"
TEXT = b"\xfd\0"


@pytest.fixture(params=["c", "python"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which `write_parameter_rows` is used."""
    name: str = request.param
    write = part(name, parameter_rows, "write_parameter_rows")
    monkeypatch.setattr(parameter_rows, "write_parameter_rows", write)
    return name


def number(value: int) -> bytes:
    return b"\0" + struct.pack("<q", value)


@pytest.mark.usefixtures("implementation")
class TestRows:
    """Whatever writes them."""

    def test_values_and_indicators(self) -> None:
        rows = ParameterRows(WRITER, 3)
        given: list[Any] = [(1, None, "ü"), [2, 0.5, None], (None, None, None)]
        assert rows.add(given, 0, ROOM) == 3
        assert rows.types == NUMBER + b"\x05\0" + TEXT
        assert rows.data == (
            number(1)
            + b"\1\0\x02\xc3\xbc"
            + number(2)
            + b"\0"
            + struct.pack("<d", 0.5)
            + b"\1"
            + b"\1\1\1"
        )
        assert (rows.count, rows.size) == (3, len(rows.data))

    def test_nulls_only(self) -> None:
        rows = ParameterRows(WRITER, 2)
        assert rows.add([(None, None)] * 2, 0, ROOM) == 2
        assert (rows.types, rows.data) == (NULL * 2, b"\1" * 4)

    @pytest.mark.parametrize(
        "row",
        ["a", 1.5, Decimal("1.5"), datetime.date(2024, 1, 1), b"a", 2**63, [1], {"a"}, DEFAULT],
    )
    def test_a_value_of_another_type_ends_it(self, row: object) -> None:
        rows = ParameterRows(WRITER, 1)
        assert rows.add([(1,), (row,), (2,)], 0, ROOM) == 1
        assert (rows.data, rows.types) == (number(1), NUMBER)
        assert rows.add([(2,)], 0, ROOM) == 1
        assert rows.count == 2

    @pytest.mark.parametrize("row", [(1, 2, 3), (), {"a": 1}, None, 5, "ab"])
    def test_rows_that_do_not_fit(self, row: object) -> None:
        rows = ParameterRows(WRITER, 2)
        assert rows.add([(1, 2), row, (3, 4)], 0, ROOM) == 1
        assert rows.add([row], 0, ROOM) == 0

    def test_single_values(self) -> None:
        """As in `Cursor.execute`; None means that there are no arguments."""
        rows = ParameterRows(WRITER, 1)
        assert rows.add([1, (2,), None], 0, ROOM) == 2
        assert rows.data == number(1) + number(2)

    @pytest.mark.parametrize("room", range(32))
    def test_room(self, room: int) -> None:
        """The first row may have more."""
        rows = ParameterRows(WRITER, 1)
        end = rows.add([(n,) for n in range(4)], 0, room)
        assert end == max(1, room // 9)
        assert rows.count == end
        assert rows.data == b"".join(map(number, range(end)))

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (float("nan"), ProgrammingError),
            ("\ud800", DataError),
            ({}, TypeError),
            (object(), TypeError),
            (int, TypeError),
        ],
    )
    def test_errors(self, value: object, error: type[Exception]) -> None:
        """What was added before remains."""
        rows = ParameterRows(WRITER, 1)
        with pytest.raises(error):
            rows.add([(None,), (None,), (value,)], 0, ROOM)
        assert (rows.count, rows.data, rows.types) == (2, b"\1\1", NULL)

    def test_a_sequence_that_changes_meanwhile(self) -> None:
        class Sly(tuple[Any, ...]):
            __slots__ = ()

            def __iter__(self) -> Any:
                several.clear()
                return super().__iter__()

        several: list[Any] = [(1,), Sly([2]), (3,)]
        rows = ParameterRows(WRITER, 1)
        assert rows.add(several, 0, ROOM) <= 3
        assert rows.data.startswith(number(1))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 65), 1 << 65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.binary(max_size=300),
    st.datetimes(),
    st.dates(),
    st.sampled_from([DEFAULT, Decimal("1.5"), [1], datetime.timedelta(1)]),
)


@given(
    st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1, max_size=8)
    ),
    st.integers(0, 400),
    st.booleans(),
)
def test_both_implementations_write_the_same(
    given_rows: list[list[object]], room: int, repeated: bool
) -> None:
    rows = [row for row in given_rows for _ in range(3 if repeated else 1)]
    found = []
    for name in ("c", "python"):
        with pytest.MonkeyPatch.context() as patch:
            write = part(name, parameter_rows, "write_parameter_rows")
            patch.setattr(parameter_rows, "write_parameter_rows", write)
            start, requests = 0, []
            while start < len(rows):
                one = ParameterRows(WRITER, len(rows[0]))
                end = one.add(rows, start, room)
                requests.append((end, one.data, one.types, one.count, one.size))
                start = max(end, start + 1)
            found.append(requests)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "value",
    [*(2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1), True, "x" * 70_000, b""],
    ids=lambda value: repr(value)[:25],
)
def test_each_value_is_that_of_an_execution(value: object) -> None:
    """Behind the byte that says that one follows."""
    written = WRITER.write([value])
    for name in ("c", "python"):
        write = part(name, parameter_rows, "write_parameter_rows")
        data, types, end = write([(value,)], 0, ROOM, NULL)
        assert end in (0, 1)
        if end:
            assert (data, types) == (b"\0" + written.values, written.types)


def test_bad_arguments_of_the_function_in_c() -> None:
    write: Any = part("c", parameter_rows, "write_parameter_rows")
    wrong: tuple[Any, ...]
    for wrong in ((), ([], 0, 0), ([], 0, 0, "ab"), ([], "a", 0, b""), ([], 0, None, b"")):
        with pytest.raises(TypeError):
            write(*wrong)
    with pytest.raises(TypeError):
        write(5, 0, 9, b"")
    with pytest.raises(ValueError, match="negative"):
        write([(1,)], -1, 9, NULL)
    # Half a type is none; no room is none; a start behind the end is the end.
    assert write([()], 0, 9, b"x") == (b"", b"", 1)
    assert write([(1,)], 0, -1, NULL) == (b"", NULL, 0)
    assert write([(1,)], 7, 99, NULL) == (b"", NULL, 7)
    with pytest.raises(ValueError, match="cannot fit|integer"):
        write([(1,)], 1 << 70, 9, NULL)


def test_an_error_of_the_sequence_surfaces() -> None:
    write: Write = part("c", parameter_rows, "write_parameter_rows")

    class Rows(Sequence[Any]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: Any) -> Any:
            if index:
                raise ZeroDivisionError
            return (1,)

    with pytest.raises(ZeroDivisionError):
        write(Rows(), 0, ROOM, NULL)
