"""From options to a stream that is logged in."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pymysql.err import OperationalError

from aiomysql_core.options.options import Options, address_family
from aiomysql_core.pending_error import PendingError
from aiomysql_core.transport.encryption import (
    encrypt,
    encrypted_stream,
    unverified_certificate,
    verify_code,
)
from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_core.transport.stream import Stream
from aiomysql_core.transport.tls_sessions import TlsResumption
from aiomysql_core.transport.trace import watching
from aiomysql_core.transport.transport_stream import TransportStream
from aiomysql_protocol.login.certificate_proof import sends_proof
from aiomysql_protocol.login.login import Login, LoginOptions
from aiomysql_protocol.session import Session

#: A family of addresses, and an address of it as sockets take it.
Address = tuple[socket.AddressFamily, Any]

#: Whether a socket can be made that does not block from the beginning.
_UNBLOCKED = hasattr(socket, "SOCK_NONBLOCK")
_UNBLOCKED_STREAM = int(socket.SOCK_STREAM) | int(getattr(socket, "SOCK_NONBLOCK", 0))

#: What `connect_ex` says of an attempt that goes on.
_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN, errno.EINTR})

#: Seconds that an address may be silent before the next one of the name is tried as well.
_NEXT_ADDRESS = 0.25

#: What OpenSSL says of certificates that no known authority has signed: X509_V_ERR_...
#: DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT_LOCALLY and
#: UNABLE_TO_VERIFY_LEAF_SIGNATURE.
_NO_KNOWN_AUTHORITY = frozenset({18, 19, 20, 21})


async def open_stream(
    options: Options,
    login_options: LoginOptions,
    new_session: Callable[[], Session],
    loop: asyncio.AbstractEventLoop,
    address: Address | None = None,
) -> tuple[Stream, Login]:
    """Connect, encrypt where that is wanted, and log in.

    address: where the server is, if it is not to be looked up.
    Raises OSError when the server can't be reached, OperationalError 2026 when TLS fails, and what
    the server says when it refuses the log-in.  Nothing stays open after an error.

    A certificate that no known authority has signed is proven by the password, where the options
    allow that.  Verifying it has failed by then, so a second connection is made for it.
    """
    if not isinstance(options.sock, ssl.SSLSocket):
        options.tls.check_files()
    proof_required = options.tls.proof_expected
    login = Login(login_options, proof_required)
    try:
        opened = await _resume_or_open(options, login_options, login, new_session, loop, address)
    except OperationalError as error:
        if proof_required and login.is_unproven:
            options.tls.expect_proof(None)  # the server may have got a certificate that is signed
        elif not _is_provable(options, login_options, login, error):
            raise
    else:
        if not proof_required and options.tls.proof_allowed:
            options.tls.expect_proof(False)
        return opened
    login = Login(login_options, proof_required=not proof_required)
    opened = await _resume_or_open(options, login_options, login, new_session, loop, address)
    options.tls.expect_proof(login.proof_required)
    return opened


async def _resume_or_open(
    options: Options,
    login_options: LoginOptions,
    login: Login,
    new_session: Callable[[], Session],
    loop: asyncio.AbstractEventLoop,
    address: Address | None,
) -> tuple[Stream, Login]:
    """Open a stream, with a TLS session resumed if there is one; returns it and its log-in.

    login: the first one.
    """
    if login.proof_required:
        options = replace(options, tls=options.tls.without_verification())
    resumption = None
    if options.tls.session_reuse and options.sock is None:
        where = options.unix_socket or (options.host, options.port)
        resumption = TlsResumption(where, options.tls.context is None)
    try:
        return await _open_stream(options, new_session(), login, loop, address, resumption), login
    except OperationalError:
        if resumption is None or not resumption.has_failed:
            raise
    # A server that does not know a session goes on without it, but some proxies break off.
    login = Login(login_options, proof_required=login.proof_required)
    stream = await _open_stream(options, new_session(), login, loop, address, None)
    resumption.avoid_sessions()
    return stream, login


async def _open_stream(
    options: Options,
    session: Session,
    login: Login,
    loop: asyncio.AbstractEventLoop,
    address: Address | None,
    resumption: TlsResumption | None,
) -> Stream:
    """One attempt to do what `open_stream` does."""
    session.start(login)
    trace = watching.get()
    if trace is not None:
        trace.begun(session, login)
    try:
        sock = options.sock or await _connected_socket(options, loop, address)
        if trace is not None:
            trace.connected(sock)
        stream = await _stream_on(options, session, loop, sock, resumption)
    except BaseException:
        session.connection_lost()  # it and the exchange refer to each other
        raise
    try:
        if trace is not None:
            trace.encrypted(stream)
        while not login.done:
            await stream.wait(login)
            if login.tls_wanted and not login.done:
                stream = await encrypt(options, stream, resumption)
                if trace is not None:
                    trace.encrypted(stream)
                login.tls_started(unverified_certificate(stream))
                stream.flush()
        if login.error is not None:
            PendingError.of(login, session).raise_once()
        if trace is not None:
            trace.logged_in()
        if resumption is not None:
            resumption.logged_in(stream.extra_info("ssl_object"))
    except BaseException:
        stream.abort()
        session.connection_lost()  # if `stream` has given its socket away, it does not say so
        raise
    return stream


async def _stream_on(
    options: Options,
    session: Session,
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    resumption: TlsResumption | None,
) -> Stream:
    """A stream on `sock`, encrypted if the server expects that.  Closes it after an error."""
    try:
        if sock is options.sock:
            sock.setblocking(False)
        options.tcp.apply(sock)
    except BaseException:
        sock.close()
        raise
    if options.encrypted:
        return await encrypted_stream(options, session, loop, sock, resumption)
    try:
        return SocketStream(session, loop, sock)
    except NotImplementedError:  # the loop can't watch sockets
        return await TransportStream.open(session, loop, sock)
    except BaseException:
        sock.close()
        raise


async def _connected_socket(
    options: Options, loop: asyncio.AbstractEventLoop, address: Address | None
) -> socket.socket:
    """A socket connected to `address`, or to the first of the server's that answers."""
    if address is None:
        address = _address(options)
    if address is not None:
        return await _go_on(loop, *_begin(address))
    found = await loop.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
    addresses = _in_turn([(item[0], item[4]) for item in found])
    delay = _NEXT_ADDRESS
    if options.connect_timeout is not None and addresses:
        delay = min(delay, options.connect_timeout / len(addresses))
    return await _first_connected(addresses, loop, delay)


