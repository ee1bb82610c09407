"""How connections come back to a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiomysql_core import Connection, InterfaceError
from aiomysql_pool.holder import ConnectionHolder
from aiomysql_pool.lifecycle import clean, is_cleanable
from aiomysql_pool.shutdown import Closing


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
        return self._done if self._leases.try_release(conn) else self._take_back(conn)

    def _take_back(self, conn: Connection) -> Awaitable[None]:
        if self._forked_from:
            self._check_home()
        if self._loop.is_closed():
            conn.close()  # its borrower was left in the middle, and is collected now
            return self._done
        holder = self._holders.get(id(conn))
        own: Connection | None = conn
        if holder is None or holder.connection is not None or holder.find() is not conn:
            holder, own = self._find(conn)
        if own is None:
            self._terminated.pop(holder.key, None)
            return self._done
        holder.connection = own
        holder.acquired_where = ""
        holder.never_acquired = False
        options = self._options
        runner = holder.runner
        if own.stopping and not own.closed:
            # In the background: who was cancelled is not to wait for that.
            self._start_cleaning(own, holder)
        elif not is_cleanable(own, options):
            own.close()
            self._remove(own, "unusable")
        elif (
            options.reset_session == "full"
            or options.reset is not None
            or runner.outstanding
            or not runner.nothing_to_end()
        ):
            if (reason := self._why_not_kept(holder)) is None:
                return self._start_cleaning(own, holder)
            self._remove(own, reason)
        else:
            self._hand_out(own, holder)
        if self._leases.waiting or len(self._holders) < options.minsize:
            self._open_missing()
        if self._closing:
            self._check_drained()
        return self._done

    def _find(self, conn: Connection) -> tuple[ConnectionHolder, Connection | None]:
        """The holder of a lent connection and the pool's own object for it.

        What comes back may be a tracer's proxy that only equals the connection.  None for the
        object: `terminate` closed it.  Raises InterfaceError for a connection that isn't lent.
        """
        for holder in self._holders.values():
            if holder.is_acquired and (own := holder.find()) is not None and conn == own:
                return holder, own
        for holder in self._terminated.values():
            if conn == holder.find():
                return holder, None
        raise InterfaceError(f"{conn!r} is not lent by {self!r}")

    def _start_cleaning(self, connection: Connection, holder: ConnectionHolder) -> Awaitable[None]:
        # Not the task: a caller that is cancelled while it waits must not break off the reset.
        over: asyncio.Future[None] = self._loop.create_future()

        def finished(task: asyncio.Task[None]) -> None:
            self._cleaning.discard(task)
            if connection.is_reusable:
                self._hand_out(connection, holder)
            else:
                self._remove(connection, "reset")
            self._open_missing()
            if not over.done():
                over.set_result(None)

        self._counters.resets += 1
        self._cleaning.add(self._start(clean(connection, self._options), finished))
        return over
