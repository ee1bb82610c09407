"""Programs of their own, for what a test's process can't do itself, as forking."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping

#: Runs `main` with the arguments, whose "uvloop" says on which event loop.
_RUN = """
import asyncio, json, sys

arguments = json.loads(sys.argv[1])
if arguments.pop("uvloop"):
    import uvloop
    uvloop.run(main(arguments))
else:
    asyncio.run(main(arguments))
"""


async def run_program(script: str, arguments: Mapping[str, object], *more: str) -> None:
    """Run a script that defines `async def main(arguments)`, which is to print "fine"."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script + _RUN, json.dumps(arguments), *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (0, b"fine\n"), err.decode()
