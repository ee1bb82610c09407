"""What exchanges and results are asked for with each statement.

The classes in C have the same attributes, which C code finds at once.  So a class derived from them
must not give a default of its own to one of these attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiomysql_protocol._accelerator import accelerator

if TYPE_CHECKING:
    from aiomysql_protocol.commands.prepared import ServerStatement
    from aiomysql_protocol.commands.query import Query, Result
    from aiomysql_protocol.rows.metadata import ColumnCache, MetadataPrefix, ResultMetadata
    from aiomysql_protocol.session import Session
    from aiomysql_protocol.wire.packets import Ok


class ExchangeState:
    """See `exchange.Exchange`, and `query.Query` for those of statements."""

    # Attributes begin as the class's: most exchanges change only a few of them.

    #: Nothing more will come for this exchange.
    done: bool = False

    #: Something has come since the last look; who looks sets it to False.
    has_progress: bool = False

    #: Its response may be read by `session.quick_response`.  Without `results` that is an OK
    #: packet, of which nothing but the status flags is wanted.
    quick: bool = False

    #: Whether reading pauses when more has come than is to be kept (see `paused`).
    streamed: bool = False

    session: Session | None = None

    #: Why it failed; None after success.
    error: BaseException | None = None

    #: Called when there is something new to look at.
    on_progress: Callable[[], None] | None = None

    #: Number of the next frame, in whichever direction it goes.
    sequence_id: int = 0

    #: The files that a statement may still be asked for.
    local_files: dict[bytes, Any] | None = None

    #: Of binary rows: what `quick_response` matches, as long as `compiled_by` compiles metadata.
    own_prefixes: list[MetadataPrefix] | None = None
    compiled_by: ColumnCache | None = None

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
    rows: list[tuple[Any, ...]]


PyExchangeState = ExchangeState
PyResultState = ResultState
if not TYPE_CHECKING and (_c := accelerator()) is not None:
    ExchangeState = _c.ExchangeState
    ResultState = _c.ResultState
