"""Notices what a driver leaves behind: warnings, tasks, and exceptions nobody receives."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def open_sockets() -> int:
    """How many sockets this process has open; 0 where that can't be told."""
    count = 0
    for path in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            count += os.readlink(path).startswith("socket:")
    return count


@contextmanager
def watching(*, ignore: tuple[str, ...] = ()) -> Iterator[Counter[str]]:
    """Count, within the block, what should not come up; must be used inside a running loop.

    `ignore`: beginnings of warnings that are part of a case.
    """
    noise: Counter[str] = Counter()
    loop = asyncio.get_running_loop()

    def warned(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if not str(message).startswith(ignore or ("\0",)):
            noise[f"{category.__name__}: {message}"[:150]] += 1

    def unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        noise[f"unhandled: {context['message']}: {context.get('exception')!r}"[:200]] += 1

    def unraisable(event: Any) -> None:
        noise[f"unraisable: {event.exc_value!r}"[:150]] += 1

    before, hook = loop.get_exception_handler(), sys.unraisablehook
    tasks = asyncio.all_tasks()
    gc.collect()
    sockets = open_sockets()
    loop.set_exception_handler(unhandled)
    sys.unraisablehook = unraisable
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = warned
            yield noise
            gc.collect()
    finally:
        sys.unraisablehook = hook
        loop.set_exception_handler(before)
    left = asyncio.all_tasks() - tasks
    if left:
        noise[f"tasks left: {sorted(str(task.get_coro()) for task in left)}"[:200]] += 1
    if open_sockets() > sockets:
        noise["sockets left"] += open_sockets() - sockets


async def let_transports_close(seconds: float = 0.05) -> None:
    """Wait until transports that were closed are gone."""
    await asyncio.sleep(seconds)
    gc.collect()
    await asyncio.sleep(0)
