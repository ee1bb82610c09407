"""Authentication methods: known responses, and servers that ask for more than they may have."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.constants import CLIENT
from pymysql.err import InternalError, MySQLError, NotSupportedError, OperationalError

from aiomysql_protocol.login.auth import AUTH_METHODS, AuthContext
from aiomysql_protocol.login.auth.ed25519 import SigningKey
from aiomysql_protocol.login.auth.rsa import rsa_available
from aiomysql_protocol.login.login import Login, LoginOptions, Tls
from aiomysql_protocol.wire.errors import MalformedPacket
from tests import scripted
from tests.protocol.blocking import new_session

NONCE = bytes(range(65, 85))
NONCE32 = bytes(range(64, 96))
PASSWORD = "gehe1m-wört"
LONG = "long" * 30

OPTIONS = LoginOptions(user=b"somebody", password=PASSWORD.encode(), database=None, collation_id=45)
RSA_KEY = rsa.generate_private_key(65537, 2048)
RSA_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def rsa_decrypt(data: bytes) -> bytes:
    """What a server makes of an encrypted password."""
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    plain = RSA_KEY.decrypt(data, oaep)
    return bytes(byte ^ NONCE[index % 20] for index, byte in enumerate(plain))


def context(password: str, nonce: bytes = NONCE, **options: Any) -> AuthContext:
    return AuthContext(password.encode(), nonce, options.pop("secure", False), **options)


class Play:
    """A log-in whose server says what the test lets it say."""

    def __init__(
        self, options: LoginOptions = OPTIONS, plugin: str = "mysql_native_password", **hello: Any
    ) -> None:
        self.login = Login(options)
        self.session = new_session()
        self.session.start(self.login)
        self.sent = b""
        hello = {"nonce": NONCE, "plugin": plugin, **hello}
        #: The handshake response.
        self.first = self.say(scripted.greeting(**hello))

    def say(self, payload: bytes) -> bytes:
        """Send one packet; returns the payload of the client's response."""
        data = bytearray(scripted.frame(payload, self.login.sequence_id))
        self.session.receive(data, 0, len(data))
        return self._response()

    def encrypt(self) -> bytes:
        """Let the client begin TLS, which it wants; returns the next payload."""
        assert self.login.tls_wanted
        self.login.tls_started()
        return self._response()

    def switch(self, plugin: str, data: bytes = NONCE + b"\0") -> bytes:
        return self.say(b"\xfe" + plugin.encode() + b"\0" + data)

    def _response(self) -> bytes:
        data = self.session.data_to_send()
        self.sent += data
        return data[4:]

    @property
    def error(self) -> MySQLError:
        assert isinstance(self.login.error, MySQLError)
        return self.login.error


# -- known responses: recorded where a real server let the client in -------------------------------


@pytest.mark.parametrize(
    ("plugin", "password", "nonce", "response"),
    [
        (
            "mysql_native_password",
            "secret",
            "4c62263679264b267c614f495d78667434474669",
            "c1e502fc3742238fe40046f2ce65df0cfd48daf8",
        ),
        (
            "caching_sha2_password",
            "secret",
            "27183574623a5e493f50442853326b77253b4851",
            "9656c3e7342d846060738a4f572e037416672ceebcef9bd3da1e3e57dc2021f6",
        ),
        (
            "mysql_old_password",
            "secret",
            "6e31454a247236552864425d2d65382758677d60",
            "41564f574e4d4b5500",
        ),
        (
            "mysql_old_password",
            "se cret\tpässwörd",
            "444c32512563425f37374a51396823702e314c6b",
            "4e465f4d5843494b00",
        ),
        (
            "mysql_old_password",
            LONG,
            "3d342e287a53705b567b2d66404a346521703249",
            "5d555152505b4e5d00",
        ),
    ],
)
def test_scrambles(plugin: str, password: str, nonce: str, response: str) -> None:
    method = AUTH_METHODS[plugin](context(password, bytes.fromhex(nonce), allow_old_password=True))
    assert method.start().hex() == response


@pytest.mark.parametrize("plugin", ["mysql_native_password", "caching_sha2_password"])
def test_no_password_needs_no_nonce(plugin: str) -> None:
    assert AUTH_METHODS[plugin](context("", b"")).start() == b""


def test_rfc_8032() -> None:
    """Test vectors 1 and 3 of section 7.1."""
    first = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    third = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
    assert SigningKey(bytes.fromhex(first)).sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert SigningKey(bytes.fromhex(third)).sign(b"\xaf\x82").hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac1"
        "8ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
