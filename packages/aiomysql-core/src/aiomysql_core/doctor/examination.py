"""Connects step by step and says what works."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pymysql.constants import CLIENT
from pymysql.err import InternalError, MySQLError

from aiomysql_core.connection import Connection
from aiomysql_core.doctor.advice import ADVICE, Advice, advice_on, is_option, unreachable
from aiomysql_core.doctor.certificate import (
    CertificateSeen,
    CertificateTrace,
    read_certificate,
)
from aiomysql_core.doctor.output import (
    FAILED,
    Secrets,
    Step,
    histogram,
    milliseconds,
)
from aiomysql_core.options.option_files import read_option_file
from aiomysql_core.options.options import address_family, address_text
from aiomysql_core.options.tls import TlsOptions
from aiomysql_core.transport.connect import Address
from aiomysql_core.transport.trace import ConnectTrace, Encryption, watching
from aiomysql_protocol.login.handshake import MULTI_FACTOR
from aiomysql_protocol.wire.capabilities import (
    CACHE_METADATA,
    DEPRECATE_EOF,
    STMT_BULK_OPERATIONS,
    ZSTD_COMPRESSION,
)

#: Seconds for what has no limit of its own.
_LIMIT: Final = 10.0

#: Seconds for a look at what is beside the connection.
_SIDE_LIMIT: Final = 3.0

#: Days before a certificate ends that this is told; seconds that clocks may differ by.
_DAYS_BEFORE_THE_END: Final = 30
_CLOCK_DIFFERENCE: Final = 5.0

_PINGS: Final = 30

_CAPABILITIES: Final = {
    flag: name
    for name, flag in vars(CLIENT).items()
    if name.isupper() and isinstance(flag, int) and flag.bit_count() == 1
} | {
    DEPRECATE_EOF: "DEPRECATE_EOF",
    ZSTD_COMPRESSION: "ZSTD_COMPRESSION",
    MULTI_FACTOR: "MULTI_FACTOR",
    STMT_BULK_OPERATIONS: "STMT_BULK_OPERATIONS",
    CACHE_METADATA: "CACHE_METADATA",
}

_VARIABLES: Final = (
    *("character_set_client", "character_set_server", "collation_connection", "collation_server"),
    *("sql_mode", "autocommit", "time_zone", "system_time_zone"),
    *("max_allowed_packet", "wait_timeout", "max_connections"),
)

Report = Callable[[Step], None]


async def examine(options: Mapping[str, Any], report: Report) -> bool:
    """Connect as `connect(**options)` does and look at everything on the way.

    report: is given each step as it ends.  Returns whether all steps succeeded.  Raises TypeError,
    ValueError, NotSupportedError or ProgrammingError for a bad option.
    """
    # What is logged or warned of would stand between the steps.
    given = {**options, "echo": False, "get_warnings": False, "use_unicode": True}
    return await _Examination(given, report).run()


def in_option_file(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the option file that `options` name sets; nothing if it can't be read."""
    path = options.get("read_default_file")
    if not path:
        return {}
    try:
        return read_option_file(path, options.get("read_default_group"))
    except ValueError:  # connecting says it
        return {}


def failed(name: str, error: BaseException, secrets: Secrets, advice: Advice | None) -> Step:
    """The step that ended with `error`."""
    number = error.args[0] if isinstance(error, MySQLError) and len(error.args) > 1 else None
    if isinstance(error, TimeoutError) and not str(error):
        message = "no answer in time"
    else:
        message = str(error.args[-1]) if error.args else type(error).__name__
    message = secrets.hide(message)
    step = Step(name, FAILED, [message if number is None else f"error {number}: {message}"])
    step.facts |= {"error": number, "message": message}
    other = "look the error up in the server's manual"
    if not number:
        other = "find out what says that: a MySQL server, or a proxy in between?"
    step.cause, step.remedy = advice or Advice("", other)
    return step


def failed_step(error: BaseException, trace: ConnectTrace) -> str:
    """The name of the step of connecting that ended with `error`."""
    if is_option(error, trace):
        return "Options"
    if trace.peer is None:
        return "Name" if isinstance(error.__cause__, socket.gaierror) else "TCP"
    if error.args and error.args[0] == 2026:
        return "TLS"
    if trace.session is None or trace.session.greeting is None:
        return "Server"
    return "Session" if trace.is_logged_in else "Log-in"


