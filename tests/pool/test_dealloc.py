"""How objects of the pool's C types go, and who may find them as soon as they are made.

tests/core/test_dealloc.py and tests/core/test_half_built.py are the same for the layer below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aiomysql_pool.acquire import PoolFunctions
from tests.core.programs import run_program
from tests.core.twins import need_c
from tests.protocol.test_dealloc import Loud

NOTHING: Any = lambda *arguments: arguments  # noqa: E731
FUNCTIONS = PoolFunctions(NOTHING, NOTHING, NOTHING)


@pytest.fixture(autouse=True)
def _with_c() -> None:
    need_c("pool")


def new_queue(held: object) -> Any:
    queue = need_c("pool").LeaseQueue(asyncio.get_running_loop())
    queue.holders[0] = held
    return queue


def new_waiter(held: object) -> Any:
    queue = new_queue(None)
    queue.enqueue()
    waiter = queue.pop_waiter()
    waiter.fail(LookupError(held))
    return waiter


def new_context(held: object) -> Any:
    return need_c("pool").AcquireContext(new_queue(None), FUNCTIONS, held, None)


def waiting_context(held: object) -> Any:
    queue = new_queue(held)
    queue.is_open, queue.capacity = True, 1
    context = need_c("pool").AcquireContext(queue, FUNCTIONS, held, None)
    assert type(context.send(None)).__name__ == "Waiter"
    assert queue.waiting == 1
    return context


#: How an object of each type is made that refers to the argument.
MAKERS: dict[str, Callable[[object], Any]] = {
    "LeaseQueue": new_queue,
    "PoolWaiter": new_waiter,
    "AcquireContext": new_context,
}


def test_every_type_is_here() -> None:
    found = {name for name, each in vars(need_c("pool")).items() if isinstance(each, type)}
    assert found == set(MAKERS)


@pytest.mark.parametrize("make", [*MAKERS.values(), waiting_context])
async def test_exception_under_way_survives(make: Callable[[object], Any]) -> None:
    gone: list[str] = []
    made = [make(Loud(gone))]
    assert type(made[0]).__name__ in MAKERS
    with pytest.raises(ZeroDivisionError):
        [made.pop(), 1 / 0]
    assert gone == ["gone"]


async def test_wrong_arguments() -> None:
    module = need_c("pool")
    queue = new_queue(None)
    calls: tuple[Callable[[], object], ...] = (
        lambda: module.LeaseQueue(),
        lambda: module.PoolWaiter(),
        lambda: module.AcquireContext(queue, FUNCTIONS, None),
        lambda: module.AcquireContext(None, FUNCTIONS, None, None),
        lambda: module.AcquireContext(queue, FUNCTIONS[:2], None, None),
        lambda: module.AcquireContext(queue, FUNCTIONS, None, timeout=None),
        lambda: queue.discard(None),
        lambda: queue.make_available(None, None),
        lambda: queue.collect(None),
        lambda: queue.examine_available(None, 0.0),
        lambda: queue.enqueue(True),
        lambda: queue.pop_waiter("first"),
        lambda: queue.record_wait("long"),
        lambda: new_waiter(None).fail("error"),
        lambda: new_context(None).__aexit__(),
        lambda: new_context(None).throw(),
    )
    for call in calls:
        with pytest.raises(TypeError):
            call()


async def test_what_is_available_must_be_a_holder() -> None:
    queue = new_queue(None)
    queue.is_open = True
    queue.available.append("no holder")
    with pytest.raises(TypeError, match="ConnectionHolder"):
        queue.try_acquire()
    queue.available.append("no holder")
    with pytest.raises(TypeError, match="ConnectionHolder"):
        queue.enqueue()
    assert queue.waiting == 0


PROGRAM = """
import asyncio, gc, sys, threading
from aiomysql_pool._speedups import AcquireContext, LeaseQueue
from aiomysql_pool.acquire import PoolFunctions

FUNCTIONS = PoolFunctions(*[lambda *arguments: arguments] * 3)


def new_queue(loop, held):
    queue = LeaseQueue(loop)
    queue.holders[0] = held
    return queue


def new_waiter(loop, held):
    queue = new_queue(loop, None)
    queue.enqueue()
    waiter = queue.pop_waiter()
    waiter.fail(LookupError(held))
    return waiter


def waiting_context(loop, held):
    queue = new_queue(loop, held)
    queue.is_open, queue.capacity = True, 1
    context = AcquireContext(queue, FUNCTIONS, held, None)
    context.send(None)
    return context
"""

NEST = (
    PROGRAM
    + """
def run(loop):
    queue = new_queue(loop, None)
    for make in (
        lambda inner: new_queue(loop, inner),
        lambda inner: new_waiter(loop, inner),
        lambda inner: AcquireContext(queue, FUNCTIONS, inner, None),
    ):
        nest = None
        for _ in range(20_000):
            nest = make(nest)
        nest = None


async def main(arguments):
    threading.stack_size(1 << 20)
    thread = threading.Thread(target=run, args=(asyncio.get_running_loop(),))
    thread.start()
    thread.join()
    print("fine")
"""
)

GARBAGE = (
    PROGRAM
    + """
async def main(arguments):
    loop = asyncio.get_running_loop()
    gc.collect()
    gc.disable()
    cycle = []
    for _ in range(3):
        queue = new_queue(loop, cycle)
        queue.enqueue()
        cycle += [cycle, queue, new_waiter(loop, cycle), waiting_context(loop, cycle)]
        cycle += [AcquireContext(queue, FUNCTIONS, cycle, cycle)]
    if not modules_kept:
        del cycle, queue
        for name in ("AcquireContext", "LeaseQueue", "PoolFunctions", "FUNCTIONS"):
            del globals()[name]
        for name in list(sys.modules):
            if name.startswith("aiomysql_"):
                del sys.modules[name]
        gc.collect()
    print("fine")
    sys.stdout.flush()
"""
)

WALK = (
    PROGRAM
    + """
KINDS = ("AcquireContext", "LeaseQueue", "PoolWaiter")
found_in_all = set()


def look(phase, info):
    for found in gc.get_objects():
        if type(found).__name__ in KINDS and phase == "start":
            for name in dir(found):
                getattr(found, name, None)
            found_in_all.add(type(found).__name__)


async def main(arguments):
    loop = asyncio.get_running_loop()
    gc.collect()
    gc.freeze()
    gc.callbacks.append(look)
    for threshold in range(1, 12):
        gc.set_threshold(threshold)
        queue, waiter = new_queue(loop, None), new_waiter(loop, None)
        waiting_context(loop, None)
    gc.set_threshold(0)
    assert found_in_all == set(KINDS), found_in_all
    print("fine")
"""
)


async def test_deep_nests() -> None:
    await run_program(NEST, {"uvloop": False})


@pytest.mark.parametrize("kept", [True, False])
async def test_garbage(kept: bool, anyio_backend: Any) -> None:
    uvloop = anyio_backend[1]["use_uvloop"]
    await run_program(f"modules_kept = {kept}\n" + GARBAGE, {"uvloop": uvloop})


async def test_all_that_is_found_is_whole() -> None:
    await run_program(WALK, {"uvloop": False})
