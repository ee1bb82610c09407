"""Hostile responses to `executemany` and pipelines: never a wrong count, nor another's row.

Where the server says what can't be, that is a DB-API error, and the connection is closed or in
step.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pymysql.constants import CLIENT, FIELD_TYPE

from aiomysql_core import Connection, MySQLError, Warning, connect  # noqa: A004
from aiomysql_core.transport import stream
from tests.hostile.peer import PASSWORD, Script, assert_nothing_given_away, playing
from tests.hostile.response_scripts import EOF, MORE, column
from tests.scripted import CAPABILITIES, error, frame, frames, greeting, ok

RIGHT = "right"
GOOD = frames(b"\x01", column(), EOF, b"\x05right", EOF)
MORE_EOF = b"\xfe\0\0" + MORE.to_bytes(2, "little")
DONE = ok(affected_rows=1)
DONE_MORE = ok(affected_rows=1, status=MORE)


def mariadb() -> bytes:
    """The greeting of a server that has COM_STMT_BULK_EXECUTE."""
    plain = greeting(version="11.8.2-MariaDB", capabilities=CAPABILITIES & ~CLIENT.LONG_PASSWORD)
    head, tail = plain.split(bytes(10), 1)
    return head + bytes(6) + (1 << 2).to_bytes(4, "little") + tail


def script(*responses: bytes, hang_up: bool = False, bulk: bool = False) -> Script:
    hello = mariadb() if bulk else greeting()
    steps = [frame(hello, 0), frame(ok(), 2), frames(ok()), *responses]
    return Script(steps if hang_up else [*steps, GOOD, GOOD, GOOD], hang_up)


async def opened(port: int, **options: Any) -> Connection:
    limits = {"connect_timeout": 5, "read_timeout": 0.5}
    return await connect(
        host="127.0.0.1",
        port=port,
        user="u",
        password=PASSWORD,
        autocommit=None,
        **limits | options,
    )


async def check_step(connection: Connection) -> None:
    """It is closed, or the next statement has its own response."""
    assert not connection.busy
    if not connection.closed:
        with contextlib.suppress(MySQLError):  # which closes it
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT 'right'")
                assert list(await cursor.fetchall()) == [(RIGHT,)]
                return
        assert connection.closed


def rows(*cells: bytes, last: bytes = EOF) -> list[bytes]:
    """A result of one column."""
    return [b"\x01", column(), EOF, *[bytes([len(cell)]) + cell for cell in cells], last]


#: The server has forgotten the statement; what closes it has no answer.
FORGOTTEN = [frames(error(1243, "unknown")), b""]


@dataclass(frozen=True)
class Lie:
    """The responses; `outcome`: words of the error, or the rows changed."""

    responses: Sequence[bytes]
    outcome: str | int
    row: int | None = None
    hang_up: bool = False


# -- several statements in one text ----------------------------------------------------------

WARNED = rows(b"careful", last=MORE_EOF)
WARNED_LAST = rows(b"careful")


def text(*parts: bytes | list[bytes]) -> list[bytes]:
    """One response of several results."""
    packets: list[bytes] = []
    for part in parts:
        packets += part if isinstance(part, list) else [part]
    return [frames(*packets)]


OTHER = "answered . of 3"
PAIR = (DONE_MORE, WARNED)
JOINED: dict[str, Lie] = {
    "as it should be": Lie(text(*PAIR, *PAIR, DONE_MORE, WARNED_LAST), 3),
    "too few": Lie(text(*PAIR, DONE_MORE, WARNED_LAST), OTHER),
    "too many": Lie(text(*PAIR, *PAIR, *PAIR, DONE_MORE, WARNED_LAST), OTHER),
    "one": Lie(text(DONE), OTHER),
    "without warnings": Lie(text(DONE_MORE, DONE_MORE, DONE), OTHER),
    "warnings for the last are missing": Lie(text(*PAIR, *PAIR, DONE), OTHER),
    "only warnings": Lie(text(WARNED, WARNED, WARNED_LAST), OTHER),
    "the other way round": Lie(text(WARNED, DONE_MORE, WARNED, DONE_MORE, WARNED, DONE), OTHER),
    "rows for an OK": Lie(text(*PAIR, WARNED, WARNED, DONE_MORE, WARNED_LAST), OTHER),
    "an OK for rows": Lie(text(*PAIR, DONE_MORE, DONE_MORE, DONE_MORE, WARNED_LAST), OTHER),
    "two sets of warnings": Lie(text(*PAIR, WARNED, *PAIR, DONE_MORE, WARNED_LAST), OTHER),
    "an error at first": Lie(text(error(1064, "no")), "no", 0),
    "an error in the middle": Lie(text(*PAIR, error(1062, "twice")), "twice", 1),
    "an error for warnings": Lie(text(*PAIR, DONE_MORE, error(1064, "none")), "none", 2),
    "an error among warnings": Lie(
        text(*PAIR, DONE_MORE, [*WARNED[:3], error(1317, "stop")]), "stop", 2
    ),
    "an error, and more": Lie(text(error(1064, "no"), *PAIR), "no|nobody asked", 0),
    "a file": Lie(text(*PAIR, b"\xfb/etc/passwd"), "local file", 1),
    "an empty packet": Lie(text(*PAIR, b""), "empty packet", 1),
    "more, and silence": Lie(text(*PAIR), "read_timeout", 1),
    "more, and the end": Lie(text(*PAIR), "Lost connection", 1, True),
    "half a packet": Lie([text(*PAIR, DONE_MORE)[0][:-3]], "Lost connection", 1, True),
    "a number twice": Lie([frames(*PAIR[:1]) + frame(DONE, 1)], "got 1 expected 2", 1),
}


@pytest.mark.parametrize("name", JOINED)
async def test_texts_of_many_statements(name: str) -> None:
    lie = JOINED[name]
    await meet(script(*lie.responses, hang_up=lie.hang_up), lie, 3)


ENDED, NO_COMMAND = frame(EOF, 1), frame(error(1047, "unknown"), 1)
(WHOLE,), FIRST = text(*PAIR, *PAIR, DONE_MORE, WARNED_LAST), len(text(*PAIR)[0])
#: The text, and then the answer to the question whether the server has left it.
LEFT: dict[str, Lie] = {
    "left": Lie([*text(*PAIR), ENDED], "left the text", 1),
    "left before the warnings": Lie([*text(*PAIR, DONE_MORE), ENDED], "left the text", 2),
    "a refusal": Lie([*text(*PAIR), NO_COMMAND], "unknown", 1),
    "an OK": Lie([*text(*PAIR), frames(DONE)], "got 1 expected", 1),
    "rows": Lie([*text(*PAIR), GOOD], "got 1 expected", 1),
    "not left": Lie([WHOLE[:FIRST], WHOLE[FIRST:] + ENDED], 3),
    "not left, and an error": Lie([WHOLE[:FIRST], WHOLE[FIRST:] + NO_COMMAND], 3),
    "never": Lie([*text(*PAIR), b""], "read_timeout", 1),
    "the end": Lie(text(*PAIR), "Lost connection", 1, True),
}


@pytest.mark.parametrize("name", LEFT)
async def test_texts_that_are_left(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(stream, "_PATIENCE", 0.05)
    lie = LEFT[name]
    await meet(script(*lie.responses, hang_up=lie.hang_up), lie, 3)


async def meet(plan: Script, lie: Lie, count: int, **options: Any) -> None:
    async with playing(plan) as peer:
        connection = await opened(peer.port, local_infile=True, **options)
        try:
            async with asyncio.timeout(3), connection.cursor() as cursor:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    changed = cursor.executemany(
                        "UPDATE t SET a = %s WHERE b = %s", [(n, n) for n in range(count)]
                    )
                    if isinstance(lie.outcome, int):
                        assert await changed == cursor.rowcount == lie.outcome
                    else:
                        with pytest.raises(MySQLError, match=lie.outcome) as caught:
                            await changed
                        assert caught.value.row_index == lie.row  # type: ignore[attr-defined]
            await check_step(connection)
        finally:
            connection.close()
    assert_nothing_given_away(peer)


@pytest.mark.parametrize("cell", [b"\xfb", b"\x00", b"\x02hi"], ids=["NULL", "empty", "text"])
@pytest.mark.parametrize("convert", [str, str.encode, len], ids=["str", "bytes", "int"])
async def test_warnings_that_are_no_texts(cell: bytes, convert: Any) -> None:
    """They are told all the same, with a message filter, too."""
    packets = [*rows()[:3], cell]
    plan = script(*text(DONE_MORE, [*packets, MORE_EOF], DONE_MORE, [*packets, EOF]))
    conv = {FIELD_TYPE.VAR_STRING: convert}
    async with playing(plan) as peer, await opened(peer.port, conv=conv) as connection:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", "nothing like that")
            async with connection.cursor() as cursor:
                assert await cursor.executemany("UPDATE t SET a = %s", [1, 2]) == 2
        assert [one.category for one in told] == [Warning] * 2


# -- COM_STMT_BULK_EXECUTE -------------------------------------------------------------------

BULK_ROWS = 20


def prepared(columns: int = 0, parameters: int = 2) -> bytes:
    head = b"\0\x01\0\0\0" + bytes([columns, 0, parameters, 0, 0, 0, 0])
    definitions: list[bytes] = []
    for number in (parameters, columns):
        if number:
            definitions += [column(b"?", FIELD_TYPE.NULL)] * number + [EOF]
    return frames(head, *definitions)


def number(value: bytes, kind: int = FIELD_TYPE.VAR_STRING) -> bytes:
    return frames(b"\x01", column(kind=kind), EOF, bytes([len(value)]) + value, EOF)


TWENTY = frames(ok(affected_rows=20))
REFUSED = frames(error(1062, "twice"))
BULK: dict[str, Lie] = {
    "as it should be": Lie([prepared(), number(b"5"), TWENTY], 20),
    "an error in the third": Lie([prepared(), number(b"5"), REFUSED, number(b"8")], "twice", 2),
    "it can't be prepared": Lie([REFUSED, *text(*[DONE_MORE] * 19, DONE)], 20),
    "it has rows": Lie([prepared(columns=1), *text(*[DONE_MORE] * 19, DONE)], 20),
    "other parameters": Lie([prepared(parameters=3), *text(*[DONE_MORE] * 19, DONE)], 20),
    "a broken answer to PREPARE": Lie([frames(b"\0\1")], "ends", 0),
    "an OK for PREPARE, and the end": Lie([frames(ok())], "ends|Lost", 0, hang_up=True),
    "rows": Lie([prepared(), number(b"5"), GOOD], "given rows|binary row"),
    "several results": Lie(
        [prepared(), number(b"5"), frames(ok(affected_rows=20, status=MORE), DONE)], "several"
    ),
    "two answers": Lie([prepared(), number(b"5"), TWENTY + TWENTY], 20),
    "a wrong number": Lie([prepared(), number(b"5"), frame(DONE, 3)], "got 3 expected 1"),
    "an empty packet": Lie([prepared(), number(b"5"), frames(b"")], "empty"),
    "a file": Lie([prepared(), number(b"5"), frames(b"\xfb/etc/passwd")], "local file"),
    "the end": Lie([prepared(), number(b"5"), b""], "Lost", hang_up=True),
    "forgotten for ever": Lie(
        [prepared(), number(b"5"), *FORGOTTEN, prepared(), FORGOTTEN[0], number(b"5")], "unknown"
    ),
    "forgotten, then other parameters": Lie(
        [prepared(), number(b"5"), *FORGOTTEN, prepared(parameters=1)], "otherwise"
    ),
    "lost behind an error": Lie([prepared(), number(b"5"), REFUSED], "twice", hang_up=True),
} | {
    f"{what} for the executions": Lie([prepared(), answer, TWENTY], 20)
    for what, answer in {
        "an error": REFUSED,
        "an OK": TWENTY,
        "no row": frames(b"\x01", column(), EOF, EOF),
        "a NULL": frames(b"\x01", column(), EOF, b"\xfb", EOF),
        "a word": number(b"many"),
        "infinity": number(b"inf", FIELD_TYPE.DOUBLE),
        "too many digits": number(b"9" * 200),
    }.items()
}


@pytest.mark.parametrize("name", BULK)
async def test_bulk_requests(name: str) -> None:
    lie = BULK[name]
    plan = script(*lie.responses, hang_up=lie.hang_up, bulk=True)
    # With a `read_timeout` there are none: one response is for all rows.
    await meet(plan, lie, BULK_ROWS, get_warnings=False, read_timeout=None)


@pytest.mark.parametrize("after", [b"5", b"4", b"26", b"0", b"-1", b"x", b"9" * 30])
async def test_executions_that_can_not_be(after: bytes) -> None:
    """Nobody is told a wrong row."""
    lie = Lie([prepared(), number(b"5"), REFUSED, number(after)], "twice")
    plan = script(*lie.responses, bulk=True)
    await meet(plan, lie, BULK_ROWS, get_warnings=False, read_timeout=None)


@pytest.mark.parametrize("limit", [b"inf", b"-1", b"0", b"x", b"9" * 30])
async def test_limits_that_can_not_be(limit: bytes) -> None:
    """A server's `max_allowed_packet` of nonsense: requests are short, or as long as ours."""
    steps = [number(limit, FIELD_TYPE.DOUBLE), *[b""] * 10]
    async with playing(script(*steps)) as peer:
        connection = await opened(peer.port, get_warnings=False, read_timeout=0.2)
        async with connection.cursor() as cursor:
            with pytest.raises(TimeoutError):
                await cursor.executemany("UPDATE t SET a = %s", ["x" * 40_000] * 4)
        assert connection.closed


