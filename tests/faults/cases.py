"""Seeded cases: a conversation, a fault and its place; and what becomes of each.

    python -m tests.faults.cases --server mariadb118 --cases 5000
    python -m tests.faults.cases --server mariadb118 --seed 7 --only 4711      # one of them again

A case ends well with the right answers, with a DB-API error, or with an OSError (a TimeoutError is
one), and within its deadline; when the fault leaves the stream as it was, with the right answers
only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.conversations import Conversation, Setting, Wrong, conversations, setting
from tests.faults.drivers import Driver, load
from tests.faults.proxy import Direction, Fault, FaultProxy, Kind, Place, Traffic
from tests.faults.watch import let_transports_close, watching
from tests.servers import DSN_NAME, serving
from tests.servers.server import DSN_VARIABLE

# Seconds: what the driver is told, where there is nothing to wait for (a busy machine is no fault),
# and when we give up on it.
TIME_LIMIT = 2.0
PATIENT = 10.0
DEADLINE = 12.0
AT_ONCE = 24

Measured = dict[str, dict[Direction, Traffic]]


@dataclass(frozen=True)
class Case:
    number: int
    conversation: str
    fault: Fault


@dataclass
class Report:
    """What became of the cases."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind of fault, outcome) -> cases."""
    failures: list[str] = field(default_factory=list)
    noise: Counter[str] = field(default_factory=Counter)
    unspoken: list[str] = field(default_factory=list)
    """Conversations that fail without a fault."""
    unhit: int = 0
    """Cases that ended before their fault could happen."""

    @property
    def good(self) -> bool:
        return not (self.failures or self.noise or self.unspoken)

    def table(self) -> str:
        """The counts in Markdown."""
        columns = ["right", "error"]
        columns += sorted({outcome for _, outcome in self.outcomes} - set(columns))
        kinds = [kind.value for kind in Kind]
        lines = [f"| fault | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for kind in kinds:
            if any(key[0] == kind for key in self.outcomes):
                counts = " | ".join(str(self.outcomes[kind, outcome]) for outcome in columns)
                lines.append(f"| {kind} | {counts} |")
        totals = [sum(self.outcomes[kind, outcome] for kind in kinds) for outcome in columns]
        lines.append(f"| **all** | {' | '.join(map(str, totals))} |")
        return "\n".join(lines)


def draw(seed: int, numbers: Sequence[int], measured: Measured) -> list[Case]:
    """The cases of a seed; each depends on its number alone."""
    names = sorted(measured)
    kinds = [kind for kind in Kind if kind is not Kind.NONE]
    cases = []
    for number in numbers:
        # Conversations and kinds take turns, so that few cases cover them all.
        chance = random.Random(f"{seed}/{number}")
        name = names[number % len(names)]
        kind = kinds[(number // len(names) + number % len(names)) % len(kinds)]
        direction = chance.choice(list(Direction))
        if kind.by_packet and "TLS" not in name:
            # Repeated or lost in this direction, it is another request: nobody could tell.
            direction = Direction.TO_CLIENT
        place = None
        if "TLS" in name and not kind.by_packet:
            place = chance.choice((None, *Place))
        traffic = measured[name][direction]
        by_packet = kind.by_packet or place is not None
        total = traffic.packets if by_packet else traffic.bytes
        # Half of them in the beginning, where most of the states are.
        near = min(total, 8 if by_packet else 400)
        at = chance.randrange(chance.choice((near, total)))
        size = chance.choice((1, 2, 5, 20, 1000))
        cases.append(Case(number, name, Fault(kind, direction, at, place, 0.05, size)))
    return cases


class Run:
    """Runs cases with one driver against one server."""

    def __init__(self, driver: Driver, setting: Setting) -> None:
        self._driver = driver
        self._setting = setting
        self._conversations: dict[str, Conversation] = conversations(driver, setting)
        self.report = Report()

    def _options(self, proxy: FaultProxy) -> dict[str, Any]:
        seconds = PATIENT if proxy.fault.kind.harmless else TIME_LIMIT
        limits = dict.fromkeys(("connect_timeout", *self._driver.time_limits), seconds)
        return {**self._setting.server.connect_args, **limits, "port": proxy.port}

    def _proxy(self, fault: Fault) -> FaultProxy:
        return FaultProxy(self._setting.server.host, self._setting.server.port, fault)

    async def measure(self) -> Measured:
        """How long each conversation is when nothing goes wrong."""
        measured: Measured = {}
        for name, converse in self._conversations.items():
            async with self._proxy(Fault()) as proxy:
                try:
                    await converse(self._driver, self._setting, self._options(proxy))
                except Exception as error:
                    self.report.unspoken.append(f"{name}: {error!r}"[:200])
                    continue
            measured[name] = proxy.traffic
        return measured

    async def cases(self, cases: Sequence[Case]) -> None:
        """Run all, some at a time."""
        free = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> None:
            async with free:
                await self._case(case)

        ignored = ("Previous unbuffered result was left incomplete",)
        with watching(ignore=ignored) as noise:
            async with asyncio.TaskGroup() as group:
                for case in cases:
                    group.create_task(one(case))
            await let_transports_close()
        self.report.noise.update(noise)

    async def _case(self, case: Case) -> None:
        async with self._proxy(case.fault) as proxy:
            converse = self._conversations[case.conversation]
            options = self._options(proxy)
            task = asyncio.ensure_future(converse(self._driver, self._setting, options))
            outcome, good = await self._outcome(task)
        if outcome == "error" and case.fault.kind.harmless:
            good = False
        self.report.unhit += not proxy.hit
        self.report.outcomes[case.fault.kind.value, outcome] += 1
        if not good:
            told = repr(task.exception()) if task.done() and not task.cancelled() else ""
            self.report.failures.append(f"{outcome}: {case}: {told}"[:600])

    async def _outcome(self, task: asyncio.Future[None]) -> tuple[str, bool]:
        done, _ = await asyncio.wait([task], timeout=DEADLINE)
        if not done:
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=1)
            return ("hang" if done else "hang, not to be cancelled"), False
        try:
            task.result()
        except Wrong:
            return "wrong answer", False
        except (self._driver.error, OSError):
            return "error", True
        except Exception as error:
            kind = type(error)
            return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."), False
        return "right", True


async def run(driver: Driver, setting: Setting, *, seed: int, numbers: Sequence[int]) -> Report:
    """Draw the cases with these numbers and run them."""
    task = Run(driver, setting)
    task_cases = draw(seed, numbers, await task.measure())
    await task.cases(task_cases)
    return task.report


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--driver", default="ours", choices=["ours", "classic", "asyncmy"])
    parser.add_argument("--server", default="mariadb118")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, action="append", help="run this one only")
    options = parser.parse_args()
    name = DSN_NAME if os.environ.get(DSN_VARIABLE) else options.server
    numbers = options.only or range(options.cases)
    begin = time.monotonic()
    with serving(name) as server, contextlib.ExitStack() as stack:
        place = stack.enter_context(setting(server))
        report = asyncio.run(run(load(options.driver), place, seed=options.seed, numbers=numbers))
    print(
        f"{options.driver}, {options.server}, seed {options.seed}: {len(numbers)} cases in "
        f"{time.monotonic() - begin:.0f} s, {report.unhit} ended before their fault\n"
    )
    print(report.table())
    for line in report.unspoken:
        print("NOT SPOKEN", line)
    for line in report.failures[:40]:
        print("FAILED", line)
    for line, count in report.noise.most_common(20):
        print(f"NOISE {count} times: {line}")
    return not report.good


if __name__ == "__main__":
    sys.exit(main())
