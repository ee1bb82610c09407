"""Faults on the way: the right answer or a DB-API error, in time, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.faults.cases import draw, run
from tests.faults.conversations import setting
from tests.faults.drivers import load
from tests.faults.proxy import Direction, Fault, FaultProxy, Kind, Place, Traffic
from tests.scripted import scripted_server
from tests.servers import Server

pytestmark = pytest.mark.slow

CASES = 250


async def test_faults(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """A few of the cases that `python -m tests.faults.cases` runs by the thousand."""
    with setting(server) as place:
        report = await run(load("ours"), place, seed=1, numbers=range(CASES))
    with capsys.disabled():
        counts = sorted(report.outcomes.items())
        print(f"\n{server.name}:", *(f"{kind}: {n} {what};" for (kind, what), n in counts))
    assert report.failures == []
    assert report.unspoken == []
    assert report.noise == {}
    assert sum(report.outcomes.values()) == CASES
    assert report.unhit < CASES // 4


def test_every_conversation_meets_every_fault() -> None:
    """In as many cases as there are pairs of the two."""
    directions = {direction: Traffic(5000, 50) for direction in Direction}
    measured = {f"conversation {n}": directions for n in range(25)}
    kinds = [kind for kind in Kind if kind is not Kind.NONE]
    drawn = draw(1, range(len(kinds) * len(measured)), measured)
    pairs = {(case.conversation, case.fault.kind) for case in drawn}
    assert pairs == {(name, kind) for name in measured for kind in kinds}


# -- the proxy itself ------------------------------------------------------------------------


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


SENT = packet(0, b"first") + packet(1, b"second") + packet(2, b"third")


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Fault(), SENT),
        (Fault(Kind.CUT, at=7), SENT[:7]),
        (Fault(Kind.DELAY, at=7), SENT),
        (Fault(Kind.TRICKLE, at=7), SENT),
        (Fault(Kind.CUT, at=len(SENT)), SENT),
        (Fault(Kind.DUPLICATE, at=1), SENT[:9] + SENT[9:19] * 2 + SENT[19:]),
        (Fault(Kind.REORDER, at=1), SENT[:9] + SENT[19:] + SENT[9:19]),
        (Fault(Kind.REORDER, at=2), SENT),
        (Fault(Kind.DROP, at=1), SENT[:9] + SENT[19:]),
        (Fault(Kind.TRUNCATE, at=1, size=2), SENT[:9] + packet(1, b"seco") + SENT[19:]),
        (Fault(Kind.TRUNCATE, at=2, size=9), SENT[:19] + packet(2, b"")),
    ],
)
@pytest.mark.parametrize("direction", Direction)
async def test_what_comes_through(fault: Fault, wanted: bytes, direction: Direction) -> None:
    fault = replace(fault, direction=direction)
    received = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if direction is Direction.TO_CLIENT:
            writer.write(SENT)
        else:
            received.set_result(await reader.read(-1))

    async with (
        asyncio.timeout(10),
        scripted_server(serve) as port,
        FaultProxy("127.0.0.1", port, fault) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        if direction is Direction.TO_SERVER:
            writer.write(SENT)
            writer.write_eof()
            assert await received == wanted
        else:
            assert await reader.read(-1) == wanted
        writer.close()
        await writer.wait_closed()


def record(payload: bytes) -> bytes:
    return b"\x17\x03\x03" + len(payload).to_bytes(2, "big") + payload


RECORDS = [record(b"first"), record(b"x" * (1 << 14)), record(b"third"), record(b"fourth")]


@pytest.mark.parametrize(
    ("place", "at", "wanted"),
    [
        (Place.BORDER, 0, b""),
        (Place.BORDER, 1, RECORDS[0]),
        (Place.HEADER, 1, RECORDS[0] + RECORDS[1][:2]),
        (Place.BODY, 0, RECORDS[0][:7]),
        (Place.LAST_BYTE, 1, RECORDS[0] + RECORDS[1][:-1]),
        (Place.WITHIN_PACKET, 0, RECORDS[0] + RECORDS[1]),
        (Place.WITHIN_PACKET, 3, b"".join(RECORDS)),
    ],
)
@pytest.mark.parametrize("kind", [Kind.CUT, Kind.DELAY, Kind.TRICKLE])
async def test_places_of_records(kind: Kind, place: Place, at: int, wanted: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(7)
        for piece in RECORDS:
            writer.write(piece)
            await writer.drain()

    fault = Fault(kind, at=at, place=place)
    async with (
        asyncio.timeout(10),
        scripted_server(serve) as port,
        FaultProxy("127.0.0.1", port, fault) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"\x16\x03\x01\0\x02hi")
        assert await reader.read(-1) == (wanted if kind is Kind.CUT else b"".join(RECORDS))
        assert proxy.hit is (wanted != b"".join(RECORDS))
        writer.close()
        await writer.wait_closed()


async def send_and_stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(SENT)
    await reader.read(-1)


async def test_reset() -> None:
    fault = Fault(Kind.RESET, at=5)
    async with (
        asyncio.timeout(10),
        scripted_server(send_and_stay) as port,
        FaultProxy("127.0.0.1", port, fault) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        assert proxy.hit
        writer.close()


async def test_stall() -> None:
    fault = Fault(Kind.STALL, at=5)
    async with (
        asyncio.timeout(10),
        scripted_server(send_and_stay) as port,
        FaultProxy("127.0.0.1", port, fault) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await reader.readexactly(5) == SENT[:5]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        writer.close()
        await writer.wait_closed()