# -- pipelines -------------------------------------------------------------------------------


def answer(cell: bytes, first: int = 1) -> bytes:
    return frames(*rows(cell), first=first)


A, B, C = answer(b"a"), answer(b"b"), answer(b"c")
LOST = "Lost connection|read_timeout|Not connected|gone away"
#: The responses, as one piece each time; then for each statement its cell, or words of the error.
PIPELINES: dict[str, tuple[bytes, tuple[str, str, str], bool]] = {
    "as it should be": (A + B + C, ("a", "b", "c"), False),
    "too few": (A + B, ("a", "b", f"!{LOST}"), False),
    "too few, and the end": (A + B, ("a", "b", f"!{LOST}"), True),
    "none, and the end": (b"", (f"!{LOST}",) * 3, True),
    "half a row, and the end": (A + B[:-8], ("a", f"!{LOST}", f"!{LOST}"), True),
    "too many": (A + B + C + GOOD, ("a", "b", "c"), False),
    "an error in the middle": (A + REFUSED + C, ("a", "!twice", "c"), False),
    "an error within rows": (
        A + frames(b"\x01", column(), EOF, error(1317, "stop")) + C,
        ("a", "!stop", "c"),
        False,
    ),
    "a broken row": (
        A + frames(b"\x01", column(), EOF, b"\x05x", EOF) + C,
        ("a", "!past the end", f"!{LOST}|past the end"),
        False,
    ),
    "wrong numbers": (A + answer(b"b", 2) + C, ("a", "!got 2", f"!{LOST}|got 2"), False),
    "numbers that go on": (
        A + answer(b"b", 6) + C,
        ("a", "!got 6 expected 1", f"!{LOST}|got 6"),
        False,
    ),
    "more that never comes": (
        A + frames(*rows(b"b", last=MORE_EOF)) + C,
        ("a", "!got 1 expected 6", f"!{LOST}|got 1"),
        False,
    ),
    "several results": (
        A + frames(*rows(b"b", last=MORE_EOF), *rows(b"x")) + C,
        ("a", "b", "c"),
        False,
    ),
    "several, the last of which failed": (
        A + frames(*rows(b"b", last=MORE_EOF), error(1064, "no")) + C,
        ("a", "!no", "c"),
        False,
    ),
    "an OK for rows": (A + frames(ok(affected_rows=7)) + C, ("a", "7 changed", "c"), False),
    "a file": (A + frames(b"\xfb/etc/passwd") + C, ("a", "!local file", f"!{LOST}|file"), False),
}