def _in_turn(addresses: list[Address]) -> list[Address]:
    """The families in turn, each in its order: a whole family may not work here."""
    families: dict[socket.AddressFamily, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    rounds = itertools.zip_longest(*families.values())
    return [address for one_round in rounds for address in one_round if address is not None]


async def _first_connected(
    addresses: list[Address], loop: asyncio.AbstractEventLoop, delay: float
) -> socket.socket:
    """A socket connected to the first address that answers (RFC 8305, "Happy Eyeballs").

    The next one is tried when one has failed, or has not answered within `delay` seconds; the
    others go on meanwhile.
    """
    failures: list[OSError] = []
    attempts: set[asyncio.Task[socket.socket]] = set()
    attempt: asyncio.Task[socket.socket] | None = None
    untried = iter(addresses)
    try:
        while True:
            address = next(untried, None)
            if address is not None:
                try:
                    sock, where = _begin(address)
                except OSError as error:
                    failures.append(error)
                    continue
                if where is None:
                    return sock
                attempts.add(loop.create_task(_go_on(loop, sock, where)))
            elif not attempts:
                break
            done, attempts = await asyncio.wait(
                attempts,
                timeout=None if address is None else delay,
                return_when=asyncio.FIRST_COMPLETED,
            )
            while done:
                attempt = done.pop()
                try:
                    sock = attempt.result()
                except OSError as error:
                    failures.append(error)
                else:
                    attempts |= done
                    return sock
        if len({str(error) for error in failures}) == 1:
            raise failures[0]
        raise OSError("; ".join(map(str, failures)) or "the name has no address")
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close_unwanted)
            attempt.cancel()
        failures.clear()  # the error's traceback holds this frame
        del attempts, attempt


def _close_unwanted(attempt: asyncio.Task[socket.socket]) -> None:
    """An attempt to connect is over, and another one was quicker."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _begin(address: Address) -> tuple[socket.socket, Any]:
    """A socket that begins to connect, and where to; None: it is connected, as to this machine."""
    family, where = address
    sock = socket.socket(family, _UNBLOCKED_STREAM)
    try:
        if not _UNBLOCKED:
            sock.setblocking(False)
        return sock, None if _connected_at_once(sock, where) else where
    except BaseException:
        sock.close()
        raise


async def _go_on(loop: asyncio.AbstractEventLoop, sock: socket.socket, where: Any) -> socket.socket:
    """Wait until `sock`, which `_begin` has given, is connected; returns it."""
    try:
        if where is not None:
            await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _connected_at_once(sock: socket.socket, where: Any) -> bool:
    """Begin to connect; returns whether that is done already, as it is to this machine.

    If not, `loop.sock_connect` goes on with it.  Raises OSError if it has failed.
    """
    if os.name != "posix":
        return False  # Windows' proactor loop takes only sockets that were not used
    begun = sock.connect_ex(where)
    if begun in _UNDER_WAY:
        begun = sock.connect_ex(where)
        return begun in (0, errno.EISCONN)
    if begun:
        raise OSError(begun, os.strerror(begun))
    return True


def _address(options: Options) -> Address | None:
    """Where the server is; None when that is to be looked up."""
    if options.unix_socket is not None:
        return socket.AF_UNIX, options.unix_socket
    family = address_family(options.host)
    return None if family is None else (family, (options.host, options.port))


def _is_provable(
    options: Options, login_options: LoginOptions, login: Login, error: OperationalError
) -> bool:
    """Whether the password can prove the certificate whose verification failed with `error`, on
    another connection.  If only a password is missing, the error tells that.
    """
    cause = error.__cause__
    if not (
        isinstance(cause, ssl.SSLCertVerificationError)
        and verify_code(cause) in _NO_KNOWN_AUTHORITY
        and options.tls.proof_allowed
        and options.sock is None
        and login.greeting is not None
        and sends_proof(login.greeting)
    ):
        return False
    if not login_options.password:
        number, message = error.args
        error.args = number, f"{message}; without a password the log-in can't verify it either"
    return bool(login_options.password)
