"""`databases` on this driver; arguments: the name of a table."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from urllib.parse import quote

import sqlalchemy
from databases import Database  # type: ignore[import-not-found]

TABLE = sys.argv[1]
NOTES = sqlalchemy.Table(
    TABLE,
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("text", sqlalchemy.String(100)),
    sqlalchemy.Column("done", sqlalchemy.Boolean),
)


def url() -> str:
    """The server's address as `databases` takes it."""
    given = json.loads(os.environ["CONNECT"])
    who = f"{quote(given['user'])}:{quote(given['password'])}"
    return f"mysql://{who}@{given['host']}:{given['port']}/{given['db']}?min_size=2&max_size=3"


async def query(database: Database) -> None:
    """Insert and select, by expression and by text."""
    await database.execute(NOTES.insert(), {"text": "first", "done": True})
    await database.execute_many(
        query=f"INSERT INTO {TABLE} (text, done) VALUES (:text, :done)",
        values=[{"text": "100 %", "done": False}, {"text": "ünï 🎉", "done": None}],
    )
    rows = await database.fetch_all(NOTES.select().order_by(NOTES.c.id))
    assert [row["text"] for row in rows] == ["first", "100 %", "ünï 🎉"]
    assert [row["done"] for row in rows] == [True, False, None]
    row = await database.fetch_one(f"SELECT * FROM {TABLE} WHERE text = :text", {"text": "100 %"})
    assert row["id"] == rows[1]["id"]
    texts = [row["text"] async for row in database.iterate(NOTES.select().order_by(NOTES.c.id))]
    assert texts == ["first", "100 %", "ünï 🎉"]
    assert await database.fetch_val(f"SELECT COUNT(*) FROM {TABLE}") == 3


async def transact(database: Database) -> None:
    """Commit, roll back, and roll back to a savepoint."""
    async with database.transaction():
        await database.execute(NOTES.insert(), {"text": "kept"})
        try:
            async with database.transaction():
                await database.execute(NOTES.insert(), {"text": "savepoint"})
                raise KeyError
        except KeyError:
            pass
    transaction = await database.transaction()
    await database.execute(NOTES.insert(), {"text": "dropped"})
    await transaction.rollback()
    found = await database.fetch_all(f"SELECT text FROM {TABLE} WHERE id > 3")
    assert [row["text"] for row in found] == ["kept"]


async def main() -> None:
    """Run it all."""
    async with Database(url()) as database:
        await database.execute(
            f"CREATE TABLE {TABLE} (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(100)"
            " CHARACTER SET utf8mb4, done BOOL)"
        )
        await query(database)
        await transact(database)
        numbers = await asyncio.gather(
            *(database.fetch_val("SELECT :n + SLEEP(0.01)", {"n": n}) for n in range(20))
        )
        assert numbers == list(range(20))


asyncio.run(main())
print("ok")
