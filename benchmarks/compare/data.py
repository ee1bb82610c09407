"""The tables of the comparison: what is in them, and the statements that the drivers run.

Everything follows from the number of a row, so that a worker knows what it has to receive without
asking a server. The values vary as those of an application do: few columns repeat themselves.
"""

from __future__ import annotations

import datetime as dt
import random
import zlib
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

Row = tuple[Any, ...]

PREFIX = "bench_"
INTS = f"{PREFIX}ints"
MIXED = f"{PREFIX}mixed"
INSERT = f"{PREFIX}insert"
UPDATE = f"{PREFIX}update"
CELL = f"{PREFIX}cell"

DEFINITIONS = {
    INTS: "id INT PRIMARY KEY, a TINYINT NOT NULL, b SMALLINT NOT NULL, c MEDIUMINT NOT NULL,"
    " d INT NOT NULL, e INT UNSIGNED NOT NULL, f BIGINT NOT NULL, g BIGINT UNSIGNED NOT NULL",
    MIXED: "id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, city VARCHAR(40) NOT NULL,"
    " note VARCHAR(80), ratio DOUBLE NOT NULL, amount DECIMAL(12, 2) NOT NULL,"
    " at DATETIME NOT NULL, day DATE, spent TIME NOT NULL, token BINARY(16) NOT NULL",
    INSERT: "id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, amount DECIMAL(12, 2) NOT NULL,"
    " at DATETIME NOT NULL, note VARCHAR(80)",
    UPDATE: "id INT PRIMARY KEY, amount INT NOT NULL",
    CELL: "id INT PRIMARY KEY, body LONGBLOB NOT NULL",
}

# The argument makes prepared statements of them where a driver has a cache of statements.
SCAN_INTS = f"SELECT id, a, b, c, d, e, f, g FROM {INTS} WHERE id > %s"
SCAN_MIXED = (
    f"SELECT id, name, city, note, ratio, amount, at, day, spent, token FROM {MIXED} WHERE id > %s"
)
MIXED_NAMES = ("id", "name", "city", "note", "ratio", "amount", "at", "day", "spent", "token")
POINT = f"SELECT id, name, amount, at FROM {MIXED} WHERE id = %s"
PAGE = f"SELECT id, name, city, ratio FROM {MIXED} WHERE id > %s ORDER BY id LIMIT %s"
INSERT_NAMES = ("id", "name", "amount", "at", "note")
FILL = f"INSERT INTO {INSERT} (id, name, amount, at, note) VALUES (%s, %s, %s, %s, %s)"
CHANGE = f"UPDATE {UPDATE} SET amount = %s WHERE id = %s"
EMPTY = f"TRUNCATE TABLE {INSERT}"
FILLED = (
    "SELECT COUNT(*), SUM(amount), SUM(CRC32(CONCAT_WS('|', id, name, amount, at, note)))"
    f" FROM {INSERT}"
)
CHANGED = f"SELECT COUNT(*), SUM(amount) FROM {UPDATE} WHERE id <= {{}}"
BIG = f"SELECT body FROM {CELL}"

_CITIES = ("Zürich", "Москва", "東京", "São Paulo", "Αθήνα", "Kraków", "القاهرة", "Malmö 🌊")
_WORDS = ("alpha", "beta", "gamma", "delta", "it's", "epsilon", "zeta", "eta")
_EPOCH = dt.datetime(2015, 1, 1)
CELL_PATTERN = bytes(random.Random(7).randrange(256) for _ in range(1024))


def ints(count: int) -> Iterator[Row]:
    """The rows of the table of integers, by id."""
    rand = random.Random(1)
    for number in range(1, count + 1):
        yield (
            number,
            rand.randrange(-128, 128),
            rand.randrange(-(1 << 15), 1 << 15),
            rand.randrange(-(1 << 23), 1 << 23),
            rand.randrange(-(1 << 31), 1 << 31),
            rand.randrange(1 << 32),
            rand.randrange(-(1 << 63), 1 << 63),
            rand.randrange(1 << 64),
        )


def mixed(count: int) -> Iterator[Row]:
    """The rows of the mixed table, by id."""
    rand = random.Random(2)
    for number in range(1, count + 1):
        words = rand.choices(_WORDS, k=rand.randrange(1, 9))
        yield (
            number,
            f"customer {number}",
            f"{rand.choice(_CITIES)} {rand.randrange(100)}",
            None if number % 3 == 0 else " ".join(words),
            rand.random() * 1000,
            Decimal(rand.randrange(-(10**9), 10**9)).scaleb(-2),
            _EPOCH + dt.timedelta(seconds=rand.randrange(10 * 365 * 86400)),
            None if number % 7 == 0 else (_EPOCH + dt.timedelta(rand.randrange(3650))).date(),
            dt.timedelta(seconds=rand.randrange(86400)),
            rand.randbytes(16),
        )


@cache
def all_ints(count: int) -> list[Row]:
    """`ints` as a list, made once."""
    return list(ints(count))


@cache
def all_mixed(count: int) -> list[Row]:
    """`mixed` as a list, made once."""
    return list(mixed(count))


def points(count: int, rows: int) -> list[Row]:
    """What `POINT` finds for `point_ids(count, rows)`."""
    found = (all_mixed(rows)[number - 1] for number in point_ids(count, rows))
    return [tuple(row[at] for at in (0, 1, 5, 6)) for row in found]


def point_ids(count: int, rows: int) -> list[int]:
    """The ids that point queries ask for."""
    return [number % rows + 1 for number in range(count)]


@cache
def inserts(count: int) -> list[Row]:
    """The arguments for `FILL`."""
    return [(row[0], row[1], row[5], row[6], row[3]) for row in mixed(count)]


def filled(count: int) -> Row:
    """What `FILLED` finds after the inserts."""
    texts = ("|".join(str(item) for item in row if item is not None) for row in inserts(count))
    return (
        count,
        sum(row[2] for row in inserts(count)),
        sum(zlib.crc32(text.encode()) for text in texts),
    )


def changes(count: int, turn: int) -> list[Row]:
    """The arguments for `CHANGE`: other values in each turn."""
    return [(number + turn, number) for number in range(1, count + 1)]


def changed(count: int, turn: int) -> Row:
    """What `CHANGED`, with the count put into it, finds after `changes(count, turn)`."""
    return count, count * (count + 1) // 2 + count * turn


def cell(size: int) -> bytes:
    """The content of the big cell."""
    return (CELL_PATTERN * (size // len(CELL_PATTERN) + 1))[:size]
