"""Beginning TLS on a connection, and what is said when it fails."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import lru_cache
from types import TracebackType

from pymysql.constants import CR
from pymysql.err import NotSupportedError, OperationalError

from aiomysql_core.options.options import Options, address_family
from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_core.transport.stream import Stream
from aiomysql_core.transport.tls_sessions import TlsResumption
from aiomysql_core.transport.tls_stream import TlsStream, handshake
from aiomysql_core.transport.transport_stream import TransportStream
from aiomysql_protocol.session import Session

#: And where it is another's: HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH.
_OTHER_NAME = frozenset({62, 64})

#: Bytes of a server's name in TLS.
_LONGEST_NAME = 255


async def encrypt(options: Options, stream: Stream, resumption: TlsResumption | None) -> Stream:
    """Begin TLS on `stream`; returns it, or another one in its place.

    Raises OperationalError 2026 when that fails, and TimeoutError.
    """
    if isinstance(stream, SocketStream):
        with _TlsErrors(options):
            sock = await stream.release_socket()
        return await encrypted_stream(options, stream.session, stream.loop, sock, resumption)
    assert isinstance(stream, TransportStream)
    context = options.tls.ssl_context()
    with _TlsErrors(options):
        await stream.start_tls(context, _server_name(options, context))
    return stream


async def encrypted_stream(
    options: Options,
    session: Session,
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    resumption: TlsResumption | None,
) -> Stream:
    """An encrypted stream on `sock`; raises what `encrypt` raises, and closes the socket then."""
    given: socket.socket | None = None
    with _TlsErrors(options):
        try:
            watches = _watches_sockets(loop, sock)
            if not isinstance(sock, ssl.SSLSocket):
                context = options.tls.ssl_context()
                name = _server_name(options, context)
                if not watches or _makes_own_objects(context):
                    return await TransportStream.open(session, loop, sock, context, name)
                if sock is options.sock:  # `wrap_socket` would take the caller's object apart
                    given = sock
                    sock = socket.fromfd(sock.fileno(), sock.family, sock.type, sock.proto)
                    sock.setblocking(False)  # it does not know that the other one is so
                offered = None if resumption is None else resumption.begin(context, name)
                sock = context.wrap_socket(
                    sock, do_handshake_on_connect=False, server_hostname=name, session=offered
                )
            elif not watches:
                raise NotSupportedError("option 'sock': this event loop can't use an ssl.SSLSocket")
            await handshake(loop, sock)
            return TlsStream(session, loop, sock, given)
        except BaseException as error:
            if resumption is not None:
                resumption.failed(error)
            sock.close()
            if given is not None:
                given.close()
            raise


def _watches_sockets(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bool:
    """Whether `loop` has `add_reader`, which Windows' proactor loop has not."""
    try:
        loop.remove_reader(sock.fileno())
    except NotImplementedError:
        return False
    return True


def _makes_own_objects(context: ssl.SSLContext) -> bool:
    """Whether somebody has a hand in what asyncio gets from it, perhaps to verify in other ways."""
    kind, own = type(context), vars(context)
    functions = (kind.wrap_bio, kind.wrap_socket, ssl.SSLObject.do_handshake)
    return (
        "wrap_bio" in own
        or "wrap_socket" in own
        or context.sslobject_class is not ssl.SSLObject
        or context.sslsocket_class is not ssl.SSLSocket
        # Not by name, because `ssl` itself may have been patched.
        or not all(_source(function) == _SOURCE for function in functions)
    )


def _source(function: object) -> str | None:
    """The file that a function comes from."""
    return getattr(getattr(function, "__code__", None), "co_filename", None)


_SOURCE = _source(ssl.get_default_verify_paths)


class _TlsErrors:
    """Makes errors of the handshake OperationalError 2026.

    No generator: in Python 3.13 the error and the frames of one would refer to each other.
    """

    __slots__ = ("_options",)

    def __init__(self, options: Options) -> None:
        self._options = options

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # ValueError: the host is no name for TLS.
        if isinstance(error, (OSError, ValueError)) and not isinstance(error, TimeoutError):
            advice = ""
            if isinstance(error, ssl.CertificateError):
                advice = _advice(self._options, error)
            raise OperationalError(
                CR.CR_SSL_CONNECTION_ERROR, f"SSL connection error: {error}{advice}"
            ) from error


def _advice(options: Options, error: ssl.CertificateError) -> str:
    """What to do about a certificate whose verification failed."""
    if options.tls.context is not None:
        advice = (
            "the SSLContext of option 'ssl' has to know the authority and the name of the "
            "certificate; ssl_mode='REQUIRED' in its place"
        )
    elif verify_code(error) in _OTHER_NAME:
        advice = (
            "connect to a name that the certificate has; ssl_mode='VERIFY_CA' does not compare "
            "names, ssl_mode='REQUIRED'"
        )
    else:
        advice = (
            "name the authority of the certificate with the option ssl_ca='...'; "
            "ssl_mode='REQUIRED'"
        )
    return f": {advice} encrypts without verifying"


def verify_code(error: ssl.SSLCertVerificationError) -> int:
    """OpenSSL's number for the reason; 0 for errors that others made, which have none."""
    return getattr(error, "verify_code", 0)


def _server_name(options: Options, context: ssl.SSLContext) -> str | None:
    """The name that the certificate is held against, and that is sent (SNI) if it is a name."""
    if context.check_hostname:
        options.host.encode("idna")  # or UnicodeError: `wrap_socket` would leave a socket open
        return options.host
    return None if options.unix_socket is not None else _sent_name(options.host)


@lru_cache(maxsize=64)
def _sent_name(host: str) -> str | None:
    """`host` as it is sent to servers of several names (RFC 6066); None if it can't be sent."""
    name = host.removesuffix(".")
    if not name or name.startswith(".") or address_family(host) is not None:
        return None
    try:
        return name if len(name.encode("idna")) <= _LONGEST_NAME else None
    except UnicodeError:
        return None


def unverified_certificate(stream: Stream) -> bytes | None:
    """The server's certificate (DER) if nobody has verified it."""
    encrypted: ssl.SSLSocket | ssl.SSLObject | None = stream.extra_info("ssl_object")
    if encrypted is None or encrypted.context.verify_mode is not ssl.CERT_NONE:
        return None
    return encrypted.getpeercert(binary_form=True)
