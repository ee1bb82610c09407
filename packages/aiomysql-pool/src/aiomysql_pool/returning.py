"""How connections come back to a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiomysql_core import Connection, InterfaceError
from aiomysql_pool.closing import Closing
from aiomysql_pool.lifecycle import clean, is_cleanable
from aiomysql_pool.places import Place


class Returning(Closing):
    """Base of Pool: takes connections back."""

    def release(self, conn: Connection) -> Awaitable[None]:
        """Give a borrowed connection back.

        Takes effect at once; what is returned need not be awaited: it waits until a rollback or
        reset of the session, if one is due, is over.  A closed connection leaves the pool, and so
        does one with rows of a streamed result unread, or, without `reset_session`, in a
        transaction.  Other results that nobody has read are read and dropped before; an error of
        the server in them is logged.  Raises InterfaceError for a connection that isn't lent, and
        in a forked process.
        """
        return self._done if self._shelf.take_back(conn) else self._take_back(conn)

    def _take_back(self, conn: Connection) -> Awaitable[None]:
        if self._forked_from:
            self._check_home()
        if self._loop.is_closed():
            conn.close()  # its borrower was left in the middle, and is collected now
            return self._done
        place = self._places.get(id(conn))
        own: Connection | None = conn
        if place is None or place.held is not None or place() is not conn:
            place, own = self._find(conn)
        if own is None:
            self._terminated.pop(place.key, None)
            return self._done
        place.held = own
        place.where = ""
        place.fresh = False
        options = self._options
        runner = place.runner
        if own.stopping and not own.closed:
            # In the background: who was cancelled is not to wait for that.
            self._start_cleaning(own, place)
        elif not is_cleanable(own, options):
            own.close()
            self._dismiss(own, "unusable")
        elif (
            options.reset_session == "full"
            or options.reset is not None
            or runner.outstanding
            or not runner.nothing_to_end()
        ):
            if (reason := self._why_not_kept(place)) is None:
                return self._start_cleaning(own, place)
            self._dismiss(own, reason)
        else:
            self._offer(own, place)
        if self._shelf.waiting or len(self._places) < options.minsize:
            self._open_missing()
        if self._closing:
            self._check_drained()
        return self._done

    def _find(self, conn: Connection) -> tuple[Place, Connection | None]:
        """The place of a lent connection and the pool's own object for it.

        What comes back may be a tracer's proxy that only equals the connection.  None for the
        object: `terminate` closed it.  Raises InterfaceError for a connection that isn't lent.
        """
        for place in self._places.values():
            if place.lent and (own := place()) is not None and conn == own:
                return place, own
        for place in self._terminated.values():
            if conn == place():
                return place, None
        raise InterfaceError(f"{conn!r} is not lent by {self!r}")

    def _start_cleaning(self, connection: Connection, place: Place) -> Awaitable[None]:
        # Not the task: a caller that is cancelled while it waits must not break off the reset.
        over: asyncio.Future[None] = self._loop.create_future()

        def finished(task: asyncio.Task[None]) -> None:
            self._cleaning.discard(task)
            if connection.is_reusable:
                self._offer(connection, place)
            else:
                self._dismiss(connection, "reset")
            self._open_missing()
            if not over.done():
                over.set_result(None)

        self._counters.resets += 1
        self._cleaning.add(self._start(clean(connection, self._options), finished))
        return over
