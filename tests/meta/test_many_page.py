"""The examples of docs/many.md, as they stand there, one after another."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import Any

import aiomysql
from tests.servers import Server

PAGE = Path(__file__).parent.parent.parent / "docs" / "many.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


async def test_examples(server: Server, connect_args: dict[str, Any], table_name: str) -> None:
    server.execute(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY, name VARCHAR(20),"
        " amount INT NOT NULL DEFAULT 1) ENGINE=InnoDB"
    )
    assert len(EXAMPLES) == 7
    async with aiomysql.connect(**connect_args) as connection:
        for example in EXAMPLES:
            code = re.sub(r"\bstock\b", table_name, example)
            function = f"async def example():\n{textwrap.indent(code, '    ')}"
            names = {"aiomysql": aiomysql, "connection": connection}
            exec(compile(ast.parse(function), str(PAGE), "exec"), names)  # noqa: S102
            await names["example"]()  # type: ignore[operator]
