"""Runs other programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class ReleaseError(Exception):
    """Why a release can't be made, for a person to read."""


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] = {}) -> str:
    """Run a program; what it wrote to its standard output.

    Raises ReleaseError with all that it said if it fails.
    """
    # The programs of this environment, also where that was not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.environ["PATH"])])
    words = [str(part) for part in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **env, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(words)}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout
