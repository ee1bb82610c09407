"""What TCP does about peers that are gone: keepalive probes and the time for unanswered data."""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pymysql.err import NotSupportedError

#: Probes without a response after which a peer is gone, where only the time between them is given.
_PROBES = 3

# The most that Linux takes: seconds, probes, milliseconds.
_MOST_SECONDS = 32767
_MOST_PROBES = 127
_MOST_MILLISECONDS = (1 << 31) - 1

#: What macOS calls TCP_KEEPALIVE others call TCP_KEEPIDLE.
_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
_INTERVAL = getattr(socket, "TCP_KEEPINTVL", None)
_COUNT = getattr(socket, "TCP_KEEPCNT", None)
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


#: The families of TCP, and what tells that of a socket: both as numbers, because to make an
#: enumeration of one takes longer than to set all of this.
_INTERNET = int(socket.AF_INET), int(socket.AF_INET6)
_family = socket.SocketType.family.__get__


@dataclass(frozen=True, slots=True)
class TcpOptions:
    """What is set on a TCP socket."""

    #: Seconds of silence before the first probe, seconds between probes, and how many may remain
    #: unanswered; None: as the system has it.
    keepalive: tuple[int, int, int] | None = None
    #: Milliseconds that data may remain without acknowledgement; None: as the system has it.
    user_timeout: int | None = None

    @classmethod
    def resolve(cls, tcp_keepalive: Any, tcp_user_timeout: Any) -> Self:
        """From the keywords of connect().

        Raises TypeError, ValueError, or NotSupportedError where the system can't do it, all of
        which name the option.
        """
        return cls(_keepalive(tcp_keepalive), _user_timeout(tcp_user_timeout))

    def apply(self, sock: socket.socket) -> None:
        """Set them on `sock`, and small requests to go at once.  Does nothing unless it is TCP."""
        if _family(sock) not in _INTERNET:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.keepalive is not None:
            for option, value in zip((_IDLE, _INTERVAL, _COUNT), self.keepalive, strict=True):
                assert option is not None
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        if self.user_timeout is not None:
            assert _USER_TIMEOUT is not None
            sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, self.user_timeout)


def _keepalive(given: Any) -> tuple[int, int, int] | None:
    if given is None:
        return None
    name = "option 'tcp_keepalive'"
    values = (given, given, _PROBES) if isinstance(given, int) else given
    if (
        not isinstance(values, Sequence)
        or isinstance(values, (str, bytes))
        or not all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    ):
        raise TypeError(
            f"{name} must be whole seconds, or (idle seconds, seconds between probes, probes), "
            f"not {type(given).__name__}"
        )
    if len(values) != 3:
        raise ValueError(f"{name} must have three parts, not {len(values)}: {given!r}")
    idle, interval, count = values
    if not (
        0 < idle <= _MOST_SECONDS and 0 < interval <= _MOST_SECONDS and 0 < count <= _MOST_PROBES
    ):
        raise ValueError(
            f"{name} must be from 1 to {_MOST_SECONDS} s with 1 to {_MOST_PROBES} probes, "
            f"not {given!r}"
        )
    if None in (_IDLE, _INTERVAL, _COUNT):
        raise NotSupportedError(f"{name}: this system can't set the times of keepalive probes")
    return idle, interval, count


def _user_timeout(given: Any) -> int | None:
    if given is None:
        return None
    name = "option 'tcp_user_timeout'"
    if not isinstance(given, (int, float)) or isinstance(given, bool):
        raise TypeError(f"{name} must be of type int, float, NoneType, not {type(given).__name__}")
    if not 0 < given <= _MOST_MILLISECONDS / 1000:
        raise ValueError(f"{name} must be above 0 s, up to {_MOST_MILLISECONDS} ms, not {given}")
    if _USER_TIMEOUT is None:
        raise NotSupportedError(f"{name}: this system has no TCP_USER_TIMEOUT (Linux has)")
    return math.ceil(given * 1000)
