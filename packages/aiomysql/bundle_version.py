"""The version of the distribution that the repository's root builds, see pyproject.toml there."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
_ROOT = _FOLDER.parent.parent


def bundle_version() -> str:
    """That of `aiomysql` with a label: "1.0.0+bundle.g1a2b3c4d5e6f" in a checkout.

    The commit makes it another version each time, without which `pip install git+URL` would keep
    what is installed.
    """
    version = runpy.run_path(str(_FOLDER / "src" / "aiomysql" / "_version.py"))["__version__"]
    return ".".join([f"{version}+bundle", *_commit()])


def _commit() -> list[str]:
    """What is checked out, as parts of a label; none where that can't be told."""
    if not (_ROOT / ".git").exists():  # or a repository around this folder would be asked
        return []
    command = ["git", "describe", "--always", "--dirty=.dirty", "--exclude=*", "--abbrev=12"]
    try:
        said = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [f"g{said.strip()}"]
