"""The methods that classic code overrides and tracers patch, and why.

Our shortcuts pass these methods by.  They are taken only where each of them is the one of our own
class.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Of connections: COMMIT and ROLLBACK are sent without them.
CONNECTION_TRANSACTIONS = {
    "query": "subclasses and tracers see, count or change each statement in it",
}

#: Of connections: the fast path writes the values of a statement's arguments without them.
CONNECTION_TEXT = {
    "escape": "subclasses write types of their own as literals",
    "literal": "the same by PyMySQL's other name",
    "escape_args": "subclasses change the arguments of each statement",
    "current_literals": "it decides what the literals are written by",
    "new_query": "it is given each statement before it is sent",
    "encoding": "subclasses have statements encoded by another codec",
}

#: Of cursors: the fast path sends a statement and takes its result without them.
CURSOR_EXECUTION = {
    "mogrify": "subclasses and tracers put values into statements in their own way",
    "_query": "subclasses and tracers see or change each statement, its values included",
    "_take_result": "subclasses look at each result",
    "_forget_result": "subclasses drop what they keep of the last result",
}

#: Of cursors: those that are made without them have nothing but the connection and `echo`.
CURSOR_CREATION = {
    "__init__": "subclasses have attributes and parameters of their own",
    "__new__": "subclasses decide what object is made",
}


def are_inherited(cls: type, base: type, names: Iterable[str]) -> bool:
    """Whether `cls` has these attributes as `base` has them."""
    return cls is base or all(getattr(cls, name) is getattr(base, name) for name in names)
