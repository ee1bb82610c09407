"""The examples on the pages of docs, as they stand there, in the order of each page.

What a program prints is in the block of text behind it.  Lines outside of a function may await, as in
`python -m asyncio`, and what they make stays for the blocks behind them.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import pytest

from tests.servers import Server

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = {path.name: path.read_text("utf-8") for path in sorted(DOCS.glob("*.md"))}

#: Pages whose examples are run elsewhere.
ELSEWHERE = {
    "many.md": "tests/meta/test_many_page.py",
    "recipes.md": "tests/consumers/test_consumers.py",
}

#: What the server has, and what the names stand for, where a page takes that for granted.
TABLES = {
    "errors.md": [
        "CREATE TABLE accounts (id INT PRIMARY KEY, amount INT)",
        "CREATE USER late IDENTIFIED BY 'old' PASSWORD EXPIRE",
    ],
    "prepared.md": [
        "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(20))",
        "INSERT INTO users VALUES (42, 'Ann'), (43, 'Bob')",
    ],
}


class Example(NamedTuple):
    """A block of Python, and the block of text behind it: what it prints, None if there is none."""

    line: int
    code: str
    output: str | None


def examples(page: str) -> list[Example]:
    """The examples of a page."""
    blocks = re.finditer(
        r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", page, re.MULTILINE | re.DOTALL
    )
    return [Example(page.count("\n", 0, at.start()) + 2, at[1], at[2]) for at in blocks]


EXAMPLES = {name: examples(page) for name, page in PAGES.items()}
RUN = [name for name, found in EXAMPLES.items() if found and name not in ELSEWHERE]


def compiled(name: str, example: Example) -> CodeType:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = "\n" * (example.line - 1) + example.code
    return compile(code, str(DOCS / name), "exec", flags=flags, dont_inherit=True)


@pytest.fixture
def shop(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """An account and a database as the pages have them, on a host that they name."""
    if server.log is None or server.tls_ca is None:
        pytest.skip("needs a server of this run")
    server.execute("CREATE DATABASE shop")
    try:
        server.execute("CREATE USER app IDENTIFIED BY 'secret'")
        server.execute("GRANT ALL ON shop.* TO app")
        url = f"mysql://app:secret@{server.host}:{server.port}/shop"
        monkeypatch.setenv("DATABASE_URL", url)
        for option in ("tls_ca", "tls_client_cert", "tls_client_key"):
            name = option.removeprefix("tls_").replace("_", "-") + ".pem"
            (tmp_path / name).write_bytes(Path(getattr(server, option)).read_bytes())
        address = f"host={server.host}\nport={server.port}\n"
        (tmp_path / ".my.cnf").write_text(f"[client]\n{address}user=app\npassword=secret\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        look_up = socket.getaddrinfo

        def here(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            """As if this were the server's host."""
            if str(host).endswith(".example"):
                host, port = server.host, server.port
            return look_up(host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", here)
        yield {"__name__": "__main__"}
    finally:
        server.execute("DROP DATABASE shop")
        server.execute("DROP USER IF EXISTS app, late")


@pytest.mark.parametrize("page", RUN)
def test_examples(
    server: Server, shop: dict[str, Any], page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with server.connect(database="shop") as connection, connection.cursor() as cursor:
        for statement in TABLES.get(page, ()):
            cursor.execute(statement)
    with asyncio.Runner() as runner:
        for example in EXAMPLES[page]:
            code = compiled(page, example)
            result = eval(code, shop)  # noqa: S307
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(result)
            printed = capsys.readouterr().out
            assert example.output is None or printed == example.output, f"line {example.line}"
        shop.clear()
        gc.collect()


def test_blocks_of_python_are_found() -> None:
    page = "# A\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nawait x\n```\nAnd so on\n"
    assert examples(page) == [Example(4, "print(1)\n", "1\n"), Example(12, "await x\n", None)]
    assert len(RUN) >= 12
    assert {name for name, found in EXAMPLES.items() if found} >= ELSEWHERE.keys()
