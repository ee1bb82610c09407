"""peewee-async on this driver; arguments: the name of a table."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import peewee  # type: ignore[import-untyped]
import peewee_async  # type: ignore[import-not-found]

GIVEN = json.loads(os.environ["CONNECT"])
DATABASE = peewee_async.MySQLDatabase(
    GIVEN["db"],
    host=GIVEN["host"],
    port=GIVEN["port"],
    user=GIVEN["user"],
    password=GIVEN["password"],
    pool_params={"minsize": 1, "maxsize": 3, "pool_recycle": 10},
)


class Note(peewee_async.AioModel):  # type: ignore[misc]
    """A row."""

    text = peewee.CharField(unique=True)
    done = peewee.BooleanField(null=True)

    class Meta:
        """Where it is kept."""

        database = DATABASE
        table_name = sys.argv[1]


async def query() -> None:
    """Create, change, select and delete."""
    note = await Note.aio_create(text="ünï 🎉", done=True)
    found = await Note.aio_get(Note.text == "ünï 🎉")
    assert (found.id, found.done) == (note.id, True)
    await Note.insert_many([{"text": f"{n} %"} for n in range(10)]).aio_execute()
    assert await Note.select().where(Note.text.endswith(" %")).aio_count() == 10
    assert await Note.update(text="three").where(Note.text == "3 %").aio_execute() == 1
    assert await Note.delete().where(Note.text == "4 %").aio_execute() == 1
    try:
        await Note.aio_create(text="5 %")
    except peewee.IntegrityError:
        pass
    else:
        raise AssertionError("the unique key was not seen")


async def transact() -> None:
    """Commit, roll back, and roll back to a savepoint."""
    try:
        async with DATABASE.aio_atomic():
            await Note.aio_create(text="dropped")
            raise KeyError
    except KeyError:
        pass
    async with DATABASE.aio_atomic():
        await Note.aio_create(text="kept")
        try:
            async with DATABASE.aio_atomic():
                await Note.aio_create(text="inner")
                raise KeyError
        except KeyError:
            pass
    rows = await Note.select().where(Note.text.in_(["dropped", "kept", "inner"])).aio_execute()
    assert [row.text for row in rows] == ["kept"]


async def main() -> None:
    """Run it all."""
    await DATABASE.aio_connect()
    assert DATABASE.is_connected
    try:
        await Note.aio_create_table()
        await query()
        await transact()
        counts = await asyncio.gather(*(Note.select().aio_count() for _ in range(20)))
        assert len(set(counts)) == 1
        assert not DATABASE.pool_backend.has_acquired_connections()
    finally:
        await DATABASE.aio_close()
    assert not DATABASE.is_connected


asyncio.run(main())
print("ok")
