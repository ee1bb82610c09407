"""The README's quickstart does what it says, and the demo shows it."""

import pytest

from tests.demo import README, client_environment, quickstart, run
from tests.servers import Server

PROGRAMS = quickstart(README.read_text("utf-8"))
PRINTED = ("says: 42\n", "1 apple\n2 pear\n")


def test_the_readme_has_the_programs() -> None:
    assert len(PROGRAMS) == len(PRINTED)
    assert quickstart("# Nothing\n\n```python\nprint(1)\n```\n") == []


@pytest.mark.parametrize(
    ("program", "printed"), list(zip(PROGRAMS, PRINTED, strict=True)), ids=["pool", "sa"]
)
def test_the_quickstart_runs_as_printed(
    server: Server, program: str, printed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        environment = client_environment(server.dsn)
    except ValueError as error:
        pytest.skip(str(error))
    assert run(program, environment)
    output = capfd.readouterr()
    assert printed in output.out
    assert output.err == ""


def test_a_failing_program_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    assert not run("raise SystemExit('broken')", {})
    output = capfd.readouterr()
    assert "exit status 1" in output.out
    assert output.err == "broken\n"


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://root@192.0.2.1:3306/test",
        "mysql://someone@127.0.0.1:3306/test",
        "mysql://root@127.0.0.1:3306/other",
    ],
)
def test_a_server_the_quickstart_does_not_name_is_refused(dsn: str) -> None:
    with pytest.raises(ValueError, match="the quickstart needs"):
        client_environment(dsn)


def test_port_and_password_reach_the_quickstart() -> None:
    environment = client_environment("mysql://root:a%40b@127.0.0.1:3310/test")
    assert environment == {"MYSQL_TCP_PORT": "3310", "MYSQL_PWD": "a@b"}
