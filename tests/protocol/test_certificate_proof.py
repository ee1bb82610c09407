"""Certificates that the password has to prove, and servers that can't."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import CLIENT
from pymysql.err import InternalError, MySQLError, OperationalError

from aiomysql_protocol.login.auth import AUTH_METHODS, AuthContext
from aiomysql_protocol.login.certificate_proof import sends_proof
from aiomysql_protocol.login.handshake import parse_greeting
from aiomysql_protocol.login.login import Login, LoginOptions, Tls
from tests import scripted
from tests.protocol.blocking import new_session

NONCE = b"ABCDEFGHIJKLMNOPQRST"
NONCE32 = bytes(range(64, 96))
PASSWORD = b"secret"
CERTIFICATE = b"certificate"
MARIADB = (scripted.CAPABILITIES | CLIENT.SSL) & ~CLIENT.LONG_PASSWORD
OPTIONS = LoginOptions(b"u", PASSWORD, database=None, collation_id=45, tls=Tls.REQUIRED)
PREFERRED = replace(OPTIONS, tls=Tls.PREFERRED)

# What the servers' tables have for the password "secret"; the digests are made with openssl.
SALT = base64.b64decode("EHKeuJ7UVfCljIlpCRvk8Yeu")
HASHES = {
    "mysql_native_password": bytes.fromhex("14e65567abdb5135d0cfd9a70b3032c179a49ee7"),
    "client_ed25519": base64.b64decode("ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY="),
    "parsec": b"P\0" + SALT + base64.b64decode("/dyzOdMM7RqbPMSIocfKFaikCWU6hlTJNir9WSQL0bo="),
}
DIGESTS = {
    "mysql_native_password": b"A07AB53E80B4AD3BD4709A1E76F892E68248B8353754B3C65D9994F574880E75",
    "client_ed25519": b"D56A39E95C9215A7983FD3B069FA0EF6EF3DF7482BB8C476782343B6AAB33778",
    "parsec": b"F1ECE8ABB68A13F6B0BF11A30E0EF916080CD27181BF78E0DC07A681A8396C1B",
}


class Play:
    """A log-in under TLS whose server says what the test lets it say."""

    def __init__(
        self,
        options: LoginOptions = OPTIONS,
        *,
        certificate: bytes | None = CERTIFICATE,
        proof_required: bool = True,
        **hello: Any,
    ) -> None:
        self.login = Login(options, proof_required=proof_required)
        self.session = new_session()
        self.session.start(self.login)
        self.sent = b""
        hello = {
            "version": "11.8.9-MariaDB",
            "capabilities": MARIADB,
            "nonce": NONCE,
            **hello,
        }
        self.say(scripted.greeting(**hello))
        assert self.login.tls_wanted
        self.login.tls_started(certificate)
        self.sent += self.session.data_to_send()

    def say(self, payload: bytes) -> bytes:
        """Send one packet; returns the payload of the client's response."""
        data = bytearray(scripted.frame(payload, self.login.sequence_id))
        self.session.receive(data, 0, len(data))
        response = self.session.data_to_send()
        self.sent += response
        return response[4:]

    def switch(self, plugin: str) -> bytes:
        nonce = NONCE32 if plugin in ("client_ed25519", "parsec") else NONCE[::-1]
        response = self.say(b"\xfe" + plugin.encode() + b"\0" + nonce + b"\0")
        if plugin == "parsec":
            response = self.say(b"\x01P\0" + SALT)
        return response

    def end(self, message: bytes) -> MySQLError | None:
        """Send OK with `message`; returns how the log-in ended."""
        self.say(scripted.ok() + message)
        assert self.login.done
        error = self.login.error
        assert error is None or isinstance(error, MySQLError)
        return error


def unproven(error: BaseException | None, words: str) -> None:
    assert isinstance(error, OperationalError)
    assert error.args[0] == 2026
    assert words in str(error)
    assert "ssl_ca" in str(error)
    assert "ssl_mode='REQUIRED'" in str(error)


@pytest.mark.parametrize("plugin", HASHES)
def test_hashes(plugin: str) -> None:
    method: Any = AUTH_METHODS[plugin](
        AuthContext(PASSWORD, NONCE if plugin == "mysql_native_password" else NONCE32, True)
    )
    if plugin != "mysql_native_password":
        assert method.hash_password() == b""  # not made for those who don't ask
    method.start()
    if plugin == "parsec":
        method.step(b"P\0" + SALT)
    assert method.hash_password() == HASHES[plugin]