@pytest.mark.parametrize("when", ["asked", "cut"])
@pytest.mark.parametrize("name", PIPELINES)
async def test_pipelines(name: str, when: str) -> None:
    data, outcomes, hang_up = PIPELINES[name]
    # In one piece with the first request, or a part with each of two.
    cuts = [data, b"", b""] if when == "asked" else [data[:40], data[40:90], data[90:]]
    async with playing(script(*cuts, hang_up=hang_up)) as peer:
        connection = await opened(peer.port, local_infile=True)
        with contextlib.suppress(MySQLError):
            async with asyncio.timeout(3), connection.pipeline() as pipeline:
                statements = [pipeline.execute(f"SELECT {n}") for n in range(3)]
                for statement, outcome in zip(statements, outcomes, strict=True):
                    if outcome.startswith("!"):
                        with pytest.raises(MySQLError, match=outcome[1:]):
                            await statement
                        continue
                    cursor = await statement
                    if outcome == "7 changed":
                        assert (cursor.rowcount, cursor.description) == (7, None)
                    else:
                        assert list(await cursor.fetchall()) == [(outcome,)]
        await check_step(connection)
        connection.close()
    assert_nothing_given_away(peer)


@pytest.mark.parametrize("way", ["executemany", "pipeline"])
async def test_answers_before_anything_is_asked(way: str) -> None:
    """They are nobody's."""
    early = {"executemany": JOINED["as it should be"].responses[0], "pipeline": A + B + C}[way]
    *steps, accepted = script().steps[:3]

    async def ask(port: int) -> None:
        async with await opened(port) as connection:
            if way == "executemany":
                async with connection.cursor() as cursor:
                    await cursor.executemany("UPDATE t SET a = %s", [1, 2, 3])
            else:
                await pipelined(connection, *map("SELECT {}".format, range(3)))

    async with playing(Script([*steps, accepted + early, b"", b"", b"", GOOD])) as peer:
        with pytest.raises(MySQLError, match="nobody asked|gone away|Lost|Not connected"):
            await ask(peer.port)


async def pipelined(connection: Connection, *queries: str, transaction: bool = False) -> None:
    async with asyncio.timeout(3), connection.pipeline(transaction=transaction) as pipeline:
        for query in queries:
            pipeline.execute(query)


@pytest.mark.parametrize("commit", [REFUSED, b"", frames(b""), frame(DONE, 5), frames(ok()), GOOD])
async def test_a_commit_that_fails(commit: bytes) -> None:
    """All statements were run, and yet it is no success; nothing is left open."""
    begun = frames(ok(status=MORE), ok(status=0))
    mode = frames(b"\x01", column(), EOF, b"\x011", EOF)
    two = frames(ok(status=MORE), ok())
    answers = [mode, begun, A, B, commit, two, two, GOOD]
    async with playing(Script([*script().steps[:3], *answers])) as peer:
        connection = await opened(peer.port)
        with pytest.raises(MySQLError):
            await pipelined(connection, "SELECT 0", "SELECT 1", transaction=True)
        if commit in (REFUSED, frames(ok()), GOOD):  # three statements were sent
            assert b"ROLLBACK" in peer.received
            assert connection.get_autocommit()
        else:
            assert connection.closed
        await check_step(connection)
        connection.close()
