"""Which implementation of the speed-critical parts runs: the C one or the Python one.

The environment variable AIOMYSQL_IMPL decides, once, when this module is imported: "c" or
"python" means that one and nothing else; unset or empty means C where it was built. A C module
that is there but cannot be loaded is an error, never a reason to go on slowly in silence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from aiomysql_protocol import lending
from aiomysql_protocol.commands import exchange_state
from aiomysql_protocol.commands import response as answers
from aiomysql_protocol.rows import binary as binary_rows
from aiomysql_protocol.rows import text as rows
from aiomysql_protocol.rows.binary import BinaryPlan
from aiomysql_protocol.rows.text import CellPlan, RowDecoder
from aiomysql_protocol.sql import statements
from aiomysql_protocol.wire import payloads

if TYPE_CHECKING:
    from aiomysql_protocol.commands.prepared import Execute, ServerStatement
    from aiomysql_protocol.commands.query import Query
    from aiomysql_protocol.commands.response import Response
    from aiomysql_protocol.rows.metadata import MetadataPrefix
    from aiomysql_protocol.session import Session

_VARIABLE = "AIOMYSQL_IMPL"
_C_MODULE = "aiomysql_protocol._speedups"


class _Parts(NamedTuple):
    """What there is of each implementation."""

    name: Literal["c", "python"]
    text_row_decoder: Callable[[Sequence[CellPlan]], RowDecoder]
    binary_row_decoder: Callable[[Sequence[BinaryPlan]], RowDecoder]
    dict_rows: Callable[[tuple[str, ...], list[Any]], None]
    drain_rows: Callable[[list[Any]], tuple[Any, ...]]
    read_response: Callable[[list[MetadataPrefix], bytes | bytearray, int, int], Response | None]
    quick_response: Callable[[Session, bytearray, int, int], bool] | None
    literals: Callable[[Sequence[object], bool, Callable[[Any], str]], tuple[str, ...]]
    start_query: Callable[[Session, type[Query], bytes], tuple[Query, bytes] | None]
    start_execution: Callable[
        [Session, type[Execute], ServerStatement, tuple[object, ...]], tuple[Execute, bytes] | None
    ]
    pack_parameters: Callable[[Sequence[object]], tuple[int, bytes, bytes, bytes] | None]
    write_rows: Callable[
        [tuple[bytes, ...], Sequence[object], int, int, bool, Callable[[Any], str]],
        tuple[bytes, int],
    ]
    exchange_state: type[Any]
    result_state: type[Any]
    item: type[Any]
    turn: type[Any]
    shelf: type[Any]
    loan: type[Any]
    resting: Callable[[str, str, int], Callable[[Any], bool]]
    following: Callable[[str], Callable[[Any, Any], None]]
    long_payload: type[Any]
    whole_payload: Callable[[bytes | bytearray, int, int, int], bytes | None]
    read_greeting: Callable[[bytes], tuple[int, str, int, int, int, int, bytes, str] | None]
    is_simple_statement: Callable[[bytes | str, int], bool]


def _literals(
    args: Sequence[object], no_backslash_escapes: bool, other: Callable[[Any], str], /
) -> tuple[str, ...]:
    # From a list: a tuple that grows while code of the user runs could be found half-made.
    return tuple([other(arg) for arg in args])


def build_trouble(package: str) -> str:
    """What kept the C module of `package` from being compiled, as its build noted; or ""."""
    from pkgutil import get_data  # takes a millisecond, and hardly anybody asks

    try:
        noted = get_data(package, "_speedups_missing.txt")
    except OSError:
        return ""
    return noted.decode().strip() if noted is not None else ""


def missing(package: str) -> str:
    """That `package` has no C module, and why if that is known: a clause for messages."""
    trouble = build_trouble(package)
    return f"{package}._speedups was not built" + (f": {trouble}" if trouble else "")


def _chosen() -> _Parts:
    python = _Parts(
        "python",
        rows.TextRowDecoder,
        binary_rows.BinaryRowDecoder,
        rows.dict_rows,
        rows.drain_rows,
        answers.read_response,
        None,
        _literals,
        lambda session, kind, statement: None,
        lambda session, kind, prepared, values: None,
        lambda values: None,
        lambda pieces, rows, start, *rest: (b"", start),
        exchange_state.ExchangeState,
        exchange_state.ResultState,
        lending.Item,
        lending.Turn,
        lending.Shelf,
        lending.Loan,
        lending.resting,
        lending.following,
        payloads.LongPayload,
        payloads.whole_payload,
        lambda payload: None,
        statements.is_simple_statement,
    )
    wanted = os.environ.get(_VARIABLE, "")
    if wanted not in ("", "c", "python"):
        raise ImportError(f'{_VARIABLE} must be "c", "python" or unset, not {wanted!r}')
    if wanted == "python":
        return python
    try:
        import aiomysql_protocol._speedups as _speedups
    except ModuleNotFoundError as exc:
        if exc.name != _C_MODULE:
            raise
        if wanted == "c":
            reason = missing("aiomysql_protocol")
            raise ImportError(f"{_VARIABLE} is 'c', but {reason}") from exc
        return python
    return _Parts(
        "c",
        _speedups.TextRowDecoder,
        _speedups.BinaryRowDecoder,
        _speedups.dict_rows,
        _speedups.drain_rows,
        _speedups.read_response,
        _speedups.quick_response,
        _speedups.literals,
        _speedups.start_query,
        _speedups.start_execution,
        _speedups.pack_parameters,
        _speedups.write_rows,
        _speedups.ExchangeState,
        _speedups.ResultState,
        _speedups.Item,
        _speedups.Turn,
        _speedups.Shelf,
        _speedups.Loan,
        _speedups.resting,
        _speedups.following,
        _speedups.LongPayload,
        _speedups.whole_payload,
        _speedups.read_greeting,
        _speedups.is_simple_statement,
    )


_parts = _chosen()

IMPLEMENTATION: Literal["c", "python"] = _parts.name
"""The implementation that runs."""


def reason_for(package: str, *, built: bool) -> str:
    """Why `package`, which chose as this module did, runs in C (`built`) or in Python."""
    if wanted := os.environ.get(_VARIABLE):
        return f"{_VARIABLE} is {wanted!r}"
    if built:
        return f"{package}._speedups was built"
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} runs Python code faster"
    return missing(package)


def reason() -> str:
    """Why IMPLEMENTATION is what it is: a clause for messages."""
    return reason_for("aiomysql_protocol", built=IMPLEMENTATION == "c")


dict_rows = _parts.dict_rows
"""See ``rows.dict_rows``."""

drain_rows = _parts.drain_rows
"""See ``rows.drain_rows``."""

whole_payload = _parts.whole_payload
"""See ``payloads.whole_payload``."""

is_simple_statement = _parts.is_simple_statement
"""See ``statements.is_simple_statement``."""

read_greeting = _parts.read_greeting
"""The items of a ``handshake.Greeting`` for a payload such as all servers send; None: it is another
one, and for ``handshake.parse_greeting`` to read or refuse."""

read_response = _parts.read_response
"""See ``answers.read_response``."""

quick_response = _parts.quick_response
"""``quick_response(session, buffer, start, end)``: read all of buffer[start:end] as the response to
the session's only exchange, which ends with it as in ``Query.receive_rows`` or ``Login.receive``.
False: nothing was done.  None in Python, where it would be no quicker.
"""

start_query = _parts.start_query
"""``start_query(session, query_class, statement)``: make a Query and start it, as
``Session.request`` does.

