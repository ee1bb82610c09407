"""The comparison of drivers, on the smallest scale, and what it computes."""

from __future__ import annotations

import fnmatch
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.compare import __main__ as command
from benchmarks.compare import data
from benchmarks.compare.delay import delaying
from benchmarks.compare.environments import make_environment
from benchmarks.compare.plan import CONTENDERS, WORKLOADS, Sizes
from benchmarks.compare.processes import WorkerProcess, setting_of
from benchmarks.compare.results import Results, Series, Target, read_results, targets
from benchmarks.compare.run import USER, drop, load
from benchmarks.compare.tables import place_table, ratio_table, report, target_table
from benchmarks.compare.worker.jobs import Setting, Wrong, same_rows
from tests.servers import Server
from tests.servers.server import DSN_VARIABLE

pytestmark = pytest.mark.slow

SIZES = Sizes().scaled(0.001)
PLACE = ("mysql97", "tcp", "asyncio")


@pytest.fixture(scope="session")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def tables(server: Server) -> Iterator[None]:
    load(server, SIZES)
    yield
    drop(server)


def setting(server: Server, contender: str) -> Setting:
    return Setting(
        contender=contender,
        transport="tcp",
        loop="asyncio",
        cpu=None,
        sizes=SIZES,
        **setting_of(server, USER),
    )


def test_a_run(
    server: Server, keep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DSN_VARIABLE, server.dsn)
    options = "--contender ours-c --workload sequential-text --workload cell"
    options += " --transport tcp --loop asyncio --rounds 2 --scale 0.001"
    assert command.main([*options.split(), "--keep", str(keep)]) == 0
    results = read_results(keep / "results.json")
    assert [(series.workload, series.status) for series in results.series] == [
        ("sequential-text", "ok"),
        ("cell", "ok"),
    ]
    for series in results.series:
        assert len(series.wall) == len(series.cpu) == 2
        assert min(series.cpu) > 0
    assert results.series[0].peak is None
    assert results.series[1].peak is not None
    assert "aiomysql-core" in results.versions["ours-c"]
    output = capsys.readouterr().out
    assert output == (keep / "results.md").read_text()
    row = rf"\| {WORKLOADS['sequential-text'].title} \| [\d.]+ / [\d.]+ \|"
    assert re.search(row, output)
    left = server.execute("SHOW TABLES LIKE %s", (f"{data.PREFIX}%",))
    assert left == []


def test_updates_and_pipelines_through_the_proxy(server: Server, tables: None, keep: Path) -> None:
    environment = make_environment("ours", keep)
    with delaying(server.host, server.port, 0.01, None) as port:
        through = replace(setting(server, "ours-c"), delayed_port=port)
        with WorkerProcess(environment, through) as worker:
            for workload in ("update-delayed", "update-delayed-autocommit", "pipeline"):
                assert worker.ask(f"open {workload}")["status"] == "ok"
                assert worker.ask("run")["wall"] >= 0.02
            for workload in ("update", "update-autocommit"):
                assert worker.ask(f"open {workload}")["status"] == "ok"
            server.execute(
                f"CREATE TRIGGER bench_more BEFORE UPDATE ON {data.UPDATE}"
                " FOR EACH ROW SET NEW.amount = NEW.amount + 1"
            )
            assert worker.ask("run")["status"] == "wrong"
    with WorkerProcess(environment, setting(server, "ours-c")) as worker:
        assert worker.ask("open pipeline") == {"status": "absent", "note": "no proxy"}


def test_loads(server: Server, tables: None, keep: Path) -> None:
    with WorkerProcess(make_environment("ours", keep), setting(server, "ours-c")) as worker:
        for workload in ("load", "load-executemany"):
            assert worker.ask(f"open {workload}")["status"] == "ok"
            assert worker.ask("run")["status"] == "ok"


def test_the_proxy_delays_each_way_and_keeps_the_bytes() -> None:
    sent = [bytes([number]) * 70_000 for number in range(20)]
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        delaying("127.0.0.1", listener.getsockname()[1], 0.02, None) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
        listener.accept()[0] as server,
    ):
        began = time.monotonic()
        client.sendall(b"?")
        assert server.recv(10) == b"?"
        assert time.monotonic() - began >= 0.02
        for chunk in sent:
            server.sendall(chunk)
        server.close()
        with client.makefile("rb") as answer:
            assert answer.read() == b"".join(sent)
        assert time.monotonic() - began >= 0.04