@settings(deadline=None, max_examples=50)
def test_signatures_are_those_of_cryptography(secret: bytes, message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret)
    assert SigningKey(secret).sign(message) == key.sign(message)


@pytest.mark.parametrize(
    ("password", "public_key"),  # as MariaDB 11.8 stores them
    [
        ("secret", "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"),
        ("", "4LH+dBF+G5W2CKTyId8xR3SyDqZoQjUNUVNxx8aWbG4"),
        ("pässwörd \t⚿", "1Jii3KqUo8W8Ee7FElgiHYW4GnB5cbCXG1/hCIBYV3c"),
        (LONG, "QShT9fMq10EtHwn7yl/CPF8YJ/3K6kL9liRSdbzAM74"),
    ],
)
def test_client_ed25519(password: str, public_key: str) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key + "="))
    signature = AUTH_METHODS["client_ed25519"](context(password, NONCE32)).start()
    key.verify(signature, NONCE32)
    with pytest.raises(InvalidSignature):
        key.verify(signature, NONCE)


@pytest.mark.parametrize(
    ("password", "salt", "public_key"),
    [
        (
            "secret",
            "EHKeuJ7UVfCljIlpCRvk8Yeu",
            "/dyzOdMM7RqbPMSIocfKFaikCWU6hlTJNir9WSQL0bo",
        ),
        ("", "8kaJ66UdlvqeqlpgTW+PoIwo", "WTx9oGJAZMdPSU3cKLDT4Xl5Z6WpuFIZ/mddTbqr8ew"),
        (
            "pässwörd \t⚿",
            "AajC14Epybf2tpKtFksZXtqj",
            "dml9iZbz3wkXdpHQlWCqoHdOU4bKtJHDNyzMpGxk/g0",
        ),
        (LONG, "xSmQuQo4/1c+zrpi4Jm80x/l", "upm5mG952W6bNhOn4CX5njYSgciP4u0g3BlabagHGUc"),
    ],
)
def test_parsec(password: str, salt: str, public_key: str) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key + "="))
    responses = set()
    for _ in range(2):
        method = AUTH_METHODS["parsec"](context(password, NONCE32))
        assert method.start() == b""
        response = method.step(b"P\x00" + base64.b64decode(salt))
        assert response is not None
        key.verify(response[32:], NONCE32 + response[:32])
        responses.add(response)
    assert len(responses) == 2, "our part of the nonce is not random"


@pytest.mark.parametrize(
    "salt", [b"", b"P", b"P\x00short", b"Q\x00" + b"s" * 18, b"P\x04" + b"s" * 18]
)
def test_parsec_with_a_strange_salt(salt: bytes) -> None:
    with pytest.raises(MalformedPacket, match="salt"):
        AUTH_METHODS["parsec"](context("x", NONCE32)).step(salt)


# -- what the server may have, and on which channel ------------------------------------------------


def test_sha256_password() -> None:
    play = Play(plugin="sha256_password")
    assert b"\x01\x01sha256_password\0" in play.first  # the request for the key
    assert rsa_decrypt(play.say(b"\x01" + RSA_PEM)) == PASSWORD.encode() + b"\0"
    play.say(scripted.ok())
    assert play.login.done
    assert play.login.error is None
    with_key = Play(replace(OPTIONS, server_public_key=RSA_PEM))
    assert rsa_decrypt(with_key.switch("sha256_password")) == PASSWORD.encode() + b"\0"
    # A unix socket is secure, but servers want RSA for this method there as well.
    assert Play(replace(OPTIONS, secure=True)).switch("sha256_password") == b"\x01"
    assert Play(replace(OPTIONS, password=b"")).switch("sha256_password") == b"\0"


def test_sha256_password_has_no_further_step() -> None:
    play = Play(plugin="sha256_password")
    assert play.say(b"\x01" + RSA_PEM)
    assert play.say(b"\x01again") == b""
    assert "does not expect another packet" in str(play.error)


TLS_SERVER = scripted.CAPABILITIES | CLIENT.SSL


