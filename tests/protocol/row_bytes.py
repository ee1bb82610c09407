"""Builds text rows as a server sends them, and finds the decoders to be tested with them."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aiomysql_protocol.rows import binary as binary_rows
from aiomysql_protocol.rows import text as rows
from aiomysql_protocol.rows.binary_cells import FIXED_SIZES, BinaryPlan
from aiomysql_protocol.rows.cells import CellKind, CellPlan
from aiomysql_protocol.rows.text import RowDecoder
from aiomysql_protocol.values.session_zone import SessionZone

C_MODULE = "aiomysql_protocol._speedups"

MakeDecoder = Callable[[Sequence[CellPlan]], RowDecoder]
MakeDicts = Callable[[tuple[str, ...], list[Any]], None]
DrainRows = Callable[[list[Any]], tuple[Any, ...]]
MakeBinaryDecoder = Callable[[Sequence[BinaryPlan]], RowDecoder]


def c_decoder() -> MakeDecoder | None:
    """The C decoder's class; None where the module is not there."""
    try:
        module = importlib.import_module(C_MODULE)
    except ModuleNotFoundError as exc:
        if exc.name != C_MODULE:
            raise
        return None
    found: MakeDecoder = module.TextRowDecoder
    return found


def c_may_be_missing() -> str:
    """Why it is right that the C decoder was not built; empty when it is not."""
    if os.environ.get("AIOMYSQL_IMPL") == "c":
        return ""
    if os.environ.get("AIOMYSQL_BUILD_SPEEDUPS") == "no":
        return "AIOMYSQL_BUILD_SPEEDUPS is 'no'"
    if not any(map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))):
        return "no C compiler on this machine"
    return ""


def need_c() -> MakeDecoder:
    """The C decoder's class; skips the test where it is right that there is none."""
    found = c_decoder()
    if found is None:
        reason = c_may_be_missing()
        if reason:
            pytest.skip(f"the C decoder was not built: {reason}")
        pytest.fail(f"{C_MODULE} was not built: reinstall packages/aiomysql-protocol")
    return found


def part(implementation: str, module: ModuleType, name: str) -> Any:
    """What `name` is in the implementation called "c" or "python", where `module` has it."""
    if implementation == "python":
        twin = f"Py{name}" if name[0].isupper() else f"py_{name}"
        return getattr(module, twin if hasattr(module, twin) else name)
    need_c()
    return getattr(importlib.import_module(C_MODULE), name)


def implementation(name: str) -> MakeDecoder:
    """The implementation called "c" or "python"."""
    return need_c() if name == "c" else rows.PyTextRowDecoder


def binary_implementation(name: str) -> MakeBinaryDecoder:
    """The implementation for binary rows called "c" or "python"."""
    found: MakeBinaryDecoder = part(name, binary_rows, "BinaryRowDecoder")
    return found


def drain_implementation(name: str) -> DrainRows:
    """The implementation of `drain_rows` called "c" or "python"."""
    found: DrainRows = part(name, rows, "drain_rows")
    return found


#: The zone of TIMESTAMPs: one with rules.
BERLIN = SessionZone("Europe/Berlin", ZoneInfo("Europe/Berlin"), None)


def plan(
    kind: CellKind,
    encoding: str | None = "utf8",
    converter: Callable[[Any], Any] | None = None,
    name: str = "col",
    zone: SessionZone = BERLIN,
) -> CellPlan:
    in_zone = zone if kind is CellKind.TIMESTAMP else None
    return CellPlan(kind, encoding, converter, name, in_zone)


def length(number: int, width: int | None = None) -> bytes:
    """A length-encoded integer, in its shortest form or the one of `width` bytes."""
    if width is None:
        width = 1 if number < 251 else 3 if number < 1 << 16 else 4 if number < 1 << 24 else 9
    first = {1: b"", 3: b"\xfc", 4: b"\xfd", 9: b"\xfe"}[width]
    return first + number.to_bytes(max(width - 1, 1), "little")


def payload(*cells: bytes | None, width: int | None = None) -> bytes:
    """A row's payload."""
    return b"".join(b"\xfb" if c is None else length(len(c), width) + c for c in cells)


def binary_payload(plans: Sequence[BinaryPlan], cells: Sequence[bytes | None]) -> bytes:
    """A binary row's payload."""
    bitmap = sum(1 << column + 2 for column, cell in enumerate(cells) if cell is None)
    values = [
        cell if plan.type_code in FIXED_SIZES else length(len(cell)) + cell
        for plan, cell in zip(plans, cells, strict=True)
        if cell is not None
    ]
    return b"\0" + bitmap.to_bytes((len(cells) + 9) // 8, "little") + b"".join(values)


def frames(*payloads: bytes, sequence_id: int = 0) -> bytes:
    """Each payload in a frame of its own."""
    return b"".join(
        len(body).to_bytes(3, "little") + bytes([(sequence_id + i) & 0xFF]) + body
        for i, body in enumerate(payloads)
    )


def decode_all(
    decoder: RowDecoder, data: bytes | bytearray, sequence_id: int = 0
) -> tuple[list[tuple[Any, ...]], int]:
    """The rows in `data` and the position where decoding stopped."""
    found: list[tuple[Any, ...]] = []
    position = decoder.decode(data, 0, len(data), sequence_id, found)
    return found, position
