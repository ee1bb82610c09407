"""What exchanges and results are asked for with each statement.

The classes in C have the same attributes, which C code finds at once.  So a class derived from them
must not give a default of its own to one of these attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiomysql_protocol._accelerator import accelerator

if TYPE_CHECKING:
    from aiomysql_protocol.commands.prepared import ServerStatement
    from aiomysql_protocol.commands.query import Query, Result
    from aiomysql_protocol.rows.metadata import ResultMetadata
    from aiomysql_protocol.session import Session
    from aiomysql_protocol.wire.packets import Ok

#: What an exchange may be reading: something that only its own `receive` knows, payload by payload;
#: the first packet of a result; the rows of one.
PAYLOADS = 0
RESPONSE = 1
ROWS = 2

#: `SessionState.uncommitted`: nothing is known to have been changed; rows were; nobody knows any
#: more, before the transaction has ended.
NO_CHANGES = 0
CHANGES = 1
CHANGES_UNKNOWN = 2


class ExchangeState:
    """See `exchange.Exchange`, and `query.Query` for those of statements."""

    # Attributes begin as the class's: most exchanges change only a few of them.

    #: Nothing more will come for this exchange.
    done: bool = False

    #: Something has come since the last look; who looks sets it to False.
    has_progress: bool = False

    #: The payload that opens the exchange; empty when the server speaks first.
    request: bytes = b""

    session: Session | None = None

    #: Why it failed; None after success.
    error: BaseException | None = None

    #: Called when there is something new to look at.
    on_progress: Callable[[], None] | None = None

    #: Number of the next frame, in whichever direction it goes.
    sequence_id: int = 0

    #: What is read next: PAYLOADS, RESPONSE or ROWS.
    reading: int = PAYLOADS

    # Of statements.

    #: Whether reading pauses when more has come than is to be kept (see `paused`).
    streamed: bool = False

    #: Whether its statement is simple, see ``statements.is_simple_statement``.
    is_simple: bool = False

    #: Whether the rows are binary.
    binary: bool = False

    #: Whether the rows become dicts.
    as_dicts: bool = False

    #: Results that are not taken are dropped, and so is what comes.
    discarding: bool = False

    #: The result that is being read; None between results.
    result: Result | None = None

    #: That one stands in `results`, or was taken from there.
    announced: bool = False

    #: Bytes of rows received since the last `take_rows`.
    stored: int = 0

    #: The files that it may still be asked for, each as often as there is something for it.
    local_files: dict[bytes, Sequence[Any]] | None = None

    #: For the caller's own use.
    statement: Any = None

    #: The prepared statement that is run.
    own_prepared: ServerStatement

    #: Results in the order they came; in a streamed query the last one may still grow.
    results: list[Result]


class ResultState:
    """See `query.Result`."""

    #: Nothing more will come for this result.
    complete: bool = False

    #: The rows that are still to come are not wanted.
    skipped: bool = False

    #: Rows of a streamed result are still to be taken.  Set by the one who takes them.
    unbuffered_active: bool = False

    #: Its rows come in batches.
    streamed: bool = False

    #: Metadata; None for a statement without rows.
    metadata: ResultMetadata | None = None

    #: Why it failed, after its first rows perhaps.
    error: BaseException | None = None

    #: The packet that ended the result; all zero until it came.
    ok: Ok

    #: The exchange it came in: set by who takes it from `Query.results`, for its own use.
    exchange: Query

    #: Rows received and not taken yet.
    rows: list[Any]


PyExchangeState = ExchangeState
PyResultState = ResultState
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    ExchangeState = _c.ExchangeState
    ResultState = _c.ResultState
