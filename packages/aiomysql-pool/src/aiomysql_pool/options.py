"""The options of a pool, taken out of the keywords of `create_pool` and checked."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from aiomysql_core import Connection
from aiomysql_core.options.keywords import (
    KEYWORDS,
    Keyword,
    check_value,
    parse_boolean,
    parse_integer,
    parse_number,
)

#: The options of a pool that a data source name may have.  Those without types are checked here.
POOL_KEYWORDS: Mapping[str, Keyword] = {
    "minsize": Keyword(parse=parse_integer),
    "maxsize": Keyword(parse=parse_integer),
    "echo": KEYWORDS["echo"],
    "pool_recycle": Keyword(parse=parse_number),
    "timeout": Keyword(parse=parse_number),
    "max_waiting": Keyword(parse=parse_integer),
    "max_lifetime": Keyword(parse=parse_number),
    "max_idle": Keyword(parse=parse_number),
    "ping_after": Keyword(parse=parse_number),
    "report_lent_after": Keyword(parse=parse_number),
    "report_wait_after": Keyword(parse=parse_number),
    "reset_session": Keyword(parse=str),
    "debug": Keyword((bool, int), parse_boolean, None),
}

#: What a pool calls with a connection; may be a coroutine function.
Callback = Callable[[Connection[Any]], Awaitable[object] | object]


def _wrong_type(name: str, wanted: str, value: object) -> TypeError:
    """Which does not show the value: what was given in the wrong place may be a secret."""
    return TypeError(f"{name} should be {wanted}, not {type(value).__name__}")


def check_count(name: str, value: object) -> None:
    """Raise TypeError or ValueError, naming the option, unless `value` is a number of things."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(name, "an int", value)
    if value < 0:
        raise ValueError(f"{name} should be zero or greater, not {value!r}")


def check_sizes(minsize: int, maxsize: int) -> None:
    """Raise TypeError or ValueError, naming the option, for sizes that can't be."""
    check_count("minsize", minsize)
    check_count("maxsize", maxsize)
    if 0 < maxsize < minsize:
        raise ValueError(f"maxsize should be not less than minsize {minsize!r}, not {maxsize!r}")


def check_seconds(name: str, value: object, *, zero: bool = False) -> None:
    """Raise TypeError or ValueError unless `value` is a time in seconds.

    zero: may it be 0?
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong_type(name, "a number of seconds", value)
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large a number") from None
    if math.isnan(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} should be {'at least' if zero else 'above'} 0 s, not {value!r}")


@dataclass(slots=True, kw_only=True)
class PoolOptions:
    """All options of `create_pool` but those of its connections; see there."""

    minsize: int
    maxsize: int
    echo: bool
    pool_recycle: float
    timeout: float | None = None
    max_waiting: int = 0
    max_lifetime: float | None = None
    max_idle: float | None = None
    ping_after: float | None = None
    report_lent_after: float | None = None
    report_wait_after: float | None = 10.0
    reset_session: Literal["rollback", "full"] | None = None
    configure: Callback | None = None
    check: Callback | None = None
    reset: Callback | None = None
    debug: bool | None = None

    def __post_init__(self) -> None:
        for name in ("echo", "debug"):
            setattr(self, name, check_value(name, getattr(self, name), POOL_KEYWORDS[name]))
        check_sizes(self.minsize, self.maxsize)
        check_count("max_waiting", self.max_waiting)
        if self.pool_recycle != -1:
            check_seconds("pool_recycle", self.pool_recycle, zero=True)
        for name in ("timeout", "ping_after"):
            if (value := getattr(self, name)) is not None:
                check_seconds(name, value, zero=True)
        for name in ("max_lifetime", "max_idle", "report_lent_after", "report_wait_after"):
            if (value := getattr(self, name)) is not None:
                check_seconds(name, value)
        if self.reset_session not in (None, "rollback", "full"):
            raise ValueError("reset_session should be None, 'rollback' or 'full'")
        for name in ("configure", "check", "reset"):
            callback = getattr(self, name)
            if callback is not None and not callable(callback):
                raise _wrong_type(name, "a function", callback)

    @classmethod
    def split(cls, keywords: dict[str, Any]) -> tuple[Self, dict[str, Any]]:
        """The options of the pool and those of its connections.

        Raises TypeError or ValueError naming the option of the pool that can't be.
        """
        names = {field.name for field in fields(cls)}
        own = {name: value for name, value in keywords.items() if name in names}
        return cls(**own), {name: value for name, value in keywords.items() if name not in names}

    @property
    def needs_only_waiting(self) -> bool:
        """Whether a caller has nothing to do but to wait, once all connections are there."""
        return self.maxsize > 0 and self.timeout is None and not self.max_waiting
