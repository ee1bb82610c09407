"""TLS sessions of earlier connections, which save the next ones most of a handshake.

When a session is resumed, the server's certificate is not verified again.  So a session is offered
only where all that decides on verification is what it was just before the handshake that the
session comes from, and for an hour at most.

An `ssl.SSLSession` refers to its context, so the sessions are kept by the context itself: no
registry keeps a context alive.  The two form a reference cycle.  A caller's context therefore gets
no session before its second connection: programs that make a context for each connection have
theirs freed at once.
"""

from __future__ import annotations

import ssl
import time
from typing import Any, NamedTuple

#: What a session was made with; see `_settings`.
Key = tuple[object, ...]

#: How many tickets are kept for one key, and how many keys for one context.
_MOST_SESSIONS, _MOST_KEYS = 8, 16

#: Seconds from a full handshake until the next.  Each resumed connection may bring a new ticket, so
#: a certificate that was revoked or has expired would else never be looked at again.
_LONGEST_USE = 3600.0

#: How often in a row a server may break off with a session, and not without.
_MOST_FAILURES = 3

#: The attribute of a context for its TlsSessions; None after its first connection.
_ATTRIBUTE = "_aiomysql_tls_sessions"


class KeptSession(NamedTuple):
    """A session and what is known of it."""

    session: ssl.SSLSession
    #: Tickets of TLS 1.3 are (RFC 8446, C.4): who sees one twice can tell that it is one client.
    is_single_use: bool
    #: When the server was verified, by the monotonic clock.
    verified_at: float

    @property
    def is_valid(self) -> bool:
        """Whether it may still be offered."""
        session = self.session
        lifetime, hint = session.timeout, session.ticket_lifetime_hint
        if hint or self.is_single_use:  # in TLS 1.2 a hint of 0 says nothing
            lifetime = min(lifetime, hint)
        return (
            0 <= int(time.time()) - session.time < lifetime
            and time.monotonic() - self.verified_at < _LONGEST_USE
        )


class TlsSessions:
    """The sessions of one context.

    Threads may share it: each step is one operation of a list or dict.  So may a forked process,
    which only uses some tickets a second time.
    """

    def __init__(self) -> None:
        #: The newest last.  None: the server fails when a session is offered.
        self._kept: dict[Key, list[KeptSession] | None] = {}
        #: How often the server has failed so in a row.
        self._failures: dict[Key, int] = {}

    def take(self, key: Key) -> KeptSession | None:
        """The newest session that is still valid, to be offered now."""
        kept = self._kept.get(key)
        while kept:
            try:
                newest = kept.pop()
            except IndexError:  # another thread took it
                break
            if newest.is_valid:
                if not newest.is_single_use:
                    kept.append(newest)
                return newest
        return None

    def wants(self, key: Key, *, is_single_use: bool) -> bool:
        """Whether another session has a place."""
        kept = self._kept.get(key, [])
        return kept is not None and len(kept) < (_MOST_SESSIONS if is_single_use else 1)

    def add(self, key: Key, session: KeptSession) -> None:
        """Keep a session, for which `wants` said that it has a place."""
        kept = self._kept.get(key)
        if kept is None:
            for oldest in list(self._kept)[: 1 - _MOST_KEYS]:
                self._kept.pop(oldest, None)
            kept = self._kept[key] = []
        kept.append(session)

    def forget(self, key: Key) -> None:
        """Drop the sessions of `key`: the server does not know them any more."""
        self._kept.pop(key, None)

    def avoid(self, key: Key) -> None:
        """The server failed when a session was offered, and not without one.

        From the third time in a row on no sessions of `key` are kept or offered.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if failures >= _MOST_FAILURES:
            self._kept[key] = None

    def resumed(self, key: Key) -> None:
        """The server has resumed a session of `key`."""
        self._failures.pop(key, None)


class TlsResumption:
    """One connection's part in it: the session that it offers, and the one that it leaves."""

    __slots__ = ("_address", "_began_at", "_is_own", "_key", "_offered", "_sessions", "has_failed")

    def __init__(self, address: tuple[str, int] | str, is_own: bool) -> None:
        """address: host and port, or the path of a unix socket; is_own: whether the context is the
        driver's own rather than a caller's.
        """
        self._address = address
        self._is_own = is_own
        self._sessions: TlsSessions | None = None
        self._key: Key = ()
        self._offered: KeptSession | None = None
        self._began_at = 0.0
        #: Whether the handshake failed, perhaps for the session that was offered.
        self.has_failed: bool = False

    def begin(self, context: ssl.SSLContext, server_hostname: str | None) -> ssl.SSLSession | None:
        """The session to offer in a handshake with `context`; None: there is none.

        To be called right before, with nothing between that could change the context.
        """
        self._sessions = sessions = _sessions_of(context, self._is_own)
        if sessions is None:
            return None
        self._key = (server_hostname, self._address, *_settings(context))
        self._began_at = time.monotonic()
        self._offered = offered = sessions.take(self._key)
        return None if offered is None else offered.session

    def failed(self, error: BaseException) -> None:
        """The handshake failed."""
        if self._sessions is not None and self._offered is not None:
            self._sessions.forget(self._key)
            # A certificate is looked at only when the session was declined.
            self.has_failed = not isinstance(error, ssl.CertificateError)

    def avoid_sessions(self) -> None:
        """It has failed, and another one without a session has not."""
        if self._sessions is not None:
            self._sessions.avoid(self._key)

    def logged_in(self, connection: ssl.SSLObject | ssl.SSLSocket) -> None:
        """Keep the session of `connection`, on which the server has just let the user in.

        Not before: the tickets of TLS 1.3 come behind the handshake, and a server that refuses the
        user is not one to go on with.
        """
        sessions = self._sessions
        if sessions is None:
            return
        verified_at = self._began_at
        if self._offered is not None:
            if connection.session_reused:
                verified_at = self._offered.verified_at
                sessions.resumed(self._key)
            else:
                sessions.forget(self._key)
        is_single_use = connection.version() == "TLSv1.3"
        if not sessions.wants(self._key, is_single_use=is_single_use):
            return
        session = connection.session  # a copy, which takes a while
        if session is not None and (session.has_ticket or (session.id and not is_single_use)):
            sessions.add(self._key, KeptSession(session, is_single_use, verified_at))


def _sessions_of(context: ssl.SSLContext, is_own: bool) -> TlsSessions | None:
    """The sessions of a context; None: it is to have none."""
    # Others may verify the server in ways that are not known here.  (`ssl.SSLContext` may itself
    # have been replaced by one of them, so its name would tell nothing.)
    if (
        type(context).__module__ != "ssl"
        or context.sslsocket_class is not ssl.SSLSocket
        or context.sslobject_class is not ssl.SSLObject
    ):
        return None
    attributes = vars(context)
    sessions: TlsSessions | None = attributes.get(_ATTRIBUTE)
    if sessions is None:
        if not is_own and _ATTRIBUTE not in attributes:
            attributes[_ATTRIBUTE] = None
        else:
            sessions = attributes[_ATTRIBUTE] = TlsSessions()
    return sessions


def _settings(context: ssl.SSLContext) -> tuple[object, ...]:
    """All that decides on verification, as far as a context tells it."""
    # Numbers: to make enumerations of them takes longer.
    plain: Any = super(type(context), context)
    return (
        plain.verify_mode,
        plain.check_hostname,
        plain.verify_flags,
        plain.options,
        plain.minimum_version,
        plain.maximum_version,
        context.security_level,
        getattr(context, "hostname_checks_common_name", None),
        *context.cert_store_stats().values(),
    )
