"""Option `time_zone`: from what is given to the zone of a session."""

from __future__ import annotations

import datetime
import re
import sys
from typing import Any

from pymysql.err import MySQLError, OperationalError

from aiomysql_protocol.values.session_zone import SessionZone

_OFFSET = re.compile(r"([+-])([0-9]{1,2}):([0-9]{2})")
_NAME = re.compile(r"[A-Za-z][\w+/-]*", re.ASCII)

#: The offsets that some server takes: MySQL from 8.0.19 these, others from -12:59 to +13:00.
_LEAST = datetime.timedelta(hours=-13, minutes=-59)
_MOST = datetime.timedelta(hours=14)

#: What is another zone on each machine; and what counts seconds in another way than Python does.
_OF_A_MACHINE = frozenset({"system", "localtime", "local", "posixrules", "factory"})
_WITH_LEAP_SECONDS = "right/"

_UNKNOWN_TIME_ZONE = 1298

_UTC = ("utc", "etc/utc")


def find_zone(given: str | datetime.tzinfo) -> SessionZone:
    """The zone that option `time_zone` stands for.

    Raises TypeError or ValueError, which name the option.
    """
    if isinstance(given, str):
        return _named(given, None)
    if isinstance(given, datetime.timezone):
        return _fixed(given)
    # Who has made one has the module.
    zoneinfo: Any = sys.modules.get("zoneinfo")
    if zoneinfo is None or type(given) is not zoneinfo.ZoneInfo:
        raise TypeError(
            "option 'time_zone' must be a name, an offset like '+02:00', a datetime.timezone or a "
            f"zoneinfo.ZoneInfo, not {type(given).__name__}"
        )
    if given.key is None:  # type: ignore[attr-defined]
        raise _wrong("can't be a zoneinfo.ZoneInfo without a key: give it by its name")
    return _named(given.key, given)  # type: ignore[attr-defined]


def add_zone_advice(error: MySQLError, zone: SessionZone | None) -> None:
    """Add to the server's error what to do if it does not know the zone of the option."""
    if zone is None or error.args[:1] != (_UNKNOWN_TIME_ZONE,):
        return
    advice = "this server has no such offset, which MariaDB has from -12:59 to +13:00"
    if not zone.is_fixed:
        advice = (
            "this server knows no zone of that name: have its administrator load the tables of "
            "zones (mysql_tzinfo_to_sql), or give 'UTC'"
        )
    number, message = error.args[:2]
    error.args = (number, f"{message} (option 'time_zone': {advice})")


def zones_differ(zone: SessionZone) -> OperationalError:
    """The error for a server with other rules for the zone than Python."""
    return OperationalError(
        _UNKNOWN_TIME_ZONE,
        f"option 'time_zone': the server and Python have different rules for {zone.name}, so one "
        "of them is out of date: load newer tables there (mysql_tzinfo_to_sql, from files of "
        "zic -b fat), or update tzdata here, or give 'UTC'",
    )


def _named(name: str, zone: datetime.tzinfo | None) -> SessionZone:
    lowered = name.lower()
    if lowered in _UTC:
        # Servers without tables of zones know no names.
        return SessionZone("+00:00", zone or datetime.UTC, datetime.timedelta())
    if zone is None and (match := _OFFSET.fullmatch(name)):
        sign, hours, minutes = match.groups()
        if int(minutes) > 59:
            raise _wrong(f"can't be {name!r}: an hour has 60 minutes")
        offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
        return _fixed(_timezone(-offset if sign == "-" else offset))
    if lowered in _OF_A_MACHINE:
        raise _wrong(
            f"can't be {name!r}, which is another zone on each machine: give its name, like "
            "'Europe/Berlin', or 'UTC'"
        )
    if lowered.startswith(_WITH_LEAP_SECONDS):
        raise _wrong(f"can't be {name!r}, with leap seconds: leave out {_WITH_LEAP_SECONDS!r}")
    if not _NAME.fullmatch(name):
        raise _wrong(
            f"can't be {name!r}: give 'UTC', an offset like '+02:00' or '-05:30', or a name like "
            "'Europe/Berlin'"
        )
    return SessionZone(name, zone or _from_database(name), None)


def _timezone(offset: datetime.timedelta) -> datetime.timezone:
    try:
        return datetime.timezone(offset)
    except ValueError:
        raise _wrong_offset() from None


def _fixed(zone: datetime.timezone) -> SessionZone:
    offset = zone.utcoffset(None)
    if not _LEAST <= offset <= _MOST or offset % datetime.timedelta(minutes=1):
        raise _wrong_offset()
    sign = "-" if offset < datetime.timedelta() else "+"
    hours, minutes = divmod(abs(offset) // datetime.timedelta(minutes=1), 60)
    if not offset:
        zone = datetime.UTC
    return SessionZone(f"{sign}{hours:02}:{minutes:02}", zone, offset)


def _from_database(name: str) -> datetime.tzinfo:
    import zoneinfo  # not for everybody who imports this

    why = "which is no time zone that Python knows"
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        try:
            zoneinfo.ZoneInfo("Etc/UTC")
        except zoneinfo.ZoneInfoNotFoundError:
            why = (
                "because this machine has no database of time zones: install the package tzdata, "
                "or give 'UTC' or an offset like '+02:00'"
            )
    raise _wrong(f"can't be {name!r}, {why}")


def _wrong_offset() -> ValueError:
    return _wrong("must be from -13:59 to +14:00 as an offset, in whole minutes")


def _wrong(why: str) -> ValueError:
    return ValueError(f"option 'time_zone' {why}")