@pytest.mark.parametrize("switched", [False, True])
@pytest.mark.parametrize("plugin", DIGESTS)
@pytest.mark.parametrize("proof_required", [True, False])
def test_right_proof(plugin: str, switched: bool, proof_required: bool) -> None:
    """It is made with the greeting's nonce, whatever comes with a switch."""
    play = Play(OPTIONS if proof_required else PREFERRED, proof_required=proof_required)
    if switched or plugin != "mysql_native_password":
        play.switch(plugin)
    assert play.end(b"\x41\x01" + DIGESTS[plugin]) is None
    assert not play.login.is_unproven
    assert play.session.error is None


DIGEST = DIGESTS["mysql_native_password"]
WRONG = {
    "another": b"\x41\x01" + DIGEST[::-1],
    "lower case": b"\x41\x01" + DIGEST.lower(),
    "too short": b"\x40\x01" + DIGEST[:-1],
    "cut": b"\x41\x01" + DIGEST[:-1],
    "empty": b"\x01\x01",
    "too long": b"\x42\x01" + DIGEST + b"0",
    "more behind it": b"\x41\x01" + DIGEST + b"\x05hello",
    "wrong length": b"\x42\x01" + DIGEST,
    "no hex": b"\x41\x01" + b"Z" * 64,
    "no ASCII": b"\x41\x01" + b"\xff" * 64,
}


