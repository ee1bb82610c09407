"""Option files: what the servers' own programs make of one is what is made of it here."""

from __future__ import annotations

import random
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aiomysql_core import Connection, connect
from aiomysql_core.options.option_files import read_option_file
from tests.servers import Server
from tests.servers.catalogue import CATALOGUE
from tests.servers.packages import Program, find_program


@pytest.fixture
def program(server: Server) -> Program:
    """The server's program, which reads option files as all programs that come with it do."""
    if server.name not in CATALOGUE:
        pytest.skip("needs a server that this project fetches")
    return find_program(server.name)


def arguments(program: Program, path: Path) -> bytes | None:
    """What the group mysqld of a file gives, in one line; None where the program refuses it.

    (This is what my_print_defaults does.)
    """
    argv = program.argv(f"--defaults-file={path}", "--print-defaults")
    done = subprocess.run(argv, env=program.environment, cwd=path.parent, capture_output=True)
    return None if done.returncode else done.stdout.partition(b"\n")[2].strip(b" \n")


SAID = [
    b'"pass"word"',
    b"'it''s'",
    b'"abc',
    b"\"ab'",
    b"Passw#ord",
    b"Passw\\#ord",
    b'"Passw#ord" # it is',
    b'"a#b\\"c#d"e',
    b"it's # not a comment's end",
    b"",
    b'""',
    b"'",
    b"\\",
    b'"a\\"',
    b"a\\sb\\nc\\td\\qe\\\\f",
    "Käse".encode(),
    b"K\xe4se",
]


def random_values(count: int) -> list[bytes]:
    chosen = random.Random(18)
    pieces = [b"a", b"s", b"n", b"#", b'"', b"'", b"\\", b" ", b"=", b"[", b"!", "ü".encode()]
    return [b"".join(chosen.choices(pieces, k=chosen.randint(1, 12))) for _ in range(count)]


async def test_values(program: Program, tmp_path: Path) -> None:
    values = SAID + random_values(400)
    path = tmp_path / "my.cnf"
    path.write_bytes(b"".join([b"[mysqld]\n", *(b"x=%b\nend\n" % value for value in values)]))
    printed = arguments(program, path)
    assert printed is not None
    expected = re.findall(rb"--x=(.*?) --end(?: |$)", printed, re.DOTALL)
    assert len(expected) == len(values)
    for value, wanted in zip(values, expected, strict=True):
        path.write_bytes(b"[client]\npassword=%b\n" % value)
        found = read_option_file(str(path))["password"]
        assert (found if isinstance(found, bytes) else found.encode()) == wanted, value


