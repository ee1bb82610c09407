"""The character set of a session, and how it reads strings: statements may change both.

This side writes and reads text by what it knows of the session.  After a statement that may have
changed that, the next one to which it matters asks the server first.

The server's flag for backslashes is read once, after the SET with which a session begins (see
`Connection._set_up_session`).  Statements that are not simple are looked at for SET and EXECUTE
anywhere in them.

So it is with the session's time zone, where option `time_zone` gives one.

An `init_command` may change all of it: the server is asked after that, and the autocommit mode is
set after it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from weakref import ref

from pymysql.err import InternalError, ProgrammingError

from aiomysql_core.engine.runner import CommandRunner
from aiomysql_core.options.options import Options
from aiomysql_core.options.time_zone import find_zone
from aiomysql_core.statements import StatementCache
from aiomysql_protocol.rows.metadata import ColumnCache, Converter
from aiomysql_protocol.sql.character_sets import (
    ZoneChange,
    changes_charset_within,
    find_zone_change,
    ignores_charset,
    may_change_charset,
    sets_names_to,
    sets_zone_to_value,
)
from aiomysql_protocol.values.literals import Literals
from aiomysql_protocol.values.session_zone import DOUBTFUL_ZONE, SessionZone
from aiomysql_protocol.wire.charsets import Charset, find_charset, reported_charset

#: What the session reads literals in, turns them into, and gives text in; and how it reads them.
_ASK = (
    b"SELECT @@character_set_client, @@character_set_connection, @@character_set_results,"
    b" @@sql_mode"
)
_ASK_WITH_ZONE = _ASK + b", @@time_zone"

#: A zone's name or offset: what means the same however the session reads strings.
_PLAIN_ZONE = re.compile(r"[A-Za-z0-9_+\-:/]+")


class _Reader(Protocol):
    """A connection: what says how text is read, which subclasses and programs may change."""

    decoders: dict[Any, Converter]
    use_unicode: bool

    @property
    def encoding(self) -> str: ...

    async def set_up_session(self) -> None: ...


class SessionCharset:
    """What one connection knows of its session's character set, of backslashes in strings, and of
    its time zone.
    """

    __slots__ = (
        "_given_zone",
        "_is_refused",
        "_literals",
        "_options",
        "_reader",
        "_runner",
        "_statements",
        "_told_zone",
        "_zone_in_doubt",
        "charset",
        "encoding",
        "is_set_up",
        "zone",
    )

    def __init__(
        self,
        runner: CommandRunner,
        statements: StatementCache,
        options: Options,
        charset: Charset,
        literals: Literals,
        *,
        reader: ref[_Reader],
    ) -> None:
        """options: those of the connection, changed as the character set is; charset: the one to
        begin with; literals: the connection's, with the zone to begin with; reader: the connection,
        which uses this, so that it always is there then.
        """
        self._runner = runner
        self._statements = statements
        self._options = options
        self._reader = reader
        #: The session's time zone, if the connection was given one.
        self.zone: SessionZone | None = literals.zone
        self._literals = literals
        self._given_zone = literals.zone
        self._zone_in_doubt = False
        self._told_zone = ""  # by the server
        #: Whether nothing is left to be done in the session before statements.
        self.is_set_up: bool = True
        # Whether the server has allowed nothing of that, not even the character set and sql_mode.
        self._is_refused = False
        self.use(charset)

    @property
    def in_doubt(self) -> bool:
        """Whether the session's character set may be another one, or NO_BACKSLASH_ESCAPES may have
        changed.  No statement to which that matters may be sent then, see `refresh`.
        """
        return self._runner.charset_in_doubt

    @property
    def no_backslash_escapes(self) -> bool:
        """Whether backslashes are ordinary characters in the session's strings.

        After a statement that may have changed that, and before the next, by the server's flag.
        """
        runner = self._runner
        if runner.charset_in_doubt and runner.session is not None:
            return runner.session.no_backslash_escapes
        return runner.no_backslash_escapes

    def columns(self) -> ColumnCache:
        """A new cache of result metadata, for text in this character set."""
        reader = self._connection()
        return ColumnCache(
            reader.encoding,
            reader.decoders,
            use_unicode=reader.use_unicode,
            zone=self.zone,
        )

    @property
    def zone_is_known(self) -> bool:
        """Whether the session has the time zone that this side goes by, when it was asked last."""
        return self.zone is None or self._told_zone.lower() == self.zone.name.lower()

    def forget_zone(self) -> None:
        """The session is about to be as good as new, with the zone that was given."""
        if self.zone is not self._given_zone:
            self._use_zone(self._given_zone)
        self._doubt_zone(False)

    def _doubt_zone(self, in_doubt: bool) -> None:
        self._zone_in_doubt = in_doubt
        self._literals.zone = DOUBTFUL_ZONE if in_doubt else self.zone

    def _use_zone(self, zone: SessionZone | None) -> None:
        self.zone = zone
        self._statements.use_zone(zone)

    def _follow_zone(self) -> None:
        """Go by the zone that the server tells: an offset, or the one that was given.

        Raises ProgrammingError for another, of which the server may have other rules.
        """
        given = self._given_zone
        assert given is not None
        zone: SessionZone | None = given
        if self._told_zone.lower() != given.name.lower():
            zone = None
            with contextlib.suppress(ValueError):
                zone = find_zone(self._told_zone)
        if zone is None or not (zone is given or zone.is_fixed):
            raise ProgrammingError(
                f"a statement has changed the session's time zone to {self._told_zone!r}, which "
                f"can't be followed: set it to an offset, or to {given.name!r} again"
            )
        self._use_zone(zone)
        self._runner.stream().session.columns = self.columns()

    def use(self, charset: Charset) -> None:
        """Go by `charset`, of a session that is new or as good as new."""
        #: The character set that text is written and read in.
        self.charset: Charset = charset
        #: Python's codec for it.
        self.encoding: str = charset.encoding

    def change(self, charset: Charset) -> None:
        """The open session has `charset` now."""
        self.use(charset)
        self._options.charset, self._options.collation = charset.name, None
        self._runner.stream().session.columns = self.columns()
        self._statements.forget(self._connection().encoding)
        self._runner.charset_in_doubt = False

    def begin_set_up(self) -> None:
        """The session is about to be set up."""
        self.is_set_up, self._is_refused = True, False
        self.mark_unknown()

    def defer_set_up(self) -> None:
        """That has failed: it is to be done later, with `Connection.set_up_session`.

        Until then nothing is asked of the session, and the character set is that of the handshake.
        """
        self.is_set_up, self._is_refused = False, self.in_doubt
        if self._is_refused:
            # Quotes are doubled then, which is right in every mode.
            self._runner.no_backslash_escapes = True
        self.mark_known()

    def check(self, statement: bytes) -> None:
        """Raise ProgrammingError if it can't be known how the server reads `statement`."""
        if self._is_refused and not (statement.isascii() and b"\\" not in statement):
            raise ProgrammingError(
                "the account's password has expired, and before it is changed this server doesn't "
                "let the session's character set and sql_mode be set: until then a statement may "
                "have only ASCII characters, and no backslash"
            )

    def mark_known(self) -> None:
        """The session has this character set and time zone, which is certain."""
        self._doubt_zone(False)
        self._runner.charset_in_doubt = False

    def mark_unknown(self) -> None:
        """The next statement to which it matters must ask."""
        self._runner.charset_in_doubt = True

    def record_statement(self, statement: bytes, *, has_values: bool = False) -> None:
        """`statement` is run: it may change how literals are read.

        has_values: whether it is a text into which values are written.  Raises ProgrammingError for
        one that changes within itself how they are read.
        """
        if has_values and changes_charset_within(statement, self.charset):
            raise ProgrammingError(
                "the statement changes the character set or sql_mode for values behind it in the "
                "same text: run that SET by itself"
            )
        if self.zone is not None:
            change = find_zone_change(statement, has_values=has_values)
            if change is ZoneChange.WITHIN:
                raise ProgrammingError(
                    "the statement may change the session's time zone within itself, so that "
                    "TIMESTAMPs in the same text can't be read and written: run SET time_zone, "
                    "CALL and EXECUTE by themselves"
                )
            if change is ZoneChange.AFTER:
                self._doubt_zone(True)
                self.mark_unknown()
        # A session that could not be set up may be ready for it once this is run.
        if not self.is_set_up or (
            may_change_charset(statement) and not sets_names_to(statement, self.charset)
        ):
            self.mark_unknown()

    def matters_to(self, query: object, args: object = None) -> bool:
        """Whether how the session reads literals matters to this statement; everything does while
        it is not set up.
        """
        if not self.is_set_up:
            return True
        if args is not None:
            return not _is_zone_change(query, args)
        if not isinstance(query, (str, bytes, bytearray)):
            return True
        text = query.encode("utf-8", "replace") if isinstance(query, str) else bytes(query)
        if self._zone_in_doubt and b"FROM" in text.upper():
            return True  # there may be rows of a table
        return not ignores_charset(text)

    async def refresh(self) -> None:
        """Find out how the session reads literals.

        Where the session has another character set the connection goes over to it, as by
        `set_charset`.  Raises ProgrammingError when it can't.
        """
        await self._runner.discard_results()
        if not self.is_set_up:
            await self._connection().set_up_session()
            return
        found = await self._ask()
        if not self.zone_is_known:
            self._follow_zone()
        self._doubt_zone(False)
        name = _common(found)
        if name == self.charset.server_name:
            self.mark_known()
            return
        if name is not None:
            with contextlib.suppress(ProgrammingError):
                self.change(find_charset(name))
                return
        raise ProgrammingError(
            "a statement has changed the session's character set to one that can't be followed "
            f"({', '.join(map(str, found))} for client, connection and results): "
            "use set_charset() to change it"
        )

    async def is_unchanged(self) -> bool:
        """Ask the server; whether the session still has this character set."""
        return _common(await self._ask()) == self.charset.server_name

    async def _ask(self) -> tuple[str | None, ...]:
        """The names of the session's character sets: of statements, of literals and, if text is
        decoded, of results.  Also finds out about NO_BACKSLASH_ESCAPES.
        """
        zones = self.zone is not None
        rows = await self._runner.fetch_bytes(_ASK_WITH_ZONE if zones else _ASK)
        if len(rows) != 1 or len(rows[0]) != 4 + zones:
            raise InternalError(0, "the server did not tell the session's character sets")
        # Results in UTF-16 or UTF-32 are these names with NULs between.
        told = [
            None if cell is None else cell.replace(b"\0", b"").decode("latin-1") for cell in rows[0]
        ]
        if zones:
            self._told_zone = told.pop() or ""
        *charsets, modes = told
        self._runner.no_backslash_escapes = "NO_BACKSLASH_ESCAPES" in (modes or "").split(",")
        decodes = self._connection().use_unicode
        return tuple(
            None if name is None else reported_charset(name)
            for name in charsets[: 3 if decodes else 2]
        )

    def _connection(self) -> _Reader:
        reader = self._reader()
        assert reader is not None
        return reader


def _is_zone_change(query: object, args: object) -> bool:
    """Whether a statement with these values does nothing but set the session's time zone."""
    if not isinstance(query, str) or not sets_zone_to_value(query):
        return False
    values: Iterable[object] = args if isinstance(args, (tuple, list)) else (args,)
    if isinstance(args, Mapping):
        values = args.values()
    return all(type(value) is str and _PLAIN_ZONE.fullmatch(value) for value in values)


def _common(charsets: tuple[str | None, ...]) -> str | None:
    """The character set that text may be written and read in, of those for statements, literals
    and results; None: there is none.  Literals may become utf8mb4, which has every character.
    """
    client, literals, *results = charsets
    fits = literals in (client, "utf8mb4") and results in ([], [client])
    return client if fits else None
