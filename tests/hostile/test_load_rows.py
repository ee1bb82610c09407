"""Hostile responses to `load_rows`: never a wrong count, nor a file that nobody named.

Where the server says what can't be, that is a DB-API error, and the connection is closed or in
step.
"""

from __future__ import annotations

import asyncio

import pytest

from aiomysql_core import MySQLError
from tests.hostile.peer import assert_nothing_given_away, playing
from tests.hostile.response_scripts import EOF, MORE, column
from tests.hostile.test_many import GOOD, check_step, opened, script
from tests.scripted import error, frames, ok


def sized(text: bytes) -> bytes:
    """A string with its length in front."""
    length = len(text)
    return (bytes([length]) if length < 251 else b"\xfc" + length.to_bytes(2, "little")) + text


def table(*found: tuple[bytes | None, ...]) -> bytes:
    """A result of these rows."""
    cells = [b"".join(b"\xfb" if cell is None else sized(cell) for cell in row) for row in found]
    width = len(found[0])
    return frames(bytes([width]), *[column()] * width, EOF, *cells, EOF)


def settings(*changed: tuple[int, bytes]) -> bytes:
    """The session's settings, but for these of them."""
    cells = [b"STRICT_TRANS_TABLES", b"1", b"99", b"30", b"1", b"64", b"16777216", b"binary"]
    for number, cell in changed:
        cells[number] = cell
    return table(tuple(cells))


SETTINGS = settings()
COLUMNS = table(
    (b"id", b"int", None, b"NO", b"PRI", None, b"", b"insert", b""),
    (b"v", b"varchar(9)", b"utf8mb4_bin", b"YES", b"", None, b"", b"insert", b""),
)
CREATED = table((b"t", b"CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB"))
OK = frames(ok())
#: The mode, if it is asked for; what ends the transaction.
MODE = table((b"1",))
ENDED = frames(ok(status=MORE), ok(status=MORE), ok())
#: More than `int` takes.
DIGITS = b"9" * 5000
NOTE, TOLD = table((b"Note", b"1", b"a")), table((b"Warning", b"1265", b"cut"))
WANTED = frames(b"\xfbrows")
INFO = "Records: %d  Deleted: %d  Skipped: %d  Warnings: %d"


def loaded(*numbers: int, info: str = INFO, warnings: int = 0, status: int = 2) -> bytes:
    text = (info % numbers).encode()
    return frames(ok(status=status)[:-2] + warnings.to_bytes(2, "little") + sized(text), first=4)