class _Examination:
    """One examination."""

    def __init__(self, options: Mapping[str, Any], report: Report) -> None:
        self._options = options
        self._connection = Connection(**options)
        self._report_to = report
        self._in_file = in_option_file(options)
        self._secrets = Secrets(options, self._in_file)
        self._succeeds = True
        self._trace = ConnectTrace()
        limit = self._connection.connect_timeout
        self._limit = _LIMIT if limit is None else limit

    async def run(self) -> bool:
        addresses = await self._look_up()
        if addresses is None:
            return False
        if not await self._connect(addresses):
            return False
        try:
            for name, look in (
                ("Session", self._session),
                ("Clock", self._clock),
                ("Limits", self._limits),
                ("Round trips", self._round_trips),
            ):
                await self._look(name, look)
                if self._connection.closed:
                    break
        finally:
            await self._connection.ensure_closed()
        if len(addresses) > 1:
            await self._other_addresses(addresses)
        return self._succeeds

    def _report(self, step: Step) -> None:
        self._succeeds = self._succeeds and step.status != FAILED
        self._report_to(step)

    def _fail(self, name: str, error: BaseException, advice: Advice | None) -> Step:
        return failed(name, error, self._secrets, advice)

    async def _look(self, name: str, look: Callable[[], Awaitable[Step]]) -> None:
        try:
            async with asyncio.timeout(self._limit):
                step = await look()
        except (MySQLError, OSError) as error:
            advice = advice_on(error, self._trace)
            if isinstance(error, TimeoutError):
                advice = ADVICE["2003: no more"]
            step = self._fail(name, error, advice)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            odd = InternalError(0, f"the server's answer is of no use: {error}")
            step = self._fail(name, odd, None)
        self._report(step)

    # -- names and addresses ---------------------------------------------------------------------

    async def _look_up(self) -> list[Address] | None:
        """The addresses of the server; none for a unix socket, None after an error."""
        connection = self._connection
        step = Step("Name")
        if connection.unix_socket is not None:
            step.lines = [f"the unix socket {connection.unix_socket} of this machine"]
            step.facts = {"unix_socket": connection.unix_socket}
            self._report(step)
            return []
        host, port = connection.host, connection.port
        step.facts = {"host": host, "port": port}
        family = address_family(host)
        if family is not None:
            step.lines = [f"{host} is an address"]
            step.facts["addresses"] = [host]
            self._report(step)
            return [(family, (host, port))]
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._limit):
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            advice = ADVICE["2003: unknown name"]
            failure = self._fail("Name", error, advice)
            failure.lines[0] = f"{host}: {failure.lines[0]}"
            failure.facts = {**step.facts, **failure.facts}
            self._report(failure)
            return None
        took = time.perf_counter() - began
        addresses: list[Address] = list(dict.fromkeys((item[0], item[4]) for item in found))
        texts = [str(where[0]) for _, where in addresses]
        plural = "" if len(texts) == 1 else "es"
        step.lines = [
            f"{host} has the address{plural} {', '.join(texts)}, known after {milliseconds(took)}"
        ]
        step.facts |= {"addresses": texts, "seconds": took}
        self._report(step)
        return addresses

    async def _other_addresses(self, addresses: list[Address]) -> None:
        """Whether those of the name that were not used are reached as well."""
        peer = self._trace.peer
        others = [one for one in addresses if tuple(one[1][:2]) != tuple(peer[:2])]
        if not others:
            return
        step = Step("Other addresses")
        words = await self._reach(others)
        step.lines = [f"{where}: {word}" for where, word in words.items()]
        step.facts = {"reached": words}
        if any(word != "reached" for word in words.values()):
            step.warn(
                "not every address of the name leads to a server; the first that answers is used,"
                " and a silent one costs a quarter of a second",
                "have the name lead only where the server listens, or connect to the address",
            )
        self._report(step)

    async def _reach(self, addresses: list[Address]) -> dict[str, str]:
        """What happens at each address."""
        loop = asyncio.get_running_loop()

        async def reach(address: Address) -> str:
            family, where = address
            try:
                with socket.socket(family, socket.SOCK_STREAM) as sock:
                    sock.setblocking(False)
                    async with asyncio.timeout(_SIDE_LIMIT):
                        await loop.sock_connect(sock, where)
            except OSError as error:
                return unreachable(error)
            return "reached"

        words = await asyncio.gather(*map(reach, addresses))
        texts = [address_text(where[0], where[1]) for _, where in addresses]
        return dict(zip(texts, words, strict=True))

    # -- connecting ------------------------------------------------------------------------------

    async def _connect(self, addresses: list[Address]) -> bool:
        """Open the connection; report each step on the way to it."""
        token = watching.set(self._trace)
        began = time.perf_counter()
        error: Exception | None = None
        try:
            await self._connection.ping()  # which opens it, as `connect` does
        except (MySQLError, OSError) as caught:
            error = caught
        finally:
            watching.reset(token)
        took = time.perf_counter() - began
        name = "" if error is None else failed_step(error, self._trace)
        steps: dict[str, Callable[[], Step | None]] = {
            "Options": lambda: None,
            "TCP": self._tcp,
            "Server": self._server,
            "TLS": self._tls,
            "Log-in": lambda: self._log_in(took),
        }
        for reached, describe in steps.items():
            if reached == name or (name == "Name" and reached == "TCP"):
                break
            step = describe()
            if step is not None:
                self._report(step)
        if error is not None:
            self._report(await self._failure(name, error, addresses))
        return error is None

    async def _failure(self, name: str, error: Exception, addresses: list[Address]) -> Step:
        """The step of connecting that failed."""
        trace = self._trace
        step = self._fail(name, error, advice_on(error, trace))
        if name == "TCP" and len(addresses) > 1:
            words = await self._reach(addresses)
            step.facts["reached"] = words
            step.lines += [f"{where}: {word}" for where, word in words.items()]
            if len(set(words.values())) == 1:
                (word,) = set(words.values())
                step.cause, step.remedy = ADVICE.get(f"2003: {word}", (step.cause, step.remedy))
        elif name == "Server" and step.facts["error"] == 2003:
            kind = await self._kind_of_peer()
            step.facts["protocol"] = kind or None
            if kind == "HTTP":
                step.cause = "it is a web server: to a request of HTTP it answers"
                step.remedy = "connect to the port of MySQL, which mostly is 3306"
            elif kind == "TLS":
                step.cause = "it speaks TLS from the first byte: a proxy, or a web server (HTTPS)"
                step.remedy = (
                    "for a proxy set ssl_negotiation=direct with ssl_mode=REQUIRED, or one that"
                    " verifies; else connect to the port of MySQL"
                )
        elif name == "Server" and "b'SSH-" in step.lines[0]:
            step.facts["protocol"] = "SSH"
            step.cause = "it is an SSH server"
            step.remedy = (
                "connect to the port of MySQL; through a tunnel (ssh -L) to the tunnel's own port"
            )
        elif name == "TLS":
            encryption = trace.encryption or await self._unverified()
            if encryption is not None and encryption.certificate is not None:
                step.lines += self._certificate_lines(encryption, step.facts)
        return step

    async def _kind_of_peer(self) -> str:
        """What else a peer speaks that says nothing by itself: "HTTP", "TLS" or ""."""
        peer = self._trace.peer
        if not isinstance(peer, tuple) or not peer:
            return ""
        family = socket.AF_INET6 if len(peer) == 4 else socket.AF_INET
        loop = asyncio.get_running_loop()
        begin = b""
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            async with asyncio.timeout(_SIDE_LIMIT):
                await loop.sock_connect(sock, peer)
                await loop.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n")
                begin = await loop.sock_recv(sock, 1 << 10)
        # An alert or a handshake of TLS; servers of HTTPS mostly say it as HTTP.
        if begin[:2] in (b"\x15\x03", b"\x16\x03") or b"HTTPS" in begin.upper():
            return "TLS"
        return "HTTP" if begin.startswith(b"HTTP/") else ""

    async def _unverified(self) -> Encryption | None:
        """TLS without verification, to look at the certificate; nothing about the user is sent."""
        left_out = {"ssl", "ssl_ca", "ssl_capath", "ssl_verify_cert", "ssl_verify_identity"}
        # What the file says of TLS could not be taken back; compression begins after that.
        left_out |= {"read_default_file", "read_default_group", "compress", "compression"}
        given = {**self._options, **self._in_file}
        options = {name: value for name, value in given.items() if name not in left_out}
        trace = CertificateTrace()
        token = watching.set(trace)
        try:
            other = Connection(**{**options, "ssl_mode": "REQUIRED"})
            with contextlib.suppress(CertificateSeen):
                await other.ping()
        except (MySQLError, OSError, ValueError):
            return None
        finally:
            watching.reset(token)
        return trace.encryption

    def _tcp(self) -> Step:
        peer = self._trace.peer
        if self._connection.unix_socket is not None:
            return Step("TCP", lines=["not needed: the socket is connected"])
        where = address_text(peer[0], peer[1]) if peer else "the address"
        return Step("TCP", lines=[f"connected to {where}"], facts={"address": where})

    def _server(self) -> Step | None:
        session = self._trace.session
        if session is None or session.greeting is None:  # direct TLS has failed before it
            return None
        greeting = session.greeting
        kind = "MariaDB" if "MariaDB" in greeting.server_version else "MySQL"
        offered, used = (
            [name for flag, name in _CAPABILITIES.items() if flags & flag]
            for flags in (greeting.capabilities, session.capabilities)
        )
        facts = {
            "kind": kind,
            "version": greeting.server_version,
            "thread_id": greeting.thread_id,
            "capabilities_offered": offered,
        }
        lines = [
            f"{kind}, version {greeting.server_version}; this is session {greeting.thread_id}",
            f"It offers {', '.join(offered)}.",
        ]
        if self._trace.is_logged_in:
            facts["capabilities_used"] = used
            lines.append(f"In use are {', '.join(used)}.")
        return Step("Server", lines=lines, facts=facts)

    # -- TLS and log-in --------------------------------------------------------------------------

    def _tls(self) -> Step:
        trace = self._trace
        assert trace.session is not None
        encryption = trace.encryption
        step = Step("TLS")
        greeting = trace.session.greeting
        offered = greeting is not None and bool(greeting.capabilities & CLIENT.SSL)
        is_local = self._is_local()
        step.facts = {"encrypted": encryption is not None, "offered": offered}
        if encryption is None:
            step.lines = ["not encrypted"]
            if not offered:
                step.lines[0] += ": the server has no TLS"
            elif self._is_switched_off():
                step.lines[0] += ": the options say so"
            elif is_local:
                step.lines[0] += ": it is on this machine (ssl_mode=REQUIRED encrypts here, too)"
            if not is_local:
                step.warn(
                    "who is on the way can read everything",
                    "set ssl_mode=VERIFY_IDENTITY and ssl_ca, on a server that has a certificate",
                )
            return step
        step.lines = [f"{encryption.version}, {encryption.cipher}"]
        if encryption.resumed:
            step.lines[0] += ", an earlier session resumed"
        step.facts |= {
            "version": encryption.version,
            "cipher": encryption.cipher,
            "resumed": encryption.resumed,
        }
        verified = "no"
        if encryption.verifies:
            verified = "authority and name" if encryption.verifies_name else "authority"
        elif trace.is_logged_in and trace.login is not None and trace.login.is_proven:
            verified = "by the password"
        step.facts["verified"] = verified
        step.lines.append(
            {
                "no": "Not verified: neither that an authority has signed the certificate nor its"
                " name.",
                "authority": "Verified: that an authority has signed the certificate; not its"
                " name.",
                "authority and name": "Verified: that an authority has signed the certificate, and"
                " that it is for this name.",
                "by the password": "Verified: by the password, which the server knows.",
            }[verified]
        )
        step.lines += self._certificate_lines(encryption, step.facts)
        if verified == "no" and not is_local:
            step.warn(
                "it is not known who answers: somebody in between could read everything",
                "set ssl_ca to the authority's file and ssl_mode=VERIFY_IDENTITY, or VERIFY_CA",
            )
        days = step.facts.get("days_left")
        if days is not None and days < _DAYS_BEFORE_THE_END:
            step.warn(
                "the certificate has expired"
                if days < 0
                else f"the certificate ends in {days} days",
                "have the server given a new one: clients that verify refuse it then",
            )
        return step

    def _certificate_lines(self, encryption: Encryption, facts: dict[str, Any]) -> list[str]:
        """What the certificate says, in words and into `facts`."""
        found = read_certificate(encryption.certificate)
        if found is None:
            return ["What the certificate says is not known: cryptography is not installed."]
        days = (found.valid_until - dt.datetime.now(dt.UTC)) // dt.timedelta(days=1)
        facts |= {
            "subject": found.subject,
            "issuer": found.issuer,
            "names": found.names,
            "valid_from": found.valid_from.isoformat(),
            "valid_until": found.valid_until.isoformat(),
            "days_left": days,
        }
        left = f"expired {-days} days ago" if days < 0 else f"{days} days left"
        names = ", ".join(found.names) or "(none)"
        return [
            f"The certificate is of {found.subject}, by {found.issuer}, for the names {names}.",
            f"Valid from {found.valid_from:%Y-%m-%d} to {found.valid_until:%Y-%m-%d} ({left}).",
        ]

    def _is_local(self) -> bool:
        peer = self._trace.peer
        if self._connection.unix_socket is not None or not peer:
            return self._connection.unix_socket is not None
        return ipaddress.ip_address(str(peer[0]).partition("%")[0]).is_loopback

    def _is_switched_off(self) -> bool:
        given = {name: self._options[name] for name in ("ssl", "ssl_mode") if name in self._options}
        disabled = bool(self._options.get("ssl_disabled"))
        return disabled or TlsOptions.from_keywords(given).mode == "DISABLED"

    def _log_in(self, took: float) -> Step:
        login = self._trace.login
        assert login is not None
        step = Step("Log-in")
        user = self._connection.user
        default = login.server_auth_plugin or "not named"
        step.lines = [
            f"as {user}, by {login.auth_plugin} (the server's own method is {default})",
        ]
        step.facts = {
            "user": user,
            "auth_plugin": login.auth_plugin,
            "server_auth_plugin": login.server_auth_plugin,
        }
        if not self._connection.closed:
            step.lines.append(f"Connecting took {milliseconds(took)} in all.")
            step.facts["seconds"] = took
        return step

    # -- the session -----------------------------------------------------------------------------

    async def _variables(self) -> dict[str, str]:
        """Those that the server has."""
        names = ", ".join(f"'{name}'" for name in _VARIABLES)
        rows = await self._connection.fetchall(
            f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})"
        )
        return {str(name).lower(): str(value) for name, value in rows}

    async def _session(self) -> Step:
        found = await self._variables()
        account, database = await self._connection.fetchone(
            "SELECT CURRENT_USER(), DATABASE()"
        ) or (None, None)
        facts = {"account": account, "database": database}
        facts |= {name: found.get(name) for name in _VARIABLES[:6]}
        lines = [
            f"account {account}, database {database or '(none)'}",
            f"Character set {facts['character_set_client']}, {facts['collation_connection']}.",
            f"The server's own: {facts['character_set_server']}, {facts['collation_server']}.",
            f"sql_mode: {(facts['sql_mode'] or '(none)').replace(',', ', ')}.",
            f"autocommit: {facts['autocommit']}.",
        ]
        step = Step("Session", lines=lines, facts=facts)
        if "STRICT_" not in (facts["sql_mode"] or ""):
            step.warn(
                "sql_mode has no strict mode: values that don't fit are stored cut off or changed",
                "set sql_mode, or the server's default, to one with STRICT_TRANS_TABLES",
            )
        return step

    async def _clock(self) -> Step:
        found = await self._variables()
        before = time.time()
        (row,) = await self._connection.fetchall(
            "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR),"
            " CAST(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()) AS CHAR)"
        )
        now, zone = row
        after = time.time()
        theirs = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC).timestamp()
        difference, uncertainty = theirs - (before + after) / 2, (after - before) / 2
        minutes = round(int(zone) / 60)
        sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
        offset = f"{sign}{hours:02}:{rest:02}"
        names = {name: found.get(name) for name in ("time_zone", "system_time_zone")}
        facts = {
            "seconds_ahead": difference,
            "uncertainty": uncertainty,
            "utc_offset": offset,
            **names,
        }
        direction = "ahead of" if difference >= 0 else "behind"
        step = Step("Clock", facts=facts)
        apart, within = milliseconds(abs(difference)), milliseconds(uncertainty)
        step.lines = [
            f"the server's is {apart} {direction} this machine's (give or take {within})",
            f"Time zone {names['time_zone']} (the system's is {names['system_time_zone']}).",
            f"NOW() is UTC{offset}.",
        ]
        if abs(difference) > _CLOCK_DIFFERENCE + uncertainty:
            step.warn(
                "the clocks differ",
                "have both set by NTP; certificates and tokens are valid by the clock",
            )
        return step

    async def _limits(self) -> Step:
        found = await self._variables()
        names = ("max_allowed_packet", "wait_timeout", "max_connections")
        facts = {name: int(found[name]) for name in names if name in found}
        words = {
            "max_allowed_packet": "bytes in a statement or a row",
            "wait_timeout": "seconds until an idle session is closed (a pool's pool_recycle is to"
            " be less)",
            "max_connections": "sessions of all clients together",
        }
        lines = [f"{name} {facts[name]:,}: {words[name]}." for name in names if name in facts]
        return Step("Limits", lines=lines or ["the server tells none"], facts=dict(facts))

    async def _round_trips(self) -> Step:
        times: list[float] = []
        until = time.perf_counter() + self._limit / 2
        while len(times) < _PINGS and (not times or time.perf_counter() < until):
            began = time.perf_counter()
            await self._connection.ping(reconnect=False)
            times.append(time.perf_counter() - began)
        ordered = sorted(times)
        facts = {
            "count": len(times),
            "fastest": ordered[0],
            "median": ordered[len(ordered) // 2],
            "slowest": ordered[-1],
            "seconds": times,
        }
        summary = ", ".join(
            f"{name} {milliseconds(ordered[at])}"
            for name, at in (("fastest", 0), ("median", len(ordered) // 2), ("slowest", -1))
        )
        lines = [f"{len(times)}: {summary}", *histogram(times)]
        return Step("Round trips", lines=lines, facts=facts)
