"""From options to a stream that is logged in."""

from __future__ import annotations

import asyncio
import ssl

from pymysql.constants import CR
from pymysql.err import OperationalError

from aiomysql_core.options import Options
from aiomysql_core.stream import Stream
from aiomysql_protocol.login import Login
from aiomysql_protocol.session import Session


async def open_stream(
    options: Options, session: Session, login: Login, loop: asyncio.AbstractEventLoop
) -> Stream:
    """Connect, encrypt where that is wanted, and log in.

    Raises OSError when the server can't be reached, OperationalError 2026 when TLS fails, and what
    the server says when it refuses the log-in.  Nothing stays open after an error.
    """
    stream = Stream(session, loop)
    session.start(login)
    try:
        if options.sock is not None:
            await loop.create_connection(lambda: stream, sock=options.sock)
        elif options.unix_socket is not None:
            await loop.create_unix_connection(lambda: stream, options.unix_socket)
        else:
            await loop.create_connection(lambda: stream, options.host, options.port)
        if not options.secure:
            stream.set_socket_options()
        while not login.done:
            await stream.wait(login)
            if login.tls_wanted and not login.done:
                await _encrypt(options, stream)
                login.tls_started()
                stream.flush()
        error = login.take_error()
        if error is not None:
            try:
                raise session.to_raise(error)
            finally:
                del error
    except BaseException:
        stream.abort()
        raise
    return stream


async def _encrypt(options: Options, stream: Stream) -> None:
    context = options.tls.ssl_context()
    name = options.host if context.check_hostname else None
    try:
        await stream.start_tls(context, name)
    except TimeoutError:
        raise
    except (OSError, ssl.CertificateError) as error:
        raise OperationalError(
            CR.CR_SSL_CONNECTION_ERROR, f"SSL connection error: {error}"
        ) from error