Returns it, and the bytes to be sent at once; None: nothing was done, `Session.request` must do it.
"""

start_execution = _parts.start_execution
"""``start_execution(session, execute_class, prepared, values)``: the same for an Execute of values
in UTF-8, if they are of the usual types, and of those that the statement had the last time.
"""

if TYPE_CHECKING:
    from aiomysql_protocol.commands.exchange_state import ExchangeState as ExchangeState
    from aiomysql_protocol.commands.exchange_state import ResultState as ResultState
    from aiomysql_protocol.lending import Item as Item
    from aiomysql_protocol.lending import Loan as Loan
    from aiomysql_protocol.lending import Shelf as Shelf
    from aiomysql_protocol.lending import Turn as Turn
    from aiomysql_protocol.wire.payloads import LongPayload as LongPayload
else:
    # See `exchange_state`, `lending` and `payloads`.
    LongPayload = _parts.long_payload
    ExchangeState, ResultState = _parts.exchange_state, _parts.result_state
    Item, Turn, Shelf, Loan = _parts.item, _parts.turn, _parts.shelf, _parts.loan

resting = _parts.resting
"""See ``lending.resting``."""

following = _parts.following
"""See ``lending.following``."""

literals = _parts.literals
"""``literals(args, no_backslash_escapes, other)``: a literal for each of `args`, a tuple or list.

`other` makes those for all types but the commonest, and may be called for any of them.
"""

write_rows = _parts.write_rows
"""``write_rows(pieces, rows, start, room, no_backslash_escapes, other)``: the rows from number
`start` on in UTF-8, with commas between: the literals of each between `pieces`.

Returns them, at most `room` bytes, and the number of the first row that it leaves to the caller:
because there is no room, because it is no tuple or list of the right length, or because a text in
it is none.  `other` is that of ``literals``."""

pack_parameters = _parts.pack_parameters
"""The items of a ``parameters.Parameters`` for values of the usual types, with text in UTF-8; None
for others: then ``ParameterWriter`` writes them."""


def text_row_decoder(plans: Sequence[CellPlan]) -> RowDecoder:
    """A decoder for the text rows of a result set with these columns, in the order of `plans`.

    Raises ValueError for an incomplete plan, LookupError for an encoding unknown to Python.
    """
    return _parts.text_row_decoder(plans)


def binary_row_decoder(plans: Sequence[BinaryPlan]) -> RowDecoder:
    """A decoder for the binary rows of a result set with these columns, in the order of `plans`.

    Raises what ``text_row_decoder`` raises.
    """
    return _parts.binary_row_decoder(plans)
