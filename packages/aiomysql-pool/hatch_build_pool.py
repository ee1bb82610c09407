"""Build hook of the pool layer: finds the one in `shared`, which compiles the C module.

That folder stands beside `packages` in the repository, and here in a source archive.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any


def get_build_hook() -> Any:
    """The class of the hook, for hatchling."""
    here = Path(__file__).resolve().parent
    folder = here / "shared"
    if not folder.is_dir():
        folder = here.parent.parent / "shared"
    return runpy.run_path(str(folder / "c_extension.py"))["CExtensionHook"]
