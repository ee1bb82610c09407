"""What a hostile server may say before a client is logged in: name -> script, words of the error.

MySQL: "Connection Phase".
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pymysql.constants import CLIENT

from tests.hostile.peer import Script
from tests.scripted import CAPABILITIES, NONCE, error, frame, greeting, ok

MULTI_FACTOR = 1 << 28
TLS = CAPABILITIES | CLIENT.SSL
SHA2 = "caching_sha2_password"
HELLO = greeting()


def says(payload: bytes, number: int = 0, *, hang_up: bool = False) -> Script:
    """One packet, and nothing else."""
    return Script([frame(payload, number)], hang_up)


def responses(
    *payloads: bytes, hello: bytes = HELLO, hang_up: bool = False, repeated: bool = False
) -> Script:
    """A greeting, then a packet for each one of the client's."""
    steps = [frame(hello, 0)]
    steps += [frame(payload, 2 * number) for number, payload in enumerate(payloads, 1)]
    return Script(steps, hang_up, repeated)


def switch(plugin: bytes, nonce: bytes = NONCE + b"\0") -> bytes:
    """Protocol::AuthSwitchRequest."""
    return b"\xfe" + plugin + b"\0" + nonce


def sha2(*payloads: bytes) -> Script:
    """A server whose greeting announces caching_sha2_password."""
    return responses(*payloads, hello=greeting(plugin=SHA2))


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return b"\x01" + key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


FULL = b"\x01\x04"
ELLIPTIC = _pem(ec.generate_private_key(ec.SECP256R1()))
SMALL = _pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))
FAST_FOR_EVER = b"".join(frame(b"\x01\x03", number) for number in range(2, 200))
WEB = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
WITHOUT_41 = greeting(capabilities=CAPABILITIES & ~CLIENT.PROTOCOL_41)
WITHOUT_SECURE = greeting(capabilities=CAPABILITIES & ~CLIENT.SECURE_CONNECTION)
WITHOUT_PLUGINS = greeting(capabilities=CAPABILITIES & ~CLIENT.PLUGIN_AUTH)

