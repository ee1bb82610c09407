"""Stopping a statement that nobody waits for any more, without giving up its connection.

A connection beside it sends KILL QUERY, while the statement's response is read to its end.  A KILL
that the server has not acknowledged yet could hit the next statement.  So the connection is free
only when both the acknowledgement and the response are there, and a statement that does nothing has
met the KILL that a server may still have noted.

Why a statement that does nothing: MySQL and MariaDB clear the mark of a KILL when a statement
begins or ends, as far as experiments show, but nothing promises that they do.

A time-out of a statement is the cancellation of what runs it, and leaves the connection as any
other does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from pymysql.constants import CR, ER
from pymysql.err import MySQLError, OperationalError

from aiomysql_core.log import logger
from aiomysql_core.options.options import Options
from aiomysql_core.pending_error import PendingError
from aiomysql_core.transport.connect import Address, open_stream
from aiomysql_core.transport.stream import Stream
from aiomysql_protocol.commands.exchange import Quit
from aiomysql_protocol.commands.query import Query, Result
from aiomysql_protocol.login.change_user import ChangeUser
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.session import Session

#: Seconds in which a response may come by itself, as most do, before there is a KILL.
_GRACE = 0.01

#: Seconds to the second KILL, and the most between two: the server may not have begun with the
#: statement when the first came, or have gone on to the next of several.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.2

#: Runs nothing and changes nothing.
_NOTHING = b"DO 0"
_MOST_TRIES = 3

#: What tells a server from the others that an address may lead to.
_WHICH_SERVER = b"SELECT CONCAT_WS(' ', @@hostname, @@port, @@server_id)"

_CANCELLED = "Cancelled during execution"


class KillClient:
    """Opens connections to the server of another one.

    Behind a load balancer another server may answer, on which the number of the session is somebody
    else's: the servers are compared before anything is killed.
    """

    def __init__(self, options: Options) -> None:
        """options: of the other connection, those that it has when a connection is opened."""
        self._options = options
        self._server: object = None

    @property
    def timeout(self) -> float:
        """Seconds that stopping a statement may take."""
        return self._options.kill_timeout

    async def record_server(self, stream: Stream) -> None:
        """Note which server the other connection goes to, by `stream`.

        Raises what the server says, or OperationalError when it is lost.  After anything else, such
        as a cancellation, the stream is closed.
        """
        session = stream.session
        columns, session.columns = session.columns, _plain()
        self._server = None
        try:
            self._server = await _server(stream)
        except MySQLError:
            raise
        except BaseException:
            stream.abort()
            raise
        finally:
            session.columns = columns

    async def open(self, beside: Stream) -> Stream:
        """A stream to the very server that `beside` goes to, logged in.

        Raises what `open_stream` raises, OperationalError when it is another server.
        """
        options = replace(self._options, db=None)
        login = options.login(options.find_charset(), await options.ask_password())
        stream, _ = await open_stream(
            options, login, lambda: Session(_plain()), beside.loop, _peer(beside)
        )
        try:
            if await _server(stream) != self._server:
                raise OperationalError(CR.CR_UNKNOWN_ERROR, "another server has its address too")
        except BaseException:
            stream.abort()
            raise
        return stream


def _plain() -> ColumnCache:
    """For sessions whose text is compared as it comes."""
    return ColumnCache("ascii", {}, use_unicode=False)


async def _server(stream: Stream) -> object:
    """Which server a stream goes to; None: it did not tell."""
    result = await _ask(stream, _WHICH_SERVER)
    if result.metadata is None:
        return None
    # The session may give text in UTF-16 or UTF-32, which has NULs between.
    return [[cell and cell.replace(b"\0", b"") for cell in row] for row in result.rows]


def _peer(stream: Stream) -> Address | None:
    """Where `stream` goes to by TCP: its name may stand for other servers too.  None: not TCP."""
    sock = stream.extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address = stream.extra_info("peername")
    if address is None:
        raise _lost()
    return sock.family, address


def is_cancellable(session: Session) -> bool:
    """Whether what is outstanding can be read to its end: not where the server waits for a file,
    nor while the user is being changed.
    """
    return session.error is None and not any(
        isinstance(exchange, ChangeUser)
        or (
            isinstance(exchange, Query)
            and (exchange.local_files or exchange.file_wanted is not None)
        )
        for exchange in session.exchanges
    )


class StatementCancellation:
    """The cancellation of one statement, by a task of its own."""

    def __init__(
        self,
        stream: Stream,
        kill_client: KillClient,
        on_done: Callable[[StatementCancellation], object],
    ) -> None:
        """stream: its own until it is done; on_done: called then, unless it was detached."""
        self._stream = stream
        self._kill_client = kill_client
        self._on_done: Callable[[StatementCancellation], object] | None = on_done
        self._response_read = asyncio.Event()
        self._loop_ends = False
        #: Why the connection can't be kept; None when it can.
        self.failure: str | None = _CANCELLED
        for exchange in stream.session.exchanges:
            exchange.discard()
        #: The task that does it.
        self.task: asyncio.Task[None] = stream.loop.create_task(self._run())
        self.task.add_done_callback(self._done)

    def detach(self) -> None:
        """Close the connection in the end: it has no owner any more."""
        self._on_done = None

    def cancel(self) -> None:
        """Do nothing more; the caller closes the stream."""
        self._on_done = None
        if not (self._stream.from_parent_process or self._stream.loop.is_closed()):
            self.task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done(self)
        elif self.failure is not None:
            self._stream.abort()
        else:
            self._stream.start(Quit())
            self._stream.close()

    async def _run(self) -> None:
        seconds = self._kill_client.timeout
        watch = self._end_with_loop()
        await anext(watch)
        try:
            async with asyncio.timeout(seconds):
                await self._stop()
            self.failure = None
        except TimeoutError:
            self.failure = f"{_CANCELLED}, and not stopped in {seconds} s, option 'kill_timeout'"
        except Exception as error:
            logger.debug("a cancelled statement could not be stopped", exc_info=error)
            self.failure = f"{_CANCELLED}, and stopping it failed: {_reason(error)}"
        finally:
            if not self._loop_ends:
                await watch.aclose()

    async def _end_with_loop(self) -> AsyncGenerator[None, None]:
        """Once begun: have the event loop end the task when it shuts down.

        Loops close asynchronous generators then, also those that began after all tasks were
        cancelled.
        """
        try:
            yield
        finally:
            if not self.task.done() and self.task is not asyncio.current_task():
                self._loop_ends = True
                self.task.cancel()
                await asyncio.wait([self.task])

    async def _stop(self) -> None:
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(self._kill())
            await self._read_response()
            self._response_read.set()
        if killing.result():
            await self._meet_late_kill()
        if self._stream.closed:  # also after an error of the tasks
            raise _lost()

    async def _read_response(self) -> None:
        stream = self._stream
        if stream.writing_paused:
            await stream.drain()
        while (exchange := stream.session.newest) is not None:
            await stream.wait(exchange)
        if stream.closed:
            raise _lost()

    async def _kill(self) -> bool:
        """Have the server stop the statement, until it responds; True: a KILL was sent."""
        if await self._response_within(_GRACE):
            return False
        # From here on it logs in whatever happens: servers lock out hosts whose clients break off.
        thread_id = self._stream.session.require_greeting().thread_id
        beside = await self._kill_client.open(self._stream)
        killed = False
        pause = _FIRST_PAUSE
        try:
            while not self._response_read.is_set():
                await _ask(beside, b"KILL QUERY %d" % thread_id)
                killed = True
                if await self._response_within(pause):
                    break
                if self._stream.ask_for_end() and await self._response_within(pause):
                    break
                pause = min(2 * pause, _LONGEST_PAUSE)
            beside.start(Quit())
            beside.close()
        except BaseException:
            beside.abort()
            raise
        return killed

    async def _response_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._response_read.wait()
        return self._response_read.is_set()

    async def _meet_late_kill(self) -> None:
        """A KILL that came after the end of the statement hits this one instead of the next."""
        for _ in range(_MOST_TRIES):
            try:
                await _ask(self._stream, _NOTHING)
            except MySQLError as error:
                if error.args[:1] == (ER.QUERY_INTERRUPTED,):
                    continue
            return
        raise OperationalError(ER.QUERY_INTERRUPTED, "statements are interrupted again and again")


async def _ask(stream: Stream, statement: bytes) -> Result:
    """Run a statement; returns its result.  Raises its error."""
    query = Query(statement)
    if not stream.start(query):
        raise _lost()
    while not query.done:
        await stream.wait(query)
    result = query.results.pop(0)
    result.exchange = query
    if result.error is not None:
        PendingError.of(result, stream.session).raise_once()
    return result


def _lost() -> OperationalError:
    return OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")


def _reason(error: BaseException) -> str:
    """What went wrong: the first part of a task group's error, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or repr(error)
