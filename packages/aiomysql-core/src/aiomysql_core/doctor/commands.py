"""The commands themselves: what they print, and what they exit with."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import io
import json
import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TextIO

from pymysql.err import MySQLError, NotSupportedError, ProgrammingError

from aiomysql_core.doctor.advice import Advice, advice_on
from aiomysql_core.doctor.examination import examine, failed, failed_step, in_option_file
from aiomysql_core.doctor.output import Secrets, Step, printable, show, writer
from aiomysql_core.doctor.query import print_rows
from aiomysql_core.options.dsn import is_dsn, parse_dsn
from aiomysql_core.transport.trace import ConnectTrace, watching

__all__ = ["doctor", "query"]

#: What the commands exit with.
SUCCESS = 0
FAILURE = 1
BAD_USAGE = 2
INTERRUPTED = 130

_BAD_DSN = Advice(
    "", "write the data source name as mysql://user:password@host:3306/database?option=value"
)
_BAD_VALUE = Advice("", "give the option that the message names another value")


def doctor(dsn: str, *, as_json: bool = False, ask_password: bool = False) -> int:
    """Say on standard output what works of a connection; returns the exit code.

    as_json: as one JSON object, else in words.  ask_password: on the terminal.
    """
    steps: list[Step] = []
    write = writer(sys.stdout)

    def report(step: Step) -> None:
        steps.append(step)
        if not as_json:
            show(step, write)
            sys.stdout.flush()  # the next one may take its time

    password = _asked_password() if ask_password else None

    async def run() -> int:
        try:
            options = _options(dsn, password)
        except _BAD_OPTION as error:
            report(failed("Options", error, Secrets({}), _BAD_DSN))
            return BAD_USAGE
        try:
            return SUCCESS if await examine(options, report) else FAILURE
        except _BAD_OPTION as error:
            report(failed("Options", error, Secrets({}), _BAD_VALUE))
            return BAD_USAGE

    code = _run(run)
    if as_json and code != INTERRUPTED:
        ranks = [step.status for step in steps]
        worst = next((one for one in ("failed", "warning") if one in ranks), "ok")
        said = {"status": worst, "steps": [step.as_dict() for step in steps]}
        return _run(lambda: _print(json.dumps(said, indent=2), code))
    return code


async def _print(text: str, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


def query(dsn: str, statement: str, *, ask_password: bool = False) -> int:
    """Print the rows of a statement on standard output; returns the exit code.

    Errors and the server's warnings go to standard error.
    """
    password = _asked_password() if ask_password else None

    async def run() -> int:
        secrets = Secrets({})
        trace = ConnectTrace()
        token = watching.set(trace)
        try:
            options = _options(dsn, password)
            secrets = Secrets(options, in_option_file(options))
            with _warnings_in_words(sys.stderr, secrets):
                await print_rows(options, statement, writer(sys.stdout))
        except BrokenPipeError:
            raise
        except (MySQLError, OSError, *_BAD_OPTION) as error:
            name = failed_step(error, trace)
            advice = None
            if name != "Session":
                advice = advice_on(error, trace)
            step = failed(name, error, secrets, advice)
            write = writer(sys.stderr)
            write(printable(step.lines[0]), "bold red")
            if advice is not None:
                write(f"Likely cause: {advice.cause}.", "")
                write(f"What to do: {advice.remedy}.", "")
            is_usage = isinstance(error, _BAD_OPTION) and trace.session is None
            return BAD_USAGE if is_usage else FAILURE
        finally:
            watching.reset(token)
        return SUCCESS

    return _run(run)


_BAD_OPTION = (TypeError, ValueError, NotSupportedError, ProgrammingError)


def _asked_password() -> str:
    """What is typed on the terminal, or the line of standard input where there is none; not within
    the event loop, which would hold Ctrl-C up.

    Raises SystemExit where there is nobody to ask.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            try:
                return getpass.getpass("Password: ")
            except getpass.GetPassWarning:
                if not (line := sys.stdin.readline()):
                    raise EOFError from None
                return line.rstrip("\n")
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except (AttributeError, EOFError, OSError):  # the first without standard input
        sys.stderr.write("no password could be read\n")
        raise SystemExit(BAD_USAGE) from None


def _options(dsn: str, password: str | None) -> dict[str, Any]:
    """The keywords of connect().  Raises ValueError.

    password: instead of the data source name's; None: that one.
    """
    if not is_dsn(dsn):
        raise ValueError("this is no data source name")
    options = parse_dsn(dsn)
    if password is not None:
        options["password"] = password
    return options


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with asyncio.Runner() as runner:
            runner.get_loop().getaddrinfo = _look_up  # type: ignore[method-assign]
            code = runner.run(work())
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads has seen enough; Python would complain when it flushes at the end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    return code


async def _look_up(host: Any, port: Any, **options: Any) -> Any:
    """socket.getaddrinfo() in a thread that nobody waits for: it can take minutes after Ctrl-C."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def tell(error: Exception | None, found: Any) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(found)
        else:
            future.set_exception(error)

    def look_up() -> None:
        error, found = None, None
        try:
            found = socket.getaddrinfo(host, port, **options)
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, error, found)

    threading.Thread(target=look_up, daemon=True).start()
    return await future


@contextlib.contextmanager
def _warnings_in_words(stream: TextIO, secrets: Secrets) -> Iterator[None]:
    """Within this, warnings are lines on `stream`."""

    def say(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        stream.write(f"warning: {printable(secrets.hide(str(message)))}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = say
        yield
