"""Nobody finds a container that is not complete, whoever looks into all that there is.

Memory profilers walk over ``gc.get_objects()``, from another thread or from code that runs while
something is being made: a value's ``__str__``, a converter, a function that the garbage collector
calls. A tuple with empty places would end the process there: so each program is a process.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .row_bytes import need_c

WALK = """
import datetime, faulthandler, gc, sys, threading
from pymysql.converters import decoders
from aiomysql_protocol.rows.binary import BinaryRowDecoder
from aiomysql_protocol.rows.binary_cells import BinaryPlan
from aiomysql_protocol.rows.metadata import ColumnCache
from aiomysql_protocol.rows.text import TextRowDecoder, drain_rows
from aiomysql_protocol.values.literals import Literals, write_rows
from aiomysql_protocol.values.literals import literals as in_order
from aiomysql_protocol.values.parameter_rows import ParameterRows, write_parameter_rows
from aiomysql_protocol.values.parameters import ParameterWriter, pack_parameters
from aiomysql_protocol.wire.payloads import LongPayload
from aiomysql_protocol.rows.cells import CellKind, CellPlan

faulthandler.enable()
faulthandler.dump_traceback_later(100, exit=True)
looked = 0


def look(objects):
    # Whoever finds a dict or list may find it growing, but nothing in it may be missing.
    global looked
    for found in objects:
        if type(found) in (tuple, list, dict, set, frozenset):
            try:
                kinds = {type(item) for item in found}
                if len(found) < 9 and kinds <= {str, bytes, int, float, type(None)}:
                    repr(found)
                looked += len(found)
            except RuntimeError:
                pass


class Value:
    def __str__(self):
        look(gc.get_objects())
        return "value"


class Sequence(tuple):
    def __iter__(self):
        for item in tuple.__iter__(self):
            look(gc.get_objects())
            yield item


literals = Literals()
custom = Literals({Value: lambda value, mapping: repr(str(value))})
now = datetime.datetime(2024, 2, 29, 12, 34, 56, 789)
"""

VALUES = """
values = [1, "a", Value(), None, Value(), 2.5]
for args in (values, tuple(values), Sequence(values), Sequence("ab")):
    found = tuple([literals.literal(arg) for arg in list(args)])
    assert literals.arguments(args) == custom.arguments(args) == found
    pieces = (b"(", *[b","] * (len(args) - 1), b")")
    for writer in (literals, custom):
        _, end = writer.rows(pieces, [args] * 2, 0, 9999)
        assert end in (0, 2), end
for args in (Sequence("ab"), (Sequence("ab")[i] for i in range(2)), Sequence([1, 2])):
    pack_parameters(args)
rows = ParameterRows(ParameterWriter("utf8"), 2)
assert rows.add([Sequence("ab"), ("a", Value()), Sequence([1, 2])], 0, 999) == 2


def convert(text):
    look(gc.get_objects())
    return [text]


cell = CellPlan(CellKind.CONVERT, "utf8", convert, "c")
row = b"\\x01x" * 5
text = TextRowDecoder([cell] * 5)
binary = BinaryRowDecoder([BinaryPlan(253, cell)] * 5)
for decoder, body in ((text, row), (binary, b"\\0\\0" + row)):
    rows = []
    decoder.decode(len(body).to_bytes(3, "little") + b"\\0" + body, 0, len(body) + 4, 0, rows)
    assert rows == [decoder.decode_row(body)] == [(["x"],) * 5]
    payload = LongPayload()
    payload.gather(body, 0, len(body))
    assert decoder.decode_row(payload) == rows[0]
assert looked > 100_000, looked
print("fine")
"""

COLLECTIONS = """
calls = 0
MANY = 20


def called(phase, info):
    global calls
    calls += 1
    # Small ones are the interpreter's: zip() shows its tuple of iterators before it has them all.
    found = gc.get_objects(0) + gc.get_objects(1)
    look([one for one in found if type(one) is tuple and len(one) >= MANY])


def definition(name):
    return bytes(4) + bytes([len(name)]) + name + b"\\0\\x0c\\x2d" + bytes(5) + b"\\x0c" + bytes(5)


columns = ColumnCache("utf8", {**decoders, 12: lambda text: [text]})
dates = [[now, Value, {"a": 1}] * 7 for _ in range(MANY)]
pieces = (b"(", *[b","] * 20, b")")
literal = lambda value: repr([str(value)])


def everything(round):
    in_order([now] * MANY, False, literal)
    write_rows(pieces, dates, 0, 99999, False, literal, b",")
    rows = ParameterRows(ParameterWriter("utf8"), MANY)
    assert rows.add([[now, "a", b"b", round, None] * 4] * MANY, 0, 99999) == MANY
    pack_parameters([now, "a", b"b", round, None] * 5)
    compiled = columns.compile([definition(b"%d-%d" % (round, n)) for n in range(MANY)])
    rows = [compiled.decoder.decode_row(b"\\x01x" * MANY) for _ in range(MANY)]
    drain_rows(rows)
    body = b"\\x01x" * MANY
    data = (len(body).to_bytes(3, "little") + b"\\0" + body)
    compiled.decoder.decode(data, 0, len(data), 0, rows, compiled.keys)
    compiled.decoder.decode_row(body, compiled.keys)


everything(-1)  # imports what is imported late: the interpreter shows half-made tuples then
gc.set_threshold(1, 3, 1000)
gc.callbacks.append(called)
for round in range(30):
    everything(round)
gc.callbacks.clear()
assert calls > 500, calls
print("fine")
"""

THREAD = """
sys.setswitchinterval(1e-6)
done = threading.Event()
rounds = 0


def monitor():
    global rounds
    while not done.is_set():
        look(gc.get_objects())
        rounds += 1


thread = threading.Thread(target=monitor)
thread.start()
dates = [now] * 3000
written = 0
while rounds < 40:
    in_order(dates, False, literals.literal)
    assert len("?".join(["%s"] * 3000) % literals.arguments(dates)) > 60_000
    write_rows((b"(", b")"), [(now,), (decoders,)] * 100, 0, 99999, False, str, b",")
    write_parameter_rows([[now, "a"] * 500] * 10, 0, 99999, bytes(2000))
    written += 1
done.set()
thread.join()
assert written > 0
print("fine")
"""


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["c", "python"])
@pytest.mark.parametrize(
    "program", [VALUES, COLLECTIONS, THREAD], ids=["values", "collections", "thread"]
)
def test_all_that_is_found_is_whole(implementation: str, program: str) -> None:
    if implementation == "c":
        need_c()
    done = subprocess.run(
        [sys.executable, "-c", WALK + program],
        env={**os.environ, "AIOMYSQL_IMPL": implementation},
        text=True,
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr[-4000:]
