"""From options to a stream that is logged in."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from functools import lru_cache
from typing import Any

from pymysql.constants import CR
from pymysql.err import OperationalError

from aiomysql_core.options.options import Options
from aiomysql_core.pending_error import PendingError
from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_core.transport.stream import Stream
from aiomysql_core.transport.transport_stream import TransportStream
from aiomysql_protocol.login.login import Login
from aiomysql_protocol.session import Session

#: A family of addresses, and an address of it as sockets take it.
Address = tuple[socket.AddressFamily, Any]

#: Whether a socket can be made that does not block from the beginning.
_UNBLOCKED = hasattr(socket, "SOCK_NONBLOCK")
_UNBLOCKED_STREAM = int(socket.SOCK_STREAM) | int(getattr(socket, "SOCK_NONBLOCK", 0))


async def open_stream(
    options: Options,
    session: Session,
    login: Login,
    loop: asyncio.AbstractEventLoop,
    address: Address | None = None,
) -> Stream:
    """Connect, encrypt where that is wanted, and log in.

    address: where the server is, if it is not to be looked up.
    Raises OSError when the server can't be reached, OperationalError 2026 when TLS fails, and what
    the server says when it refuses the log-in.  Nothing stays open after an error.
    """
    session.start(login)
    try:
        sock = options.sock or await _connected_socket(options, loop, address)
        stream: Stream | None = _watched(options, session, loop, sock)
        if stream is None:
            stream = await _transported(session, loop, sock)
    except BaseException:
        session.connection_lost()  # it and the exchange refer to each other
        raise
    try:
        while not login.done:
            await stream.wait(login)
            if login.tls_wanted and not login.done:
                stream = await _encrypted(options, stream)
                login.tls_started()
                stream.flush()
        if login.error is not None:
            PendingError.of(login, session).raise_once()
    except BaseException:
        stream.abort()
        raise
    return stream


def _watched(
    options: Options, session: Session, loop: asyncio.AbstractEventLoop, sock: socket.socket
) -> SocketStream | None:
    """A stream on `sock`; None when the loop can't watch sockets.  Closes it after an error."""
    try:
        if sock is options.sock:
            sock.setblocking(False)
        options.tcp.apply(sock)
        return SocketStream(session, loop, sock)
    except NotImplementedError:
        return None
    except BaseException:
        sock.close()
        raise


async def _transported(
    session: Session, loop: asyncio.AbstractEventLoop, sock: socket.socket
) -> TransportStream:
    stream = TransportStream(session, loop)
    try:
        await loop.create_connection(lambda: stream, sock=sock)
    except BaseException:
        sock.close()
        raise
    return stream


async def _connected_socket(
    options: Options, loop: asyncio.AbstractEventLoop, address: Address | None
) -> socket.socket:
    """A socket connected to `address`, or to the first of the server's that answers."""
    if address is None:
        address = _address(options)
    if address is not None:
        addresses = [address]
    else:
        found = await loop.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        addresses = [(item[0], item[4]) for item in found]
    failures: list[OSError] = []
    for family, where in addresses:
        sock = socket.socket(family, _UNBLOCKED_STREAM)
        try:
            if not _UNBLOCKED:
                sock.setblocking(False)
            if not _connected_at_once(sock, where):
                await loop.sock_connect(sock, where)
        except OSError as error:
            sock.close()
            failures.append(error)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    try:
        if len({str(error) for error in failures}) == 1:
            raise failures[0]
        raise OSError("; ".join(map(str, failures)) or "the name has no address")
    finally:
        failures.clear()  # the error's traceback holds this frame


def _connected_at_once(sock: socket.socket, address: Any) -> bool:
    """Begin to connect; returns whether that is done already, as it is to this machine.

    If not, `loop.sock_connect` goes on with it, or tries again and tells the error.
    """
    if os.name != "posix":
        return False  # Windows' proactor loop takes only sockets that were not used
    begun = sock.connect_ex(address)
    return begun == 0 or (
        begun == errno.EINPROGRESS and sock.connect_ex(address) in (0, errno.EISCONN)
    )


def _address(options: Options) -> Address | None:
    """Where the server is; None when that is to be looked up."""
    if options.unix_socket is not None:
        return socket.AF_UNIX, options.unix_socket
    family = _family(options.host)
    return None if family is None else (family, (options.host, options.port))


@lru_cache(maxsize=64)
def _family(host: str) -> socket.AddressFamily | None:
    """The family of an address; None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


async def _encrypted(options: Options, stream: Stream) -> Stream:
    context = options.tls.ssl_context()
    name = options.host if context.check_hostname else None
    try:
        return await stream.start_tls(context, name)
    except TimeoutError:
        raise
    except (OSError, ssl.CertificateError) as error:
        raise OperationalError(
            CR.CR_SSL_CONNECTION_ERROR, f"SSL connection error: {error}"
        ) from error