def test_the_proxy_limits_the_rate() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        delaying("127.0.0.1", listener.getsockname()[1], 0.001, None, 1e6) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
        listener.accept()[0] as server,
    ):
        began = time.monotonic()
        server.sendall(b"x" * 200_000)
        server.close()
        with client.makefile("rb") as answer:
            assert len(answer.read()) == 200_000
        assert time.monotonic() - began > 0.19


@pytest.mark.parametrize("contender", ["ours-c", "ours-python", "floor-asyncio"])
def test_workers_check_what_they_get(
    server: Server, tables: None, keep: Path, contender: str
) -> None:
    environment = make_environment("ours", keep)
    with WorkerProcess(environment, setting(server, contender)) as worker:
        assert worker.ask("open sequential-text")["status"] == "ok"
        assert worker.ask("run")["status"] == "ok"
        server.execute(f"UPDATE {data.MIXED} SET name = 'nobody' WHERE id = 2")
        response = worker.ask("run")
        assert response["status"] == "wrong"
        assert "nobody" in response["note"]


def test_a_floor_drains_a_scan(server: Server, tables: None, keep: Path) -> None:
    environment = make_environment("ours", keep)
    with WorkerProcess(environment, setting(server, "floor-socket")) as worker:
        for workload in ("scan-ints-text", "scan-ints-prepared"):
            assert worker.ask(f"open {workload}")["status"] == "ok"
            assert worker.ask("run")["cpu"] > 0


def test_a_worker_that_cannot_connect(server: Server, keep: Path) -> None:
    wrong = replace(setting(server, "ours-c"), user="nobody_at_all")
    with WorkerProcess(make_environment("ours", keep), wrong) as worker:
        for _ in range(2):
            response = worker.ask("open cell")
            assert response["status"] == "failed"
            assert "Access denied" in response["note"]


def test_rows_are_compared() -> None:
    same_rows([(1, "a")], ((1, "a"),))
    with pytest.raises(Wrong, match="1 rows instead of 2"):
        same_rows([(1,)], [(1,), (2,)])
    with pytest.raises(Wrong, match=r"a row is \(3,\) instead of \(2,\)"):
        same_rows([(1,), (3,)], [(1,), (2,)])


def test_the_data_are_the_same_each_time() -> None:
    assert list(data.mixed(50)) == list(data.mixed(80))[:50]
    columns = list(zip(*data.mixed(1000), strict=True))
    assert [None in column for column in columns].count(True) == 2
    assert not any(str(city).isascii() for city in columns[2])
    assert len(set(columns[5])) > 990


def series(
    contender: str,
    workload: str,
    *cpu: float,
    peak: int | None = None,
    status: str = "ok",
    note: str = "",
) -> Series:
    server, transport, loop = PLACE
    if CONTENDERS[contender].blocking:
        loop = "none"
    wall = [2 * one for one in cpu]
    place = (server, transport, loop)
    return Series(*place, workload, contender, status, note, wall, list(cpu), peak)


def results(*found: Series) -> Results:
    return Results(sizes=dict(vars(Sizes())), servers={"mysql97": "mysql 9.7"}, series=list(found))


def test_ratios() -> None:
    found = results(
        series("ours-c", "insert", 1.0, 2.0, 9.0),
        series("asyncmy", "insert", 3.0, 1.0, 3.0),
        series("mysqlclient", "insert", 4.0),
        series("classic", "insert", 1.0, status="wrong", note="no row"),
    )
    assert found.ratio(PLACE, "insert", "asyncmy") == 1.5
    assert found.ratio(PLACE, "insert", "mysqlclient", measure="wall") == 2
    assert found.ratio(PLACE, "insert", "classic") is None
    assert found.ratio(PLACE, "update", "asyncmy") is None
    assert found.ratio(("mysql97", "tcp", "uvloop"), "insert", "asyncmy") is None
    (line,) = ratio_table(found)[2:]
    assert "| 1.50 (1.50 to 1.50) | - | 2.00 (2.00 to 2.00) |" in line
    (line,) = place_table(found, PLACE)[2:]
    assert "**wrong**" in line
    assert "| 3000.0 / 6000.0 (1.50) |" in line
    assert "no row" in report(found)


