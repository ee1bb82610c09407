"""The programs in the READMEs do what they say, and the demo shows it."""

import pytest

from tests.demo import READMES, ROOT, client_environment, programs, run
from tests.servers import Server

pytestmark = pytest.mark.slow

PROGRAMS = {str(path.relative_to(ROOT)): programs(path.read_text("utf-8")) for path in READMES}
PRINTED = {
    "README.md": "not stored: (1062, \"Duplicate entry 'apple' for key ",
    "packages/aiomysql/README.md": "42\n43\n",
    "packages/aiomysql-core/README.md": "(42,)\ntoo late: (2013, ",
    "packages/aiomysql-pool/README.md": "(42,)\nconnections that wait to be used: 1\n",
    "packages/aiomysql-protocol/README.md": "[(42, 1)]\n",
    "packages/aiomysql-sa/README.md": "1 apple\n2 pear\n",
}


def test_every_readme_has_one_program() -> None:
    assert {name: len(found) for name, found in PROGRAMS.items()} == dict.fromkeys(PRINTED, 1)
    assert programs("# Nothing\n\n```sh\nmake\n```\n") == []


@pytest.mark.parametrize("readme", PRINTED)
def test_the_program_runs_as_printed(
    server: Server, readme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for program in PROGRAMS[readme]:
        assert run(program, client_environment(server.dsn))
    output = capfd.readouterr()
    assert PRINTED[readme] in output.out
    assert output.err == ""


def test_the_quickstart_reads_what_it_committed(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    (program,) = PROGRAMS["README.md"]
    assert run(program, client_environment(server.dsn))
    assert "(('apple', 3),)\n" in capfd.readouterr().out
    # The commit is not there for show.
    assert run(program.replace("await connection.commit()", "pass"), client_environment(server.dsn))
    assert "()\n" in capfd.readouterr().out


def test_the_quickstart_fits_a_screen() -> None:
    """What stands within `main` is what there is to read."""
    (program,) = PROGRAMS["README.md"]
    body = program.partition("async def main")[2].partition("asyncio.run")[0]
    assert len([line for line in body.splitlines() if line.strip()]) <= 16


def test_a_failing_program_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    assert not run("raise SystemExit('broken')", {})
    output = capfd.readouterr()
    assert "exit status 1" in output.out
    assert output.err == "broken\n"


def test_the_server_reaches_the_programs() -> None:
    environment = client_environment("mysql://root:a%40b@127.0.0.1:3310/test?unix_socket=/x")
    assert environment == {"DATABASE_URL": "mysql://root:a%40b@127.0.0.1:3310/test"}
