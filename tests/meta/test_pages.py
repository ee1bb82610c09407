"""The examples on the pages of docs, as they stand there, in the order of each page.

They find the server, the account that their addresses name and its empty database, and nothing
else; an administrator runs the blocks of SQL that make accounts.
What a program prints is in the block of text behind it.  Lines outside of a function may await, as
in `python -m asyncio`, and what they make stays for the blocks behind them.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import inspect
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

from tests.servers import Server

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = {path.name: path.read_text("utf-8") for path in sorted(DOCS.glob("*.md"))}

#: Pages whose examples are run elsewhere.
ELSEWHERE = {
    "recipes.md": "tests/consumers/test_consumers.py",
}

#: The ends of the names of hosts on the pages, each of which is the test's server.
HOSTS = (".example", ".amazonaws.com", ".azure.com")


def stand_ins() -> dict[str, ModuleType]:
    """Modules in the place of the clouds' own, whose tokens are the password of `app`."""
    boto3, identity = ModuleType("boto3"), ModuleType("azure.identity.aio")
    google, auth, requests = (ModuleType("google" + name) for name in ("", ".auth", ".requests"))

    def generate_db_auth_token(DBHostname: str, Port: int, DBUsername: str) -> str:  # noqa: N803
        return "secret"

    class DefaultAzureCredential(contextlib.AsyncExitStack):
        async def get_token(self, scope: str) -> Any:
            return SimpleNamespace(token="secret")

    credentials = SimpleNamespace(token=None)
    credentials.refresh = lambda request: setattr(credentials, "token", "secret")
    rds = SimpleNamespace(generate_db_auth_token=generate_db_auth_token)
    vars(boto3)["client"] = lambda service, region_name: rds
    vars(identity)["DefaultAzureCredential"] = DefaultAzureCredential
    vars(requests)["Request"] = object
    vars(auth)["default"] = lambda scopes: (credentials, None)
    vars(auth)["transport"] = SimpleNamespace(requests=requests)
    vars(google)["auth"] = auth
    return {
        "boto3": boto3,
        "azure": ModuleType("azure"),
        "azure.identity": ModuleType("azure.identity"),
        "azure.identity.aio": identity,
        "google": google,
        "google.auth": auth,
        "google.auth.transport": ModuleType("google.auth.transport"),
        "google.auth.transport.requests": requests,
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
    made: CodeType = compile(code, str(DOCS / name), "exec", flags=flags, dont_inherit=True)
    return made


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
            if str(host).endswith(HOSTS):
                host, port = server.host, server.port
            return look_up(host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", here)
        for name, module in stand_ins().items():
            monkeypatch.setitem(sys.modules, name, module)
        yield {"__name__": "__main__"}
    finally:
        server.execute("DROP DATABASE shop")
        server.execute("DROP USER IF EXISTS app, late")


@pytest.mark.parametrize("page", RUN)
def test_examples(
    server: Server, shop: dict[str, Any], page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for statement in re.findall(r"^```sql\n(CREATE USER .*\n)```$", PAGES[page], re.MULTILINE):
        server.execute(statement)
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
    page = "# A\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nawait x\n```\nAnd\n"
    assert examples(page) == [Example(4, "print(1)\n", "1\n"), Example(12, "await x\n", None)]
    assert len(RUN) >= 12
    assert {name for name, found in EXAMPLES.items() if found} >= ELSEWHERE.keys()
