"""The time zone of a session: aware datetimes to what its clock shows, and back.

The server gives and takes a TIMESTAMP as the session's clock shows it, without an offset.  What a
clock shows twice, when summer time ends, can't be told apart there, so it is refused either way.

The rules are in the server's tables and in Python's, and one of them may be old: `comparison` asks
for some moments.  The servers' tables of zones end with the year 2037, and what holds then holds
for them from then on; Python goes on with the rules.  Where the two differ it is refused as well.

MySQL: "MySQL Server Time Zone Support".
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any

from pymysql.err import DataError, ProgrammingError

__all__ = ["DOUBTFUL_ZONE", "SessionZone"]

#: The last year in the servers' tables, and a moment behind its changes.
_LAST_YEAR = 2037
_LAST_DAY = datetime.datetime(_LAST_YEAR, 12, 31, 12)

_SECOND = datetime.timedelta(seconds=1)
_WEEK = datetime.timedelta(days=7)

#: Of one year, in a comparison: no zone comes near it.
_MAX_MOMENTS = 26

_ADVICE = 'connect with time_zone="UTC"'


class SessionZone:
    """One zone, as the server is told it and as Python has it."""

    __slots__ = ("_last_offset", "_offset", "as_is", "name", "tzinfo")

    def __init__(self, name: str, tzinfo: datetime.tzinfo, offset: datetime.timedelta | None):
        """name: what `SET time_zone` takes; offset: from UTC, of a zone that has always the same;
        None: it has rules.
        """
        self.name: str = name
        #: What the datetimes that are read have.
        self.tzinfo: datetime.tzinfo = tzinfo
        self._offset = offset
        self._last_offset: datetime.timedelta | None = None
        #: The `tzinfo` of values that are written as they stand; of a zone with rules no value has
        #: it, because each must be looked at.
        self.as_is: object = self if offset is None else tzinfo

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def is_fixed(self) -> bool:
        """Whether its offset from UTC never changes."""
        return self._offset is not None

    def comparison(self, year: int) -> str:
        """A statement that gives a row if the server's clock shows the same as Python's, this year,
        which `year` is, in the years around it, and in the last year of the servers' tables.

        It asks for both sides of each of Python's changes in these years and for a moment between
        two, and for noon of 1 January and 1 July.
        """
        conditions = []
        for at in sorted({*range(max(year - 1, 1971), min(year + 2, _LAST_YEAR)), _LAST_YEAR}):
            for moment in _moments(self.tzinfo, at):
                wall = moment.astimezone(self.tzinfo).replace(tzinfo=None)
                utc = moment.replace(tzinfo=None)
                conditions.append(f"CONVERT_TZ('{utc}', '+00:00', '{self.name}') = '{wall}'")
        return f"SELECT 1 FROM DUAL WHERE {' AND '.join(conditions)}"

    def wall_time(self, value: datetime.datetime) -> datetime.datetime:
        """What the session's clock shows at an aware `value`; a naive one is returned as it is.

        Raises DataError where that is not one moment, or no datetime can hold it.
        """
        if value.tzinfo is None or value.tzinfo is self.as_is:
            return value
        offset = value.utcoffset()
        if offset is None:
            return value
        moment = value
        try:
            if type(value) is not datetime.datetime:
                # A plain one, whatever a subclass makes of sums.
                naive = datetime.datetime(
                    *(value.year, value.month, value.day),
                    *(value.hour, value.minute, value.second, value.microsecond),
                )
                moment = (naive - offset).replace(tzinfo=datetime.UTC)
            local = moment.astimezone(self.tzinfo)
        except OverflowError:
            raise DataError(f"{value!s} is out of range in time zone {self.name}") from None
        if self._offset is not None:
            return local
        wall = local.replace(tzinfo=None, fold=0)
        try:
            self.localize(wall)
        except ValueError as error:
            raise DataError(f"{value!s} can't be written: {error}") from None
        return wall

    def localize(self, value: Any) -> Any:
        """A naive `value` as an aware datetime of this zone; what is no datetime, as it is.

        Raises ValueError where that is not one moment.
        """
        if type(value) is not datetime.datetime:
            return value  # a date that is none, which comes as text
        zone = self.tzinfo
        local = value.replace(tzinfo=zone)
        if self._offset is not None:
            return local
        offset = zone.utcoffset(local)
        if offset != zone.utcoffset(local.replace(fold=1)):
            raise ValueError(
                f"{value} is no certain moment in time zone {self.name}, where clocks are changed "
                f"then: {_ADVICE}"
            )
        if value.year > _LAST_YEAR and offset != self._offset_at_the_end():
            raise ValueError(
                f"{value} is behind the end of the servers' tables for time zone {self.name}: "
                f"{_ADVICE}"
            )
        return local

    def _offset_at_the_end(self) -> datetime.timedelta | None:
        if self._last_offset is None:
            self._last_offset = self.tzinfo.utcoffset(_LAST_DAY)
        return self._last_offset


@lru_cache(maxsize=64)  # for those who connect often
def _moments(zone: datetime.tzinfo, year: int) -> tuple[datetime.datetime, ...]:
    """Those of a year that `SessionZone.comparison` asks for."""
    first = datetime.datetime(year, 1, 1, 12, tzinfo=datetime.UTC)
    last = datetime.datetime(year, 12, 31, 12, tzinfo=datetime.UTC)
    moments = [first, datetime.datetime(year, 7, 1, 12, tzinfo=datetime.UTC)]
    start = changed = first
    while start < last and len(moments) < _MAX_MOMENTS:
        before, after = start, min(start + _WEEK, last)
        start = after
        offset = before.astimezone(zone).utcoffset()
        if after.astimezone(zone).utcoffset() == offset:
            continue
        while after - before > _SECOND:
            middle = before + (after - before) // _SECOND // 2 * _SECOND
            if middle.astimezone(zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        between = changed + (before - changed) // _SECOND // 2 * _SECOND
        moments += [between, before, after]
        changed = after
    return tuple(moments)


class _DoubtfulZone(SessionZone):
    """One that is not known: naive values are written as they stand, aware ones can't be."""

    __slots__ = ()

    def wall_time(self, value: datetime.datetime) -> datetime.datetime:
        """A naive `value`, as it is; raises ProgrammingError for an aware one."""
        if value.tzinfo is None or value.utcoffset() is None:
            return value
        raise ProgrammingError(
            f"{value!s} can't be written: a statement may have changed the session's time zone, "
            "which is not known before another was run: give the value to execute() as an argument"
        )


#: What literals are written by while the session's zone is not known.
DOUBTFUL_ZONE: SessionZone = _DoubtfulZone("?", datetime.UTC, None)