@pytest.mark.parametrize("plugin", ["sha256_password", "mysql_clear_password"])
def test_password_itself_under_tls(plugin: str) -> None:
    options = replace(OPTIONS, tls=Tls.PREFERRED)
    play = Play(options, plugin=plugin, capabilities=TLS_SERVER)
    assert b"somebody" not in play.first
    assert PASSWORD.encode() + b"\0" + plugin.encode() in play.encrypt()
    play = Play(options, capabilities=TLS_SERVER)
    play.encrypt()
    assert play.switch(plugin) == PASSWORD.encode() + b"\0"


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog"])
def test_tls_on_loopback_where_the_password_needs_it(plugin: str) -> None:
    options = replace(OPTIONS, tls=Tls.IF_NEEDED)
    assert Play(replace(options, auth_plugin=plugin), capabilities=TLS_SERVER).login.tls_wanted
    assert Play(options, plugin=plugin, capabilities=TLS_SERVER).login.tls_wanted
    assert not Play(options, capabilities=TLS_SERVER).login.tls_wanted
    allowed = replace(options, auth_plugin=plugin, allow_cleartext=True)
    assert not Play(allowed, capabilities=TLS_SERVER).login.tls_wanted
    assert not Play(replace(allowed, secure=True), capabilities=TLS_SERVER).login.tls_wanted


