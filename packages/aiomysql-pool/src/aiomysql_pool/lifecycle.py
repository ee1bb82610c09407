"""What is done with a connection once it is opened, before it is acquired, after its release.

Everything here takes one connection and knows no pool.

Where a transaction may be open although the mode is autocommit, the connection is rolled back once
and the mode set anew: so the next releases cost nothing again.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from os.path import dirname
from typing import Any

from aiomysql_core import Connection, MySQLError, OperationalError
from aiomysql_core.log import logger
from aiomysql_pool.options import Callback, PoolOptions

#: Seconds that rolling back, resetting and the `reset` callback may take together. Then the
#: connection is dropped: a dead peer must not bind a place in the pool.
RESET_TIMEOUT = 10.0

#: Seconds that the server may take to answer a ping.
PING_TIMEOUT = 2.0

_FOLDER = dirname(__file__)
_FRAMES = 6


class PingTimeout(OperationalError):
    """The server did not answer a ping in time."""


async def call(callback: Callback, connection: Connection[Any]) -> object:
    """Call a callback, which may be asynchronous; returns what it gives.

    A cancellation of this task that the callback swallows is raised all the same.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    result = callback(connection)
    if inspect.isawaitable(result):
        result = await result
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


async def prepare(connection: Connection[Any], options: PoolOptions) -> None:
    """Run `configure` and `check` on a new connection; it is closed when one of them fails.

    Raises what they raise, OperationalError for a check that returns False and for a callback that
    raises CancelledError of its own accord: nobody who waits for the connection was cancelled.
    """
    task = asyncio.current_task()
    name = "configure"
    try:
        if options.configure is not None:
            await call(options.configure, connection)
            await connection.discard_results()
            if not connection.is_reusable:
                raise OperationalError(
                    "the pool's callback 'configure' left the connection in a transaction or closed"
                )
            await _end_transaction(connection)
        name = "check"
        if options.check is not None and await call(options.check, connection) is False:
            raise OperationalError("a new connection failed the pool's callback 'check'")
    except BaseException as error:
        connection.close()
        if isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling():
            raise OperationalError(f"the pool's callback {name!r} was cancelled") from error
        raise


async def verify(connection: Connection[Any], options: PoolOptions, *, ping: bool) -> None:
    """Make sure that a connection which was used before can be acquired.

    Raises what `check` raises, OperationalError when it returns False, and what a ping raises:
    PingTimeout when there is no answer in time.
    """
    if ping:
        try:
            async with asyncio.timeout(PING_TIMEOUT):
                await connection.ping(reconnect=False)
        except TimeoutError:
            raise PingTimeout(f"no answer to a ping within {PING_TIMEOUT} s") from None
    if options.check is not None and await call(options.check, connection) is False:
        raise OperationalError("the callback 'check' returned False")


def is_cleanable(connection: Connection[Any], options: PoolOptions) -> bool:
    """Whether `clean` can make a released connection one that may be acquired again.

    Not with rows of a streamed result unread, of which there may be any number, and not if it is
    another user's: nobody knows the password by which that could be undone.  Nor within a block of
    `transaction`, which whoever has it may leave later.
    """
    runner = connection.runner
    if runner.transactions.blocks:
        return False
    if connection.closed or connection.busy or runner.streaming or runner.user_changed:
        return False
    if runner.outstanding:
        return True
    return connection.idle and (
        options.reset_session is not None or not connection.get_transaction_status()
    )


async def clean(connection: Connection[Any], options: PoolOptions) -> None:
    """Read what is left of results, reset the session as far as the options ask for it, and run the
    callback `reset`.

    Never raises but CancelledError; a connection that could not be cleaned is closed.
    """
    try:
        async with asyncio.timeout(RESET_TIMEOUT):
            await connection.wait_cancelled()
            await _discard_results(connection)
            if connection.runner.user_changed:
                connection.close()
            elif options.reset_session == "full":
                await connection.reset()
            elif options.reset_session is not None or not connection.get_transaction_status():
                await _end_transaction(connection)
            else:
                connection.close()  # which rolls back
            if options.reset is not None and not connection.closed:
                await call(options.reset, connection)
    except BaseException as error:
        connection.close()
        if not isinstance(error, Exception):
            raise
        logger.warning("dropping %r, its reset failed: %r", connection, error)


async def _discard_results(connection: Connection[Any]) -> None:
    """Read and drop what is left of results.  An error in it is logged: nobody can be told."""
    try:
        await connection.discard_results()
    except MySQLError as error:
        if connection.closed:
            raise
        _log_unread(connection, error)


def _log_unread(connection: Connection[Any], error: MySQLError) -> None:
    logger.warning("%r was released with an error that nobody has read: %r", connection, error)


async def _end_transaction(connection: Connection[Any]) -> None:
    """Roll back what may be open, and have the connection know its autocommit mode again, and its
    character set: ProgrammingError if that can't be.
    """
    if connection.session_charset.in_doubt:
        await connection.session_charset.refresh()
    runner = connection.runner
    if not runner.nothing_to_end():
        await connection.rollback()
        if connection.autocommit_mode:
            await connection.autocommit(True)


async def goodbye(connection: Connection[Any]) -> None:
    """Close with COM_QUIT, so that the server logs no aborted connection."""
    try:
        await connection.ensure_closed()
    except MySQLError as error:
        _log_unread(connection, error)
    except Exception as error:
        logger.debug("%r: goodbye failed: %r", connection, error)
    finally:
        connection.close()


def caller_frames() -> str:
    """The innermost frames of whoever called into this package, formatted."""
    frames = [
        frame for frame in traceback.extract_stack() if not frame.filename.startswith(_FOLDER)
    ]
    return "".join(traceback.format_list(frames[-_FRAMES:]))
