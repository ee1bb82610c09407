"""Build hook: compiles the C modules of packages into the wheel, where that is wanted and possible.

The hook's option `packages` lists the folders of the packages, each of which has its C sources and
their headers in the folder `c`.  The headers beside this file are for all packages.

This folder, `shared`, stands once in the repository, and goes into the source archive of every
distribution that has a C module, which must build alone.

AIOMYSQL_BUILD_SPEEDUPS  unset or empty: compile if that works, else build a pure wheel and say so;
                         "yes": fail unless it can be compiled; "no": do not try.
AIOMYSQL_BUILD_WERROR    "1": compiler warnings are errors. Off otherwise, so that what a newer
                         compiler warns of does not stop a user's build.

pip and uv do not show what a build prints unless it fails. So what went wrong is also written into
the package, as `_speedups_missing.txt`, for the driver to say when it runs.

In an editable build the library is put beside its source. It is not compiled again by itself when
the source changes: reinstall the package.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: This folder: the headers that C modules have in common, and what builds them.
_SHARED = Path(__file__).resolve().parent
_SWITCH = "AIOMYSQL_BUILD_SPEEDUPS"
_WERROR = "AIOMYSQL_BUILD_WERROR"
#: Nothing but the module's initialization is visible: so the units do not call each other through
#: the linker's tables.
_UNIX_FLAGS = ["-O3", "-Wall", "-Wextra", "-fvisibility=hidden"]
_MISSING = "_speedups_missing.txt"
_OUTPUT = "output.txt"
#: As many of the compiler's lines are told.
_LINES = 6
#: What is said when the compiler, the linker, or a header is not there.
_NOT_THERE = re.compile(
    r"No such file|not found|cannot find|Cannot open include|Python\.h|Visual C\+\+ .* required",
    re.IGNORECASE,
)
_NEEDED = (
    "a C compiler and Python's headers are needed (Debian, Ubuntu: apt install gcc python3-dev; "
    "Fedora: dnf install gcc python3-devel; macOS: xcode-select --install)"
)


class CExtensionHook(BuildHookInterface[Any]):
    """Compiles each package's C sources and adds the libraries to the wheel."""

    _folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the wheel a platform wheel with the libraries, or leave it pure.

        A source archive gets the folder of this file.

        Raises ValueError for an unknown value of the switch, RuntimeError where the switch is
        "yes" and a library cannot be made.
        """
        if self.target_name == "sdist":
            build_data["force_include"][str(_SHARED)] = _SHARED.name
            return
        switch = os.environ.get(_SWITCH, "")
        if switch not in ("", "yes", "no"):
            raise ValueError(f'{_SWITCH} must be "yes", "no" or unset, not {switch!r}')
        self._folder = Path(tempfile.mkdtemp(prefix="aiomysql-"))
        for name in self.config["packages"]:
            package = Path(self.root, name)
            folder = self._folder / package.name
            self._add(package, folder, switch, version == "editable", build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder that the libraries were compiled in."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _add(
        self,
        package: Path,
        folder: Path,
        switch: str,
        editable: bool,
        build_data: dict[str, Any],
    ) -> None:
        """Compile the module of one package in a folder, or write down why that can't be."""
        suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
        module = f"{package.name}._speedups"
        folder.mkdir()
        (folder / _OUTPUT).touch()
        if editable:
            (package / f"_speedups{suffix}").unlink(missing_ok=True)
            (package / _MISSING).unlink(missing_ok=True)
        made: Path | None = None
        refusal = _why_not(switch)
        problem = refusal
        if not problem:
            try:
                made = _build_extension(module, package / "c", folder)
            except Exception as exc:  # whatever setuptools and the compiler make of their trouble
                problem = _explained(exc, (folder / _OUTPUT).read_text("utf-8", "replace"))
        if problem and switch == "yes":
            shutil.rmtree(folder.parent, ignore_errors=True)
            raise RuntimeError(f"{_SWITCH} is 'yes', but {module} cannot be built: {problem}")
        if problem:
            self.app.display_warning(f"{module} is left out, Python does its work: {problem}")
        if problem and not refusal:
            made = folder / _MISSING
            made.write_text(f"{problem}\n", encoding="utf-8")
        if made is None:
            return
        if editable:
            shutil.copy2(made, package)
        else:
            build_data["force_include"][str(made)] = f"{package.name}/{made.name}"
        if not problem and not editable:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def _why_not(switch: str) -> str:
    if switch == "no":
        return f"{_SWITCH} is 'no'"
    if platform.python_implementation() != "CPython":
        return f"{platform.python_implementation()} runs the Python code faster"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "the C modules need the lock (GIL), which this Python does without"
    return ""


def _explained(error: Exception, output: str) -> str:
    """What went wrong, in one line: the error, what the compiler said, and what may help."""
    said = [line.strip() for line in output.splitlines() if line.strip()]
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    if said:
        # The last lines, or the first error where warnings follow that.
        errors = [n for n, line in enumerate(said) if "error" in line.lower()]
        start = min(max(len(said) - _LINES, 0), *errors[:1], len(said))
        reason = f"{reason}, after: {' / '.join(said[start : start + _LINES])}"
    missing = not isinstance(error, ImportError) and _NOT_THERE.search(reason)
    return f"{reason}; {_NEEDED}" if missing else reason


@contextmanager
def _output_kept(path: Path) -> Iterator[None]:
    """Write what programs print to a file, and then also where it was meant to go."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        with path.open("wb") as file:
            for number, _ in kept:
                os.dup2(file.fileno(), number)
            try:
                yield
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                for number, copy in kept:
                    os.dup2(copy, number)
    finally:
        for _, copy in kept:
            os.close(copy)
        sys.stderr.write(path.read_text("utf-8", "replace"))


def _build_extension(module: str, sources: Path, folder: Path) -> Path:
    """Compile `module` of a folder of sources in `folder`, and return the library's path."""
    # Not needed, and possibly not there, for a pure wheel.
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    flags = list(_UNIX_FLAGS) if os.name == "posix" else []
    if flags and os.environ.get(_WERROR) == "1":
        flags.append("-Werror")
    extension = Extension(
        module,
        sorted(str(source) for source in sources.rglob("*.c")),
        include_dirs=[str(sources), str(_SHARED)],
        extra_compile_args=flags,
    )
    command = build_ext(Distribution({"name": module, "ext_modules": [extension]}))
    command.build_lib = str(folder / "lib")
    command.build_temp = str(folder / "temp")
    command.ensure_finalized()
    with _output_kept(folder / _OUTPUT):
        command.run()
    return Path(command.get_ext_fullpath(module))