@pytest.mark.parametrize("plugin", ["sha256_password", "caching_sha2_password"])
def test_tls_on_loopback_without_rsa(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for a password, though the same options are used with one and without."""
    with_password = replace(OPTIONS, tls=Tls.IF_NEEDED)
    without = with_password.with_password(b"")

    def wants_tls(options: LoginOptions) -> bool:
        return Play(options, plugin=plugin, capabilities=TLS_SERVER).login.tls_wanted

    for has_rsa in (True, False, True):
        monkeypatch.setattr("aiomysql_protocol.login.login.rsa_available", lambda: has_rsa)  # noqa: B023
        for _ in range(2):
            assert wants_tls(with_password) is not has_rsa
            assert not wants_tls(without)


def test_rsa_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To find out takes as long as a good part of a log-in."""
    asked: list[str] = []
    monkeypatch.setattr("importlib.util.find_spec", asked.append)
    rsa_available.cache_clear()
    try:
        assert not rsa_available()
        assert not rsa_available()
    finally:
        rsa_available.cache_clear()
    assert asked == ["cryptography"]


# Each makes the server ask for the password itself.
GREEDY: dict[str, Callable[[LoginOptions], Play]] = {
    "announces": lambda options: Play(options, plugin="mysql_clear_password"),
    "announces dialog": lambda options: Play(options, plugin="dialog"),
    "chosen": lambda options: Play(replace(options, auth_plugin="mysql_clear_password")),
    "chosen dialog": lambda options: Play(replace(options, auth_plugin="dialog")),
}


def greedy_switch(plugin: str, *data: bytes) -> Callable[[LoginOptions], Play]:
    def play(options: LoginOptions) -> Play:
        play = Play(options)
        play.switch(plugin, data[0])
        for step in data[1:]:
            play.say(step)
        return play

    return play


GREEDY["switches"] = greedy_switch("mysql_clear_password", b"")
GREEDY["prompts"] = greedy_switch("dialog", b"\x04Password: ")
GREEDY["prompts openly"] = greedy_switch("dialog", b"\x02Password: ")
GREEDY["switches twice"] = greedy_switch(
    "caching_sha2_password", NONCE + b"\0", b"\x01\x04", b"\xfemysql_clear_password\0"
)


@pytest.mark.parametrize("tls", [Tls.DISABLED, Tls.IF_NEEDED, Tls.PREFERRED])
@pytest.mark.parametrize("greedy", GREEDY)
def test_password_itself_is_refused_in_clear(greedy: str, tls: Tls) -> None:
    asked: list[str] = []

    def dialog(prompt: str, echo: bool) -> str:
        asked.append(prompt)
        return PASSWORD

    play = GREEDY[greedy](replace(OPTIONS, tls=tls, dialog=dialog))
    assert isinstance(play.error, OperationalError)
    assert play.error.args[0] == 2059
    assert "allow_cleartext" in play.error.args[1]
    assert PASSWORD.encode() not in play.sent
    assert asked == []


def test_password_itself_where_it_is_allowed() -> None:
    for options in (replace(OPTIONS, secure=True), replace(OPTIONS, allow_cleartext=True)):
        response = Play(options).switch("mysql_clear_password", b"")
        assert response == PASSWORD.encode() + b"\0"
        assert Play(options).switch("dialog", b"\x05Password: ") == PASSWORD.encode() + b"\0"


# What the key is asked for with, per method.
@pytest.mark.parametrize(
    ("plugin", "steps"), [("sha256_password", []), ("caching_sha2_password", [b"\x01\x04"])]
)
@pytest.mark.parametrize(
    ("key", "message"),
    [
        (b"", "not PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not PEM"),
        (
            Ed25519PrivateKey.from_private_bytes(bytes(32))
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            "not an RSA public key",
        ),
    ],
)
def test_nonsense_for_a_key(plugin: str, steps: list[bytes], key: bytes, message: str) -> None:
    play = Play()
    play.switch(plugin)
    for step in steps:
        play.say(step)
    assert play.say(b"\x01" + key) == b""
    assert isinstance(play.error, OperationalError)
    assert message in str(play.error)
    assert PASSWORD.encode() not in play.sent


@pytest.mark.parametrize("plugin", ["sha256_password", "caching_sha2_password"])
def test_password_too_long_for_the_key(plugin: str) -> None:
    play = Play(replace(OPTIONS, password=b"x" * 300, server_public_key=RSA_PEM))
    play.switch(plugin)
    if plugin == "caching_sha2_password":
        play.say(b"\x01\x04")
    assert "300 bytes is too long" in str(play.error)


@pytest.mark.parametrize(
    ("plugin", "length"),
    [
        ("mysql_native_password", 20),
        ("caching_sha2_password", 20),
        ("client_ed25519", 32),
    ],
)
@pytest.mark.parametrize("wrong", [-19, -1, +1, +200])
def test_nonce_of_a_wrong_length(plugin: str, length: int, wrong: int) -> None:
    play = Play()
    assert play.switch(plugin, b"n" * (length + wrong)) == b""
    assert isinstance(play.error, MalformedPacket)
    assert f"{length} bytes" in str(play.error)


def test_nonce_of_a_wrong_length_for_later_steps() -> None:
    rsa_play = Play()
    rsa_play.switch("sha256_password", b"n")
    assert rsa_play.say(b"\x01" + RSA_PEM) == b""
    assert isinstance(rsa_play.error, MalformedPacket)
    parsec = Play()
    parsec.switch("parsec", b"n")
    assert parsec.say(b"P\x00" + b"s" * 18) == b""
    assert isinstance(parsec.error, MalformedPacket)
    old = Play(replace(OPTIONS, allow_old_password=True))
    assert old.switch("mysql_old_password", b"n") == b""
    assert isinstance(old.error, MalformedPacket)


@pytest.mark.parametrize("data", [NONCE32, NONCE32 + b"\0", NONCE32[:31] + b"\0"])
def test_nonce_that_ends_with_nul(data: bytes) -> None:
    """The last of 32 random bytes may be a NUL; behind them it is a terminator."""
    response = Play().switch("client_ed25519", data)
    assert response == SigningKey(PASSWORD.encode()).sign(data[:32])


def test_nonce_of_a_wrong_length_in_the_greeting() -> None:
    for nonce in (bytes(8), NONCE[:12], NONCE * 3):
        play = Play(nonce=nonce)
        assert play.first == b""
        assert isinstance(play.error, MalformedPacket)


# -- mysql_old_password ----------------------------------------------------------------------------


@pytest.mark.parametrize("switch", [b"\xfe", b"\xfemysql_old_password\0" + NONCE + b"\0"])
def test_old_password_needs_leave(switch: bytes) -> None:
    play = Play()
    assert play.say(switch) == b""
    assert isinstance(play.error, OperationalError)
    assert "allow_old_password" in str(play.error)
    play = Play(replace(OPTIONS, allow_old_password=True))
    response = play.say(switch)
    assert len(response) == 9
    assert response.endswith(b"\0")
    assert response == Play(replace(OPTIONS, allow_old_password=True)).say(b"\xfe")
    assert Play(replace(OPTIONS, allow_old_password=True, password=b"")).say(switch) == b""


# -- dialog ----------------------------------------------------------------------------------------


def test_prompts_go_to_the_caller() -> None:
    asked: list[tuple[str, bool]] = []

    def dialog(prompt: str, echo: bool) -> str:
        asked.append((prompt, echo))
        return f"änswer {len(asked)}"

    play = Play(replace(OPTIONS, secure=True, dialog=dialog))
    assert play.switch("dialog", b"\x02Who are you? ") == "änswer 1\0".encode()
    assert play.say(b"\x04Password: ") == PASSWORD.encode() + b"\0"
    assert play.say(b"\x01\x04Token: ") == "änswer 2\0".encode()
    # Begins like AuthNextFactor, which this server has not announced.
    assert play.say(b"\x02Why? ") == "änswer 3\0".encode()
    assert play.say(b"\x03Sure?\0") == "änswer 4\0".encode()
    play.say(scripted.ok())
    assert play.login.done
    assert play.login.error is None
    assert asked == [
        ("Who are you? ", True),
        ("Token: ", False),
        ("Why? ", True),
        ("Sure?", True),
    ]
    assert (play.login.server_auth_plugin, play.login.auth_plugin) == (
        "mysql_native_password",
        "dialog",
    )


def test_prompts_without_a_password() -> None:
    """A caller that gives no password but answers prompts answers that for the password too."""
    options = replace(OPTIONS, secure=True, password=b"")
    assert Play(options).switch("dialog", b"\x05Password: ") == b"\0"
    asked = Play(replace(options, dialog=lambda prompt, echo: "asked"))
    assert asked.switch("dialog", b"\x05Password: ") == b"asked\0"


def test_prompts_and_nobody_to_ask() -> None:
    play = Play(replace(OPTIONS, secure=True))
    play.switch("dialog", b"\x04Password: ")
    assert play.say(b"\x05One-time code: ") == b""
    assert isinstance(play.error, OperationalError)
    assert "'One-time code: '" in str(play.error)
    assert "'dialog'" in str(play.error)


@pytest.mark.parametrize("prompt", [b"", b"\x06x", b"\x41x"])
def test_strange_prompts(prompt: bytes) -> None:
    play = Play(replace(OPTIONS, secure=True))
    play.switch("dialog", b"\x04Password: ")
    assert play.say(b"\x01" + prompt) == b""
    assert isinstance(play.error, MalformedPacket)


def test_prompt_after_the_last() -> None:
    play = Play(replace(OPTIONS, secure=True))
    play.switch("dialog", b"\x05Password: ")
    assert play.say(b"\x05Password: ") == b""
    assert isinstance(play.error, MalformedPacket)


def test_a_dialog_that_fails() -> None:
    def dialog(prompt: str, echo: bool) -> str:
        raise KeyError(PASSWORD)

    for options in (
        replace(OPTIONS, secure=True, dialog=dialog),
        replace(OPTIONS, secure=True, dialog=lambda prompt, echo: PASSWORD + "\ud800"),
    ):
        play = Play(options)
        assert play.switch("dialog", b"\x03Name: ") == b""
        assert isinstance(play.error, OperationalError)
        assert PASSWORD not in str(play.error)
        assert play.error.__cause__ is not None


# -- choosing methods ------------------------------------------------------------------------------


class Token:
    """A method of somebody's own."""

    name: ClassVar[str] = "token"

    def __init__(self, context: AuthContext) -> None:
        self._context = context

    def start(self) -> bytes:
        return b"token:" + self._context.nonce

    def step(self, challenge: bytes) -> bytes | None:
        if challenge == b"bad":
            raise LookupError(challenge)
        return challenge[::-1] or None


def test_methods_of_ones_own() -> None:
    options = replace(OPTIONS, auth_methods={"token": Token, "mysql_native_password": Token})
    play = Play(replace(options, auth_plugin="token"))
    assert b"token:" + NONCE + b"token\0" in play.first
    assert play.say(b"\x01abc") == b"cba"
    assert play.say(b"raw") == b"war"
    play.say(scripted.ok())
    assert play.login.done
    assert play.login.error is None
    assert Play(options).switch("mysql_native_password", b"N") == b"token:N"
    failing = Play(options)
    assert failing.say(b"\x01bad") == b""
    assert isinstance(failing.error, OperationalError)
    assert isinstance(failing.error.__cause__, LookupError)


def test_unknown_choice_is_refused_at_once() -> None:
    with pytest.raises(NotSupportedError, match=r"'auth_plugin'.*'ed25519'.*client_ed25519"):
        replace(OPTIONS, auth_plugin="ed25519")


def test_unknown_method_of_the_server() -> None:
    play = Play(plugin="authentication_kerberos_client")
    assert b"mysql_native_password\0" in play.first
    assert play.login.server_auth_plugin == "authentication_kerberos_client"
    assert play.login.auth_plugin == "mysql_native_password"
    assert play.switch("authentication_kerberos_client") == b""
    assert play.error.args[0] == 2059
    assert "authentication_kerberos_client" in str(play.error)


@pytest.mark.parametrize("plugin", ["client_ed25519", "parsec", "dialog"])
def test_choice_waits_for_its_challenge(plugin: str) -> None:
    """A nonce that was sent for another method is not signed, and is no prompt."""
    play = Play(replace(OPTIONS, auth_plugin=plugin, secure=True))
    assert play.first.endswith(b"somebody\0\0" + plugin.encode() + b"\0\0")


def test_long_responses_and_servers_of_old() -> None:
    capabilities = scripted.CAPABILITIES & ~CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
    options = replace(OPTIONS, secure=True, auth_plugin="mysql_clear_password")
    short = Play(replace(options, password=b"x" * 254), capabilities=capabilities)
    assert b"\xff" + b"x" * 254 + b"\0mysql_clear_password\0" in short.first
    long = Play(replace(options, password=b"x" * 255), capabilities=capabilities)
    assert isinstance(long.error, OperationalError)
    assert long.first == b""
    lenenc = Play(replace(options, password=b"x" * 300))
    assert b"\xfc\x2d\x01" + b"x" * 300 in lenenc.first


# -- several factors -------------------------------------------------------------------------------

MULTI_FACTOR = 1 << 28


def test_further_factors() -> None:
    several = scripted.CAPABILITIES | MULTI_FACTOR
    options = replace(OPTIONS, secure=True, factor_passwords=(b"second", b"third"))
    play = Play(options, capabilities=several)
    assert int.from_bytes(play.first[:4], "little") & MULTI_FACTOR
    assert play.say(b"\x02mysql_clear_password\0") == b"second\0"
    assert play.say(b"\x02mysql_clear_password\0") == b"third\0"
    assert play.say(b"\x02mysql_clear_password\0") == b""
    assert isinstance(play.error, OperationalError)
    assert "factor 4" in str(play.error)
    without = Play(capabilities=several)
    assert without.say(b"\x02mysql_clear_password\0") == b""
    assert "multi-factor" in str(without.error)
    assert "'factor_passwords'" in str(without.error)
    unknown = Play(options, capabilities=several)
    assert unknown.say(b"\x02authentication_webauthn_client\0") == b""
    assert "'authentication_webauthn_client'" in str(unknown.error)
    assert "factor 2" in str(unknown.error)


# -- any server ------------------------------------------------------------------------------------

_plugins = st.sampled_from([*AUTH_METHODS, "unknown", ""])
_data = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([NONCE + b"\0", NONCE32, RSA_PEM, b"\x04", b"\x03", b"\x04Password: "]),
)
_packets = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda data: b"\x01" + data, _data),
    st.builds(lambda plugin, data: b"\xfe" + plugin.encode() + b"\0" + data, _plugins, _data),
    st.builds(lambda plugin, data: b"\x02" + plugin.encode() + b"\0" + data, _plugins, _data),
)