FILES = {
    "before a group": "user=a\n[mysqld]\nuser=b\n",
    "capitals": "[MySQLd]\nuser=a\n",
    "space in front": "[ mysqld]\nuser=a\n",
    "space behind": "[mysqld ]\nuser=a\n",
    "behind a group": "[mysqld] # comment\nuser=a\n",
    "no bracket": "[mysqld\nuser=a\n",
    "byte order mark": "\ufeff[mysqld]\nuser=a\n",
    "line ends": "[mysqld]\r\nuser=a\r\n",
    "comments": "[mysqld]\n#user=b\n  ; user=c\nuser = a # b\n",
    "no value": "[mysqld]\nuser\n",
    "twice": "[mysqld]\nuser=b\n[other]\nuser=c\n[mysqld]\nuser=a\n",
    "included": "[mysqld]\nuser=b\n!include other.cnf\nsocket=s\n",
    "included before": "!include other.cnf\n[mysqld]\nuser=a\n",
    "included, no group": "!include other.cnf\nuser=b\n",
    "included folder": "[mysqld]\n!includedir folder\n",
    "not included": "[mysqld]\nuser=a\n!include missing.cnf\n",
    "no folder": "[mysqld]\nuser=a\n!includedir missing\n",
    "no path": "[mysqld]\nuser=a\n!include\n",
    "other directive": "[mysqld]\nuser=a\n!exclude other.cnf\n",
    "itself": "[mysqld]\nuser=a\n!include my.cnf\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
async def test_files(
    program: Program, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "my.cnf", tmp_path / "folder"
    (tmp_path / "other.cnf").write_text("[mysqld]\nuser=other\n")
    folder.mkdir()
    for name in ("b.cnf", "a.cnf", "c.txt"):
        (folder / name).write_text(f"[mysqld]\nuser={name}\n")
    path.write_text(text, newline="")
    monkeypatch.chdir(tmp_path)
    printed = arguments(program, path)
    if printed is None:
        with pytest.raises(ValueError, match="option file"):
            read_option_file(str(path), "mysqld")
        return
    pairs = [word.removeprefix("--").partition("=") for word in printed.decode().split()]
    expected = {key: value for key, separator, value in pairs if separator}
    found = read_option_file(str(path), "mysqld")
    names = {"unix_socket": "socket"}
    assert {names.get(name, name): value for name, value in found.items()} == expected


# -- what is asked of TLS --------------------------------------------------------------------------


def written(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "my.cnf"
    path.write_text("\n".join(["[client]", *lines]))
    return str(path)


IDENTITY = "VERIFY_IDENTITY"
DIFFERENT = r"^option '(ssl|tls).*' and option file .* \(.*\) say different things about TLS"


@pytest.mark.parametrize(
    ("lines", "given", "mode"),
    [
        (["ssl"], {}, "REQUIRED"),
        (["ssl=1"], {}, "REQUIRED"),
        (["enable-ssl"], {}, "REQUIRED"),
        (["loose-ssl=on"], {}, "REQUIRED"),
        (["ssl=0"], {}, "DISABLED"),
        (["skip-ssl"], {}, "DISABLED"),
        (["disable_ssl"], {}, "DISABLED"),
        (["ssl", "ssl-ca=ca.pem"], {}, "VERIFY_CA"),
        (["ssl-capath=folder"], {}, "VERIFY_CA"),
        (["ssl"], {"ssl_ca": "ca.pem"}, "VERIFY_CA"),
        (["ssl"], {"ssl": True}, "VERIFY_IDENTITY"),
        (["ssl"], {"ssl_verify_identity": "yes"}, "VERIFY_IDENTITY"),
        (["ssl-verify-server-cert"], {}, "VERIFY_IDENTITY"),
        (["ssl_verify_server_cert=ON", "ssl-ca=ca.pem"], {}, "VERIFY_IDENTITY"),
        (["skip-ssl-verify-server-cert", "ssl-ca=ca.pem"], {}, "VERIFY_CA"),
        (["ssl-verify-server-cert=0"], {}, None),
        (["ssl-mode=verify_ca"], {}, "VERIFY_CA"),
        (["ssl-mode=REQUIRED"], {"ssl_mode": "required"}, "REQUIRED"),
        (["ssl-cipher=ECDHE-RSA-AES128-GCM-SHA256"], {}, "REQUIRED"),
        (["tls-version=TLSv1.2,TLSv1.3"], {}, "REQUIRED"),
        (["loose-ssl-fp=unknown"], {}, None),
        (["SSL=0"], {}, "DISABLED"),
        (["skip-ssl=0"], {}, "REQUIRED"),
        (["disable-ssl=0"], {}, "REQUIRED"),
        (["loose-skip-ssl=0"], {}, "REQUIRED"),
        (["skip-ssl=1"], {}, "DISABLED"),
        (["enable-ssl=1"], {}, "REQUIRED"),
        (["enable-ssl=0"], {}, "DISABLED"),
        (["skip-ssl-verify-server-cert=0"], {}, "VERIFY_IDENTITY"),
        (["enable-ssl-verify-server-cert=0", "ssl-ca=ca.pem"], {}, "VERIFY_CA"),
        (["skip-ssl"], {"ssl_mode": "disabled"}, "DISABLED"),
        (["skip-ssl"], {"ssl": False, "ssl_disabled": 1}, "DISABLED"),
        (["ssl-mode=disabled"], {"ssl_disabled": "yes", "ssl_mode": "Disabled"}, "DISABLED"),
        (["ssl"], {"ssl_mode": "verify_ca"}, "VERIFY_CA"),
        (["ssl"], {"ssl_verify_cert": "false"}, "REQUIRED"),
        (["ssl"], {"ssl_verify_cert": "false", "ssl_verify_identity": "0"}, "REQUIRED"),
        (["ssl"], {"ssl_disabled": "no", "ssl": {}}, "REQUIRED"),
        (["ssl"], {"ssl_negotiation": "direct"}, "REQUIRED"),
        (["ssl"], {"ssl": {"ca": "x"}}, "VERIFY_IDENTITY"),
        (["ssl-verify-server-cert"], {"ssl_verify_identity": 1}, "VERIFY_IDENTITY"),
        (["ssl-verify-server-cert"], {"ssl_verify_identity": "yes"}, "VERIFY_IDENTITY"),
        (["ssl-verify-server-cert=0"], {"ssl_verify_identity": "no"}, None),
        (["ssl-ca=ca.pem"], {"ssl": True}, "VERIFY_IDENTITY"),
        (["ssl-ca=ca.pem"], {"ssl_ca": Path("ca.pem")}, "VERIFY_CA"),
        (["ssl-ca=ca.pem"], {"ssl_mode": "verify_identity"}, "VERIFY_IDENTITY"),
        (["ssl-ca=ca.pem"], {"ssl": {"ca": "ca.pem"}}, "VERIFY_IDENTITY"),
        (["ssl-mode=VERIFY_IDENTITY"], {"ssl_ca": "ca.pem", "ssl_verify_cert": "1"}, IDENTITY),
        (["ssl-mode=REQUIRED"], {"ssl": {"verify_mode": "none"}}, "REQUIRED"),
        (["ssl-mode=REQUIRED"], {"tls_version": "TLSv1.3", "ssl_cipher": ""}, "REQUIRED"),
        (["ssl-mode=REQUIRED"], {"ssl": ssl.create_default_context()}, "REQUIRED"),
        (["tls-version=TLSv1.2,TLSv1.3"], {"tls_version": "tlsv1.3, tlsv1.2"}, "REQUIRED"),
        (["ssl-cert=cert.pem"], {"ssl_key": "key.pem"}, "REQUIRED"),
    ],
)
async def test_modes(
    tmp_path: Path, lines: list[str], given: dict[str, Any], mode: str | None
) -> None:
    connection = Connection(read_default_file=written(tmp_path, *lines), **given)
    assert connection._options.tls.mode == mode


@pytest.mark.parametrize(
    ("lines", "given", "words"),
    [
        (["ssl"], {"ssl": False}, "key ssl asks for a connection with TLS"),
        (["ssl"], {"ssl_disabled": "yes"}, "key ssl asks for a connection with TLS"),
        (["ssl"], {"ssl_mode": "PREFERRED"}, "key ssl .* contradicts PREFERRED"),
        (["skip-ssl"], {"ssl_mode": "REQUIRED"}, "key ssl .* without TLS"),
        (["skip-ssl"], {"ssl": True}, "'ssl_mode' with DISABLED does without"),
        (["skip-ssl"], {"ssl_verify_cert": True}, "'ssl_mode' with DISABLED does without"),
        (["skip-ssl", "ssl-verify-server-cert"], {}, "'ssl_mode' with DISABLED does without"),
        (["ssl-mode=PREFERRED"], {"ssl_mode": "VERIFY_CA"}, "'ssl_mode' and option file"),
        (["ssl-mode=REQUIRED", "ssl-verify-server-cert"], {}, "with REQUIRED does without"),
        (["ssl-verify-server-cert=0"], {"ssl_verify_identity": True}, "_identity' and option file"),
        (["ssl-verify-server-cert=0"], {"ssl": True}, "'ssl' as True asks for verification"),
        (["ssl-verify-server-cert=perhaps"], {}, "can't be 'perhaps'"),
        (["skip-ssl"], {"ssl_mode": "required"}, "key ssl .* without TLS"),
        (["ssl"], {"ssl_mode": "preferred"}, "key ssl .* contradicts PREFERRED"),
        (["ssl=0"], {"ssl_mode": "Verify_Identity"}, "key ssl .* without TLS"),
        (["ssl"], {"ssl_mode": "disabled"}, "key ssl .* contradicts DISABLED"),
        (["skip-ssl=off"], {}, "ssl with a prefix can't be 'off', only 0 or 1"),
        (["enable-ssl-verify-server-cert=no"], {}, "with a prefix can't be 'no'"),
        (["skip-ssl="], {}, "with a prefix can't be ''"),
        (["ssl-verify-server-cert"], {"ssl_verify_identity": "no"}, "_identity' and option file"),
        (["ssl-mode=REQUIRED"], {"ssl": True}, DIFFERENT),
        (["ssl-mode=VERIFY_CA"], {"ssl": True}, DIFFERENT),
        (["ssl-mode=VERIFY_CA"], {"ssl": {"ca": "a"}}, DIFFERENT),
        (["ssl-mode=REQUIRED"], {"ssl": {"ca": "a"}}, DIFFERENT),
        (["ssl-mode=required"], {"ssl_ca": "a"}, DIFFERENT),
        (["ssl-mode=REQUIRED"], {"ssl_capath": "a"}, DIFFERENT),
        (["ssl-mode=PREFERRED"], {"ssl_ca": "a"}, DIFFERENT),
        (["ssl-mode=PREFERRED"], {"ssl_cipher": "a"}, DIFFERENT),
        (["ssl-mode=PREFERRED"], {"ssl_cert": "a"}, DIFFERENT),
        (["ssl-mode=PREFERRED"], {"tls_version": "TLSv1.3"}, DIFFERENT),
        (["ssl-mode=PREFERRED"], {"ssl": True}, "'ssl' asks for TLS"),
        (["ssl-mode=PREFERRED"], {"ssl": ssl.create_default_context()}, "'ssl' asks for TLS"),
        (["ssl-mode=PREFERRED"], {"ssl": {"verify_mode": "none"}}, "'ssl' asks for TLS"),
        (["ssl-ca=a"], {"ssl_mode": "REQUIRED"}, DIFFERENT),
        (["ssl-ca=a"], {"ssl_mode": "preferred"}, DIFFERENT),
        (["ssl-ca=a"], {"ssl_verify_cert": "no"}, DIFFERENT),
        (["ssl-ca=a"], {"ssl": {"verify_mode": "none"}}, DIFFERENT),
        (["ssl-capath=a"], {"ssl_ca": "b"}, DIFFERENT),
        (["ssl-ca=a"], {"ssl": {"capath": "b"}}, DIFFERENT),
        (["ssl-ca=a"], {"ssl_ca": "b"}, "'ssl_ca' and option file"),
        (["ssl-ca=a"], {"ssl": {"ca": "b"}}, "both have ca"),
        (["ssl-cert=a"], {"ssl_cert": "b"}, "'ssl_cert' and option file"),
        (["ssl-cipher=a"], {"ssl_cipher": "b"}, "'ssl_cipher' and option file"),
        (["ssl-cipher=a"], {"ssl": {"cipher": "b"}}, "both have cipher"),
        (["tls-version=TLSv1.2"], {"tls_version": "TLSv1.3"}, "'tls_version' and option file"),
        (["tls-version=TLSv1.2,TLSv1.3"], {"tls_version": "TLSv1.3"}, "'tls_version' and option"),
        (["skip-ssl"], {"ssl_ca": "a"}, "'ssl_ca' asks for TLS"),
        (["skip-ssl"], {"ssl_cert": "a"}, "'ssl_cert' asks for TLS"),
        (["skip-ssl"], {"tls_version": "TLSv1.3"}, "'tls_version' asks for TLS"),
        (["skip-ssl"], {"ssl": {"ca": "a"}}, "'ssl' asks for TLS"),
        (["skip-ssl"], {"ssl": ssl.create_default_context()}, "'ssl' asks for TLS"),
        (["ssl-mode=DISABLED"], {"ssl_ca": "a"}, "'ssl_ca' asks for TLS"),
        (["ssl-ca=a"], {"ssl": False}, "'ssl_ca' asks for TLS"),
        (["ssl-cert=a"], {"ssl_disabled": "1"}, "'ssl_cert' asks for TLS"),
        (["ssl-ca=a"], {"ssl_mode": "disabled"}, "'ssl_ca' asks for TLS"),
        (["ssl-mode=REQUIRED"], {"ssl": False}, "switches it off"),
        (["ssl-ca=a", "skip-ssl"], {}, "'ssl_ca' asks for TLS"),
        (["ssl-ca=ca.pem"], {"ssl": ssl.create_default_context()}, "'ssl_ca' has no effect"),
        (["tls-version=TLSv1.3"], {"ssl": ssl.create_default_context()}, "'tls_version' has no"),
        (["tls-version=TLSv1.1"], {}, "'tls_version' must name TLSv1.2"),
        (["tls-version=SSLv3,TLSv1.3"], {}, "'tls_version' must name TLSv1.2"),
        (["ssl-crl=crl.pem"], {}, "can't do what ssl-crl asks for"),
        (["ssl-fp=0123"], {}, "can't do what ssl-fp asks for"),
        (["tls-ciphersuites=TLS_AES_128_GCM_SHA256"], {}, "tls-ciphersuites"),
        (["ssl-ca"], {}, "ssl-ca has no value"),
        (["ssl-ca="], {}, "ssl-ca has no value"),
        (["ssl-crl="], {}, "can't do what ssl-crl asks for"),
        (["loose-ssl-ca="], {}, "ssl-ca has no value"),
        (["disable-ssl-ca"], {}, "ssl-ca has no value"),
    ],
)
async def test_what_can_not_be(
    tmp_path: Path, lines: list[str], given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Connection(read_default_file=written(tmp_path, *lines), **given)


def test_switches(program: Program, tmp_path: Path) -> None:
    """What prefixes mean, also several of them, is what the server makes of it."""
    if program.kind != "mariadb":
        pytest.skip("MySQL's programs have no option ssl that is true or false")
    path = tmp_path / "my.cnf"
    lines = ("skip-ssl=0", "loose-skip-ssl=1", "enable-ssl=0", "skip-loose-ssl", "enable-skip-ssl")
    for line in lines:
        path.write_text(f"[mysqld]\n{line}\n")
        argv = program.argv(f"--defaults-file={path}", "--help", "--verbose")
        done = subprocess.run(argv, env=program.environment, cwd=tmp_path, capture_output=True)
        printed = re.findall(rb"^ssl +(TRUE|FALSE)$", done.stdout, re.MULTILINE)
        found = read_option_file(str(path), "mysqld")["ssl"]
        assert printed == [str(found).upper().encode()], line


async def test_tls_of_a_file(server: Server, tmp_path: Path) -> None:
    """With a real server: the cipher, the version and the authority are those of the file."""
    if server.tls_ca is None:
        pytest.skip("the server named in the environment came without its CA")
    path = written(
        tmp_path,
        f"host={server.host}",
        f"port={server.port}",
        f"user={server.user}",
        f"ssl-ca={server.tls_ca}",
        "ssl-cipher=ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384",
        "tls-version=TLSv1.2",
    )
    async with connect(read_default_file=Path(path), password=server.password) as connection:
        stream = connection.runner.stream()
        name, version, _ = stream.extra_info("cipher")
        assert version == "TLSv1.2"
        assert name.endswith("AES256-GCM-SHA384")


async def test_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.cnf", tmp_path, "a\0b"):
        with pytest.raises(ValueError, match="'read_default_file': .* can't be read"):
            Connection(read_default_file=path)
    assert Connection(read_default_file="").host == "localhost"
    with pytest.raises(TypeError, match="'read_default_file' must be of type str, path"):
        Connection(read_default_file=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'read_default_group' must be of type str"):
        Connection(read_default_group=5)  # type: ignore[arg-type]


async def test_a_password_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "my.cnf"
    path.write_bytes(b"[client]\npassword=K\xe4se\n")
    assert Connection(read_default_file=path)._options.password == b"K\xe4se"
    path.write_bytes(b"[client]\nuser=K\xe4se\n")
    with pytest.raises(ValueError, match="user is not in UTF-8"):
        Connection(read_default_file=path)
