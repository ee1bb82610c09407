"""`--dump-packets`: what a failing test exchanged with its server, without its secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from tests.packet_dump import Conversation, PacketDump, mask_statement
from tests.servers import Server

ROOT = Path(__file__).parent.parent

FAILING = """
def select(server, text):
    options = {"unix_socket": None, "ssl_disabled": True}
    with server.connect(**options) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s", (text,))
        return cursor.fetchone() == (text,)


def test_one(server):
    assert not select(server, "of one")


def test_another(server):
    assert select(server, "of another")
"""


def log_in(server: Server, dump: PacketDump, password: str, **options: Any) -> str:
    """Log in by way of the dump, run a statement, and return what was written down."""
    with dump.before(server) as told:
        arguments = {"unix_socket": None, "password": password, **options}
        with told.connect(**arguments) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 'shown', 1")
            assert cursor.fetchone() == ("shown", 1)
    return dump.text()


def test_packets_are_told_and_what_logs_in_is_masked(server: Server) -> None:
    text = log_in(server, PacketDump(), server.password, ssl_disabled=True)
    assert "COM_QUERY" in text
    assert "SELECT 'shown'" in text
    assert "client -> server: packet 1" in text
    log_ins = [line for line in text.splitlines() if "log-in" in line]
    assert log_ins
    assert all("masked" in line for line in log_ins)
    assert server.user in text


def test_what_is_encrypted_is_counted(server: Server) -> None:
    text = log_in(server, PacketDump(), server.password, ssl={"ca": server.tls_ca})
    assert "asks for TLS" in text
    assert "bytes, encrypted" in text
    assert "shown" not in text


def told(*packets: tuple[bool, int, bytes]) -> str:
    lines: deque[str] = deque()
    conversation = Conversation(1, 0.0, lines)
    for to_server, number, payload in packets:
        frame = len(payload).to_bytes(3, "little") + bytes([number]) + payload
        # However it is cut.
        for byte in frame:
            conversation.add(bytes([byte]), to_server=to_server)
    return "\n".join(lines)


def test_secrets_of_every_log_in() -> None:
    user = bytes(32) + b"someone\0"
    text = told(
        (False, 0, b"\nversion"),
        (True, 1, user + b"\x06SECRET"),
        (False, 2, b"\xfeanother\0nonce"),
        (True, 3, b"SECRET\0"),
        (False, 4, b"\0\0\0\2\0\0\0"),
        (True, 0, b"\x03SELECT 1"),
        (True, 0, b"\x11someone\0\x06SECRET"),
        (True, 3, b"SECRET"),
        (False, 4, b"\0\0\0\2\0\0\0"),
        (True, 0, b"\x03SELECT 2"),
    )
    assert "SECRET" not in text
    assert text.count("someone") == 2
    assert "SELECT 1" in text
    assert "SELECT 2" in text
    assert "COM_CHANGE_USER, masked" in text


@pytest.mark.parametrize(
    "statement",
    [
        b"CREATE USER a IDENTIFIED BY 'SECRET'",
        b'CREATE USER a identified with plugin by "SEC\\"RET" REQUIRE SSL',
        b"SET PASSWORD FOR a = PASSWORD('SECRET')",
        b"SET PASSWORD = 'SECRET",
        b"CREATE USER a IDENTIFIED VIA ed25519 USING PASSWORD('SECRET')",
    ],
)
def test_passwords_in_statements(statement: bytes) -> None:
    masked = mask_statement(statement)
    assert b"RET" not in masked
    assert masked.startswith(statement[:12])


def test_other_statements_stay() -> None:
    statement = b"SELECT 'it''s', \"this\""
    assert mask_statement(statement) == statement


@pytest.mark.slow
def test_failing_tests_show_their_packets(server: Server, tmp_path: Path) -> None:
    (tmp_path / "test_failing.py").write_text(FAILING)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-q"]
    command += ["--rootdir", str(ROOT), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += ["--dump-packets", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "AIOMYSQL_TEST_DSN": server.dsn, "SERVER": ""},
        text=True,
        capture_output=True,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("- packets -") == 1
    packets = done.stdout.partition("- packets -")[2]
    assert "of one" in packets
    assert "of another" not in packets
