"""Whether the tests notice faults: puts some into copies of the packages, one at a time.

`make mutations` takes a few minutes if all are noticed; `ARGS='--only busy'` takes those faults
alone whose name matches.  Each is a small exact replacement in one file.  The tests of its module
run first, then those of its layer, then all that `make check` runs, then, for what only the Python
implementation uses, the same in Python: `.ci/run` runs both.  Printed is the first that failed.

A fault whose text is no longer there is an error: say it anew for the present code.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.builds import ROOT, compile_package, copy_packages

FOLDER = ROOT / ".hatch" / "mutations"
OPTIONS = ["-O1", "-w"]
QUICK = ("--loop", "asyncio", "-m", "not slow and not sa_versions")
#: Seconds after which a test that hangs ends the run: then it was caught.
HANGS = 30
#: What is about builds and releases can't tell.
ELSEWHERE = ("tests/test_packaging.py", "tests/consumers", "tests/benchmarks")


@dataclass(frozen=True, slots=True)
class Fault:
    """One replacement in a file, relative to the folder that has the packages."""

    name: str
    path: str
    before: str
    after: str

    @property
    def package(self) -> str:
        return self.path.partition("/")[0]

    @property
    def selections(self) -> list[str]:
        """The tests that are likeliest to notice, its layer's, all."""
        layer = f"tests/{self.package.removeprefix('aiomysql_')}"
        own = f"{layer}/test_{Path(self.path).stem}.py"
        return [*([own] if (ROOT / own).exists() else []), layer, "tests"]


FAULTS = [
    # -- the protocol ----------------------------------------------------------------------------
    Fault(
        "a frame counts as complete four bytes early",
        "aiomysql_protocol/c/wire/frame.h",
        "*length > end - pos - FRAME_HEADER",
        "*length > end - pos",
    ),
    Fault(
        "sequence ids of rows don't wrap",
        "aiomysql_protocol/c/commands/response.c",
        "(int)(exchange->sequence_id + PyList_GET_SIZE(rows)) & 0xFF",
        "(int)(exchange->sequence_id + PyList_GET_SIZE(rows))",
    ),
    Fault(
        "the packet that ends the rows is taken for a row",
        "aiomysql_protocol/c/commands/response.c",
        "    if (*payload == PACKET_EOF) {\n        return read_end(",
        "    if (*payload == PACKET_EOF && length < 7) {\n        return read_end(",
    ),
    Fault(
        "a wrong sequence id behind kept metadata",
        "aiomysql_protocol/c/commands/response.c",
        "(int)(1 + (unsigned long)frames) & 0xFF",
        "(int)((unsigned long)frames) & 0xFF",
    ),
    Fault(
        "the number of warnings from the wrong field",
        "aiomysql_protocol/c/wire/packets.c",
        "items[OK_WARNING_COUNT] = PyLong_FromLong((long)load_2(pos + 2));",
        "items[OK_WARNING_COUNT] = PyLong_FromLong((long)load_2(pos));",
    ),
    Fault(
        "lengths off by one where they get longer",
        "aiomysql_protocol/c/wire/lenenc.h",
        "value < LENENC_NULL ? 1 : value <= 0xFFFF ? 3",
        "value < LENENC_NULL ? 1 : value <= 0x10000 ? 3",
    ),
    Fault(
        "the bitmap of NULLs is a byte short for some numbers of columns",
        "aiomysql_protocol/c/rows/row_reader.c",
        "Py_ssize_t bitmap_size = (self->count + 9) / 8;",
        "Py_ssize_t bitmap_size = (self->count + 8) / 8;",
    ),
    Fault(
        "a long request lacks the empty frame at its end",
        "aiomysql_protocol/wire/framing.py",
        "for start in range(0, len(payload) + 1, MAX_FRAME):",
        "for start in range(0, len(payload), MAX_FRAME):",
    ),
    Fault(
        "an error leaves no doubt about the transaction",
        "aiomysql_protocol/session.py",
        "self.server_status |= _IN_DOUBT",
        "self.server_status |= 0",
    ),
    # -- the runner and its stream ---------------------------------------------------------------
    Fault(
        "busy stays set after a result",
        "aiomysql_core/c/engine/runner_state.c",
        "    self->_busy = 0; /* the runner says what is unread by now */\n",
        "",
    ),
    Fault(
        "the row count is the last id",
        "aiomysql_core/c/engine/runner_state.c",
        "count = Py_NewRef(PyTuple_GET_ITEM(ok, OK_AFFECTED_ROWS));",
        "count = Py_NewRef(PyTuple_GET_ITEM(ok, OK_INSERT_ID));",
    ),
    Fault(
        "that a statement may begin a transaction is not recorded",
        "aiomysql_core/c/engine/runner_state.c",
        "        self->transaction_possible = 1;\n",
        "",
    ),
    Fault(
        "the read timeout is not armed anew",
        "aiomysql_core/c/transport/stream_state.c",
        "    self->_waiting_since = monotonic();\n",
        "",
    ),
    Fault(
        "a waiter is woken although there is no progress",
        "aiomysql_core/c/waiting/waiter.c",
        "    if (!self->has_progress) {\n        Py_RETURN_NONE;\n    }\n",
        "",
    ),
    Fault(
        "busy stays set when the waiting task gets an error",
        "aiomysql_core/engine/runner.py",
        "else str(error))\n        self.release()\n",
        "else str(error))\n",
    ),
    Fault(
        "busy stays set in Python after a result",
        "aiomysql_core/engine/runner_state.py",
        "        self._busy = False  # the runner says what is unread by now\n",
        "",
    ),
    # -- the pool --------------------------------------------------------------------------------
    Fault(
        "a connection is handed out before its reset",
        "aiomysql_pool/pool.py",
        "            return self._reset(connection, holder)\n        else:",
        "            self._reset(connection, holder)\n"
        "            leases.make_available(holder, connection)\n        else:",
    ),
    Fault(
        "one connection too few is kept",
        "aiomysql_pool/c/lease_queue.c",
        "self->maxsize < PyDict_GET_SIZE(self->holders)",
        "self->maxsize <= PyDict_GET_SIZE(self->holders)",
    ),
    Fault(
        "connects under way don't count for maxsize",
        "aiomysql_pool/opening.py",
        "if 0 < options.maxsize <= opened + under_way:",
        "if 0 < options.maxsize <= opened:",
    ),
    Fault(
        "whoever stops waiting still counts as waiting",
        "aiomysql_pool/c/lease_queue.c",
        "    waiter->older = waiter->newer = NULL;\n    self->waiting--;\n",
        "    waiter->older = waiter->newer = NULL;\n",
    ),
]


