"""Where a cursor's statement comes from, told to a `Connection.query` that is another's.

Its only argument is the text, and it may call ours in a task of its own: so the rest goes beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiomysql_core.bulk.infile import LocalFiles

#: See `CursorState._origin`.
Origin = tuple["LocalFiles | None", str | None]

#: A statement's text, and its origin.
_current: ContextVar[tuple[object, Origin] | None] = ContextVar("aiomysql_origin", default=None)


@contextmanager
def origin_told(statement: object, origin: Origin | None) -> Iterator[None]:
    """Within the block `origin` is told to whoever runs `statement`."""
    token = _current.set(None if origin is None else (statement, origin))
    try:
        yield
    finally:
        _current.reset(token)


def origin_of(statement: object) -> Origin:
    """The origin that was told; nothing if there was none.

    Of a text that was changed meanwhile it is not known what it was before values came into it, but
    still that it may load no other files.
    """
    told = _current.get()
    if told is None:
        return None, None
    text, (files, source) = told
    return files, (source if text == statement else None)