@pytest.mark.parametrize("message", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("proof_required", [True, False])
def test_wrong_proof(message: bytes, proof_required: bool) -> None:
    play = Play(OPTIONS if proof_required else PREFERRED, proof_required=proof_required)
    unproven(play.end(message), "another one is between")
    assert play.login.is_unproven
    assert play.session.error is not None


NONE = {"nothing": b"", "text": b"\x05hello", "no mark": b"\x40" + DIGEST, "bare": b"\x01"}


@pytest.mark.parametrize("message", NONE.values(), ids=NONE)
def test_no_proof(message: bytes) -> None:
    play = Play()
    unproven(play.end(message), "did not prove it")
    assert play.login.is_unproven
    assert Play(PREFERRED, proof_required=False).end(message) is None


def test_other_certificate() -> None:
    message = b"\x41\x01" + DIGEST
    unproven(Play(certificate=b"another").end(message), "another one is between")
    play = Play(PREFERRED, proof_required=False, certificate=b"another")
    unproven(play.end(message), "another one is between")
    # Encrypted without verifying, or verified by an authority.
    assert Play(proof_required=False, certificate=b"another").end(message) is None
    assert Play(PREFERRED, proof_required=False, certificate=None).end(message) is None


#: What SHA-256 puts behind 72 bytes: a digest of these is a beginning of digests of more.
PADDING = b"\x80" + bytes(47) + (72 * 8).to_bytes(8, "big")


@pytest.mark.parametrize("nonce", [NONCE + bytes(32) + PADDING, NONCE + b"\x01"])
def test_a_nonce_that_is_made_up(nonce: bytes) -> None:
    """A digest of the server's could be extended to one of another certificate."""
    password_hash, fingerprint = HASHES["mysql_native_password"], hashlib.sha256(CERTIFICATE)
    digest = hashlib.sha256(password_hash + nonce + fingerprint.digest()).hexdigest()
    message = b"\x41\x01" + digest.upper().encode()
    play = Play(PREFERRED, proof_required=False, nonce=nonce, plugin="parsec")
    play.switch("mysql_native_password")
    unproven(play.end(message), "another one is between")
    with pytest.raises(OperationalError, match="nonce") as caught:
        Play(nonce=nonce, plugin="parsec")
    unproven(caught.value, "can prove")


def test_unknown_certificate() -> None:
    with pytest.raises(OperationalError, match="certificate is not known") as caught:
        Play(certificate=None)
    assert caught.value.args[0] == 2026


def test_there_must_be_tls() -> None:
    for tls in Tls:
        login = Login(replace(OPTIONS, tls=tls, secure=True), proof_required=True)
        session = new_session()
        session.start(login)
        hello = scripted.greeting(capabilities=MARIADB & ~CLIENT.SSL)
        data = bytearray(scripted.frame(hello, 0))
        session.receive(data, 0, len(data))
        assert session.data_to_send() == b""
        assert isinstance(login.error, OperationalError)
        assert login.error.args[0] == 2026


# -- methods and passwords that prove nothing ------------------------------------------------------

NO_PROOF = sorted(AUTH_METHODS.keys() - HASHES.keys())
#: What a user may allow for channels that are not secure.
ALLOWED = replace(OPTIONS, allow_cleartext=True, allow_old_password=True)


@pytest.mark.parametrize("plugin", NO_PROOF)
@pytest.mark.parametrize("options", [OPTIONS, ALLOWED, replace(ALLOWED, secure=True)])
def test_methods_without_proof_never_run(plugin: str, options: LoginOptions) -> None:
    """They are refused before they are begun, as there will be no proof."""
    with pytest.raises(OperationalError, match=f"'{plugin}'.*can't verify it"):
        Play(options, plugin=plugin)
    with pytest.raises(OperationalError, match=f"'{plugin}'.*can't verify it"):
        Play(replace(options, auth_plugin=plugin))
    play = Play(options)
    assert play.switch(plugin) == b""
    unproven(play.login.error, f"'{plugin}'")
    assert PASSWORD not in play.sent
    play = Play(options, capabilities=MARIADB | 1 << 28)
    assert play.say(b"\x02" + plugin.encode() + b"\0" + NONCE + b"\0") == b""
    unproven(play.login.error, f"'{plugin}'")


def test_method_of_ones_own() -> None:
    class Own:
        name: ClassVar[str] = "own"

        def __init__(self, context: AuthContext) -> None:
            self.context = context

        def start(self) -> bytes:
            return b"mine"

        def step(self, challenge: bytes) -> bytes | None:
            return None

    class Proving(Own):
        def hash_password(self) -> bytes:
            return HASHES["mysql_native_password"]

    class Failing(Own):
        def hash_password(self) -> bytes:
            raise ValueError(self.context.password)

    play = Play(replace(OPTIONS, auth_methods={"own": Own}))
    assert play.switch("own") == b""
    unproven(play.login.error, "'own'")
    play = Play(replace(OPTIONS, auth_methods={"own": Proving}))
    assert play.switch("own") == b"mine"
    assert play.end(b"\x41\x01" + DIGEST) is None
    play = Play(replace(OPTIONS, auth_methods={"own": Failing}))
    play.switch("own")
    error = play.end(b"\x41\x01" + DIGEST)
    assert isinstance(error, OperationalError)
    assert "'own' failed (ValueError)" in str(error)


def test_no_second_factor() -> None:
    """It may be known to others: a code of six digits."""
    options = replace(OPTIONS, factor_passwords=(b"123456",))
    play = Play(options, capabilities=MARIADB | 1 << 28)
    assert play.say(b"\x02mysql_native_password\0" + NONCE + b"\0") == b""
    unproven(play.login.error, "can't verify it")


@pytest.mark.parametrize("plugin", DIGESTS)
def test_empty_password_proves_nothing(plugin: str) -> None:
    """MariaDB sends a digest for it with two of the methods, which anybody could."""
    options = replace(OPTIONS, password=b"")
    with pytest.raises(OperationalError, match="without a password"):
        Play(options)
    for right in (True, False):
        play = Play(replace(options, tls=Tls.PREFERRED), proof_required=False)
        play.switch(plugin)
        digest = b"0" * 64
        if right:
            secret: Any = play.login._method
            fingerprint = hashlib.sha256(CERTIFICATE).digest()
            made = hashlib.sha256(secret.hash_password() + NONCE + fingerprint)
            digest = made.hexdigest().upper().encode()
        assert play.end(b"\x41\x01" + digest) is None


def test_ok_before_the_password_was_used() -> None:
    """Of what is not known yet, a digest can be made by anybody."""
    made = hashlib.sha256(NONCE + hashlib.sha256(CERTIFICATE).digest()).hexdigest()
    message = b"\x41\x01" + made.upper().encode()
    play = Play(replace(OPTIONS, auth_plugin="client_ed25519"))
    unproven(play.end(message), "another one is between")
    play = Play(replace(OPTIONS, auth_plugin="parsec"))
    unproven(play.end(message), "another one is between")


# -- TLS that is only preferred --------------------------------------------------------------------


@pytest.mark.parametrize(
    "plugin",
    ["mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password"],
)
def test_preferred_refuses_cleartext(plugin: str) -> None:
    with pytest.raises(OperationalError, match="allow_cleartext") as caught:
        Play(PREFERRED, proof_required=False, plugin=plugin)
    unproven(caught.value, f"'{plugin}'")
    play = Play(PREFERRED, proof_required=False)
    assert play.say(b"\xfe" + plugin.encode() + b"\0\x04Password: ") == b""
    unproven(play.login.error, f"'{plugin}'")
    assert PASSWORD not in play.sent


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog"])
def test_preferred_has_the_cleartext_that_was_chosen(plugin: str) -> None:
    switch = b"\xfe" + plugin.encode() + b"\0\x04Password: "
    for options in (
        replace(PREFERRED, auth_plugin=plugin),
        replace(PREFERRED, allow_cleartext=True),
        replace(PREFERRED, tls=Tls.REQUIRED),
    ):
        play = Play(options, proof_required=False)
        assert play.say(switch) == PASSWORD + b"\0"
        assert play.end(b"") is None
    # Verified by an authority, and servers that prove nothing.
    assert Play(PREFERRED, proof_required=False, certificate=None).say(switch)
    assert Play(PREFERRED, proof_required=False, version="10.11.6-MariaDB").say(switch)


@pytest.mark.parametrize("plugin", ["sha256_password", "caching_sha2_password"])
def test_preferred_has_the_method_that_was_chosen(plugin: str) -> None:
    for options in (
        replace(PREFERRED, auth_plugin=plugin),
        replace(PREFERRED, allow_cleartext=True),
        replace(PREFERRED, tls=Tls.REQUIRED),
    ):
        play = Play(options, proof_required=False)
        play.switch(plugin)
        if plugin == "caching_sha2_password":
            assert play.say(b"\x01\x04") == PASSWORD + b"\0"
        assert PASSWORD + b"\0" in play.sent
        assert play.end(b"") is None
    # Whoever chose one of them has not chosen all that send the password.
    play = Play(replace(PREFERRED, auth_plugin="caching_sha2_password"), proof_required=False)
    assert play.switch("mysql_clear_password") == b""
    unproven(play.login.error, "'mysql_clear_password'")


@pytest.mark.parametrize(
    ("version", "capabilities", "expected"),
    [
        ("11.8.9-MariaDB-0+deb13u1 from Debian", MARIADB, True),
        ("11.4.0-MariaDB", MARIADB, True),
        ("12.0.2-MariaDB", MARIADB, True),
        ("5.5.5-11.4.2-MariaDB", MARIADB, True),
        ("11.4", MARIADB, True),
        ("11.3.2-MariaDB", MARIADB, False),
        ("10.11.14-MariaDB", MARIADB, False),
        ("5.5.5-10.11.14-MariaDB", MARIADB, False),
        ("5.5.5-MariaDB", MARIADB, False),
        ("11.8.9-MariaDB", MARIADB | CLIENT.LONG_PASSWORD, False),
        ("12.0.1", MARIADB | CLIENT.LONG_PASSWORD, False),
        ("MariaDB", MARIADB, False),
        ("", MARIADB, False),
        ("11." + "9" * 5000, MARIADB, False),
        ("9" * 5000, MARIADB, False),
    ],
)
def test_which_servers_send_proofs(version: str, capabilities: int, expected: bool) -> None:
    hello = scripted.greeting(version=version, capabilities=capabilities)
    assert sends_proof(parse_greeting(hello)) is expected


def test_servers_without_proof_are_as_before() -> None:
    play = Play(PREFERRED, proof_required=False, version="10.11.6-MariaDB")
    assert play.end(b"\x41\x01" + b"0" * 64) is None


# -- any server ------------------------------------------------------------------------------------

_plugins = st.sampled_from([*AUTH_METHODS, "unknown"])
_data = st.one_of(st.binary(max_size=40), st.just(NONCE + b"\0"), st.just(NONCE32))
_packets = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda data: b"\x01" + data, st.one_of(_data, st.just(b"P\0" + SALT))),
    st.builds(lambda plugin, data: b"\xfe" + plugin.encode() + b"\0" + data, _plugins, _data),
    st.builds(lambda plugin, data: b"\x02" + plugin.encode() + b"\0" + data, _plugins, _data),
    st.builds(lambda message: scripted.ok() + message, st.binary(max_size=70)),
    st.sampled_from([scripted.ok() + message for message in WRONG.values()]),
)


@given(
    chosen=st.sampled_from(["", *HASHES]),
    packets=st.lists(_packets, max_size=6),
)
@settings(deadline=None, max_examples=300)
def test_no_server_is_believed_without_proof(chosen: str, packets: list[bytes]) -> None:
    options = replace(
        OPTIONS,
        auth_plugin=chosen,
        allow_cleartext=True,
        allow_old_password=True,
        factor_passwords=(PASSWORD,),
        dialog=lambda prompt, echo: PASSWORD.decode(),
    )
    play = Play(options, capabilities=MARIADB | 1 << 28)
    for packet in packets:
        if play.login.done:
            break
        play.say(packet)
    assert PASSWORD not in play.sent
    assert not play.login.done or isinstance(play.login.error, MySQLError)
    error = play.login.error
    assert not (isinstance(error, InternalError) and error.__cause__)
