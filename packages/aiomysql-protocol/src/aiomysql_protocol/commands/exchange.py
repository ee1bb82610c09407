"""Exchanges: a request and the state machine that reads its response.

MySQL: "Command Phase".  An exchange lives in its session's queue from `Session.start` until it is
done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from pymysql.constants import COMMAND

from aiomysql_protocol.commands.exchange_state import ExchangeState
from aiomysql_protocol.wire.capabilities import MAX_PAYLOAD
from aiomysql_protocol.wire.errors import malformed
from aiomysql_protocol.wire.framing import wrong_sequence
from aiomysql_protocol.wire.packets import ERR_HEADER, OK_HEADER, Ok, parse_error, parse_ok

__all__ = ["Command", "Exchange", "Quit"]


class Exchange(ExchangeState, ABC):
    """Base of all exchanges.

    Who waits for the response sets `on_progress`; the session calls it when there is something
    new to look at: `done` has become true, or one of the subclass's own attributes says so.
    """

    #: What is under way, for the message when the connection is lost.
    activity: ClassVar[str] = "query"

    #: Bytes of the longest payload that can be a part of its response.
    max_payload: ClassVar[int] = MAX_PAYLOAD

    #: Number of the next compressed frame, as `sequence_id` is of the next one within.
    compressed_sequence_id: int = 0

    #: Whether it may run a statement, and so begin a transaction.
    runs_statement: bool = False

    @property
    def paused(self) -> bool:
        """Whether the waiter has to take what came before more is read from the socket."""
        return False

    @abstractmethod
    def receive(self, payload: bytes | bytearray) -> None:
        """Read one whole payload of the response.

        An ERR packet ends the exchange with `error`; any exception raised here breaks the session.
        """

    def out_of_order(self, data: bytes, expected: int) -> Exception:
        """The error for a frame, beginning with `data`, that doesn't carry the number
        `expected`.
        """
        return wrong_sequence(data[3], expected)

    def finish(self, error: BaseException | None = None) -> None:
        """No more responses follow."""
        self.done = True
        if error is not None and self.error is None:
            self.error = error
            if self.session is not None and self.session.in_transaction:
                self.session.forget_changes()  # an error tells that work is given up
        self.notify()

    def discard(self) -> None:
        """Read and drop what has not come yet, so that the connection stays in step."""
        self.on_progress: Callable[[], None] | None = None

    def take_error(self) -> BaseException | None:
        """Why the exchange failed; None the next time."""
        error, self.error = self.error, None
        return error

    def consume_progress(self) -> bool:
        """Whether there is something new to look at since the last call, or the end has come."""
        if not (self.has_progress or self.done):
            return False
        self.has_progress: bool = False
        return True

    def notify(self) -> None:
        """Call `on_progress`; without one, record that there is progress."""
        on_progress = self.on_progress
        if on_progress is None:
            self.has_progress = True
        else:
            self.on_progress = None
            on_progress()


#: Commands that neither begin a transaction nor change a mode.
_NO_STATEMENT = frozenset(
    {COMMAND.COM_PING, COMMAND.COM_INIT_DB, COMMAND.COM_PROCESS_KILL, COMMAND.COM_STMT_RESET}
)


class Command(Exchange):
    """A command that is answered by OK or ERR: COM_PING, COM_INIT_DB, COM_PROCESS_KILL."""

    def __init__(self, command: int, argument: bytes = b"") -> None:
        """`command`: one of pymysql.constants.COMMAND."""
        self.request: bytes = bytes([command]) + argument
        self.runs_statement: bool = command not in _NO_STATEMENT
        #: The response; None until it came.
        self.ok: Ok | None = None

    def receive(self, payload: bytes | bytearray) -> None:
        assert self.session is not None
        header = payload[0] if payload else None
        if header == OK_HEADER:
            self.ok = self.session.record_status(parse_ok(payload))
            self.finish()
        elif header == ERR_HEADER:
            self.finish(parse_error(payload))
        else:
            raise malformed(f"the response to a command begins with {bytes(payload[:8])!r}")


_QUIT = bytes([COMMAND.COM_QUIT])


class Quit(Exchange):
    """COM_QUIT: the server closes the connection and says nothing."""

    def __init__(self) -> None:
        self.request: bytes = _QUIT

    def receive(self, payload: bytes | bytearray) -> None:
        if payload[:1] == bytes([ERR_HEADER]):
            self.finish(parse_error(payload))
            return
        raise malformed("a response to COM_QUIT")