SCRIPTS: dict[str, tuple[Script, str]] = {
    # -- the greeting ------------------------------------------------------------------------
    "nothing": (Script([b""], hang_up=True), "Lost connection"),
    "one byte": (Script([b"\x4a"], hang_up=True), "Lost connection"),
    "half a header": (Script([b"\x4a\0\0"], hang_up=True), "Lost connection"),
    "half a greeting": (Script([frame(HELLO, 0)[:30]], hang_up=True), "Lost connection"),
    "empty greeting": (says(b""), "Protocol mismatch"),
    "protocol 9": (says(b"\x09" + HELLO[1:]), "Protocol mismatch"),
    "web server": (Script([WEB]), "Protocol mismatch"),
    "ssh server": (Script([b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"]), "Protocol mismatch"),
    "TLS alert at once": (Script([b"\x15\x03\x03\0\x02\x02\x46"], hang_up=True), "Lost"),
    "version without end": (says(b"\x0a" + b"8" * 60), "no end"),
    "greeting ends in the nonce": (says(HELLO[:25]), "greeting ends"),
    "greeting ends in the flags": (says(HELLO[:31]), "lacks capabilities"),
    "greeting ends in the second nonce": (says(HELLO[:54]), "greeting ends"),
    "nonce longer than the packet": (
        says(HELLO[:36] + b"\xff" + HELLO[37:]),
        "greeting ends|nonce of 20 bytes",
    ),
    "greeting of 1 GiB, announced": (Script([b"\xff\xff\xff\0" + HELLO]), "at most 1048576"),
    "greeting of 2 MiB, announced": (Script([b"\0\0\x20\0" + HELLO]), "at most 1048576"),
    "greeting of 512 KiB": (says(HELLO + b"x" * (1 << 19), hang_up=True), "Lost connection"),
    "OK of 1 GiB, announced": (
        Script([frame(HELLO, 0), b"\xff\xff\xff\x02" + ok()]),
        "at most 1048576",
    ),
    "greeting without 4.1": (says(WITHOUT_41), "lacks capabilities"),
    "greeting without SECURE_CONNECTION": (says(WITHOUT_SECURE), "lacks capabilities"),
    "a plugin asked for without plugins": (
        responses(switch(b"mysql_native_password"), hello=WITHOUT_PLUGINS),
        "knows none",
    ),
    "cleartext asked for without plugins": (
        responses(switch(b"mysql_clear_password"), hello=WITHOUT_PLUGINS),
        "knows none",
    ),
    "old password without plugins": (responses(b"\xfe", hello=WITHOUT_PLUGINS), "not safe"),
    "a further factor without plugins": (
        responses(b"\x02mysql_clear_password\0", hello=WITHOUT_PLUGINS),
        "does not expect another packet",
    ),
    "greeting with number 7": (says(HELLO, 7), "Protocol mismatch|sequence"),
    "error instead of a greeting": (says(error(1040, "Too many connections")), "Too many"),
    "error of one byte": (says(b"\xff"), "ERR packet ends"),
    "error of two bytes": (says(b"\xff\x10"), "ERR packet ends"),
    "error without text": (says(b"\xff\x10\x04"), "1040"),
    "error that is no UTF-8": (says(b"\xff\x10\x04\xff\xfe\x80"), "1040"),
    "error nobody knows": (says(error(65535, "?")), "65535"),
    "error number 0": (says(error(0, "?")), "0"),
    "error for old clients": (says(error(1129, "Host is blocked"), 0, hang_up=True), "1129"),
    "two greetings": (Script([frame(HELLO, 0) * 2]), "sequence|did not wait"),
    "OK before the response": (Script([frame(HELLO, 0) + frame(ok(), 1)]), "sequence|wait"),
    "greeting and end": (Script([frame(HELLO, 0)], hang_up=True), "Lost connection"),
    # -- methods that give the password away -------------------------------------------------
    "cleartext announced": (
        responses(b"\x01more", hello=greeting(plugin="mysql_clear_password")),
        "in clear",
    ),
    "cleartext asked for": (responses(switch(b"mysql_clear_password")), "in clear"),
    "cleartext asked for late": (
        responses(switch(b"mysql_native_password"), switch(b"mysql_clear_password")),
        "in clear",
    ),
    "dialog asked for": (responses(switch(b"dialog", b"\x05Password: ")), "in clear"),
    "old password, short form": (responses(b"\xfe"), "not safe"),
    "old password by name": (responses(switch(b"mysql_old_password")), "not safe"),
    "no name of a method": (responses(switch(b"")), "Authentication plugin ''"),
    "a method nobody knows": (responses(switch(b"authentication_magic")), "authentication_magic"),
    "a method that is no UTF-8": (responses(switch(b"\xff\xfe\x80")), "Authentication plugin"),
    "a method's name without end": (responses(b"\xfemysql_clear"), "mysql_clear"),
    "a method's name of 512 KiB": (responses(switch(b"x" * (1 << 19))), "Authentication plugin"),
    "a method's name of 1 MiB": (responses(switch(b"x" * (1 << 20))), "at most 1048576"),
    # -- nonces and keys ---------------------------------------------------------------------
    "nonce of 3 bytes": (responses(switch(b"mysql_native_password", b"abc")), "nonce"),
    "nonce of 64 KiB": (responses(switch(SHA2.encode(), b"x" * 65536)), "nonce"),
    "sha2 nonce of 3 bytes": (responses(switch(SHA2.encode(), b"abc")), "nonce"),
    "ed25519 nonce of 5 bytes": (responses(switch(b"client_ed25519", b"abcde")), "nonce"),
    "parsec without a salt": (responses(switch(b"parsec", bytes(32)), b"\x01"), "salt"),
    "parsec with years of work": (
        responses(switch(b"parsec", bytes(32)), b"\x01P\xff" + bytes(18)),
        "salt",
    ),
    "sha256 key that is none": (
        responses(switch(b"sha256_password"), b"\x01not a key"),
        "not PEM",
    ),
    "sha2 key that is none": (sha2(FULL, b"\x01-----BEGIN PUBLIC KEY-----"), "not PEM"),
    "sha2 key that is empty": (sha2(FULL, b"\x01"), "not PEM"),
    "sha2 key of a curve": (sha2(FULL, ELLIPTIC), "not an RSA"),
    "sha2 asks a second time": (sha2(FULL, SMALL, FULL), "does not expect"),
    "sha2 says something else": (sha2(b"\x01\x09"), "does not expect"),
    "sha2 says nothing": (sha2(b"\x01"), "does not expect"),
    # -- what follows ------------------------------------------------------------------------
    "more data for native": (responses(b"\x01more"), "does not expect"),
    "fast success for ever": (
        Script([frame(greeting(plugin=SHA2), 0), FAST_FOR_EVER]),
        "did not end",
    ),
    "switches for ever": (responses(*[switch(b"mysql_native_password")] * 40), "did not end"),
    "a second factor not spoken of": (responses(b"\x02mysql_native_password\0" + NONCE), "expect"),
    "a second factor without a password": (
        responses(
            b"\x02mysql_clear_password\0",
            hello=greeting(capabilities=CAPABILITIES | MULTI_FACTOR),
        ),
        "factor 2",
    ),
    "empty response": (responses(b""), "does not expect"),
    "OK of one byte": (responses(b"\0"), "OK packet ends"),
    "OK of six bytes": (responses(ok()[:6]), "OK packet ends"),
    "OK with an endless number": (responses(b"\0\xff\xff\xff\xff\xff\xff\xff"), "0xFF"),
    "ERR of one byte": (responses(b"\xff"), "ERR packet ends"),
    "a file at log-in": (responses(b"\xfb/etc/passwd"), "does not expect"),
    "wrong number": (Script([frame(HELLO, 0), frame(ok(), 9)]), "sequence"),
    "response and end": (responses(b"", hang_up=True), "does not expect|Lost connection"),
    # -- TLS ---------------------------------------------------------------------------------
    "TLS stripped": (Script([frame(HELLO, 0)]), "2026.*SSL is required"),
    "TLS, then garbage": (
        Script([frame(greeting(capabilities=TLS), 0), b"\0garbage" * 100]),
        "2026|Lost connection",
    ),
    "TLS, then OK in clear": (
        Script([frame(greeting(capabilities=TLS), 0), frame(ok(), 2)]),
        "2026|Lost connection",
    ),
    "TLS, then an error in clear": (
        Script([frame(greeting(capabilities=TLS), 0), frame(error(1045, "no"), 2)]),
        "2026|Lost connection",
    ),
    "TLS and OK in one piece": (
        Script([frame(greeting(capabilities=TLS), 0) + frame(ok(), 2)]),
        "2026|did not wait|sequence",
    ),
    "TLS, then the end": (
        Script([frame(greeting(capabilities=TLS), 0), b""], hang_up=True),
        "2026|Lost connection",
    ),
    "TLS, then an alert": (
        Script([frame(greeting(capabilities=TLS), 0), b"\x15\x03\x03\0\x02\x02\x28"]),
        "2026|Lost connection",
    ),
}

# What a server may say over TLS. A password in clear is allowed there, and sha2 sends it so.
AFTER_THE_GREETING = [
    name
    for name, (script, words) in SCRIPTS.items()
    if len(script.steps) > 1
    and not name.startswith("TLS")
    and words not in ("in clear", "not PEM", "not an RSA")
    and name not in ("greeting and end", "OK of 1 GiB, announced", "sha2 asks a second time")
]


def _in_a_session(script: Script) -> Script:
    """The same answers to the change of the user in a session that was opened in peace."""
    greeting, *steps = script.steps
    peaceful = [greeting, frame(ok(), 2), frame(ok(), 1)]
    # The command is number 0, as the greeting is at log-in.
    answers = [step[:3] + bytes([step[3] - 1]) + step[4:] for step in steps]
    return Script([*peaceful, *answers], script.hang_up, script.repeated)


#: What a server may say when the user is to be changed.
IN_A_SESSION = {
    name: (_in_a_session(script), words)
    for name, (script, words) in SCRIPTS.items()
    if len(script.steps) > 1
    and all(len(step) == int.from_bytes(step[:3], "little") + 4 for step in script.steps)
    and "without plugins" not in name  # those get more than one SET
    and not name.startswith("TLS")
    and "greeting" not in name
    and "announced" not in name
}