@pytest.mark.parametrize(("asyncmy", "met"), [(1.3, True), (1.29, False)])
def test_a_ratio_as_target(asyncmy: float, met: bool) -> None:
    found = results(series("ours-c", "insert", 1.0), series("asyncmy", "insert", asyncmy))
    target = Target("inserts", ("insert", "update"), 1.3)
    worst = target.worst(found, PLACE)
    assert worst == ("insert", asyncmy)
    assert target.met(worst[1]) is met
    (line,) = [line for line in target_table(found) if line.startswith("| inserts:")]
    assert line.endswith("| yes |" if met else "| **no** |")


def test_the_worst_workload_decides() -> None:
    scans = ("scan-ints-text", "scan-mixed-text")
    found = results(
        series("ours-c", scans[0], 1.0, peak=5),
        series("ours-c", scans[1], 1.0, peak=7),
        series("asyncmy", scans[0], 2.0),
        series("asyncmy", scans[1], 1.5),
    )
    assert Target("", scans, 1.3).worst(found, PLACE) == ("scan-mixed-text", 1.5)
    memory = Target("", scans, measure="peak", limit=6)
    assert memory.worst(found, PLACE) == ("scan-mixed-text", 7)
    assert memory.met(6)
    assert not memory.met(7)


def test_a_target_of_one_kind_of_server() -> None:
    found = results(series("ours-c", "update", 1.0), series("asyncmy", "update", 3.0))
    for kind, worst in (("", ("update", 3.0)), ("mysql", ("update", 3.0)), ("mariadb", None)):
        assert Target("", ("update",), kind=kind).worst(found, PLACE) == worst


def test_results_of_before_a_workload() -> None:
    found = results(series("ours-c", "insert", 1.0))
    del found.sizes["delayed"]
    assert "The sizes differ" not in report(found)
    found.sizes["updates"] -= 1
    assert "The sizes differ" in report(found)


def test_what_a_contender_lacks_is_the_name_of_something() -> None:
    for contender in CONTENDERS.values():
        for pattern in contender.lacks:
            lacking = fnmatch.filter(WORKLOADS, pattern)
            assert lacking
            assert not any(map(contender.does, lacking))
    assert CONTENDERS["mariadb"].does("pooled-prepared")
    assert not CONTENDERS["pyro"].does("pooled-prepared")


def test_targets_without_figures_are_neither_met_nor_missed() -> None:
    lines = target_table(results(series("ours-c", "insert", 1.0)))[2:]
    assert len(lines) == len(targets(1))
    assert all(line.endswith("| not measured |") for line in lines)


def test_targets_name_workloads_that_exist() -> None:
    for target in targets(1):
        for workload in target.workloads:
            assert CONTENDERS[target.ours].does(workload)
            assert CONTENDERS[target.peer].does(workload)


def test_results_survive_their_file(tmp_path: Path) -> None:
    found = results(series("ours-c", "cell", 1.0, peak=3), series("pymysql", "cell", 2.0))
    found.write(tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == found
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="another version"):
        read_results(tmp_path / "other.json")


def test_the_page_has_marks() -> None:
    text = command.PAGE.read_text()
    assert text.count(command.BEGIN) == text.count(command.END) == 1
    assert text.index(command.BEGIN) < text.index(command.END)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--rounds 0", "--rounds"),
        ("--scale 2", "--scale"),
        ("--workload scam", "'scam'; known: scan-ints-text"),
        ("--contender them", "'them'; known: ours-c"),
        ("--loop trio", "trio"),
        ("--from no-such-file.json", "no-such-file.json"),
    ],
)
def test_wrong_options(options: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(options.split())
    assert message in capsys.readouterr().err


def test_names_may_be_beginnings() -> None:
    parser = command.make_parser()
    chosen = command.select(
        parser, parser.parse_args(["--workload", "pooled", "--workload", "cell", "--quick"])
    )
    assert chosen.workloads == ("pooled-text", "pooled-prepared", "cell")
    assert (chosen.rounds, chosen.transports, chosen.loops) == (3, ("tcp",), ("asyncio",))
    assert chosen.rounds_over("tls") == 2
    chosen = command.select(parser, parser.parse_args(["--workload", "update"]))
    assert chosen.workloads == ("update",)
    chosen = command.select(parser, parser.parse_args(["--workload", "update-"]))
    assert chosen.workloads_over("tcp") == list(chosen.workloads)
    assert chosen.workloads_over("tls") == ["update-autocommit"]
    chosen = command.select(parser, parser.parse_args(["--workload", "cell", "--quick"]))
    assert "connector" not in {contender.key for contender in chosen.contenders}