def first_failure(selection: str, implementation: str) -> str:
    """The first test that fails, or how the run ended; empty: all passed.

    Raises RuntimeError where no tests ran.
    """
    server = os.environ.get("SERVER") or "mariadb118"
    env = {**os.environ, "PYTHONPATH": str(FOLDER / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"AIOMYSQL_IMPL": implementation, "SERVER": server}
    command = [sys.executable, "-m", "pytest", "-v", "-x", "-p", "no:cacheprovider", *QUICK]
    command += [f"--ignore={path}" for path in ELSEWHERE]
    command += ["-o", f"faulthandler_timeout={HANGS}", selection]
    done = subprocess.run(
        command, cwd=ROOT, env=env, text=True, errors="replace", capture_output=True, check=False
    )
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, re.MULTILINE)
    if found:
        return found[1]
    begun = re.findall(r"^(tests/\S+::.*?)(?: [A-Z]+ +\[.*)?$", done.stdout, re.MULTILINE)
    if begun and "Timeout (" in done.stderr:
        return f"{begun[-1].strip()} (hangs)"
    if begun and done.returncode not in (1, 2, 3, 4, 5):
        return f"{begun[-1].strip()} (the interpreter ends: {done.returncode})"
    raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])


def caught_by(fault: Fault) -> str:
    """What notices a fault that is in the copy; empty: nothing."""
    for implementation in ("c", "python"):
        for selection in fault.selections:
            found = first_failure(selection, implementation)
            if found:
                where = "make check" if implementation == "c" else "make test IMPL=python"
                return f"{where}: {found}"
    return ""


def main() -> int:
    """Put in one fault after the other, and say what caught it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a pattern that the names of the faults have")
    pattern = re.compile(parser.parse_args().only)
    chosen = [fault for fault in FAULTS if pattern.search(fault.name)]
    compiler = os.environ.get("CC") or "gcc"
    shutil.rmtree(FOLDER, ignore_errors=True)

    def build(package: Path) -> None:
        if (package / "c").is_dir():
            objects = FOLDER / "objects" / package.name
            compile_package(compiler, package, objects, OPTIONS, OPTIONS)

    for package in copy_packages(FOLDER / "src"):
        build(package)
    missed = 0
    for fault in chosen:
        began = time.monotonic()
        path = FOLDER / "src" / fault.path
        text = path.read_text()
        if text.count(fault.before) != 1:
            raise ValueError(f"not once in {fault.path}: {fault.before}")
        path.write_text(text.replace(fault.before, fault.after))
        try:
            build(FOLDER / "src" / fault.package)
            found = caught_by(fault)
        finally:
            path.write_text(text)
        if path.suffix in (".c", ".h"):
            build(FOLDER / "src" / fault.package)
        missed += not found
        seconds = time.monotonic() - began
        print(f"{fault.name} ({seconds:.0f} s): {found or 'NOT CAUGHT'}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} faults were caught")
    return missed > 0


if __name__ == "__main__":
    sys.exit(main())
