"""The methods that classic code overrides and tracers patch, and why.

They may be replaced on a subclass, on our own class or on one object, at any time.  A statement
calls each of them where it is not our own function: the Python implementation by calling it as
always, C code by what `cursor_hooks` and `connection_hooks` say of the class.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntFlag


class CursorHook(IntFlag):
    """What is to be known of a cursor's class."""

    #: `mogrify` is another's.
    MOGRIFY = 1
    #: `_query` is another's.
    QUERY = 2
    #: `_take_result` is another's.
    TAKE_RESULT = 4
    #: `_forget_result` or `_clear_result` is another's.
    FORGET_RESULT = 8
    #: `__init__` or `__new__` is another's.
    CREATION = 16
    #: Rows are left in the server's stream until they are fetched.
    UNBUFFERED = 32
    #: `_conv_row` is to be called for each row.
    CONVERTS_ROWS = 64
    #: Rows are dicts, as the decoder makes them.
    DICT_ROWS = 128


#: Of cursors.
CURSOR_HOOKS = {
    # subclasses and tracers put values into statements in their own way
    "mogrify": CursorHook.MOGRIFY,
    # subclasses and tracers see or change each statement that goes as text, its values included
    "_query": CursorHook.QUERY,
    # subclasses look at each result
    "_take_result": CursorHook.TAKE_RESULT,
    # subclasses drop what they keep of the last result
    "_forget_result": CursorHook.FORGET_RESULT,
    "_clear_result": CursorHook.FORGET_RESULT,
    # subclasses have attributes and parameters of their own
    "__init__": CursorHook.CREATION,
    # subclasses decide what object is made
    "__new__": CursorHook.CREATION,
}

#: Of cursors: what decides how rows are made.
ROW_HOOKS = frozenset({"dict_type", "_conv_row", "_conv_rows", "_learn_columns"})

#: Of cursors: subclasses make their rows by it.
ROW_MAKER = "_conv_row"

#: Of cursors, for rows that are not sent one by one: what `execute` is, or calls, for each.
STATEMENT_HOOKS = (
    "execute",  # subclasses and tracers see, count or change each statement
    "mogrify",
    "_query",
    "_take_result",
    "_forget_result",
    "_clear_result",
    "_show_warnings",  # subclasses do something else with the server's warnings
)

#: Of connections, for values that become literals.
LITERAL_HOOKS = (
    "escape",  # subclasses write types of their own
    "literal",  # the same by PyMySQL's other name
    "escape_args",  # subclasses change the arguments of each statement
    "current_literals",  # it decides what the literals are written by
    "no_backslash_escapes",  # subclasses know better how the session reads strings
)

#: Of connections, by which a cursor runs what goes as text if it is not ours.
QUERY_HOOKS = ("query",)  # tracers see each statement in it

#: Of connections, for statements that go as text.
TEXT_HOOKS = (
    "new_query",  # it is given each statement before it is sent
    "encoding",  # subclasses have statements encoded by another codec
)

#: All names that others may set on one cursor, or on one connection.
CURSOR_ATTRIBUTES = (*CURSOR_HOOKS, *ROW_HOOKS)
CONNECTION_ATTRIBUTES = (*LITERAL_HOOKS, *TEXT_HOOKS, *QUERY_HOOKS)

#: Flags of `connection_hooks`.
LITERALS_REPLACED = 1
TEXT_REPLACED = 2
QUERY_REPLACED = 4

_own: dict[str, list[object]] = {}

#: What our own classes of cursors have by the name ROW_MAKER.
OWN_ROW_MAKERS: list[object] = _own.setdefault(ROW_MAKER, [])


def own_functions(cls: type, names: Iterable[str]) -> None:
    """Remember what `cls` has by these names as our own."""
    for name in names:
        _own.setdefault(name, []).append(getattr(cls, name, None))


def is_own(cls: type, name: str) -> bool:
    """Whether `cls` has by this name what one of our own classes had in the beginning."""
    return _is_one_of(_own[name], getattr(cls, name, None))


def _is_one_of(own: list[object], found: object) -> bool:
    # The same object: tracers' proxies of our functions are equal to them.
    return any(found is one for one in own)


def cursor_hooks(cls: type) -> int:
    """CursorHook's flags for a class of cursors, as it is now."""
    flags = 0
    for name, flag in CURSOR_HOOKS.items():
        if not is_own(cls, name):
            flags |= flag
    if cls._unbuffered:  # type: ignore[attr-defined]
        flags |= CursorHook.UNBUFFERED
    if makes_rows(cls):
        flags |= CursorHook.DICT_ROWS if has_dict_rows(cls) else CursorHook.CONVERTS_ROWS
    return flags


def cursor_hooks_of(cursor: object) -> int:
    """The same for one cursor, on which such a name was set."""
    flags = cursor_hooks(type(cursor)) | int(cursor._row_flags)  # type: ignore[attr-defined]
    own = vars(cursor)
    for name, flag in CURSOR_HOOKS.items():
        if name in own:
            flags |= flag
    if flags & CursorHook.DICT_ROWS and not ROW_HOOKS.isdisjoint(own):
        flags ^= CursorHook.DICT_ROWS | CursorHook.CONVERTS_ROWS
    if ROW_MAKER in own:
        flags |= CursorHook.CONVERTS_ROWS
    return flags


def makes_rows(cls: type) -> bool:
    """Whether a class of cursors makes rows of its own kind."""
    if cls._converts_rows:  # type: ignore[attr-defined]
        return True
    maker = getattr(cls, ROW_MAKER, None)
    for one in OWN_ROW_MAKERS:  # `is_own`, written out
        if maker is one:
            return False
    return maker is not None


def has_dict_rows(cls: type) -> bool:
    """Whether the rows of such cursors are dicts, made by nothing but the columns' names."""
    # Not if there is a `_conv_row` beside the one of dicts and that of Cursor.
    makers = [vars(base)["_conv_row"] for base in cls.__mro__ if "_conv_row" in vars(base)]
    return (
        getattr(cls, "dict_type", None) is dict
        and all(_is_one_of(_own["_conv_row"], maker) for maker in makers)
        and all(is_own(cls, name) for name in ("_conv_rows", "_learn_columns"))
    )


def are_own(instance: object, names: tuple[str, ...]) -> bool:
    """Whether `instance` has by these names what our own class had in the beginning."""
    # In loops of its own: it is asked for each statement.
    cls, attributes = type(instance), instance.__dict__
    for name in names:
        if name in attributes:
            return False
        found = getattr(cls, name, None)
        for one in _own[name]:
            if found is one:
                break
        else:
            return False
    return True


def connection_hooks(cls: type) -> int:
    """Which of our own functions a class of connections does not have, as it is now."""
    flags = 0
    if not all(is_own(cls, name) for name in LITERAL_HOOKS):
        flags |= LITERALS_REPLACED
    if not all(is_own(cls, name) for name in TEXT_HOOKS):
        flags |= TEXT_REPLACED
    if not all(is_own(cls, name) for name in QUERY_HOOKS if hasattr(cls, name)):
        flags |= QUERY_REPLACED
    return flags


def connection_hooks_of(connection: object) -> int:
    """The same for one connection, on which such a name was set."""
    flags = connection_hooks(type(connection))
    own = vars(connection)
    if any(name in own for name in LITERAL_HOOKS):
        flags |= LITERALS_REPLACED
    if any(name in own for name in TEXT_HOOKS):
        flags |= TEXT_REPLACED
    if any(name in own for name in QUERY_HOOKS):
        flags |= QUERY_REPLACED
    return flags
