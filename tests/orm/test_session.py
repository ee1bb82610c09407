"""AsyncSession: objects, relationships, streams, savepoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "orm_author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    about: Mapped[dict[str, int] | None] = mapped_column(sa.JSON)
    books: Mapped[list[Book]] = relationship(
        back_populates="author", cascade="all, delete-orphan", order_by="Book.id"
    )


class Book(Base):
    __tablename__ = "orm_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(50))
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("orm_author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@pytest.fixture
async def sessions(engine: AsyncEngine) -> AsyncIterator[Sessions]:
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.drop_all)
        await conn.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with sessions.begin() as session:
        session.add(Author(name="Ann", books=[Book(title="A1"), Book(title="A2")]))
        session.add(Author(name="Bea ü 100 %", about={"a": 1}, books=[Book(title="B1")]))
    yield sessions
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.drop_all)


async def titles(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(sa.select(Book.title).order_by(Book.id)))


async def test_create_read_update_delete(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        author = Author(name="Cid", books=[Book(title=f"C{n}") for n in range(3)])
        session.add(author)
        await session.flush()
        assert author.id == 3
        assert [book.id for book in author.books] == [4, 5, 6]
    async with sessions.begin() as session:
        found = await session.scalar(sa.select(Author).where(Author.name == "Bea ü 100 %"))
        assert found is not None
        assert found.about == {"a": 1}
        found.about = {"b": 2}
        found.name = "Bo"
        cid = await session.get_one(Author, 3)
        await session.delete(cid)
    async with sessions() as session:
        rows = await session.execute(sa.select(Author.name, Author.about).order_by(Author.id))
        assert [tuple(row) for row in rows] == [("Ann", None), ("Bo", {"b": 2})]
    assert await titles(sessions) == ["A1", "A2", "B1"]


async def test_bulk_statements(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(
            sa.insert(Book), [{"title": f"n{n}", "author_id": 1} for n in range(200)]
        )
        changed = await session.execute(
            sa.update(Book).where(Book.title.like("n1%")).values(title="one")
        )
        assert changed.rowcount == 111  # type: ignore[attr-defined]
        await session.execute(sa.delete(Book).where(Book.title.like("n%")))
    assert len(await titles(sessions)) == 3 + 111


async def test_loading_of_relationships(sessions: Sessions) -> None:
    by_name = sa.select(Author).order_by(Author.name)
    for option in (selectinload(Author.books), joinedload(Author.books)):
        async with sessions() as session:
            authors = (await session.scalars(by_name.options(option))).unique().all()
            assert [[book.title for book in a.books] for a in authors] == [["A1", "A2"], ["B1"]]
    async with sessions() as session:
        author = await session.get_one(Author, 1)
        with pytest.raises(StatementError, match="greenlet_spawn has not been called"):
            author.books  # noqa: B018
        await session.refresh(author, ["books"])
        assert [book.title for book in author.books] == ["A1", "A2"]
        run = await session.run_sync(lambda _: author.books[0].author.name)
        assert run == "Ann"


async def test_streams(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(
            sa.insert(Book), [{"title": "x" * 50, "author_id": 1} for _ in range(3000)]
        )
    every = sa.select(Book).order_by(Book.id)
    async with sessions() as session:
        ids = [book.id async for book in await session.stream_scalars(every)]
        assert ids == sorted(set(ids))
        assert len(ids) == 3003
        result = await session.stream(sa.select(Book.id, Book.title).order_by(Book.id))
        sizes = [len(part) async for part in result.partitions(1000)]
        assert sizes == [1000, 1000, 1000, 3]
        async with session.bind.connect() as conn:  # type: ignore[union-attr]
            async with conn.stream(every) as rows:
                assert (await rows.fetchmany(2))[1].title == "A2"
            # What was left of the stream does not come in the way of the next statement.
            assert await conn.scalar(sa.select(sa.func.count()).select_from(Book)) == 3003


async def test_rollback(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(Book(title="lost", author_id=1))
        await session.flush()
        await session.rollback()
        session.add(Author(name="Ann"))
        with pytest.raises(IntegrityError, match="Duplicate entry"):
            await session.commit()
        await session.rollback()
        assert await session.scalar(sa.select(sa.func.count(Author.id))) == 2
    assert await titles(sessions) == ["A1", "A2", "B1"]


async def test_savepoints(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Book(title="kept", author_id=1))
        for name in ("Ann", "Dot"):
            try:
                async with session.begin_nested():
                    session.add(Author(name=name, books=[Book(title=f"of {name}")]))
            except IntegrityError:
                assert name == "Ann"
        savepoint = await session.begin_nested()
        session.add(Book(title="lost", author_id=1))
        await savepoint.rollback()
    assert await titles(sessions) == ["A1", "A2", "B1", "kept", "of Dot"]


async def test_sessions_side_by_side(sessions: Sessions) -> None:
    async def add(number: int) -> None:
        async with sessions.begin() as session:
            author = await session.get_one(Author, 1 + number % 2)
            session.add(Book(title=f"s{number:02}", author=author))

    await asyncio.gather(*(add(number) for number in range(20)))
    assert sorted(await titles(sessions))[3:] == [f"s{number:02}" for number in range(20)]