@given(
    plugin=_plugins,
    chosen=st.sampled_from([*AUTH_METHODS, ""]),
    nonce=st.binary(min_size=8, max_size=40),
    packets=st.lists(_packets, max_size=6),
    key=st.sampled_from([None, RSA_PEM]),
    old=st.booleans(),
)
@settings(deadline=None, max_examples=500)
def test_no_server_gets_the_password(
    plugin: str,
    chosen: str,
    nonce: bytes,
    packets: list[bytes],
    key: bytes | None,
    old: bool,
) -> None:
    """Whatever it says: no password leaves in clear, and no error is one of ours."""
    options = replace(
        OPTIONS,
        auth_plugin=chosen,
        server_public_key=key,
        allow_old_password=old,
        factor_passwords=(PASSWORD.encode(),),
        dialog=lambda prompt, echo: PASSWORD,
    )
    capabilities = scripted.CAPABILITIES | MULTI_FACTOR
    play = Play(options, plugin=plugin, nonce=nonce, capabilities=capabilities)
    for packet in packets:
        if play.login.done:
            break
        play.say(packet)
    assert PASSWORD.encode() not in play.sent
    error = play.login.error
    if error is not None:
        assert isinstance(error, MySQLError)
        assert not (isinstance(error, InternalError) and error.__cause__)


def test_options_show_no_password() -> None:
    shown = repr(replace(OPTIONS, factor_passwords=(b"second",))) + repr(context(PASSWORD))
    assert PASSWORD not in shown
    assert repr(PASSWORD.encode()) not in shown
    assert "second" not in shown


@pytest.mark.slow
def test_imports_nothing_it_does_not_need() -> None:
    """The layer loads, and signs, without asyncio and without the cryptography library."""
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from aiomysql_protocol.login.login import Login\n"
        "from aiomysql_protocol.login.auth.ed25519 import SigningKey\n"
        "assert len(SigningKey(b'x').sign(b'y')) == 64\n"
        "assert 'asyncio' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
