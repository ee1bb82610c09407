"""The link between a connection and its server: one stream, and the exchanges that run over it."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine
from copy import copy
from typing import Any

from pymysql import err
from pymysql.constants import CR

from aiomysql_core.local_data import LocalSource, chunks
from aiomysql_core.result import MySQLResult
from aiomysql_core.stream import Stream
from aiomysql_protocol.exchanges import Exchange, Quit
from aiomysql_protocol.query import Query

#: Seconds that `quit` waits for the server to close the connection.
_QUIT_TIMEOUT = 2.0


class Link:
    """Runs one exchange at a time, and keeps the stream in step or closes it.

    Whatever happens to a request, its answer never reaches another one: it is read to its end, or
    the stream is closed.
    """

    def __init__(self, read_timeout: float | None, write_timeout: float | None) -> None:
        """read_timeout, write_timeout: seconds that an answer may take to come, and a request to
        leave; None: no limit.
        """
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._stream: Stream | None = None
        self._busy = False
        self._close_reason: str | None = None
        self._result: MySQLResult | None = None
        #: Time of the loop's clock (seconds) when the last answer came.
        self.last_usage = 0.0

    # -- state -----------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Is there no stream that works?"""
        return self._stream is None or self._stream.closed

    @property
    def opened(self) -> bool:
        """Was the link opened, and not closed since by this side?"""
        return self._stream is not None

    @property
    def result(self) -> MySQLResult | None:
        """The result read last; None after an error and on a closed link."""
        return None if self.closed else self._result

    @property
    def server_status(self) -> int:
        """The last status flags of the server; 0 when closed."""
        return self._stream.session.server_status if self._stream is not None else 0

    def stream(self) -> Stream:
        """The stream.

        Raises InterfaceError when this side closed it, OperationalError when it was lost.
        """
        stream = self._stream
        if stream is None:
            raise err.InterfaceError(0, self._close_reason or "Not connected")
        if stream.closed:
            error = stream.session.error
            self.abort()
            if isinstance(error, err.OperationalError):
                raise err.OperationalError(*error.args) from error
            raise err.OperationalError(CR.CR_SERVER_GONE_ERROR, "MySQL server has gone away")
        return stream

    # -- opening and closing ---------------------------------------------------------------------

    def attach(self, stream: Stream) -> None:
        """Use `stream`, which is logged in, from now on."""
        self._stream = stream
        self._close_reason = None
        self._result = None

    def abort(self, reason: str | None = None) -> None:
        """Close the stream at once; `reason` is what later uses are told."""
        stream, self._stream = self._stream, None
        self._result = None
        if stream is not None:
            self._close_reason = reason
            stream.abort()

    def close(self) -> None:
        """Close without waiting; a COM_QUIT is sent along if no answer is outstanding."""
        stream, self._stream = self._stream, None
        self._result = None
        if stream is None:
            return
        if stream.session.idle and not stream.closed:
            stream.start(Quit())
            stream.close()
        else:
            stream.abort()

    async def quit(self) -> None:
        """Send COM_QUIT and wait, two seconds at most, until the server has closed the session."""
        if self._stream is None or self._stream.closed or self._busy:
            self.abort()
            return
        self._forget_result()
        stream, self._stream = self._stream, None
        try:
            stream.start(Quit())
            stream.resume()
            async with asyncio.timeout(_QUIT_TIMEOUT):
                await stream.wait_closed()
        except TimeoutError:
            pass
        finally:
            stream.abort()

    # -- exchanges -------------------------------------------------------------------------------

    async def run(self, exchange: Exchange) -> None:
        """Start `exchange` and wait until it has something to say.

        Raises its error, and InterfaceError when another task uses the link.
        """
        stream = self.stream()
        self._check_not_busy()
        self._forget_result()
        stream.start(exchange)
        if stream.writing_paused:
            await self._drain(stream)
        await self._wait(exchange)
        if not isinstance(exchange, Query):
            self._raise(exchange.take_error())

    async def query(self, statement: bytes, *, streamed: bool = False) -> MySQLResult:
        """Run `statement` and read its first result."""
        exchange = Query(statement, streamed=streamed)
        await self.run(exchange)
        return await self._next_result(exchange)

    async def load(self, statement: bytes, name: bytes, source: LocalSource) -> MySQLResult:
        """Run a LOAD DATA LOCAL statement that names the file `name`, and send `source` for it.

        What `source` raises is raised again, and closes the link: the server must not take a
        part for the whole.
        """
        exchange = Query(statement, local_file=name)
        await self.run(exchange)
        if exchange.file_wanted:
            await self._send_file(exchange, source)
        return await self._next_result(exchange)

    async def next_result(self) -> MySQLResult:
        """Read the next result of the last statement; ProgrammingError when there is none."""
        if self._result is None or not self._result.has_next:
            raise err.ProgrammingError("the last statement has no further result")
        return await self._next_result(self._result.exchange)

    async def read_rows(self, result: MySQLResult) -> list[tuple[Any, ...]]:
        """The next rows of a streamed result, at least one; empty at its end."""
        while True:
            rows = result.take_rows()
            if rows:
                return rows
            if result.complete:
                result.unbuffered_active = False
                self._raise_for(result)
                return []
            await self._wait(result.exchange)

    async def finish_result(self, result: MySQLResult) -> bool:
        """Read the rest of a result and drop it; returns whether another one follows."""
        if not result.complete:
            result.skip()
        while not result.complete:
            await self._wait(result.exchange)
        result.unbuffered_active = False
        return result.has_next

    async def fetch(self, statement: bytes) -> list[tuple[Any, ...]]:
        """The rows of `statement`, run beside: the current result stays what it is."""
        result = self._result
        rows = (await self.query(statement)).rows
        self._result = result
        return rows or []

    async def _next_result(self, exchange: Query) -> MySQLResult:
        self._result = None
        while not exchange.results:
            await self._wait(exchange)
        self._result = result = MySQLResult(exchange, exchange.results.popleft())
        if result.complete:
            self._raise_for(result)
        return result

    async def _send_file(self, exchange: Query, source: LocalSource) -> None:
        stream = self.stream()
        try:
            async for chunk in chunks(source):
                if exchange.done:
                    return  # the connection is lost
                exchange.send_file(chunk)
                stream.flush()
                await self._drain(stream)
        except BaseException as error:
            self.abort(f"LOAD DATA LOCAL failed: {error!r}")
            raise
        exchange.send_file(b"")
        stream.flush()

    async def _wait(self, exchange: Exchange) -> None:
        """Wait until `exchange` has news."""
        stream = self.stream()
        await self._exclusively(stream.wait(exchange), self._read_timeout, "read_timeout")
        self.last_usage = stream.loop.time()

    async def _drain(self, stream: Stream) -> None:
        """Wait until the socket has taken what was written."""
        await self._exclusively(stream.drain(), self._write_timeout, "write_timeout")

    async def _exclusively(
        self, waiting: Coroutine[Any, Any, None], seconds: float | None, option: str
    ) -> None:
        """Wait, while nobody else may use the link, and close it when that is interrupted."""
        if self._busy:
            waiting.close()
            self._check_not_busy()
        self._busy = True
        try:
            if seconds is None:
                await waiting
            else:
                async with asyncio.timeout(seconds):
                    await waiting
        except TimeoutError:
            self.abort(f"timed out after {seconds} s, option '{option}'")
            raise err.OperationalError(
                CR.CR_SERVER_LOST,
                "Lost connection to MySQL server during query "
                f"(timed out after {seconds} s, option '{option}')",
            ) from None
        except BaseException:
            # Nobody will read this answer: the stream can't be used any more.
            self.abort("Cancelled during execution")
            raise
        finally:
            self._busy = False

    def _forget_result(self) -> None:
        """What the last statement has not delivered yet is not wanted any more."""
        result, self._result = self._result, None
        if result is None:
            return
        if result.unbuffered_active and not result.complete:
            warnings.warn("Previous unbuffered result was left incomplete", stacklevel=6)
        if not result.exchange.done:
            result.unbuffered_active = False
            result.exchange.discard()

    def _raise_for(self, result: MySQLResult) -> None:
        if result.failed and not result.has_next:
            self._result = None
        self._raise(result.take_error())

    def _raise(self, error: BaseException | None) -> None:
        """Raise `error`, unless it is None; a broken session closes the stream first.

        No frame and no other object holds on to the error, so that it makes no reference cycle.
        """
        if error is None:
            return
        stream = self._stream
        if stream is not None and stream.session.error is not None:
            if stream.session.error is error:
                cause = error.__cause__
                error = copy(error)
                error.__cause__ = cause
            self.abort(str(error))
        try:
            raise error
        finally:
            del error

    def _check_not_busy(self) -> None:
        if self._busy:
            raise err.InterfaceError(
                0, "another task is waiting for an answer on this connection: use one per task"
            )