RIGHT = loaded(2, 0, 0, 0)
NAMES = ["id", "v"]
#: Behind the answers to the driver's questions.
FILE = (WANTED, b"")
#: The responses, and words of the error, or the rows that are in the table.
ANSWERS: dict[str, tuple[tuple[bytes, ...], str | int]] = {
    "as it should be": ((SETTINGS, OK, COLUMNS, CREATED, *FILE, RIGHT, OK, ENDED), 2),
    "too few settings": ((table((b"", b"1")),), "settings"),
    "no settings": ((OK,), "settings"),
    "a mode that ends the string": (
        (settings((0, b"A',x='")),),
        "settings",
    ),
    "a number without end": ((settings((5, DIGITS)),), "settings"),
    "requests without end": ((settings((6, DIGITS)),), "settings"),
    "a word for a number": ((settings((3, b"nine")),), "settings"),
    "an error for settings": ((frames(error(1193, "unknown")),), "unknown"),
    "rows for SET": ((SETTINGS, GOOD), "given rows"),
    "an error for SET": ((SETTINGS, frames(error(1227, "denied"))), "denied"),
    "another file": ((SETTINGS, OK, COLUMNS, CREATED, frames(b"\xfb/etc/passwd")), "local file"),
    "a file for a question": ((SETTINGS, OK, frames(b"\xfbrows")), "local file"),
    "the file twice": (
        (SETTINGS, OK, COLUMNS, CREATED, *FILE, frames(b"\xfbrows", first=4)),
        "local file",
    ),
    "no file": ((SETTINGS, OK, COLUMNS, CREATED, OK, NOTE), "LOAD DATA"),
    "rows for LOAD DATA": ((SETTINGS, OK, COLUMNS, CREATED, GOOD), "LOAD DATA"),
    "an error at once": ((SETTINGS, OK, COLUMNS, CREATED, frames(error(1064, "no"))), "no"),
    "an error in the file": (
        (SETTINGS, OK, COLUMNS, CREATED, WANTED, frames(error(1205, "late"), first=3)),
        "late|got 3",
    ),
    "an answer too early": (
        (SETTINGS, OK, COLUMNS, CREATED, WANTED, RIGHT),
        "got 4|did not wait|gone away|session ended",
    ),
    "an error for the file": (
        (SETTINGS, OK, COLUMNS, CREATED, *FILE, frames(error(1062, "twice"), first=4)),
        "twice",
    ),
}
#: What follows the file.
ENDS: dict[str, tuple[bytes, tuple[bytes, ...], str | int]] = {
    "too few records": (loaded(1, 0, 0, 0), (), "read 1"),
    "too many records": (loaded(3, 0, 0, 0), (), "read 3"),
    "deleted ones": (loaded(2, 1, 0, 0), (), "deleted 1"),
    "skipped ones, and no warnings": (loaded(2, 0, 1, 0), (NOTE,), "dropped"),
    "warnings that are not told": (loaded(2, 0, 0, 2), (NOTE,), "0 rows"),
    "a warning": (loaded(2, 0, 0, 1), (TOLD,), "cut"),
    "a count beside": (loaded(2, 0, 0, 0, warnings=1), (TOLD,), "cut"),
    "a word for a code": (loaded(2, 0, 0, 1), (table((b"W", b"x", b"cut")),), "cut"),
    "a code without end": (loaded(2, 0, 0, 1), (table((b"W", DIGITS, b"cut")),), "cut"),
    "one column for warnings": (loaded(2, 0, 0, 1), (table((b"W",)),), "1 columns"),
    "an OK for warnings": (loaded(2, 0, 0, 1), (OK,), "0 rows"),
    "no numbers": (loaded(info="done"), (), "answered"),
    "numbers without end": (loaded(info=INFO % (2, 0, 0, 0) + DIGITS.decode()), (), "answered"),
    "no info, and a warning": (frames(ok(), first=4), (TOLD,), "cut"),
    "no info": (frames(ok(), first=4), (NOTE,), "answered"),
    "more to come": (loaded(2, 0, 0, 0, status=2 | MORE), (), "answered|read_timeout|got"),
    "rows for the settings": (RIGHT, (GOOD,), "given rows"),
    "an error for the settings": (RIGHT, (frames(error(1193, "no SET")),), "no SET"),
    "rows for COMMIT": (RIGHT, (OK, GOOD), "answered"),
    "an error for COMMIT": (
        RIGHT,
        (OK, frames(ok(status=MORE), error(1180, "no commit"))),
        "no commit",
    ),
    "an error for the mode": (
        RIGHT,
        (OK, frames(ok(status=MORE), ok(status=MORE), error(1193, "no SET"))),
        2,
    ),
}
for _name, (_answer, _more, _words) in ENDS.items():
    ANSWERS[_name] = (SETTINGS, OK, COLUMNS, CREATED, *FILE, _answer, *_more), _words
ANY = (b"int", None, b"YES", b"", None, b"", b"", b"")
#: Where the columns can't be understood rows are inserted.
INSERTED = {
    "an error": frames(error(1142, "denied")),
    "no rows": OK,
    "one cell": table((b"x",)),
    "nothing but NULL": table((None,) * 9),
    "no name": table((b"", *ANY), (b"v", *ANY)),
    "no name at all": table((None, *ANY), (b"v", *ANY)),
    "a name with NUL": table((b"a\0b", *ANY), (b"v", *ANY)),
    "all generated": table((b"a", b"int", None, b"YES", b"", None, b"VIRTUAL GENERATED", b"", b"")),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_answers(name: str) -> None:
    steps, outcome = ANSWERS[name]
    await meet(steps, outcome)


@pytest.mark.parametrize("name", INSERTED)
async def test_columns_that_are_not_told(name: str) -> None:
    inserted = frames(ok(affected_rows=2))
    for names in (NAMES, None):
        await meet((SETTINGS, OK, INSERTED[name], inserted, OK, ENDED), 2, names)
    inserted = frames(ok(affected_rows=1))
    await meet((SETTINGS, OK, INSERTED[name], inserted), "inserted 1")
    await meet((SETTINGS, OK, INSERTED[name], GOOD), "answered an INSERT")


def begun(response: bytes) -> bytes:
    """This one behind what begins the transaction, which is one text with the first question."""
    whole = bytearray(frames(ok(status=MORE), ok(status=MORE)))
    while response:
        end = 4 + int.from_bytes(response[:3], "little")
        whole += response[:3] + bytes([response[3] + 2]) + response[4:end]
        response = response[end:]
    return bytes(whole)


async def meet(
    steps: tuple[bytes, ...], outcome: str | int, names: list[str] | None = NAMES
) -> None:
    async with playing(script(MODE, begun(steps[0]), *steps[1:])) as peer:
        connection = await opened(peer.port, local_infile=True)
        try:
            async with asyncio.timeout(5):
                loading = connection.load_rows("t", [(1, "a"), (2, "b")], names)
                if isinstance(outcome, int):
                    assert await loading == outcome
                else:
                    with pytest.raises(MySQLError, match=outcome):
                        await loading
            await check_step(connection)
        finally:
            connection.close()
    assert_nothing_given_away(peer)
