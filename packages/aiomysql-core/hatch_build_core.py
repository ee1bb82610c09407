"""Build hook: compiles the package's C module into the wheel, where that is wanted and possible.

The hook's option `package` names the package whose `_speedups.c` that is.  Every distribution that
has one carries this file, because it must be built from its own source archive alone.

AIOMYSQL_BUILD_SPEEDUPS  unset or empty: compile if that works, else build a pure wheel and say so;
                         "yes": fail unless it can be compiled; "no": do not try.
AIOMYSQL_BUILD_WERROR    "1": compiler warnings are errors. Off otherwise, so that what a newer
                         compiler warns of does not stop a user's build.

In an editable build the library is put beside its source. It is not compiled again by itself when
the source changes: reinstall the package.
"""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SWITCH = "AIOMYSQL_BUILD_SPEEDUPS"
_WERROR = "AIOMYSQL_BUILD_WERROR"
_UNIX_FLAGS = ["-O3", "-Wall", "-Wextra"]


class SpeedupsHook(BuildHookInterface[Any]):
    """Compiles ``_speedups.c`` and adds the library to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the wheel a platform wheel with the library, or leave it pure.

        Raises ValueError for an unknown value of the switch, RuntimeError where the switch is
        "yes" and the library cannot be made.
        """
        switch = os.environ.get(_SWITCH, "")
        if switch not in ("", "yes", "no"):
            raise ValueError(f'{_SWITCH} must be "yes", "no" or unset, not {switch!r}')
        package = str(self.config["package"])
        self._module = f"{package}._speedups"
        self._source = Path("src") / package / "_speedups.c"
        beside = self._library_beside_source()
        if version == "editable":
            beside.unlink(missing_ok=True)
        problem = self._why_not(switch) or self._compile(version, build_data, beside)
        if problem and switch == "yes":
            raise RuntimeError(f"{_SWITCH} is 'yes', but {self._module} cannot be built: {problem}")
        if problem:
            self.app.display_warning(f"{self._module} is left out, Python does its work: {problem}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder that the library was compiled in."""
        folder = getattr(self, "_folder", None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _library_beside_source(self) -> Path:
        suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
        return Path(self.root) / self._source.with_name(f"_speedups{suffix}")

    def _why_not(self, switch: str) -> str:
        if switch == "no":
            return f"{_SWITCH} is 'no'"
        if platform.python_implementation() != "CPython":
            return f"{platform.python_implementation()} runs the Python code faster"
        return ""

    def _compile(self, version: str, build_data: dict[str, Any], beside: Path) -> str:
        """Compile and record the result in `build_data`; return what stands in the way, if any."""
        self._folder = tempfile.mkdtemp(prefix="aiomysql-")
        try:
            library = _build_extension(
                self._module, Path(self.root) / self._source, Path(self._folder)
            )
        except Exception as exc:  # whatever setuptools and the compiler make of their trouble
            shutil.rmtree(self._folder, ignore_errors=True)
            return f"{type(exc).__name__}: {exc}".replace("\n", " ")
        if version == "editable":
            shutil.copy2(library, beside)
        else:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["force_include"][str(library)] = f"{self._source.parent.name}/{library.name}"
        return ""


def _build_extension(module: str, source: Path, folder: Path) -> Path:
    """Compile `module` in `folder`, and return the library's path."""
    # Not needed, and possibly not there, for a pure wheel.
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    flags = list(_UNIX_FLAGS) if os.name == "posix" else []
    if flags and os.environ.get(_WERROR) == "1":
        flags.append("-Werror")
    extension = Extension(
        module,
        [str(source)],
        extra_compile_args=flags,
    )
    command = build_ext(Distribution({"name": module, "ext_modules": [extension]}))
    command.build_lib = str(folder / "lib")
    command.build_temp = str(folder / "temp")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(module))
