"""A socket stream whose bytes are encrypted: by an `ssl.SSLSocket`, which does not block.

The event loop watches the descriptor, as it does for a plain one.  What is different:

- A record is decrypted whole, so there may be bytes to be read which the loop does not see.
- To write may have to wait until something was read, and the other way round: TLS 1.2 can begin a
  new handshake at any time.
- A write that was not possible has to be tried again with the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from aiomysql_core.transport.socket_stream import SocketStream
from aiomysql_protocol.session import Session

#: Bytes of a read after which another is tried: records of a long response are nearly full.
_MORE_IS_LIKELY = 1 << 12

#: The most bytes that are encrypted, and decrypted, at one go: others wait for the event loop.
_MOST_WRITTEN = _MOST_READ = 1 << 18


async def handshake(loop: asyncio.AbstractEventLoop, sock: ssl.SSLSocket) -> None:
    """Do the TLS handshake, if it was not done yet.

    sock: connected and not blocking.  Raises ssl.SSLError or OSError when it fails, and
    NotImplementedError when the loop can't watch sockets.
    """
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            watch, unwatch = loop.add_reader, loop.remove_reader
        except ssl.SSLWantWriteError:
            watch, unwatch = loop.add_writer, loop.remove_writer
        except AttributeError:
            raise ssl.SSLError("TLS has ended on this socket: it was unwrapped") from None
        descriptor = sock.fileno()
        possible = loop.create_future()
        watch(descriptor, _set, possible)
        try:
            await possible
        finally:
            unwatch(descriptor)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _read_into(sock: ssl.SSLSocket, room: memoryview) -> int:
    """Not by `recv_into`, which takes for decrypted what comes after the end of TLS."""
    count = sock.read(len(room), room)
    assert isinstance(count, int)  # with a buffer it is no bytes
    return count


def _as_os_error(error: OSError | ValueError) -> OSError:
    """A ValueError says that somebody else has closed the socket, or ended TLS."""
    return error if isinstance(error, OSError) else OSError(str(error))


class TlsStream(SocketStream):
    """Needs a loop with `add_reader`, and a socket whose handshake is done."""

    _sock: ssl.SSLSocket | None

    def __init__(
        self,
        session: Session,
        loop: asyncio.AbstractEventLoop,
        sock: ssl.SSLSocket,
        given: socket.socket | None = None,
    ) -> None:
        """Raises NotImplementedError when the loop can't watch sockets.

        sock: not blocking; the stream's own from now on.  given: another socket of the same
        connection, which is closed with it.
        """
        super().__init__(session, loop, sock)
        self._encrypted = True
        self._given = given
        # Why nothing more can be read, while bytes that came before are read.
        self._failure: OSError | ValueError | None = None
        self._write_waits_for_read = self._read_waits_for_write = False
        # What its user has not read of a record makes no descriptor readable.
        self._look_again = sock.pending() > 0
        if self._look_again:
            self._read_soon()

    def extra_info(self, name: str) -> Any:
        sock = self._sock
        if sock is None:
            return None
        match name:
            case "ssl_object":
                return sock
            case "sslcontext":
                return sock.context
            case "peercert":
                return sock.getpeercert()
            case "cipher":
                return sock.cipher()
            case "compression":
                return sock.compression()
        return super().extra_info(name)

    def expect_end(self) -> None:
        # Servers end a connection without saying so in TLS.  To OpenSSL that is an error, and the
        # connection's session can't be resumed after it (from Python 3.14 on, where it's no copy).
        if self._sock is not None and not self._unsent and not self._write_waits_for_read:
            self.loop.add_reader(self._descriptor, self._wait_for_end)

    def _wait_for_end(self) -> None:
        """Discard what comes, without decrypting it."""
        if self._sock is None:
            return
        try:
            if socket.socket.recv(self._sock, _MORE_IS_LIKELY):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # that is an end as well
            pass
        self.connection_lost(None)

    def close(self) -> None:
        if self._write_waits_for_read:  # nothing is read any more
            self.abort()
        else:
            super().close()

    def abort(self) -> None:
        if self._closing and not self._unsent and self._sock is not None:
            self._say_goodbye(self._sock)
        super().abort()

    def _shut(self) -> bool:
        if self._read_waits_for_write and self._sock is not None and not self.from_parent_process:
            self._read_waits_for_write = False
            with contextlib.suppress(RuntimeError):
                self.loop.remove_writer(self._descriptor)
        if self._given is not None:
            self._given.close()
        return super()._shut()

    def _say_goodbye(self, sock: ssl.SSLSocket) -> None:
        """Tell the server that no bytes were cut off; nobody waits for its own notice."""
        if not self.from_parent_process:
            with contextlib.suppress(OSError, ValueError):
                sock.unwrap()

    # -- writing ---------------------------------------------------------------------------------

    def _send(self, data: bytes | bytearray) -> int:
        sock = self._sock
        if sock is None:
            return len(data)
        try:
            # Not `send`, which sends in clear what comes after the end of TLS.
            if len(data) <= _MOST_WRITTEN:
                return sock.write(data)
            with memoryview(data) as view, view[:_MOST_WRITTEN] as piece:
                return sock.write(piece)
        except ssl.SSLWantWriteError:
            return 0
        except ssl.SSLWantReadError:
            self._write_waits_for_read = self._look_again = True
            return 0
        except (OSError, ValueError) as error:
            self.loop.call_soon(self._read_last_words, _as_os_error(error))
            return len(data)

    def _writable(self) -> None:
        if self._read_waits_for_write:
            self._read_waits_for_write = False
            if not self._unsent:
                self.loop.remove_writer(self._descriptor)
            if not self._reading_paused:
                self.loop.add_reader(self._descriptor, self.readable)
            self.readable()
        if self._unsent:
            super()._writable()
        if self._sock is None:
            return
        if self._read_waits_for_write:
            self.loop.add_writer(self._descriptor, self._writable)
        elif self._write_waits_for_read:
            self.loop.remove_writer(self._descriptor)

    # -- reading ---------------------------------------------------------------------------------

    def _receive(self) -> int:
        """Decrypt into the buffer what has come; returns the number of bytes, 0 at their end.

        In C it is a part of `readable`.  Raises BlockingIOError if there is nothing, and OSError.
        """
        if self._look_again:
            return self._receive_more(0)
        sock, room = self._sock, self._free_space()
        assert sock is not None
        try:
            count = _read_into(sock, room)
        except (OSError, ValueError) as error:
            return self._not_received(error)
        if count < min(_MORE_IS_LIKELY, len(room)):
            return count
        return self._receive_more(count)

    def _receive_more(self, count: int) -> int:
        """Go on behind `count` bytes; otherwise as `_receive`."""
        self._look_again = False
        if self._write_waits_for_read:
            self._write_waits_for_read = False
            self.loop.add_writer(self._descriptor, self._writable)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            return self._not_received(failure)
        sock, room = self._sock, self._free_space()[count:_MOST_READ]
        assert sock is not None
        try:
            while room:
                read = _read_into(sock, room)
                if not read:
                    self._look_again = count > 0  # the loop may not tell of the end again
                    return count
                count += read
                if read < min(_MORE_IS_LIKELY, len(room)):
                    return count
                room = room[read:]
            self._look_again = sock.pending() > 0
        except ssl.SSLWantReadError as nothing:
            if not count:
                return self._not_received(nothing)
        except (OSError, ValueError) as error:
            if not count:
                return self._not_received(error)
            self._failure, self._look_again = error, True
        return count

    def _not_received(self, error: OSError | ValueError) -> int:
        """Raise what `error` means, when nothing was received."""
        if isinstance(error, ssl.SSLWantWriteError):
            self._read_waits_for_write = True
            self.loop.remove_reader(self._descriptor)  # which may be readable all the time
            self.loop.add_writer(self._descriptor, self._writable)
        if isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError)):
            raise BlockingIOError from None
        raise _as_os_error(error)

    def _resume_reading(self) -> None:
        super()._resume_reading()
        if self._look_again and self._sock is not None:
            self._read_soon()

    def _read_soon(self) -> None:
        self.loop.call_soon(self.readable)
