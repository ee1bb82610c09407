"""What errors on the way to a connection mean, and what to do: for the doctor and docs/errors.md,
whose table a test compares with this one.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final, NamedTuple

from aiomysql_core.transport.encryption import verify_code
from aiomysql_core.transport.trace import ConnectTrace


class Advice(NamedTuple):
    """The likely cause of an error, and what mends it."""

    cause: str
    remedy: str


#: By number, and where that is not enough by what else is known.
ADVICE: Final[dict[str, Advice]] = {
    "1040": Advice(
        "the server has max_connections sessions",
        "use a pool, and make the sum of all maxsize less than that; connect again later",
    ),
    "1044": Advice(
        "the account may not use this database, or there is none of this name",
        "look at the spelling, or have an administrator GRANT the account rights in it",
    ),
    "1045": Advice(
        "user, password or the host that you come from is not accepted; by change_user() as well,"
        " which closes the connection then",
        "the message says as whom you came, and whether with a password; 'u'@'10.%' and"
        " 'u'@'localhost' are two accounts",
    ),
    "1049": Advice(
        "the server has no database of this name",
        "look at the spelling, which upper and lower case are part of on most servers; SHOW"
        " DATABASES lists those that the account may see",
    ),
    "1129": Advice(
        "too many connections from this machine broke off before the log-in (max_connect_errors)",
        "find what breaks them off, a health check of the port perhaps; then FLUSH HOSTS"
        " (MariaDB) or TRUNCATE performance_schema.host_cache (MySQL) lets the machine in again",
    ),
    "1130": Advice(
        "the server has no account at all that may come from this machine",
        "have an administrator create one: 'user'@'host', with the host that the message names",
    ),
    "1298": Advice(
        "the server does not know the zone of option time_zone, or has other rules for it than"
        " Python",
        "give UTC or an offset that the server has; or have its tables of zones loaded with"
        " mysql_tzinfo_to_sql, and the package tzdata updated here",
    ),
    "1862": Advice(
        "the password has expired",
        "log in with client_flag=CLIENT.HANDLE_EXPIRED_PASSWORDS and change it",
    ),
    "2003: refused": Advice(
        "nobody listens at this port",
        "is the server running, and is this its port? A server that listens on 127.0.0.1 only"
        " (bind_address, skip_networking) is not there for other machines",
    ),
    "2003: unknown name": Advice(
        "the name has no address",
        "look at the spelling; a name that only a VPN, a cluster or a container network knows is"
        " known only inside of it",
    ),
    "2003: no route": Advice(
        "this machine's network has no way to the address",
        "are the network and the VPN up? An IPv6 address needs IPv6 here",
    ),
    "2003: no socket": Advice(
        "there is no such socket, or it may not be opened",
        "SELECT @@socket on the server says where it is; a server in a container has its own files",
    ),
    "2003: no answer": Advice(
        "the address is silent until connect_timeout is over (ConnectTimeout): mostly a firewall"
        " or a security group drops what is sent",
        "have it let this machine through to the port; is the address the right one?",
    ),
    "2003: no greeting": Advice(
        "something takes the connection and says nothing until connect_timeout is over"
        " (ConnectTimeout): it is no MySQL server, a proxy whose server is away, or a server that"
        " hangs",
        "is this the port of MySQL? A proxy that wants TLS first needs ssl_negotiation=direct",
    ),
    "2003: no more": Advice(
        "the server has begun to answer and does not go on until connect_timeout is over"
        " (ConnectTimeout): it is very busy, or waits for something, as init_command may",
        "look at SHOW PROCESSLIST and the log there",
    ),
    "2003: otherwise": Advice(
        "no connection could be made; the message says why",
        "where a name has several addresses, all were tried",
    ),
    "2007": Advice(
        "what listens there is no MySQL server, or an ancient one",
        "is this the port of MySQL? The message has what it said",
    ),
    "2013": Advice(
        "the connection was closed before the log-in was over: by a proxy or a balancer whose"
        " server is away, or by a server that shuts down",
        "look into the log of the server, and of what is in between",
    ),
    "2013: later": Advice(
        "the connection was closed or broke after the log-in: by a server that shuts down or has"
        " ended the session (KILL), or by a proxy or a balancer in between",
        "look into the log of the server, and of what is in between",
    ),
    "2026: a file": Advice(
        "a file of an option about TLS is not there, may not be read, or does not hold what it"
        " should; or the list of ciphers has none that is known here",
        "mend the option that the message names: the files are PEM, and each certificate is to have"
        " its own key",
    ),
    "2026: no TLS": Advice(
        "TLS is insisted on, and the server has none",
        "have the server given a certificate (ssl_cert, ssl_key there); ssl_mode=PREFERRED does"
        " without TLS, and everybody on the way can read then",
    ),
    "2026: unknown authority": Advice(
        "the certificate can't be verified: its authority is not known here",
        "name the authority's file with ssl_ca; never ssl_mode=REQUIRED only to get rid of the"
        " error: that encrypts, and verifies nothing",
    ),
    "2026: another name": Advice(
        "the certificate is for another name than the one you connect to",
        "connect to a name that it has; ssl_mode=VERIFY_CA verifies the authority and not the name",
    ),
    "2026: expired": Advice(
        "the certificate is no longer valid, or not yet",
        "have the server given a new one; is this machine's clock right?",
    ),
    "2026: otherwise": Advice(
        "TLS could not begin; the message says why",
        "look at the options tls_version, ssl_cipher, ssl_cert and ssl_negotiation, and at the"
        " server's tls_version",
    ),
    "2061": Advice(
        "the account's method of authentication, or compression, can't be used; the message says"
        " why",
        "the message names the option that helps, if there is one; else have the account given"
        " another method",
    ),
}

#: What OpenSSL says (X509_V_ERR_...): CERT_NOT_YET_VALID, CERT_HAS_EXPIRED.
_OUT_OF_DATE = frozenset({9, 10})

#: HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH.
_OTHER_NAME = frozenset({62, 64})

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL})
_NO_SOCKET = frozenset({errno.ENOENT, errno.EACCES, errno.ENOTSOCK})


def advice_on(error: BaseException, trace: ConnectTrace) -> Advice | None:
    """What to do about an error of connecting; None: that is not known."""
    number = error.args[0] if error.args else None
    cause = error.__cause__
    if is_option(error, trace):
        return ADVICE["2026: a file"]
    if number == 2013 and trace.is_logged_in:
        return ADVICE["2013: later"]
    if number == 2003:
        if trace.peer is not None and isinstance(cause, TimeoutError):
            is_greeted = trace.session is not None and trace.session.greeting is not None
            return ADVICE["2003: no more" if is_greeted else "2003: no greeting"]
        return ADVICE[f"2003: {unreachable(cause)}"]
    if number == 2026:
        return ADVICE[f"2026: {_tls_failure(error, cause)}"]
    return ADVICE.get(str(number))


def is_option(error: BaseException, trace: ConnectTrace) -> bool:
    """Whether an option about TLS can't be used, for which nothing was opened."""
    return bool(error.args) and error.args[0] == 2026 and trace.session is None


def unreachable(error: BaseException | None) -> str:
    """Why an address can't be reached, in the words of the table."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror):
        return "unknown name"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    number = getattr(error, "errno", None)
    if number in _NO_ROUTE:
        return "no route"
    return "no socket" if number in _NO_SOCKET else "otherwise"


def _tls_failure(error: BaseException, cause: BaseException | None) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        code = verify_code(cause)
        if code in _OTHER_NAME:
            return "another name"
        return "expired" if code in _OUT_OF_DATE else "unknown authority"
    return "no TLS" if cause is None and "SSL is required" in str(error) else "otherwise"
