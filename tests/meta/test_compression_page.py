"""The example of docs/compression.md, as it stands there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import aiomysql

PAGE = Path(__file__).parent.parent.parent / "docs" / "compression.md"
DSN = '"mysql://app@db.example/shop", password=secret'


async def test_example(connect_args: dict[str, Any]) -> None:
    text = PAGE.read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert DSN in example
    code = f"async def example():\n{textwrap.indent(example, '    ')}"
    names: dict[str, Any] = {"aiomysql": aiomysql, "options": connect_args}
    exec(code.replace(DSN, "**options"), names)  # noqa: S102
    await names["example"]()
