"""Tortoise-ORM on this driver; arguments: the name of a table."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import sys
from decimal import Decimal

from tortoise import Tortoise, fields  # type: ignore[import-not-found]
from tortoise.backends.mysql import client  # type: ignore[import-not-found]
from tortoise.exceptions import IntegrityError  # type: ignore[import-not-found]
from tortoise.models import Model  # type: ignore[import-not-found]
from tortoise.transactions import in_transaction  # type: ignore[import-not-found]

import aiomysql

WHEN = datetime.datetime(2024, 2, 29, 12, 30, 45, 123456)


class Note(Model):  # type: ignore[misc]
    """A row with a few types."""

    id = fields.IntField(primary_key=True)
    text = fields.CharField(100, unique=True)
    amount = fields.DecimalField(10, 2, null=True)
    tags = fields.JSONField(default=list)
    when = fields.DatetimeField(null=True)

    class Meta:
        """Where it is kept."""

        table = sys.argv[1]


async def query() -> None:
    """Create, change, select and delete."""
    note = await Note.create(text="ünï 🎉", amount=Decimal("1.50"), tags=["ä"], when=WHEN)
    found = await Note.get(text="ünï 🎉")
    assert (found.id, found.amount, found.tags) == (note.id, Decimal("1.50"), ["ä"])
    assert found.when.replace(tzinfo=None) == WHEN
    await Note.bulk_create([Note(text=f"{n} %") for n in range(10)])
    assert await Note.filter(text__endswith=" %").count() == 10
    assert await Note.filter(text="3 %").update(text="three") == 1
    assert await Note.filter(text__in=["three", "4 %"]).delete() == 2
    try:
        await Note.create(text="5 %")
    except IntegrityError:
        pass
    else:
        raise AssertionError("the unique key was not seen")


async def transact() -> None:
    """Commit, roll back, and a savepoint, which Tortoise sends as a command by hand."""
    try:
        async with in_transaction():
            await Note.create(text="dropped")
            raise KeyError
    except KeyError:
        pass
    async with in_transaction():
        await Note.create(text="kept")
        try:
            async with in_transaction():
                await Note.create(text="inner")
                raise KeyError
        except KeyError:
            pass
        async with in_transaction():
            await Note.create(text="inner kept")
    names = ["dropped", "kept", "inner", "inner kept"]
    found = await Note.filter(text__in=names).order_by("id").values_list("text", flat=True)
    assert found == ["kept", "inner kept"]


async def main() -> None:
    """Run it all."""
    assert client.mysql is aiomysql
    given = json.loads(os.environ["CONNECT"])
    credentials = {
        "host": given["host"],
        "port": given["port"],
        "user": given["user"],
        "password": given["password"],
        "database": given["db"],
        "minsize": 1,
        "maxsize": 3,
    }
    backend = {"engine": "tortoise.backends.mysql", "credentials": credentials}
    await Tortoise.init(
        config={
            "connections": {"default": backend},
            "apps": {"models": {"models": ["__main__"], "default_connection": "default"}},
        }
    )
    try:
        await Tortoise.generate_schemas()
        await query()
        await transact()
        counts = await asyncio.gather(*(Note.all().count() for _ in range(20)))
        assert len(set(counts)) == 1
        connection = Tortoise.get_connection("default")
        await connection._expire_connections()
        assert await Note.all().count() == counts[0]
    finally:
        await Tortoise.close_connections()


asyncio.run(main())
print("ok")
