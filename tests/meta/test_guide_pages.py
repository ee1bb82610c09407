"""The examples of pages of the guide, as they stand there, one after another."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

import aiomysql
from tests.servers import Server

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize(("page", "count"), [("many.md", 6), ("statements.md", 6)])
async def test_examples(
    server: Server, connect_args: dict[str, Any], table_name: str, page: str, count: int
) -> None:
    text = (DOCS / page).read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == count
    server.execute(
        f"CREATE TABLE {table_name} (id INT PRIMARY KEY, name VARCHAR(20),"
        " amount INT NOT NULL DEFAULT 1) ENGINE=InnoDB"
    )
    async with (
        aiomysql.connect(**connect_args) as connection,
        aiomysql.create_pool(**connect_args) as pool,
    ):
        for example in examples:
            code = re.sub(r"\bstock\b", table_name, example)
            function = f"async def example():\n{textwrap.indent(code, '    ')}"
            names = {"aiomysql": aiomysql, "connection": connection, "pool": pool}
            exec(compile(ast.parse(function), page, "exec"), names)  # noqa: S102
            await names["example"]()  # type: ignore[operator]
            await connection.commit()
